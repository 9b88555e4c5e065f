#include "cross/qemu.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"

#define PHDRS_MAX 64 /* program headers looked at; qemu has about a dozen */

/* Whether path is an ELF program of this host without PT_INTERP. */
static bool is_static_elf(const char *path)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr eh; /* a 32-bit header is shorter and is told apart by its class */

	if (fd < 0 || read_full(fd, &eh, sizeof(eh)) != (ssize_t)sizeof(eh) ||
		memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	if (eh.e_ident[EI_CLASS] == ELFCLASS64) {
		for (unsigned i = 0; i < eh.e_phnum && i < PHDRS_MAX; i++) {
			Elf64_Phdr ph;

			if (pread(fd, &ph, sizeof(ph), (off_t)(eh.e_phoff + i * sizeof(ph))) != (ssize_t)sizeof(ph) ||
				ph.p_type == PT_INTERP)
				return false;
		}
		return true;
	}
	Elf32_Ehdr eh32;

	memcpy(&eh32, &eh, sizeof(eh32));
	for (unsigned i = 0; i < eh32.e_phnum && i < PHDRS_MAX; i++) {
		Elf32_Phdr ph;

		if (pread(fd, &ph, sizeof(ph), (off_t)(eh32.e_phoff + i * sizeof(ph))) != (ssize_t)sizeof(ph) ||
			ph.p_type == PT_INTERP)
			return false;
	}
	return true;
}

static char *look_in(const char *folder, size_t len, const struct arch *a, bool *dynamic)
{
	for (size_t i = 0; len && a->qemu_names[i]; i++) {
		auto_free char *path = xasprintf("%.*s/%s", (int)len, folder, a->qemu_names[i]);

		if (access(path, X_OK) < 0)
			continue;
		if (is_static_elf(path))
			return take_ptr(path);
		log_debug("%s is dynamically linked and cannot be used", path);
		*dynamic = true;
	}
	return NULL;
}

char *qemu_find(const struct arch *a, struct err *err)
{
	const char *own = getenv("WHITTLE_QEMU_DIR"), *path = getenv("PATH");
	bool dynamic = false;
	char *found = own ? look_in(own, strlen(own), a, &dynamic) : NULL;

	for (path = path ? path : ""; !found && *path;) {
		size_t len = strcspn(path, ":");

		found = look_in(path, len, a, &dynamic);
		path += len + (path[len] == ':');
	}
	if (!found)
		found = look_in("/usr/bin", strlen("/usr/bin"), a, &dynamic);
	if (!found)
		err_set(err, ERR_NOT_FOUND, "no %s emulator for %s%s%s: install qemu-user-static",
			dynamic ? "statically linked" : "qemu-user", a->architecture, *a->variant ? "/" : "",
			a->variant);
	return found;
}

int qemu_check_env(const struct strv *env, struct err *err)
{
	/* Each turns the emulator into something else than a machine. */
	static const char *const names[] = { "QEMU_VERSION", "QEMU_GDB", "QEMU_SINGLESTEP", "QEMU_STACK_SIZE",
		"QEMU_LD_PREFIX", "QEMU_RESERVED_VA", NULL };

	for (size_t i = 0; names[i]; i++)
		if (strv_env_get(env, names[i]))
			return err_set(err, ERR_UNSUPPORTED,
				"the step sets %s, which qemu-user takes for itself: rename the ARG or ENV", names[i]);
	return 0;
}
