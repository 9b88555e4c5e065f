#include "sandbox/owner_asked.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"

/* ---- arguments and memory ---- */

uint64_t asked_arg(const struct asked *a, int position)
{
	if (position == NO_ARG)
		return 0;
	return a->arch->wide ? a->n->data.args[position] : (uint32_t)a->n->data.args[position];
}

uint32_t asked_id(const struct asked *a, int position)
{
	uint32_t id = (uint32_t)asked_arg(a, position);

	if (a->arch->wide || !(a->call->traits & OWNER_NARROW))
		return id;
	id &= UINT16_MAX;
	return id == UINT16_MAX ? CREDS_UNCHANGED : id;
}

int asked_read(const struct asked *a, uint64_t address, void *buf, size_t n)
{
	struct iovec here = { buf, n }, there = { (void *)(uintptr_t)address, n };

	return process_vm_readv(a->pid, &here, 1, &there, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

int asked_write(const struct asked *a, uint64_t address, const void *buf, size_t n)
{
	struct iovec here = { .iov_len = n }, there = { (void *)(uintptr_t)address, n };

	memcpy(&here.iov_base, &buf, sizeof(buf)); /* process_vm_writev() only reads it */
	if (!asked_stands(a))
		return -EFAULT;
	return process_vm_writev(a->pid, &here, 1, &there, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

/* To the end of one page after the other: the next may not be there. */
int asked_read_string(const struct asked *a, uint64_t address, char *buf, size_t size)
{
	const uint64_t page = 4096; /* or a part of one */

	if (address == 0)
		return -EFAULT;
	for (size_t len = 0; len < size;) {
		size_t n = (size_t)(page - (address + len) % page);

		if (n > size - len)
			n = size - len;
		if (asked_read(a, address + len, buf + len, n) < 0)
			return -EFAULT;
		if (memchr(buf + len, 0, n))
			return 0;
		len += n;
	}
	return -ENAMETOOLONG;
}

bool asked_stands(const struct asked *a)
{
	uint64_t id = a->n->id;

	return ioctl(a->o->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/* ---- credentials ---- */

const struct creds *asked_creds(const struct asked *a)
{
	struct rlimit now;

	if (prlimit(a->pid, RLIMIT_LOCKS, NULL, &now) < 0)
		return creds_get(a->o->creds, 0);
	return creds_get(a->o->creds, creds_from_limit(now.rlim_cur));
}

int asked_set_creds(const struct asked *a, const struct creds *c)
{
	int number = creds_intern(a->o->creds, c);
	struct rlimit limit = { .rlim_max = RLIM_INFINITY };

	if (number < 0)
		return -EAGAIN;
	if (creds_makes_foreign(c))
		atomic_store(&a->o->index->foreign, 1);
	owner_index_credentials(a->o->index, (unsigned)number, c);
	limit.rlim_cur = (rlim_t)creds_to_limit((unsigned)number);
	if (!asked_stands(a) || prlimit(a->pid, RLIMIT_LOCKS, &limit, NULL) < 0)
		return -ESRCH;
	return 0;
}

long asked_status(pid_t pid, const char *key, int base)
{
	auto_strbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	char name[32];
	const char *at, *end;

	snprintf(name, sizeof(name), "%d/status", (int)pid);
	if (read_file(AT_FDCWD, name, 64 << 10, &text, &ignored) < 0)
		return -1;
	at = strstr(text.buf, key);
	end = at ? strchr(at + 1, '\n') : NULL;
	if (!end)
		return -1;
	while (end[-1] != '\t' && end[-1] != ' ' && end[-1] != ':')
		end--;
	return strtol(end, NULL, base);
}

/* ---- places ---- */

void place_release(struct place *p)
{
	p->fd = close_fd(p->fd);
}

static const char *after(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(path, prefix, len) == 0 ? path + len : NULL;
}

static int64_t print(struct place *ret, pid_t pid, const char *what, const char *rest)
{
	int n = snprintf(ret->path, sizeof(ret->path), "%d/%s%s", (int)pid, what, rest);

	return n < (int)sizeof(ret->path) ? 0 : -ENAMETOOLONG;
}

/*
 * A path that means the process and not us: files of procfs, and the names of descriptors in /dev. "self" we can
 * translate; numbers are of the step's pid namespace and we leave them to the kernel.
 */
static bool find_own(const struct asked *a, const char *path, struct place *ret, int64_t *answer)
{
	static const char *const standard[] = { "/dev/stdin", "/dev/stdout", "/dev/stderr" };
	const char *rest = after(path, "/proc/self/");

	if (!rest)
		rest = after(path, "/proc/thread-self/");
	if (rest)
		return *answer = print(ret, a->pid, "", rest), true;
	rest = after(path, "/dev/fd/");
	if (rest)
		return *answer = print(ret, a->pid, "fd/", rest), true;
	for (int i = 0; i < 3; i++)
		if (strcmp(path, standard[i]) == 0)
			return *answer = print(ret, a->pid, "fd/", (const char *const[]){ "0", "1", "2" }[i]), true;
	rest = after(path, "/proc");
	if (rest && (*rest == '\0' || *rest == '/'))
		return *answer = ANSWER_CONTINUE, true;
	return false;
}

/* What the link of procfs says, without the prefix that the process's own root has. */
static int own_path_of(const struct asked *a, const char *link, char *buf, size_t size)
{
	char name[64], root[PATH_MAX];
	ssize_t n, m;

	snprintf(name, sizeof(name), "%d/root", (int)a->pid);
	n = readlink(name, root, sizeof(root) - 1);
	snprintf(name, sizeof(name), "%d/%s", (int)a->pid, link);
	m = readlink(name, buf, size - 1);
	if (n < 0 || m < 0)
		return -ESRCH;
	root[n] = buf[m] = '\0';
	if (n == 1) /* "/" */
		return 0;
	if (strncmp(buf, root, (size_t)n) != 0 || (buf[n] != '/' && buf[n] != '\0'))
		return -ENOENT; /* outside of its root */
	memmove(buf, buf + n, (size_t)(m - n) + 1);
	return 0;
}

/* A process that did chroot(2): absolute paths and links are of its own root. */
static int64_t find_in_foreign_root(const struct asked *a, const char *base, const char *path, int at, struct place *ret)
{
	char name[64], full[2 * PATH_MAX + 2] = "";
	auto_fd int root = -1;
	int rc = 0;

	snprintf(name, sizeof(name), "%d/root", (int)a->pid);
	root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return ANSWER_CONTINUE;
	if (path[0] != '/')
		rc = own_path_of(a, base, full, PATH_MAX);
	if (rc < 0)
		return ANSWER_CONTINUE;
	snprintf(full + strlen(full), sizeof(full) - strlen(full), "/%s", path);
	ret->fd = open_in_root(root, full, O_PATH | (at & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0), 0);
	if (ret->fd < 0)
		return -errno;
	ret->flags = 0;
	snprintf(ret->path, sizeof(ret->path), "self/fd/%d", ret->fd);
	return 0;
}

/* The place of a path that was read already. */
static int64_t find_path(const struct asked *a, int dirfd, const char *path, int at, struct place *ret)
{
	char base[32];
	int64_t answer;

	if (dirfd == AT_FDCWD)
		snprintf(base, sizeof(base), "cwd");
	else
		snprintf(base, sizeof(base), "fd/%d", dirfd);
	ret->flags = at & AT_SYMLINK_NOFOLLOW;
	if (path[0] != '/' && dirfd < 0 && dirfd != AT_FDCWD)
		return -EBADF;
	if (path[0] == '\0') {
		ret->flags = 0;
		return print(ret, a->pid, base, "");
	}
	if (path[0] == '/' && find_own(a, path, ret, &answer))
		return answer;
	if (asked_creds(a)->flags & CREDS_FOREIGN_ROOT)
		return find_in_foreign_root(a, base, path, at, ret);
	if (path[0] == '/') {
		snprintf(ret->path, sizeof(ret->path), "%s", path); /* read with less than PATH_MAX */
		return 0;
	}
	snprintf(base + strlen(base), sizeof(base) - strlen(base), "/");
	return print(ret, a->pid, base, path);
}

int64_t place_find(const struct asked *a, int dirfd_at, int path_at, int at, struct place *ret)
{
	int dirfd = dirfd_at == NO_ARG ? AT_FDCWD : (int)asked_arg(a, dirfd_at);
	char path[PATH_MAX];
	int rc;

	if (path_at == NO_ARG)
		return find_path(a, dirfd, "", at, ret);
	if (asked_arg(a, path_at) == 0 && (at & AT_EMPTY_PATH))
		return find_path(a, dirfd, "", at, ret); /* Linux 6.11 */
	rc = asked_read_string(a, asked_arg(a, path_at), path, sizeof(path));
	if (rc < 0 || (path[0] == '\0' && !(at & AT_EMPTY_PATH)))
		return ANSWER_CONTINUE; /* the kernel knows the right error */
	return find_path(a, dirfd, path, at, ret);
}

int64_t place_find_parent(const struct asked *a, int dirfd_at, int path_at, struct place *ret, char name[NAME_MAX + 1])
{
	int dirfd = dirfd_at == NO_ARG ? AT_FDCWD : (int)asked_arg(a, dirfd_at);
	char path[PATH_MAX];
	const char *last;
	char *slash;
	size_t len;

	if (asked_read_string(a, asked_arg(a, path_at), path, sizeof(path)) < 0)
		return ANSWER_CONTINUE;
	len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	slash = strrchr(path, '/');
	last = slash ? slash + 1 : path;
	if (strlen(last) > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, last, strlen(last) + 1);
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return ANSWER_CONTINUE;
	if (!slash)
		return find_path(a, dirfd, ".", 0, ret);
	slash[slash == path] = '\0';
	return find_path(a, dirfd, path, 0, ret);
}

/* ---- objects ---- */

static bool holds_attributes(const struct object *ob)
{
	return S_ISREG(ob->sx.stx_mode) || S_ISDIR(ob->sx.stx_mode);
}

int object_look(const struct asked *a, const struct place *p, unsigned mask, struct object *ret)
{
	mask |= STATX_BASIC_STATS | STATX_BTIME;
	if (statx(AT_FDCWD, p->path, p->flags, mask, &ret->sx) < 0)
		return -errno;
	ret->record = (struct owner_record){ 0 };
	/* A name of several, copied up, has another number than the index knows. */
	ret->recorded = (owner_table_may_have(a->o->table, ret->sx.stx_ino) ||
			(S_ISREG(ret->sx.stx_mode) && ret->sx.stx_nlink > 1)) &&
		((holds_attributes(ret) && owner_record_get_path(p->path, &ret->record)) ||
			owner_table_find(a->o->table, &ret->sx, &ret->record));
	ret->uid = ret->sx.stx_uid;
	ret->gid = ret->sx.stx_gid;
	if (ret->recorded)
		owner_record_resolve(&ret->record, ret->uid, ret->gid, &ret->uid, &ret->gid);
	return 0;
}

static int record(const struct owner *o, const struct place *p, const struct object *ob)
{
	uint64_t dev = makedev(ob->sx.stx_dev_major, ob->sx.stx_dev_minor);

	owner_table_mark(o->table, ob->sx.stx_ino);
	/* Never on files of the user that are bound into the step. */
	if (holds_attributes(ob) && (dev == o->root_dev || dev == o->store_dev)) {
		if (owner_record_put_path(p->path, &ob->record) == 0)
			return 0;
		if (errno == ENOENT || errno == EROFS)
			return -errno;
	}
	if (holds_attributes(ob))
		atomic_store(&o->index->beside_files, 1);
	return owner_table_put(o->table, &ob->sx, false, &ob->record);
}

int object_give(const struct asked *a, const struct place *p, struct object *ob, uint32_t uid, uint32_t gid, bool always)
{
	struct owner_record *r = &ob->record;
	uint32_t ids = a->o->ids;
	uid_t native_uid = uid == CREDS_UNCHANGED ? (uid_t)-1 : owner_native_id(uid, ids);
	gid_t native_gid = gid == CREDS_UNCHANGED ? (gid_t)-1 : owner_native_id(gid, ids);

	if (fchownat(AT_FDCWD, p->path, native_uid, native_gid, p->flags) < 0)
		return -errno;
	r->uid = uid == CREDS_UNCHANGED ? ob->uid : uid;
	r->gid = gid == CREDS_UNCHANGED ? ob->gid : gid;
	r->seen_uid = uid == CREDS_UNCHANGED ? ob->sx.stx_uid : native_uid;
	r->seen_gid = gid == CREDS_UNCHANGED ? ob->sx.stx_gid : native_gid;
	if (S_ISDIR(ob->sx.stx_mode) && r->gid != 0)
		atomic_store(&a->o->index->group_folders, 1);
	if (!ob->recorded && !always && !r->type && r->uid == r->seen_uid && r->gid == r->seen_gid)
		return 0;
	return record(a->o, p, ob);
}
