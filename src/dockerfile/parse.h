/*
 * A whole Dockerfile: text to global arguments and stages (spec/dockerfile.md 1, 3.1 and 5.1).
 * Nothing is expanded and no image is looked up.
 */
#ifndef WHITTLE_DOCKERFILE_PARSE_H
#define WHITTLE_DOCKERFILE_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "dockerfile/instruction.h"

/* More than any generator writes; what follows keeps a graph over them. */
#define DOCKERFILE_STAGES_MAX 10000

/* 16 MiB would hold four million; a build of so many steps ends nowhere. */
#define DOCKERFILE_INSTRUCTIONS_MAX 100000

struct stage {
	const char *name;	     /* lower case, or NULL */
	const char *name_as_written; /* or NULL */
	const char *image;	     /* unexpanded */
	const char *platform;	     /* the flag, unexpanded, or NULL */
	struct instruction from;
	struct instruction *instructions; /* those behind the FROM */
	size_t ninstructions;
};

struct stage_name;

/* All strings and lists live in the arena, the instructions in an array of their own. */
struct dockerfile {
	struct arena arena;
	struct instruction *all; /* private: what global_args and stages point into */
	const char *file_name;
	char escape; /* '\\' or '`' */
	const char *
		syntax; /* value of the directive, or NULL; the reference ends at its first space */
	int syntax_line;
	const char *check; /* value of the directive, or NULL */
	int check_line;
	const struct instruction *global_args; /* the ARG instructions before the first FROM */
	size_t nglobal_args;
	struct stage *stages; /* at least one, unless partial */
	size_t nstages;
	bool partial; /* an instruction behind these is wrong (dockerfile_parse_prefix()) */
	const struct stage_name *names; /* index for dockerfile_find_stage() */
	size_t nnames;
};

/*
 * Parse a Dockerfile.
 *
 *   file_name  kept for messages ("Dockerfile")
 *   data, len  its bytes; not used after the call
 *   *ret_loc   on failure the lines to blame, 0 when there are none to show
 *
 * Returns the result, owned by the caller (dockerfile_free()); or NULL and *err, ERR_DOCKERFILE,
 * with the text of the spec, prefixed as 1.10.2 demands. Time and memory are linear in len; the
 * limits are those above and in lexer.h and grammar.h.
 */
struct dockerfile *dockerfile_parse(const char *file_name, const void *data, size_t len,
	struct dockerfile_location *ret_loc, struct err *err);

/*
 * The same for those who have something to say about what stands before a mistake: on failure *ret_prefix is the
 * instructions before the one that is wrong, owned by the caller, or NULL when the text cannot be split into
 * instructions. It may have no stage, and no instruction. NULL on success.
 */
struct dockerfile *dockerfile_parse_prefix(const char *file_name, const void *data, size_t len,
	struct dockerfile **ret_prefix, struct dockerfile_location *ret_loc, struct err *err);

/* Free everything; accepts NULL. */
void dockerfile_free(struct dockerfile *df);

/*
 * Parse an ONBUILD trigger as it stands in an image config: one instruction, perhaps with heredoc
 * bodies behind it. The escape character is the backslash.
 *
 *   *ret  in the arena, with line numbers counted in text; written on success only
 *
 * Returns 0; or -1 and *err, ERR_DOCKERFILE, without prefix: the errors of any instruction, not
 * exactly one instruction, or one that no trigger may be (FROM, ONBUILD).
 */
int dockerfile_parse_instruction(
	struct arena *arena, const char *text, struct instruction *ret, struct err *err);

/*
 * The index of the last stage before index before (nstages: any stage) whose lower-case name is
 * exactly name, or -1. FROM compares names so: "FROM Base" does not find a stage declared AS Base
 * (3.1.4).
 */
int dockerfile_find_stage(const struct dockerfile *df, const char *name, size_t before);

/* The same with name in any case, as COPY --from, mounts and the target compare it. */
int dockerfile_find_stage_any_case(const struct dockerfile *df, const char *name, size_t before);

/*
 * Append the source excerpt of 1.10.4 for loc to out: a header, lines around with numbers, a
 * footer. Works on the raw text, so also when it cannot be parsed; nothing is appended when loc is
 * 0 or beyond the text. Long lines are cut, long ranges shortened, control characters replaced by
 * '?'.
 */
void dockerfile_excerpt(const char *file_name, const void *data, size_t len,
	const struct dockerfile_location *loc, struct strbuf *out);

#endif
