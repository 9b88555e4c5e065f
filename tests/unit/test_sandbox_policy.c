/* The policy as a table of calls, tried live: a child installs the filter and makes the call. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/policy.h"
#include "sandbox/policy_table.h"

#define HIGH 0x100000000L /* bits that the kernel drops from an int */
#define ALLOWED 0         /* the call may still fail, but with another errno than the filter's */

static struct policy_program *program;

static const struct {
	const char *what;
	long nr, a, b, c;
	int expected; /* errno of the filter, or ALLOWED */
} calls[] = {
	{ "getpid", SYS_getpid, 0, 0, 0, ALLOWED },
	{ "openat", SYS_openat, AT_FDCWD, 0, 0, ALLOWED },
	{ "setuid", SYS_setuid, -1, 0, 0, ALLOWED },
	{ "landlock_create_ruleset", SYS_landlock_create_ruleset, 0, 0, 1, ALLOWED },
	{ "unshare nothing", SYS_unshare, 0, 0, 0, EPERM },
	{ "unshare user", SYS_unshare, CLONE_NEWUSER, 0, 0, EPERM },
	{ "setns", SYS_setns, -1, 0, 0, EPERM },
	{ "mount", SYS_mount, 0, 0, 0, EPERM },
	{ "umount2", SYS_umount2, 0, 0, 0, EPERM },
	{ "pivot_root", SYS_pivot_root, 0, 0, 0, EPERM },
	{ "fsopen", SYS_fsopen, 0, 0, 0, EPERM },
	{ "open_tree", SYS_open_tree, -1, 0, 0, EPERM },
	{ "clone into a user namespace", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, EPERM },
	{ "clone into a network namespace", SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, EPERM },
	{ "clone3", SYS_clone3, 0, 0, 0, ENOSYS },
	{ "io_uring_setup", SYS_io_uring_setup, 1, 0, 0, ENOSYS },
	{ "a call of the future", 4000, 0, 0, 0, ENOSYS },
	{ "keyctl", SYS_keyctl, 0, 0, 0, EPERM },
	{ "add_key", SYS_add_key, 0, 0, 0, EPERM },
	{ "bpf", SYS_bpf, 0, 0, 0, EPERM },
	{ "perf_event_open", SYS_perf_event_open, 0, 0, 0, EPERM },
	{ "userfaultfd", SYS_userfaultfd, 0, 0, 0, EPERM },
	{ "open_by_handle_at", SYS_open_by_handle_at, -1, 0, 0, EPERM },
	{ "pidfd_getfd", SYS_pidfd_getfd, -1, 0, 0, EPERM },
	{ "kexec_load", SYS_kexec_load, 0, 0, 0, EPERM },
	{ "sethostname", SYS_sethostname, 0, 0, 0, EPERM },
	{ "socket AF_UNIX", SYS_socket, AF_UNIX, SOCK_STREAM, 0, ALLOWED },
	{ "socket AF_ALG", SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, EPERM },
	{ "socket AF_ALG with high bits", SYS_socket, AF_ALG | HIGH, SOCK_SEQPACKET, 0, EPERM },
	{ "socket AF_VSOCK", SYS_socket, AF_VSOCK, SOCK_STREAM, 0, EPERM },
	{ "ioctl FIONREAD", SYS_ioctl, 0, FIONREAD, 0, ALLOWED },
	{ "ioctl TIOCSTI", SYS_ioctl, 0, TIOCSTI, 0, EPERM },
	{ "ioctl TIOCSTI with high bits", SYS_ioctl, 0, TIOCSTI | HIGH, 0, EPERM },
	{ "ioctl TIOCLINUX", SYS_ioctl, 0, TIOCLINUX, 0, EPERM },
	{ "personality query", SYS_personality, 0xffffffffL, 0, 0, ALLOWED },
	{ "personality of another system", SYS_personality, 0x0004, 0, 0, ENOSYS },
};

/* In the child. Returns the errno, or 0. */
static int try_call(size_t i)
{
	struct err err = ERR_INIT;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || policy_install(program, &err) < 0)
		return 255;
	errno = 0;
	return syscall(calls[i].nr, calls[i].a, calls[i].b, calls[i].c, 0, 0, 0) < 0 ? errno : 0;
}

static void every_call_gets_its_verdict(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		pid_t pid = fork();
		int status, got;

		if (pid == 0)
			_exit(try_call(i));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		got = WEXITSTATUS(status);
		if (calls[i].expected != ALLOWED ? got != calls[i].expected : got == ENOSYS || got == 255)
			fail_msg("%s: got %s", calls[i].what, strerror(got));
	}
}

/* A namespace must not slip through in one of several bits. */
static void no_namespace_flag_is_left_out(void **state)
{
	static const unsigned long flags[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
		CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET };

	(void)state;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		bool found = false;

		for (size_t k = 0; k < policy_arguments_len; k++)
			found |= strcmp(policy_arguments[k].name, "clone") == 0 &&
				 policy_arguments[k].value == flags[i] && policy_arguments[k].mask == flags[i] &&
				 policy_arguments[k].verdict == VERDICT_EPERM;
		assert_true(found);
	}
}

static void no_call_stands_in_two_groups(void **state)
{
	(void)state;
	for (size_t g = 0; g < policy_groups_len; g++)
		for (const char *p = policy_groups[g].names; *p;) {
			size_t len = strcspn(p, " ");
			int seen = 0;

			for (size_t h = 0; len && h < policy_groups_len; h++)
				for (const char *q = policy_groups[h].names; *q;) {
					size_t n = strcspn(q, " ");

					seen += n == len && strncmp(p, q, n) == 0;
					q += n + (q[n] == ' ');
				}
			if (len && seen != 1)
				fail_msg("'%.*s' stands %d times", (int)len, p, seen);
			p += len + (p[len] == ' ');
		}
}

static void the_filter_fits_the_kernel(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_in_range(program->filters[i].count, 5, 4096);
	}
}

static int setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	program = policy_compile(&err);
	return program ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	policy_free(program);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_gets_its_verdict),
		cmocka_unit_test(no_namespace_flag_is_left_out),
		cmocka_unit_test(no_call_stands_in_two_groups),
		cmocka_unit_test(the_filter_fits_the_kernel),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
