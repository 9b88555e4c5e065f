/* What lint.c (the machinery and the table of rules) and the files of rules share. */
#ifndef WHITTLE_DOCKERFILE_LINT_INTERNAL_H
#define WHITTLE_DOCKERFILE_LINT_INTERNAL_H

#include "dockerfile/lint.h"

enum lint_phase {
	LINT_PARSE,   /* looks at every instruction of the file, also when what follows is wrong */
	LINT_GRAPH,   /* looks at every instruction of a whole file */
	LINT_EXECUTE, /* looks at instructions of the stages gone through, with what they see */
};

enum lint_flags {
	LINT_EXPERIMENTAL = 1 << 0, /* off unless asked for */
	LINT_NO_URL = 1 << 1,	    /* has no page */
};

struct lint;
struct lint_rule;

/* What a rule looks at. */
struct lint_place {
	const struct instruction *in;
	const struct stage *stage;	/* NULL for a global ARG */
	size_t index;			/* of the stage */
	const struct walk_stage *state; /* LINT_EXECUTE: the stage as in finds it */
};

struct lint_rule {
	const char *name, *description;
	enum lint_phase phase;
	unsigned flags; /* of enum lint_flags */
	void (*look)(struct lint *l, const struct lint_rule *rule, const struct lint_place *at);
};

struct lint {
	const struct dockerfile *df;
	const struct lint_options *options;
	struct lint_result *result;
	struct lint_config config;
	struct walk *walk;     /* not in LINT_PARSE */
	struct walk *defaults; /* the global scope without build arguments; made when first asked for */
	bool lower_case;   /* most instructions of the file are written in lower case */
	/* of the stage at hand: the last CMD, ENTRYPOINT and HEALTHCHECK, or NULL */
	const struct instruction *last[3];
	const struct lint_place *at; /* what is looked at, for callbacks */
	const struct lint_rule *rule;
	unsigned hints; /* searched for */
};

/* What may have been meant by name, or NULL; after LINT_FINDINGS_MAX searches always NULL. */
const char *lint_hint(struct lint *l, const struct vars *vars, const char *name);


/* Report rule at lines loc, unless it is switched off there. */
__attribute__((format(printf, 5, 6))) void lint_report(struct lint *l, const struct lint_rule *rule,
	const struct instruction *in, const struct dockerfile_location *loc, const char *fmt, ...);
/* The same at the lines of in. */
#define lint_report_in(l, rule, in, ...)                                                           \
	lint_report(l, rule, in,                                                                   \
		&(const struct dockerfile_location){(in)->first_line, (in)->last_line}, __VA_ARGS__)

/* The functions of the table. */
typedef void lint_look(struct lint *l, const struct lint_rule *rule, const struct lint_place *at);
/* lint_text.c: names, spelling, FROM */
lint_look lint_stage_name_casing, lint_from_as_casing, lint_empty_continuation, lint_instruction_casing,
	lint_duplicate_stage_name, lint_reserved_stage_name, lint_maintainer, lint_undefined_arg_in_from,
	lint_redundant_target_platform, lint_invalid_default_arg, lint_const_platform, lint_definition_description;
/* lint_stage.c: what depends on variables, the base image and the context */
lint_look lint_json_args, lint_relative_workdir, lint_undefined_var, lint_multiple_instructions, lint_legacy_pairs,
	lint_base_platform, lint_secrets, lint_ignored_file, lint_expose_proto, lint_expose_format;

/* Find out which spelling most instructions of the file have (7.2, ConsistentInstructionCasing). */
bool lint_most_are_lower(const struct dockerfile *df);

#endif
