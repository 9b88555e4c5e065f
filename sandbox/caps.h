/* Capabilities of a step (spec/sandbox.md section 5). */
#ifndef WHITTLE_SANDBOX_CAPS_H
#define WHITTLE_SANDBOX_CAPS_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Clear the ambient set and drop every capability that builds do not need from the bounding set; the
 * permitted set still holds what changing ids needs. Returns 0, or -1 and *err.
 */
int caps_limit_bounding(struct err *err);
/*
 * After the ids are set: permitted = effective = the build set for root, nothing for others; inheritable is
 * empty (CVE-2022-24769). Reads back and compares. Returns 0, or -1 and *err.
 */
int caps_apply(bool root, struct err *err);

#endif
