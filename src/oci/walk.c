#include "oci/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "oci/document.h"
#include "oci/index.h"
#include "oci/manifest.h"

/* Ours: more blobs than any image has, so that 1024 manifests of 512 layers end in an error. */
#define WALK_BLOBS_MAX 65536
#define SLOTS_MIN 64
#define COPY_SIZE (128 * 1024) /* bytes read at a time */

/* One walk: the list under construction and a hash table of digests over it. */
struct walk {
	blob_opener open_blob;
	void *ctx;
	struct blob_list *list;
	size_t *slots; /* open addressing, a power of two: index into list + 1, or 0 */
	size_t nslots;
	size_t documents; /* opened so far */
};

/* A document that is being looked into, and the one that refers to it. */
struct trail {
	const struct trail *parent;
	const char *digest;
	size_t depth;
};

void blob_list_release(struct blob_list *l)
{
	for (size_t i = 0; i < l->len; i++)
		descriptor_release(&l->v[i]);
	free(l->v);
	*l = (struct blob_list)BLOB_LIST_INIT;
}

/* Open the blob and check its size. */
static int open_checked(
	const struct descriptor *d, blob_opener open_blob, void *ctx, struct err *err)
{
	uint64_t size;
	auto_fd int fd = open_blob(ctx, d->digest, &size, err);

	if (fd < 0)
		return -1;
	if (size != d->size)
		return err_set(err, ERR_CORRUPT, "%s has %llu bytes, but its descriptor says %llu",
			d->digest, (unsigned long long)size, (unsigned long long)d->size);
	return take_fd(fd);
}

/* Read all of d from fd, at a time at most the size of buf, into the hash and to out. */
static int copy_hashed(const struct descriptor *d, int fd, int out, char *buf, struct sha256 *hash,
	struct err *err)
{
	uint64_t left = d->size;

	while (left) {
		ssize_t n = read_full(fd, buf, left < COPY_SIZE ? (size_t)left : COPY_SIZE);

		if (n < 0)
			return err_sys(err, "cannot read %s", d->digest);
		if (n == 0)
			return err_set(err, ERR_CORRUPT, "%s ends before its size", d->digest);
		if (write_all(out, buf, (size_t)n) < 0)
			return err_sys(err, "cannot write %s", d->digest);
		sha256_add(hash, buf, (size_t)n);
		left -= (uint64_t)n;
	}
	return 0;
}

int walk_copy(
	const struct descriptor *d, blob_opener open_blob, void *ctx, int out, struct err *err)
{
	auto_fd int fd = open_checked(d, open_blob, ctx, err);
	char digest[DIGEST_STR_SIZE];
	struct sha256 *hash;
	int r;

	if (fd < 0)
		return -1;
	auto_free char *buf = xmalloc(COPY_SIZE);
	hash = sha256_new();
	r = copy_hashed(d, fd, out, buf, hash, err);
	sha256_end_str(hash, digest);
	sha256_free(hash);
	if (r == 0 && strcmp(digest, d->digest) != 0)
		return err_set(
			err, ERR_CORRUPT, "the content of %s does not have this digest", d->digest);
	return r;
}

int walk_load(const struct descriptor *d, blob_opener open_blob, void *ctx, size_t max,
	struct strbuf *sb, struct err *err)
{
	char digest[DIGEST_STR_SIZE];
	auto_fd int fd = -1;
	ssize_t n;

	if (d->size > max)
		return err_set(err, ERR_INPUT, "%s %s has %llu bytes, more than %zu",
			media_kind_name(media_kind(d->media_type)), d->digest,
			(unsigned long long)d->size, max);
	fd = open_checked(d, open_blob, ctx, err);
	if (fd < 0)
		return -1;

	auto_free char *data = xmalloc((size_t)d->size + 1);
	n = read_full(fd, data, (size_t)d->size);
	if (n < 0)
		return err_sys(err, "cannot read %s", d->digest);
	sha256_buf_str(data, (size_t)n, digest);
	if ((uint64_t)n != d->size || strcmp(digest, d->digest) != 0)
		return err_set(
			err, ERR_CORRUPT, "the content of %s does not have this digest", d->digest);
	strbuf_add(sb, data, (size_t)n);
	return 0;
}

/* The slot of a digest: where it stands, or the free one where it belongs. */
static size_t *find_slot(const struct walk *w, const char *digest)
{
	uint8_t raw[DIGEST_SIZE] = {0};
	uint64_t h = 0;

	digest_parse(digest, raw);
	memcpy(&h, raw, sizeof(h)); /* a digest is its own hash */
	for (size_t i = (size_t)h & (w->nslots - 1);; i = (i + 1) & (w->nslots - 1))
		if (!w->slots[i] || strcmp(w->list->v[w->slots[i] - 1].digest, digest) == 0)
			return &w->slots[i];
}

static void grow_slots(struct walk *w)
{
	free(w->slots);
	w->nslots = w->nslots ? w->nslots * 2 : SLOTS_MIN;
	w->slots = xcalloc(w->nslots, sizeof(w->slots[0]));
	for (size_t i = 0; i < w->list->len; i++)
		*find_slot(w, w->list->v[i].digest) = i + 1;
}

/* Whether d is listed already: 1, 0, or -1 when it is listed with another size. */
static int lookup(const struct walk *w, const struct descriptor *d, struct err *err)
{
	size_t at = *find_slot(w, d->digest);

	if (!at)
		return 0;
	if (w->list->v[at - 1].size != d->size)
		return err_set(err, ERR_INPUT, "%s is stated with two sizes", d->digest);
	return 1;
}

static int add(struct walk *w, const struct descriptor *d, struct err *err)
{
	int known = lookup(w, d, err);

	if (known)
		return known < 0 ? -1 : 0;
	if (w->list->len == WALK_BLOBS_MAX)
		return err_set(err, ERR_INPUT, "more than %d blobs in one image", WALK_BLOBS_MAX);
	GROW(w->list->v, w->list->len, w->list->cap);
	descriptor_copy(d, &w->list->v[w->list->len++]);
	*find_slot(w, d->digest) = w->list->len;
	if (w->list->len > w->nslots / 2)
		grow_slots(w);
	return 0;
}

/* Foreign layers are often absent, by intent (oci.md 3.1): then they do not belong to the copy. */
static int add_layer(struct walk *w, const struct descriptor *d, struct err *err)
{
	if (media_kind(d->media_type) == MEDIA_FOREIGN) {
		struct err absent = ERR_INIT;
		uint64_t size;
		auto_fd int fd = w->open_blob(w->ctx, d->digest, &size, &absent);

		if (fd < 0 && absent.kind == ERR_NOT_FOUND)
			return 0;
	}
	return add(w, d, err);
}

static int walk_manifest(
	struct walk *w, const struct descriptor *d, const struct strbuf *text, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	int r;

	if (manifest_parse(text->buf, text->len, d->media_type, &m, err) < 0)
		return err_wrap(err, "manifest %s", d->digest);
	r = add(w, &m.config, err);
	for (size_t i = 0; r == 0 && i < m.nlayers; i++)
		r = add_layer(w, &m.layers[i], err);
	manifest_release(&m);
	return r;
}

/* Check that one more document may be opened below parent (oci.md 1.5). */
static int enter(
	struct walk *w, const struct descriptor *d, const struct trail *parent, struct err *err)
{
	for (const struct trail *t = parent; t; t = t->parent)
		if (strcmp(t->digest, d->digest) == 0)
			return err_set(err, ERR_INPUT, "index %s contains itself", d->digest);
	if (parent && parent->depth >= WALK_DEPTH_MAX)
		return err_set(err, ERR_INPUT, "indexes nested deeper than %d", WALK_DEPTH_MAX);
	if (++w->documents > WALK_MANIFESTS_MAX)
		return err_set(
			err, ERR_INPUT, "more than %d manifests in one image", WALK_MANIFESTS_MAX);
	return 0;
}

static int visit(
	struct walk *w, const struct descriptor *d, const struct trail *parent, struct err *err)
{
	const struct trail here = {
		.parent = parent, .digest = d->digest, .depth = parent ? parent->depth + 1 : 1};
	enum media_kind kind = media_kind(d->media_type);
	auto_strbuf text = STRBUF_INIT;
	struct image_index idx = IMAGE_INDEX_INIT;
	int r = lookup(w, d, err);

	if (r)
		return r < 0 ? -1 : 0;
	if (kind != MEDIA_INDEX && kind != MEDIA_MANIFEST)
		return add(w, d, err);
	if (enter(w, d, parent, err) < 0 ||
		walk_load(d, w->open_blob, w->ctx, MANIFEST_BYTES_MAX, &text, err) < 0)
		return -1;
	if (kind == MEDIA_MANIFEST)
		return walk_manifest(w, d, &text, err) < 0 ? -1 : add(w, d, err);

	if (index_parse(text.buf, text.len, d->media_type, &idx, err) < 0)
		return err_wrap(err, "index %s", d->digest);
	strbuf_release(&text);
	for (size_t i = 0; r == 0 && i < idx.n; i++)
		r = visit(w, &idx.manifests[i], &here, err);
	index_release(&idx);
	return r < 0 ? -1 : add(w, d, err);
}

int walk_image(const struct descriptor *root, blob_opener open_blob, void *ctx,
	struct blob_list *ret, struct err *err)
{
	struct walk w = {.open_blob = open_blob, .ctx = ctx, .list = ret};
	int r;

	grow_slots(&w);
	r = visit(&w, root, NULL, err);
	free(w.slots);
	return r;
}

/* Look for digest among the entries and, below them, in nested indexes. Returns 1 when found, 0, or
 * -1. */
static int find(struct walk *w, const struct image_index *idx, const char *digest,
	const struct trail *parent, struct descriptor *ret, struct err *err)
{
	for (size_t i = 0; i < idx->n; i++) {
		if (strcmp(idx->manifests[i].digest, digest) == 0) {
			descriptor_copy(&idx->manifests[i], ret);
			return 1;
		}
	}
	for (size_t i = 0; i < idx->n; i++) {
		const struct descriptor *d = &idx->manifests[i];
		const struct trail here = {.parent = parent,
			.digest = d->digest,
			.depth = parent ? parent->depth + 1 : 1};
		struct image_index child = IMAGE_INDEX_INIT;
		auto_strbuf text = STRBUF_INIT;
		int r;

		if (media_kind(d->media_type) != MEDIA_INDEX)
			continue;
		if (enter(w, d, parent, err) < 0 ||
			walk_load(d, w->open_blob, w->ctx, MANIFEST_BYTES_MAX, &text, err) < 0)
			return -1;
		if (index_parse(text.buf, text.len, d->media_type, &child, err) < 0)
			return err_wrap(err, "index %s", d->digest);
		r = find(w, &child, digest, &here, ret, err);
		index_release(&child);
		if (r)
			return r;
	}
	return 0;
}

int walk_find(const struct image_index *root, const char *digest, blob_opener open_blob, void *ctx,
	struct descriptor *ret, struct err *err)
{
	struct walk w = {.open_blob = open_blob, .ctx = ctx};
	int r = find(&w, root, digest, NULL, ret, err);

	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "no manifest %s", digest);
	return r < 0 ? -1 : 0;
}
