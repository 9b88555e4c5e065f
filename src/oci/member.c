/*
 * A member: one record of header, then its content in whole records.
 *
 *	offset  0 name 100    100 mode 8     108 uid 8      116 gid 8      124 size 12   136 mtime
 *12 148 checksum 8  156 type 1     157 link 100   257 magic 6    263 version 2 265 uname 32    297
 *gname 32   329 devmajor 8 337 devminor 8 345 prefix 155
 */
#include "oci/member.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "oci/image_archive.h"

#define GNU_NAME_MAX (64 * 1024) /* oci.md appendix A */
#define NAMES_BYTES_MAX                                                                            \
	(16 * 1024 * 1024) /* ours, of all names: 250 for each of IMAGE_ARCHIVE_MEMBERS_MAX */
#define OCTAL_SIZE_MAX UINT64_C(077777777777) /* eleven octal digits: 8 GiB - 1 */

enum {
	AT_NAME = 0,
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_SUM = 148,
	AT_TYPE = 156,
	AT_LINK = 157,
	AT_MAGIC = 257,
	AT_DEVMAJOR = 329,
	AT_DEVMINOR = 337,
	AT_PREFIX = 345,
	AT_STAR = 508, /* star writes "tar" there and shortens the prefix */
};

/* What extended headers say about the next member. */
struct extended {
	char *pax_path, *pax_link, *gnu_path, *gnu_link;
	uint64_t pax_size;
	bool has_size, has_pax;
};

struct reader {
	int fd;
	uint64_t at, end; /* next byte to read; size of the file */
	size_t names;	  /* bytes of all names so far */
	struct member_table *table;
	struct extended ext;
};

static const struct {
	const char *magic;
	size_t len;
	const char *name;
	bool compressed;
} signatures[] = {
	{"\x1f\x8b", 2, "gzip", true},
	{"\x28\xb5\x2f\xfd", 4, "zstd", true},
	{"BZh", 3, "bzip2", true},
	{"\xfd"
	 "7zXZ",
		5, "xz", true},
	{"PK\x03\x04", 4, "zip", false},
	{"7z\xbc\xaf\x27\x1c", 6, "7z", false},
	{"070701", 6, "cpio", false},
	{"070707", 6, "cpio", false},
};

static void extended_release(struct extended *e)
{
	free(e->pax_path);
	free(e->pax_link);
	free(e->gnu_path);
	free(e->gnu_link);
	*e = (struct extended){.has_pax = false};
}

void member_table_release(struct member_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].name);
		free(t->v[i].link);
	}
	free(t->v);
	*t = (struct member_table)MEMBER_TABLE_INIT;
}

static int read_at(int fd, void *buf, size_t n, uint64_t offset, struct err *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)buf + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "cannot read the archive");
		if (got == 0)
			return err_set(err, ERR_INPUT, "the archive ends inside a member");
		done += (size_t)got;
	}
	return 0;
}

static bool is_zero(const uint8_t *h)
{
	for (size_t i = 0; i < MEMBER_RECORD; i++)
		if (h[i])
			return false;
	return true;
}

/* A number field: octal in blanks, or base 256 with the top bit set. Returns 0, or -1 when it is
 * neither or negative. */
static int get_number(const uint8_t *field, size_t n, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	if (field[0] & 0x80) {
		if (field[0] & 0x40)
			return -1;
		for (v = field[0] & 0x3f, i = 1; i < n; i++) {
			if (v >> 55)
				return -1;
			v = v << 8 | field[i];
		}
		*ret = v;
		return 0;
	}
	while (i < n && (field[i] == ' ' || field[i] == 0))
		i++;
	while (n > i && (field[n - 1] == ' ' || field[n - 1] == 0))
		n--;
	for (; i < n; i++) {
		if (field[i] < '0' || field[i] > '7' || v >> 60)
			return -1;
		v = v << 3 | (uint64_t)(field[i] - '0');
	}
	*ret = v;
	return 0;
}

static bool checksum_ok(const uint8_t *h)
{
	uint64_t stated;
	uint32_t sum = 0;
	int32_t signed_sum = 0; /* what some old writers put there */

	for (size_t i = 0; i < MEMBER_RECORD; i++) {
		uint8_t c = i >= AT_SUM && i < AT_SUM + 8 ? ' ' : h[i];

		sum += c;
		signed_sum += (int8_t)c;
	}
	return get_number(h + AT_SUM, 8, &stated) == 0 &&
	       (stated == sum || (signed_sum >= 0 && stated == (uint32_t)signed_sum));
}

static char *header_name(const uint8_t *h)
{
	const char *s = (const char *)h;
	size_t name = strnlen(s + AT_NAME, 100);
	size_t prefix = 0;

	if (memcmp(h + AT_MAGIC, "ustar\0", 6) == 0)
		prefix = strnlen(s + AT_PREFIX, memcmp(h + AT_STAR, "tar\0", 4) == 0 ? 131 : 155);
	if (!prefix)
		return xstrndup(s + AT_NAME, name);
	return xasprintf("%.*s/%.*s", (int)prefix, s + AT_PREFIX, (int)name, s + AT_NAME);
}

/* Drop "./" in front and "/" behind; cuts in place. */
static void clean_name(char *name)
{
	char *p = name;
	size_t n;

	while (p[0] == '.' && p[1] == '/') {
		p += 2;
		while (*p == '/')
			p++;
	}
	n = strlen(p);
	while (n && p[n - 1] == '/')
		n--;
	memmove(name, p, n);
	name[n] = '\0';
}

/* Remember a name out of an extended header, once. */
static int keep_name(char **slot, const char *value, size_t n, struct err *err)
{
	if (!n)
		return 0; /* an empty value falls back to the header (oci.md 2.1) */
	if (*slot)
		return err_set(err, ERR_INPUT, "two names for one member in the archive");
	if (memchr(value, '\0', n))
		return err_set(err, ERR_INPUT, "a name with a NUL byte in the archive");
	*slot = xstrndup(value, n);
	return 0;
}

static int pax_record(struct extended *e, const char *key, size_t nkey, const char *value, size_t n,
	struct err *err)
{
	if (nkey == 4 && memcmp(key, "path", 4) == 0)
		return keep_name(&e->pax_path, value, n, err);
	if (nkey == 8 && memcmp(key, "linkpath", 8) == 0)
		return keep_name(&e->pax_link, value, n, err);
	if (nkey > 11 && memcmp(key, "GNU.sparse.", 11) == 0)
		return err_set(err, ERR_UNSUPPORTED,
			"sparse members in an image archive are not supported");
	if (nkey == 4 && memcmp(key, "size", 4) == 0) {
		auto_free char *text = xstrndup(value, n);

		if (e->has_size || strlen(text) != n ||
			parse_u64(text, 0, INT64_MAX, &e->pax_size) < 0)
			return err_set(
				err, ERR_INPUT, "malformed size in a PAX header of the archive");
		e->has_size = true;
	}
	return 0;
}

/* Records "LEN KEY=VALUE\n", LEN counting all of it. */
static int parse_pax(struct extended *e, const char *p, size_t n, struct err *err)
{
	const char *end = p + n;

	while (p < end) {
		const char *start = p, *equals;
		uint64_t len = 0;

		while (p < end && *p >= '0' && *p <= '9' && len <= IMAGE_ARCHIVE_PAX_MAX)
			len = len * 10 + (uint64_t)(*p++ - '0');
		if (p == start || *start == '0' || p >= end || *p != ' ' || len < 5 ||
			len > (uint64_t)(end - start) || start[len - 1] != '\n' || p >= start + len)
			return err_set(err, ERR_INPUT, "malformed PAX header in the archive");
		p++;
		equals = memchr(p, '=', (size_t)(start + len - 1 - p));
		if (!equals || equals == p)
			return err_set(err, ERR_INPUT, "malformed PAX header in the archive");
		if (pax_record(e, p, (size_t)(equals - p), equals + 1,
			    (size_t)(start + len - 1 - equals - 1), err) < 0)
			return -1;
		p = start + len;
	}
	return 0;
}

/* Read the content of an extended header into memory. */
static int read_body(struct reader *r, uint64_t size, size_t max, char **ret, struct err *err)
{
	if (size > max)
		return err_set(err, ERR_INPUT,
			"an extended header of %llu bytes in the archive, more than %zu",
			(unsigned long long)size, max);
	auto_free char *body = xmalloc((size_t)size + 1);
	if (read_at(r->fd, body, (size_t)size, r->at, err) < 0)
		return -1;
	body[size] = '\0';
	*ret = take_ptr(body);
	return 0;
}

/* Take over what the headers x, X, L, K and g say. Returns 1 when type is none of them. */
static int extended_header(struct reader *r, char type, uint64_t size, struct err *err)
{
	auto_free char *body = NULL;

	switch (type) {
	case 'g':
	case 'V':
		/* global records for later members would be an attack; a label says nothing */
		return 0;
	case 'x':
	case 'X':
		if (r->ext.has_pax)
			return err_set(
				err, ERR_INPUT, "two PAX headers for one member in the archive");
		r->ext.has_pax = true;
		if (read_body(r, size, IMAGE_ARCHIVE_PAX_MAX, &body, err) < 0)
			return -1;
		return parse_pax(&r->ext, body, (size_t)size, err);
	case 'L':
	case 'K':
		if (read_body(r, size, GNU_NAME_MAX, &body, err) < 0)
			return -1;
		return keep_name(
			type == 'L' ? &r->ext.gnu_path : &r->ext.gnu_link, body, strlen(body), err);
	default:
		return 1;
	}
}

/* The name that holds among PAX, GNU and plain header; the two extended ones must agree. */
static int choose_name(char **pax, char **gnu, char *plain, char **ret, struct err *err)
{
	auto_free char *own = plain;

	if (*pax && *gnu && strcmp(*pax, *gnu) != 0)
		return err_set(err, ERR_INPUT,
			"two different names for one member in the archive: '%s' and '%s'", *pax,
			*gnu);
	*ret = *pax ? take_ptr(*pax) : *gnu ? take_ptr(*gnu) : take_ptr(own);
	return 0;
}

static int add_member(struct reader *r, const uint8_t *h, char type, uint64_t size, struct err *err)
{
	auto_free char *name = NULL, *link = NULL;
	struct member m = {.offset = r->at, .size = size, .order = r->table->n, .type = type};

	if (choose_name(&r->ext.pax_path, &r->ext.gnu_path, header_name(h), &name, err) < 0 ||
		choose_name(&r->ext.pax_link, &r->ext.gnu_link,
			xstrndup((const char *)h + AT_LINK, 100), &link, err) < 0)
		return -1;
	if (strlen(name) > IMAGE_ARCHIVE_PATH_MAX || strlen(link) > IMAGE_ARCHIVE_PATH_MAX)
		return err_set(err, ERR_INPUT, "a member name of more than %d bytes in the archive",
			IMAGE_ARCHIVE_PATH_MAX);
	if (type == '\0' || type == '7')
		m.type = type == '\0' && *name && name[strlen(name) - 1] == '/' ? '5' : '0';
	if (r->table->n == IMAGE_ARCHIVE_MEMBERS_MAX)
		return err_set(err, ERR_INPUT, "more than %d members in the archive",
			IMAGE_ARCHIVE_MEMBERS_MAX);
	r->names += strlen(name) + strlen(link);
	if (r->names > NAMES_BYTES_MAX)
		return err_set(err, ERR_INPUT, "member names of more than %d bytes in the archive",
			NAMES_BYTES_MAX);
	clean_name(name);
	extended_release(&r->ext);
	GROW(r->table->v, r->table->n, r->table->cap);
	m.name = take_ptr(name);
	m.link = m.type == '1' || m.type == '2' ? take_ptr(link) : NULL;
	r->table->v[r->table->n++] = m;
	return 0;
}

/* Take in the header h, whose content begins at r->at, and pass over the content. */
static int take_header(struct reader *r, const uint8_t *h, struct err *err)
{
	char type = (char)h[AT_TYPE];
	uint64_t size, padded;
	int extended;

	if (!checksum_ok(h))
		return err_set(err, ERR_INPUT,
			r->table->n ? "a member header with a wrong checksum in the archive"
				    : "not a tar archive");
	if (get_number(h + AT_SIZE, 12, &size) < 0)
		return err_set(err, ERR_INPUT, "a member with a malformed size in the archive");
	if (type == 'S')
		return err_set(err, ERR_UNSUPPORTED,
			"sparse members in an image archive are not supported");
	if (type && !strchr("01234567gxXLKV", type))
		return err_set(
			err, ERR_INPUT, "a member of unknown type '%c' in the archive", type);
	if (type >= '1' && type <= '6' && r->ext.has_size && r->ext.pax_size)
		return err_set(err, ERR_INPUT, "a link or directory with content in the archive");
	if (type >= '1' && type <= '6')
		size = 0; /* these have no content, whatever old writers put there */
	else if (r->ext.has_size && (type == '\0' || type == '0' || type == '7'))
		size = r->ext.pax_size;
	if (size > r->end - r->at)
		return err_set(err, ERR_INPUT, "the archive ends inside a member");
	extended = extended_header(r, type, size, err);
	if (extended < 0 || (extended && add_member(r, h, type, size, err) < 0))
		return -1;
	padded = (size + MEMBER_RECORD - 1) / MEMBER_RECORD * MEMBER_RECORD;
	r->at = padded > r->end - r->at ? r->end : r->at + padded;
	return 0;
}

static int read_headers(struct reader *r, struct err *err)
{
	uint8_t h[MEMBER_RECORD];
	bool zero = false;

	while (r->at < r->end) {
		if (read_at(r->fd, h, sizeof(h), r->at, err) < 0)
			return -1;
		r->at += sizeof(h);
		if (is_zero(h)) {
			if (zero)
				break;
			zero = true;
			continue;
		}
		/* Some programs stop at a lone zero record and others read on: bait for
		 * disagreement. */
		if (zero)
			return err_set(err, ERR_INPUT, "data after a zero record in the archive");
		if (take_header(r, h, err) < 0)
			return -1;
	}
	if (r->ext.has_pax || r->ext.gnu_path || r->ext.gnu_link)
		return err_set(
			err, ERR_INPUT, "an extended header without a member in the archive");
	if (!r->table->n)
		return err_set(err, ERR_INPUT, "the archive is empty");
	return 0;
}

static int sniff(int fd, uint64_t size, struct err *err)
{
	char start[8] = "";

	if (size < MEMBER_RECORD && size < sizeof(start))
		return err_set(err, ERR_INPUT, "not a tar archive: only %llu bytes",
			(unsigned long long)size);
	if (read_at(fd, start, sizeof(start), 0, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
		if (memcmp(start, signatures[i].magic, signatures[i].len) != 0)
			continue;
		if (signatures[i].compressed)
			return err_set(err, ERR_UNSUPPORTED,
				"the archive is compressed (%s): decompress it first",
				signatures[i].name);
		return err_set(err, ERR_INPUT, "not a tar archive but %s", signatures[i].name);
	}
	return 0;
}

static int compare_members(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x->order > y->order) - (x->order < y->order);
}

int member_table_read(int fd, struct member_table *ret, struct err *err)
{
	struct reader r = {.fd = fd, .table = ret};
	struct stat st;
	int failed;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat the archive");
	r.end = (uint64_t)st.st_size;
	if (sniff(fd, r.end, err) < 0)
		return -1;
	failed = read_headers(&r, err);
	extended_release(&r.ext);
	if (!failed)
		qsort(ret->v, ret->n, sizeof(ret->v[0]), compare_members);
	return failed;
}

const struct member *member_lookup(
	const struct member_table *t, const char *name, size_t *ret_count)
{
	size_t low = 0, high = t->n, first;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(t->v[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (first = low; low < t->n && strcmp(t->v[low].name, name) == 0;)
		low++;
	if (ret_count)
		*ret_count = low - first;
	return low > first ? &t->v[low - 1] : NULL;
}

static int write_bytes(int fd, const void *data, size_t n, struct err *err)
{
	return write_all(fd, data, n) < 0 ? err_sys(err, "cannot write the archive") : 0;
}

static int write_record(
	int fd, const char *name, char type, unsigned int mode, uint64_t size, struct err *err)
{
	char h[MEMBER_RECORD] = "";
	unsigned int sum = 0;

	snprintf(h + AT_NAME, 100, "%s", name);
	snprintf(h + AT_MODE, 8, "%07o", mode & 07777);
	snprintf(h + AT_UID, 8, "%07o", 0U);
	snprintf(h + AT_GID, 8, "%07o", 0U);
	snprintf(h + AT_SIZE, 12, "%011llo", (unsigned long long)size);
	snprintf(h + AT_MTIME, 12, "%011o", 0U);
	memset(h + AT_SUM, ' ', 8);
	h[AT_TYPE] = type;
	memcpy(h + AT_MAGIC, "ustar\00000", 8);
	snprintf(h + AT_DEVMAJOR, 8, "%07o", 0U);
	snprintf(h + AT_DEVMINOR, 8, "%07o", 0U);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	snprintf(h + AT_SUM, 8, "%06o", sum); /* NUL, then the blank that is there */
	return write_bytes(fd, h, sizeof(h), err);
}

/* "LEN size=N\n" for a size that the header has no room for. */
static int write_pax_size(int fd, const char *name, uint64_t size, struct err *err)
{
	char record[64], pax_name[100];
	size_t len, digits = 2; /* " size=" and twenty digits at most: LEN always has two digits */

	len = digits +
	      (size_t)snprintf(record, sizeof(record), " size=%llu\n", (unsigned long long)size);
	snprintf(record, sizeof(record), "%zu size=%llu\n", len, (unsigned long long)size);
	snprintf(pax_name, sizeof(pax_name), "PaxHeaders/%s",
		strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
	if (write_record(fd, pax_name, 'x', 0444, len, err) < 0 ||
		write_bytes(fd, record, len, err) < 0)
		return -1;
	return member_write_padding(fd, len, err);
}

int member_write_header(int fd, const char *name, unsigned int mode, uint64_t size, struct err *err)
{
	size_t n = strlen(name);
	char type = n && name[n - 1] == '/' ? '5' : '0';

	if (size > OCTAL_SIZE_MAX) {
		if (write_pax_size(fd, name, size, err) < 0)
			return -1;
		size = 0; /* the PAX record holds */
	}
	return write_record(fd, name, type, mode, size, err);
}

int member_write_padding(int fd, uint64_t size, struct err *err)
{
	static const char zeros[MEMBER_RECORD];
	size_t rest = (size_t)(size % MEMBER_RECORD);

	return rest ? write_bytes(fd, zeros, MEMBER_RECORD - rest, err) : 0;
}

int member_write_end(int fd, struct err *err)
{
	static const char zeros[2 * MEMBER_RECORD];

	return write_bytes(fd, zeros, sizeof(zeros), err);
}
