#include "dockerfile/grammar.h"

#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dockerfile/chars.h"
#include "dockerfile/jsonlist.h"

/* How the text behind the flags is read (1.5). */
enum grammar {
	GRAMMAR_LIST,	 /* JSON, else blank-separated words */
	GRAMMAR_COMMAND, /* JSON, else one string */
	GRAMMAR_HEALTH,	 /* a word, then as GRAMMAR_COMMAND */
	GRAMMAR_PAIRS,	 /* key=value words, or "key value" */
	GRAMMAR_NAMES,	 /* name or name=value words */
	GRAMMAR_WORDS,	 /* blank-separated words */
	GRAMMAR_STRING,	 /* one string */
	GRAMMAR_TRIGGER, /* another instruction */
	GRAMMAR_NONE,
};

static const enum grammar grammars[] = {
	[INSTRUCTION_FROM] = GRAMMAR_WORDS,
	[INSTRUCTION_ARG] = GRAMMAR_NAMES,
	[INSTRUCTION_ENV] = GRAMMAR_PAIRS,
	[INSTRUCTION_LABEL] = GRAMMAR_PAIRS,
	[INSTRUCTION_WORKDIR] = GRAMMAR_STRING,
	[INSTRUCTION_COPY] = GRAMMAR_LIST,
	[INSTRUCTION_ADD] = GRAMMAR_LIST,
	[INSTRUCTION_RUN] = GRAMMAR_COMMAND,
	[INSTRUCTION_CMD] = GRAMMAR_COMMAND,
	[INSTRUCTION_ENTRYPOINT] = GRAMMAR_COMMAND,
	[INSTRUCTION_USER] = GRAMMAR_STRING,
	[INSTRUCTION_EXPOSE] = GRAMMAR_WORDS,
	[INSTRUCTION_VOLUME] = GRAMMAR_LIST,
	[INSTRUCTION_STOPSIGNAL] = GRAMMAR_STRING,
	[INSTRUCTION_SHELL] = GRAMMAR_COMMAND,
	[INSTRUCTION_HEALTHCHECK] = GRAMMAR_HEALTH,
	[INSTRUCTION_ONBUILD] = GRAMMAR_TRIGGER,
	[INSTRUCTION_MAINTAINER] = GRAMMAR_STRING,
	[INSTRUCTION_UNKNOWN] = GRAMMAR_NONE,
};

/* A growing list of strings that live in the arena. */
struct words {
	char **v;
	size_t n, cap;
};

static void words_release(struct words *w)
{
	free(w->v);
}
#define auto_words __attribute__((cleanup(words_release))) struct words

static int words_add(struct words *w, char *s, struct err *err)
{
	if (w->n == GRAMMAR_WORDS_MAX)
		return err_set(err, ERR_DOCKERFILE, "an instruction has more than %d words",
			GRAMMAR_WORDS_MAX);
	GROW(w->v, w->n, w->cap);
	w->v[w->n++] = s;
	return 0;
}

static const char *const *words_keep(const struct words *w, struct arena *arena)
{
	const char **list;

	if (w->n == 0)
		return NULL;
	list = arena_alloc(arena, sizeof(*list) * w->n);
	memcpy(list, w->v, sizeof(*list) * w->n);
	return list;
}

static void set_one(struct arena *arena, struct instruction *in, const char *word)
{
	const char **list = arena_alloc(arena, sizeof(*list));

	*list = word;
	in->args = list;
	in->nargs = 1;
}

/* Split text, which is changed, at runs of blanks. */
static int split_blanks(struct arena *arena, char *text, struct instruction *in, struct err *err)
{
	auto_words words = {0};

	while (*text) {
		char *end = text;

		while (*end && !chars_is_blank(*end))
			end++;
		if (words_add(&words, text, err) < 0)
			return -1;
		text = end;
		while (chars_is_blank(*text))
			text++;
		*end = '\0';
	}
	in->args = words_keep(&words, arena);
	in->nargs = words.n;
	return 0;
}

/* Read text as a JSON array into in. Returns 1, 0 when it is none, or -1. */
static int try_json(struct arena *arena, const char *text, struct instruction *in, struct err *err)
{
	int r = jsonlist_parse(arena, text, &in->args, &in->nargs, err);

	in->json = r > 0;
	return r;
}

static int parse_list(struct arena *arena, char *rest, struct instruction *in, struct err *err)
{
	int r = try_json(arena, rest, in, err);

	return r != 0 ? (r < 0 ? -1 : 0) : split_blanks(arena, rest, in, err);
}

static int parse_command(
	struct arena *arena, const char *rest, struct instruction *in, struct err *err)
{
	int r = try_json(arena, rest, in, err);

	if (r == 0)
		set_one(arena, in, rest);
	return r < 0 ? -1 : 0;
}

static int parse_health(struct arena *arena, char *rest, struct instruction *in, struct err *err)
{
	char *type = rest;
	const char **list;

	while (*rest && chars_space(rest, 1) == 0)
		rest++;
	while (*rest && chars_space(rest, 1) > 0)
		*rest++ = '\0';
	if (*type == '\0')
		return 0;
	if (*rest && parse_command(arena, rest, in, err) < 0)
		return -1;

	list = arena_alloc(arena, sizeof(*list) * (in->nargs + 1));
	list[0] = type;
	if (in->nargs > 0)
		memcpy(list + 1, in->args, sizeof(*list) * in->nargs);
	in->args = list;
	in->nargs++;
	return 0;
}

/*
 * Find the end of the word that begins at s: at white space outside of quotes. *ret_len is shorter
 * than what was read when an escape character is the last of the line, which is dropped.
 */
static const char *word_end(const char *s, char escape, size_t *ret_len)
{
	const char *start = s;
	char quote = '\0';

	while (*s) {
		if (!quote && chars_space(s, strnlen(s, 4)) > 0)
			break;
		if (*s == escape && quote != '\'') {
			if (s[1] == '\0') {
				*ret_len = (size_t)(s - start);
				return s + 1;
			}
			s += 2;
			continue;
		}
		if (!quote && (*s == '\'' || *s == '"'))
			quote = *s;
		else if (*s == quote)
			quote = '\0';
		s++;
	}
	*ret_len = (size_t)(s - start);
	return s;
}

/* Split text into words in which quotes and escapes are kept (1.7.1). */
static int split_words(
	struct arena *arena, const char *text, char escape, struct words *words, struct err *err)
{
	while (*text) {
		size_t len = chars_space(text, strnlen(text, 4));
		const char *end;

		if (len > 0) {
			text += len;
			continue;
		}
		end = word_end(text, escape, &len);
		if (len > 0 && words_add(words, arena_strndup(arena, text, len), err) < 0)
			return -1;
		text = end;
	}
	return 0;
}

/* Set the keys and values of in from words, which must hold '=' unless bare_names. */
static int set_pairs(struct arena *arena, const struct words *words, bool bare_names,
	struct instruction *in, struct err *err)
{
	const char **keys = arena_alloc(arena, sizeof(*keys) * (words->n + 1));
	const char **values = arena_alloc(arena, sizeof(*values) * (words->n + 1));

	for (size_t i = 0; i < words->n; i++) {
		char *word = words->v[i], *equals = strchr(word, '=');
		char quoted[CHARS_QUOTE_SIZE];

		if (!equals && !bare_names)
			return err_set(err, ERR_DOCKERFILE,
				"Syntax error - can't find = in %s. Must be of the form: "
				"name=value",
				chars_quote(quoted, word, strlen(word)));
		if (equals)
			*equals = '\0';
		keys[i] = word;
		values[i] = equals ? equals + 1 : NULL;
	}
	in->keys = keys;
	in->values = values;
	in->nkeys = words->n;
	return 0;
}

static int parse_names(struct arena *arena, const char *rest, char escape, bool bare_names,
	struct instruction *in, struct err *err)
{
	auto_words words = {0};

	if (split_words(arena, rest, escape, &words, err) < 0)
		return -1;
	return set_pairs(arena, &words, bare_names, in, err);
}

static int parse_pairs(
	struct arena *arena, char *rest, char escape, struct instruction *in, struct err *err)
{
	const char **key, **value;
	char *end = rest;
	size_t first;

	word_end(rest, escape, &first);
	if (first == 0 || memchr(rest, '=', first))
		return parse_names(arena, rest, escape, false, in, err);

	while (*end && !chars_is_blank(*end))
		end++;
	if (*end == '\0')
		return err_set(err, ERR_DOCKERFILE, "%s must have two arguments",
			instruction_kind_name(in->kind));
	while (chars_is_blank(*end))
		*end++ = '\0';
	key = arena_alloc(arena, sizeof(*key));
	value = arena_alloc(arena, sizeof(*value));
	*key = rest;
	*value = end;
	in->keys = key;
	in->values = value;
	in->nkeys = 1;
	in->legacy = true;
	return 0;
}

static int parse_line(struct arena *arena, const char *line, char escape, bool nested,
	struct instruction *ret, struct err *err);

static int parse_trigger(
	struct arena *arena, const char *rest, char escape, struct instruction *in, struct err *err)
{
	struct instruction *inner;

	if (!*rest)
		return 0;
	inner = arena_alloc(arena, sizeof(*inner));
	in->trigger = inner;
	set_one(arena, in, rest);
	return parse_line(arena, rest, escape, true, inner, err);
}

static int parse_rest(struct arena *arena, char *rest, char escape, bool nested,
	struct instruction *in, struct err *err)
{

	switch (grammars[in->kind]) {
	case GRAMMAR_LIST:
		return parse_list(arena, rest, in, err);
	case GRAMMAR_COMMAND:
		return parse_command(arena, rest, in, err);
	case GRAMMAR_HEALTH:
		return parse_health(arena, rest, in, err);
	case GRAMMAR_PAIRS:
		return parse_pairs(arena, rest, escape, in, err);
	case GRAMMAR_NAMES:
		return parse_names(arena, rest, escape, true, in, err);
	case GRAMMAR_WORDS:
		return split_blanks(arena, rest, in, err);
	case GRAMMAR_STRING:
		if (*rest)
			set_one(arena, in, rest);
		return 0;
	case GRAMMAR_TRIGGER:
		/* One inside another is refused later; looking into it would have no end. */
		return nested ? 0 : parse_trigger(arena, rest, escape, in, err);
	case GRAMMAR_NONE:
		break;
	}
	return 0;
}

/*
 * Read one flag word at s, without quotes and escapes, into out. Returns what follows it.
 * Bytes above ASCII are copied as they are and never separate words.
 */
static const char *read_flag(const char *s, char escape, struct strbuf *out)
{
	char quote = '\0';

	for (; *s; s++) {
		if (!quote && chars_space(s, 1) > 0)
			break;
		if (*s == escape) {
			if (s[1] == '\0')
				return s + 1;
			s++;
		} else if (!quote && (*s == '\'' || *s == '"')) {
			quote = *s;
			continue;
		} else if (*s == quote) {
			quote = '\0';
			continue;
		}
		strbuf_putc(out, *s);
	}
	return s;
}

/* Read the flags at the beginning of text (1.4.2). Returns what follows them, or NULL and *err. */
static char *parse_flags(
	struct arena *arena, char *text, char escape, struct instruction *in, struct err *err)
{
	auto_strbuf word = STRBUF_INIT;
	auto_free struct flag *flags = NULL;
	struct flag *kept;
	size_t n = 0, cap = 0;

	for (;;) {
		char *name, *equals;

		while (chars_space(text, 1) > 0)
			text++;
		if (text[0] != '-' || text[1] != '-')
			break;
		strbuf_reset(&word);
		text += read_flag(text, escape, &word) - text;
		if (strcmp(word.buf, "--") == 0)
			break;
		if (n == GRAMMAR_FLAGS_MAX) {
			err_set(err, ERR_DOCKERFILE, "an instruction has more than %d flags",
				GRAMMAR_FLAGS_MAX);
			return NULL;
		}
		name = arena_strndup(arena, word.buf + 2, word.len - 2);
		equals = strchr(name, '=');
		GROW(flags, n, cap);
		flags[n++] = (struct flag){.name = name,
			.value = equals ? equals + 1 : "",
			.has_value = equals != NULL};
		if (equals)
			*equals = '\0';
	}
	if (n > 0) {
		kept = arena_alloc(arena, sizeof(*kept) * n);
		memcpy(kept, flags, sizeof(*kept) * n);
		in->flags = kept;
		in->nflags = n;
	}
	return text;
}

/* grammar_parse(); nested tells that line is the rest of an ONBUILD. */
static int parse_line(struct arena *arena, const char *line, char escape, bool nested,
	struct instruction *ret, struct err *err)
{
	const char *trimmed = line;
	size_t len = strlen(line), name_len = 0;
	char *text, *rest;

	chars_trim(&trimmed, &len);
	text = arena_strndup(arena, trimmed, len);
	while (text[name_len] && !chars_is_blank(text[name_len]))
		name_len++;
	*ret = (struct instruction){.original = line, .name = arena_strndup(arena, text, name_len)};
	ret->kind = instruction_kind_find(ret->name);

	rest = parse_flags(arena, text + name_len, escape, ret, err);
	if (!rest)
		return -1;
	trimmed = rest;
	len = strlen(rest);
	chars_trim(&trimmed, &len);
	rest += trimmed - rest;
	rest[len] = '\0'; /* the copy is ours: long lines are not copied once more */
	return parse_rest(arena, rest, escape, nested, ret, err);
}

int grammar_parse(struct arena *arena, const char *line, char escape, struct instruction *ret,
	struct err *err)
{
	return parse_line(arena, line, escape, false, ret, err);
}

bool grammar_takes_heredocs(const struct instruction *in)
{
	if (in->kind == INSTRUCTION_ONBUILD && in->trigger)
		in = in->trigger;
	return (in->kind == INSTRUCTION_COPY || in->kind == INSTRUCTION_ADD ||
		       in->kind == INSTRUCTION_RUN) &&
	       !in->json;
}
