#include "build/progress.h"

#include <stdarg.h>
#include <stdatomic.h>

#include "base/clock.h"

void progress_emit(struct progress *p, enum progress_kind kind, unsigned vertex, const char *text, size_t len)
{
	struct progress_event e = { .kind = kind, .vertex = vertex, .text = text, .len = len };

	if (!p)
		return;
	e.time_ns = clock_mono_ns();
	p->event(p, &e);
}

unsigned progress_start(struct progress *p, const char *name)
{
	unsigned vertex;

	if (!p)
		return 0;
	vertex = atomic_fetch_add(&p->last_vertex, 1) + 1;
	progress_emit(p, PROGRESS_START, vertex, name, strlen(name));
	return vertex;
}

void progress_status(struct progress *p, unsigned vertex, const char *name, uint64_t current, uint64_t total)
{
	struct progress_event e = { .kind = PROGRESS_STATUS, .vertex = vertex, .text = name, .len = strlen(name),
		.current = current, .total = total };

	if (!p)
		return;
	e.time_ns = clock_mono_ns();
	p->event(p, &e);
}

void progress_note(struct progress *p, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		progress_emit(p, PROGRESS_NOTE, 0, line, strlen(line));
}
