/*
 * The build context, its Dockerfile and its ignore file (dockerfile.md 4.1, 5.3), and named contexts that are folders (5.4):
 * a folder of the user, or a folder of the store with what was fetched or unpacked.
 */
#ifndef WHITTLE_BUILD_CONTEXT_H
#define WHITTLE_BUILD_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

#define DOCKERFILE_MAX (16u << 20) /* bytes; the parser's own limit */
#define CONTEXT_IGNORE_MAX (1u << 20)

struct context {
	int fd;                /* the folder */
	char *path;            /* as given */
	char *dockerfile_name; /* for messages */
	struct strbuf dockerfile;
	char *ignore;          /* text of the ignore file, or NULL */
	char *tmp;             /* its folder relative to the store, removed by context_drop(); NULL: the user's */
	bool fixed_mtime;      /* its files count as of one time: those of a checkout are of its making */
	int64_t mtime;
};
#define CONTEXT_INIT { .fd = -1, .dockerfile = STRBUF_INIT }

/*
 * Open the folder path and read the Dockerfile (file: a path, "-" for stdin, NULL for the default) and the ignore
 * file that goes with it. Returns 0 and *ret owned by the caller, or -1 and *err: ERR_NOT_FOUND (folder or
 * Dockerfile), ERR_INPUT (too large, not a regular file), ERR_SYSTEM.
 */
int context_open(const char *path, const char *file, struct context *ret, struct err *err);
/* The same for a named context: no Dockerfile, and the ignore file is the folder's own. */
int context_open_folder(const char *path, struct context *ret, struct err *err);
/* Close and free; accepts CONTEXT_INIT. */
void context_release(struct context *c);

#endif
