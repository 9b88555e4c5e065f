/* The merged root file system of a step: an overlay of folders of the store (spec/sandbox.md 2.2). */
#ifndef WHITTLE_SANDBOX_ROOTFS_H
#define WHITTLE_SANDBOX_ROOTFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"

#define ROOTFS_STACK_MAX 500  /* OVL_MAX_STACK of the kernel: lower layers of one overlay */
/* Folders that rootfs_mount() takes: the lowest become an overlay of their own, which counts as one. */
#define ROOTFS_LAYERS_MAX (2 * ROOTFS_STACK_MAX - 1)
#define ROOTFS_NAME_MAX 255   /* bytes of a folder name: fsconfig(2) refuses longer strings */
#define ROOTFS_OPTIONS_MAX 4095 /* bytes: mount(2) cuts its option string here without a word */

/*
 * Make an overlay that is attached nowhere yet.
 *   lowers   folder names relative to the working directory, top layer first, each at most ROOTFS_NAME_MAX bytes; at
 *            least one, at most ROOTFS_LAYERS_MAX
 *   upper, work  two empty folders on one file system, or NULL for a read-only view
 *   place    an empty folder: many layers and old kernels need one to mount on for a moment, in the mount namespace of
 *            the caller, which must be its own
 * Returns the mount's descriptor, or -1 and *err: ERR_INPUT (too many layers, a name too long), ERR_SANDBOX
 * with the kernel's own reason.
 * The upper is never synced by the kernel ("volatile"): a folder without its row in the store is worthless
 * anyway, and fsync storms of package managers cost nothing. So upper and work serve for one mount.
 */
int rootfs_mount(const struct strv *lowers, const char *upper, const char *work, const char *place, struct err *err);

/*
 * The options of mount(2) for the same, for kernels before 6.7; \ , and : in names are escaped. Returns 0, or -1 and
 * ERR_INPUT when they are longer than ROOTFS_OPTIONS_MAX.
 */
int rootfs_classic_options(const struct strv *lowers, const char *upper, const char *work, struct strbuf *options,
	struct err *err);
/* rootfs_mount() by mount(2) alone, without a stack of overlays; for rootfs_mount() and its tests. */
int rootfs_mount_classic(const struct strv *lowers, const char *upper, const char *work, const char *place,
	struct err *err);

/*
 * The names a step's mounts need ("proc", "dev", "etc/hosts", ...), as files and folders in the folder dir of
 * the store: it is the lowest layer of every step, so that a mount point the image lacks appears without a trace in
 * the upper. preload: with the place of /etc/ld.so.preload too. Idempotent. Returns 0, or -1 and *err.
 */
int rootfs_make_stub(int storefd, const char *dir, bool preload, struct err *err);
/* The same names, NULL-terminated, for whoever computes a layer: empty ones are not content. */
extern const char *const rootfs_stub_names[];

#endif
