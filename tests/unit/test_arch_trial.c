/* The programs of the table: well formed, and the host's own runs. The rest run in tests/integration/doctor.sh. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/trial.h"
#include "base/auto.h"
#include "base/fsutil.h"

static void every_architecture_has_one_that_is_its_own(void **state)
{
	const struct arch *a;

	(void)state;
	for (size_t i = 0; (a = arch_at(i)); i++) {
		uint8_t program[ARCH_TRIAL_SIZE_MAX] = { 0 };
		size_t n = arch_trial_program(a, program);
		const struct arch *found = arch_from_elf(program, n);

		assert_in_range(n, ARCH_MAGIC_SIZE, ARCH_TRIAL_SIZE_MAX);
		assert_non_null(found);
		assert_int_equal(found->elf_machine, a->elf_machine);
		for (size_t k = 0; k < ARCH_MAGIC_SIZE; k++)
			assert_int_equal(program[k] & a->mask[k], a->magic[k] & a->mask[k]);
	}
}

static void an_unknown_architecture_has_none(void **state)
{
	struct arch odd = arch_amd64;
	uint8_t program[ARCH_TRIAL_SIZE_MAX];

	(void)state;
	odd.elf_machine = 0x1234;
	assert_int_equal(arch_trial_program(&odd, program), 0);
}

static void the_hosts_own_exits_with_its_status(void **state)
{
	uint8_t program[ARCH_TRIAL_SIZE_MAX];
	size_t n = arch_trial_program(arch_host(), program);
	auto_fd int fd = memfd_create("trial", MFD_CLOEXEC);
	int status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(write_all(fd, program, n), 0);
	pid = fork();
	if (pid == 0) {
		char name[] = "trial", *argv[] = { name, NULL }, *env[] = { NULL };

		fexecve(fd, argv, env);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ARCH_TRIAL_STATUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_architecture_has_one_that_is_its_own),
		cmocka_unit_test(an_unknown_architecture_has_none),
		cmocka_unit_test(the_hosts_own_exits_with_its_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
