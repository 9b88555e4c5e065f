#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text_internal.h"

/* One line, prefix included; longer ones are cut. */
#define LINE_SIZE 4096

bool log_debug_on;

void log_debug(const char *fmt, ...)
{
	static const char prefix[] = "whittle: debug: ";
	char raw[LINE_SIZE], line[LINE_SIZE];
	int saved = errno;
	size_t len = sizeof(prefix) - 1;
	ssize_t ignored;
	va_list ap;

	if (!log_debug_on)
		return;
	va_start(ap, fmt);
	if (vsnprintf(raw, sizeof(raw), fmt, ap) < 0)
		raw[0] = '\0';
	va_end(ap);

	memcpy(line, prefix, len);
	len += text_escape(line + len, sizeof(line) - len - 1, raw);
	line[len++] = '\n';
	/*
	 * one write(), so that lines of several processes do not mix; nothing can be done about a
	 * failure
	 */
	ignored = write(STDERR_FILENO, line, len);
	(void)ignored;
	errno = saved;
}
