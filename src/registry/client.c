#include "registry/client.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "oci/reference.h"
#include "registry/auth.h"
#include "registry/client_internal.h"
#include "registry/url.h"

#define WARNING_MAX 4096  /* a Warning header in the debug log (appendix A) */
#define RENEW_BEFORE_S 10 /* 4.7: a token with less left is not used any more */

/* What we may send for one set of scopes. */
struct access {
	char *scopes;
	char *header;      /* the Authorization value, or NULL: nothing is sent */
	uint64_t renew_ns; /* monotonic; do not use from then on */
	bool anonymous;
	char *helper; /* see struct call */
};

/* One registry, for the life of the client. */
struct registry {
	struct registry *next;
	char *domain;    /* as in references and credentials files */
	char *authority; /* host[:port] to connect to */
	bool insecure;   /* configured so */
	bool loopback;
	pthread_mutex_t
		lock; /* guards all below; held while the registry or its token service is asked */
	bool ready;   /* base, home, policy are final once this is true */
	struct url base;
	struct http_policy policy;
	struct auth_challenge challenge;
	struct access *access;
	size_t naccess, cap;
};

struct registry_client {
	struct http *http;
	struct strv insecure;
	char *auth_file;
	bool allow_private, allow_http_credentials;
	pthread_mutex_t lock; /* guards registries */
	struct registry *registries;
};

struct registry_client *registry_client_new(const struct registry_options *options)
{
	struct registry_client *client = xcalloc(1, sizeof(*client));
	const struct http_options http = {
		.cancel = options->cancel,
		.ca_file = options->ca_file,
		.retry_base_ms = options->retry_base_ms,
	};

	client->http = http_new(&http);
	if (options->insecure)
		strv_copy(&client->insecure, options->insecure);
	client->auth_file = options->auth_file ? xstrdup(options->auth_file) : NULL;
	client->allow_private = options->allow_private_redirects;
	client->allow_http_credentials = options->allow_http_credentials;
	pthread_mutex_init(&client->lock, NULL);
	return client;
}

static void access_release(struct access *a)
{
	if (a->header)
		explicit_bzero(a->header, strlen(a->header));
	free(a->header);
	free(a->scopes);
	free(a->helper);
}

static void registry_free(struct registry *r)
{
	for (size_t i = 0; i < r->naccess; i++)
		access_release(&r->access[i]);
	free(r->access);
	auth_challenge_release(&r->challenge);
	url_release(&r->base);
	pthread_mutex_destroy(&r->lock);
	free(r->domain);
	free(r->authority);
	free(r);
}

void registry_client_free(struct registry_client *client)
{
	if (!client)
		return;
	while (client->registries) {
		struct registry *r = client->registries;

		client->registries = r->next;
		registry_free(r);
	}
	http_free(client->http);
	strv_release(&client->insecure);
	free(client->auth_file);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

static bool listed(const struct strv *list, const char *domain)
{
	for (size_t i = 0; i < list->len; i++)
		if (strcmp(list->v[i], domain) == 0)
			return true;
	return false;
}

/* "[::1]:5000" and "h:5000" without the port; the caller frees. */
static char *authority_host(const char *authority)
{
	const char *bracket = strrchr(authority, ']');
	const char *colon = strrchr(bracket ? bracket : authority, ':');

	return colon ? xstrndup(authority, (size_t)(colon - authority)) : xstrdup(authority);
}

static struct registry *registry_find(struct registry_client *client, const struct reference *ref)
{
	struct registry *r;

	pthread_mutex_lock(&client->lock);
	for (r = client->registries; r && strcmp(r->domain, ref->domain) != 0; r = r->next)
		;
	if (!r) {
		auto_free char *host = authority_host(reference_network_host(ref));

		r = xcalloc(1, sizeof(*r));
		r->domain = xstrdup(ref->domain);
		r->authority = xstrdup(reference_network_host(ref));
		r->insecure = listed(&client->insecure, ref->domain);
		r->loopback = host_addr_class(host) == ADDR_LOOPBACK;
		pthread_mutex_init(&r->lock, NULL);
		r->next = client->registries;
		client->registries = r;
	}
	pthread_mutex_unlock(&client->lock);
	return r;
}

/* The challenge of a 401; the best of all its headers. */
static int challenge_of(
	const struct http_response *resp, struct auth_challenge *ret, struct err *err)
{
	const char *value;
	size_t iter = 0;

	while ((value = http_header(resp, "www-authenticate", &iter)))
		if (auth_challenge_parse(value, ret, err) < 0)
			return -1;
	return 0;
}

static void set_base(struct registry_client *client, struct registry *r, struct url *base)
{
	url_release(&r->base);
	r->base = *base;
	*base = (struct url)URL_INIT;
	r->policy = (struct http_policy){
		.home_host = r->base.host,
		.private_ok = client->allow_private || host_addr_class(r->base.host) != ADDR_PUBLIC,
		.plain_ok = r->insecure || r->loopback,
		.home_unverified = r->insecure,
		.plain_secrets = client->allow_http_credentials,
	};
}

/*
 * How to ping: in earnest; once, to see whether TLS comes about; or the same without any authority,
 * because reading the system's bundle takes longer than all the rest and a plain registry on
 * loopback is the common case.
 */
enum ping_how { PING_FULL, PING_ONCE, PING_PROBE };

/* GET /v2/ by one scheme. *ret_failure says why there was no answer. */
static int ping(struct registry_client *client, struct registry *r, const char *scheme,
	enum ping_how how, enum http_failure *ret_failure, struct err *err)
{
	auto_free char *text = xasprintf("%s://%s/v2/", scheme, r->authority);
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_url base = URL_INIT;
	int rc;

	*ret_failure = HTTP_FAIL_LOCAL;
	if (url_parse(text, &base, err) < 0)
		return -1;
	set_base(client, r, &base);
	req.method = "GET";
	req.url = text;
	req.policy = &r->policy;
	req.once = how != PING_FULL;
	req.probe = how == PING_PROBE;
	rc = http_send(client->http, &req, &resp, err);
	*ret_failure = resp.failure;
	if (rc < 0)
		return -1;
	if (http_status_retries(resp.status)) {
		auto_free char *said = http_error_text(&resp);

		*ret_failure = HTTP_FAIL_NONE;
		return err_set(err, ERR_NETWORK, "registry '%s' answers %s", r->domain, said);
	}
	if (resp.peer_private && !resp.foreign)
		r->policy.private_ok = true;
	/* 404, 403, 405 come from registries that work all the same (4.3). */
	if (resp.status == 401 && !resp.foreign && challenge_of(&resp, &r->challenge, err) < 0)
		return err_wrap(err, "registry '%s'", r->domain);
	return 0;
}

/* Learn the scheme of a registry that may speak plain http, and its challenge by the way (4.2). */
static int ping_either(struct registry_client *client, struct registry *r, struct err *err)
{
	enum http_failure failure;
	struct err first = ERR_INIT;

	if (ping(client, r, "https", r->insecure ? PING_ONCE : PING_PROBE, &failure, &first) == 0)
		return 0;
	if (failure == HTTP_FAIL_CERT && !r->insecure)
		return ping(client, r, "https", PING_FULL, &failure, err);
	/*
	 * Plain only when no TLS connection came about: never after a status or a bad certificate.
	 */
	if (failure == HTTP_FAIL_CONNECT || failure == HTTP_FAIL_TLS) {
		log_debug("registry '%s' speaks no TLS, trying plain http", r->domain);
		return ping(client, r, "http", PING_FULL, &failure, err);
	}
	*err = first;
	return -1;
}

/* Learn scheme and challenge once; r->lock is held. */
static int registry_ready(struct registry_client *client, struct registry *r, struct err *err)
{
	enum http_failure failure;
	int rc;

	if (r->ready)
		return 0;
	if (r->insecure || r->loopback)
		rc = ping_either(client, r, err);
	else
		rc = ping(client, r, "https", PING_FULL, &failure, err);
	r->ready = rc == 0;
	return rc;
}

static struct access *access_find(struct registry *r, const char *scopes)
{
	for (size_t i = 0; i < r->naccess; i++)
		if (strcmp(r->access[i].scopes, scopes) == 0)
			return &r->access[i];
	return NULL;
}

/* Whether secrets may go to the registry itself (4.2). */
static bool secrets_allowed(const struct registry_client *client, const struct registry *r)
{
	return strcmp(r->base.scheme, "https") == 0 || r->loopback ||
	       client->allow_http_credentials;
}

static int fetch_bearer(struct registry_client *client, struct registry *r, const char *scopes,
	const struct auth_cred *cred, struct access *ret, struct err *err)
{
	auto_auth_token token = AUTH_TOKEN_INIT;
	auto_strv list = STRV_INIT;
	uint64_t life;

	if (cred->registry_token) {
		ret->header = xasprintf("Bearer %s", cred->registry_token);
		return 0;
	}
	auth_scopes_add(&list, scopes);
	if (r->challenge.scope)
		auth_scopes_add(&list, r->challenge.scope);
	if (auth_token_fetch(client->http, &r->policy, &r->challenge, &list, cred, &token, err) < 0)
		return -1;
	ret->header = xasprintf("Bearer %s", token.value);
	life = token.lifetime_s -
	       (token.lifetime_s / 10 > RENEW_BEFORE_S ? token.lifetime_s / 10 : RENEW_BEFORE_S);
	ret->renew_ns = clock_mono_ns() + life * 1000000000;
	return 0;
}

static int helper_error(const struct registry *r, const char *helper, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED,
		"registry '%s' wants a login that the credential helper '%s' holds; helpers are "
		"not asked yet: put the "
		"login into a file with \"auths\" and name it in REGISTRY_AUTH_FILE",
		r->domain, helper);
}

/* Find out what to send for scopes by r->challenge; r->lock is held. *ret is empty before. */
static int access_fetch(struct registry_client *client, struct registry *r,
	const struct reference *ref, const char *scopes, struct access *ret, struct err *err)
{
	auto_auth_cred cred = AUTH_CRED_INIT;
	bool usable;

	if (auth_cred_lookup(client->auth_file, r->domain, ref->path, &cred, err) < 0)
		return -1;
	usable = auth_cred_usable(&cred);
	if (usable && !secrets_allowed(client, r))
		return err_set(err, ERR_DENIED, "credentials for '%s' are not sent over plain http",
			r->domain);
	ret->scopes = xstrdup(scopes);
	ret->renew_ns = UINT64_MAX;
	ret->anonymous = !usable;
	ret->helper = cred.helper ? xstrdup(cred.helper) : NULL;
	if (r->challenge.scheme == AUTH_BEARER) {
		if (fetch_bearer(client, r, scopes, &cred, ret, err) == 0)
			return 0;
		return !usable && cred.helper && err->kind == ERR_DENIED
			       ? helper_error(r, cred.helper, err)
			       : -1;
	}
	if (r->challenge.scheme == AUTH_BASIC && cred.user && cred.password)
		ret->header = auth_basic_header(cred.user, cred.password);
	return 0;
}

/*
 * What to send for the scopes of call, in *ret_header (owned by the caller, NULL: nothing). refused
 * is what the registry has just answered 401 to, when this is the second attempt; challenge is what
 * it said then.
 */
static int access_get(struct call *call, bool again, const char *refused,
	const struct auth_challenge *challenge, char **ret_header, struct err *err)
{
	struct registry *r = call->registry;
	struct access fresh = { .scopes = NULL };
	struct access *have = access_find(r, call->scopes);

	if (again && challenge->scheme != AUTH_NONE)
		auth_challenge_copy(&r->challenge, challenge);
	if (r->challenge.scheme == AUTH_NONE)
		return 0;
	/* Another thread may have renewed what was refused to us. */
	if (have && clock_mono_ns() < have->renew_ns &&
		!(again && (!refused || !have->header || strcmp(refused, have->header) == 0))) {
		fresh = *have;
	} else {
		if (access_fetch(call->client, r, call->ref, call->scopes, &fresh, err) < 0) {
			access_release(&fresh);
			return -1;
		}
		if (have) {
			access_release(have);
			*have = fresh;
		} else {
			GROW(r->access, r->naccess, r->cap);
			r->access[r->naccess++] = fresh;
		}
	}
	call->anonymous = fresh.anonymous;
	free(call->helper);
	call->helper = fresh.helper ? xstrdup(fresh.helper) : NULL;
	*ret_header = fresh.header ? xstrdup(fresh.header) : NULL;
	return 0;
}

int call_begin(struct call *call, struct registry_client *client, const struct reference *ref,
	const char *scopes, struct err *err)
{
	int rc;

	*call = (struct call){ .client = client,
		.ref = ref,
		.scopes = scopes,
		.anonymous = true,
		.resp = HTTP_RESPONSE_INIT };
	if (!repository_path_valid(ref->path))
		return err_set(err, ERR_INPUT, "'%s' is not a repository path", ref->path);
	call->registry = registry_find(client, ref);
	pthread_mutex_lock(&call->registry->lock);
	rc = registry_ready(client, call->registry, err);
	pthread_mutex_unlock(&call->registry->lock);
	return rc;
}

void call_end(struct call *call)
{
	free(call->helper);
	call->helper = NULL;
	http_response_release(&call->resp);
}

struct http *call_http(const struct call *call)
{
	return call->client->http;
}

char *registry_url(const char *base, const char *repository, const char *kind, const char *what)
{
	return xasprintf("%s/v2/%s/%s/%s", base, repository, kind, what);
}

char *call_url(const struct call *call, const char *kind, const char *what)
{
	const struct registry *r = call->registry;
	auto_free char *base = xasprintf("%s://%s", r->base.scheme, r->authority);

	return registry_url(base, call->ref->path, kind, what);
}

static void log_warnings(const struct call *call)
{
	const char *value;
	size_t iter = 0;

	while ((value = http_header(&call->resp, "warning", &iter)))
		log_debug("registry '%s' warns: %.*s", call->registry->domain, WARNING_MAX, value);
}

int call_send(struct call *call, struct http_request *req, struct err *err)
{
	struct registry *r = call->registry;
	auto_auth_challenge challenge = AUTH_CHALLENGE_INIT;
	auto_free char *header = NULL;
	auto_free char *second = NULL;
	auto_url url = URL_INIT;
	bool home;
	int rc = 0;

	if (url_parse(req->url, &url, err) < 0)
		return -1;
	home = url_same_origin(&url, &r->base);
	if (home) {
		pthread_mutex_lock(&r->lock);
		rc = access_get(call, false, NULL, NULL, &header, err);
		pthread_mutex_unlock(&r->lock);
		if (rc < 0)
			return -1;
	}
	req->policy = &r->policy;
	req->authorization = header;
	rc = http_send(call->client->http, req, &call->resp, err);
	if (rc == 0 && home && call->resp.status == 401 && !call->resp.foreign) {
		if (challenge_of(&call->resp, &challenge, err) < 0)
			return err_wrap(err, "registry '%s'", r->domain);
		pthread_mutex_lock(&r->lock);
		rc = access_get(call, true, header, &challenge, &second, err);
		pthread_mutex_unlock(&r->lock);
		if (rc == 0 && second) {
			req->authorization = second;
			rc = http_send(call->client->http, req, &call->resp, err);
		}
	}
	req->authorization = NULL;
	if (rc == 0)
		log_warnings(call);
	return rc;
}

static int denied_error(
	const struct call *call, const char *what, const char *text, struct err *err)
{
	if (call->resp.foreign) {
		auto_url url = URL_INIT;
		struct err ignored = ERR_INIT;

		url_parse(call->resp.url, &url, &ignored);
		return err_set(err, ERR_DENIED,
			"%s: the storage host '%s' of the registry refuses: %s", what,
			url.host ? url.host : "?", text);
	}
	if (call->anonymous && call->helper)
		return helper_error(call->registry, call->helper, err);
	if (call->anonymous)
		return err_set(err, ERR_DENIED,
			"%s: registry '%s' refuses without a login (no credentials for it were "
			"found), or there is "
			"no such repository: %s",
			what, call->registry->domain, text);
	return err_set(err, ERR_DENIED, "%s: registry '%s' refuses these credentials: %s", what,
		call->registry->domain, text);
}

int call_error(const struct call *call, const char *what, struct err *err)
{
	auto_free char *text = http_error_text(&call->resp);
	const char *domain = call->registry->domain;
	int status = call->resp.status;

	if (status == 401 || status == 403)
		return denied_error(call, what, text, err);
	if (status == 404)
		return err_set(
			err, ERR_NOT_FOUND, "%s: not in registry '%s': %s", what, domain, text);
	if (status == 405)
		return err_set(err, ERR_UNSUPPORTED, "%s: registry '%s' does not allow this: %s",
			what, domain, text);
	if (http_status_retries(status) || status >= 500 || status < 400)
		return err_set(
			err, ERR_NETWORK, "%s: registry '%s' answers %s", what, domain, text);
	return err_set(err, ERR_INPUT, "%s: registry '%s' rejects it: %s", what, domain, text);
}

int call_location(const struct call *call, const char *what, char **ret, struct err *err)
{
	const char *location = http_header_first(&call->resp, "location");
	const char *domain = call->registry->domain;
	auto_url asked = URL_INIT;
	auto_url found = URL_INIT;

	if (!location)
		return err_set(err, ERR_INPUT, "%s: registry '%s' does not say where (no Location)",
			what, domain);
	if (url_parse(call->resp.url, &asked, err) < 0 ||
		url_resolve(&asked, location, &found, err) < 0)
		return err_wrap(err, "%s: the Location of registry '%s'", what, domain);
	if (strcmp(asked.scheme, "https") == 0 && strcmp(found.scheme, "http") == 0 &&
		!call->registry->policy.plain_ok)
		return err_set(err, ERR_DENIED,
			"%s: registry '%s' leads from https to plain http on '%s'", what, domain,
			found.host);
	*ret = take_ptr(found.full);
	return 0;
}

/* Bytes of the separator at p (4.1): ".", "_", "__" or any number of "-"; 0 when there is none. */
static size_t separator_length(const char *p)
{
	if (*p == '.')
		return 1;
	if (*p == '_')
		return p[1] == '_' ? 2 : 1;
	return strspn(p, "-");
}

bool repository_path_valid(const char *path)
{
	static const char alnum[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const char *p = path;

	if (strlen(path) > REFERENCE_PATH_MAX)
		return false;
	for (;;) {
		size_t n = strspn(p, alnum);

		if (n == 0)
			return false;
		p += n;
		if (*p == '\0')
			return true;
		n = *p == '/' ? 1 : separator_length(p);
		if (n == 0)
			return false;
		p += n;
	}
}

int content_range_parse(
	const char *value, uint64_t *ret_first, uint64_t *ret_last, uint64_t *ret_total)
{
	auto_free char *text = NULL;
	uint64_t first, last, total = UINT64_MAX;
	char *dash, *slash;

	if (strncmp(value, "bytes ", 6) != 0)
		return -1;
	text = xstrdup(value + 6);
	dash = strchr(text, '-');
	slash = strchr(text, '/');
	if (!dash || !slash || dash > slash)
		return -1;
	*dash = *slash = '\0';
	if (parse_u64(text, 0, INT64_MAX, &first) < 0 ||
		parse_u64(dash + 1, first, INT64_MAX, &last) < 0)
		return -1;
	if (strcmp(slash + 1, "*") != 0 &&
		(parse_u64(slash + 1, 1, INT64_MAX, &total) < 0 || last >= total))
		return -1;
	*ret_first = first;
	*ret_last = last;
	*ret_total = total;
	return 0;
}
