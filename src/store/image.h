/* Images by name: a full reference text to the descriptor of its manifest or index. */
#ifndef WHITTLE_STORE_IMAGE_H
#define WHITTLE_STORE_IMAGE_H

#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

struct store;

#define IMAGE_NAME_MAX 511         /* bytes: 255 of name, 128 of tag, a digest, and room to spare */
#define IMAGE_ID_PREFIX_MIN 6      /* hex digits: fewer are more likely a name typed wrong */
#define IMAGE_MEDIA_TYPE_SIZE 256  /* RFC 6838: 127 + 1 + 127 and NUL */

struct image {
	char name[IMAGE_NAME_MAX + 1];
	char media_type[IMAGE_MEDIA_TYPE_SIZE]; /* of the manifest or index */
	char digest[DIGEST_STR_SIZE];           /* of the manifest or index: the image's id */
	uint64_t size;                          /* bytes of the manifest or index */
	int64_t updated;                        /* since when the name means it; seconds */
};

/*
 * Let name (a full reference text: printable, no white space, at most IMAGE_NAME_MAX bytes) mean
 * this descriptor, whatever it meant before. The blobs are committed already. Writes nothing when
 * it is so already.
 * Returns 0, or -1 and *err: ERR_INPUT (malformed), ERR_SYSTEM, ERR_DISK, ERR_CORRUPT (meta.db).
 */
int image_put(struct store *store, const char *name, const char *media_type, const char *digest,
	uint64_t size, struct err *err);

/*
 * The image with exactly this name. Returns 0, or -1 and *err: ERR_NOT_FOUND, ERR_SYSTEM,
 * ERR_CORRUPT.
 */
int image_get(struct store *store, const char *name, struct image *ret, struct err *err);

/*
 * The image that a person means: by exact name, else by id: IMAGE_ID_PREFIX_MIN or more hex digits,
 * with or without "sha256:" in front. An id with several names gives the first by name.
 * Returns 0, or -1 and *err: ERR_NOT_FOUND, ERR_INPUT (several ids begin so), ERR_SYSTEM,
 * ERR_CORRUPT.
 */
int image_lookup(struct store *store, const char *text, struct image *ret, struct err *err);

/*
 * Call each(image, arg) for every image, sorted by name. each may use the store; a return other
 * than 0 ends the walk and is returned. Otherwise returns 0, or -1 and *err: ERR_SYSTEM,
 * ERR_CORRUPT (meta.db).
 */
int image_each(struct store *store,
	int (*each)(const struct image *image, void *arg, struct err *err), void *arg,
	struct err *err);

/*
 * Forget a name; blobs stay until gc_run(). Returns 0, or -1 and *err: ERR_NOT_FOUND, ERR_SYSTEM,
 * ERR_DISK,
 * ERR_CORRUPT.
 */
int image_remove(struct store *store, const char *name, struct err *err);

#endif
