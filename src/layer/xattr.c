#include "layer/xattr.h"

#include <endian.h>
#include <string.h>

/* vfs_cap_data of <linux/capability.h>: the top byte of the first word is the revision. */
#define CAP_REVISION_MASK 0xff000000u
#define CAP_FLAGS_MASK 0x000001u
#define CAP_REVISION_1 0x01000000u
#define CAP_REVISION_2 0x02000000u
#define CAP_REVISION_3 0x03000000u
#define CAP_SIZE_1 12
#define CAP_SIZE_2 20
#define CAP_SIZE_3 24

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Names below user. that belong to a file system driver or to a record of ownership, not to the
 * content. */
static bool is_driver_name(const char *name)
{
	static const char *const prefixes[] = {
		"user.overlay.",
		"user.fuseoverlayfs.",
		"user.containers.",
		"user.rootlesscontainers",
		"user.whittle.",
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (has_prefix(name, prefixes[i]))
			return true;
	return false;
}

bool xattr_written(const char *name)
{
	if (strcmp(name, XATTR_CAPABILITY) == 0)
		return true;
	return has_prefix(name, "user.") && !is_driver_name(name) && !strchr(name, '=');
}

bool xattr_applied(const char *name, enum entry_type type)
{
	if (strcmp(name, XATTR_CAPABILITY) == 0)
		return type == ENTRY_FILE;
	if (type != ENTRY_FILE && type != ENTRY_DIR)
		return false;
	return has_prefix(name, "user.") && name[strlen("user.")] != '\0' && !is_driver_name(name);
}

static uint32_t first_word(const void *value)
{
	uint32_t word;

	memcpy(&word, value, sizeof(word));
	return le32toh(word);
}

bool xattr_capability_valid(const void *value, size_t len)
{
	uint32_t magic;

	if (len != CAP_SIZE_1 && len != CAP_SIZE_2 && len != CAP_SIZE_3)
		return false;
	magic = first_word(value);
	if (magic & ~(CAP_REVISION_MASK | CAP_FLAGS_MASK))
		return false;
	switch (magic & CAP_REVISION_MASK) {
	case CAP_REVISION_1:
		return len == CAP_SIZE_1;
	case CAP_REVISION_2:
		return len == CAP_SIZE_2;
	case CAP_REVISION_3:
		return len == CAP_SIZE_3;
	}
	return false;
}

size_t xattr_capability_to_v2(uint8_t *value, size_t len)
{
	uint32_t word, rootid;

	if (!xattr_capability_valid(value, len))
		return 0;
	if (len != CAP_SIZE_3)
		return len;
	memcpy(&rootid, value + CAP_SIZE_2, sizeof(rootid));
	if (rootid != 0)
		return 0;
	word = htole32((first_word(value) & CAP_FLAGS_MASK) | CAP_REVISION_2);
	memcpy(value, &word, sizeof(word));
	return CAP_SIZE_2;
}
