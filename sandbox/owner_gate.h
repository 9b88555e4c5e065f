/* The accelerator (sandbox/gate/gate.c) as bytes of this program, and where programs of a step find it. */
#ifndef WHITTLE_SANDBOX_OWNER_GATE_H
#define WHITTLE_SANDBOX_OWNER_GATE_H

#include "base/err.h"
#include "sandbox/owner_table.h"

#define OWNER_GATE_PAGE 4096 /* of code before the index in the file that programs map */
/*
 * A program built with gcc's address sanitizer refuses to start behind any preloaded library whose name does not hold
 * "libasan.so". This one gets along with it.
 */
#define OWNER_GATE_LIBRARY "libasan.so.whittle"

/* The text of /etc/ld.so.preload. */
extern const char owner_gate_preload[];

/*
 * Put library and index below the step's /dev, on a tmpfs of their own (that of /dev holds no programs).
 * Returns the index, mapped and shared, or NULL and *err.
 */
struct owner_index *owner_gate_mount(int rootfd, struct err *err);
/* An index without the accelerator; or NULL and *err. */
struct owner_index *owner_index_new(struct err *err);
/* Unmap either. */
void owner_index_free(struct owner_index *index);

#endif
