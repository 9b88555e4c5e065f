/* Errors: one plain struct, owned by the caller, passed last. See style: raise once, wrap, print once. */
#ifndef WHITTLE_BASE_ERR_H
#define WHITTLE_BASE_ERR_H

#include <limits.h>

/* What went wrong, in the only sense that callers may branch on. cli maps each kind to an exit status. */
enum err_kind {
	ERR_NONE,
	ERR_USAGE,       /* the command line */
	ERR_INPUT,       /* malformed or over a limit: a document, an archive, a name */
	ERR_DOCKERFILE,  /* the Dockerfile is wrong */
	ERR_NOT_FOUND,   /* a named image, context, file or blob is not there */
	ERR_DENIED,      /* credentials or a policy refuse it */
	ERR_CORRUPT,     /* bytes do not match their digest or size */
	ERR_NETWORK,     /* transport: worth a retry */
	ERR_UNSUPPORTED, /* understood and deliberately not done */
	ERR_SYSTEM,      /* a system call failed */
	ERR_DISK,        /* out of space or quota (set by err_sys() from ENOSPC, EDQUOT) */
	ERR_SANDBOX,     /* the host refuses what isolation needs */
	ERR_STEP,        /* the program of a RUN ended with a failure */
	ERR_OOM,         /* the program of a RUN was killed for memory */
	ERR_PUSH,        /* a push failed, the image is kept */
	ERR_GATE,        /* a gate that the user asked for is shut: build checks */
	ERR_CANCELLED,   /* interrupted, or another part of the build failed first */
};

struct err {
	enum err_kind kind;
	int sys;        /* errno of the failed call, or 0 */
	char where[48]; /* "src/store/blob.c:118", where first raised */
	char msg[2048]; /* outermost context first; no newline at the end, no full stop */
};
_Static_assert(sizeof(struct err) <= PIPE_BUF, "a child sends it in one atomic write");

#define ERR_INIT { .kind = ERR_NONE }

/*
 * Fill *e and return -1, so that "return err_set(...)" ends a function. The text is cut at the size of
 * msg; control characters from outside are escaped as \xNN. err_sys() appends ": strerror(errno)" and
 * keeps errno in sys; ENOSPC and EDQUOT become ERR_DISK.
 */
#define err_set(e, kind, ...) err_set_at(e, __FILE__, __LINE__, kind, 0, __VA_ARGS__)
#define err_sys(e, ...) err_set_at(e, __FILE__, __LINE__, ERR_SYSTEM, errno, __VA_ARGS__)

/* The function behind err_set() and err_sys(); sys is an errno or 0. Always returns -1. */
__attribute__((format(printf, 6, 7))) int err_set_at(
	struct err *e, const char *file, int line, enum err_kind kind, int sys, const char *fmt, ...);

/* Put "context: " before the message of *e, keep kind, sys and where. Always returns -1. */
__attribute__((format(printf, 2, 3))) int err_wrap(struct err *e, const char *fmt, ...);

/* A short name for a kind ("input", "network"); never NULL. */
const char *err_kind_name(enum err_kind kind);

#endif
