#include "dockerfile/check.h"

#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/strbuf.h"
#include "dockerfile/chars.h"
#include "dockerfile/expand.h"
#include "dockerfile/lexer.h"
#include "dockerfile/run_mount.h"
#include "dockerfile/suggest.h"

enum flag_type {
	FLAG_STRING,
	FLAG_LIST, /* a string that may be repeated */
	FLAG_BOOL,
};

struct flag_rule {
	enum instruction_kind kind;
	const char *name;
	enum flag_type type;
};

/* Every flag of the language; the order decides between equally near suggestions. */
static const struct flag_rule flag_rules[] = {
	{INSTRUCTION_FROM, "platform", FLAG_STRING},
	{INSTRUCTION_RUN, "mount", FLAG_LIST},
	{INSTRUCTION_RUN, "network", FLAG_STRING},
	{INSTRUCTION_RUN, "security", FLAG_STRING},
	{INSTRUCTION_RUN, "device", FLAG_LIST},
	{INSTRUCTION_COPY, "from", FLAG_STRING},
	{INSTRUCTION_COPY, "chown", FLAG_STRING},
	{INSTRUCTION_COPY, "chmod", FLAG_STRING},
	{INSTRUCTION_COPY, "link", FLAG_BOOL},
	{INSTRUCTION_COPY, "parents", FLAG_BOOL},
	{INSTRUCTION_COPY, "exclude", FLAG_LIST},
	{INSTRUCTION_ADD, "keep-git-dir", FLAG_BOOL},
	{INSTRUCTION_ADD, "checksum", FLAG_STRING},
	{INSTRUCTION_ADD, "chown", FLAG_STRING},
	{INSTRUCTION_ADD, "chmod", FLAG_STRING},
	{INSTRUCTION_ADD, "link", FLAG_BOOL},
	{INSTRUCTION_ADD, "unpack", FLAG_BOOL},
	{INSTRUCTION_ADD, "exclude", FLAG_LIST},
	{INSTRUCTION_HEALTHCHECK, "interval", FLAG_STRING},
	{INSTRUCTION_HEALTHCHECK, "timeout", FLAG_STRING},
	{INSTRUCTION_HEALTHCHECK, "start-period", FLAG_STRING},
	{INSTRUCTION_HEALTHCHECK, "start-interval", FLAG_STRING},
	{INSTRUCTION_HEALTHCHECK, "retries", FLAG_STRING},
};

#define FLAG_RULES (sizeof(flag_rules) / sizeof(flag_rules[0]))

static const char *quote(char out[CHARS_QUOTE_SIZE], const char *s)
{
	return chars_quote(out, s, strlen(s));
}

static const struct flag_rule *find_rule(enum instruction_kind kind, const char *name)
{
	for (size_t i = 0; i < FLAG_RULES; i++)
		if (flag_rules[i].kind == kind && strcmp(flag_rules[i].name, name) == 0)
			return &flag_rules[i];
	return NULL;
}

static int unknown_flag(enum instruction_kind kind, const char *name, struct err *err)
{
	const char *options[FLAG_RULES];
	size_t n = 0;

	for (size_t i = 0; i < FLAG_RULES; i++)
		if (flag_rules[i].kind == kind)
			options[n++] = flag_rules[i].name;
	err_set(err, ERR_DOCKERFILE, "unknown flag: --%.*s", CHARS_QUOTE_MAX, name);
	return suggest_append(err, name, options, n, false);
}

static int check_bool(struct flag *flag, struct err *err)
{
	if (flag->has_value && !*flag->value)
		return err_set(err, ERR_DOCKERFILE, "missing a value on flag: --%s", flag->name);
	if (!flag->has_value || strcasecmp(flag->value, "true") == 0)
		flag->value = "true";
	else if (strcasecmp(flag->value, "false") == 0)
		flag->value = "false";
	else
		return err_set(err, ERR_DOCKERFILE,
			"expecting boolean value for flag --%s, not: %.*s", flag->name,
			CHARS_QUOTE_MAX, flag->value);
	return 0;
}

static int check_flags(struct arena *arena, struct instruction *in, struct err *err)
{
	bool used[FLAG_RULES] = {false};
	struct flag *flags;

	if (in->nflags == 0)
		return 0;
	flags = arena_alloc(arena, sizeof(*flags) * in->nflags);
	memcpy(flags, in->flags, sizeof(*flags) * in->nflags);
	in->flags = flags;

	for (size_t i = 0; i < in->nflags; i++) {
		const struct flag_rule *rule = find_rule(in->kind, flags[i].name);

		if (!rule)
			return unknown_flag(in->kind, flags[i].name, err);
		if (used[rule - flag_rules] && rule->type != FLAG_LIST)
			return err_set(
				err, ERR_DOCKERFILE, "duplicate flag specified: --%s", rule->name);
		used[rule - flag_rules] = true;
		if (rule->type == FLAG_BOOL && check_bool(&flags[i], err) < 0)
			return -1;
		if (rule->type != FLAG_BOOL && !flags[i].has_value)
			return err_set(
				err, ERR_DOCKERFILE, "missing a value on flag: --%s", rule->name);
	}
	return 0;
}

static int at_least_one(const struct instruction *in, struct err *err)
{
	if (in->nargs > 0 || in->nkeys > 0)
		return 0;
	return err_set(err, ERR_DOCKERFILE, "%s requires at least one argument",
		instruction_kind_name(in->kind));
}

static int exactly_one(const struct instruction *in, struct err *err)
{
	if (in->nargs == 1)
		return 0;
	return err_set(err, ERR_DOCKERFILE, "%s requires exactly one argument",
		instruction_kind_name(in->kind));
}

/* ^[a-z][a-z0-9-_.]*$ in any case: the name is made lower case. */
static bool is_stage_name(const char *name)
{
	for (const char *p = name; *p; p++) {
		char c = chars_lower(*p);
		bool letter = c >= 'a' && c <= 'z';

		if (!letter && (p == name || !strchr("0123456789-_.", c)))
			return false;
	}
	return *name != '\0';
}

static int check_from(const struct instruction *in, struct err *err)
{
	char quoted[CHARS_QUOTE_SIZE];

	if (in->nargs != 1 && (in->nargs != 3 || strcasecmp(in->args[1], "as") != 0))
		return err_set(err, ERR_DOCKERFILE, "FROM requires either one or three arguments");
	if (in->nargs == 3 && !is_stage_name(in->args[2]))
		return err_set(err, ERR_DOCKERFILE,
			"invalid name for build stage: %s, name can't start with a number or "
			"contain symbols",
			quote(quoted, in->args[2]));
	return 0;
}

static int check_pairs(const struct instruction *in, struct err *err)
{
	if (at_least_one(in, err) < 0)
		return -1;
	for (size_t i = 0; i < in->nkeys; i++)
		if (!*in->keys[i])
			return err_set(err, ERR_DOCKERFILE, "%s names can not be blank",
				instruction_kind_name(in->kind));
	return 0;
}

/* A heredoc becomes a file of this name. */
static int check_file_name(const char *name, struct err *err)
{
	char quoted[CHARS_QUOTE_SIZE];

	if (!strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		return 0;
	return err_set(err, ERR_DOCKERFILE,
		"heredoc name %s cannot be used as a file name (choose a plain word)",
		quote(quoted, name));
}

/* The last document called name, or NULL. */
static const struct heredoc *find_heredoc(const struct instruction *in, const char *name)
{
	for (size_t i = in->nheredocs; i-- > 0;)
		if (strcmp(in->heredocs[i].name, name) == 0)
			return &in->heredocs[i];
	return NULL;
}

/* Part the sources of COPY and ADD into paths and heredocs (1.8.6). */
static int part_sources(struct arena *arena, struct instruction *in, struct err *err)
{
	const char **args = arena_alloc(arena, sizeof(*args) * in->nargs);
	struct heredoc *docs =
		arena_alloc(arena, sizeof(*docs) * (in->nheredocs > 0 ? in->nargs : 1));
	struct err ignored = ERR_INIT;
	size_t nargs = 0, ndocs = 0;
	struct heredoc word;

	if (lexer_heredoc_word(arena, in->args[in->nargs - 1], &word, &ignored) > 0)
		return err_set(err, ERR_DOCKERFILE, "%s cannot accept a heredoc as a destination",
			instruction_kind_name(in->kind));
	for (size_t i = 0; i < in->nargs; i++) {
		const struct heredoc *body = NULL;

		if (in->nheredocs > 0 &&
			lexer_heredoc_word(arena, in->args[i], &word, &ignored) > 0)
			body = find_heredoc(in, word.name);
		if (!body) {
			args[nargs++] = in->args[i];
			continue;
		}
		if (check_file_name(word.name, err) < 0)
			return -1;
		word.content = body->content;
		word.len = body->len;
		if (word.chomp)
			lexer_heredoc_chomp(arena, &word);
		docs[ndocs++] = word;
	}
	in->args = args;
	in->nargs = nargs;
	in->heredocs = docs;
	in->nheredocs = ndocs;
	return 0;
}

static int check_copy(struct arena *arena, struct instruction *in, struct err *err)
{
	if (in->nargs < 2)
		return err_set(err, ERR_DOCKERFILE,
			"%s requires at least two arguments, but only one was provided. "
			"Destination could "
			"not be determined",
			instruction_kind_name(in->kind));
	if (check_flags(arena, in, err) < 0)
		return -1;
	return in->json ? 0 : part_sources(arena, in, err);
}

static int check_choice(const struct instruction *in, const char *flag, const char *const *choices,
	const char *what, struct err *err)
{
	const char *value = instruction_flag(in, flag);
	char quoted[CHARS_QUOTE_SIZE];

	if (!value)
		return 0;
	for (; *choices; choices++)
		if (strcmp(value, *choices) == 0)
			return 0;
	return err_set(err, ERR_DOCKERFILE, "unsupported %s mode %s", what, quote(quoted, value));
}

/* text, then for each document a newline, its body and its name (1.8.7, 1.8.8). */
static const char *join_heredocs(
	struct arena *arena, const char *text, const struct instruction *in)
{
	auto_strbuf out = STRBUF_INIT;

	strbuf_puts(&out, text);
	for (size_t i = 0; i < in->nheredocs; i++) {
		strbuf_putc(&out, '\n');
		strbuf_add(&out, in->heredocs[i].content, in->heredocs[i].len);
		strbuf_puts(&out, in->heredocs[i].name);
	}
	return arena_strndup(arena, out.buf, out.len);
}

static void set_one_arg(struct arena *arena, struct instruction *in, const char *arg)
{
	const char **args = arena_alloc(arena, sizeof(*args));

	*args = arg;
	in->args = args;
	in->nargs = 1;
}

/* Make the command text of a RUN with heredocs (1.8.7). */
static int set_script(struct arena *arena, struct instruction *in, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct heredoc word;

	if (lexer_heredoc_word(arena, in->args[0], &word, &ignored) <= 0) {
		set_one_arg(arena, in, join_heredocs(arena, in->args[0], in));
		return 0;
	}
	word.content = in->heredocs[0].content;
	word.len = in->heredocs[0].len;
	if (word.chomp)
		lexer_heredoc_chomp(arena, &word);
	set_one_arg(arena, in, word.content);
	if (strncmp(word.content, "#!", 2) != 0)
		return 0;
	in->script_name = word.name;
	return check_file_name(word.name, err);
}

/* The values may hold variables: most of a mount is judged when it is expanded. */
static int check_mounts(const struct instruction *in, struct err *err)
{
	const char *value;

	for (size_t i = 0; (value = instruction_flag_at(in, "mount", i)); i++) {
		if (i == RUN_MOUNTS_MAX)
			return err_set(err, ERR_DOCKERFILE, "RUN has more than %d mounts", RUN_MOUNTS_MAX);
		if (run_mount_check(value, err) < 0)
			return -1;
	}
	return 0;
}

static int check_run(struct arena *arena, struct instruction *in, struct err *err)
{
	static const char *const networks[] = {"default", "none", "host", NULL};
	static const char *const securities[] = {"sandbox", "insecure", NULL};

	if (check_flags(arena, in, err) < 0 || at_least_one(in, err) < 0 ||
		check_choice(in, "network", networks, "network", err) < 0 ||
		check_choice(in, "security", securities, "security", err) < 0 ||
		check_mounts(in, err) < 0)
		return -1;
	return in->nheredocs > 0 ? set_script(arena, in, err) : 0;
}

static int check_volume(struct arena *arena, struct instruction *in, struct err *err)
{
	if (at_least_one(in, err) < 0 || check_flags(arena, in, err) < 0)
		return -1;
	for (size_t i = 0; i < in->nargs; i++) {
		const char *s = in->args[i];
		size_t n = strlen(s);

		chars_trim(&s, &n);
		if (n == 0)
			return err_set(
				err, ERR_DOCKERFILE, "VOLUME specified can not be an empty string");
	}
	return 0;
}

static int check_shell(struct arena *arena, struct instruction *in, struct err *err)
{
	if (check_flags(arena, in, err) < 0)
		return -1;
	if (in->json ? in->nargs == 0 : !*in->args[0])
		return err_set(err, ERR_DOCKERFILE, "SHELL requires at least one argument");
	if (!in->json)
		return err_set(
			err, ERR_DOCKERFILE, "SHELL requires the arguments to be in JSON form");
	return 0;
}

static int check_health_options(const struct instruction *in, struct err *err)
{
	const int64_t least = 1000000; /* 1ms: the container runtimes refuse less */
	uint64_t ignored;

	for (size_t i = 0; i < in->nflags; i++) {
		const struct flag *flag = &in->flags[i];
		char quoted[CHARS_QUOTE_SIZE];
		int64_t ns;

		if (strcmp(flag->name, "retries") == 0) {
			const char *digits =
				flag->value + (*flag->value == '-' || *flag->value == '+');

			if (!*flag->value)
				continue;
			if (parse_u64(digits, 0, INT32_MAX, &ignored) < 0)
				return err_set(err, ERR_DOCKERFILE,
					"invalid number %s for --retries",
					quote(quoted, flag->value));
			if (*flag->value == '-' && ignored > 0)
				return err_set(err, ERR_DOCKERFILE,
					"--retries cannot be negative (%s)", flag->value);
			continue;
		}
		if (instruction_duration(flag->value, &ns) < 0)
			return err_set(err, ERR_DOCKERFILE,
				"invalid duration %s for --%s (such as 30s or 1m30s)",
				quote(quoted, flag->value), flag->name);
		if (ns != 0 && ns < least)
			return err_set(err, ERR_DOCKERFILE,
				"Interval \"%s\" cannot be less than 1ms", flag->name);
	}
	return 0;
}

static int check_health(struct arena *arena, struct instruction *in, struct err *err)
{
	const char **args;
	char quoted[CHARS_QUOTE_SIZE];
	char *type;

	if (at_least_one(in, err) < 0)
		return -1;
	type = arena_strdup(arena, in->args[0]);
	for (char *p = type; *p; p++)
		*p = chars_upper(*p);
	args = arena_alloc(arena, sizeof(*args) * in->nargs);
	memcpy(args, in->args, sizeof(*args) * in->nargs);
	args[0] = type;
	in->args = args;

	if (strcmp(type, "NONE") == 0) {
		in->nflags = 0;
		if (in->nargs > 1)
			return err_set(err, ERR_DOCKERFILE, "HEALTHCHECK NONE takes no arguments");
		return 0;
	}
	if (check_flags(arena, in, err) < 0 || check_health_options(in, err) < 0)
		return -1;
	if (strcmp(type, "CMD") != 0)
		return err_set(err, ERR_DOCKERFILE, "Unknown type %s in HEALTHCHECK (try CMD)",
			quote(quoted, type));
	if (in->nargs < 2)
		return err_set(err, ERR_DOCKERFILE, "Missing command after HEALTHCHECK CMD");
	return 0;
}

/* What stands behind "ONBUILD" in the logical line. */
static const char *trigger_text(const struct instruction *in)
{
	const char *s = in->original;
	size_t n = strlen(s), width;

	while ((width = chars_space(s, n)) > 0) {
		s += width;
		n -= width;
	}
	s += strlen("ONBUILD");
	n -= strlen("ONBUILD");
	while ((width = chars_space(s, n)) > 0) {
		s += width;
		n -= width;
	}
	return s;
}

static int check_onbuild(struct arena *arena, struct instruction *in, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct instruction *trigger;

	if (at_least_one(in, err) < 0 || check_flags(arena, in, err) < 0)
		return -1;
	switch (in->trigger->kind) {
	case INSTRUCTION_ONBUILD:
		return err_set(err, ERR_DOCKERFILE,
			"Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	case INSTRUCTION_FROM:
	case INSTRUCTION_MAINTAINER:
		return err_set(err, ERR_DOCKERFILE, "%s isn't allowed as an ONBUILD trigger",
			instruction_kind_name(in->trigger->kind));
	default:
		break;
	}
	set_one_arg(arena, in, join_heredocs(arena, trigger_text(in), in));

	trigger = arena_alloc(arena, sizeof(*trigger));
	*trigger = *in->trigger;
	trigger->first_line = in->first_line;
	trigger->last_line = in->last_line;
	trigger->heredocs = in->heredocs;
	trigger->nheredocs = in->nheredocs;
	in->trigger = check_instruction(arena, trigger, &ignored) == 0 ? trigger : NULL;
	return 0;
}

int check_instruction(struct arena *arena, struct instruction *in, struct err *err)
{
	size_t n;
	const char *const *names = instruction_kind_names(&n);

	switch (in->kind) {
	case INSTRUCTION_FROM:
		return check_from(in, err) < 0 ? -1 : check_flags(arena, in, err);
	case INSTRUCTION_ARG:
		in->nflags = 0;
		return check_pairs(in, err);
	case INSTRUCTION_ENV:
	case INSTRUCTION_LABEL:
		return check_flags(arena, in, err) < 0 ? -1 : check_pairs(in, err);
	case INSTRUCTION_WORKDIR:
	case INSTRUCTION_USER:
	case INSTRUCTION_MAINTAINER:
		return exactly_one(in, err) < 0 ? -1 : check_flags(arena, in, err);
	case INSTRUCTION_STOPSIGNAL:
		in->nflags = 0;
		return exactly_one(in, err);
	case INSTRUCTION_COPY:
	case INSTRUCTION_ADD:
		return check_copy(arena, in, err);
	case INSTRUCTION_RUN:
		return check_run(arena, in, err);
	case INSTRUCTION_CMD:
	case INSTRUCTION_ENTRYPOINT:
		return check_flags(arena, in, err);
	case INSTRUCTION_EXPOSE:
		return at_least_one(in, err) < 0 ? -1 : check_flags(arena, in, err);
	case INSTRUCTION_VOLUME:
		return check_volume(arena, in, err);
	case INSTRUCTION_SHELL:
		return check_shell(arena, in, err);
	case INSTRUCTION_HEALTHCHECK:
		return check_health(arena, in, err);
	case INSTRUCTION_ONBUILD:
		return check_onbuild(arena, in, err);
	case INSTRUCTION_UNKNOWN:
		break;
	}
	err_set(err, ERR_DOCKERFILE, "unknown instruction: %.*s", CHARS_QUOTE_MAX, in->name);
	return suggest_append(err, in->name, names, n, true);
}

int check_from_flag(const struct instruction *in, char escape, struct err *err)
{
	const char *from = in->kind == INSTRUCTION_COPY ? instruction_flag(in, "from") : NULL;
	auto_free char *expanded = NULL;
	struct err ignored = ERR_INIT;

	if (!from)
		return 0;
	if (expand_word(from, escape, 0, NULL, &expanded, &ignored) == 0 &&
		strcmp(from, expanded) == 0)
		return 0;
	return err_set(err, ERR_DOCKERFILE,
		"variable expansion is not supported for --from, define a new stage with FROM "
		"using ARG from "
		"global scope as a workaround");
}
