#include "store/filehash.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store_internal.h"

#define PENDING_MAX 8192 /* rows (800 KiB) collected before they are written within a batch */
#define NS_PER_SECOND 1000000000LL

_Static_assert(FILEHASH_SIZE == DIGEST_SIZE, "db_query() binds digests");

struct filehash_row {
	int64_t dev, ino, size, mtime, ctime;
	uint8_t digest[FILEHASH_SIZE];
};

/* Nanoseconds since 1970. Wraps for years beyond 2262, which only makes two such times look alike
 * or not. */
static int64_t time_ns(const struct timespec *t)
{
	return (int64_t)((uint64_t)t->tv_sec * (uint64_t)NS_PER_SECOND + (uint64_t)t->tv_nsec);
}

static struct filehash_row row_of(const struct stat *st)
{
	return (struct filehash_row){
		.dev = (int64_t)st->st_dev,
		.ino = (int64_t)st->st_ino,
		.size = (int64_t)st->st_size,
		.mtime = time_ns(&st->st_mtim),
		.ctime = time_ns(&st->st_ctim),
	};
}

/* Write rows in one transaction. */
static int write_rows(
	struct store *store, const struct filehash_row *rows, size_t n, struct err *err)
{
	auto_tx tx = DB_TX_INIT;
	int64_t now = clock_wall();

	if (n == 0)
		return 0;
	if (db_begin(store, &tx, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (db_run(store, err,
			    "INSERT OR REPLACE INTO filehash(dev, ino, size, mtime, ctime, digest, "
			    "stored)"
			    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
			    "iiiiiki", rows[i].dev, rows[i].ino, rows[i].size, rows[i].mtime,
			    rows[i].ctime, rows[i].digest, now) < 0)
			return -1;
	return db_commit(&tx, err);
}

/* Losing them costs time in the next run, so a full disk must not end a build here. */
static void flush(struct store *store)
{
	struct err err = ERR_INIT;

	if (write_rows(store, store->pending, store->n_pending, &err) < 0)
		log_debug("file digests not remembered: %s", err.msg);
	store->n_pending = 0;
}

void filehash_begin(struct store *store)
{
	STORE_GUARD(store);

	store->batch++;
	db_batch_resume(store);
}

void filehash_end(struct store *store)
{
	STORE_GUARD(store);

	if (store->batch == 0)
		return;
	if (store->batch == 1)
		db_batch_pause(store);
	store->batch--;
	if (store->batch == 0)
		flush(store);
}

bool filehash_get(struct store *store, const struct stat *st, uint8_t out[FILEHASH_SIZE])
{
	const struct filehash_row row = row_of(st);
	struct err err = ERR_INIT;
	STORE_GUARD(store);
	auto_stmt stmt = db_query(store, &err,
		"SELECT digest FROM filehash WHERE dev = ?1 AND ino = ?2 AND size = ?3 AND mtime = "
		"?4"
		" AND ctime = ?5",
		"iiiii", row.dev, row.ino, row.size, row.mtime, row.ctime);

	if (!stmt || db_step(store, stmt, &err) <= 0 ||
		sqlite3_column_bytes(stmt, 0) != FILEHASH_SIZE)
		return false;
	memcpy(out, sqlite3_column_blob(stmt, 0), FILEHASH_SIZE);
	return true;
}

void filehash_put(struct store *store, const struct stat *st, const uint8_t digest[FILEHASH_SIZE])
{
	struct filehash_row row = row_of(st);
	struct timespec now;
	int64_t limit;
	STORE_GUARD(store);

	/*
	 * Against the clock that the file system stamps with (coarse, so never later than the
	 * precise one). st_mtim can be set by anybody, st_ctim not; a file system without the
	 * latter gives the former.
	 */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	limit = now.tv_sec - FILEHASH_RACY_SECONDS;
	if (st->st_mtim.tv_sec >= limit || st->st_ctim.tv_sec >= limit)
		return;
	memcpy(row.digest, digest, FILEHASH_SIZE);
	GROW(store->pending, store->n_pending, store->cap_pending);
	store->pending[store->n_pending++] = row;
	if (store->batch == 0 || store->n_pending >= PENDING_MAX)
		flush(store);
}
