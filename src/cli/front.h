/* What the commands that only look at a Dockerfile share: reading it, showing build checks, outlines and targets. */
#ifndef WHITTLE_CLI_FRONT_H
#define WHITTLE_CLI_FRONT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/doc.h"
#include "base/err.h"
#include "base/strv.h"
#include "dockerfile/lint.h"

enum front_what { FRONT_BUILD, FRONT_CHECK, FRONT_OUTLINE, FRONT_TARGETS, FRONT_DESCRIBE };
enum front_format { FRONT_TEXT, FRONT_JSON, FRONT_SARIF };

/* What --call asks for (dockerfile.md 9.6). */
struct front_call {
	enum front_what what;
	enum front_format format;
	bool ignore_status; /* findings are no failure */
};

/*
 * Read "NAME[,format=text|json][,ignorestatus=BOOL]"; a format is known by its name alone too.
 * Returns 0, or -1 and ERR_USAGE.
 */
int front_call_parse(const char *text, struct front_call *ret, struct err *err);
/* The format called name. Returns 0, or -1 and ERR_USAGE. */
int front_format_parse(const char *name, enum front_format *ret, struct err *err);

/* Where the Dockerfile is, and what a build would be given. */
struct front_options {
	const char *context, *file; /* as for context_open() */
	const char *target;
	const struct strv *build_args;
	const struct platform *platform; /* NULL: the host's */
};

/*
 * Do what call says, without store, network or sandbox; call->what is not FRONT_BUILD. The result goes to stdout, what
 * makes the file fail to stderr. Returns the exit status: EXIT_GATE for findings, EXIT_DOCKERFILE for a wrong file.
 */
int front_run(const struct front_call *call, const struct front_options *options);

/* A Dockerfile, as findings are shown in it. */
struct front_source {
	const char *name;
	const char *text;
	size_t len;
};

/* Print all findings, each with its source. */
void front_print_findings(const struct lint_result *r, const struct front_source *source, FILE *out);
/* The same as JSON, with the error if there is one. */
void front_print_findings_json(const struct lint_result *r, const struct front_source *source, FILE *out);
/* The same as SARIF 2.1.0. */
void front_print_findings_sarif(const struct lint_result *r, const struct front_source *source, FILE *out);
/* What a build says of them when it has ended: a line for each; with details, all of them. */
void front_print_summary(const struct lint_result *r, const struct front_source *source, bool details, FILE *out);

/* Print the outline of a stage. Returns the exit status; an error was printed. */
int front_outline(const struct walk_options *options, const struct front_source *source, enum front_format format);
/* Print the stages that --target takes. Returns the exit status; an error was printed. */
int front_targets(const struct dockerfile *df, const struct front_source *source, enum front_format format);

/* Print the message of err and the lines it blames to stderr. Returns the exit status. */
int front_fail(const struct err *err, const struct dockerfile_location *loc, const struct front_source *source);
/* Print a document, indented, with a newline, and free it. */
void front_print_doc(struct doc *doc, FILE *out);
/* {"ranges": [...]}: the lines of loc, one range each. */
struct doc *front_doc_location(const struct dockerfile_location *loc);
/* [{"filename", "language", "data"}]. */
struct doc *front_doc_sources(const struct front_source *source);

#endif
