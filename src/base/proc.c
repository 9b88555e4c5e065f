#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"

/* Where the child keeps the pipe for the errno of exec, so that everything above can be closed. */
#define EXEC_FD 3
/*
 * Descriptors closed one by one where close_range(2) (5.9) is not; a table may be declared far
 * larger.
 */
#define CLOSE_MAX 65536

#define CANCEL_LOOK_MS 100 /* how soon a waiting parent sees the cancel flag */

/* Both ends close on exec; released by scope. */
struct pipe_pair {
	int r, w;
};

static void pipe_release(struct pipe_pair *p)
{
	close_fd(p->r);
	close_fd(p->w);
}
#define auto_pipe __attribute__((cleanup(pipe_release))) struct pipe_pair

static int pipe_open(struct pipe_pair *p)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	p->r = fds[0];
	p->w = fds[1];
	return 0;
}

static void close_from(unsigned int first)
{
	struct rlimit limit = {0};

	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > CLOSE_MAX)
		limit.rlim_cur = CLOSE_MAX;
	for (unsigned int fd = first; fd < limit.rlim_cur; fd++)
		close((int)fd);
}

/*
 * No handler of ours may run in the child, nor may it inherit what this program blocks or that it
 * ignores SIGPIPE. Other ignored signals stay so: somebody wanted that, nohup(1) for one.
 */
static void reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, old;
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++) {
		if (sigaction(sig, NULL, &old) == 0 &&
			(old.sa_handler != SIG_IGN || sig == SIGPIPE))
			sigaction(sig, &dfl, NULL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Put /dev/null, the output and the pipe of exec where they belong. Returns 0, or -1 with errno
 * set.
 */
static int place_fds(int output_w, int *exec_w)
{
	int high_exec, high_output, null;

	/* out of the way of 0..3 first: the parent may have started with some of them closed */
	high_exec = fcntl(*exec_w, F_DUPFD_CLOEXEC, EXEC_FD + 1);
	if (high_exec < 0)
		return -1;
	*exec_w = high_exec;
	high_output = fcntl(output_w, F_DUPFD_CLOEXEC, EXEC_FD + 1);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (high_output < 0 || null < 0)
		return -1;
	if (null == STDIN_FILENO ? fcntl(null, F_SETFD, 0) < 0 : dup2(null, STDIN_FILENO) < 0)
		return -1;
	if (dup2(high_output, STDOUT_FILENO) < 0 || dup2(high_output, STDERR_FILENO) < 0)
		return -1;
	if (dup3(high_exec, EXEC_FD, O_CLOEXEC) < 0)
		return -1;
	*exec_w = EXEC_FD;
	return 0;
}

/*
 * In the child, between fork and exec: only async-signal-safe calls, since the parent may have
 * threads. Sends errno up exec_w when the program cannot be started.
 */
static _Noreturn void child(const char *const argv[], const struct proc_options *o, pid_t parent, int output_w,
	int exec_w)
{
	int error;
	ssize_t ignored;

	if (place_fds(output_w, &exec_w) == 0) {
		close_from(EXEC_FD + 1);
		reset_signals();
		if (o) {
			setpgid(0, 0);
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent) /* it died before it was asked for */
				_exit(127);
			if (o->mask)
				umask(o->mask);
		}
		/* execvp() has had no const since 1988, and changes nothing */
		if (o && o->env)
			execvpe(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)o->env);
		else
			execvp(argv[0], (char *const *)(uintptr_t)argv);
	}
	error = errno;
	ignored = write(exec_w, &error, sizeof(error));
	(void)ignored;
	_exit(127);
}

/*
 * Read once into output, of which *room bytes are left. Returns false at the end or on failure
 * (errno, else 0).
 */
static bool take_output(int fd, struct strbuf *output, size_t *room)
{
	char chunk[4096];
	ssize_t got = read(fd, chunk, sizeof(chunk));
	size_t keep;

	if (got < 0)
		return errno == EINTR;
	if (got == 0) {
		errno = 0;
		return false;
	}
	keep = (size_t)got < *room ? (size_t)got : *room;
	strbuf_add(output, chunk, keep);
	*room -= keep;
	return true;
}

/*
 * Collect output until the program and all that inherited its outputs closed them; or, where the
 * kernel has pidfds (5.3), until the program itself ended, since a helper may leave a daemon
 * behind.
 */
static void collect(int fd, pid_t pid, const volatile sig_atomic_t *cancel, struct strbuf *output, size_t max)
{
	auto_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd wait[2] = {{.fd = fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		if (cancel && *cancel)
			kill(-pid, SIGKILL);
		if (poll(wait, 2, cancel ? CANCEL_LOOK_MS : -1) < 0 && errno != EINTR)
			return;
		/* seen before the read: what the program wrote is in the pipe by now */
		if (wait[1].revents) {
			while (take_output(fd, output, &max))
				;
			return;
		}
		if (!take_output(fd, output, &max) && errno != EAGAIN)
			return;
	}
}

static int wait_for(pid_t pid, int *ret_status)
{
	pid_t got;

	do {
		got = waitpid(pid, ret_status, 0);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -1 : 0;
}

/*
 * Whether there is a program name anywhere in PATH that we can see. execvp(3) says EACCES, not
 * ENOENT, as soon as one folder of PATH is closed to us: usual where su(1) kept the PATH of
 * somebody else.
 */
static bool is_in_path(const char *name)
{
	const char *p = getenv("PATH");

	if (strchr(name, '/') || !p)
		return true;
	for (;;) {
		int len = (int)strcspn(p, ":");
		auto_free char *file = xasprintf("%.*s%s%s", len, p, len ? "/" : "", name);

		if (access(file, F_OK) == 0)
			return true;
		if (p[len] == '\0')
			return false;
		p += len + 1;
	}
}

static int run(const char *const argv[], const struct proc_options *o, struct strbuf *output, size_t max,
	struct err *err)
{
	auto_pipe out = {-1, -1}, exec = {-1, -1};
	const volatile sig_atomic_t *cancel = o ? o->cancel : NULL;
	int error = 0, status = 0;
	pid_t pid, parent = getpid();
	ssize_t got;

	if (pipe_open(&out) < 0 || pipe_open(&exec) < 0)
		return err_sys(err, "cannot make a pipe for '%s'", argv[0]);
	pid = fork();
	if (pid < 0)
		return err_sys(err, "cannot fork to run '%s'", argv[0]);
	if (pid == 0)
		child(argv, o, parent, out.w, exec.w);
	out.w = close_fd(out.w);
	exec.w = close_fd(exec.w);

	got = read_full(exec.r, &error, sizeof(error));
	if (got == 0)
		collect(out.r, pid, cancel, output, max);
	if (wait_for(pid, &status) < 0)
		return err_sys(err, "cannot wait for '%s'", argv[0]);
	if (got == sizeof(error) && (error == ENOENT || (error == EACCES && !is_in_path(argv[0]))))
		return err_set(err, ERR_NOT_FOUND, "no program '%s': is it installed and in PATH?",
			argv[0]);
	if (got != 0) {
		errno = got == sizeof(error) ? error : EIO;
		return err_sys(err, "cannot run '%s'", argv[0]);
	}
	if (cancel && *cancel)
		return err_set(err, ERR_CANCELLED, "interrupted");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int proc_run(const char *const argv[], struct strbuf *output, size_t max, struct err *err)
{
	return run(argv, NULL, output, max, err);
}

int proc_run_with(const char *const argv[], const struct proc_options *options, struct strbuf *output, size_t max,
	struct err *err)
{
	return run(argv, options, output, max, err);
}
