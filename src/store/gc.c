#include "store/gc.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/doc.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "store/blob.h"
#include "store/image.h"
#include "store/snapshot.h"
#include "store/store_internal.h"

/* bytes of a manifest or index (spec/oci.md, table of limits) */
#define DOCUMENT_MAX (4 * 1024 * 1024)
#define DEPTH_MAX 8 /* indexes in indexes (4, spec/oci.md 1.5), a manifest, and a few subjects */
#define DOCUMENTS_MAX 1024 /* manifests and indexes behind one image (spec/oci.md 1.5) */
/* seconds: files that no build has hashed for a season */
#define FILEHASH_KEEP (90 * 24 * 60 * 60)
#define SET_START 256 /* slots; a power of two */

/* ---- a set of digests: open addressing, at most half full ---- */

struct digest_set {
	uint8_t (*slots)[DIGEST_SIZE]; /* all zero means free: no blob has that digest */
	size_t len, cap;
};

static void digest_set_release(struct digest_set *set)
{
	free(set->slots);
	*set = (struct digest_set){.slots = NULL};
}

/* Where d is, or where it would go. */
static uint8_t *digest_set_slot(const struct digest_set *set, const uint8_t d[DIGEST_SIZE])
{
	static const uint8_t none[DIGEST_SIZE];
	size_t i;

	memcpy(&i, d, sizeof(i)); /* a digest is as good as its own hash */
	for (i &= set->cap - 1;; i = (i + 1) & (set->cap - 1))
		if (memcmp(set->slots[i], d, DIGEST_SIZE) == 0 ||
			memcmp(set->slots[i], none, DIGEST_SIZE) == 0)
			return set->slots[i];
}

static bool digest_set_has(const struct digest_set *set, const char *digest)
{
	uint8_t d[DIGEST_SIZE];

	return set->cap > 0 && digest_parse(digest, d) == 0 &&
	       memcmp(digest_set_slot(set, d), d, DIGEST_SIZE) == 0;
}

/*
 * Returns whether it is new; false for what is no digest of ours, for it is no blob of ours either.
 */
static bool digest_set_add(struct digest_set *set, const char *digest)
{
	uint8_t d[DIGEST_SIZE], *slot;

	if (!digest || digest_parse(digest, d) < 0 || digest_set_has(set, digest))
		return false;
	if (set->len * 2 >= set->cap) {
		struct digest_set old = *set;

		set->cap = old.cap ? old.cap * 2 : SET_START;
		set->slots = xcalloc(set->cap, sizeof(*set->slots));
		for (size_t i = 0; i < old.cap; i++)
			memcpy(digest_set_slot(set, old.slots[i]), old.slots[i], DIGEST_SIZE);
		free(old.slots);
	}
	slot = digest_set_slot(set, d);
	memcpy(slot, d, DIGEST_SIZE);
	set->len++;
	return true;
}

/* ---- one run ---- */

#define CACHE_DEPTH 64 /* of a cache mount that is looked into to count its bytes */

struct gc {
	struct store *store;
	const struct gc_options *options;
	struct gc_result *result;
	struct digest_set keep;	     /* blobs that stay */
	struct digest_set documents; /* manifests and indexes already read */
	size_t visited;		     /* of them, behind the present image */
	int64_t *dead;		     /* snapshots that go, ascending */
	size_t n_dead, cap_dead;
};

static void gc_release(struct gc *gc)
{
	digest_set_release(&gc->keep);
	digest_set_release(&gc->documents);
	free(gc->dead);
}
#define auto_gc __attribute__((cleanup(gc_release))) struct gc

void gc_result_release(struct gc_result *result)
{
	strv_release(&result->folders_for_worker);
	*result = (struct gc_result)GC_RESULT_INIT;
}

/* ---- mark ---- */

/* Whether blobs of this media type name other blobs (spec/oci.md 1.4). */
static bool is_document(const char *media_type)
{
	static const char *const types[] = {
		"application/vnd.oci.image.index.v1+json",
		"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.docker.distribution.manifest.v2+json",
	};

	for (size_t i = 0; media_type && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(media_type, types[i]) == 0)
			return true;
	return false;
}

static void mark_array(struct gc *gc, const struct doc *array)
{
	for (size_t i = 0; i < doc_len(array); i++)
		digest_set_add(&gc->keep, doc_get_str(doc_at(array, i), "digest"));
}

DEFINE_AUTO(struct doc *, doc_free)

static int mark_descriptor(struct gc *gc, const char *digest, const char *media_type,
	unsigned int depth, struct err *err);

/* Mark what a manifest or index names. Both are read alike: a lie about the type then keeps more,
 * not less. */
static int mark_document(struct gc *gc, const char *digest, unsigned int depth, struct err *err)
{
	AUTO(doc_free) struct doc *doc = NULL;
	auto_strbuf text = STRBUF_INIT;
	const struct doc *subject, *list;

	if (depth > DEPTH_MAX)
		return err_set(
			err, ERR_INPUT, "indexes nested deeper than %d at '%s'", DEPTH_MAX, digest);
	if (++gc->visited > DOCUMENTS_MAX)
		return err_set(err, ERR_INPUT, "more than %d manifests", DOCUMENTS_MAX);
	if (blob_read(gc->store, digest, DOCUMENT_MAX, &text, err) < 0)
		return -1;
	doc = doc_parse(text.buf, text.len, digest, err);
	if (!doc)
		return -1;
	digest_set_add(&gc->keep, doc_get_str(doc_get(doc, "config"), "digest"));
	mark_array(gc, doc_get(doc, "layers"));
	subject = doc_get(doc, "subject");
	if (mark_descriptor(gc, doc_get_str(subject, "digest"), doc_get_str(subject, "mediaType"),
		    depth + 1, err) < 0)
		return -1;
	list = doc_get(doc, "manifests");
	for (size_t i = 0; i < doc_len(list); i++) {
		const struct doc *d = doc_at(list, i);

		if (mark_descriptor(gc, doc_get_str(d, "digest"), doc_get_str(d, "mediaType"),
			    depth + 1, err) < 0)
			return -1;
	}
	return 0;
}

/* Mark the blob and, if it is a document and here (platforms may be left out), what it names. */
static int mark_descriptor(struct gc *gc, const char *digest, const char *media_type,
	unsigned int depth, struct err *err)
{
	if (!digest)
		return 0;
	digest_set_add(&gc->keep, digest);
	if (!is_document(media_type) || !blob_has(gc->store, digest, NULL) ||
		!digest_set_add(&gc->documents, digest))
		return 0;
	return mark_document(gc, digest, depth, err);
}

static int mark_image(const struct image *image, void *arg, struct err *err)
{
	struct gc *gc = arg;

	gc->visited = 0;
	if (mark_descriptor(gc, image->digest, image->media_type, 1, err) < 0)
		return err_wrap(err,
			"cannot tell what belongs to image '%s', nothing was removed ('whittle rmi "
			"%s' "
			"gives it up)",
			image->name, image->name);
	return 0;
}

/* Entries put or used before this stay out of the account; INT64_MIN keeps all. */
static int64_t used_limit(const struct gc *gc)
{
	if (gc->options->all)
		return INT64_MAX;
	return gc->options->unused_for > 0 ? clock_wall() - gc->options->unused_for : INT64_MIN;
}

/* Mark the layer blobs of snapshots that a step cache entry keeps. */
static int mark_step_layers(struct gc *gc, struct err *err)
{
	STORE_GUARD(gc->store);
	char digest[DIGEST_STR_SIZE];
	auto_stmt stmt = db_query(gc->store, err,
		"SELECT DISTINCT digest FROM layer WHERE snapshot IN"
		" (SELECT snapshot FROM stepcache WHERE used >= ?1)",
		"i", used_limit(gc));
	int r;

	if (!stmt)
		return -1;
	while ((r = db_step(gc->store, stmt, err)) > 0) {
		db_text(stmt, 0, digest, sizeof(digest));
		digest_set_add(&gc->keep, digest);
	}
	return r;
}

/* Whether any layer form of the snapshot stays, or, with mark, let them all stay. Returns 1, 0, or
 * -1 and *err. */
static int kept_layers(struct gc *gc, int64_t id, bool mark, struct err *err)
{
	char digest[DIGEST_STR_SIZE];
	auto_stmt stmt =
		db_query(gc->store, err, "SELECT digest FROM layer WHERE snapshot = ?1", "i", id);
	int r;

	if (!stmt)
		return -1;
	while ((r = db_step(gc->store, stmt, err)) > 0) {
		db_text(stmt, 0, digest, sizeof(digest));
		if (mark)
			digest_set_add(&gc->keep, digest);
		else if (digest_set_has(&gc->keep, digest))
			return 1;
	}
	return r;
}

/*
 * Whether a snapshot that no step keeps stands for a layer of an image; then its other layer forms,
 * the same layer compressed otherwise, stay with it. Returns 1 or 0, or -1 and *err.
 */
static int kept_by_image(struct gc *gc, int64_t id, struct err *err)
{
	int r = gc->options->all ? 0 : kept_layers(gc, id, false, err);

	if (r > 0 && kept_layers(gc, id, true, err) < 0)
		return -1;
	return r;
}

/* Find the snapshots that go, and count them. */
static int find_dead(struct gc *gc, struct err *err)
{
	STORE_GUARD(gc->store);
	auto_stmt stmt = NULL;
	int r, kept;

	stmt = db_query(gc->store, err,
		"SELECT id, size, EXISTS(SELECT 1 FROM folder WHERE folder.snapshot = snapshot.id),"
		" EXISTS(SELECT 1 FROM stepcache WHERE stepcache.snapshot = snapshot.id AND used "
		">= ?1)"
		" FROM snapshot ORDER BY id",
		"i", used_limit(gc));
	if (!stmt)
		return -1;
	while ((r = db_step(gc->store, stmt, err)) > 0) {
		int64_t id = sqlite3_column_int64(stmt, 0);

		if (sqlite3_column_int(stmt, 3))
			continue;
		kept = kept_by_image(gc, id, err);
		if (kept < 0)
			return -1;
		if (kept > 0)
			continue;
		GROW(gc->dead, gc->n_dead, gc->cap_dead);
		gc->dead[gc->n_dead++] = id;
		gc->result->snapshots++;
		if (sqlite3_column_int(stmt, 2))
			gc->result->bytes += (uint64_t)sqlite3_column_int64(stmt, 1);
	}
	return r;
}

/* ---- sweep ---- */

/* All rows that go, in one transaction. */
static int delete_rows(struct gc *gc, struct err *err)
{
	struct store *store = gc->store;
	STORE_GUARD(store);
	auto_tx tx = DB_TX_INIT;

	if (db_begin(store, &tx, err) < 0 ||
		db_run(store, err, "DELETE FROM stepcache WHERE used < ?1", "i", used_limit(gc)) <
			0)
		return -1;
	for (size_t i = 0; i < gc->n_dead; i++)
		if (db_run(store, err, "DELETE FROM snapshot WHERE id = ?1", "i", gc->dead[i]) < 0)
			return -1;
	if (db_run(store, err, "DELETE FROM filehash WHERE stored < ?1", "i",
		    gc->options->all ? INT64_MAX : clock_wall() - FILEHASH_KEEP) < 0)
		return -1;
	if (gc->options->all && db_run(store, err, "DELETE FROM memo", "") < 0)
		return -1;
	return db_commit(&tx, err);
}

/* Open a folder of the store for a walk. Returns NULL and *err. */
static DIR *open_walk(const struct store *store, const char *name, struct err *err)
{
	int fd = openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		(void)err_sys(err, "cannot read '%s/%s'", store->path, name);
		close_fd(fd);
	}
	return dir;
}

/* Count a file and remove it. */
static int sweep_file(struct gc *gc, DIR *dir, const char *name, struct err *err)
{
	struct stat st;

	if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return 0;
	gc->result->blobs++;
	gc->result->bytes += (uint64_t)st.st_size;
	if (!gc->options->dry_run && unlinkat(dirfd(dir), name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "cannot remove '%s/.../%s'", gc->store->path, name);
	return 0;
}

/* Blobs that nothing names. Files that are not named like a blob are somebody else's and stay. */
static int sweep_blobs(struct gc *gc, struct err *err)
{
	auto_closedir DIR *dir = open_walk(gc->store, "blobs/sha256", err);
	const struct dirent *entry;
	char digest[DIGEST_STR_SIZE];

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		if (!store_is_hex(entry->d_name, DIGEST_HEX))
			continue;
		snprintf(digest, sizeof(digest), DIGEST_PREFIX "%.*s", DIGEST_HEX, entry->d_name);
		if (!digest_set_has(&gc->keep, digest) &&
			sweep_file(gc, dir, entry->d_name, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * Move a folder of ours to tmp/ and remove it there; where that fails because other ids own what is
 * below, it is left for a worker. The folder itself is this user's, which is all that the rename
 * asks for.
 */
static int sweep_folder(struct gc *gc, const char *name, struct err *err)
{
	struct store *store = gc->store;
	char aside[SNAPSHOT_TMP_NAME_SIZE];
	int r;

	{
		STORE_GUARD(store);
		r = store_tmp_reserve_locked(store, aside, sizeof(aside), err);
	}
	if (r < 0)
		return -1;
	if (renameat(store->fd, name, store->fd, aside) < 0)
		return errno == ENOENT
			       ? 0
			       : err_sys(err, "cannot move '%s/%s' aside", store->path, name);
	if (remove_tree(store->fd, aside) == 0)
		return 0;
	if (errno != EACCES && errno != EPERM)
		return err_sys(err, "cannot remove '%s/%s'", store->path, aside);
	strv_add(&gc->result->folders_for_worker, aside);
	return 0;
}

/* Returns 1 when the row of the snapshot, or of its folder form, is there; 0; or -1 and *err. */
static int has_row(struct store *store, int64_t id, const char *fingerprint, struct err *err)
{
	STORE_GUARD(store);
	auto_stmt stmt = NULL;

	if (fingerprint)
		stmt = db_query(store, err,
			"SELECT 1 FROM folder WHERE snapshot = ?1 AND fingerprint = ?2", "is", id,
			fingerprint);
	else
		stmt = db_query(store, err, "SELECT 1 FROM snapshot WHERE id = ?1", "i", id);
	return stmt ? db_step(store, stmt, err) : -1;
}

/* Remove folder forms that their snapshot's rows do not mention. */
static int sweep_forms(struct gc *gc, int64_t id, const char *name, struct err *err)
{
	auto_closedir DIR *dir = open_walk(gc->store, name, err);
	const struct dirent *entry;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		auto_free char *form = NULL;
		int r;

		if (strncmp(entry->d_name, "folder.", 7) != 0)
			continue;
		r = has_row(gc->store, id, entry->d_name + 7, err);
		if (r < 0)
			return -1;
		form = xasprintf("%s/%s", name, entry->d_name);
		if (r == 0 && sweep_folder(gc, form, err) < 0)
			return -1;
	}
	return 0;
}

/* Folders in snapshots/ without a row: dead since delete_rows(), or left by a killed process. */
static int sweep_snapshots(struct gc *gc, struct err *err)
{
	auto_closedir DIR *dir = open_walk(gc->store, "snapshots", err);
	const struct dirent *entry;
	uint64_t id;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		auto_free char *name = NULL;
		int r;

		if (parse_u64(entry->d_name, 1, INT64_MAX, &id) < 0)
			continue;
		name = xasprintf("snapshots/%s", entry->d_name);
		r = has_row(gc->store, (int64_t)id, NULL, err);
		if (r > 0)
			r = sweep_forms(gc, (int64_t)id, name, err);
		else if (r == 0)
			r = sweep_folder(gc, name, err);
		if (r < 0)
			return -1;
	}
	return 0;
}

/* Partial downloads: nobody else is using the store, so nobody is at one. */
static int sweep_partials(struct gc *gc, struct err *err)
{
	auto_closedir DIR *dir = open_walk(gc->store, "tmp", err);
	const struct dirent *entry;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		auto_free char *name = xasprintf("tmp/%s", entry->d_name);

		if (blob_is_partial_name(name) && sweep_file(gc, dir, entry->d_name, err) < 0)
			return -1;
	}
	return 0;
}

/* Bytes of the files below dir/name, as far as this user may look; a name of a hard link counts each time. */
static uint64_t visible_bytes(int dir, const char *name, unsigned depth)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint64_t bytes = 0;
	struct stat st;

	if (!d)
		close_fd(fd);
	while (d && (entry = readdir(d))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_size;
		else if (S_ISDIR(st.st_mode) && depth < CACHE_DEPTH)
			bytes += visible_bytes(fd, entry->d_name, depth + 1);
	}
	return bytes;
}

/* Folders of cache mounts: nothing leads to them, and nobody is using one while the store is ours alone. */
static int sweep_caches(struct gc *gc, struct err *err)
{
	auto_closedir DIR *dir = NULL;
	const struct dirent *entry;
	struct stat st;

	if (fstatat(gc->store->fd, "caches", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	dir = open_walk(gc->store, "caches", err);
	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		auto_free char *name = xasprintf("caches/%s", entry->d_name);
		auto_free char *lock = xasprintf("%s/lock", name);

		if (entry->d_name[0] == '.' || (fstatat(gc->store->fd, lock, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
						       st.st_mtime >= used_limit(gc)))
			continue;
		if (used_limit(gc) == INT64_MIN)
			continue;
		gc->result->caches++;
		gc->result->bytes += visible_bytes(gc->store->fd, name, 0);
		if (!gc->options->dry_run && sweep_folder(gc, name, err) < 0)
			return -1;
	}
	return 0;
}

/* What dead processes left in tmp/. */
static int sweep_stale(struct gc *gc, struct err *err)
{
	auto_strv names = STRV_INIT;
	struct err why = ERR_INIT;

	if (store_stale(gc->store, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		if (store_remove_stale(gc->store, names.v[i], &why) == 0 || why.kind == ERR_DENIED)
			continue;
		if (why.sys != EACCES && why.sys != EPERM) {
			*err = why;
			return -1;
		}
		strv_add(&gc->result->folders_for_worker, names.v[i]);
	}
	return 0;
}

int gc_run(struct store *store, const struct gc_options *options, struct gc_result *result,
	struct err *err)
{
	auto_gc gc = {.store = store, .options = options, .result = result};

	assert(store->exclusive);
	if (image_each(store, mark_image, &gc, err) < 0 || mark_step_layers(&gc, err) < 0 ||
		find_dead(&gc, err) < 0)
		return -1;
	if (!options->dry_run && delete_rows(&gc, err) < 0)
		return -1;
	if (sweep_blobs(&gc, err) < 0 || sweep_partials(&gc, err) < 0 || sweep_caches(&gc, err) < 0)
		return -1;
	if (options->dry_run)
		return 0;
	return sweep_snapshots(&gc, err) < 0 ? -1 : sweep_stale(&gc, err);
}
