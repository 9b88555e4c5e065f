/*
 * Who we are to a registry (spec/oci.md 4.7, 4.11): challenges, credentials from the files of other
 * tools, bearer tokens. Secrets live in memory only and never enter a message or the debug log.
 */
#ifndef WHITTLE_REGISTRY_AUTH_H
#define WHITTLE_REGISTRY_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/strv.h"

struct http;
struct http_policy;

#define AUTH_CHALLENGES_MAX 16             /* schemes in one header; real servers send 1 or 2 */
#define AUTH_CHALLENGE_BYTES_MAX (64 * 1024) /* one header line (appendix A) */
#define AUTH_TOKEN_MAX (64 * 1024)         /* a token that we would put into a header (4.7) */
#define AUTH_TOKEN_BODY_MAX (1024 * 1024)  /* the token service's answer (appendix A) */
#define AUTH_FILE_MAX (4 * 1024 * 1024)    /* a credentials file */

enum auth_scheme { AUTH_NONE, AUTH_BASIC, AUTH_BEARER };

/* One challenge; parameters that were absent are NULL. */
struct auth_challenge {
	enum auth_scheme scheme;
	char *realm;   /* Bearer: a URL, not yet judged; Basic: text */
	char *service;
	char *scope;   /* space-separated */
	char *error;   /* "insufficient_scope", "invalid_token" */
};
#define AUTH_CHALLENGE_INIT { .scheme = AUTH_NONE }

/*
 * Parse one WWW-Authenticate value, which may hold several challenges, and keep in *best the one
 * that we prefer (Bearer, then Basic; the earlier of equals; a Bearer without realm does not
 * count). Call it once per header with the same *best. Unknown schemes and parameters are skipped;
 * blanks around commas and missing quotes accepted.
 * Returns 0, or -1 and *err: ERR_INPUT (over AUTH_CHALLENGE_BYTES_MAX, over AUTH_CHALLENGES_MAX, an
 * unbalanced quote, a control character); *best is then unchanged.
 */
int auth_challenge_parse(const char *value, struct auth_challenge *best, struct err *err);
/* Free what it holds; it is AUTH_CHALLENGE_INIT again. */
void auth_challenge_release(struct auth_challenge *c);
/* Make *to a deep copy; what it held is freed. */
void auth_challenge_copy(struct auth_challenge *to, const struct auth_challenge *from);

/* What the files know of one registry. At most one of the three forms; all NULL: nothing known. */
struct auth_cred {
	char *user, *password;
	char *identity_token; /* to be traded for a bearer token by the OAuth2 form */
	char *registry_token; /* a bearer token itself */
	char *helper;         /* a credential helper would have to be asked; we cannot */
	char *source;         /* the file that said so; NULL: no file knows this registry */
};
#define AUTH_CRED_INIT { .user = NULL }

/*
 * Find the credentials for registry host (as in the reference: "docker.io", "h:5000") and
 * repository.
 *   auth_file  the one file to read, or NULL: $REGISTRY_AUTH_FILE alone if it is set; else the JSON
 *              in $DOCKER_AUTH_CONFIG, $XDG_RUNTIME_DIR/containers/auth.json (or
 *              /run/containers/UID/auth.json), $XDG_CONFIG_HOME/containers/auth.json,
 *              $DOCKER_CONFIG/config.json, $HOME/.dockercfg; first hit wins (4.11)
 * Within a file: its credHelpers, then auths from the longest path to the host, then credsStore.
 * Missing files are skipped. A helper is not run: its name comes back in ret->helper, and the
 * caller goes on anonymously.
 * Returns 0 and *ret (empty when nothing is known), or -1 and *err: ERR_INPUT (a file that does not
 * parse or whose entry is malformed), ERR_SYSTEM (a file that cannot be read).
 */
int auth_cred_lookup(const char *auth_file, const char *host, const char *repository,
	struct auth_cred *ret, struct err *err);
/* Whether there is something to send. */
bool auth_cred_usable(const struct auth_cred *cred);
/* Overwrite the secrets and free; it is AUTH_CRED_INIT again. */
void auth_cred_release(struct auth_cred *cred);

/* The header value "Basic ..." for user and password; the caller frees. */
char *auth_basic_header(const char *user, const char *password);

struct auth_token {
	char *value;         /* printable ASCII without spaces */
	uint64_t lifetime_s; /* at least 60 */
	char *refresh;       /* a refresh token, or NULL */
};
#define AUTH_TOKEN_INIT { .value = NULL }

/*
 * Read the answer of a token service: "token" or "access_token", "expires_in" (absent, malformed or
 * under 60: 60; over a day: a day).
 * Returns 0, or -1 and *err: ERR_INPUT (not JSON, no token, a token over AUTH_TOKEN_MAX or with a
 * byte that cannot stand in a header).
 */
int auth_token_parse(const void *body, size_t n, struct auth_token *ret, struct err *err);
/* Overwrite and free; it is AUTH_TOKEN_INIT again. */
void auth_token_release(struct auth_token *t);

/*
 * Whether a realm may be asked at all, with credentials or without (4.6, 4.7): https, or http where
 * the policy says plain_ok; no user info; no loopback, private or link-local host unless the policy
 * allows it or it is the registry's own.
 * Returns 0, or -1 and *err: ERR_DENIED, ERR_INPUT.
 */
int auth_realm_check(const char *realm, const struct http_policy *policy, struct err *err);

/*
 * Get a token for the scopes from the service of challenge, anonymously when cred is not usable.
 * Redirects lose the credentials as everywhere. Blocks.
 * Returns 0, or -1 and *err: ERR_DENIED (refused credentials, a forbidden realm), ERR_INPUT,
 * ERR_NETWORK, ERR_CANCELLED.
 */
int auth_token_fetch(struct http *http, const struct http_policy *policy,
	const struct auth_challenge *challenge, const struct strv *scopes, const struct auth_cred *cred,
	struct auth_token *ret, struct err *err);

/*
 * Add the space-separated scopes of text to list: "type:name:actions" (first and last colon),
 * actions sorted, without duplicates; a scope of the same type and name gets the union of the
 * actions. Malformed ones are ignored.
 */
void auth_scopes_add(struct strv *list, const char *text);

static inline void auto_auth_challenge_release(struct auth_challenge *c)
{
	auth_challenge_release(c);
}
#define auto_auth_challenge __attribute__((cleanup(auto_auth_challenge_release))) struct auth_challenge

static inline void auto_auth_cred_release(struct auth_cred *c)
{
	auth_cred_release(c);
}
#define auto_auth_cred __attribute__((cleanup(auto_auth_cred_release))) struct auth_cred

static inline void auto_auth_token_release(struct auth_token *t)
{
	auth_token_release(t);
}
#define auto_auth_token __attribute__((cleanup(auto_auth_token_release))) struct auth_token

#endif
