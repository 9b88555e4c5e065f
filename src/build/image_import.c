/* Images from archives that come without a manifest: root file systems, and docker-archives (spec/oci.md 3.2, 3.3). */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "build/image_internal.h"
#include "build/jobs.h"
#include "build/parallel.h"
#include "layer/bounds.h"
#include "store/blob.h"
#include "store/image.h"
#include "store/snapshot.h"
#include "store/stepcache.h"

#define COPY_STEP (16u << 20) /* bytes between two looks at the cancel flag */
#define CREATED_BY "whittle import"

/* ---- one layer ---- */

struct new_layer {
	const char *diff_id;    /* that it must have; NULL: any */
	bool plain_tree;        /* a root file system, not a layer */
	bool compress;          /* store a plain one as zstd */
	struct descriptor blob; /* result */
	char found_diff_id[DIGEST_STR_SIZE]; /* result */
};

/* Copy n bytes (UINT64_MAX: all) of in, shown at vertex. */
static int copy_in(struct session *s, int in, int out, uint64_t n, unsigned vertex, struct err *err)
{
	uint64_t done = 0;

	while (done < n) {
		uint64_t step = n - done < COPY_STEP ? n - done : COPY_STEP;
		int64_t got = copy_bytes(in, out, step);

		if (got < 0)
			return err_sys(err, "cannot copy the archive into the store");
		if (got == 0)
			break;
		done += (uint64_t)got;
		if (done > LAYER_SIZE_MAX)
			return err_set(err, ERR_INPUT, "the archive is larger than %llu GiB",
				(unsigned long long)(LAYER_SIZE_MAX >> 30));
		if (s->cancelled)
			return err_set(err, ERR_CANCELLED, "interrupted");
		progress_status(s->progress, vertex, "copying", done, n == UINT64_MAX ? 0 : n);
	}
	if (n != UINT64_MAX && done != n)
		return err_set(err, ERR_CORRUPT, "the archive ends early");
	return 0;
}

/* A worker reads the temporary blob: what is it, and its index. */
static int examine(struct session *s, const char *blob, const struct new_layer *l, const char *index,
	struct layer_info *ret, struct err *err)
{
	struct unpack_request r = { .blob = blob, .diff_id = l->diff_id, .size = UINT64_MAX, .index = index,
		.plain_tree = l->plain_tree };
	struct unpack_result result;
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;

	unpack_put(&r, &payload);
	if (session_call(s, JOB_UNPACK, &payload, NULL, 0, &reply, err) < 0 ||
		reply_get(&reply, &result, sizeof(result), err) < 0)
		return -1;
	*ret = result.layer;
	return 0;
}

/* The same tar as zstd, in another temporary blob that replaces *fd and *name. */
static int compress(struct session *s, int *fd, char **name, struct layer_info *info, struct err *err)
{
	struct layer_request r = { .blob = *name, .compression = COMPRESSION_ZSTD, .epoch = LAYER_EPOCH_NONE };
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	auto_free char *out = NULL;
	auto_fd int out_fd = blob_create(s->store, &out, err);

	if (out_fd < 0)
		return -1;
	r.out = out;
	layer_put(&r, &payload);
	if (session_call(s, JOB_LAYER, &payload, NULL, 0, &reply, err) < 0 ||
		reply_get(&reply, info, sizeof(*info), err) < 0) {
		blob_abort(s->store, out);
		return -1;
	}
	blob_abort(s->store, *name);
	free(*name);
	*name = take_ptr(out);
	close_fd(*fd);
	*fd = take_fd(out_fd);
	return 0;
}

static int keep_layer(struct session *s, int fd, const char *blob, const char *index, const struct layer_info *info,
	struct new_layer *l, struct err *err)
{
	static const enum media_kind kinds[] = {
		[COMPRESSION_NONE] = MEDIA_LAYER_TAR,
		[COMPRESSION_GZIP] = MEDIA_LAYER_GZIP,
		[COMPRESSION_ZSTD] = MEDIA_LAYER_ZSTD,
	};
	const char *type = media_type_of(kinds[info->compression], false);
	struct snapshot snap;
	int64_t id;

	if (blob_commit(s->store, fd, blob, info->digest, info->size, err) < 0 ||
		snapshot_of_layer(s->store, info->diff_id, info->digest, type, info->size, &id, err) < 0 ||
		snapshot_get(s->store, id, &snap, err) < 0 ||
		(!snap.has_index && snapshot_add_index(s->store, id, index, err) < 0))
		return -1;
	descriptor_set(&l->blob, type, info->digest, info->size);
	memcpy(l->found_diff_id, info->diff_id, DIGEST_STR_SIZE);
	return 0;
}

/* Make a layer of n bytes of in (UINT64_MAX: to its end), kept byte for byte unless it is to be compressed. */
static int bring_layer(struct session *s, int in, uint64_t n, unsigned vertex, struct new_layer *l, struct err *err)
{
	struct layer_info info;
	auto_free char *blob = NULL;
	auto_free char *index = NULL;
	auto_fd int fd = -1;
	auto_fd int index_fd = -1;
	int rc;

	fd = blob_create(s->store, &blob, err);
	if (fd < 0)
		return -1;
	index_fd = store_tmp_file(s->store, &index, err);
	rc = index_fd < 0 ? -1 : copy_in(s, in, fd, n, vertex, err);
	if (rc == 0)
		rc = examine(s, blob, l, index, &info, err);
	if (rc == 0 && l->plain_tree && info.diff_size == 0)
		rc = err_set(err, ERR_INPUT, "the archive is empty");
	if (rc == 0 && l->compress && info.compression == COMPRESSION_NONE)
		rc = compress(s, &fd, &blob, &info, err);
	if (rc == 0)
		rc = keep_layer(s, fd, blob, index, &info, l, err);
	if (rc < 0)
		blob_abort(s->store, blob);
	blob_abort(s->store, index); /* gone already when it became the snapshot's */
	return rc;
}

static int put_manifest(struct session *s, const struct manifest *m, struct descriptor *ret, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];

	manifest_format(m, &text);
	if (blob_put(s->store, text.buf, text.len, digest, err) < 0)
		return -1;
	descriptor_release(ret);
	descriptor_set(ret, MEDIA_OCI_MANIFEST, digest, text.len);
	return 0;
}

/* ---- docker-archive ---- */

struct docker_layers {
	struct session *s;
	const struct image_archive *a;
	const struct docker_image *image;
	const struct image_config *config;
	struct new_layer *layers;
	unsigned vertex;
};

static size_t first_with_diff_id(const struct image_config *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(c->diff_ids.v[k], c->diff_ids.v[i]) == 0)
			return k;
	return i;
}

static int docker_layer(void *ctx, size_t i, struct err *err)
{
	struct docker_layers *w = ctx;
	struct new_layer *l = &w->layers[i];
	struct blob_region region;
	auto_free char *name = NULL;
	auto_fd int fd = -1;

	if (first_with_diff_id(w->config, i) != i)
		return 0;
	l->diff_id = w->config->diff_ids.v[i];
	if (image_archive_member(w->a, w->image->layers.v[i], &region, err) < 0)
		return -1;
	/* an offset of its own: several layers are read at once */
	name = xasprintf("/proc/self/fd/%d", region.fd);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || lseek(fd, (off_t)region.offset, SEEK_SET) < 0)
		return err_sys(err, "cannot read '%s'", w->image->layers.v[i]);
	if (bring_layer(w->s, fd, region.size, w->vertex, l, err) < 0)
		return err_wrap(err, "layer '%s'", w->image->layers.v[i]);
	return 0;
}

static int docker_config(const struct image_archive *a, const struct docker_image *image, struct strbuf *ret,
	struct image_config *config, struct err *err)
{
	struct blob_region region;
	auto_free char *data = NULL;

	if (image_archive_member(a, image->config, &region, err) < 0)
		return -1;
	if (region.size > CONFIG_BYTES_MAX)
		return err_set(err, ERR_INPUT, "config '%s' has more than %d bytes", image->config, CONFIG_BYTES_MAX);
	data = xmalloc((size_t)region.size + 1);
	for (size_t done = 0; done < region.size;) {
		ssize_t n = pread(region.fd, data + done, (size_t)region.size - done, (off_t)(region.offset + done));

		if (n < 0)
			return err_sys(err, "cannot read '%s'", image->config);
		if (n == 0)
			return err_set(err, ERR_CORRUPT, "'%s' ends early", image->config);
		done += (size_t)n;
	}
	strbuf_add(ret, data, (size_t)region.size);
	if (config_parse(ret->buf, ret->len, config, err) < 0 ||
		config_check_layers(config, image->layers.len, err) < 0)
		return err_wrap(err, "config '%s'", image->config);
	return 0;
}

/* What an earlier reading of the same image gave, if all of it is still there. */
static bool known_image(struct session *s, const char *key, struct descriptor *ret)
{
	struct err unused = ERR_INIT;
	auto_free char *digest = NULL;
	auto_strbuf bytes = STRBUF_INIT;
	auto_blob_list list = BLOB_LIST_INIT;
	auto_descriptor d = DESCRIPTOR_INIT;

	if (memo_get(s->store, key, &digest, &unused) != 1 ||
		blob_read(s->store, digest, MANIFEST_BYTES_MAX, &bytes, &unused) < 0 ||
		image_describe(bytes.buf, bytes.len, NULL, &d, &unused) < 0 ||
		walk_image(&d, image_store_opener, s->store, &list, &unused) < 0)
		return false;
	for (size_t i = 0; i < list.len; i++)
		if (!blob_has(s->store, list.v[i].digest, NULL))
			return false;
	descriptor_copy(&d, ret);
	return true;
}

static int bring_docker(struct session *s, const struct image_archive *a, const struct docker_image *image,
	const struct strbuf *config_bytes, const struct image_config *config, unsigned vertex, struct descriptor *ret,
	struct err *err)
{
	size_t n = config->diff_ids.len;
	auto_free struct new_layer *layers = xcalloc(n + 1, sizeof(*layers));
	struct docker_layers w = { .s = s, .a = a, .image = image, .config = config, .layers = layers,
		.vertex = vertex };
	auto_manifest m = MANIFEST_INIT;
	char digest[DIGEST_STR_SIZE];
	int rc = session_holder(s, err) ? 0 : -1; /* before there are threads */

	if (rc == 0)
		rc = parallel_run(n, parallel_width(), docker_layer, &w, err);
	if (rc == 0)
		rc = blob_put(s->store, config_bytes->buf, config_bytes->len, digest, err);
	if (rc == 0) {
		descriptor_set(&m.config, MEDIA_OCI_CONFIG, digest, config_bytes->len);
		for (size_t i = 0; i < n; i++)
			manifest_add_layer(&m, &layers[first_with_diff_id(config, i)].blob);
		rc = put_manifest(s, &m, ret, err);
	}
	for (size_t i = 0; i < n; i++)
		descriptor_release(&layers[i].blob);
	return rc;
}

int image_from_docker_archive(struct session *s, const struct image_archive *a, const char *name,
	struct descriptor *ret, struct err *err)
{
	const struct docker_image *image = image_archive_docker_select(a, name, err);
	auto_image_config config = IMAGE_CONFIG_INIT;
	auto_strbuf bytes = STRBUF_INIT;
	auto_free char *key = NULL;
	char digest[DIGEST_STR_SIZE];
	unsigned vertex;
	int rc;

	if (!image || docker_config(a, image, &bytes, &config, err) < 0)
		return -1;
	sha256_buf_str(bytes.buf, bytes.len, digest);
	key = xasprintf("docker-archive:%s", digest);
	if (!known_image(s, key, ret)) {
		vertex = progress_start(s->progress, "reading docker archive");
		rc = bring_docker(s, a, image, &bytes, &config, vertex, ret, err);
		if (image_vertex_end(s, vertex, rc, err) < 0 || memo_put(s->store, key, ret->digest, err) < 0)
			return -1;
	}
	/* a name for whoever keeps it */
	if (image->repo_tags.len)
		pairs_set(&ret->annotations, ANNOTATION_IMAGE_NAME, image->repo_tags.v[0]);
	return 0;
}

/* ---- root file systems ---- */

static void import_config(const struct import_options *o, const char *created, const char *diff_id,
	struct image_config *c)
{
	struct platform platform;

	image_platform(&o->platform, &platform);
	config_init_scratch(&platform, c);
	c->created = xstrdup(created);
	for (size_t i = 0; i < o->env.len; i++) {
		const char *eq = strchr(o->env.v[i], '=');
		auto_free char *name = xstrndup(o->env.v[i], eq ? (size_t)(eq - o->env.v[i]) : strlen(o->env.v[i]));

		strv_env_set(&c->env, name, eq ? eq + 1 : "");
	}
	strv_add_all(&c->cmd, &o->cmd);
	c->cmd_set = c->cmd.len > 0;
	strv_add_all(&c->entrypoint, &o->entrypoint);
	c->entrypoint_set = c->entrypoint.len > 0;
	if (o->workdir && *o->workdir) {
		free(c->working_dir);
		c->working_dir = path_join("/", o->workdir);
	}
	if (o->user && *o->user)
		c->user = xstrdup(o->user);
	strv_add(&c->diff_ids, diff_id);
	config_history_add(c, created, CREATED_BY, NULL, false);
}

/* Config and manifest of the imported layer. */
static int make_image(struct session *s, const struct import_options *o, const char *created,
	const struct new_layer *layer, struct descriptor *ret, struct err *err)
{
	auto_image_config c = IMAGE_CONFIG_INIT;
	auto_manifest m = MANIFEST_INIT;
	auto_strbuf text = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];

	import_config(o, created, layer->found_diff_id, &c);
	config_format(&c, &text);
	if (blob_put(s->store, text.buf, text.len, digest, err) < 0)
		return -1;
	descriptor_set(&m.config, MEDIA_OCI_CONFIG, digest, text.len);
	manifest_add_layer(&m, &layer->blob);
	if (put_manifest(s, &m, ret, err) < 0)
		return -1;
	ret->platform = c.platform;
	ret->has_platform = true;
	return 0;
}

/* The config of a manifest in the store. */
static int read_config(struct session *s, const struct descriptor *d, struct image_config *ret, struct err *err)
{
	auto_strbuf bytes = STRBUF_INIT;
	auto_strbuf config = STRBUF_INIT;
	auto_manifest m = MANIFEST_INIT;

	if (blob_read(s->store, d->digest, MANIFEST_BYTES_MAX, &bytes, err) < 0 ||
		manifest_parse(bytes.buf, bytes.len, d->media_type, &m, err) < 0 ||
		blob_read(s->store, m.config.digest, CONFIG_BYTES_MAX, &config, err) < 0)
		return -1;
	return config_parse(config.buf, config.len, ret, err);
}

/* What the name means so far, as entries with platforms whose manifests are in the store. */
static int read_entries(struct session *s, const char *name, struct image_index *ret, struct err *err)
{
	auto_strbuf bytes = STRBUF_INIT;
	auto_image_index idx = IMAGE_INDEX_INIT;
	auto_descriptor d = DESCRIPTOR_INIT;
	struct image row;
	enum media_kind kind;

	if (image_get(s->store, name, &row, err) < 0 ||
		blob_read(s->store, row.digest, MANIFEST_BYTES_MAX, &bytes, err) < 0 ||
		document_guess(bytes.buf, bytes.len, row.media_type, &kind, err) < 0)
		return -1;
	if (kind == MEDIA_MANIFEST) {
		auto_image_config c = IMAGE_CONFIG_INIT;

		descriptor_set(&d, row.media_type, row.digest, row.size);
		if (read_config(s, &d, &c, err) < 0)
			return -1;
		d.platform = c.platform;
		d.has_platform = true;
		index_add(ret, &d);
		return 0;
	}
	if (index_parse(bytes.buf, bytes.len, row.media_type, &idx, err) < 0)
		return -1;
	for (size_t i = 0; i < idx.n; i++)
		if (media_kind(idx.manifests[i].media_type) == MEDIA_MANIFEST && idx.manifests[i].has_platform &&
			!descriptor_is_referrer(&idx.manifests[i]) &&
			blob_has(s->store, idx.manifests[i].digest, NULL))
			index_add(ret, &idx.manifests[i]);
	return 0;
}

static size_t find_platform(const struct image_index *idx, const struct platform *p)
{
	size_t i = 0;

	while (i < idx->n && !platform_equal(&idx->manifests[i].platform, p))
		i++;
	return i;
}

/*
 * The same import as before is the same image: with its old time, the manifest comes out as it was. So importing
 * twice changes nothing, though there is a clock in the config.
 */
static int same_as_before(struct session *s, const struct import_options *o, const struct descriptor *old,
	const struct new_layer *layer, struct descriptor *ret, struct err *err)
{
	auto_image_config c = IMAGE_CONFIG_INIT;
	struct err unused = ERR_INIT;

	if (o->epoch != LAYER_EPOCH_NONE || read_config(s, old, &c, &unused) < 0 || !c.created)
		return 0;
	if (make_image(s, o, c.created, layer, ret, err) < 0)
		return -1;
	return strcmp(ret->digest, old->digest) == 0;
}

static int name_image(struct session *s, const char *name, const struct image_index *idx, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];

	if (idx->n == 1)
		return image_put(s->store, name, idx->manifests[0].media_type, idx->manifests[0].digest,
			idx->manifests[0].size, err);
	index_format(idx, &text);
	if (blob_put(s->store, text.buf, text.len, digest, err) < 0)
		return -1;
	return image_put(s->store, name, MEDIA_OCI_INDEX, digest, text.len, err);
}

/* Put the image of the layer under the name, beside those of other platforms. */
static int import_layer(struct session *s, const struct import_options *o, const char *name,
	const struct new_layer *layer, char ret_digest[DIGEST_STR_SIZE], struct err *err)
{
	auto_image_index idx = IMAGE_INDEX_INIT;
	auto_descriptor d = DESCRIPTOR_INIT;
	struct err e = ERR_INIT;
	char created[RFC3339_SIZE];
	size_t at;
	int same = 0;

	if (read_entries(s, name, &idx, &e) < 0 && e.kind != ERR_NOT_FOUND)
		log_debug("what '%s' meant is replaced: %s", name, e.msg);
	at = find_platform(&idx, &o->platform);
	if (at < idx.n)
		same = same_as_before(s, o, &idx.manifests[at], layer, &d, err);
	if (same < 0)
		return -1;
	if (!same) {
		rfc3339_format(o->epoch == LAYER_EPOCH_NONE ? clock_wall() : o->epoch, created);
		if (make_image(s, o, created, layer, &d, err) < 0)
			return -1;
	}
	memcpy(ret_digest, d.digest, DIGEST_STR_SIZE);
	if (at < idx.n) {
		descriptor_release(&idx.manifests[at]);
		descriptor_copy(&d, &idx.manifests[at]);
	} else {
		index_add(&idx, &d);
	}
	return name_image(s, name, &idx, err);
}

static int import(struct session *s, int fd, const struct import_options *o, const char *name, unsigned vertex,
	char ret_digest[DIGEST_STR_SIZE], struct err *err)
{
	struct new_layer layer = { .plain_tree = true, .compress = true, .blob = DESCRIPTOR_INIT };
	int rc = bring_layer(s, fd, UINT64_MAX, vertex, &layer, err);

	if (rc == 0)
		rc = import_layer(s, o, name, &layer, ret_digest, err);
	descriptor_release(&layer.blob);
	return rc;
}

int image_import(struct session *s, int fd, const struct import_options *options,
	char ret_digest[DIGEST_STR_SIZE], struct err *err)
{
	auto_reference ref = REFERENCE_INIT;
	struct err why = ERR_INIT;
	auto_free char *name = NULL;
	auto_free char *title = NULL;
	unsigned vertex;

	if (reference_parse(options->name, &ref, &why) < 0)
		return err_set(err, ERR_USAGE, "%s", why.msg);
	if (ref.digest)
		return err_set(err, ERR_USAGE, "'%s': an image cannot be given a name with a digest", options->name);
	name = reference_format(&ref);
	title = xasprintf("importing %s", options->name);
	vertex = progress_start(s->progress, title);
	return image_vertex_end(s, vertex, import(s, fd, options, name, vertex, ret_digest, err), err);
}
