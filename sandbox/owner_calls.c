#include "sandbox/owner_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1u << 1)
#endif
#ifndef XATTR_LIST_MAX
#define XATTR_LIST_MAX 65536 /* <linux/limits.h> */
#endif

/* Names of attributes that are ours to write. */
#define OWN_PREFIX "user.whittle."

/* ---- giving away ---- */

/* Whether the process may: at OWNER_SPILL ids are real, and so are the kernel's rights. */
static bool is_root(const struct asked *a)
{
	char name[32];
	struct stat st;

	if (a->o->filter->level == OWNER_FULL)
		return creds_privileged(asked_creds(a));
	snprintf(name, sizeof(name), "%d", (int)a->pid);
	return stat(name, &st) == 0 && st.st_uid == 0;
}

static int may_chown(const struct asked *a, const struct object *ob, uint32_t uid, uint32_t gid)
{
	const struct creds *c = asked_creds(a);

	if (is_root(a))
		return 0;
	if (a->o->filter->level == OWNER_SPILL || c->fsuid != ob->uid)
		return -EPERM;
	if (uid != CREDS_UNCHANGED && uid != ob->uid)
		return -EPERM;
	return gid == CREDS_UNCHANGED || gid == ob->gid || creds_in_group(c, gid) ? 0 : -EPERM;
}

/*
 * A file of 0:0 needs no record, unless it lies in a folder that hands its group on: there the lack of one means that
 * it inherited the group (see inherited_group()).
 */
static bool folder_hands_on(const struct asked *a, const struct place *p)
{
	struct place folder = PLACE_INIT;
	struct object ob;
	char *slash;
	ssize_t n;

	if (!atomic_load(&a->o->index->group_folders))
		return false;
	folder = *p;
	folder.fd = -1;
	if (a->call->path == NO_ARG) { /* a descriptor: the link says where it is */
		n = readlink(p->path, folder.path, sizeof(folder.path) - 1);
		if (n <= 0 || folder.path[0] != '/')
			return false;
		folder.path[n] = '\0';
	}
	slash = strrchr(folder.path, '/');
	if (!slash)
		return false;
	slash[slash == folder.path] = '\0';
	folder.flags = 0;
	return object_look(a, &folder, 0, &ob) == 0 && (ob.sx.stx_mode & S_ISGID) && ob.gid != 0;
}

/*
 * The last link of a path may lead to a file of procfs ("log -> /dev/stdout"), which for us means somebody else.
 * Returns whether p was changed to where it leads for the process.
 */
static bool follow_to_descriptor(const struct asked *a, struct place *p)
{
	char target[64];
	ssize_t n = readlink(p->path, target, sizeof(target) - 1);
	unsigned fd;
	char end;

	if (n <= 0)
		return false;
	target[n] = '\0';
	if (strcmp(target, "/dev/stdout") == 0)
		fd = 1;
	else if (strcmp(target, "/dev/stderr") == 0)
		fd = 2;
	else if (strcmp(target, "/dev/stdin") == 0)
		fd = 0;
	else if (sscanf(target, "/proc/self/fd/%u%c", &fd, &end) != 1 && sscanf(target, "/dev/fd/%u%c", &fd, &end) != 1)
		return false;
	snprintf(p->path, sizeof(p->path), "%d/fd/%u", (int)a->pid, fd);
	return true;
}

static int64_t change_owner(const struct asked *a, struct place *p, uint32_t uid, uint32_t gid)
{
	struct object ob;
	bool always;
	int rc = object_look(a, p, 0, &ob);

	for (int links = 0; rc == -ENOENT && !p->flags && links < 8 && follow_to_descriptor(a, p); links++)
		rc = object_look(a, p, 0, &ob);
	if (rc == 0)
		rc = may_chown(a, &ob, uid, gid);
	if (rc < 0)
		return rc;
	always = a->o->filter->level == OWNER_FULL && !ob.recorded && folder_hands_on(a, p);
	return object_give(a, p, &ob, uid, gid, always);
}

static int64_t answer_chown(const struct asked *a)
{
	struct place p = PLACE_INIT;
	int at = a->call->implied | (int)asked_arg(a, a->call->flags);
	int64_t answer = place_find(a, a->call->dirfd, a->call->path, at, &p);

	if (answer == 0)
		answer = change_owner(a, &p, asked_id(a, a->call->arg), asked_id(a, a->call->arg2));
	place_release(&p);
	return answer;
}

/* ---- making ---- */

/* The folder in which something is to be made, opened. */
struct making {
	struct place folder;
	int fd;
	char name[NAME_MAX + 1];
	uint32_t uid, gid; /* whose it will be */
	mode_t umask;
};

static void making_release(struct making *m)
{
	place_release(&m->folder);
	m->fd = close_fd(m->fd);
}

/* A setgid folder hands its group on. */
static bool inherited_group(const struct asked *a, const struct making *m, uint32_t *gid)
{
	struct object ob;

	if (!atomic_load(&a->o->index->group_folders) || object_look(a, &m->folder, 0, &ob) < 0 ||
		!(ob.sx.stx_mode & S_ISGID))
		return false;
	*gid = ob.gid;
	return *gid != 0;
}

/*
 * Prepare to make something for the process. Returns 0; or ANSWER_CONTINUE: the kernel makes it right by itself (it is
 * root's, or the path is none of ours); or -errno.
 */
static int64_t making_start(const struct asked *a, bool always, struct making *m)
{
	const struct creds *c = asked_creds(a);
	int64_t answer;

	m->folder = (struct place)PLACE_INIT;
	m->fd = -1;
	if (!always && !creds_makes_foreign(c) && !atomic_load(&a->o->index->group_folders))
		return ANSWER_CONTINUE;
	m->uid = c->fsuid;
	m->gid = c->fsgid;
	m->umask = (mode_t)c->umask;
	if (a->o->filter->level == OWNER_SPILL) { /* root's, as the kernel makes it; umask(2) was not followed */
		long mask = asked_status(a->pid, "\nUmask:", 8);

		m->uid = m->gid = CREDS_UNCHANGED;
		m->umask = mask < 0 ? 022 : (mode_t)mask;
	}
	answer = place_find_parent(a, a->call->dirfd, a->call->path, &m->folder, m->name);
	if (answer != 0)
		return answer;
	if (!inherited_group(a, m, &m->gid) && !always && !creds_makes_foreign(c))
		return ANSWER_CONTINUE;
	m->fd = open(m->folder.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return m->fd < 0 ? -errno : 0;
}

/* Give what was just made to whom it belongs. */
static int give_new(const struct asked *a, const struct place *p, const struct owner_record *as)
{
	struct object ob;
	int rc = object_look(a, p, 0, &ob);

	if (rc < 0)
		return rc;
	ob.record = *as;
	return object_give(a, p, &ob, as->uid, as->gid, false);
}

/* The same for m->name. */
static int64_t making_finish(const struct asked *a, struct making *m, const struct owner_record *as)
{
	struct place p = PLACE_INIT;

	snprintf(p.path, sizeof(p.path), "self/fd/%d/%s", m->fd, m->name);
	p.flags = AT_SYMLINK_NOFOLLOW;
	return give_new(a, &p, as);
}

/*
 * Only the case that makes a file is ours: an existing one is opened by the kernel, so that we never wait for a fifo or
 * truncate on behalf of somebody.
 */
static int64_t open_new(const struct asked *a, struct making *m, int flags, mode_t mode)
{
	struct seccomp_notif_addfd add = { .id = a->n->id, .flags = SECCOMP_ADDFD_FLAG_SEND,
		.newfd_flags = flags & O_CLOEXEC };
	struct owner_record record = { .uid = m->uid, .gid = m->gid };
	struct place p = PLACE_INIT;
	bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	auto_fd int fd = -1;
	int rc;

	if (unnamed) {
		snprintf(p.path, sizeof(p.path), "self/fd/%d/%s", m->fd, m->name);
		fd = open(p.path, flags | O_CLOEXEC, mode & ~m->umask & 07777);
	} else {
		flags = (flags & ~O_TRUNC) | O_CREAT | O_EXCL | O_NOFOLLOW;
		fd = openat(m->fd, m->name, flags | O_CLOEXEC, mode & ~m->umask & 07777);
	}
	if (fd < 0)
		return ANSWER_CONTINUE; /* it exists, or the kernel says why not */
	snprintf(p.path, sizeof(p.path), "self/fd/%d", fd);
	rc = give_new(a, &p, &record);
	if (rc < 0)
		return rc;
	add.srcfd = (uint32_t)fd;
	return ioctl(a->o->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno : ANSWER_SENT;
}

static int64_t answer_open(const struct asked *a)
{
	struct making m;
	int64_t answer = making_start(a, false, &m);

	if (answer == 0)
		answer = open_new(a, &m, a->call->implied | (int)asked_arg(a, a->call->arg),
			(mode_t)asked_arg(a, a->call->arg2));
	else if (answer < 0)
		answer = ANSWER_CONTINUE;
	making_release(&m);
	return answer;
}

static int64_t answer_mkdir(const struct asked *a)
{
	struct making m;
	int64_t answer = making_start(a, false, &m);
	struct owner_record record;

	if (answer == 0) {
		record = (struct owner_record){ .uid = m.uid, .gid = m.gid };
		answer = mkdirat(m.fd, m.name, (mode_t)asked_arg(a, a->call->arg) & ~m.umask & 07777) < 0 ?
				 -errno : making_finish(a, &m, &record);
	}
	making_release(&m);
	return answer;
}

static int64_t answer_symlink(const struct asked *a)
{
	struct making m;
	char target[PATH_MAX];
	int64_t answer = making_start(a, false, &m);
	struct owner_record record;

	if (answer == 0) {
		record = (struct owner_record){ .uid = m.uid, .gid = m.gid };
		answer = asked_read_string(a, asked_arg(a, a->call->arg), target, sizeof(target));
		if (answer == 0)
			answer = symlinkat(target, m.fd, m.name) < 0 ? -errno : making_finish(a, &m, &record);
	}
	making_release(&m);
	return answer;
}

/* A device node is an empty file with a record; the rest can be made. */
static int64_t make_node(const struct asked *a, struct making *m, mode_t mode, dev_t dev)
{
	bool device = S_ISCHR(mode) || S_ISBLK(mode);
	struct owner_record record = { .uid = m->uid, .gid = m->gid };
	mode_t bits = mode & ~m->umask & 07777;

	if (device) {
		auto_fd int fd = openat(m->fd, m->name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, bits);

		if (fd < 0)
			return -errno;
		record.type = mode & S_IFMT;
		record.major = major(dev);
		record.minor = minor(dev);
	} else if (mknodat(m->fd, m->name, (mode & S_IFMT) | bits, 0) < 0) {
		return -errno;
	}
	return making_finish(a, m, &record);
}

static int64_t answer_mknod(const struct asked *a)
{
	mode_t mode = (mode_t)asked_arg(a, a->call->arg);
	bool device = S_ISCHR(mode) || S_ISBLK(mode);
	struct making m;
	int64_t answer;

	if (device && !is_root(a))
		return -EPERM;
	answer = making_start(a, device, &m);
	if (answer == 0) {
		answer = make_node(a, &m, mode, (dev_t)(uint32_t)asked_arg(a, a->call->arg2));
	}
	making_release(&m);
	return answer;
}

/* ---- attributes ---- */

/* Records are written by nobody else; tools that copy attributes take "not supported" for an answer. */
static int64_t answer_set_xattr(const struct asked *a)
{
	char name[sizeof(OWN_PREFIX)];
	int rc = asked_read_string(a, asked_arg(a, a->call->arg), name, sizeof(name));

	/* Longer than the prefix, or equal to it: a shorter name is never ours. */
	if (rc != -ENAMETOOLONG || strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) != 0)
		return ANSWER_CONTINUE;
	return -EOPNOTSUPP;
}

static int64_t list_others(const struct asked *a, const struct place *p)
{
	auto_free char *list = xmalloc(XATTR_LIST_MAX);
	ssize_t n = p->flags ? llistxattr(p->path, list, XATTR_LIST_MAX) : listxattr(p->path, list, XATTR_LIST_MAX);
	size_t size = (size_t)asked_arg(a, a->call->arg2), kept = 0;

	for (ssize_t at = 0; at < n;) {
		size_t len = strlen(list + at) + 1;

		if (strncmp(list + at, OWN_PREFIX, strlen(OWN_PREFIX)) != 0) {
			memmove(list + kept, list + at, len);
			kept += len;
		}
		at += (ssize_t)len;
	}
	if (n < 0)
		return -errno;
	if (size == 0)
		return (int64_t)kept;
	if (kept > size)
		return -ERANGE;
	return kept && asked_write(a, asked_arg(a, a->call->arg), list, kept) < 0 ? -EFAULT : (int64_t)kept;
}

static int64_t answer_list_xattr(const struct asked *a)
{
	struct place p = PLACE_INIT;
	struct object ob;
	int64_t answer = ANSWER_CONTINUE;

	if (place_find(a, a->call->dirfd, a->call->path, a->call->implied, &p) == 0 &&
		object_look(a, &p, 0, &ob) == 0 && ob.recorded)
		answer = list_others(a, &p);
	place_release(&p);
	return answer;
}

int64_t owner_answer(const struct asked *a)
{
	switch (a->call->op) {
	case OWNER_CHOWN:
		return answer_chown(a);
	case OWNER_MKNOD:
		return answer_mknod(a);
	case OWNER_STAT:
		return owner_stat(a);
	case OWNER_STATX:
		return owner_statx(a);
	case OWNER_OPEN:
		return answer_open(a);
	case OWNER_MKDIR:
		return answer_mkdir(a);
	case OWNER_SYMLINK:
		return answer_symlink(a);
	case OWNER_GET_ID:
		return owner_get_id(a);
	case OWNER_GET_IDS:
		return owner_get_ids(a);
	case OWNER_GET_GROUPS:
		return owner_get_groups(a);
	case OWNER_SET_ID:
		return owner_set_id(a);
	case OWNER_SET_GROUPS:
		return owner_set_groups(a);
	case OWNER_UMASK:
		return owner_umask(a);
	case OWNER_EXEC:
		return owner_exec(a);
	case OWNER_CHROOT:
		return owner_chroot(a);
	case OWNER_PRCTL:
		return owner_prctl(a);
	case OWNER_PEERCRED:
		return owner_peercred(a);
	case OWNER_SET_XATTR:
		return answer_set_xattr(a);
	case OWNER_LIST_XATTR:
		return answer_list_xattr(a);
	case OWNER_KEEP_LIMIT:
	case OWNER_ABSENT:
		break; /* the filter answers */
	}
	return ANSWER_CONTINUE;
}
