#include "layer/chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "layer/bounds.h"

void chain_init(struct tree_chain *c)
{
	*c = (struct tree_chain)CHAIN_INIT;
}

void chain_push(struct tree_chain *c, const struct tree_index *ix)
{
	GROW(c->v, c->len, c->cap);
	c->v[c->len++] = ix;
}

void chain_release(struct tree_chain *c)
{
	free(c->v);
	chain_init(c);
}

enum seen {
	SEEN_NOTHING, /* the layer says nothing about it: look below */
	SEEN_GONE,    /* the layer hides whatever is below it */
	SEEN_ENTRY,   /* the layer has it, *at */
};

/* What one layer says about path. */
static enum seen look(const struct tree_index *ix, const char *path, size_t *at)
{
	char part[LAYER_PATH_MAX + 1];
	ssize_t found = index_position(ix, path);
	size_t n = strlen(path);
	struct tree_entry e;

	if (found >= 0) {
		*at = (size_t)found;
		index_get(ix, *at, &e);
		return e.type == ENTRY_WHITEOUT ? SEEN_GONE : SEEN_ENTRY;
	}
	if (n > LAYER_PATH_MAX)
		return SEEN_GONE; /* no layer can have it */
	/* the nearest thing above it decides: a directory that is open to below, or anything else
	 */
	memcpy(part, path, n + 1);
	while (n > 0) {
		n = tree_parent_len(part);
		part[n] = '\0';
		found = index_position(ix, part);
		if (found < 0)
			continue;
		index_get(ix, (size_t)found, &e);
		if (e.type != ENTRY_DIR || index_hides_lower(ix, (size_t)found))
			return SEEN_GONE;
		break;
	}
	return SEEN_NOTHING;
}

/*
 * Look in layers below top, the highest first. *ret_layer and *ret_at say where it is. An implied
 * directory gives way to the same directory of a layer below.
 */
static bool lookup_below(
	const struct tree_chain *c, size_t top, const char *path, size_t *ret_layer, size_t *ret_at)
{
	bool found = false;

	for (size_t i = top; i-- > 0;) {
		struct tree_entry e;
		size_t at;

		switch (look(c->v[i], path, &at)) {
		case SEEN_GONE:
			return found;
		case SEEN_NOTHING:
			continue;
		case SEEN_ENTRY:
			break;
		}
		index_get(c->v[i], at, &e);
		if (found && e.type != ENTRY_DIR)
			return true;
		if (!found || !e.implied) {
			*ret_layer = i;
			*ret_at = at;
		}
		found = true;
		if (e.type != ENTRY_DIR || !e.implied || index_hides_lower(c->v[i], at))
			return true;
	}
	return found;
}

bool chain_lookup(const struct tree_chain *c, const char *path, struct tree_entry *ret)
{
	struct tree_entry e, target;
	size_t layer, at;

	if (!lookup_below(c, c->len, path, &layer, &at)) {
		if (path[0] != '\0')
			return false;
		if (ret)
			*ret = (struct tree_entry){.path = path, .type = ENTRY_DIR, .mode = 0755};
		return true;
	}
	if (!ret)
		return true;
	index_get(c->v[layer], at, &e);
	if (e.type == ENTRY_HARDLINK && lookup_below(c, layer + 1, e.link, &layer, &at)) {
		index_get(c->v[layer], at, &target);
		if (target.type != ENTRY_HARDLINK && target.type != ENTRY_DIR)
			e = target;
	}
	e.path = path;
	e.opaque = e.implied = false; /* words about what is below, of which nothing is left */
	*ret = e;
	return true;
}

/* One component onto out, or its link in front of rest. Returns 1 when it was a link. */
static int resolve_step(const struct tree_chain *c, struct strbuf *out, const char *name,
	size_t len, bool follow, struct strbuf *rest, const char *after)
{
	size_t before = out->len;
	struct tree_entry e;

	if (before > 0)
		strbuf_putc(out, '/');
	strbuf_add(out, name, len);
	if (!follow || out->len > LAYER_PATH_MAX || !chain_lookup(c, out->buf, &e) ||
		e.type != ENTRY_SYMLINK)
		return 0;
	strbuf_setlen(out, before);
	if (e.link[0] == '/')
		strbuf_reset(out);
	{
		auto_free char *copy = xstrdup(after);

		strbuf_reset(rest);
		strbuf_puts(rest, e.link);
		strbuf_puts(rest, copy);
	}
	return 1;
}

int chain_resolve(const struct tree_chain *c, const char *path, unsigned flags, char **ret_path,
	struct err *err)
{
	auto_strbuf out = STRBUF_INIT, rest = STRBUF_INIT;
	unsigned links = 0;
	const char *p;

	strbuf_puts(&rest, path);
	p = rest.buf;
	for (;;) {
		size_t n;
		bool last;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 0)
			break;
		last = p[n + strspn(p + n, "/")] == '\0';
		if (n == 1 && p[0] == '.') {
			p += n;
			continue;
		}
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			strbuf_setlen(&out, tree_parent_len(out.buf));
			p += n;
			continue;
		}
		if (resolve_step(
			    c, &out, p, n, !last || (flags & CHAIN_FOLLOW_LAST), &rest, p + n)) {
			if (++links > LAYER_LINKS_MAX)
				return err_set(
					err, ERR_INPUT, "too many symbolic links in '%s'", path);
			if (rest.len > LAYER_PATH_MAX * 2)
				return err_set(err, ERR_INPUT,
					"'%s' leads to a path that is too long", path);
			p = rest.buf;
			continue;
		}
		p += n;
	}
	if (!tree_path_valid(out.buf))
		return err_set(err, ERR_INPUT, "'%s' is or leads to a path that is too long", path);
	*ret_path = strbuf_take(&out);
	return 0;
}

struct child {
	const char *name; /* the end of a path in an index */
	size_t layer;	  /* higher wins */
	bool gone;
};

struct children {
	struct child *v;
	size_t len, cap;
};

static int compare_children(const void *pa, const void *pb)
{
	const struct child *a = pa, *b = pb;
	int order = strcmp(a->name, b->name);

	if (order != 0)
		return order;
	return a->layer > b->layer ? -1 : a->layer < b->layer;
}

/* Add the direct children that layer i has at position dir. */
static void add_children(const struct tree_chain *c, size_t i, size_t dir, struct children *list)
{
	const struct tree_index *ix = c->v[i];
	size_t end = index_subtree_end(ix, dir);

	for (size_t at = dir + 1; at < end; at = index_subtree_end(ix, at)) {
		struct tree_entry e;

		index_get(ix, at, &e);
		GROW(list->v, list->len, list->cap);
		list->v[list->len++] = (struct child){
			.name = path_base(e.path), .layer = i, .gone = e.type == ENTRY_WHITEOUT};
	}
}

void chain_children(const struct tree_chain *c, const char *dir, struct strv *names)
{
	struct children list = {.v = NULL};

	for (size_t i = c->len; i-- > 0;) {
		struct tree_entry e;
		size_t at;
		enum seen seen = look(c->v[i], dir, &at);

		if (seen == SEEN_GONE)
			break;
		if (seen == SEEN_NOTHING)
			continue;
		index_get(c->v[i], at, &e);
		if (e.type != ENTRY_DIR)
			break;
		add_children(c, i, at, &list);
		if (index_hides_lower(c->v[i], at))
			break;
	}
	if (list.len > 0)
		qsort(list.v, list.len, sizeof(*list.v), compare_children);
	for (size_t i = 0; i < list.len; i++) {
		if (i > 0 && strcmp(list.v[i].name, list.v[i - 1].name) == 0)
			continue;
		if (!list.v[i].gone)
			strv_add(names, list.v[i].name);
	}
	free(list.v);
}

int chain_walk(const struct tree_chain *c, const char *dir,
	int (*each)(void *user, const struct tree_entry *e, struct err *err), void *user,
	struct err *err)
{
	auto_strv names = STRV_INIT;
	struct tree_entry e;

	if (!chain_lookup(c, dir, &e))
		return 0;
	if (each(user, &e, err) < 0)
		return -1;
	if (e.type != ENTRY_DIR)
		return 0;
	chain_children(c, dir, &names);
	for (size_t i = 0; i < names.len; i++) {
		auto_free char *path =
			dir[0] ? xasprintf("%s/%s", dir, names.v[i]) : xstrdup(names.v[i]);

		if (chain_walk(c, path, each, user, err) < 0)
			return -1;
	}
	return 0;
}
