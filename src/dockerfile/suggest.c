#include "dockerfile/suggest.h"

#include <string.h>

#include "dockerfile/chars.h"

/* Nearer than this is near. */
#define DISTANCE_LIMIT 3

/* Cells either side of the diagonal that a distance below the limit can touch. */
#define BAND (DISTANCE_LIMIT - 1)
#define CELLS (2 * BAND + 1)

static bool same(char a, char b, bool ignore_case)
{
	return a == b || (ignore_case && chars_lower(a) == chars_lower(b));
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/*
 * Levenshtein distance of a and b, or DISTANCE_LIMIT for anything not below it. Row i of the usual
 * matrix is kept for columns i - BAND to i + BAND: cell k is column i + k - BAND.
 */
static unsigned distance(const char *a, const char *b, bool ignore_case)
{
	size_t alen = strlen(a), blen = strlen(b);
	unsigned row[CELLS + 1], next[CELLS + 1];

	if (alen > blen + BAND || blen > alen + BAND)
		return DISTANCE_LIMIT;
	for (size_t k = 0; k <= CELLS; k++)
		row[k] = k >= BAND && k < CELLS ? (unsigned)(k - BAND) : DISTANCE_LIMIT;

	for (size_t i = 1; i <= alen; i++) {
		unsigned least = DISTANCE_LIMIT;

		for (size_t k = 0; k < CELLS; k++) {
			size_t j = i + k - BAND; /* wraps below 0 to a huge number */
			unsigned left = k > 0 ? next[k - 1] : DISTANCE_LIMIT;

			if (j > blen)
				next[k] = DISTANCE_LIMIT;
			else if (j == 0)
				next[k] = (unsigned)i;
			else
				next[k] = min3(row[k] + !same(a[i - 1], b[j - 1], ignore_case),
					row[k + 1] + 1, left + 1);
			if (next[k] < least)
				least = next[k];
		}
		if (least >= DISTANCE_LIMIT)
			return DISTANCE_LIMIT;
		memcpy(row, next, sizeof(unsigned) * CELLS);
		row[CELLS] = DISTANCE_LIMIT;
	}
	return row[blen + BAND - alen] < DISTANCE_LIMIT ? row[blen + BAND - alen] : DISTANCE_LIMIT;
}

const char *suggest_find(const char *value, const char *const *options, size_t n, bool ignore_case)
{
	const char *found = NULL;
	unsigned nearest = DISTANCE_LIMIT;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(value, options[i], ignore_case);

		if (d == 0)
			return NULL;
		if (d < nearest) {
			nearest = d;
			found = options[i];
		}
	}
	return found;
}

static bool all_cased_as(const char *s, char (*convert)(char))
{
	for (; *s; s++)
		if (convert(*s) != *s)
			return false;
	return true;
}

int suggest_append(
	struct err *err, const char *value, const char *const *options, size_t n, bool ignore_case)
{
	const char *found = suggest_find(value, options, n, ignore_case);
	bool lower = ignore_case && all_cased_as(value, chars_lower);
	bool upper = ignore_case && all_cased_as(value, chars_upper);
	auto_strbuf hint = STRBUF_INIT;
	size_t len = strlen(err->msg);

	if (!found)
		return -1;
	strbuf_puts(&hint, " (did you mean ");
	for (; *found; found++)
		strbuf_putc(&hint, lower   ? chars_lower(*found)
				   : upper ? chars_upper(*found)
					   : *found);
	strbuf_puts(&hint, "?)");
	/* A message so long that the hint does not fit is of no name that has one. */
	if (len + hint.len < sizeof(err->msg))
		memcpy(err->msg + len, hint.buf, hint.len + 1);
	return -1;
}
