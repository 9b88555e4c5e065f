#include "build/agent_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"

/* draft-miller-ssh-agent: u32 length, then u8 type and its data */
#define HEADER_SIZE 4
#define AGENT_FAILURE 5
#define AGENT_REQUEST_IDENTITIES 11
#define AGENT_SIGN_REQUEST 13

struct client {
	int fd;
	int agent; /* a connection of its own: agents keep state per connection */
};

struct agent_proxy {
	pthread_t thread;
	int listen;
	int stop[2]; /* closing stop[1] ends the thread */
	char *agent;
	struct client clients[AGENT_CLIENTS_MAX];
	size_t nclients;
	unsigned char *message; /* HEADER_SIZE + AGENT_MESSAGE_MAX bytes */
};

static int connect_agent(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return take_fd(fd);
}

/* Wait until fd is ready. False when the proxy is to end. */
static bool wait_for(const struct agent_proxy *p, int fd, short events)
{
	struct pollfd polled[] = { { .fd = fd, .events = events }, { .fd = p->stop[0] } };

	while (poll(polled, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	return polled[1].revents == 0;
}

/* All n bytes, or false: end of the stream, an error, or the end of the proxy. */
static bool receive(const struct agent_proxy *p, int fd, unsigned char *data, size_t n)
{
	while (n) {
		ssize_t got;

		if (!wait_for(p, fd, POLLIN))
			return false;
		got = recv(fd, data, n, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return false;
		data += got;
		n -= (size_t)got;
	}
	return true;
}

static bool transmit(const struct agent_proxy *p, int fd, const unsigned char *data, size_t n)
{
	while (n) {
		ssize_t put;

		if (!wait_for(p, fd, POLLOUT))
			return false;
		put = send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (put <= 0)
			return false;
		data += put;
		n -= (size_t)put;
	}
	return true;
}

/* One message into p->message. Returns its size with the header, or 0. */
static size_t receive_message(const struct agent_proxy *p, int fd)
{
	uint32_t n;

	if (!receive(p, fd, p->message, HEADER_SIZE))
		return 0;
	n = (uint32_t)p->message[0] << 24 | (uint32_t)p->message[1] << 16 | (uint32_t)p->message[2] << 8 |
	    p->message[3];
	if (n == 0 || n > AGENT_MESSAGE_MAX || !receive(p, fd, p->message + HEADER_SIZE, n))
		return 0;
	return HEADER_SIZE + n;
}

/* One request of a client and its answer. False: the connection is to be closed. */
static bool serve_request(struct agent_proxy *p, const struct client *c)
{
	static const unsigned char failure[] = { 0, 0, 0, 1, AGENT_FAILURE };
	size_t n = receive_message(p, c->fd);

	if (n == 0)
		return false;
	if (p->message[HEADER_SIZE] != AGENT_REQUEST_IDENTITIES && p->message[HEADER_SIZE] != AGENT_SIGN_REQUEST)
		return transmit(p, c->fd, failure, sizeof(failure));
	if (!transmit(p, c->agent, p->message, n))
		return false;
	n = receive_message(p, c->agent);
	return n && transmit(p, c->fd, p->message, n);
}

static void drop_client(struct agent_proxy *p, size_t i)
{
	close_fd(p->clients[i].fd);
	close_fd(p->clients[i].agent);
	p->clients[i] = p->clients[--p->nclients];
}

static void accept_client(struct agent_proxy *p)
{
	auto_fd int fd = accept4(p->listen, NULL, NULL, SOCK_CLOEXEC);
	int agent = fd < 0 ? -1 : connect_agent(p->agent);

	if (agent >= 0)
		p->clients[p->nclients++] = (struct client){ take_fd(fd), agent };
}

static void *serve(void *arg)
{
	struct agent_proxy *p = arg;

	for (;;) {
		struct pollfd polled[2 + AGENT_CLIENTS_MAX] = { { .fd = p->stop[0] },
			{ .fd = p->nclients < AGENT_CLIENTS_MAX ? p->listen : -1, .events = POLLIN } };
		size_t n = p->nclients;

		for (size_t i = 0; i < n; i++)
			polled[2 + i] = (struct pollfd){ .fd = p->clients[i].fd, .events = POLLIN };
		if (poll(polled, 2 + n, -1) < 0 && errno != EINTR)
			return NULL;
		if (polled[0].revents)
			return NULL;
		/* From the last: dropping one puts the last in its place. */
		for (size_t i = n; i-- > 0;)
			if (polled[2 + i].revents && !serve_request(p, &p->clients[i]))
				drop_client(p, i);
		if (polled[1].revents)
			accept_client(p);
	}
}

/* Its path by way of the descriptor fits into a socket address, however deep the folder lies. */
static int listen_at(int dirfd, const char *name, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || fchmodat(dirfd, name, 0600, 0) < 0 ||
		listen(fd, AGENT_CLIENTS_MAX) < 0)
		return err_sys(err, "cannot make the socket '%s' in the store", name);
	return take_fd(fd);
}

static void release(struct agent_proxy *p)
{
	while (p->nclients)
		drop_client(p, p->nclients - 1);
	close_fd(p->listen);
	close_fd(p->stop[0]);
	close_fd(p->stop[1]);
	if (p->message)
		explicit_bzero(p->message, HEADER_SIZE + AGENT_MESSAGE_MAX);
	free(p->message);
	free(p->agent);
	free(p);
}

/* An agent that is not there is better said now than by a program in the step. */
static int check_agent(const char *id, const char *path, struct err *err)
{
	auto_fd int fd = connect_agent(path);

	if (fd >= 0)
		return 0;
	err_sys(err, "ssh agent %s at '%s' does not answer", id, path);
	err->kind = ERR_NOT_FOUND;
	return -1;
}

struct agent_proxy *agent_proxy_start(const char *id, const char *agent, int dirfd, const char *name, struct err *err)
{
	struct agent_proxy *p;

	if (check_agent(id, agent, err) < 0)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->stop[0] = p->stop[1] = -1;
	p->agent = xstrdup(agent);
	p->message = xmalloc(HEADER_SIZE + AGENT_MESSAGE_MAX);
	p->listen = listen_at(dirfd, name, err);
	if (p->listen < 0 || pipe2(p->stop, O_CLOEXEC) < 0 || pthread_create(&p->thread, NULL, serve, p) != 0) {
		if (err->kind == ERR_NONE)
			err_sys(err, "cannot serve the ssh agent %s", id);
		release(p);
		return NULL;
	}
	return p;
}

void agent_proxy_stop(struct agent_proxy *p)
{
	if (!p)
		return;
	p->stop[1] = close_fd(p->stop[1]);
	pthread_join(p->thread, NULL);
	release(p);
}
