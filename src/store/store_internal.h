/* What the files of this folder share: the open store, its database, names in tmp/. */
#ifndef WHITTLE_STORE_STORE_INTERNAL_H
#define WHITTLE_STORE_STORE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

#define STORE_STATEMENTS_MAX 96 /* more than there are SQL texts in this folder */
#define STORE_PROCESS_NAME 16   /* hex digits of a process's folder in tmp/ */
#define STORE_BOOT_SIZE 40      /* a UUID, its newline and NUL */
#define STORE_PARTIAL "tmp/partial-"

struct filehash_row;

struct store {
	char *path;     /* absolute */
	int fd;         /* the folder itself */
	int lock_fd;    /* "lock", flocked shared, or exclusive for a prune */
	int blobs_fd;   /* "blobs/sha256" */
	int tmp_fd;     /* "tmp"; flocked while somebody makes or looks for a process folder */
	bool exclusive; /* store_lock_exclusive() is in force */
	char boot[STORE_BOOT_SIZE]; /* which run of the kernel this is, "" if it does not say */

	pthread_mutex_t mutex; /* guards all that follows, and the transaction */
	enum store_sync sync;
	char process[sizeof("tmp/") + STORE_PROCESS_NAME]; /* "tmp/<hex>", "" until it is needed */
	int process_fd;        /* that folder, flocked, or -1 */
	uint64_t next_tmp;     /* the next number in it */

	sqlite3 *db;
	struct {
		const char *sql; /* a literal: compared by address */
		sqlite3_stmt *stmt;
	} statements[STORE_STATEMENTS_MAX];
	size_t n_statements;
	int wal_pages;         /* in the log after our last commit */

	unsigned int batch;    /* filehash_begin() calls not yet ended: a read transaction */
	struct filehash_row *pending; /* puts of the batch */
	size_t n_pending, cap_pending;
};

/*
 * Hold the mutex to the end of the scope. Not recursive: functions named *_locked expect it
 * held.
 */
#define STORE_GUARD(s)                                                                             \
	__attribute__((cleanup(store_guard_release), unused)) struct store *guard_ =               \
		store_guard_acquire(s)

static inline struct store *store_guard_acquire(struct store *store)
{
	pthread_mutex_lock(&store->mutex);
	return store;
}

static inline void store_guard_release(struct store **store)
{
	pthread_mutex_unlock(&(*store)->mutex);
}

/* ---- db.c; all expect the mutex held ---- */

/*
 * Open meta.db, creating it where it is missing, and forget what a power cut may have torn.
 * Returns 0, or -1 and *err as store_open().
 */
int db_open(struct store *store, struct err *err);
/* Close it; accepts one that was never opened. */
void db_close(struct store *store);
/* Apply store->sync to the connection. */
void db_apply_sync(struct store *store);

/*
 * Fill *err from the connection's last failure, rc: ERR_CORRUPT, ERR_DISK or ERR_SYSTEM. Returns
 * -1.
 */
int db_fail(struct store *store, int rc, const char *what, struct err *err);

/*
 * The prepared statement for a literal, its arguments bound. types has one letter per argument:
 * i int64_t, s const char * (NULL allowed; must live until the reset), k const uint8_t * of 32
 * bytes or NULL.
 * Returns a statement to be stepped and reset (auto_stmt does), or NULL and *err.
 */
sqlite3_stmt *db_query(
	struct store *store, struct err *err, const char *sql, const char *types, ...);
/* One step. Returns 1 for a row, 0 at the end, or -1 and *err. */
int db_step(struct store *store, sqlite3_stmt *stmt, struct err *err);
/*
 * Run a statement that gives no rows, inside a db_begin(). Arguments as db_query().
 * Returns 0, or -1 and *err.
 */
int db_run(struct store *store, struct err *err, const char *sql, const char *types, ...);

static inline void auto_stmt_release(sqlite3_stmt **stmt)
{
	if (*stmt)
		sqlite3_reset(*stmt);
}
#define auto_stmt __attribute__((cleanup(auto_stmt_release))) sqlite3_stmt *

/* A write transaction, rolled back at the end of the scope unless db_commit() succeeded. */
struct db_tx {
	struct store *store; /* NULL while not open */
};
#define DB_TX_INIT { .store = NULL }
#define auto_tx __attribute__((cleanup(db_rollback))) struct db_tx

/* Begin, waiting up to 30 s for another process's. Returns 0, or -1 and *err. */
int db_begin(struct store *store, struct db_tx *tx, struct err *err);
/* Make it visible. Returns 0, or -1 and *err (then it is rolled back). */
int db_commit(struct db_tx *tx, struct err *err);
/* Undo, if it is open. */
void db_rollback(struct db_tx *tx);
/* Open the shared read transaction of a batch, or close it; no-ops outside a batch. */
void db_batch_resume(struct store *store);
/* See db_batch_resume(). */
void db_batch_pause(struct store *store);

/* Copy a text column into a buffer of size bytes, cut to fit; NULL becomes "". */
void db_text(sqlite3_stmt *stmt, int column, char *buf, size_t size);

/* ---- store.c ---- */

/*
 * A fresh name "tmp/<process>/<n>", making the process folder when this is the first. Mutex held.
 * Returns 0, or -1 and *err.
 */
int store_tmp_reserve_locked(struct store *store, char *buf, size_t size, struct err *err);
/* store_tmp_new() into a buffer, with the mutex held. */
int store_tmp_new_locked(struct store *store, char *buf, size_t size, struct err *err);
/*
 * Whether name is "tmp/<this process>/<n>", or with levels 2 "tmp/<this process>/<n>/<one more>".
 * Needs no mutex: a process folder is named once.
 */
bool store_tmp_name_ok(const struct store *store, const char *name, int levels);
/*
 * mkdir with just this mode, whatever the umask. Returns 0 (also when it is there), or -1 with
 * errno.
 */
int store_mkdir(int dirfd, const char *name, mode_t mode);
/* Whether s is n lower-case hex digits and nothing more. */
bool store_is_hex(const char *s, size_t n);

/* ---- blob.c ---- */

/* "tmp/partial-<hex>" and nothing else. */
bool blob_is_partial_name(const char *name);

#endif
