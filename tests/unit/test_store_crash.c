/*
 * The store under SIGKILL at random moments, under several processes and under several threads:
 * what is visible is whole, what is not is listed as a leftover.
 */
#include "unit/store_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "base/strv.h"
#include "store/filehash.h"
#include "store/gc.h"
#include "store/image.h"
#include "store/stepcache.h"

#define ROUNDS 40 /* children that are killed */
#define KILL_WITHIN 3 /* times as long as work_once() takes here: under sanitizers, on slow disks */
#define THREADS 4
#define PER_THREAD 40

/* Commit one blob, one snapshot with both parts and a layer form, and its step cache entry. n tells
 * them apart. */
static int work_once(struct store *store, unsigned int n, struct err *err)
{
	char text[64], path[PATH_MAX], digest[DIGEST_STR_SIZE];
	struct layer_form layer = {
		.media_type = "a/b", .compression = "none", .epoch = LAYER_EPOCH_NONE};
	struct snapshot_tmp tmp;
	uint8_t key[32];
	int64_t id;
	int fd, len = snprintf(text, sizeof(text), "content %u", n);

	sha256_buf(text, (size_t)len, key);
	if (blob_put(store, text, (size_t)len, digest, err) < 0 ||
		snapshot_new(store, &tmp, "single", err) < 0)
		return -1;
	memcpy(layer.digest, digest, sizeof(digest));
	memcpy(layer.diff_id, digest, sizeof(digest));
	layer.size = (uint64_t)len;
	tmp.layer = &layer;
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", tmp.name, i ? "index" : "fs/file");
		fd = openat(store_dirfd(store), path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0 || write_all(fd, text, (size_t)len) < 0)
			return err_sys(err, "cannot write '%s'", path);
		close(fd);
	}
	if (snapshot_commit(store, &tmp, SNAPSHOT_FOLDER | SNAPSHOT_INDEX, &id, err) < 0 ||
		stepcache_put(store, key, NULL, id, text, err) < 0)
		return -1;
	return image_put(store, text + 8, "a/b", digest, (uint64_t)len, err);
}

/* Every snapshot that has a row has its folder, its index and its blob, and they agree. */
static int check_whole(struct fixture *f)
{
	DIR *dir = fdopendir(
		openat(store_dirfd(f->store), "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *entry;
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		struct strbuf file = STRBUF_INIT, index = STRBUF_INIT, blob = STRBUF_INIT;
		char name[SNAPSHOT_FOLDER_SIZE + 8];
		struct layer_form layer;
		struct snapshot row;
		uint64_t id;
		int fd;

		if (parse_u64(entry->d_name, 1, INT64_MAX, &id) < 0 ||
			snapshot_get(f->store, (int64_t)id, &row, &f->err) < 0)
			continue;
		assert_true(row.has_index);
		assert_true(snapshot_has_folder(f->store, row.id, "single"));
		assert_true(snapshot_any_layer(f->store, row.id, &layer));
		assert_ok(f, blob_read(f->store, layer.digest, 100, &blob, &f->err));
		snapshot_folder_name(row.id, "single", name);
		snprintf(name + strlen(name), 8, "/file");
		assert_ok(f, read_file(store_dirfd(f->store), name, 100, &file, &f->err));
		fd = snapshot_open_index(f->store, row.id, &f->err);
		assert_true(fd >= 0);
		assert_int_equal(read_all(fd, &index, 100), 0);
		close(fd);
		assert_string_equal(file.buf, blob.buf);
		assert_string_equal(index.buf, blob.buf);
		strbuf_release(&file);
		strbuf_release(&index);
		strbuf_release(&blob);
		n++;
	}
	closedir(dir);
	return n;
}

static int verify_image(const struct image *image, void *arg, struct err *err)
{
	const struct fixture *f = arg;

	return blob_verify(f->store, image->digest, err);
}

/* Work until killed; says on fd that it is about to open the store, or has. Every other one syncs. */
static void work_forever(const char *root, unsigned int round, int fd)
{
	struct err err = ERR_INIT;
	struct store *store = NULL;

	if (round % 4 == 0 && write(fd, "x", 1) != 1)
		_exit(2);
	store = store_open(root, &err);
	if (round % 4 != 0 && write(fd, "x", 1) != 1)
		_exit(2);
	if (store && round % 2 == 0)
		store_set_sync(store, STORE_SYNC_NONE);
	for (unsigned int n = round * 1000; store; n++)
		if (work_once(store, n, &err) < 0)
			break;
	fprintf(stderr, "child: %s\n", err.msg);
	_exit(1);
}

/* How many nanoseconds work_once() takes, by a few of them. */
static uint64_t measure(struct fixture *f)
{
	uint64_t start = clock_mono_ns();

	for (unsigned int n = 0; n < 5; n++)
		assert_ok(f, work_once(f->store, 1000000 + n, &f->err));
	return (clock_mono_ns() - start) / 5;
}

static void killed_at_any_point_the_store_is_whole(void **state)
{
	struct fixture *f = *state;
	struct gc_result result = GC_RESULT_INIT;
	const struct gc_options options = {.all = false};
	unsigned int seed = (unsigned int)time(NULL), leftovers = 0;
	uint64_t within = KILL_WITHIN * measure(f), wait_ns;
	int whole;

	store_close(f->store);
	f->store = NULL;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct strv stale = STRV_INIT;
		struct timespec pause;
		int fds[2];
		char c;
		pid_t pid;

		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		pid = fork();
		if (pid == 0)
			work_forever(f->root, round, fds[1]);
		assert_int_equal(read(fds[0], &c, 1), 1);
		close(fds[0]);
		close(fds[1]);
		wait_ns = (uint64_t)rand_r(&seed) % within;
		pause = (struct timespec){(time_t)(wait_ns / 1000000000), (long)(wait_ns % 1000000000)};
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(wait_child(pid), 128 + SIGKILL);
		fixture_reopen(f);
		assert_ok(f, store_stale(f->store, &stale, &f->err));
		leftovers += (unsigned int)stale.len;
		for (size_t i = 0; i < stale.len; i++)
			assert_ok(f, store_remove_stale(f->store, stale.v[i], &f->err));
		strv_release(&stale);
		check_whole(f);
	}
	assert_true(leftovers > 0);
	assert_ok(f, image_each(f->store, verify_image, f, &f->err));
	/* What the kills left is swept, what was committed is still whole. */
	whole = check_whole(f);
	assert_true(whole > 0);
	assert_ok(f, store_lock_exclusive(f->store, &f->err));
	assert_ok(f, gc_run(f->store, &options, &result, &f->err));
	assert_true(check_whole(f) <= whole);
	assert_ok(f, image_each(f->store, verify_image, f, &f->err));
	gc_result_release(&result);
}

static void processes_share_one_store(void **state)
{
	struct fixture *f = *state;
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct err err = ERR_INIT;
			struct store *store = store_open(f->root, &err);

			/* The same contents in all of them. */
			for (unsigned int n = 0; store && n < PER_THREAD; n++)
				if (work_once(store, n, &err) < 0) {
					fprintf(stderr, "child: %s\n", err.msg);
					_exit(1);
				}
			store_close(store);
			_exit(store ? 0 : 2);
		}
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(wait_child(pids[i]), 0);
	assert_int_equal(check_whole(f), 3 * PER_THREAD);
}

struct worker {
	pthread_t thread;
	struct store *store;
	unsigned int number;
	int64_t shared; /* one snapshot to which all add the same folder */
	struct err err;
	int r;
};

static void *thread_main(void *arg)
{
	struct worker *w = arg;
	struct stat st = {.st_dev = 1, .st_mtim = {1, 0}, .st_ctim = {1, 0}};
	uint8_t digest[32] = {1};

	for (unsigned int n = 0; w->r == 0 && n < PER_THREAD; n++) {
		char fingerprint[8], path[PATH_MAX], *tmp = NULL;

		filehash_begin(w->store);
		st.st_ino = w->number * 1000 + n;
		filehash_put(w->store, &st, digest);
		w->r = work_once(w->store, w->number * 1000 + n, &w->err);
		filehash_get(w->store, &st, digest);
		filehash_end(w->store);
		snprintf(fingerprint, sizeof(fingerprint), "s%u", n);
		if (w->r == 0)
			w->r = store_tmp_new(w->store, &tmp, &w->err);
		if (w->r == 0) {
			snprintf(path, sizeof(path), "%s/fs", tmp);
			w->r = mkdirat(store_dirfd(w->store), path, 0755);
		}
		if (w->r == 0)
			w->r = snapshot_add_folder(w->store, w->shared, fingerprint, tmp, &w->err);
		free(tmp);
	}
	return NULL;
}

static void threads_share_one_store(void **state)
{
	struct fixture *f = *state;
	struct worker workers[THREADS];
	struct layer_form layer = make_layer(f, "shared");
	int64_t shared;

	assert_ok(f, snapshot_of_layer(f->store, layer.diff_id, layer.digest, layer.media_type,
			     layer.size, &shared, &f->err));
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.store = f->store, .number = i, .shared = shared};
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, thread_main, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		if (workers[i].r < 0)
			fail_msg("thread %u: %s", i, workers[i].err.msg);
	}
	for (unsigned int n = 0; n < PER_THREAD; n++) {
		char fingerprint[8];

		snprintf(fingerprint, sizeof(fingerprint), "s%u", n);
		assert_true(snapshot_has_folder(f->store, shared, fingerprint));
	}
	sql(f, "CREATE TEMP TABLE t(x CHECK(x)); INSERT INTO t SELECT count(*) = 160 FROM filehash;"
	       "INSERT INTO t SELECT count(*) = 160 FROM stepcache");
	assert_int_equal(THREADS * PER_THREAD, 160);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(killed_at_any_point_the_store_is_whole),
		store_test(processes_share_one_store),
		store_test(threads_share_one_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
