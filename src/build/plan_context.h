/* Where FROM, COPY --from and RUN --mount take files from by name: stages, named contexts, images (dockerfile.md 5.4). */
#ifndef WHITTLE_BUILD_PLAN_CONTEXT_H
#define WHITTLE_BUILD_PLAN_CONTEXT_H

#include <stdbool.h>

#include "build/plan_internal.h"

struct named_context; /* one that was loaded, kept in the plan */

/*
 * Begin the stage st with the named context called name, which stands for a stage or an image: its files and, of an
 * image, its config. Only those that are used are loaded.
 * Returns 1, 0 when there is none of that name, or -1 and *err: ERR_INPUT (a value of an unknown kind), and as
 * image_resolve() and context_load_named().
 */
int plan_start_named(struct planner *p, struct stage_state *st, const char *name, struct err *err);

/* Files to copy or to mount. Both NULL: an empty tree. */
struct plan_files {
	struct op *tip;               /* a tree, */
	const struct context *folder; /* or a folder, with its ignore file; of the plan */
};
/*
 * What from names: a stage by number (numbers) or by name, which is evaluated now; else a named context; else an image.
 * Returns 0, or -1 and *err: ERR_DOCKERFILE (no such stage, or a later one), and as plan_start_named().
 */
int plan_from(struct planner *p, struct stage_state *st, const char *from, bool numbers, const struct instruction *in,
	struct plan_files *ret, struct err *err);
/*
 * A folder as a tree, for who can only do with one: an operation that copies all of it. Returns it, or NULL and *err as
 * copy_digest().
 */
struct op *plan_folder(struct planner *p, struct stage_state *st, const struct context *folder,
	const struct instruction *in, struct err *err);
/* Close and remove what was loaded; accepts NULL. */
void plan_contexts_free(struct session *s, struct named_context *list);

#endif
