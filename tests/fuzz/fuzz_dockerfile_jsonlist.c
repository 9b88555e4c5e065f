/* The JSON form against a reader that somebody else wrote: what that takes as an array of strings must give the same
 * strings here, and what it takes as anything else must be none. (It refuses more: bytes that are not UTF-8.) */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/doc.h"
#include "base/mem.h"
#include "dockerfile/jsonlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const struct doc *doc, int r, const char *const *list, size_t n)
{
	bool strings = doc_is_array(doc);

	for (size_t i = 0; i < doc_len(doc); i++)
		strings &= doc_is_string(doc_at(doc, i));
	if (r != (strings ? 1 : doc_is_array(doc) ? -1 : 0))
		abort();
	if (r <= 0)
		return;
	if (n != doc_len(doc))
		abort();
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], doc_str(doc_at(doc, i))) != 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT, ignored = ERR_INIT;
	char *text = xstrndup((const char *)data, size);
	const char *const *list = NULL;
	size_t n = 0;
	int r = jsonlist_parse(&arena, text, &list, &n, &err);
	struct doc *doc = *text == '[' ? doc_parse(text, strlen(text), "input", &ignored) : NULL;

	if (r < 0 && err.kind != ERR_DOCKERFILE)
		abort();
	if (doc)
		compare(doc, r, list, n);
	doc_free(doc);
	free(text);
	arena_release(&arena);
	return 0;
}
