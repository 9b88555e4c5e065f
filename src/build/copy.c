#include "build/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "build/copy_emit.h"
#include "build/copy_internal.h"
#include "build/copy_place.h"
#include "build/copy_source.h"
#include "layer/chain.h"
#include "layer/index.h"
#include "sandbox/root.h"

#define COPY_ROOTS_MAX 4096 /* fetched sources of one ADD: a line of a Dockerfile holds no more */

/* ---- the spec as bytes ---- */

void copy_spec_release(struct copy_spec *spec)
{
	free(spec->ignore);
	strv_release(&spec->from_folders);
	strv_release(&spec->from_indexes);
	strv_release(&spec->sources);
	free(spec->args);
	for (size_t i = 0; i < spec->nroots; i++)
		free(spec->roots[i].folder);
	free(spec->roots);
	strv_release(&spec->file_names);
	strv_release(&spec->file_contents);
	strv_release(&spec->excludes);
	free(spec->dest);
	strv_release(&spec->base_folders);
	strv_release(&spec->base_blobs);
	strv_release(&spec->base_indexes);
	free(spec->chown);
	free(spec->chmod);
	free(spec->folder_out);
	free(spec->blob_out);
	free(spec->index_out);
	free(spec->scratch);
	*spec = (struct copy_spec)COPY_SPEC_INIT;
}

static void put_roots(const struct copy_spec *spec, struct strbuf *payload)
{
	wire_put_u64(payload, spec->nroots);
	for (size_t i = 0; i < spec->nroots; i++) {
		wire_put_str(payload, spec->roots[i].folder);
		wire_put_u64(payload, spec->roots[i].file);
		wire_put_u64(payload, spec->roots[i].fixed_mtime);
		wire_put_u64(payload, (uint64_t)spec->roots[i].mtime);
	}
	wire_put_u64(payload, spec->args ? spec->sources.len : 0);
	for (size_t i = 0; spec->args && i < spec->sources.len; i++) {
		wire_put_u64(payload, spec->args[i].root);
		wire_put_u64(payload, spec->args[i].literal);
		wire_put_u64(payload, spec->args[i].extract);
	}
}

/* Returns false for counts that do not fit each other. */
static bool get_roots(struct wire *w, struct copy_spec *ret)
{
	size_t n = (size_t)wire_get_u64(w), nargs;

	if (n > COPY_ROOTS_MAX)
		return false;
	ret->roots = xcalloc(n + 1, sizeof(*ret->roots));
	for (; ret->nroots < n; ret->nroots++) {
		struct copy_root *r = &ret->roots[ret->nroots];

		r->folder = wire_get_str(w);
		r->file = wire_get_u64(w) != 0;
		r->fixed_mtime = wire_get_u64(w) != 0;
		r->mtime = (int64_t)wire_get_u64(w);
	}
	nargs = (size_t)wire_get_u64(w);
	if (nargs == 0)
		return true;
	if (nargs != ret->sources.len)
		return false;
	ret->args = xcalloc(nargs, sizeof(*ret->args));
	for (size_t i = 0; i < nargs; i++) {
		ret->args[i].root = (size_t)wire_get_u64(w);
		ret->args[i].literal = wire_get_u64(w) != 0;
		ret->args[i].extract = (enum archive_accept)wire_get_u64(w);
		if (ret->args[i].root > n)
			return false;
	}
	return true;
}

void copy_spec_put(const struct copy_spec *spec, struct strbuf *payload)
{
	wire_put_u64(payload, spec->from_context);
	wire_put_str(payload, spec->ignore);
	wire_put_strv(payload, &spec->from_folders);
	wire_put_strv(payload, &spec->from_indexes);
	wire_put_strv(payload, &spec->sources);
	put_roots(spec, payload);
	wire_put_u64(payload, spec->fixed_mtime);
	wire_put_u64(payload, (uint64_t)spec->mtime);
	wire_put_strv(payload, &spec->file_names);
	wire_put_strv(payload, &spec->file_contents);
	wire_put_strv(payload, &spec->excludes);
	wire_put_u64(payload, spec->parents);
	wire_put_str(payload, spec->dest);
	wire_put_strv(payload, &spec->base_folders);
	wire_put_strv(payload, &spec->base_blobs);
	wire_put_strv(payload, &spec->base_indexes);
	wire_put_u64(payload, spec->make_dir_only);
	wire_put_str(payload, spec->chown);
	wire_put_str(payload, spec->chmod);
	wire_put_u64(payload, spec->extract);
	wire_put_u64(payload, (uint64_t)spec->now);
	wire_put_str(payload, spec->folder_out);
	wire_put_str(payload, spec->blob_out);
	wire_put_str(payload, spec->index_out);
	wire_put_u64(payload, spec->compression);
	wire_put_u64(payload, (uint64_t)spec->level);
	wire_put_u64(payload, (uint64_t)spec->epoch);
	wire_put_u64(payload, spec->storage);
	wire_put_str(payload, spec->scratch);
}

bool copy_spec_get(struct wire *w, struct copy_spec *ret)
{
	*ret = (struct copy_spec)COPY_SPEC_INIT;
	ret->from_context = wire_get_u64(w) != 0;
	ret->ignore = wire_get_str(w);
	wire_get_strv(w, &ret->from_folders);
	wire_get_strv(w, &ret->from_indexes);
	wire_get_strv(w, &ret->sources);
	if (!get_roots(w, ret))
		return false;
	ret->fixed_mtime = wire_get_u64(w) != 0;
	ret->mtime = (int64_t)wire_get_u64(w);
	wire_get_strv(w, &ret->file_names);
	wire_get_strv(w, &ret->file_contents);
	wire_get_strv(w, &ret->excludes);
	ret->parents = wire_get_u64(w) != 0;
	ret->dest = wire_get_str(w);
	wire_get_strv(w, &ret->base_folders);
	wire_get_strv(w, &ret->base_blobs);
	wire_get_strv(w, &ret->base_indexes);
	ret->make_dir_only = wire_get_u64(w) != 0;
	ret->chown = wire_get_str(w);
	ret->chmod = wire_get_str(w);
	ret->extract = wire_get_u64(w) != 0;
	ret->now = (int64_t)wire_get_u64(w);
	ret->folder_out = wire_get_str(w);
	ret->blob_out = wire_get_str(w);
	ret->index_out = wire_get_str(w);
	ret->compression = (enum compression)wire_get_u64(w);
	ret->level = (int)wire_get_u64(w);
	ret->epoch = (int64_t)wire_get_u64(w);
	ret->storage = (enum storage)wire_get_u64(w);
	ret->scratch = wire_get_str(w);
	return wire_done(w) && ret->file_names.len == ret->file_contents.len &&
	       ret->base_folders.len == ret->base_indexes.len && ret->base_blobs.len == ret->base_indexes.len;
}

int copy_result_get(const struct strbuf *reply, struct copy_result *ret, struct err *err)
{
	if (reply->len != sizeof(*ret))
		return err_set(err, ERR_SYSTEM, "a worker answered %zu bytes, expected %zu", reply->len, sizeof(*ret));
	memcpy(ret, reply->buf, sizeof(*ret));
	return 0;
}

/* ---- trees ---- */

static int open_in_store(const char *name, int flags, struct err *err)
{
	int fd = open_no_symlinks(AT_FDCWD, name, flags, 0);

	return fd < 0 ? err_sys(err, "cannot open '%s' in the store", name) : fd;
}

static void chain_close(struct tree_chain *c)
{
	union {
		const struct tree_index *borrowed;
		struct tree_index *own;
	} ix;

	for (size_t i = 0; i < c->len; i++) {
		ix.borrowed = c->v[i];
		index_close(ix.own);
	}
	chain_release(c);
}

/* Open the indexes names onto *ret; chain_close() in any case. */
static int chain_open(const struct strv *names, struct tree_chain *ret, struct err *err)
{
	for (size_t i = 0; i < names->len; i++) {
		auto_fd int fd = open_in_store(names->v[i], O_RDONLY, err);
		struct tree_index *ix = fd < 0 ? NULL : index_open(fd, err);

		if (!ix)
			return fd < 0 ? -1 : err_wrap(err, "tree index '%s'", names->v[i]);
		chain_push(ret, ix);
	}
	return 0;
}

/*
 * The root that is copied from, in *ret_fd: -1 for a tree without files. A merged view is seen by nobody else, and is
 * gone with this worker.
 */
static int open_root(const struct copy_spec *spec, int context, int *ret_fd, struct err *err)
{
	*ret_fd = -1;
	if (spec->make_dir_only || spec->sources.len == 0)
		return 0;
	if (spec->from_context && context >= 0) {
		*ret_fd = openat(context, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return *ret_fd < 0 ? err_sys(err, "cannot open the build context") : 0;
	}
	if (spec->from_folders.len == 0)
		return 0;
	if (spec->from_folders.len == 1) {
		*ret_fd = open_in_store(spec->from_folders.v[0], O_RDONLY | O_DIRECTORY, err);
		return *ret_fd < 0 ? -1 : 0;
	}
	*ret_fd = root_view(spec->storage, &spec->from_folders, spec->scratch, err);
	return *ret_fd < 0 ? -1 : 0;
}

/* The folders of what was fetched. */
static int open_more_roots(const struct copy_spec *spec, struct copy_source *s, struct err *err)
{
	if (spec->nroots == 0)
		return 0;
	s->more_roots = xcalloc(spec->nroots, sizeof(*s->more_roots));
	for (; s->nmore_roots < spec->nroots; s->nmore_roots++) {
		int fd = open_in_store(spec->roots[s->nmore_roots].folder, O_RDONLY | O_DIRECTORY, err);

		if (fd < 0)
			return -1;
		s->more_roots[s->nmore_roots] = fd;
	}
	return 0;
}

/* ---- the work ---- */

static int select_all(struct copy_source *s, const struct copy_spec *spec, struct err *err)
{
	for (size_t i = 0; i < spec->sources.len; i++) {
		size_t first = s->nmatches;

		if (copy_source_arg(s, i).root > 0)
			continue; /* what was fetched is not hashed */
		if (copy_source_find(s, i, spec->sources.v[i], spec->parents, err) < 0)
			return -1;
		for (size_t k = first; k < s->nmatches; k++)
			if (copy_source_walk(s, s->matches[k], "", err) < 0)
				return -1;
	}
	return 0;
}

int copy_digest(int root, const struct copy_spec *spec, const struct copy_file_digests *digests,
	uint8_t ret[DIGEST_SIZE], struct err *err)
{
	struct copy_source s;
	int result = copy_source_init(&s, spec, root, err);

	s.hash = true;
	s.digests = digests;
	if (result == 0)
		result = select_all(&s, spec, err);
	if (result == 0)
		result = copy_source_digest(&s, ret, err);
	copy_source_release(&s);
	return result;
}

static int place_and_emit(const struct copy_spec *spec, struct copy_source *s, const struct tree_chain *base,
	struct copy_result *ret, struct err *err)
{
	struct copy_plan p;
	int result = copy_plan_init(&p, spec, s, base, err);

	if (result == 0)
		result = copy_plan_fill(&p, err);
	if (result == 0)
		result = copy_emit(&p, ret, err);
	if (result == 0)
		result = copy_source_digest(s, ret->content, err);
	copy_plan_release(&p);
	return result;
}

/* Everything that is open while a spec is worked on. */
struct trees {
	struct tree_chain base, owners;
	struct copy_source source;
	int root;
};

static int trees_open(struct trees *t, const struct copy_spec *spec, int context, struct err *err)
{
	bool recorded = spec->from_indexes.len > 0 && !spec->from_context;

	*t = (struct trees){ .base = CHAIN_INIT, .owners = CHAIN_INIT, .root = -1 };
	if (copy_source_init(&t->source, spec, -1, err) < 0 || open_root(spec, context, &t->root, err) < 0)
		return -1;
	t->source.root = t->source.first_root = t->root;
	if (open_more_roots(spec, &t->source, err) < 0)
		return -1;
	if (recorded && chain_open(&spec->from_indexes, &t->owners, err) < 0)
		return -1;
	if (recorded)
		t->source.owners = &t->owners;
	return 0;
}

static void trees_close(struct trees *t)
{
	copy_source_release(&t->source);
	chain_close(&t->base);
	chain_close(&t->owners);
	close_fd(t->root);
}

int copy_run(const struct copy_spec *spec, int context, struct copy_result *ret, struct err *err)
{
	struct trees t;
	int result = trees_open(&t, spec, context, err);

	*ret = (struct copy_result){ .entries = 0 };
	if (result == 0)
		result = chain_open(&spec->base_indexes, &t.base, err);
	if (result == 0)
		result = place_and_emit(spec, &t.source, &t.base, ret, err);
	trees_close(&t);
	return result;
}

int copy_digest_run(const struct copy_spec *spec, int context, struct copy_result *ret, struct err *err)
{
	struct trees t;
	int result = trees_open(&t, spec, context, err);

	*ret = (struct copy_result){ .entries = 0 };
	t.source.hash = true;
	if (result == 0)
		result = select_all(&t.source, spec, err);
	if (result == 0)
		result = copy_source_digest(&t.source, ret->content, err);
	trees_close(&t);
	return result;
}

/* ---- jobs ---- */

static int run_job(struct job *job, const char *name,
	int (*run)(const struct copy_spec *, int, struct copy_result *, struct err *), struct err *err)
{
	struct copy_spec spec;
	struct copy_result result;
	struct wire w;
	auto_strbuf reply = STRBUF_INIT;
	int rc;

	wire_init(&w, job->payload, job->len);
	if (!copy_spec_get(&w, &spec) || (spec.from_context && job->nfds > 1)) {
		copy_spec_release(&spec);
		return err_set(err, ERR_SYSTEM, "a request for '%s' is malformed", name);
	}
	spec.ids = idmap_ids(job->idmap);
	umask(0);
	rc = run(&spec, job->nfds ? job->fds[0] : -1, &result, err);
	copy_spec_release(&spec);
	if (rc < 0)
		return -1;
	strbuf_add(&reply, &result, sizeof(result));
	return job_reply(job, &reply, err);
}

int copy_job(struct job *job, struct err *err)
{
	return run_job(job, "copy", copy_run, err);
}

int copy_digest_job(struct job *job, struct err *err)
{
	return run_job(job, "copy digest", copy_digest_run, err);
}
