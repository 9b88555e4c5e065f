/* How findings become checks; the findings themselves are made in tests/integration/doctor.sh. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "build/doctor_internal.h"

static void the_clock_must_be_of_this_century(void **state)
{
	(void)state;
	assert_false(doctor_clock_is_sane(0));          /* a board without a battery */
	assert_false(doctor_clock_is_sane(1700000000)); /* 2023 */
	assert_true(doctor_clock_is_sane(1767225600));  /* 2026 */
	assert_true(doctor_clock_is_sane(4102444799));
	assert_false(doctor_clock_is_sane(4102444800)); /* 2100 */
	assert_false(doctor_clock_is_sane(INT64_MAX));
	assert_false(doctor_clock_is_sane(-1));
}

static void a_mend_is_split_off_an_error(void **state)
{
	static const struct {
		const char *msg, *text, *mend;
		bool is_command;
	} cases[] = {
		{ "no: because" MEND_RUN "do x && y", "no: because", "do x && y", true },
		{ "no: because" MEND_ADVICE "think", "no: because", "think", false },
		{ "no: because", "no: because", NULL, false },
	};
	struct doctor_report r = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;

		err_set(&err, ERR_SANDBOX, "%s", cases[i].msg);
		doctor_add_error(&r, "x", CHECK_LIMITED, "less", &err);
		assert_string_equal(r.checks[i].text, cases[i].text);
		assert_int_equal(r.checks[i].is_command, cases[i].is_command);
		if (cases[i].mend)
			assert_string_equal(r.checks[i].mend, cases[i].mend);
		else
			assert_null(r.checks[i].mend);
		assert_string_equal(r.checks[i].without, "less");
	}
	doctor_report_release(&r);
	assert_int_equal(r.n, 0);
}

static void a_refusal_gets_the_words_of_the_table(void **state)
{
	struct doctor_report r = { 0 };

	(void)state;
	doctor_add_refusal(&r, "tun", CHECK_LIMITED, NULL, DIAGNOSE_TUN, ENOENT, "pasta");
	assert_string_equal(r.checks[0].text, "pasta: /dev/net/tun is not there");
	assert_true(r.checks[0].is_command);
	doctor_add_refusal(&r, "tun", CHECK_LIMITED, NULL, DIAGNOSE_TUN, EIO, "pasta");
	assert_string_equal(r.checks[1].text, "pasta: Input/output error");
	assert_null(r.checks[1].mend);
	doctor_report_release(&r);
}

static void what_is_ok_lacks_nothing(void **state)
{
	struct doctor_report r = { 0 };

	(void)state;
	doctor_add(&r, "a name that is longer than the thirty-two bytes it may have", CHECK_OK, "less", MEND_NONE, "%d", 7);
	assert_null(r.checks[0].without);
	assert_string_equal(r.checks[0].text, "7");
	assert_int_equal(strlen(r.checks[0].name), CHECK_NAME_SIZE - 1);
	doctor_report_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clock_must_be_of_this_century),
		cmocka_unit_test(a_mend_is_split_off_an_error),
		cmocka_unit_test(a_refusal_gets_the_words_of_the_table),
		cmocka_unit_test(what_is_ok_lacks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
