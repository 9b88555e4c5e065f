#include "sandbox/step.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "sandbox/devices.h"
#include "sandbox/init.h"
#include "sandbox/mounts.h"
#include "sandbox/policy.h"
#include "sandbox/rootfs.h"

void step_spec_put(const struct step_spec *spec, struct strbuf *p)
{
	wire_put_strv(p, &spec->lowers);
	wire_put_str(p, spec->upper);
	wire_put_str(p, spec->work);
	wire_put_strv(p, &spec->argv);
	wire_put_strv(p, &spec->env);
	wire_put_str(p, spec->cwd);
	wire_put_str(p, spec->user);
	wire_put_str(p, spec->hostname);
	wire_put_str(p, spec->hosts);
	wire_put_str(p, spec->resolv_conf);
	wire_put_u64(p, spec->network);
	wire_put_u64(p, spec->no_new_privs);
	wire_put_bytes(p, spec->limits, spec->nlimits * sizeof(spec->limits[0]));
	wire_put_u64(p, spec->shm_size);
	wire_put_u64(p, spec->in_cgroup);
	wire_put_u64(p, spec->grace_ms);
}

static void limits_get(struct wire *w, struct step_spec *spec)
{
	size_t n;
	const void *limits = wire_get_bytes(w, &n);

	if (n > sizeof(spec->limits) || n % sizeof(spec->limits[0]) != 0) {
		w->bad = true;
		return;
	}
	memcpy(spec->limits, limits, n);
	spec->nlimits = n / sizeof(spec->limits[0]);
}

static int spec_get(struct wire *w, struct step_spec *spec, struct err *err)
{
	wire_get_strv(w, &spec->lowers);
	spec->upper = wire_get_str(w);
	spec->work = wire_get_str(w);
	wire_get_strv(w, &spec->argv);
	wire_get_strv(w, &spec->env);
	spec->cwd = wire_get_str(w);
	spec->user = wire_get_str(w);
	spec->hostname = wire_get_str(w);
	spec->hosts = wire_get_str(w);
	spec->resolv_conf = wire_get_str(w);
	spec->network = (enum step_network)wire_get_u64(w);
	spec->no_new_privs = wire_get_u64(w) != 0;
	limits_get(w, spec);
	spec->shm_size = wire_get_u64(w);
	spec->in_cgroup = wire_get_u64(w) != 0;
	spec->grace_ms = (unsigned)wire_get_u64(w);
	if (w->bad || spec->argv.len == 0 || spec->network > STEP_NETWORK_PRIVATE || spec->grace_ms > STEP_GRACE_MS_MAX)
		return err_set(err, ERR_SYSTEM, "a step request is malformed");
	return 0;
}

void step_spec_release(struct step_spec *spec)
{
	strv_release(&spec->lowers);
	strv_release(&spec->argv);
	strv_release(&spec->env);
	free(spec->upper);
	free(spec->work);
	free(spec->cwd);
	free(spec->user);
	free(spec->hostname);
	free(spec->hosts);
	free(spec->resolv_conf);
	memset(spec, 0, sizeof(*spec));
}

static void result_put(const struct step_result *r, struct strbuf *p)
{
	wire_put_u64(p, (uint64_t)r->status);
	wire_put_u64(p, r->killed);
	wire_put_u64(p, r->user_us);
	wire_put_u64(p, r->system_us);
	wire_put_u64(p, r->maxrss_kib);
}

int step_result_get(struct wire *reply, struct step_result *ret, struct err *err)
{
	ret->status = (int)wire_get_u64(reply);
	ret->killed = wire_get_u64(reply) != 0;
	ret->user_us = wire_get_u64(reply);
	ret->system_us = wire_get_u64(reply);
	ret->maxrss_kib = wire_get_u64(reply);
	return reply->bad ? err_set(err, ERR_SYSTEM, "a step answered too little") : 0;
}

int step_prepare(struct job *job, struct err *err)
{
	if (*job->state)
		return 0;
	*job->state = policy_compile(err);
	/* The compiler leaves megabytes of free heap: every child would copy the pages of it that it reuses. */
	malloc_trim(0);
	return *job->state ? 0 : -1;
}

/* The image's own files win over the stub, which only shows where it has nothing. */
static int mount_root(struct step_spec *spec, struct err *err)
{
	auto_fd int place = open(STEP_PLACE, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_fd int root = -1;

	if (place < 0)
		return err_sys(err, "cannot open '%s' in the store", STEP_PLACE);
	strv_add(&spec->lowers, STEP_STUB);
	root = rootfs_mount(&spec->lowers, *spec->upper ? spec->upper : NULL, spec->work, err);
	if (root < 0 || mount_attach(root, place, "the root file system of the step", err) < 0)
		return -1;
	return take_fd(root);
}

/* /etc/hosts and /etc/resolv.conf come from a tmpfs of the step and leave no trace in its layer. */
static int mount_file(int tmpfs, const char *name, const char *content, int rootfd, struct err *err)
{
	auto_free char *target = xasprintf("etc/%s", name);
	auto_fd int fd = openat(tmpfs, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	auto_fd int clone = -1;

	if (fd < 0 || write_all(fd, content, strlen(content)) < 0)
		return err_sys(err, "cannot write %s of the step", target);
	clone = mount_clone(tmpfs, name, false,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
	if (clone < 0)
		return -1;
	if (mount_attach_over(clone, rootfd, target, err) < 0)
		/* An image that deleted the file or its folder has no use for it. */
		return err->kind == ERR_NOT_FOUND ? 0 : -1;
	return 0;
}

static int mount_etc(const struct step_spec *spec, int rootfd, struct err *err)
{
	static const struct mount_option options[] = { { "mode", "0755" }, { "size", "1m" }, { NULL, NULL } };
	auto_fd int tmpfs = mount_new("tmpfs", options, 0, err);
	auto_fd int place = open_in_root(rootfd, "dev/mqueue", O_PATH | O_DIRECTORY, 0);

	if (tmpfs < 0)
		return -1;
	/*
	 * Binds can only be cloned from an attached mount. It stays where init will cover it with the message queues:
	 * taking it off again would wait for an RCU grace period.
	 */
	if (place < 0)
		return err_sys(err, "cannot open /dev/mqueue of the step");
	if (mount_attach(tmpfs, place, "files of the step", err) < 0 ||
		mount_file(tmpfs, "hosts", spec->hosts, rootfd, err) < 0)
		return -1;
	return mount_file(tmpfs, "resolv.conf", spec->resolv_conf, rootfd, err);
}

/* The owner of a network namespace may have a fresh one, which shows its interfaces; else the host's, as it is. */
static int mount_sys(enum step_network network, int rootfd, struct err *err)
{
	const unsigned attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	struct err refused = ERR_INIT;
	auto_fd int sys = -1;

	if (network != STEP_NETWORK_HOST)
		sys = mount_new("sysfs", NULL, attrs, &refused);
	if (sys < 0)
		sys = mount_clone(AT_FDCWD, "/sys", true, attrs, err);
	return sys < 0 ? -1 : mount_attach_in_root(sys, rootfd, "sys", err);
}

/* Everything that needs no namespace of the step's own. Returns the root's descriptor. */
static int make_tree(struct step_spec *spec, struct err *err)
{
	auto_fd int root = -1;

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "cannot make a mount namespace");
	root = mount_root(spec, err);
	if (root < 0 || devices_mount(root, spec->shm_size, err) < 0 || mount_etc(spec, root, err) < 0 ||
		mount_sys(spec->network, root, err) < 0)
		return -1;
	return take_fd(root);
}

/* Like fork(2), into the namespaces of the step and, where cgroup is not -1, into its cgroup. */
static pid_t clone_init(int cgroup)
{
	const unsigned long flags = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	struct clone_args args = { .flags = flags | CLONE_INTO_CGROUP, .exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup };

	/* clone3 only where it is needed: profiles of older container engines answer it with ENOSYS. */
	if (cgroup >= 0)
		return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
}

/* What the supervisor waits for while the program runs. */
struct watched {
	pid_t init;
	int report;    /* of init */
	int interrupt; /* STEP_FD_INTERRUPT */
	int watch;     /* STEP_FD_WATCH or -1 */
	unsigned grace_ms;
};

static void kill_init(pid_t init)
{
	kill(init, SIGKILL); /* the kernel takes everything in its pid namespace along, stopped or not */
	while (waitpid(init, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Returns 0 when init has reported or died; -1 and *err when the step had to be ended. */
static int await_end(const struct watched *w, struct err *err)
{
	struct pollfd p[] = { { w->report, POLLIN, 0 }, { w->interrupt, POLLIN, 0 }, { w->watch, POLLIN, 0 } };
	uint64_t deadline = 0;

	while (!p[0].revents) {
		uint64_t now = deadline ? clock_mono_ns() : 0;

		if (deadline && now >= deadline)
			break;
		if (poll(p, 3, deadline ? (int)((deadline - now) / 1000000) + 1 : -1) < 0 && errno != EINTR)
			return err_sys(err, "cannot wait for the step");
		if (p[2].revents && network_check(w->watch, err) < 0) {
			kill_init(w->init);
			return -1;
		}
		if (p[1].revents && !deadline) {
			kill(w->init, SIGTERM); /* which init hands on to the program */
			p[1].fd = -1;
			deadline = clock_mono_ns() + w->grace_ms * 1000000ull;
		}
	}
	if (!deadline)
		return 0;
	kill_init(w->init);
	return err_set(err, ERR_CANCELLED, "interrupted");
}

static int await_report(const struct watched *w, struct init_report *report, struct err *err)
{
	int status = 0;

	if (await_end(w, err) < 0)
		return -1;
	if (read_full(w->report, report, sizeof(*report)) == (ssize_t)sizeof(*report)) {
		if (report->err.kind == ERR_NONE)
			return 0;
		*err = report->err;
		return -1;
	}
	while (waitpid(w->init, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		return err_set(err, WTERMSIG(status) == SIGKILL ? ERR_OOM : ERR_SYSTEM,
			"the init of the step was killed by signal %d%s", WTERMSIG(status),
			WTERMSIG(status) == SIGKILL ? " (out of memory?)" : "");
	return err_set(err, ERR_SYSTEM, "the init of the step ended without a report");
}

/* The descriptor of the step's cgroup, or -1. */
static int cgroup_fd(const struct job *job, const struct step_spec *spec)
{
	return spec->in_cgroup ? job->fds[job->nfds - 1] : -1;
}

/* Start init and wait until it has reported. */
static int run_init(struct job *job, struct init_args *args, pid_t *ret_pid, struct step_result *ret, struct err *err)
{
	struct init_report report = { .err = ERR_INIT };
	struct watched watched = { .interrupt = job->fds[STEP_FD_INTERRUPT], .grace_ms = args->spec->grace_ms,
		.watch = args->spec->network == STEP_NETWORK_PRIVATE ? job->fds[STEP_FD_WATCH] : -1 };
	int reports[2], alive[2];

	memcpy(args->stdio, job->fds, sizeof(args->stdio));
	if (pipe2(reports, O_CLOEXEC) < 0 || pipe2(alive, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	args->report = reports[1];
	args->supervisor = alive[0];
	*ret_pid = clone_init(cgroup_fd(job, args->spec));
	if (*ret_pid < 0) {
		err_sys(err, "cannot create the namespaces of the step%s",
			args->spec->in_cgroup ? " in its cgroup (whittle and the steps have to be below one delegated cgroup)" :
						"");
		err->kind = ERR_SANDBOX;
		return -1;
	}
	if (*ret_pid == 0) {
		close_fd(alive[1]);
		close_fd(job->sock);
		init_main(args);
	}
	close_fd(reports[1]);
	for (int i = 0; i < 3; i++)
		close_fd(job->fds[i]); /* the reader of a log pipe waits for the last writer */
	watched.init = *ret_pid;
	watched.report = reports[0];
	if (await_report(&watched, &report, err) < 0)
		return -1;
	*ret = report.result;
	return 0;
}

int step_run(struct job *job, step_after after, struct err *err)
{
	struct step_spec spec = STEP_SPEC_INIT;
	struct init_args args = { .spec = &spec, .policy = *job->state, .isolation = job->idmap->mode };
	auto_fd int store = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_strbuf reply = STRBUF_INIT;
	struct step_result result = { 0 };
	struct wire payload;
	size_t wanted;
	pid_t pid = -1;

	wire_init(&payload, job->payload, job->len);
	if (spec_get(&payload, &spec, err) < 0)
		return -1;
	wanted = STEP_FD_NETNS + (spec.network == STEP_NETWORK_PRIVATE ? 2 : 0) + (spec.in_cgroup ? 1 : 0);
	if (job->nfds != wanted)
		return err_set(err, ERR_SYSTEM, "a step needs %zu descriptors, got %zu", wanted, job->nfds);
	if (network_enter(spec.network, spec.network == STEP_NETWORK_PRIVATE ? job->fds[STEP_FD_NETNS] : -1, err) < 0)
		return -1;
	args.rootfd = make_tree(&spec, err);
	if (args.rootfd < 0 || run_init(job, &args, &pid, &result, err) < 0)
		return -1;
	result_put(&result, &reply);
	if (after && result.status == 0) {
		if (store < 0 || fchdir(store) < 0)
			return err_sys(err, "cannot go back to the store");
		if (after(&payload, &reply, err) < 0)
			return -1;
	}
	if (job_reply(job, &reply, err) < 0)
		return -1;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	step_spec_release(&spec);
	return 0;
}
