#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/wire.h"

/* One of everything. */
static void put_message(struct strbuf *sb)
{
	auto_strv l = STRV_INIT;

	strv_add(&l, "one");
	strv_add(&l, "");
	wire_put_u64(sb, 0x0102030405060708);
	wire_put_bytes(sb, "a\0b", 3);
	wire_put_str(sb, "text");
	wire_put_str(sb, NULL);
	wire_put_strv(sb, &l);
}

/* Read it back, whatever it is; true when it was all of it. */
static bool get_message(const void *data, size_t n)
{
	auto_strv l = STRV_INIT;
	struct wire w;
	size_t len;
	const void *bytes;
	char *text, *none;

	wire_init(&w, data, n);
	wire_get_u64(&w);
	bytes = wire_get_bytes(&w, &len);
	assert_non_null(bytes);
	assert_true(len <= n);
	text = wire_get_str(&w);
	none = wire_get_str(&w);
	assert_non_null(text);
	assert_non_null(none);
	wire_get_strv(&w, &l);
	free(text);
	free(none);
	return wire_done(&w);
}

static void what_was_put_comes_back(void **state)
{
	auto_strbuf sb = STRBUF_INIT;
	auto_strv l = STRV_INIT;
	struct wire w;
	size_t n;
	char *s;

	(void)state;
	put_message(&sb);
	assert_memory_equal(sb.buf, "\x08\x07\x06\x05\x04\x03\x02\x01\x03\0\0\0\0\0\0\0", 16);
	wire_init(&w, sb.buf, sb.len);
	assert_true(wire_get_u64(&w) == 0x0102030405060708);
	assert_memory_equal(wire_get_bytes(&w, &n), "a\0b", 3);
	assert_int_equal(n, 3);
	s = wire_get_str(&w);
	assert_string_equal(s, "text");
	free(s);
	s = wire_get_str(&w);
	assert_string_equal(s, "");
	free(s);
	strv_add(&l, "zero");
	assert_false(wire_done(&w));
	wire_get_strv(&w, &l);
	assert_int_equal(l.len, 3);
	assert_string_equal(l.v[1], "one");
	assert_string_equal(l.v[2], "");
	assert_true(wire_done(&w));
}

static void a_message_cut_anywhere_is_bad(void **state)
{
	auto_strbuf sb = STRBUF_INIT;

	(void)state;
	put_message(&sb);
	assert_true(get_message(sb.buf, sb.len));
	for (size_t n = 0; n < sb.len; n++) {
		/* in memory of its own, so that a sanitizer sees a read past the end */
		void *cut = xmemdup(sb.buf, n);

		assert_false(get_message(cut, n));
		free(cut);
	}
	strbuf_putc(&sb, 'x');
	assert_false(get_message(sb.buf, sb.len)); /* something is left */
}

static void counts_are_never_trusted(void **state)
{
	static const uint64_t counts[] = {17, UINT64_MAX, UINT64_MAX - 7, 1ULL << 63, 1ULL << 32};

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		auto_strbuf sb = STRBUF_INIT;
		auto_strv l = STRV_INIT;
		struct wire w;
		size_t n = 99;
		char *s;

		wire_put_u64(&sb, counts[i]);
		strbuf_add(&sb, "0123456789abcdef", 16);
		wire_init(&w, sb.buf, sb.len);
		assert_string_equal(wire_get_bytes(&w, &n), "");
		assert_int_equal(n, 0);
		assert_true(w.bad);

		wire_init(&w, sb.buf, sb.len);
		s = wire_get_str(&w);
		assert_string_equal(s, "");
		free(s);

		wire_init(&w, sb.buf, sb.len);
		wire_get_strv(&w, &l);
		assert_true(w.bad);
		assert_int_equal(l.len, 0);
	}
}

static void a_string_with_nul_is_bad_and_stays_so(void **state)
{
	auto_strbuf sb = STRBUF_INIT;
	struct wire w;
	char *s;

	(void)state;
	wire_put_bytes(&sb, "a\0b", 3);
	wire_put_u64(&sb, 5);
	wire_init(&w, sb.buf, sb.len);
	s = wire_get_str(&w);
	assert_string_equal(s, "");
	free(s);
	assert_true(w.bad);
	assert_int_equal(wire_get_u64(&w), 0);
	assert_false(wire_done(&w));
}

static void no_bytes_at_all(void **state)
{
	struct wire w;

	(void)state;
	wire_init(&w, NULL, 0);
	assert_true(wire_done(&w));
	assert_int_equal(wire_get_u64(&w), 0);
	assert_false(wire_done(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_comes_back),
		cmocka_unit_test(a_message_cut_anywhere_is_bad),
		cmocka_unit_test(counts_are_never_trusted),
		cmocka_unit_test(a_string_with_nul_is_bad_and_stays_so),
		cmocka_unit_test(no_bytes_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
