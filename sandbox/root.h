/*
 * The root file system of a step or of a worker, whatever the storage (sandbox/storage.h): from layer folders to a tree
 * that can be entered, and from what a step did there to an upper folder as the kernel's overlay makes it. What is
 * behind it - the index of a step, its layer, the next step - is the same for all.
 */
#ifndef WHITTLE_SANDBOX_ROOT_H
#define WHITTLE_SANDBOX_ROOT_H

#include <time.h>

#include "base/err.h"
#include "base/strv.h"
#include "sandbox/fuse.h"
#include "sandbox/storage.h"
#include "sandbox/treediff.h"

#define ROOT_STUB "stub" /* the folder of rootfs_make_stub(), in the store */
#define ROOT_GATE_STUB "stub-gate" /* the same with the place of /etc/ld.so.preload (sandbox/owner_gate.h) */
#define ROOT_PLACE "mnt" /* an empty folder of the store on which root file systems are mounted */

struct root {
	int fd; /* O_PATH, of the root: attached in a mount namespace of the caller's own */
	/* private */
	enum storage storage;
	struct strv lowers;
	char *upper, *work;
	int home; /* the mount namespace before */
	struct fuse_daemon daemon;
	struct timespec began;
	struct tree_snapshot *before;
};
#define ROOT_INIT { .fd = -1, .home = -1, .daemon = FUSE_DAEMON_INIT }

/* A mount namespace of the calling process's own. Returns 0, or -1 and *err: ERR_SANDBOX with the mend. */
int root_new_namespace(struct err *err);
/*
 * Make the root file system of a step. The working directory is the store; the calling process gets a mount namespace
 * of its own, and dies with the step.
 *   lowers   folders relative to the store, top layer first
 *   stub     ROOT_STUB or ROOT_GATE_STUB, added below
 *   upper, work  two empty folders beside each other in one that is the step's own; a third ("targets") may be made there
 * What must be there to be mounted on is (targets.h).
 * Returns 0, or -1 and *err: ERR_SANDBOX (the storage does not work here), and those of the parts. *ret is for
 * root_release() in both cases.
 */
int root_open(struct root *ret, enum storage storage, const struct strv *lowers, const char *stub,
	const char *upper, const char *work, struct err *err);
/*
 * Once every process of the step is dead and waited for: leave the mount namespace, end what served it, and bring the
 * upper folder into the form of the kernel's overlay. store becomes the working directory. Returns 0, or -1 and *err.
 */
int root_finish(struct root *r, int store, struct err *err);
/* Give up what is left, in any state; the mounts go with the process. */
void root_release(struct root *r);

/*
 * A read-only view of the merged lowers for a worker, which gets a mount namespace of its own.
 *   scratch  an empty folder of the store, used and left full by STORAGE_COPY alone; may be empty for the others
 * Returns a descriptor (O_RDONLY | O_DIRECTORY), or -1 and *err as root_open().
 */
int root_view(enum storage storage, const struct strv *lowers, const char *scratch, struct err *err);

#endif
