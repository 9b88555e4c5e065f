/*
 * Words and variables (spec/dockerfile.md 2.2 and 2.3): quotes, escapes, $name, ${name} and the
 * substitutions of a shell, for one word or a list of words. All limits apply to one call.
 */
#ifndef WHITTLE_DOCKERFILE_EXPAND_H
#define WHITTLE_DOCKERFILE_EXPAND_H

#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"

/* One result, and one value while it is made: the largest file we accept, and far above any argv.
 */
#define EXPAND_OUTPUT_MAX (16u << 20)

/* ${a:-${b:-...}}: each level is a C stack frame; people write two or three. */
#define EXPAND_DEPTH_MAX 100

/* Bytes written plus characters compared: what a hostile word can make us do, in about a second. */
#define EXPAND_WORK_MAX (256u << 20)

/* The variables a word can see. */
struct expand_env {
	/* The value of name, or NULL when it is unset; valid until the call returns. NULL: nothing
	 * is set. */
	const char *(*lookup)(void *ctx, const char *name);
	void *ctx;
	/*
	 * Told each name that is unset where that gives an empty string or an error, but not for
	 * ${n-w} and
	 * ${n+w} (colon or not), which foresee it. May be NULL.
	 */
	void (*undefined)(void *ctx, const char *name);
	/* What many calls together may still do, in the unit of EXPAND_WORK_MAX; reduced by each. NULL: every call by
	 * itself. */
	size_t *work;
};

enum expand_flags {
	EXPAND_RAW_QUOTES = 1 << 0,  /* keep the quotes that group */
	EXPAND_RAW_ESCAPES = 1 << 1, /* keep the escape character */
	EXPAND_SKIP_QUOTES = 1 << 2, /* quotes are ordinary characters (heredoc bodies) */
	EXPAND_SKIP_UNSET = 1 << 3,  /* leave the reference to an unset variable as it is written */
};

/*
 * Expand word to one string.
 *
 *   escape  the escape character, '\\' or '`'
 *   flags   of enum expand_flags
 *   env     may be NULL: no variable is set
 *   *ret    the result, owned by the caller (free()); written on success only
 *
 * Returns 0; or -1 and *err, ERR_DOCKERFILE, with the text of the spec ("failed to process "word":
 * ..."): unbalanced quotes or braces, an unknown modifier, a failed ${n?w}, a bad pattern, or a
 * limit above.
 */
int expand_word(const char *word, char escape, unsigned flags, const struct expand_env *env,
	char **ret, struct err *err);

/*
 * The same to a list of words: separated by unquoted white space, that of variable values included.
 * Words that are empty are left out. They are appended to ret, which is untouched on failure.
 */
int expand_words(const char *word, char escape, unsigned flags, const struct expand_env *env,
	struct strv *ret, struct err *err);

/*
 * expand_words() without the list: add is told each word, valid during that call. After a failure
 * it may have been told some.
 */
int expand_each_word(const char *word, char escape, unsigned flags, const struct expand_env *env,
	void (*add)(void *ctx, const char *word), void *ctx, struct err *err);

#endif
