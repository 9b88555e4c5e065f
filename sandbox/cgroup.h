/*
 * Memory and processor limits of steps through cgroup v2, where a part of its tree is delegated to the user
 * (spec/sandbox.md section 6; cgroups(7)).
 *
 *   own group                      where this process was started; its controllers are switched on for its children
 *   ├─ whittle-PID                 this process: the kernel wants none beside children that have controllers
 *   ├─ whittle-PID-1               one per step, with its limits, removed after it
 *   └─ whittle-PID-2
 *
 * With a parent given, the steps' groups are made there and this process stays where it is.
 */
#ifndef WHITTLE_SANDBOX_CGROUP_H
#define WHITTLE_SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CGROUP_MOUNT "/sys/fs/cgroup"
#define CGROUP_SELF "/proc/self/cgroup"
#define CGROUP_PERIOD_US 100000 /* the kernel's own default */

struct cgroup_limits {
	uint64_t memory;        /* bytes; 0: none */
	int64_t memory_swap;    /* bytes of memory and swap together; 0: as much swap as memory; -1: any amount of swap */
	uint64_t cpu_quota_us;  /* of processor time per period; 0: none */
	uint64_t cpu_period_us; /* 0: CGROUP_PERIOD_US */
	const char *cpuset;     /* "0-3,7" or NULL; borrowed */
};

struct cgroup;

/* Whether any limit is set. */
bool cgroup_limits_any(const struct cgroup_limits *limits);
/*
 * Prepare for steps under limits. Moves this process, so it comes before the holder is forked.
 *   mount, self  CGROUP_MOUNT, CGROUP_SELF
 *   parent       a group below mount, as it would stand in self; NULL: the own group
 *   limits       says which controllers are needed; kept by reference
 * Returns the state, owned by the caller (cgroup_free), or NULL and ERR_SANDBOX: no cgroup v2, a group that is not
 * delegated, a controller that is missing, other processes in the way; each with its mend.
 */
struct cgroup *cgroup_new(const char *mount, const char *self, const char *parent, const struct cgroup_limits *limits,
	struct err *err);
/* Make the group of one step. Returns its folder's descriptor, owned by the caller, and its number in *ret; or -1 and
 * ERR_SANDBOX. Thread-safe. */
int cgroup_begin_step(struct cgroup *c, unsigned *ret, struct err *err);
/* How many processes of the group were killed for memory; 0 where the kernel does not say. */
uint64_t cgroup_oom_kills(int step);
/* Remove the group of a step whose processes are dead, or leave it to cgroup_free() where the last is still going. */
void cgroup_end_step(struct cgroup *c, unsigned number);
/* Remove what is left, go back to the own group, free; accepts NULL. The holder has ended. */
void cgroup_free(struct cgroup *c);

#endif
