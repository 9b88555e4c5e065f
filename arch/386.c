/* 32-bit x86. */
#include "arch/arch.h"

#include <elf.h>
#include <linux/audit.h>

const struct arch arch_386 = {
	.os = "linux",
	.architecture = "386",
	.variant = "",
	.aliases = {"i386", "i486", "i586", "i686", NULL},

	.magic = {0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0x03, 0x00},
	.mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xfe, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xfe, 0xff, 0xff, 0xff},
	.elf_class = ELFCLASS32,
	.big_endian = false,
	.elf_machine = EM_386,
	.page_size_max = 4096,

	.audit_arch = AUDIT_ARCH_I386,
	.seccomp_names = {"x86", NULL},

	.qemu_names = {"qemu-i386-static", "qemu-i386", NULL},
	.qemu_cpu = NULL,
	.qemu_cpu_strict = "pentium3",

	.uname_machine = "i686",
	.debian = "i386",
	.alpine = "x86",
	.gnu_triple = "i686-linux-gnu",
	.goarch = "386",
	.goarm = NULL,
	.rust_gnu = "i686-unknown-linux-gnu",
	.rust_musl = "i686-unknown-linux-musl",
};
