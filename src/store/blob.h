/*
 * Blobs: bytes named by their digest, in blobs/sha256/<hex> (spec/oci.md 1.2 and 3.1; OCI
 * image-layout.md). A blob is whole or not there: it is written in tmp/ and renamed. Files are
 * 0444.
 */
#ifndef WHITTLE_STORE_BLOB_H
#define WHITTLE_STORE_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/strbuf.h"

struct store;

/*
 * Open the blob named by digest for reading.
 *
 *   digest     "sha256:" and 64 lower-case hex digits (OCI image-spec, descriptor.md, "Digests")
 *   *ret_size  bytes in the blob; written on success only; may be NULL
 *
 * Returns a descriptor at offset 0, O_CLOEXEC, owned by the caller; or -1 and *err:
 *   ERR_INPUT        malformed digest
 *   ERR_UNSUPPORTED  a digest of another algorithm
 *   ERR_NOT_FOUND    no such blob in this store
 *   ERR_CORRUPT      the entry is not a regular file
 *   ERR_SYSTEM       open or stat failed
 * The content is not hashed: blob_verify() does that.
 */
int blob_open(const struct store *store, const char *digest, uint64_t *ret_size, struct err *err);

/*
 * Whether the blob is there; its bytes in *ret_size (may be NULL). False for a malformed digest
 * too.
 */
bool blob_has(const struct store *store, const char *digest, uint64_t *ret_size);

/*
 * Begin a new blob: a temporary file open for reading and writing, to be filled by the caller or a
 * worker. *ret_tmp_name goes to blob_commit() or blob_abort(); the caller owns it and the
 * descriptor and releases both after that call.
 * Returns the descriptor (O_RDWR, O_CLOEXEC), or -1 and *err: ERR_SYSTEM, ERR_DISK.
 */
int blob_create(struct store *store, char **ret_tmp_name, struct err *err);

/*
 * Begin or resume a download of the blob named by digest: the temporary file survives this process
 * and is found again by the digest. *ret_have bytes are there already, unverified (0 when none are,
 * or when another process is downloading the same blob: then this is blob_create()); the offset
 * stands behind them. The caller hashes the whole file before blob_commit(), calls blob_abort()
 * when the digest turns out wrong, and just closes the descriptor to keep the bytes for another
 * time. Ownership as with blob_create().
 * Returns the descriptor, or -1 and *err: ERR_INPUT, ERR_UNSUPPORTED, ERR_SYSTEM, ERR_DISK.
 */
int blob_partial_open(struct store *store, const char *digest, uint64_t *ret_have,
	char **ret_tmp_name, struct err *err);

/*
 * Put the finished temporary file into the store. The caller has computed digest and size over all
 * its bytes; the size is checked here, the digest is believed. fdatasync as store_set_sync() says,
 * then a rename. A blob that is there already is success, and the temporary file is gone either
 * way.
 * Returns 0, or -1 and *err (the temporary file is still there: blob_abort()):
 *   ERR_INPUT, ERR_UNSUPPORTED  as blob_open(), or tmp_name is not one of this module's
 *   ERR_CORRUPT                 the file does not have size bytes
 *   ERR_SYSTEM, ERR_DISK
 */
int blob_commit(struct store *store, int fd, const char *tmp_name, const char *digest,
	uint64_t size, struct err *err);

/*
 * Remove the temporary file; a name that is gone or NULL is accepted. The descriptor stays the
 * caller's.
 */
void blob_abort(struct store *store, const char *tmp_name);

/*
 * Store n bytes (a manifest, a config) and write their digest to digest.
 * Returns 0, or -1 and *err: ERR_SYSTEM, ERR_DISK.
 */
int blob_put(struct store *store, const void *data, size_t n, char digest[DIGEST_STR_SIZE],
	struct err *err);

/*
 * Append a whole blob of at most max bytes to sb, checked against its digest before anything is
 * appended.
 * Returns 0, or -1 and *err: as blob_open(), ERR_INPUT also when it is larger than max, ERR_CORRUPT
 * also when the bytes do not match.
 */
int blob_read(const struct store *store, const char *digest, size_t max, struct strbuf *sb,
	struct err *err);

/*
 * Hash the whole blob and compare. Blocks as long as the disk needs.
 * Returns 0, or -1 and *err: as blob_open(), ERR_CORRUPT also when the bytes do not match (the
 * message says how to mend it).
 */
int blob_verify(const struct store *store, const char *digest, struct err *err);

/*
 * Remove a blob, as when blob_verify() found it damaged; one that is gone is success.
 * Returns 0, or -1 and *err: ERR_INPUT, ERR_UNSUPPORTED, ERR_SYSTEM.
 */
int blob_remove(struct store *store, const char *digest, struct err *err);

#endif
