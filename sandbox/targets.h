/*
 * Where the mounts of a step go in the root file system of an image (spec/sandbox.md 2.6): every link is resolved
 * inside it, and a place that is missing comes from a layer made for this step, not from its upper folder.
 */
#ifndef WHITTLE_SANDBOX_TARGETS_H
#define WHITTLE_SANDBOX_TARGETS_H

#include <stdbool.h>

#include "base/err.h"

#define TARGET_LINKS_MAX 40 /* symbolic links in one path, as the kernel */

struct target {
	const char *path; /* without a slash in front */
	bool folder;
	bool plain;       /* must be there itself: a link is refused, as with /proc */
};
/* What every step needs; ended by a NULL path. */
extern const struct target step_targets[];

/*
 * Look for the targets in the root file system rootfd. Returns 1 when some are missing, 0 when none is, or -1 and *err:
 * ERR_INPUT when one cannot be mounted on: a file for a folder or the reverse, a loop of links, a link that must be none,
 * a file on the way.
 */
int targets_missing(int rootfd, const struct target *targets, struct err *err);
/*
 * Make the missing ones in the empty folder stubfd, at the place where links lead: as the topmost layer it adds them
 * to rootfd. Folders that rootfd has get its mode, owner, attributes and times there. Returns 0, or -1 and *err.
 */
int targets_make_stub(int rootfd, const struct target *targets, int stubfd, struct err *err);

#endif
