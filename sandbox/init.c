#include "sandbox/init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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
#include "sandbox/diagnose.h"
#include "sandbox/landlock.h"
#include "sandbox/mounts.h"
#include "sandbox/refusal.h"
#include "sandbox/user.h"

#define PROC_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define PROGRAM_STACK (256u << 10) /* become_program() needs a fifth of it */

/* What a step must not see, or not change; absent ones are skipped. */
static const char *const masked_files[] = { "proc/kcore", "proc/keys", "proc/timer_list",
	"proc/sched_debug", "proc/latency_stats", "proc/interrupts", NULL };
static const char *const masked_folders[] = { "proc/acpi", "proc/scsi", "proc/asound", "sys/firmware",
	"sys/devices/virtual/powercap", NULL };
static const char *const readonly_paths[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys",
	"proc/sysrq-trigger", NULL };

/* A place of /proc or /sys to be covered. Returns 1 and *ret, 0 where this kernel has none, or -1 and *err. */
static int open_place(int root, const char *path, int flags, int *ret, struct err *err)
{
	*ret = open_in_root(root, path, O_PATH | flags, 0);
	if (*ret >= 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	err_sys(err, "cannot open /%s of the step to cover it", path);
	return refusal(err, "openat2");
}

/* Sources too are found inside the root first: as a plain path a link /dev of the image would lead to the host. */
static int mask_files(int root, struct err *err)
{
	auto_fd int source = open_in_root(root, "dev/null", O_PATH, 0);

	if (source < 0)
		return err_sys(err, "cannot open /dev/null of the step");
	for (size_t i = 0; masked_files[i]; i++) {
		auto_fd int target = -1;
		auto_fd int null = -1;
		int rc = open_place(root, masked_files[i], 0, &target, err);

		if (rc < 0)
			return -1;
		if (rc == 0)
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
		auto_fd int target = -1;
		auto_fd int empty = -1;
		int rc = open_place(root, masked_folders[i], O_DIRECTORY, &target, err);

		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		/* One for all: a tmpfs of its own is a tenth of a millisecond. */
		empty = mount_clone(root, STEP_FILES "/" STEP_EMPTY, false, MOUNT_ATTR_RDONLY | PROC_ATTRS, err);
		if (empty < 0 || mount_attach(empty, target, masked_folders[i], err) < 0)
			return -1;
	}
	return 0;
}

static int make_readonly(int root, struct err *err)
{
	for (size_t i = 0; readonly_paths[i]; i++) {
		auto_fd int target = -1;
		auto_fd int clone = -1;
		int rc = open_place(root, readonly_paths[i], 0, &target, err);

		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		clone = mount_clone(target, "", true, MOUNT_ATTR_RDONLY | PROC_ATTRS, err);
		if (clone < 0 || mount_attach(clone, target, readonly_paths[i], err) < 0)
			return -1;
	}
	return 0;
}

pid_t init_clone(int cgroup)
{
	const unsigned long flags = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	struct clone_args args = { .flags = flags | CLONE_INTO_CGROUP, .exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup };

	/* clone3 only where it is needed: profiles of older container engines answer it with ENOSYS. */
	if (cgroup >= 0)
		return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
}

/* ---- mounts ---- */

void init_make_mounts(struct init_args *args)
{
	struct err ignored = ERR_INIT;

	args->proc = mount_new("proc", NULL, PROC_ATTRS, &ignored);
	args->mqueue = mount_new("mqueue", NULL, PROC_ATTRS, &ignored);
}

/*
 * /proc of the new pid namespace. Where an outer container has covered parts of its own /proc the kernel refuses
 * a full one: then the outer one is shown, read-only, with foreign process numbers (spec/sandbox.md 2.7).
 */
static int mount_proc(int root, int ready, struct err *err)
{
	struct err refused = ERR_INIT;
	struct statfs fs;
	auto_fd int proc = ready >= 0 ? ready : mount_new("proc", NULL, PROC_ATTRS, &refused);

	if (proc < 0 && refused.sys == EPERM)
		proc = mount_clone(AT_FDCWD, "/proc", true, MOUNT_ATTR_RDONLY | PROC_ATTRS, err);
	else if (proc < 0)
		*err = refused;
	if (proc < 0)
		return -1;
	if (fstatfs(proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return err_set(err, ERR_SANDBOX, "what was mounted for /proc is not a procfs");
	return mount_attach_on_folder(proc, root, "proc", err);
}

/*
 * Also covers what mount_etc() of step.c left there, so it comes after mask_folders(): a kernel without message queues
 * gets an empty folder.
 */
static int mount_mqueue(int root, int ready, struct err *err)
{
	struct err ignored = ERR_INIT;
	auto_fd int mq = ready >= 0 ? ready : mount_new("mqueue", NULL, PROC_ATTRS, &ignored);

	if (mq < 0)
		mq = mount_clone(root, STEP_FILES "/" STEP_EMPTY, false, MOUNT_ATTR_RDONLY | PROC_ATTRS, err);
	return mq < 0 ? -1 : mount_attach_in_root(mq, root, STEP_FILES, err);
}

static int pivot(int root, struct err *err)
{
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) {
		err_sys(err, "cannot pivot into the root file system of the step");
		return refusal(err, "pivot_root");
	}
	if (umount2(".", MNT_DETACH) < 0) {
		err_sys(err, "cannot unmount the old root file system");
		return refusal(err, "umount2");
	}
	return chdir("/") < 0 ? err_sys(err, "cannot enter the root file system of the step") : 0;
}

/* ---- the program ---- */

/*
 * Every descriptor was close-on-exec from birth; this closes what somebody forgot (CVE-2024-21626). One by one where
 * close_range(2) cannot (Linux 5.11).
 */
static int close_others_at_exec(struct err *err)
{
	auto_closedir DIR *d = NULL;
	struct dirent *e;
	uint64_t fd;

	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	d = opendir("/proc/self/fd");
	if (!d)
		return err_sys(err, "cannot list the open descriptors in /proc/self/fd");
	while ((e = readdir(d)))
		if (parse_u64(e->d_name, 3, INT_MAX, &fd) == 0 && fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
			return err_sys(err, "cannot mark descriptor %s to be closed", e->d_name);
	return 0;
}

/*
 * What namespaces do not keep apart. No new privileges: asked for, or where ids are recorded and have no rights of the
 * kernel to gain.
 * Landlock only where the host's abstract sockets are in reach.
 */
static int restrict_program(const struct init_args *a, struct err *err)
{
	if (a->spec->no_new_privs || a->virtual_ids)
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
			err_sys(err, "cannot set no_new_privs for the step");
			return refusal(err, "prctl");
		}
	if (a->spec->network == STEP_NETWORK_HOST && landlock_scope(err) < 0)
		return -1;
	if (policy_install(a->policy, err) < 0)
		return -1;
	return owner_install(a->filter, a->ids, a->listener, a->user, err);
}

/* mkdir -p; what is made belongs to the user. */
static int make_cwd(const struct init_args *a, char *path, struct err *err)
{
	for (char *end = path; end;) {
		end = strchr(end + 1, '/');
		if (end)
			*end = '\0';
		if (mkdir(path, 0755) == 0) {
			if (a->user->uid != 0 && owner_give(a->owner, path, a->user) < 0)
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
static int enter_cwd(const struct init_args *a, struct err *err)
{
	auto_free char *clean = path_clean(a->spec->cwd);
	char real[PATH_MAX];

	if (chdir(clean) < 0) {
		if (errno != ENOENT)
			return err_sys(err, "cannot enter the working folder '%s'", clean);
		if (make_cwd(a, clean, err) < 0)
			return -1;
		if (chdir(clean) < 0)
			return err_sys(err, "cannot enter the working folder '%s'", clean);
	}
	/* A folder outside the root would show as "(unreachable)" (CVE-2024-21626). */
	if (!getcwd(real, sizeof(real)) || real[0] != '/')
		return err_set(err, ERR_SANDBOX, "the working folder '%s' is outside the root", clean);
	return 0;
}

static int set_ids(const struct user *user, struct err *err)
{
	if (setgroups(user->ngroups, user->groups) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(err, "cannot become user %u:%u", (unsigned)user->uid, (unsigned)user->gid);
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
	auto_strv env = STRV_INIT;
	sigset_t none;

	strv_copy(&env, &a->spec->env);
	if (!strv_env_get(&env, "HOME"))
		strv_env_set(&env, "HOME", a->user->home);
	if (setsid() < 0) /* else the terminal of whoever started the build is the step's */
		return err_sys(err, "cannot start a session for the step (setsid)");
	for (int i = 0; i < 3; i++)
		if (dup2(a->stdio[i], i) < 0)
			return err_sys(err, "cannot set up descriptor %d", i);
	if (close_others_at_exec(err) < 0)
		return -1;
	/* The host's session keyring stays out; where this fails (a quota, a filter) the filter still refuses its use. */
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	if (limits_apply(a->spec->limits, a->spec->nlimits, err) < 0)
		return -1;
	umask(022);
	if (enter_cwd(a, err) < 0)
		return -1;
	/* Before CAP_SYS_ADMIN goes: without no_new_privs the kernel wants it, and then sudo works in steps. */
	if (restrict_program(a, err) < 0)
		return diagnose(DIAGNOSE_FILTER, NULL, err);
	if (caps_limit_bounding(err) < 0 || (!a->virtual_ids && set_ids(a->user, err) < 0) ||
		caps_apply(a->virtual_ids || a->user->uid == 0, err) < 0)
		return diagnose(DIAGNOSE_RIGHTS, NULL, err);
	signal(SIGINT, SIG_DFL); /* the one that the holder did not reset */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return execute(a->spec, env.v, err);
}

/* ---- pid 1 ---- */

/* Those that the supervisor has made since this process was. */
static int enter_namespaces(const struct init_args *a, struct err *err)
{
	if ((a->mntns < 0 || setns(a->mntns, CLONE_NEWNS) == 0) && (a->netns < 0 || setns(a->netns, CLONE_NEWNET) == 0))
		return 0;
	err_sys(err, "cannot enter the namespaces of the step");
	refusal(err, "setns");
	return diagnose(DIAGNOSE_NAMESPACES, NULL, err);
}

static int prepare(const struct init_args *a, struct err *err)
{
	struct pollfd supervisor = { .fd = a->supervisor, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(err, "cannot tie the step to its supervisor (prctl)");
	if (poll(&supervisor, 1, 0) != 0)
		return err_set(err, ERR_CANCELLED, "the supervisor of the step is gone");
	if (enter_namespaces(a, err) < 0)
		return -1;
	if (mount_proc(a->rootfd, a->proc, err) < 0 || make_readonly(a->rootfd, err) < 0 ||
		mask_files(a->rootfd, err) < 0 || mask_folders(a->rootfd, err) < 0 ||
		mount_mqueue(a->rootfd, a->mqueue, err) < 0 || pivot(a->rootfd, err) < 0)
		return diagnose(DIAGNOSE_MOUNT, NULL, err);
	if (sethostname(a->spec->hostname, strlen(a->spec->hostname)) < 0) {
		err_sys(err, "cannot set the host name of the step (sethostname)");
		return diagnose(DIAGNOSE_NAMESPACES, NULL, err);
	}
	return 0;
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

/* Blocked from the start, so that none is lost: what sigwaitinfo(2) takes in reap(). */
static void block_signals(sigset_t *set)
{
	static const int handed_on[] = { SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH };

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++)
		sigaddset(set, handed_on[i]);
	sigprocmask(SIG_BLOCK, set, NULL);
}

/* Reap whatever ends until the program does, and hand signals on to its group; then nothing of the step may live on. */
static void reap(pid_t program, const sigset_t *signals, struct step_result *ret)
{
	struct rusage ru;
	int status = 0;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, NULL)) != program) {
		int sig = pid == 0 ? sigwaitinfo(signals, NULL) : SIGCHLD;

		if (sig > 0 && sig != SIGCHLD)
			kill(-program, sig);
	}
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
	sigset_t signals;

	block_signals(&signals);
	if (prepare(args, &report.err) == 0)
		program = start_program(args, &report.err);
	for (int i = 0; i < 3; i++)
		close_fd(args->stdio[i]);
	if (program > 0)
		reap(program, &signals, &report.result);
	write_all(args->report, &report, sizeof(report));
	_exit(0);
}
