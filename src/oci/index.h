/* Image indexes, Docker manifest lists, and choosing among their entries
 * (spec/oci.md 1.5, 1.7.5, 3.1). */
#ifndef WHITTLE_OCI_INDEX_H
#define WHITTLE_OCI_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "oci/descriptor.h"
#include "oci/document.h"

#define INDEX_ENTRIES_MAX 1024 /* oci.md appendix A */

struct image_index {
	char *media_type;    /* MEDIA_OCI_INDEX or MEDIA_DOCKER_INDEX; never NULL after a parse */
	char *artifact_type; /* or NULL */
	struct descriptor *manifests;
	size_t n;
	struct descriptor subject; /* only if has_subject */
	bool has_subject;
	struct strv annotations; /* pairs, see descriptor.h */
};
#define IMAGE_INDEX_INIT                                                                           \
	{                                                                                          \
		.media_type = NULL                                                                 \
	}

/*
 * Parse an index. Arguments, ownership and errors as for manifest_parse(); more than
 * INDEX_ENTRIES_MAX entries are ERR_INPUT. Entries of unknown types are kept.
 */
int index_parse(const void *data, size_t n, const char *declared_media_type,
	struct image_index *ret, struct err *err);
/* Append the index in P order, compact. Without media_type it is an OCI index. */
void index_format(const struct image_index *idx, struct strbuf *sb);
/* Append a deep copy of d to the entries. */
void index_add(struct image_index *idx, const struct descriptor *d);
/* Remove entry i (i < idx->n). */
void index_remove(struct image_index *idx, size_t i);
/* Free the parts; usable on IMAGE_INDEX_INIT and twice. */
void index_release(struct image_index *idx);

/*
 * Choose the entry for a platform: the ladder of oci.md 1.7.5 inside one architecture; among equals
 * one annotated as zstd, then the earlier. Attestations, unknown/unknown and types that are neither
 * manifest nor index are never chosen. When nothing matches and exactly one candidate has no
 * platform, that one is taken: the caller must then compare the platform of its config (see
 * has_platform). Returns 0 and *ret_i < idx->n, or -1 and ERR_NOT_FOUND, whose message lists what
 * is offered.
 */
int index_choose(
	const struct image_index *idx, const struct platform *want, size_t *ret_i, struct err *err);

/*
 * Select the entry of a layout's index.json by name (rules of oci.md 3.1).
 *
 *   name  a ref.name, or an image reference, or a digest "sha256:..." (an "@" in front is allowed),
 * or NULL for the only image that is there
 *
 * Returns 0 and *ret_i, or -1 and *err:
 *   ERR_NOT_FOUND  no such name; the message lists those there are
 *   ERR_INPUT      no name was given and there are several images; or the name has several digests
 */
int index_select(const struct image_index *idx, const char *name, size_t *ret_i, struct err *err);

#endif
