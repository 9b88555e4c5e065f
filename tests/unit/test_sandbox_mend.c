#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/strbuf.h"
#include "sandbox/mend.h"

static const enum distro all_distros[] = { DISTRO_ANY, DISTRO_DEBIAN, DISTRO_UBUNTU, DISTRO_RASPBIAN, DISTRO_FEDORA,
	DISTRO_ALPINE };
#define NDISTROS (sizeof(all_distros) / sizeof(all_distros[0]))

static void distributions_are_known_by_id_and_by_likeness(void **state)
{
	static const struct {
		const char *text;
		enum distro want;
	} cases[] = {
		{ "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n", DISTRO_DEBIAN },
		{ "ID=ubuntu\nID_LIKE=debian\n", DISTRO_UBUNTU },
		{ "ID=raspbian\nID_LIKE=debian\n", DISTRO_RASPBIAN },
		{ "NAME=Fedora\nID=fedora", DISTRO_FEDORA },
		{ "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", DISTRO_FEDORA },
		{ "ID='alpine'\n", DISTRO_ALPINE },
		{ "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", DISTRO_UBUNTU },
		{ "ID=odd\nID_LIKE=\"strange  other debian\"\n", DISTRO_DEBIAN },
		{ "ID=odd\nID_LIKE=\"debia\"\n", DISTRO_ANY },
		{ "VERSION_ID=debian\nXID=debian\n", DISTRO_ANY },
		{ "ID=debianx\n", DISTRO_ANY },
		{ "ID=\nID_LIKE=\n", DISTRO_ANY },
		{ "ID=\"debian", DISTRO_DEBIAN },
		{ "", DISTRO_ANY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (mend_distro(cases[i].text) != cases[i].want)
			fail_msg("'%s' gives %d", cases[i].text, mend_distro(cases[i].text));
}

static void every_mend_has_words_everywhere(void **state)
{
	(void)state;
	for (int m = MEND_NONE + 1; m < MEND_COUNT; m++) {
		assert_true(mend_exists((enum mend)m));
		for (size_t d = 0; d < NDISTROS; d++) {
			auto_strbuf text = STRBUF_INIT;

			mend_format_for((enum mend)m, all_distros[d], false, "DETAIL", &text);
			if (text.len == 0 || strchr(text.buf, '{') || strchr(text.buf, '}'))
				fail_msg("mend %d for distribution %zu: '%s'", m, d, text.buf);
		}
	}
}

static void check(enum mend m, enum distro d, bool root, const char *detail, const char *want, bool is_command)
{
	auto_strbuf text = STRBUF_INIT;

	assert_int_equal(mend_format_for(m, d, root, detail, &text), is_command);
	assert_string_equal(text.buf, want);
}

static void commands_are_those_of_the_distribution(void **state)
{
	(void)state;
	check(MEND_UIDMAP, DISTRO_DEBIAN, false, NULL, "sudo apt-get install uidmap", true);
	check(MEND_UIDMAP, DISTRO_UBUNTU, false, NULL, "sudo apt-get install uidmap", true);
	check(MEND_UIDMAP, DISTRO_RASPBIAN, false, NULL, "sudo apt-get install uidmap", true);
	check(MEND_UIDMAP, DISTRO_FEDORA, false, NULL, "sudo dnf install shadow-utils", true);
	check(MEND_UIDMAP, DISTRO_ALPINE, false, NULL, "doas apk add shadow-uidmap", true);
	check(MEND_UIDMAP, DISTRO_ALPINE, true, NULL, "apk add shadow-uidmap", true);
	check(MEND_QEMU, DISTRO_ALPINE, false, "aarch64", "doas apk add qemu-aarch64", true);
	check(MEND_QEMU, DISTRO_ANY, false, "arm", "install a statically linked qemu-arm", false);
	check(MEND_KERNEL, DISTRO_DEBIAN, false, "6.7", "use Linux 6.7 or newer", false);
	check(MEND_NONE, DISTRO_DEBIAN, false, NULL, "", false);
}

static void the_range_offered_is_nobodys(void **state)
{
	auto_strbuf text = STRBUF_INIT;
	unsigned first = 0, last = 0, gfirst = 0, glast = 0;

	(void)state;
	assert_true(mend_format_for(MEND_RANGE, DISTRO_DEBIAN, true, NULL, &text));
	assert_int_equal(sscanf(text.buf, "usermod --add-subuids %u-%u --add-subgids %u-%u", &first, &last, &gfirst, &glast),
		4);
	assert_true(first >= 100000);
	assert_int_equal(last - first, 65535);
	assert_int_equal(first, gfirst);
	assert_int_equal(last, glast);
}

static void the_profile_names_the_program(void **state)
{
	auto_strbuf text = STRBUF_INIT;

	(void)state;
	mend_apparmor_profile("/opt/w/whittle", &text);
	assert_non_null(strstr(text.buf, "profile whittle /opt/w/whittle flags=(unconfined) {"));
	assert_non_null(strstr(text.buf, "abi <abi/4.0>,"));
	assert_non_null(strstr(text.buf, "\n  userns,\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distributions_are_known_by_id_and_by_likeness),
		cmocka_unit_test(every_mend_has_words_everywhere),
		cmocka_unit_test(commands_are_those_of_the_distribution),
		cmocka_unit_test(the_range_offered_is_nobodys),
		cmocka_unit_test(the_profile_names_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
