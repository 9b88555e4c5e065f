/*
 * Programs of other architectures, through a binfmt_misc instance that belongs to the build's user namespace
 * (spec/cross.md 1): nothing is registered on the host, nothing is mounted in a step.
 */
#ifndef WHITTLE_CROSS_BINFMT_H
#define WHITTLE_CROSS_BINFMT_H

#include "arch/arch.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "sandbox/holder.h"

/* The line for the register file: magic, mask, interpreter and the flags POCF. Appended to *line. */
void binfmt_format(const struct arch *a, const char *interpreter, struct strbuf *line);

/* Append the request for binfmt_run(): run programs of a by the qemu at path. */
void binfmt_put(const struct arch *a, const char *path, struct strbuf *payload);
/*
 * The in_holder job that registers one architecture. The first call creates the instance; the holder keeps its
 * detached mount until it ends: closing it would drop all handlers. Registering one twice is success.
 * Returns 0, or -1 and ERR_SANDBOX (with the kernel it needs), ERR_SYSTEM.
 */
int binfmt_run(struct job *job, struct err *err);

#endif
