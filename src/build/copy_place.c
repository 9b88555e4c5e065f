#include "build/copy_place.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "build/copy_extract.h"
#include "build/copy_mode.h"
#include "build/copy_owner.h"

#define HEREDOC_MODE 0644
#define FETCHED_MODE 0600 /* of a file from a URL (3.3.11.2) */

int copy_plan_init(struct copy_plan *p, const struct copy_spec *spec, struct copy_source *source,
	const struct tree_chain *base, struct err *err)
{
	*p = (struct copy_plan){ .spec = spec, .source = source, .base = base };
	copy_tree_init(&p->tree, base, &source->arena);
	if (copy_mode_check(spec->chmod, err) < 0)
		return -1;
	if (spec->chown && *spec->chown) {
		p->chown = true;
		if (copy_owner_find(spec, base, &p->uid, &p->gid, err) < 0) {
			/* the USER that owns a WORKDIR need not exist (3.6.2) */
			if (!spec->make_dir_only || err->kind != ERR_INPUT)
				return -1;
			*err = (struct err)ERR_INIT;
			p->uid = p->gid = 0;
		}
	}
	p->made = (struct tree_entry){
		.mode = copy_mode_of_made(spec->chmod), .uid = p->uid, .gid = p->gid, .mtime = spec->now
	};
	return 0;
}

void copy_plan_release(struct copy_plan *p)
{
	copy_tree_release(&p->tree);
	for (size_t i = 0; i < p->narchives; i++)
		close_fd(p->archives[i]);
	free(p->archives);
	p->archives = NULL;
	p->narchives = 0;
}

/* ---- what was fetched ---- */

/* The root of what was fetched that the item comes from, or NULL. */
static const struct copy_root *root_of(const struct copy_plan *p, const struct copy_item *it)
{
	size_t root = it->match ? copy_source_arg(p->source, it->match->arg).root : 0;

	return root ? &p->spec->roots[root - 1] : NULL;
}

/* The time that the item gets: its own, or the one that everything of its root has. */
static void time_of(const struct copy_plan *p, const struct copy_item *it, struct tree_entry *ret)
{
	const struct copy_root *root = root_of(p, it);
	bool fixed = root ? root->fixed_mtime : p->spec->fixed_mtime && it->match;

	if (it->from_tar || !fixed) {
		ret->mtime = it->mtime;
		ret->mtime_ns = it->mtime_ns;
		return;
	}
	ret->mtime = root ? root->mtime : p->spec->mtime;
	ret->mtime_ns = 0;
}

/* ---- putting ---- */

static int need_parent(struct copy_plan *p, const char *path, struct err *err)
{
	auto_free char *parent = xstrndup(path, tree_parent_len(path));

	return copy_tree_need_dir(&p->tree, parent, &p->made, err);
}

/* Put one item where it goes by its path; its parent is in the tree. */
static int put_item(struct copy_plan *p, struct copy_item *it, struct err *err)
{
	struct tree_entry there;
	bool found = copy_tree_look(&p->tree, it->path, &there);

	if (found && it->type == ENTRY_DIR && there.type != ENTRY_DIR)
		return err_set(err, ERR_INPUT, "cannot copy to non-directory: /%s", it->path);
	if (found && it->type != ENTRY_DIR && there.type == ENTRY_DIR)
		return err_set(err, ERR_INPUT, "cannot replace to directory /%s with file", it->path);
	if (found && it->below)
		return copy_tree_need_dir(&p->tree, it->path, &p->made, err);
	copy_tree_put(&p->tree, it->path, it);
	return 0;
}

/*
 * The folder that the contents of another go into is never given that one's metadata, only its time (3.3.4.1).
 * The root itself is in no layer.
 */
static int put_top(struct copy_plan *p, const struct copy_item *top, struct err *err)
{
	struct copy_node *n;

	if (copy_tree_need_dir(&p->tree, top->path, &p->made, err) < 0)
		return -1;
	n = copy_tree_find(&p->tree, top->path);
	if (!n || !n->dir)
		return 0;
	time_of(p, top, n->dir);
	return 0;
}

static int place_dir(struct copy_plan *p, struct copy_match *m, const char *dest, struct err *err)
{
	struct copy_source *s = p->source;
	struct tree_entry there;

	if (copy_tree_look(&p->tree, dest, &there) && there.type != ENTRY_DIR)
		return err_set(err, ERR_INPUT, "cannot copy to non-directory: /%s", dest);
	if (copy_source_walk(s, m, dest, err) < 0)
		return -1;
	if (m->kept && copy_tree_need_dir(&p->tree, dest, &p->made, err) < 0)
		return -1;
	for (size_t i = m->first; i < m->first + m->n; i++) {
		struct copy_item *it = s->items[i];
		bool top = it->path[it->rel] == '\0';

		if ((top ? put_top(p, it, err) : put_item(p, it, err)) < 0)
			return -1;
	}
	return 0;
}

/* Where a file called name goes: into dest when that is or must be a folder. The caller frees. */
static int target_of_file(struct copy_plan *p, const char *dest, const char *name, char **ret, struct err *err)
{
	size_t len = strlen(p->spec->dest);
	bool into = len > 0 && p->spec->dest[len - 1] == '/';
	struct tree_entry there;

	if (!into)
		into = copy_tree_look(&p->tree, dest, &there) && there.type == ENTRY_DIR;
	if (into && copy_tree_need_dir(&p->tree, dest, &p->made, err) < 0)
		return -1;
	if (!into && need_parent(p, dest, err) < 0)
		return -1;
	if (!into)
		*ret = xstrdup(dest);
	else
		*ret = dest[0] ? xasprintf("%s/%s", dest, name) : xstrdup(name);
	return 0;
}

static int place_file(struct copy_plan *p, struct copy_match *m, const char *dest, struct err *err)
{
	struct copy_source *s = p->source;
	auto_free char *target = NULL;
	int unpacked;

	if (copy_source_arg(s, m->arg).extract != ARCHIVE_NEVER) {
		/* the archive counts as what was selected, whatever becomes of it */
		if (copy_source_walk(s, m, "", err) < 0)
			return -1;
		unpacked = copy_extract(p, s->items[m->first], dest, err);
		if (unpacked != 0)
			return unpacked < 0 ? -1 : 0;
		s->nitems = m->first;
	}
	if (target_of_file(p, dest, m->name, &target, err) < 0 || copy_source_walk(s, m, target, err) < 0)
		return -1;
	return put_item(p, s->items[m->first], err);
}

int copy_plan_dest(struct copy_plan *p, char **ret_path, struct err *err)
{
	return copy_tree_resolve(&p->tree, "", p->spec->dest, ret_path, err);
}

static int place_source(struct copy_plan *p, size_t arg, struct err *err)
{
	struct copy_source *s = p->source;
	size_t first = s->nmatches;

	if (copy_source_find(s, arg, p->spec->sources.v[arg], p->spec->parents, err) < 0)
		return -1;
	for (size_t i = first; i < s->nmatches; i++) {
		struct copy_match *m = s->matches[i];
		auto_free char *dest = NULL;

		if (copy_plan_dest(p, &dest, err) < 0)
			return -1;
		if ((m->dir ? place_dir(p, m, dest, err) : place_file(p, m, dest, err)) < 0)
			return -1;
	}
	return 0;
}

static int place_heredoc(struct copy_plan *p, const char *name, const char *content, struct err *err)
{
	struct copy_item *it = arena_alloc(&p->source->arena, sizeof(*it));
	auto_free char *dest = NULL;
	auto_free char *target = NULL;

	if (copy_plan_dest(p, &dest, err) < 0 || target_of_file(p, dest, name, &target, err) < 0)
		return -1;
	*it = (struct copy_item){
		.path = arena_strdup(&p->source->arena, target),
		.type = ENTRY_FILE,
		.mode = HEREDOC_MODE,
		.mtime = p->spec->now,
		.size = strlen(content),
		.content = content,
		.tar_fd = -1,
	};
	return put_item(p, it, err);
}

/* WORKDIR: what is there stays as it is, and then there is nothing to write either. */
static int make_dir(struct copy_plan *p, struct err *err)
{
	auto_free char *dest = NULL;
	struct tree_entry there;

	if (copy_plan_dest(p, &dest, err) < 0)
		return -1;
	if (copy_tree_look(&p->tree, dest, &there) && there.type == ENTRY_DIR)
		return 0;
	return copy_tree_need_dir(&p->tree, dest, &p->made, err);
}

int copy_plan_fill(struct copy_plan *p, struct err *err)
{
	const struct copy_spec *spec = p->spec;

	if (spec->make_dir_only)
		return make_dir(p, err);
	for (size_t i = 0; i < spec->sources.len; i++)
		if (place_source(p, i, err) < 0)
			return -1;
	for (size_t i = 0; i < spec->file_names.len; i++)
		if (place_heredoc(p, spec->file_names.v[i], spec->file_contents.v[i], err) < 0)
			return -1;
	return 0;
}

void copy_plan_entry(const struct copy_plan *p, const struct copy_node *n, struct tree_entry *ret)
{
	const struct copy_item *it = n->item;
	const struct copy_root *root;

	if (!it) {
		*ret = *n->dir;
		return;
	}
	root = root_of(p, it);
	*ret = (struct tree_entry){
		.path = n->path,
		.type = (enum entry_type)it->type,
		.mode = it->mode,
		.uid = p->chown ? p->uid : it->uid,
		.gid = p->chown ? p->gid : it->gid,
		.size = it->type == ENTRY_FILE ? it->size : 0,
		.link = it->link,
		.major = it->major,
		.minor = it->minor,
		.xattrs = it->xattrs,
		.nxattrs = it->nxattrs,
		.opaque = n->opaque,
	};
	time_of(p, it, ret);
	if (root && root->file && !it->from_tar)
		ret->mode = FETCHED_MODE;
	/* an archive says itself which modes it has (3.3.10.2) */
	if (it->type != ENTRY_SYMLINK && !it->from_tar)
		ret->mode = copy_mode_apply(p->spec->chmod, ret->mode, it->type == ENTRY_DIR);
	if (n->link) {
		ret->type = ENTRY_HARDLINK;
		ret->link = n->link;
		ret->size = 0;
	}
}
