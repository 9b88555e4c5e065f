#include "dockerfile/pattern.h"

#include <stdint.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "dockerfile/chars.h"

/* Values beside code points; chars_decode() stays below both. */
#define TOKEN_STAR 0xFFFFFFFFu
#define TOKEN_ANY 0xFFFFFFFEu

#define NO_MATCH SIZE_MAX

/*
 * A pattern is runs of one-character tokens, separated by stars. Within one line the earliest place
 * of each run is the best one, so neither direction ever has to go back over a run that was placed.
 */
struct search {
	const uint32_t *tokens;
	size_t ntokens;
	const uint32_t *text;
	size_t len;
	size_t *budget;
	bool many_lines; /* the pattern holds a newline */
};

static uint32_t *decode_text(const char *s, size_t *budget, size_t *ret_len)
{
	size_t n = strlen(s), len = 0;
	uint32_t *text = xcalloc(n + 1, sizeof(*text));

	*budget -= n < *budget ? n : *budget;
	for (size_t i = 0, width; i < n; i += width)
		text[len++] = chars_decode(s + i, n - i, &width);
	*ret_len = len;
	return text;
}

static int bad_escape(const char *pattern, const char *at, struct err *err)
{
	size_t n = strlen(at), width = 0;

	/* A lone backslash at the end is shown as the replacement character. */
	if (n > 0)
		chars_decode(at, n, &width);
	return err_set(err, ERR_DOCKERFILE,
		"invalid pattern (%s) in substitution: invalid escape '\\%.*s'", pattern,
		n > 0 ? (int)width : 3, n > 0 ? at : "\xEF\xBF\xBD");
}

/* Turn pattern into tokens, adjacent stars made one. Returns NULL and *err for a bad escape. */
static uint32_t *decode_pattern(const char *pattern, size_t *ret_len, struct err *err)
{
	size_t n = strlen(pattern), len = 0;
	auto_free uint32_t *tokens = xcalloc(n + 1, sizeof(*tokens));

	for (size_t i = 0, width; i < n; i += width) {
		uint32_t cp = chars_decode(pattern + i, n - i, &width);

		if (cp == '*') {
			if (len == 0 || tokens[len - 1] != TOKEN_STAR)
				tokens[len++] = TOKEN_STAR;
			continue;
		}
		if (cp == '?') {
			tokens[len++] = TOKEN_ANY;
			continue;
		}
		if (cp == '\\') {
			i++;
			if (i == n || !strchr("*?\\}/", pattern[i])) {
				bad_escape(pattern, pattern + i, err);
				return NULL;
			}
			cp = (unsigned char)pattern[i];
		}
		tokens[len++] = cp;
	}
	*ret_len = len;
	return take_ptr(tokens);
}

static void reverse(uint32_t *v, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t kept = v[i];

		v[i] = v[n - 1 - i];
		v[n - 1 - i] = kept;
	}
}

static bool spend(struct search *s)
{
	if (*s->budget == 0)
		return false;
	(*s->budget)--;
	return true;
}

/* Whether the run of tokens [first, last) stands at text position at. */
static bool run_at(struct search *s, size_t first, size_t last, size_t at)
{
	if (last - first > s->len - at)
		return false;
	for (size_t i = first; i < last; i++, at++) {
		uint32_t token = s->tokens[i], c = s->text[at];

		if (!spend(s))
			return false;
		if (token == TOKEN_ANY ? c == '\n' : token != c)
			return false;
	}
	return true;
}

static size_t run_end(const struct search *s, size_t first)
{
	while (first < s->ntokens && s->tokens[first] != TOKEN_STAR)
		first++;
	return first;
}

/* Place the last run after a star that begins at text position at: as late as the line allows. */
static size_t place_last(struct search *s, size_t first, size_t at)
{
	size_t limit = at, found = NO_MATCH;

	while (limit < s->len && s->text[limit] != '\n' && spend(s))
		limit++;
	for (size_t i = limit + 1; i-- > at && *s->budget > 0;) {
		if (run_at(s, first, s->ntokens, i)) {
			found = i + (s->ntokens - first);
			break;
		}
	}
	return found;
}

/* Place the run [first, last) after a star at text position at: as early as possible. */
static size_t place_first(struct search *s, size_t first, size_t last, size_t at)
{
	while (*s->budget > 0) {
		if (run_at(s, first, last, at))
			return at + (last - first);
		if (at == s->len || s->text[at] == '\n' || !spend(s))
			return NO_MATCH;
		at++;
	}
	return NO_MATCH;
}

/*
 * The end of the shortest or longest match of the pattern that begins at text position at, or
 * NO_MATCH. *ret_started tells whether the part before the first star matched there.
 */
static size_t match_at(struct search *s, size_t at, bool longest, bool *ret_started)
{
	size_t last = run_end(s, 0), first;

	*ret_started = run_at(s, 0, last, at);
	if (!*ret_started)
		return NO_MATCH;
	at += last;

	while (last < s->ntokens) {
		first = last + 1;
		last = run_end(s, first);
		if (last == s->ntokens && longest)
			return place_last(s, first, at);
		at = place_first(s, first, last, at);
		if (at == NO_MATCH)
			return NO_MATCH;
	}
	return at;
}

static int check_budget(const struct search *s, struct err *err)
{
	if (*s->budget > 0)
		return 0;
	return err_set(err, ERR_DOCKERFILE, "pattern substitution takes too long");
}

static void put_text(struct strbuf *out, const uint32_t *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		chars_encode(out, text[i]);
}

int pattern_trim(const char *value, const char *pattern, bool suffix, bool longest, size_t *budget,
	struct strbuf *out, struct err *err)
{
	struct search s = {.budget = budget};
	auto_free uint32_t *tokens = decode_pattern(pattern, &s.ntokens, err);
	auto_free uint32_t *text = NULL;
	bool started;
	size_t end;

	if (!tokens)
		return -1;
	text = decode_text(value, budget, &s.len);
	if (suffix) {
		reverse(tokens, s.ntokens);
		reverse(text, s.len);
	}
	s.tokens = tokens;
	s.text = text;

	end = match_at(&s, 0, longest, &started);
	if (check_budget(&s, err) < 0)
		return -1;
	if (end == NO_MATCH)
		end = 0;
	if (suffix) {
		reverse(text, s.len);
		put_text(out, text, s.len - end);
	} else {
		put_text(out, text + end, s.len - end);
	}
	return 0;
}

static bool has(const uint32_t *v, size_t n, uint32_t what)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == what)
			return true;
	return false;
}

/*
 * The first text position after at where a match may begin, when none begins at at. Once the part
 * before the first star was found but the rest does not follow in this line, no later start in it
 * can do better.
 */
static size_t next_start(const struct search *s, size_t at, bool started)
{
	if (started && !s->many_lines)
		while (at < s->len && s->text[at] != '\n')
			at++;
	return at + 1;
}

int pattern_replace(const char *value, const char *pattern, const char *replacement, bool all,
	size_t *budget, struct strbuf *out, struct err *err)
{
	struct search s = {.budget = budget};
	auto_free uint32_t *tokens = decode_pattern(pattern, &s.ntokens, err);
	auto_free uint32_t *text = NULL;
	size_t at = 0, copied = 0;

	if (!tokens)
		return -1;
	text = decode_text(value, budget, &s.len);
	s.tokens = tokens;
	s.text = text;
	s.many_lines = has(tokens, s.ntokens, '\n');

	while (at <= s.len && !out->overflow) {
		bool started;
		size_t end = match_at(&s, at, true, &started);

		if (check_budget(&s, err) < 0)
			return -1;
		if (end == NO_MATCH) {
			at = next_start(&s, at, started);
			continue;
		}
		put_text(out, text + copied, at - copied);
		/* The empty string directly after a match is not a second match. */
		if (end > copied || at == 0)
			strbuf_puts(out, replacement);
		copied = end;
		at = end > at ? end : at + 1;
		if (!all)
			break;
	}
	put_text(out, text + copied, s.len - copied);
	return 0;
}
