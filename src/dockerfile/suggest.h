/* "did you mean": the nearest of a few known names (spec/dockerfile.md 1.10.3). */
#ifndef WHITTLE_DOCKERFILE_SUGGEST_H
#define WHITTLE_DOCKERFILE_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * The option nearest to value by Levenshtein distance in bytes, if that is less than 3; the first
 * of those equally near. NULL when none is near, and when value equals an option (ignore_case: in
 * any ASCII case). Linear in the length of the options.
 */
const char *suggest_find(const char *value, const char *const *options, size_t n, bool ignore_case);

/*
 * Append " (did you mean X?)" to the message of *err when suggest_find() finds X. With ignore_case,
 * X takes the case of value where that is all lower or all upper. Always returns -1.
 */
int suggest_append(
	struct err *err, const char *value, const char *const *options, size_t n, bool ignore_case);

#endif
