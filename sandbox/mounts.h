/* The mount API by descriptor (fsopen, open_tree, move_mount; Linux 5.2, mount_setattr 5.12). */
#ifndef WHITTLE_SANDBOX_MOUNTS_H
#define WHITTLE_SANDBOX_MOUNTS_H

#include <stdbool.h>

#include "base/err.h"

/* One option of a file system: a string, or a flag when value is NULL. */
struct mount_option {
	const char *key, *value;
};

/*
 * Make a file system of type that is mounted nowhere yet.
 *   options  ended by a NULL key
 *   attrs    MOUNT_ATTR_* for the mount
 * Returns its descriptor (O_CLOEXEC), or -1 and ERR_SANDBOX with the kernel's own text where it gives one;
 * err->sys holds the errno.
 */
int mount_new(const char *type, const struct mount_option *options, unsigned attrs, struct err *err);
/*
 * Clone the mount at path (relative to dirfd) with all below it when recursive, and add attrs to the clone
 * while nothing can see it yet. The source must be in the mount namespace of the caller.
 * Returns its descriptor, or -1 and ERR_SANDBOX.
 */
int mount_clone(int dirfd, const char *path, bool recursive, unsigned attrs, struct err *err);
/*
 * Attach the mount fd at the place that target (an O_PATH descriptor) names. what is for the message.
 * Returns 0, or -1 and ERR_SANDBOX.
 */
int mount_attach(int fd, int target, const char *what, struct err *err);
/*
 * Attach fd at path below the root file system rootfd: every link is resolved inside it. A target that is
 * missing gives ERR_NOT_FOUND, one of the wrong type (a file for a folder) ERR_INPUT naming it.
 */
int mount_attach_in_root(int fd, int rootfd, const char *path, struct err *err);
/*
 * Open the folder name directly below rootfd to mount on it: /proc, /sys, /dev. A link in its place is refused, not
 * followed: images that redirect these mounts are attacks (CVE-2019-19921, CVE-2026-41579).
 * Returns it (O_PATH), or -1 and ERR_INPUT naming what stands there, ERR_SANDBOX.
 */
int mount_point_folder(int rootfd, const char *name, struct err *err);
/* Attach the folder fd there. Returns 0, or -1 and *err as above, ERR_SANDBOX. */
int mount_attach_on_folder(int fd, int rootfd, const char *name, struct err *err);
/*
 * As mount_attach_in_root() for a file, but a link at path itself is covered and not followed: images come with links to places that only
 * a running system has (/etc/resolv.conf to /run/systemd/resolve).
 */
int mount_attach_over(int fd, int rootfd, const char *path, struct err *err);

#endif
