#include "build/step_files.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_UPSTREAM "/run/systemd/resolve/resolv.conf" /* without the stub at 127.0.0.53 */
#define RESOLV_CONF_MAX (64u << 10)
#define SERVERS_MAX 16 /* resolvers look at three */

char *step_hosts(const struct step_options *o, enum step_network network, const char *hostname)
{
	struct strbuf text = STRBUF_INIT;

	strbuf_printf(&text, "127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n", hostname);
	for (size_t i = 0; i + 1 < o->hosts.len; i += 2) {
		const char *address = o->hosts.v[i + 1];

		if (strcmp(address, "host-gateway") == 0) {
			if (network != STEP_NETWORK_HOST)
				continue; /* no route leads there */
			address = "127.0.0.1";
		}
		strbuf_printf(&text, "%s\t%s\n", address, o->hosts.v[i]);
	}
	return strbuf_take(&text);
}

/* ---- resolv.conf ---- */

struct resolver {
	struct strv servers, search, options;
	bool reach_all; /* the step shares the network of the host */
};

static void resolver_release(struct resolver *r)
{
	strv_release(&r->servers);
	strv_release(&r->search);
	strv_release(&r->options);
}

static void add_words(struct strv *list, const char *words)
{
	for (words += strspn(words, " \t"); *words; words += strspn(words, " \t")) {
		size_t len = strcspn(words, " \t");

		if (list->len < STEP_NAMES_MAX)
			strv_take(list, xstrndup(words, len));
		words += len;
	}
}

/* Of a step's own loopback, of nobody's, or of one of the host's interfaces by its name. */
static bool is_out_of_reach(const char *address)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, address, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127 || v4.s_addr == 0;
	if (inet_pton(AF_INET6, address, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_LINKLOCAL(&v6) ||
		       (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
	return true;
}

static void parse_line(struct resolver *r, char *line)
{
	char *value = line + strcspn(line, " \t");

	if (!*value)
		return;
	*value++ = '\0';
	if (strcmp(line, "nameserver") == 0) {
		value += strspn(value, " \t");
		value[strcspn(value, " \t#;")] = '\0';
		if ((r->reach_all || !is_out_of_reach(value)) && r->servers.len < SERVERS_MAX)
			strv_add(&r->servers, value);
	} else if (strcmp(line, "search") == 0 || strcmp(line, "domain") == 0) {
		strv_release(&r->search); /* the last one counts */
		add_words(&r->search, value);
	} else if (strcmp(line, "options") == 0) {
		add_words(&r->options, value);
	}
}

static void parse(struct resolver *r, const char *text)
{
	for (const char *at = text; at && *at; at += *at == '\n') {
		size_t len = strcspn(at, "\n");
		auto_free char *line = xstrndup(at, len);

		parse_line(r, line);
		at += len;
	}
}

static void put_list(struct strbuf *out, const char *keyword, const struct strv *words)
{
	if (!words->len)
		return;
	strbuf_puts(out, keyword);
	for (size_t i = 0; i < words->len; i++)
		strbuf_printf(out, " %s", words->v[i]);
	strbuf_putc(out, '\n');
}

static char *format(const struct resolver *r)
{
	struct strbuf out = STRBUF_INIT;

	for (size_t i = 0; i < r->servers.len; i++)
		strbuf_printf(&out, "nameserver %s\n", r->servers.v[i]);
	put_list(&out, "search", &r->search);
	put_list(&out, "options", &r->options);
	return strbuf_take(&out);
}

static void override(struct strv *list, const struct strv *by)
{
	if (!by->len)
		return;
	strv_release(list);
	strv_copy(list, by);
}

char *resolv_conf_make(const struct step_options *o, enum step_network network, const char *text,
	const char *upstream_text, const char *forwarder, bool *ret_forwarded)
{
	struct resolver r = { .reach_all = network == STEP_NETWORK_HOST };
	char *made;

	*ret_forwarded = false;
	if (network == STEP_NETWORK_NONE)
		return xstrdup("");
	if (network == STEP_NETWORK_HOST && !o->dns.len && !o->dns_search.len && !o->dns_options.len)
		return xstrdup(text);
	parse(&r, text);
	override(&r.servers, &o->dns);
	if (!r.servers.len && network == STEP_NETWORK_PRIVATE) {
		parse(&r, upstream_text);
		if (!r.servers.len) {
			strv_add(&r.servers, forwarder);
			*ret_forwarded = true;
		}
	}
	override(&r.search, &o->dns_search);
	if (r.search.len == 1 && strcmp(r.search.v[0], ".") == 0)
		strv_release(&r.search);
	override(&r.options, &o->dns_options);
	made = format(&r);
	resolver_release(&r);
	return made;
}

static void read_if_there(const char *path, struct strbuf *text)
{
	struct err ignored = ERR_INIT;

	read_file(AT_FDCWD, path, RESOLV_CONF_MAX, text, &ignored);
}

char *step_resolv_conf(const struct step_options *o, enum step_network network, const char *forwarder,
	bool *ret_forwarded)
{
	auto_strbuf text = STRBUF_INIT;
	auto_strbuf upstream = STRBUF_INIT;

	read_if_there(RESOLV_CONF, &text);
	read_if_there(RESOLV_CONF_UPSTREAM, &upstream);
	return resolv_conf_make(o, network, text.buf, upstream.buf, forwarder, ret_forwarded);
}
