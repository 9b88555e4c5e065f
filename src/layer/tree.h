/*
 * The one model of a file tree in this folder: sources feed sinks, entry by entry.
 *
 *   sources   layer_read() (tar_read.h), folder_walk() (folder.h), tree_index records (index.h)
 *   sinks     layer_writer (tar_write.h), folder_writer (apply.h), index_sink (index.h), tree_tee
 *
 * A source calls entry() once per entry; after an ENTRY_FILE it calls data() until the bytes add up
 * to its size (none for size 0; none at all when the source was told to give metadata only); after
 * the last entry it calls finish() once, and never when something failed. A sink returns 0, or -1
 * and *err, which the source hands on at once. What an entry points at lives until the call
 * returns.
 */
#ifndef WHITTLE_LAYER_TREE_H
#define WHITTLE_LAYER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

enum entry_type {
	ENTRY_FILE,
	ENTRY_DIR,
	ENTRY_SYMLINK,
	ENTRY_HARDLINK, /* another name of the file called link, which came earlier */
	ENTRY_CHAR,
	ENTRY_BLOCK,
	ENTRY_FIFO,
	/*
	 * Hides path, and all below it, of lower layers; never what the same layer has there. With
	 * opaque set it is the opaque marker of the directory path: hides all lower children of it.
	 * A source may report an opaque directory as ENTRY_DIR with opaque set, or by such a marker
	 * before or after it.
	 */
	ENTRY_WHITEOUT,
};

struct tree_xattr {
	const char *name;  /* "user.x", without the prefix of tar */
	const void *value; /* any bytes */
	size_t len;	   /* never 0: tar cannot store an empty one */
};

/* A part of a file that has contents of its own. */
struct tree_extent {
	uint64_t offset, size; /* in the file */
};

struct tree_entry {
	const char *path; /* relative, cleaned, no leading or trailing slash; "" is the root; for a
			     whiteout the hidden name itself: a/gone, not a/.wh.gone */
	enum entry_type type;
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	uint64_t size;	   /* of an ENTRY_FILE, else 0 */
	int64_t mtime;	   /* seconds since 1970, rounded down */
	uint32_t mtime_ns; /* 0 also means "unknown" */
	const char *link;  /* target of a symbolic link, or path of the file of a hard link */
	uint32_t major, minor;
	const struct tree_xattr *xattrs; /* sorted by name */
	size_t nxattrs;
	bool opaque;  /* the directory hides lower children */
	bool implied; /* a directory that the archive left out: as in lower, else 0755 0:0 */
	uint64_t offset;	     /* of the body in the uncompressed tar; 0 when unknown */
	/*
	 * Of a sparse file in a tar: the parts that its body holds, one after the other. Zeros are
	 * between them, which data() gets too. They are in order and do not overlap; the last ends
	 * where the file does, and may be empty. Without any the body is the file.
	 */
	const struct tree_extent *extents;
	size_t nextents;
	uint8_t digest[DIGEST_SIZE]; /* SHA-256 of the contents of an ENTRY_FILE */
	bool has_digest;
};

/* Embedded as the first member of each sink. */
struct tree_sink {
	int (*entry)(struct tree_sink *s, const struct tree_entry *e, struct err *err);
	int (*data)(struct tree_sink *s, const void *data, size_t n, struct err *err);
	int (*finish)(struct tree_sink *s, struct err *err);
};

/* Both a and b get everything, a first. */
struct tree_tee {
	struct tree_sink sink;
	struct tree_sink *a, *b;
};

/* Set up *t; a and b are borrowed and must outlive it. Nothing to release. */
void tree_tee_init(struct tree_tee *t, struct tree_sink *a, struct tree_sink *b);

/* A sink that drops everything; shared, never NULL, not to be released. */
struct tree_sink *tree_null_sink(void);

/* Give n zero bytes to s->data(). Returns 0, or -1 and *err: what that raises. */
int tree_give_zeros(struct tree_sink *s, uint64_t n, struct err *err);

/* Whether the entry is a device node. */
bool entry_is_device(const struct tree_entry *e);

/* "file", "directory", "symbolic link", ...; never NULL. */
const char *entry_type_name(enum entry_type type);

/*
 * Order in which a layer is written (spec/oci.md 2.7): as path_compare(), except that the whiteouts
 * of a directory come before everything else in it. Less than, equal to or greater than zero.
 */
int tree_order(const struct tree_entry *a, const struct tree_entry *b);

/*
 * Whether path is a legal path of an entry: "" or components of 1 to LAYER_NAME_MAX bytes that are
 * not "." nor "..", separated by one slash, at most LAYER_DEPTH_MAX of them and LAYER_PATH_MAX
 * bytes.
 */
bool tree_path_valid(const char *path);

/* The length of the parent of path, a prefix of it: 0 for "a", 1 for "a/b". */
size_t tree_parent_len(const char *path);

#endif
