#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layer/bounds.h"
#include "layer/unpress.h"

/* A file with size times the byte c, compressed once, or twice. */
static FILE *compressed(enum unpress_format format, char c, size_t size, bool twice)
{
	FILE *f = tmpfile();
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	char *block = malloc(1 << 20);

	assert_non_null(f);
	for (int i = 0; i < 1 + twice; i++) {
		int rc = format == UNPRESS_BZIP2  ? archive_write_add_filter_bzip2(a) :
			 format == UNPRESS_XZ     ? archive_write_add_filter_xz(a) :
			 format == UNPRESS_LZMA   ? archive_write_add_filter_lzma(a) :
			 format == UNPRESS_LZIP   ? archive_write_add_filter_lzip(a) :
						    archive_write_add_filter_lz4(a);

		assert_int_equal(rc, ARCHIVE_OK);
	}
	archive_write_set_format_raw(a);
	archive_write_set_bytes_in_last_block(a, 1);
	assert_int_equal(archive_write_open_fd(a, fileno(f)), ARCHIVE_OK);
	archive_entry_set_pathname(e, "data");
	archive_entry_set_filetype(e, AE_IFREG);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	memset(block, c, 1 << 20);
	for (size_t left = size; left > 0;) {
		size_t n = left < 1 << 20 ? left : 1 << 20;

		assert_int_equal(archive_write_data(a, block, n), n);
		left -= n;
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(e);
	archive_write_free(a);
	free(block);
	return f;
}

static enum unpress_format format_of(FILE *f)
{
	unsigned char head[UNPRESS_HEAD];
	ssize_t n = pread(fileno(f), head, sizeof(head), 0);

	assert_true(n > 0);
	return unpress_find(head, (size_t)n);
}

static void each_format_is_found_and_read(void **state)
{
	static const enum unpress_format formats[] = { UNPRESS_BZIP2, UNPRESS_XZ, UNPRESS_LZMA, UNPRESS_LZIP, UNPRESS_LZ4 };

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		FILE *f = compressed(formats[i], 'a', 100000, false);
		struct err err = ERR_INIT;
		struct unpress *u;
		char data[60000];

		assert_int_equal(format_of(f), formats[i]);
		u = unpress_open(fileno(f), formats[i], 0, &err);
		assert_non_null(u);
		assert_int_equal(unpress_read(u, data, sizeof(data), &err), 60000);
		assert_int_equal(data[59999], 'a');
		assert_int_equal(unpress_read(u, data, sizeof(data), &err), 40000);
		assert_int_equal(unpress_read(u, data, sizeof(data), &err), 0);
		unpress_free(u);
		fclose(f);
	}
}

static void other_bytes_are_none(void **state)
{
	(void)state;
	assert_int_equal(unpress_find("", 0), UNPRESS_NONE);
	assert_int_equal(unpress_find("BZh9 no block", 13), UNPRESS_NONE);
	assert_int_equal(unpress_find("LZIP\x09.", 6), UNPRESS_NONE);
	assert_int_equal(unpress_find("] is how lzma begins", 20), UNPRESS_NONE);
	assert_int_equal(unpress_find("\x1f\x8b\x08\0\0\0", 6), UNPRESS_NONE);
}

static void a_torn_stream_is_an_error(void **state)
{
	FILE *f = compressed(UNPRESS_XZ, 'a', 3000000, false);
	struct err err = ERR_INIT;
	struct unpress *u;
	char data[60000];
	ssize_t n = 1;

	(void)state;
	assert_int_equal(ftruncate(fileno(f), lseek(fileno(f), 0, SEEK_END) / 2), 0);
	u = unpress_open(fileno(f), UNPRESS_XZ, 0, &err);
	while (u && n > 0)
		n = unpress_read(u, data, sizeof(data), &err);
	assert_true(!u || n < 0);
	assert_int_equal(err.kind, ERR_INPUT);
	unpress_free(u);
	fclose(f);
}

static void a_stream_in_a_stream_is_refused(void **state)
{
	FILE *f = compressed(UNPRESS_BZIP2, 'a', 1000, true);
	struct err err = ERR_INIT;

	(void)state;
	assert_null(unpress_open(fileno(f), UNPRESS_BZIP2, 0, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	fclose(f);
}

/* Reads all of f. Returns the bytes, or -1. */
static int64_t drain(FILE *f, enum unpress_format format, uint64_t max, struct err *err)
{
	struct unpress *u = unpress_open(fileno(f), format, max, err);
	static char data[1 << 20];
	int64_t total = 0;
	ssize_t n;

	assert_non_null(u);
	while ((n = unpress_read(u, data, sizeof(data), err)) > 0)
		total += n;
	unpress_free(u);
	return n < 0 ? -1 : total;
}

static void limits_are_kept(void **state)
{
	FILE *f = compressed(UNPRESS_XZ, 'a', 100000, false);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(drain(f, UNPRESS_XZ, 100000, &err), 100000);
	assert_int_equal(drain(f, UNPRESS_XZ, 99999, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	fclose(f);
	/* bzip2 packs 400 MiB of one byte into some 300 bytes: more than anything honest does */
	f = compressed(UNPRESS_BZIP2, 0, (size_t)400 << 20, false);
	err = (struct err)ERR_INIT;
	assert_int_equal(drain(f, UNPRESS_BZIP2, 0, &err), -1);
	assert_non_null(strstr(err.msg, "unpacks to more than"));
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_format_is_found_and_read),
		cmocka_unit_test(other_bytes_are_none),
		cmocka_unit_test(a_torn_stream_is_an_error),
		cmocka_unit_test(a_stream_in_a_stream_is_refused),
		cmocka_unit_test(limits_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
