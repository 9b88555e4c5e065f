#include "unit/layer_util.h"

#include "layer/bounds.h"

/* Read a tar from memory; what the sink saw is in *out. */
static int read_tar(const struct strbuf *tar, const struct layer_read_options *opt,
	struct strbuf *out, struct layer_info *info, struct err *err)
{
	auto_fd int fd = blob_of(tar->buf, tar->len);
	struct recorder r = RECORDER_INIT;
	int result = layer_read(fd, opt, &r.sink, info, err);

	assert_int_equal(r.finished, result == 0 ? 1 : 0);
	if (out) {
		strbuf_reset(out);
		strbuf_add(out, r.text.buf, r.text.len);
	}
	strbuf_release(&r.text);
	return result;
}

#define R(...) raw_add(&tar, (struct raw){__VA_ARGS__})

static void assert_reads(struct strbuf *tar, const char *expected)
{
	auto_strbuf out = STRBUF_INIT;
	struct err err = ERR_INIT;

	raw_end(tar);
	assert_ok(read_tar(tar, NULL, &out, NULL, &err));
	assert_string_equal(out.buf, expected);
	strbuf_reset(tar);
}

static void assert_bad(struct strbuf *tar, enum err_kind kind, const char *part)
{
	struct err err;

	raw_end(tar);
	assert_refused(read_tar(tar, NULL, NULL, NULL, &err), kind);
	if (part && !strstr(err.msg, part))
		fail_msg("'%s' does not say '%s'", err.msg, part);
	strbuf_reset(tar);
}

static void all_types_are_read(void **state)
{
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	R(.name = "d/", .type = '5', .mode = 0755);
	R(.name = "d/f", .body = "hello", .mode = 04755, .uid = 7, .gid = 8);
	R(.name = "d/s", .type = '2', .link = "../../out", .mode = 0644);
	R(.name = "d/h", .type = '1', .link = "d/f");
	R(.name = "d/c", .type = '3', .major = 1, .minor = 3, .mode = 0666);
	R(.name = "d/b", .type = '4', .major = 8, .mode = 0660);
	R(.name = "d/p", .type = '6', .mode = 0600);
	R(.name = "old", .type = '7', .body = "x");
	assert_reads(&tar,
		"d d 755 0:0\nf d/f 4755 7:8 5\nl d/s 777 0:0 -> ../../out\nh d/h 0 0:0 -> d/f\n"
		"c d/c 666 0:0\nb d/b 660 0:0\np d/p 600 0:0\nf old 0 0:0 1\n");
}

static void names_are_cleaned_or_refused(void **state)
{
	static const char *const bad[] = {"../x", "a/../../b", "a/..", "..", "/../x", "a/.wh./b"};
	auto_strbuf tar = STRBUF_INIT, name = STRBUF_INIT;

	(void)state;
	R(.name = "/etc/passwd");
	R(.name = "./a//b/./c");
	R(.name = "./", .type = '5', .mode = 0700);
	R(.name = "a\\b");
	assert_reads(&tar, "f etc/passwd 0 0:0 0\nf a/b/c 0 0:0 0\nd . 700 0:0\nf a\\b 0 0:0 0\n");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		R(.name = bad[i]);
		assert_bad(&tar, ERR_INPUT, NULL);
	}
	R(.name = "file/");
	assert_bad(&tar, ERR_INPUT, "slash");
	R(.name = "");
	assert_bad(&tar, ERR_INPUT, "empty name");
	for (int i = 0; i < 256; i++)
		strbuf_putc(&name, 'x');
	raw_pax1(&tar, "path", name.buf);
	R(.name = "x");
	assert_bad(&tar, ERR_INPUT, "255");
	strbuf_reset(&name);
	while (name.len < 5000)
		strbuf_puts(&name, "dir/");
	raw_pax1(&tar, "path", name.buf);
	R(.name = "x", .type = '5');
	assert_bad(&tar, ERR_INPUT, "4096");
}

static void depth_is_limited(void **state)
{
	auto_strbuf tar = STRBUF_INIT, name = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < LAYER_DEPTH_MAX; i++)
		strbuf_puts(&name, i ? "/d" : "d");
	raw_pax1(&tar, "path", name.buf);
	R(.name = "x");
	strbuf_puts(&name, "/d");
	raw_pax1(&tar, "path", name.buf);
	R(.name = "x");
	assert_bad(&tar, ERR_INPUT, "components");
	strbuf_reset(&name);
	for (int i = 0; i < 10000; i++)
		strbuf_puts(&name, "d/");
	raw_pax(&tar, 'L', name.buf, name.len);
	R(.name = "x", .gnu = true);
	assert_bad(&tar, ERR_INPUT, NULL);
}

static void root_must_be_a_directory(void **state)
{
	static const char types[] = "012346";
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; types[i]; i++) {
		R(.name = "./", .type = types[i], .link = "/");
		assert_bad(&tar, ERR_INPUT, NULL);
		R(.name = ".", .type = types[i], .link = "etc", .major = 1);
		assert_bad(&tar, ERR_INPUT, NULL);
	}
}

static void links_are_checked(void **state)
{
	auto_strbuf tar = STRBUF_INIT, target = STRBUF_INIT;

	(void)state;
	R(.name = "h", .type = '1', .link = "../../etc/shadow");
	assert_bad(&tar, ERR_INPUT, "..");
	R(.name = "h", .type = '1', .link = "h");
	assert_bad(&tar, ERR_INPUT, "itself");
	R(.name = "h", .type = '1', .link = "/");
	assert_bad(&tar, ERR_INPUT, NULL);
	R(.name = "s", .type = '2', .link = "");
	assert_bad(&tar, ERR_INPUT, "target");
	while (target.len < 5000)
		strbuf_putc(&target, 'x');
	raw_pax1(&tar, "linkpath", target.buf);
	R(.name = "s", .type = '2', .link = "x");
	assert_bad(&tar, ERR_INPUT, "4095");
	R(.name = "a");
	R(.name = "h", .type = '1', .link = "/a");
	assert_reads(&tar, "f a 0 0:0 0\nh h 0 0:0 -> a\n");
}

static void whiteouts_are_decoded(void **state)
{
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	R(.name = "a/.wh.gone");
	R(.name = ".wh.top", .body = "ignored");
	R(.name = "a/.wh..wh..opq");
	R(.name = ".wh..wh..opq");
	R(.name = ".wh..wh.plnk/12.3", .body = "x");
	R(.name = "d/.wh..wh.aufs", .type = '2', .link = "x");
	R(.name = "a/.wh..x");
	assert_reads(&tar, "w a/gone\nw top\nwo a\nwo .\nw a/.x\n");
}

static void bad_whiteouts_are_refused(void **state)
{
	static const char *const bad[] = {
		".wh.", "a/.wh.", ".wh..", "a/.wh...", ".wh.d/x", "a/.wh.b/c", "a/.wh..wh..opq/x"};
	struct layer_read_options plain = LAYER_READ_INIT;
	auto_strbuf tar = STRBUF_INIT;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) - 1; i++) {
		R(.name = bad[i]);
		assert_bad(&tar, ERR_INPUT, NULL);
	}
	R(.name = ".wh.x", .type = '5');
	assert_bad(&tar, ERR_INPUT, "directory");
	R(.name = ".wh.x", .type = '2', .link = "y");
	assert_bad(&tar, ERR_INPUT, NULL);
	R(.name = "h", .type = '1', .link = ".wh..wh.plnk/12.3");
	assert_bad(&tar, ERR_INPUT, "plnk");
	plain.plain_tree = true;
	R(.name = "a/.wh.b");
	raw_end(&tar);
	assert_refused(read_tar(&tar, &plain, NULL, NULL, &err), ERR_INPUT);
}

static void headers_must_be_whole(void **state)
{
	static const char types[] = "DMNIAZ\x80";
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	R(.name = "a", .no_checksum = true);
	assert_bad(&tar, ERR_INPUT, NULL);
	R(.name = "ok");
	R(.name = "a", .no_checksum = true);
	assert_bad(&tar, ERR_INPUT, "offset 512");
	for (size_t i = 0; types[i]; i++) {
		R(.name = "a", .type = types[i]);
		assert_bad(&tar, ERR_INPUT, "type");
	}
	R(.name = "a", .type = 'S');
	assert_bad(&tar, ERR_UNSUPPORTED, "'a': sparse");
	R(.name = "label", .type = 'V');
	R(.name = "a");
	assert_reads(&tar, "f a 0 0:0 0\n");
}

static void numbers_are_strict(void **state)
{
	static const struct {
		size_t at, len;
		const char *bytes;
	} bad[] = {
		{124, 12, "77777777777x"},
		{124, 12, "\x80\0\0\0\x80\0\0\0\0\0\0\0"},		       /* 2^63 */
		{124, 12, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}, /* -1 */
		{108, 8, "\x80\0\0\0\xff\xff\xff\xff"},			       /* 2^32 - 1 */
		{108, 8, "\xff\xff\xff\xff\xff\xff\xff\xff"},
		{116, 8, "12 34   "},
		{136, 12, "1e9        "},
		{100, 8, "rwxr-xr-"},
	};
	auto_strbuf tar = STRBUF_INIT;
	unsigned char h[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		raw_header(h, &(struct raw){.name = "a"});
		memcpy(h + bad[i].at, bad[i].bytes, bad[i].len);
		raw_checksum(h);
		strbuf_add(&tar, h, sizeof(h));
		assert_bad(&tar, ERR_INPUT, NULL);
	}
	raw_header(h, &(struct raw){.name = "a"});
	memcpy(h + 108, "\x80\0\0\0\xff\xff\xff\xfe", 8);
	memcpy(h + 116, "  17  \0", 8);
	memcpy(h + 136, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
	raw_checksum(h);
	strbuf_add(&tar, h, sizeof(h));
	assert_reads(&tar, "f a 0 4294967294:15 0\n");
}

static void devices_are_checked(void **state)
{
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	R(.name = "null", .type = '3');
	assert_bad(&tar, ERR_INPUT, "whiteout");
	R(.name = "b", .type = '4', .major = 4096);
	assert_bad(&tar, ERR_INPUT, "device");
	R(.name = "b", .type = '4', .minor = 1u << 20);
	assert_bad(&tar, ERR_INPUT, "device");
}

static void pax_records_count(void **state)
{
	auto_strbuf tar = STRBUF_INIT, r = STRBUF_INIT;

	(void)state;
	raw_record(&r, "path", "long/\xc3\xa4");
	raw_record(&r, "uid", "3000000");
	raw_record(&r, "gid", "4294967294");
	raw_record(&r, "mtime", "1350244992.023960108");
	raw_record(&r, "SCHILY.xattr.user.b", "2");
	raw_record(&r, "SCHILY.xattr.user.a", "1");
	raw_record(&r, "SCHILY.xattr.trusted.overlay.redirect", "/other");
	raw_record(&r, "SCHILY.xattr.user.overlay.opaque", "y");
	raw_record(&r, "SCHILY.xattr.security.selinux", "x");
	raw_record(&r, "LIBARCHIVE.xattr.user.%63", "aGk");
	raw_record(&r, "LIBARCHIVE.xattr.user.a", "aGk");
	raw_record(&r, "unknown", "x");
	raw_pax(&tar, 'x', r.buf, r.len);
	R(.name = "short", .body = "12345", .mode = 0600);
	raw_pax1(&tar, "size", "3");
	R(.name = "b", .size = 700);
	raw_body(&tar, "abc", 3);
	assert_reads(&tar, "f long/\xc3\xa4 600 3000000:4294967294 5 [user.a=1] [user.b=2] "
			   "[user.c=hi]\nf b 0 0:0 3\n");
}

static void malformed_pax_is_refused(void **state)
{
	static const char *const bad[] = {
		"9 path=ab\n",
		"11 path=a\n",
		"0 path=a\n",
		"09 path=a\n",
		"-9 path=a\n",
		"9path=a\n",
		"6 =ab\n",
		"8 noval\n",
		"99999999999999999999999 a=b\n",
		"9 path=aX",
		"5 a\n\n",
		"4 a=",
		"+9 path=a\n",
		"1048577 a=b\n",
	};
	static const struct {
		const char *key, *value;
	} values[] = {{"uid", "-1"}, {"uid", "4294967295"}, {"gid", "0x5"},
		{"size", "9223372036854775808"}, {"size", "1.5"}, {"mtime", "1e9"},
		{"mtime", "nan"}, {"mtime", "9223372036854775808"}, {"mtime", "-"}};
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		raw_pax(&tar, 'x', bad[i], strlen(bad[i]));
		R(.name = "a");
		assert_bad(&tar, ERR_INPUT, NULL);
	}
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		raw_pax1(&tar, values[i].key, values[i].value);
		R(.name = "a");
		assert_bad(&tar, ERR_INPUT, NULL);
	}
	raw_pax(&tar, 'x', "10 path=a\0\n", 11);
	R(.name = "a");
	assert_bad(&tar, ERR_INPUT, NULL);
	raw_pax(&tar, 'x', "11 path=a\0\n", 11);
	R(.name = "a");
	assert_bad(&tar, ERR_INPUT, "NUL");
	raw_pax1(&tar, "GNU.sparse.major", "1");
	R(.name = "a");
	assert_bad(&tar, ERR_UNSUPPORTED, "'a': sparse");
}

static void contradictions_are_refused(void **state)
{
	auto_strbuf tar = STRBUF_INIT, r = STRBUF_INIT;

	(void)state;
	raw_record(&r, "path", "a");
	raw_record(&r, "path", "b");
	raw_pax(&tar, 'x', r.buf, r.len);
	R(.name = "x");
	assert_bad(&tar, ERR_INPUT, "twice");
	raw_pax1(&tar, "path", "a");
	raw_pax1(&tar, "path", "a");
	R(.name = "x");
	assert_bad(&tar, ERR_INPUT, "two PAX");
	raw_pax1(&tar, "path", "a");
	raw_pax(&tar, 'L', "b", 2);
	R(.name = "x");
	assert_bad(&tar, ERR_INPUT, "different names");
	raw_pax1(&tar, "path", "a");
	assert_bad(&tar, ERR_INPUT, "without a member");
	raw_pax1(&tar, "size", "512");
	R(.name = "h", .type = '2', .link = "x");
	assert_bad(&tar, ERR_INPUT, "size");
	for (int i = 0; i < 20; i++)
		raw_pax(&tar, 'g', "", 0);
	R(.name = "x");
	assert_bad(&tar, ERR_INPUT, "too many");
	R(.name = "x", .type = 'x', .size = (1 << 20) + 1);
	assert_bad(&tar, ERR_INPUT, "larger");
	R(.name = "x", .type = 'L', .size = 1 << 30);
	assert_bad(&tar, ERR_INPUT, "larger");
}

static void global_headers_change_nothing(void **state)
{
	auto_strbuf tar = STRBUF_INIT, r = STRBUF_INIT;

	(void)state;
	raw_record(&r, "path", "evil");
	raw_record(&r, "size", "512");
	raw_record(&r, "comment", "0123");
	raw_pax(&tar, 'g', r.buf, r.len);
	R(.name = "a", .body = "x");
	R(.name = "b", .body = "y");
	assert_reads(&tar, "f a 0 0:0 1\nf b 0 0:0 1\n");
}

static void gnu_long_names_are_read(void **state)
{
	auto_strbuf tar = STRBUF_INIT, name = STRBUF_INIT, expected = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 40; i++)
		strbuf_puts(&name, "name/");
	strbuf_puts(&name, "x");
	raw_add(&tar,
		(struct raw){
			.name = "././@LongLink", .type = 'K', .size = name.len + 1, .gnu = true});
	raw_body(&tar, name.buf, name.len + 1);
	raw_add(&tar,
		(struct raw){
			.name = "././@LongLink", .type = 'L', .size = name.len + 1, .gnu = true});
	raw_body(&tar, name.buf, name.len + 1);
	R(.name = "name", .type = '2', .link = "name", .gnu = true);
	strbuf_printf(&expected, "l %s 777 0:0 -> %s\n", name.buf, name.buf);
	assert_reads(&tar, expected.buf);
}

static void truncated_archives_are_refused(void **state)
{
	auto_strbuf tar = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	R(.name = "a", .body = "hello");
	R(.name = "b");
	assert_ok(read_tar(&tar, NULL, NULL, NULL, &err)); /* the end mark may be missing */
	for (size_t n = 1; n < tar.len; n++) {
		auto_strbuf part = STRBUF_INIT;

		strbuf_add(&part, tar.buf, n);
		if (n == 1024)
			assert_ok(read_tar(&part, NULL, NULL, NULL, &err));
		else
			assert_refused(read_tar(&part, NULL, NULL, NULL, &err), ERR_INPUT);
	}
}

static void end_mark_is_two_records(void **state)
{
	static const char zeros[512];
	auto_strbuf tar = STRBUF_INIT, out = STRBUF_INIT, alone = STRBUF_INIT;
	struct layer_info info;
	char digest[DIGEST_STR_SIZE];
	struct err err = ERR_INIT;

	(void)state;
	R(.name = "a");
	strbuf_add(&tar, zeros, 512);
	assert_refused(read_tar(&tar, NULL, NULL, NULL, &err), ERR_INPUT);
	R(.name = "b");
	assert_bad(&tar, ERR_INPUT, NULL);

	R(.name = "a");
	raw_end(&tar);
	R(.name = "../second", .body = "archive");
	strbuf_puts(&tar, "rubbish");
	assert_ok(read_tar(&tar, NULL, &out, &info, &err));
	assert_string_equal(out.buf, "f a 0 0:0 0\n");
	sha256_buf_str(tar.buf, tar.len, digest);
	assert_string_equal(info.diff_id, digest);
	assert_int_equal(info.diff_size, tar.len);
	assert_ok(read_tar(&alone, NULL, &out, &info, &err));
	assert_int_equal(info.entries, 0);
	raw_end(&alone);
	assert_ok(read_tar(&alone, NULL, &out, &info, &err));
	assert_string_equal(info.diff_id,
		"sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

static void sizes_of_members_without_contents_mean_nothing(void **state)
{
	auto_strbuf tar = STRBUF_INIT;

	(void)state;
	R(.name = "d", .type = '5', .size = 4096);
	R(.name = "s", .type = '2', .link = "x", .size = 1);
	R(.name = "d2/", .type = '\0', .v7 = true);
	R(.name = "a", .body = "x");
	assert_reads(&tar, "d d 0 0:0\nl s 777 0:0 -> x\nd d2 0 0:0\nf a 0 0:0 1\n");
}

static void attributes_are_limited(void **state)
{
	auto_strbuf tar = STRBUF_INIT, r = STRBUF_INIT, big = STRBUF_INIT, key = STRBUF_INIT;

	(void)state;
	while (big.len <= LAYER_XATTR_VALUE_MAX)
		strbuf_putc(&big, 'v');
	raw_pax1(&tar, "SCHILY.xattr.user.big", big.buf);
	R(.name = "a");
	assert_bad(&tar, ERR_INPUT, "user.big");
	strbuf_puts(&key, "SCHILY.xattr.user.");
	for (int i = 0; i < 300; i++)
		strbuf_putc(&key, 'n');
	raw_pax1(&tar, key.buf, "x");
	R(.name = "a");
	assert_bad(&tar, ERR_INPUT, "255");
	for (int i = 0; i <= LAYER_XATTRS_MAX; i++) {
		strbuf_reset(&key);
		strbuf_printf(&key, "SCHILY.xattr.user.%d", i);
		raw_record(&r, key.buf, "x");
	}
	raw_pax(&tar, 'x', r.buf, r.len);
	R(.name = "a");
	assert_bad(&tar, ERR_INPUT, "256");
	raw_pax1(&tar, "SCHILY.xattr.security.capability", "1234567");
	R(.name = "a");
	assert_bad(&tar, ERR_INPUT, "capability");
}

static void promises_are_verified(void **state)
{
	struct layer_read_options opt = LAYER_READ_INIT;
	auto_strbuf tar = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];
	struct err err = ERR_INIT;

	(void)state;
	R(.name = "a", .body = "hello");
	raw_end(&tar);
	sha256_buf_str(tar.buf, tar.len, digest);
	opt = (struct layer_read_options){.digest = digest, .size = tar.len, .diff_id = digest};
	assert_ok(read_tar(&tar, &opt, NULL, NULL, &err));
	opt.size++;
	assert_refused(read_tar(&tar, &opt, NULL, NULL, &err), ERR_CORRUPT);
	opt.size -= 2;
	assert_refused(read_tar(&tar, &opt, NULL, NULL, &err), ERR_CORRUPT);
	opt.size++;
	digest[10] ^= 1;
	opt.digest = NULL;
	assert_refused(read_tar(&tar, &opt, NULL, NULL, &err), ERR_CORRUPT);
	opt.diff_id = NULL;
	opt.digest = digest;
	assert_refused(read_tar(&tar, &opt, NULL, NULL, &err), ERR_CORRUPT);
	strbuf_setlen(&tar, 700); /* a damaged copy: the digest is the better news */
	opt.size = UINT64_MAX;
	assert_refused(read_tar(&tar, &opt, NULL, NULL, &err), ERR_CORRUPT);
}

static int refuse(struct tree_sink *s, const struct tree_entry *e, struct err *err)
{
	(void)s;
	return err_set(err, ERR_DISK, "no room for '%s'", e->path);
}

static void errors_of_the_sink_come_through(void **state)
{
	struct tree_sink sink = {refuse, recorder_data, recorder_finish};
	auto_strbuf tar = STRBUF_INIT;
	auto_fd int fd = -1;
	struct err err;

	(void)state;
	R(.name = "a");
	raw_end(&tar);
	fd = blob_of(tar.buf, tar.len);
	assert_refused(layer_read(fd, NULL, &sink, NULL, &err), ERR_DISK);
}

static void many_members_cross_blocks(void **state)
{
	auto_strbuf tar = STRBUF_INIT, out = STRBUF_INIT, expected = STRBUF_INIT;
	struct layer_info info;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		char name[32], body[700];
		size_t n = (size_t)(i * 37 % 699);

		snprintf(name, sizeof(name), "dir/f%d", i);
		memset(body, 'b', n);
		body[n] = '\0';
		R(.name = name, .body = body);
		strbuf_printf(&expected, "f %s 0 0:0 %zu\n", name, n);
	}
	raw_end(&tar);
	assert_ok(read_tar(&tar, NULL, &out, &info, &err));
	assert_string_equal(out.buf, expected.buf);
	assert_int_equal(info.entries, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types_are_read),
		cmocka_unit_test(names_are_cleaned_or_refused),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(root_must_be_a_directory),
		cmocka_unit_test(links_are_checked),
		cmocka_unit_test(whiteouts_are_decoded),
		cmocka_unit_test(bad_whiteouts_are_refused),
		cmocka_unit_test(headers_must_be_whole),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(devices_are_checked),
		cmocka_unit_test(pax_records_count),
		cmocka_unit_test(malformed_pax_is_refused),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(global_headers_change_nothing),
		cmocka_unit_test(gnu_long_names_are_read),
		cmocka_unit_test(truncated_archives_are_refused),
		cmocka_unit_test(end_mark_is_two_records),
		cmocka_unit_test(sizes_of_members_without_contents_mean_nothing),
		cmocka_unit_test(attributes_are_limited),
		cmocka_unit_test(promises_are_verified),
		cmocka_unit_test(errors_of_the_sink_come_through),
		cmocka_unit_test(many_members_cross_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
