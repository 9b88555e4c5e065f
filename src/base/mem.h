/* Allocation that aborts with a message: sizes from outside are limited before they come here. */
#ifndef WHITTLE_BASE_MEM_H
#define WHITTLE_BASE_MEM_H

#include <stddef.h>

/* As malloc, calloc, realloc, strdup, strndup; never NULL. The caller frees with free(). */
void *xmalloc(size_t size);
/* As calloc(n, size), overflow checked. */
void *xcalloc(size_t n, size_t size);
/* As reallocarray(p, n, size), overflow checked. */
void *xreallocarray(void *p, size_t n, size_t size);
/* A copy of s. */
char *xstrdup(const char *s);
/* A copy of at most n bytes of s, NUL-terminated. */
char *xstrndup(const char *s, size_t n);
/* A copy of n bytes. */
void *xmemdup(const void *p, size_t n);
/* printf into a new string. */
__attribute__((format(printf, 1, 2))) char *xasprintf(const char *fmt, ...);

/*
 * In a child of fork(2) that waits for work: have it copy now what it will write to first, its stack and the blocks that
 * malloc(3) keeps at hand.
 */
void mem_touch(void);

/* Make room for one more element in an array that grows by doubling: GROW(v, n, cap). */
#define GROW(v, n, cap)                                                                            \
	do {                                                                                       \
		if ((n) == (cap)) {                                                                \
			(cap) = (cap) ? (cap) * 2 : 8;                                             \
			(v) = xreallocarray((v), (cap), sizeof(*(v)));                             \
		}                                                                                  \
	} while (0)

#endif
