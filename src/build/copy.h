/*
 * COPY, ADD of local files, and WORKDIR: choose files of a source tree, place them over the tree of a stage,
 * and write the result as a layer or as a folder (dockerfile.md 3.3, 3.6). Runs in a worker.
 */
#ifndef WHITTLE_BUILD_COPY_H
#define WHITTLE_BUILD_COPY_H

#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "build/archive.h"
#include "layer/compress.h"
#include "layer/tar_read.h"
#include "sandbox/holder.h"
#include "sandbox/storage.h"

struct stat;

/* A folder with what was fetched for ADD. What it holds follows from the definition alone: it is not hashed. */
struct copy_root {
	char *folder;     /* relative to the store */
	bool file;        /* one file, which counts as one of mode 0600 */
	bool fixed_mtime; /* everything in it has this time */
	int64_t mtime;
};

/* How a source argument is read. */
struct copy_arg {
	size_t root;  /* 0: the context or the stage; else roots[root - 1] */
	bool literal; /* its text has no wildcards */
	enum archive_accept extract;
};

/* All paths "relative to the store" are ours and free of links; strings may be NULL for "not given". */
struct copy_spec {
	/* from where: the build context, whose folder is descriptor 0 of the job, or the tree of a stage */
	bool from_context;
	char *ignore;              /* text of the ignore file; context only */
	struct strv from_folders;  /* folders relative to the store, top layer first */
	struct strv from_indexes;  /* indexes, base first: owners and device nodes, which files may not show */
	enum storage storage;      /* of the view of several folders, with its scratch (sandbox/root.h) */
	char *scratch;
	/* what */
	struct strv sources;       /* as in the instruction, expanded; relative to the source's root */
	struct copy_arg *args;     /* one per source; NULL: all of root 0, and extract says the rest */
	struct copy_root *roots;
	size_t nroots;
	bool fixed_mtime;          /* everything of root 0 has this time: a checkout's are those of its making */
	int64_t mtime;
	struct strv file_names, file_contents; /* heredocs: files with these names and contents, mode 0644 */
	struct strv excludes;      /* --exclude */
	bool parents;              /* --parents */
	/* where to */
	char *dest;                /* absolute, joined to WORKDIR; a trailing slash means a folder */
	struct strv base_folders;  /* the tree below, base first, one entry per layer each: folder or "" */
	struct strv base_blobs;    /* layer blob or "" */
	struct strv base_indexes;  /* index */
	bool make_dir_only;        /* WORKDIR: nothing is copied, dest is made */
	/* metadata */
	char *chown, *chmod;
	bool extract;              /* ADD: archives are unpacked */
	int64_t now;               /* mtime of what is made (parents, heredocs), seconds */
	/* result */
	uint32_t ids;              /* user and group ids below it exist where the copy runs; set by the job */
	char *folder_out;          /* an empty folder relative to the store, or NULL */
	char *blob_out;            /* an empty file relative to the store: the layer; or NULL */
	char *index_out;           /* an empty file relative to the store; always */
	enum compression compression;
	int level;
	int64_t epoch;             /* of the layer: clamp, or LAYER_EPOCH_NONE */
};
#define COPY_SPEC_INIT { .from_context = false, .storage = STORAGE_OVERLAY }

struct copy_result {
	uint8_t content[DIGEST_SIZE]; /* content digest of what was selected, as copy_digest() gives it */
	struct layer_info layer;      /* when blob_out was given */
	uint64_t entries;             /* in the layer */
	uint64_t bytes;               /* of file content */
	uint64_t made;                /* objects made in folder_out */
};

/* Free what the spec owns; usable again. */
void copy_spec_release(struct copy_spec *spec);
/* Append the spec to a payload. */
void copy_spec_put(const struct copy_spec *spec, struct strbuf *payload);
/* Read a reply of copy_job. Returns 0, or -1 and ERR_SYSTEM. */
int copy_result_get(const struct strbuf *reply, struct copy_result *ret, struct err *err);
/*
 * The job: payload a copy_spec, replies with a copy_result. Errors: ERR_NOT_FOUND (a literal source that is
 * missing: `"/path": not found`), ERR_INPUT (malformed pattern, chmod, unknown user, a folder where a file is and the
 * reverse), ERR_CORRUPT (a file changed while it was read), ERR_SYSTEM, ERR_DISK.
 */
int copy_job(struct job *job, struct err *err);
/* The job that computes the content digest of a stage's files alone: replies with a copy_result. */
int copy_digest_job(struct job *job, struct err *err);

/* Remembers digests of files between builds, or not (get and put may be NULL). */
struct copy_file_digests {
	void *ctx;
	bool (*get)(void *ctx, const struct stat *st, uint8_t out[DIGEST_SIZE]);
	void (*put)(void *ctx, const struct stat *st, const uint8_t digest[DIGEST_SIZE]);
};
/*
 * The content digest (dockerfile.md 8.2) of what spec selects from the folder root: called by the engine itself
 * for the build context. Of spec only the source part matters. Returns 0, or -1 and *err as copy_job().
 */
int copy_digest(int root, const struct copy_spec *spec, const struct copy_file_digests *digests,
	uint8_t ret[DIGEST_SIZE], struct err *err);

#endif
