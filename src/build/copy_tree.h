/*
 * The tree that a COPY makes: what it puts, over the chain of what is below. Things are put one after the other and
 * seen at once by those that follow; what is left at the end is the layer.
 */
#ifndef WHITTLE_BUILD_COPY_TREE_H
#define WHITTLE_BUILD_COPY_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "build/copy_source.h"
#include "layer/chain.h"
#include "layer/keymap.h"
#include "layer/tree.h"

/* One path of the layer. */
struct copy_node {
	const char *path;
	struct copy_item *item;  /* what was copied there; NULL: a folder that was made or is there already */
	struct tree_entry *dir;  /* with item NULL: its metadata, as it goes into the layer */
	const char *link;        /* a hard link inside of a tar: the path of its target */
	uint32_t seq;            /* when it was put */
	uint32_t cleared;        /* what lies below it and was put before is gone */
	bool fresh;              /* nothing of the chain is below it */
	bool over_dir;           /* the chain has a folder here */
	bool opaque;             /* that folder was removed in between: the layer must hide what it holds */
};

struct copy_tree {
	const struct tree_chain *base; /* borrowed */
	struct arena *arena;           /* borrowed: paths and folders */
	struct copy_node *nodes;
	size_t len, cap;
	struct keymap map; /* path to position in nodes */
	uint32_t seq;
	bool any_cleared;
};

/* Set up an empty one. */
void copy_tree_init(struct copy_tree *t, const struct tree_chain *base, struct arena *arena);
/* Free. */
void copy_tree_release(struct copy_tree *t);

/*
 * What is at path (as in layer/tree.h), no link followed. Returns whether there is something; *ret is then its type,
 * link and, for a folder, metadata.
 */
bool copy_tree_look(const struct copy_tree *t, const char *path, struct tree_entry *ret);
/*
 * Resolve path with the folder root as "/": links followed, the last component's too, ".." stopping at root, missing
 * components kept. *ret_path: relative to the root of the image, owned by the caller.
 * Returns 0, or -1 and ERR_INPUT (a loop of links; too long).
 */
int copy_tree_resolve(struct copy_tree *t, const char *root, const char *path, char **ret_path, struct err *err);
/*
 * See to it that the folder path and all above it are in the layer: as they are, or made with the metadata *made
 * (path, type and what cannot be said of a new folder are ignored).
 * Returns 0, or -1 and ERR_INPUT when something else is in the way.
 */
int copy_tree_need_dir(struct copy_tree *t, const char *path, const struct tree_entry *made, struct err *err);
/*
 * Put item at path, in place of what is there; its parent is a folder of the layer. A folder over a folder keeps what
 * it holds; anything else that is replaced goes with all below it. Returns its node, valid until the next change.
 */
struct copy_node *copy_tree_put(struct copy_tree *t, const char *path, struct copy_item *item);
/* The node of path, valid until the next change; NULL when the layer has none. */
struct copy_node *copy_tree_find(const struct copy_tree *t, const char *path);
/* The nodes that are left, in the order of a layer; *ret_n of them, owned by the caller (free()). Never NULL. */
struct copy_node **copy_tree_sorted(struct copy_tree *t, size_t *ret_n);

#endif
