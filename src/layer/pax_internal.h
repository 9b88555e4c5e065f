/* Records of PAX extended headers: "LEN KEY=VALUE\n" (spec/oci.md 2.1). */
#ifndef WHITTLE_LAYER_PAX_INTERNAL_H
#define WHITTLE_LAYER_PAX_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "layer/sparse_internal.h"
#include "layer/tree.h"

/* What the records of one local header say; absent fields have their has_ flag or pointer unset. */
struct pax {
	char *path; /* owned; NULL: absent or deleted */
	char *link;
	bool has_size, has_uid, has_gid, has_mtime;
	uint64_t size;
	uint32_t uid, gid;
	int64_t mtime;
	uint32_t mtime_ns;
	struct tree_xattr *xattrs; /* owned, sorted by name, each name and value owned too */
	size_t nxattrs;
	struct sparse sparse; /* of GNU.sparse.*: not judged yet */
};
#define PAX_INIT { .path = NULL }

/* Free what it holds; usable again. */
void pax_release(struct pax *p);
/*
 * Parse the body of a local header into *p (released or new). Returns 0, or -1 and *err: ERR_INPUT.
 */
int pax_parse(struct pax *p, const char *body, size_t n, struct err *err);
/* Check the form of a global header, whose records are all ignored. Returns 0, or -1 and *err. */
int pax_check_global(const char *body, size_t n, struct err *err);
/* Append one record. */
void pax_put(struct strbuf *sb, const char *key, const void *value, size_t n);

#endif
