#include "registry/push.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "oci/descriptor.h"
#include "oci/reference.h"
#include "registry/client_internal.h"
#include "registry/url.h"

#define UPLOAD_RESTARTS_MAX 5 /* 4.8 */
#define HASH_BUFFER (64 * 1024)
#define UPLOAD_TYPE "application/octet-stream"

DEFINE_AUTO(struct sha256 *, sha256_free)

struct blob_push {
	const struct descriptor *desc;
	const char *what;
	int fd;
	const struct registry_progress *progress;
};

static void report(const struct blob_push *p, uint64_t done)
{
	if (p->progress)
		p->progress->fn(p->progress->arg, done, p->desc->size);
}

static void on_sent(void *arg, uint64_t n)
{
	report(arg, n);
}

/* Whether the repository has the blob: 1, 0, or -1 and *err. */
static int blob_exists(struct call *call, const struct blob_push *p, struct err *err)
{
	auto_free char *url = call_url(call, "blobs", p->desc->digest);
	struct http_request req = HTTP_REQUEST_INIT;
	const char *digest;

	req.method = "HEAD";
	req.url = url;
	if (call_send(call, &req, err) < 0)
		return err_wrap(err, "%s", p->what);
	if (call->resp.status == 404)
		return 0;
	if (call->resp.status != 200)
		return call_error(call, p->what, err);
	digest = http_header_first(&call->resp, "docker-content-digest");
	return !digest || !digest_valid(digest) || strcmp(digest, p->desc->digest) == 0;
}

/*
 * POST to the uploads endpoint. *ret_location is the session to PUT to (owned by the caller), or
 * NULL when the answer was 201: the blob was mounted. Returns 0, or -1 and *err.
 */
static int upload_begin(struct call *call, const struct blob_push *p, const char *mount_from,
	char **ret_location, struct err *err)
{
	auto_free char *start = call_url(call, "blobs", "uploads/");
	auto_strbuf url = STRBUF_INIT;
	struct http_request req = HTTP_REQUEST_INIT;

	strbuf_puts(&url, start);
	if (mount_from) {
		url_add_query(&url, "mount", p->desc->digest);
		url_add_query(&url, "from", mount_from);
	}
	req.method = "POST";
	req.url = url.buf;
	if (call_send(call, &req, err) < 0)
		return err_wrap(err, "%s", p->what);
	if (mount_from && call->resp.status == 201)
		return 0;
	if (call->resp.status != 202)
		return call_error(call, p->what, err);
	return call_location(call, p->what, ret_location, err);
}

/* Whether the file still is what its descriptor says: the registry has just denied it. */
static int rehash(const struct blob_push *p, struct err *err)
{
	AUTO(sha256_free) struct sha256 *hash = sha256_new();
	auto_free char *buf = xmalloc(HASH_BUFFER);
	char digest[DIGEST_STR_SIZE];
	uint64_t at = 0;

	while (at < p->desc->size) {
		uint64_t left = p->desc->size - at;
		ssize_t n = pread(
			p->fd, buf, left < HASH_BUFFER ? (size_t)left : HASH_BUFFER, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "%s: cannot read the file", p->what);
		if (n == 0)
			break;
		sha256_add(hash, buf, (size_t)n);
		at += (uint64_t)n;
	}
	sha256_end_str(hash, digest);
	if (strcmp(digest, p->desc->digest) != 0)
		return err_set(
			err, ERR_CORRUPT, "%s: the local file has the digest %s", p->what, digest);
	return err_set(
		err, ERR_CORRUPT, "%s: the registry received other bytes than were sent", p->what);
}

static bool digest_invalid(const struct http_response *resp)
{
	return resp->status == 400 &&
	       (strstr(resp->body.buf, "DIGEST_INVALID") || strstr(resp->body.buf, "SIZE_INVALID"));
}

enum put_result { PUT_DONE, PUT_AGAIN, PUT_FAILED };

/*
 * PUT the whole file to the session; location is its URL, opaque but for the digest we add (4.8).
 */
static enum put_result upload_put(
	struct call *call, const struct blob_push *p, const char *location, struct err *err)
{
	struct http_request req = HTTP_REQUEST_INIT;
	auto_strbuf url = STRBUF_INIT;
	int status, exists;

	strbuf_puts(&url, location);
	url_add_query(&url, "digest", p->desc->digest);
	req.method = "PUT";
	req.url = url.buf;
	req.content_type = UPLOAD_TYPE;
	req.body_fd = p->fd;
	req.body_size = p->desc->size;
	/* A session that broke is in an unknown state: a new one is surer than its rest. */
	req.once = true;
	req.sent = on_sent;
	req.arg = (void *)(uintptr_t)p;
	if (call_send(call, &req, err) < 0) {
		bool transport = call->resp.failure != HTTP_FAIL_LOCAL &&
				 call->resp.failure != HTTP_FAIL_CERT;

		err_wrap(err, "%s", p->what);
		return err->kind == ERR_NETWORK && transport ? PUT_AGAIN : PUT_FAILED;
	}
	status = call->resp.status;
	if (status == 201)
		return PUT_DONE;
	if (status == 200 || status == 202 || status == 204) {
		exists = blob_exists(call, p, err); /* seen in the wild, but it proves nothing */
		if (exists == 0)
			err_set(err, ERR_NETWORK,
				"%s: the registry accepted it with status %d, but has it not",
				p->what, status);
		return exists > 0 ? PUT_DONE : exists == 0 ? PUT_AGAIN : PUT_FAILED;
	}
	if (digest_invalid(&call->resp)) {
		rehash(p, err);
		return PUT_FAILED;
	}
	call_error(call, p->what, err);
	/* 404: the session is gone; 416: it is not where we think it is. */
	return status == 404 || status == 416 || http_status_retries(status) ? PUT_AGAIN
									     : PUT_FAILED;
}

static char *push_scopes(const struct reference *ref, const char *mount_from)
{
	if (mount_from)
		return xasprintf(
			"repository:%s:pull,push repository:%s:pull", ref->path, mount_from);
	return xasprintf("repository:%s:pull,push", ref->path);
}

/*
 * Ask for a mount, in a call of its own: its scopes name the other repository, and a registry that
 * grants them not must not spoil the plain upload. *ret_location stays NULL both when the blob was
 * mounted and when that was refused: *ret_mounted tells.
 */
static int try_mount(const struct call *plain, const struct blob_push *p, const char *mount_from,
	bool *ret_mounted, char **ret_location, struct err *err)
{
	auto_free char *scopes = push_scopes(plain->ref, mount_from);
	auto_call call = CALL_INIT;
	struct err refused = ERR_INIT;

	if (call_begin(&call, plain->client, plain->ref, scopes, err) < 0)
		return -1;
	if (upload_begin(&call, p, mount_from, ret_location, &refused) == 0) {
		*ret_mounted = !*ret_location;
		return 0;
	}
	if (refused.kind == ERR_CANCELLED || refused.kind == ERR_NETWORK) {
		*err = refused;
		return -1;
	}
	log_debug("push: not mounted from '%s': %s", mount_from, refused.msg);
	return 0;
}

static int blob_upload(
	struct call *call, const struct blob_push *p, const char *mount_from, struct err *err)
{
	unsigned base = http_retry_base_ms(call_http(call));
	bool mounted = false;

	for (unsigned attempt = 1;; attempt++) {
		auto_free char *location = NULL;
		struct err failed = ERR_INIT;
		enum put_result result;
		uint64_t ms;

		if (attempt == 1 && mount_from &&
			try_mount(call, p, mount_from, &mounted, &location, err) < 0)
			return -1;
		if (mounted)
			return 0;
		if (!location && upload_begin(call, p, NULL, &location, err) < 0)
			return -1;
		result = upload_put(call, p, location, &failed);
		if (result == PUT_DONE)
			return 0;
		if (result == PUT_FAILED || attempt > UPLOAD_RESTARTS_MAX) {
			*err = failed;
			return -1;
		}
		ms = http_retry_delay_ms(attempt, http_header_first(&call->resp, "retry-after"),
			clock_wall(), base, (uint32_t)clock_mono_ns());
		log_debug("push: %s; starting anew in %llu ms", failed.msg, (unsigned long long)ms);
		report(p, 0);
		if (http_wait(call_http(call), ms, err) < 0)
			return -1;
	}
}

int registry_push_blob(struct registry_client *client, const struct reference *ref,
	const struct descriptor *desc, int fd, const char *mount_from,
	const struct registry_progress *progress, struct err *err)
{
	auto_call call = CALL_INIT;
	auto_free char *scopes = NULL;
	auto_free char *what = xasprintf("blob %s", desc->digest);
	const struct blob_push p = { .desc = desc, .what = what, .fd = fd, .progress = progress };
	int exists;

	if (!digest_valid(desc->digest))
		return err_set(err, ERR_UNSUPPORTED, "blob '%s': only sha256 digests are known",
			desc->digest);
	/* What annotations say of other repositories is only used where it can be one (9.4.120). */
	if (mount_from &&
		(!repository_path_valid(mount_from) || strcmp(mount_from, ref->path) == 0))
		mount_from = NULL;
	scopes = push_scopes(ref, NULL);
	if (call_begin(&call, client, ref, scopes, err) < 0)
		return -1;
	exists = blob_exists(&call, &p, err);
	if (exists < 0 || (exists == 0 && blob_upload(&call, &p, mount_from, err) < 0))
		return -1;
	report(&p, desc->size);
	return 0;
}

/* What a registry says when a tag may not be moved (4.4). */
static bool tag_is_immutable(const struct http_response *resp)
{
	return (resp->status == 400 || resp->status == 409 || resp->status == 412) &&
	       (strstr(resp->body.buf, "TAG_INVALID") ||
		       strstr(resp->body.buf, "ImageTagAlreadyExists") ||
		       strstr(resp->body.buf, "immutable"));
}

static int manifest_error(const struct call *call, const char *what, struct err *err)
{
	if (tag_is_immutable(&call->resp)) {
		auto_free char *text = http_error_text(&call->resp);

		return err_set(err, ERR_DENIED,
			"%s: the registry does not let this tag be moved: %s", what, text);
	}
	call_error(call, what, err);
	if (strstr(call->resp.body.buf, "MANIFEST_BLOB_UNKNOWN"))
		err->kind = ERR_NOT_FOUND;
	return -1;
}

int registry_push_manifest(struct registry_client *client, const struct reference *ref,
	const char *tag_or_digest, const char *media_type, const void *body, size_t n,
	struct err *err)
{
	const char *name = tag_or_digest ? tag_or_digest
			   : ref->tag    ? ref->tag
					 : REFERENCE_DEFAULT_TAG;
	auto_call call = CALL_INIT;
	auto_free char *scopes = push_scopes(ref, NULL);
	auto_free char *what = NULL;
	auto_free char *url = NULL;
	struct http_request req = HTTP_REQUEST_INIT;
	char digest[DIGEST_STR_SIZE];
	const char *stored;

	if (!digest_valid(name) && !reference_tag_valid(name))
		return err_set(err, ERR_INPUT, "'%s' is neither a tag nor a sha256 digest", name);
	if (!media_type_valid(media_type))
		return err_set(err, ERR_INPUT, "'%s' is not a media type", media_type);
	what = xasprintf("manifest '%s/%s%s%s'", ref->domain, ref->path,
		digest_valid(name) ? "@" : ":", name);
	sha256_buf_str(body, n, digest);
	if (digest_valid(name) && strcmp(name, digest) != 0)
		return err_set(err, ERR_CORRUPT, "%s: its bytes have the digest %s", what, digest);
	if (call_begin(&call, client, ref, scopes, err) < 0)
		return -1;
	url = call_url(&call, "manifests", name);
	req.method = "PUT";
	req.url = url;
	req.content_type = media_type;
	req.body = body;
	req.body_size = n;
	if (call_send(&call, &req, err) < 0)
		return err_wrap(err, "%s", what);
	if (call.resp.status != 201 && call.resp.status != 200 && call.resp.status != 202)
		return manifest_error(&call, what, err);
	stored = http_header_first(&call.resp, "docker-content-digest");
	if (stored && digest_valid(stored) && strcmp(stored, digest) != 0)
		return err_set(err, ERR_CORRUPT, "%s: sent %s, the registry stored %s", what,
			digest, stored);
	return 0;
}
