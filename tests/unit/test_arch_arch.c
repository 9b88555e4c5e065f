#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "arch/arch.h"

static void table_has_every_architecture_once(void **state)
{
	const struct arch *a;
	size_t n = 0;

	(void)state;
	for (; (a = arch_at(n)); n++) {
		assert_string_equal(a->os, "linux");
		assert_ptr_equal(arch_find(a->architecture, a->variant), a);
		assert_non_null(a->qemu_names[0]);
		assert_non_null(a->seccomp_names[0]);
		assert_non_null(a->uname_machine);
		assert_non_null(a->debian);
		assert_non_null(a->alpine);
		assert_non_null(a->gnu_triple);
		assert_non_null(a->rust_gnu);
		assert_string_equal(a->goarch, a->architecture);
		for (size_t i = 0; a->aliases[i]; i++)
			assert_ptr_equal(arch_find(a->aliases[i], NULL), a);
		for (size_t i = 0; i < n; i++)
			assert_ptr_not_equal(arch_at(i), a);
	}
	assert_int_equal(n, 8);
	assert_null(arch_at(SIZE_MAX));
}

static void magic_agrees_with_the_elf_identity(void **state)
{
	const struct arch *a;

	(void)state;
	for (size_t i = 0; (a = arch_at(i)); i++) {
		uint16_t machine = (uint16_t)(a->big_endian ? a->magic[18] << 8 | a->magic[19]
							    : a->magic[19] << 8 | a->magic[18]);

		assert_memory_equal(a->magic, ELFMAG, SELFMAG);
		assert_int_equal(a->magic[EI_CLASS], a->elf_class);
		assert_int_equal(a->magic[EI_DATA], a->big_endian ? ELFDATA2MSB : ELFDATA2LSB);
		assert_int_equal(machine, a->elf_machine);
		assert_int_equal(a->mask[EI_OSABI], 0);
		assert_int_equal(a->audit_arch & 0xffff, a->elf_machine);
		assert_int_equal(!!(a->audit_arch & 0x80000000u), a->elf_class == ELFCLASS64);
		assert_int_equal(!!(a->audit_arch & 0x40000000u), !a->big_endian);
	}
}

static void elf_headers_are_recognised(void **state)
{
	uint8_t h[ARCH_MAGIC_SIZE];

	(void)state;
	memcpy(h, arch_arm64.magic, sizeof(h));
	assert_ptr_equal(arch_from_elf(h, sizeof(h)), &arch_arm64);
	h[16] = ET_DYN;
	h[EI_OSABI] = ELFOSABI_GNU;
	assert_ptr_equal(arch_from_elf(h, sizeof(h)), &arch_arm64);
	h[16] = ET_REL;
	assert_null(arch_from_elf(h, sizeof(h)));
	h[16] = ET_EXEC;
	assert_null(arch_from_elf(h, sizeof(h) - 1));
	memcpy(h, arch_armv6.magic, sizeof(h));
	assert_ptr_equal(arch_from_elf(h, sizeof(h)), &arch_armv7);
	memcpy(h, arch_s390x.magic, sizeof(h));
	h[17] = ET_DYN;
	assert_ptr_equal(arch_from_elf(h, sizeof(h)), &arch_s390x);
	memset(h, 'x', sizeof(h));
	assert_null(arch_from_elf(h, sizeof(h)));
}

static void this_program_is_of_the_host(void **state)
{
	uint8_t h[ARCH_MAGIC_SIZE];
	FILE *f = fopen("/proc/self/exe", "rb");

	(void)state;
	assert_non_null(f);
	assert_int_equal(fread(h, 1, sizeof(h), f), sizeof(h));
	fclose(f);
	assert_int_equal(arch_from_elf(h, sizeof(h))->elf_machine, arch_host()->elf_machine);
}

static void find_knows_aliases_variants_and_case(void **state)
{
	static const struct {
		const char *architecture, *variant;
		const struct arch *want;
	} cases[] = {
		{"x86_64", NULL, &arch_amd64},
		{"X86-64", "", &arch_amd64},
		{"amd64", "v3", &arch_amd64},
		{"amd64", "v0", NULL},
		{"amd64", "v33", NULL},
		{"AArch64", "v8", &arch_arm64},
		{"arm64", "v9", &arch_arm64},
		{"arm64", "v8.2", &arch_arm64},
		{"arm64", "v7", NULL},
		{"arm64", "v8.x", NULL},
		{"arm", NULL, &arch_armv7},
		{"arm", "V7", &arch_armv7},
		{"arm", "8", &arch_armv7},
		{"arm", "v6", &arch_armv6},
		{"arm", "v5", NULL},
		{"armhf", "v6", &arch_armv7},
		{"armel", NULL, &arch_armv6},
		{"i386", "", &arch_386},
		{"386", "softfloat", &arch_386},
		{"riscv64", "", &arch_riscv64},
		{"riscv64", "rva23", NULL},
		{"ppc64el", NULL, &arch_ppc64le},
		{"sparc64", NULL, NULL},
		{"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_ptr_equal(arch_find(cases[i].architecture, cases[i].variant), cases[i].want);
}

static void arm_variant_comes_from_cpuinfo(void **state)
{
	static const struct {
		const char *cpuinfo, *machine, *want;
	} cases[] = {
		{"processor\t: 0\nCPU architecture: 8\n", "armv8l", "v8"},
		{"CPU architecture: AArch64\n", "", "v8"},
		{"CPU architecture: 7\n", "armv7l", "v7"},
		{"CPU architecture: ?(12)\n", "armv7l", "v7"},
		{"CPU architecture: 7M\n", "", "v7"},
		/* Raspberry Pi Zero: the field says 7, the processor is an ARM1176 */
		{"processor\t: 0\nmodel name\t: ARMv6-compatible processor rev 7 (v6l)\n"
		 "CPU architecture: 7\n",
			"armv6l", "v6"},
		{"CPU architecture: 5TEJ\n", "armv5tejl", "v5"},
		{"CPU architecture: 4T", "", "v4"},
		{"CPU architecture: 99\n", "armv7l", ""},
		{"CPU architecture:", "armv7l", ""},
		{"", "armv6l", "v6"},
		{"no such field\n", "armv7l", "v7"},
		{"", "aarch64", "v8"},
		{"", "mips", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char variant[ARCH_VARIANT_SIZE];

		arch_arm_variant(cases[i].cpuinfo, cases[i].machine, variant);
		assert_string_equal(variant, cases[i].want);
	}
}

static void host_runs_itself_and_no_stranger(void **state)
{
	const struct arch *host = arch_host(), *a;

	(void)state;
	assert_true(arch_host_runs(host));
	for (size_t i = 0; (a = arch_at(i)); i++) {
		/* the second answer is the first: nothing was registered by asking */
		assert_int_equal(arch_host_runs(a), arch_host_runs(a));
		if (a->elf_machine == host->elf_machine)
			continue;
		if (host == &arch_amd64 && a == &arch_386)
			continue; /* depends on the kernel */
		if (host == &arch_arm64 && a->elf_machine == EM_ARM)
			continue;
		assert_false(arch_host_runs(a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_has_every_architecture_once),
		cmocka_unit_test(magic_agrees_with_the_elf_identity),
		cmocka_unit_test(elf_headers_are_recognised),
		cmocka_unit_test(this_program_is_of_the_host),
		cmocka_unit_test(find_knows_aliases_variants_and_case),
		cmocka_unit_test(arm_variant_comes_from_cpuinfo),
		cmocka_unit_test(host_runs_itself_and_no_stranger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
