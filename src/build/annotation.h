/* Annotations of --annotation (dockerfile.md 9.5): what they are put on, and for which platform. */
#ifndef WHITTLE_BUILD_ANNOTATION_H
#define WHITTLE_BUILD_ANNOTATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"
#include "oci/platform.h"

#define ANNOTATIONS_MAX 1024 /* of one build */

enum annotation_place {
	ANNOTATION_MANIFEST = 1 << 0,
	ANNOTATION_INDEX = 1 << 1,
	ANNOTATION_MANIFEST_DESCRIPTOR = 1 << 2, /* the entry of a manifest in an index */
};

struct annotation {
	unsigned places;
	bool has_platform;
	struct platform platform;
	char *key, *value;
};

struct annotations {
	struct annotation *v;
	size_t len, cap;
};

/*
 * Add "[PLACE[,PLACE...]:]KEY=VALUE", PLACE being manifest (the default), index or manifest-descriptor, each perhaps with
 * "[OS/ARCH]" behind. Returns 0, or -1 and ERR_USAGE.
 */
int annotations_parse(struct annotations *a, const char *text, struct err *err);
/* Whether one of them needs an index to be put on. */
bool annotations_need_index(const struct annotations *a);
/* Set those for place and platform (NULL: of an index) in the pairs. */
void annotations_apply(const struct annotations *a, enum annotation_place place, const struct platform *platform,
	struct strv *pairs);
/* Free; empty and usable again. */
void annotations_release(struct annotations *a);

#endif
