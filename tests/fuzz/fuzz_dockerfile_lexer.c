/* Logical lines and the heredocs behind all of them: line numbers go up and stay inside the file, and what a directive
 * detector finds is a line of it too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "dockerfile/lexer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_documents(const struct heredoc *docs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!*docs[i].name || strlen(docs[i].content) != docs[i].len)
			abort();
}

static void read_lines(struct lexer *lx, int lines)
{
	struct dockerfile_location loc = {0, 0};
	struct logical_line line;
	struct err err = ERR_INIT;
	int before = 0, r;

	while ((r = lexer_next(lx, &line, &loc, &err)) > 0) {
		struct heredoc *docs;
		size_t n;

		if (line.first_line <= before || line.last_line < line.first_line)
			abort();
		if (lexer_heredocs(lx, &line, &docs, &n, &err) < 0)
			break;
		check_documents(docs, n);
		before = line.last_line;
		if (before > lines)
			abort();
	}
	if (err.kind != ERR_NONE && err.kind != ERR_DOCKERFILE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"syntax", "check", "escape"};
	struct arena arena = ARENA_INIT;
	struct dockerfile_location loc;
	struct err err = ERR_INIT;
	struct lexer lx;
	int lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	for (int i = 0; i < 6; i++) {
		int line = 0;

		if (lexer_detect_directive(&arena, data, size, names[i / 2], i % 2, &line) &&
			(line < 1 || line > lines))
			abort();
	}
	if (lexer_init(&lx, &arena, data, size, &loc, &err) == 0) {
		read_lines(&lx, lines);
		lexer_release(&lx);
	}
	arena_release(&arena);
	return 0;
}
