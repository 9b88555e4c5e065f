#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/fsutil_internal.h"
#include "base/mem.h"

#define IN_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
#define NO_LINKS (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
#define NOBODY 65534
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A scratch folder per test: its path, and a descriptor of it. */
struct scratch {
	char *path;
	int fd;
};

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct scratch *s = xcalloc(1, sizeof(*s));

	s->path = xasprintf("%s/whittle-test-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(s->path));
	assert_int_equal(chmod(s->path, 0777), 0);
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->fd >= 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scratch *s = *state;
	int result = remove_tree(AT_FDCWD, s->path);

	close(s->fd);
	free(s->path);
	free(s);
	return result;
}

static void put_file(int dirfd, const char *name, const char *text)
{
	auto_fd int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static bool exists(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Run body in a child that is not root, when we are; its asserts are exits with 1. */
static int as_nobody(int (*body)(int dirfd), int dirfd)
{
	pid_t pid = fork();
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(2);
		_exit(body(dirfd));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/*
 * outside/secret       what must never be reached
 * root/file            "file"
 * root/dir/sub/deep    "deep"
 * and links of every kind, below
 */
static int make_root(int fd)
{
	static const char *const links[][2] = {
		{"abs_file", "/file"},
		{"abs_dir", "/dir"},
		{"rel_up", "../../outside/secret"},
		{"abs_out", "/outside/secret"},
		{"loop", "loop"},
		{"ping", "pong"},
		{"pong", "ping"},
		{"dangling", "/nothing"},
		{"to_dir", "dir/sub"},
		{"dir/back", "../file"},
		{"dir/root", "/"},
		{"chain1", "chain2"},
		{"chain2", "/dir/../abs_file"},
		{"slash", "dir/sub/"},
		{"dir/far_up", "../../../../../../file"},
		{"dot", "."},
		{"newlink", "/dir/new_by_link"},
	};
	int root;

	assert_int_equal(mkdir_p(fd, "outside", 0755), 0);
	put_file(fd, "outside/secret", "secret");
	assert_int_equal(mkdir_p(fd, "root/dir/sub", 0755), 0);
	put_file(fd, "root/file", "file");
	put_file(fd, "root/dir/sub/deep", "deep");
	root = openat(fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	for (size_t i = 0; i < COUNT(links); i++)
		assert_int_equal(symlinkat(links[i][1], root, links[i][0]), 0);
	return root;
}

/*
 * Both ways to open must agree with the table: the text of a file, "<dir>", "<link>", or an errno.
 */
struct open_case {
	const char *path;
	uint64_t resolve;
	int flags;
	const char *want;
	int error;
};

static const struct open_case open_cases[] = {
	{"file", IN_ROOT, O_RDONLY, "file", 0},
	{"/file", IN_ROOT, O_RDONLY, "file", 0},
	{"//dir//sub/./deep", IN_ROOT, O_RDONLY, "deep", 0},
	{"..", IN_ROOT, O_RDONLY, "<dir>", 0},
	{"../../../file", IN_ROOT, O_RDONLY, "file", 0},
	{"/../file", IN_ROOT, O_RDONLY, "file", 0},
	{"dir/../../../file", IN_ROOT, O_RDONLY, "file", 0},
	{"dir/sub/../../file", IN_ROOT, O_RDONLY, "file", 0},
	{"/", IN_ROOT, O_RDONLY, "<dir>", 0},
	{".", IN_ROOT, O_RDONLY | O_DIRECTORY, "<dir>", 0},
	{"dir/", IN_ROOT, O_RDONLY, "<dir>", 0},
	{"", IN_ROOT, O_RDONLY, NULL, ENOENT},
	{"file/", IN_ROOT, O_RDONLY, NULL, ENOTDIR},
	{"file/x", IN_ROOT, O_RDONLY, NULL, ENOTDIR},
	{"file/..", IN_ROOT, O_RDONLY, NULL, ENOTDIR},
	{"nothing", IN_ROOT, O_RDONLY, NULL, ENOENT},
	{"nothing/..", IN_ROOT, O_RDONLY, NULL, ENOENT},
	{"file", IN_ROOT, O_RDONLY | O_DIRECTORY, NULL, ENOTDIR},
	{"file", IN_ROOT, O_PATH | O_DIRECTORY, NULL, ENOTDIR},
	{"abs_file", IN_ROOT, O_RDONLY, "file", 0},
	{"abs_dir/sub/deep", IN_ROOT, O_RDONLY, "deep", 0},
	{"abs_dir/../file", IN_ROOT, O_RDONLY, "file", 0},
	{"to_dir/deep", IN_ROOT, O_RDONLY, "deep", 0},
	{"to_dir/../back", IN_ROOT, O_RDONLY, "file", 0},
	{"slash/deep", IN_ROOT, O_RDONLY, "deep", 0},
	{"slash", IN_ROOT, O_RDONLY, "<dir>", 0},
	{"dot/dot/file", IN_ROOT, O_RDONLY, "file", 0},
	{"dir/root/dir/root/file", IN_ROOT, O_RDONLY, "file", 0},
	{"dir/far_up", IN_ROOT, O_RDONLY, "file", 0},
	{"chain1", IN_ROOT, O_RDONLY, "file", 0},
	{"rel_up", IN_ROOT, O_RDONLY, NULL, ENOENT},
	{"abs_out", IN_ROOT, O_RDONLY, NULL, ENOENT},
	{"../outside/secret", IN_ROOT, O_RDONLY, NULL, ENOENT},
	{"dangling", IN_ROOT, O_RDONLY, NULL, ENOENT},
	{"loop", IN_ROOT, O_RDONLY, NULL, ELOOP},
	{"ping/x", IN_ROOT, O_RDONLY, NULL, ELOOP},
	{"abs_file", IN_ROOT, O_RDONLY | O_NOFOLLOW, NULL, ELOOP},
	{"abs_file", IN_ROOT, O_PATH | O_NOFOLLOW, "<link>", 0},
	{"abs_dir", IN_ROOT, O_PATH | O_NOFOLLOW | O_DIRECTORY, NULL, ENOTDIR},
	{"abs_dir", IN_ROOT, O_RDONLY | O_NOFOLLOW | O_DIRECTORY, NULL, ENOTDIR},
	{"abs_dir/", IN_ROOT, O_RDONLY | O_NOFOLLOW, "<dir>", 0},
	{"abs_dir/", IN_ROOT, O_PATH | O_NOFOLLOW, "<dir>", 0},
	{"file", IN_ROOT, O_WRONLY | O_CREAT | O_EXCL, NULL, EEXIST},
	{"dangling", IN_ROOT, O_WRONLY | O_CREAT | O_EXCL, NULL, EEXIST},
	{"dir", IN_ROOT, O_WRONLY | O_CREAT, NULL, EISDIR},
	{"missing/", IN_ROOT, O_WRONLY | O_CREAT, NULL, EISDIR},
	{"dir/made", IN_ROOT, O_RDWR | O_CREAT | O_EXCL, "", 0},
	{"newlink", IN_ROOT, O_RDWR | O_CREAT, "", 0},

	{"file", BENEATH, O_RDONLY, "file", 0},
	{"dir/../file", BENEATH, O_RDONLY, "file", 0},
	{"dir/back", BENEATH, O_RDONLY, "file", 0},
	{"/file", BENEATH, O_RDONLY, NULL, EXDEV},
	{"..", BENEATH, O_RDONLY, NULL, EXDEV},
	{"../root/file", BENEATH, O_RDONLY, NULL, EXDEV},
	{"dir/../../root/file", BENEATH, O_RDONLY, NULL, EXDEV},
	{"abs_file", BENEATH, O_RDONLY, NULL, EXDEV},
	{"rel_up", BENEATH, O_RDONLY, NULL, EXDEV},
	{"abs_file", BENEATH, O_PATH | O_NOFOLLOW, "<link>", 0},

	{"dir/sub/deep", NO_LINKS, O_RDONLY, "deep", 0},
	{"dir/sub/../sub/deep", NO_LINKS, O_RDONLY, "deep", 0},
	{"to_dir/deep", NO_LINKS, O_RDONLY, NULL, ELOOP},
	{"to_dir", NO_LINKS, O_RDONLY, NULL, ELOOP},
	{"dir/back", NO_LINKS, O_RDONLY, NULL, ELOOP},
	{"dir/back", NO_LINKS, O_PATH | O_NOFOLLOW, "<link>", 0},
	{"..", NO_LINKS, O_RDONLY, NULL, EXDEV},
	{"/file", NO_LINKS, O_RDONLY, NULL, EXDEV},
};

typedef int (*open_fn)(int rootfd, const char *path, int flags, mode_t mode, uint64_t resolve);

static void check_open(int root, const struct open_case *c, open_fn fn)
{
	auto_fd int fd = fn(root, c->path, c->flags, 0600, c->resolve);
	int error = errno;
	char text[64] = "";
	struct stat st;

	if (fd < 0) {
		if (c->want || error != c->error)
			print_error("'%s': errno %d\n", c->path, error);
		assert_null(c->want);
		assert_int_equal(error, c->error);
		return;
	}
	if (!c->want)
		print_error("'%s': opened\n", c->path);
	assert_non_null(c->want);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	if (S_ISDIR(st.st_mode))
		snprintf(text, sizeof(text), "<dir>");
	else if (S_ISLNK(st.st_mode))
		snprintf(text, sizeof(text), "<link>");
	else
		assert_true(read_full(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, c->want);
}

static void check_all_opens(int scratch, open_fn fn)
{
	auto_fd int root = make_root(scratch);

	for (size_t i = 0; i < COUNT(open_cases); i++)
		check_open(root, &open_cases[i], fn);
	assert_true(exists(root, "dir/made"));
	assert_true(exists(root, "dir/new_by_link"));
	assert_false(exists(root, "missing"));
}

static void opening_by_the_kernel_stays_inside(void **state)
{
	struct scratch *s = *state;
	int fd = open_by_kernel(s->fd, ".", O_PATH, 0, IN_ROOT);

	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
		print_message("no openat2() here\n");
		skip();
	}
	close(fd);
	check_all_opens(s->fd, open_by_kernel);
}

static void opening_by_hand_stays_inside_in_the_same_way(void **state)
{
	struct scratch *s = *state;

	check_all_opens(s->fd, open_by_walk);
}

static void the_public_functions_choose_the_right_rule(void **state)
{
	struct scratch *s = *state;
	auto_fd int root = make_root(s->fd);
	int fd;

	fd = open_in_root(root, "abs_file", O_RDONLY, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(open_beneath(root, "abs_file", O_RDONLY, 0), -1);
	assert_int_equal(errno, EXDEV);
	fd = open_beneath(root, "dir/back", O_RDONLY, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(open_no_symlinks(root, "dir/back", O_RDONLY, 0), -1);
	assert_int_equal(errno, ELOOP);
}

static void a_created_file_has_its_mode(void **state)
{
	struct scratch *s = *state;
	static const open_fn ways[] = {open_by_kernel, open_by_walk};
	mode_t old = umask(0);

	for (size_t i = 0; i < COUNT(ways); i++) {
		/* the type bits of a st_mode do no harm */
		auto_fd int fd =
			ways[i](s->fd, i ? "b" : "a", O_WRONLY | O_CREAT, S_IFREG | 0640, IN_ROOT);
		struct stat st;

		if (fd < 0 && i == 0 && (errno == ENOSYS || errno == EPERM))
			continue;
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
	}
	umask(old);
}

static void forty_links_are_followed_and_no_more(void **state)
{
	struct scratch *s = *state;
	char name[16], target[16];
	int fd;

	put_file(s->fd, "l0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d", i - 1);
		assert_int_equal(symlinkat(target, s->fd, name), 0);
	}
	fd = open_by_walk(s->fd, "l40", O_RDONLY, 0, IN_ROOT);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(open_by_walk(s->fd, "l41", O_RDONLY, 0, IN_ROOT), -1);
	assert_int_equal(errno, ELOOP);
}

static void long_names_and_paths_are_refused_by_the_walk(void **state)
{
	struct scratch *s = *state;
	char path[5000];

	memset(path, 'n', 256);
	path[256] = '\0';
	assert_int_equal(open_by_walk(s->fd, path, O_RDONLY, 0, IN_ROOT), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	for (size_t i = 0; i + 1 < sizeof(path); i++)
		path[i] = i % 2 ? '/' : '.';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(open_by_walk(s->fd, path, O_RDONLY, 0, IN_ROOT), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

/* Exchange a folder and a link out of the root under the eyes of the walk. */
static void a_folder_that_turns_into_a_link_leads_nowhere(void **state)
{
	struct scratch *s = *state;
	auto_free char *secret = xasprintf("%s/outside", s->path);
	auto_fd int root = make_root(s->fd);
	pid_t pid;

	assert_int_equal(mkdir_p(root, "x", 0755), 0);
	put_file(root, "x/secret", "inside");
	assert_int_equal(symlinkat(secret, root, "evil"), 0);
	pid = fork();
	assert_true(pid >= 0);
	while (pid == 0) {
		if (renameat2(root, "x", root, "evil", RENAME_EXCHANGE) < 0)
			_exit(1);
	}
	for (int i = 0; i < 3000; i++) {
		auto_fd int fd = open_by_walk(root, "x/secret", O_RDONLY, 0, IN_ROOT);
		char text[16] = "";

		if (fd < 0)
			continue;
		assert_true(read_full(fd, text, sizeof(text) - 1) >= 0);
		assert_string_equal(text, "inside");
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void reading_respects_the_maximum(void **state)
{
	struct scratch *s = *state;
	auto_strbuf sb = STRBUF_INIT;
	auto_strbuf small = STRBUF_INIT_MAX(5);
	struct err err = ERR_INIT;
	auto_fd int fd = -1;

	put_file(s->fd, "ten", "0123456789");
	assert_int_equal(read_file(s->fd, "ten", 10, &sb, &err), 0);
	assert_string_equal(sb.buf, "0123456789");
	assert_int_equal(err.kind, ERR_NONE);
	strbuf_reset(&sb);
	assert_int_equal(read_file(s->fd, "ten", 9, &sb, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);

	fd = openat(s->fd, "ten", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read_all(fd, &small, SIZE_MAX), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	strbuf_reset(&sb);
	assert_int_equal(read_all(fd, &sb, 9), -1);
	assert_int_equal(errno, EFBIG);
}

static void only_regular_files_are_read(void **state)
{
	struct scratch *s = *state;
	auto_strbuf sb = STRBUF_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(read_file(s->fd, "none", 10, &sb, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "'none'"));
	put_file(s->fd, "file", "");
	assert_int_equal(read_file(s->fd, "file/x", 10, &sb, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(read_file(s->fd, ".", 10, &sb, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	/* does not wait for a writer */
	assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
	assert_int_equal(read_file(s->fd, "fifo", 10, &sb, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_int_equal(symlinkat("loop", s->fd, "loop"), 0);
	assert_int_equal(read_file(s->fd, "loop", 10, &sb, &err), -1);
	assert_int_equal(err.kind, ERR_SYSTEM);
	assert_int_equal(err.sys, ELOOP);
	assert_int_equal(sb.len, 0);
	/* says a size of 0 */
	assert_int_equal(read_file(AT_FDCWD, "/proc/self/status", 1 << 20, &sb, &err), 0);
	assert_true(sb.len > 0);
}

static void an_atomic_write_replaces_and_leaves_nothing_behind(void **state)
{
	struct scratch *s = *state;
	auto_strbuf sb = STRBUF_INIT;
	struct err err = ERR_INIT;
	mode_t old = umask(077);
	struct stat st;

	assert_int_equal(mkdir_p(s->fd, "d", 0755), 0);
	assert_int_equal(write_file_atomic(s->fd, "d/f", "one", 3, 0644, &err), 0);
	assert_int_equal(write_file_atomic(s->fd, "d/f", "second", 6, 0640, &err), 0);
	umask(old);
	assert_int_equal(read_file(s->fd, "d/f", 100, &sb, &err), 0);
	assert_string_equal(sb.buf, "second");
	assert_int_equal(fstatat(s->fd, "d/f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);

	/* a folder in its place: the rename fails, the temporary goes */
	assert_int_equal(mkdir_p(s->fd, "d/g/h", 0755), 0);
	assert_int_equal(write_file_atomic(s->fd, "d/g", "x", 1, 0644, &err), -1);
	assert_int_equal(err.kind, ERR_SYSTEM);
	assert_int_equal(write_file_atomic(s->fd, "no/f", "x", 1, 0644, &err), -1);
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(unlinkat(s->fd, "d/f", 0), 0);
	assert_int_equal(unlinkat(s->fd, "d/g/h", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(s->fd, "d/g", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(s->fd, "d", AT_REMOVEDIR), 0);
}

static void mkdir_p_makes_what_is_missing(void **state)
{
	struct scratch *s = *state;
	auto_free char *absolute = xasprintf("%s//x/y/", s->path);
	struct stat st;

	assert_int_equal(mkdir_p(s->fd, "a/b//c/", 0750), 0);
	assert_int_equal(mkdir_p(s->fd, "a/b/c", 0700), 0);
	assert_int_equal(fstatat(s->fd, "a/b", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(mkdir_p(AT_FDCWD, absolute, 0755), 0);
	assert_true(exists(s->fd, "x/y"));
	assert_int_equal(mkdir_p(s->fd, ".", 0755), 0);
	assert_int_equal(mkdir_p(AT_FDCWD, "/", 0755), 0);

	put_file(s->fd, "file", "");
	assert_int_equal(mkdir_p(s->fd, "file", 0755), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(mkdir_p(s->fd, "file/a/b", 0755), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(mkdir_p(s->fd, "", 0755), -1);
	assert_int_equal(errno, ENOENT);
	/* a link to a folder is one */
	assert_int_equal(symlinkat("a", s->fd, "link"), 0);
	assert_int_equal(mkdir_p(s->fd, "link/new/er", 0755), 0);
	assert_true(exists(s->fd, "a/new/er"));
}

static void removing_does_not_follow_links(void **state)
{
	struct scratch *s = *state;

	assert_int_equal(mkdir_p(s->fd, "keep", 0755), 0);
	put_file(s->fd, "keep/file", "x");
	assert_int_equal(mkdir_p(s->fd, "t/a/b", 0755), 0);
	put_file(s->fd, "t/a/f", "x");
	assert_int_equal(symlinkat("../../keep", s->fd, "t/a/link"), 0);
	assert_int_equal(symlinkat("keep", s->fd, "top"), 0);
	assert_int_equal(mkfifoat(s->fd, "t/fifo", 0), 0);
	assert_int_equal(remove_tree(s->fd, "t"), 0);
	assert_int_equal(remove_tree(s->fd, "top"), 0);
	assert_false(exists(s->fd, "t"));
	assert_false(exists(s->fd, "top"));
	assert_true(exists(s->fd, "keep/file"));
	/* by a path, a plain file, a missing one */
	assert_int_equal(remove_tree(s->fd, "keep/file"), 0);
	assert_int_equal(remove_tree(s->fd, "./keep"), 0);
	assert_int_equal(remove_tree(s->fd, "keep"), 0);
	assert_int_equal(remove_tree(s->fd, "none/none"), 0);
}

static void removing_a_tree_of_ten_thousand_levels(void **state)
{
	struct scratch *s = *state;
	struct rlimit files = {0};
	struct rlimit few;
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);

	for (int i = 0; i < 10000; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		if (i % 1000 == 0)
			put_file(fd, "z", "x");
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	few = files;
	few.rlim_cur = 32;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(remove_tree(s->fd, "d"), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	assert_false(exists(s->fd, "d"));
}

static void removing_a_wide_tree(void **state)
{
	struct scratch *s = *state;
	char name[32];

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "w/%d/%d", i / 10, i);
		assert_int_equal(mkdir_p(s->fd, name, 0755), 0);
		snprintf(name, sizeof(name), "w/%d/f%d", i / 10, i);
		put_file(s->fd, name, "");
	}
	assert_int_equal(remove_tree(s->fd, "w"), 0);
	assert_false(exists(s->fd, "w"));
}

static int remove_locked_folders(int dirfd)
{
	static const mode_t modes[] = {0, 0111, 0222, 0444, 0555, 0300, 0600};
	char name[32];

	if (mkdirat(dirfd, "t", 0755) < 0)
		return 3;
	for (size_t i = 0; i < COUNT(modes); i++) {
		snprintf(name, sizeof(name), "t/%zu/sub/sub", i);
		if (mkdir_p(dirfd, name, 0755) < 0)
			return 4;
		snprintf(name, sizeof(name), "t/%zu/sub", i);
		if (fchmodat(dirfd, name, modes[i], 0) < 0)
			return 5;
		snprintf(name, sizeof(name), "t/%zu", i);
		if (fchmodat(dirfd, name, modes[i], 0) < 0)
			return 5;
	}
	if (fchmodat(dirfd, "t", 0, 0) < 0)
		return 5;
	return remove_tree(dirfd, "t") == 0 && !exists(dirfd, "t") ? 0 : 1;
}

static void folders_without_permissions_are_removed(void **state)
{
	struct scratch *s = *state;

	assert_int_equal(as_nobody(remove_locked_folders, s->fd), 0);
}

/* The tree has one folder that belongs to root: what is in it stays, everything else goes. */
static int remove_foreign_folder(int dirfd)
{
	if (remove_tree(dirfd, "t") != -1 || errno != EACCES)
		return 1;
	if (!exists(dirfd, "t/foreign/file") || exists(dirfd, "t/a") || exists(dirfd, "t/z"))
		return 2;
	return 0;
}

static void what_cannot_be_removed_does_not_stop_the_rest(void **state)
{
	struct scratch *s = *state;

	if (geteuid() != 0) {
		print_message("needs root to make a folder of somebody else\n");
		skip();
	}
	assert_int_equal(mkdir_p(s->fd, "t/a/b", 0777), 0);
	assert_int_equal(mkdir_p(s->fd, "t/foreign", 0755), 0);
	assert_int_equal(mkdir_p(s->fd, "t/z/b", 0777), 0);
	put_file(s->fd, "t/foreign/file", "x");
	assert_int_equal(fchownat(s->fd, "t", NOBODY, NOBODY, 0), 0);
	assert_int_equal(fchownat(s->fd, "t/a", NOBODY, NOBODY, 0), 0);
	assert_int_equal(fchownat(s->fd, "t/z", NOBODY, NOBODY, 0), 0);
	assert_int_equal(as_nobody(remove_foreign_folder, s->fd), 0);
}

/* In a mount namespace of its own: 77 when there is none, 0 when both mounts were left alone. */
static int remove_around_mounts(const struct scratch *s)
{
	auto_free char *bind = xasprintf("%s/t/bind", s->path);
	auto_free char *tmpfs = xasprintf("%s/t/a/tmpfs", s->path);
	auto_free char *keep = xasprintf("%s/keep", s->path);

	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return 77;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(keep, bind, NULL, MS_BIND, NULL) < 0 ||
		mount("none", tmpfs, "tmpfs", 0, NULL) < 0)
		return 77;
	/* through the mount namespace, so not by the descriptor from before */
	if (remove_tree(open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "t") != -1)
		return 1;
	if (errno != EXDEV)
		return 2;
	if (!exists(s->fd, "keep/file"))
		return 3;
	return access(tmpfs, F_OK) == 0 ? 0 : 4;
}

static void removing_does_not_enter_mounts(void **state)
{
	struct scratch *s = *state;
	int status = 0;
	pid_t pid;

	assert_int_equal(mkdir_p(s->fd, "keep", 0755), 0);
	put_file(s->fd, "keep/file", "x");
	assert_int_equal(mkdir_p(s->fd, "t/a/tmpfs", 0755), 0);
	assert_int_equal(mkdir_p(s->fd, "t/bind", 0755), 0);
	assert_int_equal(mkdir_p(s->fd, "t/c", 0755), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(remove_around_mounts(s));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no mount namespace here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_false(exists(s->fd, "t/c"));
}

static void copying_counts_the_bytes(void **state)
{
	struct scratch *s = *state;
	auto_free char *data = xmalloc(700000);
	auto_free char *back = xmalloc(700000);
	auto_fd int in = openat(s->fd, "in", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	auto_fd int out = openat(s->fd, "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	auto_fd int append =
		openat(s->fd, "append", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	int fds[2];

	for (size_t i = 0; i < 700000; i++)
		data[i] = (char)(i * 7 + i / 1000);
	assert_int_equal(write_all(in, data, 700000), 0);
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	assert_int_equal(copy_bytes(in, out, 1000), 1000);
	assert_int_equal(copy_bytes(in, out, 0), 0);
	assert_int_equal(copy_bytes(in, out, UINT64_MAX), 699000);
	assert_int_equal(copy_bytes(in, out, 5), 0);
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	assert_int_equal(read_full(out, back, 700000), 700000);
	assert_memory_equal(data, back, 700000);

	/* where copy_file_range() does not work: a pipe, O_APPEND, procfs */
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	assert_int_equal(copy_bytes(in, append, UINT64_MAX), 700000);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	assert_int_equal(copy_bytes(in, fds[1], 3000), 3000);
	close(fds[1]);
	assert_int_equal(copy_bytes(fds[0], out, 2000), 2000);
	assert_int_equal(copy_bytes(fds[0], out, UINT64_MAX), 1000);
	close(fds[0]);
	fds[0] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	assert_true(copy_bytes(fds[0], out, UINT64_MAX) > 0);
	close(fds[0]);
	assert_int_equal(copy_bytes(-1, out, 10), -1);
	assert_int_equal(errno, EBADF);
}

static void random_names_differ(void **state)
{
	char a[17], b[17];

	(void)state;
	random_name(a);
	random_name(b);
	assert_int_equal(strlen(a), 16);
	assert_int_equal(strspn(a, "0123456789abcdef"), 16);
	assert_string_not_equal(a, b);
}

static void only_whole_numbers_in_range_are_parsed(void **state)
{
	static const char *const bad[] = {
		"",
		" 1",
		"1 ",
		"+1",
		"-1",
		"1x",
		"0x1",
		"1.0",
		"18446744073709551616",
		"99999999999999999999999",
		"184467440737095516150",
		"\xD9\xA1",
	};
	uint64_t v = 77;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(parse_u64(bad[i], 0, UINT64_MAX, &v), -1);
	assert_int_equal(parse_u64("4", 5, 9, &v), -1);
	assert_int_equal(parse_u64("10", 5, 9, &v), -1);
	assert_int_equal(v, 77);
	assert_int_equal(parse_u64("5", 5, 9, &v), 0);
	assert_int_equal(v, 5);
	assert_int_equal(parse_u64("9", 5, 9, &v), 0);
	assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_u64("0", 0, 0, &v), 0);
	assert_int_equal(v, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opening_by_the_kernel_stays_inside),
		TEST(opening_by_hand_stays_inside_in_the_same_way),
		TEST(the_public_functions_choose_the_right_rule),
		TEST(a_created_file_has_its_mode),
		TEST(forty_links_are_followed_and_no_more),
		TEST(long_names_and_paths_are_refused_by_the_walk),
		TEST(a_folder_that_turns_into_a_link_leads_nowhere),
		TEST(reading_respects_the_maximum),
		TEST(only_regular_files_are_read),
		TEST(an_atomic_write_replaces_and_leaves_nothing_behind),
		TEST(mkdir_p_makes_what_is_missing),
		TEST(removing_does_not_follow_links),
		TEST(removing_a_tree_of_ten_thousand_levels),
		TEST(removing_a_wide_tree),
		TEST(folders_without_permissions_are_removed),
		TEST(what_cannot_be_removed_does_not_stop_the_rest),
		TEST(removing_does_not_enter_mounts),
		TEST(copying_counts_the_bytes),
		cmocka_unit_test(random_names_differ),
		cmocka_unit_test(only_whole_numbers_in_range_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
