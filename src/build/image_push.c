/* whittle push: blobs, then manifests by digest, then the tag (spec/oci.md 4.4, 4.8). */
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/image_internal.h"
#include "build/parallel.h"
#include "registry/push.h"
#include "store/blob.h"
#include "store/image.h"

struct push {
	struct session *s;
	struct registry_client *client;
	const struct reference *ref;
	unsigned vertex;
	const struct blob_list *list;
	size_t *blobs; /* positions of what is not a document */
	size_t nblobs;
};

/* ---- what there is to push ---- */

/* Whether all of an index entry is in the store: 1, 0 with what is missing in *why, or -1 and *err. */
static int is_complete(struct session *s, const struct descriptor *d, struct err *why, struct err *err)
{
	auto_blob_list list = BLOB_LIST_INIT;

	*why = (struct err)ERR_INIT;
	if (walk_image(d, image_store_opener, s->store, &list, why) < 0) {
		if (why->kind == ERR_NOT_FOUND)
			return 0;
		*err = *why;
		return -1;
	}
	for (size_t i = 0; i < list.len; i++) {
		if (blob_has(s->store, list.v[i].digest, NULL))
			continue;
		err_set(why, ERR_NOT_FOUND, "no blob '%s' in the store", list.v[i].digest);
		return 0;
	}
	return 1;
}

static int incomplete(const char *name, const struct err *why, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "image '%s' is not whole: %s; 'whittle pull %s' completes it", name,
		why->msg, name);
}

/*
 * Leave out the platforms of which only the manifest, or not even that, is here: a registry takes no index with
 * missing children. *top becomes the index to push.
 */
static int reduce_index(struct session *s, const char *name, struct descriptor *top, struct err *err)
{
	auto_strbuf bytes = STRBUF_INIT;
	auto_image_index idx = IMAGE_INDEX_INIT;
	char digest[DIGEST_STR_SIZE];
	char platform[PLATFORM_STR_SIZE];
	struct err why;
	size_t images = 0;

	if (blob_read(s->store, top->digest, MANIFEST_BYTES_MAX, &bytes, err) < 0 ||
		index_parse(bytes.buf, bytes.len, top->media_type, &idx, err) < 0)
		return -1;
	for (size_t i = 0; i < idx.n;) {
		int rc = is_complete(s, &idx.manifests[i], &why, err);

		if (rc < 0)
			return -1;
		if (rc > 0) {
			images += !descriptor_is_referrer(&idx.manifests[i]);
			i++;
			continue;
		}
		platform_format(&idx.manifests[i].platform, platform);
		progress_note(s->progress, "not pushed: the %s%simage, which is not whole in this store", platform,
			*platform ? " " : "");
		index_remove(&idx, i);
	}
	if (!images)
		return incomplete(name, &why, err);
	strbuf_reset(&bytes);
	index_format(&idx, &bytes);
	if (blob_put(s->store, bytes.buf, bytes.len, digest, err) < 0)
		return -1;
	descriptor_release(top);
	descriptor_set(top, idx.media_type, digest, bytes.len);
	return 0;
}

/* Make of *top something that can be pushed. */
static int prepare(struct session *s, const char *name, struct descriptor *top, struct err *err)
{
	struct err why;
	int rc = is_complete(s, top, &why, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (media_kind(top->media_type) != MEDIA_INDEX || !blob_has(s->store, top->digest, NULL))
		return incomplete(name, &why, err);
	return reduce_index(s, name, top, err);
}

/* ---- pushing it ---- */

struct blob_transfer {
	const struct push *p;
	const struct descriptor *d;
};

static void show_transfer(void *arg, uint64_t done, uint64_t total)
{
	const struct blob_transfer *t = arg;

	progress_status(t->p->s->progress, t->p->vertex, t->d->digest, done, total);
}

static int push_blob(void *ctx, size_t i, struct err *err)
{
	struct push *p = ctx;
	const struct descriptor *d = &p->list->v[p->blobs[i]];
	struct blob_transfer transfer = { .p = p, .d = d };
	struct registry_progress progress = { .fn = show_transfer, .arg = &transfer };
	auto_fd int fd = blob_open(p->s->store, d->digest, NULL, err);

	if (fd < 0)
		return -1;
	return registry_push_blob(p->client, p->ref, d, fd, NULL, &progress, err);
}

static int push_document(struct push *p, const struct descriptor *d, const char *tag_or_digest, struct err *err)
{
	auto_strbuf bytes = STRBUF_INIT;

	if (blob_read(p->s->store, d->digest, MANIFEST_BYTES_MAX, &bytes, err) < 0)
		return -1;
	return registry_push_manifest(p->client, p->ref, tag_or_digest, d->media_type, bytes.buf, bytes.len, err);
}

static bool is_document(const struct descriptor *d)
{
	enum media_kind kind = media_kind(d->media_type);

	return kind == MEDIA_MANIFEST || kind == MEDIA_INDEX;
}

/* The list has documents after what they refer to, the top last. */
static int push_list(struct push *p, const struct descriptor *top, struct err *err)
{
	if (parallel_run(p->nblobs, IMAGE_TRANSFERS, push_blob, p, err) < 0)
		return -1;
	for (size_t i = 0; i < p->list->len; i++) {
		const struct descriptor *d = &p->list->v[i];

		if (is_document(d) && strcmp(d->digest, top->digest) != 0 && push_document(p, d, d->digest, err) < 0)
			return -1;
	}
	return push_document(p, top, NULL, err);
}

int image_push_tree(struct session *s, const struct descriptor *top, const struct reference *ref, unsigned vertex,
	struct err *err)
{
	auto_blob_list list = BLOB_LIST_INIT;
	auto_free size_t *blobs = NULL;
	struct push p = { .s = s, .ref = ref, .vertex = vertex, .list = &list };

	if (walk_image(top, image_store_opener, s->store, &list, err) < 0)
		return -1;
	p.client = session_client(s, err);
	if (!p.client)
		return -1;
	p.blobs = blobs = xcalloc(list.len + 1, sizeof(*blobs));
	for (size_t i = 0; i < list.len; i++)
		if (!is_document(&list.v[i]))
			blobs[p.nblobs++] = i;
	if (push_list(&p, top, err) == 0)
		return 0;
	/* What went wrong over there is not an image that is not here, nor a bad document of the user's. */
	if (err->kind == ERR_NETWORK || err->kind == ERR_NOT_FOUND || err->kind == ERR_INPUT ||
		err->kind == ERR_UNSUPPORTED || err->kind == ERR_CORRUPT)
		err->kind = ERR_PUSH;
	return -1;
}

/* ---- the command ---- */

/* By full name, else as it stands (an id, or the digest that a nameless image is kept under). */
static int find_image(struct session *s, const char *name, struct image *ret, struct err *err)
{
	auto_reference ref = REFERENCE_INIT;
	struct err e = ERR_INIT;
	auto_free char *full = NULL;

	if (reference_parse(name, &ref, &e) == 0) {
		full = reference_format(&ref);
		if (image_get(s->store, full, ret, &e) == 0)
			return 0;
		if (e.kind != ERR_NOT_FOUND) {
			*err = e;
			return -1;
		}
	}
	return image_lookup(s->store, name, ret, err);
}

/* Where to: a tag of a registry. */
static int target(const char *to, struct reference *ret, struct err *err)
{
	auto_reference ref = REFERENCE_INIT;
	enum transport t;
	auto_free char *rest = NULL;

	if (transport_parse(to, &t, &rest, err) < 0)
		return -1;
	if (t != TRANSPORT_REGISTRY)
		return err_set(err, ERR_UNSUPPORTED, "cannot push to '%s': only registries are pushed to; "
			"'whittle build -o type=oci' writes layouts", to);
	if (reference_parse(rest, &ref, err) < 0)
		return -1;
	if (ref.digest)
		return err_set(err, ERR_INPUT,
			"cannot push to '%s': name a tag, the digest follows from the image", to);
	reference_copy(&ref, ret);
	return 0;
}

static int push(struct session *s, const char *name, const struct reference *to, unsigned vertex,
	struct descriptor *top, struct err *err)
{
	if (prepare(s, name, top, err) == 0 && image_push_tree(s, top, to, vertex, err) == 0)
		return 0;
	return err_wrap(err, "cannot push '%s'", name);
}

int image_push(struct session *s, const char *name, const char *to, char ret_digest[DIGEST_STR_SIZE], struct err *err)
{
	auto_descriptor top = DESCRIPTOR_INIT;
	auto_reference ref = REFERENCE_INIT;
	auto_free char *title = NULL;
	struct image image;
	unsigned vertex;

	if (find_image(s, name, &image, err) < 0 || target(to ? to : image.name, &ref, err) < 0)
		return -1;
	descriptor_set(&top, image.media_type, image.digest, image.size);
	title = xasprintf("pushing %s", to ? to : name);
	vertex = progress_start(s->progress, title);
	if (image_vertex_end(s, vertex, push(s, name, &ref, vertex, &top, err), err) < 0)
		return -1;
	memcpy(ret_digest, top.digest, DIGEST_STR_SIZE);
	return 0;
}
