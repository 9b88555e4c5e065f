/*
 * What of a step can be made before it is asked for, by the worker that waits for it (holder.h): a /dev, and an init in
 * its namespaces, with a /proc and message queues, that waits to be told the rest (internal to step.c).
 */
#ifndef WHITTLE_SANDBOX_READY_H
#define WHITTLE_SANDBOX_READY_H

#include <stddef.h>
#include <sys/types.h>

#include "sandbox/init.h"

#define READY_SPEC_MAX (256u << 10) /* bytes of args->spec that a waiting init takes */

struct ready {
	pid_t init; /* a child of the worker, or -1 */
	int sock;   /* to it */
	int dev;    /* of devices_make(), with a /dev/shm of STEP_SHM_SIZE, or -1 */
};
#define READY_INIT { -1, -1, -1 }

/*
 * Make it. The worker gets a mount namespace of its own, and init ends with it. Nothing fails: what cannot be had now is
 * made with the step, which then tells why.
 */
void ready_make(struct ready *r);
/*
 * Hand a step to the waiting init. Of args it takes the pointers of policy and filter, which must be older than it, and
 * not owner; its descriptors stay open here.
 * procfd: the host's /proc, to find the namespaces of the caller that init enters.
 * Returns its pid, as of init_clone(), or -1 when it cannot be used: then the caller makes one.
 */
pid_t ready_start(struct ready *r, const struct init_args *args, int procfd);
/* Give up what was not used. */
void ready_drop(struct ready *r);

#endif
