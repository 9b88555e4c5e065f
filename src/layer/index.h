/*
 * The tree index: one record per path of a layer, sorted by path_compare(), in one compact file
 * (design.md section 5). All integers little-endian.
 *
 *   header    0  magic "WHITIDX1"
 *             8  u32 version (2)          12  u32 CRC-32 of everything after the header
 *            16  u64 records             24  u64 xattrs
 *            32  u64 bytes of the string area
 *            40  u64 sum of the sizes of all files
 *            48  u32 flags (1: holds whiteouts, 2: holds device nodes outside of /dev)
 *            52  u32 highest uid or gid of a record                   56  u64 0
 *   records  64  112 bytes each: u64 path offset, u32 path length, u32 link length,
 *                u64 link offset, u64 size, i64 mtime, u32 mtime ns, u32 uid, u32 gid, u16 mode,
 *                u8 type (enum entry_type), u8 flags (1 opaque, 2 implied, 4 digest, 8 link),
 *                u32 major, u32 minor, u64 body offset, u32 first xattr, u32 xattrs,
 *                32 bytes digest
 *   xattrs       24 bytes each: u64 name offset, u64 value offset, u32 name length,
 *                u32 value length
 *   strings      each name and link followed by a NUL; values without
 *
 * Offsets count from the start of the string area. Everything is checked when an index is opened,
 * in one pass, so that what reads it afterwards cannot fail. Invariant of every index: the parent
 * of each record but the root is a record too, and a directory (the root is a record always).
 */
#ifndef WHITTLE_LAYER_INDEX_H
#define WHITTLE_LAYER_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "layer/tree.h"

struct index_sink; /* collects the entries of one layer, in any order */
struct tree_index; /* an opened index: read-only */

enum index_sink_flags {
	INDEX_DIGESTS = 1 << 0, /* compute the SHA-256 of each file from the data that passes */
};

/*
 * A new collector; never NULL. Later entries of one path win, a directory entry over a directory
 * keeps what is below it, anything else removes that first. A path that leads through a symbolic
 * link of the same layer is recorded where it ends, as the folder has it. Whiteouts give way to
 * entries of the same path (a directory becomes opaque), and are dropped below an opaque directory.
 * Parents left out are added as implied directories, 0755 0:0 with mtime 0.
 */
struct index_sink *index_sink_new(unsigned flags);
/* Free; accepts NULL. */
void index_sink_free(struct index_sink *s);
DEFINE_AUTO(struct index_sink *, index_sink_free)
/*
 * Its sink, owned by s. Both entry() and finish() fail with ERR_INPUT for what no folder can be: a
 * name below a file of the same layer, a loop of links, a hard link to a directory or to what was
 * replaced since, more than twice LAYER_ENTRIES_MAX records. A hard link to a path that the layer
 * lacks is kept.
 */
struct tree_sink *index_sink_of(struct index_sink *s);
/*
 * Write the index into fd at its current offset, with write(2). Call after finish(). The caller
 * syncs. Returns 0, or -1 and *err: ERR_SYSTEM, ERR_DISK.
 */
int index_save(struct index_sink *s, int fd, struct err *err);
/* The same index in memory, owned by the caller (index_close()); s may be freed before it. Call
 * after finish(). Never NULL. */
struct tree_index *index_of_sink(struct index_sink *s);

/*
 * Open the index in fd (a whole regular file; mapped, so fd may be closed afterwards).
 * Returns it, owned by the caller, or NULL and *err: ERR_CORRUPT (damaged in any way, or of a
 * version that we do not know: make it again from the layer), ERR_SYSTEM.
 */
struct tree_index *index_open(int fd, struct err *err);
/* As index_open() from n bytes in memory, which are copied. */
struct tree_index *index_from_bytes(const void *data, size_t n, struct err *err);
/* Write an opened index into fd, byte for byte. Returns 0, or -1 and *err: ERR_SYSTEM, ERR_DISK. */
int index_write(const struct tree_index *ix, int fd, struct err *err);
/* Unmap and free; accepts NULL. */
void index_close(struct tree_index *ix);
DEFINE_AUTO(struct tree_index *, index_close)

/* What its header says of an index, which is not read otherwise. */
struct index_summary {
	uint32_t highest_id; /* uid or gid of any record */
	bool devices;        /* nodes outside of /dev */
};
/* Read it from fd (by pread). Returns whether fd begins as an index. */
bool index_peek(int fd, struct index_summary *ret);

/* Records, the root included: at least 1. */
size_t index_len(const struct tree_index *ix);
/* Record i < index_len(); what *ret points at lives as long as ix. */
void index_get(const struct tree_index *ix, size_t i, struct tree_entry *ret);
/* The record of exactly path ("" is the root). Returns whether there is one; ret may be NULL. */
bool index_find(const struct tree_index *ix, const char *path, struct tree_entry *ret);
/* The position of path, or, when it has no record, -1. */
ssize_t index_position(const struct tree_index *ix, const char *path);
/* The position after record i and all that lies below it. */
size_t index_subtree_end(const struct tree_index *ix, size_t i);
/* Whether record i, or a directory above it, is opaque. */
bool index_hides_lower(const struct tree_index *ix, size_t i);
/* The sum of the sizes of all files. */
uint64_t index_total_size(const struct tree_index *ix);
/* Whether any record is a whiteout. */
bool index_has_whiteouts(const struct tree_index *ix);

/*
 * The records in the order of tree_order() instead: positions, owned by the caller (free()),
 * index_len() of them. The root comes first.
 */
uint32_t *index_layer_order(const struct tree_index *ix);

#endif
