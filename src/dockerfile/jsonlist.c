#include "dockerfile/jsonlist.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dockerfile/chars.h"

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\n\r");
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = chars_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at p, or -1. */
static int32_t read_unit(const char *p)
{
	int32_t unit = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_value(p[i]);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/* Decode what follows "\u"; a surrogate without its pair becomes U+FFFD. Returns what follows, or
 * NULL. */
static const char *read_unicode(const char *p, struct strbuf *out, bool *ret_nul)
{
	int32_t unit = read_unit(p), low;

	if (unit < 0)
		return NULL;
	p += 4;
	if (unit >= 0xD800 && unit <= 0xDBFF && p[0] == '\\' && p[1] == 'u') {
		low = read_unit(p + 2);
		if (low >= 0xDC00 && low <= 0xDFFF) {
			chars_encode(out, 0x10000 + ((uint32_t)(unit - 0xD800) << 10) +
						  (uint32_t)(low - 0xDC00));
			return p + 6;
		}
	}
	if (unit >= 0xD800 && unit <= 0xDFFF)
		unit = 0xFFFD;
	*ret_nul |= unit == 0;
	chars_encode(out, (uint32_t)unit);
	return p;
}

/* Read a string; p is behind its opening quote. Returns what follows the closing one, or NULL. */
static const char *read_string(const char *p, struct strbuf *out, bool *ret_nul)
{
	static const char escapes[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";

	for (;;) {
		const char *start = p, *known;

		while ((unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
			p++;
		strbuf_add(out, start, (size_t)(p - start));
		if (*p == '"')
			return p + 1;
		if (*p != '\\' || p[1] == '\0')
			return NULL; /* the end, or a control character, which must be escaped */
		p++;
		if (*p == 'u') {
			p = read_unicode(p + 1, out, ret_nul);
			if (!p)
				return NULL;
			continue;
		}
		known = strchr(escapes, *p++);
		if (!known)
			return NULL;
		strbuf_putc(out, meanings[known - escapes]);
	}
}

static const char *skip_digits(const char *p)
{
	size_t n = strspn(p, "0123456789");

	return n > 0 ? p + n : NULL;
}

static const char *skip_number(const char *p)
{
	p += *p == '-';
	p = *p == '0' ? p + 1 : skip_digits(p);
	if (p && *p == '.')
		p = skip_digits(p + 1);
	if (p && (*p == 'e' || *p == 'E')) {
		p++;
		p = skip_digits(p + (*p == '+' || *p == '-'));
	}
	return p;
}

static const char *skip_value(const char *p, unsigned depth);

/* Skip the rest of an array or object; p is behind its opening bracket. */
static const char *skip_container(const char *p, bool object, unsigned depth)
{
	auto_strbuf ignored = STRBUF_INIT;
	bool nul = false;
	char close = object ? '}' : ']';

	if (depth == JSONLIST_DEPTH_MAX)
		return NULL;
	p = skip_space(p);
	if (*p == close)
		return p + 1;
	for (;;) {
		if (object) {
			strbuf_reset(&ignored);
			p = *p == '"' ? read_string(p + 1, &ignored, &nul) : NULL;
			p = p ? skip_space(p) : NULL;
			if (!p || *p++ != ':')
				return NULL;
		}
		p = skip_value(skip_space(p), depth + 1);
		p = p ? skip_space(p) : NULL;
		if (p && *p == close)
			return p + 1;
		if (!p || *p != ',')
			return NULL;
		p = skip_space(p + 1);
	}
}

/* Skip one JSON value of any type. Returns what follows, or NULL when it is malformed. */
static const char *skip_value(const char *p, unsigned depth)
{
	static const char *const words[] = {"true", "false", "null"};
	auto_strbuf ignored = STRBUF_INIT;
	bool nul = false;

	if (*p == '"')
		return read_string(p + 1, &ignored, &nul);
	if (*p == '[' || *p == '{')
		return skip_container(p + 1, *p == '{', depth);
	for (size_t i = 0; i < 3; i++)
		if (strncmp(p, words[i], strlen(words[i])) == 0)
			return p + strlen(words[i]);
	return skip_number(p);
}

struct reader {
	struct arena *arena;
	char **v;
	size_t n, cap;
	bool other; /* an element that is not a string */
	bool nul;
	bool many; /* more than are kept */
};

/* Read the whole array; p is behind its bracket. Returns whether it is well-formed. */
static bool read_array(struct reader *r, const char *p)
{
	auto_strbuf text = STRBUF_INIT;

	p = skip_space(p);
	if (*p == ']')
		return *skip_space(p + 1) == '\0';
	for (;;) {
		if (*p == '"') {
			strbuf_reset(&text);
			p = read_string(p + 1, &text, &r->nul);
			if (r->n < JSONLIST_STRINGS_MAX) {
				GROW(r->v, r->n, r->cap);
				r->v[r->n++] = arena_strndup(r->arena, text.buf, text.len);
			} else {
				r->many = true;
			}
		} else {
			p = skip_value(p, 1);
			r->other = true;
		}
		p = p ? skip_space(p) : NULL;
		if (p && *p == ']')
			return *skip_space(p + 1) == '\0';
		if (!p || *p != ',')
			return false;
		p = skip_space(p + 1);
	}
}

int jsonlist_parse(struct arena *arena, const char *text, const char *const **ret, size_t *ret_n,
	struct err *err)
{
	struct reader r = {.arena = arena};
	auto_free char **strings = NULL;
	const char **list;
	bool well_formed;

	if (*text != '[')
		return 0;
	well_formed = read_array(&r, text + 1);
	strings = r.v;
	if (!well_formed)
		return 0;
	if (r.other)
		return err_set(err, ERR_DOCKERFILE,
			"when using JSON array syntax, arrays must be comprised of strings only");
	if (r.many)
		return err_set(err, ERR_DOCKERFILE, "a JSON array has more than %d strings",
			JSONLIST_STRINGS_MAX);
	if (r.nul)
		return err_set(err, ERR_DOCKERFILE, "a JSON string holds a NUL character");

	list = arena_alloc(arena, sizeof(*list) * (r.n + 1));
	for (size_t i = 0; i < r.n; i++)
		list[i] = strings[i];
	*ret = list;
	*ret_n = r.n;
	return 1;
}
