/* Dockerfiles on FROM scratch to graphs and configs: nothing runs, nothing is fetched. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/plan.h"

static char root[] = "/tmp/whittle-plan-XXXXXX";
static struct session session;
static struct context context = CONTEXT_INIT;

static int setup(void **state)
{
	auto_free char *store = NULL;
	struct session_options o = { .isolation = ISOLATION_SINGLE };
	struct err err = ERR_INIT;

	(void)state;
	if (!mkdtemp(root))
		return -1;
	store = xasprintf("%s/store", root);
	o.root = store;
	context.fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return session_open(&session, &o, &err);
}

static int teardown(void **state)
{
	(void)state;
	session_close(&session);
	close_fd(context.fd);
	return remove_tree(AT_FDCWD, root);
}

struct result {
	struct plan plan;
	struct dockerfile *df;
	struct dockerfile_location location;
	struct build_options options;
	struct err err;
	int rc;
};

static void begin(struct result *r)
{
	memset(r, 0, sizeof(*r));
	build_options_init(&r->options);
	r->options.epoch = 1700000000;
}

static void make(struct result *r, const char *text)
{
	r->df = dockerfile_parse("Dockerfile", text, strlen(text), &r->location, &r->err);
	r->rc = r->df ? plan_make(&session, &r->options, &context, r->df, &r->plan, &r->location, &r->err) : -1;
}

static void end(struct result *r)
{
	plan_release(&session, &r->plan);
	dockerfile_free(r->df);
	build_options_release(&r->options);
}

static char *config_of(const char *text)
{
	struct result r;
	auto_strbuf json = STRBUF_INIT;

	begin(&r);
	make(&r, text);
	if (r.rc < 0)
		fail_msg("%s", r.err.msg);
	config_format(&r.plan.targets[0].config, &json);
	end(&r);
	return strbuf_take(&json);
}

static void has(const char *text, const char *piece)
{
	auto_free char *json = config_of(text);

	if (!strstr(json, piece))
		fail_msg("no %s in %s", piece, json);
}

static void has_not(const char *text, const char *piece)
{
	auto_free char *json = config_of(text);

	if (strstr(json, piece))
		fail_msg("%s in %s", piece, json);
}

static void refused(const char *text, int line, const char *message)
{
	struct result r;

	begin(&r);
	make(&r, text);
	assert_int_equal(r.rc, -1);
	assert_int_equal(r.err.kind, ERR_DOCKERFILE);
	assert_string_equal(r.err.msg, message);
	assert_int_equal(r.location.first_line, line);
	end(&r);
}

static void env_and_arg(void **state)
{
	(void)state;
	has("FROM scratch\nENV a=1 b=$a\n", "\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
					     "/bin\",\"a=1\",\"b=\"]");
	has("FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\n", "\"abc=bye\",\"def=hello\"");
	has("FROM scratch\nARG v=1\nENV w=${v}x\n", "\"w=1x\"");
	has_not("FROM scratch\nARG secret=1\n", "\"secret=1\"]");
	/* The later of ARG and ENV wins for words, the config keeps ENV alone. */
	has("FROM scratch\nENV a=env\nARG a=arg\nLABEL l=$a\n", "\"Labels\":{\"l\":\"arg\"}");
	has("FROM scratch\nARG a=arg\nENV a=env\nLABEL l=$a\n", "\"Labels\":{\"l\":\"env\"}");
}

static void the_global_scope(void **state)
{
	(void)state;
	has("ARG g=7\nFROM scratch\nARG g\nLABEL l=$g\n", "\"l\":\"7\"");
	has("ARG g=7\nFROM scratch\nLABEL l=x$g\n", "\"l\":\"x\"");
	has("ARG g=7\nFROM scratch\nARG g=8\nLABEL l=$g\n", "\"l\":\"8\"");
	has("ARG b=scratch\nFROM ${b}\nLABEL l=ok\n", "\"l\":\"ok\"");
	has("FROM scratch\nARG TARGETOS\nLABEL l=$TARGETOS\n", "\"l\":\"linux\"");
	has("FROM scratch\nLABEL l=x$TARGETOS\n", "\"l\":\"x\"");
}

static void build_arguments_win(void **state)
{
	struct result r;
	auto_strbuf json = STRBUF_INIT;

	(void)state;
	begin(&r);
	strv_env_set(&r.options.build_args, "v", "given");
	strv_env_set(&r.options.build_args, "undeclared", "x");
	make(&r, "FROM scratch\nARG v=${broken?no}\nLABEL l=$v m=$undeclared\n");
	assert_int_equal(r.rc, 0);
	config_format(&r.plan.targets[0].config, &json);
	assert_non_null(strstr(json.buf, "\"l\":\"given\",\"m\":\"\""));
	end(&r);
}

/* 6.6, the truth table; fact 276 */
static void entrypoint_and_cmd(void **state)
{
	(void)state;
	has("FROM scratch\nCMD [\"y\"]\n", "\"Cmd\":[\"y\"]");
	has_not("FROM scratch AS a\nCMD [\"x\"]\nFROM a\nENTRYPOINT [\"e\"]\n", "\"Cmd\":");
	has("FROM scratch AS a\nCMD [\"x\"]\nFROM a\nENTRYPOINT [\"e\"]\n", "\"Entrypoint\":[\"e\"]");
	has("FROM scratch\nCMD [\"y\"]\nENTRYPOINT [\"e\"]\n", "\"Entrypoint\":[\"e\"],\"Cmd\":[\"y\"]");
	has("FROM scratch\nENTRYPOINT [\"e\"]\nCMD [\"y\"]\n", "\"Entrypoint\":[\"e\"],\"Cmd\":[\"y\"]");
	has_not("FROM scratch AS a\nCMD [\"x\"]\nFROM a\nENTRYPOINT []\n", "\"Cmd\":");
	has("FROM scratch\nCMD echo hi\n", "\"Cmd\":[\"/bin/sh\",\"-c\",\"echo hi\"]");
	has("FROM scratch\nSHELL [\"/bin/ash\",\"-ec\"]\nCMD echo hi\n", "\"Cmd\":[\"/bin/ash\",\"-ec\",\"echo hi\"]");
}

static void other_fields(void **state)
{
	(void)state;
	has("FROM scratch\nEXPOSE 80 443/udp 9000-9001\n",
		"\"ExposedPorts\":{\"443/udp\":{},\"80/tcp\":{},\"9000/tcp\":{},\"9001/tcp\":{}}");
	has("FROM scratch\nVOLUME /data /a\n", "\"Volumes\":{\"/a\":{},\"/data\":{}}");
	has("FROM scratch\nUSER app:staff\n", "\"User\":\"app:staff\"");
	has("FROM scratch\nSTOPSIGNAL SIGQUIT\n", "\"StopSignal\":\"SIGQUIT\"");
	has("FROM scratch\nMAINTAINER me\n", "\"author\":\"me\"");
	has("FROM scratch\nLABEL a=1\nLABEL b=2 a=3\n", "\"Labels\":{\"a\":\"3\",\"b\":\"2\"}");
	has("FROM scratch\nHEALTHCHECK --interval=2s --retries=3 CMD true\n",
		"\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"true\"],\"Interval\":2000000000,\"Retries\":3}");
	has("FROM scratch\nONBUILD RUN x\n", "\"OnBuild\":[\"RUN x\"]");
	has("FROM scratch\nWORKDIR /a\nWORKDIR b\n", "\"WorkingDir\":\"/a/b\"");
}

static void triggers_fire_once(void **state)
{
	struct result r;

	(void)state;
	/* facts 224 and 225: in stages built from it, and not in those built from these */
	has("FROM scratch AS a\nONBUILD LABEL fired=1\nFROM a\n", "\"Labels\":{\"fired\":\"1\"}");
	has_not("FROM scratch AS a\nONBUILD LABEL fired=1\nFROM a\n", "\"OnBuild\"");
	has("FROM scratch AS a\nONBUILD ENV n=x$n\nFROM a AS b\nFROM b\nLABEL l=$n\n", "\"l\":\"x\"");
	/* before the stage's own, in order, with its arguments */
	has("FROM scratch AS a\nONBUILD ENV n=${n}1\nONBUILD ENV n=${n}2\nFROM a\nENV n=${n}3\n", "\"n=123\"");
	has("ARG g=7\nFROM scratch AS a\nONBUILD ARG g\nFROM a\nLABEL l=$g\n", "\"l\":\"7\"");
	/* fact 226: a trigger names stages of the file that it fires in */
	begin(&r);
	make(&r, "FROM scratch AS x\nRUN x\nFROM scratch AS a\nONBUILD COPY --from=x /f /f\n"
		 "ONBUILD RUN --mount=from=x,target=/m y\nFROM a\nRUN z\n");
	assert_int_equal(r.rc, 0);
	assert_string_equal(r.plan.last->name, "[stage-2 3/3] RUN z");
	assert_string_equal(r.plan.last->base->name, "[stage-2 2/3] ONBUILD RUN --mount=from=x,target=/m y");
	assert_string_equal(r.plan.last->base->base->name, "[stage-2 1/3] ONBUILD COPY --from=x /f /f");
	assert_int_equal(r.plan.last->base->location.first_line, 6);
	end(&r);
	refused("FROM scratch AS a\nONBUILD WRONG x\nFROM a\n", 3,
		"ONBUILD trigger 'WRONG x': unknown instruction: WRONG");
	refused("FROM scratch\nONBUILD ONBUILD RUN x\n", 2,
		"dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	refused("FROM scratch\nONBUILD FROM x\n", 2,
		"dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger");
	refused("FROM scratch\nONBUILD MAINTAINER x\n", 2,
		"dockerfile parse error on line 2: MAINTAINER isn't allowed as an ONBUILD trigger");
}

static void health_checks(void **state)
{
	struct result r;

	(void)state;
	begin(&r);
	make(&r, "FROM scratch\nHEALTHCHECK CMD x\n"
		 "HEALTHCHECK --interval=1s --timeout=10m0.5s --start-period=1h --start-interval=250ms --retries=+3 "
		 "cmd [\"a\", \"b c\"]\n");
	assert_int_equal(r.rc, 0);
	assert_string_equal(r.plan.targets[0].config.history[0].created_by,
		"HEALTHCHECK {Test:[CMD-SHELL x] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}");
	assert_string_equal(r.plan.targets[0].config.history[1].created_by,
		"HEALTHCHECK {Test:[CMD a b c] Interval:1s Timeout:10m0.5s StartPeriod:1h0m0s StartInterval:250ms "
		"Retries:3}");
	end(&r);
	has("FROM scratch\nHEALTHCHECK --start-interval=5s --start-period=1m CMD [\"a\"]\n",
		"\"Healthcheck\":{\"Test\":[\"CMD\",\"a\"],\"StartPeriod\":60000000000,\"StartInterval\":5000000000}");
	has("FROM scratch\nHEALTHCHECK CMD x\nHEALTHCHECK NONE\n", "\"Healthcheck\":{\"Test\":[\"NONE\"]}");
	refused("FROM scratch\nHEALTHCHECK NONE x\n", 2,
		"dockerfile parse error on line 2: HEALTHCHECK NONE takes no arguments");
	refused("FROM scratch\nHEALTHCHECK --interval=50ns CMD x\n", 2,
		"dockerfile parse error on line 2: Interval \"interval\" cannot be less than 1ms");
	refused("FROM scratch\nHEALTHCHECK --retries=-1 CMD x\n", 2,
		"dockerfile parse error on line 2: --retries cannot be negative (-1)");
	refused("FROM scratch\nHEALTHCHECK RUN x\n", 2,
		"dockerfile parse error on line 2: Unknown type \"RUN\" in HEALTHCHECK (try CMD)");
}

static unsigned count_ops(const struct plan *plan)
{
	unsigned n = 0;

	for (const struct op *op = plan->first; op; op = op->next)
		n++;
	return n;
}

static void stages_that_nobody_needs_are_not_planned(void **state)
{
	struct result r;

	(void)state;
	begin(&r);
	make(&r, "FROM scratch AS a\nRUN a\nFROM scratch AS b\nRUN b\nFROM scratch AS c\nRUN c\n");
	assert_int_equal(r.rc, 0);
	assert_int_equal(count_ops(&r.plan), 1);
	end(&r);
	begin(&r);
	r.options.target = "B";
	make(&r, "FROM scratch AS a\nRUN a\nFROM a AS b\nRUN b\nFROM scratch AS c\nRUN c\n");
	assert_int_equal(r.rc, 0);
	assert_int_equal(count_ops(&r.plan), 2);
	end(&r);
}

static void equal_steps_of_two_platforms_are_one(void **state)
{
	static const char text[] = "FROM --platform=$BUILDPLATFORM scratch AS build\nRUN same\n"
				   "FROM scratch\nRUN other\nCOPY --from=build /x /x\n";
	struct result r;

	(void)state;
	begin(&r);
	r.options.nplatforms = 2;
	r.options.platforms = xcalloc(2, sizeof(*r.options.platforms));
	snprintf(r.options.platforms[0].os, 8, "linux");
	snprintf(r.options.platforms[0].architecture, 8, "arm64");
	r.options.platforms[1] = r.options.platforms[0];
	snprintf(r.options.platforms[1].architecture, 8, "s390x");
	make(&r, text);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.plan.ntargets, 2);
	assert_int_equal(count_ops(&r.plan), 1 + 2 + 2);
	end(&r);
}

static struct op *only_op(struct result *r, const char *text)
{
	begin(r);
	make(r, text);
	assert_int_equal(r->rc, 0);
	return r->plan.last;
}

/* 8.3: what counts for a RUN and what does not */
static void keys(void **state)
{
	static const char base[] = "FROM scratch\nRUN x\n";
	static const char *const same[] = { "# comment\nFROM scratch\nRUN x\n", "FROM scratch\nLABEL a=b\nRUN x\n",
		"FROM scratch\nCMD y\nRUN   x\n", "FROM scratch AS named\nEXPOSE 80\nrun x\n" };
	static const char *const other[] = { "FROM scratch\nRUN y\n", "FROM scratch\nENV a=b\nRUN x\n",
		"FROM scratch\nARG unused=1\nRUN x\n", "FROM scratch\nUSER 7\nRUN x\n",
		"FROM scratch\nSHELL [\"/s\"]\nRUN x\n", "FROM scratch\nRUN --network=none x\n",
		"FROM scratch\nRUN before\nRUN x\n", "FROM scratch\nRUN [\"x\"]\n",
		"FROM scratch\nRUN --mount=type=tmpfs,target=/t x\n", "FROM scratch\nRUN --mount=target=/t x\n" };
	static const char *const mounted[][2] = {
		/* what is not part of a key */
		{ "FROM scratch\nRUN --mount=type=cache,target=/c,id=a x\n",
			"FROM scratch\nRUN --mount=type=cache,target=/c,id=b,sharing=locked x\n" },
		{ "FROM scratch\nRUN --mount=type=secret,id=a x\n", "FROM scratch\nRUN --mount=type=secret,source=a x\n" },
	};
	struct result a, b;
	const struct op *first = only_op(&a, base);

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		if (memcmp(first->key, only_op(&b, same[i])->key, DIGEST_SIZE) != 0)
			fail_msg("another key for: %s", same[i]);
		end(&b);
	}
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		if (memcmp(first->key, only_op(&b, other[i])->key, DIGEST_SIZE) == 0)
			fail_msg("the same key for: %s", other[i]);
		end(&b);
	}
	end(&a);
	for (size_t i = 0; i < sizeof(mounted) / sizeof(mounted[0]); i++) {
		first = only_op(&a, mounted[i][0]);
		if (memcmp(first->key, only_op(&b, mounted[i][1])->key, DIGEST_SIZE) != 0)
			fail_msg("another key for: %s", mounted[i][1]);
		end(&a);
		end(&b);
	}
}

static void proxies_reach_the_step_and_no_key(void **state)
{
	struct result a, b;
	const struct op *plain = only_op(&a, "FROM scratch\nRUN x\n"), *op;

	(void)state;
	begin(&b);
	strv_env_set(&b.options.build_args, "http_proxy", "http://p:1");
	make(&b, "FROM scratch\nRUN x\n");
	op = b.plan.last;
	assert_memory_equal(plain->key, op->key, DIGEST_SIZE);
	assert_string_equal(strv_env_get(&op->step.env, "HTTP_PROXY"), "http://p:1");
	assert_string_equal(strv_env_get(&op->step.env, "http_proxy"), "http://p:1");
	assert_null(strstr(b.plan.targets[0].config.history[0].created_by, "http"));
	end(&a);
	end(&b);
}

static void histories(void **state)
{
	struct result r;
	const struct image_config *c;

	(void)state;
	begin(&r);
	make(&r, "FROM scratch\nARG A=1\nENV B=2\nRUN echo hi\nWORKDIR /w\nCMD [\"a\",\"b c\"]\n");
	assert_int_equal(r.rc, 0);
	c = &r.plan.targets[0].config;
	assert_int_equal(c->nhistory, 5);
	assert_string_equal(c->history[0].created_by, "ARG A=1");
	assert_true(c->history[0].empty_layer);
	assert_string_equal(c->history[1].created_by, "ENV B=2");
	assert_string_equal(c->history[2].created_by, "RUN |1 A=1 /bin/sh -c echo hi # buildkit");
	assert_false(c->history[2].empty_layer);
	assert_string_equal(c->history[3].created_by, "WORKDIR /w");
	assert_false(c->history[3].empty_layer);
	assert_string_equal(c->history[4].created_by, "CMD [\"a\" \"b c\"]");
	end(&r);
}

static void mistakes_name_their_line(void **state)
{
	(void)state;
	refused("FROM scratch AS a\nCOPY --from=b /x /x\nFROM scratch AS b\nCOPY --from=a /y /y\n", 4,
		"circular dependency detected on stage: a");
	refused("FROM scratch AS a\nCOPY --from=a /x /x\n", 2, "circular dependency detected on stage: a");
	refused("FROM scratch AS a\nCOPY --from=b /x /x\nFROM scratch AS b\nFROM a\n", 2,
		"cannot copy from stage \"b\", it needs to be defined before current stage \"a\"");
	refused("FROM scratch\nCOPY --from=3 /x /x\n", 2, "invalid stage index 3");
	refused("ARG v\nFROM ${v}\n", 2, "base name (${v}) should not be blank");
	refused("FROM --platform=$nothing scratch\n", 1, "empty platform value from expression $nothing");
	refused("FROM scratch AS a\nRUN --mount=target=/m x\nRUN --mount=from=B,target=/m --mount=from=b,target=m x\n"
		"FROM a AS b\n", 4, "circular dependency detected on stage: a");
	refused("FROM scratch AS a\nRUN --mount=from=b,target=m x\nFROM scratch AS b\nFROM a\n", 2,
		"cannot mount from stage \"b\" to \"/m\", stage needs to be defined before current command");
	refused("FROM scratch\nRUN --mount=target=/ x\n", 2, "invalid mount target \"/\"");
	refused("FROM scratch\nRUN --mount=type=tmpfs x\n", 2, "invalid mount target \"/\"");
	refused("FROM scratch\nRUN --device=v.com/c=d x\n", 2,
		"entitlement device is not allowed: steps are given no device of this machine");
	refused("FROM scratch\nCOPY https://example.org/x /x\n", 2, "source can't be a URL for COPY");
	refused("FROM scratch\nCOPY git@example.org:x /x\n", 2, "source can't be a git ref for COPY");
	refused("FROM scratch\nADD --checksum=md5:00 https://example.org/x /x\n", 2, "unsupported digest algorithm: md5:00");
	refused("FROM scratch\nADD --checksum=sha256:00 a /x\n", 2, "checksum requires HTTP(S) or Git sources");
	refused("FROM scratch\nADD --checksum=sha256:00 a b /x/\n", 2,
		"checksum can't be specified for multiple sources");
	refused("FROM scratch\nADD https://example.org/r.git?tag=a&branch=b /x\n", 2, "branch conflicts with tag");
	refused("FROM scratch\nRUN --security=insecure x\n", 2,
		"entitlement security.insecure is not allowed: steps never run without the sandbox");
	refused("FROM scratch\nSTOPSIGNAL SIGNONSENSE\n", 2, "invalid signal: SIGNONSENSE");
	refused("FROM scratch\nEXPOSE 70000\n", 2, "invalid containerPort: 70000");
	refused("FROM scratch\nVOLUME \"\"\n", 2, "VOLUME specified can not be an empty string");
	refused("FROM scratch\nCOPY --from=$x a b\n", 2,
		"variable expansion is not supported for --from, define a new stage with FROM using ARG from global "
		"scope as a workaround");
}

/* 3.2.3 and 3.2.4: where mounts go and what they are called */
static void mounts(void **state)
{
	struct result r;
	struct op *op;

	(void)state;
	begin(&r);
	strv_env_set(&r.options.build_args, "T", "cache");
	make(&r, "FROM scratch AS st\nRUN st\nFROM scratch\nARG T\nENV P=in\nWORKDIR /w\n"
		 "RUN --mount=type=$T,target=$P --mount=type=cache,target=/c/,id=other --mount=type=ssh"
		 " --mount=type=ssh,id=k,target=a --mount=type=secret,id=d/s --mount=type=secret,target=t/x"
		 " --mount=type=secret,id=e,env=E --mount=from=ST,source=/s,target=b x $E\n");
	assert_int_equal(r.rc, 0);
	op = r.plan.last;
	assert_int_equal(op->nmounts, 8);
	assert_string_equal(op->mounts[0].options.target, "/w/in");
	assert_string_equal(op->mounts[0].options.id, "in"); /* as written: the same in every working folder */
	assert_int_equal(op->mounts[0].options.type, RUN_MOUNT_CACHE);
	assert_string_equal(op->mounts[1].options.target, "/c");
	assert_string_equal(op->mounts[1].options.id, "other");
	assert_string_equal(op->mounts[2].options.target, "/run/buildkit/ssh_agent.0");
	assert_string_equal(op->mounts[2].options.id, "default");
	assert_string_equal(op->mounts[3].options.target, "/w/a");
	assert_string_equal(op->mounts[4].options.target, "/run/secrets/s");
	assert_string_equal(op->mounts[4].options.id, "d/s");
	assert_string_equal(op->mounts[5].options.target, "/w/t/x");
	assert_string_equal(op->mounts[5].options.id, "x");
	assert_null(op->mounts[6].options.target);
	assert_string_equal(op->mounts[7].options.target, "/w/b");
	assert_string_equal(op->mounts[7].from->name, "[st 1/1] RUN st");
	assert_non_null(strstr(op->name, " x ****")); /* fact 199 */
	end(&r);
}

static void scripts(void **state)
{
	struct result r;
	struct op *op;

	(void)state;
	begin(&r);
	make(&r, "FROM scratch\nSHELL [\"/s\", \"-x\"]\nRUN <<-E\n\t#!/bin/awk -f\n\tline\nE\n");
	assert_int_equal(r.rc, 0);
	op = r.plan.last;
	assert_string_equal(op->script, "#!/bin/awk -f\nline\n");
	assert_string_equal(op->script_name, "E");
	assert_int_equal(op->step.argv.len, 3);
	assert_string_equal(op->step.argv.v[2], "/dev/pipes/E");
	assert_string_equal(r.plan.targets[0].config.history[1].created_by, "RUN /s -x /dev/pipes/E # buildkit");
	assert_string_equal(op->name, "[1/1] RUN <<-E (#!/bin/awk -f...)");
	end(&r);
	begin(&r);
	make(&r, "FROM scratch\nSHELL [\"/awk\"]\nRUN <<E\n$x\nE\n"); /* fact 51 */
	assert_int_equal(r.rc, 0);
	assert_null(r.plan.last->script);
	assert_string_equal(r.plan.last->step.argv.v[1], "$x\n");
	assert_string_equal(r.plan.last->name, "[1/1] RUN <<E ($x)");
	end(&r);
}

static void a_target_that_is_not_there(void **state)
{
	struct result r;

	(void)state;
	begin(&r);
	r.options.target = "nope";
	make(&r, "FROM scratch AS a\n");
	assert_int_equal(r.rc, -1);
	assert_string_equal(r.err.msg, "target stage \"nope\" could not be found");
	end(&r);
}

static void ten_thousand_stages_are_planned(void **state)
{
	auto_strbuf text = STRBUF_INIT;
	struct result r;

	(void)state;
	strbuf_puts(&text, "FROM scratch AS s0\nRUN x\n");
	for (int i = 1; i < 9999; i++)
		strbuf_printf(&text, "FROM s%d AS s%d\n", i - 1, i);
	begin(&r);
	make(&r, text.buf);
	assert_int_equal(r.rc, 0);
	assert_int_equal(count_ops(&r.plan), 1);
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(env_and_arg),
		cmocka_unit_test(the_global_scope),
		cmocka_unit_test(build_arguments_win),
		cmocka_unit_test(entrypoint_and_cmd),
		cmocka_unit_test(other_fields),
		cmocka_unit_test(triggers_fire_once),
		cmocka_unit_test(health_checks),
		cmocka_unit_test(mounts),
		cmocka_unit_test(scripts),
		cmocka_unit_test(stages_that_nobody_needs_are_not_planned),
		cmocka_unit_test(equal_steps_of_two_platforms_are_one),
		cmocka_unit_test(keys),
		cmocka_unit_test(proxies_reach_the_step_and_no_key),
		cmocka_unit_test(histories),
		cmocka_unit_test(mistakes_name_their_line),
		cmocka_unit_test(a_target_that_is_not_there),
		cmocka_unit_test(ten_thousand_stages_are_planned),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
