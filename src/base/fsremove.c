/*
 * remove_tree(). The tree may be made by an enemy: any depth, folders without permissions, and
 * other processes may rename in it meanwhile. So: no recursion, one descriptor at a time, the way
 * back up is ".." whose identity is compared with the one noted on the way down, and a name is only
 * ever used as one component.
 */
#include "base/fsutil.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil_internal.h"
#include "base/mem.h"

/*
 * Scans of one folder: more than one only when entries appear, or a file system hides some,
 * meanwhile.
 */
#define SCANS_MAX 4

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

/* A folder on the way down. */
struct level {
	dev_t dev;
	ino_t ino;
	char *name;	       /* in its parent */
	struct strbuf subdirs; /* names of subfolders, each with its NUL */
	size_t next;	       /* offset in subdirs of the one to do next */
	unsigned scans;
	bool failed; /* something in it could not be removed */
};

struct removal {
	struct level *levels;
	size_t depth, cap;
	int fd;	   /* the deepest level */
	dev_t dev; /* the only file system touched */
	int error; /* errno of the first failure, or 0 */
};

static void level_release(struct level *l)
{
	free(l->name);
	strbuf_release(&l->subdirs);
}

static void removal_release(struct removal *r)
{
	while (r->depth > 0)
		level_release(&r->levels[--r->depth]);
	free(r->levels);
	close_fd(r->fd);
}
#define auto_removal __attribute__((cleanup(removal_release))) struct removal

static struct level *top(struct removal *r)
{
	return &r->levels[r->depth - 1];
}

static void note(struct removal *r, int error)
{
	if (!r->error)
		r->error = error;
	if (r->depth > 0)
		top(r)->failed = true;
}

/*
 * Open the folder name in dirfd; never a link, and never what is mounted on it where the kernel can
 * tell.
 */
static int open_dir_once(int dirfd, const char *name)
{
	int fd = -1;

	if (strchr(name, '/'))
		return openat(dirfd, name, DIR_FLAGS);
	fd = open_by_kernel(dirfd, name, DIR_FLAGS, 0, RESOLVE_NO_XDEV);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dirfd, name, DIR_FLAGS);
	return fd;
}

static int open_dir(int dirfd, const char *name)
{
	int fd = open_dir_once(dirfd, name);

	if (fd >= 0 || errno != EACCES)
		return fd;
	/* by descriptor inside libc, so a link put in its place is not followed */
	if (fchmodat(dirfd, name, S_IRWXU, AT_SYMLINK_NOFOLLOW) < 0) {
		errno = EACCES;
		return -1;
	}
	return open_dir_once(dirfd, name);
}

/* Unlink everything in the deepest level but folders, and note these in subdirs. */
static void scan(struct removal *r)
{
	struct level *l = top(r);
	auto_closedir DIR *d = NULL;
	struct dirent *de;
	int fd = openat(r->fd, ".", DIR_FLAGS);

	l->scans++;
	l->next = 0;
	strbuf_reset(&l->subdirs);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		note(r, errno);
		close_fd(fd);
		return;
	}
	while ((void)(errno = 0), (de = readdir(d)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (de->d_type != DT_DIR) {
			if (unlinkat(r->fd, de->d_name, 0) == 0 || errno == ENOENT)
				continue;
			if (errno != EISDIR) {
				note(r, errno);
				continue;
			}
		}
		strbuf_add(&l->subdirs, de->d_name, strlen(de->d_name) + 1);
	}
	if (errno)
		note(r, errno);
}

/*
 * Make the folder name in dirfd the deepest level and scan it. Notes a failure and stays otherwise.
 */
static void descend(struct removal *r, int dirfd, const char *name)
{
	auto_fd int fd = -1;
	struct stat st;

	/*
	 * For an empty folder this is all. A mount point says EBUSY, be it full or not, and a bind
	 * mount of the same file system, which st_dev does not show, is found out on every kernel.
	 */
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return;
	if (errno == EBUSY) {
		note(r, EXDEV);
		return;
	}
	fd = open_dir(dirfd, name);
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || fstat(fd, &st) < 0) {
		note(r, errno);
		return;
	}
	if (st.st_dev != r->dev) {
		note(r, EXDEV);
		return;
	}
	/* not ours to change: the unlink below will say so */
	if ((st.st_mode & S_IRWXU) != S_IRWXU && fchmod(fd, (st.st_mode & 07777) | S_IRWXU) < 0)
		errno = 0;

	GROW(r->levels, r->depth, r->cap);
	r->levels[r->depth++] = (struct level){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.name = xstrdup(name),
		.subdirs = STRBUF_INIT,
	};
	close_fd(r->fd);
	r->fd = take_fd(fd);
	scan(r);
}

/*
 * Back to the parent of the deepest level. Returns 0, or -1 with the failure noted: the way is
 * lost.
 */
static int ascend(struct removal *r)
{
	const struct level *parent = &r->levels[r->depth - 2];
	auto_fd int up = openat(r->fd, "..", DIR_FLAGS);
	struct stat st;

	if (up < 0 || fstat(up, &st) < 0) {
		note(r, errno);
		return -1;
	}
	if (st.st_dev != parent->dev || st.st_ino != parent->ino) {
		note(r, ESTALE); /* moved elsewhere while we were in it */
		return -1;
	}
	close_fd(r->fd);
	r->fd = take_fd(up);
	return 0;
}

/*
 * Enter the deepest level again from its parent dirfd, and scan it again. Returns 0, or -1: it is
 * not there now.
 */
static int rescan(struct removal *r, int dirfd)
{
	const struct level *l = top(r);
	auto_fd int fd = open_dir(dirfd, l->name);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != l->dev || st.st_ino != l->ino)
		return -1;
	close_fd(r->fd);
	r->fd = take_fd(fd);
	scan(r);
	return 0;
}

/*
 * Remove the folder of the deepest level, whose parent dirfd is, and take the level off. When
 * something is left in it for no reason that we know, it stays the deepest level, with what a new
 * scan found.
 */
static void remove_level(struct removal *r, int dirfd)
{
	struct level *l = top(r);
	int error = unlinkat(dirfd, l->name, AT_REMOVEDIR) < 0 ? errno : 0;

	if ((error == ENOTEMPTY || error == EEXIST) && !l->failed && l->scans < SCANS_MAX &&
		rescan(r, dirfd) == 0)
		return;
	level_release(l);
	r->depth--;
	if (error && error != ENOENT)
		note(r, error);
}

int remove_tree(int dirfd, const char *name)
{
	auto_removal r = {.fd = -1};
	struct stat st;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -1;
	/* a plain name may be a mount point: then its parent says which file system is meant */
	if (fstatat(dirfd, strchr(name, '/') ? name : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	r.dev = st.st_dev;

	descend(&r, dirfd, name);
	while (r.depth > 0) {
		struct level *l = top(&r);

		if (l->next < l->subdirs.len) {
			const char *sub = l->subdirs.buf + l->next;

			l->next += strlen(sub) + 1;
			descend(&r, r.fd, sub);
		} else if (r.depth == 1) {
			remove_level(&r, dirfd);
		} else if (ascend(&r) < 0) {
			break;
		} else {
			remove_level(&r, r.fd);
		}
	}
	errno = r.error;
	return r.error ? -1 : 0;
}
