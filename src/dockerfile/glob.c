#include "dockerfile/glob.h"

#include <string.h>

#include "dockerfile/chars.h"

/* One bound of a range in a class. Returns the bytes taken, or 0 for a malformed class. */
static size_t class_char(const char *p, const char *end, uint32_t *ret)
{
	size_t width, escape = 0;

	if (p == end || *p == '-' || *p == ']')
		return 0;
	if (*p == '\\') {
		escape = 1;
		if (++p == end)
			return 0;
	}
	*ret = chars_decode(p, (size_t)(end - p), &width);
	return escape + width;
}

int glob_class(const char *p, const char *end, uint32_t cp, const char **ret_end)
{
	bool negated = p < end && *p == '^', in = false;
	const char *first = p += negated;

	while (p == first || p == end || *p != ']') {
		uint32_t low, high;
		size_t n = class_char(p, end, &low);

		if (n == 0)
			return -1;
		p += n;
		high = low;
		if (p < end && *p == '-') {
			n = class_char(++p, end, &high);
			if (n == 0)
				return -1;
			p += n;
		}
		in |= cp >= low && cp <= high;
	}
	*ret_end = p + 1;
	return in != negated;
}

/*
 * Match one element of the pattern, not a star, at s. *p and *s are moved behind what was used.
 * The pattern is well-formed and *p is not at its end.
 */
static bool match_one(const char **p, const char *pend, const char **s, const char *send)
{
	size_t width;
	uint32_t cp;
	int in;

	if (*s == send)
		return false;
	if (**p != '?' && **p != '[') {
		*p += **p == '\\' && *p + 1 < pend;
		return *(*p)++ == *(*s)++;
	}

	cp = chars_decode(*s, (size_t)(send - *s), &width);
	*s += width;
	if (*(*p)++ == '?')
		return cp != '/';
	in = glob_class(*p, pend, cp, p);
	return in == 1 && cp != '/';
}

bool glob_match_n(const char *pattern, size_t pattern_len, const char *name, size_t name_len)
{
	const char *p = pattern, *pend = pattern + pattern_len;
	const char *s = name, *send = name + name_len;
	const char *retry_p = NULL,
		   *retry_s = NULL; /* behind the last star, and where it is tried to end */

	/*
	 * A star takes as little as it can; on a mismatch the last one takes one character more.
	 * Earlier stars need no second try: what the last one can reach includes all that they
	 * could give up.
	 */
	for (;;) {
		const char *at = s;
		size_t width;

		if (p < pend && *p == '*') {
			retry_p = ++p;
			retry_s = s;
			continue;
		}
		if (p == pend && s == send)
			return true;
		if (p < pend && match_one(&p, pend, &s, send)) {
			/* No star reaches over a slash. */
			if (*at == '/')
				retry_p = NULL;
			continue;
		}
		if (!retry_p || retry_s == send || *retry_s == '/')
			return false;
		chars_decode(retry_s, (size_t)(send - retry_s), &width);
		retry_s += width;
		p = retry_p;
		s = retry_s;
	}
}

bool glob_is_valid(const char *pattern)
{
	const char *end = pattern + strlen(pattern);

	for (const char *p = pattern; p < end;) {
		char c = *p++;

		if (c == '\\' && p++ == end)
			return false;
		if (c == '[' && glob_class(p, end, 0, &p) < 0)
			return false;
	}
	return true;
}

bool glob_has_wildcard(const char *path)
{
	for (; *path; path++) {
		if (strchr("*?[", *path))
			return true;
		if (*path == '\\' && *++path == '\0')
			return false;
	}
	return false;
}

int glob_match(const char *pattern, const char *name)
{
	if (!glob_is_valid(pattern))
		return -1;
	return glob_match_n(pattern, strlen(pattern), name, strlen(name));
}
