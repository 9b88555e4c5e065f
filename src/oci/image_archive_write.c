/*
 * Writing image archives. Order of members (CHOICE of spec/oci.md 3.1): what names the image first,
 * since it is known before any layer is copied, then the blobs by name.
 */
#include "oci/image_archive.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/doc.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "oci/document.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "oci/member.h"
#include "oci/reference.h"

DEFINE_AUTO(struct doc *, doc_free)

#define FILE_MODE 0444
#define DIR_MODE 0755
#define BLOBS "blobs/sha256/"
#define BLOB_NAME_SIZE (sizeof(BLOBS) + DIGEST_HEX)

struct layer_sink {
	int fd;
	uint64_t left;
	const char *diff_id;
	struct sha256 *hash;
};

/* One blob of a docker-archive: bytes in memory, or a layer that the caller writes. */
struct docker_blob {
	char digest[DIGEST_STR_SIZE];
	uint64_t size;
	const void *data; /* NULL for a layer */
};

static int write_file(int fd, const char *name, const void *data, size_t n, struct err *err)
{
	if (member_write_header(fd, name, FILE_MODE, n, err) < 0)
		return -1;
	if (write_all(fd, data, n) < 0)
		return err_sys(err, "cannot write the archive");
	return member_write_padding(fd, n, err);
}

static void blob_name(const char *digest, char out[BLOB_NAME_SIZE])
{
	snprintf(out, BLOB_NAME_SIZE, "%s%s", BLOBS, digest_hex(digest));
}

/* The two documents of the layout: oci-layout and index.json. */
static int write_layout_head(
	int fd, const struct descriptor *root, const struct strv *names, struct err *err)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	auto_strbuf text = STRBUF_INIT;

	if (layout_index_put(&idx, root, names, err) < 0) {
		index_release(&idx);
		return -1;
	}
	index_format(&idx, &text);
	index_release(&idx);
	if (write_file(fd, "oci-layout", LAYOUT_HEADER, sizeof(LAYOUT_HEADER) - 1, err) < 0)
		return -1;
	return write_file(fd, "index.json", text.buf, text.len, err);
}

static int write_blob_dirs(int fd, struct err *err)
{
	if (member_write_header(fd, "blobs/", DIR_MODE, 0, err) < 0)
		return -1;
	return member_write_header(fd, BLOBS, DIR_MODE, 0, err);
}

static int compare_descriptors(const void *a, const void *b)
{
	const struct descriptor *x = a, *y = b;

	return strcmp(x->digest, y->digest);
}

static int write_blobs(
	int fd, struct blob_list *list, blob_opener open_blob, void *ctx, struct err *err)
{
	qsort(list->v, list->len, sizeof(list->v[0]), compare_descriptors);
	for (size_t i = 0; i < list->len; i++) {
		const struct descriptor *d = &list->v[i];
		char name[BLOB_NAME_SIZE];

		blob_name(d->digest, name);
		if (member_write_header(fd, name, FILE_MODE, d->size, err) < 0 ||
			walk_copy(d, open_blob, ctx, fd, err) < 0 ||
			member_write_padding(fd, d->size, err) < 0)
			return -1;
	}
	return 0;
}

int oci_archive_write(int fd, const struct descriptor *root, const struct strv *names,
	blob_opener open_blob, void *ctx, struct err *err)
{
	struct blob_list list = BLOB_LIST_INIT;
	int r = walk_image(root, open_blob, ctx, &list, err);

	if (r == 0)
		r = write_layout_head(fd, root, names, err);
	if (r == 0)
		r = write_blob_dirs(fd, err);
	if (r == 0)
		r = write_blobs(fd, &list, open_blob, ctx, err);
	if (r == 0)
		r = member_write_end(fd, err);
	blob_list_release(&list);
	return r;
}

int layer_sink_write(struct layer_sink *sink, const void *data, size_t n, struct err *err)
{
	if (n > sink->left)
		return err_set(
			err, ERR_CORRUPT, "layer %s has more bytes than announced", sink->diff_id);
	if (write_all(sink->fd, data, n) < 0)
		return err_sys(err, "cannot write the archive");
	sha256_add(sink->hash, data, n);
	sink->left -= n;
	return 0;
}

static int write_layer_blob(
	int fd, const struct docker_blob *b, layer_writer write_layer, void *ctx, struct err *err)
{
	struct layer_sink sink = {
		.fd = fd, .left = b->size, .diff_id = b->digest, .hash = sha256_new()};
	char digest[DIGEST_STR_SIZE];
	int r = write_layer(ctx, b->digest, &sink, err);

	sha256_end_str(sink.hash, digest);
	sha256_free(sink.hash);
	if (r < 0)
		return -1;
	if (sink.left)
		return err_set(
			err, ERR_CORRUPT, "layer %s has fewer bytes than announced", b->digest);
	if (strcmp(digest, b->digest) != 0)
		return err_set(err, ERR_CORRUPT,
			"the content of layer %s does not have this diffID", b->digest);
	return 0;
}

static int write_docker_blob(
	int fd, const struct docker_blob *b, layer_writer write_layer, void *ctx, struct err *err)
{
	char name[BLOB_NAME_SIZE];

	blob_name(b->digest, name);
	if (b->data)
		return write_file(fd, name, b->data, (size_t)b->size, err);
	if (member_write_header(fd, name, FILE_MODE, b->size, err) < 0 ||
		write_layer_blob(fd, b, write_layer, ctx, err) < 0)
		return -1;
	return member_write_padding(fd, b->size, err);
}

static int compare_blobs(const void *a, const void *b)
{
	const struct docker_blob *x = a, *y = b;

	return strcmp(x->digest, y->digest);
}

/* The name as the user gave it, with the tag that docker's loader insists on. The caller frees;
 * NULL and *err. */
static char *repo_tag(const char *name, struct err *err)
{
	struct reference ref = REFERENCE_INIT;
	char *tag = NULL;

	if (reference_parse(name, &ref, err) < 0)
		return NULL;
	if (ref.digest)
		err_set(err, ERR_INPUT, "'%s': an image cannot be given a name with a digest",
			name);
	else
		tag = ref.tag_implied ? xasprintf("%s:%s", name, ref.tag) : xstrdup(name);
	reference_release(&ref);
	return tag;
}

/* manifest.json: Config, RepoTags, Layers. */
static int format_docker_manifest(const char *config_digest, const struct strv *diff_ids,
	const struct strv *names, struct strbuf *sb, struct err *err)
{
	AUTO(doc_free) struct doc *list = doc_array();
	struct doc *image = doc_object(), *tags = doc_array(), *layers = doc_array();
	char name[BLOB_NAME_SIZE];

	blob_name(config_digest, name);
	doc_set_str(image, "Config", name);
	doc_set(image, "RepoTags", tags);
	doc_set(image, "Layers", layers);
	doc_append(list, image);
	for (size_t i = 0; i < names->len; i++) {
		auto_free char *tag = repo_tag(names->v[i], err);

		if (!tag)
			return -1;
		doc_append(tags, document_string(tag));
	}
	for (size_t i = 0; i < diff_ids->len; i++) {
		blob_name(diff_ids->v[i], name);
		doc_append(layers, document_string(name));
	}
	doc_format(list, sb);
	return 0;
}

/* repositories: { repository: { tag: hex of the top layer } }, for loaders of before 2016. */
static int format_repositories(
	const struct strv *diff_ids, const struct strv *names, struct strbuf *sb, struct err *err)
{
	AUTO(doc_free) struct doc *repositories = doc_object();

	for (size_t i = 0; i < names->len; i++) {
		struct reference ref = REFERENCE_INIT;
		auto_free char *tag = repo_tag(names->v[i], err);

		if (!tag || reference_parse(tag, &ref, err) < 0)
			return -1;
		tag[strlen(tag) - strlen(ref.tag) - 1] =
			'\0'; /* leaves the repository as the user wrote it */
		if (!doc_get(repositories, tag))
			doc_set(repositories, tag, doc_object());
		doc_set_str(doc_get(repositories, tag), ref.tag,
			digest_hex(diff_ids->v[diff_ids->len - 1]));
		reference_release(&ref);
	}
	doc_format(repositories, sb);
	return 0;
}

/* The OCI manifest of the same image: plain tar layers named by diffID. */
static void format_oci_manifest(const struct descriptor *config, const struct strv *diff_ids,
	const uint64_t *sizes, struct strbuf *sb)
{
	struct manifest m = MANIFEST_INIT;

	descriptor_copy(config, &m.config);
	for (size_t i = 0; i < diff_ids->len; i++) {
		struct descriptor layer = DESCRIPTOR_INIT;

		descriptor_set(&layer, MEDIA_OCI_LAYER_TAR, diff_ids->v[i], sizes[i]);
		manifest_add_layer(&m, &layer);
		descriptor_release(&layer);
	}
	manifest_format(&m, sb);
	manifest_release(&m);
}

static int write_docker_head(int fd, const struct descriptor *root, const char *config_digest,
	const struct strv *diff_ids, const struct strv *names, struct err *err)
{
	auto_strbuf manifest = STRBUF_INIT, repositories = STRBUF_INIT;

	if (format_docker_manifest(config_digest, diff_ids, names, &manifest, err) < 0 ||
		write_layout_head(fd, root, names, err) < 0 ||
		write_file(fd, "manifest.json", manifest.buf, manifest.len, err) < 0)
		return -1;
	if (diff_ids->len && names->len) {
		if (format_repositories(diff_ids, names, &repositories, err) < 0 ||
			write_file(fd, "repositories", repositories.buf, repositories.len, err) < 0)
			return -1;
	}
	return write_blob_dirs(fd, err);
}

/* Sort the blobs and drop repeated ones, which must agree in size. Returns how many are left, or
 * -1. */
static ssize_t unique_blobs(struct docker_blob *blobs, size_t n, struct err *err)
{
	size_t kept = 0;

	qsort(blobs, n, sizeof(blobs[0]), compare_blobs);
	for (size_t i = 0; i < n; i++) {
		if (kept && strcmp(blobs[kept - 1].digest, blobs[i].digest) == 0) {
			if (blobs[kept - 1].size != blobs[i].size)
				return err_set(err, ERR_INPUT, "layer %s is given with two sizes",
					blobs[i].digest);
			continue;
		}
		blobs[kept++] = blobs[i];
	}
	return (ssize_t)kept;
}

static void set_blob(struct docker_blob *b, const char *digest, uint64_t size, const void *data)
{
	snprintf(b->digest, sizeof(b->digest), "%s", digest);
	b->size = size;
	b->data = data;
}

int docker_archive_write(int fd, const void *config, size_t nconfig, const uint64_t *sizes,
	const struct strv *names, layer_writer write_layer, void *ctx, struct err *err)
{
	struct image_config c = IMAGE_CONFIG_INIT;
	struct descriptor config_desc = DESCRIPTOR_INIT, root = DESCRIPTOR_INIT;
	auto_strbuf manifest = STRBUF_INIT;
	auto_free struct docker_blob *blobs = NULL;
	ssize_t n;
	int r;

	if (config_parse(config, nconfig, &c, err) < 0)
		return -1;
	descriptor_of_bytes(&config_desc, MEDIA_OCI_CONFIG, config, nconfig);
	format_oci_manifest(&config_desc, &c.diff_ids, sizes, &manifest);
	descriptor_of_bytes(&root, MEDIA_OCI_MANIFEST, manifest.buf, manifest.len);
	root.platform = c.platform;
	root.has_platform = true;
	platform_publish(&root.platform);

	blobs = xcalloc(c.diff_ids.len + 2, sizeof(blobs[0]));
	set_blob(&blobs[0], config_desc.digest, nconfig, config);
	set_blob(&blobs[1], root.digest, manifest.len, manifest.buf);
	for (size_t i = 0; i < c.diff_ids.len; i++)
		set_blob(&blobs[i + 2], c.diff_ids.v[i], sizes[i], NULL);
	n = unique_blobs(blobs, c.diff_ids.len + 2, err);
	r = n < 0 ? -1 : write_docker_head(fd, &root, config_desc.digest, &c.diff_ids, names, err);
	for (ssize_t i = 0; r == 0 && i < n; i++)
		r = write_docker_blob(fd, &blobs[i], write_layer, ctx, err);
	if (r == 0)
		r = member_write_end(fd, err);
	descriptor_release(&config_desc);
	descriptor_release(&root);
	config_release(&c);
	return r;
}
