/*
 * What fuse-overlayfs leaves in its upper folder, brought into the form of the kernel's overlay (both as of
 * fuse-overlayfs 1.10, in a user namespace):
 *
 *   fuse-overlayfs                                   the kernel's overlay
 *   file .wh.NAME (or a device 0:0)                  device 0:0 called NAME
 *   file .wh..wh..opq, user.fuseoverlayfs.opaque     user.overlay.opaque = y
 *   user.fuseoverlayfs.origin on a copied-up file    nothing
 *   user.overlay.X that a step set, as it is         user.overlay.overlay.X
 *   a folder in which files were copied up has       the folder keeps its time
 *     the time of that
 */
#ifndef WHITTLE_SANDBOX_FUSE_UPPER_H
#define WHITTLE_SANDBOX_FUSE_UPPER_H

#include <time.h>

#include "base/err.h"
#include "base/strv.h"

/*
 * Convert the folder upper in place; no process uses it any more.
 *   lowers   as fuse_start() was given them
 *   began    CLOCK_REALTIME_COARSE before the step: a folder with an older time was set to it by hand
 * The time of a folder is given back if all that is new in it was copied up; a step that also made and removed a file
 * there, or touched the folder, leaves no trace of that.
 * Returns 0, or -1 and *err: ERR_INPUT (too deep), ERR_SYSTEM.
 */
int fuse_upper_convert(int upper, const struct strv *lowers, struct timespec began, struct err *err);

#endif
