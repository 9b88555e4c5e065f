/* The table of worker jobs: what the engine may ask its holder to do. */
#ifndef WHITTLE_BUILD_JOBS_H
#define WHITTLE_BUILD_JOBS_H

#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/wire.h"
#include "layer/compress.h"
#include "layer/tar_read.h"
#include "sandbox/holder.h"
#include "sandbox/storage.h"

enum job_id {
	JOB_STEP,        /* run a program (sandbox/step.h), and make the index of what it wrote */
	JOB_EMULATE,     /* register an architecture (cross/binfmt.h) */
	JOB_UNPACK,      /* layer blob to index and folder */
	JOB_SETTLE,      /* what an unpacked folder can only know from the layers below */
	JOB_LAYER,       /* a folder or another layer to a layer blob */
	JOB_COPY,        /* COPY and WORKDIR (build/copy.h) */
	JOB_COPY_DIGEST, /* what a COPY would select */
	JOB_REMOVE,      /* delete trees */
	JOB_ARCHIVE,     /* a context that came as an archive (build/archive.h) */
	JOB_NETWORK,     /* the private network of the build (sandbox/network.h) */
	JOB_TREE,        /* the merged tree to a tar stream or a folder of the user */
	JOB_STORAGE,     /* which storage works here (sandbox/storage.h) */
	JOB_COUNT,
};
extern const struct job_def job_table[JOB_COUNT];

/* JOB_UNPACK. Names are relative to the store. Replies with an unpack_result. */
struct unpack_request {
	const char *blob;
	const char *digest, *diff_id; /* what the blob must have; NULL: any */
	uint64_t size;                /* UINT64_MAX: any */
	const char *folder;           /* empty folder to fill, or NULL */
	const char *index;            /* empty file to fill, or NULL */
	bool plain_tree;              /* a root file system archive, not a layer (layer/tar_read.h) */
};
struct unpack_result {
	struct layer_info layer;
	uint64_t files_size;          /* bytes of file content */
	uint64_t made;                /* objects made in folder */
	uint64_t skipped_devices;
	bool needs_settling;          /* has implied folders or whiteouts */
};
/* Append the request to a payload. */
void unpack_put(const struct unpack_request *r, struct strbuf *payload);

/* JOB_SETTLE: the folder, its index, and the indexes below it, base first. No reply. */
void settle_put(const char *folder, const char *index, const struct strv *lower, struct strbuf *payload);

/*
 * Behind the step_spec of JOB_STEP: the indexes of what is below, base first; the step's upper folder, and where its
 * index goes. A successful step then has a seal_result behind its step_result. Both NULL when nobody wants the files.
 */
void seal_put(const char *folder, const char *index, const struct strv *lower, struct strbuf *payload);
struct seal_result {
	uint64_t entries, files_size;
};
/* Take it from a reply. Returns 0, or -1 and ERR_SYSTEM. */
int seal_result_get(struct wire *reply, struct seal_result *ret, struct err *err);

/* JOB_LAYER: exactly one of folder and blob is the source. Replies with a layer_info. */
struct layer_request {
	const char *folder, *blob;
	const char *index;    /* of the source; NULL: only the compression changes (from blob) */
	const char *out;      /* empty file */
	enum compression compression;
	int level;
	int64_t epoch;
};
/* Append the request to a payload. */
void layer_put(const struct layer_request *r, struct strbuf *payload);

/* JOB_REMOVE: names relative to the store. No reply. */
void remove_put(const struct strv *names, struct strbuf *payload);

/*
 * JOB_TREE: folders top layer first and their indexes base first; as a tar into descriptor 0, or as files below
 * the folder that is descriptor 0, made with the user's own id. Replies with nothing.
 */
struct tree_request {
	const struct strv *folders, *indexes;
	bool as_folder;
	int64_t epoch; /* the time of every entry, or LAYER_EPOCH_NONE: its own (dockerfile.md 6.7.5) */
	enum storage storage; /* of the view of several folders, with its scratch (sandbox/root.h) */
	const char *scratch;
};
/* Append the request to a payload. */
void tree_put(const struct tree_request *r, struct strbuf *payload);

/* Read a reply that is one struct of n bytes into ret. Returns 0, or -1 and ERR_SYSTEM. */
int reply_get(const struct strbuf *reply, void *ret, size_t n, struct err *err);

#endif
