/* Files by descriptor. Inside a root file system every path goes through openat2 (spec/sandbox.md 2.5). */
#ifndef WHITTLE_BASE_FSUTIL_H
#define WHITTLE_BASE_FSUTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"

/*
 * Open path below the directory rootfd as if rootfd were "/": absolute links and ".." stay inside.
 * flags as open(2), O_CLOEXEC is added. Returns a descriptor, or -1 with errno set (no struct err: callers
 * say what the path was for).
 */
int open_in_root(int rootfd, const char *path, int flags, mode_t mode);
/* The same, but a path that leaves rootfd fails with EXDEV instead of being kept inside. */
int open_beneath(int rootfd, const char *path, int flags, mode_t mode);
/* The same for our own folders: no symbolic link at all is followed (ELOOP). */
int open_no_symlinks(int rootfd, const char *path, int flags, mode_t mode);

/* Write all n bytes. Returns 0, or -1 with errno set. */
int write_all(int fd, const void *data, size_t n);
/* Read until n bytes or end of file. Returns the count, or -1 with errno set. */
ssize_t read_full(int fd, void *data, size_t n);
/* Append the rest of fd to sb. Returns 0; -1 with errno set, EFBIG when more than max bytes come. */
int read_all(int fd, struct strbuf *sb, size_t max);
/*
 * Read a whole regular file (dirfd, name; symbolic links followed) of at most max bytes into sb.
 * Returns 0, or -1 and *err: ERR_NOT_FOUND, ERR_INPUT (not a regular file, or over max), ERR_SYSTEM.
 */
int read_file(int dirfd, const char *name, size_t max, struct strbuf *sb, struct err *err);
/* Write name in dirfd by a temporary file and rename, mode as given. Returns 0, or -1 and *err. */
int write_file_atomic(int dirfd, const char *name, const void *data, size_t n, mode_t mode, struct err *err);
/*
 * mkdir -p of a relative or absolute path below dirfd. New folders have mode less the umask, and whatever that is their
 * owner may write to them. Returns 0, or -1 with errno.
 */
int mkdir_p(int dirfd, const char *path, mode_t mode);
/*
 * Remove name in dirfd and all below it, never following a link nor crossing into another file system.
 * Folders without permission are made searchable first. A missing name is success.
 * Returns 0, or -1 with errno set by the first failure (the rest was still tried).
 */
int remove_tree(int dirfd, const char *name);
/* Copy n bytes (or to the end: UINT64_MAX) from in to out by copy_file_range, else by a buffer.
 * Returns the bytes copied, or -1 with errno set. */
int64_t copy_bytes(int in, int out, uint64_t n);
/* Fill buf (at least 17 bytes) with 16 random hex digits for a temporary name. */
void random_name(char buf[17]);
/* Parse a whole decimal string into *ret, min <= value <= max. Returns 0, or -1 (no errno). */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

#endif
