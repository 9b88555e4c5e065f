#include "build/snapchain.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/jobs.h"
#include "build/parallel.h"
#include "layer/bounds.h"
#include "layer/convert.h"
#include "layer/index.h"
#include "oci/descriptor.h"
#include "store/blob.h"

#define SINGLE_FINGERPRINT "single" /* idmap_single(): folders that any rung can read */

void snapchain_push(struct snapchain *c, int64_t id)
{
	GROW(c->ids, c->len, c->cap);
	c->ids[c->len++] = id;
}

void snapchain_copy(struct snapchain *to, const struct snapchain *from)
{
	for (size_t i = 0; i < from->len; i++)
		snapchain_push(to, from->ids[i]);
}

void snapchain_release(struct snapchain *c)
{
	free(c->ids);
	*c = (struct snapchain)SNAPCHAIN_INIT;
}

static char *index_name(int64_t id)
{
	return xasprintf("snapshots/%lld/index", (long long)id);
}

void snapchain_index_names(const struct snapchain *c, struct strv *names)
{
	for (size_t i = 0; i < c->len; i++)
		strv_take(names, index_name(c->ids[i]));
}

void snapchain_folder_names(struct session *s, const struct snapchain *c, struct strv *names)
{
	char name[SNAPSHOT_FOLDER_SIZE];

	for (size_t i = c->len; i > 0; i--) {
		snapshot_folder_name(c->ids[i - 1], session_fingerprint(s), name);
		strv_add(names, name);
	}
}

/* Two steps may want the same form of one snapshot at the same time: the second waits and finds it. */
static void claim(struct session *s, int64_t id)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < SESSION_CLAIMS_MAX; i++)
		if (s->claims[i] == id) {
			pthread_cond_wait(&s->released, &s->lock);
			i = (size_t)-1;
		}
	for (size_t i = 0; i < SESSION_CLAIMS_MAX; i++)
		if (s->claims[i] == 0) {
			s->claims[i] = id;
			break;
		}
	pthread_mutex_unlock(&s->lock);
}

static void release(struct session *s, int64_t id)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < SESSION_CLAIMS_MAX; i++)
		if (s->claims[i] == id)
			s->claims[i] = 0;
	pthread_cond_broadcast(&s->released);
	pthread_mutex_unlock(&s->lock);
}

static char *blob_name(const char *digest)
{
	return xasprintf("blobs/sha256/%s", digest_hex(digest));
}

/* Read a layer into what is missing: the index always when absent, the folder when wanted. */
static int unpack(struct session *s, int64_t id, const struct layer_form *form, bool folder, bool index,
	struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	struct unpack_result result;
	auto_free char *blob = blob_name(form->digest);
	auto_free char *tree = NULL;
	auto_free char *fs = NULL;
	auto_free char *file = NULL;
	struct unpack_request r = { .blob = blob, .digest = form->digest, .diff_id = form->diff_id,
		.size = form->size };

	if (folder) {
		if (store_tmp_new(s->store, &tree, err) < 0)
			return -1;
		fs = xasprintf("%s/fs", tree);
		if (mkdirat(store_dirfd(s->store), fs, 0755) < 0)
			return err_sys(err, "cannot create '%s' in the store", fs);
		r.folder = fs;
	}
	if (index) {
		int fd = store_tmp_file(s->store, &file, err);

		if (fd < 0)
			return -1;
		close_fd(fd);
		r.index = file;
	}
	unpack_put(&r, &payload);
	if (session_call(s, JOB_UNPACK, &payload, NULL, 0, &reply, err) < 0 ||
		reply_get(&reply, &result, sizeof(result), err) < 0)
		return err_wrap(err, "layer %s", form->digest);
	if (file && snapshot_add_index(s->store, id, file, err) < 0)
		return -1;
	if (tree && snapshot_add_folder(s->store, id, session_fingerprint(s), tree, err) < 0)
		return -1;
	if (result.skipped_devices)
		progress_note(s->progress, "layer %s: %llu device nodes are not in its folder", form->digest,
			(unsigned long long)result.skipped_devices);
	pthread_mutex_lock(&s->lock);
	s->files_written += result.made;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int need_index(struct session *s, int64_t id, struct err *err)
{
	struct snapshot snap;
	struct layer_form form;

	if (snapshot_get(s->store, id, &snap, err) < 0)
		return -1;
	if (snap.has_index)
		return 0;
	if (!snapshot_any_layer(s->store, id, &form))
		return err_set(err, ERR_CORRUPT, "snapshot %lld of the store has neither an index nor a layer",
			(long long)id);
	return unpack(s, id, &form, false, true, err);
}

/* The index of a snapshot, if no file of it has any content: then it alone says all that its layer holds. */
static struct tree_index *index_without_content(struct session *s, int64_t id)
{
	struct err ignored = ERR_INIT;
	auto_fd int fd = snapshot_open_index(s->store, id, &ignored);
	struct tree_index *ix = fd < 0 ? NULL : index_open(fd, &ignored);

	/* Empty files too would be looked for in a folder. */
	for (size_t i = 0; ix && i < index_len(ix); i++) {
		struct tree_entry e;

		index_get(ix, i, &e);
		if (e.type == ENTRY_FILE) {
			index_close(ix);
			ix = NULL;
		}
	}
	return ix;
}

/* Its layer needs no worker: no file tree is read. */
static int make_layer_of_index(struct session *s, const struct tree_index *ix, const struct layer_want *want,
	struct layer_info *ret, struct err *err)
{
	struct layer_write_options o = { .compression = want->compression, .level = want->level,
		.epoch = want->epoch };
	auto_free char *out = NULL;
	auto_fd int fd = blob_create(s->store, &out, err);

	if (fd < 0)
		return -1;
	if (layer_from_folder(-1, ix, &o, fd, ret, err) < 0 ||
		blob_commit(s->store, fd, out, ret->digest, ret->size, err) < 0) {
		blob_abort(s->store, out);
		return -1;
	}
	return 0;
}

/* Make a layer blob of a snapshot from its folder or from another of its layers. */
static int make_layer(struct session *s, int64_t id, const struct layer_want *want, struct layer_form *ret,
	struct err *err)
{
	char folder[SNAPSHOT_FOLDER_SIZE];
	struct layer_form from;
	struct layer_info info;
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	auto_free char *out = NULL;
	auto_free char *index = index_name(id);
	auto_free char *blob = NULL;
	auto_fd int fd = -1;
	AUTO(index_close) struct tree_index *bare = NULL;
	struct layer_request r = { .index = index, .compression = want->compression, .level = want->level,
		.epoch = want->epoch };

	if (need_index(s, id, err) < 0)
		return -1;
	bare = snapshot_any_layer(s->store, id, &from) ? NULL : index_without_content(s, id);
	if (bare) {
		if (make_layer_of_index(s, bare, want, &info, err) < 0)
			return -1;
		layer_form_of(ret, &info, want);
		return snapshot_add_layer(s->store, id, ret, err);
	}
	if (snapshot_any_layer(s->store, id, &from) && from.level == LAYER_LEVEL_SOURCE) {
		/* Whoever wrote it: only the compression changes, so that the diffID stays. */
		blob = blob_name(from.digest);
		r.blob = blob;
		r.index = NULL;
	} else if (snapshot_has_folder(s->store, id, session_fingerprint(s))) {
		snapshot_folder_name(id, session_fingerprint(s), folder);
		r.folder = folder;
	} else if (snapshot_any_layer(s->store, id, &from)) {
		blob = blob_name(from.digest);
		r.blob = blob;
	} else if (snapshot_has_folder(s->store, id, SINGLE_FINGERPRINT)) {
		snapshot_folder_name(id, SINGLE_FINGERPRINT, folder);
		r.folder = folder;
	} else {
		return err_set(err, ERR_CORRUPT,
			"snapshot %lld was made under another ID map and cannot be read: whittle prune",
			(long long)id);
	}
	fd = blob_create(s->store, &out, err);
	if (fd < 0)
		return -1;
	r.out = out;
	layer_put(&r, &payload);
	if (session_call(s, JOB_LAYER, &payload, NULL, 0, &reply, err) < 0 ||
		reply_get(&reply, &info, sizeof(info), err) < 0 ||
		blob_commit(s->store, fd, out, info.digest, info.size, err) < 0) {
		blob_abort(s->store, out);
		return -1;
	}
	layer_form_of(ret, &info, want);
	return snapshot_add_layer(s->store, id, ret, err);
}

void layer_form_of(struct layer_form *ret, const struct layer_info *info, const struct layer_want *want)
{
	static const enum media_kind kinds[] = {
		[COMPRESSION_NONE] = MEDIA_LAYER_TAR,
		[COMPRESSION_GZIP] = MEDIA_LAYER_GZIP,
		[COMPRESSION_ZSTD] = MEDIA_LAYER_ZSTD,
	};

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->digest, sizeof(ret->digest), "%s", info->digest);
	snprintf(ret->diff_id, sizeof(ret->diff_id), "%s", info->diff_id);
	snprintf(ret->media_type, sizeof(ret->media_type), "%s",
		media_type_of(kinds[want->compression], false));
	snprintf(ret->compression, sizeof(ret->compression), "%s", compression_name(want->compression));
	ret->size = info->size;
	ret->level = want->level;
	ret->epoch = want->epoch;
}

static int need_layer(struct session *s, int64_t id, const struct layer_want *want, struct layer_form *ret,
	struct err *err)
{
	if (!want->force && snapshot_any_layer(s->store, id, ret) && ret->level == LAYER_LEVEL_SOURCE)
		return 0;
	if (snapshot_find_layer(s->store, id, compression_name(want->compression), want->level, want->epoch, ret))
		return 0;
	if (!session_holder(s, err))
		return -1;
	return make_layer(s, id, want, ret, err);
}

int snapchain_need_layer(struct session *s, int64_t id, const struct layer_want *want, struct layer_form *ret,
	struct err *err)
{
	int rc;

	claim(s, id);
	rc = need_layer(s, id, want, ret, err);
	release(s, id);
	return rc;
}

static int need_folder(struct session *s, int64_t id, struct err *err)
{
	static const struct layer_want quick = { .compression = COMPRESSION_NONE, .epoch = LAYER_EPOCH_NONE };
	struct snapshot snap;
	struct layer_form form;

	if (snapshot_has_folder(s->store, id, session_fingerprint(s)))
		return 0;
	if (snapshot_get(s->store, id, &snap, err) < 0)
		return -1;
	if (!snapshot_any_layer(s->store, id, &form) && make_layer(s, id, &quick, &form, err) < 0)
		return -1;
	return unpack(s, id, &form, true, !snap.has_index, err);
}

void snapchain_note_ready(struct session *s, int64_t id)
{
	pthread_mutex_lock(&s->lock);
	GROW(s->ready, s->nready, s->ready_cap);
	s->ready[s->nready++] = id;
	pthread_mutex_unlock(&s->lock);
}

/* From the end: the steps of a stage ask for the latest. */
static bool is_ready(struct session *s, int64_t id)
{
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (size_t i = s->nready; i > 0 && !found; i--)
		found = s->ready[i - 1] == id;
	pthread_mutex_unlock(&s->lock);
	return found;
}

struct chain_work {
	struct session *s;
	const struct snapchain *chain;
	int (*need)(struct session *s, int64_t id, struct err *err);
};

static int chain_work(void *ctx, size_t i, struct err *err)
{
	struct chain_work *w = ctx;
	int64_t id = w->chain->ids[i];
	int rc;

	claim(w->s, id);
	rc = w->need(w->s, id, err);
	release(w->s, id);
	return rc;
}

int snapchain_need_indexes(struct session *s, const struct snapchain *c, struct err *err)
{
	struct chain_work w = { .s = s, .chain = c, .need = need_index };
	bool missing = false;

	/* Almost always all are there: no thread is worth starting to find that out. */
	for (size_t i = 0; i < c->len && !missing; i++) {
		struct snapshot snap = { .has_index = true };

		if (!is_ready(s, c->ids[i]) && snapshot_get(s->store, c->ids[i], &snap, err) < 0)
			return -1;
		missing = !snap.has_index;
	}
	if (!missing)
		return 0;
	return parallel_run(c->len, parallel_width(), chain_work, &w, err);
}

static int settle(struct session *s, const struct snapchain *c, size_t i, struct err *err)
{
	char folder[SNAPSHOT_FOLDER_SIZE];
	struct snapchain lower = { .ids = c->ids, .len = i };
	auto_free char *index = index_name(c->ids[i]);
	auto_strv names = STRV_INIT;
	auto_strbuf payload = STRBUF_INIT;

	snapshot_folder_name(c->ids[i], session_fingerprint(s), folder);
	snapchain_index_names(&lower, &names);
	settle_put(folder, index, &names, &payload);
	return session_call(s, JOB_SETTLE, &payload, NULL, 0, NULL, err);
}

int snapchain_need_folders(struct session *s, const struct snapchain *c, struct err *err)
{
	struct chain_work w = { .s = s, .chain = c, .need = need_folder };
	auto_free bool *missing = xcalloc(c->len + 1, sizeof(bool));
	bool any = false;

	if (!session_holder(s, err))
		return -1;
	for (size_t i = 0; i < c->len; i++) {
		missing[i] = !is_ready(s, c->ids[i]) &&
			     !snapshot_has_folder(s->store, c->ids[i], session_fingerprint(s));
		any |= missing[i];
	}
	if (!any)
		return 0;
	if (parallel_run(c->len, parallel_width(), chain_work, &w, err) < 0)
		return -1;
	if (snapchain_need_indexes(s, c, err) < 0)
		return -1;
	for (size_t i = 1; i < c->len; i++)
		if (missing[i] && settle(s, c, i, err) < 0)
			return -1;
	for (size_t i = 0; i < c->len; i++)
		if (missing[i])
			snapchain_note_ready(s, c->ids[i]);
	return 0;
}
