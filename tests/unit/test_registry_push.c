#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "oci/descriptor.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "registry/http.h"
#include "registry/push.h"
#include "unit/registry_server.h"

#define BLOB_SIZE ((size_t)300 * 1024 + 3)
#define MANIFEST "{\"schemaVersion\":2}"

struct world {
	struct server s, elsewhere;
	uint8_t *blob;
	bool exists; /* HEAD says yes */
	const char *location;      /* of a session; NULL: none is named; "away": the second server */
	int mount_status;          /* 201, 202, or a refusal */
	int put_status, put_fails; /* status of PUT; this many PUTs break off first */
	const char *put_body;
	bool keeps; /* a good PUT makes exists true */
	bool basic; /* wants a login */
	int manifest_status;
	const char *manifest_body, *manifest_headers;
	struct registry_client *client;
	struct reference ref;
	struct descriptor desc;
	int fd;
};

static void serve_post(struct world *w, const struct request *r, int fd)
{
	bool mount = strstr(r->target, "mount=") != NULL;
	int status = mount ? w->mount_status : 202;
	char headers[512] = "";

	if (status == 202 && w->location) {
		if (strcmp(w->location, "away") == 0)
			snprintf(headers, sizeof(headers),
				"Location: http://127.0.0.1:%u/upload\r\n", w->elsewhere.port);
		else
			snprintf(headers, sizeof(headers), "Location: %s\r\n", w->location);
	}
	reply_text(
		fd, status, headers, status >= 400 ? "{\"errors\":[{\"code\":\"DENIED\"}]}" : "");
}

static void serve_put(struct world *w, const struct request *r, int fd)
{
	if (w->put_fails > 0) {
		w->put_fails--;
		return; /* hang up without an answer */
	}
	if (w->put_status == 201 || w->keeps)
		w->exists = r->body_len == BLOB_SIZE && memcmp(r->body, w->blob, BLOB_SIZE) == 0;
	reply_text(fd, w->put_status, "", w->put_body ? w->put_body : "");
}

static void serve(struct server *s, const struct request *r, int fd)
{
	struct world *w = s->arg;
	char value[4096];

	if (w->basic && s == &w->s && !request_header(r, "authorization", value))
		reply_text(fd, 401, "WWW-Authenticate: Basic realm=x\r\n", "");
	else if (strcmp(r->target, "/v2/") == 0)
		reply_text(fd, 200, "", "{}");
	else if (strcmp(r->method, "HEAD") == 0)
		reply_text(fd, w->exists ? 200 : 404, "", "");
	else if (strcmp(r->method, "POST") == 0)
		serve_post(w, r, fd);
	else if (strstr(r->target, "/manifests/"))
		reply_text(fd, w->manifest_status, w->manifest_headers ? w->manifest_headers : "",
			w->manifest_body ? w->manifest_body : "");
	else
		serve_put(w, r, fd);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct registry_options options = REGISTRY_OPTIONS_INIT;
	auto_free char *text = NULL;
	char digest[DIGEST_STR_SIZE];
	struct err err = ERR_INIT;

	clean_environment();
	assert_int_equal(http_global_init(&err), 0);
	w->blob = xmalloc(BLOB_SIZE);
	for (size_t i = 0; i < BLOB_SIZE; i++)
		w->blob[i] = (uint8_t)(i * 31 >> 3);
	sha256_buf_str(w->blob, BLOB_SIZE, digest);
	descriptor_set(&w->desc, MEDIA_OCI_LAYER_ZSTD, digest, BLOB_SIZE);
	w->fd = memfd_create("blob", MFD_CLOEXEC);
	assert_int_equal(write(w->fd, w->blob, BLOB_SIZE), BLOB_SIZE);
	w->location = "/upload/1?_state=a%2Fb%3D";
	w->put_status = w->manifest_status = w->mount_status = 201;
	server_start(&w->s, serve, w);
	server_start(&w->elsewhere, serve, w);
	text = xasprintf("127.0.0.1:%u/team/app:1", w->s.port);
	assert_int_equal(reference_parse(text, &w->ref, &err), 0);
	options.retry_base_ms = 4;
	w->client = registry_client_new(&options);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	registry_client_free(w->client);
	server_stop(&w->s);
	server_stop(&w->elsewhere);
	reference_release(&w->ref);
	descriptor_release(&w->desc);
	close(w->fd);
	free(w->blob);
	free(w);
	return 0;
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	assert_int_equal(total, BLOB_SIZE);
	*(uint64_t *)arg = done;
}

static int push(struct world *w, const char *mount_from, struct err *err)
{
	uint64_t done = 0;
	const struct registry_progress progress = { .fn = on_progress, .arg = &done };
	int rc;

	*err = (struct err)ERR_INIT;
	rc = registry_push_blob(w->client, &w->ref, &w->desc, w->fd, mount_from, &progress, err);
	if (rc == 0)
		assert_int_equal(done, BLOB_SIZE);
	return rc;
}

static void a_blob_that_is_there_is_not_sent(void **state)
{
	struct world *w = *state;
	struct err err;

	w->exists = true;
	assert_int_equal(push(w, NULL, &err), 0);
	assert_int_equal(server_count(&w->s, "POST", NULL), 0);
}

static void a_blob_is_put_to_the_location_as_it_was_given(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	char want[256], value[4096];
	struct err err;

	assert_int_equal(push(w, NULL, &err), 0);
	assert_true(w->exists);
	snprintf(want, sizeof(want), "/upload/1?_state=a%%2Fb%%3D&digest=sha256%%3A%s",
		digest_hex(w->desc.digest));
	assert_int_equal(server_count(&w->s, "PUT ", &r), 1);
	assert_string_equal(r->target, want);
	assert_string_equal(request_header(r, "content-type", value), "application/octet-stream");
	assert_null(request_header(r, "expect", value));
	assert_int_equal(server_count(&w->s, "POST /v2/team/app/blobs/uploads/", &r), 1);
	assert_string_equal(request_header(r, "content-length", value), "0");
	/* Without a query of its own the digest is the first parameter. */
	w->exists = false;
	w->location = "2";
	assert_int_equal(push(w, NULL, &err), 0);
	server_count(&w->s, "PUT ", &r);
	assert_int_equal(strncmp(r->target, "/v2/team/app/blobs/uploads/2?digest=", 36), 0);
}

static void an_upload_needs_a_good_location(void **state)
{
	static const struct {
		const char *location;
		enum err_kind kind;
	} cases[] = { { NULL, ERR_INPUT }, { "http:///x", ERR_INPUT }, { "ftp://h/x", ERR_DENIED },
		{ "http://u:p@127.0.0.1/x", ERR_DENIED } };
	struct world *w = *state;
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		w->location = cases[i].location;
		assert_int_equal(push(w, NULL, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
	}
	assert_int_equal(server_count(&w->s, "PUT", NULL), 0);
}

static void a_login_is_not_shown_to_another_upload_host(void **state)
{
	struct world *w = *state;
	struct registry_options options = REGISTRY_OPTIONS_INIT;
	const struct request *r = NULL;
	char text[256], value[4096];
	struct err err;

	w->basic = true;
	snprintf(text, sizeof(text),
		"{\"auths\":{\"127.0.0.1:%u\":{\"auth\":\"dXNlcjpwYXNzd29yZA==\"}}}", w->s.port);
	setenv("DOCKER_AUTH_CONFIG", text, 1);
	registry_client_free(w->client);
	options.retry_base_ms = 4;
	w->client = registry_client_new(&options);
	w->location = "away";
	assert_int_equal(push(w, NULL, &err), 0);
	assert_int_equal(server_count(&w->elsewhere, "PUT /upload?digest=", &r), 1);
	assert_null(request_header(r, "authorization", value));
	server_count(&w->s, "POST", &r);
	assert_non_null(request_header(r, "authorization", value));
}

static void a_mount_saves_the_upload(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	char want[256];
	struct err err;

	assert_int_equal(push(w, "library/alpine", &err), 0);
	snprintf(want, sizeof(want),
		"/v2/team/app/blobs/uploads/?mount=sha256%%3A%s&from=library%%2Falpine",
		digest_hex(w->desc.digest));
	assert_int_equal(server_count(&w->s, "POST", &r), 1);
	assert_string_equal(r->target, want);
	assert_int_equal(server_count(&w->s, "PUT", NULL), 0);
}

static void a_mount_that_fails_becomes_an_upload(void **state)
{
	static const int statuses[] = { 202, 400, 403, 404, 405 };
	struct world *w = *state;
	struct err err;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		w->exists = false;
		w->mount_status = statuses[i];
		if (push(w, "library/alpine", &err) < 0)
			fail_msg("%d: %s", statuses[i], err.msg);
		assert_true(w->exists);
	}
	/* 202 goes on in the session that the mount opened. */
	assert_int_equal(server_count(&w->s, "POST", NULL), 1 + 2 * 4);
}

static void a_bad_mount_source_is_not_asked_for(void **state)
{
	static const char *const sources[] = { "../x", "a?b", "team/app", "" };
	struct world *w = *state;
	struct err err;

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		w->exists = false;
		assert_int_equal(push(w, sources[i], &err), 0);
	}
	assert_int_equal(server_count(&w->s, "POST /v2/team/app/blobs/uploads/?", NULL), 0);
}

static void a_broken_upload_starts_anew(void **state)
{
	struct world *w = *state;
	struct err err;

	w->put_fails = 5;
	assert_int_equal(push(w, NULL, &err), 0);
	assert_true(w->exists);
	assert_int_equal(server_count(&w->s, "POST", NULL), 6);
	w->exists = false;
	w->put_fails = 100;
	assert_int_equal(push(w, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
	assert_int_equal(w->put_fails, 94);
}

static void an_odd_success_is_checked(void **state)
{
	static const int odd[] = { 200, 202, 204 };
	struct world *w = *state;
	struct err err;

	for (size_t i = 0; i < 3; i++) {
		w->exists = false;
		w->keeps = true;
		w->put_status = odd[i];
		assert_int_equal(push(w, NULL, &err), 0);
	}
	w->exists = w->keeps = false;
	assert_int_equal(push(w, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_NETWORK);
}

static void put_statuses_become_kinds(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum err_kind kind;
	} cases[] = {
		{ 400, "{\"errors\":[{\"code\":\"DIGEST_INVALID\"}]}", ERR_CORRUPT },
		{ 400, "{\"errors\":[{\"code\":\"NAME_INVALID\"}]}", ERR_INPUT },
		{ 403, NULL, ERR_DENIED },
		{ 404, NULL, ERR_NOT_FOUND },
		{ 405, NULL, ERR_UNSUPPORTED },
		{ 413, NULL, ERR_INPUT },
		{ 500, NULL, ERR_NETWORK },
	};
	struct world *w = *state;
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		w->put_status = cases[i].status;
		w->put_body = cases[i].body;
		assert_int_equal(push(w, NULL, &err), -1);
		if (err.kind != cases[i].kind)
			fail_msg("%d: %s: %s", cases[i].status, err_kind_name(err.kind), err.msg);
		assert_non_null(strstr(err.msg, w->desc.digest));
	}
}

static void a_file_that_changed_is_corrupt(void **state)
{
	struct world *w = *state;
	struct err err;

	w->put_status = 400;
	w->put_body = "{\"errors\":[{\"code\":\"DIGEST_INVALID\"}]}";
	assert_int_equal(pwrite(w->fd, "\xff\xff", 2, 100), 2);
	assert_int_equal(push(w, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "local file"));
	assert_int_equal(ftruncate(w->fd, 10), 0);
	assert_int_equal(push(w, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
}

static int put_manifest(struct world *w, const char *name, struct err *err)
{
	*err = (struct err)ERR_INIT;
	return registry_push_manifest(
		w->client, &w->ref, name, MEDIA_OCI_MANIFEST, MANIFEST, strlen(MANIFEST), err);
}

static void a_manifest_is_put_by_tag_and_by_digest(void **state)
{
	struct world *w = *state;
	const struct request *r = NULL;
	char digest[DIGEST_STR_SIZE], other[DIGEST_STR_SIZE], value[4096];
	struct err err;

	assert_int_equal(put_manifest(w, NULL, &err), 0);
	assert_int_equal(server_count(&w->s, "PUT /v2/team/app/manifests/1", &r), 1);
	assert_string_equal(request_header(r, "content-type", value), MEDIA_OCI_MANIFEST);
	assert_string_equal(r->body, MANIFEST);
	sha256_buf_str(MANIFEST, strlen(MANIFEST), digest);
	assert_int_equal(put_manifest(w, digest, &err), 0);
	assert_int_equal(server_count(&w->s, "PUT /v2/team/app/manifests/sha256:", NULL), 1);
	sha256_buf_str("x", 1, other);
	assert_int_equal(put_manifest(w, other, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_int_equal(put_manifest(w, "a/b", &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
}

static void manifest_answers_become_kinds(void **state)
{
	static const struct {
		int status;
		const char *body, *headers;
		enum err_kind kind;
	} cases[] = {
		{ 400,
			"{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"blob "
			"unknown\"}]}",
			NULL, ERR_NOT_FOUND },
		{ 400, "{\"errors\":[{\"code\":\"MANIFEST_INVALID\"}]}", NULL, ERR_INPUT },
		{ 400, "{\"errors\":[{\"code\":\"TAG_INVALID\",\"message\":\"tag is immutable\"}]}",
			NULL, ERR_DENIED },
		{ 409, "ImageTagAlreadyExistsException", NULL, ERR_DENIED },
		{ 413, NULL, NULL, ERR_INPUT },
		{ 403, NULL, NULL, ERR_DENIED },
		{ 503, NULL, NULL, ERR_NETWORK },
		{ 201, NULL,
			"Docker-Content-Digest: sha256:"
			"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\r\n",
			ERR_CORRUPT },
	};
	struct world *w = *state;
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		w->manifest_status = cases[i].status;
		w->manifest_body = cases[i].body;
		w->manifest_headers = cases[i].headers;
		assert_int_equal(put_manifest(w, NULL, &err), -1);
		if (err.kind != cases[i].kind)
			fail_msg("%zu: %s: %s", i, err_kind_name(err.kind), err.msg);
	}
}

#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(a_blob_that_is_there_is_not_sent),
		WITH_WORLD(a_blob_is_put_to_the_location_as_it_was_given),
		WITH_WORLD(an_upload_needs_a_good_location),
		WITH_WORLD(a_login_is_not_shown_to_another_upload_host),
		WITH_WORLD(a_mount_saves_the_upload),
		WITH_WORLD(a_mount_that_fails_becomes_an_upload),
		WITH_WORLD(a_bad_mount_source_is_not_asked_for),
		WITH_WORLD(a_broken_upload_starts_anew),
		WITH_WORLD(an_odd_success_is_checked),
		WITH_WORLD(put_statuses_become_kinds),
		WITH_WORLD(a_file_that_changed_is_corrupt),
		WITH_WORLD(a_manifest_is_put_by_tag_and_by_digest),
		WITH_WORLD(manifest_answers_become_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
