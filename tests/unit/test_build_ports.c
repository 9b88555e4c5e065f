#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "build/ports.h"

static void expect(const char *word, const char *ports)
{
	auto_strv got = STRV_INIT;
	struct err err = ERR_INIT;
	char joined[256] = "";

	assert_int_equal(ports_parse(word, &got, &err), 0);
	for (size_t i = 0; i < got.len; i++) {
		size_t len = strlen(joined);

		snprintf(joined + len, sizeof(joined) - len, "%s%s", i ? " " : "", got.v[i]);
	}
	assert_string_equal(joined, ports);
}

static void refuse(const char *word, const char *message)
{
	auto_strv got = STRV_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(ports_parse(word, &got, &err), -1);
	assert_int_equal(err.kind, ERR_DOCKERFILE);
	assert_string_equal(err.msg, message);
}

static void ports_ranges_and_protocols(void **state)
{
	(void)state;
	expect("80", "80/tcp");
	expect("80/UDP", "80/udp");
	expect("80-82/sctp", "80/sctp 81/sctp 82/sctp");
	expect("8080:80", "80/tcp");
	expect("127.0.0.1:8080:80", "80/tcp");
	expect("[::1]:8080:80", "80/tcp");
	expect("::1:8080:80/tcp", "80/tcp");
	expect("8000-8001:80-81", "80/tcp 81/tcp");
	expect("127.0.0.1::80", "80/tcp");
	expect("0", "0/tcp");
	expect("65535", "65535/tcp");
}

static void each_mistake_has_its_text(void **state)
{
	(void)state;
	refuse("80/icmp", "invalid port: \"80/icmp\": invalid proto: icmp");
	refuse("/tcp", "invalid port: \"/tcp\": no port specified");
	refuse("65536", "invalid containerPort: 65536");
	refuse("90-80", "invalid containerPort: 90-80");
	refuse("http", "invalid containerPort: http");
	refuse("x:80", "invalid hostPort: x");
	refuse("1-3:80-81", "invalid ranges specified for container and host Ports: 80-81 and 1-3");
	refuse("nowhere:1:80", "invalid IP address: nowhere");
}

static void sorting_is_by_bytes(void **state)
{
	auto_strv l = STRV_INIT;

	(void)state;
	ports_sort(&l);
	strv_add(&l, "9000");
	strv_add(&l, "80");
	strv_add(&l, "443");
	ports_sort(&l);
	assert_string_equal(l.v[0], "443");
	assert_string_equal(l.v[2], "9000");
}

static void signals(void **state)
{
	static const char *const good[] = { "SIGTERM", "term", "SigKill", "9", "64", "RTMIN+3", "SIGRTMAX-1", "USR1" };
	static const char *const bad[] = { "", "0", "SIG", "SIGFOO", "-1", "RTMIN-1", "RTMAX+1", "TERM ", "9x" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(ports_signal_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ports_signal_valid(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_ranges_and_protocols),
		cmocka_unit_test(each_mistake_has_its_text),
		cmocka_unit_test(sorting_is_by_bytes),
		cmocka_unit_test(signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
