/*
 * Maps of sparse members, in every form that GNU tar writes (its manual, "Storing Sparse Files"). A map is pairs: an
 * offset in the file, and how many bytes of the body belong there; what no pair covers is zeros.
 *
 *   old GNU   type S; in the header at 386 four pairs, at 482 whether an extension block follows, at 483 the real size.
 *             A block is a record: 21 pairs, at 504 whether another follows. The blocks are no part of the body. A pair
 *             is two numbers as in headers, of 12 bytes; NUL in place of its first byte ends the map
 *   PAX 0.0   records GNU.sparse.size (the real one) and .numblocks, then .offset and .numbytes of each pair
 *   PAX 0.1   .size, .numblocks, .name, and .map: "offset,numbytes,offset,numbytes"
 *   PAX 1.0   .major=1, .minor=0, .name and .realsize; the body begins with the map: decimal numbers, each ended by a
 *             line feed, first how many pairs, then these, filled up to a whole record
 *
 * The name of .name is the member's; that of the header is made up. Readers disagree about maps that are not as GNU tar
 * writes them: here all of these are wrong. What is wrong is kept until the name of the member is known.
 */
#ifndef WHITTLE_LAYER_SPARSE_INTERNAL_H
#define WHITTLE_LAYER_SPARSE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layer/tar_internal.h"
#include "layer/tree.h"

struct sparse {
	const char *wrong;       /* what is, first of all; a constant */
	unsigned seen;           /* which PAX records, as bits; 0: none */
	char *name;              /* of .name, owned, or NULL */
	uint64_t real_size;      /* of the file */
	struct tree_extent *map; /* owned; its pairs so far, in order */
	size_t n, cap;
	uint64_t data;           /* bytes of the body that they take */
	uint64_t map_size;       /* bytes of the map that came as records of their own */
	bool more;               /* another such record must come */

	uint64_t major, minor, blocks; /* as PAX says it */
	bool counted;                  /* blocks is known */
	bool half;                     /* only the offset of a pair was there */
	uint64_t offset;
	char text[20]; /* of a number that is cut by the end of a record */
	size_t text_len;
};
#define SPARSE_INIT { .wrong = NULL }

/* Free what it holds; usable again. */
void sparse_release(struct sparse *s);

/* Take the PAX record GNU.sparse.KEY; neither key nor value ends in NUL. */
void sparse_take_pax(struct sparse *s, const char *key, size_t key_len, const char *value, size_t value_len);
/*
 * The header of the member came: h. It is sparse by its type or, s->seen, by its PAX records. Afterwards s->more says
 * whether records of the map follow it.
 */
void sparse_begin(struct sparse *s, const struct tar_header *h);
/* Take the next such record. */
void sparse_take_record(struct sparse *s, const uint8_t record[TAR_RECORD]);
/*
 * The map is there, and body bytes of contents follow it. Check it as a whole; its last pair ends where the file does.
 * Returns NULL, or what is wrong (a constant).
 */
const char *sparse_end(struct sparse *s, uint64_t body);

#endif
