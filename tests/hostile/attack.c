/*
 * Attacks from inside a step, one row each: "held NAME" when the wall stood, "BROKEN NAME: how" when it did not.
 *
 *   attack HOST-SOCKET HOST-FILE HOST-SHM-KEY ABSTRACT-NAME
 *
 * of things that exist outside and must not be in reach. Each row is a process of its own with ten seconds.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define HIGH 0x100000000L /* bits that the kernel drops from an int */

static char **args;

static __attribute__((format(printf, 1, 2))) void broken(const char *how, ...)
{
	va_list ap;

	printf("! ");
	va_start(ap, how);
	vprintf(how, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

/* The call must fail; any errno is a refusal. */
static void refused(const char *what, long rc)
{
	if (rc >= 0)
		broken("%s succeeded", what);
}

/* The call must fail with EPERM, EACCES, EROFS or ENOSYS: by the wall, not because the arguments were wrong. */
static void walled(const char *what, long rc)
{
	if (rc >= 0)
		broken("%s succeeded", what);
	if (errno != EPERM && errno != EACCES && errno != EROFS && errno != ENOSYS)
		broken("%s failed only by chance: %s", what, strerror(errno));
}

static void unopenable(const char *path, int flags)
{
	int fd = open(path, flags | O_NONBLOCK);

	if (fd >= 0)
		broken("%s can be opened", path);
}

static void proc1(void)
{
	static const char *const names[] = { "exe", "mem", "root", "cwd", "environ", "maps", "fd", "map_files", "auxv",
		"pagemap", "stack", "root/etc/passwd", "cwd/store", "fd/0", "task/1/mem", "ns/mnt" };
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/proc/1/%s", names[i]);
		unopenable(path, O_RDONLY);
		unopenable(path, O_WRONLY);
	}
	refused("readlink /proc/1/exe", readlink("/proc/1/exe", path, sizeof(path)));
	unopenable("/proc/1/oom_score_adj", O_WRONLY);
}

static void ptrace_init(void)
{
	char c;
	struct iovec here = { &c, 1 }, there = { (void *)0x400000, 1 };

	walled("ptrace(ATTACH, 1)", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
	walled("ptrace(SEIZE, 1)", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
	walled("process_vm_readv(1)", process_vm_readv(1, &here, 1, &there, 1, 0));
	walled("kcmp(1)", syscall(SYS_kcmp, 1, getpid(), 0, 0, 0));
	walled("pidfd_getfd(1)", syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 0, 0));
}

static void signal_init(void)
{
	kill(1, SIGKILL);
	kill(1, SIGSEGV);
	usleep(100000);
	if (getppid() == 0 || (kill(1, 0) < 0 && errno == ESRCH))
		broken("pid 1 is gone");
}

static void outer_processes(void)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	char path[300], buf[65536];
	/* put together here, so that the search does not find itself */
	char secret[64];

	snprintf(secret, sizeof(secret), "%s-%s", "canary", "secret");
	while ((e = readdir(d))) {
		static const char *const names[] = { "environ", "cmdline" };

		for (size_t i = 0; i < 2; i++) {
			int fd;
			ssize_t n;

			snprintf(path, sizeof(path), "/proc/%s/%s", e->d_name, names[i]);
			fd = open(path, O_RDONLY);
			n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
			if (n > 0 && memmem(buf, (size_t)n, secret, strlen(secret)))
				broken("the secret of the host stands in %s", path);
			close(fd);
		}
	}
}

static void inherited_descriptors(void)
{
	struct stat st;

	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			broken("descriptor %d is open", fd);
	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			broken("descriptor %d is a folder", fd);
}

static void tiocsti(void)
{
	int tty = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	walled("TIOCSTI", syscall(SYS_ioctl, tty, TIOCSTI, "x"));
	walled("TIOCSTI with high bits", syscall(SYS_ioctl, tty, TIOCSTI | HIGH, "x"));
	walled("TIOCLINUX with high bits", syscall(SYS_ioctl, tty, TIOCLINUX | HIGH << 5, "x"));
	unopenable("/dev/tty", O_RDWR); /* no controlling terminal */
}

static void keyrings(void)
{
	char buf[256];

	walled("keyctl describe", syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, buf, sizeof(buf)));
	walled("keyctl search", syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", "x", 0));
	walled("add_key", syscall(SYS_add_key, "user", "x", "y", 1, KEY_SPEC_USER_KEYRING));
	walled("request_key", syscall(SYS_request_key, "user", "x", NULL, KEY_SPEC_USER_KEYRING));
}

static void abstract_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(args[4]);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	memcpy(a.sun_path + 1, args[4], len);
	if (connect(s, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) == 0) {
		if (abi < 6) {
			printf("- this kernel has Landlock ABI %ld, scopes are in 6\n", abi);
			exit(0);
		}
		broken("connected to the abstract socket of the host");
	}
	if (errno != EPERM && errno != ECONNREFUSED) /* the latter: a network namespace of its own */
		broken("the abstract socket is refused only by chance: %s", strerror(errno));
}

static void path_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", args[1]);
	refused("connect to a socket of the host", connect(s, (struct sockaddr *)&a, sizeof(a)));
	refused("connect to docker.sock", access("/var/run/docker.sock", F_OK));
}

static void host_files(void)
{
	char path[4096];

	unopenable(args[2], O_RDONLY);
	for (int i = 1; i < 12; i++) {
		size_t n = 0;

		for (int k = 0; k < i; k++)
			n += (size_t)snprintf(path + n, sizeof(path) - n, "../");
		snprintf(path + n, sizeof(path) - n, "%s", args[2]);
		unopenable(path, O_RDONLY);
	}
}

static void nested_namespaces(void)
{
	static const int flags[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
		CLONE_NEWUTS, CLONE_NEWCGROUP };

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		walled("unshare", syscall(SYS_unshare, flags[i]));
		walled("unshare with high bits", syscall(SYS_unshare, flags[i] | HIGH));
		walled("clone", syscall(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0));
		walled("clone with high bits", syscall(SYS_clone, flags[i] | SIGCHLD | HIGH, 0, 0, 0, 0));
	}
	walled("clone3", syscall(SYS_clone3, NULL, 0));
	for (int fd = -1; fd < 3; fd++)
		walled("setns", syscall(SYS_setns, fd, 0));
}

static void mounting(void)
{
	walled("mount tmpfs", mount("x", "/mnt", "tmpfs", 0, ""));
	walled("mount proc", mount("x", "/mnt", "proc", 0, ""));
	walled("remount /proc/sys", mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
	walled("bind", mount("/", "/mnt", NULL, MS_BIND | MS_REC, NULL));
	walled("umount a mask", umount2("/proc/keys", MNT_DETACH));
	walled("umount /proc/sys", umount2("/proc/sys", MNT_DETACH));
	walled("umount /dev", umount2("/dev", MNT_DETACH));
	walled("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	walled("move_mount", syscall(SYS_move_mount, AT_FDCWD, "/proc", AT_FDCWD, "/mnt", 0));
	walled("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	walled("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/proc/sys", 0, NULL, 0));
	walled("pivot_root", syscall(SYS_pivot_root, ".", "."));
	refused("rename a mount point", rename("/dev", "/dev.old"));
}

static void release_agent(void)
{
	static const char *const files[] = { "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/release_agent",
		"/sys/fs/cgroup/pids/release_agent", "/sys/fs/cgroup/systemd/release_agent",
		"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes" };

	walled("mount cgroup", mount("x", "/mnt", "cgroup", 0, "memory"));
	walled("mount cgroup2", mount("x", "/mnt", "cgroup2", 0, ""));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unopenable(files[i], O_WRONLY);
	refused("mkdir in /sys/fs/cgroup", mkdir("/sys/fs/cgroup/x", 0755));
	refused("mkdir in /sys/fs/cgroup/memory", mkdir("/sys/fs/cgroup/memory/x", 0755));
}

static void socket_families(void)
{
	walled("AF_ALG", syscall(SYS_socket, 38, SOCK_SEQPACKET, 0));
	walled("AF_ALG with high bits", syscall(SYS_socket, 38 | HIGH, SOCK_SEQPACKET, 0));
	walled("AF_VSOCK", syscall(SYS_socket, 40, SOCK_STREAM, 0));
	walled("AF_VSOCK with high bits", syscall(SYS_socket, 40 | HIGH << 3, SOCK_STREAM, 0));
	walled("AF_PACKET", syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0));
	walled("raw AF_INET", syscall(SYS_socket, AF_INET, SOCK_RAW, 1));
}

static void file_handles(void)
{
	char handle[128] = { 8, 0, 0, 0, 1 };

	walled("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, handle, O_RDONLY));
	walled("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
}

static void kernel_surface(void)
{
	walled("bpf", syscall(SYS_bpf, 0, NULL, 0));
	walled("userfaultfd", syscall(SYS_userfaultfd, 0));
	walled("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	walled("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
	walled("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	walled("init_module", syscall(SYS_init_module, NULL, 0, ""));
	walled("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
	walled("swapon", syscall(SYS_swapon, "/dev/null", 0));
	walled("settimeofday", syscall(SYS_settimeofday, NULL, NULL));
	walled("syslog", syscall(SYS_syslog, 3, NULL, 0));
	walled("acct", syscall(SYS_acct, NULL));
	walled("sethostname", syscall(SYS_sethostname, "x", 1));
}

static void kernel_knobs(void)
{
	static const char *const files[] = { "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
		"/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory", "/proc/sys/fs/binfmt_misc/register",
		"/proc/sys/user/max_user_namespaces", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity",
		"/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state",
		"/proc/bus/pci/devices", "/sys/devices/system/cpu/cpu0/online" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unopenable(files[i], O_WRONLY);
}

static void masked_paths(void)
{
	static const char *const files[] = { "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug",
		"/proc/latency_stats", "/proc/interrupts" };
	static const char *const folders[] = { "/proc/acpi", "/proc/scsi", "/proc/asound", "/sys/firmware",
		"/sys/devices/virtual/powercap" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct stat st;

		if (stat(files[i], &st) == 0 && (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)))
			broken("%s is not covered by the null device", files[i]);
	}
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		DIR *d = opendir(folders[i]);
		struct dirent *e;

		while (d && (e = readdir(d)))
			if (e->d_name[0] != '.')
				broken("%s shows %s", folders[i], e->d_name);
		refused("a file in a covered folder", d ? mkdirat(dirfd(d), "x", 0755) : -1);
	}
}

static void chroot_escape(void)
{
	struct stat before, after;
	int out = open("/", O_RDONLY | O_DIRECTORY);

	stat("/", &before);
	mkdir("/tmp/jail", 0755);
	if (chroot("/tmp/jail") < 0 || fchdir(out) < 0)
		return;
	for (int i = 0; i < 200; i++)
		if (chdir("..") < 0)
			break;
	if (chroot(".") < 0)
		return;
	stat("/", &after);
	if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
		broken("200 times .. led to another root");
	unopenable(args[2], O_RDONLY);
}

static void device_nodes(void)
{
	static const struct {
		mode_t type;
		unsigned maj, min;
	} nodes[] = { { S_IFCHR, 1, 1 }, { S_IFCHR, 1, 11 }, { S_IFBLK, 254, 0 }, { S_IFBLK, 8, 0 }, { S_IFBLK, 7, 0 } };
	char c;

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		int fd;

		unlink("/tmp/node");
		if (mknod("/tmp/node", nodes[i].type | 0666, makedev(nodes[i].maj, nodes[i].min)) < 0)
			continue;
		fd = open("/tmp/node", O_RDONLY | O_NONBLOCK);
		if (fd >= 0 && read(fd, &c, 1) > 0)
			broken("device %u:%u can be read", nodes[i].maj, nodes[i].min);
	}
}

static void core_dump(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct stat st;

	walled("raise the limit of core dumps", setrlimit(RLIMIT_CORE, &unlimited));
	mkdir("/tmp/core", 0755);
	if (chdir("/tmp/core") == 0 && fork() == 0)
		abort();
	wait(NULL);
	refused("a core dump", stat("/tmp/core/core", &st));
	if (stat("/tmp/core", &st) == 0 && st.st_nlink > 2)
		broken("a core dump was written");
}

static void capabilities(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { 0 };

	if (syscall(SYS_capget, &h, d) < 0)
		broken("capget: %s", strerror(errno));
	if (d[0].inheritable || d[1].inheritable)
		broken("inheritable is not empty");
	d[0].permitted |= 1u << CAP_SYS_ADMIN;
	d[0].effective |= 1u << CAP_SYS_ADMIN;
	walled("capset with SYS_ADMIN", syscall(SYS_capset, &h, d));
	for (int cap = 0; cap < 64; cap++) {
		static const unsigned long long kept = 0xa80425fb;

		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 && !(kept >> cap & 1))
			broken("capability %d is in the bounding set", cap);
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			broken("capability %d is ambient", cap);
	}
	if (prctl(PR_GET_SECCOMP) != 2)
		broken("no filter is on");
}

static void system_v_ipc(void)
{
	refused("shared memory of the host", shmget((key_t)strtol(args[3], NULL, 0), 0, 0));
}

static void network_settings(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = 0 };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	walled("take the loopback down", ioctl(s, SIOCSIFFLAGS, &r));
}

/* /dev is a tmpfs: it must be full long before the machine is. */
static void exhaust_dev(void)
{
	char path[64];
	int n = 0, fd;

	mkdir("/dev/full.d", 0755);
	for (; n < 100000; n++) {
		snprintf(path, sizeof(path), "/dev/full.d/%d", n);
		fd = open(path, O_CREAT | O_WRONLY, 0644);
		if (fd < 0)
			break;
		close(fd);
	}
	if (n == 100000)
		broken("100000 files in /dev");
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/dev/full.d/%d", i);
		unlink(path);
	}
}

static void exhaust_shm(void)
{
	static char block[1 << 20];
	int fd = open("/dev/shm/big", O_CREAT | O_WRONLY, 0644), n = 0;

	while (n < 256 && write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
		n++;
	unlink("/dev/shm/big");
	if (n == 256)
		broken("256 MiB in /dev/shm");
}

static void oom_score(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY), rd = open("/proc/self/oom_score_adj", O_RDONLY);
	char text[16] = "";

	if (fd >= 0)
		refused("a lower oom_score_adj", write(fd, "-500", 4));
	if (rd < 0 || read(rd, text, sizeof(text) - 1) <= 0 || strtol(text, NULL, 10) < 100)
		broken("oom_score_adj is %s", text);
}

static const struct {
	const char *name;
	void (*run)(void);
} rows[] = {
	{ "proc1", proc1 },
	{ "ptrace-init", ptrace_init },
	{ "signal-init", signal_init },
	{ "outer-processes", outer_processes },
	{ "inherited-descriptors", inherited_descriptors },
	{ "tiocsti", tiocsti },
	{ "keyrings", keyrings },
	{ "abstract-socket", abstract_socket },
	{ "path-socket", path_socket },
	{ "host-files", host_files },
	{ "nested-namespaces", nested_namespaces },
	{ "mounting", mounting },
	{ "release-agent", release_agent },
	{ "socket-families", socket_families },
	{ "file-handles", file_handles },
	{ "kernel-surface", kernel_surface },
	{ "kernel-knobs", kernel_knobs },
	{ "masked-paths", masked_paths },
	{ "chroot-escape", chroot_escape },
	{ "device-nodes", device_nodes },
	{ "core-dump", core_dump },
	{ "capabilities", capabilities },
	{ "system-v-ipc", system_v_ipc },
	{ "network-settings", network_settings },
	{ "exhaust-dev", exhaust_dev },
	{ "exhaust-shm", exhaust_shm },
	{ "oom-score", oom_score },
};

int main(int argc, char **argv)
{
	args = argv;
	if (argc != 5)
		return 2;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status;
		pid_t pid;

		printf("row %s\n", rows[i].name);
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			alarm(10);
			rows[i].run();
			exit(0);
		}
		waitpid(pid, &status, 0);
		printf("%s %s\n", status == 0 ? "held" : "BROKEN", rows[i].name);
		fflush(stdout);
	}
	return 0;
}
