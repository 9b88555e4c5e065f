/*
 * The policy as tables of calls with their verdicts: on paper, by running the filter of each architecture in a small
 * interpreter of classic BPF, and live, by a child that installs the filter of this one and makes the call.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/auto.h"
#include "base/mem.h"
#include "sandbox/policy.h"
#include "sandbox/policy_bpf.h"
#include "sandbox/policy_table.h"

#define HIGH 0x100000000L /* bits that the kernel drops from an int */
#define ALLOWED 0         /* the call may still fail, but with another errno than the filter's */

static struct policy_program *program;

static const struct {
	const char *what;
	long nr, a, b, c;
	int expected; /* errno of the filter, or ALLOWED */
} calls[] = {
	{ "getpid", SYS_getpid, 0, 0, 0, ALLOWED },
	{ "openat", SYS_openat, AT_FDCWD, 0, 0, ALLOWED },
	{ "setuid", SYS_setuid, -1, 0, 0, ALLOWED },
	{ "landlock_create_ruleset", SYS_landlock_create_ruleset, 0, 0, 1, ALLOWED },
	{ "unshare nothing", SYS_unshare, 0, 0, 0, EPERM },
	{ "unshare user", SYS_unshare, CLONE_NEWUSER, 0, 0, EPERM },
	{ "setns", SYS_setns, -1, 0, 0, EPERM },
	{ "mount", SYS_mount, 0, 0, 0, EPERM },
	{ "umount2", SYS_umount2, 0, 0, 0, EPERM },
	{ "pivot_root", SYS_pivot_root, 0, 0, 0, EPERM },
	{ "fsopen", SYS_fsopen, 0, 0, 0, EPERM },
	{ "open_tree", SYS_open_tree, -1, 0, 0, EPERM },
	{ "clone into a user namespace", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, EPERM },
	{ "clone into a network namespace", SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, EPERM },
	{ "clone3", SYS_clone3, 0, 0, 0, ENOSYS },
	{ "io_uring_setup", SYS_io_uring_setup, 1, 0, 0, ENOSYS },
	{ "a call of the future", 4000, 0, 0, 0, ENOSYS },
	{ "keyctl", SYS_keyctl, 0, 0, 0, EPERM },
	{ "add_key", SYS_add_key, 0, 0, 0, EPERM },
	{ "bpf", SYS_bpf, 0, 0, 0, EPERM },
	{ "perf_event_open", SYS_perf_event_open, 0, 0, 0, EPERM },
	{ "userfaultfd", SYS_userfaultfd, 0, 0, 0, EPERM },
	{ "open_by_handle_at", SYS_open_by_handle_at, -1, 0, 0, EPERM },
	{ "pidfd_getfd", SYS_pidfd_getfd, -1, 0, 0, EPERM },
	{ "kexec_load", SYS_kexec_load, 0, 0, 0, EPERM },
	{ "sethostname", SYS_sethostname, 0, 0, 0, EPERM },
	{ "socket AF_UNIX", SYS_socket, AF_UNIX, SOCK_STREAM, 0, ALLOWED },
	{ "socket AF_ALG", SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, EPERM },
	{ "socket AF_ALG with high bits", SYS_socket, AF_ALG | HIGH, SOCK_SEQPACKET, 0, EPERM },
	{ "socket AF_VSOCK", SYS_socket, AF_VSOCK, SOCK_STREAM, 0, EPERM },
	{ "ioctl FIONREAD", SYS_ioctl, 0, FIONREAD, 0, ALLOWED },
	{ "ioctl TIOCSTI", SYS_ioctl, 0, TIOCSTI, 0, EPERM },
	{ "ioctl TIOCSTI with high bits", SYS_ioctl, 0, TIOCSTI | HIGH, 0, EPERM },
	{ "ioctl TIOCLINUX", SYS_ioctl, 0, TIOCLINUX, 0, EPERM },
	{ "personality query", SYS_personality, 0xffffffffL, 0, 0, ALLOWED },
	{ "personality of another system", SYS_personality, 0x0004, 0, 0, ENOSYS },
};

/* In the child. Returns the errno, or 0. */
static int try_call(size_t i)
{
	struct err err = ERR_INIT;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || policy_install(program, &err) < 0)
		return 255;
	errno = 0;
	return syscall(calls[i].nr, calls[i].a, calls[i].b, calls[i].c, 0, 0, 0) < 0 ? errno : 0;
}

static void every_call_gets_its_verdict(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		pid_t pid = fork();
		int status, got;

		if (pid == 0)
			_exit(try_call(i));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		got = WEXITSTATUS(status);
		if (calls[i].expected != ALLOWED ? got != calls[i].expected : got == ENOSYS || got == 255)
			fail_msg("%s: got %s", calls[i].what, strerror(got));
	}
}

static void no_call_stands_in_two_groups(void **state)
{
	(void)state;
	for (size_t g = 0; g < policy_groups_len; g++)
		for (const char *p = policy_groups[g].names; *p;) {
			size_t len = strcspn(p, " ");
			int seen = 0;

			for (size_t h = 0; len && h < policy_groups_len; h++)
				for (const char *q = policy_groups[h].names; *q;) {
					size_t n = strcspn(q, " ");

					seen += n == len && strncmp(p, q, n) == 0;
					q += n + (q[n] == ' ');
				}
			if (len && seen != 1)
				fail_msg("'%.*s' stands %d times", (int)len, p, seen);
			p += len + (p[len] == ' ');
		}
}

/* ---- on paper ---- */

#define STEPS_MAX 32         /* instructions that one call may run: it is on the path of every system call */
#define INSTRUCTIONS_MAX 400 /* of one filter: loading it is part of the start of every step */

/* The subset of classic BPF that seccomp filters of ours may consist of. Returns the answer, or 0 and fails. */
static uint32_t run_filter(const struct policy_program *p, const struct seccomp_data *data, bool big_endian)
{
	const struct sock_filter *code = p->code;
	uint32_t a = 0;
	int steps = 0;

	for (size_t pc = 0; pc < p->count; pc++) {
		const struct sock_filter *f = &code[pc];

		if (++steps > STEPS_MAX)
			fail_msg("call %d runs more than %d instructions", data->nr, STEPS_MAX);
		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS: {
			size_t at = f->k;

			assert_int_equal(at % 4, 0);
			assert_true(at < sizeof(*data));
			if (big_endian && at >= offsetof(struct seccomp_data, args))
				at ^= 4; /* its low half is the second */
			memcpy(&a, (const char *)data + at, sizeof(a));
			break;
		}
		case BPF_JMP | BPF_JA:
			pc += f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & f->k ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		default:
			fail_msg("instruction %#x at %zu is not one of ours", f->code, pc);
		}
	}
	fail_msg("call %d runs off the end of the filter", data->nr);
	return 0;
}

static int errno_of(uint32_t answer)
{
	if (answer == SECCOMP_RET_ALLOW)
		return ALLOWED;
	assert_int_equal(answer & SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ERRNO);
	return (int)(answer & SECCOMP_RET_DATA);
}

static const struct {
	const char *architecture, *variant;
	uint32_t native, sibling; /* AUDIT_ARCH_x, 0 without one */
} platforms[] = {
	{ "amd64", "", AUDIT_ARCH_X86_64, AUDIT_ARCH_I386 },
	{ "386", "", AUDIT_ARCH_I386, 0 },
	{ "arm64", "", AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM },
	{ "arm", "v7", AUDIT_ARCH_ARM, 0 },
	{ "arm", "v6", AUDIT_ARCH_ARM, 0 },
	{ "riscv64", "", AUDIT_ARCH_RISCV64, 0 },
	{ "ppc64le", "", AUDIT_ARCH_PPC64LE, 0 },
	{ "s390x", "", AUDIT_ARCH_S390X, 0 },
};
#define PLATFORMS (sizeof(platforms) / sizeof(platforms[0]))

static struct policy_program *compile_for(size_t platform)
{
	struct err err = ERR_INIT;
	struct policy_program *p =
		policy_compile_for(arch_find(platforms[platform].architecture, platforms[platform].variant), &err);

	assert_non_null(p);
	return p;
}

/* On every architecture that has the call, by libseccomp's name; numbers of our own table are checked apart. */
static const struct {
	const char *call;
	uint64_t a, b;
	int expected;
} rows[] = {
	{ "read", 0, 0, ALLOWED },
	{ "openat2", 0, 0, ALLOWED },
	{ "mknodat", 0, 0, ALLOWED },
	{ "execveat", 0, 0, ALLOWED },
	{ "ptrace", 0, 0, ALLOWED },
	{ "setgroups", 0, 0, ALLOWED },
	{ "setgroups32", 0, 0, ALLOWED },
	{ "chown32", 0, 0, ALLOWED },
	{ "fstatat64", 0, 0, ALLOWED },
	{ "mmap2", 0, 0, ALLOWED },
	{ "futex_time64", 0, 0, ALLOWED },
	{ "socketcall", 1, 0, ALLOWED },
	{ "ipc", 21, 0, ALLOWED },
	{ "landlock_restrict_self", 0, 0, ALLOWED },
	{ "mount", 0, 0, EPERM },
	{ "umount", 0, 0, EPERM },
	{ "umount2", 0, 0, EPERM },
	{ "pivot_root", 0, 0, EPERM },
	{ "open_tree", 0, 0, EPERM },
	{ "move_mount", 0, 0, EPERM },
	{ "fsmount", 0, 0, EPERM },
	{ "mount_setattr", 0, 0, EPERM },
	{ "unshare", 0, 0, EPERM },
	{ "setns", 0, 0, EPERM },
	{ "keyctl", 0, 0, EPERM },
	{ "add_key", 0, 0, EPERM },
	{ "request_key", 0, 0, EPERM },
	{ "bpf", 0, 0, EPERM },
	{ "perf_event_open", 0, 0, EPERM },
	{ "userfaultfd", 0, 0, EPERM },
	{ "open_by_handle_at", 0, 0, EPERM },
	{ "pidfd_getfd", 0, 0, EPERM },
	{ "kexec_load", 0, 0, EPERM },
	{ "init_module", 0, 0, EPERM },
	{ "finit_module", 0, 0, EPERM },
	{ "reboot", 0, 0, EPERM },
	{ "iopl", 0, 0, EPERM },
	{ "vm86", 0, 0, EPERM },
	{ "settimeofday", 0, 0, EPERM },
	{ "clock_settime64", 0, 0, EPERM },
	{ "sethostname", 0, 0, EPERM },
	{ "set_mempolicy", 0, 0, EPERM },
	{ "clone3", 0, 0, ENOSYS },
	{ "io_uring_setup", 0, 0, ENOSYS },
	{ "io_uring_enter", 0, 0, ENOSYS },
	{ "io_uring_register", 0, 0, ENOSYS },
	{ "uselib", 0, 0, ENOSYS },
	{ "ioctl", 0, 0x5401, ALLOWED },
	{ "ioctl", 0, 0x5412, EPERM },
	{ "ioctl", 0, 0x5412 | UINT64_C(0xdead) << 32, EPERM },
	{ "ioctl", 0, 0x541C, EPERM },
	{ "ioctl", 0x5412, 0, ALLOWED },
	{ "socket", 1, 0, ALLOWED },
	{ "socket", 16, 0, ALLOWED },
	{ "socket", 38, 0, EPERM },
	{ "socket", 38 | UINT64_C(1) << 32, 0, EPERM },
	{ "socket", 40, 0, EPERM },
	{ "personality", 0, 0, ALLOWED },
	{ "personality", 8, 0, ALLOWED },
	{ "personality", 0x20000, 0, ALLOWED },
	{ "personality", 0x20008, 0, ALLOWED },
	{ "personality", 0x40000, 0, ALLOWED },
	{ "personality", 0xffffffff, 0, ALLOWED },
	{ "personality", UINT64_MAX, 0, ALLOWED },
	{ "personality", 4, 0, ENOSYS },
	{ "personality", 0x0400000, 0, ENOSYS },
};

/* The first number of a call on an architecture: libseccomp's names by number also know what socketcall hides. */
static int number_on(uint32_t audit_arch, const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(audit_arch, name);

	for (int i = 0; nr < 0 && i < 500; i++) {
		auto_free char *have = seccomp_syscall_resolve_num_arch(audit_arch, i);

		if (have && strcmp(have, name) == 0)
			nr = i;
	}
	return nr;
}

static int simulate(const struct policy_program *p, uint32_t audit_arch, uint32_t nr, uint64_t a, uint64_t b)
{
	struct seccomp_data data = { .nr = (int)nr, .arch = audit_arch, .args = { a, b } };

	return errno_of(run_filter(p, &data, audit_arch == AUDIT_ARCH_S390X));
}

static void every_row_holds_on(const struct policy_program *p, uint32_t audit_arch)
{
	size_t tried = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int nr = number_on(audit_arch, rows[i].call), got;

		if (nr < 0)
			continue;
		tried++;
		got = simulate(p, audit_arch, (uint32_t)nr, rows[i].a, rows[i].b);
		if (got != rows[i].expected)
			fail_msg("architecture %#x: %s(%#lx, %#lx): %s", audit_arch, rows[i].call,
				(unsigned long)rows[i].a, (unsigned long)rows[i].b, strerror(got));
	}
	assert_in_range(tried, 50, sizeof(rows) / sizeof(rows[0]));
}

static void every_row_holds_on_every_architecture(void **state)
{
	(void)state;
	for (size_t i = 0; i < PLATFORMS; i++) {
		struct policy_program *p = compile_for(i);

		every_row_holds_on(p, platforms[i].native);
		if (platforms[i].sibling)
			every_row_holds_on(p, platforms[i].sibling);
		policy_free(p);
	}
}

/* A namespace must not slip through in one of several bits, nor in the argument that is the stack elsewhere. */
static void no_clone_makes_a_namespace(void **state)
{
	static const uint64_t flags[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
		CLONE_NEWPID, CLONE_NEWNET };
	const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
				CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_VFORK | CLONE_IO |
				CLONE_PIDFD | SIGCHLD;

	(void)state;
	for (size_t i = 0; i < PLATFORMS; i++) {
		struct policy_program *p = compile_for(i);
		uint32_t arch = platforms[i].native, nr = (uint32_t)number_on(arch, "clone");
		bool second = arch == AUDIT_ARCH_S390X;

		assert_int_equal(simulate(p, arch, nr, second ? 0 : thread, second ? thread : 0), ALLOWED);
		assert_int_equal(simulate(p, arch, nr, second ? ~UINT64_C(0) : thread, second ? thread : ~UINT64_C(0)),
			ALLOWED);
		for (size_t k = 0; k < sizeof(flags) / sizeof(flags[0]); k++) {
			uint64_t f = thread | flags[k];

			assert_int_equal(simulate(p, arch, nr, second ? 0 : f, second ? f : 0), EPERM);
		}
		policy_free(p);
	}
}

static bool stands_in(const char *names, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = strstr(names, name); p; p = strstr(p + 1, name))
		if ((p == names || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	return false;
}

/* What the table says of a call without arguments, looked up the slow way. */
static int expected_of(const char *name)
{
	enum verdict v = VERDICT_ENOSYS;

	for (size_t g = 0; g < policy_groups_len; g++)
		if (stands_in(policy_groups[g].names, name))
			v = policy_groups[g].verdict;
	for (size_t i = 0; i < policy_arguments_len; i++)
		if (strcmp(policy_arguments[i].name, name) == 0 && policy_arguments[i].test == TEST_EQUAL &&
			policy_arguments[i].value == 0)
			v = policy_arguments[i].verdict;
	return v == VERDICT_ALLOW ? ALLOWED : v == VERDICT_EPERM ? EPERM : ENOSYS;
}

/* The tree of comparisons has no number on the wrong side of a border. */
static void every_number_on(const struct policy_program *p, uint32_t audit_arch)
{
	for (uint32_t nr = 0; nr < 1100; nr++) {
		/* beyond the calls: what ARM keeps for itself */
		uint32_t at = nr < 1024 ? nr : 0xf0000 + nr - 1024;
		auto_free char *name = seccomp_syscall_resolve_num_arch(audit_arch, (int)at);
		int got = simulate(p, audit_arch, at, 0, 0), wanted = name ? expected_of(name) : ENOSYS;

		for (size_t i = 0; !name && i < policy_numbers_len; i++)
			if ((uint32_t)policy_numbers[i].nr == at &&
				(policy_numbers[i].audit_arch == audit_arch ||
					(!policy_numbers[i].audit_arch &&
						seccomp_syscall_resolve_name_arch(audit_arch, policy_numbers[i].name) < 0)))
				wanted = expected_of(policy_numbers[i].name);
		if (got != wanted)
			fail_msg("architecture %#x, call %u (%s): %s, not %s", audit_arch, at, name ? name : "no name",
				strerror(got), strerror(wanted));
	}
	/* x32, negative, and the numbers at the ends */
	for (size_t i = 0; i < 512; i++)
		assert_int_equal(simulate(p, audit_arch, 0x40000000u + (uint32_t)i, 0, 0), ENOSYS);
	assert_int_equal(simulate(p, audit_arch, UINT32_MAX, 0, 0), ENOSYS);
	assert_int_equal(simulate(p, audit_arch, 0x80000000u, 0, 0), ENOSYS);
}

static void every_number_gets_what_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < PLATFORMS; i++) {
		struct policy_program *p = compile_for(i);

		every_number_on(p, platforms[i].native);
		if (platforms[i].sibling)
			every_number_on(p, platforms[i].sibling);
		policy_free(p);
	}
}

static void another_architecture_gets_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < PLATFORMS; i++) {
		struct policy_program *p = compile_for(i);

		for (size_t k = 0; k < PLATFORMS; k++)
			if (platforms[k].native != platforms[i].native && platforms[k].native != platforms[i].sibling)
				for (uint32_t nr = 0; nr < 500; nr++)
					assert_int_equal(simulate(p, platforms[k].native, nr, 0, 0), ENOSYS);
		policy_free(p);
	}
}

/* Where libseccomp knows a number that we wrote down, it is the same one. */
static void our_numbers_are_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < policy_numbers_len; i++)
		for (size_t k = 0; k < PLATFORMS; k++) {
			const struct policy_number *n = &policy_numbers[i];
			uint32_t arch = platforms[k].native;
			auto_free char *name = NULL;

			/* one for any architecture counts only where the name has no number of its own */
			if ((n->audit_arch && n->audit_arch != arch) ||
				(!n->audit_arch && seccomp_syscall_resolve_name_arch(arch, n->name) >= 0))
				continue;
			name = seccomp_syscall_resolve_num_arch(arch, n->nr);
			if (name)
				assert_string_equal(name, n->name);
			else
				assert_true(n->nr >= 424 || n->nr == 335 || n->nr == 258);
		}
}

/* add_conditions() of policy.c takes neighbours for one block. */
static void conditions_of_a_call_stand_together(void **state)
{
	(void)state;
	for (size_t i = 1; i < policy_arguments_len; i++)
		if (strcmp(policy_arguments[i].name, policy_arguments[i - 1].name) != 0)
			for (size_t k = 0; k < i; k++)
				assert_string_not_equal(policy_arguments[i].name, policy_arguments[k].name);
}

static void the_filters_are_small(void **state)
{
	(void)state;
	for (size_t i = 0; i < PLATFORMS; i++) {
		struct policy_program *p = compile_for(i);

		assert_in_range(p->count, 50, INSTRUCTIONS_MAX);
		policy_free(p);
	}
}

/* A filter whose jumps would not reach gets detours, one that does not fit is refused. */
static void a_long_filter_is_right_or_refused(void **state)
{
	enum { CALLS = 1200 };
	static struct policy_rule rules[CALLS];
	static struct sock_filter code[4096];
	static const struct policy_argument only = { "x", "y", 0, TEST_EQUAL, 7, VERDICT_ALLOW };
	struct policy_arch arch = { AUDIT_ARCH_X86_64, false, rules, CALLS };
	struct policy_program p = { 0, code };

	(void)state;
	for (uint32_t i = 0; i < CALLS; i++)
		rules[i] = (struct policy_rule){ .nr = 2 * i, .verdict = i % 3 ? VERDICT_ALLOW : VERDICT_EPERM,
			.args = i % 5 ? NULL : &only, .nargs = i % 5 ? 0 : 1 };
	p.count = (unsigned short)policy_bpf_assemble(&arch, 1, code, 4096);
	assert_in_range(p.count, CALLS, 4096);
	for (uint32_t i = 0; i < CALLS; i++) {
		assert_int_equal(simulate(&p, AUDIT_ARCH_X86_64, 2 * i, 0, 0), i % 3 ? ALLOWED : EPERM);
		assert_int_equal(simulate(&p, AUDIT_ARCH_X86_64, 2 * i, 7, 0),
			i % 5 ? (i % 3 ? ALLOWED : EPERM) : ALLOWED);
		assert_int_equal(simulate(&p, AUDIT_ARCH_X86_64, 2 * i + 1, 0, 0), ENOSYS);
	}
	assert_int_equal(policy_bpf_assemble(&arch, 1, code, p.count - 1u), 0);
}

static int setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	program = policy_compile(&err);
	return program ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	policy_free(program);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_gets_its_verdict),
		cmocka_unit_test(no_call_stands_in_two_groups),
		cmocka_unit_test(every_row_holds_on_every_architecture),
		cmocka_unit_test(no_clone_makes_a_namespace),
		cmocka_unit_test(every_number_gets_what_the_table_says),
		cmocka_unit_test(another_architecture_gets_nothing),
		cmocka_unit_test(our_numbers_are_right),
		cmocka_unit_test(conditions_of_a_call_stand_together),
		cmocka_unit_test(the_filters_are_small),
		cmocka_unit_test(a_long_filter_is_right_or_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
