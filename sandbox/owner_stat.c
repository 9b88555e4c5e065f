#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/auto.h"
#include "sandbox/owner_calls.h"

/*
 * struct stat64 of i386 and arm, which differ in padding alone: on arm 64-bit members are aligned to 8 bytes
 * (arch/x86/include/uapi/asm/stat.h, arch/arm/include/uapi/asm/stat.h of Linux).
 */
struct stat64_i386 {
	uint64_t dev;
	uint8_t pad0[4];
	uint32_t ino_low, mode, nlink, uid, gid;
	uint64_t rdev;
	uint8_t pad3[4];
	int64_t size;
	uint32_t blksize;
	uint64_t blocks;
	uint32_t atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
	uint64_t ino;
} __attribute__((packed));
_Static_assert(sizeof(struct stat64_i386) == 96, "as in the kernel");

struct stat64_arm {
	uint64_t dev;
	uint8_t pad0[4];
	uint32_t ino_low, mode, nlink, uid, gid;
	uint64_t rdev;
	uint8_t pad3[8];
	int64_t size;
	uint32_t blksize, pad4;
	uint64_t blocks;
	uint32_t atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
	uint64_t ino;
} __attribute__((packed));
_Static_assert(sizeof(struct stat64_arm) == 104, "as in the kernel");

#define AUDIT_ARM 0x40000028u

/* Type and device of an emulated node. */
static uint32_t mode_of(const struct object *ob)
{
	return ob->recorded && ob->record.type ? ob->record.type | (ob->sx.stx_mode & 07777u) : ob->sx.stx_mode;
}

static uint64_t rdev_of(const struct object *ob)
{
	return ob->recorded && ob->record.type ? makedev(ob->record.major, ob->record.minor) :
						 makedev(ob->sx.stx_rdev_major, ob->sx.stx_rdev_minor);
}

/* Both layouts have the same names: one text for two types. */
#define FILL32(to, ob)                                                                             \
	do {                                                                                       \
		const struct statx *sx = &(ob)->sx;                                                \
		(to)->dev = makedev(sx->stx_dev_major, sx->stx_dev_minor);                         \
		(to)->ino = sx->stx_ino;                                                           \
		(to)->ino_low = (uint32_t)sx->stx_ino;                                             \
		(to)->mode = mode_of(ob);                                                          \
		(to)->nlink = sx->stx_nlink;                                                       \
		(to)->uid = ob->uid;                                                        \
		(to)->gid = ob->gid;                                                        \
		(to)->rdev = rdev_of(ob);                                                          \
		(to)->size = (int64_t)sx->stx_size;                                                \
		(to)->blksize = sx->stx_blksize;                                                   \
		(to)->blocks = sx->stx_blocks;                                                     \
		(to)->atime = (uint32_t)sx->stx_atime.tv_sec;                                      \
		(to)->atime_nsec = sx->stx_atime.tv_nsec;                                          \
		(to)->mtime = (uint32_t)sx->stx_mtime.tv_sec;                                      \
		(to)->mtime_nsec = sx->stx_mtime.tv_nsec;                                          \
		(to)->ctime = (uint32_t)sx->stx_ctime.tv_sec;                                      \
		(to)->ctime_nsec = sx->stx_ctime.tv_nsec;                                          \
	} while (0)

static int write_stat32(const struct asked *a, const struct object *ob, uint64_t to)
{
	struct stat64_i386 x86 = { 0 };
	struct stat64_arm arm = { 0 };

	if (a->arch->token == AUDIT_ARM) {
		FILL32(&arm, ob);
		return asked_write(a, to, &arm, sizeof(arm));
	}
	FILL32(&x86, ob);
	return asked_write(a, to, &x86, sizeof(x86));
}

/* On 64-bit architectures the C library's struct is the kernel's. */
static int write_stat(const struct asked *a, const struct object *ob, uint64_t to)
{
	const struct statx *sx = &ob->sx;
	struct stat st = {
		.st_dev = makedev(sx->stx_dev_major, sx->stx_dev_minor),
		.st_ino = sx->stx_ino,
		.st_mode = mode_of(ob),
		.st_nlink = sx->stx_nlink,
		.st_uid = ob->uid,
		.st_gid = ob->gid,
		.st_rdev = rdev_of(ob),
		.st_size = (off_t)sx->stx_size,
		.st_blksize = (blksize_t)sx->stx_blksize,
		.st_blocks = (blkcnt_t)sx->stx_blocks,
		.st_atim = { (time_t)sx->stx_atime.tv_sec, (long)sx->stx_atime.tv_nsec },
		.st_mtim = { (time_t)sx->stx_mtime.tv_sec, (long)sx->stx_mtime.tv_nsec },
		.st_ctim = { (time_t)sx->stx_ctime.tv_sec, (long)sx->stx_ctime.tv_nsec },
	};

	return asked_write(a, to, &st, sizeof(st));
}

/* Look; only what has a record is answered, and no failure is ours to report. */
static bool look(const struct asked *a, int at, unsigned mask, struct object *ob)
{
	const int known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE; /* else EINVAL */
	struct place p = PLACE_INIT;
	bool found = !(at & ~known) && place_find(a, a->call->dirfd, a->call->path, at, &p) == 0 &&
		object_look(a, &p, mask, ob) == 0;

	place_release(&p);
	return found && ob->recorded;
}

int64_t owner_stat(const struct asked *a)
{
	int at = a->call->implied | (int)asked_arg(a, a->call->flags);
	struct object ob;
	uint64_t to = asked_arg(a, a->call->arg);

	if (!look(a, at, 0, &ob))
		return ANSWER_CONTINUE;
	return a->arch->wide ? write_stat(a, &ob, to) : write_stat32(a, &ob, to);
}

int64_t owner_statx(const struct asked *a)
{
	int at = (int)asked_arg(a, a->call->flags);
	struct object ob;

	if (!look(a, at, (unsigned)asked_arg(a, a->call->arg2), &ob))
		return ANSWER_CONTINUE;
	ob.sx.stx_uid = ob.uid;
	ob.sx.stx_gid = ob.gid;
	if (ob.record.type) {
		ob.sx.stx_mode = (uint16_t)mode_of(&ob);
		ob.sx.stx_rdev_major = ob.record.major;
		ob.sx.stx_rdev_minor = ob.record.minor;
	}
	return asked_write(a, asked_arg(a, a->call->arg), &ob.sx, sizeof(ob.sx));
}
