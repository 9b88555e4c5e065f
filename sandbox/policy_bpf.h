/* Rules by system call number to a classic BPF program (internal to policy.c and its test). */
#ifndef WHITTLE_SANDBOX_POLICY_BPF_H
#define WHITTLE_SANDBOX_POLICY_BPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/policy_table.h"

struct sock_filter;

/* What one call number gets. */
struct policy_rule {
	uint32_t nr;
	enum verdict verdict; /* when no row of args applies */
	const struct policy_argument *args; /* nargs rows, or NULL */
	size_t nargs;
	unsigned shift; /* added to the argument index of each row */
};

/* One architecture of a filter. */
struct policy_arch {
	uint32_t audit_arch;
	bool big_endian;
	const struct policy_rule *rules; /* sorted by nr, each once; any other number gets ENOSYS */
	size_t len;
};

/*
 * Assemble a program that answers for narchs architectures; one that is not among them gets ENOSYS.
 *   ret  receives at most max instructions
 * Returns how many, or 0 when they are more than max.
 */
size_t policy_bpf_assemble(const struct policy_arch *archs, size_t narchs, struct sock_filter *ret, size_t max);

#endif
