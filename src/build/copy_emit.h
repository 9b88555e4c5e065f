/* The planned tree into a layer, a folder and an index, in one pass (design.md section 5). */
#ifndef WHITTLE_BUILD_COPY_EMIT_H
#define WHITTLE_BUILD_COPY_EMIT_H

#include "base/err.h"
#include "build/copy.h"
#include "build/copy_place.h"

/*
 * Write p->tree to the outputs of its spec, names relative to the working directory. Digests of the files that
 * were written are filled in at their items. *ret gets all but the content digest.
 * Returns 0, or -1 and *err: ERR_CORRUPT (a file changed while it was read), ERR_SYSTEM, ERR_DISK and what the sinks
 * raise.
 */
int copy_emit(struct copy_plan *p, struct copy_result *ret, struct err *err);

#endif
