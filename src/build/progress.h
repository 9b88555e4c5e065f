/*
 * What the engine tells about its work while it goes on. The engine emits events; cli draws them. Steps
 * ("vertices") have a number that is given out in order, from 1.
 */
#ifndef WHITTLE_BUILD_PROGRESS_H
#define WHITTLE_BUILD_PROGRESS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum progress_kind {
	PROGRESS_START,  /* a step begins: text is its name ("[builder 2/4] RUN go build") */
	PROGRESS_LOG,    /* bytes that the step's program wrote, in pieces of any size, not whole lines */
	PROGRESS_STATUS, /* something countable inside the step: text is its name, current of total bytes */
	PROGRESS_CACHED, /* the step needs no work; comes instead of PROGRESS_DONE, after PROGRESS_START */
	PROGRESS_DONE,   /* ended well */
	PROGRESS_ERROR,  /* failed: text is the message */
	PROGRESS_NOTE,   /* vertex 0: a line for the user about the whole build (a warning, the isolation taken) */
};

struct progress_event {
	enum progress_kind kind;
	unsigned vertex;
	const char *text; /* len bytes, not NUL-terminated; may hold anything (hostile) */
	size_t len;
	uint64_t time_ns;        /* monotonic */
	uint64_t current, total; /* PROGRESS_STATUS; total 0 when unknown */
};

/* Embedded by whoever listens. event() is called from several threads at once. */
struct progress {
	atomic_uint last_vertex; /* starts at 0 */
	void (*event)(struct progress *p, const struct progress_event *e);
};

/* A new number for a step called name; emits PROGRESS_START. p may be NULL (nobody listens). Thread-safe. */
unsigned progress_start(struct progress *p, const char *name);
/* Emit the named event for a step; text may be NULL. */
void progress_emit(struct progress *p, enum progress_kind kind, unsigned vertex, const char *text, size_t len);
/* Emit PROGRESS_STATUS. */
void progress_status(struct progress *p, unsigned vertex, const char *name, uint64_t current, uint64_t total);
/* Emit PROGRESS_NOTE with printf text. */
__attribute__((format(printf, 2, 3))) void progress_note(struct progress *p, const char *fmt, ...);

#endif
