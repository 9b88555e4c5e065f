/* The first process of a step, pid 1 of its namespaces, and the program that it starts (internal to step.c). */
#ifndef WHITTLE_SANDBOX_INIT_H
#define WHITTLE_SANDBOX_INIT_H

#include "sandbox/owner.h"
#include "sandbox/policy.h"
#include "sandbox/step.h"

/*
 * Where the supervisor mounts a tmpfs of ours until init covers it with the message queues, and the empty folder in it
 * that covers what a step must not see. Below the step's own fresh /dev: nothing of the image is on the way.
 */
#define STEP_FILES "dev/mqueue"
#define STEP_EMPTY "empty"

/* What init sends up its pipe: either the failure that kept the program from running, or how it ended. */
struct init_report {
	struct err err; /* kind ERR_NONE when the program ran */
	struct step_result result;
};

struct init_args {
	const struct step_spec *spec;
	const struct policy_program *policy;
	const struct user *user;
	const struct owner_filter *filter; /* recorded ownership */
	uint32_t ids;
	bool virtual_ids;    /* the program's ids are recorded, not the kernel's */
	struct owner *owner; /* for folders that are made here; NULL when there are none to make */
	int proc, mqueue;    /* file systems of these names that were made before, or -1 */
	int listener;        /* socket for owner_install() */
	int rootfd;          /* the root file system, attached in this mount namespace */
	int stdio[3];
	int report;     /* write end for one init_report */
	int mntns, netns;    /* namespaces of the supervisor to enter first, or -1: it is in them */
	int supervisor; /* read end of a pipe that the supervisor holds open: end of file means it died; or -1 */
};
#define INIT_ARGS_INIT { .proc = -1, .mqueue = -1, .mntns = -1, .netns = -1, .supervisor = -1 }

/*
 * Like fork(2), into the pid, ipc, uts and cgroup namespaces of a step, and where cgroup (a descriptor) is not -1 into
 * that cgroup.
 */
pid_t init_clone(int cgroup);
/* Make what init_args can hold ready: what cannot be made is left to init_main(). */
void init_make_mounts(struct init_args *args);

/*
 * Body of the process after clone(2): finish the mounts, pivot, start the program, reap until it ends, kill
 * what is left, report, exit.
 */
_Noreturn void init_main(const struct init_args *args);

#endif
