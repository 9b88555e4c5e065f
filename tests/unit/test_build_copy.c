/* Where COPY puts what, and with which metadata. */
#include "unit/copy_fixture.h"

static void tree(struct fixture *f)
{
	put_file(f->ctx, "foo", "foo");
	put_file(f->ctx, "bar.go", "bar\n");
	put_file(f->ctx, "foo2.go", "foo2\n");
	put_dir(f->ctx, "sub");
	put_dir(f->ctx, "sub/dir1");
	put_file(f->ctx, "sub/dir1/x", "x");
	put_dir(f->ctx, "sub/dir1/dir2");
	put_file(f->ctx, "sub/dir1/dir2/foo", "deep");
	assert_int_equal(fchmodat(f->ctx, "sub/dir1/dir2", 0750, 0), 0);
}

static void copies_a_file_to_a_name_and_into_a_folder(void **state)
{
	struct fixture *f = *state;

	tree(f);
	assert_copied(f, "foo", "/foo2", "f foo2 644 0:0 3\n");
	assert_copied(f, "foo", "/", "f foo 644 0:0 3\n");
	assert_copied(f, "/foo", "/sample/", "d sample 755 0:0\nf sample/foo 644 0:0 3\n");
	assert_copied(f, "./foo", "/bar/baz", "d bar 755 0:0\nf bar/baz 644 0:0 3\n");
	assert_copied(f, "../../foo", "/x/../y", "f y 644 0:0 3\n"); /* fact 282 */
}

static void copies_the_contents_of_a_folder(void **state)
{
	static const char expected[] = "d x 755 0:0\nd x/dir2 750 0:0\nf x/dir2/foo 644 0:0 4\nf x/x 644 0:0 1\n";
	struct fixture *f = *state;

	tree(f);
	assert_copied(f, "sub/dir1", "/x", expected);
	assert_copied(f, "sub/dir1/", "/x", expected);
	assert_copied(f, "sub/dir1/.", "/x/", expected);
	assert_copied(f, "sub/*", "/x/", expected);
	assert_copied(f, "sub/dir1 sub/dir1", "/x", expected);
	assert_copied(f, "/", "/all/", /* fact 283 */
		"d all 755 0:0\nf all/bar.go 644 0:0 4\nf all/foo 644 0:0 3\nf all/foo2.go 644 0:0 5\n"
		"d all/sub 755 0:0\nd all/sub/dir1 755 0:0\nd all/sub/dir1/dir2 750 0:0\n"
		"f all/sub/dir1/dir2/foo 644 0:0 4\nf all/sub/dir1/x 644 0:0 1\n");
}

static void matches_wildcards(void **state)
{
	struct fixture *f = *state;

	tree(f);
	assert_copied(f, "*.go", "/g/", "d g 755 0:0\nf g/bar.go 644 0:0 4\nf g/foo2.go 644 0:0 5\n");
	assert_copied(f, "f*.go", "/foo3.go", "f foo3.go 644 0:0 5\n");
	assert_copied(f, "sub/*/dir2/foo", "/d/", "d d 755 0:0\nf d/foo 644 0:0 4\n");
	assert_copied(f, "s[a-z]b/d?r1/dir2/f*", "/d/bar", "d d 755 0:0\nf d/bar 644 0:0 4\n");
	assert_copied(f, "foo nomatch*", "/", "f foo 644 0:0 3\n");
	assert_copied(f, "nomatch*", "/x/", "");
	assert_copied(f, "nodir/x*", "/x/", "");
	assert_copy_fails(f, "fo[", "/", ERR_INPUT, "syntax error in pattern");
}

static void reports_a_missing_source(void **state)
{
	struct fixture *f = *state;

	tree(f);
	assert_copy_fails(f, "notexist", "/", ERR_NOT_FOUND, "\"/notexist\": not found");
	assert_copy_fails(f, "foo/below", "/", ERR_NOT_FOUND, "\"/foo/below\": not found");
	copy_what(f, "notexist", "/");
	check_refused(f, copy_digest(f->ctx, &f->spec, NULL, f->result.content, &f->err), ERR_NOT_FOUND, "/notexist");
}

static void follows_links_inside_the_source_root(void **state)
{
	struct fixture *f = *state;

	tree(f);
	assert_int_equal(symlinkat("foo", f->ctx, "link"), 0);
	assert_int_equal(symlinkat("/sub", f->ctx, "abs"), 0);
	assert_int_equal(symlinkat("../../../sub/dir1", f->ctx, "sub/up"), 0);
	assert_int_equal(symlinkat("../../foo", f->ctx, "sub/dir1/kept"), 0);
	assert_int_equal(symlinkat("/etc/passwd", f->ctx, "escape"), 0);
	assert_int_equal(symlinkat("loop", f->ctx, "loop"), 0);
	assert_copied(f, "link", "/", "f link 644 0:0 3\n");
	assert_copied(f, "l?nk", "/d/", "d d 755 0:0\nf d/link 644 0:0 3\n");
	assert_copied(f, "abs/up/x", "/", "f x 644 0:0 1\n");
	assert_copied(f, "abs/dir1/kept", "/k", "f k 644 0:0 3\n");
	assert_copied(f, "sub/up", "/d",
		"d d 755 0:0\nd d/dir2 750 0:0\nf d/dir2/foo 644 0:0 4\nl d/kept 777 0:0 -> ../../foo\nf d/x 644 0:0 1\n");
	/* fact 284 */
	assert_copy_fails(f, "escape", "/", ERR_NOT_FOUND, "\"/escape\": not found");
	assert_copy_fails(f, "esc*", "/", ERR_NOT_FOUND, "\"/escape\": not found");
	assert_copy_fails(f, "loop", "/", ERR_INPUT, "too many symbolic links");
}

static void honours_the_ignore_file(void **state)
{
	struct fixture *f = *state;

	tree(f);
	set_string(&f->spec.ignore, "*.go\nsub\n!sub/dir1/dir2\n");
	assert_copied(f, ".", "/",
		"f foo 644 0:0 3\nd sub 755 0:0\nd sub/dir1 755 0:0\nd sub/dir1/dir2 750 0:0\n"
		"f sub/dir1/dir2/foo 644 0:0 4\n");
	assert_copied(f, "sub", "/s",
		"d s 755 0:0\nd s/dir1 755 0:0\nd s/dir1/dir2 750 0:0\nf s/dir1/dir2/foo 644 0:0 4\n");
	assert_copied(f, "sub/dir1/dir2/foo", "/", "f foo 644 0:0 4\n");
	assert_copied(f, "*", "/d/",
		"d d 755 0:0\nd d/dir1 755 0:0\nd d/dir1/dir2 750 0:0\nf d/dir1/dir2/foo 644 0:0 4\nf d/foo 644 0:0 3\n");
	assert_copy_fails(f, "bar.go", "/", ERR_NOT_FOUND, "\"/bar.go\": not found");
	assert_copy_fails(f, "sub/dir1/x", "/", ERR_NOT_FOUND, "\"/sub/dir1/x\": not found");
	assert_copied(f, "bar*", "/", "");
	set_string(&f->spec.ignore, "sub\n!sub/nothing\n");
	assert_copy_fails(f, "sub", "/", ERR_NOT_FOUND, "\"/sub\": not found");
	assert_int_equal(symlinkat("foo", f->ctx, "link"), 0);
	set_string(&f->spec.ignore, "foo\n");
	assert_copy_fails(f, "link", "/", ERR_NOT_FOUND, "\"/link\": not found");
	set_string(&f->spec.ignore, "link\n");
	assert_copy_fails(f, "link", "/", ERR_NOT_FOUND, "\"/link\": not found");
	set_string(&f->spec.ignore, "!\n");
	copy_what(f, "foo", "/");
	check_refused(f, run_layer(f), ERR_INPUT, "!");
}

static void never_opens_what_is_ignored(void **state)
{
	struct fixture *f = *state;

	tree(f);
	put_dir(f->ctx, "locked"); /* fact 286 */
	assert_int_equal(mknodat(f->ctx, "pipe", S_IFIFO | 0600, 0), 0);
	assert_int_equal(fchmodat(f->ctx, "locked", 0, 0), 0);
	set_string(&f->spec.ignore, "locked\npipe\nsub\n*.go\n");
	assert_copied(f, ".", "/", "f foo 644 0:0 3\n");
}

static void excludes_below_each_source(void **state)
{
	struct fixture *f = *state;

	tree(f);
	strv_add(&f->spec.excludes, "dir2/f*"); /* facts 164, 165, 166 */
	strv_add(&f->spec.excludes, "x");
	assert_copied(f, "sub/dir1", "/d", "d d 755 0:0\nd d/dir2 750 0:0\n");
	assert_copied(f, "sub/d*", "/d", "d d 755 0:0\nd d/dir2 750 0:0\n");
	assert_copied(f, "sub/dir1/x", "/d/", "d d 755 0:0\nf d/x 644 0:0 1\n");
	strv_release(&f->spec.excludes);
	strv_add(&f->spec.excludes, "*");
	assert_copied(f, "sub/dir1", "/d", "d d 755 0:0\n");
	strv_add(&f->spec.excludes, "!dir2/foo");
	assert_copied(f, "sub/dir1", "/d", "d d 755 0:0\nd d/dir2 750 0:0\nf d/dir2/foo 644 0:0 4\n");
}

static void resolves_the_destination_in_the_base(void **state)
{
	struct fixture *f = *state;

	tree(f);
	BASE(f, "d usr", "d usr/lib", "d etc", "f etc/conf"); /* fact 285 */
	BASE(f, "l lib -> usr/lib", "l new -> ../tmp/target", "l file -> etc/conf", "l loop -> loop");
	assert_copied(f, "foo", "/lib/", "d usr 700 1:2\nd usr/lib 700 1:2\nf usr/lib/foo 644 0:0 3\n");
	assert_copied(f, "foo", "/lib", "d usr 700 1:2\nd usr/lib 700 1:2\nf usr/lib/foo 644 0:0 3\n");
	assert_copied(f, "foo", "/lib/a/b", "d usr 700 1:2\nd usr/lib 700 1:2\nd usr/lib/a 755 0:0\n"
					    "f usr/lib/a/b 644 0:0 3\n");
	assert_copied(f, "foo", "/new/", "d tmp 755 0:0\nd tmp/target 755 0:0\nf tmp/target/foo 644 0:0 3\n");
	assert_copied(f, "foo", "/new", "d tmp 755 0:0\nf tmp/target 644 0:0 3\n");
	assert_copied(f, "foo", "/file", "d etc 700 1:2\nf etc/conf 644 0:0 3\n");
	assert_copied(f, "foo", "/../../x", "f x 644 0:0 3\n");
	assert_copy_fails(f, "foo", "/loop", ERR_INPUT, "too many symbolic links");
	assert_copy_fails(f, "foo", "/etc/conf/", ERR_INPUT, "not a directory");
	assert_copy_fails(f, "foo", "/etc/conf/x/y", ERR_INPUT, "'/etc/conf' is not a directory");
	assert_copy_fails(f, "sub", "/etc/conf", ERR_INPUT, "cannot copy to non-directory: /etc/conf");
}

static void refuses_files_over_folders_and_the_reverse(void **state)
{
	struct fixture *f = *state;

	tree(f);
	BASE(f, "d a", "d a/dir1", "d a/dir1/x", "d b", "d b/dir1", "l b/dir1/dir2 -> /a", "d c", "l c/dir1 -> /a",
		"f d");
	assert_copy_fails(f, "sub", "/a", ERR_INPUT, "cannot replace to directory /a/dir1/x with file");
	assert_copy_fails(f, "sub", "/b", ERR_INPUT, "cannot copy to non-directory: /b/dir1/dir2");
	assert_copy_fails(f, "sub", "/c", ERR_INPUT, "cannot copy to non-directory: /c/dir1");
	/* a link in the place of a file is replaced, not followed */
	assert_copied(f, "sub/dir1/dir2/foo", "/b/dir1/", "d b 700 1:2\nd b/dir1 700 1:2\nf b/dir1/foo 644 0:0 4\n");
	put_file(f->ctx, "dir1", "a file");
	assert_copied(f, "dir1", "/c/", "d c 700 1:2\nf c/dir1 644 0:0 6\n");
	assert_copy_fails(f, "dir1 sub", "/n/", ERR_INPUT, "cannot copy to non-directory: /n/dir1");
	assert_copy_fails(f, "sub dir1", "/n/", ERR_INPUT, "cannot replace to directory /n/dir1 with file");
}

static void keeps_an_existing_folder_but_for_its_time(void **state)
{
	struct fixture *f = *state;
	struct tree_index *ix;
	struct tree_entry e;

	tree(f);
	set_mtime(f->ctx, "sub", 777);
	set_mtime(f->ctx, "sub/dir1", 888);
	assert_int_equal(fchmodat(f->ctx, "sub", 0711, 0), 0);
	BASE(f, "d there", "d there/dir1");
	assert_copied(f, "sub", "/there",
		"d there 700 1:2\nd there/dir1 755 0:0\nd there/dir1/dir2 750 0:0\nf there/dir1/dir2/foo 644 0:0 4\n"
		"f there/dir1/x 644 0:0 1\n");
	ix = load(f, "out.index");
	assert_true(index_find(ix, "there", &e));
	assert_int_equal(e.mtime, 777);
	assert_true(index_find(ix, "there/dir1", &e));
	assert_int_equal(e.mtime, 888);
	assert_true(index_find(ix, "there/dir1/x", &e));
	assert_int_equal(e.mtime, 1000);
	assert_true(e.has_digest);
	index_close(ix);
	copy_what(f, "sub", "/made/new");
	run(f);
	ix = load(f, "out.index");
	assert_true(index_find(ix, "made", &e));
	assert_int_equal(e.mtime, NOW);
	assert_true(index_find(ix, "made/new", &e));
	assert_int_equal(e.mode, 0755);
	assert_int_equal(e.mtime, 777);
	index_close(ix);
	/* parents that are there already keep their time too */
	copy_what(f, "foo", "/there/n");
	run(f);
	ix = load(f, "out.index");
	assert_true(index_find(ix, "there", &e));
	assert_int_equal(e.mtime, 5);
	index_close(ix);
}

static void lets_later_sources_win(void **state)
{
	struct fixture *f = *state;

	tree(f);
	put_dir(f->ctx, "other");
	put_dir(f->ctx, "other/dir1");
	put_file(f->ctx, "other/dir1/x", "another x");
	assert_int_equal(fchmodat(f->ctx, "other/dir1", 0700, 0), 0);
	assert_copied(f, "sub other", "/d",
		"d d 755 0:0\nd d/dir1 700 0:0\nd d/dir1/dir2 750 0:0\nf d/dir1/dir2/foo 644 0:0 4\nf d/dir1/x 644 0:0 9\n");
	assert_copied(f, "other sub", "/d",
		"d d 755 0:0\nd d/dir1 755 0:0\nd d/dir1/dir2 750 0:0\nf d/dir1/dir2/foo 644 0:0 4\nf d/dir1/x 644 0:0 1\n");
	assert_copied(f, "foo bar.go", "/same", "f same 644 0:0 4\n");
}

static void changes_owners(void **state)
{
	struct fixture *f = *state;

	tree(f);
	BASE(f, "d there");
	set_string(&f->spec.chown, "300:400");
	assert_copied(f, "sub/dir1", "/new/x",
		"d new 755 300:400\nd new/x 755 300:400\nd new/x/dir2 750 300:400\nf new/x/dir2/foo 644 300:400 4\n"
		"f new/x/x 644 300:400 1\n");
	assert_copied(f, "foo", "/there/", "d there 700 1:2\nf there/foo 644 300:400 3\n");
	set_string(&f->spec.chown, "7");
	assert_copied(f, "foo", "/", "f foo 644 7:7 3\n");
	set_string(&f->spec.chown, "");
	assert_copied(f, "foo", "/", "f foo 644 0:0 3\n");
	set_string(&f->spec.chown, "root:root");
	assert_copied(f, "foo", "/", "f foo 644 0:0 3\n");
	set_string(&f->spec.chown, "daemon");
	assert_copy_fails(f, "foo", "/", ERR_INPUT, "daemon");
	set_string(&f->spec.chown, "4294967295");
	assert_copy_fails(f, "foo", "/", ERR_INPUT, "4294967295");
}

/* A base layer with etc -> /real/etc and the two files, as a blob or as a folder. */
static void put_users(struct fixture *f, bool as_blob)
{
	static const char passwd[] = "root:x:0:0::/:/bin/sh\ndaemon:x:12:34::/:/bin/sh\n";
	struct layer_write_options o = LAYER_WRITE_INIT;
	auto_fd int folder = -1;
	auto_fd int ix_fd = open("users.index", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	auto_fd int blob = open("users.blob", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	struct index_sink *sink = index_sink_new(0);
	struct layer_writer *w;
	struct folder_walk_options walk = { .plain = true };

	assert_int_equal(mkdir("users", 0755), 0);
	folder = open("users", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_dir(folder, "real");
	put_dir(folder, "real/etc");
	put_file(folder, "real/etc/passwd", passwd);
	put_file(folder, "real/etc/group", "nobody:x:99:\n");
	assert_int_equal(symlinkat("/real/etc", folder, "etc"), 0);
	o.beside = index_sink_of(sink);
	w = layer_writer_new(blob, &o, &f->err);
	check(f, folder_walk(folder, &walk, layer_writer_sink(w), NULL, &f->err));
	check(f, index_save(sink, ix_fd, &f->err));
	layer_writer_free(w);
	index_sink_free(sink);
	strv_add(&f->spec.base_folders, as_blob ? "" : "users");
	strv_add(&f->spec.base_blobs, as_blob ? "users.blob" : "");
	strv_add(&f->spec.base_indexes, "users.index");
}

static void looks_up_names(struct fixture *f)
{
	BASE(f, "d other");
	set_string(&f->spec.chown, "daemon");
	assert_copied(f, "foo", "/", "f foo 644 12:34 3\n");
	set_string(&f->spec.chown, "1000:nobody");
	assert_copied(f, "foo", "/", "f foo 644 1000:99 3\n");
	set_string(&f->spec.chown, "nosuchuser");
	assert_copy_fails(f, "foo", "/", ERR_INPUT, "nosuchuser");
	f->spec.make_dir_only = true;
	set_string(&f->spec.dest, "/w");
	check(f, run_layer(f));
}

static void looks_up_names_in_a_folder(void **state)
{
	struct fixture *f = *state;

	tree(f);
	put_users(f, false);
	looks_up_names(f);
}

static void looks_up_names_in_a_layer(void **state)
{
	struct fixture *f = *state;

	tree(f);
	put_users(f, true);
	looks_up_names(f);
}

static void changes_modes(void **state)
{
	struct fixture *f = *state;

	tree(f);
	assert_int_equal(fchmodat(f->ctx, "foo", 04755, 0), 0);
	assert_copied(f, "foo", "/", "f foo 4755 0:0 3\n");
	set_string(&f->spec.chmod, "0777");
	assert_copied(f, "foo", "/parent/", "d parent 777 0:0\nf parent/foo 777 0:0 3\n");
	assert_copied(f, "sub/dir1", "/n", "d n 777 0:0\nd n/dir2 777 0:0\nf n/dir2/foo 777 0:0 4\nf n/x 777 0:0 1\n");
	set_string(&f->spec.chmod, "0");
	assert_copied(f, "foo", "/", "f foo 0 0:0 3\n");
	set_string(&f->spec.chmod, "2413");
	assert_copied(f, "foo", "/p/", "d p 413 0:0\nf p/foo 2413 0:0 3\n");
	set_string(&f->spec.chmod, "go-w,u-s");
	assert_copied(f, "foo", "/p/", "d p 755 0:0\nf p/foo 755 0:0 3\n");
	set_string(&f->spec.chmod, "u=rw,g=r,o=r");
	assert_copied(f, "foo", "/", "f foo 644 0:0 3\n");
	set_string(&f->spec.chmod, "a+X,g+w");
	assert_copied(f, "sub/dir1", "/n", "d n 755 0:0\nd n/dir2 771 0:0\nf n/dir2/foo 664 0:0 4\nf n/x 664 0:0 1\n");
	set_string(&f->spec.chmod, "64a");
	assert_copy_fails(f, "foo", "/", ERR_INPUT, "invalid chmod parameter: '64a'");
	set_string(&f->spec.chmod, "10000");
	assert_copy_fails(f, "foo", "/", ERR_INPUT, "between 0 and 07777");
	set_string(&f->spec.chmod, "u~x");
	assert_copy_fails(f, "foo", "/", ERR_INPUT, "invalid syntax");
}

static void writes_heredocs(void **state)
{
	struct fixture *f = *state;

	tree(f);
	strv_add(&f->spec.file_names, "A");
	strv_add(&f->spec.file_contents, "hello\n");
	strv_add(&f->spec.file_names, "B");
	strv_add(&f->spec.file_contents, "");
	assert_copied(f, "foo", "/d/", "d d 755 0:0\nf d/A 644 0:0 6\nf d/B 644 0:0 0\nf d/foo 644 0:0 3\n");
	set_string(&f->spec.chmod, "a+x");
	set_string(&f->spec.chown, "5:6");
	assert_copied(f, "", "/d/", "d d 755 5:6\nf d/A 755 5:6 6\nf d/B 755 5:6 0\n");
	assert_int_equal(f->result.bytes, 6);
}

static void keeps_hard_links_within_a_source(void **state)
{
	struct fixture *f = *state;

	put_dir(f->ctx, "a");
	put_dir(f->ctx, "b");
	put_file(f->ctx, "a/z", "data");
	assert_int_equal(linkat(f->ctx, "a/z", f->ctx, "a/m", 0), 0);
	assert_int_equal(linkat(f->ctx, "a/z", f->ctx, "b/n", 0), 0);
	assert_copied(f, "a", "/d", "d d 755 0:0\nf d/m 644 0:0 4\nh d/z 644 0:0 -> d/m\n");
	assert_int_equal(f->result.bytes, 4);
	assert_copied(f, ".", "/d",
		"d d 755 0:0\nd d/a 755 0:0\nf d/a/m 644 0:0 4\nh d/a/z 644 0:0 -> d/a/m\nd d/b 755 0:0\n"
		"h d/b/n 644 0:0 -> d/a/m\n");
	assert_copied(f, "a b", "/d", "d d 755 0:0\nf d/m 644 0:0 4\nf d/n 644 0:0 4\nh d/z 644 0:0 -> d/m\n");
	/* the first name is overwritten: the next one becomes the file */
	put_dir(f->ctx, "c");
	put_file(f->ctx, "c/m", "other one");
	assert_copied(f, "a c", "/d", "d d 755 0:0\nf d/m 644 0:0 9\nf d/z 644 0:0 4\n");
}

static void keeps_special_files_and_attributes(void **state)
{
	struct fixture *f = *state;
	bool has_xattrs;

	put_file(f->ctx, "x", "x");
	has_xattrs = setxattr("ctx/x", "user.b", "2", 1, 0) == 0;
	assert_int_equal(mknodat(f->ctx, "pipe", S_IFIFO | 0640, 0), 0);
	assert_int_equal(mknodat(f->ctx, "sock", S_IFSOCK | 0600, 0), 0);
	if (!has_xattrs) {
		assert_copied(f, ".", "/", "p pipe 640 0:0\nf sock 600 0:0 0\nf x 644 0:0 1\n");
		return;
	}
	put_xattr(f->ctx, "x", "user.a", "1");
	put_xattr(f->ctx, "x", "user.overlay.opaque", "y");
	assert_copied(f, ".", "/", "p pipe 640 0:0\nf sock 600 0:0 0\nf x 644 0:0 1 [user.a=1] [user.b=2]\n");
}

static void refuses_names_that_no_layer_can_hold(void **state)
{
	struct fixture *f = *state;

	put_dir(f->ctx, "d");
	put_file(f->ctx, "d/.wh.x", "");
	assert_copy_fails(f, ".", "/", ERR_INPUT, "starts with .wh.");
	set_string(&f->spec.ignore, "**/.wh.*");
	assert_copied(f, ".", "/", "d d 755 0:0\n");
}

static void makes_the_working_directory(void **state)
{
	struct fixture *f = *state;

	f->spec.from_context = false;
	f->spec.make_dir_only = true;
	BASE(f, "d usr", "d usr/app", "l app -> usr/app", "f file");
	set_string(&f->spec.chown, "10:20");
	assert_copied(f, "", "/work/dir/", "d work 755 10:20\nd work/dir 755 10:20\n");
	assert_copied(f, "", "/app/x/", "d usr 700 1:2\nd usr/app 700 1:2\nd usr/app/x 755 10:20\n");
	assert_copied(f, "", "/app/", "");
	assert_int_equal(f->result.entries, 0);
	assert_copied(f, "", "/", "");
	assert_copy_fails(f, "", "/file/", ERR_INPUT, "'/file' is not a directory");
	set_string(&f->spec.chown, "nosuchuser");
	assert_copied(f, "", "/w/", "d w 755 0:0\n");
}

static void writes_both_outputs_at_once(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	tree(f);
	copy_what(f, "foo", "/d/");
	empty_file("both.index");
	empty_file("both.blob");
	assert_int_equal(mkdir("both.fs", 0755), 0);
	set_string(&f->spec.index_out, "both.index");
	set_string(&f->spec.blob_out, "both.blob");
	set_string(&f->spec.folder_out, "both.fs");
	f->spec.compression = COMPRESSION_ZSTD;
	f->spec.epoch = 900;
	check(f, copy_run(&f->spec, f->ctx, &f->result, &f->err));
	assert_int_equal(stat("both.fs/d/foo", &st), 0);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(f->result.made, 2);
	assert_int_equal(stat("both.blob", &st), 0);
	assert_int_equal(st.st_size, f->result.layer.size);
	assert_int_equal(f->result.layer.entries, 2);
}

static void copies_big_files(void **state)
{
	struct fixture *f = *state;
	auto_free char *data = xmalloc(1 << 20);
	int fd = openat(f->ctx, "big", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	uint32_t x = 1;

	for (size_t i = 0; i < 1 << 20; i++)
		data[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
	assert_int_equal(write_all(fd, data, 1 << 20), 0);
	assert_int_equal(write_all(fd, data, 12345), 0);
	close(fd);
	copy_what(f, "big", "/");
	run(f);
	assert_layer(f, "f big 644 0:0 1060921\n");
	assert_int_equal(f->result.bytes, 1060921);
}

static void bounds_the_depth(void **state)
{
	struct fixture *f = *state;
	auto_strbuf dest = STRBUF_INIT;
	int fd = dup(f->ctx);

	for (int i = 0; i < 100; i++) {
		int below;

		put_dir(fd, "d");
		below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = below;
	}
	close(fd);
	for (int i = 0; i < 200; i++)
		strbuf_puts(&dest, "/a");
	assert_copy_fails(f, ".", dest.buf, ERR_INPUT, "too deep");
	for (int i = 0; i < 57; i++)
		strbuf_puts(&dest, "/a");
	assert_copy_fails(f, "d", dest.buf, ERR_INPUT, "too deep");
	strbuf_puts(&dest, "/");
	for (int i = 0; i < 256; i++)
		strbuf_putc(&dest, 'x');
	assert_copy_fails(f, "d", dest.buf + 2 * 257, ERR_INPUT, "too long");
}

static void survives_the_wire(void **state)
{
	struct fixture *f = *state;
	auto_strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	struct copy_spec got;
	struct wire w;

	copy_what(f, "a b", "/d/");
	BASE(f, "d x");
	set_string(&f->spec.chmod, "755");
	strv_add(&f->spec.file_names, "N");
	strv_add(&f->spec.file_contents, "c");
	f->spec.parents = f->spec.extract = true;
	copy_spec_put(&f->spec, &a);
	wire_init(&w, a.buf, a.len);
	assert_true(copy_spec_get(&w, &got));
	copy_spec_put(&got, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.buf, b.buf, a.len);
	assert_int_equal(got.epoch, LAYER_EPOCH_NONE);
	copy_spec_release(&got);
	for (size_t n = 0; n < a.len; n += 7) {
		wire_init(&w, a.buf, n);
		assert_false(copy_spec_get(&w, &got));
		copy_spec_release(&got);
	}
	check_refused(f, copy_result_get(&a, &f->result, &f->err), ERR_SYSTEM, "bytes");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copies_a_file_to_a_name_and_into_a_folder),
		TEST(copies_the_contents_of_a_folder),
		TEST(matches_wildcards),
		TEST(reports_a_missing_source),
		TEST(follows_links_inside_the_source_root),
		TEST(honours_the_ignore_file),
		TEST(never_opens_what_is_ignored),
		TEST(excludes_below_each_source),
		TEST(resolves_the_destination_in_the_base),
		TEST(refuses_files_over_folders_and_the_reverse),
		TEST(keeps_an_existing_folder_but_for_its_time),
		TEST(lets_later_sources_win),
		TEST(changes_owners),
		TEST(looks_up_names_in_a_folder),
		TEST(looks_up_names_in_a_layer),
		TEST(changes_modes),
		TEST(writes_heredocs),
		TEST(keeps_hard_links_within_a_source),
		TEST(keeps_special_files_and_attributes),
		TEST(refuses_names_that_no_layer_can_hold),
		TEST(makes_the_working_directory),
		TEST(writes_both_outputs_at_once),
		TEST(copies_big_files),
		TEST(bounds_the_depth),
		TEST(survives_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
