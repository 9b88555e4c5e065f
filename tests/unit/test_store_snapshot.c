/* snapshot.c: both forms, the index, and who wins when two make the same. */
#include "unit/store_fixture.h"

#include <errno.h>

#define DIFF "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define BLOB "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define GZIP "application/vnd.oci.image.layer.v1.tar+gzip"

static void folder_and_index_move_in_together(void **state)
{
	struct fixture *f = *state;
	struct snapshot_tmp tmp;
	struct snapshot row;
	char name[PATH_MAX], buf[8] = "";
	int64_t id = 0;
	int fd;

	assert_ok(f, snapshot_new(f->store, &tmp, "s100000", &f->err));
	snprintf(name, sizeof(name), "%s/fs", tmp.name);
	assert_int_equal(mode_of(f, name), 0755);
	snprintf(name, sizeof(name), "%s/work", tmp.name);
	assert_int_equal(mode_of(f, name), 0700);
	snprintf(name, sizeof(name), "%s/work/work", tmp.name); /* as overlayfs leaves it */
	assert_int_equal(mkdirat(store_dirfd(f->store), name, 0), 0);
	snprintf(name, sizeof(name), "%s/fs/a", tmp.name);
	put_file(f, name, "a");
	snprintf(name, sizeof(name), "%s/index", tmp.name);
	put_file(f, name, "index");
	tmp.size = 1;
	assert_fails(
		f, ERR_NOT_FOUND, "no snapshot", snapshot_get(f->store, tmp.id, &row, &f->err));
	assert_ok(
		f, snapshot_commit(f->store, &tmp, SNAPSHOT_FOLDER | SNAPSHOT_INDEX, &id, &f->err));
	assert_int_equal(id, tmp.id);
	assert_false(exists(f, tmp.name));
	assert_ok(f, snapshot_get(f->store, id, &row, &f->err));
	assert_int_equal(row.id, id);
	assert_string_equal(row.diff_id, "");
	assert_true(row.has_index);
	assert_int_equal(row.size, 1);
	assert_true(snapshot_has_folder(f->store, id, "s100000"));
	assert_false(snapshot_has_folder(f->store, id, "single"));
	snapshot_folder_name(id, "s100000", name);
	assert_true(exists(f, name));
	snprintf(name + strlen(name), 8, "/a");
	assert_true(exists(f, name));
	fd = snapshot_open_index(f->store, id, &f->err);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), 5);
	close(fd);
}

static void a_root_that_cannot_be_written_moves_too(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();

	if (pid == 0) {
		/* Not as root: a folder of mode 0555 cannot change its parent, only its name. */
		char *root = xasprintf("%s/plain", f->dir), name[PATH_MAX], *copy = NULL;
		struct snapshot_tmp tmp;
		struct err err = ERR_INIT;
		struct store *store;
		int64_t id;

		if (geteuid() == 0 &&
			(chmod(f->dir, 0777) < 0 || setresgid(65534, 65534, 65534) < 0 ||
				setresuid(65534, 65534, 65534) < 0))
			_exit(1);
		store = store_open(root, &err);
		if (!store || snapshot_new(store, &tmp, "single", &err) < 0)
			_exit(2);
		snprintf(name, sizeof(name), "%s/fs", tmp.name);
		if (fchmodat(store_dirfd(store), name, 0555, 0) < 0)
			_exit(3);
		if (snapshot_commit(store, &tmp, SNAPSHOT_FOLDER, &id, &err) < 0)
			_exit(4);
		if (store_tmp_new(store, &copy, &err) < 0)
			_exit(5);
		snprintf(name, sizeof(name), "%s/fs", copy);
		if (mkdirat(store_dirfd(store), name, 0555) < 0)
			_exit(6);
		if (snapshot_add_folder(store, id, "s1", copy, &err) < 0)
			_exit(7);
		if (!snapshot_has_folder(store, id, "single") ||
			!snapshot_has_folder(store, id, "s1"))
			_exit(8);
		_exit(0);
	}
	assert_int_equal(wait_child(pid), 0);
}

static void a_missing_part_is_named(void **state)
{
	struct fixture *f = *state;
	struct snapshot_tmp tmp, bad;
	char name[PATH_MAX];

	assert_ok(f, snapshot_new(f->store, &tmp, "single", &f->err));
	assert_fails(f, ERR_NOT_FOUND, "/index",
		snapshot_commit(f->store, &tmp, SNAPSHOT_FOLDER | SNAPSHOT_INDEX, NULL, &f->err));
	assert_fails(f, ERR_INPUT, "no part", snapshot_commit(f->store, &tmp, 0, NULL, &f->err));
	snprintf(name, sizeof(name), "%s/fs", tmp.name);
	assert_int_equal(unlinkat(store_dirfd(f->store), name, AT_REMOVEDIR), 0);
	assert_fails(f, ERR_NOT_FOUND, "/fs",
		snapshot_commit(f->store, &tmp, SNAPSHOT_FOLDER, NULL, &f->err));
	/* A symbolic link in its place is no folder. */
	assert_int_equal(symlinkat("/etc", store_dirfd(f->store), name), 0);
	assert_fails(f, ERR_NOT_FOUND, "/fs",
		snapshot_commit(f->store, &tmp, SNAPSHOT_FOLDER, NULL, &f->err));
	bad = tmp;
	snprintf(bad.name, sizeof(bad.name), "tmp/../snapshots");
	assert_fails(f, ERR_INPUT, "not a snapshot in the making",
		snapshot_commit(f->store, &bad, SNAPSHOT_FOLDER, NULL, &f->err));
	snapshot_abort(f->store, &bad);
	assert_true(exists(f, "snapshots"));
	bad = tmp;
	bad.size = UINT64_MAX;
	assert_fails(f, ERR_INPUT, "size",
		snapshot_commit(f->store, &bad, SNAPSHOT_FOLDER, NULL, &f->err));
	snprintf(bad.diff_id, sizeof(bad.diff_id), "sha256:x");
	bad.size = 0;
	assert_fails(f, ERR_INPUT, "malformed diffID",
		snapshot_commit(f->store, &bad, SNAPSHOT_FOLDER, NULL, &f->err));
	snapshot_abort(f->store, &tmp);
	assert_false(exists(f, tmp.name));
	snapshot_abort(f->store, NULL);
}

static void bad_fingerprints_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "..", "a/b", "A", "s.1", "a b", "0123456789012345678901234567890123456789"};
	struct fixture *f = *state;
	struct snapshot_tmp tmp;
	char name[SNAPSHOT_FOLDER_SIZE];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_fails(f, ERR_INPUT, "ID map", snapshot_new(f->store, &tmp, bad[i], &f->err));
		assert_false(snapshot_has_folder(f->store, 1, bad[i]));
		assert_fails(f, ERR_INPUT, "ID map",
			snapshot_add_folder(f->store, 1, bad[i], "tmp/x/1", &f->err));
		snapshot_folder_name(1, bad[i], name);
		assert_string_equal(name, "snapshots/1/folder../fs");
	}
	snapshot_folder_name(INT64_MAX, "0123456789012345678901234567890", name);
	assert_string_equal(
		name, "snapshots/9223372036854775807/folder.0123456789012345678901234567890/fs");
}

static void a_layer_alone_is_a_snapshot(void **state)
{
	struct fixture *f = *state;
	struct layer_form form = make_layer(f, "layer"), found;
	struct snapshot_tmp tmp;
	struct snapshot row;
	int64_t id, same;

	form.epoch = 1700000000;
	assert_ok(f, snapshot_new(f->store, &tmp, "single", &f->err));
	tmp.layer = &form;
	assert_ok(f, snapshot_commit(f->store, &tmp, 0, &id, &f->err));
	assert_ok(f, snapshot_get(f->store, id, &row, &f->err));
	assert_string_equal(row.diff_id, form.diff_id);
	assert_false(row.has_index);
	assert_true(snapshot_find_layer(f->store, id, "zstd", 3, 1700000000, &found));
	assert_string_equal(found.digest, form.digest);
	assert_int_equal(snapshot_by_diff_id(f->store, form.diff_id, &same, &f->err), 1);
	assert_int_equal(same, id);
	/* The number is used up: committing twice is refused. */
	assert_fails(f, ERR_INPUT, "committed already",
		snapshot_commit(f->store, &tmp, 0, NULL, &f->err));
}

static void clamped_times_do_not_name_the_snapshot(void **state)
{
	struct fixture *f = *state;
	struct layer_form form = make_layer(f, "layer");
	int64_t id = make_snapshot(f, "x", NULL), found;
	struct snapshot row;

	form.epoch = 0;
	assert_ok(f, snapshot_add_layer(f->store, id, &form, &f->err));
	assert_ok(f, snapshot_get(f->store, id, &row, &f->err));
	assert_string_equal(row.diff_id, "");
	assert_int_equal(snapshot_by_diff_id(f->store, form.diff_id, &found, &f->err), 0);
	form.epoch = LAYER_EPOCH_NONE;
	assert_ok(f, snapshot_add_layer(f->store, id, &form, &f->err));
	assert_int_equal(snapshot_by_diff_id(f->store, form.diff_id, &found, &f->err), 1);
	assert_int_equal(found, id);
}

static void layer_forms_are_found_by_their_settings_while_the_blob_is_there(void **state)
{
	struct fixture *f = *state;
	struct layer_form a = make_layer(f, "a"), b = make_layer(f, "b"), found;
	int64_t id = make_snapshot(f, "x", NULL);

	b.level = 19;
	assert_false(snapshot_any_layer(f->store, id, &found));
	assert_ok(f, snapshot_add_layer(f->store, id, &a, &f->err));
	assert_ok(f, snapshot_add_layer(f->store, id, &b, &f->err));
	assert_ok(f, snapshot_add_layer(f->store, id, &b, &f->err));
	assert_true(snapshot_find_layer(f->store, id, "zstd", 3, LAYER_EPOCH_NONE, &found));
	assert_string_equal(found.digest, a.digest);
	assert_string_equal(found.media_type, a.media_type);
	assert_string_equal(found.compression, "zstd");
	assert_string_equal(found.diff_id, a.diff_id);
	assert_int_equal(found.size, a.size);
	assert_int_equal(found.level, 3);
	assert_true(found.epoch == LAYER_EPOCH_NONE);
	assert_false(snapshot_find_layer(f->store, id, "zstd", 4, LAYER_EPOCH_NONE, &found));
	assert_false(snapshot_find_layer(f->store, id, "gzip", 3, LAYER_EPOCH_NONE, &found));
	assert_false(snapshot_find_layer(f->store, id, "zstd", 3, 0, &found));
	assert_true(snapshot_any_layer(f->store, id, &found));
	assert_string_equal(found.digest, b.digest);
	assert_ok(f, blob_remove(f->store, b.digest, &f->err));
	assert_false(snapshot_find_layer(f->store, id, "zstd", 19, LAYER_EPOCH_NONE, &found));
	assert_true(snapshot_any_layer(f->store, id, &found));
	assert_string_equal(found.digest, a.digest);
	assert_fails(
		f, ERR_NOT_FOUND, "no snapshot", snapshot_add_layer(f->store, 99, &a, &f->err));
	a.digest[10] = '/';
	assert_fails(
		f, ERR_INPUT, "malformed digest", snapshot_add_layer(f->store, id, &a, &f->err));
	b.diff_id[0] = 'x';
	assert_fails(
		f, ERR_INPUT, "malformed diffID", snapshot_add_layer(f->store, id, &b, &f->err));
}

static void base_layer_gets_one_snapshot(void **state)
{
	struct fixture *f = *state;
	struct layer_form found, blob = make_layer(f, "blob");
	int64_t a = 0, b = 0, c = 0;

	assert_int_equal(snapshot_by_diff_id(f->store, DIFF, &a, &f->err), 0);
	assert_ok(f, snapshot_of_layer(f->store, DIFF, BLOB, GZIP, 5, &a, &f->err));
	assert_ok(f, snapshot_of_layer(f->store, DIFF, BLOB, GZIP, 5, &b, &f->err));
	assert_int_equal(a, b);
	/* The same layer compressed by somebody else. */
	assert_ok(f, snapshot_of_layer(f->store, DIFF, blob.digest,
			     "application/vnd.docker.image.rootfs.diff.tar.zstd", blob.size, &c,
			     &f->err));
	assert_int_equal(a, c);
	assert_false(snapshot_find_layer(
		f->store, a, "gzip", LAYER_LEVEL_SOURCE, LAYER_EPOCH_NONE, &found));
	assert_true(snapshot_find_layer(
		f->store, a, "zstd", LAYER_LEVEL_SOURCE, LAYER_EPOCH_NONE, &found));
	assert_int_equal(found.level, LAYER_LEVEL_SOURCE);
	assert_string_equal(found.digest, blob.digest);
	assert_fails(f, ERR_INPUT, "malformed",
		snapshot_of_layer(f->store, "sha256:x", BLOB, GZIP, 5, &a, &f->err));
	assert_fails(f, ERR_INPUT, "malformed",
		snapshot_of_layer(f->store, DIFF, BLOB "0", GZIP, 5, &a, &f->err));
	assert_fails(f, ERR_INPUT, "size",
		snapshot_of_layer(f->store, DIFF, BLOB, GZIP, UINT64_MAX, &a, &f->err));
	assert_fails(
		f, ERR_INPUT, "malformed diffID", snapshot_by_diff_id(f->store, "x", &a, &f->err));
}

/* A folder that store_tmp_new() made, with fs and one file in it. */
static char *make_tree(struct fixture *f, const char *content)
{
	char *name = NULL, path[PATH_MAX];

	assert_ok(f, store_tmp_new(f->store, &name, &f->err));
	snprintf(path, sizeof(path), "%s/fs", name);
	assert_int_equal(mkdirat(store_dirfd(f->store), path, 0755), 0);
	snprintf(path, sizeof(path), "%s/fs/file", name);
	put_file(f, path, content);
	snprintf(path, sizeof(path), "%s/rubbish", name);
	put_file(f, path, "");
	return name;
}

static void assert_folder_holds(
	struct fixture *f, int64_t id, const char *fingerprint, const char *content)
{
	char name[SNAPSHOT_FOLDER_SIZE + 8];
	struct strbuf sb = STRBUF_INIT;

	snapshot_folder_name(id, fingerprint, name);
	snprintf(name + strlen(name), 8, "/file");
	assert_ok(f, read_file(store_dirfd(f->store), name, 100, &sb, &f->err));
	assert_string_equal(sb.buf, content);
	strbuf_release(&sb);
}

static void second_folder_of_the_same_map_is_dropped(void **state)
{
	struct fixture *f = *state;
	char *a = make_tree(f, "first"), *b = make_tree(f, "second"), rubbish[PATH_MAX];
	int64_t id;

	assert_ok(f, snapshot_of_layer(f->store, DIFF, BLOB, GZIP, 5, &id, &f->err));
	assert_false(snapshot_has_folder(f->store, id, "single"));
	assert_ok(f, snapshot_add_folder(f->store, id, "single", a, &f->err));
	assert_ok(f, snapshot_add_folder(f->store, id, "single", b, &f->err));
	assert_true(snapshot_has_folder(f->store, id, "single"));
	assert_folder_holds(f, id, "single", "first");
	assert_false(exists(f, a));
	assert_false(exists(f, b));
	snprintf(rubbish, sizeof(rubbish), "snapshots/%d/folder.single/rubbish", (int)id);
	assert_false(exists(f, rubbish));
	assert_fails(f, ERR_NOT_FOUND, "no folder",
		snapshot_add_folder(f->store, id, "single", a, &f->err));
	assert_fails(f, ERR_INPUT, "not a temporary folder",
		snapshot_add_folder(f->store, id, "single", "snapshots/1", &f->err));
	free(a);
	a = make_tree(f, "third");
	assert_fails(f, ERR_NOT_FOUND, "no snapshot",
		snapshot_add_folder(f->store, 99, "single", a, &f->err));
	free(a);
	free(b);
}

static void orphans_of_a_killed_process_do_not_count(void **state)
{
	struct fixture *f = *state;
	char *a = make_tree(f, "fresh"), name[PATH_MAX];
	int root = store_dirfd(f->store);
	struct snapshot_tmp tmp;
	int64_t id;

	assert_ok(f, snapshot_of_layer(f->store, DIFF, BLOB, GZIP, 5, &id, &f->err));
	snprintf(name, sizeof(name), "snapshots/%d/folder.single/fs", (int)id);
	assert_int_equal(mkdir_p(root, name, 0700), 0);
	snprintf(name, sizeof(name), "snapshots/%d/folder.single/fs/file", (int)id);
	put_file(f, name, "torn");
	assert_false(snapshot_has_folder(f->store, id, "single"));
	assert_ok(f, snapshot_add_folder(f->store, id, "single", a, &f->err));
	assert_folder_holds(f, id, "single", "fresh");
	/* The same for a whole snapshot whose number comes again, as after a power cut. */
	assert_ok(f, snapshot_new(f->store, &tmp, "single", &f->err));
	snprintf(name, sizeof(name), "snapshots/%d/folder.single/fs/old", (int)tmp.id);
	assert_int_equal(mkdir_p(root, name, 0700), 0);
	assert_ok(f, snapshot_commit(f->store, &tmp, SNAPSHOT_FOLDER, &id, &f->err));
	assert_true(snapshot_has_folder(f->store, id, "single"));
	assert_false(exists(f, name));
	free(a);
}

static void index_is_added_and_replaced(void **state)
{
	struct fixture *f = *state;
	int64_t id;
	char *name = NULL, path[PATH_MAX], buf[8];
	int fd;

	assert_ok(f, snapshot_of_layer(f->store, DIFF, BLOB, GZIP, 5, &id, &f->err));
	assert_fails(f, ERR_NOT_FOUND, "no tree index", snapshot_open_index(f->store, id, &f->err));
	assert_fails(f, ERR_NOT_FOUND, "no snapshot", snapshot_open_index(f->store, 99, &f->err));
	for (int i = 0; i < 2; i++) {
		fd = store_tmp_file(f->store, &name, &f->err);
		assert_int_equal(write_all(fd, i ? "new" : "old", 3), 0);
		close(fd);
		assert_ok(f, snapshot_add_index(f->store, id, name, &f->err));
		free(name);
	}
	fd = snapshot_open_index(f->store, id, &f->err);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "new", 3);
	close(fd);
	assert_fails(f, ERR_INPUT, "not a temporary file",
		snapshot_add_index(f->store, id, "meta.db", &f->err));
	snprintf(path, sizeof(path), "snapshots/%d/index", (int)id);
	assert_int_equal(unlinkat(store_dirfd(f->store), path, 0), 0);
	assert_fails(f, ERR_NOT_FOUND, "is gone", snapshot_open_index(f->store, id, &f->err));
	assert_int_equal(mkdirat(store_dirfd(f->store), path, 0700), 0);
	assert_fails(
		f, ERR_CORRUPT, "not a regular file", snapshot_open_index(f->store, id, &f->err));
	fd = store_tmp_file(f->store, &name, &f->err);
	close(fd);
	assert_ok(f, snapshot_add_index(f->store, id, name, &f->err));
	fd = snapshot_open_index(f->store, id, &f->err);
	assert_true(fd >= 0);
	close(fd);
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(folder_and_index_move_in_together),
		store_test(a_root_that_cannot_be_written_moves_too),
		store_test(a_missing_part_is_named),
		store_test(bad_fingerprints_are_refused),
		store_test(a_layer_alone_is_a_snapshot),
		store_test(clamped_times_do_not_name_the_snapshot),
		store_test(layer_forms_are_found_by_their_settings_while_the_blob_is_there),
		store_test(base_layer_gets_one_snapshot),
		store_test(second_folder_of_the_same_map_is_dropped),
		store_test(orphans_of_a_killed_process_do_not_count),
		store_test(index_is_added_and_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
