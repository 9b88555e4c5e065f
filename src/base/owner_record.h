/*
 * Who owns a file whose owner the file system cannot hold: an extended attribute on it, written where a build has fewer
 * ids than its images have (spec/sandbox.md 3.4). 28 bytes, little-endian:
 *
 *   0  u8  version (1)     1  u8 flags (0)    2  u16 0
 *   4  u32 uid             8  u32 gid
 *  12  u32 type and mode of a device node, of which only S_IFMT counts, or 0: the file is what it seems
 *  16  u32 rdev, as makedev(3) of 12 and 20 bits
 *  20  u32 uid            24  u32 gid that the file system had when this was written
 *
 * An id counts as long as the file system still has the one noted beside it: a change of owner that nobody recorded
 * makes it void. A file without a record belongs to whom the file system says. Only regular files and directories can have one; an emulated
 * device node is an empty regular file.
 */
#ifndef WHITTLE_BASE_OWNER_RECORD_H
#define WHITTLE_BASE_OWNER_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#define OWNER_XATTR "user.whittle.own"
#define OWNER_RECORD_SIZE 28

struct owner_record {
	uint32_t uid, gid;
	uint32_t type; /* S_IFCHR, S_IFBLK, or 0 */
	uint32_t major, minor;
	uint32_t seen_uid, seen_gid; /* in the file system */
};

/* To bytes. */
void owner_record_format(const struct owner_record *r, uint8_t out[OWNER_RECORD_SIZE]);
/* From n bytes. Returns whether they are a record of a version that we know. */
bool owner_record_parse(const void *data, size_t n, struct owner_record *ret);

/* Who owns the file whose owner is st_uid:st_gid in the file system and which has this record. */
void owner_record_resolve(const struct owner_record *r, uint32_t st_uid, uint32_t st_gid, uint32_t *ret_uid,
	uint32_t *ret_gid);
/*
 * The id that the file system gets in place of one that does not exist where ids below `ids` do: the highest, which
 * nobody else uses; id itself where it exists.
 */
uint32_t owner_native_id(uint32_t id, uint32_t ids);

/* The record of the open file. Returns whether it has one; any failure to read counts as none. */
bool owner_record_get(int fd, struct owner_record *ret);
/* The same of a path, relative to the working directory; a link at its end is followed (it can have no record itself). */
bool owner_record_get_path(const char *path, struct owner_record *ret);
/* Write it. Returns 0, or -1 and errno. */
int owner_record_put(int fd, const struct owner_record *r);
/* The same of a path, as owner_record_get_path() takes it. */
int owner_record_put_path(const char *path, const struct owner_record *r);

#endif
