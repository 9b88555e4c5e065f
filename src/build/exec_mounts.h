/* RUN --mount when the step runs: locks of caches, secrets, agents, and the list that the sandbox attaches. */
#ifndef WHITTLE_BUILD_EXEC_MOUNTS_H
#define WHITTLE_BUILD_EXEC_MOUNTS_H

#include "base/digest.h"
#include "base/strv.h"
#include "build/agent_proxy.h"
#include "build/solve.h"
#include "sandbox/holder.h"
#include "sandbox/step_mounts.h"

#define EXEC_FDS_MAX (JOB_FDS_MAX - STEP_FDS_MAX - 1) /* besides those of the step and the stream of the job */

/* What one step is lent, from before it starts until it has ended. */
struct exec_mounts {
	struct step_mounts list;
	struct strv env; /* that of the step and what the mounts add */
	int fds[EXEC_FDS_MAX];
	size_t nfds;
	int *owned; /* locks of caches, the script */
	size_t nowned;
	struct agent_proxy **proxies;
	size_t nproxies;
};
#define EXEC_MOUNTS_INIT { .nfds = 0 }

/*
 * Get ready all that op's mounts need; tmp is the snapshot that the step will make. Waits for locked caches.
 * Returns 0, or -1 and *err: ERR_NOT_FOUND (`secret x: not found`, an agent), ERR_CANCELLED, ERR_SYSTEM, ERR_DISK and
 * what making trees raises. exec_mounts_release() in both cases.
 */
int exec_mounts_prepare(struct solver *s, struct op *op, const struct snapshot_tmp *tmp, struct exec_mounts *ret,
	struct err *err);
/* Give everything back. */
void exec_mounts_release(struct exec_mounts *m);
/*
 * The content of what op's mounts show, for its key (8.2, 8.3): images and parts of the context by the snapshots that
 * they are, stages by the files that are selected; caches, secrets and agents not at all.
 * Returns 0, or -1 and *err.
 */
int exec_mounts_digest(struct solver *s, const struct op *op, uint8_t ret[DIGEST_SIZE], struct err *err);

#endif
