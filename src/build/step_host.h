/*
 * What the steps of a build share on the engine's side: the group of their limits, the private network, the way to tell
 * them to end. exec_run and run_image start their steps through here.
 */
#ifndef WHITTLE_BUILD_STEP_HOST_H
#define WHITTLE_BUILD_STEP_HOST_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "build/session.h"
#include "build/step_options.h"
#include "sandbox/step.h"

struct step_host;

/*
 * Before the holder is forked: moves this process into a cgroup when the options have limits. options are kept by
 * reference. Returns the state, owned by the caller, or NULL and *err of cgroup_new().
 */
struct step_host *step_host_new(const struct step_options *options, struct err *err);
/* End the network helper; before holder_free(), which waits for it. Accepts NULL. */
void step_host_disconnect(struct step_host *h);
/* After holder_free(); accepts NULL. */
void step_host_free(struct step_host *h);

/*
 * Fill in what the options decide: hosts, resolv_conf (both owned by the caller), limits, shm_size, in_cgroup, grace_ms.
 * For the first step on a private network this starts its helper and waits for it. The holder runs. Thread-safe.
 * Returns 0, or -1 and ERR_SANDBOX or ERR_CANCELLED.
 */
int step_host_fill(struct session *s, struct step_spec *spec, struct err *err);
/*
 * Run JOB_STEP: holder_call() with the descriptors that spec needs behind stdio. Thread-safe.
 *   payload  begins with the spec
 *   more     descriptors that the spec's mounts name, nmore of them
 *   ret_oom  whether a process of the step's cgroup was killed for memory; false without a cgroup
 * Returns 0, or -1 and *err of step_run() or holder_call(); ERR_CANCELLED once the session was interrupted.
 */
int step_host_call(struct session *s, const struct step_spec *spec, const struct strbuf *payload, const int stdio[3],
	const int *more, size_t nmore, struct strbuf *reply, bool *ret_oom, struct err *err);

#endif
