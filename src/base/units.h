/* Numbers with units, as people write them on command lines. */
#ifndef WHITTLE_BASE_UNITS_H
#define WHITTLE_BASE_UNITS_H

#include <stdint.h>

/*
 * A size in bytes as docker takes it: a decimal number that may have a fraction, then b, k, m, g, t or p (times 1024,
 * any case), to which "b" or "ib" may be added: "64m", "1.5g", "512kb", "1073741824". Returns 0, or -1 (no errno) for
 * anything else and for what does not fit in 63 bits; *ret is untouched then.
 */
int parse_size(const char *s, uint64_t *ret);
/*
 * A decimal number that may have a fraction, in millionths: "1.5" gives 1500000. Digits past the sixth are refused.
 * Returns 0, or -1 (no errno) when it is malformed or over max.
 */
int parse_millionths(const char *s, uint64_t max, uint64_t *ret);

#endif
