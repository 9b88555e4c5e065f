#include "sandbox/step.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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
#include "sandbox/diagnose.h"
#include "sandbox/init.h"
#include "sandbox/mounts.h"
#include "sandbox/owner.h"
#include "sandbox/owner_gate.h"
#include "sandbox/policy.h"
#include "sandbox/ready.h"
#include "sandbox/refusal.h"
#include "sandbox/root.h"

void step_spec_put(const struct step_spec *spec, struct strbuf *p)
{
	wire_put_strv(p, &spec->lowers);
	wire_put_str(p, spec->upper);
	wire_put_str(p, spec->work);
	wire_put_u64(p, spec->storage);
	wire_put_strv(p, &spec->argv);
	wire_put_strv(p, &spec->env);
	wire_put_str(p, spec->cwd);
	wire_put_str(p, spec->user);
	wire_put_str(p, spec->hostname);
	wire_put_str(p, spec->hosts);
	wire_put_str(p, spec->resolv_conf);
	wire_put_u64(p, spec->network);
	wire_put_u64(p, spec->no_new_privs);
	step_mounts_put(&spec->mounts, p);
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

int step_spec_get(struct wire *w, struct step_spec *spec, struct err *err)
{
	wire_get_strv(w, &spec->lowers);
	spec->upper = wire_get_str(w);
	spec->work = wire_get_str(w);
	spec->storage = (enum storage)wire_get_u64(w);
	wire_get_strv(w, &spec->argv);
	wire_get_strv(w, &spec->env);
	spec->cwd = wire_get_str(w);
	spec->user = wire_get_str(w);
	spec->hostname = wire_get_str(w);
	spec->hosts = wire_get_str(w);
	spec->resolv_conf = wire_get_str(w);
	spec->network = (enum step_network)wire_get_u64(w);
	spec->no_new_privs = wire_get_u64(w) != 0;
	step_mounts_get(w, &spec->mounts);
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
	step_mounts_release(&spec->mounts);
	memset(spec, 0, sizeof(*spec));
}

static void result_put(const struct step_result *r, struct strbuf *p)
{
	wire_put_u64(p, (uint64_t)r->status);
	wire_put_u64(p, r->killed);
	wire_put_u64(p, r->user_us);
	wire_put_u64(p, r->system_us);
	wire_put_u64(p, r->maxrss_kib);
	wire_put_u64(p, r->flat);
}

int step_result_get(struct wire *reply, struct step_result *ret, struct err *err)
{
	ret->status = (int)wire_get_u64(reply);
	ret->killed = wire_get_u64(reply) != 0;
	ret->user_us = wire_get_u64(reply);
	ret->system_us = wire_get_u64(reply);
	ret->maxrss_kib = wire_get_u64(reply);
	ret->flat = wire_get_u64(reply) != 0;
	return reply->bad ? err_set(err, ERR_SYSTEM, "a step answered too little") : 0;
}

/* What is the same for every step of a build. */
struct step_programs {
	struct policy_program *policy;
	struct owner_filter *spill, *full;
};

int step_prepare(struct job *job, struct err *err)
{
	struct policy_program *policy;
	struct step_programs *p;
	uint32_t ids = idmap_ids(job->idmap);

	if (*job->state)
		return 0;
	policy = policy_compile(err);
	if (!policy)
		return diagnose(DIAGNOSE_FILTER, NULL, err);
	p = xcalloc(1, sizeof(*p));
	p->policy = policy;
	p->spill = owner_filter_new(OWNER_SPILL, ids);
	p->full = owner_filter_new(OWNER_FULL, ids);
	*job->state = p;
	return 0;
}

/* Of a worker that waited. */
static struct ready ready = READY_INIT;

void step_stand_by(void)
{
	ready_make(&ready);
}

/* One step, as its supervisor sees it. */
struct supervised {
	struct job *job;
	const struct step_hooks *hooks;
	struct step_spec spec;
	struct user user;
	struct owner *owner;
	struct step_mounting mounting;
	struct root root;
	struct stat store;
	int procfd; /* /proc of the host */
	struct init_args args;
};

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

/* An image that preloads something of its own keeps it, and does without the accelerator. */
static int mount_preload(int tmpfs, int rootfd, struct err *err)
{
	auto_fd int have = open_in_root(rootfd, OWNER_PRELOAD, O_PATH | O_NOFOLLOW, 0);
	struct stat st;

	if (have < 0 || fstat(have, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 0)
		return 0;
	return mount_file(tmpfs, "ld.so.preload", owner_gate_preload, rootfd, err);
}

static int mount_etc(const struct step_spec *spec, bool gate, int rootfd, struct err *err)
{
	static const struct mount_option options[] = { { "mode", "0755" }, { "size", "1m" },
		{ "nr_inodes", "16" }, { NULL, NULL } };
	auto_fd int tmpfs = mount_new("tmpfs", options, 0, err);
	auto_fd int place = open_in_root(rootfd, STEP_FILES, O_PATH | O_DIRECTORY, 0);

	if (tmpfs < 0)
		return -1;
	/*
	 * Binds can only be cloned from an attached mount. It stays where init will cover it with the message queues:
	 * taking it off again would wait for an RCU grace period.
	 */
	if (place < 0)
		return err_sys(err, "cannot open /" STEP_FILES " of the step");
	if (mkdirat(tmpfs, STEP_EMPTY, 0555) < 0)
		return err_sys(err, "cannot create a folder for the step");
	if (mount_attach(tmpfs, place, "files of the step", err) < 0 ||
		mount_file(tmpfs, "hosts", spec->hosts, rootfd, err) < 0 ||
		(gate && mount_preload(tmpfs, rootfd, err) < 0))
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
	return sys < 0 ? -1 : mount_attach_on_folder(sys, rootfd, "sys", err);
}

/* Everything that needs no namespace of the step's own but that for mounts. */
static int make_tree(struct supervised *s, bool gate, struct err *err)
{
	struct step_spec *spec = &s->spec;
	int root;

	/* What the mounts need for a moment is attached in a namespace that nobody else sees; then comes the step's. */
	if (spec->mounts.len && root_new_namespace(err) < 0)
		return -1;
	if (step_mounts_make(&s->mounting, &spec->env, err) < 0 ||
		step_mounts_stub(&s->mounting, &spec->lowers, err) < 0 ||
		root_open(&s->root, spec->storage, &spec->lowers, gate ? ROOT_GATE_STUB : ROOT_STUB, spec->upper, spec->work,
			err) < 0)
		return -1;
	root = s->args.rootfd = s->root.fd;
	if (devices_mount(root, spec->shm_size == STEP_SHM_SIZE ? ready.dev : -1, spec->shm_size, err) < 0 || mount_etc(spec, gate, root, err) < 0 ||
		mount_sys(spec->network, root, err) < 0)
		return diagnose(DIAGNOSE_MOUNT, NULL, err);
	return step_mounts_attach(&s->mounting, root, err);
}

/* ---- recorded ownership ---- */

/*
 * What the build's ids cannot say is recorded (owner.h). With one id that is everything; else device nodes and ids
 * beyond the map alone, unless a layer below records some or the step runs as such a user: then steps must see it too.
 */
static enum owner_level choose_level(const struct supervised *s, uint32_t ids)
{
	const struct step_hooks *h = s->hooks;

	if (ids < IDMAP_WANTED_IDS || s->user.uid >= ids || (h->records && h->records(h->ctx, ids)))
		return OWNER_FULL;
	for (size_t i = 0; i < s->user.ngroups; i++)
		if (s->user.groups[i] >= ids)
			return OWNER_FULL;
	return OWNER_SPILL;
}

static int prepare_owner(struct supervised *s, bool gate, struct err *err)
{
	const struct step_programs *programs = *s->job->state;
	struct owner_options o = { .ids = idmap_ids(s->job->idmap), .rootfd = s->args.rootfd,
		.store_dev = s->store.st_dev, .gate = gate,
		.unmarked = step_mounts_may_have_records(&s->spec.mounts) };

	if (user_resolve(o.rootfd, s->spec.user, &s->user, err) < 0)
		return -1;
	s->args.virtual_ids = choose_level(s, o.ids) == OWNER_FULL;
	o.filter = s->args.virtual_ids ? programs->full : programs->spill;
	s->args.filter = o.filter;
	s->args.ids = o.ids;
	s->owner = owner_new(&o, err);
	if (!s->owner)
		return -1;
	if (s->args.virtual_ids && s->hooks->note)
		return s->hooks->note(s->hooks->ctx, s->owner, o.rootfd, err);
	return 0;
}

/* The program says hello once its filter is in place; nothing comes when it fails before. */
static int greet(struct supervised *s, int sock, struct err *err)
{
	int rc = owner_accept(s->owner, sock, err);

	return rc <= 0 ? rc : owner_start(s->owner, s->procfd, err);
}

static void kill_init(pid_t init)
{
	kill(init, SIGKILL); /* the kernel takes everything in its pid namespace along, stopped or not */
	while (waitpid(init, NULL, 0) < 0 && errno == EINTR)
		;
}

/* What the supervisor waits for while the program runs. */
enum watched {
	WATCH_REPORT,    /* of init */
	WATCH_GREETING,  /* of the program: owner_install() */
	WATCH_QUESTIONS, /* owner_fd() */
	WATCH_INTERRUPT, /* STEP_FD_INTERRUPT */
	WATCH_HELPER,    /* STEP_FD_WATCH */
	WATCH_COUNT,
};

/* Owners: the greeting, and the questions that no thread answers. */
static int attend_owner(struct supervised *s, struct pollfd p[WATCH_COUNT], struct err *err)
{
	if (p[WATCH_GREETING].revents) {
		if (greet(s, p[WATCH_GREETING].fd, err) < 0)
			return -1;
		p[WATCH_GREETING].fd = -1;
		p[WATCH_QUESTIONS].fd = owner_fd(s->owner);
	}
	if (p[WATCH_QUESTIONS].revents & POLLIN) {
		owner_answer_one(s->owner);
		p[WATCH_QUESTIONS].fd = owner_fd(s->owner);
	} else if (p[WATCH_QUESTIONS].revents) {
		p[WATCH_QUESTIONS].fd = -1; /* no process is left that could ask */
	}
	return 0;
}

/* Returns 0 when init has reported or died; -1 and *err when the step had to be ended. */
static int attend(struct supervised *s, pid_t init, int report, int greeting, struct err *err)
{
	struct pollfd p[WATCH_COUNT] = { { .fd = report }, { .fd = greeting }, { .fd = -1 },
		{ .fd = s->job->fds[STEP_FD_INTERRUPT] },
		{ .fd = s->spec.network == STEP_NETWORK_PRIVATE ? s->job->fds[STEP_FD_WATCH] : -1 } };
	uint64_t deadline = 0;

	for (int i = 0; i < WATCH_COUNT; i++)
		p[i].events = POLLIN;
	while (!p[WATCH_REPORT].revents) {
		uint64_t now = deadline ? clock_mono_ns() : 0;

		if (deadline && now >= deadline)
			break;
		if (poll(p, WATCH_COUNT, deadline ? (int)((deadline - now) / 1000000) + 1 : -1) < 0) {
			if (errno != EINTR)
				return err_sys(err, "cannot wait for the step");
			continue;
		}
		if (attend_owner(s, p, err) < 0)
			return -1;
		if (p[WATCH_HELPER].revents && network_check(p[WATCH_HELPER].fd, err) < 0) {
			kill_init(init);
			return -1;
		}
		if (p[WATCH_INTERRUPT].revents && !deadline) {
			kill(init, SIGTERM); /* which init hands on to the program */
			p[WATCH_INTERRUPT].fd = -1;
			deadline = clock_mono_ns() + s->spec.grace_ms * 1000000ull;
		}
	}
	if (!deadline)
		return 0;
	kill_init(init);
	return err_set(err, ERR_CANCELLED, "interrupted");
}

/* ---- init ---- */

static int await_report(int fd, pid_t pid, struct init_report *report, struct err *err)
{
	int status = 0;

	if (read_full(fd, report, sizeof(*report)) == (ssize_t)sizeof(*report)) {
		if (report->err.kind == ERR_NONE)
			return 0;
		*err = report->err;
		return -1;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
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
	return spec->in_cgroup ? job->fds[step_fds(spec) - 1] : -1;
}

/* A waiting one cannot note the owner of a working folder that it makes, nor change its cgroup. */
static bool can_use_ready(const struct supervised *s)
{
	auto_fd int cwd = -1;

	if (ready.init < 0 || s->spec.in_cgroup)
		return false;
	if (s->user.uid == 0)
		return true;
	cwd = open_in_root(s->root.fd, s->spec.cwd, O_PATH | O_DIRECTORY, 0);
	return cwd >= 0;
}

/* Init begins, be it one that waited. In the child it does not return. */
static pid_t start_init(struct supervised *s, int alive)
{
	struct job *job = s->job;
	pid_t pid = -1;

	if (can_use_ready(s))
		pid = ready_start(&ready, &s->args, s->procfd);
	ready_drop(&ready);
	if (pid < 0)
		pid = init_clone(cgroup_fd(job, &s->spec));
	if (pid == 0) {
		close_fd(alive);
		close_fd(job->sock);
		init_main(&s->args);
	}
	return pid;
}

/* Start init and wait until it has reported. */
static int run_init(struct supervised *s, pid_t *ret_pid, struct step_result *ret, struct err *err)
{
	struct init_report report = { .err = ERR_INIT };
	struct init_args *args = &s->args;
	int reports[2], alive[2], greeting[2], rc;

	memcpy(args->stdio, s->job->fds, sizeof(args->stdio));
	if (pipe2(reports, O_CLOEXEC) < 0 || pipe2(alive, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, greeting) < 0)
		return err_sys(err, "cannot make a socket pair");
	args->report = reports[1];
	args->supervisor = alive[0];
	args->listener = greeting[1];
	*ret_pid = start_init(s, alive[1]);
	if (*ret_pid < 0) {
		err_sys(err, "cannot create the namespaces of the step%s",
			args->spec->in_cgroup ? " in its cgroup (whittle and the steps have to be below one delegated cgroup)" :
						"");
		err->kind = ERR_SANDBOX; /* as in make_tree() */
		refusal(err, "clone");
		return diagnose(DIAGNOSE_NAMESPACES, NULL, err);
	}
	close_fd(reports[1]);
	close_fd(greeting[1]);
	for (int i = 0; i < 3; i++)
		close_fd(s->job->fds[i]); /* the reader of a log pipe waits for the last writer */
	rc = attend(s, *ret_pid, reports[0], greeting[0], err);
	if (rc == 0)
		rc = await_report(reports[0], *ret_pid, &report, err);
	owner_stop(s->owner);
	close_fd(greeting[0]);
	if (rc < 0)
		return -1;
	*ret = report.result;
	ret->flat = owner_is_flat(s->owner);
	return 0;
}

size_t step_fds(const struct step_spec *spec)
{
	return STEP_FD_NETNS + (spec->network == STEP_NETWORK_PRIVATE ? 2 : 0) + (spec->in_cgroup ? 1 : 0);
}

/* Everything before the namespaces of the step. */
static int set_up(struct supervised *s, struct wire *payload, int store, struct err *err)
{
	const struct step_hooks *h = s->hooks;
	bool gate;

	if (step_spec_get(payload, &s->spec, err) < 0)
		return -1;
	if (h->read && h->read(h->ctx, payload, err) < 0)
		return -1;
	s->mounting = (struct step_mounting)STEP_MOUNTING_INIT;
	s->root = (struct root)ROOT_INIT;
	s->mounting.mounts = &s->spec.mounts;
	s->mounting.isolation = s->job->idmap->mode;
	if (s->job->nfds < step_fds(&s->spec))
		return err_set(err, ERR_SYSTEM, "a step needs %zu descriptors, got %zu", step_fds(&s->spec), s->job->nfds);
	s->mounting.fds = s->job->fds + step_fds(&s->spec);
	s->mounting.nfds = s->job->nfds - step_fds(&s->spec);
	s->procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->procfd < 0 || store < 0 || fstat(store, &s->store) < 0)
		return err_sys(err, "cannot open /proc or the store");
	if (network_enter(s->spec.network,
		    s->spec.network == STEP_NETWORK_PRIVATE ? s->job->fds[STEP_FD_NETNS] : -1, err) < 0)
		return -1;
	gate = idmap_ids(s->job->idmap) == 1 && owner_has_loader(&s->spec.lowers);
	return make_tree(s, gate, err) < 0 ? -1 : prepare_owner(s, gate, err);
}

/* The namespaces of the step are gone with its init once that has been waited for. */
static void await_init(pid_t *pid)
{
	while (*pid > 0 && waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	*pid = -1;
}

/* The program succeeded and somebody wants what it wrote. */
static int finish(struct supervised *s, int store, pid_t *pid, struct strbuf *reply, struct err *err)
{
	const struct step_hooks *h = s->hooks;

	if (s->root.storage != STORAGE_OVERLAY)
		await_init(pid);
	if (root_finish(&s->root, store, err) < 0)
		return -1;
	if (s->root.storage != STORAGE_OVERLAY)
		owner_look_in(s->owner, s->spec.upper);
	return h->after(h->ctx, s->owner, &s->mounting.stubs, reply, err);
}

int step_run(struct job *job, const struct step_hooks *hooks, struct err *err)
{
	static const struct step_hooks none;
	static struct supervised s; /* 6 KiB, once per process */
	auto_fd int store = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_strbuf reply = STRBUF_INIT;
	struct step_result result = { 0 };
	struct wire payload;
	pid_t pid = -1;

	s.job = job;
	s.hooks = hooks ? hooks : &none;
	s.args = (struct init_args)INIT_ARGS_INIT;
	s.args.spec = &s.spec;
	s.args.policy = ((const struct step_programs *)*job->state)->policy;
	wire_init(&payload, job->payload, job->len);
	if (set_up(&s, &payload, store, err) < 0)
		return -1;
	s.args.user = &s.user;
	s.args.owner = s.owner;
	if (run_init(&s, &pid, &result, err) < 0)
		return -1;
	result_put(&result, &reply);
	step_mounts_clean(&s.spec.mounts, store);
	if (result.status == 0 && s.hooks->after && finish(&s, store, &pid, &reply, err) < 0)
		return -1;
	if (job_reply(job, &reply, err) < 0)
		return -1;
	await_init(&pid);
	owner_free(s.owner);
	root_release(&s.root);
	step_mounting_release(&s.mounting);
	step_spec_release(&s.spec);
	return 0;
}
