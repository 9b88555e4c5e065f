/* From one form of a snapshot to another in one streaming pass (design.md section 5). */
#ifndef WHITTLE_LAYER_CONVERT_H
#define WHITTLE_LAYER_CONVERT_H

#include "base/err.h"
#include "layer/index.h"
#include "layer/tar_read.h"
#include "layer/tar_write.h"
#include "layer/tree.h"

/*
 * Feed the tree that ix describes, in the order of a layer, to sink; contents come from the folder
 * folder_fd (borrowed; -1 when ix names no file), opened without following any link. finish() is called. Records that are
 * implied are fed with implied set.
 *
 * Returns 0, or -1 and *err: ERR_CORRUPT (a file is missing, not regular, or of another size),
 * ERR_SYSTEM and whatever the sink raises.
 */
int tree_from_folder(
	int folder_fd, const struct tree_index *ix, struct tree_sink *sink, struct err *err);

/*
 * Make a layer in blob_fd from the folder folder_fd by its index. opt->beside gets the new index.
 * Returns 0 and *ret (may be NULL), or -1 and *err: as tree_from_folder() and layer_writer_sink().
 */
int layer_from_folder(int folder_fd, const struct tree_index *ix,
	const struct layer_write_options *opt, int blob_fd, struct layer_info *ret,
	struct err *err);

/*
 * Make a layer in out_fd from the layer in in_fd (both borrowed, from their current offset).
 * Without ix, and without an epoch or beside in opt, only the compression changes: the diffID
 * stays, whoever wrote the layer. Otherwise the tar is written anew in the order that it has, with
 * times clamped, and with mode, owner, mtime and extended attributes from ix (may be NULL), which
 * must have been made of that layer.
 *
 * Returns 0 and *ret (may be NULL), or -1 and *err: as layer_read() and layer_writer_sink();
 * ERR_CORRUPT when ix does not have a member.
 */
int layer_from_layer(int in_fd, const struct layer_read_options *in, const struct tree_index *ix,
	const struct layer_write_options *opt, int out_fd, struct layer_info *ret, struct err *err);

#endif
