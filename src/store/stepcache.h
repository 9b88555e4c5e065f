/*
 * The step cache: what a step with a given cache key gave. And memos, small remembered facts by
 * text key.
 */
#ifndef WHITTLE_STORE_STEPCACHE_H
#define WHITTLE_STORE_STEPCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct store;

#define STEPCACHE_KEY_SIZE 32            /* bytes: a SHA-256 */
#define STEPCACHE_DESCRIPTION_MAX 1024   /* bytes kept of a description */
#define MEMO_KEY_MAX 4096                /* bytes: a path of PATH_MAX or two references */
#define MEMO_VALUE_MAX (1024 * 1024)     /* bytes: small facts, not documents; those are blobs */

/*
 * Look for the snapshot that the step with this key gave. An entry whose snapshot has neither a
 * folder nor a layer blob left counts as none and is forgotten. Notes, at most once a day, that the
 * entry was used.
 * Returns 1 and *ret_snapshot, 0 when there is none, or -1 and *err: ERR_SYSTEM, ERR_CORRUPT
 * (meta.db).
 */
int stepcache_get(struct store *store, const uint8_t key[STEPCACHE_KEY_SIZE],
	int64_t *ret_snapshot, struct err *err);

/*
 * Remember it, whatever was remembered before. group (may be NULL) is a second key shared by
 * entries that differ only in what their inputs hold, for stepcache_has_group(). description is a
 * line for people (the instruction), cut at STEPCACHE_DESCRIPTION_MAX bytes; may be NULL.
 * Returns 0, or -1 and *err: ERR_NOT_FOUND (no such snapshot), ERR_SYSTEM, ERR_DISK, ERR_CORRUPT
 * (meta.db).
 */
int stepcache_put(struct store *store, const uint8_t key[STEPCACHE_KEY_SIZE],
	const uint8_t group[STEPCACHE_KEY_SIZE], int64_t snapshot_id, const char *description,
	struct err *err);

/* Whether any entry was put with this group. */
bool stepcache_has_group(struct store *store, const uint8_t group[STEPCACHE_KEY_SIZE]);

/*
 * A remembered fact, such as the digest a reference resolved to. Keys are the callers' own, by
 * convention "kind:rest". A memo keeps nothing alive: blobs it names may be gone.
 * Returns 1 and *ret_value (owned by the caller), 0 when there is none, or -1 and *err: ERR_SYSTEM,
 * ERR_CORRUPT (meta.db).
 */
int memo_get(struct store *store, const char *key, char **ret_value, struct err *err);

/*
 * Remember value under key; NULL forgets it. Writes nothing when it is so already.
 * Returns 0, or -1 and *err: ERR_INPUT (over MEMO_KEY_MAX or MEMO_VALUE_MAX), ERR_SYSTEM, ERR_DISK,
 * ERR_CORRUPT.
 */
int memo_put(struct store *store, const char *key, const char *value, struct err *err);

#endif
