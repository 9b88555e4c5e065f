#include "unit/layer_util.h"

#include "layer/bounds.h"
#include "layer/compress.h"

/* ---- helpers ---- */

static int compress(const struct outflow_options *opt, const void *data, size_t n, size_t step,
	struct strbuf *out, struct flow_sums *sums, struct err *err)
{
	auto_fd int fd = blob_new();
	AUTO(outflow_free) struct outflow *o = outflow_new(fd, opt, err);

	if (!o)
		return -1;
	for (size_t at = 0; at < n; at += step)
		if (outflow_write(o, (const char *)data + at, n - at < step ? n - at : step, err) <
			0)
			return -1;
	if (outflow_end(o, sums, err) < 0)
		return -1;
	blob_load(fd, out);
	return 0;
}

static int expand(const void *data, size_t n, const struct inflow_options *opt, struct strbuf *out,
	struct flow_sums *sums, struct err *err)
{
	auto_fd int fd = blob_of(data, n);
	AUTO(inflow_free) struct inflow *f = inflow_open(fd, opt, err);
	const void *block;
	ssize_t got;

	if (!f)
		return -1;
	while ((got = inflow_next(f, &block, err)) > 0)
		if (out)
			strbuf_add(out, block, (size_t)got);
	if (got == 0 && sums)
		inflow_sums(f, sums);
	return (int)got;
}

/* Bytes that neither repeat nor stay the same. */
static char *noise(size_t n)
{
	char *p = xmalloc(n);
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		p[i] = (char)(x >> ((x >> 28) & 7 ? 16 : 30));
	}
	return p;
}

/* ---- tests ---- */

static void round_trip_of_every_compression(void **state)
{
	static const size_t sizes[] = {0, 1, 1024, 100000, 256 << 10, (256 << 10) + 1, 5000000};
	auto_free char *data = noise(5000000);
	struct err err = ERR_INIT;

	(void)state;
	for (int c = COMPRESSION_NONE; c <= COMPRESSION_ZSTD; c++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct outflow_options opt = {.compression = (enum compression)c};
			auto_strbuf packed = STRBUF_INIT, plain = STRBUF_INIT;
			struct flow_sums out, in;
			uint8_t digest[DIGEST_SIZE];

			assert_ok(compress(&opt, data, sizes[i], 7777, &packed, &out, &err));
			assert_ok(expand(packed.buf, packed.len, NULL, &plain, &in, &err));
			assert_int_equal(plain.len, sizes[i]);
			assert_memory_equal(plain.buf, data, sizes[i]);
			sha256_buf(data, sizes[i], digest);
			assert_memory_equal(in.diff_digest, digest, sizeof(digest));
			assert_memory_equal(out.diff_digest, digest, sizeof(digest));
			sha256_buf(packed.buf, packed.len, digest);
			assert_memory_equal(in.digest, digest, sizeof(digest));
			assert_memory_equal(out.digest, digest, sizeof(digest));
			assert_int_equal(in.size, packed.len);
			assert_int_equal(out.size, packed.len);
			assert_int_equal(in.diff_size, sizes[i]);
			assert_int_equal(out.diff_size, sizes[i]);
		}
	}
}

static void output_depends_on_neither_threads_nor_write_sizes(void **state)
{
	size_t n = 20000000;
	auto_free char *data = noise(n);
	struct err err = ERR_INIT;

	(void)state;
	for (int c = COMPRESSION_GZIP; c <= COMPRESSION_ZSTD; c++) {
		struct outflow_options one = {.compression = (enum compression)c, .level = 1};
		struct outflow_options four = {
			.compression = (enum compression)c, .level = 1, .threads = 4};
		auto_strbuf a = STRBUF_INIT, b = STRBUF_INIT;
		struct flow_sums sums;

		assert_ok(compress(&one, data, n, 512, &a, &sums, &err));
		assert_ok(compress(&four, data, n, 3000001, &b, &sums, &err));
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.buf, b.buf, a.len);
	}
}

static void gzip_header_is_ours(void **state)
{
	struct outflow_options opt = {.compression = COMPRESSION_GZIP};
	auto_strbuf out = STRBUF_INIT;
	struct flow_sums sums;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(compress(&opt, "x", 1, 1, &out, &sums, &err));
	assert_memory_equal(out.buf, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
}

static void levels_out_of_range_are_refused(void **state)
{
	struct outflow_options zstd = {.compression = COMPRESSION_ZSTD, .level = 20};
	struct outflow_options gzip = {.compression = COMPRESSION_GZIP, .level = 10};
	struct outflow_options negative = {.compression = COMPRESSION_ZSTD, .level = -1};
	auto_strbuf out = STRBUF_INIT;
	struct flow_sums sums;
	struct err err;

	(void)state;
	assert_refused(compress(&zstd, "x", 1, 1, &out, &sums, &err), ERR_INPUT);
	assert_refused(compress(&gzip, "x", 1, 1, &out, &sums, &err), ERR_INPUT);
	assert_refused(compress(&negative, "x", 1, 1, &out, &sums, &err), ERR_INPUT);
}

static void canonical_empty_layer_of_docker_is_read(void **state)
{
	static const uint8_t gz[32] = {0x1f, 0x8b, 0x08, 0, 0, 0x09, 0x6e, 0x88, 0, 0xff, 0x62,
		0x18, 0x05, 0xa3, 0x60, 0x14, 0x8c, 0x58, 0, 0x08, 0, 0, 0xff, 0xff, 0x2e, 0xaf,
		0xb5, 0xef, 0, 0x04, 0, 0};
	auto_strbuf out = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];
	struct flow_sums sums;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(expand(gz, sizeof(gz), NULL, &out, &sums, &err));
	assert_int_equal(out.len, 1024);
	digest_format(sums.digest, digest);
	assert_string_equal(
		digest, "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4");
	digest_format(sums.diff_digest, digest);
	assert_string_equal(
		digest, "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

static void members_and_frames_are_one_stream(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	for (int c = COMPRESSION_GZIP; c <= COMPRESSION_ZSTD; c++) {
		struct outflow_options opt = {.compression = (enum compression)c};
		auto_strbuf all = STRBUF_INIT, out = STRBUF_INIT;
		struct flow_sums sums;

		for (int i = 0; i < 3; i++) {
			auto_strbuf part = STRBUF_INIT;

			assert_ok(compress(&opt, "abc", i == 1 ? 0 : 3, 3, &part, &sums, &err));
			strbuf_add(&all, part.buf, part.len);
		}
		assert_ok(expand(all.buf, all.len, NULL, &out, NULL, &err));
		assert_string_equal(out.buf, "abcabc");
	}
}

static void skippable_frames_are_skipped(void **state)
{
	struct outflow_options opt = {.compression = COMPRESSION_ZSTD};
	auto_strbuf all = STRBUF_INIT, part = STRBUF_INIT, out = STRBUF_INIT;
	struct flow_sums sums;
	struct err err = ERR_INIT;

	(void)state;
	strbuf_add(&all, "\x50\x2a\x4d\x18\x03\0\0\0xyz", 11);
	assert_refused(
		expand(all.buf, all.len, NULL, NULL, NULL, &err), ERR_INPUT); /* and nothing else */
	assert_ok(compress(&opt, "abc", 3, 3, &part, &sums, &err));
	strbuf_add(&all, part.buf, part.len);
	strbuf_add(&all, "\x5f\x2a\x4d\x18\0\0\0\0", 8);
	assert_ok(expand(all.buf, all.len, NULL, &out, NULL, &err));
	assert_string_equal(out.buf, "abc");
}

static void damage_is_found(void **state)
{
	auto_free char *data = noise(300000);
	struct err err = ERR_INIT;

	(void)state;
	for (int c = COMPRESSION_GZIP; c <= COMPRESSION_ZSTD; c++) {
		struct outflow_options opt = {.compression = (enum compression)c};
		auto_strbuf good = STRBUF_INIT, rubbish = STRBUF_INIT;
		struct flow_sums sums;

		assert_ok(compress(&opt, data, 300000, 4096, &good, &sums, &err));
		for (size_t cut = 1; cut < 12; cut++)
			assert_refused(expand(good.buf, good.len - cut, NULL, NULL, NULL, &err),
				ERR_INPUT);
		assert_refused(expand(good.buf, good.len / 2, NULL, NULL, NULL, &err), ERR_INPUT);
		strbuf_add(&rubbish, good.buf, good.len);
		strbuf_puts(&rubbish, "rubbish");
		assert_refused(expand(rubbish.buf, rubbish.len, NULL, NULL, NULL, &err), ERR_INPUT);
		good.buf[good.len - 3] ^= 0x10; /* in the checksum, or the size */
		assert_refused(expand(good.buf, good.len, NULL, NULL, NULL, &err), ERR_INPUT);
	}
}

static void zero_padding_after_gzip_is_tolerated(void **state)
{
	struct outflow_options opt = {.compression = COMPRESSION_GZIP};
	auto_strbuf all = STRBUF_INIT, out = STRBUF_INIT;
	struct flow_sums sums;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(compress(&opt, "abc", 3, 3, &all, &sums, &err));
	strbuf_add(&all, "\0\0\0\0\0", 5);
	assert_ok(expand(all.buf, all.len, NULL, &out, NULL, &err));
	assert_string_equal(out.buf, "abc");
	strbuf_puts(&all, "x");
	assert_refused(expand(all.buf, all.len, NULL, NULL, NULL, &err), ERR_INPUT);
}

static void gzip_header_fields_are_skipped_within_limits(void **state)
{
	struct outflow_options opt = {.compression = COMPRESSION_GZIP};
	auto_strbuf packed = STRBUF_INIT, all = STRBUF_INIT, out = STRBUF_INIT,
		    endless = STRBUF_INIT;
	struct flow_sums sums;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(compress(&opt, "abc", 3, 3, &packed, &sums, &err));
	strbuf_add(&all, "\x1f\x8b\x08\x1e\0\0\0\0\0\xff\x02\0eename\0comment\0HH", 29);
	strbuf_add(&all, packed.buf + 10, packed.len - 10);
	assert_ok(expand(all.buf, all.len, NULL, &out, NULL, &err));
	assert_string_equal(out.buf, "abc");
	strbuf_add(&endless, "\x1f\x8b\x08\x08\0\0\0\0\0\xff", 10);
	for (size_t i = 0; i < LAYER_GZIP_FIELD_MAX; i++)
		strbuf_putc(&endless, 'n');
	assert_refused(expand(endless.buf, endless.len, NULL, NULL, NULL, &err), ERR_INPUT);
	strbuf_reset(&endless);
	strbuf_add(&endless, "\x1f\x8b\x08\x20\0\0\0\0\0\xff", 10); /* a reserved flag */
	assert_refused(expand(endless.buf, endless.len, NULL, NULL, NULL, &err), ERR_INPUT);
}

static void endless_empty_members_are_refused(void **state)
{
	struct outflow_options opt = {.compression = COMPRESSION_GZIP};
	auto_strbuf one = STRBUF_INIT, all = STRBUF_INIT;
	struct flow_sums sums;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(compress(&opt, "", 0, 1, &one, &sums, &err));
	for (size_t i = 0; i <= LAYER_GZIP_EMPTY_MAX; i++)
		strbuf_add(&all, one.buf, one.len);
	assert_refused(expand(all.buf, all.len, NULL, NULL, NULL, &err), ERR_INPUT);
}

static void dictionaries_and_huge_windows_are_refused(void **state)
{
	/* frame header: dictionary id of one byte, 7; window 1 KiB; one empty raw block, the last
	 */
	static const uint8_t dictionary[] = {
		0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x00, 0x07, 0x01, 0x00, 0x00};
	/* window exponent 21: 2 GiB */
	static const uint8_t window[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00};
	static const uint8_t reserved[] = {0x28, 0xb5, 0x2f, 0xfd, 0x08, 0x00, 0x01, 0x00, 0x00};
	struct err err;

	(void)state;
	assert_refused(
		expand(dictionary, sizeof(dictionary), NULL, NULL, NULL, &err), ERR_UNSUPPORTED);
	assert_refused(expand(window, sizeof(window), NULL, NULL, NULL, &err), ERR_INPUT);
	assert_refused(expand(reserved, sizeof(reserved), NULL, NULL, NULL, &err), ERR_INPUT);
}

static void other_compressions_are_named(void **state)
{
	struct inflow_options ok = {.other_formats_ok = true};
	auto_strbuf out = STRBUF_INIT;
	struct err err;

	(void)state;
	assert_refused(expand("\xfd"
			      "7zXZ\0rest",
			       10, NULL, NULL, NULL, &err),
		ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "xz"));
	assert_refused(expand("BZh9rest", 8, NULL, NULL, NULL, &err), ERR_UNSUPPORTED);
	assert_ok(expand("BZh9rest", 8, &ok, &out, NULL, &err));
	assert_string_equal(out.buf, "BZh9rest");
}

static void bombs_are_refused(void **state)
{
	size_t n = (size_t)LAYER_RATIO_FREE + (8 << 20);
	auto_free char *zeros = xcalloc(1, n);
	struct inflow_options small = {.max_out = 1000};
	struct outflow_options zstd = {.compression = COMPRESSION_ZSTD},
			       gzip = {.compression = COMPRESSION_GZIP};
	auto_strbuf packed = STRBUF_INIT, legal = STRBUF_INIT;
	struct flow_sums sums;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(compress(&zstd, zeros, n, n, &packed, &sums, &err));
	assert_true(n / packed.len > LAYER_RATIO_ZSTD);
	assert_refused(expand(packed.buf, packed.len, NULL, NULL, NULL, &err), ERR_INPUT);
	assert_refused(expand(packed.buf, packed.len, &small, NULL, NULL, &err), ERR_INPUT);
	assert_ok(compress(&gzip, zeros, n, n, &legal, &sums, &err));
	assert_ok(expand(legal.buf, legal.len, NULL, NULL, NULL, &err));
}

static void more_than_promised_is_corrupt(void **state)
{
	struct inflow_options opt = {.max_in = 3};
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(expand("abc", 3, &opt, NULL, NULL, &err));
	assert_refused(expand("abcd", 4, &opt, NULL, NULL, &err), ERR_CORRUPT);
}

static void reading_may_stop_early(void **state)
{
	size_t n = 20 << 20;
	auto_free char *data = noise(n);
	auto_fd int fd = blob_of(data, n);
	struct err err = ERR_INIT;
	AUTO(inflow_free) struct inflow *f = inflow_open(fd, NULL, &err);
	char head[1000];

	(void)state;
	assert_int_equal(inflow_read(f, head, sizeof(head), &err), sizeof(head));
	assert_memory_equal(head, data, sizeof(head));
	assert_int_equal(inflow_compression(f), COMPRESSION_NONE);
	/* the thread that reads ahead ends with inflow_free() */
}

static void names_of_compressions(void **state)
{
	enum compression c = COMPRESSION_NONE;

	(void)state;
	assert_int_equal(compression_parse("zstd", &c), 0);
	assert_int_equal(c, COMPRESSION_ZSTD);
	assert_int_equal(compression_parse("xz", &c), -1);
	assert_int_equal(c, COMPRESSION_ZSTD);
	assert_string_equal(compression_name(COMPRESSION_GZIP), "gzip");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_of_every_compression),
		cmocka_unit_test(output_depends_on_neither_threads_nor_write_sizes),
		cmocka_unit_test(gzip_header_is_ours),
		cmocka_unit_test(levels_out_of_range_are_refused),
		cmocka_unit_test(canonical_empty_layer_of_docker_is_read),
		cmocka_unit_test(members_and_frames_are_one_stream),
		cmocka_unit_test(skippable_frames_are_skipped),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(zero_padding_after_gzip_is_tolerated),
		cmocka_unit_test(gzip_header_fields_are_skipped_within_limits),
		cmocka_unit_test(endless_empty_members_are_refused),
		cmocka_unit_test(dictionaries_and_huge_windows_are_refused),
		cmocka_unit_test(other_compressions_are_named),
		cmocka_unit_test(bombs_are_refused),
		cmocka_unit_test(more_than_promised_is_corrupt),
		cmocka_unit_test(reading_may_stop_early),
		cmocka_unit_test(names_of_compressions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
