#include "dockerfile/vars.h"

#include <stdint.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "dockerfile/suggest.h"

/* A power of two; VARS_BYTES_MAX leaves some 25 entries for each at worst. */
#define BUCKETS 4096

struct entry {
	struct entry *next; /* older ones of this bucket */
	size_t bucket;
	size_t cost;
	const char *value; /* behind the name, or NULL */
	char name[];
};

struct vars {
	struct entry *buckets[BUCKETS];
	struct entry **log; /* in the order of being set */
	size_t n, cap;
	size_t bytes;
};

struct vars *vars_new(void)
{
	return xcalloc(1, sizeof(struct vars));
}

void vars_free(struct vars *v)
{
	if (!v)
		return;
	vars_undo(v, 0);
	free(v->log);
	free(v);
}

/* FNV-1a: a hostile file that makes its names collide meets VARS_BYTES_MAX first. */
static size_t bucket_of(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return (h ^ h >> 16) & (BUCKETS - 1);
}

static const struct entry *find(const struct vars *v, const char *name)
{
	for (const struct entry *e = v->buckets[bucket_of(name)]; e; e = e->next)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

int vars_set(struct vars *v, const char *name, const char *value, struct err *err)
{
	size_t name_len = strlen(name), value_len = value ? strlen(value) + 1 : 0;
	size_t cost = sizeof(struct entry) + sizeof(struct entry *) + name_len + 1 + value_len;
	struct entry *e;

	if (!value && find(v, name))
		return 0;
	if (cost > VARS_BYTES_MAX - v->bytes)
		return err_set(err, ERR_DOCKERFILE, "variables take more than %u MiB", VARS_BYTES_MAX >> 20);
	e = xcalloc(1, sizeof(*e) + name_len + 1 + value_len);
	memcpy(e->name, name, name_len);
	if (value)
		e->value = memcpy(e->name + name_len + 1, value, value_len);
	e->bucket = bucket_of(name);
	e->cost = cost;
	e->next = v->buckets[e->bucket];
	v->buckets[e->bucket] = e;
	v->bytes += cost;
	GROW(v->log, v->n, v->cap);
	v->log[v->n++] = e;
	return 0;
}

const char *vars_get(const struct vars *v, const char *name)
{
	const struct entry *e = find(v, name);

	return e ? e->value : NULL;
}

bool vars_has(const struct vars *v, const char *name)
{
	return find(v, name) != NULL;
}

size_t vars_mark(const struct vars *v)
{
	return v->n;
}

void vars_undo(struct vars *v, size_t mark)
{
	while (v->n > mark) {
		struct entry *e = v->log[--v->n];

		/* What was set later is gone already, so this is the newest of its bucket. */
		v->buckets[e->bucket] = e->next;
		v->bytes -= e->cost;
		free(e);
	}
}

const char *vars_suggest(const struct vars *v, const char *name)
{
	auto_free const char **names = xcalloc(v->n + 1, sizeof(*names));

	for (size_t i = 0; i < v->n; i++)
		names[i] = v->log[i]->name;
	return suggest_find(name, names, v->n, false);
}
