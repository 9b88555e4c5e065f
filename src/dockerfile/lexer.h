/*
 * From bytes to logical lines (spec/dockerfile.md 1.1 to 1.3) and the heredocs behind them (1.8).
 * Nothing here knows instructions.
 */
#ifndef WHITTLE_DOCKERFILE_LEXER_H
#define WHITTLE_DOCKERFILE_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "dockerfile/instruction.h"

/* A Dockerfile is written by people; this is far above the largest generated ones. Lines may be as
 * long. */
#define LEXER_FILE_MAX (16u << 20)

/* Documents of one instruction: each is a pass over a part of the file. */
#define LEXER_HEREDOCS_MAX 1000

/* Description comments kept for one instruction, the last ones: only those near it can mean it. */
#define LEXER_COMMENTS_MAX 64

enum lexer_directive {
	LEXER_DIRECTIVE_ESCAPE = 1 << 0,
	LEXER_DIRECTIVE_SYNTAX = 1 << 1,
	LEXER_DIRECTIVE_CHECK = 1 << 2,
};

/* Placed by the caller, set up by lexer_init(). */
struct lexer {
	struct arena *arena; /* what results are made of */
	const char *data;
	size_t len, pos;
	int line; /* physical lines read */
	char escape;
	bool directives_done;
	unsigned directives; /* seen, of enum lexer_directive */
	const char *comments[LEXER_COMMENTS_MAX];
	size_t ncomments;
	struct strbuf text; /* the logical line being joined */
};

struct logical_line {
	const char *text; /* left-trimmed, continuations joined; in the arena */
	int first_line, last_line;
	bool empty_continuation;
	const char *const *comments;
	size_t ncomments;
};

/*
 * Begin reading len bytes of data, which stay in use. arena outlives the results; release with
 * lexer_release(). Returns 0; or -1 and *err, ERR_DOCKERFILE: no bytes at all, more than
 * LEXER_FILE_MAX, or a NUL byte (*ret_loc is its line). After a failure there is nothing to
 * release.
 */
int lexer_init(struct lexer *lx, struct arena *arena, const void *data, size_t len,
	struct dockerfile_location *ret_loc, struct err *err);

/* Free what the lexer itself holds; results stay. */
void lexer_release(struct lexer *lx);

/*
 * Read the next logical line. Returns 1, or 0 at the end; or -1, *err and *ret_loc, ERR_DOCKERFILE:
 * a directive is repeated or its value is wrong. lx->escape is final once the first line was
 * returned.
 */
int lexer_next(struct lexer *lx, struct logical_line *ret, struct dockerfile_location *ret_loc,
	struct err *err);

/*
 * Find the heredocs that line begins and read their bodies, which follow it; line->last_line
 * becomes that of the last terminator. To be called only for instructions that take heredocs.
 *
 *   *ret, *ret_n  the documents in written order, in the arena, content as in the file
 *
 * Returns 0; or -1 and *err, ERR_DOCKERFILE: a terminator is missing, or there are too many
 * documents.
 */
int lexer_heredocs(struct lexer *lx, struct logical_line *line, struct heredoc **ret, size_t *ret_n,
	struct err *err);

/*
 * Read word as the beginning of a heredoc (1.8.2 and 1.8.3): name, expand, chomp and fd of *ret are
 * set, content is empty. Returns 1 when it is one, 0 when not; -1 and *err for an unbalanced quote
 * in the name.
 */
int lexer_heredoc_word(struct arena *arena, const char *word, struct heredoc *ret, struct err *err);

/* doc->content without the leading tabs of every line, in the arena. */
void lexer_heredoc_chomp(struct arena *arena, struct heredoc *doc);

/*
 * Look for a directive as another program would that only wants to know which front end to use
 * (1.2.5, 1.2.6): "# name = value" in the first lines, in column 1, behind a "#!" line; with
 * any_form also
 * "// name = value", or a JSON object with a string member of that name.
 * Returns the whole value, in the arena, and its line in *ret_line; or NULL.
 */
const char *lexer_detect_directive(struct arena *arena, const void *data, size_t len,
	const char *name, bool any_form, int *ret_line);

#endif
