/* Everything that an image consists of, reached from its top descriptor. */
#ifndef WHITTLE_OCI_WALK_H
#define WHITTLE_OCI_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "oci/descriptor.h"

#define WALK_DEPTH_MAX 4	/* nested indexes (oci.md 1.5) */
#define WALK_MANIFESTS_MAX 1024 /* documents visited (same) */

/*
 * Open a blob, wherever it is kept.
 *
 *   digest     a valid digest
 *   *ret_size  bytes of the blob
 *
 * Returns a descriptor, O_CLOEXEC, owned by the caller, whose own file offset stands at the first
 * byte of the blob; other bytes may follow after *ret_size. Or -1 and *err, ERR_NOT_FOUND when
 * there is none.
 */
typedef int (*blob_opener)(void *ctx, const char *digest, uint64_t *ret_size, struct err *err);

struct blob_list {
	struct descriptor *v;
	size_t len, cap;
};
#define BLOB_LIST_INIT                                                                             \
	{                                                                                          \
		.v = NULL                                                                          \
	}

/* Free the list; usable again. */
void blob_list_release(struct blob_list *l);

/*
 * Read the document that d describes into sb and check its size and digest.
 * Returns 0, or -1 and *err: ERR_INPUT (larger than max bytes), ERR_CORRUPT (not what d says),
 * ERR_SYSTEM, and what open_blob gives.
 */
int walk_load(const struct descriptor *d, blob_opener open_blob, void *ctx, size_t max,
	struct strbuf *sb, struct err *err);

/*
 * Copy the blob that d describes to out, a file or pipe, checking its size before and its digest
 * while it goes through. Returns 0, or -1 and *err: ERR_CORRUPT (what was written is then
 * worthless), ERR_SYSTEM, ERR_DISK, and what open_blob gives.
 */
int walk_copy(
	const struct descriptor *d, blob_opener open_blob, void *ctx, int out, struct err *err);

/*
 * List every blob of the image behind root, each digest once: documents after what they refer to,
 * so that the order is one in which a registry accepts them. Index entries of unknown types are
 * listed as blobs and not opened; foreign layers are left out when open_blob does not have them.
 * Returns 0 and *ret (BLOB_LIST_INIT before; to be released by the caller also on failure); or -1
 * and *err: ERR_INPUT      a document is malformed, a cycle, deeper than WALK_DEPTH_MAX, over
 * WALK_MANIFESTS_MAX, one digest with two sizes and what walk_load() gives.
 */
int walk_image(const struct descriptor *root, blob_opener open_blob, void *ctx,
	struct blob_list *ret, struct err *err);

struct image_index;

/*
 * Find the manifest or index with this digest below the entries of root's index, for the form
 * "layout@digest". Returns 0 and *ret owned by the caller; or -1 and *err: ERR_NOT_FOUND, and as
 * walk_image().
 */
int walk_find(const struct image_index *root, const char *digest, blob_opener open_blob, void *ctx,
	struct descriptor *ret, struct err *err);

#endif
