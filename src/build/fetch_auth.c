#include "build/fetch_auth.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/base64.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "build/giturl.h"
#include "build/secrets.h"
#include "registry/url.h"

#define GIT_USER "x-access-token" /* whom tokens of the large hosts belong to */
#define HIDE_MIN 4		  /* bytes: shorter ones are in every text */

enum form { FORM_HEADER, FORM_BEARER, FORM_BASIC };

/* A way to name a secret: prefix, then the host or nothing. */
struct way {
	const char *prefix;
	bool with_host;
	enum form form;
};

/* Hosts are the same in any case, ids otherwise are not. */
static const struct secret *find(const struct secrets *s, const struct way *way, const char *host)
{
	size_t n = strlen(way->prefix);

	if (!way->with_host)
		return secrets_find(s, way->prefix);
	for (size_t i = 0; i < s->len; i++)
		if (strncmp(s->v[i].id, way->prefix, n) == 0 &&
			strcasecmp(s->v[i].id + n, host) == 0)
			return &s->v[i];
	return NULL;
}

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void fetch_auth_release(struct fetch_auth *a)
{
	wipe(a->header);
	wipe(a->secret);
	*a = (struct fetch_auth)FETCH_AUTH_INIT;
}

/* Something that ends a header line could begin another header, or another request. */
static int check_text(const struct secret *s, const char *text, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return err_set(err, ERR_INPUT,
				"secret %s cannot be sent: it has a control character%s", s->id,
				text[i] == '\n' && i + 1 == n ? ", a newline at its end" : "");
	return 0;
}

/* Returns 1 and the text (the caller wipes and frees), 0 when it is empty, or -1 and *err. */
static int load(const struct secret *s, char **ret, struct err *err)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(s->fd, &st) < 0)
		return err_sys(err, "cannot read secret %s", s->id);
	if (st.st_size > (off_t)FETCH_AUTH_MAX)
		return err_set(err, ERR_INPUT,
			"secret %s cannot be sent: it has more than %u bytes", s->id,
			FETCH_AUTH_MAX);
	text = xcalloc(1, FETCH_AUTH_MAX + 1);
	n = pread(s->fd, text, FETCH_AUTH_MAX, 0);
	if (n > 0 && check_text(s, text, (size_t)n, err) == 0) {
		*ret = text;
		return 1;
	}
	if (n < 0)
		err_sys(err, "cannot read secret %s", s->id);
	explicit_bzero(text, FETCH_AUTH_MAX);
	free(text);
	return n == 0 ? 0 : -1;
}

static char *header_of(enum form form, const char *secret)
{
	auto_strbuf pair = STRBUF_INIT, header = STRBUF_INIT;

	if (form == FORM_HEADER)
		return xstrdup(secret);
	if (form == FORM_BEARER)
		return xasprintf("Bearer %s", secret);
	strbuf_puts(&pair, GIT_USER ":");
	strbuf_puts(&pair, secret);
	strbuf_puts(&header, "Basic ");
	base64_encode(pair.buf, pair.len, &header);
	explicit_bzero(pair.buf, pair.len);
	return strbuf_take(&header);
}

/* Whether a proxy may stand in the way of a request by http: it would read along. */
static bool by_proxy(void)
{
	static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return true;
	}
	return false;
}

static int check_way(const struct secret *s, const struct url *url, struct err *err)
{
	if (strcmp(url->scheme, "https") == 0)
		return 0;
	if (host_addr_class(url->host) != ADDR_LOOPBACK)
		return err_set(err, ERR_DENIED,
			"secret %s is not sent to '%s' over plain http: use https, or give the "
			"secret for the one host that it is for",
			s->id, url->host);
	if (by_proxy())
		return err_set(err, ERR_DENIED,
			"secret %s is not sent to '%s' over plain http by a proxy: use https, or "
			"unset http_proxy and all_proxy",
			s->id, url->host);
	return 0;
}

static int choose(const struct secrets *secrets, const struct way *ways, size_t n,
	const struct url *url, const char *host, struct fetch_auth *ret, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct secret *s = find(secrets, &ways[i], host);
		int rc = s ? load(s, &ret->secret, err) : 0;

		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		if (check_way(s, url, err) < 0) {
			fetch_auth_release(ret);
			return -1;
		}
		ret->header = header_of(ways[i].form, ret->secret);
		return 0;
	}
	return 0;
}

int fetch_auth_url(const struct secrets *secrets, const char *url_text, struct fetch_auth *ret,
	struct err *err)
{
	static const struct way ways[] = {
		{"HTTP_AUTH_TOKEN_", true, FORM_BEARER}, {"HTTP_AUTH_HEADER_", true, FORM_HEADER}};
	auto_url url = URL_INIT;
	auto_free char *host = NULL;
	size_t n;

	*ret = (struct fetch_auth)FETCH_AUTH_INIT;
	if (!secrets || secrets->len == 0)
		return 0;
	if (url_parse(url_text, &url, err) < 0)
		return -1;
	/* an IPv6 address is named without its brackets */
	n = strlen(url.host);
	host = url.host[0] == '[' ? xstrndup(url.host + 1, n - 2) : xstrdup(url.host);
	return choose(secrets, ways, sizeof(ways) / sizeof(ways[0]), &url, host, ret, err);
}

static bool begins(const char *s, const char *prefix)
{
	return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

int fetch_auth_git(
	const struct secrets *secrets, const char *remote, struct fetch_auth *ret, struct err *err)
{
	static const struct way ways[] = {{"GIT_AUTH_HEADER.", true, FORM_HEADER},
		{"GIT_AUTH_TOKEN.", true, FORM_BASIC}, {"GIT_AUTH_HEADER", false, FORM_HEADER},
		{"GIT_AUTH_TOKEN", false, FORM_BASIC}};
	auto_url url = URL_INIT;
	auto_free char *bare = NULL, *host = NULL;
	const char *authority;

	*ret = (struct fetch_auth)FETCH_AUTH_INIT;
	if (!secrets || secrets->len == 0 ||
		(!begins(remote, "http://") && !begins(remote, "https://")))
		return 0;
	bare = giturl_display(remote);
	if (url_parse(bare, &url, err) < 0)
		return -1;
	authority = strstr(bare, "://") + 3;
	host = xstrndup(authority, strcspn(authority, "/?#"));
	return choose(secrets, ways, sizeof(ways) / sizeof(ways[0]), &url, host, ret, err);
}

char *fetch_auth_git_scope(const char *remote)
{
	static const char *const whole[] = {"https://github.com/", "https://www.github.com/"};
	char *bare = giturl_display(remote);

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (begins(bare, whole[i])) {
			free(bare);
			return xstrdup(whole[i]);
		}
	return bare;
}

static void cover(char *text, size_t n, const char *word)
{
	size_t len = strlen(word);
	char *at = text;

	if (len < HIDE_MIN)
		return;
	while ((at = memmem(at, n - (size_t)(at - text), word, len))) {
		memset(at, '*', len);
		at += len;
	}
}

void fetch_auth_hide(const struct fetch_auth *a, char *text, size_t n)
{
	const char *space;

	if (!a || !a->header)
		return;
	cover(text, n, a->secret);
	cover(text, n, a->header);
	/* without "Basic" or "Bearer" */
	space = strrchr(a->header, ' ');
	if (space)
		cover(text, n, space + 1);
}
