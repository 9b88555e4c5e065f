/* store.c: place, layout, locks, temporary folders, leftovers, and a database that is not what it
 * was. */
#include "unit/store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>

#include "base/strv.h"

static void root_comes_from_the_environment(void **state)
{
	struct err err = ERR_INIT;
	char *root;

	(void)state;
	setenv("HOME", "/home/u", 1);
	setenv("XDG_DATA_HOME", "/data/", 1);
	setenv("WHITTLE_ROOT", "/elsewhere", 1);
	root = store_default_root(&err);
	assert_string_equal(root, "/elsewhere");
	free(root);
	setenv("WHITTLE_ROOT", "", 1);
	root = store_default_root(&err);
	assert_string_equal(root, "/data/whittle");
	free(root);
	setenv("XDG_DATA_HOME", "relative", 1);
	root = store_default_root(&err);
	assert_string_equal(root, "/home/u/.local/share/whittle");
	free(root);
	unsetenv("HOME");
	unsetenv("XDG_DATA_HOME");
	assert_null(store_default_root(&err));
	assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void layout_is_private_whatever_the_umask(void **state)
{
	static const char *const folders[] = {"blobs", "blobs/sha256", "snapshots", "tmp"};
	struct fixture *f = *state;
	mode_t old = umask(0777);
	char *deep = xasprintf("%s/a/b/c", f->dir);
	struct store *first = f->store;

	f->store = store_open(deep, &f->err);
	umask(old);
	assert_non_null(f->store);
	assert_string_equal(store_path(f->store), deep);
	assert_int_equal(mode_of(f, "."), 0700);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(mode_of(f, folders[i]), 0700);
	assert_int_equal(mode_of(f, "meta.db"), 0600);
	store_close(first);
	free(deep);
}

static void relative_root_survives_chdir(void **state)
{
	struct fixture *f = *state;
	struct store *s;
	char cwd[PATH_MAX], *path = NULL;

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(f->dir), 0);
	s = store_open("sub/store", &f->err);
	assert_non_null(s);
	assert_int_equal(chdir("/"), 0);
	path = xasprintf("%s/sub/store", f->dir);
	assert_string_equal(store_path(s), path);
	assert_ok(f, store_sync(s, &f->err));
	store_close(s);
	free(path);
	assert_int_equal(chdir(cwd), 0);
}

static void a_file_in_the_way_is_an_error(void **state)
{
	struct fixture *f = *state;
	char *path = xasprintf("%s/file/store", f->dir);
	char *file = xasprintf("%s/file", f->dir);
	int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_null(store_open(path, &f->err));
	assert_int_equal(f->err.kind, ERR_SYSTEM);
	assert_non_null(strstr(f->err.msg, path));
	free(path);
	free(file);
}

static void newer_schema_is_refused(void **state)
{
	struct fixture *f = *state;

	sql(f, "PRAGMA user_version = 2");
	store_close(f->store);
	f->store = store_open(f->root, &f->err);
	assert_null(f->store);
	assert_int_equal(f->err.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(f->err.msg, "newer whittle"));
}

static void fill_database(struct fixture *f, const char *text, off_t from)
{
	char *path = xasprintf("%s/meta.db", f->root), *log = xasprintf("%s-wal", path);
	int fd;

	sql(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	store_close(f->store);
	f->store = NULL;
	unlink(log);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < 2048; i++)
		assert_int_equal(pwrite(fd, text, 8, from + 8 * i), 8);
	close(fd);
	free(log);
	free(path);
}

static void damaged_database_says_how_to_mend_it(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	make_snapshot(f, "x", NULL);
	fill_database(f, "garbage!", 0);
	assert_null(store_open(f->root, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "rm "));
	assert_non_null(strstr(err.msg, "/meta.db*"));
}

static void damage_behind_the_header_is_found_in_use(void **state)
{
	struct fixture *f = *state;
	struct snapshot_tmp tmp;
	struct snapshot row;

	make_snapshot(f, "x", NULL);
	fill_database(f, "garbage!", 4096);
	/* Either opening or the first use notices; neither may crash or succeed with nonsense. */
	f->store = store_open(f->root, &f->err);
	if (f->store) {
		assert_int_equal(snapshot_get(f->store, 1, &row, &f->err), -1);
		assert_int_equal(snapshot_new(f->store, &tmp, "single", &f->err), -1);
	}
	assert_int_equal(f->err.kind, ERR_CORRUPT);
	assert_non_null(strstr(f->err.msg, "/meta.db*"));
}

static void foreign_database_is_refused(void **state)
{
	struct fixture *f = *state;

	sql(f, "PRAGMA user_version = 0; DROP TABLE memo");
	store_close(f->store);
	f->store = store_open(f->root, &f->err);
	assert_null(f->store);
	assert_int_equal(f->err.kind, ERR_CORRUPT);
}

static void after_the_mend_ids_are_new_and_blobs_are_kept(void **state)
{
	struct fixture *f = *state;
	char digest[DIGEST_STR_SIZE], *path;
	int64_t last = 0;

	for (int i = 0; i < 3; i++)
		last = make_snapshot(f, "x", NULL);
	assert_ok(f, blob_put(f->store, "hello", 5, digest, &f->err));
	store_close(f->store);
	f->store = NULL;
	for (int i = 0; i < 3; i++) {
		path = xasprintf("%s/meta.db%s", f->root, i == 0 ? "" : i == 1 ? "-wal" : "-shm");
		unlink(path);
		free(path);
	}
	fixture_reopen(f);
	assert_true(blob_has(f->store, digest, NULL));
	assert_true(make_snapshot(f, "y", NULL) > last);
}

static void power_cut_forgets_what_was_not_synced(void **state)
{
	struct fixture *f = *state;
	struct layer_form layer = make_layer(f, "blob");
	int64_t synced = make_snapshot(f, "a", "index"), torn, torn_with_layer;
	struct snapshot row;

	assert_ok(f, store_sync(f->store, &f->err));
	torn = make_snapshot(f, "b", "index");
	torn_with_layer = make_snapshot(f, "c", "index");
	assert_ok(f, snapshot_add_layer(f->store, torn_with_layer, &layer, &f->err));
	/* As the rows would look after the machine was started anew, one of them in mid-sync. */
	sql(f, "UPDATE snapshot SET boot = 'another boot' WHERE boot IS NOT NULL;"
	       "UPDATE folder SET boot = 'another boot+0123' WHERE boot IS NOT NULL");
	fixture_reopen(f);
	assert_ok(f, snapshot_get(f->store, synced, &row, &f->err));
	assert_true(row.has_index);
	assert_true(snapshot_has_folder(f->store, synced, "single"));
	assert_fails(f, ERR_NOT_FOUND, "no snapshot", snapshot_get(f->store, torn, &row, &f->err));
	assert_ok(f, snapshot_get(f->store, torn_with_layer, &row, &f->err));
	assert_false(row.has_index);
	assert_false(snapshot_has_folder(f->store, torn_with_layer, "single"));
}

static void same_boot_keeps_what_was_not_synced(void **state)
{
	struct fixture *f = *state;
	int64_t id = make_snapshot(f, "a", "index");

	fixture_reopen(f);
	assert_true(snapshot_has_folder(f->store, id, "single"));
}

static void without_sync_rows_are_trusted(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	store_set_sync(f->store, STORE_SYNC_NONE);
	id = make_snapshot(f, "a", "index");
	store_set_sync(f->store, STORE_SYNC_FULL);
	make_snapshot(f, "b", "index");
	sql(f, "UPDATE snapshot SET boot = 'another boot' WHERE boot IS NOT NULL;"
	       "UPDATE folder SET boot = 'another boot' WHERE boot IS NOT NULL");
	fixture_reopen(f);
	assert_true(snapshot_has_folder(f->store, id, "single"));
	assert_true(snapshot_has_folder(f->store, id + 1, "single"));
}

/* A child that opens the store, says so, and lives until it is told or killed. */
static pid_t start_user(struct fixture *f, int *ret_fd, char **ret_tmp)
{
	int to_parent[2], to_child[2];
	char c = 0, name[64] = "";
	pid_t pid;

	assert_int_equal(pipe2(to_parent, O_CLOEXEC), 0);
	assert_int_equal(pipe2(to_child, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		struct store *store = store_open(f->root, &err);
		char *tmp = NULL;

		close(to_child[1]);
		if (!store || store_tmp_new(store, &tmp, &err) < 0)
			_exit(1);
		snprintf(name, sizeof(name), "%s", tmp);
		if (write(to_parent[1], name, sizeof(name)) != sizeof(name))
			_exit(2);
		if (read(to_child[0], &c, 1) < 0)
			_exit(3);
		store_close(store);
		_exit(0);
	}
	close(to_parent[1]);
	close(to_child[0]);
	assert_int_equal(read_full(to_parent[0], name, sizeof(name)), sizeof(name));
	close(to_parent[0]);
	*ret_fd = to_child[1];
	if (ret_tmp) {
		*strrchr(name, '/') = '\0';
		*ret_tmp = xstrdup(name);
	}
	return pid;
}

static void exclusive_lock_is_refused_while_another_works(void **state)
{
	struct fixture *f = *state;
	int fd, lock;
	pid_t pid = start_user(f, &fd, NULL);
	char *path = xasprintf("%s/lock", f->root);

	assert_fails(f, ERR_DENIED, "another whittle is using the store",
		store_lock_exclusive(f->store, &f->err));
	close(fd);
	assert_int_equal(wait_child(pid), 0);
	/* The failure has left us as one of many: nobody else gets the lock alone. */
	lock = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), -1);
	assert_ok(f, store_lock_exclusive(f->store, &f->err));
	assert_int_equal(flock(lock, LOCK_SH | LOCK_NB), -1);
	store_unlock_exclusive(f->store);
	assert_int_equal(flock(lock, LOCK_SH | LOCK_NB), 0);
	close(lock);
	free(path);
}

static void nothing_happens(int signo)
{
	(void)signo;
}

static void opening_waits_for_a_prune_and_can_be_interrupted(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int status, fds[2];
	char c;

	assert_ok(f, store_lock_exclusive(f->store, &f->err));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct sigaction action = {.sa_handler = nothing_happens};
		struct err err = ERR_INIT;

		sigaction(SIGALRM, &action, NULL);
		ualarm(20000, 20000);
		if (store_open(f->root, &err) || err.kind != ERR_CANCELLED)
			_exit(1);
		ualarm(0, 0);
		if (write(fds[1], "x", 1) != 1)
			_exit(2);
		_exit(store_open(f->root, &err) ? 0 : 3);
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	store_unlock_exclusive(f->store);
	assert_int_equal(wait_child(pid), 0);
	close(fds[0]);
	close(fds[1]);
}

static void temporary_things_are_numbered_private_and_dropped(void **state)
{
	struct fixture *f = *state;
	char *a = NULL, *b = NULL, *c = NULL, name[PATH_MAX];
	int fd;

	assert_ok(f, store_tmp_new(f->store, &a, &f->err));
	assert_ok(f, store_tmp_new(f->store, &b, &f->err));
	fd = store_tmp_file(f->store, &c, &f->err);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_string_not_equal(a, b);
	assert_int_equal(strncmp(a, "tmp/", 4), 0);
	assert_int_equal(mode_of(f, a), 0700);
	assert_int_equal(mode_of(f, c), 0600);
	snprintf(name, sizeof(name), "%s/deep", a);
	assert_int_equal(mkdirat(store_dirfd(f->store), name, 0), 0);
	assert_ok(f, store_tmp_drop(f->store, a, &f->err));
	assert_ok(f, store_tmp_drop(f->store, a, &f->err));
	assert_ok(f, store_tmp_drop(f->store, c, &f->err));
	assert_false(exists(f, a));
	assert_true(exists(f, b));
	snprintf(name, sizeof(name), "%.*s", 20, b);
	fixture_reopen(f);
	assert_false(exists(f, name));
	free(a);
	free(b);
	free(c);
}

static void names_that_leave_the_temporary_folder_are_refused(void **state)
{
	static const char *const tails[] = {"/..", "/../..", "/1/../2", "/1/..", "/1/.", "/", "/1/",
		"/1/a/b", "/x", "/-1", "/1//", ""};
	struct fixture *f = *state;
	char *a = NULL, name[PATH_MAX];

	assert_ok(f, store_tmp_new(f->store, &a, &f->err));
	*strrchr(a, '/') = '\0';
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", a, tails[i]);
		assert_fails(f, ERR_INPUT, "not a temporary name",
			store_tmp_drop(f->store, name, &f->err));
	}
	assert_fails(f, ERR_INPUT, "not a", store_tmp_drop(f->store, "meta.db", &f->err));
	assert_fails(f, ERR_INPUT, "not a", store_tmp_drop(f->store, "/etc", &f->err));
	assert_fails(f, ERR_INPUT, "not the name",
		store_remove_stale(f->store, "tmp/../snapshots", &f->err));
	assert_fails(f, ERR_INPUT, "not the name",
		store_remove_stale(f->store, "tmp/0123456789abcdef/..", &f->err));
	assert_fails(f, ERR_INPUT, "not the name", store_remove_stale(f->store, "blobs", &f->err));
	free(a);
}

static void leftovers_of_a_killed_process_are_found_and_removed(void **state)
{
	struct fixture *f = *state;
	struct strv names = STRV_INIT;
	char *mine = NULL, *theirs = NULL;
	int fd;
	pid_t pid = start_user(f, &fd, &theirs);

	assert_ok(f, store_tmp_new(f->store, &mine, &f->err));
	assert_ok(f, store_stale(f->store, &names, &f->err));
	assert_int_equal(names.len, 0);
	assert_fails(f, ERR_DENIED, "in use", store_remove_stale(f->store, theirs, &f->err));
	kill(pid, SIGKILL);
	assert_int_equal(wait_child(pid), 128 + SIGKILL);
	assert_ok(f, store_stale(f->store, &names, &f->err));
	assert_int_equal(names.len, 1);
	assert_string_equal(names.v[0], theirs);
	assert_ok(f, store_remove_stale(f->store, theirs, &f->err));
	assert_ok(f, store_remove_stale(f->store, theirs, &f->err));
	assert_false(exists(f, theirs));
	assert_true(exists(f, mine));
	strv_release(&names);
	close(fd);
	free(mine);
	free(theirs);
}

/* As an ordinary user with a folder below that belongs to somebody else. */
static int foreign_folder_child(const char *dir, int to_parent, int from_parent)
{
	struct err err = ERR_INIT;
	char *root = xasprintf("%s/user/store", dir), *name = NULL, c;
	struct store *store;

	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	store = store_open(root, &err);
	if (!store || store_tmp_new(store, &name, &err) < 0)
		return 2;
	if (write(to_parent, name, strlen(name) + 1) < 0 || read(from_parent, &c, 1) != 1)
		return 3;
	if (store_tmp_drop(store, name, &err) != -1 || err.kind != ERR_SYSTEM)
		return 4;
	if (err.sys != EACCES && err.sys != EPERM)
		return 5;
	store_close(store);
	return 0;
}

static void files_of_other_ids_are_reported_for_a_worker(void **state)
{
	struct fixture *f = *state;
	char name[64] = "", *path, *user = xasprintf("%s/user", f->dir);
	int up[2], down[2];
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
		_exit(foreign_folder_child(f->dir, up[1], down[0]));
	close(up[1]);
	assert_true(read(up[0], name, sizeof(name) - 1) > 0);
	path = xasprintf("%s/store/%s/other", user, name);
	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
	path = xasprintf("%s/store/%s/other/file", user, name);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	free(path);
	assert_int_equal(write(down[1], "x", 1), 1);
	assert_int_equal(wait_child(pid), 0);
	close(up[0]);
	close(down[0]);
	close(down[1]);
	free(user);
}

static void many_processes_create_one_store(void **state)
{
	struct fixture *f = *state;
	char *fresh = xasprintf("%s/fresh", f->dir);
	pid_t pids[8];

	for (size_t i = 0; i < 8; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct err err = ERR_INIT;
			struct snapshot_tmp tmp;
			struct store *store = store_open(fresh, &err);

			if (!store || snapshot_new(store, &tmp, "single", &err) < 0) {
				fprintf(stderr, "%s\n", err.msg);
				_exit(1);
			}
			store_close(store);
			_exit((int)tmp.id + 10);
		}
	}
	for (size_t i = 0, seen = 0; i < 8; i++) {
		int status = wait_child(pids[i]);

		assert_in_range(status, 11, 18);
		assert_false(seen & (size_t)1 << status);
		seen |= (size_t)1 << status;
	}
	free(fresh);
}

static void closing_nothing_is_fine(void **state)
{
	(void)state;
	store_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_comes_from_the_environment),
		store_test(layout_is_private_whatever_the_umask),
		store_test(relative_root_survives_chdir),
		store_test(a_file_in_the_way_is_an_error),
		store_test(newer_schema_is_refused),
		store_test(damaged_database_says_how_to_mend_it),
		store_test(damage_behind_the_header_is_found_in_use),
		store_test(foreign_database_is_refused),
		store_test(after_the_mend_ids_are_new_and_blobs_are_kept),
		store_test(power_cut_forgets_what_was_not_synced),
		store_test(same_boot_keeps_what_was_not_synced),
		store_test(without_sync_rows_are_trusted),
		store_test(exclusive_lock_is_refused_while_another_works),
		store_test(opening_waits_for_a_prune_and_can_be_interrupted),
		store_test(temporary_things_are_numbered_private_and_dropped),
		store_test(names_that_leave_the_temporary_folder_are_refused),
		store_test(leftovers_of_a_killed_process_are_found_and_removed),
		store_test(files_of_other_ids_are_reported_for_a_worker),
		store_test(many_processes_create_one_store),
		cmocka_unit_test(closing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
