#include "unit/layer_util.h"

#include "layer/tar_check.h"

#define R(...) raw_add(tar, (struct raw){__VA_ARGS__})

static void sample(struct strbuf *tar)
{
	R(.name = "d/", .type = '5', .mode = 0755);
	raw_pax1(tar, "path", "./d//renamed");
	R(.name = "short", .body = "hello", .mode = 0644);
	raw_pax(tar, 'L', "d/long", 7);
	R(.name = "cut", .type = '2', .link = "x", .gnu = true);
	raw_pax(tar, 'g', "", 0);
	R(.name = "h", .type = '1', .link = "/d/renamed");
	raw_end(tar);
}

/* The members that come when the archive arrives in pieces of step bytes, with their offsets. */
static void members(const struct strbuf *tar, size_t step, struct strbuf *out)
{
	AUTO(tar_check_free) struct tar_check *c = tar_check_new(0);
	struct tree_entry e;
	struct err err = ERR_INIT;

	for (size_t at = 0; at < tar->len; at += step) {
		size_t n = tar->len - at < step ? tar->len - at : step;

		assert_ok(tar_check_feed(c, tar->buf + at, n, &err));
		while (tar_check_next(c, &e))
			strbuf_printf(out, "%s (%s) %llu %llu\n", e.path, tar_check_raw_name(c),
				(unsigned long long)e.offset, (unsigned long long)e.size);
	}
	assert_ok(tar_check_end(c, &err));
	assert_int_equal(tar_check_count(c), 4);
}

static void pieces_make_no_difference(void **state)
{
	static const size_t steps[] = { 1, 7, 511, 512, 513, 100000 };
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	sample(&tar);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		auto_strbuf out = STRBUF_INIT;

		members(&tar, steps[i], &out);
		assert_string_equal(out.buf, "d (d/) 512 0\nd/renamed (./d//renamed) 2048 5\n"
					     "d/long (d/long) 4096 0\nh (h) 5120 0\n");
	}
}

static void ustar_prefix_is_a_part_of_the_name(void **state)
{
	AUTO(tar_check_free) struct tar_check *c = tar_check_new(0);
	unsigned char h[512];
	struct tree_entry e;
	struct err err = ERR_INIT;

	(void)state;
	raw_header(h, &(struct raw){ .name = "name" });
	memcpy(h + 345, "pre/fix", 7);
	raw_checksum(h);
	assert_ok(tar_check_feed(c, h, sizeof(h), &err));
	raw_header(h, &(struct raw){ .name = "name", .gnu = true });
	memcpy(h + 345, "00000000000", 11); /* GNU keeps a time there */
	raw_checksum(h);
	assert_ok(tar_check_feed(c, h, sizeof(h), &err));
	raw_header(h, &(struct raw){ .name = "name", .v7 = true });
	memcpy(h + 345, "whatever", 8);
	raw_checksum(h);
	assert_ok(tar_check_feed(c, h, sizeof(h), &err));
	assert_true(tar_check_next(c, &e));
	assert_string_equal(e.path, "pre/fix/name");
	assert_true(tar_check_next(c, &e));
	assert_string_equal(e.path, "name");
	assert_true(tar_check_next(c, &e));
	assert_string_equal(e.path, "name");
	assert_false(tar_check_next(c, &e));
}

static void checksums_may_be_of_signed_bytes(void **state)
{
	AUTO(tar_check_free) struct tar_check *c = tar_check_new(0);
	unsigned char h[512];
	struct err err = ERR_INIT;
	int sum = 0;

	(void)state;
	raw_header(h, &(struct raw){ .name = "\xe4\xf6\xfc" });
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (signed char)h[i];
	snprintf((char *)h + 148, 7, "%06o", (unsigned)sum & 0777777u);
	assert_ok(tar_check_feed(c, h, sizeof(h), &err));
	h[148] ^= 1;
	assert_refused(tar_check_feed(c, h, sizeof(h), &err), ERR_INPUT);
}

static void names_in_messages_cannot_drive_a_terminal(void **state)
{
	AUTO(tar_check_free) struct tar_check *c = tar_check_new(0);
	unsigned char h[512];
	struct err err;

	(void)state;
	raw_header(h, &(struct raw){ .name = "\x1b[2J/../x" });
	assert_refused(tar_check_feed(c, h, sizeof(h), &err), ERR_INPUT);
	assert_null(strchr(err.msg, '\x1b'));
}

static void data_after_a_hard_link_is_hinted_at(void **state)
{
	AUTO(tar_check_free) struct tar_check *c = tar_check_new(0);
	auto_strbuf bytes = STRBUF_INIT;
	struct strbuf *tar = &bytes;
	struct err err;

	(void)state;
	R(.name = "h", .type = '1', .link = "x", .size = 5);
	raw_body(tar, "hello", 5);
	assert_refused(tar_check_feed(c, tar->buf, tar->len, &err), ERR_INPUT);
	assert_non_null(strstr(err.msg, "hard link"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_make_no_difference),
		cmocka_unit_test(ustar_prefix_is_a_part_of_the_name),
		cmocka_unit_test(checksums_may_be_of_signed_bytes),
		cmocka_unit_test(names_in_messages_cannot_drive_a_terminal),
		cmocka_unit_test(data_after_a_hard_link_is_hinted_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
