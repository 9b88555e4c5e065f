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
#include "sandbox/storage.h"

enum step_network {
	STEP_NETWORK_HOST, /* shared with the host */
	STEP_NETWORK_NONE, /* loopback alone */
};

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
};
#define STEP_SPEC_INIT { .storage = STORAGE_OVERLAY, .network = STEP_NETWORK_HOST }

/* How the program ended. */
struct step_result {
	int status;          /* exit status, or 128 + signal */
	bool killed;         /* by a signal */
	uint64_t user_us, system_us; /* CPU time of the whole process tree, microseconds */
	uint64_t maxrss_kib;         /* of its largest process */
};

/* Append the spec to a payload for holder_call(). */
void step_spec_put(const struct step_spec *spec, struct strbuf *payload);
/* Free what the spec owns; usable again. */
void step_spec_release(struct step_spec *spec);
/* Take the step_result from the front of a reply; what follows is for the caller of step_run(). Returns 0, or -1 and
 * ERR_SYSTEM. */
int step_result_get(struct wire *reply, struct step_result *ret, struct err *err);

/*
 * What is to be done with the written files once the program ended with status 0: called in the supervisor, which is
 * inside the namespaces already, with the store as its working directory and every process of the step dead. Its root
 * directory may be the step's: names are to be opened relative to the working directory and through no link. The upper
 * folder is in the form of the kernel's overlay, whatever the storage.
 *   rest   what follows the step_spec in the payload
 *   reply  to be appended to
 */
typedef int (*step_after)(struct wire *rest, struct strbuf *reply, struct err *err);

/*
 * The body of a job that runs a step: payload a step_spec and what after (may be NULL) wants; descriptors are stdin,
 * stdout and stderr of the program.
 * after is not called where nothing follows the spec. Replies as soon as every process of the step is dead and after has
 * returned (the teardown of the mounts goes on behind it), or fails with: ERR_STEP (the program cannot be executed; sys says why), ERR_INPUT (user, working folder),
 * ERR_OOM, ERR_SANDBOX, ERR_SYSTEM, or what after raises.
 */
int step_run(struct job *job, step_after after, struct err *err);
/* Its prepare function: compiles the system call filter once per build. */
int step_prepare(struct job *job, struct err *err);

#endif
