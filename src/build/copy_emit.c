#include "build/copy_emit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "layer/apply.h"
#include "layer/index.h"
#include "layer/tar_write.h"

struct emit {
	struct copy_plan *plan;
	struct copy_node **nodes; /* in the order of a layer */
	size_t n;
	size_t *first; /* per node: position of the node that is the same file, or its own */
	struct tree_sink *sink;
	uint64_t bytes;
};

/* ---- hard links ---- */

/* A file with several names. */
struct named {
	const struct copy_item *item;
	size_t at; /* its position */
};

/* Names are the same file only within one source argument. */
static int compare_named(const void *pa, const void *pb)
{
	const struct named *a = pa, *b = pb;

	if (a->item->match->arg != b->item->match->arg)
		return a->item->match->arg < b->item->match->arg ? -1 : 1;
	if (a->item->dev != b->item->dev)
		return a->item->dev < b->item->dev ? -1 : 1;
	if (a->item->ino != b->item->ino)
		return a->item->ino < b->item->ino ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

/* The first name in the order of the layer is the file, the others are links to it. */
static void find_links(struct emit *x)
{
	struct named *v = NULL;
	size_t n = 0, cap = 0;

	x->first = xcalloc(x->n + 1, sizeof(*x->first));
	for (size_t i = 0; i < x->n; i++) {
		const struct copy_item *it = x->nodes[i]->item;

		x->first[i] = i;
		if (!it || !it->has_several || it->type != ENTRY_FILE)
			continue;
		GROW(v, n, cap);
		v[n++] = (struct named){ it, i };
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), compare_named);
	for (size_t i = 1; i < n; i++) {
		const struct copy_item *a = v[i - 1].item, *b = v[i].item;

		if (a->match->arg == b->match->arg && a->dev == b->dev && a->ino == b->ino) {
			x->first[v[i].at] = x->first[v[i - 1].at];
			x->nodes[v[i].at]->link = x->nodes[x->first[v[i].at]]->path;
		}
	}
	free(v);
}

/* ---- contents ---- */

static int give_data(struct emit *x, const void *data, size_t n, struct err *err)
{
	x->bytes += n;
	return x->sink->data(x->sink, data, n, err);
}

static int changed(const char *path, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "'/%s' changed while it was copied", path);
}

/* size bytes of fd from its offset, or from the place at of an archive. */
static int give_bytes(struct emit *x, const struct copy_item *it, int fd, uint64_t at, uint64_t size, struct err *err)
{
	char *buffer = x->plan->source->buffer;
	uint64_t done = 0;

	while (done < size) {
		size_t want = size - done < COPY_BUFFER_SIZE ? (size_t)(size - done) : COPY_BUFFER_SIZE;
		ssize_t got = it->from_tar ? pread(fd, buffer, want, (off_t)(at + done)) : read(fd, buffer, want);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "cannot read the source of '/%s'", it->path);
		if (got == 0)
			return changed(it->path, err);
		if (give_data(x, buffer, (size_t)got, err) < 0)
			return -1;
		done += (uint64_t)got;
	}
	return 0;
}

/* A sparse member of an archive: its body has no holes. */
static int give_sparse(struct emit *x, const struct copy_item *it, struct err *err)
{
	uint64_t at = it->tar_offset, done = 0;

	for (const struct tree_extent *e = it->extents; done < it->size; e++) {
		uint64_t hole = e->offset - done;

		if (tree_give_zeros(x->sink, hole, err) < 0 || give_bytes(x, it, it->tar_fd, at, e->size, err) < 0)
			return -1;
		x->bytes += hole;
		at += e->size;
		done = e->offset + e->size;
	}
	return 0;
}

static int emit_file(struct emit *x, const struct copy_node *n, struct err *err)
{
	struct copy_item *it = n->item;
	struct tree_entry e;
	auto_fd int fd = -1;

	if (!it->content && !it->from_tar) {
		fd = copy_item_open(x->plan->source, it, err); /* reads the attributes too */
		if (fd < 0)
			return -1;
	}
	copy_plan_entry(x->plan, n, &e);
	if (x->sink->entry(x->sink, &e, err) < 0)
		return -1;
	if (it->content)
		return it->size == 0 ? 0 : give_data(x, it->content, (size_t)it->size, err);
	if (it->extents)
		return give_sparse(x, it, err);
	if (give_bytes(x, it, it->from_tar ? it->tar_fd : fd, it->tar_offset, it->size, err) < 0)
		return -1;
	return it->from_tar ? 0 : copy_item_check(it, fd, err);
}

static int emit_all(struct emit *x, struct err *err)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct copy_node *n = x->nodes[i];
		struct tree_entry e;

		if (n->item && n->item->type == ENTRY_FILE && !n->link) {
			if (emit_file(x, n, err) < 0)
				return -1;
			continue;
		}
		copy_plan_entry(x->plan, n, &e);
		if (x->sink->entry(x->sink, &e, err) < 0)
			return -1;
	}
	return x->sink->finish(x->sink, err);
}

/* ---- outputs ---- */

static int open_output(const char *name, int flags, struct err *err)
{
	int fd = open_no_symlinks(AT_FDCWD, name, flags, 0);

	return fd < 0 ? err_sys(err, "cannot open '%s' in the store", name) : fd;
}

/*
 * Take the digests of what was written out of the index: each file is hashed once. Its records are those of the
 * nodes, in the same order, after that of the root.
 */
static int fill_digests(struct emit *x, int index_fd, struct err *err)
{
	AUTO(index_close) struct tree_index *ix = index_open(index_fd, err);

	if (!ix)
		return -1;
	for (size_t i = 0; i < x->n; i++) {
		const struct copy_node *n = x->nodes[i];
		struct tree_entry e = { .path = NULL };
		size_t at = x->first[i] + 1;

		if (!n->item || n->item->type != ENTRY_FILE)
			continue;
		if (at < index_len(ix))
			index_get(ix, at, &e);
		if (!e.path || strcmp(e.path, x->nodes[x->first[i]]->path) != 0 || !e.has_digest)
			continue; /* hashed later */
		memcpy(n->item->digest, e.digest, DIGEST_SIZE);
		n->item->has_digest = true;
		if (n->item->read || x->first[i] == i)
			continue;
		n->item->xattrs = x->nodes[x->first[i]]->item->xattrs;
		n->item->nxattrs = x->nodes[x->first[i]]->item->nxattrs;
		n->item->read = true;
	}
	return 0;
}

static int emit_to(struct emit *x, struct copy_result *ret, struct err *err)
{
	const struct copy_spec *spec = x->plan->spec;
	AUTO(index_sink_free) struct index_sink *indexer = index_sink_new(INDEX_DIGESTS);
	AUTO(folder_writer_free) struct folder_writer *folder = NULL;
	AUTO(layer_writer_free) struct layer_writer *layer = NULL;
	struct layer_write_options to_layer = LAYER_WRITE_INIT;
	struct folder_writer_options to_folder = { .ids = spec->ids };
	struct tree_tee tee;
	auto_fd int index_fd = open_output(spec->index_out, O_RDWR, err);
	auto_fd int folder_fd = -1;
	auto_fd int blob_fd = -1;

	if (index_fd < 0)
		return -1;
	x->sink = index_sink_of(indexer);
	if (spec->blob_out && *spec->blob_out) {
		to_layer.compression = spec->compression;
		to_layer.level = spec->level;
		to_layer.epoch = spec->epoch;
		to_layer.beside = x->sink;
		blob_fd = open_output(spec->blob_out, O_WRONLY, err);
		layer = blob_fd < 0 ? NULL : layer_writer_new(blob_fd, &to_layer, err);
		if (!layer)
			return -1;
		x->sink = layer_writer_sink(layer);
	}
	if (spec->folder_out && *spec->folder_out) {
		folder_fd = open_output(spec->folder_out, O_RDONLY | O_DIRECTORY, err);
		folder = folder_fd < 0 ? NULL : folder_writer_new(folder_fd, &to_folder, err);
		if (!folder)
			return -1;
		tree_tee_init(&tee, x->sink, folder_writer_sink(folder));
		x->sink = &tee.sink;
	}
	if (emit_all(x, err) < 0 || index_save(indexer, index_fd, err) < 0 || fill_digests(x, index_fd, err) < 0)
		return -1;
	if (layer)
		layer_writer_info(layer, &ret->layer);
	ret->made = folder ? folder_writer_made(folder) : 0;
	ret->entries = x->n;
	ret->bytes = x->bytes;
	return 0;
}

int copy_emit(struct copy_plan *p, struct copy_result *ret, struct err *err)
{
	struct emit x = { .plan = p };
	int result;

	x.nodes = copy_tree_sorted(&p->tree, &x.n);
	find_links(&x);
	result = emit_to(&x, ret, err);
	free(x.nodes);
	free(x.first);
	return result;
}
