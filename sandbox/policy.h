/* The seccomp filter of a step: compiled once per build from the policy table, loaded as bytes. */
#ifndef WHITTLE_SANDBOX_POLICY_H
#define WHITTLE_SANDBOX_POLICY_H

#include <stddef.h>

#include "base/err.h"

/*
 * Two filters, because a rule on an argument cannot say "anything but": the list of what is allowed, and on top of
 * it the refusals by argument, of which the kernel takes the stricter answer.
 */
struct policy_program {
	struct {
		unsigned short count; /* instructions of classic BPF, 8 bytes each */
		void *code;
	} filters[2];
};

/*
 * Compile the policy for the architecture that runs (and its 32-bit sibling): what an emulated program asks for
 * reaches the kernel as calls of the emulator, so the target platform does not matter here.
 * Returns the program, owned by the caller (policy_free), or NULL and ERR_SANDBOX.
 */
struct policy_program *policy_compile(struct err *err);
/*
 * Install the program for this process and what it will execute. Needs CAP_SYS_ADMIN in the user namespace or
 * no_new_privs. Returns 0, or -1 and ERR_SANDBOX.
 */
int policy_install(const struct policy_program *p, struct err *err);
/* Free; accepts NULL. */
void policy_free(struct policy_program *p);

#endif
