#include "build/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/wire.h"
#include "layer/apply.h"
#include "layer/compress.h"
#include "layer/tar_read.h"
#include "layer/unpress.h"
#include "sandbox/holder.h"

#define RECORD 512
#define CHECKSUM_AT 148
#define CHECKSUM_SIZE 8
#define BLANK ' '
#define COPY_BLOCK ((size_t)128 << 10)

_Static_assert(RECORD >= UNPRESS_HEAD, "one record is enough to know a compression by");

/* Whether the record is a tar header: its checksum, of signed or unsigned bytes, is right. */
static bool is_tar_header(const unsigned char *h)
{
	int64_t sum = 0, signed_sum = 0;
	char field[CHECKSUM_SIZE + 1];
	char *end;
	long want;

	for (int i = 0; i < RECORD; i++) {
		unsigned char c = i >= CHECKSUM_AT && i < CHECKSUM_AT + CHECKSUM_SIZE ? BLANK : h[i];

		sum += c;
		signed_sum += (signed char)c;
	}
	memcpy(field, h + CHECKSUM_AT, CHECKSUM_SIZE);
	field[CHECKSUM_SIZE] = '\0';
	want = strtol(field, &end, 8);
	if (end == field || h[0] == '\0')
		return false;
	return want == sum || want == signed_sum;
}

/* Compressions of layers: gzip, zstd. */
static bool is_own_compression(const unsigned char *p, size_t n)
{
	return n >= 4 && (memcmp(p, "\x1f\x8b", 2) == 0 || memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0);
}

static enum unpress_format foreign_compression(const unsigned char *p, size_t n, enum archive_accept accept)
{
	enum unpress_format f = unpress_find(p, n);

	return accept == ARCHIVE_EVERY || f == UNPRESS_BZIP2 || f == UNPRESS_XZ ? f : UNPRESS_NONE;
}

/* A file without a name in the folder spool. Returns it, or -1 with errno. */
static int open_spool(const char *spool)
{
	auto_free char *path = NULL;
	char name[17];
	int fd = open(spool[0] ? spool : ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	/* not every file system has such files */
	random_name(name);
	path = xasprintf("%s%s%s", spool, spool[0] ? "/" : "", name);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* A stream being uncompressed by one of the two ways. */
struct stream {
	struct inflow *in;
	struct unpress *u;
};

static ssize_t stream_read(struct stream *s, void *data, size_t n, struct err *err)
{
	return s->in ? inflow_read(s->in, data, n, err) : unpress_read(s->u, data, n, err);
}

/* The uncompressed stream as a file, if it is a tar archive. Returns as archive_open_tar(). */
static int spool_stream(struct stream *s, const char *name, const char *spool, int *ret_fd, struct err *err)
{
	auto_free char *buffer = xmalloc(COPY_BLOCK);
	struct err ignored = ERR_INIT;
	auto_fd int out = -1;
	ssize_t n = stream_read(s, buffer, RECORD, &ignored);

	/* a broken stream is no archive either: it is copied as it is */
	if (n != RECORD || !is_tar_header((unsigned char *)buffer))
		return 0;
	out = open_spool(spool);
	if (out < 0)
		return err_sys(err, "cannot unpack '%s' in the store", name);
	do {
		if (write_all(out, buffer, (size_t)n) < 0)
			return err_sys(err, "cannot unpack '%s' in the store", name);
		n = stream_read(s, buffer, COPY_BLOCK, err);
	} while (n > 0);
	if (n < 0)
		return err_wrap(err, "archive '%s'", name);
	*ret_fd = take_fd(out);
	return 1;
}

int archive_open_tar(int fd, const char *name, enum archive_accept accept, const char *spool, int *ret_fd,
	struct err *err)
{
	struct inflow_options opt = { .other_formats_ok = true };
	AUTO(inflow_free) struct inflow *in = NULL;
	AUTO(unpress_free) struct unpress *u = NULL;
	unsigned char head[RECORD];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	enum unpress_format format;
	struct err ignored = ERR_INIT;

	if (n < 0)
		return err_sys(err, "cannot read '%s'", name);
	if (accept == ARCHIVE_NEVER)
		return 0;
	if (n == RECORD && is_tar_header(head)) {
		*ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return *ret_fd < 0 ? err_sys(err, "cannot keep an archive open") : 1;
	}
	if (is_own_compression(head, (size_t)n)) {
		in = lseek(fd, 0, SEEK_SET) < 0 ? NULL : inflow_open(fd, &opt, err);
		return in ? spool_stream(&(struct stream){ .in = in }, name, spool, ret_fd, err) : -1;
	}
	format = foreign_compression(head, (size_t)n, accept);
	u = format == UNPRESS_NONE ? NULL : unpress_open(fd, format, 0, &ignored);
	return u ? spool_stream(&(struct stream){ .u = u }, name, spool, ret_fd, err) : 0;
}

/* ---- the job ---- */

void archive_put(const char *file, const char *folder, struct strbuf *payload)
{
	wire_put_str(payload, file);
	wire_put_str(payload, folder);
}

int archive_result_get(const struct strbuf *reply, bool *ret, struct err *err)
{
	struct wire w;

	wire_init(&w, reply->buf, reply->len);
	*ret = wire_get_u64(&w) != 0;
	return wire_done(&w) ? 0 : err_set(err, ERR_SYSTEM, "a worker did not answer what it unpacked");
}

static int unpack(int tar_fd, const char *folder, struct err *err)
{
	auto_fd int folder_fd = open_no_symlinks(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
	struct folder_writer_options files = { .plain = true, .xattr_errors_ok = true };
	struct layer_read_options opt = LAYER_READ_INIT;
	AUTO(folder_writer_free) struct folder_writer *writer = NULL;

	if (folder_fd < 0)
		return err_sys(err, "cannot open '%s' in the store", folder);
	writer = folder_writer_new(folder_fd, &files, err);
	if (!writer)
		return -1;
	if (lseek(tar_fd, 0, SEEK_SET) < 0)
		return err_sys(err, "cannot read the archive");
	opt.plain_tree = opt.sparse = true;
	return layer_read(tar_fd, &opt, folder_writer_sink(writer), NULL, err);
}

int archive_job(struct job *job, struct err *err)
{
	struct wire w;
	auto_fd int fd = -1;
	auto_fd int tar = -1;
	auto_strbuf reply = STRBUF_INIT;
	int is_tar;

	wire_init(&w, job->payload, job->len);
	auto_free char *file = wire_get_str(&w);
	auto_free char *folder = wire_get_str(&w);
	if (!wire_done(&w))
		return err_set(err, ERR_SYSTEM, "a request for 'archive' is malformed");
	fd = open_no_symlinks(AT_FDCWD, file, O_RDONLY, 0);
	if (fd < 0)
		return err_sys(err, "cannot open '%s' in the store", file);
	umask(0);
	is_tar = archive_open_tar(fd, "the context", ARCHIVE_EVERY, "tmp", &tar, err);
	if (is_tar < 0 || (is_tar > 0 && unpack(tar, folder, err) < 0))
		return -1;
	wire_put_u64(&reply, (uint64_t)is_tar);
	return job_reply(job, &reply, err);
}
