/*
 * Strict reading of tar headers (spec/oci.md 2.1 to 2.5). It is fed the same bytes as libarchive
 * and refuses what that would tolerate: two readers of one archive must never see two trees. It
 * decodes each member itself; tar_read.c compares both and hands on this reading.
 *
 * States; in each, what the next 512-byte record or byte must be:
 *
 *   HEADER --x,g,L,K--> META (body into memory) --whole--> PADDING --> HEADER
 *      |  \--member---> BODY (skipped) --whole--> PADDING --> HEADER
 *      |  \--sparse---> MAP (a record of the map; the last one is followed by BODY)
 *      \--zero record-> ZERO --zero record--> TRAILER (anything, ignored, counted)
 */
#ifndef WHITTLE_LAYER_TAR_CHECK_H
#define WHITTLE_LAYER_TAR_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "layer/tree.h"

struct tar_check;

/*
 * A new checker; never NULL. Names of whiteouts are left as they stand (tar_read.c decodes them). The files of sparse
 * members may have sparse_max bytes together, holes included; 0: there must be none.
 */
struct tar_check *tar_check_new(uint64_t sparse_max);
/* Free; accepts NULL. */
void tar_check_free(struct tar_check *c);
DEFINE_AUTO(struct tar_check *, tar_check_free)

/*
 * Add the next n bytes of the archive. Members found are queued (tar_check_next()).
 * Returns 0, or -1 and *err: ERR_INPUT (malformed, illegal name, contradiction or over a limit,
 * with the offset of the header or the name of the member), ERR_UNSUPPORTED (sparse members where
 * there must be none).
 */
int tar_check_feed(struct tar_check *c, const void *data, size_t n, struct err *err);
/*
 * The archive ended. Returns 0, or -1 and *err: ERR_INPUT (inside a member, a dangling extension
 * header, one zero record without its second).
 */
int tar_check_end(struct tar_check *c, struct err *err);

/*
 * The next queued member; what *ret points at lives until the call after it. ret->path is cleaned
 * (2.3), ret->offset the place of its body, behind a map of holes in it. Extended attributes are all
 * of those that the archive has, unfiltered but within limits. Returns whether there was one.
 */
bool tar_check_next(struct tar_check *c, struct tree_entry *ret);
/* The name of the member last given, as the archive has it: not cleaned. */
const char *tar_check_raw_name(const struct tar_check *c);
/* Members seen so far. */
uint64_t tar_check_count(const struct tar_check *c);

#endif
