/*
 * Scheme, challenges, tokens, credentials: seen through registry_get_manifest(), the simplest call.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/mem.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "registry/http.h"
#include "registry/pull.h"
#include "unit/registry_server.h"

#define MANIFEST "{\"schemaVersion\":2}"
#define USER_BASIC "Basic dXNlcjpwYXNzd29yZA=="

enum mode { OPEN, BEARER, BASIC, BASIC_REPO, FOREVER, FORBIDDEN };

struct world {
	struct server s, tokens;
	enum mode mode;
	char realm[256];         /* what the challenge names; "" for the token server */
	const char *token_reply; /* the token server's body; NULL: a fresh token */
	int token_status;
	int issued;  /* tokens so far */
	bool expire; /* only the newest token is good, and it has been used up */
	bool no_ping_challenge;
	char auth_path[64];
	struct registry_client *client;
};

static bool bearer_is_good(struct world *w, const char *auth)
{
	char want[64];

	snprintf(want, sizeof(want), "Bearer token-%d", w->issued);
	return auth && strcmp(auth, want) == 0;
}

static void serve_registry(struct server *s, const struct request *r, int fd)
{
	struct world *w = s->arg;
	char value[4096], headers[1024] = "";
	const char *auth = request_header(r, "authorization", value);
	bool ping = strcmp(r->target, "/v2/") == 0;
	bool good = w->mode == OPEN || (w->mode == BEARER && bearer_is_good(w, auth)) ||
		    ((w->mode == BASIC || (w->mode == BASIC_REPO && !ping)) && auth &&
			    strcmp(auth, USER_BASIC) == 0);

	if (w->mode == BASIC_REPO && ping)
		good = true;
	if (w->mode == FORBIDDEN && !ping) {
		reply_text(fd, 403, "", "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"}]}");
		return;
	}
	if (w->expire && good && !ping) {
		w->expire = false;
		good = false;
	}
	if (good || w->mode == FORBIDDEN) {
		reply_text(fd, 200, "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n",
			MANIFEST);
		return;
	}
	if (w->mode == BASIC || w->mode == BASIC_REPO)
		snprintf(headers, sizeof(headers), "WWW-Authenticate: Basic realm=\"here\"\r\n");
	else if (w->realm[0])
		snprintf(headers, sizeof(headers), "WWW-Authenticate: Bearer realm=\"%s\"\r\n",
			w->realm);
	else
		snprintf(headers, sizeof(headers),
			"WWW-Authenticate: Bearer "
			"realm=\"http://127.0.0.1:%u/token?keep=1\",service=\"the registry\"%s\r\n",
			w->tokens.port, ping ? "" : ",scope=\"repository:team/app:delete,pull\"");
	reply_text(fd, 401, w->no_ping_challenge && ping ? "" : headers,
		"{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"log in\"}]}");
}

static void serve_tokens(struct server *s, const struct request *r, int fd)
{
	struct world *w = s->arg;
	char body[128];

	(void)r;
	if (w->token_reply || w->token_status) {
		reply_text(fd, w->token_status ? w->token_status : 200, "",
			w->token_reply ? w->token_reply : "{}");
		return;
	}
	snprintf(body, sizeof(body), "{\"token\":\"token-%d\",\"expires_in\":300}", ++w->issued);
	reply_text(fd, 200, "", body);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct registry_options options = REGISTRY_OPTIONS_INIT;
	struct err err = ERR_INIT;

	clean_environment();
	assert_int_equal(http_global_init(&err), 0);
	server_start(&w->s, serve_registry, w);
	server_start(&w->tokens, serve_tokens, w);
	options.retry_base_ms = 10;
	w->client = registry_client_new(&options);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	registry_client_free(w->client);
	server_stop(&w->s);
	server_stop(&w->tokens);
	if (w->auth_path[0])
		unlink(w->auth_path);
	free(w);
	return 0;
}

/* Write a credentials file for the registry and make a client that reads it. */
static void with_file(struct world *w, const char *format)
{
	struct registry_options options = REGISTRY_OPTIONS_INIT;
	char text[1024];
	int fd;

	snprintf(text, sizeof(text), "{\"auths\":{\"127.0.0.1:%u\":%s},\"credHelpers\":{%s}}",
		w->s.port, *format == '{' ? format : "{}", *format == '{' ? "" : format);
	for (char *p = strstr(text, "PORT"); p; p = strstr(text, "PORT")) {
		char port[8];

		snprintf(port, sizeof(port), "%u", w->s.port);
		memmove(p + strlen(port), p + 4, strlen(p + 4) + 1);
		memcpy(p, port, strlen(port));
	}
	snprintf(w->auth_path, sizeof(w->auth_path), "/tmp/whittle-auth-XXXXXX");
	fd = mkstemp(w->auth_path);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	registry_client_free(w->client);
	options.auth_file = w->auth_path;
	options.retry_base_ms = 10;
	w->client = registry_client_new(&options);
}

static int get_named(struct world *w, const char *name, struct err *err)
{
	struct reference ref = REFERENCE_INIT;
	auto_free char *text = xasprintf("127.0.0.1:%u/%s", w->s.port, name);
	auto_strbuf body = STRBUF_INIT;
	auto_free char *type = NULL;
	char digest[DIGEST_STR_SIZE] = "untouched";
	int rc;

	*err = (struct err)ERR_INIT;
	assert_int_equal(reference_parse(text, &ref, err), 0);
	rc = registry_get_manifest(w->client, &ref, NULL, &body, &type, digest, err);
	if (rc == 0) {
		assert_string_equal(body.buf, MANIFEST);
	} else {
		assert_int_equal(body.len, 0);
		assert_null(type);
		assert_string_equal(digest, "untouched");
		assert_null(strstr(err->msg, "password"));
	}
	reference_release(&ref);
	return rc;
}

static int get(struct world *w, struct err *err)
{
	return get_named(w, "team/app:1", err);
}

static void an_open_registry_on_loopback_is_spoken_to_in_plain_http(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	assert_int_equal(get(w, &err), 0);
	assert_int_equal(get(w, &err), 0);
	assert_int_equal(server_count(&w->s, "GET /v2/", NULL), 3); /* one ping, two manifests */
	assert_int_equal(server_count(&w->s, "GET /v2/team/app/manifests/1", NULL), 2);
}

static void an_anonymous_token_is_fetched_once_and_used_again(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	struct err err = ERR_INIT;
	char value[4096];

	w->mode = BEARER;
	assert_int_equal(get(w, &err), 0);
	assert_int_equal(get(w, &err), 0);
	assert_int_equal(server_count(&w->tokens, "GET /token", &r), 1);
	assert_string_equal(r->target, "/token?keep=1&service=the%20registry&scope=repository%"
				       "3Ateam%2Fapp%3Apull&client_id=whittle");
	assert_null(request_header(r, "authorization", value));
	server_count(&w->s, "GET /v2/team", &r);
	assert_string_equal(request_header(r, "authorization", value), "Bearer token-1");
	/* Another repository needs another token. */
	assert_int_equal(get_named(w, "team/other:1", &err), 0);
	assert_int_equal(server_count(&w->tokens, "GET /token", NULL), 2);
}

static void a_401_fetches_a_token_with_the_scopes_of_both(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	struct err err = ERR_INIT;

	w->mode = BEARER;
	assert_int_equal(get(w, &err), 0);
	w->expire = true;
	assert_int_equal(get(w, &err), 0);
	assert_int_equal(server_count(&w->tokens, "GET /token", &r), 2);
	assert_non_null(strstr(r->target, "scope=repository%3Ateam%2Fapp%3Adelete%2Cpull"));
}

static void a_challenge_may_come_late(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->mode = BEARER;
	w->no_ping_challenge = true;
	assert_int_equal(get(w, &err), 0);
	assert_int_equal(server_count(&w->s, "GET /v2/team", NULL), 2);
}

static void a_401_for_ever_is_tried_once_more_and_no_more(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->mode = FOREVER;
	assert_int_equal(get(w, &err), -1);
	assert_int_equal(err.kind, ERR_DENIED);
	assert_int_equal(server_count(&w->s, "GET /v2/team", NULL), 2);
	assert_int_equal(server_count(&w->tokens, "GET /token", NULL), 2);
}

static void a_403_is_final_and_asks_for_a_login(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->mode = FORBIDDEN;
	assert_int_equal(get(w, &err), -1);
	assert_int_equal(err.kind, ERR_DENIED);
	assert_int_equal(server_count(&w->s, "GET /v2/team", NULL), 1);
	assert_non_null(strstr(err.msg, "login"));
}

static void credentials_go_to_the_token_service(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	struct err err = ERR_INIT;
	char value[4096];

	w->mode = BEARER;
	with_file(w, "{\"auth\":\"dXNlcjpwYXNzd29yZA==\"}");
	assert_int_equal(get(w, &err), 0);
	assert_int_equal(server_count(&w->tokens, "GET /token", &r), 1);
	assert_string_equal(request_header(r, "authorization", value), USER_BASIC);
	assert_non_null(strstr(r->target, "&account=user&"));
	server_count(&w->s, "GET /v2/team", &r);
	assert_string_equal(request_header(r, "authorization", value), "Bearer token-1");
}

static void an_identity_token_is_traded_by_post(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	struct err err = ERR_INIT;
	char value[4096];

	w->mode = BEARER;
	with_file(w, "{\"identitytoken\":\"id/tok\"}");
	assert_int_equal(get(w, &err), 0);
	assert_int_equal(server_count(&w->tokens, "POST /token?keep=1", &r), 1);
	assert_string_equal(r->body,
		"grant_type=refresh_token&refresh_token=id%2Ftok&service=the%20registry&"
		"client_id=whittle&scope=repository%3Ateam%2Fapp%3Apull");
	assert_string_equal(
		request_header(r, "content-type", value), "application/x-www-form-urlencoded");
}

static void a_registry_token_is_used_as_it_is(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->mode = BEARER;
	w->issued = 7;
	with_file(w, "{\"registrytoken\":\"token-7\"}");
	assert_int_equal(get(w, &err), 0);
	assert_int_equal(w->tokens.nseen, 0);
}

static void basic_is_sent_when_asked_for(void **state)
{
	static const enum mode modes[] = { BASIC, BASIC_REPO };
	struct world *w = *state;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < 2; i++) {
		w->mode = modes[i];
		with_file(w, "{\"auth\":\"dXNlcjpwYXNzd29yZA==\"}");
		assert_int_equal(get(w, &err), 0);
		unlink(w->auth_path);
	}
	with_file(w, "{\"auth\":\"dXNlcjp3cm9uZw==\"}");
	assert_int_equal(get(w, &err), -1);
	assert_int_equal(err.kind, ERR_DENIED);
}

static void a_helper_is_missed_only_by_a_registry_that_refuses(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->mode = BEARER;
	with_file(w, "\"127.0.0.1:PORT\":\"vault\"");
	assert_int_equal(get(w, &err), 0);
	registry_client_free(w->client);
	w->client = NULL;
	unlink(w->auth_path);
	with_file(w, "\"127.0.0.1:PORT\":\"vault\"");
	w->mode = FOREVER;
	assert_int_equal(get(w, &err), -1);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "vault"));
	unlink(w->auth_path);
	with_file(w, "\"127.0.0.1:PORT\":\"vault\"");
	w->token_status = 401;
	assert_int_equal(get(w, &err), -1);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
}

static void bad_realms_are_never_asked(void **state)
{
	static const char *const realms[] = { "ftp://auth.example/",
		"https://user:pw@auth.example/", "https:///token", "/token" };
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->mode = BEARER;
	for (size_t i = 0; i < sizeof(realms) / sizeof(realms[0]); i++) {
		snprintf(w->realm, sizeof(w->realm), "%s", realms[i]);
		with_file(w, "{\"auth\":\"dXNlcjpwYXNzd29yZA==\"}");
		assert_int_equal(get(w, &err), -1);
		assert_true(err.kind == ERR_DENIED || err.kind == ERR_INPUT);
		unlink(w->auth_path);
	}
	/* Plain http to another machine: not with credentials. */
	snprintf(w->realm, sizeof(w->realm), "http://auth.example/token");
	with_file(w, "{\"auth\":\"dXNlcjpwYXNzd29yZA==\"}");
	assert_int_equal(get(w, &err), -1);
	assert_int_equal(err.kind, ERR_DENIED);
	assert_non_null(strstr(err.msg, "plain http"));
}

static void a_token_service_may_fail_in_many_ways(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum err_kind kind;
	} cases[] = {
		{ 200, "{\"token\":\"a\\r\\nX-Evil: 1\"}", ERR_INPUT },
		{ 200, "{}", ERR_INPUT },
		{ 200, "nonsense", ERR_INPUT },
		{ 401, "{\"details\":\"incorrect login\"}", ERR_DENIED },
		{ 403, "", ERR_DENIED },
		{ 503, "", ERR_NETWORK },
	};
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->mode = BEARER;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		w->token_status = cases[i].status;
		w->token_reply = cases[i].body;
		assert_int_equal(get(w, &err), -1);
		if (err.kind != cases[i].kind)
			fail_msg("case %zu: %s: %s", i, err_kind_name(err.kind), err.msg);
	}
}

static void credentials_for_a_plain_registry_elsewhere_are_kept_back(void **state)
{
	struct world *w = *state;
	auto_strv insecure = STRV_INIT;
	struct registry_options options = REGISTRY_OPTIONS_INIT;
	struct reference ref = REFERENCE_INIT;
	auto_strbuf body = STRBUF_INIT;
	auto_free char *type = NULL, *text = NULL, *proxy = NULL;
	char digest[DIGEST_STR_SIZE];
	struct err err = ERR_INIT;

	/* Our server is the proxy of "registry.example", which is configured insecure. */
	w->mode = BASIC;
	setenv("DOCKER_AUTH_CONFIG",
		"{\"auths\":{\"registry.example:80\":{\"auth\":\"dXNlcjpwYXNzd29yZA==\"}}}", 1);
	proxy = xasprintf("http://127.0.0.1:%u", w->s.port);
	setenv("http_proxy", proxy, 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1); /* no TLS to be had */
	strv_add(&insecure, "registry.example:80");
	options.insecure = &insecure;
	options.retry_base_ms = 10;
	registry_client_free(w->client);
	w->client = registry_client_new(&options);
	text = xstrdup("registry.example:80/team/app:1");
	assert_int_equal(reference_parse(text, &ref, &err), 0);
	assert_int_equal(
		registry_get_manifest(w->client, &ref, NULL, &body, &type, digest, &err), -1);
	assert_int_equal(err.kind, ERR_DENIED);
	for (size_t i = 0; i < w->s.nseen; i++) {
		char value[4096];

		assert_null(request_header(w->s.seen[i], "authorization", value));
	}
	assert_true(w->s.nseen > 0); /* it did come through the proxy */
	reference_release(&ref);
	clean_environment();
}

static void nothing_listens_is_a_network_error(void **state)
{
	struct world *w = *state;
	struct reference ref = REFERENCE_INIT;
	auto_strbuf body = STRBUF_INIT;
	auto_free char *type = NULL;
	char digest[DIGEST_STR_SIZE];
	struct err err = ERR_INIT;

	assert_int_equal(reference_parse("127.0.0.1:1/a:b", &ref, &err), 0);
	assert_int_equal(
		registry_get_manifest(w->client, &ref, NULL, &body, &type, digest, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	reference_release(&ref);
}

struct job {
	struct world *w;
	int rc;
	struct err err;
};

static void *get_in_thread(void *arg)
{
	struct job *j = arg;
	char name[32];

	for (int i = 0; i < 5 && j->rc == 0; i++) {
		snprintf(name, sizeof(name), "team/app%d:1", i % 2);
		j->rc = get_named(j->w, name, &j->err);
	}
	return NULL;
}

static void one_client_serves_several_threads(void **state)
{
	struct world *w = *state;
	struct job jobs[4];
	pthread_t threads[4];

	w->mode = BASIC;
	with_file(w, "{\"auth\":\"dXNlcjpwYXNzd29yZA==\"}");
	for (size_t i = 0; i < 4; i++) {
		jobs[i] = (struct job){ .w = w };
		assert_int_equal(pthread_create(&threads[i], NULL, get_in_thread, &jobs[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		if (jobs[i].rc < 0)
			fail_msg("%s", jobs[i].err.msg);
	}
	assert_int_equal(server_count(&w->s, "GET /v2/", NULL), 21);
}

#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(an_open_registry_on_loopback_is_spoken_to_in_plain_http),
		WITH_WORLD(an_anonymous_token_is_fetched_once_and_used_again),
		WITH_WORLD(a_401_fetches_a_token_with_the_scopes_of_both),
		WITH_WORLD(a_challenge_may_come_late),
		WITH_WORLD(a_401_for_ever_is_tried_once_more_and_no_more),
		WITH_WORLD(a_403_is_final_and_asks_for_a_login),
		WITH_WORLD(credentials_go_to_the_token_service),
		WITH_WORLD(an_identity_token_is_traded_by_post),
		WITH_WORLD(a_registry_token_is_used_as_it_is),
		WITH_WORLD(basic_is_sent_when_asked_for),
		WITH_WORLD(a_helper_is_missed_only_by_a_registry_that_refuses),
		WITH_WORLD(bad_realms_are_never_asked),
		WITH_WORLD(a_token_service_may_fail_in_many_ways),
		WITH_WORLD(credentials_for_a_plain_registry_elsewhere_are_kept_back),
		WITH_WORLD(nothing_listens_is_a_network_error),
		WITH_WORLD(one_client_serves_several_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
