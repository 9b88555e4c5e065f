/*
 * What RUN --mount adds to the root file system of a step (spec/sandbox.md 2.5, 2.6): attached by the supervisor,
 * before init pivots.
 *
 * A source is resolved to a descriptor once and that descriptor's mount is cloned, so nothing that runs meanwhile can
 * swap it for a link. A target that the image lacks is shown by a layer of stubs below all others, so no mount point
 * is made in the upper folder, and none has to be taken away again.
 */
#ifndef WHITTLE_SANDBOX_STEP_MOUNTS_H
#define WHITTLE_SANDBOX_STEP_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/wire.h"
#include "sandbox/idmap.h"

#define STEP_MOUNTS_MAX 256        /* of one step */
#define STEP_MOUNT_FILE_MAX (16u << 20) /* bytes of one STEP_MOUNT_FILE: a script as large as a Dockerfile */

enum step_mount_kind {
	STEP_MOUNT_TREE,   /* something of a stack of folders; what is written to it is thrown away */
	STEP_MOUNT_FOLDER, /* something of a folder of the store, which is made if it is missing; writes stay */
	STEP_MOUNT_TMPFS,
	STEP_MOUNT_FILE,   /* a file with the contents of a descriptor, on a tmpfs: never on a disk */
	STEP_MOUNT_SOCKET, /* a socket of the store */
};

struct step_mount {
	enum step_mount_kind kind;
	char *target; /* absolute, cleaned, not "/"; NULL or "": nothing is mounted (a file for env alone) */
	bool readonly;
	struct strv lowers; /* TREE: folders relative to the store, top layer first; none: an empty tree */
	char *folder;       /* FOLDER, SOCKET: name relative to the store, of ours and without links */
	char *source;       /* TREE, FOLDER: the path below it, NULL, "" or "/" for all */
	uint64_t size;      /* TMPFS: limit in bytes, 0: none */
	unsigned fd;        /* FILE: which of the job's descriptors, read from its start */
	char *env;          /* FILE: the contents become this variable too, or NULL */
	/* of the file, the socket, or of the folder when it is made */
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

struct step_mounts {
	struct step_mount *v; /* in the order in which they are attached: by bytes of the target */
	size_t len, cap;
	char *work; /* an empty folder relative to the store, removed when the step has ended */
};

/* Append an empty mount of a kind and return it. */
struct step_mount *step_mounts_add(struct step_mounts *m, enum step_mount_kind kind);
/* Bring them into the order that they are to be in. */
void step_mounts_sort(struct step_mounts *m);
/* Whether files there may have recorded owners (owner.h), which no layer below the step tells of. */
bool step_mounts_may_have_records(const struct step_mounts *m);
/* Free everything; usable again. */
void step_mounts_release(struct step_mounts *m);
/* Append to a payload. */
void step_mounts_put(const struct step_mounts *m, struct strbuf *payload);
/* Take them from a payload; the caller releases *m in any case. w->bad is set when they are malformed. */
void step_mounts_get(struct wire *w, struct step_mounts *m);

/* What the mounts of one step share in the supervisor. */
struct step_mounting {
	const struct step_mounts *mounts;
	enum isolation isolation; /* in ISOLATION_SINGLE owners other than root are recorded */
	const int *fds;           /* of the job, nfds of them */
	size_t nfds;
	/* private */
	int *made;         /* one per mount: it, attached nowhere yet; -1 for a variable alone */
	struct strv stubs; /* paths that the stubs alone show, relative to the root */
	int files;         /* the tmpfs of STEP_MOUNT_FILE, or -1 */
};
#define STEP_MOUNTING_INIT { .files = -1 }

/* Free and close; usable again for nothing. */
void step_mounting_release(struct step_mounting *m);
/*
 * Make all mounts, in the mount namespace of the step; the working directory is the store. Contents for variables go to
 * env.
 * Returns 0, or -1 and *err: ERR_NOT_FOUND (no such source: `"/path": not found`), ERR_INPUT (a source that leads out,
 * or is neither file nor folder; contents that are no variable), ERR_SANDBOX, ERR_SYSTEM.
 */
int step_mounts_make(struct step_mounting *m, struct strv *env, struct err *err);
/*
 * Then, before the root is mounted: make stubs for the targets that the stack of folders (top layer first) does not
 * have, and add them to it. m->stubs tells what they show.
 * Returns 0, or -1 and *err: ERR_INPUT (a file where a folder is needed), ERR_SANDBOX, ERR_SYSTEM.
 */
int step_mounts_stub(struct step_mounting *m, struct strv *lowers, struct err *err);
/*
 * Last: attach all below root, which is attached.
 * Returns 0, or -1 and *err: ERR_INPUT (a file on a folder or the reverse, no place for a mount point), ERR_SANDBOX.
 */
int step_mounts_attach(struct step_mounting *m, int root, struct err *err);
/* When every process of the step is dead: remove what was thrown away. storefd as the supervisor found it. */
void step_mounts_clean(const struct step_mounts *m, int storefd);

#endif
