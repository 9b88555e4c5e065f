/* From what was built to images (dockerfile.md 6.3 to 6.7; oci.md 1.5, 1.6), and serving the outputs. */
#include "build/export.h"

#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"
#include "build/export_internal.h"
#include "build/parallel.h"
#include "layer/bounds.h"
#include "oci/manifest.h"
#include "store/blob.h"
#include "store/image.h"

/* ---- layers ---- */

struct layer_work {
	struct session *s;
	const struct build_product *products;
	struct made_set *set;
};

/* One layer of one product. */
struct layer_place {
	const struct build_product *product;
	size_t i;
	int64_t id;
	struct layer_form *form; /* where it goes */
};

/* Layer i of all products, counted through. */
static struct layer_place place_of(const struct layer_work *w, size_t i)
{
	size_t p = 0;

	while (i >= w->products[p].chain.len)
		i -= w->products[p++].chain.len;
	return (struct layer_place){ &w->products[p], i, w->products[p].chain.ids[i], &w->set->images[p].layers[i] };
}

static bool of_base(const struct layer_place *at)
{
	return at->product->base && at->i < at->product->base->chain.len;
}

/*
 * A layer of the base goes out as the base's own manifest has it, not as whichever image brought the same
 * content into the store first: the digest of a build must not depend on what else was built here.
 */
static void form_of_base(const struct layer_place *at)
{
	const struct descriptor *d = &at->product->base->manifest.layers[at->i];
	struct layer_form *form = at->form;

	memset(form, 0, sizeof(*form));
	snprintf(form->digest, sizeof(form->digest), "%s", d->digest);
	snprintf(form->diff_id, sizeof(form->diff_id), "%s", at->product->base->config.diff_ids.v[at->i]);
	snprintf(form->media_type, sizeof(form->media_type), "%s", d->media_type);
	form->size = d->size;
	form->level = LAYER_LEVEL_SOURCE;
	form->epoch = LAYER_EPOCH_NONE;
}

/* Layers of a base image keep their times; they are only compressed anew, and only when that is forced. */
static struct layer_want want_of(const struct layer_work *w, const struct layer_place *at)
{
	struct layer_want want = w->set->want;

	if (of_base(at))
		want.epoch = LAYER_EPOCH_NONE;
	return want;
}

static int need_layer(void *ctx, size_t i, struct err *err)
{
	struct layer_work *w = ctx;
	struct layer_place at = place_of(w, i);
	struct layer_want want = want_of(w, &at);

	if (of_base(&at) && !want.force) {
		form_of_base(&at);
		return 0;
	}
	return snapchain_need_layer(w->s, at.id, &want, at.form, err);
}

/* Whether the layer is there already, as snapchain_need_layer() would find it. */
static bool has_layer(const struct layer_work *w, size_t i)
{
	struct layer_place at = place_of(w, i);
	struct layer_want want = want_of(w, &at);
	struct layer_form form;

	if (of_base(&at) && !want.force)
		return true;
	if (!want.force && snapshot_any_layer(w->s->store, at.id, &form) && form.level == LAYER_LEVEL_SOURCE)
		return true;
	return snapshot_find_layer(w->s->store, at.id, compression_name(want.compression), want.level, want.epoch,
		&form);
}

static int make_layers(struct session *s, const struct build_product *products, size_t n, struct made_set *set,
	struct err *err)
{
	struct layer_work w = { .s = s, .products = products, .set = set };
	size_t total = 0;
	bool missing = false;

	for (size_t i = 0; i < n; i++) {
		set->images[i].nlayers = products[i].chain.len;
		set->images[i].layers = xcalloc(products[i].chain.len + 1, sizeof(struct layer_form));
		total += products[i].chain.len;
	}
	for (size_t i = 0; i < total && !missing; i++)
		missing = !has_layer(&w, i);
	/* The holder is forked while this process has one thread. */
	if (missing && !session_holder(s, err))
		return -1;
	return parallel_run(total, missing ? parallel_width() : 1, need_layer, &w, err);
}

/* ---- times and history ---- */

/*
 * When the snapshot was made: its index is written with it and then stays, so that a build that finds everything in
 * the cache gives the same config again (dockerfile.md 6.5).
 */
static int64_t layer_time(struct session *s, int64_t id, const struct layer_form *form)
{
	struct err unused = ERR_INIT;
	struct stat st;
	auto_fd int fd = snapshot_open_index(s->store, id, &unused);

	if (fd < 0)
		fd = blob_open(s->store, form->digest, NULL, &unused);
	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_mtime : clock_wall();
}

/* As many entries with a layer as there are layers (6.4). */
static void fit_history(struct image_config *c, size_t nlayers)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nhistory; i++)
		n += !c->history[i].empty_layer;
	for (size_t i = c->nhistory; i > 0 && n > nlayers; i--)
		if (!c->history[i - 1].empty_layer) {
			c->history[i - 1].empty_layer = true;
			n--;
		}
	for (; n < nlayers; n++)
		config_history_add(c, NULL, NULL, "buildkit.exporter.image.v0", false);
}

/* The time of the first new layer at or behind entry i; 0 when there is none. layer: of entry i, or the next one. */
static int64_t next_layer_time(struct session *s, const struct image_config *c, size_t i, size_t layer,
	const struct build_product *p, const struct made_image *made)
{
	for (; i < c->nhistory; i++) {
		if (c->history[i].empty_layer)
			continue;
		if (!c->history[i].created)
			return layer_time(s, p->chain.ids[layer], &made->layers[layer]);
		layer++;
	}
	return 0;
}

/* Give entries without a time theirs. New ones are those: base images say when theirs were made. */
static void date_history(struct session *s, struct image_config *c, const struct build_product *p,
	const struct made_image *made, int64_t epoch)
{
	const char *previous = NULL;
	size_t layer = 0;

	for (size_t i = 0; i < c->nhistory; i++) {
		struct history *h = &c->history[i];
		char text[RFC3339_SIZE];

		if (!h->created) {
			int64_t t = epoch == LAYER_EPOCH_NONE ? next_layer_time(s, c, i, layer, p, made) : epoch;

			if (t == 0 && epoch == LAYER_EPOCH_NONE && previous) {
				h->created = xstrdup(previous);
			} else {
				rfc3339_format(t == 0 && epoch == LAYER_EPOCH_NONE ? clock_wall() : t, text);
				h->created = xstrdup(text);
			}
		}
		previous = h->created;
		layer += !h->empty_layer;
	}
}

static void date_image(struct image_config *c, int64_t epoch)
{
	char text[RFC3339_SIZE];

	if (epoch == LAYER_EPOCH_NONE && c->created)
		return;
	free(c->created);
	if (epoch == LAYER_EPOCH_NONE && c->nhistory) {
		c->created = xstrdup(c->history[c->nhistory - 1].created);
		return;
	}
	rfc3339_format(epoch == LAYER_EPOCH_NONE ? clock_wall() : epoch, text);
	c->created = xstrdup(text);
}

/* ---- documents ---- */

static int make_config(struct session *s, const struct build_product *p, int64_t epoch, struct made_image *made,
	struct descriptor *ret, struct err *err)
{
	auto_image_config c = IMAGE_CONFIG_INIT;
	char digest[DIGEST_STR_SIZE];

	config_copy(&p->config, &c);
	image_platform(&p->config.platform, &c.platform);
	strv_release(&c.diff_ids);
	for (size_t i = 0; i < made->nlayers; i++)
		strv_add(&c.diff_ids, made->layers[i].diff_id);
	fit_history(&c, made->nlayers);
	date_history(s, &c, p, made, epoch);
	date_image(&c, epoch);
	config_format(&c, &made->config);
	if (blob_put(s->store, made->config.buf, made->config.len, digest, err) < 0)
		return -1;
	descriptor_set(ret, MEDIA_OCI_CONFIG, digest, made->config.len);
	return 0;
}

/* The OCI name of what a layer is; base images may come with Docker's names. */
static const char *layer_media_type(const struct layer_form *form)
{
	static const enum media_kind kinds[] = {
		[COMPRESSION_NONE] = MEDIA_LAYER_TAR,
		[COMPRESSION_GZIP] = MEDIA_LAYER_GZIP,
		[COMPRESSION_ZSTD] = MEDIA_LAYER_ZSTD,
	};
	const char *type = media_type_of(media_kind(form->media_type), false);
	enum compression c = COMPRESSION_NONE;

	if (type)
		return type;
	/* non-distributable layers: what we hand on was distributed to us */
	(void)compression_parse(form->compression, &c);
	return media_type_of(kinds[c], false);
}

static int make_image(struct session *s, const struct build_product *p, const struct export_options *options,
	int64_t epoch, struct made_image *made, struct err *err)
{
	auto_manifest m = MANIFEST_INIT;
	auto_strbuf text = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];

	if (make_config(s, p, epoch, made, &m.config, err) < 0)
		return -1;
	if (options->annotations)
		annotations_apply(options->annotations, ANNOTATION_MANIFEST, &p->platform, &m.annotations);
	for (size_t i = 0; i < made->nlayers; i++) {
		auto_descriptor d = DESCRIPTOR_INIT;

		descriptor_set(&d, layer_media_type(&made->layers[i]), made->layers[i].digest, made->layers[i].size);
		manifest_add_layer(&m, &d);
	}
	manifest_format(&m, &text);
	if (blob_put(s->store, text.buf, text.len, digest, err) < 0)
		return -1;
	descriptor_set(&made->manifest, MEDIA_OCI_MANIFEST, digest, text.len);
	return 0;
}

static int make_index(struct session *s, const struct build_product *products, const struct export_options *options,
	struct made_set *set, struct err *err)
{
	auto_image_index idx = IMAGE_INDEX_INIT;
	auto_strbuf text = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];

	for (size_t i = 0; i < set->n; i++) {
		auto_descriptor d = DESCRIPTOR_INIT;

		descriptor_copy(&set->images[i].manifest, &d);
		image_platform(&products[i].platform, &d.platform);
		d.has_platform = true;
		if (options->annotations)
			annotations_apply(options->annotations, ANNOTATION_MANIFEST_DESCRIPTOR, &products[i].platform,
				&d.annotations);
		index_add(&idx, &d);
	}
	if (options->annotations)
		annotations_apply(options->annotations, ANNOTATION_INDEX, NULL, &idx.annotations);
	index_format(&idx, &text);
	if (blob_put(s->store, text.buf, text.len, digest, err) < 0)
		return -1;
	descriptor_set(&set->top, MEDIA_OCI_INDEX, digest, text.len);
	return 0;
}

int made_set_make(struct session *s, const struct build_product *products, size_t n,
	const struct export_options *options, struct made_set *set, struct err *err)
{
	set->images = xcalloc(n + 1, sizeof(set->images[0]));
	set->n = n;
	for (size_t i = 0; i < n; i++) {
		set->images[i].config = (struct strbuf)STRBUF_INIT;
		set->images[i].manifest = (struct descriptor)DESCRIPTOR_INIT;
	}
	if (make_layers(s, products, n, set, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (make_image(s, &products[i], options, set->want.epoch, &set->images[i], err) < 0)
			return -1;
	if (n > 1 || options->index_always)
		return make_index(s, products, options, set, err);
	descriptor_copy(&set->images[0].manifest, &set->top);
	return 0;
}

void made_set_release(struct made_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		free(set->images[i].layers);
		strbuf_release(&set->images[i].config);
		descriptor_release(&set->images[i].manifest);
	}
	free(set->images);
	descriptor_release(&set->top);
	*set = (struct made_set){ .top = DESCRIPTOR_INIT };
}

/* ---- outputs ---- */

struct export {
	struct session *s;
	const struct build_product *products;
	size_t n;
	const struct export_options *options;
	struct made_set *sets; /* of the image outputs, each kind once */
	size_t nsets;
	size_t *set_of;        /* by output: its set */
};

static bool want_equal(const struct layer_want *a, const struct layer_want *b)
{
	return a->compression == b->compression && a->level == b->level && a->epoch == b->epoch && a->force == b->force;
}

/* The set that makes layers so; a new one if there is none. */
static size_t find_set(struct export *e, const struct layer_want *want)
{
	size_t i = 0;

	while (i < e->nsets && !want_equal(&e->sets[i].want, want))
		i++;
	if (i == e->nsets)
		e->sets[e->nsets++] = (struct made_set){ .want = *want, .top = DESCRIPTOR_INIT };
	return i;
}

/* Times in new layers are clamped whenever there is an epoch: the same inputs give the same digests (design.md 5). */
static void plan_sets(struct export *e)
{
	const struct export_options *o = e->options;

	for (size_t i = 0; i < o->noutputs; i++) {
		const struct output *out = &o->outputs[i];
		struct layer_want want = { .compression = out->compression, .level = out->level,
			.epoch = output_epoch(out, o->epoch), .force = out->force_compression };

		if (output_is_image(out))
			e->set_of[i] = find_set(e, &want);
	}
	if (e->nsets == 0 && (o->noutputs == 0 || (o->tags && o->tags->len)))
		find_set(e, &(struct layer_want){ .compression = COMPRESSION_ZSTD, .epoch = o->epoch });
}

static int make_sets(struct export *e, struct err *err)
{
	unsigned vertex;
	int rc = 0;

	if (e->nsets == 0)
		return 0;
	vertex = progress_start(e->s->progress, "exporting layers");
	for (size_t i = 0; rc == 0 && i < e->nsets; i++)
		rc = made_set_make(e->s, e->products, e->n, e->options, &e->sets[i], err);
	return image_vertex_end(e->s, vertex, rc, err);
}

static int put_names(struct export *e, const struct strv *names, const struct made_set *set, struct err *err)
{
	for (size_t i = 0; names && i < names->len; i++) {
		auto_reference ref = REFERENCE_INIT;
		auto_free char *full = NULL;
		auto_free char *title = NULL;
		unsigned vertex;

		if (reference_parse(names->v[i], &ref, err) < 0)
			return -1;
		full = reference_format(&ref);
		title = xasprintf("naming to %s", full);
		vertex = progress_start(e->s->progress, title);
		if (image_vertex_end(e->s, vertex,
			    image_put(e->s->store, full, set->top.media_type, set->top.digest, set->top.size, err),
			    err) < 0)
			return -1;
	}
	return 0;
}

static const struct strv *names_of(const struct export *e, const struct output *o)
{
	static const struct strv none = STRV_INIT;

	if (o->names.len)
		return &o->names;
	return e->options->tags ? e->options->tags : &none;
}

/* The names of -t, and those of outputs that are images of the store. A push that fails leaves the image there. */
static int name_images(struct export *e, struct err *err)
{
	const struct export_options *o = e->options;

	if (e->nsets && put_names(e, o->tags, &e->sets[0], err) < 0)
		return -1;
	for (size_t i = 0; i < o->noutputs; i++) {
		const struct output *out = &o->outputs[i];

		if ((out->kind == OUTPUT_STORE || out->kind == OUTPUT_REGISTRY) && out->names.len &&
			put_names(e, &out->names, &e->sets[e->set_of[i]], err) < 0)
			return -1;
	}
	return 0;
}

static int push_names(struct export *e, const struct strv *names, const struct made_set *set, struct err *err)
{
	for (size_t i = 0; i < names->len; i++) {
		auto_reference ref = REFERENCE_INIT;
		auto_free char *title = xasprintf("pushing to %s", names->v[i]);
		unsigned vertex;

		if (reference_parse(names->v[i], &ref, err) < 0)
			return -1;
		vertex = progress_start(e->s->progress, title);
		if (image_vertex_end(e->s, vertex, image_push_tree(e->s, &set->top, &ref, vertex, err), err) == 0)
			continue;
		if (err->kind != ERR_CANCELLED && err->kind != ERR_DENIED)
			err->kind = ERR_PUSH;
		return err_wrap(err, "cannot push '%s'; the image is kept in the store", names->v[i]);
	}
	return 0;
}

static int serve(struct export *e, size_t i, struct err *err)
{
	const struct output *o = &e->options->outputs[i];
	const struct made_set *set = output_is_image(o) ? &e->sets[e->set_of[i]] : NULL;

	if (o->kind == OUTPUT_STORE)
		return 0; /* it has its names */
	if (o->kind == OUTPUT_REGISTRY)
		return push_names(e, names_of(e, o), set, err);
	return export_to_files(e->s, o, names_of(e, o), e->products, e->n, set, e->options, err);
}

static void fill_result(const struct export *e, struct export_result *ret)
{
	const struct made_set *set = &e->sets[0];

	memset(ret, 0, sizeof(*ret));
	if (!e->nsets)
		return;
	memcpy(ret->digest, set->top.digest, DIGEST_STR_SIZE);
	snprintf(ret->media_type, sizeof(ret->media_type), "%s", set->top.media_type);
	ret->top_size = set->top.size;
	sha256_buf_str(set->images[0].config.buf, set->images[0].config.len, ret->config_digest);
	for (size_t i = 0; i < set->images[0].nlayers; i++)
		ret->size += set->images[0].layers[i].size;
}

static int export_all(struct export *e, struct export_result *ret, struct err *err)
{
	plan_sets(e);
	if (make_sets(e, err) < 0 || name_images(e, err) < 0)
		return -1;
	fill_result(e, ret);
	for (size_t i = 0; i < e->options->noutputs; i++) {
		if (e->s->cancelled)
			return err_set(err, ERR_CANCELLED, "interrupted");
		if (serve(e, i, err) < 0)
			return -1;
	}
	return 0;
}

/* What we would refuse to read is not written either. */
static int check_layers(const struct export *e, struct err *err)
{
	bool image = false;

	for (size_t i = 0; i < e->options->noutputs; i++)
		image |= e->options->outputs[i].kind != OUTPUT_LOCAL && e->options->outputs[i].kind != OUTPUT_TAR;
	for (size_t i = 0; image && i < e->n; i++)
		if (e->products[i].chain.len > MANIFEST_LAYERS_MAX)
			return err_set(err, ERR_INPUT,
				"the image would have %zu layers, a manifest holds at most %d: join steps, or copy the tree "
				"of this stage into a new one (COPY --from)",
				e->products[i].chain.len, MANIFEST_LAYERS_MAX);
	return 0;
}

int export_products(struct session *s, struct build_product *products, size_t n, const struct export_options *options,
	struct export_result *ret, struct err *err)
{
	struct export e = { .s = s, .products = products, .n = n, .options = options };
	int rc;

	if (outputs_check_names(options->outputs, options->noutputs, options->tags, err) < 0 || check_layers(&e, err) < 0)
		return -1;
	e.sets = xcalloc(options->noutputs + 1, sizeof(e.sets[0]));
	e.set_of = xcalloc(options->noutputs + 1, sizeof(e.set_of[0]));
	rc = export_all(&e, ret, err);
	for (size_t i = 0; i < e.nsets; i++)
		made_set_release(&e.sets[i]);
	free(e.sets);
	free(e.set_of);
	return rc;
}
