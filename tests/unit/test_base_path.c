#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/path.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void clean_resolves_lexically(void **state)
{
	static const struct {
		const char *path, *want;
	} cases[] = {
		{"", "."},
		{".", "."},
		{"./", "."},
		{"/", "/"},
		{"//", "/"},
		{"///a//b///", "/a/b"},
		{"a", "a"},
		{"a/", "a"},
		{"./a", "a"},
		{"a/.", "a"},
		{"a/./b", "a/b"},
		{"a/..", "."},
		{"a/../..", ".."},
		{"a/../../b", "../b"},
		{"..", ".."},
		{"../..", "../.."},
		{"../../a/..", "../.."},
		{"../a/../../b/c/..", "../../b"},
		{"/..", "/"},
		{"/../../a", "/a"},
		{"/a/..", "/"},
		{"/a/../..", "/"},
		{"/a/b/../c", "/a/c"},
		{"/a/b/../../c", "/c"},
		{"a/b/../../..", ".."},
		{"...", "..."},
		{"..a/b", "..a/b"},
		{"a../..", "."},
		{"/...//.x/.", "/.../.x"},
		{"abc/../abd", "abd"},
		{"a/..b", "a/..b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *got = path_clean(cases[i].path);

		assert_string_equal(got, cases[i].want);
		free(got);
	}
}

static void clean_is_idempotent_on_every_short_path(void **state)
{
	static const char alphabet[] = "/.a";
	char path[8];

	(void)state;
	/* all strings of up to 7 of the three characters */
	for (unsigned int len = 0, count = 1; len <= 7; len++, count *= 3) {
		for (unsigned int n = 0; n < count; n++) {
			char *once, *twice;

			for (unsigned int i = 0, rest = n; i < len; i++, rest /= 3)
				path[i] = alphabet[rest % 3];
			path[len] = '\0';
			once = path_clean(path);
			twice = path_clean(once);
			assert_string_equal(once, twice);
			assert_int_equal(once[0] == '/', path[0] == '/');
			free(once);
			free(twice);
		}
	}
}

static void join_takes_an_absolute_path_alone(void **state)
{
	static const struct {
		const char *base, *path, *want;
	} cases[] = {
		{"/app", "x", "/app/x"},
		{"/app", "/x", "/x"},
		{"/app", "", "/app"},
		{"/", "x", "/x"},
		{"/app", "../../..", "/"},
		{"a", "../b", "b"},
		{"a", "../../b", "../b"},
		{"", "b", "b"},
		{"", "", "."},
		{"a/", "./b/", "a/b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *got = path_join(cases[i].base, cases[i].path);

		assert_string_equal(got, cases[i].want);
		free(got);
	}
}

static void base_is_what_follows_the_last_slash(void **state)
{
	(void)state;
	assert_string_equal(path_base("a/b/c"), "c");
	assert_string_equal(path_base("c"), "c");
	assert_string_equal(path_base("/c"), "c");
	assert_string_equal(path_base("c/"), "");
}

static void a_folder_sorts_directly_before_what_it_holds(void **state)
{
	static const char *const order[] = {
		"",
		"a",
		"a/\x01",
		"a/b",
		"a/b/c",
		"a/b!",
		"a/c",
		"a\x01",
		"a!",
		"a-b",
		"a.b",
		"ab",
		"a\xC3\xA9",
		"b",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(order); i++) {
		for (size_t k = 0; k < COUNT(order); k++) {
			int c = path_compare(order[i], order[k]);

			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
		}
	}
}

static void below_respects_component_borders(void **state)
{
	static const struct {
		const char *path, *dir;
		bool want;
	} cases[] = {
		{"/a", "/a", true},
		{"/a/b", "/a", true},
		{"/ab", "/a", false},
		{"/a", "/a/b", false},
		{"/a", "/", true},
		{"/", "/", true},
		{"/", "/a", false},
		{"a", "/", false},
		{"/a", ".", false},
		{"a/b", "a", true},
		{"a", ".", true},
		{".", ".", true},
		{"..", ".", false},
		{"../a", ".", false},
		{"..a", ".", true},
		{"../a", "..", true},
		{"../..", "..", false},
		{"a", "..", true},
		{".", "..", true},
		{"../a/b", "../a", true},
		{"a/b", "../a", false},
		{".", "a", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(path_is_below(cases[i].path, cases[i].dir), cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_resolves_lexically),
		cmocka_unit_test(clean_is_idempotent_on_every_short_path),
		cmocka_unit_test(join_takes_an_absolute_path_alone),
		cmocka_unit_test(base_is_what_follows_the_last_slash),
		cmocka_unit_test(a_folder_sorts_directly_before_what_it_holds),
		cmocka_unit_test(below_respects_component_borders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
