/* What the files about images share: where blobs come from, and finding the top descriptor of a name. */
#ifndef WHITTLE_BUILD_IMAGE_INTERNAL_H
#define WHITTLE_BUILD_IMAGE_INTERNAL_H

#include <pthread.h>

#include "base/auto.h"
#include "build/image.h"
#include "oci/descriptor.h"
#include "oci/image_archive.h"
#include "oci/index.h"
#include "oci/layout.h"
#include "oci/walk.h"

/* Blobs of one image under way at once: what registries bear from one client (spec/oci.md 4.8). */
#define IMAGE_TRANSFERS 4

enum source_kind {
	SOURCE_STORE, /* nothing but the store: what is missing there is missing */
	SOURCE_REGISTRY,
	SOURCE_LAYOUT,
	SOURCE_ARCHIVE,
};

struct image_source {
	enum source_kind kind;
	struct reference ref;          /* SOURCE_REGISTRY */
	struct layout *layout;         /* SOURCE_LAYOUT */
	struct image_archive *archive; /* SOURCE_ARCHIVE */
	pthread_mutex_t lock;          /* guards what follows */
	pthread_cond_t fetched;
	char (*busy)[DIGEST_STR_SIZE]; /* digests that a thread is fetching */
	size_t nbusy, busy_cap;
};

DEFINE_AUTO(struct resolved_image *, resolved_image_free)
DEFINE_AUTO(struct doc *, doc_free)

static inline void auto_descriptor_release(struct descriptor *d)
{
	descriptor_release(d);
}
#define auto_descriptor __attribute__((cleanup(auto_descriptor_release))) struct descriptor

static inline void auto_reference_release(struct reference *ref)
{
	reference_release(ref);
}
#define auto_reference __attribute__((cleanup(auto_reference_release))) struct reference

static inline void auto_manifest_release(struct manifest *m)
{
	manifest_release(m);
}
#define auto_manifest __attribute__((cleanup(auto_manifest_release))) struct manifest

static inline void auto_image_index_release(struct image_index *idx)
{
	index_release(idx);
}
#define auto_image_index __attribute__((cleanup(auto_image_index_release))) struct image_index

static inline void auto_image_config_release(struct image_config *c)
{
	config_release(c);
}
#define auto_image_config __attribute__((cleanup(auto_image_config_release))) struct image_config

static inline void auto_blob_list_release(struct blob_list *l)
{
	blob_list_release(l);
}
#define auto_blob_list __attribute__((cleanup(auto_blob_list_release))) struct blob_list

/* A new source that knows the store alone; never NULL. The caller sets kind and what belongs to it. */
struct image_source *image_source_new(void);
/* Free, and close what it holds open; accepts NULL. */
void image_source_free(struct image_source *src);
DEFINE_AUTO(struct image_source *, image_source_free)

/*
 * See to it that the blob, manifest or index of d is in the store, verified. Any number of threads may ask for one
 * digest; it is fetched once. Progress shows at vertex under the digest.
 * Returns 0, or -1 and *err: ERR_NOT_FOUND, ERR_DENIED, ERR_NETWORK, ERR_CORRUPT, ERR_CANCELLED, ERR_SYSTEM, ERR_DISK.
 * Nothing is stored then.
 */
int image_source_need(struct session *s, struct image_source *src, const struct descriptor *d, unsigned vertex,
	struct err *err);
/* The same for n blobs, IMAGE_TRANSFERS at once. */
int image_source_need_all(struct session *s, struct image_source *src, const struct descriptor *d, size_t n,
	unsigned vertex, struct err *err);
/* image_source_need() of a manifest or index, and its bytes. ERR_INPUT also when it is over MANIFEST_BYTES_MAX. */
int image_source_document(struct session *s, struct image_source *src, const struct descriptor *d,
	struct strbuf *ret, struct err *err);

/* blob_open() as a blob_opener; ctx is the struct store. */
int image_store_opener(void *ctx, const char *digest, uint64_t *ret_size, struct err *err);
/* Describe bytes that are in the store, by what the document says of itself; declared may be NULL.
 * *ret must be DESCRIPTOR_INIT. Returns 0, or -1 and *err as document_open(). */
int image_describe(const void *data, size_t n, const char *declared, struct descriptor *ret, struct err *err);

struct image_found {
	struct image_source *source;
	struct descriptor top; /* DESCRIPTOR_INIT */
	char *remember;        /* full name to put into the store once the image is complete; or NULL */
};
#define IMAGE_FOUND_INIT { .top = DESCRIPTOR_INIT }

/* Free the parts. */
void image_found_release(struct image_found *f);
static inline void auto_image_found_release(struct image_found *f)
{
	image_found_release(f);
}
#define auto_image_found __attribute__((cleanup(auto_image_found_release))) struct image_found

/*
 * Find what name means, of any transport. For a reference: the store unless always_pull, then the registry; ids
 * of the store too when ids is set. Returns 0 and *ret (IMAGE_FOUND_INIT before), or -1 and *err.
 */
int image_find(struct session *s, const char *name, bool always_pull, bool ids, struct image_found *ret,
	struct err *err);
/* Let the found image be remembered by its name, if there is one to remember. */
int image_remember(struct session *s, const struct image_found *f, struct err *err);
/*
 * Read the image behind f for a platform. Takes over f->source. Returns the image, owned by the caller, or NULL
 * and *err.
 */
struct resolved_image *image_load(struct session *s, const char *name, struct image_found *f,
	const struct resolve_options *options, struct err *err);

/*
 * Bring an image of a docker-archive into the store under a manifest of our own. name selects among RepoTags, or NULL.
 * Returns 0 and *ret (DESCRIPTOR_INIT before), or -1 and *err: as image_archive_docker_select(), ERR_CORRUPT (a layer
 * does not have its diffID), and what unpacking raises.
 */
int image_from_docker_archive(struct session *s, const struct image_archive *a, const char *name,
	struct descriptor *ret, struct err *err);

/*
 * Push the image top, all of which is in the store, to ref. Shows at vertex.
 * Returns 0, or -1 and *err as image_push().
 */
int image_push_tree(struct session *s, const struct descriptor *top, const struct reference *ref, unsigned vertex,
	struct err *err);

/* End a step of the progress by how it went: PROGRESS_DONE, or PROGRESS_ERROR with the message. Returns rc. */
int image_vertex_end(struct session *s, unsigned vertex, int rc, const struct err *err);

/* The platform as it is written into configs and indexes that we make: normal form (dockerfile.md 6.2). */
void image_platform(const struct platform *from, struct platform *ret);

#endif
