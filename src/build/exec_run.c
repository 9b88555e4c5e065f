#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/exec_mounts.h"
#include "build/jobs.h"
#include "build/solve.h"
#include "build/step_host.h"
#include "cross/qemu.h"
#include "dockerfile/chars.h"
#include "sandbox/diagnose.h"
#include "sandbox/landlock.h"
#include "store/snapshot.h"

/* Bytes of a message for the quoted command of a step: what happened to it stands behind, and must fit. */
#define COMMAND_MAX 1500

/* The log of one step: a thread hands it on while the step runs, and keeps its end. */
struct log_reader {
	struct progress *progress;
	unsigned vertex;
	int fd;
	struct strbuf tail;
};

static void keep_tail(struct strbuf *tail, const char *data, size_t n)
{
	strbuf_add(tail, data, n);
	if (tail->len > 2 * STEP_LOG_TAIL) {
		size_t drop = tail->len - STEP_LOG_TAIL;

		memmove(tail->buf, tail->buf + drop, STEP_LOG_TAIL);
		strbuf_setlen(tail, STEP_LOG_TAIL);
	}
}

static void *read_log(void *arg)
{
	struct log_reader *l = arg;
	auto_uninitialized char buf[16384];

	for (;;) {
		ssize_t n = read(l->fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		progress_emit(l->progress, PROGRESS_LOG, l->vertex, buf, (size_t)n);
		keep_tail(&l->tail, buf, (size_t)n);
	}
}

/* How often the kernel has killed for memory since it started: the only trace without a cgroup of our own. */
static uint64_t oom_kills(void)
{
	auto_strbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	const char *at;

	if (read_file(AT_FDCWD, "/proc/vmstat", 1 << 16, &text, &ignored) < 0)
		return 0;
	at = strstr(text.buf, "\noom_kill ");
	return at ? strtoull(at + strlen("\noom_kill "), NULL, 10) : 0;
}

static int step_failed(struct solver *s, const struct op *op, const struct step_result *r, bool oom,
	const struct strbuf *tail, struct err *err)
{
	auto_strbuf command = STRBUF_INIT;
	char quoted[CHARS_QUOTE_SIZE];

	for (size_t i = 0; i < op->step.argv.len; i++)
		strbuf_printf(&command, "%s%s", i ? " " : "", op->step.argv.v[i]);
	chars_quote(quoted, command.buf, command.len);
	if (oom)
		err_set(err, ERR_OOM, "process %.*s was killed: out of memory (exit code %d)", COMMAND_MAX,
			quoted, r->status);
	else if (r->killed)
		err_set(err, ERR_STEP, "process %.*s was killed by signal %d", COMMAND_MAX, quoted, r->status - 128);
	else
		err_set(err, ERR_STEP, "process %.*s did not complete successfully: exit code: %d",
			COMMAND_MAX, quoted, r->status);
	pthread_mutex_lock(&s->lock);
	if (!s->failed) {
		s->result->step_status = r->status;
		free(s->result->step_name);
		s->result->step_name = xstrdup(op->name);
		strbuf_reset(&s->result->step_log);
		strbuf_add(&s->result->step_log, tail->buf, tail->len);
	}
	pthread_mutex_unlock(&s->lock);
	return -1;
}

/* Hand the request to the holder with /dev/null, a log pipe, and what the mounts lend. */
static int call_step(struct solver *s, struct op *op, const struct step_spec *spec, const struct exec_mounts *mounts,
	const struct strbuf *payload, struct strbuf *reply, struct strbuf *tail, bool *ret_oom, struct err *err)
{
	struct log_reader log = { s->session->progress, op->vertex, -1, STRBUF_INIT };
	auto_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int pipefd[2], rc;
	pthread_t thread;

	if (null < 0)
		return err_sys(err, "cannot open /dev/null");
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	log.fd = pipefd[0];
	errno = pthread_create(&thread, NULL, read_log, &log);
	if (errno != 0) {
		close_fd(pipefd[0]);
		close_fd(pipefd[1]);
		err_sys(err, "cannot start a thread");
		return diagnose(DIAGNOSE_THREAD, NULL, err);
	}
	rc = step_host_call(s->session, spec, payload, (int[]){ null, pipefd[1], pipefd[1] }, mounts->fds, mounts->nfds,
		reply, ret_oom, err);
	close_fd(pipefd[1]);
	pthread_join(thread, NULL);
	close_fd(pipefd[0]);
	*tail = log.tail;
	return rc;
}

/* Where the step's supervisor is to write the index of what the program wrote. */
static int put_seal(struct solver *s, const struct snapshot_tmp *tmp, const struct snapchain *below,
	struct strbuf *payload, struct err *err)
{
	auto_strv lower = STRV_INIT;
	auto_free char *folder = xasprintf("%s/fs", tmp->name);
	auto_free char *index = xasprintf("%s/index", tmp->name);
	auto_fd int fd = openat(store_dirfd(s->session->store), index, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, "cannot create '%s' in the store", index);
	snapchain_index_names(below, &lower);
	seal_put(folder, index, &lower, payload);
	return 0;
}

/* A note once per build: told is the solver's. */
static void tell_once(struct solver *s, bool *told, const char *text)
{
	bool before;

	pthread_mutex_lock(&s->lock);
	before = *told;
	*told = true;
	pthread_mutex_unlock(&s->lock);
	if (!before)
		progress_note(s->session->progress, "%s", text);
}

/* What a wall that this kernel lacks lets through. */
static void tell_unscoped(struct solver *s, const struct step_spec *spec)
{
	if (spec->network == STEP_NETWORK_HOST && landlock_abi() < LANDLOCK_ABI_SCOPES)
		tell_once(s, &s->told_unscoped,
			"network: steps can reach abstract Unix sockets of this host's programs, as this kernel has no "
			"Landlock of Linux 6.12 (--network private or none keeps them away)");
}

static int run_and_commit(struct solver *s, struct op *op, const struct snapchain *below,
	const struct exec_mounts *mounts, struct snapshot_tmp *tmp, bool *ret_flat, struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	auto_strbuf tail = STRBUF_INIT;
	struct step_spec spec = op->step; /* borrows its strings, but for the folders */
	auto_free char *upper = xasprintf("%s/fs", tmp->name);
	auto_free char *work = xasprintf("%s/work", tmp->name);
	auto_strv lowers = STRV_INIT;
	struct step_result result;
	struct seal_result sealed;
	uint64_t ooms = oom_kills();
	struct wire w;
	bool oom = false;

	snapchain_folder_names(s->session, below, &lowers);
	spec.lowers = lowers;
	spec.upper = upper;
	spec.work = work;
	if (session_storage(s->session, &spec.storage, err) < 0)
		return -1;
	spec.env = mounts->env;
	spec.mounts = mounts->list;
	if (step_host_fill(s->session, &spec, err) < 0)
		return -1;
	auto_free char *hosts = spec.hosts;
	auto_free char *resolv_conf = spec.resolv_conf;

	tell_unscoped(s, &spec);
	step_spec_put(&spec, &payload);
	if (put_seal(s, tmp, below, &payload, err) < 0 ||
		call_step(s, op, &spec, mounts, &payload, &reply, &tail, &oom, err) < 0)
		return -1;
	wire_init(&w, reply.buf, reply.len);
	if (step_result_get(&w, &result, err) < 0)
		return -1;
	*ret_flat = result.flat;
	/* The files lost their owners; nobody will find them in the cache for it. */
	if (result.flat)
		tell_once(s, &s->told_flat,
			"isolation: owners that steps set are lost (root:root): this process tree is supervised from "
			"outside, and one id is all there is");
	if (result.status != 0)
		return step_failed(s, op, &result, oom || (result.status == 137 && oom_kills() > ooms), &tail, err);
	if (seal_result_get(&w, &sealed, err) < 0)
		return -1;
	tmp->size = sealed.files_size;
	if (snapshot_commit(s->session->store, tmp, SNAPSHOT_FOLDER | SNAPSHOT_INDEX, &op->snapshot, err) < 0)
		return -1;
	snapchain_note_ready(s->session, op->snapshot);
	return 0;
}

/* Under the keys of its definition and of what it was shown. */
static int remember(struct solver *s, struct op *op, struct err *err)
{
	if (!op->nmounts)
		return solve_remember(s, op, NULL, err);
	if (!op->has_mounts_digest && exec_mounts_digest(s, op, op->mounts_digest, err) < 0)
		return -1;
	return solve_remember(s, op, op->mounts_digest, err);
}

int exec_run(struct solver *s, struct op *op, struct err *err)
{
	struct snapchain below = SNAPCHAIN_INIT;
	struct exec_mounts mounts = EXEC_MOUNTS_INIT;
	struct snapshot_tmp tmp;
	bool flat = false;
	int rc = -1;

	if (session_is_foreign(&op->platform) && qemu_check_env(&op->step.env, err) < 0)
		return -1;
	op_chain(op->base, &below);
	if (session_emulate(s->session, op->platform.architecture, op->platform.variant, err) == 0 &&
		snapchain_need_folders(s->session, &below, err) == 0 &&
		snapchain_need_indexes(s->session, &below, err) == 0 &&
		snapshot_new(s->session->store, &tmp, session_fingerprint(s->session), err) == 0) {
		rc = exec_mounts_prepare(s, op, &tmp, &mounts, err);
		if (rc == 0)
			rc = run_and_commit(s, op, &below, &mounts, &tmp, &flat, err);
		exec_mounts_release(&mounts);
		if (rc < 0)
			session_drop_snapshot(s->session, &tmp);
		else if (!flat)
			rc = remember(s, op, err);
	}
	snapchain_release(&below);
	return rc;
}
