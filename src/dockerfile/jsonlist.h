/*
 * The JSON form of arguments (spec/dockerfile.md 1.6). Not base/doc.h: the language has to tell
 * three outcomes apart, keeps bytes that are not UTF-8, and falls back silently on other text.
 */
#ifndef WHITTLE_DOCKERFILE_JSONLIST_H
#define WHITTLE_DOCKERFILE_JSONLIST_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/* Arrays and objects inside the array; they end in an error anyway. Text nested deeper counts as no
 * JSON. */
#define JSONLIST_DEPTH_MAX 64

/* Elements: as many as an instruction may have words (grammar.h). */
#define JSONLIST_STRINGS_MAX 100000

/*
 * Read text as one JSON array of strings (RFC 8259; nothing but white space around it).
 *
 *   *ret, *ret_n  the decoded strings, in the arena; written on success only
 *
 * Returns 1 when it is one, 0 when text is no JSON array; or -1 and *err, ERR_DOCKERFILE: an array
 * with other elements, with too many of them, or with a string that holds a NUL character.
 */
int jsonlist_parse(struct arena *arena, const char *text, const char *const **ret, size_t *ret_n,
	struct err *err);

#endif
