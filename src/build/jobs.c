#include "build/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "build/archive.h"
#include "build/copy.h"
#include "cross/binfmt.h"
#include "layer/apply.h"
#include "layer/bounds.h"
#include "layer/chain.h"
#include "layer/convert.h"
#include "layer/folder.h"
#include "layer/index.h"
#include "layer/tar_write.h"
#include "sandbox/network.h"
#include "sandbox/owner.h"
#include "sandbox/root.h"
#include "sandbox/rootfs.h"
#include "sandbox/step.h"

int reply_get(const struct strbuf *reply, void *ret, size_t n, struct err *err)
{
	if (reply->len != n)
		return err_set(err, ERR_SYSTEM, "a worker answered %zu bytes, expected %zu", reply->len, n);
	memcpy(ret, reply->buf, n);
	return 0;
}

static int reply_struct(struct job *job, const void *data, size_t n, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	strbuf_add(&sb, data, n);
	return job_reply(job, &sb, err);
}

static int malformed(const char *job, struct err *err)
{
	return err_set(err, ERR_SYSTEM, "a request for '%s' is malformed", job);
}

/* Names in requests are relative to the store, our working directory, and hold no link. */
static int open_in_store(const char *name, int flags, struct err *err)
{
	int fd = open_no_symlinks(AT_FDCWD, name, flags, 0);

	return fd < 0 ? err_sys(err, "cannot open '%s' in the store", name) : fd;
}

static struct tree_index *load_index(const char *name, struct err *err)
{
	auto_fd int fd = open_in_store(name, O_RDONLY, err);
	struct tree_index *ix = fd < 0 ? NULL : index_open(fd, err);

	if (fd >= 0 && !ix)
		err_wrap(err, "tree index '%s'", name);
	return ix;
}

/* Indexes are left to the end of this short-lived process. */
static int load_chain(const struct strv *names, struct tree_chain *ret, struct err *err)
{
	chain_init(ret);
	for (size_t i = 0; i < names->len; i++) {
		struct tree_index *ix = load_index(names->v[i], err);

		if (!ix)
			return -1;
		chain_push(ret, ix);
	}
	return 0;
}

/* ---- unpack ---- */

void unpack_put(const struct unpack_request *r, struct strbuf *p)
{
	wire_put_str(p, r->blob);
	wire_put_str(p, r->digest);
	wire_put_str(p, r->diff_id);
	wire_put_u64(p, r->size);
	wire_put_str(p, r->folder);
	wire_put_str(p, r->index);
	wire_put_u64(p, r->plain_tree);
}

static bool index_needs_settling(const struct tree_index *ix)
{
	if (index_has_whiteouts(ix))
		return true;
	for (size_t i = 1; i < index_len(ix); i++) { /* the root is always implied */
		struct tree_entry e;

		index_get(ix, i, &e);
		if (e.implied)
			return true;
	}
	return false;
}

static int save_index(struct index_sink *sink, const char *name, struct err *err)
{
	auto_fd int fd = open_in_store(name, O_WRONLY, err);

	return fd < 0 ? -1 : index_save(sink, fd, err);
}

static int unpack_run(struct job *job, struct err *err)
{
	struct wire w;
	struct unpack_result result = { 0 };
	struct layer_read_options o = { 0 };
	AUTO(index_sink_free) struct index_sink *indexer = index_sink_new(0);
	AUTO(folder_writer_free) struct folder_writer *writer = NULL;
	AUTO(index_close) struct tree_index *ix = NULL;
	auto_fd int blob_fd = -1;
	auto_fd int folder_fd = -1;
	struct tree_tee tee;
	struct tree_sink *sink = index_sink_of(indexer);

	wire_init(&w, job->payload, job->len);
	auto_free char *blob = wire_get_str(&w);
	auto_free char *digest = wire_get_str(&w);
	auto_free char *diff_id = wire_get_str(&w);
	o.size = wire_get_u64(&w);
	auto_free char *folder = wire_get_str(&w);
	auto_free char *index = wire_get_str(&w);
	struct folder_writer_options fo = { .ids = idmap_ids(job->idmap) };
	o.plain_tree = wire_get_u64(&w) != 0;
	o.digest = *digest ? digest : NULL;
	o.diff_id = *diff_id ? diff_id : NULL;
	if (!wire_done(&w))
		return malformed("unpack", err);
	blob_fd = open_in_store(blob, O_RDONLY, err);
	if (blob_fd < 0)
		return -1;
	if (*folder) {
		folder_fd = open_in_store(folder, O_RDONLY | O_DIRECTORY, err);
		writer = folder_fd < 0 ? NULL : folder_writer_new(folder_fd, &fo, err);
		if (!writer)
			return -1;
		tree_tee_init(&tee, sink, folder_writer_sink(writer));
		sink = &tee.sink;
	}
	umask(0);
	if (layer_read(blob_fd, &o, sink, &result.layer, err) < 0)
		return -1;
	if (*index && save_index(indexer, index, err) < 0)
		return -1;
	ix = index_of_sink(indexer);
	result.files_size = index_total_size(ix);
	result.needs_settling = index_needs_settling(ix);
	if (writer) {
		result.made = folder_writer_made(writer);
		result.skipped_devices = folder_writer_skipped_devices(writer);
	}
	return reply_struct(job, &result, sizeof(result), err);
}

/* ---- settle ---- */

void settle_put(const char *folder, const char *index, const struct strv *lower, struct strbuf *p)
{
	wire_put_str(p, folder);
	wire_put_str(p, index);
	wire_put_strv(p, lower);
}

static int settle_run(struct job *job, struct err *err)
{
	struct wire w;
	struct tree_chain lower;
	auto_strv names = STRV_INIT;
	auto_fd int fd = -1;
	AUTO(index_close) struct tree_index *ix = NULL;
	auto_strbuf nothing = STRBUF_INIT;

	wire_init(&w, job->payload, job->len);
	auto_free char *folder = wire_get_str(&w);
	auto_free char *index = wire_get_str(&w);
	wire_get_strv(&w, &names);
	if (!wire_done(&w))
		return malformed("settle", err);
	fd = open_in_store(folder, O_RDONLY | O_DIRECTORY, err);
	if (fd < 0 || load_chain(&names, &lower, err) < 0)
		return -1;
	ix = load_index(index, err);
	if (!ix || folder_settle(fd, ix, &lower, idmap_ids(job->idmap), err) < 0)
		return -1;
	chain_release(&lower);
	return job_reply(job, &nothing, err);
}

/* ---- step ---- */

void seal_put(const char *folder, const char *index, const struct strv *lower, struct strbuf *p)
{
	wire_put_strv(p, lower);
	wire_put_str(p, folder);
	wire_put_str(p, index);
}

int seal_result_get(struct wire *reply, struct seal_result *ret, struct err *err)
{
	ret->entries = wire_get_u64(reply);
	ret->files_size = wire_get_u64(reply);
	return wire_done(reply) ? 0 : err_set(err, ERR_SYSTEM, "a step did not answer what it wrote");
}

/* What the hooks of a step work with. */
struct step_files {
	struct strv lower; /* indexes, base first */
	char *folder, *index; /* "": nobody wants the files */
};

static int read_files(void *ctx, struct wire *rest, struct err *err)
{
	struct step_files *f = ctx;

	wire_get_strv(rest, &f->lower);
	f->folder = wire_get_str(rest);
	f->index = wire_get_str(rest);
	return wire_done(rest) ? 0 : malformed("step", err);
}

/* Headers alone are read: most layers have nothing to record. */
static bool index_records(const char *name, uint32_t ids)
{
	struct index_summary sum;
	auto_fd int fd = open_no_symlinks(AT_FDCWD, name, O_RDONLY, 0);

	return fd >= 0 && index_peek(fd, &sum) && (sum.highest_id >= ids || sum.devices);
}

static bool files_record(void *ctx, uint32_t ids)
{
	const struct step_files *f = ctx;

	for (size_t i = 0; i < f->lower.len; i++)
		if (index_records(f->lower.v[i], ids))
			return true;
	return false;
}

static bool holds_attributes(enum entry_type type)
{
	return type != ENTRY_SYMLINK && type != ENTRY_FIFO;
}

/*
 * Tell the owner of what a layer records. Of what can hold no attribute the owner counts only if no layer above has
 * another such object there, so the whole chain is asked.
 */
static int note_index(const struct tree_index *ix, const struct strv *names, struct tree_chain *chain,
	struct owner *owner, int rootfd, struct err *err)
{
	for (size_t i = 0; i < index_len(ix); i++) {
		struct owner_record r = { 0 };
		struct tree_entry e, top;

		index_get(ix, i, &e);
		if (e.type == ENTRY_WHITEOUT || (e.uid == 0 && e.gid == 0 && !entry_is_device(&e)))
			continue;
		if (!holds_attributes(e.type)) {
			if (chain->len == 0 && load_chain(names, chain, err) < 0)
				return -1;
			if (!chain_lookup(chain, e.path, &top) || top.uid != e.uid || top.gid != e.gid ||
				top.type != e.type)
				continue;
		}
		r.uid = e.uid;
		r.gid = e.gid;
		owner_note(owner, rootfd, e.path, &r);
	}
	return 0;
}

static int note_files(void *ctx, struct owner *owner, int rootfd, struct err *err)
{
	const struct step_files *f = ctx;
	auto_chain chain = CHAIN_INIT;

	for (size_t i = 0; i < f->lower.len; i++) {
		AUTO(index_close) struct tree_index *ix = NULL;

		if (!index_records(f->lower.v[i], 1))
			continue;
		ix = load_index(f->lower.v[i], err);
		if (!ix || note_index(ix, &f->lower, &chain, owner, rootfd, err) < 0)
			return -1;
	}
	return 0;
}

/* Whether the folder holds nothing at all: many steps only look, and then no index below need be read. */
static bool is_empty(int fd)
{
	auto_closedir DIR *d = NULL;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;

	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		close_fd(copy);
		return false;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return true;
}

static bool owner_beside(void *ctx, const char *path, struct owner_record *ret)
{
	return owner_of(ctx, path, ret);
}

/* The index of what stands in fd above the tree of the indexes called lower. */
static int index_upper(int fd, const struct strv *lower, const char *const *skip, struct owner *owner,
	struct index_sink *indexer, struct folder_walk_stats *stats, struct err *err)
{
	struct tree_chain chain;
	struct folder_walk_options o = { .lower = &chain, .skip = skip, .metadata_only = true,
		.owner_of = owner_beside, .owner_ctx = owner };
	struct tree_sink *sink = index_sink_of(indexer);
	int rc;

	if (is_empty(fd))
		return sink->finish(sink, err);
	if (load_chain(lower, &chain, err) < 0)
		return -1;
	rc = folder_walk(fd, &o, sink, stats, err);
	chain_release(&chain);
	return rc;
}

/* The mount points of every step, and those of this one. */
static void all_stubs(const struct strv *stubs, struct strv *ret)
{
	for (size_t i = 0; rootfs_stub_names[i]; i++)
		strv_add(ret, rootfs_stub_names[i]);
	strv_add_all(ret, stubs);
}

/* In the supervisor of the step, see step_hooks: only names below the store are opened. */
static int seal(void *ctx, struct owner *owner, const struct strv *stubs, struct strbuf *reply, struct err *err)
{
	const struct step_files *f = ctx;
	auto_strv skip = STRV_INIT;
	struct folder_walk_stats stats = { 0 };
	AUTO(index_sink_free) struct index_sink *indexer = NULL;
	AUTO(index_close) struct tree_index *ix = NULL;
	auto_fd int fd = -1;

	if (!*f->folder)
		return 0;
	indexer = index_sink_new(0);
	fd = open_in_store(f->folder, O_RDONLY | O_DIRECTORY, err);
	all_stubs(stubs, &skip);
	if (fd < 0 ||
		index_upper(fd, &f->lower, (const char *const *)skip.v, owner, indexer, &stats, err) < 0 ||
		save_index(indexer, f->index, err) < 0)
		return -1;
	ix = index_of_sink(indexer);
	wire_put_u64(reply, stats.entries);
	wire_put_u64(reply, index_total_size(ix));
	return 0;
}

static int run_step(struct job *job, struct err *err)
{
	struct step_files files = { .lower = STRV_INIT };
	struct step_hooks hooks = { read_files, files_record, note_files, seal, &files };
	int rc = step_run(job, &hooks, err);

	strv_release(&files.lower);
	free(files.folder);
	free(files.index);
	return rc;
}

/* ---- layer ---- */

void layer_put(const struct layer_request *r, struct strbuf *p)
{
	wire_put_str(p, r->folder);
	wire_put_str(p, r->blob);
	wire_put_str(p, r->index);
	wire_put_str(p, r->out);
	wire_put_u64(p, r->compression);
	wire_put_u64(p, (uint64_t)r->level);
	wire_put_u64(p, (uint64_t)r->epoch);
}

static int layer_run(struct job *job, struct err *err)
{
	struct wire w;
	struct layer_info info;
	struct layer_read_options in = { .size = UINT64_MAX };
	struct layer_write_options o = { 0 };
	AUTO(index_close) struct tree_index *ix = NULL;
	auto_fd int from = -1;
	auto_fd int to = -1;
	int rc;

	wire_init(&w, job->payload, job->len);
	auto_free char *folder = wire_get_str(&w);
	auto_free char *blob = wire_get_str(&w);
	auto_free char *index = wire_get_str(&w);
	auto_free char *out = wire_get_str(&w);
	o.compression = (enum compression)wire_get_u64(&w);
	o.level = (int)wire_get_u64(&w);
	o.epoch = (int64_t)wire_get_u64(&w);
	if (!wire_done(&w))
		return malformed("layer", err);
	to = open_in_store(out, O_WRONLY, err);
	if (to < 0)
		return -1;
	if (*index) {
		ix = load_index(index, err);
		if (!ix)
			return -1;
	}
	from = *folder ? open_in_store(folder, O_RDONLY | O_DIRECTORY, err) : open_in_store(blob, O_RDONLY, err);
	if (from < 0)
		return -1;
	rc = *folder ? layer_from_folder(from, ix, &o, to, &info, err) :
		       layer_from_layer(from, &in, ix, &o, to, &info, err);
	return rc < 0 ? -1 : reply_struct(job, &info, sizeof(info), err);
}

/* ---- remove ---- */

void remove_put(const struct strv *names, struct strbuf *p)
{
	wire_put_strv(p, names);
}

static int remove_run(struct job *job, struct err *err)
{
	struct wire w;
	auto_strv names = STRV_INIT;
	auto_strbuf nothing = STRBUF_INIT;

	wire_init(&w, job->payload, job->len);
	wire_get_strv(&w, &names);
	if (!wire_done(&w))
		return malformed("remove", err);
	for (size_t i = 0; i < names.len; i++)
		if (remove_tree(AT_FDCWD, names.v[i]) < 0)
			return err_sys(err, "cannot remove '%s' from the store", names.v[i]);
	return job_reply(job, &nothing, err);
}

/* ---- tree ---- */

void tree_put(const struct tree_request *r, struct strbuf *p)
{
	wire_put_strv(p, r->folders);
	wire_put_strv(p, r->indexes);
	wire_put_u64(p, r->as_folder);
	wire_put_u64(p, (uint64_t)r->epoch);
	wire_put_u64(p, r->storage);
	wire_put_str(p, r->scratch);
}

/* Put the owner and the device node that the indexes record in place of what is on disk, and the time of the epoch. */
struct owner_sink {
	struct tree_sink sink;
	struct tree_sink *next;
	const struct tree_chain *chain;
	int64_t epoch;
};

static int owner_entry(struct tree_sink *s, const struct tree_entry *e, struct err *err)
{
	struct owner_sink *o = (struct owner_sink *)s;
	struct tree_entry have, copy = *e;

	if (chain_lookup(o->chain, e->path, &have)) {
		copy.uid = have.uid;
		copy.gid = have.gid;
		if (entry_is_device(&have)) {
			copy.type = have.type;
			copy.major = have.major;
			copy.minor = have.minor;
		}
	}
	if (o->epoch != LAYER_EPOCH_NONE) {
		copy.mtime = o->epoch;
		copy.mtime_ns = 0;
	}
	return o->next->entry(o->next, &copy, err);
}

static int owner_data(struct tree_sink *s, const void *data, size_t n, struct err *err)
{
	struct tree_sink *next = ((struct owner_sink *)s)->next;

	return next->data(next, data, n, err);
}

static int owner_finish(struct tree_sink *s, struct err *err)
{
	struct tree_sink *next = ((struct owner_sink *)s)->next;

	return next->finish(next, err);
}

static int tree_run(struct job *job, struct err *err)
{
	struct wire w;
	struct tree_chain chain;
	auto_strv folders = STRV_INIT;
	auto_strv indexes = STRV_INIT;
	struct folder_walk_options walk = { .plain = true, .root_entry = true };
	struct layer_write_options out = { .compression = COMPRESSION_NONE, .epoch = LAYER_EPOCH_NONE };
	struct folder_writer_options files = { .plain = true, .xattr_errors_ok = true };
	AUTO(layer_writer_free) struct layer_writer *tar = NULL;
	AUTO(folder_writer_free) struct folder_writer *folder = NULL;
	struct owner_sink owner = { { owner_entry, owner_data, owner_finish }, .chain = &chain };
	auto_fd int merged = -1;
	auto_strbuf nothing = STRBUF_INIT;
	bool as_folder;
	enum storage storage;

	wire_init(&w, job->payload, job->len);
	wire_get_strv(&w, &folders);
	wire_get_strv(&w, &indexes);
	as_folder = wire_get_u64(&w) != 0;
	owner.epoch = (int64_t)wire_get_u64(&w);
	storage = (enum storage)wire_get_u64(&w);
	auto_free char *scratch = wire_get_str(&w);
	if (!wire_done(&w) || job->nfds != 1)
		return malformed("tree", err);
	if (load_chain(&indexes, &chain, err) < 0)
		return -1;
	if (as_folder)
		folder = folder_writer_new(job->fds[0], &files, err);
	else
		tar = layer_writer_new(job->fds[0], &out, err);
	if (!folder && !tar)
		return -1;
	owner.next = folder ? folder_writer_sink(folder) : layer_writer_sink(tar);
	if (folders.len == 0) /* FROM scratch and nothing more */
		return owner.next->finish(owner.next, err) < 0 ? -1 : job_reply(job, &nothing, err);
	merged = folders.len == 1 ? open_in_store(folders.v[0], O_RDONLY | O_DIRECTORY, err) :
				    root_view(storage, &folders, scratch, err);
	if (merged < 0)
		return -1;
	umask(0);
	if (folder_walk(merged, &walk, &owner.sink, NULL, err) < 0)
		return -1;
	return job_reply(job, &nothing, err);
}

const struct job_def job_table[JOB_COUNT] = {
	[JOB_STEP] = { .name = "step", .run = run_step, .prepare = step_prepare, .stand_by = step_stand_by },
	[JOB_EMULATE] = { .name = "emulate", .run = binfmt_run, .in_holder = true },
	[JOB_UNPACK] = { .name = "unpack", .run = unpack_run },
	[JOB_SETTLE] = { .name = "settle", .run = settle_run },
	[JOB_LAYER] = { .name = "layer", .run = layer_run },
	[JOB_COPY] = { .name = "copy", .run = copy_job },
	[JOB_COPY_DIGEST] = { .name = "copy digest", .run = copy_digest_job },
	[JOB_REMOVE] = { .name = "remove", .run = remove_run },
	[JOB_ARCHIVE] = { .name = "archive", .run = archive_job },
	[JOB_NETWORK] = { .name = "network", .run = network_run, .in_holder = true },
	[JOB_TREE] = { .name = "tree", .run = tree_run },
	[JOB_STORAGE] = { .name = "storage", .run = storage_probe },
};
