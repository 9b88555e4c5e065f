#include "build/annotation.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "oci/descriptor.h"

void annotations_release(struct annotations *a)
{
	for (size_t i = 0; i < a->len; i++) {
		free(a->v[i].key);
		free(a->v[i].value);
	}
	free(a->v);
	*a = (struct annotations){ .v = NULL };
}

static unsigned place_of(const char *name, size_t n)
{
	static const struct {
		const char *name;
		enum annotation_place place;
	} places[] = { { "manifest", ANNOTATION_MANIFEST }, { "index", ANNOTATION_INDEX },
		{ "manifest-descriptor", ANNOTATION_MANIFEST_DESCRIPTOR } };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strlen(places[i].name) == n && strncmp(places[i].name, name, n) == 0)
			return places[i].place;
	return 0;
}

/* One "PLACE" or "PLACE[os/arch]" of n bytes. */
static int parse_place(struct annotation *a, const char *text, size_t n, struct err *err)
{
	size_t name = strcspn(text, "[");
	auto_free char *platform = NULL;
	struct platform host;
	unsigned place;

	if (name > n)
		name = n;
	place = place_of(text, name);
	if (n == strlen("index-descriptor") && strncmp(text, "index-descriptor", n) == 0)
		return err_set(err, ERR_USAGE,
			"annotations of an index-descriptor have no meaning here: use index or manifest-descriptor");
	if (!place)
		return err_set(err, ERR_USAGE, "unknown annotation type \"%.*s\"", (int)name, text);
	a->places |= place;
	if (name == n)
		return 0;
	if (text[n - 1] != ']' || place == ANNOTATION_INDEX)
		return err_set(err, ERR_USAGE, "unknown annotation type \"%.*s\"", (int)n, text);
	platform = xstrndup(text + name + 1, n - name - 2);
	a->has_platform = true;
	platform_host(&host);
	if (platform_parse(platform, &host, &a->platform, err) < 0)
		return err->kind = ERR_USAGE, -1;
	return 0;
}

int annotations_parse(struct annotations *a, const char *text, struct err *err)
{
	struct annotation one = { .places = 0 };
	size_t equals = strcspn(text, "="), colon = strcspn(text, ":");
	const char *key = text;

	/* a colon behind something that is no place belongs to the key */
	if (colon < equals && place_of(text, strcspn(text, "[,:")) > 0) {
		for (size_t at = 0; at < colon;) {
			size_t n = strcspn(text + at, ",:");

			if (parse_place(&one, text + at, n, err) < 0)
				return -1;
			at += n + 1;
		}
		key = text + colon + 1;
	} else if (strncmp(text, "index-descriptor", 16) == 0 && colon < equals) {
		return parse_place(&one, text, colon, err);
	}
	equals = strcspn(key, "=");
	if (!key[equals] || equals == 0)
		return err_set(err, ERR_USAGE, "invalid annotation \"%s\", expected key=value", text);
	if (a->len == ANNOTATIONS_MAX)
		return err_set(err, ERR_USAGE, "more than %d annotations", ANNOTATIONS_MAX);
	if (!one.places)
		one.places = ANNOTATION_MANIFEST;
	one.key = xstrndup(key, equals);
	one.value = xstrdup(key + equals + 1);
	GROW(a->v, a->len, a->cap);
	a->v[a->len++] = one;
	return 0;
}

bool annotations_need_index(const struct annotations *a)
{
	for (size_t i = 0; i < a->len; i++)
		if (a->v[i].places & (ANNOTATION_INDEX | ANNOTATION_MANIFEST_DESCRIPTOR))
			return true;
	return false;
}

void annotations_apply(const struct annotations *a, enum annotation_place place, const struct platform *platform,
	struct strv *pairs)
{
	for (size_t i = 0; i < a->len; i++) {
		const struct annotation *one = &a->v[i];

		if (!(one->places & place))
			continue;
		if (one->has_platform && (!platform || !platform_equal(&one->platform, platform)))
			continue;
		pairs_set(pairs, one->key, one->value);
	}
}
