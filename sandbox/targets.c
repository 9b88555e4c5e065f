#include "sandbox/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sandbox/treecopy.h"

const struct target step_targets[] = {
	{ .path = "dev", .folder = true, .plain = true },
	{ .path = "proc", .folder = true, .plain = true },
	{ .path = "sys", .folder = true, .plain = true },
	{ .path = "etc/hosts" },
	{ .path = "etc/resolv.conf" },
	{ .path = NULL },
};

/* Where the link path of rootfd leads; "" for what is no link. */
static void read_link(int rootfd, const char *path, char buf[PATH_MAX])
{
	auto_fd int fd = open_in_root(rootfd, path, O_PATH | O_NOFOLLOW, 0);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", buf, PATH_MAX - 1);

	buf[n < 0 ? 0 : n] = '\0';
}

static int explain(int rootfd, const struct target *t, struct err *err)
{
	char link[PATH_MAX];
	int saved = errno;

	if (saved == ELOOP)
		return err_set(err, ERR_INPUT,
			"the image has a loop of symbolic links at '/%s', where a %s of the step must be mounted", t->path,
			t->folder ? "folder" : "file");
	if (saved == ENOTDIR)
		return err_set(err, ERR_INPUT,
			"the image has a file on the way to '/%s', where a %s of the step must be mounted", t->path,
			t->folder ? "folder" : "file");
	read_link(rootfd, t->path, link);
	errno = saved;
	return err_sys(err, "cannot open '/%s'%s%s of the image", t->path, *link ? ", a link to " : "", link);
}

static int check(int rootfd, const struct target *t, int fd, struct err *err)
{
	char link[PATH_MAX];
	struct stat st;

	if (t->plain) {
		read_link(rootfd, t->path, link);
		if (*link)
			return err_set(err, ERR_INPUT,
				"'/%s' of the image is a link to '%s'; it must be an ordinary folder, for a file system is "
				"mounted there",
				t->path, link);
	}
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat '/%s' of the image", t->path);
	if (S_ISDIR(st.st_mode) == t->folder)
		return 0;
	return err_set(err, ERR_INPUT, "the image has a %s at '/%s' where a %s of the step must be mounted",
		S_ISDIR(st.st_mode) ? "folder" : "file", t->path, t->folder ? "folder" : "file");
}

/* 1: missing, 0: there, -1 and *err: in the way. */
static int is_missing(int rootfd, const struct target *t, struct err *err)
{
	auto_fd int fd = open_in_root(rootfd, t->path, O_PATH, 0);

	if (fd < 0 && errno != ENOENT)
		return explain(rootfd, t, err);
	return check(rootfd, t, fd, err) < 0 ? -1 : fd < 0;
}

int targets_missing(int rootfd, const struct target *targets, struct err *err)
{
	int missing = 0;

	for (; targets->path; targets++) {
		int rc = is_missing(rootfd, targets, err);

		if (rc < 0)
			return -1;
		missing |= rc;
	}
	return missing;
}

/* ---- where a missing one belongs ---- */

/* Take the first component off the front of *rest. NULL at the end. Owned by the caller. */
static char *next_component(const char **rest)
{
	size_t len;
	char *name;

	*rest += strspn(*rest, "/");
	len = strcspn(*rest, "/");
	if (!len)
		return NULL;
	name = xstrndup(*rest, len);
	*rest += len;
	return name;
}

static void pop(struct strbuf *path)
{
	const char *slash = strrchr(path->buf, '/');

	strbuf_setlen(path, slash ? (size_t)(slash - path->buf) : 0);
}

static void push(struct strbuf *path, const char *name)
{
	strbuf_printf(path, "%s%s", path->len ? "/" : "", name);
}

/* What is still to be walked becomes link and then rest, in a new *text. Returns its start. */
static const char *follow(char **text, const char *link, const char *rest)
{
	char *longer = xasprintf("%s/%s", link, rest);

	free(*text);
	*text = longer;
	return longer;
}

/*
 * The path without links at which t would be: what is there of it, and then the rest. The walk is lexical over a tree
 * that nobody changes; what it yields is only ever made below the stub.
 */
static int resolve(int rootfd, const struct target *t, struct strbuf *ret, struct err *err)
{
	auto_free char *text = xstrdup(t->path);
	const char *rest = text;
	unsigned links = 0;

	for (;;) {
		auto_free char *name = next_component(&rest);
		char link[PATH_MAX];

		if (!name)
			return 0;
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			pop(ret);
			continue;
		}
		push(ret, name);
		read_link(rootfd, ret->buf, link);
		if (!*link)
			continue;
		if (++links > TARGET_LINKS_MAX)
			return errno = ELOOP, explain(rootfd, t, err);
		if (link[0] == '/')
			strbuf_setlen(ret, 0);
		else
			pop(ret);
		rest = follow(&text, link, rest);
	}
}

/* ---- the stub ---- */

/* mkdir in the stub; what the root has there lends its metadata. */
static int make_parent(int rootfd, const char *path, int stubfd, struct err *err)
{
	auto_fd int from = open_in_root(rootfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	auto_fd int to = -1;
	struct stat st;

	if (from < 0 && errno != ENOENT)
		return err_sys(err, "cannot open '/%s' of the image", path);
	if (mkdirat(stubfd, path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "cannot create '%s' for the mounts of the step", path);
	if (from < 0)
		return 0;
	to = open_no_symlinks(stubfd, path, O_RDONLY | O_DIRECTORY, 0);
	if (to < 0 || fstat(from, &st) < 0)
		return err_sys(err, "cannot open '%s' for the mounts of the step", path);
	return tree_copy_metadata(from, &st, to, path, err);
}

/* For all folders above path, the outermost first. */
static int each_parent(int rootfd, const char *path, int stubfd, struct err *err)
{
	for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
		auto_free char *parent = xstrndup(path, (size_t)(slash - path));

		if (make_parent(rootfd, parent, stubfd, err) < 0)
			return -1;
	}
	return 0;
}

static int make_target(int rootfd, const struct target *t, int stubfd, struct err *err)
{
	auto_strbuf path = STRBUF_INIT;
	auto_fd int fd = -1;

	if (resolve(rootfd, t, &path, err) < 0 || each_parent(rootfd, path.buf, stubfd, err) < 0)
		return -1;
	if (t->folder) {
		if (mkdirat(stubfd, path.buf, 0755) < 0 && errno != EEXIST)
			return err_sys(err, "cannot create '%s' for the mounts of the step", path.buf);
	} else {
		fd = open_no_symlinks(stubfd, path.buf, O_CREAT | O_WRONLY, 0644);
		if (fd < 0)
			return err_sys(err, "cannot create '%s' for the mounts of the step", path.buf);
	}
	/* Making it changed the times of its folders. */
	return each_parent(rootfd, path.buf, stubfd, err);
}

int targets_make_stub(int rootfd, const struct target *targets, int stubfd, struct err *err)
{
	for (; targets->path; targets++) {
		int rc = is_missing(rootfd, targets, err);

		if (rc < 0 || (rc > 0 && make_target(rootfd, targets, stubfd, err) < 0))
			return -1;
	}
	return 0;
}
