/* COPY --parents, and ADD of archives. */
#include "unit/copy_fixture.h"

/* ---- --parents ---- */

static void deep_tree(struct fixture *f)
{
	static const char *const dirs[] = { "test", "test/a", "test/a/b", "test/a/b/c", "test/a/b/c/d", "test/a/b2",
		"test/a/b2/c", "test/a/b2/c/d" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		put_dir(f->ctx, dirs[i]);
	assert_int_equal(fchmodat(f->ctx, "test/a", 0711, 0), 0);
	put_file(f->ctx, "test/a/b/c/d/e", "e");
	put_file(f->ctx, "test/a/b/c/f", "f");
	put_file(f->ctx, "test/a/b2/c/d/e", "e2");
	f->spec.parents = true;
}

static void keeps_the_path_of_a_source(void **state)
{
	struct fixture *f = *state;

	deep_tree(f); /* facts 156 and 158 */
	assert_copied(f, "test/a/b/c/f", "/", "d test 755 0:0\nd test/a 711 0:0\nd test/a/b 755 0:0\n"
					      "d test/a/b/c 755 0:0\nf test/a/b/c/f 644 0:0 1\n");
	assert_copied(f, "/test/a/b/c/d/.", "/out", "d out 755 0:0\nd out/test 755 0:0\nd out/test/a 711 0:0\n"
						    "d out/test/a/b 755 0:0\nd out/test/a/b/c 755 0:0\n"
						    "d out/test/a/b/c/d 755 0:0\nf out/test/a/b/c/d/e 644 0:0 1\n");
	assert_copied(f, "./test/a/b/c/f", "/", "d test 755 0:0\nd test/a 711 0:0\nd test/a/b 755 0:0\n"
						"d test/a/b/c 755 0:0\nf test/a/b/c/f 644 0:0 1\n");
	/* parents that are there keep what they have */
	BASE(f, "d test");
	assert_copied(f, "test/a/b/c/f", "/", "d test 700 1:2\nd test/a 711 0:0\nd test/a/b 755 0:0\n"
					      "d test/a/b/c 755 0:0\nf test/a/b/c/f 644 0:0 1\n");
}

static void keeps_the_path_behind_the_pivot(void **state)
{
	struct fixture *f = *state;

	deep_tree(f); /* facts 157, 159, 160, 161 */
	assert_copied(f, "/test/a/b/./c/d", "/out",
		"d out 755 0:0\nd out/c 755 0:0\nd out/c/d 755 0:0\nf out/c/d/e 644 0:0 1\n");
	assert_copied(f, "/test/a/./b/./c/f", "/out",
		"d out 755 0:0\nd out/b 755 0:0\nd out/b/c 755 0:0\nf out/b/c/f 644 0:0 1\n");
	assert_copied(f, "/test/a/b*/./c/**/e", "/out",
		"d out 755 0:0\nd out/c 755 0:0\nd out/c/d 755 0:0\nf out/c/d/e 644 0:0 2\n");
	assert_copied(f, "/test/a/./*/c", "/out",
		"d out 755 0:0\nd out/b 755 0:0\nd out/b/c 755 0:0\nd out/b/c/d 755 0:0\nf out/b/c/d/e 644 0:0 1\n"
		"f out/b/c/f 644 0:0 1\nd out/b2 755 0:0\nd out/b2/c 755 0:0\nd out/b2/c/d 755 0:0\n"
		"f out/b2/c/d/e 644 0:0 2\n");
}

static void parents_need_literal_sources(void **state)
{
	struct fixture *f = *state;

	deep_tree(f); /* fact 162 */
	assert_copy_fails(f, "test/none", "/out", ERR_NOT_FOUND, "\"/test/none\": not found");
	assert_copy_fails(f, "none/./a", "/out", ERR_NOT_FOUND, "\"/none/a\": not found");
	assert_copied(f, "test/none*", "/out", "d out 755 0:0\n");
	assert_copied(f, "none*/./a", "/out", "");
	copy_what(f, "test/none", "/out");
	check_refused(f, copy_digest(f->ctx, &f->spec, NULL, f->result.content, &f->err), ERR_NOT_FOUND, "none");
}

/* ---- archives ---- */

static void write_archive(struct fixture *f, const char *name, const struct strbuf *tar, enum compression c)
{
	auto_fd int fd = openat(f->ctx, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	struct outflow_options o = { .compression = c };
	struct outflow *out = outflow_new(fd, &o, &f->err);
	struct flow_sums sums;

	assert_non_null(out);
	check(f, outflow_write(out, tar->buf, tar->len, &f->err));
	check(f, outflow_end(out, &sums, &f->err));
	outflow_free(out);
	f->spec.extract = true;
}

static void member(struct strbuf *sb, const char *name, char type, const char *link, const char *body)
{
	raw_add(sb, (struct raw){ .name = name, .type = type, .link = link, .body = body, .mode = 0640, .uid = 3,
					.gid = 4, .mtime = 77 });
}

static void unpacks_archives(void **state)
{
	static const char expected[] = "d out 755 0:0\nd out/d 640 3:4\nf out/d/f 640 3:4 4\nl out/d/l 777 3:4 -> f\n"
				       "h out/d/z 640 3:4 -> out/d/f\nd out/implied 755 0:0\nf out/implied/x 640 3:4 0\n";
	struct fixture *f = *state;
	auto_strbuf tar = STRBUF_INIT;
	struct tree_index *ix;
	struct tree_entry e;

	member(&tar, "./", '5', NULL, NULL);
	member(&tar, "d/", '5', NULL, NULL);
	member(&tar, "d/f", '0', NULL, "data");
	member(&tar, "d/l", '2', "f", NULL);
	member(&tar, "d/z", '1', "d/f", NULL);
	member(&tar, "implied/x", '0', NULL, NULL);
	raw_end(&tar);
	write_archive(f, "t.tar", &tar, COMPRESSION_NONE);
	write_archive(f, "t.tar.gz", &tar, COMPRESSION_GZIP);
	write_archive(f, "noname", &tar, COMPRESSION_ZSTD);
	assert_copied(f, "t.tar", "/out", expected);
	assert_copied(f, "t.tar.gz", "/out/", expected);
	assert_copied(f, "noname", "/out", expected);
	assert_copied(f, "t.* noname", "/out", expected);
	assert_int_equal(f->result.bytes, 4);
	ix = load(f, "out.index");
	assert_true(index_find(ix, "out/d", &e));
	assert_int_equal(e.mtime, 77);
	index_close(ix);
	set_string(&f->spec.chown, "100:200");
	set_string(&f->spec.chmod, "777");
	assert_copied(f, "t.tar", "/out",
		"d out 755 100:200\nd out/d 640 100:200\nf out/d/f 640 100:200 4\nl out/d/l 777 100:200 -> f\n"
		"h out/d/z 640 100:200 -> out/d/f\nd out/implied 755 0:0\nf out/implied/x 640 100:200 0\n");
	f->spec.extract = false;
	set_string(&f->spec.chown, NULL);
	copy_what(f, "t.tar.gz", "/");
	run(f);
	assert_non_null(strstr(f->text.buf, "f t.tar.gz 777 0:0 "));
}

/* A PAX 1.0 member called name: 512 times 'a' lies at 5000, "de" at 3000000, the file ends after 4000000 bytes. */
static void sparse_member(struct strbuf *sb, const char *name)
{
	auto_strbuf records = STRBUF_INIT, body = STRBUF_INIT;
	static const char map[] = "3\n5000\n512\n3000000\n2\n4000000\n0\n";

	raw_record(&records, "GNU.sparse.major", "1");
	raw_record(&records, "GNU.sparse.minor", "0");
	raw_record(&records, "GNU.sparse.name", name);
	raw_record(&records, "GNU.sparse.realsize", "4000000");
	raw_pax(sb, 'x', records.buf, records.len);
	raw_body(&body, map, strlen(map));
	for (int i = 0; i < 512; i++)
		strbuf_putc(&body, 'a');
	strbuf_puts(&body, "de");
	raw_add(sb, (struct raw){ .name = "GNUSparseFile.0/x", .size = body.len, .mode = 0640 });
	raw_body(sb, body.buf, body.len);
}

static void unpacks_sparse_members(void **state)
{
	static const struct { off_t at; char c; } bytes[] = { { 0, 0 }, { 4999, 0 }, { 5000, 'a' }, { 5511, 'a' },
		{ 5512, 0 }, { 2999999, 0 }, { 3000000, 'd' }, { 3000001, 'e' }, { 3000002, 0 }, { 3999999, 0 } };
	struct fixture *f = *state;
	auto_strbuf tar = STRBUF_INIT;
	auto_fd int fd = -1;
	struct stat st;

	member(&tar, "before", '0', NULL, "data");
	sparse_member(&tar, "s");
	member(&tar, "h", '1', "s", NULL);
	member(&tar, "z", '0', NULL, "more");
	raw_end(&tar);
	write_archive(f, "t.tar", &tar, COMPRESSION_GZIP);
	assert_copied(f, "t.tar", "/",
		"f before 640 3:4 4\nf h 640 0:0 4000000\nh s 640 0:0 -> h\nf z 640 3:4 4\n");
	assert_int_equal(f->result.bytes, 4000008);
	fd = open("out.fs/s", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 4000000);
	assert_true(st.st_blocks * 512 < 200000);
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		char c = 1;

		assert_int_equal(pread(fd, &c, 1, bytes[i].at), 1);
		assert_int_equal(c, bytes[i].c);
	}
	strbuf_reset(&tar);
	sparse_member(&tar, "../s");
	raw_end(&tar);
	write_archive(f, "t.tar", &tar, COMPRESSION_NONE);
	assert_copy_fails(f, "t.tar", "/", ERR_INPUT, "archive 't.tar': tar member '../s'");
}

static void leaves_other_files_alone(void **state)
{
	struct fixture *f = *state;
	auto_strbuf text = STRBUF_INIT;

	put_file(f->ctx, "x.tar", "");
	put_file(f->ctx, "y.tar", "not an archive, whatever its name says");
	strbuf_puts(&text, "no archive either");
	write_archive(f, "z.gz", &text, COMPRESSION_GZIP);
	put_file(f->ctx, "broken.gz", "\x1f\x8b rubbish");
	assert_copied(f, "x.tar y.tar", "/d/", "d d 755 0:0\nf d/x.tar 644 0:0 0\nf d/y.tar 644 0:0 38\n");
	copy_what(f, "z.gz broken.gz", "/");
	run(f);
	assert_non_null(strstr(f->text.buf, "f z.gz 600 0:0 "));
	assert_non_null(strstr(f->text.buf, "f broken.gz 644 0:0 10"));
	put_file(f->ctx, "a.xz", "\xfd" "7zXZ");
	assert_int_equal(truncate("ctx/a.xz", 100), 0);
	assert_copied(f, "a.xz", "/", "f a.xz 644 0:0 100\n");
}

static void resolves_links_inside_the_destination(void **state)
{
	struct fixture *f = *state;
	auto_strbuf tar = STRBUF_INIT;

	BASE(f, "d var", "l var/run -> /run", "d out", "l out/abs -> /inside", "l out/up -> ../../../etc", "d run");
	member(&tar, "var/run/x", '0', NULL, "x");
	member(&tar, "var/run/y", '1', "var/run/x", NULL);
	raw_end(&tar);
	write_archive(f, "t.tar", &tar, COMPRESSION_NONE);
	assert_copied(f, "t.tar", "/", "d run 700 1:2\nf run/x 640 3:4 1\nh run/y 640 3:4 -> run/x\n");
	strbuf_reset(&tar);
	member(&tar, "abs/x", '0', NULL, "x");
	member(&tar, "up/x", '0', NULL, "x");
	member(&tar, "new", '2', "/target", NULL);
	member(&tar, "new/x", '0', NULL, "x");
	raw_end(&tar);
	write_archive(f, "t.tar", &tar, COMPRESSION_NONE);
	assert_copied(f, "t.tar", "/out",
		"d out 700 1:2\nd out/etc 755 0:0\nf out/etc/x 640 3:4 1\nd out/inside 755 0:0\nf out/inside/x 640 3:4 1\n"
		"l out/new 777 3:4 -> /target\nd out/target 755 0:0\nf out/target/x 640 3:4 1\n");
	strbuf_reset(&tar);
	member(&tar, "../x", '0', NULL, "x");
	raw_end(&tar);
	write_archive(f, "t.tar", &tar, COMPRESSION_NONE);
	assert_copy_fails(f, "t.tar", "/out", ERR_INPUT, "archive 't.tar'");
	strbuf_reset(&tar);
	member(&tar, "h", '1', "nothing", NULL);
	raw_end(&tar);
	write_archive(f, "t.tar", &tar, COMPRESSION_NONE);
	assert_copy_fails(f, "t.tar", "/out", ERR_UNSUPPORTED, "hard link 'h'");
}

static void replaces_what_is_in_the_way(void **state)
{
	struct fixture *f = *state;
	auto_strbuf tar = STRBUF_INIT;

	BASE(f, "d a", "f a/old", "d b", "f b/old", "f c");
	member(&tar, "a", '0', NULL, "file");
	member(&tar, "b", '0', NULL, "file");
	member(&tar, "b/", '5', NULL, NULL);
	member(&tar, "b/new", '0', NULL, "n");
	member(&tar, "c/", '5', NULL, NULL);
	member(&tar, "d/x", '0', NULL, "x");
	member(&tar, "d", '2', "elsewhere", NULL);
	raw_end(&tar);
	write_archive(f, "t.tar", &tar, COMPRESSION_NONE);
	copy_what(f, "t.tar", "/");
	/* the old contents of b must not come back: it is opaque */
	check(f, run_layer(f));
	{
		struct tree_index *ix = load(f, "out.index");
		auto_strbuf text = STRBUF_INIT;

		index_text(ix, &text);
		assert_string_equal(text.buf, "d . 755 0:0\nf a 640 3:4 4\ndo b 640 3:4\nf b/new 640 3:4 1\nd c 640 3:4\n"
					      "l d 777 3:4 -> elsewhere\n");
		index_close(ix);
	}
	run(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_the_path_of_a_source),
		TEST(keeps_the_path_behind_the_pivot),
		TEST(parents_need_literal_sources),
		TEST(unpacks_archives),
		TEST(unpacks_sparse_members),
		TEST(leaves_other_files_alone),
		TEST(resolves_links_inside_the_destination),
		TEST(replaces_what_is_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
