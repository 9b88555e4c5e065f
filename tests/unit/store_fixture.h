/*
 * What the tests of src/store share: a scratch folder with a store in it, and small file
 * helpers.
 */
#ifndef WHITTLE_TESTS_STORE_FIXTURE_H
#define WHITTLE_TESTS_STORE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "store/blob.h"
#include "store/snapshot.h"
#include "store/store.h"

struct fixture {
	char dir[PATH_MAX]; /* scratch */
	char *root;         /* dir/store */
	struct store *store;
	struct err err;
};

#define assert_ok(f, call)                                                                         \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, (f)->err.msg);                                   \
	} while (0)

/* The call fails with this kind and says text. */
#define assert_fails(f, kind_, text, call)                                                         \
	do {                                                                                       \
		(f)->err = (struct err)ERR_INIT;                                                   \
		assert_int_equal((call), -1);                                                      \
		assert_string_equal(err_kind_name((f)->err.kind), err_kind_name(kind_));           \
		if (!strstr((f)->err.msg, (text)))                                                 \
			fail_msg("'%s' does not say '%s'", (f)->err.msg, (text));                  \
	} while (0)

static inline void fixture_reopen(struct fixture *f)
{
	store_close(f->store);
	f->store = store_open(f->root, &f->err);
	if (!f->store)
		fail_msg("store_open: %s", f->err.msg);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	snprintf(f->dir, sizeof(f->dir), "%s/whittle-store-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(f->dir))
		return -1;
	f->root = xasprintf("%s/store", f->dir);
	f->store = store_open(f->root, &f->err);
	*state = f;
	return f->store ? 0 : -1;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	remove_tree(AT_FDCWD, f->dir);
	free(f->root);
	free(f);
	return 0;
}

#define store_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* Write text to a file below the store. */
static inline void put_file(struct fixture *f, const char *name, const char *text)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
	int fd = openat(store_dirfd(f->store), name, flags, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	close(fd);
}

/* Whether anything has this name below the store. */
static inline int exists(struct fixture *f, const char *name)
{
	struct stat st;

	return fstatat(store_dirfd(f->store), name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline mode_t mode_of(struct fixture *f, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(store_dirfd(f->store), name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

/* Change meta.db behind the store's back. */
static inline void sql(struct fixture *f, const char *text)
{
	char *path = xasprintf("%s/meta.db", f->root), *message = NULL;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", text, message);
	sqlite3_close(db);
	free(path);
}

/* A new snapshot with one file and, if index is not NULL, that tree index. */
static inline int64_t make_snapshot(struct fixture *f, const char *content, const char *index)
{
	const unsigned int parts = SNAPSHOT_FOLDER | (index ? SNAPSHOT_INDEX : 0);
	struct snapshot_tmp tmp;
	char name[PATH_MAX];
	int64_t id = 0;

	assert_ok(f, snapshot_new(f->store, &tmp, "single", &f->err));
	snprintf(name, sizeof(name), "%s/fs/file", tmp.name);
	put_file(f, name, content);
	if (index) {
		snprintf(name, sizeof(name), "%s/index", tmp.name);
		put_file(f, name, index);
	}
	tmp.size = strlen(content);
	assert_ok(f, snapshot_commit(f->store, &tmp, parts, &id, &f->err));
	assert_int_equal(id, tmp.id);
	return id;
}

/* A layer form whose blob holds content. */
static inline struct layer_form make_layer(struct fixture *f, const char *content)
{
	struct layer_form form = {
		.media_type = "application/vnd.oci.image.layer.v1.tar+zstd",
		.compression = "zstd",
		.level = 3,
		.epoch = LAYER_EPOCH_NONE,
	};
	char *plain = xasprintf("plain %s", content);

	assert_ok(f, blob_put(f->store, content, strlen(content), form.digest, &f->err));
	sha256_buf_str(plain, strlen(plain), form.diff_id);
	form.size = strlen(content);
	free(plain);
	return form;
}

/* The exit status of a child that ran to its end; 128 + n when signal n ended it. */
static inline int wait_child(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
