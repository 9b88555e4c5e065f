#include "sandbox/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "sandbox/stubs.h"

/* Folders must be there themselves, for a link at /proc could lead anywhere; files may be links. */
static const struct stub targets[] = {
	{ .target = "dev" },
	{ .target = "proc" },
	{ .target = "sys" },
	{ .target = "etc/hosts", .file = true },
	{ .target = "etc/resolv.conf", .file = true },
};
#define TARGETS (sizeof(targets) / sizeof(targets[0]))

/* Where the link path of rootfd leads; "" for what is no link. */
static void read_link(int rootfd, const char *path, char buf[PATH_MAX])
{
	auto_fd int fd = open_in_root(rootfd, path, O_PATH | O_NOFOLLOW, 0);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", buf, PATH_MAX - 1);

	buf[n < 0 ? 0 : n] = '\0';
}

static int explain(int rootfd, const struct stub *t, struct err *err)
{
	char link[PATH_MAX];
	int saved = errno;

	if (saved == ELOOP)
		return err_set(err, ERR_INPUT,
			"the image has a loop of symbolic links at '/%s', where a %s of the step must be mounted", t->target,
			t->file ? "file" : "folder");
	if (saved == ENOTDIR)
		return err_set(err, ERR_INPUT,
			"the image has a file on the way to '/%s', where a %s of the step must be mounted", t->target,
			t->file ? "file" : "folder");
	read_link(rootfd, t->target, link);
	errno = saved;
	return err_sys(err, "cannot open '/%s'%s%s of the image", t->target, *link ? ", a link to " : "", link);
}

static int check(int rootfd, const struct stub *t, int fd, struct err *err)
{
	char link[PATH_MAX];
	struct stat st;

	if (!t->file) {
		read_link(rootfd, t->target, link);
		if (*link)
			return err_set(err, ERR_INPUT,
				"'/%s' of the image is a link to '%s'; it must be an ordinary folder, for a file system is "
				"mounted there",
				t->target, link);
	}
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat '/%s' of the image", t->target);
	if (S_ISDIR(st.st_mode) == !t->file)
		return 0;
	return err_set(err, ERR_INPUT, "the image has a %s at '/%s' where a %s of the step must be mounted",
		S_ISDIR(st.st_mode) ? "folder" : "file", t->target, t->file ? "file" : "folder");
}

/* 1: missing, 0: there, -1 and *err: in the way. */
static int is_missing(int rootfd, const struct stub *t, struct err *err)
{
	auto_fd int fd = open_in_root(rootfd, t->target, O_PATH, 0);

	if (fd < 0 && errno != ENOENT)
		return explain(rootfd, t, err);
	return check(rootfd, t, fd, err) < 0 ? -1 : fd < 0;
}

int targets_missing(int rootfd, struct err *err)
{
	int missing = 0;

	for (size_t i = 0; i < TARGETS; i++) {
		int rc = is_missing(rootfd, &targets[i], err);

		if (rc < 0)
			return -1;
		missing |= rc;
	}
	return missing;
}

int targets_make_stub(int rootfd, int stubfd, struct err *err)
{
	return stubs_make_above(rootfd, targets, TARGETS, stubfd, err);
}
