#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dockerfile/lint.h"

/* What is given to one run of the checks. */
struct given {
	const char *ignore, *target;
	struct strv build_args;
	bool needed_only;
};

/* The image "known" has FROM_BASE and a SHELL, and is of another architecture. */
static bool base(void *ctx, const char *name, const struct platform *platform, struct walk_base *ret)
{
	(void)platform;
	if (strcmp(name, "known") != 0)
		return false;
	*ret = (struct walk_base){.env = ctx, .shell = true, .platform = {.os = "linux", .architecture = "arm64"}};
	return true;
}

static void run(const char *text, const struct given *given, struct lint_result *ret)
{
	struct lint_options options = {.ignore = NULL};
	struct dockerfile_location loc = {0, 0};
	struct err err = ERR_INIT;
	struct dockerfile *prefix;
	struct dockerfile *df = dockerfile_parse_prefix("Dockerfile", text, strlen(text), &prefix, &loc, &err);
	struct ignore *ig = given->ignore ? ignore_parse(given->ignore, strlen(given->ignore), &err) : NULL;
	auto_strv env = STRV_INIT;

	strv_add(&env, "FROM_BASE=1");
	options.ignore = ig;
	options.walk.target = given->target;
	options.walk.all_stages = !given->needed_only;
	options.walk.build_args = &given->build_args;
	options.walk.base = base;
	options.walk.base_ctx = &env;
	options.walk.build_platform = options.walk.target_platform =
		(struct platform){.os = "linux", .architecture = "amd64"};
	if (!df && !prefix)
		fail_msg("%s: %s", text, err.msg);
	lint_run(df ? df : prefix, &options, ret);
	ignore_free(ig);
	dockerfile_free(df);
	dockerfile_free(prefix);
}

/* "LINE RULE: MESSAGE" for each finding, then "! LINE MESSAGE" for an error. */
static void show(const struct lint_result *r, struct strbuf *out)
{
	for (size_t i = 0; i < r->n; i++)
		strbuf_printf(out, "%d %s: %s\n", r->v[i].loc.first_line, r->v[i].rule, r->v[i].message);
	if (r->err.kind != ERR_NONE)
		strbuf_printf(out, "! %d %s\n", r->err_loc.first_line, r->err.msg);
}

static void check_given(const char *text, const struct given *given, const char *wanted)
{
	struct lint_result r;
	auto_strbuf got = STRBUF_INIT;

	run(text, given, &r);
	show(&r, &got);
	if (strcmp(got.buf, wanted) != 0)
		fail_msg("\n%s\ngives:\n%swanted:\n%s", text, got.buf, wanted);
	lint_result_release(&r);
}

static void check(const char *text, const char *wanted)
{
	check_given(text, &(const struct given){.ignore = NULL}, wanted);
}

#define S "FROM scratch\n"

static void names_and_spelling(void **state)
{
	(void)state;
	check("FROM scratch AS Ab\n", "1 StageNameCasing: Stage name 'Ab' should be lowercase\n");
	check("FROM scratch AS ab-1_x.y\n", "");
	check("FROM scratch as a\n", "1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match\n");
	check("from scratch AS a\n", "1 FromAsCasing: 'AS' and 'from' keywords' casing do not match\n");
	check("from scratch as a\n", "");
	check("FrOm scratch as a\n", "1 ConsistentInstructionCasing: Command 'FrOm' should match the case of the command "
				     "majority (uppercase)\n");
	check("ARG a\nARG b\nARG c\nfrom scratch\nrun x\nCOPY . .\n",
		"6 ConsistentInstructionCasing: Command 'COPY' should match the case of the command majority "
		"(lowercase)\n");
	check(S "run x\n", "2 ConsistentInstructionCasing: Command 'run' should match the case of the command majority "
			   "(uppercase)\n");
	check("FROM scratch AS a\nFROM scratch AS A\n",
		"2 StageNameCasing: Stage name 'A' should be lowercase\n"
		"2 DuplicateStageName: Duplicate stage name \"a\", stage names should be unique\n");
	check("FROM alpine AS scratch\nFROM alpine AS context\n",
		"1 ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\"\n"
		"2 ReservedStageName: Stage name should not use the same name as reserved stage \"context\"\n");
	check(S "MAINTAINER x\n",
		"2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label\n");
	check(S "RUN a \\\n\n  b \\\n c\n", "5 NoEmptyContinuation: Empty continuation line\n");
	check(S "RUN a \\\n# c\n  b\n", "");
}

static void from(void **state)
{
	struct given args = {.ignore = NULL};

	(void)state;
	check("ARG image=alpine\nFROM $imgae:x\n",
		"2 UndefinedArgInFrom: FROM argument 'imgae' is not declared (did you mean image?)\n"
		"2 InvalidDefaultArgInFrom: Default value for ARG $imgae:x results in empty or invalid base image "
		"name\n! 2 failed to parse stage name \":x\": malformed image name ':x': nothing before the tag or digest\n");
	check("ARG tag\nFROM alpine$tag\n", "");
	check("FROM --platform=$BUILDPLATFORM alpine\n", "");
	check("FROM ${x:-alpine}\n", "");
	check("FROM --platform=$TARGETPLATFORM alpine\nFROM --platform=${TARGETPLATFORM} alpine\n",
		"1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this "
		"is the default behavior\n"
		"2 RedundantTargetPlatform: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as "
		"this is the default behavior\n");
	check("FROM --platform=linux/arm64 alpine AS x\n",
		"1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "
		"\"linux/arm64\"\n");
	check("FROM --platform=linux/arm64 alpine AS build-arm64\nFROM --platform=linux/arm64 alpine AS linux-x\n", "");
	check("ARG p=linux/arm64\nFROM --platform=$p alpine\n", "");
	check("ARG t\nFROM busybox:$t\n",
		"2 InvalidDefaultArgInFrom: Default value for ARG busybox:$t results in empty or invalid base image "
		"name\n! 2 failed to parse stage name \"busybox:\": malformed image name 'busybox:': '' is no tag\n");
	strv_add(&args.build_args, "t=1");
	check_given("ARG t\nFROM busybox:$t\n", &args,
		"2 InvalidDefaultArgInFrom: Default value for ARG busybox:$t results in empty or invalid base image "
		"name\n");
	strv_release(&args.build_args);
	check("FROM known\n", "1 InvalidBaseImagePlatform: Base image known was pulled with platform \"linux/arm64\", "
			      "expected \"linux/amd64\" for current build\n");
	check("FROM --platform=$TARGETOS/arm64 known\n", "");
}

static void commands(void **state)
{
	(void)state;
	check(S "CMD a\nENTRYPOINT b\n",
		"2 JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS "
		"signals\n"
		"3 JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior "
		"related to OS signals\n");
	check(S "SHELL [\"a\"]\nCMD a\n", "");
	check("FROM scratch AS a\nSHELL [\"a\"]\nFROM a\nCMD a\n", "");
	check(S "CMD [\"a\"]\nCMD [\"b\"]\nCMD [\"c\"]\n",
		"2 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage "
		"because only the last one will be used\n"
		"3 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage "
		"because only the last one will be used\n");
	check(S "HEALTHCHECK NONE\nHEALTHCHECK CMD x\n",
		"2 MultipleInstructionsDisallowed: Multiple HEALTHCHECK instructions should not be used in the same "
		"stage because only the last one will be used\n");
	check("FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]\n", "");
	check(S "WORKDIR a\nWORKDIR b\n", "2 WorkdirRelativePath: Relative workdir \"a\" can have unexpected results if "
					  "the base image changes\n");
	check("FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b\n", "");
	check(S "ENV d=/x\nWORKDIR $d\n", "");
	check(S "ENV a b\nLABEL c d\n",
		"2 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format\n"
		"3 LegacyKeyValueFormat: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" "
		"format\n");
	check(S "EXPOSE 80/TCP 81/tcp 1.2.3.4:80:80 8080:80 [::1]::90\n",
		"2 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase\n"
		"2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found "
		"'1.2.3.4:80:80'\n"
		"2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found "
		"'8080:80'\n"
		"2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found "
		"'[::1]::90'\n");
	check(S "ARG ports=\"1/UDP 2\"\nEXPOSE $ports\n",
		"3 ExposeProtoCasing: Defined protocol '1/UDP' in EXPOSE instruction should be lowercase\n");
}

static void variables(void **state)
{
	struct given args = {.ignore = NULL};

	(void)state;
	check(S "ARG declared\nENV x=$declared y=$x z=$undefined\n",
		"3 UndefinedVar: Usage of undefined variable '$undefined'\n"
		"3 UndefinedVar: Usage of undefined variable '$x'\n");
	check(S "ENV VERSION=1\nCOPY a$VERISON /\n",
		"3 UndefinedVar: Usage of undefined variable '$VERISON' (did you mean $VERSION?)\n");
	check(S "ENV p=$PATH q=${n:-x} r=${n+x}\nRUN echo $nothing\nCMD [\"$nothing\"]\n", "");
	check("FROM known AS k\n# check=skip=all\nENV a=$FROM_BASE b=$nothing\n",
		"1 InvalidBaseImagePlatform: Base image known was pulled with platform \"linux/arm64\", expected "
		"\"linux/amd64\" for current build\n");
	check("FROM --platform=linux/arm64 known AS arm64\nENV a=$FROM_BASE b=$nothing\nCMD x\n",
		"2 UndefinedVar: Usage of undefined variable '$nothing'\n");
	/* of an image that is not known here, only slips of the pen */
	check("FROM golang\nARG NAME TARGET\nCOPY $GOPATH $HOME /\nCOPY $TRAGET /\n",
		"4 UndefinedVar: Usage of undefined variable '$TRAGET' (did you mean $TARGET?)\n");
	check(S "COPY <<A <<\"B\" /\n$u\nA\n$v\nB\nRUN --mount=type=$t,from=alpine,target=/x true\nUSER $w\n",
		"2 UndefinedVar: Usage of undefined variable '$u'\n"
		"7 UndefinedVar: Usage of undefined variable '$t'\n"
		"8 UndefinedVar: Usage of undefined variable '$w'\n");
	check(S "ARG a=$b\n", "2 UndefinedVar: Usage of undefined variable '$b'\n");
	strv_add(&args.build_args, "a=1");
	check_given(S "ARG a=$b\n", &args, "");
	strv_release(&args.build_args);
	check("FROM scratch AS p\nONBUILD ENV a=$oops b=1\nFROM p\nENV c=$b\n",
		"3 UndefinedVar: Usage of undefined variable '$oops'\n");
	/* siblings do not see each other's variables */
	check("FROM scratch AS p\nARG x=1\nFROM p AS q\nARG long_y=1\nFROM p AS r\nENV z=$x w=$long_y\n",
		"6 UndefinedVar: Usage of undefined variable '$long_y'\n");
	check(S "ARG MY_TOKEN public_key=1 TOKENS\nENV x_Password_y=1 KEY_FILE=x apikey=2\n",
		"2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"MY_TOKEN\")\n"
		"3 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"apikey\")\n"
		"3 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"x_Password_y\")\n");
	check("ARG PASSWORD\n" S, "");
}

static void files(void **state)
{
	const struct given f = {.ignore = "f\nd/**\n"}, all = {.ignore = "**\n"}, but = {.ignore = "*\n!f\n"};

	(void)state;
	check_given(S "COPY f ./f /x/../f d/e other /t/\nADD f https://h/f /\n", &f,
		"2 CopyIgnoredFile: Attempting to Copy file \"./f\" that is excluded by .dockerignore\n"
		"2 CopyIgnoredFile: Attempting to Copy file \"/x/../f\" that is excluded by .dockerignore\n"
		"2 CopyIgnoredFile: Attempting to Copy file \"d/e\" that is excluded by .dockerignore\n"
		"2 CopyIgnoredFile: Attempting to Copy file \"f\" that is excluded by .dockerignore\n"
		"3 CopyIgnoredFile: Attempting to Add file \"f\" that is excluded by .dockerignore\n");
	check_given(S "COPY . /\n", &f, "");
	check_given(S "COPY . /\n", &all,
		"2 CopyIgnoredFile: Attempting to Copy file \".\" that is excluded by .dockerignore\n");
	check_given(S "COPY f /\nCOPY . /\n", &but, "");
	check_given("FROM scratch AS a\n" S "COPY --from=a f /\n", &f, "");
	check(S "COPY f /\n", "");
}

static void comments_configure(void **state)
{
	struct given args = {.ignore = NULL};

	(void)state;
	check("# check=skip=all\nFROM scratch AS A\n", "");
	check("# check=skip= StageNameCasing , Other ; error = true\nFROM scratch as A\n",
		"2 FromAsCasing: 'as' and 'FROM' keywords' casing do not match\n");
	check("# check=bogus=1\n" S,
		"! 1 failed to parse check options: invalid check option \"bogus=1\" (skip, error or experimental)\n");
	check("# check=skip\n" S,
		"! 1 failed to parse check options: invalid check option \"skip\" (skip, error or experimental)\n");
	check("# check=error=maybe\n" S, "! 1 failed to parse check options: failed to parse check option "
					 "\"error=maybe\": it is true or false\n");
	strv_add(&args.build_args, "BUILDKIT_DOCKERFILE_CHECK=error=x");
	check_given("# check=skip=all\n" S, &args,
		"! 0 failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: failed to parse check option \"error=x\": it "
		"is true or false\n");
	strv_release(&args.build_args);
	strv_add(&args.build_args, "BUILDKIT_DOCKERFILE_CHECK=");
	check_given("# check=skip=all\nFROM scratch AS A\n", &args,
		"2 StageNameCasing: Stage name 'A' should be lowercase\n");
	strv_release(&args.build_args);

	check(S "# check=skip=LegacyKeyValueFormat because\nENV a b\nENV a b\n",
		"4 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format\n");
	check(S "# check=skip=A\n# check=skip=all\nENV a b\n",
		"4 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format\n");
	check(S "# check=oops\nENV a b\n",
		"3 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format\n");
}

static void experimental_rules_are_off(void **state)
{
	static const char body[] = "# nothing\nARG a\n# either\nARG b c\n# x fine\nARG x\n#\nARG y\n"
				   "# comment\nFROM scratch AS z\n# other\nFROM scratch\n";
	static const char wanted[] =
		"3 InvalidDefinitionDescription: Comment for ARG should follow the format: `# a <description>`\n"
		"5 InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> "
		"<description>`\n"
		"11 InvalidDefinitionDescription: Comment for FROM should follow the format: `# z <description>`\n";
	auto_strbuf text = STRBUF_INIT;

	(void)state;
	check(body, "");
	strbuf_printf(&text, "# check=experimental=InvalidDefinitionDescription\n%s", body);
	check(text.buf, wanted);
	strbuf_reset(&text);
	strbuf_printf(&text, "# check=skip=all;experimental=all\n%s", body);
	check(text.buf, wanted); /* "all" does not mean these */
}

static void needed_stages_alone(void **state)
{
	const struct given last = {.needed_only = true}, first = {.needed_only = true, .target = "A"};
	const struct given none = {.target = "aa"};
	static const char text[] = "FROM scratch AS a\nENV x y\nFROM scratch AS b\nENV x y\nFROM scratch\n"
				   "COPY --from=b f /\n";
	static const char at[] = "%d LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key "
				 "value\" format\n";
	auto_strbuf wanted = STRBUF_INIT;

	(void)state;
	strbuf_printf(&wanted, at, 4);
	check_given(text, &last, wanted.buf);
	strbuf_reset(&wanted);
	strbuf_printf(&wanted, at, 2);
	check_given(text, &first, wanted.buf);
	strbuf_printf(&wanted, at, 4);
	strbuf_puts(&wanted, "! 0 target stage \"aa\" could not be found (did you mean a?)\n");
	check_given(text, &none, wanted.buf);
}

static void errors_are_found_too(void **state)
{
	(void)state;
	check("FROM scratch AS A\nBOGUS\n", "1 StageNameCasing: Stage name 'A' should be lowercase\n");
	check("FROM $nothing\n", "1 UndefinedArgInFrom: FROM argument 'nothing' is not declared\n"
				 "1 InvalidDefaultArgInFrom: Default value for ARG $nothing results in empty or invalid "
				 "base image name\n! 1 base name ($nothing) should not be blank\n");
	check("FROM Scratch\n", "! 1 failed to parse stage name \"Scratch\": malformed image name 'Scratch': the "
				"repository name must be lower case\n");
	check("FROM --platform=$BULIDPLATFORM scratch\n",
		"1 UndefinedArgInFrom: FROM argument 'BULIDPLATFORM' is not declared (did you mean BUILDPLATFORM?)\n"
		"! 1 empty platform value from expression $BULIDPLATFORM (did you mean BUILDPLATFORM?)\n");
	check("ARG a=${b:?why}\n" S, "! 1 failed to process \"${b:?why}\": b: why\n");
	check(S "USER a'\n", "! 2 failed to process \"a'\": unexpected end of statement while looking for matching "
			     "single-quote\n");
	check(S "COPY --from=9 a b\n", "! 2 invalid stage index 9\n");
	check(S "COPY --from=-1 a b\n", "! 2 invalid stage index -1\n");
	check("FROM scratch AS a\nCOPY --from=b x y\nFROM scratch AS b\n",
		"! 2 cannot copy from stage \"b\", it needs to be defined before current stage \"a\"\n");
	check("FROM scratch AS a\nRUN --mount=from=b,target=/m x\nFROM scratch AS b\n",
		"! 2 cannot mount from stage \"b\" to \"/m\", stage needs to be defined before current command\n");
	check("FROM scratch AS a\nCOPY --from=b x y\nFROM scratch AS b\nRUN --mount=from=A,target=/x y\n",
		"! 4 circular dependency detected on stage: a\n");
}

static void the_gate(void **state)
{
	const struct given none = {.ignore = NULL};
	struct err err = ERR_INIT;
	struct lint_result r;

	(void)state;
	run("FROM scratch as A\nENV a b\n", &none, &r);
	assert_int_equal(lint_gate(&r, &err), 0);
	assert_string_equal(r.v[0].url, "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/");
	lint_result_release(&r);
	run("# check=error=true\nFROM scratch as A\nENV a b\nENV a b\n", &none, &r);
	assert_int_equal(lint_gate(&r, &err), -1);
	assert_int_equal(err.kind, ERR_GATE);
	assert_string_equal(
		err.msg, "lint violation found for rules: StageNameCasing, FromAsCasing, LegacyKeyValueFormat");
	lint_result_release(&r);
	run("FROM known\nCMD [\"x\"]\n", &none, &r);
	assert_null(r.v[0].url);
	lint_result_release(&r);
	run(S "CMD x\n", &none, &r);
	assert_string_equal(r.v[0].url, "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
	lint_result_release(&r);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Run text, which must be over in two seconds even under a sanitizer's eyes on a busy machine: about 0.1 alone. */
static void check_quick(const char *text, struct lint_result *r)
{
	const struct given none = {.ignore = NULL};
	double start = seconds();

	run(text, &none, r);
	if (seconds() - start > 10)
		fail_msg("%.40s...: %.1f s", text, seconds() - start);
}

static void limits(void **state)
{
	auto_strbuf text = STRBUF_INIT;
	struct lint_result r;

	(void)state;
	/* findings, and the searches for what was meant */
	strbuf_puts(&text, S);
	for (int i = 0; i < 20000; i++)
		strbuf_printf(&text, "ENV v%d=$undefined%d\n", i, i);
	check_quick(text.buf, &r);
	assert_int_equal(r.n, LINT_FINDINGS_MAX);
	assert_int_equal(r.dropped, 20000 - LINT_FINDINGS_MAX);
	lint_result_release(&r);

	/* a chain of references, through as many stages */
	strbuf_reset(&text);
	strbuf_puts(&text, "FROM scratch AS s0\nARG a0=x\n");
	for (int i = 1; i < 10000; i++)
		strbuf_printf(&text, "FROM s%d AS s%d\nARG a%d=$a%d\n", i - 1, i, i, i - 1);
	check_quick(text.buf, &r);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.err.kind, ERR_NONE);
	lint_result_release(&r);

	/* values that double */
	strbuf_reset(&text);
	strbuf_puts(&text, S "ARG a0=xxxxxxxx\n");
	for (int i = 1; i < 40; i++)
		strbuf_printf(&text, "ARG a%d=$a%d$a%d\n", i, i - 1, i - 1);
	check_quick(text.buf, &r);
	assert_string_equal(r.err.msg, "variables take more than 8 MiB");
	lint_result_release(&r);

	/* triggers that multiply */
	strbuf_reset(&text);
	strbuf_puts(&text, "FROM scratch AS a\n");
	for (int i = 0; i < 5000; i++)
		strbuf_puts(&text, "ONBUILD USER x\n");
	for (int i = 0; i < 5000; i++)
		strbuf_puts(&text, "FROM a\n");
	check_quick(text.buf, &r);
	assert_string_equal(r.err.msg, "more than 10000 ONBUILD triggers fire");
	lint_result_release(&r);

	/* patterns that go back and forth, in every line */
	strbuf_reset(&text);
	strbuf_puts(&text, S "ENV a=");
	for (int i = 0; i < 5000; i++)
		strbuf_puts(&text, "ab");
	strbuf_puts(&text, "\n");
	for (int i = 0; i < 500; i++)
		strbuf_puts(&text, "USER ${a//b?a*a?*b*c/x}\n");
	check_quick(text.buf, &r);
	lint_result_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_spelling),
		cmocka_unit_test(from),
		cmocka_unit_test(commands),
		cmocka_unit_test(variables),
		cmocka_unit_test(files),
		cmocka_unit_test(comments_configure),
		cmocka_unit_test(experimental_rules_are_off),
		cmocka_unit_test(needed_stages_alone),
		cmocka_unit_test(errors_are_found_too),
		cmocka_unit_test(the_gate),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
