/* The tree of a stage or an image: a list of snapshots, base first, and their forms made on demand. */
#ifndef WHITTLE_BUILD_SNAPCHAIN_H
#define WHITTLE_BUILD_SNAPCHAIN_H

#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "build/session.h"
#include "layer/compress.h"
#include "layer/tar_read.h"
#include "store/snapshot.h"

struct snapchain {
	int64_t *ids; /* rows of the store, base first */
	size_t len, cap;
};
#define SNAPCHAIN_INIT { .ids = NULL }

/* Append one snapshot. */
void snapchain_push(struct snapchain *c, int64_t id);
/* Make *to a copy of from; to must be empty or released. */
void snapchain_copy(struct snapchain *to, const struct snapchain *from);
/* Free; usable again. */
void snapchain_release(struct snapchain *c);

/*
 * See to it that every snapshot of the chain has its tree index. Layer blobs must be in the store (or the snapshot has
 * an index). Returns 0, or -1 and *err: what reading the layers raises.
 */
int snapchain_need_indexes(struct session *s, const struct snapchain *c, struct err *err);
/* The same for folders under this session's ID map: layers are unpacked, several at once. */
int snapchain_need_folders(struct session *s, const struct snapchain *c, struct err *err);
/* Note that a snapshot just committed has its index and a folder under this session's ID map. */
void snapchain_note_ready(struct session *s, int64_t id);
/* Names relative to the store: folders top layer first (as overlayfs takes them). */
void snapchain_folder_names(struct session *s, const struct snapchain *c, struct strv *names);
/* Names relative to the store: index files, base first. */
void snapchain_index_names(const struct snapchain *c, struct strv *names);

/* How a layer is to be made. */
struct layer_want {
	enum compression compression;
	int level;            /* 0: the default of the compression */
	int64_t epoch;        /* clamp times to it, or LAYER_EPOCH_NONE (layer/bounds.h) */
	bool force;           /* recompress layers that came from an image as well */
};
/* What the store remembers of a layer just made as wanted. */
void layer_form_of(struct layer_form *ret, const struct layer_info *info, const struct layer_want *want);
/*
 * The layer form of one snapshot: found, or made from its folder or from another of its layers. A source form (of a
 * base image) is taken as it is unless want->force.
 * Returns 0 and *ret, or -1 and *err.
 */
int snapchain_need_layer(struct session *s, int64_t id, const struct layer_want *want, struct layer_form *ret,
	struct err *err);

#endif
