#include "store/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fsutil.h"
#include "store/blob.h"
#include "store/store_internal.h"

#define SNAPSHOT_NAME_SIZE 40 /* "snapshots/<id>" and NUL */
/* one level below either kind of folder */
#define NAME_SIZE (SNAPSHOT_TMP_NAME_SIZE + NAME_MAX + 2)

_Static_assert(sizeof("tmp/") + STORE_PROCESS_NAME + sizeof("/18446744073709551615") <=
		       SNAPSHOT_TMP_NAME_SIZE,
	"a temporary name fits");
_Static_assert(sizeof("snapshots/9223372036854775807/folder./fs") + FINGERPRINT_MAX <=
		       SNAPSHOT_FOLDER_SIZE,
	"a folder's name fits");

static bool fingerprint_valid(const char *fingerprint)
{
	size_t n = strspn(fingerprint, "abcdefghijklmnopqrstuvwxyz0123456789");

	return n > 0 && n <= FINGERPRINT_MAX && fingerprint[n] == '\0';
}

static int check_fingerprint(const char *fingerprint, struct err *err)
{
	if (fingerprint_valid(fingerprint))
		return 0;
	return err_set(err, ERR_INPUT, "'%s' cannot name an ID map: 1 to %d of a-z and 0-9",
		fingerprint, FINGERPRINT_MAX);
}

static int check_size(uint64_t size, struct err *err)
{
	if (size <= INT64_MAX)
		return 0;
	return err_set(err, ERR_INPUT, "impossible size %" PRIu64, size);
}

static int check_layer(const struct layer_form *form, struct err *err)
{
	const char *digest = form->digest;

	if (!digest_valid(digest))
		return err_set(err, ERR_INPUT, "malformed digest '%s' of a layer", digest);
	if (!digest_valid(form->diff_id))
		return err_set(err, ERR_INPUT, "malformed diffID '%s' of layer '%s'", form->diff_id,
			digest);
	if (!*form->media_type || !*form->compression)
		return err_set(
			err, ERR_INPUT, "layer '%s' has no media type or compression", digest);
	return check_size(form->size, err);
}

static void snapshot_name(int64_t id, char buf[SNAPSHOT_NAME_SIZE])
{
	snprintf(buf, SNAPSHOT_NAME_SIZE, "snapshots/%" PRId64, id);
}

static bool is_dir(const struct store *store, const char *name)
{
	struct stat st;

	return fstatat(store->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/*
 * What the boot column of something that is committed now holds, syncing first where the policy
 * wants that. Returns 0 and *ret (NULL: durable, or trusted as it is), or -1 and *err.
 */
static int boot_mark(struct store *store, const char **ret, struct err *err)
{
	*ret = store->sync == STORE_SYNC_NORMAL ? store->boot : NULL;
	if (store->sync == STORE_SYNC_FULL && syncfs(store->fd) < 0)
		return err_sys(err, "cannot sync the store '%s'", store->path);
	return 0;
}

/* ---- files ---- */

/*
 * Leave nothing but keep (NULL: nothing at all is kept) in the temporary folder name. What cannot
 * be removed, because a worker's ids own what is below, moves aside to a name of its own in tmp/.
 */
static int strip_folder(struct store *store, const char *name, const char *keep, struct err *err)
{
	int fd = openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char aside[SNAPSHOT_TMP_NAME_SIZE];
	const struct dirent *entry;

	if (!dir) {
		close_fd(fd);
		return err_sys(err, "cannot read '%s/%s'", store->path, name);
	}
	while ((entry = readdir(dir))) {
		const char *e = entry->d_name;

		if (strcmp(e, ".") == 0 || strcmp(e, "..") == 0 || (keep && strcmp(e, keep) == 0))
			continue;
		if (remove_tree(dirfd(dir), e) == 0)
			continue;
		if (store_tmp_reserve_locked(store, aside, sizeof(aside), err) < 0)
			return -1;
		if (renameat(dirfd(dir), e, store->fd, aside) < 0)
			return err_sys(err, "cannot move '%s/%s/%s' aside", store->path, name, e);
	}
	return 0;
}

/*
 * Rename from to to; whatever stands there is nobody's (its row does not exist) and moves to tmp/.
 */
static int rename_over_orphan(
	struct store *store, const char *from, const char *to, struct err *err)
{
	char aside[SNAPSHOT_TMP_NAME_SIZE];

	if (renameat(store->fd, from, store->fd, to) == 0)
		return 0;
	if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR || errno == EISDIR) {
		if (store_tmp_reserve_locked(store, aside, sizeof(aside), err) < 0)
			return -1;
		if (renameat(store->fd, to, store->fd, aside) < 0)
			return err_sys(err, "cannot move '%s/%s' aside", store->path, to);
		(void)remove_tree(store->fd, aside);
		if (renameat(store->fd, from, store->fd, to) == 0)
			return 0;
	}
	return err_sys(err, "cannot rename '%s/%s' to '%s'", store->path, from, to);
}

/* ---- rows ---- */

static const char snapshot_columns[] =
	"SELECT id, diff_id, has_index, size FROM snapshot WHERE id = ?1";

/* Returns 1 and *ret (may be NULL), 0 when there is no such row, or -1 and *err. */
static int lookup_locked(struct store *store, int64_t id, struct snapshot *ret, struct err *err)
{
	auto_stmt stmt = db_query(store, err, snapshot_columns, "i", id);
	int r = stmt ? db_step(store, stmt, err) : -1;

	if (r > 0 && ret) {
		ret->id = sqlite3_column_int64(stmt, 0);
		db_text(stmt, 1, ret->diff_id, sizeof(ret->diff_id));
		ret->has_index = sqlite3_column_int(stmt, 2) != 0;
		ret->size = (uint64_t)sqlite3_column_int64(stmt, 3);
	}
	return r;
}

static int require_locked(struct store *store, int64_t id, struct snapshot *ret, struct err *err)
{
	int r = lookup_locked(store, id, ret, err);

	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "no snapshot %" PRId64 " in the store", id);
	return r < 0 ? -1 : 0;
}

/* Returns 1 or 0, or -1 and *err. */
static int has_folder_row(struct store *store, int64_t id, const char *fingerprint, struct err *err)
{
	auto_stmt stmt = db_query(store, err,
		"SELECT 1 FROM folder WHERE snapshot = ?1 AND fingerprint = ?2", "is", id,
		fingerprint);

	return stmt ? db_step(store, stmt, err) : -1;
}

/* Inside a transaction. */
static int put_folder_row(
	struct store *store, int64_t id, const char *fingerprint, const char *boot, struct err *err)
{
	return db_run(store, err,
		"INSERT INTO folder(snapshot, fingerprint, boot) VALUES(?1, ?2, ?3)"
		" ON CONFLICT DO UPDATE SET boot = excluded.boot",
		"iss", id, fingerprint, boot);
}

/*
 * Inside a transaction. Gives the snapshot its diffID if it has none, but not that of a tar whose
 * times were clamped: the snapshot's files have others, so it must not stand for such a layer of
 * somebody's image.
 */
static int put_layer_row(
	struct store *store, int64_t id, const struct layer_form *form, struct err *err)
{
	/*
	 * A newer seq, also when the same form is put again: "the newest" then means the last put.
	 */
	if (db_run(store, err,
		    "INSERT OR REPLACE INTO layer"
		    "(snapshot, compression, level, epoch, digest, size, media_type, diff_id)"
		    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		    "isiisiss", id, form->compression, (int64_t)form->level, form->epoch,
		    form->digest, (int64_t)form->size, form->media_type, form->diff_id) < 0)
		return -1;
	if (form->epoch != LAYER_EPOCH_NONE)
		return 0;
	return db_run(store, err,
		"UPDATE snapshot SET diff_id = ?2 WHERE id = ?1 AND diff_id IS NULL", "is", id,
		form->diff_id);
}

/* Inside a transaction. */
static int reserve_id(struct store *store, int64_t *ret, struct err *err)
{
	auto_stmt stmt = NULL;
	int r;

	stmt = db_query(store, err,
		"UPDATE counter SET next = next + 1 WHERE name = 'snapshot' RETURNING next - 1",
		"");
	r = stmt ? db_step(store, stmt, err) : -1;
	if (r == 0)
		return err_set(err, ERR_CORRUPT,
			"'%s/meta.db' has lost its counter; remove it with 'rm %s/meta.db*'",
			store->path, store->path);
	if (r > 0) {
		*ret = sqlite3_column_int64(stmt, 0);
		r = db_step(store, stmt, err);
	}
	return r < 0 ? -1 : 0;
}

/* Inside a transaction. */
static int insert_snapshot(struct store *store, const struct snapshot_tmp *tmp, unsigned int parts,
	const char *boot, struct err *err)
{
	const char *diff_id = *tmp->diff_id ? tmp->diff_id : NULL;

	/* Without a folder the layer is the content, clamped times and all. */
	if (!diff_id && tmp->layer && !(parts & SNAPSHOT_FOLDER))
		diff_id = tmp->layer->diff_id;
	return db_run(store, err,
		"INSERT INTO snapshot(id, diff_id, has_index, size, created, boot)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
		"isiiis", tmp->id, diff_id, (int64_t) !!(parts & SNAPSHOT_INDEX),
		(int64_t)tmp->size, clock_wall(), boot);
}

/* ---- making one ---- */

int snapshot_new(
	struct store *store, struct snapshot_tmp *ret, const char *fingerprint, struct err *err)
{
	struct snapshot_tmp tmp = {.id = 0};
	char sub[NAME_SIZE];
	STORE_GUARD(store);

	if (check_fingerprint(fingerprint, err) < 0)
		return -1;
	{
		auto_tx tx = DB_TX_INIT;

		if (db_begin(store, &tx, err) < 0 || reserve_id(store, &tmp.id, err) < 0 ||
			db_commit(&tx, err) < 0)
			return -1;
	}
	if (store_tmp_new_locked(store, tmp.name, sizeof(tmp.name), err) < 0)
		return -1;
	snprintf(sub, sizeof(sub), "%s/fs", tmp.name);
	if (store_mkdir(store->fd, sub, 0755) < 0)
		return err_sys(err, "cannot make '%s/%s'", store->path, sub);
	snprintf(sub, sizeof(sub), "%s/work", tmp.name);
	if (store_mkdir(store->fd, sub, 0700) < 0)
		return err_sys(err, "cannot make '%s/%s'", store->path, sub);
	snprintf(tmp.fingerprint, sizeof(tmp.fingerprint), "%s", fingerprint);
	*ret = tmp;
	return 0;
}

static int check_commit(const struct store *store, const struct snapshot_tmp *tmp,
	unsigned int parts, struct err *err)
{
	char sub[NAME_SIZE];
	struct stat st;

	if (!store_tmp_name_ok(store, tmp->name, 1) || check_fingerprint(tmp->fingerprint, err) < 0)
		return err_set(err, ERR_INPUT, "'%s' is not a snapshot in the making", tmp->name);
	if (!(parts & (SNAPSHOT_FOLDER | SNAPSHOT_INDEX)) && !tmp->layer)
		return err_set(err, ERR_INPUT, "snapshot %" PRId64 " has no part", tmp->id);
	if (check_size(tmp->size, err) < 0 || (tmp->layer && check_layer(tmp->layer, err) < 0))
		return -1;
	if (*tmp->diff_id && !digest_valid(tmp->diff_id))
		return err_set(err, ERR_INPUT, "malformed diffID '%s'", tmp->diff_id);
	snprintf(sub, sizeof(sub), "%s/fs", tmp->name);
	if ((parts & SNAPSHOT_FOLDER) && !is_dir(store, sub))
		return err_set(err, ERR_NOT_FOUND, "no folder '%s/%s'", store->path, sub);
	snprintf(sub, sizeof(sub), "%s/index", tmp->name);
	if ((parts & SNAPSHOT_INDEX) &&
		(fstatat(store->fd, sub, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)))
		return err_set(err, ERR_NOT_FOUND, "no file '%s/%s'", store->path, sub);
	return 0;
}

/* Gather the parts in the new temporary folder out, laid out as snapshots/<id> will be. */
static int gather(struct store *store, const struct snapshot_tmp *tmp, unsigned int parts,
	const char *out, struct err *err)
{
	char from[NAME_SIZE], to[NAME_SIZE];

	if (parts & SNAPSHOT_INDEX) {
		snprintf(from, sizeof(from), "%s/index", tmp->name);
		snprintf(to, sizeof(to), "%s/index", out);
		if (renameat(store->fd, from, store->fd, to) < 0)
			return err_sys(err, "cannot rename '%s/%s'", store->path, from);
	}
	if (!(parts & SNAPSHOT_FOLDER))
		return 0;
	if (strip_folder(store, tmp->name, "fs", err) < 0)
		return -1;
	snprintf(to, sizeof(to), "%s/folder.%s", out, tmp->fingerprint);
	if (renameat(store->fd, tmp->name, store->fd, to) < 0)
		return err_sys(err, "cannot rename '%s/%s'", store->path, tmp->name);
	return 0;
}

/*
 * The rename and the rows, in this order within one transaction: killed after the rename, the
 * folder has no row and does not count.
 */
static int publish(struct store *store, const struct snapshot_tmp *tmp, unsigned int parts,
	const char *out, struct err *err)
{
	auto_tx tx = DB_TX_INIT;
	char name[SNAPSHOT_NAME_SIZE];
	const char *boot;

	if (boot_mark(store, &boot, err) < 0 || db_begin(store, &tx, err) < 0)
		return -1;
	snapshot_name(tmp->id, name);
	if (lookup_locked(store, tmp->id, NULL, err) != 0)
		return err_set(
			err, ERR_INPUT, "snapshot %" PRId64 " is committed already", tmp->id);
	if ((parts & (SNAPSHOT_FOLDER | SNAPSHOT_INDEX)) &&
		rename_over_orphan(store, out, name, err) < 0)
		return -1;
	if (insert_snapshot(store, tmp, parts, boot, err) < 0 ||
		((parts & SNAPSHOT_FOLDER) &&
			put_folder_row(store, tmp->id, tmp->fingerprint, boot, err) < 0) ||
		(tmp->layer && put_layer_row(store, tmp->id, tmp->layer, err) < 0))
		return -1;
	return db_commit(&tx, err);
}

/* All of snapshot_commit() but the cleaning up. */
static int commit_locked(struct store *store, const struct snapshot_tmp *tmp, unsigned int parts,
	char *out, struct err *err)
{
	STORE_GUARD(store);

	if (check_commit(store, tmp, parts, err) < 0 ||
		store_tmp_new_locked(store, out, SNAPSHOT_TMP_NAME_SIZE, err) < 0 ||
		gather(store, tmp, parts, out, err) < 0)
		return -1;
	return publish(store, tmp, parts, out, err);
}

int snapshot_commit(struct store *store, const struct snapshot_tmp *tmp, unsigned int parts,
	int64_t *ret_id, struct err *err)
{
	char out[SNAPSHOT_TMP_NAME_SIZE] = "";
	int r = commit_locked(store, tmp, parts, out, err);

	/* After success it is there only when the layer was the only part. */
	if (*out)
		(void)remove_tree(store->fd, out);
	if (r < 0)
		return -1;
	(void)remove_tree(store->fd, tmp->name);
	if (ret_id)
		*ret_id = tmp->id;
	return 0;
}

void snapshot_abort(struct store *store, const struct snapshot_tmp *tmp)
{
	if (tmp && store_tmp_name_ok(store, tmp->name, 1))
		(void)remove_tree(store->fd, tmp->name);
}

/* ---- finding one ---- */

int snapshot_get(struct store *store, int64_t id, struct snapshot *ret, struct err *err)
{
	STORE_GUARD(store);

	return require_locked(store, id, ret, err);
}

/* Returns 1 and *ret_id, 0, or -1 and *err. */
static int by_diff_id_locked(
	struct store *store, const char *diff_id, int64_t *ret_id, struct err *err)
{
	auto_stmt stmt = NULL;
	int r;

	stmt = db_query(store, err,
		"SELECT id FROM snapshot WHERE diff_id = ?1 AND diff_id IS NOT NULL ORDER BY id "
		"LIMIT 1",
		"s", diff_id);
	r = stmt ? db_step(store, stmt, err) : -1;
	if (r > 0)
		*ret_id = sqlite3_column_int64(stmt, 0);
	return r;
}

int snapshot_by_diff_id(struct store *store, const char *diff_id, int64_t *ret_id, struct err *err)
{
	STORE_GUARD(store);

	if (!digest_valid(diff_id))
		return err_set(err, ERR_INPUT, "malformed diffID '%s'", diff_id);
	return by_diff_id_locked(store, diff_id, ret_id, err);
}

/* The name of a compression by the end of a media type (spec/oci.md 1.4). */
static const char *compression_of(const char *media_type)
{
	static const char *const names[] = {"gzip", "zstd"};
	size_t n = strlen(media_type);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t m = strlen(names[i]);

		/* "+gzip" of OCI, ".gzip" of Docker */
		if (n > m + 1 && strcmp(media_type + n - m, names[i]) == 0 &&
			strchr("+.", media_type[n - m - 1]))
			return names[i];
	}
	return "none";
}

/*
 * Whether snapshot id has form as a source form already, so that nothing needs to be written.
 * Returns 1 or 0, or -1 and *err.
 */
static int has_source_form(
	struct store *store, int64_t id, const struct layer_form *form, struct err *err)
{
	auto_stmt stmt = NULL;

	stmt = db_query(store, err,
		"SELECT 1 FROM layer WHERE snapshot = ?1 AND digest = ?2 AND level = ?3 AND size = "
		"?4"
		" AND media_type = ?5",
		"isiis", id, form->digest, (int64_t)LAYER_LEVEL_SOURCE, (int64_t)form->size,
		form->media_type);
	return stmt ? db_step(store, stmt, err) : -1;
}

/* The transaction of snapshot_of_layer(). */
static int create_of_layer(
	struct store *store, const struct layer_form *form, int64_t *ret_id, struct err *err)
{
	auto_tx tx = DB_TX_INIT;
	struct snapshot_tmp row = {.layer = form};
	int r;

	if (db_begin(store, &tx, err) < 0)
		return -1;
	/* Again: another process may have been faster. */
	r = by_diff_id_locked(store, form->diff_id, &row.id, err);
	if (r < 0)
		return -1;
	if (r == 0 && (reserve_id(store, &row.id, err) < 0 ||
			      insert_snapshot(store, &row, 0, NULL, err) < 0))
		return -1;
	if (put_layer_row(store, row.id, form, err) < 0 || db_commit(&tx, err) < 0)
		return -1;
	*ret_id = row.id;
	return 0;
}

int snapshot_of_layer(struct store *store, const char *diff_id, const char *blob_digest,
	const char *media_type, uint64_t size, int64_t *ret_id, struct err *err)
{
	struct layer_form form = {
		.size = size, .level = LAYER_LEVEL_SOURCE, .epoch = LAYER_EPOCH_NONE};
	int64_t id = 0;
	int r;
	STORE_GUARD(store);

	if (!digest_valid(blob_digest) || !digest_valid(diff_id))
		return err_set(err, ERR_INPUT, "malformed digest '%s' or diffID '%s' of a layer",
			blob_digest, diff_id);
	if (strlen(media_type) >= sizeof(form.media_type))
		return err_set(err, ERR_INPUT, "media type of layer '%s' is too long", blob_digest);
	memcpy(form.digest, blob_digest, sizeof(form.digest));
	memcpy(form.diff_id, diff_id, sizeof(form.diff_id));
	memcpy(form.media_type, media_type, strlen(media_type) + 1);
	snprintf(form.compression, sizeof(form.compression), "%s", compression_of(media_type));
	if (check_layer(&form, err) < 0)
		return -1;
	r = by_diff_id_locked(store, diff_id, &id, err);
	if (r > 0)
		r = has_source_form(store, id, &form, err);
	if (r < 0)
		return -1;
	if (r == 0)
		return create_of_layer(store, &form, ret_id, err);
	*ret_id = id;
	return 0;
}

/* ---- layer forms ---- */

int snapshot_add_layer(
	struct store *store, int64_t id, const struct layer_form *form, struct err *err)
{
	STORE_GUARD(store);
	auto_tx tx = DB_TX_INIT;

	if (check_layer(form, err) < 0 || db_begin(store, &tx, err) < 0 ||
		require_locked(store, id, NULL, err) < 0 || put_layer_row(store, id, form, err) < 0)
		return -1;
	return db_commit(&tx, err);
}

/* The first row of a query for layer columns whose blob is there. */
static bool first_with_blob(struct store *store, sqlite3_stmt *stmt, struct layer_form *ret)
{
	struct err err = ERR_INIT;
	struct layer_form form;
	uint64_t have;

	while (stmt && db_step(store, stmt, &err) > 0) {
		db_text(stmt, 0, form.digest, sizeof(form.digest));
		form.size = (uint64_t)sqlite3_column_int64(stmt, 1);
		db_text(stmt, 2, form.media_type, sizeof(form.media_type));
		db_text(stmt, 3, form.compression, sizeof(form.compression));
		form.level = sqlite3_column_int(stmt, 4);
		form.epoch = sqlite3_column_int64(stmt, 5);
		db_text(stmt, 6, form.diff_id, sizeof(form.diff_id));
		if (!blob_has(store, form.digest, &have) || have != form.size)
			continue;
		*ret = form;
		return true;
	}
	return false;
}

#define LAYER_COLUMNS                                                                              \
	"SELECT digest, size, media_type, compression, level, epoch, diff_id FROM layer "

bool snapshot_find_layer(struct store *store, int64_t id, const char *compression, int level,
	int64_t epoch, struct layer_form *ret)
{
	STORE_GUARD(store);
	struct err err = ERR_INIT;
	auto_stmt stmt = NULL;

	stmt = db_query(store, &err,
		LAYER_COLUMNS
		"WHERE snapshot = ?1 AND compression = ?2 AND level = ?3 AND epoch = ?4"
		" ORDER BY seq DESC",
		"isii", id, compression, (int64_t)level, epoch);
	return first_with_blob(store, stmt, ret);
}

bool snapshot_any_layer(struct store *store, int64_t id, struct layer_form *ret)
{
	STORE_GUARD(store);
	struct err err = ERR_INIT;
	auto_stmt stmt = NULL;

	stmt = db_query(store, &err,
		LAYER_COLUMNS "WHERE snapshot = ?1 ORDER BY level = ?2 DESC, epoch = ?3 DESC, seq DESC", "iii", id,
		(int64_t)LAYER_LEVEL_SOURCE, LAYER_EPOCH_NONE);
	return first_with_blob(store, stmt, ret);
}

/* ---- folder forms and the index ---- */

void snapshot_folder_name(int64_t id, const char *fingerprint, char buf[SNAPSHOT_FOLDER_SIZE])
{
	/* "." is no fingerprint and "folder.." is never made. */
	snprintf(buf, SNAPSHOT_FOLDER_SIZE, "snapshots/%" PRId64 "/folder.%s/fs", id,
		fingerprint_valid(fingerprint) ? fingerprint : ".");
}

bool snapshot_has_folder(struct store *store, int64_t id, const char *fingerprint)
{
	STORE_GUARD(store);
	struct err err = ERR_INIT;
	char name[SNAPSHOT_FOLDER_SIZE];

	if (!fingerprint_valid(fingerprint) || has_folder_row(store, id, fingerprint, &err) <= 0)
		return false;
	snapshot_folder_name(id, fingerprint, name);
	return is_dir(store, name);
}

/*
 * The transaction of snapshot_add_folder(). Returns 1 when tmp_name is in place now, 0 when another
 * builder's folder is, or -1 and *err.
 */
static int place_folder(struct store *store, int64_t id, const char *fingerprint,
	const char *tmp_name, struct err *err)
{
	auto_tx tx = DB_TX_INIT;
	char name[SNAPSHOT_NAME_SIZE], to[SNAPSHOT_FOLDER_SIZE];
	const char *boot;
	int r;

	if (boot_mark(store, &boot, err) < 0 || db_begin(store, &tx, err) < 0 ||
		require_locked(store, id, NULL, err) < 0)
		return -1;
	r = has_folder_row(store, id, fingerprint, err);
	if (r < 0)
		return -1;
	snapshot_folder_name(id, fingerprint, to);
	if (r > 0 && is_dir(store, to))
		return 0;
	*strrchr(to, '/') = '\0';
	snapshot_name(id, name);
	if (store_mkdir(store->fd, name, 0700) < 0)
		return err_sys(err, "cannot make '%s/%s'", store->path, name);
	if (rename_over_orphan(store, tmp_name, to, err) < 0 ||
		put_folder_row(store, id, fingerprint, boot, err) < 0 || db_commit(&tx, err) < 0)
		return -1;
	return 1;
}

/* All of snapshot_add_folder() but the removal of a loser's folder; returns as place_folder(). */
static int add_folder_locked(struct store *store, int64_t id, const char *fingerprint,
	const char *tmp_name, struct err *err)
{
	char fs[NAME_SIZE];
	STORE_GUARD(store);

	if (check_fingerprint(fingerprint, err) < 0)
		return -1;
	if (!store_tmp_name_ok(store, tmp_name, 1))
		return err_set(
			err, ERR_INPUT, "'%s' is not a temporary folder of this process", tmp_name);
	snprintf(fs, sizeof(fs), "%s/fs", tmp_name);
	if (!is_dir(store, fs))
		return err_set(err, ERR_NOT_FOUND, "no folder '%s/%s'", store->path, fs);
	if (strip_folder(store, tmp_name, "fs", err) < 0)
		return -1;
	return place_folder(store, id, fingerprint, tmp_name, err);
}

int snapshot_add_folder(struct store *store, int64_t id, const char *fingerprint,
	const char *tmp_name, struct err *err)
{
	int r = add_folder_locked(store, id, fingerprint, tmp_name, err);

	if (r == 0)
		(void)remove_tree(store->fd, tmp_name);
	return r < 0 ? -1 : 0;
}

int snapshot_add_index(struct store *store, int64_t id, const char *tmp_name, struct err *err)
{
	STORE_GUARD(store);
	auto_tx tx = DB_TX_INIT;
	char name[SNAPSHOT_NAME_SIZE], to[NAME_SIZE];
	const char *boot;
	struct stat st;

	if (!store_tmp_name_ok(store, tmp_name, 2))
		return err_set(
			err, ERR_INPUT, "'%s' is not a temporary file of this process", tmp_name);
	if (fstatat(store->fd, tmp_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_NOT_FOUND, "no file '%s/%s'", store->path, tmp_name);
	if (boot_mark(store, &boot, err) < 0 || db_begin(store, &tx, err) < 0 ||
		require_locked(store, id, NULL, err) < 0)
		return -1;
	snapshot_name(id, name);
	if (store_mkdir(store->fd, name, 0700) < 0)
		return err_sys(err, "cannot make '%s/%s'", store->path, name);
	snprintf(to, sizeof(to), "%s/index", name);
	if (rename_over_orphan(store, tmp_name, to, err) < 0)
		return -1;
	if (db_run(store, err, "UPDATE snapshot SET has_index = 1, boot = ?2 WHERE id = ?1", "is",
		    id, boot) < 0)
		return -1;
	return db_commit(&tx, err);
}

int snapshot_open_index(struct store *store, int64_t id, struct err *err)
{
	char name[NAME_SIZE];
	struct snapshot row;
	struct stat st;
	auto_fd int fd = -1;

	if (snapshot_get(store, id, &row, err) < 0)
		return -1;
	if (!row.has_index)
		return err_set(err, ERR_NOT_FOUND, "snapshot %" PRId64 " has no tree index", id);
	snprintf(name, sizeof(name), "snapshots/%" PRId64 "/index", id);
	fd = openat(store->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return err_set(
			err, ERR_NOT_FOUND, "the tree index '%s/%s' is gone", store->path, name);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "cannot open '%s/%s'", store->path, name);
	if (!S_ISREG(st.st_mode))
		return err_set(
			err, ERR_CORRUPT, "'%s/%s' is not a regular file", store->path, name);
	return take_fd(fd);
}
