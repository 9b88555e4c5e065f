#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "build/copy_mode.h"

struct row {
	const char *chmod;
	unsigned mode, expected;
	bool dir;
};

static void applies_modes_as_chmod_does(void **state)
{
	static const struct row rows[] = {
		{ NULL, 04711, 04711, false },
		{ "", 0644, 0644, false },
		{ "0", 0777, 0, false },
		{ "0644", 0777, 0644, true },
		{ "7777", 0, 07777, false },
		{ "00000755", 0, 0755, false },
		{ "go-w", 0666, 0644, false },
		{ "u=rw,g=r,o=r", 0777, 0644, false },
		{ "a+X", 0644, 0644, false },
		{ "a+X", 0744, 0755, false },
		{ "a+X", 0644, 0755, true },
		{ "u-x,a+X", 0700, 0711, false }, /* X looks at the mode before */
		{ "u+rw,g+r,o-x,o+w", 0101, 0742, false },
		{ "+x", 0644, 0755, false },
		{ "=r", 06777, 0444, false },
		{ "u=", 04755, 0055, false },
		{ "g=u", 0740, 0770, false },
		{ "o=g,u-w", 0760, 0566, false },
		{ "u+s", 0755, 04755, false },
		{ "g+s", 0755, 02755, true },
		{ "+s", 0755, 06755, false },
		{ "o+s", 0755, 0755, false },
		{ "+t", 0777, 01777, true },
		{ "-t", 01777, 0777, true },
		{ "u-s", 06755, 02755, false },
		{ "a=rwx", 01000, 01777, true },
		{ "u+r-w+x", 0200, 0500, false },
		{ "ug+rw", 0, 0660, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct err err = ERR_INIT;
		uint32_t got;

		assert_int_equal(copy_mode_check(r->chmod, &err), 0);
		got = copy_mode_apply(r->chmod, r->mode, r->dir);
		if (got != r->expected)
			fail_msg("%s of %o is %o, not %o", r->chmod ? r->chmod : "nothing", r->mode, got, r->expected);
	}
}

static void refuses_what_is_no_mode(void **state)
{
	static const char *const bad[] = { "10000", "64a", "8", "99999999999999999999", "0x1", "u", "u+z", "+x,", ",+x", "rwx",
		"u=rw g=r", "a++y", "-1" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;

		if (copy_mode_check(bad[i], &err) != -1)
			fail_msg("'%s' is accepted", bad[i]);
		assert_int_equal(err.kind, ERR_INPUT);
	}
}

static void gives_made_folders_octal_modes_alone(void **state)
{
	(void)state;
	assert_int_equal(copy_mode_of_made(NULL), 0755);
	assert_int_equal(copy_mode_of_made("2770"), 0770);
	assert_int_equal(copy_mode_of_made("a-w"), 0755);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(applies_modes_as_chmod_does),
		cmocka_unit_test(refuses_what_is_no_mode),
		cmocka_unit_test(gives_made_folders_octal_modes_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
