#include "registry/pull.h"

#include <ctype.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "oci/descriptor.h"
#include "oci/reference.h"
#include "registry/client_internal.h"

/* All that we can read, in one header: without it registries convert or pick for us (4.4). */
#define MANIFEST_ACCEPT                                                                            \
	MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_INDEX ", " MEDIA_DOCKER_MANIFEST

#define POOR_TRIES_MAX 3             /* 4.5: three tries in a row, */
#define POOR_TRY_BYTES (1024 * 1024) /* each with less than this, and we give up */

/* Which manifest of ref is meant: checked, points into ref or is the argument itself. */
static const char *manifest_name(
	const struct reference *ref, const char *tag_or_digest, struct err *err)
{
	const char *name = tag_or_digest;

	if (!name)
		name = ref->digest ? ref->digest : ref->tag ? ref->tag : REFERENCE_DEFAULT_TAG;
	if (digest_valid(name) || reference_tag_valid(name))
		return name;
	if (strchr(name, ':'))
		err_set(err, ERR_UNSUPPORTED, "'%s' is not a sha256 digest", name);
	else
		err_set(err, ERR_INPUT, "'%s' is neither a tag nor a digest", name);
	return NULL;
}

/* "manifest 'alpine:3.20'" for messages; the caller frees. */
static char *manifest_what(const struct reference *ref, const char *name)
{
	return xasprintf("manifest '%s/%s%s%s'", ref->domain, ref->path,
		digest_valid(name) ? "@" : ":", name);
}

/*
 * Content-Type without parameters in lower case, or NULL when it says nothing (1.4); the caller
 * frees.
 */
static char *media_type_of_response(const struct http_response *resp)
{
	static const char *const says_nothing[] = { "text/plain", "application/json",
		"application/octet-stream", "binary/octet-stream" };
	const char *value = http_header_first(resp, "content-type");
	size_t n = value ? strcspn(value, "; \t") : 0;
	char *type;

	if (n == 0)
		return NULL;
	type = xstrndup(value, n);
	for (char *p = type; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (size_t i = 0; i < sizeof(says_nothing) / sizeof(says_nothing[0]); i++) {
		if (strcmp(type, says_nothing[i]) == 0) {
			free(type);
			return NULL;
		}
	}
	return type;
}

static int digest_differs(const char *what, const char *wanted, const char *got, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "%s: the digest should be %s, but the bytes have %s", what,
		wanted, got);
}

/* One request for a manifest; 200 is in call->resp afterwards. */
static int manifest_request(
	struct call *call, const char *method, const char *name, struct err *err)
{
	auto_free char *url = call_url(call, "manifests", name);
	struct http_request req = HTTP_REQUEST_INIT;

	req.method = method;
	req.url = url;
	req.accept = MANIFEST_ACCEPT;
	req.response_max = REGISTRY_MANIFEST_MAX;
	return call_send(call, &req, err);
}

static int manifest_fetch(struct call *call, const char *name, const char *what,
	char digest[DIGEST_STR_SIZE], struct err *err)
{
	const char *promised;

	if (manifest_request(call, "GET", name, err) < 0)
		return err_wrap(err, "%s", what);
	if (call->resp.status != 200)
		return call_error(call, what, err);
	sha256_buf_str(call->resp.body.buf, call->resp.body.len, digest);
	/*
	 * Asked by digest, the question counts; asked by tag, the header if we know its algorithm
	 * (4.4).
	 */
	promised =
		digest_valid(name) ? name : http_header_first(&call->resp, "docker-content-digest");
	if (promised && digest_valid(promised) && strcmp(promised, digest) != 0)
		return digest_differs(what, promised, digest, err);
	return 0;
}

static char *pull_scope(const struct reference *ref)
{
	return xasprintf("repository:%s:pull", ref->path);
}

int registry_get_manifest(struct registry_client *client, const struct reference *ref,
	const char *tag_or_digest, struct strbuf *ret_body, char **ret_media_type,
	char ret_digest[DIGEST_STR_SIZE], struct err *err)
{
	const char *name = manifest_name(ref, tag_or_digest, err);
	auto_call call = CALL_INIT;
	auto_free char *scope = pull_scope(ref);
	auto_free char *what = NULL;
	char digest[DIGEST_STR_SIZE];

	if (!name)
		return -1;
	what = manifest_what(ref, name);
	if (call_begin(&call, client, ref, scope, err) < 0 ||
		manifest_fetch(&call, name, what, digest, err) < 0)
		return -1;
	strbuf_add(ret_body, call.resp.body.buf, call.resp.body.len);
	*ret_media_type = media_type_of_response(&call.resp);
	memcpy(ret_digest, digest, DIGEST_STR_SIZE);
	return 0;
}

/* Whether the HEAD in call->resp tells all that a GET would: 1 yes, 0 no, -1 and *err. */
static int head_answers(const struct call *call, const char *name, const char *what,
	uint64_t *ret_size, struct err *err)
{
	const char *digest = http_header_first(&call->resp, "docker-content-digest");
	const char *length = http_header_first(&call->resp, "content-length");
	auto_free char *type = media_type_of_response(&call->resp);

	if (call->resp.status == 403 || call->resp.status == 405)
		return 0; /* proxies that know only GET */
	if (call->resp.status != 200)
		return call_error(call, what, err);
	if (!digest || !digest_valid(digest) || !length || !type)
		return 0;
	if (parse_u64(length, 1, REGISTRY_MANIFEST_MAX, ret_size) < 0)
		return 0;
	if (digest_valid(name) && strcmp(name, digest) != 0)
		return digest_differs(what, name, digest, err);
	return 1;
}

int registry_head_manifest(struct registry_client *client, const struct reference *ref,
	const char *tag_or_digest, char **ret_media_type, char ret_digest[DIGEST_STR_SIZE],
	uint64_t *ret_size, struct err *err)
{
	const char *name = manifest_name(ref, tag_or_digest, err);
	auto_call call = CALL_INIT;
	auto_free char *scope = pull_scope(ref);
	auto_free char *what = NULL;
	char digest[DIGEST_STR_SIZE];
	uint64_t size = 0;
	int answered;

	if (!name)
		return -1;
	what = manifest_what(ref, name);
	if (call_begin(&call, client, ref, scope, err) < 0)
		return -1;
	if (manifest_request(&call, "HEAD", name, err) < 0)
		return err_wrap(err, "%s", what);
	answered = head_answers(&call, name, what, &size, err);
	if (answered < 0)
		return -1;
	if (answered) {
		memcpy(digest, http_header_first(&call.resp, "docker-content-digest"),
			DIGEST_STR_SIZE);
	} else {
		if (manifest_fetch(&call, name, what, digest, err) < 0)
			return -1;
		size = call.resp.body.len;
	}
	memcpy(ret_digest, digest, DIGEST_STR_SIZE);
	if (ret_media_type)
		*ret_media_type = media_type_of_response(&call.resp);
	if (ret_size)
		*ret_size = size;
	return 0;
}

/* One blob on its way in; lives through all resumed transfers. */
struct blob_pull {
	const struct descriptor *desc;
	const char *what;
	struct sha256 *hash; /* of the first have bytes */
	uint64_t have;       /* bytes hashed and handed on */
	uint64_t skip;       /* bytes of this response that came before */
	bool no_range;       /* the server got Range wrong once: ask for all, drop what we have */
	bool bad_range;      /* this response was given up for that */
	bool encoded;        /* the server set a Content-Encoding that nobody asked for */
	registry_blob_fn *fn;
	void *arg;
	const struct registry_progress *progress;
};

static int wrong_size(const struct blob_pull *p, uint64_t size, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "%s: the server has %llu bytes, the descriptor says %llu",
		p->what, (unsigned long long)size, (unsigned long long)p->desc->size);
}

static int range_is_bad(struct blob_pull *p, const char *value, struct err *err)
{
	p->bad_range = true;
	return err_set(err, ERR_NETWORK, "%s: asked for the bytes from %llu, got '%.100s'", p->what,
		(unsigned long long)p->have, value ? value : "no Content-Range");
}

/* A part: it must begin where we stopped, of a whole of the right size (4.5). */
static int judge_part(struct blob_pull *p, const struct http_response *resp, struct err *err)
{
	const char *value = http_header_first(resp, "content-range");
	uint64_t first, last, total;

	if (!value || content_range_parse(value, &first, &last, &total) < 0 || first != p->have)
		return range_is_bad(p, value, err);
	if (total != UINT64_MAX && total != p->desc->size)
		return wrong_size(p, total, err);
	if (last >= p->desc->size)
		return wrong_size(p, last + 1, err);
	p->skip = 0;
	return 0;
}

static int blob_head(void *arg, const struct http_response *resp, struct err *err)
{
	struct blob_pull *p = arg;
	const char *length = http_header_first(resp, "content-length");
	const char *encoding = http_header_first(resp, "content-encoding");
	uint64_t size;

	p->encoded = encoding && strcmp(encoding, "identity") != 0;
	if (resp->status == 206)
		return judge_part(p, resp, err);
	p->skip = p->have;
	if (length && !p->encoded && parse_u64(length, 0, UINT64_MAX, &size) == 0 &&
		size != p->desc->size)
		return wrong_size(p, size, err);
	return 0;
}

static int blob_sink(void *arg, const void *data, size_t n, struct err *err)
{
	struct blob_pull *p = arg;
	const char *bytes = data;

	if (p->skip >= n) {
		p->skip -= n;
		return 0;
	}
	bytes += p->skip;
	n -= (size_t)p->skip;
	p->skip = 0;
	if (n > p->desc->size - p->have)
		return err_set(err, ERR_CORRUPT,
			"%s: the server sends more than the %llu bytes of the descriptor", p->what,
			(unsigned long long)p->desc->size);
	if (p->fn(p->arg, bytes, n, err) < 0)
		return -1;
	sha256_add(p->hash, bytes, n);
	p->have += n;
	if (p->progress)
		p->progress->fn(p->progress->arg, p->have, p->desc->size);
	return 0;
}

enum try_result { TRY_DONE, TRY_AGAIN, TRY_FAILED };

/* One transfer. On TRY_AGAIN *err says what was wrong with it, should it be the last. */
static enum try_result blob_try(
	struct call *call, struct blob_pull *p, const char *url, struct err *err)
{
	struct http_request req = HTTP_REQUEST_INIT;
	int rc;

	req.method = "GET";
	req.url = url;
	req.accept = "application/octet-stream, */*";
	req.range_from = p->no_range ? 0 : p->have;
	req.resumes = true;
	req.head = blob_head;
	req.sink = blob_sink;
	req.arg = p;
	p->bad_range = false;
	rc = call_send(call, &req, err);
	if (rc < 0) {
		bool transport = call->resp.failure != HTTP_FAIL_LOCAL &&
				 call->resp.failure != HTTP_FAIL_CERT;

		if (p->bad_range)
			p->no_range = true;
		return err->kind == ERR_NETWORK && (transport || p->bad_range) ? TRY_AGAIN
									       : TRY_FAILED;
	}
	if (call->resp.status == 200 || call->resp.status == 206) {
		if (p->have == p->desc->size)
			return TRY_DONE;
		err_set(err, ERR_CORRUPT, "%s: the transfer ends after %llu of %llu bytes", p->what,
			(unsigned long long)p->have, (unsigned long long)p->desc->size);
		return TRY_AGAIN;
	}
	call_error(call, p->what, err);
	if (call->resp.status != 416)
		return TRY_FAILED;
	p->no_range = true;
	return TRY_AGAIN;
}

/* All transfers that it takes to get every byte once. */
static int blob_transfer(struct call *call, struct blob_pull *p, struct err *err)
{
	auto_free char *url = call_url(call, "blobs", p->desc->digest);
	unsigned base = http_retry_base_ms(call_http(call)), poor = 0;

	for (;;) {
		uint64_t before = p->have, ms;
		struct err failed = ERR_INIT;
		enum try_result result = blob_try(call, p, url, &failed);

		if (result == TRY_DONE)
			return 0;
		poor = p->have - before < POOR_TRY_BYTES ? poor + 1 : 0;
		if (result == TRY_FAILED || poor == POOR_TRIES_MAX) {
			*err = failed;
			/*
			 * What came from our own callbacks and call_error() names the blob already.
			 */
			return call->resp.failure != HTTP_FAIL_NONE &&
					       call->resp.failure != HTTP_FAIL_LOCAL
				       ? err_wrap(err, "%s", p->what)
				       : -1;
		}
		/*
		 * A transfer that got somewhere is taken up soon; one that did not waits as the
		 * table says.
		 */
		ms = p->have > before
			     ? base / 8
			     : http_retry_delay_ms(poor, NULL, 0, base, (uint32_t)clock_mono_ns());
		log_debug("pull: %s broke off at %llu of %llu: %s", p->what,
			(unsigned long long)p->have, (unsigned long long)p->desc->size, failed.msg);
		if (http_wait(call_http(call), ms, err) < 0)
			return -1;
	}
}

/* Transfer and verify. *ret_mismatch: every byte came, and they are the wrong ones. */
static int blob_pull(struct registry_client *client, const struct reference *ref,
	const struct descriptor *desc, registry_blob_fn *fn, void *arg,
	const struct registry_progress *progress, bool *ret_mismatch, struct err *err)
{
	auto_call call = CALL_INIT;
	auto_free char *scope = pull_scope(ref);
	auto_free char *what = xasprintf("blob %s", desc->digest);
	struct blob_pull p = {
		.desc = desc, .what = what, .fn = fn, .arg = arg, .progress = progress
	};
	char digest[DIGEST_STR_SIZE];
	int rc;

	*ret_mismatch = false;
	if (!digest_valid(desc->digest))
		return err_set(err, ERR_UNSUPPORTED, "blob '%s': only sha256 digests are known",
			desc->digest);
	if (call_begin(&call, client, ref, scope, err) < 0)
		return -1;
	p.hash = sha256_new();
	rc = blob_transfer(&call, &p, err);
	sha256_end_str(p.hash, digest);
	sha256_free(p.hash);
	if (rc < 0 || strcmp(digest, desc->digest) == 0)
		return rc;
	*ret_mismatch = true;
	digest_differs(what, desc->digest, digest, err);
	return p.encoded ? err_wrap(err, "the server encoded what it should have sent as it is")
			 : -1;
}

int registry_stream_blob(struct registry_client *client, const struct reference *ref,
	const struct descriptor *desc, registry_blob_fn *fn, void *arg,
	const struct registry_progress *progress, struct err *err)
{
	bool mismatch;

	return blob_pull(client, ref, desc, fn, arg, progress, &mismatch, err);
}

struct file_sink {
	int fd;
	uint64_t offset;
};

static int write_to_file(void *arg, const void *data, size_t n, struct err *err)
{
	struct file_sink *f = arg;
	const char *p = data;

	while (n > 0) {
		ssize_t done = pwrite(f->fd, p, n, (off_t)f->offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(err, "cannot write a blob");
		p += done;
		n -= (size_t)done;
		f->offset += (uint64_t)done;
	}
	return 0;
}

int registry_get_blob(struct registry_client *client, const struct reference *ref,
	const struct descriptor *desc, int out_fd, const struct registry_progress *progress,
	struct err *err)
{
	struct file_sink sink = { .fd = out_fd };
	struct err first = ERR_INIT;
	bool mismatch;

	if (blob_pull(client, ref, desc, write_to_file, &sink, progress, &mismatch, &first) == 0)
		return 0;
	if (!mismatch) {
		*err = first;
		return -1;
	}
	/*
	 * Once more from the start: a proxy may have garbled it (4.5). Same size, so every byte is
	 * overwritten.
	 */
	log_debug("pull: %s; once more", first.msg);
	sink.offset = 0;
	return blob_pull(client, ref, desc, write_to_file, &sink, progress, &mismatch, err);
}
