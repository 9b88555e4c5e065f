/* Media types of images, OCI and Docker alike (spec/oci.md 1.4). */
#ifndef WHITTLE_OCI_MEDIA_H
#define WHITTLE_OCI_MEDIA_H

#include <stdbool.h>

#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER_TAR "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MEDIA_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define MEDIA_OCI_EMPTY "application/vnd.oci.empty.v1+json"
#define MEDIA_DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define MEDIA_DOCKER_LAYER_TAR "application/vnd.docker.image.rootfs.diff.tar"
#define MEDIA_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define MEDIA_DOCKER_LAYER_ZSTD "application/vnd.docker.image.rootfs.diff.tar.zstd"
#define MEDIA_IN_TOTO "application/vnd.in-toto+json"

#define MEDIA_TYPE_MAX 255 /* RFC 6838: 127 "/" 127 */

enum media_kind {
	MEDIA_INDEX,
	MEDIA_MANIFEST,
	MEDIA_CONFIG,
	MEDIA_LAYER_TAR,
	MEDIA_LAYER_GZIP,
	MEDIA_LAYER_ZSTD,
	MEDIA_FOREIGN, /* a non-distributable layer, whatever its compression */
	MEDIA_OTHER,   /* everything else: attestations, artifacts, encrypted layers, schema 1 */
};

/* The kind of a media type, OCI and Docker alike. NULL is MEDIA_OTHER. */
enum media_kind media_kind(const char *media_type);
/* Whether it is one of Docker's image types (application/vnd.docker.distribution, .container,
 * .image). */
bool media_is_docker(const char *media_type);
/* Whether it is Docker's schema 1, which is refused (oci.md 1.4). */
bool media_is_schema1(const char *media_type);
/* Whether kind is a layer that we can apply: tar, gzip, zstd or foreign. */
bool media_is_layer(enum media_kind kind);
/* "index", "manifest", "zstd layer" ... for messages; never NULL. */
const char *media_kind_name(enum media_kind kind);
/* The media type we write for a kind, in the OCI or the Docker family; NULL for MEDIA_FOREIGN,
 * MEDIA_OTHER. */
const char *media_type_of(enum media_kind kind, bool docker);
/* Whether s has the form type/subtype of RFC 6838, without parameters. */
bool media_type_valid(const char *s);

#endif
