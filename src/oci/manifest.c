#include "oci/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"

DEFINE_AUTO(struct doc *, doc_free)

#define WHAT_SIZE 32

/* One digest stated with two sizes: one of them is a lie (oci.md 1.3). */
static int check_sizes(const struct manifest *m, struct err *err)
{
	for (size_t i = 0; i < m->nlayers; i++) {
		const struct descriptor *a = &m->layers[i];

		for (size_t k = 0; k <= i; k++) {
			const struct descriptor *b = k == i ? &m->config : &m->layers[k];

			if (a->size != b->size && strcmp(a->digest, b->digest) == 0)
				return err_set(err, ERR_INPUT,
					"layers[%zu]: %s is stated with two sizes", i, a->digest);
		}
	}
	return 0;
}

static int parse_layers(const struct doc *d, struct manifest *m, struct err *err)
{
	const struct doc *layers = doc_get(d, "layers");
	size_t n = doc_len(layers);

	if (!doc_is_array(layers))
		return err_set(err, ERR_INPUT, "'layers' is missing or not an array");
	if (n > MANIFEST_LAYERS_MAX)
		return err_set(err, ERR_INPUT, "%zu layers, more than %d", n, MANIFEST_LAYERS_MAX);
	m->layers = xcalloc(n ? n : 1, sizeof(m->layers[0]));
	for (size_t i = 0; i < n; i++) {
		char what[WHAT_SIZE];

		snprintf(what, sizeof(what), "layers[%zu]", i);
		if (descriptor_parse(doc_at(layers, i), what, &m->layers[i], err) < 0)
			return -1;
		m->nlayers++;
	}
	return 0;
}

static int parse_members(const struct doc *d, struct manifest *m, struct err *err)
{
	const struct doc *subject = doc_get(d, "subject");

	if (!doc_get(d, "config"))
		return err_set(err, ERR_INPUT, "'config' is missing");
	if (descriptor_parse(doc_get(d, "config"), "config", &m->config, err) < 0 ||
		parse_layers(d, m, err) < 0 ||
		document_get_str(d, "artifactType", "manifest", &m->artifact_type, err) < 0 ||
		pairs_parse(doc_get(d, "annotations"), "annotations", &m->annotations, err) < 0)
		return -1;
	if (subject) {
		if (descriptor_parse(subject, "subject", &m->subject, err) < 0)
			return -1;
		m->has_subject = true;
	}
	return check_sizes(m, err);
}

int manifest_parse(const void *data, size_t n, const char *declared_media_type,
	struct manifest *ret, struct err *err)
{
	struct manifest m = MANIFEST_INIT;
	enum media_kind kind;
	AUTO(doc_free)
	struct doc *d = document_open(data, n, declared_media_type, &kind, &m.media_type, err);

	if (!d)
		return -1;
	if (kind != MEDIA_MANIFEST) {
		free(m.media_type);
		return err_set(err, ERR_INPUT, "an index where a manifest is wanted");
	}
	if (parse_members(d, &m, err) < 0) {
		manifest_release(&m);
		return -1;
	}
	*ret = m;
	return 0;
}

void manifest_format(const struct manifest *m, struct strbuf *sb)
{
	AUTO(doc_free) struct doc *d = doc_object();
	struct doc *layers = doc_array();

	doc_set_int(d, "schemaVersion", 2);
	doc_set_str(d, "mediaType", m->media_type ? m->media_type : MEDIA_OCI_MANIFEST);
	doc_set_str(d, "artifactType", m->artifact_type);
	doc_set(d, "config", descriptor_format(&m->config));
	for (size_t i = 0; i < m->nlayers; i++)
		doc_append(layers, descriptor_format(&m->layers[i]));
	doc_set(d, "layers", layers);
	if (m->has_subject)
		doc_set(d, "subject", descriptor_format(&m->subject));
	doc_set(d, "annotations", pairs_format(&m->annotations));
	doc_format(d, sb);
}

void manifest_add_layer(struct manifest *m, const struct descriptor *d)
{
	m->layers = xreallocarray(m->layers, m->nlayers + 1, sizeof(m->layers[0]));
	descriptor_copy(d, &m->layers[m->nlayers++]);
}

int manifest_check_image(const struct manifest *m, struct err *err)
{
	if (media_kind(m->config.media_type) != MEDIA_CONFIG)
		return err_set(err, ERR_INPUT, "config type '%s' is not that of a container image",
			m->config.media_type);
	for (size_t i = 0; i < m->nlayers; i++)
		if (!media_is_layer(media_kind(m->layers[i].media_type)))
			return err_set(err, ERR_INPUT,
				"layers[%zu]: type '%s' is not a file system layer", i,
				m->layers[i].media_type);
	return 0;
}

void manifest_release(struct manifest *m)
{
	free(m->media_type);
	free(m->artifact_type);
	descriptor_release(&m->config);
	for (size_t i = 0; i < m->nlayers; i++)
		descriptor_release(&m->layers[i]);
	free(m->layers);
	descriptor_release(&m->subject);
	strv_release(&m->annotations);
	*m = (struct manifest)MANIFEST_INIT;
}
