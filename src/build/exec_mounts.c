#include "build/exec_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "build/jobs.h"
#include "dockerfile/glob.h"
#include "store/cachedir.h"
#include "store/stepcache.h"

#define SECRET_MODE 0400
#define AGENT_MODE 0600
#define SCRIPT_MODE 0755
#define CACHE_MODE 0755
#define LOCK_POLL_MS 50

/* ---- trees ---- */

static bool is_whole(const char *source)
{
	return !source || !source[strspn(source, "/")];
}

static int put_tree(struct solver *s, const struct op *from, struct strv *lowers, struct err *err)
{
	struct snapchain chain = SNAPCHAIN_INIT;
	int rc;

	if (!from)
		return 0;
	op_chain(from, &chain);
	rc = snapchain_need_folders(s->session, &chain, err);
	if (rc == 0)
		snapchain_folder_names(s->session, &chain, lowers);
	snapchain_release(&chain);
	return rc;
}

static int add_bind(struct solver *s, const struct op_mount *m, struct step_mount *x, struct err *err)
{
	x->source = m->options.source ? xstrdup(m->options.source) : NULL;
	return put_tree(s, m->from, &x->lowers, err);
}

/* ---- descriptors ---- */

static unsigned lend(struct exec_mounts *m, int fd)
{
	m->fds[m->nfds] = fd;
	return (unsigned)m->nfds++;
}

/* Closed at the end. */
static void keep(struct exec_mounts *m, int fd)
{
	m->owned = xreallocarray(m->owned, m->nowned + 1, sizeof(*m->owned));
	m->owned[m->nowned++] = fd;
}

/* ---- secrets, agents, scripts ---- */

static void set_attributes(struct step_mount *x, const struct run_mount *o, mode_t fallback)
{
	x->mode = o->has_mode ? o->mode & 07777 : fallback;
	x->uid = o->has_uid ? o->uid : 0;
	x->gid = o->has_gid ? o->gid : 0;
}

static int add_secret(struct solver *s, const struct run_mount *o, struct exec_mounts *ret, struct err *err)
{
	const struct secret *secret = secrets_find(s->secrets, o->id);
	struct step_mount *x;

	if (!secret && o->required)
		return err_set(err, ERR_NOT_FOUND, "secret %s: not found (give it with --secret id=%s,src=FILE)", o->id,
			o->id);
	if (!secret) {
		if (o->env && *o->env)
			strv_env_set(&ret->env, o->env, "");
		return 0;
	}
	x = step_mounts_add(&ret->list, STEP_MOUNT_FILE);
	x->target = o->target ? xstrdup(o->target) : NULL;
	x->env = o->env ? xstrdup(o->env) : NULL;
	x->readonly = true;
	x->fd = lend(ret, secret->fd);
	set_attributes(x, o, SECRET_MODE);
	return 0;
}

static int add_agent(struct solver *s, const struct run_mount *o, struct exec_mounts *ret, struct err *err)
{
	const struct agent *agent = agents_find(s->agents, o->id);
	auto_fd int dir = -1;
	auto_free char *name = xasprintf("agent.%zu", ret->nproxies);
	struct agent_proxy *proxy;
	struct step_mount *x;

	if (!agent && o->required)
		return err_set(err, ERR_NOT_FOUND, "ssh agent %s: not found (give it with --ssh %s)", o->id, o->id);
	if (!agent)
		return 0;
	dir = open_no_symlinks(store_dirfd(s->session->store), ret->list.work, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return err_sys(err, "cannot open '%s' in the store", ret->list.work);
	proxy = agent_proxy_start(o->id, agent->socket, dir, name, err);
	if (!proxy)
		return -1;
	ret->proxies = xreallocarray(ret->proxies, ret->nproxies + 1, sizeof(struct agent_proxy *));
	ret->proxies[ret->nproxies++] = proxy;
	x = step_mounts_add(&ret->list, STEP_MOUNT_SOCKET);
	x->target = xstrdup(o->target);
	x->folder = xasprintf("%s/%s", ret->list.work, name);
	set_attributes(x, o, AGENT_MODE);
	if (!strv_env_get(&ret->env, "SSH_AUTH_SOCK"))
		strv_env_set(&ret->env, "SSH_AUTH_SOCK", o->target);
	return 0;
}

static int add_script(const struct op *op, struct exec_mounts *ret, struct err *err)
{
	struct step_mount *x;
	int fd = secret_file(op->script, strlen(op->script), err);

	if (fd < 0)
		return -1;
	keep(ret, fd);
	x = step_mounts_add(&ret->list, STEP_MOUNT_FILE);
	x->target = xasprintf(OP_SCRIPT_FOLDER "/%s", op->script_name);
	x->readonly = true;
	x->fd = lend(ret, fd);
	x->mode = SCRIPT_MODE;
	return 0;
}

/* ---- caches ---- */

/* One cache of the step: two mounts may share it. */
struct use {
	const struct op_mount *mount;
	enum run_mount_sharing sharing;
	char name[CACHEDIR_NAME_SIZE];
	int lock;
};

static bool has_attributes(const struct run_mount *o)
{
	return (o->has_mode || o->has_uid || o->has_gid) && is_whole(o->source);
}

/* What a cache begins with is part of which cache it is, and so is whose ids its files have. */
static void identify(const struct solver *s, const struct op_mount *m, unsigned instance, char name[CACHEDIR_NAME_SIZE])
{
	const struct run_mount *o = &m->options;
	auto_strbuf text = STRBUF_INIT;

	wire_put_str(&text, session_fingerprint(s->session));
	wire_put_str(&text, o->id);
	if (has_attributes(o)) {
		wire_put_u64(&text, o->has_mode ? o->mode : CACHE_MODE);
		wire_put_u64(&text, o->has_uid ? o->uid : 0);
		wire_put_u64(&text, o->has_gid ? o->gid : 0);
	} else if (m->from) {
		wire_put_bytes(&text, m->from->key, DIGEST_SIZE);
	}
	cachedir_name(text.buf, text.len, instance, name);
}

static int compare_uses(const void *pa, const void *pb)
{
	return strcmp(((const struct use *)pa)->name, ((const struct use *)pb)->name);
}

/* The caches of op, each once with the strictest sharing, in the order in which everybody takes their locks. */
static size_t list_uses(const struct solver *s, const struct op *op, struct use *uses)
{
	size_t n = 0, k;

	for (size_t i = 0; i < op->nmounts; i++) {
		struct use u = { &op->mounts[i], op->mounts[i].options.sharing, "", -1 };

		if (u.mount->options.type != RUN_MOUNT_CACHE)
			continue;
		identify(s, u.mount, 0, u.name);
		for (k = 0; k < n && strcmp(uses[k].name, u.name) != 0; k++)
			;
		if (k == n)
			uses[n++] = u;
		else if (u.sharing > uses[k].sharing)
			uses[k].sharing = u.sharing;
	}
	qsort(uses, n, sizeof(*uses), compare_uses);
	return n;
}

static int wait_for_lock(struct solver *s, const struct op *op, const struct use *u, bool exclusive, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOCK_POLL_MS * 1000000L };
	bool said = false;
	int rc;

	while ((rc = cachedir_try_lock(u->lock, exclusive, err)) == 0) {
		if (s->session->cancelled)
			return err_set(err, ERR_CANCELLED, "cancelled while another step used the cache '%.200s'",
				u->mount->options.id);
		if (!said) {
			auto_free char *text = xasprintf("waiting for the cache '%.200s'\n", u->mount->options.id);

			progress_emit(s->session->progress, PROGRESS_LOG, op->vertex, text, strlen(text));
			said = true;
		}
		nanosleep(&pause, NULL);
	}
	return rc < 0 ? -1 : 0;
}

/* The tree of "from" becomes the first content of the cache, which is locked for us alone. */
static int seed(struct solver *s, const struct use *u, const char *work, struct err *err)
{
	int dir = store_dirfd(s->session->store);
	auto_free char *aside = xasprintf("%s/seed", u->name);
	auto_free char *fs = xasprintf("%s/fs", u->name);
	struct copy_spec spec = COPY_SPEC_INIT;
	struct snapchain chain = SNAPCHAIN_INIT;
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	auto_strv old = STRV_INIT;
	auto_fd int index = -1;
	int rc;

	strv_add(&old, aside);
	spec.index_out = xasprintf("%s/seed.index", work);
	index = openat(dir, spec.index_out, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	rc = index < 0 ? err_sys(err, "cannot create '%s' in the store", spec.index_out) :
			 session_remove(s->session, &old, err);
	if (rc == 0 && mkdirat(dir, aside, CACHE_MODE) < 0)
		rc = err_sys(err, "cannot create '%s' in the store", aside);
	op_chain(u->mount->from, &chain);
	if (rc == 0)
		rc = snapchain_need_indexes(s->session, &chain, err);
	if (rc == 0)
		rc = put_tree(s, u->mount->from, &spec.from_folders, err);
	if (rc == 0) {
		snapchain_index_names(&chain, &spec.from_indexes);
		strv_add(&spec.sources, "/");
		spec.dest = xstrdup("/");
		spec.folder_out = xstrdup(aside);
		copy_spec_put(&spec, &payload);
		rc = session_call(s->session, JOB_COPY, &payload, NULL, 0, &reply, err);
	}
	if (rc == 0 && renameat(dir, aside, dir, fs) < 0)
		rc = err_sys(err, "cannot create '%s' in the store", fs);
	snapchain_release(&chain);
	copy_spec_release(&spec);
	return rc;
}

/* With --no-cache a cache that has attributes of its own begins empty (8.3.3), once in a build. */
static bool must_empty(struct solver *s, const struct op *op, const struct use *u)
{
	bool have = false;

	if (!op->no_cache || !has_attributes(&u->mount->options))
		return false;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->emptied.len; i++)
		have |= strcmp(s->emptied.v[i], u->name) == 0;
	if (!have)
		strv_add(&s->emptied, u->name);
	pthread_mutex_unlock(&s->lock);
	return !have;
}

static int empty(struct solver *s, const struct use *u, struct err *err)
{
	auto_strv names = STRV_INIT;

	strv_take(&names, xasprintf("%s/fs", u->name));
	return session_remove(s->session, &names, err);
}

/* Take the lock, and make what the supervisor cannot: the first content. */
static int open_use(struct solver *s, const struct op *op, struct use *u, const char *work, struct err *err)
{
	bool must = must_empty(s, op, u);
	bool seeds = u->mount->from && !has_attributes(&u->mount->options);
	bool alone = u->sharing == RUN_MOUNT_LOCKED;

	u->lock = cachedir_open(s->session->store, u->name, u->mount->options.id, err);
	if (u->lock < 0)
		return -1;
	seeds = seeds && !cachedir_is_made(s->session->store, u->name);
	if (wait_for_lock(s, op, u, alone || must || seeds, err) < 0)
		return -1;
	if (must && empty(s, u, err) < 0)
		return -1;
	if (seeds && !cachedir_is_made(s->session->store, u->name) && seed(s, u, work, err) < 0)
		return -1;
	return alone || !(must || seeds) ? 0 : wait_for_lock(s, op, u, false, err);
}

/* An instance that nobody uses. */
static int open_private(struct solver *s, const struct op *op, struct use *u, const char *work, struct err *err)
{
	for (unsigned i = 0; i < CACHEDIR_PRIVATE_MAX; i++) {
		int rc;

		identify(s, u->mount, i, u->name);
		u->lock = cachedir_open(s->session->store, u->name, u->mount->options.id, err);
		if (u->lock < 0)
			return -1;
		rc = cachedir_try_lock(u->lock, true, err);
		if (rc < 0)
			return -1;
		if (rc == 0) {
			u->lock = close_fd(u->lock);
			continue;
		}
		if (must_empty(s, op, u) && empty(s, u, err) < 0)
			return -1;
		if (u->mount->from && !has_attributes(&u->mount->options) &&
			!cachedir_is_made(s->session->store, u->name))
			return seed(s, u, work, err);
		return 0;
	}
	return err_set(err, ERR_SYSTEM, "%d steps use the private cache '%.200s' already", CACHEDIR_PRIVATE_MAX,
		u->mount->options.id);
}

/* Those that may wait first, by name, so that no two steps wait for each other; private ones never wait. */
static int open_caches(struct solver *s, const struct op *op, struct use *uses, size_t n, struct exec_mounts *ret,
	struct err *err)
{
	int rc = 0;

	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; rc == 0 && i < n; i++) {
			if ((uses[i].sharing == RUN_MOUNT_PRIVATE) != (pass == 1))
				continue;
			rc = pass ? open_private(s, op, &uses[i], ret->list.work, err) :
				    open_use(s, op, &uses[i], ret->list.work, err);
			if (uses[i].lock >= 0)
				keep(ret, uses[i].lock);
		}
	return rc;
}

static void add_cache(const struct op_mount *m, const struct use *u, struct step_mount *x)
{
	x->folder = xasprintf("%s/fs", u->name);
	x->source = m->options.source ? xstrdup(m->options.source) : NULL;
	set_attributes(x, &m->options, CACHE_MODE);
}

/* ---- all of them ---- */

static const struct use *find_use(const struct solver *s, const struct use *uses, size_t n, const struct op_mount *m)
{
	char name[CACHEDIR_NAME_SIZE];

	identify(s, m, 0, name);
	/* an instance has a suffix */
	for (size_t i = 0; i < n; i++)
		if (strncmp(uses[i].name, name, strlen(name)) == 0)
			return &uses[i];
	return NULL;
}

static int add_mount(struct solver *s, const struct op_mount *m, const struct use *uses, size_t nuses,
	struct exec_mounts *ret, struct err *err)
{
	static const enum step_mount_kind kinds[] = { [RUN_MOUNT_BIND] = STEP_MOUNT_TREE,
		[RUN_MOUNT_CACHE] = STEP_MOUNT_FOLDER, [RUN_MOUNT_TMPFS] = STEP_MOUNT_TMPFS };
	const struct run_mount *o = &m->options;
	struct step_mount *x;

	if (o->type == RUN_MOUNT_SECRET)
		return add_secret(s, o, ret, err);
	if (o->type == RUN_MOUNT_SSH)
		return add_agent(s, o, ret, err);
	x = step_mounts_add(&ret->list, kinds[o->type]);
	x->target = xstrdup(o->target);
	x->readonly = o->readonly;
	x->size = o->size;
	if (o->type == RUN_MOUNT_CACHE)
		add_cache(m, find_use(s, uses, nuses, m), x);
	return o->type == RUN_MOUNT_BIND ? add_bind(s, m, x, err) : 0;
}

int exec_mounts_prepare(struct solver *s, struct op *op, const struct snapshot_tmp *tmp, struct exec_mounts *ret,
	struct err *err)
{
	auto_free struct use *uses = xcalloc(op->nmounts + 1, sizeof(*uses));
	size_t n;

	strv_copy(&ret->env, &op->step.env);
	if (!op->nmounts && !op->script)
		return 0;
	ret->list.work = xasprintf("%s/mounts", tmp->name);
	if (mkdirat(store_dirfd(s->session->store), ret->list.work, 0700) < 0)
		return err_sys(err, "cannot create '%s' in the store", ret->list.work);
	n = list_uses(s, op, uses);
	if (open_caches(s, op, uses, n, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < op->nmounts; i++)
		if (add_mount(s, &op->mounts[i], uses, n, ret, err) < 0)
			return -1;
	if (op->script && add_script(op, ret, err) < 0)
		return -1;
	step_mounts_sort(&ret->list);
	return 0;
}

void exec_mounts_release(struct exec_mounts *m)
{
	for (size_t i = 0; i < m->nproxies; i++)
		agent_proxy_stop(m->proxies[i]);
	free(m->proxies);
	for (size_t i = 0; i < m->nowned; i++)
		close_fd(m->owned[i]);
	free(m->owned);
	strv_release(&m->env);
	step_mounts_release(&m->list);
	*m = (struct exec_mounts)EXEC_MOUNTS_INIT;
}

/* ---- content ---- */

static void put_ids(const struct op *from, struct strbuf *text)
{
	struct snapchain chain = SNAPCHAIN_INIT;

	op_chain(from, &chain);
	for (size_t i = 0; i < chain.len; i++)
		wire_put_u64(text, (uint64_t)chain.ids[i]);
	snapchain_release(&chain);
}

/* What the source selects of a stage, as a COPY would see it. */
static int put_content(struct solver *s, const struct op_mount *m, struct strbuf *text, struct err *err)
{
	struct copy_spec spec = COPY_SPEC_INIT;
	struct copy_result result;
	struct snapchain chain = SNAPCHAIN_INIT;
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	int rc = put_tree(s, m->from, &spec.from_folders, err);

	op_chain(m->from, &chain);
	if (rc == 0)
		rc = snapchain_need_indexes(s->session, &chain, err);
	if (rc == 0) {
		snapchain_index_names(&chain, &spec.from_indexes);
		strv_add(&spec.sources, is_whole(m->options.source) ? "/" : m->options.source);
		copy_spec_put(&spec, &payload);
		rc = session_call(s->session, JOB_COPY_DIGEST, &payload, NULL, 0, &reply, err);
	}
	if (rc == 0)
		rc = copy_result_get(&reply, &result, err);
	if (rc == 0)
		wire_put_bytes(text, result.content, DIGEST_SIZE);
	snapchain_release(&chain);
	copy_spec_release(&spec);
	return rc;
}

int exec_mounts_digest(struct solver *s, const struct op *op, uint8_t ret[DIGEST_SIZE], struct err *err)
{
	auto_strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < op->nmounts; i++) {
		const struct op_mount *m = &op->mounts[i];

		if (m->options.type != RUN_MOUNT_BIND)
			continue;
		wire_put_u64(&text, i);
		if (!m->from)
			continue;
		/* A copy would take these for a pattern. */
		if (m->from->kind == OP_IMAGE || m->from->copy.from_context ||
			(m->options.source && glob_has_wildcard(m->options.source)))
			put_ids(m->from, &text);
		else if (put_content(s, m, &text, err) < 0)
			return -1;
	}
	sha256_buf(text.buf, text.len, ret);
	return 0;
}

int exec_run_known(struct solver *s, struct op *op, struct err *err)
{
	uint8_t group[DIGEST_SIZE], key[DIGEST_SIZE];
	int rc;

	/* Hashing the trees only pays when there is something to compare them with. */
	solve_content_key(op, "group", NULL, group);
	if (!stepcache_has_group(s->session->store, group))
		return 0;
	if (exec_mounts_digest(s, op, op->mounts_digest, err) < 0)
		return -1;
	op->has_mounts_digest = true;
	solve_content_key(op, "content", op->mounts_digest, key);
	rc = stepcache_get(s->session->store, key, &op->snapshot, err);
	if (rc == 1 && stepcache_put(s->session->store, op->key, NULL, op->snapshot, op->name, err) < 0)
		return -1;
	return rc;
}
