#include "unit/layer_util.h"

#include "layer/pax_internal.h"
#include "layer/xattr.h"

static void names_that_are_written(void **state)
{
	(void)state;
	assert_true(xattr_written("security.capability"));
	assert_true(xattr_written("user.a"));
	assert_true(xattr_written("user.overlayed"));
	assert_false(xattr_written("user.overlay.opaque"));
	assert_false(xattr_written("user.fuseoverlayfs.opaque"));
	assert_false(xattr_written("user.containers.override_stat"));
	assert_false(xattr_written("user.rootlesscontainers"));
	assert_false(xattr_written("user.a=b"));
	assert_false(xattr_written("trusted.overlay.opaque"));
	assert_false(xattr_written("security.selinux"));
	assert_false(xattr_written("system.posix_acl_access"));
}

static void names_that_are_applied(void **state)
{
	(void)state;
	assert_true(xattr_applied("security.capability", ENTRY_FILE));
	assert_false(xattr_applied("security.capability", ENTRY_DIR));
	assert_true(xattr_applied("user.a", ENTRY_FILE));
	assert_true(xattr_applied("user.a", ENTRY_DIR));
	assert_false(xattr_applied("user.a", ENTRY_SYMLINK));
	assert_false(xattr_applied("user.", ENTRY_FILE));
	assert_false(xattr_applied("user.overlay.redirect", ENTRY_DIR));
	assert_false(xattr_applied("trusted.overlay.redirect", ENTRY_DIR));
	assert_false(xattr_applied("security.selinux", ENTRY_FILE));
}

static void capabilities_are_checked_and_made_portable(void **state)
{
	/* vector 7: version 2, effective, permitted CAP_NET_RAW */
	static const uint8_t v2[20] = {1, 0, 0, 2, 0, 0x20};
	uint8_t v3[24] = {1, 0, 0, 3, 0, 0x20}, v1[12] = {1, 0, 0, 1}, copy[24];

	(void)state;
	assert_true(xattr_capability_valid(v2, 20));
	assert_true(xattr_capability_valid(v3, 24));
	assert_true(xattr_capability_valid(v1, 12));
	assert_false(xattr_capability_valid(v2, 12));
	assert_false(xattr_capability_valid(v3, 20));
	assert_false(xattr_capability_valid("1234567", 7));
	memcpy(copy, v2, 20);
	assert_int_equal(xattr_capability_to_v2(copy, 20), 20);
	assert_memory_equal(copy, v2, 20);
	memcpy(copy, v3, 24);
	assert_int_equal(xattr_capability_to_v2(copy, 24), 20);
	assert_memory_equal(copy, v2, 20);
	v3[20] = 1; /* another root id */
	assert_int_equal(xattr_capability_to_v2(v3, 24), 0);
	v3[3] = 4;
	assert_int_equal(xattr_capability_to_v2(v3, 24), 0);
}

/* Appendix C, vector 6. */
static void pax_records_count_their_own_length(void **state)
{
	auto_strbuf sb = STRBUF_INIT;
	char value[92];

	(void)state;
	memset(value, 'v', sizeof(value));
	pax_put(&sb, "mtime", "1350244992.023960108", 20);
	assert_string_equal(sb.buf, "30 mtime=1350244992.023960108\n");
	strbuf_reset(&sb);
	pax_put(&sb, "path", "a", 1);
	assert_string_equal(sb.buf, "9 path=a\n");
	strbuf_reset(&sb);
	pax_put(&sb, "SCHILY.xattr.user.a", "1", 1);
	assert_string_equal(sb.buf, "25 SCHILY.xattr.user.a=1\n");
	strbuf_reset(&sb);
	pax_put(&sb, "path", value, 90);
	assert_int_equal(sb.len, 99);
	assert_memory_equal(sb.buf, "99 ", 3);
	strbuf_reset(&sb);
	pax_put(&sb, "path", value, 91);
	assert_int_equal(sb.len, 101);
	assert_memory_equal(sb.buf, "101 ", 4);
}

static void times_are_rounded_down(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
		uint32_t ns;
	} cases[] = {{"5", 5, 0}, {"5.25", 5, 250000000}, {"-1", -1, 0}, {"-1.5", -2, 500000000},
		{"-0.0000000001", -1, 999999999}, {"1.0000000019", 1, 1}, {"0.", 0, 0}};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_strbuf sb = STRBUF_INIT;
		struct pax p = PAX_INIT;

		pax_put(&sb, "mtime", cases[i].text, strlen(cases[i].text));
		assert_ok(pax_parse(&p, sb.buf, sb.len, &err));
		assert_true(p.has_mtime);
		assert_int_equal(p.mtime, cases[i].seconds);
		assert_int_equal(p.mtime_ns, cases[i].ns);
		pax_release(&p);
	}
}

static void empty_values_delete(void **state)
{
	static const char body[] =
		"8 path=\n7 uid=\n25 SCHILY.xattr.user.a=1\n24 SCHILY.xattr.user.a=\n";
	struct pax p = PAX_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(pax_parse(&p, body, strlen(body), &err));
	assert_null(p.path);
	assert_false(p.has_uid);
	assert_int_equal(p.nxattrs, 0);
	pax_release(&p);
}

static void bad_encodings_are_refused(void **state)
{
	static const char *const keys[] = {
		"LIBARCHIVE.xattr.user.%4", "LIBARCHIVE.xattr.user.%zz", "LIBARCHIVE.xattr.%00"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		auto_strbuf sb = STRBUF_INIT;
		struct pax p = PAX_INIT;

		pax_put(&sb, keys[i], "aGk=", 4);
		assert_refused(pax_parse(&p, sb.buf, sb.len, &err), ERR_INPUT);
		pax_release(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_are_written),
		cmocka_unit_test(names_that_are_applied),
		cmocka_unit_test(capabilities_are_checked_and_made_portable),
		cmocka_unit_test(pax_records_count_their_own_length),
		cmocka_unit_test(times_are_rounded_down),
		cmocka_unit_test(empty_values_delete),
		cmocka_unit_test(bad_encodings_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
