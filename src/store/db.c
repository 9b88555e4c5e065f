#include "store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"

#define SCHEMA_VERSION 1
/* longest that another process holds the write lock: a prune's transaction */
#define BUSY_TIMEOUT_MS 30000
/* 4 MiB: the log is folded into the database by the commit that passes it */
#define WAL_CHECKPOINT_PAGES 1000
/*
 * The log is read whole by the first process that opens the store: up to this many pages (256 KiB,
 * some 0.2 ms) are left for that, so that a build which wrote little ends without an fsync.
 */
#define WAL_LEAVE_PAGES 64
#define WAL_PAGE 4096 /* bytes of a page; each has 24 more in the log */

static const char schema[] =
	"CREATE TABLE counter(name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE image(name TEXT PRIMARY KEY, media_type TEXT NOT NULL, digest TEXT NOT NULL,"
	" size INTEGER NOT NULL, updated INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX image_digest ON image(digest);"
	/*
	 * boot, here and below: the run of the kernel that made it and has not synced it yet,
	 * followed by the name of the store_sync() call that is at it; NULL once it is on the disk.
	 */
	"CREATE TABLE snapshot(id INTEGER PRIMARY KEY, diff_id TEXT, has_index INTEGER NOT NULL,"
	" size INTEGER NOT NULL, created INTEGER NOT NULL, boot TEXT);"
	"CREATE INDEX snapshot_diff_id ON snapshot(diff_id) WHERE diff_id IS NOT NULL;"
	"CREATE INDEX snapshot_boot ON snapshot(boot) WHERE boot IS NOT NULL;"
	"CREATE TABLE folder(snapshot INTEGER NOT NULL REFERENCES snapshot ON DELETE CASCADE,"
	" fingerprint TEXT NOT NULL, boot TEXT, PRIMARY KEY(snapshot, fingerprint)) WITHOUT ROWID;"
	"CREATE INDEX folder_boot ON folder(boot) WHERE boot IS NOT NULL;"
	"CREATE TABLE layer(seq INTEGER PRIMARY KEY,"
	" snapshot INTEGER NOT NULL REFERENCES snapshot ON DELETE CASCADE,"
	" compression TEXT NOT NULL, level INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	" digest TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL, diff_id TEXT NOT "
	"NULL,"
	" UNIQUE(snapshot, compression, level, epoch, digest));"
	"CREATE TABLE stepcache(key BLOB PRIMARY KEY,"
	" snapshot INTEGER NOT NULL REFERENCES snapshot ON DELETE CASCADE,"
	" grp BLOB, description TEXT, used INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX stepcache_snapshot ON stepcache(snapshot);"
	"CREATE INDEX stepcache_group ON stepcache(grp) WHERE grp IS NOT NULL;"
	"CREATE TABLE memo(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE filehash(dev INTEGER NOT NULL, ino INTEGER NOT NULL, size INTEGER NOT NULL,"
	" mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, digest BLOB NOT NULL, stored INTEGER NOT "
	"NULL,"
	" PRIMARY KEY(dev, ino)) WITHOUT ROWID;";

/*
 * What was committed under another run of the kernel and never synced may be torn: files of length
 * 0 behind a row that made it to the disk. A snapshot that is left with nothing goes, and its step
 * runs again.
 */
static const char forget_torn[] =
	"DELETE FROM folder WHERE boot IS NOT NULL AND substr(boot, 1, length(?1)) <> ?1;"
	"UPDATE snapshot SET has_index = 0, boot = NULL"
	" WHERE boot IS NOT NULL AND substr(boot, 1, length(?1)) <> ?1;"
	"DELETE FROM snapshot WHERE has_index = 0"
	" AND NOT EXISTS (SELECT 1 FROM folder WHERE folder.snapshot = snapshot.id)"
	" AND NOT EXISTS (SELECT 1 FROM layer WHERE layer.snapshot = snapshot.id);";

int db_fail(struct store *store, int rc, const char *what, struct err *err)
{
	int primary = rc & 0xff;
	int sys = store->db ? sqlite3_system_errno(store->db) : 0;
	const char *text = store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc);

	if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_ERROR ||
		primary == SQLITE_MISMATCH)
		return err_set(err, ERR_CORRUPT,
			"%s: '%s/meta.db' is damaged (%s); remove it with 'rm %s/meta.db*': image "
			"names and the step cache are then made anew, blobs are kept",
			what, store->path, text, store->path);
	if (primary == SQLITE_FULL || (primary == SQLITE_IOERR && (sys == ENOSPC || sys == EDQUOT)))
		return err_set(
			err, ERR_DISK, "%s: no space left for '%s/meta.db'", what, store->path);
	if (primary == SQLITE_BUSY)
		return err_set(err, ERR_SYSTEM,
			"%s: another whittle has held '%s/meta.db' for %d seconds", what,
			store->path, BUSY_TIMEOUT_MS / 1000);
	(void)err_set(err, ERR_SYSTEM, "%s: '%s/meta.db': %s", what, store->path, text);
	err->sys = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN ? sys : 0;
	return -1;
}

/* Remembers the length of the log, and folds it in when it is long (as sqlite's own hook would). */
static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *store = arg;

	store->wal_pages = pages;
	if (pages >= WAL_CHECKPOINT_PAGES)
		/*
		 * A failure leaves the log as it is, which is whole; the next commit tries again.
		 */
		(void)sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

static int exec_sql(struct store *store, const char *sql, const char *what, struct err *err)
{
	int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_fail(store, rc, what, err);
}

/* The first value of a query as an integer. Not prepared for keeps: called while opening only. */
static int query_int(
	struct store *store, const char *sql, const char *text, int64_t *ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK && text)
		rc = sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(stmt, 0);
	else
		(void)db_fail(store, rc, "cannot open the store", err);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : -1;
}

/* One more than the largest number among the folders in snapshots/, so that a new database reuses
 * none. */
static int64_t first_free_id(struct store *store)
{
	int fd = openat(store->fd, "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint64_t id, last = 0;

	if (!dir) {
		close_fd(fd);
		return 1;
	}
	while ((entry = readdir(dir)))
		if (parse_u64(entry->d_name, 1, INT32_MAX, &id) == 0 && id > last)
			last = id;
	return (int64_t)last + 1;
}

/* Make the tables, unless another process did meanwhile. The caller holds the flock on the store
 * folder. */
static int create_schema(struct store *store, struct err *err)
{
	const char *what = "cannot create the store's database";
	int64_t version;
	char sql[160];

	if (query_int(store, "PRAGMA user_version", NULL, &version, err) < 0)
		return -1;
	if (version != 0)
		return 0;
	if (exec_sql(store, "PRAGMA journal_mode = WAL", what, err) < 0 ||
		exec_sql(store, "BEGIN IMMEDIATE", what, err) < 0)
		return -1;
	sqlite3_snprintf(sizeof(sql), sql,
		"INSERT INTO counter VALUES('snapshot', %lld); PRAGMA user_version = %d; COMMIT",
		(long long)first_free_id(store), SCHEMA_VERSION);
	if (exec_sql(store, schema, what, err) < 0 || exec_sql(store, sql, what, err) < 0) {
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}

/* Bring the database to SCHEMA_VERSION, or refuse. */
static int check_schema(struct store *store, struct err *err)
{
	int64_t version;
	int r;

	if (query_int(store, "PRAGMA user_version", NULL, &version, err) < 0)
		return -1;
	if (version == 0) {
		/*
		 * Not the lock in "lock": that one is held shared by all who come at the same time.
		 */
		if (flock(store->fd, LOCK_EX) < 0)
			return err_sys(err, "cannot lock '%s'", store->path);
		r = create_schema(store, err);
		flock(store->fd, LOCK_UN);
		if (r < 0 || query_int(store, "PRAGMA user_version", NULL, &version, err) < 0)
			return -1;
	}
	if (version > SCHEMA_VERSION)
		return err_set(err, ERR_UNSUPPORTED,
			"the store '%s' was written by a newer whittle (its format is %lld, this "
			"one "
			"knows %d); use that one, or another folder by WHITTLE_ROOT",
			store->path, (long long)version, SCHEMA_VERSION);
	if (version < 1)
		return err_set(err, ERR_CORRUPT,
			"'%s/meta.db' has the impossible format %lld; remove it with 'rm "
			"%s/meta.db*'",
			store->path, (long long)version, store->path);
	return 0;
}

/* See forget_torn. */
static int drop_torn(struct store *store, struct err *err)
{
	const char *sql = forget_torn, *what = "cannot open the store";
	sqlite3_stmt *stmt;
	int64_t torn = 0;
	int rc = SQLITE_OK;

	/* Each half has its partial index, so that this costs nothing when there is nothing. */
	if (query_int(store,
		    "SELECT EXISTS(SELECT 1 FROM snapshot WHERE boot IS NOT NULL"
		    " AND substr(boot, 1, length(?1)) <> ?1) OR EXISTS(SELECT 1 FROM folder"
		    " WHERE boot IS NOT NULL AND substr(boot, 1, length(?1)) <> ?1)",
		    store->boot, &torn, err) < 0)
		return -1;
	if (!torn)
		return 0;
	log_debug("forgetting snapshots that were not on disk when the machine stopped");
	if (exec_sql(store, "BEGIN IMMEDIATE", what, err) < 0)
		return -1;
	while (*sql && (rc == SQLITE_OK || rc == SQLITE_DONE)) {
		rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, &sql);
		if (rc != SQLITE_OK)
			break;
		if (sqlite3_bind_parameter_count(stmt) > 0)
			sqlite3_bind_text(stmt, 1, store->boot, -1, SQLITE_STATIC);
		rc = sqlite3_step(stmt);
		sqlite3_finalize(stmt);
	}
	if (rc != SQLITE_DONE) {
		(void)db_fail(store, rc, what, err);
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return exec_sql(store, "COMMIT", what, err);
}

/*
 * Make the file before sqlite does, so that the umask cannot give it a useless mode; the log and
 * its index copy the mode. Only when it is missing: closing a descriptor of a database in use drops
 * its locks.
 */
static int create_file(struct store *store, struct err *err)
{
	auto_fd int fd = openat(store->fd, "meta.db", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return err_sys(err, "cannot create '%s/meta.db'", store->path);
	return 0;
}

/* A killed process may have left a long log; then this one folds it in when it closes. */
static void note_log_size(struct store *store)
{
	struct stat st;

	if (fstatat(store->fd, "meta.db-wal", &st, AT_SYMLINK_NOFOLLOW) == 0)
		store->wal_pages = (int)(st.st_size / WAL_PAGE);
}

void db_apply_sync(struct store *store)
{
	static const char *const level[] = {
		[STORE_SYNC_NONE] = "PRAGMA synchronous = OFF",
		[STORE_SYNC_NORMAL] = "PRAGMA synchronous = NORMAL",
		[STORE_SYNC_FULL] = "PRAGMA synchronous = FULL",
	};

	(void)sqlite3_exec(store->db, level[store->sync], NULL, NULL, NULL);
}

int db_open(struct store *store, struct err *err)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
	auto_free char *path = xasprintf("%s/meta.db", store->path);
	int rc;

	if (create_file(store, err) < 0)
		return -1;
	rc = sqlite3_open_v2(path, &store->db, flags, NULL);
	if (rc != SQLITE_OK)
		return db_fail(store, rc, "cannot open the store", err);
	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_wal_hook(store->db, on_commit, store);
	db_apply_sync(store);
	note_log_size(store);
	if (check_schema(store, err) < 0)
		return -1;
	return drop_torn(store, err);
}

void db_batch_resume(struct store *store)
{
	/* Without it each read is its own transaction, so a failure only costs time. */
	if (store->batch > 0 && sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "BEGIN", NULL, NULL, NULL);
}

void db_batch_pause(struct store *store)
{
	if (store->batch > 0 && !sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
}

void db_close(struct store *store)
{
	if (store->db && store->batch > 0)
		db_batch_pause(store);
	for (size_t i = 0; i < store->n_statements; i++)
		sqlite3_finalize(store->statements[i].stmt);
	store->n_statements = 0;
	if (store->db && store->wal_pages > WAL_LEAVE_PAGES) {
		/* While others are at work the log cannot be cut; the last of them does it. */
		sqlite3_busy_timeout(store->db, 0);
		(void)sqlite3_wal_checkpoint_v2(
			store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	}
	sqlite3_close(store->db);
	store->db = NULL;
}

/* The statement of this literal, prepared when it is first asked for. */
static sqlite3_stmt *statement(struct store *store, const char *sql, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc;

	for (size_t i = 0; i < store->n_statements; i++)
		if (store->statements[i].sql == sql)
			return store->statements[i].stmt;
	if (store->n_statements == STORE_STATEMENTS_MAX) {
		(void)err_set(err, ERR_SYSTEM, "too many SQL statements");
		return NULL;
	}
	rc = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
	if (rc != SQLITE_OK) {
		(void)db_fail(store, rc, "cannot use the store", err);
		return NULL;
	}
	store->statements[store->n_statements].sql = sql;
	store->statements[store->n_statements++].stmt = stmt;
	return stmt;
}

static sqlite3_stmt *query_v(
	struct store *store, struct err *err, const char *sql, const char *types, va_list ap)
{
	sqlite3_stmt *stmt = statement(store, sql, err);
	int rc = SQLITE_OK;

	if (!stmt)
		return NULL;
	sqlite3_reset(stmt);
	for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
		if (*types == 'i')
			rc = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
		else if (*types == 's')
			rc = sqlite3_bind_text(
				stmt, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
		else
			rc = sqlite3_bind_blob(
				stmt, i, va_arg(ap, const uint8_t *), DIGEST_SIZE, SQLITE_STATIC);
	}
	if (rc != SQLITE_OK) {
		(void)db_fail(store, rc, "cannot use the store", err);
		return NULL;
	}
	return stmt;
}

sqlite3_stmt *db_query(
	struct store *store, struct err *err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, types);
	stmt = query_v(store, err, sql, types, ap);
	va_end(ap);
	return stmt;
}

int db_step(struct store *store, sqlite3_stmt *stmt, struct err *err)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return db_fail(store, rc, "cannot use the store", err);
}

int db_run(struct store *store, struct err *err, const char *sql, const char *types, ...)
{
	auto_stmt stmt = NULL;
	va_list ap;

	va_start(ap, types);
	stmt = query_v(store, err, sql, types, ap);
	va_end(ap);
	return stmt ? db_step(store, stmt, err) : -1;
}

int db_begin(struct store *store, struct db_tx *tx, struct err *err)
{
	/* A read transaction cannot become a write one once another process has written. */
	db_batch_pause(store);
	if (db_run(store, err, "BEGIN IMMEDIATE", "") < 0) {
		db_batch_resume(store);
		return -1;
	}
	tx->store = store;
	return 0;
}

int db_commit(struct db_tx *tx, struct err *err)
{
	if (db_run(tx->store, err, "COMMIT", "") < 0) {
		db_rollback(tx);
		return -1;
	}
	db_batch_resume(tx->store);
	tx->store = NULL;
	return 0;
}

void db_rollback(struct db_tx *tx)
{
	struct store *store = tx->store;

	if (!store)
		return;
	tx->store = NULL;
	/* Some failures (a full disk) have rolled back already. */
	if (!sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	db_batch_resume(store);
}

void db_text(sqlite3_stmt *stmt, int column, char *buf, size_t size)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	snprintf(buf, size, "%s", text ? (const char *)text : "");
}
