/*
 * Messages between our own processes: little-endian integers and counted strings, in a fixed order that
 * writer and reader share. The reader is bounded and never trusts a count.
 *
 *   u64     8 bytes
 *   bytes   u64 length, then the bytes
 *   strv    u64 count, then that many bytes items
 */
#ifndef WHITTLE_BASE_WIRE_H
#define WHITTLE_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "base/strv.h"

/* Append one integer. */
void wire_put_u64(struct strbuf *sb, uint64_t v);
/* Append n counted bytes. */
void wire_put_bytes(struct strbuf *sb, const void *data, size_t n);
/* Append a string; NULL is written as the empty string. */
void wire_put_str(struct strbuf *sb, const char *s);
/* Append a list of strings. */
void wire_put_strv(struct strbuf *sb, const struct strv *l);

struct wire {
	const char *p, *end;
	bool bad; /* a read ran past the end or a string held NUL; all later reads give 0 or "" */
};

/* Start reading n bytes, which must outlive the reader. */
void wire_init(struct wire *w, const void *data, size_t n);
/* The next integer, or 0. */
uint64_t wire_get_u64(struct wire *w);
/* The next counted bytes; points into the message; *ret_n is the count. Never NULL. */
const void *wire_get_bytes(struct wire *w, size_t *ret_n);
/* A copy of the next string, owned by the caller; never NULL. */
char *wire_get_str(struct wire *w);
/* Append the next list to *l. */
void wire_get_strv(struct wire *w, struct strv *l);
/* Whether everything was read and nothing went wrong. */
bool wire_done(const struct wire *w);

#endif
