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
#include "sandbox/step_mounts.h"

#define STEP_STUB "stub"  /* the folder of rootfs_make_stub(), in the store */
#define STEP_GATE_STUB "stub-gate" /* the same with the place of /etc/ld.so.preload (sandbox/owner_gate.h) */
#define STEP_PLACE "mnt"  /* an empty folder of the store on which the root file system is mounted */

enum step_network {
	STEP_NETWORK_HOST, /* shared with the host */
	STEP_NETWORK_NONE, /* loopback alone */
};

/* What to run. Strings are owned by the spec; step_spec_release() frees them. */
struct step_spec {
	struct strv lowers; /* folders relative to the store, top layer first; the stub is added below */
	char *upper, *work; /* relative to the store; both empty folders */
	struct strv argv;   /* argv[0] without a slash is searched in PATH of env */
	struct strv env;    /* complete, PATH included; HOME is added from the image's passwd where it is missing */
	char *cwd;          /* absolute; made when missing, owned by the user */
	char *user;         /* "user[:group]" or NULL for root */
	char *hostname;
	char *hosts, *resolv_conf; /* contents of the two files */
	enum step_network network;
	bool no_new_privs; /* setuid programs and file capabilities have no effect */
	struct step_mounts mounts; /* RUN --mount */
};
#define STEP_SPEC_INIT { .network = STEP_NETWORK_HOST }

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
 *            directory is the step's: names are to be opened relative to the working directory and through no link.
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
 * The body of a job that runs a step: payload a step_spec and what hooks->read wants; descriptors are stdin, stdout and
 * stderr of the program, then those that its mounts name.
 * Replies as soon as every process of the step is dead and hooks->after has returned (the teardown of the mounts goes on
 * behind it), or fails with: ERR_STEP (the program cannot be executed; sys says why), ERR_INPUT (user, working folder),
 * ERR_OOM, ERR_SANDBOX, ERR_SYSTEM, what the mounts raise (step_mounts.h), or what a hook raises.
 */
int step_run(struct job *job, const struct step_hooks *hooks, struct err *err);
/* Its prepare function: compiles the system call filters once per build. */
int step_prepare(struct job *job, struct err *err);

#endif
