/* --secret and --ssh: forms, limits and messages (spec/dockerfile.md 9.4). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/secrets.h"

static char dir[] = "/tmp/whittle-secrets-XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return remove_tree(AT_FDCWD, dir);
}

static char *file_of(const char *name, const char *data, size_t n)
{
	char *path = xasprintf("%s/%s", dir, name);
	struct err err = ERR_INIT;

	assert_int_equal(write_file_atomic(AT_FDCWD, path, data, n, 0600, &err), 0);
	return path;
}

static void holds(const struct secrets *s, const char *id, const char *wanted)
{
	const struct secret *secret = secrets_find(s, id);
	char data[64] = "";

	assert_non_null(secret);
	assert_int_equal(pread(secret->fd, data, sizeof(data), 0), strlen(wanted));
	assert_memory_equal(data, wanted, strlen(wanted));
	assert_int_equal(fcntl(secret->fd, F_GETFD), FD_CLOEXEC);
}

static void add(struct secrets *s, const char *format, const char *path)
{
	auto_free char *spec = xasprintf("%s%s", format, path);
	struct err err = ERR_INIT;

	if (secrets_add(s, spec, &err) < 0)
		fail_msg("%s: %s", spec, err.msg);
}

static void secrets_come_from_files_and_variables(void **state)
{
	struct secrets s = SECRETS_INIT;
	auto_free char *path = file_of("a", "content", 7);

	(void)state;
	setenv("WHITTLE_TEST_VAR", "variable", 1);
	unsetenv("WHITTLE_TEST_UNSET");
	add(&s, "id=f,src=", path);
	holds(&s, "f", "content");
	add(&s, "type=file,ID=g,Source=", path);
	add(&s, "id=v,env=", "WHITTLE_TEST_VAR");
	holds(&s, "v", "variable");
	add(&s, "type=env,id=w,src=", "WHITTLE_TEST_VAR");
	holds(&s, "w", "variable");
	add(&s, "id=", "WHITTLE_TEST_VAR"); /* a variable of that name first */
	holds(&s, "WHITTLE_TEST_VAR", "variable");
	add(&s, "id=", path); /* then a file */
	assert_non_null(secrets_find(&s, path));
	add(&s, "id=u,env=", "WHITTLE_TEST_UNSET");
	holds(&s, "u", "");
	add(&s, "id=f,env=", "WHITTLE_TEST_VAR"); /* the last counts */
	holds(&s, "f", "variable");
	assert_int_equal(s.len, 7);
	assert_null(secrets_find(&s, "nothing"));
	secrets_release(&s);
}

static void fails(const char *spec, enum err_kind kind, const char *message)
{
	struct secrets s = SECRETS_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(secrets_add(&s, spec, &err), -1);
	assert_int_equal(err.kind, kind);
	if (!strstr(err.msg, message))
		fail_msg("'%s' does not say '%s'", err.msg, message);
	assert_int_equal(s.len, 0);
}

static void mistakes_in_secrets(void **state)
{
	auto_free char *folder = xasprintf("id=a,src=%s", dir);

	(void)state;
	fails("id", ERR_USAGE, "invalid field 'id' must be a key=value pair");
	fails("id=a,type=http", ERR_USAGE, "unsupported secret type \"http\"");
	fails("id=a,mode=1", ERR_USAGE, "unexpected key 'mode' in 'mode=1'");
	fails("src=/x", ERR_USAGE, "secret missing ID");
	fails("id=a,src=\"x", ERR_USAGE, "failed to parse csv secret");
	fails("id=a,src=/no/such/file", ERR_NOT_FOUND, "'/no/such/file'");
	fails(folder, ERR_INPUT, "is a folder");
}

static void the_size_of_a_secret_is_limited(void **state)
{
	struct secrets s = SECRETS_INIT;
	struct err err = ERR_INIT;
	auto_free char *data = xmalloc(SECRET_MAX + 1);
	auto_free char *most = NULL;
	auto_free char *more = NULL;
	auto_free char *spec = NULL;

	(void)state;
	memset(data, 's', SECRET_MAX + 1);
	most = file_of("most", data, SECRET_MAX);
	more = file_of("more", data, SECRET_MAX + 1);
	add(&s, "id=a,src=", most);
	spec = xasprintf("id=big,src=%s", more);
	assert_int_equal(secrets_add(&s, spec, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_string_equal(err.msg, "secret big too big. max size 500KiB");
	add(&s, "id=zero,src=", "/dev/null");
	holds(&s, "zero", "");
	free(spec);
	spec = xstrdup("id=endless,src=/dev/zero");
	err = (struct err)ERR_INIT;
	assert_int_equal(secrets_add(&s, spec, &err), -1);
	assert_string_equal(err.msg, "secret endless too big. max size 500KiB");
	secrets_release(&s);
}

static void the_number_of_secrets_is_limited(void **state)
{
	struct secrets s = SECRETS_INIT;
	struct err err = ERR_INIT;

	(void)state;
	setenv("WHITTLE_TEST_VAR", "v", 1);
	for (int i = 0; i < SECRETS_MAX; i++) {
		auto_free char *spec = xasprintf("id=%d,env=WHITTLE_TEST_VAR", i);

		if (secrets_add(&s, spec, &err) < 0) {
			/* as many descriptors as this process may have */
			assert_int_equal(err.kind, ERR_SYSTEM);
			secrets_release(&s);
			return;
		}
	}
	assert_int_equal(secrets_add(&s, "id=more,env=WHITTLE_TEST_VAR", &err), -1);
	assert_string_equal(err.msg, "more than 1000 secrets");
	secrets_release(&s);
}

static void agents_are_sockets(void **state)
{
	struct agents a = AGENTS_INIT;
	struct err err = ERR_INIT;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_free char *path = xasprintf("%s/socket", dir);
	auto_free char *spec = xasprintf("key=%s", path);
	auto_free char *key = file_of("id_rsa", "KEY", 3);
	auto_free char *bad = xasprintf("k=%s", key);
	auto_free char *several = xasprintf("k=%s,%s", key, path);
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	unsetenv("SSH_AUTH_SOCK");
	assert_int_equal(agents_add(&a, "default", &err), -1);
	assert_string_equal(err.msg, "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set");
	setenv("SSH_AUTH_SOCK", path, 1);
	assert_int_equal(agents_add(&a, "default", &err), 0);
	assert_int_equal(agents_add(&a, spec, &err), 0);
	assert_int_equal(agents_add(&a, "key=", &err), 0);
	assert_int_equal(a.len, 2);
	assert_string_equal(agents_find(&a, "key")->socket, path);
	assert_null(agents_find(&a, "other"));
	err = (struct err)ERR_INIT;
	assert_int_equal(agents_add(&a, "x=/no/such/socket", &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	err = (struct err)ERR_INIT;
	assert_int_equal(agents_add(&a, bad, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.msg, "is no private key"));
	err = (struct err)ERR_INIT;
	assert_int_equal(agents_add(&a, several, &err), -1);
	assert_string_equal(err.msg, "ssh agent k: give one socket, or private keys alone");
	err = (struct err)ERR_INIT;
	assert_int_equal(agents_add(&a, "k=,", &err), -1);
	assert_string_equal(err.msg, "ssh agent k: ',' names no file");
	assert_int_equal(a.len, 3);
	assert_null(agents_find(&a, "k")->socket);
	err = (struct err)ERR_INIT;
	assert_int_equal(agents_add(&a, "=x", &err), -1);
	assert_string_equal(err.msg, "--ssh needs an id, such as default");
	agents_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_come_from_files_and_variables),
		cmocka_unit_test(mistakes_in_secrets),
		cmocka_unit_test(the_size_of_a_secret_is_limited),
		cmocka_unit_test(the_number_of_secrets_is_limited),
		cmocka_unit_test(agents_are_sockets),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
