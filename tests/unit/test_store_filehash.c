/* filehash.c: believed only while nothing about the file changed. */
#include "unit/store_fixture.h"

#include <time.h>

#include "store/filehash.h"
#include "store/stepcache.h"

static const uint8_t one[32] = {1}, two[32] = {2};

static struct stat old_file(void)
{
	return (struct stat){
		.st_dev = 5,
		.st_ino = 0xfedcba9876543210,
		.st_size = 100,
		.st_mtim = {1000, 123456789},
		.st_ctim = {1001, 987654321},
	};
}

static void every_property_counts(void **state)
{
	struct fixture *f = *state;
	struct stat st = old_file(), other;
	uint8_t out[32] = {7};

	assert_false(filehash_get(f->store, &st, out));
	filehash_put(f->store, &st, one);
	assert_int_equal(out[0], 7);
	assert_true(filehash_get(f->store, &st, out));
	assert_memory_equal(out, one, 32);
	fixture_reopen(f);
	assert_true(filehash_get(f->store, &st, out));
#define CHANGED(field)                                                                             \
	do {                                                                                       \
		other = st;                                                                        \
		other.field++;                                                                     \
		assert_false(filehash_get(f->store, &other, out));                                 \
	} while (0)
	CHANGED(st_dev);
	CHANGED(st_ino);
	CHANGED(st_size);
	CHANGED(st_mtim.tv_sec);
	CHANGED(st_mtim.tv_nsec);
	CHANGED(st_ctim.tv_sec);
	CHANGED(st_ctim.tv_nsec);
	/* One entry per file: the newer replaces. */
	other = st;
	other.st_size++;
	filehash_put(f->store, &other, two);
	assert_false(filehash_get(f->store, &st, out));
	assert_true(filehash_get(f->store, &other, out));
	assert_memory_equal(out, two, 32);
}

static void young_files_are_not_remembered(void **state)
{
	struct fixture *f = *state;
	struct stat st = old_file();
	struct timespec now;
	uint8_t out[32];

	clock_gettime(CLOCK_REALTIME, &now);
	for (int age = -100; age <= 1; age++) {
		st = old_file();
		st.st_mtim.tv_sec = now.tv_sec - age;
		filehash_put(f->store, &st, one);
		assert_false(filehash_get(f->store, &st, out));
		st = old_file();
		st.st_ctim.tv_sec = now.tv_sec - age;
		filehash_put(f->store, &st, one);
		assert_false(filehash_get(f->store, &st, out));
	}
	st.st_ctim.tv_sec = now.tv_sec - 10;
	filehash_put(f->store, &st, one);
	assert_true(filehash_get(f->store, &st, out));
}

static void batches_nest_and_let_others_write(void **state)
{
	struct fixture *f = *state;
	struct stat st = old_file();
	uint8_t out[32];
	char *value = NULL;

	filehash_end(f->store); /* one too many is harmless */
	filehash_begin(f->store);
	assert_false(filehash_get(f->store, &st, out));
	/* Somebody else writes, so that this read transaction cannot become a write one. */
	sql(f, "INSERT INTO memo VALUES('theirs', 'x')");
	assert_ok(f, memo_put(f->store, "mine", "y", &f->err));
	filehash_begin(f->store);
	for (int i = 0; i < 20000; i++) {
		st.st_ino = (ino_t)i;
		filehash_put(f->store, &st, one);
	}
	filehash_end(f->store);
	assert_int_equal(memo_get(f->store, "theirs", &value, &f->err), 1);
	free(value);
	make_snapshot(f, "x", NULL);
	filehash_end(f->store);
	for (int i = 0; i < 20000; i++) {
		st.st_ino = (ino_t)i;
		assert_true(filehash_get(f->store, &st, out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(every_property_counts),
		store_test(young_files_are_not_remembered),
		store_test(batches_nest_and_let_others_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
