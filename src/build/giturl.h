/* Names of git repositories with what to take of them (dockerfile.md 3.3.12, 5.3). Text only: nothing is asked. */
#ifndef WHITTLE_BUILD_GITURL_H
#define WHITTLE_BUILD_GITURL_H

#include <stdbool.h>

#include "base/err.h"

#define GITURL_MAX 4096       /* bytes of all of it */
#define GITURL_REF_MAX 255    /* bytes of a ref: file systems take no more in one component */
#define GITURL_HASH_MAX 64    /* hex digits of a SHA-256 commit; SHA-1 has 40 */

struct giturl {
	char *remote;      /* for git: a URL of a known protocol, or user@host:path; no query, no fragment */
	char *ref;         /* branch, tag, refs/..., or a whole commit hash; NULL: the remote's HEAD */
	char *subdir;      /* relative, clean, never leading out; NULL: all of it */
	char *commit;      /* 7 to 64 hex digits that the result must begin with; NULL: any */
	bool keep_git_dir_set, keep_git_dir;
	bool no_submodules;
};
#define GITURL_INIT { .remote = NULL }

/*
 * Whether text names a git repository: git://, ssh://, user@host:path, http(s)://....git; for a build context
 * (context) github.com/... too. Options follow as "#ref:subdir" or as a query.
 * Returns 1 and *ret, owned by the caller; 0 when it is something else; or -1 and *err: ERR_INPUT (an option that is
 * unknown, empty, given twice or contradicted; a ref, subdir or host that git could take for something else).
 */
int giturl_parse(const char *text, bool context, struct giturl *ret, struct err *err);
/* Free what it holds; it is GITURL_INIT again. */
void giturl_release(struct giturl *u);

/* Whether s is a whole commit hash: 40 or 64 lower-case hex digits. */
bool giturl_is_hash(const char *s);
/* Check what the instruction's --checksum says: ERR_INPUT unless it is 7 to 64 hex digits. Returns 0 or -1. */
int giturl_check_commit(const char *commit, struct err *err);
/* The remote without user and password, for messages and for what ends up in an image; the caller frees. */
char *giturl_display(const char *remote);

#endif
