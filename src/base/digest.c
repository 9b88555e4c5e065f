#include "base/digest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "base/mem_internal.h"

struct sha256 {
	EVP_MD_CTX *ctx;
};

/* Fetching looks through OpenSSL's providers, which costs more than hashing a small blob: once. */
static pthread_once_t md_once = PTHREAD_ONCE_INIT;
static EVP_MD *md;

static void md_fetch(void)
{
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static void start(struct sha256 *h)
{
	if (EVP_DigestInit_ex2(h->ctx, md, NULL) != 1)
		mem_abort("libcrypto cannot start a SHA-256");
}

struct sha256 *sha256_new(void)
{
	struct sha256 *h = xcalloc(1, sizeof(*h));

	pthread_once(&md_once, md_fetch);
	if (!md)
		mem_abort("libcrypto has no SHA-256: its configuration is broken");
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx)
		mem_abort("out of memory");
	start(h);
	return h;
}

void sha256_add(struct sha256 *h, const void *data, size_t n)
{
	if (EVP_DigestUpdate(h->ctx, data, n) != 1)
		mem_abort("libcrypto cannot hash");
}

void sha256_end(struct sha256 *h, uint8_t out[DIGEST_SIZE])
{
	if (EVP_DigestFinal_ex(h->ctx, out, NULL) != 1)
		mem_abort("libcrypto cannot end a SHA-256");
	start(h);
}

void sha256_end_str(struct sha256 *h, char out[DIGEST_STR_SIZE])
{
	uint8_t d[DIGEST_SIZE];

	sha256_end(h, d);
	digest_format(d, out);
}

void sha256_free(struct sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void sha256_buf(const void *data, size_t n, uint8_t out[DIGEST_SIZE])
{
	struct sha256 *h = sha256_new();

	sha256_add(h, data, n);
	if (EVP_DigestFinal_ex(h->ctx, out, NULL) != 1)
		mem_abort("libcrypto cannot end a SHA-256");
	sha256_free(h);
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
