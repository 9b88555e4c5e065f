/*
 * openat2() for kernels older than 5.6 and for hosts whose seccomp filter refuses it.
 *
 * The walk keeps a stack of O_PATH descriptors, the root at its bottom, so ".." pops and never asks
 * the file system: a directory that is renamed away meanwhile cannot lead above the root. What is
 * still to be walked is a list of strings, the text of each symbolic link put in front of the rest.
 */
#include "base/fsutil_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"

/* As the kernel's own limit (path_resolution(7)): a loop ends here. */
#define LINKS_MAX 40

struct walk {
	int *fds; /* open directories from the root to where we are */
	size_t depth, cap;
	char *rest;	/* what is still to be walked */
	unsigned links; /* symbolic links followed */
	uint64_t resolve;
};

static void walk_pop(struct walk *w)
{
	close_fd(w->fds[--w->depth]);
}

static void walk_release(struct walk *w)
{
	int saved = errno;

	while (w->depth > 0)
		walk_pop(w);
	free(w->fds);
	free(w->rest);
	errno = saved;
}
#define auto_walk __attribute__((cleanup(walk_release))) struct walk

static void walk_push(struct walk *w, int fd)
{
	GROW(w->fds, w->depth, w->cap);
	w->fds[w->depth++] = fd;
}

static int walk_top(const struct walk *w)
{
	return w->fds[w->depth - 1];
}

/*
 * An absolute path or link: back to the root. Fails with EXDEV where only what is beneath is
 * allowed.
 */
static int walk_restart(struct walk *w)
{
	if (w->resolve & RESOLVE_BENEATH) {
		errno = EXDEV;
		return -1;
	}
	while (w->depth > 1)
		walk_pop(w);
	return 0;
}

/* ".." stays at the root as in "/..", or fails there with EXDEV. */
static int walk_up(struct walk *w)
{
	if (w->depth > 1) {
		walk_pop(w);
		return 0;
	}
	if (w->resolve & RESOLVE_BENEATH) {
		errno = EXDEV;
		return -1;
	}
	return 0;
}

/* Put the text of the symbolic link behind the O_PATH descriptor link in front of rest. */
static int walk_expand(struct walk *w, int link, const char *rest)
{
	char target[PATH_MAX];
	ssize_t n;
	char *path;

	if (w->resolve & RESOLVE_NO_SYMLINKS || ++w->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	n = readlinkat(link, "", target, sizeof(target));
	if (n < 0)
		return -1;
	if (n == 0 || (size_t)n == sizeof(target)) {
		errno = n == 0 ? ENOENT : ENAMETOOLONG;
		return -1;
	}
	target[n] = '\0';
	if (target[0] == '/' && walk_restart(w) < 0)
		return -1;
	path = xasprintf("%s%s%s", target, *rest ? "/" : "", rest);
	free(w->rest);
	w->rest = path;
	return 0;
}

/*
 * Open name without following it; *is_link and *is_dir tell what it is. Returns an O_PATH
 * descriptor.
 */
static int walk_peek(const struct walk *w, const char *name, bool *is_link, bool *is_dir)
{
	auto_fd int fd = openat(walk_top(w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	*is_link = S_ISLNK(st.st_mode);
	*is_dir = S_ISDIR(st.st_mode);
	return take_fd(fd);
}

/*
 * Whether fd still lies below the root: no for a directory that somebody moved out during the walk.
 * Where /proc does not tell (not mounted, path too long), the stack alone has to do.
 */
static bool still_inside(const struct walk *w, int fd)
{
	char link[64], root[PATH_MAX], path[PATH_MAX];
	ssize_t n, m;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->fds[0]);
	n = readlink(link, root, sizeof(root));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	m = readlink(link, path, sizeof(path));
	if (n <= 0 || m <= 0 || root[0] != '/' || (n == 1 && path[0] == '/'))
		return true;
	return m >= n && memcmp(root, path, (size_t)n) == 0 && (m == n || path[n] == '/');
}

/* fd itself when it lies below the root; else it is closed and -1 returned, errno EAGAIN. */
static int walk_keep(const struct walk *w, int fd)
{
	if (still_inside(w, fd))
		return fd;
	errno = EAGAIN;
	return close_fd(fd);
}

/* The last step: open name (a component that is no link, or ".") in the directory reached. */
static int walk_open(const struct walk *w, const char *name, int flags, mode_t mode)
{
	int fd;

	if (!still_inside(w, walk_top(w))) {
		errno = EAGAIN;
		return -1;
	}
	fd = openat(walk_top(w), name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0) {
		if (errno == ELOOP)
			errno = EAGAIN; /* it became a link since it was looked at */
		return -1;
	}
	return walk_keep(w, fd);
}

/* The link was put in front of what is left: walk on. */
#define WALK_ON (-2)

/*
 * Open the last component, or put its target in front when it is a link to follow. slash says that
 * the path ended in a slash. Returns a descriptor, -1 with errno set, or WALK_ON.
 */
static int walk_last(struct walk *w, const char *name, bool slash, int flags, mode_t mode)
{
	bool is_link = false, is_dir = false;
	auto_fd int fd = walk_peek(w, name, &is_link, &is_dir);

	if (fd < 0) {
		if (errno != ENOENT || !(flags & O_CREAT))
			return -1;
		if (slash) {
			errno = EISDIR;
			return -1;
		}
		return walk_open(w, name, flags, mode);
	}
	if (is_link && (flags & O_CREAT) && (flags & O_EXCL)) {
		errno = EEXIST;
		return -1;
	}
	if (is_link && (flags & O_NOFOLLOW) && !slash) {
		if ((flags & O_PATH) && !(flags & O_DIRECTORY))
			return take_fd(fd);
		errno = flags & O_DIRECTORY ? ENOTDIR : ELOOP;
		return -1;
	}
	if (is_link)
		return walk_expand(w, fd, slash ? "/" : "") < 0 ? -1 : WALK_ON;
	if ((slash || (flags & O_DIRECTORY)) && !is_dir) {
		errno = ENOTDIR;
		return -1;
	}
	/* opened already; by its name it might be a link now, which O_PATH would give out */
	if (flags & O_PATH)
		return walk_keep(w, take_fd(fd));
	return walk_open(w, name, flags, mode);
}

/* Enter name, or put its target in front when it is a link. */
static int walk_enter(struct walk *w, const char *name, const char *rest)
{
	bool is_link = false, is_dir = false;
	auto_fd int fd = walk_peek(w, name, &is_link, &is_dir);

	if (fd < 0)
		return -1;
	if (is_link)
		return walk_expand(w, fd, rest);
	if (!is_dir) {
		errno = ENOTDIR;
		return -1;
	}
	walk_push(w, take_fd(fd));
	memmove(w->rest, rest, strlen(rest) + 1);
	return 0;
}

/*
 * Walk one component. Returns a descriptor at the end of the path, -1 with errno set, or WALK_ON.
 */
static int walk_step(struct walk *w, int flags, mode_t mode)
{
	const char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/");
	const char *rest = p + len + strspn(p + len, "/");
	char name[NAME_MAX + 1];

	if (len == 0)
		return walk_open(w, ".", flags, mode);
	if (len > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, p, len);
	name[len] = '\0';

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		if (len == 2 && walk_up(w) < 0)
			return -1;
		memmove(w->rest, rest, strlen(rest) + 1);
		return WALK_ON;
	}
	if (*rest == '\0')
		return walk_last(w, name, rest != p + len, flags, mode);
	return walk_enter(w, name, rest) < 0 ? -1 : WALK_ON;
}

int open_by_walk(int rootfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	auto_walk w = {.resolve = resolve};
	int fd;

	if (path[0] == '\0' || strlen(path) >= PATH_MAX) {
		errno = path[0] == '\0' ? ENOENT : ENAMETOOLONG;
		return -1;
	}
	fd = openat(rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	walk_push(&w, fd);
	if (path[0] == '/' && walk_restart(&w) < 0)
		return -1;
	w.rest = xstrdup(path);
	do {
		fd = walk_step(&w, flags, mode);
	} while (fd == WALK_ON);
	return fd;
}
