#include "base/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * The plain functions, not EVP: they need no provider, no configuration file and no fetch (4 ms at the start of
 * every command), they use the processor's SHA instructions all the same, and a static link takes 40 KB of libcrypto
 * instead of all of it. OpenSSL 3 calls them deprecated, and keeps them.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "base/auto.h"
#include "base/mem.h"

struct sha256 {
	SHA256_CTX ctx;
};

struct sha256 *sha256_new(void)
{
	struct sha256 *h = xcalloc(1, sizeof(*h));

	SHA256_Init(&h->ctx);
	return h;
}

void sha256_add(struct sha256 *h, const void *data, size_t n)
{
	SHA256_Update(&h->ctx, data, n);
}

void sha256_end(struct sha256 *h, uint8_t out[DIGEST_SIZE])
{
	SHA256_Final(out, &h->ctx);
	SHA256_Init(&h->ctx);
}

void sha256_end_str(struct sha256 *h, char out[DIGEST_STR_SIZE])
{
	uint8_t d[DIGEST_SIZE];

	sha256_end(h, d);
	digest_format(d, out);
}

void sha256_free(struct sha256 *h)
{
	free(h);
}

void sha256_buf(const void *data, size_t n, uint8_t out[DIGEST_SIZE])
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data, n);
	SHA256_Final(out, &ctx);
}

void sha256_buf_str(const void *data, size_t n, char out[DIGEST_STR_SIZE])
{
	uint8_t d[DIGEST_SIZE];

	sha256_buf(data, n, d);
	digest_format(d, out);
}

/* Value of a lower-case hex digit, or -1: upper case is refused, not folded. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool digest_valid(const char *s)
{
	uint8_t ignored[DIGEST_SIZE];

	return digest_parse(s, ignored) == 0;
}

const char *digest_hex(const char *s)
{
	return s + sizeof(DIGEST_PREFIX) - 1;
}

void digest_format(const uint8_t d[DIGEST_SIZE], char out[DIGEST_STR_SIZE])
{
	memcpy(out, DIGEST_PREFIX, sizeof(DIGEST_PREFIX) - 1);
	hex_format(d, DIGEST_SIZE, out + sizeof(DIGEST_PREFIX) - 1);
}

int digest_parse(const char *s, uint8_t out[DIGEST_SIZE])
{
	uint8_t d[DIGEST_SIZE];
	const char *p;

	if (!s || strncmp(s, DIGEST_PREFIX, sizeof(DIGEST_PREFIX) - 1) != 0)
		return -1;
	p = digest_hex(s);
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		int high = hex_value(p[2 * i]);
		int low = high < 0 ? -1 : hex_value(p[2 * i + 1]); /* not past the NUL */

		if (low < 0)
			return -1;
		d[i] = (uint8_t)(high << 4 | low);
	}
	if (p[DIGEST_HEX] != '\0')
		return -1;
	memcpy(out, d, sizeof(d));
	return 0;
}

void hex_format(const uint8_t *d, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[d[i] >> 4];
		out[2 * i + 1] = digits[d[i] & 15];
	}
	out[2 * n] = '\0';
}

/* ---- other algorithms, of whole files ---- */

#define FILE_BLOCK ((size_t)64 << 10)

size_t digest_hex_len(const char *algorithm)
{
	if (strcmp(algorithm, "sha256") == 0)
		return SHA256_DIGEST_LENGTH * 2;
	if (strcmp(algorithm, "sha384") == 0)
		return SHA384_DIGEST_LENGTH * 2;
	return strcmp(algorithm, "sha512") == 0 ? SHA512_DIGEST_LENGTH * 2 : 0;
}

int digest_file(int fd, const char *algorithm, char ret[DIGEST_ANY_HEX_MAX + 1])
{
	size_t len = digest_hex_len(algorithm) / 2;
	auto_free unsigned char *block = xmalloc(FILE_BLOCK);
	unsigned char out[SHA512_DIGEST_LENGTH];
	SHA256_CTX small;
	SHA512_CTX large;
	off_t at = 0;
	ssize_t n;

	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	SHA256_Init(&small);
	(void)(len == SHA384_DIGEST_LENGTH ? SHA384_Init(&large) : SHA512_Init(&large));
	while ((n = pread(fd, block, FILE_BLOCK, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (len == SHA256_DIGEST_LENGTH)
			SHA256_Update(&small, block, (size_t)n);
		else
			SHA512_Update(&large, block, (size_t)n);
		at += n;
	}
	if (len == SHA256_DIGEST_LENGTH)
		SHA256_Final(out, &small);
	else if (len == SHA384_DIGEST_LENGTH)
		SHA384_Final(out, &large);
	else
		SHA512_Final(out, &large);
	hex_format(out, len, ret);
	return 0;
}
