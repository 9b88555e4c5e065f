/* The bytes of an index (layout in index.h), shared by its reader and its writer. */
#ifndef WHITTLE_LAYER_INDEX_INTERNAL_H
#define WHITTLE_LAYER_INDEX_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "layer/index.h"

#define INDEX_MAGIC "WHITIDX1"
#define INDEX_VERSION 2u
#define INDEX_HAS_WHITEOUTS 1u
#define INDEX_HAS_DEVICES 2u
#define INDEX_OPAQUE 1u
#define INDEX_IMPLIED 2u
#define INDEX_DIGEST 4u
#define INDEX_LINK 8u

struct index_header {
	char magic[8];
	uint32_t version;
	uint32_t crc;
	uint64_t records;
	uint64_t xattrs;
	uint64_t strings;
	uint64_t total_size;
	uint32_t flags;
	uint32_t highest_id;
	uint64_t reserved;
};
_Static_assert(sizeof(struct index_header) == 64, "as documented");

struct index_record {
	uint64_t path_off;
	uint32_t path_len, link_len;
	uint64_t link_off;
	uint64_t size;
	uint64_t mtime;
	uint32_t mtime_ns, uid, gid;
	uint16_t mode;
	uint8_t type, flags;
	uint32_t major, minor;
	uint64_t offset;
	uint32_t xattr_first, nxattrs;
	uint8_t digest[DIGEST_SIZE];
};
_Static_assert(sizeof(struct index_record) == 112, "as documented");

struct index_xattr {
	uint64_t name_off, value_off;
	uint32_t name_len, value_len;
};
_Static_assert(sizeof(struct index_xattr) == 24, "as documented");

/* Whether the entry is a device node that a step could see: its /dev is none of the image's. */
bool index_counts_as_device(const struct tree_entry *e);
/* The CRC-32 (as gzip) of n bytes. */
uint32_t index_crc(const void *data, size_t n);
/* Turn n bytes of an index (malloc(), taken over) into an opened one; NULL and *err as
 * index_open(). */
struct tree_index *index_adopt(void *data, size_t n, struct err *err);

#endif
