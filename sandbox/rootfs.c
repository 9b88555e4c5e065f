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

#define OPTION_MAX 255     /* fsconfig(2) strings; longer is EINVAL */
#define OPTIONS_PAGE 4095  /* mount(2) cuts its option string here without a word */

const char *const rootfs_stub_names[] = { "dev", "proc", "sys", "etc", "etc/hosts", "etc/resolv.conf",
	OWNER_PRELOAD, NULL };

/* The store is the working directory. */
static int refuse(struct err *err, const char *call)
{
	refusal(err, call);
	return diagnose(DIAGNOSE_OVERLAY, ".", err);
}

static int set(int ctx, const char *key, const char *value, struct err *err)
{
	char text[256];
	size_t len;
	ssize_t n;

	if (value ? fsconfig(ctx, FSCONFIG_SET_STRING, key, value, 0) == 0 :
		    fsconfig(ctx, FSCONFIG_SET_FLAG, key, NULL, 0) == 0)
		return 0;
	/* Neither the value nor the kernel's text, which names a folder of this one step, where the table knows why. */
	err_sys(err, "overlay refuses %s", key);
	refusal(err, "fsconfig");
	len = strlen(err->msg);
	diagnose(DIAGNOSE_OVERLAY, ".", err);
	n = read(ctx, text, sizeof(text) - 1);
	if (n > 2 && strlen(err->msg) == len) {
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		err_wrap(err, "%s", text + 2);
	}
	return -1;
}

/* "lowerdir+" came with Linux 6.7; before it the list is one string of a page in mount(2). */
static int mount_classic(const struct strv *lowers, const char *upper, const char *work, struct err *err)
{
	static const char place[] = "mnt";
	auto_strbuf options = STRBUF_INIT;
	int fd;

	strbuf_puts(&options, "userxattr,lowerdir=");
	for (size_t i = 0; i < lowers->len; i++)
		strbuf_printf(&options, "%s%s", i ? ":" : "", lowers->v[i]);
	if (upper)
		strbuf_printf(&options, ",volatile,upperdir=%s,workdir=%s", upper, work);
	if (options.len > OPTIONS_PAGE)
		return err_set(err, ERR_INPUT,
			"%zu layers are more than this kernel can stack; Linux 6.7 takes %d", lowers->len,
			ROOTFS_LAYERS_MAX);
	if (mount("overlay", place, "overlay", 0, options.buf) < 0) {
		err_sys(err, "cannot mount an overlay of %zu layers", lowers->len);
		return refuse(err, "mount");
	}
	fd = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "cannot open the overlay") : fd;
}

int rootfs_mount(const struct strv *lowers, const char *upper, const char *work, struct err *err)
{
	auto_fd int ctx = fsopen("overlay", FSOPEN_CLOEXEC);
	int fd;

	if (lowers->len == 0 || lowers->len > ROOTFS_LAYERS_MAX)
		return err_set(err, ERR_INPUT, "a root file system of %zu layers; the kernel stacks 1 to %d",
			lowers->len, ROOTFS_LAYERS_MAX);
	if (ctx < 0) {
		err_sys(err, "no overlay file system");
		return refuse(err, "fsopen");
	}
	if (set(ctx, "userxattr", NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < lowers->len; i++) {
		if (strlen(lowers->v[i]) > OPTION_MAX)
			return err_set(err, ERR_INPUT, "layer folder name '%s' is too long", lowers->v[i]);
		if (set(ctx, "lowerdir+", lowers->v[i], err) < 0)
			return i == 0 && err->sys == EINVAL ? mount_classic(lowers, upper, work, err) : -1;
	}
	if (upper && (set(ctx, "volatile", NULL, err) < 0 || set(ctx, "upperdir", upper, err) < 0 ||
			     set(ctx, "workdir", work, err) < 0))
		return -1;
	if (fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		err_sys(err, "cannot create an overlay in the store");
		return refuse(err, "fsconfig");
	}
	fd = fsmount(ctx, FSMOUNT_CLOEXEC, upper ? 0 : MOUNT_ATTR_RDONLY);
	if (fd < 0) {
		err_sys(err, "cannot mount an overlay");
		return refuse(err, "fsmount");
	}
	return fd;
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
