/* The ssh agent that a step sees: what passes to the real one, what does not, and what a broken peer can do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/agent_proxy.h"

static char dir[] = "/tmp/whittle-agent-XXXXXX";
static int dirfd_, agent_fd;
static pthread_t agent_thread;
static char *agent_path;
static volatile unsigned seen; /* types of requests that reached the agent, as bits */

static void *answer(void *arg)
{
	int fd = (int)(intptr_t)arg;
	unsigned char head[5], *rest;

	while (read_full(fd, head, 5) == 5) {
		uint32_t n = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];

		rest = xmalloc(n);
		read_full(fd, rest, n - 1);
		seen |= 1u << head[4];
		head[4]++;
		/* the proxy may be stopped while this answers */
		send(fd, head, 5, MSG_NOSIGNAL);
		send(fd, rest, n - 1, MSG_NOSIGNAL);
		free(rest);
	}
	close(fd);
	return NULL;
}

/* An agent that answers each request with itself, its type one higher. */
static void *agent_main(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept4(agent_fd, NULL, NULL, SOCK_CLOEXEC);
		pthread_t t;

		if (fd < 0)
			return NULL;
		pthread_create(&t, NULL, answer, (void *)(intptr_t)fd);
		pthread_detach(t);
	}
}

static int bind_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -1 : fd;
}

static int connect_to(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_free char *path = xasprintf("%s/%s", dir, name);
	const struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -1 : fd;
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	agent_path = xasprintf("%s/agent", dir);
	agent_fd = bind_at(agent_path);
	if (agent_fd < 0 || listen(agent_fd, 8) < 0)
		return -1;
	return pthread_create(&agent_thread, NULL, agent_main, NULL) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	shutdown(agent_fd, SHUT_RDWR);
	pthread_join(agent_thread, NULL);
	close(agent_fd);
	close(dirfd_);
	free(agent_path);
	return remove_tree(AT_FDCWD, dir);
}

static struct agent_proxy *start(const char *name)
{
	struct err err = ERR_INIT;
	struct agent_proxy *p = agent_proxy_start("default", agent_path, dirfd_, name, &err);

	if (!p)
		fail_msg("%s", err.msg);
	return p;
}

/* Send a request of n bytes after its type and give the type of the answer, or -1 when the connection ends. */
static int ask(int fd, unsigned char type, size_t n)
{
	auto_free unsigned char *message = xcalloc(1, 5 + n);
	unsigned char head[5] = { 0 };
	size_t len = n + 1;

	message[0] = (unsigned char)(len >> 24);
	message[1] = (unsigned char)(len >> 16);
	message[2] = (unsigned char)(len >> 8);
	message[3] = (unsigned char)len;
	message[4] = type;
	if (send(fd, message, 5 + n, MSG_NOSIGNAL) < 0 || read_full(fd, head, 5) != 5)
		return -1;
	len = ((size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]) - 1;
	free(message);
	message = xmalloc(len + 1);
	assert_int_equal(read_full(fd, message, len), len);
	return head[4];
}

static void only_listing_and_signing_pass(void **state)
{
	struct agent_proxy *p = start("a");
	auto_fd int fd = connect_to("a");

	(void)state;
	seen = 0;
	assert_int_equal(ask(fd, 11, 0), 12);
	assert_int_equal(ask(fd, 13, 5000), 14);
	assert_int_equal(ask(fd, 13, 200000), 14);
	for (unsigned char type = 0; type < 32; type++)
		if (type != 11 && type != 13)
			assert_int_equal(ask(fd, type, 10), 5); /* SSH_AGENT_FAILURE */
	assert_int_equal(ask(fd, 255, 10), 5);
	assert_int_equal(seen, 1u << 11 | 1u << 13);
	agent_proxy_stop(p);
}

static void the_socket_is_its_owners(void **state)
{
	struct agent_proxy *p = start("mode");
	struct stat st;

	(void)state;
	assert_int_equal(fstatat(dirfd_, "mode", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	agent_proxy_stop(p);
}

static void a_message_over_the_limit_ends_the_connection(void **state)
{
	struct agent_proxy *p = start("b");
	auto_fd int fd = connect_to("b");
	auto_fd int other = connect_to("b");
	const unsigned char nothing[4] = { 0 };
	char byte;

	(void)state;
	assert_int_equal(ask(fd, 13, AGENT_MESSAGE_MAX - 1), 14);
	assert_int_equal(ask(fd, 13, AGENT_MESSAGE_MAX), -1);
	assert_int_equal(write_all(other, nothing, 4), 0); /* a message of no bytes has no type */
	assert_int_equal(read(other, &byte, 1), 0);
	agent_proxy_stop(p);
}

static void many_clients_and_those_that_wait(void **state)
{
	struct agent_proxy *p = start("c");
	int fds[AGENT_CLIENTS_MAX + 1];
	const struct timeval soon = { .tv_usec = 200000 };

	(void)state;
	for (size_t i = 0; i <= AGENT_CLIENTS_MAX; i++)
		fds[i] = connect_to("c");
	for (size_t i = 0; i < AGENT_CLIENTS_MAX; i++)
		assert_int_equal(ask(fds[i], 11, 0), 12);
	setsockopt(fds[AGENT_CLIENTS_MAX], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	assert_int_equal(ask(fds[AGENT_CLIENTS_MAX], 11, 0), -1); /* waits for a place */
	close(fds[3]);
	assert_int_equal(ask(fds[0], 11, 0), 12);
	agent_proxy_stop(p);
	for (size_t i = 0; i <= AGENT_CLIENTS_MAX; i++)
		if (i != 3)
			close(fds[i]);
}

static void it_ends_in_the_middle_of_a_message(void **state)
{
	struct agent_proxy *p = start("d");
	auto_fd int fd = connect_to("d");
	const unsigned char half[6] = { 0, 0, 1, 0, 13, 0 };

	(void)state;
	assert_int_equal(write_all(fd, half, sizeof(half)), 0);
	agent_proxy_stop(p); /* and does not hang */
}

static void a_dead_agent_is_said_at_once(void **state)
{
	struct err err = ERR_INIT;
	auto_free char *dead = xasprintf("%s/dead", dir);
	auto_free char *deep = xasprintf("%s/%0200d", dir, 0);
	int fd = bind_at(dead); /* nobody listens */

	(void)state;
	close(fd);
	assert_null(agent_proxy_start("k", dead, dirfd_, "e", &err));
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "ssh agent k at"));
	assert_int_equal(err.sys, ECONNREFUSED);
	err = (struct err)ERR_INIT;
	assert_null(agent_proxy_start("k", deep, dirfd_, "e", &err));
	assert_int_equal(err.sys, ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_listing_and_signing_pass),
		cmocka_unit_test(the_socket_is_its_owners),
		cmocka_unit_test(a_message_over_the_limit_ends_the_connection),
		cmocka_unit_test(many_clients_and_those_that_wait),
		cmocka_unit_test(it_ends_in_the_middle_of_a_message),
		cmocka_unit_test(a_dead_agent_is_said_at_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
