#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "sandbox/user.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "broken line\n"
			     "toobig:x:4294967295:1::/:\n"
			     "app:x:1000:1001:App:/home/app:/bin/sh\n"
			     "1234:x:77:77::/odd:\n"
			     "nohome:x:50:51\n";
static const char group[] = "root:x:0:\nwheel:x:10:root,app\naudio:x:63:app\nother:x:64:apple\napp:x:1001:\n";

static char root_path[] = "/tmp/whittle-user-XXXXXX";
static int root = -1;

static void put(const char *name, const char *text)
{
	int fd = openat(root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root_path));
	root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(root, "etc", 0755), 0);
	put("etc/passwd", passwd);
	put("etc/group", group);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(root);
	return remove_tree(AT_FDCWD, root_path);
}

static struct user resolve(const char *spec)
{
	struct err err = ERR_INIT;
	struct user u;

	assert_int_equal(user_resolve(root, spec, &u, &err), 0);
	return u;
}

static enum err_kind refuse(const char *spec)
{
	struct err err = ERR_INIT;
	struct user u;

	assert_int_equal(user_resolve(root, spec, &u, &err), -1);
	return err.kind;
}

static void a_name_brings_its_groups(void **state)
{
	struct user u = resolve("app"); /* facts 205 and 206 */

	(void)state;
	assert_int_equal(u.uid, 1000);
	assert_int_equal(u.gid, 1001);
	assert_string_equal(u.home, "/home/app");
	assert_int_equal(u.ngroups, 3);
	assert_int_equal(u.groups[0], 1001);
	assert_int_equal(u.groups[1], 10);
	assert_int_equal(u.groups[2], 63);
}

static void no_user_is_root_with_roots_groups(void **state)
{
	struct user u = resolve(NULL);

	(void)state;
	assert_int_equal(u.uid, 0);
	assert_int_equal(u.ngroups, 2);
	assert_int_equal(u.groups[1], 10);
	assert_string_equal(resolve("").home, "/root");
}

static void digits_are_always_an_id(void **state)
{
	struct user u = resolve("1234");

	(void)state;
	assert_int_equal(u.uid, 1234);
	assert_int_equal(u.gid, 0);
	assert_int_equal(u.ngroups, 1);
	assert_string_equal(u.home, "/");
	assert_int_equal(resolve("1000").gid, 1001);
}

static void a_group_takes_the_supplementary_ones_away(void **state)
{
	struct user u = resolve("app:audio");

	(void)state;
	assert_int_equal(u.gid, 63);
	assert_int_equal(u.ngroups, 1);
	assert_int_equal(resolve("0:5").gid, 5);
	assert_int_equal(resolve("app:0").gid, 0);
}

static void refuses_what_it_cannot_resolve(void **state)
{
	static const char *const bad[] = { "ghost", "app:ghosts", ":1", "app:", "4294967295", "99999999999999999999",
		"-1", "+1", " 1", "1 ", "toobig", "broken line" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(refuse(bad[i]), ERR_INPUT);
}

static void missing_files_are_empty(void **state)
{
	auto_fd int none = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = ERR_INIT;
	struct user u;

	(void)state;
	assert_int_equal(user_resolve(none, "12:34", &u, &err), 0);
	assert_int_equal(u.gid, 34);
	assert_int_equal(user_resolve(none, "root", &u, &err), 0);
	assert_int_equal(user_resolve(none, "app", &u, &err), -1);
}

static void odd_files_do_not_hang_or_mislead(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	assert_int_equal(mkfifoat(root, "etc/passwd", 0644), 0);
	assert_int_equal(refuse("app"), ERR_INPUT);
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	/* Absolute links stay inside the root: this one finds nothing there. */
	assert_int_equal(symlinkat("/etc/hostname", root, "etc/passwd"), 0);
	assert_int_equal(refuse("app"), ERR_INPUT);
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	put("etc/passwd", passwd);
}

static void a_file_over_the_limit_is_refused(void **state)
{
	auto_fd int fd = openat(root, "etc/group", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, USER_FILE_MAX + 1), 0);
	assert_int_equal(refuse("app"), ERR_INPUT);
	put("etc/group", group);
}

static void more_groups_than_the_limit_are_refused(void **state)
{
	auto_strbuf text = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < USER_GROUPS_MAX + 1; i++)
		strbuf_printf(&text, "g%d:x:%d:app\n", i, 5000 + i);
	put("etc/group", text.buf);
	assert_int_equal(refuse("app"), ERR_INPUT);
	put("etc/group", group);
}

static void owners_of_copy(void **state)
{
	struct err err = ERR_INIT;
	uid_t uid;
	gid_t gid;

	(void)state;
	assert_int_equal(user_resolve_owner(passwd, group, "app", &uid, &gid, &err), 0);
	assert_int_equal(uid, 1000);
	assert_int_equal(gid, 1001);
	assert_int_equal(user_resolve_owner(passwd, group, "7", &uid, &gid, &err), 0);
	assert_int_equal(gid, 7);
	assert_int_equal(user_resolve_owner("", "", "7:8", &uid, &gid, &err), 0);
	assert_int_equal(gid, 8);
	assert_int_equal(user_resolve_owner(passwd, group, "1000:audio", &uid, &gid, &err), 0);
	assert_int_equal(gid, 63);
	assert_int_equal(user_resolve_owner(passwd, group, "ghost", &uid, &gid, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_brings_its_groups),
		cmocka_unit_test(no_user_is_root_with_roots_groups),
		cmocka_unit_test(digits_are_always_an_id),
		cmocka_unit_test(a_group_takes_the_supplementary_ones_away),
		cmocka_unit_test(refuses_what_it_cannot_resolve),
		cmocka_unit_test(missing_files_are_empty),
		cmocka_unit_test(odd_files_do_not_hang_or_mislead),
		cmocka_unit_test(a_file_over_the_limit_is_refused),
		cmocka_unit_test(more_groups_than_the_limit_are_refused),
		cmocka_unit_test(owners_of_copy),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
