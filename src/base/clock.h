/* Time: wall clock for images, monotonic for progress. */
#ifndef WHITTLE_BASE_CLOCK_H
#define WHITTLE_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define RFC3339_SIZE 40

/* Monotonic nanoseconds. */
uint64_t clock_mono_ns(void);
/* Wall-clock seconds since 1970. */
int64_t clock_wall(void);
/* Seconds since 1970 as "2026-01-02T03:04:05Z". */
void rfc3339_format(int64_t seconds, char out[RFC3339_SIZE]);

#endif
