/*
 * Secrets that authenticate what a build fetches by HTTP: ADD of URLs and of git repositories, and contexts that are one
 * (dockerfile.md 3.3.11, 3.3.12). The id says for what a secret is; the first that is there counts:
 *
 *   a file          HTTP_AUTH_TOKEN_<host>, HTTP_AUTH_HEADER_<host>; the host without its port
 *   a repository    GIT_AUTH_HEADER.<host>, GIT_AUTH_TOKEN.<host>, GIT_AUTH_HEADER, GIT_AUTH_TOKEN; the host with the
 *                   port that the URL spells out
 *
 * A header is sent as it is, a token as "Bearer" for files, as the password of x-access-token for
 * git. Over plain HTTP a secret goes to the loopback address only, and not by a proxy.
 */
#ifndef WHITTLE_BUILD_FETCH_AUTH_H
#define WHITTLE_BUILD_FETCH_AUTH_H

#include <stddef.h>

#include "base/err.h"

struct secrets;

#define FETCH_AUTH_MAX (8u << 10) /* bytes of one: what servers take as a header line */

struct fetch_auth {
	char *header; /* value of the Authorization header; NULL: there is none to be sent */
	char *secret; /* what it was made of */
};
#define FETCH_AUTH_INIT                                                                            \
	{                                                                                          \
		.header = NULL                                                                     \
	}

/*
 * The one for a file at url (http or https). secrets may be NULL. An empty secret counts as none.
 * Returns 0 and *ret (fetch_auth_release()), or -1 and *err: ERR_DENIED (it would go over plain
 * HTTP), ERR_INPUT (control characters, more than FETCH_AUTH_MAX bytes, no URL), ERR_SYSTEM.
 */
int fetch_auth_url(
	const struct secrets *secrets, const char *url, struct fetch_auth *ret, struct err *err);
/* The one for a repository; none for remotes that are not http or https. As fetch_auth_url(). */
int fetch_auth_git(
	const struct secrets *secrets, const char *remote, struct fetch_auth *ret, struct err *err);
/* Wipe and free; it is FETCH_AUTH_INIT again. Accepts that. */
void fetch_auth_release(struct fetch_auth *a);

/*
 * The URL below which git may send the secret: the repository alone, since a submodule may lie
 * anywhere; on github.com all of it, where submodules usually belong to the same owner. Without
 * user. The caller frees.
 */
char *fetch_auth_git_scope(const char *remote);
/* Cover with '*' what n bytes of text repeat of the secret: servers may send back what they were
 * sent. */
void fetch_auth_hide(const struct fetch_auth *a, char *text, size_t n);

#define auto_fetch_auth __attribute__((cleanup(fetch_auth_release))) struct fetch_auth

#endif
