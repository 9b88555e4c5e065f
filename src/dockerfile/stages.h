/*
 * How the stages of a Dockerfile hang together (spec/dockerfile.md 3.3.9, 5.1): which one COPY --from and RUN
 * --mount=from mean, what a target needs, cycles. Only text is looked at; what FROM means is told by the caller, since
 * it may hold variables.
 */
#ifndef WHITTLE_DOCKERFILE_STAGES_H
#define WHITTLE_DOCKERFILE_STAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "dockerfile/parse.h"

/*
 * The stage that COPY --from=from names: by number, or by its last declaration in the file whatever its place.
 * Returns its index, -1 when from names no stage (an image then), or -2 and *err, ERR_DOCKERFILE: a number that no stage
 * has.
 */
int stages_copy_source(const struct dockerfile *df, const char *from, struct err *err);

/*
 * Check the whole file, stages that nobody needs included: numbers in COPY --from, and cycles.
 *
 *   parents  for each stage the index of the earlier one it is built from, or -1; NULL: take FROM as it is written
 *
 * Returns 0; or -1, *err (ERR_DOCKERFILE) and *ret_loc at the instruction. Linear in the length of the file.
 */
int stages_check(
	const struct dockerfile *df, const int *parents, struct dockerfile_location *ret_loc, struct err *err);

/*
 * Mark in needed (one for each stage) the stage target and all that it and those marked before need. Behind
 * stages_check().
 * Returns 0; or -1, *err and *ret_loc: a needed stage copies from one that does not come before it.
 */
int stages_need(const struct dockerfile *df, const int *parents, size_t target, bool *needed,
	struct dockerfile_location *ret_loc, struct err *err);

/*
 * The stage called target in any case; NULL or "" is the last one.
 * Returns its index, or -1 and *err, ERR_DOCKERFILE, with "did you mean".
 */
int stages_find_target(const struct dockerfile *df, const char *target, struct err *err);

/*
 * Add to *err, which says that the image called name cannot be had, what may have been meant: a stage of the file or one
 * of the images that people use most. Always returns -1.
 */
int stages_suggest_image(const struct dockerfile *df, const char *name, struct err *err);

/*
 * Tell each field of the value of --mount, unexpanded: "type=bind,from=x" has two. value is "" where no "=" follows the
 * key. Stops where the list cannot be read: judging it is for those who carry it out.
 */
void stages_each_mount_field(
	const char *mount, void (*field)(void *ctx, const char *key, const char *value), void *ctx);

/* The value of the last field called key, in any case; NULL when there is none. The caller frees. */
char *stages_mount_field(const char *mount, const char *key);

#endif
