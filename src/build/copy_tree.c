#include "build/copy_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "layer/bounds.h"

void copy_tree_init(struct copy_tree *t, const struct tree_chain *base, struct arena *arena)
{
	*t = (struct copy_tree){ .base = base, .arena = arena };
	keymap_init(&t->map);
}

void copy_tree_release(struct copy_tree *t)
{
	keymap_release(&t->map);
	free(t->nodes);
	t->nodes = NULL;
	t->len = t->cap = 0;
}

static struct copy_node *find_any(const struct copy_tree *t, const char *path, size_t len)
{
	uint32_t *at = keymap_find(&t->map, path, len);

	return at ? &t->nodes[*at] : NULL;
}

/* Whether a folder above was removed, with all in it, after n was put. */
static bool is_gone(const struct copy_tree *t, const struct copy_node *n)
{
	size_t len = strlen(n->path);

	if (!t->any_cleared)
		return false;
	while (len > 0) {
		const struct copy_node *above;

		while (len > 0 && n->path[--len] != '/')
			;
		above = find_any(t, n->path, len);
		if (above && above->cleared > n->seq)
			return true;
	}
	return false;
}

static struct copy_node *find(const struct copy_tree *t, const char *path, size_t len)
{
	struct copy_node *n = find_any(t, path, len);

	return n && !is_gone(t, n) ? n : NULL;
}

struct copy_node *copy_tree_find(const struct copy_tree *t, const char *path)
{
	return find(t, path, strlen(path));
}

static enum entry_type type_of(const struct copy_node *n)
{
	return n->item ? (enum entry_type)n->item->type : ENTRY_DIR;
}

/* Whether the chain shows at path, which has no node itself: its nearest node above decides. */
static bool base_shows(const struct copy_tree *t, const char *path)
{
	size_t len = strlen(path);

	while (len > 0) {
		const struct copy_node *n;

		while (len > 0 && path[--len] != '/')
			;
		n = find(t, path, len);
		if (n)
			return type_of(n) == ENTRY_DIR && !n->fresh;
	}
	return true;
}

bool copy_tree_look(const struct copy_tree *t, const char *path, struct tree_entry *ret)
{
	const struct copy_node *n = copy_tree_find(t, path);

	if (n && !n->item) {
		*ret = *n->dir;
		return true;
	}
	if (n) {
		*ret = (struct tree_entry){
			.path = path,
			.type = (enum entry_type)n->item->type,
			.mode = n->item->mode,
			.uid = n->item->uid,
			.gid = n->item->gid,
			.link = n->item->link,
		};
		return true;
	}
	if (!base_shows(t, path) || !chain_lookup(t->base, path, ret))
		return false;
	ret->opaque = ret->implied = false;
	return true;
}

/* Put the target of a link before what is left of a path. */
static void push_target(struct strbuf *rest, const char *target, size_t at)
{
	auto_free char *after = xstrdup(rest->buf + at);

	strbuf_reset(rest);
	strbuf_puts(rest, target);
	strbuf_puts(rest, after);
}

int copy_tree_resolve(struct copy_tree *t, const char *root, const char *path, char **ret_path, struct err *err)
{
	auto_strbuf out = STRBUF_INIT, rest = STRBUF_INIT;
	size_t at = 0, links = 0, root_len = strlen(root);

	strbuf_puts(&out, root);
	strbuf_puts(&rest, path);
	for (;;) {
		const char *name = rest.buf + at + strspn(rest.buf + at, "/");
		size_t n = strcspn(name, "/"), before = out.len;
		struct tree_entry e;

		at = (size_t)(name - rest.buf) + n;
		if (n == 0)
			break;
		if (n == 1 && name[0] == '.')
			continue;
		if (n == 2 && name[0] == '.' && name[1] == '.') {
			if (out.len > root_len)
				strbuf_setlen(&out, tree_parent_len(out.buf));
			continue;
		}
		if (before > 0)
			strbuf_putc(&out, '/');
		strbuf_add(&out, name, n);
		if (out.len > LAYER_PATH_MAX)
			return err_set(err, ERR_INPUT, "'/%s' is or leads to a path that is too long", path);
		if (!copy_tree_look(t, out.buf, &e) || e.type != ENTRY_SYMLINK)
			continue;
		if (++links > LAYER_LINKS_MAX)
			return err_set(err, ERR_INPUT, "too many symbolic links in '/%s'", path);
		strbuf_setlen(&out, e.link[0] == '/' ? root_len : before);
		push_target(&rest, e.link, at);
		at = 0;
	}
	if (!tree_path_valid(out.buf))
		return err_set(err, ERR_INPUT, "'/%s' is or leads to a path that is too long or too deep", path);
	*ret_path = strbuf_take(&out);
	return 0;
}

/* ---- changes ---- */

/* The node of path, which must be put now: an old one, or a new and empty one. */
static struct copy_node *touch(struct copy_tree *t, const char *path, size_t len)
{
	struct copy_node *n = find_any(t, path, len);

	if (!n) {
		GROW(t->nodes, t->len, t->cap);
		n = &t->nodes[t->len];
		*n = (struct copy_node){ .path = path };
		keymap_put(&t->map, path, len, (uint32_t)t->len++);
	}
	n->seq = ++t->seq;
	return n;
}

struct copy_node *copy_tree_put(struct copy_tree *t, const char *path, struct copy_item *item)
{
	size_t len = strlen(path);
	struct copy_node *n = find(t, path, len);
	bool was_node = n != NULL, was_dir, dir = item->type == ENTRY_DIR;
	struct tree_entry below = { .type = ENTRY_FILE };
	bool base = !was_node && base_shows(t, path) && chain_lookup(t->base, path, &below);

	was_dir = was_node ? type_of(n) == ENTRY_DIR : base && below.type == ENTRY_DIR;
	n = touch(t, path, len);
	if (!was_node) {
		n->over_dir = was_dir;
		n->fresh = !was_dir;
		n->opaque = false;
	}
	if (was_dir && !dir) {
		n->cleared = ++t->seq;
		n->seq = ++t->seq;
		n->fresh = true;
		t->any_cleared = true;
	}
	if (!was_dir && dir && n->over_dir)
		n->opaque = true; /* what the chain has there was removed when the folder gave way */
	n->item = item;
	n->dir = NULL;
	n->link = NULL;
	return n;
}

/* Put a folder with the metadata of e at path. */
static void put_dir(struct copy_tree *t, const char *path, const struct tree_entry *e, bool fresh)
{
	struct copy_node *n = touch(t, path, strlen(path));

	n->item = NULL;
	n->link = NULL;
	n->dir = arena_alloc(t->arena, sizeof(*n->dir));
	*n->dir = *e;
	n->dir->path = path;
	n->dir->type = ENTRY_DIR;
	n->dir->link = NULL;
	n->dir->size = n->dir->offset = 0;
	n->dir->opaque = n->dir->implied = n->dir->has_digest = false;
	n->fresh = fresh;
	n->over_dir = !fresh;
	n->opaque = false;
}

int copy_tree_need_dir(struct copy_tree *t, const char *path, const struct tree_entry *made, struct err *err)
{
	const struct copy_node *n = copy_tree_find(t, path);
	size_t total = strlen(path);

	if (n && type_of(n) == ENTRY_DIR)
		return 0; /* so are those above */
	for (size_t len = 0; len < total;) {
		struct tree_entry there;
		const char *part;
		bool found;

		len += strspn(path + len, "/");
		len += strcspn(path + len, "/");
		n = find(t, path, len);
		if (n && type_of(n) == ENTRY_DIR)
			continue;
		part = arena_strndup(t->arena, path, len);
		found = copy_tree_look(t, part, &there);
		if (found && there.type != ENTRY_DIR)
			return err_set(err, ERR_INPUT, "cannot create the directory '/%s': '/%s' is not a directory",
				path, part);
		put_dir(t, part, found ? &there : made, !found);
	}
	return 0;
}

/* ---- the end ---- */

static int compare_nodes(const void *pa, const void *pb)
{
	const struct copy_node *a = *(struct copy_node *const *)pa, *b = *(struct copy_node *const *)pb;

	return path_compare(a->path, b->path);
}

struct copy_node **copy_tree_sorted(struct copy_tree *t, size_t *ret_n)
{
	struct copy_node **v = xcalloc(t->len + 1, sizeof(struct copy_node *));
	bool sorted = true;
	size_t n = 0;

	for (size_t i = 0; i < t->len; i++) {
		if (is_gone(t, &t->nodes[i]))
			continue;
		v[n++] = &t->nodes[i];
		if (n > 1 && sorted)
			sorted = compare_nodes(&v[n - 2], &v[n - 1]) < 0;
	}
	if (!sorted) /* as they mostly are: a walk gives the order of a layer */
		qsort(v, n, sizeof(*v), compare_nodes);
	*ret_n = n;
	return v;
}
