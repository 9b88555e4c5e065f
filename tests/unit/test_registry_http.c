#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/mem.h"
#include "registry/http.h"
#include "registry/url.h"
#include "unit/registry_server.h"

/* What the handler does for each path; other is a second server on another port. */
struct world {
	struct server a, b;
	struct http *http;
	int failures; /* answers of /flaky that fail before the good one */
	const char *failure_headers;
	volatile sig_atomic_t cancel;
};

static void serve(struct server *s, const struct request *r, int fd)
{
	struct world *w = s->arg;
	unsigned other = s == &w->a ? w->b.port : w->a.port;
	char headers[512];
	int n, hop;

	if (strcmp(r->target, "/ok") == 0) {
		reply_text(fd, 200, "X-Note: one\r\nx-note:   two  \r\n", "fine");
	} else if (sscanf(r->target, "/hop/%d", &hop) == 1) {
		snprintf(headers, sizeof(headers), "Location: /hop/%d\r\n", hop + 1);
		reply_text(fd, hop < 10 ? 302 : 200, headers, "end");
	} else if (strcmp(r->target, "/loop") == 0) {
		reply_text(fd, 307, "Location: /loop\r\n", "");
	} else if (strcmp(r->target, "/away") == 0 || strcmp(r->target, "/away-and-back") == 0) {
		snprintf(headers, sizeof(headers), "Location: http://127.0.0.1:%u/%s\r\n", other,
			strcmp(r->target, "/away") == 0 ? "ok" : "back");
		reply_text(fd, 307, headers, "");
	} else if (strcmp(r->target, "/back") == 0) {
		snprintf(headers, sizeof(headers), "Location: http://127.0.0.1:%u/ok\r\n", other);
		reply_text(fd, 302, headers, "");
	} else if (strcmp(r->target, "/here") == 0) {
		reply_text(fd, 301, "Location: ok\r\n", "");
	} else if (strncmp(r->target, "/to?", 4) == 0) {
		snprintf(headers, sizeof(headers), "Location: %s\r\n", r->target + 4);
		reply_text(fd, 302, headers, "");
	} else if (strcmp(r->target, "/nowhere") == 0) {
		reply_text(fd, 302, "", "");
	} else if (strcmp(r->target, "/flaky") == 0) {
		n = w->failures > 0 ? w->failures-- : 0;
		reply_text(fd, n ? 503 : 200, n ? w->failure_headers : "", n ? "busy" : "done");
	} else if (strcmp(r->target, "/reset") == 0) {
		n = w->failures > 0 ? w->failures-- : 0;
		if (!n)
			reply_text(fd, 200, "", "done");
	} else if (strcmp(r->target, "/echo") == 0) {
		reply(fd, 200, "", r->body, r->body_len);
	} else if (strcmp(r->target, "/to-echo") == 0) {
		reply_text(fd, 307, "Location: /echo\r\n", "");
	} else if (strcmp(r->target, "/post302") == 0) {
		reply_text(fd, 302, "Location: /echo\r\n", "");
	} else if (strcmp(r->target, "/big-headers") == 0) {
		auto_free char *big = xmalloc(300 * 1024);

		memset(big, 'x', 300 * 1024);
		send_bytes(fd, "HTTP/1.1 200 OK\r\nX: ", 20);
		send_bytes(fd, big, 80 * 1024);
		send_bytes(fd, "\r\n\r\n", 4);
	} else if (strcmp(r->target, "/many-headers") == 0) {
		send_bytes(fd, "HTTP/1.1 200 OK\r\n", 17);
		for (int i = 0; i < 300; i++) {
			char line[1024];

			memset(line, 'y', sizeof(line));
			memcpy(line, "Y: ", 3);
			memcpy(line + sizeof(line) - 2, "\r\n", 2);
			send_bytes(fd, line, sizeof(line));
		}
		send_bytes(fd, "\r\n", 2);
	} else if (strcmp(r->target, "/big-body") == 0 || strcmp(r->target, "/big-error") == 0) {
		auto_free char *big = xcalloc(1, 300 * 1024);

		reply(fd, r->target[5] == 'b' ? 200 : 404, "", big, 300 * 1024);
	} else if (strcmp(r->target, "/hang") == 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		w->cancel = 1;
		poll(&p, 1, 5000); /* until the client gives up */
	} else {
		reply_text(fd, 404, "",
			"{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"no\x01such\"}]}");
	}
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	const struct http_options options = { .retry_base_ms = 10, .cancel = &w->cancel };
	struct err err = ERR_INIT;

	clean_environment();
	assert_int_equal(http_global_init(&err), 0);
	server_start(&w->a, serve, w);
	server_start(&w->b, serve, w);
	w->http = http_new(&options);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	http_free(w->http);
	server_stop(&w->a);
	server_stop(&w->b);
	free(w);
	return 0;
}

static const struct http_policy local = { .home_host = "127.0.0.1", .private_ok = true };

/* Send to server a. */
static int get(struct world *w, struct http_request *req, const char *path,
	struct http_response *resp, struct err *err)
{
	auto_free char *url = xasprintf("http://127.0.0.1:%u%s", w->a.port, path);
	int rc;

	if (!req->method)
		req->method = "GET";
	if (!req->policy)
		req->policy = &local;
	req->url = url;
	rc = http_send(w->http, req, resp, err);
	req->url = NULL;
	return rc;
}

static void a_response_has_status_headers_and_body(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;
	const struct request *seen = NULL;
	char value[4096];
	size_t iter = 0;

	assert_int_equal(get(w, &req, "/ok", &resp, &err), 0);
	assert_int_equal(resp.status, 200);
	assert_string_equal(resp.body.buf, "fine");
	assert_string_equal(http_header(&resp, "x-note", &iter), "one");
	assert_string_equal(http_header(&resp, "x-note", &iter), "two");
	assert_null(http_header(&resp, "x-note", &iter));
	assert_null(http_header_first(&resp, "x-not"));
	assert_false(resp.foreign);
	assert_true(resp.peer_private);
	assert_int_equal(server_count(&w->a, "GET /ok", &seen), 1);
	assert_string_equal(request_header(seen, "user-agent", value), "whittle/" WHITTLE_VERSION);
	assert_string_equal(request_header(seen, "accept-encoding", value), "identity");
	assert_null(request_header(seen, "authorization", value));
	assert_null(request_header(seen, "range", value));
	assert_null(request_header(seen, "cookie", value));
}

static void authorization_stays_on_its_origin(void **state)
{
	static const char *const paths[] = { "/away", "/away-and-back" };
	struct world *w = *state;
	const struct request *seen = NULL;
	char value[4096];

	for (size_t i = 0; i < 2; i++) {
		struct http_request req = HTTP_REQUEST_INIT;
		auto_http_response resp = HTTP_RESPONSE_INIT;
		struct err err = ERR_INIT;

		req.authorization = "Bearer sesame";
		assert_int_equal(get(w, &req, paths[i], &resp, &err), 0);
		assert_int_equal(resp.status, 200);
		assert_true(resp.foreign);
		server_count(&w->a, "GET /away", &seen);
		assert_string_equal(request_header(seen, "authorization", value), "Bearer sesame");
		server_count(i ? &w->a : &w->b, "GET /ok", &seen);
		assert_null(request_header(seen, "authorization", value));
	}
	server_count(&w->b, "GET /back", &seen);
	assert_null(request_header(seen, "authorization", value));
}

static void authorization_follows_within_the_origin(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;
	const struct request *seen = NULL;
	char value[4096];

	req.authorization = "Bearer sesame";
	assert_int_equal(get(w, &req, "/here", &resp, &err), 0);
	assert_false(resp.foreign);
	server_count(&w->a, "GET /ok", &seen);
	assert_string_equal(request_header(seen, "authorization", value), "Bearer sesame");
}

static void ten_redirects_and_no_more(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(get(w, &req, "/hop/0", &resp, &err), 0);
	assert_string_equal(resp.body.buf, "end");
	assert_int_equal(get(w, &req, "/loop", &resp, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	assert_int_equal(server_count(&w->a, "GET /loop", NULL), HTTP_REDIRECTS_MAX + 1);
}

static void redirects_that_rules_forbid(void **state)
{
	static const struct {
		const char *path;
		enum err_kind kind;
	} cases[] = {
		{ "/to?file:///etc/passwd", ERR_DENIED },
		{ "/to?gopher://h/", ERR_DENIED },
		{ "/to?ftp://h/", ERR_DENIED },
		{ "/to?http://user:pw@127.0.0.1/", ERR_DENIED },
		{ "/to?http://h:99999/", ERR_INPUT },
		{ "/to?http:///etc", ERR_INPUT },
		{ "/nowhere", ERR_INPUT },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_request req = HTTP_REQUEST_INIT;
		auto_http_response resp = HTTP_RESPONSE_INIT;
		struct err err = ERR_INIT;

		assert_int_equal(get(w, &req, cases[i].path, &resp, &err), -1);
		if (err.kind != cases[i].kind)
			fail_msg("%s: %s", cases[i].path, err.msg);
		assert_int_equal(resp.failure, HTTP_FAIL_LOCAL);
	}
}

/* The registry is public as far as the policy knows; the server leads to our loopback. */
static void a_public_registry_may_not_lead_to_private_addresses(void **state)
{
	static const struct http_policy public_home = { .home_host = "registry.example" };
	static const char *const hosts[] = { "127.0.0.1", "localhost", "[::1]", "169.254.169.254",
		"10.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]" };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct http_request req = HTTP_REQUEST_INIT;
		auto_http_response resp = HTTP_RESPONSE_INIT;
		auto_free char *url = xasprintf("http://%s:%u/ok", hosts[i], w->a.port);
		struct err err = ERR_INIT;

		req.method = "GET";
		req.url = url;
		req.policy = &public_home;
		assert_int_equal(http_send(w->http, &req, &resp, &err), -1);
		assert_int_equal(err.kind, ERR_DENIED);
	}
	assert_int_equal(w->a.nseen, 0);
}

/* A name that resolves to a private address is caught at connect time, on an old connection too. */
static void names_are_judged_when_connecting(void **state)
{
	static const struct http_policy public_home = { .home_host = "registry.example" };
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	auto_free char *url = NULL;
	struct addrinfo *found = NULL;
	struct err err = ERR_INIT;
	char name[256] = "";

	gethostname(name, sizeof(name) - 1);
	if (getaddrinfo(name, NULL, NULL, &found) != 0 ||
		addr_class_of(found->ai_addr) == ADDR_PUBLIC ||
		host_addr_class(name) != ADDR_PUBLIC) {
		if (found)
			freeaddrinfo(found);
		print_message("the name of this machine has no private address\n");
		skip();
	}
	freeaddrinfo(found);
	url = xasprintf("http://%s:%u/ok", name, w->a.port);
	req.method = "GET";
	req.url = url;
	req.policy = &public_home;
	assert_int_equal(http_send(w->http, &req, &resp, &err), -1);
	assert_int_equal(err.kind, ERR_DENIED);
}

static void retries_what_the_table_names(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;

	w->failures = HTTP_TRIES_MAX - 1;
	w->failure_headers = "";
	assert_int_equal(get(w, &req, "/flaky", &resp, &err), 0);
	assert_int_equal(resp.status, 200);
	assert_int_equal(server_count(&w->a, "GET /flaky", NULL), HTTP_TRIES_MAX);

	w->failures = 100;
	assert_int_equal(get(w, &req, "/flaky", &resp, &err), 0);
	assert_int_equal(resp.status, 503);
	assert_int_equal(server_count(&w->a, "GET /flaky", NULL), 2 * HTTP_TRIES_MAX);

	req.once = true;
	assert_int_equal(get(w, &req, "/flaky", &resp, &err), 0);
	assert_int_equal(server_count(&w->a, "GET /flaky", NULL), 2 * HTTP_TRIES_MAX + 1);
}

static void retries_a_connection_that_was_closed_early(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;

	w->failures = 2;
	assert_int_equal(get(w, &req, "/reset", &resp, &err), 0);
	assert_string_equal(resp.body.buf, "done");
	assert_int_equal(err.kind, ERR_NONE);

	w->failures = 1;
	req.once = true;
	assert_int_equal(get(w, &req, "/reset", &resp, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	assert_int_equal(resp.failure, HTTP_FAIL_BROKEN);
}

static void retry_after_is_waited_for(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;
	uint64_t start = clock_mono_ns();

	w->failures = 1;
	w->failure_headers = "Retry-After: 1\r\n";
	assert_int_equal(get(w, &req, "/flaky", &resp, &err), 0);
	assert_int_equal(resp.status, 200);
	assert_true(clock_mono_ns() - start >= 1000000000);
}

static void a_refused_connection_is_a_connect_failure(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;

	req.method = "GET";
	req.policy = &local;
	req.url = "http://127.0.0.1:1/";
	assert_int_equal(http_send(w->http, &req, &resp, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	assert_int_equal(resp.failure, HTTP_FAIL_CONNECT);
	assert_non_null(strstr(err.msg, "127.0.0.1:1"));
}

static void no_tls_is_told_from_a_bad_certificate(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	auto_free char *url = xasprintf("https://127.0.0.1:%u/ok", w->a.port);
	struct err err = ERR_INIT;

	req.method = "GET";
	req.policy = &local;
	req.url = url;
	assert_int_equal(http_send(w->http, &req, &resp, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	assert_int_equal(resp.failure, HTTP_FAIL_TLS);
	assert_non_null(strstr(err.msg, "insecure"));
}

static void bodies_are_sent_from_memory_and_from_a_file(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	auto_fd int fd = memfd_create("body", MFD_CLOEXEC);
	struct err err = ERR_INIT;

	req.method = "POST";
	req.body = "in memory";
	req.body_size = 9;
	assert_int_equal(get(w, &req, "/echo", &resp, &err), 0);
	assert_string_equal(resp.body.buf, "in memory");

	req.method = "PUT";
	assert_int_equal(get(w, &req, "/to-echo", &resp, &err), 0);
	assert_string_equal(resp.body.buf, "in memory");

	assert_int_equal(write(fd, "in a file", 9), 9);
	req.body = NULL;
	req.body_fd = fd;
	assert_int_equal(get(w, &req, "/to-echo", &resp, &err), 0);
	assert_string_equal(resp.body.buf, "in a file");

	req.body_size = 20; /* the file is shorter */
	assert_int_equal(get(w, &req, "/echo", &resp, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
}

static void a_body_is_not_replayed_by_a_302(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;

	req.method = "POST";
	assert_int_equal(get(w, &req, "/post302", &resp, &err), 0);
	assert_int_equal(resp.status, 302);
	assert_int_equal(
		server_count(&w->a, "GET /echo", NULL) + server_count(&w->a, "POST /echo", NULL),
		0);
	req.method = "PUT";
	req.body = "secret";
	req.body_size = 6;
	req.stay = true;
	assert_int_equal(get(w, &req, "/to-echo", &resp, &err), 0);
	assert_int_equal(resp.status, 307);
	assert_int_equal(server_count(&w->a, "PUT /echo", NULL), 0);
}

static void limits_of_headers_and_bodies(void **state)
{
	static const char *const over[] = { "/big-headers", "/many-headers", "/big-body" };
	struct world *w = *state;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct http_request req = HTTP_REQUEST_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < 3; i++) {
		err = (struct err)ERR_INIT;
		assert_int_equal(get(w, &req, over[i], &resp, &err), -1);
		/*
		 * libcurl has a limit on one header line of its own and may be the first to say no.
		 */
		if (err.kind != ERR_INPUT && !(i == 0 && err.kind == ERR_NETWORK))
			fail_msg("%s: %s", over[i], err.msg);
	}
	/* The body of an error is cut, not refused. */
	assert_int_equal(get(w, &req, "/big-error", &resp, &err), 0);
	assert_int_equal(resp.status, 404);
	assert_int_equal(resp.body.len, HTTP_ERROR_BODY_MAX);
}

static void error_text_comes_from_the_document(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	auto_free char *text = NULL, *plain = NULL, *html = NULL;
	struct err err = ERR_INIT;

	strbuf_puts(
		&resp.body, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"no such\"}]}");
	resp.status = 404;
	text = http_error_text(&resp);
	assert_string_equal(text, "404 NAME_UNKNOWN: no such");
	strbuf_reset(&resp.body);
	strbuf_puts(&resp.body, "gone fishing\nsecond line");
	plain = http_error_text(&resp);
	assert_string_equal(plain, "404 gone fishing");
	strbuf_reset(&resp.body);
	strbuf_puts(&resp.body, "<html>");
	html = http_error_text(&resp);
	assert_string_equal(html, "404");
	assert_int_equal(get(w, &req, "/unknown", &resp, &err), 0);
	assert_int_equal(resp.status, 404);
}

static void the_cancel_flag_ends_a_transfer_and_a_wait(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;
	uint64_t start = clock_mono_ns();

	assert_int_equal(get(w, &req, "/hang", &resp, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	assert_true(clock_mono_ns() - start < 4000000000u);
	err = (struct err)ERR_INIT;
	assert_int_equal(http_wait(w->http, 60000, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
}

struct halves {
	int heads;
	size_t got;
};

static int halves_head(void *arg, const struct http_response *resp, struct err *err)
{
	struct halves *h = arg;

	(void)err;
	h->heads++;
	assert_int_equal(resp->status, 200);
	assert_string_equal(http_header_first(resp, "content-length"), "307200");
	return 0;
}

static int halves_sink(void *arg, const void *data, size_t n, struct err *err)
{
	struct halves *h = arg;

	(void)data;
	h->got += n;
	return h->got > 200000 ? err_set(err, ERR_DISK, "full") : 0;
}

static void a_sink_may_stop_the_transfer_with_its_own_error(void **state)
{
	struct world *w = *state;
	struct http_request req = HTTP_REQUEST_INIT;
	auto_http_response resp = HTTP_RESPONSE_INIT;
	struct err err = ERR_INIT;
	struct halves h = { 0 };

	req.head = halves_head;
	req.sink = halves_sink;
	req.arg = &h;
	assert_int_equal(get(w, &req, "/big-body", &resp, &err), -1);
	assert_int_equal(err.kind, ERR_DISK);
	assert_int_equal(h.heads, 1);
	assert_int_equal(server_count(&w->a, "GET /big-body", NULL), 1);
	/* The body of an error never reaches the sink. */
	h = (struct halves){ 0 };
	assert_int_equal(get(w, &req, "/big-error", &resp, &err), 0);
	assert_int_equal(h.got, 0);
	assert_int_equal(h.heads, 0);
}

static void back_off_doubles_within_its_bounds(void **state)
{
	(void)state;
	for (uint32_t random = 0; random < 100; random++) {
		uint64_t one = http_retry_delay_ms(1, NULL, 0, 2000, random);
		uint64_t three = http_retry_delay_ms(3, NULL, 0, 2000, random);
		uint64_t many = http_retry_delay_ms(50, "soon", 0, 2000, random);

		assert_in_range(one, 1600, 2400);
		assert_in_range(three, 6400, 9600);
		assert_in_range(many, 48000, 72000);
	}
}

static void retry_after_is_clamped(void **state)
{
	const int64_t now = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */

	(void)state;
	assert_int_equal(http_retry_delay_ms(1, "0", now, 2000, 0), 1000);
	assert_int_equal(http_retry_delay_ms(1, "7", now, 2000, 0), 7000);
	assert_int_equal(http_retry_delay_ms(1, "999999999", now, 2000, 0), 300000);
	assert_int_equal(http_retry_delay_ms(1, "99999999999999999999999", now, 2000, 0), 300000);
	assert_int_equal(
		http_retry_delay_ms(1, "Sun, 06 Nov 1994 08:49:47 GMT", now, 2000, 0), 10000);
	assert_int_equal(
		http_retry_delay_ms(1, "Sun, 06 Nov 1994 08:49:00 GMT", now, 2000, 0), 1000);
	assert_int_equal(
		http_retry_delay_ms(1, "Sun, 06 Nov 2044 08:49:00 GMT", now, 2000, 0), 300000);
	assert_int_equal(http_retry_delay_ms(1, "-5", now, 2000, 20), 2000);
	assert_int_equal(http_retry_delay_ms(1, "", now, 2000, 20), 2000);
}

static void statuses_worth_a_retry(void **state)
{
	static const int yes[] = { 408, 425, 429, 500, 502, 503, 504 };
	static const int no[] = { 200, 301, 400, 401, 403, 404, 405, 409, 413, 416, 501, 505 };

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(http_status_retries(yes[i]));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(http_status_retries(no[i]));
}

#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(a_response_has_status_headers_and_body),
		WITH_WORLD(authorization_stays_on_its_origin),
		WITH_WORLD(authorization_follows_within_the_origin),
		WITH_WORLD(ten_redirects_and_no_more),
		WITH_WORLD(redirects_that_rules_forbid),
		WITH_WORLD(a_public_registry_may_not_lead_to_private_addresses),
		WITH_WORLD(names_are_judged_when_connecting),
		WITH_WORLD(retries_what_the_table_names),
		WITH_WORLD(retries_a_connection_that_was_closed_early),
		WITH_WORLD(retry_after_is_waited_for),
		WITH_WORLD(a_refused_connection_is_a_connect_failure),
		WITH_WORLD(no_tls_is_told_from_a_bad_certificate),
		WITH_WORLD(bodies_are_sent_from_memory_and_from_a_file),
		WITH_WORLD(a_body_is_not_replayed_by_a_302),
		WITH_WORLD(limits_of_headers_and_bodies),
		WITH_WORLD(error_text_comes_from_the_document),
		WITH_WORLD(the_cancel_flag_ends_a_transfer_and_a_wait),
		WITH_WORLD(a_sink_may_stop_the_transfer_with_its_own_error),
		cmocka_unit_test(back_off_doubles_within_its_bounds),
		cmocka_unit_test(retry_after_is_clamped),
		cmocka_unit_test(statuses_worth_a_retry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
