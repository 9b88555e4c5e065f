/* stepcache.c: entries that lead somewhere, groups, and memos. */
#include "unit/store_fixture.h"

#include "store/stepcache.h"

static const uint8_t key_a[32] = {1}, key_b[32] = {2}, group[32] = {9};

static void entries_lead_to_snapshots(void **state)
{
	struct fixture *f = *state;
	int64_t first = make_snapshot(f, "a", NULL), second = make_snapshot(f, "b", NULL),
		found = -5;

	assert_int_equal(stepcache_get(f->store, key_a, &found, &f->err), 0);
	assert_int_equal(found, -5);
	assert_ok(f, stepcache_put(f->store, key_a, NULL, first, "RUN a", &f->err));
	assert_int_equal(stepcache_get(f->store, key_a, &found, &f->err), 1);
	assert_int_equal(found, first);
	assert_int_equal(stepcache_get(f->store, key_b, &found, &f->err), 0);
	assert_ok(f, stepcache_put(f->store, key_a, NULL, second, NULL, &f->err));
	fixture_reopen(f);
	assert_int_equal(stepcache_get(f->store, key_a, &found, &f->err), 1);
	assert_int_equal(found, second);
	assert_fails(f, ERR_NOT_FOUND, "no snapshot 99",
		stepcache_put(f->store, key_b, NULL, 99, "x", &f->err));
}

static void entry_without_anything_left_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct layer_form form = make_layer(f, "layer");
	int64_t id = make_snapshot(f, "a", NULL), found;
	char name[SNAPSHOT_FOLDER_SIZE];

	assert_ok(f, stepcache_put(f->store, key_a, group, id, "x", &f->err));
	assert_ok(f, snapshot_add_layer(f->store, id, &form, &f->err));
	snapshot_folder_name(id, "single", name);
	assert_int_equal(remove_tree(store_dirfd(f->store), name), 0);
	assert_int_equal(stepcache_get(f->store, key_a, &found, &f->err), 1);
	assert_ok(f, blob_remove(f->store, form.digest, &f->err));
	assert_int_equal(stepcache_get(f->store, key_a, &found, &f->err), 0);
	assert_false(stepcache_has_group(f->store, group));
}

static void entry_goes_with_its_snapshot(void **state)
{
	struct fixture *f = *state;
	int64_t id = make_snapshot(f, "a", NULL), found;

	assert_ok(f, stepcache_put(f->store, key_a, group, id, "x", &f->err));
	sql(f, "PRAGMA foreign_keys = ON; DELETE FROM snapshot");
	assert_int_equal(stepcache_get(f->store, key_a, &found, &f->err), 0);
	assert_false(stepcache_has_group(f->store, group));
}

static void groups_tell_whether_any_entry_is_there(void **state)
{
	struct fixture *f = *state;
	int64_t id = make_snapshot(f, "a", NULL);

	assert_false(stepcache_has_group(f->store, group));
	assert_ok(f, stepcache_put(f->store, key_a, NULL, id, "x", &f->err));
	assert_false(stepcache_has_group(f->store, group));
	assert_ok(f, stepcache_put(f->store, key_b, group, id, "x", &f->err));
	assert_true(stepcache_has_group(f->store, group));
}

static void use_is_noted_once_a_day(void **state)
{
	struct fixture *f = *state;
	int64_t id = make_snapshot(f, "a", NULL), found;
	char *long_text = xmalloc(5000);

	memset(long_text, 'x', 4999);
	long_text[4999] = '\0';
	assert_ok(f, stepcache_put(f->store, key_a, NULL, id, long_text, &f->err));
	free(long_text);
	sql(f, "UPDATE stepcache SET used = 1000");
	assert_int_equal(stepcache_get(f->store, key_a, &found, &f->err), 1);
	/* A statement that fails its check stops sql(), and with it the test. */
	sql(f, "CREATE TEMP TABLE t(x CHECK(x)); INSERT INTO t SELECT used > 1600000000 FROM "
	       "stepcache;"
	       "INSERT INTO t SELECT length(description) = 1024 FROM stepcache");
}

static void memos_are_kept_replaced_and_forgotten(void **state)
{
	struct fixture *f = *state;
	char *value = NULL, *big;

	assert_int_equal(memo_get(f->store, "ref:x", &value, &f->err), 0);
	assert_null(value);
	assert_ok(f, memo_put(f->store, "ref:x", "one", &f->err));
	assert_ok(f, memo_put(f->store, "ref:x", "one", &f->err));
	assert_ok(f, memo_put(f->store, "ref:x", "two", &f->err));
	fixture_reopen(f);
	assert_int_equal(memo_get(f->store, "ref:x", &value, &f->err), 1);
	assert_string_equal(value, "two");
	free(value);
	assert_ok(f, memo_put(f->store, "ref:x", NULL, &f->err));
	assert_ok(f, memo_put(f->store, "ref:x", NULL, &f->err));
	assert_int_equal(memo_get(f->store, "ref:x", &value, &f->err), 0);
	big = xmalloc(MEMO_VALUE_MAX + 2);
	memset(big, 'x', MEMO_VALUE_MAX + 1);
	big[MEMO_VALUE_MAX + 1] = '\0';
	assert_fails(f, ERR_INPUT, "too long", memo_put(f->store, "k", big, &f->err));
	assert_ok(f, memo_put(f->store, "k", big + 1, &f->err));
	assert_fails(f, ERR_INPUT, "too long", memo_put(f->store, big, "v", &f->err));
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(entries_lead_to_snapshots),
		store_test(entry_without_anything_left_is_forgotten),
		store_test(entry_goes_with_its_snapshot),
		store_test(groups_tell_whether_any_entry_is_there),
		store_test(use_is_noted_once_a_day),
		store_test(memos_are_kept_replaced_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
