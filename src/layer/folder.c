#include "layer/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "layer/bounds.h"
#include "layer/keymap.h"
#include "layer/xattr.h"

#define OVERLAY_PREFIX "user.overlay."
#define OVERLAY_WHITEOUT "user.overlay.whiteout"
#define OVERLAY_REDIRECT "user.overlay.redirect"
#define OVERLAY_METACOPY "user.overlay.metacopy"
/* What an attribute user.overlay.X of the contents is stored as (Linux 6.7). */
#define OVERLAY_ESCAPED "user.overlay.overlay."
#define WHITEOUT ".wh."
#define DATA_SIZE ((size_t)256 << 10)
/* The list of names that the kernel gives at most (XATTR_LIST_MAX). */
#define XATTR_LIST_SIZE ((size_t)64 << 10)

/* One directory on the way down, so that its header can be given late. */
struct level {
	struct level *up;
	struct tree_entry *e;
	bool given;
};

/* What a directory above does to lower. */
enum cover {
	COVER_NONE,  /* lower shows through */
	COVER_SPELT, /* it is opaque, spelled out by whiteouts: lower shows unless something is said
		      */
	COVER_OPAQUE, /* it is opaque and reported so: there is no lower */
};

struct inode_key {
	uint64_t dev, ino;
};

struct walk {
	const struct folder_walk_options *opt;
	struct tree_sink *sink;
	struct folder_walk_stats stats;
	struct strbuf path;
	int root_fd;
	struct keymap inodes; /* struct inode_key to position in links */
	struct keymap named;  /* struct inode_key of files that got a name, to whether an old one was given */
	bool has_named;       /* they have been looked for */
	struct strv links;    /* first names of files with several */
	struct arena keys;
	char *data;
	char *list;
	uint8_t *value; /* of one attribute */
};

/* What is on disk, apart from the metadata for the sink. */
struct node {
	struct stat st;
	const char *name;
	struct tree_entry e;
	struct arena arena; /* of its attributes and link target */
	bool whiteout;
	bool opaque;	      /* user.overlay.opaque = y */
	bool marks_whiteouts; /* = x */
	bool xattr_whiteout;
	bool recorded; /* its owner comes from a record */
	int fd; /* of a regular file or directory, else -1 */
};

/* ---- attributes ---- */

/* The owner that is recorded, and the device node that the empty file stands for. */
static void apply_record(struct node *n, const struct owner_record *r)
{
	n->recorded = true;
	owner_record_resolve(r, n->e.uid, n->e.gid, &n->e.uid, &n->e.gid);
	if (!r->type || n->e.type != ENTRY_FILE)
		return;
	n->e.type = S_ISCHR(r->type) ? ENTRY_CHAR : ENTRY_BLOCK;
	n->e.major = r->major;
	n->e.minor = r->minor;
	n->e.size = 0;
}

static int add_xattr(struct walk *w, struct node *n, const char *name, size_t *cap, struct err *err)
{
	union {
		const struct tree_xattr *in;
		struct tree_xattr *out;
	} list = {.in = n->e.xattrs};
	struct tree_xattr *slot;
	size_t at = n->e.nxattrs;
	auto_free char *unescaped = NULL;
	const char *stored = name;
	ssize_t len;

	if (strncmp(name, OVERLAY_ESCAPED, strlen(OVERLAY_ESCAPED)) == 0 && !w->opt->plain) {
		unescaped = xasprintf("%s%s", OVERLAY_PREFIX, name + strlen(OVERLAY_ESCAPED));
		name = unescaped;
	}
	len = fgetxattr(n->fd, stored, w->value, LAYER_XATTR_VALUE_MAX);
	if (len < 0)
		return err_sys(err, "cannot read %s of '%s'", stored, w->path.buf);
	if (strcmp(name, XATTR_CAPABILITY) == 0)
		len = (ssize_t)xattr_capability_to_v2(w->value, (size_t)len);
	if (len == 0) {
		w->stats.dropped_xattrs++;
		return 0;
	}
	if (at == LAYER_XATTRS_MAX)
		return err_set(err, ERR_INPUT, "'%s' has more than %d extended attributes",
			w->path.buf, LAYER_XATTRS_MAX);
	if (at == *cap) {
		*cap = *cap ? *cap * 2 : 4;
		slot = arena_alloc(&n->arena, *cap * sizeof(*slot));
		if (at > 0)
			memcpy(slot, list.in, at * sizeof(*slot));
		list.out = slot;
		n->e.xattrs = slot;
	}
	slot = list.out;
	while (at > 0 && strcmp(slot[at - 1].name, name) > 0) {
		slot[at] = slot[at - 1];
		at--;
	}
	slot[at] = (struct tree_xattr){
		.name = arena_strdup(&n->arena, name),
		.value = arena_memdup(&n->arena, w->value, (size_t)len),
		.len = (size_t)len,
	};
	n->e.nxattrs++;
	return 0;
}

/* An attribute of overlayfs itself: note what it says, never hand it on. */
static int take_overlay_xattr(struct walk *w, struct node *n, const char *name, struct err *err)
{
	char value = 0;

	if (strcmp(name, OVERLAY_REDIRECT) == 0 || strcmp(name, OVERLAY_METACOPY) == 0)
		return err_set(err, ERR_UNSUPPORTED,
			"'%s' has %s: the overlay was mounted with an option that "
			"whittle does not use",
			w->path.buf, name);
	if (strcmp(name, OVERLAY_WHITEOUT) == 0)
		n->xattr_whiteout = true;
	if (strcmp(name, XATTR_OVERLAY_OPAQUE) == 0 && fgetxattr(n->fd, name, &value, 1) == 1) {
		n->opaque = value == 'y';
		n->marks_whiteouts = value == 'x';
	}
	return 0;
}

/* The attributes of the open file or directory that go into a layer. */
static int read_xattrs(struct walk *w, struct node *n, struct err *err)
{
	ssize_t len = flistxattr(n->fd, w->list, XATTR_LIST_SIZE);
	size_t cap = 0;

	if (len < 0 && (errno == ENOTSUP || errno == ENOSYS))
		return 0;
	if (len < 0)
		return err_sys(err, "cannot list the extended attributes of '%s'", w->path.buf);
	for (const char *p = w->list; p < w->list + len; p += strlen(p) + 1) {
		bool overlay =
			strncmp(p, OVERLAY_PREFIX, strlen(OVERLAY_PREFIX)) == 0 && !w->opt->plain;
		bool escaped = overlay && strncmp(p, OVERLAY_ESCAPED, strlen(OVERLAY_ESCAPED)) == 0;

		if (overlay && !escaped) {
			if (take_overlay_xattr(w, n, p, err) < 0)
				return -1;
		} else if (escaped || xattr_written(p)) {
			if (strchr(p, '='))
				w->stats.dropped_xattrs++;
			else if (add_xattr(w, n, p, &cap, err) < 0)
				return -1;
		} else {
			struct owner_record record;

			if (!w->opt->plain && strcmp(p, OWNER_XATTR) == 0 &&
				owner_record_get(n->fd, &record))
				apply_record(n, &record);
			w->stats.dropped_xattrs++;
		}
	}
	return 0;
}

/* ---- nodes ---- */

static void node_release(struct node *n)
{
	n->fd = close_fd(n->fd);
	arena_release(&n->arena);
}

static int read_link(struct walk *w, int dir_fd, struct node *n, struct err *err)
{
	char *target = arena_alloc(&n->arena, LAYER_LINK_MAX + 2);
	ssize_t len = readlinkat(dir_fd, n->name, target, LAYER_LINK_MAX + 1);

	if (len < 0)
		return err_sys(err, "cannot read the link '%s'", w->path.buf);
	if (len > LAYER_LINK_MAX)
		return err_set(
			err, ERR_INPUT, "the target of the link '%s' is too long", w->path.buf);
	target[len] = '\0';
	n->e.link = target;
	return 0;
}

/* Open the file or directory for its attributes and contents. */
static int open_node(struct walk *w, int dir_fd, struct node *n, struct err *err)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat now;

	n->fd = openat(dir_fd, n->name, S_ISDIR(n->st.st_mode) ? flags | O_DIRECTORY : flags);
	if (n->fd < 0)
		return err_sys(err, "cannot open '%s'", w->path.buf);
	if (fstat(n->fd, &now) < 0)
		return err_sys(err, "cannot stat '%s'", w->path.buf);
	if (now.st_ino != n->st.st_ino || now.st_dev != n->st.st_dev ||
		(now.st_mode & S_IFMT) != (n->st.st_mode & S_IFMT))
		return err_set(
			err, ERR_CORRUPT, "'%s' was replaced while it was read", w->path.buf);
	return read_xattrs(w, n, err);
}

static void set_common(struct walk *w, struct node *n)
{
	const struct stat *st = &n->st;

	n->e.path = w->path.buf;
	n->e.mode = st->st_mode & 07777;
	n->e.uid = w->opt->as_root ? 0 : st->st_uid;
	n->e.gid = w->opt->as_root ? 0 : st->st_gid;
	n->e.mtime = st->st_mtim.tv_sec;
	n->e.mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
}

/* Read everything about the entry n->name of dir_fd; w->path is its path. */
static int read_node(struct walk *w, int dir_fd, struct node *n, struct err *err)
{
	if (fstatat(dir_fd, n->name, &n->st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot stat '%s'", w->path.buf);
	set_common(w, n);
	n->e.major = n->e.minor = 0;
	switch (n->st.st_mode & S_IFMT) {
	case S_IFREG:
		n->e.type = ENTRY_FILE;
		n->e.size = (uint64_t)n->st.st_size;
		return open_node(w, dir_fd, n, err);
	case S_IFDIR:
		n->e.type = ENTRY_DIR;
		return open_node(w, dir_fd, n, err);
	case S_IFLNK:
		n->e.type = ENTRY_SYMLINK;
		n->e.mode = 0777;
		return read_link(w, dir_fd, n, err);
	case S_IFIFO:
		n->e.type = ENTRY_FIFO;
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		n->e.type = S_ISCHR(n->st.st_mode) ? ENTRY_CHAR : ENTRY_BLOCK;
		n->e.major = major(n->st.st_rdev);
		n->e.minor = minor(n->st.st_rdev);
		n->whiteout = S_ISCHR(n->st.st_mode) && n->st.st_rdev == makedev(0, 0);
		return 0;
	}
	return 0;
}

/* ---- what lower says ---- */

static bool lower_lookup(const struct walk *w, const char *path, struct tree_entry *ret)
{
	return w->opt->lower && chain_lookup(w->opt->lower, path, ret);
}

static bool same_xattrs(const struct tree_entry *a, const struct tree_entry *b)
{
	if (a->nxattrs != b->nxattrs)
		return false;
	for (size_t i = 0; i < a->nxattrs; i++) {
		const struct tree_xattr *x = &a->xattrs[i], *y = &b->xattrs[i];

		if (strcmp(x->name, y->name) != 0 || x->len != y->len ||
			memcmp(x->value, y->value, x->len) != 0)
			return false;
	}
	return true;
}

static bool same_contents(struct walk *w, const struct node *n, const struct tree_entry *below)
{
	struct sha256 *hash;
	uint8_t digest[DIGEST_SIZE];
	uint64_t at = 0;

	if (!below->has_digest)
		return false;
	hash = sha256_new();
	while (at < n->e.size) {
		ssize_t got = pread(n->fd, w->data, DATA_SIZE, (off_t)at);

		if (got <= 0)
			break;
		sha256_add(hash, w->data, (size_t)got);
		at += (uint64_t)got;
	}
	sha256_end(hash, digest);
	sha256_free(hash);
	return at == n->e.size && memcmp(digest, below->digest, sizeof(digest)) == 0;
}

/* Whether the entry is what lower has there: copied up, and not changed. */
static bool unchanged(struct walk *w, const struct node *n, const struct tree_entry *below)
{
	const struct tree_entry *e = &n->e;

	if (e->type != below->type || e->uid != below->uid || e->gid != below->gid ||
		e->mtime != below->mtime || !same_xattrs(e, below))
		return false;
	if (e->type != ENTRY_SYMLINK && e->mode != below->mode)
		return false;
	switch (e->type) {
	case ENTRY_DIR:
		return true;
	case ENTRY_FILE:
		if (e->size != below->size)
			return false;
		if (e->size == 0 || (e->mtime_ns == below->mtime_ns && e->mtime_ns != 0))
			return true;
		return (e->mtime_ns == 0 || below->mtime_ns == 0) && same_contents(w, n, below);
	case ENTRY_SYMLINK:
		return strcmp(e->link, below->link) == 0;
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		return e->major == below->major && e->minor == below->minor;
	default:
		return e->type == ENTRY_FIFO;
	}
}

/* ---- giving ---- */

/* Give the headers of the directories above, the outermost first, that were held back. */
static int give_levels(struct walk *w, struct level *l, struct err *err)
{
	if (!l || l->given)
		return 0;
	if (give_levels(w, l->up, err) < 0)
		return -1;
	l->given = true;
	w->stats.entries++;
	return w->sink->entry(w->sink, l->e, err);
}

static int give(struct walk *w, struct level *up, const struct tree_entry *e, struct err *err)
{
	if (give_levels(w, up, err) < 0)
		return -1;
	w->stats.entries++;
	return w->sink->entry(w->sink, e, err);
}

static int give_data(struct walk *w, const struct node *n, struct err *err)
{
	uint64_t left = n->e.size;
	char extra;

	if (w->opt->metadata_only)
		return 0;
	while (left > 0) {
		size_t want = left < DATA_SIZE ? (size_t)left : DATA_SIZE;
		ssize_t got = read(n->fd, w->data, want);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "cannot read '%s'", n->e.path);
		if (got == 0)
			return err_set(err, ERR_CORRUPT, "'%s' became shorter while it was read",
				n->e.path);
		if (w->sink->data(w->sink, w->data, (size_t)got, err) < 0)
			return -1;
		left -= (uint64_t)got;
	}
	if (pread(n->fd, &extra, 1, (off_t)n->e.size) > 0)
		return err_set(err, ERR_CORRUPT, "'%s' became longer while it was read", n->e.path);
	return 0;
}

static int give_whiteout(struct walk *w, struct level *up, const char *path, struct err *err)
{
	struct tree_entry e = {.path = path, .type = ENTRY_WHITEOUT};

	return give(w, up, &e, err);
}

/*
 * Whether the file is another name of one given before; then e becomes the hard link. The path is
 * remembered for the names to come.
 */
static bool link_to_first(struct walk *w, struct node *n)
{
	struct inode_key key = {.dev = n->st.st_dev, .ino = n->st.st_ino};
	struct inode_key *owned;
	uint32_t *at;

	if (n->st.st_nlink < 2)
		return false;
	at = keymap_find(&w->inodes, &key, sizeof(key));
	if (at) {
		n->e.type = ENTRY_HARDLINK;
		n->e.link = w->links.v[*at];
		n->e.size = 0;
		return true;
	}
	owned = arena_alloc(&w->keys, sizeof(*owned));
	*owned = key;
	keymap_put(&w->inodes, owned, sizeof(*owned), (uint32_t)w->links.len);
	strv_add(&w->links, n->e.path);
	return false;
}

static int give_node(struct walk *w, struct level *up, struct node *n, struct err *err)
{
	bool linked = n->e.type == ENTRY_FILE && link_to_first(w, n);

	if (give(w, up, &n->e, err) < 0)
		return -1;
	return n->e.type == ENTRY_FILE && !linked ? give_data(w, n, err) : 0;
}

/* ---- directories ---- */

static int compare_names(const void *pa, const void *pb)
{
	return strcmp(*(char *const *)pa, *(char *const *)pb);
}

/* The names in the directory, sorted by bytes. */
static int list_names(struct walk *w, int fd, struct strv *names, struct err *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = NULL;
	struct dirent *de;

	if (copy < 0)
		return err_sys(err, "cannot open the folder '%s'", w->path.buf);
	d = fdopendir(copy);
	if (!d) {
		close_fd(copy);
		return err_sys(err, "cannot read the folder '%s'", w->path.buf);
	}
	while (errno = 0, (de = readdir(d)) != NULL) {
		const char *name = de->d_name;

		if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
			continue;
		if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0)
			return err_set(err, ERR_INPUT,
				"file name '%s%s%s' starts with .wh. and cannot be stored "
				"in an image layer",
				w->path.buf, w->path.len ? "/" : "", name);
		strv_add(names, name);
	}
	if (errno != 0)
		return err_sys(err, "cannot read the folder '%s'", w->path.buf);
	if (names->len > 1)
		qsort(names->v, names->len, sizeof(*names->v), compare_names);
	return 0;
}

static bool has_name(const struct strv *names, const char *name)
{
	return names->len > 0 &&
	       bsearch(&name, names->v, names->len, sizeof(*names->v), compare_names);
}

static void push_name(struct strbuf *path, const char *name)
{
	if (path->len > 0)
		strbuf_putc(path, '/');
	strbuf_puts(path, name);
}

/* Whether the entry hides what lower has: a device 0:0, an attribute, or a socket, which no layer
 * can hold. */
static int read_hidden(struct walk *w, const struct node *dir, const char *name, bool *ret_whiteout,
	bool *ret_skip, struct err *err)
{
	int dir_fd = dir->fd;
	struct stat st;

	*ret_whiteout = *ret_skip = false;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot stat '%s'", w->path.buf);
	if (S_ISSOCK(st.st_mode)) {
		*ret_whiteout = *ret_skip = true;
		w->stats.sockets++;
	}
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)) {
		if (w->opt->plain)
			return err_set(err, ERR_INPUT,
				"'%s' is a character device 0:0, a whiteout of overlayfs",
				w->path.buf);
		*ret_whiteout = *ret_skip = true;
	}
	if (dir->marks_whiteouts && S_ISREG(st.st_mode) && st.st_size == 0) {
		auto_fd int fd =
			openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		if (fd >= 0 && fgetxattr(fd, OVERLAY_WHITEOUT, NULL, 0) >= 0)
			*ret_whiteout = *ret_skip = true;
	}
	if (S_ISSOCK(st.st_mode) && !w->opt->lower)
		*ret_whiteout = false;
	return 0;
}

/*
 * The whiteouts of one directory come before all else in it (2.7): those on disk, and, where an
 * opaque directory is spelled out, one for each name of lower that is not there any more (gone,
 * sorted). done[i] is set for names that are dealt with.
 */
static int give_whiteouts(struct walk *w, const struct node *dir, struct level *self,
	const struct strv *names, const struct strv *gone, enum cover cover, bool *done,
	struct err *err)
{
	size_t base = w->path.len, g = 0;

	for (size_t i = 0; i <= names->len; i++) {
		bool whiteout, skip;

		while (g < gone->len && (i == names->len || strcmp(gone->v[g], names->v[i]) < 0)) {
			push_name(&w->path, gone->v[g++]);
			if (give_whiteout(w, self, w->path.buf, err) < 0)
				return -1;
			strbuf_setlen(&w->path, base);
		}
		if (i == names->len)
			break;
		push_name(&w->path, names->v[i]);
		if (read_hidden(w, dir, names->v[i], &whiteout, &skip, err) < 0)
			return -1;
		done[i] = skip;
		whiteout = whiteout && cover != COVER_OPAQUE && !self->e->opaque &&
			   (!w->opt->lower || lower_lookup(w, w->path.buf, NULL));
		if (whiteout && give_whiteout(w, self, w->path.buf, err) < 0)
			return -1;
		strbuf_setlen(&w->path, base);
	}
	return 0;
}

/* What lower has in the directory at w->path and the folder has not; for an opaque directory. */
static void find_gone(struct walk *w, const struct strv *names, struct strv *gone)
{
	auto_strv below = STRV_INIT;

	chain_children(w->opt->lower, w->path.buf, &below);
	for (size_t i = 0; i < below.len; i++)
		if (!has_name(names, below.v[i]))
			strv_add(gone, below.v[i]);
}

static bool is_stub(const struct walk *w, const char *path)
{
	for (const char *const *p = w->opt->skip; p && *p; p++)
		if (strcmp(*p, path) == 0)
			return true;
	return false;
}

/* Whether the directory holds nothing that would be reported: only stubs, at any depth. */
static bool is_empty_stub(struct walk *w, const struct node *n)
{
	auto_strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	size_t base = w->path.len;
	bool empty = true;

	if (n->e.type == ENTRY_FILE)
		return n->e.size == 0;
	if (n->e.type != ENTRY_DIR || list_names(w, n->fd, &names, &ignored) < 0)
		return false;
	for (size_t i = 0; i < names.len && empty; i++) {
		struct node child = {.name = names.v[i], .fd = -1};

		push_name(&w->path, names.v[i]);
		empty = is_stub(w, w->path.buf) && read_node(w, n->fd, &child, &ignored) == 0 &&
			is_empty_stub(w, &child);
		node_release(&child);
		strbuf_setlen(&w->path, base);
	}
	return empty;
}

static int walk_dir(
	struct walk *w, struct node *dir, struct level *self, enum cover cover, struct err *err);

/* A directory that is not the root. */
static int walk_subdir(struct walk *w, struct level *up, struct node *n,
	const struct tree_entry *below, enum cover cover, struct err *err)
{
	auto_free char *path = xstrdup(w->path.buf);
	struct level self = {.up = up, .e = &n->e};

	n->e.path = path;
	if (w->opt->lower) {
		/* nothing of lower shows in a directory below an opaque one either, although only
		 * that is marked */
		bool opaque = n->opaque || cover == COVER_SPELT;

		n->opaque = opaque && below && below->type == ENTRY_DIR;
	} else {
		n->e.opaque = n->opaque;
	}
	if (n->opaque && w->opt->lower)
		; /* whether it is reported as opaque shows in walk_dir() */
	else if (below && unchanged(w, n, below))
		w->stats.unchanged++; /* its header comes if something in it does */
	else if (give_levels(w, &self, err) < 0)
		return -1;
	return walk_dir(w, n, &self, cover, err);
}

/* Find the files below the directory at w->path that have several names, one of which lower has not. */
static int find_named(struct walk *w, int dir_fd, struct err *err)
{
	auto_strv names = STRV_INIT;
	size_t base = w->path.len;
	int result = list_names(w, dir_fd, &names, err);

	for (size_t i = 0; i < names.len && result == 0; i++) {
		struct stat st;

		push_name(&w->path, names.v[i]);
		if (fstatat(dir_fd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) < 0) {
			result = err_sys(err, "cannot stat '%s'", w->path.buf);
		} else if (S_ISDIR(st.st_mode)) {
			auto_fd int fd = openat(dir_fd, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			result = fd < 0 ? err_sys(err, "cannot open the folder '%s'", w->path.buf) :
					  find_named(w, fd, err);
		} else if (S_ISREG(st.st_mode) && st.st_nlink > 1 && !lower_lookup(w, w->path.buf, NULL)) {
			struct inode_key *key = arena_alloc(&w->keys, sizeof(*key));

			*key = (struct inode_key){ st.st_dev, st.st_ino };
			if (!keymap_find(&w->named, key, sizeof(*key)))
				keymap_put(&w->named, key, sizeof(*key), 0);
		}
		strbuf_setlen(&w->path, base);
	}
	return result;
}

/*
 * Whether the layer needs this unchanged name of a file: a layer can only link to a name that it has itself, so a name
 * that a step gave to a file of lower brings one of the old names along. Returns 1, 0, or -1 and *err.
 */
static int is_needed(struct walk *w, const struct node *n, struct err *err)
{
	struct inode_key key = { n->st.st_dev, n->st.st_ino };
	uint32_t *given;

	if (n->e.type != ENTRY_FILE || n->st.st_nlink < 2)
		return 0;
	if (!w->has_named) {
		struct strbuf here = w->path;
		int result;

		w->path = (struct strbuf)STRBUF_INIT;
		result = find_named(w, w->root_fd, err);
		strbuf_release(&w->path);
		w->path = here;
		if (result < 0)
			return -1;
		w->has_named = true;
	}
	given = keymap_find(&w->named, &key, sizeof(key));
	if (!given || *given)
		return 0;
	*given = 1;
	return 1;
}

/*
 * A step wrote it. What can hold no record has one with the supervisor; what has none, in a directory that hands on a
 * recorded group, was made by root, and got that group as it would from the kernel.
 */
static int find_owner(struct walk *w, struct node *n, const struct tree_entry *dir, struct err *err)
{
	struct owner_record r;

	if (n->recorded)
		return 0;
	if (n->fd < 0 && w->opt->owner_of(w->opt->owner_ctx, w->path.buf, &r)) {
		apply_record(n, &r);
		return 0;
	}
	if (!(dir->mode & S_ISGID) || n->e.uid != 0 || n->e.gid != 0 || dir->gid == 0)
		return 0;
	r = (struct owner_record){.uid = 0, .gid = dir->gid};
	apply_record(n, &r);
	if (n->fd >= 0 && owner_record_put(n->fd, &r) < 0)
		return err_sys(err, "cannot record the owner of '%s'", w->path.buf);
	return 0;
}

static int walk_node(
	struct walk *w, struct node *n, struct level *up, enum cover cover, struct err *err)
{
	struct tree_entry below;
	bool has_below = cover != COVER_OPAQUE && lower_lookup(w, w->path.buf, &below);

	if (w->opt->owner_of && find_owner(w, n, up->e, err) < 0)
		return -1;
	if (!has_below && is_stub(w, w->path.buf) && is_empty_stub(w, n))
		return 0;
	if (n->e.type == ENTRY_DIR)
		return walk_subdir(w, up, n, has_below ? &below : NULL, cover, err);
	if (has_below && cover == COVER_NONE && unchanged(w, n, &below)) {
		int needed = is_needed(w, n, err);

		if (needed <= 0) {
			w->stats.unchanged++;
			return needed;
		}
	}
	return give_node(w, up, n, err);
}

static int walk_entry(struct walk *w, int dir_fd, const char *name, struct level *up,
	enum cover cover, struct err *err)
{
	struct node n = {.name = name, .fd = -1};
	int result;

	if (!tree_path_valid(w->path.buf))
		return err_set(
			err, ERR_INPUT, "'%s' is too long or too deep for a layer", w->path.buf);
	result = read_node(w, dir_fd, &n, err);
	if (result == 0)
		result = walk_node(w, &n, up, cover, err);
	node_release(&n);
	return result;
}

/* Decide how an opaque directory over one of lower is reported, and give its header. */
static int spell_opaque(struct walk *w, struct level *self, const struct strv *names,
	struct strv *gone, enum cover *cover, struct err *err)
{
	find_gone(w, names, gone);
	*cover = COVER_SPELT;
	if (gone->len > LAYER_OPAQUE_WHITEOUTS) {
		self->e->opaque = true;
		strv_release(gone);
		*cover = COVER_OPAQUE;
	}
	return give_levels(w, self, err);
}

/* The contents of a directory whose header may still be held back in self. */
static int walk_dir(
	struct walk *w, struct node *dir, struct level *self, enum cover cover, struct err *err)
{
	auto_strv names = STRV_INIT, gone = STRV_INIT;
	auto_free bool *done = NULL;
	size_t base = w->path.len;

	if (list_names(w, dir->fd, &names, err) < 0)
		return -1;
	if (w->opt->lower && dir->opaque && spell_opaque(w, self, &names, &gone, &cover, err) < 0)
		return -1;
	done = xcalloc(names.len + 1, sizeof(*done));
	if (give_whiteouts(w, dir, self, &names, &gone, cover, done, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		if (done[i])
			continue;
		push_name(&w->path, names.v[i]);
		if (walk_entry(w, dir->fd, names.v[i], self, cover, err) < 0)
			return -1;
		strbuf_setlen(&w->path, base);
	}
	return 0;
}

/* The root itself: reported only on request, and if lower has it otherwise. */
static int walk_root(struct walk *w, int root_fd, struct err *err)
{
	struct tree_entry below = {.path = "", .type = ENTRY_DIR, .mode = 0755};
	struct node n = {.name = ".", .fd = -1};
	struct level self = {.e = &n.e, .given = true};
	int result = read_node(w, root_fd, &n, err);

	if (result == 0) {
		lower_lookup(w, "", &below);
		n.e.path = "";
		n.e.opaque = n.opaque && !w->opt->lower;
		if ((w->opt->root_entry && (n.e.mode != below.mode || n.e.uid != below.uid ||
						   n.e.gid != below.gid)) ||
			n.e.opaque)
			self.given = false;
		if (!self.given)
			result = give_levels(w, &self, err);
	}
	if (result == 0)
		result = walk_dir(w, &n, &self, COVER_NONE, err);
	node_release(&n);
	return result;
}

int folder_walk(int root_fd, const struct folder_walk_options *opt, struct tree_sink *sink,
	struct folder_walk_stats *ret, struct err *err)
{
	static const struct folder_walk_options none = {.lower = NULL};
	struct walk w = {.opt = opt ? opt : &none, .sink = sink, .path = STRBUF_INIT, .root_fd = root_fd};
	int result;

	keymap_init(&w.inodes);
	keymap_init(&w.named);
	w.data = xmalloc(DATA_SIZE);
	w.list = xmalloc(XATTR_LIST_SIZE);
	w.value = xmalloc(LAYER_XATTR_VALUE_MAX);
	result = walk_root(&w, root_fd, err);
	if (result == 0)
		result = sink->finish(sink, err);
	if (result == 0 && ret)
		*ret = w.stats;
	keymap_release(&w.inodes);
	keymap_release(&w.named);
	arena_release(&w.keys);
	strv_release(&w.links);
	strbuf_release(&w.path);
	free(w.data);
	free(w.list);
	free(w.value);
	return result;
}
