/* Finding a qemu-user that can stand behind binfmt_misc (spec/cross.md 2.1). */
#ifndef WHITTLE_CROSS_QEMU_H
#define WHITTLE_CROSS_QEMU_H

#include "arch/arch.h"
#include "base/err.h"
#include "base/strv.h"

/*
 * Look for a qemu-user of architecture a: $WHITTLE_QEMU_DIR, then PATH, then /usr/bin, in the order of the names
 * in the table. Only a statically linked one will do: its loader would be looked up in the step's root.
 * Returns its path, owned by the caller, or NULL and ERR_NOT_FOUND with the package to install.
 */
char *qemu_find(const struct arch *a, struct err *err);

/*
 * Refuse an environment that would make qemu-user do something else than run the program: with QEMU_VERSION set every
 * emulated program prints a version and "succeeds" (spec/cross.md 2.4).
 * Returns 0, or -1 and ERR_UNSUPPORTED naming the variable.
 */
int qemu_check_env(const struct strv *env, struct err *err);

#endif
