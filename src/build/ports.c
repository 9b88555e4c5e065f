#include "build/ports.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"

#define PORTS_MAX 65536 /* of one word: the whole range */

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void ports_sort(struct strv *l)
{
	if (l->len)
		qsort(l->v, l->len, sizeof(*l->v), by_bytes);
}

/* "80" or "80-90". */
static int parse_range(const char *s, uint64_t *from, uint64_t *to)
{
	auto_free char *copy = xstrdup(s);
	char *dash = strchr(copy, '-');

	if (dash)
		*dash++ = '\0';
	if (parse_u64(copy, 0, 65535, from) < 0)
		return -1;
	*to = *from;
	return dash ? (parse_u64(dash, *from, 65535, to) < 0 ? -1 : 0) : 0;
}

static bool ip_valid(const char *s)
{
	unsigned char buf[sizeof(struct in6_addr)];
	auto_free char *copy = xstrdup(s);
	size_t len = strlen(copy);
	char *bare = copy;

	if (len > 1 && copy[0] == '[' && copy[len - 1] == ']') {
		copy[len - 1] = '\0';
		bare++;
	}
	return inet_pton(AF_INET, bare, buf) == 1 || inet_pton(AF_INET6, bare, buf) == 1;
}

/* Split at the last colons: the container's part, the host's, and all before them is an address. */
static int check_host_part(char *spec, char **ret_container, uint64_t *ret_size, struct err *err)
{
	char *colon = strrchr(spec, ':'), *ip = NULL, *host;
	uint64_t from, to;

	*ret_container = spec;
	*ret_size = 0;
	if (!colon)
		return 0;
	*ret_container = colon + 1;
	*colon = '\0';
	host = strrchr(spec, ':');
	if (host) {
		*host++ = '\0';
		ip = spec;
	} else {
		host = spec;
	}
	if (ip && *ip && !ip_valid(ip))
		return err_set(err, ERR_DOCKERFILE, "invalid IP address: %s", ip);
	if (*host && parse_range(host, &from, &to) < 0)
		return err_set(err, ERR_DOCKERFILE, "invalid hostPort: %s", host);
	if (*host)
		*ret_size = to - from + 1;
	return 0;
}

int ports_parse(const char *word, struct strv *ret, struct err *err)
{
	auto_free char *copy = xstrdup(word);
	char *proto = strrchr(copy, '/'), *container;
	uint64_t from, to, host_size;

	if (proto)
		*proto++ = '\0';
	if (proto && strcasecmp(proto, "tcp") != 0 && strcasecmp(proto, "udp") != 0 && strcasecmp(proto, "sctp") != 0)
		return err_set(err, ERR_DOCKERFILE, "invalid port: \"%s\": invalid proto: %s", word, proto);
	for (char *c = proto; c && *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (check_host_part(copy, &container, &host_size, err) < 0)
		return -1;
	if (!*container)
		return err_set(err, ERR_DOCKERFILE, "invalid port: \"%s\": no port specified", word);
	if (parse_range(container, &from, &to) < 0)
		return err_set(err, ERR_DOCKERFILE, "invalid containerPort: %s", container);
	if (host_size && to != from && host_size != to - from + 1)
		return err_set(err, ERR_DOCKERFILE,
			"invalid ranges specified for container and host Ports: %s and %s", container, copy);
	if (ret->len + (to - from) > PORTS_MAX)
		return err_set(err, ERR_DOCKERFILE, "EXPOSE of more than %d ports", PORTS_MAX);
	for (uint64_t port = from; port <= to; port++)
		strv_take(ret, xasprintf("%llu/%s", (unsigned long long)port, proto && *proto ? proto : "tcp"));
	return 0;
}

bool ports_signal_valid(const char *s)
{
	uint64_t number;
	const char *name = strncasecmp(s, "SIG", 3) == 0 ? s + 3 : s;

	if (parse_u64(s, 1, UINT64_MAX, &number) == 0)
		return true;
	if (strncasecmp(name, "RTMIN", 5) == 0 || strncasecmp(name, "RTMAX", 5) == 0) {
		char sign = name[4] == 'N' || name[4] == 'n' ? '+' : '-';

		return name[5] == '\0' || (name[5] == sign && parse_u64(name + 6, 1, 30, &number) == 0);
	}
	for (int i = 1; i < SIGRTMIN; i++)
		if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), name) == 0)
			return true;
	return false;
}
