#include "build/solve.h"

#include <string.h>

#include "base/auto.h"
#include "base/wire.h"
#include "build/parallel.h"
#include "store/blob.h"
#include "store/stepcache.h"

/* ---- keys ---- */

void solve_content_key(const struct op *op, const char *purpose, const uint8_t *content, uint8_t ret[DIGEST_SIZE])
{
	struct snapchain below = SNAPCHAIN_INIT;
	auto_strbuf text = STRBUF_INIT;

	if (!op->link)
		op_chain(op->base, &below);
	wire_put_str(&text, purpose);
	wire_put_bytes(&text, op->self, DIGEST_SIZE);
	for (size_t i = 0; i < below.len; i++)
		wire_put_u64(&text, (uint64_t)below.ids[i]);
	if (content)
		wire_put_bytes(&text, content, DIGEST_SIZE);
	sha256_buf(text.buf, text.len, ret);
	snapchain_release(&below);
}

int solve_remember(struct solver *s, struct op *op, const uint8_t *content, struct err *err)
{
	uint8_t by_content[DIGEST_SIZE], group[DIGEST_SIZE];

	solve_content_key(op, "content", content, by_content);
	solve_content_key(op, "group", NULL, group);
	if (stepcache_put(s->session->store, op->key, NULL, op->snapshot, op->name, err) < 0)
		return -1;
	return stepcache_put(s->session->store, by_content, group, op->snapshot, op->name, err);
}

/* ---- what is needed ---- */

static bool layers_present(const struct solver *s, const struct op *op)
{
	for (size_t i = 0; i < op->image->manifest.nlayers; i++)
		if (!blob_has(s->session->store, op->image->manifest.layers[i].digest, NULL))
			return false;
	return true;
}

/* Whether the definition alone finds the result. */
static int find_by_key(struct solver *s, struct op *op, bool *ret, struct err *err)
{
	int rc;

	*ret = false;
	if (op->kind == OP_IMAGE) {
		*ret = layers_present(s, op);
		return 0;
	}
	if (op->fresh)
		return 0;
	rc = stepcache_get(s->session->store, op->key, &op->snapshot, err);
	*ret = rc == 1;
	return rc < 0 ? -1 : 0;
}

/* Ask for a list of operations instead of recursing: a chain may be ten thousand long. */
static int want(struct solver *s, struct op *tip, struct err *err)
{
	for (struct op *op = tip; op && op->state == OP_PLANNED; op = op->base) {
		bool found;

		if (find_by_key(s, op, &found, err) < 0)
			return -1;
		op->state = found ? OP_CACHED : OP_WANTED;
		for (size_t i = 0; !found && i < op_inputs(op); i++)
			if (want(s, op_input(op, i), err) < 0)
				return -1;
	}
	return 0;
}

/* A folder is wanted of every copy below a step that will run, and of every tree that is copied from. */
static void mark_folders(struct op *tip)
{
	for (struct op *op = tip; op && !op->want_folder; op = op->base)
		op->want_folder = true;
}

static void mark_all_folders(const struct plan *plan)
{
	for (struct op *op = plan->first; op; op = op->next) {
		if (op->state != OP_WANTED)
			continue;
		if (op->kind == OP_RUN)
			mark_folders(op->base);
		for (size_t i = 0; i < op_inputs(op); i++)
			mark_folders(op_input(op, i));
	}
}

static void show_cached(struct solver *s, struct op *op)
{
	struct progress *p = s->session->progress;

	op->vertex = progress_start(p, op->name);
	progress_emit(p, PROGRESS_CACHED, op->vertex, NULL, 0);
	s->result->cached++;
}

/* Steps that need no work are said first, those that nobody asked for among them. */
static int report_cached(struct solver *s, struct err *err)
{
	for (struct op *op = s->plan->first; op; op = op->next) {
		bool found = op->state == OP_CACHED;

		s->result->steps++;
		if (op->state == OP_PLANNED && find_by_key(s, op, &found, err) < 0)
			return -1;
		if (found)
			show_cached(s, op);
	}
	return 0;
}

/* ---- running ---- */

/*
 * Whether the whole tree that ends with op is there. What is cached, or linked, may be so before what is below it. Once
 * true it stays so, and is noted: a chain may be ten thousand long.
 */
static bool is_ready(struct op *op)
{
	struct op *o = op;

	while (o && !o->tree_ready && (o->state == OP_CACHED || o->state == OP_DONE))
		o = o->base;
	if (o && !o->tree_ready)
		return false;
	if (op)
		op->tree_ready = true;
	return true;
}

static bool inputs_ready(const struct op *op)
{
	for (size_t i = 0; i < op_inputs(op); i++)
		if (!is_ready(op_input(op, i)))
			return false;
	return op->link || is_ready(op->base);
}

/* The next operation whose inputs are there; NULL when none is. *ret_left: whether any is still to do. */
static struct op *next_ready(const struct plan *plan, bool *ret_left)
{
	*ret_left = false;
	for (struct op *op = plan->first; op; op = op->next) {
		if (op->state != OP_WANTED)
			continue;
		*ret_left = true;
		if (inputs_ready(op))
			return op;
	}
	return NULL;
}

/* A step whose inputs were made again, but hold what they held before, needs no run. */
static int find_by_content(struct solver *s, struct op *op, bool *ret, struct err *err)
{
	uint8_t key[DIGEST_SIZE];
	const uint8_t *content = op->copy.from_context ? op->context_digest : NULL;
	int rc;

	*ret = false;
	if (op->no_cache || op->kind == OP_IMAGE)
		return 0;
	if (op->from) {
		rc = exec_copy_known(s, op, err);
	} else if (op->nmounts) {
		rc = exec_run_known(s, op, err);
	} else {
		solve_content_key(op, "content", content, key);
		rc = stepcache_get(s->session->store, key, &op->snapshot, err);
		if (rc == 1 && stepcache_put(s->session->store, op->key, NULL, op->snapshot, op->name, err) < 0)
			rc = -1;
	}
	*ret = rc == 1;
	return rc < 0 ? -1 : 0;
}

static int execute(struct solver *s, struct op *op, struct err *err)
{
	struct progress *p = s->session->progress;
	bool found;
	int rc;

	op->vertex = progress_start(p, op->name);
	rc = find_by_content(s, op, &found, err);
	if (rc == 0 && found) {
		progress_emit(p, PROGRESS_CACHED, op->vertex, NULL, 0);
		pthread_mutex_lock(&s->lock);
		s->result->cached++;
		pthread_mutex_unlock(&s->lock);
		return 0;
	}
	if (rc == 0)
		rc = op->kind == OP_IMAGE ? exec_image(s, op, err) :
		     op->kind == OP_RUN   ? exec_run(s, op, err) :
					    exec_copy(s, op, err);
	if (rc < 0 && err->kind == ERR_CANCELLED)
		progress_emit(p, PROGRESS_ERROR, op->vertex, "CANCELED", strlen("CANCELED"));
	else if (rc < 0)
		progress_emit(p, PROGRESS_ERROR, op->vertex, err->msg, strlen(err->msg));
	else
		progress_emit(p, PROGRESS_DONE, op->vertex, NULL, 0);
	return rc;
}

/* With the lock held. The first failure decides, and stops everything. */
static void note_failure(struct solver *s, const struct op *op, const struct err *err)
{
	if (s->failed)
		return;
	s->failed = true;
	s->err = *err;
	if (err->kind != ERR_CANCELLED)
		s->result->location = op->location;
	session_cancel(s->session, SESSION_FAILED);
}

static int run_some(void *ctx, size_t i, struct err *ignored)
{
	struct solver *s = ctx;

	(void)i;
	(void)ignored;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		bool left;
		struct op *op = s->failed ? NULL : next_ready(s->plan, &left);
		struct err err = ERR_INIT;
		int rc;

		if (s->failed || (!op && !left))
			break;
		if (!op) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		op->state = OP_RUNNING;
		pthread_mutex_unlock(&s->lock);
		rc = execute(s, op, &err);
		pthread_mutex_lock(&s->lock);
		if (rc < 0)
			note_failure(s, op, &err);
		else
			op->state = OP_DONE;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int solve(struct solver *s, struct err *err)
{
	bool any = false;

	for (struct op *op = s->plan->first; op; op = op->next) {
		op->fresh = op->no_cache || (op->base && !op->link && op->base->fresh);
		for (size_t i = 0; i < op_inputs(op); i++)
			op->fresh |= op_input(op, i) && op_input(op, i)->fresh;
	}
	for (size_t i = 0; i < s->plan->ntargets; i++)
		if (want(s, s->plan->targets[i].tip, err) < 0)
			return -1;
	mark_all_folders(s->plan);
	if (report_cached(s, err) < 0)
		return -1;
	for (const struct op *op = s->plan->first; op; op = op->next)
		any |= op->state == OP_WANTED;
	if (!any)
		return 0;
	/* Forked now, while this process has one thread. */
	if (!session_holder(s->session, err))
		return -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	parallel_run(s->width, s->width, run_some, s, err);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	if (!s->failed)
		return 0;
	*err = s->err;
	return -1;
}
