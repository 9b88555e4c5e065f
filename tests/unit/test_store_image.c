/* image.c: names to descriptors, and what a person may type for one. */
#include "unit/store_fixture.h"

#include "store/image.h"

#define TYPE "application/vnd.oci.image.manifest.v1+json"
#define A "sha256:abcdef1111111111111111111111111111111111111111111111111111111111"
#define B "sha256:abcdef2222222222222222222222222222222222222222222222222222222222"

static void put_get_replace_remove(void **state)
{
	struct fixture *f = *state;
	struct image image = {.size = 7};

	assert_fails(
		f, ERR_NOT_FOUND, "no image 'x:1'", image_get(f->store, "x:1", &image, &f->err));
	assert_int_equal(image.size, 7);
	assert_ok(f, image_put(f->store, "x:1", TYPE, A, 100, &f->err));
	assert_ok(f, image_get(f->store, "x:1", &image, &f->err));
	assert_string_equal(image.name, "x:1");
	assert_string_equal(image.media_type, TYPE);
	assert_string_equal(image.digest, A);
	assert_int_equal(image.size, 100);
	assert_true(image.updated > 1600000000);
	/* The same again is not an update. */
	sql(f, "UPDATE image SET updated = 5");
	assert_ok(f, image_put(f->store, "x:1", TYPE, A, 100, &f->err));
	assert_ok(f, image_get(f->store, "x:1", &image, &f->err));
	assert_int_equal(image.updated, 5);
	assert_ok(f, image_put(f->store, "x:1", TYPE, B, 200, &f->err));
	fixture_reopen(f);
	assert_ok(f, image_get(f->store, "x:1", &image, &f->err));
	assert_string_equal(image.digest, B);
	assert_true(image.updated > 5);
	assert_ok(f, image_remove(f->store, "x:1", &f->err));
	assert_fails(f, ERR_NOT_FOUND, "no image 'x:1'", image_remove(f->store, "x:1", &f->err));
}

static void malformed_descriptors_are_refused(void **state)
{
	struct fixture *f = *state;
	char long_name[IMAGE_NAME_MAX + 2];

	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_fails(f, ERR_INPUT, "1 to 511 bytes",
		image_put(f->store, long_name, TYPE, A, 1, &f->err));
	assert_ok(f, image_put(f->store, long_name + 1, TYPE, A, 1, &f->err));
	assert_fails(f, ERR_INPUT, "1 to 511 bytes", image_put(f->store, "", TYPE, A, 1, &f->err));
	assert_fails(f, ERR_INPUT, "character", image_put(f->store, "a b", TYPE, A, 1, &f->err));
	assert_fails(
		f, ERR_INPUT, "character", image_put(f->store, "a\x1b[2J", TYPE, A, 1, &f->err));
	assert_fails(f, ERR_INPUT, "malformed digest",
		image_put(f->store, "a", TYPE, "sha256:..", 1, &f->err));
	assert_fails(f, ERR_INPUT, "malformed desc", image_put(f->store, "a", "", A, 1, &f->err));
	assert_fails(f, ERR_INPUT, "malformed desc",
		image_put(f->store, "a", TYPE, A, UINT64_MAX, &f->err));
}

static void lookup_takes_names_before_ids(void **state)
{
	struct fixture *f = *state;
	struct image image;

	assert_ok(f, image_put(f->store, "z:1", TYPE, A, 1, &f->err));
	assert_ok(f, image_put(f->store, "b:1", TYPE, A, 1, &f->err));
	assert_ok(f, image_put(f->store, "c:1", TYPE, B, 1, &f->err));
	assert_ok(f, image_lookup(f->store, "z:1", &image, &f->err));
	assert_string_equal(image.name, "z:1");
	assert_ok(f, image_lookup(f->store, "abcdef1", &image, &f->err));
	assert_string_equal(image.name, "b:1");
	assert_ok(f, image_lookup(f->store, "sha256:abcdef2", &image, &f->err));
	assert_string_equal(image.name, "c:1");
	assert_ok(f, image_lookup(f->store, B, &image, &f->err));
	assert_string_equal(image.name, "c:1");
	assert_fails(f, ERR_INPUT, "several image ids",
		image_lookup(f->store, "abcdef", &image, &f->err));
	assert_string_equal(image.name, "c:1");
	assert_fails(
		f, ERR_NOT_FOUND, "no image", image_lookup(f->store, "abcde", &image, &f->err));
	assert_fails(
		f, ERR_NOT_FOUND, "no image", image_lookup(f->store, "abcdef3", &image, &f->err));
	assert_fails(
		f, ERR_NOT_FOUND, "no image", image_lookup(f->store, "ABCDEF1", &image, &f->err));
	assert_fails(f, ERR_NOT_FOUND, "no image", image_lookup(f->store, B "0", &image, &f->err));
	assert_fails(f, ERR_NOT_FOUND, "no image", image_lookup(f->store, "%", &image, &f->err));
	assert_ok(f, image_put(f->store, "abcdef", TYPE, B, 1, &f->err));
	assert_ok(f, image_lookup(f->store, "abcdef", &image, &f->err));
	assert_string_equal(image.name, "abcdef");
}

static int remove_each(const struct image *image, void *arg, struct err *err)
{
	const struct fixture *f = arg;

	return image_remove(f->store, image->name, err);
}

static int stop_at_second(const struct image *image, void *arg, struct err *err)
{
	int *calls = arg;

	if (++*calls == 2)
		return err_set(err, ERR_CANCELLED, "enough at '%s'", image->name);
	return 0;
}

static void walk_is_sorted_and_may_change_the_store(void **state)
{
	struct fixture *f = *state;
	int calls = 0;

	assert_ok(f, image_put(f->store, "c:1", TYPE, A, 1, &f->err));
	assert_ok(f, image_put(f->store, "a:1", TYPE, A, 1, &f->err));
	assert_ok(f, image_put(f->store, "b:1", TYPE, A, 1, &f->err));
	assert_fails(f, ERR_CANCELLED, "enough at 'b:1'",
		image_each(f->store, stop_at_second, &calls, &f->err));
	assert_int_equal(calls, 2);
	assert_ok(f, image_each(f->store, remove_each, f, &f->err));
	calls = 0;
	assert_ok(f, image_each(f->store, stop_at_second, &calls, &f->err));
	assert_int_equal(calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(put_get_replace_remove),
		store_test(malformed_descriptors_are_refused),
		store_test(lookup_takes_names_before_ids),
		store_test(walk_is_sorted_and_may_change_the_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
