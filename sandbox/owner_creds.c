#include "sandbox/owner_creds.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Fits a 32-bit unsigned long and is none of the limits that anybody sets. */
#define LIMIT_MAGIC 0x5a000000u
#define LIMIT_MASK 0xff000000u

bool creds_privileged(const struct creds *c)
{
	return c->euid == 0 || (c->flags & CREDS_PRIVILEGED);
}

bool creds_makes_foreign(const struct creds *c)
{
	return c->fsuid != 0 || c->fsgid != 0;
}

bool creds_in_group(const struct creds *c, uint32_t gid)
{
	if (c->fsgid == gid)
		return true;
	for (size_t i = 0; i < c->ngroups; i++)
		if (c->groups[i] == gid)
			return true;
	return false;
}

/* ---- the calls ---- */

static bool may_take_uid(const struct creds *c, uint32_t id)
{
	return id == CREDS_UNCHANGED || creds_privileged(c) || id == c->ruid || id == c->euid || id == c->suid;
}

static bool may_take_gid(const struct creds *c, uint32_t id)
{
	return id == CREDS_UNCHANGED || creds_privileged(c) || id == c->rgid || id == c->egid || id == c->sgid;
}

/* What the kernel does to capabilities when user ids change (capabilities(7)). */
static void after_uids(struct creds *c, const struct creds *before)
{
	bool had_root = before->ruid == 0 || before->euid == 0 || before->suid == 0;
	bool has_root = c->ruid == 0 || c->euid == 0 || c->suid == 0;

	c->fsuid = c->euid;
	if (had_root && !has_root) {
		if ((c->flags & CREDS_KEEPCAPS) && creds_privileged(before))
			c->flags |= CREDS_PRIVILEGED;
		else
			c->flags &= ~(unsigned)CREDS_PRIVILEGED;
	}
}

int creds_setuid(struct creds *c, uint32_t uid)
{
	struct creds before = *c;

	if (uid == CREDS_UNCHANGED)
		return -EINVAL;
	if (creds_privileged(c))
		c->ruid = c->suid = uid;
	else if (uid != c->ruid && uid != c->suid)
		return -EPERM;
	c->euid = uid;
	after_uids(c, &before);
	return 0;
}

int creds_setgid(struct creds *c, uint32_t gid)
{
	if (gid == CREDS_UNCHANGED)
		return -EINVAL;
	if (creds_privileged(c))
		c->rgid = c->sgid = gid;
	else if (gid != c->rgid && gid != c->sgid)
		return -EPERM;
	c->egid = c->fsgid = gid;
	return 0;
}

int creds_setreuid(struct creds *c, uint32_t ruid, uint32_t euid)
{
	struct creds before = *c;

	/* The real id may become the real or the effective one, not the saved one. */
	if (ruid != CREDS_UNCHANGED && !creds_privileged(c) && ruid != c->ruid && ruid != c->euid)
		return -EPERM;
	if (!may_take_uid(c, euid))
		return -EPERM;
	if (ruid != CREDS_UNCHANGED)
		c->ruid = ruid;
	if (euid != CREDS_UNCHANGED)
		c->euid = euid;
	if (ruid != CREDS_UNCHANGED || (euid != CREDS_UNCHANGED && euid != before.ruid))
		c->suid = c->euid;
	after_uids(c, &before);
	return 0;
}

int creds_setregid(struct creds *c, uint32_t rgid, uint32_t egid)
{
	uint32_t before = c->rgid;

	if (rgid != CREDS_UNCHANGED && !creds_privileged(c) && rgid != c->rgid && rgid != c->egid)
		return -EPERM;
	if (!may_take_gid(c, egid))
		return -EPERM;
	if (rgid != CREDS_UNCHANGED)
		c->rgid = rgid;
	if (egid != CREDS_UNCHANGED)
		c->egid = egid;
	if (rgid != CREDS_UNCHANGED || (egid != CREDS_UNCHANGED && egid != before))
		c->sgid = c->egid;
	c->fsgid = c->egid;
	return 0;
}

int creds_setresuid(struct creds *c, uint32_t ruid, uint32_t euid, uint32_t suid)
{
	struct creds before = *c;

	if (!may_take_uid(c, ruid) || !may_take_uid(c, euid) || !may_take_uid(c, suid))
		return -EPERM;
	if (ruid != CREDS_UNCHANGED)
		c->ruid = ruid;
	if (euid != CREDS_UNCHANGED)
		c->euid = euid;
	if (suid != CREDS_UNCHANGED)
		c->suid = suid;
	after_uids(c, &before);
	return 0;
}

int creds_setresgid(struct creds *c, uint32_t rgid, uint32_t egid, uint32_t sgid)
{
	if (!may_take_gid(c, rgid) || !may_take_gid(c, egid) || !may_take_gid(c, sgid))
		return -EPERM;
	if (rgid != CREDS_UNCHANGED)
		c->rgid = rgid;
	if (egid != CREDS_UNCHANGED)
		c->egid = egid;
	if (sgid != CREDS_UNCHANGED)
		c->sgid = sgid;
	c->fsgid = c->egid;
	return 0;
}

uint32_t creds_setfsuid(struct creds *c, uint32_t uid)
{
	uint32_t before = c->fsuid;

	if (uid != CREDS_UNCHANGED && (may_take_uid(c, uid) || uid == c->fsuid))
		c->fsuid = uid;
	return before;
}

uint32_t creds_setfsgid(struct creds *c, uint32_t gid)
{
	uint32_t before = c->fsgid;

	if (gid != CREDS_UNCHANGED && (may_take_gid(c, gid) || gid == c->fsgid))
		c->fsgid = gid;
	return before;
}

int creds_setgroups(struct creds *c, const uint32_t *groups, size_t n)
{
	if (!creds_privileged(c))
		return -EPERM;
	if (n > CREDS_GROUPS_MAX)
		return -EINVAL;
	c->groups = groups;
	c->ngroups = n;
	return 0;
}

void creds_exec(struct creds *c, unsigned mode, uint32_t uid, uint32_t gid)
{
	if (mode & 04000)
		c->euid = uid;
	/* Without the group's x bit it marks mandatory locking, not a set-group-id program. */
	if ((mode & 02010) == 02010)
		c->egid = gid;
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	c->flags &= ~(unsigned)(CREDS_KEEPCAPS | CREDS_PRIVILEGED);
}

/* ---- the table ---- */

struct entry {
	struct creds creds;
	uint32_t groups[];
};

struct creds_table {
	pthread_mutex_t lock; /* of those who append */
	atomic_uint len;
	size_t groups_total;
	struct entry *entries[CREDS_MAX]; /* below len: set, and never changed again */
};

static bool same(const struct creds *a, const struct creds *b)
{
	return a->ruid == b->ruid && a->euid == b->euid && a->suid == b->suid && a->fsuid == b->fsuid &&
		a->rgid == b->rgid && a->egid == b->egid && a->sgid == b->sgid && a->fsgid == b->fsgid &&
		a->umask == b->umask && a->flags == b->flags && a->ngroups == b->ngroups &&
		(a->ngroups == 0 || memcmp(a->groups, b->groups, a->ngroups * sizeof(*a->groups)) == 0);
}

static struct entry *copy_of(const struct creds *c)
{
	size_t size = c->ngroups * sizeof(*c->groups); /* at most CREDS_GROUPS_MAX */
	struct entry *copy = xmalloc(sizeof(*copy) + size);

	copy->creds = *c;
	if (size > 0)
		memcpy(copy->groups, c->groups, size);
	copy->creds.groups = copy->groups;
	return copy;
}

static int find(const struct creds_table *t, unsigned from, unsigned to, const struct creds *c)
{
	for (unsigned i = from; i < to; i++)
		if (same(&t->entries[i]->creds, c))
			return (int)i;
	return -1;
}

struct creds_table *creds_table_new(void)
{
	static const struct creds root = CREDS_ROOT;
	struct creds_table *t = xmalloc(sizeof(*t)); /* not cleared: 64 KiB for a step that has two entries */

	pthread_mutex_init(&t->lock, NULL);
	t->groups_total = 0;
	t->entries[0] = copy_of(&root);
	atomic_init(&t->len, 1);
	return t;
}

void creds_table_free(struct creds_table *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < atomic_load(&t->len); i++)
		free(t->entries[i]);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int creds_intern(struct creds_table *t, const struct creds *c)
{
	unsigned len = atomic_load_explicit(&t->len, memory_order_acquire);
	int at = find(t, 0, len, c);

	if (at >= 0)
		return at;
	pthread_mutex_lock(&t->lock);
	at = find(t, len, atomic_load(&t->len), c);
	len = atomic_load(&t->len);
	if (at < 0 && len < CREDS_MAX && t->groups_total + c->ngroups <= CREDS_GROUPS_TOTAL) {
		t->entries[len] = copy_of(c);
		t->groups_total += c->ngroups;
		at = (int)len;
		atomic_store_explicit(&t->len, len + 1, memory_order_release);
	}
	pthread_mutex_unlock(&t->lock);
	return at;
}

const struct creds *creds_get(const struct creds_table *t, unsigned number)
{
	unsigned len = atomic_load_explicit(&t->len, memory_order_acquire);

	return &t->entries[number < len ? number : 0]->creds;
}

uint64_t creds_to_limit(unsigned number)
{
	return LIMIT_MAGIC | number;
}

unsigned creds_from_limit(uint64_t limit)
{
	if (limit > UINT32_MAX || (limit & LIMIT_MASK) != LIMIT_MAGIC)
		return 0;
	return (unsigned)(limit & ~LIMIT_MASK);
}
