#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dockerfile/vars.h"

static void set(struct vars *v, const char *name, const char *value)
{
	struct err err = ERR_INIT;

	assert_int_equal(vars_set(v, name, value, &err), 0);
}

static void later_values_hide_earlier_ones_until_undone(void **state)
{
	struct vars *v = vars_new();
	size_t mark;

	(void)state;
	set(v, "a", "1");
	mark = vars_mark(v);
	set(v, "a", "2");
	set(v, "b", "3");
	assert_string_equal(vars_get(v, "a"), "2");
	vars_undo(v, mark);
	assert_string_equal(vars_get(v, "a"), "1");
	assert_null(vars_get(v, "b"));
	assert_false(vars_has(v, "b"));
	vars_free(v);
	vars_free(NULL);
}

static void a_declaration_has_no_value_and_takes_none(void **state)
{
	struct vars *v = vars_new();

	(void)state;
	set(v, "a", NULL);
	assert_true(vars_has(v, "a"));
	assert_null(vars_get(v, "a"));
	set(v, "a", "");
	assert_string_equal(vars_get(v, "a"), "");
	set(v, "a", NULL);
	assert_string_equal(vars_get(v, "a"), "");
	set(v, "abcd", NULL);
	assert_string_equal(vars_suggest(v, "abdc"), "abcd");
	assert_null(vars_suggest(v, "xyzxyz"));
	vars_free(v);
}

static void collisions_and_undo_in_any_order(void **state)
{
	struct vars *v = vars_new();
	char name[16], value[16];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "n%d", i % 10000);
		snprintf(value, sizeof(value), "%d", i);
		set(v, name, value);
	}
	assert_string_equal(vars_get(v, "n9999"), "19999");
	vars_undo(v, 10000);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(value, sizeof(value), "%d", i);
		assert_string_equal(vars_get(v, name), value);
	}
	vars_free(v);
}

static void memory_is_bounded_and_given_back(void **state)
{
	struct vars *v = vars_new();
	struct err err = ERR_INIT;
	char *big = xmalloc(VARS_BYTES_MAX / 2 + 1);

	(void)state;
	memset(big, 'x', VARS_BYTES_MAX / 2);
	big[VARS_BYTES_MAX / 2] = '\0';
	set(v, "a", big);
	assert_int_equal(vars_set(v, "b", big, &err), -1);
	assert_int_equal(err.kind, ERR_DOCKERFILE);
	assert_string_equal(err.msg, "variables take more than 8 MiB");
	assert_false(vars_has(v, "b"));
	vars_undo(v, 0);
	set(v, "b", big);
	free(big);
	vars_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_values_hide_earlier_ones_until_undone),
		cmocka_unit_test(a_declaration_has_no_value_and_takes_none),
		cmocka_unit_test(collisions_and_undo_in_any_order),
		cmocka_unit_test(memory_is_bounded_and_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
