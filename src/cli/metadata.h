/* --metadata-file: what a build made, for scripts (dockerfile.md 9.8). */
#ifndef WHITTLE_CLI_METADATA_H
#define WHITTLE_CLI_METADATA_H

#include "base/err.h"
#include "base/strv.h"
#include "build/export.h"

/*
 * Write path as a JSON object: containerimage.digest, containerimage.config.digest, containerimage.descriptor and
 * image.name (the names with commas between); an empty object when no image was made. Returns 0, or -1 and *err:
 * ERR_SYSTEM.
 */
int metadata_write(const char *path, const struct export_result *result, const struct strv *names, struct err *err);

#endif
