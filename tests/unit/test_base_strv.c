#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/mem.h"
#include "base/strv.h"

static void a_list_stays_null_terminated(void **state)
{
	auto_strv l = STRV_INIT;
	char name[16];

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "s%zu", i);
		strv_add(&l, name);
		assert_int_equal(l.len, i + 1);
		assert_null(l.v[l.len]);
	}
	assert_string_equal(l.v[99], "s99");
	strv_take(&l, xstrdup("mine"));
	assert_string_equal(l.v[100], "mine");
	strv_release(&l);
	assert_int_equal(l.len, 0);
	strv_add(&l, "again");
	assert_string_equal(l.v[0], "again");
}

static void copies_are_deep(void **state)
{
	auto_strv a = STRV_INIT;
	auto_strv b = STRV_INIT;

	(void)state;
	strv_add(&a, "one");
	strv_add(&a, "two");
	strv_copy(&b, &a);
	assert_int_equal(b.len, 2);
	assert_ptr_not_equal(a.v[1], b.v[1]);
	assert_string_equal(b.v[1], "two");
	strv_add_all(&a, &a);
	assert_int_equal(a.len, 4);
	assert_string_equal(a.v[3], "two");
	assert_null(a.v[4]);
}

static void a_copy_of_an_empty_list_is_empty(void **state)
{
	auto_strv a = STRV_INIT;
	auto_strv b = STRV_INIT;

	(void)state;
	strv_copy(&b, &a);
	assert_int_equal(b.len, 0);
	assert_null(strv_env_get(&b, "X"));
}

static void env_get_wants_the_whole_name(void **state)
{
	auto_strv l = STRV_INIT;

	(void)state;
	strv_add(&l, "PATHX=no");
	strv_add(&l, "PATH"); /* without =: not a value */
	strv_add(&l, "PATH=a=b");
	strv_add(&l, "EMPTY=");
	assert_string_equal(strv_env_get(&l, "PATH"), "a=b");
	assert_string_equal(strv_env_get(&l, "EMPTY"), "");
	assert_null(strv_env_get(&l, "PAT"));
	assert_null(strv_env_get(&l, "path"));
}

static void env_set_replaces_in_place(void **state)
{
	auto_strv l = STRV_INIT;

	(void)state;
	strv_env_set(&l, "A", "1");
	strv_env_set(&l, "B", "2");
	strv_env_set(&l, "A", "3");
	assert_int_equal(l.len, 2);
	assert_string_equal(l.v[0], "A=3");
	/* the new value may be part of the old one */
	strv_env_set(&l, "A", strv_env_get(&l, "A"));
	assert_string_equal(l.v[0], "A=3");
	assert_string_equal(l.v[1], "B=2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_stays_null_terminated),
		cmocka_unit_test(copies_are_deep),
		cmocka_unit_test(a_copy_of_an_empty_list_is_empty),
		cmocka_unit_test(env_get_wants_the_whole_name),
		cmocka_unit_test(env_set_replaces_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
