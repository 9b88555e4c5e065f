#include "build/copy_extract.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "build/archive.h"
#include "build/copy_mode.h"
#include "layer/tar_read.h"

#define ARCHIVE_DEVICE (1ull << 63)

/* Puts the members of an archive into the plan; their contents stay where they are. */
struct unpack {
	struct tree_sink sink;
	struct copy_plan *plan;
	const struct copy_match *match;
	const char *dest;
	int fd;
	struct tree_entry implied; /* of folders that the archive left out: never --chown (3.3.10.2) */
};

/* ---- unpacking ---- */

static const struct tree_xattr *copy_xattrs(struct arena *a, const struct tree_entry *e)
{
	struct tree_xattr *copy;

	if (e->nxattrs == 0)
		return NULL;
	copy = arena_alloc(a, e->nxattrs * sizeof(*copy));
	for (size_t i = 0; i < e->nxattrs; i++) {
		void *value = arena_alloc(a, e->xattrs[i].len);

		memcpy(value, e->xattrs[i].value, e->xattrs[i].len);
		copy[i] = (struct tree_xattr){
			.name = arena_strdup(a, e->xattrs[i].name), .value = value, .len = e->xattrs[i].len
		};
	}
	return copy;
}

static const struct tree_extent *copy_extents(struct arena *a, const struct tree_entry *e)
{
	struct tree_extent *copy;

	if (e->nextents == 0)
		return NULL;
	copy = arena_alloc(a, e->nextents * sizeof(*copy));
	memcpy(copy, e->extents, e->nextents * sizeof(*copy));
	return copy;
}

/* Where the member path ends: folders on the way resolved with the destination as root, the last name not. */
static int locate(struct unpack *u, const char *path, struct strbuf *ret, struct err *err)
{
	size_t parent_len = tree_parent_len(path);
	auto_free char *parent = xstrndup(path, parent_len);
	auto_free char *real = NULL;

	if (copy_tree_resolve(&u->plan->tree, u->dest, parent, &real, err) < 0 ||
		copy_tree_need_dir(&u->plan->tree, real, &u->implied, err) < 0)
		return -1;
	strbuf_reset(ret);
	strbuf_puts(ret, real);
	if (ret->len > 0)
		strbuf_putc(ret, '/');
	strbuf_puts(ret, path_base(path));
	return 0;
}

static struct copy_item *item_of(struct unpack *u, const struct tree_entry *e, const char *path)
{
	struct arena *arena = &u->plan->source->arena;
	struct copy_item *it = arena_alloc(arena, sizeof(*it));

	*it = (struct copy_item){
		.path = arena_strdup(arena, path),
		.type = (uint8_t)e->type,
		.mode = e->mode,
		.uid = e->uid,
		.gid = e->gid,
		.size = e->size,
		.mtime = e->mtime,
		.mtime_ns = e->mtime_ns,
		.link = e->type == ENTRY_SYMLINK ? arena_strdup(arena, e->link) : NULL,
		.major = e->major,
		.minor = e->minor,
		.xattrs = copy_xattrs(arena, e),
		.nxattrs = e->nxattrs,
		.match = u->match,
		.tar_fd = u->fd,
		.tar_offset = e->offset,
		.from_tar = true,
		.extents = copy_extents(arena, e),
		.read = true,
	};
	return it;
}

/*
 * Another name of what this layer has already. A file of the layers below cannot be meant: unpacked alone, a layer
 * cannot link to what another one holds.
 */
static int take_hardlink(struct unpack *u, const struct tree_entry *e, struct strbuf *path, struct err *err)
{
	auto_strbuf target = STRBUF_INIT;
	const struct copy_node *n;
	struct copy_item *it;

	if (locate(u, e->link, &target, err) < 0)
		return -1;
	n = copy_tree_find(&u->plan->tree, target.buf);
	if (!n || !n->item || n->item->type == ENTRY_DIR)
		return err_set(err, ERR_UNSUPPORTED, "hard link '%s' of the archive '%s' points at '%s', which it does not "
						     "hold before it",
			e->path, u->match->name, e->link);
	it = n->item;
	if (strcmp(target.buf, path->buf) == 0)
		return 0;
	if (it->type == ENTRY_FILE && it->from_tar) {
		/* names of one file are known by the place of its contents; no device has such a number */
		it->has_several = true;
		it->dev = ARCHIVE_DEVICE | (uint64_t)it->tar_fd;
		it->ino = it->tar_offset;
	}
	copy_tree_put(&u->plan->tree, arena_strdup(&u->plan->source->arena, path->buf), it);
	return 0;
}

static int unpack_entry(struct tree_sink *sink, const struct tree_entry *e, struct err *err)
{
	struct unpack *u = (struct unpack *)sink;
	auto_strbuf path = STRBUF_INIT;
	struct copy_item *it;

	if (e->path[0] == '\0')
		return 0; /* the destination stays as it is */
	if (locate(u, e->path, &path, err) < 0)
		return -1;
	if (e->type == ENTRY_HARDLINK)
		return take_hardlink(u, e, &path, err);
	it = item_of(u, e, path.buf);
	copy_tree_put(&u->plan->tree, it->path, it);
	return 0;
}

static int unpack_data(struct tree_sink *sink, const void *data, size_t n, struct err *err)
{
	(void)sink;
	(void)data;
	(void)n;
	(void)err;
	return 0;
}

static int unpack_finish(struct tree_sink *sink, struct err *err)
{
	(void)sink;
	(void)err;
	return 0;
}

int copy_extract(struct copy_plan *p, struct copy_item *it, const char *dest, struct err *err)
{
	struct unpack u = {
		.sink = { unpack_entry, unpack_data, unpack_finish },
		.plan = p,
		.match = it->match,
		.dest = dest,
		.implied = { .mode = COPY_MODE_MADE, .mtime = p->spec->now },
	};
	struct tree_entry made = p->made;
	struct layer_read_options opt = LAYER_READ_INIT;
	auto_free char *spool = xstrndup(p->spec->index_out, tree_parent_len(p->spec->index_out));
	auto_fd int fd = -1;
	int is_tar;

	if (it->type != ENTRY_FILE || it->content || it->size == 0)
		return 0;
	fd = copy_item_open(p->source, it, err);
	if (fd < 0 || copy_item_check(it, fd, err) < 0)
		return -1;
	is_tar = archive_open_tar(fd, it->match->name, copy_source_arg(p->source, it->match->arg).extract, spool, &u.fd,
		err);
	if (is_tar <= 0)
		return is_tar;
	GROW(p->archives, p->narchives, p->archives_cap);
	p->archives[p->narchives++] = u.fd;
	made.mode = COPY_MODE_MADE;
	if (copy_tree_need_dir(&p->tree, dest, &made, err) < 0)
		return -1;
	if (lseek(u.fd, 0, SEEK_SET) < 0)
		return err_sys(err, "cannot read '%s' of the source", it->match->name);
	opt.plain_tree = opt.sparse = true;
	if (layer_read(u.fd, &opt, &u.sink, NULL, err) < 0)
		return err_wrap(err, "archive '%s'", it->match->name);
	return 1;
}
