#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/base64.h"

/* RFC 4648 section 10, and bytes of all kinds. */
static const struct {
	const char *plain;
	size_t n;
	const char *encoded;
} pairs[] = {
	{"", 0, ""},
	{"f", 1, "Zg=="},
	{"fo", 2, "Zm8="},
	{"foo", 3, "Zm9v"},
	{"foobar", 6, "Zm9vYmFy"},
	{"\x00\xFF\xFB", 3, "AP/7"},
};

static void both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		auto_strbuf out = STRBUF_INIT;

		base64_encode(pairs[i].plain, pairs[i].n, &out);
		assert_string_equal(out.buf, pairs[i].encoded);
		strbuf_reset(&out);
		assert_int_equal(base64_decode(pairs[i].encoded, &out), 0);
		assert_int_equal(out.len, pairs[i].n);
		assert_memory_equal(out.buf, pairs[i].plain, pairs[i].n);
	}
}

static void refuses_other_text(void **state)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zm9v ", "Z===", "Zm-v", "=g=="};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_strbuf out = STRBUF_INIT;

		if (base64_decode(bad[i], &out) != -1)
			fail_msg("%s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(refuses_other_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
