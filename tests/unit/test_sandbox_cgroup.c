/* cgroup v2 in a folder that looks like one: what is written where, and each refusal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "sandbox/cgroup.h"

static char root[] = "/tmp/whittle-cgroup.XXXXXX";
static char *self; /* stands for /proc/self/cgroup */

static char *at(const char *fmt, ...)
{
	char path[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return xasprintf("%s/%s", root, path);
}

static void put(const char *name, const char *text)
{
	auto_free char *path = at("%s", name);
	auto_fd int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static void assert_file(const char *name, const char *wanted)
{
	struct strbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	auto_free char *path = at("%s", name);

	if (read_file(AT_FDCWD, path, 4096, &text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(text.buf, wanted);
	strbuf_release(&text);
}

/* A group with the files that the kernel would make. */
static void make_group(const char *name)
{
	static const char *const files[] = { "cgroup.procs", "cgroup.subtree_control", "memory.max", "memory.swap.max",
		"cpu.max", "cpuset.cpus" };
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir_p(AT_FDCWD, path, 0755), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", name, files[i]);
		put(path, "");
	}
	snprintf(path, sizeof(path), "%s/cgroup.controllers", name);
	put(path, "cpuset cpu io memory pids\n");
}

static int setup(void **state)
{
	char name[64];

	(void)state;
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	if (!mkdtemp(root))
		return -1;
	put("cgroup.controllers", "cpuset cpu io memory pids\n");
	make_group("user/mine");
	/* the kernel fills a new folder with files; this test does it before */
	snprintf(name, sizeof(name), "user/mine/whittle-%d", (int)getpid());
	make_group(name);
	snprintf(name, sizeof(name), "user/mine/whittle-%d-1", (int)getpid());
	make_group(name);
	put("self", "9:name=systemd:/\n0::/user/mine\n");
	self = at("self");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(self);
	return remove_tree(AT_FDCWD, root);
}

static void test_limits_are_written(void **state)
{
	const struct cgroup_limits limits = { .memory = 64 << 20, .cpu_quota_us = 150000, .cpuset = "0-1" };
	struct err err = ERR_INIT;
	struct cgroup *c = cgroup_new(root, self, NULL, &limits, &err);
	unsigned number = 0;
	char name[80], pid[16];
	int step;

	(void)state;
	if (!c)
		fail_msg("%s", err.msg);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(name, sizeof(name), "user/mine/whittle-%s/cgroup.procs", pid);
	assert_file(name, pid);
	assert_file("user/mine/cgroup.subtree_control", "+cpuset"); /* the last of three writes; the kernel adds them up */
	step = cgroup_begin_step(c, &number, &err);
	if (step < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(number, 1);
	snprintf(name, sizeof(name), "user/mine/whittle-%s-1/memory.max", pid);
	assert_file(name, "67108864");
	snprintf(name, sizeof(name), "user/mine/whittle-%s-1/memory.swap.max", pid);
	assert_file(name, "67108864");
	snprintf(name, sizeof(name), "user/mine/whittle-%s-1/cpu.max", pid);
	assert_file(name, "150000 100000");
	snprintf(name, sizeof(name), "user/mine/whittle-%s-1/cpuset.cpus", pid);
	assert_file(name, "0-1");
	/* what the kernel counts */
	assert_int_equal(cgroup_oom_kills(step), 0);
	snprintf(name, sizeof(name), "user/mine/whittle-%s-1/memory.events", pid);
	put(name, "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n");
	assert_int_equal(cgroup_oom_kills(step), 2);
	close_fd(step);
	cgroup_free(c);
	assert_file("user/mine/cgroup.subtree_control", "-cpuset");
	assert_file("user/mine/cgroup.procs", pid); /* back where it was */
}

static void test_swap(void **state)
{
	static const struct {
		int64_t both;
		const char *wanted;
	} cases[] = { { -1, "max" }, { 64 << 20, "0" }, { 100 << 20, "37748736" } };
	char name[80];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct cgroup_limits limits = { .memory = 64 << 20, .memory_swap = cases[i].both };
		struct err err = ERR_INIT;
		struct cgroup *c = cgroup_new(root, self, NULL, &limits, &err);
		unsigned number;
		int step;

		assert_non_null(c);
		step = cgroup_begin_step(c, &number, &err);
		assert_true(step >= 0);
		snprintf(name, sizeof(name), "user/mine/whittle-%d-1/memory.swap.max", (int)getpid());
		assert_file(name, cases[i].wanted);
		close_fd(step);
		cgroup_free(c);
	}
}

static void refused(const char *parent, const struct cgroup_limits *limits, const char *why)
{
	struct err err = ERR_INIT;
	struct cgroup *c = cgroup_new(root, self, parent, limits, &err);

	assert_null(c);
	assert_int_equal(err.kind, ERR_SANDBOX);
	if (!strstr(err.msg, why))
		fail_msg("no '%s' in '%s'", why, err.msg);
}

static void test_refusals(void **state)
{
	const struct cgroup_limits memory = { .memory = 64 << 20 }, cpus = { .cpu_quota_us = 50000 };
	auto_free char *controllers = at("cgroup.controllers");

	(void)state;
	put("user/mine/cgroup.controllers", "memory pids\n");
	refused(NULL, &cpus, "the cpu controller is not delegated to the cgroup '/user/mine'");
	put("cgroup.controllers", "cpuset cpu io pids\n");
	put("user/mine/cgroup.controllers", "cpu pids memory_but_not_quite\n");
	refused(NULL, &memory, "cgroup_enable=memory");
	put("self", "0::/../outside\n");
	refused(NULL, &memory, "no cgroup v2 that can be seen");
	put("self", "4:memory:/a\n");
	refused(NULL, &memory, "no cgroup v2 that can be seen");
	put("self", "0::/not/there\n");
	refused(NULL, &memory, "cannot open the cgroup '/not/there'");
	refused("../..", &memory, "cannot open the cgroup");
	put("self", "0::/user/mine\n");
	assert_int_equal(unlink(controllers), 0);
	refused(NULL, &memory, "limits need cgroup v2");
}

static void test_not_delegated(void **state)
{
	const struct cgroup_limits memory = { .memory = 64 << 20 };
	auto_free char *procs = at("user/mine/cgroup.procs");

	(void)state;
	assert_int_equal(unlink(procs), 0); /* absent is not writable either, also for root */
	refused(NULL, &memory, "systemd-run --user --scope -p Delegate=yes");
}

static void test_parent(void **state)
{
	const struct cgroup_limits memory = { .memory = 64 << 20 };
	struct err err = ERR_INIT;
	struct cgroup *c;
	char name[80];
	unsigned number;
	int step;

	(void)state;
	make_group("elsewhere");
	snprintf(name, sizeof(name), "elsewhere/whittle-%d-1", (int)getpid());
	make_group(name);
	c = cgroup_new(root, self, "/elsewhere", &memory, &err);
	assert_non_null(c);
	assert_file("elsewhere/cgroup.subtree_control", "+memory");
	step = cgroup_begin_step(c, &number, &err);
	assert_true(step >= 0);
	snprintf(name, sizeof(name), "elsewhere/whittle-%d-1/memory.max", (int)getpid());
	assert_file(name, "67108864");
	snprintf(name, sizeof(name), "user/mine/whittle-%d/cgroup.procs", (int)getpid());
	assert_file(name, ""); /* this process stays where it is */
	close_fd(step);
	cgroup_free(c);
}

static void test_leftovers_go(void **state)
{
	const struct cgroup_limits memory = { .memory = 64 << 20 };
	auto_free char *dead = at("user/mine/whittle-2147483646-1");
	auto_free char *alive = at("user/mine/whittle-1-1");
	auto_free char *other = at("user/mine/whittle-of-somebody");
	struct err err = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(dead, 0755), 0);
	assert_int_equal(mkdir(alive, 0755), 0);
	assert_int_equal(mkdir(other, 0755), 0);
	cgroup_free(cgroup_new(root, self, NULL, &memory, &err));
	assert_int_not_equal(stat(dead, &st), 0);
	assert_int_equal(stat(alive, &st), 0);
	assert_int_equal(stat(other, &st), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_limits_are_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_swap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_delegated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leftovers_go, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
