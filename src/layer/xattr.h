/* Which extended attributes a layer may hold (spec/oci.md 2.5), and the form of
 * security.capability. */
#ifndef WHITTLE_LAYER_XATTR_H
#define WHITTLE_LAYER_XATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layer/tree.h"

#define XATTR_CAPABILITY "security.capability"
#define XATTR_OVERLAY_OPAQUE "user.overlay.opaque"

/* Whether an attribute of this name goes into a layer that we write. */
bool xattr_written(const char *name);
/*
 * Whether an attribute of this name, found in a layer, is applied to an entry of this type: user.*
 * of regular files and directories except those of overlay drivers, and security.capability of
 * regular files.
 */
bool xattr_applied(const char *name, enum entry_type type);
/*
 * Whether value is a well-formed security.capability: 12, 20 or 24 bytes with the revision (1, 2 or
 * 3) that belongs to that length.
 */
bool xattr_capability_valid(const void *value, size_t len);
/*
 * Make a layer's form of it in place: revision 2 stays, revision 3 of root id 0 becomes revision 2.
 * Returns the new length, or 0 when it cannot be carried (another root id, malformed).
 */
size_t xattr_capability_to_v2(uint8_t *value, size_t len);

#endif
