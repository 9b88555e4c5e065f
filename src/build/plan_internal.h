/* What plan.c (stages and the graph) and plan_stage.c (one instruction after the other) share. */
#ifndef WHITTLE_BUILD_PLAN_INTERNAL_H
#define WHITTLE_BUILD_PLAN_INTERNAL_H

#include "build/plan.h"

enum stage_progress { STAGE_UNSEEN, STAGE_OPEN, STAGE_READY };

/* A stage while it is evaluated for one target platform, and its result. */
struct stage_state {
	enum stage_progress progress;
	const struct stage *stage;
	bool replaced;              /* by a named context: none of its instructions count */
	size_t index;
	struct platform platform;
	struct op *tip;             /* NULL: an empty tree */
	struct image_config config;
	struct strv env;            /* what words and steps see: ENV and every ARG with a value, in order */
	struct strv args;           /* declared ARGs in order: NAME=value, or NAME without one */
	bool cmd_here;              /* a CMD stood in this very stage (6.6) */
	const struct instruction *triggers; /* ONBUILD of what it is built from, run before its own */
	size_t ntriggers;
	bool firing;                /* one of them is being applied */
	unsigned step, steps;       /* "2/4" of step names */
};

struct planner {
	struct session *session;
	const struct build_options *options;
	const struct context *context;
	const struct dockerfile *df;
	struct plan *plan;
	struct dockerfile_location *loc;
	struct arena arena;         /* instructions parsed from ONBUILD triggers */
	struct platform build_platform, target;
	struct strv globals;        /* NAME=value: predefined and ARGs before the first FROM */
	struct strv global_names;   /* global ARGs without a value */
	struct stage_state *stages;
	struct strv declared;       /* names of all ARGs evaluated */
	bool show_platform;
	int64_t now;                /* time of everything that this build makes */
};

/* Evaluate stage index with all it needs; done already is success. */
int plan_stage(struct planner *p, size_t index, struct err *err);
/* Apply one instruction to st. On failure p->loc says where. */
int plan_instruction(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err);
/* Whether the instruction makes an operation and so counts in "2/4". */
bool plan_counts(const struct instruction *in);
/* Take op into the plan, or, when an equal one is there, free it and return that one. self and key are computed here. */
struct op *plan_add(struct planner *p, struct op *op, struct strbuf *definition);
/* Expand a word with an environment of NAME=value. */
int plan_expand(const struct planner *p, const struct strv *env, const char *word, char **ret, struct err *err);
/* Expand the body of a heredoc: quotes are data there, the escape is a backslash (2.6). */
int plan_expand_heredoc(const struct strv *env, const char *content, char **ret, struct err *err);
/*
 * An operation for the image called name, resolved for the platform of st: that of an earlier use, or a new one, which
 * counts as step of st when as_step. NULL and *err when it cannot be.
 */
struct op *plan_image(struct planner *p, struct stage_state *st, const char *name, const struct instruction *in,
	bool as_step, struct err *err);
/* Begin the config of st with that of an image, or with nothing; what every stage's config has is added. */
void plan_start_config(struct stage_state *st, const struct resolved_image *image);
/* Let op copy from a folder, the main context or a named one, and nothing that its ignore file hides. */
void plan_copy_folder(const struct planner *p, struct op *op, const struct context *folder);
/* Hash what op selects from its folder: that decides about its cache, not the times of files. Returns 0, or -1 and *err. */
int plan_digest_folder(struct planner *p, struct op *op, struct err *err);
/* Append everything about a copy but its inputs to its definition. */
void plan_put_copy(const struct op *op, struct strbuf *definition);
/* Say which build arguments no ARG asked for. */
void plan_warn_unused_args(const struct planner *p);
/* Fill in op->mounts of a RUN and append what counts for its cache to definition. */
int plan_run_mounts(struct planner *p, struct stage_state *st, const struct instruction *in, struct op *op,
	struct strbuf *definition, struct err *err);
/* run_mount_parse() with an environment of NAME=value. */
int plan_run_mount(const struct planner *p, const struct strv *env, const char *text, struct run_mount *ret,
	struct err *err);
/* Hide the variables that the mounts of a RUN set to secrets: for the name of its step. */
void plan_mask_secrets(const struct instruction *in, struct strv *env);
/* The value of a build argument, or NULL. */
const char *plan_build_arg(const struct planner *p, const char *name);
/* "[builder 2/4] RUN ..."; the caller frees. */
char *plan_step_name(const struct planner *p, struct stage_state *st, const struct instruction *in);

#endif
