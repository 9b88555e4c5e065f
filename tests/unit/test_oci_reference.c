#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "oci/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

static void assert_parses(const char *s, const char *full, const char *familiar)
{
	struct reference ref = REFERENCE_INIT, again = REFERENCE_INIT;
	struct err e = ERR_INIT;
	char *text;

	if (reference_parse(s, &ref, &e) < 0)
		fail_msg("%s: %s", s, e.msg);
	text = reference_format(&ref);
	assert_string_equal(text, full);
	free(text);
	text = reference_familiar(&ref);
	assert_string_equal(text, familiar);
	/* the short form means the same image */
	assert_int_equal(reference_parse(text, &again, &e), 0);
	free(text);
	text = reference_format(&again);
	assert_string_equal(text, full);
	free(text);
	reference_release(&again);
	reference_release(&ref);
}

static void assert_refused(const char *s, enum err_kind kind, const char *part)
{
	struct reference ref = REFERENCE_INIT;
	struct err e = ERR_INIT;

	if (reference_parse(s, &ref, &e) == 0)
		fail_msg("'%s' was accepted", s);
	assert_int_equal(e.kind, kind);
	if (!strstr(e.msg, part))
		fail_msg("'%s': message '%s' lacks '%s'", s, e.msg, part);
	assert_null(ref.domain);
}

/* oci.md appendix C.15 */
static void vectors(void **state)
{
	struct reference ref = REFERENCE_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_parses("a", "docker.io/library/a:latest", "a:latest");
	assert_parses("a/b", "docker.io/a/b:latest", "a/b:latest");
	assert_parses("localhost/a", "localhost/a:latest", "localhost/a:latest");
	assert_parses("h:5000/a:t", "h:5000/a:t", "h:5000/a:t");
	assert_parses("A/b", "A/b:latest", "A/b:latest");
	assert_refused("a/B", ERR_INPUT, "must be lower case");
	assert_parses("[::1]:5000/x@" DIGEST, "[::1]:5000/x@" DIGEST, "[::1]:5000/x@" DIGEST);
	assert_refused(HEX, ERR_INPUT, "image id");
	assert_parses("index.docker.io/a", "docker.io/library/a:latest", "a:latest");
	assert_int_equal(reference_parse("a:t@" DIGEST, &ref, &e), 0);
	assert_string_equal(ref.digest, DIGEST);
	assert_string_equal(ref.tag, "t");
	assert_false(ref.tag_implied);
	reference_release(&ref);
}

static void parts_are_told_apart(void **state)
{
	struct reference ref = REFERENCE_INIT, copy;
	struct err e = ERR_INIT;
	char *text;

	(void)state;
	assert_int_equal(reference_parse("ghcr.io/Org/x", &ref, &e), -1);
	assert_int_equal(reference_parse("ghcr.io/org/x:1.2-a_B", &ref, &e), 0);
	assert_string_equal(ref.domain, "ghcr.io");
	assert_string_equal(ref.path, "org/x");
	assert_string_equal(ref.tag, "1.2-a_B");
	assert_null(ref.digest);
	assert_string_equal(reference_network_host(&ref), "ghcr.io");
	reference_copy(&ref, &copy);
	reference_release(&ref);
	text = reference_repository(&copy);
	assert_string_equal(text, "ghcr.io/org/x");
	free(text);
	reference_release(&copy);

	assert_int_equal(reference_parse("a@" DIGEST, &ref, &e), 0);
	assert_null(ref.tag);
	assert_string_equal(reference_network_host(&ref), "registry-1.docker.io");
	reference_release(&ref);
	assert_int_equal(reference_parse("a", &ref, &e), 0);
	assert_true(ref.tag_implied);
	reference_release(&ref);
	reference_release(&ref);
}

static void path_components_follow_the_grammar(void **state)
{
	(void)state;
	assert_parses("a__b/c--d/e.f/g_h", "docker.io/a__b/c--d/e.f/g_h:latest",
		"a__b/c--d/e.f/g_h:latest");
	/* a first component with a dot would be taken for a domain in the short form */
	assert_parses("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest");
	assert_parses("docker.io/library/a/b:t", "docker.io/library/a/b:t", "library/a/b:t");
	assert_refused("a..b", ERR_INPUT, "no path component");
	assert_refused("a___b", ERR_INPUT, "no path component");
	assert_refused("-a", ERR_INPUT, "no path component");
	assert_refused("a-", ERR_INPUT, "no path component");
	assert_refused("a._b", ERR_INPUT, "no path component");
	assert_refused("x/a//b", ERR_INPUT, "no path component");
	assert_refused("x/", ERR_INPUT, "no path component");
	assert_refused("/x", ERR_INPUT, "no path component");
	assert_refused("../x", ERR_INPUT, "");
	assert_refused("x/../y", ERR_INPUT, "no path component");
	assert_refused("a b", ERR_INPUT, "no path component");
	assert_refused("\xc3\xa4", ERR_INPUT, "no path component");
}

static void domains_follow_the_grammar(void **state)
{
	(void)state;
	assert_parses(
		"my-host.example:1/a", "my-host.example:1/a:latest", "my-host.example:1/a:latest");
	assert_parses("[fe80::1]/a", "[fe80::1]/a:latest", "[fe80::1]/a:latest");
	assert_parses("10.0.0.1:65535/a", "10.0.0.1:65535/a:latest", "10.0.0.1:65535/a:latest");
	assert_refused("localhost:99999/x", ERR_INPUT, "no port");
	assert_refused("h:0/x", ERR_INPUT, "no port");
	assert_refused("h:/x", ERR_INPUT, "no port");
	assert_refused("h:+1/x", ERR_INPUT, "no port");
	assert_refused("h:000001/x", ERR_INPUT, "no port");
	assert_refused("-h.example/x", ERR_INPUT, "no registry host");
	assert_refused("h..example/x", ERR_INPUT, "no registry host");
	assert_refused("h.example./x", ERR_INPUT, "no registry host");
	assert_refused("u:p@h.example/x", ERR_INPUT, "malformed digest");
	assert_refused("[::1/x", ERR_INPUT, "no registry host");
	assert_refused("[::1]x/y", ERR_INPUT, "no registry host");
	assert_refused("[zz]/y", ERR_INPUT, "no registry host");
}

static void tags_and_digests_follow_the_grammar(void **state)
{
	char tag[2 + REFERENCE_TAG_MAX + 2] = "a:";

	(void)state;
	memset(tag + 2, 't', REFERENCE_TAG_MAX);
	tag[2 + REFERENCE_TAG_MAX] = '\0';
	assert_true(reference_tag_valid(tag + 2));
	tag[2 + REFERENCE_TAG_MAX] = 't';
	tag[3 + REFERENCE_TAG_MAX] = '\0';
	assert_refused(tag, ERR_INPUT, "no tag");
	assert_refused("a:", ERR_INPUT, "no tag");
	assert_refused("a:.x", ERR_INPUT, "no tag");
	assert_refused("a:-x", ERR_INPUT, "no tag");
	assert_refused("a:b:c", ERR_INPUT, "no tag");
	assert_refused("[::1]", ERR_INPUT, "no tag");
	assert_refused("a@", ERR_INPUT, "malformed digest");
	assert_refused("a@sha256:abc", ERR_INPUT, "malformed digest");
	assert_refused("a@sha256:../../etc/x", ERR_INPUT, "malformed digest");
	assert_refused("a@SHA256:" HEX, ERR_INPUT, "malformed digest");
	assert_refused("a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
		ERR_INPUT, "malformed digest");
	assert_refused("a@md5:" HEX, ERR_INPUT, "malformed digest");
	assert_refused("a@sha512:" HEX HEX, ERR_UNSUPPORTED, "sha512");
	assert_refused("@" DIGEST, ERR_INPUT, "nothing before");
	assert_refused(":t", ERR_INPUT, "nothing before");
}

static void limits_and_schemes_are_refused(void **state)
{
	static char name[100000];

	(void)state;
	assert_refused("", ERR_INPUT, "empty");
	assert_refused("https://h.example/x", ERR_INPUT, "leave out 'https://'");
	memset(name, 'a', REFERENCE_PATH_MAX + 1);
	name[1] = '/';
	assert_refused(name, ERR_INPUT, "more than 255");
	name[REFERENCE_PATH_MAX] = '\0';
	struct reference ref = REFERENCE_INIT;
	struct err e = ERR_INIT;
	assert_int_equal(reference_parse(name, &ref, &e), 0);
	reference_release(&ref);
	memset(name, 'a', sizeof(name) - 1);
	assert_refused(name, ERR_INPUT, "longer than");
}

static void assert_transport(const char *s, enum transport want, const char *want_rest)
{
	enum transport t;
	struct err e = ERR_INIT;
	char *rest = NULL;

	assert_int_equal(transport_parse(s, &t, &rest, &e), 0);
	assert_int_equal(t, want);
	assert_string_equal(rest, want_rest);
	free(rest);
}

static void transports_are_split_off(void **state)
{
	enum transport t;
	struct err e = ERR_INIT;
	char *rest = NULL;

	(void)state;
	assert_transport("alpine:3", TRANSPORT_REGISTRY, "alpine:3");
	assert_transport("docker://alpine", TRANSPORT_REGISTRY, "alpine");
	assert_transport("docker-image://alpine", TRANSPORT_REGISTRY, "alpine");
	assert_transport("oci:d:n", TRANSPORT_OCI, "d:n");
	assert_transport("oci-layout:///d", TRANSPORT_OCI_LAYOUT, "/d");
	assert_transport("oci-archive:f.tar", TRANSPORT_OCI_ARCHIVE, "f.tar");
	assert_transport("docker-archive:f.tar:x", TRANSPORT_DOCKER_ARCHIVE, "f.tar:x");
	assert_int_equal(transport_parse("http://h/x", &t, &rest, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(transport_parse("docker-daemon:x", &t, &rest, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_int_equal(transport_parse("dir:x", &t, &rest, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_int_equal(transport_parse("oci:", &t, &rest, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_null(rest);
}

static void assert_split(
	enum transport t, const char *rest, const char *path, const char *name, const char *digest)
{
	char *got[3] = {NULL, NULL, NULL};
	const char *want[3] = {path, name, digest};
	struct err e = ERR_INIT;

	assert_int_equal(transport_split(t, rest, &got[0], &got[1], &got[2], &e), 0);
	for (size_t i = 0; i < 3; i++) {
		if (want[i])
			assert_string_equal(got[i], want[i]);
		else
			assert_null(got[i]);
		free(got[i]);
	}
}

static void paths_names_and_digests_are_split(void **state)
{
	char *path = NULL, *name = NULL, *digest = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_split(TRANSPORT_OCI, "dir", "dir", NULL, NULL);
	assert_split(TRANSPORT_OCI, "dir:h.example:5000/x:t", "dir", "h.example:5000/x:t", NULL);
	assert_split(TRANSPORT_OCI, "dir@" DIGEST, "dir", NULL, DIGEST);
	assert_split(TRANSPORT_OCI, "dir:@" DIGEST, "dir", NULL, DIGEST);
	assert_split(TRANSPORT_OCI_ARCHIVE, "a@b/f.tar:x", "a@b/f.tar", "x", NULL);
	assert_split(TRANSPORT_OCI_LAYOUT, "/a:b/dir", "/a:b/dir", NULL, NULL);
	assert_split(TRANSPORT_OCI_LAYOUT, "/a/dir:v1@" DIGEST, "/a/dir", "v1", DIGEST);
	assert_int_equal(transport_split(TRANSPORT_OCI, ":x", &path, &name, &digest, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(transport_split(TRANSPORT_OCI, "d:", &path, &name, &digest, &e), -1);
	assert_int_equal(
		transport_split(TRANSPORT_OCI, "d@sha256:12", &path, &name, &digest, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_null(path);
	assert_null(name);
	assert_null(digest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(parts_are_told_apart),
		cmocka_unit_test(path_components_follow_the_grammar),
		cmocka_unit_test(domains_follow_the_grammar),
		cmocka_unit_test(tags_and_digests_follow_the_grammar),
		cmocka_unit_test(limits_and_schemes_are_refused),
		cmocka_unit_test(transports_are_split_off),
		cmocka_unit_test(paths_names_and_digests_are_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
