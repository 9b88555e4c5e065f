#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/fetch_auth.h"
#include "build/secrets.h"

static void add(struct secrets *s, const char *id, const char *value)
{
	auto_free char *spec = xasprintf("id=%s,env=WHITTLE_TEST_VAR", id);
	struct err err = ERR_INIT;

	setenv("WHITTLE_TEST_VAR", value, 1);
	assert_int_equal(secrets_add(s, spec, &err), 0);
	unsetenv("WHITTLE_TEST_VAR");
}

typedef int choose_fn(const struct secrets *secrets, const char *url, struct fetch_auth *ret, struct err *err);

/* header NULL: none is sent */
static void gives(choose_fn *choose, const struct secrets *s, const char *url, const char *header)
{
	struct fetch_auth auth = FETCH_AUTH_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(choose(s, url, &auth, &err), 0);
	if (header)
		assert_string_equal(auth.header, header);
	else
		assert_null(auth.header);
	fetch_auth_release(&auth);
	assert_null(auth.secret);
}

static void refuses(choose_fn *choose, const struct secrets *s, const char *url, enum err_kind kind, const char *message)
{
	struct fetch_auth auth = FETCH_AUTH_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(choose(s, url, &auth, &err), -1);
	assert_int_equal(err.kind, kind);
	assert_non_null(strstr(err.msg, message));
	assert_null(auth.header);
	assert_null(auth.secret);
}

static void files_by_host(void **state)
{
	struct secrets s = SECRETS_INIT;

	(void)state;
	gives(fetch_auth_url, NULL, "https://a.example/f", NULL);
	gives(fetch_auth_url, &s, "not a URL", NULL);
	add(&s, "HTTP_AUTH_HEADER_a.example", "Digest x");
	gives(fetch_auth_url, &s, "https://a.example/f", "Digest x");
	gives(fetch_auth_url, &s, "https://A.Example:8443/f", "Digest x");
	gives(fetch_auth_url, &s, "https://b.a.example/f", NULL);
	gives(fetch_auth_url, &s, "https://a.example.b/f", NULL);
	gives(fetch_auth_git, &s, "https://a.example/f.git", NULL);
	add(&s, "HTTP_AUTH_TOKEN_a.example", "t");
	gives(fetch_auth_url, &s, "https://a.example/f", "Bearer t");
	add(&s, "HTTP_AUTH_TOKEN_a.example", "");
	gives(fetch_auth_url, &s, "https://a.example/f", "Digest x");
	add(&s, "HTTP_AUTH_TOKEN_2001:db8::1", "six");
	gives(fetch_auth_url, &s, "https://[2001:db8::1]/f", "Bearer six");
	secrets_release(&s);
}

static void repositories_in_order(void **state)
{
	struct secrets s = SECRETS_INIT;

	(void)state;
	add(&s, "GIT_AUTH_TOKEN", "t");
	gives(fetch_auth_git, &s, "https://a.example/r.git", "Basic eC1hY2Nlc3MtdG9rZW46dA==");
	gives(fetch_auth_git, &s, "https://user:word@a.example/r.git", "Basic eC1hY2Nlc3MtdG9rZW46dA==");
	gives(fetch_auth_git, &s, "ssh://git@a.example/r.git", NULL);
	gives(fetch_auth_git, &s, "git@a.example:r.git", NULL);
	gives(fetch_auth_git, &s, "git://a.example/r.git", NULL);
	gives(fetch_auth_url, &s, "https://a.example/f", NULL);
	add(&s, "GIT_AUTH_HEADER", "any");
	gives(fetch_auth_git, &s, "https://a.example/r.git", "any");
	add(&s, "GIT_AUTH_TOKEN.a.example", "h");
	gives(fetch_auth_git, &s, "https://a.example/r.git", "Basic eC1hY2Nlc3MtdG9rZW46aA==");
	gives(fetch_auth_git, &s, "https://a.example:8443/r.git", "any");
	add(&s, "GIT_AUTH_HEADER.a.example", "own");
	gives(fetch_auth_git, &s, "https://u@a.example/r.git", "own");
	add(&s, "GIT_AUTH_HEADER.a.example:8443", "port");
	gives(fetch_auth_git, &s, "https://a.example:8443/r.git", "port");
	secrets_release(&s);
}

static void plain_http_is_for_loopback(void **state)
{
	struct secrets s = SECRETS_INIT;

	(void)state;
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	add(&s, "GIT_AUTH_TOKEN", "t");
	add(&s, "HTTP_AUTH_TOKEN_a.example", "t");
	add(&s, "HTTP_AUTH_TOKEN_127.0.0.1", "t");
	refuses(fetch_auth_git, &s, "http://a.example/r.git", ERR_DENIED, "plain http: use https");
	refuses(fetch_auth_git, &s, "http://10.0.0.1/r.git", ERR_DENIED, "plain http: use https");
	refuses(fetch_auth_url, &s, "http://a.example/f", ERR_DENIED, "plain http: use https");
	gives(fetch_auth_url, &s, "http://127.0.0.1:1/f", "Bearer t");
	gives(fetch_auth_url, &s, "http://b.example/f", NULL);
	setenv("http_proxy", "http://10.0.0.1:3128", 1);
	refuses(fetch_auth_url, &s, "http://127.0.0.1:1/f", ERR_DENIED, "by a proxy");
	gives(fetch_auth_url, &s, "https://a.example/f", "Bearer t");
	unsetenv("http_proxy");
	secrets_release(&s);
}

static void values_that_are_no_header(void **state)
{
	static const char *const bad[] = { "a\nb", "a\rb", "a\r\nX: y", "a\tb", "a\x7f", "\x01" };
	struct secrets s = SECRETS_INIT;
	char text[FETCH_AUTH_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		add(&s, "HTTP_AUTH_TOKEN_h", bad[i]);
		refuses(fetch_auth_url, &s, "https://h/f", ERR_INPUT, "control character");
	}
	add(&s, "HTTP_AUTH_TOKEN_h", "a\n");
	refuses(fetch_auth_url, &s, "https://h/f", ERR_INPUT, "a newline at its end");
	memset(text, 'a', sizeof(text));
	text[FETCH_AUTH_MAX + 1] = '\0';
	add(&s, "HTTP_AUTH_TOKEN_h", text);
	refuses(fetch_auth_url, &s, "https://h/f", ERR_INPUT, "more than 8192 bytes");
	text[FETCH_AUTH_MAX] = '\0';
	add(&s, "HTTP_AUTH_HEADER_h", text);
	add(&s, "HTTP_AUTH_TOKEN_h", "");
	gives(fetch_auth_url, &s, "https://h/f", text);
	secrets_release(&s);
}

static void scope_is(const char *remote, const char *wanted)
{
	auto_free char *scope = fetch_auth_git_scope(remote);

	assert_string_equal(scope, wanted);
}

static void where_git_may_send_it(void **state)
{
	(void)state;
	scope_is("https://a.example/r.git", "https://a.example/r.git");
	scope_is("https://u:p@a.example:1/r.git", "https://a.example:1/r.git");
	scope_is("https://github.com/o/r.git", "https://github.com/");
	scope_is("https://u@github.com/o/r.git", "https://github.com/");
	scope_is("https://github.com.evil/o/r.git", "https://github.com.evil/o/r.git");
}

static void what_is_repeated_is_covered(void **state)
{
	struct fetch_auth auth = { .header = xstrdup("Basic abcd"), .secret = xstrdup("tokentoken") };
	struct fetch_auth none = FETCH_AUTH_INIT;
	char text[] = "Basic abcd, abcd, tokentokentokentoken, abc\0abcd";

	(void)state;
	fetch_auth_hide(&none, text, sizeof(text));
	assert_int_equal(text[0], 'B');
	fetch_auth_hide(&auth, text, sizeof(text));
	assert_string_equal(text, "**********, ****, ********************, abc");
	assert_string_equal(text + sizeof(text) - 5, "****");
	fetch_auth_release(&auth);
	fetch_auth_hide(NULL, text, sizeof(text));
	/* a secret of three letters is in too many words */
	auth = (struct fetch_auth){ .header = xstrdup("abc"), .secret = xstrdup("abc") };
	fetch_auth_hide(&auth, text, sizeof(text));
	assert_non_null(strstr(text, "abc"));
	fetch_auth_release(&auth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_by_host),
		cmocka_unit_test(repositories_in_order),
		cmocka_unit_test(plain_http_is_for_loopback),
		cmocka_unit_test(values_that_are_no_header),
		cmocka_unit_test(where_git_may_send_it),
		cmocka_unit_test(what_is_repeated_is_covered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
