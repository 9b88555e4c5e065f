#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "registry/auth.h"
#include "registry/http.h"
#include "unit/registry_server.h"

static void parses_a_bearer_challenge(void **state)
{
	auto_auth_challenge c = AUTH_CHALLENGE_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
		auth_challenge_parse(
			"Bearer realm=\"https://auth.example/token\",service=\"registry.example\","
			"scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\"",
			&c, &err),
		0);
	assert_int_equal(c.scheme, AUTH_BEARER);
	assert_string_equal(c.realm, "https://auth.example/token");
	assert_string_equal(c.service, "registry.example");
	assert_string_equal(c.scope, "repository:a/b:pull,push");
	assert_string_equal(c.error, "insufficient_scope");
}

static void challenges_come_in_many_shapes(void **state)
{
	static const struct {
		const char *value;
		enum auth_scheme scheme;
		const char *realm, *service;
	} cases[] = {
		{ "", AUTH_NONE, NULL, NULL },
		{ " , ,", AUTH_NONE, NULL, NULL },
		{ "Basic", AUTH_BASIC, NULL, NULL },
		{ "basic realm=x", AUTH_BASIC, "x", NULL },
		{ "BEARER Realm=https://h/t , SERVICE=s", AUTH_BEARER, "https://h/t", "s" },
		{ "Bearer realm = \"https://h/t\" , service = \"a b\"", AUTH_BEARER, "https://h/t",
			"a b" },
		{ "Bearer realm=\"q\\\"uo\\\\te\"", AUTH_BEARER, "q\"uo\\te", NULL },
		{ "Basic realm=\"x\", Bearer realm=\"https://h/t\"", AUTH_BEARER, "https://h/t",
			NULL },
		{ "Bearer realm=\"https://h/t\",service=\"s\", Basic realm=\"x\"", AUTH_BEARER,
			"https://h/t", "s" },
		{ "Bearer realm=\"https://one/\", Bearer realm=\"https://two/\"", AUTH_BEARER,
			"https://one/", NULL },
		{ "Negotiate, Basic realm=\"x\"", AUTH_BASIC, "x", NULL },
		{ "Negotiate abc==, Basic realm=x", AUTH_BASIC, "x", NULL },
		{ "Digest realm=\"d\", nonce=\"n\", qop=\"auth,auth-int\"", AUTH_NONE, NULL, NULL },
		{ "Bearer service=\"s\"", AUTH_NONE, NULL, NULL },
		{ "Bearer realm=\"\", Basic realm=x", AUTH_BASIC, "x", NULL },
		{ "Bearer realm=one,realm=two", AUTH_BEARER, "one", NULL },
		{ "realm=\"x\"", AUTH_NONE, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_auth_challenge c = AUTH_CHALLENGE_INIT;
		struct err err = ERR_INIT;

		if (auth_challenge_parse(cases[i].value, &c, &err) < 0)
			fail_msg("'%s': %s", cases[i].value, err.msg);
		if (c.scheme != cases[i].scheme)
			fail_msg("'%s' is scheme %d", cases[i].value, c.scheme);
		if (cases[i].realm ? !c.realm || strcmp(c.realm, cases[i].realm) != 0
				   : c.realm != NULL)
			fail_msg("'%s' has realm '%s'", cases[i].value,
				c.realm ? c.realm : "(none)");
		if (cases[i].service ? !c.service || strcmp(c.service, cases[i].service) != 0
				     : c.service != NULL)
			fail_msg("'%s' has service '%s'", cases[i].value,
				c.service ? c.service : "(none)");
	}
}

static void several_headers_give_one_choice(void **state)
{
	auto_auth_challenge c = AUTH_CHALLENGE_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(auth_challenge_parse("Basic realm=\"b\"", &c, &err), 0);
	assert_int_equal(auth_challenge_parse("Bearer realm=\"https://h/\"", &c, &err), 0);
	assert_int_equal(auth_challenge_parse("Basic realm=\"c\"", &c, &err), 0);
	assert_int_equal(c.scheme, AUTH_BEARER);
	assert_string_equal(c.realm, "https://h/");
}

static void hostile_challenges_are_refused(void **state)
{
	auto_auth_challenge c = AUTH_CHALLENGE_INIT;
	auto_strbuf many = STRBUF_INIT, big = STRBUF_INIT;
	const char *bad[6] = { "Bearer realm=\"open", "Bearer realm=\"x\\",
		"Bearer realm=\"a\x01\"", "Bearer @=x" };

	(void)state;
	for (int i = 0; i < 1000; i++)
		strbuf_printf(&many, "Scheme%d ", i);
	strbuf_puts(&big, "Bearer realm=\"");
	for (int i = 0; i < 1024 * 1024; i++)
		strbuf_putc(&big, 'x');
	strbuf_putc(&big, '"');
	bad[4] = many.buf;
	bad[5] = big.buf;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(auth_challenge_parse(bad[i], &c, &err), -1);
		assert_int_equal(err.kind, ERR_INPUT);
		assert_int_equal(c.scheme, AUTH_NONE);
		assert_null(c.realm);
	}
}

static void scopes_are_united_and_sorted(void **state)
{
	auto_strv l = STRV_INIT;

	(void)state;
	auth_scopes_add(&l, "repository:a/b:push,pull  repository:h:5000/c:pull");
	auth_scopes_add(&l, "repository:a/b:pull,delete,pull registry:catalog:* junk :x: a:b "
			    "repository:: a:b:,");
	assert_int_equal(l.len, 3);
	assert_string_equal(l.v[0], "repository:a/b:delete,pull,push");
	assert_string_equal(l.v[1], "repository:h:5000/c:pull");
	assert_string_equal(l.v[2], "registry:catalog:*");
}

static void the_number_of_scopes_is_bounded(void **state)
{
	auto_strv l = STRV_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		auto_free char *scope = xasprintf("repository:r%d:pull", i);

		auth_scopes_add(&l, scope);
	}
	assert_true(l.len <= 32);
}

static void reads_tokens(void **state)
{
	static const struct {
		const char *body, *token;
		uint64_t life;
	} cases[] = {
		{ "{\"token\":\"abc\",\"expires_in\":300}", "abc", 300 },
		{ "{\"access_token\":\"abc\"}", "abc", 60 },
		{ "{\"token\":\"\",\"access_token\":\"def\"}", "def", 60 },
		{ "{\"token\":\"a\",\"access_token\":\"b\",\"expires_in\":59}", "a", 60 },
		{ "{\"token\":\"a\",\"expires_in\":-1}", "a", 60 },
		{ "{\"token\":\"a\",\"expires_in\":1e9}", "a", 60 },
		{ "{\"token\":\"a\",\"expires_in\":\"3600\"}", "a", 60 },
		{ "{\"token\":\"a\",\"expires_in\":9223372036854775807}", "a", 86400 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_auth_token t = AUTH_TOKEN_INIT;
		struct err err = ERR_INIT;

		if (auth_token_parse(cases[i].body, strlen(cases[i].body), &t, &err) < 0)
			fail_msg("%s: %s", cases[i].body, err.msg);
		assert_string_equal(t.value, cases[i].token);
		assert_int_equal(t.lifetime_s, cases[i].life);
	}
}

static void hostile_tokens_are_refused_and_never_quoted(void **state)
{
	static const char *const bad[] = { "", "{}", "[]", "{\"token\":7}", "{\"token\":\"\"}",
		"{\"token\":\"sesame\\r\\nX: y\"}", "{\"token\":\"sesame street\"}",
		"{\"token\":\"sesam\\u00e9\"}", "{\"token\":\"sesame\" sesame", "<html>" };
	auto_strbuf big = STRBUF_INIT;
	auto_auth_token t = AUTH_TOKEN_INIT;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err = (struct err)ERR_INIT;
		assert_int_equal(auth_token_parse(bad[i], strlen(bad[i]), &t, &err), -1);
		assert_int_equal(err.kind, ERR_INPUT);
		assert_null(strstr(err.msg, "sesam"));
		assert_null(t.value);
	}
	strbuf_puts(&big, "{\"token\":\"");
	for (int i = 0; i <= AUTH_TOKEN_MAX; i++)
		strbuf_putc(&big, 't');
	strbuf_puts(&big, "\"}");
	assert_int_equal(auth_token_parse(big.buf, big.len, &t, &err), -1);
}

static void basic_is_base64(void **state)
{
	static const char *const cases[][3] = {
		{ "user", "password", "Basic dXNlcjpwYXNzd29yZA==" },
		{ "a", "b", "Basic YTpi" },
		{ "a", "bc", "Basic YTpiYw==" },
		{ "a", "bcd", "Basic YTpiY2Q=" },
		{ "", "", "Basic Og==" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *header = auth_basic_header(cases[i][0], cases[i][1]);

		assert_string_equal(header, cases[i][2]);
	}
}

/* Credentials files. */

struct home {
	char dir[64];
	int fd;
};

static int home_setup(void **state)
{
	struct home *h = xcalloc(1, sizeof(*h));

	clean_environment();
	snprintf(h->dir, sizeof(h->dir), "/tmp/whittle-auth-XXXXXX");
	assert_non_null(mkdtemp(h->dir));
	h->fd = open(h->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	setenv("HOME", h->dir, 1);
	*state = h;
	return 0;
}

static int home_teardown(void **state)
{
	struct home *h = *state;

	close(h->fd);
	remove_tree(AT_FDCWD, h->dir);
	free(h);
	return 0;
}

static char *home_file(const struct home *h, const char *folder, const char *name, const char *text)
{
	auto_free char *dir = xasprintf("%s/%s", h->dir, folder);
	char *path = xasprintf("%s/%s", dir, name);
	struct err err = ERR_INIT;

	mkdir_p(AT_FDCWD, dir, 0700);
	assert_int_equal(write_file_atomic(AT_FDCWD, path, text, strlen(text), 0600, &err), 0);
	return path;
}

#define USER_PASSWORD "\"auth\":\"dXNlcjpwYXNzd29yZA==\""

static void finds_the_longest_key_first(void **state)
{
	auto_free char *path = home_file(*state, ".docker", "config.json",
		"{\"auths\":{\"h:5000\":{" USER_PASSWORD
		"},\"h:5000/team\":{\"auth\":\"dGVhbTpzZWNyZXQ=\"},"
		"\"h:5000/team/app\":{\"auth\":\"YXBwOng6eQ==\"},\"other/"
		"team\":{\"auth\":\"dGVhbTpzZWNyZXQ=\"}}}");
	static const char *const cases[][4] = {
		{ "h:5000", "a", "user", "password" }, { "h:5000", "teams", "user", "password" },
		{ "h:5000", "team/b", "team", "secret" }, { "h:5000", "team/app", "app", "x:y" },
		{ "h:5000", "team/app/deep", "app", "x:y" }, { "h:5001", "a", NULL, NULL },
		{ "other", "a", NULL, NULL }, /* the key holds for one namespace only */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_auth_cred cred = AUTH_CRED_INIT;
		struct err err = ERR_INIT;

		assert_int_equal(auth_cred_lookup(NULL, cases[i][0], cases[i][1], &cred, &err), 0);
		if (!cases[i][2]) {
			assert_false(auth_cred_usable(&cred));
			assert_null(cred.source);
			continue;
		}
		assert_string_equal(cred.user, cases[i][2]);
		assert_string_equal(cred.password, cases[i][3]);
		assert_string_equal(cred.source, path);
	}
}

static void the_hub_has_many_names(void **state)
{
	static const char *const keys[] = { "https://index.docker.io/v1/", "docker.io",
		"index.docker.io", "registry-1.docker.io", "http://docker.io/v2/" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		auto_free char *text =
			xasprintf("{\"auths\":{\"%s\":{" USER_PASSWORD "}}}", keys[i]);
		auto_auth_cred cred = AUTH_CRED_INIT;
		struct err err = ERR_INIT;

		free(home_file(*state, ".docker", "config.json", text));
		assert_int_equal(
			auth_cred_lookup(NULL, "docker.io", "library/alpine", &cred, &err), 0);
		if (!auth_cred_usable(&cred))
			fail_msg("key '%s' is not found", keys[i]);
		auth_cred_release(&cred);
		assert_int_equal(auth_cred_lookup(NULL, "docker.io.evil.example", "library/alpine",
					 &cred, &err),
			0);
		assert_false(auth_cred_usable(&cred));
	}
}

static void files_are_tried_in_order(void **state)
{
	struct home *h = *state;
	auto_free char *docker = home_file(
		h, ".docker", "config.json", "{\"auths\":{\"h\":{\"auth\":\"ZG9ja2VyOnA=\"}}}");
	auto_free char *runtime = home_file(
		h, "run/containers", "auth.json", "{\"auths\":{\"h\":{\"auth\":\"cnVuOnA=\"}}}");
	auto_free char *only =
		home_file(h, "only", "auth.json", "{\"auths\":{\"h\":{\"auth\":\"b25seTpw\"}}}");
	auto_free char *empty = home_file(h, "only", "empty.json", "{}");
	auto_free char *rundir = xasprintf("%s/run", h->dir);
	auto_auth_cred cred = AUTH_CRED_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(auth_cred_lookup(NULL, "h", "a", &cred, &err), 0);
	assert_string_equal(cred.user, "docker");
	auth_cred_release(&cred);
	setenv("XDG_RUNTIME_DIR", rundir, 1);
	assert_int_equal(auth_cred_lookup(NULL, "h", "a", &cred, &err), 0);
	assert_string_equal(cred.user, "run");
	auth_cred_release(&cred);
	setenv("DOCKER_AUTH_CONFIG", "{\"auths\":{\"h\":{\"auth\":\"ZW52OnA=\"}}}", 1);
	assert_int_equal(auth_cred_lookup(NULL, "h", "a", &cred, &err), 0);
	assert_string_equal(cred.user, "env");
	auth_cred_release(&cred);
	setenv("REGISTRY_AUTH_FILE", only, 1);
	assert_int_equal(auth_cred_lookup(NULL, "h", "a", &cred, &err), 0);
	assert_string_equal(cred.user, "only");
	auth_cred_release(&cred);
	/* A file that is named is the only one, also when it knows nothing. */
	assert_int_equal(auth_cred_lookup(empty, "h", "a", &cred, &err), 0);
	assert_false(auth_cred_usable(&cred));
	(void)docker, (void)runtime;
}

static void tokens_and_plain_members_are_understood(void **state)
{
	auto_free char *path = home_file(*state, ".docker", "config.json",
		"{\"auths\":{\"id\":{\"auth\":\"PHRva2VuPjo=\",\"identitytoken\":\"idtok\"},"
		"\"reg\":{\"registrytoken\":\"regtok\"},"
		"\"plain\":{\"username\":\"u\",\"password\":\"p\"},\"nul\":{\"auth\":\"dTpwAAA=\"},"
		"\"none\":{}}}");
	auto_auth_cred id = AUTH_CRED_INIT, reg = AUTH_CRED_INIT, plain = AUTH_CRED_INIT,
		       nul = AUTH_CRED_INIT, none = AUTH_CRED_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(auth_cred_lookup(path, "id", "a", &id, &err), 0);
	assert_string_equal(id.identity_token, "idtok");
	assert_int_equal(auth_cred_lookup(path, "reg", "a", &reg, &err), 0);
	assert_string_equal(reg.registry_token, "regtok");
	assert_int_equal(auth_cred_lookup(path, "plain", "a", &plain, &err), 0);
	assert_string_equal(plain.password, "p");
	assert_int_equal(auth_cred_lookup(path, "nul", "a", &nul, &err), 0);
	assert_string_equal(nul.password, "p");
	assert_int_equal(auth_cred_lookup(path, "none", "a", &none, &err), 0);
	assert_false(auth_cred_usable(&none));
}

static void helpers_are_named_for_their_registries(void **state)
{
	auto_free char *path = home_file(*state, ".docker", "config.json",
		"{\"credHelpers\":{\"special\":\"vault\"},\"credsStore\":\"desktop\",\"auths\":{"
		"\"special\":{" USER_PASSWORD "},\"known\":{" USER_PASSWORD "},\"empty\":{}}}");
	static const char *const cases[][2] = { { "special", "vault" }, { "known", NULL },
		{ "empty", "desktop" }, { "other", "desktop" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_auth_cred cred = AUTH_CRED_INIT;
		struct err err = ERR_INIT;

		assert_int_equal(auth_cred_lookup(path, cases[i][0], "a", &cred, &err), 0);
		if (cases[i][1]) {
			assert_string_equal(cred.helper, cases[i][1]);
			assert_false(auth_cred_usable(&cred));
		} else {
			assert_null(cred.helper);
			assert_string_equal(cred.user, "user");
		}
	}
}

static void broken_files_are_errors_without_their_secrets(void **state)
{
	static const char *const bad[] = { "", "[]", "{\"auths\":{\"h\":{\"auth\":\"sesame!\"}}}",
		"{\"auths\":{\"h\":{\"auth\":\"c2VzYW1l\"}}}", "{\"auths\":{\"h\":\"sesame\"}}",
		"{\"auths\":{\"h\":{\"auth\":7}}}", "{\"auths\":{\"h\":{\"auth\":\"sesame",
		"{\"auth\" sesame" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_free char *path = home_file(*state, ".docker", "config.json", bad[i]);
		auto_auth_cred cred = AUTH_CRED_INIT;
		struct err err = ERR_INIT;
		int rc = auth_cred_lookup(NULL, "h", "a", &cred, &err);

		if (strcmp(bad[i], "{\"auths\":{\"h\":\"sesame\"}}") == 0 && rc == 0)
			fail_msg("accepted %s", bad[i]);
		assert_int_equal(rc, -1);
		assert_int_equal(err.kind, ERR_INPUT);
		assert_non_null(strstr(err.msg, path));
		assert_null(strstr(err.msg, "sesame"));
	}
}

static void realms_are_judged(void **state)
{
	static const struct http_policy public_home = { .home_host = "registry.example" };
	static const struct http_policy loopback = {
		.home_host = "127.0.0.1", .private_ok = true, .plain_ok = true
	};
	static const char *const bad[] = { "http://evil.example/", "https://127.0.0.1:2375/",
		"https://localhost/", "https://169.254.169.254/", "ftp://auth.example/",
		"https://u:p@auth.example/", "https:///token", "", "token" };
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err = (struct err)ERR_INIT;
		if (auth_realm_check(bad[i], &public_home, &err) == 0)
			fail_msg("accepted '%s'", bad[i]);
		assert_true(err.kind == ERR_DENIED || err.kind == ERR_INPUT);
	}
	assert_int_equal(auth_realm_check("https://auth.example/token", &public_home, &err), 0);
	assert_int_equal(auth_realm_check("http://127.0.0.1:9/token", &loopback, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_a_bearer_challenge),
		cmocka_unit_test(challenges_come_in_many_shapes),
		cmocka_unit_test(several_headers_give_one_choice),
		cmocka_unit_test(hostile_challenges_are_refused),
		cmocka_unit_test(scopes_are_united_and_sorted),
		cmocka_unit_test(the_number_of_scopes_is_bounded),
		cmocka_unit_test(reads_tokens),
		cmocka_unit_test(hostile_tokens_are_refused_and_never_quoted),
		cmocka_unit_test(basic_is_base64),
		cmocka_unit_test_setup_teardown(
			finds_the_longest_key_first, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(the_hub_has_many_names, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(
			files_are_tried_in_order, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(
			tokens_and_plain_members_are_understood, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(
			helpers_are_named_for_their_registries, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(
			broken_files_are_errors_without_their_secrets, home_setup, home_teardown),
		cmocka_unit_test(realms_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
