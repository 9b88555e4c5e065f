#include "sandbox/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/sendfd.h"
#include "base/wire.h"
#include "sandbox/devices.h"
#include "sandbox/root.h"

/* The descriptors of a message, in this order. */
enum { FD_STDIN, FD_STDOUT, FD_STDERR, FD_ROOT, FD_REPORT, FD_LISTENER, FD_MNTNS, FD_NETNS, FDS_MAX };

/* What init is told. It is a copy of the worker, so that pointers to what is older mean the same to both. */
struct message {
	struct init_args args;
	struct user user;
	size_t spec_size; /* so many bytes follow */
};

/* ---- init ---- */

/* Of what the worker had open it needs one: the others would keep readers waiting that the worker lets go. */
static void keep_only(int fd)
{
	if (fd > 3)
		syscall(SYS_close_range, 3, fd - 1, 0);
	syscall(SYS_close_range, fd + 1, ~0u, 0);
}

/* Whether this host lets init into namespaces that the worker will have made. */
static bool may_enter(void)
{
	auto_fd int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	return own >= 0 && setns(own, CLONE_NEWNS) == 0;
}

static int receive_spec(int sock, size_t n, struct step_spec *spec)
{
	auto_free char *data = xmalloc(n);
	struct err ignored = ERR_INIT;
	struct wire w;

	if (read_full(sock, data, n) != (ssize_t)n)
		return -1;
	wire_init(&w, data, n);
	return step_spec_get(&w, spec, &ignored);
}

static _Noreturn void wait_for_step(int sock)
{
	struct init_args made = INIT_ARGS_INIT;
	struct step_spec spec = STEP_SPEC_INIT;
	struct message m;
	int fds[FDS_MAX];
	size_t nfds = FDS_MAX;

	keep_only(sock);
	/* The end of the stream tells of a worker that died before this. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !may_enter())
		_exit(125);
	init_make_mounts(&made);
	mem_touch();
	if (recvfd(sock, &m, sizeof(m), MSG_WAITALL, fds, &nfds) != (ssize_t)sizeof(m) || nfds <= FD_MNTNS ||
		receive_spec(sock, m.spec_size, &spec) < 0)
		_exit(125);
	close_fd(sock);
	m.args.spec = &spec;
	m.args.user = &m.user;
	m.args.owner = NULL;
	m.args.supervisor = -1;
	m.args.proc = made.proc;
	m.args.mqueue = made.mqueue;
	memcpy(m.args.stdio, fds, sizeof(m.args.stdio));
	m.args.rootfd = fds[FD_ROOT];
	m.args.report = fds[FD_REPORT];
	m.args.listener = fds[FD_LISTENER];
	m.args.mntns = fds[FD_MNTNS];
	m.args.netns = nfds > FD_NETNS ? fds[FD_NETNS] : -1;
	init_main(&m.args);
}

/* ---- the worker ---- */

void ready_make(struct ready *r)
{
	struct err ignored = ERR_INIT;
	int pair[2];

	if (root_new_namespace(&ignored) == 0)
		r->dev = devices_make(ROOT_PLACE, STEP_SHM_SIZE, &ignored);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	r->init = init_clone(-1);
	if (r->init == 0)
		wait_for_step(pair[1]);
	close_fd(pair[1]);
	r->sock = pair[0];
	if (r->init < 0)
		ready_drop(r);
}

static int send_message(struct ready *r, const struct message *m, const int *fds, size_t nfds, const char *spec)
{
	size_t left = m->spec_size;

	if (sendfd(r->sock, m, sizeof(*m), fds, nfds) < 0)
		return -1;
	while (left > 0) {
		ssize_t n = send(r->sock, spec, left, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			spec += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

pid_t ready_start(struct ready *r, const struct init_args *args, int procfd)
{
	bool own_network = args->spec->network != STEP_NETWORK_HOST;
	auto_strbuf spec = STRBUF_INIT;
	struct message m = { .args = *args, .user = *args->user };
	auto_fd int mntns = openat(procfd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	auto_fd int netns = own_network ? openat(procfd, "self/ns/net", O_RDONLY | O_CLOEXEC) : -1;
	const int fds[FDS_MAX] = { args->stdio[0], args->stdio[1], args->stdio[2], args->rootfd, args->report,
		args->listener, mntns, netns };
	pid_t init = r->init;

	step_spec_put(args->spec, &spec);
	m.spec_size = spec.len;
	if (init < 0 || spec.len > READY_SPEC_MAX || mntns < 0 || (own_network && netns < 0) ||
		send_message(r, &m, fds, own_network ? FDS_MAX : FDS_MAX - 1, spec.buf) < 0)
		init = -1;
	ready_drop(r);
	return init;
}

void ready_drop(struct ready *r)
{
	r->init = -1;
	r->sock = close_fd(r->sock);
	r->dev = close_fd(r->dev);
}
