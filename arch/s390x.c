/* IBM Z, the one big-endian entry. */
#include "arch/arch.h"

#include <elf.h>
#include <linux/audit.h>

const struct arch arch_s390x = {
	.os = "linux",
	.architecture = "s390x",
	.variant = "",
	.aliases = {NULL},

	.magic = {0x7f, 'E', 'L', 'F', 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x02, 0x00, 0x16},
	.mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xfe, 0xff, 0xff},
	.elf_class = ELFCLASS64,
	.big_endian = true,
	.elf_machine = EM_S390,
	.page_size_max = 4096,

	.audit_arch = AUDIT_ARCH_S390X,
	.seccomp_names = {"s390x", "s390", NULL},

	.qemu_names = {"qemu-s390x-static", "qemu-s390x", NULL},
	.qemu_cpu = NULL,
	.qemu_cpu_strict = NULL,

	.uname_machine = "s390x",
	.debian = "s390x",
	.alpine = "s390x",
	.gnu_triple = "s390x-linux-gnu",
	.goarch = "s390x",
	.goarm = NULL,
	.rust_gnu = "s390x-unknown-linux-gnu",
	.rust_musl = NULL,
};
