/* Plain path patterns, as in COPY *.c (spec/dockerfile.md 3.3.2.3). */
#ifndef WHITTLE_DOCKERFILE_GLOB_H
#define WHITTLE_DOCKERFILE_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Whether the whole of name matches pattern: * is any run and ? one character, [a-z] and [^a-z] one
 * of a class, \c is c; none of them matches '/'. A leading dot is not special. Time is at most the
 * product of the two lengths.
 *
 * Returns 1 or 0; or -1 for a malformed pattern, whatever the name: a class that is not closed, is
 * empty or has an incomplete range, or a backslash at the end.
 */
int glob_match(const char *pattern, const char *name);

/* Whether pattern is well-formed for glob_match(). */
bool glob_is_valid(const char *pattern);

/* Whether path holds a wildcard that no backslash protects: * ? or [. */
bool glob_has_wildcard(const char *path);

/* glob_match() of counted strings, where the pattern is known to be well-formed. */
bool glob_match_n(const char *pattern, size_t pattern_len, const char *name, size_t name_len);

/*
 * Test one class. p points behind its '['; end is the end of the pattern; *ret_end is set behind
 * its ']'. Returns 1 when cp is in the class, 0 when not, -1 when the class is malformed. '/' gets
 * no special treatment here.
 */
int glob_class(const char *p, const char *end, uint32_t cp, const char **ret_end);

#endif
