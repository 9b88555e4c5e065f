#include "build/session.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/auto.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "build/jobs.h"
#include "build/step_host.h"
#include "cross/binfmt.h"
#include "cross/qemu.h"
#include "registry/http.h"
#include "sandbox/root.h"
#include "sandbox/rootfs.h"

/* What crashed builds left goes now where it can; files of other ids wait for a holder. */
static int clear_stale(struct session *s, struct err *err)
{
	auto_strv names = STRV_INIT;
	auto_strv stubborn = STRV_INIT;
	struct err e = ERR_INIT;

	if (store_stale(s->store, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		if (store_remove_stale(s->store, names.v[i], &e) == 0 || e.kind == ERR_DENIED)
			continue;
		if (e.kind == ERR_SYSTEM && (e.sys == EACCES || e.sys == EPERM || e.sys == ENOTEMPTY))
			strv_add(&stubborn, names.v[i]);
		log_debug("leftover '%s': %s", names.v[i], e.msg);
	}
	if (stubborn.len && session_remove(s, &stubborn, &e) < 0)
		log_debug("leftovers stay: %s", e.msg);
	return 0;
}

int session_open(struct session *s, const struct session_options *options, struct err *err)
{
	auto_free char *root = options->root ? xstrdup(options->root) : store_default_root(err);

	memset(s, 0, sizeof(*s));
	if (!root)
		return -1;
	s->options = *options;
	s->progress = options->progress;
	s->interrupt[0] = s->interrupt[1] = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->released, NULL);
	s->store = store_open(root, err);
	if (!s->store)
		return -1;
	if (clear_stale(s, err) < 0) {
		session_close(s);
		return -1;
	}
	return 0;
}

static void end_holder(struct session *s)
{
	step_host_disconnect(s->step_host);
	holder_free(s->holder);
	s->holder = NULL;
	step_host_free(s->step_host);
	s->step_host = NULL;
	s->interrupt[0] = close_fd(s->interrupt[0]);
	s->interrupt[1] = close_fd(s->interrupt[1]);
}

void session_set_steps(struct session *s, const struct step_options *steps)
{
	s->steps = steps;
	if (s->holder && !s->step_host)
		end_holder(s); /* it cleared leftovers; the one for the steps is forked into their cgroup */
}

void session_close(struct session *s)
{
	end_holder(s);
	registry_client_free(s->client);
	s->client = NULL;
	http_free(s->http);
	s->http = NULL;
	store_close(s->store);
	s->store = NULL;
	free(s->ready);
	s->ready = NULL;
	s->nready = s->ready_cap = 0;
}

void session_cancel(struct session *s, enum session_cancel_reason why)
{
	if (s->cancelled != SESSION_INTERRUPTED)
		s->cancelled = why;
	if (!s->holder)
		return;
	if (s->cancelled == SESSION_INTERRUPTED && atomic_load(&s->steps_running) > 0) {
		/* What goes wrong here is mended by the second signal. */
		if (why == SESSION_INTERRUPTED)
			(void)!write(s->interrupt[1], "i", 1);
		return;
	}
	holder_kill(s->holder);
}

/* What steps need, around the fork of the holder: their cgroup before it, descriptors that it must not have after. */
static int prepare_steps(struct session *s, struct err *err)
{
	if (!s->steps || s->step_host)
		return 0;
	s->step_host = step_host_new(s->steps, err);
	return s->step_host ? 0 : -1;
}

/* Once per store: the stub layer and the place on which root file systems are mounted. */
static int prepare_store(struct session *s, struct err *err)
{
	if (mkdir_p(store_dirfd(s->store), ROOT_PLACE, 0755) < 0)
		return err_sys(err, "cannot create '%s' in the store", ROOT_PLACE);
	if (rootfs_make_stub(store_dirfd(s->store), ROOT_STUB, false, err) < 0)
		return -1;
	return rootfs_make_stub(store_dirfd(s->store), ROOT_GATE_STUB, true, err);
}

struct holder *session_holder(struct session *s, struct err *err)
{
	struct holder_options o = { .isolation = s->options.isolation, .jobs = job_table, .njobs = JOB_COUNT,
		.store = store_path(s->store), .argv = s->options.argv,
		.standby = &job_table[JOB_STEP] };
	struct holder *h;
	const struct idmap *map;

	if (s->holder)
		return s->holder;
	if (prepare_store(s, err) < 0 || prepare_steps(s, err) < 0)
		return NULL;
	h = holder_start(&o, err);
	if (!h)
		return NULL;
	if (pipe2(s->interrupt, O_CLOEXEC | O_NONBLOCK) < 0) {
		err_sys(err, "cannot make a pipe");
		holder_free(h);
		return NULL;
	}
	map = holder_idmap(h);
	progress_note(s->progress, "isolation: %s%s%s%s", isolation_name(map->mode), *map->why ? " (" : "",
		map->why, *map->why ? ")" : "");
	s->holder = h;
	if (s->cancelled) /* a signal that came while it was being made */
		holder_kill(h);
	return h;
}

struct registry_client *session_client(struct session *s, struct err *err)
{
	struct registry_options o = { .insecure = s->options.insecure, .cancel = &s->cancelled };

	if (s->options.offline) {
		err_set(err, ERR_NETWORK, "offline, but the network is needed");
		return NULL;
	}
	if (!session_holder(s, err))
		return NULL;
	pthread_mutex_lock(&s->lock);
	if (!s->client) {
		if (http_global_init(err) == 0)
			s->client = registry_client_new(&o);
	}
	pthread_mutex_unlock(&s->lock);
	return s->client;
}

struct http *session_http(struct session *s, struct err *err)
{
	struct http_options o = { .cancel = &s->cancelled };

	if (!session_client(s, err)) /* what it needs is needed here too */
		return NULL;
	pthread_mutex_lock(&s->lock);
	if (!s->http)
		s->http = http_new(&o);
	pthread_mutex_unlock(&s->lock);
	return s->http;
}

const char *session_fingerprint(const struct session *s)
{
	return holder_idmap(s->holder)->fingerprint;
}

int session_call(struct session *s, unsigned job, const struct strbuf *payload, const int *fds, size_t nfds,
	struct strbuf *reply, struct err *err)
{
	struct holder *h = session_holder(s, err);

	if (!h)
		return -1;
	return holder_call(h, job, payload, fds, nfds, NULL, NULL, reply, err);
}

static int emulate_locked(struct session *s, const struct arch *a, struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_free char *qemu = NULL;
	char name[sizeof(s->emulated[0])];

	snprintf(name, sizeof(name), "%.15s", a->architecture);
	for (size_t i = 0; i < s->nemulated; i++)
		if (strcmp(s->emulated[i], name) == 0)
			return 0;
	if (!arch_host_runs(a)) {
		qemu = qemu_find(a, err);
		if (!qemu)
			return -1;
		binfmt_put(a, qemu, &payload);
		if (session_call(s, JOB_EMULATE, &payload, NULL, 0, NULL, err) < 0)
			return -1;
		log_debug("%s runs by %s", name, qemu);
	}
	if (s->nemulated < sizeof(s->emulated) / sizeof(s->emulated[0]))
		memcpy(s->emulated[s->nemulated++], name, sizeof(name));
	return 0;
}

int session_emulate(struct session *s, const char *architecture, const char *variant, struct err *err)
{
	const struct arch *a = arch_find(architecture, variant);
	int rc;

	if (!a)
		return err_set(err, ERR_UNSUPPORTED, "no programs of architecture '%s' can be run here", architecture);
	if (a == arch_host())
		return 0;
	pthread_mutex_lock(&s->lock);
	rc = emulate_locked(s, a, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int session_remove(struct session *s, const struct strv *names, struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;

	remove_put(names, &payload);
	return session_call(s, JOB_REMOVE, &payload, NULL, 0, NULL, err);
}

/* ---- storage ---- */

static void drop_scratch(struct session *s, const char *scratch)
{
	auto_strv names = STRV_INIT;
	struct err ignored = ERR_INIT;

	strv_add(&names, scratch);
	if (s->holder && !s->cancelled)
		session_remove(s, &names, &ignored);
}

static int probe_storage(struct session *s, enum isolation mode, struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	auto_free char *scratch = NULL;
	struct storage_choice choice;
	int rc;

	if (store_tmp_new(s->store, &scratch, err) < 0)
		return -1;
	wire_put_str(&payload, scratch);
	rc = session_call(s, JOB_STORAGE, &payload, NULL, 0, &reply, err);
	drop_scratch(s, scratch);
	if (rc < 0 || reply_get(&reply, &choice, sizeof(choice), err) < 0)
		return -1;
	if (choice.storage == STORAGE_OVERLAY)
		storage_overlay_remember(store_dirfd(s->store), mode);
	else
		progress_note(s->progress, "storage: %s (%s)", storage_name(choice.storage), choice.why);
	log_debug("storage: %s%s%s", storage_name(choice.storage), *choice.why ? ": " : "", choice.why);
	s->storage = choice.storage;
	return 0;
}

static int choose_storage(struct session *s, struct err *err)
{
	const struct holder *h = session_holder(s, err);
	enum isolation mode;

	if (!h)
		return -1;
	mode = holder_idmap(h)->mode;
	s->storage = s->options.storage;
	if (s->storage == STORAGE_AUTO && storage_overlay_known(store_dirfd(s->store), mode))
		s->storage = STORAGE_OVERLAY;
	return s->storage == STORAGE_AUTO ? probe_storage(s, mode, err) : 0;
}

int session_storage(struct session *s, enum storage *ret, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (s->storage == STORAGE_AUTO)
		rc = choose_storage(s, err);
	*ret = s->storage;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int session_view(struct session *s, const struct strv *folders, enum storage *ret, char **ret_scratch, struct err *err)
{
	*ret_scratch = NULL;
	*ret = STORAGE_OVERLAY;
	if (folders->len < 2) /* there is nothing to merge */
		return 0;
	if (session_storage(s, ret, err) < 0)
		return -1;
	return *ret == STORAGE_COPY ? store_tmp_new(s->store, ret_scratch, err) : 0;
}

void session_view_done(struct session *s, char **scratch)
{
	if (*scratch)
		drop_scratch(s, *scratch);
	free(*scratch);
	*scratch = NULL;
}

bool session_is_foreign(const struct platform *platform)
{
	const struct arch *a = arch_find(platform->architecture, platform->variant);

	return a && a != arch_host();
}

void session_drop_snapshot(struct session *s, const struct snapshot_tmp *tmp)
{
	auto_strv names = STRV_INIT;
	struct err ignored = ERR_INIT;

	/* After a kill there is no holder left to do it: the next run clears what stays. */
	strv_add(&names, tmp->name);
	if (s->holder && !s->cancelled)
		session_remove(s, &names, &ignored);
	snapshot_abort(s->store, tmp);
}
