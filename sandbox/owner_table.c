#include "sandbox/owner_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "base/mem.h"

#define BUCKETS 16384

struct beside {
	struct beside *next;
	uint64_t dev, ino;
	int64_t born; /* nanoseconds since 1970; 0: of a layer below */
	struct owner_record record;
};

struct owner_table {
	struct owner_index *index;
	pthread_mutex_t lock; /* of what follows */
	unsigned len;
	struct beside *buckets[BUCKETS];
};

struct owner_table *owner_table_new(struct owner_index *index)
{
	struct owner_table *t = xcalloc(1, sizeof(*t));

	t->index = index;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void owner_table_free(struct owner_table *t)
{
	if (!t)
		return;
	/* One without entries has never been touched, and looking at it would make its pages. */
	for (unsigned i = 0; t->len && i < BUCKETS; i++)
		while (t->buckets[i]) {
			struct beside *next = t->buckets[i]->next;

			free(t->buckets[i]);
			t->buckets[i] = next;
		}
	pthread_mutex_destroy(&t->lock);
	free(t);
}

bool owner_table_may_have(const struct owner_table *t, uint64_t ino)
{
	uint64_t bit = ino % OWNER_INDEX_BITS;

	return atomic_load_explicit(&t->index->unmarked, memory_order_relaxed) ||
		(atomic_load_explicit(&t->index->bits[bit / 64], memory_order_relaxed) >> (bit % 64) & 1);
}

void owner_table_mark(struct owner_table *t, uint64_t ino)
{
	uint64_t bit = ino % OWNER_INDEX_BITS;

	atomic_fetch_or_explicit(&t->index->bits[bit / 64], 1ull << (bit % 64), memory_order_relaxed);
}

void owner_index_credentials(struct owner_index *index, unsigned number, const struct creds *c)
{
	uint64_t bit = 1ull << (number % 64);

	if (creds_privileged(c) && !creds_makes_foreign(c))
		atomic_fetch_or(&index->plain[number / 64], bit);
	else
		atomic_fetch_and(&index->plain[number / 64], ~bit);
}

static uint64_t dev_of(const struct statx *sx)
{
	return makedev(sx->stx_dev_major, sx->stx_dev_minor);
}

static int64_t birth_of(const struct statx *sx)
{
	return sx->stx_mask & STATX_BTIME ? sx->stx_btime.tv_sec * 1000000000 + sx->stx_btime.tv_nsec : 1;
}

static struct beside **slot_of(struct owner_table *t, const struct statx *sx)
{
	struct beside **at = &t->buckets[sx->stx_ino % BUCKETS];

	while (*at && ((*at)->ino != sx->stx_ino || (*at)->dev != dev_of(sx)))
		at = &(*at)->next;
	return at;
}

bool owner_table_find(struct owner_table *t, const struct statx *sx, struct owner_record *ret)
{
	struct beside *b;
	bool found;

	pthread_mutex_lock(&t->lock);
	b = *slot_of(t, sx);
	found = b && (b->born == 0 || b->born == birth_of(sx));
	if (found)
		*ret = b->record;
	pthread_mutex_unlock(&t->lock);
	return found;
}

int owner_table_put(struct owner_table *t, const struct statx *sx, bool lower, const struct owner_record *r)
{
	struct beside **at;
	int rc = 0;

	owner_table_mark(t, sx->stx_ino);
	pthread_mutex_lock(&t->lock);
	at = slot_of(t, sx);
	if (!*at && t->len == OWNER_BESIDE_MAX) {
		rc = -ENOSPC;
	} else {
		if (!*at) {
			*at = xcalloc(1, sizeof(**at));
			(*at)->dev = dev_of(sx);
			(*at)->ino = sx->stx_ino;
			(*at)->born = lower ? 0 : birth_of(sx);
			t->len++;
		} else if ((*at)->born != 0) {
			(*at)->born = birth_of(sx); /* another object now, or the same */
		}
		(*at)->record = *r;
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}
