#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "build/giturl.h"

#define SHA1 "0123456789abcdef0123456789abcdef01234567"

/* "remote ref subdir commit keep submodules" of a text, with "-" for what is absent. */
static void is(const char *text, const char *expected)
{
	struct giturl u;
	struct err err = ERR_INIT;
	char got[1024];

	if (giturl_parse(text, false, &u, &err) != 1)
		fail_msg("'%s' is not git: %s", text, err.msg);
	snprintf(got, sizeof(got), "%s %s %s %s%s%s", u.remote, u.ref ? u.ref : "-", u.subdir ? u.subdir : "-",
		u.commit ? u.commit : "-", u.keep_git_dir_set ? u.keep_git_dir ? " keep" : " drop" : "",
		u.no_submodules ? " alone" : "");
	assert_string_equal(got, expected);
	giturl_release(&u);
}

static void is_not(const char *text, bool context)
{
	struct giturl u;
	struct err err = ERR_INIT;

	assert_int_equal(giturl_parse(text, context, &u, &err), 0);
	assert_null(u.remote);
}

static void fails(const char *text, const char *message)
{
	struct giturl u;
	struct err err = ERR_INIT;

	assert_int_equal(giturl_parse(text, true, &u, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	if (!strstr(err.msg, message))
		fail_msg("'%s' says '%s', not '%s'", text, err.msg, message);
	assert_null(u.remote);
}

static void options(void **state)
{
	(void)state;
	is("https://h/r.git", "https://h/r.git - - -");
	is("https://h/r.git#main", "https://h/r.git main - -");
	is("https://h/r.git#main:a/b", "https://h/r.git main a/b -");
	is("https://h/r.git#:a/./b/", "https://h/r.git - a/b -");
	is("https://h/r.git#main:../../etc", "https://h/r.git main etc -");
	is("https://h/r.git#a%2Fb", "https://h/r.git a/b - -");
	is("https://h/r.git?branch=x", "https://h/r.git refs/heads/x - -");
	is("https://h/r.git?tag=v1&subdir=s", "https://h/r.git refs/tags/v1 s -");
	is("https://h/r.git?commit=" SHA1 "&keep-git-dir", "https://h/r.git - - " SHA1 " keep");
	is("https://h/r.git?checksum=ABCDEF1&submodules=false&keep-git-dir=0", "https://h/r.git - - abcdef1 drop alone");
	is("https://h/r.git?ref=x#x", "https://h/r.git x - -");
	is("git@h:a/b.git#v1", "git@h:a/b.git v1 - -");
	is("ssh://git@h/a#v1", "ssh://git@h/a v1 - -");
	is("git://h/a?mtime=commit&fetch-by-commit=1", "git://h/a - - -");
}

static void what_is_something_else(void **state)
{
	struct giturl u;
	struct err err = ERR_INIT;

	(void)state;
	is_not("https://h/r.tar.gz", true);
	is_not("https://h/file?x=.git", true);
	is_not("./r.git", true);
	is_not("file:///srv/r.git", true);
	is_not("ext::sh -c x", true);
	is_not("github.com/a/b", false);
	is_not("C:folder", true);
	assert_int_equal(giturl_parse("github.com/a/b#c", true, &u, &err), 1);
	assert_string_equal(u.remote, "https://github.com/a/b");
	assert_string_equal(u.ref, "c");
	giturl_release(&u);
}

static void contradictions(void **state)
{
	(void)state;
	fails("https://h/r.git?ref=a#b", "ref conflicts: \"b\" vs \"a\"");
	fails("https://h/r.git?subdir=a#:b", "subdir conflicts");
	fails("https://h/r.git?tag=a&branch=b", "branch conflicts with tag");
	fails("https://h/r.git?ref=", "query \"ref\" has no value");
	fails("https://h/r.git?ref", "query \"ref\" has no value");
	fails("https://h/r.git?ref=a&ref=a", "query \"ref\" has multiple values");
	fails("https://h/r.git?depth=1", "unexpected query \"depth\"");
	fails("https://h/r.git?keep-git-dir=maybe", "invalid keep-git-dir value: \"maybe\"");
	fails("https://h/r.git?mtime=now", "invalid mtime value");
	fails("https://h/r.git?commit=xyz", "expected hex commit hash");
	fails("https://h/r.git?commit=abc", "expected hex commit hash");
}

static void what_git_could_take_for_something_else(void **state)
{
	char longer[GITURL_MAX + 64] = "https://h/";

	(void)state;
	fails("https://h/r.git#-x", "is no ref");
	fails("https://h/r.git?branch=a%20b", "is no ref");
	fails("https://h/r.git?ref=--upload-pack%3Dx", "is no ref");
	fails("https://h/r.git#a%3Ab", "is no ref");
	fails("https://h/r.git#a..b", "is no ref");
	fails("https://h/r.git#+a", "is no ref");
	fails("https://h/r.git#a*", "is no ref");
	fails("https://h/r.git#a%0ab", "is no ref");
	fails("https://h/r.git#a%00b", "NUL");
	fails("ssh://-oProxyCommand=x/r", "begins with '-'");
	fails("ssh://u@-oProxyCommand=x/r", "begins with '-'");
	fails("git@-h:r", "begins with '-'");
	fails("git@h:-r", "begins with '-'");
	fails("-u@h:x", "begins with '-'");
	fails("-u@h:/x://y", "begins with '-'");
	fails("ssh://h/a b", "blank or control character");
	memset(longer + strlen(longer), 'a', GITURL_MAX);
	memcpy(longer + GITURL_MAX + 10, ".git", 5);
	fails(longer, "longer than");
	memset(longer, 'a', GITURL_REF_MAX + 40);
	memcpy(longer, "https://h/r.git#", 16);
	longer[16 + GITURL_REF_MAX + 1] = '\0';
	fails(longer, "is no ref");
}

static void secrets_are_not_shown(void **state)
{
	auto_free char *with = giturl_display("https://user:pass@h/r.git");
	auto_free char *without = giturl_display("https://h/r@v.git");
	auto_free char *scp = giturl_display("git@h:r");

	(void)state;
	assert_string_equal(with, "https://h/r.git");
	assert_string_equal(without, "https://h/r@v.git");
	assert_string_equal(scp, "git@h:r");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options),
		cmocka_unit_test(what_is_something_else),
		cmocka_unit_test(contradictions),
		cmocka_unit_test(what_git_could_take_for_something_else),
		cmocka_unit_test(secrets_are_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
