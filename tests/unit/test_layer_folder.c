#include "unit/layer_util.h"

#include <sys/xattr.h>

#include "layer/bounds.h"

struct box {
	char path[64];
	int fd;
};

static void box_open(struct box *b)
{
	b->fd = scratch_new(b->path);
	assert_int_equal(fchmod(b->fd, 0755), 0);
}

static void box_close(struct box *b)
{
	scratch_end(b->fd, b->path);
}

static void assert_walk(struct box *b, const struct folder_walk_options *opt, const char *expected)
{
	struct folder_walk_options as_root = {.as_root = true};
	struct recorder r = RECORDER_INIT;
	struct err err = ERR_INIT;

	if (opt)
		as_root = *opt;
	assert_ok(folder_walk(b->fd, &as_root, &r.sink, NULL, &err));
	assert_string_equal(r.text.buf, expected);
	assert_int_equal(r.finished, 1);
	strbuf_release(&r.text);
}

static int walk(struct box *b, const struct folder_walk_options *opt, struct err *err)
{
	struct recorder r = RECORDER_INIT;
	int result = folder_walk(b->fd, opt, &r.sink, NULL, err);

	strbuf_release(&r.text);
	return result;
}

/* The record that a copied-up file brings along from below. */
static void record_owner(const struct box *b, const char *path, uint32_t uid, uint32_t gid)
{
	struct owner_record r = {.uid = uid, .gid = gid};
	auto_fd int fd = openat(b->fd, path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(owner_record_put(fd, &r), 0);
}

/* An index of what a folder holds now. */
static struct tree_index *snapshot(struct box *b, unsigned flags)
{
	AUTO(index_sink_free) struct index_sink *s = index_sink_new(flags);
	struct folder_walk_options opt = {.as_root = true};
	struct err err = ERR_INIT;

	assert_ok(folder_walk(b->fd, &opt, index_sink_of(s), NULL, &err));
	return index_of_sink(s);
}

static void plain_tree_comes_in_order(void **state)
{
	struct box b;

	(void)state;
	box_open(&b);
	put_dir(b.fd, "d");
	put_file(b.fd, "d/f", "hello");
	put_file(b.fd, "d-e", "x");
	put_dir(b.fd, "d/sub");
	put_file(b.fd, "a", "");
	assert_int_equal(symlinkat("../x", b.fd, "d/l"), 0);
	assert_int_equal(mkfifoat(b.fd, "p", 0600), 0);
	assert_walk(&b, NULL,
		"f a 644 0:0 0\nd d 755 0:0\nf d/f 644 0:0 5\nl d/l 777 0:0 -> ../x\nd d/sub 755 "
		"0:0\n"
		"f d-e 644 0:0 1\np p 600 0:0\n");
	box_close(&b);
}

static void hard_links_are_grouped(void **state)
{
	struct box b;

	(void)state;
	box_open(&b);
	put_dir(b.fd, "d");
	put_file(b.fd, "z", "hello");
	assert_int_equal(linkat(b.fd, "z", b.fd, "d/a", 0), 0);
	assert_int_equal(linkat(b.fd, "z", b.fd, "m", 0), 0);
	put_whiteout(b.fd, "w1");
	assert_int_equal(linkat(b.fd, "w1", b.fd, "w2", 0), 0);
	assert_walk(&b, NULL,
		"w w1\nw w2\nd d 755 0:0\nf d/a 644 0:0 5\nh m 644 0:0 -> d/a\nh z 644 0:0 -> "
		"d/a\n");
	box_close(&b);
}

static void whiteouts_come_first_and_opaque_is_told(void **state)
{
	struct box b;

	(void)state;
	box_open(&b);
	put_dir(b.fd, "d");
	put_file(b.fd, "d/a", "");
	put_whiteout(b.fd, "d/z");
	put_dir(b.fd, "o");
	put_xattr(b.fd, "o", "user.overlay.opaque", "y");
	put_xattr(b.fd, "d", "user.overlay.origin", "?");
	assert_walk(&b, NULL, "d d 755 0:0\nw d/z\nf d/a 644 0:0 0\ndo o 755 0:0\n");
	box_close(&b);
}

/* As a file capability is: the value is bytes, not text. */
static void attribute_values_may_hold_any_byte(void **state)
{
	static const char value[] = "\x01\0\0\x02\0\x20";
	AUTO(index_close) struct tree_index *ix = NULL;
	struct tree_entry e;
	struct box b;
	int fd;

	(void)state;
	box_open(&b);
	put_file(b.fd, "f", "");
	fd = openat(b.fd, "f", O_RDWR | O_CLOEXEC);
	assert_int_equal(fsetxattr(fd, "user.bytes", value, sizeof(value), 0), 0);
	close(fd);
	ix = snapshot(&b, 0);
	assert_true(index_find(ix, "f", &e));
	assert_int_equal(e.nxattrs, 1);
	assert_int_equal(e.xattrs[0].len, sizeof(value));
	assert_memory_equal(e.xattrs[0].value, value, sizeof(value));
	box_close(&b);
}

static void attributes_follow_the_policy(void **state)
{
	struct box b;

	(void)state;
	box_open(&b);
	put_file(b.fd, "f", "x");
	put_xattr(b.fd, "f", "user.b", "2");
	put_xattr(b.fd, "f", "user.a", "1");
	put_xattr(b.fd, "f", "user.overlay.overlay.opaque", "n");
	put_xattr(b.fd, "f", "user.overlay.impure", "y");
	put_xattr(b.fd, "f", "user.whittle.own", "n");
	put_xattr(b.fd, "f", "user.e=q", "n");
	put_xattr(b.fd, "f", "user.none", "");
	assert_walk(&b, NULL, "f f 644 0:0 1 [user.a=1] [user.b=2] [user.overlay.opaque=n]\n");
	box_close(&b);
}

static void options_of_overlayfs_that_we_do_not_use_are_refused(void **state)
{
	struct folder_walk_options plain = {.plain = true};
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	put_dir(b.fd, "d");
	put_xattr(b.fd, "d", "user.overlay.redirect", "/x");
	assert_refused(walk(&b, NULL, &err), ERR_UNSUPPORTED);
	assert_ok(walk(&b, &plain, &err));
	box_close(&b);
	box_open(&b);
	put_file(b.fd, "f", "x");
	put_xattr(b.fd, "f", "user.overlay.metacopy", "");
	assert_refused(walk(&b, NULL, &err), ERR_UNSUPPORTED);
	put_whiteout(b.fd, "w");
	assert_refused(walk(&b, &plain, &err), ERR_INPUT);
	box_close(&b);
}

static void names_of_whiteouts_are_refused(void **state)
{
	struct err err;
	struct box b;

	(void)state;
	box_open(&b);
	put_dir(b.fd, "d");
	put_file(b.fd, "d/.wh.x", "");
	assert_refused(walk(&b, NULL, &err), ERR_INPUT);
	assert_non_null(strstr(err.msg, "d/.wh.x"));
	box_close(&b);
}

static void unchanged_entries_are_left_out(void **state)
{
	AUTO(index_close) struct tree_index *ix = NULL;
	struct folder_walk_options opt = {.as_root = true};
	auto_chain lower = CHAIN_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	put_dir(b.fd, "d");
	put_dir(b.fd, "d/e");
	put_file(b.fd, "d/e/same", "hello");
	put_file(b.fd, "d/e/other", "hello");
	assert_int_equal(symlinkat("x", b.fd, "l"), 0);
	set_mtime(b.fd, "d/e", 7);
	set_mtime(b.fd, "d", 7);
	ix = snapshot(&b, INDEX_DIGESTS);
	chain_push(&lower, ix);
	opt.lower = &lower;
	assert_walk(&b, &opt, "");
	put_file(b.fd, "d/e/other", "HELLO"); /* the same size and time */
	set_mtime(b.fd, "d/e", 7);
	assert_walk(&b, &opt, "d d 755 0:0\nd d/e 755 0:0\nf d/e/other 644 0:0 5\n");
	assert_int_equal(fchmodat(b.fd, "d", 0700, 0), 0);
	put_file(b.fd, "d/e/other", "hello");
	set_mtime(b.fd, "d/e", 7);
	assert_walk(&b, &opt, "d d 700 0:0\n");
	/* another name for a file of lower: the layer has both, else they would be two files */
	assert_int_equal(linkat(b.fd, "d/e/same", b.fd, "new", 0), 0);
	assert_walk(&b, &opt,
		"d d 700 0:0\nd d/e 755 0:0\nf d/e/same 644 0:0 5\nh new 644 0:0 -> d/e/same\n");
	box_close(&b);
}

static void pointless_whiteouts_are_left_out(void **state)
{
	static const char *const low[] = {"d d", "f d/a", "f f", NULL};
	AUTO(index_close) struct tree_index *ix = index_of(low);
	struct folder_walk_options opt = {.as_root = true};
	auto_chain lower = CHAIN_INIT;
	struct box b;

	(void)state;
	chain_push(&lower, ix);
	opt.lower = &lower;
	box_open(&b);
	put_dir(b.fd, "d");
	record_owner(&b, "d", 1, 2);
	put_whiteout(b.fd, "d/a");
	put_whiteout(b.fd, "d/never");
	put_whiteout(b.fd, "f");
	put_dir(b.fd, "new");
	put_whiteout(b.fd, "new/x");
	assert_walk(&b, &opt, "w f\nd d 755 1:2\nw d/a\nd new 755 0:0\n");
	box_close(&b);
}

static void opaque_directories_are_spelled_out(void **state)
{
	static const char *const low[] = {
		"d d", "f d/a", "f d/b", "d d/s", "f d/s/x", "f d/s/y", "f file", NULL};
	AUTO(index_close) struct tree_index *ix = index_of(low);
	struct folder_walk_options opt = {.as_root = true};
	auto_chain lower = CHAIN_INIT;
	struct box b;

	(void)state;
	chain_push(&lower, ix);
	opt.lower = &lower;
	box_open(&b);
	put_dir(b.fd, "d");
	record_owner(&b, "d", 1, 2);
	put_xattr(b.fd, "d", "user.overlay.opaque", "y");
	put_file(b.fd, "d/b", "new");
	put_dir(b.fd, "d/s"); /* not marked, but nothing of the old shows */
	put_file(b.fd, "d/s/y", "new");
	put_dir(b.fd, "file");
	put_xattr(b.fd, "file", "user.overlay.opaque", "y");
	assert_walk(&b, &opt,
		"d d 755 1:2\nw d/a\nf d/b 644 0:0 3\nd d/s 755 0:0\nw d/s/x\nf d/s/y 644 0:0 3\n"
		"d file 755 0:0\n");
	box_close(&b);
}

static void large_opaque_directories_stay_so(void **state)
{
	AUTO(index_sink_free) struct index_sink *s = index_sink_new(0);
	struct tree_sink *sink = index_sink_of(s);
	AUTO(index_close) struct tree_index *ix = NULL;
	struct folder_walk_options opt = {.as_root = true};
	auto_chain lower = CHAIN_INIT;
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	for (int i = 0; i <= LAYER_OPAQUE_WHITEOUTS; i++) {
		char path[32];
		struct tree_entry e = {.path = path, .type = ENTRY_FILE};

		snprintf(path, sizeof(path), "d/f%d", i);
		assert_ok(sink->entry(sink, &e, &err));
	}
	assert_ok(
		sink->entry(sink, &(struct tree_entry){.path = "d/s/x", .type = ENTRY_FILE}, &err));
	assert_ok(sink->finish(sink, &err));
	ix = index_of_sink(s);
	chain_push(&lower, ix);
	opt.lower = &lower;
	box_open(&b);
	put_dir(b.fd, "d");
	put_xattr(b.fd, "d", "user.overlay.opaque", "y");
	put_dir(b.fd, "d/s");
	assert_walk(&b, &opt, "do d 755 0:0\nd d/s 755 0:0\n");
	box_close(&b);
}

static void attribute_whiteouts_need_their_directory(void **state)
{
	struct box b;

	(void)state;
	box_open(&b);
	put_dir(b.fd, "x");
	put_xattr(b.fd, "x", "user.overlay.opaque", "x");
	put_file(b.fd, "x/gone", "");
	put_xattr(b.fd, "x/gone", "user.overlay.whiteout", "y");
	put_dir(b.fd, "y");
	put_file(b.fd, "y/empty", "");
	put_xattr(b.fd, "y/empty", "user.overlay.whiteout", "y");
	assert_walk(&b, NULL, "d x 755 0:0\nw x/gone\nd y 755 0:0\nf y/empty 644 0:0 0\n");
	box_close(&b);
}

static void mount_stubs_are_skipped_while_empty(void **state)
{
	static const char *const skip[] = {
		"etc/resolv.conf", "run", "run/secrets", "run/secrets/x", "full", NULL};
	static const char *const low[] = {"d etc", NULL};
	AUTO(index_close) struct tree_index *ix = index_of(low);
	struct folder_walk_options opt = {.as_root = true, .skip = skip};
	auto_chain lower = CHAIN_INIT;
	struct box b;

	(void)state;
	chain_push(&lower, ix);
	opt.lower = &lower;
	box_open(&b);
	put_dir(b.fd, "etc");
	record_owner(&b, "etc", 1, 2);
	put_file(b.fd, "etc/resolv.conf", "");
	put_dir(b.fd, "run");
	put_dir(b.fd, "run/secrets");
	put_file(b.fd, "run/secrets/x", "");
	put_file(b.fd, "full", "x");
	set_mtime(b.fd, "etc", 5);
	assert_int_equal(fchmodat(b.fd, "etc", 0700, 0), 0);
	assert_walk(&b, &opt, "f full 644 0:0 1\n");
	put_file(b.fd, "run/mine", "");
	assert_walk(&b, &opt, "f full 644 0:0 1\nd run 755 0:0\nf run/mine 644 0:0 0\n");
	box_close(&b);
}

/* The supervisor's table: links have no attributes. */
static bool owner_of_link(void *ctx, const char *path, struct owner_record *ret)
{
	*ret = (struct owner_record){.uid = 7, .gid = 8};
	return strcmp(path, ctx) == 0;
}

static void recorded_owners_count(void **state)
{
	static const char *const low[] = {"f same", "f changed", NULL};
	AUTO(index_close) struct tree_index *ix = index_of(low);
	struct folder_walk_options opt = {.as_root = true};
	struct owner_record null = {.type = S_IFCHR, .major = 1, .minor = 3};
	auto_chain lower = CHAIN_INIT;
	struct box b;

	(void)state;
	chain_push(&lower, ix);
	opt.lower = &lower;
	opt.owner_of = owner_of_link;
	opt.owner_ctx = (char[]){"own"};
	box_open(&b);
	put_file(b.fd, "same", "7 bytes");
	set_mtime(b.fd, "same", 5);
	record_owner(&b, "same", 1, 2);
	put_file(b.fd, "changed", ""); /* by a new file of root's in its place */
	set_mtime(b.fd, "changed", 5);
	put_file(b.fd, "null", "");
	{
		auto_fd int fd = openat(b.fd, "null", O_RDONLY | O_CLOEXEC);

		assert_int_equal(owner_record_put(fd, &null), 0);
	}
	assert_int_equal(symlinkat("x", b.fd, "own"), 0);
	assert_int_equal(symlinkat("x", b.fd, "roots"), 0);
	assert_walk(&b, &opt,
		"f changed 644 0:0 0\nc null 644 0:0\nl own 777 7:8 -> x\nl roots 777 0:0 -> x\nf same 644 1:2 7\n");
	opt.plain = true; /* a context: such an attribute means nothing there */
	opt.lower = NULL;
	opt.owner_of = NULL;
	assert_walk(&b, &opt,
		"f changed 644 0:0 0\nf null 644 0:0 0\nl own 777 0:0 -> x\nl roots 777 0:0 -> x\nf same 644 0:0 7\n");
	box_close(&b);
}

static void setgid_directories_hand_their_group_on(void **state)
{
	struct folder_walk_options opt = {.as_root = true, .owner_of = owner_of_link, .owner_ctx = (char[]){""}};
	struct owner_record got;
	struct box b;

	(void)state;
	box_open(&b);
	put_dir(b.fd, "mail");
	record_owner(&b, "mail", 0, 8);
	assert_int_equal(fchmodat(b.fd, "mail", 02775, 0), 0);
	put_file(b.fd, "mail/new", "");
	put_file(b.fd, "mail/roots", "");
	record_owner(&b, "mail/roots", 0, 0);
	assert_walk(&b, &opt, "d mail 2775 0:8\nf mail/new 644 0:8 0\nf mail/roots 644 0:0 0\n");
	{
		auto_fd int fd = openat(b.fd, "mail/new", O_RDONLY | O_CLOEXEC);

		assert_true(owner_record_get(fd, &got)); /* for the step after */
		assert_int_equal(got.gid, 8);
	}
	box_close(&b);
}

static void metadata_alone_reads_no_file(void **state)
{
	struct folder_walk_options opt = {.metadata_only = true};
	struct recorder r = RECORDER_INIT;
	struct folder_walk_stats stats;
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	put_file(b.fd, "f", "hello");
	assert_ok(folder_walk(b.fd, &opt, &r.sink, &stats, &err));
	assert_int_equal(r.data, 0);
	assert_int_equal(stats.entries, 1);
	opt.metadata_only = false;
	assert_ok(folder_walk(b.fd, &opt, &r.sink, &stats, &err));
	assert_int_equal(r.data, 5);
	strbuf_release(&r.text);
	box_close(&b);
}

static int grow_file(struct tree_sink *s, const struct tree_entry *e, struct err *err)
{
	(void)s;
	(void)err;
	if (strcmp(e->path, "f") == 0) {
		auto_fd int fd = open(*(char **)(s + 1), O_WRONLY | O_APPEND | O_CLOEXEC);

		assert_int_equal(write_all(fd, "more", 4), 0);
	}
	return 0;
}

static void files_that_change_are_noticed(void **state)
{
	struct {
		struct tree_sink sink;
		char *file;
	} s = {{grow_file, recorder_data, recorder_finish}, NULL};
	struct err err;
	struct box b;

	(void)state;
	box_open(&b);
	put_file(b.fd, "f", "hello");
	s.file = xasprintf("%s/f", b.path);
	s.sink.data = tree_null_sink()->data;
	assert_refused(folder_walk(b.fd, NULL, &s.sink, NULL, &err), ERR_CORRUPT);
	free(s.file);
	box_close(&b);
}

static void root_is_told_on_request(void **state)
{
	struct folder_walk_options opt = {.as_root = true, .root_entry = true};
	struct box b;

	(void)state;
	box_open(&b);
	assert_walk(&b, &opt, "");
	assert_int_equal(fchmod(b.fd, 0700), 0);
	assert_walk(&b, &opt, "d . 700 0:0\n");
	assert_walk(&b, NULL, "");
	box_close(&b);
}

static void too_deep_is_refused(void **state)
{
	struct err err;
	struct box b;
	int fd, next;

	(void)state;
	box_open(&b);
	fd = dup(b.fd);
	for (int i = 0; i <= LAYER_DEPTH_MAX; i++) {
		put_dir(fd, "d");
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_refused(walk(&b, NULL, &err), ERR_INPUT);
	box_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_tree_comes_in_order),
		cmocka_unit_test(hard_links_are_grouped),
		cmocka_unit_test(whiteouts_come_first_and_opaque_is_told),
		cmocka_unit_test(attributes_follow_the_policy),
		cmocka_unit_test(options_of_overlayfs_that_we_do_not_use_are_refused),
		cmocka_unit_test(names_of_whiteouts_are_refused),
		cmocka_unit_test(unchanged_entries_are_left_out),
		cmocka_unit_test(pointless_whiteouts_are_left_out),
		cmocka_unit_test(opaque_directories_are_spelled_out),
		cmocka_unit_test(large_opaque_directories_stay_so),
		cmocka_unit_test(attribute_whiteouts_need_their_directory),
		cmocka_unit_test(mount_stubs_are_skipped_while_empty),
		cmocka_unit_test(attribute_values_may_hold_any_byte),
		cmocka_unit_test(recorded_owners_count),
		cmocka_unit_test(setgid_directories_hand_their_group_on),
		cmocka_unit_test(metadata_alone_reads_no_file),
		cmocka_unit_test(files_that_change_are_noticed),
		cmocka_unit_test(root_is_told_on_request),
		cmocka_unit_test(too_deep_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
