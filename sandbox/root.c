#include "sandbox/root.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "sandbox/diagnose.h"
#include "sandbox/fuse_upper.h"
#include "sandbox/mounts.h"
#include "sandbox/refusal.h"
#include "sandbox/rootfs.h"
#include "sandbox/targets.h"
#include "sandbox/treecopy.h"

int root_new_namespace(struct err *err)
{
	if (unshare(CLONE_NEWNS) == 0)
		return 0;
	err_sys(err, "cannot make a mount namespace for the step");
	err->kind = ERR_SANDBOX; /* ENOSPC is a limit here, not a disk */
	refusal(err, "unshare");
	return diagnose(DIAGNOSE_NAMESPACES, NULL, err);
}

static int open_folder(const char *name, struct err *err)
{
	int fd = open_no_symlinks(AT_FDCWD, name, O_RDONLY | O_DIRECTORY, 0);

	return fd < 0 ? err_sys(err, "cannot open '%s' in the store", name) : fd;
}

static int attach(int fd, struct err *err)
{
	auto_fd int place = open_no_symlinks(AT_FDCWD, ROOT_PLACE, O_PATH | O_DIRECTORY, 0);

	if (place < 0)
		return err_sys(err, "cannot open '%s' in the store", ROOT_PLACE);
	if (mount_attach(fd, place, "the root file system of the step", err) < 0)
		return diagnose(DIAGNOSE_MOUNT, NULL, err);
	return 0;
}

/* The name of a folder beside the upper one, owned by the caller. */
static char *stub_name(const struct root *r)
{
	const char *slash = strrchr(r->upper, '/');

	return xasprintf("%.*stargets", slash ? (int)(slash - r->upper) + 1 : 0, r->upper);
}

/* A layer of the targets that are missing in the root fd. */
static int make_stub(const struct root *r, int fd, struct err *err)
{
	auto_free char *name = stub_name(r);
	auto_fd int stub = -1;
	mode_t mask = umask(0);
	int rc;

	if (mkdirat(AT_FDCWD, name, 0755) < 0)
		rc = err_sys(err, "cannot create '%s' in the store", name);
	else
		rc = stub = open_folder(name, err);
	if (rc >= 0)
		rc = targets_make_stub(fd, stub, err);
	umask(mask);
	return rc < 0 ? -1 : 0;
}

/* From here on it is the topmost layer. */
static void push_stub(struct root *r)
{
	auto_strv all = STRV_INIT;
	struct strv old = r->lowers;

	strv_take(&all, stub_name(r));
	strv_add_all(&all, &old);
	r->lowers = all;
	all = old;
}

/* ---- the kernel's overlay ---- */

static int mount_overlay(struct root *r, struct err *err)
{
	r->fd = rootfs_mount(&r->lowers, r->upper, r->work, ROOT_PLACE, err);
	return r->fd < 0 ? -1 : attach(r->fd, err);
}

/* An upper that was mounted "volatile" cannot be mounted again before its mark is gone. */
static int unmount_overlay(struct root *r, struct err *err)
{
	auto_free char *mark = xasprintf("%s/work", r->work);

	r->fd = close_fd(r->fd);
	if (umount2(ROOT_PLACE, MNT_DETACH) < 0 || remove_tree(AT_FDCWD, mark) < 0)
		return err_sys(err, "cannot take an overlay off again");
	return 0;
}

static int open_overlay(struct root *r, struct err *err)
{
	int missing;

	if (root_new_namespace(err) < 0 || mount_overlay(r, err) < 0)
		return -1;
	missing = targets_missing(r->fd, err);
	if (missing <= 0)
		return missing;
	if (make_stub(r, r->fd, err) < 0 || unmount_overlay(r, err) < 0)
		return -1;
	push_stub(r);
	return mount_overlay(r, err);
}

/* ---- fuse-overlayfs ---- */

static int start_fuse(struct root *r, struct err *err)
{
	r->fd = fuse_start(&r->lowers, r->upper, r->work, &r->daemon, err);
	return r->fd < 0 ? -1 : 0;
}

/* It starts before the namespace is made: pivot_root(2) would pull the root away under it. */
static int open_fuse(struct root *r, struct err *err)
{
	int missing;

	clock_gettime(CLOCK_REALTIME_COARSE, &r->began);
	if (start_fuse(r, err) < 0)
		return -1;
	missing = targets_missing(r->fd, err);
	if (missing < 0)
		return -1;
	if (missing) {
		if (make_stub(r, r->fd, err) < 0)
			return -1;
		r->fd = close_fd(r->fd);
		push_stub(r);
		if (fuse_end(&r->daemon, err) < 0 || start_fuse(r, err) < 0)
			return -1;
	}
	return root_new_namespace(err) < 0 ? -1 : attach(r->fd, err);
}

/* ---- a copy ---- */

/* Unlike an overlay a bind mount keeps what the file system of the store is mounted with. */
static int check_noexec(int fd, struct err *err)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
		return err_set(err, ERR_SANDBOX,
			"the file system of the store is mounted noexec, and with '--storage copy' steps run on it: use "
			"another store directory (--root)");
	return 0;
}

static int fill_copy(struct root *r, int upper, struct err *err)
{
	int missing;

	if (tree_merge(&r->lowers, upper, err) < 0)
		return -1;
	missing = targets_missing(upper, err);
	if (missing > 0) {
		auto_free char *name = stub_name(r);
		auto_fd int stub = -1;

		if (make_stub(r, upper, err) < 0)
			return -1;
		stub = open_folder(name, err);
		missing = stub < 0 ? -1 : tree_apply(stub, upper, err);
	}
	if (missing < 0)
		return -1;
	r->before = tree_snapshot_take(upper, err);
	return r->before ? 0 : -1;
}

static int open_copy(struct root *r, struct err *err)
{
	auto_fd int upper = open_folder(r->upper, err);
	mode_t mask;
	int rc;

	if (upper < 0 || check_noexec(upper, err) < 0)
		return -1;
	mask = umask(0);
	rc = fill_copy(r, upper, err);
	umask(mask);
	if (rc < 0 || root_new_namespace(err) < 0)
		return -1;
	r->fd = mount_clone(AT_FDCWD, r->upper, false, 0, err);
	return r->fd < 0 ? -1 : attach(r->fd, err);
}

/* ---- all of them ---- */

int root_open(struct root *ret, enum storage storage, const struct strv *lowers, const char *stub,
	const char *upper, const char *work, struct err *err)
{
	*ret = (struct root)ROOT_INIT;
	ret->storage = storage;
	ret->upper = xstrdup(upper);
	ret->work = xstrdup(work);
	strv_copy(&ret->lowers, lowers);
	strv_add(&ret->lowers, stub);
	if (storage == STORAGE_OVERLAY)
		return open_overlay(ret, err);
	ret->home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (ret->home < 0)
		return err_sys(err, "cannot open the mount namespace");
	return storage == STORAGE_FUSE ? open_fuse(ret, err) : open_copy(ret, err);
}

/* What the kernel still holds back goes to the daemon now, where an error can be told. */
static int flush(int root, struct err *err)
{
	auto_fd int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? err_sys(err, "cannot write what the step left in memory") : 0;
}

/* The mounts of the step go with its namespace, of which this is the last process. */
static int leave(struct root *r, int store, struct err *err)
{
	if (r->storage == STORAGE_FUSE && flush(r->fd, err) < 0)
		return -1;
	r->fd = close_fd(r->fd);
	if (setns(r->home, CLONE_NEWNS) < 0 || fchdir(store) < 0)
		return err_sys(err, "cannot leave the mount namespace of the step");
	return 0;
}

int root_finish(struct root *r, int store, struct err *err)
{
	auto_fd int upper = -1;
	mode_t mask;
	int rc;

	if (r->storage == STORAGE_OVERLAY)
		return fchdir(store) < 0 ? err_sys(err, "cannot go back to the store") : 0;
	if (leave(r, store, err) < 0)
		return -1;
	upper = open_folder(r->upper, err);
	if (upper < 0 || fuse_end(&r->daemon, err) < 0)
		return -1;
	mask = umask(0);
	rc = r->storage == STORAGE_FUSE ? fuse_upper_convert(upper, &r->lowers, r->began, err) :
					  tree_snapshot_reduce(r->before, upper, err);
	umask(mask);
	return rc;
}

void root_release(struct root *r)
{
	r->fd = close_fd(r->fd);
	r->home = close_fd(r->home);
	if (r->daemon.pid > 0) {
		kill(r->daemon.pid, SIGKILL);
		while (waitpid(r->daemon.pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close_fd(r->daemon.log);
	r->daemon = (struct fuse_daemon)FUSE_DAEMON_INIT;
	tree_snapshot_free(r->before);
	r->before = NULL;
	strv_release(&r->lowers);
	free(r->upper);
	free(r->work);
	r->upper = r->work = NULL;
}

static int view_copy(const struct strv *lowers, const char *scratch, struct err *err)
{
	auto_fd int fd = open_folder(scratch, err);
	mode_t mask = umask(0);
	int rc = fd < 0 ? -1 : tree_merge(lowers, fd, err);

	umask(mask);
	return rc < 0 ? -1 : take_fd(fd);
}

int root_view(enum storage storage, const struct strv *lowers, const char *scratch, struct err *err)
{
	struct fuse_daemon daemon = FUSE_DAEMON_INIT;
	auto_fd int merged = -1;
	int fd;

	if (storage == STORAGE_COPY)
		return view_copy(lowers, scratch, err);
	if (root_new_namespace(err) < 0)
		return -1;
	if (storage == STORAGE_FUSE) /* it dies with this process */
		merged = fuse_start(lowers, NULL, NULL, &daemon, err);
	else
		merged = rootfs_mount(lowers, NULL, NULL, ROOT_PLACE, err);
	if (merged < 0)
		return -1;
	fd = openat(merged, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "cannot open the merged tree") : fd;
}
