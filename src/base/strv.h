/* A list of strings that owns them: arguments, environment, layer names. */
#ifndef WHITTLE_BASE_STRV_H
#define WHITTLE_BASE_STRV_H

#include <stddef.h>

struct strv {
	char **v;   /* NULL-terminated once anything was added; NULL before */
	size_t len; /* strings before the NULL */
	size_t cap;
};
#define STRV_INIT { .v = NULL }

/* Append a copy of s. */
void strv_add(struct strv *l, const char *s);
/* Append s itself, which the list now owns. */
void strv_take(struct strv *l, char *s);
/* Append copies of all strings of from. */
void strv_add_all(struct strv *l, const struct strv *from);
/* Make *l a deep copy of from; l must be empty or released. */
void strv_copy(struct strv *l, const struct strv *from);
/* The value of NAME in a list of NAME=value, or NULL; owned by the list. */
const char *strv_env_get(const struct strv *l, const char *name);
/* Set NAME=value: in place when NAME is there, else at the end. */
void strv_env_set(struct strv *l, const char *name, const char *value);
/* Free all strings; the list is empty and usable again. */
void strv_release(struct strv *l);

static inline void auto_strv_release(struct strv *l)
{
	strv_release(l);
}
#define auto_strv __attribute__((cleanup(auto_strv_release))) struct strv

#endif
