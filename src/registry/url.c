#include "registry/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <strings.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "registry/curl_lazy.h"

DEFINE_AUTO(CURLU *, curl_url_cleanup)
DEFINE_AUTO(char *, curl_free)

/*
 * Cut for messages: no query (it may hold a signature), nothing before an @ (it may hold a
 * password).
 */
static char *display_text(const char *text)
{
	size_t n = strcspn(text, "?#");
	const char *at = memchr(text, '@', n);

	if (at)
		return xstrdup("(a URL with user information)");
	if (n > 256)
		n = 256;
	return xstrndup(text, n);
}

/*
 * libcurl forgives one or three slashes after the scheme, and then finds its host elsewhere than
 * others do.
 */
static bool slashes_are_odd(const char *text)
{
	size_t scheme = strncasecmp(text, "https:", 6) == 0  ? 6
			: strncasecmp(text, "http:", 5) == 0 ? 5
							     : 0;

	return strncmp(text, "///", 3) == 0 ||
	       (scheme && (strncmp(text + scheme, "//", 2) != 0 || text[scheme + 2] == '/'));
}

static int check_bytes(const char *text, struct err *err)
{
	size_t n = strlen(text);
	auto_free char *shown = display_text(text);

	if (n == 0)
		return err_set(err, ERR_INPUT, "empty URL");
	if (n > URL_MAX)
		return err_set(err, ERR_INPUT, "URL '%s' is longer than %d bytes", shown, URL_MAX);
	if (slashes_are_odd(text))
		return err_set(err, ERR_INPUT, "URL '%s' has no host", shown);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= 0x20 || c >= 0x7f || c == '\\')
			return err_set(err, ERR_INPUT,
				"URL '%s' holds byte 0x%02x, which may not stand there", shown, c);
	}
	return 0;
}

static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
	AUTO(curl_free) char *s = NULL;

	if (curl_url_get(u, what, &s, flags) != CURLUE_OK || !s)
		return NULL;
	return xstrdup(s);
}

static bool has_part(CURLU *u, CURLUPart what)
{
	auto_free char *s = part(u, what, 0);

	return s != NULL;
}

/* Take the parts out of u, judging them. shown names the URL in messages. */
static int take_parts(CURLU *u, const char *shown, struct url *ret, struct err *err)
{
	auto_free char *port = NULL;
	uint64_t number;
	auto_url out = URL_INIT;

	if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
		return err_set(err, ERR_DENIED, "a URL with user information is not followed");
	if (has_part(u, CURLUPART_ZONEID))
		return err_set(err, ERR_DENIED, "URL '%s' names a network interface", shown);
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);

	out.scheme = part(u, CURLUPART_SCHEME, 0);
	out.host = part(u, CURLUPART_HOST, 0);
	if (!out.scheme || (strcmp(out.scheme, "http") != 0 && strcmp(out.scheme, "https") != 0))
		return err_set(err, ERR_DENIED, "URL '%s' is neither http nor https", shown);
	if (!out.host || !*out.host)
		return err_set(err, ERR_INPUT, "URL '%s' has no host", shown);
	for (char *p = out.host; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (strchr(out.host, '%'))
		return err_set(err, ERR_INPUT, "URL '%s' has an escaped host", shown);

	port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	if (!port || parse_u64(port, 1, 65535, &number) < 0)
		return err_set(err, ERR_INPUT, "URL '%s' has a bad port", shown);
	out.port = (unsigned)number;

	if (curl_url_set(u, CURLUPART_HOST, out.host, 0) != CURLUE_OK)
		return err_set(err, ERR_INPUT, "URL '%s' has a bad host", shown);
	out.full = part(u, CURLUPART_URL, 0);
	if (!out.full)
		return err_set(err, ERR_INPUT, "cannot put URL '%s' together", shown);
	*ret = out;
	out = (struct url)URL_INIT;
	return 0;
}

int url_parse(const char *text, struct url *ret, struct err *err)
{
	auto_free char *shown = NULL;
	AUTO(curl_url_cleanup) CURLU *u = NULL;
	CURLUcode rc;

	if (curl_lazy_load(err) < 0 || check_bytes(text, err) < 0)
		return -1;
	shown = display_text(text);
	u = curl_url();
	if (!u)
		return err_set(err, ERR_SYSTEM, "out of memory for a URL");
	rc = curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	if (rc != CURLUE_OK)
		return err_set(
			err, ERR_INPUT, "URL '%s' is malformed: %s", shown, curl_url_strerror(rc));
	return take_parts(u, shown, ret, err);
}

int url_resolve(const struct url *base, const char *text, struct url *ret, struct err *err)
{
	auto_free char *shown = NULL;
	AUTO(curl_url_cleanup) CURLU *u = NULL;
	CURLUcode rc;

	if (curl_lazy_load(err) < 0 || check_bytes(text, err) < 0)
		return -1;
	shown = display_text(text);
	u = curl_url();
	if (!u)
		return err_set(err, ERR_SYSTEM, "out of memory for a URL");
	rc = curl_url_set(u, CURLUPART_URL, base->full, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	if (rc != CURLUE_OK)
		return err_set(
			err, ERR_INPUT, "URL '%s' is malformed: %s", shown, curl_url_strerror(rc));
	return take_parts(u, shown, ret, err);
}

void url_release(struct url *url)
{
	free(url->full);
	free(url->scheme);
	free(url->host);
	*url = (struct url)URL_INIT;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->port == b->port && strcmp(a->scheme, b->scheme) == 0 &&
	       strcmp(a->host, b->host) == 0;
}

char *url_display(const struct url *url)
{
	return display_text(url->full);
}

void url_encode(struct strbuf *sb, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x80 && (isalnum(c) || strchr("-._~", c)))
			strbuf_putc(sb, (char)c);
		else
			strbuf_printf(sb, "%%%02X", c);
	}
}

void url_add_query(struct strbuf *url, const char *name, const char *value)
{
	const char *question = strchr(url->buf, '?');
	bool bare = question && (question[1] == '\0' || url->buf[url->len - 1] == '&');

	if (!bare)
		strbuf_putc(url, question ? '&' : '?');
	strbuf_puts(url, name);
	strbuf_putc(url, '=');
	url_encode(url, value);
}

static enum addr_class class_of_ipv4(uint32_t a) /* host byte order */
{
	if (a >> 24 == 127)
		return ADDR_LOOPBACK;
	if (a >> 24 == 0 || a == 0xffffffffu)
		return ADDR_UNSPECIFIED;
	if (a >> 16 == 0xa9fe) /* 169.254/16 */
		return ADDR_LINK;
	if (a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == 0x64400000u >> 22)
		return ADDR_PRIVATE; /* 10/8, 172.16/12, 192.168/16, 100.64/10 */
	return ADDR_PUBLIC;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static enum addr_class class_of_ipv6(const uint8_t a[16])
{
	static const uint8_t zero[15];
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* ::ffff:0:0/96 */
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };    /* 64:ff9b::/96 */

	if (memcmp(a, zero, 15) == 0 && a[15] <= 1)
		return a[15] ? ADDR_LOOPBACK : ADDR_UNSPECIFIED;
	if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0 || memcmp(a, zero, 12) == 0)
		return class_of_ipv4(be32(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02) /* 6to4: the IPv4 follows */
		return class_of_ipv4(be32(a + 2));
	if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
		return ADDR_LINK;
	if ((a[0] & 0xfe) == 0xfc ||
		(a[0] == 0xfe && (a[1] & 0xc0) == 0xc0)) /* unique local, old site local */
		return ADDR_PRIVATE;
	return ADDR_PUBLIC;
}

enum addr_class addr_class_of(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		return class_of_ipv4(ntohl(in.sin_addr.s_addr));
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		return class_of_ipv6(in6.sin6_addr.s6_addr);
	}
	return ADDR_PRIVATE;
}

static bool is_localhost(const char *name, size_t n)
{
	static const char local[] = "localhost";
	const size_t len = sizeof(local) - 1;

	if (n < len || strncasecmp(name + n - len, local, len) != 0)
		return false;
	return n == len || name[n - len - 1] == '.';
}

enum addr_class host_addr_class(const char *host)
{
	char text[INET6_ADDRSTRLEN];
	size_t n = strlen(host);
	uint8_t addr[16];

	if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	} else if (n > 1 && host[n - 1] == '.') {
		n--; /* the root's dot changes nothing */
	}
	if (is_localhost(host, n))
		return ADDR_LOOPBACK;
	if (n >= sizeof(text))
		return ADDR_PUBLIC;
	memcpy(text, host, n);
	text[n] = '\0';
	if (inet_pton(AF_INET, text, addr) == 1)
		return class_of_ipv4(be32(addr));
	if (inet_pton(AF_INET6, text, addr) == 1)
		return class_of_ipv6(addr);
	return ADDR_PUBLIC;
}
