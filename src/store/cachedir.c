#include "store/cachedir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "store/store.h"

void cachedir_name(const void *identity, size_t n, unsigned instance, char ret[CACHEDIR_NAME_SIZE])
{
	char text[DIGEST_STR_SIZE];

	sha256_buf_str(identity, n, text);
	snprintf(ret, CACHEDIR_NAME_SIZE, "caches/%s", digest_hex(text));
	if (instance)
		snprintf(ret + strlen(ret), CACHEDIR_NAME_SIZE - strlen(ret), ".%u", instance);
}

int cachedir_open(struct store *store, const char *name, const char *id, struct err *err)
{
	auto_free char *lock = xasprintf("%s/lock", name);
	auto_free char *note = xasprintf("%s/id", name);
	int dir = store_dirfd(store), fd;
	struct stat st;

	if (mkdir_p(dir, name, 0700) < 0)
		return err_sys(err, "cannot create '%s' in the store", name);
	if (fstatat(dir, note, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
		write_file_atomic(dir, note, id, strlen(id), 0600, err) < 0)
		return -1;
	fd = openat(dir, lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "cannot open '%s' in the store", lock);
	(void)futimens(fd, NULL); /* when it was used last, for gc_run() */
	return fd;
}

int cachedir_try_lock(int lock, bool exclusive, struct err *err)
{
	while (flock(lock, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return 0;
		if (errno != EINTR)
			return err_sys(err, "cannot lock a cache of the store");
	}
	return 1;
}

bool cachedir_is_made(struct store *store, const char *name)
{
	auto_free char *fs = xasprintf("%s/fs", name);
	struct stat st;

	return fstatat(store_dirfd(store), fs, &st, AT_SYMLINK_NOFOLLOW) == 0;
}
