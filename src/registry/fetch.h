/*
 * Plain files by HTTP: ADD of a URL, contexts and Dockerfiles that are one (spec/dockerfile.md 3.3.11, 5.3). Redirects,
 * addresses and retries follow the rules of http.h; credentials are those that the caller gives.
 */
#ifndef WHITTLE_REGISTRY_FETCH_H
#define WHITTLE_REGISTRY_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/err.h"

struct http;

#define FETCH_SIZE_MAX (64ull << 30)  /* bytes of one file: as of a layer */
#define FETCH_VALIDATOR_MAX 1024      /* bytes of an ETag or a date that is remembered; longer ones count as absent */
#define FETCH_RESUMES_MAX 5           /* broken transfers that are taken up again */
#define FETCH_TIME_UNKNOWN INT64_MIN

struct fetch_options {
	const char *url;
	const char *etag, *last_modified; /* of what the caller has: only what is new is sent. NULL: none */
	uint64_t max;                     /* bytes at most; 0: FETCH_SIZE_MAX */
	const char *authorization;        /* value of that header, for the origin of url and no other; NULL: none */
	bool plain_ok;                    /* a redirect may go from https to http: the caller checks a digest */
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* total 0: not known; or NULL */
	void *arg;
};

struct fetch_result {
	bool unchanged;            /* the server says that what the caller has is still right: nothing was written */
	char *etag, *last_modified; /* as the server sent them, or NULL */
	int64_t mtime;             /* of last_modified, or FETCH_TIME_UNKNOWN */
	char digest[DIGEST_STR_SIZE]; /* sha256 of the file; "" when unchanged */
	uint64_t size;
};
#define FETCH_RESULT_INIT { .mtime = FETCH_TIME_UNKNOWN }

/*
 * Fetch a URL into fd, an empty regular file open for reading and writing. A transfer that breaks off is resumed where
 * it stopped, if the server has named a version of the file to hold on to (a strong ETag, else Last-Modified).
 * Returns 0 and *ret, to be released; or -1 and *err:
 *   ERR_NOT_FOUND  404, 410            ERR_DENIED  401, 403, or the rules of http.h
 *   ERR_NETWORK    the transport, 408, 425, 429, 5xx, too many redirects
 *   ERR_INPUT      not a URL of http or https, any other status, more than max bytes
 *   ERR_CANCELLED, ERR_SYSTEM, ERR_DISK
 */
int fetch_file(struct http *http, const struct fetch_options *options, int fd, struct fetch_result *ret,
	struct err *err);
/* Free what the result holds; it is FETCH_RESULT_INIT again. */
void fetch_result_release(struct fetch_result *r);

/*
 * The name that a file gets from its URL: the last component of the path, percent-decoded, or "__unnamed__". The caller
 * frees. Returns NULL and ERR_INPUT for a name that no file can have.
 */
char *fetch_file_name(const char *url, struct err *err);

static inline void auto_fetch_result_release(struct fetch_result *r)
{
	fetch_result_release(r);
}
#define auto_fetch_result __attribute__((cleanup(auto_fetch_result_release))) struct fetch_result

#endif
