#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "oci/image_archive.h"
#include "oci/member.h"
#include "oci_blobs.h"
#include "oci_tar.h"

/* The digest of all that was written to fd. */
static void file_digest(int fd, char out[DIGEST_STR_SIZE])
{
	struct strbuf sb = STRBUF_INIT;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(read_all(fd, &sb, 1 << 20), 0);
	sha256_buf_str(sb.buf, sb.len, out);
	strbuf_release(&sb);
}

static void assert_digest(int fd, const char *hex)
{
	char digest[DIGEST_STR_SIZE];

	file_digest(fd, digest);
	assert_string_equal(digest_hex(digest), hex);
}

/* oci.md appendix C.3 and C.4 */
static void headers_are_those_of_the_vectors(void **state)
{
	struct err e = ERR_INIT;
	int fd = tar_new();

	(void)state;
	assert_int_equal(member_write_header(fd, "etc/", 0755, 0, &e), 0);
	assert_digest(fd, "80a07b154a9d380e487a0d11d90fad6be8e2a22c865e5d1cfcdd738b349067b2");
	assert_int_equal(member_write_header(fd, "etc/hello", 0644, 3, &e), 0);
	assert_int_equal(write_all(fd, "hi\n", 3), 0);
	assert_int_equal(member_write_padding(fd, 3, &e), 0);
	assert_int_equal(member_write_end(fd, &e), 0);
	assert_digest(fd, "af8f2abec51c20eb2a538f7d4c173900ee1f72cab8a7e394794a7394b29715f7");
	close(fd);
}

static void written_members_are_read(void **state)
{
	struct member_table t = MEMBER_TABLE_INIT;
	const struct member *m;
	struct err e = ERR_INIT;
	int fd = tar_new();
	size_t count;

	(void)state;
	tar_add(fd, "./b/", '5', NULL, NULL);
	tar_add(fd, "./b/x", '0', NULL, "hello");
	tar_add(fd, "a", '2', "b/x", NULL);
	tar_add(fd, "b/x", '0', NULL, "again");
	tar_end(fd);
	assert_int_equal(member_table_read(fd, &t, &e), 0);
	assert_int_equal(t.n, 4);
	m = member_lookup(&t, "b/x", &count);
	assert_int_equal(count, 2);
	assert_int_equal(m->offset, 4 * 512 + 512); /* the last one holds */
	assert_int_equal(m->size, 5);
	assert_int_equal(member_lookup(&t, "b", NULL)->type, '5');
	assert_string_equal(member_lookup(&t, "a", NULL)->link, "b/x");
	assert_null(member_lookup(&t, "c", &count));
	assert_int_equal(count, 0);
	member_table_release(&t);
	close(fd);
}

static void big_sizes_go_through_pax(void **state)
{
	struct member_table t = MEMBER_TABLE_INIT;
	struct err e = ERR_INIT;
	const uint64_t size = UINT64_C(10000000001);
	int fd = tar_new();

	(void)state;
	assert_int_equal(member_write_header(fd, "blobs/sha256/x", 0444, size, &e), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3 * 512);
	assert_int_equal(ftruncate(fd, (off_t)(3 * 512 + (size + 511) / 512 * 512)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END) % 512, 0);
	tar_add(fd, "after", '0', NULL, "z");
	tar_end(fd);
	assert_int_equal(member_table_read(fd, &t, &e), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(member_lookup(&t, "blobs/sha256/x", NULL)->size, size);
	assert_non_null(member_lookup(&t, "after", NULL));
	member_table_release(&t);
	close(fd);
}

static void extended_names_hold(void **state)
{
	struct member_table t = MEMBER_TABLE_INIT;
	struct err e = ERR_INIT;
	int fd = tar_new();

	(void)state;
	tar_add(fd, "PaxHeaders/x", 'x', NULL, "15 path=longer\n");
	tar_add(fd, "short", '0', NULL, "1");
	tar_add(fd, "././@LongLink", 'L', NULL, "gnu-name");
	tar_add(fd, "././@LongLink", 'K', NULL, "gnu-link");
	tar_add(fd, "short", '2', "x", NULL);
	tar_add(fd, "global", 'g', NULL, "14 path=trick\n");
	tar_add(fd, "plain", '0', NULL, "2");
	tar_add(fd, "PaxHeaders/x", 'x', NULL, "8 path=\n"); /* empty: the header holds */
	tar_add(fd, "own", '0', NULL, "2");
	tar_end(fd);
	assert_int_equal(member_table_read(fd, &t, &e), 0);
	assert_int_equal(t.n, 4);
	assert_non_null(member_lookup(&t, "longer", NULL));
	assert_string_equal(member_lookup(&t, "gnu-name", NULL)->link, "gnu-link");
	assert_non_null(member_lookup(&t, "plain", NULL));
	assert_non_null(member_lookup(&t, "own", NULL));
	member_table_release(&t);
	close(fd);
}

/* Read the archive in fd, which must fail; closes it. */
static void assert_refused(int fd, enum err_kind kind, const char *part)
{
	struct member_table t = MEMBER_TABLE_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(member_table_read(fd, &t, &e), -1);
	assert_int_equal(e.kind, kind);
	if (!strstr(e.msg, part))
		fail_msg("message '%s' lacks '%s'", e.msg, part);
	member_table_release(&t);
	close(fd);
}

static void assert_bytes_refused(const char *bytes, size_t n, enum err_kind kind, const char *part)
{
	int fd = tar_new();

	assert_int_equal(write_all(fd, bytes, n), 0);
	assert_int_equal(ftruncate(fd, 2048), 0);
	assert_refused(fd, kind, part);
}

/* oci.md 9.3.96 */
static void other_formats_are_named(void **state)
{
	(void)state;
	assert_bytes_refused("\x1f\x8b\x08", 3, ERR_UNSUPPORTED, "decompress it first");
	assert_bytes_refused("\x28\xb5\x2f\xfd", 4, ERR_UNSUPPORTED, "zstd");
	assert_bytes_refused("\xfd"
			     "7zXZ",
		5, ERR_UNSUPPORTED, "xz");
	assert_bytes_refused("PK\x03\x04", 4, ERR_INPUT, "zip");
	assert_bytes_refused("7z\xbc\xaf\x27\x1c", 6, ERR_INPUT, "7z");
	assert_bytes_refused("070701", 6, ERR_INPUT, "cpio");
	assert_bytes_refused("#!/bin/sh", 9, ERR_INPUT, "not a tar archive");
	assert_refused(tar_new(), ERR_INPUT, "not a tar archive");
	int fd = tar_new();
	tar_end(fd);
	assert_refused(fd, ERR_INPUT, "empty");
}

static void truncated_archives_are_refused(void **state)
{
	int fd = tar_new();

	(void)state;
	tar_add(fd, "a", '0', NULL, "hello");
	assert_int_equal(ftruncate(fd, 512 + 3), 0);
	assert_refused(fd, ERR_INPUT, "ends inside");
	fd = tar_new();
	tar_add(fd, "a", '0', NULL, "hello");
	assert_int_equal(ftruncate(fd, 1024 + 100), 0);
	assert_refused(fd, ERR_INPUT, "ends inside");
	fd = tar_new();
	tar_add(fd, "x", 'x', NULL, "9 path=a\n");
	tar_end(fd);
	assert_refused(fd, ERR_INPUT, "without a member");
	fd = tar_new();
	tar_add(fd, "a", '0', NULL, "hello");
	assert_int_equal(ftruncate(fd, 1024 + 512), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 1536);
	tar_add(fd, "b", '0', NULL, "hidden");
	tar_end(fd);
	assert_refused(fd, ERR_INPUT, "after a zero record");
}

static void missing_terminator_is_accepted(void **state)
{
	struct member_table t = MEMBER_TABLE_INIT;
	struct err e = ERR_INIT;
	int fd = tar_new();

	(void)state;
	tar_add(fd, "a", '0', NULL, "hello");
	assert_int_equal(member_table_read(fd, &t, &e), 0);
	member_table_release(&t);
	close(fd);
}

static int with_pax(const char *records, char type)
{
	int fd = tar_new();

	tar_add(fd, "x", 'x', NULL, records);
	tar_add(fd, "a", type, "l", type == '0' ? "hello" : NULL);
	tar_end(fd);
	return fd;
}

static void hostile_headers_are_refused(void **state)
{
	int fd;

	(void)state;
	assert_refused(with_pax("nonsense", '0'), ERR_INPUT, "malformed PAX");
	assert_refused(with_pax("9 path=a", '0'), ERR_INPUT, "malformed PAX");
	assert_refused(with_pax("09 path=a\n", '0'), ERR_INPUT, "malformed PAX");
	assert_refused(with_pax("99 path=a\n", '0'), ERR_INPUT, "malformed PAX");
	assert_refused(with_pax("99999999999999999999 path=a\n", '0'), ERR_INPUT, "malformed PAX");
	assert_refused(with_pax("6 =abc\n", '0'), ERR_INPUT, "malformed PAX");
	assert_refused(with_pax("9 path=a\n9 path=b\n", '0'), ERR_INPUT, "two names");
	assert_refused(with_pax("11 size=-1\n", '0'), ERR_INPUT, "malformed size");
	assert_refused(with_pax("28 size=9223372036854775807\n", '0'), ERR_INPUT, "ends inside");
	assert_refused(with_pax("28 size=9223372036854775808\n", '0'), ERR_INPUT, "malformed size");
	assert_refused(with_pax("10 size=5\n", '2'), ERR_INPUT, "with content");
	assert_refused(with_pax("22 GNU.sparse.major=1\n", '0'), ERR_UNSUPPORTED, "sparse");
	fd = tar_new();
	tar_add(fd, "x", 'x', NULL, "9 path=a\n");
	tar_add(fd, "x", 'x', NULL, "9 path=b\n");
	assert_refused(fd, ERR_INPUT, "two PAX headers");
	fd = tar_new();
	tar_add(fd, "x", 'x', NULL, "9 path=a\n");
	tar_add(fd, "L", 'L', NULL, "b");
	tar_add(fd, "c", '0', NULL, "");
	assert_refused(fd, ERR_INPUT, "two different names");
	fd = tar_new();
	tar_add(fd, "s", 'S', NULL, "");
	assert_refused(fd, ERR_UNSUPPORTED, "sparse");
	fd = tar_new();
	tar_add(fd, "s", 'D', NULL, "");
	assert_refused(fd, ERR_INPUT, "unknown type 'D'");
	fd = tar_new();
	tar_add(fd, "a", '0', NULL, "hello");
	tar_add(fd, "b", '0', NULL, "hello");
	assert_int_equal(pwrite(fd, "c", 1, 1024), 1);
	assert_refused(fd, ERR_INPUT, "wrong checksum");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_those_of_the_vectors),
		cmocka_unit_test(written_members_are_read),
		cmocka_unit_test(big_sizes_go_through_pax),
		cmocka_unit_test(extended_names_hold),
		cmocka_unit_test(other_formats_are_named),
		cmocka_unit_test(truncated_archives_are_refused),
		cmocka_unit_test(missing_terminator_is_accepted),
		cmocka_unit_test(hostile_headers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
