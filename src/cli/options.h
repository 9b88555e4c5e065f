/* Command line options as tables: parsing and the help text come from the same lines. */
#ifndef WHITTLE_CLI_OPTIONS_H
#define WHITTLE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/strv.h"

enum option_kind {
	OPTION_FLAG,    /* bool: --x, --x=true, --x=false */
	OPTION_STRING,  /* const char *: the last one wins */
	OPTION_LIST,    /* struct strv: every one is appended */
	OPTION_REFUSED, /* known from other builders; help says what to use instead */
	OPTION_END,     /* to: a table of options that several commands share, or NULL */
};

struct option_def {
	enum option_kind kind;
	char letter;      /* 0: none */
	const char *name; /* without dashes */
	const char *arg;  /* "NAME" in the help; NULL for flags */
	const char *help; /* NULL: not shown */
	void *to;         /* bool, const char * or struct strv */
};
#define OPTIONS_TABLES_MAX 3

/*
 * Parse argv[1...] by the tables (ended by OPTION_END); what is no option goes to operands, all after "--" too.
 * With stop_at_operand the first operand ends the options: what follows belongs to another program.
 * Returns 0, 1 when --help was asked for, or -1 and ERR_USAGE (with "did you mean").
 */
int options_parse(const struct option_def *const tables[OPTIONS_TABLES_MAX], int argc, char **argv,
	bool stop_at_operand, struct strv *operands, struct err *err);
/* Print the options of the tables, two columns, at most 80 wide. */
void options_help(const struct option_def *const tables[OPTIONS_TABLES_MAX], FILE *out);

#endif
