/*
 * Places for the mounts of one step where its image has none (spec/sandbox.md 2.6, "Mount points without traces"):
 * folders that are layers of the step alone, so that the upper folder, and with it the image, never sees them.
 *
 *   below   under all layers: shows where no layer has the name, and leaves every folder of the image as it is
 *   above   over all layers: for what a whiteout or an opaque folder of the image hides from below; the folders on the
 *           way are copies, in mode, owner, times and attributes, of those that the image shows
 */
#ifndef WHITTLE_SANDBOX_STUBS_H
#define WHITTLE_SANDBOX_STUBS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"

struct stub {
	const char *target; /* from the root; links of the image are followed */
	bool file;          /* else a folder */
};

/*
 * Make what the layers (folders relative to the working directory, top first) lack of n targets, in new folders in
 * work, and add those to lowers. Every path that only they show, relative to the root, is appended to ret_paths.
 * Returns 0, or -1 and *err: ERR_INPUT (something on the way is not a folder, a loop of links, a path over PATH_MAX),
 * ERR_SANDBOX, ERR_SYSTEM.
 */
int stubs_add(const struct stub *stubs, size_t n, const char *work, struct strv *lowers, struct strv *ret_paths,
	struct err *err);
/*
 * Only a layer above: make what view, an open folder, lacks of the targets in the empty folder dir.
 * Returns 0, or -1 and *err as stubs_add().
 */
int stubs_make_above(int view, const struct stub *stubs, size_t n, int dir, struct err *err);
/*
 * See to it that target is there below the attached root, for a mount inside another mount (a tmpfs, a cache, /dev):
 * made there when that can be written to.
 * Returns 0, or -1 and *err: ERR_INPUT (it cannot be, or something on the way is not a folder), ERR_SYSTEM.
 */
int stubs_make_place(int root, const char *target, bool file, struct err *err);

#endif
