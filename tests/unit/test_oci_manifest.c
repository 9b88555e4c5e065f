#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/manifest.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define D3 "sha256:3333333333333333333333333333333333333333333333333333333333333333"
#define CONFIG "{\"mediaType\":\"" MEDIA_OCI_CONFIG "\",\"digest\":\"" D1 "\",\"size\":10}"
#define LAYER "{\"mediaType\":\"" MEDIA_OCI_LAYER_ZSTD "\",\"digest\":\"" D2 "\",\"size\":20}"
#define PLAIN                                                                                      \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"config\":" CONFIG         \
	",\"layers\":[" LAYER "]}"

static void assert_refused(
	const char *json, const char *declared, enum err_kind kind, const char *part)
{
	struct manifest m = MANIFEST_INIT;
	struct err e = ERR_INIT;

	if (manifest_parse(json, strlen(json), declared, &m, &e) == 0)
		fail_msg("accepted: %.300s", json);
	assert_int_equal(e.kind, kind);
	if (!strstr(e.msg, part))
		fail_msg("%.300s: message '%s' lacks '%s'", json, e.msg, part);
	assert_null(m.media_type);
}

static void assert_round_trip(const char *json, const char *declared)
{
	struct manifest m = MANIFEST_INIT;
	struct strbuf out = STRBUF_INIT;
	struct err e = ERR_INIT;

	if (manifest_parse(json, strlen(json), declared, &m, &e) < 0)
		fail_msg("%s: %s", json, e.msg);
	manifest_format(&m, &out);
	assert_string_equal(out.buf, json);
	manifest_release(&m);
	strbuf_release(&out);
}

static void manifests_survive_a_round_trip(void **state)
{
	(void)state;
	assert_round_trip(PLAIN, NULL);
	assert_round_trip(PLAIN, MEDIA_OCI_MANIFEST);
	assert_round_trip(PLAIN, "Application/vnd.oci.image.manifest.v1+JSON ; charset=utf-8");
	assert_round_trip("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
			  "\",\"artifactType\":\"a/b\",\"config\":" CONFIG
			  ",\"layers\":[],\"subject\":" LAYER ",\"annotations\":{\"a\":\"b\"}}",
		"text/plain");
}

static void missing_types_are_guessed(void **state)
{
	struct manifest m = MANIFEST_INIT;
	struct err e = ERR_INIT;
	static const char oci[] = "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}";
	static const char docker[] =
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" MEDIA_DOCKER_CONFIG
		"\",\"size\":1,\"digest\":\"" D1 "\"},\"layers\":[]}";

	(void)state;
	assert_int_equal(manifest_parse(oci, strlen(oci), "application/octet-stream", &m, &e), 0);
	assert_string_equal(m.media_type, MEDIA_OCI_MANIFEST);
	manifest_release(&m);
	assert_int_equal(manifest_parse(docker, strlen(docker), NULL, &m, &e), 0);
	assert_string_equal(m.media_type, MEDIA_DOCKER_MANIFEST);
	manifest_release(&m);
	assert_int_equal(manifest_parse(docker, strlen(docker), MEDIA_OCI_MANIFEST, &m, &e), 0);
	assert_string_equal(m.media_type, MEDIA_OCI_MANIFEST);
	manifest_release(&m);
}

/* oci.md 9.1.1 to 9.1.5 */
static void ambiguous_documents_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", NULL, ERR_INPUT,
		"ambiguous");
	assert_refused("{\"schemaVersion\":2,\"manifests\":[],\"config\":" CONFIG ",\"layers\":[]}",
		MEDIA_OCI_MANIFEST, ERR_INPUT, "ambiguous");
	assert_refused("{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"history\":[]}",
		NULL, ERR_INPUT, "ambiguous");
	assert_refused("{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"layers\":[]}",
		NULL, ERR_INPUT, "");
	assert_refused("{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"Layers\":[]}",
		NULL, ERR_INPUT, "ambiguous");
	assert_refused("{\"schemaVersion\":2,\"config\":" CONFIG
		       ",\"layers\":[],\"layer\\u017f\":[]}",
		NULL, ERR_INPUT, "ambiguous");
	assert_refused("{\"schemaVersion\":2,\"config\":" CONFIG ",\"Layers\":[]}",
		MEDIA_OCI_MANIFEST, ERR_INPUT, "'layers' is missing");
	assert_refused(PLAIN, MEDIA_DOCKER_MANIFEST, ERR_INPUT, "contradicts");
	assert_refused(PLAIN, MEDIA_OCI_INDEX, ERR_INPUT, "contradicts");
	assert_refused(PLAIN, "text/html", ERR_INPUT, "contradicts");
	assert_refused("{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, ERR_INPUT, "schema 1");
	assert_refused("{\"schemaVersion\":2,\"fsLayers\":[],\"config\":" CONFIG ",\"layers\":[]}",
		NULL, ERR_INPUT, "schema 1");
	assert_refused("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws", ERR_INPUT,
		"schema 1");
	assert_refused("{\"config\":" CONFIG ",\"layers\":[]}", NULL, ERR_INPUT, "schemaVersion");
	assert_refused("{\"schemaVersion\":2}", NULL, ERR_INPUT, "neither");
	assert_refused("{\"schemaVersion\":2,\"mediaType\":\"application/x\"}", NULL, ERR_INPUT,
		"application/x");
	assert_refused("{\"schemaVersion\":2,\"manifests\":[]}", NULL, ERR_INPUT, "an index where");
	assert_refused("[]", NULL, ERR_INPUT, "not a JSON object");
	assert_refused("<html>", NULL, ERR_INPUT, "");
	assert_refused("", NULL, ERR_INPUT, "");
}

static void one_digest_has_one_size(void **state)
{
	(void)state;
	assert_refused("{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" LAYER
		       ",{\"mediaType\":\"a/b\",\"digest\":\"" D2 "\",\"size\":21}]}",
		NULL, ERR_INPUT, "two sizes");
	assert_refused("{\"schemaVersion\":2,\"config\":" CONFIG
		       ",\"layers\":[{\"mediaType\":\"a/b\",\"digest\":\"" D1 "\",\"size\":21}]}",
		NULL, ERR_INPUT, "two sizes");
	assert_round_trip("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
			  "\",\"config\":" CONFIG ",\"layers\":[" LAYER "," LAYER "]}",
		NULL);
}

static void append_layers(struct strbuf *json, size_t n)
{
	strbuf_reset(json);
	strbuf_puts(json, "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[");
	for (size_t i = 0; i < n; i++)
		strbuf_printf(json, "%s%s", i ? "," : "", LAYER);
	strbuf_puts(json, "]}");
}

/* oci.md 9.1.6, 9.1.7, 9.1.14 */
static void limits_hold(void **state)
{
	struct strbuf json = STRBUF_INIT;
	struct manifest m = MANIFEST_INIT;
	struct err e = ERR_INIT;

	(void)state;
	append_layers(&json, MANIFEST_LAYERS_MAX);
	assert_int_equal(manifest_parse(json.buf, json.len, NULL, &m, &e), 0);
	assert_int_equal(m.nlayers, MANIFEST_LAYERS_MAX);
	manifest_release(&m);
	append_layers(&json, MANIFEST_LAYERS_MAX + 1);
	assert_refused(json.buf, NULL, ERR_INPUT, "513 layers");

	strbuf_reset(&json);
	for (int i = 0; i < 100000; i++)
		strbuf_putc(&json, '[');
	assert_refused(json.buf, NULL, ERR_INPUT, "");
	strbuf_reset(&json);
	for (int i = 0; i < 100000; i++)
		strbuf_puts(&json, "{\"a\":");
	assert_refused(json.buf, NULL, ERR_INPUT, "");

	append_layers(&json, 1);
	while (json.len <= MANIFEST_BYTES_MAX)
		strbuf_puts(
			&json, "                                                                ");
	assert_refused(json.buf, NULL, ERR_INPUT, "more than 4194304");
	strbuf_release(&json);
}

static void layers_can_be_added(void **state)
{
	struct manifest m = MANIFEST_INIT;
	struct descriptor d = DESCRIPTOR_INIT;
	struct strbuf out = STRBUF_INIT;

	(void)state;
	descriptor_set(&m.config, MEDIA_OCI_CONFIG, D1, 10);
	descriptor_set(&d, MEDIA_OCI_LAYER_ZSTD, D2, 20);
	manifest_add_layer(&m, &d);
	descriptor_release(&d);
	manifest_format(&m, &out);
	assert_string_equal(out.buf, PLAIN);
	manifest_release(&m);
	manifest_release(&m);
	strbuf_release(&out);
}

/* oci.md 9.1.23 */
static void only_file_system_layers_make_an_image(void **state)
{
	static const char *const types[] = {"application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
		"application/vnd.erofs.layer.v1",
		"application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/wasm",
		MEDIA_OCI_CONFIG};
	struct manifest m = MANIFEST_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(manifest_parse(PLAIN, strlen(PLAIN), NULL, &m, &e), 0);
	assert_int_equal(manifest_check_image(&m, &e), 0);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		free(m.layers[0].media_type);
		m.layers[0].media_type = strdup(types[i]);
		assert_int_equal(manifest_check_image(&m, &e), -1);
		assert_int_equal(e.kind, ERR_INPUT);
		assert_non_null(strstr(e.msg, types[i]));
	}
	m.nlayers = 0;
	descriptor_release(&m.layers[0]);
	assert_int_equal(manifest_check_image(&m, &e), 0);
	free(m.config.media_type);
	m.config.media_type = strdup("application/vnd.docker.plugin.v1+json");
	assert_int_equal(manifest_check_image(&m, &e), -1);
	assert_non_null(strstr(e.msg, "plugin"));
	manifest_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifests_survive_a_round_trip),
		cmocka_unit_test(missing_types_are_guessed),
		cmocka_unit_test(ambiguous_documents_are_refused),
		cmocka_unit_test(one_digest_has_one_size),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(layers_can_be_added),
		cmocka_unit_test(only_file_system_layers_make_an_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
