#include "oci/descriptor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "oci/document.h"

static size_t pairs_lookup(const struct strv *pairs, const char *key, bool *ret_found)
{
	size_t low = 0, high = pairs->len / 2;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(pairs->v[2 * mid], key);

		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_found = false;
	return low;
}

const char *pairs_get(const struct strv *pairs, const char *key)
{
	bool found;
	size_t i = pairs_lookup(pairs, key, &found);

	return found ? pairs->v[2 * i + 1] : NULL;
}

void pairs_set(struct strv *pairs, const char *key, const char *value)
{
	bool found;
	size_t i = pairs_lookup(pairs, key, &found);
	size_t tail = pairs->len - 2 * i;

	if (found) {
		free(pairs->v[2 * i + 1]);
		pairs->v[2 * i + 1] = xstrdup(value);
		return;
	}
	strv_add(pairs, key);
	strv_add(pairs, value);
	char *new_key = pairs->v[pairs->len - 2], *new_value = pairs->v[pairs->len - 1];
	memmove(pairs->v + 2 * i + 2, pairs->v + 2 * i, tail * sizeof(pairs->v[0]));
	pairs->v[2 * i] = new_key;
	pairs->v[2 * i + 1] = new_value;
}

void pairs_del(struct strv *pairs, const char *key)
{
	bool found;
	size_t i = pairs_lookup(pairs, key, &found);

	if (!found)
		return;
	free(pairs->v[2 * i]);
	free(pairs->v[2 * i + 1]);
	/* the NULL at the end moves along */
	memmove(pairs->v + 2 * i, pairs->v + 2 * i + 2,
		(pairs->len - 2 * i - 1) * sizeof(pairs->v[0]));
	pairs->len -= 2;
}

int pairs_parse(const struct doc *d, const char *what, struct strv *ret, struct err *err)
{
	void *iter = NULL;
	const char *name;
	struct doc *value;
	size_t bytes = 0;

	if (!d)
		return 0;
	if (!doc_is_object(d))
		return err_set(err, ERR_INPUT, "%s is not an object", what);
	while (doc_each(d, &iter, &name, &value)) {
		const char *s = doc_str(value);

		if (!s)
			return err_set(err, ERR_INPUT, "%s: the value of '%s' is not a string",
				what, name);
		if (!*name)
			return err_set(err, ERR_INPUT, "%s: empty name", what);
		bytes += strlen(name) +
			 strlen(s); /* the document's own limit keeps this from overflowing */
		if (ret->len / 2 >= ANNOTATIONS_MAX || bytes > ANNOTATIONS_BYTES_MAX)
			return err_set(err, ERR_INPUT, "%s: more than %d names or %d bytes", what,
				ANNOTATIONS_MAX, ANNOTATIONS_BYTES_MAX);
		pairs_set(ret, name, s);
	}
	return 0;
}

struct doc *pairs_format(const struct strv *pairs)
{
	struct doc *d;

	if (!pairs->len)
		return NULL;
	d = doc_object();
	for (size_t i = 0; i + 1 < pairs->len; i += 2) {
		/* A name goes the way of a value, so that bytes that are not UTF-8 are replaced in
		 * it too. */
		struct doc *name = document_string(pairs->v[i]);

		doc_set_str(d, doc_str(name), pairs->v[i + 1]);
		doc_free(name);
	}
	return d;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decode padded standard base64 of n characters into out (3 * n / 4 bytes). Returns the bytes, or
 * -1. */
static ssize_t base64_decode(const char *s, size_t n, uint8_t *out)
{
	size_t pad = n && s[n - 1] == '=' ? (n > 1 && s[n - 2] == '=' ? 2 : 1) : 0;
	size_t len = 0;
	uint32_t bits = 0;

	if (n % 4)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int v = i >= n - pad ? 0 : base64_value(s[i]);

		if (v < 0)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 == 3) {
			out[len++] = (uint8_t)(bits >> 16);
			out[len++] = (uint8_t)(bits >> 8);
			out[len++] = (uint8_t)bits;
		}
	}
	return (ssize_t)(len - pad);
}

static int check_data(const struct descriptor *d, const char *what, struct err *err)
{
	size_t n = strlen(d->data);
	char digest[DIGEST_STR_SIZE];
	ssize_t len;

	if (n > (size_t)DESCRIPTOR_DATA_MAX / 3 * 4 + 4)
		return err_set(err, ERR_INPUT, "%s: 'data' holds more than %d bytes", what,
			DESCRIPTOR_DATA_MAX);
	auto_free uint8_t *bytes = xmalloc(n + 1);
	len = base64_decode(d->data, n, bytes);
	if (len < 0)
		return err_set(err, ERR_INPUT, "%s: 'data' is not base64", what);
	sha256_buf_str(bytes, (size_t)len, digest);
	if ((uint64_t)len != d->size || strcmp(digest, d->digest) != 0)
		return err_set(
			err, ERR_CORRUPT, "%s: 'data' is not the content of %s", what, d->digest);
	return 0;
}

static int parse_members(
	const struct doc *d, const char *what, struct descriptor *ret, struct err *err)
{
	const struct doc *platform = doc_get(d, "platform");
	const char *digest = doc_get_str(d, "digest");

	if (document_get_str(d, "mediaType", what, &ret->media_type, err) < 0)
		return -1;
	if (!ret->media_type || !media_type_valid(ret->media_type))
		return err_set(err, ERR_INPUT, "%s: missing or malformed 'mediaType' '%s'", what,
			ret->media_type ? ret->media_type : "");
	if (document_check_digest(digest, what, err) < 0)
		return -1;
	memcpy(ret->digest, digest, strlen(digest) + 1);
	if (doc_get_u64(d, "size", &ret->size) < 0)
		return err_set(
			err, ERR_INPUT, "%s: 'size' is not an integer from 0 to 2^63-1", what);
	if (document_get_strv(d, "urls", what, DESCRIPTOR_URLS_MAX, &ret->urls, err) < 0 ||
		pairs_parse(doc_get(d, "annotations"), what, &ret->annotations, err) < 0 ||
		document_get_str(d, "data", what, &ret->data, err) < 0 ||
		document_get_str(d, "artifactType", what, &ret->artifact_type, err) < 0)
		return -1;
	if (ret->data && check_data(ret, what, err) < 0)
		return -1;
	if (!platform)
		return 0;
	ret->has_platform = true;
	if (document_check_names(platform, what, err) < 0)
		return -1;
	return document_get_platform(platform, what, &ret->platform, err);
}

int descriptor_parse(const struct doc *d, const char *what, struct descriptor *ret, struct err *err)
{
	struct descriptor parsed = DESCRIPTOR_INIT;

	if (!doc_is_object(d))
		return err_set(err, ERR_INPUT, "%s is not an object", what);
	if (document_check_names(d, what, err) < 0)
		return -1;
	if (parse_members(d, what, &parsed, err) < 0) {
		descriptor_release(&parsed);
		return -1;
	}
	*ret = parsed;
	return 0;
}

static struct doc *platform_doc(const struct platform *p)
{
	struct doc *d = doc_object();

	doc_set_str(d, "architecture", p->architecture);
	doc_set_str(d, "os", p->os);
	if (p->os_version[0])
		doc_set_str(d, "os.version", p->os_version);
	doc_set(d, "os.features", document_os_features(p));
	if (p->variant[0])
		doc_set_str(d, "variant", p->variant);
	return d;
}

struct doc *descriptor_format(const struct descriptor *d)
{
	struct doc *out = doc_object();

	doc_set_str(out, "mediaType", d->media_type);
	doc_set_str(out, "digest", d->digest);
	doc_set_int(out, "size", (int64_t)d->size);
	doc_set(out, "urls", document_strings(&d->urls));
	doc_set(out, "annotations", pairs_format(&d->annotations));
	doc_set_str(out, "data", d->data);
	if (d->has_platform)
		doc_set(out, "platform", platform_doc(&d->platform));
	doc_set_str(out, "artifactType", d->artifact_type);
	return out;
}

void descriptor_copy(const struct descriptor *d, struct descriptor *ret)
{
	struct descriptor copy = *d;

	copy.media_type = d->media_type ? xstrdup(d->media_type) : NULL;
	copy.data = d->data ? xstrdup(d->data) : NULL;
	copy.artifact_type = d->artifact_type ? xstrdup(d->artifact_type) : NULL;
	copy.urls = (struct strv)STRV_INIT;
	copy.annotations = (struct strv)STRV_INIT;
	strv_copy(&copy.urls, &d->urls);
	strv_copy(&copy.annotations, &d->annotations);
	*ret = copy;
}

void descriptor_release(struct descriptor *d)
{
	free(d->media_type);
	free(d->data);
	free(d->artifact_type);
	strv_release(&d->urls);
	strv_release(&d->annotations);
	*d = (struct descriptor)DESCRIPTOR_INIT;
}

void descriptor_set(struct descriptor *d, const char *media_type, const char *digest, uint64_t size)
{
	d->media_type = xstrdup(media_type);
	snprintf(d->digest, sizeof(d->digest), "%s", digest);
	d->size = size;
}

void descriptor_of_bytes(struct descriptor *d, const char *media_type, const void *data, size_t n)
{
	char digest[DIGEST_STR_SIZE];

	sha256_buf_str(data, n, digest);
	descriptor_set(d, media_type, digest, n);
}

const char *descriptor_annotation(const struct descriptor *d, const char *key)
{
	return pairs_get(&d->annotations, key);
}

bool descriptor_is_referrer(const struct descriptor *d)
{
	static const char *const signatures[] = {"application/vnd.dev.cosign.",
		"application/vnd.dev.sigstore.", "application/vnd.cncf.notary."};

	if (descriptor_annotation(d, ANNOTATION_SUBJECT) ||
		descriptor_annotation(d, ANNOTATION_REFERENCE_TYPE))
		return true;
	if (d->has_platform && platform_is_unknown(&d->platform))
		return true;
	for (size_t i = 0; d->artifact_type && i < sizeof(signatures) / sizeof(signatures[0]); i++)
		if (strncmp(d->artifact_type, signatures[i], strlen(signatures[i])) == 0)
			return true;
	return false;
}
