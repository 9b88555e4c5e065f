/* The record of an owner: bytes and back, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/owner_record.h"

static void bytes_are_as_documented(void **state)
{
	static const uint8_t want[OWNER_RECORD_SIZE] = { 1, 0, 0, 0, 0xe8, 3, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0, 0x20, 0, 0,
		5, 1, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0 };
	struct owner_record in = { 1000, 4294967294u, S_IFCHR, 1, 5, 3, 4 }, out;
	uint8_t bytes[OWNER_RECORD_SIZE];

	(void)state;
	owner_record_format(&in, bytes);
	assert_memory_equal(bytes, want, sizeof(want));
	assert_true(owner_record_parse(bytes, sizeof(bytes), &out));
	assert_memory_equal(&in, &out, sizeof(in));
}

static void what_is_none_is_refused(void **state)
{
	struct owner_record in = { .uid = 1 }, out = { .uid = 77 };
	uint8_t bytes[OWNER_RECORD_SIZE + 1] = { 0 };

	(void)state;
	owner_record_format(&in, bytes);
	assert_false(owner_record_parse(bytes, OWNER_RECORD_SIZE - 1, &out));
	assert_false(owner_record_parse(bytes, OWNER_RECORD_SIZE + 1, &out));
	for (size_t i = 0; i < 4; i++) { /* version, flags, reserved */
		bytes[i] ^= 2;
		assert_false(owner_record_parse(bytes, OWNER_RECORD_SIZE, &out));
		bytes[i] ^= 2;
	}
	bytes[13] = S_IFDIR >> 8; /* no device */
	assert_false(owner_record_parse(bytes, OWNER_RECORD_SIZE, &out));
}

static void a_change_that_nobody_recorded_makes_it_void(void **state)
{
	struct owner_record r = { .uid = 70000, .gid = 5, .seen_uid = 65535, .seen_gid = 5 };
	uint32_t uid, gid;

	(void)state;
	owner_record_resolve(&r, 65535, 5, &uid, &gid);
	assert_int_equal(uid, 70000);
	assert_int_equal(gid, 5);
	owner_record_resolve(&r, 0, 5, &uid, &gid);
	assert_int_equal(uid, 0);
	owner_record_resolve(&r, 65535, 9, &uid, &gid);
	assert_int_equal(uid, 70000);
	assert_int_equal(gid, 9);
	assert_int_equal(owner_native_id(65535, 65536), 65535);
	assert_int_equal(owner_native_id(65536, 65536), 65535);
	assert_int_equal(owner_native_id(7, 1), 0);
}

static void lives_on_a_file(void **state)
{
	char name[] = "/var/tmp/test-owner-XXXXXX";
	auto_fd int fd = mkstemp(name);
	struct owner_record in = { .uid = 5, .gid = 6 }, out;

	(void)state;
	assert_true(fd >= 0);
	assert_false(owner_record_get(fd, &out));
	assert_int_equal(owner_record_put(fd, &in), 0);
	assert_true(owner_record_get(fd, &out));
	assert_int_equal(out.uid, 5);
	in.uid = 7;
	assert_int_equal(owner_record_put_path(name, &in), 0);
	assert_true(owner_record_get_path(name, &out));
	assert_int_equal(out.uid, 7);
	unlink(name);
	assert_false(owner_record_get_path(name, &out));
	assert_int_equal(owner_record_put_path(name, &in), -1);
	assert_int_equal(errno, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_as_documented),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(a_change_that_nobody_recorded_makes_it_void),
		cmocka_unit_test(lives_on_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
