/*
 * The outer tar file of an image archive: a table of its members, and headers for writing one. For
 * the few regular files of an archive only; the tar format of layers is src/layer's
 * (spec/oci.md 2.1).
 */
#ifndef WHITTLE_OCI_MEMBER_H
#define WHITTLE_OCI_MEMBER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MEMBER_RECORD 512

struct member {
	char *name;	       /* without "./" in front and "/" behind */
	char *link;	       /* target of a link, or NULL */
	uint64_t offset, size; /* of the content, bytes */
	size_t order;	       /* position in the archive */
	/* '0' file, '1' hard link, '2' symbolic link, '5' directory, else what the header says */
	char type;
};

struct member_table {
	struct member *v; /* sorted by name, then order */
	size_t n, cap;
};
#define MEMBER_TABLE_INIT                                                                          \
	{                                                                                          \
		.v = NULL                                                                          \
	}

/*
 * Read all member headers of the regular file fd into *ret (MEMBER_TABLE_INIT before; to be
 * released by the caller also on failure). Contents are passed over, not read. Returns 0, or -1 and
 * *err: ERR_INPUT (not a tar file, or malformed, or over a limit), ERR_UNSUPPORTED (compressed,
 * sparse), ERR_SYSTEM.
 */
int member_table_read(int fd, struct member_table *ret, struct err *err);
/* Free the table; usable again. */
void member_table_release(struct member_table *t);
/* The last member of this name, or NULL; *ret_count is how many there are (NULL allowed). */
const struct member *member_lookup(
	const struct member_table *t, const char *name, size_t *ret_count);

/* Write one member header for name (a directory when it ends in "/"; at most 76 bytes): ids 0, time
 * 0. A size of 8 GiB or more is written in a PAX header before it. Returns 0, or -1 and *err:
 * ERR_SYSTEM, ERR_DISK. */
int member_write_header(
	int fd, const char *name, unsigned int mode, uint64_t size, struct err *err);
/* Write the zero bytes that fill the last record of a content of size bytes. Errors as above. */
int member_write_padding(int fd, uint64_t size, struct err *err);
/* Write the two zero records at the end of an archive. Errors as above. */
int member_write_end(int fd, struct err *err);

#endif
