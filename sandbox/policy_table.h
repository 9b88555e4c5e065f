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

/*
 * A condition on one argument. Only the low 32 bits count: the kernel drops the high ones of an int, so a
 * 64-bit comparison could be dodged (CVE-2019-10063).
 */
struct policy_argument {
	const char *name;
	const char *reason;
	unsigned arg;
	uint32_t mask, value; /* applies when (argument & mask) == value */
	enum verdict verdict;
};

extern const struct policy_group policy_groups[];
extern const size_t policy_groups_len;
extern const struct policy_argument policy_arguments[];
extern const size_t policy_arguments_len;

#endif
