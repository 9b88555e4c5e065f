/* gc.c: what images and steps lead to stays, everything else goes, and doubt removes nothing. */
#include "unit/store_fixture.h"

#include <errno.h>
#include <signal.h>

#include "store/cachedir.h"
#include "store/gc.h"
#include "store/image.h"
#include "store/stepcache.h"

#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define ABSENT "sha256:1111111111111111111111111111111111111111111111111111111111111111"

static const uint8_t key_a[32] = {1}, key_b[32] = {2};

static void put(struct fixture *f, const char *text, char digest[DIGEST_STR_SIZE])
{
	assert_ok(f, blob_put(f->store, text, strlen(text), digest, &f->err));
}

static void put_owned(struct fixture *f, char *text, char digest[DIGEST_STR_SIZE])
{
	put(f, text, digest);
	free(text);
}

/* A manifest with a config and one layer named after name; all three digests. */
static void put_manifest(struct fixture *f, const char *name, char digests[3][DIGEST_STR_SIZE])
{
	put_owned(f, xasprintf("{\"name\":\"config %s\"}", name), digests[1]);
	put_owned(f, xasprintf("layer %s", name), digests[2]);
	put_owned(f,
		xasprintf("{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\"},"
			  "\"layers\":[{\"digest\":\"%s\"},{\"digest\":\"not a digest\"},7,null]}",
			digests[1], digests[2]),
		digests[0]);
}

static struct gc_result prune(struct fixture *f, bool all)
{
	const struct gc_options options = {.all = all};
	struct gc_result result = GC_RESULT_INIT;

	assert_ok(f, store_lock_exclusive(f->store, &f->err));
	assert_ok(f, gc_run(f->store, &options, &result, &f->err));
	store_unlock_exclusive(f->store);
	return result;
}

static void images_keep_all_that_they_name(void **state)
{
	struct fixture *f = *state;
	char amd[3][DIGEST_STR_SIZE], arm[3][DIGEST_STR_SIZE], loose[3][DIGEST_STR_SIZE];
	char inner[DIGEST_STR_SIZE], index[DIGEST_STR_SIZE], subject[3][DIGEST_STR_SIZE];
	struct gc_result result;

	put_manifest(f, "amd64", amd);
	put_manifest(f, "arm64", arm);
	put_manifest(f, "loose", loose);
	put_manifest(f, "subject", subject);
	put_owned(f,
		xasprintf("{\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\"}]}",
			MANIFEST_TYPE, arm[0]),
		inner);
	put_owned(f,
		xasprintf("{\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\"},"
			  "{\"mediaType\":\"%s\",\"digest\":\"%s\"},"
			  "{\"mediaType\":\"%s\",\"digest\":\"%s\"}],"
			  "\"subject\":{\"mediaType\":\"%s\",\"digest\":\"%s\"}}",
			MANIFEST_TYPE, amd[0], INDEX_TYPE, inner, MANIFEST_TYPE, ABSENT,
			MANIFEST_TYPE, subject[0]),
		index);
	assert_ok(f, image_put(f->store, "x:1", INDEX_TYPE, index, 1, &f->err));
	result = prune(f, true);
	assert_int_equal(result.blobs, 3);
	assert_int_equal(result.snapshots, 0);
	assert_true(result.bytes > 0);
	for (int i = 0; i < 3; i++) {
		assert_true(blob_has(f->store, amd[i], NULL));
		assert_true(blob_has(f->store, arm[i], NULL));
		assert_true(blob_has(f->store, subject[i], NULL));
		assert_false(blob_has(f->store, loose[i], NULL));
	}
	assert_true(blob_has(f->store, index, NULL));
	assert_true(blob_has(f->store, inner, NULL));
	gc_result_release(&result);
	assert_ok(f, image_remove(f->store, "x:1", &f->err));
	result = prune(f, false);
	assert_int_equal(result.blobs, 11);
	gc_result_release(&result);
}

static void doubt_removes_nothing(void **state)
{
	struct fixture *f = *state;
	const struct gc_options options = {.all = true};
	struct gc_result result = GC_RESULT_INIT;
	char loose[DIGEST_STR_SIZE], text[DIGEST_STR_SIZE], digest[DIGEST_STR_SIZE], path[PATH_MAX];

	put(f, "loose", loose);
	put(f, "no json", text);
	assert_ok(f, image_put(f->store, "bad:1", MANIFEST_TYPE, text, 7, &f->err));
	assert_ok(f, store_lock_exclusive(f->store, &f->err));
	assert_fails(
		f, ERR_INPUT, "whittle rmi bad:1", gc_run(f->store, &options, &result, &f->err));
	assert_true(blob_has(f->store, loose, NULL));
	/* A manifest with other bytes than its digest says. */
	put(f, "{}", digest);
	assert_ok(f, image_put(f->store, "bad:1", MANIFEST_TYPE, digest, 2, &f->err));
	snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(digest));
	assert_int_equal(unlinkat(store_dirfd(f->store), path, 0), 0);
	put_file(f, path, "[]");
	assert_fails(
		f, ERR_CORRUPT, "whittle rmi bad:1", gc_run(f->store, &options, &result, &f->err));
	assert_true(blob_has(f->store, loose, NULL));
	gc_result_release(&result);
}

/* A chain of n indexes, the innermost empty; the digest of the outermost. */
static void put_chain(struct fixture *f, int n, char digest[DIGEST_STR_SIZE])
{
	put(f, "{\"manifests\":[]}", digest);
	for (int i = 1; i < n; i++) {
		char *text = xasprintf("{\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\"}]}",
			INDEX_TYPE, digest);

		put_owned(f, text, digest);
	}
}

static void nesting_is_bounded(void **state)
{
	struct fixture *f = *state;
	const struct gc_options options = {.all = true};
	struct gc_result result = GC_RESULT_INIT;
	char digest[DIGEST_STR_SIZE];

	put_chain(f, 8, digest);
	assert_ok(f, image_put(f->store, "deep:1", INDEX_TYPE, digest, 1, &f->err));
	assert_ok(f, store_lock_exclusive(f->store, &f->err));
	assert_ok(f, gc_run(f->store, &options, &result, &f->err));
	assert_int_equal(result.blobs, 0);
	put_chain(f, 9, digest);
	assert_ok(f, image_put(f->store, "deep:1", INDEX_TYPE, digest, 1, &f->err));
	assert_fails(f, ERR_INPUT, "nested deeper", gc_run(f->store, &options, &result, &f->err));
	gc_result_release(&result);
}

static void steps_keep_their_snapshots_unless_all_goes(void **state)
{
	struct fixture *f = *state;
	int64_t kept = make_snapshot(f, "kept", "i"), loose = make_snapshot(f, "loose", "i");
	struct layer_form a = make_layer(f, "a"), b = make_layer(f, "b");
	struct gc_result result;
	struct snapshot row;
	char name[PATH_MAX], *value = NULL;

	assert_ok(f, snapshot_add_layer(f->store, kept, &a, &f->err));
	assert_ok(f, snapshot_add_layer(f->store, loose, &b, &f->err));
	assert_ok(f, stepcache_put(f->store, key_a, NULL, kept, "RUN", &f->err));
	assert_ok(f, memo_put(f->store, "m", "v", &f->err));
	result = prune(f, false);
	assert_int_equal(result.snapshots, 1);
	assert_int_equal(result.blobs, 1);
	assert_int_equal(result.bytes, strlen("loose") + b.size);
	assert_int_equal(result.folders_for_worker.len, 0);
	gc_result_release(&result);
	assert_true(snapshot_has_folder(f->store, kept, "single"));
	assert_true(blob_has(f->store, a.digest, NULL));
	assert_fails(f, ERR_NOT_FOUND, "no snapshot", snapshot_get(f->store, loose, &row, &f->err));
	snprintf(name, sizeof(name), "snapshots/%d", (int)loose);
	assert_false(exists(f, name));
	assert_int_equal(memo_get(f->store, "m", &value, &f->err), 1);
	free(value);
	result = prune(f, true);
	assert_int_equal(result.snapshots, 1);
	assert_int_equal(result.blobs, 1);
	gc_result_release(&result);
	assert_int_equal(stepcache_get(f->store, key_a, &kept, &f->err), 0);
	assert_int_equal(memo_get(f->store, "m", &value, &f->err), 0);
}

static void image_layers_keep_their_snapshots(void **state)
{
	struct fixture *f = *state;
	char m[3][DIGEST_STR_SIZE];
	struct layer_form other = make_layer(f, "the same layer compressed again");
	struct gc_result result;
	struct snapshot row;
	int64_t id;

	put_manifest(f, "base", m);
	assert_ok(f, image_put(f->store, "base:1", MANIFEST_TYPE, m[0], 1, &f->err));
	assert_ok(f, snapshot_of_layer(f->store, ABSENT, m[2],
			     "application/vnd.oci.image.layer.v1.tar", 10, &id, &f->err));
	assert_ok(f, snapshot_add_layer(f->store, id, &other, &f->err));
	result = prune(f, false);
	assert_int_equal(result.snapshots + result.blobs, 0);
	assert_ok(f, snapshot_get(f->store, id, &row, &f->err));
	result = prune(f, true);
	assert_int_equal(result.snapshots, 1);
	assert_int_equal(result.blobs, 1);
	assert_true(blob_has(f->store, m[2], NULL));
	assert_false(blob_has(f->store, other.digest, NULL));
}

static void entries_go_by_age(void **state)
{
	struct fixture *f = *state;
	const struct gc_options options = {.unused_for = 3600};
	struct gc_result result = GC_RESULT_INIT;
	int64_t old = make_snapshot(f, "old", NULL), young = make_snapshot(f, "young", NULL), id;

	assert_ok(f, stepcache_put(f->store, key_a, NULL, old, "RUN", &f->err));
	sql(f, "UPDATE stepcache SET used = used - 4000");
	assert_ok(f, stepcache_put(f->store, key_b, NULL, young, "RUN", &f->err));
	assert_ok(f, store_lock_exclusive(f->store, &f->err));
	assert_ok(f, gc_run(f->store, &options, &result, &f->err));
	assert_int_equal(result.snapshots, 1);
	assert_int_equal(stepcache_get(f->store, key_a, &id, &f->err), 0);
	assert_int_equal(stepcache_get(f->store, key_b, &id, &f->err), 1);
}

static void dry_run_counts_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	const struct gc_options options = {.all = true, .dry_run = true};
	struct gc_result dry = GC_RESULT_INIT, wet;
	int64_t id = make_snapshot(f, "x", NULL);
	char digest[DIGEST_STR_SIZE];

	put(f, "loose", digest);
	assert_ok(f, stepcache_put(f->store, key_a, NULL, id, "RUN", &f->err));
	assert_ok(f, store_lock_exclusive(f->store, &f->err));
	assert_ok(f, gc_run(f->store, &options, &dry, &f->err));
	store_unlock_exclusive(f->store);
	assert_true(blob_has(f->store, digest, NULL));
	assert_int_equal(stepcache_get(f->store, key_a, &id, &f->err), 1);
	wet = prune(f, true);
	assert_int_equal(dry.blobs, wet.blobs);
	assert_int_equal(dry.snapshots, wet.snapshots);
	assert_int_equal(dry.bytes, wet.bytes);
	assert_int_equal(wet.blobs, 1);
	assert_int_equal(wet.snapshots, 1);
}

static void orphans_and_leftovers_are_swept_and_strangers_stay(void **state)
{
	struct fixture *f = *state;
	int root = store_dirfd(f->store);
	struct gc_result result;
	char *partial = NULL, name[PATH_MAX];
	uint64_t have;
	int64_t id = make_snapshot(f, "x", NULL);
	int fd;
	pid_t pid;

	assert_ok(f, stepcache_put(f->store, key_a, NULL, id, "RUN", &f->err));
	fd = blob_partial_open(f->store, ABSENT, &have, &partial, &f->err);
	assert_int_equal(write_all(fd, "12345", 5), 0);
	close(fd);
	assert_int_equal(mkdir_p(root, "snapshots/777/folder.single/fs", 0700), 0);
	snprintf(name, sizeof(name), "snapshots/%d/folder.s9/fs", (int)id);
	assert_int_equal(mkdir_p(root, name, 0700), 0);
	assert_int_equal(mkdir_p(root, "snapshots/lost+found", 0700), 0);
	put_file(f, "blobs/sha256/README", "mine");
	pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		struct store *store = store_open(f->root, &err);
		char *tmp;

		if (!store || store_tmp_new(store, &tmp, &err) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(wait_child(pid), 128 + SIGKILL);
	result = prune(f, false);
	assert_int_equal(result.blobs, 1);
	assert_int_equal(result.bytes, 5);
	assert_false(exists(f, partial));
	assert_false(exists(f, "snapshots/777"));
	assert_false(exists(f, name));
	assert_true(snapshot_has_folder(f->store, id, "single"));
	assert_true(exists(f, "snapshots/lost+found"));
	assert_true(exists(f, "blobs/sha256/README"));
	store_close(f->store);
	f->store = NULL;
	/* tmp/ is empty once the last process has gone: rmdir of it succeeds. */
	snprintf(name, sizeof(name), "%s/tmp", f->root);
	assert_int_equal(rmdir(name), 0);
	free(partial);
}

/* As an ordinary user whose snapshot holds a folder of another id. */
static int foreign_child(const char *dir, int up, int down)
{
	const struct gc_options options = {.all = true};
	struct gc_result result = GC_RESULT_INIT;
	char *root = xasprintf("%s/user/store", dir), c;
	struct fixture f = {.root = root};
	int64_t id;

	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	f.store = store_open(root, &f.err);
	if (!f.store)
		return 2;
	id = make_snapshot(&f, "x", NULL);
	if (write(up, &id, sizeof(id)) < 0 || read(down, &c, 1) != 1)
		return 3;
	if (store_lock_exclusive(f.store, &f.err) < 0)
		return 4;
	if (gc_run(f.store, &options, &result, &f.err) < 0)
		return 5;
	if (result.snapshots != 1 || result.folders_for_worker.len != 1)
		return 6;
	/* Out of sight already, and still there for the worker. */
	if (!exists(&f, result.folders_for_worker.v[0]) ||
		snapshot_has_folder(f.store, id, "single"))
		return 7;
	if (strncmp(result.folders_for_worker.v[0], "tmp/", 4) != 0)
		return 8;
	store_close(f.store);
	return 0;
}

static void folders_of_other_ids_are_left_to_a_worker(void **state)
{
	struct fixture *f = *state;
	char *path, *user = xasprintf("%s/user", f->dir);
	int up[2], down[2];
	int64_t id;
	pid_t pid;

	if (geteuid() != 0) {
		free(user);
		skip();
	}
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(mkdir(user, 0700), 0);
	assert_int_equal(chown(user, 65534, 65534), 0);
	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	assert_int_equal(pipe2(down, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		_exit(foreign_child(f->dir, up[1], down[0]));
	close(up[1]);
	assert_int_equal(read(up[0], &id, sizeof(id)), sizeof(id));
	path = xasprintf("%s/store/snapshots/%d/folder.single/fs/other", user, (int)id);
	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
	path = xasprintf("%s/store/snapshots/%d/folder.single/fs/other/file", user, (int)id);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	free(path);
	assert_int_equal(write(down[1], "x", 1), 1);
	assert_int_equal(wait_child(pid), 0);
	close(up[0]);
	close(down[0]);
	close(down[1]);
	free(user);
}

/* A cache mount with one file of n bytes in it; its name. */
static void put_cache(struct fixture *f, const char *id, const char *content, char name[CACHEDIR_NAME_SIZE])
{
	auto_free char *file = NULL;
	auto_fd int lock = -1;

	cachedir_name(id, strlen(id), 0, name);
	lock = cachedir_open(f->store, name, id, &f->err);
	if (lock < 0)
		fail_msg("%s", f->err.msg);
	file = xasprintf("%s/fs/a", name);
	assert_int_equal(mkdir_p(store_dirfd(f->store), file, 0755), 0);
	free(file);
	file = xasprintf("%s/fs/a/file", name);
	assert_ok(f, write_file_atomic(store_dirfd(f->store), file, content, strlen(content), 0600, &f->err));
}

static void caches_go_with_all_or_by_age(void **state)
{
	struct fixture *f = *state;
	const struct gc_options dry = { .all = true, .dry_run = true }, old = { .unused_for = 3600 };
	const struct timespec long_ago[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	char a[CACHEDIR_NAME_SIZE], b[CACHEDIR_NAME_SIZE];
	auto_free char *lock = NULL;
	struct gc_result result = prune(f, true); /* no cache was ever made */

	assert_int_equal(result.caches, 0);
	put_cache(f, "../../../etc", "12345", a);
	put_cache(f, "other", "1234567", b);
	assert_int_equal(strlen(a), strlen("caches/") + DIGEST_HEX);
	assert_true(cachedir_is_made(f->store, a));
	result = prune(f, false);
	assert_int_equal(result.caches, 0);
	assert_true(cachedir_is_made(f->store, a));

	assert_ok(f, store_lock_exclusive(f->store, &f->err));
	assert_ok(f, gc_run(f->store, &dry, &result, &f->err));
	assert_int_equal(result.caches, 2);
	assert_true(cachedir_is_made(f->store, b));
	result = (struct gc_result)GC_RESULT_INIT;
	lock = xasprintf("%s/lock", a);
	assert_int_equal(utimensat(store_dirfd(f->store), lock, long_ago, 0), 0);
	assert_ok(f, gc_run(f->store, &old, &result, &f->err));
	store_unlock_exclusive(f->store);
	assert_int_equal(result.caches, 1);
	assert_false(cachedir_is_made(f->store, a));
	assert_true(cachedir_is_made(f->store, b));

	result = prune(f, true);
	assert_int_equal(result.caches, 1);
	assert_true(result.bytes >= 7);
	assert_false(cachedir_is_made(f->store, b));
}

static void locks_of_caches(void **state)
{
	struct fixture *f = *state;
	char name[CACHEDIR_NAME_SIZE], second[CACHEDIR_NAME_SIZE];
	auto_fd int a = -1;
	auto_fd int b = -1;
	auto_fd int c = -1;

	cachedir_name("x", 1, 0, name);
	cachedir_name("x", 1, 1, second);
	assert_string_not_equal(name, second);
	a = cachedir_open(f->store, name, "x", &f->err);
	b = cachedir_open(f->store, name, "x", &f->err);
	c = cachedir_open(f->store, name, "x", &f->err);
	assert_int_equal(cachedir_try_lock(a, false, &f->err), 1);
	assert_int_equal(cachedir_try_lock(b, false, &f->err), 1);
	assert_int_equal(cachedir_try_lock(c, true, &f->err), 0);
	a = close_fd(a);
	b = close_fd(b);
	assert_int_equal(cachedir_try_lock(c, true, &f->err), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(images_keep_all_that_they_name),
		store_test(doubt_removes_nothing),
		store_test(nesting_is_bounded),
		store_test(steps_keep_their_snapshots_unless_all_goes),
		store_test(image_layers_keep_their_snapshots),
		store_test(entries_go_by_age),
		store_test(dry_run_counts_and_changes_nothing),
		store_test(orphans_and_leftovers_are_swept_and_strangers_stay),
		store_test(folders_of_other_ids_are_left_to_a_worker),
		store_test(caches_go_with_all_or_by_age),
		store_test(locks_of_caches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
