/* A growing byte string, always NUL-terminated, with a maximum given at init. */
#ifndef WHITTLE_BASE_STRBUF_H
#define WHITTLE_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *buf;     /* never NULL: points at an empty string before the first byte */
	size_t len;    /* bytes before the NUL */
	size_t cap;    /* 0 while buf is the shared empty string */
	size_t max;    /* len never exceeds it; 0 means no limit of its own */
	bool overflow; /* an append would have exceeded max; everything after it was dropped */
};

extern char strbuf_empty[];
#define STRBUF_INIT { .buf = strbuf_empty, .max = 0 }
#define STRBUF_INIT_MAX(limit) { .buf = strbuf_empty, .max = (limit) }

/* Append; past max nothing is added and overflow is set. */
void strbuf_add(struct strbuf *sb, const void *data, size_t n);
/* Append one string. */
void strbuf_puts(struct strbuf *sb, const char *s);
/* Append one byte. */
void strbuf_putc(struct strbuf *sb, char c);
/* Append printf output. */
__attribute__((format(printf, 2, 3))) void strbuf_printf(struct strbuf *sb, const char *fmt, ...);
/* Cut to len bytes (len <= sb->len). */
void strbuf_setlen(struct strbuf *sb, size_t len);
/* Empty it, keep the memory and clear overflow. */
void strbuf_reset(struct strbuf *sb);
/* The string, owned by the caller (free()); the strbuf is empty afterwards. Never NULL. */
char *strbuf_take(struct strbuf *sb);
/* Free; usable again. */
void strbuf_release(struct strbuf *sb);

static inline void auto_strbuf_release(struct strbuf *sb)
{
	strbuf_release(sb);
}
#define auto_strbuf __attribute__((cleanup(auto_strbuf_release))) struct strbuf

#endif
