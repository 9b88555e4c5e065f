/* The /dev of a step (spec/sandbox.md 2.6). */
#ifndef WHITTLE_SANDBOX_DEVICES_H
#define WHITTLE_SANDBOX_DEVICES_H

#include <stdint.h>

#include "base/err.h"

/*
 * Make a /dev for one step that is not there yet: with devices_mount() it costs that step a move. folder, relative to
 * the working directory, is mounted on for a moment: the mount namespace must be the caller's own.
 * Returns it, attached nowhere, or -1 and ERR_SANDBOX or ERR_SYSTEM.
 */
int devices_make(const char *folder, uint64_t shm_size, struct err *err);
/*
 * Mount a fresh /dev below rootfd: a tmpfs of its own with null, zero, full, random, urandom and tty of the host
 * (each checked by its device number), the usual links, a devpts and a shm.
 * Not a clone of one shared template: a tmpfs is one tree wherever it is mounted, so what one step wrote into
 * /dev another would see; making it anew costs 0.12 ms.
 *   ready     of devices_make(), with this shm_size, or -1
 *   shm_size  bytes that /dev/shm may hold
 * Returns 0, or -1 and ERR_SANDBOX or ERR_SYSTEM.
 */
int devices_mount(int rootfd, int ready, uint64_t shm_size, struct err *err);

#endif
