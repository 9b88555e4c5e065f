#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strv.h"
#include "build/copy_source.h"
#include "layer/bounds.h"

#define WHITEOUT ".wh."

/* A folder on the way down whose item may have to wait for something below it. */
struct level {
	struct level *up;
	struct copy_item item;
	size_t len; /* of its path */
	bool given;
};

struct walk {
	struct copy_source *s;
	struct copy_match *m;
	struct strbuf path; /* where the entry goes */
	struct strbuf real; /* where it is, relative to the root */
	size_t rel;         /* as in copy_item */
	size_t depth;
	bool only_look;     /* nothing is given: whether something would be */
	bool shows;
};

enum seen {
	SEEN_TAKEN,
	SEEN_PARENT, /* only as the parent of something that is taken */
	SEEN_SKIPPED,
};

static const char *rel_of(const struct walk *w)
{
	return w->path.buf + w->rel;
}

/* What one list of patterns makes of path. */
static enum seen judge(const struct ignore *list, const char *path, bool dir)
{
	if (!list || !ignore_match(list, path))
		return SEEN_TAKEN;
	return dir && ignore_may_include_below(list, path) ? SEEN_PARENT : SEEN_SKIPPED;
}

static enum seen judge_all(const struct walk *w, bool dir)
{
	enum seen by_ignore = judge(w->s->ignore, w->real.buf, dir);
	enum seen by_exclude = w->only_look ? SEEN_TAKEN : judge(w->s->exclude, rel_of(w), dir);
	enum seen by_kept = w->only_look ? SEEN_TAKEN : judge(w->m->kept, rel_of(w), dir);
	enum seen worst = by_ignore > by_exclude ? by_ignore : by_exclude;

	return worst > by_kept ? worst : by_kept;
}

/* ---- items ---- */

static void set_owner(const struct walk *w, const struct stat *st, struct copy_item *it)
{
	struct tree_entry recorded;

	if (w->s->context)
		return; /* 0:0 */
	it->uid = st->st_uid;
	it->gid = st->st_gid;
	if (!w->s->owners)
		return;
	it->uid = it->gid = 0;
	if (chain_lookup(w->s->owners, w->real.buf, &recorded)) {
		it->uid = recorded.uid;
		it->gid = recorded.gid;
	}
}

static int set_link(struct walk *w, int dir_fd, const char *name, struct copy_item *it, struct err *err)
{
	char target[LAYER_LINK_MAX + 2];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(err, "cannot read the link '/%s' of the source", w->real.buf);
	if (n > LAYER_LINK_MAX)
		return err_set(err, ERR_INPUT, "the target of the link '/%s' is too long", w->real.buf);
	target[n] = '\0';
	it->link = arena_strdup(&w->s->arena, target);
	it->mode = 0777;
	return 0;
}

/* The empty file that stands for a device node of the image. */
static bool set_device(const struct walk *w, struct copy_item *it)
{
	struct tree_entry recorded;

	if (w->s->context || !w->s->owners || !chain_lookup(w->s->owners, w->real.buf, &recorded) ||
		!entry_is_device(&recorded))
		return false;
	it->type = recorded.type;
	it->major = recorded.major;
	it->minor = recorded.minor;
	return true;
}

/* Everything about the entry name of dir_fd but attributes and contents. */
static int make_item(struct walk *w, int dir_fd, const char *name, const struct stat *st, struct copy_item *it,
	struct err *err)
{
	*it = (struct copy_item){
		.path = w->path.buf, /* for messages; give() makes its own */
		.rel = (uint16_t)(w->path.len < w->rel ? w->path.len : w->rel),
		.mode = st->st_mode & 07777,
		.mtime = st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.match = w->m,
		.tar_fd = -1,
	};
	set_owner(w, st, it);
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		if (st->st_size == 0 && set_device(w, it))
			return 0;
		it->type = ENTRY_FILE;
		it->size = (uint64_t)st->st_size;
		it->has_several = st->st_nlink > 1;
		it->dev = st->st_dev;
		it->ino = st->st_ino;
		return 0;
	case S_IFDIR:
		it->type = ENTRY_DIR;
		return 0;
	case S_IFLNK:
		it->type = ENTRY_SYMLINK;
		return set_link(w, dir_fd, name, it, err);
	case S_IFIFO:
		it->type = ENTRY_FIFO;
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		it->type = S_ISCHR(st->st_mode) ? ENTRY_CHAR : ENTRY_BLOCK;
		it->major = major(st->st_rdev);
		it->minor = minor(st->st_rdev);
		return 0;
	default: /* a socket becomes an empty file */
		it->type = ENTRY_FILE;
		it->content = "";
		return 0;
	}
}

static int give(struct walk *w, const struct copy_item *it, size_t len, struct err *err)
{
	struct copy_source *s = w->s;
	struct copy_item *own;

	if (s->nitems >= LAYER_ENTRIES_MAX)
		return err_set(err, ERR_INPUT, "more than %u files are to be copied", LAYER_ENTRIES_MAX);
	own = arena_alloc(&s->arena, sizeof(*own));
	*own = *it;
	own->path = arena_strndup(&s->arena, w->path.buf, len);
	GROW(s->items, s->nitems, s->items_cap);
	s->items[s->nitems++] = own;
	return 0;
}

/* Give the folders above that waited, the outermost first. */
static int give_levels(struct walk *w, struct level *l, struct err *err)
{
	w->shows = true;
	if (w->only_look || !l || l->given)
		return 0;
	if (give_levels(w, l->up, err) < 0)
		return -1;
	l->given = true;
	return give(w, &l->item, l->len, err);
}

/* ---- the walk ---- */

static void push(struct strbuf *path, const char *name)
{
	if (path->len > 0)
		strbuf_putc(path, '/');
	strbuf_puts(path, name);
}

static int check_name(struct walk *w, const char *name, struct err *err)
{
	if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0)
		return err_set(err, ERR_INPUT,
			"file name '/%s' starts with .wh. and cannot be stored in an image layer", w->real.buf);
	if (!tree_path_valid(w->path.buf))
		return err_set(err, ERR_INPUT, "'/%s' is too long or too deep for a layer", w->path.buf);
	return 0;
}

static int walk_dir(struct walk *w, int fd, struct level *self, struct err *err);

static int walk_subdir(struct walk *w, int dir_fd, const char *name, struct level *self, bool taken, struct err *err)
{
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int result;

	if (fd < 0)
		return err_sys(err, "cannot open the folder '/%s' of the source", w->real.buf);
	if (!w->only_look && copy_item_read_xattrs(w->s, &self->item, fd, err) < 0)
		return -1;
	self->item.below = !taken;
	self->len = w->path.len;
	if (taken && give_levels(w, self, err) < 0)
		return -1;
	if (++w->depth > LAYER_DEPTH_MAX)
		return err_set(err, ERR_INPUT, "'/%s' is too deep for a layer", w->real.buf);
	result = walk_dir(w, fd, self, err);
	w->depth--;
	return result;
}

static int walk_entry(struct walk *w, int dir_fd, const char *name, struct level *up, struct err *err)
{
	struct level self = { .up = up };
	struct stat st;
	enum seen seen;
	bool dir;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return err_set(err, ERR_CORRUPT, "'/%s' changed while it was copied", w->real.buf);
		return err_sys(err, "cannot stat '/%s' of the source", w->real.buf);
	}
	dir = S_ISDIR(st.st_mode);
	seen = judge_all(w, dir);
	/* a stage's folder that is looked at alone shows whiteouts, an overlay does not */
	if (seen == SEEN_SKIPPED || (!w->s->context && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)))
		return 0;
	if (w->only_look && !dir)
		return give_levels(w, NULL, err);
	if (check_name(w, name, err) < 0 || make_item(w, dir_fd, name, &st, &self.item, err) < 0)
		return -1;
	if (dir)
		return walk_subdir(w, dir_fd, name, &self, seen == SEEN_TAKEN, err);
	if (w->s->hash && self.item.type == ENTRY_FILE && !self.item.content &&
		copy_item_hash(w->s, &self.item, dir_fd, name, &st, err) < 0)
		return -1;
	if (give_levels(w, up, err) < 0)
		return -1;
	return give(w, &self.item, w->path.len, err);
}

static int walk_dir(struct walk *w, int fd, struct level *self, struct err *err)
{
	size_t path_len = w->path.len, real_len = w->real.len;
	auto_strv names = STRV_INIT;

	if (copy_list_names(fd, w->real.buf, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len && !(w->only_look && w->shows); i++) {
		push(&w->path, names.v[i]);
		push(&w->real, names.v[i]);
		if (walk_entry(w, fd, names.v[i], self, err) < 0)
			return -1;
		strbuf_setlen(&w->path, path_len);
		strbuf_setlen(&w->real, real_len);
	}
	return 0;
}

static int open_folder(const struct copy_source *s, const char *path, struct err *err)
{
	int fd = open_no_symlinks(s->root, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);

	return fd < 0 ? err_sys(err, "cannot open the folder '/%s' of the source", path) : fd;
}

/* A folder: itself, unless only a part of it is kept, and what is in it. */
static int walk_match_dir(struct walk *w, struct err *err)
{
	struct level top = { .len = w->path.len };
	auto_fd int fd = -1;
	struct stat st = { .st_mode = S_IFDIR | 0755 };

	if (w->s->root >= 0) {
		fd = open_folder(w->s, w->m->path, err);
		if (fd < 0)
			return -1;
		if (fstat(fd, &st) < 0)
			return err_sys(err, "cannot stat '/%s' of the source", w->m->path);
	}
	if (make_item(w, fd, ".", &st, &top.item, err) < 0)
		return -1;
	if (fd >= 0 && copy_item_read_xattrs(w->s, &top.item, fd, err) < 0)
		return -1;
	if (w->m->kept)
		top.given = true;
	else if (give_levels(w, &top, err) < 0)
		return -1;
	return fd < 0 ? 0 : walk_dir(w, fd, &top, err);
}

static int walk_match_file(struct walk *w, struct err *err)
{
	size_t parent = tree_parent_len(w->m->path);
	const char *name = w->m->path + (parent ? parent + 1 : 0);
	int dir_fd = copy_source_dir(w->s, w->m->path, parent);
	struct copy_item it;
	struct stat st;

	if (dir_fd < 0 || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot stat '/%s' of the source", w->m->path);
	if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode))
		return err_set(err, ERR_CORRUPT, "'/%s' changed while it was copied", w->m->path);
	if (make_item(w, dir_fd, name, &st, &it, err) < 0)
		return -1;
	if (w->s->hash && it.type == ENTRY_FILE && !it.content &&
		copy_item_hash(w->s, &it, dir_fd, name, &st, err) < 0)
		return -1;
	return give(w, &it, w->path.len, err);
}

int copy_source_walk(struct copy_source *s, struct copy_match *m, const char *prefix, struct err *err)
{
	struct walk w = { .s = s, .m = m, .path = STRBUF_INIT, .real = STRBUF_INIT };
	int result;

	copy_source_enter(s, m->arg);
	m->first = s->nitems;
	strbuf_puts(&w.path, prefix);
	strbuf_puts(&w.real, m->path);
	w.rel = w.path.len ? w.path.len + 1 : 0;
	if (w.path.len > LAYER_PATH_MAX)
		result = err_set(err, ERR_INPUT, "'/%s' is too long for a layer", prefix);
	else
		result = m->dir ? walk_match_dir(&w, err) : walk_match_file(&w, err);
	m->n = s->nitems - m->first;
	strbuf_release(&w.path);
	strbuf_release(&w.real);
	if (result == 0 && m->must && m->n == 0)
		return err_set(err, ERR_NOT_FOUND, "\"%s\": not found", m->must);
	return result;
}

int copy_source_shows_below(struct copy_source *s, const char *path, struct err *err)
{
	struct walk w = { .s = s, .path = STRBUF_INIT, .real = STRBUF_INIT, .only_look = true };
	auto_fd int fd = open_folder(s, path, err);
	int result;

	if (fd < 0)
		return -1;
	strbuf_puts(&w.real, path);
	result = walk_dir(&w, fd, NULL, err);
	strbuf_release(&w.path);
	strbuf_release(&w.real);
	return result < 0 ? -1 : w.shows;
}
