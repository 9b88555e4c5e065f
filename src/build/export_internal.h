/* What the files about outputs share. */
#ifndef WHITTLE_BUILD_EXPORT_INTERNAL_H
#define WHITTLE_BUILD_EXPORT_INTERNAL_H

#include "build/export.h"
#include "build/image_internal.h"

/* The word after "type=" that an output goes by: "oci"; never NULL. */
const char *output_kind_name(enum output_kind kind);
/* Whether it holds an image with its config, and not files alone. */
bool output_is_image(const struct output *o);
/* Whether it writes to stdout. */
bool output_to_stdout(const struct output *o);

/* One product with its layers made in one way. */
struct made_image {
	struct layer_form *layers; /* one per snapshot of the chain */
	size_t nlayers;
	struct strbuf config;      /* its bytes */
	struct descriptor manifest;
};

/* All products made in one way: outputs that want the same share it. */
struct made_set {
	struct layer_want want;
	struct made_image *images;
	size_t n;
	struct descriptor top; /* the manifest, or the index of several */
};

/*
 * Make layers, configs, manifests and perhaps the index of all products as set->want says, all in the store.
 * Returns 0, or -1 and *err; *set is to be released in both cases.
 */
int made_set_make(struct session *s, const struct build_product *products, size_t n,
	const struct export_options *options, struct made_set *set, struct err *err);
/* Free the parts. */
void made_set_release(struct made_set *set);

/* Write one output that is a file, a folder or stdout, as a step of the progress. Returns 0, or -1 and *err. */
int export_to_files(struct session *s, const struct output *o, const struct strv *names,
	const struct build_product *products, size_t n, const struct made_set *set,
	const struct export_options *options, struct err *err);

#endif
