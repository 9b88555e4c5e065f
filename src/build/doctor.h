/*
 * What this host offers a build, each capability tried for real: the checks behind `whittle doctor`. The verdict is a
 * step that ran from request to exit status, by the code that runs the steps of builds.
 */
#ifndef WHITTLE_BUILD_DOCTOR_H
#define WHITTLE_BUILD_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"
#include "sandbox/idmap.h"
#include "sandbox/mend.h"

enum check_state { CHECK_OK, CHECK_LIMITED, CHECK_MISSING };

#define CHECK_NAME_SIZE 32

struct check {
	char name[CHECK_NAME_SIZE]; /* "subordinate ids" */
	enum check_state state;
	char *text;          /* what was found, or why it is not there */
	const char *without; /* what builds do without it; NULL when it is ok, or when nothing works */
	char *mend;          /* a command or advice; NULL when there is none */
	bool is_command;
};

struct doctor_options {
	const char *root;            /* of the store; NULL: store_default_root() */
	enum isolation isolation;
	const char *registry;        /* HOST[:PORT] to ask; or NULL */
	const struct strv *insecure; /* registries without TLS; or NULL */
	bool offline;
	char **argv;                 /* of main(), to be blanked in the holder; or NULL */
};

struct doctor_report {
	struct check *checks; /* in the order they are to be shown */
	size_t n, cap;
	struct err refusal;   /* ERR_NONE: builds work; else what a build here ends with, word for word */
};

/* Run all checks. The caller has one thread. The store is made where it is missing, as a build would. */
void doctor_run(const struct doctor_options *options, struct doctor_report *ret);
/* Free what the report owns. */
void doctor_report_release(struct doctor_report *report);

#endif
