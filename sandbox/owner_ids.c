#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "sandbox/owner_calls.h"

/* Whether ids travel in 16 bits in this call. */
static bool is_narrow(const struct asked *a)
{
	return !a->arch->wide && (a->call->traits & OWNER_NARROW);
}

/* What does not fit shows as the overflow id of the kernel. */
static uint32_t shown(const struct asked *a, uint32_t id)
{
	return is_narrow(a) && id > UINT16_MAX ? 65534 : id;
}

int64_t owner_get_id(const struct asked *a)
{
	const struct creds *c = asked_creds(a);
	uint32_t id = a->call->id == OWNER_RUID ? c->ruid :
		      a->call->id == OWNER_EUID ? c->euid :
		      a->call->id == OWNER_RGID ? c->rgid :
						  c->egid;

	return shown(a, id);
}

static int write_id(const struct asked *a, uint64_t address, uint32_t id)
{
	uint16_t small = (uint16_t)shown(a, id);

	return is_narrow(a) ? asked_write(a, address, &small, sizeof(small)) :
			      asked_write(a, address, &id, sizeof(id));
}

int64_t owner_get_ids(const struct asked *a)
{
	const struct creds *c = asked_creds(a);
	bool users = a->call->id == OWNER_RESUID;
	uint32_t ids[3] = { users ? c->ruid : c->rgid, users ? c->euid : c->egid, users ? c->suid : c->sgid };

	for (int i = 0; i < 3; i++)
		if (write_id(a, asked_arg(a, i), ids[i]) < 0)
			return -EFAULT;
	return 0;
}

int64_t owner_get_groups(const struct asked *a)
{
	const struct creds *c = asked_creds(a);
	int size = (int)asked_arg(a, 0);

	if (size < 0)
		return -EINVAL;
	if (size == 0 || c->ngroups == 0)
		return (int64_t)c->ngroups;
	if ((size_t)size < c->ngroups)
		return -EINVAL;
	if (!is_narrow(a))
		return asked_write(a, asked_arg(a, 1), c->groups, c->ngroups * sizeof(*c->groups)) < 0 ?
			       -EFAULT : (int64_t)c->ngroups;
	for (size_t i = 0; i < c->ngroups; i++)
		if (write_id(a, asked_arg(a, 1) + i * sizeof(uint16_t), c->groups[i]) < 0)
			return -EFAULT;
	return (int64_t)c->ngroups;
}

int64_t owner_set_id(const struct asked *a)
{
	struct creds c = *asked_creds(a);
	uint32_t x = asked_id(a, 0), y = 0, z = 0;
	int64_t answer = 0;

	if (a->call->id == OWNER_REUID || a->call->id == OWNER_REGID || a->call->id == OWNER_RESUID ||
		a->call->id == OWNER_RESGID)
		y = asked_id(a, 1);
	if (a->call->id == OWNER_RESUID || a->call->id == OWNER_RESGID)
		z = asked_id(a, 2);
	switch (a->call->id) {
	case OWNER_UID:
		answer = creds_setuid(&c, x);
		break;
	case OWNER_GID:
		answer = creds_setgid(&c, x);
		break;
	case OWNER_REUID:
		answer = creds_setreuid(&c, x, y);
		break;
	case OWNER_REGID:
		answer = creds_setregid(&c, x, y);
		break;
	case OWNER_RESUID:
		answer = creds_setresuid(&c, x, y, z);
		break;
	case OWNER_RESGID:
		answer = creds_setresgid(&c, x, y, z);
		break;
	case OWNER_FSUID:
		answer = shown(a, creds_setfsuid(&c, x));
		break;
	case OWNER_FSGID:
		answer = shown(a, creds_setfsgid(&c, x));
		break;
	default:
		return ANSWER_CONTINUE;
	}
	if (answer >= 0) {
		int rc = asked_set_creds(a, &c);

		if (rc < 0)
			return rc;
	}
	return answer;
}

/* In the order of the kernel's list, which is sorted. */
static int compare_ids(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return a < b ? -1 : a > b;
}

int64_t owner_set_groups(const struct asked *a)
{
	struct creds c = *asked_creds(a);
	size_t n = (size_t)asked_arg(a, 0), width = is_narrow(a) ? sizeof(uint16_t) : sizeof(uint32_t);
	auto_free uint32_t *groups = NULL;
	auto_free uint16_t *small = NULL;
	int rc;

	if (!creds_privileged(&c))
		return -EPERM;
	if (n > CREDS_GROUPS_MAX)
		return -EINVAL;
	groups = xcalloc(n + 1, sizeof(*groups));
	small = xcalloc(n + 1, sizeof(*small));
	if (n && asked_read(a, asked_arg(a, 1), width == sizeof(*small) ? (void *)small : groups, n * width) < 0)
		return -EFAULT;
	for (size_t i = 0; i < n && width == sizeof(*small); i++)
		groups[i] = small[i];
	qsort(groups, n, sizeof(*groups), compare_ids);
	rc = creds_setgroups(&c, groups, n);
	return rc < 0 ? rc : asked_set_creds(a, &c);
}

/* Followed, so that what we make for the process gets the mode that it would have. */
int64_t owner_umask(const struct asked *a)
{
	struct creds c = *asked_creds(a);
	uint32_t mask = (uint32_t)asked_arg(a, 0) & 0777;

	if (c.umask != mask) {
		c.umask = mask;
		if (asked_set_creds(a, &c) == -EAGAIN)
			return -EAGAIN;
	}
	return ANSWER_CONTINUE;
}

/* Scripts have no set-id bits: the kernel looks at those of their interpreter. */
static bool is_script(const struct place *p)
{
	auto_fd int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char start[2];

	return fd >= 0 && read_full(fd, start, sizeof(start)) == (ssize_t)sizeof(start) && memcmp(start, "#!", 2) == 0;
}

/*
 * Only looked at. A failed exec leaves raised ids behind, which is accepted: the program may take them anyway by
 * executing something else.
 */
int64_t owner_exec(const struct asked *a)
{
	struct place p = PLACE_INIT;
	struct object ob;
	struct creds c = *asked_creds(a), before = c;
	unsigned mode = 0;
	int at = (int)asked_arg(a, a->call->flags);

	if (place_find(a, a->call->dirfd, a->call->path, at, &p) == 0 && object_look(a, &p, 0, &ob) == 0 &&
		S_ISREG(ob.sx.stx_mode) && (ob.sx.stx_mode & (S_ISUID | S_ISGID)) && !is_script(&p))
		mode = ob.sx.stx_mode;
	place_release(&p);
	creds_exec(&c, mode, mode ? ob.uid : 0, mode ? ob.gid : 0);
	if (memcmp(&c, &before, sizeof(c)) != 0)
		asked_set_creds(a, &c);
	return ANSWER_CONTINUE;
}

int64_t owner_chroot(const struct asked *a)
{
	struct creds c = *asked_creds(a);

	if (!creds_privileged(&c))
		return -EPERM;
	c.flags |= CREDS_FOREIGN_ROOT;
	if (asked_set_creds(a, &c) == -EAGAIN)
		return -EAGAIN;
	return ANSWER_CONTINUE;
}

int64_t owner_prctl(const struct asked *a)
{
	struct creds c = *asked_creds(a);
	bool keep = asked_arg(a, 0) == PR_SET_KEEPCAPS ? asked_arg(a, 1) == 1 :
							 (asked_arg(a, 1) & SECBIT_KEEP_CAPS) != 0;

	c.flags = keep ? c.flags | CREDS_KEEPCAPS : c.flags & ~(unsigned)CREDS_KEEPCAPS;
	asked_set_creds(a, &c);
	return ANSWER_CONTINUE;
}

/* Who is at the other end of a unix socket: the kernel says 0:0 of everybody here. */
int64_t owner_peercred(const struct asked *a)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct rlimit limit;
	const struct creds *c;
	uint32_t size;
	auto_fd int pidfd = (int)syscall(SYS_pidfd_open, a->pid, 0);
	auto_fd int sock = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, (int)asked_arg(a, 0), 0);

	if (sock < 0 || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0 ||
		prlimit(peer.pid, RLIMIT_LOCKS, NULL, &limit) < 0)
		return ANSWER_CONTINUE;
	c = creds_get(a->o->creds, creds_from_limit(limit.rlim_cur));
	peer.pid = (pid_t)asked_status(peer.pid, "\nNSpid:", 10); /* in the innermost namespace */
	peer.uid = c->euid;
	peer.gid = c->egid;
	if (peer.pid <= 0 || asked_read(a, asked_arg(a, a->call->arg2), &size, sizeof(size)) < 0)
		return ANSWER_CONTINUE;
	if (size > sizeof(peer))
		size = sizeof(peer);
	if (asked_write(a, asked_arg(a, a->call->arg), &peer, size) < 0 ||
		asked_write(a, asked_arg(a, a->call->arg2), &size, sizeof(size)) < 0)
		return -EFAULT;
	return 0;
}
