/*
 * Compressed streams that no layer has but archives of users do: bzip2, xz, lzma, lzip and lz4, by libarchive's
 * filters, which run inside this process and never start a program. Layers go through compress.h.
 */
#ifndef WHITTLE_LAYER_UNPRESS_H
#define WHITTLE_LAYER_UNPRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/err.h"

#define UNPRESS_HEAD 512 /* bytes of a file that unpress_find() wants to see, or all of it */

enum unpress_format {
	UNPRESS_NONE, /* nothing that is read here */
	UNPRESS_BZIP2,
	UNPRESS_XZ,
	UNPRESS_LZMA, /* has no magic number: only its likely first bytes */
	UNPRESS_LZIP,
	UNPRESS_LZ4,
};

/* What the first n bytes of a file say. */
enum unpress_format unpress_find(const void *head, size_t n);

struct unpress;

/*
 * Start reading fd (a regular file; borrowed) from its start. At most max uncompressed bytes come out of it (0:
 * LAYER_SIZE_MAX), and no more than LAYER_RATIO_FOREIGN times what the file holds.
 * Returns it, owned by the caller, or NULL and *err: ERR_INPUT (malformed), ERR_SYSTEM.
 */
struct unpress *unpress_open(int fd, enum unpress_format format, uint64_t max, struct err *err);
/*
 * The next n bytes, less at the end. Returns how many, 0 at the end, or -1 and *err: ERR_INPUT (malformed, over a
 * limit), ERR_SYSTEM.
 */
ssize_t unpress_read(struct unpress *u, void *data, size_t n, struct err *err);
/* Free; accepts NULL. */
void unpress_free(struct unpress *u);
DEFINE_AUTO(struct unpress *, unpress_free)

#endif
