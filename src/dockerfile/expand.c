#include "dockerfile/expand.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dockerfile/chars.h"
#include "dockerfile/pattern.h"

#define STOP_NONE '\0'

struct word_list {
	struct strbuf word; /* the one being read */
	void (*add)(void *ctx, const char *word);
	void *ctx;
};

struct lex {
	const char *src;
	size_t len, pos;
	char escape;
	unsigned flags;
	bool raw_escapes; /* EXPAND_RAW_ESCAPES, or inside a pattern */
	const struct expand_env *env;
	unsigned depth;
	size_t work; /* still allowed */
};

static int process(
	struct lex *lx, char stop, struct strbuf *out, struct word_list *words, struct err *err);

static int too_big(struct err *err)
{
	return err_set(err, ERR_DOCKERFILE, "expansion exceeds %u MiB", EXPAND_OUTPUT_MAX >> 20);
}

/* Account for n bytes that were appended to out. */
static int charge(struct lex *lx, const struct strbuf *out, size_t n, struct err *err)
{
	if (out->overflow)
		return too_big(err);
	if (n > lx->work)
		return err_set(err, ERR_DOCKERFILE, "expansion takes too long");
	lx->work -= n;
	return 0;
}

static int emit(struct lex *lx, struct strbuf *out, const char *s, size_t n, struct err *err)
{
	strbuf_add(out, s, n);
	return charge(lx, out, n, err);
}

static void words_end(struct word_list *words)
{
	if (words->word.len == 0)
		return;
	words->add(words->ctx, words->word.buf);
	strbuf_reset(&words->word);
}

static void words_add(struct word_list *words, const char *s, size_t n)
{
	if (words)
		strbuf_add(&words->word, s, n);
}

/* Append text in which unquoted white space separates words. */
static void words_split(struct word_list *words, const char *s, size_t n)
{
	size_t start = 0;

	if (!words)
		return;
	for (size_t i = 0; i < n;) {
		size_t width = chars_space(s + i, n - i);

		if (width == 0) {
			i++;
			continue;
		}
		strbuf_add(&words->word, s + start, i - start);
		words_end(words);
		i += width;
		start = i;
	}
	strbuf_add(&words->word, s + start, n - start);
}

static bool at_end(const struct lex *lx)
{
	return lx->pos == lx->len;
}

/* The byte at the read position, or -1 at the end. */
static int peek(const struct lex *lx)
{
	return at_end(lx) ? -1 : (unsigned char)lx->src[lx->pos];
}

/* The width in bytes of the character at the read position. */
static size_t peek_width(const struct lex *lx)
{
	size_t width;

	chars_decode(lx->src + lx->pos, lx->len - lx->pos, &width);
	return width;
}

static int single_quotes(struct lex *lx, struct strbuf *out, struct err *err)
{
	const char *start = lx->src + lx->pos; /* at the opening quote */
	const char *end = memchr(start + 1, '\'', lx->len - lx->pos - 1);

	if (!end)
		return err_set(err, ERR_DOCKERFILE,
			"unexpected end of statement while looking for matching single-quote");
	lx->pos += (size_t)(end - start) + 1;
	if (lx->flags & EXPAND_RAW_QUOTES)
		return emit(lx, out, start, (size_t)(end - start) + 1, err);
	return emit(lx, out, start + 1, (size_t)(end - start) - 1, err);
}

/* Read a name into name: digits, one special parameter, or letters, digits and underscores. */
static void read_name(struct lex *lx, struct strbuf *name)
{
	size_t start = lx->pos, width;
	bool number;

	if (at_end(lx))
		return;
	if (strchr("@*#?-$!", peek(lx))) {
		lx->pos++;
		strbuf_add(name, lx->src + start, 1);
		return;
	}
	number = chars_is_digit(chars_decode(lx->src + lx->pos, lx->len - lx->pos, &width));
	while (!at_end(lx)) {
		uint32_t cp = chars_decode(lx->src + lx->pos, lx->len - lx->pos, &width);

		if (!chars_is_digit(cp) && (number || (!chars_is_letter(cp) && cp != '_')))
			break;
		lx->pos += width;
	}
	strbuf_add(name, lx->src + start, lx->pos - start);
}

static const char *lookup(const struct lex *lx, const char *name)
{
	return lx->env && lx->env->lookup ? lx->env->lookup(lx->env->ctx, name) : NULL;
}

static void report_undefined(const struct lex *lx, const char *name)
{
	if (lx->env && lx->env->undefined)
		lx->env->undefined(lx->env->ctx, name);
}

static int emit_str(struct lex *lx, struct strbuf *out, const char *s, struct err *err)
{
	return emit(lx, out, s, strlen(s), err);
}

/* A plain reference; written is how it stands in the source, for EXPAND_SKIP_UNSET. */
static int emit_variable(struct lex *lx, const char *name, const char *written, size_t written_len,
	struct strbuf *out, struct err *err)
{
	const char *value = lookup(lx, name);

	if (value)
		return emit_str(lx, out, value, err);
	if (lx->flags & EXPAND_SKIP_UNSET)
		return emit(lx, out, written, written_len, err);
	report_undefined(lx, name);
	return 0;
}

/*
 * Read a part of a substitution up to stop into part. missing is the error when the text ends
 * first: also when another error was found in a part that is not terminated.
 */
static int read_part(struct lex *lx, char stop, bool raw_escapes, const char *missing,
	struct strbuf *part, struct err *err)
{
	bool outer = lx->raw_escapes;
	int r;

	if (lx->depth == EXPAND_DEPTH_MAX)
		return err_set(err, ERR_DOCKERFILE, "substitutions are nested more than %d deep",
			EXPAND_DEPTH_MAX);
	lx->depth++;
	lx->raw_escapes = raw_escapes;
	r = process(lx, stop, part, NULL, err);
	lx->raw_escapes = outer;
	lx->depth--;
	if (r < 0 && at_end(lx))
		return err_set(err, ERR_DOCKERFILE, "syntax error: missing %s", missing);
	return r;
}

static int unsupported(const char *op, size_t n, struct err *err)
{
	return err_set(
		err, ERR_DOCKERFILE, "unsupported modifier (%.*s) in substitution", (int)n, op);
}

/* ${name?word} and ${name:?word} */
static int require(struct lex *lx, const char *name, const char *value, bool colon,
	const char *word, struct strbuf *out, struct err *err)
{
	if (value && !(colon && !*value))
		return emit_str(lx, out, value, err);
	if (!value)
		report_undefined(lx, name);
	if (!*word)
		word = value ? "is not allowed to be empty" : "is not allowed to be unset";
	return err_set(err, ERR_DOCKERFILE, "%s: %s", name, word);
}

/* ${name#pattern} and the like; op is '#' or '%', and doubled it stands at the front of word. */
static int trim(struct lex *lx, const char *name, const char *value, char op, const char *word,
	struct strbuf *out, struct err *err)
{
	bool longest = word[0] == op;
	size_t before = out->len;

	if (!value)
		report_undefined(lx, name);
	if (pattern_trim(value ? value : "", word + longest, op == '%', longest, &lx->work, out,
		    err) < 0)
		return -1;
	return charge(lx, out, out->len - before, err);
}

/* ${name<op>word}, with or without a colon before op; the read position is behind op. */
static int substitute_word(struct lex *lx, const char *name, const char *op, size_t op_len,
	struct strbuf *out, struct err *err)
{
	auto_strbuf word = STRBUF_INIT_MAX(EXPAND_OUTPUT_MAX);
	bool colon = op_len > 1 || *op == ':';
	char kind = !colon ? *op : op_len > 1 ? op[1] : '\0';
	bool is_pattern = kind == '#' || kind == '%';
	const char *value;
	bool use_word;

	if (colon && is_pattern)
		return unsupported(op, op_len, err);
	if (read_part(lx, '}', is_pattern, "'}'", &word, err) < 0)
		return -1;
	value = lookup(lx, name);
	if (!value && (lx->flags & EXPAND_SKIP_UNSET)) {
		size_t before = out->len;

		strbuf_printf(out, "${%s%.*s", name, (int)op_len, op);
		strbuf_add(out, word.buf, word.len);
		strbuf_putc(out, '}');
		return charge(lx, out, out->len - before, err);
	}

	use_word = !value || (colon && !*value);
	switch (kind) {
	case '-':
		return emit_str(lx, out, use_word ? word.buf : value, err);
	case '+':
		return use_word ? 0 : emit_str(lx, out, word.buf, err);
	case '?':
		return require(lx, name, value, colon, word.buf, out, err);
	case '#':
	case '%':
		return trim(lx, name, value, kind, word.buf, out, err);
	default:
		return unsupported(op, op_len, err);
	}
}

/* ${name/pattern/replacement} or, with two slashes first, of all matches; the read position is
 * behind one. */
static int substitute_matches(struct lex *lx, const char *name, struct strbuf *out, struct err *err)
{
	auto_strbuf pattern = STRBUF_INIT_MAX(EXPAND_OUTPUT_MAX);
	auto_strbuf replacement = STRBUF_INIT_MAX(EXPAND_OUTPUT_MAX);
	bool all = peek(lx) == '/';
	size_t before = out->len;
	const char *value;

	lx->pos += all;
	if (read_part(lx, '/', true, "'/' in ${}", &pattern, err) < 0 ||
		read_part(lx, '}', true, "'}'", &replacement, err) < 0)
		return -1;
	value = lookup(lx, name);
	if (!value && (lx->flags & EXPAND_SKIP_UNSET)) {
		strbuf_printf(out, "${%s/%s", name, all ? "/" : "");
		strbuf_add(out, pattern.buf, pattern.len);
		strbuf_putc(out, '/');
		strbuf_add(out, replacement.buf, replacement.len);
		strbuf_putc(out, '}');
		return charge(lx, out, out->len - before, err);
	}
	if (!value)
		report_undefined(lx, name);
	if (pattern_replace(
		    value ? value : "", pattern.buf, replacement.buf, all, &lx->work, out, err) < 0)
		return -1;
	return charge(lx, out, out->len - before, err);
}

/* What begins with "${"; the read position is behind the brace, start is that of the dollar. */
static int braces(struct lex *lx, size_t start, struct strbuf *out, struct err *err)
{
	auto_strbuf name = STRBUF_INIT;
	size_t op, op_len;

	if (at_end(lx))
		return err_set(err, ERR_DOCKERFILE, "syntax error: missing '}'");
	if (strchr("{}:", peek(lx)))
		return err_set(err, ERR_DOCKERFILE, "syntax error: bad substitution");
	read_name(lx, &name);
	if (at_end(lx)) /* the replacement character, as the spec has it */
		return unsupported("\xEF\xBF\xBD", 3, err);

	op = lx->pos;
	op_len = peek_width(lx);
	lx->pos += op_len;
	switch (lx->src[op]) {
	case '}':
		return emit_variable(lx, name.buf, lx->src + start, lx->pos - start, out, err);
	case ':':
		if (!at_end(lx)) {
			size_t width = peek_width(lx);

			op_len += width;
			lx->pos += width;
		}
		return substitute_word(lx, name.buf, lx->src + op, op_len, out, err);
	case '+':
	case '-':
	case '?':
	case '#':
	case '%':
		return substitute_word(lx, name.buf, lx->src + op, op_len, out, err);
	case '/':
		return substitute_matches(lx, name.buf, out, err);
	default:
		return unsupported(lx->src + op, op_len, err);
	}
}

static int dollar(struct lex *lx, struct strbuf *out, struct err *err)
{
	auto_strbuf name = STRBUF_INIT;
	size_t start = lx->pos++;

	if (peek(lx) == '{') {
		lx->pos++;
		return braces(lx, start, out, err);
	}
	read_name(lx, &name);
	if (name.len == 0)
		return emit(lx, out, "$", 1, err);
	return emit_variable(lx, name.buf, lx->src + start, lx->pos - start, out, err);
}

static int double_quotes(struct lex *lx, struct strbuf *out, struct err *err)
{
	bool raw_quotes = lx->flags & EXPAND_RAW_QUOTES;

	lx->pos++;
	if (raw_quotes && emit(lx, out, "\"", 1, err) < 0)
		return -1;
	while (!at_end(lx)) {
		size_t start = lx->pos;
		int c = peek(lx);

		if (c == '"') {
			lx->pos++;
			return raw_quotes ? emit(lx, out, "\"", 1, err) : 0;
		}
		if (c == '$') {
			if (dollar(lx, out, err) < 0)
				return -1;
			continue;
		}
		lx->pos++;
		if (c == (unsigned char)lx->escape) {
			int next = peek(lx);

			if (next == '"' || next == '$' || next == c) {
				lx->pos++;
				start += !lx->raw_escapes;
			}
		} else {
			while (!at_end(lx) && peek(lx) != '"' && peek(lx) != '$' &&
				peek(lx) != (unsigned char)lx->escape)
				lx->pos++;
		}
		if (emit(lx, out, lx->src + start, lx->pos - start, err) < 0)
			return -1;
	}
	return err_set(err, ERR_DOCKERFILE,
		"unexpected end of statement while looking for matching double-quote");
}

/* Append to both results: text that is never split. */
static int emit_raw(struct lex *lx, struct strbuf *out, struct word_list *words, const char *s,
	size_t n, struct err *err)
{
	words_add(words, s, n);
	return emit(lx, out, s, n, err);
}

/* The read position is at '<'. "<<" takes the blanks behind it along, so that "<< EOF" stays one
 * word. */
static int less_than(struct lex *lx, struct strbuf *out, struct word_list *words, struct err *err)
{
	size_t start = lx->pos++;

	if (peek(lx) == '<') {
		lx->pos++;
		while (!at_end(lx) && strchr("\t\r ", peek(lx)))
			lx->pos++;
	}
	return emit_raw(lx, out, words, lx->src + start, lx->pos - start, err);
}

/* The read position is at the escape character: the next character is literal, whatever it is. */
static int escaped(struct lex *lx, struct strbuf *out, struct word_list *words, struct err *err)
{
	size_t start = lx->pos++;

	if (!lx->raw_escapes)
		start = lx->pos;
	if (!at_end(lx))
		lx->pos += peek_width(lx);
	return emit_raw(lx, out, words, lx->src + start, lx->pos - start, err);
}

/* A quoted or substituted piece; a substituted one is split in lists, a quoted one is not. */
static int special(struct lex *lx, struct strbuf *out, struct word_list *words, struct err *err)
{
	int c = peek(lx);
	size_t before = out->len;

	if ((c == '$'		? dollar(lx, out, err)
		    : c == '\'' ? single_quotes(lx, out, err)
				: double_quotes(lx, out, err)) < 0)
		return -1;
	if (c == '$')
		words_split(words, out->buf + before, out->len - before);
	else
		words_add(words, out->buf + before, out->len - before);
	return 0;
}

/* Read up to stop and over it, or to the end for STOP_NONE (spec 2.2, process). words may be NULL.
 */
static int process(
	struct lex *lx, char stop, struct strbuf *out, struct word_list *words, struct err *err)
{
	bool quotes = !(lx->flags & EXPAND_SKIP_QUOTES);
	char ends[] = {'$', '<', lx->escape, quotes ? '\'' : '$', quotes ? '"' : '$', stop, '\0'};

	while (!at_end(lx)) {
		const char *at = lx->src + lx->pos;
		size_t plain = strcspn(at, ends);
		int r;

		if (plain > 0) {
			lx->pos += plain;
			words_split(words, at, plain);
			r = emit(lx, out, at, plain, err);
		} else if (stop != STOP_NONE && *at == stop) {
			lx->pos++;
			return 0;
		} else if (*at == '<') {
			r = less_than(lx, out, words, err);
		} else if (*at == lx->escape) {
			r = escaped(lx, out, words, err);
		} else {
			r = special(lx, out, words, err);
		}
		if (r < 0)
			return -1;
	}
	if (stop != STOP_NONE)
		return err_set(err, ERR_DOCKERFILE,
			"unexpected end of statement while looking for matching %c", stop);
	return 0;
}

static int run(const char *word, char escape, unsigned flags, const struct expand_env *env,
	struct strbuf *out, struct word_list *words, struct err *err)
{
	struct lex lx = {
		.src = word,
		.len = strlen(word),
		.escape = escape,
		.flags = flags,
		.raw_escapes = flags & EXPAND_RAW_ESCAPES,
		.env = env,
		.work = EXPAND_WORK_MAX,
	};
	char quoted[CHARS_QUOTE_SIZE];
	size_t allowed;
	int r;

	if (env && env->work && *env->work < lx.work)
		lx.work = *env->work;
	allowed = lx.work;
	r = process(&lx, STOP_NONE, out, words, err);
	if (env && env->work)
		*env->work -= allowed - lx.work;
	if (r < 0)
		return err_wrap(err, "failed to process %s", chars_quote(quoted, word, lx.len));
	return 0;
}

int expand_word(const char *word, char escape, unsigned flags, const struct expand_env *env,
	char **ret, struct err *err)
{
	auto_strbuf out = STRBUF_INIT_MAX(EXPAND_OUTPUT_MAX);

	if (run(word, escape, flags, env, &out, NULL, err) < 0)
		return -1;
	*ret = strbuf_take(&out);
	return 0;
}

int expand_each_word(const char *word, char escape, unsigned flags, const struct expand_env *env,
	void (*add)(void *ctx, const char *word), void *ctx, struct err *err)
{
	auto_strbuf out = STRBUF_INIT_MAX(EXPAND_OUTPUT_MAX);
	struct word_list words = {.word = STRBUF_INIT, .add = add, .ctx = ctx};
	int r = run(word, escape, flags, env, &out, &words, err);

	if (r == 0)
		words_end(&words);
	strbuf_release(&words.word);
	return r;
}

static void add_to_list(void *ctx, const char *word)
{
	strv_add(ctx, word);
}

int expand_words(const char *word, char escape, unsigned flags, const struct expand_env *env,
	struct strv *ret, struct err *err)
{
	auto_strv list = STRV_INIT;

	if (expand_each_word(word, escape, flags, env, add_to_list, &list, err) < 0)
		return -1;
	strv_add_all(ret, &list);
	return 0;
}
