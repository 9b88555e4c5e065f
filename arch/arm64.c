/* 64-bit ARM; v8 is the baseline, v8.1 to v9.7 share the entry. */
#include "arch/arch.h"

#include <elf.h>
#include <linux/audit.h>

const struct arch arch_arm64 = {
	.os = "linux",
	.architecture = "arm64",
	.variant = "",
	.aliases = {"aarch64", NULL},

	.magic = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0xb7, 0x00},
	.mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xfe, 0xff, 0xff, 0xff},
	.elf_class = ELFCLASS64,
	.big_endian = false,
	.elf_machine = EM_AARCH64,
	.page_size_max = 65536,

	.audit_arch = AUDIT_ARCH_AARCH64,
	.seccomp_names = {"aarch64", "arm", NULL},

	.qemu_names = {"qemu-aarch64-static", "qemu-aarch64", "qemu-arm64-static", "qemu-arm64",
		NULL},
	.qemu_cpu = "max",
	.qemu_cpu_strict = "cortex-a53",

	.uname_machine = "aarch64",
	.debian = "arm64",
	.alpine = "aarch64",
	.gnu_triple = "aarch64-linux-gnu",
	.goarch = "arm64",
	.goarm = NULL,
	.rust_gnu = "aarch64-unknown-linux-gnu",
	.rust_musl = "aarch64-unknown-linux-musl",
};
