#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/mem.h"
#include "oci/descriptor.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "registry/http.h"
#include "registry/pull.h"
#include "unit/registry_server.h"

#define BLOB_SIZE ((size_t)5 * 1024 * 1024 + 17)
#define MANIFEST "{\"schemaVersion\":2,\"x\":1}"
#define TYPE "application/vnd.oci.image.index.v1+json"

/* What the next answers to a blob request are; the last one stays. */
enum trick {
	WHOLE,         /* 200, or 206 where a Range came */
	CUT,           /* break off after cut_at bytes of this response */
	CUT_AT_ONCE,   /* promise everything, send nothing */
	NO_RANGE,      /* 200 to every request */
	SHIFTED,       /* 206 that begins one byte late */
	WRONG_TOTAL,   /* 206 of a longer whole */
	NOT_SATISFIED, /* 416 */
	GARBLED,       /* right size, one bit off */
	LONGER,        /* no Content-Length, one byte too many */
	SHORTER,       /* no Content-Length, one byte too few */
	WRONG_LENGTH,  /* Content-Length disagrees with the descriptor */
	PREFIX,        /* 206 with part of what was asked for */
	AWAY,          /* redirect to the second server */
	STATUS,        /* an error status */
	ENCODED,       /* Content-Encoding set, bytes as they are */
};

struct world {
	struct server s, storage;
	uint8_t *blob;
	enum trick tricks[16];
	size_t ntricks, at;
	size_t cut_at;
	int status;
	const char *headers; /* of an error, or of the manifest */
	const char *manifest;
	bool head_refused, head_bare;
	volatile sig_atomic_t cancel;
	struct registry_client *client;
	struct reference ref;
	struct descriptor desc;
};

static void serve_blob(struct world *w, const struct request *r, int fd)
{
	enum trick trick = w->tricks[w->at < w->ntricks ? w->at : w->ntricks - 1];
	char value[4096], headers[512] = "";
	const char *range = request_header(r, "range", value);
	size_t from = 0, to = BLOB_SIZE, total = BLOB_SIZE;
	bool part = range && sscanf(range, "bytes=%zu-", &from) == 1;

	w->at++;
	if (trick == AWAY) {
		snprintf(headers, sizeof(headers), "Location: http://127.0.0.1:%u/stored?sig=1\r\n",
			w->storage.port);
		reply_text(fd, 307, headers, "");
		return;
	}
	if (trick == STATUS || (trick == NOT_SATISFIED && part)) {
		reply_text(fd, trick == STATUS ? w->status : 416, w->headers ? w->headers : "", "");
		return;
	}
	if (trick == NO_RANGE || trick == GARBLED) {
		part = false;
		from = 0;
	}
	if (trick == LONGER || trick == SHORTER) {
		reply(fd, 200, "", NULL, SIZE_MAX);
		send_bytes(fd, w->blob, trick == LONGER ? BLOB_SIZE : BLOB_SIZE - 1);
		if (trick == LONGER)
			send_bytes(fd, "x", 1);
		return;
	}
	if (trick == WRONG_LENGTH)
		to--;
	if (trick == PREFIX && part)
		to = from + 2 * 1024 * 1024 < to ? from + 2 * 1024 * 1024 : to;
	if (trick == SHIFTED && part)
		from++;
	if (trick == WRONG_TOTAL)
		total++;
	if (part)
		snprintf(headers, sizeof(headers), "Content-Range: bytes %zu-%zu/%zu\r\n", from,
			to - 1, total);
	if (trick == ENCODED)
		snprintf(headers, sizeof(headers), "Content-Encoding: gzip\r\n");
	if (trick == GARBLED) {
		auto_free uint8_t *bad = xmemdup(w->blob, BLOB_SIZE);

		bad[BLOB_SIZE / 2] ^= 1;
		reply(fd, 200, "", bad, BLOB_SIZE);
		return;
	}
	if (trick == CUT || trick == CUT_AT_ONCE) {
		char head[1024];
		int n = snprintf(head, sizeof(head),
			"HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", part ? 206 : 200,
			to - from, headers);

		send_bytes(fd, head, (size_t)n);
		if (trick == CUT)
			send_bytes(
				fd, w->blob + from, w->cut_at < to - from ? w->cut_at : to - from);
		return;
	}
	reply(fd, part ? 206 : 200, headers, w->blob + from, to - from);
}

static void serve(struct server *s, const struct request *r, int fd)
{
	struct world *w = s->arg;
	char headers[1024], digest[DIGEST_STR_SIZE];

	if (strcmp(r->target, "/v2/") == 0) {
		reply_text(fd, 200, "", "{}");
	} else if (strstr(r->target, "/blobs/")) {
		serve_blob(w, r, fd);
	} else if (s == &w->storage) {
		reply(fd, 200, "", w->blob, BLOB_SIZE);
	} else if (w->status) {
		reply_text(fd, w->status, w->headers ? w->headers : "",
			"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest "
			"unknown\"}]}");
	} else if (strcmp(r->method, "HEAD") == 0 && (w->head_refused || w->head_bare)) {
		reply_text(fd, w->head_refused ? 405 : 200, "", "");
	} else {
		sha256_buf_str(w->manifest, strlen(w->manifest), digest);
		snprintf(headers, sizeof(headers),
			"Docker-Content-Digest: %s\r\nContent-Type: " TYPE "; charset=utf-8\r\n",
			digest);
		reply(fd, 200, w->headers ? w->headers : headers, w->manifest, strlen(w->manifest));
	}
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct registry_options options = REGISTRY_OPTIONS_INIT;
	auto_free char *text = NULL;
	struct err err = ERR_INIT;
	char digest[DIGEST_STR_SIZE];
	uint32_t x = 1;

	clean_environment();
	assert_int_equal(http_global_init(&err), 0);
	w->blob = xmalloc(BLOB_SIZE);
	for (size_t i = 0; i < BLOB_SIZE; i++)
		w->blob[i] = (uint8_t)((x = x * 1103515245u + 12345u) >> 16);
	sha256_buf_str(w->blob, BLOB_SIZE, digest);
	descriptor_set(&w->desc, MEDIA_OCI_LAYER_GZIP, digest, BLOB_SIZE);
	w->manifest = MANIFEST;
	w->ntricks = 1;
	server_start(&w->s, serve, w);
	server_start(&w->storage, serve, w);
	text = xasprintf("127.0.0.1:%u/team/app:1", w->s.port);
	assert_int_equal(reference_parse(text, &w->ref, &err), 0);
	options.retry_base_ms = 8;
	options.cancel = &w->cancel;
	w->client = registry_client_new(&options);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	registry_client_free(w->client);
	server_stop(&w->s);
	server_stop(&w->storage);
	reference_release(&w->ref);
	descriptor_release(&w->desc);
	free(w->blob);
	free(w);
	return 0;
}

/* Manifests. */

static int get_manifest(struct world *w, const char *name, char **type,
	char digest[DIGEST_STR_SIZE], struct err *err)
{
	auto_strbuf body = STRBUF_INIT;
	int rc;

	*err = (struct err)ERR_INIT;
	rc = registry_get_manifest(w->client, &w->ref, name, &body, type, digest, err);
	if (rc == 0)
		assert_string_equal(body.buf, w->manifest);
	else
		assert_int_equal(body.len, 0);
	return rc;
}

static void a_manifest_comes_with_its_type_and_digest(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	auto_free char *type = NULL;
	char digest[DIGEST_STR_SIZE], want[DIGEST_STR_SIZE], value[4096];
	struct err err;

	sha256_buf_str(MANIFEST, strlen(MANIFEST), want);
	assert_int_equal(get_manifest(w, NULL, &type, digest, &err), 0);
	assert_string_equal(type, TYPE);
	assert_string_equal(digest, want);
	assert_int_equal(server_count(&w->s, "GET /v2/team/app/manifests/1", &r), 1);
	assert_string_equal(request_header(r, "accept", value), MEDIA_OCI_INDEX
		", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_INDEX ", " MEDIA_DOCKER_MANIFEST);
	free(take_ptr(type));
	assert_int_equal(get_manifest(w, want, &type, digest, &err), 0);
	assert_string_equal(digest, want);
}

static void a_type_that_says_nothing_is_no_type(void **state)
{
	static const char *const headers[] = { "Content-Type: text/plain; charset=utf-8\r\n",
		"Content-Type: application/json\r\n", "Content-Type: Application/Octet-Stream\r\n",
		"X: y\r\n" };
	struct world *w = *state;
	char digest[DIGEST_STR_SIZE];
	struct err err;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		char *type = NULL;

		w->headers = headers[i];
		assert_int_equal(get_manifest(w, NULL, &type, digest, &err), 0);
		assert_null(type);
	}
}

static void a_manifest_that_is_not_what_was_promised_is_corrupt(void **state)
{
	struct world *w = *state;
	char *type = NULL, digest[DIGEST_STR_SIZE] = "untouched", other[DIGEST_STR_SIZE];
	struct err err;

	sha256_buf_str("x", 1, other);
	assert_int_equal(get_manifest(w, other, &type, digest, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, other));
	w->headers = "Docker-Content-Digest: sha256:"
		     "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\r\n";
	assert_int_equal(get_manifest(w, NULL, &type, digest, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_null(type);
	assert_string_equal(digest, "untouched");
	/* A digest of another kind is not ours to judge. */
	w->headers = "Docker-Content-Digest: sha512:abc\r\n";
	assert_int_equal(get_manifest(w, NULL, &type, digest, &err), 0);
}

static void statuses_become_kinds(void **state)
{
	static const struct {
		int status;
		enum err_kind kind;
	} cases[] = { { 404, ERR_NOT_FOUND }, { 401, ERR_DENIED }, { 403, ERR_DENIED },
		{ 405, ERR_UNSUPPORTED }, { 400, ERR_INPUT }, { 429, ERR_NETWORK },
		{ 500, ERR_NETWORK }, { 503, ERR_NETWORK }, { 501, ERR_NETWORK } };
	struct world *w = *state;
	char *type = NULL, digest[DIGEST_STR_SIZE];
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		w->status = cases[i].status;
		assert_int_equal(get_manifest(w, NULL, &type, digest, &err), -1);
		if (err.kind != cases[i].kind)
			fail_msg("%d gives %s: %s", w->status, err_kind_name(err.kind), err.msg);
		assert_non_null(strstr(err.msg, "team/app:1"));
	}
	assert_null(type);
}

static void names_are_checked_before_they_reach_a_url(void **state)
{
	static const struct {
		const char *name;
		enum err_kind kind;
	} cases[] = { { "", ERR_INPUT }, { "a/b", ERR_INPUT }, { "../x", ERR_INPUT },
		{ "a?b", ERR_INPUT }, { "a\r\nb", ERR_INPUT }, { "a%2e", ERR_INPUT },
		{ "sha256:abc", ERR_UNSUPPORTED }, { "sha512:abc", ERR_UNSUPPORTED } };
	struct world *w = *state;
	char *type = NULL, digest[DIGEST_STR_SIZE];
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(get_manifest(w, cases[i].name, &type, digest, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
	}
	free(w->ref.path);
	w->ref.path = xstrdup("a/../../b?c");
	assert_int_equal(get_manifest(w, "1", &type, digest, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_int_equal(w->s.nseen, 0);
}

static void a_manifest_over_the_limit_is_refused(void **state)
{
	struct world *w = *state;
	auto_free char *big = xmalloc(REGISTRY_MANIFEST_MAX + 2);
	char *type = NULL, digest[DIGEST_STR_SIZE];
	struct err err;

	memset(big, ' ', REGISTRY_MANIFEST_MAX + 1);
	big[REGISTRY_MANIFEST_MAX + 1] = '\0';
	w->manifest = big;
	assert_int_equal(get_manifest(w, NULL, &type, digest, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	big[REGISTRY_MANIFEST_MAX] = '\0';
	assert_int_equal(get_manifest(w, NULL, &type, digest, &err), 0);
	free(type);
}

static void head_resolves_without_a_get(void **state)
{
	struct world *w = *state;
	auto_free char *type = NULL;
	char digest[DIGEST_STR_SIZE], want[DIGEST_STR_SIZE], other[DIGEST_STR_SIZE];
	uint64_t size = 0;
	struct err err = ERR_INIT;

	sha256_buf_str("x", 1, other);
	sha256_buf_str(MANIFEST, strlen(MANIFEST), want);
	assert_int_equal(
		registry_head_manifest(w->client, &w->ref, NULL, &type, digest, &size, &err), 0);
	assert_string_equal(digest, want);
	assert_string_equal(type, TYPE);
	assert_int_equal(size, strlen(MANIFEST));
	assert_int_equal(server_count(&w->s, "GET /v2/team", NULL), 0);
	assert_int_equal(server_count(&w->s, "HEAD /v2/team", NULL), 1);
	assert_int_equal(
		registry_head_manifest(w->client, &w->ref, other, NULL, digest, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	free(take_ptr(type));
	err = (struct err)ERR_INIT;
	w->head_refused = true;
	assert_int_equal(
		registry_head_manifest(w->client, &w->ref, NULL, &type, digest, &size, &err), 0);
	assert_string_equal(digest, want);
	assert_string_equal(type, TYPE);
	w->head_refused = false;
	w->head_bare = true;
	assert_int_equal(
		registry_head_manifest(w->client, &w->ref, NULL, NULL, digest, NULL, &err), 0);
	assert_string_equal(digest, want);
	w->status = 404;
	assert_int_equal(
		registry_head_manifest(w->client, &w->ref, NULL, NULL, digest, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
}

/* Blobs. */

struct seen {
	struct sha256 *hash;
	uint64_t bytes;
	uint64_t last_done;
};

static int take(void *arg, const void *data, size_t n, struct err *err)
{
	struct seen *s = arg;

	(void)err;
	assert_true(n > 0);
	sha256_add(s->hash, data, n);
	s->bytes += n;
	return 0;
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct seen *s = arg;

	assert_int_equal(total, BLOB_SIZE);
	s->last_done = done;
}

static void set_tricks(struct world *w, size_t n, ...)
{
	va_list ap;

	va_start(ap, n);
	for (size_t i = 0; i < n; i++)
		w->tricks[i] = va_arg(ap, enum trick);
	va_end(ap);
	w->ntricks = n;
	w->at = 0;
}

/* Stream; on success every byte must have come once, in order. */
static int stream(struct world *w, struct err *err)
{
	struct seen s = { .hash = sha256_new() };
	const struct registry_progress progress = { .fn = on_progress, .arg = &s };
	char digest[DIGEST_STR_SIZE];
	int rc;

	*err = (struct err)ERR_INIT;
	rc = registry_stream_blob(w->client, &w->ref, &w->desc, take, &s, &progress, err);
	sha256_end_str(s.hash, digest);
	sha256_free(s.hash);
	assert_true(s.bytes <= BLOB_SIZE);
	if (rc == 0) {
		assert_int_equal(s.bytes, BLOB_SIZE);
		assert_int_equal(s.last_done, BLOB_SIZE);
		assert_string_equal(digest, w->desc.digest);
	}
	return rc;
}

static int to_file(struct world *w, struct err *err)
{
	auto_fd int fd = memfd_create("blob", MFD_CLOEXEC);
	auto_free uint8_t *back = xmalloc(BLOB_SIZE + 1);
	int rc;

	*err = (struct err)ERR_INIT;
	rc = registry_get_blob(w->client, &w->ref, &w->desc, fd, NULL, err);
	if (rc == 0) {
		assert_int_equal(pread(fd, back, BLOB_SIZE + 1, 0), BLOB_SIZE);
		assert_memory_equal(back, w->blob, BLOB_SIZE);
	}
	return rc;
}

static void a_blob_comes_whole(void **state)
{
	struct world *w = *state;
	struct err err;

	assert_int_equal(stream(w, &err), 0);
	assert_int_equal(to_file(w, &err), 0);
	assert_int_equal(server_count(&w->s, "GET /v2/team/app/blobs/sha256:", NULL), 2);
}

static void a_cut_transfer_goes_on_where_it_stopped(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	char value[4096];
	struct err err;

	w->cut_at = 2 * 1024 * 1024;
	set_tricks(w, 3, CUT, CUT, WHOLE);
	assert_int_equal(stream(w, &err), 0);
	assert_int_equal(w->at, 3);
	server_count(&w->s, "GET /v2/team/app/blobs/", &r);
	assert_string_equal(request_header(r, "range", value), "bytes=4194304-");
	set_tricks(w, 3, CUT, CUT, WHOLE);
	assert_int_equal(to_file(w, &err), 0);
}

static void odd_answers_to_a_range_are_survived(void **state)
{
	static const enum trick odd[] = { NO_RANGE, SHIFTED, NOT_SATISFIED, PREFIX, SHORTER };
	struct world *w = *state;
	struct err err;

	w->cut_at = 1234567;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		set_tricks(w, 3, CUT, odd[i], WHOLE);
		if (stream(w, &err) < 0)
			fail_msg("trick %d: %s", odd[i], err.msg);
		set_tricks(w, 3, CUT, odd[i], WHOLE);
		if (to_file(w, &err) < 0)
			fail_msg("trick %d: %s", odd[i], err.msg);
	}
}

static void a_part_of_another_whole_is_corrupt(void **state)
{
	struct world *w = *state;
	struct err err;

	w->cut_at = 1234567;
	set_tricks(w, 2, CUT, WRONG_TOTAL);
	assert_int_equal(stream(w, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
}

static void many_cuts_are_fine_while_there_is_progress(void **state)
{
	struct world *w = *state;
	struct err err;

	w->cut_at = 1024 * 1024;
	set_tricks(w, 1, CUT);
	assert_int_equal(stream(w, &err), 0);
	assert_int_equal(w->at, 6);
}

static void three_poor_tries_are_the_end(void **state)
{
	struct world *w = *state;
	struct err err;

	w->cut_at = 1000;
	set_tricks(w, 1, CUT);
	assert_int_equal(stream(w, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	assert_non_null(strstr(err.msg, w->desc.digest));
	assert_int_equal(w->at, 3);
	set_tricks(w, 1, CUT_AT_ONCE);
	assert_int_equal(stream(w, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	assert_int_equal(w->at, 3);
}

static void wrong_bytes_are_fetched_once_more_into_a_file_only(void **state)
{
	struct world *w = *state;
	struct err err;

	set_tricks(w, 2, GARBLED, WHOLE);
	assert_int_equal(to_file(w, &err), 0);
	set_tricks(w, 1, GARBLED);
	assert_int_equal(to_file(w, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, w->desc.digest));
	assert_int_equal(w->at, 2);
	set_tricks(w, 2, GARBLED, WHOLE);
	assert_int_equal(stream(w, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_int_equal(w->at, 1);
}

static void wrong_sizes_are_corrupt(void **state)
{
	static const enum trick wrong[] = { LONGER, SHORTER, WRONG_LENGTH };
	struct world *w = *state;
	struct err err;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		set_tricks(w, 1, wrong[i]);
		assert_int_equal(stream(w, &err), -1);
		if (err.kind != ERR_CORRUPT)
			fail_msg("trick %d: %s", wrong[i], err.msg);
	}
}

static void an_encoding_label_without_encoding_is_ignored(void **state)
{
	struct world *w = *state;
	struct err err;

	set_tricks(w, 1, ENCODED);
	assert_int_equal(stream(w, &err), 0);
}

static void a_redirect_to_storage_is_followed(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	char value[4096];
	struct err err;

	set_tricks(w, 1, AWAY);
	assert_int_equal(stream(w, &err), 0);
	assert_int_equal(server_count(&w->storage, "GET /stored?sig=1", &r), 1);
	assert_null(request_header(r, "authorization", value));
}

static void blob_statuses_become_kinds(void **state)
{
	static const struct {
		int status;
		enum err_kind kind;
	} cases[] = { { 404, ERR_NOT_FOUND }, { 403, ERR_DENIED }, { 500, ERR_NETWORK } };
	struct world *w = *state;
	struct err err;

	set_tricks(w, 1, STATUS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		w->status = cases[i].status;
		assert_int_equal(to_file(w, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
	}
	/* 429 asks to wait a second, then all is well. */
	w->status = 429;
	w->headers = "Retry-After: 1\r\n";
	set_tricks(w, 2, STATUS, WHOLE);
	uint64_t start = clock_mono_ns();
	assert_int_equal(stream(w, &err), 0);
	assert_true(clock_mono_ns() - start >= 1000000000);
}

static void other_digests_are_refused_before_any_request(void **state)
{
	struct world *w = *state;
	struct err err;

	snprintf(w->desc.digest, sizeof(w->desc.digest), "sha512:abc");
	assert_int_equal(to_file(w, &err), -1);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_int_equal(w->s.nseen, 0);
}

static void an_empty_blob_is_a_blob(void **state)
{
	struct world *w = *state;
	char digest[DIGEST_STR_SIZE];
	auto_fd int fd = memfd_create("blob", MFD_CLOEXEC);
	struct err err = ERR_INIT;

	sha256_buf_str("", 0, digest);
	memcpy(w->desc.digest, digest, sizeof(digest));
	w->desc.size = 0;
	/* The server sends its big blob: longer than promised. */
	assert_int_equal(registry_get_blob(w->client, &w->ref, &w->desc, fd, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	set_tricks(w, 1, STATUS);
	w->status = 200;
	assert_int_equal(registry_get_blob(w->client, &w->ref, &w->desc, fd, NULL, &err), 0);
}

static void a_file_that_cannot_be_written_is_a_system_error(void **state)
{
	struct world *w = *state;
	auto_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	auto_fd int readonly = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct err err = ERR_INIT;

	assert_int_equal(registry_get_blob(w->client, &w->ref, &w->desc, full, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_DISK);
	err = (struct err)ERR_INIT;
	assert_int_equal(registry_get_blob(w->client, &w->ref, &w->desc, readonly, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_SYSTEM);
}

static int take_and_cancel(void *arg, const void *data, size_t n, struct err *err)
{
	struct world *w = arg;

	(void)data, (void)n, (void)err;
	w->cancel = 1;
	return 0;
}

static void cancelling_ends_it(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	w->cut_at = 1000;
	set_tricks(w, 1, CUT);
	assert_int_equal(
		registry_stream_blob(w->client, &w->ref, &w->desc, take_and_cancel, w, NULL, &err),
		-1);
	assert_int_equal(err.kind, ERR_CANCELLED);
}

#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(a_manifest_comes_with_its_type_and_digest),
		WITH_WORLD(a_type_that_says_nothing_is_no_type),
		WITH_WORLD(a_manifest_that_is_not_what_was_promised_is_corrupt),
		WITH_WORLD(statuses_become_kinds),
		WITH_WORLD(names_are_checked_before_they_reach_a_url),
		WITH_WORLD(a_manifest_over_the_limit_is_refused),
		WITH_WORLD(head_resolves_without_a_get),
		WITH_WORLD(a_blob_comes_whole),
		WITH_WORLD(a_cut_transfer_goes_on_where_it_stopped),
		WITH_WORLD(odd_answers_to_a_range_are_survived),
		WITH_WORLD(a_part_of_another_whole_is_corrupt),
		WITH_WORLD(many_cuts_are_fine_while_there_is_progress),
		WITH_WORLD(three_poor_tries_are_the_end),
		WITH_WORLD(wrong_bytes_are_fetched_once_more_into_a_file_only),
		WITH_WORLD(wrong_sizes_are_corrupt),
		WITH_WORLD(an_encoding_label_without_encoding_is_ignored),
		WITH_WORLD(a_redirect_to_storage_is_followed),
		WITH_WORLD(blob_statuses_become_kinds),
		WITH_WORLD(other_digests_are_refused_before_any_request),
		WITH_WORLD(an_empty_blob_is_a_blob),
		WITH_WORLD(a_file_that_cannot_be_written_is_a_system_error),
		WITH_WORLD(cancelling_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
