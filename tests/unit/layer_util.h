/* What the tests of src/layer share: raw tar members, blobs in memory, scratch folders, a sink that
 * writes down. */
#ifndef WHITTLE_TESTS_LAYER_UTIL_H
#define WHITTLE_TESTS_LAYER_UTIL_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "layer/apply.h"
#include "layer/chain.h"
#include "layer/convert.h"
#include "layer/folder.h"
#include "layer/index.h"
#include "layer/tar_read.h"
#include "layer/tar_write.h"
#include "layer/tree.h"

#define UNUSED __attribute__((unused))

/* ---- errors ---- */

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s (%s)", #call, err.msg, err_kind_name(err.kind));          \
	} while (0)
#define assert_refused(call, expected)                                                             \
	do {                                                                                       \
		err = (struct err)ERR_INIT;                                                        \
		assert_int_equal((call), -1);                                                      \
		if (err.kind != (expected))                                                        \
			fail_msg("%s: %s, not %s: %s", #call, err_kind_name(err.kind),             \
				err_kind_name(expected), err.msg);                                 \
		assert_true(err.msg[0] != '\0');                                                   \
	} while (0)

/* ---- raw tar ---- */

struct raw {
	const char *name;
	char type; /* 0 means '0', or NUL with v7 */
	const char *link;
	const char *body;
	uint64_t size; /* for the field, if body is NULL */
	unsigned mode, uid, gid;
	int64_t mtime;
	unsigned major, minor;
	bool v7, gnu, no_checksum;
};

static UNUSED void raw_checksum(unsigned char *h)
{
	unsigned sum = 0;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	snprintf((char *)h + 148, 7, "%06o", sum);
	h[155] = ' ';
}

static UNUSED void raw_header(unsigned char *h, const struct raw *r)
{
	size_t size = r->body ? strlen(r->body) : r->size;

	memset(h, 0, 512);
	memcpy(h, r->name, strlen(r->name) < 100 ? strlen(r->name) : 100);
	snprintf((char *)h + 100, 8, "%07o", r->mode);
	snprintf((char *)h + 108, 8, "%07o", r->uid);
	snprintf((char *)h + 116, 8, "%07o", r->gid);
	snprintf((char *)h + 124, 12, "%011llo", (unsigned long long)size & 077777777777ull);
	snprintf((char *)h + 136, 12, "%011llo", (unsigned long long)r->mtime & 077777777777ull);
	h[156] = r->type ? (unsigned char)r->type : r->v7 ? 0 : (unsigned char)'0';
	if (r->link)
		memcpy(h + 157, r->link, strlen(r->link) < 100 ? strlen(r->link) : 100);
	if (r->gnu)
		memcpy(h + 257, "ustar  ", 8);
	else if (!r->v7)
		memcpy(h + 257, "ustar\00000", 8);
	snprintf((char *)h + 329, 8, "%07o", r->major);
	snprintf((char *)h + 337, 8, "%07o", r->minor);
	raw_checksum(h);
	if (r->no_checksum)
		h[150] ^= 1;
}

static UNUSED void raw_body(struct strbuf *sb, const void *body, size_t n)
{
	static const char zeros[512];

	strbuf_add(sb, body, n);
	strbuf_add(sb, zeros, (512 - n % 512) % 512);
}

static UNUSED void raw_add(struct strbuf *sb, struct raw r)
{
	unsigned char h[512];

	raw_header(h, &r);
	strbuf_add(sb, h, sizeof(h));
	if (r.body)
		raw_body(sb, r.body, strlen(r.body));
}

/* A local PAX header with the records as they stand. */
static UNUSED void raw_pax(struct strbuf *sb, char type, const void *records, size_t n)
{
	raw_add(sb, (struct raw){.name = "PaxHeaders.0/x", .type = type, .size = n});
	raw_body(sb, records, n);
}

static UNUSED void raw_record(struct strbuf *sb, const char *key, const char *value)
{
	size_t b = strlen(key) + strlen(value) + 3, n = b + 1;

	while (n != b + (size_t)snprintf(NULL, 0, "%zu", n))
		n = b + (size_t)snprintf(NULL, 0, "%zu", n);
	strbuf_printf(sb, "%zu %s=%s\n", n, key, value);
}

static UNUSED void raw_pax1(struct strbuf *sb, const char *key, const char *value)
{
	auto_strbuf r = STRBUF_INIT;

	raw_record(&r, key, value);
	raw_pax(sb, 'x', r.buf, r.len);
}

static UNUSED void raw_end(struct strbuf *sb)
{
	char zeros[1024] = {0};

	strbuf_add(sb, zeros, sizeof(zeros));
}

/* ---- blobs ---- */

static UNUSED int blob_of(const void *data, size_t n)
{
	int fd = memfd_create("blob", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, data, n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static UNUSED int blob_new(void)
{
	return blob_of("", 0);
}

static UNUSED void blob_load(int fd, struct strbuf *sb)
{
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(read_all(fd, sb, SIZE_MAX), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
}

/* ---- a sink that writes down ---- */

struct recorder {
	struct tree_sink sink;
	struct strbuf text;
	uint64_t data;
	int finished;
};

static UNUSED int recorder_entry(struct tree_sink *s, const struct tree_entry *e, struct err *err)
{
	static const char letters[] = "fdlhcbpw";
	struct recorder *r = (struct recorder *)s;

	(void)err;
	strbuf_printf(&r->text, "%c%s %s", letters[e->type], e->opaque ? "o" : "",
		e->path[0] ? e->path : ".");
	if (e->type != ENTRY_WHITEOUT)
		strbuf_printf(&r->text, " %o %u:%u", e->mode, e->uid, e->gid);
	if (e->type == ENTRY_FILE)
		strbuf_printf(&r->text, " %llu", (unsigned long long)e->size);
	if (e->link)
		strbuf_printf(&r->text, " -> %s", e->link);
	for (size_t i = 0; i < e->nxattrs; i++)
		strbuf_printf(&r->text, " [%s=%.*s]", e->xattrs[i].name, (int)e->xattrs[i].len,
			(const char *)e->xattrs[i].value);
	strbuf_putc(&r->text, '\n');
	return 0;
}

static UNUSED int recorder_data(struct tree_sink *s, const void *data, size_t n, struct err *err)
{
	(void)data;
	(void)err;
	((struct recorder *)s)->data += n;
	return 0;
}

static UNUSED int recorder_finish(struct tree_sink *s, struct err *err)
{
	(void)err;
	((struct recorder *)s)->finished++;
	return 0;
}

#define RECORDER_INIT                                                                              \
	{                                                                                          \
		.sink = {recorder_entry, recorder_data, recorder_finish}, .text = STRBUF_INIT      \
	}

/* ---- folders ---- */

static UNUSED int scratch_new(char path[64])
{
	int fd;

	snprintf(path, 64, "/tmp/whittle-layer-XXXXXX");
	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static UNUSED void scratch_end(int fd, const char *path)
{
	close(fd);
	remove_tree(AT_FDCWD, path);
}

static UNUSED void put_file(int dir, const char *path, const char *body)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, body, strlen(body)), 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static UNUSED void put_dir(int dir, const char *path)
{
	assert_int_equal(mkdirat(dir, path, 0755), 0);
}

static UNUSED void put_whiteout(int dir, const char *path)
{
	assert_int_equal(mknodat(dir, path, S_IFCHR, makedev(0, 0)), 0);
}

static UNUSED void put_xattr(int dir, const char *path, const char *name, const char *value)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fsetxattr(fd, name, value, strlen(value), 0), 0);
	close(fd);
}

static UNUSED void set_mtime(int dir, const char *path, time_t t)
{
	struct timespec times[2] = {{.tv_sec = t}, {.tv_sec = t}};

	assert_int_equal(utimensat(dir, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* ---- indexes from a few words ---- */

/* An index of entries as they come: type letter of the recorder and path, e.g. "d a", "f a/b", "w
 * a/c". */
static UNUSED struct tree_index *index_of(const char *const *lines)
{
	struct index_sink *s = index_sink_new(0);
	struct tree_sink *sink = index_sink_of(s);
	struct tree_index *ix;
	struct err err = ERR_INIT;

	for (; *lines; lines++) {
		static const char letters[] = "fdlhcbpw";
		auto_free char *line = xstrdup(*lines);
		char *arrow = strstr(line, " -> "), *path = strchr(line, ' ') + 1;
		struct tree_entry e = {.path = path, .mode = 0644, .uid = 1, .gid = 2, .mtime = 5};

		if (arrow) {
			*arrow = '\0';
			e.link = arrow + 4;
		}
		if (strcmp(path, ".") == 0)
			path[0] = '\0';
		e.type = (enum entry_type)(strchr(letters, line[0]) - letters);
		e.opaque = line[1] == 'o';
		e.size = e.type == ENTRY_FILE ? 7 : 0;
		if (e.type == ENTRY_DIR)
			e.mode = 0700;
		assert_ok(sink->entry(sink, &e, &err));
	}
	assert_ok(sink->finish(sink, &err));
	ix = index_of_sink(s);
	index_sink_free(s);
	return ix;
}

/* All records of an index as the recorder writes them. */
static UNUSED void index_text(const struct tree_index *ix, struct strbuf *out)
{
	struct recorder r = RECORDER_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < index_len(ix); i++) {
		struct tree_entry e;

		index_get(ix, i, &e);
		recorder_entry(&r.sink, &e, &err);
	}
	strbuf_add(out, r.text.buf, r.text.len);
	strbuf_release(&r.text);
}

#endif
