/*
 * What client.c shares with pull.c and push.c: one call to one registry, with its authentication.
 */
#ifndef WHITTLE_REGISTRY_CLIENT_INTERNAL_H
#define WHITTLE_REGISTRY_CLIENT_INTERNAL_H

#include <stdbool.h>

#include "base/err.h"
#include "registry/client.h"
#include "registry/http.h"

struct reference;
struct registry;

/* A conversation about one repository. */
struct call {
	struct registry_client *client;
	struct registry *registry;   /* owned by the client */
	const struct reference *ref; /* borrowed */
	const char *scopes;          /* borrowed; what the tokens must allow, space-separated */
	bool anonymous;              /* the last request carried no credentials of the user's */
	char *helper;                /* a credential helper that might have known some, or NULL */
	struct http_response resp;   /* of the last request */
};

/*
 * Begin: find the registry of ref, and on the first call learn its scheme and challenge (GET /v2/).
 * Release the call with call_end() in every case. Returns 0, or -1 and *err: the shared kinds of
 * pull.h.
 */
int call_begin(struct call *call, struct registry_client *client, const struct reference *ref,
	const char *scopes, struct err *err);
/* Free what the call holds. */
void call_end(struct call *call);

/* The pool of the client, for waits. */
struct http *call_http(const struct call *call);

/*
 * The URL "BASE/v2/REPOSITORY/KIND/WHAT" (4.2); all parts come from checked grammar. The caller
 * frees.
 */
char *call_url(const struct call *call, const char *kind, const char *what);

/*
 * Send req, whose url must be set; policy and authorization are filled in here (the latter only for
 * the registry's own origin). On 401 the token dance is danced once (4.7). The answer is in
 * call->resp.
 * Returns 0 for every complete response, or -1 and *err: as http_send(), and ERR_DENIED,
 * ERR_UNSUPPORTED when there is no way to authenticate.
 */
int call_send(struct call *call, struct http_request *req, struct err *err);

/*
 * Turn the status of call->resp into an error: 401, 403 ERR_DENIED (ERR_UNSUPPORTED when a
 * credential helper would have to be asked); 404 ERR_NOT_FOUND; 405 ERR_UNSUPPORTED; 408, 425, 429,
 * 5xx ERR_NETWORK; else ERR_INPUT. what names the object ("manifest 'a:b'"). Always returns -1.
 */
int call_error(const struct call *call, const char *what, struct err *err);

/*
 * The Location of call->resp as an absolute URL, resolved against what answered; its query is kept
 * as it came (4.8).
 * Returns 0 and *ret, owned by the caller, or -1 and *err: ERR_INPUT (missing, malformed),
 * ERR_DENIED (another scheme than http and https, user info, from https to http).
 */
int call_location(const struct call *call, const char *what, char **ret, struct err *err);

/* Whether path may stand in a URL as a repository: lower-case components of 4.1 and slashes. */
bool repository_path_valid(const char *path);

/* The same as call_url() of a registry at base ("https://h:5000"). The caller frees. */
char *registry_url(const char *base, const char *repository, const char *kind, const char *what);

/*
 * Read "bytes N-M/T" (4.5): *ret_total is UINT64_MAX for "*". Returns 0, or -1 when it is anything
 * else or N > M or M >= T.
 */
int content_range_parse(
	const char *value, uint64_t *ret_first, uint64_t *ret_last, uint64_t *ret_total);

static inline void auto_call_end(struct call *call)
{
	call_end(call);
}
#define auto_call __attribute__((cleanup(auto_call_end))) struct call
#define CALL_INIT { .client = NULL }

#endif
