/* Landlock scopes, tried live: a child takes them on and tries to reach what its parent made. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/landlock.h"

static socklen_t abstract_name(struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "whittle-landlock-%d", (int)getppid());
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a->sun_path + 1));
}

/* In a child whose parent listens. Returns the errno of connect, or 0. */
static int reach(bool scoped)
{
	struct sockaddr_un a;
	struct err err = ERR_INIT;
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = abstract_name(&a);

	if (scoped && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_scope(&err) != 1))
		return 255;
	return connect(s, (struct sockaddr *)&a, len) == 0 ? 0 : errno;
}

static int in_child(int (*run)(bool), bool scoped)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(run(scoped));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void an_abstract_socket_made_outside_is_out_of_reach(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (landlock_abi() < LANDLOCK_ABI_SCOPES) {
		print_message("Landlock ABI %d has no scopes\n", landlock_abi());
		skip();
	}
	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "whittle-landlock-%d", (int)getpid());
	assert_int_equal(bind(s, (struct sockaddr *)&a,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a.sun_path + 1))),
		0);
	assert_int_equal(listen(s, 5), 0);
	assert_int_equal(in_child(reach, false), 0);
	assert_int_equal(in_child(reach, true), EPERM);
	close(s);
}

static int signal_parent(bool scoped)
{
	struct err err = ERR_INIT;

	if (scoped && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_scope(&err) != 1))
		return 255;
	return kill(getppid(), 0) == 0 ? 0 : errno;
}

static void a_process_outside_cannot_be_signalled(void **state)
{
	(void)state;
	if (landlock_abi() < LANDLOCK_ABI_SCOPES)
		skip();
	assert_int_equal(in_child(signal_parent, false), 0);
	assert_int_equal(in_child(signal_parent, true), EPERM);
}

/* Neither no_new_privs nor a capability: the kernel refuses, and the message says what was tried. */
static int without_rights(bool unused)
{
	struct err err = ERR_INIT;

	(void)unused;
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 255;
	return landlock_scope(&err) == -1 && err.kind == ERR_SANDBOX && err.sys == EPERM &&
			       strstr(err.msg, "landlock_restrict_self") ?
		       0 :
		       1;
}

static void without_the_right_it_is_an_error(void **state)
{
	(void)state;
	if (landlock_abi() < LANDLOCK_ABI_SCOPES || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		skip();
	assert_int_equal(in_child(without_rights, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_abstract_socket_made_outside_is_out_of_reach),
		cmocka_unit_test(a_process_outside_cannot_be_signalled),
		cmocka_unit_test(without_the_right_it_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
