/* Who COPY --chown and the USER of a WORKDIR mean, by the files of the image (dockerfile.md 3.3.5, 3.6.2). */
#ifndef WHITTLE_BUILD_COPY_OWNER_H
#define WHITTLE_BUILD_COPY_OWNER_H

#include <stdint.h>

#include "base/err.h"
#include "build/copy.h"
#include "layer/chain.h"

/*
 * Look up spec->chown, which is not empty, in the tree below the copy: base is the chain of spec->base_indexes. The
 * passwd and group files are read, from the folder or the layer that has them, only for a name.
 * Returns 0, or -1 and *err: ERR_INPUT (an unknown name, a file over 10 MiB or not a regular one), ERR_SYSTEM and
 * what reading a layer raises.
 */
int copy_owner_find(const struct copy_spec *spec, const struct tree_chain *base, uint32_t *ret_uid, uint32_t *ret_gid,
	struct err *err);

#endif
