#include "sandbox/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/sendfd.h"
#include "sandbox/owner_asked.h"
#include "sandbox/owner_calls.h"
#include "sandbox/owner_gate.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define THREAD_STACK (256u << 10) /* an answer needs a few paths */
#define QUESTION_MAX 512          /* struct seccomp_notif and what later kernels append */
#define ALONE_MAX 32              /* questions that the supervisor answers before it starts threads */
#define USER_CREDS 1              /* number of the credentials of the step's user; 0 is root */

/* ---- before the step ---- */

bool owner_has_loader(const struct strv *folders)
{
#if defined(__x86_64__)
	static const char loader[] = "lib64/ld-linux-x86-64.so.2";
#elif defined(__aarch64__)
	static const char loader[] = "lib/ld-linux-aarch64.so.1";
#else
	return false;
#endif
	for (size_t i = 0; i < folders->len; i++) {
		auto_fd int folder = open(folders->v[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		auto_fd int fd = folder < 0 ? -1 : open_in_root(folder, loader, O_PATH, 0);

		if (fd >= 0)
			return true;
	}
	return false;
}

struct owner *owner_new(const struct owner_options *options, struct err *err)
{
	struct owner_index *index = options->gate ? owner_gate_mount(options->rootfd, err) : owner_index_new(err);
	struct owner *o;
	struct stat st;

	if (!index)
		return NULL;
	if (fstat(options->rootfd, &st) < 0) {
		owner_index_free(index);
		err_sys(err, "cannot stat the root file system");
		return NULL;
	}
	o = xcalloc(1, sizeof(*o));
	o->filter = options->filter;
	o->index = index;
	o->table = owner_table_new(index);
	atomic_store(&index->unmarked, options->unmarked);
	atomic_store(&index->group_folders, options->unmarked);
	o->creds = creds_table_new();
	o->ids = options->ids;
	o->root_dev = st.st_dev;
	o->store_dev = options->store_dev;
	o->listener = -1;
	return o;
}

void owner_free(struct owner *o)
{
	if (!o)
		return;
	owner_stop(o);
	owner_table_free(o->table);
	creds_table_free(o->creds);
	owner_index_free(o->index);
	free(o);
}

void owner_note(struct owner *o, int rootfd, const char *path, const struct owner_record *r)
{
	auto_fd int fd = open_in_root(rootfd, *path ? path : ".", O_PATH | O_NOFOLLOW, 0);
	struct owner_record beside = *r;
	struct statx sx;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &sx) < 0)
		return;
	beside.seen_uid = sx.stx_uid;
	beside.seen_gid = sx.stx_gid;
	owner_table_mark(o->table, sx.stx_ino);
	if (S_ISDIR(sx.stx_mode) && r->gid != 0)
		atomic_store(&o->index->group_folders, 1);
	/* Copied up, it is a file of its own with another number, which keeps the attribute. */
	if (S_ISREG(sx.stx_mode) && sx.stx_nlink > 1)
		atomic_store(&o->index->unmarked, 1);
	if (!S_ISDIR(sx.stx_mode) && !S_ISREG(sx.stx_mode))
		owner_table_put(o->table, &sx, true, &beside);
}

int owner_give(struct owner *o, const char *path, const struct user *user)
{
	struct owner_record r = { .uid = user->uid, .gid = user->gid, .seen_uid = owner_native_id(user->uid, o->ids),
		.seen_gid = owner_native_id(user->gid, o->ids) };

	if (lchown(path, r.seen_uid, r.seen_gid) < 0)
		return -1;
	if (r.uid == r.seen_uid && r.gid == r.seen_gid)
		return 0;
	if (owner_record_put_path(path, &r) < 0)
		return -1;
	owner_note(o, AT_FDCWD, path, &r);
	return 0;
}

/* ---- the program ---- */

/* What the program tells the supervisor, with the listener: none when there is one already. */
struct greeting {
	uint32_t uid, gid, ngroups;
	uint32_t groups[USER_GROUPS_MAX];
};

static int send_greeting(int sock, const struct greeting *g, int fd, struct err *err)
{
	if (sendfd(sock, g, sizeof(*g), &fd, fd >= 0) < 0)
		return err_sys(err, "cannot hand the listener of the step to its supervisor");
	return 0;
}

static int install(const struct owner_filter *f, unsigned long flags)
{
	struct sock_fprog prog = { f->count, f->code };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* Somebody outside listens already: owners are answered by a filter alone, and kept nowhere. */
static int install_flat(const struct owner_filter *filter, uint32_t ids, int sock, const struct greeting *g,
	struct err *err)
{
	struct owner_filter *flat;
	int rc;

	if (filter->level == OWNER_SPILL)
		return send_greeting(sock, g, -1, err);
	if (g->uid != 0 || g->gid != 0)
		return err_set(err, ERR_SANDBOX,
			"this build has one id, and a supervisor outside of it (seccomp user notification) keeps it "
			"from running a step as user %u:%u; give this user a range: usermod --add-subuids "
			"100000-165535 --add-subgids 100000-165535 USER", g->uid, g->gid);
	flat = owner_filter_new(OWNER_FLAT, ids);
	rc = install(flat, 0);
	owner_filter_free(flat);
	if (rc < 0)
		return err_sys(err, "cannot install the filter of recorded ownership");
	return send_greeting(sock, g, -1, err);
}

/* Root without groups is number 0 already: then 1 goes to whom the step meets first. */
static int set_initial_creds(const struct user *user, struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_LOCKS, &limit) < 0 || limit.rlim_max != RLIM_INFINITY)
		return err_set(err, ERR_SANDBOX,
			"recorded ownership needs the unused limit on file locks (ulimit -x) to be unlimited");
	limit.rlim_cur = (rlim_t)creds_to_limit(user->uid || user->gid || user->ngroups ? USER_CREDS : 0);
	return setrlimit(RLIMIT_LOCKS, &limit) < 0 ? err_sys(err, "cannot set the limit on file locks") : 0;
}

int owner_install(const struct owner_filter *filter, uint32_t ids, int sock, const struct user *user, struct err *err)
{
	struct greeting g = { .uid = user->uid, .gid = user->gid, .ngroups = (uint32_t)user->ngroups };
	auto_fd int listener = -1;

	for (size_t i = 0; i < user->ngroups; i++)
		g.groups[i] = user->groups[i];
	if (filter->level == OWNER_FULL && set_initial_creds(user, err) < 0)
		return -1;
	/* Killable: signals of a Go runtime must not interrupt a call that is half done and make it happen twice. */
	listener = install(filter, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	if (listener < 0 && errno == EINVAL)
		listener = install(filter, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	if (listener < 0 && (errno == EBUSY || errno == EINVAL))
		return install_flat(filter, ids, sock, &g, err);
	if (listener < 0) {
		err_sys(err, "cannot install the filter of recorded ownership");
		err->kind = ERR_SANDBOX;
		return -1;
	}
	return send_greeting(sock, &g, listener, err);
}

/* ---- the supervisor ---- */

int owner_accept(struct owner *o, int sock, struct err *err)
{
	struct greeting g;
	struct creds user = CREDS_ROOT;
	unsigned number;
	size_t nfds = 1;
	ssize_t n = recvfd(sock, &g, sizeof(g), 0, &o->listener, &nfds);

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n != (ssize_t)sizeof(g) || g.ngroups > USER_GROUPS_MAX)
		return err_set(err, ERR_SYSTEM, "the program of the step sent a broken message");
	if (nfds == 0) {
		o->flat = o->filter->level == OWNER_FULL;
		return 0;
	}
	user.ruid = user.euid = user.suid = user.fsuid = g.uid;
	user.rgid = user.egid = user.sgid = user.fsgid = g.gid;
	user.groups = g.groups;
	user.ngroups = g.ngroups;
	number = (unsigned)creds_intern(o->creds, &user); /* the table was empty but for root: there is room */
	owner_index_credentials(o->index, 0, creds_get(o->creds, 0));
	owner_index_credentials(o->index, number, creds_get(o->creds, number));
	atomic_store(&o->index->kept, o->filter->level == OWNER_FULL);
	if (creds_makes_foreign(&user))
		atomic_store(&o->index->foreign, 1);
	return 1;
}

static void answer(struct owner *o, const struct seccomp_notif *n)
{
	struct asked a = { .o = o, .n = n, .pid = (pid_t)n->pid };
	struct seccomp_notif_resp r = { .id = n->id };
	int64_t result = ANSWER_CONTINUE;

	a.call = owner_filter_call(o->filter, n->data.arch, n->data.nr, &a.arch);
	if (a.call)
		result = owner_answer(&a);
	if (result == ANSWER_SENT)
		return;
	if (result == ANSWER_CONTINUE)
		r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (result < 0)
		r.error = (int32_t)result;
	else
		r.val = result;
	ioctl(o->listener, SECCOMP_IOCTL_NOTIF_SEND, &r); /* ENOENT: the process died meanwhile */
}

/* Whether no process is left that could ask. */
static bool is_over(const struct owner *o, int timeout)
{
	struct pollfd p = { .fd = o->listener, .events = POLLIN };

	return atomic_load(&o->stop) || (poll(&p, 1, timeout) > 0 && (p.revents & (POLLHUP | POLLERR)));
}

/* One question and its answer. Returns false and errno when there was none. */
static bool answer_next(struct owner *o)
{
	union {
		struct seccomp_notif notif;
		char space[QUESTION_MAX];
	} question;

	memset(&question, 0, sizeof(question)); /* EINVAL otherwise */
	if (ioctl(o->listener, SECCOMP_IOCTL_NOTIF_RECV, &question) < 0)
		return false;
	answer(o, &question.notif);
	return true;
}

static void *serve(void *arg)
{
	struct owner *o = arg;

	/* A reader of an old kernel would sleep on when the last process is gone: there poll(2) waits for it. */
	while (!atomic_load(&o->stop) && (o->reader_wakes || !is_over(o, -1)))
		/* ENOENT alone: the process that asked has died. */
		if (!answer_next(o) && errno != EINTR && (errno != ENOENT || is_over(o, 0)))
			break;
	return NULL;
}

int owner_fd(const struct owner *o)
{
	return o->nthreads ? -1 : o->listener;
}

static void wake(int sig)
{
	(void)sig;
}

static void start_threads(struct owner *o)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int wanted = cpus < 1 ? 1 : cpus > OWNER_THREADS_MAX ? OWNER_THREADS_MAX : (int)cpus;
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	for (int i = 0; i < wanted; i++)
		if (pthread_create(&o->threads[o->nthreads], &attr, serve, o) == 0)
			o->nthreads++;
	pthread_attr_destroy(&attr);
	/* None, as under a filter that answers clone3 with EPERM: the supervisor itself answers, one after the other. */
}

/* Two threads cost as much as a short step asks for. */
void owner_answer_one(struct owner *o)
{
	answer_next(o);
	if (o->filter->level == OWNER_FULL && ++o->alone == ALONE_MAX)
		start_threads(o);
}

int owner_start(struct owner *o, int procfd, struct err *err)
{
	struct sigaction sa = { .sa_handler = wake };
	struct seccomp_notif_sizes sizes;

	if (fchdir(procfd) < 0)
		return err_sys(err, "cannot enter /proc of the host");
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0 ||
		sizes.seccomp_notif > QUESTION_MAX)
		return err_set(err, ERR_SANDBOX, "this kernel asks in a form that is not known here");
	/* Hands the CPU over instead of waking another: 5 us for an answer in place of 20. */
	o->reader_wakes = ioctl(o->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) == 0;
	o->umask_before = umask(0);
	if (o->filter->level == OWNER_SPILL)
		return 0;
	sigaction(SIGUSR1, &sa, NULL); /* no SA_RESTART: owner_stop() interrupts a reader with it */
	return 0;
}

void owner_stop(struct owner *o)
{
	if (o->listener < 0)
		return;
	atomic_store(&o->stop, true);
	for (int i = 0; i < o->nthreads; i++) {
		struct timespec soon;

		/* Again and again: a signal just before the call does not interrupt it. */
		do {
			pthread_kill(o->threads[i], SIGUSR1);
			clock_gettime(CLOCK_REALTIME, &soon);
			soon.tv_nsec += 2000000;
			soon.tv_sec += soon.tv_nsec / 1000000000;
			soon.tv_nsec %= 1000000000;
		} while (pthread_timedjoin_np(o->threads[i], NULL, &soon) == ETIMEDOUT);
	}
	o->nthreads = 0;
	o->listener = close_fd(o->listener);
	umask(o->umask_before);
}

bool owner_is_flat(const struct owner *o)
{
	return o->flat;
}

void owner_look_in(struct owner *o, const char *folder)
{
	o->folder = folder;
}

bool owner_of(struct owner *o, const char *path, struct owner_record *ret)
{
	auto_free char *full = xasprintf("%s/%s", o->folder ? o->folder : "", path);
	struct statx sx;

	return statx(AT_FDCWD, full, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_TYPE | STATX_BTIME, &sx) == 0 &&
		owner_table_may_have(o->table, sx.stx_ino) && owner_table_find(o->table, &sx, ret);
}
