/* 64-bit RISC-V, little endian. */
#include "arch/arch.h"

#include <elf.h>
#include <linux/audit.h>

const struct arch arch_riscv64 = {
	.os = "linux",
	.architecture = "riscv64",
	.variant = "",
	.aliases = {NULL},

	.magic = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0xf3, 0x00},
	.mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xfe, 0xff, 0xff, 0xff},
	.elf_class = ELFCLASS64,
	.big_endian = false,
	.elf_machine = EM_RISCV,
	.page_size_max = 4096,

	.audit_arch = AUDIT_ARCH_RISCV64,
	.seccomp_names = {"riscv64", NULL},

	.qemu_names = {"qemu-riscv64-static", "qemu-riscv64", NULL},
	.qemu_cpu = NULL,
	.qemu_cpu_strict = NULL,

	.uname_machine = "riscv64",
	.debian = "riscv64",
	.alpine = "riscv64",
	.gnu_triple = "riscv64-linux-gnu",
	.goarch = "riscv64",
	.goarm = NULL,
	.rust_gnu = "riscv64gc-unknown-linux-gnu",
	.rust_musl = "riscv64gc-unknown-linux-musl",
};
