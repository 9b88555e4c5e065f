#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem_internal.h"

#define TOUCHED_STACK (24u << 10) /* about as deep as a step goes before its program runs */
#define TOUCHED_BLOCK 1024        /* bytes; malloc(3) of glibc keeps blocks up to this at hand */

_Noreturn void mem_abort(const char *what)
{
	/* no stdio: it may want memory. The result is of no use, abort() follows. */
	ssize_t ignored = write(STDERR_FILENO, "whittle: ", 9);

	ignored = write(STDERR_FILENO, what, strlen(what));
	ignored = write(STDERR_FILENO, "\n", 1);
	(void)ignored;
	abort();
}

static void *check(void *p)
{
	if (!p)
		mem_abort("out of memory");
	return p;
}

void *xmalloc(size_t size)
{
	return check(malloc(size ? size : 1));
}

void *xcalloc(size_t n, size_t size)
{
	return n && size ? check(calloc(n, size)) : check(calloc(1, 1));
}

void *xreallocarray(void *p, size_t n, size_t size)
{
	/* realloc to nothing would free and may give NULL */
	if (n == 0 || size == 0)
		return check(realloc(p, 1));
	return check(reallocarray(p, n, size));
}

char *xstrdup(const char *s)
{
	return check(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return check(strndup(s, n));
}

void *xmemdup(const void *p, size_t n)
{
	void *copy = xmalloc(n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		mem_abort("out of memory, or a text over 2 GiB");
	return s;
}

void mem_touch(void)
{
	volatile char stack[TOUCHED_STACK];

	for (size_t i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 0;
	for (size_t size = 16; size <= TOUCHED_BLOCK; size += 16)
		free(xmalloc(size));
}
