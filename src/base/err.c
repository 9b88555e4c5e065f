#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text_internal.h"

/*
 * Room that always stays for ": " and the text of an errno, however long the subject of a message
 * is.
 */
#define REASON_SIZE 128
/* What one err_wrap() may take of msg, so that a long context cannot push the cause out. */
#define CONTEXT_SIZE (sizeof(((struct err *)NULL)->msg) / 2)

/* "file:line"; of a path that is too long the end, which tells more, is kept. */
static void format_where(char *dst, size_t size, const char *file, int line)
{
	char number[16];
	size_t room, len = strlen(file);

	snprintf(number, sizeof(number), ":%d", line);
	room = size - 1 - strlen(number);
	if (len > room)
		file += len - room;
	snprintf(dst, size, "%s%s", file, number);
}

int err_set_at(struct err *e, const char *file, int line, enum err_kind kind, int sys,
	const char *fmt, ...)
{
	char raw[sizeof(e->msg)];
	char reason[REASON_SIZE];
	int saved = errno;
	size_t len, room = sizeof(e->msg);
	va_list ap;

	/* formatted aside first: an argument may be the old message of *e */
	va_start(ap, fmt);
	if (vsnprintf(raw, sizeof(raw), fmt, ap) < 0)
		raw[0] = '\0';
	va_end(ap);

	if (sys)
		room -= REASON_SIZE;
	len = text_escape(e->msg, room, raw);
	if (sys) {
		char *text = strerror_r(sys, reason, sizeof(reason));

		snprintf(e->msg + len, sizeof(e->msg) - len, ": %s", text);
	}
	if (kind == ERR_SYSTEM && (sys == ENOSPC || sys == EDQUOT))
		kind = ERR_DISK;
	e->kind = kind;
	e->sys = sys;
	format_where(e->where, sizeof(e->where), file, line);
	errno = saved;
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char raw[CONTEXT_SIZE];
	char msg[sizeof(e->msg)];
	int saved = errno;
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(raw, sizeof(raw), fmt, ap) < 0)
		raw[0] = '\0';
	va_end(ap);

	len = text_escape(msg, CONTEXT_SIZE, raw);
	msg[len++] = ':';
	msg[len++] = ' ';
	/* escaped already, so this only cuts it in the right place */
	text_escape(msg + len, sizeof(msg) - len, e->msg);
	memcpy(e->msg, msg, sizeof(msg));
	errno = saved;
	return -1;
}

const char *err_kind_name(enum err_kind kind)
{
	static const char *const names[] = {
		[ERR_NONE] = "none",
		[ERR_USAGE] = "usage",
		[ERR_INPUT] = "input",
		[ERR_DOCKERFILE] = "dockerfile",
		[ERR_NOT_FOUND] = "not found",
		[ERR_DENIED] = "denied",
		[ERR_CORRUPT] = "corrupt",
		[ERR_NETWORK] = "network",
		[ERR_UNSUPPORTED] = "unsupported",
		[ERR_SYSTEM] = "system",
		[ERR_DISK] = "disk",
		[ERR_SANDBOX] = "sandbox",
		[ERR_STEP] = "step",
		[ERR_OOM] = "out of memory",
		[ERR_PUSH] = "push",
		[ERR_GATE] = "gate",
		[ERR_CANCELLED] = "cancelled",
	};

	if ((unsigned int)kind >= sizeof(names) / sizeof(names[0]) || !names[kind])
		return "unknown";
	return names[kind];
}
