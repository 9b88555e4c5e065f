/*
 * The kernel is the judge here: what overlayfs shows over folders that we unpacked must be what the
 * chain of indexes says, and what a step leaves in the upper directory must become a layer that
 * gives the same tree again.
 */
#include "unit/layer_util.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define SKIPPED 77

struct box {
	char path[64];
	int fd;
};

static void box_open(struct box *b)
{
	b->fd = scratch_new(b->path);
	assert_int_equal(fchmod(b->fd, 0755), 0);
}

static void write_map(const char *file, unsigned id)
{
	char line[32];
	int fd = open(file, O_WRONLY | O_CLOEXEC), n = snprintf(line, sizeof(line), "0 %u 1\n", id);

	if (fd < 0 || write_all(fd, line, (size_t)n) < 0)
		_exit(SKIPPED);
	close(fd);
}

/* Become root of a user namespace of our own, as a tree worker is. */
static void enter_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		_exit(SKIPPED);
	fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write_all(fd, "deny", 4) < 0)
			_exit(SKIPPED);
		close(fd);
	}
	write_map("/proc/self/uid_map", uid);
	write_map("/proc/self/gid_map", gid);
}

/* The tree in a folder, or of a chain, as lines of text. */
static int add_line(void *user, const struct tree_entry *e, struct err *err)
{
	struct recorder r = RECORDER_INIT;

	if (e->path[0] == '\0')
		return 0;
	recorder_entry(&r.sink, e, err);
	strbuf_add(user, r.text.buf, r.text.len);
	strbuf_release(&r.text);
	return 0;
}

static void folder_text(int fd, struct strbuf *out)
{
	struct folder_walk_options opt = {.plain = true};
	struct recorder r = RECORDER_INIT;
	struct err err = ERR_INIT;

	assert_ok(folder_walk(fd, &opt, &r.sink, NULL, &err));
	strbuf_add(out, r.text.buf, r.text.len);
	strbuf_release(&r.text);
}

/* Run in a child: a failed assertion would jump into the parent's test. */
static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "failed: %s\n", what);
	_exit(1);
}

static void expect_same(const char *got, const char *want, const char *what)
{
	size_t same = 0, line = 0;

	if (strcmp(got, want) == 0)
		return;
	for (; got[same] && got[same] == want[same]; same++)
		if (got[same] == '\n')
			line = same + 1;
	fprintf(stderr, "failed: %s: the kernel has '%.*s', we have '%.*s'\n", what,
		(int)strcspn(want + line, "\n"), want + line, (int)strcspn(got + line, "\n"),
		got + line);
	_exit(1);
}

static struct tree_index *unpack(struct strbuf *tar, int fd, const struct tree_chain *lower)
{
	AUTO(index_sink_free) struct index_sink *s = index_sink_new(INDEX_DIGESTS);
	struct err err = ERR_INIT;
	AUTO(folder_writer_free) struct folder_writer *w = folder_writer_new(fd, NULL, &err);
	struct tree_index *ix;
	struct tree_tee tee;
	auto_fd int blob = -1;

	raw_end(tar);
	blob = blob_of(tar->buf, tar->len);
	strbuf_reset(tar);
	tree_tee_init(&tee, folder_writer_sink(w), index_sink_of(s));
	if (layer_read(blob, NULL, &tee.sink, NULL, &err) < 0)
		expect(false, err.msg);
	ix = index_of_sink(s);
	if (folder_settle(fd, ix, lower, 0, &err) < 0)
		expect(false, err.msg);
	return ix;
}

static void add(struct strbuf *tar, struct raw r)
{
	if (r.mode == 0)
		r.mode = 0644;
	if (r.type == '5')
		r.mode = 0755;
	raw_add(tar, r);
}

#define R(...) add(&tar, (struct raw){__VA_ARGS__})

/* Two layers with everything that hides something. */
static void make_layers(struct box box[2], struct tree_index *ix[2], struct tree_chain *chain)
{
	auto_strbuf tar = STRBUF_INIT;

	R(.name = "d/", .type = '5');
	for (int i = 0; i < 70; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many/f%02d", i);
		R(.name = name, .body = "x");
	}
	R(.name = "d/a", .body = "1");
	R(.name = "d/b", .body = "2");
	R(.name = "d/s/x", .body = "3");
	R(.name = "d/s/y", .body = "4");
	R(.name = "o/old", .body = "5");
	R(.name = "o/s/old", .body = "5");
	R(.name = "file", .body = "6");
	R(.name = "dir/x", .body = "7");
	R(.name = "again/old", .body = "8");
	R(.name = "l", .type = '2', .link = "d/a");
	R(.name = ".wh.nothing"); /* there is nothing below a base layer */
	ix[0] = unpack(&tar, box[0].fd, chain);
	chain_push(chain, ix[0]);

	R(.name = "d/.wh.a");
	R(.name = "d/.wh.never");
	R(.name = "d/c", .body = "9");
	R(.name = "o/", .type = '5');
	R(.name = "o/.wh..wh..opq");
	R(.name = "o/new", .body = "10");
	R(.name = "o/s/new", .body = "11");
	R(.name = "file/", .type = '5');
	R(.name = "file/in", .body = "12");
	R(.name = "dir", .body = "13");
	R(.name = "again/new", .body = "14");
	R(.name = ".wh.again");
	ix[1] = unpack(&tar, box[1].fd, chain);
	chain_push(chain, ix[1]);
}

/* What a step might do. */
static void work_in(int m)
{
	expect(unlinkat(m, "d/b", 0) == 0, "unlink");
	expect(remove_tree(m, "d/s") == 0, "rm -r");
	expect(mkdirat(m, "d/s", 0700) == 0, "mkdir");
	put_file(m, "d/s/y", "new");
	expect(remove_tree(m, "many") == 0 && mkdirat(m, "many", 0755) == 0, "rm -r, mkdir");
	put_file(m, "many/only", "x");
	expect(unlinkat(m, "l", 0) == 0 && mkdirat(m, "l", 0755) == 0, "link to folder");
	put_file(m, "created", "x");
	expect(unlinkat(m, "created", 0) == 0, "unlink what was made");
	expect(fchmodat(m, "o/new", 0600, 0) == 0, "chmod");
	expect(renameat(m, "dir", m, "moved") == 0, "rename");
	put_file(m, "file/in", "changed");
	expect(fchmodat(m, "d/c", 0644, 0) == 0, "copy up, unchanged");
}

static void check_layer_of_upper(
	struct tree_chain *chain, int upper, const char *want, struct tree_index **keep)
{
	AUTO(index_sink_free) struct index_sink *s = index_sink_new(0);
	struct folder_walk_options opt = {.lower = chain};
	auto_strbuf got = STRBUF_INIT, changes = STRBUF_INIT;
	struct err err = ERR_INIT;

	if (folder_walk(upper, &opt, index_sink_of(s), NULL, &err) < 0)
		expect(false, err.msg);
	*keep = index_of_sink(s);
	chain_push(chain, *keep);
	chain_walk(chain, "", add_line, &got, &err);
	expect_same(got.buf, want, "lower layers and the layer of the step");
	index_text(*keep, &changes);
	expect(!strstr(changes.buf, "created"), "what was made and removed leaves nothing");
	expect(strstr(changes.buf, "w d/b\n") && strstr(changes.buf, "w d/s/x\n") &&
			strstr(changes.buf, "do many "),
		"whiteouts are told");
}

static void child(struct box box[4], const char *base)
{
	auto_chain chain = CHAIN_INIT;
	auto_strbuf kernel = STRBUF_INIT, ours = STRBUF_INIT, after = STRBUF_INIT;
	struct tree_index *ix[3];
	struct err err = ERR_INIT;
	char options[400];
	auto_fd int merged = -1;

	enter_namespace();
	make_layers(box, ix, &chain);
	put_dir(box[2].fd, "upper");
	put_dir(box[2].fd, "work");
	snprintf(options, sizeof(options),
		"userxattr,lowerdir=%s:%s,upperdir=%s/upper,workdir=%s/work", box[1].path,
		box[0].path, box[2].path, box[2].path);
	if (mount("overlay", base, "overlay", 0, options) < 0)
		_exit(SKIPPED);
	merged = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder_text(merged, &kernel);
	chain_walk(&chain, "", add_line, &ours, &err);
	expect_same(ours.buf, kernel.buf, "two layers");
	work_in(merged);
	folder_text(merged, &after);
	close(take_fd(merged));
	expect(umount(base) == 0, "umount");
	{
		auto_fd int upper = openat(box[2].fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		check_layer_of_upper(&chain, upper, after.buf, &ix[2]);
	}
	for (int i = 0; i < 3; i++)
		index_close(ix[i]);
}

static void overlayfs_agrees(void **state)
{
	struct box box[4];
	pid_t pid;
	int status;

	(void)state;
	for (int i = 0; i < 4; i++)
		box_open(&box[i]);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		child(box, box[3].path);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 4; i++)
		scratch_end(box[i].fd, box[i].path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		print_message("no user namespace, or no overlayfs in it\n");
		skip();
	}
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlayfs_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
