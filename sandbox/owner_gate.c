#include "sandbox/owner_gate.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "sandbox/mounts.h"
#include "sandbox/owner.h"

#define FILE_SIZE (OWNER_GATE_PAGE + sizeof(struct owner_index))

const char owner_gate_preload[] = "/dev/" OWNER_GATE_FOLDER "/" OWNER_GATE_LIBRARY "\n";

#if defined(__x86_64__) || defined(__aarch64__)
__asm__(".section .rodata\n"
	"gate_library: .incbin \"" OWNER_GATE_FILE "\"\n"
	"gate_library_end:\n"
	".text\n");
extern const char gate_library[] __attribute__((visibility("hidden")));
extern const char gate_library_end[] __attribute__((visibility("hidden")));
#else
static const char gate_library[1], *const gate_library_end = gate_library;
#endif

/* The call instruction and a return. */
static const unsigned char gate_code[] = {
#if defined(__x86_64__)
	0x0f, 0x05, /* syscall */
	0xc3,       /* ret */
#elif defined(__aarch64__)
	0x01, 0x00, 0x00, 0xd4, /* svc #0 */
	0xc0, 0x03, 0x5f, 0xd6, /* ret */
#else
	0,
#endif
};

static struct owner_index *map(int fd, off_t offset, struct err *err)
{
	void *at = mmap(NULL, offset + sizeof(struct owner_index), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED) {
		err_sys(err, "cannot map the index of recorded owners");
		return NULL;
	}
	return (struct owner_index *)((char *)at + offset);
}

static int fill(int dir, struct err *err)
{
	auto_fd int library = openat(dir, OWNER_GATE_LIBRARY, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0555);
	auto_fd int index = openat(dir, "index", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0444);

	if (library < 0 || index < 0 ||
		write_all(library, gate_library, (size_t)(gate_library_end - gate_library)) < 0 ||
		write_all(index, gate_code, sizeof(gate_code)) < 0 || ftruncate(index, FILE_SIZE) < 0)
		return err_sys(err, "cannot write the accelerator of recorded owners");
	return take_fd(index);
}

struct owner_index *owner_gate_mount(int rootfd, struct err *err)
{
	static const struct mount_option options[] = { { "mode", "0755" }, { "size", "2m" }, { NULL, NULL } };
	auto_fd int tmpfs = mount_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
	auto_fd int dev = open_in_root(rootfd, "dev", O_PATH | O_DIRECTORY, 0);
	auto_fd int index = -1;

	if (tmpfs < 0)
		return NULL;
	index = fill(tmpfs, err);
	if (index < 0)
		return NULL;
	if (dev < 0 || mkdirat(dev, OWNER_GATE_FOLDER, 0755) < 0) {
		err_sys(err, "cannot make a folder in /dev of the step");
		return NULL;
	}
	if (mount_attach_in_root(tmpfs, dev, OWNER_GATE_FOLDER, err) < 0)
		return NULL;
	return map(index, OWNER_GATE_PAGE, err);
}

struct owner_index *owner_index_new(struct err *err)
{
	void *at = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED) {
		err_sys(err, "cannot map the index of recorded owners");
		return NULL;
	}
	return (struct owner_index *)((char *)at + OWNER_GATE_PAGE);
}

void owner_index_free(struct owner_index *index)
{
	if (index)
		munmap((char *)index - OWNER_GATE_PAGE, FILE_SIZE);
}
