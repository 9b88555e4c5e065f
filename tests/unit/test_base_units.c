/* Sizes and fractions as people write them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/units.h"

static uint64_t size(const char *s)
{
	uint64_t v = 0;

	assert_int_equal(parse_size(s, &v), 0);
	return v;
}

static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(size("0"), 0);
	assert_int_equal(size("1073741824"), 1073741824);
	assert_int_equal(size("5b"), 5);
	assert_int_equal(size("64m"), 64 << 20);
	assert_int_equal(size("64M"), 64 << 20);
	assert_int_equal(size("64mb"), 64 << 20);
	assert_int_equal(size("64MiB"), 64 << 20);
	assert_int_equal(size("1.5g"), 3ull << 29);
	assert_int_equal(size("0.5k"), 512);
	assert_int_equal(size("2t"), 2ull << 40);
	assert_int_equal(size("1p"), 1ull << 50);
	assert_int_equal(size("9223372036854775807"), INT64_MAX);
}

static void test_bad_sizes(void **state)
{
	static const char *const bad[] = { "", "m", "-1", "+1", " 1", "1 ", "1x", "1mm", "1mx", "1bb", "1bib", "1.", ".5",
		"1.5.5", "0x10", "1e3", "9223372036854775808", "18446744073709551616", "8192p", "1.1234567m", "99999999999p" };
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse_size(bad[i], &v) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(v, 7);
	}
}

static void test_millionths(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(parse_millionths("1.5", 2000000, &v), 0);
	assert_int_equal(v, 1500000);
	assert_int_equal(parse_millionths("0.000001", 2000000, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(parse_millionths("2", 2000000, &v), 0);
	assert_int_equal(v, 2000000);
	v = 7;
	assert_int_equal(parse_millionths("2.000001", 2000000, &v), -1);
	assert_int_equal(parse_millionths("1.0000001", 2000000, &v), -1);
	assert_int_equal(parse_millionths("-1", 2000000, &v), -1);
	assert_int_equal(parse_millionths("1x", 2000000, &v), -1);
	assert_int_equal(parse_millionths("", 2000000, &v), -1);
	assert_int_equal(parse_millionths("99999999999999999999", UINT64_MAX, &v), -1);
	assert_int_equal(v, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_sizes), cmocka_unit_test(test_bad_sizes),
		cmocka_unit_test(test_millionths) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
