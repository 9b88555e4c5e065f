/*
 * Writing to a registry: blobs first, then child manifests by digest, then the index, the tag last
 * (spec/oci.md 4.4, 4.8). At most four blobs at a time per registry and no digest twice at a time:
 * the caller sees to it.
 *
 * Errors that all calls share:
 *   ERR_DENIED       401, 403, an immutable tag; a Location that the rules forbid
 *   ERR_NETWORK      transport, 429 and 5xx to the end of the retries
 *   ERR_NOT_FOUND    the registry has no such repository and makes none; a manifest names a blob it
 *                    lacks
 *   ERR_CORRUPT      the file is not what its descriptor says; the registry reports another digest
 *   ERR_INPUT        the registry finds the document invalid, or its answers are malformed
 *   ERR_UNSUPPORTED  a digest other than sha256; read-only registry; access needs a credential
 *                    helper
 *   ERR_CANCELLED    the client's cancel flag
 */
#ifndef WHITTLE_REGISTRY_PUSH_H
#define WHITTLE_REGISTRY_PUSH_H

#include <stddef.h>

#include "base/err.h"

struct descriptor;
struct reference;
struct registry_client;
struct registry_progress;

/*
 * Make sure that the repository of ref holds the blob of desc: ask (HEAD), mount it from another
 * repository of the same registry, or upload it in one piece (POST, PUT). A broken upload starts
 * anew, at most five times.
 *   fd          the blob, desc->size bytes from offset 0; the file offset is not used
 *   mount_from  repository path on the same registry ("library/alpine") that is known to hold it,
 *               or NULL
 *   progress    or NULL; done jumps to total when nothing had to be sent
 * Returns 0, or -1 and *err (shared kinds; ERR_SYSTEM when fd cannot be read).
 */
int registry_push_blob(struct registry_client *client, const struct reference *ref,
	const struct descriptor *desc, int fd, const char *mount_from,
	const struct registry_progress *progress, struct err *err);

/*
 * Put a manifest or index of n bytes under a tag or its digest. Everything it names must be there.
 *   tag_or_digest  NULL: the tag of ref, else "latest"
 *   media_type     the document's own
 * Returns 0, or -1 and *err (shared kinds).
 */
int registry_push_manifest(struct registry_client *client, const struct reference *ref,
	const char *tag_or_digest, const char *media_type, const void *body, size_t n,
	struct err *err);

#endif
