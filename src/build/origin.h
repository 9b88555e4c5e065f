/*
 * What ADD fetches: files by HTTP and git repositories (dockerfile.md 3.3.11, 3.3.12, 8.3). The planner pins each to
 * what it holds now (a digest, a commit), which is what the cache keys are made of; the bytes are only fetched for a
 * step that has to run, or when nothing else can tell what they are.
 */
#ifndef WHITTLE_BUILD_ORIGIN_H
#define WHITTLE_BUILD_ORIGIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "build/copy.h"
#include "build/git.h"
#include "build/session.h"

enum origin_kind { ORIGIN_URL, ORIGIN_GIT };

struct origin {
	struct origin *next; /* of the plan */
	enum origin_kind kind;
	char *url;       /* as it was asked for */
	/* ORIGIN_URL */
	char *file_name; /* what the file is called */
	char digest[DIGEST_STR_SIZE];
	int64_t mtime;   /* Last-Modified, or 0; of git: the time of the commit, once it is fetched */
	bool downgrade_ok; /* a checksum stands for what a redirect to plain HTTP would give away */
	/* ORIGIN_GIT */
	struct giturl git;
	struct git_commit commit;
	bool keep_git_dir;
	/* once it is fetched; guarded by lock */
	pthread_mutex_t lock;
	char *tmp;       /* its folder, relative to the store */
	char *folder;    /* where sources are looked up: tmp, or a folder in it */
};

/*
 * Pin url (http or https). What is remembered of it is asked about with its validators (ETag, else Last-Modified), and
 * an answer of 304 is enough; offline what is remembered is believed. checksum: "ALGORITHM:HEX" or NULL; a remembered
 * file that has it needs no question.
 * Returns it, owned by the caller (origin_free), or NULL and *err: ERR_DOCKERFILE (the checksum is malformed, or the
 * file has another), and as fetch_file().
 */
struct origin *origin_url(struct session *s, const char *url, const char *checksum, struct err *err);
/* Pin a repository; *git is taken over in every case. Returns as origin_url(), *err as git_resolve(). */
struct origin *origin_git(struct session *s, const char *url, struct giturl *git, bool keep_git_dir, struct err *err);
/* Append what decides about a cache key. */
void origin_put(const struct origin *o, struct strbuf *definition);
/*
 * See to it that the files are there, and describe them in *ret (copies, owned by the caller). Thread-safe. vertex: whose
 * progress it is. Returns 0, or -1 and *err: as pinning, ERR_CORRUPT (it changed meanwhile), ERR_INPUT (the subdir leads
 * through a link), ERR_NOT_FOUND (no such subdir).
 */
int origin_need(struct session *s, struct origin *o, unsigned vertex, struct copy_root *ret, struct err *err);
/* Remove what was fetched, and free; accepts NULL. */
void origin_free(struct session *s, struct origin *o);

/* The store's blob with the file of a pinned ORIGIN_URL, fetched when it is not there. Returns 0, or -1 and *err. */
int origin_blob(struct session *s, struct origin *o, unsigned vertex, struct err *err);

#endif
