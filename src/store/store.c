#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "store/store_internal.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
/* names of 64 random bits: a second try is luck, a sixteenth a broken disk */
#define PROCESS_TRIES 16

bool store_is_hex(const char *s, size_t n)
{
	size_t len = strspn(s, "0123456789abcdef");

	return len == n && s[len] == '\0';
}

int store_mkdir(int dirfd, const char *name, mode_t mode)
{
	if (mkdirat(dirfd, name, mode) == 0)
		return fchmodat(dirfd, name, mode, 0);
	return errno == EEXIST ? 0 : -1;
}

char *store_default_root(struct err *err)
{
	const char *root = getenv("WHITTLE_ROOT");
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");

	if (root && *root)
		return xstrdup(root);
	if (data && *data == '/')
		return path_join(data, "whittle");
	if (home && *home)
		return path_join(home, ".local/share/whittle");
	(void)err_set(err, ERR_NOT_FOUND,
		"no place for the store: neither WHITTLE_ROOT nor XDG_DATA_HOME nor HOME is set");
	return NULL;
}

/* path against the working directory as it is now; a later chdir() must not move the store. */
static char *absolute_path(const char *path, struct err *err)
{
	char cwd[PATH_MAX];

	if (*path == '/')
		return path_clean(path);
	if (!getcwd(cwd, sizeof(cwd))) {
		(void)err_sys(err, "cannot find the working directory");
		return NULL;
	}
	return path_join(cwd, path);
}

static int open_dir(int dirfd, const char *name)
{
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Make the folders that are missing and open those that are needed all the time. */
static int open_layout(struct store *store, struct err *err)
{
	static const char *const folders[] = {"blobs", "blobs/sha256", "snapshots", "tmp"};

	store->fd = open_dir(AT_FDCWD, store->path);
	if (store->fd < 0 && errno == ENOENT) {
		auto_free char *parent = path_join(store->path, "..");

		/* 0700 for the parents too: the XDG base directory specification asks for it. */
		if (mkdir_p(AT_FDCWD, parent, 0700) < 0 ||
			store_mkdir(AT_FDCWD, store->path, 0700) < 0)
			return err_sys(err, "cannot create the store '%s'", store->path);
		store->fd = open_dir(AT_FDCWD, store->path);
	}
	if (store->fd < 0)
		return err_sys(err, "cannot open the store '%s'", store->path);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (store_mkdir(store->fd, folders[i], 0700) < 0)
			return err_sys(err, "cannot create '%s/%s'", store->path, folders[i]);
	store->blobs_fd = open_dir(store->fd, "blobs/sha256");
	store->tmp_fd = open_dir(store->fd, "tmp");
	if (store->blobs_fd < 0 || store->tmp_fd < 0)
		return err_sys(err, "cannot open the folders of the store '%s'", store->path);
	return 0;
}

/* Take the lock as one of many. */
static int lock_shared(struct store *store, struct err *err)
{
	store->lock_fd = openat(store->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->lock_fd < 0)
		return err_sys(err, "cannot open '%s/lock'", store->path);
	if (flock(store->lock_fd, LOCK_SH | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK) {
		log_debug("waiting for another whittle to finish pruning '%s'", store->path);
		if (flock(store->lock_fd, LOCK_SH) == 0)
			return 0;
		if (errno == EINTR)
			return err_set(err, ERR_CANCELLED,
				"interrupted while another whittle pruned the store '%s'",
				store->path);
	}
	return err_sys(err, "cannot lock '%s/lock'", store->path);
}

/* Which run of the kernel this is; "" where /proc does not say, which then never counts as another
 * one. */
static void read_boot_id(char boot[STORE_BOOT_SIZE])
{
	auto_fd int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read_full(fd, boot, STORE_BOOT_SIZE - 1);

	boot[n > 0 ? n : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
}

struct store *store_open(const char *root, struct err *err)
{
	AUTO(store_close) struct store *store = xcalloc(1, sizeof(*store));

	store->fd = store->lock_fd = store->blobs_fd = store->tmp_fd = store->process_fd = -1;
	store->sync = STORE_SYNC_NORMAL;
	pthread_mutex_init(&store->mutex, NULL);
	store->path = absolute_path(root, err);
	if (!store->path || open_layout(store, err) < 0 || lock_shared(store, err) < 0)
		return NULL;
	read_boot_id(store->boot);
	if (db_open(store, err) < 0)
		return NULL;
	return take_ptr(store);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	/* What it cannot remove loses its lock below and is another run's store_stale(). */
	if (store->process_fd >= 0 && unlinkat(store->fd, store->process, AT_REMOVEDIR) < 0)
		(void)remove_tree(store->fd, store->process);
	close_fd(store->process_fd);
	db_close(store);
	free(store->pending);
	close_fd(store->tmp_fd);
	close_fd(store->blobs_fd);
	close_fd(store->lock_fd);
	close_fd(store->fd);
	pthread_mutex_destroy(&store->mutex);
	free(store->path);
	free(store);
}

int store_dirfd(const struct store *store)
{
	return store->fd;
}

const char *store_path(const struct store *store)
{
	return store->path;
}

void store_set_sync(struct store *store, enum store_sync policy)
{
	STORE_GUARD(store);

	store->sync = policy;
	db_apply_sync(store);
}

/* Whether any row waits for store_sync(). Returns 1 or 0, or -1 and *err. */
static int sync_outstanding(struct store *store, struct err *err)
{
	auto_stmt stmt = db_query(store, err,
		"SELECT 1 WHERE EXISTS(SELECT 1 FROM snapshot WHERE boot IS NOT NULL)"
		" OR EXISTS(SELECT 1 FROM folder WHERE boot IS NOT NULL)",
		"");

	return stmt ? db_step(store, stmt, err) : -1;
}

/* Give all rows that wait the mark boot, in one transaction; NULL as old means all of them. */
static int sync_mark(struct store *store, const char *old, const char *new, struct err *err)
{
	auto_tx tx = DB_TX_INIT;

	if (db_begin(store, &tx, err) < 0 ||
		db_run(store, err,
			"UPDATE snapshot SET boot = ?2 WHERE boot IS NOT NULL AND (?1 IS NULL OR "
			"boot = ?1)",
			"ss", old, new) < 0 ||
		db_run(store, err,
			"UPDATE folder SET boot = ?2 WHERE boot IS NOT NULL AND (?1 IS NULL OR "
			"boot = ?1)",
			"ss", old, new) < 0)
		return -1;
	return db_commit(&tx, err);
}

int store_sync(struct store *store, struct err *err)
{
	/* A name of our own: what others commit while the disk works must keep waiting. */
	char mark[STORE_BOOT_SIZE + STORE_PROCESS_NAME + 2], unique[STORE_PROCESS_NAME + 1];
	int r;

	random_name(unique);
	snprintf(mark, sizeof(mark), "%s+%s", store->boot, unique);
	{
		STORE_GUARD(store);

		r = store->sync == STORE_SYNC_NONE ? 0 : sync_outstanding(store, err);
		if (r > 0 && sync_mark(store, NULL, mark, err) < 0)
			return -1;
	}
	if (r <= 0)
		return r;
	if (syncfs(store->fd) < 0)
		return err_sys(err, "cannot sync the store '%s'", store->path);

	STORE_GUARD(store);
	return sync_mark(store, mark, NULL, err);
}

int store_lock_exclusive(struct store *store, struct err *err)
{
	STORE_GUARD(store);
	int saved;

	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0) {
		store->exclusive = true;
		return 0;
	}
	saved = errno;
	/* flock(2): a conversion that fails has given up the old lock. */
	while (flock(store->lock_fd, LOCK_SH) < 0)
		if (errno != EINTR)
			return err_sys(err, "cannot lock '%s/lock'", store->path);
	errno = saved;
	if (saved == EWOULDBLOCK)
		return err_set(err, ERR_DENIED,
			"another whittle is using the store '%s'; try again when it has ended",
			store->path);
	return err_sys(err, "cannot lock '%s/lock'", store->path);
}

void store_unlock_exclusive(struct store *store)
{
	STORE_GUARD(store);

	if (!store->exclusive)
		return;
	store->exclusive = false;
	while (flock(store->lock_fd, LOCK_SH) < 0 && errno == EINTR)
		continue;
}

/*
 * Make this process's folder in tmp/ and flock it. Whoever looks for folders of dead processes
 * holds the flock on tmp/ itself, so it never sees ours between mkdir and flock.
 */
static int make_process_folder(struct store *store, struct err *err)
{
	char name[STORE_PROCESS_NAME + 1];
	auto_fd int fd = -1;
	int r = -1;

	while (flock(store->tmp_fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(err, "cannot lock '%s/tmp'", store->path);
	for (int i = 0; r < 0 && i < PROCESS_TRIES; i++) {
		random_name(name);
		r = mkdirat(store->tmp_fd, name, 0700);
		if (r < 0 && errno != EEXIST)
			break;
	}
	if (r == 0)
		r = fchmodat(store->tmp_fd, name, 0700, 0);
	if (r == 0)
		r = fd = openat(
			store->tmp_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r >= 0)
		r = flock(fd, LOCK_EX | LOCK_NB);
	if (r < 0)
		(void)err_sys(err, "cannot make a folder in '%s/tmp'", store->path);
	flock(store->tmp_fd, LOCK_UN);
	if (r < 0)
		return -1;
	store->process_fd = take_fd(fd);
	snprintf(store->process, sizeof(store->process), "tmp/%s", name);
	return 0;
}

int store_tmp_reserve_locked(struct store *store, char *buf, size_t size, struct err *err)
{
	if (store->process_fd < 0 && make_process_folder(store, err) < 0)
		return -1;
	snprintf(buf, size, "%s/%" PRIu64, store->process, ++store->next_tmp);
	return 0;
}

int store_tmp_new_locked(struct store *store, char *buf, size_t size, struct err *err)
{
	if (store_tmp_reserve_locked(store, buf, size, err) < 0)
		return -1;
	if (store_mkdir(store->fd, buf, 0700) < 0)
		return err_sys(err, "cannot make '%s/%s'", store->path, buf);
	return 0;
}

int store_tmp_new(struct store *store, char **ret_name, struct err *err)
{
	char name[PATH_MAX];
	STORE_GUARD(store);

	if (store_tmp_new_locked(store, name, sizeof(name), err) < 0)
		return -1;
	*ret_name = xstrdup(name);
	return 0;
}

int store_tmp_file(struct store *store, char **ret_name, struct err *err)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	auto_fd int fd = -1;
	char name[PATH_MAX];
	STORE_GUARD(store);

	if (store_tmp_reserve_locked(store, name, sizeof(name), err) < 0)
		return -1;
	fd = openat(store->fd, name, flags, 0600);
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return err_sys(err, "cannot make '%s/%s'", store->path, name);
	*ret_name = xstrdup(name);
	return take_fd(fd);
}

bool store_tmp_name_ok(const struct store *store, const char *name, int levels)
{
	size_t n = strlen(store->process);
	const char *p = name + n;

	if (n == 0 || strncmp(name, store->process, n) != 0 || *p != '/')
		return false;
	n = strspn(++p, "0123456789");
	if (n == 0)
		return false;
	p += n;
	if (levels > 1 && *p == '/' && p[1] != '\0' && strcmp(p, "/.") != 0 &&
		strcmp(p, "/..") != 0)
		return !strchr(p + 1, '/');
	return *p == '\0';
}

int store_tmp_drop(struct store *store, const char *name, struct err *err)
{
	if (!store_tmp_name_ok(store, name, 2))
		return err_set(
			err, ERR_INPUT, "'%s' is not a temporary name of this process", name);
	if (remove_tree(store->fd, name) < 0)
		return err_sys(err, "cannot remove '%s/%s'", store->path, name);
	return 0;
}

/* Whether the folder tmp/<name> belongs to a process that is gone. The flock on tmp/ is held. */
static bool is_stale(const struct store *store, const char *name)
{
	auto_fd int fd = -1;

	if (!store_is_hex(name, STORE_PROCESS_NAME))
		return false;
	if (store->process_fd >= 0 && strcmp(store->process + strlen("tmp/"), name) == 0)
		return false;
	fd = openat(store->tmp_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

int store_stale(struct store *store, struct strv *ret_names, struct err *err)
{
	int fd = open_dir(store->tmp_fd, ".");
	auto_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	STORE_GUARD(store);

	if (!dir) {
		close_fd(fd);
		return err_sys(err, "cannot read '%s/tmp'", store->path);
	}
	while (flock(store->tmp_fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(err, "cannot lock '%s/tmp'", store->path);
	while ((entry = readdir(dir)))
		if (is_stale(store, entry->d_name))
			strv_take(ret_names, xasprintf("tmp/%s", entry->d_name));
	flock(store->tmp_fd, LOCK_UN);
	return 0;
}

int store_remove_stale(struct store *store, const char *name, struct err *err)
{
	auto_fd int fd = -1;

	if (strncmp(name, "tmp/", 4) != 0 || !store_is_hex(name + 4, STORE_PROCESS_NAME))
		return err_set(err, ERR_INPUT, "'%s' is not the name of a leftover", name);
	fd = openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(err, "cannot open '%s/%s'", store->path, name);
	/* Held until all is gone, so that two whittles do not tread on each other. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(
			err, ERR_DENIED, "'%s/%s' is in use by another process", store->path, name);
	if (remove_tree(store->fd, name) < 0)
		return err_sys(err, "cannot remove '%s/%s'", store->path, name);
	return 0;
}
