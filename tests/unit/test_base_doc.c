#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/doc.h"

DEFINE_AUTO(struct doc *, doc_free)

static struct doc *parse(const char *text)
{
	struct err err = ERR_INIT;
	struct doc *d = doc_parse(text, strlen(text), "test", &err);

	if (!d)
		print_error("%s\n", err.msg);
	assert_non_null(d);
	return d;
}

static void refuse_bytes(const char *text, size_t n, const char *message)
{
	struct err err = ERR_INIT;
	struct doc *d = doc_parse(text, n, "manifest x", &err);

	assert_null(d);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_int_equal(strncmp(err.msg, "manifest x: ", 12), 0);
	if (message && !strstr(err.msg, message))
		print_error("%s\n", err.msg);
	assert_true(!message || strstr(err.msg, message));
}

static void refuse(const char *text, const char *message)
{
	refuse_bytes(text, strlen(text), message);
}

static void malformed_documents_are_refused(void **state)
{
	(void)state;
	refuse_bytes(NULL, 0, "line 1");
	refuse("", "line 1");
	refuse("  \n ", NULL);
	refuse("{", "line 1");
	refuse("{}x", "line 1");
	refuse("{} {}", NULL);
	refuse("[1,]", NULL);
	refuse("{'a':1}", NULL);
	refuse("{\"a\":1,}", NULL);
	refuse("{\"a\":01}", NULL);
	refuse("[NaN]", NULL);
	refuse("[1] // comment", NULL);
	refuse("{\n\"a\": \n  tru}", "line 3");
	refuse("\"text\"", NULL); /* only objects and arrays are documents */
	refuse("[9223372036854775808]", NULL);
	refuse("[1e999]", NULL);
	refuse_bytes("{}\0", 3, NULL);
}

static void bad_text_is_refused(void **state)
{
	(void)state;
	refuse("\xEF\xBB\xBF{}", "byte order mark");
	refuse("[\"\xFF\"]", NULL);
	refuse("[\"\xC0\x80\"]", NULL);
	refuse("[\"\xED\xA0\x80\"]", NULL);
	refuse("[\"\\ud800\"]", NULL);
	refuse("[\"\\udc00\\ud800\"]", NULL);
	refuse("[\"a\\u0000b\"]", NULL);
	refuse("{\"a\\u0000b\":1}", NULL);
	refuse("[\"a\nb\"]", NULL);
	refuse_bytes("[\"a\0b\"]", 7, NULL);
}

static void messages_do_not_reach_the_terminal_raw(void **state)
{
	struct err err = ERR_INIT;
	static const char text[] = "[\x1b[31m";

	(void)state;
	assert_null(doc_parse(text, strlen(text), "test", &err));
	assert_null(strchr(err.msg, 0x1b));
}

static void duplicate_names_are_refused(void **state)
{
	AUTO(doc_free) struct doc *d = NULL;

	(void)state;
	refuse("{\"a\":1,\"b\":2,\"a\":1}", "duplicate");
	refuse("{\"x\":[{\"a\":1,\"\\u0061\":2}]}", "duplicate");
	/* not byte-identical: for other code to judge */
	d = parse("{\"layers\":1,\"Layers\":2}");
	assert_true(doc_is_int(doc_get(d, "Layers")));
}

static void depth_is_limited(void **state)
{
	char text[2 * 5000 + 1];
	AUTO(doc_free) struct doc *d = NULL;
	AUTO(doc_free) struct doc *quoted = NULL;

	(void)state;
	memset(text, '[', DOC_DEPTH_MAX);
	memset(text + DOC_DEPTH_MAX, ']', DOC_DEPTH_MAX);
	text[2 * DOC_DEPTH_MAX] = '\0';
	d = parse(text);

	memset(text, '[', DOC_DEPTH_MAX + 1);
	memset(text + DOC_DEPTH_MAX + 1, ']', DOC_DEPTH_MAX + 1);
	text[2 * (DOC_DEPTH_MAX + 1)] = '\0';
	refuse(text, "line 1, column 65: nested deeper than 64");

	memset(text, '[', 5000);
	text[5000] = '\0';
	refuse(text, "nested");
	for (size_t i = 0; i + 6 < sizeof(text); i += 5)
		memcpy(text + i, "{\"a\":", 6);
	refuse(text, "nested");

	/* brackets in strings do not count, whatever is escaped in there */
	memset(text, '[', 5000);
	memcpy(text, "[\"\\\\\\\"", 6);
	memcpy(text + 4000, "\"]", 3);
	quoted = parse(text);
	assert_int_equal(doc_len(quoted), 1);

	/* brackets that do not match are no way around */
	for (size_t i = 0; i < 200; i++)
		text[i] = i % 2 ? '}' : '[';
	text[200] = '\0';
	refuse(text, NULL);
	refuse("]]]]", NULL);
	refuse("[\"abc\\", NULL);
	refuse("[\"abc", NULL);
}

static void values_are_typed(void **state)
{
	AUTO(doc_free)
	struct doc *d = parse("{\"s\":\"text\",\"i\":5,\"neg\":-1,\"r\":1.0,\"e\":1e3,\"t\":true,"
			      "\"f\":false,\"n\":null,\"a\":[1,\"b\",null],\"o\":{},"
			      "\"max\":9223372036854775807,\"num\":\"5\"}");
	uint64_t v = 7;

	(void)state;
	assert_true(doc_is_object(d));
	assert_false(doc_is_object(NULL));
	assert_true(doc_is_array(doc_get(d, "a")));
	assert_true(doc_is_string(doc_get(d, "s")));
	assert_false(doc_is_int(doc_get(d, "r")));
	assert_string_equal(doc_get_str(d, "s"), "text");
	assert_null(doc_get_str(d, "i"));
	assert_null(doc_get_str(d, "absent"));
	assert_null(doc_get_str(NULL, "s"));
	assert_null(doc_get(d, "n")); /* null is as good as absent */
	assert_null(doc_get(d, "S"));
	assert_null(doc_get(doc_get(d, "a"), "s"));

	assert_int_equal(doc_get_u64(d, "neg", &v), -1);
	assert_int_equal(doc_get_u64(d, "r", &v), -1);
	assert_int_equal(doc_get_u64(d, "e", &v), -1);
	assert_int_equal(doc_get_u64(d, "num", &v), -1);
	assert_int_equal(doc_get_u64(d, "absent", &v), -1);
	assert_int_equal(doc_get_u64(NULL, "i", &v), -1);
	assert_int_equal(v, 7);
	assert_int_equal(doc_get_u64(d, "i", &v), 0);
	assert_int_equal(v, 5);
	assert_int_equal(doc_get_u64(d, "max", &v), 0);
	assert_true(v == INT64_MAX);

	assert_true(doc_get_bool(d, "t"));
	assert_false(doc_get_bool(d, "f"));
	assert_false(doc_get_bool(d, "i"));
	assert_int_equal(doc_len(doc_get(d, "a")), 3);
	assert_int_equal(doc_len(d), 0);
	assert_int_equal(doc_len(NULL), 0);
	assert_string_equal(doc_str(doc_at(doc_get(d, "a"), 1)), "b");
	assert_null(doc_at(doc_get(d, "a"), 3));
	assert_null(doc_at(NULL, 0));
}

static void members_come_in_document_order(void **state)
{
	AUTO(doc_free) struct doc *d = parse("{\"z\":1,\"a\":2,\"m\":3}");
	const char *name;
	struct doc *value;
	void *iter = NULL;
	char names[8] = "";
	size_t n = 0;

	(void)state;
	while (doc_each(d, &iter, &name, &value)) {
		assert_true(doc_is_int(value));
		names[n++] = name[0];
	}
	assert_string_equal(names, "zam");
	iter = NULL;
	assert_false(doc_each(NULL, &iter, &name, &value));
}

static void writing_is_compact_and_in_insertion_order(void **state)
{
	AUTO(doc_free) struct doc *d = doc_object();
	AUTO(doc_free) struct doc *copy = NULL;
	auto_strbuf sb = STRBUF_INIT;
	struct doc *list = doc_array();

	(void)state;
	doc_set_int(d, "schemaVersion", 1);
	doc_set_str(d, "z", "h\xC3\xA9<>&/");
	doc_set_str(d, "ctl", "\"\\\b\f\n\r\t\x01\x7f");
	doc_set_str(d, "none", NULL);
	doc_set(d, "none", NULL);
	doc_set(d, "list", list);
	doc_append(list, doc_string("a"));
	doc_append(list, doc_bool(true));
	doc_append(list, NULL);
	doc_append(list, doc_object());
	doc_set_int(d, "schemaVersion", 2); /* keeps its place */
	doc_set_int(d, "gone", 1);
	doc_del(d, "gone");
	doc_del(d, "never there");
	doc_format(d, &sb);
	assert_string_equal(sb.buf, "{\"schemaVersion\":2,\"z\":\"h\xC3\xA9<>&/\","
				    "\"ctl\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f\","
				    "\"list\":[\"a\",true,{}]}");

	copy = doc_copy(d);
	doc_del(copy, "list");
	doc_del(copy, "ctl");
	strbuf_reset(&sb);
	doc_format_pretty(copy, &sb);
	assert_string_equal(sb.buf, "{\n  \"schemaVersion\": 2,\n  \"z\": \"h\xC3\xA9<>&/\"\n}");
	assert_true(doc_is_array(doc_get(d, "list")));
	assert_null(doc_copy(NULL));
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
	AUTO(doc_free) struct doc *d = doc_object();
	auto_strbuf sb = STRBUF_INIT;

	(void)state;
	assert_null(doc_string("\xFF"));
	doc_set_str(d, "a", "x\xFF\xC3(\xE2\x82\xED\xA0\x80");
	doc_set_str(d, "k\xFE", "v");
	doc_format(d, &sb);
	assert_string_equal(sb.buf, "{\"a\":\"x\uFFFD\uFFFD(\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\","
				    "\"k\uFFFD\":\"v\"}");
}

static void what_was_written_is_read_back(void **state)
{
	static const char text[] = "{\"a\":[{\"b\":-5,\"c\":\"\\u001f\"},[],null,false]}";
	AUTO(doc_free) struct doc *d = parse(text);
	auto_strbuf sb = STRBUF_INIT;

	(void)state;
	doc_format(d, &sb);
	assert_int_equal(sb.len, strlen(text));
	assert_int_equal(strncasecmp(sb.buf, text, sb.len), 0);
	strbuf_reset(&sb);
	doc_format(doc_at(doc_get(d, "a"), 3), &sb); /* any value can be written */
	assert_string_equal(sb.buf, "false");
	doc_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_documents_are_refused),
		cmocka_unit_test(bad_text_is_refused),
		cmocka_unit_test(messages_do_not_reach_the_terminal_raw),
		cmocka_unit_test(duplicate_names_are_refused),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(values_are_typed),
		cmocka_unit_test(members_come_in_document_order),
		cmocka_unit_test(writing_is_compact_and_in_insertion_order),
		cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
		cmocka_unit_test(what_was_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
