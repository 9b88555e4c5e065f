/* blob.c: whole or not there, named by the right digest or refused. */
#include "unit/store_fixture.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define HELLO                                                                                      \
	"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" /* "hello" */
#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char *const malformed[] = {"", "sha256:", "sha256:../../meta.db", "sha256:abc",
	"../meta.db", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
	"sha256:2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824",
	"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b98240",
	"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b98/4"};

static void put_and_read_back(void **state)
{
	struct fixture *f = *state;
	struct strbuf sb = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE], buf[8];
	uint64_t size = 0;
	int fd;

	assert_ok(f, blob_put(f->store, "hello", 5, digest, &f->err));
	assert_string_equal(digest, HELLO);
	assert_ok(f, blob_put(f->store, "hello", 5, digest, &f->err));
	assert_true(blob_has(f->store, HELLO, &size));
	assert_int_equal(size, 5);
	assert_int_equal(
		mode_of(f, "blobs/sha256/"
			   "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
		0444);
	size = 0;
	fd = blob_open(f->store, HELLO, &size, &f->err);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(size, 5);
	assert_int_equal(read(fd, buf, sizeof(buf)), 5);
	close(fd);
	strbuf_puts(&sb, "<");
	assert_ok(f, blob_read(f->store, HELLO, 5, &sb, &f->err));
	assert_string_equal(sb.buf, "<hello");
	assert_ok(f, blob_verify(f->store, HELLO, &f->err));
	assert_ok(f, blob_put(f->store, "", 0, digest, &f->err));
	assert_string_equal(digest, EMPTY);
	assert_ok(f, blob_read(f->store, EMPTY, 0, &sb, &f->err));
	strbuf_release(&sb);
}

static void absent_blob_is_not_found_and_outputs_stay(void **state)
{
	struct fixture *f = *state;
	struct strbuf sb = STRBUF_INIT;
	uint64_t size = 77;

	assert_fails(f, ERR_NOT_FOUND, HELLO, blob_open(f->store, HELLO, &size, &f->err));
	assert_fails(f, ERR_NOT_FOUND, HELLO, blob_read(f->store, HELLO, 5, &sb, &f->err));
	assert_fails(f, ERR_NOT_FOUND, HELLO, blob_verify(f->store, HELLO, &f->err));
	assert_false(blob_has(f->store, HELLO, &size));
	assert_int_equal(size, 77);
	assert_ok(f, blob_remove(f->store, HELLO, &f->err));
}

static void malformed_digests_never_become_paths(void **state)
{
	struct fixture *f = *state;
	char *name = NULL;
	uint64_t have;
	int fd = blob_create(f->store, &name, &f->err);

	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		const char *d = malformed[i];

		assert_fails(
			f, ERR_INPUT, "malformed digest", blob_open(f->store, d, NULL, &f->err));
		assert_fails(f, ERR_INPUT, "malformed digest", blob_verify(f->store, d, &f->err));
		assert_fails(f, ERR_INPUT, "malformed digest", blob_remove(f->store, d, &f->err));
		assert_fails(f, ERR_INPUT, "malformed digest",
			blob_commit(f->store, fd, name, d, 0, &f->err));
		assert_fails(f, ERR_INPUT, "malformed digest",
			blob_partial_open(f->store, d, &have, &name, &f->err));
		assert_false(blob_has(f->store, d, NULL));
	}
	assert_fails(
		f, ERR_UNSUPPORTED, "only sha256", blob_open(f->store, "sha512:00", NULL, &f->err));
	close(fd);
	free(name);
}

static void commit_moves_the_temporary_file(void **state)
{
	struct fixture *f = *state;
	char *name = NULL;
	int fd = blob_create(f->store, &name, &f->err);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, "hello", 5), 0);
	assert_false(blob_has(f->store, HELLO, NULL));
	assert_ok(f, blob_commit(f->store, fd, name, HELLO, 5, &f->err));
	assert_false(exists(f, name));
	assert_ok(f, blob_verify(f->store, HELLO, &f->err));
	close(fd);
	free(name);
}

static void commit_of_a_wrong_size_is_refused(void **state)
{
	struct fixture *f = *state;
	char *name = NULL;
	int fd = blob_create(f->store, &name, &f->err);

	assert_int_equal(write_all(fd, "hell", 4), 0);
	assert_fails(f, ERR_CORRUPT, "has 4 bytes instead of 5",
		blob_commit(f->store, fd, name, HELLO, 5, &f->err));
	assert_false(blob_has(f->store, HELLO, NULL));
	assert_true(exists(f, name));
	blob_abort(f->store, name);
	blob_abort(f->store, name);
	blob_abort(f->store, NULL);
	assert_false(exists(f, name));
	close(fd);
	free(name);
}

static void commit_takes_no_other_names(void **state)
{
	struct fixture *f = *state;
	char *name = NULL, *other;
	int fd = blob_create(f->store, &name, &f->err);

	assert_fails(f, ERR_INPUT, "not a temporary blob",
		blob_commit(f->store, fd, "meta.db", EMPTY, 0, &f->err));
	other = xasprintf("%s/../../../meta.db", name);
	assert_fails(f, ERR_INPUT, "not a temporary blob",
		blob_commit(f->store, fd, other, EMPTY, 0, &f->err));
	blob_abort(f->store, "meta.db");
	blob_abort(f->store, other);
	assert_true(exists(f, "meta.db"));
	free(other);
	close(fd);
	free(name);
}

static void existing_blob_of_another_size_is_replaced(void **state)
{
	struct fixture *f = *state;
	char digest[DIGEST_STR_SIZE];

	put_file(f, "blobs/sha256/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"");
	assert_ok(f, blob_put(f->store, "hello", 5, digest, &f->err));
	assert_ok(f, blob_verify(f->store, HELLO, &f->err));
}

static void wrong_bytes_are_corrupt(void **state)
{
	struct fixture *f = *state;
	struct strbuf sb = STRBUF_INIT;

	put_file(f, "blobs/sha256/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"hellO");
	assert_fails(f, ERR_CORRUPT, "damaged", blob_verify(f->store, HELLO, &f->err));
	assert_non_null(strstr(f->err.msg, "remove"));
	assert_fails(f, ERR_CORRUPT, "damaged", blob_read(f->store, HELLO, 100, &sb, &f->err));
	assert_int_equal(sb.len, 0);
	assert_ok(f, blob_remove(f->store, HELLO, &f->err));
	assert_false(blob_has(f->store, HELLO, NULL));
}

static void reading_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct strbuf sb = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];

	assert_ok(f, blob_put(f->store, "hello", 5, digest, &f->err));
	assert_fails(f, ERR_INPUT, "the limit is 4", blob_read(f->store, HELLO, 4, &sb, &f->err));
	assert_int_equal(sb.len, 0);
}

static void only_regular_files_are_blobs(void **state)
{
	const char *name =
		"blobs/sha256/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
	struct fixture *f = *state;
	int root = store_dirfd(f->store);

	assert_int_equal(symlinkat("/etc/passwd", root, name), 0);
	assert_fails(
		f, ERR_CORRUPT, "not a regular file", blob_open(f->store, HELLO, NULL, &f->err));
	assert_false(blob_has(f->store, HELLO, NULL));
	assert_int_equal(unlinkat(root, name, 0), 0);
	assert_int_equal(mkfifoat(root, name, 0600), 0);
	assert_fails(
		f, ERR_CORRUPT, "not a regular file", blob_open(f->store, HELLO, NULL, &f->err));
	assert_int_equal(unlinkat(root, name, 0), 0);
	assert_int_equal(mkdirat(root, name, 0700), 0);
	assert_fails(
		f, ERR_CORRUPT, "not a regular file", blob_open(f->store, HELLO, NULL, &f->err));
}

static void downloads_resume_across_processes(void **state)
{
	struct fixture *f = *state;
	char *name = NULL, *other = NULL, buf[8];
	uint64_t have = 99;
	int fd, fd2;

	fd = blob_partial_open(f->store, HELLO, &have, &name, &f->err);
	assert_true(fd >= 0);
	assert_int_equal(have, 0);
	assert_int_equal(write_all(fd, "hel", 3), 0);
	close(fd);
	free(name);
	fixture_reopen(f);
	fd = blob_partial_open(f->store, HELLO, &have, &name, &f->err);
	assert_true(fd >= 0);
	assert_int_equal(have, 3);
	/* Somebody else, meanwhile, begins anew in a file of its own. */
	fd2 = blob_partial_open(f->store, HELLO, &have, &other, &f->err);
	assert_true(fd2 >= 0);
	assert_int_equal(have, 0);
	assert_string_not_equal(name, other);
	assert_int_equal(write_all(fd, "lo", 2), 0);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), 5);
	assert_ok(f, blob_commit(f->store, fd, name, HELLO, 5, &f->err));
	assert_ok(f, blob_verify(f->store, HELLO, &f->err));
	assert_int_equal(write_all(fd2, "hello", 5), 0);
	assert_ok(f, blob_commit(f->store, fd2, other, HELLO, 5, &f->err));
	close(fd);
	close(fd2);
	free(name);
	free(other);
	fd = blob_partial_open(f->store, HELLO, &have, &name, &f->err);
	assert_int_equal(have, 0);
	blob_abort(f->store, name);
	assert_false(exists(f, name));
	close(fd);
	free(name);
}

/* Fill a blob until the disk says no, then expect a store that works on. Returns an exit status. */
static int fill_until_full(struct fixture *f, size_t limit)
{
	static char block[65536];
	char *name = NULL, digest[DIGEST_STR_SIZE];
	int fd = blob_create(f->store, &name, &f->err);
	size_t written = 0;

	if (fd < 0)
		return 1;
	while (written <= limit && write_all(fd, block, sizeof(block)) == 0)
		written += sizeof(block);
	if (written > limit)
		return 2;
	blob_abort(f->store, name);
	close(fd);
	memset(block, 'x', sizeof(block));
	if (blob_put(f->store, block, 1000, digest, &f->err) < 0)
		return 3;
	return blob_verify(f->store, digest, &f->err) < 0 ? 4 : 0;
}

static void a_file_size_limit_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit limit = {256 * 1024, 256 * 1024};
		static char big[512 * 1024];
		char digest[DIGEST_STR_SIZE] = "untouched";
		struct err err = ERR_INIT;

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		if (blob_put(f->store, big, sizeof(big), digest, &err) != -1 ||
			err.kind != ERR_SYSTEM)
			_exit(10);
		if (strcmp(digest, "untouched") != 0)
			_exit(11);
		_exit(fill_until_full(f, 1024 * 1024));
	}
	assert_int_equal(wait_child(pid), 0);
}

static int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : write_all(fd, text, strlen(text));

	close_fd(fd);
	return rc;
}

/* As root of one id: a file system mounted there takes no files of an id without a map. */
static int enter_user_namespace(void)
{
	char *uids = xasprintf("0 %u 1", (unsigned)geteuid()), *gids = xasprintf("0 %u 1", (unsigned)getegid());
	int rc = unshare(CLONE_NEWUSER | CLONE_NEWNS);

	if (rc == 0)
		rc = put_text("/proc/self/setgroups", "deny");
	if (rc == 0)
		rc = put_text("/proc/self/uid_map", uids);
	if (rc == 0)
		rc = put_text("/proc/self/gid_map", gids);
	free(uids);
	free(gids);
	return rc;
}

static void a_full_disk_is_its_own_kind_and_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		static char big[4 * 1024 * 1024];
		char digest[DIGEST_STR_SIZE], *root = xasprintf("%s/small", f->dir);
		struct snapshot_tmp tmp;
		struct err err = ERR_INIT;
		int r;

		/* In namespaces of its own: mounts nothing for anybody else. */
		if ((unshare(CLONE_NEWNS) < 0 && enter_user_namespace() < 0) ||
			mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mkdir(root, 0700) < 0 || mount("tmpfs", root, "tmpfs", 0, "size=1m") < 0)
			_exit(77);
		f->store = store_open(root, &err);
		if (!f->store)
			_exit(20);
		if (blob_put(f->store, big, sizeof(big), digest, &err) != -1 ||
			err.kind != ERR_DISK)
			_exit(21);
		r = fill_until_full(f, sizeof(big));
		if (r)
			_exit(r);
		/* Now fill it to the brim and let the database meet it. */
		r = openat(store_dirfd(f->store), "filler", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		while (write(r, big, 4096) > 0)
			continue;
		close(r);
		for (r = 0; r == 0;)
			r = snapshot_new(f->store, &tmp, "single", &err);
		if (err.kind != ERR_DISK)
			_exit(22);
		unlinkat(store_dirfd(f->store), "filler", 0);
		if (snapshot_new(f->store, &tmp, "single", &err) < 0)
			_exit(23);
		store_close(f->store);
		_exit(0);
	}
	status = wait_child(pid);
	switch (status) {
	case 77:
		skip();
		break;
	case 0:
		break;
	default:
		fail_msg("a check failed, see status %d", status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(put_and_read_back),
		store_test(absent_blob_is_not_found_and_outputs_stay),
		store_test(malformed_digests_never_become_paths),
		store_test(commit_moves_the_temporary_file),
		store_test(commit_of_a_wrong_size_is_refused),
		store_test(commit_takes_no_other_names),
		store_test(existing_blob_of_another_size_is_replaced),
		store_test(wrong_bytes_are_corrupt),
		store_test(reading_is_bounded),
		store_test(only_regular_files_are_blobs),
		store_test(downloads_resume_across_processes),
		store_test(a_file_size_limit_leaves_nothing_behind),
		store_test(a_full_disk_is_its_own_kind_and_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
