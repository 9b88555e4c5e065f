/*
 * A stack of tree indexes, base first, seen as the one tree that they make when unpacked over each
 * other: whiteouts, opaque directories, and files over directories are honoured (spec/oci.md 2.7).
 * Nothing here reads a file system. Paths are as in tree.h; "/a" and "a/" are not cleaned for you,
 * except where said.
 */
#ifndef WHITTLE_LAYER_CHAIN_H
#define WHITTLE_LAYER_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"
#include "layer/index.h"
#include "layer/tree.h"

struct tree_chain {
	const struct tree_index **v; /* borrowed, base first */
	size_t len, cap;
};
#define CHAIN_INIT { .v = NULL }

/* An empty chain: a tree with nothing but a root, as for FROM scratch. */
void chain_init(struct tree_chain *c);
/* Put ix on top; it is borrowed and must outlive the chain. */
void chain_push(struct tree_chain *c, const struct tree_index *ix);
/* Forget the indexes (they are not closed); the chain is empty and usable again. */
void chain_release(struct tree_chain *c);

static inline void auto_chain_release(struct tree_chain *c)
{
	chain_release(c);
}
#define auto_chain __attribute__((cleanup(auto_chain_release))) struct tree_chain

/*
 * What the merged tree has at path, its last component not followed and no link on the way either.
 * Returns whether it has something. *ret (may be NULL; written only then): metadata of the topmost
 * layer; implied directories take those of the layer below that has them; a hard link is given as
 * the file it names, with ret->path the name asked for. Never a whiteout, never opaque nor implied.
 * The root is always there (0755 0:0 where no layer says otherwise). Strings live as long as the
 * indexes, ret->path as long as path.
 */
bool chain_lookup(const struct tree_chain *c, const char *path, struct tree_entry *ret);

enum chain_resolve_flags {
	CHAIN_FOLLOW_LAST = 1 << 0, /* follow a symbolic link in the last component too */
};

/*
 * Resolve path in the merged tree with its root as "/" (dockerfile.md, "rooted resolve"): symbolic
 * links followed, absolute ones from the root, ".." clamped at the root (after links, as the kernel
 * does), components that are missing kept as they stand. path may begin with "/" and hold "." and
 * "//"; it need not be cleaned.
 *
 * Returns 0 and *ret_path, a path as in tree.h owned by the caller; or -1 and *err: ERR_INPUT (more
 * than LAYER_LINKS_MAX links, or a result that is too long).
 */
int chain_resolve(const struct tree_chain *c, const char *path, unsigned flags, char **ret_path,
	struct err *err);

/*
 * Append the names (not paths) of what the merged tree has directly in the directory dir, sorted by
 * bytes. Nothing is appended when dir is not a directory of it.
 */
void chain_children(const struct tree_chain *c, const char *dir, struct strv *names);

/*
 * Feed every entry of the merged tree at dir and below, in the order of tree_order(), to each():
 * metadata only. Hard links are given as files of their own. Stops at the first -1, which it
 * returns.
 */
int chain_walk(const struct tree_chain *c, const char *dir,
	int (*each)(void *user, const struct tree_entry *e, struct err *err), void *user,
	struct err *err);

#endif
