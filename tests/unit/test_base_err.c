#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void set_fills_every_field(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	errno = EINTR;
	assert_int_equal(err_set(&e, ERR_INPUT, "no blob '%s'", "x"), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(e.sys, 0);
	assert_string_equal(e.msg, "no blob 'x'");
	assert_non_null(strstr(e.where, "test_base_err.c:"));
	assert_int_equal(errno, EINTR);
}

static void sys_appends_the_reason_and_keeps_errno(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_sys(&e, "cannot open '%s'", "x"), -1);
	assert_int_equal(e.kind, ERR_SYSTEM);
	assert_int_equal(e.sys, ENOENT);
	assert_string_equal(e.msg, "cannot open 'x': No such file or directory");
	assert_int_equal(errno, ENOENT);
}

static void a_full_disk_has_its_own_kind(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	errno = ENOSPC;
	err_sys(&e, "cannot write");
	assert_int_equal(e.kind, ERR_DISK);
	errno = EDQUOT;
	err_sys(&e, "cannot write");
	assert_int_equal(e.kind, ERR_DISK);
	assert_int_equal(e.sys, EDQUOT);
}

static void control_characters_are_escaped(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_INPUT, "%s", "a\x1b[31m\n\t\x7f");
	assert_string_equal(e.msg, "a\\x1b[31m\\x0a\\x09\\x7f");
}

static void utf8_is_kept_and_what_is_none_is_escaped(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_INPUT, "%s", "h\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80");
	assert_string_equal(e.msg, "h\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80");
	err_set(&e, ERR_INPUT, "%s", "\xC2\x9B\x9B\xFF");
	assert_string_equal(e.msg, "\\xc2\\x9b\\x9b\\xff");
	/* overlong, a surrogate, over U+10FFFF, cut short */
	err_set(&e, ERR_INPUT, "%s", "\xC0\x80|\xED\xA0\x80|\xF4\x90\x80\x80|\xE2\x82");
	assert_string_equal(e.msg, "\\xc0\\x80|\\xed\\xa0\\x80|\\xf4\\x90\\x80\\x80|\\xe2\\x82");
}

static void a_long_subject_leaves_room_for_the_reason(void **state)
{
	struct err e = ERR_INIT;
	char name[5000];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	errno = EACCES;
	err_sys(&e, "cannot open '%s'", name);
	assert_true(strlen(e.msg) < sizeof(e.msg));
	assert_non_null(strstr(e.msg, ": Permission denied"));
}

static void cutting_never_splits_a_character_or_an_escape(void **state)
{
	struct err e = ERR_INIT;
	char text[4096];
	size_t len;

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'a', shift);
		for (size_t i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xE2\x82\xAC", 3);
		text[sizeof(text) - 4] = '\0';
		err_set(&e, ERR_INPUT, "%s", text);
		len = strlen(e.msg);
		assert_int_equal((len - shift) % 3, 0);
		assert_true(len + 3 >= sizeof(e.msg) - 1);

		memset(text + shift, '\n', sizeof(text) - shift);
		text[sizeof(text) - 1] = '\0';
		err_set(&e, ERR_INPUT, "%s", text);
		assert_string_equal(e.msg + strlen(e.msg) - 4, "\\x0a");
	}
}

static void wrap_puts_context_in_front(void **state)
{
	struct err e = ERR_INIT;
	char where[sizeof(e.where)];

	(void)state;
	err_set(&e, ERR_CORRUPT, "digest differs");
	memcpy(where, e.where, sizeof(where));
	assert_int_equal(err_wrap(&e, "layer %d\n", 3), -1);
	assert_string_equal(e.msg, "layer 3\\x0a: digest differs");
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_string_equal(e.where, where);
}

static void a_long_context_does_not_push_the_cause_out(void **state)
{
	struct err e = ERR_INIT;
	char name[5000];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	err_set(&e, ERR_INPUT, "the cause");
	err_wrap(&e, "%s", name);
	assert_non_null(strstr(e.msg, ": the cause"));
}

static void the_old_message_may_be_an_argument(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_INPUT, "one");
	err_set(&e, ERR_PUSH, "two: %s", e.msg);
	assert_string_equal(e.msg, "two: one");
	err_wrap(&e, "three, not %s", e.msg);
	assert_string_equal(e.msg, "three, not two: one: two: one");
}

static void a_long_file_name_keeps_its_end(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set_at(&e, "a/very/long/path/that/does/not/fit/into/the/field/x.c", 12345, ERR_INPUT, 0,
		"x");
	assert_int_equal(strlen(e.where), sizeof(e.where) - 1);
	assert_non_null(strstr(e.where, "/field/x.c:12345"));
}

static void every_kind_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(err_kind_name(ERR_INPUT), "input");
	assert_string_equal(err_kind_name(ERR_NETWORK), "network");
	for (int kind = ERR_NONE; kind <= ERR_CANCELLED; kind++)
		assert_string_not_equal(err_kind_name((enum err_kind)kind), "unknown");
	assert_string_equal(err_kind_name((enum err_kind)1000), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_every_field),
		cmocka_unit_test(sys_appends_the_reason_and_keeps_errno),
		cmocka_unit_test(a_full_disk_has_its_own_kind),
		cmocka_unit_test(control_characters_are_escaped),
		cmocka_unit_test(utf8_is_kept_and_what_is_none_is_escaped),
		cmocka_unit_test(a_long_subject_leaves_room_for_the_reason),
		cmocka_unit_test(cutting_never_splits_a_character_or_an_escape),
		cmocka_unit_test(wrap_puts_context_in_front),
		cmocka_unit_test(a_long_context_does_not_push_the_cause_out),
		cmocka_unit_test(the_old_message_may_be_an_argument),
		cmocka_unit_test(a_long_file_name_keeps_its_end),
		cmocka_unit_test(every_kind_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
