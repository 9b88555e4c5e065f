/* Image manifests (spec/oci.md 1.5). */
#ifndef WHITTLE_OCI_MANIFEST_H
#define WHITTLE_OCI_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "oci/descriptor.h"
#include "oci/document.h"

#define MANIFEST_LAYERS_MAX 512 /* Docker's stores stop at 127 (oci.md appendix A) */

struct manifest {
	char *media_type; /* MEDIA_OCI_MANIFEST or MEDIA_DOCKER_MANIFEST; never NULL after a parse
			   */
	char *artifact_type; /* or NULL */
	struct descriptor config;
	struct descriptor *layers; /* base first */
	size_t nlayers;
	struct descriptor subject; /* only if has_subject */
	bool has_subject;
	struct strv annotations; /* pairs, see descriptor.h */
};
#define MANIFEST_INIT                                                                              \
	{                                                                                          \
		.media_type = NULL                                                                 \
	}

/*
 * Parse a manifest whose bytes have been checked against their digest.
 *
 *   declared_media_type  as for document_guess(), or NULL
 *
 * Returns 0 and *ret owned by the caller (manifest_release); or -1 and *err, *ret untouched:
 *   ERR_INPUT        everything of document_guess(), an index, a missing or malformed property,
 * more than MANIFEST_LAYERS_MAX layers, one digest with two sizes ERR_UNSUPPORTED  a digest of an
 * algorithm other than sha256 ERR_CORRUPT      embedded data that is not what its descriptor says
 * Layers of any type are accepted: manifest_check_image() says whether it can be run.
 */
int manifest_parse(const void *data, size_t n, const char *declared_media_type,
	struct manifest *ret, struct err *err);
/* Append the manifest in P order (oci.md 1.5), compact. Without media_type it is an OCI one. */
void manifest_format(const struct manifest *m, struct strbuf *sb);
/* Append a deep copy of d to the layers. */
void manifest_add_layer(struct manifest *m, const struct descriptor *d);
/*
 * Whether it is a container image: an image config and only file system layers.
 * Returns 0, or -1 and ERR_INPUT naming the first type that is none (oci.md 9.1.23).
 */
int manifest_check_image(const struct manifest *m, struct err *err);
/* Free the parts; usable on MANIFEST_INIT and twice. */
void manifest_release(struct manifest *m);

#endif
