#include "oci/media.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *type;
	enum media_kind kind;
	bool docker;
} media_types[] = {
	/* The first entry of a kind and family is the one we write. */
	{MEDIA_OCI_INDEX, MEDIA_INDEX, false},
	{MEDIA_DOCKER_INDEX, MEDIA_INDEX, true},
	{MEDIA_OCI_MANIFEST, MEDIA_MANIFEST, false},
	{MEDIA_DOCKER_MANIFEST, MEDIA_MANIFEST, true},
	{MEDIA_OCI_CONFIG, MEDIA_CONFIG, false},
	{MEDIA_DOCKER_CONFIG, MEDIA_CONFIG, true},
	{MEDIA_OCI_LAYER_TAR, MEDIA_LAYER_TAR, false},
	{MEDIA_DOCKER_LAYER_TAR, MEDIA_LAYER_TAR, true},
	{MEDIA_OCI_LAYER_GZIP, MEDIA_LAYER_GZIP, false},
	{MEDIA_DOCKER_LAYER_GZIP, MEDIA_LAYER_GZIP, true},
	{MEDIA_OCI_LAYER_ZSTD, MEDIA_LAYER_ZSTD, false},
	{MEDIA_DOCKER_LAYER_ZSTD, MEDIA_LAYER_ZSTD, true},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar", MEDIA_FOREIGN, false},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MEDIA_FOREIGN, false},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", MEDIA_FOREIGN, false},
	{"application/vnd.docker.image.rootfs.foreign.diff.tar", MEDIA_FOREIGN, true},
	{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_FOREIGN, true},
};

#define MEDIA_TYPES (sizeof(media_types) / sizeof(media_types[0]))

enum media_kind media_kind(const char *media_type)
{
	for (size_t i = 0; media_type && i < MEDIA_TYPES; i++)
		if (strcmp(media_types[i].type, media_type) == 0)
			return media_types[i].kind;
	return MEDIA_OTHER;
}

bool media_is_docker(const char *media_type)
{
	for (size_t i = 0; media_type && i < MEDIA_TYPES; i++)
		if (strcmp(media_types[i].type, media_type) == 0)
			return media_types[i].docker;
	return false;
}

bool media_is_schema1(const char *media_type)
{
	static const char prefix[] = "application/vnd.docker.distribution.manifest.v1+";

	return media_type && strncmp(media_type, prefix, sizeof(prefix) - 1) == 0;
}

bool media_is_layer(enum media_kind kind)
{
	return kind == MEDIA_LAYER_TAR || kind == MEDIA_LAYER_GZIP || kind == MEDIA_LAYER_ZSTD ||
	       kind == MEDIA_FOREIGN;
}

const char *media_kind_name(enum media_kind kind)
{
	static const char *const names[] = {
		[MEDIA_INDEX] = "index",
		[MEDIA_MANIFEST] = "manifest",
		[MEDIA_CONFIG] = "config",
		[MEDIA_LAYER_TAR] = "tar layer",
		[MEDIA_LAYER_GZIP] = "gzip layer",
		[MEDIA_LAYER_ZSTD] = "zstd layer",
		[MEDIA_FOREIGN] = "foreign layer",
		[MEDIA_OTHER] = "unknown type",
	};

	return names[kind];
}

const char *media_type_of(enum media_kind kind, bool docker)
{
	if (kind == MEDIA_FOREIGN)
		return NULL;
	for (size_t i = 0; i < MEDIA_TYPES; i++)
		if (media_types[i].kind == kind && media_types[i].docker == docker)
			return media_types[i].type;
	return NULL;
}

static size_t media_token(const char *s)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char rest[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&-^_.+";

	return strspn(s, first) ? strspn(s, rest) : 0;
}

bool media_type_valid(const char *s)
{
	size_t type = media_token(s);

	if (type < 1 || type > 127 || s[type] != '/')
		return false;

	size_t sub = media_token(s + type + 1);
	return sub >= 1 && sub <= 127 && !s[type + 1 + sub];
}
