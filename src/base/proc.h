/* Start another program and wait for it: newuidmap, git, a network helper. */
#ifndef WHITTLE_BASE_PROC_H
#define WHITTLE_BASE_PROC_H

#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

/*
 * Run argv[0] (looked up in PATH) with the environment of this process and stdin from /dev/null; both
 * of its outputs are appended to *output up to max bytes (the rest is read and dropped).
 * Returns its exit status (0..255, or 128 + signal), or -1 and *err: ERR_NOT_FOUND (no such program),
 * ERR_SYSTEM. Blocks. No descriptor but 0, 1, 2 reaches the program.
 */
int proc_run(const char *const argv[], struct strbuf *output, size_t max, struct err *err);

#endif
