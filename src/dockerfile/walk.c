#include "dockerfile/walk.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mem.h"
#include "dockerfile/chars.h"
#include "dockerfile/expand.h"
#include "dockerfile/stages.h"
#include "oci/reference.h"

/* What a stage has when its base image gives none (2.1). */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct lookup {
	const struct vars *vars;
	void (*undefined)(void *ctx, const char *name);
	void *ctx;
};

static const char *look_up(void *ctx, const char *name)
{
	return vars_get(((struct lookup *)ctx)->vars, name);
}

static void tell_undefined(void *ctx, const char *name)
{
	const struct lookup *l = ctx;

	if (l->undefined)
		l->undefined(l->ctx, name);
}

char *walk_expand(struct walk *w, const struct vars *vars, const char *word, bool heredoc,
	void (*undefined)(void *ctx, const char *name), void *ctx, struct err *err)
{
	struct lookup l = {.vars = vars, .undefined = undefined, .ctx = ctx};
	const struct expand_env env = {.lookup = look_up, .ctx = &l, .undefined = tell_undefined, .work = &w->work};
	char *value = NULL;

	expand_word(word, heredoc ? '\\' : w->df->escape, heredoc ? EXPAND_SKIP_QUOTES : 0, &env, &value, err);
	return value;
}

const char *walk_build_arg(const struct walk *w, const char *name)
{
	return w->options->build_args ? strv_env_get(w->options->build_args, name) : NULL;
}

void walk_fail(struct walk *w, const struct instruction *in, const struct err *err)
{
	if (w->err.kind != ERR_NONE)
		return;
	w->err = *err;
	w->err.kind = ERR_DOCKERFILE;
	if (in)
		w->loc = (struct dockerfile_location){in->first_line, in->last_line};
}

/* ---- the global scope (2.8) ---- */

static int set_platform(struct walk *w, const char *prefix, const struct platform *p, struct err *err)
{
	char text[PLATFORM_STR_SIZE], name[32];
	const char *const values[][2] = {{"PLATFORM", text}, {"OS", p->os}, {"OSVERSION", p->os_version},
		{"ARCH", p->architecture}, {"VARIANT", p->variant}};

	platform_format(p, text);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const char *given;

		snprintf(name, sizeof(name), "%s%s", prefix, values[i][0]);
		given = walk_build_arg(w, name);
		if (vars_set(w->globals, name, given ? given : values[i][1], err) < 0)
			return -1;
	}
	return 0;
}

static int set_predefined(struct walk *w, struct err *err)
{
	const struct stage *last = &w->df->stages[w->df->nstages - 1];
	const char *target = w->options->target;

	if (!target || !*target)
		target = last->name ? last->name : "default";
	if (set_platform(w, "BUILD", &w->options->build_platform, err) < 0 ||
		set_platform(w, "TARGET", &w->options->target_platform, err) < 0)
		return -1;
	return vars_set(w->globals, "TARGETSTAGE", target, err);
}

/* One ARG before the first FROM. */
static int set_global(struct walk *w, const struct instruction *in, struct err *err)
{
	for (size_t i = 0; i < in->nkeys; i++) {
		const char *value = walk_build_arg(w, in->keys[i]);
		auto_free char *expanded = NULL;

		if (!value && in->values[i]) {
			value = expanded = walk_expand(w, w->globals, in->values[i], false, NULL, NULL, err);
			if (!value)
				return -1;
		}
		if (vars_set(w->globals, in->keys[i], value, err) < 0)
			return -1;
	}
	return 0;
}

static void set_globals(struct walk *w)
{
	struct err err = ERR_INIT;

	if (set_predefined(w, &err) < 0)
		walk_fail(w, NULL, &err);
	for (size_t i = 0; i < w->df->nglobal_args; i++) {
		err = (struct err)ERR_INIT;
		if (set_global(w, &w->df->global_args[i], &err) < 0)
			walk_fail(w, &w->df->global_args[i], &err);
	}
}

/* ---- FROM ---- */

struct unset_name {
	char name[64];
};

static void note_unset(void *ctx, const char *name)
{
	snprintf(((struct unset_name *)ctx)->name, sizeof(struct unset_name), "%s", name);
}

static int set_stage_platform(struct walk *w, struct walk_stage *st, struct err *err)
{
	struct unset_name unset = {""};
	struct err why = ERR_INIT;
	auto_free char *text = NULL;
	const char *near;

	st->platform = w->options->target_platform;
	if (!st->stage->platform)
		return 0;
	text = walk_expand(w, w->globals, st->stage->platform, false, note_unset, &unset, err);
	if (!text)
		return -1;
	if (!*text) {
		near = *unset.name ? vars_suggest(w->globals, unset.name) : NULL;
		return err_set(err, ERR_DOCKERFILE, "empty platform value from expression %s%s%s%s",
			st->stage->platform, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	}
	if (platform_parse(text, &w->options->build_platform, &st->platform, &why) < 0)
		return err_set(err, ERR_DOCKERFILE, "failed to parse platform %s: %s", st->stage->platform, why.msg);
	return 0;
}

static int set_from(struct walk *w, struct walk_stage *st, struct err *err)
{
	st->image = walk_expand(w, w->globals, st->stage->image, false, NULL, NULL, err);
	if (!st->image)
		return -1;
	if (!*st->image)
		return err_set(err, ERR_DOCKERFILE, "base name (%s) should not be blank", st->stage->image);
	st->parent = dockerfile_find_stage(w->df, st->image, st->index);
	return set_stage_platform(w, st, err);
}

static void set_froms(struct walk *w)
{
	for (size_t i = 0; i < w->df->nstages; i++) {
		struct walk_stage *st = &w->stages[i];
		struct err err = ERR_INIT;

		st->stage = &w->df->stages[i];
		st->index = i;
		st->parent = -1;
		if (set_from(w, st, &err) < 0)
			walk_fail(w, &st->stage->from, &err);
		w->parents[i] = st->parent;
	}
}

/* ---- which stages ---- */

static void find_needed(struct walk *w)
{
	struct dockerfile_location loc = {0, 0};
	struct err err = ERR_INIT;
	int target = stages_find_target(w->df, w->options->target, &err);

	if (target < 0)
		walk_fail(w, NULL, &err);
	w->target = target < 0 ? w->df->nstages - 1 : (size_t)target;
	err = (struct err)ERR_INIT;
	for (size_t i = 0; i < w->df->nstages; i++)
		w->needed[i] = w->options->all_stages;
	if (stages_check(w->df, w->parents, &loc, &err) < 0 ||
		stages_need(w->df, w->parents, w->options->all_stages ? w->df->nstages - 1 : w->target, w->needed, &loc,
			&err) < 0) {
		if (w->err.kind == ERR_NONE)
			w->loc = loc;
		walk_fail(w, NULL, &err);
	}
	for (size_t i = 0; i < w->df->nstages; i++)
		w->stages[i].needed = w->needed[i];
}

struct walk *walk_new(const struct walk_options *options)
{
	struct walk *w = xcalloc(1, sizeof(*w));

	w->options = options;
	w->df = options->df;
	w->work = WALK_WORK_MAX;
	w->globals = vars_new();
	w->vars = vars_new();
	w->stages = xcalloc(w->df->nstages, sizeof(*w->stages));
	w->parents = xcalloc(w->df->nstages, sizeof(*w->parents));
	w->needed = xcalloc(w->df->nstages, sizeof(*w->needed));
	set_globals(w);
	set_froms(w);
	find_needed(w);
	return w;
}

void walk_free(struct walk *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->df->nstages; i++)
		free(w->stages[i].image);
	vars_free(w->globals);
	vars_free(w->vars);
	arena_release(&w->arena);
	free(w->stages);
	free(w->parents);
	free(w->needed);
	free(w);
}

/* ---- the effect of instructions ---- */

static int set_args(struct walk *w, const struct instruction *in, struct err *err)
{
	for (size_t i = 0; i < in->nkeys; i++) {
		const char *value = walk_build_arg(w, in->keys[i]);
		auto_free char *expanded = NULL;

		/* 2.7: the build argument, else the default, else the global scope. */
		if (!value && in->values[i]) {
			value = expanded = walk_expand(w, w->vars, in->values[i], false, NULL, NULL, err);
			if (!value)
				return -1;
		} else if (!value) {
			value = vars_get(w->globals, in->keys[i]);
		}
		if (vars_set(w->vars, in->keys[i], value, err) < 0)
			return -1;
	}
	return 0;
}

/* All words see the variables from before the instruction (2.1). */
static int set_env(struct walk *w, const struct instruction *in, struct err *err)
{
	auto_strv pairs = STRV_INIT;

	for (size_t i = 0; i < in->nkeys; i++) {
		char *key = walk_expand(w, w->vars, in->keys[i], false, NULL, NULL, err), *value;

		if (!key)
			return -1;
		strv_take(&pairs, key);
		value = walk_expand(w, w->vars, in->values[i], false, NULL, NULL, err);
		if (!value)
			return -1;
		strv_take(&pairs, value);
	}
	for (size_t i = 0; i < pairs.len; i += 2)
		if (vars_set(w->vars, pairs.v[i], pairs.v[i + 1], err) < 0)
			return -1;
	return 0;
}

struct word_teller {
	void (*word)(void *ctx, const char *text, bool heredoc);
	void *ctx;
};

static void tell_mount_field(void *ctx, const char *key, const char *value)
{
	const struct word_teller *t = ctx;

	if (strcasecmp(key, "from") != 0)
		t->word(t->ctx, value, false);
}

static void each_flag_word(const struct instruction *in, const struct word_teller *t)
{
	static const char *const expanded[] = {"chown", "chmod", "checksum"};
	struct word_teller *to = (struct word_teller *)(uintptr_t)t; /* only read */

	for (size_t i = 0; i < in->nflags; i++) {
		if (in->kind == INSTRUCTION_RUN && strcmp(in->flags[i].name, "mount") == 0)
			stages_each_mount_field(in->flags[i].value, tell_mount_field, to);
		for (size_t k = 0; k < sizeof(expanded) / sizeof(expanded[0]); k++)
			if (strcmp(in->flags[i].name, expanded[k]) == 0)
				t->word(t->ctx, in->flags[i].value, false);
	}
}

void walk_each_word(const struct walk *w, const struct instruction *in,
	void (*word)(void *ctx, const char *text, bool heredoc), void *ctx)
{
	const struct word_teller t = {word, ctx};

	switch (in->kind) {
	case INSTRUCTION_ARG:
		for (size_t i = 0; i < in->nkeys; i++)
			if (in->values[i] && !walk_build_arg(w, in->keys[i]))
				word(ctx, in->values[i], false);
		break;
	case INSTRUCTION_ENV:
	case INSTRUCTION_LABEL:
		for (size_t i = 0; i < in->nkeys; i++) {
			word(ctx, in->keys[i], false);
			word(ctx, in->values[i], false);
		}
		break;
	case INSTRUCTION_COPY:
	case INSTRUCTION_ADD:
		for (size_t i = 0; i < in->nheredocs; i++)
			if (in->heredocs[i].expand)
				word(ctx, in->heredocs[i].content, true);
		/* fallthrough */
	case INSTRUCTION_WORKDIR:
	case INSTRUCTION_USER:
	case INSTRUCTION_VOLUME:
	case INSTRUCTION_STOPSIGNAL:
	case INSTRUCTION_EXPOSE:
		for (size_t i = 0; i < in->nargs; i++)
			word(ctx, in->args[i], false);
		/* fallthrough */
	case INSTRUCTION_RUN:
		each_flag_word(in, &t);
		break;
	default:
		break;
	}
}

struct trial {
	struct walk *w;
	struct err err;
};

static void try_word(void *ctx, const char *text, bool heredoc)
{
	struct trial *t = ctx;
	auto_free char *value = NULL;

	if (t->err.kind == ERR_NONE)
		value = walk_expand(t->w, t->w->vars, text, heredoc, NULL, NULL, &t->err);
}

/* The words of an instruction without effect here may still be wrong. */
static int try_words(struct walk *w, const struct instruction *in, struct err *err)
{
	struct trial t = {.w = w, .err = ERR_INIT};

	walk_each_word(w, in, try_word, &t);
	if (t.err.kind == ERR_NONE)
		return 0;
	*err = t.err;
	return -1;
}

static int take_effect(struct walk *w, struct walk_stage *st, const struct instruction *in, struct err *err)
{
	if (in->kind == INSTRUCTION_ARG)
		return set_args(w, in, err);
	if (in->kind == INSTRUCTION_ENV)
		return set_env(w, in, err);
	st->workdir |= in->kind == INSTRUCTION_WORKDIR;
	st->shell |= in->kind == INSTRUCTION_SHELL;
	return try_words(w, in, err);
}

static void visit(struct walk *w, const struct walk_visitor *v, struct walk_stage *st, const struct instruction *in)
{
	struct err err = ERR_INIT;

	if (v->instruction)
		v->instruction(v->ctx, w, st, in);
	if (take_effect(w, st, in, &err) < 0)
		walk_fail(w, in, &err);
	if (v->effect)
		v->effect(v->ctx, w, st, in);
}

/* ---- one stage ---- */

int walk_check_image(const char *image, struct err *err)
{
	struct reference ref = REFERENCE_INIT;
	char quoted[CHARS_QUOTE_SIZE];
	struct err why = ERR_INIT;
	enum transport transport;
	auto_free char *rest = NULL;
	int r = transport_parse(image, &transport, &rest, &why);

	if (r == 0 && transport == TRANSPORT_REGISTRY)
		r = reference_parse(rest, &ref, &why);
	reference_release(&ref);
	if (r == 0 || why.kind == ERR_UNSUPPORTED)
		return 0;
	return err_set(err, ERR_DOCKERFILE, "failed to parse stage name %s: %s",
		chars_quote(quoted, image, strlen(image)), why.msg);
}

static void set_image_env(struct walk *w, struct walk_stage *st, struct err *err)
{
	const struct strv *env = st->has_base ? st->base.env : NULL;

	for (size_t i = 0; env && i < env->len; i++) {
		auto_free char *name = xstrndup(env->v[i], strcspn(env->v[i], "="));
		const char *value = env->v[i] + strlen(name);

		if (vars_set(w->vars, name, *value ? value + 1 : "", err) < 0)
			return;
	}
	if (!vars_get(w->vars, "PATH"))
		vars_set(w->vars, "PATH", DEFAULT_PATH, err);
}

static void begin_stage(struct walk *w, const struct walk_visitor *v, struct walk_stage *st)
{
	const struct walk_options *o = w->options;
	struct err err = ERR_INIT;

	if (st->parent >= 0) {
		const struct walk_stage *parent = &w->stages[st->parent];

		st->base_known = parent->base_known;
		st->shell = parent->shell;
		st->workdir = parent->workdir;
		st->platform = parent->platform;
	} else if (st->image) {
		bool scratch = strcmp(st->image, "scratch") == 0;

		if (!scratch && *st->image && walk_check_image(st->image, &err) < 0)
			walk_fail(w, &st->stage->from, &err);
		st->has_base = !scratch && o->base && o->base(o->base_ctx, st->image, &st->platform, &st->base);
		st->base_known = scratch || st->has_base;
		st->shell = st->has_base && st->base.shell;
		set_image_env(w, st, &err);
	}
	if (err.kind != ERR_NONE)
		walk_fail(w, &st->stage->from, &err);
	if (v->stage)
		v->stage(v->ctx, w, st);
}

/* What the parent stage left to be done by those built from it (3.14). */
static void fire_triggers(struct walk *w, const struct walk_visitor *v, struct walk_stage *st)
{
	const struct stage *parent = st->parent >= 0 ? w->stages[st->parent].stage : NULL;

	for (size_t i = 0; parent && i < parent->ninstructions; i++) {
		const struct instruction *in = &parent->instructions[i];
		struct instruction *fired;
		struct err err = ERR_INIT;

		if (in->kind != INSTRUCTION_ONBUILD || !in->trigger)
			continue;
		if (w->triggers++ == WALK_TRIGGERS_MAX) {
			err_set(&err, ERR_DOCKERFILE, "more than %d ONBUILD triggers fire", WALK_TRIGGERS_MAX);
			walk_fail(w, &st->stage->from, &err);
		}
		if (w->triggers > WALK_TRIGGERS_MAX)
			return;
		fired = arena_memdup(&w->arena, in->trigger, sizeof(*in->trigger));
		fired->first_line = st->stage->from.first_line;
		fired->last_line = st->stage->from.last_line;
		visit(w, v, st, fired);
	}
}

static void run_stage(struct walk *w, const struct walk_visitor *v, struct walk_stage *st)
{
	begin_stage(w, v, st);
	fire_triggers(w, v, st);
	for (size_t i = 0; i < st->stage->ninstructions; i++)
		visit(w, v, st, &st->stage->instructions[i]);
}

/* Children of each stage as lists: first[parent + 1] and next[child], as index + 1, 0 for none; first[0] is the roots. */
struct forest {
	size_t *first, *next;
};

static void plant(const struct walk *w, struct forest *f)
{
	/* From the end, so that each list is in the order of the file. */
	for (size_t i = w->df->nstages; i-- > 0;) {
		size_t under = (size_t)(w->stages[i].parent + 1);

		if (!w->stages[i].needed)
			continue;
		f->next[i] = f->first[under];
		f->first[under] = i + 1;
	}
}

void walk_run(struct walk *w, const struct walk_visitor *v)
{
	size_t n = w->df->nstages, depth = 0;
	auto_free size_t *first = xcalloc(n + 1, sizeof(*first));
	auto_free size_t *next = xcalloc(n, sizeof(*next));
	auto_free size_t *stack = xcalloc(n + 1, sizeof(*stack)); /* children still to be visited, one list a level */
	auto_free size_t *marks = xcalloc(n + 1, sizeof(*marks)); /* the variables that those of a level begin with */
	struct forest f = {first, next};

	plant(w, &f);
	stack[0] = first[0];
	/* A stage begins with the variables its parent ended with: what its elder siblings set is undone first. */
	for (;;) {
		size_t at = stack[depth];

		if (at == 0) {
			if (depth-- == 0)
				break;
			continue;
		}
		vars_undo(w->vars, marks[depth]);
		stack[depth] = next[at - 1];
		run_stage(w, v, &w->stages[at - 1]);
		depth++;
		stack[depth] = first[at];
		marks[depth] = vars_mark(w->vars);
	}
}
