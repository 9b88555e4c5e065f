/*
 * What a step's supervisor keeps of recorded owners (spec/sandbox.md 3.4): an index that says which files can have a
 * record at all, shared with the step, and the records of objects that can hold no attribute (links, fifos, sockets,
 * whatever lies on a file system without them).
 *
 * The index is one bit per inode number modulo OWNER_INDEX_BITS. A clear bit is certain, unless `unmarked` is set: no
 * record. A set one is not.
 */
#ifndef WHITTLE_SANDBOX_OWNER_TABLE_H
#define WHITTLE_SANDBOX_OWNER_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/owner_record.h"
#include "sandbox/owner_creds.h"

#define OWNER_INDEX_BITS (8u << 20) /* 1 MiB */
#define OWNER_BESIDE_MAX (1u << 18) /* objects without attributes that one step may give away */

/* The file that the step maps as well; sandbox/gate/gate.c knows this layout. */
struct owner_index {
	_Atomic uint32_t foreign; /* not 0 once a process of the step makes files of others than 0:0 */
	/* not 0 once some folder belongs to a group other than 0: what is made in it may inherit that */
	_Atomic uint32_t group_folders;
	/* not 0: records are kept, and a file's attribute says what the supervisor would; 0 at OWNER_FLAT and OWNER_SPILL */
	_Atomic uint32_t kept;
	/* not 0 once a regular file or a directory has its record beside it: then no attribute is not yet no record */
	_Atomic uint32_t beside_files;
	/* not 0: files have records that no bit tells of, so that every attribute must be read */
	_Atomic uint32_t unmarked;
	uint32_t unused[11];
	_Atomic uint64_t plain[CREDS_MAX / 64]; /* by number of credentials: root's rights, and what it makes is 0:0 */
	_Atomic uint64_t bits[OWNER_INDEX_BITS / 64];
};

struct owner_table;

/* A new table; index is borrowed and zero. Never NULL. */
struct owner_table *owner_table_new(struct owner_index *index);
/* Free; accepts NULL. */
void owner_table_free(struct owner_table *t);

/* Whether the object may have a record. */
bool owner_table_may_have(const struct owner_table *t, uint64_t ino);
/* From now on it may. */
void owner_table_mark(struct owner_table *t, uint64_t ino);

/* Say of credentials, by their number, whether the accelerator may act for a process that has them. */
void owner_index_credentials(struct owner_index *index, unsigned number, const struct creds *c);

/*
 * The record beside the object described by sx, which needs STATX_INO and, for an object that the step made,
 * STATX_BTIME: a number that is used again belongs to another birth. Returns whether there is one.
 */
bool owner_table_find(struct owner_table *t, const struct statx *sx, struct owner_record *ret);
/*
 * Keep one. lower: the object is of a layer below, and its number is not used again while the step runs, but its birth
 * changes when it is copied up. Returns 0, or -ENOSPC.
 */
int owner_table_put(struct owner_table *t, const struct statx *sx, bool lower, const struct owner_record *r);

#endif
