#include "sandbox/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "sandbox/fuse.h"
#include "sandbox/rootfs.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define KEY_MAX 512 /* bytes of the cache file: a UUID, a number, a release and a word */

static const char *const names[] = {
	[STORAGE_AUTO] = "auto",
	[STORAGE_OVERLAY] = "overlay",
	[STORAGE_FUSE] = "fuse",
	[STORAGE_COPY] = "copy",
};

int storage_parse(const char *s, enum storage *ret, struct err *err)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(s, names[i]) == 0) {
			*ret = (enum storage)i;
			return 0;
		}
	return err_set(err, ERR_USAGE, "unknown storage '%s': use auto, overlay, fuse or copy", s);
}

const char *storage_name(enum storage storage)
{
	return names[storage];
}

/* ---- the cache ---- */

static int make_key(int storefd, enum isolation mode, struct strbuf *key)
{
	struct err ignored = ERR_INIT;
	struct utsname kernel;
	struct stat st;

	if (fstat(storefd, &st) < 0 || uname(&kernel) < 0 ||
		read_file(AT_FDCWD, BOOT_ID, KEY_MAX / 2, key, &ignored) < 0)
		return -1;
	strbuf_printf(key, "%llx %s %s overlay\n", (unsigned long long)st.st_dev, kernel.release, isolation_name(mode));
	return key->len <= KEY_MAX ? 0 : -1;
}

bool storage_overlay_known(int storefd, enum isolation mode)
{
	auto_strbuf key = STRBUF_INIT;
	auto_strbuf cached = STRBUF_INIT;
	struct err ignored = ERR_INIT;

	return make_key(storefd, mode, &key) == 0 &&
	       read_file(storefd, STORAGE_CACHE, KEY_MAX, &cached, &ignored) == 0 && strcmp(key.buf, cached.buf) == 0;
}

void storage_overlay_remember(int storefd, enum isolation mode)
{
	auto_strbuf key = STRBUF_INIT;
	struct err ignored = ERR_INIT;

	if (make_key(storefd, mode, &key) == 0)
		write_file_atomic(storefd, STORAGE_CACHE, key.buf, key.len, 0600, &ignored);
}

/* ---- the probe ---- */

static int make_file(int dir, const char *name, struct err *err)
{
	auto_fd int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	return fd < 0 ? err_sys(err, "cannot create '%s'", name) : 0;
}

static int make_dir(int dir, const char *name, struct err *err)
{
	return mkdirat(dir, name, 0755) < 0 ? err_sys(err, "cannot create the folder '%s'", name) : 0;
}

/* Open a new folder scratch/name. */
static int new_folder(const char *scratch, const char *name, struct err *err)
{
	auto_free char *path = xasprintf("%s/%s", scratch, name);
	int fd;

	if (make_dir(AT_FDCWD, path, err) < 0)
		return -1;
	fd = open_no_symlinks(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? err_sys(err, "cannot open '%s' in the store", path) : fd;
}

/* What steps do to the merged view: rename over a file below, remove one, replace a folder. */
static int change(int root, struct err *err)
{
	if (make_file(root, "new", err) < 0)
		return -1;
	if (renameat(root, "new", root, "replaced") < 0)
		return err_sys(err, "cannot rename over a file of a layer");
	if (unlinkat(root, "gone", 0) < 0)
		return err_sys(err, "cannot remove a file of a layer");
	if (unlinkat(root, "folder/file", 0) < 0 || unlinkat(root, "folder", AT_REMOVEDIR) < 0)
		return err_sys(err, "cannot remove a folder of a layer");
	return make_dir(root, "folder", err);
}

/* What must have become of it in the upper folder: a mount that "works" may still lose all of this. */
static int check_upper(int upper, struct err *err)
{
	auto_fd int folder = openat(upper, "folder", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char opaque = 0;
	struct stat st;

	if (fstatat(upper, "gone", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(0, 0))
		return err_set(err, ERR_SANDBOX, "a removed file leaves no whiteout");
	if (folder < 0 || fgetxattr(folder, "user.overlay.opaque", &opaque, 1) != 1 || opaque != 'y')
		return err_set(err, ERR_SANDBOX, "a replaced folder is not marked opaque");
	if (fstatat(upper, "replaced", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_SANDBOX, "a new file is not in the upper folder");
	return 0;
}

static int probe_overlay(const char *scratch, struct err *err)
{
	auto_fd int lower = new_folder(scratch, "lower", err);
	auto_fd int upper = lower < 0 ? -1 : new_folder(scratch, "upper", err);
	auto_fd int work = upper < 0 ? -1 : new_folder(scratch, "work", err);
	auto_fd int place = work < 0 ? -1 : new_folder(scratch, "place", err);
	auto_free char *lower_name = xasprintf("%s/lower", scratch);
	auto_free char *upper_name = xasprintf("%s/upper", scratch);
	auto_free char *work_name = xasprintf("%s/work", scratch);
	auto_free char *place_name = xasprintf("%s/place", scratch);
	auto_strv lowers = STRV_INIT;
	auto_fd int root = -1;

	if (place < 0 || make_file(lower, "replaced", err) < 0 || make_file(lower, "gone", err) < 0 ||
		make_dir(lower, "folder", err) < 0 || make_file(lower, "folder/file", err) < 0)
		return -1;
	strv_add(&lowers, lower_name);
	root = rootfs_mount(&lowers, upper_name, work_name, place_name, err);
	return root < 0 || change(root, err) < 0 || check_upper(upper, err) < 0 ? -1 : 0;
}

int storage_probe(struct job *job, struct err *err)
{
	struct storage_choice choice = { .storage = STORAGE_OVERLAY };
	struct err overlay = ERR_INIT, fuse = ERR_INIT;
	auto_strbuf reply = STRBUF_INIT;
	struct wire w;

	wire_init(&w, job->payload, job->len);
	auto_free char *scratch = wire_get_str(&w);
	if (!wire_done(&w))
		return err_set(err, ERR_SYSTEM, "a request for 'storage' is malformed");
	/* The mounts of the probe go with this process. */
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "cannot make a mount namespace");
	if (probe_overlay(scratch, &overlay) < 0) {
		choice.storage = fuse_available(&fuse) == 0 ? STORAGE_FUSE : STORAGE_COPY;
		snprintf(choice.why, sizeof(choice.why), "overlay: %.110s%s%.110s", overlay.msg,
			choice.storage == STORAGE_COPY ? "; fuse: " : "", choice.storage == STORAGE_COPY ? fuse.msg : "");
	}
	strbuf_add(&reply, &choice, sizeof(choice));
	return job_reply(job, &reply, err);
}
