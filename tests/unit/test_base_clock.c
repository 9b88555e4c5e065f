#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "base/clock.h"

static void known_times(void **state)
{
	static const struct {
		int64_t seconds;
		const char *want;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z"},
		{-1, "1969-12-31T23:59:59Z"},
		{951782399, "2000-02-28T23:59:59Z"},
		{951782400, "2000-02-29T00:00:00Z"},
		{951868800, "2000-03-01T00:00:00Z"},
		{1709210096, "2024-02-29T12:34:56Z"},
		{4107542400, "2100-03-01T00:00:00Z"},
		{4107542399, "2100-02-28T23:59:59Z"},
		{2147483648, "2038-01-19T03:14:08Z"},
		{253402300799, "9999-12-31T23:59:59Z"},
		{253402300800, "9999-12-31T23:59:59Z"},
		{INT64_MAX, "9999-12-31T23:59:59Z"},
		{-62167219200, "0000-01-01T00:00:00Z"},
		{INT64_MIN, "0000-01-01T00:00:00Z"},
	};
	char out[RFC3339_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rfc3339_format(cases[i].seconds, out);
		assert_string_equal(out, cases[i].want);
	}
}

static void agrees_with_the_c_library(void **state)
{
	char ours[RFC3339_SIZE], theirs[RFC3339_SIZE];

	(void)state;
	if (sizeof(time_t) < 8)
		skip();
	for (int64_t t = -62167219200 + 5; t < 253402300799; t += 86399 * 17) {
		time_t when = (time_t)t;
		struct tm tm;

		gmtime_r(&when, &tm);
		/* %Y does not pad the years before 1000 everywhere */
		if (tm.tm_year + 1900 < 1000)
			continue;
		strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", &tm);
		rfc3339_format(t, ours);
		assert_string_equal(ours, theirs);
	}
}

static void clocks_run(void **state)
{
	uint64_t before = clock_mono_ns();

	(void)state;
	assert_true(before > 0);
	assert_true(clock_mono_ns() >= before);
	assert_true(clock_wall() > 1600000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_times),
		cmocka_unit_test(agrees_with_the_c_library),
		cmocka_unit_test(clocks_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
