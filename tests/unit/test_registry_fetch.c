#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "registry/fetch.h"
#include "registry/http.h"
#include "unit/registry_server.h"

#define BODY "0123456789abcdefghij"
#define MODIFIED "Thu, 02 Jan 2020 03:04:05 GMT"

struct world {
	struct server server;
	struct http *http;
	unsigned cuts; /* answers that break off */
	const char *validators;
};

/* A 200 or 206 of BODY from where Range says; breaks off after three bytes while there are cuts left. */
static void serve_body(struct world *w, const struct request *r, int fd)
{
	char range[4096], head[512];
	size_t from = 0, n;

	if (request_header(r, "range", range))
		from = strtoul(range + strlen("bytes="), NULL, 10);
	n = strlen(BODY) - from;
	snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\nContent-Range: bytes %zu-%zu/%zu\r\n\r\n",
		from ? "206 Partial Content" : "200 OK", w->validators, n, from, strlen(BODY) - 1, strlen(BODY));
	send_bytes(fd, head, strlen(head));
	if (w->cuts > 0) {
		w->cuts--;
		send_bytes(fd, BODY + from, 3);
		shutdown(fd, SHUT_RDWR);
		return;
	}
	send_bytes(fd, BODY + from, n);
}

static void serve(struct server *s, const struct request *r, int fd)
{
	struct world *w = s->arg;
	char value[4096];

	if (strcmp(r->target, "/body") == 0)
		serve_body(w, r, fd);
	else if (strcmp(r->target, "/asked") == 0)
		reply_text(fd, request_header(r, "if-none-match", value) && strcmp(value, "\"e\"") == 0 ? 304 : 200,
			"ETag: \"e\"\r\nLast-Modified: " MODIFIED "\r\n", request_header(r, "if-none-match", value) ? "" : BODY);
	else if (strcmp(r->target, "/date") == 0)
		reply_text(fd, request_header(r, "if-modified-since", value) ? 304 : 200, "Last-Modified: " MODIFIED "\r\n",
			request_header(r, "if-modified-since", value) ? "" : BODY);
	else if (strcmp(r->target, "/unasked") == 0)
		reply_text(fd, 304, "", "");
	else if (strcmp(r->target, "/elsewhere") == 0)
		reply_text(fd, 302, "Location: file:///etc/passwd\r\n", "");
	else if (strcmp(r->target, "/gone") == 0)
		reply_text(fd, 410, "", "");
	else
		reply_text(fd, 404, "", "no such file");
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct http_options o = { .retry_base_ms = 1 };
	struct err err = ERR_INIT;

	clean_environment();
	w->validators = "ETag: \"e\"\r\n";
	server_start(&w->server, serve, w);
	assert_int_equal(http_global_init(&err), 0);
	w->http = http_new(&o);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	http_free(w->http);
	server_stop(&w->server);
	free(w);
	return 0;
}

/* Fetch path; what was written goes to text. */
static int get(struct world *w, const char *path, struct fetch_options o, struct fetch_result *ret, struct strbuf *text,
	struct err *err)
{
	auto_free char *url = xasprintf("http://127.0.0.1:%u%s", w->server.port, path);
	FILE *f = tmpfile();
	int rc;

	assert_non_null(f);
	o.url = url;
	rc = fetch_file(w->http, &o, fileno(f), ret, err);
	lseek(fileno(f), 0, SEEK_SET);
	strbuf_reset(text);
	assert_int_equal(read_all(fileno(f), text, 1000), 0);
	fclose(f);
	return rc;
}

static void a_file_comes_with_its_digest_and_validators(void **state)
{
	auto_fetch_result r = FETCH_RESULT_INIT;
	auto_strbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	char digest[DIGEST_STR_SIZE];

	sha256_buf_str(BODY, strlen(BODY), digest);
	assert_int_equal(get(*state, "/asked", (struct fetch_options){ .max = 0 }, &r, &text, &err), 0);
	assert_string_equal(text.buf, BODY);
	assert_string_equal(r.digest, digest);
	assert_int_equal(r.size, strlen(BODY));
	assert_string_equal(r.etag, "\"e\"");
	assert_int_equal(r.mtime, 1577934245);
	assert_false(r.unchanged);
}

static void what_did_not_change_is_not_sent(void **state)
{
	auto_fetch_result r = FETCH_RESULT_INIT;
	auto_strbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(get(*state, "/asked", (struct fetch_options){ .etag = "\"e\"" }, &r, &text, &err), 0);
	assert_true(r.unchanged);
	assert_int_equal(text.len, 0);
	assert_int_equal(get(*state, "/date", (struct fetch_options){ .last_modified = MODIFIED }, &r, &text, &err), 0);
	assert_true(r.unchanged);
	/* an answer to a question that was not asked is none */
	assert_int_equal(get(*state, "/unasked", (struct fetch_options){ .max = 0 }, &r, &text, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
}

static void a_broken_transfer_goes_on_where_it_stopped(void **state)
{
	struct world *w = *state;
	auto_fetch_result r = FETCH_RESULT_INIT;
	auto_strbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	const struct request *last;
	char value[4096];

	w->cuts = 2;
	assert_int_equal(get(w, "/body", (struct fetch_options){ .max = 0 }, &r, &text, &err), 0);
	assert_string_equal(text.buf, BODY);
	assert_int_equal(server_count(&w->server, "GET /body", &last), 3);
	assert_string_equal(request_header(last, "range", value), "bytes=6-");
	assert_string_equal(request_header(last, "if-range", value), "\"e\"");
}

static void without_a_strong_validator_it_starts_anew(void **state)
{
	struct world *w = *state;
	auto_fetch_result r = FETCH_RESULT_INIT;
	auto_strbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	const struct request *last;
	char value[4096];

	w->cuts = 1;
	w->validators = "ETag: W/\"e\"\r\n";
	assert_int_equal(get(w, "/body", (struct fetch_options){ .max = 0 }, &r, &text, &err), 0);
	assert_string_equal(text.buf, BODY);
	assert_int_equal(server_count(&w->server, "GET /body", &last), 2);
	assert_null(request_header(last, "range", value));
}

static void a_transfer_that_always_breaks_is_given_up(void **state)
{
	struct world *w = *state;
	auto_fetch_result r = FETCH_RESULT_INIT;
	auto_strbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	const struct request *last;

	w->cuts = 100;
	w->validators = "";
	assert_int_equal(get(w, "/body", (struct fetch_options){ .max = 0 }, &r, &text, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	assert_int_equal(server_count(&w->server, "GET /body", &last), FETCH_RESUMES_MAX + 1);
	assert_null(r.etag);
}

static void a_limit_is_kept_by_promise_and_by_count(void **state)
{
	auto_fetch_result r = FETCH_RESULT_INIT;
	auto_strbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(get(*state, "/asked", (struct fetch_options){ .max = strlen(BODY) }, &r, &text, &err), 0);
	assert_int_equal(get(*state, "/asked", (struct fetch_options){ .max = strlen(BODY) - 1 }, &r, &text, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.msg, "is larger than 19 bytes"));
	assert_int_equal(text.len, 0);
}

static void failures_have_their_kinds(void **state)
{
	auto_fetch_result r = FETCH_RESULT_INIT;
	auto_strbuf text = STRBUF_INIT;
	static const struct {
		const char *path;
		enum err_kind kind;
	} cases[] = { { "/none", ERR_NOT_FOUND }, { "/gone", ERR_NOT_FOUND }, { "/elsewhere", ERR_DENIED } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(get(*state, cases[i].path, (struct fetch_options){ .max = 0 }, &r, &text, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
		assert_int_equal(text.len, 0);
	}
}

static void names_of_files(void **state)
{
	static const char *const cases[][2] = { { "http://h/a", "a" }, { "http://h/d/a.tar.gz?x=/y#/z", "a.tar.gz" },
		{ "http://h/a%20b", "a b" }, { "http://h/%zz", "%zz" }, { "http://h/", "__unnamed__" },
		{ "http://h", "__unnamed__" }, { "http://h?q", "__unnamed__" }, { "http://h/d/", "d" },
		{ "http://h/.", "__unnamed__" }, { "http://h/a%2fb", NULL }, { "http://h/..", NULL },
		{ "http://h/%2e%2E", NULL }, { "http://h/a%00b", NULL } };
	auto_free char *longest = xasprintf("http://h/%0255d", 0);
	auto_free char *longer = xasprintf("http://h/%0256d", 0);
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *name = fetch_file_name(cases[i][0], &err);

		if (cases[i][1])
			assert_string_equal(name, cases[i][1]);
		else
			assert_null(name);
	}
	assert_null(fetch_file_name(longer, &err));
	free(fetch_file_name(longest, &err));
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(a_file_comes_with_its_digest_and_validators),
		WITH_WORLD(what_did_not_change_is_not_sent),
		WITH_WORLD(a_broken_transfer_goes_on_where_it_stopped),
		WITH_WORLD(without_a_strong_validator_it_starts_anew),
		WITH_WORLD(a_transfer_that_always_breaks_is_given_up),
		WITH_WORLD(a_limit_is_kept_by_promise_and_by_count),
		WITH_WORLD(failures_have_their_kinds),
		cmocka_unit_test(names_of_files),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
