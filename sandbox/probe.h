/*
 * Probes of this host, for the doctor: each is tried for real, in a child, and leaves nothing behind. What a probe was
 * refused with is an errno or a struct err; diagnose.h gives it words.
 */
#ifndef WHITTLE_SANDBOX_PROBE_H
#define WHITTLE_SANDBOX_PROBE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "sandbox/holder.h"
#include "sandbox/idmap.h"

/* Of the process as it is, without a namespace. An int is 0, or the errno of the refusal. */
struct probe_host {
	int notify;           /* whether the kernel knows SECCOMP_RET_USER_NOTIF */
	int listener;         /* installing a listener */
	int tun;              /* opening /dev/net/tun */
	int landlock_abi;     /* 0: none */
	bool locks_unlimited; /* hard RLIMIT_LOCKS, which carries the marks of recorded ownership */
};
/* Run these probes in one child, which is given PROBE_SECONDS. Returns 0, or -1 and ERR_SYSTEM. */
int probe_host(struct probe_host *ret, struct err *err);
#define PROBE_SECONDS 10

/* Inside the namespaces of a holder. */
struct probe_inside {
	struct err overlay; /* an overlay in the store that takes files, renames and whiteouts; kind ERR_NONE: it works */
	int proc;           /* a fresh procfs in a pid namespace: 0 or the errno */
	int proc_fork;      /* the pid namespace itself */
};
/* The payload for probe_inside_run(): a folder, relative to the store, with the empty folders lower, upper and work. */
void probe_inside_put(const char *folder, struct strbuf *payload);
/* The body of a job that replies with a struct probe_inside. */
int probe_inside_run(struct job *job, struct err *err);

/*
 * Whether subordinate ids can be mapped: ranges are read, and newuidmap and newgidmap run on a child of ours.
 * Returns 0 and the map, or -1 and ERR_SANDBOX with the mend.
 */
int probe_subid(struct idmap *ret, struct err *err);

#define PROBE_CONTROLLERS_SIZE 256
/* The cgroup that this process is in. */
struct probe_cgroup {
	bool v2;                                  /* a cgroup2 holds this process and is mounted */
	bool writable;                            /* we may make cgroups below it */
	char controllers[PROBE_CONTROLLERS_SIZE]; /* that it may give to them: "cpu memory pids" */
	bool is_pi;                               /* the device tree says Raspberry Pi */
};
/* Read it; absent files are no error. root is a prefix, "" for this host. */
void probe_cgroup(const char *root, struct probe_cgroup *ret);
/* Whether a controller is in the list. */
bool probe_has_controller(const struct probe_cgroup *cg, const char *name);

#endif
