/* Descriptors (spec/oci.md 1.3). */
#ifndef WHITTLE_OCI_DESCRIPTOR_H
#define WHITTLE_OCI_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/doc.h"
#include "base/err.h"
#include "base/strv.h"
#include "oci/media.h"
#include "oci/platform.h"

#define ANNOTATION_REF_NAME "org.opencontainers.image.ref.name"
#define ANNOTATION_CREATED "org.opencontainers.image.created"
#define ANNOTATION_IMAGE_NAME "io.containerd.image.name"
#define ANNOTATION_REFERENCE_TYPE "vnd.docker.reference.type"
#define ANNOTATION_REFERENCE_DIGEST "vnd.docker.reference.digest"
#define ANNOTATION_SUBJECT "io.containerd.manifest.subject"
#define ANNOTATION_ZSTD "io.github.containers.compression.zstd"

#define ANNOTATIONS_MAX 1024		   /* keys of one object (oci.md appendix A) */
#define ANNOTATIONS_BYTES_MAX (256 * 1024) /* keys and values of one object (same) */
#define DESCRIPTOR_DATA_MAX (64 * 1024)	   /* bytes of embedded content (oci.md 1.3) */
#define DESCRIPTOR_URLS_MAX 64		   /* ours: nobody writes more than a few */

struct descriptor {
	char *media_type;	      /* never NULL after a parse */
	char digest[DIGEST_STR_SIZE]; /* valid sha256 */
	uint64_t size;		      /* bytes of the stored object, at most 2^63 - 1 */
	struct strv urls;	      /* kept, never contacted (oci.md 1.3) */
	struct strv annotations;  /* key, value, key, value ..., sorted by key bytes, keys unique */
	char *data;		  /* embedded content as base64 text, verified; or NULL */
	struct platform platform; /* as written, not normalised; only if has_platform */
	bool has_platform;
	char *artifact_type; /* or NULL */
};
#define DESCRIPTOR_INIT                                                                            \
	{                                                                                          \
		.media_type = NULL                                                                 \
	}

/*
 * Read a descriptor out of a document.
 *
 *   what  names it in messages ("layers[3]")
 *
 * Returns 0 and *ret owned by the caller (descriptor_release); or -1 and *err, *ret untouched:
 *   ERR_INPUT        missing or malformed property, over a limit, names that collide (oci.md 1.1.2)
 *   ERR_UNSUPPORTED  a valid digest of an algorithm other than sha256
 *   ERR_CORRUPT      data does not have the stated size and digest
 */
int descriptor_parse(
	const struct doc *d, const char *what, struct descriptor *ret, struct err *err);
/* The descriptor as a new document in P order (oci.md 1.3); the caller owns it. */
struct doc *descriptor_format(const struct descriptor *d);
/* Make *ret a deep copy; what *ret held before is lost. */
void descriptor_copy(const struct descriptor *d, struct descriptor *ret);
/* Free the parts; usable on DESCRIPTOR_INIT and twice. */
void descriptor_release(struct descriptor *d);
/* Set media type, digest and size, for a descriptor of content that we made; *d must be
 * DESCRIPTOR_INIT. */
void descriptor_set(
	struct descriptor *d, const char *media_type, const char *digest, uint64_t size);
/* The descriptor of n bytes in memory; *d must be DESCRIPTOR_INIT. */
void descriptor_of_bytes(struct descriptor *d, const char *media_type, const void *data, size_t n);
/* The value of an annotation, or NULL; owned by d. */
const char *descriptor_annotation(const struct descriptor *d, const char *key);
/* Whether this index entry describes another one (attestation, signature) and is no image of its
 * own (oci.md 1.7.5, 3.1). */
bool descriptor_is_referrer(const struct descriptor *d);

/* Pairs: a list key, value, key, value ... sorted by the bytes of the key: labels, annotations. */

/* The value of key, or NULL; owned by the list. */
const char *pairs_get(const struct strv *pairs, const char *key);
/* Set key to value, keeping the order. */
void pairs_set(struct strv *pairs, const char *key, const char *value);
/* Remove key if it is there. */
void pairs_del(struct strv *pairs, const char *key);
/*
 * Read an object of strings into *ret (empty before; to be released by the caller also on failure);
 * NULL gives no pairs. Returns 0, or -1 and ERR_INPUT: not an object, a value that is no string, an
 * empty key, over ANNOTATIONS_MAX or ANNOTATIONS_BYTES_MAX.
 */
int pairs_parse(const struct doc *d, const char *what, struct strv *ret, struct err *err);
/* A new object of the pairs, or NULL when there are none. */
struct doc *pairs_format(const struct strv *pairs);

#endif
