#include "base/strbuf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mem_internal.h"

/* The first allocation: most strings end below it. */
#define CAP_MIN 64

/* Shared by all empty buffers; only ever read. */
char strbuf_empty[1];

/* Room for n more bytes and the NUL. False, with overflow set, when max forbids it. */
static bool reserve(struct strbuf *sb, size_t n)
{
	size_t need, cap;

	if (sb->overflow)
		return false;
	if (__builtin_add_overflow(sb->len, n, &need) || need == SIZE_MAX)
		mem_abort("out of memory: a string larger than the address space");
	if (sb->max && need > sb->max) {
		sb->overflow = true;
		return false;
	}
	need++;
	if (need <= sb->cap)
		return true;
	cap = sb->cap > SIZE_MAX / 2 ? need : sb->cap * 2;
	if (cap < need)
		cap = need;
	if (cap < CAP_MIN)
		cap = CAP_MIN;
	sb->buf = xreallocarray(sb->cap ? sb->buf : NULL, cap, 1);
	sb->cap = cap;
	return true;
}

void strbuf_add(struct strbuf *sb, const void *data, size_t n)
{
	if (n == 0 || !reserve(sb, n))
		return;
	memcpy(sb->buf + sb->len, data, n);
	sb->len += n;
	sb->buf[sb->len] = '\0';
}

void strbuf_puts(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}

void strbuf_putc(struct strbuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

void strbuf_printf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		mem_abort("cannot format a text over 2 GiB");
	if (n == 0 || !reserve(sb, (size_t)n))
		return;

	va_start(ap, fmt);
	vsnprintf(sb->buf + sb->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	sb->len += (size_t)n;
}

void strbuf_setlen(struct strbuf *sb, size_t len)
{
	if (len >= sb->len)
		return;
	sb->len = len;
	sb->buf[len] = '\0';
}

void strbuf_reset(struct strbuf *sb)
{
	strbuf_setlen(sb, 0);
	sb->overflow = false;
}

char *strbuf_take(struct strbuf *sb)
{
	char *s = sb->cap ? sb->buf : xstrdup("");

	sb->buf = strbuf_empty;
	sb->len = 0;
	sb->cap = 0;
	sb->overflow = false;
	return s;
}

void strbuf_release(struct strbuf *sb)
{
	if (sb->cap)
		free(sb->buf);
	sb->buf = strbuf_empty;
	sb->len = 0;
	sb->cap = 0;
	sb->overflow = false;
}
