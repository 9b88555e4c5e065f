/* Sparse members in all their forms: what is read must be what libarchive reads, and the checker alone refuses. */
#include "unit/layer_util.h"

#include "layer/bounds.h"
#include "layer/tar_check.h"

#define MAX (4u << 20)

/* A body: a part of one record, and two bytes. */
static char body[512 + 2 + 1];

/* The contents of all files: each byte, a dot for zero, with the number of its repetitions. */
struct contents {
	struct recorder r;
	struct strbuf body;
	char last;
	unsigned times;
};

static void end_run(struct contents *c)
{
	if (c->times > 0)
		strbuf_printf(&c->body, "%c%u", c->last ? c->last : '.', c->times);
	c->times = 0;
}

static int contents_data(struct tree_sink *s, const void *data, size_t n, struct err *err)
{
	struct contents *c = (struct contents *)s;
	const char *p = data;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != c->last)
			end_run(c);
		c->last = p[i];
		c->times++;
	}
	return recorder_data(s, data, n, err);
}

static int read_sparse(const struct strbuf *tar, struct strbuf *out, struct err *err)
{
	struct contents c = {.r = RECORDER_INIT, .body = STRBUF_INIT};
	struct layer_read_options opt = LAYER_READ_INIT;
	auto_fd int fd = blob_of(tar->buf, tar->len);
	int result;

	c.r.sink.data = contents_data;
	opt.sparse = true;
	opt.max_size = MAX;
	result = layer_read(fd, &opt, &c.r.sink, NULL, err);
	end_run(&c);
	strbuf_puts(out, c.r.text.buf);
	strbuf_puts(out, c.body.buf);
	strbuf_release(&c.r.text);
	strbuf_release(&c.body);
	return result;
}

static void assert_reads(struct strbuf *tar, const char *expected)
{
	auto_strbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;

	raw_end(tar);
	assert_ok(read_sparse(tar, &out, &err));
	assert_string_equal(out.buf, expected);
	strbuf_reset(tar);
}

/* Of a member called "m". */
static void assert_bad(struct strbuf *tar, const char *part)
{
	auto_strbuf out = STRBUF_INIT;
	struct err err;

	raw_end(tar);
	assert_refused(read_sparse(tar, &out, &err), ERR_INPUT);
	if (!strstr(err.msg, part) || !strstr(err.msg, "'m'"))
		fail_msg("'%s' does not say '%s' of 'm'", err.msg, part);
	assert_string_equal(out.buf, "");
	strbuf_reset(tar);
}

/* ---- archives ---- */

static void put_number(unsigned char *at, uint64_t v)
{
	snprintf((char *)at, 12, "%011llo", (unsigned long long)v);
	if (v >> 33) { /* base-256 */
		memset(at, 0, 12);
		at[0] = 0x80;
		for (int i = 0; i < 8; i++)
			at[4 + i] = (unsigned char)(v >> (56 - 8 * i));
	}
}

/* A header of old GNU; the map holds n numbers, at most 8. */
static void gnu_header(unsigned char *h, size_t len, uint64_t size, const uint64_t *map, size_t n, bool more)
{
	raw_header(h, &(struct raw){.name = "m", .type = 'S', .size = len, .gnu = true});
	for (size_t i = 0; i < n; i++)
		put_number(h + 386 + 12 * i, map[i]);
	h[482] = more;
	put_number(h + 483, size);
	raw_checksum(h);
}

static void gnu_block(struct strbuf *tar, const uint64_t *map, size_t n, bool more)
{
	unsigned char block[512] = {0};

	for (size_t i = 0; i < n; i++)
		put_number(block + 12 * i, map[i]);
	block[504] = more;
	strbuf_add(tar, block, sizeof(block));
}

#define MAP(...) (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)

static void gnu(struct strbuf *tar, const char *data, uint64_t size, const uint64_t *map, size_t n)
{
	unsigned char h[512];

	gnu_header(h, strlen(data), size, map, n, false);
	strbuf_add(tar, h, sizeof(h));
	raw_body(tar, data, strlen(data));
}

/* records: "key=value" after GNU.sparse., divided by blanks. */
static void pax(struct strbuf *tar, const char *records, const char *data)
{
	auto_strbuf all = STRBUF_INIT;
	auto_free char *copy = xstrdup(records);
	char *rest = copy, *record;

	while ((record = strsep(&rest, " "))) {
		char *equals = strchr(record, '=');
		auto_free char *key = xasprintf("GNU.sparse.%.*s", (int)(equals - record), record);

		raw_record(&all, key, equals + 1);
	}
	raw_pax(tar, 'x', all.buf, all.len);
	raw_add(tar, (struct raw){.name = "m", .body = data});
}

/* Form 1.0: its map fills whole records. */
static void pax1(struct strbuf *tar, const char *size, const char *map, const char *data)
{
	auto_free char *records = xasprintf("major=1 minor=0 name=m realsize=%s", size);
	auto_strbuf all = STRBUF_INIT;

	raw_body(&all, map, strlen(map));
	strbuf_puts(&all, data);
	pax(tar, records, "");
	strbuf_setlen(tar, tar->len - 512);
	raw_add(tar, (struct raw){.name = "GNUSparseFile.1/m", .size = all.len});
	raw_body(tar, all.buf, all.len);
}

/* ---- what is read ---- */

static void every_form_is_read(void **state)
{
	static const char expected[] = "f m 0 0:0 522\n.2a512.3d1e1.3";
	static const char first[] = "size=522 numblocks=3 offset=2 numbytes=512 offset=517 numbytes=2 "
				    "offset=522 numbytes=0";
	auto_strbuf tar = STRBUF_INIT;
	unsigned char h[512];

	(void)state;
	gnu(&tar, body, 522, MAP(2, 512, 517, 2, 522, 0));
	assert_reads(&tar, expected);
	pax(&tar, first, body);
	assert_reads(&tar, expected);
	pax(&tar, "name=m size=522 numblocks=3 map=2,512,517,2,522,0", body);
	assert_reads(&tar, expected);
	pax(&tar, "major=0 minor=1 size=522 numblocks=3 map=2,512,517,2,522,0", body);
	assert_reads(&tar, expected);
	pax1(&tar, "522", "3\n2\n512\n517\n2\n522\n0\n", body);
	assert_reads(&tar, expected);
	/* an extension block: the header is full */
	gnu_header(h, strlen(body), 522, MAP(0, 0, 1, 0, 2, 512, 515, 0), true);
	strbuf_add(&tar, h, sizeof(h));
	gnu_block(&tar, MAP(517, 2, 522, 0), false);
	raw_body(&tar, body, strlen(body));
	assert_reads(&tar, expected);
	/* another member begins at the right place */
	pax1(&tar, "3", "1\n0\n3\n", "xyz");
	gnu(&tar, "x", 2, MAP(1, 1));
	raw_add(&tar, (struct raw){.name = "n", .body = "plain"});
	assert_reads(&tar, "f m 0 0:0 3\nf m 0 0:0 2\nf n 0 0:0 5\nx1y1z1.1x1p1l1a1i1n1");
}

static void a_file_may_be_one_hole(void **state)
{
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	gnu(&tar, "", 3, MAP(3, 0));
	gnu(&tar, "", 0, NULL, 0);
	pax(&tar, "size=1 numblocks=1 map=1,0", "");
	pax1(&tar, "0", "0\n", "");
	pax1(&tar, "0", "1\n0\n0\n", "");
	assert_reads(&tar, "f m 0 0:0 3\nf m 0 0:0 0\nf m 0 0:0 1\nf m 0 0:0 0\nf m 0 0:0 0\n.4");
}

static void the_name_is_that_of_the_map(void **state)
{
	static const char *const bad[] = {"../m", "a/../../m", "/../m", "m/.."};
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	pax(&tar, "name=/etc//./passwd size=1 numblocks=1 map=0,1", "x");
	assert_reads(&tar, "f etc/passwd 0 0:0 1\nx1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_free char *records = xasprintf("name=%s size=1 numblocks=1 map=0,1", bad[i]);
		auto_strbuf out = STRBUF_INIT;
		struct err err;

		pax(&tar, records, "x");
		assert_refused(read_sparse(&tar, &out, &err), ERR_INPUT);
		assert_non_null(strstr(err.msg, ".."));
		strbuf_reset(&tar);
	}
	raw_pax(&tar, 'L', "other", 6);
	pax(&tar, "name=m size=1 numblocks=1 map=0,1", "x");
	assert_bad(&tar, "two different names");
	pax(&tar, "name= size=1 numblocks=1 map=0,1", "x");
	{
		auto_strbuf out = STRBUF_INIT;
		struct err err;

		assert_refused(read_sparse(&tar, &out, &err), ERR_INPUT);
	}
}

/* The members as the checker alone sees them, in pieces of step bytes. */
static void members(const struct strbuf *tar, size_t step, struct strbuf *out)
{
	AUTO(tar_check_free) struct tar_check *c = tar_check_new(MAX);
	struct tree_entry e;
	struct err err = ERR_INIT;

	for (size_t at = 0; at < tar->len; at += step) {
		size_t n = tar->len - at < step ? tar->len - at : step;

		assert_ok(tar_check_feed(c, tar->buf + at, n, &err));
		while (tar_check_next(c, &e)) {
			strbuf_printf(out, "%s %llu %llu", e.path, (unsigned long long)e.offset,
				(unsigned long long)e.size);
			for (size_t i = 0; i < e.nextents; i++)
				strbuf_printf(out, " %llu+%llu", (unsigned long long)e.extents[i].offset,
					(unsigned long long)e.extents[i].size);
			strbuf_putc(out, '\n');
		}
	}
	assert_ok(tar_check_end(c, &err));
}

static void pieces_make_no_difference(void **state)
{
	static const size_t steps[] = {1, 7, 511, 512, 513, 100000};
	auto_strbuf tar = STRBUF_INIT, map = STRBUF_INIT;
	unsigned char h[512];

	(void)state;
	gnu_header(h, strlen(body), 12000, MAP(2, 512, 600, 0, 700, 0, 800, 0), true);
	strbuf_add(&tar, h, sizeof(h));
	gnu_block(&tar, MAP(900, 2, 12000, 0), false);
	raw_body(&tar, body, strlen(body));
	/* a number lies across two records */
	strbuf_puts(&map, "85\n");
	for (int i = 0; i < 84; i++)
		strbuf_puts(&map, "100\n0\n");
	strbuf_puts(&map, "777777\n1\n");
	assert_true(map.len > 512 && map.buf[511] == '7' && map.buf[512] == '7');
	pax1(&tar, "777778", map.buf, "x");
	raw_end(&tar);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		auto_strbuf out = STRBUF_INIT;

		members(&tar, steps[i], &out);
		assert_int_equal(strncmp(out.buf, "m 1024 12000 2+512 600+0 700+0 800+0 900+2 12000+0\n"
						  "m 4608 777778 100+0 ", 71), 0);
		assert_non_null(strstr(out.buf, " 100+0 777777+1\n"));
	}
}

/* ---- what is refused ---- */

static void wrong_maps_are_refused(void **state)
{
	static const struct {
		uint64_t size, map[4];
		const char *data, *why;
	} bad[] = {
		{9, {2, 3, 4, 2}, "abcde", "overlaps"},
		{9, {7, 2, 2, 3}, "abcde", "backwards"},
		{6, {2, 3, 5, 2}, "abcde", "beyond its size"},
		{8, {2, 3, 5, 3}, "abcde", "more or less"},
		{6, {2, 3, 5, 1}, "abcde", "more or less"},
		{7, {2, 3, 5, 2}, "abcde", "inside a record"},
		{9, {0, 0, 2, 5}, "abcde", "does not reach its end"},
		{9, {INT64_MAX, 3, 5, 1}, "abcde", "beyond the end of any file"},
		{9, {2, INT64_MAX, 5, 1}, "abcde", "beyond the end of any file"},
		{9, {2, 3, 1ull << 63, 2}, "abcde", "number in range"},
		{MAX + 1, {0, 5, MAX + 1, 0}, "abcde", "larger"},
		{1ull << 62, {0, 5, 1ull << 62, 0}, "abcde", "larger"},
	};
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint64_t *m = bad[i].map;
		auto_free char *size = xasprintf("%llu", (unsigned long long)bad[i].size);
		auto_free char *lines = xasprintf("2\n%llu\n%llu\n%llu\n%llu\n", (unsigned long long)m[0],
			(unsigned long long)m[1], (unsigned long long)m[2], (unsigned long long)m[3]);
		auto_free char *first = xasprintf(
			"size=%s numblocks=2 offset=%llu numbytes=%llu offset=%llu numbytes=%llu", size, (unsigned long long)m[0], (unsigned long long)m[1], (unsigned long long)m[2],
			(unsigned long long)m[3]);
		auto_free char *second = xasprintf("name=m size=%s numblocks=2 map=%llu,%llu,%llu,%llu", size,
			(unsigned long long)m[0], (unsigned long long)m[1], (unsigned long long)m[2],
			(unsigned long long)m[3]);

		gnu(&tar, bad[i].data, bad[i].size, m, 4);
		assert_bad(&tar, bad[i].why);
		pax(&tar, first, bad[i].data);
		assert_bad(&tar, bad[i].why);
		pax(&tar, second, bad[i].data);
		assert_bad(&tar, bad[i].why);
		pax1(&tar, size, lines, bad[i].data);
		assert_bad(&tar, bad[i].why);
	}
}

static void wrong_records_are_refused(void **state)
{
	static const struct {
		const char *records, *why;
	} bad[] = {
		{"size=5 numblocks=2 map=0,5", "as many pairs"},
		{"size=5 numblocks=1000000000 map=0,5", "as many pairs"},
		{"size=5 numblocks=1 map=0,5,5", "as many pairs"},
		{"size=5 numblocks=1 map=0,5,", "number"},
		{"size=5 numblocks=1 map=0,+5", "number"},
		{"size=5 numblocks=1 map=0,-5", "number"},
		{"size=5 numblocks=1 map=0;5", "number"},
		{"size=5 numblocks=1 map=", "number"},
		{"size=5 numblocks=1 map=0,99999999999999999999999", "number"},
		{"size=0x5 numblocks=1 map=0,5", "number"},
		{"size=9223372036854775808 numblocks=1 map=0,5", "number"},
		{"size=5 numblocks=1 offset=0", "as many pairs"},
		{"size=5 numblocks=1 numbytes=5 offset=0", "out of order"},
		{"size=5 numblocks=2 offset=0 offset=1 numbytes=5", "out of order"},
		{"size=5 offset=0 numbytes=5 numblocks=1", "out of order"},
		{"size=5 numblocks=1 map=0,5 offset=5 numbytes=0", "contradict"},
		{"size=5 numblocks=1 map=0,5 map=0,5", "twice"},
		{"size=5 size=5 numblocks=1 map=0,5", "twice"},
		{"numblocks=1 map=0,5", "contradict"},
		{"size=5 map=0,5", "contradict"},
		{"size=5 numblocks=0", "contradict"},
		{"realsize=5 size=5 numblocks=1 map=0,5", "contradict"},
		{"size=5 numblocks=1 map=0,5 fancy=1", "not known"},
		{"name=m", "contradict"},
		{"major=1 minor=0", "contradict"},
		{"major=1 minor=0 realsize=5 size=5", "contradict"},
		{"major=1 minor=0 realsize=5 numblocks=1 map=0,5", "contradict"},
		{"major=1 realsize=5", "not known"},
		{"minor=0 realsize=5", "not known"},
		{"major=2 minor=0 realsize=5", "not known"},
		{"major=1 minor=1 realsize=5", "not known"},
		{"major=0 minor=2 size=5 numblocks=1 map=0,5", "not known"},
		{"major=1 minor=0 realsize=5", "longer than it"}, /* no map in the body */
	};
	static const char kinds[] = "1256\0";
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pax(&tar, bad[i].records, "abcde");
		assert_bad(&tar, bad[i].why);
	}
	for (size_t i = 0; i < sizeof(kinds); i++) {
		raw_pax1(&tar, "GNU.sparse.name", "m");
		raw_add(&tar, (struct raw){.name = "m", .type = kinds[i], .link = "x", .v7 = kinds[i] == '\0'});
		assert_bad(&tar, "no file");
	}
}

static void wrong_text_is_refused(void **state)
{
	static const struct {
		const char *map, *why;
	} bad[] = {
		{"2\n0\n5\n", "number"}, /* what fills the record is no number */
		{"1\n0 5\n", "number"},
		{"\n0\n5\n", "number"},
		{"1\n0\n-5\n", "number"},
		{"#1\n1\n0\n5\n", "number"},
		{"1\n0\n9223372036854775808\n", "number"},
		{"000000000000000000000000000001\n0\n5\n", "number"},
		{"1000000000000\n", "number"},
	};
	auto_strbuf tar = STRBUF_INIT, map = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pax1(&tar, "5", bad[i].map, "abcde");
		assert_bad(&tar, bad[i].why);
	}
	/* more pairs than the body has room for */
	strbuf_puts(&map, "1000\n");
	while (map.len < 512)
		strbuf_puts(&map, "0\n");
	strbuf_setlen(&map, 512);
	pax1(&tar, "5", map.buf, "");
	assert_bad(&tar, "longer than it");
}

static void wrong_blocks_are_refused(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	unsigned char h[512];

	(void)state;
	/* a block after a map that has ended: readers disagree whether it counts */
	gnu_header(h, 5, 9, MAP(0, 5), true);
	strbuf_add(&tar, h, sizeof(h));
	gnu_block(&tar, MAP(5, 0), false);
	raw_body(&tar, "abcde", 5);
	assert_bad(&tar, "ends before its last record");
	/* pairs behind the end */
	gnu_header(h, 5, 9, MAP(0, 5), false);
	put_number(h + 386 + 60, 1);
	raw_checksum(h);
	strbuf_add(&tar, h, sizeof(h));
	raw_body(&tar, "abcde", 5);
	assert_bad(&tar, "after its end");
	/* only one number of a pair */
	gnu_header(h, 5, 9, MAP(0), false);
	raw_checksum(h);
	strbuf_add(&tar, h, sizeof(h));
	raw_body(&tar, "abcde", 5);
	assert_bad(&tar, "after its end");
	gnu_header(h, 5, 9, MAP(0, 5), false);
	h[386] = 'x';
	raw_checksum(h);
	strbuf_add(&tar, h, sizeof(h));
	assert_bad(&tar, "number");
	gnu_header(h, 5, 9, MAP(0, 5), false);
	memcpy(h + 257, "ustar\00000", 8);
	raw_checksum(h);
	strbuf_add(&tar, h, sizeof(h));
	assert_bad(&tar, "not known");
	gnu_header(h, 5, 9, MAP(0, 5), false);
	memset(h + 483, 0xff, 12);
	raw_checksum(h);
	strbuf_add(&tar, h, sizeof(h));
	assert_bad(&tar, "number");
	raw_pax1(&tar, "GNU.sparse.name", "m");
	gnu(&tar, "abcde", 9, MAP(0, 5));
	assert_bad(&tar, "two maps");
	raw_pax1(&tar, "GNU.sparse.name", "m");
	raw_add(&tar, (struct raw){.name = "m", .gnu = true});
	assert_bad(&tar, "not known");
	/* the archive ends where a block should be */
	gnu_header(h, 5, 9, MAP(0, 1, 1, 1, 2, 1, 3, 1), true);
	strbuf_add(&tar, h, sizeof(h));
	{
		auto_strbuf out = STRBUF_INIT;
		struct err err;

		assert_refused(read_sparse(&tar, &out, &err), ERR_INPUT);
		assert_non_null(strstr(err.msg, "'m': the archive ends inside its map"));
	}
}

/* ---- limits ---- */

static void the_map_is_limited(void **state)
{
	auto_strbuf tar = STRBUF_INIT, map = STRBUF_INIT;
	unsigned char h[512];
	uint64_t zeros[42] = {0};

	(void)state;
	/* a chain without end */
	gnu_header(h, 5, 9, MAP(0, 0, 0, 0, 0, 0, 0, 0), true);
	strbuf_add(&tar, h, sizeof(h));
	for (unsigned i = 0; i <= LAYER_SPARSE_MAP_MAX / 512; i++)
		gnu_block(&tar, zeros, 42, true);
	assert_bad(&tar, "map is larger");
	strbuf_puts(&map, "1000000000\n");
	while (map.len <= LAYER_SPARSE_MAP_MAX)
		strbuf_puts(&map, "0\n");
	pax1(&tar, "5", map.buf, "abcde");
	assert_bad(&tar, "map is larger");
	/* one that fits */
	strbuf_reset(&map);
	strbuf_printf(&map, "%u\n", LAYER_SPARSE_MAP_MAX / 4 - 2);
	for (unsigned i = 0; i < LAYER_SPARSE_MAP_MAX / 4 - 2; i++)
		strbuf_puts(&map, i ? "5\n0\n" : "0\n5\n");
	assert_true(map.len <= LAYER_SPARSE_MAP_MAX);
	{
		AUTO(tar_check_free) struct tar_check *c = tar_check_new(MAX);
		struct err err = ERR_INIT;

		pax1(&tar, "5", map.buf, "abcde");
		assert_ok(tar_check_feed(c, tar.buf, tar.len, &err));
	}
}

/* Sizes count together: 65536 files of the largest size would be 2^52 bytes. */
static void sizes_are_limited_together(void **state)
{
	AUTO(tar_check_free) struct tar_check *c = tar_check_new(LAYER_SIZE_MAX);
	auto_strbuf tar = STRBUF_INIT;
	struct tree_entry e;
	struct err err = ERR_INIT;

	(void)state;
	gnu(&tar, "", LAYER_SIZE_MAX - 1, MAP(LAYER_SIZE_MAX - 1, 0));
	assert_ok(tar_check_feed(c, tar.buf, tar.len, &err));
	assert_true(tar_check_next(c, &e));
	assert_int_equal(e.size, LAYER_SIZE_MAX - 1);
	strbuf_reset(&tar);
	gnu(&tar, "", 1, MAP(1, 0));
	assert_ok(tar_check_feed(c, tar.buf, tar.len, &err));
	assert_refused(tar_check_feed(c, tar.buf, tar.len, &err), ERR_INPUT);
	assert_non_null(strstr(err.msg, "'m'"));
}

static void maps_are_limited_together(void **state)
{
	AUTO(tar_check_free) struct tar_check *c = tar_check_new(LAYER_SIZE_MAX);
	auto_strbuf tar = STRBUF_INIT, map = STRBUF_INIT;
	unsigned pairs = LAYER_SPARSE_MAP_MAX / 4 - 2;
	struct tree_entry e;
	struct err err = ERR_INIT;
	int result = 0;
	uint64_t n = 0;

	(void)state;
	strbuf_printf(&map, "%u\n", pairs);
	for (unsigned i = 0; i < pairs; i++)
		strbuf_puts(&map, "0\n0\n");
	pax1(&tar, "0", map.buf, "");
	for (; result == 0 && n <= LAYER_META_MAX / pairs / sizeof(struct tree_extent); n++) {
		result = tar_check_feed(c, tar.buf, tar.len, &err);
		while (tar_check_next(c, &e))
			;
	}
	assert_int_equal(result, -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.msg, "names of the layer"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_read),
		cmocka_unit_test(a_file_may_be_one_hole),
		cmocka_unit_test(the_name_is_that_of_the_map),
		cmocka_unit_test(pieces_make_no_difference),
		cmocka_unit_test(wrong_maps_are_refused),
		cmocka_unit_test(wrong_records_are_refused),
		cmocka_unit_test(wrong_text_is_refused),
		cmocka_unit_test(wrong_blocks_are_refused),
		cmocka_unit_test(the_map_is_limited),
		cmocka_unit_test(sizes_are_limited_together),
		cmocka_unit_test(maps_are_limited_together),
	};

	memset(body, 'a', 512);
	memcpy(body + 512, "de", 3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
