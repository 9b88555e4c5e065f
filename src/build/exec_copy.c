#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/jobs.h"
#include "build/parallel.h"
#include "build/solve.h"
#include "store/blob.h"
#include "store/snapshot.h"
#include "store/stepcache.h"

int exec_image(struct solver *s, struct op *op, struct err *err)
{
	return image_need_layers(s->session, op->image, op->vertex, err);
}

/* One entry per layer below: the folder if this session can read one, the blob if there is one, the index. */
static void put_base(struct session *session, const struct snapchain *below, struct copy_spec *spec)
{
	char folder[SNAPSHOT_FOLDER_SIZE];
	struct layer_form form;

	for (size_t i = 0; i < below->len; i++) {
		int64_t id = below->ids[i];
		bool has_folder = snapshot_has_folder(session->store, id, session_fingerprint(session));

		snapshot_folder_name(id, session_fingerprint(session), folder);
		strv_add(&spec->base_folders, has_folder ? folder : "");
		if (snapshot_any_layer(session->store, id, &form))
			strv_take(&spec->base_blobs, xasprintf("blobs/sha256/%s", digest_hex(form.digest)));
		else
			strv_add(&spec->base_blobs, "");
	}
	snapchain_index_names(below, &spec->base_indexes);
}

/* The tree that is copied from, as folders. */
static int put_source(struct solver *s, const struct op *op, struct copy_spec *spec, struct err *err)
{
	struct snapchain from = SNAPCHAIN_INIT;
	int rc = 0;

	if (op->from) {
		op_chain(op->from, &from);
		rc = snapchain_need_folders(s->session, &from, err);
		if (rc == 0)
			rc = snapchain_need_indexes(s->session, &from, err);
		if (rc == 0) {
			snapchain_folder_names(s->session, &from, &spec->from_folders);
			snapchain_index_names(&from, &spec->from_indexes);
		}
	}
	snapchain_release(&from);
	return rc;
}

/* What is fetched for it, as folders of the store. */
static int put_fetched(struct solver *s, struct op *op, struct err *err)
{
	for (size_t i = 0; i < op->copy.nroots; i++) {
		free(take_ptr(op->copy.roots[i].folder));
		if (origin_need(s->session, op->origins[i], op->vertex, &op->copy.roots[i], err) < 0)
			return -1;
	}
	return 0;
}

static void clear_trees(struct copy_spec *spec)
{
	strv_release(&spec->from_folders);
	strv_release(&spec->from_indexes);
	strv_release(&spec->base_folders);
	strv_release(&spec->base_blobs);
	strv_release(&spec->base_indexes);
	free(spec->folder_out);
	free(spec->blob_out);
	free(spec->index_out);
	spec->folder_out = spec->blob_out = spec->index_out = NULL;
}

static int call_copy(struct solver *s, struct op *op, unsigned job, struct copy_result *ret, struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	int fd = op->folder ? op->folder->fd : s->context->fd, rc;

	if (session_view(s->session, &op->copy.from_folders, &op->copy.storage, &op->copy.scratch, err) < 0)
		return -1;
	copy_spec_put(&op->copy, &payload);
	rc = session_call(s->session, job, &payload, &fd, op->copy.from_context ? 1 : 0, &reply, err);
	session_view_done(s->session, &op->copy.scratch);
	return rc < 0 ? -1 : copy_result_get(&reply, ret, err);
}

int exec_copy_known(struct solver *s, struct op *op, struct err *err)
{
	uint8_t group[DIGEST_SIZE], key[DIGEST_SIZE];
	struct copy_result result;
	int rc;

	/* Hashing the source only pays when there is something to compare it with. */
	solve_content_key(op, "group", NULL, group);
	if (!stepcache_has_group(s->session->store, group))
		return 0;
	rc = put_source(s, op, &op->copy, err);
	if (rc == 0)
		rc = call_copy(s, op, JOB_COPY_DIGEST, &result, err);
	clear_trees(&op->copy);
	if (rc < 0)
		return -1;
	solve_content_key(op, "content", result.content, key);
	rc = stepcache_get(s->session->store, key, &op->snapshot, err);
	if (rc == 1 && stepcache_put(s->session->store, op->key, NULL, op->snapshot, op->name, err) < 0)
		return -1;
	return rc;
}

/* Outputs beside each other in the folder of the snapshot, and the blob where the store makes blobs. */
static int copy_and_commit(struct solver *s, struct op *op, struct snapshot_tmp *tmp, struct copy_result *result,
	struct err *err)
{
	struct copy_spec *c = &op->copy;
	struct layer_form form;
	unsigned parts = SNAPSHOT_INDEX;
	auto_free char *blob = NULL;
	auto_fd int index_fd = -1;
	auto_fd int blob_fd = -1;

	c->index_out = xasprintf("%s/index", tmp->name);
	index_fd = openat(store_dirfd(s->session->store), c->index_out, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (index_fd < 0)
		return err_sys(err, "cannot create '%s' in the store", c->index_out);
	if (op->want_folder) {
		c->folder_out = xasprintf("%s/fs", tmp->name);
		parts |= SNAPSHOT_FOLDER;
	} else {
		blob_fd = blob_create(s->session->store, &blob, err);
		if (blob_fd < 0)
			return -1;
		c->blob_out = xstrdup(blob);
	}
	if (call_copy(s, op, JOB_COPY, result, err) < 0) {
		blob_abort(s->session->store, blob);
		return -1;
	}
	if (c->from_context && !c->make_dir_only &&
		memcmp(result->content, op->context_digest, DIGEST_SIZE) != 0) {
		blob_abort(s->session->store, blob);
		return err_set(err, ERR_CORRUPT, "the build context changed while it was copied: build again");
	}
	tmp->size = result->bytes;
	if (blob) {
		if (blob_commit(s->session->store, blob_fd, blob, result->layer.digest, result->layer.size, err) < 0) {
			blob_abort(s->session->store, blob);
			return -1;
		}
		layer_form_of(&form, &result->layer, &s->want);
		tmp->layer = &form;
	}
	pthread_mutex_lock(&s->lock);
	s->result->files_written += result->made;
	pthread_mutex_unlock(&s->lock);
	return snapshot_commit(s->session->store, tmp, parts, &op->snapshot, err);
}

int exec_copy(struct solver *s, struct op *op, struct err *err)
{
	struct snapchain below = SNAPCHAIN_INIT;
	struct snapshot_tmp tmp = { .id = 0 };
	struct copy_result result;
	int rc;

	op->copy.compression = s->want.compression;
	op->copy.level = s->want.level;
	op->copy.epoch = s->want.epoch;
	if (!op->link)
		op_chain(op->base, &below);
	rc = snapchain_need_indexes(s->session, &below, err);
	if (rc == 0)
		rc = put_source(s, op, &op->copy, err);
	if (rc == 0)
		rc = put_fetched(s, op, err);
	if (rc == 0)
		rc = snapshot_new(s->session->store, &tmp, session_fingerprint(s->session), err);
	if (rc == 0) {
		put_base(s->session, &below, &op->copy);
		rc = copy_and_commit(s, op, &tmp, &result, err);
		if (rc < 0)
			session_drop_snapshot(s->session, &tmp);
	}
	clear_trees(&op->copy);
	snapchain_release(&below);
	if (rc == 0)
		rc = solve_remember(s, op, op->copy.make_dir_only ? NULL : result.content, err);
	return rc;
}
