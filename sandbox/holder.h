/*
 * The holder: one process in the user and mount namespace of the build, forked from the engine before
 * anything else happens there, and the parent of every worker and step (README.md draws them).
 * It never calls execve, so that nothing inside a step can open it through /proc (it is not dumpable and its memory
 * belongs to the host's user namespace).
 *
 * A job is a function of a table given at start. The engine sends a packet {job, descriptors} on the holder's
 * socket and the payload on a stream of its own; the holder forks, the child runs the job and answers on that stream.
 */
#ifndef WHITTLE_SANDBOX_HOLDER_H
#define WHITTLE_SANDBOX_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "sandbox/idmap.h"

#define JOB_FDS_MAX 200             /* SCM_RIGHTS takes 253; layers go by name, in the payload */
#define JOB_PAYLOAD_MAX (64u << 20) /* the list of files of a COPY is the largest */

struct holder;

/* What a job function sees; it lives in the child (or, for in_holder jobs, in the holder). */
struct job {
	const void *payload; /* as given to holder_call(); not NUL-terminated */
	size_t len;
	int *fds; /* received descriptors, O_CLOEXEC; the job may close them */
	size_t nfds;
	const struct idmap *idmap;
	void **state; /* the holder's slot for this entry of the table; children see a copy */
	int sock;     /* the stream to the engine */
};

struct job_def {
	const char *name; /* for messages: "unpack" */
	/* Returns 0, with what it answered by job_reply(), or -1 and *err. */
	int (*run)(struct job *job, struct err *err);
	/* Called in the holder before the fork, or NULL: for what is computed once and inherited. */
	int (*prepare)(struct job *job, struct err *err);
	/* Called in a worker that waits for this job, before it does, or NULL: for what every such job needs. */
	void (*stand_by)(void);
	bool in_holder; /* no fork: run() changes the holder itself; must be short */
};

struct holder_options {
	enum isolation isolation;
	const struct job_def *jobs;
	size_t njobs;
	const char *store; /* working directory of the holder and its children */
	char **argv;       /* of main(), blanked in the holder; may be NULL */
	/*
	 * One of jobs, not in_holder, or NULL: from the first such job on, a worker for the next one is forked in a quiet
	 * moment, and waits. It is forked anew after a job that changes the holder.
	 */
	const struct job_def *standby;
};

/*
 * Fork the holder and enter its namespaces. The caller must be single-threaded. For ISOLATION_AUTO a refused
 * newuidmap falls back to one id, said in holder_idmap()->why.
 * Returns the holder, owned by the caller, or NULL and *err: ERR_SANDBOX (with the mend), ERR_SYSTEM.
 */
struct holder *holder_start(const struct holder_options *options, struct err *err);

/* The ID map in use; owned by the holder. */
const struct idmap *holder_idmap(const struct holder *h);

/*
 * Run a job and wait for its end. May be called from several threads.
 *   fds       handed over to the job as copies; the caller keeps its own
 *   on_event  called with each message the job sent by job_event() before its end, or NULL
 *   reply     what the job answered is appended; may be NULL
 * Returns 0, or -1 and the job's own *err, or ERR_CANCELLED after holder_kill(), or ERR_SYSTEM when the
 * job died without an answer.
 */
int holder_call(struct holder *h, unsigned job, const struct strbuf *payload, const int *fds, size_t nfds,
	void (*on_event)(void *ctx, const void *data, size_t n), void *ctx, struct strbuf *reply,
	struct err *err);

/* Kill the holder and everything below it; holder_call() in other threads returns. Async-signal-safe. */
void holder_kill(struct holder *h);
/* End the holder, wait for it, free; accepts NULL. */
void holder_free(struct holder *h);

/* In a job: send one message to on_event. Returns 0, or -1 and ERR_CANCELLED when the engine is gone. */
int job_event(struct job *job, const void *data, size_t n, struct err *err);
/* In a job: send the answer, once; the job may go on afterwards but its later failure is not reported. */
int job_reply(struct job *job, const struct strbuf *answer, struct err *err);

#endif
