#include "unit/layer_util.h"

#include "layer/bounds.h"
#include "layer/keymap.h"

static int order(const char *a, const char *b)
{
	struct tree_entry x = {.path = a, .type = ENTRY_FILE}, y = {.path = b, .type = ENTRY_FILE};

	/* a leading ! marks a whiteout */
	if (a[0] == '!') {
		x.path++;
		x.type = ENTRY_WHITEOUT;
	}
	if (b[0] == '!') {
		y.path++;
		y.type = ENTRY_WHITEOUT;
	}
	return tree_order(&x, &y);
}

static void layers_have_one_order(void **state)
{
	static const char *const sorted[] = {"", "!b", "!z", "a", "!a/y", "!a/z", "a/b", "!a/b/q",
		"a/b/c", "a/x", "a-b", "a.b", "ab", "b", "b/c"};
	size_t n = sizeof(sorted) / sizeof(sorted[0]);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			int o = order(sorted[i], sorted[j]);

			if ((o < 0) != (i < j) || (o == 0) != (i == j))
				fail_msg("order of '%s' and '%s' is %d", sorted[i], sorted[j], o);
		}
}

static void paths_are_valid_or_not(void **state)
{
	static const char *const good[] = {"", "a", "a/b", "..a", "a..", ".a/b.", "\xff\n"};
	static const char *const bad[] = {
		"/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/..", "../a"};
	char name[300];
	auto_strbuf deep = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(tree_path_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(tree_path_valid(bad[i]));
	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	assert_true(tree_path_valid(name));
	name[255] = 'n';
	name[256] = '\0';
	assert_false(tree_path_valid(name));
	for (int i = 0; i < LAYER_DEPTH_MAX; i++)
		strbuf_puts(&deep, i ? "/d" : "d");
	assert_true(tree_path_valid(deep.buf));
	strbuf_puts(&deep, "/d");
	assert_false(tree_path_valid(deep.buf));
}

static void parents_have_lengths(void **state)
{
	(void)state;
	assert_int_equal(tree_parent_len(""), 0);
	assert_int_equal(tree_parent_len("a"), 0);
	assert_int_equal(tree_parent_len("a/bc"), 1);
	assert_int_equal(tree_parent_len("a/bc/d"), 4);
}

static void tee_feeds_both(void **state)
{
	struct recorder a = RECORDER_INIT, b = RECORDER_INIT;
	struct tree_entry e = {.path = "x", .type = ENTRY_FILE, .size = 3};
	struct tree_tee t;
	struct err err = ERR_INIT;

	(void)state;
	tree_tee_init(&t, &a.sink, &b.sink);
	assert_ok(t.sink.entry(&t.sink, &e, &err));
	assert_ok(t.sink.data(&t.sink, "abc", 3, &err));
	assert_ok(t.sink.finish(&t.sink, &err));
	assert_string_equal(a.text.buf, "f x 0 0:0 3\n");
	assert_string_equal(b.text.buf, a.text.buf);
	assert_int_equal(a.data + b.data, 6);
	assert_int_equal(a.finished + b.finished, 2);
	assert_ok(tree_null_sink()->entry(tree_null_sink(), &e, &err));
	strbuf_release(&a.text);
	strbuf_release(&b.text);
}

static void keys_are_found_among_many(void **state)
{
	static char names[5000][16];
	struct keymap m;

	(void)state;
	keymap_init(&m);
	assert_null(keymap_find(&m, "x", 1));
	for (uint32_t i = 0; i < 5000; i++) {
		int n = snprintf(names[i], sizeof(names[i]), "dir/name%u", i);

		keymap_put(&m, names[i], (size_t)n, i);
	}
	for (uint32_t i = 0; i < 5000; i++) {
		const uint32_t *at = keymap_find(&m, names[i], strlen(names[i]));

		assert_non_null(at);
		assert_int_equal(*at, i);
	}
	assert_null(keymap_find(&m, "dir/name", 8));
	keymap_put(&m, "", 0, 7);
	assert_int_equal(*keymap_find(&m, "", 0), 7);
	keymap_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_have_one_order),
		cmocka_unit_test(paths_are_valid_or_not),
		cmocka_unit_test(parents_have_lengths),
		cmocka_unit_test(tee_feeds_both),
		cmocka_unit_test(keys_are_found_among_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
