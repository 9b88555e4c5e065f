/* The system call policy of a step, as a table (spec/sandbox.md section 4); data only, see policy_table.c. */
#ifndef WHITTLE_SANDBOX_POLICY_TABLE_H
#define WHITTLE_SANDBOX_POLICY_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum verdict {
	VERDICT_ALLOW,
	VERDICT_EPERM,  /* known and forbidden */
	VERDICT_ENOSYS, /* known, forbidden, and libcs fall back to something we can filter */
};

/* A group of calls that share verdict and reason. */
struct policy_group {
	enum verdict verdict;
	const char *reason;
	const char *names; /* blank-separated; one unknown to the kernel's architecture is skipped */
};

/* Only the low 32 bits count: the kernel drops the high ones of an int, a 64-bit comparison is dodged (CVE-2019-10063). */
enum policy_test {
	TEST_EQUAL,   /* the argument is value */
	TEST_ANY_BIT, /* the argument has one of the bits of value */
};

/* A condition on one argument. Rows of one call stand together and are tried in their order. */
struct policy_argument {
	const char *name;
	const char *reason;
	unsigned arg; /* for clone(2) as most architectures have it; policy.c knows s390x */
	enum policy_test test;
	uint32_t value;
	enum verdict verdict; /* when the test holds */
};

/* The number of a call that libseccomp cannot name on an architecture; 0 is any. */
struct policy_number {
	const char *name;
	uint32_t audit_arch;
	int nr;
};

extern const struct policy_group policy_groups[];
extern const size_t policy_groups_len;
extern const struct policy_argument policy_arguments[];
extern const size_t policy_arguments_len;
extern const struct policy_number policy_numbers[];
extern const size_t policy_numbers_len;

#endif
