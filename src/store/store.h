/*
 * The store: what is kept on this machine (design.md section 5). One folder, mode 0700, shared by
 * any number of whittle processes:
 *
 *   lock                     flock: shared by everyone at work, exclusive for a prune
 *   meta.db                  sqlite3: images, snapshots and their forms, step cache, file digests
 *   blobs/sha256/<hex>       an OCI blob folder (blob.h)
 *   snapshots/<id>/          one folder per snapshot (snapshot.h)
 *   caches/<hex>/            folders of RUN --mount=type=cache (cachedir.h)
 *   tmp/<process>/<n>        not yet committed; the folder <process> is flocked while its process
 *                            lives
 *   tmp/partial-<hex>        a download to be resumed (blob_partial_open())
 *
 * Every function of this folder may be called from several threads of the one process that opened
 * the store (the engine); a forked child must not use it. Killed at any point, the next run finds a
 * store that is whole: what was not committed lies in tmp/ and is named by store_stale(). What a
 * power cut may have torn (folders whose files were not yet written out, see store_sync()) is
 * forgotten at the next store_open().
 */
#ifndef WHITTLE_STORE_STORE_H
#define WHITTLE_STORE_STORE_H

#include "base/auto.h"
#include "base/err.h"
#include "base/strv.h"

struct store;

/* How much is forced to the disk, traded against time and wear (SD cards). */
enum store_sync {
	STORE_SYNC_NONE,   /* nothing, for a store that is thrown away with its machine */
	STORE_SYNC_NORMAL, /* the default: each blob at once, folders by store_sync() */
	STORE_SYNC_FULL,   /* each blob, each snapshot and each transaction at once */
};

/*
 * The folder of the store: $WHITTLE_ROOT, else $XDG_DATA_HOME/whittle, else
 * $HOME/.local/share/whittle (a variable that is empty counts as unset, and so does an
 * XDG_DATA_HOME that is not absolute, as its specification says). The caller frees the result.
 * Returns NULL and *err: ERR_NOT_FOUND when none of the three is set.
 */
char *store_default_root(struct err *err);

/*
 * Open the store in the folder root (relative to the working directory or absolute), creating what
 * is missing, and hold its lock as a user until store_close(). Blocks while another process prunes.
 * Costs no fsync when the store is there.
 * Returns the store, or NULL and *err:
 *   ERR_CORRUPT      meta.db is damaged; the message says how to start anew
 *   ERR_UNSUPPORTED  written by a newer whittle
 *   ERR_CANCELLED    a signal ended the wait for the prune
 *   ERR_SYSTEM, ERR_DISK
 */
struct store *store_open(const char *root, struct err *err);
/* Give back everything, remove this process's folder in tmp/ as far as possible. Accepts NULL. */
void store_close(struct store *store);
DEFINE_AUTO(struct store *, store_close)

/*
 * The folder of the store; valid until store_close(), not to be closed. Names below are relative
 * to it.
 */
int store_dirfd(const struct store *store);
/* The absolute path of the store, for messages and for mounts; owned by the store. */
const char *store_path(const struct store *store);
/* Choose how much is forced to the disk from now on. */
void store_set_sync(struct store *store, enum store_sync policy);
/*
 * Make all that was committed, by any process since the machine started, safe against a power cut:
 * one syncfs(2), then one transaction. Blocks as long as the disk needs. Cheap when nothing is
 * outstanding. To be called once at the end of a build: folders committed and never synced are
 * forgotten when the machine is started anew (their steps run again). A no-op under
 * STORE_SYNC_NONE, for which folders are trusted as they are.
 * Returns 0, or -1 and *err: ERR_SYSTEM, ERR_DISK, ERR_CORRUPT.
 */
int store_sync(struct store *store, struct err *err);

/*
 * Become the only user, for a prune; no waiting. store_unlock_exclusive() goes back to being one of
 * many.
 * Returns 0, or -1 and *err: ERR_DENIED when another whittle is using the store, ERR_SYSTEM. After
 * -1 the store is held as before.
 */
int store_lock_exclusive(struct store *store, struct err *err);
/* Undo store_lock_exclusive(). */
void store_unlock_exclusive(struct store *store);

/*
 * A new empty folder, mode 0700, for things in the making. *ret_name is its name relative to the
 * store ("tmp/1f3a5b7c9d2e4f60/12"), owned by the caller. It goes with store_tmp_drop(), with
 * store_close(), or, should this process die, by way of store_stale().
 * Returns 0, or -1 and *err: ERR_SYSTEM, ERR_DISK.
 */
int store_tmp_new(struct store *store, char **ret_name, struct err *err);
/*
 * The same with an empty regular file, mode 0600. Returns its descriptor (O_RDWR, O_CLOEXEC), owned
 * by the caller, or -1 and *err: ERR_SYSTEM, ERR_DISK.
 */
int store_tmp_file(struct store *store, char **ret_name, struct err *err);
/*
 * Remove a file or folder that store_tmp_new() or store_tmp_file() named, with all below it. One
 * that is gone is success.
 * Returns 0, or -1 and *err: ERR_SYSTEM with err.sys EACCES or EPERM when files below belong to
 * other ids of the build's user namespace (a worker inside it must remove the folder), or another
 * errno; ERR_INPUT when name is not inside this process's folder.
 */
int store_tmp_drop(struct store *store, const char *name, struct err *err);

/*
 * Append the names ("tmp/1f3a5b7c9d2e4f60") of what dead processes left in tmp/. Downloads to be
 * resumed are not among them (gc_run() removes those).
 * Returns 0, or -1 and *err: ERR_SYSTEM.
 */
int store_stale(struct store *store, struct strv *ret_names, struct err *err);
/*
 * Remove one of them. A name that is gone is success.
 * Returns 0, or -1 and *err:
 *   ERR_INPUT   not a name as store_stale() gives them
 *   ERR_DENIED  its process is alive
 *   ERR_SYSTEM  removal failed; err.sys is EACCES or EPERM when a worker has to do it
 */
int store_remove_stale(struct store *store, const char *name, struct err *err);

#endif
