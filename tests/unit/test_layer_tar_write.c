#include "unit/layer_util.h"

/* The uncompressed layer that entries make. */
static int write_layer(const struct tree_entry *v, size_t n, const char *body,
	const struct layer_write_options *opt, struct strbuf *out, struct layer_info *info,
	struct err *err)
{
	auto_fd int fd = blob_new();
	AUTO(layer_writer_free) struct layer_writer *w = layer_writer_new(fd, opt, err);
	struct tree_sink *sink;

	if (!w)
		return -1;
	sink = layer_writer_sink(w);
	for (size_t i = 0; i < n; i++) {
		if (sink->entry(sink, &v[i], err) < 0)
			return -1;
		if (v[i].size > 0 && v[i].type == ENTRY_FILE &&
			sink->data(sink, body, v[i].size, err) < 0)
			return -1;
	}
	if (sink->finish(sink, err) < 0)
		return -1;
	layer_writer_info(w, info);
	blob_load(fd, out);
	return 0;
}

#define PLAIN                                                                                      \
	{                                                                                          \
		.compression = COMPRESSION_NONE, .epoch = LAYER_EPOCH_NONE                         \
	}
#define ETC                                                                                        \
	{                                                                                          \
		.path = "etc", .type = ENTRY_DIR, .mode = 0755                                     \
	}

static void empty_layer_is_two_zero_records(void **state)
{
	struct layer_write_options opt = PLAIN;
	auto_strbuf out = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(write_layer(NULL, 0, NULL, &opt, &out, &info, &err));
	assert_int_equal(out.len, 1024);
	assert_string_equal(info.diff_id,
		"sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
	assert_string_equal(info.digest, info.diff_id);
}

static void directory_is_vector_3(void **state)
{
	struct layer_write_options opt = PLAIN;
	struct tree_entry v[] = {ETC};
	auto_strbuf out = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(write_layer(v, 1, NULL, &opt, &out, &info, &err));
	assert_memory_equal(out.buf + 148, "007760\0 ", 8);
	sha256_buf_str(out.buf, 512, digest);
	assert_string_equal(
		digest, "sha256:80a07b154a9d380e487a0d11d90fad6be8e2a22c865e5d1cfcdd738b349067b2");
	assert_string_equal(info.diff_id,
		"sha256:aae3c57242d66053f4687887040cec638b8144399a3713c4066f673165fabce1");
}

static void file_is_vector_4(void **state)
{
	struct layer_write_options opt = PLAIN;
	struct tree_entry v[] = {
		ETC, {.path = "etc/hello", .type = ENTRY_FILE, .mode = 0644, .size = 3}};
	auto_strbuf out = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(write_layer(v, 2, "hi\n", &opt, &out, &info, &err));
	assert_int_equal(out.len, 2560);
	assert_memory_equal(out.buf + 512 + 148, "010777\0 ", 8);
	assert_string_equal(info.diff_id,
		"sha256:af8f2abec51c20eb2a538f7d4c173900ee1f72cab8a7e394794a7394b29715f7");
	assert_int_equal(info.entries, 2);
}

static void whiteout_is_vector_5(void **state)
{
	struct layer_write_options opt = PLAIN;
	struct tree_entry v[] = {ETC, {.path = "etc/gone", .type = ENTRY_WHITEOUT}};
	auto_strbuf out = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(write_layer(v, 2, NULL, &opt, &out, &info, &err));
	assert_memory_equal(out.buf + 512 + 148, "011276\0 ", 8);
	assert_string_equal(info.diff_id,
		"sha256:2e1dc5d7c65d67cb7037a491011a9cb847f3c9565602b65aad007e306afbe316");
}

static void opaque_directory_gets_a_marker(void **state)
{
	struct layer_write_options opt = PLAIN;
	struct tree_entry both[] = {{.path = "d", .type = ENTRY_DIR, .mode = 0755, .opaque = true},
		{.path = "d", .type = ENTRY_WHITEOUT, .opaque = true}};
	struct tree_entry marker[] = {{.path = "d", .type = ENTRY_DIR, .mode = 0755},
		{.path = "d", .type = ENTRY_WHITEOUT, .opaque = true}};
	auto_strbuf a = STRBUF_INIT, b = STRBUF_INIT, c = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(write_layer(both, 1, NULL, &opt, &a, &info, &err));
	assert_string_equal(a.buf + 512, "d/.wh..wh..opq");
	assert_int_equal(a.len, 2048);
	assert_ok(write_layer(both, 2, NULL, &opt, &b, &info, &err));
	assert_ok(write_layer(marker, 2, NULL, &opt, &c, &info, &err));
	assert_int_equal(b.len, a.len);
	assert_memory_equal(a.buf, b.buf, a.len);
	assert_int_equal(c.len, a.len);
	assert_memory_equal(a.buf, c.buf, a.len);
}

static void long_and_non_ascii_names_go_into_pax(void **state)
{
	struct layer_write_options opt = PLAIN;
	char name[102];
	struct tree_entry v[] = {{.path = "n\xc3\xa4me", .type = ENTRY_FILE, .mode = 0644},
		{.path = name, .type = ENTRY_FILE, .mode = 0644}};
	auto_strbuf out = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	memset(name, 'x', 101);
	name[101] = '\0';
	assert_ok(write_layer(v, 2, NULL, &opt, &out, &info, &err));
	assert_string_equal(out.buf, "PaxHeaders.0/nme");
	assert_int_equal(out.buf[156], 'x');
	assert_memory_equal(out.buf + 512, "14 path=n\xc3\xa4me\n", 15);
	assert_string_equal(out.buf + 1024, "nme");
	assert_memory_equal(out.buf + 2048, "111 path=xxx", 12);
	assert_memory_equal(out.buf + 1536, "PaxHeaders.0/xxx", 16);
	assert_int_equal(out.buf[1536 + 99], 'x');
}

static void large_ids_and_odd_times_go_into_pax(void **state)
{
	struct layer_write_options opt = PLAIN;
	struct tree_entry v[] = {{.path = "a",
		.type = ENTRY_FILE,
		.mode = 0644,
		.uid = 2097151,
		.gid = 2097152,
		.mtime = -1}};
	auto_strbuf out = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(write_layer(v, 1, NULL, &opt, &out, &info, &err));
	assert_memory_equal(out.buf + 512, "15 gid=2097152\n12 mtime=-1\n\0", 28);
	assert_string_equal(out.buf + 1024 + 108, "7777777");
	assert_string_equal(out.buf + 1024 + 116, "0000000");
}

static void xattrs_are_written_raw_and_sorted(void **state)
{
	static const struct tree_xattr x[] = {
		{"security.capability", "\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20},
		{"user.a", "1", 1}, {"user.empty", "", 0}};
	struct layer_write_options opt = PLAIN;
	struct tree_entry v[] = {
		{.path = "a", .type = ENTRY_FILE, .mode = 0755, .xattrs = x, .nxattrs = 3}};
	auto_strbuf out = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(write_layer(v, 1, NULL, &opt, &out, &info, &err));
	assert_memory_equal(
		out.buf + 512, "57 SCHILY.xattr.security.capability=\1\0\0\2\0\x20", 42);
	assert_memory_equal(out.buf + 512 + 57, "25 SCHILY.xattr.user.a=1\n\0", 26);
	assert_int_equal(info.dropped_xattrs, 1);
}

static void times_are_clamped_to_the_epoch(void **state)
{
	struct layer_write_options opt = {.compression = COMPRESSION_NONE, .epoch = 100};
	struct tree_entry v[] = {{.path = "a", .type = ENTRY_FILE, .mtime = 99},
		{.path = "b", .type = ENTRY_FILE, .mtime = 101, .mtime_ns = 5}};
	auto_strbuf out = STRBUF_INIT, all = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(write_layer(v, 2, NULL, &opt, &out, &info, &err));
	assert_string_equal(out.buf + 136, "00000000143");
	assert_string_equal(out.buf + 512 + 136, "00000000144");
	opt.rewrite_times = true;
	assert_ok(write_layer(v, 2, NULL, &opt, &all, &info, &err));
	assert_string_equal(all.buf + 136, "00000000144");
}

static void beside_sees_offsets_and_clamped_times(void **state)
{
	AUTO(index_sink_free) struct index_sink *ixs = index_sink_new(INDEX_DIGESTS);
	struct layer_write_options opt = {
		.compression = COMPRESSION_ZSTD, .epoch = 100, .beside = index_sink_of(ixs)};
	struct tree_entry v[] = {ETC,
		{.path = "etc/hello", .type = ENTRY_FILE, .mode = 0644, .size = 3, .mtime = 777}};
	AUTO(index_close) struct tree_index *ix = NULL;
	auto_strbuf out = STRBUF_INIT;
	struct layer_info info;
	struct tree_entry e;
	uint8_t digest[DIGEST_SIZE];
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(write_layer(v, 2, "hi\n", &opt, &out, &info, &err));
	ix = index_of_sink(ixs);
	assert_true(index_find(ix, "etc/hello", &e));
	assert_int_equal(e.offset, 1024);
	assert_int_equal(e.mtime, 100);
	assert_true(e.has_digest);
	sha256_buf("hi\n", 3, digest);
	assert_memory_equal(digest, e.digest, sizeof(digest));
	assert_int_equal(index_total_size(ix), 3);
}

static void unsuitable_entries_are_refused(void **state)
{
	static const struct tree_entry bad[] = {
		{.path = "a/../b", .type = ENTRY_FILE},
		{.path = "/a", .type = ENTRY_FILE},
		{.path = "a/", .type = ENTRY_FILE},
		{.path = "a/.wh.b", .type = ENTRY_FILE},
		{.path = ".wh..wh..opq", .type = ENTRY_FILE},
		{.path = "", .type = ENTRY_FILE},
		{.path = "a", .type = ENTRY_FILE, .uid = UINT32_MAX},
		{.path = "a", .type = ENTRY_CHAR},
		{.path = "a", .type = ENTRY_BLOCK, .major = 4096},
		{.path = "a", .type = ENTRY_SYMLINK, .link = ""},
		{.path = "a", .type = ENTRY_HARDLINK, .link = "../b"},
	};
	struct layer_write_options opt = PLAIN;
	auto_strbuf out = STRBUF_INIT;
	struct layer_info info;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(write_layer(&bad[i], 1, NULL, &opt, &out, &info, &err), ERR_INPUT);
}

static void order_is_enforced(void **state)
{
	struct tree_entry after[] = {
		{.path = "a", .type = ENTRY_FILE}, {.path = "w", .type = ENTRY_WHITEOUT}};
	struct tree_entry twice[] = {
		{.path = "a", .type = ENTRY_FILE}, {.path = "a", .type = ENTRY_FILE}};
	struct tree_entry bytes[] = {
		{.path = "a-b", .type = ENTRY_FILE}, {.path = "a/b", .type = ENTRY_FILE}};
	struct layer_write_options opt = PLAIN;
	auto_strbuf out = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	assert_refused(write_layer(after, 2, NULL, &opt, &out, &info, &err), ERR_INPUT);
	assert_refused(write_layer(twice, 2, NULL, &opt, &out, &info, &err), ERR_INPUT);
	assert_refused(write_layer(bytes, 2, NULL, &opt, &out, &info, &err), ERR_INPUT);
	opt.keep_order = true;
	assert_ok(write_layer(after, 2, NULL, &opt, &out, &info, &err));
}

static void data_must_add_up(void **state)
{
	struct layer_write_options opt = PLAIN;
	auto_fd int fd = blob_new();
	struct err err = ERR_INIT;
	AUTO(layer_writer_free) struct layer_writer *w = layer_writer_new(fd, &opt, &err);
	struct tree_sink *s = layer_writer_sink(w);
	struct tree_entry e = {.path = "a", .type = ENTRY_FILE, .size = 3};

	(void)state;
	assert_ok(s->entry(s, &e, &err));
	assert_ok(s->data(s, "ab", 2, &err));
	assert_refused(s->finish(s, &err), ERR_INPUT);
	assert_refused(s->data(s, "cd", 2, &err), ERR_INPUT);
	e.path = "b";
	assert_refused(s->entry(s, &e, &err), ERR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_layer_is_two_zero_records),
		cmocka_unit_test(directory_is_vector_3),
		cmocka_unit_test(file_is_vector_4),
		cmocka_unit_test(whiteout_is_vector_5),
		cmocka_unit_test(opaque_directory_gets_a_marker),
		cmocka_unit_test(long_and_non_ascii_names_go_into_pax),
		cmocka_unit_test(large_ids_and_odd_times_go_into_pax),
		cmocka_unit_test(xattrs_are_written_raw_and_sorted),
		cmocka_unit_test(times_are_clamped_to_the_epoch),
		cmocka_unit_test(beside_sees_offsets_and_clamped_times),
		cmocka_unit_test(unsuitable_entries_are_refused),
		cmocka_unit_test(order_is_enforced),
		cmocka_unit_test(data_must_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
