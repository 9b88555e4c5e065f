#include "oci/reference.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "oci/document.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Host names have at most 253 bytes (RFC 1035), ports 5 digits, digests 71 bytes. */
#define REFERENCE_MAX                                                                              \
	(253 + 6 + 1 + REFERENCE_PATH_MAX + 1 + REFERENCE_TAG_MAX + 1 + DIGEST_STR_SIZE)
#define HOST_MAX 253
#define IMAGE_ID_LEN 64

#define DEFAULT_NAMESPACE "library/"
#define DOCKER_OLD_DOMAIN "index.docker.io"
#define DOCKER_NETWORK_HOST "registry-1.docker.io"

bool reference_tag_valid(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= REFERENCE_TAG_MAX && *s != '.' && *s != '-' &&
	       strspn(s, LOWER UPPER DIGITS "_.-") == n;
}

/* The separator between two runs of a component: "." "_" "__" or dashes. Returns its length, 0 when
 * it is none. */
static size_t separator(const char *s)
{
	size_t dashes = strspn(s, "-");

	if (dashes)
		return dashes;
	if (*s == '.')
		return 1;
	return *s == '_' ? 1 + (s[1] == '_') : 0;
}

static bool component_valid(const char *s, size_t n)
{
	const char *end = s + n;

	for (;;) {
		size_t run = strspn(s, LOWER DIGITS), sep;

		if (!run || run > (size_t)(end - s))
			return false;
		s += run;
		if (s == end)
			return true;
		sep = separator(s);
		if (!sep || sep >= (size_t)(end - s))
			return false;
		s += sep;
	}
}

static int check_path(const char *path, const char *whole, struct err *err)
{
	size_t n = strlen(path);

	if (strpbrk(path, UPPER))
		return err_set(err, ERR_INPUT,
			"malformed image name '%s': the repository name must be lower case", whole);
	if (n == IMAGE_ID_LEN && strspn(path, DIGITS "abcdef") == n)
		return err_set(err, ERR_INPUT, "'%s' is an image id, not an image name", whole);
	for (const char *s = path;; s++) {
		size_t len = strcspn(s, "/");

		if (!component_valid(s, len))
			return err_set(err, ERR_INPUT,
				"malformed image name '%s': '%.*s' is no path component", whole,
				(int)len, s);
		s += len;
		if (!*s)
			break;
	}
	if (n > REFERENCE_PATH_MAX)
		return err_set(err, ERR_INPUT, "image name of %zu bytes, more than %d", n,
			REFERENCE_PATH_MAX);
	return 0;
}

static bool host_valid(const char *s, size_t n)
{
	const char *end = s + n;

	if (!n || n > HOST_MAX)
		return false;
	if (*s == '[')
		return n > 4 && end[-1] == ']' && memchr(s, ':', n) &&
		       strspn(s + 1, DIGITS "abcdefABCDEF:.") == n - 2;
	while (s < end) {
		size_t label = strspn(s, LOWER UPPER DIGITS "-");

		if (label > (size_t)(end - s))
			label = (size_t)(end - s);
		if (!label || s[0] == '-' || s[label - 1] == '-')
			return false;
		s += label;
		if (s == end)
			return true;
		if (*s++ != '.')
			return false;
	}
	return false; /* a dot at the end */
}

static int check_domain(const char *domain, const char *whole, struct err *err)
{
	const char *bracket = strrchr(domain, ']');
	const char *colon = strchr(bracket ? bracket : domain, ':');
	size_t host = colon ? (size_t)(colon - domain) : strlen(domain);
	uint64_t port;

	if (!host_valid(domain, host))
		return err_set(err, ERR_INPUT,
			"malformed image name '%s': '%s' is no registry host", whole, domain);
	if (colon && (strlen(colon + 1) > 5 || strspn(colon + 1, DIGITS) != strlen(colon + 1) ||
			     parse_u64(colon + 1, 1, UINT16_MAX, &port) < 0))
		return err_set(err, ERR_INPUT, "malformed image name '%s': '%s' is no port", whole,
			colon + 1);
	return 0;
}

/* Whether the first component, n bytes with a slash after them, is a registry. */
static bool looks_like_domain(const char *s, size_t n)
{
	if (n == 9 && strncmp(s, "localhost", n) == 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (s[i] == '.' || s[i] == ':' || s[i] == '[' || isupper((unsigned char)s[i]))
			return true;
	return false;
}

static void split_name(const char *name, struct reference *ref)
{
	const char *slash = strchr(name, '/');

	if (slash && looks_like_domain(name, (size_t)(slash - name))) {
		ref->domain = xstrndup(name, (size_t)(slash - name));
		ref->path = xstrdup(slash + 1);
	} else {
		ref->domain = xstrdup(REFERENCE_DEFAULT_DOMAIN);
		ref->path = xstrdup(name);
	}
	if (strcmp(ref->domain, DOCKER_OLD_DOMAIN) == 0) {
		free(ref->domain);
		ref->domain = xstrdup(REFERENCE_DEFAULT_DOMAIN);
	}
}

static void add_library(struct reference *ref)
{
	char *path;

	if (strcmp(ref->domain, REFERENCE_DEFAULT_DOMAIN) != 0 || strchr(ref->path, '/'))
		return;
	path = xasprintf("%s%s", DEFAULT_NAMESPACE, ref->path);
	free(ref->path);
	ref->path = path;
}

/* Cut "@digest" and ":tag" off name, which is changed. */
static int cut_tail(char *name, const char *whole, struct reference *ref, struct err *err)
{
	char *at = strrchr(name, '@');
	char *slash, *colon;

	if (at) {
		*at = '\0';
		if (document_check_digest(at + 1, "image name", err) < 0)
			return -1;
		ref->digest = xstrdup(at + 1);
	}
	slash = strrchr(name, '/');
	colon = strchr(slash ? slash : name, ':');
	if (colon) {
		*colon = '\0';
		if (!reference_tag_valid(colon + 1))
			return err_set(err, ERR_INPUT, "malformed image name '%s': '%s' is no tag",
				whole, colon + 1);
		ref->tag = xstrdup(colon + 1);
	} else if (!ref->digest) {
		ref->tag = xstrdup(REFERENCE_DEFAULT_TAG);
		ref->tag_implied = true;
	}
	return 0;
}

static int parse_parts(const char *s, struct reference *ref, struct err *err)
{
	auto_free char *name = xstrdup(s);

	if (cut_tail(name, s, ref, err) < 0)
		return -1;
	if (!*name)
		return err_set(err, ERR_INPUT,
			"malformed image name '%s': nothing before the tag or digest", s);
	split_name(name, ref);
	if (check_domain(ref->domain, s, err) < 0 || check_path(ref->path, s, err) < 0)
		return -1;
	add_library(ref);
	if (strlen(ref->path) > REFERENCE_PATH_MAX)
		return err_set(err, ERR_INPUT, "image name of %zu bytes, more than %d",
			strlen(ref->path), REFERENCE_PATH_MAX);
	return 0;
}

int reference_parse(const char *s, struct reference *ret, struct err *err)
{
	struct reference ref = REFERENCE_INIT;

	if (!*s)
		return err_set(err, ERR_INPUT, "empty image name");
	if (strnlen(s, REFERENCE_MAX + 1) > REFERENCE_MAX)
		return err_set(err, ERR_INPUT,
			"malformed image name '%.40s...': longer than %d bytes", s, REFERENCE_MAX);
	if (strstr(s, "://"))
		return err_set(err, ERR_INPUT, "malformed image name '%s': leave out '%.*s://'", s,
			(int)(strstr(s, "://") - s), s);
	if (parse_parts(s, &ref, err) < 0) {
		reference_release(&ref);
		return -1;
	}
	*ret = ref;
	return 0;
}

void reference_release(struct reference *ref)
{
	free(ref->domain);
	free(ref->path);
	free(ref->tag);
	free(ref->digest);
	*ref = (struct reference)REFERENCE_INIT;
}

void reference_copy(const struct reference *ref, struct reference *ret)
{
	*ret = (struct reference){
		.domain = xstrdup(ref->domain),
		.path = xstrdup(ref->path),
		.tag = ref->tag ? xstrdup(ref->tag) : NULL,
		.digest = ref->digest ? xstrdup(ref->digest) : NULL,
		.tag_implied = ref->tag_implied,
	};
}

static char *with_tail(const char *domain, const char *path, const struct reference *ref)
{
	return xasprintf("%s%s%s%s%s%s%s", domain ? domain : "", domain ? "/" : "", path,
		ref->tag ? ":" : "", ref->tag ? ref->tag : "", ref->digest ? "@" : "",
		ref->digest ? ref->digest : "");
}

char *reference_format(const struct reference *ref)
{
	return with_tail(ref->domain, ref->path, ref);
}

char *reference_familiar(const struct reference *ref)
{
	const char *path = ref->path;
	size_t first = strcspn(path, "/");

	if (strcmp(ref->domain, REFERENCE_DEFAULT_DOMAIN) != 0)
		return reference_format(ref);
	if (strncmp(path, DEFAULT_NAMESPACE, sizeof(DEFAULT_NAMESPACE) - 1) == 0 &&
		!strchr(path + first + 1, '/'))
		return with_tail(NULL, path + first + 1, ref);
	/* "docker.io/a.b/c" must keep its domain, or "a.b" would be taken for one */
	if (looks_like_domain(path, first))
		return reference_format(ref);
	return with_tail(NULL, path, ref);
}

char *reference_repository(const struct reference *ref)
{
	return xasprintf("%s/%s", ref->domain, ref->path);
}

const char *reference_network_host(const struct reference *ref)
{
	return strcmp(ref->domain, REFERENCE_DEFAULT_DOMAIN) == 0 ? DOCKER_NETWORK_HOST
								  : ref->domain;
}

static const struct {
	const char *prefix;
	enum transport transport;
} transports[] = {
	{"docker://", TRANSPORT_REGISTRY},
	{"docker-image://", TRANSPORT_REGISTRY},
	{"oci-layout://", TRANSPORT_OCI_LAYOUT},
	{"oci:", TRANSPORT_OCI},
	{"oci-archive:", TRANSPORT_OCI_ARCHIVE},
	{"docker-archive:", TRANSPORT_DOCKER_ARCHIVE},
};

static const char *const foreign_transports[] = {
	"dir:", "docker-daemon:", "containers-storage:", "ostree:", "sif:", "tarball:"};

int transport_parse(const char *s, enum transport *ret, char **ret_rest, struct err *err)
{
	const char *rest = s;
	enum transport t = TRANSPORT_REGISTRY;

	if (strncmp(s, "http://", 7) == 0 || strncmp(s, "https://", 8) == 0)
		return err_set(
			err, ERR_INPUT, "'%s' is a URL, not an image: write it as HOST/NAME", s);
	for (size_t i = 0; i < sizeof(foreign_transports) / sizeof(foreign_transports[0]); i++)
		if (strncmp(s, foreign_transports[i], strlen(foreign_transports[i])) == 0)
			return err_set(
				err, ERR_UNSUPPORTED, "the transport of '%s' is not supported", s);
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		if (strncmp(s, transports[i].prefix, strlen(transports[i].prefix)) == 0) {
			t = transports[i].transport;
			rest = s + strlen(transports[i].prefix);
			break;
		}
	}
	if (!*rest)
		return err_set(err, ERR_INPUT, "'%s' names no image", s);
	*ret = t;
	*ret_rest = xstrdup(rest);
	return 0;
}

int transport_split(enum transport t, const char *rest, char **ret_path, char **ret_name,
	char **ret_digest, struct err *err)
{
	auto_free char *path = xstrdup(rest);
	char *at = strrchr(path, '@'), *digest = NULL, *slash, *colon;

	if (at && strncmp(at + 1, DIGEST_PREFIX, sizeof(DIGEST_PREFIX) - 1) == 0) {
		digest = at + 1;
		*at = '\0';
		if (document_check_digest(digest, rest, err) < 0)
			return -1;
		if (at > path && at[-1] == ':')
			at[-1] = '\0'; /* DIR:@sha256:... */
	}
	slash = t == TRANSPORT_OCI_LAYOUT ? strrchr(path, '/') : NULL;
	colon = t == TRANSPORT_OCI_LAYOUT ? strrchr(slash ? slash : path, ':') : strchr(path, ':');
	if (colon)
		*colon++ = '\0';
	if (!*path)
		return err_set(err, ERR_INPUT, "'%s' has no path", rest);
	if (colon && !*colon)
		return err_set(err, ERR_INPUT, "'%s' has an empty name after the path", rest);
	*ret_name = colon ? xstrdup(colon) : NULL;
	*ret_digest = digest ? xstrdup(digest) : NULL;
	*ret_path = take_ptr(path);
	return 0;
}
