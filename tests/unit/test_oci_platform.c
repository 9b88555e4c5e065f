#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "oci/platform.h"

static const struct platform pi = {.os = "linux", .architecture = "arm", .variant = "v6"};

static struct platform parse(const char *s)
{
	struct platform p;
	struct err e = ERR_INIT;

	if (platform_parse(s, &pi, &p, &e) < 0)
		fail_msg("%s: %s", s, e.msg);
	return p;
}

static void assert_parses(const char *s, const char *want)
{
	struct platform p = parse(s);
	char text[PLATFORM_STR_SIZE];

	platform_format(&p, text);
	assert_string_equal(text, want);
}

static void assert_refused(const char *s)
{
	struct platform p = {.os = "untouched"};
	struct err e = ERR_INIT;

	assert_int_equal(platform_parse(s, &pi, &p, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_string_equal(p.os, "untouched");
}

/* oci.md appendix C.16 */
static void vectors(void **state)
{
	(void)state;
	assert_parses("linux/ARM/7", "linux/arm/v7");
	assert_parses("armhf", "linux/arm/v7");
	assert_parses("aarch64", "linux/arm64");
	assert_parses("x86_64", "linux/amd64");
	assert_parses("linux/amd64/v1", "linux/amd64");
	assert_parses("linux/arm64/8", "linux/arm64");
	assert_refused("a/b/c/d");
	struct platform p = parse("windows(10.0.17763)/amd64");
	assert_string_equal(p.os, "windows");
	assert_string_equal(p.os_version, "10.0.17763");
	p = parse("linux(+feat%2Bx)/amd64");
	assert_string_equal(p.os_features, "feat+x");
	assert_string_equal(p.os_version, "");
}

static void one_part_is_completed_by_the_host(void **state)
{
	(void)state;
	assert_parses("local", "linux/arm/v6");
	assert_parses("linux", "linux/arm/v6");
	assert_parses("freebsd", "freebsd/arm/v6");
	assert_parses("macos", "darwin/arm/v6");
	assert_parses("arm", "linux/arm/v7");
	assert_parses("armel", "linux/arm/v6");
	assert_parses("i386", "linux/386");
	assert_parses("s390x", "linux/s390x");
	assert_refused("plan10");
	assert_refused("v7");
}

static void normal_forms(void **state)
{
	(void)state;
	assert_parses("linux/arm64/v8.0", "linux/arm64");
	assert_parses("linux/arm64/9.0", "linux/arm64/v9");
	assert_parses("linux/arm64/v8.2", "linux/arm64/v8.2");
	assert_parses("linux/x86-64/v3", "linux/amd64/v3");
	assert_parses("linux/i386/anything", "linux/386");
	assert_parses("linux/arm", "linux/arm/v7");
	assert_parses("linux/arm/5", "linux/arm/v5");
	assert_parses("linux/mips64le", "linux/mips64le");
	assert_parses("other/thing", "other/thing");
}

static void published_arm64_has_its_variant(void **state)
{
	struct platform p = parse("linux/arm64");

	(void)state;
	platform_publish(&p);
	assert_string_equal(p.variant, "v8");
	p = parse("linux/arm64/v9");
	platform_publish(&p);
	assert_string_equal(p.variant, "v9");
	p = parse("linux/amd64/v1");
	platform_publish(&p);
	assert_string_equal(p.variant, "");
}

/* oci.md 9.1.21 and the grammar of 1.7.2 */
static void hostile_texts_are_refused(void **state)
{
	static char megabyte[1 << 20];

	(void)state;
	assert_refused("");
	assert_refused("/");
	assert_refused("linux/");
	assert_refused("/amd64");
	assert_refused("linux//v7");
	assert_refused("linux/arm/");
	assert_refused("linux/arm64/v8/extra");
	assert_refused("linux amd64");
	assert_refused("linux/am d64");
	assert_refused("linux/*");
	assert_refused("linux/amd64,linux/arm64");
	assert_refused("linux/\x1b[31m");
	assert_refused("linux/\xc3\xa4");
	assert_refused("linux(/amd64");
	assert_refused("linux)/amd64");
	assert_refused("linux(a)b/amd64");
	assert_refused("linux(%41)/amd64");
	assert_refused("linux(%2)/amd64");
	assert_refused("linux(+)x/amd64");
	assert_refused("linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	memset(megabyte, 'a', sizeof(megabyte) - 1);
	assert_refused(megabyte);
	memcpy(megabyte, "linux(+", 7);
	memcpy(megabyte + 200, ")/arm", 6);
	assert_refused(megabyte);
}

static int rank(const char *want, const char *have)
{
	struct platform w = parse(want), h = parse(have);

	return platform_match_rank(&w, &h);
}

/* Every have of the list must be accepted, in this order. */
static void assert_ladder(const char *want, const char *const *haves)
{
	int last = -1;

	for (; *haves; haves++) {
		int r = rank(want, *haves);

		if (r <= last)
			fail_msg("%s: %s has rank %d after %d", want, *haves, r, last);
		last = r;
	}
}

static void ladder_of_each_architecture(void **state)
{
	static const char *const amd64v3[] = {
		"linux/amd64/v3", "linux/amd64/v2", "linux/amd64", NULL};
	static const char *const armv8[] = {
		"linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5", NULL};
	static const char *const arm64v82[] = {
		"linux/arm64/v8.2", "linux/arm64/v8.1", "linux/arm64/v8", NULL};
	static const char *const arm64v91[] = {"linux/arm64/v9.1", "linux/arm64/v9",
		"linux/arm64/v8.6", "linux/arm64/v8.5", "linux/arm64/v8", NULL};
	static const char *const arm64v97[] = {
		"linux/arm64/v9.7", "linux/arm64/v9", "linux/arm64/v8.9", "linux/arm64", NULL};

	(void)state;
	assert_ladder("linux/amd64/v3", amd64v3);
	assert_ladder("linux/arm/v8", armv8);
	assert_ladder("linux/arm64/v8.2", arm64v82);
	assert_ladder("linux/arm64/v9.1", arm64v91);
	assert_ladder("linux/arm64/v9.7", arm64v97);
	assert_int_equal(rank("linux/arm64", "linux/arm64/v8"), 0);
	assert_int_equal(rank("linux/s390x", "linux/s390x"), 0);
	assert_int_equal(rank("linux/riscv64/odd", "linux/riscv64/odd"), 0);
}

static void ladder_never_climbs_nor_leaves_the_architecture(void **state)
{
	(void)state;
	assert_int_equal(rank("linux/amd64", "linux/amd64/v2"), -1);
	assert_int_equal(rank("linux/amd64", "linux/386"), -1);
	assert_int_equal(rank("linux/arm/v6", "linux/arm/v7"), -1);
	assert_int_equal(rank("linux/arm64", "linux/arm/v7"), -1);
	assert_int_equal(rank("linux/arm64", "linux/arm64/v8.1"), -1);
	assert_int_equal(rank("linux/arm64/v8.9", "linux/arm64/v9"), -1);
	assert_int_equal(rank("linux/arm64/v9", "linux/arm64/v8.6"), -1);
	assert_int_equal(rank("linux/riscv64", "linux/riscv64/odd"), -1);
	assert_int_equal(rank("linux/amd64/odd", "linux/amd64"), -1);
	assert_int_equal(rank("freebsd/amd64", "linux/amd64"), -1);
}

static void features_and_versions_count(void **state)
{
	(void)state;
	assert_int_equal(rank("linux/amd64", "linux(+sgx)/amd64"), -1);
	assert_int_equal(rank("linux(+a+sgx)/amd64", "linux(+sgx)/amd64"), 0);
	assert_int_equal(rank("linux(+sg)/amd64", "linux(+sgx)/amd64"), -1);
	assert_int_equal(rank("linux(5)/amd64", "linux(6)/amd64"), 0);
	assert_int_equal(rank("windows(10.0.17763)/amd64", "windows(10.0.17763.99)/amd64"), 0);
	assert_int_equal(rank("windows(10.0.17763)/amd64", "windows(10.0.2)/amd64"), -1);
	assert_int_equal(rank("windows/amd64", "windows(10.0.2)/amd64"), 0);
}

static void equality_ignores_spelling(void **state)
{
	struct platform a = {.os = "Linux", .architecture = "aarch64", .variant = "8"};
	struct platform b = {.os = "linux", .architecture = "arm64"};
	struct platform unknown = {.os = "unknown", .architecture = "unknown"};

	(void)state;
	assert_true(platform_equal(&a, &b));
	memcpy(b.variant, "v9", 3);
	assert_false(platform_equal(&a, &b));
	assert_true(platform_is_unknown(&unknown));
	assert_false(platform_is_unknown(&a));
}

static void host_is_in_normal_form(void **state)
{
	struct platform host, copy;
	char text[PLATFORM_STR_SIZE];

	(void)state;
	platform_host(&host);
	copy = host;
	platform_normalize(&copy);
	assert_string_equal(host.os, "linux");
	assert_string_equal(host.variant, copy.variant);
	platform_format(&host, text);
	assert_true(strlen(text) > strlen("linux/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(one_part_is_completed_by_the_host),
		cmocka_unit_test(normal_forms),
		cmocka_unit_test(published_arm64_has_its_variant),
		cmocka_unit_test(hostile_texts_are_refused),
		cmocka_unit_test(ladder_of_each_architecture),
		cmocka_unit_test(ladder_never_climbs_nor_leaves_the_architecture),
		cmocka_unit_test(features_and_versions_count),
		cmocka_unit_test(equality_ignores_spelling),
		cmocka_unit_test(host_is_in_normal_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
