/* Storage without a sandbox: options of old kernels, copies of layer folders, and upper folders made of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "sandbox/fuse_upper.h"
#include "sandbox/rootfs.h"
#include "sandbox/storage.h"
#include "sandbox/targets.h"
#include "sandbox/treecopy.h"
#include "sandbox/treediff.h"

struct fixture {
	char dir[64];
	int low, high, tree; /* folders: two layers and what is made of them */
	struct strv lowers;
	struct err err;
};

#define check(f, call)                                                                             \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, (f)->err.msg);                                   \
	} while (0)

static int open_new(const char *name)
{
	assert_int_equal(mkdir(name, 0755), 0);
	return open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/var/tmp/whittle-unit.XXXXXX");
	if (!mkdtemp(f->dir) || chdir(f->dir) < 0)
		return -1;
	umask(0);
	f->low = open_new("low");
	f->high = open_new("high");
	f->tree = open_new("tree");
	strv_add(&f->lowers, "high");
	strv_add(&f->lowers, "low");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close(f->low);
	close(f->high);
	close(f->tree);
	strv_release(&f->lowers);
	if (chdir("/") < 0)
		return -1;
	remove_tree(AT_FDCWD, f->dir);
	free(f);
	return 0;
}

static void put(int dir, const char *name, const char *text)
{
	auto_fd int fd = openat(dir, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static void put_dir(int dir, const char *name)
{
	assert_int_equal(mkdirat(dir, name, 0755), 0);
}

static void set_attr(int dir, const char *name, const char *attr, const char *value)
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	assert_int_equal(fsetxattr(fd, attr, value, strlen(value), 0), 0);
}

static bool has_attr(int dir, const char *name, const char *attr, const char *value)
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char buf[64];
	ssize_t n = fgetxattr(fd, attr, buf, sizeof(buf));

	return n == (ssize_t)strlen(value) && memcmp(buf, value, (size_t)n) == 0;
}

static bool is_there(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_whiteout(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

static void put_whiteout(int dir, const char *name)
{
	assert_int_equal(mknodat(dir, name, S_IFCHR, makedev(0, 0)), 0);
}

static void age(int dir, const char *name)
{
	const struct timespec times[2] = { { 1000000000, 5 }, { 1000000000, 5 } };

	assert_int_equal(utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static time_t age_of(int dir, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mtim.tv_sec;
}

/* ---- names and options ---- */

static void knows_the_storages(void **state)
{
	struct fixture *f = *state;
	enum storage s;

	for (int i = STORAGE_AUTO; i <= STORAGE_COPY; i++) {
		check(f, storage_parse(storage_name((enum storage)i), &s, &f->err));
		assert_int_equal(s, i);
	}
	assert_int_equal(storage_parse("vfs", &s, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_USAGE);
}

static void remembers_the_overlay_for_one_mode(void **state)
{
	struct fixture *f = *state;

	assert_false(storage_overlay_known(f->tree, ISOLATION_SINGLE));
	storage_overlay_remember(f->tree, ISOLATION_SINGLE);
	assert_true(storage_overlay_known(f->tree, ISOLATION_SINGLE));
	assert_false(storage_overlay_known(f->tree, ISOLATION_SUBID));
	put(f->tree, STORAGE_CACHE, "another boot\n");
	assert_false(storage_overlay_known(f->tree, ISOLATION_SINGLE));
}

static void escapes_names_in_classic_options(void **state)
{
	struct fixture *f = *state;
	auto_strbuf o = STRBUF_INIT;
	auto_strv lowers = STRV_INIT;

	strv_add(&lowers, "a:b");
	strv_add(&lowers, "c,d\\e");
	check(f, rootfs_classic_options(&lowers, "u", "w", &o, &f->err));
	assert_string_equal(o.buf, "userxattr,lowerdir=a\\:b:c\\,d\\\\e,volatile,upperdir=u,workdir=w");
}

static void refuses_classic_options_over_a_page(void **state)
{
	struct fixture *f = *state;
	auto_strv lowers = STRV_INIT;
	auto_strbuf fits = STRBUF_INIT, over = STRBUF_INIT;

	/* "userxattr,lowerdir=" is 19 bytes, each of these 4 with its colon, but for the last */
	while (lowers.len < (ROOTFS_OPTIONS_MAX - 19 + 1) / 4)
		strv_add(&lowers, "abc");
	check(f, rootfs_classic_options(&lowers, NULL, NULL, &fits, &f->err));
	strv_add(&lowers, "abc");
	assert_int_equal(rootfs_classic_options(&lowers, NULL, NULL, &over, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_INPUT);
	assert_non_null(strstr(f->err.msg, "4095"));
}

static void refuses_what_no_overlay_takes(void **state)
{
	struct fixture *f = *state;
	auto_strv lowers = STRV_INIT;
	auto_free char *name = xcalloc(1, ROOTFS_NAME_MAX + 2);

	assert_int_equal(rootfs_mount(&lowers, NULL, NULL, "tree", &f->err), -1);
	assert_int_equal(f->err.kind, ERR_INPUT);
	memset(name, 'x', ROOTFS_NAME_MAX + 1);
	strv_add(&lowers, name);
	assert_int_equal(rootfs_mount(&lowers, NULL, NULL, "tree", &f->err), -1);
	assert_non_null(strstr(f->err.msg, "255"));
	while (lowers.len <= ROOTFS_LAYERS_MAX)
		strv_add(&lowers, "low");
	assert_int_equal(rootfs_mount(&lowers, NULL, NULL, "tree", &f->err), -1);
	assert_non_null(strstr(f->err.msg, "999"));
}

/* ---- copies ---- */

static void merges_layers(void **state)
{
	struct fixture *f = *state;
	struct stat st, link;

	put(f->low, "gone", "g");
	put(f->low, "both", "low");
	put_dir(f->low, "opaque");
	put(f->low, "opaque/old", "o");
	put_dir(f->low, "dir");
	put(f->low, "dir/stays", "s");
	put(f->low, "file", "f");
	assert_int_equal(linkat(f->low, "dir/stays", f->low, "link", 0), 0);
	age(f->low, "dir/stays");
	set_attr(f->low, "dir/stays", "user.whittle.owner", "7:8");
	set_attr(f->low, "dir/stays", "user.overlay.overlay.opaque", "mine");
	put_whiteout(f->high, "gone");
	put(f->high, "both", "high");
	put_dir(f->high, "opaque");
	put(f->high, "opaque/new", "n");
	set_attr(f->high, "opaque", "user.overlay.opaque", "y");
	put_dir(f->high, "file");
	put_dir(f->high, "dir");
	age(f->high, "dir");
	check(f, tree_merge(&f->lowers, f->tree, &f->err));
	assert_false(is_there(f->tree, "gone"));
	assert_int_equal(fstatat(f->tree, "both", &st, 0), 0);
	assert_int_equal(st.st_size, 4);
	assert_false(is_there(f->tree, "opaque/old"));
	assert_true(is_there(f->tree, "opaque/new"));
	assert_false(has_attr(f->tree, "opaque", "user.overlay.opaque", "y"));
	assert_int_equal(fstatat(f->tree, "file", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(fstatat(f->tree, "dir/stays", &st, 0), 0);
	assert_int_equal(fstatat(f->tree, "link", &link, 0), 0);
	assert_int_equal(st.st_ino, link.st_ino);
	assert_int_equal(st.st_mtim.tv_nsec, 5);
	assert_int_equal(age_of(f->tree, "dir"), 1000000000);
	assert_true(has_attr(f->tree, "link", "user.whittle.owner", "7:8"));
	assert_true(has_attr(f->tree, "link", "user.overlay.opaque", "mine"));
}

static void keeps_holes(void **state)
{
	struct fixture *f = *state;
	auto_fd int fd = openat(f->low, "sparse", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	struct stat st;
	char end[4];

	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	assert_int_equal(pwrite(fd, "end", 4, 32 << 20), 4);
	check(f, tree_merge(&f->lowers, f->tree, &f->err));
	assert_int_equal(fstatat(f->tree, "sparse", &st, 0), 0);
	assert_int_equal(st.st_size, 64 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
	fd = (close(fd), openat(f->tree, "sparse", O_RDONLY | O_CLOEXEC));
	assert_int_equal(pread(fd, end, 4, 32 << 20), 4);
	assert_string_equal(end, "end");
}

static void refuses_a_tree_that_is_too_deep(void **state)
{
	struct fixture *f = *state;
	int fd = dup(f->low);

	for (int i = 0; i <= TREE_DEPTH_MAX; i++) {
		int next;

		put_dir(fd, "d");
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(tree_merge(&f->lowers, f->tree, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_INPUT);
	assert_non_null(strstr(f->err.msg, "256"));
	f->err = (struct err)ERR_INIT;
	assert_null(tree_snapshot_take(f->low, &f->err));
	assert_int_equal(f->err.kind, ERR_INPUT);
}

/* ---- what a step changed ---- */

static void put_tree(int dir)
{
	put_dir(dir, "keep");
	put(dir, "keep/file", "k");
	put(dir, "keep/linked", "l");
	assert_int_equal(linkat(dir, "keep/linked", dir, "keep/other", 0), 0);
	put_dir(dir, "part");
	put(dir, "part/same", "s");
	put(dir, "part/changed", "c");
	put_dir(dir, "anew");
	put(dir, "anew/1", "1");
	put(dir, "gone", "g");
	put(dir, "turned", "t");
	age(dir, "part");
}

static void reduces_an_unchanged_tree_to_nothing(void **state)
{
	struct fixture *f = *state;
	AUTO(tree_snapshot_free) struct tree_snapshot *before = NULL;
	auto_strv left = STRV_INIT;

	put_tree(f->tree);
	before = tree_snapshot_take(f->tree, &f->err);
	assert_non_null(before);
	check(f, tree_snapshot_reduce(before, f->tree, &f->err));
	check(f, tree_list(f->tree, &left, &f->err));
	assert_int_equal(left.len, 0);
}

static void reduces_a_tree_to_its_changes(void **state)
{
	struct fixture *f = *state;
	AUTO(tree_snapshot_free) struct tree_snapshot *before = NULL;

	put_tree(f->tree);
	before = tree_snapshot_take(f->tree, &f->err);
	assert_non_null(before);
	/* the same bytes and the same time: the inode was written all the same */
	put(f->tree, "part/changed", "c");
	age(f->tree, "part");
	assert_int_equal(unlinkat(f->tree, "gone", 0), 0);
	assert_int_equal(unlinkat(f->tree, "turned", 0), 0);
	put_dir(f->tree, "turned");
	assert_int_equal(unlinkat(f->tree, "anew/1", 0) | unlinkat(f->tree, "anew", AT_REMOVEDIR), 0);
	put_dir(f->tree, "anew");
	put_dir(f->tree, "new");
	set_attr(f->tree, "new", "user.overlay.opaque", "y");
	check(f, tree_snapshot_reduce(before, f->tree, &f->err));
	assert_false(is_there(f->tree, "keep"));
	assert_true(is_there(f->tree, "part/changed"));
	assert_false(is_there(f->tree, "part/same"));
	assert_int_equal(age_of(f->tree, "part"), 1000000000);
	assert_true(is_whiteout(f->tree, "gone"));
	assert_true(has_attr(f->tree, "turned", "user.overlay.opaque", "y"));
	assert_true(has_attr(f->tree, "anew", "user.overlay.opaque", "y"));
	assert_false(has_attr(f->tree, "new", "user.overlay.opaque", "y"));
	assert_true(has_attr(f->tree, "new", "user.overlay.overlay.opaque", "y"));
}

static void refuses_a_whiteout_of_the_step(void **state)
{
	struct fixture *f = *state;
	AUTO(tree_snapshot_free) struct tree_snapshot *before = tree_snapshot_take(f->tree, &f->err);

	assert_non_null(before);
	put_whiteout(f->tree, "null");
	assert_int_equal(tree_snapshot_reduce(before, f->tree, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_INPUT);
}

/* ---- fuse-overlayfs ---- */

static void converts_the_marks_of_fuse_overlayfs(void **state)
{
	struct fixture *f = *state;
	struct timespec began = { 1500000000, 0 };

	put_dir(f->low, "dir");
	put(f->low, "dir/up", "u");
	put_dir(f->low, "touched");
	put(f->low, "touched/up", "u");
	put_dir(f->low, "opaque");
	age(f->low, "dir");
	age(f->low, "touched");
	put(f->tree, ".wh.gone", "");
	put_dir(f->tree, "dir");
	put(f->tree, "dir/up", "U");
	set_attr(f->tree, "dir/up", "user.fuseoverlayfs.origin", "dir/up");
	put_dir(f->tree, "touched");
	put(f->tree, "touched/up", "U");
	set_attr(f->tree, "touched/up", "user.fuseoverlayfs.origin", "touched/up");
	put(f->tree, "touched/new", "n");
	put_dir(f->tree, "opaque");
	put(f->tree, "opaque/.wh..wh..opq", "");
	set_attr(f->tree, "opaque", "user.fuseoverlayfs.opaque", "y");
	set_attr(f->tree, "touched/new", "user.overlay.opaque", "y");
	check(f, fuse_upper_convert(f->tree, &f->lowers, began, &f->err));
	assert_false(is_there(f->tree, ".wh.gone"));
	assert_true(is_whiteout(f->tree, "gone"));
	assert_false(is_there(f->tree, "opaque/.wh..wh..opq"));
	assert_true(has_attr(f->tree, "opaque", "user.overlay.opaque", "y"));
	assert_false(has_attr(f->tree, "opaque", "user.fuseoverlayfs.opaque", "y"));
	assert_false(has_attr(f->tree, "dir/up", "user.fuseoverlayfs.origin", "dir/up"));
	assert_true(has_attr(f->tree, "touched/new", "user.overlay.overlay.opaque", "y"));
	assert_int_equal(age_of(f->tree, "dir"), 1000000000);
	assert_int_not_equal(age_of(f->tree, "touched"), 1000000000);
}

/* ---- mount points ---- */

static void makes_missing_targets_where_links_lead(void **state)
{
	struct fixture *f = *state;

	put_dir(f->low, "real");
	assert_int_equal(fchmodat(f->low, "real", 0700, 0), 0);
	age(f->low, "real");
	assert_int_equal(symlinkat("../../../real/conf", f->low, "etc"), 0);
	put_dir(f->low, "dev");
	assert_int_equal(targets_missing(f->low, &f->err), 1);
	check(f, targets_make_stub(f->low, f->tree, &f->err));
	assert_true(is_there(f->tree, "real/conf/hosts"));
	assert_true(is_there(f->tree, "real/conf/resolv.conf"));
	assert_true(is_there(f->tree, "proc"));
	assert_false(is_there(f->tree, "dev"));
	assert_false(is_there(f->tree, "etc"));
	assert_int_equal(age_of(f->tree, "real"), 1000000000);
}

static void refuses_targets_that_are_in_the_way(void **state)
{
	struct fixture *f = *state;

	put_dir(f->low, "x");
	assert_int_equal(symlinkat("x", f->low, "proc"), 0);
	assert_int_equal(targets_missing(f->low, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_INPUT);
	assert_non_null(strstr(f->err.msg, "'/proc'"));
	assert_non_null(strstr(f->err.msg, "'x'"));
	put(f->high, "dev", "a file");
	assert_int_equal(targets_missing(f->high, &f->err), -1);
	assert_non_null(strstr(f->err.msg, "'/dev'"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(knows_the_storages),
		TEST(remembers_the_overlay_for_one_mode),
		TEST(escapes_names_in_classic_options),
		TEST(refuses_classic_options_over_a_page),
		TEST(refuses_what_no_overlay_takes),
		TEST(merges_layers),
		TEST(keeps_holes),
		TEST(refuses_a_tree_that_is_too_deep),
		TEST(reduces_an_unchanged_tree_to_nothing),
		TEST(reduces_a_tree_to_its_changes),
		TEST(refuses_a_whiteout_of_the_step),
		TEST(converts_the_marks_of_fuse_overlayfs),
		TEST(makes_missing_targets_where_links_lead),
		TEST(refuses_targets_that_are_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
