#include "dockerfile/lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dockerfile/chars.h"
#include "dockerfile/lint_internal.h"

/* Of one message: a name in it may be as long as the file. */
#define MESSAGE_MAX 1000

#define URL "https://docs.docker.com/go/dockerfile/rule/"

/* In the order in which findings of one line are shown. */
static const struct lint_rule rules[] = {
	{"StageNameCasing", "Stage names should be lowercase", LINT_PARSE, 0, lint_stage_name_casing},
	{"FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword", LINT_PARSE, 0,
		lint_from_as_casing},
	{"NoEmptyContinuation", "Empty continuation lines will become errors in a future release", LINT_PARSE, 0,
		lint_empty_continuation},
	{"ConsistentInstructionCasing",
		"All commands within the Dockerfile should use the same casing (either upper or lower)", LINT_GRAPH,
		0, lint_instruction_casing},
	{"DuplicateStageName", "Stage names should be unique", LINT_GRAPH, 0, lint_duplicate_stage_name},
	{"ReservedStageName", "Reserved words should not be used as stage names", LINT_GRAPH, 0,
		lint_reserved_stage_name},
	{"JSONArgsRecommended",
		"JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
		LINT_EXECUTE, 0, lint_json_args},
	{"MaintainerDeprecated",
		"The MAINTAINER instruction is deprecated, use a label instead to define an image author", LINT_PARSE,
		0, lint_maintainer},
	{"UndefinedArgInFrom", "FROM command must use declared ARGs", LINT_GRAPH, 0, lint_undefined_arg_in_from},
	{"WorkdirRelativePath",
		"Relative workdir without an absolute workdir declared within the build can have unexpected results "
		"if the base image changes",
		LINT_EXECUTE, 0, lint_relative_workdir},
	{"UndefinedVar", "Variables should be defined before their use", LINT_EXECUTE, 0, lint_undefined_var},
	{"MultipleInstructionsDisallowed",
		"Multiple instructions of the same type should not be used in the same stage", LINT_EXECUTE, 0,
		lint_multiple_instructions},
	{"LegacyKeyValueFormat", "Legacy key/value format with whitespace separator should not be used", LINT_EXECUTE,
		0, lint_legacy_pairs},
	{"InvalidBaseImagePlatform", "Base image platform does not match expected target platform", LINT_EXECUTE,
		LINT_NO_URL, lint_base_platform},
	{"RedundantTargetPlatform",
		"Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
		LINT_GRAPH, 0, lint_redundant_target_platform},
	{"SecretsUsedInArgOrEnv", "Sensitive data should not be used in the ARG or ENV commands", LINT_EXECUTE, 0,
		lint_secrets},
	{"InvalidDefaultArgInFrom", "Default value for global ARG results in an empty or invalid base image name",
		LINT_GRAPH, 0, lint_invalid_default_arg},
	{"FromPlatformFlagConstDisallowed", "FROM --platform flag should not use a constant value", LINT_GRAPH, 0,
		lint_const_platform},
	{"CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore", LINT_EXECUTE, 0,
		lint_ignored_file},
	{"InvalidDefinitionDescription",
		"Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`",
		LINT_PARSE, LINT_EXPERIMENTAL, lint_definition_description},
	{"ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase", LINT_EXECUTE, 0,
		lint_expose_proto},
	{"ExposeInvalidFormat",
		"IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error "
		"in a future release",
		LINT_EXECUTE, 0, lint_expose_format},
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

/* ---- configuration ---- */

void lint_config_release(struct lint_config *c)
{
	strv_release(&c->skip);
	strv_release(&c->experimental);
	*c = (struct lint_config)LINT_CONFIG_INIT;
}

/* n bytes without white space at their ends, as a string of their own. */
static char *trimmed(const char *s, size_t n)
{
	chars_trim(&s, &n);
	return xstrndup(s, n);
}

static void add_names(const char *text, struct strv *list, bool *all)
{
	auto_free char *whole = trimmed(text, strlen(text));

	if (strcmp(whole, "all") == 0) {
		*all = true;
		return;
	}
	for (size_t len; *text; text += len + (text[len] == ',')) {
		auto_free char *name = NULL;

		len = strcspn(text, ",");
		name = trimmed(text, len);
		if (*name)
			strv_take(list, take_ptr(name));
	}
}

static int parse_bool(const char *text, bool *ret)
{
	static const char *const words[] = {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false",
		"False"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*ret = i < 6;
			return 0;
		}
	return -1;
}

static int parse_option(const char *part, struct lint_config *c, struct err *err)
{
	char quoted[CHARS_QUOTE_SIZE];
	size_t len = strcspn(part, "=");
	auto_free char *key = trimmed(part, len);
	auto_free char *value = part[len] ? trimmed(part + len + 1, strlen(part + len + 1)) : NULL;

	if (value && strcmp(key, "skip") == 0) {
		add_names(value, &c->skip, &c->skip_all);
	} else if (value && strcmp(key, "experimental") == 0) {
		add_names(value, &c->experimental, &c->experimental_all);
	} else if (value && strcmp(key, "error") == 0) {
		if (parse_bool(value, &c->error) < 0)
			return err_set(err, ERR_DOCKERFILE,
				"failed to parse check option %s: it is true or false",
				chars_quote(quoted, part, strlen(part)));
	} else {
		return err_set(err, ERR_DOCKERFILE, "invalid check option %s (skip, error or experimental)",
			chars_quote(quoted, part, strlen(part)));
	}
	return 0;
}

int lint_config_parse(const char *text, struct lint_config *ret, struct err *err)
{
	struct lint_config c = LINT_CONFIG_INIT;

	for (size_t len; *text; text += len + (text[len] == ';')) {
		auto_free char *part = NULL;

		len = strcspn(text, ";");
		part = trimmed(text, len);
		if (parse_option(part, &c, err) < 0) {
			lint_config_release(&c);
			return -1;
		}
	}
	*ret = c;
	return 0;
}

static bool is_listed(const struct strv *names, const char *name)
{
	for (size_t i = 0; i < names->len; i++)
		if (strcmp(names->v[i], name) == 0)
			return true;
	return false;
}

static bool config_allows(const struct lint_config *c, const struct lint_rule *rule)
{
	if (rule->flags & LINT_EXPERIMENTAL)
		return c->experimental_all || is_listed(&c->experimental, rule->name);
	return !c->skip_all && !is_listed(&c->skip, rule->name);
}

/* What the first comment "check=..." above an instruction says about rule (7.1.3). */
static bool comment_allows(const struct instruction *in, const struct lint_rule *rule, bool allowed)
{
	struct lint_config c = LINT_CONFIG_INIT;
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < in->ncomments; i++) {
		auto_free char *text = NULL;

		if (strncmp(in->comments[i], "check=", 6) != 0)
			continue;
		text = xstrndup(in->comments[i] + 6, strcspn(in->comments[i] + 6, " \t"));
		if (lint_config_parse(text, &c, &ignored) < 0)
			return allowed;
		allowed = rule->flags & LINT_EXPERIMENTAL ? allowed || config_allows(&c, rule) :
							    allowed && config_allows(&c, rule);
		lint_config_release(&c);
		return allowed;
	}
	return allowed;
}

/* ---- findings ---- */

/* "StageNameCasing" as "stage-name-casing", "JSONArgsRecommended" as "json-args-recommended". */
static char *rule_url(const char *name)
{
	auto_strbuf url = STRBUF_INIT;

	strbuf_puts(&url, URL);
	for (const char *p = name; *p; p++) {
		bool upper = *p != chars_lower(*p), next_lower = p[1] && p[1] == chars_lower(p[1]);
		bool after_lower = p > name && p[-1] == chars_lower(p[-1]);

		if (p > name && upper && (after_lower || next_lower))
			strbuf_putc(&url, '-');
		strbuf_putc(&url, chars_lower(*p));
	}
	strbuf_putc(&url, '/');
	return strbuf_take(&url);
}

/* Whether the same was said of the same lines: one word of an instruction may be looked at for several reasons. */
static bool said_before(const struct lint_result *r, const char *rule, const char *message,
	const struct dockerfile_location *loc)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].loc.first_line == loc->first_line && r->v[i].rule == rule &&
			strcmp(r->v[i].message, message) == 0)
			return true;
	return false;
}

void lint_report(struct lint *l, const struct lint_rule *rule, const struct instruction *in,
	const struct dockerfile_location *loc, const char *fmt, ...)
{
	struct lint_result *r = l->result;
	auto_free char *message = NULL;
	va_list ap;

	if (!comment_allows(in, rule, config_allows(&l->config, rule)))
		return;
	if (r->n == LINT_FINDINGS_MAX) {
		r->dropped++;
		return;
	}
	message = xmalloc(MESSAGE_MAX);
	va_start(ap, fmt);
	vsnprintf(message, MESSAGE_MAX, fmt, ap);
	va_end(ap);
	if (said_before(r, rule->name, message, loc))
		return;
	GROW(r->v, r->n, r->cap);
	r->v[r->n++] = (struct lint_finding){.rule = rule->name,
		.description = rule->description,
		.url = rule->flags & LINT_NO_URL ? NULL : rule_url(rule->name),
		.message = take_ptr(message),
		.loc = *loc};
}

const char *lint_hint(struct lint *l, const struct vars *vars, const char *name)
{
	return l->hints++ < LINT_FINDINGS_MAX ? vars_suggest(vars, name) : NULL;
}

void lint_result_release(struct lint_result *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].url);
		free(r->v[i].message);
	}
	free(r->v);
	*r = (struct lint_result)LINT_RESULT_INIT;
}

static size_t rule_order(const char *name)
{
	size_t i = 0;

	while (i < RULES && rules[i].name != name)
		i++;
	return i;
}

static int by_line(const void *a, const void *b)
{
	const struct lint_finding *x = a, *y = b;
	size_t i = rule_order(x->rule), k = rule_order(y->rule);

	if (x->loc.first_line != y->loc.first_line)
		return x->loc.first_line < y->loc.first_line ? -1 : 1;
	return i != k ? (i < k ? -1 : 1) : strcmp(x->message, y->message);
}

int lint_gate(const struct lint_result *r, struct err *err)
{
	auto_strbuf names = STRBUF_INIT;

	if (!r->gate || r->n == 0)
		return 0;
	for (size_t k = 0; k < RULES; k++)
		for (size_t i = 0; i < r->n; i++)
			if (r->v[i].rule == rules[k].name) {
				strbuf_printf(&names, "%s%s", names.len ? ", " : "", rules[k].name);
				break;
			}
	return err_set(err, ERR_GATE, "lint violation found for rules: %s", names.buf);
}

/* ---- going through the file ---- */

static void look(struct lint *l, enum lint_phase phase, const struct lint_place *at)
{
	for (size_t i = 0; i < RULES; i++)
		if (rules[i].phase == phase)
			rules[i].look(l, &rules[i], at);
}

static void look_at_text(struct lint *l, enum lint_phase phase)
{
	for (size_t i = 0; i < l->df->nglobal_args; i++)
		look(l, phase, &(const struct lint_place){.in = &l->df->global_args[i]});
	for (size_t i = 0; i < l->df->nstages; i++) {
		const struct stage *st = &l->df->stages[i];
		struct lint_place at = {.in = &st->from, .stage = st, .index = i};

		look(l, phase, &at);
		for (size_t k = 0; k < st->ninstructions; k++) {
			at.in = &st->instructions[k];
			look(l, phase, &at);
		}
	}
}

static void on_stage(void *ctx, struct walk *w, struct walk_stage *st)
{
	struct lint *l = ctx;
	const struct lint_place at = {.in = &st->stage->from, .stage = st->stage, .index = st->index, .state = st};

	(void)w;
	memset(l->last, 0, sizeof(l->last));
	look(l, LINT_EXECUTE, &at);
}

static void on_instruction(void *ctx, struct walk *w, struct walk_stage *st, const struct instruction *in)
{
	const struct lint_place at = {.in = in, .stage = st->stage, .index = st->index, .state = st};

	(void)w;
	look(ctx, LINT_EXECUTE, &at);
}

static void look_at_stages(struct lint *l)
{
	struct walk_options options = l->options->walk;
	const struct walk_visitor visitor = {.stage = on_stage, .instruction = on_instruction, .ctx = l};

	options.df = l->df;
	l->walk = walk_new(&options);
	l->lower_case = lint_most_are_lower(l->df);
	look_at_text(l, LINT_GRAPH);
	walk_run(l->walk, &visitor);
	l->result->err = l->walk->err;
	l->result->err_loc = l->walk->loc;
	walk_free(l->walk);
	walk_free(l->defaults);
}

static int read_config(struct lint *l)
{
	const struct strv *args = l->options->walk.build_args;
	const char *given = args ? strv_env_get(args, "BUILDKIT_DOCKERFILE_CHECK") : NULL;
	struct lint_result *r = l->result;

	if (!given && !l->df->check)
		return 0;
	if (lint_config_parse(given ? given : l->df->check, &l->config, &r->err) == 0)
		return 0;
	if (given)
		return err_wrap(&r->err, "failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK");
	r->err_loc = (struct dockerfile_location){l->df->check_line, l->df->check_line};
	return err_wrap(&r->err, "failed to parse check options");
}

void lint_run(const struct dockerfile *df, const struct lint_options *options, struct lint_result *ret)
{
	struct lint l = {.df = df, .options = options, .result = ret, .config = LINT_CONFIG_INIT};

	*ret = (struct lint_result)LINT_RESULT_INIT;
	if (read_config(&l) < 0)
		return;
	ret->gate = l.config.error;
	look_at_text(&l, LINT_PARSE);
	if (!df->partial)
		look_at_stages(&l);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_line);
	lint_config_release(&l.config);
}
