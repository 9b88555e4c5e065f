/* Options of RUN --mount, and what is wrong with them (spec/dockerfile.md 3.2.3). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "dockerfile/run_mount.h"

static const char *lookup(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "x") == 0 ? "value" : strcmp(name, "type") == 0 ? "tmpfs" : NULL;
}
static const struct expand_env env = { .lookup = lookup };

static struct run_mount parse(const char *text)
{
	struct run_mount m = { .type = RUN_MOUNT_SSH };
	struct err err = ERR_INIT;

	if (run_mount_parse(text, '\\', &env, &m, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return m;
}

static void fails(const char *text, const char *message)
{
	struct run_mount m = { .type = RUN_MOUNT_SSH, .size = 77 };
	struct err err = ERR_INIT;

	assert_int_equal(run_mount_parse(text, '\\', &env, &m, &err), -1);
	assert_int_equal(err.kind, ERR_DOCKERFILE);
	assert_string_equal(err.msg, message);
	assert_int_equal(m.size, 77); /* untouched */
}

static void every_spelling(void **state)
{
	static const char *const same[] = { "type=bind,from=a,source=/s,target=/t", "FROM=a,src=/s,dst=/t",
		"destination=/t,Source=/s,from=a,TYPE=Bind", "from=a,\"source=/s\",target=\"/t\"",
		"from=b,from=a,source=no,src=/s,target=x,dst=/t", "from=a,source=/s,target=/t,ro",
		"from=a,source=/s,target=/t,rw,readonly=true", "from=a,source=/s,target=/t,readwrite=F" };

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct run_mount m = parse(same[i]);

		assert_int_equal(m.type, RUN_MOUNT_BIND);
		assert_string_equal(m.from, "a");
		assert_string_equal(m.source, "/s");
		assert_string_equal(m.target, "/t");
		assert_true(m.readonly);
		run_mount_release(&m);
	}
}

static void defaults(void **state)
{
	static const struct {
		const char *text;
		bool readonly;
	} all[] = { { "target=/t", true }, { "type=secret,id=x", true }, { "type=ssh", true },
		{ "type=cache,target=/t", false }, { "type=tmpfs,target=/t", false }, { "target=/t,rw", false },
		{ "type=cache,target=/t,ro", true }, { "target=/t,ro,rw=1", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct run_mount m = parse(all[i].text);

		assert_int_equal(m.readonly, all[i].readonly);
		assert_false(m.required || m.has_mode || m.has_uid || m.has_gid);
		assert_int_equal(m.sharing, RUN_MOUNT_SHARED);
		run_mount_release(&m);
	}
}

static void values(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = { { "0", 0 }, { "77", 77 }, { "77b", 77 }, { "2k", 2048 }, { "2KB", 2048 }, { "2KiB", 2048 },
		{ "128m", 128 << 20 }, { "1 g", 1 << 30 }, { "1t", 1ull << 40 }, { "1P", 1ull << 50 } };
	struct run_mount m = parse("type=cache,id=i,target=$x/${x},mode=0751,uid=1001,gid=4294967295,sharing=Locked");

	(void)state;
	assert_string_equal(m.target, "value/value");
	assert_int_equal(m.mode, 0751);
	assert_int_equal(m.uid, 1001);
	assert_int_equal(m.gid, UINT32_MAX);
	assert_int_equal(m.sharing, RUN_MOUNT_LOCKED);
	run_mount_release(&m);
	m = parse("type=${type},target=/t");
	assert_int_equal(m.type, RUN_MOUNT_TMPFS);
	run_mount_release(&m);
	m = parse("type=secret,required,id=a,env=E");
	assert_true(m.required);
	assert_string_equal(m.env, "E");
	run_mount_release(&m);
	m = parse("target=\"/a,b\\\"\"c\",from=a$"); /* the record wants "" for one, the expansion \ before it */
	assert_string_equal(m.target, "/a,b\"c");
	assert_string_equal(m.from, "a$");
	run_mount_release(&m);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		auto_free char *text = xasprintf("type=tmpfs,target=/t,size=%s", sizes[i].text);

		m = parse(text);
		assert_true(m.size == sizes[i].bytes);
		run_mount_release(&m);
	}
}

static void mistakes(void **state)
{
	(void)state;
	fails("typ=tmpfs,target=/t", "unexpected key 'typ' in 'typ=tmpfs' (did you mean type?)"); /* fact 196 */
	fails("type=tmp,target=/t", "unsupported mount type \"tmp\" (did you mean tmpfs?)");
	fails("type=nonsense,target=/t", "unsupported mount type \"nonsense\"");
	fails("bogus,target=/t", "invalid field 'bogus' must be a key=value pair");
	fails("", "invalid field '' must be a key=value pair");
	fails("target", "invalid field 'target' must be a key=value pair");
	fails("target=/t,required,type=secret", "unexpected key 'required' for mount type 'bind'"); /* fact 264 */
	fails("target=/t,size=1,type=tmpfs", "unexpected key 'size' for mount type 'bind'");
	fails("type=cache,target=/t,required=true", "unexpected key 'required' for mount type 'cache'");
	fails("target=/t,ro=yes", "invalid value for ro: yes");
	fails("target=/t,readwrite=", "invalid value for readwrite: ");
	fails("type=ssh,required=maybe", "invalid value for required: maybe");
	fails("type=cache,target=/t,mode=8", "invalid value 8 for mode");
	fails("type=cache,target=/t,mode=", "invalid value  for mode");
	fails("type=cache,target=/t,mode=40000000000", "invalid value 40000000000 for mode");
	fails("type=cache,target=/t,uid=-1", "invalid value -1 for uid");
	fails("type=cache,target=/t,gid=4294967296", "invalid value 4294967296 for gid");
	fails("type=cache,target=/t,gid=99999999999999999999", "invalid value 99999999999999999999 for gid");
	fails("target=/t,mode=0700", "mode not allowed for \"bind\" type mounts");
	fails("type=tmpfs,target=/t,uid=1", "uid not allowed for \"tmpfs\" type mounts");
	fails("target=/t,gid=1", "gid not allowed for \"bind\" type mounts");
	fails("type=tmpfs,target=/t,sharing=locked", "invalid cache sharing set for tmpfs mount");
	fails("type=cache,target=/t,sharing=share", "unsupported sharing value \"share\" (did you mean shared?)");
	fails("type=tmpfs,target=/t,size=1x", "invalid value for size: 1x");
	fails("type=tmpfs,target=/t,size=-1", "invalid value for size: -1");
	fails("type=tmpfs,target=/t,size=20000000t", "invalid value for size: 20000000t");
	fails("type=secret", "invalid secret mount. one of source, target required");
	fails("type=secret,id=a,source=b", "both source and id can't be set");
	fails("type=secret,id=a,from=b", "secret mount should not have a from");
	fails("type=secret,id=a,sharing=shared", "invalid cache sharing set for secret mount");
	fails("type=ssh,source=/x", "ssh does not support source");
	fails("target=/t,from=a$b", "'from' doesn't support variable expansion, define alias stage instead");
	fails("target=/t,from=${x}", "'from' doesn't support variable expansion, define alias stage instead");
	fails("target=/a\"b", "failed to parse csv mounts: bare or unclosed \" in a field (quote the whole field or the "
			      "whole value)");
	fails("target=\"/a\"b", "failed to parse csv mounts: bare or unclosed \" in a field (quote the whole field or the "
				"whole value)");
	fails("\"target=/a", "failed to parse csv mounts: bare or unclosed \" in a field (quote the whole field or the "
			     "whole value)");
	fails("target=${x?", "failed to process \"${x?\": syntax error: missing '}'");
}

static void long_values_are_cut_in_messages(void **state)
{
	auto_free char *text = xmalloc(10241);
	struct run_mount m;
	struct err err = ERR_INIT;

	(void)state;
	memset(text, 'k', 10240);
	text[10240] = '\0';
	assert_int_equal(run_mount_parse(text, '\\', &env, &m, &err), -1);
	memcpy(text, "type=", 5);
	assert_int_equal(run_mount_parse(text, '\\', &env, &m, &err), -1);
	memcpy(text, "type=cache,id=", 14); /* an id may be as long as it likes */
	assert_int_equal(run_mount_parse(text, '\\', &env, &m, &err), 0);
	assert_int_equal(strlen(m.id), 10240 - 14);
	run_mount_release(&m);
}

static void raw_values(void **state)
{
	auto_free char *env_name = run_mount_raw("type=secret,id=x,ENV=$A,env=B", "env");
	auto_free char *none = run_mount_raw("type=secret,id=x,environment=1", "env");

	(void)state;
	assert_string_equal(env_name, "B");
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling),
		cmocka_unit_test(defaults),
		cmocka_unit_test(values),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(long_values_are_cut_in_messages),
		cmocka_unit_test(raw_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
