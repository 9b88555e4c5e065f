/* The seccomp filter of a step: assembled once per build from the policy table, loaded as bytes. */
#ifndef WHITTLE_SANDBOX_POLICY_H
#define WHITTLE_SANDBOX_POLICY_H

#include <stddef.h>

#include "base/err.h"

struct arch;

struct policy_program {
	unsigned short count; /* instructions of classic BPF, 8 bytes each */
	void *code;
};

/*
 * Compile the policy for the architecture that runs (and its 32-bit sibling): what an emulated program asks for
 * reaches the kernel as calls of the emulator, so the target platform does not matter here.
 * Nothing is kept on disk: it takes a quarter of a millisecond, a file would have to be distrusted and checked.
 * Returns the program, owned by the caller (policy_free), or NULL and ERR_SANDBOX.
 */
struct policy_program *policy_compile(struct err *err);
/* The same for any architecture: to look at and to simulate, installed here it would refuse every call. */
struct policy_program *policy_compile_for(const struct arch *arch, struct err *err);
/*
 * Install the program for this process and what it will execute. Needs CAP_SYS_ADMIN in the user namespace or
 * no_new_privs. Returns 0, or -1 and ERR_SANDBOX.
 */
int policy_install(const struct policy_program *p, struct err *err);
/* Free; accepts NULL. */
void policy_free(struct policy_program *p);

#endif
