/* SHA-256 and digest strings (OCI image-spec, descriptor.md, "Digests"). */
#ifndef WHITTLE_BASE_DIGEST_H
#define WHITTLE_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32        /* bytes of a SHA-256 */
#define DIGEST_HEX 64         /* its hex digits */
#define DIGEST_STR_SIZE 72    /* "sha256:" + 64 + NUL */
#define DIGEST_PREFIX "sha256:"

struct sha256; /* a running hash */

/* A new running hash; never NULL. */
struct sha256 *sha256_new(void);
/* Add n bytes. */
void sha256_add(struct sha256 *h, const void *data, size_t n);
/* Write the digest and start anew: the object may be used again. */
void sha256_end(struct sha256 *h, uint8_t out[DIGEST_SIZE]);
/* The same as a string "sha256:<hex>". */
void sha256_end_str(struct sha256 *h, char out[DIGEST_STR_SIZE]);
/* Free; accepts NULL. */
void sha256_free(struct sha256 *h);
/* Hash one buffer. */
void sha256_buf(const void *data, size_t n, uint8_t out[DIGEST_SIZE]);
/* Hash one buffer into a digest string. */
void sha256_buf_str(const void *data, size_t n, char out[DIGEST_STR_SIZE]);

#define DIGEST_ANY_HEX_MAX 128 /* hex digits of the longest hash below */
/* Hex digits of the hash called algorithm ("sha256", "sha384", "sha512"); 0 for any other. */
size_t digest_hex_len(const char *algorithm);
/*
 * Hash the regular file fd from its start to its end. Returns 0 and lower-case hex digits, or -1 with errno set (EINVAL:
 * not one of these algorithms).
 */
int digest_file(int fd, const char *algorithm, char ret[DIGEST_ANY_HEX_MAX + 1]);

/* Whether s is exactly "sha256:" and 64 lower-case hex digits. */
bool digest_valid(const char *s);
/* The 64 hex digits of a valid digest string; points into it. */
const char *digest_hex(const char *s);
/* Digest bytes to "sha256:<hex>". */
void digest_format(const uint8_t d[DIGEST_SIZE], char out[DIGEST_STR_SIZE]);
/* A valid digest string to bytes. Returns 0, or -1 when s is not valid. */
int digest_parse(const char *s, uint8_t out[DIGEST_SIZE]);
/* n bytes to 2n lower-case hex digits and NUL. */
void hex_format(const uint8_t *d, size_t n, char *out);

#endif
