/*
 * Digests of files of the build context, remembered by (device, inode) and believed while size,
 * mtime and ctime stay what they were, to the nanosecond. A cache: no function here fails, at worst
 * a file is hashed again. 32 bytes are the caller's digest of whatever it likes of the file
 * (SHA-256 of its content).
 */
#ifndef WHITTLE_STORE_FILEHASH_H
#define WHITTLE_STORE_FILEHASH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct store;

#define FILEHASH_SIZE 32         /* bytes */
#define FILEHASH_RACY_SECONDS 2  /* coarsest time stamp we expect of a file system (FAT: 2 s) */

/*
 * Begin and end a series of calls: reads share one transaction and puts are collected and written
 * by filehash_end() (or in lots, when there are many). Nests; other functions of the store may be
 * called in between, from any thread.
 */
void filehash_begin(struct store *store);
/* The end of the series; see filehash_begin(). */
void filehash_end(struct store *store);

/* Whether the digest of the file that st describes is known; out is written only then. */
bool filehash_get(struct store *store, const struct stat *st, uint8_t out[FILEHASH_SIZE]);

/*
 * Remember it; st was taken before the file was read. A file that changed less than
 * FILEHASH_RACY_SECONDS ago (or in the future) is not remembered: it could change once more and
 * keep its times.
 */
void filehash_put(struct store *store, const struct stat *st, const uint8_t digest[FILEHASH_SIZE]);

#endif
