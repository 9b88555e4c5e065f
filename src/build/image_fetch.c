/* Where the blobs of an image come from, and bringing them into the store. */
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/image_internal.h"
#include "build/parallel.h"
#include "registry/pull.h"
#include "store/blob.h"

struct image_source *image_source_new(void)
{
	struct image_source *src = xcalloc(1, sizeof(*src));

	pthread_mutex_init(&src->lock, NULL);
	pthread_cond_init(&src->fetched, NULL);
	return src;
}

void image_source_free(struct image_source *src)
{
	if (!src)
		return;
	reference_release(&src->ref);
	layout_free(src->layout);
	image_archive_free(src->archive);
	free(src->busy);
	pthread_cond_destroy(&src->fetched);
	pthread_mutex_destroy(&src->lock);
	free(src);
}

/* Wait until no other thread is fetching this digest, and say that this one is. */
static void claim(struct image_source *src, const char *digest)
{
	pthread_mutex_lock(&src->lock);
	for (size_t i = 0; i < src->nbusy; i++) {
		if (strcmp(src->busy[i], digest) != 0)
			continue;
		pthread_cond_wait(&src->fetched, &src->lock);
		i = (size_t)-1;
	}
	GROW(src->busy, src->nbusy, src->busy_cap);
	memcpy(src->busy[src->nbusy++], digest, DIGEST_STR_SIZE);
	pthread_mutex_unlock(&src->lock);
}

static void release(struct image_source *src, const char *digest)
{
	pthread_mutex_lock(&src->lock);
	for (size_t i = 0; i < src->nbusy; i++) {
		if (strcmp(src->busy[i], digest) != 0)
			continue;
		src->nbusy--;
		if (i < src->nbusy)
			memcpy(src->busy[i], src->busy[src->nbusy], DIGEST_STR_SIZE);
		break;
	}
	pthread_cond_broadcast(&src->fetched);
	pthread_mutex_unlock(&src->lock);
}

static bool is_document(const struct descriptor *d)
{
	enum media_kind kind = media_kind(d->media_type);

	return kind == MEDIA_MANIFEST || kind == MEDIA_INDEX;
}

/* Manifests have an address of their own in a registry. */
static int fetch_document(struct session *s, struct image_source *src, const struct descriptor *d, struct err *err)
{
	auto_strbuf body = STRBUF_INIT;
	auto_free char *type = NULL;
	char digest[DIGEST_STR_SIZE];
	struct registry_client *client = session_client(s, err);

	if (!client || registry_get_manifest(client, &src->ref, d->digest, &body, &type, digest, err) < 0)
		return -1;
	if (body.len != d->size)
		return err_set(err, ERR_CORRUPT, "%s has %zu bytes, but its descriptor says %llu", d->digest,
			body.len, (unsigned long long)d->size);
	return blob_put(s->store, body.buf, body.len, digest, err);
}

struct transfer {
	struct session *s;
	const struct descriptor *d;
	unsigned vertex;
};

static void show_transfer(void *arg, uint64_t done, uint64_t total)
{
	const struct transfer *t = arg;

	progress_status(t->s->progress, t->vertex, t->d->digest, done, total);
}

static int copy_blob(struct session *s, struct image_source *src, const struct descriptor *d, unsigned vertex, int fd,
	struct err *err)
{
	struct transfer t = { .s = s, .d = d, .vertex = vertex };
	struct registry_progress progress = { .fn = show_transfer, .arg = &t };
	struct registry_client *client;
	int rc;

	if (src->kind == SOURCE_REGISTRY) {
		client = session_client(s, err);
		return client ? registry_get_blob(client, &src->ref, d, fd, vertex ? &progress : NULL, err) : -1;
	}
	if (src->kind == SOURCE_LAYOUT)
		rc = walk_copy(d, layout_blob_opener, src->layout, fd, err);
	else
		rc = walk_copy(d, image_archive_blob_opener, src->archive, fd, err);
	if (rc == 0 && vertex)
		progress_status(s->progress, vertex, d->digest, d->size, d->size);
	return rc;
}

static int fetch(struct session *s, struct image_source *src, const struct descriptor *d, unsigned vertex,
	struct err *err)
{
	auto_free char *name = NULL;
	auto_fd int fd = -1;

	if (s->cancelled)
		return err_set(err, ERR_CANCELLED, "interrupted");
	if (src->kind == SOURCE_STORE)
		return err_set(err, ERR_NOT_FOUND, "%s %s of the image is not in the store",
			media_kind_name(media_kind(d->media_type)), d->digest);
	if (src->kind == SOURCE_REGISTRY && is_document(d))
		return fetch_document(s, src, d, err);
	fd = blob_create(s->store, &name, err);
	if (fd < 0)
		return -1;
	if (copy_blob(s, src, d, vertex, fd, err) < 0 ||
		blob_commit(s->store, fd, name, d->digest, d->size, err) < 0) {
		blob_abort(s->store, name);
		return -1;
	}
	return 0;
}

/* One of another size is the work of a power cut, or not what d means: it is fetched, verified and replaced. */
static bool have(const struct session *s, const struct descriptor *d)
{
	uint64_t size;

	return blob_has(s->store, d->digest, &size) && size == d->size;
}

int image_source_need(struct session *s, struct image_source *src, const struct descriptor *d, unsigned vertex,
	struct err *err)
{
	int rc = 0;

	if (have(s, d))
		return 0;
	claim(src, d->digest);
	if (!have(s, d)) /* another thread may have been at it */
		rc = fetch(s, src, d, vertex, err);
	release(src, d->digest);
	return rc;
}

struct need_all {
	struct session *s;
	struct image_source *src;
	const struct descriptor *d;
	unsigned vertex;
};

static int need_one(void *ctx, size_t i, struct err *err)
{
	struct need_all *w = ctx;

	return image_source_need(w->s, w->src, &w->d[i], w->vertex, err);
}

int image_source_need_all(struct session *s, struct image_source *src, const struct descriptor *d, size_t n,
	unsigned vertex, struct err *err)
{
	struct need_all w = { .s = s, .src = src, .d = d, .vertex = vertex };
	bool missing = false;

	for (size_t i = 0; i < n && !missing; i++)
		missing = !have(s, &d[i]);
	/* The client is made, and the holder forked, before there are threads. */
	if (missing && src->kind == SOURCE_REGISTRY && !session_client(s, err))
		return -1;
	return parallel_run(n, missing ? IMAGE_TRANSFERS : 1, need_one, &w, err);
}

int image_source_document(struct session *s, struct image_source *src, const struct descriptor *d,
	struct strbuf *ret, struct err *err)
{
	if (d->size > MANIFEST_BYTES_MAX)
		return err_set(err, ERR_INPUT, "%s %s has %llu bytes, more than %d",
			media_kind_name(media_kind(d->media_type)), d->digest, (unsigned long long)d->size,
			MANIFEST_BYTES_MAX);
	if (image_source_need(s, src, d, 0, err) < 0)
		return -1;
	return blob_read(s->store, d->digest, MANIFEST_BYTES_MAX, ret, err);
}

int image_store_opener(void *ctx, const char *digest, uint64_t *ret_size, struct err *err)
{
	return blob_open(ctx, digest, ret_size, err);
}

int image_describe(const void *data, size_t n, const char *declared, struct descriptor *ret, struct err *err)
{
	enum media_kind kind;
	auto_free char *type = NULL;
	AUTO(doc_free) struct doc *d = document_open(data, n, declared, &kind, &type, err);

	if (!d)
		return -1;
	descriptor_of_bytes(ret, type, data, n);
	return 0;
}

int image_vertex_end(struct session *s, unsigned vertex, int rc, const struct err *err)
{
	if (rc < 0)
		progress_emit(s->progress, PROGRESS_ERROR, vertex, err->msg, strlen(err->msg));
	else
		progress_emit(s->progress, PROGRESS_DONE, vertex, NULL, 0);
	return rc;
}

void image_platform(const struct platform *from, struct platform *ret)
{
	*ret = *from;
	platform_normalize(ret);
}
