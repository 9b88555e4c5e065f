/* OCI image layouts: a directory of blobs and an index.json (spec/oci.md 3.1). */
#ifndef WHITTLE_OCI_LAYOUT_H
#define WHITTLE_OCI_LAYOUT_H

#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/strv.h"
#include "oci/descriptor.h"
#include "oci/index.h"
#include "oci/walk.h"

#define LAYOUT_HEADER "{\"imageLayoutVersion\":\"1.0.0\"}" /* the file oci-layout, no newline */
#define LAYOUT_HEADER_MAX 4096 /* bytes of it that we read (oci.md appendix A) */

struct layout; /* a directory opened for reading */

/*
 * Open the layout at path, relative to dirfd (AT_FDCWD allowed), and read its index. Whatever is
 * read later stays inside it: no link leads out. Returns the layout, owned by the caller
 * (layout_free), or NULL and *err: ERR_NOT_FOUND    no such directory, or no oci-layout file in it
 *   ERR_INPUT        malformed oci-layout or index.json, or over a limit
 *   ERR_UNSUPPORTED  a version that does not begin with 1.
 *   ERR_SYSTEM
 */
struct layout *layout_open(int dirfd, const char *path, struct err *err);
/* Free; accepts NULL. */
void layout_free(struct layout *l);
DEFINE_AUTO(struct layout *, layout_free)
/* The parsed index.json; owned by the layout. */
const struct image_index *layout_index(const struct layout *l);
/*
 * Select an image (rules of oci.md 3.1): name as for index_select(); a digest may also be that of a
 * manifest inside a nested index. Returns 0 and *ret owned by the caller (descriptor_release), or
 * -1 and *err as index_select() and walk_find().
 */
int layout_select(
	const struct layout *l, const char *name, struct descriptor *ret, struct err *err);
/*
 * Open a blob for reading.
 * Returns a descriptor at offset 0, O_CLOEXEC, owned by the caller, and *ret_size; or -1 and *err:
 *   ERR_INPUT      malformed digest
 *   ERR_NOT_FOUND  not in this layout
 *   ERR_CORRUPT    not a regular file, or a link that leaves the layout
 *   ERR_SYSTEM
 * The content is not hashed.
 */
int layout_blob_open(
	const struct layout *l, const char *digest, uint64_t *ret_size, struct err *err);
/* layout_blob_open() as a blob_opener; ctx is the struct layout. */
int layout_blob_opener(void *ctx, const char *digest, uint64_t *ret_size, struct err *err);

/*
 * Check that an oci-layout file of n bytes is one that we can read.
 * Returns 0, or -1 and *err: ERR_INPUT (malformed), ERR_UNSUPPORTED (version).
 */
int layout_header_check(const void *data, size_t n, struct err *err);

/*
 * Put an image into the layout directory at path (made when missing, also its parents), beside what
 * is there.
 *
 *   root   its manifest or index; its own annotations and platform are written into index.json too
 *   names  references as the user gave them; each gets an entry with both name annotations and
 * takes the name from whatever had it; empty: one entry without a name open_blob, ctx   where the
 * blobs come from
 *
 * Every blob is checked against its digest and size, written to a temporary file, synced and
 * renamed; one that is there with the right size is kept. index.json is replaced atomically, last,
 * under a lock. So a reader sees the old or the new image, never half of one. Returns 0, or -1 and
 * *err: ERR_INPUT (a name, a document, a foreign index.json), ERR_CORRUPT (a blob is not what its
 * descriptor says), ERR_SYSTEM, ERR_DISK, and what open_blob gives.
 */
int layout_write(int dirfd, const char *path, const struct descriptor *root,
	const struct strv *names, blob_opener open_blob, void *ctx, struct err *err);

/*
 * The entries that index.json gets for root under names, appended to idx; entries of other images
 * that bear one of these names are removed first. Shared by the directory and the tar form. Returns
 * 0, or -1 and ERR_INPUT when a name is no reference or has a digest.
 */
int layout_index_put(struct image_index *idx, const struct descriptor *root,
	const struct strv *names, struct err *err);

#endif
