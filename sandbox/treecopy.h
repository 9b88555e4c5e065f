/*
 * Copies of layer folders without an overlay (spec/sandbox.md 2.4). Contents are hostile: names are used one component
 * at a time, no link is followed, and the depth is limited.
 */
#ifndef WHITTLE_SANDBOX_TREECOPY_H
#define WHITTLE_SANDBOX_TREECOPY_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/strv.h"

#define TREE_DEPTH_MAX 256            /* folders below each other, as in layers */
#define TREE_XATTR_LIST_MAX (64u << 10) /* XATTR_LIST_MAX of the kernel */
#define TREE_XATTR_VALUE_MAX (64u << 10) /* XATTR_SIZE_MAX */

/*
 * Apply the folder at from (an overlay upper: whiteouts and opaque folders count) to the tree at to: what it has is
 * copied over what is there, what it removes is removed. Files share their blocks where the file system can (FICLONE),
 * hard links and holes are kept, owners, modes, attributes and times are set. The root itself is left as it is.
 * Attributes of overlayfs are understood and not copied, except those that a step had set (stored as
 * user.overlay.overlay.*), which come back under their own name; all other user attributes are copied as they are.
 * The umask must be 0. Returns 0, or -1 and *err: ERR_INPUT (too deep), ERR_SYSTEM, ERR_DISK.
 */
int tree_apply(int from, int to, struct err *err);
/* The same for several, lowers[len - 1] first: names relative to the working directory, top layer first. */
int tree_merge(const struct strv *lowers, int to, struct err *err);

/*
 * Give the file or folder to the owner, mode, attributes (as above) and then the times of from. st is from's. to must
 * be open for more than O_PATH. what is for messages.
 */
int tree_copy_metadata(int from, const struct stat *st, int to, const char *what, struct err *err);

/* For the modules that walk such trees: the names in the folder fd, sorted by bytes, without . and .. */
int tree_list(int fd, struct strv *names, struct err *err);
/* Open a file or folder by its name in dirfd, never a link, a device or what blocks. -1 with errno. */
int tree_open(int dirfd, const char *name, bool folder);
/*
 * Make name in dirfd a whiteout. path is for messages. Returns 0, or -1 and *err: ERR_SANDBOX with the mend where the
 * file system cannot hold one (it is itself an overlay).
 */
int tree_put_whiteout(int dirfd, const char *name, const char *path, struct err *err);
/*
 * Rename every user.overlay.X of fd to user.overlay.overlay.X, as the kernel's overlay stores what a step sets, so that
 * it means nothing to an overlay of which the file becomes a layer. name is for messages.
 */
int tree_escape_xattrs(int fd, const char *name, struct err *err);

#endif
