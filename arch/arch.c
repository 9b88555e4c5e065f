#include "arch/arch.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "base/auto.h"
#include "base/fsutil.h"

/* The first core's block of /proc/cpuinfo is under 2 KiB on every ARM board seen. */
#define CPUINFO_SIZE 8192

static const struct arch *const table[] = {
	&arch_amd64,
	&arch_arm64,
	&arch_armv7,
	&arch_armv6,
	&arch_386,
	&arch_riscv64,
	&arch_ppc64le,
	&arch_s390x,
};

#define TABLE_LEN (sizeof(table) / sizeof(table[0]))

const struct arch *arch_at(size_t i)
{
	return i < TABLE_LEN ? table[i] : NULL;
}

static bool has_alias(const struct arch *a, const char *name)
{
	for (size_t i = 0; a->aliases[i]; i++)
		if (strcasecmp(a->aliases[i], name) == 0)
			return true;
	return false;
}

/* Whether a 64-bit entry without an own variant covers this one: "v1" to "v9", or "v8.1". */
static bool covers_level(const struct arch *a, const char *variant)
{
	if (!variant[0])
		return true;
	if (a != &arch_amd64 && a != &arch_arm64)
		return a == &arch_386; /* oci.md 1.7.3: the variant of 386 means nothing */
	if (*variant == 'v' || *variant == 'V')
		variant++;
	if (*variant < '1' || *variant > '9')
		return false;
	if (a == &arch_arm64 && variant[0] != '8' && variant[0] != '9')
		return false;
	if (!variant[1])
		return true;
	return a == &arch_arm64 && variant[1] == '.' && variant[2] >= '0' && variant[2] <= '9' &&
	       !variant[3];
}

static const struct arch *find_arm(const char *variant)
{
	if (*variant == 'v' || *variant == 'V')
		variant++;
	if (!variant[0] || strcmp(variant, "7") == 0 || strcmp(variant, "8") == 0)
		return &arch_armv7;
	return strcmp(variant, "6") == 0 ? &arch_armv6 : NULL;
}

const struct arch *arch_find(const char *architecture, const char *variant)
{
	if (!variant)
		variant = "";
	if (strcasecmp(architecture, "arm") == 0)
		return find_arm(variant);
	for (size_t i = 0; i < TABLE_LEN; i++) {
		const struct arch *a = table[i];

		if (has_alias(a, architecture) && a->variant[0])
			return a; /* armhf and armel say their variant themselves */
		if (strcasecmp(a->architecture, architecture) == 0 || has_alias(a, architecture))
			return covers_level(a, variant) ? a : NULL;
	}
	return NULL;
}

const struct arch *arch_from_elf(const void *header, size_t n)
{
	const uint8_t *h = header;

	if (n < ARCH_MAGIC_SIZE)
		return NULL;
	for (size_t i = 0; i < TABLE_LEN; i++) {
		const struct arch *a = table[i];
		size_t k = 0;

		while (k < ARCH_MAGIC_SIZE && (h[k] & a->mask[k]) == (a->magic[k] & a->mask[k]))
			k++;
		if (k == ARCH_MAGIC_SIZE)
			return a;
	}
	return NULL;
}

/* The value of the first "NAME<blanks>: value" line of text, its length in *ret_len; NULL when
 * there is none. */
static const char *cpuinfo_field(const char *text, const char *name, size_t *ret_len)
{
	size_t len = strlen(name);

	for (const char *line = text; line && *line;) {
		const char *end = strchrnul(line, '\n');
		const char *p = line + len;

		if (strncmp(line, name, len) == 0) {
			while (*p == ' ' || *p == '\t')
				p++;
			if (*p == ':') {
				p++;
				while (*p == ' ' || *p == '\t')
					p++;
				*ret_len = (size_t)(end - p);
				return p;
			}
		}
		line = *end ? end + 1 : NULL;
	}
	return NULL;
}

static const struct {
	const char *field;
	const char *variant;
} arm_levels[] = {
	{"8", "v8"},
	{"AArch64", "v8"},
	{"7", "v7"},
	{"7M", "v7"},
	{"?(12)", "v7"},
	{"?(13)", "v7"},
	{"?(14)", "v7"},
	{"?(15)", "v7"},
	{"?(16)", "v7"},
	{"?(17)", "v7"},
	{"6", "v6"},
	{"6TEJ", "v6"},
	{"5", "v5"},
	{"5T", "v5"},
	{"5TE", "v5"},
	{"5TEJ", "v5"},
	{"4", "v4"},
	{"4T", "v4"},
	{"3", "v3"},
};

static const char *arm_level(const char *field, size_t len)
{
	for (size_t i = 0; i < sizeof(arm_levels) / sizeof(arm_levels[0]); i++)
		if (strlen(arm_levels[i].field) == len &&
			strncasecmp(arm_levels[i].field, field, len) == 0)
			return arm_levels[i].variant;
	return "";
}

static const char *arm_level_of_machine(const char *machine)
{
	if (strcmp(machine, "aarch64") == 0 || strncmp(machine, "armv8", 5) == 0)
		return "v8";
	if (strncmp(machine, "armv7", 5) == 0)
		return "v7";
	if (strncmp(machine, "armv6", 5) == 0)
		return "v6";
	return strncmp(machine, "armv5", 5) == 0 ? "v5" : "";
}

void arch_arm_variant(const char *cpuinfo, const char *machine, char ret[ARCH_VARIANT_SIZE])
{
	static const char v6_model[] = "ARMv6-compatible";
	size_t len, model_len;
	const char *field = cpuinfo_field(cpuinfo, "CPU architecture", &len);
	const char *model = cpuinfo_field(cpuinfo, "model name", &model_len);
	const char *level;

	if (!field)
		level = arm_level_of_machine(machine);
	/* Kernels of the Raspberry Pi 1 and Zero say 7 for an ARM1176. */
	else if (len == 1 && *field == '7' && model && model_len >= sizeof(v6_model) - 1 &&
		 strncmp(model, v6_model, sizeof(v6_model) - 1) == 0)
		level = "v6";
	else
		level = arm_level(field, len);
	memcpy(ret, level, strlen(level) + 1);
}

void arch_host_variant(char ret[ARCH_VARIANT_SIZE])
{
	ret[0] = '\0';
	if (arch_host()->elf_machine != arch_armv7.elf_machine)
		return;

	auto_fd int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	char text[CPUINFO_SIZE];
	struct utsname uts;
	ssize_t n = fd < 0 ? 0 : read_full(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	if (uname(&uts) < 0)
		uts.machine[0] = '\0';
	arch_arm_variant(text, uts.machine, ret);
}

const struct arch *arch_host(void)
{
#if defined(__x86_64__)
	return &arch_amd64;
#elif defined(__aarch64__)
	return &arch_arm64;
#elif defined(__arm__) && __ARM_ARCH >= 7
	return &arch_armv7;
#elif defined(__arm__)
	return &arch_armv6;
#elif defined(__i386__)
	return &arch_386;
#elif defined(__riscv) && __riscv_xlen == 64
	return &arch_riscv64;
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	return &arch_ppc64le;
#elif defined(__s390x__)
	return &arch_s390x;
#else
#error "this architecture has no entry in arch/: add a file and a table entry"
#endif
}
