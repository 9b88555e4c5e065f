/*
 * Compressed streams of layers (spec/oci.md 5.1, 5.2): reading by the magic of the bytes, whatever
 * a media type says, and writing the same bytes on every machine. Both ends hash what passes.
 */
#ifndef WHITTLE_LAYER_COMPRESS_H
#define WHITTLE_LAYER_COMPRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/err.h"

enum compression {
	COMPRESSION_NONE,
	COMPRESSION_GZIP,
	COMPRESSION_ZSTD,
};

/* "none", "gzip" or "zstd"; never NULL. */
const char *compression_name(enum compression c);
/* The reverse. Returns 0, or -1 for any other name. */
int compression_parse(const char *name, enum compression *ret);

/* What both ends count and hash. */
struct flow_sums {
	uint8_t digest[DIGEST_SIZE]; /* of the stored bytes */
	uint64_t size;
	uint8_t diff_digest[DIGEST_SIZE]; /* of the uncompressed bytes: the diffID */
	uint64_t diff_size;
};

struct inflow; /* one stream being decompressed */

struct inflow_options {
	uint64_t max_in;       /* stored bytes at most; one more is ERR_CORRUPT; 0: no limit */
	uint64_t max_out;      /* uncompressed bytes at most; 0: LAYER_SIZE_MAX */
	bool no_ahead;	       /* do not decompress ahead in a thread of its own */
	bool other_formats_ok; /* bzip2 and xz count as uncompressed, not as ERR_UNSUPPORTED */
};

/*
 * Start reading fd (any kind of file; borrowed, must outlive the stream) at its current offset. opt
 * may be NULL. Decompression runs ahead in a thread that ends before inflow_free() returns.
 *
 * Returns the stream, owned by the caller, or NULL and *err: ERR_SYSTEM, ERR_UNSUPPORTED (bzip2,
 * xz).
 */
struct inflow *inflow_open(int fd, const struct inflow_options *opt, struct err *err);
/*
 * The next uncompressed bytes, valid until the next call. Returns how many, 0 at the end (all of fd
 * was then read), or -1 and *err:
 *   ERR_INPUT        malformed, rubbish after the end, or over a limit of appendix A
 *   ERR_CORRUPT      more stored bytes than max_in
 *   ERR_UNSUPPORTED  a zstd frame that needs a dictionary
 *   ERR_SYSTEM       read failed
 */
ssize_t inflow_next(struct inflow *f, const void **ret_data, struct err *err);
/*
 * As inflow_next(), but copied: fills data with n bytes unless the end comes first. What is left of a piece
 * comes with the next inflow_read() alone: a reader uses one of the two.
 */
ssize_t inflow_read(struct inflow *f, void *data, size_t n, struct err *err);
/* What the magic said. */
enum compression inflow_compression(const struct inflow *f);
/* The sums; call once, after inflow_next() returned 0. */
void inflow_sums(struct inflow *f, struct flow_sums *ret);
/* Stop and free; accepts NULL. */
void inflow_free(struct inflow *f);
DEFINE_AUTO(struct inflow *, inflow_free)

struct outflow; /* one stream being compressed */

struct outflow_options {
	enum compression compression;
	int level;	  /* 0: the default, zstd 3 and gzip 6; gzip 1 to 9, zstd 1 to 19 */
	unsigned threads; /* 0: one; the bytes never depend on it */
};

/*
 * Start writing compressed bytes to fd (borrowed) at its current offset. The output depends on the
 * input, the options and the version of the library, and on nothing else. Returns the stream, owned
 * by the caller, or NULL and *err: ERR_INPUT (level out of range), ERR_SYSTEM.
 */
struct outflow *outflow_new(int fd, const struct outflow_options *opt, struct err *err);
/* Add n bytes. Returns 0, or -1 and *err: ERR_SYSTEM, ERR_DISK. */
int outflow_write(struct outflow *o, const void *data, size_t n, struct err *err);
/*
 * End the stream; everything is written, not synced. Returns 0 and the sums, or -1 and *err as
 * outflow_write().
 */
int outflow_end(struct outflow *o, struct flow_sums *ret, struct err *err);
/* Free; accepts NULL. Without outflow_end() the output is unfinished. */
void outflow_free(struct outflow *o);
DEFINE_AUTO(struct outflow *, outflow_free)

#endif
