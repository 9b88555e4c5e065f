/* From a name and a platform to an image (spec/oci.md 1.5, 1.7.5, 3.1, 4.1, 4.4). */
#include <fcntl.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/image_internal.h"
#include "registry/pull.h"
#include "store/blob.h"
#include "store/image.h"
#include "store/snapshot.h"

void image_found_release(struct image_found *f)
{
	image_source_free(f->source);
	descriptor_release(&f->top);
	free(f->remember);
	*f = (struct image_found)IMAGE_FOUND_INIT;
}

/* ---- what a name means ---- */

static void describe_row(const struct image *row, struct descriptor *ret)
{
	descriptor_set(ret, row->media_type, row->digest, row->size);
}

/* By the digest of the reference: what is in the store needs no name. 1, 0, or -1 and *err. */
static int find_by_digest(struct session *s, const char *digest, struct descriptor *ret, struct err *err)
{
	auto_strbuf bytes = STRBUF_INIT;

	if (!blob_has(s->store, digest, NULL))
		return 0;
	if (blob_read(s->store, digest, MANIFEST_BYTES_MAX, &bytes, err) < 0 ||
		image_describe(bytes.buf, bytes.len, NULL, ret, err) < 0)
		return -1;
	return 1;
}

/* 1, 0, or -1 and *err. */
static int find_by_name(struct session *s, const char *full, struct descriptor *ret, struct err *err)
{
	struct err e = ERR_INIT;
	struct image row;

	if (image_get(s->store, full, &row, &e) == 0) {
		describe_row(&row, ret);
		return 1;
	}
	if (e.kind == ERR_NOT_FOUND)
		return 0;
	*err = e;
	return -1;
}

/* An image of the store by the start of its digest. 1, 0, or -1 and *err. */
static int find_by_id(struct session *s, const char *text, struct image_found *ret, struct err *err)
{
	struct err e = ERR_INIT;
	struct image row;

	if (image_lookup(s->store, text, &row, &e) == 0) {
		describe_row(&row, &ret->top);
		ret->source = image_source_new();
		if (reference_parse(row.name, &ret->source->ref, &e) == 0)
			ret->source->kind = SOURCE_REGISTRY;
		return 1;
	}
	if (e.kind == ERR_NOT_FOUND)
		return 0;
	*err = e;
	return -1;
}

/* Ask the registry what the reference means, and keep the manifest or index. */
static int find_in_registry(struct session *s, const struct reference *ref, struct descriptor *ret, struct err *err)
{
	auto_strbuf body = STRBUF_INIT;
	auto_free char *type = NULL;
	char digest[DIGEST_STR_SIZE];
	struct registry_client *client = session_client(s, err);

	if (!client || registry_get_manifest(client, ref, NULL, &body, &type, digest, err) < 0 ||
		image_describe(body.buf, body.len, type, ret, err) < 0)
		return -1;
	return blob_put(s->store, body.buf, body.len, digest, err);
}

/* Say that the store was asked as well, and what helps; the kind stays. */
static int nowhere(const struct reference *ref, struct err *err)
{
	auto_free char *name = reference_familiar(ref);
	size_t n;

	err_wrap(err, "image '%s' is not in the store, and its registry did not give it", name);
	n = strlen(err->msg);
	snprintf(err->msg + n, sizeof(err->msg) - n,
		"; 'whittle import' makes an image of a root file system, 'whittle pull' gets one from elsewhere");
	return -1;
}

static int find_reference(struct session *s, const char *text, bool always_pull, bool ids, struct image_found *ret,
	struct err *err)
{
	auto_reference ref = REFERENCE_INIT;
	struct err why = ERR_INIT;
	auto_free char *full = NULL;
	int rc = 0;

	if (reference_parse(text, &ref, &why) < 0) {
		if (ids && find_by_id(s, text, ret, err) == 1)
			return 0;
		*err = why;
		return -1;
	}
	full = reference_format(&ref);
	if (ref.digest)
		rc = find_by_digest(s, ref.digest, &ret->top, err);
	else if (!always_pull)
		rc = find_by_name(s, full, &ret->top, err);
	if (rc == 0 && ids)
		rc = find_by_id(s, text, ret, err);
	if (rc < 0)
		return -1;
	if (!ret->source) {
		ret->source = image_source_new();
		ret->source->kind = SOURCE_REGISTRY;
		reference_copy(&ref, &ret->source->ref);
	}
	if (rc == 1)
		return 0;
	if (find_in_registry(s, &ref, &ret->top, err) < 0)
		return always_pull ? -1 : nowhere(&ref, err);
	ret->remember = take_ptr(full);
	return 0;
}

/* The name that a layout gives an image, in full; else its digest, so that it is kept at all. */
static char *layout_name(const struct descriptor *top, const char *name)
{
	const char *written = descriptor_annotation(top, ANNOTATION_IMAGE_NAME);
	auto_reference ref = REFERENCE_INIT;
	struct err unused = ERR_INIT;

	if (!written || reference_parse(written, &ref, &unused) < 0)
		written = NULL;
	/* "oci:DIR:NAME" may be a whole reference; a lone tag is none */
	if (!written && name && strchr(name, '/') && reference_parse(name, &ref, &unused) == 0)
		written = name;
	return written ? reference_format(&ref) : xstrdup(top->digest);
}

static int find_local(struct session *s, enum transport t, const char *rest, struct image_found *ret, struct err *err)
{
	auto_free char *path = NULL;
	auto_free char *name = NULL;
	auto_free char *digest = NULL;
	const char *wanted;

	if (transport_split(t, rest, &path, &name, &digest, err) < 0)
		return -1;
	wanted = digest ? digest : name;
	ret->source = image_source_new();
	if (t == TRANSPORT_OCI || t == TRANSPORT_OCI_LAYOUT) {
		ret->source->layout = layout_open(AT_FDCWD, path, err);
		if (!ret->source->layout || layout_select(ret->source->layout, wanted, &ret->top, err) < 0)
			return err_wrap(err, "%s", path);
		ret->source->kind = SOURCE_LAYOUT;
	} else {
		ret->source->archive = image_archive_open(AT_FDCWD, path, err);
		if (!ret->source->archive)
			return err_wrap(err, "%s", path);
		if (t == TRANSPORT_DOCKER_ARCHIVE) {
			if (digest)
				return err_set(err, ERR_UNSUPPORTED,
					"%s: a docker-archive has no digests; name the image by its tag", path);
			if (image_from_docker_archive(s, ret->source->archive, name, &ret->top, err) < 0)
				return err_wrap(err, "%s", path);
		} else {
			if (image_archive_select(ret->source->archive, wanted, &ret->top, err) < 0)
				return err_wrap(err, "%s", path);
			ret->source->kind = SOURCE_ARCHIVE;
		}
	}
	ret->remember = layout_name(&ret->top, name);
	return 0;
}

int image_find(struct session *s, const char *name, bool always_pull, bool ids, struct image_found *ret,
	struct err *err)
{
	enum transport t;
	auto_free char *rest = NULL;

	if (transport_parse(name, &t, &rest, err) < 0)
		return -1;
	if (t == TRANSPORT_REGISTRY)
		return find_reference(s, rest, always_pull, ids, ret, err);
	return find_local(s, t, rest, ret, err);
}

int image_remember(struct session *s, const struct image_found *f, struct err *err)
{
	if (!f->remember)
		return 0;
	return image_put(s->store, f->remember, f->top.media_type, f->top.digest, f->top.size, err);
}

/* ---- one platform of it ---- */

/* With any_platform, the only image of an index will do. */
static bool only_image(const struct image_index *idx, size_t *ret_i)
{
	size_t n = 0;

	for (size_t i = 0; i < idx->n; i++) {
		enum media_kind kind = media_kind(idx->manifests[i].media_type);

		if ((kind != MEDIA_MANIFEST && kind != MEDIA_INDEX) || descriptor_is_referrer(&idx->manifests[i]))
			continue;
		*ret_i = i;
		n++;
	}
	return n == 1;
}

static int choose_entry(const void *data, size_t n, const struct resolve_options *o, struct descriptor *d,
	bool *ret_by_platform, struct err *err)
{
	auto_image_index idx = IMAGE_INDEX_INIT;
	struct err e = ERR_INIT;
	size_t i;

	if (index_parse(data, n, d->media_type, &idx, err) < 0)
		return err_wrap(err, "index %s", d->digest);
	if (index_choose(&idx, o->platform, &i, &e) < 0 && !(o->any_platform && only_image(&idx, &i))) {
		*err = e;
		return -1;
	}
	*ret_by_platform = idx.manifests[i].has_platform;
	descriptor_release(d);
	descriptor_copy(&idx.manifests[i], d);
	return 0;
}

/* Follow indexes down to a manifest, whose bytes go to *ret; *d becomes its descriptor. */
static int find_manifest(struct session *s, struct image_source *src, const struct resolve_options *o,
	struct descriptor *d, struct strbuf *ret, bool *ret_by_platform, struct err *err)
{
	enum media_kind kind;

	*ret_by_platform = false;
	for (unsigned depth = 0; depth <= WALK_DEPTH_MAX; depth++) {
		strbuf_reset(ret);
		if (image_source_document(s, src, d, ret, err) < 0)
			return -1;
		if (document_guess(ret->buf, ret->len, d->media_type, &kind, err) < 0)
			return err_wrap(err, "%s", d->digest);
		if (kind == MEDIA_MANIFEST)
			return 0;
		if (choose_entry(ret->buf, ret->len, o, d, ret_by_platform, err) < 0)
			return -1;
	}
	return err_set(err, ERR_INPUT, "indexes are nested deeper than %d", WALK_DEPTH_MAX);
}

static int load_config(struct session *s, struct resolved_image *img, struct err *err)
{
	const struct descriptor *d = &img->manifest.config;
	auto_strbuf bytes = STRBUF_INIT;

	if (d->size > CONFIG_BYTES_MAX)
		return err_set(err, ERR_INPUT, "config %s has %llu bytes, more than %d", d->digest,
			(unsigned long long)d->size, CONFIG_BYTES_MAX);
	if (image_source_need(s, img->source, d, 0, err) < 0 ||
		blob_read(s->store, d->digest, CONFIG_BYTES_MAX, &bytes, err) < 0)
		return -1;
	if (config_parse(bytes.buf, bytes.len, &img->config, err) < 0 ||
		config_check_layers(&img->config, img->manifest.nlayers, err) < 0)
		return err_wrap(err, "config %s", d->digest);
	img->platform = img->config.platform;
	return 0;
}

static int check_platform(const struct resolved_image *img, const struct resolve_options *o, struct err *err)
{
	char want[PLATFORM_STR_SIZE], have[PLATFORM_STR_SIZE];

	if (o->any_platform || platform_match_rank(o->platform, &img->platform) >= 0)
		return 0;
	platform_format(o->platform, want);
	platform_format(&img->platform, have);
	return err_set(err, ERR_NOT_FOUND, "no image for %s; offered: %s", want, have);
}

static int add_snapshots(struct session *s, struct resolved_image *img, struct err *err)
{
	for (size_t i = 0; i < img->manifest.nlayers; i++) {
		const struct descriptor *d = &img->manifest.layers[i];
		int64_t id;

		if (snapshot_of_layer(s->store, img->config.diff_ids.v[i], d->digest, d->media_type, d->size, &id,
			    err) < 0)
			return -1;
		snapchain_push(&img->chain, id);
	}
	return 0;
}

struct resolved_image *image_load(struct session *s, const char *name, struct image_found *f,
	const struct resolve_options *options, struct err *err)
{
	AUTO(resolved_image_free) struct resolved_image *img = xcalloc(1, sizeof(*img));
	auto_descriptor d = DESCRIPTOR_INIT;
	auto_strbuf bytes = STRBUF_INIT;
	bool by_platform;

	img->name = xstrdup(name);
	img->source = take_ptr(f->source);
	snprintf(img->top_digest, sizeof(img->top_digest), "%s", f->top.digest);
	descriptor_copy(&f->top, &d);
	if (find_manifest(s, img->source, options, &d, &bytes, &by_platform, err) < 0)
		return NULL;
	snprintf(img->digest, sizeof(img->digest), "%s", d.digest);
	if (manifest_parse(bytes.buf, bytes.len, d.media_type, &img->manifest, err) < 0 ||
		manifest_check_image(&img->manifest, err) < 0) {
		err_wrap(err, "manifest %s", d.digest);
		return NULL;
	}
	if (load_config(s, img, err) < 0)
		return NULL;
	/* What an index says of its entries counts: configs often leave the variant out. */
	if (!by_platform && check_platform(img, options, err) < 0)
		return NULL;
	return add_snapshots(s, img, err) < 0 ? NULL : take_ptr(img);
}

struct resolved_image *image_resolve(struct session *s, const char *name, const struct resolve_options *options,
	struct err *err)
{
	auto_image_found f = IMAGE_FOUND_INIT;
	AUTO(resolved_image_free) struct resolved_image *img = NULL;
	bool local;

	if (image_find(s, name, options->always_pull, options->any_platform, &f, err) < 0)
		return NULL;
	local = f.source->kind != SOURCE_REGISTRY;
	img = image_load(s, name, &f, options, err);
	if (!img)
		return NULL;
	/* A file that a build reads is no image of the store. */
	if (!local && image_remember(s, &f, err) < 0)
		return NULL;
	return take_ptr(img);
}

void resolved_image_free(struct resolved_image *image)
{
	if (!image)
		return;
	free(image->name);
	manifest_release(&image->manifest);
	config_release(&image->config);
	snapchain_release(&image->chain);
	image_source_free(image->source);
	free(image);
}

int image_need_layer(struct session *s, struct resolved_image *image, size_t i, unsigned vertex, struct err *err)
{
	return image_source_need(s, image->source, &image->manifest.layers[i], vertex, err);
}

int image_need_layers(struct session *s, struct resolved_image *image, unsigned vertex, struct err *err)
{
	return image_source_need_all(s, image->source, image->manifest.layers, image->manifest.nlayers, vertex, err);
}
