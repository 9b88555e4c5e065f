/* What the commands share: common options, the session, errors to people, exit statuses. */
#ifndef WHITTLE_CLI_CLI_H
#define WHITTLE_CLI_CLI_H

#include "base/err.h"
#include "base/strv.h"
#include "build/session.h"
#include "cli/options.h"

/* Exit statuses (design.md section 9). */
enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_DOCKERFILE = 3,
	EXIT_STEP = 4,
	EXIT_OOM = 5,
	EXIT_MISSING = 6,
	EXIT_NETWORK = 7,
	EXIT_DENIED = 8,
	EXIT_PUSH = 9,
	EXIT_SANDBOX = 10,
	EXIT_DISK = 11,
	EXIT_GATE = 12,
	EXIT_INTERRUPTED = 130,
};

/* One command with its operands; the tables of options stand in its file. */
struct command {
	const char *name;
	const char *operands; /* "[OPTIONS] PATH" */
	const char *summary;  /* one line for the list */
	int (*run)(const struct command *self, int argc, char **argv); /* returns the exit status */
};
extern const struct command command_build, command_run, command_pull, command_push, command_import, command_images,
	command_inspect, command_rmi, command_tag, command_prune, command_doctor, command_version, command_lint,
	command_dockerfile;

/* Options that every command takes. */
struct common {
	const char *root, *isolation, *progress;
	struct strv insecure;
	bool debug, offline;
};
extern struct common common;
extern const struct option_def common_options[];

/*
 * Parse the options of a command. Returns -1 to go on, or the exit status when the command is over: help was
 * printed, or a usage error was.
 */
int cli_options(const struct command *self, const struct option_def *own, int argc, char **argv, bool stop_at_operand,
	size_t min_operands, size_t max_operands, struct strv *operands);

/* From values of --build-arg, K=V or K alone, which stands for the environment's (unset: not given), to K=V. */
void cli_build_args(const struct strv *given, struct strv *ret);

/* Print "whittle: message" to stderr and return the exit status for err->kind. */
int cli_fail(const struct err *err);
/* The exit status for an error, without printing. */
int cli_status(const struct err *err);
/* Print text of n bytes from outside to out, control characters but newline and tab made harmless. */
void cli_put_safe(const char *text, size_t n, FILE *out);

/*
 * Open the session as the common options say, with signals that cancel it. argv: of main(). Returns 0, or -1
 * and *err.
 */
int cli_session_open(struct session *s, struct progress *progress, struct err *err);
/* The same with how root file systems are made (--storage); NULL: auto. */
int cli_session_open_with(struct session *s, struct progress *progress, const char *storage, struct err *err);
/* Close it and take the signal handlers off. */
void cli_session_close(struct session *s);
/* The signal that interrupted the command, or 0. */
int cli_signal(void);
/* argv of main(), to be blanked in the holder. */
extern char **cli_argv;

/* A listener that draws to stderr in the style of --progress (auto, plain, tty, quiet, rawjson). Owned by the
 * caller (progress_view_free). Returns NULL and ERR_USAGE for another style. */
struct progress *progress_view_new(const char *style, struct err *err);
/* Draw what is outstanding and free; accepts NULL. */
void progress_view_free(struct progress *p);

#endif
