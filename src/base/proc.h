/* Start another program and wait for it: newuidmap, git, a network helper. */
#ifndef WHITTLE_BASE_PROC_H
#define WHITTLE_BASE_PROC_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"

/*
 * Run argv[0] (looked up in PATH) with the environment of this process and stdin from /dev/null; both
 * of its outputs are appended to *output up to max bytes (the rest is read and dropped).
 * Returns its exit status (0..255, or 128 + signal), or -1 and *err: ERR_NOT_FOUND (no such program),
 * ERR_SYSTEM. Blocks. No descriptor but 0, 1, 2 reaches the program.
 */
int proc_run(const char *const argv[], struct strbuf *output, size_t max, struct err *err);

/* What a program may be given that reads what strangers wrote. */
struct proc_options {
	const char *const *env;              /* its whole environment, NULL-terminated; NULL: that of this process */
	mode_t mask;                         /* its umask; 0: that of this process */
	const volatile sig_atomic_t *cancel; /* non-zero: it is killed, and the result is ERR_CANCELLED; or NULL */
};
/*
 * proc_run() with options: the program leads a process group of its own that is killed as a whole, and dies with this
 * process. Raises ERR_CANCELLED besides.
 */
int proc_run_with(const char *const argv[], const struct proc_options *options, struct strbuf *output, size_t max,
	struct err *err);

#endif
