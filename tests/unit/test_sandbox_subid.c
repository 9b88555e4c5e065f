#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "sandbox/subid.h"

static void the_source_is_that_of_nsswitch(void **state)
{
	static const struct {
		const char *text, *source; /* NULL: the files count */
	} cases[] = {
		{ "", NULL },
		{ "passwd: files sss\n", NULL },
		{ "subid: files\n", NULL },
		{ "subid:\tfiles sss\n", NULL },
		{ "subid:\n", NULL },
		{ "subid: # none\n", NULL },
		{ "#subid: sss\n", NULL },
		{ "xsubid: sss\n", NULL },
		{ "subid: sss\n", "sss" },
		{ "passwd: files\nsubid:sss", "sss" },
		{ "passwd: files\nsubid: \t sss files\n", "sss" },
		{ "subid: a-name-that-is-longer-than-any-module-has-ever-had\n", "a-name-that-is-longer-than-any-" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char source[SUBID_SOURCE_SIZE] = "";

		assert_int_equal(subid_directory_of(cases[i].text, source), cases[i].source != NULL);
		if (cases[i].source)
			assert_string_equal(source, cases[i].source);
	}
}

static void output_becomes_lines(void **state)
{
	static const struct {
		const char *output, *lines;
	} cases[] = {
		{ "0: ada 100000 65536\n1: ada 300000 10\n", "ada:100000:65536\nada:300000:10\n" },
		{ "0: ada 100000 65536", "ada:100000:65536\n" },
		{ "Error fetching ranges\n", "" },
		{ "0: ada 100000\n", "" },
		{ "0: ada 100000 65536 more\n0: ada 5 6\n", "ada:5:6\n" },
		{ "0: ada\n100000 65536\n", "" },
		{ "0: ada -1 5\n", "" },
		{ "0: ada 1234567890123456 5\n", "" },
		{ "\n\n", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_strbuf lines = STRBUF_INIT;

		subid_convert(cases[i].output, &lines);
		assert_string_equal(lines.buf, cases[i].lines);
	}
}

static void a_name_that_is_an_option_is_not_passed_on(void **state)
{
	auto_strbuf lines = STRBUF_INIT;

	(void)state;
	assert_false(subid_ask("-g", false, &lines));
	assert_int_equal(lines.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_source_is_that_of_nsswitch),
		cmocka_unit_test(output_becomes_lines),
		cmocka_unit_test(a_name_that_is_an_option_is_not_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
