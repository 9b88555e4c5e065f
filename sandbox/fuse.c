#include "sandbox/fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sandbox/mounts.h"

#define DEVICE "/dev/fuse"
#define DEVICE_FD 3     /* of the program, named on its command line */
#define SAID_MAX 512    /* bytes of its last words in a message */
/* One argument of execve(2) may be 128 KiB: 500 names of 60 bytes are a fourth of it. */
#define OPTIONS_MAX (120u << 10)

static int open_device(struct err *err)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	err_sys(err, "cannot open " DEVICE "%s",
		errno == ENOENT || errno == ENXIO ? " (as root: modprobe fuse)" :
		errno == EACCES || errno == EPERM ? " (as root: chmod 0666 " DEVICE ")" :
						    "");
	err->kind = ERR_SANDBOX;
	return -1;
}

/* The program by PATH; NULL where it is not installed. */
static char *find_program(void)
{
	const char *path = getenv("PATH");

	for (path = path ? path : "/usr/bin:/bin"; *path;) {
		size_t len = strcspn(path, ":");
		auto_free char *full = xasprintf("%.*s/%s", (int)len, path, FUSE_PROGRAM);

		if (len && *full == '/' && access(full, X_OK) == 0)
			return take_ptr(full);
		path += len;
		path += *path == ':';
	}
	return NULL;
}

int fuse_available(struct err *err)
{
	auto_free char *program = find_program();
	auto_fd int device = -1;

	if (!program)
		return err_set(err, ERR_SANDBOX, FUSE_PROGRAM " is not installed (package " FUSE_PROGRAM ")");
	device = open_device(err);
	return device < 0 ? -1 : 0;
}

static int put_options(const struct strv *lowers, const char *upper, const char *work, struct strbuf *o,
	struct err *err)
{
	strbuf_puts(o, "lowerdir=");
	for (size_t i = 0; i < lowers->len; i++)
		strbuf_printf(o, "%s%s", i ? ":" : "", lowers->v[i]);
	if (upper) /* volatile: as for rootfs_mount() */
		strbuf_printf(o, ",upperdir=%s,workdir=%s,volatile", upper, work);
	if (o->overflow)
		return err_set(err, ERR_INPUT, "%zu layers are more than " FUSE_PROGRAM " can be told", lowers->len);
	return 0;
}

/* The child; only what is async-signal-safe and cannot fail halfway. */
static _Noreturn void become_daemon(const char *program, const char *options, int device, int log, pid_t parent)
{
	char mount_point[32];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125);
	snprintf(mount_point, sizeof(mount_point), "/dev/fd/%d", DEVICE_FD);
	/* Of the lowest descriptors only these are left; all others are close-on-exec. */
	if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		_exit(125);
	if (device == DEVICE_FD ? fcntl(device, F_SETFD, 0) < 0 : dup2(device, DEVICE_FD) < 0)
		_exit(125);
	execl(program, FUSE_PROGRAM, "-f", "-o", options, mount_point, (char *)NULL);
	_exit(125);
}

/* What the program said at last, in one line. */
static void append_said(const struct fuse_daemon *d, struct err *err)
{
	char said[SAID_MAX + 1];
	off_t end = d->log < 0 ? 0 : lseek(d->log, 0, SEEK_END);
	ssize_t n;

	if (end <= 0)
		return;
	n = pread(d->log, said, SAID_MAX, end > SAID_MAX ? end - SAID_MAX : 0);
	if (n <= 0)
		return;
	said[n] = '\0';
	while (n > 0 && said[n - 1] == '\n')
		said[--n] = '\0';
	for (char *p = said; (p = strchr(p, '\n'));)
		*p = ' ';
	err_wrap(err, "%s", said);
}

/* The file system, with the kernel's end of device; nobody answers yet. */
static int make_mount(int device, struct err *err)
{
	char fd[16];
	const struct mount_option options[] = { { "fd", fd }, { "rootmode", "40000" }, { "user_id", "0" },
		{ "group_id", "0" }, { "default_permissions", NULL }, { "allow_other", NULL }, { NULL, NULL } };

	snprintf(fd, sizeof(fd), "%d", device);
	return mount_new("fuse", options, 0, err);
}

int fuse_start(const struct strv *lowers, const char *upper, const char *work, struct fuse_daemon *ret, struct err *err)
{
	auto_free char *program = find_program();
	auto_strbuf options = STRBUF_INIT_MAX(OPTIONS_MAX);
	auto_fd int device = -1;
	auto_fd int mnt = -1;
	pid_t self = getpid();
	struct statfs fs;

	*ret = (struct fuse_daemon)FUSE_DAEMON_INIT;
	if (!program)
		return fuse_available(err);
	device = open_device(err);
	if (device < 0 || put_options(lowers, upper, work, &options, err) < 0)
		return -1;
	mnt = make_mount(device, err);
	if (mnt < 0)
		return -1;
	ret->log = memfd_create(FUSE_PROGRAM, MFD_CLOEXEC);
	if (ret->log < 0)
		return err_sys(err, "cannot make a file in memory");
	ret->pid = fork();
	if (ret->pid < 0)
		return err_sys(err, "cannot fork " FUSE_PROGRAM);
	if (ret->pid == 0)
		become_daemon(program, options.buf, device, ret->log, self);
	/* With our end closed its death ends the connection, and no call waits for an answer that never comes. */
	device = close_fd(device);
	if (fstatfs(mnt, &fs) < 0) {
		err_sys(err, FUSE_PROGRAM " does not answer");
		append_said(ret, err);
		err->kind = ERR_SANDBOX;
		return -1;
	}
	if (fs.f_type != FUSE_SUPER_MAGIC)
		return err_set(err, ERR_SANDBOX, "what " FUSE_PROGRAM " serves is not a fuse file system");
	return take_fd(mnt);
}

/* Returns whether the process has ended within the time. */
static bool await_end(pid_t pid)
{
	auto_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int n;

	if (pidfd < 0)
		return true; /* an old kernel: waitpid() has to do */
	do
		n = poll(&p, 1, FUSE_END_SECONDS * 1000);
	while (n < 0 && errno == EINTR);
	return n != 0;
}

int fuse_end(struct fuse_daemon *d, struct err *err)
{
	int status = 0;
	bool stuck;

	if (d->pid < 0) {
		d->log = close_fd(d->log);
		return 0;
	}
	stuck = !await_end(d->pid);
	if (stuck)
		kill(d->pid, SIGKILL);
	while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
		;
	d->pid = -1;
	if (stuck || status != 0) {
		err_set(err, ERR_SANDBOX, FUSE_PROGRAM " %s",
			stuck ? "did not end with the step" : "failed: what the step wrote may not be whole");
		append_said(d, err);
		d->log = close_fd(d->log);
		return -1;
	}
	d->log = close_fd(d->log);
	return 0;
}
