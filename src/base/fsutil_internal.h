/*
 * The ways to open a path below a root, so that tests can force the one that a new kernel never
 * takes.
 */
#ifndef WHITTLE_BASE_FSUTIL_INTERNAL_H
#define WHITTLE_BASE_FSUTIL_INTERNAL_H

#include <stdint.h>
#include <sys/types.h>

/*
 * openat2(2) with O_CLOEXEC added and EAGAIN retried. resolve is a set of RESOLVE_* of
 * <linux/openat2.h>. Returns a descriptor, or -1 with errno set: ENOSYS or EPERM when there is no
 * such call here.
 */
int open_by_kernel(int rootfd, const char *path, int flags, mode_t mode, uint64_t resolve);

/*
 * The same done by hand, component by component (spec/sandbox.md 2.5). Of resolve, RESOLVE_IN_ROOT
 * or RESOLVE_BENEATH must be there, RESOLVE_NO_SYMLINKS is obeyed, and magic links are always read
 * as text, so they cannot lead out. Holds one descriptor per level of the path. Returns as above;
 * EAGAIN when a concurrent rename moved the walk out of the root.
 */
int open_by_walk(int rootfd, const char *path, int flags, mode_t mode, uint64_t resolve);

#endif
