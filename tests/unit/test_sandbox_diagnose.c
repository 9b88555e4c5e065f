/* The table of refusals, on trees of files that tell what other hosts would. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "sandbox/diagnose.h"

#define FILES_MAX 4

/* What a host shows, and the row that has to answer. */
static const struct host {
	enum diagnose_step step;
	int sys;
	const char *subject;
	struct {
		const char *path, *text;
	} files[FILES_MAX];
	const char *id, *cause; /* a part of it; NULL: any */
	enum mend mend;
} hosts[] = {
	{ DIAGNOSE_CLONE, EPERM, NULL, { { "/proc/sys/kernel/unprivileged_userns_clone", "0\n" } }, "userns-sysctl",
		"unprivileged_userns_clone is 0", MEND_USERNS_SYSCTL },
	{ DIAGNOSE_CLONE, EPERM, NULL,
		{ { "/proc/sys/kernel/unprivileged_userns_clone", "1\n" }, { "/proc/self/status", "Name:\tx\nSeccomp:\t0\n" },
			{ "/proc/self/mountinfo", "30 20 8:1 / /usr rw - ext4 /dev/sda rw\n" } },
		"chroot", "chroot", MEND_CHROOT },
	{ DIAGNOSE_CLONE, EPERM, NULL,
		{ { "/proc/self/status", "Name:\tx\nSeccomp:\t0\n" },
			{ "/proc/self/mountinfo", "30 20 8:1 / / rw - ext4 /dev/sda rw\n" } },
		"userns-refused", "no knob", MEND_CHROOT },
	{ DIAGNOSE_CLONE, EPERM, NULL, { { "/proc/self/status", "Name:\tx\nSeccomp:\t2\n" } }, "seccomp", "seccomp",
		MEND_FILTER },
	{ DIAGNOSE_CLONE, EPERM, NULL, { { "/proc/self/status", "Name:\tx\nSeccomp:\t2\n" }, { "/.dockerenv", "" } },
		"seccomp-container", "container", MEND_FILTER_DOCKER },
	{ DIAGNOSE_NAMESPACES, ENOSYS, NULL,
		{ { "/proc/self/status", "Name:\tx\nSeccomp:\t2\n" }, { "/run/.containerenv", "" } }, "seccomp-container",
		NULL, MEND_FILTER_DOCKER },
	{ DIAGNOSE_CLONE, EPERM, NULL, { { "/proc/self/other", "" } }, "no-proc", "no procfs", MEND_PROC_MOUNT },
	{ DIAGNOSE_CLONE, EPERM, NULL, { { "/proc/self/status", "Name:\tx\n" }, { "/proc/self/uid_map", "" } }, "unmapped",
		"no id for it", MEND_OUTER_MAP },
	{ DIAGNOSE_CLONE, ENOSPC, NULL, { { "/proc/sys/user/max_user_namespaces", "0\n" } }, "userns-limit",
		"max_user_namespaces is 0", MEND_USERNS_SYSCTL },
	{ DIAGNOSE_CLONE, ENOSPC, NULL,
		{ { "/proc/sys/user/max_user_namespaces", "77\n" }, { "/proc/sys/user/max_mnt_namespaces", "0\n" } },
		"mntns-limit", NULL, MEND_USERNS_SYSCTL },
	{ DIAGNOSE_CLONE, ENOSPC, NULL, { { "/proc/sys/user/max_user_namespaces", "77\n" } }, "namespace-limit", "is 77 here",
		MEND_USERNS_SYSCTL },
	{ DIAGNOSE_CLONE, EINVAL, NULL, { { "/proc/self/ns/mnt", "" } }, "no-userns", "without user namespaces",
		MEND_KERNEL_USERNS },
	{ DIAGNOSE_CLONE, EAGAIN, NULL, { { NULL, NULL } }, "processes", NULL, MEND_PROCESSES },
	{ DIAGNOSE_CLONE, ENOSYS, NULL, { { "/proc/self/status", "Name:\tx\n" } }, "old-kernel", "lacks the call", MEND_KERNEL },
	{ DIAGNOSE_CLONE, EACCES, NULL,
		{ { "/sys/fs/selinux/enforce", "1" }, { "/proc/self/attr/current", "system_u:system_r:container_t:s0:c1,c2" } },
		"selinux", "type container_t", MEND_SELINUX },
	{ DIAGNOSE_MOUNT, EACCES, NULL, { { "/sys/fs/selinux/enforce", "1" }, { "/proc/self/attr/current", "odd" } }, "selinux",
		"type ?", MEND_SELINUX },
	{ DIAGNOSE_MAP, EROFS, NULL, { { "/proc/self/status", "Name:\tx\n" } }, "proc-read-only", NULL, MEND_PROC_WRITABLE },
	{ DIAGNOSE_MAP, ENOENT, NULL, { { NULL, NULL } }, "no-proc", NULL, MEND_PROC_MOUNT },
	{ DIAGNOSE_PROC, EPERM, NULL,
		{ { "/proc/self/mountinfo",
			"30 20 0:1 / /proc rw - proc proc rw\n31 30 0:2 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n"
			"32 30 0:3 / /proc/a\\040b rw - tmpfs t rw\n33 30 0:3 / /proc/b rw - tmpfs t rw\n"
			"34 30 0:3 / /proc/c rw - tmpfs t rw\n35 30 0:3 / /proc/d rw - tmpfs t rw\n" } },
		"proc-masked", "(/proc/a\\040b, /proc/b, /proc/c and 1 more)", MEND_PROC_UNMASK },
	{ DIAGNOSE_OVERLAY, ENODEV, NULL, { { "/proc/filesystems", "nodev\ttmpfs\n\text4\n" } }, "overlay-module", NULL,
		MEND_OVERLAY_MODULE },
	{ DIAGNOSE_OVERLAY, EBUSY, NULL, { { NULL, NULL } }, "overlay-busy", NULL, MEND_REPORT },
	{ DIAGNOSE_OVERLAY, ENOSPC, NULL,
		{ { "/proc/sys/fs/mount-max", "2\n" }, { "/proc/self/mountinfo", "a\nb\n" } }, "mount-max", NULL, MEND_MOUNT_MAX },
	{ DIAGNOSE_OVERLAY, EPERM, NULL, { { "/proc/self/status", "Name:\tx\nSeccomp:\t2\n" } }, "overlay-filter", NULL,
		MEND_FILTER },
	{ DIAGNOSE_LISTENER, EBUSY, NULL, { { NULL, NULL } }, "listener-busy", "outer supervisor", MEND_NONE },
	{ DIAGNOSE_LISTENER, EINVAL, NULL, { { NULL, NULL } }, "listener", NULL, MEND_KERNEL },
	{ DIAGNOSE_RIGHTS, EPERM, NULL, { { NULL, NULL } }, "rights", NULL, MEND_FILTER },
	{ DIAGNOSE_THREAD, EPERM, NULL, { { "/proc/self/status", "Name:\tx\nSeccomp:\t2\n" } }, "clone3", NULL,
		MEND_FILTER_CLONE3 },
	{ DIAGNOSE_NO_HELPER, 0, "newgidmap", { { NULL, NULL } }, "no-newuidmap", "newgidmap is not in PATH", MEND_UIDMAP },
	{ DIAGNOSE_NO_RANGE, 0, "/etc/subgid", { { "/etc/nsswitch.conf", "passwd: files\nsubid:\tfiles\n" } }, "no-range",
		"/etc/subgid has no usable range", MEND_RANGE },
	{ DIAGNOSE_NO_RANGE, 0, "/etc/subuid", { { "/etc/nsswitch.conf", "passwd: files\nsubid: sss # x\n" } },
		"subid-directory", "come from sss", MEND_DIRECTORY },
	{ DIAGNOSE_NO_NEW_PRIVS, 0, NULL, { { "/proc/self/status", "Name:\tx\nNoNewPrivs:\t1\n" } }, "no-new-privs", NULL,
		MEND_NO_NEW_PRIVS },
	{ DIAGNOSE_HELPER, 0, "newuidmap: uid range [1-2) -> [3-4) not allowed", { { NULL, NULL } }, "helper-range", NULL,
		MEND_RANGE },
	{ DIAGNOSE_HELPER, 0, "write to uid_map failed: Operation not permitted",
		{ { "/proc/self/status", "Name:\tx\nCapBnd:\t000001ffffffff3f\n" } }, "helper-bounding", "CAP_SETUID", MEND_NONE },
	{ DIAGNOSE_BINFMT, ENODEV, NULL, { { NULL, NULL } }, "binfmt-module", NULL, MEND_BINFMT_MODULE },
	{ DIAGNOSE_TUN, ENOENT, NULL, { { NULL, NULL } }, "tun-module", NULL, MEND_TUN_MODULE },
	{ DIAGNOSE_TUN, EACCES, NULL, { { NULL, NULL } }, "tun-mode", NULL, MEND_TUN_MODE },
};

static char tree[] = "/tmp/whittle-diagnose.XXXXXX";

static void make_host(const struct host *h)
{
	remove_tree(AT_FDCWD, tree);
	assert_int_equal(mkdir(tree, 0755), 0);
	for (size_t i = 0; i < FILES_MAX && h->files[i].path; i++) {
		auto_free char *path = xasprintf("%s%s", tree, h->files[i].path);
		auto_free char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
		auto_fd int fd = -1;

		assert_int_equal(mkdir_p(AT_FDCWD, dir, 0755), 0);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		assert_int_equal(write_all(fd, h->files[i].text, strlen(h->files[i].text)), 0);
	}
}

static void every_host_has_its_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct refusal r = { hosts[i].step, hosts[i].sys, hosts[i].subject, tree };
		struct diagnosis d;

		make_host(&hosts[i]);
		diagnose_find(&r, &d);
		if (strcmp(d.id, hosts[i].id) != 0 || (hosts[i].cause && !strstr(d.cause, hosts[i].cause)) ||
			d.mend != hosts[i].mend)
			fail_msg("host %zu: '%s' instead of '%s': %s", i, d.id, hosts[i].id, d.cause);
		assert_null(strchr(d.cause, '{'));
	}
}

/* Root is not restricted by it, so the row is for others. */
static void apparmor_restricts_users(void **state)
{
	static const struct host ubuntu = { .files = { { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n" },
						  { "/proc/self/status", "Name:\tx\n" } } };
	static const struct {
		enum diagnose_step step;
		int sys;
	} cases[] = { { DIAGNOSE_MAP, EPERM }, { DIAGNOSE_MAP, EACCES }, { DIAGNOSE_ENTER, EACCES },
		{ DIAGNOSE_MOUNT, EPERM }, { DIAGNOSE_CLONE, EPERM } };

	(void)state;
	make_host(&ubuntu);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct refusal r = { cases[i].step, cases[i].sys, NULL, tree };
		struct diagnosis d;
		uid_t own = geteuid();

		diagnose_find(&r, &d);
		if (own == 0) {
			assert_string_not_equal(d.id, "apparmor");
			assert_int_equal(seteuid(65534), 0);
			diagnose_find(&r, &d);
			assert_int_equal(seteuid(own), 0);
		}
		assert_string_equal(d.id, "apparmor");
		assert_int_equal(d.mend, MEND_APPARMOR);
	}
}

static void a_pod_is_told_of_by_its_environment(void **state)
{
	static const struct host pod = { .files = { { "/proc/self/status", "Name:\tx\nSeccomp:\t2\n" }, { "/.dockerenv", "" } } };
	struct refusal r = { DIAGNOSE_CLONE, EPERM, NULL, tree };
	struct diagnosis d;

	(void)state;
	make_host(&pod);
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
	diagnose_find(&r, &d);
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_string_equal(d.id, "seccomp-pod");
}

static void what_is_no_refusal_stays(void **state)
{
	static const struct {
		enum err_kind kind;
		int sys;
	} cases[] = { { ERR_STEP, EPERM }, { ERR_INPUT, 0 }, { ERR_SYSTEM, 0 }, { ERR_SYSTEM, EIO }, { ERR_NOT_FOUND, ENOENT } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;

		err_set_at(&err, "x.c", 1, cases[i].kind, cases[i].sys, "plain");
		struct err before = err;

		assert_int_equal(diagnose(DIAGNOSE_MOUNT, NULL, &err), -1);
		assert_string_equal(err.msg, before.msg);
		assert_int_equal(err.kind, before.kind);
	}
}

static void an_error_keeps_its_place_and_gains_cause_and_mend(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set_at(&err, "x.c", 7, ERR_SYSTEM, EBUSY, "cannot listen");
	diagnose(DIAGNOSE_LISTENER, NULL, &err);
	assert_int_equal(err.kind, ERR_SANDBOX);
	assert_int_equal(err.sys, EBUSY);
	assert_string_equal(err.where, "x.c:7");
	assert_string_equal(err.msg,
		"cannot listen: Device or resource busy: an outer supervisor already listens to the calls of this process");
	err_set_at(&err, "x.c", 7, ERR_SYSTEM, EAGAIN, "cannot fork");
	diagnose(DIAGNOSE_CLONE, NULL, &err);
	assert_non_null(strstr(err.msg, MEND_ADVICE "raise"));
}

/* A helper may say what it likes, as long as it likes. */
static void long_and_odd_subjects_are_harmless(void **state)
{
	char subject[5000];
	struct err err = ERR_INIT;

	(void)state;
	memset(subject, '\x1b', sizeof(subject));
	snprintf(subject + 4000, 100, "not allowed");
	err_set(&err, ERR_SANDBOX, "newuidmap refused the range: %s", subject);
	diagnose(DIAGNOSE_HELPER, subject, &err);
	assert_null(strchr(err.msg, '\x1b'));
	assert_non_null(strstr(err.msg, "not take the range"));
	assert_non_null(strstr(err.msg, MEND_RUN));
}

static void rows_have_names_of_their_own(void **state)
{
	(void)state;
	for (size_t i = 0; diagnose_row_id(i); i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(diagnose_row_id(i), diagnose_row_id(k));
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
		cmocka_unit_test(every_host_has_its_row),
		cmocka_unit_test(apparmor_restricts_users),
		cmocka_unit_test(a_pod_is_told_of_by_its_environment),
		cmocka_unit_test(what_is_no_refusal_stays),
		cmocka_unit_test(an_error_keeps_its_place_and_gains_cause_and_mend),
		cmocka_unit_test(long_and_odd_subjects_are_harmless),
		cmocka_unit_test(rows_have_names_of_their_own),
	};

	return cmocka_run_group_tests(tests, make_tree, drop_tree);
}
