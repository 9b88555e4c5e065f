/* Descriptors over sockets: how many come, what happens to those that there is no room for, and the ends of streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sendfd.h"

static int pair[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static size_t open_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void bytes_and_descriptors_arrive(void **state)
{
	int sent[SENDFD_MAX], got[SENDFD_MAX];
	size_t n = SENDFD_MAX;
	char text[8] = "";

	(void)state;
	for (size_t i = 0; i < SENDFD_MAX; i++)
		sent[i] = pair[0];
	assert_int_equal(sendfd(pair[0], "hello", 5, sent, SENDFD_MAX), 0);
	assert_int_equal(recvfd(pair[1], text, sizeof(text), 0, got, &n), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(n, SENDFD_MAX);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		close(got[i]);
	}
}

static void none_is_none(void **state)
{
	int fd = -1;
	size_t n = 1;
	char byte;

	(void)state;
	assert_int_equal(sendfd(pair[0], "x", 1, NULL, 0), 0);
	assert_int_equal(recvfd(pair[1], &byte, 1, 0, &fd, &n), 1);
	assert_int_equal(n, 0);
	assert_int_equal(fd, -1);
}

static void those_without_room_are_closed(void **state)
{
	int sent[3] = { pair[0], pair[0], pair[0] }, got[1];
	size_t before = open_descriptors(), n;
	char byte;

	(void)state;
	assert_int_equal(sendfd(pair[0], "x", 1, sent, 3), 0);
	n = 1;
	assert_int_equal(recvfd(pair[1], &byte, 1, 0, got, &n), 1);
	assert_int_equal(n, 1);
	close(got[0]);
	assert_int_equal(sendfd(pair[0], "x", 1, sent, 3), 0);
	n = 0;
	assert_int_equal(recvfd(pair[1], &byte, 1, 0, NULL, &n), 1);
	assert_int_equal(n, 0);
	assert_int_equal(open_descriptors(), before);
}

static void more_than_the_limit_is_refused(void **state)
{
	int sent[SENDFD_MAX + 1] = { 0 };

	(void)state;
	assert_int_equal(sendfd(pair[0], "x", 1, sent, SENDFD_MAX + 1), -1);
	assert_int_equal(errno, EINVAL);
}

static void the_end_is_no_message(void **state)
{
	size_t n = 0;
	char byte;

	(void)state;
	shutdown(pair[0], SHUT_WR);
	assert_int_equal(recvfd(pair[1], &byte, 1, 0, NULL, &n), 0);
	assert_int_equal(sendfd(pair[0], "x", 1, NULL, 0), -1);
	assert_int_equal(errno, EPIPE); /* and no signal */
	assert_int_equal(recvfd(pair[0], &byte, 1, MSG_DONTWAIT, NULL, &n), -1);
	assert_int_equal(errno, EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bytes_and_descriptors_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(none_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(those_without_room_are_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_the_limit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_is_no_message, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
