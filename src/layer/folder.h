/*
 * Folders as a source: an overlay upper directory (userxattr form, user.overlay.*), or any folder,
 * in the order of a layer (spec/oci.md 2.5 to 2.8; spec/sandbox.md 2.2).
 */
#ifndef WHITTLE_LAYER_FOLDER_H
#define WHITTLE_LAYER_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/owner_record.h"
#include "layer/chain.h"
#include "layer/tree.h"

struct folder_walk_options {
	/*
	 * The merged view below: entries that are equal there (copied up, not changed) and
	 * whiteouts of what it does not have are left out; an opaque directory over a lower one
	 * becomes explicit whiteouts, or stays opaque when there would be more than
	 * LAYER_OPAQUE_WHITEOUTS. NULL: everything is taken.
	 */
	const struct tree_chain *lower;
	/*
	 * An upper that a step wrote: who knows the records of objects that can hold none
	 * (base/owner_record.h), by path; and a file without a record in a setgid directory that
	 * has one gets the directory's group, which is written as its record. NULL: neither.
	 */
	bool (*owner_of)(void *ctx, const char *path, struct owner_record *ret);
	void *owner_ctx;
	bool as_root; /* a file without a record is 0:0, whoever it belongs to on disk */
	/* Paths (tree.h), NULL-terminated, never reported if they are empty files or directories
	 * that lower does not have: mount stubs. NULL: none. */
	const char *const *skip;
	bool metadata_only; /* no data() calls and no file is read: for an index_sink alone */
	bool plain; /* not an overlay upper: user.overlay.* means nothing, char 0:0 is ERR_INPUT */
	bool root_entry; /* report the root too, if its mode or owner differ from lower's */
};

struct folder_walk_stats {
	uint64_t entries;	 /* given to the sink */
	uint64_t unchanged;	 /* left out because lower has them so */
	uint64_t sockets;	 /* left out */
	uint64_t dropped_xattrs; /* by the policy of 2.5 */
};

/*
 * Walk the directory root_fd (borrowed) and feed sink; a file's record says who owns it and whether it
 * is a device node, unless the folder is plain. Real metadata of all parents of what is
 * reported are reported before it. Hard links are grouped within the folder. opt and ret may be
 * NULL. The sink's finish() is called.
 *
 * Returns 0, or -1 and *err:
 *   ERR_INPUT        a name that starts with ".wh.", over a depth, name or xattr limit
 *   ERR_UNSUPPORTED  overlay redirect or metacopy found
 *   ERR_CORRUPT      a file changed its size, or was replaced, while it was read
 *   ERR_SYSTEM and whatever the sink raises
 */
int folder_walk(int root_fd, const struct folder_walk_options *opt, struct tree_sink *sink,
	struct folder_walk_stats *ret, struct err *err);

#endif
