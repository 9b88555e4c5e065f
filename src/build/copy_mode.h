/* The value of COPY --chmod (dockerfile.md 3.3.6): octal, or symbolic as setmode(3) takes it. */
#ifndef WHITTLE_BUILD_COPY_MODE_H
#define WHITTLE_BUILD_COPY_MODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define COPY_MODE_MADE 0755 /* of a folder that is made on the way */

/*
 * Whether chmod can be understood; NULL and "" are "not given".
 * Returns 0, or -1 and ERR_INPUT naming the value.
 */
int copy_mode_check(const char *chmod, struct err *err);
/* What a file or folder of mode (07777) becomes under chmod, which copy_mode_check() has accepted. */
uint32_t copy_mode_apply(const char *chmod, uint32_t mode, bool dir);
/* The mode of a folder that is made on the way to the destination (3.3.1.4). */
uint32_t copy_mode_of_made(const char *chmod);

#endif
