/* Prune: remove what no image and no step cache entry leads to. */
#ifndef WHITTLE_STORE_GC_H
#define WHITTLE_STORE_GC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"

struct store;

struct gc_options {
	bool all;           /* also what can be made anew: steps, folders, file digests, memos, caches */
	bool dry_run;       /* count only; nothing is changed */
	int64_t unused_for; /* also steps and caches not used for that many seconds; 0: not by age */
};

struct gc_result {
	uint64_t blobs;     /* blobs removed, partial downloads among them */
	uint64_t snapshots; /* snapshots removed */
	uint64_t caches;    /* folders of RUN --mount=type=cache removed (cachedir.h) */
	/* of all three; for folders what their makers said (snapshot.size), for caches what this user can see */
	uint64_t bytes;
	/*
	 * Names relative to the store ("tmp/<process>/<n>", "tmp/<process>") of folders that hold
	 * files of other ids: a worker in the user namespace has to remove them.
	 */
	struct strv folders_for_worker;
};
#define GC_RESULT_INIT { .folders_for_worker = STRV_INIT }

/* Free what *result holds; usable again. */
void gc_result_release(struct gc_result *result);

/*
 * Remove every blob, snapshot and row that cannot be reached. Roots are the images (index,
 * manifests of all platforms, their configs and layers, subjects) with the snapshots of their
 * layers, and the step cache entries with their snapshots and those snapshots' layer blobs. With
 * all, only the blobs of images stay. A blob that is named and absent is skipped.
 * store_lock_exclusive() must be held. Leftovers in tmp/ of dead processes go too. Rows go first,
 * in one transaction, so that a kill in between leaves only files that the next run sweeps.
 * Returns 0 and adds to *result, or -1 and *err:
 *   ERR_CORRUPT  a manifest does not match its digest, or meta.db is damaged; nothing was removed
 *   ERR_INPUT    a manifest is malformed or over a limit; nothing was removed
 *   ERR_SYSTEM, ERR_DISK
 */
int gc_run(struct store *store, const struct gc_options *options, struct gc_result *result,
	struct err *err);

#endif
