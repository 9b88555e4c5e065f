#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/index.h"

/* A digest that differs in its last two digits. */
static void digest_number(unsigned int n, char out[DIGEST_STR_SIZE])
{
	snprintf(out, DIGEST_STR_SIZE, "sha256:%062x%02x", 0, n & 0xff);
}

static void add(struct image_index *idx, unsigned int n, const char *platform, const char *key,
	const char *value)
{
	struct descriptor d = DESCRIPTOR_INIT;
	char digest[DIGEST_STR_SIZE];
	struct err e = ERR_INIT;
	struct platform host = {.os = "linux"};

	digest_number(n, digest);
	descriptor_set(&d, MEDIA_OCI_MANIFEST, digest, 100);
	if (platform) {
		d.has_platform = true;
		assert_int_equal(platform_parse(platform, &host, &d.platform, &e), 0);
	}
	if (key)
		pairs_set(&d.annotations, key, value);
	index_add(idx, &d);
	descriptor_release(&d);
}

/* The position chosen, or -1 with the message in *e. */
static int choose(const struct image_index *idx, const char *platform, struct err *e)
{
	struct platform want, host = {.os = "linux"};
	size_t i = 12345;

	assert_int_equal(platform_parse(platform, &host, &want, e), 0);
	if (index_choose(idx, &want, &i, e) < 0) {
		assert_int_equal(i, 12345);
		assert_int_equal(e->kind, ERR_NOT_FOUND);
		return -1;
	}
	return (int)i;
}

static void best_platform_then_zstd_then_position(void **state)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	struct err e = ERR_INIT;

	(void)state;
	add(&idx, 0, "linux/arm/v5", NULL, NULL);
	add(&idx, 1, "linux/arm/v6", NULL, NULL);
	add(&idx, 2, "linux/arm/v7", NULL, NULL);
	add(&idx, 3, "linux/arm64", NULL, NULL);
	add(&idx, 4, "linux/arm64/v8", ANNOTATION_ZSTD, "true");
	add(&idx, 5, "linux/arm64", ANNOTATION_ZSTD, "true");
	add(&idx, 6, "linux/arm/v7", ANNOTATION_ZSTD, "false");
	assert_int_equal(choose(&idx, "linux/arm/v7", &e), 2);
	assert_int_equal(choose(&idx, "linux/arm/v8", &e), 2);
	assert_int_equal(choose(&idx, "linux/arm/v6", &e), 1);
	assert_int_equal(choose(&idx, "linux/arm64", &e), 4);
	assert_int_equal(choose(&idx, "linux/amd64", &e), -1);
	index_release(&idx);
}

/* oci.md 9.1.20 */
static void no_match_lists_what_is_offered(void **state)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(choose(&idx, "linux/arm/v6", &e), -1);
	assert_non_null(strstr(e.msg, "index is empty"));
	add(&idx, 0, "unknown/unknown", NULL, NULL);
	assert_int_equal(choose(&idx, "linux/arm/v6", &e), -1);
	add(&idx, 1, "linux/amd64", NULL, NULL);
	add(&idx, 2, "linux/arm/v7", NULL, NULL);
	add(&idx, 3, "linux/arm/v7", NULL, NULL);
	assert_int_equal(choose(&idx, "linux/arm/v6", &e), -1);
	assert_string_equal(e.msg, "no image for linux/arm/v6; offered: linux/amd64, linux/arm/v7");
	index_release(&idx);
}

static void attestations_and_strange_types_are_never_chosen(void **state)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	struct err e = ERR_INIT;

	(void)state;
	add(&idx, 0, "linux/amd64", ANNOTATION_REFERENCE_TYPE, "attestation-manifest");
	add(&idx, 1, "linux/amd64", NULL, NULL);
	free(idx.manifests[1].media_type);
	idx.manifests[1].media_type = xstrdup("application/x-thing");
	assert_int_equal(choose(&idx, "linux/amd64", &e), -1);
	add(&idx, 2, "linux/amd64", NULL, NULL);
	assert_int_equal(choose(&idx, "linux/amd64", &e), 2);
	index_release(&idx);
}

static void one_entry_without_platform_is_the_last_resort(void **state)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	struct err e = ERR_INIT;

	(void)state;
	add(&idx, 0, NULL, NULL, NULL);
	add(&idx, 1, "linux/s390x", NULL, NULL);
	assert_int_equal(choose(&idx, "linux/amd64", &e), 0);
	assert_int_equal(choose(&idx, "linux/s390x", &e), 1);
	add(&idx, 2, NULL, NULL, NULL);
	assert_int_equal(choose(&idx, "linux/amd64", &e), -1);
	index_release(&idx);
}

static void assert_selects(const struct image_index *idx, const char *name, size_t want)
{
	struct err e = ERR_INIT;
	size_t i;

	if (index_select(idx, name, &i, &e) < 0)
		fail_msg("%s: %s", name ? name : "(none)", e.msg);
	assert_int_equal(i, want);
}

static void assert_not_selected(
	const struct image_index *idx, const char *name, enum err_kind kind, const char *part)
{
	struct err e = ERR_INIT;
	size_t i;

	assert_int_equal(index_select(idx, name, &i, &e), -1);
	assert_int_equal(e.kind, kind);
	if (!strstr(e.msg, part))
		fail_msg("message '%s' lacks '%s'", e.msg, part);
}

static void names_select_as_the_layout_rules_say(void **state)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	char digest[1 + DIGEST_STR_SIZE] = "@";

	(void)state;
	assert_not_selected(&idx, NULL, ERR_NOT_FOUND, "no image");
	add(&idx, 0, NULL, ANNOTATION_REF_NAME, "latest");
	assert_selects(&idx, NULL, 0);
	add(&idx, 1, "unknown/unknown", NULL, NULL);
	add(&idx, 2, NULL, ANNOTATION_SUBJECT, "x");
	assert_selects(&idx, NULL, 0);
	add(&idx, 3, NULL, ANNOTATION_IMAGE_NAME, "docker.io/library/app:1");
	assert_selects(&idx, "latest", 0);
	assert_selects(&idx, "app:1", 3);
	assert_selects(&idx, "docker.io/library/app:1", 3);
	digest_number(2, digest + 1);
	assert_selects(&idx, digest, 2);
	assert_selects(&idx, digest + 1, 2);
	assert_not_selected(&idx, NULL, ERR_INPUT, "several images");
	assert_not_selected(&idx, "other", ERR_NOT_FOUND, "latest");
	assert_not_selected(&idx, "NO:T A NAME", ERR_NOT_FOUND, "latest");
	digest_number(77, digest + 1);
	assert_not_selected(&idx, digest, ERR_NOT_FOUND, "");
	index_release(&idx);
}

/* oci.md 9.3.94 */
static void one_name_for_two_digests_is_a_conflict(void **state)
{
	struct image_index idx = IMAGE_INDEX_INIT;

	(void)state;
	add(&idx, 0, NULL, ANNOTATION_REF_NAME, "latest");
	add(&idx, 0, NULL, ANNOTATION_REF_NAME, "latest");
	assert_selects(&idx, "latest", 0);
	add(&idx, 1, NULL, ANNOTATION_REF_NAME, "latest");
	assert_not_selected(&idx, "latest", ERR_INPUT, "several images are called 'latest'");
	index_remove(&idx, 2);
	assert_selects(&idx, "latest", 0);
	index_release(&idx);
}

static void indexes_survive_a_round_trip(void **state)
{
	static const char json[] =
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
		"\",\"artifactType\":\"a/b\",\"manifests\":["
		"{\"mediaType\":\"a/"
		"b\",\"digest\":\"sha256:"
		"1111111111111111111111111111111111111111111111111111111111111111\","
		"\"size\":5,\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":"
		"\"v7\"}}],"
		"\"annotations\":{\"k\":\"v\"}}";
	static const char docker[] =
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_DOCKER_INDEX "\",\"manifests\":[]}";
	struct image_index idx = IMAGE_INDEX_INIT;
	struct strbuf out = STRBUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(index_parse(json, strlen(json), NULL, &idx, &e), 0);
	index_format(&idx, &out);
	assert_string_equal(out.buf, json);
	index_release(&idx);
	strbuf_reset(&out);
	assert_int_equal(index_parse(docker, strlen(docker), MEDIA_DOCKER_INDEX, &idx, &e), 0);
	index_format(&idx, &out);
	assert_string_equal(out.buf, docker);
	index_release(&idx);
	strbuf_release(&out);
}

static void assert_refused(const char *json, const char *declared, const char *part)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(index_parse(json, strlen(json), declared, &idx, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	if (!strstr(e.msg, part))
		fail_msg("message '%s' lacks '%s'", e.msg, part);
	assert_null(idx.media_type);
}

#define ENTRY(size)                                                                                \
	"{\"mediaType\":\"a/b\",\"digest\":\"sha256:"                                              \
	"1111111111111111111111111111111111111111111111111111111111111111\",\"size\":" #size "}"

static void hostile_indexes_are_refused(void **state)
{
	struct strbuf json = STRBUF_INIT;

	(void)state;
	assert_refused("{\"schemaVersion\":2,\"manifests\":[],\"config\":{}}", NULL, "ambiguous");
	assert_refused("{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", MEDIA_OCI_INDEX,
		"ambiguous");
	assert_refused(
		"{\"schemaVersion\":2,\"Manifests\":[]}", MEDIA_OCI_INDEX, "without an array");
	assert_refused(
		"{\"schemaVersion\":2,\"manifests\":{}}", MEDIA_OCI_INDEX, "without an array");
	assert_refused(
		"{\"schemaVersion\":2,\"config\":{},\"layers\":[]}", NULL, "a manifest where");
	assert_refused("{\"schemaVersion\":2,\"manifests\":[" ENTRY(1) "," ENTRY(2) "]}", NULL,
		"two sizes");
	assert_refused("{\"schemaVersion\":2,\"manifests\":[null]}", NULL, "manifests[0]");
	strbuf_puts(&json, "{\"schemaVersion\":2,\"manifests\":[" ENTRY(1));
	for (int i = 0; i < INDEX_ENTRIES_MAX; i++)
		strbuf_puts(&json, "," ENTRY(1));
	strbuf_puts(&json, "]}");
	assert_refused(json.buf, NULL, "1025 entries");
	strbuf_release(&json);
}

static void guesses_name_the_kind(void **state)
{
	static const char json[] = "{\"schemaVersion\":2,\"manifests\":[]}";
	enum media_kind kind = MEDIA_OTHER;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(document_guess(json, strlen(json), "application/json", &kind, &e), 0);
	assert_int_equal(kind, MEDIA_INDEX);
	assert_int_equal(document_guess(json, strlen(json), MEDIA_OCI_MANIFEST, &kind, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(best_platform_then_zstd_then_position),
		cmocka_unit_test(no_match_lists_what_is_offered),
		cmocka_unit_test(attestations_and_strange_types_are_never_chosen),
		cmocka_unit_test(one_entry_without_platform_is_the_last_resort),
		cmocka_unit_test(names_select_as_the_layout_rules_say),
		cmocka_unit_test(one_name_for_two_digests_is_a_conflict),
		cmocka_unit_test(indexes_survive_a_round_trip),
		cmocka_unit_test(hostile_indexes_are_refused),
		cmocka_unit_test(guesses_name_the_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
