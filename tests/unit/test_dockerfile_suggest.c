#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "dockerfile/suggest.h"

static const char *const options[] = {"mount", "network", "security", "device", "moon"};

static const char *find(const char *value)
{
	return suggest_find(value, options, 5, false);
}

static void finds_the_nearest_below_three(void **state)
{
	(void)state;
	assert_string_equal(find("mont"), "mount");
	assert_string_equal(find("mou"), "mount");
	assert_string_equal(find("monut"), "mount"); /* two edits, as is moon: the first wins */
	assert_string_equal(find("xnetworkx"), "network");
	assert_string_equal(find("curity"), "security");
	assert_null(find("urity"));
	assert_null(find("xxnetworkx"));
	assert_null(find(""));
	assert_null(find("DEVICE"));
}

static void says_nothing_for_a_known_name(void **state)
{
	(void)state;
	assert_null(find("mount"));
	assert_null(suggest_find("MOUNT", options, 5, true));
	assert_null(suggest_find("x", NULL, 0, false));
}

/* The plain algorithm, to compare with. */
static unsigned plain_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned d[16][16];

	for (size_t i = 0; i <= n; i++) {
		for (size_t j = 0; j <= m; j++) {
			unsigned best = (unsigned)(i + j);

			if (i > 0 && j > 0) {
				best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
				best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
				best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
			}
			d[i][j] = best;
		}
	}
	return d[n][m];
}

static void agrees_with_the_plain_algorithm(void **state)
{
	char words[2][8];

	(void)state;
	for (unsigned seed = 0; seed < 40000; seed++) {
		unsigned r = seed * 2654435761u;
		const char *option = words[1], *found;
		unsigned d;

		for (int w = 0; w < 2; w++) {
			size_t n = r % 8;

			for (size_t i = 0; i < n; i++) {
				r = r * 1103515245u + 12345u;
				words[w][i] = (char)('a' + (r >> 16) % 3);
			}
			words[w][n < 8 ? n : 7] = '\0';
			r = r * 1103515245u + 12345u;
			r >>= 3;
		}
		d = plain_distance(words[0], words[1]);
		found = suggest_find(words[0], &option, 1, false);
		if ((found != NULL) != (d > 0 && d < 3))
			fail_msg("'%s' '%s': distance %u", words[0], words[1], d);
	}
}

static void takes_the_case_of_the_user(void **state)
{
	static const char *const names[] = {"ENTRYPOINT", "FROM"};
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_DOCKERFILE, "a");
	assert_int_equal(suggest_append(&err, "entryponit", names, 2, true), -1);
	assert_string_equal(err.msg, "a (did you mean entrypoint?)");
	err_set(&err, ERR_DOCKERFILE, "a");
	suggest_append(&err, "ENTRYPONIT", names, 2, true);
	assert_string_equal(err.msg, "a (did you mean ENTRYPOINT?)");
	err_set(&err, ERR_DOCKERFILE, "a");
	suggest_append(&err, "Fron", names, 2, true);
	assert_string_equal(err.msg, "a (did you mean FROM?)");
	err_set(&err, ERR_DOCKERFILE, "a");
	suggest_append(&err, "xyzzy", names, 2, true);
	assert_string_equal(err.msg, "a");
}

static void is_linear_in_long_names(void **state)
{
	size_t n = 4 << 20;
	auto_free char *a = xmalloc(n + 1), *b = xmalloc(n + 1);
	const char *option = b;

	(void)state;
	memset(a, 'a', n);
	memset(b, 'a', n);
	a[n] = b[n] = '\0';
	b[n / 2] = 'b';
	assert_ptr_equal(suggest_find(a, &option, 1, false), b);
	memset(b, 'c', n);
	assert_null(suggest_find(a, &option, 1, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_nearest_below_three),
		cmocka_unit_test(says_nothing_for_a_known_name),
		cmocka_unit_test(agrees_with_the_plain_algorithm),
		cmocka_unit_test(takes_the_case_of_the_user),
		cmocka_unit_test(is_linear_in_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
