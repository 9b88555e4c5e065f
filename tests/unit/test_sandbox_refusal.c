/* What is said of a call that the host refuses: which one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sandbox/refusal.h"

static struct err refused(int reason)
{
	struct err err = ERR_INIT;

	errno = reason;
	err_sys(&err, "cannot do it");
	assert_int_equal(refusal(&err, "a_call"), -1);
	assert_int_equal(err.sys, reason);
	assert_non_null(strstr(err.msg, "cannot do it: "));
	assert_non_null(strstr(err.msg, "(a_call"));
	return err;
}

static void limits_of_the_process_have_a_mend(void **state)
{
	(void)state;
	assert_non_null(strstr(refused(EMFILE).msg, "ulimit -n"));
	assert_non_null(strstr(refused(ENOMEM).msg, "memory"));
	assert_null(strchr(strstr(refused(EXDEV).msg, "(a_call"), ':'));
}

static void it_is_the_host_that_refuses_unless_the_disk_is_full(void **state)
{
	(void)state;
	assert_int_equal(refused(EPERM).kind, ERR_SANDBOX);
	assert_int_equal(refused(EINVAL).kind, ERR_SANDBOX);
	assert_int_equal(refused(ENOSPC).kind, ERR_DISK);
}

static void a_long_message_is_cut(void **state)
{
	struct err err = ERR_INIT;
	char text[sizeof(err.msg)];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	errno = EPERM;
	err_sys(&err, "%s", text);
	refusal(&err, "a_call");
	assert_true(strlen(err.msg) < sizeof(err.msg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_of_the_process_have_a_mend),
		cmocka_unit_test(it_is_the_host_that_refuses_unless_the_disk_is_full),
		cmocka_unit_test(a_long_message_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
