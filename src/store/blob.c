#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "store/store_internal.h"

/* bytes read at a time: large enough for the hash to be the cost */
#define HASH_BUFFER (128 * 1024)

/* Refuse what is not a digest of ours before it becomes part of a path (spec/oci.md 1.2). */
static int check_digest(const char *digest, struct err *err)
{
	if (digest_valid(digest))
		return 0;
	if (strncmp(digest, "sha512:", 7) == 0 || strncmp(digest, "blake3:", 7) == 0)
		return err_set(
			err, ERR_UNSUPPORTED, "digest '%s': only sha256 is supported", digest);
	return err_set(err, ERR_INPUT, "malformed digest '%s'", digest);
}

int blob_open(const struct store *store, const char *digest, uint64_t *ret_size, struct err *err)
{
	auto_fd int fd = -1;
	struct stat st;

	if (check_digest(digest, err) < 0)
		return -1;
	/* O_NONBLOCK: a FIFO that somebody put there must not hang us. */
	fd = openat(store->blobs_fd, digest_hex(digest),
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "no blob '%s' in the store", digest);
	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		return err_set(err, ERR_CORRUPT, "blob '%s' is not a regular file", digest);
	if (fd < 0)
		return err_sys(err, "cannot open blob '%s'", digest);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat blob '%s'", digest);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CORRUPT, "blob '%s' is not a regular file", digest);
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	return take_fd(fd);
}

bool blob_has(const struct store *store, const char *digest, uint64_t *ret_size)
{
	struct stat st;

	if (!digest_valid(digest) ||
		fstatat(store->blobs_fd, digest_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISREG(st.st_mode))
		return false;
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	return true;
}

int blob_create(struct store *store, char **ret_tmp_name, struct err *err)
{
	return store_tmp_file(store, ret_tmp_name, err);
}

bool blob_is_partial_name(const char *name)
{
	size_t n = strlen(STORE_PARTIAL);

	return strncmp(name, STORE_PARTIAL, n) == 0 && store_is_hex(name + n, DIGEST_HEX);
}

/*
 * Whether name still means the file behind fd: its last user may have committed it while we waited.
 */
static bool same_file(const struct store *store, const char *name, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(store->fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int blob_partial_open(struct store *store, const char *digest, uint64_t *ret_have,
	char **ret_tmp_name, struct err *err)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	auto_free char *name = NULL;
	auto_fd int fd = -1;
	struct stat st;

	if (check_digest(digest, err) < 0)
		return -1;
	name = xasprintf("%s%s", STORE_PARTIAL, digest_hex(digest));
	fd = openat(store->fd, name, flags, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "cannot open '%s/%s'", store->path, name);
	if (!S_ISREG(st.st_mode) || flock(fd, LOCK_EX | LOCK_NB) < 0 ||
		!same_file(store, name, fd) || fchmod(fd, 0600) < 0) {
		*ret_have = 0;
		return blob_create(store, ret_tmp_name, err);
	}
	/* Again, now that nobody else writes. */
	if (fstat(fd, &st) < 0 || lseek(fd, st.st_size, SEEK_SET) < 0)
		return err_sys(err, "cannot resume '%s/%s'", store->path, name);
	*ret_have = (uint64_t)st.st_size;
	*ret_tmp_name = take_ptr(name);
	return take_fd(fd);
}

int blob_commit(struct store *store, int fd, const char *tmp_name, const char *digest,
	uint64_t size, struct err *err)
{
	enum store_sync policy;
	struct stat st;
	uint64_t have;

	if (check_digest(digest, err) < 0)
		return -1;
	if (!store_tmp_name_ok(store, tmp_name, 1) && !blob_is_partial_name(tmp_name))
		return err_set(err, ERR_INPUT, "'%s' is not a temporary blob", tmp_name);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat '%s/%s'", store->path, tmp_name);
	if ((uint64_t)st.st_size != size)
		return err_set(err, ERR_CORRUPT,
			"blob '%s' has %" PRIu64 " bytes instead of %" PRIu64, digest,
			(uint64_t)st.st_size, size);
	/* One of another size is the work of a power cut or of a hand, and is replaced. */
	if (blob_has(store, digest, &have) && have == size) {
		blob_abort(store, tmp_name);
		return 0;
	}
	{
		STORE_GUARD(store);
		policy = store->sync;
	}
	if (fchmod(fd, 0444) < 0 || (policy != STORE_SYNC_NONE && fdatasync(fd) < 0))
		return err_sys(err, "cannot write blob '%s'", digest);
	if (renameat(store->fd, tmp_name, store->blobs_fd, digest_hex(digest)) < 0)
		return err_sys(err, "cannot put blob '%s' into the store", digest);
	if (policy == STORE_SYNC_FULL && fsync(store->blobs_fd) < 0)
		return err_sys(err, "cannot sync '%s/blobs/sha256'", store->path);
	return 0;
}

void blob_abort(struct store *store, const char *tmp_name)
{
	if (tmp_name && (store_tmp_name_ok(store, tmp_name, 1) || blob_is_partial_name(tmp_name)))
		(void)unlinkat(store->fd, tmp_name, 0);
}

int blob_put(struct store *store, const void *data, size_t n, char digest[DIGEST_STR_SIZE],
	struct err *err)
{
	auto_free char *name = NULL;
	char computed[DIGEST_STR_SIZE];
	auto_fd int fd = -1;
	uint64_t have;

	sha256_buf_str(data, n, computed);
	if (!blob_has(store, computed, &have) || have != n) {
		fd = blob_create(store, &name, err);
		if (fd < 0)
			return -1;
		if (write_all(fd, data, n) < 0) {
			(void)err_sys(err, "cannot write blob '%s'", computed);
			blob_abort(store, name);
			return -1;
		}
		if (blob_commit(store, fd, name, computed, n, err) < 0) {
			blob_abort(store, name);
			return -1;
		}
	}
	memcpy(digest, computed, DIGEST_STR_SIZE);
	return 0;
}

static int mismatch(
	const struct store *store, const char *digest, const char *found, struct err *err)
{
	return err_set(err, ERR_CORRUPT,
		"blob '%s' is damaged: its bytes have the digest '%s'; remove "
		"'%s/blobs/sha256/%s' and run again",
		digest, found, store->path, digest_hex(digest));
}

int blob_read(const struct store *store, const char *digest, size_t max, struct strbuf *sb,
	struct err *err)
{
	auto_strbuf data = STRBUF_INIT;
	char found[DIGEST_STR_SIZE];
	auto_fd int fd = -1;
	uint64_t size;

	fd = blob_open(store, digest, &size, err);
	if (fd < 0)
		return -1;
	if (size > max)
		return err_set(err, ERR_INPUT, "blob '%s' has %" PRIu64 " bytes, the limit is %zu",
			digest, size, max);
	if (read_all(fd, &data, max) < 0)
		return err_sys(err, "cannot read blob '%s'", digest);
	sha256_buf_str(data.buf, data.len, found);
	if (strcmp(found, digest) != 0)
		return mismatch(store, digest, found, err);
	strbuf_add(sb, data.buf, data.len);
	return 0;
}

DEFINE_AUTO(struct sha256 *, sha256_free)

int blob_verify(const struct store *store, const char *digest, struct err *err)
{
	AUTO(sha256_free) struct sha256 *hash = NULL;
	auto_free char *buf = NULL;
	char found[DIGEST_STR_SIZE];
	auto_fd int fd = blob_open(store, digest, NULL, err);
	ssize_t n;

	if (fd < 0)
		return -1;
	hash = sha256_new();
	buf = xmalloc(HASH_BUFFER);
	while ((n = read_full(fd, buf, HASH_BUFFER)) > 0)
		sha256_add(hash, buf, (size_t)n);
	if (n < 0)
		return err_sys(err, "cannot read blob '%s'", digest);
	sha256_end_str(hash, found);
	return strcmp(found, digest) == 0 ? 0 : mismatch(store, digest, found, err);
}

int blob_remove(struct store *store, const char *digest, struct err *err)
{
	if (check_digest(digest, err) < 0)
		return -1;
	if (unlinkat(store->blobs_fd, digest_hex(digest), 0) < 0 && errno != ENOENT)
		return err_sys(err, "cannot remove blob '%s'", digest);
	return 0;
}
