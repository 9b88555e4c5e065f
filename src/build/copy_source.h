/*
 * Where COPY takes its files from: the build context or the merged tree of a stage (dockerfile.md 3.3.2, 4.4).
 * A source argument gives matches (what it names, links followed), a match gives items (itself and all below it
 * that is not excluded). Every path is opened below the root without following a link: links are resolved here,
 * as text, so that they stay inside and the ignore file can hide what they lead through.
 */
#ifndef WHITTLE_BUILD_COPY_SOURCE_H
#define WHITTLE_BUILD_COPY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "build/copy.h"
#include "dockerfile/ignore.h"
#include "layer/chain.h"
#include "layer/tree.h"

/* What a source argument names, or one thing that its wildcards do. */
struct copy_match {
	const char *path; /* where it is, relative to the root, no links on the way; "" is the root */
	const char *name; /* its last component as it was written or matched */
	bool dir;
	struct ignore *kept; /* --parents: what is taken of the folder path; NULL: all */
	const char *must;    /* --parents: something must be taken, this is what was asked for */
	size_t arg;          /* number of the source argument */
	size_t first, n;     /* its items */
};

/* One thing to be copied. Metadata as the source has it, whatever the instruction makes of it. */
struct copy_item {
	const char *path; /* where it goes, relative to the root of the image */
	uint16_t rel;     /* what stands behind so many bytes of path is relative to its match; "" is the match */
	uint8_t type;     /* enum entry_type, never ENTRY_HARDLINK or ENTRY_WHITEOUT */
	bool below;       /* excluded itself, only a parent of what is taken: keeps a folder that is there */
	bool has_several; /* names */
	bool read;        /* attributes and digest are there */
	bool has_digest;
	uint8_t digest[DIGEST_SIZE];
	uint32_t mode, uid, gid;
	uint32_t mtime_ns;
	int64_t mtime;
	uint64_t size;
	uint32_t major, minor;
	uint64_t dev, ino;
	const char *link;
	const struct tree_xattr *xattrs;
	size_t nxattrs;
	/* where the contents of a file are: below the root, or here */
	const struct copy_match *match;
	const char *content; /* size bytes in memory */
	int tar_fd;          /* an archive that is not compressed; the contents are at tar_offset */
	uint64_t tar_offset;
	bool from_tar;
	const struct tree_extent *extents; /* of a sparse member (layer/tree.h), or NULL */
};

struct copy_source {
	int root;     /* borrowed, of the argument in work; -1: a tree of nothing but its root */
	bool context; /* owners are 0:0, file capabilities are not read */
	const struct ignore *ignore; /* likewise, or NULL */
	struct ignore *exclude;
	const struct copy_spec *spec;            /* borrowed */
	int first_root;                          /* root 0, borrowed */
	struct ignore *first_ignore;             /* its ignore file */
	int *more_roots;                         /* those of what was fetched */
	size_t nmore_roots;
	size_t entered;                          /* number of the root in work */
	const struct tree_chain *owners;         /* the tree's indexes, or NULL: owners are those on disk */
	bool hash;                               /* compute digests of files while walking */
	const struct copy_file_digests *digests; /* or NULL */

	struct arena arena; /* everything below */
	struct copy_match **matches;
	size_t nmatches, matches_cap;
	struct copy_item **items;
	size_t nitems, items_cap;

	/* the folder of the file opened before: most share it */
	struct strbuf dir;
	int dir_fd;
	char *buffer; /* COPY_BUFFER_SIZE bytes for contents */
	char *names;  /* of attributes */
	uint8_t *value;
};

#define COPY_BUFFER_SIZE ((size_t)256 << 10)
#define COPY_XATTR_NAMES_SIZE ((size_t)64 << 10) /* XATTR_LIST_MAX of the kernel */

/*
 * Set up *s for what spec selects below root (borrowed).
 * Returns 0, or -1 and ERR_INPUT (a malformed ignore file or --exclude). copy_source_release() in both cases.
 */
int copy_source_init(struct copy_source *s, const struct copy_spec *spec, int root, struct err *err);
/* Free everything. */
void copy_source_release(struct copy_source *s);

/* How source argument number arg is read. */
struct copy_arg copy_source_arg(const struct copy_source *s, size_t arg);
/* Make the root of argument arg the one in work; the functions below do it by themselves. */
void copy_source_enter(struct copy_source *s, size_t arg);
/*
 * Append to s->matches what the source argument text, number arg, names (parents: 3.3.8.1). Wildcards may match
 * nothing.
 * Returns 0, or -1 and *err: ERR_NOT_FOUND (a literal source, or what a link leads to), ERR_INPUT (a malformed
 * pattern, a loop of links), ERR_SYSTEM.
 */
int copy_source_find(struct copy_source *s, size_t arg, const char *text, bool parents, struct err *err);
/*
 * Append the items of m to s->items, parents before what they hold, names of a folder by bytes. prefix is where m
 * goes: the path of its first item, which is m itself.
 * Returns 0, or -1 and *err: ERR_INPUT (a name or depth that no layer can hold, too many files), ERR_NOT_FOUND
 * (m->must and nothing taken), ERR_CORRUPT (changed meanwhile), ERR_SYSTEM.
 */
int copy_source_walk(struct copy_source *s, struct copy_match *m, const char *prefix, struct err *err);
/* Whether the walk would take anything but the folder path (no links on the way) itself. -1 and *err. */
int copy_source_shows_below(struct copy_source *s, const char *path, struct err *err);

/* Path of the item relative to the root, into sb. */
void copy_item_source(const struct copy_item *it, struct strbuf *sb);
/*
 * Open the file it (below the root); its extended attributes are read too. Whether it is what was selected, only
 * copy_item_check() says, after it was read.
 * Returns a descriptor owned by the caller, or -1 and *err: ERR_CORRUPT (it is gone), ERR_SYSTEM.
 */
int copy_item_open(struct copy_source *s, struct copy_item *it, struct err *err);
/* After reading: whether fd is the file that was selected, unchanged. Returns 0, or -1 and ERR_CORRUPT, ERR_SYSTEM. */
int copy_item_check(const struct copy_item *it, int fd, struct err *err);
/*
 * Fill in the digest of the contents of it, a file in the folder dir_fd that st describes, and its attributes:
 * remembered, or read now. Returns 0, or -1 and *err as copy_item_open().
 */
int copy_item_hash(struct copy_source *s, struct copy_item *it, int dir_fd, const char *name, const struct stat *st,
	struct err *err);
/* Read the attributes that go into a layer, of fd. Returns 0, or -1 and *err: ERR_INPUT (too many), ERR_SYSTEM. */
int copy_item_read_xattrs(struct copy_source *s, struct copy_item *it, int fd, struct err *err);
/* The folder path of the root, owned by s, valid until the next call. Returns it, or -1 with errno. */
int copy_source_dir(struct copy_source *s, const char *path, size_t len);

/*
 * The digest of all that was selected (8.2): types, modes, owners, contents, names, never times. Files whose digest is
 * not known yet are read. Returns 0, or -1 and *err as copy_item_open().
 */
int copy_source_digest(struct copy_source *s, uint8_t ret[DIGEST_SIZE], struct err *err);

/* List the names in the folder fd, sorted by bytes; path is for messages. Returns 0, or -1 and ERR_SYSTEM. */
int copy_list_names(int fd, const char *path, struct strv *names, struct err *err);

#endif
