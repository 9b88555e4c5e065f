#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/proc.h"

/* Run a line of shell. */
static int shell(const char *line, struct strbuf *output, size_t max)
{
	const char *const argv[] = {"sh", "-c", line, NULL};
	struct err err = ERR_INIT;
	int status = proc_run(argv, output, max, &err);

	if (status < 0)
		print_error("%s\n", err.msg);
	assert_int_equal(err.kind, ERR_NONE);
	return status;
}

static void the_exit_status_and_both_outputs_come_back(void **state)
{
	auto_strbuf out = STRBUF_INIT;

	(void)state;
	strbuf_puts(&out, "before ");
	assert_int_equal(shell("echo one; echo two >&2; exit 7", &out, 100), 7);
	assert_string_equal(out.buf, "before one\ntwo\n");
	assert_int_equal(shell("exit 255", &out, 100), 255);
	assert_int_equal(shell(":", &out, 100), 0);
}

static void a_signal_is_128_and_its_number(void **state)
{
	auto_strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(shell("kill -KILL $$", &out, 100), 128 + SIGKILL);
	assert_int_equal(shell("kill -TERM $$", &out, 100), 128 + SIGTERM);
}

static void output_over_the_maximum_is_read_and_dropped(void **state)
{
	auto_strbuf out = STRBUF_INIT;

	(void)state;
	/* more than a pipe holds: the program would hang if nobody read on */
	assert_int_equal(
		shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 3",
			&out, 15),
		3);
	assert_string_equal(out.buf, "0123456789\n0123");
}

static void all_output_of_a_long_program_arrives(void **state)
{
	auto_strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done",
				 &out, 1 << 20),
		0);
	assert_int_equal(out.len, 220000);
}

static void a_missing_program_is_not_found(void **state)
{
	static const char *const missing[] = {"no-such-program-of-whittle", NULL};
	static const char *const no_path[] = {"/no/such/program", NULL};
	static const char *const folder[] = {"/", NULL};
	auto_strbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(proc_run(missing, &out, 100, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "'no-such-program-of-whittle'"));
	assert_int_equal(proc_run(no_path, &out, 100, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(proc_run(folder, &out, 100, &err), -1);
	assert_int_equal(err.kind, ERR_SYSTEM);
	assert_int_equal(err.sys, EACCES);
	assert_int_equal(out.len, 0);
	assert_int_equal(waitpid(-1, NULL, 0), -1); /* no zombie is left */
	assert_int_equal(errno, ECHILD);
}

static void a_closed_folder_in_path_does_not_hide_that_nothing_is_there(void **state)
{
	pid_t pid = fork();
	int status = 0;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		static const char *const missing[] = {"no-such-program-of-whittle", NULL};
		char folder[] = "/tmp/whittle-test-XXXXXX";
		auto_strbuf out = STRBUF_INIT;
		struct err err = ERR_INIT;
		int result;

		/* made by whom we become, so that root is kept out too */
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		if (!mkdtemp(folder) || chmod(folder, 0) < 0 || setenv("PATH", folder, 1) < 0)
			_exit(3);
		result = proc_run(missing, &out, 100, &err);
		rmdir(folder);
		_exit(result == -1 && err.kind == ERR_NOT_FOUND ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void stdin_is_empty_and_no_other_descriptor_leaks(void **state)
{
	auto_strbuf out = STRBUF_INIT;
	auto_fd int low = open("/", O_RDONLY); /* inheritable on purpose */
	auto_fd int high = fcntl(low, F_DUPFD, 200);

	(void)state;
	assert_true(low < 200 && high >= 200 && high < 300);
	/* one by one: a glob in there would see its own descriptor */
	assert_int_equal(shell("cat; i=0; while [ $i -lt 300 ]; do"
			       " [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done",
				 &out, 1000),
		0);
	assert_string_equal(out.buf, "0\n1\n2\n");
}

static void it_works_with_the_standard_descriptors_closed(void **state)
{
	pid_t pid = fork();
	int status = 0;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		static const char *const argv[] = {"sh", "-c", "cat; echo out; echo err >&2", NULL};
		static const char *const missing[] = {"no-such-program-of-whittle", NULL};
		auto_strbuf out = STRBUF_INIT;
		struct err err = ERR_INIT;

		close(0);
		close(1);
		close(2);
		if (proc_run(argv, &out, 100, &err) != 0 || strcmp(out.buf, "out\nerr\n") != 0)
			_exit(1);
		_exit(proc_run(missing, &out, 100, &err) == -1 && err.kind == ERR_NOT_FOUND ? 0
											    : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void blocked_and_ignored_signals_are_not_handed_down(void **state)
{
	auto_strbuf out = STRBUF_INIT;
	sigset_t all, old;
	void (*old_pipe)(int) = signal(SIGPIPE, SIG_IGN);

	(void)state;
	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_SETMASK, &all, &old), 0);
	assert_int_equal(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status", &out, 1000), 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, old_pipe);
	assert_non_null(strstr(out.buf, "SigBlk:\t0000000000000000\n"));
	assert_null(strstr(out.buf, "SigIgn:\t0000000000001000\n"));
}

static void a_daemon_left_behind_does_not_hold_us_up(void **state)
{
	auto_strbuf out = STRBUF_INIT;
	uint64_t start = clock_mono_ns();

	(void)state;
	assert_int_equal(shell("sleep 20 & echo $!", &out, 100), 0);
	assert_true(clock_mono_ns() - start < 10000000000U);
	kill((pid_t)strtol(out.buf, NULL, 10), SIGKILL);
}

static void no_descriptor_stays_open(void **state)
{
	auto_strbuf out = STRBUF_INIT;
	int before = open("/", O_RDONLY | O_CLOEXEC), after;

	(void)state;
	for (int i = 0; i < 20; i++)
		shell(":", &out, 10);
	after = open("/", O_RDONLY | O_CLOEXEC);
	assert_int_equal(after, before + 1);
	close(before);
	close(after);
}

static long atoi_pid(const char *text)
{
	return strtol(text, NULL, 10);
}

static bool is_zombie(pid_t pid)
{
	char path[64], text[256] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	(void)!read(fd, text, sizeof(text) - 1);
	close(fd);
	return strstr(text, ") Z ") != NULL;
}

static void only_the_given_environment_and_mask(void **state)
{
	const char *const argv[] = {"sh", "-c", "umask; echo \"$GIVEN,$HOME\"", NULL};
	const char *const env[] = {"PATH=/usr/bin:/bin", "GIVEN=yes", NULL};
	const struct proc_options o = {.env = env, .mask = 027};
	auto_strbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	setenv("HOME", "/somewhere", 1);
	assert_int_equal(proc_run_with(argv, &o, &out, 100, &err), 0);
	assert_string_equal(out.buf, "0027\nyes,\n");
}

static volatile sig_atomic_t cancel_flag;

static void set_cancel(int sig)
{
	(void)sig;
	cancel_flag = 1;
}

static void a_cancelled_program_is_killed_with_its_children(void **state)
{
	const char *const argv[] = {"sh", "-c", "sleep 600 & echo $!; wait", NULL};
	const struct proc_options o = {.cancel = &cancel_flag};
	auto_strbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;
	pid_t pid;

	(void)state;
	signal(SIGALRM, set_cancel);
	alarm(1);
	assert_int_equal(proc_run_with(argv, &o, &out, 100, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	pid = (pid_t)atoi_pid(out.buf);
	assert_true(pid > 1);
	/* it was killed; whoever adopts it may not have reaped it yet */
	for (int i = 0; i < 100 && kill(pid, 0) == 0 && !is_zombie(pid); i++)
		usleep(20000);
	assert_true(kill(pid, 0) < 0 || is_zombie(pid));
	cancel_flag = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_exit_status_and_both_outputs_come_back),
		cmocka_unit_test(a_signal_is_128_and_its_number),
		cmocka_unit_test(output_over_the_maximum_is_read_and_dropped),
		cmocka_unit_test(all_output_of_a_long_program_arrives),
		cmocka_unit_test(a_missing_program_is_not_found),
		cmocka_unit_test(a_closed_folder_in_path_does_not_hide_that_nothing_is_there),
		cmocka_unit_test(stdin_is_empty_and_no_other_descriptor_leaks),
		cmocka_unit_test(it_works_with_the_standard_descriptors_closed),
		cmocka_unit_test(blocked_and_ignored_signals_are_not_handed_down),
		cmocka_unit_test(a_daemon_left_behind_does_not_hold_us_up),
		cmocka_unit_test(no_descriptor_stays_open),
		cmocka_unit_test(only_the_given_environment_and_mask),
		cmocka_unit_test(a_cancelled_program_is_killed_with_its_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
