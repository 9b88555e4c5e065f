#include "sandbox/step.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "sandbox/devices.h"
#include "sandbox/init.h"
#include "sandbox/mounts.h"
#include "sandbox/policy.h"
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
}

static int spec_get(struct wire *w, struct step_spec *spec, struct err *err)
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
	if (w->bad || spec->argv.len == 0)
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
	return mount_attach_in_root(clone, rootfd, target, err);
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

static int mount_sys(int rootfd, struct err *err)
{
	auto_fd int sys = mount_clone(AT_FDCWD, "/sys", true,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);

	return sys < 0 ? -1 : mount_attach_in_root(sys, rootfd, "sys", err);
}

/* Everything that needs no namespace of the step's own but that for mounts. */
static int make_tree(const struct step_spec *spec, struct root *root, struct err *err)
{
	if (root_open(root, spec->storage, &spec->lowers, spec->upper, spec->work, step_targets, err) < 0)
		return -1;
	return devices_mount(root->fd, err) < 0 || mount_etc(spec, root->fd, err) < 0 || mount_sys(root->fd, err) < 0 ?
		       -1 : 0;
}

static pid_t clone_init(enum step_network network)
{
	unsigned long flags = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | SIGCHLD;

	if (network == STEP_NETWORK_NONE)
		flags |= CLONE_NEWNET;
	return (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, 0);
}

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

/* Start init and wait until it has reported. */
static int run_init(struct job *job, struct init_args *args, pid_t *ret_pid, struct step_result *ret, struct err *err)
{
	struct init_report report = { .err = ERR_INIT };
	int reports[2], alive[2];

	memcpy(args->stdio, job->fds, sizeof(args->stdio));
	if (pipe2(reports, O_CLOEXEC) < 0 || pipe2(alive, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	args->report = reports[1];
	args->supervisor = alive[0];
	*ret_pid = clone_init(args->spec->network);
	if (*ret_pid < 0)
		return err_sys(err, "cannot create the namespaces of the step");
	if (*ret_pid == 0) {
		close_fd(alive[1]);
		close_fd(job->sock);
		init_main(args);
	}
	close_fd(reports[1]);
	for (int i = 0; i < 3; i++)
		close_fd(job->fds[i]); /* the reader of a log pipe waits for the last writer */
	if (await_report(reports[0], *ret_pid, &report, err) < 0)
		return -1;
	*ret = report.result;
	return 0;
}

/* The namespaces of the step are gone with its init once that has been waited for. */
static void await_init(pid_t *pid)
{
	while (*pid > 0 && waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	*pid = -1;
}

/* The program succeeded and somebody wants what it wrote. */
static int finish(struct root *root, int store, pid_t *pid, step_after after, struct wire *rest, struct strbuf *reply,
	struct err *err)
{
	if (store < 0)
		return err_set(err, ERR_SYSTEM, "cannot go back to the store");
	if (root->storage != STORAGE_OVERLAY)
		await_init(pid);
	return root_finish(root, store, err) < 0 ? -1 : after(rest, reply, err);
}

static int run(struct job *job, const struct step_spec *spec, struct root *root, step_after after, struct wire *rest,
	struct err *err)
{
	struct init_args args = { .spec = spec, .policy = *job->state, .isolation = job->idmap->mode };
	auto_fd int store = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_strbuf reply = STRBUF_INIT;
	struct step_result result = { 0 };
	pid_t pid = -1;

	if (make_tree(spec, root, err) < 0)
		return -1;
	args.rootfd = root->fd;
	if (run_init(job, &args, &pid, &result, err) < 0)
		return -1;
	result_put(&result, &reply);
	if (after && result.status == 0 && !wire_done(rest) &&
		finish(root, store, &pid, after, rest, &reply, err) < 0)
		return -1;
	if (job_reply(job, &reply, err) < 0)
		return -1;
	await_init(&pid);
	return 0;
}

int step_run(struct job *job, step_after after, struct err *err)
{
	struct step_spec spec = STEP_SPEC_INIT;
	struct root root = ROOT_INIT;
	struct wire payload;
	int rc;

	if (job->nfds != 3)
		return err_set(err, ERR_SYSTEM, "a step needs 3 descriptors, got %zu", job->nfds);
	wire_init(&payload, job->payload, job->len);
	if (spec_get(&payload, &spec, err) < 0)
		return -1;
	rc = run(job, &spec, &root, after, &payload, err);
	root_release(&root);
	step_spec_release(&spec);
	return rc;
}
