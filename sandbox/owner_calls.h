/* Answers to the calls that a step's supervisor is asked about (spec/sandbox.md 3.6; internal to sandbox/owner*.c). */
#ifndef WHITTLE_SANDBOX_OWNER_CALLS_H
#define WHITTLE_SANDBOX_OWNER_CALLS_H

#include "sandbox/owner_asked.h"

/* The answer: a result (0 or more), -errno, ANSWER_CONTINUE or ANSWER_SENT. */
int64_t owner_answer(const struct asked *a);

/* Those about ids (owner_ids.c). */
int64_t owner_get_id(const struct asked *a);
int64_t owner_get_ids(const struct asked *a);
int64_t owner_get_groups(const struct asked *a);
int64_t owner_set_id(const struct asked *a);
int64_t owner_set_groups(const struct asked *a);
int64_t owner_umask(const struct asked *a);
int64_t owner_exec(const struct asked *a);
int64_t owner_chroot(const struct asked *a);
int64_t owner_prctl(const struct asked *a);
int64_t owner_peercred(const struct asked *a);

/* Those about what stat says (owner_stat.c). */
int64_t owner_stat(const struct asked *a);
int64_t owner_statx(const struct asked *a);

#endif
