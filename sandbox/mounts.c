#include "sandbox/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "sandbox/refusal.h"

#define KERNEL_TEXT_MAX 256

/* The kernel leaves its reason on the context, as "e text". */
static void append_kernel_text(int ctx, struct err *err)
{
	char text[KERNEL_TEXT_MAX];
	ssize_t n = read(ctx, text, sizeof(text) - 1);

	if (n <= 2)
		return;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	err_wrap(err, "%s", text + 2);
}

int mount_new(const char *type, const struct mount_option *options, unsigned attrs, struct err *err)
{
	auto_fd int ctx = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (ctx < 0) {
		err_sys(err, "cannot open file system type '%s'", type);
		return refusal(err, "fsopen");
	}
	for (const struct mount_option *o = options; o && o->key; o++) {
		unsigned cmd = o->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (fsconfig(ctx, cmd, o->key, o->value, 0) < 0) {
			err_sys(err, "cannot set %s%s%s on a new %s", o->key, o->value ? "=" : "",
				o->value ? o->value : "", type);
			append_kernel_text(ctx, err);
			return refusal(err, "fsconfig");
		}
	}
	if (fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		err_sys(err, "cannot create a %s", type);
		append_kernel_text(ctx, err);
		return refusal(err, "fsconfig");
	}
	fd = fsmount(ctx, FSMOUNT_CLOEXEC, attrs);
	if (fd < 0) {
		err_sys(err, "cannot mount a %s", type);
		return refusal(err, "fsmount");
	}
	return fd;
}

int mount_clone(int dirfd, const char *path, bool recursive, unsigned attrs, struct err *err)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (*path ? 0 : AT_EMPTY_PATH);
	struct mount_attr attr = { .attr_set = attrs };
	auto_fd int fd = open_tree(dirfd, path, flags | (recursive ? AT_RECURSIVE : 0));

	if (fd < 0) {
		err_sys(err, "cannot clone the mount '%s'", path);
		return refusal(err, "open_tree");
	}
	if (attrs && mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
			     sizeof(attr)) < 0) {
		err_sys(err, "cannot restrict the mount '%s'", path);
		return refusal(err, "mount_setattr");
	}
	return take_fd(fd);
}

int mount_attach(int fd, int target, const char *what, struct err *err)
{
	if (move_mount(fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
		err_sys(err, "cannot mount %s", what);
		return refusal(err, "move_mount");
	}
	return 0;
}

int mount_attach_in_root(int fd, int rootfd, const char *path, struct err *err)
{
	auto_fd int target = open_in_root(rootfd, path, O_PATH, 0);
	struct stat from, to;

	if (target < 0) {
		err_sys(err, "cannot open the mount point '%s' of the image", path);
		err->kind = err->sys == ENOENT ? ERR_NOT_FOUND : ERR_SANDBOX;
		return -1;
	}
	if (fstat(fd, &from) < 0 || fstat(target, &to) < 0) {
		err_sys(err, "cannot stat the mount point '%s'", path);
		return refusal(err, "fstat");
	}
	if (S_ISDIR(from.st_mode) != S_ISDIR(to.st_mode))
		return err_set(err, ERR_INPUT, "the image has a %s at '%s' where a %s must be mounted",
			S_ISDIR(to.st_mode) ? "folder" : "file", path,
			S_ISDIR(from.st_mode) ? "folder" : "file");
	return mount_attach(fd, target, path, err);
}

int mount_point_folder(int rootfd, const char *name, struct err *err)
{
	auto_fd int target = open_no_symlinks(rootfd, name, O_PATH | O_DIRECTORY, 0);

	if (target < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(err, ERR_INPUT, "/%s of the image is a link or a file; steps need a folder there", name);
	if (target < 0) {
		err_sys(err, "cannot open the mount point '/%s' of the image", name);
		return refusal(err, "openat2");
	}
	return take_fd(target);
}

int mount_attach_on_folder(int fd, int rootfd, const char *name, struct err *err)
{
	auto_fd int target = mount_point_folder(rootfd, name, err);

	return target < 0 ? -1 : mount_attach(fd, target, name, err);
}

int mount_attach_over(int fd, int rootfd, const char *path, struct err *err)
{
	auto_fd int target = open_in_root(rootfd, path, O_PATH | O_NOFOLLOW, 0);
	struct stat st;

	/* With neither case of its own: the errors are those of the other function. */
	if (target < 0 || fstat(target, &st) < 0 || !S_ISLNK(st.st_mode))
		return mount_attach_in_root(fd, rootfd, path, err);
	return mount_attach(fd, target, path, err);
}
