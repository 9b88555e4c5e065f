/* 64-bit x86. Levels v2 to v4 share this entry: they are the same to the kernel and to qemu. */
#include "arch/arch.h"

#include <elf.h>
#include <linux/audit.h>

const struct arch arch_amd64 = {
	.os = "linux",
	.architecture = "amd64",
	.variant = "",
	.aliases = {"x86_64", "x86-64", NULL},

	.magic = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0x3e, 0x00},
	.mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xfe, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xfe, 0xff, 0xff, 0xff},
	.elf_class = ELFCLASS64,
	.big_endian = false,
	.elf_machine = EM_X86_64,
	.page_size_max = 4096,

	.audit_arch = AUDIT_ARCH_X86_64,
	.seccomp_names = {"x86_64", "x86", "x32", NULL},

	.qemu_names = {"qemu-x86_64-static", "qemu-x86_64", NULL},
	.qemu_cpu = "max",
	.qemu_cpu_strict = NULL,

	.uname_machine = "x86_64",
	.debian = "amd64",
	.alpine = "x86_64",
	.gnu_triple = "x86_64-linux-gnu",
	.goarch = "amd64",
	.goarm = NULL,
	.rust_gnu = "x86_64-unknown-linux-gnu",
	.rust_musl = "x86_64-unknown-linux-musl",
};
