#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "oci/descriptor.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define EMPTY "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static int parse(const char *json, struct descriptor *d, struct err *e)
{
	struct doc *doc = doc_parse(json, strlen(json), "test", e);
	int r;

	if (!doc)
		return -1;
	r = descriptor_parse(doc, "x", d, e);
	doc_free(doc);
	return r;
}

static void assert_refused(const char *json, enum err_kind kind, const char *part)
{
	struct descriptor d = DESCRIPTOR_INIT;
	struct err e = ERR_INIT;

	if (parse(json, &d, &e) == 0)
		fail_msg("accepted: %s", json);
	assert_int_equal(e.kind, kind);
	if (!strstr(e.msg, part))
		fail_msg("%s: message '%s' lacks '%s'", json, e.msg, part);
	assert_null(d.media_type);
}

static void assert_round_trip(const char *json, const char *want)
{
	struct descriptor d = DESCRIPTOR_INIT, copy;
	auto_strbuf out = STRBUF_INIT;
	struct err e = ERR_INIT;
	struct doc *doc;

	if (parse(json, &d, &e) < 0)
		fail_msg("%s: %s", json, e.msg);
	descriptor_copy(&d, &copy);
	descriptor_release(&d);
	doc = descriptor_format(&copy);
	doc_format(doc, &out);
	assert_string_equal(out.buf, want);
	doc_free(doc);
	descriptor_release(&copy);
}

static void order_is_that_of_the_table(void **state)
{
	static const char ordered[] =
		"{\"mediaType\":\"a/b\",\"digest\":\"" EMPTY
		"\",\"size\":2,\"urls\":[\"https://h/x\"],"
		"\"annotations\":{\"a\":\"1\",\"b\":\"2\"},\"data\":\"e30=\","
		"\"platform\":{\"architecture\":\"arm64\",\"os\":\"linux\",\"os.version\":\"1\","
		"\"os.features\":[\"f\",\"g\"],\"variant\":\"v8\"},\"artifactType\":\"c/d\"}";

	(void)state;
	assert_round_trip(ordered, ordered);
	assert_round_trip(
		"{\"artifactType\":\"c/"
		"d\",\"platform\":{\"variant\":\"v8\",\"os.features\":[\"f\",\"g\"],"
		"\"os.version\":\"1\",\"os\":\"linux\",\"architecture\":\"arm64\"},\"data\":\"e30="
		"\","
		"\"annotations\":{\"b\":\"2\",\"a\":\"1\"},\"urls\":[\"https://h/x\"],\"size\":2,"
		"\"digest\":\"" EMPTY "\",\"mediaType\":\"a/b\",\"unknown\":[]}",
		ordered);
	assert_round_trip("{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST
			  "\",\"size\":0,\"platform\":null,\"urls\":null}",
		"{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST "\",\"size\":0}");
}

#define WITH(rest) "{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST "\"," rest "}"
#define SIZED(rest) WITH("\"size\":1," rest)

static void required_properties_are_required(void **state)
{
	(void)state;
	assert_refused("[]", ERR_INPUT, "not an object");
	assert_refused("{\"digest\":\"" DIGEST "\",\"size\":1}", ERR_INPUT, "mediaType");
	assert_refused("{\"mediaType\":\"nonsense\",\"digest\":\"" DIGEST "\",\"size\":1}",
		ERR_INPUT, "mediaType");
	assert_refused("{\"mediaType\":\"a/b\",\"size\":1}", ERR_INPUT, "digest");
	assert_refused(WITH("\"x\":1"), ERR_INPUT, "size");
}

/* oci.md 9.1.10 and 9.1.11 */
static void sizes_and_digests_are_strict(void **state)
{
	static const char *const sizes[] = {"-1", "1.0", "1e3", "\"1\"", "true", "[1]"};
	static const char *const digests[] = {"sha256:../../etc/x", "", "sha256:", "sha256",
		"sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
		"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
		"md5:0123456789abcdef0123456789abcdef"};
	char json[512];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(json, sizeof(json), WITH("\"size\":%s"), sizes[i]);
		assert_refused(json, ERR_INPUT, "size");
	}
	assert_refused(WITH("\"size\":9223372036854775808"), ERR_INPUT, "");
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		snprintf(json, sizeof(json), "{\"mediaType\":\"a/b\",\"size\":1,\"digest\":\"%s\"}",
			digests[i]);
		assert_refused(json, ERR_INPUT, "malformed digest");
	}
	snprintf(json, sizeof(json),
		"{\"mediaType\":\"a/b\",\"size\":1,\"digest\":\"sha512:%s%s\"}", &DIGEST[7],
		&DIGEST[7]);
	assert_refused(json, ERR_UNSUPPORTED, "sha512");
	assert_round_trip(
		WITH("\"size\":9223372036854775807"), WITH("\"size\":9223372036854775807"));
}

static void embedded_data_must_be_the_content(void **state)
{
	struct strbuf big = STRBUF_INIT;
	struct err e = ERR_INIT;
	struct descriptor d = DESCRIPTOR_INIT;

	(void)state;
	assert_refused(SIZED("\"data\":\"e30=\""), ERR_CORRUPT, "not the content");
	assert_refused("{\"mediaType\":\"a/b\",\"digest\":\"" EMPTY
		       "\",\"size\":3,\"data\":\"e30=\"}",
		ERR_CORRUPT, "");
	assert_refused("{\"mediaType\":\"a/b\",\"digest\":\"" EMPTY
		       "\",\"size\":2,\"data\":\"e30\"}",
		ERR_INPUT, "base64");
	assert_refused("{\"mediaType\":\"a/b\",\"digest\":\"" EMPTY
		       "\",\"size\":2,\"data\":\"e=0=\"}",
		ERR_INPUT, "base64");
	assert_refused("{\"mediaType\":\"a/b\",\"digest\":\"" EMPTY
		       "\",\"size\":2,\"data\":\"====\"}",
		ERR_INPUT, "");
	assert_refused(SIZED("\"data\":1"), ERR_INPUT, "data");
	strbuf_puts(&big, "{\"mediaType\":\"a/b\",\"digest\":\"" EMPTY "\",\"size\":2,\"data\":\"");
	for (size_t i = 0; i < 100000; i++)
		strbuf_putc(&big, 'A');
	strbuf_puts(&big, "\"}");
	assert_int_equal(parse(big.buf, &d, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.msg, "more than 65536"));
	strbuf_release(&big);
}

static void names_that_differ_in_case_collide(void **state)
{
	(void)state;
	assert_refused(SIZED("\"Size\":2"), ERR_INPUT, "ambiguous");
	assert_refused(SIZED("\"di\\u0047est\":\"x\""), ERR_INPUT, "ambiguous");
	assert_refused(SIZED("\"\\u017fize\":2"), ERR_INPUT, "ambiguous");
	assert_refused(
		SIZED("\"x\":1,\"platform\":{\"os\":\"a\",\"OS\":\"b\",\"architecture\":\"c\"}"),
		ERR_INPUT, "ambiguous");
	/* but the keys of user data may */
	assert_round_trip(SIZED("\"annotations\":{\"K\":\"1\",\"k\":\"2\"}"),
		SIZED("\"annotations\":{\"K\":\"1\",\"k\":\"2\"}"));
}

static void platforms_are_bounded_and_printable(void **state)
{
	(void)state;
	assert_refused(SIZED("\"platform\":{\"os\":\"linux\"}"), ERR_INPUT, "missing");
	assert_refused(SIZED("\"platform\":{\"os\":\"linux\",\"architecture\":1}"), ERR_INPUT,
		"not a string");
	assert_refused(SIZED("\"platform\":{\"os\":\"linux\",\"architecture\":\"a\\u001b[31m\"}"),
		ERR_INPUT, "control");
	assert_refused(SIZED("\"platform\":{\"os\":\"linux\",\"architecture\":"
			     "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"),
		ERR_INPUT, "longer");
	assert_refused(SIZED("\"platform\":{\"os\":\"l\",\"architecture\":\"a\",\"os.features\":["
			     "\"a,b\"]}"),
		ERR_INPUT, "os.features");
	assert_refused(SIZED("\"platform\":[]"), ERR_INPUT, "missing");
}

static void annotations_are_bounded(void **state)
{
	auto_strbuf json = STRBUF_INIT;
	struct descriptor d = DESCRIPTOR_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_refused(SIZED("\"annotations\":{\"a\":1}"), ERR_INPUT, "not a string");
	assert_refused(SIZED("\"annotations\":{\"\":\"x\"}"), ERR_INPUT, "empty name");
	assert_refused(SIZED("\"annotations\":[]"), ERR_INPUT, "not an object");
	for (int limit = ANNOTATIONS_MAX; limit <= ANNOTATIONS_MAX + 1; limit++) {
		strbuf_reset(&json);
		strbuf_puts(&json, "{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST
				   "\",\"size\":1,\"annotations\":{");
		for (int i = 0; i < limit; i++)
			strbuf_printf(&json, "%s\"k%d\":\"v\"", i ? "," : "", (i * 7919) % limit);
		strbuf_puts(&json, "}}");
		assert_int_equal(parse(json.buf, &d, &e), limit > ANNOTATIONS_MAX ? -1 : 0);
		descriptor_release(&d);
	}
	assert_int_equal(e.kind, ERR_INPUT);
}

static void pairs_stay_sorted(void **state)
{
	auto_strv pairs = STRV_INIT;

	(void)state;
	pairs_set(&pairs, "m", "1");
	pairs_set(&pairs, "a", "2");
	pairs_set(&pairs, "z", "3");
	pairs_set(&pairs, "m", "4");
	pairs_set(&pairs, "B", "5");
	assert_int_equal(pairs.len, 8);
	assert_string_equal(pairs.v[0], "B");
	assert_string_equal(pairs.v[2], "a");
	assert_string_equal(pairs_get(&pairs, "m"), "4");
	assert_null(pairs_get(&pairs, "q"));
	pairs_del(&pairs, "q");
	pairs_del(&pairs, "a");
	pairs_del(&pairs, "z");
	assert_int_equal(pairs.len, 4);
	assert_null(pairs.v[4]);
	assert_string_equal(pairs.v[3], "4");
}

static void media_types_have_kinds(void **state)
{
	static const enum media_kind written[] = {MEDIA_INDEX, MEDIA_MANIFEST, MEDIA_CONFIG,
		MEDIA_LAYER_TAR, MEDIA_LAYER_GZIP, MEDIA_LAYER_ZSTD};

	(void)state;
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		for (int docker = 0; docker < 2; docker++) {
			const char *type = media_type_of(written[i], docker);

			assert_int_equal(media_kind(type), written[i]);
			assert_int_equal(media_is_docker(type), docker);
			assert_true(media_type_valid(type));
		}
	}
	assert_null(media_type_of(MEDIA_FOREIGN, false));
	assert_null(media_type_of(MEDIA_OTHER, false));
	assert_int_equal(media_kind("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
		MEDIA_FOREIGN);
	assert_int_equal(media_kind("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
		MEDIA_FOREIGN);
	assert_int_equal(
		media_kind("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), MEDIA_OTHER);
	assert_int_equal(media_kind(NULL), MEDIA_OTHER);
	assert_true(media_is_schema1("application/vnd.docker.distribution.manifest.v1+prettyjws"));
	assert_true(media_is_schema1("application/vnd.docker.distribution.manifest.v1+json"));
	assert_false(media_is_schema1(MEDIA_DOCKER_MANIFEST));
	assert_false(media_type_valid("a"));
	assert_false(media_type_valid("/b"));
	assert_false(media_type_valid("a/"));
	assert_false(media_type_valid("a/b; c=d"));
	assert_false(media_type_valid("+a/b"));
	assert_false(media_type_valid(""));
}

static void referrers_are_recognised(void **state)
{
	struct descriptor d = DESCRIPTOR_INIT;

	(void)state;
	descriptor_of_bytes(&d, MEDIA_OCI_EMPTY, "{}", 2);
	assert_string_equal(d.digest, EMPTY);
	assert_int_equal(d.size, 2);
	assert_false(descriptor_is_referrer(&d));
	pairs_set(&d.annotations, ANNOTATION_REFERENCE_TYPE, "attestation-manifest");
	assert_true(descriptor_is_referrer(&d));
	pairs_del(&d.annotations, ANNOTATION_REFERENCE_TYPE);
	d.has_platform = true;
	memcpy(d.platform.os, "unknown", 8);
	memcpy(d.platform.architecture, "unknown", 8);
	assert_true(descriptor_is_referrer(&d));
	descriptor_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_that_of_the_table),
		cmocka_unit_test(required_properties_are_required),
		cmocka_unit_test(sizes_and_digests_are_strict),
		cmocka_unit_test(embedded_data_must_be_the_content),
		cmocka_unit_test(names_that_differ_in_case_collide),
		cmocka_unit_test(platforms_are_bounded_and_printable),
		cmocka_unit_test(annotations_are_bounded),
		cmocka_unit_test(pairs_stay_sorted),
		cmocka_unit_test(media_types_have_kinds),
		cmocka_unit_test(referrers_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
