#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "dockerfile/chars.h"
#include "dockerfile/expand.h"

static const char *lookup_list(void *ctx, const char *name)
{
	return strv_env_get(ctx, name);
}

struct names {
	struct strv *env;
	struct strv undefined;
};

static const char *lookup_names(void *ctx, const char *name)
{
	return strv_env_get(((struct names *)ctx)->env, name);
}

static void note_undefined(void *ctx, const char *name)
{
	strv_add(&((struct names *)ctx)->undefined, name);
}

static void set_vars(struct strv *env)
{
	strv_add(env, "P=a/b/c.tar.gz");
	strv_add(env, "E=");
	strv_add(env, "S=a b  c");
	strv_add(env, "N=one\ntwo");
	strv_add(env, "K=한국어");
}

static void assert_expands_with(const char *word, unsigned flags, char escape, const char *expected)
{
	auto_strv vars = STRV_INIT;
	const struct expand_env env = {.lookup = lookup_list, .ctx = &vars};
	auto_free char *got = NULL;
	struct err err = ERR_INIT;

	set_vars(&vars);
	if (expand_word(word, escape, flags, &env, &got, &err) < 0)
		fail_msg("%s: %s", word, err.msg);
	assert_string_equal(got, expected);
}

static void assert_expands(const char *word, const char *expected)
{
	assert_expands_with(word, 0, '\\', expected);
}

static void assert_fails(const char *word, const char *message)
{
	auto_strv vars = STRV_INIT;
	const struct expand_env env = {.lookup = lookup_list, .ctx = &vars};
	char *got = NULL;
	struct err err = ERR_INIT;

	set_vars(&vars);
	if (expand_word(word, '\\', 0, &env, &got, &err) == 0)
		fail_msg("%s: gave '%s'", word, got);
	assert_null(got);
	assert_int_equal(err.kind, ERR_DOCKERFILE);
	if (!strstr(err.msg, message))
		fail_msg("%s: '%s' lacks '%s'", word, err.msg, message);
}

/* Open a vector file of the shared data, or skip and say so: the files are not part of this project. */
static FILE *open_vectors(const char *name)
{
	const char *shared = getenv("WHITTLE_SHARED");
	auto_free char *path =
		xasprintf("%s/data/shell-lex/%s", shared ? shared : "../shared", name);
	FILE *f = fopen(path, "re");

	if (f)
		return f;
	print_message("# skipped: no vectors at %s (set WHITTLE_SHARED)\n", path);
	skip();
	return NULL;
}

static char *trimmed(char *s)
{
	const char *start = s;
	size_t n = strlen(s);

	chars_trim(&start, &n);
	s += start - s;
	s[n] = '\0';
	return s;
}

static void passes_single_word_vectors(void **state)
{
	auto_fclose FILE *f = open_vectors("envVarTest"); /* fact 61 */
	auto_free char *line = NULL;
	auto_strv vars = STRV_INIT;
	const struct expand_env env = {.lookup = lookup_list, .ctx = &vars};
	size_t cap = 0;
	int n = 0;

	(void)state;
	strv_add(&vars, "PWD=/home");
	strv_add(&vars, "SHELL=bash");
	strv_add(&vars, "KOREAN=한국어");
	strv_add(&vars, "NULL=");
	while (getline(&line, &cap, f) > 0) {
		auto_free char *got = NULL;
		struct err err = ERR_INIT;
		char *input, *expected;

		if (*line == '#' || *trimmed(line) == '\0' || *line == 'W')
			continue;
		input = strchr(line, '|');
		assert_non_null(input);
		*input++ = '\0';
		expected = strchr(input, '|');
		assert_non_null(expected);
		*expected++ = '\0';
		input = trimmed(input);
		expected = trimmed(expected);
		n++;
		if (expand_word(input, '\\', 0, &env, &got, &err) < 0) {
			if (strcmp(expected, "error") != 0)
				fail_msg("%s: %s", input, err.msg);
			continue;
		}
		if (strcmp(got, expected) != 0)
			fail_msg("%s: got '%s', not '%s'", input, got, expected);
	}
	assert_true(n > 200);
}

static void check_list_vector(char *line, struct strv *vars)
{
	const struct expand_env env = {.lookup = lookup_list, .ctx = vars};
	char *bar = strchr(line, '|'), *expected;
	auto_strv words = STRV_INIT;
	auto_strbuf got = STRBUF_INIT;
	struct err err = ERR_INIT;

	assert_non_null(bar);
	*bar = '\0';
	expected = bar + 1;
	while (*expected == ' ')
		expected++;
	/* "hello there     | " means trailing spaces in the input; one blank belongs to the bar. */
	if (bar > line && bar[-1] == ' ')
		bar[-1] = '\0';
	if (expand_words(line, '\\', 0, &env, &words, &err) < 0) {
		assert_string_equal(expected, "error");
		return;
	}
	for (size_t i = 0; i < words.len; i++)
		strbuf_printf(&got, "%s%s", i > 0 ? "," : "", words.v[i]);
	if (strcmp(got.buf, expected) != 0)
		fail_msg("%s: got '%s', not '%s'", line, got.buf, expected);
}

static void passes_word_list_vectors(void **state)
{
	auto_fclose FILE *f = open_vectors("wordsTest"); /* fact 61 */
	auto_free char *line = NULL;
	auto_strv vars = STRV_INIT;
	size_t cap = 0;
	int n = 0;

	(void)state;
	while (getline(&line, &cap, f) > 0) {
		char *equals;

		line[strcspn(line, "\n")] = '\0';
		if (*line == '#' || *line == '\0')
			continue;
		if (strncmp(line, "ENV ", 4) == 0) {
			equals = strchr(line, '=');
			*equals = '\0';
			strv_env_set(&vars, line + 4, equals + 1);
			continue;
		}
		check_list_vector(line, &vars);
		n++;
	}
	assert_true(n > 15);
}

static void knows_defaults_and_requirements(void **state)
{
	(void)state;
	assert_expands("${X:-w} ${X-w} ${E:-w} ${E-w}.", "w w w .");
	assert_expands("${P:+w} ${E:+w} ${E+w} ${X+w}.", "w  w .");
	assert_expands("${P:?x}", "a/b/c.tar.gz");
	assert_expands("${E?x}", "");
	assert_fails("${X:?custom error}", "X: custom error"); /* fact 65 */
	assert_fails("${X?}", "X: is not allowed to be unset");
	assert_fails("${E:?}", "E: is not allowed to be empty");
	assert_fails("${P:-${X:?inner}}", "X: inner"); /* parts are evaluated even when unused */
	assert_expands("something-${P}${E:+-${E}}", "something-a/b/c.tar.gz"); /* fact 68 */
}

static void removes_prefixes_and_suffixes(void **state)
{
	(void)state;
	assert_expands("${P#*/}", "b/c.tar.gz");
	assert_expands("${P##*/}", "c.tar.gz");
	assert_expands("${P%.*}", "a/b/c.tar");
	assert_expands("${P%%.*}", "a/b/c");
	assert_expands("${P#?/}", "b/c.tar.gz");
	assert_expands("${P#nope}", "a/b/c.tar.gz");
	assert_expands("${P#}", "a/b/c.tar.gz");
	assert_expands("${P##*}|${P#*}", "|a/b/c.tar.gz");
	assert_expands("${K#?}", "국어");
	assert_expands("${K%?}", "한국");
	assert_expands("${N##*}", "\ntwo"); /* a star stays in its line */
	assert_expands("${X#a}", "");
	assert_expands("${P#a\\/}", "b/c.tar.gz");
	assert_fails("${P#\\a}", "invalid pattern (\\a) in substitution: invalid escape '\\a'");
	assert_fails("${P:#a}", "unsupported modifier (:#) in substitution"); /* fact 69 */
	assert_expands("${P%%.t*}", "a/b/c");				      /* fact 64 */
}

static void replaces_matches(void **state)
{
	(void)state;
	assert_expands("${P/b/X}", "a/X/c.tar.gz"); /* fact 67 */
	assert_expands("${P//\\//-}", "a-b-c.tar.gz");
	assert_expands("${P/\\/*\\//:}", "a:c.tar.gz");
	assert_expands("${P//[ab]/}", "a/b/c.tar.gz"); /* brackets are literal */
	assert_expands("${P//./\\/}", "a/b/c\\/tar\\/gz");
	assert_expands("${P/b/$E}", "a//c.tar.gz");
	assert_expands("${P//a/$$1}", "1/b/c.t1r.gz"); /* $$ is a parameter that is never set */
	assert_expands("${K//국/-}", "한-어");
	assert_expands("${E//a*/b}", "");
	assert_expands("${K//*/x}", "x");
	assert_expands("${P//?/x}", "xxxxxxxxxxxx");
	assert_fails("${P/b}", "syntax error: missing '/' in ${}");
	assert_fails("${P/b/c", "syntax error: missing '}'");
}

static void reports_syntax_errors_with_the_word(void **state)
{
	(void)state;
	assert_fails("a'b",
		"failed to process \"a'b\": unexpected end of statement while looking for matching "
		"single-quote");
	assert_fails("a\"b", "unexpected end of statement while looking for matching double-quote");
	assert_fails("${", "failed to process \"${\": syntax error: missing '}'");
	assert_fails("${}", "syntax error: bad substitution");
	assert_fails("${{a}", "syntax error: bad substitution");
	assert_fails("${a:=b}", "unsupported modifier (:=) in substitution");
	assert_fails("${a=b}", "unsupported modifier (=) in substitution");
	assert_fails("${a,,}", "unsupported modifier (,) in substitution");
	assert_fails("${a", "unsupported modifier (\xEF\xBF\xBD) in substitution");
	assert_fails("${a:-b", "syntax error: missing '}'");
}

static void keeps_what_the_flags_ask_for(void **state)
{
	(void)state;
	assert_expands_with("'a' \"b\" \\c", EXPAND_RAW_QUOTES, '\\', "'a' \"b\" c");
	assert_expands_with("'a' \\c \"\\$\"", EXPAND_RAW_ESCAPES, '\\', "a \\c \\$");
	assert_expands_with("$X ${X} ${X:-w} ${X//a/b} $P", EXPAND_SKIP_UNSET, '\\',
		"$X ${X} ${X:-w} ${X//a/b} a/b/c.tar.gz");
	assert_expands_with("a`$P \\x", 0, '`', "a$P \\x");
}

static void expands_heredoc_bodies(void **state)
{
	(void)state; /* 2.6, fact 42 */
	assert_expands_with("\"q\" 'q' \\\\ \\$P \\n \\\nnext $K it's", EXPAND_SKIP_QUOTES, '\\',
		"\"q\" 'q' \\ $P n \nnext 한국어 it's");
}

static void splits_only_unquoted_space(void **state)
{
	auto_strv vars = STRV_INIT, words = STRV_INIT;
	const struct expand_env env = {.lookup = lookup_list, .ctx = &vars};
	struct err err = ERR_INIT;

	(void)state;
	set_vars(&vars);
	assert_int_equal(expand_words(" x$S \"$S\" '' \\  << EOF <<<Y\xC2\xA0z", '\\', 0, &env,
				 &words, &err),
		0);
	assert_int_equal(words.len, 8);
	assert_string_equal(words.v[0], "xa");
	assert_string_equal(words.v[1], "b");
	assert_string_equal(words.v[2], "c");
	assert_string_equal(words.v[3], "a b  c");
	assert_string_equal(words.v[4], " ");
	assert_string_equal(words.v[5], "<< EOF");
	assert_string_equal(words.v[6], "<<<Y");
	assert_string_equal(words.v[7], "z");

	assert_int_equal(expand_words("a 'b", '\\', 0, &env, &words, &err), -1);
	assert_int_equal(words.len, 8);
}

static void names_follow_unicode(void **state)
{
	auto_strv vars = STRV_INIT;
	const struct expand_env env = {.lookup = lookup_list, .ctx = &vars};
	auto_free char *got = NULL;
	struct err err = ERR_INIT;

	(void)state;
	strv_add(&vars, "변수=1");
	strv_add(&vars, "a_1=2");
	assert_int_equal(expand_word("$변수 $a_1，$변수-", '\\', 0, &env, &got, &err), 0);
	assert_string_equal(got, "1 2，1-");
}

static void calls_can_share_what_they_may_do(void **state)
{
	size_t work = 100;
	const struct expand_env env = {.work = &work};
	struct err err = ERR_INIT;
	char *out = NULL;

	(void)state;
	assert_int_equal(expand_word("sixty characters that are copied, more or less, and counted..", '\\', 0, &env, &out, &err), 0);
	free(out);
	assert_true(work < 50);
	assert_int_equal(expand_word("sixty characters that are copied, more or less, and counted..", '\\', 0, &env, &out, &err), -1);
	assert_non_null(strstr(err.msg, "expansion takes too long"));
}

static void reports_undefined_names(void **state)
{
	auto_strv vars = STRV_INIT;
	struct names names = {.env = &vars, .undefined = STRV_INIT};
	const struct expand_env env = {lookup_names, &names, note_undefined, NULL};
	auto_free char *got = NULL;
	struct err err = ERR_INIT;

	(void)state;
	set_vars(&vars);
	assert_int_equal(
		expand_word("$A${B}${C:-x}${D+x}${F#x}$P$E", '\\', 0, &env, &got, &err), 0);
	assert_int_equal(names.undefined.len, 3);
	assert_string_equal(names.undefined.v[0], "A");
	assert_string_equal(names.undefined.v[1], "B");
	assert_string_equal(names.undefined.v[2], "F");
	strv_release(&names.undefined);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void bounds_depth(void **state)
{
	auto_strbuf word = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 100000; i++)
		strbuf_puts(&word, "${a:-");
	for (int i = 0; i < 100000; i++)
		strbuf_putc(&word, '}');
	assert_fails(word.buf, "nested more than");
}

static const char *lookup_big(void *ctx, const char *name)
{
	(void)name;
	return ctx;
}

static void bounds_output_and_time(void **state)
{
	auto_free char *big = xmalloc((1 << 20) + 1), *got = NULL;
	const struct expand_env env = {.lookup = lookup_big, .ctx = big};
	struct strbuf words[4] = {STRBUF_INIT, STRBUF_INIT, STRBUF_INIT, STRBUF_INIT};
	double start = seconds();

	(void)state;
	memset(big, 'a', 1 << 20);
	big[1 << 20] = '\0';
	for (int i = 0; i < 1000; i++) {
		strbuf_puts(&words[0], "$x");
		strbuf_puts(&words[1], "${x:+${x#b}}");
		strbuf_puts(&words[2], "${x#*$x*b}");
	}
	strbuf_puts(&words[3], "${x//a*aab/c}${x%*a*a*a*a*a*b}${x//a/$x}");
	for (int i = 0; i < 4; i++) {
		struct err err = ERR_INIT;

		assert_int_equal(expand_word(words[i].buf, '\\', 0, &env, &got, &err), -1);
		assert_int_equal(err.kind, ERR_DOCKERFILE);
		assert_true(strstr(err.msg, "exceeds 16 MiB") || strstr(err.msg, "takes too long"));
		strbuf_release(&words[i]);
	}
	if (seconds() - start > 20)
		fail_msg("took %.1f s", seconds() - start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_single_word_vectors),
		cmocka_unit_test(passes_word_list_vectors),
		cmocka_unit_test(knows_defaults_and_requirements),
		cmocka_unit_test(removes_prefixes_and_suffixes),
		cmocka_unit_test(replaces_matches),
		cmocka_unit_test(reports_syntax_errors_with_the_word),
		cmocka_unit_test(keeps_what_the_flags_ask_for),
		cmocka_unit_test(expands_heredoc_bodies),
		cmocka_unit_test(splits_only_unquoted_space),
		cmocka_unit_test(names_follow_unicode),
		cmocka_unit_test(calls_can_share_what_they_may_do),
		cmocka_unit_test(reports_undefined_names),
		cmocka_unit_test(bounds_depth),
		cmocka_unit_test(bounds_output_and_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
