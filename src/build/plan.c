#include "build/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "build/plan_context.h"
#include "build/plan_internal.h"
#include "dockerfile/expand.h"
#include "dockerfile/stages.h"
#include "dockerfile/suggest.h"

#define HEREDOC_SUMMARY_MAX ((size_t)200) /* bytes in the name of a step */
#define KEY_VERSION "whittle step 1" /* changes when the meaning of a key does */

static const char *lookup_env(void *ctx, const char *name)
{
	return strv_env_get(ctx, name);
}

int plan_expand(const struct planner *p, const struct strv *env, const char *word, char **ret, struct err *err)
{
	struct strv *list = (struct strv *)(uintptr_t)env; /* only read */
	struct expand_env e = { .lookup = lookup_env, .ctx = list };

	return expand_word(word, p->df->escape, 0, &e, ret, err);
}

int plan_run_mount(const struct planner *p, const struct strv *env, const char *text, struct run_mount *ret,
	struct err *err)
{
	struct strv *list = (struct strv *)(uintptr_t)env; /* only read */
	struct expand_env e = { .lookup = lookup_env, .ctx = list };

	return run_mount_parse(text, p->df->escape, &e, ret, err);
}

int plan_expand_heredoc(const struct strv *env, const char *content, char **ret, struct err *err)
{
	struct strv *list = (struct strv *)(uintptr_t)env; /* only read */
	struct expand_env e = { .lookup = lookup_env, .ctx = list };

	return expand_word(content, '\\', EXPAND_SKIP_QUOTES, &e, ret, err);
}

const char *plan_build_arg(const struct planner *p, const char *name)
{
	return strv_env_get(&p->options->build_args, name);
}

/* ---- keys and the list of operations ---- */

static void put_input(struct strbuf *sb, const struct op *op)
{
	if (op)
		wire_put_bytes(sb, op->tree, DIGEST_SIZE);
	else
		wire_put_str(sb, "");
}

/* The key of a --link says nothing of what is below; what stands on it must know. */
static void set_tree(struct op *op)
{
	auto_strbuf text = STRBUF_INIT;

	if (!op->link) {
		memcpy(op->tree, op->key, DIGEST_SIZE);
		return;
	}
	wire_put_bytes(&text, op->key, DIGEST_SIZE);
	put_input(&text, op->base);
	sha256_buf(text.buf, text.len, op->tree);
}

struct op *plan_add(struct planner *p, struct op *op, struct strbuf *definition)
{
	auto_strbuf text = STRBUF_INIT;
	char platform[PLATFORM_STR_SIZE];

	platform_format(&op->platform, platform);
	wire_put_str(&text, KEY_VERSION);
	wire_put_u64(&text, op->kind);
	wire_put_str(&text, platform);
	wire_put_bytes(&text, definition->buf, definition->len);
	sha256_buf(text.buf, text.len, op->self);
	strbuf_reset(&text);
	wire_put_bytes(&text, op->self, DIGEST_SIZE);
	put_input(&text, op->link ? NULL : op->base);
	for (size_t i = 0; i < op_inputs(op); i++)
		put_input(&text, op_input(op, i));
	wire_put_bytes(&text, op->context_digest, DIGEST_SIZE);
	sha256_buf(text.buf, text.len, op->key);
	set_tree(op);
	for (struct op *o = p->plan->first; o; o = o->next)
		if (memcmp(o->tree, op->tree, DIGEST_SIZE) == 0) {
			o->no_cache |= op->no_cache;
			op_free(op);
			return o;
		}
	if (p->plan->last)
		p->plan->last->next = op;
	else
		p->plan->first = op;
	p->plan->last = op;
	return op;
}

/* ---- names ---- */

static void stage_label(const struct stage_state *st, struct strbuf *sb)
{
	if (st->stage->name)
		strbuf_puts(sb, st->stage->name);
	else
		strbuf_printf(sb, "stage-%zu", st->index);
}

/* " (first line...)" of the script of a RUN (5.2). */
static void summarize_heredoc(const struct instruction *in, struct strbuf *sb)
{
	const char *text;
	size_t n;

	if (in->kind != INSTRUCTION_RUN || in->nheredocs == 0)
		return;
	text = in->heredocs[0].content + strspn(in->heredocs[0].content, " \t\r\n");
	n = strcspn(text, "\r\n");
	strbuf_printf(sb, " (%.*s%s)", (int)(n < HEREDOC_SUMMARY_MAX ? n : HEREDOC_SUMMARY_MAX), text,
		n > HEREDOC_SUMMARY_MAX || text[n + strspn(text + n, " \t\r\n")] ? "..." : "");
}

/* The source line with its verb in capitals and its variables expanded, as far as that goes. */
static char *step_text(const struct stage_state *st, const struct instruction *in)
{
	auto_strv env = STRV_INIT;
	auto_strbuf heredoc = STRBUF_INIT;
	struct expand_env e = { .lookup = lookup_env, .ctx = &env };
	struct err ignored = ERR_INIT;
	const char *rest = in->original + strcspn(in->original, " \t");
	auto_free char *expanded = NULL;

	rest += strspn(rest, " \t");
	strv_copy(&env, &st->env);
	plan_mask_secrets(in, &env);
	if (expand_word(rest, '\\', EXPAND_RAW_QUOTES | EXPAND_RAW_ESCAPES | EXPAND_SKIP_UNSET, &e, &expanded,
		    &ignored) == 0)
		rest = expanded;
	summarize_heredoc(in, &heredoc);
	return xasprintf("%s%s %s%s", st->firing ? "ONBUILD " : "", instruction_kind_name(in->kind), rest, heredoc.buf);
}

static unsigned digits(unsigned n)
{
	return n < 10 ? 1 : 1 + digits(n / 10);
}

char *plan_step_name(const struct planner *p, struct stage_state *st, const struct instruction *in)
{
	auto_strbuf sb = STRBUF_INIT;
	auto_free char *text = step_text(st, in);
	char platform[PLATFORM_STR_SIZE];

	st->step++;
	strbuf_putc(&sb, '[');
	if (p->show_platform) {
		platform_format(&st->platform, platform);
		strbuf_printf(&sb, "%s ", platform);
	}
	if (p->df->nstages > 1) {
		stage_label(st, &sb);
		strbuf_putc(&sb, ' ');
	}
	strbuf_printf(&sb, "%*u/%u] %s", (int)digits(st->steps), st->step, st->steps, text);
	return strbuf_take(&sb);
}

/* ---- stages ---- */

static int fail_at(struct planner *p, const struct instruction *in, struct err *err)
{
	if (p->loc->first_line == 0)
		*p->loc = (struct dockerfile_location){ in->first_line, in->last_line };
	if (err->kind == ERR_UNSUPPORTED || err->kind == ERR_USAGE)
		err->kind = ERR_DOCKERFILE;
	return -1;
}

struct unset_search {
	const struct strv *env;
	char *name; /* the last unset one */
};

static const char *lookup_searched(void *ctx, const char *name)
{
	return strv_env_get(((struct unset_search *)ctx)->env, name);
}

static void note_unset(void *ctx, const char *name)
{
	struct unset_search *search = ctx;

	free(search->name);
	search->name = xstrdup(name);
}

/* Add what may have been meant by the variable in word that the global scope does not have. Always returns -1. */
static int suggest_global(const struct planner *p, const char *word, struct err *err)
{
	struct unset_search search = { .env = &p->globals };
	struct expand_env e = { .lookup = lookup_searched, .ctx = &search, .undefined = note_unset };
	auto_free char *value = NULL;
	auto_strv names = STRV_INIT;
	struct err ignored = ERR_INIT;

	expand_word(word, p->df->escape, 0, &e, &value, &ignored);
	for (size_t i = 0; i < p->globals.len; i++)
		strv_take(&names, xstrndup(p->globals.v[i], strcspn(p->globals.v[i], "=")));
	if (search.name)
		suggest_append(err, search.name, (const char *const *)names.v, names.len, false);
	free(search.name);
	return -1;
}

static int stage_platform(struct planner *p, struct stage_state *st, struct err *err)
{
	auto_free char *text = NULL;
	struct err why = ERR_INIT;

	st->platform = p->target;
	if (!st->stage->platform)
		return 0;
	if (plan_expand(p, &p->globals, st->stage->platform, &text, err) < 0)
		return -1;
	if (!*text) {
		err_set(err, ERR_DOCKERFILE, "empty platform value from expression %s", st->stage->platform);
		return suggest_global(p, st->stage->platform, err);
	}
	if (platform_parse(text, &p->build_platform, &st->platform, &why) < 0)
		return err_set(err, ERR_DOCKERFILE, "failed to parse platform %s: %s", st->stage->platform, why.msg);
	return 0;
}

/* A copy of the stage it is built from, but for what belongs to one stage alone. */
static void inherit(struct stage_state *st, const struct stage_state *parent)
{
	st->tip = parent->tip;
	st->platform = parent->platform;
	config_copy(&parent->config, &st->config);
	strv_copy(&st->env, &parent->env);
	strv_copy(&st->args, &parent->args);
}

/* The operation of an image that another stage named before, for the same platform. */
static struct op *find_image(struct planner *p, const struct stage_state *st, const char *name)
{
	for (struct op *op = p->plan->first; op; op = op->next)
		if (op->kind == OP_IMAGE && strcmp(op->image->name, name) == 0 &&
			platform_equal(&op->platform, &st->platform))
			return op;
	return NULL;
}

/* An operation for an image, resolved now. NULL and *err when it cannot be. */
static struct op *resolve_image(struct planner *p, struct stage_state *st, const char *name,
	const struct instruction *in, struct err *err)
{
	struct resolve_options o = { .platform = &st->platform, .always_pull = p->options->pull };
	auto_free char *title = xasprintf("[internal] load metadata for %s", name);
	unsigned vertex = progress_start(p->session->progress, title);
	struct op *op = xcalloc(1, sizeof(*op));

	op->kind = OP_IMAGE;
	op->platform = st->platform;
	op->location = (struct dockerfile_location){ in->first_line, in->last_line };
	op->image = image_resolve(p->session, name, &o, err);
	if (!op->image) {
		err_wrap(err, "%s", name);
		progress_emit(p->session->progress, PROGRESS_ERROR, vertex, err->msg, strlen(err->msg));
		op_free(op);
		return NULL;
	}
	progress_emit(p->session->progress, PROGRESS_DONE, vertex, NULL, 0);
	return op;
}

static struct op *add_image(struct planner *p, struct op *op)
{
	auto_strbuf definition = STRBUF_INIT;

	wire_put_str(&definition, op->image->digest);
	return plan_add(p, op, &definition);
}

/* The triggers of what the stage is built from: they count among its steps (3.14). */
static int load_triggers(struct planner *p, struct stage_state *st, const struct strv *texts, struct err *err)
{
	struct instruction *all = arena_alloc(&p->arena, sizeof(*all) * (texts->len + 1));

	for (size_t i = 0; i < texts->len; i++) {
		if (dockerfile_parse_instruction(&p->arena, texts->v[i], &all[i], err) < 0)
			return err_wrap(err, "ONBUILD trigger '%s'", texts->v[i]);
		all[i].first_line = st->stage->from.first_line;
		all[i].last_line = st->stage->from.last_line;
		st->steps += plan_counts(&all[i]);
	}
	st->triggers = all;
	st->ntriggers = texts->len;
	return 0;
}

struct op *plan_image(struct planner *p, struct stage_state *st, const char *name, const struct instruction *in,
	bool as_step, struct err *err)
{
	struct op *op = find_image(p, st, name);

	if (op) {
		st->step += as_step;
		return op;
	}
	op = resolve_image(p, st, name, in, err);
	if (!op)
		return NULL;
	op->name = as_step ? plan_step_name(p, st, in) : xasprintf("FROM %s", name);
	return add_image(p, op);
}

void plan_start_config(struct stage_state *st, const struct resolved_image *image)
{
	if (image) {
		config_copy(&image->config, &st->config);
		config_history_repair(&st->config);
		strv_release(&st->config.diff_ids);
	} else {
		config_init_scratch(&st->platform, &st->config);
	}
	st->config.platform = st->platform;
	free(st->config.created);
	st->config.created = NULL;
	config_default_path(&st->config);
	strv_copy(&st->env, &st->config.env);
}

static int start_from_image(struct planner *p, struct stage_state *st, const char *name, struct err *err)
{
	struct op *op = plan_image(p, st, name, &st->stage->from, true, err);

	if (!op)
		return stages_suggest_image(p->df, name, err);
	if (load_triggers(p, st, &op->image->config.on_build, err) < 0)
		return -1;
	plan_start_config(st, op->image);
	/* An image without layers is an empty tree with a config (3.1.6). */
	st->tip = op->image->chain.len ? op : NULL;
	return 0;
}

static int start_stage(struct planner *p, struct stage_state *st, struct err *err)
{
	auto_free char *image = NULL;
	int parent, named;

	if (stage_platform(p, st, err) < 0)
		return -1;
	named = st->stage->name ? plan_start_named(p, st, st->stage->name, err) : 0;
	if (named != 0) {
		st->replaced = true;
		return named < 0 ? -1 : 0;
	}
	if (plan_expand(p, &p->globals, st->stage->image, &image, err) < 0)
		return -1;
	if (!*image)
		return err_set(err, ERR_DOCKERFILE, "base name (%s) should not be blank", st->stage->image);
	parent = dockerfile_find_stage(p->df, image, st->index);
	if (parent >= 0) {
		if (plan_stage(p, (size_t)parent, err) < 0)
			return -1;
		inherit(st, &p->stages[parent]);
		return load_triggers(p, st, &st->config.on_build, err);
	}
	if (strcmp(image, "scratch") == 0) {
		plan_start_config(st, NULL);
		return 0;
	}
	named = plan_start_named(p, st, image, err);
	if (named != 0)
		return named < 0 ? -1 : 0;
	return start_from_image(p, st, image, err);
}

/* Triggers of the base run before the stage's own instructions, and are gone from the result (3.14). */
static int fire_triggers(struct planner *p, struct stage_state *st, struct err *err)
{
	strv_release(&st->config.on_build);
	st->firing = true;
	for (size_t i = 0; i < st->ntriggers; i++)
		if (plan_instruction(p, st, &st->triggers[i], err) < 0)
			return -1;
	st->firing = false;
	return 0;
}

int plan_stage(struct planner *p, size_t index, struct err *err)
{
	struct stage_state *st = &p->stages[index];

	if (st->progress == STAGE_READY)
		return 0;
	st->progress = STAGE_OPEN;
	st->index = index;
	st->stage = &p->df->stages[index];
	st->steps = dockerfile_find_stage(p->df, st->stage->image, index) < 0 &&
		    strcmp(st->stage->image, "scratch") != 0;
	for (size_t i = 0; i < st->stage->ninstructions; i++)
		st->steps += plan_counts(&st->stage->instructions[i]);
	if (start_stage(p, st, err) < 0 || (!st->replaced && fire_triggers(p, st, err) < 0))
		return fail_at(p, &st->stage->from, err);
	for (size_t i = 0; !st->replaced && i < st->stage->ninstructions; i++)
		if (plan_instruction(p, st, &st->stage->instructions[i], err) < 0)
			return fail_at(p, &st->stage->instructions[i], err);
	st->progress = STAGE_READY;
	return 0;
}

/* ---- global scope (2.8) ---- */

static void set_platform_args(struct planner *p)
{
	const struct {
		const char *prefix;
		const struct platform *platform;
	} both[] = { { "BUILD", &p->build_platform }, { "TARGET", &p->target } };
	char text[PLATFORM_STR_SIZE], name[32];

	for (size_t i = 0; i < 2; i++) {
		const struct platform *pl = both[i].platform;
		const char *values[][2] = { { "PLATFORM", text }, { "OS", pl->os }, { "OSVERSION", pl->os_version },
			{ "ARCH", pl->architecture }, { "VARIANT", pl->variant } };

		platform_format(pl, text);
		for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
			snprintf(name, sizeof(name), "%s%s", both[i].prefix, values[k][0]);
			strv_env_set(&p->globals, name,
				plan_build_arg(p, name) ? plan_build_arg(p, name) : values[k][1]);
		}
	}
}

static int set_globals(struct planner *p, struct err *err)
{
	const char *target = p->options->target;
	const struct stage *last = &p->df->stages[p->df->nstages - 1];

	strv_release(&p->globals);
	set_platform_args(p);
	strv_env_set(&p->globals, "TARGETSTAGE", target ? target : last->name ? last->name : "default");
	for (size_t i = 0; i < p->df->nglobal_args; i++) {
		const struct instruction *in = &p->df->global_args[i];

		for (size_t k = 0; k < in->nkeys; k++) {
			const char *given = plan_build_arg(p, in->keys[k]);
			auto_free char *value = NULL;

			strv_add(&p->declared, in->keys[k]);
			if (given) {
				strv_env_set(&p->globals, in->keys[k], given);
				continue;
			}
			if (!in->values[k])
				continue;
			if (plan_expand(p, &p->globals, in->values[k], &value, err) < 0)
				return fail_at(p, in, err);
			strv_env_set(&p->globals, in->keys[k], value);
		}
	}
	return 0;
}

static const struct instruction *global_arg(const struct planner *p, const char *name)
{
	for (size_t i = 0; i < p->df->nglobal_args; i++)
		for (size_t k = 0; k < p->df->global_args[i].nkeys; k++)
			if (strcmp(p->df->global_args[i].keys[k], name) == 0)
				return &p->df->global_args[i];
	return NULL;
}

/* The build argument, which the options hold as a number, else the default of a global ARG; empty is none (6.7). */
static int set_epoch(struct planner *p, struct err *err)
{
	const struct instruction *arg = global_arg(p, "SOURCE_DATE_EPOCH");
	const char *text = arg ? strv_env_get(&p->globals, "SOURCE_DATE_EPOCH") : NULL;
	uint64_t seconds;

	p->plan->epoch = p->options->epoch;
	if (!plan_build_arg(p, "SOURCE_DATE_EPOCH") && text && *text) {
		if (parse_u64(text, 0, EPOCH_MAX, &seconds) < 0) {
			err_set(err, ERR_DOCKERFILE, "invalid SOURCE_DATE_EPOCH: %.200s", text);
			return fail_at(p, arg, err);
		}
		p->plan->epoch = (int64_t)seconds;
	}
	if (p->plan->epoch != LAYER_EPOCH_NONE)
		p->now = p->plan->epoch;
	return 0;
}

/* ---- the plan ---- */

static void release_stages(struct planner *p)
{
	for (size_t i = 0; p->stages && i < p->df->nstages; i++) {
		config_release(&p->stages[i].config);
		strv_release(&p->stages[i].env);
		strv_release(&p->stages[i].args);
	}
	free(p->stages);
	p->stages = NULL;
}

static int plan_target(struct planner *p, const struct platform *platform, size_t target, struct err *err)
{
	struct plan_target *t;
	int rc;

	p->target = *platform;
	p->stages = xcalloc(p->df->nstages, sizeof(*p->stages));
	rc = set_globals(p, err);
	if (rc == 0)
		rc = set_epoch(p, err);
	if (rc == 0)
		rc = plan_stage(p, target, err);
	if (rc == 0) {
		t = &p->plan->targets[p->plan->ntargets++];
		t->platform = p->stages[target].platform;
		t->tip = p->stages[target].tip;
		config_copy(&p->stages[target].config, &t->config);
		for (size_t i = 0; i + 1 < p->options->labels.len; i += 2)
			pairs_set(&t->config.labels, p->options->labels.v[i], p->options->labels.v[i + 1]);
	}
	release_stages(p);
	return rc;
}

int plan_make(struct session *s, const struct build_options *options, const struct context *context,
	const struct dockerfile *df, struct plan *ret, struct dockerfile_location *loc, struct err *err)
{
	struct planner p = { .session = s, .options = options, .context = context, .df = df, .plan = ret,
		.loc = loc, .arena = ARENA_INIT };
	struct platform host;
	int rc, target;

	platform_host(&p.build_platform);
	host = p.build_platform;
	p.show_platform = options->nplatforms > 1;
	ret->epoch = LAYER_EPOCH_NONE;
	p.now = clock_wall();
	target = stages_find_target(df, options->target, err);
	rc = target < 0 ? -1 : stages_check(df, NULL, loc, err);
	ret->targets = xcalloc(options->nplatforms + 1, sizeof(*ret->targets));
	if (rc == 0 && options->nplatforms == 0)
		rc = plan_target(&p, &host, (size_t)target, err);
	for (size_t i = 0; rc == 0 && i < options->nplatforms; i++)
		rc = plan_target(&p, &options->platforms[i], (size_t)target, err);
	if (rc == 0)
		plan_warn_unused_args(&p);
	strv_release(&p.declared);
	strv_release(&p.globals);
	arena_release(&p.arena);
	return rc;
}

bool plan_keeps_git_dir(const struct build_options *options)
{
	const char *value = strv_env_get(&options->build_args, "BUILDKIT_CONTEXT_KEEP_GIT_DIR");

	return value && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0);
}

void plan_release(struct session *s, struct plan *plan)
{
	for (struct op *op = plan->first, *next; op; op = next) {
		next = op->next;
		op_free(op);
	}
	for (size_t i = 0; i < plan->ntargets; i++)
		config_release(&plan->targets[i].config);
	free(plan->targets);
	for (struct origin *o = plan->origins, *next; o; o = next) {
		next = o->next;
		origin_free(s, o);
	}
	plan_contexts_free(s, plan->contexts);
	*plan = (struct plan)PLAN_INIT;
}
