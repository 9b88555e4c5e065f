#include "dockerfile/outline.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mem.h"
#include "dockerfile/expand.h"
#include "dockerfile/stages.h"

const char *outline_description(const struct instruction *in, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = in->ncomments; i-- > 0;)
		if (strncmp(in->comments[i], name, len) == 0 && in->comments[i][len] == ' ')
			return in->comments[i] + len + 1;
	return NULL;
}

static char *dup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static struct outline_entry *find(struct outline_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i].name, name) == 0)
			return &list->v[i];
	return NULL;
}

/* The entry called name, a new one if there is none. NULL and *err when there are too many. */
static struct outline_entry *get(struct outline_list *list, const char *name, struct err *err)
{
	struct outline_entry *e = find(list, name);

	if (e)
		return e;
	if (list->n == OUTLINE_ENTRIES_MAX) {
		err_set(err, ERR_DOCKERFILE, "more than %d arguments or secrets to list", OUTLINE_ENTRIES_MAX);
		return NULL;
	}
	GROW(list->v, list->n, list->cap);
	list->v[list->n] = (struct outline_entry){.name = xstrdup(name)};
	return &list->v[list->n++];
}

struct maker {
	struct outline *out;
	struct vars *used; /* names of the global scope that matter */
	struct err err;
	struct walk *walk;
	const struct instruction *in; /* whose mounts are read */
};

/* Note an ARG; a later one of the same name takes its place, and an earlier one lends it a description. */
static void put_arg(struct maker *m, const struct instruction *in, const char *name, const char *value)
{
	const char *description = outline_description(in, name);
	struct outline_entry *e = get(&m->out->args, name, &m->err);

	if (!e)
		return;
	if (description && (!e->description || e->loc.first_line < in->first_line)) {
		free(e->description);
		e->description = xstrdup(description);
	}
	if (e->loc.first_line > in->first_line)
		return;
	e->loc = (struct dockerfile_location){in->first_line, in->last_line};
	free(e->value);
	e->value = dup_or_null(value);
}

/* ---- the global scope: only what somebody needs is listed ---- */

static const char *note_use(void *ctx, const char *name)
{
	struct maker *m = ctx;
	const char *value = vars_get(m->walk->globals, name);

	vars_set(m->used, name, NULL, &m->err);
	return value;
}

static void use_word(struct maker *m, const char *word)
{
	const struct expand_env env = {.lookup = note_use, .ctx = m, .work = &m->walk->work};
	auto_free char *value = NULL;
	struct err ignored = ERR_INIT;

	if (word)
		expand_word(word, m->walk->df->escape, 0, &env, &value, &ignored);
}

static void use_froms(struct maker *m)
{
	for (size_t i = 0; i < m->walk->df->nstages; i++) {
		if (!m->walk->stages[i].needed)
			continue;
		use_word(m, m->walk->df->stages[i].image);
		use_word(m, m->walk->df->stages[i].platform);
	}
}

/* From the last to the first, as a default can only use what stands before it. */
static void put_globals(struct maker *m)
{
	const struct dockerfile *df = m->walk->df;

	for (size_t i = df->nglobal_args; i-- > 0;) {
		const struct instruction *in = &df->global_args[i];

		for (size_t k = in->nkeys; k-- > 0;) {
			if (!vars_has(m->used, in->keys[k]))
				continue;
			if (in->values[k] && !walk_build_arg(m->walk, in->keys[k]))
				use_word(m, in->values[k]);
			put_arg(m, in, in->keys[k], vars_get(m->walk->globals, in->keys[k]));
		}
	}
}

/* ---- stages ---- */

static void after_arg(struct maker *m, const struct instruction *in)
{
	for (size_t i = 0; i < in->nkeys; i++) {
		if (!in->values[i] && vars_has(m->walk->globals, in->keys[i]))
			vars_set(m->used, in->keys[i], NULL, &m->err);
		put_arg(m, in, in->keys[i], vars_get(m->walk->vars, in->keys[i]));
	}
}

static bool is_true(const char *text)
{
	return strcmp(text, "1") == 0 || strcasecmp(text, "t") == 0 || strcasecmp(text, "true") == 0;
}

/* The value of a field of a mount with its variables expanded, NULL when there is none. */
static char *mount_value(struct maker *m, const char *mount, const char *key)
{
	auto_free char *raw = stages_mount_field(mount, key);
	struct err ignored = ERR_INIT;

	return raw ? walk_expand(m->walk, m->walk->vars, raw, false, NULL, NULL, &ignored) : NULL;
}

static void put_mount(struct maker *m, const struct instruction *in, const char *mount)
{
	static const char *const names[] = {"id", "source", "src", "target", "dst", "destination"};
	auto_free char *type = mount_value(m, mount, "type"), *required = mount_value(m, mount, "required");
	auto_free char *id = NULL;
	bool secret = type && strcasecmp(type, "secret") == 0, ssh = type && strcasecmp(type, "ssh") == 0;
	struct outline_entry *e;

	if (!secret && !ssh)
		return;
	for (size_t i = 0; i < (ssh ? 1 : sizeof(names) / sizeof(names[0])) && !id; i++) {
		auto_free char *value = mount_value(m, mount, names[i]);

		if (value && *value)
			id = xstrdup(i < 3 ? value : strrchr(value, '/') ? strrchr(value, '/') + 1 : value);
	}
	if (!id && secret)
		return;
	e = get(secret ? &m->out->secrets : &m->out->ssh, id ? id : "default", &m->err);
	if (!e)
		return;
	if (e->loc.first_line == 0)
		e->loc = (struct dockerfile_location){in->first_line, in->last_line};
	e->required |= required && (!*required || is_true(required));
}

static void on_instruction(void *ctx, struct walk *w, struct walk_stage *st, const struct instruction *in)
{
	(void)w;
	(void)st;
	if (in->kind != INSTRUCTION_RUN)
		return;
	for (size_t i = 0; i < in->nflags; i++)
		if (strcmp(in->flags[i].name, "mount") == 0)
			put_mount(ctx, in, in->flags[i].value);
}

static void on_effect(void *ctx, struct walk *w, struct walk_stage *st, const struct instruction *in)
{
	(void)w;
	(void)st;
	if (in->kind == INSTRUCTION_ARG)
		after_arg(ctx, in);
}

static int by_line(const void *a, const void *b)
{
	const struct outline_entry *x = a, *y = b;

	if (x->loc.first_line != y->loc.first_line)
		return x->loc.first_line < y->loc.first_line ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void sort(struct outline_list *list)
{
	if (list->n)
		qsort(list->v, list->n, sizeof(*list->v), by_line);
}

int outline_make(const struct walk_options *options, struct outline *ret, struct dockerfile_location *ret_loc,
	struct err *err)
{
	struct outline out = OUTLINE_INIT;
	struct walk *w = walk_new(options);
	struct maker m = {.out = &out, .used = vars_new(), .err = ERR_INIT, .walk = w};
	const struct walk_visitor visitor = {.instruction = on_instruction, .effect = on_effect, .ctx = &m};
	const struct stage *target = &w->df->stages[w->target];

	walk_run(w, &visitor);
	use_froms(&m);
	put_globals(&m);
	sort(&out.args);
	sort(&out.secrets);
	sort(&out.ssh);
	out.name = dup_or_null(target->name);
	if (target->name_as_written)
		out.description = dup_or_null(outline_description(&target->from, target->name_as_written));
	if (m.err.kind != ERR_NONE)
		walk_fail(w, NULL, &m.err);
	*err = w->err;
	*ret_loc = w->loc;
	vars_free(m.used);
	walk_free(w);
	if (err->kind != ERR_NONE) {
		outline_release(&out);
		return -1;
	}
	*ret = out;
	return 0;
}

static void release_list(struct outline_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].name);
		free(list->v[i].value);
		free(list->v[i].description);
	}
	free(list->v);
}

void outline_release(struct outline *o)
{
	free(o->name);
	free(o->description);
	release_list(&o->args);
	release_list(&o->secrets);
	release_list(&o->ssh);
	*o = (struct outline)OUTLINE_INIT;
}
