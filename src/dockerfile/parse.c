#include "dockerfile/parse.h"

#include <limits.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "dockerfile/chars.h"
#include "dockerfile/check.h"
#include "dockerfile/grammar.h"
#include "dockerfile/lexer.h"

/* What an excerpt shows of one line, and of one range: enough to recognise it. */
#define EXCERPT_LINE_MAX 512
#define EXCERPT_LINES_MAX 200

/* One named stage; the index is sorted by name, then number. */
struct stage_name {
	const char *name;
	size_t index;
};

DEFINE_AUTO(struct dockerfile *, dockerfile_free)

struct instruction_list {
	struct instruction *v;
	size_t n, cap;
};

static void instruction_list_release(struct instruction_list *list)
{
	free(list->v);
}
#define auto_list __attribute__((cleanup(instruction_list_release))) struct instruction_list

static void set_location(struct dockerfile_location *loc, const struct instruction *in)
{
	loc->first_line = in->first_line;
	loc->last_line = in->last_line;
}

/* Turn one logical line, and the heredocs behind it, into an instruction that is not yet checked.
 */
static int read_instruction(
	struct lexer *lx, struct logical_line *line, struct instruction *ret, struct err *err)
{
	struct heredoc *docs = NULL;
	size_t ndocs = 0;

	if (grammar_parse(lx->arena, line->text, lx->escape, ret, err) < 0)
		return -1;
	if (grammar_takes_heredocs(ret) && lexer_heredocs(lx, line, &docs, &ndocs, err) < 0)
		return -1;
	ret->heredocs = docs;
	ret->nheredocs = ndocs;
	ret->first_line = line->first_line;
	ret->last_line = line->last_line;
	ret->empty_continuation = line->empty_continuation;
	ret->comments = line->comments;
	ret->ncomments = line->ncomments;
	return 0;
}

/* First pass: everything the lexer and the grammar can tell, without looking at rules of
 * instructions. */
static int read_all(struct lexer *lx, struct instruction_list *list,
	struct dockerfile_location *loc, struct err *err)
{
	struct logical_line line;
	int r;

	while ((r = lexer_next(lx, &line, loc, err)) > 0) {
		loc->first_line = line.first_line;
		loc->last_line = line.last_line;
		if (list->n == DOCKERFILE_INSTRUCTIONS_MAX)
			return err_set(err, ERR_DOCKERFILE,
				"the Dockerfile has more than %d instructions",
				DOCKERFILE_INSTRUCTIONS_MAX);
		GROW(list->v, list->n, list->cap);
		if (read_instruction(lx, &line, &list->v[list->n], err) < 0) {
			loc->last_line = line.last_line;
			return -1;
		}
		list->n++;
	}
	if (r < 0)
		return -1;
	*loc = (struct dockerfile_location){0, 0};
	if (list->n == 0)
		return err_set(err, ERR_DOCKERFILE, "file with no instructions");
	return 0;
}

/* Second pass: the rules of each instruction, and that all stand in a stage. *ret_good is how many of them keep the
 * rules, *ret_nstages how many stages these make. */
static int check_all(struct arena *arena, char escape, struct instruction_list *list, size_t *ret_good,
	size_t *ret_nstages, struct dockerfile_location *loc, struct err *err)
{
	size_t nstages = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct instruction *in = &list->v[i];

		*ret_good = i;
		*ret_nstages = nstages;
		set_location(loc, in);
		if (check_instruction(arena, in, err) < 0)
			return err_wrap(err, "dockerfile parse error on line %d", in->first_line);
		if (in->kind == INSTRUCTION_FROM && ++nstages > DOCKERFILE_STAGES_MAX)
			return err_set(err, ERR_DOCKERFILE,
				"the Dockerfile has more than %d stages", DOCKERFILE_STAGES_MAX);
		if (nstages == 0 && in->kind != INSTRUCTION_ARG)
			return err_set(err, ERR_DOCKERFILE, "no build stage in current context");
		if (check_from_flag(in, escape, err) < 0)
			return -1;
	}
	*loc = (struct dockerfile_location){0, 0};
	*ret_good = list->n;
	*ret_nstages = nstages;
	if (nstages == 0)
		return err_set(err, ERR_DOCKERFILE, "dockerfile contains no stages to build");
	return 0;
}

static void set_stage(struct arena *arena, struct stage *stage, const struct instruction *from)
{
	stage->from = *from;
	stage->image = from->args[0];
	stage->platform = instruction_flag(from, "platform");
	if (from->nargs == 3) {
		char *name = arena_strdup(arena, from->args[2]);

		for (char *p = name; *p; p++)
			*p = chars_lower(*p);
		stage->name = name;
		stage->name_as_written = from->args[2];
	}
}

static int compare_names(const void *a, const void *b)
{
	const struct stage_name *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r != 0 ? r : (x->index > y->index) - (x->index < y->index);
}

static void index_stages(struct dockerfile *df)
{
	struct stage_name *names = arena_alloc(&df->arena, sizeof(*names) * (df->nstages + 1));
	size_t n = 0;

	for (size_t i = 0; i < df->nstages; i++)
		if (df->stages[i].name)
			names[n++] = (struct stage_name){df->stages[i].name, i};
	qsort(names, n, sizeof(*names), compare_names);
	df->names = names;
	df->nnames = n;
}

/* Lay out what was read: the instructions of a stage follow its FROM in one array, which df takes over. */
static void build_stages(struct dockerfile *df, struct instruction *all, size_t n, size_t nstages)
{
	struct stage *stage = NULL;

	df->all = all;
	df->stages = arena_alloc(&df->arena, sizeof(*df->stages) * (nstages + 1));
	df->global_args = all;
	for (size_t i = 0; i < n; i++) {
		if (all[i].kind == INSTRUCTION_FROM) {
			stage = &df->stages[df->nstages++];
			set_stage(&df->arena, stage, &all[i]);
			stage->instructions = &all[i] + 1;
		} else if (stage) {
			stage->ninstructions++;
		} else {
			df->nglobal_args++;
		}
	}
	index_stages(df);
}

/* On failure *ret_prefix tells whether df holds the part before the mistake. */
static int parse_into(struct dockerfile *df, struct lexer *lx, bool *ret_prefix,
	struct dockerfile_location *ret_loc, struct err *err)
{
	auto_list list = {0};
	size_t good = 0, nstages = 0;
	int r;

	*ret_prefix = false;
	if (read_all(lx, &list, ret_loc, err) < 0)
		return -1;
	df->escape = lx->escape;
	r = check_all(&df->arena, df->escape, &list, &good, &nstages, ret_loc, err);
	df->partial = *ret_prefix = r < 0;
	build_stages(df, take_ptr(list.v), good, nstages);
	return r;
}

struct dockerfile *dockerfile_parse_prefix(const char *file_name, const void *data, size_t len,
	struct dockerfile **ret_prefix, struct dockerfile_location *ret_loc, struct err *err)
{
	AUTO(dockerfile_free) struct dockerfile *df = xcalloc(1, sizeof(*df));
	struct lexer lx;
	bool prefix;
	int r;

	*ret_prefix = NULL;
	if (lexer_init(&lx, &df->arena, data, len, ret_loc, err) < 0)
		return NULL;
	df->file_name = arena_strdup(&df->arena, file_name);
	df->syntax =
		lexer_detect_directive(&df->arena, data, len, "syntax", true, &df->syntax_line);
	df->check = lexer_detect_directive(&df->arena, data, len, "check", false, &df->check_line);
	r = parse_into(df, &lx, &prefix, ret_loc, err);
	lexer_release(&lx);
	if (r < 0 && prefix)
		*ret_prefix = take_ptr(df);
	return r < 0 ? NULL : take_ptr(df);
}

struct dockerfile *dockerfile_parse(const char *file_name, const void *data, size_t len,
	struct dockerfile_location *ret_loc, struct err *err)
{
	AUTO(dockerfile_free) struct dockerfile *prefix = NULL;

	return dockerfile_parse_prefix(file_name, data, len, &prefix, ret_loc, err);
}

void dockerfile_free(struct dockerfile *df)
{
	if (!df)
		return;
	arena_release(&df->arena);
	free(df->all);
	free(df);
}

static int parse_single(struct lexer *lx, struct instruction *ret, struct err *err)
{
	struct dockerfile_location ignored;
	struct logical_line line;
	struct instruction in;
	int r = lexer_next(lx, &line, &ignored, err);

	if (r < 0 || (r > 0 && read_instruction(lx, &line, &in, err) < 0))
		return -1;
	if (r > 0) {
		struct logical_line second;

		r = lexer_next(lx, &second, &ignored, err);
		if (r < 0)
			return -1;
		r = r == 0;
	}
	if (r == 0)
		return err_set(
			err, ERR_DOCKERFILE, "onbuild trigger should be a single expression");
	if (check_instruction(lx->arena, &in, err) < 0)
		return -1;
	if (in.kind == INSTRUCTION_FROM || in.kind == INSTRUCTION_ONBUILD)
		return err_set(err, ERR_DOCKERFILE, "%s isn't allowed as an ONBUILD trigger",
			instruction_kind_name(in.kind));
	if (check_from_flag(&in, lx->escape, err) < 0)
		return -1;
	*ret = in;
	return 0;
}

int dockerfile_parse_instruction(
	struct arena *arena, const char *text, struct instruction *ret, struct err *err)
{
	struct dockerfile_location ignored;
	struct lexer lx;
	int r;

	if (!*text)
		return err_set(
			err, ERR_DOCKERFILE, "onbuild trigger should be a single expression");
	if (lexer_init(&lx, arena, text, strlen(text), &ignored, err) < 0)
		return -1;
	r = parse_single(&lx, ret, err);
	lexer_release(&lx);
	return r;
}

int dockerfile_find_stage(const struct dockerfile *df, const char *name, size_t before)
{
	const struct stage_name wanted = {name, before};
	size_t low = 0, high = df->nnames;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_names(&df->names[mid], &wanted) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || strcmp(df->names[low - 1].name, name) != 0)
		return -1;
	return (int)df->names[low - 1].index;
}

int dockerfile_find_stage_any_case(const struct dockerfile *df, const char *name, size_t before)
{
	auto_free char *lower = xstrdup(name);

	for (char *p = lower; *p; p++)
		*p = chars_lower(*p);
	return dockerfile_find_stage(df, lower, before);
}

/* One line of an excerpt, made fit for a terminal. */
static void excerpt_line(struct strbuf *out, const char *s, size_t n)
{
	size_t shown;

	while (n > 0 && s[n - 1] == '\r')
		n--;
	shown = n < EXCERPT_LINE_MAX ? n : EXCERPT_LINE_MAX;
	for (size_t i = 0, width; i < shown; i += width) {
		uint32_t cp = chars_decode(s + i, n - i, &width);

		if (cp >= CHARS_INVALID || (cp < 0x20 && cp != '\t') || (cp >= 0x7F && cp < 0xA0))
			strbuf_putc(out, '?');
		else
			strbuf_add(out, s + i, width);
	}
	if (n > shown)
		strbuf_puts(out, "...");
}

/* Count lines as a split at newlines does: text that ends in one has an empty last line. */
static int count_lines(const char *s, size_t len)
{
	int n = 1;

	for (size_t i = 0; i < len; i++)
		n += s[i] == '\n';
	return n;
}

/* Widen first and last by context lines (1.10.4). */
static void add_context(int *first, int *last, int lines)
{
	int wanted = *first == *last ? 4 : 2, added = 0;

	while (added < wanted) {
		if (*first > 1) {
			--*first;
			added++;
		}
		if (*last < lines) {
			++*last;
			added++;
		}
		added++;
	}
}

void dockerfile_excerpt(const char *file_name, const void *data, size_t len,
	const struct dockerfile_location *loc, struct strbuf *out)
{
	static const char rule[] = "--------------------\n";
	const char *s = data;
	int lines, first = loc->first_line, last = loc->last_line, end;

	if (first < 1 || len > INT_MAX)
		return;
	lines = count_lines(s, len);
	if (first > lines)
		return;
	if (last < first)
		last = first;
	end = last = last > lines ? lines : last;
	add_context(&first, &last, lines);

	strbuf_printf(out, "%s:%d\n%s", file_name, loc->first_line, rule);
	for (int line = 1; line <= last; line++) {
		const char *newline = len > 0 ? memchr(s, '\n', len) : NULL;
		size_t n = newline ? (size_t)(newline - s) : len;

		if (line >= first && line - first == EXCERPT_LINES_MAX) {
			strbuf_puts(out, "     | ...\n");
			break;
		}
		if (line >= first) {
			strbuf_printf(out, " %3d | %s ", line,
				line >= loc->first_line && line <= end ? ">>>" : "   ");
			excerpt_line(out, s, n);
			strbuf_putc(out, '\n');
		}
		n += newline != NULL;
		s += n;
		len -= n;
	}
	strbuf_puts(out, rule);
}
