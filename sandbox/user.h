/*
 * Users of a root file system, from its own passwd and group files: never through the name services of the
 * host, which would load libraries and read files that belong to somebody else (CVE-2019-14271).
 */
#ifndef WHITTLE_SANDBOX_USER_H
#define WHITTLE_SANDBOX_USER_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define USER_GROUPS_MAX 256        /* supplementary groups; more is an error */
#define USER_FILE_MAX (10u << 20)  /* a passwd or group file of an image */

struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS_MAX]; /* what setgroups(2) gets: always holds gid */
	size_t ngroups;
	char home[4096]; /* of the passwd entry, "/" without one */
};

/*
 * Resolve "user[:group]" (dockerfile.md 3.2.2; NULL or "" is "0") in the root file system rootfd. A part of digits is
 * always an id, 0 to 4294967294; a name must exist. With a group given there are no supplementary ones.
 * Returns 0, or -1 and ERR_INPUT naming the user or group and the file, ERR_SYSTEM.
 */
int user_resolve(int rootfd, const char *spec, struct user *ret, struct err *err);

/*
 * The owner that COPY --chown=spec gives (dockerfile.md 3.3.5): a numeric user without a group takes its own
 * number as group; a name without one its primary group.
 *   passwd, group  texts of the two files of the image; "" where it has none
 * Returns 0, or -1 and ERR_INPUT naming the unknown user or group.
 */
int user_resolve_owner(const char *passwd, const char *group, const char *spec, uid_t *ret_uid, gid_t *ret_gid,
	struct err *err);

#endif
