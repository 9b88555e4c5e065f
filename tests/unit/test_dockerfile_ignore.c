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
#include "dockerfile/ignore.h"

DEFINE_AUTO(struct ignore *, ignore_free)

static struct ignore *parse(const char *text)
{
	struct err err = ERR_INIT;
	struct ignore *ig = ignore_parse(text, strlen(text), &err);

	if (!ig)
		fail_msg("%s: %s", text, err.msg);
	return ig;
}

struct truth {
	const char *patterns, *path;
	bool excluded;
};

static void check_truths(const struct truth *truths, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		AUTO(ignore_free) struct ignore *ig = parse(truths[i].patterns);

		if (ignore_match(ig, truths[i].path) != truths[i].excluded)
			fail_msg("'%s' '%s': not %d", truths[i].patterns, truths[i].path,
				truths[i].excluded);
	}
}
#define CHECK(t) check_truths(t, sizeof(t) / sizeof((t)[0]))

static void single_patterns(void **state)
{
	static const struct truth truths[] = {
		/* 4.3.5 */
		{"**", "a", true},
		{"**", "a/b/c", true},
		{"**/", "a", true},
		{"**/", "a/b", true},
		{"**/dir", "dir", true},
		{"**/dir", "a/dir", true},
		{"**/dir", "dir/f", true},
		{"**/dir", "a/b/dir/f", true},
		{"**/dir", "adir", false},
		{"**/dir2/*", "dir/dir2/f", true},
		{"**/dir2/*", "dir/dir2", false},
		{"a**/*.txt", "a/b/c.txt", true},
		{"a**/*.txt", "a/x.txt", true},
		{"a**/*.txt", "ab/x.txt", true},
		{"a**/*.txt", "ax.txt", true},
		{"a**/*.txt", "b/x.txt", false},
		{"a/*.txt", "a/f.txt", true},
		{"a/*.txt", "a/d/f.txt", false},
		{"abc?def", "abcdef", false},
		{"abc?def", "abcxdef", true},
		{"abc?def", "abc/def", false},
		{"**/.foo", "bar.foo", false},
		{"**/.foo", "a/.foo", true},
		{".*", ".foo", true},
		{".*", "foo", false},
		{"a\\*b", "a*b", true},
		{"a\\*b", "axb", false},
		/* a pattern excludes what is below its match */
		{"dir", "dir/a/b", true},
		{"dir", "dirx", false},
		{"d*", "dir/a", true},
		{"a/b", "a", false},
		{"a/b", "a/b/c", true},
		{"a/b", "x/a/b", false},
		{"*/b", "a/b/c", true},
		{"*/b", "b", false},
		/* "**" at the end, at the front, between */
		{"dir/**", "dir", false},
		{"dir/**", "dir/f", true},
		{"dir/**", "dir/a/f", true},
		{"di**", "dir", true},
		{"di**", "d", false},
		{"*.d/**", "x.d", false},
		{"*.d/**", "x.d/f/g", true},
		{"**x", "foox", true},
		{"**x", "foox/below", true},
		{"**x", "foo", false},
		{"a/**/b", "a/b", true},
		{"a/**/b", "a/x/y/b/z", true},
		{"a/**/b", "ab", false},
		{"a/**/b", "a/xb", false},
		{"**/a/**/b/*.c", "x/a/y/b/q/b/f.c", true},
		{"**/a/**/b/*.c", "x/a/y/b/q/c/f.c", false},
		{"**/x/**", "a/x", false},
		{"**/x/**", "a/x/y", true},
		{"**/**/x", "x", true},
		{"a/**b", "a/x/y/b", true},
		{"a/**b", "a/xb", false},
		{"***", "a/b", true},
		/* classes */
		{"*.[oa]", "x.o", true},
		{"*.[oa]", "x.c", false},
		{"**/*.[^c]", "a/x.o", true},
		{"**/*.[^c]", "a/x.c", false},
		{"[^x]bc", "abc", true},
		{"[α-ω]", "π", true},
		{"?b", "πb", true},
		{"??b", "πb", false},
		/* literal characters of other pattern languages */
		{"a.b", "axb", false},
		{"a+(b|c)${d}", "a+(b|c)${d}", true},
		/* cleaning */
		{"/foo", "foo", true},
		{"./foo/", "foo", true},
		{"a/../b", "b", true},
		{"a//b", "a/b", true},
		{"/", "a", false},
		{".", "a", false},
		{"../a", "a", false},
		{"  sp  ", "sp", true},
	};

	(void)state;
	CHECK(truths);
}

static void the_last_pattern_that_applies_wins(void **state)
{
	static const struct truth truths[] = {
		{"**\n!util/docker/web", "util/docker/web/foo", false},
		{"**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", true},
		{"**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/bar", false},
		{"**\n!util/docker/web", "util/docker", true},
		{"!a\na", "a", true},
		{"a\n!a", "a", false},
		{"dir\n!dir/keep", "dir/keep", false}, /* fact 287 */
		{"dir\n!dir/keep", "dir/other", true},
		{"dir\n! dir/keep", "dir/keep/x", false},
		{"ba*\n!bay\nDockerfile\n.dockerignore", "bay", false}, /* fact 228 */
		{"ba*\n!bay\nDockerfile\n.dockerignore", "bar", true},
		{"ba*\n!bay\nDockerfile\n.dockerignore", "Dockerfile", true},
		{"ba*\n!bay\nDockerfile\n.dockerignore", "foo", false},
		{"*.md\n!README.md\nREADME*", "README.md", true},
	};

	(void)state;
	CHECK(truths);
}

static void lines_follow_the_file_grammar(void **state)
{
	static const struct truth truths[] = {
		{"\xEF\xBB\xBF# c\nx", "# c", false},
		{"\xEF\xBB\xBFx", "x", true},
		{"#x\n\n   \r\nfoo\r\nbar", "#x", false},
		{"#x\n\n   \r\nfoo\r\nbar", "foo", true},
		{"#x\n\n   \r\nfoo\r\nbar", "bar", true},
		{" # not a comment", "# not a comment", true}, /* fact 288 */
		{"\\#x", "#x", true},
		{"\\!x", "!x", true},
		{"", "x", false},
	};

	(void)state;
	CHECK(truths);
}

static void assert_refused(const char *text, const char *message)
{
	struct err err = ERR_INIT;

	assert_null(ignore_parse(text, strlen(text), &err));
	assert_int_equal(err.kind, ERR_INPUT);
	if (!strstr(err.msg, message))
		fail_msg("'%s' lacks '%s'", err.msg, message);
}

static void bad_patterns_are_refused(void **state)
{
	static const char *const single[] = {"ok", "", "!"};
	auto_strbuf many = STRBUF_INIT, longest = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_refused("a\n!\n",
		"line 2 of the ignore file: illegal exclusion pattern: \"!\""); /* fact 229 */
	assert_refused("a\n!  \n", "illegal exclusion pattern: \"!\"");
	assert_refused("[", "syntax error in pattern: \"[\"");
	assert_refused("a/[b", "syntax error in pattern");
	assert_refused("a\\", "syntax error in pattern");
	assert_null(ignore_parse("a\0b", 3, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_null(ignore_new(single, 3, &err));
	assert_string_equal(err.msg, "illegal exclusion pattern: \"!\"");

	for (int i = 0; i <= IGNORE_PATTERNS_MAX; i++)
		strbuf_puts(&many, "x\n");
	assert_refused(many.buf, "more than");
	for (int i = 0; i <= IGNORE_PATTERN_MAX; i++)
		strbuf_putc(&longest, 'x');
	assert_refused(longest.buf, "longer than");
}

static void lists_of_patterns_work_alike(void **state)
{
	static const char *const patterns[] = {"*/*.png", "", "!*/keep.png"};
	struct err err = ERR_INIT;
	AUTO(ignore_free) struct ignore *ig = ignore_new(patterns, 3, &err);

	(void)state;
	assert_non_null(ig);
	assert_int_equal(ignore_count(ig), 2);
	assert_true(ignore_has_exceptions(ig));
	assert_string_equal(ignore_pattern(ig, 1), "*/keep.png");
	assert_true(ignore_match(ig, "d/x.png"));
	assert_false(ignore_match(ig, "x.png"));
	assert_false(ignore_match(ig, "d/keep.png"));
}

static void excluded_directories_are_entered_only_when_needed(void **state)
{
	static const struct {
		const char *patterns, *dir;
		bool enter;
	} cases[] = {
		{"dir", "dir", false},
		{"dir\n!dir/keep", "dir", true},
		{"dir\n!dir/a/keep", "dir/a", true},
		{"dir\n!dir/a/keep", "dir/b", false},
		{"*\n!other/x", "dir", false},
		{"*\n!*/x", "dir", true},
		{"*\n!**/x", "dir/a/b", true},
		{"*\n!d*/[^a]b/x", "dir", true},
		{"*\n!d*/[^a]b/x", "far", false},
		{"*\n!di**", "d", false},
		{"*\n!dir/sub**", "dir", true},
		{"*\n!**.c", "dir", true},
		{"!dir/keep\ndir", "dir", false},
		{"dir\n!dir/a/x\ndir/a", "dir/a", false},
		{"dir\n!dir/a/x\ndir/a", "dir", true},
		{"*\n!a/b/c", "a/b/c/d", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(ignore_free) struct ignore *ig = parse(cases[i].patterns);

		if (ignore_may_include_below(ig, cases[i].dir) != cases[i].enter)
			fail_msg("'%s' '%s'", cases[i].patterns, cases[i].dir);
	}
}

/* Every path below an excluded directory that is not entered must be excluded. */
static void skipping_a_directory_loses_nothing(void **state)
{
	static const char *const lines[] = {"*", "a", "!a/b", "!**/c", "a/b/**", "!b*", "**/a/c",
		"!a/**/c", "?", "!a/*/b", "b**", "!c**/a", "**c", "!*b", "[^a]", "!a[^b]b/c"};
	static const char *const names[] = {"a", "b", "c"};
	const unsigned nlines = sizeof(lines) / sizeof(lines[0]);

	(void)state;
	for (unsigned pick = 0; pick < nlines * nlines * nlines; pick++) {
		const char *list[] = {lines[pick % nlines], lines[pick / nlines % nlines],
			lines[pick / nlines / nlines]};
		struct err err = ERR_INIT;
		AUTO(ignore_free) struct ignore *ig = ignore_new(list, 3, &err);

		assert_non_null(ig);
		for (int i = 0; i < 3 * 3 * 3; i++) {
			char path[16], dir[16];

			snprintf(path, sizeof(path), "%s/%s/%s", names[i / 9], names[i / 3 % 3],
				names[i % 3]);
			for (int depth = 1; depth < 3; depth++) {
				snprintf(dir, sizeof(dir), "%.*s", depth * 2 - 1, path);
				if (ignore_match(ig, dir) && !ignore_may_include_below(ig, dir) &&
					!ignore_match(ig, path))
					fail_msg("'%s' '%s' '%s': %s lost below %s", list[0],
						list[1], list[2], path, dir);
			}
		}
	}
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void many_patterns_over_many_paths_are_fast(void **state)
{
	static const char *const shapes[][2] = {{"dir", ""}, {"**/node_", ""}, {"*.o", ""},
		{"**/*.ext", ""}, {"a/b", "/**"}, {"src/", "/*"}, {"!keep", ""},
		{"docs/**/", ".md"}, {"build", "*"}, {"**/test", "/**/*.log"}};
	auto_strbuf text = STRBUF_INIT;
	AUTO(ignore_free) struct ignore *ig = NULL;
	size_t excluded = 0;
	double start;

	(void)state;
	for (int i = 0; i < 200; i++)
		strbuf_printf(&text, "%s%d%s\n", shapes[i % 10][0], i, shapes[i % 10][1]);
	ig = parse(text.buf);
	start = seconds();
	for (int i = 0; i < 100000; i++) {
		char path[96];

		snprintf(path, sizeof(path), "usr/share/package-%d/sub/dir/file-%d.txt", i % 1000,
			i);
		excluded += ignore_match(ig, path);
	}
	assert_int_equal(excluded, 0);
	print_message("# 200 patterns, 100,000 paths: %.3f s\n", seconds() - start);
	/* 0.5 s is the goal; sanitizers and busy machines get ten times that. */
	if (seconds() - start > 5)
		fail_msg("took %.3f s", seconds() - start);
}

static void hostile_patterns_take_bounded_time(void **state)
{
	auto_strbuf text = STRBUF_INIT, path = STRBUF_INIT;
	AUTO(ignore_free) struct ignore *ig = NULL;
	double start = seconds();

	(void)state;
	for (int i = 0; i < 300; i++)
		strbuf_puts(&text, "a**");
	strbuf_puts(&text, "b\n");
	for (int i = 0; i < 300; i++)
		strbuf_puts(&text, "*a");
	strbuf_puts(&text, "b\n**/");
	for (int i = 0; i < 300; i++)
		strbuf_puts(&text, "a/**/");
	strbuf_puts(&text, "b\n");
	for (int i = 0; i < 2000; i++)
		strbuf_puts(&path, i % 7 ? "a" : "a/");
	ig = parse(text.buf);
	for (int i = 0; i < 10; i++)
		assert_false(ignore_match(ig, path.buf));
	if (seconds() - start > 5)
		fail_msg("took %.3f s", seconds() - start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_patterns),
		cmocka_unit_test(the_last_pattern_that_applies_wins),
		cmocka_unit_test(lines_follow_the_file_grammar),
		cmocka_unit_test(bad_patterns_are_refused),
		cmocka_unit_test(lists_of_patterns_work_alike),
		cmocka_unit_test(excluded_directories_are_entered_only_when_needed),
		cmocka_unit_test(skipping_a_directory_loses_nothing),
		cmocka_unit_test(many_patterns_over_many_paths_are_fast),
		cmocka_unit_test(hostile_patterns_take_bounded_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
