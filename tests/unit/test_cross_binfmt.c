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
#include "cross/binfmt.h"
#include "cross/qemu.h"

static void the_line_is_what_the_kernel_reads(void **state)
{
	auto_strbuf line = STRBUF_INIT;

	(void)state;
	binfmt_format(arch_find("arm64", ""), "/usr/bin/qemu", &line);
	assert_string_equal(line.buf,
		":whittle-arm64:M::\\x7f\\x45\\x4c\\x46\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
		"\\x02\\x00\\xb7\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff"
		"\\xff\\xfe\\xff\\xff\\xff:/usr/bin/qemu:POCF");
}

static void every_architecture_fits_into_one_write(void **state)
{
	const struct arch *a;

	(void)state;
	for (size_t i = 0; (a = arch_at(i)); i++) {
		auto_strbuf line = STRBUF_INIT;

		binfmt_format(a, "/usr/bin/qemu-of-some-architecture-static", &line);
		assert_true(line.len < 1920);
	}
}

static void variables_that_qemu_takes_for_itself_are_refused(void **state)
{
	auto_strv env = STRV_INIT;
	struct err err = ERR_INIT;

	(void)state;
	strv_add(&env, "QEMU_AUDIO=none");
	assert_int_equal(qemu_check_env(&env, &err), 0);
	strv_add(&env, "QEMU_VERSION=10.0");
	assert_int_equal(qemu_check_env(&env, &err), -1);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "QEMU_VERSION"));
}

/* A script with the right name is no emulator, and the message says what to install. */
static void only_a_static_program_will_do(void **state)
{
	char dir[] = "/tmp/whittle-qemu-XXXXXX";
	struct err err = ERR_INIT;
	auto_free char *file = NULL;
	auto_free char *old = xstrdup(getenv("PATH"));

	(void)state;
	assert_non_null(mkdtemp(dir));
	file = xasprintf("%s/qemu-s390x-static", dir);
	assert_int_equal(write_file_atomic(AT_FDCWD, file, "#!/bin/sh\n", 10, 0755, &err), 0);
	setenv("WHITTLE_QEMU_DIR", dir, 1);
	setenv("PATH", dir, 1);
	auto_free char *found = qemu_find(arch_find("s390x", ""), &err);

	setenv("PATH", old, 1);
	unsetenv("WHITTLE_QEMU_DIR");
	if (found) /* the machine has a real one in /usr/bin */
		assert_true(strncmp(found, "/usr/bin/", 9) == 0);
	else
		assert_int_equal(err.kind, ERR_NOT_FOUND);
	unlink(file);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_is_what_the_kernel_reads),
		cmocka_unit_test(every_architecture_fits_into_one_write),
		cmocka_unit_test(variables_that_qemu_takes_for_itself_are_refused),
		cmocka_unit_test(only_a_static_program_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
