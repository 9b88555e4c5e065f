#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dockerfile/expand.h"
#include "dockerfile/grammar.h"
#include "dockerfile/jsonlist.h"
#include "dockerfile/lexer.h"
#include "dockerfile/parse.h"
#include "dockerfile/run_mount.h"

DEFINE_AUTO(struct dockerfile *, dockerfile_free)

static struct dockerfile *parse(const char *text)
{
	struct dockerfile_location loc;
	struct err err = ERR_INIT;
	struct dockerfile *df = dockerfile_parse("Dockerfile", text, strlen(text), &loc, &err);

	if (!df)
		fail_msg("%s: %s", text, err.msg);
	return df;
}

/* One instruction in a stage of its own, valid until the next call. */
static const struct instruction *parse_one(const char *text)
{
	static struct dockerfile *df; /* of the last call; the last one is never freed */
	auto_strbuf file = STRBUF_INIT;

	dockerfile_free(df);
	strbuf_printf(&file, "FROM scratch\n%s\n", text);
	df = parse(file.buf);
	assert_int_equal(df->nstages, 1);
	assert_int_equal(df->stages[0].ninstructions, 1);
	return &df->stages[0].instructions[0];
}

static void assert_args(const char *text, bool json, size_t n, const char *const *args)
{
	const struct instruction *in = parse_one(text);

	if (in->nargs != n || in->json != json)
		fail_msg("%s: %zu arguments, json %d", text, in->nargs, in->json);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(in->args[i], args[i]);
}
#define ARGS(text, json, ...)                                                                      \
	assert_args(text, json, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),       \
		(const char *const[]){__VA_ARGS__})

static void assert_pairs(const char *text, size_t n, const char *const *pairs)
{
	const struct instruction *in = parse_one(text);

	if (in->nkeys * 2 != n)
		fail_msg("%s: %zu pairs", text, in->nkeys);
	for (size_t i = 0; i < in->nkeys; i++) {
		assert_string_equal(in->keys[i], pairs[2 * i]);
		if (pairs[2 * i + 1])
			assert_string_equal(in->values[i], pairs[2 * i + 1]);
		else
			assert_null(in->values[i]);
	}
}
#define PAIRS(text, ...)                                                                           \
	assert_pairs(text, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),            \
		(const char *const[]){__VA_ARGS__})

/* The whole file must fail with exactly this message, blamed on these lines. */
static void assert_file_fails(const char *text, const char *message, int first, int last)
{
	struct dockerfile_location loc = {-1, -1};
	struct err err = ERR_INIT;
	struct dockerfile *df = dockerfile_parse("Dockerfile", text, strlen(text), &loc, &err);

	if (df)
		fail_msg("%s: parsed", text);
	assert_string_equal(err.msg, message);
	assert_int_equal(err.kind, ERR_DOCKERFILE);
	if (loc.first_line != first || loc.last_line != last)
		fail_msg("%s: lines %d to %d", text, loc.first_line, loc.last_line);
}

static void assert_fails(const char *text, const char *message)
{
	auto_strbuf file = STRBUF_INIT;
	int last = 2;

	for (const char *p = text; *p; p++)
		last += *p == '\n';
	strbuf_printf(&file, "FROM scratch\n%s\n", text);
	assert_file_fails(file.buf, message, 2, last);
}

#define PREFIX "dockerfile parse error on line 2: "

/* Table 1.12. */
static void the_examples_of_the_spec_parse(void **state)
{
	const struct instruction *in;

	(void)state;
	PAIRS("LABEL maintainer docker <d@x>", "maintainer", "docker <d@x>");
	assert_true(parse_one("LABEL maintainer docker <d@x>")->legacy);
	PAIRS("ENV a b=c", "a", "b=c");
	PAIRS("ENV SCUBA 1 DUBA 3", "SCUBA", "1 DUBA 3");
	PAIRS("ENV n=v\\ v2 m=\"x y\"", "n", "v\\ v2", "m", "\"x y\"");
	PAIRS("ENV n='a\\'b''", "n", "'a\\'b''");
	PAIRS("ENV n=\"a\\'b\"", "n", "\"a\\'b\"");
	PAIRS("ENV E hello\\\n\\\nworld", "E", "helloworld");
	PAIRS("ENV F hello\\\n \\\nworld", "F", "hello world");
	PAIRS("ENV n=v \\\n  n2=\"a \\\n  b\"", "n", "v", "n2", "\"a   b\"");
	PAIRS("ARG abc=\"123 456\" def", "abc", "\"123 456\"", "def", NULL);
	ARGS("COPY -- foo /t", false, "foo", "/t");
	ARGS("RUN echo '1' && \\\n    echo 2", false, "echo '1' &&     echo 2");
	ARGS("RUN foo \\\n\nbar \\\n\nbaz", false, "foo bar baz");
	assert_true(parse_one("RUN foo \\\n\nbar")->empty_continuation);
	ARGS("# c \\\nRUN x", false, "x");
	ARGS("ADD \\conf\\\\\" /.z", false, "\\conf\\\\\"", "/.z");
	ARGS("CMD [ \"\\/usr\\\\\\\"/z\", \"-f\" ]", true, "/usr\\\"/z", "-f");
	ARGS("HEALTHCHECK --timeout=3s CMD [\"foo\"]", true, "CMD", "foo");
	ARGS("HEALTHCHECK CMD a b", false, "CMD", "a b");
	ARGS("RUN [\"echo\", \"'1234'\"]", true, "echo", "'1234'");
	ARGS("EXPOSE 9000   5000", false, "9000", "5000");
	ARGS("VOLUME /a /b", false, "/a", "/b");
	ARGS("VOLUME [\"/a b\"]", true, "/a b");
	in = parse_one("ONBUILD RUN [\"echo\",\"t\"]");
	assert_string_equal(in->args[0], "RUN [\"echo\",\"t\"]");
	assert_non_null(in->trigger);
	assert_true(in->trigger->json);
	assert_string_equal(in->trigger->args[1], "t");

	assert_fails("COPY --x=1 -- foo /t", PREFIX "unknown flag: --x");
	assert_fails("CMD --x [ \"a\", \"b\" ]", PREFIX "unknown flag: --x");
}

static void trailing_backslashes_make_two_instructions(void **state)
{
	AUTO(dockerfile_free)
	struct dockerfile *df = parse("FROM x\nENV C trailing\\\\backslash\\\\\nENV D x\n");

	(void)state;
	assert_int_equal(df->stages[0].ninstructions, 2);
	assert_string_equal(df->stages[0].instructions[0].values[0], "trailing\\\\backslash\\\\");
}

static void json_falls_back_to_text(void **state)
{
	(void)state;
	ARGS("RUN [\"echo\", \"hi\"]trailing", false, "[\"echo\", \"hi\"]trailing"); /* fact 33 */
	ARGS("ENTRYPOINT []random string", false, "[]random string");		     /* fact 34 */
	ARGS("CMD ['a']", false, "['a']");					     /* fact 35 */
	ARGS("CMD [\"a\"", false, "[\"a\"");
	ARGS("CMD [\"a", false, "[\"a");
	ARGS("CMD [\"a\",]", false, "[\"a\",]");
	ARGS("CMD [01]", false, "[01]");
	ARGS("CMD [\"a\\x\"]", false, "[\"a\\x\"]");
	ARGS("CMD [\"a\tb\"]", false, "[\"a\tb\"]"); /* control characters must be escaped */
	ARGS("COPY [\"a\", b]", false, "[\"a\",", "b]");
	ARGS("CMD [\"a\",\\\n \"b\"]", true, "a", "b");
	ARGS("CMD [\"\\u0041\\\"\\ud83d\\ude00\\ud800x\", \"\xFF\"]", true,
		"A\"\xF0\x9F\x98\x80\xEF\xBF\xBDx", "\xFF"); /* fact 37 */
	assert_int_equal(parse_one("CMD []")->nargs, 0);
	assert_true(parse_one("CMD [ ] ")->json);
	assert_fails("CMD [1]",
		"when using JSON array syntax, arrays must be comprised of strings only");
	assert_fails("CMD [\"a\", [\"b\"]]",
		"when using JSON array syntax, arrays must be comprised of strings only");
	assert_fails("COPY [\"a\", {\"b\": [null, true, -1.5e+3]}, \"c\"]",
		"when using JSON array syntax, arrays must be comprised of strings only");
	assert_fails("CMD [\"\\u0000\"]", "a JSON string holds a NUL character");
}

static void empty_commands_are_text(void **state)
{
	(void)state;
	ARGS("RUN", false, "");
	ARGS("CMD", false, "");
	ARGS("ENTRYPOINT  ", false, "");
	assert_fails("RUN []", PREFIX "RUN requires at least one argument");
}

static void counts_arguments(void **state)
{
	static const char *const one[] = {"MAINTAINER", "WORKDIR", "USER", "STOPSIGNAL"};
	static const char *const some[] = {"ENV", "LABEL", "ONBUILD", "HEALTHCHECK", "EXPOSE",
		"VOLUME", "ARG", "SHELL", "SHELL []"};
	char message[256];

	(void)state;
	for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
		snprintf(message, sizeof(message), PREFIX "%s requires exactly one argument",
			one[i]);
		assert_fails(one[i], message);
	}
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		snprintf(message, sizeof(message), PREFIX "%.*s requires at least one argument",
			(int)strcspn(some[i], " "), some[i]);
		assert_fails(some[i], message);
	}
	/* fact 27 */
	assert_fails("COPY a",
		PREFIX "COPY requires at least two arguments, but only one was provided. "
		       "Destination could not be determined");
	assert_fails("ADD \\\n  a\t",
		PREFIX "ADD requires at least two arguments, but only one was provided. "
		       "Destination could not be determined");
	assert_fails("COPY",
		PREFIX "COPY requires at least two arguments, but only one was provided. "
		       "Destination could not be determined");
	assert_fails("FROM a b", PREFIX "FROM requires either one or three arguments");
	assert_fails("FROM a is b", PREFIX "FROM requires either one or three arguments");
	assert_fails("FROM", PREFIX "FROM requires either one or three arguments");
	assert_fails("SHELL a b",
		PREFIX "SHELL requires the arguments to be in JSON form"); /* fact 36 */
	assert_fails("VOLUME [\" \"]",
		PREFIX "VOLUME specified can not be an empty string"); /* fact 273 */
}

static void keys_and_values_are_checked(void **state)
{
	(void)state;
	assert_fails("ENV a", "ENV must have two arguments"); /* fact 24: no prefix */
	assert_fails("LABEL a", "LABEL must have two arguments");
	assert_fails("ENV a=b c",
		"Syntax error - can't find = in \"c\". Must be of the form: name=value");
	assert_fails("ENV =x", PREFIX "ENV names can not be blank"); /* fact 26 */
	assert_fails("LABEL =x", PREFIX "LABEL names can not be blank");
	assert_fails("ARG =x", PREFIX "ARG names can not be blank");
	PAIRS("ENV a= b='x y'z", "a", "", "b", "'x y'z");
	PAIRS("ENV a=b=c", "a", "b=c");
	PAIRS("ENV  key\t \tvalue  'x' ", "key", "value  'x'");
	PAIRS("LABEL \"a b\"=c", "\"a b\"", "c");
	PAIRS("ARG X= Y", "X", "", "Y", NULL);
	PAIRS("ENV a=\"open b=c", "a", "\"open b=c");
}

static void names_are_case_insensitive(void **state)
{
	AUTO(dockerfile_free)
	struct dockerfile *df = parse("from a\nFrOm b aS C\nrUn x\n"); /* fact 22 */

	(void)state;
	assert_int_equal(df->nstages, 2);
	assert_int_equal(df->stages[1].instructions[0].kind, INSTRUCTION_RUN);
	assert_string_equal(df->stages[1].instructions[0].name, "rUn");
	assert_string_equal(df->stages[1].instructions[0].original, "rUn x");
}

static void unknown_instructions_get_a_hint(void **state)
{
	(void)state; /* fact 23 */
	assert_fails("FNTRYPOINT [\"x\"]",
		PREFIX "unknown instruction: FNTRYPOINT (did you mean ENTRYPOINT?)");
	assert_fails("coyp a b", PREFIX "unknown instruction: coyp (did you mean copy?)");
	assert_fails("Eny a b", PREFIX "unknown instruction: Eny (did you mean ENV?)");
	assert_fails("abcdefgh", PREFIX "unknown instruction: abcdefgh");
	/* fact 49: no heredoc here */
	assert_file_fails("FROM a\nUSER <<X\nX\n",
		"dockerfile parse error on line 3: unknown instruction: X", 3, 3);
}

static void flags_are_checked(void **state)
{
	const struct instruction *in;

	(void)state;
	assert_fails("MAINTAINER --boo x", PREFIX "unknown flag: --boo"); /* fact 28 */
	assert_int_equal(parse_one("ARG --boo X")->nflags, 0);
	assert_int_equal(parse_one("STOPSIGNAL --boo 9")->nflags, 0);
	assert_int_equal(parse_one("HEALTHCHECK --boo NONE")->nflags, 0);
	assert_fails("RUN --mont=type=cache x",
		PREFIX "unknown flag: --mont (did you mean mount?)"); /* fact 29 */
	/* fact 30 */
	assert_fails("COPY --link=maybe a b",
		PREFIX "expecting boolean value for flag --link, not: maybe");
	assert_fails("COPY --link= a b", PREFIX "missing a value on flag: --link");
	assert_true(instruction_flag_is_set(parse_one("COPY --link=TRUE a b"), "link"));
	assert_true(instruction_flag_is_set(parse_one("COPY --link a b"), "link"));
	in = parse_one("COPY --link=False a b");
	assert_false(instruction_flag_is_set(in, "link"));
	assert_string_equal(instruction_flag(in, "link"), "false");
	/* fact 31 */
	assert_fails("COPY --chown=1 --chown=2 a b", PREFIX "duplicate flag specified: --chown");
	in = parse_one("COPY --exclude=a --chown= --exclude=b a b");
	assert_string_equal(instruction_flag_at(in, "exclude", 1), "b");
	assert_null(instruction_flag_at(in, "exclude", 2));
	assert_string_equal(instruction_flag(in, "chown"), ""); /* fact 281 */
	assert_null(instruction_flag(in, "chmod"));
	assert_fails("COPY --chown a b", PREFIX "missing a value on flag: --chown");
	assert_fails("COPY --unpack a b", PREFIX "unknown flag: --unpack");
	parse_one("ADD --keep-git-dir=true --checksum=x --chown=1 --chmod=2 --link --unpack=false "
		  "--exclude=y a b");
	parse_one("COPY --from=x --chown=1 --chmod=2 --link --parents --exclude=y a b");
	parse_one("RUN --mount=a --mount=b --network=none --security=insecure "
		  "--device=v/c=d,required x");
	parse_one(
		"HEALTHCHECK --interval=1m30s --timeout=3s --start-period=0 --start-interval=1.5s "
		"--retries=3 CMD x");
	assert_fails("RUN --network=x y", PREFIX "unsupported network mode \"x\"");
	assert_fails("RUN --security=x y", PREFIX "unsupported security mode \"x\"");
	assert_fails("RUN --mount=target=/a,x=a\\\"b y", PREFIX
		"failed to parse csv mounts: bare or unclosed \" in a field (quote the whole field or the "
		"whole value)");
	assert_fails("RUN --mount=from=$x,target=/a y", PREFIX /* fact 75 */
		"'from' doesn't support variable expansion, define alias stage instead");
	parse_one("RUN --mount=from=a$,target=/a y");
}

static void flag_words_lose_quotes_and_escapes(void **state)
{
	const struct instruction *in;

	(void)state; /* facts 32 and 263 */
	ARGS("RUN -- --mount=x", false, "--mount=x");
	assert_string_equal(
		instruction_flag(parse_one("COPY --chown=\"1:2\" a b"), "chown"), "1:2");
	in = parse_one("RUN --mount='type=tmpfs,target=/a b' --device=\\ x\\'\"q\\\"\" \t y  z");
	assert_string_equal(instruction_flag_at(in, "mount", 0), "type=tmpfs,target=/a b");
	assert_string_equal(instruction_flag_at(in, "device", 0), " x'q\"");
	assert_string_equal(in->args[0], "y  z");
	assert_string_equal(
		instruction_flag(parse_one("COPY --chown=\xC3\xA0 a b"), "chown"), "\xC3\xA0");
	assert_string_equal(instruction_flag(parse_one("RUN --mount='open x"), "mount"), "open x");
}

static void from_flags_must_not_expand(void **state)
{
	static const char message[] = "variable expansion is not supported for --from, define a "
				      "new stage with FROM using ARG from "
				      "global scope as a workaround";

	(void)state; /* fact 74 */
	assert_fails("COPY --from=$X . .", message);
	assert_fails("COPY --from='\"a\"' . .", message);
	parse_one("COPY --from=a/b:c . .");
	parse_one("COPY --from= . .");
}

static void healthchecks_are_checked(void **state)
{
	const struct instruction *in;

	(void)state;
	ARGS("HEALTHCHECK none", false, "NONE");
	in = parse_one("HEALTHCHECK cmd [\"a\"]");
	assert_string_equal(in->args[0], "CMD");
	assert_fails("HEALTHCHECK NONE x", PREFIX "HEALTHCHECK NONE takes no arguments");
	assert_fails("HEALTHCHECK CMD", PREFIX "Missing command after HEALTHCHECK CMD");
	assert_fails("HEALTHCHECK CMD []", PREFIX "Missing command after HEALTHCHECK CMD");
	assert_fails("HEALTHCHECK foo x", PREFIX "Unknown type \"FOO\" in HEALTHCHECK (try CMD)");
	/* fact 221 */
	assert_fails("HEALTHCHECK --interval=50ns CMD x",
		PREFIX "Interval \"interval\" cannot be less than 1ms");
	assert_fails("HEALTHCHECK --start-period=-5s CMD x",
		PREFIX "Interval \"start-period\" cannot be less than 1ms");
	parse_one("HEALTHCHECK --interval=0ms CMD x");
	assert_fails("HEALTHCHECK --retries=-5 CMD x", PREFIX "--retries cannot be negative (-5)");
	assert_fails("HEALTHCHECK --retries=2147483648 CMD x",
		PREFIX "invalid number \"2147483648\" for --retries");
	assert_fails("HEALTHCHECK --timeout=5 CMD x",
		PREFIX "invalid duration \"5\" for --timeout (such as 30s or 1m30s)");
}

static void durations_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{"", 0},
		{"0", 0},
		{"1ns", 1},
		{"1us", 1000},
		{"1\xC2\xB5s", 1000},
		{"2ms", 2000000},
		{"1.5s", 1500000000},
		{".5m", 30000000000},
		{"1h2m3s", 3723000000000},
		{"-1s", -1000000000},
		{"+1s", 1000000000},
		{"1.000000001s", 1000000001},
		{"0.1h", 360000000000},
	};
	static const char *const bad[] = {"1", "s", "1x", "1 s", ".s", "--1s", "-", "1s1", "1d",
		"9223372036854775808ns", "99999999999h"};
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(instruction_duration(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (instruction_duration(bad[i], &ns) == 0)
			fail_msg("%s is taken", bad[i]);
}

static void copies_part_paths_from_heredocs(void **state)
{
	const struct instruction *in =
		parse_one("COPY --chmod=777 x <<A y <<-\"B\" d/\n$a\nA\n\tb\n\tB");

	(void)state; /* facts 38, 39, 41, 43, 45 */
	assert_int_equal(in->nargs, 3);
	assert_string_equal(in->args[0], "x");
	assert_string_equal(in->args[1], "y");
	assert_string_equal(in->args[2], "d/");
	assert_int_equal(in->nheredocs, 2);
	assert_string_equal(in->heredocs[0].name, "A");
	assert_string_equal(in->heredocs[0].content, "$a\n");
	assert_true(in->heredocs[0].expand);
	assert_string_equal(in->heredocs[1].name, "B");
	assert_string_equal(in->heredocs[1].content, "b\n");
	assert_false(in->heredocs[1].expand);
	assert_int_equal(in->last_line, 6);

	/* two of one name share the last body */
	in = parse_one("COPY <<A <<A d/\n1\nA\n2\nA");
	assert_int_equal(in->nheredocs, 2);
	assert_string_equal(in->heredocs[0].content, "2\n");
	assert_string_equal(in->heredocs[1].content, "2\n");

	/* no JSON, and fact 58 */
	in = parse_one("COPY [\"<<A\", \"/x\"]");
	assert_int_equal(in->nheredocs, 0);
	assert_string_equal(in->args[0], "<<A");
	assert_fails("COPY a <<E\nE", PREFIX "COPY cannot accept a heredoc as a destination");
	assert_fails("ADD a <<E\nE", PREFIX "ADD cannot accept a heredoc as a destination");
	assert_fails("COPY <<../x /\n../x",
		PREFIX "heredoc name \"../x\" cannot be used as a file name (choose a plain word)");
}

static void runs_get_their_script(void **state)
{
	const struct instruction *in;

	(void)state;
	/* one heredoc alone is the script, without tabs where the dash says so (facts 50, 51) */
	ARGS("RUN <<EOF\n\ta\nb\nEOF", false, "\ta\nb\n");
	ARGS("RUN <<-EOF\n\ta\nb\n\tEOF", false, "a\nb\n");
	ARGS("RUN 3<<EOF\n$x\nEOF", false, "$x\n");
	ARGS("RUN --mount=x <<EOF\na\nEOF", false, "a\n");
	/* fact 52 */
	in = parse_one("RUN <<-'run me'\n\t#!/bin/awk -f\n\tx\nrun me");
	assert_string_equal(in->args[0], "#!/bin/awk -f\nx\n");
	assert_string_equal(in->script_name, "run me");
	assert_null(parse_one("RUN <<E\n #!x\nE")->script_name);
	assert_fails("RUN <<a/b\n#!x\na/b",
		PREFIX "heredoc name \"a/b\" cannot be used as a file name (choose a plain word)");
	/* anything more is for the shell: facts 53 to 56 */
	ARGS("RUN cat <<A | tr a b; cat <<-\"B\"\n1\nA\n\t2\n\tB", false,
		"cat <<A | tr a b; cat <<-\"B\"\n1\nA\n\t2\nB");
	ARGS("RUN <<EOF 3<<IN cmd\nx\nEOF\ny\nIN", false, "<<EOF 3<<IN cmd\nx\nEOF\ny\nIN");
	ARGS("RUN <<EOF sh > f\nx\nEOF", false, "<<EOF sh > f\nx\nEOF");
	ARGS("RUN \"<<X\"", false, "\"<<X\""); /* fact 48 */
	ARGS("RUN [\"<<X\"]", true, "<<X");
	assert_fails("RUN <<E\nx", "unterminated heredoc"); /* fact 60: no prefix */
}

static void onbuild_keeps_the_text(void **state)
{
	const struct instruction *in = parse_one(" onBuild   RUN --mount=$x echo \\\n  '$a' # b");

	(void)state;
	assert_string_equal(in->args[0], "RUN --mount=$x echo   '$a' # b");
	assert_string_equal(instruction_flag(in->trigger, "mount"), "$x");
	assert_string_equal(in->trigger->args[0], "echo   '$a' # b");
	/* fact 57: bodies are attached again */
	in = parse_one("ONBUILD COPY <<A <<-B /\n1\nA\n\t2\n\tB");
	assert_string_equal(in->args[0], "COPY <<A <<-B /\n1\nA\n\t2\nB");
	assert_int_equal(in->trigger->nheredocs, 2);
	assert_string_equal(in->trigger->heredocs[1].content, "2\n");

	assert_fails("ONBUILD ONBUILD RUN x",
		PREFIX "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	assert_fails("ONBUILD from x", PREFIX "FROM isn't allowed as an ONBUILD trigger");
	assert_fails(
		"ONBUILD maintainer x", PREFIX "MAINTAINER isn't allowed as an ONBUILD trigger");
	assert_fails("ONBUILD ENV a", "ENV must have two arguments");
	/* the rest of the inner rules count when it fires */
	assert_null(parse_one("ONBUILD nonsense x")->trigger);
	assert_null(parse_one("ONBUILD COPY a")->trigger);
}

static void triggers_parse_alone(void **state)
{
	struct arena arena = ARENA_INIT;
	struct instruction in;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
		dockerfile_parse_instruction(&arena, "COPY <<A <<-B /\n1\nA\n\t2\nB", &in, &err),
		0);
	assert_int_equal(in.kind, INSTRUCTION_COPY);
	assert_int_equal(in.nheredocs, 2);
	assert_string_equal(in.heredocs[1].content, "2\n");
	assert_int_equal(dockerfile_parse_instruction(&arena, "MAINTAINER x", &in, &err), 0);

	assert_int_equal(dockerfile_parse_instruction(&arena, "RUN a\nRUN b", &in, &err), -1);
	assert_string_equal(err.msg, "onbuild trigger should be a single expression");
	assert_int_equal(dockerfile_parse_instruction(&arena, "", &in, &err), -1);
	assert_string_equal(err.msg, "onbuild trigger should be a single expression");
	assert_int_equal(dockerfile_parse_instruction(&arena, "# x", &in, &err), -1);
	assert_string_equal(err.msg, "onbuild trigger should be a single expression");
	assert_int_equal(dockerfile_parse_instruction(&arena, "FROM x", &in, &err), -1);
	assert_string_equal(err.msg, "FROM isn't allowed as an ONBUILD trigger");
	assert_int_equal(dockerfile_parse_instruction(&arena, "COPI a b", &in, &err), -1);
	assert_string_equal(err.msg, "unknown instruction: COPI (did you mean COPY?)");
	assert_int_equal(err.kind, ERR_DOCKERFILE);
	arena_release(&arena);
}

static void files_need_a_stage(void **state)
{
	(void)state; /* fact 1, and 1.1.4 */
	assert_file_fails("", "the Dockerfile cannot be empty", 0, 0);
	assert_file_fails("\n# c\n  \n", "file with no instructions", 0, 0);
	assert_file_fails("ARG foo=bar", "dockerfile contains no stages to build", 0, 0);
	assert_file_fails("ARG a\nRUN x\nFROM y\n", "no build stage in current context", 2, 2);
	assert_file_fails("RUN <<E\nE\nFROM y\n", "no build stage in current context", 1, 2);
}

static void shape_errors_come_before_rule_errors(void **state)
{
	(void)state;
	assert_file_fails("FROM x\nCOPY a\nRUN <<E\n", "unterminated heredoc", 3, 3);
}

static void stages_are_laid_out(void **state)
{
	AUTO(dockerfile_free)
	struct dockerfile *df =
		parse("# escape=`\n# syntax=s t\nARG A=1 B\nARG C\nFROM --platform=$P $img AS "
		      "Build-1.x_Y\n"
		      "RUN a\nRUN b\n# note\nFROM scratch\nFROM build as z\nCMD [\"c\"]\n");

	(void)state;
	assert_int_equal(df->escape, '`');
	assert_string_equal(df->syntax, "s t");
	assert_int_equal(df->syntax_line, 2);
	assert_null(df->check);
	assert_int_equal(df->nglobal_args, 2);
	assert_int_equal(df->global_args[0].nkeys, 2);
	assert_int_equal(df->nstages, 3);
	assert_string_equal(df->stages[0].name, "build-1.x_y");
	assert_string_equal(df->stages[0].name_as_written, "Build-1.x_Y");
	assert_string_equal(df->stages[0].image, "$img");
	assert_string_equal(df->stages[0].platform, "$P");
	assert_int_equal(df->stages[0].ninstructions, 2);
	assert_string_equal(df->stages[0].instructions[1].args[0], "b");
	assert_null(df->stages[1].name);
	assert_null(df->stages[1].platform);
	assert_int_equal(df->stages[1].ninstructions, 0);
	assert_int_equal(df->stages[1].from.first_line, 9);
	assert_int_equal(df->stages[1].from.ncomments, 1);
	assert_string_equal(df->stages[1].from.comments[0], "note");
	assert_int_equal(df->stages[2].instructions[0].first_line, 11);
}

static void stage_names_are_checked(void **state)
{
	(void)state; /* fact 97 */
	assert_fails("FROM x AS 1abc",
		PREFIX "invalid name for build stage: \"1abc\", name can't start with a "
		       "number or contain symbols");
	assert_fails("FROM x AS A/b",
		PREFIX "invalid name for build stage: \"A/b\", name can't start with a "
		       "number or contain symbols");
}

static void stages_are_found_by_name(void **state)
{
	AUTO(dockerfile_free)
	struct dockerfile *df =
		parse("FROM x AS Stage0\nFROM x\nFROM x AS b\nFROM x AS stage0\nFROM x AS a\n");

	(void)state; /* facts 94, 95, 104 */
	assert_int_equal(dockerfile_find_stage(df, "stage0", df->nstages), 3);
	assert_int_equal(dockerfile_find_stage(df, "stage0", 3), 0);
	assert_int_equal(dockerfile_find_stage(df, "stage0", 0), -1);
	assert_int_equal(dockerfile_find_stage(df, "Stage0", df->nstages), -1);
	assert_int_equal(dockerfile_find_stage_any_case(df, "STAGE0", df->nstages), 3);
	assert_int_equal(dockerfile_find_stage(df, "a", 4), -1);
	assert_int_equal(dockerfile_find_stage(df, "a", 5), 4);
	assert_int_equal(dockerfile_find_stage(df, "b", 5), 2);
	assert_int_equal(dockerfile_find_stage(df, "", 5), -1);
	assert_int_equal(dockerfile_find_stage(df, "zz", 5), -1);
}

static void excerpts_show_the_lines(void **state)
{
	static const char text[] = "FROM a\nRUN 1\nBAD x\r\nRUN \x1b[31m2\nRUN 3\nRUN 4\nRUN 5\n";
	auto_strbuf out = STRBUF_INIT;

	(void)state;
	dockerfile_excerpt(
		"Dockerfile", text, strlen(text), &(struct dockerfile_location){3, 3}, &out);
	assert_string_equal(out.buf,
		"Dockerfile:3\n--------------------\n"
		"   1 |     FROM a\n   2 |     RUN 1\n   3 | >>> BAD x\n"
		"   4 |     RUN ?[31m2\n   5 |     RUN 3\n--------------------\n");
	strbuf_reset(&out);
	dockerfile_excerpt("d", text, strlen(text), &(struct dockerfile_location){5, 6}, &out);
	assert_string_equal(out.buf,
		"d:5\n--------------------\n   4 |     RUN ?[31m2\n   5 | >>> RUN 3\n"
		"   6 | >>> RUN 4\n   7 |     RUN 5\n--------------------\n");
	strbuf_reset(&out);
	dockerfile_excerpt("d", "BAD", 3, &(struct dockerfile_location){1, 1}, &out);
	assert_string_equal(
		out.buf, "d:1\n--------------------\n   1 | >>> BAD\n--------------------\n");
	strbuf_reset(&out);
	dockerfile_excerpt("d", "BAD", 3, &(struct dockerfile_location){0, 0}, &out);
	dockerfile_excerpt("d", "BAD", 3, &(struct dockerfile_location){9, 9}, &out);
	dockerfile_excerpt("d", NULL, 0, &(struct dockerfile_location){0, 0}, &out);
	assert_string_equal(out.buf, "");
}

static void excerpts_are_bounded(void **state)
{
	auto_strbuf text = STRBUF_INIT, out = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 100000; i++)
		strbuf_puts(&text, "xxxxxxxxxxxxxxxx");
	for (int i = 0; i < 100000; i++)
		strbuf_puts(&text, "\ny");
	dockerfile_excerpt("d", text.buf, text.len, &(struct dockerfile_location){1, 100000}, &out);
	assert_true(out.len < 8192);
	assert_non_null(strstr(out.buf, "...\n"));
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void long_lines_and_many_continuations_are_linear(void **state)
{
	auto_strbuf text = STRBUF_INIT;
	AUTO(dockerfile_free) struct dockerfile *df = NULL;
	double start;

	(void)state;
	strbuf_puts(&text, "FROM a\nRUN ");
	for (int i = 0; i < 100000; i++)
		strbuf_puts(&text, "word word \\\n");
	strbuf_puts(&text, "end\nENV ");
	for (int i = 0; i < 20000; i++)
		strbuf_puts(&text, "key='a value' ");
	start = seconds();
	df = parse(text.buf);
	print_message("# %zu bytes: %.3f s\n", text.len, seconds() - start);
	assert_int_equal(strlen(df->stages[0].instructions[0].args[0]), 100000 * 10 + 3);
	assert_int_equal(df->stages[0].instructions[1].nkeys, 20000);
	/* 0.1 s is the goal; sanitizers and busy machines get more. */
	if (seconds() - start > 2)
		fail_msg("took %.3f s", seconds() - start);
}

static void limits_end_in_clear_errors(void **state)
{
	auto_strbuf text = STRBUF_INIT;
	AUTO(dockerfile_free) struct dockerfile *df = NULL;
	struct dockerfile_location loc;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < DOCKERFILE_STAGES_MAX; i++)
		strbuf_printf(&text, "FROM x AS s%d\n", i);
	df = parse(text.buf);
	assert_int_equal(df->nstages, DOCKERFILE_STAGES_MAX);
	assert_int_equal(dockerfile_find_stage(df, "s9999", df->nstages), 9999);
	strbuf_puts(&text, "FROM y\n");
	assert_null(dockerfile_parse("d", text.buf, text.len, &loc, &err));
	assert_string_equal(err.msg, "the Dockerfile has more than 10000 stages");
	assert_int_equal(loc.first_line, DOCKERFILE_STAGES_MAX + 1);

	strbuf_reset(&text);
	strbuf_puts(&text, "FROM x\nRUN");
	for (int i = 0; i <= RUN_MOUNTS_MAX; i++)
		strbuf_printf(&text, " --mount=target=/%d", i);
	strbuf_puts(&text, " x\n");
	err = (struct err)ERR_INIT;
	assert_null(dockerfile_parse("d", text.buf, text.len, &loc, &err));
	assert_string_equal(err.msg, "dockerfile parse error on line 2: RUN has more than 128 mounts");
	err = (struct err)ERR_INIT;

	strbuf_reset(&text);
	for (int i = 0; i <= DOCKERFILE_INSTRUCTIONS_MAX; i++)
		strbuf_puts(&text, "RUN\n");
	assert_null(dockerfile_parse("d", text.buf, text.len, &loc, &err));
	assert_string_equal(err.msg, "the Dockerfile has more than 100000 instructions");

	strbuf_reset(&text);
	strbuf_puts(&text, "FROM x\nEXPOSE");
	for (int i = 0; i <= GRAMMAR_WORDS_MAX; i++)
		strbuf_puts(&text, " 1");
	assert_null(dockerfile_parse("d", text.buf, text.len, &loc, &err));
	assert_string_equal(err.msg, "an instruction has more than 100000 words");
	assert_int_equal(err.kind, ERR_DOCKERFILE);

	strbuf_reset(&text);
	strbuf_puts(&text, "FROM x\nRUN");
	for (int i = 0; i <= GRAMMAR_FLAGS_MAX; i++)
		strbuf_puts(&text, " --mount=x");
	assert_null(dockerfile_parse("d", text.buf, text.len, &loc, &err));
	assert_string_equal(err.msg, "an instruction has more than 1000 flags");

	strbuf_reset(&text);
	strbuf_puts(&text, "FROM x\nCMD [\"1\"");
	for (int i = 0; i < JSONLIST_STRINGS_MAX; i++)
		strbuf_puts(&text, ",\"1\"");
	strbuf_puts(&text, "]");
	assert_null(dockerfile_parse("d", text.buf, text.len, &loc, &err));
	assert_string_equal(err.msg, "a JSON array has more than 100000 strings");
}

static void hostile_nesting_is_harmless(void **state)
{
	auto_strbuf text = STRBUF_INIT;
	struct dockerfile_location loc;
	struct err err = ERR_INIT;

	(void)state;
	strbuf_puts(&text, "FROM x\n");
	for (int i = 0; i < 500000; i++)
		strbuf_puts(&text, "ONBUILD ");
	assert_null(dockerfile_parse("d", text.buf, text.len, &loc, &err));
	assert_non_null(strstr(err.msg, "Chaining ONBUILD"));

	strbuf_reset(&text);
	strbuf_puts(&text, "FROM x\nCMD ");
	for (int i = 0; i < 500000; i++)
		strbuf_puts(&text, "[");
	dockerfile_free(parse(text.buf)); /* no JSON, so text */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_spec_parse),
		cmocka_unit_test(trailing_backslashes_make_two_instructions),
		cmocka_unit_test(json_falls_back_to_text),
		cmocka_unit_test(empty_commands_are_text),
		cmocka_unit_test(counts_arguments),
		cmocka_unit_test(keys_and_values_are_checked),
		cmocka_unit_test(names_are_case_insensitive),
		cmocka_unit_test(unknown_instructions_get_a_hint),
		cmocka_unit_test(flags_are_checked),
		cmocka_unit_test(flag_words_lose_quotes_and_escapes),
		cmocka_unit_test(from_flags_must_not_expand),
		cmocka_unit_test(healthchecks_are_checked),
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(copies_part_paths_from_heredocs),
		cmocka_unit_test(runs_get_their_script),
		cmocka_unit_test(onbuild_keeps_the_text),
		cmocka_unit_test(triggers_parse_alone),
		cmocka_unit_test(files_need_a_stage),
		cmocka_unit_test(shape_errors_come_before_rule_errors),
		cmocka_unit_test(stages_are_laid_out),
		cmocka_unit_test(stage_names_are_checked),
		cmocka_unit_test(stages_are_found_by_name),
		cmocka_unit_test(excerpts_show_the_lines),
		cmocka_unit_test(excerpts_are_bounded),
		cmocka_unit_test(long_lines_and_many_continuations_are_linear),
		cmocka_unit_test(limits_end_in_clear_errors),
		cmocka_unit_test(hostile_nesting_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
