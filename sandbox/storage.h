/*
 * How the root file system of a step comes about (spec/sandbox.md 2.1 to 2.4): which ways there are and which of them
 * this store, host and kind of build allow.
 */
#ifndef WHITTLE_SANDBOX_STORAGE_H
#define WHITTLE_SANDBOX_STORAGE_H

#include <stdbool.h>

#include "base/err.h"
#include "sandbox/holder.h"

enum storage {
	STORAGE_AUTO,
	STORAGE_OVERLAY, /* the kernel's overlayfs */
	STORAGE_FUSE,    /* fuse-overlayfs, one process per step */
	STORAGE_COPY,    /* a copy of the tree, compared with its original afterwards */
};

#define STORAGE_WHY_MAX 240     /* bytes of a reason, cut there */
#define STORAGE_CACHE "storage" /* the file of the store that remembers what the probe of the overlay said */

/* "auto", "overlay", "fuse" or "copy" to an enum. Returns 0, or -1 and ERR_USAGE. */
int storage_parse(const char *s, enum storage *ret, struct err *err);
/* The name; never NULL. */
const char *storage_name(enum storage storage);

struct storage_choice {
	enum storage storage;      /* never STORAGE_AUTO */
	char why[STORAGE_WHY_MAX]; /* why nothing better; empty for STORAGE_OVERLAY */
};

/*
 * Whether the overlay is known to work in the store storefd for builds of this mode: by the cache, which holds for one
 * boot, file system, kernel and mode.
 */
bool storage_overlay_known(int storefd, enum isolation mode);
/* Remember that it does. What cannot be written is probed again next time. */
void storage_overlay_remember(int storefd, enum isolation mode);

/*
 * Body of a job: try the overlay and then fuse-overlayfs in an empty folder of the store, which is the payload (a
 * string); what is made there stays. Replies with a storage_choice.
 */
int storage_probe(struct job *job, struct err *err);

#endif
