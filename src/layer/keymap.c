#include "layer/keymap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

#define CAP_FIRST 256

/* Multiply and rotate, eight bytes at a time: names are short, and the seed is ours. */
static uint32_t hash_key(uint64_t seed, const void *key, size_t len)
{
	const unsigned char *p = key;
	uint64_t h = seed ^ (len * 0x9e3779b97f4a7c15ull), word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	word = 0;
	if (len > 0)
		memcpy(&word, p, len);
	h = (h ^ word) * 0xc4ceb9fe1a85ec53ull;
	h ^= h >> 29;
	h *= 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> 32);
}

void keymap_init(struct keymap *m)
{
	*m = (struct keymap){.slots = NULL};
	if (getrandom(&m->seed, sizeof(m->seed), GRND_NONBLOCK) != sizeof(m->seed))
		m->seed = (uintptr_t)m;
}

void keymap_release(struct keymap *m)
{
	free(m->slots);
	m->slots = NULL;
	m->cap = m->used = 0;
}

/* The slot of key, or the free one where it belongs. */
static struct keymap_slot *slot_of(
	const struct keymap *m, const void *key, size_t len, uint32_t hash)
{
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct keymap_slot *s = &m->slots[i];

		if (!s->key)
			return s;
		if (s->hash == hash && s->len == len && memcmp(s->key, key, len) == 0)
			return s;
	}
}

uint32_t *keymap_find(const struct keymap *m, const void *key, size_t len)
{
	struct keymap_slot *s;

	if (m->used == 0)
		return NULL;
	s = slot_of(m, key, len, hash_key(m->seed, key, len));
	return s->key ? &s->value : NULL;
}

static void grow(struct keymap *m)
{
	struct keymap old = *m;

	m->cap = old.cap ? old.cap * 2 : CAP_FIRST;
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	for (size_t i = 0; i < old.cap; i++) {
		const struct keymap_slot *s = &old.slots[i];

		if (s->key)
			*slot_of(m, s->key, s->len, s->hash) = *s;
	}
	free(old.slots);
}

void keymap_put(struct keymap *m, const void *key, size_t len, uint32_t value)
{
	uint32_t hash = hash_key(m->seed, key, len);

	if (m->used * 2 >= m->cap)
		grow(m);
	*slot_of(m, key, len, hash) = (struct keymap_slot){
		.key = key, .len = (uint32_t)len, .hash = hash, .value = value};
	m->used++;
}
