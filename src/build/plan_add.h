/* The sources of COPY and ADD: of the context, and what ADD fetches (dockerfile.md 3.3.2, 3.3.10 to 3.3.12). */
#ifndef WHITTLE_BUILD_PLAN_ADD_H
#define WHITTLE_BUILD_PLAN_ADD_H

#include "build/plan_internal.h"

/*
 * Put the sources (expanded, without the destination) into op; URLs and repositories are pinned, which asks the network.
 * checksum: the value of --checksum, expanded, or NULL.
 * Returns 0, or -1 and *err: ERR_DOCKERFILE (flags that do not fit the sources, a remote source of a COPY), and as
 * origin_url() and origin_git().
 */
int plan_sources(struct planner *p, const struct instruction *in, const struct strv *sources, const char *checksum,
	struct op *op, struct err *err);
/* Append what plan_sources() found to the definition of op; nothing when all is of the context. */
void plan_put_sources(const struct op *op, struct strbuf *definition);

#endif
