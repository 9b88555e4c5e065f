/* Which ids a build has: the rung of isolation and its ID map (spec: user_namespaces(7), subuid(5)). */
#ifndef WHITTLE_SANDBOX_IDMAP_H
#define WHITTLE_SANDBOX_IDMAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum isolation {
	ISOLATION_AUTO,
	ISOLATION_DIRECT, /* already root of a namespace with 65,536 ids */
	ISOLATION_SUBID,  /* subordinate ids, mapped by newuidmap and newgidmap */
	ISOLATION_SINGLE, /* one id; who owns what is recorded beside the files */
};

#define IDMAP_RANGES_MAX 32       /* the kernel takes 340 lines; no sane /etc/subuid has this many for a user */
#define IDMAP_FINGERPRINT_SIZE 24
#define IDMAP_WHY_SIZE 512
#define IDMAP_WANTED_IDS 65536    /* what images expect to find */

struct id_range {
	uint32_t inside, outside, count;
};

struct idmap {
	enum isolation mode; /* never ISOLATION_AUTO once chosen */
	/* the user's own id and then its ranges */
	struct id_range uid[1 + IDMAP_RANGES_MAX], gid[1 + IDMAP_RANGES_MAX];
	size_t nuid, ngid;
	char fingerprint[IDMAP_FINGERPRINT_SIZE]; /* [a-z0-9]: folders unpacked under one map fit no other */
	char why[IDMAP_WHY_SIZE]; /* one clause for people: why this rung and not the one above */
};

/* "auto", "direct", "subid" or "single" to an enum. Returns 0, or -1 and ERR_USAGE. */
int isolation_parse(const char *s, enum isolation *ret, struct err *err);
/* The name of a rung; never NULL. */
const char *isolation_name(enum isolation mode);

/*
 * Choose the rung for this process: want, or for ISOLATION_AUTO the first of direct, subid and single
 * whose needs are visible (nothing is tried yet: a newuidmap that then refuses is the caller's to handle).
 * Returns 0; or -1 and ERR_SANDBOX saying which need of `want` is not met and how to meet it.
 */
int idmap_choose(enum isolation want, struct idmap *ret, struct err *err);
/* The map of the one-id rung, which needs nothing. */
void idmap_single(struct idmap *ret);
/* How many ids from 0 on exist inside, as users and as groups. */
uint32_t idmap_ids(const struct idmap *map);
/*
 * Write the map for process pid, a fresh user namespace of the caller's. Runs newuidmap and newgidmap side by side
 * for ISOLATION_SUBID. Returns 0, or -1 and ERR_SANDBOX with the kernel's or the helper's reason.
 */
int idmap_write(const struct idmap *map, pid_t pid, struct err *err);

/*
 * Collect the ranges of user (login names and decimal uid) from a file in the format of subuid(5);
 * exposed for its tests. Malformed and overlapping lines are skipped; own is the user's own id.
 * Returns the number of ranges.
 */
size_t idmap_parse_subid(const char *text, const char *const names[], size_t nnames, uint32_t own,
	struct id_range ranges[IDMAP_RANGES_MAX]);

#endif
