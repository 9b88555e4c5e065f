/* The index of recorded owners, and records beside files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sandbox/owner_table.h"

struct fixture {
	struct owner_index *index;
	struct owner_table *t;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->index = xcalloc(1, sizeof(*f->index));
	f->t = owner_table_new(f->index);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	owner_table_free(f->t);
	free(f->index);
	free(f);
	return 0;
}

static struct statx object(uint64_t ino, int64_t born)
{
	return (struct statx){ .stx_ino = ino, .stx_mask = STATX_BTIME, .stx_btime.tv_sec = born };
}

static void a_clear_bit_is_certain(void **state)
{
	struct fixture *f = *state;

	assert_false(owner_table_may_have(f->t, 5));
	owner_table_mark(f->t, 5);
	assert_true(owner_table_may_have(f->t, 5));
	assert_false(owner_table_may_have(f->t, 6));
	assert_true(owner_table_may_have(f->t, 5 + (uint64_t)OWNER_INDEX_BITS)); /* another file, asked about in vain */
	owner_table_mark(f->t, UINT64_MAX);
	assert_true(owner_table_may_have(f->t, UINT64_MAX));
}

static void records_belong_to_one_birth(void **state)
{
	struct fixture *f = *state;
	struct statx link = object(7, 100), other = object(7, 200), elsewhere = object(7, 100);
	struct owner_record r = { .uid = 1, .gid = 2 }, got;

	elsewhere.stx_dev_minor = 9;
	assert_false(owner_table_find(f->t, &link, &got));
	assert_int_equal(owner_table_put(f->t, &link, false, &r), 0);
	assert_true(owner_table_may_have(f->t, 7));
	assert_true(owner_table_find(f->t, &link, &got));
	assert_int_equal(got.gid, 2);
	assert_false(owner_table_find(f->t, &other, &got)); /* the number was used again */
	assert_false(owner_table_find(f->t, &elsewhere, &got));
	r.uid = 3;
	assert_int_equal(owner_table_put(f->t, &other, false, &r), 0);
	assert_true(owner_table_find(f->t, &other, &got));
	assert_int_equal(got.uid, 3);
	assert_false(owner_table_find(f->t, &link, &got));
}

static void those_of_layers_survive_a_copy_up(void **state)
{
	struct fixture *f = *state;
	struct statx below = object(7, 100), copied = object(7, 300);
	struct owner_record r = { .uid = 1 }, got;

	assert_int_equal(owner_table_put(f->t, &below, true, &r), 0);
	assert_true(owner_table_find(f->t, &copied, &got));
	r.uid = 2; /* and is given away */
	assert_int_equal(owner_table_put(f->t, &copied, false, &r), 0);
	assert_true(owner_table_find(f->t, &copied, &got));
	assert_int_equal(got.uid, 2);
}

static void the_table_has_an_end(void **state)
{
	struct fixture *f = *state;
	struct owner_record r = { .uid = 1 };
	struct statx sx;

	for (uint64_t i = 0; i < OWNER_BESIDE_MAX; i++) {
		sx = object(i, 1);
		assert_int_equal(owner_table_put(f->t, &sx, false, &r), 0);
	}
	sx = object(OWNER_BESIDE_MAX, 1);
	assert_int_equal(owner_table_put(f->t, &sx, false, &r), -ENOSPC);
	sx = object(0, 1);
	assert_int_equal(owner_table_put(f->t, &sx, false, &r), 0);
}

static bool is_plain(const struct fixture *f, unsigned number)
{
	return f->index->plain[number / 64] >> (number % 64) & 1;
}

static void the_index_tells_who_is_root(void **state)
{
	struct fixture *f = *state;
	struct creds root = CREDS_ROOT, user = CREDS_ROOT, half = CREDS_ROOT, group = CREDS_ROOT;

	user.ruid = user.euid = user.suid = user.fsuid = 1000;
	half.euid = 1000; /* makes files of root's, may not give them away */
	group.fsgid = 5;
	assert_false(is_plain(f, 0));
	owner_index_credentials(f->index, 0, &root);
	owner_index_credentials(f->index, CREDS_MAX - 1, &root);
	owner_index_credentials(f->index, 64, &user);
	assert_true(is_plain(f, 0) && is_plain(f, CREDS_MAX - 1));
	assert_false(is_plain(f, 1) || is_plain(f, 64) || is_plain(f, CREDS_MAX - 2));
	owner_index_credentials(f->index, 0, &half);
	assert_false(is_plain(f, 0));
	owner_index_credentials(f->index, CREDS_MAX - 1, &group);
	assert_false(is_plain(f, CREDS_MAX - 1));
	assert_int_equal(f->index->bits[0], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_clear_bit_is_certain),
		TEST(records_belong_to_one_birth),
		TEST(those_of_layers_survive_a_copy_up),
		TEST(the_table_has_an_end),
		TEST(the_index_tells_who_is_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
