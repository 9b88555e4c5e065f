#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/strbuf.h"
#include "sandbox/idmap.h"

static const char *const me[] = { "1000", "ada" };

static size_t parse(const char *text, struct id_range r[IDMAP_RANGES_MAX])
{
	return idmap_parse_subid(text, me, 2, 1000, r);
}

static void takes_lines_by_name_and_by_number(void **state)
{
	struct id_range r[IDMAP_RANGES_MAX];

	(void)state;
	assert_int_equal(parse("bob:100000:65536\nada:165536:65536\n1000:300000:10\n", r), 2);
	assert_int_equal(r[0].inside, 1);
	assert_int_equal(r[0].outside, 165536);
	assert_int_equal(r[0].count, 65536);
	assert_int_equal(r[1].inside, 65537);
	assert_int_equal(r[1].outside, 300000);
	assert_int_equal(r[1].count, 10);
}

static void skips_what_is_malformed(void **state)
{
	static const char *const bad[] = { "ada:1", "ada", "ada:x:1", "ada:1:0", "ada:-1:5", "ada: 1:5",
		"ada:1:5:6", "ada:4294967295:5", "ada:1:99999999999", "#ada:200000:5", "", "ada::", "::" };
	struct id_range r[IDMAP_RANGES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], r), 0);
	assert_int_equal(parse("ada:x:1\nada:200000:5", r), 1);
}

static void skips_ranges_that_overlap_or_hold_the_own_id(void **state)
{
	struct id_range r[IDMAP_RANGES_MAX];

	(void)state;
	assert_int_equal(parse("ada:200000:100\nada:200099:5\nada:900:200\nada:200100:5\n", r), 2);
	assert_int_equal(r[1].outside, 200100);
}

static void takes_no_more_ranges_than_it_has_room_for(void **state)
{
	struct id_range r[IDMAP_RANGES_MAX];
	auto_strbuf text = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < IDMAP_RANGES_MAX + 5; i++)
		strbuf_printf(&text, "ada:%d:5\n", 200000 + 10 * i);
	assert_int_equal(parse(text.buf, r), IDMAP_RANGES_MAX);
}

static void the_single_map_needs_nothing(void **state)
{
	struct idmap map;

	(void)state;
	idmap_single(&map);
	assert_int_equal(map.mode, ISOLATION_SINGLE);
	assert_int_equal(map.nuid, 1);
	assert_int_equal(map.uid[0].inside, 0);
	assert_int_equal(map.uid[0].count, 1);
	assert_string_equal(map.fingerprint, "single");
}

static void names_of_rungs_round_trip(void **state)
{
	struct err err = ERR_INIT;
	enum isolation mode;

	(void)state;
	for (int i = ISOLATION_AUTO; i <= ISOLATION_SINGLE; i++) {
		assert_int_equal(isolation_parse(isolation_name((enum isolation)i), &mode, &err), 0);
		assert_int_equal(mode, i);
	}
	assert_int_equal(isolation_parse("rootful", &mode, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_lines_by_name_and_by_number),
		cmocka_unit_test(skips_what_is_malformed),
		cmocka_unit_test(skips_ranges_that_overlap_or_hold_the_own_id),
		cmocka_unit_test(takes_no_more_ranges_than_it_has_room_for),
		cmocka_unit_test(the_single_map_needs_nothing),
		cmocka_unit_test(names_of_rungs_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
