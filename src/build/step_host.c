#include "build/step_host.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mem.h"
#include "build/jobs.h"
#include "build/step_files.h"

#define TUN "/dev/net/tun"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct step_host {
	const struct step_options *options;
	struct cgroup *cgroup; /* NULL: no limits */
	/* the private network */
	pthread_mutex_t lock;
	int watch, netns;      /* -1: not started */
	struct network_helper helper;
	struct err network_err; /* why it did not start, for every step that asks */
};

struct step_host *step_host_new(const struct step_options *options, struct err *err)
{
	struct step_host *h = xcalloc(1, sizeof(*h));

	h->options = options;
	h->watch = h->netns = -1;
	pthread_mutex_init(&h->lock, NULL);
	if (cgroup_limits_any(&options->cgroup)) {
		h->cgroup = cgroup_new(CGROUP_MOUNT, CGROUP_SELF, options->cgroup_parent, &options->cgroup, err);
		if (!h->cgroup) {
			step_host_free(h);
			return NULL;
		}
	}
	return h;
}

void step_host_disconnect(struct step_host *h)
{
	if (!h)
		return;
	h->watch = close_fd(h->watch);
	h->netns = close_fd(h->netns);
}

void step_host_free(struct step_host *h)
{
	if (!h)
		return;
	step_host_disconnect(h);
	cgroup_free(h->cgroup);
	free(h->helper.path);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* ---- the private network ---- */

static int request_network(struct session *s, struct step_host *h, int keeper_end, struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;
	const char *path = getenv("PATH");
	bool forward;

	if (network_find_helper(path ? path : DEFAULT_PATH, TUN, &h->helper, err) < 0)
		return -1;
	free(step_resolv_conf(h->options, STEP_NETWORK_PRIVATE, network_forwarder(h->helper.tool), &forward));
	log_debug("private network by %s%s", h->helper.path, forward ? ", which forwards name server queries" : "");
	network_put(&h->helper, forward, &payload);
	return session_call(s, JOB_NETWORK, &payload, &keeper_end, 1, NULL, err);
}

static int connect_locked(struct session *s, struct step_host *h, struct err *err)
{
	auto_fd int keeper_end = -1;
	int pair[2];

	if (h->network_err.kind != ERR_NONE) {
		*err = h->network_err;
		return -1;
	}
	if (h->netns >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "cannot make a socket pair");
	h->watch = pair[0];
	keeper_end = pair[1];
	if (request_network(s, h, keeper_end, err) == 0) {
		keeper_end = close_fd(keeper_end); /* or its death would not be seen */
		h->netns = network_await(h->watch, err);
	}
	if (h->netns < 0)
		h->network_err = *err;
	return h->netns < 0 ? -1 : 0;
}

static int connect_network(struct session *s, struct err *err)
{
	struct step_host *h = s->step_host;
	int rc;

	pthread_mutex_lock(&h->lock);
	rc = connect_locked(s, h, err);
	pthread_mutex_unlock(&h->lock);
	if (rc < 0 && s->cancelled)
		return err_set(err, ERR_CANCELLED, "cancelled");
	return rc;
}

/* ---- steps ---- */

int step_host_fill(struct session *s, struct step_spec *spec, struct err *err)
{
	const struct step_host *h = s->step_host;
	const struct step_options *o = h->options;
	bool forwarded;

	if (spec->network == STEP_NETWORK_PRIVATE && connect_network(s, err) < 0)
		return -1;
	spec->hosts = step_hosts(o, spec->network, spec->hostname);
	spec->resolv_conf = step_resolv_conf(o, spec->network, network_forwarder(h->helper.tool), &forwarded);
	memcpy(spec->limits, o->limits, sizeof(spec->limits));
	spec->nlimits = o->nlimits;
	spec->shm_size = o->shm_size;
	spec->in_cgroup = h->cgroup != NULL;
	spec->grace_ms = o->grace_ms;
	return 0;
}

/* From here on an interrupt waits for the step instead of killing the holder (session_cancel()). */
static int begin(struct session *s, struct err *err)
{
	atomic_fetch_add(&s->steps_running, 1);
	return s->cancelled ? err_set(err, ERR_CANCELLED, "cancelled") : 0;
}

static void end(struct session *s)
{
	if (atomic_fetch_sub(&s->steps_running, 1) == 1 && s->cancelled)
		holder_kill(s->holder); /* now the rest */
}

/* The descriptors of a step's job: of its kind (enum step_fd), and of its mounts. */
struct step_descriptors {
	int fds[JOB_FDS_MAX];
	size_t n;
};

static void add_fd(struct step_descriptors *d, int fd)
{
	assert(d->n < JOB_FDS_MAX - 1); /* and the stream of the job */
	d->fds[d->n++] = fd;
}

static int call(struct session *s, const struct step_spec *spec, const struct strbuf *payload,
	struct step_descriptors *d, int cgroup, const int *more, size_t nmore, struct strbuf *reply, struct err *err)
{
	const struct step_host *h = s->step_host;

	add_fd(d, s->interrupt[0]);
	if (spec->network == STEP_NETWORK_PRIVATE) {
		if (network_check(h->watch, err) < 0)
			return -1;
		add_fd(d, h->netns);
		add_fd(d, h->watch);
	}
	if (spec->in_cgroup)
		add_fd(d, cgroup);
	for (size_t i = 0; i < nmore; i++)
		add_fd(d, more[i]);
	return holder_call(s->holder, JOB_STEP, payload, d->fds, d->n, NULL, NULL, reply, err);
}

int step_host_call(struct session *s, const struct step_spec *spec, const struct strbuf *payload, const int stdio[3],
	const int *more, size_t nmore, struct strbuf *reply, bool *ret_oom, struct err *err)
{
	struct step_descriptors d = { .fds = { stdio[0], stdio[1], stdio[2] }, .n = 3 };
	struct cgroup *c = s->step_host->cgroup;
	auto_fd int group = -1;
	unsigned number = 0;
	int rc = begin(s, err);

	*ret_oom = false;
	if (rc == 0 && c) {
		group = cgroup_begin_step(c, &number, err);
		rc = group < 0 ? -1 : 0;
	}
	if (rc == 0)
		rc = call(s, spec, payload, &d, group, more, nmore, reply, err);
	if (group >= 0) {
		*ret_oom = cgroup_oom_kills(group) > 0;
		cgroup_end_step(c, number);
	}
	end(s);
	if (rc < 0 && s->cancelled)
		err->kind = ERR_CANCELLED;
	return rc;
}
