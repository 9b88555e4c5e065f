/*
 * Going through the stages of a Dockerfile as a build would, without running or fetching anything: what FROM means,
 * which stages a target needs, what each instruction sees of variables (spec/dockerfile.md 2.7, 2.8, 5.1). Checks and
 * outlines are made on the way.
 */
#ifndef WHITTLE_DOCKERFILE_WALK_H
#define WHITTLE_DOCKERFILE_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/strv.h"
#include "dockerfile/parse.h"
#include "dockerfile/vars.h"
#include "oci/platform.h"

/* Expansions of one walk all together, in the unit of EXPAND_WORK_MAX: about a second of hostile words. */
#define WALK_WORK_MAX (256u << 20)

/* Triggers that fire in one walk: a stage of many triggers may be the base of many stages. */
#define WALK_TRIGGERS_MAX 10000

/* What is known of a base image. */
struct walk_base {
	const struct strv *env; /* NAME=value, owned by who told it */
	bool shell;		/* its config has a SHELL */
	struct platform platform;
};

struct walk_options {
	const struct dockerfile *df;
	const struct strv *build_args; /* NAME=value; or NULL */
	const char *target;	       /* stage name; NULL or "" for the last */
	bool all_stages;	       /* go through all of them, needed or not */
	struct platform build_platform, target_platform;
	/*
	 * What is known of the base image called name for platform: true and *ret, valid until the walk ends; false
	 * when it is not known here. May be NULL: of none.
	 */
	bool (*base)(void *ctx, const char *name, const struct platform *platform, struct walk_base *ret);
	void *base_ctx;
};

/* A stage while it is gone through. */
struct walk_stage {
	const struct stage *stage;
	size_t index;
	char *image;  /* FROM, expanded; NULL when it cannot be */
	int parent;   /* the stage it is built from, or -1 */
	bool needed;  /* by the target, or all are */
	bool base_known; /* the variables of its base image are all in vars */
	bool shell;   /* SHELL is in effect, by an instruction or by the base image */
	bool workdir; /* a WORKDIR came before, in this stage or one it is built from */
	struct platform platform;
	bool has_base;
	struct walk_base base; /* where has_base: of the image it is built from itself */
};

struct walk {
	const struct walk_options *options;
	const struct dockerfile *df;
	struct vars *globals;	 /* predefined and those of ARG before the first FROM */
	struct vars *vars;	 /* what the stage at hand sees; an unset ARG is declared in it */
	struct walk_stage *stages;
	size_t target;		 /* index of the target stage */
	/* The first thing that would make a build fail, and where; kind ERR_NONE when there is none. */
	struct err err;
	struct dockerfile_location loc;
	/* private */
	struct arena arena; /* triggers that fired */
	size_t triggers;    /* how many */
	size_t work;	    /* still allowed */
	int *parents;
	bool *needed;
};

struct walk_visitor {
	/* A stage begins: its FROM was expanded, vars holds what its base gives it. May be NULL. */
	void (*stage)(void *ctx, struct walk *w, struct walk_stage *st);
	/*
	 * An instruction, before it takes effect; in is one of the stage, or a trigger of the stage it is built from,
	 * with the lines of the FROM that fires it. May be NULL.
	 */
	void (*instruction)(void *ctx, struct walk *w, struct walk_stage *st, const struct instruction *in);
	/* The same after it took effect. May be NULL. */
	void (*effect)(void *ctx, struct walk *w, struct walk_stage *st, const struct instruction *in);
	void *ctx;
};

/*
 * Begin: evaluate the global scope and every FROM, check the graph, find what the target needs. What is wrong is noted
 * in w->err, and the walk goes on as far as it makes sense. options stay in use. Returns a walk owned by the caller
 * (walk_free()), never NULL.
 */
struct walk *walk_new(const struct walk_options *options);
/* Go through the needed stages; one that is built from another comes behind it. Once only. */
void walk_run(struct walk *w, const struct walk_visitor *visitor);
/* Accepts NULL. */
void walk_free(struct walk *w);

/* Note that the build would fail at in, unless something was noted before. */
void walk_fail(struct walk *w, const struct instruction *in, const struct err *err);

/*
 * Expand word with vars; heredoc: by the rules of bodies (2.6). undefined is told of unset names, as in struct
 * expand_env, or is NULL. Returns the result, owned by the caller, or NULL and *err.
 */
char *walk_expand(struct walk *w, const struct vars *vars, const char *word, bool heredoc,
	void (*undefined)(void *ctx, const char *name), void *ctx, struct err *err);

/*
 * Tell each text of in that is expanded (2.4): words, keys and values, some flags, bodies of heredocs. Defaults of ARG
 * that a build argument replaces are left out.
 */
void walk_each_word(const struct walk *w, const struct instruction *in,
	void (*word)(void *ctx, const char *text, bool heredoc), void *ctx);

/*
 * Whether image, as FROM has it after expansion, can be the name of an image: a reference, or a local transport, whose
 * rest is not looked at. Returns 0, or -1 and *err, ERR_DOCKERFILE.
 */
int walk_check_image(const char *image, struct err *err);

/* The value of a build argument, or NULL. */
const char *walk_build_arg(const struct walk *w, const char *name);

#endif
