#include "dockerfile/stages.h"

#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dockerfile/chars.h"
#include "dockerfile/suggest.h"

static const char *quote(char out[CHARS_QUOTE_SIZE], const char *s)
{
	return chars_quote(out, s, strlen(s));
}

static bool is_number(const char *s)
{
	s += *s == '-' || *s == '+';
	return *s && s[strspn(s, "0123456789")] == '\0';
}

int stages_copy_source(const struct dockerfile *df, const char *from, struct err *err)
{
	uint64_t n;

	if (!is_number(from))
		return dockerfile_find_stage_any_case(df, from, df->nstages);
	if (parse_u64(from + (*from == '+'), 0, df->nstages - 1, &n) == 0)
		return (int)n;
	err_set(err, ERR_DOCKERFILE, "invalid stage index %.*s", CHARS_QUOTE_MAX, from);
	return -2;
}

/* Read one field of a CSV record at s into out. Returns what follows its comma, NULL at the end of the record or when
 * it is malformed. */
static const char *read_field(const char *s, struct strbuf *out)
{
	size_t len;

	strbuf_reset(out);
	if (*s != '"') {
		len = strcspn(s, ",");
		strbuf_add(out, s, len);
		return s[len] ? s + len + 1 : NULL;
	}
	for (s++; *s; s++) {
		if (*s == '"' && *++s != '"')
			return *s == ',' ? s + 1 : NULL;
		strbuf_putc(out, *s);
	}
	return NULL;
}

void stages_each_mount_field(
	const char *mount, void (*field)(void *ctx, const char *key, const char *value), void *ctx)
{
	auto_strbuf text = STRBUF_INIT;

	while (mount) {
		char *equals;

		mount = read_field(mount, &text);
		equals = strchr(text.buf, '=');
		if (equals)
			*equals = '\0';
		field(ctx, text.buf, equals ? equals + 1 : "");
	}
}

struct wanted_field {
	const char *key;
	char *value;
};

static void take_field(void *ctx, const char *key, const char *value)
{
	struct wanted_field *wanted = ctx;

	if (strcasecmp(key, wanted->key) != 0)
		return;
	free(wanted->value);
	wanted->value = xstrdup(value);
}

char *stages_mount_field(const char *mount, const char *key)
{
	struct wanted_field wanted = {.key = key};

	stages_each_mount_field(mount, take_field, &wanted);
	return wanted.value;
}

/* The stages that one instruction takes files from: one, or one for each mount. */
struct sources {
	const struct dockerfile *df;
	const struct instruction *in;
	size_t mount;
	const char *text; /* of the flag that named the last one */
};

/* Returns 1 and *ret (an index) for the next one, 0 when there is none left, or -1 and *err. */
static int next_source(struct sources *s, size_t *ret, struct err *err)
{
	const char *value;
	int index;

	if (s->in->kind == INSTRUCTION_COPY && s->mount++ == 0) {
		s->text = value = instruction_flag(s->in, "from");
		index = value && *value ? stages_copy_source(s->df, value, err) : -1;
		*ret = (size_t)index;
		return index >= 0 ? 1 : index == -1 ? 0 : -1;
	}
	while (s->in->kind == INSTRUCTION_RUN && (value = instruction_flag_at(s->in, "mount", s->mount++))) {
		auto_free char *from = stages_mount_field(value, "from");

		s->text = value;
		index = from ? dockerfile_find_stage_any_case(s->df, from, s->df->nstages) : -1;
		*ret = (size_t)index;
		if (index >= 0)
			return 1;
	}
	return 0;
}

/* Instruction k of a stage: its FROM, then the others. */
static const struct instruction *instruction_at(const struct stage *st, size_t k)
{
	return k == 0 ? &st->from : &st->instructions[k - 1];
}

static int parent_of(const struct dockerfile *df, const int *parents, size_t index)
{
	return parents ? parents[index] : dockerfile_find_stage(df, df->stages[index].image, index);
}

struct frame {
	size_t stage, k;
	struct sources sources;
};

/* A walk over the graph, depth first with a stack of its own: ten thousand stages in a row are legal. */
struct graph {
	const struct dockerfile *df;
	const int *parents;
	unsigned char *color; /* 1: on the stack, 2: done */
	struct frame *stack;
	size_t depth;
};

static void enter(struct graph *g, size_t stage)
{
	g->color[stage] = 1;
	g->stack[g->depth++] = (struct frame){.stage = stage, .sources = {.df = g->df}};
}

/* The next stage that the one on top needs, as next_source(); *ret_in is where it says so. */
static int next_need(struct graph *g, size_t *ret, const struct instruction **ret_in, struct err *err)
{
	struct frame *top = &g->stack[g->depth - 1];
	const struct stage *st = &g->df->stages[top->stage];
	int parent, r;

	if (top->k == 0) {
		top->k++;
		top->sources.mount = 0;
		*ret_in = &st->from;
		parent = parent_of(g->df, g->parents, top->stage);
		*ret = (size_t)parent;
		if (parent >= 0)
			return 1;
	}
	for (; top->k <= st->ninstructions; top->k++, top->sources.mount = 0) {
		*ret_in = top->sources.in = instruction_at(st, top->k);
		r = next_source(&top->sources, ret, err);
		if (r != 0)
			return r;
	}
	return 0;
}

static int fail_at(struct dockerfile_location *loc, const struct instruction *in)
{
	*loc = (struct dockerfile_location){in->first_line, in->last_line};
	return -1;
}

static int walk_from(struct graph *g, size_t root, struct dockerfile_location *ret_loc, struct err *err)
{
	const struct instruction *in;
	size_t to;

	enter(g, root);
	while (g->depth > 0) {
		int r = next_need(g, &to, &in, err);

		if (r < 0)
			return fail_at(ret_loc, in);
		if (r == 0) {
			g->color[g->stack[--g->depth].stage] = 2;
			continue;
		}
		if (g->color[to] == 1) {
			err_set(err, ERR_DOCKERFILE, "circular dependency detected on stage: %s",
				g->df->stages[to].name ? g->df->stages[to].name : "(unnamed)");
			return fail_at(ret_loc, in);
		}
		if (g->color[to] == 0)
			enter(g, to);
	}
	return 0;
}

int stages_check(
	const struct dockerfile *df, const int *parents, struct dockerfile_location *ret_loc, struct err *err)
{
	auto_free unsigned char *color = xcalloc(df->nstages, 1);
	auto_free struct frame *stack = xcalloc(df->nstages, sizeof(*stack));
	struct graph g = {.df = df, .parents = parents, .color = color, .stack = stack};

	for (size_t i = 0; i < df->nstages; i++)
		if (color[i] == 0 && walk_from(&g, i, ret_loc, err) < 0)
			return -1;
	return 0;
}

/* The message for a stage that takes files from one which does not come before it. */
static int too_late(const struct stage *st, const struct sources *sources, struct err *err)
{
	static const char *const targets[] = {"target", "dst", "destination"};
	char quoted[CHARS_QUOTE_SIZE], here[CHARS_QUOTE_SIZE];
	auto_free char *from = NULL, *target = NULL;

	if (sources->in->kind == INSTRUCTION_COPY)
		return err_set(err, ERR_DOCKERFILE,
			"cannot copy from stage %s, it needs to be defined before current stage %s",
			quote(quoted, sources->text), quote(here, st->name ? st->name : ""));
	from = stages_mount_field(sources->text, "from");
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]) && !target; i++)
		target = stages_mount_field(sources->text, targets[i]);
	return err_set(err, ERR_DOCKERFILE,
		"cannot mount from stage %s to %s, stage needs to be defined before current command",
		quote(quoted, from), quote(here, target ? target : ""));
}

/* Mark what one needed stage needs. */
static int need_all(const struct dockerfile *df, const int *parents, size_t index, bool *needed,
	struct dockerfile_location *ret_loc, struct err *err)
{
	const struct stage *st = &df->stages[index];
	int parent = parent_of(df, parents, index);
	size_t to;
	int r;

	if (parent >= 0)
		needed[parent] = true;
	for (size_t k = 0; k < st->ninstructions; k++) {
		struct sources sources = {.df = df, .in = &st->instructions[k]};

		while ((r = next_source(&sources, &to, err)) > 0) {
			if (to >= index) {
				too_late(st, &sources, err);
				return fail_at(ret_loc, sources.in);
			}
			needed[to] = true;
		}
		if (r < 0)
			return fail_at(ret_loc, sources.in);
	}
	return 0;
}

int stages_need(const struct dockerfile *df, const int *parents, size_t target, bool *needed,
	struct dockerfile_location *ret_loc, struct err *err)
{
	needed[target] = true;
	/* What a stage needs comes before it, so one pass from the end finds all. */
	for (size_t i = target + 1; i-- > 0;)
		if (needed[i] && need_all(df, parents, i, needed, ret_loc, err) < 0)
			return -1;
	return 0;
}

/* The names of all stages, in the order of the file, then more of them; *ret_n. The caller frees the list alone. */
static const char **stage_names(const struct dockerfile *df, const char *const *more, size_t nmore, size_t *ret_n)
{
	const char **names = xcalloc(df->nstages + nmore + 1, sizeof(*names));
	size_t n = 0;

	for (size_t i = 0; i < df->nstages; i++)
		if (df->stages[i].name)
			names[n++] = df->stages[i].name;
	for (size_t i = 0; i < nmore; i++)
		names[n++] = more[i];
	*ret_n = n;
	return names;
}

int stages_find_target(const struct dockerfile *df, const char *target, struct err *err)
{
	char quoted[CHARS_QUOTE_SIZE];
	auto_free const char **names = NULL;
	size_t n;
	int index;

	if (!target || !*target)
		return (int)df->nstages - 1;
	index = dockerfile_find_stage_any_case(df, target, df->nstages);
	if (index >= 0)
		return index;
	names = stage_names(df, NULL, 0, &n);
	err_set(err, ERR_DOCKERFILE, "target stage %s could not be found", quote(quoted, target));
	return suggest_append(err, target, names, n, false);
}

int stages_suggest_image(const struct dockerfile *df, const char *name, struct err *err)
{
	static const char *const common[] = {"alpine", "busybox", "centos", "debian", "fedora", "golang", "httpd",
		"mariadb", "memcached", "mongo", "mysql", "nginx", "node", "openjdk", "php", "postgres", "python",
		"redis", "ruby", "rust", "scratch", "ubuntu"};
	size_t n;
	auto_free const char **names = stage_names(df, common, sizeof(common) / sizeof(common[0]), &n);

	return suggest_append(err, name, names, n, false);
}
