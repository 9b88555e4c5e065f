#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/config.h"
#include "oci/descriptor.h"

#define EMPTY_TAR "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
#define MINIMAL(rest)                                                                              \
	"{\"architecture\":\"arm64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_"     \
	"ids\":[]}" rest "}"

static void assert_refused(const char *json, enum err_kind kind, const char *part)
{
	struct image_config c = IMAGE_CONFIG_INIT;
	struct err e = ERR_INIT;

	if (config_parse(json, strlen(json), &c, &e) == 0)
		fail_msg("accepted: %.300s", json);
	assert_int_equal(e.kind, kind);
	if (!strstr(e.msg, part))
		fail_msg("%.300s: message '%s' lacks '%s'", json, e.msg, part);
	assert_null(c.history);
}

static struct image_config parse(const char *json)
{
	struct image_config c = IMAGE_CONFIG_INIT;
	struct err e = ERR_INIT;

	if (config_parse(json, strlen(json), &c, &e) < 0)
		fail_msg("%.300s: %s", json, e.msg);
	return c;
}

static void assert_formats(const struct image_config *c, const char *want)
{
	struct strbuf out = STRBUF_INIT;

	config_format(c, &out);
	assert_string_equal(out.buf, want);
	strbuf_release(&out);
}

static const char full[] =
	"{\"architecture\":\"arm\",\"author\":\"me <me@x> & you\",\"config\":{\"User\":\"1:2\","
	"\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}},\"Env\":[\"PATH=/bin\",\"A=b=c\",\"BARE\"],"
	"\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\",\"\"],\"Volumes\":{\"/data\":{}},\"WorkingDir\":\"/"
	"w\","
	"\"Labels\":{\"B\":\"1\",\"a\":\"\",\"b\":\"\xc3\xa4\"},\"StopSignal\":\"SIGTERM\","
	"\"ArgsEscaped\":true,"
	"\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":1000000000,\"Retries\":3},"
	"\"OnBuild\":[\"RUN "
	"x\"],\"Shell\":[\"/bin/sh\",\"-c\"]},\"created\":\"2026-01-02T03:04:05Z\","
	"\"history\":[{\"created\":\"2026-01-02T03:04:05Z\",\"created_by\":\"RUN "
	"x\",\"author\":\"me\","
	"\"comment\":\"c\"},{\"created_by\":\"CMD\",\"empty_layer\":true}],\"os\":\"linux\",\"os."
	"features\":[\"f\"],"
	"\"os.version\":\"6\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" EMPTY_TAR
	"\"]},\"variant\":\"v7\"}";

static void everything_survives_a_copy_and_a_round_trip(void **state)
{
	struct image_config c = parse(full), copy;

	(void)state;
	config_copy(&c, &copy);
	config_release(&c);
	assert_formats(&copy, full);
	assert_int_equal(copy.env.len, 3);
	assert_string_equal(pairs_get(&copy.labels, "b"), "\xc3\xa4");
	assert_true(copy.entrypoint_set && copy.cmd_set && copy.shell_set && copy.args_escaped);
	assert_int_equal(copy.nhistory, 2);
	assert_string_equal(copy.history[0].author, "me");
	assert_true(copy.history[1].empty_layer);
	config_release(&copy);
	config_release(&copy);
}

static void order_and_unknown_members_of_the_input_do_not_matter(void **state)
{
	struct image_config c = parse(
		"{\"rootfs\":{\"diff_ids\":null,\"type\":\"layers\"},\"os\":\"linux\",\"id\":\"x\","
		"\"config\":{\"Hostname\":\"h\",\"Volumes\":{\"/z\":{},\"/"
		"a\":null},\"Tty\":false,\"Cmd\":null,"
		"\"Entrypoint\":[],\"ExposedPorts\":null,\"Labels\":null,\"WorkingDir\":\"\"},"
		"\"container_config\":{},"
		"\"architecture\":\"amd64\",\"history\":null,\"created\":null}");

	(void)state;
	assert_formats(&c, "{\"architecture\":\"amd64\",\"config\":{\"Volumes\":{\"/a\":{},\"/"
			   "z\":{}}},\"os\":\"linux\","
			   "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}");
	assert_true(c.entrypoint_set);
	assert_false(c.cmd_set);
	assert_true(config_history_fits(&c));
	assert_false(config_history_repair(&c));
	config_release(&c);
}

static void scratch_starts_with_a_path(void **state)
{
	struct platform p = {.os = "linux", .architecture = "arm64", .variant = "v8"};
	struct image_config c;

	(void)state;
	config_init_scratch(&p, &c);
	assert_formats(&c, "{\"architecture\":\"arm64\",\"config\":{\"Env\":[\"PATH=/usr/local/"
			   "sbin:/usr/local/bin:/usr/sbin:"
			   "/usr/bin:/sbin:/bin\"],\"WorkingDir\":\"/"
			   "\"},\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},"
			   "\"variant\":\"v8\"}");
	config_release(&c);
}

static void bytes_that_are_no_utf8_are_replaced_everywhere(void **state)
{
	struct platform p = {.os = "linux", .architecture = "arm64"};
	struct image_config c;
	struct strbuf out = STRBUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	config_init_scratch(&p, &c);
	strv_add(&c.env, "A=\xff");
	pairs_set(&c.labels, "k\xfe", "v\xfd");
	config_set_add(&c.volumes, "/\x80");
	c.cmd_set = true;
	strv_add(&c.cmd, "\xc3(");
	config_history_add(&c, NULL, "RUN \xff", NULL, true);
	config_format(&c, &out);
	config_release(&c);
	assert_int_equal(config_parse(out.buf, out.len, &c, &e), 0);
	assert_string_equal(c.env.v[1], "A=\xef\xbf\xbd");
	assert_string_equal(c.labels.v[0], "k\xef\xbf\xbd");
	assert_string_equal(c.volumes.v[0], "/\xef\xbf\xbd");
	config_release(&c);
	strbuf_release(&out);
}

/* oci.md appendix C.2 */
static void chain_ids(void **state)
{
	struct image_config c = IMAGE_CONFIG_INIT;
	char id[DIGEST_STR_SIZE];

	(void)state;
	for (int i = 0; i < 3; i++)
		strv_add(&c.diff_ids, EMPTY_TAR);
	config_chain_id(&c, 1, id);
	assert_string_equal(id, EMPTY_TAR);
	config_chain_id(&c, 2, id);
	assert_string_equal(
		id, "sha256:170b376f64fb30995c140276be3d71dfb256b308d86183ca3b22aa93a79ad548");
	chain_id_next(id, EMPTY_TAR, id);
	assert_string_equal(
		id, "sha256:7800f80a93336d416612f372faa5f69eb67b353ce6ae9535fa0848f8784c74b1");
	config_release(&c);
}

static void sets_are_sorted_and_unique(void **state)
{
	struct strv set = STRV_INIT;

	(void)state;
	config_set_add(&set, "b");
	config_set_add(&set, "a");
	config_set_add(&set, "c");
	config_set_add(&set, "b");
	assert_int_equal(set.len, 3);
	assert_string_equal(set.v[0], "a");
	assert_string_equal(set.v[2], "c");
	assert_null(set.v[3]);
	strv_release(&set);
}

/* oci.md 1.6 and 9.1.16 */
static void broken_history_is_replaced(void **state)
{
	struct image_config c = parse(full);

	(void)state;
	assert_true(config_history_fits(&c));
	assert_false(config_history_repair(&c));
	strv_add(&c.diff_ids, EMPTY_TAR);
	assert_false(config_history_fits(&c));
	assert_true(config_history_repair(&c));
	assert_true(config_history_fits(&c));
	assert_int_equal(c.nhistory, 2);
	assert_false(c.history[0].empty_layer || c.history[1].empty_layer);
	assert_string_equal(c.history[1].created, "2026-01-02T03:04:05Z");
	config_history_add(&c, NULL, "extra", NULL, false);
	config_history_add(&c, NULL, "extra", NULL, false);
	assert_true(config_history_repair(&c));
	assert_int_equal(c.nhistory, 2);
	config_release(&c);
}

/* oci.md 9.1.15 */
static void layers_and_diff_ids_must_agree(void **state)
{
	struct image_config c = parse(full);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(config_check_layers(&c, 1, &e), 0);
	assert_int_equal(config_check_layers(&c, 0, &e), -1);
	assert_int_equal(config_check_layers(&c, 2, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.msg, "2 layers"));
	config_release(&c);
}

/* oci.md 9.1.9, 9.1.18, 9.1.31 and the types of 1.6 */
static void wrong_types_are_refused(void **state)
{
	(void)state;
	assert_refused("[]", ERR_INPUT, "not an object");
	assert_refused(
		"{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\"}}", ERR_INPUT, "architecture");
	assert_refused("{\"architecture\":\"a\",\"os\":\"linux\"}", ERR_INPUT, "rootfs");
	assert_refused("{\"architecture\":\"a\",\"os\":\"linux\",\"rootfs\":{\"type\":\"x\"}}",
		ERR_INPUT, "rootfs.type");
	assert_refused("{\"architecture\":\"a\",\"os\":\"linux\",\"rootfs\":{}}", ERR_INPUT,
		"rootfs.type");
	assert_refused("{\"architecture\":\"a\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		       "\"diff_ids\":[\"sha256:x\"]}}",
		ERR_INPUT, "malformed digest");
	assert_refused(MINIMAL(",\"config\":[]"), ERR_INPUT, "'config'");
	assert_refused(MINIMAL(",\"config\":{\"Env\":{}}"), ERR_INPUT, "'Env'");
	assert_refused(MINIMAL(",\"config\":{\"Env\":[1]}"), ERR_INPUT, "'Env[0]'");
	assert_refused(MINIMAL(",\"config\":{\"Env\":[\"a\\u0000b\"]}"), ERR_INPUT, "");
	assert_refused(
		MINIMAL(",\"config\":{\"Env\":[],\"env\":[\"A=b\"]}"), ERR_INPUT, "ambiguous");
	assert_refused(MINIMAL(",\"config\":{\"Cmd\":\"sh\"}"), ERR_INPUT, "'Cmd'");
	assert_refused(MINIMAL(",\"config\":{\"User\":0}"), ERR_INPUT, "'User'");
	assert_refused(MINIMAL(",\"config\":{\"Volumes\":[\"/a\"]}"), ERR_INPUT, "'Volumes'");
	assert_refused(MINIMAL(",\"config\":{\"Labels\":{\"a\":null}}"), ERR_INPUT, "'a'");
	assert_refused(MINIMAL(",\"config\":{\"Healthcheck\":[]}"), ERR_INPUT, "Healthcheck");
	assert_refused(
		MINIMAL(",\"config\":{\"Healthcheck\":{\"Interval\":-1}}"), ERR_INPUT, "Interval");
	assert_refused(MINIMAL(",\"config\":{\"Healthcheck\":{\"Timeout\":999999}}"), ERR_INPUT,
		"shorter than 1 ms");
	assert_refused(MINIMAL(",\"config\":{\"Healthcheck\":{\"Interval\":1e30}}"), ERR_INPUT,
		"Interval");
	assert_refused(
		MINIMAL(",\"config\":{\"Healthcheck\":{\"Test\":\"x\"}}"), ERR_INPUT, "Test");
	assert_refused(MINIMAL(",\"history\":{}"), ERR_INPUT, "history");
	assert_refused(MINIMAL(",\"history\":[[]]"), ERR_INPUT, "history[0]");
	assert_refused(MINIMAL(",\"History\":[],\"history\":[]"), ERR_INPUT, "ambiguous");
	assert_refused("\xef\xbb\xbf" MINIMAL(""), ERR_INPUT, "");
	assert_refused(MINIMAL(",\"author\":\"\xff\""), ERR_INPUT, "");
	assert_refused(MINIMAL("") "x", ERR_INPUT, "");
}

static void limits_hold(void **state)
{
	struct strbuf json = STRBUF_INIT;
	struct err e = ERR_INIT;
	struct image_config c = IMAGE_CONFIG_INIT;

	(void)state;
	strbuf_puts(&json, "{\"architecture\":\"a\",\"os\":\"l\",\"rootfs\":{\"type\":\"layers\","
			   "\"diff_ids\":[");
	for (int i = 0; i <= CONFIG_LAYERS_MAX; i++)
		strbuf_puts(&json, i ? ",\"" EMPTY_TAR "\"" : "\"" EMPTY_TAR "\"");
	strbuf_puts(&json, "]}}");
	assert_refused(json.buf, ERR_INPUT, "513 elements");
	strbuf_reset(&json);
	strbuf_puts(&json, MINIMAL(",\"history\":[{}"));
	strbuf_setlen(&json, json.len - 1);
	for (int i = 0; i < CONFIG_HISTORY_MAX; i++)
		strbuf_puts(&json, ",{}");
	strbuf_puts(&json, "]}");
	assert_refused(json.buf, ERR_INPUT, "4097 entries");
	strbuf_reset(&json);
	strbuf_puts(&json, MINIMAL(",\"config\":{\"Volumes\":{\"/\":{}"));
	strbuf_setlen(&json, json.len - 1);
	for (int i = 0; i < CONFIG_LIST_MAX; i++)
		strbuf_printf(&json, ",\"/%d\":{}", i);
	strbuf_puts(&json, "}}}");
	assert_refused(json.buf, ERR_INPUT, "more than 4096 members");
	assert_int_equal(config_parse("", (size_t)CONFIG_BYTES_MAX + 1, &c, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	strbuf_release(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_survives_a_copy_and_a_round_trip),
		cmocka_unit_test(order_and_unknown_members_of_the_input_do_not_matter),
		cmocka_unit_test(scratch_starts_with_a_path),
		cmocka_unit_test(bytes_that_are_no_utf8_are_replaced_everywhere),
		cmocka_unit_test(chain_ids),
		cmocka_unit_test(sets_are_sorted_and_unique),
		cmocka_unit_test(broken_history_is_replaced),
		cmocka_unit_test(layers_and_diff_ids_must_agree),
		cmocka_unit_test(wrong_types_are_refused),
		cmocka_unit_test(limits_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
