#include "sandbox/treecopy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define OVERLAY_PREFIX "user.overlay."
#define OVERLAY_ESCAPED "user.overlay.overlay."
#define OVERLAY_OPAQUE "user.overlay.opaque"
#define BLOCK 512 /* of st_blocks */

/* The first name, in the copy, of a file that has several. */
struct first {
	dev_t dev;
	ino_t ino;
	char *path;
};

struct copy {
	int root; /* of the copy */
	struct strbuf path;
	void *firsts; /* tsearch(3) of struct first */
	unsigned depth;
	char *list, *value; /* of attributes */
};

/* ---- attributes ---- */

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* What the copy of an attribute is called, or NULL for one that stays behind. */
static const char *copied_name(const char *name, char buf[XATTR_NAME_MAX + 1])
{
	if (starts(name, OVERLAY_ESCAPED)) {
		snprintf(buf, XATTR_NAME_MAX + 1, "%s%s", OVERLAY_PREFIX, name + strlen(OVERLAY_ESCAPED));
		return buf;
	}
	if (starts(name, OVERLAY_PREFIX))
		return NULL;
	if (starts(name, "user.") || strcmp(name, "security.capability") == 0 || starts(name, "system.posix_acl_"))
		return name;
	return NULL;
}

static int copy_xattrs_with(int from, int to, char *list, char *value, const char *what, struct err *err)
{
	ssize_t len = flistxattr(from, list, TREE_XATTR_LIST_MAX);

	if (len < 0)
		return errno == ENOTSUP ? 0 : err_sys(err, "cannot list the attributes of '%s'", what);
	for (const char *name = list; name < list + len; name += strlen(name) + 1) {
		char buf[XATTR_NAME_MAX + 1];
		const char *as = copied_name(name, buf);
		ssize_t n;

		if (!as)
			continue;
		n = fgetxattr(from, name, value, TREE_XATTR_VALUE_MAX);
		if (n < 0 || fsetxattr(to, as, value, (size_t)n, 0) < 0) {
			if (starts(name, "system."))
				continue; /* no layer holds them */
			return err_sys(err, "cannot copy the attribute %s of '%s'", name, what);
		}
	}
	return 0;
}

/* Owner before mode: a change of owner takes the set-user-ID bit and file capabilities away. Times last. */
static int copy_metadata_with(int from, const struct stat *st, int to, char *list, char *value, const char *what,
	struct err *err)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return err_sys(err, "cannot set owner and mode of '%s'", what);
	if (copy_xattrs_with(from, to, list, value, what, err) < 0)
		return -1;
	if (futimens(to, times) < 0)
		return err_sys(err, "cannot set the times of '%s'", what);
	return 0;
}

int tree_copy_metadata(int from, const struct stat *st, int to, const char *what, struct err *err)
{
	auto_free char *list = xmalloc(TREE_XATTR_LIST_MAX);
	auto_free char *value = xmalloc(TREE_XATTR_VALUE_MAX);

	return copy_metadata_with(from, st, to, list, value, what, err);
}

int tree_escape_xattrs(int fd, const char *name, struct err *err)
{
	char list[4096], value[4096], as[XATTR_NAME_MAX + sizeof(OVERLAY_ESCAPED)];
	ssize_t len = flistxattr(fd, list, sizeof(list));

	if (len < 0 && errno == ENOTSUP)
		return 0;
	if (len < 0)
		return err_sys(err, "cannot list the attributes of '%s'", name);
	for (const char *p = list; p < list + len; p += strlen(p) + 1) {
		ssize_t n;

		if (!starts(p, OVERLAY_PREFIX))
			continue;
		n = fgetxattr(fd, p, value, sizeof(value));
		snprintf(as, sizeof(as), "%s%s", OVERLAY_ESCAPED, p + strlen(OVERLAY_PREFIX));
		if (n < 0 || fsetxattr(fd, as, value, (size_t)n, 0) < 0 || fremovexattr(fd, p) < 0)
			return err_sys(err, "cannot store the attribute %s of '%s'", p, name);
	}
	return 0;
}

/* ---- names ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int tree_list(int fd, struct strv *names, struct err *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	if (!d) {
		close_fd(copy);
		return err_sys(err, "cannot read a folder of the tree");
	}
	while (errno = 0, (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			strv_add(names, e->d_name);
	if (errno)
		return err_sys(err, "cannot read a folder of the tree");
	if (names->len > 1)
		qsort(names->v, names->len, sizeof(*names->v), compare_names);
	return 0;
}

int tree_open(int dirfd, const char *name, bool folder)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	return openat(dirfd, name, folder ? flags | O_DIRECTORY : flags);
}

int tree_put_whiteout(int dirfd, const char *name, const char *path, struct err *err)
{
	if (mknodat(dirfd, name, S_IFCHR, makedev(0, 0)) == 0)
		return 0;
	err_sys(err, "cannot record that '%s' was removed", path);
	if (err->sys != EPERM)
		return -1;
	err_wrap(err, "the file system of the store holds no whiteouts, is it an overlay? use another store directory, "
		"such as a volume (--root)");
	err->kind = ERR_SANDBOX;
	return -1;
}

/* ---- files ---- */

/* Only the parts that are there: a hole stays a hole. */
static int copy_sparse(int from, int to, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(from, at, SEEK_DATA);
		off_t end = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);

		if (data < 0)
			return errno == ENXIO ? 0 : -1; /* nothing but a hole up to the end */
		if (end < 0 || lseek(from, data, SEEK_SET) < 0 || lseek(to, data, SEEK_SET) < 0)
			return -1;
		if (copy_bytes(from, to, (uint64_t)(end - data)) < 0)
			return -1;
		at = end;
	}
	return 0;
}

static int copy_content(int from, int to, const struct stat *st)
{
	if (st->st_size == 0 || ioctl(to, FICLONE, from) == 0)
		return 0;
	if (st->st_blocks >= st->st_size / BLOCK)
		return copy_bytes(from, to, UINT64_MAX) < 0 ? -1 : 0;
	if (copy_sparse(from, to, st->st_size) == 0 && ftruncate(to, st->st_size) == 0)
		return 0;
	if (errno != EINVAL && errno != EOPNOTSUPP)
		return -1;
	if (lseek(from, 0, SEEK_SET) < 0 || lseek(to, 0, SEEK_SET) < 0 || ftruncate(to, 0) < 0)
		return -1;
	return copy_bytes(from, to, UINT64_MAX) < 0 ? -1 : 0;
}

static int compare_firsts(const void *pa, const void *pb)
{
	const struct first *a = pa, *b = pb;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static void free_first(void *p)
{
	free(((struct first *)p)->path);
	free(p);
}

/*
 * The file is another name of one copied already: link to that. Returns 1, 0 when it is the first of its names (which
 * is remembered), or -1. The first name is in the copy: a layer removes nothing that itself brought.
 */
static int copy_as_link(struct copy *c, const struct stat *st, int to, const char *name, struct err *err)
{
	struct first key = { .dev = st->st_dev, .ino = st->st_ino }, *first;
	struct first **known;

	if (st->st_nlink < 2)
		return 0;
	known = tfind(&key, &c->firsts, compare_firsts);
	if (known) {
		if (linkat(c->root, (*known)->path, to, name, 0) < 0)
			return err_sys(err, "cannot link '%s'", c->path.buf);
		return 1;
	}
	first = xmalloc(sizeof(*first));
	*first = key;
	first->path = xstrdup(c->path.buf);
	if (!tsearch(first, &c->firsts, compare_firsts))
		abort(); /* out of memory, as everywhere */
	return 0;
}

static int copy_file(struct copy *c, int from_dir, const struct stat *seen, int to_dir, const char *name,
	struct err *err)
{
	auto_fd int from = tree_open(from_dir, name, false);
	auto_fd int to = -1;
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0)
		return err_sys(err, "cannot open '%s'", c->path.buf);
	if (!S_ISREG(st.st_mode) || st.st_ino != seen->st_ino)
		return err_set(err, ERR_CORRUPT, "'%s' was replaced while it was copied", c->path.buf);
	to = openat(to_dir, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0 || copy_content(from, to, &st) < 0)
		return err_sys(err, "cannot copy '%s'", c->path.buf);
	return copy_metadata_with(from, &st, to, c->list, c->value, c->path.buf, err);
}

static int copy_symlink(struct copy *c, int from_dir, int to_dir, const char *name, struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target));

	if (n < 0 || n == (ssize_t)sizeof(target))
		return err_sys(err, "cannot read the link '%s'", c->path.buf);
	target[n] = '\0';
	return symlinkat(target, to_dir, name) < 0 ? err_sys(err, "cannot create the link '%s'", c->path.buf) : 0;
}

/* What is neither a file nor a folder. Devices and sockets are in no layer folder: a user cannot make the ones, and
 * layers cannot hold the others. */
static int copy_special(struct copy *c, int from_dir, const struct stat *st, int to_dir, const char *name,
	struct err *err)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (S_ISLNK(st->st_mode)) {
		if (copy_symlink(c, from_dir, to_dir, name, err) < 0)
			return -1;
	} else if (S_ISFIFO(st->st_mode)) {
		if (mkfifoat(to_dir, name, 0600) < 0)
			return err_sys(err, "cannot create the fifo '%s'", c->path.buf);
	} else {
		return 0;
	}
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		(S_ISFIFO(st->st_mode) && fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0) ||
		utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot set owner and time of '%s'", c->path.buf);
	return 0;
}

/* ---- folders ---- */

static int copy_folder(struct copy *c, int from, int to, struct err *err);

static bool is_opaque(int fd)
{
	char value = 0;

	return fgetxattr(fd, OVERLAY_OPAQUE, &value, 1) == 1 && value == 'y';
}

static int copy_subfolder(struct copy *c, int from_dir, int to_dir, const char *name, struct err *err)
{
	auto_fd int from = tree_open(from_dir, name, true);
	auto_fd int to = -1;
	struct stat st, there;

	if (from < 0 || fstat(from, &st) < 0)
		return err_sys(err, "cannot open the folder '%s'", c->path.buf);
	if (fstatat(to_dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && (!S_ISDIR(there.st_mode) || is_opaque(from)) &&
		remove_tree(to_dir, name) < 0)
		return err_sys(err, "cannot remove '%s'", c->path.buf);
	if (mkdirat(to_dir, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "cannot create the folder '%s'", c->path.buf);
	to = tree_open(to_dir, name, true);
	if (to < 0)
		return err_sys(err, "cannot open the folder '%s'", c->path.buf);
	if (c->depth == TREE_DEPTH_MAX)
		return err_set(err, ERR_INPUT, "'%s' is deeper than %d folders", c->path.buf, TREE_DEPTH_MAX);
	c->depth++;
	if (copy_folder(c, from, to, err) < 0)
		return -1;
	c->depth--;
	return copy_metadata_with(from, &st, to, c->list, c->value, c->path.buf, err);
}

static int copy_entry(struct copy *c, int from, int to, const char *name, struct err *err)
{
	struct stat st;
	int linked;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot stat '%s'", c->path.buf);
	if (S_ISDIR(st.st_mode))
		return copy_subfolder(c, from, to, name, err);
	if (remove_tree(to, name) < 0)
		return err_sys(err, "cannot remove '%s'", c->path.buf);
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
		return 0; /* a whiteout */
	linked = copy_as_link(c, &st, to, name, err);
	if (linked != 0)
		return linked < 0 ? -1 : 0;
	return S_ISREG(st.st_mode) ? copy_file(c, from, &st, to, name, err) :
				     copy_special(c, from, &st, to, name, err);
}

static int copy_folder(struct copy *c, int from, int to, struct err *err)
{
	auto_strv names = STRV_INIT;
	size_t base = c->path.len;

	if (tree_list(from, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		strbuf_printf(&c->path, "%s%s", base ? "/" : "", names.v[i]);
		if (copy_entry(c, from, to, names.v[i], err) < 0)
			return -1;
		strbuf_setlen(&c->path, base);
	}
	return 0;
}

int tree_apply(int from, int to, struct err *err)
{
	struct copy c = { .root = to, .path = STRBUF_INIT };
	int rc;

	c.list = xmalloc(TREE_XATTR_LIST_MAX);
	c.value = xmalloc(TREE_XATTR_VALUE_MAX);
	rc = copy_folder(&c, from, to, err);
	tdestroy(c.firsts, free_first);
	strbuf_release(&c.path);
	free(c.list);
	free(c.value);
	return rc;
}

int tree_merge(const struct strv *lowers, int to, struct err *err)
{
	for (size_t i = lowers->len; i > 0; i--) {
		auto_fd int from = open_no_symlinks(AT_FDCWD, lowers->v[i - 1], O_RDONLY | O_DIRECTORY, 0);

		if (from < 0)
			return err_sys(err, "cannot open '%s' in the store", lowers->v[i - 1]);
		if (tree_apply(from, to, err) < 0)
			return err_wrap(err, "copying '%s'", lowers->v[i - 1]);
	}
	return 0;
}
