#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "dockerfile/glob.h"

struct truth {
	const char *pattern, *name;
	int result;
};

static void matches_as_the_spec_says(void **state)
{
	static const struct truth truths[] = {
		{"abc", "abc", 1},
		{"abc", "abcd", 0},
		{"*", "abc", 1},
		{"*", "", 1},
		{"*", ".hidden", 1},
		{"*", "a/b", 0},
		{"a*", "abc", 1},
		{"a*", "ab/c", 0},
		{"*c", "abc", 1},
		{"a*/b", "abc/b", 1},
		{"a*/b", "a/c/b", 0},
		{"a*b*c*d*e*/f", "axbxcxdxe/f", 1},
		{"a*b*c*d*e*/f", "axbxcxdxexxx/f", 1},
		{"a*b*c*d*e*/f", "axbxcxdxe/xxx/f", 0},
		{"a*b?c*x", "abxbbxdbxebxczzx", 1},
		{"a*b?c*x", "abxbbxdbxebxczzy", 0},
		{"a?c", "abc", 1},
		{"a?c", "a/c", 0},
		{"a?c", "ac", 0},
		{"a?b", "a☺b", 1},
		{"a???b", "a☺b", 0},
		{"*??", "한", 0},
		{"*?", "한", 1},
		{"ab[c]", "abc", 1},
		{"ab[b-d]", "abc", 1},
		{"ab[e-g]", "abc", 0},
		{"ab[^c]", "abc", 0},
		{"ab[^e-g]", "abc", 1},
		{"a[^a]b", "a☺b", 1},
		{"a[α-ω]b", "aπb", 1},
		{"a[^b]c", "a/c", 0},
		{"[\\]a]", "]", 1},
		{"[\\-x]", "-", 1},
		{"[x\\-]", "z", 0},
		{"a\\*b", "a*b", 1},
		{"a\\*b", "axb", 0},
		{"*.go", "main.go", 1},
		{"f+(x)", "f+(x)", 1},
		{"%C3", "%C3", 1},
		{"**", "ab", 1},
		{"**", "a/b", 0},
		{"", "", 1},
		{"", "x", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++) {
		int got = glob_match(truths[i].pattern, truths[i].name);

		if (got != truths[i].result)
			fail_msg("'%s' '%s': %d", truths[i].pattern, truths[i].name, got);
	}
}

static void finds_bad_patterns_whatever_the_name(void **state)
{
	static const char *const bad[] = {"[", "[a", "[^", "[^bc", "[]a]", "[-]", "[x-]", "[-x]",
		"[a-b-c]", "a[", "a[b", "[a\\", "a\\", "x[]"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (glob_match(bad[i], "nothing like it") != -1 || glob_match(bad[i], "") != -1)
			fail_msg("'%s' is taken", bad[i]);
		assert_false(glob_is_valid(bad[i]));
	}
	assert_true(glob_is_valid("a]b"));
}

static void knows_what_is_a_wildcard(void **state)
{
	(void)state;
	assert_true(glob_has_wildcard("a*"));
	assert_true(glob_has_wildcard("a\\\\?"));
	assert_true(glob_has_wildcard("[a]"));
	assert_false(glob_has_wildcard("a\\*b\\"));
	assert_false(glob_has_wildcard("a]b"));
}

static void does_not_backtrack_without_end(void **state)
{
	size_t n = 20000;
	auto_free char *name = xmalloc(n + 1);
	char pattern[512] = "";

	(void)state;
	memset(name, 'a', n);
	name[n] = '\0';
	for (size_t i = 0; i < 200; i += 2) {
		pattern[i] = 'a';
		pattern[i + 1] = '*';
	}
	pattern[200] = 'b';
	pattern[201] = '\0';
	assert_int_equal(glob_match(pattern, name), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_as_the_spec_says),
		cmocka_unit_test(finds_bad_patterns_whatever_the_name),
		cmocka_unit_test(knows_what_is_a_wildcard),
		cmocka_unit_test(does_not_backtrack_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
