/*
 * Can this host run 32-bit programs of its family? Tried, never inferred (spec/cross.md 6.3):
 * kernels are built or booted without compatibility, and many ARMv8 cores have no 32-bit mode.
 *
 * The program tried is an ELF header, one program header and the few instructions below. An
 * emulator that somebody registered would run it as well; so it does not merely exit, it asks uname
 * for the machine: a native one sees the 64-bit kernel's name, under qemu-user it is qemu's
 * invention.
 */
#include "arch/arch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* linux/memfd.h, since 6.3; older kernels answer EINVAL */
#endif

#define PROBE_ADDRESS 0x08000000u /* a multiple of every page size, above mmap_min_addr */
#define PROBE_ALIGN 0x10000u
#define PROBE_CODE_MAX 48
#define PROBE_SECONDS 5	  /* then SIGALRM ends a broken emulator */
#define PROBE_NO_EXEC 127 /* exit status of the child when exec failed */
#define ARM_EABI5_HARD                                                                             \
	0x05000400u /* e_flags: without an EABI version the kernel refuses the file */

struct probe {
	const struct arch *host;
	const struct arch *guest;
	uint32_t elf_flags;
	uint8_t code[PROBE_CODE_MAX];
};

/* The machine field of struct utsname stands at 4 * 65 = 260 bytes. */
static const struct probe probes[] = {
	{
		.host = &arch_amd64,
		.guest = &arch_386,
		.code =
			{
				0x81, 0xec, 0x00, 0x02, 0x00, 0x00,	  /* sub esp, 512 */
				0x89, 0xe3,				  /* mov ebx, esp */
				0xb8, 0x7a, 0x00, 0x00, 0x00,		  /* mov eax, 122: uname */
				0xcd, 0x80,				  /* int 0x80 */
				0x8a, 0x9c, 0x24, 0x04, 0x01, 0x00, 0x00, /* mov bl, [esp + 260] */
				0x80, 0xf3, 0x78,	      /* xor bl, 'x': of "x86_64" */
				0x0f, 0xb6, 0xdb,	      /* movzx ebx, bl */
				0xb8, 0x01, 0x00, 0x00, 0x00, /* mov eax, 1: exit */
				0xcd, 0x80,		      /* int 0x80 */
				0xf4, 0xf4,		      /* hlt */
			},
	},
	{
		.host = &arch_arm64,
		.guest = &arch_armv7,
		.elf_flags = ARM_EABI5_HARD,
		.code =
			{
				0x02, 0xdc, 0x4d, 0xe2, /* sub sp, sp, #512 */
				0x0d, 0x00, 0xa0, 0xe1, /* mov r0, sp */
				0x7a, 0x70, 0xa0, 0xe3, /* mov r7, #122: uname */
				0x00, 0x00, 0x00, 0xef, /* svc #0 */
				0x05, 0x01, 0xdd, 0xe5, /* ldrb r0, [sp, #261] */
				0x61, 0x00, 0x20,
				0xe2, /* eor r0, r0, #'a': second letter of "aarch64" */
				0x01, 0x70, 0xa0, 0xe3, /* mov r7, #1: exit */
				0x00, 0x00, 0x00, 0xef, /* svc #0 */
			},
	},
};

/* The probe as a file that only exists as a descriptor, or -1. */
static int probe_file(const struct probe *p)
{
	struct {
		Elf32_Ehdr header;
		Elf32_Phdr load;
		uint8_t code[PROBE_CODE_MAX];
	} image = {
		.header =
			{
				.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32,
					ELFDATA2LSB, EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = p->guest->elf_machine,
				.e_version = EV_CURRENT,
				.e_phoff = sizeof(Elf32_Ehdr),
				.e_flags = p->elf_flags,
				.e_ehsize = sizeof(Elf32_Ehdr),
				.e_phentsize = sizeof(Elf32_Phdr),
				.e_phnum = 1,
			},
		.load =
			{
				.p_type = PT_LOAD,
				.p_vaddr = PROBE_ADDRESS,
				.p_paddr = PROBE_ADDRESS,
				.p_flags = PF_R | PF_X,
				.p_align = PROBE_ALIGN,
			},
	};

	image.header.e_entry = PROBE_ADDRESS + sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr);
	image.load.p_filesz = image.load.p_memsz = sizeof(image);
	memcpy(image.code, p->code, sizeof(image.code));

	auto_fd int fd = memfd_create("whittle-probe", MFD_CLOEXEC | MFD_EXEC);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("whittle-probe", MFD_CLOEXEC);
	if (fd < 0 || write_all(fd, &image, sizeof(image)) < 0)
		return -1;
	return take_fd(fd);
}

/* In the child: async-signal-safe calls only. */
__attribute__((noreturn)) static void probe_exec(int fd)
{
	char name[] = "probe";
	char *argv[] = {name, NULL}, *envp[] = {NULL};
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGALRM, SIG_DFL);
	alarm(PROBE_SECONDS);
	/* Under PER_LINUX32 even a native program would see the 32-bit name. */
	personality(PER_LINUX);
	syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
	_exit(PROBE_NO_EXEC);
}

static bool probe_runs(const struct probe *p)
{
	auto_fd int fd = probe_file(p);
	int status;
	pid_t pid;

	if (fd < 0)
		return false;
	pid = fork();
	if (pid < 0)
		return false;
	if (pid == 0)
		probe_exec(fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool arch_host_runs(const struct arch *a)
{
	const struct arch *host = arch_host();

	if (a == host)
		return true;
	if (a->elf_machine == EM_ARM && host->elf_machine == EM_ARM) {
		char level[ARCH_VARIANT_SIZE];

		/* One ABI: the processor's level decides, whatever level this program was built
		 * for. */
		arch_host_variant(level);
		return strcmp(level[0] ? level : host->variant, a->variant) >= 0;
	}
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		if (probes[i].host == host && probes[i].guest->elf_machine == a->elf_machine)
			return probe_runs(&probes[i]);
	return false;
}
