/*
 * Folders of RUN --mount=type=cache: caches/<hex>/ holds one, <hex> being the SHA-256 of what identifies it, so that no
 * id can name a path.
 *
 *   caches/<hex>/fs    the folder that steps see; files of any id of the build's user namespace
 *   caches/<hex>/lock  flock: shared by those who use it together, exclusive for one alone; its mtime is the last use
 *   caches/<hex>/id    its id, for people
 *
 * gc_run() with "all" removes them; it holds the store alone, so no step is using one then.
 */
#ifndef WHITTLE_STORE_CACHEDIR_H
#define WHITTLE_STORE_CACHEDIR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/strbuf.h"

struct store;

#define CACHEDIR_NAME_SIZE (sizeof("caches/") + DIGEST_HEX + sizeof(".4294967295"))
#define CACHEDIR_PRIVATE_MAX 64 /* instances of one cache that are used at once; then one waits */

/*
 * The name ("caches/<hex>", of CACHEDIR_NAME_SIZE bytes) of the cache with this identity (any n bytes); instance
 * 0 is the first, others are further ones for sharing=private.
 */
void cachedir_name(const void *identity, size_t n, unsigned instance, char ret[CACHEDIR_NAME_SIZE]);
/*
 * Create the folder if it is missing, note its id, and open its lock, unlocked.
 * Returns a descriptor (O_CLOEXEC), owned by the caller, or -1 and *err: ERR_SYSTEM, ERR_DISK.
 */
int cachedir_open(struct store *store, const char *name, const char *id, struct err *err);
/* Try to take the lock. Returns 1, 0 when somebody else holds it, or -1 and *err: ERR_SYSTEM. */
int cachedir_try_lock(int lock, bool exclusive, struct err *err);
/* Whether it has its folder fs already. */
bool cachedir_is_made(struct store *store, const char *name);

#endif
