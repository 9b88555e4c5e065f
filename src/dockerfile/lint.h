/*
 * Build checks (spec/dockerfile.md 7): what is legal in a Dockerfile and yet likely wrong. The rules, their names and
 * texts are BuildKit's, so that "# check=skip=..." comments mean the same.
 */
#ifndef WHITTLE_DOCKERFILE_LINT_H
#define WHITTLE_DOCKERFILE_LINT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"
#include "dockerfile/ignore.h"
#include "dockerfile/walk.h"

/* Findings kept; nobody reads more, and each costs a search for what may have been meant. */
#define LINT_FINDINGS_MAX 1000

/* What a "check" directive says (7.1.2). */
struct lint_config {
	bool skip_all, error, experimental_all;
	struct strv skip, experimental; /* names of rules */
};
#define LINT_CONFIG_INIT { .skip_all = false }

/*
 * Read "skip=A,B|all;error=BOOL;experimental=A,B|all". Names need not be known.
 * Returns 0 and *ret, owned by the caller (lint_config_release()); or -1 and *err, ERR_DOCKERFILE, *ret untouched.
 */
int lint_config_parse(const char *text, struct lint_config *ret, struct err *err);
/* Free what it owns; usable again. */
void lint_config_release(struct lint_config *c);

struct lint_finding {
	const char *rule;	 /* "StageNameCasing" */
	const char *description; /* what the rule is about */
	char *url;		 /* where to read more; NULL: nowhere */
	char *message;		 /* what is wrong here */
	struct dockerfile_location loc;
};

struct lint_result {
	struct lint_finding *v; /* by line */
	size_t n, cap;
	size_t dropped; /* beyond LINT_FINDINGS_MAX */
	bool gate;	/* error=true was asked for */
	/* What would make a build fail, as far as that can be told without base images; kind ERR_NONE for nothing. */
	struct err err;
	struct dockerfile_location err_loc;
};
#define LINT_RESULT_INIT { .v = NULL }

struct lint_options {
	struct walk_options walk;     /* df is set by lint_run() */
	const struct ignore *ignore;  /* of the build context; NULL: none */
};

/*
 * Look at df, whole or the part before a mistake (dockerfile_parse_prefix()), of which only the text is looked at.
 * *ret is owned by the caller (lint_result_release()). Time is about linear in the length of the file, and bounded by the
 * limits of what it uses.
 */
void lint_run(const struct dockerfile *df, const struct lint_options *options, struct lint_result *ret);
/* Free what it owns; usable again. */
void lint_result_release(struct lint_result *r);

/*
 * Whether the gate is shut: error=true was asked for and a check fired. Returns 0; or -1 and *err, ERR_GATE: "lint
 * violation found for rules: A, B".
 */
int lint_gate(const struct lint_result *r, struct err *err);

#endif
