/* A word, behind a byte of flags, in a small environment; a list has the same outcome as a single
 * word. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dockerfile/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *lookup(void *ctx, const char *name)
{
	(void)ctx;
	switch (*name) {
	case 'a':
		return "a/b.c*?\\d\ne f";
	case 'b':
		return "";
	case 'c':
		return "\xED\x95\x9C\xFF$a'\"";
	default:
		return NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct expand_env env = {.lookup = lookup};
	struct strv list = STRV_INIT;
	struct err err = ERR_INIT;
	char *word, *out = NULL;
	unsigned flags;
	char escape;
	int r;

	if (size == 0)
		return 0;
	flags = data[0] & 15u;
	escape = data[0] & 16 ? '`' : '\\';
	word = xstrndup((const char *)data + 1, size - 1);
	r = expand_word(word, escape, flags, &env, &out, &err);
	if (expand_words(word, escape, flags, &env, &list, &err) != r)
		abort();
	strv_release(&list);
	free(out);
	free(word);
	return 0;
}
