/* Contexts in all their forms: a folder, stdin, a git repository, a URL (dockerfile.md 5.3, 5.4). */
#ifndef WHITTLE_BUILD_CONTEXT_LOAD_H
#define WHITTLE_BUILD_CONTEXT_LOAD_H

#include "build/context.h"
#include "build/session.h"

/*
 * Open the main context that text names: "-" (an archive, else the Dockerfile itself, on stdin), a git repository, an
 * http(s) URL (an archive, else the Dockerfile), or a folder. file: -f, as context_open() has it, below the root for all
 * but a folder; or a URL. keep_git_dir: of a repository. What is fetched or unpacked is in a temporary folder of the
 * store; its archive is read in a worker.
 * Returns 0 and *ret, to be given to context_drop(); or -1 and *err: ERR_USAGE (both from stdin), and as context_open(),
 * origin_url(), origin_git(), archive_job().
 */
int context_load(struct session *s, const char *text, const char *file, bool keep_git_dir, struct context *ret,
	struct err *err);
/*
 * Open the named context name with a value that is no image: a folder with its own ignore file, a git repository, or a
 * URL (of an archive, else of a file that is called "context"). Returns as context_load(); ERR_INPUT for any other kind.
 */
int context_load_named(struct session *s, const char *name, const char *value, struct context *ret, struct err *err);
/* Close, free, and remove the temporary folder; accepts CONTEXT_INIT. */
void context_drop(struct session *s, struct context *c);

#endif
