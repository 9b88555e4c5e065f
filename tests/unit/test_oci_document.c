#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "oci/document.h"

static struct doc *parse(const char *json)
{
	struct err e = ERR_INIT;
	struct doc *d = doc_parse(json, strlen(json), "test", &e);

	if (!d)
		fail_msg("%s", e.msg);
	return d;
}

/* oci.md 1.1.2: what a decoder that ignores case takes for one name */
static void folded_names_collide(void **state)
{
	static const struct {
		const char *json;
		int want;
	} cases[] = {
		{"{}", 0},
		{"[]", 0},
		{"{\"a\":1,\"b\":2}", 0},
		{"{\"a\":1,\"A\":2}", -1},
		{"{\"size\":1,\"x\":2,\"\\u017fize\":3}", -1},
		{"{\"k\":1,\"\\u212a\":2}", -1},
		{"{\"\\u212a\":1,\"K\":2}", -1},
		{"{\"\xc3\xa4\":1,\"\xc3\x84\":2}", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct doc *d = parse(cases[i].json);
		struct err e = ERR_INIT;

		assert_int_equal(document_check_names(d, "the thing", &e), cases[i].want);
		if (cases[i].want) {
			assert_int_equal(e.kind, ERR_INPUT);
			assert_non_null(strstr(e.msg, "the thing"));
		}
		doc_free(d);
	}
}

static void members_have_their_types(void **state)
{
	struct doc *d = parse("{\"s\":\"x\",\"n\":null,\"i\":1,\"l\":[\"a\",\"b\"],\"m\":[1]}");
	struct strv list = STRV_INIT;
	struct err e = ERR_INIT;
	char *s = NULL;

	(void)state;
	assert_int_equal(document_get_str(d, "s", "t", &s, &e), 0);
	assert_string_equal(s, "x");
	free(s);
	assert_int_equal(document_get_str(d, "n", "t", &s, &e), 0);
	assert_null(s);
	assert_int_equal(document_get_str(d, "absent", "t", &s, &e), 0);
	assert_null(s);
	assert_int_equal(document_get_str(d, "i", "t", &s, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(document_get_strv(d, "l", "t", 2, &list, &e), 0);
	assert_int_equal(document_get_strv(d, "n", "t", 2, &list, &e), 0);
	assert_int_equal(list.len, 2);
	assert_int_equal(document_get_strv(d, "l", "t", 1, &list, &e), -1);
	assert_int_equal(document_get_strv(d, "m", "t", 2, &list, &e), -1);
	assert_int_equal(document_get_strv(d, "s", "t", 2, &list, &e), -1);
	strv_release(&list);
	doc_free(d);
}

static void digests_are_strict(void **state)
{
	struct err e = ERR_INIT;
	char sha512[7 + 128 + 2] = "sha512:";

	(void)state;
	assert_int_equal(
		document_check_digest(
			"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			"t", &e),
		0);
	assert_int_equal(document_check_digest(NULL, "t", &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	memset(sha512 + 7, 'a', 128);
	assert_int_equal(document_check_digest(sha512, "t", &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	sha512[7 + 128] = '/';
	assert_int_equal(document_check_digest(sha512, "t", &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
}

static void features_become_a_list(void **state)
{
	struct platform p = {.os_features = "a,b+c"};
	struct doc *d = document_os_features(&p);

	(void)state;
	assert_int_equal(doc_len(d), 2);
	assert_string_equal(doc_str(doc_at(d, 1)), "b+c");
	doc_free(d);
	p.os_features[0] = '\0';
	assert_null(document_os_features(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folded_names_collide),
		cmocka_unit_test(members_have_their_types),
		cmocka_unit_test(digests_are_strict),
		cmocka_unit_test(features_become_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
