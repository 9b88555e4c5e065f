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

static int mount_shm(int dev, uint64_t shm_size, struct err *err)
{
	char size[24];
	const struct mount_option shm[] = { { "mode", "1777" }, { "size", size }, { "nr_inodes", "64k" },
		{ NULL, NULL } };
	auto_fd int fd = -1;

	snprintf(size, sizeof(size), "%llu", (unsigned long long)shm_size);
	fd = mount_new("tmpfs", shm, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
	return fd < 0 ? -1 : mount_attach_in_root(fd, dev, "shm", err);
}

/* On the folder place. */
static int mount_dev(int place, uint64_t shm_size, struct err *err)
{
	/* Without nr_inodes a step could fill half of the machine's memory with empty files. */
	static const struct mount_option tmpfs[] = { { "mode", "0755" }, { "size", "64k" }, { "nr_inodes", "1k" },
		{ NULL, NULL } };
	static const struct mount_option pts[] = { { "newinstance", NULL }, { "ptmxmode", "0666" },
		{ "mode", "0620" }, { NULL, NULL } };
	auto_fd int dev = mount_new("tmpfs", tmpfs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	auto_fd int new_pts = -1;

	if (dev < 0 || mount_attach(dev, place, "/dev", err) < 0 || fill(dev, err) < 0)
		return -1;
	new_pts = mount_new("devpts", pts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	if (new_pts < 0 || mount_attach_in_root(new_pts, dev, "pts", err) < 0)
		return -1;
	return mount_shm(dev, shm_size, err);
}

int devices_make(const char *folder, uint64_t shm_size, struct err *err)
{
	auto_fd int place = open_no_symlinks(AT_FDCWD, folder, O_PATH | O_DIRECTORY, 0);
	auto_fd int dev = -1;

	if (place < 0)
		return err_sys(err, "cannot open '%s'", folder);
	if (mount_dev(place, shm_size, err) < 0)
		return -1;
	dev = mount_clone(AT_FDCWD, folder, true, 0, err);
	if (umount2(folder, MNT_DETACH) < 0 && dev >= 0)
		return err_sys(err, "cannot take a /dev off '%s'", folder);
	return take_fd(dev);
}

int devices_mount(int rootfd, int ready, uint64_t shm_size, struct err *err)
{
	auto_fd int place = -1;

	if (ready >= 0)
		return mount_attach_on_folder(ready, rootfd, "dev", err);
	place = mount_point_folder(rootfd, "dev", err);
	return place < 0 ? -1 : mount_dev(place, shm_size, err);
}
