#include "unit/layer_util.h"

#include "layer/bounds.h"

static void assert_index(const char *const *lines, const char *expected)
{
	AUTO(index_close) struct tree_index *ix = index_of(lines);
	auto_strbuf text = STRBUF_INIT;

	index_text(ix, &text);
	assert_string_equal(text.buf, expected);
}

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ROOT "d . 755 0:0\n"

static void records_are_sorted_with_parents_added(void **state)
{
	(void)state;
	assert_index(LINES("f a-b", "f a/z", "f a/b/c", "d d", "l a/l -> ../x"),
		ROOT "d a 755 0:0\nd a/b 755 0:0\nf a/b/c 644 1:2 7\nl a/l 644 1:2 -> ../x\nf a/z "
		     "644 1:2 7\n"
		     "f a-b 644 1:2 7\nd d 700 1:2\n");
}

static void later_entries_win(void **state)
{
	(void)state;
	assert_index(LINES("f a", "l a -> x"), ROOT "l a 644 1:2 -> x\n");
	assert_index(LINES("f d/x", "d d"), ROOT "d d 700 1:2\nf d/x 644 1:2 7\n");
	assert_index(LINES("f d/x", "f d/s/y", "f d"), ROOT "f d 644 1:2 7\n");
	assert_index(LINES("f d/x", "f d", "d d", "f d/y"), ROOT "d d 700 1:2\nf d/y 644 1:2 7\n");
	assert_index(LINES("f d/s/x", "f d", "f e", "d d", "f d/s/y"),
		ROOT "d d 700 1:2\nd d/s 755 0:0\nf d/s/y 644 1:2 7\nf e 644 1:2 7\n");
}

static void paths_through_links_are_recorded_where_they_end(void **state)
{
	(void)state;
	assert_index(LINES("l lib -> usr/lib", "f lib/x", "f usr/lib/y"),
		ROOT "l lib 644 1:2 -> usr/lib\nd usr 755 0:0\nd usr/lib 755 0:0\nf usr/lib/x 644 "
		     "1:2 7\n"
		     "f usr/lib/y 644 1:2 7\n");
	assert_index(LINES("l a/l -> /b/../../c", "f a/l/x"),
		ROOT "d a 755 0:0\nl a/l 644 1:2 -> /b/../../c\nd b 755 0:0\nd c 755 0:0\nf c/x "
		     "644 1:2 7\n");
}

static void whiteouts_give_way(void **state)
{
	(void)state;
	assert_index(LINES("w a", "w d/b", "f a"), ROOT "f a 644 1:2 7\nd d 755 0:0\nw d/b\n");
	assert_index(LINES("f a", "w a"), ROOT "f a 644 1:2 7\n");
	assert_index(LINES("d a", "w a"), ROOT "do a 700 1:2\n");
	assert_index(LINES("w a", "f a/b"), ROOT "do a 755 0:0\nf a/b 644 1:2 7\n");
	assert_index(LINES("wo d", "w d/x", "w d/s/y", "f d/z"),
		ROOT "do d 755 0:0\nd d/s 755 0:0\nf d/z 644 1:2 7\n");
	assert_index(LINES("d d", "wo d"), ROOT "do d 700 1:2\n");
	assert_index(LINES("wo .", "d ."), "do . 700 1:2\n");
}

static void hard_links_begin_at_the_first_name(void **state)
{
	(void)state;
	assert_index(LINES("f z", "h a -> z", "h m -> z", "h n -> m"),
		ROOT "f a 644 1:2 7\nh m 644 1:2 -> a\nh n 644 1:2 -> a\nh z 644 1:2 -> a\n");
	assert_index(LINES("h a -> lower"), ROOT "h a 644 1:2 -> lower\n");
	assert_index(LINES("l s -> x", "h a -> s"), ROOT "l a 644 1:2 -> x\nl s 644 1:2 -> x\n");
	assert_index(LINES("l lib -> usr", "f usr/x", "h y -> lib/x"), ROOT
		"l lib 644 1:2 -> usr\nd usr 755 0:0\nf usr/x 644 1:2 7\nh y 644 1:2 -> usr/x\n");
}

static int sink_lines(const char *const *lines, struct err *err)
{
	AUTO(index_sink_free) struct index_sink *s = index_sink_new(0);
	struct tree_sink *sink = index_sink_of(s);

	for (; *lines; lines++) {
		static const char letters[] = "fdlhcbpw";
		auto_free char *line = xstrdup(*lines);
		char *arrow = strstr(line, " -> ");
		struct tree_entry e = {.path = line + 2};

		if (arrow) {
			*arrow = '\0';
			e.link = arrow + 4;
		}
		e.type = (enum entry_type)(strchr(letters, line[0]) - letters);
		if (sink->entry(sink, &e, err) < 0)
			return -1;
	}
	return sink->finish(sink, err);
}

static void impossible_layers_are_refused(void **state)
{
	struct err err;

	(void)state;
	assert_refused(sink_lines(LINES("f a", "f a/b"), &err), ERR_INPUT);
	assert_refused(sink_lines(LINES("l a -> a", "f a/b"), &err), ERR_INPUT);
	assert_refused(sink_lines(LINES("l a -> b", "l b -> a", "f a/c"), &err), ERR_INPUT);
	assert_refused(sink_lines(LINES("d d", "h a -> d"), &err), ERR_INPUT);
	assert_refused(sink_lines(LINES("f x", "h a -> x", "f x"), &err), ERR_INPUT);
	assert_refused(sink_lines(LINES("f d/x", "h a -> d/x", "f d"), &err), ERR_INPUT);
}

/* Everything about a record survives. */
static void save_and_open(void **state)
{
	static const struct tree_xattr x[] = {{"user.a", "1\0002", 3}, {"user.b", "z", 1}};
	AUTO(index_sink_free) struct index_sink *s = index_sink_new(INDEX_DIGESTS);
	struct tree_sink *sink = index_sink_of(s);
	struct tree_entry e = {.path = "a/f",
		.type = ENTRY_FILE,
		.mode = 04755,
		.uid = 4000000000u,
		.gid = 7,
		.size = 5,
		.mtime = -3,
		.mtime_ns = 999999999,
		.xattrs = x,
		.nxattrs = 2,
		.offset = 1ull << 40};
	struct tree_entry c = {.path = "a/c", .type = ENTRY_CHAR, .major = 4095, .minor = 1048575};
	AUTO(index_close) struct tree_index *ix = NULL;
	auto_fd int fd = blob_new();
	struct tree_entry got;
	uint8_t digest[DIGEST_SIZE];
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(sink->entry(sink, &e, &err));
	assert_ok(sink->data(sink, "he", 2, &err));
	assert_ok(sink->data(sink, "llo", 3, &err));
	assert_ok(sink->entry(sink, &c, &err));
	assert_ok(sink->finish(sink, &err));
	assert_ok(index_save(s, fd, &err));
	ix = index_open(fd, &err);
	assert_non_null(ix);
	assert_int_equal(index_len(ix), 4);
	assert_int_equal(index_total_size(ix), 5);
	assert_true(index_find(ix, "a/f", &got));
	assert_string_equal(got.path, "a/f");
	assert_int_equal(got.mode, 04755);
	assert_int_equal(got.uid, 4000000000u);
	assert_int_equal(got.gid, 7);
	assert_int_equal(got.size, 5);
	assert_int_equal(got.mtime, -3);
	assert_int_equal(got.mtime_ns, 999999999);
	assert_int_equal(got.offset, 1ull << 40);
	assert_int_equal(got.nxattrs, 2);
	assert_string_equal(got.xattrs[0].name, "user.a");
	assert_int_equal(got.xattrs[0].len, 3);
	assert_memory_equal(got.xattrs[0].value, "1\0002", 3);
	sha256_buf("hello", 5, digest);
	assert_true(got.has_digest);
	assert_memory_equal(got.digest, digest, sizeof(digest));
	assert_true(index_find(ix, "a/c", &got));
	assert_int_equal(got.major, 4095);
	assert_int_equal(got.minor, 1048575);
	assert_true(index_find(ix, "a", &got));
	assert_true(got.implied);
	assert_false(index_find(ix, "a/d", &got));
	assert_false(index_find(ix, "a/ff", NULL));
	assert_int_equal(index_position(ix, "nothing"), -1);
}

static void subtrees_have_ends(void **state)
{
	AUTO(index_close) struct tree_index *ix = NULL;
	AUTO(index_sink_free) struct index_sink *s = index_sink_new(0);
	struct tree_sink *sink = index_sink_of(s);
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 300; i++) {
		char path[32];
		struct tree_entry e = {.path = path, .type = ENTRY_FILE};

		snprintf(path, sizeof(path), "%s/f%03d", i < 200 ? "a" : "b/c", i);
		assert_ok(sink->entry(sink, &e, &err));
	}
	assert_ok(sink->finish(sink, &err));
	ix = index_of_sink(s);
	assert_int_equal(index_subtree_end(ix, 0), index_len(ix));
	assert_int_equal(index_subtree_end(ix, (size_t)index_position(ix, "a")), 202);
	assert_int_equal(index_subtree_end(ix, (size_t)index_position(ix, "b")), index_len(ix));
	assert_int_equal(index_subtree_end(ix, (size_t)index_position(ix, "a/f000")), 3);
	assert_int_equal(index_subtree_end(ix, index_len(ix) - 1), index_len(ix));
}

static void order_of_a_layer_has_whiteouts_first(void **state)
{
	AUTO(index_close)
	struct tree_index *ix = index_of(LINES("f d/a", "w d/z", "w d/s/q", "f d/s/b", "w m"));
	auto_free uint32_t *order = index_layer_order(ix);
	static const char *const expected[] = {"", "m", "d", "d/z", "d/a", "d/s", "d/s/q", "d/s/b"};

	(void)state;
	assert_int_equal(index_len(ix), 8);
	for (size_t i = 0; i < index_len(ix); i++) {
		struct tree_entry e;

		index_get(ix, order[i], &e);
		assert_string_equal(e.path, expected[i]);
	}
}

static void damage_is_found_and_survived(void **state)
{
	AUTO(index_close)
	struct tree_index *ix = index_of(LINES("f a/b", "l a/l -> x", "h z -> a/b", "w q"));
	auto_strbuf bytes = STRBUF_INIT;
	auto_fd int fd = blob_new();
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(index_write(ix, fd, &err));
	blob_load(fd, &bytes);
	for (size_t i = 0; i < bytes.len; i++) {
		struct tree_index *bad;

		bytes.buf[i] ^= 0x41;
		err = (struct err)ERR_INIT;
		bad = index_from_bytes(bytes.buf, bytes.len, &err);
		if (bad)
			fail_msg("a damaged byte %zu was not found", i);
		assert_int_equal(err.kind, ERR_CORRUPT);
		bytes.buf[i] ^= 0x41;
	}
	for (size_t n = 0; n < bytes.len; n++) {
		err = (struct err)ERR_INIT;
		assert_null(index_from_bytes(bytes.buf, n, &err));
		assert_int_equal(err.kind, ERR_CORRUPT);
	}
}

static void other_files_are_no_index(void **state)
{
	auto_fd int empty = blob_new(), text = blob_of("hello, world", 12);
	struct err err = ERR_INIT;

	(void)state;
	assert_null(index_open(empty, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_null(index_open(text, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_sorted_with_parents_added),
		cmocka_unit_test(later_entries_win),
		cmocka_unit_test(paths_through_links_are_recorded_where_they_end),
		cmocka_unit_test(whiteouts_give_way),
		cmocka_unit_test(hard_links_begin_at_the_first_name),
		cmocka_unit_test(impossible_layers_are_refused),
		cmocka_unit_test(save_and_open),
		cmocka_unit_test(subtrees_have_ends),
		cmocka_unit_test(order_of_a_layer_has_whiteouts_first),
		cmocka_unit_test(damage_is_found_and_survived),
		cmocka_unit_test(other_files_are_no_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
