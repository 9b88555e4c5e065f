/* One step: run a program in a root file system, isolated (spec/sandbox.md sections 1, 2, 5 and 6). */
#ifndef WHITTLE_SANDBOX_STEP_H
#define WHITTLE_SANDBOX_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/wire.h"
#include "sandbox/holder.h"
#include "sandbox/limits.h"
#include "sandbox/network.h"
#include "sandbox/step_mounts.h"
#include "sandbox/storage.h"

#define STEP_SHM_SIZE (64ull << 20)
#define STEP_GRACE_MS_MAX 60000

/* What to run. Strings are owned by the spec; step_spec_release() frees them. */
struct step_spec {
	struct strv lowers; /* folders relative to the store, top layer first; the stub is added below */
	char *upper, *work; /* relative to the store; both empty folders, in one that is the step's own */
	enum storage storage;
	struct strv argv;   /* argv[0] without a slash is searched in PATH of env */
	struct strv env;    /* complete, PATH included; HOME is added from the image's passwd where it is missing */
	char *cwd;          /* absolute; made when missing, owned by the user */
	char *user;         /* "user[:group]" or NULL for root */
	char *hostname;
	char *hosts, *resolv_conf; /* contents of the two files */
	enum step_network network;
	bool no_new_privs; /* setuid programs and file capabilities have no effect */
	struct step_mounts mounts; /* RUN --mount */
	struct step_limit limits[LIMITS_MAX];
	size_t nlimits;
	uint64_t shm_size; /* bytes of /dev/shm */
	bool in_cgroup;    /* a descriptor of the step's cgroup comes along */
	unsigned grace_ms; /* from being told to end until being killed; STEP_GRACE_MS_MAX at most */
};
#define STEP_SPEC_INIT { .storage = STORAGE_OVERLAY, .network = STEP_NETWORK_HOST, .shm_size = STEP_SHM_SIZE }

/* The descriptors of the job, in this order; the last three only where the spec asks for them. Those of mounts follow. */
enum step_fd {
	STEP_FD_STDIN,
	STEP_FD_STDOUT,
	STEP_FD_STDERR,
	STEP_FD_INTERRUPT, /* readable from the moment on when the step is to end; nobody reads it */
	STEP_FD_NETNS,     /* STEP_NETWORK_PRIVATE: network_await() */
	STEP_FD_WATCH,     /* STEP_NETWORK_PRIVATE: network_check() */
	STEP_FD_CGROUP,    /* in_cgroup; directly after STEP_FD_INTERRUPT without a private network */
};
#define STEP_FDS_MAX 7
/* How many that is for a spec. */
size_t step_fds(const struct step_spec *spec);

/* How the program ended. */
struct step_result {
	int status;          /* exit status, or 128 + signal */
	bool killed;         /* by a signal */
	uint64_t user_us, system_us; /* CPU time of the whole process tree, microseconds */
	uint64_t maxrss_kib;         /* of its largest process */
	bool flat;                   /* owners were answered and not kept: somebody outside supervises this process tree */
};

/* Append the spec to a payload for holder_call(). */
void step_spec_put(const struct step_spec *spec, struct strbuf *payload);
/* Take one from the front of a payload. Returns 0, or -1 and ERR_SYSTEM; step_spec_release() in both cases. */
int step_spec_get(struct wire *payload, struct step_spec *ret, struct err *err);
/* Free what the spec owns; usable again. */
void step_spec_release(struct step_spec *spec);
/* Take the step_result from the front of a reply; what follows is for the caller of step_run(). Returns 0, or -1 and
 * ERR_SYSTEM. */
int step_result_get(struct wire *reply, struct step_result *ret, struct err *err);

struct owner;

/*
 * What the job of a step adds to it, or NULL; all of it runs in the supervisor. Any may be NULL.
 *   read     take what follows the step_spec in the payload
 *   records  whether a layer below records an owner beyond the first ids ids, or a device node
 *   note     tell of the records below, owner_note(); the root file system is mounted at rootfd
 *   after    what is to be done with the written files once the program ended with status 0: the supervisor is inside
 *            the namespaces, with the store as its working directory and every process of the step dead. Its root
 *            directory may be the step's: names are to be opened relative to the working directory and through no
 *            link. The upper folder is in the form of the kernel's overlay, whatever the storage.
 *            stubs are paths relative to the root that this step's mount points are made of: nothing that the program
 *            wrote. reply is to be appended to.
 * Except for records each returns 0, or -1 and *err, which becomes the step's.
 */
struct step_hooks {
	int (*read)(void *ctx, struct wire *rest, struct err *err);
	bool (*records)(void *ctx, uint32_t ids);
	int (*note)(void *ctx, struct owner *owner, int rootfd, struct err *err);
	int (*after)(void *ctx, struct owner *owner, const struct strv *stubs, struct strbuf *reply, struct err *err);
	void *ctx;
};

/*
 * The body of a job that runs a step: payload a step_spec and what hooks->read wants; descriptors as in enum step_fd,
 * then those that its mounts name. Told to end, the program's process group gets SIGTERM, and everything of the step dies
 * when the program has ended or its grace is over.
 * Replies as soon as every process of the step is dead and hooks->after has returned (the teardown of the mounts goes on
 * behind it), or fails with: ERR_STEP (the program cannot be executed; sys says why), ERR_INPUT (user, working folder),
 * ERR_OOM, ERR_SANDBOX (the death of the network helper among it), ERR_CANCELLED, ERR_SYSTEM, what the mounts raise (step_mounts.h), or what a hook raises.
 */
int step_run(struct job *job, const struct step_hooks *hooks, struct err *err);
/* Its prepare function: compiles the system call filters once per build. */
int step_prepare(struct job *job, struct err *err);
/* Its stand_by function: makes what every step needs (ready.h). */
void step_stand_by(void);

#endif
