/* The header record of tar (spec/oci.md 2.1), shared by the checker, its reader of sparse maps and the writer. */
#ifndef WHITTLE_LAYER_TAR_INTERNAL_H
#define WHITTLE_LAYER_TAR_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#define TAR_RECORD 512u

struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char linkname[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char devmajor[8];
	char devminor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_RECORD, "as documented");

#define TAR_CHECKSUM_OFFSET 148u
#define TAR_CHECKSUM_SIZE 8u

/*
 * Parse a number field of n <= 12 bytes: octal between blanks and NUL bytes (none at all is 0), or base-256.
 * Returns 0 and *ret, or -1.
 */
int tar_parse_number(const char *field, size_t n, int64_t *ret);

/* The bytes that follow size bytes of a body up to the next record. */
static inline uint64_t tar_padding(uint64_t size)
{
	return (TAR_RECORD - size % TAR_RECORD) % TAR_RECORD;
}

#endif
