#include "base/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/fsutil_internal.h"
#include "base/mem.h"

/*
 * openat2() gives EAGAIN for a rename anywhere on the machine; so many in a row are an attack or a
 * bug.
 */
#define RETRIES_MAX 64
/* Bytes read at once: enough that the calls do not count, small enough for the stack. */
#define READ_SIZE (8u << 10) /* on the stack, of which every page is touched; most files read whole are smaller */
#define COPY_SIZE ((size_t)256 * 1024)
/* What copy_file_range() is asked for at once, so that a signal is seen in between. */
#define COPY_RANGE_SIZE ((uint64_t)256 * 1024 * 1024)

int open_by_kernel(int rootfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {.resolve = resolve};
	long fd = -1;

	flags |= O_CLOEXEC;
	if (!(flags & O_PATH))
		flags |= O_LARGEFILE; /* open(2) adds it, the bare call does not, on 32 bits */
	how.flags = (uint64_t)(unsigned int)flags;
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
		how.mode = mode & 07777; /* else it must be 0 */
	for (unsigned int i = 0; i <= RETRIES_MAX; i++) {
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return (int)fd;
}

static int open_resolved(int rootfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	int fd = open_by_kernel(rootfd, path, flags, mode, resolve);

	/*
	 * EPERM: what a seccomp filter older than the call says. If it is meant, the walk meets it
	 * again.
	 */
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	for (unsigned int i = 0; i <= RETRIES_MAX; i++) {
		fd = open_by_walk(rootfd, path, flags, mode, resolve);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

int open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	return open_resolved(rootfd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int open_beneath(int rootfd, const char *path, int flags, mode_t mode)
{
	return open_resolved(rootfd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int open_no_symlinks(int rootfd, const char *path, int flags, mode_t mode)
{
	return open_resolved(rootfd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

int write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* read() that is not interrupted. */
static ssize_t read_some(int fd, void *data, size_t n)
{
	ssize_t got;

	do {
		got = read(fd, data, n);
	} while (got < 0 && errno == EINTR);
	return got;
}

ssize_t read_full(int fd, void *data, size_t n)
{
	char *p = data;
	size_t got = 0;

	while (got < n) {
		ssize_t more = read_some(fd, p + got, n - got);

		if (more < 0)
			return -1;
		if (more == 0)
			break;
		got += (size_t)more;
	}
	return (ssize_t)got;
}

int read_all(int fd, struct strbuf *sb, size_t max)
{
	auto_uninitialized char chunk[READ_SIZE];

	for (;;) {
		ssize_t got = read_some(fd, chunk, sizeof(chunk));

		if (got <= 0)
			return (int)got;
		if ((size_t)got > max)
			break;
		max -= (size_t)got;
		strbuf_add(sb, chunk, (size_t)got);
		if (sb->overflow)
			break;
	}
	errno = EFBIG;
	return -1;
}

int read_file(int dirfd, const char *name, size_t max, struct strbuf *sb, struct err *err)
{
	/* a FIFO or a terminal in its place must not hold us up, nor become ours */
	auto_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOT_FOUND, "no file '%s'", name);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", name);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat '%s'", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, "'%s' is not a regular file", name);
	/* the size alone is not enough: the file may grow, and files of procfs say 0 */
	if ((uint64_t)st.st_size <= max && read_all(fd, sb, max) == 0)
		return 0;
	if ((uint64_t)st.st_size > max || errno == EFBIG)
		return err_set(
			err, ERR_INPUT, "'%s' is larger than the limit of %zu bytes", name, max);
	return err_sys(err, "cannot read '%s'", name);
}

/* Fill the new file fd and put it in the place of name. Returns 0, or -1 and *err. */
static int fill_and_rename(int fd, int dirfd, const char *temp, const char *name, const void *data,
	size_t n, mode_t mode, struct err *err)
{
	if (write_all(fd, data, n) < 0)
		return err_sys(err, "cannot write '%s'", temp);
	if (fchmod(fd, mode) < 0)
		return err_sys(err, "cannot set the mode of '%s'", temp);
	/* before the rename, or a power cut could leave the new name with no content */
	if (fsync(fd) < 0)
		return err_sys(err, "cannot sync '%s'", temp);
	if (renameat(dirfd, temp, dirfd, name) < 0)
		return err_sys(err, "cannot rename '%s' to '%s'", temp, name);
	return 0;
}

int write_file_atomic(
	int dirfd, const char *name, const void *data, size_t n, mode_t mode, struct err *err)
{
	const char *slash = strrchr(name, '/');
	int folder_len = slash ? (int)(slash + 1 - name) : 0;
	char unique[17];
	auto_free char *temp = NULL;
	auto_fd int fd = -1;

	random_name(unique);
	temp = xasprintf("%.*s.%s.tmp", folder_len, name, unique);
	fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "cannot create '%s'", temp);
	if (fill_and_rename(fd, dirfd, temp, name, data, n, mode, err) < 0) {
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	return 0;
}

/* mkdir() that takes an existing folder for success. Its owner can use a new one whatever the umask, as with mkdir -p. */
static int mkdir_one(int dirfd, const char *path, mode_t mode)
{
	struct stat st;
	int error;

	if (mkdirat(dirfd, path, mode) == 0) {
		if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -1;
		return (st.st_mode & 0300) == 0300 ? 0 : fchmodat(dirfd, path, (st.st_mode & 07777) | 0300, 0);
	}
	error = errno;
	/* not only EEXIST: a read-only or foreign parent may refuse before it looks */
	if (error != ENOENT && fstatat(dirfd, path, &st, 0) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
		error = ENOTDIR;
	}
	errno = error;
	return -1;
}

int mkdir_p(int dirfd, const char *path, mode_t mode)
{
	auto_free char *prefix = NULL;

	/* mostly it is there already, or only the last one is missing */
	if (mkdir_one(dirfd, path, mode) == 0)
		return 0;
	if (errno != ENOENT || path[0] == '\0')
		return -1;
	prefix = xstrdup(path);
	for (char *p = prefix + strspn(prefix, "/"); *p; p += strspn(p, "/")) {
		char after;

		p += strcspn(p, "/");
		after = *p;
		*p = '\0';
		if (mkdir_one(dirfd, prefix, mode) < 0)
			return -1;
		*p = after;
	}
	return 0;
}

/* Copy up to n bytes by a buffer; *done grows by what was copied. */
static int copy_by_buffer(int in, int out, uint64_t n, uint64_t *done)
{
	auto_free char *buf = xmalloc(COPY_SIZE);

	while (n > 0) {
		ssize_t got = read_some(in, buf, n < COPY_SIZE ? (size_t)n : COPY_SIZE);

		if (got < 0)
			return -1;
		if (got == 0)
			break;
		if (write_all(out, buf, (size_t)got) < 0)
			return -1;
		*done += (uint64_t)got;
		n -= (uint64_t)got;
	}
	return 0;
}

/* Whether copy_file_range() failed for a reason that read() and write() do not have. */
static bool range_is_refused(int error)
{
	return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP ||
	       error == EBADF || error == EPERM || error == ETXTBSY;
}

int64_t copy_bytes(int in, int out, uint64_t n)
{
	uint64_t done = 0;

	while (n > done) {
		uint64_t want = n - done < COPY_RANGE_SIZE ? n - done : COPY_RANGE_SIZE;
		ssize_t got = copy_file_range(in, NULL, out, NULL, (size_t)want, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && !range_is_refused(errno))
			return -1;
		/*
		 * 0 is the end, or a file system (proc, some fuse) that does not know better:
		 * read() tells
		 */
		if (got <= 0)
			break;
		done += (uint64_t)got;
	}
	if (n > done && copy_by_buffer(in, out, n - done, &done) < 0)
		return -1;
	return (int64_t)done;
}

void random_name(char buf[17])
{
	uint8_t bytes[8];
	struct timespec now = {0};
	uint64_t seed;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
		/*
		 * refused by a filter: names need only be unlikely, the file is opened with O_EXCL
		 */
		clock_gettime(CLOCK_MONOTONIC, &now);
		seed = ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)now.tv_sec ^
		       ((uint64_t)getpid() << 16);
		memcpy(bytes, &seed, sizeof(bytes));
	}
	hex_format(bytes, sizeof(bytes), buf);
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (*s == '\0')
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -1;
	}
	if (v < min || v > max)
		return -1;
	*ret = v;
	return 0;
}
