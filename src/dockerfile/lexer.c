#include "dockerfile/lexer.h"

#include <string.h>

#include "base/auto.h"
#include "base/doc.h"
#include "base/mem.h"
#include "dockerfile/chars.h"
#include "dockerfile/expand.h"

DEFINE_AUTO(struct doc *, doc_free)

struct span {
	const char *s;
	size_t n;
};

static int fail_at(struct dockerfile_location *ret_loc, int first_line, int last_line)
{
	*ret_loc = (struct dockerfile_location){.first_line = first_line, .last_line = last_line};
	return -1;
}

static void skip_bom(struct span *in)
{
	if (in->n >= 3 && memcmp(in->s, "\xEF\xBB\xBF", 3) == 0) {
		in->s += 3;
		in->n -= 3;
	}
}

static struct span trim_newline(struct span line)
{
	while (line.n > 0 && (line.s[line.n - 1] == '\n' || line.s[line.n - 1] == '\r'))
		line.n--;
	return line;
}

static struct span trim_left(struct span line)
{
	size_t width;

	while ((width = chars_space(line.s, line.n)) > 0) {
		line.s += width;
		line.n -= width;
	}
	return line;
}

/* The next physical line with its line end, without moving. An empty span at the end of the data.
 */
static struct span peek_line(const char *data, size_t len, size_t pos)
{
	const char *newline = pos < len ? memchr(data + pos, '\n', len - pos) : NULL;

	return (struct span){data + pos, (newline ? (size_t)(newline - data) + 1 : len) - pos};
}

/* Move over the next physical line; false at the end. */
static bool read_line(struct lexer *lx, struct span *ret)
{
	*ret = peek_line(lx->data, lx->len, lx->pos);
	if (ret->n == 0)
		return false;
	lx->pos += ret->n;
	lx->line++;
	return true;
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_regex_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static struct span skip_spaces(struct span s)
{
	while (s.n > 0 && is_regex_space(*s.s)) {
		s.s++;
		s.n--;
	}
	return s;
}

/* Split "NAME = VALUE" behind the comment prefix. Returns false when line has another shape. */
static bool split_directive(
	struct span line, const char *prefix, struct span *ret_name, struct span *ret_value)
{
	size_t skip = strlen(prefix), n = 0;

	if (line.n < skip || memcmp(line.s, prefix, skip) != 0)
		return false;
	line = skip_spaces((struct span){line.s + skip, line.n - skip});
	if (line.n == 0 || !is_alpha(*line.s))
		return false;
	while (n < line.n && (is_alpha(line.s[n]) || (line.s[n] >= '0' && line.s[n] <= '9')))
		n++;
	*ret_name = (struct span){line.s, n};

	line = skip_spaces((struct span){line.s + n, line.n - n});
	if (line.n == 0 || *line.s != '=')
		return false;
	line = skip_spaces((struct span){line.s + 1, line.n - 1});
	while (line.n > 0 && is_regex_space(line.s[line.n - 1]))
		line.n--;
	*ret_value = line;
	return line.n > 0;
}

static bool span_is(struct span s, const char *name)
{
	for (size_t i = 0; i < s.n; i++)
		if (name[i] == '\0' || chars_lower(s.s[i]) != name[i])
			return false;
	return name[s.n] == '\0';
}

static const char *const directive_names[] = {"escape", "syntax", "check"};

/* The index of a directive we know, or -1. */
static int find_directive(struct span name)
{
	for (int i = 0; i < 3; i++)
		if (span_is(name, directive_names[i]))
			return i;
	return -1;
}

int lexer_init(struct lexer *lx, struct arena *arena, const void *data, size_t len,
	struct dockerfile_location *ret_loc, struct err *err)
{
	const char *nul = len > 0 ? memchr(data, '\0', len) : NULL;

	*ret_loc = (struct dockerfile_location){0, 0};
	if (len == 0)
		return err_set(err, ERR_DOCKERFILE, "the Dockerfile cannot be empty");
	if (len > LEXER_FILE_MAX)
		return err_set(err, ERR_DOCKERFILE, "the Dockerfile is larger than %u MiB",
			LEXER_FILE_MAX >> 20);
	if (nul) {
		int line = 1;

		for (const char *p = data; p < nul; p++)
			line += *p == '\n';
		err_set(err, ERR_DOCKERFILE,
			"the Dockerfile holds a NUL byte (is it a text file?)");
		return fail_at(ret_loc, line, line);
	}
	*lx = (struct lexer){
		.arena = arena, .data = data, .len = len, .escape = '\\', .text = STRBUF_INIT};
	return 0;
}

void lexer_release(struct lexer *lx)
{
	strbuf_release(&lx->text);
}

/* Take note of a comment line; line is not trimmed. */
static void add_comment(struct lexer *lx, struct span line)
{
	const char *s = line.s + 1;
	size_t n = line.n - 1;

	chars_trim(&s, &n);
	if (n == 0) {
		lx->ncomments = 0;
		return;
	}
	if (lx->ncomments == LEXER_COMMENTS_MAX) {
		lx->ncomments--;
		memmove(lx->comments, lx->comments + 1, sizeof(lx->comments[0]) * lx->ncomments);
	}
	lx->comments[lx->ncomments++] = arena_strndup(lx->arena, s, n);
}

/* Returns 1 when line is a directive, 0 when it is not (and no later one is), -1 and *err when it
 * is wrong. */
static int take_directive(struct lexer *lx, struct span line, struct err *err)
{
	struct span name, value;
	int found = split_directive(line, "#", &name, &value) ? find_directive(name) : -1;

	if (found < 0) {
		lx->directives_done = true;
		return 0;
	}
	if (lx->directives & 1u << found)
		return err_set(err, ERR_DOCKERFILE, "only one %s parser directive can be used",
			directive_names[found]);
	lx->directives |= 1u << found;
	if (1u << found != LEXER_DIRECTIVE_ESCAPE)
		return 1;
	if (value.n != 1 || (*value.s != '\\' && *value.s != '`'))
		return err_set(err, ERR_DOCKERFILE,
			"invalid escape token '%.*s' does not match ` or \\",
			value.n < 100 ? (int)value.n : 100, value.s);
	lx->escape = *value.s;
	return 1;
}

/* Cut the escape character and blanks behind it off a line that is continued. */
static bool cut_continuation(struct span *line, char escape)
{
	size_t n = line->n;

	while (n > 0 && (line->s[n - 1] == ' ' || line->s[n - 1] == '\t'))
		n--;
	if (n == 0 || line->s[n - 1] != escape || (n > 1 && line->s[n - 2] == escape))
		return false;
	line->n = n - 1;
	return true;
}

/* Join the lines that continue the one in lx->text. Returns whether a blank one was among them. */
static bool join_continuations(struct lexer *lx)
{
	struct span line;
	bool blank_seen = false, more = true;

	while (more && read_line(lx, &line)) {
		struct span trimmed;

		line = trim_newline(line);
		trimmed = trim_left(line);
		if (trimmed.n > 0 && *trimmed.s == '#')
			continue;
		if (trimmed.n == 0) {
			blank_seen = true;
			continue;
		}
		more = cut_continuation(&line, lx->escape);
		strbuf_add(&lx->text, line.s, line.n);
	}
	return blank_seen;
}

static const char *const *take_comments(struct lexer *lx, size_t *ret_n)
{
	const char **list = NULL;

	*ret_n = lx->ncomments;
	if (lx->ncomments > 0) {
		list = arena_alloc(lx->arena, sizeof(*list) * lx->ncomments);
		memcpy(list, lx->comments, sizeof(*list) * lx->ncomments);
	}
	lx->ncomments = 0;
	return list;
}

int lexer_next(struct lexer *lx, struct logical_line *ret, struct dockerfile_location *ret_loc,
	struct err *err)
{
	struct span line, trimmed;

	while (read_line(lx, &line)) {
		int directive = 0;

		if (lx->line == 1)
			skip_bom(&line);
		line = trim_newline(line);
		trimmed = trim_left(line);
		if (!lx->directives_done)
			directive = take_directive(lx, trimmed, err);
		if (directive < 0)
			return fail_at(ret_loc, lx->line, lx->line);
		if (trimmed.n == 0 || directive > 0)
			continue;
		if (*trimmed.s == '#') {
			add_comment(lx, line);
			continue;
		}

		*ret = (struct logical_line){.first_line = lx->line};
		strbuf_reset(&lx->text);
		if (cut_continuation(&trimmed, lx->escape)) {
			strbuf_add(&lx->text, trimmed.s, trimmed.n);
			ret->empty_continuation = join_continuations(lx);
			trimmed = (struct span){lx->text.buf, lx->text.len};
		}
		ret->text = arena_strndup(lx->arena, trimmed.s, trimmed.n);
		ret->last_line = lx->line;
		ret->comments = take_comments(lx, &ret->ncomments);
		return 1;
	}
	return 0;
}

static size_t count_quotes(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == '\'' || *s == '"';
	return n;
}

/* Split "3<<- NAME" (no '<' in NAME) into *ret and the name as written; NULL for another shape. */
static const char *split_heredoc(const char *word, struct heredoc *ret)
{
	unsigned fd = 0;

	for (; *word >= '0' && *word <= '9'; word++)
		if (fd < 100000) /* no descriptor is that high; what follows cannot matter */
			fd = fd * 10 + (unsigned)(*word - '0');
	if (word[0] != '<' || word[1] != '<')
		return NULL;
	word += 2;
	*ret = (struct heredoc){.content = "", .fd = fd, .chomp = *word == '-'};
	word += ret->chomp;
	while (is_regex_space(*word))
		word++;
	return *word && !strchr(word, '<') ? word : NULL;
}

/* The first of a list of words, and how many there are. */
struct first_word {
	struct strbuf text;
	size_t n;
};

static void keep_first(void *ctx, const char *word)
{
	struct first_word *first = ctx;

	if (first->n++ == 0)
		strbuf_puts(&first->text, word);
}

/* Expand name, a delimiter as written, into out. Returns 1, 0 when it is not one word, or -1. */
static int delimiter(const char *name, unsigned flags, struct strbuf *out, struct err *err)
{
	struct first_word first = {.text = STRBUF_INIT};
	int r = expand_each_word(
		name, '\\', flags | EXPAND_SKIP_UNSET, NULL, keep_first, &first, err);

	strbuf_add(out, first.text.buf, first.text.len);
	strbuf_release(&first.text);
	return r < 0 ? -1 : first.n == 1;
}

int lexer_heredoc_word(struct arena *arena, const char *word, struct heredoc *ret, struct err *err)
{
	auto_strbuf raw = STRBUF_INIT;
	auto_strbuf plain = STRBUF_INIT;
	struct heredoc doc;
	const char *name = split_heredoc(word, &doc);
	int r = name ? delimiter(name, EXPAND_RAW_QUOTES, &raw, err) : 0;

	if (r > 0)
		r = delimiter(name, 0, &plain, err);
	if (r <= 0)
		return r;
	doc.name = arena_strdup(arena, plain.buf);
	doc.expand = count_quotes(raw.buf) == count_quotes(plain.buf);
	*ret = doc;
	return 1;
}

static bool is_terminator(struct span line, const struct heredoc *doc, size_t name_len)
{
	line = trim_newline(line);
	while (doc->chomp && line.n > 0 && *line.s == '\t') {
		line.s++;
		line.n--;
	}
	return line.n == name_len && memcmp(line.s, doc->name, name_len) == 0;
}

/* Read the body of doc and the terminator. */
static int read_body(struct lexer *lx, struct heredoc *doc, struct err *err)
{
	size_t start = lx->pos, name_len = strlen(doc->name);
	struct span line;

	while (read_line(lx, &line)) {
		if (!is_terminator(line, doc, name_len))
			continue;
		doc->len = lx->pos - line.n - start;
		doc->content = arena_strndup(lx->arena, lx->data + start, doc->len);
		return 0;
	}
	return err_set(err, ERR_DOCKERFILE, "unterminated heredoc");
}

/* The heredocs that the words of one line begin. */
struct heredoc_list {
	struct arena *arena;
	struct heredoc v[LEXER_HEREDOCS_MAX];
	size_t n;
	struct err err; /* of the first word that went wrong, to be used only if the line is one of
			   words */
};

static void add_heredoc(void *ctx, const char *word)
{
	struct heredoc_list *list = ctx;
	struct heredoc doc;

	if (list->err.kind != ERR_NONE || !strstr(word, "<<"))
		return;
	if (lexer_heredoc_word(list->arena, word, &doc, &list->err) <= 0)
		return;
	if (list->n == LEXER_HEREDOCS_MAX)
		err_set(&list->err, ERR_DOCKERFILE, "more than %d heredocs in one instruction",
			LEXER_HEREDOCS_MAX);
	else
		list->v[list->n++] = doc;
}

int lexer_heredocs(struct lexer *lx, struct logical_line *line, struct heredoc **ret, size_t *ret_n,
	struct err *err)
{
	const unsigned flags = EXPAND_RAW_QUOTES | EXPAND_RAW_ESCAPES | EXPAND_SKIP_UNSET;
	auto_free struct heredoc_list *list = NULL;
	struct err ignored = ERR_INIT;

	*ret = NULL;
	*ret_n = 0;
	if (!strstr(line->text, "<<"))
		return 0;
	list = xcalloc(1, sizeof(*list));
	list->arena = lx->arena;
	/* A line that is no sequence of words, such as one with an unbalanced quote, has none. */
	if (expand_each_word(line->text, '\\', flags, NULL, add_heredoc, list, &ignored) < 0)
		return 0;
	if (list->err.kind != ERR_NONE) {
		*err = list->err;
		return -1;
	}
	for (size_t i = 0; i < list->n; i++) {
		int r = read_body(lx, &list->v[i], err);

		line->last_line = lx->line;
		if (r < 0)
			return -1;
	}
	if (list->n > 0) {
		*ret = arena_alloc(lx->arena, sizeof(**ret) * list->n);
		memcpy(*ret, list->v, sizeof(**ret) * list->n);
	}
	*ret_n = list->n;
	return 0;
}

void lexer_heredoc_chomp(struct arena *arena, struct heredoc *doc)
{
	char *out = arena_strndup(arena, doc->content, doc->len);
	bool line_start = true;
	size_t n = 0;

	for (size_t i = 0; i < doc->len; i++) {
		if (line_start && out[i] == '\t')
			continue;
		line_start = out[i] == '\n';
		out[n++] = out[i];
	}
	out[n] = '\0';
	doc->content = out;
	doc->len = n;
}

/* "PREFIX name = value" in the first lines of in; line is the number of lines before it. */
static const char *detect_in_comments(struct arena *arena, struct span in, int line,
	const char *prefix, const char *wanted, int *ret_line)
{
	for (size_t pos = 0; pos < in.n;) {
		struct span text = peek_line(in.s, in.n, pos), name, value;

		pos += text.n;
		line++;
		if (!split_directive(trim_newline(text), prefix, &name, &value) ||
			find_directive(name) < 0)
			return NULL;
		if (span_is(name, wanted)) {
			*ret_line = line;
			return arena_strndup(arena, value.s, value.n);
		}
	}
	return NULL;
}

static const char *detect_in_json(struct arena *arena, struct span in, const char *wanted)
{
	struct err ignored = ERR_INIT;
	AUTO(doc_free) struct doc *doc = NULL;
	const char *value;

	in = trim_left(in);
	if (in.n == 0 || *in.s != '{')
		return NULL;
	doc = doc_parse(in.s, in.n, "Dockerfile", &ignored);
	value = doc_get_str(doc, wanted);
	return value ? arena_strdup(arena, value) : NULL;
}

const char *lexer_detect_directive(struct arena *arena, const void *data, size_t len,
	const char *name, bool any_form, int *ret_line)
{
	struct span in = {data, len};
	const char *found;
	int line = 0;

	skip_bom(&in);
	if (in.n >= 2 && memcmp(in.s, "#!", 2) == 0) {
		size_t skip = peek_line(in.s, in.n, 0).n;

		in.s += skip;
		in.n -= skip;
		line = 1;
	}
	found = detect_in_comments(arena, in, line, "#", name, ret_line);
	if (!found && any_form)
		found = detect_in_comments(arena, in, line, "//", name, ret_line);
	if (found || !any_form)
		return found;
	found = detect_in_json(arena, in, name);
	if (found)
		*ret_line = line + 1;
	return found;
}
