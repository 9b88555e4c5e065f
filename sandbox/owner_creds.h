/*
 * Virtual credentials: who a process of a step believes to be, where the build has one id (spec/sandbox.md 3.5).
 * The rules are those of credentials(7), with CAP_SETUID, CAP_SETGID and CAP_CHOWN held by an effective uid 0.
 *
 * What a process has is an index into a table, and the index lives in the kernel, in a per-process slot that fork and
 * exec hand on and that nothing else uses: the soft limit RLIMIT_LOCKS, without meaning since Linux 2.4. So no table of
 * processes is kept here, and none can be stale.
 */
#ifndef WHITTLE_SANDBOX_OWNER_CREDS_H
#define WHITTLE_SANDBOX_OWNER_CREDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CREDS_MAX 8192          /* different credentials in one step; a process that needs more gets EAGAIN */
#define CREDS_GROUPS_MAX 65536  /* NGROUPS_MAX of the kernel */
#define CREDS_GROUPS_TOTAL (4u << 20) /* of all credentials of a step: 16 MiB */
#define CREDS_UNCHANGED UINT32_MAX /* the (uid_t)-1 of setresuid(2) and chown(2) */

enum creds_flags {
	CREDS_KEEPCAPS = 1 << 0,     /* PR_SET_KEEPCAPS */
	CREDS_PRIVILEGED = 1 << 1,   /* kept its capabilities while it left uid 0 */
	CREDS_FOREIGN_ROOT = 1 << 2, /* did chroot(2): its absolute paths are not the step's */
};

struct creds {
	uint32_t ruid, euid, suid, fsuid;
	uint32_t rgid, egid, sgid, fsgid;
	uint32_t umask;
	unsigned flags;
	size_t ngroups;
	const uint32_t *groups; /* borrowed; of the table once interned */
};
#define CREDS_ROOT { .umask = 022 }

/* Whether it may give files away, take any id, set groups. */
bool creds_privileged(const struct creds *c);
/* Whether files that it makes belong to somebody else than 0:0. */
bool creds_makes_foreign(const struct creds *c);
/* Whether gid is its file-system group or among its groups. */
bool creds_in_group(const struct creds *c, uint32_t gid);

/*
 * The calls, on *c. Each returns 0, or -EPERM or -EINVAL with *c untouched; fsuid and fsgid return the id before, as
 * the calls do.
 */
int creds_setuid(struct creds *c, uint32_t uid);
/* setgid(2). */
int creds_setgid(struct creds *c, uint32_t gid);
/* setreuid(2). */
int creds_setreuid(struct creds *c, uint32_t ruid, uint32_t euid);
/* setregid(2). */
int creds_setregid(struct creds *c, uint32_t rgid, uint32_t egid);
/* setresuid(2). */
int creds_setresuid(struct creds *c, uint32_t ruid, uint32_t euid, uint32_t suid);
/* setresgid(2). */
int creds_setresgid(struct creds *c, uint32_t rgid, uint32_t egid, uint32_t sgid);
/* setfsuid(2). */
uint32_t creds_setfsuid(struct creds *c, uint32_t uid);
/* setfsgid(2). */
uint32_t creds_setfsgid(struct creds *c, uint32_t gid);
/* setgroups(2); groups is borrowed. */
int creds_setgroups(struct creds *c, const uint32_t *groups, size_t n);
/* execve(2) of a file with this mode and owner, of which only the set-id bits count. */
void creds_exec(struct creds *c, unsigned mode, uint32_t uid, uint32_t gid);

/* ---- the table ---- */

struct creds_table; /* append-only; shared by the threads of a supervisor */

/* A new one, whose entry 0 is root; never NULL. */
struct creds_table *creds_table_new(void);
/* Free; accepts NULL. */
void creds_table_free(struct creds_table *t);
/* The number of these credentials, taken up if new. Returns it, or -1 when the table is full. */
int creds_intern(struct creds_table *t, const struct creds *c);
/* Credentials by number; those of root for a number that nobody gave out. Never NULL. */
const struct creds *creds_get(const struct creds_table *t, unsigned number);

/* The value of the soft limit for a number. */
uint64_t creds_to_limit(unsigned number);
/* The number of such a value; 0, which is root, for one that is no number of ours. */
unsigned creds_from_limit(uint64_t limit);

#endif
