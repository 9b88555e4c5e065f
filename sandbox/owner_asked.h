/*
 * One question of the kernel to the supervisor of a step: a call of one of its processes, its arguments, its memory
 * (internal to sandbox/owner*.c; spec/sandbox.md 3.7).
 *
 * All of it is hostile and may change between look and use. That is harmless by construction: the sandbox holds without
 * the answers, which only say who owns what inside the step.
 */
#ifndef WHITTLE_SANDBOX_OWNER_ASKED_H
#define WHITTLE_SANDBOX_OWNER_ASKED_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/owner_creds.h"
#include "sandbox/owner_filter.h"
#include "sandbox/owner_table.h"

struct seccomp_notif;

/* Answers besides a result (0 or more) and -errno. */
#define ANSWER_CONTINUE INT64_MAX      /* the kernel is to do it, with the real arguments */
#define ANSWER_SENT (INT64_MAX - 1)    /* given already */

#define OWNER_THREADS_MAX 4

struct owner {
	const struct owner_filter *filter;
	struct owner_index *index;
	struct owner_table *table;
	struct creds_table *creds;
	uint32_t ids;            /* ids below it exist in the user namespace */
	uint64_t root_dev, store_dev; /* where records may be written as attributes */
	int listener;
	bool flat;
	const char *folder; /* owner_look_in(), or NULL */

	pthread_t threads[OWNER_THREADS_MAX];
	int nthreads;
	unsigned alone; /* questions that no thread answered */
	_Atomic bool stop;
	bool reader_wakes; /* the kernel wakes a waiting reader when the last process is gone (Linux 6.6) */
	mode_t umask_before;
};

struct asked {
	struct owner *o;
	const struct seccomp_notif *n;
	const struct owner_call *call;
	const struct owner_arch *arch;
	pid_t pid;
};

/* The argument at a position of the call's table entry; 0 for NO_ARG. */
uint64_t asked_arg(const struct asked *a, int position);
/* The same as an id: on 32-bit architectures the old calls have ids of 16 bits. */
uint32_t asked_id(const struct asked *a, int position);

/* Memory of the process. Return 0, or -EFAULT (also for the time before its first exec, when its memory is sealed). */
int asked_read(const struct asked *a, uint64_t address, void *buf, size_t n);
/* The same, into it. */
int asked_write(const struct asked *a, uint64_t address, const void *buf, size_t n);
/* A string of less than size bytes. Returns 0, -EFAULT or -ENAMETOOLONG. */
int asked_read_string(const struct asked *a, uint64_t address, char *buf, size_t size);
/* Whether the question still stands: its process may have died, and the number belong to another. */
bool asked_stands(const struct asked *a);

/* Who the process believes to be. Returns a pointer of the table, never NULL. */
const struct creds *asked_creds(const struct asked *a);
/* Change that. Returns 0, or -EAGAIN (the table is full), -ESRCH. */
int asked_set_creds(const struct asked *a, const struct creds *c);

/* A number in a line of /proc/PID/status ("\nUmask:"), in a base; the last on the line. Returns -1 where there is none. */
long asked_status(pid_t pid, const char *key, int base);

/* What a path of the process is for us: relative to the host's /proc, which is our working directory. */
struct place {
	char path[PATH_MAX + 64];
	int flags; /* AT_SYMLINK_NOFOLLOW or 0 */
	int fd;    /* one that path goes through, or -1: place_release() */
};
#define PLACE_INIT { .fd = -1 }

/*
 * Where (dirfd, path) of the process leads. at: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH.
 * Returns 0, or -errno; ANSWER_CONTINUE for what only the kernel can tell (files of procfs, bad pointers).
 */
int64_t place_find(const struct asked *a, int dirfd_at, int path_at, int at, struct place *ret);
/* As place_find() of the folder that the last component of the path is in; *name (in buf) gets that component. */
int64_t place_find_parent(const struct asked *a, int dirfd_at, int path_at, struct place *ret, char name[NAME_MAX + 1]);
/* Close what the place holds. */
void place_release(struct place *p);

/* An object: what the file system says of it, and its record. */
struct object {
	struct statx sx;
	struct owner_record record;
	bool recorded;
	uint32_t uid, gid; /* whose it is */
};

/* Look at what is there; mask: further STATX_* bits. Returns 0 or -errno. */
int object_look(const struct asked *a, const struct place *p, unsigned mask, struct object *ret);
/*
 * Give it to uid:gid (CREDS_UNCHANGED: keep that one): in the file system as far as the ids exist there, always, since
 * that fails where it must and clears set-id bits and capabilities; and by a record where it does not say it, or where
 * `always` wants one. ob->record.type, major and minor go along. Returns 0 or -errno.
 */
int object_give(const struct asked *a, const struct place *p, struct object *ob, uint32_t uid, uint32_t gid, bool always);

#endif
