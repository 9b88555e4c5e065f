#include "registry/auth.h"

#include <ctype.h>
#include <fcntl.h>
#include <strings.h>

#include "base/base64.h"
#include "base/doc.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "registry/http.h"
#include "registry/url.h"

#define CLIENT_ID "whittle"
#define TOKEN_LIFE_MIN_S 60          /* 4.7: absent or less counts as this */
#define TOKEN_LIFE_MAX_S (24 * 3600) /* ours: no builder runs longer on one token */
#define SCOPE_ACTIONS_MAX 16         /* ours: there are four known actions */
#define SCOPES_MAX 32                /* ours: what we need and what one challenge lists */
#define HUB_KEY "docker.io"          /* 4.11: the names of the one hub are one */

/* Challenges (RFC 9110, 11.6.1, read with the tolerance of 4.7). */

struct cursor {
	const char *p;
	unsigned schemes;
};

static bool is_token_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~/", c));
}

static void skip_blanks(struct cursor *c)
{
	while (*c->p == ' ' || *c->p == '\t')
		c->p++;
}

static void skip_separators(struct cursor *c)
{
	while (*c->p == ' ' || *c->p == '\t' || *c->p == ',')
		c->p++;
}

/* The value behind "=": quoted with backslash escapes, or everything up to a comma or blank. */
static int read_value(struct cursor *c, struct strbuf *out, struct err *err)
{
	skip_blanks(c);
	if (*c->p != '"') {
		size_t n = strcspn(c->p, ", \t");

		strbuf_add(out, c->p, n);
		c->p += n;
		return 0;
	}
	for (c->p++; *c->p != '"'; c->p++) {
		if (*c->p == '\\')
			c->p++;
		if (*c->p == '\0')
			return err_set(
				err, ERR_INPUT, "unbalanced quote in an authentication challenge");
		strbuf_putc(out, *c->p);
	}
	c->p++;
	return 0;
}

static enum auth_scheme scheme_of(const char *name, size_t n)
{
	if (n == 6 && strncasecmp(name, "Bearer", n) == 0)
		return AUTH_BEARER;
	if (n == 5 && strncasecmp(name, "Basic", n) == 0)
		return AUTH_BASIC;
	return AUTH_NONE;
}

static void keep_param(struct auth_challenge *c, const char *key, size_t n, struct strbuf *value)
{
	static const struct {
		const char *name;
		size_t offset;
	} known[] = {
		{ "realm", offsetof(struct auth_challenge, realm) },
		{ "service", offsetof(struct auth_challenge, service) },
		{ "scope", offsetof(struct auth_challenge, scope) },
		{ "error", offsetof(struct auth_challenge, error) },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char **slot = (char **)(void *)((char *)c + known[i].offset);

		if (strlen(known[i].name) == n && strncasecmp(known[i].name, key, n) == 0 && !*slot)
			*slot = strbuf_take(value);
	}
}

void auth_challenge_release(struct auth_challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	free(c->error);
	*c = (struct auth_challenge)AUTH_CHALLENGE_INIT;
}

void auth_challenge_copy(struct auth_challenge *to, const struct auth_challenge *from)
{
	struct auth_challenge copy = {
		.scheme = from->scheme,
		.realm = from->realm ? xstrdup(from->realm) : NULL,
		.service = from->service ? xstrdup(from->service) : NULL,
		.scope = from->scope ? xstrdup(from->scope) : NULL,
		.error = from->error ? xstrdup(from->error) : NULL,
	};

	auth_challenge_release(to);
	*to = copy;
}

/* Move *c to *best if we prefer it, else drop it. */
static void challenge_offer(struct auth_challenge *best, struct auth_challenge *c)
{
	bool usable =
		c->scheme == AUTH_BASIC || (c->scheme == AUTH_BEARER && c->realm && *c->realm);

	if (usable && c->scheme > best->scheme) {
		auth_challenge_release(best);
		*best = *c;
		*c = (struct auth_challenge)AUTH_CHALLENGE_INIT;
	}
	auth_challenge_release(c);
}

/*
 * One item: a new scheme, or a parameter of the current one. A token not followed by "=" is a
 * scheme.
 */
static int challenge_item(struct cursor *c, struct auth_challenge *current,
	struct auth_challenge *best, struct err *err)
{
	const char *token = c->p;
	auto_strbuf value = STRBUF_INIT;
	size_t n;

	while (is_token_char(*c->p))
		c->p++;
	n = (size_t)(c->p - token);
	if (n == 0)
		return err_set(err, ERR_INPUT,
			"authentication challenge with '%.32s' where a name should be", c->p);
	skip_blanks(c);
	if (*c->p == '=') {
		c->p++;
		if (read_value(c, &value, err) < 0)
			return -1;
		keep_param(current, token, n, &value);
		return 0;
	}
	challenge_offer(best, current);
	if (++c->schemes > AUTH_CHALLENGES_MAX)
		return err_set(err, ERR_INPUT, "more than %d authentication challenges",
			AUTH_CHALLENGES_MAX);
	current->scheme = scheme_of(token, n);
	return 0;
}

int auth_challenge_parse(const char *value, struct auth_challenge *best, struct err *err)
{
	auto_auth_challenge current = AUTH_CHALLENGE_INIT;
	auto_auth_challenge found = AUTH_CHALLENGE_INIT;
	struct cursor c = { .p = value };

	if (strlen(value) > AUTH_CHALLENGE_BYTES_MAX)
		return err_set(err, ERR_INPUT, "authentication challenge over %d bytes",
			AUTH_CHALLENGE_BYTES_MAX);
	for (const char *p = value; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return err_set(
				err, ERR_INPUT, "control character in an authentication challenge");
	for (skip_separators(&c); *c.p; skip_separators(&c))
		if (challenge_item(&c, &current, &found, err) < 0)
			return -1;
	challenge_offer(&found, &current);
	challenge_offer(best, &found);
	return 0;
}

/* Credentials. */

static void free_secret(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void auth_cred_release(struct auth_cred *cred)
{
	free(cred->user);
	free_secret(cred->password);
	free_secret(cred->identity_token);
	free_secret(cred->registry_token);
	free(cred->helper);
	free(cred->source);
	*cred = (struct auth_cred)AUTH_CRED_INIT;
}

bool auth_cred_usable(const struct auth_cred *cred)
{
	return cred->registry_token || cred->identity_token || (cred->user && cred->password);
}

/* The host that a key of an auths map means; n counts its bytes. The hub has several names. */
static const char *key_host(const char *key, size_t *n)
{
	static const char *const hub[] = { "docker.io", "index.docker.io", "registry-1.docker.io" };
	bool legacy = true;
	const char *slash;

	if (strncasecmp(key, "http://", 7) == 0)
		key += 7;
	else if (strncasecmp(key, "https://", 8) == 0)
		key += 8;
	else
		legacy = false;
	*n = strlen(key);
	slash = strchr(key, '/');
	/*
	 * Only old URL keys lose their path: "host/team" holds for that namespace and for no other.
	 */
	if (slash && (legacy || strcmp(slash, "/") == 0 || strcmp(slash, "/v1/") == 0 ||
			     strcmp(slash, "/v2/") == 0))
		*n = (size_t)(slash - key);
	for (size_t i = 0; i < sizeof(hub) / sizeof(hub[0]); i++)
		if (strlen(hub[i]) == *n && strncasecmp(hub[i], key, *n) == 0) {
			*n = strlen(HUB_KEY);
			return HUB_KEY;
		}
	return key;
}

static bool same_host(const char *key, const char *host)
{
	size_t kn, hn;
	const char *k = key_host(key, &kn), *h = key_host(host, &hn);

	return kn == hn && strncasecmp(k, h, kn) == 0;
}

/* Copy a member that must be a string when it is there; an empty one counts as absent. */
static int copy_member(
	const struct doc *entry, const char *name, const char *what, char **ret, struct err *err)
{
	struct doc *member = doc_get(entry, name);

	if (member && !doc_is_string(member))
		return err_set(err, ERR_INPUT, "%s: '%s' is not a string", what, name);
	if (member && *doc_str(member))
		*ret = xstrdup(doc_str(member));
	return 0;
}

/* "user:password" out of the auth member. */
static int decode_auth(const char *text, const char *what, struct auth_cred *ret, struct err *err)
{
	auto_strbuf plain = STRBUF_INIT;
	const char *colon;
	int rc = 0;

	if (base64_decode(text, &plain) < 0) {
		rc = err_set(err, ERR_INPUT, "%s: 'auth' is not base64", what);
	} else {
		while (plain.len > 0 && plain.buf[plain.len - 1] == '\0')
			strbuf_setlen(&plain, plain.len - 1);
		colon = memchr(plain.buf, ':', plain.len);
		if (!colon || memchr(plain.buf, '\0', plain.len)) {
			rc = err_set(
				err, ERR_INPUT, "%s: 'auth' does not hold user:password", what);
		} else {
			ret->user = xstrndup(plain.buf, (size_t)(colon - plain.buf));
			ret->password = xstrdup(colon + 1);
		}
	}
	explicit_bzero(plain.buf, plain.len);
	return rc;
}

/* Read one entry of auths; leaves *ret empty when the entry holds no secret. */
static int entry_read(
	const struct doc *entry, const char *what, struct auth_cred *ret, struct err *err)
{
	auto_free char *auth = NULL;
	auto_auth_cred cred = AUTH_CRED_INIT;
	int rc;

	if (!doc_is_object(entry))
		return err_set(err, ERR_INPUT, "%s is not an object", what);
	if (copy_member(entry, "auth", what, &auth, err) < 0 ||
		copy_member(entry, "identitytoken", what, &cred.identity_token, err) < 0 ||
		copy_member(entry, "registrytoken", what, &cred.registry_token, err) < 0)
		return -1;
	if (auth) {
		rc = decode_auth(auth, what, &cred, err);
		explicit_bzero(auth, strlen(auth));
		if (rc < 0)
			return -1;
	} else if (copy_member(entry, "username", what, &cred.user, err) < 0 ||
		   copy_member(entry, "password", what, &cred.password, err) < 0) {
		return -1;
	}
	if (!auth_cred_usable(&cred))
		return 0;
	*ret = cred;
	cred = (struct auth_cred)AUTH_CRED_INIT;
	return 0;
}

/*
 * The entry of auths for host/repository: the longest exact key, then any key that means the host.
 */
static const struct doc *auths_find(
	const struct doc *auths, const char *host, const char *repository, const char **ret_key)
{
	auto_strbuf key = STRBUF_INIT;
	const struct doc *entry;
	struct doc *value;
	const char *name;
	void *iter = NULL;
	char *slash;

	strbuf_printf(&key, "%s/%s", host, repository);
	for (;;) {
		entry = doc_get(auths, key.buf);
		slash = strrchr(key.buf, '/');
		if (entry || !slash)
			break;
		strbuf_setlen(&key, (size_t)(slash - key.buf));
	}
	while (doc_each(auths, &iter, &name, &value)) {
		if (entry ? value == entry : doc_is_object(value) && same_host(name, host)) {
			*ret_key = name;
			return value;
		}
	}
	return NULL;
}

/* The helper that credHelpers names for host, or NULL. */
static const char *helper_find(const struct doc *helpers, const char *host)
{
	struct doc *value;
	const char *name;
	void *iter = NULL;

	while (doc_each(helpers, &iter, &name, &value))
		if (same_host(name, host) && doc_str(value) && *doc_str(value))
			return doc_str(value);
	return NULL;
}

/* Look into one parsed file. */
static int doc_lookup(const struct doc *root, const struct doc *auths, const char *source,
	const char *host, const char *repository, struct auth_cred *ret, struct err *err)
{
	const char *helper = helper_find(doc_get(root, "credHelpers"), host);
	const struct doc *entry;
	const char *key = NULL;

	entry = helper ? NULL : auths_find(auths, host, repository, &key);
	if (entry) {
		auto_free char *what = xasprintf("%s: entry '%s'", source, key);

		if (entry_read(entry, what, ret, err) < 0)
			return -1;
	}
	if (!helper && !auth_cred_usable(ret))
		helper = doc_get_str(root, "credsStore");
	if (helper && *helper)
		ret->helper = xstrdup(helper);
	if (auth_cred_usable(ret) || ret->helper)
		ret->source = xstrdup(source);
	return 0;
}

static int text_lookup(const struct strbuf *text, bool dockercfg, const char *source,
	const char *host, const char *repository, struct auth_cred *ret, struct err *err)
{
	struct err dropped =
		ERR_INIT; /* the parser quotes what it stumbles over: it may be a secret */
	struct doc *root = doc_parse(text->buf, text->len, source, &dropped);
	int rc;

	if (!root)
		return err_set(err, ERR_INPUT, "%s is not valid JSON", source);
	if (!doc_is_object(root))
		rc = err_set(err, ERR_INPUT, "%s does not hold a JSON object", source);
	else
		rc = doc_lookup(root, dockercfg ? root : doc_get(root, "auths"), source, host,
			repository, ret, err);
	doc_free(root);
	return rc;
}

/* Look into one file; a missing one (or one whose folder is missing) knows nothing. */
static int file_lookup(const char *path, bool dockercfg, const char *host, const char *repository,
	struct auth_cred *ret, struct err *err)
{
	auto_strbuf text = STRBUF_INIT_MAX(AUTH_FILE_MAX);
	struct err failed = ERR_INIT;
	int rc;

	if (read_file(AT_FDCWD, path, AUTH_FILE_MAX, &text, &failed) < 0) {
		if (failed.kind == ERR_NOT_FOUND || failed.sys == ENOENT || failed.sys == ENOTDIR)
			return 0;
		*err = failed;
		return err_wrap(err, "credentials file");
	}
	rc = text_lookup(&text, dockercfg, path, host, repository, ret, err);
	explicit_bzero(text.buf, text.len);
	return rc;
}

static const char *env_get(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static char *path_below(const char *dir, const char *rest)
{
	return dir ? xasprintf("%s/%s", dir, rest) : NULL;
}

/* The files of 4.11 in order; absent ones are NULL. */
static void search_list(char *paths[4])
{
	const char *home = env_get("HOME"), *runtime = env_get("XDG_RUNTIME_DIR");
	const char *config = env_get("XDG_CONFIG_HOME"), *docker = env_get("DOCKER_CONFIG");

	paths[0] = runtime ? path_below(runtime, "containers/auth.json")
			   : xasprintf("/run/containers/%u/auth.json", (unsigned)getuid());
	paths[1] = config ? path_below(config, "containers/auth.json")
			  : path_below(home, ".config/containers/auth.json");
	paths[2] = docker ? path_below(docker, "config.json")
			  : path_below(home, ".docker/config.json");
	paths[3] = path_below(home, ".dockercfg");
}

int auth_cred_lookup(const char *auth_file, const char *host, const char *repository,
	struct auth_cred *ret, struct err *err)
{
	const char *only = auth_file ? auth_file : env_get("REGISTRY_AUTH_FILE");
	const char *inline_config = env_get("DOCKER_AUTH_CONFIG");
	auto_auth_cred found = AUTH_CRED_INIT;
	char *paths[4] = { NULL };
	int rc = 0;

	if (only) {
		if (file_lookup(only, false, host, repository, &found, err) < 0)
			return -1;
	} else {
		if (inline_config) {
			auto_strbuf text = STRBUF_INIT;

			strbuf_puts(&text, inline_config);
			rc = text_lookup(
				&text, false, "DOCKER_AUTH_CONFIG", host, repository, &found, err);
			explicit_bzero(text.buf, text.len);
		}
		search_list(paths);
		for (size_t i = 0; i < 4; i++) {
			if (rc == 0 && paths[i] && !found.source)
				rc = file_lookup(paths[i], i == 3, host, repository, &found, err);
			free(paths[i]);
		}
		if (rc < 0)
			return -1;
	}
	if (found.source)
		log_debug("auth: '%s' is known to %s", host, found.source);
	*ret = found;
	found = (struct auth_cred)AUTH_CRED_INIT;
	return 0;
}

char *auth_basic_header(const char *user, const char *password)
{
	auto_strbuf out = STRBUF_INIT;
	char *plain = xasprintf("%s:%s", user, password);

	strbuf_puts(&out, "Basic ");
	base64_encode(plain, strlen(plain), &out);
	free_secret(plain);
	return strbuf_take(&out);
}

/* Scopes. */

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The actions of two comma-separated lists together, sorted, each once; the caller frees. */
static char *actions_union(const char *a, const char *b)
{
	const char *lists[2] = { a, b };
	auto_strv all = STRV_INIT;
	auto_strbuf out = STRBUF_INIT;

	for (size_t i = 0; i < 2; i++) {
		for (const char *p = lists[i]; *p && all.len < SCOPE_ACTIONS_MAX;) {
			size_t n = strcspn(p, ",");

			if (n > 0)
				strv_take(&all, xstrndup(p, n));
			p += n + (p[n] == ',');
		}
	}
	if (all.len > 0)
		qsort(all.v, all.len, sizeof(all.v[0]), compare_strings);
	for (size_t i = 0; i < all.len; i++) {
		if (i > 0 && strcmp(all.v[i], all.v[i - 1]) == 0)
			continue;
		strbuf_printf(&out, "%s%s", out.len ? "," : "", all.v[i]);
	}
	return strbuf_take(&out);
}

static void scope_add(struct strv *list, const char *scope)
{
	const char *first = strchr(scope, ':'), *last = strrchr(scope, ':');
	auto_free char *actions = NULL;
	size_t stem;

	if (!first || first == last || first == scope || last[1 + strspn(last + 1, ",")] == '\0')
		return;
	stem = (size_t)(last - scope) + 1; /* "type:name:" */
	for (size_t i = 0; i < list->len; i++) {
		const char *have = list->v[i];

		if (strrchr(have, ':') + 1 - have == (ptrdiff_t)stem &&
			strncmp(have, scope, stem) == 0) {
			char *longer;

			actions = actions_union(have + stem, last + 1);
			longer = xasprintf("%.*s%s", (int)stem, scope, actions);
			free(list->v[i]);
			list->v[i] = longer;
			return;
		}
	}
	if (list->len >= SCOPES_MAX)
		return;
	actions = actions_union(last + 1, "");
	strv_take(list, xasprintf("%.*s%s", (int)stem, scope, actions));
}

void auth_scopes_add(struct strv *list, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, " ");
		auto_free char *scope = xstrndup(text, n);

		if (n > 0)
			scope_add(list, scope);
		text += n + (text[n] == ' ');
	}
}

/* Tokens. */

void auth_token_release(struct auth_token *t)
{
	free_secret(t->value);
	free_secret(t->refresh);
	*t = (struct auth_token)AUTH_TOKEN_INIT;
}

static bool token_valid(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > AUTH_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] <= 0x20 || s[i] >= 0x7f)
			return false;
	return true;
}

int auth_token_parse(const void *body, size_t n, struct auth_token *ret, struct err *err)
{
	struct err dropped =
		ERR_INIT; /* the parser quotes what it stumbles over: it may be the token */
	struct doc *root = doc_parse(body, n, "answer of the token service", &dropped);
	const char *value, *refresh;
	uint64_t life = 0;
	int rc = 0;

	if (!root)
		return err_set(err, ERR_INPUT, "the answer of the token service is not valid JSON");
	value = doc_get_str(root, "token");
	if (!value || !*value)
		value = doc_get_str(root, "access_token");
	refresh = doc_get_str(root, "refresh_token");
	if (doc_get_u64(root, "expires_in", &life) < 0 || life < TOKEN_LIFE_MIN_S)
		life = TOKEN_LIFE_MIN_S;
	if (!value) {
		rc = err_set(err, ERR_INPUT, "the token service sent no token");
	} else if (!token_valid(value)) {
		rc = err_set(err, ERR_INPUT,
			"the token service sent a token that cannot stand in a header");
	} else {
		ret->value = xstrdup(value);
		ret->refresh = refresh && *refresh ? xstrdup(refresh) : NULL;
		ret->lifetime_s = life < TOKEN_LIFE_MAX_S ? life : TOKEN_LIFE_MAX_S;
	}
	doc_free(root);
	return rc;
}

static int realm_parse(
	const char *realm, const struct http_policy *policy, struct url *ret, struct err *err)
{
	auto_url url = URL_INIT;

	if (url_parse(realm, &url, err) < 0)
		return err_wrap(err, "the registry's token service");
	if (strcmp(url.scheme, "https") != 0 && !policy->plain_ok)
		return err_set(err, ERR_DENIED, "the registry's token service on '%s' is not https",
			url.host);
	if (host_addr_class(url.host) != ADDR_PUBLIC && !policy->private_ok &&
		!(policy->home_host && strcmp(policy->home_host, url.host) == 0))
		return err_set(err, ERR_DENIED,
			"the registry's token service is at the private address '%s'", url.host);
	*ret = url;
	url = (struct url)URL_INIT;
	return 0;
}

int auth_realm_check(const char *realm, const struct http_policy *policy, struct err *err)
{
	auto_url url = URL_INIT;

	return realm_parse(realm, policy, &url, err);
}

static void form_add(struct strbuf *form, const char *name, const char *value)
{
	strbuf_printf(form, "%s%s=", form->len ? "&" : "", name);
	url_encode(form, value);
}

/* The GET form: everything in the query. */
static void token_query(struct strbuf *url, const struct auth_challenge *challenge,
	const struct strv *scopes, const struct auth_cred *cred)
{
	if (challenge->service)
		url_add_query(url, "service", challenge->service);
	for (size_t i = 0; i < scopes->len; i++)
		url_add_query(url, "scope", scopes->v[i]);
	if (cred->user && cred->password)
		url_add_query(url, "account", cred->user);
	url_add_query(url, "client_id", CLIENT_ID);
}

/* The OAuth2 form for an identity token. */
static void token_form(struct strbuf *form, const struct auth_challenge *challenge,
	const struct strv *scopes, const struct auth_cred *cred)
{
	auto_strbuf joined = STRBUF_INIT;

	for (size_t i = 0; i < scopes->len; i++)
		strbuf_printf(&joined, "%s%s", i ? " " : "", scopes->v[i]);
	form_add(form, "grant_type", "refresh_token");
	form_add(form, "refresh_token", cred->identity_token);
	if (challenge->service)
		form_add(form, "service", challenge->service);
	form_add(form, "client_id", CLIENT_ID);
	form_add(form, "scope", joined.buf);
}

static int token_answer(const struct http_response *resp, const char *host, bool anonymous,
	struct auth_token *ret, struct err *err)
{
	auto_free char *text = NULL;

	if (resp->status == 200) {
		if (auth_token_parse(resp->body.buf, resp->body.len, ret, err) < 0)
			return err_wrap(err, "'%s'", host);
		return 0;
	}
	text = http_error_text(resp);
	if (resp->status >= 500 || http_status_retries(resp->status))
		return err_set(err, ERR_NETWORK, "token service '%s' answers %s", host, text);
	if (anonymous)
		return err_set(err, ERR_DENIED, "token service '%s' gives no anonymous access: %s",
			host, text);
	return err_set(
		err, ERR_DENIED, "token service '%s' refuses the credentials: %s", host, text);
}

int auth_token_fetch(struct http *http, const struct http_policy *policy,
	const struct auth_challenge *challenge, const struct strv *scopes,
	const struct auth_cred *cred, struct auth_token *ret, struct err *err)
{
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	auto_strbuf url_text = STRBUF_INIT, form = STRBUF_INIT;
	auto_free char *basic = NULL;
	auto_url url = URL_INIT;
	bool usable = auth_cred_usable(cred);
	int rc;

	if (realm_parse(challenge->realm, policy, &url, err) < 0)
		return -1;
	if (usable && strcmp(url.scheme, "https") != 0 && !policy->plain_secrets &&
		host_addr_class(url.host) != ADDR_LOOPBACK)
		return err_set(err, ERR_DENIED, "credentials are not sent to '%s' over plain http",
			url.host);

	strbuf_puts(&url_text, url.full);
	req.method = "GET";
	req.accept = "application/json";
	req.policy = policy;
	req.response_max = AUTH_TOKEN_BODY_MAX;
	if (cred->identity_token) {
		token_form(&form, challenge, scopes, cred);
		req.method = "POST";
		req.content_type = "application/x-www-form-urlencoded";
		req.body = form.buf;
		req.body_size = form.len;
		req.stay = true;
	} else {
		token_query(&url_text, challenge, scopes, cred);
		if (cred->user && cred->password)
			req.authorization = basic = auth_basic_header(cred->user, cred->password);
	}
	req.url = url_text.buf;
	rc = http_send(http, &req, &resp, err);
	if (rc == 0)
		rc = token_answer(&resp, url.host, !usable, ret, err);
	explicit_bzero(form.buf, form.len);
	if (basic)
		explicit_bzero(basic, strlen(basic));
	if (resp.body.len > 0)
		explicit_bzero(resp.body.buf, resp.body.len);
	return rc;
}
