/* Checks that need nothing but the text, and of variables the global scope. */
#include <string.h>

#include "base/auto.h"
#include "dockerfile/chars.h"
#include "dockerfile/lint_internal.h"

/* What a message shows of a name from the file. */
#define SHOWN CHARS_QUOTE_MAX

static const char *quote(char out[CHARS_QUOTE_SIZE], const char *s)
{
	return chars_quote(out, s, strlen(s));
}

static bool is_lower(const char *s)
{
	for (; *s; s++)
		if (*s != chars_lower(*s))
			return false;
	return true;
}

static bool is_upper(const char *s)
{
	for (; *s; s++)
		if (*s != chars_upper(*s))
			return false;
	return true;
}

static bool names_a_stage(const struct lint_place *at)
{
	return at->in->kind == INSTRUCTION_FROM && at->stage->name;
}

/* ---- spelling ---- */

void lint_stage_name_casing(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	if (names_a_stage(at) && !is_lower(at->stage->name_as_written))
		lint_report_in(l, rule, at->in, "Stage name '%.*s' should be lowercase", SHOWN,
			at->stage->name_as_written);
}

void lint_from_as_casing(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	const char *from = at->in->name, *as;

	if (!names_a_stage(at))
		return;
	as = at->in->args[1];
	if ((is_lower(from) && !is_lower(as)) || (is_upper(from) && !is_upper(as)))
		lint_report_in(l, rule, at->in, "'%s' and '%s' keywords' casing do not match", as, from);
}

bool lint_most_are_lower(const struct dockerfile *df)
{
	size_t lower = 0, upper = 0;

	for (size_t i = 0; i < df->nstages; i++) {
		const struct stage *st = &df->stages[i];

		for (size_t k = 0; k <= st->ninstructions; k++) {
			const char *name = k == 0 ? st->from.name : st->instructions[k - 1].name;

			lower += is_lower(name);
			upper += is_upper(name);
		}
	}
	return lower > upper;
}

void lint_instruction_casing(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	if (!at->stage || (l->lower_case ? is_lower(at->in->name) : is_upper(at->in->name)))
		return;
	lint_report_in(l, rule, at->in, "Command '%s' should match the case of the command majority (%s)",
		at->in->name, l->lower_case ? "lowercase" : "uppercase");
}

void lint_empty_continuation(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	const struct dockerfile_location last = {at->in->last_line, at->in->last_line};

	if (at->in->empty_continuation)
		lint_report(l, rule, at->in, &last, "Empty continuation line");
}

void lint_maintainer(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	if (at->in->kind == INSTRUCTION_MAINTAINER)
		lint_report_in(l, rule, at->in, "Maintainer instruction is deprecated in favor of using label");
}

/* The last comment above ARG and FROM ... AS describes a name, which it begins with (1.11). */
void lint_definition_description(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	const struct instruction *in = at->in;
	bool arg = in->kind == INSTRUCTION_ARG;
	const char *comment;
	size_t len;

	if (in->ncomments == 0 || (!arg && !names_a_stage(at)))
		return;
	comment = in->comments[in->ncomments - 1];
	len = strcspn(comment, " ");
	for (size_t i = 0; i < (arg ? in->nkeys : 1); i++) {
		const char *name = arg ? in->keys[i] : at->stage->name_as_written;

		if (strlen(name) == len && memcmp(name, comment, len) == 0)
			return;
	}
	lint_report_in(l, rule, in, "Comment for %s should follow the format: `# %.*s <description>`",
		arg ? "ARG" : "FROM", SHOWN,
		!arg ? at->stage->name_as_written : in->nkeys > 1 ? "<arg_key>" : in->keys[0]);
}

/* ---- names of stages ---- */

void lint_duplicate_stage_name(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	char quoted[CHARS_QUOTE_SIZE];

	if (names_a_stage(at) && dockerfile_find_stage(l->df, at->stage->name, at->index) >= 0)
		lint_report_in(l, rule, at->in, "Duplicate stage name %s, stage names should be unique",
			quote(quoted, at->stage->name));
}

void lint_reserved_stage_name(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	if (names_a_stage(at) && (strcmp(at->stage->name, "scratch") == 0 || strcmp(at->stage->name, "context") == 0))
		lint_report_in(l, rule, at->in,
			"Stage name should not use the same name as reserved stage \"%s\"", at->stage->name);
}

/* ---- FROM and the global scope ---- */

static void undefined_in_from(void *ctx, const char *name)
{
	struct lint *l = ctx;
	const char *near;

	if (vars_has(l->walk->globals, name))
		return;
	near = lint_hint(l, l->walk->globals, name);
	lint_report_in(l, l->rule, l->at->in, "FROM argument '%.*s' is not declared%s%s%s", SHOWN, name,
		near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

void lint_undefined_arg_in_from(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	const char *const words[] = {at->stage ? at->stage->image : NULL, at->stage ? at->stage->platform : NULL};

	if (at->in->kind != INSTRUCTION_FROM)
		return;
	l->rule = rule;
	l->at = at;
	for (size_t i = 0; i < 2; i++) {
		struct err ignored = ERR_INIT;
		auto_free char *value = NULL;

		if (words[i])
			value = walk_expand(l->walk, l->walk->globals, words[i], false, undefined_in_from, l,
				&ignored);
	}
}

void lint_redundant_target_platform(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	const char *platform = at->in->kind == INSTRUCTION_FROM ? at->stage->platform : NULL;

	if (platform && (strcmp(platform, "$TARGETPLATFORM") == 0 || strcmp(platform, "${TARGETPLATFORM}") == 0))
		lint_report_in(l, rule, at->in,
			"Setting platform to predefined %s in FROM is redundant as this is the default behavior",
			platform);
}

void lint_const_platform(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	const char *text = at->in->kind == INSTRUCTION_FROM ? at->stage->platform : NULL;
	const char *name = text && at->stage->name ? at->stage->name : "";
	struct err ignored = ERR_INIT;
	char quoted[CHARS_QUOTE_SIZE];
	auto_free char *value = NULL;
	struct platform p;

	if (!text || strchr(text, '$'))
		return;
	value = walk_expand(l->walk, l->walk->globals, text, false, NULL, NULL, &ignored);
	if (!value || platform_parse(value, &l->options->walk.build_platform, &p, &ignored) < 0)
		return;
	/* A stage that is called after its platform says that it means it. */
	if (!strstr(name, p.os) && !strstr(name, p.architecture))
		lint_report_in(l, rule, at->in, "FROM --platform flag should not use constant value %s",
			quote(quoted, value));
}

/* Expand word with what the ARGs before the first FROM say, whatever build arguments say. */
static char *expand_defaults(struct lint *l, const char *word)
{
	const struct walk_options *o = &l->options->walk;
	const struct walk_options bare = {.df = l->df,
		.target = o->target,
		.build_platform = o->build_platform,
		.target_platform = o->target_platform};
	struct err ignored = ERR_INIT;

	if (!l->defaults)
		l->defaults = walk_new(&bare);
	return walk_expand(l->defaults, l->defaults->globals, word, false, NULL, NULL, &ignored);
}

void lint_invalid_default_arg(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	struct err ignored = ERR_INIT;
	auto_free char *image = NULL;

	/* A name without variables that is none is an error by itself. */
	if (at->in->kind != INSTRUCTION_FROM || !strchr(at->stage->image, '$'))
		return;
	image = expand_defaults(l, at->stage->image);
	if (image && walk_check_image(image, &ignored) < 0)
		lint_report_in(l, rule, at->in,
			"Default value for ARG %.*s results in empty or invalid base image name", SHOWN,
			at->stage->image);
}
