#include "unit/layer_util.h"

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Three layers; each test says what they hold. */
struct stack {
	struct tree_index *ix[3];
	struct tree_chain c;
};

static void stack_open(
	struct stack *s, const char *const *a, const char *const *b, const char *const *c)
{
	s->ix[0] = index_of(a);
	s->ix[1] = index_of(b);
	s->ix[2] = c ? index_of(c) : NULL;
	chain_init(&s->c);
	for (int i = 0; i < 3 && s->ix[i]; i++)
		chain_push(&s->c, s->ix[i]);
}

static void stack_close(struct stack *s)
{
	chain_release(&s->c);
	for (int i = 0; i < 3; i++)
		index_close(s->ix[i]);
}

static bool has(const struct stack *s, const char *path)
{
	return chain_lookup(&s->c, path, NULL);
}

static enum entry_type type_of(const struct stack *s, const char *path)
{
	struct tree_entry e;

	assert_true(chain_lookup(&s->c, path, &e));
	assert_string_equal(e.path, path);
	return e.type;
}

static void assert_children(const struct stack *s, const char *dir, const char *expected)
{
	auto_strv names = STRV_INIT;
	auto_strbuf sb = STRBUF_INIT;

	chain_children(&s->c, dir, &names);
	for (size_t i = 0; i < names.len; i++)
		strbuf_printf(&sb, "%s%s", i ? " " : "", names.v[i]);
	assert_string_equal(sb.buf, expected);
}

static void upper_layers_win(void **state)
{
	struct stack s;
	struct tree_entry e;

	(void)state;
	stack_open(&s, LINES("d d", "f d/a", "f d/b"), LINES("l d/a -> b", "f d/c"), NULL);
	assert_int_equal(type_of(&s, "d/a"), ENTRY_SYMLINK);
	assert_int_equal(type_of(&s, "d/b"), ENTRY_FILE);
	assert_true(has(&s, "d/c"));
	assert_false(has(&s, "d/e"));
	assert_true(chain_lookup(&s.c, "d", &e));
	assert_int_equal(e.mode, 0700); /* implied above, real below */
	assert_false(e.implied);
	assert_children(&s, "d", "a b c");
	assert_children(&s, "", "d");
	assert_children(&s, "d/b", "");
	assert_children(&s, "no", "");
	stack_close(&s);
}

static void whiteouts_hide_with_all_below(void **state)
{
	struct stack s;

	(void)state;
	stack_open(&s, LINES("f d/a/x", "f d/b", "f e"), LINES("w d/a", "w e"),
		LINES("f d/b2", "f e"));
	assert_false(has(&s, "d/a"));
	assert_false(has(&s, "d/a/x"));
	assert_true(has(&s, "d/b"));
	assert_true(has(&s, "e"));
	assert_children(&s, "d", "b b2");
	stack_close(&s);
}

static void opaque_directories_hide_what_is_below(void **state)
{
	struct stack s;

	(void)state;
	stack_open(&s, LINES("f d/a/x", "f d/b"), LINES("do d", "f d/a/y"), LINES("d d", "f d/z"));
	assert_true(has(&s, "d"));
	assert_true(has(&s, "d/a/y"));
	assert_false(has(&s, "d/a/x")); /* although d/a itself is not marked */
	assert_false(has(&s, "d/b"));
	assert_children(&s, "d", "a z");
	assert_children(&s, "d/a", "y");
	stack_close(&s);
	stack_open(&s, LINES("f old", "f d/old"), LINES("wo .", "f new"), NULL);
	assert_false(has(&s, "old"));
	assert_false(has(&s, "d/old"));
	assert_children(&s, "", "new");
	stack_close(&s);
}

static void files_over_directories_hide_them(void **state)
{
	struct stack s;

	(void)state;
	stack_open(
		&s, LINES("f d/a", "f f"), LINES("f d", "d f", "f f/x"), LINES("d d", "f d/new"));
	assert_int_equal(type_of(&s, "d"), ENTRY_DIR);
	assert_false(has(&s, "d/a"));
	assert_true(has(&s, "d/new"));
	assert_int_equal(type_of(&s, "f"), ENTRY_DIR);
	assert_children(&s, "d", "new");
	assert_children(&s, "f", "x");
	stack_close(&s);
}

static void hard_links_are_the_file(void **state)
{
	struct stack s;
	struct tree_entry e;

	(void)state;
	stack_open(&s, LINES("f a", "h b -> a"), LINES("h c -> a", "h d -> missing"), NULL);
	assert_true(chain_lookup(&s.c, "b", &e));
	assert_int_equal(e.type, ENTRY_FILE);
	assert_string_equal(e.path, "b");
	assert_int_equal(e.size, 7);
	assert_int_equal(type_of(&s, "c"), ENTRY_FILE);
	assert_int_equal(type_of(&s, "d"), ENTRY_HARDLINK);
	stack_close(&s);
}

static void root_is_always_there(void **state)
{
	auto_chain c = CHAIN_INIT;
	struct tree_entry e;

	(void)state;
	assert_true(chain_lookup(&c, "", &e));
	assert_int_equal(e.type, ENTRY_DIR);
	assert_int_equal(e.mode, 0755);
	assert_false(chain_lookup(&c, "a", &e));
}

static void assert_resolves(
	const struct stack *s, const char *path, unsigned flags, const char *expected)
{
	auto_free char *got = NULL;
	struct err err = ERR_INIT;

	assert_ok(chain_resolve(&s->c, path, flags, &got, &err));
	assert_string_equal(got, expected);
}

static void resolution_stays_inside(void **state)
{
	struct stack s;
	char *got = NULL;
	struct err err;

	(void)state;
	stack_open(&s,
		LINES("d usr/lib", "l lib -> usr/lib", "l abs -> /usr", "l up -> ../../usr",
			"l dangling -> no/where"),
		LINES("l usr/lib/self -> .", "l loop -> loop", "l a/b -> ../lib/x",
			"l last -> abs"),
		NULL);
	assert_resolves(&s, "/lib/x", 0, "usr/lib/x");
	assert_resolves(&s, "lib", 0, "lib");
	assert_resolves(&s, "lib", CHAIN_FOLLOW_LAST, "usr/lib");
	assert_resolves(&s, "lib/", 0, "lib");
	assert_resolves(&s, "abs/lib/../x", 0, "usr/x");
	assert_resolves(&s, "up/x", 0, "usr/x");
	assert_resolves(&s, "../../x", 0, "x");
	assert_resolves(&s, "lib/../x", 0, "usr/x"); /* after the link, not before */
	assert_resolves(&s, "missing/../x", 0, "x");
	assert_resolves(&s, "dangling/x", 0, "no/where/x");
	assert_resolves(&s, "usr/lib/self/self/y", 0, "usr/lib/y");
	assert_resolves(&s, "a/b", CHAIN_FOLLOW_LAST, "usr/lib/x");
	assert_resolves(&s, "last", CHAIN_FOLLOW_LAST, "usr");
	assert_resolves(&s, "//a//./q/", 0, "a/q");
	assert_resolves(&s, "/", CHAIN_FOLLOW_LAST, "");
	assert_resolves(&s, "loop", 0, "loop");
	assert_refused(chain_resolve(&s.c, "loop", CHAIN_FOLLOW_LAST, &got, &err), ERR_INPUT);
	assert_null(got);
	stack_close(&s);
}

static void overlong_paths_are_refused(void **state)
{
	auto_chain c = CHAIN_INIT;
	auto_strbuf path = STRBUF_INIT;
	char *got = NULL;
	struct err err;

	(void)state;
	for (int i = 0; i < 300; i++)
		strbuf_puts(&path, "/a");
	assert_refused(chain_resolve(&c, path.buf, 0, &got, &err), ERR_INPUT);
	strbuf_reset(&path);
	for (int i = 0; i < 256; i++)
		strbuf_putc(&path, 'a');
	assert_refused(chain_resolve(&c, path.buf, 0, &got, &err), ERR_INPUT);
}

static int note(void *user, const struct tree_entry *e, struct err *err)
{
	(void)err;
	strbuf_printf(user, "%s ", e->path[0] ? e->path : ".");
	return 0;
}

static void walk_shows_the_merged_tree(void **state)
{
	auto_strbuf seen = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct stack s;

	(void)state;
	stack_open(&s, LINES("f d/a", "f d/b/c", "f x"), LINES("w d/a", "f d/b/d"), NULL);
	assert_ok(chain_walk(&s.c, "", note, &seen, &err));
	assert_string_equal(seen.buf, ". d d/b d/b/c d/b/d x ");
	strbuf_reset(&seen);
	assert_ok(chain_walk(&s.c, "d/b", note, &seen, &err));
	assert_string_equal(seen.buf, "d/b d/b/c d/b/d ");
	stack_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(upper_layers_win),
		cmocka_unit_test(whiteouts_hide_with_all_below),
		cmocka_unit_test(opaque_directories_hide_what_is_below),
		cmocka_unit_test(files_over_directories_hide_them),
		cmocka_unit_test(hard_links_are_the_file),
		cmocka_unit_test(root_is_always_there),
		cmocka_unit_test(resolution_stays_inside),
		cmocka_unit_test(overlong_paths_are_refused),
		cmocka_unit_test(walk_shows_the_merged_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
