/*
 * The facts of the specification (section 10) that text alone decides, by number: what a Dockerfile is read as, or the
 * error with the lines it blames. What needs a build is in tests/integration/facts_front.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/auto.h"
#include "base/strbuf.h"
#include "dockerfile/parse.h"

DEFINE_AUTO(struct dockerfile *, dockerfile_free)

/*
 * One line for each instruction behind the FROM of the first stage:
 *   KIND --flag=value "word" "word" | key=value | <<name:content
 * with "json" behind KIND for the JSON form, "blank" for an empty continuation. An error is
 *   E 2-3: message
 */
struct fact {
	int number;
	const char *text, *result;
};

static void show_instruction(const struct instruction *in, struct strbuf *out)
{
	strbuf_puts(out, instruction_kind_name(in->kind));
	if (in->json)
		strbuf_puts(out, " json");
	if (in->empty_continuation)
		strbuf_puts(out, " blank");
	for (size_t i = 0; i < in->nflags; i++)
		strbuf_printf(out, " --%s=%s", in->flags[i].name, in->flags[i].value);
	for (size_t i = 0; i < in->nargs; i++)
		strbuf_printf(out, " \"%s\"", in->args[i]);
	for (size_t i = 0; i < in->nkeys; i++)
		strbuf_printf(out, " %s%s%s", in->keys[i], in->values[i] ? "=" : "", in->values[i] ? in->values[i] : "");
	for (size_t i = 0; i < in->nheredocs && in->kind != INSTRUCTION_RUN && in->kind != INSTRUCTION_ONBUILD; i++)
		strbuf_printf(out, " <<%s%s:%s", in->heredocs[i].name, in->heredocs[i].expand ? "" : "!",
			in->heredocs[i].content);
	if (in->script_name)
		strbuf_printf(out, " script %s", in->script_name);
	strbuf_putc(out, ';');
}

static void show(const char *text, struct strbuf *out)
{
	struct dockerfile_location loc;
	struct err err = ERR_INIT;
	AUTO(dockerfile_free)
	struct dockerfile *df = dockerfile_parse("Dockerfile", text, strlen(text), &loc, &err);

	if (!df) {
		strbuf_printf(out, "E %d-%d: %s", loc.first_line, loc.last_line, err.msg);
		return;
	}
	for (size_t i = 0; i < df->stages[0].ninstructions; i++)
		show_instruction(&df->stages[0].instructions[i], out);
}

static void check(const struct fact *facts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		auto_strbuf got = STRBUF_INIT;

		show(facts[i].text, &got);
		if (strcmp(got.buf, facts[i].result) != 0)
			fail_msg("fact %d:\n%s\ngives  %s\nwanted %s", facts[i].number, facts[i].text, got.buf,
				facts[i].result);
	}
}
#define CHECK(facts) check(facts, sizeof(facts) / sizeof((facts)[0]))

#define F "FROM scratch\n"
#define P "dockerfile parse error on line 2: "
#define NO_DESTINATION                                                                             \
	"COPY requires at least two arguments, but only one was provided. Destination could not be determined"
#define STRINGS_ONLY "when using JSON array syntax, arrays must be comprised of strings only"

static void lexing_and_directives(void **state)
{
	static const struct fact facts[] = {
		{1, "", "E 0-0: the Dockerfile cannot be empty"},
		{1, "# a\n\n  \n# b\n", "E 0-0: file with no instructions"},
		{1, "ARG foo=bar\n", "E 0-0: dockerfile contains no stages to build"},
		{1, "RUN x\nFROM y\n", "E 1-1: no build stage in current context"},
		{2, "FROM scratch\r\nRUN a \\\r\n b\r\nCOPY <<E /x\r\nbody\r\nE\r\nUSER u\r\n",
			"RUN \"a  b\";COPY \"/x\" <<E:body\r\n;USER \"u\";"},
		{3, "\xEF\xBB\xBF" F "RUN a\n", "RUN \"a\";"},
		{3, "\xEF\xBB\xBF# escape=`\n" F "RUN a `\nb\n", "RUN \"a b\";"},
		{4, "# escape=`\n" F "RUN a `\nb\nRUN c \\\n", "RUN \"a b\";RUN \"c \\\";"},
		{5, "# hello\n# escape=`\n" F "RUN a `\n", "RUN \"a `\";"},
		{5, "\n# escape=`\n" F "RUN a `\n", "RUN \"a `\";"},
		{5, "# hello\n# escape=`\n" F "RUN a \\\nb\n", "RUN \"a b\";"},
		{6, "# escape=x\n" F, "E 1-1: invalid escape token 'x' does not match ` or \\"},
		{6, "# escape=\\\\\n" F, "E 1-1: invalid escape token '\\\\' does not match ` or \\"},
		{7, "# escape=`\n# escape=`\n" F, "E 2-2: only one escape parser directive can be used"},
		{7, "# syntax=a\n# SYNTAX=b\n" F, "E 2-2: only one syntax parser directive can be used"},
		{7, "# check=skip=all\n# check=skip=all\n" F, "E 2-2: only one check parser directive can be used"},
		{8, "#   EsCaPe \t=  `  \n" F "RUN a `\nb\n", "RUN \"a b\";"},
		{9, "# syntax=x\n# escape=`\n" F "RUN a `\nb\n", "RUN \"a b\";"},
		{9, "# escape=`\n# syntax=x\n" F "RUN a `\nb\n", "RUN \"a b\";"},
		{10, "# foo=bar\n# escape=`\n" F "RUN a `\n", "RUN \"a `\";"},
		{14, F "RUN a \\\n\nb\n", "RUN blank \"a b\";"},
		{15, F "RUN a \\\n# c \\\n  # d\nb\n", "RUN \"a b\";"},
		{16, F "RUN echo a \\\\\nRUN b\n", "RUN \"echo a \\\\\";RUN \"b\";"},
		{17, F "RUN a\\\n\\\nb\n", "RUN \"ab\";"},
		{18, F "RUN a \\ \t \nb\n", "RUN \"a b\";"},
		{19, F "RUN a \\", "RUN \"a\";"},
		{20, F "RUN a && \\\n    b\n", "RUN \"a &&     b\";"},
		{21, F "  # c\nRUN echo # x\n", "RUN \"echo # x\";"},
		{22, F "cOpY a b\nRun x\nuser y\n", "COPY \"a\" \"b\";RUN \"x\";USER \"y\";"},
		{23, F "FNTRYPOINT [\"a\"]\n",
			"E 2-2: " P "unknown instruction: FNTRYPOINT (did you mean ENTRYPOINT?)"},
		{23, F "foo\n", "E 2-2: " P "unknown instruction: foo (did you mean from?)"},
		{24, F "ENV\n", "E 2-2: " P "ENV requires at least one argument"},
		{24, F "ENV a\n", "E 2-2: ENV must have two arguments"},
		{25, F "ENV a=b c\n",
			"E 2-2: Syntax error - can't find = in \"c\". Must be of the form: name=value"},
		{26, F "ENV =x\n", "E 2-2: " P "ENV names can not be blank"},
		{26, F "LABEL =x\n", "E 2-2: " P "LABEL names can not be blank"},
		{26, F "ARG =x\n", "E 2-2: " P "ARG names can not be blank"},
		{27, F "COPY a\n", "E 2-2: " P NO_DESTINATION},
		{27, F "COPY \t a \t\n", "E 2-2: " P NO_DESTINATION},
		{27, F "COPY \\\n  a \\\n\n", "E 2-4: " P NO_DESTINATION},
		{28, F "MAINTAINER --boo x\n", "E 2-2: " P "unknown flag: --boo"},
		{28, F "ARG --boo X\n", "ARG X;"},
		{29, F "RUN --mont=type=cache x\n", "E 2-2: " P "unknown flag: --mont (did you mean mount?)"},
		{30, F "COPY --link=maybe a b\n",
			"E 2-2: " P "expecting boolean value for flag --link, not: maybe"},
		{30, F "COPY --link=TRUE a b\n", "COPY --link=true \"a\" \"b\";"},
		{30, F "COPY --link= a b\n", "E 2-2: " P "missing a value on flag: --link"},
		{31, F "COPY --chown=1 --chown=2 a b\n", "E 2-2: " P "duplicate flag specified: --chown"},
		{31, F "COPY --exclude=a --exclude=b a b\n", "COPY --exclude=a --exclude=b \"a\" \"b\";"},
		{32, F "RUN -- --mount=x\n", "RUN \"--mount=x\";"},
		{33, F "RUN [\"echo\", \"hi\"]trailing\n", "RUN \"[\"echo\", \"hi\"]trailing\";"},
		{34, F "ENTRYPOINT []random string\n", "ENTRYPOINT \"[]random string\";"},
		{35, F "CMD ['a']\nCMD [\"a\nCMD [\"a\"\n",
			"CMD \"['a']\";CMD \"[\"a\";CMD \"[\"a\"\";"},
		{35, F "CMD [1]\n", "E 2-2: " STRINGS_ONLY},
		{35, F "CMD [\"a\", [\"b\"]]\n", "E 2-2: " STRINGS_ONLY},
		{36, F "SHELL a b\n", "E 2-2: " P "SHELL requires the arguments to be in JSON form"},
		{37, F "CMD [\"\\\"\", \"\\u0041\"]\n", "CMD json \"\"\" \"A\";"},
	};

	(void)state;
	CHECK(facts);
}

static void heredocs(void **state)
{
	static const struct fact facts[] = {
		{38, F "COPY <<EOF f\nbody\nEOF\n", "COPY \"f\" <<EOF:body\n;"},
		{39, F "COPY <<A <<B d/\na\nA\nb\nB\n", "COPY \"d/\" <<A:a\n <<B:b\n;"},
		{40, F "COPY <<X <<Y /d\nY\nX\nX\nY\n", "COPY \"/d\" <<X:Y\n <<Y:X\n;"},
		{41, F "COPY --chmod=777 --chown=u:g <<E f\nE\n", "COPY --chmod=777 --chown=u:g \"f\" <<E:;"},
		{43, F "COPY <<\"A\" <<'B' <<C\"D\" d/\n$x\nA\n\\y\nB\nz\nCD\n",
			"COPY \"d/\" <<A!:$x\n <<B!:\\y\n <<CD!:z\n;"},
		{44, F "COPY <<eo\\'f f\n$x\neo'f\n", "COPY \"f\" <<eo'f:$x\n;"},
		{45, F "COPY <<-E f\n\t\ta\n\t  b\n\tE\n", "COPY \"f\" <<E:a\n  b\n;"},
		{46, F "COPY <<E f\n\tE\n", "E 2-3: unterminated heredoc"},
		{46, F "COPY <<E f\n\tE\nE\n", "COPY \"f\" <<E:\tE\n;"},
		{48, F "RUN \"<<X\"\nRUN [\"<<X\"]\n", "RUN \"\"<<X\"\";RUN json \"<<X\";"},
		{49, F "USER <<X\nX\n", "E 3-3: dockerfile parse error on line 3: unknown instruction: X"},
		{50, F "RUN <<E\na\nb\nE\n", "RUN \"a\nb\n\";"},
		{51, F "SHELL [\"/bin/awk\"]\nRUN <<E\nBEGIN {}\nE\n", "SHELL json \"/bin/awk\";RUN \"BEGIN {}\n\";"},
		{52, F "RUN <<E\n#!/bin/awk -f\nE\n", "RUN \"#!/bin/awk -f\n\" script E;"},
		{52, F "RUN <<-E\n\t#!/bin/awk -f\n\tx\n\tE\n", "RUN \"#!/bin/awk -f\nx\n\" script E;"},
		{53, F "RUN cat <<A | tr a b; cat <<B\n1\nA\n2\nB\n",
			"RUN \"cat <<A | tr a b; cat <<B\n1\nA\n2\nB\";"},
		{54, F "RUN <<E 3<<I 4<<J cmd\ne\nE\ni\nI\nj\nJ\n",
			"RUN \"<<E 3<<I 4<<J cmd\ne\nE\ni\nI\nj\nJ\";"},
		{55, F "RUN <<-E sh > f\n\ta\n\tE\n", "RUN \"<<-E sh > f\n\ta\nE\";"},
		{56, F "RUN <<E\necho ${name}\nE\n", "RUN \"echo ${name}\n\";"},
		{57, F "ONBUILD RUN <<E\na\nE\n", "ONBUILD \"RUN <<E\na\nE\";"},
		{58, F "COPY a <<E\nE\n", "E 2-3: " P "COPY cannot accept a heredoc as a destination"},
		{58, F "ADD a <<E\nE\n", "E 2-3: " P "ADD cannot accept a heredoc as a destination"},
		{59, F "COPY <<E f\n# c\n\n\\\nE\n", "COPY \"f\" <<E:# c\n\n\\\n;"},
		{60, F "\nRUN <<E \\\n x\na\n", "E 3-5: unterminated heredoc"},
	};
	static const struct fact two_words[] = {
		{47, F "RUN cat <<'one two'\na\none\none two\nUSER u\n",
			"RUN \"cat <<'one two'\na\none\none two\";USER \"u\";"},
	};

	(void)state;
	CHECK(facts);
	CHECK(two_words);
}

static void flags_and_values(void **state)
{
	static const struct fact facts[] = {
		{97, "FROM a AS 1abc\n",
			"E 1-1: dockerfile parse error on line 1: invalid name for build stage: \"1abc\", name can't "
			"start with a number or contain symbols"},
		{97, "FROM a AS a/b\n",
			"E 1-1: dockerfile parse error on line 1: invalid name for build stage: \"a/b\", name can't "
			"start with a number or contain symbols"},
		{74, F "COPY --from=$X . .\n",
			"E 2-2: variable expansion is not supported for --from, define a new stage with FROM using "
			"ARG from global scope as a workaround"},
		{221, F "HEALTHCHECK --interval=50ns CMD x\n",
			"E 2-2: " P "Interval \"interval\" cannot be less than 1ms"},
		{221, F "HEALTHCHECK --interval=0ms CMD x\n", "HEALTHCHECK --interval=0ms \"CMD\" \"x\";"},
		{263, F "COPY --chown=\"1:2\" a b\n", "COPY --chown=1:2 \"a\" \"b\";"},
		{263, F "RUN --mount='type=tmpfs,target=/a b' x\n", "RUN --mount=type=tmpfs,target=/a b \"x\";"},
		{273, F "VOLUME [\"\"]\n", "E 2-2: " P "VOLUME specified can not be an empty string"},
		{276, F "CMD []\nENTRYPOINT []\n", "CMD json;ENTRYPOINT json;"},
		{280, F "COPY [\"a b\",\"/c/\"]\n", "COPY json \"a b\" \"/c/\";"},
		{281, F "COPY --chown= f /\n", "COPY --chown= \"f\" \"/\";"},
	};

	(void)state;
	CHECK(facts);
}

/* Every error text of sections 1 and 3 that one instruction can give and that no fact above names. */
static void error_texts(void **state)
{
	static const struct fact errors[] = {
		{0, F "COPY --chown a b\n", "E 2-2: " P "missing a value on flag: --chown"},
		{0, F "WORKDIR\n", "E 2-2: " P "WORKDIR requires exactly one argument"},
		{0, F "USER\n", "E 2-2: " P "USER requires exactly one argument"},
		{0, F "STOPSIGNAL\n", "E 2-2: " P "STOPSIGNAL requires exactly one argument"},
		{0, F "MAINTAINER\n", "E 2-2: " P "MAINTAINER requires exactly one argument"},
		{0, F "LABEL\n", "E 2-2: " P "LABEL requires at least one argument"},
		{0, F "ONBUILD\n", "E 2-2: " P "ONBUILD requires at least one argument"},
		{0, F "HEALTHCHECK\n", "E 2-2: " P "HEALTHCHECK requires at least one argument"},
		{0, F "EXPOSE\n", "E 2-2: " P "EXPOSE requires at least one argument"},
		{0, F "VOLUME\n", "E 2-2: " P "VOLUME requires at least one argument"},
		{0, F "ARG\n", "E 2-2: " P "ARG requires at least one argument"},
		{0, F "SHELL\n", "E 2-2: " P "SHELL requires at least one argument"},
		{0, F "SHELL []\n", "E 2-2: " P "SHELL requires at least one argument"},
		{0, F "RUN []\n", "E 2-2: " P "RUN requires at least one argument"},
		{0, F "LABEL a\n", "E 2-2: LABEL must have two arguments"},
		{0, F "FROM a b\n", "E 2-2: " P "FROM requires either one or three arguments"},
		{0, F "ONBUILD ONBUILD RUN x\n",
			"E 2-2: " P "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"},
		{0, F "ONBUILD FROM x\n", "E 2-2: " P "FROM isn't allowed as an ONBUILD trigger"},
		{0, F "onbuild maintainer x\n", "E 2-2: " P "MAINTAINER isn't allowed as an ONBUILD trigger"},
		{0, F "RUN --network=x y\n", "E 2-2: " P "unsupported network mode \"x\""},
		{0, F "RUN --security=x y\n", "E 2-2: " P "unsupported security mode \"x\""},
		{0, F "HEALTHCHECK NONE x\n", "E 2-2: " P "HEALTHCHECK NONE takes no arguments"},
		{0, F "HEALTHCHECK CMD\n", "E 2-2: " P "Missing command after HEALTHCHECK CMD"},
		{0, F "HEALTHCHECK foo x\n", "E 2-2: " P "Unknown type \"FOO\" in HEALTHCHECK (try CMD)"},
		{0, F "HEALTHCHECK --retries=-1 CMD x\n", "E 2-2: " P "--retries cannot be negative (-1)"},
		{0, F "\\\n\n", "E 2-3: " P "unknown instruction: "},
	};

	(void)state;
	CHECK(errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lexing_and_directives),
		cmocka_unit_test(heredocs),
		cmocka_unit_test(flags_and_values),
		cmocka_unit_test(error_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
