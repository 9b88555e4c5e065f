/* What a Dockerfile offers to those who build it (spec/dockerfile.md 9.6): targets, build arguments, secrets. */
#ifndef WHITTLE_DOCKERFILE_OUTLINE_H
#define WHITTLE_DOCKERFILE_OUTLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "dockerfile/walk.h"

/* Arguments, secrets and ssh mounts listed: nobody reads more. */
#define OUTLINE_ENTRIES_MAX 10000

struct outline_entry {
	char *name;	   /* of the argument, or the id of the secret or agent */
	char *value;	   /* of the argument; NULL: none */
	char *description; /* from the comment above, or NULL */
	bool required;	   /* of a secret or agent */
	struct dockerfile_location loc;
};

struct outline_list {
	struct outline_entry *v; /* by line */
	size_t n, cap;
};

struct outline {
	char *name;	   /* of the target; NULL when the last stage has none */
	char *description; /* or NULL */
	struct outline_list args, secrets, ssh;
};
#define OUTLINE_INIT { .name = NULL }

/*
 * List what the target of options and all that it needs can be given: arguments that have an effect, with the values
 * they would have, and what RUN mounts.
 * Returns 0 and *ret, owned by the caller (outline_release()); or -1, *err and *ret_loc: what would make a build fail,
 * or too many entries.
 */
int outline_make(const struct walk_options *options, struct outline *ret, struct dockerfile_location *ret_loc,
	struct err *err);
/* Free what it owns; usable again. */
void outline_release(struct outline *o);

/*
 * The description that the comments above in give to name ("# name text", 1.11), or NULL; owned by in.
 */
const char *outline_description(const struct instruction *in, const char *name);

#endif
