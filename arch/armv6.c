/*
 * 32-bit ARM of the first Raspberry Pi and Zero. Its files look like v7 ones: only a CPU model that
 * stops v7 instructions keeps wrong code out, so that model is the default too.
 */
#include "arch/arch.h"

#include <elf.h>
#include <linux/audit.h>

const struct arch arch_armv6 = {
	.os = "linux",
	.architecture = "arm",
	.variant = "v6",
	.aliases = {"armel", NULL},

	.magic = {0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0x28, 0x00},
	.mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xfe, 0xff, 0xff, 0xff},
	.elf_class = ELFCLASS32,
	.big_endian = false,
	.elf_machine = EM_ARM,
	.page_size_max = 65536,

	.audit_arch = AUDIT_ARCH_ARM,
	.seccomp_names = {"arm", NULL},

	.qemu_names = {"qemu-arm-static", "qemu-arm", "qemu-armhf-static", "qemu-armhf",
		"qemu-armel", NULL},
	.qemu_cpu = "arm1176",
	.qemu_cpu_strict = "arm1176",

	.uname_machine = "armv6l",
	.debian = "armel",
	.alpine = "armhf",
	.gnu_triple = "arm-linux-gnueabi",
	.goarch = "arm",
	.goarm = "6",
	.rust_gnu = "arm-unknown-linux-gnueabihf",
	.rust_musl = "arm-unknown-linux-musleabihf",
};
