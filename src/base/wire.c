#include "base/wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Bytes of an integer, and so the least that one item of a list takes. */
#define U64_SIZE 8

void wire_put_u64(struct strbuf *sb, uint64_t v)
{
	unsigned char b[U64_SIZE];

	for (size_t i = 0; i < U64_SIZE; i++)
		b[i] = (unsigned char)(v >> (8 * i));
	strbuf_add(sb, b, sizeof(b));
}

void wire_put_bytes(struct strbuf *sb, const void *data, size_t n)
{
	wire_put_u64(sb, n);
	strbuf_add(sb, data, n);
}

void wire_put_str(struct strbuf *sb, const char *s)
{
	if (!s)
		s = "";
	wire_put_bytes(sb, s, strlen(s));
}

void wire_put_strv(struct strbuf *sb, const struct strv *l)
{
	wire_put_u64(sb, l->len);
	for (size_t i = 0; i < l->len; i++)
		wire_put_str(sb, l->v[i]);
}

void wire_init(struct wire *w, const void *data, size_t n)
{
	w->p = n ? data : "";
	w->end = w->p + n;
	w->bad = false;
}

static size_t left(const struct wire *w)
{
	return (size_t)(w->end - w->p);
}

uint64_t wire_get_u64(struct wire *w)
{
	uint64_t v = 0;

	if (w->bad || left(w) < U64_SIZE) {
		w->bad = true;
		return 0;
	}
	for (size_t i = 0; i < U64_SIZE; i++)
		v |= (uint64_t)(unsigned char)w->p[i] << (8 * i);
	w->p += U64_SIZE;
	return v;
}

const void *wire_get_bytes(struct wire *w, size_t *ret_n)
{
	uint64_t n = wire_get_u64(w);
	const char *p = w->p;

	if (w->bad || n > left(w)) {
		w->bad = true;
		*ret_n = 0;
		return "";
	}
	w->p += n;
	*ret_n = (size_t)n;
	return p;
}

char *wire_get_str(struct wire *w)
{
	size_t n;
	const char *p = wire_get_bytes(w, &n);

	if (memchr(p, '\0', n)) {
		w->bad = true;
		n = 0;
	}
	return xstrndup(p, n);
}

void wire_get_strv(struct wire *w, struct strv *l)
{
	uint64_t count = wire_get_u64(w);

	/* each item takes at least its length: no allocation for a count that cannot be true */
	if (count > left(w) / U64_SIZE)
		w->bad = true;
	for (uint64_t i = 0; i < count && !w->bad; i++) {
		char *s = wire_get_str(w);

		if (w->bad)
			free(s);
		else
			strv_take(l, s);
	}
}

bool wire_done(const struct wire *w)
{
	return !w->bad && w->p == w->end;
}
