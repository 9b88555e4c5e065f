/* The content digest: what changes it, and what must not; and copying from a stage. */
#include "unit/copy_fixture.h"

static void tree(struct fixture *f)
{
	put_file(f->ctx, "file1", "one");
	put_dir(f->ctx, "d");
	put_file(f->ctx, "d/a", "a");
	put_file(f->ctx, "d/b", "b");
	put_dir(f->ctx, "d/sub");
	assert_int_equal(symlinkat("target", f->ctx, "d/link"), 0);
}

static void digest_of(struct fixture *f, const char *sources, uint8_t ret[DIGEST_SIZE])
{
	copy_what(f, sources, "/x/");
	check(f, copy_digest(f->ctx, &f->spec, NULL, ret, &f->err));
}

/* Whether the digest of sources differs from before, which then becomes it. */
static bool differs(struct fixture *f, const char *sources, uint8_t before[DIGEST_SIZE])
{
	uint8_t now[DIGEST_SIZE];
	bool other;

	digest_of(f, sources, now);
	other = memcmp(now, before, DIGEST_SIZE) != 0;
	memcpy(before, now, DIGEST_SIZE);
	return other;
}

static void times_and_places_do_not_count(void **state)
{
	struct fixture *f = *state;
	uint8_t d[DIGEST_SIZE];

	tree(f);
	digest_of(f, "d file*", d);
	set_mtime(f->ctx, "d/a", 99);
	set_mtime(f->ctx, "d", 98);
	set_mtime(f->ctx, "d/link", 97);
	assert_false(differs(f, "d file*", d));
	put_file(f->ctx, "unrelated", "u");
	assert_false(differs(f, "d file*", d));
	assert_int_equal(renameat(f->ctx, "d", f->ctx, "moved"), 0);
	assert_false(differs(f, "moved file*", d));
	/* other inodes, made in another order */
	assert_int_equal(unlinkat(f->ctx, "moved/a", 0), 0);
	assert_int_equal(unlinkat(f->ctx, "moved/b", 0), 0);
	put_file(f->ctx, "moved/b", "b");
	put_file(f->ctx, "moved/a", "a");
	assert_false(differs(f, "moved file*", d));
	/* a hard link instead of an equal file */
	put_file(f->ctx, "moved/c", "a");
	differs(f, "moved", d);
	assert_int_equal(unlinkat(f->ctx, "moved/c", 0), 0);
	assert_int_equal(linkat(f->ctx, "moved/a", f->ctx, "moved/c", 0), 0);
	assert_false(differs(f, "moved", d));
	copy_what(f, "moved", "/x/");
	run(f);
	assert_memory_equal(f->result.content, d, DIGEST_SIZE);
	if (geteuid() == 0) {
		assert_int_equal(fchownat(f->ctx, "moved/a", 7, 8, 0), 0);
		assert_false(differs(f, "moved", d));
	}
}

static void everything_else_counts(void **state)
{
	struct fixture *f = *state;
	uint8_t d[DIGEST_SIZE];

	tree(f);
	digest_of(f, "d", d);
	put_file(f->ctx, "d/a", "b");
	assert_true(differs(f, "d", d));
	assert_int_equal(fchmodat(f->ctx, "d/a", 0600, 0), 0);
	assert_true(differs(f, "d", d));
	assert_int_equal(fchmodat(f->ctx, "d", 0700, 0), 0);
	assert_true(differs(f, "d", d));
	assert_int_equal(renameat(f->ctx, "d/a", f->ctx, "d/A"), 0);
	assert_true(differs(f, "d", d));
	assert_int_equal(unlinkat(f->ctx, "d/link", 0), 0);
	assert_true(differs(f, "d", d));
	assert_int_equal(symlinkat("other", f->ctx, "d/link"), 0);
	assert_true(differs(f, "d", d));
	put_dir(f->ctx, "d/new");
	assert_true(differs(f, "d", d));
	/* the contents of two files swapped */
	put_file(f->ctx, "d/A", "b1");
	put_file(f->ctx, "d/b", "b2");
	differs(f, "d", d);
	put_file(f->ctx, "d/A", "b2");
	put_file(f->ctx, "d/b", "b1");
	assert_true(differs(f, "d", d));
	if (setxattr("ctx/d/A", "user.x", "1", 1, 0) == 0) {
		assert_true(differs(f, "d", d));
		put_xattr(f->ctx, "d/A", "user.x", "2");
		assert_true(differs(f, "d", d));
	}
}

static void names_of_files_count_in_arguments(void **state)
{
	struct fixture *f = *state;
	uint8_t d[DIGEST_SIZE];

	tree(f);
	digest_of(f, "file*", d); /* fact 257 */
	assert_int_equal(renameat(f->ctx, "file1", f->ctx, "file2"), 0);
	assert_true(differs(f, "file*", d));
	digest_of(f, "file2", d);
	assert_int_equal(renameat(f->ctx, "file2", f->ctx, "file3"), 0);
	assert_true(differs(f, "file3", d));
	/* which of two files comes first decides which one is left */
	put_file(f->ctx, "z", "z");
	digest_of(f, "file3 z", d);
	assert_true(differs(f, "z file3", d));
	/* a link counts as what it points at */
	assert_int_equal(symlinkat("z", f->ctx, "l"), 0);
	put_dir(f->ctx, "e");
	put_file(f->ctx, "e/l", "z");
	digest_of(f, "l", d);
	assert_false(differs(f, "e/l", d));
}

static void ignored_and_excluded_files_do_not_count(void **state)
{
	struct fixture *f = *state;
	uint8_t d[DIGEST_SIZE];

	tree(f);
	set_string(&f->spec.ignore, "d/a\n");
	strv_add(&f->spec.excludes, "b");
	digest_of(f, "d", d);
	put_file(f->ctx, "d/a", "changed");
	put_file(f->ctx, "d/b", "changed");
	assert_false(differs(f, "d", d));
	copy_what(f, "d", "/x/");
	run(f);
	assert_memory_equal(f->result.content, d, DIGEST_SIZE);
	set_string(&f->spec.ignore, NULL);
	assert_true(differs(f, "d", d));
}

struct memory {
	unsigned asked, hit, put;
	ino_t ino;
	uint8_t digest[DIGEST_SIZE];
};

static bool memory_get(void *ctx, const struct stat *st, uint8_t out[DIGEST_SIZE])
{
	struct memory *m = ctx;

	m->asked++;
	if (m->ino == 0 || st->st_ino != m->ino)
		return false;
	m->hit++;
	memcpy(out, m->digest, DIGEST_SIZE);
	return true;
}

static void memory_put(void *ctx, const struct stat *st, const uint8_t digest[DIGEST_SIZE])
{
	struct memory *m = ctx;

	m->put++;
	m->ino = st->st_ino;
	memcpy(m->digest, digest, DIGEST_SIZE);
}

static void remembers_digests_of_files(void **state)
{
	struct fixture *f = *state;
	struct memory m = { .asked = 0 };
	struct copy_file_digests digests = { &m, memory_get, memory_put };
	uint8_t cold[DIGEST_SIZE], warm[DIGEST_SIZE], known[DIGEST_SIZE];

	tree(f);
	setxattr("ctx/file1", "user.x", "1", 1, 0);
	digest_of(f, "file1", known);
	check(f, copy_digest(f->ctx, &f->spec, &digests, cold, &f->err));
	check(f, copy_digest(f->ctx, &f->spec, &digests, warm, &f->err));
	assert_int_equal(m.asked, 2);
	assert_int_equal(m.hit, 1);
	assert_int_equal(m.put, 1);
	assert_memory_equal(known, cold, DIGEST_SIZE);
	assert_memory_equal(known, warm, DIGEST_SIZE);
	/* what is remembered is believed */
	m.digest[0] ^= 1;
	check(f, copy_digest(f->ctx, &f->spec, &digests, warm, &f->err));
	assert_memory_not_equal(known, warm, DIGEST_SIZE);
}

/* Shortens the file between the look at it and the reading. */
static bool shorten(void *ctx, const struct stat *st, uint8_t out[DIGEST_SIZE])
{
	(void)st;
	(void)out;
	assert_int_equal(truncate(ctx, 1), 0);
	return false;
}

static bool touch(void *ctx, const struct stat *st, uint8_t out[DIGEST_SIZE])
{
	struct fixture *f = ctx;

	(void)st;
	(void)out;
	set_mtime(f->ctx, "file1", 4242);
	return false;
}

static void sees_files_that_change_meanwhile(void **state)
{
	struct fixture *f = *state;
	char path[] = "ctx/file1";
	struct copy_file_digests digests = { path, shorten, NULL };
	uint8_t d[DIGEST_SIZE];

	tree(f);
	copy_what(f, "file1", "/x/");
	check_refused(f, copy_digest(f->ctx, &f->spec, &digests, d, &f->err), ERR_CORRUPT,
		"'/file1' changed while it was copied");
	put_file(f->ctx, "file1", "one");
	digests = (struct copy_file_digests){ f, touch, NULL };
	check_refused(f, copy_digest(f->ctx, &f->spec, &digests, d, &f->err), ERR_CORRUPT, "changed");
}

/* A digest of what was read, whatever lies over it in the end. */
static void overwritten_files_count_too(void **state)
{
	struct fixture *f = *state;

	tree(f);
	put_dir(f->ctx, "e");
	put_file(f->ctx, "e/a", "over a");
	copy_what(f, "d e", "/x/");
	run(f); /* compares with copy_digest() */
	copy_what(f, "e/a d", "/x/");
	run(f);
}

/* ---- from a stage ---- */

static void put_stage(struct fixture *f)
{
	int a, b;

	assert_int_equal(mkdir("low", 0755), 0);
	assert_int_equal(mkdir("high", 0755), 0);
	a = open("low", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b = open("high", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_dir(a, "app");
	put_file(a, "app/bin", "binary");
	put_file(a, "app/gone", "gone");
	put_dir(b, "app");
	put_file(b, "app/new", "n");
	put_whiteout(b, "app/gone");
	assert_int_equal(symlinkat("/app", b, "current"), 0);
	if (geteuid() == 0) {
		assert_int_equal(fchownat(a, "app/bin", 100, 200, 0), 0);
		assert_int_equal(fchownat(b, "app", 100, 200, 0), 0);
	}
	close(a);
	close(b);
	f->spec.from_context = false;
}

static void copies_from_one_folder_of_a_stage(void **state)
{
	struct fixture *f = *state;
	struct copy_result digest;

	if (geteuid() != 0)
		skip();
	put_stage(f);
	strv_add(&f->spec.from_folders, "high");
	assert_copied(f, "/current", "/x", "d x 755 0:0\nf x/new 644 0:0 1\n");
	check(f, copy_digest_run(&f->spec, -1, &digest, &f->err));
	assert_memory_equal(digest.content, f->result.content, DIGEST_SIZE);
	assert_copied(f, "/", "/", "d app 755 100:200\nf app/new 644 0:0 1\nl current 777 0:0 -> /app\n");
}

static void copies_from_merged_folders(void **state)
{
	struct fixture *f = *state;
	struct copy_result digest;

	if (geteuid() != 0)
		skip();
	put_stage(f);
	strv_add(&f->spec.from_folders, "high");
	strv_add(&f->spec.from_folders, "low");
	copy_what(f, "/current/*", "/x/");
	if (run_layer(f) < 0 && f->err.kind == ERR_SANDBOX)
		skip(); /* no overlay here */
	assert_copied(f, "/current/*", "/x/", "d x 755 0:0\nf x/bin 644 100:200 6\nf x/new 644 0:0 1\n");
	check(f, copy_digest_run(&f->spec, -1, &digest, &f->err));
	assert_memory_equal(digest.content, f->result.content, DIGEST_SIZE);
	assert_copied(f, "/", "/y",
		"d y 755 0:0\nd y/app 755 100:200\nf y/app/bin 644 100:200 6\nf y/app/new 644 0:0 1\n"
		"l y/current 777 0:0 -> /app\n");
	assert_copy_fails(f, "/app/gone", "/", ERR_NOT_FOUND, "\"/app/gone\": not found");
}

static void takes_recorded_owners(void **state)
{
	struct fixture *f = *state;

	put_stage(f);
	BASE(f, "d app", "f app/new");
	strv_add(&f->spec.from_folders, "high");
	strv_add(&f->spec.from_indexes, "base0.index");
	strv_release(&f->spec.base_folders);
	strv_release(&f->spec.base_blobs);
	strv_release(&f->spec.base_indexes);
	assert_copied(f, "/current", "/x", "d x 755 0:0\nf x/new 644 1:2 1\n");
	assert_copied(f, "/", "/y", "d y 755 0:0\nd y/app 755 1:2\nf y/app/new 644 1:2 1\nl y/current 777 0:0 -> /app\n");
}

static void copies_from_an_empty_stage(void **state)
{
	struct fixture *f = *state;

	f->spec.from_context = false;
	assert_copied(f, "/", "/x", "d x 755 0:0\n");
	assert_copied(f, "*", "/x", "");
	assert_copy_fails(f, "/a", "/x", ERR_NOT_FOUND, "\"/a\": not found");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(times_and_places_do_not_count),
		TEST(everything_else_counts),
		TEST(names_of_files_count_in_arguments),
		TEST(ignored_and_excluded_files_do_not_count),
		TEST(remembers_digests_of_files),
		TEST(overwritten_files_count_too),
		TEST(sees_files_that_change_meanwhile),
		TEST(copies_from_one_folder_of_a_stage),
		TEST(copies_from_merged_folders),
		TEST(takes_recorded_owners),
		TEST(copies_from_an_empty_stage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
