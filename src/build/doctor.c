#include "build/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "arch/arch.h"
#include "arch/trial.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "build/doctor_internal.h"
#include "cross/binfmt.h"
#include "cross/qemu.h"
#include "registry/ping.h"
#include "sandbox/holder.h"
#include "sandbox/probe.h"
#include "sandbox/root.h"
#include "sandbox/rootfs.h"
#include "sandbox/step.h"
#include "store/store.h"

#define PING_SECONDS 10
#define WITHOUT_SUBID                                                                              \
	"steps have this user's id alone; who owns which file is recorded beside the files"
#define WITHOUT_EMULATION "no RUN step for this platform; COPY and the rest of a Dockerfile work"

enum { JOB_TRIAL, JOB_PROBE, JOB_BINFMT };

static int run_trial(struct job *job, struct err *err)
{
	return step_run(job, NULL, err);
}

static const struct job_def jobs[] = {
	[JOB_TRIAL] = { .name = "trial step", .run = run_trial, .prepare = step_prepare },
	[JOB_PROBE] = { .name = "probe", .run = probe_inside_run },
	[JOB_BINFMT] = { .name = "emulate", .run = binfmt_run, .in_holder = true },
};

/* What the checks share. */
struct doctor {
	const struct doctor_options *options;
	struct doctor_report *report;
	struct store *store;
	struct holder *holder;
	char *folder; /* a temporary one of the store, relative to it */
	enum storage storage; /* that a step is tried on */
};

/* ---- the report ---- */

static struct check *add(struct doctor_report *r, const char *name, enum check_state state, const char *without)
{
	GROW(r->checks, r->n, r->cap);
	r->checks[r->n] = (struct check){ .state = state, .without = state == CHECK_OK ? NULL : without };
	snprintf(r->checks[r->n].name, CHECK_NAME_SIZE, "%s", name);
	return &r->checks[r->n++];
}

static void set_mend(struct check *c, enum mend mend, const char *detail)
{
	auto_strbuf text = STRBUF_INIT;

	if (mend == MEND_NONE)
		return;
	c->is_command = mend_format(mend, detail, &text);
	c->mend = strbuf_take(&text);
}

void doctor_add(struct doctor_report *r, const char *name, enum check_state state, const char *without,
	enum mend mend, const char *fmt, ...)
{
	struct check *c = add(r, name, state, without);
	auto_strbuf text = STRBUF_INIT;
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	strbuf_puts(&text, line);
	c->text = strbuf_take(&text);
	set_mend(c, mend, NULL);
}

void doctor_add_error(struct doctor_report *r, const char *name, enum check_state state, const char *without,
	const struct err *err)
{
	struct check *c = add(r, name, state, without);
	const char *run = strstr(err->msg, MEND_RUN), *advice = strstr(err->msg, MEND_ADVICE);
	const char *end = run ? run : advice;

	if (!end) {
		c->text = xstrdup(err->msg);
		return;
	}
	c->text = xstrndup(err->msg, (size_t)(end - err->msg));
	c->is_command = run != NULL;
	c->mend = xstrdup(end + strlen(run ? MEND_RUN : MEND_ADVICE));
}

void doctor_add_refusal(struct doctor_report *r, const char *name, enum check_state state, const char *without,
	enum diagnose_step step, int sys, const char *text)
{
	struct refusal refusal = { step, sys, NULL, "" };
	struct diagnosis d;

	if (!diagnose_find(&refusal, &d)) {
		doctor_add(r, name, state, without, MEND_NONE, "%s: %s", text, strerror(sys));
		return;
	}
	doctor_add(r, name, state, without, MEND_NONE, "%s: %s", text, d.cause);
	set_mend(&r->checks[r->n - 1], d.mend, d.detail);
}

void doctor_report_release(struct doctor_report *report)
{
	for (size_t i = 0; i < report->n; i++) {
		free(report->checks[i].text);
		free(report->checks[i].mend);
	}
	free(report->checks);
	memset(report, 0, sizeof(*report));
}

/* ---- the sandbox ---- */

static void check_kernel(struct doctor_report *r)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	bool old;

	uname(&u);
	sscanf(u.release, "%u.%u", &major, &minor);
	old = major < 5 || (major == 5 && minor < 12);
	if (old)
		doctor_add(r, "kernel", CHECK_MISSING, NULL, MEND_NONE, "Linux %s; 5.12 is needed", u.release);
	else
		doctor_add(r, "kernel", CHECK_OK, NULL, MEND_NONE, "Linux %s, %s", u.release, u.version);
}

static void check_subid(struct doctor *d)
{
	struct idmap map;
	struct err err = ERR_INIT;
	uint64_t uids = 0, gids = 0;

	if (geteuid() == 0 && idmap_choose(ISOLATION_DIRECT, &map, &err) == 0) {
		doctor_add(d->report, "subordinate ids", CHECK_OK, NULL, MEND_NONE,
			"not needed: this is root of a namespace with all ids");
		return;
	}
	if (probe_subid(&map, &err) < 0) {
		doctor_add_error(d->report, "subordinate ids", CHECK_LIMITED, WITHOUT_SUBID, &err);
		return;
	}
	for (size_t i = 0; i < map.nuid; i++)
		uids += map.uid[i].count;
	for (size_t i = 0; i < map.ngid; i++)
		gids += map.gid[i].count;
	if (uids < IDMAP_WANTED_IDS || gids < IDMAP_WANTED_IDS)
		doctor_add(d->report, "subordinate ids", CHECK_LIMITED,
			"images with owners above the end of the range cannot be unpacked", MEND_RANGE,
			"%llu user and %llu group ids are mapped; images expect %d", (unsigned long long)uids,
			(unsigned long long)gids, IDMAP_WANTED_IDS);
	else
		doctor_add(d->report, "subordinate ids", CHECK_OK, NULL, MEND_NONE,
			"newuidmap maps %llu user and %llu group ids", (unsigned long long)uids,
			(unsigned long long)gids);
}

/* The folders that a trial needs, below the temporary folder. */
static int make_folder(struct doctor *d, const char *name, struct err *err)
{
	auto_free char *path = xasprintf("%s/%s", d->folder, name);

	return mkdir_p(store_dirfd(d->store), path, 0755) < 0 ? err_sys(err, "cannot create '%s' in the store", path) : 0;
}

static int put_program(struct doctor *d, const struct arch *a, const char *tag, struct err *err)
{
	auto_free char *path = xasprintf("%s/%s/lower/trial", d->folder, tag);
	uint8_t program[ARCH_TRIAL_SIZE_MAX];
	size_t n = arch_trial_program(a, program);
	auto_fd int fd = openat(store_dirfd(d->store), path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0755);

	if (n == 0)
		return err_set(err, ERR_UNSUPPORTED, "there is no trial program for %s", a->architecture);
	if (fd < 0 || write_all(fd, program, n) < 0)
		return err_sys(err, "cannot write '%s' in the store", path);
	return 0;
}

static void put_step(struct doctor *d, const char *tag, struct strbuf *payload)
{
	struct step_spec spec = STEP_SPEC_INIT;

	strv_take(&spec.lowers, xasprintf("%s/%s/lower", d->folder, tag));
	spec.upper = xasprintf("%s/%s/upper", d->folder, tag);
	spec.work = xasprintf("%s/%s/work", d->folder, tag);
	strv_add(&spec.argv, "/trial");
	strv_add(&spec.env, "PATH=/");
	spec.cwd = xstrdup("/");
	spec.storage = d->storage;
	spec.hostname = xstrdup("whittle");
	spec.hosts = xstrdup("127.0.0.1 localhost\n");
	spec.resolv_conf = xstrdup("");
	step_spec_put(&spec, payload);
	step_spec_release(&spec);
}

/* Run the smallest program of an architecture in a step. tag names its folders. */
static int try_step(struct doctor *d, const struct arch *a, const char *tag, struct err *err)
{
	static const char *const folders[] = { "lower", "upper", "work" };
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int interrupt[2]; /* nobody writes: the program ends at once */
	struct step_result result;
	struct wire w;
	int rc;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		auto_free char *name = xasprintf("%s/%s", tag, folders[i]);

		if (make_folder(d, name, err) < 0)
			return -1;
	}
	if (put_program(d, a, tag, err) < 0)
		return -1;
	put_step(d, tag, &payload);
	if (pipe2(interrupt, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	rc = holder_call(d->holder, JOB_TRIAL, &payload, (int[]){ null, null, null, interrupt[0] }, 4, NULL, NULL, &reply, err);
	close_fd(interrupt[0]);
	close_fd(interrupt[1]);
	if (rc < 0)
		return -1;
	wire_init(&w, reply.buf, reply.len);
	if (step_result_get(&w, &result, err) < 0)
		return -1;
	if (result.status != ARCH_TRIAL_STATUS)
		return err_set(err, ERR_SANDBOX, "the trial program ended with status %d instead of %d", result.status,
			ARCH_TRIAL_STATUS);
	return 0;
}

static int start(struct doctor *d, struct err *err)
{
	struct holder_options o = { .isolation = d->options->isolation, .jobs = jobs,
		.njobs = sizeof(jobs) / sizeof(jobs[0]), .store = store_path(d->store), .argv = d->options->argv };

	if (mkdir_p(store_dirfd(d->store), ROOT_PLACE, 0755) < 0)
		return err_sys(err, "cannot create '%s' in the store", ROOT_PLACE);
	if (rootfs_make_stub(store_dirfd(d->store), ROOT_STUB, false, err) < 0 || store_tmp_new(d->store, &d->folder, err) < 0)
		return -1;
	d->holder = holder_start(&o, err);
	return d->holder ? 0 : -1;
}

static void check_inside(struct doctor *d)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct probe_inside inside;

	d->storage = STORAGE_OVERLAY;
	probe_inside_put(d->folder, &payload);
	if (make_folder(d, "lower", &err) < 0 || make_folder(d, "upper", &err) < 0 ||
		make_folder(d, "work", &err) < 0 ||
		holder_call(d->holder, JOB_PROBE, &payload, NULL, 0, NULL, NULL, &reply, &err) < 0 ||
		reply.len != sizeof(inside)) {
		doctor_add_error(d->report, "overlay", CHECK_MISSING, NULL, &err);
		return;
	}
	memcpy(&inside, reply.buf, sizeof(inside));
	if (inside.overlay.kind == ERR_NONE)
		doctor_add(d->report, "overlay", CHECK_OK, NULL, MEND_NONE, "the kernel's own works in the store");
	else
		doctor_add_error(d->report, "overlay", CHECK_LIMITED,
			"root file systems of steps come from fuse-overlayfs where it works, else they are copied",
			&inside.overlay);
	if (inside.overlay.kind != ERR_NONE && !storage_overlay_known(store_dirfd(d->store), holder_idmap(d->holder)->mode))
		d->storage = STORAGE_COPY;
	if (inside.proc_fork)
		doctor_add_refusal(d->report, "/proc of a step", CHECK_MISSING, NULL, DIAGNOSE_NAMESPACES,
			inside.proc_fork, "no pid namespace");
	else if (inside.proc)
		doctor_add_refusal(d->report, "/proc of a step", CHECK_LIMITED,
			"steps see the outer /proc, read-only and with foreign process numbers", DIAGNOSE_PROC,
			inside.proc, "no fresh one");
	else
		doctor_add(d->report, "/proc of a step", CHECK_OK, NULL, MEND_NONE, "a fresh one is allowed");
}

static void check_step(struct doctor *d)
{
	uint64_t began = clock_mono_ns();
	struct err *err = &d->report->refusal;

	if (try_step(d, arch_host(), "step", err) < 0) {
		doctor_add_error(d->report, "a step", CHECK_MISSING, NULL, err);
		return;
	}
	doctor_add(d->report, "a step", CHECK_OK, NULL, MEND_NONE, "ran with isolation '%s' in %.1f ms",
		isolation_name(holder_idmap(d->holder)->mode), (double)(clock_mono_ns() - began) / 1e6);
}

static void *do_nothing(void *arg)
{
	return arg;
}

/* What a build does next: the log of a step has a thread of its own. */
static void check_threads(struct doctor *d)
{
	struct err *err = &d->report->refusal;
	pthread_t thread;

	errno = pthread_create(&thread, NULL, do_nothing, NULL);
	if (errno == 0) {
		pthread_join(thread, NULL);
		return;
	}
	err_sys(err, "cannot start a thread");
	diagnose(DIAGNOSE_THREAD, NULL, err);
	doctor_add_error(d->report, "threads", CHECK_MISSING, NULL, err);
}

/* Store, namespaces, overlay, a whole step: what a build cannot do without. */
static void check_sandbox(struct doctor *d)
{
	struct err *err = &d->report->refusal;
	auto_free char *root = d->options->root ? xstrdup(d->options->root) : store_default_root(err);

	d->store = root ? store_open(root, err) : NULL;
	if (!d->store) {
		doctor_add_error(d->report, "store", CHECK_MISSING, NULL, err);
		return;
	}
	if (start(d, err) < 0) {
		doctor_add_error(d->report, "user namespaces", CHECK_MISSING, NULL, err);
	} else {
		doctor_add(d->report, "user namespaces", CHECK_OK, NULL, MEND_NONE, "can be created and mapped");
		check_subid(d);
		check_inside(d);
		check_step(d);
		if (d->report->refusal.kind == ERR_NONE)
			check_threads(d);
	}
	doctor_store(d->report, store_path(d->store));
}

/* ---- other platforms ---- */

static int try_emulated(struct doctor *d, const struct arch *a, const char *qemu, const char *tag, struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;

	binfmt_put(a, qemu, &payload);
	if (holder_call(d->holder, JOB_BINFMT, &payload, NULL, 0, NULL, NULL, NULL, err) < 0)
		return -1;
	return try_step(d, a, tag, err);
}

static void check_platform(struct doctor *d, const struct arch *a, const char *name)
{
	bool native = arch_host_runs(a);
	auto_free char *tag = xasprintf("%s%s", a->architecture, a->variant);
	auto_free char *qemu = NULL;
	struct err err = ERR_INIT;

	if (!native) {
		qemu = qemu_find(a, &err);
		if (!qemu) {
			doctor_add(d->report, name, CHECK_MISSING, WITHOUT_EMULATION, MEND_NONE,
				"needs an emulator, and no qemu-user for it is installed");
			set_mend(&d->report->checks[d->report->n - 1], MEND_QEMU, a->uname_machine);
			return;
		}
	}
	if ((native ? try_step(d, a, tag, &err) : try_emulated(d, a, qemu, tag, &err)) < 0)
		doctor_add_error(d->report, name, CHECK_MISSING, WITHOUT_EMULATION, &err);
	else
		doctor_add(d->report, name, CHECK_OK, NULL, MEND_NONE, "%s", native ? "native" : qemu);
}

static void check_platforms(struct doctor *d)
{
	const struct arch *a;

	if (d->report->refusal.kind != ERR_NONE) {
		doctor_add(d->report, "platforms", CHECK_MISSING, NULL, MEND_NONE, "not tried, since no step runs here");
		return;
	}
	for (size_t i = 0; (a = arch_at(i)); i++) {
		auto_free char *name = xasprintf("linux/%s%s%s", a->architecture, *a->variant ? "/" : "", a->variant);

		check_platform(d, a, name);
	}
}

/* ---- all ---- */

static void check_registry(struct doctor *d)
{
	const char *host = d->options->registry;
	struct err err = ERR_INIT;

	if (!host)
		return;
	if (d->options->offline)
		doctor_add(d->report, "registry", CHECK_LIMITED, "images of the store, and oci-layout and oci-archive work",
			MEND_NONE, "'%s' was not asked: --offline", host);
	else if (registry_ping(host, d->options->insecure, PING_SECONDS, &err) < 0)
		doctor_add_error(d->report, "registry", CHECK_MISSING,
			"images of the store, and oci-layout and oci-archive work", &err);
	else
		doctor_add(d->report, "registry", CHECK_OK, NULL, MEND_NONE, "'%s' answers", host);
}

void doctor_run(const struct doctor_options *options, struct doctor_report *ret)
{
	struct doctor d = { .options = options, .report = ret };
	struct err ignored = ERR_INIT;

	memset(ret, 0, sizeof(*ret));
	check_kernel(ret);
	check_sandbox(&d);
	check_platforms(&d);
	doctor_host(ret);
	check_registry(&d);
	holder_free(d.holder);
	if (d.folder)
		store_tmp_drop(d.store, d.folder, &ignored);
	free(d.folder);
	store_close(d.store);
}
