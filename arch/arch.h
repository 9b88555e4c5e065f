/*
 * One table of the architectures that whittle knows: names, ELF identity, seccomp, qemu
 * (spec/cross.md 6). A file per architecture fills in one entry. Knows nothing of images beyond the
 * OCI names.
 */
#ifndef WHITTLE_ARCH_ARCH_H
#define WHITTLE_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARCH_MAGIC_SIZE 20 /* e_ident 16, e_type 2, e_machine 2: what binfmt_misc compares */
#define ARCH_NAMES_MAX 6   /* entries of a name list, the NULL at the end included */
#define ARCH_VARIANT_SIZE 8

struct arch {
	const char *os;		  /* always "linux" */
	const char *architecture; /* OCI name, which is the GOARCH ("arm64", "arm") */
	const char *variant; /* OCI variant of this entry after normalisation: "v7", "v6" or "" */
	/* other spellings of architecture, lower case; NULL-terminated */
	const char *aliases[ARCH_NAMES_MAX];

	/* binfmt_misc (cross.md 1.2): a file matches when (byte & mask) == (magic & mask) for all
	 * bytes. */
	uint8_t magic[ARCH_MAGIC_SIZE];
	uint8_t mask[ARCH_MAGIC_SIZE];
	uint8_t elf_class;	/* ELFCLASS32 or ELFCLASS64 */
	bool big_endian;	/* ELFDATA2MSB */
	uint16_t elf_machine;	/* e_machine */
	uint32_t page_size_max; /* bytes: what its ELF files assume at most */

	/* seccomp: names for seccomp_arch_resolve_name(3); native ABI first, then the compatible
	 * ones that a kernel of this architecture also serves; NULL-terminated. */
	uint32_t audit_arch; /* AUDIT_ARCH_x of the native ABI */
	const char *seccomp_names[ARCH_NAMES_MAX];

	/* qemu-user (cross.md 2.1, 2.3) */
	const char *qemu_names[ARCH_NAMES_MAX]; /* file names in search order; NULL-terminated */
	const char *qemu_cpu; /* model that runs everything, or NULL for qemu's default */
	/* model at the level of the oldest board of this platform, or NULL */
	const char *qemu_cpu_strict;

	const char *uname_machine; /* what uname -m says on such a machine */
	const char *debian;	   /* Debian's architecture name */
	const char *alpine;	   /* Alpine's */
	const char *gnu_triple;	   /* "aarch64-linux-gnu" */
	const char *goarch;	   /* GOARCH */
	const char *goarm;	   /* GOARM, or NULL */
	const char *rust_gnu;	   /* Rust target with glibc */
	const char *rust_musl;	   /* Rust target with musl, or NULL */
};

extern const struct arch arch_amd64, arch_arm64, arch_armv7, arch_armv6, arch_386, arch_riscv64,
	arch_ppc64le, arch_s390x;

/* Entry i of the table in a fixed order, or NULL past its end. */
const struct arch *arch_at(size_t i);

/*
 * The entry for an OCI architecture and variant, or NULL when whittle has none.
 *
 *   architecture  an OCI name or an alias of it, any case ("arm64", "x86_64", "armhf")
 *   variant       OCI variant, any case; NULL and "" mean the default of the architecture (arm: v7)
 *
 * A variant above the baseline finds the baseline: amd64/v3 is amd64, arm64/v9 is arm64, arm/v8 is
 * armv7.
 */
const struct arch *arch_find(const char *architecture, const char *variant);

/* The entry for an ELF header of n bytes (at least ARCH_MAGIC_SIZE), or NULL. 32-bit ARM gives
 * armv7: the header does not tell variants apart (cross.md 6.2). */
const struct arch *arch_from_elf(const void *header, size_t n);

/*
 * The architecture of this very program: its own ABI, not uname's (a 32-bit userland on a 64-bit
 * kernel is 32-bit). A program built for ARMv6 is armv6 also on a newer board: arch_host_variant()
 * tells. Never NULL.
 */
const struct arch *arch_host(void);

/* The OCI variant of the processor, from /proc/cpuinfo, when this is a 32-bit ARM program ("v8",
 * "v7", "v6", ...);
 * "" elsewhere or when unknown (oci.md 1.7.4). */
void arch_host_variant(char ret[ARCH_VARIANT_SIZE]);

/*
 * The OCI variant of the processor under a 32-bit ARM program (oci.md 1.7.4).
 *
 *   cpuinfo  text of /proc/cpuinfo; may be ""
 *   machine  uname's machine field; used when cpuinfo does not say
 *
 * Writes "v8", "v7", "v6", "v5", "v4", "v3", or "" when unknown.
 */
void arch_arm_variant(const char *cpuinfo, const char *machine, char ret[ARCH_VARIANT_SIZE]);

/*
 * Whether this host executes programs of a natively, that is by its own processor and kernel and
 * not by an emulator that somebody registered (cross.md 6.3). Registers nothing. The same
 * architecture is true at once; a compatible one (386 on amd64, arm on arm64) is tried by running a
 * tiny program in a child, which costs about a millisecond: callers keep the answer. False when the
 * trial itself cannot be made. Forks: call it while the process has one thread.
 */
bool arch_host_runs(const struct arch *a);

#endif
