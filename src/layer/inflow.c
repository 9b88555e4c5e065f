/*
 * Reading compressed streams. Two threads share the work: one reads, hashes and decompresses into a
 * ring of blocks, the caller takes the blocks. A stream that fits into the first block needs no
 * thread.
 *
 *   ring   filled blocks from tail, count of them; the caller holds one more while it works on it
 */
#include "layer/compress.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>
#endif
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/log.h"
#include "base/mem.h"
#include "layer/bounds.h"

#define IN_SIZE ((size_t)128 << 10)
#define BLOCK_SIZE ((size_t)256 << 10)
/* One being filled, one being worked on, and two between to level out. */
#define BLOCKS 4

#define GZIP_FHCRC 0x02
#define GZIP_FEXTRA 0x04
#define GZIP_FNAME 0x08
#define GZIP_FCOMMENT 0x10
#define GZIP_RESERVED 0xe0

struct gzip_state {
#ifdef HAVE_ISAL
	struct inflate_state inflate;
#else
	z_stream inflate;
	uint32_t crc;
#endif
	bool in_member;
	bool any; /* a member was begun */
	uint64_t member_out;
	uint64_t members;
	uint64_t empty_run;
};

struct zstd_state {
	ZSTD_DCtx *ctx;
	bool in_frame;
	bool skippable; /* the frame at hand */
	bool any;	/* a frame with contents was seen */
};

struct block {
	uint8_t *data;
	size_t len;
};

struct inflow {
	int fd;
	struct inflow_options opt;
	enum compression compression;

	/* the producing side */
	uint8_t *in;
	size_t in_at, in_len;
	bool in_end; /* read(2) gave 0 */
	uint64_t in_total, out_total;
	struct sha256 *in_hash, *out_hash;
	struct gzip_state *gzip;
	struct zstd_state zstd;
	bool warned;

	/* between both */
	pthread_t thread;
	bool threaded;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct block blocks[BLOCKS];
	size_t tail, count;
	bool ended, failed, stop;
	struct err err;

	/* the caller's side */
	bool started;
	bool holds; /* the block at tail is in the caller's hands */
	const uint8_t *rest;
	size_t rest_len;
};

/* ---- stored bytes ---- */

/* Read more behind what is there. Returns 0 (in_end may be set), or -1 and *err. */
static int fill(struct inflow *f, struct err *err)
{
	ssize_t got;

	if (f->in_end)
		return 0;
	if (f->in_at > 0) {
		memmove(f->in, f->in + f->in_at, f->in_len - f->in_at);
		f->in_len -= f->in_at;
		f->in_at = 0;
	}
	do {
		got = read(f->fd, f->in + f->in_len, IN_SIZE - f->in_len);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(err, "cannot read the layer");
	if (got == 0) {
		f->in_end = true;
		return 0;
	}
	sha256_add(f->in_hash, f->in + f->in_len, (size_t)got);
	f->in_len += (size_t)got;
	f->in_total += (uint64_t)got;
	if (f->opt.max_in > 0 && f->in_total > f->opt.max_in)
		return err_set(err, ERR_CORRUPT, "the layer is longer than the %llu bytes promised",
			(unsigned long long)f->opt.max_in);
	return 0;
}

/* Have at least n stored bytes at hand unless the end comes first; n is small. */
static int want(struct inflow *f, size_t n, struct err *err)
{
	while (f->in_len - f->in_at < n && !f->in_end)
		if (fill(f, err) < 0)
			return -1;
	return 0;
}

static size_t at_hand(const struct inflow *f)
{
	return f->in_len - f->in_at;
}

static int bad(struct err *err, const char *format, const char *why)
{
	return err_set(err, ERR_INPUT, "the %s stream of the layer is malformed: %s", format, why);
}

/* ---- gzip ---- */

static int get_byte(struct inflow *f, uint8_t *ret, struct err *err)
{
	if (want(f, 1, err) < 0)
		return -1;
	if (at_hand(f) == 0)
		return bad(err, "gzip", "it ends too early");
	*ret = f->in[f->in_at++];
	return 0;
}

static int skip_bytes(struct inflow *f, size_t n, struct err *err)
{
	uint8_t b;

	while (n-- > 0)
		if (get_byte(f, &b, err) < 0)
			return -1;
	return 0;
}

static int skip_string(struct inflow *f, struct err *err)
{
	uint8_t b = 0;

	for (size_t n = 0; n < LAYER_GZIP_FIELD_MAX; n++) {
		if (get_byte(f, &b, err) < 0)
			return -1;
		if (b == 0)
			return 0;
	}
	return bad(err, "gzip", "a name or comment is too long");
}

static int gzip_header(struct inflow *f, struct err *err)
{
	uint8_t h[10] = {0}, low = 0, high = 0;

	for (size_t i = 0; i < sizeof(h); i++)
		if (get_byte(f, &h[i], err) < 0)
			return -1;
	if (h[0] != 0x1f || h[1] != 0x8b)
		return bad(err, "gzip", "there is rubbish after its end");
	if (h[2] != 8 || (h[3] & GZIP_RESERVED))
		return bad(err, "gzip", "its header is unknown");
	if (h[3] & GZIP_FEXTRA) {
		if (get_byte(f, &low, err) < 0 || get_byte(f, &high, err) < 0)
			return -1;
		if (skip_bytes(f, (size_t)low | (size_t)high << 8, err) < 0)
			return -1;
	}
	if ((h[3] & GZIP_FNAME) && skip_string(f, err) < 0)
		return -1;
	if ((h[3] & GZIP_FCOMMENT) && skip_string(f, err) < 0)
		return -1;
	if ((h[3] & GZIP_FHCRC) && skip_bytes(f, 2, err) < 0)
		return -1;
	return 0;
}

/* Begin the next member, if there is one. Returns 1, 0 at the end of the stream, or -1 and *err. */
static int gzip_begin(struct inflow *f, struct err *err)
{
	struct gzip_state *g = f->gzip;

	if (want(f, 1, err) < 0)
		return -1;
	if (g->any && at_hand(f) > 0 && f->in[f->in_at] == 0) {
		/* zero padding up to the end is what tapes and some writers leave */
		while (at_hand(f) > 0) {
			if (f->in[f->in_at++] != 0)
				return bad(err, "gzip", "there is rubbish after its end");
			if (want(f, 1, err) < 0)
				return -1;
		}
	}
	if (g->any && at_hand(f) == 0)
		return 0;
	if (++g->members > LAYER_GZIP_MEMBERS_MAX)
		return bad(err, "gzip", "it has too many members");
	if (gzip_header(f, err) < 0)
		return -1;
	g->any = g->in_member = true;
	g->member_out = 0;
#ifdef HAVE_ISAL
	isal_inflate_reset(&g->inflate);
	g->inflate.crc_flag = ISAL_GZIP_NO_HDR_VER;
#else
	if (inflateReset(&g->inflate) != Z_OK)
		return bad(err, "gzip", "zlib cannot start");
	g->crc = 0;
#endif
	return 1;
}

static int gzip_end_member(struct inflow *f, struct err *err)
{
	struct gzip_state *g = f->gzip;

	g->in_member = false;
	g->empty_run = g->member_out == 0 ? g->empty_run + 1 : 0;
	if (g->empty_run > LAYER_GZIP_EMPTY_MAX)
		return bad(err, "gzip", "it has too many empty members");
	return 0;
}

#ifdef HAVE_ISAL
/* Inflate some of the current member. Returns the bytes made, or -1 and *err. */
static ssize_t gzip_inflate(struct inflow *f, uint8_t *out, size_t cap, struct err *err)
{
	struct inflate_state *s = &f->gzip->inflate;
	int code;

	if (at_hand(f) == 0 && fill(f, err) < 0)
		return -1;
	s->next_in = f->in + f->in_at;
	s->avail_in = (uint32_t)at_hand(f);
	s->next_out = out;
	s->avail_out = (uint32_t)cap;
	code = isal_inflate(s);
	f->in_at = f->in_len - s->avail_in;
	if (code == ISAL_INCORRECT_CHECKSUM)
		return bad(err, "gzip", "its checksum is wrong");
	if (code < 0)
		return bad(err, "gzip", "its data cannot be inflated");
	f->gzip->member_out += cap - s->avail_out;
	if (s->block_state == ISAL_BLOCK_FINISH) {
		if (gzip_end_member(f, err) < 0)
			return -1;
	} else if (s->avail_out == cap && f->in_end && at_hand(f) == 0) {
		return bad(err, "gzip", "it ends too early");
	}
	return (ssize_t)(cap - s->avail_out);
}
#else
static int gzip_trailer(struct inflow *f, struct err *err)
{
	struct gzip_state *g = f->gzip;
	uint8_t t[8] = {0};
	uint32_t crc, size;

	for (size_t i = 0; i < sizeof(t); i++)
		if (get_byte(f, &t[i], err) < 0)
			return -1;
	memcpy(&crc, t, 4);
	memcpy(&size, t + 4, 4);
	if (le32toh(crc) != g->crc || le32toh(size) != (uint32_t)g->member_out)
		return bad(err, "gzip", "its checksum is wrong");
	return gzip_end_member(f, err);
}

/* Inflate some of the current member. Returns the bytes made, or -1 and *err. */
static ssize_t gzip_inflate(struct inflow *f, uint8_t *out, size_t cap, struct err *err)
{
	z_stream *s = &f->gzip->inflate;
	size_t made;
	int code;

	if (at_hand(f) == 0 && fill(f, err) < 0)
		return -1;
	s->next_in = f->in + f->in_at;
	s->avail_in = (uInt)at_hand(f);
	s->next_out = out;
	s->avail_out = (uInt)cap;
	code = inflate(s, Z_NO_FLUSH);
	f->in_at = f->in_len - s->avail_in;
	if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
		return bad(err, "gzip", "its data cannot be inflated");
	made = cap - s->avail_out;
	f->gzip->member_out += made;
	f->gzip->crc = (uint32_t)crc32_z(f->gzip->crc, out, made);
	if (code == Z_STREAM_END) {
		if (gzip_trailer(f, err) < 0)
			return -1;
	} else if (made == 0 && f->in_end && at_hand(f) == 0) {
		return bad(err, "gzip", "it ends too early");
	}
	return (ssize_t)made;
}
#endif

static ssize_t gzip_decode(struct inflow *f, uint8_t *out, size_t cap, struct err *err)
{
	size_t made = 0;

	while (made < cap) {
		ssize_t n;

		if (!f->gzip->in_member) {
			int more = gzip_begin(f, err);

			if (more < 0)
				return -1;
			if (more == 0)
				break;
		}
		n = gzip_inflate(f, out + made, cap - made, err);
		if (n < 0)
			return -1;
		made += (size_t)n;
	}
	return (ssize_t)made;
}

/* ---- zstd ---- */

static bool zstd_magic(const uint8_t *p, bool *skippable)
{
	static const uint8_t frame[4] = {0x28, 0xb5, 0x2f, 0xfd};

	*skippable = (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18;
	return *skippable || memcmp(p, frame, sizeof(frame)) == 0;
}

/* Begin the next frame, if there is one. Returns 1, 0 at the end of the stream, or -1 and *err. */
static int zstd_begin(struct inflow *f, struct err *err)
{
	if (want(f, 4, err) < 0)
		return -1;
	if (at_hand(f) == 0) {
		if (!f->zstd.any)
			return bad(err, "zstd", "it has no frame with contents");
		return 0;
	}
	if (at_hand(f) < 4 || !zstd_magic(f->in + f->in_at, &f->zstd.skippable))
		return bad(err, "zstd", "there is rubbish after its end");
	f->zstd.in_frame = true;
	if (!f->zstd.skippable)
		f->zstd.any = true;
	return 1;
}

static int zstd_failed(size_t code, struct err *err)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_dictionary_wrong:
		return err_set(
			err, ERR_UNSUPPORTED, "the zstd stream of the layer needs a dictionary");
	case ZSTD_error_frameParameter_windowTooLarge:
		return err_set(err, ERR_INPUT,
			"the zstd stream of the layer needs a window of more than %u MiB",
			1u << (LAYER_ZSTD_WINDOW_LOG_MAX - 20));
	case ZSTD_error_checksum_wrong:
		return bad(err, "zstd", "its checksum is wrong");
	default:
		return bad(err, "zstd", ZSTD_getErrorName(code));
	}
}

static ssize_t zstd_decode(struct inflow *f, uint8_t *out, size_t cap, struct err *err)
{
	ZSTD_outBuffer to = {.dst = out, .size = cap};

	while (to.pos < cap) {
		ZSTD_inBuffer from;
		size_t code, before = to.pos;

		if (!f->zstd.in_frame) {
			int more = zstd_begin(f, err);

			if (more < 0)
				return -1;
			if (more == 0)
				break;
		}
		if (at_hand(f) == 0 && fill(f, err) < 0)
			return -1;
		from = (ZSTD_inBuffer){.src = f->in + f->in_at, .size = at_hand(f)};
		code = ZSTD_decompressStream(f->zstd.ctx, &to, &from);
		f->in_at += from.pos;
		if (ZSTD_isError(code))
			return zstd_failed(code, err);
		if (code == 0)
			f->zstd.in_frame = false;
		else if (to.pos == before && from.pos == 0 && f->in_end)
			return bad(err, "zstd", "it ends too early");
	}
	return (ssize_t)to.pos;
}

/* ---- all ---- */

static ssize_t plain_decode(struct inflow *f, uint8_t *out, size_t cap, struct err *err)
{
	size_t made = 0;

	while (made < cap) {
		size_t n;

		if (want(f, 1, err) < 0)
			return -1;
		if (at_hand(f) == 0)
			break;
		n = at_hand(f) < cap - made ? at_hand(f) : cap - made;
		memcpy(out + made, f->in + f->in_at, n);
		f->in_at += n;
		made += n;
	}
	return (ssize_t)made;
}

static int check_bomb(struct inflow *f, struct err *err)
{
	uint64_t ratio = f->compression == COMPRESSION_ZSTD ? LAYER_RATIO_ZSTD : LAYER_RATIO_GZIP;

	if (f->out_total > f->opt.max_out)
		return err_set(err, ERR_INPUT, "the layer unpacks to more than %llu bytes",
			(unsigned long long)f->opt.max_out);
	if (f->out_total <= LAYER_RATIO_FREE || f->compression == COMPRESSION_NONE)
		return 0;
	if (f->out_total / ratio > f->in_total)
		return err_set(err, ERR_INPUT, "the layer unpacks to more than %llu times its size",
			(unsigned long long)ratio);
	if (!f->warned && f->out_total / LAYER_RATIO_WARN > f->in_total) {
		f->warned = true;
		log_debug("a layer unpacks to more than %d times its size", LAYER_RATIO_WARN);
	}
	return 0;
}

/* Fill one block. Returns its length, 0 at the end, or -1 and *err. */
static ssize_t produce(struct inflow *f, struct block *b, struct err *err)
{
	ssize_t n;

	switch (f->compression) {
	case COMPRESSION_GZIP:
		n = gzip_decode(f, b->data, BLOCK_SIZE, err);
		break;
	case COMPRESSION_ZSTD:
		n = zstd_decode(f, b->data, BLOCK_SIZE, err);
		break;
	default:
		n = plain_decode(f, b->data, BLOCK_SIZE, err);
	}
	if (n < 0)
		return -1;
	b->len = (size_t)n;
	f->out_total += (uint64_t)n;
	if (check_bomb(f, err) < 0)
		return -1;
	sha256_add(f->out_hash, b->data, b->len);
	return n;
}

static void *producer(void *user)
{
	struct inflow *f = user;

	for (;;) {
		struct block *b;
		ssize_t n;

		pthread_mutex_lock(&f->lock);
		while (f->count == BLOCKS && !f->stop)
			pthread_cond_wait(&f->changed, &f->lock);
		b = f->stop ? NULL : &f->blocks[(f->tail + f->count) % BLOCKS];
		pthread_mutex_unlock(&f->lock);
		if (!b)
			return NULL;
		n = produce(f, b, &f->err);
		pthread_mutex_lock(&f->lock);
		if (n > 0)
			f->count++;
		f->ended = n == 0;
		f->failed = n < 0;
		pthread_cond_signal(&f->changed);
		pthread_mutex_unlock(&f->lock);
		if (n <= 0)
			return NULL;
	}
}

/* Signals are for the caller's thread. Returns whether the thread runs; without it the caller
 * produces. */
static bool start_thread(struct inflow *f)
{
	sigset_t all, old;
	bool ok;

	for (size_t i = 1; i < BLOCKS; i++)
		f->blocks[i].data = xmalloc(BLOCK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ok = pthread_create(&f->thread, NULL, producer, f) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ok;
}

/* The next block without a thread: block 0 always. */
static ssize_t next_alone(struct inflow *f, const void **ret_data, struct err *err)
{
	ssize_t n;

	if (f->ended)
		return 0;
	n = produce(f, &f->blocks[0], err);
	if (n <= 0)
		f->ended = true;
	*ret_data = f->blocks[0].data;
	return n;
}

ssize_t inflow_next(struct inflow *f, const void **ret_data, struct err *err)
{
	ssize_t n;

	if (!f->started) {
		f->started = true;
		n = next_alone(f, ret_data, err);
		if (n == (ssize_t)BLOCK_SIZE && !f->opt.no_ahead) {
			/* the thread goes on in block 1 while the caller works on block 0 */
			f->count = 1;
			f->holds = true;
			f->threaded = start_thread(f);
		}
		return n;
	}
	if (!f->threaded)
		return next_alone(f, ret_data, err);

	pthread_mutex_lock(&f->lock);
	if (f->holds) {
		f->holds = false;
		f->tail = (f->tail + 1) % BLOCKS;
		f->count--;
		pthread_cond_signal(&f->changed);
	}
	while (f->count == 0 && !f->ended && !f->failed)
		pthread_cond_wait(&f->changed, &f->lock);
	if (f->count > 0) {
		f->holds = true;
		*ret_data = f->blocks[f->tail].data;
		n = (ssize_t)f->blocks[f->tail].len;
	} else if (f->failed) {
		*err = f->err;
		n = -1;
	} else {
		n = 0;
	}
	pthread_mutex_unlock(&f->lock);
	return n;
}

ssize_t inflow_read(struct inflow *f, void *data, size_t n, struct err *err)
{
	uint8_t *p = data;
	size_t got = 0;

	while (got < n) {
		size_t part;

		if (f->rest_len == 0) {
			const void *next = NULL;
			ssize_t more = inflow_next(f, &next, err);

			if (more < 0)
				return -1;
			if (more == 0)
				break;
			f->rest = next;
			f->rest_len = (size_t)more;
		}
		part = f->rest_len < n - got ? f->rest_len : n - got;
		memcpy(p + got, f->rest, part);
		f->rest += part;
		f->rest_len -= part;
		got += part;
	}
	return (ssize_t)got;
}

static int detect(struct inflow *f, struct err *err)
{
	static const uint8_t xz[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
	const uint8_t *p = f->in;
	bool skippable;

	if (want(f, sizeof(xz), err) < 0)
		return -1;
	if (f->in_len >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		f->compression = COMPRESSION_GZIP;
	else if (f->in_len >= 4 && zstd_magic(p, &skippable))
		f->compression = COMPRESSION_ZSTD;
	else if (f->opt.other_formats_ok)
		return 0;
	else if (f->in_len >= sizeof(xz) && memcmp(p, xz, sizeof(xz)) == 0)
		return err_set(err, ERR_UNSUPPORTED,
			"the layer is compressed with xz, which no layer may be");
	else if (f->in_len >= 4 && memcmp(p, "BZh", 3) == 0 && p[3] >= '1' && p[3] <= '9')
		return err_set(err, ERR_UNSUPPORTED,
			"the layer is compressed with bzip2, which no layer may be");
	return 0;
}

static int start_decoder(struct inflow *f, struct err *err)
{
	if (f->compression == COMPRESSION_GZIP) {
		f->gzip = xcalloc(1, sizeof(*f->gzip));
#ifdef HAVE_ISAL
		isal_inflate_init(&f->gzip->inflate);
#else
		if (inflateInit2(&f->gzip->inflate, -MAX_WBITS) != Z_OK)
			return err_set(err, ERR_SYSTEM, "zlib cannot start");
#endif
	}
	if (f->compression == COMPRESSION_ZSTD) {
		f->zstd.ctx = ZSTD_createDCtx();
		if (!f->zstd.ctx || ZSTD_isError(ZSTD_DCtx_setParameter(f->zstd.ctx,
					    ZSTD_d_windowLogMax, LAYER_ZSTD_WINDOW_LOG_MAX)))
			return err_set(err, ERR_SYSTEM, "libzstd cannot start");
	}
	return 0;
}

struct inflow *inflow_open(int fd, const struct inflow_options *opt, struct err *err)
{
	struct inflow *f = xcalloc(1, sizeof(*f));

	f->fd = fd;
	if (opt)
		f->opt = *opt;
	if (f->opt.max_out == 0)
		f->opt.max_out = LAYER_SIZE_MAX;
	f->in = xmalloc(IN_SIZE);
	f->in_hash = sha256_new();
	f->out_hash = sha256_new();
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	f->blocks[0].data = xmalloc(BLOCK_SIZE);
	if (detect(f, err) < 0 || start_decoder(f, err) < 0) {
		inflow_free(f);
		return NULL;
	}
	return f;
}

enum compression inflow_compression(const struct inflow *f)
{
	return f->compression;
}

static void join(struct inflow *f)
{
	if (!f->threaded)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	f->threaded = false;
}

void inflow_sums(struct inflow *f, struct flow_sums *ret)
{
	join(f);
	sha256_end(f->in_hash, ret->digest);
	sha256_end(f->out_hash, ret->diff_digest);
	ret->size = f->in_total;
	ret->diff_size = f->out_total;
}

void inflow_free(struct inflow *f)
{
	int saved = errno;

	if (!f)
		return;
	join(f);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->changed);
	for (size_t i = 0; i < BLOCKS; i++)
		free(f->blocks[i].data);
#ifndef HAVE_ISAL
	if (f->gzip)
		inflateEnd(&f->gzip->inflate);
#endif
	free(f->gzip);
	ZSTD_freeDCtx(f->zstd.ctx);
	sha256_free(f->in_hash);
	sha256_free(f->out_hash);
	free(f->in);
	free(f);
	errno = saved;
}
