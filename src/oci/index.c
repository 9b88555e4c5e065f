#include "oci/index.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "oci/reference.h"

DEFINE_AUTO(struct doc *, doc_free)

#define WHAT_SIZE 32
/* Bytes of a list of platforms or names in a message: struct err holds 2048 in all. */
#define OFFER_MAX 1500

static int compare_digests(const void *a, const void *b)
{
	const struct descriptor *x = *(const struct descriptor *const *)a;
	const struct descriptor *y = *(const struct descriptor *const *)b;

	return strcmp(x->digest, y->digest);
}

static int check_sizes(const struct image_index *idx, struct err *err)
{
	auto_free const struct descriptor **sorted =
		xcalloc(idx->n ? idx->n : 1, sizeof(sorted[0]));

	for (size_t i = 0; i < idx->n; i++)
		sorted[i] = &idx->manifests[i];
	qsort(sorted, idx->n, sizeof(sorted[0]), compare_digests);
	for (size_t i = 1; i < idx->n; i++)
		if (sorted[i - 1]->size != sorted[i]->size &&
			compare_digests(&sorted[i - 1], &sorted[i]) == 0)
			return err_set(
				err, ERR_INPUT, "%s is stated with two sizes", sorted[i]->digest);
	return 0;
}

static int parse_entries(const struct doc *entries, struct image_index *idx, struct err *err)
{
	size_t n = doc_len(entries);

	if (n > INDEX_ENTRIES_MAX)
		return err_set(err, ERR_INPUT, "%zu entries, more than %d", n, INDEX_ENTRIES_MAX);
	idx->manifests = xcalloc(n ? n : 1, sizeof(idx->manifests[0]));
	for (size_t i = 0; i < n; i++) {
		char what[WHAT_SIZE];

		snprintf(what, sizeof(what), "manifests[%zu]", i);
		if (descriptor_parse(doc_at(entries, i), what, &idx->manifests[i], err) < 0)
			return -1;
		idx->n++;
	}
	return check_sizes(idx, err);
}

static int parse_members(const struct doc *d, struct image_index *idx, struct err *err)
{
	const struct doc *subject = doc_get(d, "subject");

	if (parse_entries(doc_get(d, "manifests"), idx, err) < 0 ||
		document_get_str(d, "artifactType", "index", &idx->artifact_type, err) < 0 ||
		pairs_parse(doc_get(d, "annotations"), "annotations", &idx->annotations, err) < 0)
		return -1;
	if (!subject)
		return 0;
	idx->has_subject = true;
	return descriptor_parse(subject, "subject", &idx->subject, err);
}

int index_parse(const void *data, size_t n, const char *declared_media_type,
	struct image_index *ret, struct err *err)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	enum media_kind kind;
	AUTO(doc_free)
	struct doc *d = document_open(data, n, declared_media_type, &kind, &idx.media_type, err);

	if (!d)
		return -1;
	if (kind != MEDIA_INDEX) {
		free(idx.media_type);
		return err_set(err, ERR_INPUT, "a manifest where an index is wanted");
	}
	if (parse_members(d, &idx, err) < 0) {
		index_release(&idx);
		return -1;
	}
	*ret = idx;
	return 0;
}

void index_format(const struct image_index *idx, struct strbuf *sb)
{
	AUTO(doc_free) struct doc *d = doc_object();
	struct doc *entries = doc_array();

	doc_set_int(d, "schemaVersion", 2);
	doc_set_str(d, "mediaType", idx->media_type ? idx->media_type : MEDIA_OCI_INDEX);
	doc_set_str(d, "artifactType", idx->artifact_type);
	for (size_t i = 0; i < idx->n; i++)
		doc_append(entries, descriptor_format(&idx->manifests[i]));
	doc_set(d, "manifests", entries);
	if (idx->has_subject)
		doc_set(d, "subject", descriptor_format(&idx->subject));
	doc_set(d, "annotations", pairs_format(&idx->annotations));
	doc_format(d, sb);
}

void index_add(struct image_index *idx, const struct descriptor *d)
{
	idx->manifests = xreallocarray(idx->manifests, idx->n + 1, sizeof(idx->manifests[0]));
	descriptor_copy(d, &idx->manifests[idx->n++]);
}

void index_remove(struct image_index *idx, size_t i)
{
	descriptor_release(&idx->manifests[i]);
	memmove(&idx->manifests[i], &idx->manifests[i + 1],
		(idx->n - i - 1) * sizeof(idx->manifests[0]));
	idx->n--;
}

void index_release(struct image_index *idx)
{
	free(idx->media_type);
	free(idx->artifact_type);
	for (size_t i = 0; i < idx->n; i++)
		descriptor_release(&idx->manifests[i]);
	free(idx->manifests);
	descriptor_release(&idx->subject);
	strv_release(&idx->annotations);
	*idx = (struct image_index)IMAGE_INDEX_INIT;
}

static bool is_image(const struct descriptor *d)
{
	enum media_kind kind = media_kind(d->media_type);

	return (kind == MEDIA_MANIFEST || kind == MEDIA_INDEX) && !descriptor_is_referrer(d);
}

/* Append "item" to a list in words unless it stands there already. */
static void offer(struct strbuf *list, struct strv *seen, const char *item)
{
	for (size_t i = 0; i < seen->len; i++)
		if (strcmp(seen->v[i], item) == 0)
			return;
	strv_add(seen, item);
	strbuf_printf(list, "%s%s", list->len ? ", " : "", item);
}

static int no_platform(const struct image_index *idx, const struct platform *want, struct err *err)
{
	auto_strbuf list = STRBUF_INIT_MAX(OFFER_MAX);
	auto_strv seen = STRV_INIT;
	char text[PLATFORM_STR_SIZE];

	for (size_t i = 0; i < idx->n; i++) {
		const struct descriptor *d = &idx->manifests[i];

		if (!is_image(d) || !d->has_platform)
			continue;
		platform_format(&d->platform, text);
		offer(&list, &seen, text);
	}
	platform_format(want, text);
	if (!idx->n)
		return err_set(err, ERR_NOT_FOUND, "no image for %s: the index is empty", text);
	return err_set(err, ERR_NOT_FOUND, "no image for %s; offered: %s%s", text,
		list.len ? list.buf : "none with a platform", list.overflow ? ", ..." : "");
}

int index_choose(
	const struct image_index *idx, const struct platform *want, size_t *ret_i, struct err *err)
{
	size_t best = 0, without = 0, nwithout = 0;
	int best_rank = INT_MAX;
	bool best_zstd = false;

	for (size_t i = 0; i < idx->n; i++) {
		const struct descriptor *d = &idx->manifests[i];
		const char *annotation = descriptor_annotation(d, ANNOTATION_ZSTD);
		bool zstd = annotation && strcmp(annotation, "true") == 0;
		int rank;

		if (!is_image(d))
			continue;
		if (!d->has_platform) {
			without = i;
			nwithout++;
			continue;
		}
		rank = platform_match_rank(want, &d->platform);
		if (rank < 0 || rank > best_rank || (rank == best_rank && (best_zstd || !zstd)))
			continue;
		best = i;
		best_rank = rank;
		best_zstd = zstd;
	}
	if (best_rank == INT_MAX && nwithout != 1)
		return no_platform(idx, want, err);
	*ret_i = best_rank == INT_MAX ? without : best;
	return 0;
}

/* The names of all images, for messages. */
static void offer_names(const struct image_index *idx, struct strbuf *list)
{
	auto_strv seen = STRV_INIT;

	for (size_t i = 0; i < idx->n; i++) {
		const struct descriptor *d = &idx->manifests[i];
		const char *name = descriptor_annotation(d, ANNOTATION_REF_NAME);

		if (is_image(d))
			offer(list, &seen, name ? name : d->digest);
	}
}

enum match { MATCH_ANY, MATCH_DIGEST, MATCH_REF_NAME, MATCH_IMAGE_NAME };

static bool entry_matches(const struct descriptor *d, enum match how, const char *name)
{
	const char *text;

	switch (how) {
	case MATCH_ANY:
		return true;
	case MATCH_DIGEST:
		return strcmp(d->digest, name) == 0;
	case MATCH_REF_NAME:
		text = descriptor_annotation(d, ANNOTATION_REF_NAME);
		break;
	case MATCH_IMAGE_NAME:
	default:
		text = descriptor_annotation(d, ANNOTATION_IMAGE_NAME);
		break;
	}
	return text && strcmp(text, name) == 0;
}

/* Look for the one digest among the images that match. Returns how many different ones there are
 * (2: or more). */
static int find_one(const struct image_index *idx, enum match how, const char *name, size_t *ret_i)
{
	int found = 0;

	for (size_t i = 0; i < idx->n; i++) {
		const struct descriptor *d = &idx->manifests[i];

		/* A digest may name anything; else what stands beside an image is passed over. */
		if ((how != MATCH_DIGEST && !is_image(d)) || !entry_matches(d, how, name))
			continue;
		if (!found) {
			*ret_i = i;
			found = 1;
		} else if (strcmp(d->digest, idx->manifests[*ret_i].digest) != 0) {
			return 2;
		}
	}
	return found;
}

/* name as io.containerd.image.name spells it, or NULL when it is no reference; the caller frees. */
static char *full_name(const char *name)
{
	struct reference ref = REFERENCE_INIT;
	struct err ignored = ERR_INIT;
	char *full;

	if (reference_parse(name, &ref, &ignored) < 0)
		return NULL;
	full = reference_format(&ref);
	reference_release(&ref);
	return full;
}

static int find_named(const struct image_index *idx, const char *name, size_t *ret_i)
{
	int found = find_one(idx, MATCH_REF_NAME, name, ret_i);

	if (found)
		return found;
	auto_free char *full = full_name(name);
	return full ? find_one(idx, MATCH_IMAGE_NAME, full, ret_i) : 0;
}

int index_select(const struct image_index *idx, const char *name, size_t *ret_i, struct err *err)
{
	auto_strbuf list = STRBUF_INIT_MAX(OFFER_MAX);
	size_t i = 0;
	int found;

	if (name && *name == '@')
		name++;
	if (!name)
		found = find_one(idx, MATCH_ANY, NULL, &i);
	else if (digest_valid(name))
		found = find_one(idx, MATCH_DIGEST, name, &i);
	else
		found = find_named(idx, name, &i);
	if (found == 1) {
		*ret_i = i;
		return 0;
	}
	offer_names(idx, &list);
	if (found && name)
		return err_set(err, ERR_INPUT,
			"several images are called '%s': select one by its digest", name);
	if (found)
		return err_set(err, ERR_INPUT, "several images: name one of %s", list.buf);
	if (!list.len)
		return err_set(err, ERR_NOT_FOUND, "it holds no image");
	return err_set(
		err, ERR_NOT_FOUND, "no image '%s'; there are: %s", name ? name : "", list.buf);
}
