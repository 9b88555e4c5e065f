/* Landlock for the program of a step (spec/sandbox.md section 6): what namespaces do not separate. */
#ifndef WHITTLE_SANDBOX_LANDLOCK_H
#define WHITTLE_SANDBOX_LANDLOCK_H

#include "base/err.h"

#define LANDLOCK_ABI_SCOPES 6 /* Linux 6.12: the first that can scope abstract sockets and signals */

/* The version of Landlock of this kernel, or 0 where it has none or it is switched off. */
int landlock_abi(void);

/*
 * Keep this process, and what it will execute, away from abstract unix sockets made outside, which in the host's
 * network namespace are those of the desktop and of container managers (CVE-2020-15257), and from signalling outside.
 * Needs CAP_SYS_ADMIN in the user namespace or no_new_privs. No file system rights are taken: README.md says why.
 * Returns 1 when it is in force, 0 where this kernel cannot do it (an ABI below LANDLOCK_ABI_SCOPES), or -1 and
 * ERR_SANDBOX.
 */
int landlock_scope(struct err *err);

#endif
