/*
 * Where the mounts that every step has go in the root file system of an image (/dev, /proc, /sys, /etc/hosts,
 * /etc/resolv.conf; spec/sandbox.md 2.6): every link is resolved inside it, and a place that is missing comes from a
 * layer made for this step (stubs.h), not from its upper folder.
 */
#ifndef WHITTLE_SANDBOX_TARGETS_H
#define WHITTLE_SANDBOX_TARGETS_H

#include "base/err.h"

/*
 * Look for them in the root file system rootfd. Returns 1 when some are missing, 0 when none is, or -1 and *err:
 * ERR_INPUT when one cannot be mounted on: a file for a folder or the reverse, a loop of links, a link that must be none,
 * a file on the way.
 */
int targets_missing(int rootfd, struct err *err);
/*
 * Make the missing ones in the empty folder stubfd, at the place where links lead: as the topmost layer it adds them
 * to rootfd. Folders that rootfd has get its mode, owner, attributes and times there. Returns 0, or -1 and *err.
 */
int targets_make_stub(int rootfd, int stubfd, struct err *err);

#endif
