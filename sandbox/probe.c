#include "sandbox/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "sandbox/diagnose.h"
#include "sandbox/mounts.h"
#include "sandbox/root.h"
#include "sandbox/rootfs.h"

#define PROC_TEXT_MAX (1 << 20)

static int wait_for(pid_t pid, int *status)
{
	pid_t got;

	do
		got = waitpid(pid, status, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -1 : 0;
}

/* ---- the process as it is ---- */

static int open_error(const char *path, int flags)
{
	auto_fd int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? errno : 0;
}

/* A filter that allows everything and could ask somebody: only one listener may be on a process. */
static int listener_error(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };
	int fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	return fd < 0 ? errno : 0;
}

static void look(struct probe_host *ret)
{
	unsigned action = SECCOMP_RET_USER_NOTIF;
	struct rlimit locks;
	long abi;

	ret->tun = open_error("/dev/net/tun", O_RDWR);
	ret->locks_unlimited = getrlimit(RLIMIT_LOCKS, &locks) == 0 && locks.rlim_max == RLIM_INFINITY;
	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	ret->landlock_abi = abi > 0 ? (int)abi : 0;
	ret->notify = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? errno : 0;
	ret->listener = listener_error();
}

int probe_host(struct probe_host *ret, struct err *err)
{
	int pipefd[2], status;
	ssize_t got;
	pid_t pid;

	memset(ret, 0, sizeof(*ret));
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	pid = fork();
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(PROBE_SECONDS);
		look(ret);
		_exit(write_all(pipefd[1], ret, sizeof(*ret)) < 0);
	}
	close_fd(pipefd[1]);
	got = pid < 0 ? -1 : read_full(pipefd[0], ret, sizeof(*ret));
	close_fd(pipefd[0]);
	if (pid < 0)
		return err_sys(err, "cannot fork a probe");
	wait_for(pid, &status);
	if (got != (ssize_t)sizeof(*ret))
		return err_set(err, ERR_SYSTEM, "the probe of this host ended without an answer (status %d)", status);
	return 0;
}

/* ---- inside the namespaces ---- */

void probe_inside_put(const char *folder, struct strbuf *payload)
{
	wire_put_str(payload, folder);
}

static int refused(const char *what, struct err *err)
{
	err_sys(err, "the overlay in the store does not work: cannot %s", what);
	return diagnose(DIAGNOSE_OVERLAY, ".", err);
}

/* What steps do all the time: new files, a rename over a file of a lower layer, a folder that hides one. */
static int use_overlay(int root, const char *upper, struct err *err)
{
	auto_free char *hidden = xasprintf("%s/folder", upper);
	auto_free char *whiteout = xasprintf("%s/gone", upper);
	auto_fd int fd = -1;
	struct stat st;
	char mark[8];

	fd = openat(root, "new", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0 || write_all(fd, "x", 1) < 0)
		return refused("create a file", err);
	if (renameat(root, "new", root, "file") < 0)
		return refused("rename over a file below", err);
	if (unlinkat(root, "gone", 0) < 0 || lstat(whiteout, &st) < 0 || !S_ISCHR(st.st_mode))
		return refused("leave a whiteout", err);
	if (unlinkat(root, "folder", AT_REMOVEDIR) < 0 || mkdirat(root, "folder", 0755) < 0 ||
		lgetxattr(hidden, "user.overlay.opaque", mark, sizeof(mark)) != 1)
		return refused("hide a folder below", err);
	return 0;
}

static int try_overlay(const char *folder, struct err *err)
{
	static const char *const names[] = { "file", "gone" };
	auto_strv lowers = STRV_INIT;
	auto_free char *upper = xasprintf("%s/upper", folder);
	auto_free char *work = xasprintf("%s/work", folder);
	auto_free char *below = xasprintf("%s/lower/folder", folder);
	auto_fd int mounted = -1;
	auto_fd int root = -1;

	strv_take(&lowers, xasprintf("%s/lower", folder));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		auto_free char *path = xasprintf("%s/%s", lowers.v[0], names[i]);
		auto_fd int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

		if (fd < 0)
			return err_sys(err, "cannot create '%s' in the store", path);
	}
	if (mkdir(below, 0755) < 0)
		return err_sys(err, "cannot create '%s' in the store", below);
	mounted = rootfs_mount(&lowers, upper, work, ROOT_PLACE, err);
	if (mounted < 0)
		return -1;
	root = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? refused("open it", err) : use_overlay(root, upper, err);
}

/* Only a process whose own pid namespace is the new one may mount its procfs: a child after the unshare. */
static int try_proc(struct probe_inside *ret)
{
	struct err err = ERR_INIT;
	int status = 0;
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0)
		return errno;
	pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0) {
		auto_fd int fd = mount_new("proc", NULL, 0, &err);

		_exit(fd < 0 ? err.sys : 0);
	}
	if (wait_for(pid, &status) == 0 && WIFEXITED(status))
		ret->proc = WEXITSTATUS(status);
	return 0;
}

int probe_inside_run(struct job *job, struct err *err)
{
	struct probe_inside result = { .overlay = ERR_INIT };
	auto_strbuf reply = STRBUF_INIT;
	struct wire w;

	wire_init(&w, job->payload, job->len);
	auto_free char *folder = wire_get_str(&w);
	if (!wire_done(&w))
		return err_set(err, ERR_SYSTEM, "a request to probe is malformed");
	if (unshare(CLONE_NEWNS) < 0) {
		err_sys(err, "cannot make a mount namespace");
		return diagnose(DIAGNOSE_NAMESPACES, NULL, err);
	}
	try_overlay(folder, &result.overlay);
	result.proc_fork = try_proc(&result);
	strbuf_add(&reply, &result, sizeof(result));
	return job_reply(job, &reply, err);
}

/* ---- subordinate ids ---- */

int probe_subid(struct idmap *ret, struct err *err)
{
	int pipefd[2], rc, status;
	char byte;
	pid_t pid;

	if (idmap_choose(ISOLATION_SUBID, ret, err) < 0)
		return -1;
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0) {
		close_fd(pipefd[1]);
		_exit(read_full(pipefd[0], &byte, 1) != 0);
	}
	close_fd(pipefd[0]);
	if (pid < 0) {
		close_fd(pipefd[1]);
		err_sys(err, "cannot create a user namespace");
		return diagnose(DIAGNOSE_CLONE, NULL, err);
	}
	rc = idmap_write(ret, pid, err);
	close_fd(pipefd[1]); /* lets the child end */
	wait_for(pid, &status);
	return rc;
}

/* ---- cgroups ---- */

static bool read_below(const char *root, const char *file, struct strbuf *text)
{
	auto_free char *path = xasprintf("%s%s", root, file);
	struct err ignored = ERR_INIT;

	return read_file(AT_FDCWD, path, PROC_TEXT_MAX, text, &ignored) == 0;
}

/* Where the cgroup2 is mounted, from mountinfo; the first one counts. */
static bool find_cgroup2(const char *root, char *ret, size_t size)
{
	auto_strbuf text = STRBUF_INIT;
	char *save = NULL;

	if (!read_below(root, "/proc/self/mountinfo", &text))
		return false;
	for (char *line = strtok_r(text.buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char point[256];

		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %255s", point) == 1) {
			snprintf(ret, size, "%s", point);
			return true;
		}
	}
	return false;
}

/* The path of the line "0::PATH" of /proc/self/cgroup. */
static bool own_path(const char *root, char *ret, size_t size)
{
	auto_strbuf text = STRBUF_INIT;
	char *at;

	if (!read_below(root, "/proc/self/cgroup", &text))
		return false;
	at = strncmp(text.buf, "0::", 3) == 0 ? text.buf : strstr(text.buf, "\n0::");
	if (!at)
		return false;
	at = strstr(at, "0::") + 3;
	snprintf(ret, size, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

void probe_cgroup(const char *root, struct probe_cgroup *ret)
{
	auto_strbuf model = STRBUF_INIT;
	auto_strbuf controllers = STRBUF_INIT;
	char mount[256], path[1024];

	memset(ret, 0, sizeof(*ret));
	if (read_below(root, "/proc/device-tree/model", &model))
		ret->is_pi = strncmp(model.buf, "Raspberry Pi", strlen("Raspberry Pi")) == 0;
	if (!find_cgroup2(root, mount, sizeof(mount)) || !own_path(root, path, sizeof(path)))
		return;
	auto_free char *folder = xasprintf("%s%s", mount, strcmp(path, "/") == 0 ? "" : path);
	auto_free char *file = xasprintf("%s/cgroup.controllers", folder);
	auto_free char *real = xasprintf("%s%s", root, folder);

	if (!read_below(root, file, &controllers))
		return;
	ret->v2 = true;
	ret->writable = access(real, W_OK) == 0;
	snprintf(ret->controllers, sizeof(ret->controllers), "%.*s", (int)strcspn(controllers.buf, "\n"),
		controllers.buf);
}

bool probe_has_controller(const struct probe_cgroup *cg, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = cg->controllers; (p = strstr(p, name)); p += n)
		if ((p == cg->controllers || p[-1] == ' ') && (p[n] == '\0' || p[n] == ' '))
			return true;
	return false;
}
