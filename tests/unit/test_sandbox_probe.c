/* Probes of this host, and cgroups of others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "sandbox/probe.h"

static char tree[] = "/tmp/whittle-probe.XXXXXX";

static void put(const char *name, const char *text)
{
	auto_free char *path = xasprintf("%s%s", tree, name);
	auto_free char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	auto_fd int fd = -1;

	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0755), 0);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static int empty(void **state)
{
	(void)state;
	remove_tree(AT_FDCWD, tree);
	return mkdir(tree, 0755);
}

static void the_host_answers_and_is_left_as_it_was(void **state)
{
	struct probe_host first, second;
	struct err err = ERR_INIT;
	struct rlimit locks;

	(void)state;
	assert_int_equal(probe_host(&first, &err), 0);
	assert_int_equal(probe_host(&second, &err), 0);
	/* a listener that stayed would refuse the second with EBUSY */
	assert_int_equal(first.listener, second.listener);
	assert_int_equal(getrlimit(RLIMIT_LOCKS, &locks), 0);
	assert_int_equal(first.locks_unlimited, locks.rlim_max == RLIM_INFINITY);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_host_without_cgroup2(void **state)
{
	struct probe_cgroup cg;

	(void)state;
	probe_cgroup(tree, &cg);
	assert_false(cg.v2);
	put("/proc/self/mountinfo", "30 20 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	put("/proc/self/cgroup", "5:memory:/x\n");
	probe_cgroup(tree, &cg);
	assert_false(cg.v2);
	assert_false(cg.is_pi);
}

static void a_raspberry_pi_without_the_memory_controller(void **state)
{
	struct probe_cgroup cg;

	(void)state;
	put("/proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4");
	put("/proc/self/mountinfo", "30 20 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	put("/proc/self/cgroup", "0::/user.slice/user-1000.slice/session-1.scope\n");
	put("/sys/fs/cgroup/user.slice/user-1000.slice/session-1.scope/cgroup.controllers", "cpuset cpu io pids\n");
	probe_cgroup(tree, &cg);
	assert_true(cg.v2);
	assert_true(cg.is_pi);
	assert_true(cg.writable);
	assert_true(probe_has_controller(&cg, "cpu"));
	assert_true(probe_has_controller(&cg, "pids"));
	assert_false(probe_has_controller(&cg, "memory"));
	assert_false(probe_has_controller(&cg, "cpuse"));
	assert_false(probe_has_controller(&cg, "set"));
}

static void the_root_cgroup_beside_version_1(void **state)
{
	struct probe_cgroup cg;

	(void)state;
	put("/proc/self/mountinfo", "29 20 0:1 / /c/memory rw - cgroup cgroup rw\n30 20 0:1 / /c/unified rw - cgroup2 cgroup2 rw\n");
	put("/proc/self/cgroup", "5:memory:/x\n0::/\n");
	put("/c/unified/cgroup.controllers", "memory\n");
	probe_cgroup(tree, &cg);
	assert_true(cg.v2);
	assert_string_equal(cg.controllers, "memory");
}

static void long_lists_are_cut(void **state)
{
	auto_strbuf list = STRBUF_INIT;
	struct probe_cgroup cg;

	(void)state;
	for (int i = 0; i < 1000; i++)
		strbuf_puts(&list, "controller ");
	strbuf_puts(&list, "memory\n");
	put("/proc/self/mountinfo", "30 20 0:1 / /c rw - cgroup2 cgroup2 rw\n");
	put("/proc/self/cgroup", "0::/\n");
	put("/c/cgroup.controllers", list.buf);
	probe_cgroup(tree, &cg);
	assert_int_equal(strlen(cg.controllers), PROBE_CONTROLLERS_SIZE - 1);
	assert_false(probe_has_controller(&cg, "memory"));
}

static int make_tree(void **state)
{
	(void)state;
	return mkdtemp(tree) ? 0 : -1;
}

static int drop_tree(void **state)
{
	(void)state;
	return remove_tree(AT_FDCWD, tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_answers_and_is_left_as_it_was),
		cmocka_unit_test_setup(a_host_without_cgroup2, empty),
		cmocka_unit_test_setup(a_raspberry_pi_without_the_memory_controller, empty),
		cmocka_unit_test_setup(the_root_cgroup_beside_version_1, empty),
		cmocka_unit_test_setup(long_lists_are_cut, empty),
	};

	return cmocka_run_group_tests(tests, make_tree, drop_tree);
}
