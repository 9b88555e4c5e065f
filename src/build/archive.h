/* Archives of users: what ADD unpacks, and contexts that come as one (dockerfile.md 3.3.10, 5.3). Runs in a worker. */
#ifndef WHITTLE_BUILD_ARCHIVE_H
#define WHITTLE_BUILD_ARCHIVE_H

#include <stdbool.h>

#include "base/err.h"

struct job;
struct strbuf;

/* Which compressions make a tar archive of a file that begins with them. */
enum archive_accept {
	ARCHIVE_NEVER,
	ARCHIVE_USUAL, /* none, gzip, bzip2, xz, zstd: what other builders unpack without being told to */
	ARCHIVE_EVERY, /* lzma, lzip and lz4 too: somebody said that it is an archive */
};

/*
 * Open the archive in fd (a regular file; borrowed), called name in messages, uncompressed: *ret_fd (owned by the
 * caller) is that file again, or one without a name in the folder spool ("" is the working directory).
 * Returns 1 when it is a tar archive; 0 and nothing when it is not one, also for a broken stream that does not reach
 * the first header; or -1 and *err: ERR_INPUT (malformed further on, or over a limit), ERR_DISK, ERR_SYSTEM.
 */
int archive_open_tar(int fd, const char *name, enum archive_accept accept, const char *spool, int *ret_fd,
	struct err *err);

/* JOB_ARCHIVE: unpack file into the empty folder, both relative to the store; what is no archive stays as it is. */
void archive_put(const char *file, const char *folder, struct strbuf *payload);
/* Take the reply: *ret whether it was one. Returns 0, or -1 and ERR_SYSTEM. */
int archive_result_get(const struct strbuf *reply, bool *ret, struct err *err);
/* The job. Errors: as archive_open_tar(), layer_read() and folder_writer_sink(). */
int archive_job(struct job *job, struct err *err);

#endif
