#include "sandbox/init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/if.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"
#include "sandbox/caps.h"
#include "sandbox/mounts.h"
#include "sandbox/user.h"

#define PROC_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define NOFILE_MAX 1048576
#define PROGRAM_STACK (256u << 10) /* become_program() needs a fifth of it */

/* What a step must not see, or not change; absent ones are skipped. */
static const char *const masked_files[] = { "proc/kcore", "proc/keys", "proc/timer_list",
	"proc/sched_debug", "proc/latency_stats", "proc/interrupts", NULL };
static const char *const masked_folders[] = { "proc/acpi", "proc/scsi", "proc/asound", "sys/firmware",
	"sys/devices/virtual/powercap", NULL };
static const char *const readonly_paths[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys",
	"proc/sysrq-trigger", NULL };

static const struct mount_option empty_folder[] = { { "size", "4k" }, { "mode", "0555" }, { NULL, NULL } };

/* Sources too are found inside the root first: as a plain path a link /dev of the image would lead to the host. */
static int mask_files(int root, struct err *err)
{
	auto_fd int source = open_in_root(root, "dev/null", O_PATH, 0);

	if (source < 0)
		return err_sys(err, "cannot open /dev/null of the step");
	for (size_t i = 0; masked_files[i]; i++) {
		auto_fd int target = open_in_root(root, masked_files[i], O_PATH, 0);
		auto_fd int null = -1;

		if (target < 0)
			continue;
		null = mount_clone(source, "", false, MOUNT_ATTR_RDONLY, err);
		if (null < 0 || mount_attach(null, target, masked_files[i], err) < 0)
			return -1;
	}
	return 0;
}

static int mask_folders(int root, struct err *err)
{
	for (size_t i = 0; masked_folders[i]; i++) {
		auto_fd int target = open_in_root(root, masked_folders[i], O_PATH | O_DIRECTORY, 0);
		auto_fd int empty = -1;

		if (target < 0)
			continue;
		empty = mount_new("tmpfs", empty_folder, MOUNT_ATTR_RDONLY | PROC_ATTRS, err);
		if (empty < 0 || mount_attach(empty, target, masked_folders[i], err) < 0)
			return -1;
	}
	return 0;
}

static int make_readonly(int root, struct err *err)
{
	for (size_t i = 0; readonly_paths[i]; i++) {
		auto_fd int target = open_in_root(root, readonly_paths[i], O_PATH, 0);
		auto_fd int clone = -1;

		if (target < 0)
			continue;
		clone = mount_clone(target, "", true, MOUNT_ATTR_RDONLY | PROC_ATTRS, err);
		if (clone < 0 || mount_attach(clone, target, readonly_paths[i], err) < 0)
			return -1;
	}
	return 0;
}

/*
 * /proc of the new pid namespace. Where an outer container has covered parts of its own /proc the kernel refuses
 * a full one: then the outer one is shown, read-only, with foreign process numbers (spec/sandbox.md 2.7).
 */
static int mount_proc(int root, struct err *err)
{
	struct err refused = ERR_INIT;
	struct statfs fs;
	auto_fd int proc = mount_new("proc", NULL, PROC_ATTRS, &refused);

	if (proc < 0 && refused.sys == EPERM)
		proc = mount_clone(AT_FDCWD, "/proc", true, MOUNT_ATTR_RDONLY | PROC_ATTRS, err);
	else if (proc < 0)
		*err = refused;
	if (proc < 0)
		return -1;
	if (fstatfs(proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return err_set(err, ERR_SANDBOX, "what was mounted for /proc is not a procfs");
	return mount_attach_in_root(proc, root, "proc", err);
}

/* Also covers what mount_etc() of step.c left there: a kernel without message queues gets an empty folder. */
static int mount_mqueue(int root, struct err *err)
{
	struct err ignored = ERR_INIT;
	auto_fd int mq = mount_new("mqueue", NULL, PROC_ATTRS, &ignored);

	if (mq < 0)
		mq = mount_new("tmpfs", empty_folder, MOUNT_ATTR_RDONLY | PROC_ATTRS, err);
	return mq < 0 ? -1 : mount_attach_in_root(mq, root, "dev/mqueue", err);
}

static int pivot(int root, struct err *err)
{
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) {
		err_sys(err, "cannot pivot into the root file system of the step");
		err->kind = ERR_SANDBOX;
		return -1;
	}
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(err, "cannot leave the old root file system");
	return 0;
}

/* Many test suites talk to 127.0.0.1; a fresh network namespace has it down. */
static int bring_loopback_up(struct err *err)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	auto_fd int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
		return err_sys(err, "cannot bring the loopback interface up");
	return 0;
}

/* ---- the program ---- */

static void set_limits(void)
{
	struct rlimit nofile, none = { 0, 0 };

	if (getrlimit(RLIMIT_NOFILE, &nofile) == 0) {
		nofile.rlim_cur = nofile.rlim_max < NOFILE_MAX ? nofile.rlim_max : NOFILE_MAX;
		setrlimit(RLIMIT_NOFILE, &nofile);
	}
	setrlimit(RLIMIT_CORE, &none); /* a core dump must not land in a layer */
}

/* mkdir -p; what is made belongs to the user. */
static int make_cwd(char *path, const struct user *user, struct err *err)
{
	for (char *end = path; end;) {
		end = strchr(end + 1, '/');
		if (end)
			*end = '\0';
		if (mkdir(path, 0755) == 0) {
			if (user->uid != 0 && chown(path, user->uid, user->gid) < 0)
				return err_sys(err, "cannot give '%s' to the user", path);
		} else if (errno != EEXIST) {
			return err_sys(err, "cannot create the working folder '%s'", path);
		}
		if (end)
			*end = '/';
	}
	return 0;
}

/* The working folder, made with its parents where the image lacks it. */
static int enter_cwd(const char *cwd, const struct user *user, struct err *err)
{
	auto_free char *clean = path_clean(cwd);
	char real[PATH_MAX];

	if (chdir(clean) < 0) {
		if (errno != ENOENT)
			return err_sys(err, "cannot enter the working folder '%s'", clean);
		if (make_cwd(clean, user, err) < 0)
			return -1;
		if (chdir(clean) < 0)
			return err_sys(err, "cannot enter the working folder '%s'", clean);
	}
	/* A folder outside the root would show as "(unreachable)" (CVE-2024-21626). */
	if (!getcwd(real, sizeof(real)) || real[0] != '/')
		return err_set(err, ERR_SANDBOX, "the working folder '%s' is outside the root", clean);
	return 0;
}

static int set_ids(const struct user *user, enum isolation isolation, struct err *err)
{
	if (isolation == ISOLATION_SINGLE) {
		if (user->uid == 0 && user->gid == 0)
			return 0;
		return err_set(err, ERR_SANDBOX,
			"this build has one id and cannot run as user %u:%u; give this user a range: usermod "
			"--add-subuids 100000-165535 --add-subgids 100000-165535 USER",
			(unsigned)user->uid, (unsigned)user->gid);
	}
	if (setgroups(user->ngroups, user->groups) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0) {
		int saved = errno;

		err_sys(err, "cannot become user %u:%u%s", (unsigned)user->uid, (unsigned)user->gid,
			saved == EINVAL ? " (outside the ID map: is the range in /etc/subuid 65536 long?)" : "");
		return -1;
	}
	return 0;
}

static int explain_exec(const char *file, int reason, struct err *err)
{
	if (reason == ENOEXEC)
		return err_set(err, ERR_STEP,
			"cannot execute '%s': it is a program for another architecture, or a script without #!",
			file);
	errno = reason;
	err_sys(err, "cannot execute '%s'", file);
	err->kind = ERR_STEP;
	return -1;
}

/* execvpe(3) with the PATH of the step instead of ours. */
static int execute(const struct step_spec *spec, char *const *env, struct err *err)
{
	const char *file = spec->argv.v[0];
	const char *path = strv_env_get(&spec->env, "PATH");
	int reason = ENOENT;

	if (strchr(file, '/')) {
		execve(file, spec->argv.v, env);
		return explain_exec(file, errno, err);
	}
	for (path = path ? path : ""; *file;) {
		size_t len = strcspn(path, ":");
		auto_free char *full = xasprintf("%.*s/%s", len ? (int)len : 1, len ? path : ".", file);

		execve(full, spec->argv.v, env);
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			return explain_exec(full, errno, err);
		if (errno == EACCES)
			reason = EACCES;
		path += len;
		if (*path++ != ':')
			break;
	}
	if (reason == ENOENT) {
		err_set(err, ERR_STEP, "executable '%s' is not in PATH of the image", file);
		err->sys = ENOENT;
		return -1;
	}
	return explain_exec(file, reason, err);
}

/* The order matters and stands here alone: each line needs a right that a later one gives up. */
static int become_program(const struct init_args *a, struct err *err)
{
	static struct user user; /* 5 KiB, once */
	auto_strv env = STRV_INIT;
	sigset_t none;

	if (user_resolve(AT_FDCWD, a->spec->user, &user, err) < 0)
		return -1;
	strv_copy(&env, &a->spec->env);
	if (!strv_env_get(&env, "HOME"))
		strv_env_set(&env, "HOME", user.home);
	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(a->stdio[i], i) < 0)
			return err_sys(err, "cannot set up descriptor %d", i);
	/* Every descriptor was close-on-exec from birth; this closes what somebody forgot. */
	syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL); /* the host's session keyring stays out */
	set_limits();
	umask(022);
	if (enter_cwd(a->spec->cwd, &user, err) < 0)
		return -1;
	if (a->spec->no_new_privs || a->isolation == ISOLATION_SINGLE)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* Before CAP_SYS_ADMIN goes: without no_new_privs the kernel wants it, and then sudo works in steps. */
	if (policy_install(a->policy, err) < 0 || caps_limit_bounding(err) < 0 ||
		set_ids(&user, a->isolation, err) < 0 || caps_apply(err) < 0)
		return -1;
	signal(SIGINT, SIG_DFL); /* the one that the holder did not reset */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return execute(a->spec, env.v, err);
}

/* ---- pid 1 ---- */

static int prepare(const struct init_args *a, struct err *err)
{
	struct pollfd supervisor = { .fd = a->supervisor, .events = POLLIN };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&supervisor, 1, 0) != 0)
		return err_set(err, ERR_CANCELLED, "the supervisor of the step is gone");
	if (mount_proc(a->rootfd, err) < 0 || mount_mqueue(a->rootfd, err) < 0 ||
		make_readonly(a->rootfd, err) < 0 || mask_files(a->rootfd, err) < 0 ||
		mask_folders(a->rootfd, err) < 0 || pivot(a->rootfd, err) < 0)
		return -1;
	if (sethostname(a->spec->hostname, strlen(a->spec->hostname)) < 0)
		return err_sys(err, "cannot set the host name of the step");
	return a->spec->network == STEP_NETWORK_NONE ? bring_loopback_up(err) : 0;
}

/* The program until exec; it shares our memory, so what it says of a failure is there when it ends. */
struct program {
	const struct init_args *args;
	struct err *err;
};

static int program_main(void *arg)
{
	struct program *p = arg;

	become_program(p->args, p->err);
	_exit(125);
}

/*
 * As vfork(2), on a stack of its own: this process sleeps until the program has been executed or has failed. No page of
 * ours is copied only to be thrown away at exec.
 */
static pid_t start_program(const struct init_args *a, struct err *err)
{
	struct program p = { a, err };
	char *stack = mmap(NULL, PROGRAM_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	pid_t pid;

	if (stack == MAP_FAILED)
		return err_sys(err, "cannot map a stack for the program of the step");
	pid = clone(program_main, stack + PROGRAM_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &p);
	if (pid < 0)
		return err_sys(err, "cannot start the program of the step");
	return err->kind == ERR_NONE ? pid : -1;
}

/* Reap whatever ends until the program does; then nothing of the step may live on. */
static void reap(pid_t program, struct step_result *ret)
{
	struct rusage ru;
	int status = 0;
	pid_t pid;

	do
		pid = wait4(-1, &status, 0, NULL);
	while (pid != program && (pid > 0 || errno == EINTR));
	ret->killed = WIFSIGNALED(status);
	ret->status = ret->killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	kill(-1, SIGKILL);
	while (wait4(-1, NULL, 0, NULL) > 0 || errno == EINTR)
		;
	getrusage(RUSAGE_CHILDREN, &ru);
	ret->user_us = (uint64_t)ru.ru_utime.tv_sec * 1000000 + (uint64_t)ru.ru_utime.tv_usec;
	ret->system_us = (uint64_t)ru.ru_stime.tv_sec * 1000000 + (uint64_t)ru.ru_stime.tv_usec;
	ret->maxrss_kib = (uint64_t)ru.ru_maxrss;
}

_Noreturn void init_main(const struct init_args *args)
{
	struct init_report report = { .err = ERR_INIT };
	pid_t program = -1;

	if (prepare(args, &report.err) == 0)
		program = start_program(args, &report.err);
	for (int i = 0; i < 3; i++)
		close_fd(args->stdio[i]);
	if (program > 0)
		reap(program, &report.result);
	write_all(args->report, &report, sizeof(report));
	_exit(0);
}
