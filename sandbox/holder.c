#include "sandbox/holder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sendfd.h"
#include "sandbox/diagnose.h"
#include "sandbox/refusal.h"

#define STANDBY_PAUSE_MS 10 /* after a request: until then the job itself needs the processors */

/* Frames on the stream of a job, in both directions: kind, length, bytes. */
enum frame_kind { FRAME_PAYLOAD = 1, FRAME_EVENT, FRAME_REPLY, FRAME_ERROR };
struct frame {
	uint32_t kind, len;
};

/* The packet that starts a job; descriptors ride along, the stream's end first. */
struct request {
	uint32_t job;
};

struct holder {
	pid_t pid;
	int pidfd; /* -1 on kernels without pidfd_open; then pid is used */
	int sock;
	struct idmap idmap;
	const struct job_def *jobs;
	size_t njobs;
	atomic_bool killed;
};

static int send_frame(int sock, enum frame_kind kind, const void *data, size_t n, struct err *err)
{
	struct frame f = { kind, (uint32_t)n };

	if (send(sock, &f, sizeof(f), MSG_NOSIGNAL | (n ? MSG_MORE : 0)) != (ssize_t)sizeof(f))
		return err_set(err, ERR_CANCELLED, "the other end of the job is gone");
	for (const char *p = data; n;) {
		ssize_t sent = send(sock, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return err_set(err, ERR_CANCELLED, "the other end of the job is gone");
		p += sent;
		n -= (size_t)sent;
	}
	return 0;
}

/* Returns 1 with a frame, 0 at the end of the stream, -1 and *err for a broken one. */
static int receive_frame(int sock, struct frame *f, struct strbuf *data, struct err *err)
{
	ssize_t got = read_full(sock, f, sizeof(*f));
	auto_uninitialized char buf[4096];

	if (got == 0 || (got < 0 && errno == ECONNRESET))
		return 0;
	if (got != (ssize_t)sizeof(*f) || f->len > JOB_PAYLOAD_MAX)
		return err_set(err, ERR_SYSTEM, "a worker sent a broken message");
	strbuf_reset(data);
	for (uint32_t left = f->len; left;) {
		size_t want = left < sizeof(buf) ? left : sizeof(buf);

		got = read_full(sock, buf, want);
		if (got != (ssize_t)want)
			return 0;
		strbuf_add(data, buf, want);
		left -= (uint32_t)want;
	}
	return 1;
}

int job_event(struct job *job, const void *data, size_t n, struct err *err)
{
	return send_frame(job->sock, FRAME_EVENT, data, n, err);
}

int job_reply(struct job *job, const struct strbuf *answer, struct err *err)
{
	return send_frame(job->sock, FRAME_REPLY, answer->buf, answer->len, err);
}

/* Run the job function and tell the engine how it ended, unless it has replied by itself. */
static int run_job(const struct job_def *def, struct job *job)
{
	struct err err = ERR_INIT, ignored = ERR_INIT;

	if (def->run(job, &err) == 0)
		return 0;
	send_frame(job->sock, FRAME_ERROR, &err, sizeof(err), &ignored);
	return -1;
}

static void receive_payload(struct job *job, struct strbuf *payload)
{
	struct frame f;
	struct err ignored = ERR_INIT;

	if (receive_frame(job->sock, &f, payload, &ignored) != 1 || f.kind != FRAME_PAYLOAD)
		_exit(125);
	job->payload = payload->buf;
	job->len = payload->len;
}

/* A child dies with its parent; the check covers one that died before the prctl. Returns 0, or -1 and *err. */
static int die_with_parent(pid_t parent, struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
		err_sys(err, "cannot tie a process of the sandbox to its parent");
		return refusal(err, "prctl");
	}
	return getppid() == parent ? 0 : err_set(err, ERR_CANCELLED, "the parent of the process is gone");
}

/* Send one request: the job and the descriptors, the end of its stream first. Returns 0, or -1 and errno. */
static int put_request(int sock, unsigned job, const int *fds, size_t nfds)
{
	struct request req = { job };

	assert(nfds > 0 && nfds <= JOB_FDS_MAX);
	return sendfd(sock, &req, sizeof(req), fds, nfds);
}

/* Receive one request. Returns 1, or 0 when the other side has closed its end. */
static int receive_request(int sock, struct request *req, struct job *job, int fds[JOB_FDS_MAX])
{
	job->nfds = JOB_FDS_MAX;
	job->fds = fds;
	return recvfd(sock, req, sizeof(*req), 0, fds, &job->nfds) > 0;
}

/* The first descriptor of a request is the stream of the job, the others are the job's. */
static void take_stream(struct job *job)
{
	job->sock = job->fds[0];
	job->fds++;
	job->nfds--;
}

static _Noreturn void work(struct job *job, const struct job_def *def)
{
	auto_strbuf payload = STRBUF_INIT;

	receive_payload(job, &payload);
	_exit(run_job(def, job) == 0 ? 0 : 1);
}

static _Noreturn void stand_by(struct job *job, const struct job_def *def, int sock, pid_t holder)
{
	int fds[JOB_FDS_MAX];
	struct err ignored = ERR_INIT;
	struct request req;

	if (die_with_parent(holder, &ignored) < 0)
		_exit(0);
	if (def->stand_by)
		def->stand_by();
	mem_touch();
	if (!receive_request(sock, &req, job, fds))
		_exit(0);
	close_fd(sock);
	take_stream(job);
	work(job, def);
}

/*
 * A worker that waits for its job costs the fork before that is asked for. It holds no descriptor of an earlier job, and
 * ends when its socket is closed or the holder dies. None where the fork fails: then the job will fork, and tell.
 */
static int new_standby(struct job *job, const struct job_def *def)
{
	pid_t self = getpid(), child;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		close_fd(pair[0]);
		stand_by(job, def, pair[1], self);
	}
	close_fd(pair[1]);
	if (child < 0)
		return close_fd(pair[0]);
	return pair[0];
}

/* Whether the worker that waits has it now; one that somebody killed does not. */
static bool hand_over(int *standby, unsigned number, const struct job *job)
{
	bool taken = *standby >= 0 && put_request(*standby, number, job->fds - 1, job->nfds + 1) == 0;

	*standby = close_fd(*standby);
	return taken;
}

/* *standby: the socket of the worker that waits for such a job, or -1. Returns whether the job has a worker. */
static bool start_job(struct job *job, const struct holder_options *o, unsigned number, int *standby)
{
	const struct job_def *def = &o->jobs[number];
	struct err err = ERR_INIT, ignored = ERR_INIT;
	auto_strbuf payload = STRBUF_INIT;
	pid_t self = getpid(), child;

	if (def->in_holder) {
		*standby = close_fd(*standby); /* it is a copy of what is changed now */
		receive_payload(job, &payload);
		run_job(def, job);
		return false;
	}
	if (def->prepare && def->prepare(job, &err) < 0) {
		send_frame(job->sock, FRAME_ERROR, &err, sizeof(err), &ignored);
		return false;
	}
	if (def == o->standby && hand_over(standby, number, job))
		return true;
	child = fork();
	if (child < 0) {
		err_sys(&err, "cannot fork a worker");
		send_frame(job->sock, FRAME_ERROR, &err, sizeof(err), &ignored);
	}
	if (child != 0)
		return child > 0;
	close_fd(*standby);
	if (die_with_parent(self, &err) < 0) {
		send_frame(job->sock, FRAME_ERROR, &err, sizeof(err), &ignored);
		_exit(1);
	}
	work(job, def);
}

/* Whether no request came for a while. */
static bool is_quiet(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };

	return poll(&p, 1, STANDBY_PAUSE_MS) == 0;
}

static void serve(const struct holder_options *o, const struct idmap *map, int sock)
{
	int fds[JOB_FDS_MAX];
	void **states = xcalloc(o->njobs, sizeof(*states));
	struct request req;
	struct job job = { .idmap = map };
	bool wanted = false;
	int standby = -1;

	while (receive_request(sock, &req, &job, fds)) {
		size_t nfds = job.nfds;
		bool started = false;

		/* Reaped here and not by SIG_IGN, so that what workers used counts as ours (getrusage(2)). */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (req.job < o->njobs && job.nfds > 0) {
			take_stream(&job);
			job.state = &states[req.job];
			started = start_job(&job, o, req.job, &standby);
		}
		for (size_t i = 0; i < nfds; i++)
			close_fd(fds[i]);
		/* After that: a copy of a log pipe held there would keep its reader waiting. */
		wanted |= started && &o->jobs[req.job] == o->standby;
		if (wanted && standby < 0 && is_quiet(sock)) {
			job.state = &states[o->standby - o->jobs];
			standby = new_standby(&job, o->standby);
		}
	}
	close_fd(standby);
}

/* A runaway build goes before the desktop does. Written while /proc/self still belongs to us. */
static void prefer_as_oom_victim(void)
{
	auto_fd int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "100", 3) < 0)
		log_debug("cannot raise oom_score_adj");
}

/*
 * The file is that of the writer's own user namespace: nothing below can make another one, should the filter of a step
 * have a hole; mount and network namespaces of steps do not count. Refused where /proc is read-only: then the filter
 * stands alone.
 */
static void forbid_user_namespaces(void)
{
	auto_fd int fd = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) < 0)
		log_debug("cannot forbid user namespaces below the build's: %s", strerror(errno));
}

/* After the map is written: become root of the namespace and seal the process (spec/sandbox.md 1.2). */
static int enter(const struct holder_options *o, const struct idmap *map, pid_t engine, struct err *err)
{
	if (setresgid(0, 0, 0) < 0)
		return err_sys(err, "cannot become group 0 of the user namespace");
	if (map->mode != ISOLATION_SINGLE && setgroups(0, NULL) < 0)
		return err_sys(err, "cannot drop the supplementary groups");
	if (setresuid(0, 0, 0) < 0)
		return err_sys(err, "cannot become user 0 of the user namespace");
	/* Only now: a change of credentials clears the parent-death signal. */
	if (die_with_parent(engine, err) < 0)
		return -1;
	prefer_as_oom_victim();
	forbid_user_namespaces();
	if (prctl(PR_SET_DUMPABLE, 0) < 0) {
		err_sys(err, "cannot seal the holder of the build");
		return refusal(err, "prctl");
	}
	umask(022);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		err_sys(err, "cannot make the mounts of the build private");
		return refusal(err, "mount");
	}
	if (chdir(o->store) < 0)
		return err_sys(err, "cannot enter the store '%s'", o->store);
	return 0;
}

/*
 * A step sees the command line of its pid 1, which is a copy of this process: arguments of the build (secrets in
 * --build-arg among them) are none of its business.
 */
static void blank_arguments(char **argv)
{
	static const char name[] = "whittle";

	for (size_t i = 0; argv && argv[i]; i++) {
		size_t len = strlen(argv[i]);

		memset(argv[i], 0, len);
		if (i == 0)
			memcpy(argv[i], name, len < sizeof(name) ? len : sizeof(name) - 1);
	}
}

/* The child's side: wait for the map, enter, report, serve until the engine closes its end. */
static _Noreturn void holder_main(const struct holder_options *o, const struct idmap *map, pid_t engine,
	int go, int sock)
{
	struct err err = ERR_INIT;
	char byte;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	signal(SIGINT, SIG_IGN);  /* the terminal's Ctrl-C is the engine's to handle */
	setsid();                 /* as are all signals to its process group */
	blank_arguments(o->argv);
	if (read_full(go, &byte, 1) != 1)
		_exit(125);
	close_fd(go);
	if (enter(o, map, engine, &err) < 0)
		diagnose(DIAGNOSE_ENTER, NULL, &err);
	if (err.kind != ERR_NONE || send(sock, &err, sizeof(err), MSG_NOSIGNAL) < 0) {
		send(sock, &err, sizeof(err), MSG_NOSIGNAL);
		_exit(125);
	}
	serve(o, map, sock);
	/* What a step leaves to tear down goes on without the engine; its parent stays to reap it. */
	while (wait(NULL) > 0 || errno == EINTR)
		;
	_exit(0);
}

/* clone(2) without a new stack is fork(2) with namespaces; the glibc wrapper wants a stack. */
static pid_t clone_namespaces(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, 0);
}

static int refuse_clone(struct err *err)
{
	err_sys(err, "cannot create a user namespace");
	return diagnose(DIAGNOSE_CLONE, NULL, err);
}

/* Fork and map one attempt. Returns 0, or -1 with the child gone. */
static int start_with_map(struct holder *h, const struct holder_options *o, struct err *err)
{
	pid_t engine = getpid();
	int go[2], sock[2];
	struct err report;
	ssize_t got;

	if (pipe2(go, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0) {
		close_fd(go[0]);
		close_fd(go[1]);
		return err_sys(err, "cannot make a socket pair");
	}
	h->pid = clone_namespaces();
	if (h->pid == 0) {
		close_fd(go[1]);
		close_fd(sock[0]);
		holder_main(o, &h->idmap, engine, go[0], sock[1]);
	}
	close_fd(go[0]);
	close_fd(sock[1]);
	h->sock = sock[0];
	if (h->pid < 0) {
		close_fd(go[1]);
		h->sock = close_fd(h->sock);
		return refuse_clone(err);
	}
	if (idmap_write(&h->idmap, h->pid, err) == 0 && write_all(go[1], "g", 1) == 0) {
		close_fd(go[1]);
		got = recv(h->sock, &report, sizeof(report), 0);
		if (got == (ssize_t)sizeof(report) && report.kind == ERR_NONE)
			return 0;
		if (got == (ssize_t)sizeof(report))
			*err = report;
		else
			err_set(err, ERR_SANDBOX, "the holder of the build died while it entered its namespaces");
	} else {
		close_fd(go[1]);
	}
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	h->sock = close_fd(h->sock);
	return -1;
}

struct holder *holder_start(const struct holder_options *options, struct err *err)
{
	struct holder *h = xcalloc(1, sizeof(*h));
	struct err first = ERR_INIT;
	int rc;

	h->sock = h->pidfd = -1;
	h->jobs = options->jobs;
	h->njobs = options->njobs;
	if (idmap_choose(options->isolation, &h->idmap, err) < 0) {
		free(h);
		return NULL;
	}
	rc = start_with_map(h, options, &first);
	if (rc < 0 && options->isolation == ISOLATION_AUTO && h->idmap.mode != ISOLATION_SINGLE) {
		log_debug("%s: %s", isolation_name(h->idmap.mode), first.msg);
		idmap_single(&h->idmap);
		snprintf(h->idmap.why, sizeof(h->idmap.why), "%.*s", IDMAP_WHY_SIZE - 1, first.msg);
		rc = start_with_map(h, options, &first);
	}
	if (rc < 0) {
		*err = first;
		free(h);
		return NULL;
	}
	h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	return h;
}

const struct idmap *holder_idmap(const struct holder *h)
{
	return &h->idmap;
}

static int send_request(struct holder *h, unsigned job, int stream, const int *fds, size_t nfds,
	struct err *err)
{
	int all[JOB_FDS_MAX] = { stream };

	assert(nfds < JOB_FDS_MAX);
	if (nfds)
		memcpy(all + 1, fds, nfds * sizeof(int));
	if (put_request(h->sock, job, all, nfds + 1) < 0) {
		if (atomic_load(&h->killed))
			return err_set(err, ERR_CANCELLED, "cancelled");
		return err_sys(err, "cannot reach the holder of the build");
	}
	return 0;
}

static int end_of_job(struct holder *h, const char *name, struct err *err)
{
	if (atomic_load(&h->killed))
		return err_set(err, ERR_CANCELLED, "cancelled");
	return err_set(err, ERR_SYSTEM,
		"the worker for '%s' died without an answer (killed for memory?)", name);
}

int holder_call(struct holder *h, unsigned job, const struct strbuf *payload, const int *fds, size_t nfds,
	void (*on_event)(void *ctx, const void *data, size_t n), void *ctx, struct strbuf *reply,
	struct err *err)
{
	int pair[2], rc = 0;
	auto_fd int stream = -1;
	auto_strbuf data = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	struct frame f;

	assert(job < h->njobs);
	if (payload->len > JOB_PAYLOAD_MAX)
		return err_set(err, ERR_INPUT, "the request for '%s' is %zu bytes, the limit is %u",
			h->jobs[job].name, payload->len, JOB_PAYLOAD_MAX);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "cannot make a socket pair");
	stream = pair[0];
	rc = send_request(h, job, pair[1], fds, nfds, err);
	close_fd(pair[1]);
	if (rc < 0)
		return -1;
	/* A job that has failed already does not read it; why it did stands in what it sent. */
	send_frame(stream, FRAME_PAYLOAD, payload->buf, payload->len, &ignored);
	while ((rc = receive_frame(stream, &f, &data, err)) == 1) {
		if (f.kind == FRAME_EVENT && on_event)
			on_event(ctx, data.buf, data.len);
		if (f.kind == FRAME_ERROR && f.len == sizeof(*err)) {
			memcpy(err, data.buf, sizeof(*err));
			return -1;
		}
		if (f.kind == FRAME_REPLY) {
			if (reply)
				strbuf_add(reply, data.buf, data.len);
			return 0;
		}
	}
	return rc < 0 ? -1 : end_of_job(h, h->jobs[job].name, err);
}

void holder_kill(struct holder *h)
{
	atomic_store(&h->killed, true);
	if (h->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, h->pidfd, SIGKILL, NULL, 0);
	else
		kill(h->pid, SIGKILL);
}

void holder_free(struct holder *h)
{
	if (!h)
		return;
	close_fd(h->sock);
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close_fd(h->pidfd);
	free(h);
}
