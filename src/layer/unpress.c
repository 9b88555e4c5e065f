#include "layer/unpress.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "layer/bounds.h"

#define READ_BLOCK ((size_t)64 << 10)
#define ONE_FILTER 2 /* what libarchive counts for one compression: it, and the bytes below */

struct unpress {
	struct archive *a;
	uint64_t out, max;
};

/* The 13 bytes of an lzma header have no magic: usual properties, a dictionary of 2^n or 2^n + 2^(n-1), a size. */
static bool looks_like_lzma(const unsigned char *p, size_t n)
{
	uint32_t dict, low;
	uint64_t size = 0;

	if (n < 13 || p[0] != 0x5d)
		return false;
	dict = (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 24;
	low = dict & -dict;
	if (dict < 4096 || (dict != low && dict != low * 3))
		return false;
	for (int i = 0; i < 8; i++)
		size |= (uint64_t)p[5 + i] << (8 * i);
	return size == UINT64_MAX || size < LAYER_SIZE_MAX;
}

enum unpress_format unpress_find(const void *head, size_t n)
{
	const unsigned char *p = head;

	if (n >= 10 && memcmp(p, "BZh", 3) == 0 && memcmp(p + 4, "1AY&SY", 6) == 0)
		return UNPRESS_BZIP2;
	if (n >= 6 && memcmp(p, "\xfd" "7zXZ", 6) == 0)
		return UNPRESS_XZ;
	if (n >= 6 && memcmp(p, "LZIP", 4) == 0 && p[4] <= 1)
		return UNPRESS_LZIP;
	if (n >= 4 && memcmp(p, "\x04\x22\x4d\x18", 4) == 0)
		return UNPRESS_LZ4;
	return looks_like_lzma(p, n) ? UNPRESS_LZMA : UNPRESS_NONE;
}

static int fail(const struct unpress *u, struct err *err)
{
	const char *why = archive_error_string(u->a);

	return err_set(err, ERR_INPUT, "malformed compressed stream: %s", why ? why : "no reason given");
}

/* ARCHIVE_WARN would mean that the library wants to run a program for it: then it is not read. */
static bool add_filter(struct archive *a, enum unpress_format format)
{
	switch (format) {
	case UNPRESS_BZIP2:
		return archive_read_support_filter_bzip2(a) == ARCHIVE_OK;
	case UNPRESS_XZ:
		return archive_read_support_filter_xz(a) == ARCHIVE_OK;
	case UNPRESS_LZMA:
		return archive_read_support_filter_lzma(a) == ARCHIVE_OK;
	case UNPRESS_LZIP:
		return archive_read_support_filter_lzip(a) == ARCHIVE_OK;
	case UNPRESS_LZ4:
		return archive_read_support_filter_lz4(a) == ARCHIVE_OK;
	case UNPRESS_NONE:
		break;
	}
	return false;
}

struct unpress *unpress_open(int fd, enum unpress_format format, uint64_t max, struct err *err)
{
	AUTO(unpress_free) struct unpress *u = xcalloc(1, sizeof(*u));
	struct archive_entry *entry;
	struct stat st;

	if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		err_sys(err, "cannot read a compressed archive");
		return NULL;
	}
	u->max = max ? max : LAYER_SIZE_MAX;
	if ((uint64_t)st.st_size < (u->max - LAYER_RATIO_FREE) / LAYER_RATIO_FOREIGN)
		u->max = LAYER_RATIO_FREE + (uint64_t)st.st_size * LAYER_RATIO_FOREIGN;
	if (max && u->max > max)
		u->max = max;
	u->a = archive_read_new();
	if (!u->a)
		abort(); /* out of memory, as base/mem.h has it */
	if (!add_filter(u->a, format) || archive_read_support_format_raw(u->a) != ARCHIVE_OK) {
		err_set(err, ERR_UNSUPPORTED, "this build of libarchive does not read that compression");
		return NULL;
	}
	if (archive_read_open_fd(u->a, fd, READ_BLOCK) != ARCHIVE_OK ||
		archive_read_next_header(u->a, &entry) != ARCHIVE_OK) {
		fail(u, err);
		return NULL;
	}
	/* a stream inside a stream is what no other builder reads */
	if (archive_filter_count(u->a) != ONE_FILTER) {
		err_set(err, ERR_INPUT, "malformed compressed stream");
		return NULL;
	}
	return take_ptr(u);
}

ssize_t unpress_read(struct unpress *u, void *data, size_t n, struct err *err)
{
	size_t done = 0;

	while (done < n) {
		la_ssize_t got = archive_read_data(u->a, (char *)data + done, n - done);

		if (got < 0)
			return fail(u, err);
		if (got == 0)
			break;
		done += (size_t)got;
		u->out += (uint64_t)got;
		if (u->out > u->max)
			return err_set(err, ERR_INPUT, "a compressed archive unpacks to more than %llu bytes",
				(unsigned long long)u->max);
	}
	return (ssize_t)done;
}

void unpress_free(struct unpress *u)
{
	if (!u)
		return;
	archive_read_free(u->a);
	free(u);
}
