#include "layer/compress.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "layer/bounds.h"

#define OUT_SIZE ((size_t)128 << 10)
#define IN_SIZE ((size_t)64 << 10)
#define ZSTD_LEVEL_DEFAULT 3
/* Above it libzstd takes windows that not every decoder takes. */
#define ZSTD_LEVEL_MAX 19
/*
 * One job per that many bytes: a part of the format of our output, as the cuts show in it. It also
 * decides on the memory: 22 MiB in all at the default level; jobs of 8 MiB would take 54 and save
 * half a percent.
 */
#define ZSTD_JOB_SIZE (2 << 20)
#define GZIP_LEVEL_DEFAULT 6
#define GZIP_LEVEL_MAX 9
#define DEFLATE_MEM_LEVEL 8 /* zlib's default; the output depends on it */

struct outflow {
	int fd;
	enum compression compression;
	struct sha256 *in_hash, *out_hash;
	uint64_t in_total, out_total;
	uint8_t *out;
	uint8_t *in; /* small writes are gathered: a header is 512 bytes */
	size_t in_len;
	ZSTD_CCtx *zstd;
	z_stream gzip;
	bool gzip_ready;
	uint32_t crc;
};

static int emit(struct outflow *o, const void *data, size_t n, struct err *err)
{
	if (n == 0)
		return 0;
	if (write_all(o->fd, data, n) < 0)
		return err_sys(err, "cannot write the layer");
	sha256_add(o->out_hash, data, n);
	o->out_total += n;
	return 0;
}

/* ---- gzip: our own header and trailer, so that no library decides on them ---- */

static int gzip_start(struct outflow *o, int level, struct err *err)
{
	/* magic, deflate, no flags, no time, XFL, operating system unknown */
	uint8_t header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};

	if (level == GZIP_LEVEL_MAX)
		header[8] = 2;
	else if (level == 1)
		header[8] = 4;
	if (deflateInit2(&o->gzip, level, Z_DEFLATED, -MAX_WBITS, DEFLATE_MEM_LEVEL,
		    Z_DEFAULT_STRATEGY) != Z_OK)
		return err_set(err, ERR_SYSTEM, "zlib cannot start");
	o->gzip_ready = true;
	return emit(o, header, sizeof(header), err);
}

static int gzip_write(struct outflow *o, const void *data, size_t n, int flush, struct err *err)
{
	union {
		const void *in;
		Bytef *out;
	} from = {.in = data};
	int code;

	o->gzip.next_in = from.out; /* zlib only reads it */
	o->gzip.avail_in = (uInt)n;
	do {
		o->gzip.next_out = o->out;
		o->gzip.avail_out = (uInt)OUT_SIZE;
		code = deflate(&o->gzip, flush);
		if (code == Z_STREAM_ERROR)
			return err_set(err, ERR_SYSTEM, "zlib cannot compress");
		if (emit(o, o->out, OUT_SIZE - o->gzip.avail_out, err) < 0)
			return -1;
	} while (o->gzip.avail_out == 0 || (flush == Z_FINISH && code != Z_STREAM_END));
	return 0;
}

static int gzip_end(struct outflow *o, struct err *err)
{
	uint32_t trailer[2];

	if (gzip_write(o, NULL, 0, Z_FINISH, err) < 0)
		return -1;
	trailer[0] = htole32(o->crc);
	trailer[1] = htole32((uint32_t)o->in_total);
	return emit(o, trailer, sizeof(trailer), err);
}

/* ---- zstd ---- */

static int zstd_start(struct outflow *o, int level, unsigned threads, struct err *err)
{
	o->zstd = ZSTD_createCCtx();
	if (!o->zstd)
		return err_set(err, ERR_SYSTEM, "libzstd cannot start");
	/* at least one worker: its output differs from that without, but not from that of more */
	if (ZSTD_isError(ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_compressionLevel, level)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_checksumFlag, 1)))
		return err_set(err, ERR_SYSTEM, "libzstd refuses level %d", level);
	if (ZSTD_isError(ZSTD_CCtx_setParameter(
		    o->zstd, ZSTD_c_nbWorkers, threads ? (int)threads : 1)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_jobSize, ZSTD_JOB_SIZE)))
		log_debug("libzstd has no threads: digests of layers differ from those made "
			  "elsewhere");
	return 0;
}

static int zstd_write(
	struct outflow *o, const void *data, size_t n, ZSTD_EndDirective op, struct err *err)
{
	ZSTD_inBuffer from = {.src = data, .size = n};
	size_t left;

	do {
		ZSTD_outBuffer to = {.dst = o->out, .size = OUT_SIZE};

		left = ZSTD_compressStream2(o->zstd, &to, &from, op);
		if (ZSTD_isError(left))
			return err_set(err, ERR_SYSTEM, "libzstd cannot compress: %s",
				ZSTD_getErrorName(left));
		if (emit(o, o->out, to.pos, err) < 0)
			return -1;
	} while (op == ZSTD_e_end ? left > 0 : from.pos < from.size);
	return 0;
}

/* ---- all ---- */

static int start(struct outflow *o, const struct outflow_options *opt, struct err *err)
{
	int level = opt->level;

	switch (opt->compression) {
	case COMPRESSION_NONE:
		return 0;
	case COMPRESSION_GZIP:
		if (level < 0 || level > GZIP_LEVEL_MAX)
			return err_set(err, ERR_INPUT, "gzip has no level %d: 1 to %d", level,
				GZIP_LEVEL_MAX);
		return gzip_start(o, level ? level : GZIP_LEVEL_DEFAULT, err);
	case COMPRESSION_ZSTD:
		if (level < 0 || level > ZSTD_LEVEL_MAX)
			return err_set(err, ERR_INPUT, "zstd level %d is not for layers: 1 to %d",
				level, ZSTD_LEVEL_MAX);
		return zstd_start(o, level ? level : ZSTD_LEVEL_DEFAULT, opt->threads, err);
	}
	return err_set(err, ERR_INPUT, "unknown compression %d", (int)opt->compression);
}

struct outflow *outflow_new(int fd, const struct outflow_options *opt, struct err *err)
{
	struct outflow *o = xcalloc(1, sizeof(*o));

	o->fd = fd;
	o->compression = opt->compression;
	o->in_hash = sha256_new();
	o->out_hash = sha256_new();
	o->out = xmalloc(OUT_SIZE);
	o->in = xmalloc(IN_SIZE);
	if (start(o, opt, err) < 0) {
		outflow_free(o);
		return NULL;
	}
	return o;
}

/* zlib counts in 32 bits. */
#define WRITE_MAX ((size_t)1 << 30)

static int compress_part(struct outflow *o, const void *data, size_t n, struct err *err)
{
	o->in_total += n;
	switch (o->compression) {
	case COMPRESSION_ZSTD:
		sha256_add(o->in_hash, data, n);
		return zstd_write(o, data, n, ZSTD_e_continue, err);
	case COMPRESSION_GZIP:
		sha256_add(o->in_hash, data, n);
		o->crc = (uint32_t)crc32_z(o->crc, data, n);
		return gzip_write(o, data, n, Z_NO_FLUSH, err);
	case COMPRESSION_NONE:
		break;
	}
	return emit(o, data, n, err); /* one hash serves for both */
}

/* Compress what was gathered. */
static int flush(struct outflow *o, struct err *err)
{
	size_t n = o->in_len;

	o->in_len = 0;
	return n > 0 ? compress_part(o, o->in, n, err) : 0;
}

int outflow_write(struct outflow *o, const void *data, size_t n, struct err *err)
{
	const uint8_t *p = data;

	if (n < IN_SIZE - o->in_len) {
		memcpy(o->in + o->in_len, p, n);
		o->in_len += n;
		return 0;
	}
	if (flush(o, err) < 0)
		return -1;
	while (n >= IN_SIZE) {
		size_t part = n < WRITE_MAX ? n : WRITE_MAX;

		if (compress_part(o, p, part, err) < 0)
			return -1;
		p += part;
		n -= part;
	}
	memcpy(o->in, p, n);
	o->in_len = n;
	return 0;
}

/*
 * A stream that was gathered whole: libzstd learns its size with its first bytes, and takes tables of that size and no
 * thread instead of a megabyte for what is often one small file.
 */
static int zstd_whole(struct outflow *o, struct err *err)
{
	sha256_add(o->in_hash, o->in, o->in_len);
	o->in_total = o->in_len;
	o->in_len = 0;
	return zstd_write(o, o->in, (size_t)o->in_total, ZSTD_e_end, err);
}

int outflow_end(struct outflow *o, struct flow_sums *ret, struct err *err)
{
	bool whole = o->compression == COMPRESSION_ZSTD && o->in_total == 0;

	if ((whole ? zstd_whole(o, err) : flush(o, err)) < 0)
		return -1;
	if (o->compression == COMPRESSION_GZIP && gzip_end(o, err) < 0)
		return -1;
	if (o->compression == COMPRESSION_ZSTD && !whole && zstd_write(o, NULL, 0, ZSTD_e_end, err) < 0)
		return -1;
	sha256_end(o->out_hash, ret->digest);
	ret->size = o->out_total;
	ret->diff_size = o->in_total;
	if (o->compression == COMPRESSION_NONE)
		memcpy(ret->diff_digest, ret->digest, sizeof(ret->digest));
	else
		sha256_end(o->in_hash, ret->diff_digest);
	return 0;
}

void outflow_free(struct outflow *o)
{
	if (!o)
		return;
	ZSTD_freeCCtx(o->zstd);
	if (o->gzip_ready)
		deflateEnd(&o->gzip);
	sha256_free(o->in_hash);
	sha256_free(o->out_hash);
	free(o->out);
	free(o->in);
	free(o);
}
