#include "dockerfile/chars.h"

#include <string.h>

#include "dockerfile/chars_internal.h"

uint32_t chars_decode(const char *s, size_t n, size_t *ret_width)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char lead = (unsigned char)s[0];
	size_t width = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
	uint32_t cp;

	*ret_width = 1;
	if (lead < 0x80)
		return lead;
	if (lead < 0xC2 || lead > 0xF4 || width > n)
		return CHARS_INVALID + lead;

	cp = lead & (0x7Fu >> width);
	for (size_t i = 1; i < width; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c & 0xC0) != 0x80)
			return CHARS_INVALID + lead;
		cp = cp << 6 | (c & 0x3F);
	}
	if (cp < smallest[width] || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
		return CHARS_INVALID + lead;
	*ret_width = width;
	return cp;
}

void chars_encode(struct strbuf *sb, uint32_t cp)
{
	char out[4];
	size_t n = 0;

	if (cp >= CHARS_INVALID) {
		out[n++] = (char)(cp - CHARS_INVALID);
	} else if (cp < 0x80) {
		out[n++] = (char)cp;
	} else if (cp < 0x800) {
		out[n++] = (char)(0xC0 | cp >> 6);
		out[n++] = (char)(0x80 | (cp & 0x3F));
	} else if (cp < 0x10000) {
		out[n++] = (char)(0xE0 | cp >> 12);
		out[n++] = (char)(0x80 | (cp >> 6 & 0x3F));
		out[n++] = (char)(0x80 | (cp & 0x3F));
	} else {
		out[n++] = (char)(0xF0 | cp >> 18);
		out[n++] = (char)(0x80 | (cp >> 12 & 0x3F));
		out[n++] = (char)(0x80 | (cp >> 6 & 0x3F));
		out[n++] = (char)(0x80 | (cp & 0x3F));
	}
	strbuf_add(sb, out, n);
}

size_t chars_space(const char *s, size_t n)
{
	unsigned char lead;
	uint32_t cp;
	size_t width;

	if (n == 0)
		return 0;
	lead = (unsigned char)s[0];
	if (lead < 0x80)
		return lead == ' ' || (lead >= '\t' && lead <= '\r');
	if (lead != 0xC2 && lead != 0xE1 && lead != 0xE2 && lead != 0xE3)
		return 0;

	cp = chars_decode(s, n, &width);
	if (cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) ||
		cp == 0x2028 || cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000)
		return width;
	return 0;
}

void chars_trim(const char **s, size_t *n)
{
	size_t width;

	while ((width = chars_space(*s, *n)) > 0) {
		*s += width;
		*n -= width;
	}
	/* From the end: a space is one byte, or two or three that begin with a lead byte. */
	while (*n > 0) {
		for (width = 1; width <= 3 && width <= *n; width++)
			if (chars_space(*s + *n - width, width) == width)
				break;
		if (width > 3 || width > *n)
			return;
		*n -= width;
	}
}

static bool in_ranges(uint32_t cp, const struct range *ranges, size_t n)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cp > ranges[mid].last)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && cp >= ranges[low].first;
}

bool chars_is_letter(uint32_t cp)
{
	if (cp < 0x80)
		return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z');
	return in_ranges(cp, letters, sizeof(letters) / sizeof(letters[0]));
}

bool chars_is_digit(uint32_t cp)
{
	if (cp < 0x80)
		return cp >= '0' && cp <= '9';
	return in_ranges(cp, digits, sizeof(digits) / sizeof(digits[0]));
}

static void quote_one(struct strbuf *sb, const char *s, size_t width, uint32_t cp)
{
	static const char named[] = "abtnvfr"; /* \a is 7, \r is 13 */

	if (cp == '"' || cp == '\\')
		strbuf_printf(sb, "\\%c", (int)cp);
	else if (cp >= 7 && cp <= 13)
		strbuf_printf(sb, "\\%c", named[cp - 7]);
	else if (cp < 0x20 || cp == 0x7F)
		strbuf_printf(sb, "\\x%02x", (unsigned)cp);
	else if (cp >= CHARS_INVALID)
		strbuf_printf(sb, "\\x%02x", (unsigned)(cp - CHARS_INVALID));
	else if ((cp >= 0x80 && cp <= 0xA0) || (cp >= 0x80 && chars_space(s, width)))
		strbuf_printf(sb, "\\u%04x", (unsigned)cp);
	else
		strbuf_add(sb, s, width);
}

const char *chars_quote(char out[CHARS_QUOTE_SIZE], const char *s, size_t n)
{
	auto_strbuf sb = STRBUF_INIT;
	size_t shown = n < CHARS_QUOTE_MAX ? n : CHARS_QUOTE_MAX;

	strbuf_putc(&sb, '"');
	for (size_t i = 0, width; i < shown; i += width) {
		uint32_t cp = chars_decode(s + i, n - i, &width);

		quote_one(&sb, s + i, width, cp);
	}
	strbuf_puts(&sb, n > shown ? "...\"" : "\"");
	memcpy(out, sb.buf, sb.len + 1 < CHARS_QUOTE_SIZE ? sb.len + 1 : CHARS_QUOTE_SIZE);
	out[CHARS_QUOTE_SIZE - 1] = '\0';
	return out;
}
