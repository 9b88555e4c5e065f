#include "sandbox/devices.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "sandbox/mounts.h"

static const struct {
	const char *name;
	unsigned major, minor;
} nodes[] = {
	{ "null", 1, 3 },
	{ "zero", 1, 5 },
	{ "full", 1, 7 },
	{ "random", 1, 8 },
	{ "urandom", 1, 9 },
	{ "tty", 5, 0 },
};

static const struct {
	const char *name, *target;
} links[] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

/* A bind of the host's own node: a user namespace may not make one. */
static int bind_node(int dev, const char *name, unsigned maj, unsigned min, struct err *err)
{
	char host[64];
	struct stat st;
	auto_fd int target = -1;
	auto_fd int clone = -1;

	snprintf(host, sizeof(host), "/dev/%s", name);
	clone = mount_clone(AT_FDCWD, host, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	if (clone < 0)
		return -1;
	if (fstat(clone, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(maj, min))
		return err_set(err, ERR_SANDBOX, "%s of this host is not character device %u:%u", host, maj,
			min);
	target = openat(dev, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
	if (target < 0)
		return err_sys(err, "cannot create %s", host);
	return mount_attach(clone, target, host, err);
}

/* Fill the tmpfs dev, which is attached already: only then can nodes be bound below it. */
static int fill(int dev, struct err *err)
{
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (bind_node(dev, nodes[i].name, nodes[i].major, nodes[i].minor, err) < 0)
			return -1;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0)
			return err_sys(err, "cannot create /dev/%s", links[i].name);
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0 ||
		mkdirat(dev, "mqueue", 0755) < 0)
		return err_sys(err, "cannot create a folder in /dev");
	return 0;
}

int devices_mount(int rootfd, uint64_t shm_size, struct err *err)
{
	char size[24];
	/* Without nr_inodes a step could fill half of the machine's memory with empty files. */
	static const struct mount_option tmpfs[] = { { "mode", "0755" }, { "size", "64k" }, { "nr_inodes", "1k" },
		{ NULL, NULL } };
	static const struct mount_option pts[] = { { "newinstance", NULL }, { "ptmxmode", "0666" },
		{ "mode", "0620" }, { NULL, NULL } };
	const struct mount_option shm[] = { { "mode", "1777" }, { "size", size }, { "nr_inodes", "64k" },
		{ NULL, NULL } };
	auto_fd int dev = mount_new("tmpfs", tmpfs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	auto_fd int new_pts = -1;
	auto_fd int new_shm = -1;

	if (dev < 0 || mount_attach_on_folder(dev, rootfd, "dev", err) < 0 || fill(dev, err) < 0)
		return -1;
	new_pts = mount_new("devpts", pts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	if (new_pts < 0 || mount_attach_in_root(new_pts, dev, "pts", err) < 0)
		return -1;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)shm_size);
	new_shm = mount_new("tmpfs", shm, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
	if (new_shm < 0)
		return -1;
	return mount_attach_in_root(new_shm, dev, "shm", err);
}
