/* /etc/hosts and /etc/resolv.conf of steps, and the options that go into them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/step_files.h"

static struct step_options o;

static int setup(void **state)
{
	(void)state;
	step_options_init(&o);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	step_options_release(&o);
	return 0;
}

static void resolv(enum step_network network, const char *text, const char *upstream, const char *wanted, bool forwarded)
{
	bool got;
	auto_free char *made = resolv_conf_make(&o, network, text, upstream, "169.254.1.1", &got);

	assert_string_equal(made, wanted);
	assert_int_equal(got, forwarded);
}

static void test_host_network_copies(void **state)
{
	static const char text[] = "# kept\nnameserver 127.0.0.53\nsortlist 10.0.0.0\noptions edns0 trust-ad\n";

	(void)state;
	resolv(STEP_NETWORK_HOST, text, "nameserver 192.0.2.1\n", text, false);
	resolv(STEP_NETWORK_HOST, "", "", "", false);
	resolv(STEP_NETWORK_NONE, text, "", "", false);
}

static void test_private_drops_the_loopback(void **state)
{
	(void)state;
	resolv(STEP_NETWORK_PRIVATE,
		"nameserver 127.0.0.53\nnameserver\t192.0.2.1 # good\nnameserver ::1\nnameserver fe80::1%eth0\nnameserver fe80::1\n"
		"nameserver 0.0.0.0\nnameserver ::ffff:127.0.0.1\nnameserver 127.9.9.9\nnameserver 2001:db8::1\nsearch a b\noptions ndots:3\n",
		"nameserver 198.51.100.1\n", "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a b\noptions ndots:3\n",
		false);
	/* what systemd-resolved asks itself */
	resolv(STEP_NETWORK_PRIVATE, "nameserver 127.0.0.53\nsearch a\n", "nameserver 198.51.100.1\nsearch b c\n",
		"nameserver 198.51.100.1\nsearch b c\n", false);
	/* the helper's forwarder, when nothing else is left */
	resolv(STEP_NETWORK_PRIVATE, "nameserver 127.0.0.1\ndomain a\n", "nameserver 127.0.0.1\n",
		"nameserver 169.254.1.1\nsearch a\n", true);
	resolv(STEP_NETWORK_PRIVATE, "", "", "nameserver 169.254.1.1\n", true);
	/* no end of line, an empty word, a keyword alone */
	resolv(STEP_NETWORK_PRIVATE, "nameserver\nnameserver \nsearch\nnameserver 192.0.2.1", "", "nameserver 192.0.2.1\n",
		false);
}

static void test_options_replace(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(step_options_add_dns(&o, "192.0.2.53", &err), 0);
	resolv(STEP_NETWORK_HOST, "nameserver 127.0.0.53\nsearch a\noptions x\n", "", "nameserver 192.0.2.53\nsearch a\noptions x\n",
		false);
	assert_int_equal(step_options_add_search(&o, "b.example", &err), 0);
	assert_int_equal(step_options_add_dns_option(&o, "ndots:2", &err), 0);
	resolv(STEP_NETWORK_PRIVATE, "nameserver 127.0.0.53\nsearch a\noptions x\n", "",
		"nameserver 192.0.2.53\nsearch b.example\noptions ndots:2\n", false);
	step_options_release(&o);
	assert_int_equal(step_options_add_search(&o, ".", &err), 0);
	resolv(STEP_NETWORK_HOST, "nameserver 127.0.0.53\nsearch a\n", "", "nameserver 127.0.0.53\n", false);
}

static void test_servers_have_a_maximum(void **state)
{
	auto_strbuf text = STRBUF_INIT;
	bool forwarded;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		strbuf_printf(&text, "nameserver 192.0.2.%d\n", i % 256);
	auto_free char *made = resolv_conf_make(&o, STEP_NETWORK_PRIVATE, text.buf, "", "x", &forwarded);

	for (const char *at = made; (at = strstr(at, "nameserver")); at++)
		n++;
	assert_int_equal(n, 16);
}

static void test_hosts(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(step_options_add_host(&o, "a:192.0.2.1", &err), 0);
	assert_int_equal(step_options_add_host(&o, "b=2001:db8::1", &err), 0);
	assert_int_equal(step_options_add_host(&o, "c:[2001:db8::2]", &err), 0);
	assert_int_equal(step_options_add_host(&o, "d:::1", &err), 0);
	assert_int_equal(step_options_add_host(&o, "gw:host-gateway", &err), 0);
	auto_free char *host = step_hosts(&o, STEP_NETWORK_HOST, "name");
	auto_free char *private = step_hosts(&o, STEP_NETWORK_PRIVATE, "name");

	assert_string_equal(host,
		"127.0.0.1\tlocalhost name\n::1\tlocalhost ip6-localhost ip6-loopback\n192.0.2.1\ta\n2001:db8::1\tb\n"
		"2001:db8::2\tc\n::1\td\n127.0.0.1\tgw\n");
	assert_null(strstr(private, "gw"));
	assert_int_equal(step_options_check(&o, &err), 0);
	o.network = STEP_NETWORK_PRIVATE;
	assert_int_equal(step_options_check(&o, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
}

static void test_bad_hosts(void **state)
{
	static const char *const bad[] = { "", "a", ":1.2.3.4", "a:", "a:b", "a:1.2.3", "a:[::1", "a:::1]", "a b:1.2.3.4",
		"a\tb:1.2.3.4", "a\n:1.2.3.4", "a#b:1.2.3.4", "a:1.2.3.4 b", "a:1.2.3.4\n5.6.7.8 c", "=::1" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;

		if (step_options_add_host(&o, bad[i], &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_int_equal(o.hosts.len, 0);
	}
}

static void test_lists_have_a_maximum(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < STEP_NAMES_MAX; i++) {
		assert_int_equal(step_options_add_host(&o, "a:192.0.2.1", &err), 0);
		assert_int_equal(step_options_add_dns(&o, "192.0.2.1", &err), 0);
	}
	assert_int_equal(step_options_add_host(&o, "a:192.0.2.1", &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(step_options_add_dns(&o, "192.0.2.1", &err), -1);
}

static void test_cgroup_limits(void **state)
{
	struct step_limit_texts t = { .memory = "64m", .memory_swap = "96m", .cpus = "1.5", .cpuset = "0,2-3" };
	struct err err = ERR_INIT;

	(void)state;
	assert_false(cgroup_limits_any(&o.cgroup));
	assert_int_equal(step_options_limits(&o, &t, &err), 0);
	assert_int_equal(o.cgroup.memory, 64 << 20);
	assert_int_equal(o.cgroup.memory_swap, 96 << 20);
	assert_int_equal(o.cgroup.cpu_quota_us, 150000);
	assert_int_equal(o.cgroup.cpu_period_us, 100000);
	assert_string_equal(o.cgroup.cpuset, "0,2-3");
	assert_true(cgroup_limits_any(&o.cgroup));
	step_options_release(&o);
	t = (struct step_limit_texts){ .memory = "64m", .memory_swap = "-1", .cpu_quota = "5000", .cpu_period = "10000" };
	assert_int_equal(step_options_limits(&o, &t, &err), 0);
	assert_int_equal(o.cgroup.memory_swap, -1);
	assert_int_equal(o.cgroup.cpu_quota_us, 5000);
	assert_int_equal(o.cgroup.cpu_period_us, 10000);
}

/* What decides about the cache and what does not (dockerfile.md 8.3). */
static void test_key(void **state)
{
	auto_strbuf plain = STRBUF_INIT;
	auto_strbuf other = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	step_options_add_host(&o, "a:192.0.2.1", &err);
	step_options_put_key(&o, &plain);
	o.cgroup.memory = 1 << 30;
	strv_add(&o.dns, "192.0.2.1");
	free(o.hosts.v[1]);
	o.hosts.v[1] = xstrdup("192.0.2.2");
	step_options_put_key(&o, &other);
	assert_int_equal(plain.len, other.len);
	assert_memory_equal(plain.buf, other.buf, plain.len);
	strbuf_reset(&other);
	o.shm_size++;
	step_options_put_key(&o, &other);
	assert_memory_not_equal(plain.buf, other.buf, plain.len);
	o.shm_size--;
	strbuf_reset(&other);
	limits_add(o.limits, &o.nlimits, "core=0", &err);
	step_options_put_key(&o, &other);
	assert_int_not_equal(plain.len, other.len);
	o.nlimits = 0;
	strbuf_reset(&other);
	step_options_add_host(&o, "b:192.0.2.1", &err);
	step_options_put_key(&o, &other);
	assert_int_not_equal(plain.len, other.len);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_host_network_copies), T(test_private_drops_the_loopback),
		T(test_options_replace), T(test_servers_have_a_maximum), T(test_hosts), T(test_bad_hosts),
		T(test_lists_have_a_maximum), T(test_cgroup_limits), T(test_key) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
