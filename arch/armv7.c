/* 32-bit ARM with hard float. The alias armhf follows Debian; Alpine means v6 by it. */
#include "arch/arch.h"

#include <elf.h>
#include <linux/audit.h>

const struct arch arch_armv7 = {
	.os = "linux",
	.architecture = "arm",
	.variant = "v7",
	.aliases = {"armhf", NULL},

	.magic = {0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0x28, 0x00},
	.mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xfe, 0xff, 0xff, 0xff},
	.elf_class = ELFCLASS32,
	.big_endian = false,
	.elf_machine = EM_ARM,
	.page_size_max = 65536,

	.audit_arch = AUDIT_ARCH_ARM,
	.seccomp_names = {"arm", NULL},

	.qemu_names = {"qemu-arm-static", "qemu-arm", "qemu-armhf-static", "qemu-armhf", NULL},
	.qemu_cpu = "max",
	.qemu_cpu_strict = "cortex-a7",

	.uname_machine = "armv7l",
	.debian = "armhf",
	.alpine = "armv7",
	.gnu_triple = "arm-linux-gnueabihf",
	.goarch = "arm",
	.goarm = "7",
	.rust_gnu = "armv7-unknown-linux-gnueabihf",
	.rust_musl = "armv7-unknown-linux-musleabihf",
};
