/* Where COPY puts what it selects, and with which metadata (dockerfile.md 3.3.1, 3.3.3 to 3.3.6, 3.6). */
#ifndef WHITTLE_BUILD_COPY_PLACE_H
#define WHITTLE_BUILD_COPY_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "build/copy.h"
#include "build/copy_source.h"
#include "build/copy_tree.h"
#include "layer/chain.h"

struct copy_plan {
	const struct copy_spec *spec; /* borrowed */
	struct copy_source *source;   /* borrowed */
	const struct tree_chain *base; /* borrowed */
	struct copy_tree tree;
	bool chown; /* everything goes to uid, gid */
	uint32_t uid, gid;
	struct tree_entry made; /* what a new folder gets */
	int *archives;          /* descriptors of archives being unpacked, closed at the end */
	size_t narchives, archives_cap;
};

/*
 * Set up *p: spec->chown is looked up, spec->chmod checked.
 * Returns 0, or -1 and *err: ERR_INPUT, and what reading the passwd file raises. copy_plan_release() in both cases.
 */
int copy_plan_init(struct copy_plan *p, const struct copy_spec *spec, struct copy_source *source,
	const struct tree_chain *base, struct err *err);
/* Free. */
void copy_plan_release(struct copy_plan *p);

/*
 * Select the sources and put them into p->tree, left to right.
 * Returns 0, or -1 and *err: ERR_INPUT (a folder where a file is, or the reverse), and what selecting raises.
 */
int copy_plan_fill(struct copy_plan *p, struct err *err);

/* What the layer gets for node n: --chown and --chmod applied. */
void copy_plan_entry(const struct copy_plan *p, const struct copy_node *n, struct tree_entry *ret);

/*
 * The resolved destination of spec, owned by the caller, relative to the root of the image.
 * Returns 0, or -1 and ERR_INPUT.
 */
int copy_plan_dest(struct copy_plan *p, char **ret_path, struct err *err);

#endif
