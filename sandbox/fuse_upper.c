#include "sandbox/fuse_upper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "sandbox/treecopy.h"

#define WHITEOUT ".wh."
#define OPAQUE_FILE ".wh..wh..opq"
#define FUSE_OPAQUE "user.fuseoverlayfs.opaque"
#define FUSE_ORIGIN "user.fuseoverlayfs.origin"
#define OVERLAY_OPAQUE "user.overlay.opaque"

struct convert {
	int *lowers; /* top first */
	size_t nlowers;
	struct timespec began;
	struct strbuf path;
};

/* What is in a folder of the upper, apart from folders that are only there for what is below them. */
struct content {
	bool opaque;
	bool copied_up; /* something that a layer below has as well */
	bool made;      /* something that the step put there or took away */
};

/* What the topmost layer that has the path says of it; as a descriptor (O_PATH), or -1. */
static int open_below(const struct convert *c, struct stat *ret)
{
	const char *slash = strrchr(c->path.buf, '/');
	auto_free char *parent = slash ? xstrndup(c->path.buf, (size_t)(slash - c->path.buf)) : xstrdup(".");

	for (size_t i = 0; i < c->nlowers; i++) {
		auto_fd int dir = open_no_symlinks(c->lowers[i], parent, O_PATH | O_DIRECTORY, 0);
		int fd = dir < 0 ? -1 : openat(dir, path_base(c->path.buf), O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 && fstat(fd, ret) == 0)
			return fd;
		close_fd(fd);
	}
	return -1;
}

/* The folder at the path in the topmost layer that has one. */
static bool find_below(const struct convert *c, struct stat *ret)
{
	for (size_t i = 0; i < c->nlowers; i++) {
		auto_fd int fd = open_no_symlinks(c->lowers[i], c->path.buf, O_PATH | O_DIRECTORY, 0);

		if (fd >= 0 && fstat(fd, ret) == 0)
			return true;
	}
	return false;
}

static int take_whiteout(const struct convert *c, int dir, const char *name, struct content *in, struct err *err)
{
	const char *gone = name + strlen(WHITEOUT);

	if (unlinkat(dir, name, 0) < 0)
		return err_sys(err, "cannot remove '%s/%s'", c->path.buf, name);
	if (strcmp(name, OPAQUE_FILE) == 0) {
		in->opaque = true;
		return 0;
	}
	in->made = true;
	if (faccessat(dir, gone, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0; /* it was put there again */
	return tree_put_whiteout(dir, gone, c->path.buf, err);
}

static int remove_mark(int fd, const char *name, const char *path, bool *ret_had, struct err *err)
{
	*ret_had = fremovexattr(fd, name) == 0;
	if (!*ret_had && errno != ENODATA && errno != ENOTSUP)
		return err_sys(err, "cannot remove %s of '%s'", name, path);
	return 0;
}

static int convert_file(const struct convert *c, int dir, const char *name, struct content *in, struct err *err)
{
	auto_fd int fd = tree_open(dir, name, false);
	bool copied;

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", c->path.buf);
	if (remove_mark(fd, FUSE_ORIGIN, c->path.buf, &copied, err) < 0)
		return -1;
	in->copied_up |= copied;
	in->made |= !copied;
	return tree_escape_xattrs(fd, c->path.buf, err);
}

static int convert_folder(struct convert *c, int fd, struct content *in, unsigned depth, struct err *err);

static bool is_before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

static int convert_subfolder(struct convert *c, int dir, const char *name, struct content *in, unsigned depth,
	struct err *err)
{
	auto_fd int fd = tree_open(dir, name, true);
	struct content own = { .opaque = false };
	struct stat st, below;
	struct timespec times[2];
	bool marked, origin, has_below;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "cannot open the folder '%s'", c->path.buf);
	if (depth == TREE_DEPTH_MAX)
		return err_set(err, ERR_INPUT, "'%s' is deeper than %d folders, which no layer can hold", c->path.buf,
			TREE_DEPTH_MAX);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (tree_escape_xattrs(fd, c->path.buf, err) < 0 || convert_folder(c, fd, &own, depth + 1, err) < 0 ||
		remove_mark(fd, FUSE_OPAQUE, c->path.buf, &marked, err) < 0 ||
		remove_mark(fd, FUSE_ORIGIN, c->path.buf, &origin, err) < 0)
		return -1;
	own.opaque |= marked;
	if (own.opaque && fsetxattr(fd, OVERLAY_OPAQUE, "y", 1, 0) < 0)
		return err_sys(err, "cannot mark the folder '%s' opaque", c->path.buf);
	has_below = !own.opaque && find_below(c, &below);
	in->copied_up |= has_below;
	in->made |= !has_below;
	if (has_below && own.copied_up && !own.made && !is_before(st.st_mtim, c->began))
		times[1] = below.st_mtim;
	return futimens(fd, times) < 0 ? err_sys(err, "cannot set the times of '%s'", c->path.buf) : 0;
}

/*
 * A link or fifo holds no mark. fuse-overlayfs forgets its time when it copies it up for a new owner; one that was
 * made anew has the owner that it had, and its time is its own.
 */
static int convert_special(const struct convert *c, int dir, const char *name, const struct stat *st,
	struct content *in, struct err *err)
{
	struct stat below;
	auto_fd int fd = open_below(c, &below);
	struct timespec times[2];

	if (fd < 0 || (below.st_mode & S_IFMT) != (st->st_mode & S_IFMT) || is_before(st->st_mtim, c->began) ||
		(below.st_uid == st->st_uid && below.st_gid == st->st_gid && below.st_mode == st->st_mode)) {
		in->made = true;
		return 0;
	}
	in->copied_up = true;
	times[0] = below.st_atim;
	times[1] = below.st_mtim;
	return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ?
		       err_sys(err, "cannot set the times of '%s'", c->path.buf) : 0;
}

static int convert_entry(struct convert *c, int dir, const char *name, struct content *in, unsigned depth,
	struct err *err)
{
	struct stat st;

	if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0)
		return take_whiteout(c, dir, name, in, err);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot stat '%s'", c->path.buf);
	if (S_ISDIR(st.st_mode))
		return convert_subfolder(c, dir, name, in, depth, err);
	if (S_ISREG(st.st_mode))
		return convert_file(c, dir, name, in, err);
	if (S_ISCHR(st.st_mode)) { /* a whiteout already */
		in->made = true;
		return 0;
	}
	return convert_special(c, dir, name, &st, in, err);
}

static int convert_folder(struct convert *c, int fd, struct content *in, unsigned depth, struct err *err)
{
	auto_strv names = STRV_INIT;
	size_t base = c->path.len;

	if (tree_list(fd, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		strbuf_printf(&c->path, "%s%s", base ? "/" : "", names.v[i]);
		if (convert_entry(c, fd, names.v[i], in, depth, err) < 0)
			return -1;
		strbuf_setlen(&c->path, base);
	}
	return 0;
}

int fuse_upper_convert(int upper, const struct strv *lowers, struct timespec began, struct err *err)
{
	struct convert c = { .lowers = xcalloc(lowers->len, sizeof(int)), .began = began, .path = STRBUF_INIT };
	struct content root = { .opaque = false };
	bool mark;
	int rc = 0;

	for (; c.nlowers < lowers->len && rc == 0; c.nlowers++) {
		c.lowers[c.nlowers] = open_no_symlinks(AT_FDCWD, lowers->v[c.nlowers], O_PATH | O_DIRECTORY, 0);
		if (c.lowers[c.nlowers] < 0)
			rc = err_sys(err, "cannot open '%s' in the store", lowers->v[c.nlowers]);
	}
	if (rc == 0)
		rc = convert_folder(&c, upper, &root, 0, err);
	if (rc == 0)
		rc = remove_mark(upper, FUSE_ORIGIN, "/", &mark, err);
	while (c.nlowers > 0)
		close_fd(c.lowers[--c.nlowers]);
	free(c.lowers);
	strbuf_release(&c.path);
	return rc;
}
