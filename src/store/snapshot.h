/*
 * Snapshots: what one base layer or one step adds to the tree below it (design.md section 5). A
 * snapshot has up to three things, each made when it is first needed and then kept:
 *
 *   index            snapshots/<id>/index, the tree index
 *   folder forms     snapshots/<id>/folder.<fingerprint>/fs, an overlay lower; one per ID map,
 *                    since the owners on disk depend on it. The fingerprint is the caller's short
 *                    name for the map ("single", "s100000"), 1 to FINGERPRINT_MAX characters of
 *                    [a-z0-9]
 *   layer forms      blobs; one per compression, level and time stamp that an output asked for, and
 *                    the blob as it came from a registry (the source form)
 *
 * A tree moves together with the private folder around it, because a folder that changes its parent
 * must be writable itself (rename(2), EACCES), and the root of a tree may well be 0555 or owned by
 * another id.
 *
 * An id is a row of meta.db and is not given out twice while that file lives. A folder or an index
 * that its row does not mention (from a process killed in between) does not count and is replaced
 * or swept.
 */
#ifndef WHITTLE_STORE_SNAPSHOT_H
#define WHITTLE_STORE_SNAPSHOT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

struct store;

#define FINGERPRINT_MAX 31               /* characters */
#define SNAPSHOT_FOLDER_SIZE 80          /* bytes of what snapshot_folder_name() writes */
#define SNAPSHOT_TMP_NAME_SIZE 64        /* bytes for "tmp/<process>/<n>" and NUL */
#define LAYER_MEDIA_TYPE_SIZE 256        /* RFC 6838: 127 + 1 + 127 and NUL */
#define LAYER_COMPRESSION_SIZE 16        /* "none", "gzip", "zstd", ... and NUL */
#define LAYER_LEVEL_SOURCE INT_MIN       /* level of a layer that came from outside */
#define LAYER_EPOCH_NONE INT64_MIN       /* times were not clamped */

struct snapshot {
	int64_t id;
	char diff_id[DIGEST_STR_SIZE]; /* "" while no layer was made of it */
	bool has_index;
	uint64_t size;                 /* bytes of content as its maker says; 0 unknown */
};

/* One layer form: a blob with the same content as the snapshot. */
struct layer_form {
	char digest[DIGEST_STR_SIZE];             /* of the blob */
	uint64_t size;                            /* bytes of the blob */
	char media_type[LAYER_MEDIA_TYPE_SIZE];   /* as its descriptor says */
	char compression[LAYER_COMPRESSION_SIZE]; /* "none", "gzip", "zstd", ... */
	int level;                                /* of the compressor, or LAYER_LEVEL_SOURCE */
	int64_t epoch;                            /* seconds to which times are clamped */
	char diff_id[DIGEST_STR_SIZE];            /* of the uncompressed tar */
};

/* A snapshot in the making. The caller reads id and name and may set size, layer and diff_id. */
struct snapshot_tmp {
	int64_t id;                             /* reserved */
	char name[SNAPSHOT_TMP_NAME_SIZE];      /* relative to the store; holds fs and work */
	char fingerprint[FINGERPRINT_MAX + 1];
	uint64_t size;                          /* stored as snapshot.size */
	/*
	 * "" unknown: then that of layer is taken, as snapshot_add_layer() would, or whatever its
	 * epoch when no folder is committed (the layer is the content then).
	 */
	char diff_id[DIGEST_STR_SIZE];
	const struct layer_form *layer;         /* recorded with the rest; NULL for none */
};

/* What snapshot_commit() finds in the temporary folder; at least one of the two, or tmp->layer. */
enum snapshot_part {
	SNAPSHOT_FOLDER = 1 << 0, /* fs becomes the folder form */
	SNAPSHOT_INDEX = 1 << 1,  /* a regular file "index" beside fs */
};

/*
 * Begin a snapshot: reserve an id and make a folder in tmp/ with the folders fs and work (an
 * overlay's upper and work folder) inside. No row is visible yet. fingerprint names the ID map
 * under which fs is filled.
 * Returns 0, or -1 and *err: ERR_INPUT (bad fingerprint), ERR_SYSTEM, ERR_DISK, ERR_CORRUPT
 * (meta.db).
 */
int snapshot_new(struct store *store, struct snapshot_tmp *ret, const char *fingerprint,
	struct err *err);

/*
 * Make it visible: fs and index (as parts, of enum snapshot_part, says) move to snapshots/<id> by
 * rename, then one transaction. What else is in the temporary folder is removed as far as possible
 * (the rest waits for store_stale()). Killed anywhere inside, either nothing is visible or the
 * whole. *ret_id (may be NULL) is tmp->id. tmp is used up on success; after a failure call
 * snapshot_abort().
 * Returns 0, or -1 and *err: ERR_INPUT (no part, or a malformed layer), ERR_NOT_FOUND (a part is
 * not there),
 * ERR_SYSTEM, ERR_DISK, ERR_CORRUPT (meta.db).
 */
int snapshot_commit(struct store *store, const struct snapshot_tmp *tmp, unsigned int parts,
	int64_t *ret_id, struct err *err);

/*
 * Give up: remove the temporary folder as far as possible. NULL or an empty name is accepted. What
 * only a worker could remove waits for store_stale().
 */
void snapshot_abort(struct store *store, const struct snapshot_tmp *tmp);

/*
 * Read the row of a snapshot. Returns 0, or -1 and *err: ERR_NOT_FOUND, ERR_SYSTEM, ERR_CORRUPT
 * (meta.db).
 */
int snapshot_get(struct store *store, int64_t id, struct snapshot *ret, struct err *err);

/*
 * Look for a snapshot with this diff_id (the oldest, should there be several).
 * Returns 1 and *ret_id, 0 when there is none, or -1 and *err: ERR_INPUT, ERR_SYSTEM, ERR_CORRUPT
 * (meta.db).
 */
int snapshot_by_diff_id(struct store *store, const char *diff_id, int64_t *ret_id, struct err *err);

/*
 * The snapshot of a base image's layer: the one with that diffID, or a new one that has nothing but
 * this source form. The blob need not be there yet. The form is recorded with level
 * LAYER_LEVEL_SOURCE, epoch LAYER_EPOCH_NONE and the compression that media_type names ("none" when
 * it names none). blob_digest and diff_id are believed; a caller that has not compared them yet
 * must do so before it uses the content.
 * Returns 0, or -1 and *err: ERR_INPUT, ERR_SYSTEM, ERR_DISK, ERR_CORRUPT (meta.db).
 */
int snapshot_of_layer(struct store *store, const char *diff_id, const char *blob_digest,
	const char *media_type, uint64_t size, int64_t *ret_id, struct err *err);

/*
 * Record a layer form (the blob is committed already). The same form again is success. A form
 * without an epoch gives the snapshot its diff_id if it has none; one with clamped times does not,
 * since the snapshot's own files have other times.
 * Returns 0, or -1 and *err: ERR_INPUT (malformed), ERR_NOT_FOUND (no such snapshot), ERR_SYSTEM,
 * ERR_DISK,
 * ERR_CORRUPT (meta.db).
 */
int snapshot_add_layer(struct store *store, int64_t id, const struct layer_form *form,
	struct err *err);

/*
 * Whether the snapshot has a layer form made with just these settings whose blob is in the store
 * with the recorded size; *ret is written only then. The newest of several.
 */
bool snapshot_find_layer(struct store *store, int64_t id, const char *compression, int level,
	int64_t epoch, struct layer_form *ret);
/* The same for any layer form with its blob: a source form first, then one whose times no epoch changed, else the newest. */
bool snapshot_any_layer(struct store *store, int64_t id, struct layer_form *ret);

/*
 * Write "snapshots/<id>/folder.<fingerprint>/fs", relative to the store. A fingerprint that is not
 * valid gives a name that never exists.
 */
void snapshot_folder_name(int64_t id, const char *fingerprint, char buf[SNAPSHOT_FOLDER_SIZE]);
/* Whether that folder form is there, in the database and on disk. False for a bad fingerprint. */
bool snapshot_has_folder(struct store *store, int64_t id, const char *fingerprint);

/*
 * Add a folder form: tmp_name, as store_tmp_new() (or snapshot_new()) named it, holds the finished
 * tree in a folder "fs" and is renamed into place as a whole; what else it holds is removed as far
 * as possible. When another builder was faster, tmp_name is dropped as far as possible, and that is
 * success too.
 * Returns 0, or -1 and *err: ERR_INPUT (bad fingerprint or tmp_name), ERR_NOT_FOUND (no such
 * snapshot, or no folder fs), ERR_SYSTEM, ERR_DISK, ERR_CORRUPT (meta.db).
 */
int snapshot_add_folder(struct store *store, int64_t id, const char *fingerprint,
	const char *tmp_name, struct err *err);

/*
 * Add the tree index: the finished file tmp_name (as store_tmp_file() named it, or below a folder
 * of store_tmp_new()) is renamed into place. One that is there is replaced: both describe the same
 * tree.
 * Returns 0, or -1 and *err: as snapshot_add_folder().
 */
int snapshot_add_index(struct store *store, int64_t id, const char *tmp_name, struct err *err);

/*
 * Open the tree index for reading. Returns a descriptor (O_RDONLY, O_CLOEXEC) owned by the caller,
 * or -1 and *err: ERR_NOT_FOUND (no such snapshot, it has no index, or that is gone: make it anew),
 * ERR_CORRUPT (not a regular file; meta.db), ERR_SYSTEM.
 */
int snapshot_open_index(struct store *store, int64_t id, struct err *err);

#endif
