/* Layers as sources: decompress, verify, check and read in one pass (spec/oci.md section 2). */
#ifndef WHITTLE_LAYER_TAR_READ_H
#define WHITTLE_LAYER_TAR_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "layer/compress.h"
#include "layer/tree.h"

/* What is known of a layer once it was read or written whole. */
struct layer_info {
	char digest[DIGEST_STR_SIZE]; /* of the blob */
	uint64_t size;		      /* bytes of the blob */
	char diff_id[DIGEST_STR_SIZE];
	uint64_t diff_size; /* bytes of the uncompressed tar */
	uint64_t entries;   /* members that a sink was given, whiteouts included */
	enum compression compression;
	uint64_t dropped_xattrs; /* by the policy of 2.5 */
};

struct layer_read_options {
	const char *digest;  /* the blob must have it; NULL: any. A valid digest string */
	uint64_t size;	     /* the blob must have it; UINT64_MAX: any */
	const char *diff_id; /* the tar must have it; NULL: any. A valid digest string */
	bool plain_tree;     /* a root file system, not a layer: a name ".wh.*" is ERR_INPUT */
	bool sparse;	     /* an archive of a user, not a layer: sparse members are read */
	uint64_t max_size;   /* uncompressed bytes at most, and bytes of sparse files together; 0:
				LAYER_SIZE_MAX */
};
#define LAYER_READ_INIT { .size = UINT64_MAX }

/*
 * Read the layer in blob_fd, at its current offset, to its end, and feed its entries to sink in
 * archive order (NULL: only verify). Compressed by whatever its first bytes say; a stream of zero
 * bytes is an empty layer. Names of whiteouts arrive decoded (tree.h), AUFS metadata is left out,
 * extended attributes pass the policy of 2.5, device nodes are given as they are, char 0:0 is
 * refused; holes of a sparse member come as zeros. The sink's finish() is called only once the
 * digests were verified: what a sink made before that must be thrown away on failure.
 *
 * Returns 0 and *ret (may be NULL), or -1 and *err:
 *   ERR_INPUT        malformed archive or stream, an illegal name, over a limit
 *   ERR_CORRUPT      digest, size or diffID differ from the expected
 *   ERR_UNSUPPORTED  sparse members (unless opt->sparse), compression that we do not read
 *   ERR_SYSTEM, ERR_DISK and whatever the sink raises
 */
int layer_read(int blob_fd, const struct layer_read_options *opt, struct tree_sink *sink,
	struct layer_info *ret, struct err *err);

#endif
