/*
 * Two ways to match. Nearly every pattern is a sequence of whole path components, and "**" as a
 * component of its own: those are matched component by component against a path that was split
 * once. The rest ("a**b", a class that holds '/') runs as a small state machine over characters.
 */
#include "dockerfile/ignore.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strv.h"
#include "dockerfile/chars.h"
#include "dockerfile/glob.h"

/* Components of a path of IGNORE_PATTERN_MAX bytes, each a byte and a slash. */
#define COMPONENTS_MAX (IGNORE_PATTERN_MAX / 2 + 1)

/* States of the machine: at most two for each byte of a pattern, and the final one. */
#define STATES_MAX (IGNORE_PATTERN_MAX * 2 + 2)
#define STATE_WORDS ((STATES_MAX + 63) / 64)

/* How one component is compared. */
enum part_kind {
	PART_LITERAL,
	PART_ANY,    /* "*" */
	PART_PREFIX, /* "lit*" */
	PART_SUFFIX, /* "*lit" */
	PART_GLOB,   /* anything else */
	PART_DEEP,   /* "**": any number of components, also none */
};

struct part {
	enum part_kind kind;
	const char *s; /* the literal, or the glob */
	size_t n;
};

enum token_kind {
	TOKEN_CHAR,
	TOKEN_ANY,   /* one character but '/' */
	TOKEN_CLASS, /* one character of a class */
	TOKEN_STAR,  /* any number of characters but '/' */
	TOKEN_EVERY, /* any number of characters */
	TOKEN_DEEP,  /* "(.*" of "(.*\/)?": as TOKEN_EVERY, but may be skipped with the TOKEN_CHAR
			behind it */
};

struct token {
	enum token_kind kind;
	uint32_t cp;
	const char *class_start, *class_end;
};

enum pattern_kind {
	PATTERN_PARTS,
	PATTERN_STARTS, /* "text**": paths that begin with text */
	PATTERN_ENDS,	/* "**text": paths that end with text */
	PATTERN_TOKENS,
};

struct pattern {
	const char *text;
	bool exception;
	enum pattern_kind kind;
	struct part *parts; /* PATTERN_PARTS */
	size_t nparts;
	const char *literal; /* PATTERN_STARTS, PATTERN_ENDS */
	size_t literal_len;
	struct token *tokens; /* PATTERN_TOKENS */
	size_t ntokens;
};

struct ignore {
	struct arena arena;
	struct pattern *patterns;
	size_t n, cap;
	bool exceptions;
};

DEFINE_AUTO(struct ignore *, ignore_free)

/* A path, split once for all patterns: component i is [start[i], start[i + 1] - 1). */
struct split_path {
	const char *s;
	size_t len;
	size_t n;
	uint16_t start[COMPONENTS_MAX + 1];
};

static void split(struct split_path *p, const char *path)
{
	p->s = path;
	p->len = strnlen(path, IGNORE_PATTERN_MAX);
	p->n = 0;
	p->start[p->n++] = 0;
	for (size_t i = 0; i < p->len && p->n < COMPONENTS_MAX; i++)
		if (path[i] == '/')
			p->start[p->n++] = (uint16_t)(i + 1);
	p->start[p->n] = (uint16_t)(p->len + 1);
}

static inline bool part_matches(const struct part *part, const char *s, size_t n)
{
	switch (part->kind) {
	case PART_LITERAL:
		return n == part->n && s[0] == part->s[0] && memcmp(s, part->s, n) == 0;
	case PART_ANY:
		return true;
	case PART_PREFIX:
		return n >= part->n && s[0] == part->s[0] && memcmp(s, part->s, part->n) == 0;
	case PART_SUFFIX:
		return n >= part->n && s[n - 1] == part->s[part->n - 1] &&
		       memcmp(s + n - part->n, part->s, part->n) == 0;
	case PART_GLOB:
		return glob_match_n(part->s, part->n, s, n);
	case PART_DEEP:
		break;
	}
	return false;
}

/* How many of the n parts match the components from at on, one each, before one does not or none is
 * left. */
static inline size_t match_run(
	const struct part *parts, size_t n, const struct split_path *p, size_t at)
{
	size_t i = 0;

	while (i < n && at + i < p->n) {
		const char *s = p->s + p->start[at + i];
		size_t len = (size_t)(p->start[at + i + 1] - p->start[at + i]) - 1;

		if (!part_matches(&parts[i], s, len))
			break;
		i++;
	}
	return i;
}

enum parts_result {
	PARTS_NO,    /* neither p nor anything below it can match */
	PARTS_BELOW, /* p does not match, but something below it could */
	PARTS_YES,   /* p or a directory above it matches */
};

/*
 * Match whole components. Runs between "**" are placed as early as they fit; that leaves the most
 * to those behind them. A "**" at the end demands one more component.
 */
static enum parts_result match_parts(const struct pattern *pat, const struct split_path *p)
{
	size_t at = 0, i = 0;
	bool anywhere = false;

	while (i < pat->nparts) {
		size_t end = i, run, got;

		if (pat->parts[i].kind == PART_DEEP) {
			anywhere = true;
			if (++i == pat->nparts && at == p->n)
				return PARTS_BELOW;
			continue;
		}
		while (end < pat->nparts && pat->parts[end].kind != PART_DEEP)
			end++;
		run = end - i;
		got = match_run(pat->parts + i, run, p, at);
		while (got < run && anywhere && at < p->n)
			got = match_run(pat->parts + i, run, p, ++at);
		if (got < run)
			return anywhere || at + got == p->n ? PARTS_BELOW : PARTS_NO;
		at += run;
		i = end;
		anywhere = false;
	}
	return PARTS_YES;
}

/* Whether p or a directory above it ends with the literal. */
static bool match_ends(const struct pattern *pat, const struct split_path *p)
{
	for (size_t i = 1; i <= p->n; i++) {
		size_t len = (size_t)p->start[i] - 1; /* of the path down to this component */

		if (len >= pat->literal_len &&
			memcmp(p->s + len - pat->literal_len, pat->literal, pat->literal_len) == 0)
			return true;
	}
	return false;
}

struct states {
	uint64_t bits[STATE_WORDS];
	size_t words; /* in use */
};

static void states_clear(struct states *st, size_t ntokens)
{
	st->words = ntokens / 64 + 1;
	memset(st->bits, 0, st->words * sizeof(st->bits[0]));
}

static bool states_has(const struct states *st, size_t i)
{
	return st->bits[i / 64] >> (i % 64) & 1;
}

/* Enter state i and those reached from it without reading. A state means: token i is to be read
 * next. */
static void states_enter(struct states *st, const struct pattern *pat, size_t i)
{
	while (!states_has(st, i)) {
		st->bits[i / 64] |= UINT64_C(1) << (i % 64);
		if (i == pat->ntokens)
			return;
		if (pat->tokens[i].kind == TOKEN_DEEP) {
			/* Read on in the loop, which ends before the slash, or skip both. */
			states_enter(st, pat, i + 1);
			i += 2;
		} else if (pat->tokens[i].kind == TOKEN_STAR ||
			   pat->tokens[i].kind == TOKEN_EVERY) {
			i++;
		} else {
			return;
		}
	}
}

static bool token_is_loop(enum token_kind kind)
{
	return kind == TOKEN_STAR || kind == TOKEN_EVERY || kind == TOKEN_DEEP;
}

static bool token_reads(const struct token *t, uint32_t cp)
{
	const char *end;

	switch (t->kind) {
	case TOKEN_CHAR:
		return t->cp == cp;
	case TOKEN_ANY:
	case TOKEN_STAR:
		return cp != '/';
	case TOKEN_CLASS:
		return glob_class(t->class_start, t->class_end, cp, &end) > 0;
	case TOKEN_EVERY:
	case TOKEN_DEEP:
		return true;
	}
	return false;
}

/* Read one character: next becomes the states after it. Returns whether any is left. */
static bool states_step(
	const struct states *st, struct states *next, const struct pattern *pat, uint32_t cp)
{
	bool any = false;

	states_clear(next, pat->ntokens);
	for (size_t w = 0; w < st->words; w++) {
		for (uint64_t bits = st->bits[w]; bits; bits &= bits - 1) {
			size_t i = w * 64 + (size_t)__builtin_ctzll(bits);

			if (i == pat->ntokens || !token_reads(&pat->tokens[i], cp))
				continue;
			any = true;
			/*
			 * A loop stays where it is. Skipping "(.*\/)?" is possible only before it
			 * began, so inside TOKEN_DEEP just the slash may follow.
			 */
			if (!token_is_loop(pat->tokens[i].kind)) {
				states_enter(next, pat, i + 1);
			} else if (pat->tokens[i].kind == TOKEN_DEEP) {
				next->bits[i / 64] |= UINT64_C(1) << (i % 64);
				states_enter(next, pat, i + 1);
			} else {
				states_enter(next, pat, i);
			}
		}
	}
	return any;
}

/* Run the machine. With below, p is a directory and the question is whether something below it can
 * match. */
static bool match_tokens(const struct pattern *pat, const struct split_path *p, bool below)
{
	struct states a, b, *now = &a, *next = &b;

	states_clear(now, pat->ntokens);
	states_enter(now, pat, 0);
	for (size_t i = 0, width; i < p->len; i += width) {
		struct states *spare = now;
		uint32_t cp = chars_decode(p->s + i, p->len - i, &width);

		/* A directory above that matches. */
		if (cp == '/' && !below && states_has(now, pat->ntokens))
			return true;
		if (!states_step(now, next, pat, cp))
			return false;
		now = next;
		next = spare;
	}
	return below ? states_step(now, next, pat, '/') : states_has(now, pat->ntokens);
}

static bool pattern_matches(const struct pattern *pat, const struct split_path *p)
{
	switch (pat->kind) {
	case PATTERN_PARTS:
		return match_parts(pat, p) == PARTS_YES;
	case PATTERN_STARTS:
		return p->len >= pat->literal_len &&
		       memcmp(p->s, pat->literal, pat->literal_len) == 0;
	case PATTERN_ENDS:
		return match_ends(pat, p);
	case PATTERN_TOKENS:
		return match_tokens(pat, p, false);
	}
	return false;
}

static bool pattern_reaches_below(const struct pattern *pat, const struct split_path *p)
{
	size_t common = p->len < pat->literal_len ? p->len : pat->literal_len;

	switch (pat->kind) {
	case PATTERN_PARTS:
		return match_parts(pat, p) != PARTS_NO;
	case PATTERN_STARTS:
		return memcmp(p->s, pat->literal, common) == 0 &&
		       (common == pat->literal_len || pat->literal[common] == '/');
	case PATTERN_ENDS:
		return true;
	case PATTERN_TOKENS:
		return match_tokens(pat, p, true) || match_tokens(pat, p, false);
	}
	return true;
}

bool ignore_match(const struct ignore *ig, const char *path)
{
	struct split_path p;
	bool excluded = false;

	split(&p, path);
	for (size_t i = 0; i < ig->n; i++) {
		const struct pattern *pat = &ig->patterns[i];

		/* Only a pattern that could change the answer is looked at. */
		if (pat->exception == excluded && pattern_matches(pat, &p))
			excluded = !excluded;
	}
	return excluded;
}

bool ignore_may_include_below(const struct ignore *ig, const char *dir)
{
	struct split_path p;

	if (!ig->exceptions)
		return false;
	split(&p, dir);
	/* An exception before the last pattern that excludes dir is overruled for all below dir. */
	for (size_t i = ig->n; i-- > 0;) {
		const struct pattern *pat = &ig->patterns[i];

		if (pat->exception ? pattern_reaches_below(pat, &p) : pattern_matches(pat, &p))
			return pat->exception;
	}
	return false;
}

/* The end of one element of the well-formed pattern text at s: a character, an escape or a class.
 */
static const char *element_end(const char *s, const char *end)
{
	size_t width;

	if (*s == '\\' && s + 1 < end)
		s++;
	else if (*s == '[' && glob_class(s + 1, end, 0, &s) >= 0)
		return s;
	chars_decode(s, (size_t)(end - s), &width);
	return s + width;
}

static bool has_meta(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strchr("*?[]\\", s[i]))
			return true;
	return false;
}

/* Set part to compare the component pattern s. Returns false when it is none: "a**", or a class
 * with '/'. */
static bool compile_part(struct part *part, const char *s, size_t n)
{
	const char *end = s + n, *ignored;

	for (const char *p = s; p < end; p = element_end(p, end)) {
		if (*p == '[' && glob_class(p + 1, end, '/', &ignored) != 0)
			return false;
		if (p[0] == '*' && p + 1 < end && p[1] == '*' && n > 2)
			return false;
	}

	*part = (struct part){.kind = PART_GLOB, .s = s, .n = n};
	if (n == 2 && memcmp(s, "**", 2) == 0)
		part->kind = PART_DEEP;
	else if (n == 1 && *s == '*')
		part->kind = PART_ANY;
	else if (!has_meta(s, n))
		part->kind = PART_LITERAL;
	else if (s[0] == '*' && !has_meta(s + 1, n - 1))
		*part = (struct part){.kind = PART_SUFFIX, .s = s + 1, .n = n - 1};
	else if (s[n - 1] == '*' && !has_meta(s, n - 1))
		*part = (struct part){.kind = PART_PREFIX, .s = s, .n = n - 1};
	return true;
}

/* The end of the component at s: at a slash outside of classes and escapes. NULL when one is inside
 * them. */
static const char *component_end(const char *s, const char *end)
{
	while (s < end && *s != '/') {
		const char *next = element_end(s, end);

		if (memchr(s, '/', (size_t)(next - s)))
			return NULL;
		s = next;
	}
	return s;
}

/* Try to see the pattern as whole components. */
static bool compile_parts(struct arena *arena, struct pattern *pat)
{
	const char *s = pat->text, *end = s + strlen(s);
	struct part *parts = arena_alloc(arena, sizeof(*parts) * (strlen(s) / 2 + 1));
	size_t n = 0;

	for (;;) {
		const char *stop = component_end(s, end);

		if (!stop || stop == s || !compile_part(&parts[n], s, (size_t)(stop - s)))
			return false;
		/* "**" twice says no more than once. */
		if (n == 0 || parts[n].kind != PART_DEEP || parts[n - 1].kind != PART_DEEP)
			n++;
		if (stop == end)
			break;
		s = stop + 1;
	}
	pat->kind = PATTERN_PARTS;
	pat->parts = parts;
	pat->nparts = n;
	return true;
}

static void compile_tokens(struct arena *arena, struct pattern *pat)
{
	const char *s = pat->text, *end = s + strlen(s);
	struct token *tokens = arena_alloc(arena, sizeof(*tokens) * (strlen(s) * 2 + 1));
	size_t n = 0, width;

	while (s < end) {
		const char *next = element_end(s, end);

		if (*s == '*' && next < end && *next == '*') {
			s = next + 1;
			if (s < end && *s == '/')
				s++;
			if (s == end) {
				tokens[n++] = (struct token){.kind = TOKEN_EVERY};
			} else {
				tokens[n++] = (struct token){.kind = TOKEN_DEEP};
				tokens[n++] = (struct token){.kind = TOKEN_CHAR, .cp = '/'};
			}
			continue;
		}
		if (*s == '*')
			tokens[n++] = (struct token){.kind = TOKEN_STAR};
		else if (*s == '?')
			tokens[n++] = (struct token){.kind = TOKEN_ANY};
		else if (*s == '[')
			tokens[n++] = (struct token){
				.kind = TOKEN_CLASS, .class_start = s + 1, .class_end = next};
		else {
			s += *s == '\\' && s + 1 < end;
			tokens[n++] = (struct token){.kind = TOKEN_CHAR,
				.cp = chars_decode(s, (size_t)(end - s), &width)};
		}
		s = next;
	}
	pat->kind = PATTERN_TOKENS;
	pat->tokens = tokens;
	pat->ntokens = n;
}

/* "text**" and "**text", where text has no meta characters and does not touch the stars with a
 * slash. */
static bool compile_literal(struct pattern *pat)
{
	size_t n = strlen(pat->text);

	if (n < 3)
		return false;
	if (!has_meta(pat->text, n - 2) && strcmp(pat->text + n - 2, "**") == 0) {
		pat->kind = PATTERN_STARTS;
		pat->literal = pat->text;
		pat->literal_len = n - 2;
		return true;
	}
	if (memcmp(pat->text, "**", 2) == 0 && !has_meta(pat->text + 2, n - 2)) {
		pat->kind = PATTERN_ENDS;
		pat->literal = pat->text + 2;
		pat->literal_len = n - 2;
		return true;
	}
	return false;
}

/* Add one pattern, n bytes of s: trimmed, cleaned, compiled. An empty one is skipped. */
static int add_pattern(struct ignore *ig, const char *s, size_t n, struct err *err)
{
	struct pattern pat = {0};
	auto_free char *raw = NULL;
	auto_free char *clean = NULL;
	char quoted[CHARS_QUOTE_SIZE];

	chars_trim(&s, &n);
	if (n == 0)
		return 0;
	if (n > IGNORE_PATTERN_MAX)
		return err_set(
			err, ERR_INPUT, "a pattern is longer than %d bytes", IGNORE_PATTERN_MAX);
	if (ig->n == IGNORE_PATTERNS_MAX)
		return err_set(err, ERR_INPUT, "more than %d patterns", IGNORE_PATTERNS_MAX);
	if (*s == '!') {
		pat.exception = true;
		s++;
		n--;
		chars_trim(&s, &n);
		if (n == 0)
			return err_set(err, ERR_INPUT, "illegal exclusion pattern: \"!\"");
	}

	raw = xstrndup(s, n);
	clean = path_clean(raw);
	pat.text = arena_strdup(&ig->arena, clean[0] == '/' && clean[1] ? clean + 1 : clean);
	if (!glob_is_valid(pat.text))
		return err_set(
			err, ERR_INPUT, "syntax error in pattern: %s", chars_quote(quoted, s, n));
	if (!compile_parts(&ig->arena, &pat) && !compile_literal(&pat))
		compile_tokens(&ig->arena, &pat);

	ig->exceptions |= pat.exception;
	GROW(ig->patterns, ig->n, ig->cap);
	ig->patterns[ig->n++] = pat;
	return 0;
}

struct ignore *ignore_new(const char *const *patterns, size_t n, struct err *err)
{
	AUTO(ignore_free) struct ignore *ig = xcalloc(1, sizeof(*ig));

	for (size_t i = 0; i < n; i++)
		if (add_pattern(ig, patterns[i], strlen(patterns[i]), err) < 0)
			return NULL;
	return take_ptr(ig);
}

struct ignore *ignore_parse(const void *data, size_t n, struct err *err)
{
	AUTO(ignore_free) struct ignore *ig = xcalloc(1, sizeof(*ig));
	const char *s = data, *end;
	size_t line = 0;

	if (n > IGNORE_FILE_MAX) {
		err_set(err, ERR_INPUT, "the ignore file is larger than %u MiB",
			IGNORE_FILE_MAX >> 20);
		return NULL;
	}
	if (n > 0 && memchr(data, '\0', n)) {
		err_set(err, ERR_INPUT, "the ignore file holds a NUL byte (is it a text file?)");
		return NULL;
	}
	if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0) {
		s += 3;
		n -= 3;
	}
	for (end = s + n; n > 0 && s < end;) {
		const char *newline = memchr(s, '\n', (size_t)(end - s));
		size_t len = (size_t)((newline ? newline : end) - s);

		line++;
		if (*s != '#' && add_pattern(ig, s, len, err) < 0) {
			err_wrap(err, "line %zu of the ignore file", line);
			return NULL;
		}
		s += len + (newline != NULL);
	}
	return take_ptr(ig);
}

void ignore_free(struct ignore *ig)
{
	if (!ig)
		return;
	arena_release(&ig->arena);
	free(ig->patterns);
	free(ig);
}

size_t ignore_count(const struct ignore *ig)
{
	return ig->n;
}

bool ignore_has_exceptions(const struct ignore *ig)
{
	return ig->exceptions;
}

const char *ignore_pattern(const struct ignore *ig, size_t i)
{
	return ig->patterns[i].text;
}
