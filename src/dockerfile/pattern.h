/*
 * The shell patterns inside ${name#p}, ${name%p} and ${name/p/r} (spec/dockerfile.md 2.2): * is any
 * run and ? one character, neither of them a newline; \* \? \\ \} \/ are those characters; all else
 * is literal.
 */
#ifndef WHITTLE_DOCKERFILE_PATTERN_H
#define WHITTLE_DOCKERFILE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

/*
 * Append value to out without the shortest (or, longest, the longest) beginning that matches
 * pattern; with suffix, without such an end. No match leaves value as it is.
 *
 *   budget   comparisons still allowed; reduced by those made. The search is not linear for hostile
 *            patterns, so this bounds its time.
 *
 * Returns 0; or -1 and *err, ERR_DOCKERFILE: a bad escape in the pattern, or the budget is used up.
 */
int pattern_trim(const char *value, const char *pattern, bool suffix, bool longest, size_t *budget,
	struct strbuf *out, struct err *err);

/*
 * Append value to out with the first (or, all, every) longest match of pattern replaced by
 * replacement, which is inserted literally. An empty pattern matches the empty string. Stops early
 * when out overflows. Budget, result and errors as pattern_trim().
 */
int pattern_replace(const char *value, const char *pattern, const char *replacement, bool all,
	size_t *budget, struct strbuf *out, struct err *err);

#endif
