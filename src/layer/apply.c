#include "layer/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/owner_record.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "layer/bounds.h"
#include "layer/keymap.h"
#include "layer/xattr.h"

/* Zeros of at least so many bytes: fewer than a block make no hole. */
#define HOLE_MIN 4096

/* What an object gets once nothing more happens in it. */
struct meta {
	const char *path; /* in the arena for directories; of the entry for a file */
	uint32_t mode, uid, gid;
	int64_t mtime;
	uint32_t mtime_ns;
	const struct tree_xattr *xattrs;
	size_t nxattrs;
	uint32_t node, major, minor; /* S_IFCHR or S_IFBLK: the file stands for a device node */
};

struct folder_writer {
	struct tree_sink sink;
	int root_fd;
	struct folder_writer_options opt;
	uid_t uid; /* what new files belong to: no chown is needed for it */
	gid_t gid;
	bool gid_inherited; /* the root is setgid: what is made below has its group */

	/* the directory of the entry before: most entries share it */
	struct strbuf parent;
	int parent_fd; /* O_PATH; -1 when there is none */

	int file_fd; /* the file that gets data, or -1 */
	uint64_t pending;
	struct meta file;
	struct strbuf file_path;
	struct arena file_arena; /* its attributes */

	struct arena arena;
	struct meta *dirs;
	size_t ndirs, dirs_cap;
	struct keymap dir_map; /* path to position in dirs */
	const char **whiteouts;
	size_t nwhiteouts, whiteouts_cap;
	struct keymap opaque; /* paths of opaque directories */
	uint64_t devices, skipped_xattrs, made;
};

/* ---- metadata ---- */

/* The owner in the file system; in place of an id that does not exist here another that does. */
static int set_native_owner(const struct folder_writer *w, int fd, const char *name,
	const struct meta *m, struct err *err)
{
	uid_t uid;
	gid_t gid;

	if (w->opt.ids == 0)
		return 0;
	uid = owner_native_id(m->uid, w->opt.ids);
	gid = owner_native_id(m->gid, w->opt.ids);
	if ( (uid == w->uid && gid == w->gid && !w->gid_inherited))
		return 0;
	if (fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return err_sys(
			err, "cannot set the owner of '%s' to %u:%u", m->path, m->uid, m->gid);
	return 0;
}

/* The owner of an open file or directory: a record says what the file system cannot. */
static int set_owner(const struct folder_writer *w, int fd, const struct meta *m, struct err *err)
{
	struct owner_record r;

	if (w->opt.ids == 0)
		return 0;
	if (set_native_owner(w, fd, "", m, err) < 0)
		return -1;
	r = (struct owner_record){
		.uid = m->uid,
		.gid = m->gid,
		.type = m->node,
		.major = m->major,
		.minor = m->minor,
		.seen_uid = owner_native_id(m->uid, w->opt.ids),
		.seen_gid = owner_native_id(m->gid, w->opt.ids),
	};
	if (r.uid == r.seen_uid && r.gid == r.seen_gid && !m->node)
		return 0;
	if (owner_record_put(fd, &r) < 0)
		return err_sys(err, "cannot record the owner of '%s'", m->path);
	return 0;
}

static int set_times(int fd, const char *name, const struct meta *m, struct err *err)
{
	struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = (time_t)m->mtime, .tv_nsec = (long)m->mtime_ns},
	};
	int result = name ? utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW) : futimens(fd, times);

	/* mostly the kernel clamps what the file system cannot hold; a time is not worth a failure
	 */
	if (result < 0 && errno != EOVERFLOW)
		return err_sys(err, "cannot set the time of '%s'", m->path);
	return 0;
}

static int set_xattrs(struct folder_writer *w, int fd, const struct meta *m, struct err *err)
{
	for (size_t i = 0; i < m->nxattrs; i++) {
		const struct tree_xattr *x = &m->xattrs[i];
		bool capability = strcmp(x->name, XATTR_CAPABILITY) == 0;

		if (fsetxattr(fd, x->name, x->value, x->len, 0) == 0)
			continue;
		if (errno != ENOTSUP && errno != EPERM && errno != EACCES)
			return err_sys(err, "cannot set %s of '%s'", x->name, m->path);
		if (capability && !w->opt.xattr_errors_ok)
			return err_sys(err, "cannot set the file capabilities of '%s'", m->path);
		if (w->skipped_xattrs++ == 0)
			log_debug("cannot set %s of '%s': %s", x->name, m->path, strerror(errno));
	}
	return 0;
}

/* Owner first, as chown clears capabilities and suid bits; then attributes, mode, times (2.5). */
static int set_all(struct folder_writer *w, int fd, const struct meta *m, struct err *err)
{
	if (set_owner(w, fd, m, err) < 0 || set_xattrs(w, fd, m, err) < 0)
		return -1;
	if (fchmod(fd, m->mode) < 0)
		return err_sys(err, "cannot set the mode of '%s'", m->path);
	return set_times(fd, NULL, m, err);
}

static const struct tree_xattr *copy_xattrs(struct arena *a, const struct tree_entry *e)
{
	struct tree_xattr *copy;

	if (e->nxattrs == 0)
		return NULL;
	copy = arena_alloc(a, e->nxattrs * sizeof(*copy));
	for (size_t i = 0; i < e->nxattrs; i++) {
		char *value = arena_alloc(a, e->xattrs[i].len + 1);

		memcpy(value, e->xattrs[i].value, e->xattrs[i].len);
		copy[i] = (struct tree_xattr){
			.name = arena_strdup(a, e->xattrs[i].name),
			.value = value,
			.len = e->xattrs[i].len,
		};
	}
	return copy;
}

static struct meta meta_of(const struct tree_entry *e)
{
	return (struct meta){
		.path = e->path,
		.mode = e->mode & 07777,
		.uid = e->uid,
		.gid = e->gid,
		.mtime = e->mtime,
		.mtime_ns = e->mtime_ns,
		.node = e->type == ENTRY_CHAR ? S_IFCHR : e->type == ENTRY_BLOCK ? S_IFBLK : 0,
		.major = e->major,
		.minor = e->minor,
	};
}

/* Remember what the directory m->path gets at the end; the last word counts. */
static struct meta *remember_dir(
	struct folder_writer *w, const char *path, size_t len, struct meta m)
{
	uint32_t *at = keymap_find(&w->dir_map, path, len);

	if (at) {
		m.path = w->dirs[*at].path;
		w->dirs[*at] = m;
		return &w->dirs[*at];
	}
	GROW(w->dirs, w->ndirs, w->dirs_cap);
	m.path = arena_strndup(&w->arena, path, len);
	w->dirs[w->ndirs] = m;
	keymap_put(&w->dir_map, m.path, len, (uint32_t)w->ndirs);
	return &w->dirs[w->ndirs++];
}

/* ---- directories ---- */

static void forget_parent(struct folder_writer *w)
{
	w->parent_fd = close_fd(w->parent_fd);
}

static int dir_error(const char *dir, struct err *err)
{
	if (errno == ENOTDIR)
		return err_set(err, ERR_INPUT,
			"'%s' is no directory in the same layer and cannot hold entries", dir);
	if (errno == ELOOP)
		return err_set(err, ERR_INPUT, "too many symbolic links in '%s'", dir);
	return err_sys(err, "cannot open the folder '%s'", dir);
}

static int open_dir(struct folder_writer *w, const char *dir, unsigned links, struct err *err);

/* Where the dangling link name in the directory base leads; opened as a directory, made if need be.
 */
static int open_link_target(struct folder_writer *w, int base_fd, const char *base,
	const char *name, unsigned links, struct err *err)
{
	char target[LAYER_PATH_MAX + 1];
	auto_free char *joined = NULL, *clean = NULL;
	ssize_t n = readlinkat(base_fd, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_set(err, ERR_INPUT,
			"'%s%s%s' is no directory in the same layer and cannot hold entries", base,
			base[0] ? "/" : "", name);
	if (links >= LAYER_LINKS_MAX)
		return err_set(err, ERR_INPUT, "too many symbolic links in '%s/%s'", base, name);
	target[n] = '\0';
	joined = target[0] == '/' ? xstrdup(target) : xasprintf("/%s/%s", base, target);
	clean = path_clean(joined);
	return open_dir(w, clean + 1, links + 1, err);
}

/* Make the directory dir, which is missing, with all above it. Returns it opened, or -1 and *err.
 */
static int make_dir(struct folder_writer *w, const char *dir, unsigned links, struct err *err)
{
	size_t parent_len = tree_parent_len(dir);
	auto_free char *parent = xstrndup(dir, parent_len);
	const char *name = dir + (parent_len ? parent_len + 1 : 0);
	auto_fd int parent_fd = open_dir(w, parent, links, err);
	int fd;

	if (parent_fd < 0)
		return -1;
	if (mkdirat(parent_fd, name, 0700) < 0) {
		if (errno == EEXIST)
			return open_link_target(w, parent_fd, parent, name, links, err);
		return err_sys(err, "cannot make the folder '%s'", dir);
	}
	w->made++;
	remember_dir(w, dir, strlen(dir), (struct meta){.mode = 0755});
	fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? dir_error(dir, err) : fd;
}

/* Open the directory dir inside the folder, links followed, missing ones made. -1 and *err. */
static int open_dir(struct folder_writer *w, const char *dir, unsigned links, struct err *err)
{
	int fd = open_in_root(w->root_fd, dir[0] ? dir : ".", O_PATH | O_DIRECTORY, 0);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return dir_error(dir, err);
	return make_dir(w, dir, links, err);
}

/* The directory of path, owned by w. Returns -1 and *err. */
static int enter_parent(struct folder_writer *w, const char *path, struct err *err)
{
	size_t len = tree_parent_len(path);

	if (w->parent_fd >= 0 && w->parent.len == len && memcmp(w->parent.buf, path, len) == 0)
		return w->parent_fd;
	forget_parent(w);
	strbuf_reset(&w->parent);
	strbuf_add(&w->parent, path, len);
	w->parent_fd = open_dir(w, w->parent.buf, 0, err);
	return w->parent_fd;
}

/* Remove what stands in the way of path. */
static int make_room(int dir_fd, const char *name, const char *path, struct err *err)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot stat '%s'", path);
	if ((S_ISDIR(st.st_mode) ? remove_tree(dir_fd, name) : unlinkat(dir_fd, name, 0)) < 0)
		return err_sys(err, "cannot remove '%s', which comes twice in the layer", path);
	log_debug("'%s' comes twice in a layer", path);
	return 0;
}

/* ---- objects ---- */

static int try_file(
	struct folder_writer *w, int dir_fd, const char *name, const struct tree_entry *e)
{
	(void)e;
	w->file_fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return w->file_fd < 0 ? -1 : 0;
}

static int try_dir(
	struct folder_writer *w, int dir_fd, const char *name, const struct tree_entry *e)
{
	struct stat st;

	(void)w;
	(void)e;
	if (mkdirat(dir_fd, name, 0700) == 0)
		return 0;
	if (errno != EEXIST || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		return 0;
	errno = EEXIST;
	return -1;
}

static int try_symlink(
	struct folder_writer *w, int dir_fd, const char *name, const struct tree_entry *e)
{
	(void)w;
	return symlinkat(e->link, dir_fd, name);
}

static int try_fifo(
	struct folder_writer *w, int dir_fd, const char *name, const struct tree_entry *e)
{
	(void)w;
	(void)e;
	return mknodat(dir_fd, name, S_IFIFO | 0600, 0);
}

/* The target's directory inside the root, its last component not followed. */
static int try_hardlink(
	struct folder_writer *w, int dir_fd, const char *name, const struct tree_entry *e)
{
	size_t len = tree_parent_len(e->link);
	auto_free char *parent = xstrndup(e->link, len);
	auto_fd int from = open_in_root(w->root_fd, len ? parent : ".", O_PATH | O_DIRECTORY, 0);
	struct stat st;

	if (from < 0 || fstatat(from, path_base(e->link), &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOTDIR)
			errno = ENOENT;
		return -1;
	}
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	return linkat(from, path_base(e->link), dir_fd, name, 0);
}

typedef int try_function(
	struct folder_writer *w, int dir_fd, const char *name, const struct tree_entry *e);

static int creation_error(const struct tree_entry *e, struct err *err)
{
	if (e->type == ENTRY_HARDLINK && errno == ENOENT)
		return err_set(err, ERR_UNSUPPORTED,
			"hard link '%s' points at '%s', which is not in this layer", e->path,
			e->link);
	if (e->type == ENTRY_HARDLINK && errno == EISDIR)
		return err_set(err, ERR_INPUT,
			"hard link '%s' points at '%s', which is a directory", e->path, e->link);
	return err_sys(err, "cannot make the %s '%s'", entry_type_name(e->type), e->path);
}

/* Make the object e, in place of whatever is there. Returns its directory, owned by w, or -1. */
static int create(
	struct folder_writer *w, const struct tree_entry *e, try_function *try, struct err *err)
{
	const char *name = path_base(e->path);
	int dir_fd = enter_parent(w, e->path, err);
	bool removed = false;

	if (dir_fd < 0)
		return -1;
	if (try(w, dir_fd, name, e) < 0) {
		if (errno != EEXIST)
			return creation_error(e, err);
		if (make_room(dir_fd, name, e->path, err) < 0)
			return -1;
		removed = true;
		if (try(w, dir_fd, name, e) < 0)
			return creation_error(e, err);
	}
	w->made++;
	if (removed) {
		/* paths that led through what was there lead elsewhere now; this directory itself
		 * stays */
		strbuf_reset(&w->parent);
		strbuf_puts(&w->parent, "/"); /* equal to no path of an entry */
	}
	return dir_fd;
}

static int finish_file(struct folder_writer *w, struct err *err)
{
	int fd = w->file_fd, result;

	if (fd < 0)
		return 0;
	w->file_fd = -1;
	result = set_all(w, fd, &w->file, err);
	close_fd(fd);
	if (w->file.nxattrs > 0)
		arena_release(&w->file_arena);
	return result;
}

static int take_file(struct folder_writer *w, const struct tree_entry *e, struct err *err)
{
	if (create(w, e, try_file, err) < 0)
		return -1;
	strbuf_reset(&w->file_path);
	strbuf_puts(&w->file_path, e->path);
	w->file = meta_of(e);
	w->file.path = w->file_path.buf;
	w->file.xattrs = copy_xattrs(&w->file_arena, e);
	w->file.nxattrs = e->nxattrs;
	w->pending = e->size;
	return e->size == 0 ? finish_file(w, err) : 0;
}

static int take_dir(struct folder_writer *w, const struct tree_entry *e, struct err *err)
{
	struct meta m = meta_of(e);

	if (e->path[0] != '\0' && create(w, e, try_dir, err) < 0)
		return -1;
	m.xattrs = copy_xattrs(&w->arena, e);
	m.nxattrs = e->nxattrs;
	remember_dir(w, e->path, strlen(e->path), m);
	return 0;
}

static int take_other(struct folder_writer *w, const struct tree_entry *e, struct err *err)
{
	bool fifo = e->type == ENTRY_FIFO;
	int dir_fd = create(w, e, fifo ? try_fifo : try_symlink, err);
	const char *name = path_base(e->path);
	struct meta m = meta_of(e);

	if (dir_fd < 0 || set_native_owner(w, dir_fd, name, &m, err) < 0)
		return -1;
	if (fifo && fchmodat(dir_fd, name, m.mode, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot set the mode of '%s'", e->path);
	return set_times(dir_fd, name, &m, err);
}

/* ---- whiteouts ---- */

static int take_opaque(struct folder_writer *w, const char *path, struct err *err)
{
	size_t len = strlen(path);

	if (w->opt.plain)
		return err_set(err, ERR_INPUT,
			"an opaque directory has no place in an ordinary folder: '%s'", path);
	if (!keymap_find(&w->opaque, path, len))
		keymap_put(&w->opaque, arena_strndup(&w->arena, path, len), len, 0);
	return 0;
}

static int take_whiteout(struct folder_writer *w, const struct tree_entry *e, struct err *err)
{
	if (e->opaque)
		return take_opaque(w, e->path, err);
	if (w->opt.plain)
		return err_set(err, ERR_INPUT,
			"a whiteout has no place in an ordinary folder: '%s'", e->path);
	GROW(w->whiteouts, w->nwhiteouts, w->whiteouts_cap);
	w->whiteouts[w->nwhiteouts++] = arena_strdup(&w->arena, e->path);
	return 0;
}

static int mark_opaque(int fd, const char *path, struct err *err)
{
	/* a descriptor that can only be used as a path does not take attributes */
	auto_fd int dir_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0 || fsetxattr(dir_fd, XATTR_OVERLAY_OPAQUE, "y", 1, 0) < 0)
		return err_sys(err, "cannot make the folder '%s' opaque", path);
	return 0;
}

static bool below_opaque(const struct folder_writer *w, const char *path)
{
	size_t len = strlen(path);

	while (len > 0) {
		while (len > 0 && path[len - 1] != '/')
			len--;
		if (len > 0)
			len--; /* the slash */
		if (keymap_find(&w->opaque, path, len))
			return true;
	}
	return false;
}

static int make_whiteout(struct folder_writer *w, const char *path, struct err *err)
{
	const char *name = path_base(path);
	struct stat st;
	int dir_fd;

	if (w->opaque.used > 0 && below_opaque(w, path))
		return 0; /* there is nothing to hide, and overlayfs would list it */
	dir_fd = enter_parent(w, path, err);
	if (dir_fd < 0)
		return -1;
	if (mknodat(dir_fd, name, S_IFCHR, makedev(0, 0)) == 0) {
		w->made++;
		return 0;
	}
	if (errno != EEXIST)
		return err_sys(err, "cannot make the whiteout '%s'", path);
	/* the layer hides it and makes it anew */
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot stat '%s'", path);
	return S_ISDIR(st.st_mode) ? take_opaque(w, path, err) : 0;
}

static int compare_paths(const void *pa, const void *pb)
{
	return path_compare(*(const char *const *)pa, *(const char *const *)pb);
}

/*
 * Whiteouts first, as those of directories of the same layer make more opaque ones; and sorted, so
 * that these come before what lies below them.
 */
static int make_hidden(struct folder_writer *w, struct err *err)
{
	if (w->nwhiteouts > 0)
		qsort(w->whiteouts, w->nwhiteouts, sizeof(*w->whiteouts), compare_paths);
	for (size_t i = 0; i < w->nwhiteouts; i++)
		if (make_whiteout(w, w->whiteouts[i], err) < 0)
			return -1;
	for (size_t i = 0; i < w->opaque.cap; i++) {
		const struct keymap_slot *s = &w->opaque.slots[i];
		auto_fd int fd = -1;

		if (!s->key)
			continue;
		fd = open_dir(w, s->key, 0, err);
		if (fd < 0 || mark_opaque(fd, s->key, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the sink ---- */

static int writer_entry(struct tree_sink *sink, const struct tree_entry *e, struct err *err)
{
	struct folder_writer *w = (struct folder_writer *)sink;

	if (w->pending > 0)
		return err_set(err, ERR_INPUT, "contents are missing before '%s'", e->path);
	if (!tree_path_valid(e->path) || (e->path[0] == '\0' && e->type != ENTRY_DIR && !e->opaque))
		return err_set(err, ERR_INPUT, "'%s' is no legal path of a %s", e->path,
			entry_type_name(e->type));
	switch (e->type) {
	case ENTRY_FILE:
		return take_file(w, e, err);
	case ENTRY_DIR:
		if (e->opaque && take_opaque(w, e->path, err) < 0)
			return -1;
		return take_dir(w, e, err);
	case ENTRY_SYMLINK:
	case ENTRY_FIFO:
		return take_other(w, e, err);
	case ENTRY_HARDLINK:
		return create(w, e, try_hardlink, err) < 0 ? -1 : 0;
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		if (w->opt.ids > 0)
			return take_file(w, e, err);
		if (w->devices++ == 0)
			log_debug("device nodes are not made: '%s'", e->path);
		return 0;
	case ENTRY_WHITEOUT:
		return take_whiteout(w, e, err);
	}
	return err_set(err, ERR_INPUT, "'%s' has an unknown type", e->path);
}

/*
 * Zeros are not written: they become holes. A tar says contents plainly, so that this is what keeps a sparse file as
 * small as it was.
 */
static int put_data(struct folder_writer *w, const char *data, size_t n)
{
	off_t end;

	if (n < HOLE_MIN || data[0] || memcmp(data, data + 1, n - 1) != 0)
		return write_all(w->file_fd, data, n);
	end = lseek(w->file_fd, (off_t)n, SEEK_CUR);
	/* a hole that nothing is written behind does not lengthen the file */
	return end < 0 || (n == w->pending && ftruncate(w->file_fd, end) < 0) ? -1 : 0;
}

static int writer_data(struct tree_sink *sink, const void *data, size_t n, struct err *err)
{
	struct folder_writer *w = (struct folder_writer *)sink;

	if (n == 0)
		return 0;
	if (n > w->pending)
		return err_set(
			err, ERR_INPUT, "'%s' has more contents than its size", w->file_path.buf);
	if (put_data(w, data, n) < 0)
		return err_sys(err, "cannot write '%s'", w->file_path.buf);
	w->pending -= n;
	return w->pending == 0 ? finish_file(w, err) : 0;
}

static int compare_dirs(const void *pa, const void *pb)
{
	const struct meta *a = pa, *b = pb;

	return path_compare(b->path, a->path);
}

/* As enter_parent(), but nothing is made: -1 with errno set. */
static int reenter_parent(struct folder_writer *w, const char *path)
{
	size_t len = tree_parent_len(path);

	if (w->parent_fd >= 0 && w->parent.len == len && memcmp(w->parent.buf, path, len) == 0)
		return w->parent_fd;
	forget_parent(w);
	strbuf_reset(&w->parent);
	strbuf_add(&w->parent, path, len);
	w->parent_fd = open_in_root(w->root_fd, len ? w->parent.buf : ".", O_PATH | O_DIRECTORY, 0);
	return w->parent_fd;
}

/* Set a directory's metadata; one that was replaced since is left alone. */
static int finish_dir(struct folder_writer *w, const struct meta *m, struct err *err)
{
	auto_fd int fd = -1;

	if (m->path[0] == '\0')
		fd = openat(w->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else if (reenter_parent(w, m->path) >= 0)
		fd = openat(w->parent_fd, path_base(m->path),
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (fd < 0)
		return err_sys(err, "cannot open the folder '%s'", m->path);
	return set_all(w, fd, m, err);
}

/* Deepest first: a mode may take away the way to what is below. */
static int finish_dirs(struct folder_writer *w, struct err *err)
{
	size_t n = w->ndirs;

	if (n == 0)
		return 0;
	keymap_release(&w->dir_map);
	qsort(w->dirs, n, sizeof(*w->dirs), compare_dirs);
	for (size_t i = 0; i < n; i++)
		if (finish_dir(w, &w->dirs[i], err) < 0)
			return -1;
	return 0;
}

static int writer_finish(struct tree_sink *sink, struct err *err)
{
	struct folder_writer *w = (struct folder_writer *)sink;

	if (w->pending > 0)
		return err_set(err, ERR_INPUT, "contents are missing at the end");
	if (make_hidden(w, err) < 0 || finish_dirs(w, err) < 0)
		return -1;
	forget_parent(w);
	return 0;
}

struct folder_writer *folder_writer_new(
	int root_fd, const struct folder_writer_options *opt, struct err *err)
{
	struct folder_writer *w;
	struct stat st;

	if (fstat(root_fd, &st) < 0) {
		err_sys(err, "cannot stat the folder of a layer");
		return NULL;
	}
	w = xcalloc(1, sizeof(*w));
	w->sink = (struct tree_sink){writer_entry, writer_data, writer_finish};
	w->root_fd = root_fd;
	if (opt)
		w->opt = *opt;
	w->uid = geteuid();
	w->gid = getegid();
	w->gid_inherited = st.st_mode & S_ISGID;
	w->parent = w->file_path = (struct strbuf)STRBUF_INIT;
	w->parent_fd = w->file_fd = -1;
	keymap_init(&w->dir_map);
	keymap_init(&w->opaque);
	return w;
}

void folder_writer_free(struct folder_writer *w)
{
	if (!w)
		return;
	close_fd(w->parent_fd);
	close_fd(w->file_fd);
	strbuf_release(&w->parent);
	strbuf_release(&w->file_path);
	arena_release(&w->file_arena);
	arena_release(&w->arena);
	keymap_release(&w->dir_map);
	keymap_release(&w->opaque);
	free(w->dirs);
	free(w->whiteouts);
	free(w);
}

struct tree_sink *folder_writer_sink(struct folder_writer *w)
{
	return &w->sink;
}

uint64_t folder_writer_skipped_devices(const struct folder_writer *w)
{
	return w->devices;
}

uint64_t folder_writer_skipped_xattrs(const struct folder_writer *w)
{
	return w->skipped_xattrs;
}

uint64_t folder_writer_made(const struct folder_writer *w)
{
	return w->made;
}

/* ---- what only the layers below can say ---- */

static int settle_dir(struct folder_writer *w, const struct tree_entry *e,
	const struct tree_chain *lower, struct err *err)
{
	struct tree_entry below;
	struct meta m;
	auto_fd int fd = -1;

	if (!chain_lookup(lower, e->path, &below) || below.type != ENTRY_DIR)
		return 0;
	fd = open_no_symlinks(w->root_fd, e->path[0] ? e->path : ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "cannot open the folder '%s'", e->path);
	m = meta_of(&below);
	m.xattrs = below.xattrs;
	m.nxattrs = below.nxattrs;
	return set_all(w, fd, &m, err);
}

static int settle_whiteout(struct folder_writer *w, const struct tree_entry *e,
	const struct tree_chain *lower, struct err *err)
{
	size_t len = tree_parent_len(e->path);
	auto_free char *parent = xstrndup(e->path, len);
	const char *name = path_base(e->path);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat dir, st;
	auto_fd int fd = -1;

	if (chain_lookup(lower, e->path, NULL))
		return 0;
	fd = open_no_symlinks(w->root_fd, len ? parent : ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "cannot open the folder '%s'", parent);
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "cannot stat '%s'", e->path);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(0, 0))
		return 0;
	if (fstat(fd, &dir) < 0)
		return err_sys(err, "cannot stat '%s'", parent);
	times[1] = dir.st_mtim;
	if (unlinkat(fd, name, 0) < 0 || futimens(fd, times) < 0)
		return err_sys(err, "cannot remove the whiteout '%s'", e->path);
	return 0;
}

int folder_settle(int root_fd, const struct tree_index *ix, const struct tree_chain *lower,
	uint32_t ids, struct err *err)
{
	struct folder_writer_options opt = {.ids = ids};
	AUTO(folder_writer_free) struct folder_writer *w = folder_writer_new(root_fd, &opt, err);

	if (!w)
		return -1;
	/* deepest first: a mode of a directory may take away the way to what is below */
	for (size_t i = index_len(ix); i-- > 0;) {
		struct tree_entry e;
		int result = 0;

		index_get(ix, i, &e);
		if (e.type == ENTRY_DIR && e.implied)
			result = settle_dir(w, &e, lower, err);
		else if (e.type == ENTRY_WHITEOUT)
			result = settle_whiteout(w, &e, lower, err);
		if (result < 0)
			return -1;
	}
	return 0;
}
