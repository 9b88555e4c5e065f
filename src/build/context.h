/* The build context: a folder of the user, its Dockerfile and its ignore file (dockerfile.md 4.1, 5.3). */
#ifndef WHITTLE_BUILD_CONTEXT_H
#define WHITTLE_BUILD_CONTEXT_H

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
};
#define CONTEXT_INIT { .fd = -1, .dockerfile = STRBUF_INIT }

/*
 * Open the folder path and read the Dockerfile (file: a path, "-" for stdin, NULL for the default) and the ignore
 * file that goes with it. Returns 0 and *ret owned by the caller, or -1 and *err: ERR_NOT_FOUND (folder or
 * Dockerfile), ERR_INPUT (too large, not a regular file), ERR_SYSTEM.
 */
int context_open(const char *path, const char *file, struct context *ret, struct err *err);
/* Close and free; accepts CONTEXT_INIT. */
void context_release(struct context *c);

#endif
