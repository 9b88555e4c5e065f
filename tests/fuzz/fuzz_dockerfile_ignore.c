/* An ignore file, then behind a NUL byte a path: what excludes a path may not be lost by skipping
 * its parents. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "dockerfile/glob.h"
#include "dockerfile/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const struct ignore *ig, char *path)
{
	bool excluded = ignore_match(ig, path);

	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (ignore_match(ig, path) && !ignore_may_include_below(ig, path) && !excluded)
			abort();
		*slash = '/';
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t n = nul ? (size_t)(nul - data) : size;
	struct err err = ERR_INIT;
	struct ignore *ig = ignore_parse(data, n, &err);
	char *pattern = xstrndup((const char *)data, n);

	if (!ig && err.kind != ERR_INPUT)
		abort();
	if (nul) {
		char *raw = xstrndup((const char *)nul + 1, size - n - 1);
		char *path = path_clean(raw);

		if (*path != '/' && strlen(path) < IGNORE_PATTERN_MAX && ig)
			check_path(ig, path);
		glob_match(pattern, path);
		free(path);
		free(raw);
	}
	free(pattern);
	ignore_free(ig);
	return 0;
}
