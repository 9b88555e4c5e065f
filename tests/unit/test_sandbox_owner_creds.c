/* Virtual credentials: each call against what credentials(7) and the kernel say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "sandbox/owner_creds.h"

#define NO CREDS_UNCHANGED

/* Real, effective, saved and file-system user id; groups have the same rules and are checked beside. */
struct ids {
	uint32_t r, e, s, f;
};

static const struct {
	const char *what;
	enum { SETUID, SETREUID, SETRESUID } call;
	struct ids before;
	uint32_t args[3];
	int answer;
	struct ids after;
} cases[] = {
	{ "root becomes a user for good", SETUID, { 0, 0, 0, 0 }, { 5 }, 0, { 5, 5, 5, 5 } },
	{ "a user cannot become another", SETUID, { 5, 5, 5, 5 }, { 6 }, -EPERM, { 5, 5, 5, 5 } },
	{ "a user may become itself", SETUID, { 5, 5, 5, 5 }, { 5 }, 0, { 5, 5, 5, 5 } },
	{ "a set-uid program goes back", SETUID, { 5, 7, 7, 7 }, { 5 }, 0, { 5, 5, 7, 5 } },
	{ "and forth", SETUID, { 5, 5, 7, 5 }, { 7 }, 0, { 5, 7, 7, 7 } },
	{ "no id is no id", SETUID, { 0, 0, 0, 0 }, { NO }, -EINVAL, { 0, 0, 0, 0 } },
	{ "nothing changes nothing", SETREUID, { 5, 5, 7, 5 }, { NO, NO }, 0, { 5, 5, 7, 5 } },
	{ "real and effective swap", SETREUID, { 5, 7, 7, 7 }, { 7, 5 }, 0, { 7, 5, 5, 5 } },
	{ "the saved id follows a new real id", SETREUID, { 0, 0, 0, 0 }, { 5, NO }, 0, { 5, 0, 0, 0 } },
	{ "the saved id stays when effective becomes real", SETREUID, { 5, 7, 7, 7 }, { NO, 5 }, 0, { 5, 5, 7, 5 } },
	{ "the saved id is no source for the real one", SETREUID, { 5, 5, 7, 5 }, { 7, NO }, -EPERM, { 5, 5, 7, 5 } },
	{ "but for the effective one", SETREUID, { 5, 5, 7, 5 }, { NO, 7 }, 0, { 5, 7, 7, 7 } },
	{ "root sets all three", SETRESUID, { 0, 0, 0, 0 }, { 1, 2, 3 }, 0, { 1, 2, 3, 2 } },
	{ "a user permutes its three", SETRESUID, { 1, 2, 3, 2 }, { 3, 1, 2 }, 0, { 3, 1, 2, 1 } },
	{ "and takes no fourth", SETRESUID, { 1, 2, 3, 2 }, { NO, NO, 4 }, -EPERM, { 1, 2, 3, 2 } },
	{ "nor root's, once it is gone", SETRESUID, { 1, 1, 1, 1 }, { NO, 0, NO }, -EPERM, { 1, 1, 1, 1 } },
	{ "but one saved comes back", SETRESUID, { 1, 1, 0, 1 }, { NO, 0, NO }, 0, { 1, 0, 0, 0 } },
};

static struct creds creds_of(const struct ids *u)
{
	return (struct creds){ .ruid = u->r, .euid = u->e, .suid = u->s, .fsuid = u->f, .umask = 022 };
}

static void calls_keep_the_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct creds c = creds_of(&cases[i].before);
		const uint32_t *a = cases[i].args;
		int answer = cases[i].call == SETUID   ? creds_setuid(&c, a[0]) :
			     cases[i].call == SETREUID ? creds_setreuid(&c, a[0], a[1]) :
							 creds_setresuid(&c, a[0], a[1], a[2]);
		struct ids after = { c.ruid, c.euid, c.suid, c.fsuid };

		if (answer != cases[i].answer || memcmp(&after, &cases[i].after, sizeof(after)) != 0)
			fail_msg("%s: %d, %u %u %u %u", cases[i].what, answer, after.r, after.e, after.s, after.f);
	}
}

static void groups_have_the_same_rules(void **state)
{
	struct creds c = CREDS_ROOT;

	(void)state;
	assert_int_equal(creds_setresgid(&c, 1, 2, 3), 0);
	assert_int_equal(c.fsgid, 2);
	assert_int_equal(creds_setgid(&c, 9), 0); /* uid 0 may */
	assert_int_equal(c.rgid, 9);
	assert_int_equal(creds_setuid(&c, 5), 0);
	assert_int_equal(creds_setgid(&c, 1), -EPERM);
	assert_int_equal(creds_setregid(&c, 1, NO), -EPERM);
	assert_int_equal(creds_setregid(&c, NO, 9), 0);
	assert_int_equal(creds_setresgid(&c, NO, NO, 1), -EPERM);
	assert_int_equal(creds_setgid(&c, NO), -EINVAL);
	assert_int_equal(creds_setgroups(&c, NULL, 0), -EPERM);
}

static void file_system_ids_answer_the_one_before(void **state)
{
	struct creds c = CREDS_ROOT;

	(void)state;
	assert_int_equal(creds_setfsuid(&c, 5), 0);
	assert_int_equal(creds_setfsuid(&c, NO), 5);
	assert_int_equal(c.fsuid, 5);
	assert_int_equal(c.euid, 0);
	assert_true(creds_makes_foreign(&c));
	assert_int_equal(creds_setuid(&c, 7), 0);
	assert_int_equal(creds_setfsuid(&c, 8), 7); /* refused, which shows only in the next answer */
	assert_int_equal(creds_setfsuid(&c, 7), 7);
	assert_int_equal(creds_setfsgid(&c, 3), 0);
	assert_int_equal(c.fsgid, 0);
}

/* setpriv --reuid --regid: the second call needs what the first gave up. */
static void keepcaps_keeps_them(void **state)
{
	struct creds c = CREDS_ROOT;

	(void)state;
	c.flags |= CREDS_KEEPCAPS;
	assert_int_equal(creds_setresuid(&c, 5, 5, 5), 0);
	assert_true(creds_privileged(&c));
	assert_int_equal(creds_setresgid(&c, 6, 6, 6), 0);
	creds_exec(&c, 0755, 0, 0);
	assert_false(creds_privileged(&c));
	assert_int_equal(creds_setuid(&c, 0), -EPERM);
}

static void exec_takes_set_id_bits(void **state)
{
	struct creds c = { .ruid = 5, .euid = 5, .suid = 5, .fsuid = 5, .rgid = 6, .egid = 6, .sgid = 6, .fsgid = 6 };

	(void)state;
	creds_exec(&c, 04755, 0, 42);
	assert_int_equal(c.ruid, 5);
	assert_int_equal(c.euid, 0);
	assert_int_equal(c.suid, 0);
	assert_int_equal(c.egid, 6);
	creds_exec(&c, 02745, 0, 42); /* without the group's x: mandatory locking */
	assert_int_equal(c.egid, 6);
	creds_exec(&c, 02755, 0, 42);
	assert_int_equal(c.egid, 42);
	assert_int_equal(c.sgid, 42);
	assert_int_equal(c.rgid, 6);
}

static void groups_are_found(void **state)
{
	uint32_t groups[] = { 1, 4 };
	struct creds c = CREDS_ROOT;

	(void)state;
	assert_int_equal(creds_setgroups(&c, groups, 2), 0);
	c.fsgid = 9;
	assert_true(creds_in_group(&c, 4));
	assert_true(creds_in_group(&c, 9));
	assert_false(creds_in_group(&c, 2));
	assert_int_equal(creds_setgroups(&c, groups, CREDS_GROUPS_MAX + 1), -EINVAL);
}

static void equal_ones_are_kept_once(void **state)
{
	struct creds_table *t = creds_table_new();
	uint32_t groups[] = { 1, 4 };
	struct creds c = CREDS_ROOT;
	const struct creds *kept;

	(void)state;
	assert_int_equal(creds_intern(t, &c), 0);
	c.groups = groups;
	c.ngroups = 2;
	assert_int_equal(creds_intern(t, &c), 1);
	assert_int_equal(creds_intern(t, &c), 1);
	groups[1] = 5; /* it has its own copy */
	assert_int_equal(creds_intern(t, &c), 2);
	kept = creds_get(t, 1);
	assert_int_equal(kept->groups[1], 4);
	assert_int_equal(creds_get(t, 12345)->euid, 0);
	creds_table_free(t);
	creds_table_free(NULL);
}

static void the_table_has_an_end(void **state)
{
	struct creds_table *t = creds_table_new();
	auto_free uint32_t *groups = xcalloc(CREDS_GROUPS_MAX, sizeof(*groups));
	struct creds c = CREDS_ROOT;
	unsigned large = 0;

	(void)state;
	for (uint32_t i = 1; i < CREDS_MAX; i++) {
		c.ruid = i;
		assert_int_equal(creds_intern(t, &c), (int)i);
	}
	c.ruid = CREDS_MAX;
	assert_int_equal(creds_intern(t, &c), -1);
	c.ruid = 1;
	assert_int_equal(creds_intern(t, &c), 1);
	creds_table_free(t);
	t = creds_table_new();
	c = (struct creds){ .groups = groups, .ngroups = CREDS_GROUPS_MAX };
	while (c.ruid++, creds_intern(t, &c) >= 0)
		large++;
	assert_int_equal(large, CREDS_GROUPS_TOTAL / CREDS_GROUPS_MAX);
	creds_table_free(t);
}

static void a_limit_says_the_number(void **state)
{
	(void)state;
	assert_int_equal(creds_from_limit(creds_to_limit(0)), 0);
	assert_int_equal(creds_from_limit(creds_to_limit(CREDS_MAX)), CREDS_MAX);
	assert_int_equal(creds_from_limit(UINT64_MAX), 0); /* RLIM_INFINITY */
	assert_int_equal(creds_from_limit(77), 0);
	assert_true(creds_to_limit(CREDS_MAX) < INT32_MAX); /* a 32-bit kernel holds it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_keep_the_rules),
		cmocka_unit_test(groups_have_the_same_rules),
		cmocka_unit_test(file_system_ids_answer_the_one_before),
		cmocka_unit_test(keepcaps_keeps_them),
		cmocka_unit_test(exec_takes_set_id_bits),
		cmocka_unit_test(groups_are_found),
		cmocka_unit_test(equal_ones_are_kept_once),
		cmocka_unit_test(the_table_has_an_end),
		cmocka_unit_test(a_limit_says_the_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
