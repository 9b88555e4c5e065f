#include "sandbox/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sandbox/diagnose.h"
#include "sandbox/mounts.h"
#include "sandbox/owner.h"
#include "sandbox/refusal.h"

#define KERNEL_TEXT_MAX 256 /* bytes of one message on the context */

const char *const rootfs_stub_names[] = { "dev", "proc", "sys", "etc", "etc/hosts", "etc/resolv.conf",
	OWNER_PRELOAD, NULL };

/* The store is the working directory. */
static int refuse(struct err *err, const char *call)
{
	refusal(err, call);
	return diagnose(DIAGNOSE_OVERLAY, ".", err);
}

/* The kernel leaves its reason on the context, as "e text", one message a read. */
static void append_kernel_text(int ctx, struct err *err)
{
	char text[KERNEL_TEXT_MAX];
	ssize_t n;

	while ((n = read(ctx, text, sizeof(text) - 1)) > 2) {
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		if (text[0] == 'e')
			err_wrap(err, "%s", text + 2);
	}
}

/*
 * Add to err, the failure of an fsconfig(2), why: neither the value nor the kernel's text, which names a folder of this
 * one step, where the table knows the cause. Returns -1.
 */
static int explain(int ctx, struct err *err)
{
	size_t len;

	refusal(err, "fsconfig");
	len = strlen(err->msg);
	diagnose(DIAGNOSE_OVERLAY, ".", err);
	if (strlen(err->msg) == len)
		append_kernel_text(ctx, err);
	return -1;
}

static int set(int ctx, const char *key, const char *value, struct err *err)
{
	if (value ? fsconfig(ctx, FSCONFIG_SET_STRING, key, value, 0) == 0 :
		    fsconfig(ctx, FSCONFIG_SET_FLAG, key, NULL, 0) == 0)
		return 0;
	err_sys(err, "overlay refuses %s", key);
	return explain(ctx, err);
}

static void put_escaped(struct strbuf *sb, const char *name)
{
	for (; *name; name++) {
		if (strchr("\\,:", *name))
			strbuf_putc(sb, '\\');
		strbuf_putc(sb, *name);
	}
}

int rootfs_classic_options(const struct strv *lowers, const char *upper, const char *work, struct strbuf *options,
	struct err *err)
{
	strbuf_puts(options, "userxattr,lowerdir=");
	for (size_t i = 0; i < lowers->len; i++) {
		if (i)
			strbuf_putc(options, ':');
		put_escaped(options, lowers->v[i]);
	}
	if (upper) {
		strbuf_puts(options, ",volatile,upperdir=");
		put_escaped(options, upper);
		strbuf_puts(options, ",workdir=");
		put_escaped(options, work);
	}
	if (options->len > ROOTFS_OPTIONS_MAX)
		return err_set(err, ERR_INPUT,
			"%zu layers are more than this kernel can stack (their names are %zu bytes, it reads %d); "
			"Linux 6.7 takes %d, '--storage fuse' and '--storage copy' any number",
			lowers->len, options->len, ROOTFS_OPTIONS_MAX, ROOTFS_STACK_MAX);
	return 0;
}

int rootfs_mount_classic(const struct strv *lowers, const char *upper, const char *work, const char *place,
	struct err *err)
{
	auto_strbuf options = STRBUF_INIT;
	auto_fd int fd = -1;

	if (rootfs_classic_options(lowers, upper, work, &options, err) < 0)
		return -1;
	if (mount("overlay", place, "overlay", upper ? 0 : MS_RDONLY, options.buf) < 0) {
		err_sys(err, "cannot mount an overlay of %zu layers", lowers->len);
		return refuse(err, "mount");
	}
	fd = mount_clone(AT_FDCWD, place, false, 0, err);
	if (umount2(place, MNT_DETACH) < 0 && fd >= 0)
		return err_sys(err, "cannot take the overlay off '%s'", place);
	return take_fd(fd);
}

static int attach(int fd, const char *place, struct err *err)
{
	auto_fd int target = open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (target < 0)
		return err_sys(err, "cannot open '%s' in the store", place);
	return mount_attach(fd, target, "an overlay", err);
}

/* The file system of the context is configured: make it and a mount of it. */
static int create(int ctx, bool writable, size_t layers, struct err *err)
{
	int fd;

	if (fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		err_sys(err, "cannot create an overlay of %zu layers in the store", layers);
		return explain(ctx, err);
	}
	fd = fsmount(ctx, FSMOUNT_CLOEXEC, writable ? 0 : MOUNT_ATTR_RDONLY);
	if (fd < 0) {
		err_sys(err, "cannot mount an overlay");
		return refuse(err, "fsmount");
	}
	return fd;
}

/*
 * An overlay of lowers[from] to lowers[to - 1] and then below, when that is not NULL; attached nowhere. "lowerdir+"
 * came with Linux 6.7: a kernel that does not know it says so at the first (EINVAL), and *ret_old is set.
 */
static int mount_modern(const struct strv *lowers, size_t from, size_t to, const char *below, const char *upper,
	const char *work, bool *ret_old, struct err *err)
{
	auto_fd int ctx = fsopen("overlay", FSOPEN_CLOEXEC);

	*ret_old = false;
	if (ctx < 0) {
		err_sys(err, "no overlay file system");
		return refuse(err, "fsopen");
	}
	if (set(ctx, "userxattr", NULL, err) < 0)
		return -1;
	for (size_t i = from; i < to; i++)
		if (set(ctx, "lowerdir+", lowers->v[i], err) < 0) {
			*ret_old = i == from && err->sys == EINVAL;
			return -1;
		}
	if (below && set(ctx, "lowerdir+", below, err) < 0)
		return -1;
	if (upper && (set(ctx, "volatile", NULL, err) < 0 || set(ctx, "upperdir", upper, err) < 0 ||
			     set(ctx, "workdir", work, err) < 0))
		return -1;
	return create(ctx, upper != NULL, to - from + (below != NULL), err);
}

static int check_names(const struct strv *lowers, struct err *err)
{
	if (lowers->len == 0 || lowers->len > ROOTFS_LAYERS_MAX)
		return err_set(err, ERR_INPUT, "a root file system of %zu layers; it may have 1 to %d", lowers->len,
			ROOTFS_LAYERS_MAX);
	for (size_t i = 0; i < lowers->len; i++)
		if (strlen(lowers->v[i]) > ROOTFS_NAME_MAX)
			return err_set(err, ERR_INPUT, "layer folder name '%s' is longer than %d bytes", lowers->v[i],
				ROOTFS_NAME_MAX);
	return 0;
}

/*
 * More layers than one overlay stacks: the lowest are merged by a read-only overlay of their own at the place, the
 * lowest layer of the other, which keeps it. Nothing is copied, and the kernel lets one overlay stand on one other.
 */
static int mount_stacked(const struct strv *lowers, const char *upper, const char *work, const char *place,
	struct err *err)
{
	size_t direct = ROOTFS_STACK_MAX - 1;
	auto_fd int root = -1;
	bool old;
	auto_fd int below = mount_modern(lowers, direct, lowers->len, NULL, NULL, NULL, &old, err);

	if (below < 0 && old)
		return err_set(err, ERR_INPUT, "%zu layers are more than this kernel can stack; Linux 6.7 takes them",
			lowers->len);
	if (below < 0 || attach(below, place, err) < 0)
		return -1;
	root = mount_modern(lowers, 0, direct, place, upper, work, &old, err);
	if (umount2(place, MNT_DETACH) < 0 && root >= 0)
		return err_sys(err, "cannot take an overlay off '%s'", place);
	return take_fd(root);
}

int rootfs_mount(const struct strv *lowers, const char *upper, const char *work, const char *place, struct err *err)
{
	struct err reason = ERR_INIT;
	auto_fd int fd = -1;
	bool old = false;

	if (check_names(lowers, err) < 0)
		return -1;
	if (lowers->len > ROOTFS_STACK_MAX)
		fd = mount_stacked(lowers, upper, work, place, &reason);
	else
		fd = mount_modern(lowers, 0, lowers->len, NULL, upper, work, &old, &reason);
	if (fd < 0 && old)
		return rootfs_mount_classic(lowers, upper, work, place, err);
	if (fd < 0)
		*err = reason;
	return take_fd(fd);
}

int rootfs_make_stub(int storefd, const char *dir, bool preload, struct err *err)
{
	for (size_t i = 0; rootfs_stub_names[i]; i++) {
		const char *name = rootfs_stub_names[i];
		auto_free char *path = xasprintf("%s/%s", dir, name);
		int fd;

		if (!preload && strcmp(name, OWNER_PRELOAD) == 0)
			continue;
		if (!strchr(name, '/')) {
			if (mkdir_p(storefd, path, 0755) < 0)
				return err_sys(err, "cannot create '%s' in the store", path);
			continue;
		}
		fd = openat(storefd, path, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0)
			return err_sys(err, "cannot create '%s' in the store", path);
		close_fd(fd);
	}
	return 0;
}
