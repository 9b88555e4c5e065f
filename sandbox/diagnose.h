/*
 * Why the host refused a step of the sandbox, and what mends it: one table from (step, errno, tell-tale) to words
 * (spec/sandbox.md 1.6). The tell-tales are read at the moment of the question; nothing is guessed from the name of a
 * distribution. A refused build and the doctor say the same line because both ask here.
 */
#ifndef WHITTLE_SANDBOX_DIAGNOSE_H
#define WHITTLE_SANDBOX_DIAGNOSE_H

#include <stdbool.h>

#include "base/err.h"
#include "sandbox/mend.h"

/* What was refused; a row of the table may be about several. */
enum diagnose_step {
	DIAGNOSE_CLONE = 1 << 0,      /* creating the user and mount namespace */
	DIAGNOSE_MAP = 1 << 1,        /* writing its ID map from outside */
	DIAGNOSE_ENTER = 1 << 2,      /* becoming root of it, making its mounts private */
	DIAGNOSE_MOUNT = 1 << 3,      /* tmpfs, devpts, binds */
	DIAGNOSE_OVERLAY = 1 << 4,    /* subject: the folder of the store */
	DIAGNOSE_PROC = 1 << 5,       /* a fresh procfs */
	DIAGNOSE_NAMESPACES = 1 << 6, /* mount, pid, ipc, uts, cgroup, net namespaces of a step */
	DIAGNOSE_FILTER = 1 << 7,     /* installing the system call filter */
	DIAGNOSE_LISTENER = 1 << 8,   /* a seccomp listener */
	DIAGNOSE_NO_HELPER = 1 << 9,  /* newuidmap is not in PATH */
	DIAGNOSE_NO_NEW_PRIVS = 1 << 10,
	DIAGNOSE_NO_RANGE = 1 << 11,  /* subject: the file without one */
	DIAGNOSE_HELPER = 1 << 12,    /* newuidmap ran and refused; subject: what it said */
	DIAGNOSE_BINFMT = 1 << 13,    /* a binfmt_misc instance of the namespace's own */
	DIAGNOSE_TUN = 1 << 14,
	DIAGNOSE_RIGHTS = 1 << 15,    /* giving up capabilities and ids, under our own filter already */
	DIAGNOSE_THREAD = 1 << 16,    /* starting a thread */
};

struct refusal {
	enum diagnose_step step;
	int sys;             /* the errno, or 0 where there is none */
	const char *subject; /* see the steps; may be NULL */
	const char *root;    /* prefix of the files that tell: "" for this host; tests put a tree of their own there */
};

struct diagnosis {
	const char *id;   /* short name of the row, for programs; "" when no row fits */
	char cause[512];  /* one clause */
	enum mend mend;
	char detail[256]; /* for mend_format() */
};

/* Find the first row that fits. Returns whether one does; *ret is empty otherwise. Reads files, forks, never hangs. */
bool diagnose_find(const struct refusal *refusal, struct diagnosis *ret);

/*
 * Explain *err, raised just now for step with the errno in err->sys: append the cause and the mend, and make it
 * ERR_SANDBOX. An error of another origin (no errno, another kind than ERR_SYSTEM, ERR_SANDBOX or, for an exhausted
 * limit, ERR_DISK) or one without a row is left as it is, except that EPERM, EACCES and ENOSYS are ERR_SANDBOX in any
 * case. Returns -1.
 * In a step that has entered its root file system the tell-tales are still the kernel's (/proc is its own); rows of
 * those steps have no mend that looks a user up.
 */
int diagnose(enum diagnose_step step, const char *subject, struct err *err);

/* Row i of the table by its id, or NULL past the end; for the test that every row has one of its own. */
const char *diagnose_row_id(size_t i);

#endif
