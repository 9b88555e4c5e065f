/* From a Dockerfile to a graph of operations and an image config per platform (dockerfile.md 2, 3, 5, 6). */
#ifndef WHITTLE_BUILD_PLAN_H
#define WHITTLE_BUILD_PLAN_H

#include "build/build.h"
#include "build/context.h"
#include "build/op.h"
#include "dockerfile/parse.h"

struct plan_target {
	struct platform platform;
	struct op *tip;             /* NULL: an empty tree */
	struct image_config config; /* diff_ids empty; history complete */
};

struct plan {
	struct op *first; /* all operations, inputs first */
	struct op *last;
	int64_t epoch;    /* SOURCE_DATE_EPOCH of the options or of a global ARG, or LAYER_EPOCH_NONE */
	struct plan_target *targets; /* one per platform, in the order asked for */
	size_t ntargets;
	struct origin *origins;             /* what its ADDs fetch */
	struct named_context *contexts;     /* what was loaded of --build-context (plan_context.h) */
};
#define PLAN_INIT { .first = NULL }

/*
 * Evaluate the Dockerfile for every platform of the options. Base images are resolved (their manifests and
 * configs fetched), the selected files of the context are hashed; nothing is run.
 * Returns 0 and *ret owned by the caller, or -1 and *err with *loc at the instruction: ERR_DOCKERFILE,
 * ERR_NOT_FOUND, and what image_resolve() and copy_digest() raise.
 */
int plan_make(struct session *s, const struct build_options *options, const struct context *context,
	const struct dockerfile *df, struct plan *ret, struct dockerfile_location *loc, struct err *err);
/* Free everything, and remove what was fetched; accepts PLAN_INIT. */
void plan_release(struct session *s, struct plan *plan);
/* Whether the build arguments ask for the .git of a context that is a repository (2.10). */
bool plan_keeps_git_dir(const struct build_options *options);

#endif
