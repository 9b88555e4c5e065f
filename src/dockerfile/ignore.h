/*
 * The ignore file, and lists of such patterns in --exclude and --parents (spec/dockerfile.md 4.2
 * to 4.4). Reading it is linear; matching a path costs about the number of patterns.
 */
#ifndef WHITTLE_DOCKERFILE_IGNORE_H
#define WHITTLE_DOCKERFILE_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Bytes of an ignore file, its patterns, and one pattern (PATH_MAX: it could match no longer path).
 */
#define IGNORE_FILE_MAX (4u << 20)
#define IGNORE_PATTERNS_MAX 10000
#define IGNORE_PATTERN_MAX 4096

struct ignore;

/*
 * Read an ignore file of n bytes (none: nothing is excluded).
 * Returns the patterns, owned by the caller (ignore_free()); or NULL and *err, ERR_INPUT, naming
 * the line: a lone "!", a malformed class, a NUL byte, a limit above.
 */
struct ignore *ignore_parse(const void *data, size_t n, struct err *err);

/*
 * The same from n single patterns ("!" first for an exception; an empty one is skipped), without
 * comments. The errors name the pattern.
 */
struct ignore *ignore_new(const char *const *patterns, size_t n, struct err *err);

/* Accepts NULL. */
void ignore_free(struct ignore *ig);

/*
 * Whether path is excluded: the last pattern that applies to it or to a directory above it decides.
 * path is relative to the root, cleaned, without slashes at its ends. A path over
 * IGNORE_PATTERN_MAX bytes, which no system call would take, is judged by its first
 * IGNORE_PATTERN_MAX bytes.
 */
bool ignore_match(const struct ignore *ig, const char *path);

/*
 * Whether something below the excluded directory dir could be included again by a later "!"
 * pattern, so that the walk has to enter it. May say yes when nothing is there; never says no
 * wrongly.
 */
bool ignore_may_include_below(const struct ignore *ig, const char *dir);

/* Number of patterns, and whether any of them is an exception (check CopyIgnoredFile). */
size_t ignore_count(const struct ignore *ig);
/* See ignore_count(). */
bool ignore_has_exceptions(const struct ignore *ig);
/* The text of pattern i as it is matched, without "!"; owned by ig. */
const char *ignore_pattern(const struct ignore *ig, size_t i);

#endif
