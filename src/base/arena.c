#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mem_internal.h"

/* Small documents fit one block; growth stops where a half-used last block would start to hurt. */
#define BLOCK_MIN ((size_t)16 * 1024)
#define BLOCK_MAX ((size_t)1024 * 1024)

struct arena_block {
	struct arena_block *next; /* the older ones */
	size_t used, cap;	  /* bytes of data */
	_Alignas(max_align_t) char data[];
};

static size_t round_up(size_t size)
{
	const size_t align = _Alignof(max_align_t);

	if (size > SIZE_MAX - sizeof(struct arena_block) - align)
		mem_abort("out of memory: an impossible size");
	return (size + align - 1) / align * align;
}

/* Zeroed, and never reused before arena_release(), so arena_alloc() has nothing to clear. */
static struct arena_block *block_new(size_t cap)
{
	struct arena_block *b = xcalloc(1, sizeof(*b) + cap);

	b->cap = cap;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *head = a->blocks, *b;
	size_t need = round_up(size ? size : 1);
	size_t cap = BLOCK_MIN;
	void *p;

	if (!head || head->cap - head->used < need) {
		if (head)
			cap = head->cap >= BLOCK_MAX / 2 ? BLOCK_MAX : head->cap * 2;
		if (cap < BLOCK_MIN)
			cap = BLOCK_MIN;
		b = block_new(need > cap ? need : cap);
		b->next = head;
		a->blocks = head = b;
	}
	p = head->data + head->used;
	head->used += need;
	return p;
}

void *arena_memdup(struct arena *a, const void *p, size_t n)
{
	void *copy = arena_alloc(a, n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *copy;

	n = strnlen(s, n);
	copy = arena_alloc(a, n + 1);
	memcpy(copy, s, n);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

void arena_release(struct arena *a)
{
	struct arena_block *b = a->blocks;

	while (b) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
	a->blocks = NULL;
}
