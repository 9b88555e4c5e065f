#include "layer/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "layer/tar_check.h"

#define DATA_SIZE ((size_t)256 << 10)

/* ---- folder to sink ---- */

/* Where contents come from: the directory of the file before is kept open, most files share it. */
struct contents {
	int root_fd;
	struct strbuf parent;
	int parent_fd;
	char *data;
};

static int open_file(struct contents *c, const struct tree_entry *e, struct err *err)
{
	size_t len = tree_parent_len(e->path);
	struct stat st;
	auto_fd int fd = -1;

	if (c->parent_fd < 0 || c->parent.len != len || memcmp(c->parent.buf, e->path, len) != 0) {
		c->parent_fd = close_fd(c->parent_fd);
		strbuf_reset(&c->parent);
		strbuf_add(&c->parent, e->path, len);
		c->parent_fd = open_no_symlinks(
			c->root_fd, len ? c->parent.buf : ".", O_PATH | O_DIRECTORY, 0);
	}
	if (c->parent_fd >= 0)
		fd = openat(c->parent_fd, path_base(e->path),
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return err_set(
			err, ERR_CORRUPT, "the folder lacks the file '%s' of its index", e->path);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", e->path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat '%s'", e->path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != e->size)
		return err_set(err, ERR_CORRUPT,
			"'%s' in the folder is not the file of %llu bytes of its index", e->path,
			(unsigned long long)e->size);
	return take_fd(fd);
}

static int give_contents(
	struct contents *c, const struct tree_entry *e, struct tree_sink *sink, struct err *err)
{
	auto_fd int fd = open_file(c, e, err);
	uint64_t left = e->size;

	if (fd < 0)
		return -1;
	while (left > 0) {
		ssize_t got = read_full(fd, c->data, left < DATA_SIZE ? (size_t)left : DATA_SIZE);

		if (got < 0)
			return err_sys(err, "cannot read '%s'", e->path);
		if (got == 0)
			return err_set(
				err, ERR_CORRUPT, "'%s' became shorter while it was read", e->path);
		if (sink->data(sink, c->data, (size_t)got, err) < 0)
			return -1;
		left -= (uint64_t)got;
	}
	return 0;
}

static int give_all(struct contents *c, const struct tree_index *ix, const uint32_t *order,
	struct tree_sink *sink, struct err *err)
{
	for (size_t i = 0; i < index_len(ix); i++) {
		struct tree_entry e;

		index_get(ix, order[i], &e);
		if (e.path[0] == '\0' && e.implied && !e.opaque)
			continue; /* every index has a root; this one's layer did not */
		if (sink->entry(sink, &e, err) < 0)
			return -1;
		if (e.type == ENTRY_FILE && e.size > 0 && give_contents(c, &e, sink, err) < 0)
			return -1;
	}
	return sink->finish(sink, err);
}

int tree_from_folder(
	int folder_fd, const struct tree_index *ix, struct tree_sink *sink, struct err *err)
{
	struct contents c = {.root_fd = folder_fd, .parent = STRBUF_INIT, .parent_fd = -1};
	auto_free uint32_t *order = index_layer_order(ix);
	int result;

	c.data = xmalloc(DATA_SIZE);
	result = give_all(&c, ix, order, sink, err);
	close_fd(c.parent_fd);
	strbuf_release(&c.parent);
	free(c.data);
	return result;
}

int layer_from_folder(int folder_fd, const struct tree_index *ix,
	const struct layer_write_options *opt, int blob_fd, struct layer_info *ret, struct err *err)
{
	AUTO(layer_writer_free) struct layer_writer *w = layer_writer_new(blob_fd, opt, err);

	if (!w || tree_from_folder(folder_fd, ix, layer_writer_sink(w), err) < 0)
		return -1;
	if (ret)
		layer_writer_info(w, ret);
	return 0;
}

/* ---- layer to layer ---- */

/* Changes the metadata of what passes. */
struct relabel {
	struct tree_sink sink;
	struct tree_sink *to;
	const struct tree_index *ix;
};

static int relabel_entry(struct tree_sink *s, const struct tree_entry *in, struct err *err)
{
	struct relabel *r = (struct relabel *)s;
	struct tree_entry e = *in, other;

	if (!r->ix || e.type == ENTRY_WHITEOUT)
		return r->to->entry(r->to, &e, err);
	if (!index_find(r->ix, e.path, &other))
		return err_set(err, ERR_CORRUPT, "the index of the layer lacks '%s'", e.path);
	e.mode = other.mode;
	e.uid = other.uid;
	e.gid = other.gid;
	e.mtime = other.mtime;
	e.mtime_ns = other.mtime_ns;
	e.xattrs = other.xattrs;
	e.nxattrs = other.nxattrs;
	return r->to->entry(r->to, &e, err);
}

static int relabel_data(struct tree_sink *s, const void *data, size_t n, struct err *err)
{
	struct relabel *r = (struct relabel *)s;

	return r->to->data(r->to, data, n, err);
}

static int relabel_finish(struct tree_sink *s, struct err *err)
{
	struct relabel *r = (struct relabel *)s;

	return r->to->finish(r->to, err);
}

static int rewrite(int in_fd, const struct layer_read_options *in, const struct tree_index *ix,
	const struct layer_write_options *opt, int out_fd, struct layer_info *ret, struct err *err)
{
	struct layer_write_options as_it_comes = *opt;
	AUTO(layer_writer_free) struct layer_writer *w = NULL;
	struct relabel r = {{relabel_entry, relabel_data, relabel_finish}, NULL, ix};

	as_it_comes.keep_order = true;
	w = layer_writer_new(out_fd, &as_it_comes, err);
	if (!w)
		return -1;
	r.to = layer_writer_sink(w);
	if (layer_read(in_fd, in, &r.sink, NULL, err) < 0)
		return -1;
	if (ret)
		layer_writer_info(w, ret);
	return 0;
}

/* Whether the layer is the one that was asked for. */
static int check_sums(
	const struct layer_read_options *in, const struct flow_sums *sums, struct err *err)
{
	char digest[DIGEST_STR_SIZE], diff_id[DIGEST_STR_SIZE];

	digest_format(sums->digest, digest);
	digest_format(sums->diff_digest, diff_id);
	if (in->size != UINT64_MAX && sums->size != in->size)
		return err_set(err, ERR_CORRUPT, "the layer has %llu bytes, not %llu",
			(unsigned long long)sums->size, (unsigned long long)in->size);
	if (in->digest && strcmp(digest, in->digest) != 0)
		return err_set(
			err, ERR_CORRUPT, "the layer has digest %s, not %s", digest, in->digest);
	if (in->diff_id && strcmp(diff_id, in->diff_id) != 0)
		return err_set(err, ERR_CORRUPT, "the layer unpacks to diffID %s, not %s", diff_id,
			in->diff_id);
	return 0;
}

/* The same tar in another compression; still checked, as everything that is read. */
static int recompress(int in_fd, const struct layer_read_options *in,
	const struct layer_write_options *opt, int out_fd, struct layer_info *ret, struct err *err)
{
	struct inflow_options in_opt = {.max_out = in->max_size};
	struct outflow_options out_opt = {
		.compression = opt->compression, .level = opt->level, .threads = opt->threads};
	AUTO(tar_check_free) struct tar_check *check = tar_check_new(0);
	AUTO(inflow_free) struct inflow *from = NULL;
	AUTO(outflow_free) struct outflow *to = NULL;
	struct flow_sums sums;
	const void *data;
	ssize_t n;

	if (in->size != UINT64_MAX)
		in_opt.max_in = in->size;
	from = inflow_open(in_fd, &in_opt, err);
	to = from ? outflow_new(out_fd, &out_opt, err) : NULL;
	if (!to)
		return -1;
	while ((n = inflow_next(from, &data, err)) > 0) {
		struct tree_entry unused;

		if (tar_check_feed(check, data, (size_t)n, err) < 0 ||
			outflow_write(to, data, (size_t)n, err) < 0)
			return -1;
		while (tar_check_next(check, &unused))
			;
	}
	if (n < 0 || tar_check_end(check, err) < 0)
		return -1;
	inflow_sums(from, &sums);
	if (check_sums(in, &sums, err) < 0 || outflow_end(to, &sums, err) < 0)
		return -1;
	if (!ret)
		return 0;
	*ret = (struct layer_info){
		.size = sums.size,
		.diff_size = sums.diff_size,
		.entries = tar_check_count(check),
		.compression = opt->compression,
	};
	digest_format(sums.digest, ret->digest);
	digest_format(sums.diff_digest, ret->diff_id);
	return 0;
}

int layer_from_layer(int in_fd, const struct layer_read_options *in, const struct tree_index *ix,
	const struct layer_write_options *opt, int out_fd, struct layer_info *ret, struct err *err)
{
	static const struct layer_read_options any = LAYER_READ_INIT;

	if (!in)
		in = &any;
	if (!ix && opt->epoch == LAYER_EPOCH_NONE && !opt->beside)
		return recompress(in_fd, in, opt, out_fd, ret, err);
	return rewrite(in_fd, in, ix, opt, out_fd, ret, err);
}
