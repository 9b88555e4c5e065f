/* whittle pull: an image with all its blobs (spec/oci.md 4.4, 4.5). */
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/image_internal.h"

/* Everything below one top descriptor. */
struct pull {
	struct session *s;
	struct image_source *src;
	unsigned documents;
	struct blob_list blobs; /* configs and layers, each once */
};

static void add_blob(struct blob_list *l, const struct descriptor *d)
{
	for (size_t i = 0; i < l->len; i++)
		if (strcmp(l->v[i].digest, d->digest) == 0)
			return;
	GROW(l->v, l->len, l->cap);
	descriptor_copy(d, &l->v[l->len++]);
}

static int add_manifest(struct pull *p, const struct descriptor *d, const struct strbuf *bytes, struct err *err)
{
	auto_manifest m = MANIFEST_INIT;

	if (manifest_parse(bytes->buf, bytes->len, d->media_type, &m, err) < 0 ||
		(!descriptor_is_referrer(d) && manifest_check_image(&m, err) < 0))
		return err_wrap(err, "manifest %s", d->digest);
	add_blob(&p->blobs, &m.config);
	for (size_t i = 0; i < m.nlayers; i++)
		add_blob(&p->blobs, &m.layers[i]);
	return 0;
}

static int add_tree(struct pull *p, const struct descriptor *d, unsigned depth, struct err *err)
{
	auto_image_index idx = IMAGE_INDEX_INIT;
	auto_strbuf bytes = STRBUF_INIT;
	enum media_kind kind;

	if (depth > WALK_DEPTH_MAX || ++p->documents > WALK_MANIFESTS_MAX)
		return err_set(err, ERR_INPUT, "the index is nested deeper than %d or holds more than %d manifests",
			WALK_DEPTH_MAX, WALK_MANIFESTS_MAX);
	if (image_source_document(p->s, p->src, d, &bytes, err) < 0)
		return -1;
	if (document_guess(bytes.buf, bytes.len, d->media_type, &kind, err) < 0)
		return err_wrap(err, "%s", d->digest);
	if (kind == MEDIA_MANIFEST)
		return add_manifest(p, d, &bytes, err);
	if (index_parse(bytes.buf, bytes.len, d->media_type, &idx, err) < 0)
		return err_wrap(err, "index %s", d->digest);
	for (size_t i = 0; i < idx.n; i++) {
		kind = media_kind(idx.manifests[i].media_type);
		if ((kind == MEDIA_MANIFEST || kind == MEDIA_INDEX) &&
			add_tree(p, &idx.manifests[i], depth + 1, err) < 0)
			return -1;
	}
	return 0;
}

static int pull_all(struct session *s, struct image_found *f, unsigned vertex, struct err *err)
{
	struct pull p = { .s = s, .src = f->source };
	int rc = add_tree(&p, &f->top, 0, err);

	if (rc == 0)
		rc = image_source_need_all(s, f->source, p.blobs.v, p.blobs.len, vertex, err);
	blob_list_release(&p.blobs);
	return rc;
}

static int pull_platform(struct session *s, const char *name, struct image_found *f, const struct platform *platform,
	unsigned vertex, struct err *err)
{
	struct resolve_options o = { .platform = platform };
	AUTO(resolved_image_free) struct resolved_image *img = image_load(s, name, f, &o, err);
	int rc = img ? image_need_layers(s, img, vertex, err) : -1;

	if (img)
		f->source = take_ptr(img->source); /* for the next platform */
	return rc;
}

static int pull(struct session *s, const char *name, const struct platform *platforms, size_t n, unsigned vertex,
	char ret_digest[DIGEST_STR_SIZE], struct err *err)
{
	auto_image_found f = IMAGE_FOUND_INIT;

	if (image_find(s, name, true, false, &f, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (pull_platform(s, name, &f, &platforms[i], vertex, err) < 0)
			return -1;
	if (n == 0 && pull_all(s, &f, vertex, err) < 0)
		return -1;
	/* A name pinned by its digest may have been in the store already. */
	if (!f.remember && f.source->kind == SOURCE_REGISTRY)
		f.remember = reference_format(&f.source->ref);
	if (image_remember(s, &f, err) < 0)
		return -1;
	memcpy(ret_digest, f.top.digest, DIGEST_STR_SIZE);
	return 0;
}

int image_pull(struct session *s, const char *name, const struct platform *platforms, size_t n,
	char ret_digest[DIGEST_STR_SIZE], struct err *err)
{
	auto_free char *title = xasprintf("pulling %s", name);
	unsigned vertex = progress_start(s->progress, title);

	int rc = pull(s, name, platforms, n, vertex, ret_digest, err);

	if (rc < 0)
		err_wrap(err, "cannot pull '%s'", name);
	return image_vertex_end(s, vertex, rc, err);
}
