/* A tree index, its checksum made right first: every read of one that opens must stay inside it. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "layer/chain.h"
#include "layer/index.h"
#include "layer/index_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count(void *user, const struct tree_entry *e, struct err *err)
{
	(void)err;
	(void)e;
	return ++*(size_t *)user > 10000 ? -1 : 0;
}

static void read_everything(const struct tree_index *ix)
{
	auto_free uint32_t *order = index_layer_order(ix);
	auto_chain chain = CHAIN_INIT;
	struct err err = ERR_INIT;
	size_t seen = 0;

	chain_push(&chain, ix);
	chain_push(&chain, ix);
	for (size_t i = 0; i < index_len(ix); i++) {
		auto_free char *resolved = NULL;
		auto_strv names = STRV_INIT;
		struct tree_entry e, found;
		uint64_t sum = 0;

		index_get(ix, order[i], &e);
		assert(index_find(ix, e.path, &found));
		assert(found.path == e.path);
		assert(index_subtree_end(ix, i) > i && index_subtree_end(ix, i) <= index_len(ix));
		for (size_t x = 0; x < e.nxattrs; x++)
			for (size_t b = 0; b < e.xattrs[x].len; b++)
				sum += ((const uint8_t *)e.xattrs[x].value)[b] +
				       strlen(e.xattrs[x].name);
		if (e.link)
			sum += strlen(e.link);
		(void)sum;
		chain_lookup(&chain, e.path, &found);
		chain_children(&chain, e.path, &names);
		if (chain_resolve(&chain, e.path, CHAIN_FOLLOW_LAST, &resolved, &err) == 0)
			assert(tree_path_valid(resolved));
	}
	chain_walk(&chain, "", count, &seen, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(index_close) struct tree_index *ix = NULL;
	auto_free uint8_t *copy = NULL;
	struct index_header h;
	struct err err = ERR_INIT;

	if (size > 65536)
		return 0;
	copy = xmemdup(data, size);
	if (size >= sizeof(h)) {
		memcpy(&h, copy, sizeof(h));
		h.crc = index_crc(copy + sizeof(h), size - sizeof(h));
		memcpy(copy, &h, sizeof(h));
	}
	ix = index_from_bytes(copy, size, &err);
	if (ix)
		read_everything(ix);
	else
		assert(err.kind == ERR_CORRUPT);
	return 0;
}
