/*
 * Progress as JSON lines, the form that "docker buildx build --progress rawjson" has: one object
 * per event, with the members vertexes, statuses, logs and warnings, each a list when it is there.
 * Times are RFC 3339 with nanoseconds, data is base64. The digest of a vertex names it within one
 * run, and says nothing else.
 */
#ifndef WHITTLE_CLI_PROGRESS_JSON_H
#define WHITTLE_CLI_PROGRESS_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/front.h"

struct progress;

/* A listener that writes to out, which stays the caller's. Never NULL; freed by
 * progress_view_free(). */
struct progress *progress_json_new(FILE *out);
/* Whether p is one of these; false for NULL. */
bool progress_is_json(const struct progress *p);
/* Write what the build checks found as warnings. p is one of these. */
void progress_json_warn(
	struct progress *p, const struct lint_result *lint, const struct front_source *source);
/* Free p, which is one of these. */
void progress_json_free(struct progress *p);

#endif
