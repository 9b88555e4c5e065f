#include "unit/layer_util.h"

struct box {
	char path[64];
	int fd;
};

static void box_open(struct box *b)
{
	b->fd = scratch_new(b->path);
}

static void box_close(struct box *b)
{
	scratch_end(b->fd, b->path);
}

/* Unpack a raw tar into fd. */
static int unpack(
	struct strbuf *tar, int fd, const struct folder_writer_options *opt, struct err *err)
{
	AUTO(folder_writer_free) struct folder_writer *w = folder_writer_new(fd, opt, err);
	auto_fd int blob = -1;

	raw_end(tar);
	blob = blob_of(tar->buf, tar->len);
	strbuf_reset(tar);
	return layer_read(blob, NULL, folder_writer_sink(w), NULL, err);
}

/* A member that its owner can read, also where that is not root. */
static void add(struct strbuf *tar, struct raw r)
{
	if (r.mode == 0)
		r.mode = 0644;
	raw_add(tar, r);
}

#define R(...) add(&tar, (struct raw){__VA_ARGS__})

static struct stat stat_of(int fd, const char *path)
{
	struct stat st;

	if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("no '%s': %s", path, strerror(errno));
	return st;
}

static bool is_there(int fd, const char *path)
{
	struct stat st;

	return fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void assert_content(int fd, const char *path, const char *expected)
{
	auto_fd int file = openat(fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_strbuf sb = STRBUF_INIT;

	assert_true(file >= 0);
	assert_int_equal(read_all(file, &sb, 1 << 20), 0);
	assert_string_equal(sb.buf, expected);
}

static void assert_link(int fd, const char *path, const char *expected)
{
	char target[256] = {0};

	assert_true(readlinkat(fd, path, target, sizeof(target) - 1) >= 0);
	assert_string_equal(target, expected);
}

static bool is_whiteout(int fd, const char *path)
{
	struct stat st;

	return fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(0, 0);
}

static bool is_opaque(int fd, const char *path)
{
	auto_fd int dir = openat(fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char value = 0;

	return dir >= 0 && fgetxattr(dir, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/* ---- what layers hold ---- */

static void tree_is_made_as_it_was(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct stat st;
	struct box b;

	(void)state;
	box_open(&b);
	umask(077);
	R(.name = "d/", .type = '5', .mode = 0751, .mtime = 1000);
	R(.name = "d/f", .body = "hello", .mode = 0666, .mtime = 2000);
	R(.name = "d/x", .mode = 04711, .mtime = 2000);
	R(.name = "d/s", .type = '2', .link = "/nowhere", .mtime = 3000);
	R(.name = "d/h", .type = '1', .link = "d/f", .mode = 0000, .mtime = 1);
	R(.name = "d/p", .type = '6', .mode = 0622);
	R(.name = "implied/deep/file", .body = "x");
	assert_ok(unpack(&tar, b.fd, NULL, &err));
	umask(022);
	st = stat_of(b.fd, "d");
	assert_int_equal(st.st_mode, S_IFDIR | 0751);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	st = stat_of(b.fd, "d/f");
	assert_int_equal(st.st_mode, S_IFREG | 0666); /* nothing of the hard link's fields */
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	assert_int_equal(st.st_nlink, 2);
	assert_content(b.fd, "d/h", "hello");
	assert_int_equal(stat_of(b.fd, "d/x").st_mode, S_IFREG | 04711);
	assert_link(b.fd, "d/s", "/nowhere");
	assert_int_equal(stat_of(b.fd, "d/s").st_mtim.tv_sec, 3000);
	assert_int_equal(stat_of(b.fd, "d/p").st_mode, S_IFIFO | 0622);
	assert_int_equal(stat_of(b.fd, "implied/deep").st_mode, S_IFDIR | 0755);
	box_close(&b);
}

static void owners_are_set_on_request(void **state)
{
	struct folder_writer_options opt = {.ids = UINT32_MAX};
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct stat st;
	struct box b;

	(void)state;
	if (geteuid() != 0)
		skip();
	box_open(&b);
	R(.name = "d/", .type = '5', .mode = 0755, .uid = 10, .gid = 20);
	R(.name = "d/f", .body = "x", .mode = 06755, .uid = 11, .gid = 21);
	R(.name = "d/s", .type = '2', .link = "f", .uid = 12, .gid = 22);
	R(.name = "root", .mode = 0644);
	assert_ok(unpack(&tar, b.fd, &opt, &err));
	st = stat_of(b.fd, "d");
	assert_int_equal(st.st_uid, 10);
	assert_int_equal(st.st_gid, 20);
	st = stat_of(b.fd, "d/f");
	assert_int_equal(st.st_uid, 11);
	assert_int_equal(
		st.st_mode, S_IFREG | 06755); /* set after chown, which clears these bits */
	st = stat_of(b.fd, "d/s");
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(stat_of(b.fd, "root").st_uid, 0);
	box_close(&b);
	box_open(&b);
	R(.name = "f", .uid = 11);
	assert_ok(unpack(&tar, b.fd, NULL, &err));
	assert_int_equal(stat_of(b.fd, "f").st_uid, geteuid());
	box_close(&b);
}

static void attributes_are_set(void **state)
{
	static const uint8_t caps[20] = {1, 0, 0, 2, 0, 0x20};
	auto_strbuf tar = STRBUF_INIT, r = STRBUF_INIT;
	struct err err = ERR_INIT;
	char value[64];
	struct box b;
	int fd;

	(void)state;
	box_open(&b);
	if (geteuid() == 0) {
		strbuf_puts(&r, "57 SCHILY.xattr.security.capability=");
		strbuf_add(&r, caps, sizeof(caps));
		strbuf_putc(&r, '\n');
	}
	raw_record(&r, "SCHILY.xattr.user.a", "1");
	raw_record(&r, "SCHILY.xattr.user.overlay.redirect", "/other");
	raw_pax(&tar, 'x', r.buf, r.len);
	R(.name = "f", .body = "x", .mode = 0755);
	raw_pax1(&tar, "SCHILY.xattr.user.overlay.opaque", "y");
	R(.name = "d/", .type = '5', .mode = 0500);
	assert_ok(unpack(&tar, b.fd, NULL, &err));
	fd = openat(b.fd, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "user.a", value, sizeof(value)), 1);
	assert_int_equal(fgetxattr(fd, "user.overlay.redirect", value, sizeof(value)), -1);
	if (geteuid() == 0) {
		assert_int_equal(fgetxattr(fd, "security.capability", value, sizeof(value)), 20);
		assert_memory_equal(value, caps, sizeof(caps));
	}
	close(fd);
	assert_false(is_opaque(b.fd, "d"));
	assert_int_equal(stat_of(b.fd, "d").st_mode, S_IFDIR | 0500);
	box_close(&b);
}

static void devices_are_counted_not_made(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	{
		AUTO(folder_writer_free)
		struct folder_writer *w = folder_writer_new(b.fd, NULL, &err);
		auto_fd int blob = -1;

		R(.name = "null", .type = '3', .major = 1, .minor = 3);
		R(.name = "sda", .type = '4', .major = 8);
		R(.name = "f");
		raw_end(&tar);
		blob = blob_of(tar.buf, tar.len);
		assert_ok(layer_read(blob, NULL, folder_writer_sink(w), NULL, &err));
		assert_int_equal(folder_writer_skipped_devices(w), 2);
		assert_int_equal(folder_writer_made(w), 1);
	}
	assert_false(is_there(b.fd, "null"));
	assert_false(is_there(b.fd, "sda"));
	box_close(&b);
}

static void whiteouts_become_what_overlayfs_reads(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	R(.name = "a/.wh.gone");
	R(.name = "o/.wh..wh..opq");
	R(.name = "o/.wh.pointless");
	R(.name = "o/sub/.wh.pointless");
	R(.name = "o/f");
	R(.name = ".wh.again"); /* before and after: the new one survives and hides the old */
	R(.name = "again/", .type = '5', .mode = 0755);
	R(.name = "again/.wh.below");
	R(.name = "file");
	R(.name = ".wh.file");
	assert_ok(unpack(&tar, b.fd, NULL, &err));
	assert_true(is_whiteout(b.fd, "a/gone"));
	assert_true(is_opaque(b.fd, "o"));
	assert_false(is_there(b.fd, "o/pointless"));
	assert_false(is_there(b.fd, "o/sub/pointless"));
	assert_true(is_opaque(b.fd, "again"));
	assert_false(is_there(b.fd, "again/below"));
	assert_true(S_ISREG(stat_of(b.fd, "file").st_mode));
	box_close(&b);
}

static void plain_folders_take_no_whiteouts(void **state)
{
	struct folder_writer_options opt = {.plain = true};
	auto_strbuf tar = STRBUF_INIT;
	struct err err;
	struct box b;

	(void)state;
	box_open(&b);
	R(.name = "a/.wh.gone");
	assert_refused(unpack(&tar, b.fd, &opt, &err), ERR_INPUT);
	R(.name = "a/.wh..wh..opq");
	assert_refused(unpack(&tar, b.fd, &opt, &err), ERR_INPUT);
	box_close(&b);
}

/* ---- hostile layers ---- */

static void links_never_lead_out(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct box outer;
	int root;

	(void)state;
	box_open(&outer);
	put_dir(outer.fd, "root");
	put_dir(outer.fd, "host");
	put_file(outer.fd, "host/passwd", "untouched");
	root = openat(outer.fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	R(.name = "up", .type = '2', .link = "../host");
	R(.name = "up/passwd", .body = "evil");
	R(.name = "abs", .type = '2', .link = "/");
	R(.name = "abs/etc/passwd", .body = "inside");
	R(.name = "far", .type = '2', .link = "../../../../../../../../tmp");
	R(.name = "far/x", .body = "inside");
	assert_ok(unpack(&tar, root, NULL, &err));
	assert_content(outer.fd, "host/passwd", "untouched");
	assert_content(root, "host/passwd",
		"evil"); /* the link's target inside the root, made on the way */
	assert_content(root, "etc/passwd", "inside");
	assert_content(root, "tmp/x", "inside");
	close(root);
	box_close(&outer);
}

static void last_components_are_never_followed(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	R(.name = "real", .body = "kept", .mode = 0600);
	R(.name = "s", .type = '2', .link = "real");
	R(.name = "s", .body = "new", .mode = 0644);
	R(.name = "t", .type = '2', .link = "real");
	R(.name = "h", .type = '1', .link = "t", .mode = 0777); /* the link itself */
	R(.name = "dir/", .type = '5', .mode = 0700);
	R(.name = "l", .type = '2', .link = "dir");
	R(.name = "l/", .type = '5', .mode = 0755); /* replaces the link */
	assert_ok(unpack(&tar, b.fd, NULL, &err));
	assert_content(b.fd, "real", "kept");
	assert_int_equal(stat_of(b.fd, "real").st_mode, S_IFREG | 0600);
	assert_content(b.fd, "s", "new");
	assert_link(b.fd, "h", "real");
	assert_true(S_ISDIR(stat_of(b.fd, "l").st_mode));
	assert_int_equal(stat_of(b.fd, "dir").st_mode, S_IFDIR | 0700);
	box_close(&b);
}

static void replaced_directories_are_resolved_anew(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	R(.name = "other/", .type = '5', .mode = 0755);
	R(.name = "d/", .type = '5', .mode = 0755);
	R(.name = "d/f", .body = "1");
	R(.name = "d", .type = '2', .link = "other");
	R(.name = "d/g", .body = "2");
	assert_ok(unpack(&tar, b.fd, NULL, &err));
	assert_link(b.fd, "d", "other");
	assert_content(b.fd, "other/g", "2");
	assert_false(is_there(b.fd, "other/f"));
	box_close(&b);
}

static void later_duplicates_win(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	R(.name = "a", .body = "first");
	R(.name = "a", .body = "second");
	R(.name = "d/x/", .type = '5', .mode = 0700, .mtime = 5);
	R(.name = "d", .body = "file");
	R(.name = "e/", .type = '5', .mode = 0700);
	R(.name = "e/f", .body = "kept");
	R(.name = "e/", .type = '5', .mode = 0711, .mtime = 6);
	assert_ok(unpack(&tar, b.fd, NULL, &err));
	assert_content(b.fd, "a", "second");
	assert_content(b.fd, "d", "file");
	assert_content(b.fd, "e/f", "kept");
	assert_int_equal(stat_of(b.fd, "e").st_mode, S_IFDIR | 0711);
	assert_int_equal(stat_of(b.fd, "e").st_mtim.tv_sec, 6);
	box_close(&b);
}

static void impossible_layers_are_refused(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err;
	struct box b;

	(void)state;
	box_open(&b);
	R(.name = "f", .body = "x");
	R(.name = "f/g", .body = "y");
	assert_refused(unpack(&tar, b.fd, NULL, &err), ERR_INPUT);
	R(.name = "h", .type = '1', .link = "missing");
	assert_refused(unpack(&tar, b.fd, NULL, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "missing"));
	R(.name = "d/", .type = '5');
	R(.name = "h", .type = '1', .link = "d");
	assert_refused(unpack(&tar, b.fd, NULL, &err), ERR_INPUT);
	R(.name = "loop", .type = '2', .link = "loop");
	R(.name = "loop/x");
	assert_refused(unpack(&tar, b.fd, NULL, &err), ERR_INPUT);
	for (int i = 0; i < 45; i++) {
		char name[16], to[16];

		snprintf(name, sizeof(name), "c%d", i);
		snprintf(to, sizeof(to), "c%d", i + 1);
		R(.name = name, .type = '2', .link = to);
	}
	R(.name = "c0/x");
	assert_refused(unpack(&tar, b.fd, NULL, &err), ERR_INPUT);
	box_close(&b);
}

static void broken_layers_are_never_finished(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err;
	struct box b;

	(void)state;
	box_open(&b);
	R(.name = "a/.wh.b");
	R(.name = "f", .body = "x");
	R(.name = "g", .no_checksum = true);
	assert_refused(unpack(&tar, b.fd, NULL, &err), ERR_INPUT);
	assert_false(is_there(b.fd, "a/b"));
	box_close(&b);
}

/* ---- settling ---- */

static void settling_takes_metadata_from_below(void **state)
{
	static const char *const low[] = {
		"d usr", "d usr/share", "f usr/share/old", "d gone", NULL};
	AUTO(index_close) struct tree_index *below = index_of(low), *ix = NULL;
	AUTO(index_sink_free) struct index_sink *ixs = index_sink_new(0);
	auto_chain lower = CHAIN_INIT, nothing = CHAIN_INIT;
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct tree_tee tee;
	struct stat st;
	struct box b;

	(void)state;
	box_open(&b);
	{
		AUTO(folder_writer_free)
		struct folder_writer *w = folder_writer_new(b.fd, NULL, &err);
		auto_fd int blob = -1;

		R(.name = "usr/share/new", .body = "x");
		R(.name = "usr/share/.wh.old");
		R(.name = "usr/share/.wh.never");
		R(.name = "own/x", .body = "x");
		raw_end(&tar);
		blob = blob_of(tar.buf, tar.len);
		tree_tee_init(&tee, folder_writer_sink(w), index_sink_of(ixs));
		assert_ok(layer_read(blob, NULL, &tee.sink, NULL, &err));
	}
	ix = index_of_sink(ixs);
	chain_push(&lower, below);
	assert_ok(folder_settle(b.fd, ix, &lower, geteuid() == 0 ? UINT32_MAX : 0, &err));
	st = stat_of(b.fd, "usr/share");
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(st.st_mtim.tv_sec, 5);
	if (geteuid() == 0)
		assert_int_equal(st.st_uid, 1);
	assert_int_equal(stat_of(b.fd, "own").st_mode, S_IFDIR | 0755);
	assert_true(is_whiteout(b.fd, "usr/share/old"));
	assert_false(is_there(b.fd, "usr/share/never"));
	assert_ok(folder_settle(b.fd, ix, &nothing, 0, &err));
	assert_false(is_there(b.fd, "usr/share/old"));
	assert_int_equal(stat_of(b.fd, "usr/share").st_mtim.tv_sec, 5);
	box_close(&b);
}

/* Give the sink a file called name of n parts: so many bytes of 'x', or when negative of zeros. */
static void give_parts(struct tree_sink *sink, const char *name, const int *parts, size_t n)
{
	struct tree_entry e = {.path = name, .type = ENTRY_FILE, .mode = 0644};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < n; i++)
		e.size += (uint64_t)abs(parts[i]);
	assert_ok(sink->entry(sink, &e, &err));
	for (size_t i = 0; i < n; i++) {
		size_t len = (size_t)abs(parts[i]);
		auto_free char *data = xcalloc(1, len);

		if (parts[i] < 0) {
			assert_ok(tree_give_zeros(sink, len, &err));
			continue;
		}
		memset(data, 'x', len);
		assert_ok(sink->data(sink, data, len, &err));
	}
}

static void zeros_become_holes(void **state)
{
	static const int parts[][3] = {{-1000000, 10, -1000000}, {10, -2000000, 10}, {-1000000, -1, -1000000}};
	static const char *const names[] = {"middle", "ends", "all"};
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	{
		AUTO(folder_writer_free) struct folder_writer *w = folder_writer_new(b.fd, NULL, &err);

		for (size_t i = 0; i < 3; i++)
			give_parts(folder_writer_sink(w), names[i], parts[i], 3);
	}
	for (size_t i = 0; i < 3; i++) {
		auto_fd int fd = openat(b.fd, names[i], O_RDONLY | O_CLOEXEC);
		struct stat st = stat_of(b.fd, names[i]);
		auto_strbuf sb = STRBUF_INIT;
		size_t at = 0;

		assert_true(st.st_blocks * 512 < 200000);
		assert_int_equal(read_all(fd, &sb, 1 << 22), 0);
		assert_int_equal(sb.len, st.st_size);
		for (size_t k = 0; k < 3; k++)
			for (int left = abs(parts[i][k]); left > 0; left--)
				assert_int_equal(sb.buf[at++], parts[i][k] < 0 ? 0 : 'x');
		assert_int_equal(at, sb.len);
	}
	box_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_is_made_as_it_was),
		cmocka_unit_test(owners_are_set_on_request),
		cmocka_unit_test(attributes_are_set),
		cmocka_unit_test(devices_are_counted_not_made),
		cmocka_unit_test(whiteouts_become_what_overlayfs_reads),
		cmocka_unit_test(plain_folders_take_no_whiteouts),
		cmocka_unit_test(links_never_lead_out),
		cmocka_unit_test(last_components_are_never_followed),
		cmocka_unit_test(replaced_directories_are_resolved_anew),
		cmocka_unit_test(later_duplicates_win),
		cmocka_unit_test(impossible_layers_are_refused),
		cmocka_unit_test(broken_layers_are_never_finished),
		cmocka_unit_test(settling_takes_metadata_from_below),
		cmocka_unit_test(zeros_become_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
