/* Names and numbers of process limits; what is applied to a child. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/limits.h"

static struct step_limit list[LIMITS_MAX];
static size_t n;

static int forget(void **state)
{
	(void)state;
	n = 0;
	return 0;
}

static void takes(const char *text, int resource, uint64_t soft, uint64_t hard)
{
	struct err err = ERR_INIT;
	size_t i;

	if (limits_add(list, &n, text, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	for (i = 0; i < n && list[i].resource != resource; i++)
		;
	assert_int_not_equal(i, n);
	assert_int_equal(list[i].soft, soft);
	assert_int_equal(list[i].hard, hard);
}

static void test_every_name(void **state)
{
	static const char *const names[] = { "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile",
		"nproc", "rss", "rtprio", "rttime", "sigpending", "stack" };
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s=0", names[i]);
		assert_int_equal(limits_add(list, &n, text, &err), 0);
		assert_int_equal(n, i + 1);
	}
	assert_true(n <= LIMITS_MAX);
	/* each once more: replaced, not added */
	assert_int_equal(limits_add(list, &n, "core=0:0", &err), 0);
	assert_int_equal(n, sizeof(names) / sizeof(names[0]));
}

static void test_values(void **state)
{
	(void)state;
	takes("nofile=10:20", RLIMIT_NOFILE, 10, 20);
	takes("nofile=5", RLIMIT_NOFILE, 5, 5);
	assert_int_equal(n, 1);
}

static void test_refuses(void **state)
{
	static const char *const bad[] = { "", "nofile", "nofile=", "=1", "NOFILE=1", "files=1", "nofile=x", "nofile=1:",
		"nofile=:1", "nofile=2:1", "nofile=-1:1", "nofile=-2", "nofile=1:2:3", "nofile=1 ", "nofile=18446744073709551616" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;

		if (limits_add(list, &n, bad[i], &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_int_equal(n, 0);
	}
}

static void test_above_the_hard_limit(void **state)
{
	struct rlimit own;
	struct err err = ERR_INIT;
	char text[64];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &own), 0);
	own.rlim_max = own.rlim_cur = own.rlim_max < 4096 ? own.rlim_max : 4096;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &own), 0);
	snprintf(text, sizeof(text), "nofile=1:%llu", (unsigned long long)own.rlim_max + 1);
	assert_int_equal(limits_add(list, &n, text, &err), -1);
	assert_int_equal(err.kind, ERR_SANDBOX);
	assert_non_null(strstr(err.msg, "limits.conf"));
	assert_int_equal(n, 0);
	err = (struct err)ERR_INIT;
	assert_int_equal(limits_add(list, &n, "nofile=-1", &err), -1);
	assert_int_equal(err.kind, ERR_SANDBOX);
}

/* In a child: limits of this process cannot be raised again. */
static int applied(int resource, rlim_t soft, rlim_t hard)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err err = ERR_INIT;
		struct rlimit now;

		_exit(limits_apply(list, n, &err) == 0 && getrlimit(resource, &now) == 0 && now.rlim_cur == soft &&
				now.rlim_max == hard ?
			      0 :
			      1);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void test_apply(void **state)
{
	struct rlimit nofile;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &nofile);
	assert_int_equal(applied(RLIMIT_CORE, 0, 0), 0);
	assert_int_equal(applied(RLIMIT_NOFILE, nofile.rlim_max, nofile.rlim_max), 0);
	takes("nofile=100:200", RLIMIT_NOFILE, 100, 200);
	takes("core=4096", RLIMIT_CORE, 4096, 4096);
	assert_int_equal(applied(RLIMIT_NOFILE, 100, 200), 0);
	assert_int_equal(applied(RLIMIT_CORE, 4096, 4096), 0);
	assert_int_not_equal(applied(RLIMIT_CORE, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_name, forget),
		cmocka_unit_test_setup(test_values, forget),
		cmocka_unit_test_setup(test_refuses, forget),
		cmocka_unit_test_setup(test_above_the_hard_limit, forget),
		cmocka_unit_test_setup(test_apply, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
