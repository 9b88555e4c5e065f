/*
 * Checkouts of git repositories by the git program (dockerfile.md 3.3.12; sandbox.md section 8, rows 35 and 36). It runs
 * in the engine, where the network is, with an environment of our making: no configuration, no hooks, no filters, no
 * prompts, no protocols but those that giturl_parse() knows, whatever a repository or its submodules say.
 */
#ifndef WHITTLE_BUILD_GIT_H
#define WHITTLE_BUILD_GIT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "build/giturl.h"

struct fetch_auth;

struct git_commit {
	char hash[GITURL_HASH_MAX + 1]; /* of the commit */
	char *ref;                      /* its full name over there; NULL: only the hash is known */
};
#define GIT_COMMIT_INIT { .ref = NULL }

/*
 * Ask the remote which commit u means, and check it against u->commit. A ref that is a whole hash is believed without
 * asking. Blocks on the network; a non-zero *cancel ends it.
 *   auth  sent to the repository of u and to nobody else; a redirect is an error then. Only git's environment holds it.
 * Returns 0 and *ret (git_commit_release), or -1 and *err: ERR_NOT_FOUND (no such ref; no git program), ERR_INPUT
 * (another commit than u->commit), ERR_DENIED (the server wants credentials, or others), ERR_NETWORK (anything else git
 * says), ERR_CANCELLED, ERR_SYSTEM.
 */
int git_resolve(const struct giturl *u, const struct fetch_auth *auth, const volatile sig_atomic_t *cancel, struct git_commit *ret, struct err *err);
/* Free what it holds. */
void git_commit_release(struct git_commit *c);
/*
 * Check the commit out into the empty folder dir (an absolute path of ours), submodules too unless u says no. Files
 * have modes 0644 and 0755; nothing called .git is left, unless keep_git_dir. *ret_time: of the commit.
 * Returns 0, or -1 and *err as git_resolve().
 */
int git_checkout(const struct giturl *u, const struct fetch_auth *auth, const struct git_commit *commit, const char *dir,
	bool keep_git_dir, const volatile sig_atomic_t *cancel, int64_t *ret_time, struct err *err);

#endif
