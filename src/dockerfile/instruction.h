/* One instruction of a Dockerfile, parsed and checked, not expanded (spec/dockerfile.md 1 and 3).
 */
#ifndef WHITTLE_DOCKERFILE_INSTRUCTION_H
#define WHITTLE_DOCKERFILE_INSTRUCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum instruction_kind {
	INSTRUCTION_FROM,
	INSTRUCTION_ARG,
	INSTRUCTION_ENV,
	INSTRUCTION_LABEL,
	INSTRUCTION_WORKDIR,
	INSTRUCTION_COPY,
	INSTRUCTION_ADD,
	INSTRUCTION_RUN,
	INSTRUCTION_CMD,
	INSTRUCTION_ENTRYPOINT,
	INSTRUCTION_USER,
	INSTRUCTION_EXPOSE,
	INSTRUCTION_VOLUME,
	INSTRUCTION_STOPSIGNAL,
	INSTRUCTION_SHELL,
	INSTRUCTION_HEALTHCHECK,
	INSTRUCTION_ONBUILD,
	INSTRUCTION_MAINTAINER,
	INSTRUCTION_UNKNOWN, /* only while parsing, never in a result */
};

/* Lines of the file, from 1; both 0 when there is no place to point at. */
struct dockerfile_location {
	int first_line, last_line;
};

/* A document in the lines behind an instruction (1.8). */
struct heredoc {
	const char *name;    /* the delimiter without quotes and escapes */
	const char *content; /* NUL-terminated and without other NUL bytes */
	size_t len;	     /* bytes of content */
	bool expand; /* the delimiter was not quoted: expand with EXPAND_SKIP_QUOTES and '\\' */
	bool chomp;  /* "<<-" */
	unsigned fd; /* the number before "<<", 0 without one; only a shell cares */
};

/* A flag in written order; a boolean's value is "true" or "false". */
struct flag {
	const char *name;  /* without dashes */
	const char *value; /* unexpanded; "" for none */
	bool has_value;	   /* "=" was there */
};

struct instruction {
	enum instruction_kind kind;
	const char *name; /* as written */
	const char
		*original; /* the logical line: continuations joined, heredoc bodies not included */
	int first_line, last_line; /* physical lines, heredoc terminators included */

	const struct flag
		*flags; /* none for ARG, STOPSIGNAL and HEALTHCHECK NONE, which ignore them */
	size_t nflags;

	/*
	 * Unexpanded words; strings decoded from JSON where json is set.
	 *   FROM           IMAGE, or IMAGE "as" NAME (see struct stage)
	 *   COPY, ADD      sources that are no heredocs, then the destination: at least the
	 * destination RUN            json: the argument vector. Else one string, the last argument
	 * of the shell: the command, with its heredocs where it has any (1.8.7); but see
	 * script_name CMD, ENTRYPOINT  json: the argument vector, may be empty. Else one string,
	 * may be "" SHELL          the argument vector (json is always set) HEALTHCHECK    "NONE",
	 * or "CMD" and then the argument vector (json) or one string ONBUILD        one string, the
	 * trigger as it is stored in the config others         as the spec has them, at least one
	 */
	const char *const *args;
	size_t nargs;
	bool json;

	/* ENV, LABEL, ARG: nkeys pairs, unexpanded; a value is NULL for an ARG without default. */
	const char *const *keys;
	const char *const *values;
	size_t nkeys;
	bool legacy; /* "ENV key value" */

	/*
	 * COPY, ADD: the sources that are heredocs, as files called by their name, content already
	 * stripped of tabs. RUN, ONBUILD: all documents as written.
	 */
	const struct heredoc *heredocs;
	size_t nheredocs;
	/* RUN of one heredoc that begins with "#!": args[0] is a file of this name to run, not
	 * shell text. */
	const char *script_name;

	/* ONBUILD: the inner instruction, or NULL when it is not valid, which matters only when it
	 * fires. */
	const struct instruction *trigger;

	bool empty_continuation;     /* a blank line inside (check NoEmptyContinuation) */
	const char *const *comments; /* attached description comments, oldest first (1.11) */
	size_t ncomments;
};

/* The name of a kind in upper case ("HEALTHCHECK"); never NULL. */
const char *instruction_kind_name(enum instruction_kind kind);

/* The kind called name in any case, or INSTRUCTION_UNKNOWN. */
enum instruction_kind instruction_kind_find(const char *name);

/* All names in upper case, for suggestions; *ret_n of them. */
const char *const *instruction_kind_names(size_t *ret_n);

/* The value of the first flag called name (no dashes), or NULL when it is not there. */
const char *instruction_flag(const struct instruction *in, const char *name);

/* The value of the index-th flag called name, counted from 0, or NULL: for flags that may be
 * repeated. */
const char *instruction_flag_at(const struct instruction *in, const char *name, size_t index);

/* Whether the boolean flag called name is there and true. */
bool instruction_flag_is_set(const struct instruction *in, const char *name);

/*
 * Parse a duration of a HEALTHCHECK flag: decimal numbers with units ns us ms s m h, one after the
 * other, an optional sign in front, or just "0"; "" is 0. *ret_ns is in nanoseconds. Returns 0, or
 * -1 for anything else and for what does not fit.
 */
int instruction_duration(const char *text, int64_t *ret_ns);

#endif
