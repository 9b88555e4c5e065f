#include "base/text_internal.h"

#include <stdbool.h>
#include <string.h>

/* "\xNN" */
#define ESCAPE_LEN 4

static bool is_continuation(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

/* Length announced by a lead byte, and in *min and *max what the second byte may be. */
static size_t lead_length(unsigned char c, unsigned char *min, unsigned char *max)
{
	*min = 0x80;
	*max = 0xBF;
	if (c < 0x80)
		return 1;
	if (c >= 0xC2 && c <= 0xDF)
		return 2;
	if (c >= 0xE0 && c <= 0xEF) {
		if (c == 0xE0)
			*min = 0xA0; /* below is overlong */
		if (c == 0xED)
			*max = 0x9F; /* above are the surrogates */
		return 3;
	}
	if (c >= 0xF0 && c <= 0xF4) {
		if (c == 0xF0)
			*min = 0x90; /* below is overlong */
		if (c == 0xF4)
			*max = 0x8F; /* above is over U+10FFFF */
		return 4;
	}
	return 0;
}

size_t utf8_sequence(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	unsigned char min, max;
	size_t len;

	if (n == 0)
		return 0;
	len = lead_length(u[0], &min, &max);
	if (len == 0 || len > n)
		return 0;
	if (len > 1 && (u[1] < min || u[1] > max))
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (!is_continuation(u[i]))
			return 0;
	}
	return len;
}

/* Whether the sequence of len bytes at s would do something to a terminal. */
static bool is_control(const char *s, size_t len)
{
	unsigned char c = (unsigned char)s[0];

	if (len == 1)
		return c < 0x20 || c == 0x7F;
	/* U+0080 to U+009F: some terminals obey them, U+009B is a whole CSI */
	return len == 2 && c == 0xC2 && (unsigned char)s[1] < 0xA0;
}

size_t text_escape(char *dst, size_t size, const char *src)
{
	static const char hex[] = "0123456789abcdef";
	size_t left = strlen(src);
	size_t out = 0;

	while (left > 0) {
		size_t len = utf8_sequence(src, left);
		bool escape = len == 0 || is_control(src, len);

		if (len == 0)
			len = 1;
		if ((escape ? len * ESCAPE_LEN : len) >= size - out)
			break;
		for (size_t i = 0; i < len; i++) {
			unsigned char c = (unsigned char)src[i];

			if (escape) {
				dst[out++] = '\\';
				dst[out++] = 'x';
				dst[out++] = hex[c >> 4];
				dst[out++] = hex[c & 15];
			} else {
				dst[out++] = src[i];
			}
		}
		src += len;
		left -= len;
	}
	dst[out] = '\0';
	return out;
}
