/*
 * The variables of a Dockerfile while it is only looked at: a table with an undo log, so that thousands of stages
 * that are built from each other share what they have in common. Not thread-safe.
 */
#ifndef WHITTLE_DOCKERFILE_VARS_H
#define WHITTLE_DOCKERFILE_VARS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Names, values and what they cost to keep, all together: no exec(2) would take an environment of a quarter of it, and
 * a few lines of ARG that double a value reach any size. */
#define VARS_BYTES_MAX (8u << 20)

struct vars;

/* An empty table, owned by the caller (vars_free()). */
struct vars *vars_new(void);
/* Accepts NULL. */
void vars_free(struct vars *v);

/*
 * Set name, which hides an older value. A NULL value declares the name without one: it is then known, but unset, unless
 * it had a value before, which stays.
 * Returns 0; or -1 and *err, ERR_DOCKERFILE: more than VARS_BYTES_MAX.
 */
int vars_set(struct vars *v, const char *name, const char *value, struct err *err);
/* The value of name, or NULL when it is unset; valid until it is undone. */
const char *vars_get(const struct vars *v, const char *name);
/* Whether name was set or declared. */
bool vars_has(const struct vars *v, const char *name);

/* The present state, for vars_undo(). */
size_t vars_mark(const struct vars *v);
/* Forget everything set since vars_mark() returned mark. */
void vars_undo(struct vars *v, size_t mark);

/* The name set or declared nearest to name, in the sense of suggest_find(), or NULL. The oldest of those equally near. */
const char *vars_suggest(const struct vars *v, const char *name);

#endif
