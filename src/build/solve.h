/* Running the operations of a plan that are needed, several at once (dockerfile.md 8; design.md section 5, "Graph"). */
#ifndef WHITTLE_BUILD_SOLVE_H
#define WHITTLE_BUILD_SOLVE_H

#include <pthread.h>

#include "build/build.h"
#include "build/context.h"
#include "build/plan.h"
#include "build/secrets.h"

#define STEP_LOG_TAIL (16u << 10) /* bytes of the end of a step's log that are kept for the error */

struct solver {
	struct session *session;
	const struct context *context;
	const struct plan *plan;
	struct layer_want want; /* how layers are made that nobody enters */
	unsigned width;         /* operations at once */
	const struct secrets *secrets;
	const struct agents *agents;
	struct build_result *result;
	/* private */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool failed;
	bool told_flat;     /* some step could not keep owners: said once */
	bool told_unscoped; /* abstract sockets are in reach of steps: said once */
	struct err err;
	unsigned running;
	struct strv emptied; /* caches that this build has begun anew */
};

/*
 * Bring the tree of every target into the store. Returns 0, or -1 and the first failure in *err, with its
 * place, step and log in s->result; what else was under way has been stopped.
 */
int solve(struct solver *s, struct err *err);

/* The pieces, one per kind; called without the lock. Each sets op->snapshot. */
int exec_image(struct solver *s, struct op *op, struct err *err);
/* Run a step and make a snapshot of what it wrote. */
int exec_run(struct solver *s, struct op *op, struct err *err);
/* Copy in a worker; into a folder when a step will enter it, else straight into a layer. */
int exec_copy(struct solver *s, struct op *op, struct err *err);
/* Of a COPY --from whose source ran again: whether a copy of the same content is known. 1, 0, or -1 and *err. */
int exec_copy_known(struct solver *s, struct op *op, struct err *err);

/* Of a RUN with mounts whose trees were made again: whether a run over the same content is known. 1, 0, or -1 and *err. */
int exec_run_known(struct solver *s, struct op *op, struct err *err);

/* Cache keys by content: self, the snapshots of the tree below, and content (DIGEST_SIZE bytes, or NULL). */
void solve_content_key(const struct op *op, const char *purpose, const uint8_t *content, uint8_t ret[DIGEST_SIZE]);
/* Remember op's snapshot under its keys; content as above. */
int solve_remember(struct solver *s, struct op *op, const uint8_t *content, struct err *err);

#endif
