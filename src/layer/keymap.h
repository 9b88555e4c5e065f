/* A hash table from byte strings to numbers, for paths and inode numbers of one layer. */
#ifndef WHITTLE_LAYER_KEYMAP_H
#define WHITTLE_LAYER_KEYMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keymap_slot {
	const void *key; /* NULL: free */
	uint32_t len;
	uint32_t hash;
	uint32_t value;
};

struct keymap {
	struct keymap_slot *slots; /* cap of them, a power of two, at most half used */
	size_t cap, used;
	uint64_t seed; /* random: names come from outside and must not be able to collide on purpose
			*/
};

/* Set up an empty map. */
void keymap_init(struct keymap *m);
/* Free; the keys are not touched. */
void keymap_release(struct keymap *m);
/* The value of key, or NULL; valid until the next keymap_put(). */
uint32_t *keymap_find(const struct keymap *m, const void *key, size_t len);
/* Add key, which must not be there and must outlive the map. */
void keymap_put(struct keymap *m, const void *key, size_t len, uint32_t value);

#endif
