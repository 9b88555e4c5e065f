/* The /dev of a step (spec/sandbox.md 2.6). */
#ifndef WHITTLE_SANDBOX_DEVICES_H
#define WHITTLE_SANDBOX_DEVICES_H

#include <stdint.h>

#include "base/err.h"

/*
 * Mount a fresh /dev below rootfd: a tmpfs of its own with null, zero, full, random, urandom and tty of the host
 * (each checked by its device number), the usual links, a devpts and a shm.
 * Not a clone of one shared template: a tmpfs is one tree wherever it is mounted, so what one step wrote into
 * /dev another would see; making it anew costs 0.12 ms.
 *   shm_size  bytes that /dev/shm may hold
 * Returns 0, or -1 and ERR_SANDBOX or ERR_SYSTEM.
 */
int devices_mount(int rootfd, uint64_t shm_size, struct err *err);

#endif
