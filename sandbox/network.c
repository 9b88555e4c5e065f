#include "sandbox/network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/sendfd.h"
#include "base/strv.h"
#include "base/wire.h"
#include "sandbox/mounts.h"
#include "sandbox/root.h"
#include "sandbox/step.h"

#define READY_TIMEOUT_MS 30000  /* pasta takes 50 ms, slirp4netns 100 */
#define HELPER_TEXT_MAX 512     /* of what it says on its way out, for the message */
#define MAKER_STACK (64u << 10) /* make_namespace() needs a tenth of it */
#define GID_MAP_MAX 16384       /* the kernel shows at most 340 lines */
/* Descriptors of the helper beside 0, 1 and 2. */
#define HELPER_READY_FD 3
#define NETNS_NAME "netns" /* in the keeper's mount namespace, below ROOT_PLACE */

static const char *const tool_names[] = { [NETWORK_PASTA] = "pasta", [NETWORK_SLIRP4NETNS] = "slirp4netns" };

/* ---- the engine's side ---- */

static int check_tun(const char *tun, struct err *err)
{
	auto_fd int fd = open(tun, O_RDWR | O_CLOEXEC);
	const char *mend = "as root: modprobe tun; in a container or pod the device has to be passed in";

	if (fd >= 0)
		return 0;
	if (errno == EACCES || errno == EPERM)
		mend = "as root: chmod 0666 the device";
	err_sys(err, "a private network needs %s (%s; or use --network host or none)", tun, mend);
	err->kind = ERR_SANDBOX;
	return -1;
}

/* An absolute path, because the holder works in another folder. */
static char *find_program(const char *search, const char *name)
{
	for (const char *at = search; at && *at; at += strspn(at, ":")) {
		size_t len = strcspn(at, ":");
		auto_free char *path = xasprintf("%.*s/%s", (int)len, at, name);

		at += len;
		if (path[0] == '/' && access(path, X_OK) == 0)
			return take_ptr(path);
	}
	return NULL;
}

int network_find_helper(const char *search, const char *tun, struct network_helper *ret, struct err *err)
{
	static const enum network_tool order[] = { NETWORK_PASTA, NETWORK_SLIRP4NETNS };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		ret->tool = order[i];
		ret->path = find_program(search, tool_names[order[i]]);
		if (!ret->path)
			continue;
		if (check_tun(tun, err) == 0)
			return 0;
		free(ret->path);
		ret->path = NULL;
		return -1;
	}
	return err_set(err, ERR_SANDBOX,
		"a private network needs pasta (package passt) or slirp4netns, and neither is in PATH; install one, or "
		"use --network host or none");
}

const char *network_forwarder(enum network_tool tool)
{
	/* slirp4netns has its own; pasta is told which address to take, link-local so that it hides nobody. */
	return tool == NETWORK_SLIRP4NETNS ? "10.0.2.3" : "169.254.1.1";
}

void network_put(const struct network_helper *helper, bool forward_dns, struct strbuf *payload)
{
	wire_put_u64(payload, helper->tool);
	wire_put_str(payload, helper->path);
	wire_put_u64(payload, forward_dns);
}

static int keeper_gone(struct err *err)
{
	return err_set(err, ERR_SANDBOX, "the private network of the build is gone: its keeper was killed");
}

/* Receive what the keeper sent: a struct err, with a descriptor in *ret_fd when its kind is ERR_NONE. */
static int receive_state(int watch, int flags, struct err *state, int *ret_fd)
{
	size_t nfds = ret_fd != NULL;
	ssize_t got = recvfd(watch, state, sizeof(*state), flags, ret_fd, &nfds);

	if (got != (ssize_t)sizeof(*state))
		return got < 0 ? -1 : 0;
	return 1;
}

int network_await(int watch, struct err *err)
{
	struct pollfd p = { .fd = watch, .events = POLLIN };
	struct err state = ERR_INIT;
	int fd = -1, n;

	do
		n = poll(&p, 1, READY_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return err_set(err, ERR_SANDBOX, "the network helper was not ready within %d s", READY_TIMEOUT_MS / 1000);
	if (n < 0 || receive_state(watch, 0, &state, &fd) != 1)
		return keeper_gone(err);
	if (state.kind != ERR_NONE) {
		*err = state;
		return -1;
	}
	return fd >= 0 ? fd : keeper_gone(err);
}

int network_check(int watch, struct err *err)
{
	struct err state = ERR_INIT;
	int rc = receive_state(watch, MSG_PEEK | MSG_DONTWAIT, &state, NULL);

	if (rc < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (rc != 1 || state.kind == ERR_NONE)
		return keeper_gone(err);
	*err = state;
	return -1;
}

/* ---- a network namespace ---- */

/* Many test suites talk to 127.0.0.1; a fresh network namespace has it down. */
static int bring_loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	auto_fd int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return s < 0 ? -1 : ioctl(s, SIOCSIFFLAGS, &ifr);
}

/* The last group that is mapped here: the kernel refuses a range that ends beyond it. */
static unsigned long last_group(void)
{
	auto_strbuf map = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	unsigned long last = 0, inside, count;

	if (read_file(AT_FDCWD, "/proc/self/gid_map", GID_MAP_MAX, &map, &ignored) < 0)
		return 0;
	for (const char *line = map.buf; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char *end;

		inside = strtoul(line, &end, 10);
		strtoul(end, &end, 10);
		count = strtoul(end, NULL, 10);
		if (count && inside + count - 1 > last)
			last = inside + count - 1;
	}
	return last < INT32_MAX ? last : INT32_MAX;
}

static void write_sysctl(const char *path, const char *text)
{
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* A pod may have /proc/sys read-only: then ping and low ports need a capability as they do on the host. */
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		return;
}

/* What docker sets in a network of a container. */
static int configure(void)
{
	char range[32];

	snprintf(range, sizeof(range), "0 %lu", last_group());
	write_sysctl("/proc/sys/net/ipv4/ping_group_range", range);
	write_sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	return bring_loopback_up();
}

static int refuse_network(struct err *err, const char *what)
{
	err_sys(err, "%s", what);
	err->kind = ERR_SANDBOX;
	return -1;
}

int network_enter(enum step_network network, int netns, struct err *err)
{
	if (network == STEP_NETWORK_PRIVATE && setns(netns, CLONE_NEWNET) < 0)
		return refuse_network(err, "cannot enter the private network of the build");
	if (network != STEP_NETWORK_NONE)
		return 0;
	if (unshare(CLONE_NEWNET) < 0)
		return refuse_network(err, "cannot make a network namespace for the step");
	return configure() < 0 ? refuse_network(err, "cannot bring the loopback interface up") : 0;
}

/* ---- the holder's side ---- */

struct maker {
	int netns;
	int sys; /* errno */
};

static int maker_main(void *arg)
{
	struct maker *m = arg;

	if (configure() == 0)
		m->netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	m->sys = errno;
	_exit(0);
}

/*
 * The holder cannot come back from a network namespace of its own, which is why a child makes it. The child shares
 * memory and descriptors: what it opened stays.
 */
static int make_namespace(struct err *err)
{
	struct maker m = { .netns = -1 };
	char *stack = mmap(NULL, MAKER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	pid_t pid;

	if (stack == MAP_FAILED)
		return err_sys(err, "cannot map a stack");
	pid = clone(maker_main, stack + MAKER_STACK, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWNET | SIGCHLD, &m);
	if (pid > 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		errno = m.sys;
	}
	if (m.netns < 0)
		refuse_network(err, "cannot make the private network namespace of the build");
	munmap(stack, MAKER_STACK);
	return m.netns;
}

/* ---- the keeper ---- */

struct keeper {
	struct network_helper helper;
	bool forward_dns;
	int watch, netns;
	int signals;    /* signalfd: a child ended */
	int ready;      /* slirp4netns writes here when it is ready */
	int text;       /* standard error of the helper */
	pid_t started;  /* the process that was executed; pasta leaves another one behind */
	bool up;        /* told the engine */
	char said[HELPER_TEXT_MAX];
	size_t nsaid;
};

/*
 * Helpers open a path (and pasta closes every descriptor that it inherits): give the namespace one, in a mount
 * namespace of the keeper's own.
 */
static int publish_namespace(int netns, struct err *err)
{
	auto_free char *source = xasprintf("/proc/self/fd/%d", netns);
	auto_fd int tmpfs = -1, place = -1, file = -1;

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "cannot make a mount namespace for the network helper");
	place = open(ROOT_PLACE, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	tmpfs = mount_new("tmpfs", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
	if (tmpfs < 0 || mount_attach(tmpfs, place, "a folder for the network helper", err) < 0)
		return -1;
	file = openat(tmpfs, NETNS_NAME, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (file < 0 || mount(source, ROOT_PLACE "/" NETNS_NAME, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, "cannot give the network namespace a path");
	return 0;
}

static void pasta_arguments(const struct keeper *k, struct strv *argv)
{
	/* Left alone, pasta forwards ports both ways and maps its gateway to the host's loopback. */
	static const char *const args[] = { "--config-net", "-t", "none", "-u", "none", "-T", "none", "-U", "none",
		"--no-map-gw", "--no-netns-quit", "--quiet", "--netns", ROOT_PLACE "/" NETNS_NAME };

	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++)
		strv_add(argv, args[i]);
	if (k->forward_dns) {
		strv_add(argv, "--dns-forward");
		strv_add(argv, network_forwarder(NETWORK_PASTA));
	}
}

static void slirp_arguments(const struct keeper *k, struct strv *argv)
{
	static const char *const args[] = { "--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox",
		"--enable-seccomp", "--netns-type=path", "--ready-fd=3" };
	_Static_assert(HELPER_READY_FD == 3, "stands in the arguments");

	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++)
		strv_add(argv, args[i]);
	if (!k->forward_dns)
		strv_add(argv, "--disable-dns");
	strv_add(argv, ROOT_PLACE "/" NETNS_NAME);
	strv_add(argv, "tap0");
}

static _Noreturn void execute_helper(const struct keeper *k, int ready, int text)
{
	char *env[] = { (char[]){ "LC_ALL=C" }, (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" }, NULL };
	auto_strv argv = STRV_INIT;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	strv_add(&argv, tool_names[k->helper.tool]);
	if (k->helper.tool == NETWORK_PASTA)
		pasta_arguments(k, &argv);
	else
		slirp_arguments(k, &argv);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(text, 2) < 0)
		_exit(126);
	syscall(SYS_close_range, HELPER_READY_FD, ~0U, CLOSE_RANGE_CLOEXEC);
	if (ready == HELPER_READY_FD ? fcntl(ready, F_SETFD, 0) < 0 : dup2(ready, HELPER_READY_FD) < 0)
		_exit(126);
	signal(SIGINT, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(k->helper.path, argv.v, env);
	dprintf(2, "%s\n", strerror(errno));
	_exit(127);
}

static int start_helper(struct keeper *k, struct err *err)
{
	int ready[2], text[2];
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	k->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signals < 0 || pipe2(ready, O_CLOEXEC) < 0 || pipe2(text, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, "cannot make the pipes of the network helper");
	k->started = fork();
	if (k->started < 0)
		return err_sys(err, "cannot fork the network helper");
	if (k->started == 0)
		execute_helper(k, ready[1], text[1]);
	close_fd(ready[1]);
	close_fd(text[1]);
	k->ready = ready[0];
	k->text = text[0];
	return 0;
}

static void tell_engine(const struct keeper *k, const struct err *state, int fd)
{
	/* An engine that is gone needs no answer. */
	(void)sendfd(k->watch, state, sizeof(*state), &fd, fd >= 0);
}

static void tell_ready(struct keeper *k)
{
	struct err none = ERR_INIT;

	if (!k->up)
		tell_engine(k, &none, k->netns);
	k->up = true;
}

/* Keep the end of what the helper says. Returns false at the end of the pipe. */
static bool hear(struct keeper *k)
{
	char buf[HELPER_TEXT_MAX];
	ssize_t n = read(k->text, buf, sizeof(buf));
	size_t drop;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	drop = k->nsaid + (size_t)n > sizeof(k->said) ? k->nsaid + (size_t)n - sizeof(k->said) : 0;
	if (drop > k->nsaid)
		drop = k->nsaid;
	memmove(k->said, k->said + drop, k->nsaid - drop);
	k->nsaid -= drop;
	memcpy(k->said + k->nsaid, buf, (size_t)n);
	k->nsaid += (size_t)n;
	return n > 0;
}

static void explain_end(struct keeper *k, int status, struct err *err)
{
	const char *name = tool_names[k->helper.tool];
	const char *how = k->up ? "died" : "did not start";
	const char *end;

	hear(k);
	while (k->nsaid && (k->said[k->nsaid - 1] == '\n' || k->said[k->nsaid - 1] == ' '))
		k->nsaid--;
	/* The last line is the reason. */
	end = memrchr(k->said, '\n', k->nsaid);
	end = end ? end + 1 : k->said;
	if (WIFSIGNALED(status))
		err_set(err, ERR_SANDBOX, "the network helper %s %s: killed by signal %d", name, how, WTERMSIG(status));
	else
		err_set(err, ERR_SANDBOX, "the network helper %s %s: exit status %d", name, how, WEXITSTATUS(status));
	if (k->nsaid) {
		char tail[HELPER_TEXT_MAX + 1];

		snprintf(tail, sizeof(tail), "%.*s", (int)(k->said + k->nsaid - end), end);
		snprintf(err->msg + strlen(err->msg), sizeof(err->msg) - strlen(err->msg), " (%s)", tail);
	}
}

/* Reap. Returns true when the helper is no more, *ret_status is how it ended. */
static bool helper_ended(struct keeper *k, int *ret_status)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	(void)!read(k->signals, &si, sizeof(si));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		*ret_status = status;
		/* pasta goes into the background when it is ready, and is ours there: this is pid 1. */
		if (pid == k->started && k->helper.tool == NETWORK_PASTA && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			tell_ready(k);
	}
	return pid < 0 && errno == ECHILD;
}

/* Until the helper ends (its reason goes to the engine) or the engine closes its end of the watch. */
static void keep(struct keeper *k)
{
	struct pollfd p[] = { { k->watch, 0, 0 }, { k->signals, POLLIN, 0 }, { k->ready, POLLIN, 0 },
		{ k->text, POLLIN, 0 } };
	struct err err = ERR_INIT;
	int status = 0;
	char byte;

	while (!(p[0].revents & (POLLHUP | POLLERR))) {
		if (poll(p, sizeof(p) / sizeof(p[0]), -1) < 0 && errno != EINTR)
			return;
		if (p[2].revents && read(k->ready, &byte, 1) > 0 && k->helper.tool == NETWORK_SLIRP4NETNS)
			tell_ready(k);
		if (p[2].revents)
			p[2].fd = -1;
		if (p[3].revents && !hear(k))
			p[3].fd = -1;
		if (p[1].revents && helper_ended(k, &status)) {
			explain_end(k, status, &err);
			tell_engine(k, &err, -1);
			return;
		}
	}
}

/* Two low numbers, then everything else goes: the holder's sockets and what other jobs are made of. */
static void keep_two_descriptors(struct keeper *k)
{
	int watch = fcntl(k->watch, F_DUPFD_CLOEXEC, 8), netns = fcntl(k->netns, F_DUPFD_CLOEXEC, 8);

	k->watch = dup3(watch, 3, O_CLOEXEC);
	k->netns = dup3(netns, 4, O_CLOEXEC);
	syscall(SYS_close_range, 5, ~0U, 0);
}

static _Noreturn void keeper_main(struct keeper *k)
{
	struct err err = ERR_INIT;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid(); /* signals of the terminal are none of the helper's business */
	keep_two_descriptors(k);
	if (publish_namespace(k->netns, &err) == 0 && start_helper(k, &err) == 0)
		keep(k);
	else
		tell_engine(k, &err, -1);
	_exit(0); /* and with pid 1 goes the helper */
}

int network_run(struct job *job, struct err *err)
{
	struct keeper k = { .netns = -1, .ready = -1, .text = -1, .signals = -1 };
	auto_strbuf nothing = STRBUF_INIT;
	auto_fd int netns = -1;
	struct wire w;
	pid_t pid;

	wire_init(&w, job->payload, job->len);
	k.helper.tool = (enum network_tool)wire_get_u64(&w);
	auto_free char *path = wire_get_str(&w);
	k.helper.path = path;
	k.forward_dns = wire_get_u64(&w) != 0;
	if (!wire_done(&w) || job->nfds != 1 || k.helper.tool > NETWORK_SLIRP4NETNS)
		return err_set(err, ERR_SYSTEM, "a request for a network is malformed");
	netns = make_namespace(err);
	if (netns < 0)
		return -1;
	k.watch = job->fds[0];
	k.netns = netns;
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid < 0)
		return err_sys(err, "cannot fork the keeper of the private network");
	if (pid == 0)
		keeper_main(&k);
	return job_reply(job, &nothing, err);
}
