/* Checks that need what an instruction sees: variables, SHELL, the base image, the ignore file. */
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/path.h"
#include "dockerfile/chars.h"
#include "dockerfile/expand.h"
#include "dockerfile/lint_internal.h"

/* What a message shows of a name from the file. */
#define SHOWN CHARS_QUOTE_MAX

/* A name of so many letters is not near another by chance. */
#define SURE_NAME 5

static const char *quote(char out[CHARS_QUOTE_SIZE], const char *s)
{
	return chars_quote(out, s, strlen(s));
}

/* A word with what the instruction sees, or NULL when it cannot be expanded: the walk says so. */
static char *expand(struct lint *l, const char *word)
{
	struct err ignored = ERR_INIT;

	return walk_expand(l->walk, l->walk->vars, word, false, NULL, NULL, &ignored);
}

/* ---- commands ---- */

void lint_json_args(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	const struct instruction *in = at->in;

	if ((in->kind == INSTRUCTION_CMD || in->kind == INSTRUCTION_ENTRYPOINT) && !in->json && !at->state->shell)
		lint_report_in(l, rule, in,
			"JSON arguments recommended for %s to prevent unintended behavior related to OS signals",
			instruction_kind_name(in->kind));
}

void lint_multiple_instructions(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	static const enum instruction_kind kinds[] = {
		INSTRUCTION_CMD, INSTRUCTION_ENTRYPOINT, INSTRUCTION_HEALTHCHECK};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (at->in->kind != kinds[i])
			continue;
		if (l->last[i])
			lint_report_in(l, rule, l->last[i],
				"Multiple %s instructions should not be used in the same stage because only the last "
				"one will be used",
				instruction_kind_name(kinds[i]));
		l->last[i] = at->in;
	}
}

void lint_relative_workdir(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	auto_free char *path = NULL;
	char quoted[CHARS_QUOTE_SIZE];

	if (at->in->kind != INSTRUCTION_WORKDIR || at->state->workdir)
		return;
	path = expand(l, at->in->args[0]);
	if (path && *path != '/')
		lint_report_in(l, rule, at->in,
			"Relative workdir %s can have unexpected results if the base image changes",
			quote(quoted, path));
}

void lint_base_platform(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	char have[PLATFORM_STR_SIZE], want[PLATFORM_STR_SIZE];
	const struct walk_stage *st = at->state;

	if (at->in->kind != INSTRUCTION_FROM || !st->has_base ||
		(strcmp(st->base.platform.os, st->platform.os) == 0 &&
			strcmp(st->base.platform.architecture, st->platform.architecture) == 0))
		return;
	platform_format(&st->base.platform, have);
	platform_format(&st->platform, want);
	lint_report_in(l, rule, at->in,
		"Base image %.*s was pulled with platform \"%s\", expected \"%s\" for current build", SHOWN, st->image,
		have, want);
}

/* ---- variables ---- */

void lint_legacy_pairs(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	const char *name = instruction_kind_name(at->in->kind);

	if (at->in->legacy)
		lint_report_in(l, rule, at->in,
			"\"%s key=value\" should be used instead of legacy \"%s key value\" format", name, name);
}

static void undefined(void *ctx, const char *name)
{
	struct lint *l = ctx;
	const struct vars *vars = l->walk->vars;
	const char *near;

	if (vars_has(vars, name))
		return;
	near = lint_hint(l, vars, name);
	/*
	 * Where the base image is not known here, it may well set the name; a slip of the pen is told from that by a
	 * name of the file that is near. Of short names many are near, and PATH is in no file.
	 */
	if (!l->at->state->base_known &&
		(!near || strlen(name) < SURE_NAME || strcmp(near, "PATH") == 0))
		return;
	lint_report_in(l, l->rule, l->at->in, "Usage of undefined variable '$%.*s'%s%s%s", SHOWN, name,
		near ? " (did you mean $" : "", near ? near : "", near ? "?)" : "");
}

static void look_at_word(void *ctx, const char *text, bool heredoc)
{
	struct lint *l = ctx;
	struct err ignored = ERR_INIT;
	auto_free char *value = NULL;

	if (strchr(text, '$'))
		value = walk_expand(l->walk, l->walk->vars, text, heredoc, undefined, l, &ignored);
}

void lint_undefined_var(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	l->rule = rule;
	l->at = at;
	walk_each_word(l->walk, at->in, look_at_word, l);
}

/* Whether one of the parts of name between underscores is in list, in any case. */
static bool has_token(const char *name, const char *const *list)
{
	for (size_t len; *name; name += len + (name[len] == '_')) {
		len = strcspn(name, "_");
		for (size_t i = 0; list[i]; i++)
			if (strlen(list[i]) == len && strncasecmp(name, list[i], len) == 0)
				return true;
	}
	return false;
}

void lint_secrets(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	static const char *const secret[] = {"apikey", "auth", "credential", "credentials", "key", "password", "pword",
		"passwd", "secret", "token", NULL};
	static const char *const harmless[] = {"public", "file", "version", NULL};
	const struct instruction *in = at->in;
	char quoted[CHARS_QUOTE_SIZE];

	if (in->kind != INSTRUCTION_ARG && in->kind != INSTRUCTION_ENV)
		return;
	for (size_t i = 0; i < in->nkeys; i++)
		if (has_token(in->keys[i], secret) && !has_token(in->keys[i], harmless))
			lint_report_in(l, rule, in,
				"Do not use ARG or ENV instructions for sensitive data (%s %s)",
				instruction_kind_name(in->kind), quote(quoted, in->keys[i]));
}

/* ---- files ---- */

static bool is_remote(const char *source)
{
	size_t len = strlen(source);

	return strstr(source, "://") || strncmp(source, "git@", 4) == 0 ||
	       (len > 4 && strcmp(source + len - 4, ".git") == 0 && strchr(source, '@'));
}

/* Whether the ignore file leaves nothing of the whole context. */
static bool ignores_all(const struct ignore *ignore)
{
	for (size_t i = 0; i < ignore_count(ignore); i++) {
		const char *text = ignore_pattern(ignore, i);

		if (strcmp(text, "*") == 0 || strcmp(text, "**") == 0 || strcmp(text, "**/*") == 0)
			return true;
	}
	return false;
}

static bool is_ignored(const struct ignore *ignore, const char *source)
{
	auto_free char *path = path_join("/", source);

	return path[1] ? ignore_match(ignore, path + 1) : ignores_all(ignore);
}

void lint_ignored_file(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	const struct ignore *ignore = l->options->ignore;
	const struct instruction *in = at->in;
	const char *from = instruction_flag(in, "from");
	char quoted[CHARS_QUOTE_SIZE];

	if (!ignore || ignore_has_exceptions(ignore) || (from && *from) ||
		(in->kind != INSTRUCTION_COPY && in->kind != INSTRUCTION_ADD))
		return;
	for (size_t i = 0; i + 1 < in->nargs; i++) {
		auto_free char *source = expand(l, in->args[i]);

		if (source && !is_remote(source) && is_ignored(ignore, source))
			lint_report_in(l, rule, in,
				"Attempting to %s file %s that is excluded by .dockerignore",
				in->kind == INSTRUCTION_COPY ? "Copy" : "Add", quote(quoted, source));
	}
}

/* ---- EXPOSE ---- */

struct port_reader {
	struct lint *l;
	const struct lint_rule *rule;
	const struct lint_place *at;
	bool proto; /* which of the two checks */
};

static void look_at_port(void *ctx, const char *port)
{
	const struct port_reader *r = ctx;
	const char *slash = strrchr(port, '/'), *colon = strrchr(port, ':');

	if (r->proto) {
		for (const char *p = slash ? slash : ""; *p; p++)
			if (*p != chars_lower(*p)) {
				lint_report_in(r->l, r->rule, r->at->in,
					"Defined protocol '%.*s' in EXPOSE instruction should be lowercase", SHOWN,
					port);
				return;
			}
	} else if (colon && strspn(port, ":[]") < (size_t)(colon - port)) {
		lint_report_in(r->l, r->rule, r->at->in,
			"EXPOSE instruction should not define an IP address or host-port mapping, found '%.*s'", SHOWN,
			port);
	}
}

static const char *look_up(void *ctx, const char *name)
{
	return vars_get(ctx, name);
}

static void each_port(struct lint *l, const struct lint_rule *rule, const struct lint_place *at, bool proto)
{
	struct port_reader r = {l, rule, at, proto};
	const struct expand_env env = {.lookup = look_up, .ctx = l->walk->vars};

	if (at->in->kind != INSTRUCTION_EXPOSE)
		return;
	for (size_t i = 0; i < at->in->nargs; i++) {
		struct err ignored = ERR_INIT;

		expand_each_word(at->in->args[i], l->df->escape, 0, &env, look_at_port, &r, &ignored);
	}
}

void lint_expose_proto(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	each_port(l, rule, at, true);
}

void lint_expose_format(struct lint *l, const struct lint_rule *rule, const struct lint_place *at)
{
	each_port(l, rule, at, false);
}
