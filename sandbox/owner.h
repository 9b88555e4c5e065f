/*
 * Recorded ownership (spec/sandbox.md section 3): the supervisor of a step answers calls about owners and ids, so that
 * chown, setuid, mknod and the like behave as for root of a whole range of ids, although the files belong to one id.
 *
 *   supervisor  owner_new(), owner_note() what the layers below record; clone init; owner_accept(), owner_start();
 *               when every process of the step is dead owner_stop(); owner_of() for the layer
 *   program     owner_install(), last before exec
 *
 * Who owns a file is an attribute of it (base/owner_record.h). It is fidelity, never a wall: the sandbox holds without.
 * Not kept (README.md lists them): permissions between users of the step, access(2), owners of sockets in bind(2).
 */
#ifndef WHITTLE_SANDBOX_OWNER_H
#define WHITTLE_SANDBOX_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/owner_record.h"
#include "base/strv.h"
#include "sandbox/owner_filter.h"
#include "sandbox/user.h"

#define OWNER_GATE_FOLDER ".whittle" /* of the step's /dev: the accelerator and what it maps */
#define OWNER_PRELOAD "etc/ld.so.preload"

struct owner;

struct owner_options {
	const struct owner_filter *filter; /* borrowed */
	uint32_t ids;        /* ids below it exist in the user namespace */
	int rootfd;          /* the merged root file system */
	uint64_t store_dev;  /* st_dev of the store: records may be written on files there */
	bool gate;           /* programs of the step can load the accelerator */
	bool unmarked;       /* files have records that owner_note() is not told of: of what is mounted into the step */
};

/*
 * Prepare, before the step is cloned: the index is memory that both share. With gate, the accelerator goes into the
 * step's /dev, which is mounted. Returns it, owned by the caller, or NULL and *err: ERR_SYSTEM.
 */
struct owner *owner_new(const struct owner_options *options, struct err *err);
/* Free; accepts NULL. */
void owner_free(struct owner *o);
/*
 * Whether one of the folders (relative to the working directory) has the loader of a C library that reads
 * /etc/ld.so.preload, of this architecture.
 */
bool owner_has_loader(const struct strv *folders);

/*
 * Tell of a record in a layer below: path (relative, below rootfd) is r's (what it has seen is found out). Kept beside where the object can hold none;
 * else it has the attribute already. A path that is not there is ignored.
 */
void owner_note(struct owner *o, int rootfd, const char *path, const struct owner_record *r);

/* Give what was just made, path, to the step's user. Returns 0, or -1 and errno. */
int owner_give(struct owner *o, const char *path, const struct user *user);

/*
 * In the program: install the filter of owner_options, and hand its listener and the credentials of the user to the
 * supervisor. Needs no_new_privs or CAP_SYS_ADMIN in the user namespace. ids as in owner_options.
 * Returns 0, or -1 and *err: ERR_SANDBOX, ERR_SYSTEM.
 */
int owner_install(const struct owner_filter *filter, uint32_t ids, int sock, const struct user *user, struct err *err);
/*
 * In the supervisor: take what owner_install() sent (it is there to be read). Returns 1; 0 at the end of the stream, or
 * when this process tree has a listener already and owners are answered without being kept; -1 and *err.
 */
int owner_accept(struct owner *o, int sock, struct err *err);
/*
 * Make ready for answers. procfd: the host's /proc, opened before the root was left; it becomes the working directory,
 * until owner_stop(). The caller answers: owner_answer_one(). At OWNER_FULL threads take over when there are many
 * questions.
 * Returns 0, or -1 and *err.
 */
int owner_start(struct owner *o, int procfd, struct err *err);
/* The descriptor to poll for questions, -1 when nobody asks or threads answer. */
int owner_fd(const struct owner *o);
/* Answer one question; call it when owner_fd() is readable, and ask for that anew afterwards. */
void owner_answer_one(struct owner *o);
/* No more answers: every process of the step is dead. Harmless when never started. */
void owner_stop(struct owner *o);
/* Whether owners were answered and not kept. */
bool owner_is_flat(const struct owner *o);

/* After the step, where its root is not this process's any more: objects are looked for in the folder instead. */
void owner_look_in(struct owner *o, const char *folder);
/*
 * After the step: the record beside an object that can hold none, by its path in the step's root (no leading slash),
 * which must be this process's root. Returns whether there is one.
 */
bool owner_of(struct owner *o, const char *path, struct owner_record *ret);

#endif
