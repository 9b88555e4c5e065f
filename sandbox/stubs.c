#include "sandbox/stubs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sandbox/root.h"
#include "sandbox/rootfs.h"

#define LINKS_MAX 40 /* symbolic links in one path, as the kernel */
#define XATTR_NAMES_MAX ((size_t)64 << 10) /* XATTR_LIST_MAX of the kernel */

/* ---- where a target lies ---- */

struct place {
	struct strbuf path; /* relative to the root, no link in it */
	size_t existing;    /* so many bytes of it are there */
	size_t links;
};

/* Cut path by its last component. */
static void go_up(struct place *p)
{
	const char *slash = strrchr(p->path.buf, '/');

	strbuf_setlen(&p->path, slash ? (size_t)(slash - p->path.buf) : 0);
	if (p->existing > p->path.len)
		p->existing = p->path.len;
}

static int not_a_folder(const char *path, const char *target, struct err *err)
{
	return err_set(err, ERR_INPUT, "'/%s' of the image is not a folder, so nothing can be mounted at '%s'", path,
		target);
}

/*
 * Look at the path with one component more. Returns 0, 1 when it is a link (its text in link), or -1 and *err.
 */
static int look(int root, struct place *p, size_t before, char link[PATH_MAX], const char *target, struct err *err)
{
	struct stat st;
	auto_fd int fd = -1;
	ssize_t n;

	if (p->existing < before)
		return 0; /* below something that is not there */
	fd = open_no_symlinks(root, p->path.buf, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 && errno == ENOTDIR) {
		strbuf_setlen(&p->path, before);
		return not_a_folder(p->path.buf, target, err);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "cannot look at the mount point '/%s'", p->path.buf);
	if (!S_ISLNK(st.st_mode))
		return p->existing = p->path.len, 0;
	n = readlinkat(fd, "", link, PATH_MAX - 1);
	if (n < 0)
		return err_sys(err, "cannot read the link '/%s'", p->path.buf);
	link[n] = '\0';
	return 1;
}

/*
 * Follow target from the root as the kernel would inside it; from the first name that is missing on it is taken as it
 * is written. p->path is released by the caller in any case.
 */
static int find_place(int root, const char *target, struct place *p, struct err *err)
{
	auto_strbuf rest = STRBUF_INIT;
	char link[PATH_MAX];
	size_t at = 0;

	*p = (struct place){ .path = STRBUF_INIT };
	strbuf_puts(&rest, target);
	for (;;) {
		size_t start = at + strspn(rest.buf + at, "/"), n = strcspn(rest.buf + start, "/");
		size_t before = p->path.len;
		auto_free char *name = xstrndup(rest.buf + start, n);
		int rc;

		at = start + n;
		if (n == 0)
			return 0;
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			go_up(p);
			continue;
		}
		if (before + n + 2 > PATH_MAX)
			return err_set(err, ERR_INPUT, "the mount point '%.200s...' is too long", target);
		strbuf_printf(&p->path, "%s%s", before ? "/" : "", name);
		rc = look(root, p, before, link, target, err);
		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		if (++p->links > LINKS_MAX)
			return err_set(err, ERR_INPUT, "too many links on the way to the mount point '%s'", target);
		auto_free char *after = xstrdup(rest.buf + at);
		strbuf_reset(&rest);
		strbuf_printf(&rest, "%s%s", link, after);
		at = 0;
		strbuf_setlen(&p->path, link[0] == '/' ? 0 : before);
		if (p->existing > p->path.len)
			p->existing = p->path.len;
	}
}

/* ---- making ---- */

/*
 * Make the components of path behind its first len bytes below the folder dir, each with fresh metadata. They may be
 * there already, made for another target, but no link among them.
 */
static int make_rest(int dir, const char *path, size_t len, bool file, struct err *err)
{
	auto_free char *above = xstrndup(path, len);
	auto_fd int at = open_no_symlinks(dir, *above ? above : ".", O_PATH | O_DIRECTORY, 0);

	for (const char *p = path + len; at >= 0 && *p;) {
		size_t n;
		int next;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		auto_free char *name = xstrndup(p, n);
		p += n;
		if (!*p && file) {
			next = openat(at, name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
		} else {
			next = mkdirat(at, name, 0755);
			if (next == 0 || errno == EEXIST)
				next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		}
		close_fd(at);
		at = next;
	}
	return at < 0 ? err_sys(err, "cannot make the mount point '/%s'", path) : 0;
}

/* Attributes of overlayfs are about its layers; the rest belongs to the folder. */
static int copy_xattrs(int from, int to, struct err *err)
{
	auto_free char *names = xmalloc(XATTR_NAMES_MAX);
	ssize_t n = flistxattr(from, names, XATTR_NAMES_MAX);

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
		auto_free char *value = xmalloc(XATTR_NAMES_MAX);
		ssize_t size = fgetxattr(from, names + i, value, XATTR_NAMES_MAX);

		if (strncmp(names + i, "user.overlay.", 13) == 0 || strncmp(names + i, "security.", 9) == 0)
			continue;
		if (size < 0 || fsetxattr(to, names + i, value, (size_t)size, 0) < 0)
			return err_sys(err, "cannot copy the attribute '%s' of a folder", names + i);
	}
	return 0;
}

/* dst becomes what src is, to whoever looks. */
static int copy_folder(int src, int dst, struct err *err)
{
	struct stat st;

	if (fstat(src, &st) < 0 || ((st.st_uid || st.st_gid) && fchown(dst, st.st_uid, st.st_gid) < 0) ||
		fchmod(dst, st.st_mode & 07777) < 0)
		return err_sys(err, "cannot copy the owner or mode of a folder");
	return copy_xattrs(src, dst, err);
}

static int copy_times(int src, int dst, struct err *err)
{
	struct stat st;

	if (fstat(src, &st) < 0 || futimens(dst, (struct timespec[]){ st.st_atim, st.st_mtim }) < 0)
		return err_sys(err, "cannot copy the times of a folder");
	return 0;
}

/* The first len bytes of path, as folders in top that look like those in view. With times alone, of all of them. */
static int copy_way(int top, int view, const char *path, size_t len, bool times, struct err *err)
{
	for (size_t n = 0; n <= len; n++) {
		auto_free char *way = xstrndup(path, n);
		auto_fd int src = -1;
		auto_fd int dst = -1;

		if (n != 0 && path[n] != '/' && n != len)
			continue;
		if (!times && n && mkdirat(top, way, 0700) < 0 && errno != EEXIST)
			return err_sys(err, "cannot make the mount point '/%s'", path);
		src = open_no_symlinks(view, n ? way : ".", O_RDONLY | O_DIRECTORY, 0);
		dst = open_no_symlinks(top, n ? way : ".", O_RDONLY | O_DIRECTORY, 0);
		if (src < 0 || dst < 0)
			return err_sys(err, "cannot open '/%s' to make a mount point below", way);
		if (times ? copy_times(src, dst, err) < 0 : copy_folder(src, dst, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- layers ---- */

/* What the layers show together. Two are needed for an overlay without an upper folder; one is its own view. */
static int open_view(const struct strv *lowers, struct err *err)
{
	const char *only = lowers->len ? lowers->v[0] : ROOT_STUB;
	int fd;

	if (lowers->len > 1)
		return rootfs_mount(lowers, NULL, NULL, ROOT_PLACE, err);
	fd = open_no_symlinks(AT_FDCWD, only, O_PATH | O_DIRECTORY, 0);
	return fd < 0 ? err_sys(err, "cannot open '%s' in the store", only) : fd;
}

static int new_layer(const char *work, const char *name, char **ret_path, struct err *err)
{
	int fd;

	*ret_path = xasprintf("%s/%s", work, name);
	if (mkdir(*ret_path, 0755) < 0)
		return err_sys(err, "cannot create '%s' in the store", *ret_path);
	fd = open_no_symlinks(AT_FDCWD, *ret_path, O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? err_sys(err, "cannot open '%s' in the store", *ret_path) : fd;
}

static void add_path(struct strv *paths, const char *path, size_t len)
{
	auto_free char *s = xstrndup(path, len);

	for (size_t i = 0; i < paths->len; i++)
		if (strcmp(paths->v[i], s) == 0)
			return;
	strv_take(paths, take_ptr(s));
}

/* Every path from the first that is missing. */
static void note_paths(struct strv *paths, const struct place *p)
{
	const char *path = p->path.buf;

	for (size_t n = p->existing + 1; n <= p->path.len; n++)
		if (n == p->path.len || path[n] == '/')
			add_path(paths, path, n);
}

/* Those of the targets that a view lacks. */
struct missing {
	struct place *places;
	const struct stub **stubs;
	size_t n;
};

static void missing_release(struct missing *m)
{
	for (size_t i = 0; i < m->n; i++)
		strbuf_release(&m->places[i].path);
	free(m->places);
	free(m->stubs);
}

/* *m is released by the caller in any case. */
static int find_missing(int view, const struct stub *stubs, size_t n, struct missing *m, struct err *err)
{
	*m = (struct missing){ xcalloc(n, sizeof(*m->places)), xcalloc(n, sizeof(*m->stubs)), 0 };
	for (size_t i = 0; i < n; i++) {
		struct place *p = &m->places[m->n];
		int rc = find_place(view, stubs[i].target, p, err);

		if (rc == 0 && p->existing < p->path.len)
			m->stubs[m->n++] = &stubs[i];
		else
			strbuf_release(&p->path);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static bool is_shown(int view, const struct place *p)
{
	auto_fd int fd = open_no_symlinks(view, p->path.buf, O_PATH | O_NOFOLLOW, 0);

	return fd >= 0;
}

/* In two passes: making the last of them changes the times of its folders. */
static int fill_above(const struct missing *m, int view, int dir, struct err *err)
{
	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < m->n; i++) {
			const struct place *p = &m->places[i];

			if (is_shown(view, p))
				continue;
			if (copy_way(dir, view, p->path.buf, p->existing, pass == 1, err) < 0)
				return -1;
			if (pass == 0 && make_rest(dir, p->path.buf, p->existing, m->stubs[i]->file, err) < 0)
				return -1;
		}
	return 0;
}

int stubs_make_above(int view, const struct stub *stubs, size_t n, int dir, struct err *err)
{
	struct missing m;
	int rc = find_missing(view, stubs, n, &m, err);

	if (rc == 0)
		rc = fill_above(&m, view, dir, err);
	missing_release(&m);
	return rc;
}

static int add_below(const struct missing *m, const char *work, struct strv *lowers, struct err *err)
{
	auto_free char *name = NULL;
	auto_fd int dir = new_layer(work, "below", &name, err);

	if (dir < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++)
		if (make_rest(dir, m->places[i].path.buf, 0, m->stubs[i]->file, err) < 0)
			return -1;
	strv_add(lowers, name);
	return 0;
}

static void put_first(struct strv *lowers, const char *name)
{
	strv_add(lowers, name);
	for (size_t i = lowers->len - 1; i > 0; i--) {
		char *swap = lowers->v[i];

		lowers->v[i] = lowers->v[i - 1];
		lowers->v[i - 1] = swap;
	}
}

/* For what does not show from below. */
static int add_above(const struct missing *m, const char *work, struct strv *lowers, struct err *err)
{
	auto_fd int view = open_view(lowers, err);
	auto_free char *name = NULL;
	auto_fd int dir = -1;
	size_t shown = 0;

	if (view < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++)
		shown += is_shown(view, &m->places[i]);
	if (shown == m->n)
		return 0;
	dir = new_layer(work, "above", &name, err);
	if (dir < 0 || fill_above(m, view, dir, err) < 0)
		return -1;
	put_first(lowers, name);
	return 0;
}

int stubs_add(const struct stub *stubs, size_t n, const char *work, struct strv *lowers, struct strv *ret_paths,
	struct err *err)
{
	auto_fd int view = open_view(lowers, err);
	struct missing m;
	int rc;

	if (view < 0)
		return -1;
	rc = find_missing(view, stubs, n, &m, err);
	if (rc == 0 && m.n) {
		rc = add_below(&m, work, lowers, err) < 0 ? -1 : add_above(&m, work, lowers, err);
		for (size_t i = 0; rc == 0 && i < m.n; i++)
			note_paths(ret_paths, &m.places[i]);
	}
	missing_release(&m);
	return rc;
}

/* Whether the first len bytes of path lie in the file system of root itself, where nothing is to be made. */
static bool is_in_root(int root, const char *path, size_t len)
{
	auto_free char *above = xstrndup(path, len);
	auto_fd int fd = open_no_symlinks(root, *above ? above : ".", O_PATH | O_DIRECTORY, 0);
	struct stat ours, its;

	return fd < 0 || fstat(root, &ours) < 0 || fstat(fd, &its) < 0 || ours.st_dev == its.st_dev;
}

int stubs_make_place(int root, const char *target, bool file, struct err *err)
{
	auto_fd int there = open_in_root(root, target, O_PATH, 0);
	struct place p;
	int rc;

	if (there >= 0 || errno != ENOENT)
		return 0; /* what else is wrong, the mount will say */
	rc = find_place(root, target, &p, err);
	if (rc == 0 && is_in_root(root, p.path.buf, p.existing))
		rc = err_set(err, ERR_SANDBOX, "the mount point '%s' does not show in the root file system", target);
	if (rc == 0)
		rc = make_rest(root, p.path.buf, p.existing, file, err);
	strbuf_release(&p.path);
	if (rc < 0 && err->sys == EROFS) {
		err_wrap(err, "what is mounted around '%s' is read-only and lacks the mount point", target);
		err->kind = ERR_INPUT;
	}
	return rc;
}
