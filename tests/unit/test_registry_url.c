#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "registry/client_internal.h"
#include "registry/url.h"

static void parses_the_parts(void **state)
{
	auto_url u = URL_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(url_parse("HTTPS://Host.Example:8443/a/b?x=%2F&y#frag", &u, &err), 0);
	assert_string_equal(u.scheme, "https");
	assert_string_equal(u.host, "host.example");
	assert_int_equal(u.port, 8443);
	assert_string_equal(u.full, "https://host.example:8443/a/b?x=%2F&y");
	url_release(&u);
	assert_int_equal(url_parse("http://h", &u, &err), 0);
	assert_int_equal(u.port, 80);
	url_release(&u);
	assert_int_equal(url_parse("https://[::1]:5000/x", &u, &err), 0);
	assert_string_equal(u.host, "[::1]");
	assert_int_equal(u.port, 5000);
	assert_int_equal(err.kind, ERR_NONE);
}

static void odd_ipv4_forms_are_made_dotted(void **state)
{
	static const char *const forms[] = { "http://2130706433/", "http://0x7f.1/",
		"http://0177.0.0.1/", "http://127.1/" };

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		auto_url u = URL_INIT;
		struct err err = ERR_INIT;

		assert_int_equal(url_parse(forms[i], &u, &err), 0);
		assert_string_equal(u.host, "127.0.0.1");
		assert_int_equal(host_addr_class(u.host), ADDR_LOOPBACK);
	}
}

static void refuses_what_rules_forbid(void **state)
{
	static const struct {
		const char *text;
		enum err_kind kind;
	} bad[] = {
		{ "", ERR_INPUT },
		{ "/only/a/path", ERR_INPUT },
		{ "https://", ERR_INPUT },
		{ "https:///path", ERR_INPUT },
		{ "https://h:0/", ERR_INPUT },
		{ "https://h:65536/", ERR_INPUT },
		{ "https://h:port/", ERR_INPUT },
		{ "https://h/a b", ERR_INPUT },
		{ "https://h/a\r\nX: y", ERR_INPUT },
		{ "https://h\\@evil/", ERR_INPUT },
		{ "https://h/\xc3\xa9", ERR_INPUT },
		{ "https://user:secret@h/", ERR_DENIED },
		{ "https://user@h/", ERR_DENIED },
		{ "https://[fe80::1%25eth0]/", ERR_DENIED },
		{ "file:///etc/passwd", ERR_DENIED },
		{ "ftp://h/x", ERR_DENIED },
		{ "gopher://h/x", ERR_DENIED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct url u = URL_INIT;
		struct err err = ERR_INIT;

		if (url_parse(bad[i].text, &u, &err) == 0)
			fail_msg("accepted '%s'", bad[i].text);
		/* An empty host in front of a path is malformed in whatever way it is put. */
		if (err.kind != bad[i].kind &&
			!(bad[i].kind == ERR_DENIED && err.kind == ERR_INPUT))
			fail_msg("'%s' gives kind %s", bad[i].text, err_kind_name(err.kind));
		assert_null(u.full);
		assert_null(strstr(err.msg, "secret"));
	}
}

static void an_over_long_url_is_refused(void **state)
{
	auto_free char *text = xmalloc(URL_MAX + 32);
	struct url u = URL_INIT;
	struct err err = ERR_INIT;

	(void)state;
	memset(text, 'a', URL_MAX + 31);
	memcpy(text, "https://h/", 10);
	text[URL_MAX + 31] = '\0';
	assert_int_equal(url_parse(text, &u, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
}

static void messages_hold_no_query(void **state)
{
	struct url u = URL_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(url_parse("ftp://h/x?sig=secret", &u, &err), -1);
	assert_null(strstr(err.msg, "secret"));
	assert_non_null(strstr(err.msg, "ftp://h/x"));
}

static void resolves_relative_locations(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "/v2/a/blobs/uploads/1?_state=x%2Fy%3D",
			"https://h:5000/v2/a/blobs/uploads/1?_state=x%2Fy%3D" },
		{ "other?z", "https://h:5000/v2/a/other?z" },
		{ "//cdn.example/x", "https://cdn.example/x" },
		{ "http://cdn.example:81/x?a=b", "http://cdn.example:81/x?a=b" },
		{ "?q=1", "https://h:5000/v2/a/b?q=1" },
	};
	auto_url base = URL_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(url_parse("https://h:5000/v2/a/b?old=1", &base, &err), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_url u = URL_INIT;

		assert_int_equal(url_resolve(&base, cases[i].text, &u, &err), 0);
		assert_string_equal(u.full, cases[i].want);
	}
	for (size_t i = 0; i < 2; i++) {
		struct url u = URL_INIT;

		assert_int_equal(
			url_resolve(&base, i ? "file:///x" : "https://u:p@h/", &u, &err), -1);
		assert_int_equal(err.kind, ERR_DENIED);
	}
}

static void origin_is_scheme_host_and_port(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "https://h/x", "https://H:443/y", true },
		{ "https://h/", "http://h/", false },
		{ "https://h/", "https://h:444/", false },
		{ "https://h/", "https://h.evil/", false },
		{ "http://127.0.0.1:5000/", "http://127.1:5000/", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_url a = URL_INIT;
		auto_url b = URL_INIT;
		struct err err = ERR_INIT;

		assert_int_equal(url_parse(cases[i].a, &a, &err), 0);
		assert_int_equal(url_parse(cases[i].b, &b, &err), 0);
		assert_int_equal(url_same_origin(&a, &b), cases[i].same);
	}
}

static void builds_queries(void **state)
{
	static const struct {
		const char *url, *want;
	} cases[] = {
		{ "https://h/a", "https://h/a?n=a%2Fb%20%3A%26~" },
		{ "https://h/a?", "https://h/a?n=a%2Fb%20%3A%26~" },
		{ "https://h/a?x=1", "https://h/a?x=1&n=a%2Fb%20%3A%26~" },
		{ "https://h/a?x=1&", "https://h/a?x=1&n=a%2Fb%20%3A%26~" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_strbuf sb = STRBUF_INIT;

		strbuf_puts(&sb, cases[i].url);
		url_add_query(&sb, "n", "a/b :&~");
		assert_string_equal(sb.buf, cases[i].want);
	}
}

static void registry_urls_are_built_of_checked_parts(void **state)
{
	auto_free char *url = registry_url("https://h:5000", "library/a", "manifests", "1.0");
	static const char *const good[] = { "a", "a/b", "library/alpine", "a-b/c__d/e.f", "a---b",
		"0" };
	static const char *const bad[] = { "", "/", "a/", "/a", "a//b", "..", "a/../b", "A", "a?b",
		"a#b", "a%2e", "a b", "a\r\nb", "-a", "a-", "a/.b", "a:b", "a..b", "a___b", "a._b",
		"a/-b" };

	(void)state;
	assert_string_equal(url, "https://h:5000/v2/library/a/manifests/1.0");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!repository_path_valid(good[i]))
			fail_msg("refused '%s'", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (repository_path_valid(bad[i]))
			fail_msg("accepted '%s'", bad[i]);
}

static void hosts_and_addresses_have_a_class(void **state)
{
	static const struct {
		const char *host;
		enum addr_class class;
	} cases[] = {
		{ "127.0.0.1", ADDR_LOOPBACK },
		{ "127.255.0.9", ADDR_LOOPBACK },
		{ "[::1]", ADDR_LOOPBACK },
		{ "localhost", ADDR_LOOPBACK },
		{ "LOCALHOST.", ADDR_LOOPBACK },
		{ "x.localhost", ADDR_LOOPBACK },
		{ "notlocalhost", ADDR_PUBLIC },
		{ "localhost.evil", ADDR_PUBLIC },
		{ "169.254.169.254", ADDR_LINK },
		{ "[fe80::1]", ADDR_LINK },
		{ "[::ffff:169.254.169.254]", ADDR_LINK },
		{ "0.0.0.0", ADDR_UNSPECIFIED },
		{ "[::]", ADDR_UNSPECIFIED },
		{ "10.1.2.3", ADDR_PRIVATE },
		{ "172.16.0.1", ADDR_PRIVATE },
		{ "172.31.255.255", ADDR_PRIVATE },
		{ "172.32.0.1", ADDR_PUBLIC },
		{ "192.168.1.1", ADDR_PRIVATE },
		{ "192.169.1.1", ADDR_PUBLIC },
		{ "100.64.0.1", ADDR_PRIVATE },
		{ "100.128.0.1", ADDR_PUBLIC },
		{ "[fd00::1]", ADDR_PRIVATE },
		{ "[64:ff9b::10.0.0.1]", ADDR_PRIVATE },
		{ "[2002:7f00:1::]", ADDR_LOOPBACK },
		{ "[2001:db8::1]", ADDR_PUBLIC },
		{ "8.8.8.8", ADDR_PUBLIC },
		{ "registry.example", ADDR_PUBLIC },
	};
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr local = { .sa_family = AF_UNIX };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (host_addr_class(cases[i].host) != cases[i].class)
			fail_msg("'%s' is class %d", cases[i].host, host_addr_class(cases[i].host));
	assert_int_equal(addr_class_of((struct sockaddr *)&in), ADDR_LOOPBACK);
	assert_int_equal(addr_class_of((struct sockaddr *)&in6), ADDR_LOOPBACK);
	assert_int_equal(addr_class_of(&local), ADDR_PRIVATE);
}

static void content_ranges_are_read_strictly(void **state)
{
	static const char *const bad[] = { "", "bytes", "bytes 1-2", "bytes */5", "bytes 5-4/10",
		"bytes 0-10/10", "items 0-1/2", "bytes 0-1/0", "bytes -1/5", "bytes 0x1-2/5",
		"bytes 0-1/2 ", "bytes 0-99999999999999999999/*" };
	uint64_t first = 7, last = 7, total = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (content_range_parse(bad[i], &first, &last, &total) == 0)
			fail_msg("accepted '%s'", bad[i]);
	assert_int_equal(first, 7);
	assert_int_equal(content_range_parse("bytes 5-9/10", &first, &last, &total), 0);
	assert_int_equal(first, 5);
	assert_int_equal(last, 9);
	assert_int_equal(total, 10);
	assert_int_equal(content_range_parse("bytes 0-0/*", &first, &last, &total), 0);
	assert_true(total == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_the_parts),
		cmocka_unit_test(odd_ipv4_forms_are_made_dotted),
		cmocka_unit_test(refuses_what_rules_forbid),
		cmocka_unit_test(an_over_long_url_is_refused),
		cmocka_unit_test(messages_hold_no_query),
		cmocka_unit_test(resolves_relative_locations),
		cmocka_unit_test(origin_is_scheme_host_and_port),
		cmocka_unit_test(builds_queries),
		cmocka_unit_test(registry_urls_are_built_of_checked_parts),
		cmocka_unit_test(hosts_and_addresses_have_a_class),
		cmocka_unit_test(content_ranges_are_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
