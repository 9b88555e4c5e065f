/*
 * The file: an ELF header, one program header that maps the whole of it, and the instructions. Fields are written byte
 * by byte, in the order of bytes of the target.
 */
#include "arch/trial.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

#define ADDRESS 0x08000000u /* a multiple of every page size, above mmap_min_addr */
#define ALIGNMENT 0x10000u
#define CODE_MAX 16
#define ARM_EABI5_HARD 0x05000400u /* without an EABI version the kernel refuses the file */
#define PPC64_ELFV2 2u

/* Number of _exit into the system call register, 42 into that of the first argument, call. */
static const struct {
	uint16_t machine;
	uint32_t flags;
	uint8_t len, code[CODE_MAX];
} programs[] = {
	{ EM_X86_64, 0, 12, { 0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05 } },
	{ EM_386, 0, 12, { 0xbb, 42, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0xcd, 0x80 } },
	{ EM_AARCH64, 0, 12, { 0x40, 0x05, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4 } },
	{ EM_ARM, ARM_EABI5_HARD, 12, { 42, 0, 0xa0, 0xe3, 1, 0x70, 0xa0, 0xe3, 0, 0, 0, 0xef } },
	{ EM_RISCV, 0, 12, { 0x13, 0x05, 0xa0, 0x02, 0x93, 0x08, 0xd0, 0x05, 0x73, 0, 0, 0 } },
	{ EM_PPC64, PPC64_ELFV2, 12, { 42, 0, 0x60, 0x38, 1, 0, 0, 0x38, 0x02, 0, 0, 0x44 } },
	{ EM_S390, 0, 6, { 0xa7, 0x29, 0, 42, 0x0a, 1 } },
};

struct writer {
	uint8_t *at;
	bool big, wide;
};

static void put(struct writer *w, unsigned bytes, uint64_t value)
{
	for (unsigned i = 0; i < bytes; i++) {
		unsigned shift = 8 * (w->big ? bytes - 1 - i : i);

		*w->at++ = (uint8_t)(value >> shift);
	}
}

/* A field that is as wide as an address. */
static void put_word(struct writer *w, uint64_t value)
{
	put(w, w->wide ? 8 : 4, value);
}

static void put_header(struct writer *w, const struct arch *a, uint32_t flags)
{
	size_t header = w->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	size_t load = w->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	const uint8_t ident[EI_NIDENT] = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, a->elf_class,
		w->big ? ELFDATA2MSB : ELFDATA2LSB, EV_CURRENT };

	memcpy(w->at, ident, sizeof(ident));
	w->at += sizeof(ident);
	put(w, 2, ET_EXEC);
	put(w, 2, a->elf_machine);
	put(w, 4, EV_CURRENT);
	put_word(w, ADDRESS + header + load);
	put_word(w, header);
	put_word(w, 0);
	put(w, 4, flags);
	put(w, 2, header);
	put(w, 2, load);
	put(w, 2, 1);
	put(w, 6, 0); /* no sections */
}

static void put_load(struct writer *w, size_t size)
{
	put(w, 4, PT_LOAD);
	if (w->wide)
		put(w, 4, PF_R | PF_X);
	put_word(w, 0);
	put_word(w, ADDRESS);
	put_word(w, ADDRESS);
	put_word(w, size);
	put_word(w, size);
	if (!w->wide)
		put(w, 4, PF_R | PF_X);
	put_word(w, ALIGNMENT);
}

size_t arch_trial_program(const struct arch *a, uint8_t ret[ARCH_TRIAL_SIZE_MAX])
{
	struct writer w = { ret, a->big_endian, a->elf_class == ELFCLASS64 };
	size_t headers = w.wide ? sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) : sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr);

	_Static_assert(sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + CODE_MAX <= ARCH_TRIAL_SIZE_MAX, "room for it");
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (programs[i].machine != a->elf_machine)
			continue;
		put_header(&w, a, programs[i].flags);
		put_load(&w, headers + programs[i].len);
		memcpy(w.at, programs[i].code, programs[i].len);
		return headers + programs[i].len;
	}
	return 0;
}
