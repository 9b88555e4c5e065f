/* A few independent pieces of work on a few threads. */
#ifndef WHITTLE_BUILD_PARALLEL_H
#define WHITTLE_BUILD_PARALLEL_H

#include <stddef.h>

#include "base/err.h"

#define PARALLEL_MAX 16

/*
 * Call work(ctx, i, err) for every i below n, on at most width threads (1 to PARALLEL_MAX; one or a single piece
 * of work needs no thread). After a failure no new piece is begun.
 * Returns 0, or -1 and the first failure in *err once all threads have ended.
 */
int parallel_run(size_t n, unsigned width, int (*work)(void *ctx, size_t i, struct err *err), void *ctx,
	struct err *err);
/* How many steps or layers this machine handles at once: its processors, at least 1, at most PARALLEL_MAX. */
unsigned parallel_width(void);

#endif
