/*
 * Images in one tar file: oci-archive and docker-archive (spec/oci.md 3.1 "Tar form", 3.2).
 * Named image_archive because libarchive owns "archive".
 *
 * Reading keeps a table of members by offset and reads blobs in place; nothing is unpacked. Writing
 * streams to any descriptor and is deterministic: ids 0, times 0, files 0444, directories 0755, two
 * zero records at the end.
 */
#ifndef WHITTLE_OCI_IMAGE_ARCHIVE_H
#define WHITTLE_OCI_IMAGE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/strv.h"
#include "oci/config.h"
#include "oci/descriptor.h"
#include "oci/index.h"
#include "oci/walk.h"

#define IMAGE_ARCHIVE_MEMBERS_MAX 65536 /* ours: 128 images of 512 blobs */
#define IMAGE_ARCHIVE_MANIFEST_MAX                                                                 \
	(4 * 1024 * 1024)		    /* manifest.json, index.json (oci.md appendix A) */
#define IMAGE_ARCHIVE_IMAGES_MAX 1024	    /* ours: images in manifest.json */
#define IMAGE_ARCHIVE_PATH_MAX 4096	    /* bytes of a member name (oci.md appendix A) */
#define IMAGE_ARCHIVE_PAX_MAX (1024 * 1024) /* one PAX header or GNU long name (same) */

struct image_archive; /* an archive opened for reading */

/* A part of a file; fd is borrowed from the archive and is to be read with pread(2). */
struct blob_region {
	int fd;
	uint64_t offset, size; /* bytes */
};

/* An image of manifest.json. All names are members of the archive. */
struct docker_image {
	char *config;
	struct strv layers;    /* base first; plain or compressed, known only by looking */
	struct strv repo_tags; /* as written; unchecked: reference_parse() each first */
};

/*
 * Open the tar file at path, relative to dirfd, and index its members.
 * Returns the archive, owned by the caller (image_archive_free), or NULL and *err:
 *   ERR_NOT_FOUND    no such file
 *   ERR_INPUT        no tar file or a malformed one, over a limit, neither index.json nor
 * manifest.json, index.json, oci-layout or manifest.json twice, both formats with different images
 *   ERR_CORRUPT      a manifest of the index does not have its digest
 *   ERR_UNSUPPORTED  a compressed archive, no regular file, a layout version that does not begin
 * with 1. ERR_SYSTEM
 */
struct image_archive *image_archive_open(int dirfd, const char *path, struct err *err);
/* Free; accepts NULL. */
void image_archive_free(struct image_archive *a);
DEFINE_AUTO(struct image_archive *, image_archive_free)

/* The parsed index.json, or NULL when this is only a docker-archive; owned by the archive. */
const struct image_index *image_archive_index(const struct image_archive *a);
/* Select an image of the OCI index, as layout_select(). ERR_NOT_FOUND when there is no index. */
int image_archive_select(
	const struct image_archive *a, const char *name, struct descriptor *ret, struct err *err);
/* The region of the blob blobs/sha256/<hex>. Returns 0, or -1 and *err: ERR_INPUT (malformed
 * digest), ERR_NOT_FOUND. The content is not hashed. */
int image_archive_blob(const struct image_archive *a, const char *digest, struct blob_region *ret,
	struct err *err);
/* The same as a blob_opener with an own file offset; ctx is the struct image_archive. */
int image_archive_blob_opener(void *ctx, const char *digest, uint64_t *ret_size, struct err *err);

/* The images of manifest.json, unchecked, *ret_n of them (0 when there is no manifest.json); owned
 * by the archive. */
const struct docker_image *image_archive_docker_images(
	const struct image_archive *a, size_t *ret_n);
/*
 * Select an image of manifest.json by a reference among its RepoTags (both normalised), or the only
 * one when name is NULL, and check it: every member is there, the config is one, it has as many
 * diff_ids as there are layers, and no member stands for two diff_ids. Returns it, owned by the
 * archive, or NULL and *err: ERR_NOT_FOUND (the message lists what is there), ERR_INPUT (several,
 * and no name; a name that is no reference; a failed check), ERR_SYSTEM.
 */
const struct docker_image *image_archive_docker_select(
	const struct image_archive *a, const char *name, struct err *err);
/*
 * The region of a member by name; a link is followed once, inside the archive's names only.
 * Returns 0, or -1 and *err: ERR_INPUT (an absolute name, "..", a link that leads out or to another
 * link), ERR_NOT_FOUND. docker-archive has no digests: the caller hashes what it reads against the
 * config's diff_ids.
 */
int image_archive_member(
	const struct image_archive *a, const char *name, struct blob_region *ret, struct err *err);

/*
 * Write an oci-archive of the image behind root to fd, which may be a pipe: oci-layout, index.json,
 * blobs sorted by name. Arguments and errors as for layout_write(). Each blob's size is checked
 * before, its digest while it is copied: on failure what was written is not a complete archive.
 */
int oci_archive_write(int fd, const struct descriptor *root, const struct strv *names,
	blob_opener open_blob, void *ctx, struct err *err);

struct layer_sink; /* where a layer_writer puts bytes */

/* Write n bytes of the layer. Returns 0, or -1 and *err: ERR_CORRUPT (more bytes than announced),
 * ERR_SYSTEM, ERR_DISK. */
int layer_sink_write(struct layer_sink *sink, const void *data, size_t n, struct err *err);

/* Write the whole uncompressed layer with this diffID by layer_sink_write(). Returns 0, or -1 and
 * *err. */
typedef int (*layer_writer)(
	void *ctx, const char *diff_id, struct layer_sink *sink, struct err *err);

/*
 * Write a docker-archive (hybrid of oci.md 3.2) to fd, which may be a pipe: it loads as
 * docker-archive and as oci-archive. Layers are uncompressed and named by diffID.
 *
 *   config, nconfig   bytes of the image config
 *   sizes             bytes of each uncompressed layer, in the order of its diff_ids
 *   names             references as the user gave them; written so into RepoTags
 *   write_layer, ctx  called once per different diffID, in the order of their digests
 *
 * Returns 0, or -1 and *err: ERR_INPUT (config, a name), ERR_CORRUPT (a layer had another number of
 * bytes or another digest), ERR_SYSTEM, ERR_DISK, and what write_layer gives.
 */
int docker_archive_write(int fd, const void *config, size_t nconfig, const uint64_t *sizes,
	const struct strv *names, layer_writer write_layer, void *ctx, struct err *err);

#endif
