#include "base/strv.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void strv_take(struct strv *l, char *s)
{
	/* one more than the strings: the NULL */
	if (l->cap - l->len < 2) {
		size_t cap = l->cap ? l->cap * 2 : 8;

		l->v = xreallocarray(l->v, cap, sizeof(*l->v));
		l->cap = cap;
	}
	l->v[l->len++] = s;
	l->v[l->len] = NULL;
}

void strv_add(struct strv *l, const char *s)
{
	strv_take(l, xstrdup(s));
}

void strv_add_all(struct strv *l, const struct strv *from)
{
	size_t n = from->len; /* fixed now: from may be l */

	for (size_t i = 0; i < n; i++)
		strv_add(l, from->v[i]);
}

void strv_copy(struct strv *l, const struct strv *from)
{
	*l = (struct strv)STRV_INIT;
	strv_add_all(l, from);
}

/* The first entry for name, or NULL: getenv(3) too takes the first. */
static char **env_find(const struct strv *l, const char *name, size_t name_len)
{
	for (size_t i = 0; i < l->len; i++) {
		if (strncmp(l->v[i], name, name_len) == 0 && l->v[i][name_len] == '=')
			return &l->v[i];
	}
	return NULL;
}

const char *strv_env_get(const struct strv *l, const char *name)
{
	size_t len = strlen(name);
	char **entry = env_find(l, name, len);

	return entry ? *entry + len + 1 : NULL;
}

void strv_env_set(struct strv *l, const char *name, const char *value)
{
	/* formatted before the old entry goes: value may point into it */
	char *text = xasprintf("%s=%s", name, value);
	char **entry = env_find(l, name, strlen(name));

	if (!entry) {
		strv_take(l, text);
		return;
	}
	free(*entry);
	*entry = text;
}

void strv_release(struct strv *l)
{
	for (size_t i = 0; i < l->len; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strv)STRV_INIT;
}
