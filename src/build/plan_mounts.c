/* RUN --mount in the planner: where each source comes from, and what of it counts for the cache (3.2.3, 3.2.4, 8.3). */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/wire.h"
#include "build/plan_context.h"
#include "build/plan_internal.h"

#define CONTEXT_PLACE "/source" /* where a part of the context stands in the tree that holds nothing else */

static bool is_given(const char *s)
{
	return s && *s;
}

static void set(char **to, char *value)
{
	free(*to);
	*to = value;
}

static const char *working_dir(const struct stage_state *st)
{
	return is_given(st->config.working_dir) ? st->config.working_dir : "/";
}

/* ---- sources ---- */

/* The part of the context as an operation of its own: the ignore file holds, and equal content is copied once. */
static int from_context(struct planner *p, const struct instruction *in, struct op_mount *m,
	struct err *err)
{
	auto_strbuf definition = STRBUF_INIT;
	struct op *op = xcalloc(1, sizeof(*op));

	op->kind = OP_COPY;
	op->platform = p->build_platform; /* one copy for all platforms */
	op->location = (struct dockerfile_location){ in->first_line, in->last_line };
	op->copy.from_context = true;
	if (p->context->ignore)
		op->copy.ignore = xstrdup(p->context->ignore);
	strv_take(&op->copy.sources, path_join("/", is_given(m->options.source) ? m->options.source : "."));
	op->copy.dest = xstrdup(CONTEXT_PLACE);
	op->copy.now = p->now;
	op->name = xasprintf("[internal] load build context for RUN --mount: %s", op->copy.sources.v[0]);
	if (plan_digest_folder(p, op, err) < 0) {
		op_free(op);
		return -1;
	}
	wire_put_str(&definition, "context of a mount");
	m->from = plan_add(p, op, &definition);
	set(&m->options.source, xstrdup(CONTEXT_PLACE));
	return 0;
}

/* A stage by its name, else a named context, else an image; numbers of stages mean nothing here. */
static int from_name(struct planner *p, struct stage_state *st, const struct instruction *in, struct op_mount *m,
	struct err *err)
{
	const char *from = m->options.from;
	int index = dockerfile_find_stage_any_case(p->df, from, p->df->nstages);
	struct plan_files files;

	if (index >= 0 && (size_t)index >= st->index)
		return err_set(err, ERR_DOCKERFILE,
			"cannot mount from stage \"%s\" to \"%s\", stage needs to be defined before current command",
			from, m->options.target);
	if (strcmp(from, "scratch") == 0)
		return 0;
	if (plan_from(p, st, from, false, in, &files, err) < 0)
		return -1;
	m->from = files.folder ? plan_folder(p, st, files.folder, in, err) : files.tip;
	return files.folder && !m->from ? -1 : 0;
}

/* ---- one mount ---- */

/* Where it goes; a bind without a target covers the working folder. */
static int set_target(const struct stage_state *st, struct run_mount *o, struct err *err)
{
	set(&o->target, path_join(working_dir(st), is_given(o->target) ? o->target : "."));
	if (strcmp(o->target, "/") == 0)
		return err_set(err, ERR_DOCKERFILE, "invalid mount target \"/\"");
	return 0;
}

/* As written, not where it goes: another working folder does not make another cache. */
static void set_cache_id(const struct planner *p, struct run_mount *o)
{
	const char *prefix = plan_build_arg(p, "BUILDKIT_CACHE_MOUNT_NS");

	if (!is_given(o->id))
		set(&o->id, path_clean(is_given(o->target) ? o->target : "."));
	if (is_given(prefix))
		set(&o->id, xasprintf("%s/%s", prefix, o->id));
}

static int set_secret(const struct stage_state *st, struct run_mount *o, struct err *err)
{
	if (!is_given(o->id))
		set(&o->id, xstrdup(is_given(o->source) ? o->source : path_base(o->target)));
	if (!is_given(o->target) && is_given(o->env))
		return set(&o->target, NULL), 0;
	if (!is_given(o->target))
		set(&o->target, xasprintf("/run/secrets/%s", path_base(o->id)));
	return set_target(st, o, err);
}

/* number: how many ssh mounts stand before it. */
static int set_ssh(const struct stage_state *st, struct run_mount *o, unsigned number, struct err *err)
{
	if (!is_given(o->id))
		set(&o->id, xstrdup("default"));
	if (!is_given(o->target))
		set(&o->target, xasprintf("/run/buildkit/ssh_agent.%u", number));
	return set_target(st, o, err);
}

static int resolve(struct planner *p, struct stage_state *st, const struct instruction *in, struct op_mount *m,
	unsigned ssh_number, struct err *err)
{
	struct run_mount *o = &m->options;

	switch (o->type) {
	case RUN_MOUNT_SECRET:
		return set_secret(st, o, err);
	case RUN_MOUNT_SSH:
		return set_ssh(st, o, ssh_number, err);
	case RUN_MOUNT_TMPFS:
		return set_target(st, o, err);
	case RUN_MOUNT_CACHE:
		set_cache_id(p, o);
		if (set_target(st, o, err) < 0)
			return -1;
		return is_given(o->from) ? from_name(p, st, in, m, err) : 0;
	case RUN_MOUNT_BIND:
		break;
	}
	if (set_target(st, o, err) < 0)
		return -1;
	return is_given(o->from) ? from_name(p, st, in, m, err) : from_context(p, in, m, err);
}

/* What of a mount is part of the step's key; trees count by the keys of their operations, or by their content. */
static void put_definition(const struct run_mount *o, struct strbuf *definition)
{
	bool hidden = o->type == RUN_MOUNT_SECRET || o->type == RUN_MOUNT_SSH;

	wire_put_str(definition, run_mount_type_name(o->type));
	wire_put_str(definition, o->target);
	wire_put_u64(definition, o->readonly);
	wire_put_u64(definition, o->size);
	wire_put_str(definition, o->type == RUN_MOUNT_BIND ? o->source : "");
	wire_put_str(definition, hidden ? o->id : "");
	wire_put_str(definition, hidden ? o->env : "");
	wire_put_u64(definition, o->required);
	wire_put_u64(definition, o->has_mode ? o->mode : UINT64_MAX);
	wire_put_u64(definition, o->has_uid ? o->uid : UINT64_MAX);
	wire_put_u64(definition, o->has_gid ? o->gid : UINT64_MAX);
}

int plan_run_mounts(struct planner *p, struct stage_state *st, const struct instruction *in, struct op *op,
	struct strbuf *definition, struct err *err)
{
	unsigned ssh_number = 0;
	const char *text;

	for (size_t i = 0; (text = instruction_flag_at(in, "mount", i)); i++) {
		struct op_mount m = { .from = NULL };

		if (plan_run_mount(p, &st->env, text, &m.options, err) < 0)
			return -1;
		op->mounts = xreallocarray(op->mounts, i + 1, sizeof(*op->mounts));
		op->mounts[i] = m;
		op->nmounts = i + 1;
		if (resolve(p, st, in, &op->mounts[i], ssh_number, err) < 0)
			return -1;
		ssh_number += m.options.type == RUN_MOUNT_SSH;
		put_definition(&op->mounts[i].options, definition);
	}
	return 0;
}

void plan_mask_secrets(const struct instruction *in, struct strv *env)
{
	const char *text;

	for (size_t i = 0; in->kind == INSTRUCTION_RUN && (text = instruction_flag_at(in, "mount", i)); i++) {
		auto_free char *name = run_mount_raw(text, "env");

		if (is_given(name))
			strv_env_set(env, name, "****");
	}
}
