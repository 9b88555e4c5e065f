/*
 * Folders as a sink: write the entries of one layer below one directory, as an overlay lower
 * (spec/oci.md 2.8, 2.9; spec/sandbox.md 2.2). The layer is hostile, the folder private and empty.
 *
 *   whiteout           character device 0:0 (mknod(2) needs no privilege for it since Linux 5.8)
 *   opaque directory   xattr user.overlay.opaque = "y"
 *   zeros in a file    holes, where they come by the block
 *   device node        an empty file with a record; in a plain folder not made, but counted
 *   owner              by chown where the id exists, else by a record (base/owner_record.h); of what can
 *                      hold none (links) in the index alone
 *
 * Everything happens by *at() calls on a parent descriptor that was resolved inside the folder; the
 * last component of a name is never followed.
 */
#ifndef WHITTLE_LAYER_APPLY_H
#define WHITTLE_LAYER_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "layer/chain.h"
#include "layer/index.h"
#include "layer/tree.h"

struct folder_writer;

struct folder_writer_options {
	uint32_t ids;	      /* user and group ids below it exist here; 0: owners are left alone */
	bool xattr_errors_ok; /* a security.capability that cannot be set is only counted */
	bool plain; /* a folder for a person (-o type=local): whiteouts and opaque are ERR_INPUT */
};

/*
 * Start writing below root_fd (a directory; borrowed). opt may be NULL: owners are left alone.
 * Returns it, owned by the caller, or NULL and *err: ERR_SYSTEM.
 */
struct folder_writer *folder_writer_new(
	int root_fd, const struct folder_writer_options *opt, struct err *err);
/* Free; accepts NULL. Without finish() the folder is unfinished: remove it. */
void folder_writer_free(struct folder_writer *w);
DEFINE_AUTO(struct folder_writer *, folder_writer_free)
/*
 * Its sink, owned by w. Entries in any order; the last of one path wins. finish() makes the
 * whiteouts and sets owner, mode and times of directories. Errors:
 *   ERR_INPUT        a name below a file of the same layer, a hard link to a directory, a loop of
 *                    links
 *   ERR_UNSUPPORTED  a hard link to a path that is not in this layer
 *   ERR_SYSTEM, ERR_DISK
 */
struct tree_sink *folder_writer_sink(struct folder_writer *w);
/* Device nodes that were not made: of a plain folder. */
uint64_t folder_writer_skipped_devices(const struct folder_writer *w);
/* Extended attributes that could not be set. */
uint64_t folder_writer_skipped_xattrs(const struct folder_writer *w);
/* Objects made (files, directories, links and whiteouts). */
uint64_t folder_writer_made(const struct folder_writer *w);

/*
 * What only the layers below can say, once they are known: give implied directories the metadata
 * that lower has for them, and remove whiteouts of what lower does not have (overlayfs would list
 * them). Layers may so be unpacked in any order and settled afterwards; a folder that was not
 * settled is correct but for that.
 *
 *   ix     the index of the layer in root_fd
 *   lower  the chain below it; empty for a base layer
 *   ids    as in folder_writer_options
 *
 * Returns 0, or -1 and *err: ERR_SYSTEM.
 */
int folder_settle(int root_fd, const struct tree_index *ix, const struct tree_chain *lower,
	uint32_t ids, struct err *err);

#endif
