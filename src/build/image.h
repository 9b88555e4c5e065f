/* An image as the engine handles it: one platform's manifest and config, and where its blobs come from. */
#ifndef WHITTLE_BUILD_IMAGE_H
#define WHITTLE_BUILD_IMAGE_H

#include "base/err.h"
#include "build/session.h"
#include "build/snapchain.h"
#include "oci/config.h"
#include "oci/manifest.h"
#include "oci/platform.h"
#include "oci/reference.h"

struct image_source; /* a registry repository, a layout, an archive, or the store alone */

struct resolved_image {
	char *name;                            /* as the user wrote it */
	char digest[DIGEST_STR_SIZE];          /* of the chosen manifest */
	char top_digest[DIGEST_STR_SIZE];      /* of the index or manifest that the name means */
	struct platform platform;              /* of its config */
	struct manifest manifest;
	struct image_config config;
	struct snapchain chain;                /* one snapshot per layer, base first */
	struct image_source *source;           /* where missing layer blobs are fetched from */
};

struct resolve_options {
	const struct platform *platform; /* wanted; never NULL */
	bool always_pull;                /* ask the registry even when the store has the name */
	bool any_platform;               /* a single manifest of another platform is taken (run, inspect) */
};

/*
 * Find out what name means for a platform: a reference (the store first, then its registry), oci-layout://,
 * oci:, oci-archive:, docker-archive:. Manifest and config end up in the store; layers are not fetched, but
 * their snapshots exist afterwards. What came from a registry is remembered under its full name.
 * Returns the image, owned by the caller (resolved_image_free), or NULL and *err: ERR_NOT_FOUND (no such image; no
 * manifest for the platform: the message lists those there are), ERR_DENIED, ERR_NETWORK, ERR_CORRUPT,
 * ERR_INPUT.
 */
struct resolved_image *image_resolve(struct session *s, const char *name, const struct resolve_options *options,
	struct err *err);
/* Free; accepts NULL. */
void resolved_image_free(struct resolved_image *image);

/*
 * See to it that the blob of layer i is in the store, verified; fetches show as PROGRESS_STATUS of vertex.
 * May be called from several threads. Returns 0, or -1 and *err.
 */
int image_need_layer(struct session *s, struct resolved_image *image, size_t i, unsigned vertex, struct err *err);
/* The same for all layers, several at once. */
int image_need_layers(struct session *s, struct resolved_image *image, unsigned vertex, struct err *err);

/*
 * Fetch name whole for the platforms (all of its platforms when n is 0) and remember it in the store.
 * ret_digest: what the name means. Returns 0, or -1 and *err.
 */
int image_pull(struct session *s, const char *name, const struct platform *platforms, size_t n,
	char ret_digest[DIGEST_STR_SIZE], struct err *err);
/*
 * Push the image called name in the store to reference to (NULL: name itself), all platforms it has blobs of.
 * Returns 0 and the digest, or -1 and *err: ERR_NOT_FOUND (no such image here), ERR_DENIED (credentials), ERR_PUSH
 * (anything else over there: the image is kept), ERR_CANCELLED.
 */
int image_push(struct session *s, const char *name, const char *to, char ret_digest[DIGEST_STR_SIZE], struct err *err);

struct import_options {
	const char *name;          /* reference to remember it under */
	struct platform platform;
	struct strv env, cmd, entrypoint; /* of the config */
	const char *workdir, *user;
	int64_t epoch;             /* "created"; LAYER_EPOCH_NONE: now */
};
/*
 * Make an image of one layer from the root file system archive in fd (plain, gzip or zstd tar). A compressed archive
 * is kept byte for byte as the layer; a plain one is compressed with zstd.
 * Returns 0 and the manifest's digest, or -1 and *err.
 */
int image_import(struct session *s, int fd, const struct import_options *options,
	char ret_digest[DIGEST_STR_SIZE], struct err *err);

#endif
