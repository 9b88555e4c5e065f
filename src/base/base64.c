#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const char *data, size_t n, struct strbuf *out)
{
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)(uint8_t)data[i] << 16;

		v |= left > 1 ? (uint32_t)(uint8_t)data[i + 1] << 8 : 0;
		v |= left > 2 ? (uint32_t)(uint8_t)data[i + 2] : 0;
		strbuf_putc(out, base64_digits[v >> 18]);
		strbuf_putc(out, base64_digits[v >> 12 & 63]);
		strbuf_putc(out, left > 1 ? base64_digits[v >> 6 & 63] : '=');
		strbuf_putc(out, left > 2 ? base64_digits[v & 63] : '=');
	}
}

int base64_decode(const char *s, struct strbuf *out)
{
	size_t n = strlen(s);

	if (n % 4 != 0)
		return -1;
	for (size_t i = 0; i < n; i += 4) {
		uint32_t v = 0;
		size_t digits = 4;

		if (i + 4 == n)
			digits = s[n - 2] == '=' ? 2 : s[n - 1] == '=' ? 3 : 4;
		for (size_t j = 0; j < 4; j++) {
			const char *at = j < digits ? strchr(base64_digits, s[i + j]) : NULL;

			if (j < digits && (!at || !*at))
				return -1;
			if (j >= digits && s[i + j] != '=')
				return -1;
			v = v << 6 | (at ? (uint32_t)(at - base64_digits) : 0);
		}
		for (size_t j = 0; j + 1 < digits; j++)
			strbuf_putc(out, (char)(v >> (16 - 8 * j) & 255));
	}
	return 0;
}
