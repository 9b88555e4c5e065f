/* 64-bit POWER, little endian. The mask leaves out the high byte of e_machine, as usual. */
#include "arch/arch.h"

#include <elf.h>
#include <linux/audit.h>

const struct arch arch_ppc64le = {
	.os = "linux",
	.architecture = "ppc64le",
	.variant = "",
	.aliases = {"ppc64el", NULL},

	.magic = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0x15, 0x00},
	.mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xfe, 0xff, 0xff, 0x00},
	.elf_class = ELFCLASS64,
	.big_endian = false,
	.elf_machine = EM_PPC64,
	.page_size_max = 65536,

	.audit_arch = AUDIT_ARCH_PPC64LE,
	.seccomp_names = {"ppc64le", NULL},

	.qemu_names = {"qemu-ppc64le-static", "qemu-ppc64le", NULL},
	.qemu_cpu = NULL,
	.qemu_cpu_strict = "power8",

	.uname_machine = "ppc64le",
	.debian = "ppc64el",
	.alpine = "ppc64le",
	.gnu_triple = "powerpc64le-linux-gnu",
	.goarch = "ppc64le",
	.goarm = NULL,
	.rust_gnu = "powerpc64le-unknown-linux-gnu",
	.rust_musl = "powerpc64le-unknown-linux-musl",
};
