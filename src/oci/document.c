#include "oci/document.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/strbuf.h"

DEFINE_AUTO(struct doc *, doc_free)

/* Content types with which broken servers deliver everything (oci.md 1.4, arbitration rule 2). */
static const char *const empty_types[] = {
	"text/plain", "application/json", "application/octet-stream", "binary/octet-stream"};

/*
 * The name as a decoder sees it that ignores case the way Go's does: ASCII letters, and the two
 * code points outside ASCII that fold into it, U+017F (long s) and U+212A (Kelvin sign).
 */
static char *fold_name(const char *name)
{
	auto_strbuf sb = STRBUF_INIT;

	for (const char *p = name; *p; p++) {
		if (strncmp(p, "\xc5\xbf", 2) == 0) {
			strbuf_putc(&sb, 's');
			p++;
		} else if (strncmp(p, "\xe2\x84\xaa", 3) == 0) {
			strbuf_putc(&sb, 'k');
			p += 2;
		} else {
			strbuf_putc(&sb, *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p);
		}
	}
	return strbuf_take(&sb);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int document_check_names(const struct doc *d, const char *what, struct err *err)
{
	auto_strv folded = STRV_INIT;
	void *iter = NULL;
	const char *name;
	struct doc *value;

	if (!doc_is_object(d))
		return 0;
	while (doc_each(d, &iter, &name, &value))
		strv_take(&folded, fold_name(name));
	if (folded.len > 1)
		qsort(folded.v, folded.len, sizeof(folded.v[0]), compare_strings);
	for (size_t i = 1; i < folded.len; i++)
		if (strcmp(folded.v[i - 1], folded.v[i]) == 0)
			return err_set(err, ERR_INPUT,
				"%s: two properties differ only in case from '%s': ambiguous "
				"document",
				what, folded.v[i]);
	return 0;
}

int document_get_str(
	const struct doc *d, const char *name, const char *what, char **ret, struct err *err)
{
	const struct doc *value = doc_get(d, name);

	if (value && !doc_is_string(value))
		return err_set(err, ERR_INPUT, "%s: '%s' is not a string", what, name);
	*ret = value ? xstrdup(doc_str(value)) : NULL;
	return 0;
}

int document_get_strv(const struct doc *d, const char *name, const char *what, size_t max,
	struct strv *ret, struct err *err)
{
	const struct doc *list = doc_get(d, name);

	if (!list)
		return 0;
	if (!doc_is_array(list))
		return err_set(err, ERR_INPUT, "%s: '%s' is not an array", what, name);
	if (doc_len(list) > max)
		return err_set(err, ERR_INPUT, "%s: '%s' has %zu elements, more than %zu", what,
			name, doc_len(list), max);
	for (size_t i = 0; i < doc_len(list); i++) {
		const char *s = doc_str(doc_at(list, i));

		if (!s)
			return err_set(
				err, ERR_INPUT, "%s: '%s[%zu]' is not a string", what, name, i);
		strv_add(ret, s);
	}
	return 0;
}

/* Copy a string member into a buffer of fixed size; absent gives "". */
static int get_part(const struct doc *d, const char *name, const char *what, char *out, size_t size,
	struct err *err)
{
	const struct doc *value = doc_get(d, name);
	const char *s = value ? doc_str(value) : "";

	if (!s)
		return err_set(err, ERR_INPUT, "%s: '%s' is not a string", what, name);
	if (strlen(s) >= size)
		return err_set(
			err, ERR_INPUT, "%s: '%s' is longer than %zu bytes", what, name, size - 1);
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(err, ERR_INPUT,
				"%s: '%s' has a blank or a control character: '%s'", what, name, s);
	memcpy(out, s, strlen(s) + 1);
	return 0;
}

static int get_os_features(
	const struct doc *d, const char *what, char *out, size_t size, struct err *err)
{
	auto_strv features = STRV_INIT;
	auto_strbuf joined = STRBUF_INIT;

	if (document_get_strv(d, "os.features", what, size, &features, err) < 0)
		return -1;
	for (size_t i = 0; i < features.len; i++) {
		if (!features.v[i][0] || strpbrk(features.v[i], ", \t\r\n"))
			return err_set(err, ERR_INPUT, "%s: malformed 'os.features[%zu]': '%s'",
				what, i, features.v[i]);
		if (i)
			strbuf_putc(&joined, ',');
		strbuf_puts(&joined, features.v[i]);
	}
	if (joined.len >= size)
		return err_set(err, ERR_INPUT, "%s: 'os.features' are longer than %zu bytes", what,
			size - 1);
	memcpy(out, joined.buf, joined.len + 1);
	return 0;
}

int document_get_platform(
	const struct doc *d, const char *what, struct platform *ret, struct err *err)
{
	struct platform p = {.os = ""};

	if (!doc_get(d, "os") || !doc_get(d, "architecture"))
		return err_set(err, ERR_INPUT, "%s: 'os' or 'architecture' is missing", what);
	if (get_part(d, "os", what, p.os, sizeof(p.os), err) < 0 ||
		get_part(d, "architecture", what, p.architecture, sizeof(p.architecture), err) <
			0 ||
		get_part(d, "variant", what, p.variant, sizeof(p.variant), err) < 0 ||
		get_part(d, "os.version", what, p.os_version, sizeof(p.os_version), err) < 0 ||
		get_os_features(d, what, p.os_features, sizeof(p.os_features), err) < 0)
		return -1;
	*ret = p;
	return 0;
}

struct doc *document_os_features(const struct platform *p)
{
	struct doc *list;

	if (!p->os_features[0])
		return NULL;
	list = doc_array();
	for (const char *s = p->os_features; *s;) {
		size_t n = strcspn(s, ",");
		auto_free char *one = xstrndup(s, n);

		doc_append(list, document_string(one));
		s += n + (s[n] == ',');
	}
	return list;
}

struct doc *document_string(const char *s)
{
	struct doc *d = doc_string(s);

	if (d)
		return d;
	/* Not UTF-8: only doc_set_str() replaces such bytes, so let it do so in an object of no
	 * other use. */
	AUTO(doc_free) struct doc *holder = doc_object();
	doc_set_str(holder, "s", s);
	return doc_copy(doc_get(holder, "s"));
}

struct doc *document_strings(const struct strv *l)
{
	struct doc *list;

	if (!l->len)
		return NULL;
	list = doc_array();
	for (size_t i = 0; i < l->len; i++)
		doc_append(list, document_string(l->v[i]));
	return list;
}

int document_check_digest(const char *digest, const char *what, struct err *err)
{
	static const char sha512[] = "sha512:";

	if (!digest)
		return err_set(err, ERR_INPUT, "%s: 'digest' is missing or not a string", what);
	if (digest_valid(digest))
		return 0;
	if (strncmp(digest, sha512, sizeof(sha512) - 1) == 0 &&
		strspn(digest + sizeof(sha512) - 1, "0123456789abcdef") == 128 &&
		strlen(digest) == sizeof(sha512) - 1 + 128)
		return err_set(err, ERR_UNSUPPORTED,
			"%s: digests of algorithm sha512 are not supported", what);
	return err_set(err, ERR_INPUT,
		"%s: malformed digest '%s': want sha256: and 64 lower-case hex digits", what,
		digest);
}

/* The type without parameters, blanks and capitals; NULL when it says nothing. The caller frees. */
static char *declared_type(const char *s)
{
	size_t n;
	char *type;

	if (!s)
		return NULL;
	s += strspn(s, " \t");
	n = strcspn(s, ";");
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	type = xstrndup(s, n < MEDIA_TYPE_MAX ? n : MEDIA_TYPE_MAX);
	for (char *p = type; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	for (size_t i = 0; i < sizeof(empty_types) / sizeof(empty_types[0]); i++)
		if (strcmp(type, empty_types[i]) == 0)
			*type = '\0';
	if (!*type) {
		free(type);
		return NULL;
	}
	return type;
}

static int check_schema(const struct doc *d, struct err *err)
{
	uint64_t version;

	if (doc_get(d, "fsLayers") ||
		(doc_get_u64(d, "schemaVersion", &version) == 0 && version == 1))
		return err_set(err, ERR_INPUT,
			"schema 1 images are not supported; push the image again with a current "
			"tool");
	if (doc_get(d, "history"))
		return err_set(
			err, ERR_INPUT, "ambiguous document: 'history' in a manifest or index");
	if (doc_get(d, "manifests") && (doc_get(d, "config") || doc_get(d, "layers")))
		return err_set(err, ERR_INPUT,
			"ambiguous document: it has 'manifests' like an index and 'config' or "
			"'layers' like a "
			"manifest");
	if (doc_get_u64(d, "schemaVersion", &version) < 0 || version != 2)
		return err_set(err, ERR_INPUT, "'schemaVersion' is not 2");
	return 0;
}

/* Without any statement of the type, the members decide (oci.md 1.4, arbitration rule 4). */
static const char *guess_type(const struct doc *d)
{
	const struct doc *entries = doc_get(d, "manifests");

	if (doc_is_array(entries))
		return media_is_docker(doc_get_str(doc_at(entries, 0), "mediaType"))
			       ? MEDIA_DOCKER_INDEX
			       : MEDIA_OCI_INDEX;
	if (doc_is_object(doc_get(d, "config")) && doc_is_array(doc_get(d, "layers")))
		return media_is_docker(doc_get_str(doc_get(d, "config"), "mediaType"))
			       ? MEDIA_DOCKER_MANIFEST
			       : MEDIA_OCI_MANIFEST;
	return NULL;
}

static int decide(const struct doc *d, const char *declared, enum media_kind *ret, char **ret_type,
	struct err *err)
{
	auto_free char *stated = NULL;
	const char *type;
	enum media_kind kind;

	if (media_is_schema1(declared))
		return err_set(err, ERR_INPUT,
			"schema 1 images are not supported; push the image again with a current "
			"tool");
	if (!doc_is_object(d))
		return err_set(err, ERR_INPUT, "not a JSON object");
	if (document_check_names(d, "document", err) < 0 || check_schema(d, err) < 0 ||
		document_get_str(d, "mediaType", "document", &stated, err) < 0)
		return -1;
	if (stated && declared && strcmp(stated, declared) != 0)
		return err_set(err, ERR_INPUT,
			"its media type '%s' contradicts '%s', under which it was found", stated,
			declared);
	type = stated ? stated : declared ? declared : guess_type(d);
	kind = media_kind(type);
	if (kind != MEDIA_INDEX && kind != MEDIA_MANIFEST)
		return err_set(err, ERR_INPUT, "neither an image manifest nor an index, but '%s'",
			type ? type : "unknown");
	if (kind == MEDIA_INDEX && !doc_is_array(doc_get(d, "manifests")))
		return err_set(err, ERR_INPUT, "an index without an array 'manifests'");
	if (kind == MEDIA_INDEX && (doc_get(d, "config") || doc_get(d, "layers")))
		return err_set(
			err, ERR_INPUT, "ambiguous document: an index with 'config' or 'layers'");
	if (kind == MEDIA_MANIFEST && doc_get(d, "manifests"))
		return err_set(err, ERR_INPUT, "ambiguous document: a manifest with 'manifests'");
	*ret = kind;
	*ret_type = xstrdup(type);
	return 0;
}

struct doc *document_open(const void *data, size_t n, const char *declared_media_type,
	enum media_kind *ret, char **ret_media_type, struct err *err)
{
	auto_free char *declared = declared_type(declared_media_type);
	AUTO(doc_free) struct doc *d = NULL;

	if (n > MANIFEST_BYTES_MAX) {
		err_set(err, ERR_INPUT, "manifest or index of %zu bytes, more than %d", n,
			MANIFEST_BYTES_MAX);
		return NULL;
	}
	d = doc_parse(data, n, "manifest or index", err);
	if (!d || decide(d, declared, ret, ret_media_type, err) < 0)
		return NULL;
	return take_ptr(d);
}

int document_guess(const void *data, size_t n, const char *declared_media_type,
	enum media_kind *ret, struct err *err)
{
	auto_free char *type = NULL;
	AUTO(doc_free) struct doc *d = document_open(data, n, declared_media_type, ret, &type, err);

	return d ? 0 : -1;
}
