/* Memory that dies together: a Dockerfile tree, a parsed document. Not thread-safe. */
#ifndef WHITTLE_BASE_ARENA_H
#define WHITTLE_BASE_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
	struct arena_block *blocks;
};
#define ARENA_INIT { .blocks = NULL }

/* size zeroed bytes, aligned for any type; never NULL; valid until arena_release(). */
void *arena_alloc(struct arena *a, size_t size);
/* A copy of n bytes, whatever they are. */
void *arena_memdup(struct arena *a, const void *p, size_t n);
/* A NUL-terminated copy of at most n bytes of the string s. */
char *arena_strndup(struct arena *a, const char *s, size_t n);
/* A copy of the string s. */
char *arena_strdup(struct arena *a, const char *s);
/* Free everything; the arena is empty and usable again. */
void arena_release(struct arena *a);

#endif
