#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dockerfile/lexer.h"

struct fixture {
	struct arena arena;
	struct lexer lx;
	struct dockerfile_location loc;
	struct err err;
	bool open;
};

static int setup(void **state)
{
	*state = xcalloc(1, sizeof(struct fixture));
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->open)
		lexer_release(&f->lx);
	arena_release(&f->arena);
	free(f);
	return 0;
}

static void begin(struct fixture *f, const char *text)
{
	if (f->open)
		lexer_release(&f->lx);
	f->open = false;
	assert_int_equal(lexer_init(&f->lx, &f->arena, text, strlen(text), &f->loc, &f->err), 0);
	f->open = true;
}

static struct logical_line next(struct fixture *f)
{
	struct logical_line line = {.text = NULL};

	if (lexer_next(&f->lx, &line, &f->loc, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	return line;
}

static void assert_line(struct fixture *f, const char *text, int first, int last)
{
	struct logical_line line = next(f);

	assert_non_null(line.text);
	assert_string_equal(line.text, text);
	assert_int_equal(line.first_line, first);
	assert_int_equal(line.last_line, last);
}

static void assert_end(struct fixture *f)
{
	struct logical_line line = next(f);

	assert_null(line.text);
}

static void joins_continued_lines(void **state)
{
	struct fixture *f = *state;

	begin(f, "RUN echo '1' && \\\n    echo 2\nENV E hello\\\n\\\nworld\nENV F hello\\\n "
		 "\\\nworld\n");
	assert_line(f, "RUN echo '1' &&     echo 2", 1, 2); /* fact 20 */
	assert_line(f, "ENV E helloworld", 3, 5);	    /* fact 17 */
	assert_line(f, "ENV F hello world", 6, 8);
	assert_end(f);

	begin(f, "RUN a \\ \t \nb\nRUN c \\"); /* facts 18 and 19 */
	assert_line(f, "RUN a b", 1, 2);
	assert_line(f, "RUN c ", 3, 3);
	assert_end(f);
}

static void two_escapes_do_not_continue(void **state)
{
	struct fixture *f = *state;

	begin(f, "RUN echo a \\\\\nENV C x\\\\\\\nENV D y\n"); /* fact 16 */
	assert_line(f, "RUN echo a \\\\", 1, 1);
	assert_line(f, "ENV C x\\\\\\", 2, 2);
	assert_line(f, "ENV D y", 3, 3);
}

static void drops_comments_between_and_inside(void **state)
{
	struct fixture *f = *state;

	begin(f, "# c \\\nRUN x\n  # d\nRUN a \\\n# e \\\n  #f\n b # g\n"); /* facts 15 and 21 */
	assert_line(f, "RUN x", 2, 2);
	assert_line(f, "RUN a  b # g", 4, 7);
	assert_end(f);
}

static void skips_blank_continuation_lines(void **state)
{
	struct fixture *f = *state;
	struct logical_line line;

	begin(f, "RUN foo \\\n\nbar \\\n  \t\nbaz\nRUN x\n"); /* fact 14 */
	line = next(f);
	assert_string_equal(line.text, "RUN foo bar baz");
	assert_true(line.empty_continuation);
	assert_int_equal(line.last_line, 5);
	line = next(f);
	assert_false(line.empty_continuation);
}

static void crlf_reads_as_lf(void **state)
{
	struct fixture *f = *state;
	struct logical_line line;
	struct heredoc *docs;
	size_t n;

	begin(f, "# escape=`\r\nRUN a `\r\n b\r\r\nRUN <<E\r\nx\r\nE\r\nRUN y"); /* fact 2 */
	assert_line(f, "RUN a  b", 2, 3);
	line = next(f);
	assert_int_equal(lexer_heredocs(&f->lx, &line, &docs, &n, &f->err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(docs[0].content, "x\r\n"); /* bytes of a body are kept */
	assert_line(f, "RUN y", 7, 7);
}

static void a_byte_order_mark_is_ignored_once(void **state)
{
	struct fixture *f = *state;

	begin(f, "\xEF\xBB\xBF# escape=`\nRUN a `\nb\n"); /* fact 3 */
	assert_line(f, "RUN a b", 2, 3);
	begin(f, "\xEF\xBB\xBF"
		 "FROM a\n\xEF\xBB\xBFRUN b\n");
	assert_line(f, "FROM a", 1, 1);
	assert_line(f, "\xEF\xBB\xBFRUN b", 2, 2);
}

static void the_escape_directive_is_honoured_only_first(void **state)
{
	static const struct {
		const char *text;
		char escape;
	} cases[] = {
		{"# escape=`\nRUN", '`'},		    /* fact 4 */
		{"#EsCaPe = ` \nRUN", '`'},		    /* fact 8 */
		{"  #\tescape\t=\t`\nRUN", '`'},	    /* leading blanks do no harm */
		{"# escape=\\\nRUN", '\\'},		    /* */
		{"# comment\n# escape=`\nRUN", '\\'},	    /* fact 5 */
		{"\n# escape=`\nRUN", '\\'},		    /* fact 5 */
		{"# syntax=x\n# escape=`\nRUN", '`'},	    /* fact 9 */
		{"# escape=`\n# syntax=x\nRUN", '`'},	    /* fact 9 */
		{"# check=skip=all\n# escape=`\nRUN", '`'}, /* */
		{"# foo=bar\n# escape=`\nRUN", '\\'},	    /* fact 10 */
		{"RUN x\n# escape=`\nRUN", '\\'},	    /* */
		{"# escape=\n# escape=`\nRUN", '\\'},	    /* no value: no directive */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(f, cases[i].text);
		while (next(f).text)
			;
		if (f->lx.escape != cases[i].escape)
			fail_msg("%s", cases[i].text);
	}
}

static void assert_refused(struct fixture *f, const char *text, const char *message, int line)
{
	struct logical_line ignored;

	begin(f, text);
	assert_int_equal(lexer_next(&f->lx, &ignored, &f->loc, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_DOCKERFILE);
	assert_string_equal(f->err.msg, message);
	assert_int_equal(f->loc.first_line, line);
	assert_int_equal(f->loc.last_line, line);
}

static void wrong_directives_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, "# syntax=y\n# escape=x\nRUN",
		"invalid escape token 'x' does not match ` or \\", 2);
	assert_refused(
		f, "# escape=``\nRUN", "invalid escape token '``' does not match ` or \\", 1);
	assert_refused(
		f, "# escape=`\n# ESCAPE=`\n", "only one escape parser directive can be used", 2);
	assert_refused(
		f, "# syntax=a\n#syntax=b\n", "only one syntax parser directive can be used", 2);
}

static void files_that_are_no_text_are_refused(void **state)
{
	struct fixture *f = *state;
	size_t n = LEXER_FILE_MAX + 1;
	auto_free char *big = xmalloc(n);

	assert_int_equal(lexer_init(&f->lx, &f->arena, "", 0, &f->loc, &f->err), -1);
	assert_string_equal(f->err.msg, "the Dockerfile cannot be empty"); /* fact 1 */
	assert_int_equal(lexer_init(&f->lx, &f->arena, "FROM a\nRUN\0b", 12, &f->loc, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_DOCKERFILE);
	assert_int_equal(f->loc.first_line, 2);
	memset(big, 'x', n);
	assert_int_equal(lexer_init(&f->lx, &f->arena, big, n, &f->loc, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_DOCKERFILE);
}

static void comments_attach_to_the_next_instruction(void **state)
{
	struct fixture *f = *state;
	struct logical_line line;

	begin(f, "# escape=\\\n# old\n#\n# foo the x\n\n#  bar  \nFROM a\nRUN b\n");
	line = next(f);
	assert_int_equal(line.ncomments, 2);
	assert_string_equal(line.comments[0], "foo the x");
	assert_string_equal(line.comments[1], "bar");
	assert_int_equal(next(f).ncomments, 0);
}

static void heredoc_words_are_recognised(void **state)
{
	static const struct {
		const char *word, *name;
		bool expand, chomp;
		unsigned fd;
	} yes[] = {
		{"<<EOF", "EOF", true, false, 0},
		{"3<<-EOF", "EOF", true, true, 3},
		{"<<\"EOF\"", "EOF", false, false, 0}, /* fact 43 */
		{"<<'EOF'", "EOF", false, false, 0},
		{"<<EO\"F\"", "EOF", false, false, 0},
		{"<<eo\\'f", "eo'f", true, false, 0},	     /* fact 44 */
		{"<<'one two'", "one two", false, false, 0}, /* fact 47 */
		{"<< -EOF", "-EOF", true, false, 0},
		{"<<$X", "$X", true, false, 0},
		{"<<${X}", "${X}", true, false, 0},
	};
	static const char *const no[] = {"\"<<X\"", "'<<X'", "<<", "<<-", "<<<X", "<X", "a<<X",
		"<<a b", "<<a<b", "<<''", "X"};
	struct fixture *f = *state;
	struct heredoc doc;

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (lexer_heredoc_word(&f->arena, yes[i].word, &doc, &f->err) != 1)
			fail_msg("%s is none", yes[i].word);
		assert_string_equal(doc.name, yes[i].name);
		assert_int_equal(doc.expand, yes[i].expand);
		assert_int_equal(doc.chomp, yes[i].chomp);
		assert_int_equal(doc.fd, yes[i].fd);
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (lexer_heredoc_word(&f->arena, no[i], &doc, &f->err) != 0)
			fail_msg("%s is one", no[i]);
	assert_int_equal(lexer_heredoc_word(&f->arena, "<<'a", &doc, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_DOCKERFILE);
}

static size_t read_heredocs(struct fixture *f, const char *text, struct heredoc **docs)
{
	struct logical_line line;
	size_t n;

	begin(f, text);
	line = next(f);
	if (lexer_heredocs(&f->lx, &line, docs, &n, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	return n;
}

static void bodies_follow_in_order(void **state)
{
	struct fixture *f = *state;
	struct heredoc *docs;

	assert_int_equal(
		read_heredocs(f, "COPY <<X <<Y /d\nY\nX\nX\nY\nRUN z\n", &docs), 2); /* fact 40 */
	assert_string_equal(docs[0].content, "Y\n");
	assert_string_equal(docs[1].content, "X\n");
	assert_line(f, "RUN z", 6, 6);

	assert_int_equal(read_heredocs(f, "RUN <<E\n# c\n\n\\\nx \\\nE\n", &docs), 1); /* fact 59 */
	assert_string_equal(docs[0].content, "# c\n\n\\\nx \\\n");
	assert_int_equal(docs[0].len, strlen(docs[0].content));
	assert_int_equal(read_heredocs(f, "RUN <<E\nE", &docs), 1);
	assert_string_equal(docs[0].content, "");
	assert_int_equal(read_heredocs(f, "RUN <<'one two'\na\none two\n", &docs), 1);
	assert_string_equal(docs[0].content, "a\n");
}

static void chomp_drops_leading_tabs(void **state)
{
	struct fixture *f = *state;
	struct heredoc *docs;

	/* fact 45: the terminator may be indented by tabs, and content keeps its spaces */
	assert_int_equal(read_heredocs(f, "RUN <<-E\n\t\ta\tb\n  c\n\n\tE\n", &docs), 1);
	assert_string_equal(docs[0].content, "\t\ta\tb\n  c\n\n");
	lexer_heredoc_chomp(&f->arena, &docs[0]);
	assert_string_equal(docs[0].content, "a\tb\n  c\n\n");
	assert_int_equal(docs[0].len, 9);
	/* fact 46: without the dash an indented terminator is content */
	assert_int_equal(read_heredocs(f, "RUN <<E\n\tE\nE\n", &docs), 1);
	assert_string_equal(docs[0].content, "\tE\n");
}

static void lines_that_are_no_words_have_no_heredocs(void **state)
{
	struct fixture *f = *state;
	struct heredoc *docs;

	assert_int_equal(read_heredocs(f, "RUN \"<<X\"\nX\n", &docs), 0); /* fact 48 */
	assert_int_equal(read_heredocs(f, "RUN it's <<X\nX\n", &docs), 0);
	assert_int_equal(read_heredocs(f, "RUN a << X\nb\nX\n", &docs), 1);
	assert_int_equal(read_heredocs(f, "RUN ${a:=b} <<X\nb\nX\n", &docs), 1);
}

static void a_missing_terminator_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct logical_line line;
	struct heredoc *docs;
	size_t n;

	begin(f, "RUN <<E\na\nb\n"); /* fact 60 */
	line = next(f);
	assert_int_equal(lexer_heredocs(&f->lx, &line, &docs, &n, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_DOCKERFILE);
	assert_string_equal(f->err.msg, "unterminated heredoc");
	assert_int_equal(line.first_line, 1);
	assert_int_equal(line.last_line, 3);
}

static void too_many_heredocs_are_refused(void **state)
{
	struct fixture *f = *state;
	auto_strbuf text = STRBUF_INIT;
	struct logical_line line;
	struct heredoc *docs;
	size_t n;

	strbuf_puts(&text, "RUN");
	for (int i = 0; i <= LEXER_HEREDOCS_MAX; i++)
		strbuf_puts(&text, " <<E");
	begin(f, text.buf);
	line = next(f);
	assert_int_equal(lexer_heredocs(&f->lx, &line, &docs, &n, &f->err), -1);
	assert_int_equal(f->err.kind, ERR_DOCKERFILE);
	assert_non_null(strstr(f->err.msg, "more than"));
}

static void detects_the_front_end_in_every_form(void **state)
{
	static const struct {
		const char *text, *value;
		int line;
	} cases[] = {
		{"# syntax=docker/dockerfile:1 opt\nFROM a", "docker/dockerfile:1 opt", 1},
		{"\xEF\xBB\xBF#syntax = x\n", "x", 1},
		{"#!/bin/x\n# syntax=y\n", "y", 2}, /* fact 12 */
		{"// syntax=z\n", "z", 1},
		{"{\"syntax\": \"j\", \"n\": 1}", "j", 1},
		{"# escape=`\n# syntax=x\n", "x", 2},
		{" # syntax=x\n", NULL, 0}, /* must stand in column 1 */
		{"# comment\n# syntax=x\n", NULL, 0},
		{"FROM a\n# syntax=x\n", NULL, 0},
		{"{\"syntax\": 1}", NULL, 0},
		{"", NULL, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].text;
		int line = 0;
		const char *value = lexer_detect_directive(
			&f->arena, text, strlen(text), "syntax", true, &line);

		if (!cases[i].value)
			assert_null(value);
		else
			assert_string_equal(value, cases[i].value);
		assert_int_equal(line, cases[i].line);
	}
	assert_null(lexer_detect_directive(&f->arena, "// check=x", 10, "check", false, &(int){0}));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(joins_continued_lines),
		TEST(two_escapes_do_not_continue),
		TEST(drops_comments_between_and_inside),
		TEST(skips_blank_continuation_lines),
		TEST(crlf_reads_as_lf),
		TEST(a_byte_order_mark_is_ignored_once),
		TEST(the_escape_directive_is_honoured_only_first),
		TEST(wrong_directives_are_refused),
		TEST(files_that_are_no_text_are_refused),
		TEST(comments_attach_to_the_next_instruction),
		TEST(heredoc_words_are_recognised),
		TEST(bodies_follow_in_order),
		TEST(chomp_drops_leading_tabs),
		TEST(lines_that_are_no_words_have_no_heredocs),
		TEST(a_missing_terminator_is_an_error),
		TEST(too_many_heredocs_are_refused),
		TEST(detects_the_front_end_in_every_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
