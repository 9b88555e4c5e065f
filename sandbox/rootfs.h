/* The merged root file system of a step: an overlay of folders of the store (spec/sandbox.md 2.2). */
#ifndef WHITTLE_SANDBOX_ROOTFS_H
#define WHITTLE_SANDBOX_ROOTFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"

#define ROOTFS_LAYERS_MAX 500 /* OVL_MAX_STACK of the kernel */

/*
 * Mount an overlay that is attached nowhere yet.
 *   lowers   folder names relative to the working directory, top layer first, each under 256 bytes; at least one
 *   upper, work  two empty folders on one file system, or NULL for a read-only view
 * Returns the mount's descriptor, or -1 and *err: ERR_INPUT (too many layers), ERR_SANDBOX.
 * The upper is never synced by the kernel ("volatile"): a folder without its row in the store is worthless
 * anyway, and fsync storms of package managers cost nothing.
 */
int rootfs_mount(const struct strv *lowers, const char *upper, const char *work, struct err *err);

/*
 * The names a step's mounts need ("proc", "dev", "etc/hosts", ...), as files and folders in the folder dir of
 * the store: it is the lowest layer of every step, so that a mount point the image lacks appears without a trace in
 * the upper. preload: with the place of /etc/ld.so.preload too. Idempotent. Returns 0, or -1 and *err.
 */
int rootfs_make_stub(int storefd, const char *dir, bool preload, struct err *err);
/* The same names, NULL-terminated, for whoever computes a layer: empty ones are not content. */
extern const char *const rootfs_stub_names[];

#endif
