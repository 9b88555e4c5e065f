/* ADD of a local archive: its contents in place of itself (dockerfile.md 3.3.10). */
#ifndef WHITTLE_BUILD_COPY_EXTRACT_H
#define WHITTLE_BUILD_COPY_EXTRACT_H

#include "base/err.h"
#include "build/copy_place.h"
#include "build/copy_source.h"

/*
 * If the file it is a tar archive, compressed or not, put its members below the folder dest (resolved) into p->tree.
 * Which compressions count says the source argument. Returns 1 when it was unpacked, 0 when it is no archive, -1 and
 * *err: ERR_INPUT (a malformed archive), and what reading it raises.
 */
int copy_extract(struct copy_plan *p, struct copy_item *it, const char *dest, struct err *err);

#endif
