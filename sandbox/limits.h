/* Resource limits of a step's processes (setrlimit(2); spec/sandbox.md section 6). */
#ifndef WHITTLE_SANDBOX_LIMITS_H
#define WHITTLE_SANDBOX_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LIMITS_MAX 16              /* there are 16 resources */
#define LIMIT_INFINITE UINT64_MAX

struct step_limit {
	int resource; /* RLIMIT_* */
	uint64_t soft, hard;
};

/*
 * "nofile=1024:2048", "core=0", "memlock=-1": the names that docker knows, numbers in the units of setrlimit(2), -1 or
 * "unlimited" for none; a soft limit alone is the hard one as well. A name given before is replaced in list.
 *   list   of *n limits; room for LIMITS_MAX
 * Returns 0, or -1 and ERR_USAGE; ERR_SANDBOX when it is above the hard limit of this process, which no step can pass.
 */
int limits_add(struct step_limit list[LIMITS_MAX], size_t *n, const char *text, struct err *err);
/*
 * Set them for this process and what it will execute, on top of what every step gets: as many open files as the hard
 * limit allows (1048576 at most), and no core dumps, which would land in a layer. Returns 0, or -1 and ERR_SANDBOX.
 */
int limits_apply(const struct step_limit *list, size_t n, struct err *err);

#endif
