#include "registry/http.h"

#include <arpa/inet.h>
#include <ctype.h>

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/doc.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/curl_lazy.h"
#include "registry/url.h"

#define CONNECT_TIMEOUT_S 30L /* TCP and TLS (appendix A) */
#define LOOPBACK_TIMEOUT_S                                                                         \
	5L /* a server on loopback that does not answer a TLS hello speaks no TLS */
#define LOW_SPEED_BYTES 1024L /* appendix A: 1 KiB/s over 60 s */
#define LOW_SPEED_S 60L
#define LOW_SPEED_UPLOAD_S                                                                         \
	300L /* after the last byte of a layer some registries hash it before they answer */
#define RECEIVE_BUFFER (128L * 1024)
#define RETRY_BASE_MS 2000 /* 4.8 */
#define RETRY_MAX_MS 60000
#define RETRY_AFTER_MAX_S 300
#define RESOLVE_TRIES_MAX                                                                          \
	3 /* a resolver that is down will mostly stay so: 6 s of waiting are enough */
#define WAIT_SLICE_MS 50   /* how soon a wait sees the cancel flag */
#define ERROR_TEXT_MAX 300 /* of a server's words in a message of ours */
#define IDLE_HANDLES_MAX                                                                           \
	8 /* connections kept open; the engine runs at most 4 transfers a registry */

DEFINE_AUTO(CURLU *, curl_url_cleanup)

/* One libcurl handle with its connections, used by one thread at a time. */
struct handle {
	CURL *curl;
	char *origin; /* what it spoke to last: its connection may still be open */
};

struct http {
	const volatile sig_atomic_t *cancel;
	char *ca_file, *ca_dir; /* or NULL: the system's */
	unsigned retry_base_ms;
	pthread_mutex_t lock; /* guards idle, nidle */
	struct handle idle[IDLE_HANDLES_MAX];
	size_t nidle;
};

/* One request on its way; what the callbacks of libcurl see. */
struct transfer {
	struct http *http;
	const struct http_request *req;
	struct http_response *resp;
	struct err *err;
	CURL *curl;
	const struct url *url;
	size_t header_bytes;
	uint64_t sent;
	bool private_ok;     /* any address may be spoken to */
	unsigned proxy_port; /* of the proxy in the environment, 0: none */
	bool body_started;
	bool failed; /* *err is set: the cause of the abort */
	bool cut;    /* enough of an error's body was read */
};

static bool cancelled(const struct http *http)
{
	return http->cancel && *http->cancel;
}

int http_global_init(struct err *err)
{
	CURLcode rc;

	if (curl_lazy_load(err) < 0)
		return -1;
	rc = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (rc != CURLE_OK)
		return err_set(
			err, ERR_SYSTEM, "cannot initialise libcurl: %s", curl_easy_strerror(rc));
	return 0;
}

static char *env_copy(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? xstrdup(value) : NULL;
}

struct http *http_new(const struct http_options *options)
{
	struct http *http = xcalloc(1, sizeof(*http));

	http->cancel = options->cancel;
	http->ca_file = options->ca_file ? xstrdup(options->ca_file) : env_copy("SSL_CERT_FILE");
	http->ca_dir = env_copy("SSL_CERT_DIR");
	http->retry_base_ms = options->retry_base_ms ? options->retry_base_ms : RETRY_BASE_MS;
	pthread_mutex_init(&http->lock, NULL);
	return http;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	for (size_t i = 0; i < http->nidle; i++) {
		curl_easy_cleanup(http->idle[i].curl);
		free(http->idle[i].origin);
	}
	pthread_mutex_destroy(&http->lock);
	free(http->ca_file);
	free(http->ca_dir);
	free(http);
}

/*
 * A handle whose open connection goes to origin if there is one, else any idle one, else a new one.
 */
static CURL *handle_take(struct http *http, const char *origin)
{
	struct handle h = { .curl = NULL };

	pthread_mutex_lock(&http->lock);
	if (http->nidle > 0) {
		size_t at = http->nidle - 1;

		for (size_t i = 0; i < http->nidle; i++)
			if (strcmp(http->idle[i].origin, origin) == 0)
				at = i;
		h = http->idle[at];
		http->idle[at] = http->idle[--http->nidle];
	}
	pthread_mutex_unlock(&http->lock);
	free(h.origin);
	if (h.curl)
		curl_easy_reset(h.curl); /* keeps connections, sessions and resolved names */
	else
		h.curl = curl_easy_init();
	return h.curl;
}

static void handle_give(struct http *http, CURL *curl, const char *origin)
{
	pthread_mutex_lock(&http->lock);
	if (http->nidle < IDLE_HANDLES_MAX) {
		http->idle[http->nidle++] =
			(struct handle){ .curl = curl, .origin = xstrdup(origin) };
		curl = NULL;
	}
	pthread_mutex_unlock(&http->lock);
	if (curl)
		curl_easy_cleanup(curl);
}

void http_response_release(struct http_response *resp)
{
	free(resp->url);
	strv_release(&resp->headers);
	strbuf_release(&resp->body);
	*resp = (struct http_response)HTTP_RESPONSE_INIT;
}

const char *http_header(const struct http_response *resp, const char *name, size_t *iter)
{
	size_t n = strlen(name);

	while (*iter < resp->headers.len) {
		const char *line = resp->headers.v[(*iter)++];

		if (strncmp(line, name, n) == 0 && strncmp(line + n, ": ", 2) == 0)
			return line + n + 2;
	}
	return NULL;
}

const char *http_header_first(const struct http_response *resp, const char *name)
{
	size_t iter = 0;

	return http_header(resp, name, &iter);
}

/*
 * The code and message of the first error in a document of 4.8, or of the shapes that others send.
 */
static void error_from_doc(const struct doc *root, struct strbuf *out)
{
	const struct doc *first = doc_at(doc_get(root, "errors"), 0);
	const char *code = doc_get_str(first, "code");
	const char *message = doc_get_str(first, "message");

	if (!message)
		message = doc_get_str(root, "details");
	if (!message)
		message = doc_get_str(root, "message");
	if (!message)
		message = doc_get_str(root, "error");
	if (code)
		strbuf_printf(out, " %s", code);
	if (message)
		strbuf_printf(out, "%s %s", code ? ":" : "", message);
}

char *http_error_text(const struct http_response *resp)
{
	auto_strbuf out = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	struct doc *root = NULL;
	size_t status_len;

	strbuf_printf(&out, "%d", resp->status);
	status_len = out.len;
	if (resp->body.len > 0 && strchr("{[", resp->body.buf[0]))
		root = doc_parse(resp->body.buf, resp->body.len, "error", &ignored);
	error_from_doc(root, &out);
	doc_free(root);
	if (out.len == status_len && resp->body.len > 0 && resp->body.buf[0] != '<') {
		/* Plain text: its first line. A page for a browser says nothing on one line. */
		strbuf_putc(&out, ' ');
		strbuf_add(&out, resp->body.buf, strcspn(resp->body.buf, "\r\n"));
	}
	if (out.len > ERROR_TEXT_MAX)
		strbuf_setlen(&out, ERROR_TEXT_MAX);
	while (out.len > 0 && out.buf[out.len - 1] == ' ')
		strbuf_setlen(&out, out.len - 1);
	return strbuf_take(&out);
}

/* Callbacks. Each that gives up sets t->failed and *t->err, so that the caller knows the cause. */

static bool refuse_address(struct transfer *t, enum addr_class class)
{
	if (class == ADDR_PUBLIC || t->private_ok)
		return false;
	if (!t->failed) {
		auto_free char *shown = url_display(t->url);

		err_set(t->err, ERR_DENIED,
			"'%s' is at a private address, to which a public server may not lead",
			shown);
	}
	t->failed = true;
	return true;
}

/* Address rule of 4.6, first half: no connection is opened to where it must not go. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = arg;
	in_port_t port = 0;

	(void)purpose;
	if (to->family == AF_INET || to->family == AF_INET6)
		memcpy(&port, (const char *)&to->addr + offsetof(struct sockaddr_in, sin_port),
			sizeof(port));
	/*
	 * A proxy is the user's own choice and often private; its port tells it from a direct
	 * connection.
	 */
	if (!(t->proxy_port && ntohs(port) == t->proxy_port) &&
		refuse_address(t, addr_class_of(&to->addr)))
		return CURL_SOCKET_BAD;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Second half: a connection may be an old one, opened under another rule. */
static int on_connected(void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	struct transfer *t = arg;
	enum addr_class class = host_addr_class(peer_ip);

	(void)local_ip;
	(void)local_port;
	if (t->proxy_port && (unsigned)peer_port == t->proxy_port)
		return CURL_PREREQFUNC_OK;
	t->resp->peer_private = class != ADDR_PUBLIC;
	return refuse_address(t, class) ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static int on_progress(
	void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	struct transfer *t = arg;

	(void)dltotal, (void)dlnow, (void)ultotal, (void)ulnow;
	if (!cancelled(t->http))
		return 0;
	if (!t->failed)
		err_set(t->err, ERR_CANCELLED, "interrupted");
	t->failed = true;
	return 1;
}

static void status_line(struct transfer *t, const char *line, size_t n)
{
	const char *space = memchr(line, ' ', n);

	strv_release(&t->resp->headers); /* what came before belonged to a 1xx */
	t->resp->status = 0;
	if (!space || line + n - space < 4)
		return;
	for (int i = 1; i <= 3; i++)
		if (!isdigit((unsigned char)space[i]))
			return;
	t->resp->status = (space[1] - '0') * 100 + (space[2] - '0') * 10 + (space[3] - '0');
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t n = size * count, name, value;
	char *copy;

	t->header_bytes += n;
	if (n > HTTP_HEADER_LINE_MAX || t->header_bytes > HTTP_HEADERS_MAX) {
		err_set(t->err, ERR_INPUT, "response headers of '%s' are too long", t->url->host);
		t->failed = true;
		return 0;
	}
	if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
		status_line(t, line, n);
		return n;
	}
	while (n > 0 && strchr("\r\n \t", line[n - 1]))
		n--;
	for (name = 0; name < n && line[name] != ':'; name++)
		;
	/* Trailers come after the body and change nothing; a NUL would cut what we look at. */
	if (name == 0 || name == n || t->body_started || memchr(line, '\0', n))
		return size * count;
	for (value = name + 1; value < n && (line[value] == ' ' || line[value] == '\t'); value++)
		;
	copy = xasprintf("%.*s: %.*s", (int)name, line, (int)(n - value), line + value);
	for (size_t i = 0; i < name; i++)
		copy[i] = (char)tolower((unsigned char)copy[i]);
	strv_take(&t->resp->headers, copy);
	return size * count;
}

static bool body_wanted(int status)
{
	return status == 200 || status == 206;
}

/* The head is complete: let the caller judge it before the first byte. */
static int body_begins(struct transfer *t)
{
	if (t->body_started)
		return 0;
	t->body_started = true;
	if (t->req->head && body_wanted(t->resp->status) &&
		t->req->head(t->req->arg, t->resp, t->err) < 0) {
		t->failed = true;
		return -1;
	}
	return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	struct strbuf *body = &t->resp->body;
	size_t n = size * count, max, room;
	bool good = t->resp->status >= 200 && t->resp->status < 300;

	if (body_begins(t) < 0)
		return 0;
	if (n == 0)
		return 0;
	if (t->req->sink && body_wanted(t->resp->status)) {
		if (t->req->sink(t->req->arg, data, n, t->err) < 0) {
			t->failed = true;
			return 0;
		}
		t->resp->delivered += n;
		return n;
	}
	max = good && t->req->response_max ? t->req->response_max : HTTP_ERROR_BODY_MAX;
	room = max - body->len;
	strbuf_add(body, data, n < room ? n : room);
	if (n <= room)
		return n;
	if (good) {
		err_set(t->err, ERR_INPUT, "the answer of '%s' is longer than %zu bytes",
			t->url->host, max);
		t->failed = true;
	}
	t->cut = true;
	return 0;
}

static size_t on_read(char *buf, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	const struct http_request *req = t->req;
	uint64_t left = req->body_size - t->sent;
	size_t n = size * count;

	if (n > left)
		n = (size_t)left;
	if (n == 0)
		return 0;
	if (req->body_fd >= 0) {
		ssize_t got = pread(req->body_fd, buf, n, (off_t)t->sent);

		if (got < 0 && errno == EINTR)
			got = pread(req->body_fd, buf, n, (off_t)t->sent);
		if (got < 0)
			err_sys(t->err, "cannot read the file to be sent");
		else if (got == 0)
			err_set(t->err, ERR_CORRUPT,
				"the file to be sent ends after %llu of %llu bytes",
				(unsigned long long)t->sent, (unsigned long long)req->body_size);
		if (got <= 0) {
			t->failed = true;
			return CURL_READFUNC_ABORT;
		}
		n = (size_t)got;
	} else {
		memcpy(buf, (const char *)req->body + t->sent, n);
	}
	t->sent += n;
	if (req->sent)
		req->sent(req->arg, t->sent);
	return n;
}

/* libcurl rewinds when a kept connection turned out to be closed. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->req->body_size)
		return CURL_SEEKFUNC_CANTSEEK;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/*
 * The port of the proxy that the environment names for this scheme, or 0 (names as libcurl reads
 * them).
 */
static unsigned proxy_port(const struct url *url)
{
	static const char *const https[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
		NULL };
	static const char *const http[] = { "http_proxy", "all_proxy", "ALL_PROXY", NULL };
	const char *const *names = strcmp(url->scheme, "https") == 0 ? https : http;
	const char *value = NULL;
	AUTO(curl_url_cleanup) CURLU *u = NULL;
	auto_free char *port = NULL;
	uint64_t number = 0;
	char *text = NULL;

	for (; *names && (!value || !*value); names++)
		value = getenv(*names);
	if (!value || !*value)
		return 0;
	u = curl_url();
	if (!u || curl_url_set(
			  u, CURLUPART_URL, value, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME))
		return 0;
	if (curl_url_get(u, CURLUPART_PORT, &text, 0) != CURLUE_OK)
		return 1080; /* libcurl's default for every kind of proxy */
	port = xstrdup(text);
	curl_free(text);
	return parse_u64(port, 1, 65535, &number) < 0 ? 0 : (unsigned)number;
}

static struct curl_slist *header_add(struct curl_slist *list, const char *name, const char *value)
{
	auto_free char *line = value ? xasprintf("%s: %s", name, value) : xasprintf("%s:", name);
	struct curl_slist *longer = curl_slist_append(list, line);

	if (!longer)
		abort(); /* out of memory, as base/mem.h has it */
	return longer;
}

static struct curl_slist *request_headers(const struct http_request *req, bool with_authorization)
{
	struct curl_slist *list = NULL;

	list = header_add(list, "Accept", req->accept ? req->accept : "*/*");
	/*
	 * Layers are hashed as they are stored: nobody may compress them once more on the way
	 * (4.5).
	 */
	list = header_add(list, "Accept-Encoding", "identity");
	list = header_add(list, "Expect", NULL);
	list = header_add(
		list, "Content-Type", req->content_type); /* NULL: libcurl adds none of its own */
	if (with_authorization && req->authorization)
		list = header_add(list, "Authorization", req->authorization);
	if (req->range_from) {
		auto_free char *range =
			xasprintf("bytes=%llu-", (unsigned long long)req->range_from);

		list = header_add(list, "Range", range);
	}
	for (size_t i = 0; req->more_headers && i + 1 < req->more_headers->len; i += 2)
		list = header_add(list, req->more_headers->v[i], req->more_headers->v[i + 1]);
	return list;
}

static void set_method(CURL *c, const struct http_request *req, struct transfer *t)
{
	if (strcmp(req->method, "HEAD") == 0) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	} else if (strcmp(req->method, "PUT") == 0) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body_size);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(c, CURLOPT_READDATA, t);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
	} else if (strcmp(req->method, "POST") == 0) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, req->body ? req->body : "");
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_size);
	} else if (strcmp(req->method, "GET") != 0) {
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, req->method);
	}
}

static void set_trust(
	CURL *c, const struct http *http, const struct http_request *req, const struct url *url)
{
	const struct http_policy *policy = req->policy;
	bool unverified = policy->home_unverified && policy->home_host &&
			  strcmp(policy->home_host, url->host) == 0;

	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, unverified ? 0L : 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, unverified ? 0L : 2L);
	if (http->ca_file || req->probe)
		curl_easy_setopt(c, CURLOPT_CAINFO, req->probe ? NULL : http->ca_file);
	if (http->ca_dir || req->probe)
		curl_easy_setopt(c, CURLOPT_CAPATH, req->probe ? NULL : http->ca_dir);
}

static void set_common(CURL *c, struct transfer *t)
{
	bool loopback = host_addr_class(t->url->host) == ADDR_LOOPBACK;
	bool upload = strcmp(t->req->method, "PUT") == 0;

	curl_easy_setopt(c, CURLOPT_URL, t->url->full);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "whittle/" WHITTLE_VERSION);
	curl_easy_setopt(c, CURLOPT_HEADEROPT,
		(long)CURLHEADER_SEPARATE); /* ours are not for a proxy's CONNECT */
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(
		c, CURLOPT_CONNECTTIMEOUT, loopback ? LOOPBACK_TIMEOUT_S : CONNECT_TIMEOUT_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, upload ? LOW_SPEED_UPLOAD_S : LOW_SPEED_S);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(c, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
}

static enum http_failure failure_of(CURLcode rc, CURL *c)
{
	curl_off_t connected = 0, secured = 0;

	switch (rc) {
	case CURLE_OK:
		return HTTP_FAIL_NONE;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HTTP_FAIL_RESOLVE;
	case CURLE_COULDNT_CONNECT:
		return HTTP_FAIL_CONNECT;
	case CURLE_SSL_CONNECT_ERROR:
		return HTTP_FAIL_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return HTTP_FAIL_CERT;
	case CURLE_OPERATION_TIMEDOUT:
		curl_easy_getinfo(c, CURLINFO_CONNECT_TIME_T, &connected);
		curl_easy_getinfo(c, CURLINFO_PRETRANSFER_TIME_T, &secured);
		if (secured)
			return HTTP_FAIL_BROKEN;
		return connected ? HTTP_FAIL_TLS : HTTP_FAIL_CONNECT;
	default:
		return HTTP_FAIL_BROKEN;
	}
}

static const char *failure_hint(enum http_failure failure, const struct url *url)
{
	if (failure == HTTP_FAIL_TLS && strcmp(url->scheme, "https") == 0)
		return " (if it speaks plain HTTP, list it as an insecure registry)";
	if (failure == HTTP_FAIL_CERT)
		return " (is its authority in the file that SSL_CERT_FILE names?)";
	return "";
}

static int transfer_result(struct transfer *t, CURLcode rc, const char *detail)
{
	auto_free char *shown = NULL;

	if (t->failed) {
		t->resp->failure = HTTP_FAIL_LOCAL;
		return -1;
	}
	if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && t->cut)) {
		if (t->resp->status == 0) {
			t->resp->failure = HTTP_FAIL_BROKEN;
			return err_set(
				t->err, ERR_NETWORK, "'%s' does not answer in HTTP", t->url->host);
		}
		if (body_begins(t) < 0) {
			t->resp->failure = HTTP_FAIL_LOCAL;
			return -1;
		}
		return 0;
	}
	t->resp->failure = failure_of(rc, t->curl);
	shown = url_display(t->url);
	return err_set(t->err, ERR_NETWORK, "%s '%s': %s%s", t->req->method, shown,
		*detail ? detail : curl_easy_strerror(rc), failure_hint(t->resp->failure, t->url));
}

/* One request, one response: no redirect, no retry. resp is reset first. */
static int send_once(struct http *http, const struct http_request *req, const struct url *url,
	bool foreign, struct http_response *resp, struct err *err)
{
	const struct http_policy *policy = req->policy;
	bool home = policy->home_host && strcmp(policy->home_host, url->host) == 0;
	struct transfer t = { .http = http, .req = req, .resp = resp, .err = err, .url = url };
	char detail[CURL_ERROR_SIZE] = "";
	auto_free char *origin = xasprintf("%s://%s:%u", url->scheme, url->host, url->port);
	struct curl_slist *headers;
	CURLcode rc;
	int ret;

	http_response_release(resp);
	resp->url = xstrdup(url->full);
	resp->foreign = foreign;
	t.private_ok = policy->private_ok || home;
	t.proxy_port = proxy_port(url);
	if (cancelled(http))
		return err_set(err, ERR_CANCELLED, "interrupted");
	if (refuse_address(&t, host_addr_class(url->host)))
		return transfer_result(&t, CURLE_OK, "");

	t.curl = handle_take(http, origin);
	if (!t.curl)
		return err_set(err, ERR_SYSTEM, "cannot make a libcurl handle");
	set_common(t.curl, &t);
	set_trust(t.curl, http, req, url);
	set_method(t.curl, req, &t);
	headers = request_headers(req, !foreign);
	curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(t.curl, CURLOPT_ERRORBUFFER, detail);
	rc = curl_easy_perform(t.curl);
	ret = transfer_result(&t, rc, detail);
	if (log_debug_on) {
		auto_free char *shown = url_display(url);

		log_debug("http: %s %s -> %d%s%s", req->method, shown, resp->status,
			ret < 0 ? ": " : "", ret < 0 ? err->msg : "");
	}
	curl_easy_setopt(t.curl, CURLOPT_ERRORBUFFER, NULL);
	curl_slist_free_all(headers);
	handle_give(http, t.curl, origin);
	return ret;
}

static bool follows(const struct http_request *req, int status)
{
	bool reads = strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;

	if (status == 307 || status == 308)
		return true;
	return reads && (status == 301 || status == 302 || status == 303);
}

/* Where the redirect in resp leads from *url; the rules of 4.6. */
static int next_hop(const struct http_request *req, const struct http_response *resp,
	const struct url *url, struct url *ret, struct err *err)
{
	const char *location = http_header_first(resp, "location");
	auto_free char *shown = url_display(url);
	auto_url next = URL_INIT;

	if (!location)
		return err_set(err, ERR_INPUT, "'%s' redirects without saying where", shown);
	if (url_resolve(url, location, &next, err) < 0)
		return err_wrap(err, "'%s' redirects", shown);
	if (strcmp(url->scheme, "https") == 0 && strcmp(next.scheme, "http") == 0 &&
		!req->policy->plain_ok)
		return err_set(err, ERR_DENIED, "'%s' redirects from https to plain http on '%s'",
			shown, next.host);
	*ret = next;
	next = (struct url)URL_INIT;
	return 0;
}

/* One request with its redirects. */
static int send_follow(struct http *http, const struct http_request *req,
	struct http_response *resp, struct err *err)
{
	auto_url first = URL_INIT;
	auto_url url = URL_INIT;
	bool foreign = false;

	if (url_parse(req->url, &first, err) < 0 || url_parse(req->url, &url, err) < 0)
		return -1;
	for (int hop = 0;; hop++) {
		auto_url next = URL_INIT;

		if (send_once(http, req, &url, foreign, resp, err) < 0)
			return -1;
		if (req->stay || !follows(req, resp->status))
			return 0;
		if (hop == HTTP_REDIRECTS_MAX) {
			resp->failure = HTTP_FAIL_LOCAL;
			return err_set(err, ERR_NETWORK, "'%s' redirects more than %d times",
				first.host, HTTP_REDIRECTS_MAX);
		}
		if (next_hop(req, resp, &url, &next, err) < 0) {
			resp->failure = HTTP_FAIL_LOCAL;
			return -1;
		}
		/*
		 * Once the trail has left the origin, credentials stay off even if it comes back.
		 */
		foreign = foreign || !url_same_origin(&first, &next);
		url_release(&url);
		url = next;
		next = (struct url)URL_INIT;
	}
}

bool http_status_retries(int status)
{
	switch (status) {
	case 408:
	case 425:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return true;
	default:
		return false;
	}
}

/* Whether a name failed because no resolver answered, rather than because it does not exist. */
static bool resolve_is_temporary(const char *url_text)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	auto_url url = URL_INIT;
	struct err ignored = ERR_INIT;
	int rc;

	if (!url_text || url_parse(url_text, &url, &ignored) < 0)
		return false;
	rc = getaddrinfo(url.host, NULL, &hints, &found);
	if (rc == 0)
		freeaddrinfo(found);
	return rc == 0 || rc == EAI_AGAIN;
}

static bool worth_another_try(const struct http_request *req, const struct http_response *resp,
	int result, unsigned attempt)
{
	if (req->once || attempt >= HTTP_TRIES_MAX)
		return false;
	if (result == 0)
		return http_status_retries(resp->status);
	if (req->resumes || resp->delivered > 0)
		return false;
	if (resp->failure == HTTP_FAIL_RESOLVE)
		return attempt < RESOLVE_TRIES_MAX && resolve_is_temporary(resp->url);
	return resp->failure == HTTP_FAIL_BROKEN;
}

int http_send(struct http *http, const struct http_request *req, struct http_response *resp,
	struct err *err)
{
	for (unsigned attempt = 1;; attempt++) {
		struct err failed = ERR_INIT;
		const char *retry_after;
		uint64_t ms;
		int ret = send_follow(http, req, resp, &failed);

		if (!worth_another_try(req, resp, ret, attempt)) {
			if (ret < 0)
				*err = failed;
			return ret;
		}
		retry_after = ret == 0 && (resp->status == 429 || resp->status == 503)
				      ? http_header_first(resp, "retry-after")
				      : NULL;
		ms = http_retry_delay_ms(attempt, retry_after, clock_wall(), http->retry_base_ms,
			(uint32_t)clock_mono_ns());
		log_debug("http: trying again in %llu ms", (unsigned long long)ms);
		if (http_wait(http, ms, err) < 0)
			return -1;
	}
}

int http_wait(const struct http *http, uint64_t ms, struct err *err)
{
	uint64_t end = clock_mono_ns() + ms * 1000000;

	for (;;) {
		uint64_t now = clock_mono_ns(), slice = (uint64_t)WAIT_SLICE_MS * 1000000;
		struct timespec ts = { 0 };

		if (cancelled(http))
			return err_set(err, ERR_CANCELLED, "interrupted");
		if (now >= end)
			return 0;
		if (end - now < slice)
			slice = end - now;
		ts.tv_nsec = (long)slice;
		nanosleep(&ts, NULL); /* a signal only makes it look at the flag earlier */
	}
}

unsigned http_retry_base_ms(const struct http *http)
{
	return http->retry_base_ms;
}

int64_t http_date(const char *value)
{
	time_t t = curl_getdate(value, NULL);

	return t == -1 ? INT64_MIN : (int64_t)t;
}

/* Seconds that the header asks for, or -1. */
static int64_t retry_after_seconds(const char *value, int64_t now)
{
	uint64_t seconds;
	time_t date;

	if (value[0] && value[strspn(value, "0123456789")] == '\0') {
		if (parse_u64(value, 0, RETRY_AFTER_MAX_S, &seconds) < 0)
			return RETRY_AFTER_MAX_S;
		return seconds ? (int64_t)seconds : 1;
	}
	date = curl_getdate(value, NULL);
	if (date == -1)
		return -1;
	if (date <= now)
		return 1;
	return date - now > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : date - now;
}

uint64_t http_retry_delay_ms(
	unsigned attempt, const char *retry_after, int64_t now, unsigned base_ms, uint32_t random)
{
	int64_t asked = retry_after ? retry_after_seconds(retry_after, now) : -1;
	uint64_t ms = base_ms;

	if (asked > 0)
		return (uint64_t)asked * 1000;
	for (unsigned i = 1; i < attempt && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	return ms * (80 + random % 41) / 100;
}
