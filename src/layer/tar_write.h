/*
 * Layers as a sink: a deterministic tar (spec/oci.md 2.3, 2.4, what is marked P), its diffID,
 * compression and the digest of the blob in one pass.
 */
#ifndef WHITTLE_LAYER_TAR_WRITE_H
#define WHITTLE_LAYER_TAR_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "layer/compress.h"
#include "layer/tar_read.h"
#include "layer/tree.h"

#define LAYER_EPOCH_NONE INT64_MIN

struct layer_write_options {
	enum compression compression;
	int level;	  /* as in outflow_options */
	unsigned threads; /* as in outflow_options */
	int64_t epoch; /* any later mtime becomes it (SOURCE_DATE_EPOCH); LAYER_EPOCH_NONE: none */
	bool rewrite_times; /* every mtime becomes epoch, earlier ones too */
	bool keep_order; /* take entries as they come: only for rewriting a foreign layer */
	/*
	 * Gets every entry as it was written (clamped mtime, offset of the body), its data and
	 * finish(); usually an index_sink. Borrowed; NULL: none.
	 */
	struct tree_sink *beside;
};
#define LAYER_WRITE_INIT { .compression = COMPRESSION_ZSTD, .epoch = LAYER_EPOCH_NONE }

struct layer_writer;

/*
 * Start a layer in blob_fd (borrowed, from its current offset).
 * Returns it, owned by the caller, or NULL and *err: ERR_INPUT (level), ERR_SYSTEM.
 */
struct layer_writer *layer_writer_new(
	int blob_fd, const struct layer_write_options *opt, struct err *err);
/* Free; accepts NULL. */
void layer_writer_free(struct layer_writer *w);
DEFINE_AUTO(struct layer_writer *, layer_writer_free)
/*
 * Its sink, owned by w. Entries must come in the order of tree_order(), none twice; a root that is
 * given is written as "./", implied directories are not written. finish() ends the blob (not
 * synced). Errors:
 *   ERR_INPUT  a name that starts with ".wh." and cannot be stored, an illegal name or id, a char
 *              device 0:0, wrong order, data that does not add up
 *   ERR_SYSTEM, ERR_DISK
 */
struct tree_sink *layer_writer_sink(struct layer_writer *w);
/* What was written; call after finish(). */
void layer_writer_info(const struct layer_writer *w, struct layer_info *ret);

#endif
