#include "sandbox/treediff.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "sandbox/treecopy.h"

#define OVERLAY_OPAQUE "user.overlay.opaque"
#define TICK_NS 1000000      /* a pause while waiting for the clock */
#define TICKS_MAX 2000       /* two seconds: then the times in the tree are of another clock */
#define NS_PER_S 1000000000ll

/* One path, in the order of a walk with sorted names: a folder, then all below it. */
struct node {
	uint64_t ino;
	int64_t ctime, btime; /* ns; btime 0 where the file system has none, and for what is no folder */
	size_t name;          /* offset in names */
	size_t end;           /* of a folder: index behind the last node below it; else 0 */
};

struct tree_snapshot {
	struct node *nodes;
	size_t len, cap;
	struct strbuf names; /* each with its NUL */
};

static int64_t ns_of(struct statx_timestamp t)
{
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int get_stat(int dirfd, const char *name, struct statx *ret, struct err *err)
{
	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, ret) < 0)
		return err_sys(err, "cannot stat '%s'", name);
	return 0;
}

/* Only a folder's birth matters: it tells one made anew under an old inode number from one that stayed. */
static int64_t birth_of(const struct statx *sx)
{
	return S_ISDIR(sx->stx_mode) && (sx->stx_mask & STATX_BTIME) ? ns_of(sx->stx_btime) : 0;
}

static int too_deep(const char *name, struct err *err)
{
	return err_set(err, ERR_INPUT, "'%s' is deeper than %d folders, which no layer can hold", name, TREE_DEPTH_MAX);
}

/* ---- before ---- */

static int note_folder(struct tree_snapshot *s, int fd, unsigned depth, int64_t *latest, struct err *err)
{
	auto_strv names = STRV_INIT;

	if (tree_list(fd, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		auto_fd int child = -1;
		struct statx sx;
		size_t at = s->len;

		if (get_stat(fd, names.v[i], &sx, err) < 0)
			return -1;
		GROW(s->nodes, s->len, s->cap);
		s->nodes[s->len++] = (struct node){ .ino = sx.stx_ino, .ctime = ns_of(sx.stx_ctime),
			.btime = birth_of(&sx), .name = s->names.len };
		strbuf_add(&s->names, names.v[i], strlen(names.v[i]) + 1);
		if (ns_of(sx.stx_ctime) > *latest)
			*latest = ns_of(sx.stx_ctime);
		if (!S_ISDIR(sx.stx_mode))
			continue;
		if (depth == TREE_DEPTH_MAX)
			return too_deep(names.v[i], err);
		child = tree_open(fd, names.v[i], true);
		if (child < 0)
			return err_sys(err, "cannot open the folder '%s'", names.v[i]);
		if (note_folder(s, child, depth + 1, latest, err) < 0)
			return -1;
		s->nodes[at].end = s->len;
	}
	return 0;
}

/* Change times are those of the last tick of the kernel's clock: within one tick two changes look like one. */
static int await_clock(int64_t latest, struct err *err)
{
	const struct timespec pause = { .tv_nsec = TICK_NS };

	for (unsigned i = 0; i < TICKS_MAX; i++) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME_COARSE, &now);
		if (now.tv_sec * NS_PER_S + now.tv_nsec > latest)
			return 0;
		nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_SYSTEM, "the file system of the store has a clock of its own, %s",
		"which 'copy' cannot tell changes by: use another store directory (--root)");
}

struct tree_snapshot *tree_snapshot_take(int fd, struct err *err)
{
	struct tree_snapshot *s = xcalloc(1, sizeof(*s));
	int64_t latest = 0;

	s->names = (struct strbuf)STRBUF_INIT;
	if (note_folder(s, fd, 0, &latest, err) == 0 && await_clock(latest, err) == 0)
		return s;
	tree_snapshot_free(s);
	return NULL;
}

void tree_snapshot_free(struct tree_snapshot *s)
{
	if (!s)
		return;
	free(s->nodes);
	strbuf_release(&s->names);
	free(s);
}

/* ---- afterwards ---- */

struct reduction {
	const struct tree_snapshot *s;
	/*
	 * Numbers of inodes with several names that were found unchanged: removing the first name changes the time by which
	 * the others would be judged. A tree of tsearch(3).
	 */
	void *unchanged;
};

static int compare_inodes(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Whether what is no folder is the inode that it was, and untouched. */
static bool is_unchanged(struct reduction *r, const struct node *n, const struct statx *sx)
{
	uint64_t *ino;

	if (sx->stx_ino != n->ino || n->end != 0)
		return false;
	if (ns_of(sx->stx_ctime) != n->ctime)
		return tfind(&n->ino, &r->unchanged, compare_inodes) != NULL;
	if (sx->stx_nlink < 2)
		return true;
	ino = xmemdup(&n->ino, sizeof(n->ino));
	if (*(uint64_t **)tsearch(ino, &r->unchanged, compare_inodes) != ino)
		free(ino);
	return true;
}

static int restore_times(int fd, const struct statx *sx, const char *name, struct err *err)
{
	const struct timespec times[2] = { { sx->stx_atime.tv_sec, sx->stx_atime.tv_nsec },
		{ sx->stx_mtime.tv_sec, sx->stx_mtime.tv_nsec } };

	return futimens(fd, times) < 0 ? err_sys(err, "cannot set the times of '%s'", name) : 0;
}

static int escape_folder(int fd, unsigned depth, struct err *err);

/* What is new stays as it is, but means nothing to an overlay. */
static int escape_entry(int dirfd, const char *name, const struct statx *sx, unsigned depth, struct err *err)
{
	auto_fd int fd = -1;

	if (S_ISCHR(sx->stx_mode) && sx->stx_rdev_major == 0 && sx->stx_rdev_minor == 0)
		return err_set(err, ERR_INPUT, "'%s' is a character device 0:0, which no layer can hold", name);
	if (!S_ISREG(sx->stx_mode) && !S_ISDIR(sx->stx_mode))
		return 0;
	fd = tree_open(dirfd, name, S_ISDIR(sx->stx_mode));
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", name);
	if (tree_escape_xattrs(fd, name, err) < 0)
		return -1;
	if (!S_ISDIR(sx->stx_mode))
		return 0;
	return depth == TREE_DEPTH_MAX ? too_deep(name, err) : escape_folder(fd, depth + 1, err);
}

static int escape_folder(int fd, unsigned depth, struct err *err)
{
	auto_strv names = STRV_INIT;

	if (tree_list(fd, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		struct statx sx;

		if (get_stat(fd, names.v[i], &sx, err) < 0 || escape_entry(fd, names.v[i], &sx, depth, err) < 0)
			return -1;
	}
	return 0;
}

/* A folder where something else was: nothing below is to show through it. */
static int replace(int dirfd, const char *name, const struct statx *sx, unsigned depth, struct err *err)
{
	auto_fd int fd = -1;

	if (escape_entry(dirfd, name, sx, depth, err) < 0)
		return -1;
	if (!S_ISDIR(sx->stx_mode))
		return 0;
	fd = tree_open(dirfd, name, true);
	if (fd < 0 || fsetxattr(fd, OVERLAY_OPAQUE, "y", 1, 0) < 0)
		return err_sys(err, "cannot mark the folder '%s' opaque", name);
	return 0;
}

static int reduce_folder(struct reduction *r, size_t at, size_t end, int fd, unsigned depth, bool *ret_kept,
	struct err *err);

/* A folder that was there before, nodes[at]: it goes unless it or something in it changed. */
static int reduce_subfolder(struct reduction *r, size_t at, int dirfd, const char *name,
	const struct statx *sx, unsigned depth, bool *ret_kept, struct err *err)
{
	const struct node *n = &r->s->nodes[at];
	auto_fd int fd = tree_open(dirfd, name, true);
	bool kept = false;

	if (fd < 0)
		return err_sys(err, "cannot open the folder '%s'", name);
	if (reduce_folder(r, at + 1, n->end, fd, depth + 1, &kept, err) < 0)
		return -1;
	if (!kept && ns_of(sx->stx_ctime) == n->ctime) {
		if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
			return err_sys(err, "cannot remove the folder '%s'", name);
		return 0;
	}
	*ret_kept = true;
	if (tree_escape_xattrs(fd, name, err) < 0)
		return -1;
	return restore_times(fd, sx, name, err);
}

/* A name that was there before, as nodes[at], and is there now. */
static int reduce_entry(struct reduction *r, size_t at, int dirfd, const char *name, unsigned depth,
	bool *ret_kept, struct err *err)
{
	const struct node *n = &r->s->nodes[at];
	struct statx sx;
	if (get_stat(dirfd, name, &sx, err) < 0)
		return -1;
	if (S_ISDIR(sx.stx_mode) && n->end != 0 && sx.stx_ino == n->ino && birth_of(&sx) == n->btime)
		return reduce_subfolder(r, at, dirfd, name, &sx, depth, ret_kept, err);
	if (!S_ISDIR(sx.stx_mode) && is_unchanged(r, n, &sx))
		return unlinkat(dirfd, name, 0) < 0 ? err_sys(err, "cannot remove '%s'", name) : 0;
	*ret_kept = true;
	return replace(dirfd, name, &sx, depth, err);
}

static int keep_new(int fd, const char *name, unsigned depth, struct err *err)
{
	struct statx sx;

	return get_stat(fd, name, &sx, err) < 0 ? -1 : escape_entry(fd, name, &sx, depth, err);
}

/* Both lists are sorted: the names now, and nodes[at] to nodes[end - 1] with what is below them. */
static int reduce_folder(struct reduction *r, size_t at, size_t end, int fd, unsigned depth, bool *ret_kept,
	struct err *err)
{
	auto_strv names = STRV_INIT;
	size_t i = 0;

	if (depth > TREE_DEPTH_MAX)
		return too_deep("", err);
	if (tree_list(fd, &names, err) < 0)
		return -1;
	while (at < end || i < names.len) {
		const struct node *n = at < end ? &r->s->nodes[at] : NULL;
		const char *was = n ? r->s->names.buf + n->name : NULL;
		const char *is = i < names.len ? names.v[i] : NULL;
		int order = !was ? 1 : !is ? -1 : strcmp(was, is);
		int rc;

		if (order < 0)
			rc = tree_put_whiteout(fd, was, was, err);
		else if (order > 0)
			rc = keep_new(fd, is, depth, err);
		else
			rc = reduce_entry(r, at, fd, is, depth, ret_kept, err);
		if (rc < 0)
			return -1;
		if (order != 0)
			*ret_kept = true;
		if (order <= 0)
			at = n->end ? n->end : at + 1;
		if (order >= 0)
			i++;
	}
	return 0;
}

int tree_snapshot_reduce(const struct tree_snapshot *s, int fd, struct err *err)
{
	struct reduction r = { .s = s };
	bool kept = false;
	int rc = reduce_folder(&r, 0, s->len, fd, 0, &kept, err);

	tdestroy(r.unchanged, free);
	return rc;
}
