/*
 * A very small HTTP server in a thread of the test, on a free port of 127.0.0.1. It serves one
 * request a connection, calls the test's handler for it, and remembers all requests in order. A TLS
 * hello is hung up on.
 */
#ifndef WHITTLE_TESTS_UNIT_REGISTRY_SERVER_H
#define WHITTLE_TESTS_UNIT_REGISTRY_SERVER_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_SEEN_MAX 128
#define SERVER_HEAD_MAX (64 * 1024)

struct request {
	char method[16];
	char target[4096]; /* path and query */
	char *head;        /* all of it, NUL-terminated */
	char *body;
	size_t body_len;
};

struct server;
typedef void server_handler(struct server *s, const struct request *r, int fd);

struct server {
	server_handler *handler;
	void *arg;
	int fd;
	unsigned port;
	pthread_t thread;
	pthread_mutex_t lock; /* guards seen, nseen */
	struct request *seen[SERVER_SEEN_MAX];
	size_t nseen;
};

/* The value of a header of r in buf, or NULL. */
static inline const char *request_header(const struct request *r, const char *name, char buf[4096])
{
	size_t n = strlen(name);

	for (const char *line = strstr(r->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
			const char *value = line + 3 + n;

			value += strspn(value, " ");
			snprintf(buf, 4096, "%.*s", (int)strcspn(value, "\r\n"), value);
			return buf;
		}
	}
	return NULL;
}

static inline void send_bytes(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

		if (done <= 0)
			return;
		p += done;
		n -= (size_t)done;
	}
}

/*
 * A whole answer; headers is lines that end in \r\n, or "". Content-Length is added unless n is
 * SIZE_MAX.
 */
static inline void reply(int fd, int status, const char *headers, const void *body, size_t n)
{
	char head[8192];
	int len;

	if (n == SIZE_MAX)
		len = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nConnection: close\r\n%s\r\n",
			status, headers);
	else
		len = snprintf(head, sizeof(head),
			"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
			status, n, headers);
	send_bytes(fd, head, (size_t)len);
	if (n != SIZE_MAX && n > 0)
		send_bytes(fd, body, n); /* a client that asked by HEAD has hung up by now */
}

static inline void reply_text(int fd, int status, const char *headers, const char *body)
{
	reply(fd, status, headers, body, strlen(body));
}

static inline void request_free(struct request *r)
{
	free(r->head);
	free(r->body);
	free(r);
}

static inline struct request *request_read(int fd)
{
	struct request *r = calloc(1, sizeof(*r));
	size_t len = 0, head_len, want = 0;
	char *end = NULL, *buf = calloc(1, SERVER_HEAD_MAX);
	char value[4096];

	while (!end && len < SERVER_HEAD_MAX - 1) {
		ssize_t n = recv(fd, buf + len, SERVER_HEAD_MAX - 1 - len, 0);

		if (n <= 0 || buf[0] == 0x16)
			break;
		len += (size_t)n;
		buf[len] = '\0';
		end = strstr(buf, "\r\n\r\n");
	}
	r->head = buf;
	if (!end || sscanf(buf, "%15s %4095s", r->method, r->target) != 2) {
		request_free(r);
		return NULL;
	}
	head_len = (size_t)(end - buf) + 4;
	if (request_header(r, "content-length", value))
		want = strtoul(value, NULL, 10);
	r->body = calloc(1, want + 1);
	r->body_len = len - head_len < want ? len - head_len : want;
	memcpy(r->body, buf + head_len, r->body_len);
	buf[head_len - 2] = '\0';
	while (r->body_len < want) {
		ssize_t n = recv(fd, r->body + r->body_len, want - r->body_len, 0);

		if (n <= 0)
			break;
		r->body_len += (size_t)n;
	}
	return r;
}

static inline void *server_main(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		struct request *r;

		if (fd < 0)
			return NULL; /* server_stop() has shut the socket down */
		r = request_read(fd);
		if (r) {
			pthread_mutex_lock(&s->lock);
			assert(s->nseen < SERVER_SEEN_MAX);
			s->seen[s->nseen++] = r;
			pthread_mutex_unlock(&s->lock);
			s->handler(s, r, fd);
			/* Let the last bytes arrive before a reset can overtake them. */
			shutdown(fd, SHUT_WR);
		}
		close(fd);
	}
}

static inline void server_start(struct server *s, server_handler *handler, void *arg)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int rc;

	memset(s, 0, sizeof(*s));
	s->handler = handler;
	s->arg = arg;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = bind(s->fd, (struct sockaddr *)&sin, sizeof(sin));
	assert(rc == 0);
	rc = listen(s->fd, 16);
	assert(rc == 0);
	getsockname(s->fd, (struct sockaddr *)&sin, &len);
	s->port = ntohs(sin.sin_port);
	pthread_mutex_init(&s->lock, NULL);
	rc = pthread_create(&s->thread, NULL, server_main, s);
	assert(rc == 0);
}

static inline void server_stop(struct server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	for (size_t i = 0; i < s->nseen; i++)
		request_free(s->seen[i]);
	pthread_mutex_destroy(&s->lock);
}

/* Requests so far whose "METHOD target" begins with start; *ret_last is the last of them. */
static inline size_t server_count(
	struct server *s, const char *start, const struct request **ret_last)
{
	size_t count = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->nseen; i++) {
		char line[4200];

		snprintf(line, sizeof(line), "%s %s", s->seen[i]->method, s->seen[i]->target);
		if (strncmp(line, start, strlen(start)) != 0)
			continue;
		count++;
		if (ret_last)
			*ret_last = s->seen[i];
	}
	pthread_mutex_unlock(&s->lock);
	return count;
}

/*
 * A home without credentials and no proxy: what the machine has configured must not leak into a
 * test.
 */
static inline void clean_environment(void)
{
	static const char *const names[] = { "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG",
		"DOCKER_CONFIG", "XDG_CONFIG_HOME", "http_proxy", "https_proxy", "HTTPS_PROXY",
		"all_proxy", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	setenv("HOME", "/nonexistent", 1);
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
}

#endif
