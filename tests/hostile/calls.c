/*
 * Every call of a table, made by the number of this architecture without a C library, so that one compiler makes the
 * program for all of them. Prints "name errno verdict" a line: 0 where the call got past the filter, 1 (EPERM) or 38
 * (ENOSYS) where it must not.
 */
typedef unsigned long word;

#if defined(__x86_64__)
#define NR(x86_64, generic, arm) x86_64
static long call(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = 0;

	__asm__ volatile("syscall" : "+a"(nr) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return nr;
}
__asm__(".globl _start\n_start: xor %ebp,%ebp\n and $-16,%rsp\n call start");
#elif defined(__aarch64__)
#define NR(x86_64, generic, arm) generic
static long call(long nr, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}
__asm__(".globl _start\n_start: bl start");
#elif defined(__riscv)
#define NR(x86_64, generic, arm) generic
static long call(long nr, long a, long b, long c, long d)
{
	register long a7 __asm__("a7") = nr;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;

	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3) : "memory");
	return a0;
}
__asm__(".globl _start\n_start: call start");
#elif defined(__arm__)
#define NR(x86_64, generic, arm) arm
static long call(long nr, long a, long b, long c, long d)
{
	register long r7 __asm__("r7") = nr;
	register long r0 __asm__("r0") = a;
	register long r1 __asm__("r1") = b;
	register long r2 __asm__("r2") = c;
	register long r3 __asm__("r3") = d;

	__asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3) : "memory");
	return r0;
}
__asm__(".globl _start\n_start: bl start");
#else
#error "no system call of this architecture is known here"
#endif

#define ALLOWED 0
#define EPERM 1
#define ENOSYS 38
#if __SIZEOF_LONG__ == 8
#define HIGH 0x100000000
#else
#define HIGH 0
#endif
#define NONE (-1) /* the architecture has no such call */

static const struct {
	const char *name;
	int nr;
	long a, b, c;
	int verdict;
} rows[] = {
	{ "getpid", NR(39, 172, 20), 0, 0, 0, ALLOWED },
	{ "openat", NR(257, 56, 322), -100, 0, 0, ALLOWED },
	{ "openat2", NR(437, 437, 437), -100, 0, 0, ALLOWED },
	{ "chown", NR(92, NONE, 212), 0, 0, 0, ALLOWED },
	{ "fchownat", NR(260, 54, 325), -100, 0, 0, ALLOWED },
	{ "futex", NR(202, 98, 240), 0, 1, 1, ALLOWED },
	{ "prctl", NR(157, 167, 172), 3, 0, 0, ALLOWED },
	{ "ptrace", NR(101, 117, 26), 12345, -1, 0, ALLOWED },
	{ "inotify_init1", NR(294, 26, 360), 0, 0, 0, ALLOWED },
	{ "seccomp", NR(317, 277, 383), 9, 0, 0, ALLOWED },
	{ "socket-unix", NR(41, 198, 281), 1, 1, 0, ALLOWED },
	{ "socket-inet", NR(41, 198, 281), 2, 2, 0, ALLOWED },
	{ "personality-query", NR(135, 92, 136), 0xffffffff, 0, 0, ALLOWED },
	{ "clock_gettime64", NR(NONE, NONE, 403), 0, 0, 0, ALLOWED },
	{ "clone-user", NR(56, 220, 120), 0x10000011, 0, 0, EPERM },
	{ "clone-user-high", NR(56, 220, 120), 0x10000011 | HIGH, 0, 0, EPERM },
	{ "clone-mount", NR(56, 220, 120), 0x00020011, 0, 0, EPERM },
	{ "clone-net", NR(56, 220, 120), 0x40000011, 0, 0, EPERM },
	{ "clone3", NR(435, 435, 435), 0, 0, 0, ENOSYS },
	{ "unshare-user", NR(272, 97, 337), 0x10000000, 0, 0, EPERM },
	{ "unshare-nothing", NR(272, 97, 337), 0, 0, 0, EPERM },
	{ "setns", NR(308, 268, 375), -1, 0, 0, EPERM },
	{ "mount", NR(165, 40, 21), 0, 0, 0, EPERM },
	{ "umount2", NR(166, 39, 52), 0, 0, 0, EPERM },
	{ "pivot_root", NR(155, 41, 218), 0, 0, 0, EPERM },
	{ "open_tree", NR(428, 428, 428), -1, 0, 0, EPERM },
	{ "move_mount", NR(429, 429, 429), -1, 0, -1, EPERM },
	{ "fsopen", NR(430, 430, 430), 0, 0, 0, EPERM },
	{ "mount_setattr", NR(442, 442, 442), -1, 0, 0, EPERM },
	{ "keyctl", NR(250, 219, 311), 0, 0, 0, EPERM },
	{ "add_key", NR(248, 217, 309), 0, 0, 0, EPERM },
	{ "bpf", NR(321, 280, 386), 0, 0, 0, EPERM },
	{ "perf_event_open", NR(298, 241, 364), 0, 0, 0, EPERM },
	{ "userfaultfd", NR(323, 282, 388), 0, 0, 0, EPERM },
	{ "open_by_handle_at", NR(304, 265, 371), -1, 0, 0, EPERM },
	{ "pidfd_getfd", NR(438, 438, 438), -1, 0, 0, EPERM },
	{ "kexec_load", NR(246, 104, 347), 0, 0, 0, EPERM },
	{ "init_module", NR(175, 105, 128), 0, 0, 0, EPERM },
	{ "reboot", NR(169, 142, 88), 0, 0, 0, EPERM },
	{ "sethostname", NR(170, 161, 74), 0, 0, 0, EPERM },
	{ "syslog", NR(103, 116, 103), 10, 0, 0, EPERM },
	{ "fanotify_init", NR(300, 262, 367), 0, 0, 0, EPERM },
	{ "mbind", NR(237, 235, 319), 0, 0, 0, EPERM },
	{ "io_uring_setup", NR(425, 425, 425), 1, 0, 0, ENOSYS },
	{ "a-call-of-the-future", NR(1000, 1000, 1000), 0, 0, 0, ENOSYS },
	{ "socket-alg", NR(41, 198, 281), 38, 5, 0, EPERM },
	{ "socket-alg-high", NR(41, 198, 281), 38 | HIGH, 5, 0, EPERM },
	{ "socket-vsock", NR(41, 198, 281), 40, 1, 0, EPERM },
	{ "tiocsti", NR(16, 29, 54), 0, 0x5412, 0, EPERM },
	{ "tiocsti-high", NR(16, 29, 54), 0, 0x5412 | HIGH, 0, EPERM },
	{ "tioclinux", NR(16, 29, 54), 0, 0x541C, 0, EPERM },
	{ "personality-other", NR(135, 92, 136), 4, 0, 0, ENOSYS },
};

static void put(const char *s)
{
	word n = 0;

	while (s[n])
		n++;
	call(NR(1, 64, 4), 1, (long)s, (long)n, 0);
}

static void put_number(int v)
{
	char text[12];
	int i = sizeof(text) - 1;

	text[i] = 0;
	do {
		text[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put(text + i);
}

__attribute__((used)) void start(void)
{
	for (word i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		long rc;

		if (rows[i].nr == NONE)
			continue;
		rc = call(rows[i].nr, rows[i].a, rows[i].b, rows[i].c, 0);
		put(rows[i].name);
		put(" ");
		put_number(rc < 0 ? (int)-rc : 0);
		put(" ");
		put_number(rows[i].verdict);
		put("\n");
	}
	call(NR(60, 93, 1), 0, 0, 0, 0);
}
