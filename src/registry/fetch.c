#include "registry/fetch.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/client_internal.h"
#include "registry/http.h"
#include "registry/url.h"

#define NAME_LEN_MAX 255              /* NAME_MAX of Linux */
#define GOOD_PIECE ((uint64_t)1 << 20) /* a try that brings this much was worth it: the count starts anew */
#define UNNAMED "__unnamed__"

/* One download over all its tries; the argument of the callbacks. */
struct download {
	const struct fetch_options *o;
	struct fetch_result *ret;
	int fd;
	struct sha256 *hash;
	uint64_t have, total, max;
	char *validator; /* what a resumed request holds on to, or NULL */
};

void fetch_result_release(struct fetch_result *r)
{
	free(r->etag);
	free(r->last_modified);
	*r = (struct fetch_result)FETCH_RESULT_INIT;
}

/* ---- one answer ---- */

static char *validator_copy(const struct http_response *resp, const char *name)
{
	const char *value = http_header_first(resp, name);

	return value && *value && strlen(value) <= FETCH_VALIDATOR_MAX ? xstrdup(value) : NULL;
}

static void take_validators(struct download *d, const struct http_response *resp)
{
	struct fetch_result *r = d->ret;

	fetch_result_release(r);
	r->etag = validator_copy(resp, "etag");
	r->last_modified = validator_copy(resp, "last-modified");
	if (r->last_modified)
		r->mtime = http_date(r->last_modified);
	free(d->validator);
	/* a weak ETag does not promise equal bytes (RFC 9110, 8.8.3) */
	d->validator = r->etag && strncmp(r->etag, "W/", 2) != 0 ? xstrdup(r->etag) :
		       r->last_modified                          ? xstrdup(r->last_modified) :
								   NULL;
}

static int too_large(const struct download *d, struct err *err)
{
	auto_free char *shown = NULL;
	auto_url url = URL_INIT;
	struct err unused = ERR_INIT;

	if (url_parse(d->o->url, &url, &unused) == 0)
		shown = url_display(&url);
	return err_set(err, ERR_INPUT, "'%s' is larger than %llu bytes", shown ? shown : "the file",
		(unsigned long long)d->max);
}

static int restart(struct download *d, struct err *err)
{
	uint8_t unused[DIGEST_SIZE];

	d->have = 0;
	sha256_end(d->hash, unused);
	if (ftruncate(d->fd, 0) < 0 || lseek(d->fd, 0, SEEK_SET) < 0)
		return err_sys(err, "cannot empty a partial download");
	return 0;
}

/* 206: what comes continues what is there. */
static int check_range(struct download *d, const struct http_response *resp, struct err *err)
{
	const char *range = http_header_first(resp, "content-range");
	uint64_t first, last;

	if (!range || content_range_parse(range, &first, &last, &d->total) < 0 || first != d->have)
		return err_set(err, ERR_INPUT, "the server resumed the download at another place than was asked for");
	if (d->total == UINT64_MAX)
		d->total = 0;
	return d->total > d->max ? too_large(d, err) : 0;
}

static int on_head(void *arg, const struct http_response *resp, struct err *err)
{
	struct download *d = arg;
	const char *length = http_header_first(resp, "content-length");

	if (resp->status == 206)
		return check_range(d, resp, err);
	if (restart(d, err) < 0)
		return -1;
	take_validators(d, resp);
	if (!length || parse_u64(length, 0, UINT64_MAX, &d->total) < 0)
		d->total = 0;
	return d->total > d->max ? too_large(d, err) : 0;
}

static int on_data(void *arg, const void *data, size_t n, struct err *err)
{
	struct download *d = arg;

	if (n > d->max - d->have)
		return too_large(d, err);
	if (write_all(d->fd, data, n) < 0) {
		err_sys(err, "cannot write a download");
		if (errno == ENOSPC || errno == EDQUOT)
			err->kind = ERR_DISK;
		return -1;
	}
	sha256_add(d->hash, data, n);
	d->have += n;
	if (d->o->progress)
		d->o->progress(d->o->arg, d->have, d->total);
	return 0;
}

/* What a server says that was sent a secret may be that secret: then its status has to do. */
static int status_error(const struct http_response *resp, bool secret, const char *shown, struct err *err)
{
	auto_free char *text = secret ? xasprintf("%d", resp->status) : http_error_text(resp);
	int status = resp->status;
	enum err_kind kind = status == 404 || status == 410 ? ERR_NOT_FOUND :
			     status == 401 || status == 403 ? ERR_DENIED :
			     status >= 500 || http_status_retries(status) ? ERR_NETWORK :
									    ERR_INPUT;

	return err_set(err, kind, "'%s': the server answers %s", shown, text);
}

/* ---- the whole ---- */

/*
 * Whether the host that the user named is a private one: then it may lead to its neighbours. Asked here, since a
 * redirect is judged before the connection that follows it.
 */
static bool is_private(const char *host)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	bool private;

	if (host_addr_class(host) != ADDR_PUBLIC)
		return true;
	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return false;
	private = found && addr_class_of(found->ai_addr) != ADDR_PUBLIC;
	freeaddrinfo(found);
	return private;
}

static void add_condition(const struct download *d, struct strv *headers)
{
	const struct fetch_options *o = d->o;

	if (d->have > 0) {
		strv_add(headers, "If-Range");
		strv_add(headers, d->validator);
	} else if (o->etag) {
		strv_add(headers, "If-None-Match");
		strv_add(headers, o->etag);
	} else if (o->last_modified) {
		strv_add(headers, "If-Modified-Since");
		strv_add(headers, o->last_modified);
	}
}

/* One request. Returns 1 when it broke off and may be tried again, 0, or -1 and *err. */
static int try_once(struct http *http, struct download *d, const struct http_policy *policy, const char *shown,
	struct err *err)
{
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	auto_strv headers = STRV_INIT;
	struct err why = ERR_INIT;

	if (d->have > 0 && !d->validator && restart(d, err) < 0)
		return -1;
	add_condition(d, &headers);
	req.method = "GET";
	req.url = d->o->url;
	req.policy = policy;
	req.range_from = d->have;
	req.authorization = d->o->authorization;
	req.more_headers = &headers;
	req.resumes = true;
	req.head = on_head;
	req.sink = on_data;
	req.arg = d;
	if (http_send(http, &req, &resp, &why) < 0) {
		*err = why;
		return resp.failure == HTTP_FAIL_BROKEN ? 1 : -1;
	}
	if (resp.status == 304 && d->have == 0 && (d->o->etag || d->o->last_modified)) {
		d->ret->unchanged = true;
		return 0;
	}
	if (resp.status == 416 && d->have > 0) /* it became shorter */
		return restart(d, err) < 0 ? -1 : 1;
	return resp.status == 200 || resp.status == 206 ? 0 : status_error(&resp, d->o->authorization, shown, err);
}

static int download(struct http *http, struct download *d, const struct http_policy *policy, const char *shown,
	struct err *err)
{
	unsigned poor = 0;

	for (;;) {
		uint64_t before = d->have;
		int rc = try_once(http, d, policy, shown, err);

		if (rc <= 0)
			return rc;
		poor = d->have >= before + GOOD_PIECE ? 0 : poor + 1;
		if (poor > FETCH_RESUMES_MAX)
			return err->kind == ERR_NONE ? err_set(err, ERR_NETWORK, "'%s' keeps changing", shown) : -1;
		log_debug("fetch: '%s' broke off after %llu bytes", shown, (unsigned long long)d->have);
		*err = (struct err)ERR_INIT;
		if (http_wait(http, http_retry_delay_ms(poor ? poor : 1, NULL, 0, http_retry_base_ms(http),
					    (uint32_t)clock_mono_ns()), err) < 0)
			return -1;
	}
}

int fetch_file(struct http *http, const struct fetch_options *options, int fd, struct fetch_result *ret,
	struct err *err)
{
	struct download d = { .o = options, .ret = ret, .fd = fd, .max = options->max ? options->max : FETCH_SIZE_MAX };
	struct http_policy policy = { .plain_ok = options->plain_ok };
	auto_url url = URL_INIT;
	auto_free char *shown = NULL;
	int rc;

	*ret = (struct fetch_result)FETCH_RESULT_INIT;
	if (url_parse(options->url, &url, err) < 0)
		return -1;
	shown = url_display(&url);
	policy.home_host = url.host;
	policy.private_ok = is_private(url.host);
	d.hash = sha256_new();
	rc = download(http, &d, &policy, shown, err);
	if (rc == 0 && !ret->unchanged) {
		sha256_end_str(d.hash, ret->digest);
		ret->size = d.have;
	}
	sha256_free(d.hash);
	free(d.validator);
	if (rc < 0)
		fetch_result_release(ret);
	return rc;
}

/* ---- names ---- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

char *fetch_file_name(const char *url, struct err *err)
{
	const char *path = strstr(url, "://");
	auto_strbuf name = STRBUF_INIT;
	size_t len, start;

	path = path ? path + 3 : url;
	path += strcspn(path, "/?#");
	len = strcspn(path, "?#");
	while (len > 0 && path[len - 1] == '/')
		len--;
	for (start = len; start > 0 && path[start - 1] != '/'; start--)
		;
	for (size_t i = start; i < len; i++) {
		int high = path[i] == '%' && i + 2 < len ? hex_digit(path[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(path[i + 2]) : -1;

		strbuf_putc(&name, low >= 0 ? (char)(high << 4 | low) : path[i]);
		if (low >= 0)
			i += 2;
	}
	if (name.len == 0 || strcmp(name.buf, ".") == 0)
		return xstrdup(UNNAMED);
	if (name.len > NAME_LEN_MAX || memchr(name.buf, '\0', name.len) || strchr(name.buf, '/') ||
		strcmp(name.buf, "..") == 0) {
		err_set(err, ERR_INPUT, "the URL '%.200s' gives no name that a file can have", url);
		return NULL;
	}
	return strbuf_take(&name);
}
