/* Answers to the calls that a step's supervisor is asked about (spec/sandbox.md 3.6; internal to sandbox/owner*.c). */
#ifndef WHITTLE_SANDBOX_OWNER_CALLS_H
#define WHITTLE_SANDBOX_OWNER_CALLS_H

#include "sandbox/owner_asked.h"

/* The answer: a result (0 or more), -errno, ANSWER_CONTINUE or ANSWER_SENT. */
int64_t owner_answer(const struct asked *a);

/* ---- ids (owner_ids.c); each answers as owner_answer() ---- */

/* getuid, geteuid, getgid, getegid and their old forms. */
int64_t owner_get_id(const struct asked *a);
/* getresuid and getresgid: the three ids, into memory of the process. */
int64_t owner_get_ids(const struct asked *a);
/* getgroups. */
int64_t owner_get_groups(const struct asked *a);
/* The calls that set ids, by the rules of creds_set*(). */
int64_t owner_set_id(const struct asked *a);
/* setgroups. */
int64_t owner_set_groups(const struct asked *a);
/* umask: followed, for what is made on behalf of the process. */
int64_t owner_umask(const struct asked *a);
/* execve and execveat: set-id bits count by the recorded owner. */
int64_t owner_exec(const struct asked *a);
/* chroot: the kernel does it; from then on paths of the process are not those of the step. */
int64_t owner_chroot(const struct asked *a);
/* prctl: keep-capabilities is noted, the kernel does the rest. */
int64_t owner_prctl(const struct asked *a);
/* getsockopt for SO_PEERCRED. */
int64_t owner_peercred(const struct asked *a);

/* ---- what stat says (owner_stat.c); the same ---- */

/* The calls that fill a struct stat. */
int64_t owner_stat(const struct asked *a);
/* statx. */
int64_t owner_statx(const struct asked *a);

#endif
