/*
 * Reading from a registry: manifests and blobs, verified (spec/oci.md 1.2, 4.4, 4.5).
 *
 * Errors that all calls share:
 *   ERR_NOT_FOUND    the registry has no such manifest or blob
 *   ERR_DENIED       it refuses (401, 403), or a redirect, realm or address that the rules forbid
 *   ERR_NETWORK      transport, 429 and 5xx to the end of the retries
 *   ERR_CORRUPT      bytes do not match their digest or size
 *   ERR_INPUT        an answer that is malformed or over a limit
 *   ERR_UNSUPPORTED  a digest other than sha256; access needs a credential helper
 *   ERR_CANCELLED    the client's cancel flag
 */
#ifndef WHITTLE_REGISTRY_PULL_H
#define WHITTLE_REGISTRY_PULL_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/strbuf.h"

struct descriptor;
struct reference;
struct registry_client;
struct registry_progress;

#define REGISTRY_MANIFEST_MAX (4 * 1024 * 1024) /* appendix A */

/*
 * Get one manifest or index from the repository of ref.
 *   tag_or_digest   a tag or a digest; NULL: what ref itself says (its digest before its tag, else
 *                   "latest")
 *   ret_body        the exact bytes are appended; they have been hashed already
 *   ret_media_type  Content-Type without parameters in lower case, owned by the caller; NULL when
 *                   the server sent none or one that says nothing (text/plain, application/json,
 *                   octet-stream): then the document's own mediaType decides (1.4, rule 2)
 *   ret_digest      sha256 of the bytes: the resolved digest. Equal to the digest asked for, and
 *                   for a tag to Docker-Content-Digest where that is a sha256
 * Returns 0, or -1 and *err (shared kinds); outputs are untouched then. Resolve a tag once per
 * command and use the digest from then on.
 */
int registry_get_manifest(struct registry_client *client, const struct reference *ref,
	const char *tag_or_digest, struct strbuf *ret_body, char **ret_media_type,
	char ret_digest[DIGEST_STR_SIZE], struct err *err);

/*
 * Resolve a tag without fetching the manifest (HEAD); where the server does not answer that fully
 * (no digest, no length, no type, status 403 or 405) the manifest is fetched and dropped.
 *   ret_media_type  as above, owned by the caller; may be NULL if not wanted
 *   ret_size        bytes of the manifest; may be NULL if not wanted
 * The digest of a HEAD is the server's word: it is proven when the manifest is fetched by it.
 * Returns 0, or -1 and *err (shared kinds); outputs are untouched then.
 */
int registry_head_manifest(struct registry_client *client, const struct reference *ref,
	const char *tag_or_digest, char **ret_media_type, char ret_digest[DIGEST_STR_SIZE],
	uint64_t *ret_size, struct err *err);

/*
 * Get the blob of desc into out_fd, verified by size and digest. A broken transfer is resumed by
 * Range with the running hash kept; it gives up when three tries in a row brought less than 1 MiB
 * each (4.5). After a digest mismatch the whole blob is fetched once more.
 *   out_fd    a regular file open for writing, empty; written by pwrite from offset 0, its file
 *             offset is not used. On failure its content is undefined. It is not synced.
 *   progress  or NULL
 * Returns 0, or -1 and *err (shared kinds; ERR_SYSTEM, ERR_DISK when out_fd cannot be written).
 */
int registry_get_blob(struct registry_client *client, const struct reference *ref,
	const struct descriptor *desc, int out_fd, const struct registry_progress *progress,
	struct err *err);

/* Take the next n > 0 bytes of a blob. Returns 0, or -1 and *err, which ends the transfer. */
typedef int registry_blob_fn(void *arg, const void *data, size_t n, struct err *err);

/*
 * The same into a function, so that unpacking can go on meanwhile. Every byte comes exactly once
 * and in order, over resumed transfers too, and never more than desc says; but nothing is proven
 * before this returns 0, so what was made of the bytes must be thrown away on failure. A digest
 * mismatch is not tried again.
 * Returns 0, or -1 and *err (shared kinds, or what fn returned).
 */
int registry_stream_blob(struct registry_client *client, const struct reference *ref,
	const struct descriptor *desc, registry_blob_fn *fn, void *arg,
	const struct registry_progress *progress, struct err *err);

#endif
