/*
 * fuse-overlayfs for hosts whose kernel refuses an overlay (spec/sandbox.md 2.3): one process per root file system. We
 * open /dev/fuse and mount, it only answers: it needs no right to mount, and the mount is there before it is seen.
 */
#ifndef WHITTLE_SANDBOX_FUSE_H
#define WHITTLE_SANDBOX_FUSE_H

#include <sys/types.h>

#include "base/err.h"
#include "base/strv.h"

#define FUSE_PROGRAM "fuse-overlayfs"
#define FUSE_END_SECONDS 60    /* that it may take to end once nothing is mounted any more */

struct fuse_daemon {
	pid_t pid; /* -1: none */
	int log;   /* what it says on its outputs */
};
#define FUSE_DAEMON_INIT { .pid = -1, .log = -1 }

/* Whether it can be tried: /dev/fuse can be opened and the program is in PATH. Returns 0, or -1 and ERR_SANDBOX. */
int fuse_available(struct err *err);

/*
 * Start it and wait until it answers. It dies with the calling thread.
 *   lowers, upper, work  as for rootfs_mount(), names relative to the working directory; upper NULL: read-only
 * Returns the descriptor of a mount that is attached nowhere, or -1 and ERR_SANDBOX with what the program said. *ret is
 * for fuse_end() in both cases.
 */
int fuse_start(const struct strv *lowers, const char *upper, const char *work, struct fuse_daemon *ret, struct err *err);
/*
 * Wait for its end, after the last mount and descriptor of the file system is gone. Returns 0, or -1 and ERR_SANDBOX
 * when it failed or is stuck (it is killed then). Accepts a daemon that never was.
 */
int fuse_end(struct fuse_daemon *d, struct err *err);

#endif
