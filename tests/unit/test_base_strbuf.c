#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/strbuf.h"

static void an_empty_buffer_is_an_empty_string(void **state)
{
	auto_strbuf sb = STRBUF_INIT;
	char *s;

	(void)state;
	assert_string_equal(sb.buf, "");
	strbuf_reset(&sb);
	strbuf_setlen(&sb, 0);
	s = strbuf_take(&sb);
	assert_string_equal(s, "");
	free(s);
}

static void appends_grow_and_stay_terminated(void **state)
{
	auto_strbuf sb = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		strbuf_putc(&sb, 'a');
		assert_int_equal(sb.buf[sb.len], '\0');
	}
	strbuf_puts(&sb, "bc");
	strbuf_add(&sb, "d\0e", 3);
	strbuf_printf(&sb, "-%d-%s", 42, "x");
	assert_int_equal(sb.len, 10000 + 2 + 3 + 5);
	assert_memory_equal(sb.buf + 10000, "bcd\0e-42-x", 11);
}

static void exactly_max_fits_and_one_more_does_not(void **state)
{
	auto_strbuf sb = STRBUF_INIT_MAX(4);

	(void)state;
	strbuf_puts(&sb, "abc");
	strbuf_putc(&sb, 'd');
	assert_false(sb.overflow);
	strbuf_putc(&sb, 'e');
	assert_true(sb.overflow);
	assert_string_equal(sb.buf, "abcd");
}

static void after_an_overflow_everything_is_dropped(void **state)
{
	auto_strbuf sb = STRBUF_INIT_MAX(4);

	(void)state;
	strbuf_puts(&sb, "ab");
	strbuf_printf(&sb, "%s", "cde");
	assert_true(sb.overflow);
	strbuf_putc(&sb, 'c'); /* would fit, but the text would lie */
	assert_string_equal(sb.buf, "ab");
	strbuf_reset(&sb);
	assert_false(sb.overflow);
	strbuf_puts(&sb, "wxyz");
	assert_string_equal(sb.buf, "wxyz");
}

static void setlen_cuts_and_take_hands_over(void **state)
{
	auto_strbuf sb = STRBUF_INIT;
	char *s;

	(void)state;
	strbuf_puts(&sb, "abcdef");
	strbuf_setlen(&sb, 3);
	assert_string_equal(sb.buf, "abc");
	s = strbuf_take(&sb);
	assert_string_equal(s, "abc");
	assert_int_equal(sb.len, 0);
	assert_string_equal(sb.buf, "");
	strbuf_puts(&sb, "again");
	assert_string_equal(sb.buf, "again");
	free(s);
}

static void arena_memory_is_zeroed_aligned_and_apart(void **state)
{
	struct arena a = ARENA_INIT;
	char *p[2000];

	(void)state;
	for (size_t i = 0; i < 2000; i++) {
		size_t size = i % 97 == 0 ? 40000 : i % 50;

		p[i] = arena_alloc(&a, size);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < size; k++)
			assert_int_equal(p[i][k], 0);
		memset(p[i], (int)i, size);
	}
	for (size_t i = 1; i < 2000; i++) {
		if (i % 97 != 0 && i % 50 != 0)
			assert_int_equal((unsigned char)p[i][i % 50 - 1], i & 255);
	}
	assert_string_equal(arena_strdup(&a, "abc"), "abc");
	assert_string_equal(arena_strndup(&a, "abcdef", 2), "ab");
	assert_string_equal(arena_strndup(&a, "ab", 10), "ab");
	arena_release(&a);
	assert_string_equal(arena_strdup(&a, "usable again"), "usable again");
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_is_an_empty_string),
		cmocka_unit_test(appends_grow_and_stay_terminated),
		cmocka_unit_test(exactly_max_fits_and_one_more_does_not),
		cmocka_unit_test(after_an_overflow_everything_is_dropped),
		cmocka_unit_test(setlen_cuts_and_take_hands_over),
		cmocka_unit_test(arena_memory_is_zeroed_aligned_and_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
