/*
 * What a step changed in a plain copy of its tree, without comparing contents: a snapshot of which inode was where, and
 * when it last changed, is taken before the step. Nothing inside can set a change time (ctime), so a file is unchanged
 * exactly when place, inode and change time are the same.
 */
#ifndef WHITTLE_SANDBOX_TREEDIFF_H
#define WHITTLE_SANDBOX_TREEDIFF_H

#include "base/auto.h"
#include "base/err.h"

struct tree_snapshot;

/*
 * Note the tree at the folder fd. Returns once the clock of the file system has moved on, so that every later change
 * shows. NULL and *err: ERR_INPUT (too deep), ERR_SYSTEM. About 40 bytes and the name for each path.
 */
struct tree_snapshot *tree_snapshot_take(int fd, struct err *err);
/* Free; accepts NULL. */
void tree_snapshot_free(struct tree_snapshot *s);
DEFINE_AUTO(struct tree_snapshot *, tree_snapshot_free)

/*
 * Turn the tree at fd into what the kernel's overlay would have as its upper folder: unchanged files and folders are
 * removed, what is gone becomes a whiteout, a folder that took the place of something is marked opaque, attributes
 * user.overlay.* are escaped. No process may use the tree any more, nothing may be mounted on it.
 * Returns 0, or -1 and *err: ERR_INPUT (too deep; a device 0:0, which an overlay cannot hold), ERR_SYSTEM.
 */
int tree_snapshot_reduce(const struct tree_snapshot *s, int fd, struct err *err);

#endif
