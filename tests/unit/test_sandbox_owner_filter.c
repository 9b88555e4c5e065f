/* Which calls the supervisor is asked about: the compiled program, run on paper for each architecture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "sandbox/owner_filter.h"

#define ALLOW SECCOMP_RET_ALLOW
#define ASK SECCOMP_RET_USER_NOTIF
#define PRETEND SECCOMP_RET_ERRNO
#define ABSENT (SECCOMP_RET_ERRNO | ENOSYS)
#define IDS 65536
#define BOTH (FULL | SPILL)
#define FULL (1 << OWNER_FULL)
#define SPILL (1 << OWNER_SPILL)
#define FLAT (1 << OWNER_FLAT)
#define NONE 4294967295u

/* Classic BPF as the kernel runs it on struct seccomp_data (seccomp_check_filter() names the instructions). */
static uint32_t run(const struct owner_filter *f, const struct seccomp_data *data)
{
	uint32_t acc = 0;

	for (unsigned pc = 0; pc < f->count; pc++) {
		const struct sock_filter *i = &f->code[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k + sizeof(acc) <= sizeof(*data) && i->k % 4 == 0);
			memcpy(&acc, (const char *)data + i->k, sizeof(acc));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			acc &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += acc == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += acc >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += acc & i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			fail_msg("instruction %u is 0x%x", pc, i->code);
		}
	}
	fail_msg("the program runs over its end");
	return 0;
}

static const struct {
	const char *call;
	uint64_t args[5];
	bool from_gate;
	unsigned levels;
	uint32_t verdict;
} rows[] = {
	{ "newfstatat", { 0 }, false, FULL, ASK },
	{ "newfstatat", { 0 }, true, FULL, ALLOW },
	{ "newfstatat", { 0 }, false, SPILL | FLAT, ALLOW },
	{ "fstat", { 0 }, true, FULL, ALLOW },
	{ "fstat", { 0 }, false, FULL, ASK },
	{ "statx", { 0, 0, 0, STATX_UID }, false, FULL, ASK },
	{ "statx", { 0, 0, 0, STATX_BASIC_STATS }, true, FULL, ALLOW },
	{ "statx", { 0, 0, 0, STATX_MTIME | STATX_SIZE }, false, FULL, ALLOW },
	{ "openat", { 0, 0, O_RDONLY }, false, BOTH, ALLOW },
	{ "openat", { 0, 0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC }, false, BOTH, ALLOW }, /* opendir(3) */
	{ "openat", { 0, 0, O_WRONLY | O_CREAT }, false, FULL, ASK },
	{ "openat", { 0, 0, O_WRONLY | O_CREAT }, true, FULL, ALLOW },
	{ "openat", { 0, 0, O_WRONLY | O_TMPFILE }, false, FULL, ASK },
	{ "openat", { 0, 0, O_WRONLY | O_CREAT }, false, SPILL, ALLOW },
	{ "openat2", { 0 }, false, FULL, ABSENT },
	{ "openat2", { 0 }, false, SPILL, ALLOW },
	{ "mkdirat", { 0 }, false, FULL, ASK },
	{ "mkdirat", { 0 }, true, FULL, ALLOW },
	{ "symlinkat", { 0 }, true, FULL, ASK },
	{ "mknodat", { 0, 0, S_IFIFO }, false, FULL, ASK },
	{ "mknodat", { 0, 0, S_IFIFO }, false, SPILL | FLAT, ALLOW },
	{ "mknodat", { 0, 0, S_IFCHR | 0600 }, false, BOTH, ASK },
	{ "mknodat", { 0, 0, S_IFBLK | 0600 }, false, BOTH, ASK },
	{ "mknodat", { 0, 0, S_IFBLK | 0600 }, false, FLAT, PRETEND },
	{ "fchownat", { 0, 0, 0, 0 }, false, FULL, ASK },
	{ "fchownat", { 0, 0, 0, 0 }, true, FULL, ALLOW },
	{ "fchownat", { 0, 0, IDS, 0 }, true, SPILL, ASK },
	{ "fchownat", { 0, 0, IDS - 1, IDS - 1 }, false, SPILL, ALLOW },
	{ "fchownat", { 0, 0, IDS, 0 }, false, SPILL, ASK },
	{ "fchownat", { 0, 0, 0, IDS }, false, SPILL, ASK },
	{ "fchownat", { 0, 0, NONE, NONE }, false, SPILL, ALLOW },
	{ "fchownat", { 0, 0, NONE, NONE - 1 }, false, SPILL, ASK },
	{ "fchownat", { 0, 0, 1ull << 32 | 5, 6 }, false, SPILL, ALLOW }, /* the kernel drops the high half */
	{ "fchownat", { 0, 0, 5, 6 }, false, FLAT, PRETEND },
	{ "setuid", { 5 }, false, FULL, ASK },
	{ "setuid", { 5 }, false, SPILL, ALLOW },
	{ "setuid", { 5 }, false, FLAT, PRETEND },
	{ "setgroups", { 5 }, false, FLAT, PRETEND },
	{ "getuid", { 0 }, false, FULL, ASK },
	{ "getuid", { 0 }, false, FLAT, ALLOW },
	{ "umask", { 0 }, false, FULL, ASK },
	{ "execve", { 0 }, false, FULL, ASK },
	{ "execve", { 0 }, false, SPILL, ALLOW },
	{ "prctl", { PR_SET_KEEPCAPS, 1 }, false, FULL, ASK },
	{ "prctl", { PR_SET_SECUREBITS, 1 }, false, FULL, ASK },
	{ "prctl", { PR_SET_NAME }, false, FULL, ALLOW },
	{ "getsockopt", { 3, SOL_SOCKET, SO_PEERCRED }, false, FULL, ASK },
	{ "getsockopt", { 3, SOL_SOCKET, SO_ERROR }, false, FULL, ALLOW },
	{ "setxattr", { 0 }, false, FULL, ASK },
	{ "getxattr", { 0 }, false, FULL, ALLOW },
	{ "setrlimit", { RLIMIT_LOCKS }, false, FULL, PRETEND },
	{ "setrlimit", { RLIMIT_NOFILE }, false, FULL, ALLOW },
	{ "prlimit64", { 0, RLIMIT_LOCKS, 4096 }, false, FULL, PRETEND },
	{ "prlimit64", { 0, RLIMIT_LOCKS, 1ull << 32 }, false, FULL, PRETEND },
	{ "prlimit64", { 0, RLIMIT_LOCKS, 0 }, false, FULL, ALLOW },
	{ "prlimit64", { 0, RLIMIT_CORE, 4096 }, false, FULL, ALLOW },
	{ "read", { 0 }, false, BOTH, ALLOW },
};

static void check(uint32_t token, const char *arch)
{
	for (int level = OWNER_SPILL; level <= OWNER_FLAT; level++) {
		struct owner_filter *f = owner_filter_for(&token, 1, (enum owner_level)level, IDS);

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct seccomp_data data = { .arch = token,
				.nr = seccomp_syscall_resolve_name_arch(token, rows[i].call) };
			bool wide = f->arches[0].wide;
			uint32_t got, want = rows[i].verdict;

			if (data.nr < 0 || !(rows[i].levels & 1 << level))
				continue;
			if (!wide && (strstr(rows[i].call, "stat") || rows[i].args[2] > UINT32_MAX) &&
				strcmp(rows[i].call, "statx") != 0)
				continue; /* another call there, or a value that cannot be */
			if (!wide && rows[i].from_gate && want == ALLOW)
				want = ASK; /* it has no accelerator */
			memcpy(data.args, rows[i].args, sizeof(rows[i].args));
			data.instruction_pointer = rows[i].from_gate ? OWNER_GATE + 2 : 0x555555550000;
			got = run(f, &data);
			if (got != want)
				fail_msg("%s, level %d, %s (row %zu): 0x%x, not 0x%x", arch, level, rows[i].call, i, got,
					want);
		}
		owner_filter_free(f);
	}
}

static void verdicts_are_as_in_the_table(void **state)
{
	(void)state;
	check(SCMP_ARCH_X86_64, "x86_64");
	check(SCMP_ARCH_X86, "i386");
	check(SCMP_ARCH_AARCH64, "aarch64");
	check(SCMP_ARCH_ARM, "arm");
	check(SCMP_ARCH_RISCV64, "riscv64");
}

static void both_architectures_of_a_kernel_are_told_apart(void **state)
{
	uint32_t tokens[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86 };
	struct owner_filter *f = owner_filter_for(tokens, 2, OWNER_FULL, 1);
	struct seccomp_data data = { .nr = 4 };
	const struct owner_arch *arch = NULL;

	(void)state;
	data.arch = SCMP_ARCH_X86_64; /* stat */
	assert_int_equal(run(f, &data), ASK);
	data.arch = SCMP_ARCH_X86; /* write */
	assert_int_equal(run(f, &data), ALLOW);
	data.arch = SCMP_ARCH_S390X;
	assert_int_equal(run(f, &data), ALLOW);
	assert_string_equal(owner_filter_call(f, SCMP_ARCH_X86_64, 4, &arch)->name, "stat");
	assert_true(arch->wide);
	assert_null(owner_filter_call(f, SCMP_ARCH_X86, 4, &arch));
	assert_string_equal(owner_filter_call(f, SCMP_ARCH_X86, 195, &arch)->name, "stat64");
	assert_null(owner_filter_call(f, SCMP_ARCH_X86_64, -1, &arch));
	assert_null(owner_filter_call(f, SCMP_ARCH_X86_64, OWNER_CALL_NUMBERS, &arch));
	owner_filter_free(f);
}

/* The numbers of spec/sandbox.md section 12, so that a mistake of the library shows. */
static void numbers_are_those_of_the_kernel(void **state)
{
	static const struct {
		const char *name;
		int x86_64, aarch64;
	} numbers[] = {
		{ "newfstatat", 262, 79 }, { "fstat", 5, 80 }, { "statx", 332, 291 }, { "fchownat", 260, 54 },
		{ "fchown", 93, 55 }, { "mknodat", 259, 33 }, { "mkdirat", 258, 34 }, { "symlinkat", 266, 36 },
		{ "openat", 257, 56 }, { "setuid", 105, 146 }, { "setresuid", 117, 147 }, { "getgroups", 115, 158 },
		{ "execve", 59, 221 }, { "prctl", 157, 167 }, { "prlimit64", 302, 261 }, { "flistxattr", 196, 13 },
		{ "listxattrat", 465, 465 },
	};
	uint32_t tokens[] = { SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64 };
	struct owner_filter *f = owner_filter_for(tokens, 2, OWNER_FULL, 1);
	const struct owner_arch *arch;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct owner_call *x = owner_filter_call(f, SCMP_ARCH_X86_64, numbers[i].x86_64, &arch);
		const struct owner_call *a = owner_filter_call(f, SCMP_ARCH_AARCH64, numbers[i].aarch64, &arch);

		assert_non_null(x);
		assert_ptr_equal(x, a);
		assert_string_equal(x->name, numbers[i].name);
	}
	owner_filter_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_are_as_in_the_table),
		cmocka_unit_test(both_architectures_of_a_kernel_are_told_apart),
		cmocka_unit_test(numbers_are_those_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
