#include "store/stepcache.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "store/blob.h"
#include "store/snapshot.h"
#include "store/store_internal.h"

/* seconds: how coarse the last use is, to spare cached builds a write */
#define USED_STEP (24 * 60 * 60)

_Static_assert(STEPCACHE_KEY_SIZE == DIGEST_SIZE, "db_query() binds keys as digests");

/* Whether anything is left of a snapshot: a folder form or a layer's blob. Returns 1 or 0, or -1
 * and *err. */
static int is_usable(struct store *store, int64_t id, struct err *err)
{
	auto_stmt folders = NULL;
	auto_stmt layers = NULL;
	char name[SNAPSHOT_FOLDER_SIZE], fingerprint[FINGERPRINT_MAX + 1], digest[DIGEST_STR_SIZE];
	struct stat st;
	uint64_t have;
	int r;

	folders =
		db_query(store, err, "SELECT fingerprint FROM folder WHERE snapshot = ?1", "i", id);
	if (!folders)
		return -1;
	while ((r = db_step(store, folders, err)) > 0) {
		db_text(folders, 0, fingerprint, sizeof(fingerprint));
		snapshot_folder_name(id, fingerprint, name);
		if (fstatat(store->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return 1;
	}
	if (r < 0)
		return -1;
	layers =
		db_query(store, err, "SELECT digest, size FROM layer WHERE snapshot = ?1", "i", id);
	if (!layers)
		return -1;
	while ((r = db_step(store, layers, err)) > 0) {
		db_text(layers, 0, digest, sizeof(digest));
		if (blob_has(store, digest, &have) &&
			have == (uint64_t)sqlite3_column_int64(layers, 1))
			return 1;
	}
	return r;
}

/* Run one write about the entry in a transaction of its own. Returns 0, or -1 and *err. */
static int touch(
	struct store *store, const char *sql, const uint8_t *key, int64_t now, struct err *err)
{
	auto_tx tx = DB_TX_INIT;

	if (db_begin(store, &tx, err) < 0 || db_run(store, err, sql, "ki", key, now) < 0)
		return -1;
	return db_commit(&tx, err);
}

/* Returns 1 with *ret_snapshot and *ret_used, 0, or -1 and *err. */
static int lookup(struct store *store, const uint8_t *key, int64_t *ret_snapshot, int64_t *ret_used,
	struct err *err)
{
	auto_stmt stmt = db_query(
		store, err, "SELECT snapshot, used FROM stepcache WHERE key = ?1", "k", key);
	int r = stmt ? db_step(store, stmt, err) : -1;

	if (r > 0) {
		*ret_snapshot = sqlite3_column_int64(stmt, 0);
		*ret_used = sqlite3_column_int64(stmt, 1);
	}
	return r;
}

int stepcache_get(struct store *store, const uint8_t key[STEPCACHE_KEY_SIZE], int64_t *ret_snapshot,
	struct err *err)
{
	int64_t snapshot, used, now = clock_wall();
	struct err ignored = ERR_INIT;
	int r;
	STORE_GUARD(store);

	r = lookup(store, key, &snapshot, &used, err);
	if (r <= 0)
		return r;
	r = is_usable(store, snapshot, err);
	if (r < 0)
		return -1;
	/* Either write is a note for later runs: this one has its answer without it. */
	if (r == 0) {
		(void)touch(store, "DELETE FROM stepcache WHERE key = ?1 AND used <= ?2", key,
			used > now ? used : now, &ignored);
		return 0;
	}
	if (used + USED_STEP <= now)
		(void)touch(
			store, "UPDATE stepcache SET used = ?2 WHERE key = ?1", key, now, &ignored);
	*ret_snapshot = snapshot;
	return 1;
}

/* Inside a transaction. Returns 1 or 0, or -1 and *err. */
static int snapshot_exists(struct store *store, int64_t id, struct err *err)
{
	auto_stmt stmt = db_query(store, err, "SELECT 1 FROM snapshot WHERE id = ?1", "i", id);

	return stmt ? db_step(store, stmt, err) : -1;
}

int stepcache_put(struct store *store, const uint8_t key[STEPCACHE_KEY_SIZE],
	const uint8_t group[STEPCACHE_KEY_SIZE], int64_t snapshot_id, const char *description,
	struct err *err)
{
	char cut[STEPCACHE_DESCRIPTION_MAX + 1];
	STORE_GUARD(store);
	auto_tx tx = DB_TX_INIT;
	int r;

	snprintf(cut, sizeof(cut), "%s", description ? description : "");
	if (db_begin(store, &tx, err) < 0)
		return -1;
	r = snapshot_exists(store, snapshot_id, err);
	if (r == 0)
		return err_set(
			err, ERR_NOT_FOUND, "no snapshot %" PRId64 " in the store", snapshot_id);
	if (r < 0 ||
		db_run(store, err,
			"INSERT OR REPLACE INTO stepcache(key, snapshot, grp, description, used)"
			" VALUES(?1, ?2, ?3, ?4, ?5)",
			"kiksi", key, snapshot_id, group, description ? cut : NULL,
			clock_wall()) < 0)
		return -1;
	return db_commit(&tx, err);
}

bool stepcache_has_group(struct store *store, const uint8_t group[STEPCACHE_KEY_SIZE])
{
	STORE_GUARD(store);
	struct err err = ERR_INIT;
	auto_stmt stmt = db_query(store, &err,
		"SELECT 1 FROM stepcache WHERE grp = ?1 AND grp IS NOT NULL LIMIT 1", "k", group);

	return stmt && db_step(store, stmt, &err) > 0;
}

/* Returns 1 and *ret_value, 0, or -1 and *err. */
static int memo_lookup(struct store *store, const char *key, char **ret_value, struct err *err)
{
	auto_stmt stmt = db_query(store, err, "SELECT value FROM memo WHERE key = ?1", "s", key);
	int r = stmt ? db_step(store, stmt, err) : -1;

	if (r > 0) {
		const unsigned char *value = sqlite3_column_text(stmt, 0);

		*ret_value = xstrdup(value ? (const char *)value : "");
	}
	return r;
}

int memo_get(struct store *store, const char *key, char **ret_value, struct err *err)
{
	STORE_GUARD(store);

	return memo_lookup(store, key, ret_value, err);
}

int memo_put(struct store *store, const char *key, const char *value, struct err *err)
{
	STORE_GUARD(store);
	auto_tx tx = DB_TX_INIT;
	auto_free char *old = NULL;
	int r;

	if (strlen(key) > MEMO_KEY_MAX || (value && strlen(value) > MEMO_VALUE_MAX))
		return err_set(err, ERR_INPUT, "memo '%.64s' is too long to be kept", key);
	r = memo_lookup(store, key, &old, err);
	if (r < 0)
		return -1;
	if (value ? (old && strcmp(old, value) == 0) : !old)
		return 0;
	if (db_begin(store, &tx, err) < 0)
		return -1;
	if (value)
		r = db_run(store, err, "INSERT OR REPLACE INTO memo(key, value) VALUES(?1, ?2)",
			"ss", key, value);
	else
		r = db_run(store, err, "DELETE FROM memo WHERE key = ?1", "s", key);
	return r < 0 ? -1 : db_commit(&tx, err);
}
