/*
 * The accelerator of recorded ownership (spec/sandbox.md 3.8): a shared object that programs of a step load through
 * /etc/ld.so.preload. It asks the kernel itself what most files are, in place of the supervisor.
 *
 * How it works: the filter of the step lets a stat, a chown, an open or a mkdir through when the call instruction lies in the gate
 * page, and asks the supervisor about every other. Each function here calls through the gate first. Where the index has
 * the file's bit set, a record may exist: then it reads the attribute, which nobody is asked about, and corrects the
 * answer as the supervisor would. What cannot be told here (a record beside a link or fifo) it asks, by calling again
 * from its own text.
 *
 * Freestanding; imports __errno_location, and dlsym where the C library has it. Whatever does not come through here (the
 * loader, static programs, Go) is asked about, and as right as with it. The index is mapped behind the gate page; a
 * process that cannot map it goes without.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Elsewhere this is an empty library, which is never used: owner_has_loader(). */
#if defined(__x86_64__) || defined(__aarch64__)

#define EXPORT __attribute__((visibility("default")))
#define PAGE 4096
#define PATH_BYTES 4096 /* PATH_MAX */
#define INDEX_BITS (8u << 20) /* sandbox/owner_table.h */
#define INDEX_FILE "/dev/.whittle/index"
#define RECORD_NAME "user.whittle.own" /* base/owner_record.h */
#define CREDS_MAX 8192 /* sandbox/owner_creds.h */
#define LIMIT_MAGIC 0x5a000000u
#define LIMIT_MASK 0xff000000u
#ifndef SYS_getxattrat /* Linux 6.13 */
#define SYS_getxattrat 464
#endif

/* struct owner_index */
struct index {
	uint32_t foreign, group_folders, kept, beside_files, unmarked, unused[11];
	uint64_t plain[CREDS_MAX / 64];
	uint64_t bits[INDEX_BITS / 64];
};

extern int *__errno_location(void);

#if defined(__x86_64__)
#define GATE 0x7f5a5a5a5000ul

static long own(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "+a"(nr)
			 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return nr;
}

static long through_gate(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = GATE;

	__asm__ volatile("call *%%r9"
			 : "+a"(nr)
			 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return nr;
}
#else
#define GATE 0x7f5a5a5000ul

static long own(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

static long through_gate(long nr, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x9 __asm__("x9") = GATE;

	__asm__ volatile("blr x9"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x9)
			 : "x30", "memory");
	return x0;
}
#endif

#if defined(__x86_64__)
extern void *dlsym(void *, const char *) __attribute__((weak)); /* in the C library itself since glibc 2.34 */
EXPORT int fstatat64(int dirfd, const char *path, struct stat64 *st, int flags);

/*
 * The C library looks at files itself, past every symbol: getpwnam(3) four times a call, and dpkg(1) calls it for each
 * file it unpacks. All of that goes through its own fstatat64(), which gets a jump to ours where it is, byte for byte,
 * the function that we know. Where it is not, or its page cannot be written, the supervisor is asked as before.
 */
static void lead_here(void)
{
	static const unsigned char known[] = {
		0x41, 0x89, 0xca,             /* mov %ecx, %r10d */
		0xb8, 0x06, 0x01, 0x00, 0x00, /* mov $SYS_newfstatat, %eax */
		0x0f, 0x05,                   /* syscall */
	};
	unsigned char *theirs = dlsym ? dlsym((void *)-1l /* RTLD_NEXT */, "fstatat64") : NULL;
	unsigned long first = (unsigned long)theirs & ~(PAGE - 1ul);
	long distance, length;
	int offset;

	if (!theirs)
		return;
	for (size_t i = 0; i < sizeof(known); i++)
		if (((const volatile unsigned char *)theirs)[i] != known[i]) /* volatile: no call of memcmp() */
			return;
	distance = (long)fstatat64 - (long)(theirs + 5);
	offset = (int)distance;
	length = (long)((unsigned long)(theirs + 5) - first);
	if (offset != distance || own(SYS_mprotect, (long)first, length, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0, 0) < 0)
		return;
	theirs[0] = 0xe9; /* jmp */
	__builtin_memcpy(theirs + 1, &offset, sizeof(offset));
	own(SYS_mprotect, (long)first, length, PROT_READ | PROT_EXEC, 0, 0, 0);
}
#else
static void lead_here(void)
{
}
#endif

/* Behind the gate page; NULL: not mapped. */
static const struct index *volatile index_map;

__attribute__((constructor)) static void start(void)
{
	long fd = own(SYS_openat, AT_FDCWD, (long)INDEX_FILE, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	long at;

	if (fd < 0)
		return;
	at = own(SYS_mmap, GATE, PAGE + sizeof(struct index), PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE,
		fd, 0);
	own(SYS_close, fd, 0, 0, 0, 0, 0);
	if ((unsigned long)at != GATE)
		return;
	index_map = (const struct index *)(GATE + PAGE);
	lead_here();
}

static int result(long r)
{
	if (r >= 0)
		return (int)r;
	*__errno_location() = (int)-r;
	return -1;
}

/* ---- looking ---- */

/* Whether there may be a record. A file with several names, copied up, has another number than the index knows. */
static int may_have(const struct index *ix, uint64_t ino, unsigned mode, uint64_t names)
{
	uint64_t bit = ino % INDEX_BITS;

	return __atomic_load_n(&ix->unmarked, __ATOMIC_RELAXED) ||
		(__atomic_load_n(&ix->bits[bit / 64], __ATOMIC_RELAXED) >> (bit % 64) & 1) ||
		(S_ISREG(mode) && names > 1);
}

/* The bytes of an attribute, as base/owner_record.h lays them out; both architectures are little-endian. */
struct record {
	uint8_t version, zero[3];
	uint32_t uid, gid, type, rdev, seen_uid, seen_gid;
};
_Static_assert(sizeof(struct record) == 28, "OWNER_RECORD_SIZE");

/* getxattr(2) of what (dirfd, path, flags) of a stat call means; path NULL: the file dirfd itself. */
static long read_attribute(int dirfd, const char *path, int flags, void *buf, size_t size)
{
	struct {
		uint64_t value;
		uint32_t size, flags;
	} args = { (uint64_t)(uintptr_t)buf, (uint32_t)size, 0 }; /* struct xattr_args */
	long name = (long)RECORD_NAME;

	if (!path || !path[0]) {
		if (dirfd != AT_FDCWD)
			return own(SYS_fgetxattr, dirfd, name, (long)buf, (long)size, 0, 0);
		path = ".";
	}
	if (dirfd != AT_FDCWD && path[0] != '/')
		return own(SYS_getxattrat, dirfd, (long)path, flags & AT_SYMLINK_NOFOLLOW, name, (long)&args,
			sizeof(args));
	return own(flags & AT_SYMLINK_NOFOLLOW ? SYS_lgetxattr : SYS_getxattr, (long)path, name, (long)buf, (long)size,
		0, 0);
}

enum found { ASK, NO_RECORD, RECORD };

/* The record of a file with this mode, if that can be told without the supervisor. */
static enum found find(const struct index *ix, int dirfd, const char *path, int flags, unsigned mode, struct record *r)
{
	char bytes[sizeof(*r) + 1]; /* a longer one is none */
	long n;

	if (__atomic_load_n(&ix->kept, __ATOMIC_RELAXED) == 0 || (!S_ISREG(mode) && !S_ISDIR(mode)))
		return ASK;
	n = read_attribute(dirfd, path, flags, bytes, sizeof(bytes));
	if (n == -ENODATA || n == -EOPNOTSUPP)
		return __atomic_load_n(&ix->beside_files, __ATOMIC_RELAXED) ? ASK : NO_RECORD;
	if (n != (long)sizeof(*r))
		return ASK;
	__builtin_memcpy(r, bytes, sizeof(*r));
	if (r->version != 1 || r->zero[0] || r->zero[1] || r->zero[2])
		return ASK;
	r->type &= S_IFMT;
	return r->type == 0 || S_ISCHR(r->type) || S_ISBLK(r->type) ? RECORD : ASK;
}

/* Correct what the kernel said of (dirfd, path, flags). Returns whether it is right now; else the supervisor is to be asked. */
static int correct(const struct index *ix, int dirfd, const char *path, int flags, struct stat *st)
{
	struct record r;
	enum found found;

	if (!may_have(ix, st->st_ino, st->st_mode, st->st_nlink))
		return 1;
	found = find(ix, dirfd, path, flags, st->st_mode, &r);
	if (found != RECORD)
		return found == NO_RECORD;
	if (st->st_uid == r.seen_uid)
		st->st_uid = r.uid;
	if (st->st_gid == r.seen_gid)
		st->st_gid = r.gid;
	if (r.type) {
		st->st_mode = r.type | (st->st_mode & 07777);
		st->st_rdev = r.rdev;
	}
	return 1;
}

static int look(int dirfd, const char *path, struct stat *st, int flags)
{
	const struct index *ix = index_map;
	long r;

	if (ix) {
		r = through_gate(SYS_newfstatat, dirfd, (long)path, (long)st, flags, 0);
		if (r < 0 || correct(ix, dirfd, path, flags, st))
			return result(r);
	}
	return result(own(SYS_newfstatat, dirfd, (long)path, (long)st, flags, 0, 0));
}

static int look_fd(int fd, struct stat *st)
{
	const struct index *ix = index_map;
	long r;

	if (ix) {
		r = through_gate(SYS_fstat, fd, (long)st, 0, 0, 0);
		if (r < 0 || correct(ix, fd, NULL, 0, st))
			return result(r);
	}
	return result(own(SYS_fstat, fd, (long)st, 0, 0, 0, 0));
}

/* struct stat and struct stat64 are one here. */
#define LOOKERS(suffix)                                                                            \
	EXPORT int stat##suffix(const char *path, struct stat##suffix *st)                         \
	{                                                                                          \
		return look(AT_FDCWD, path, (struct stat *)st, 0);                                 \
	}                                                                                          \
	EXPORT int lstat##suffix(const char *path, struct stat##suffix *st)                        \
	{                                                                                          \
		return look(AT_FDCWD, path, (struct stat *)st, AT_SYMLINK_NOFOLLOW);               \
	}                                                                                          \
	EXPORT int fstat##suffix(int fd, struct stat##suffix *st)                                  \
	{                                                                                          \
		return look_fd(fd, (struct stat *)st);                                             \
	}                                                                                          \
	EXPORT int fstatat##suffix(int dirfd, const char *path, struct stat##suffix *st, int flags) \
	{                                                                                          \
		return look(dirfd, path, (struct stat *)st, flags);                                \
	}                                                                                          \
	/* What programs linked before glibc 2.33 call; no header has them. */                     \
	int __xstat##suffix(int version, const char *path, struct stat##suffix *st);               \
	int __lxstat##suffix(int version, const char *path, struct stat##suffix *st);              \
	int __fxstat##suffix(int version, int fd, struct stat##suffix *st);                        \
	int __fxstatat##suffix(                                                                    \
		int version, int dirfd, const char *path, struct stat##suffix *st, int flags);     \
	EXPORT int __xstat##suffix(int version, const char *path, struct stat##suffix *st)         \
	{                                                                                          \
		(void)version;                                                                     \
		return look(AT_FDCWD, path, (struct stat *)st, 0);                                 \
	}                                                                                          \
	EXPORT int __lxstat##suffix(int version, const char *path, struct stat##suffix *st)        \
	{                                                                                          \
		(void)version;                                                                     \
		return look(AT_FDCWD, path, (struct stat *)st, AT_SYMLINK_NOFOLLOW);               \
	}                                                                                          \
	EXPORT int __fxstat##suffix(int version, int fd, struct stat##suffix *st)                  \
	{                                                                                          \
		(void)version;                                                                     \
		return look_fd(fd, (struct stat *)st);                                             \
	}                                                                                          \
	EXPORT int __fxstatat##suffix(                                                             \
		int version, int dirfd, const char *path, struct stat##suffix *st, int flags)      \
	{                                                                                          \
		(void)version;                                                                     \
		return look(dirfd, path, (struct stat *)st, flags);                                \
	}

LOOKERS()
LOOKERS(64)

#define CORRECTED (STATX_TYPE | STATX_MODE | STATX_UID | STATX_GID)

/* As correct(). */
static int correct_statx(const struct index *ix, int dirfd, const char *path, int flags, struct statx *sx)
{
	struct record r;
	enum found found;

	if (!may_have(ix, sx->stx_ino, sx->stx_mode, sx->stx_nlink))
		return 1;
	found = find(ix, dirfd, path, flags, sx->stx_mode, &r);
	if (found != RECORD)
		return found == NO_RECORD;
	if (sx->stx_uid == r.seen_uid)
		sx->stx_uid = r.uid;
	if (sx->stx_gid == r.seen_gid)
		sx->stx_gid = r.gid;
	if (r.type) {
		sx->stx_mode = (uint16_t)(r.type | (sx->stx_mode & 07777));
		sx->stx_rdev_major = r.rdev >> 8 & 0xfff;
		sx->stx_rdev_minor = (r.rdev & 0xff) | (r.rdev >> 12 & 0xfff00);
	}
	return 1;
}

EXPORT int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *sx)
{
	const struct index *ix = index_map;
	long r;

	if (ix && (mask & CORRECTED)) {
		r = through_gate(SYS_statx, dirfd, (long)path, flags, (long)(mask | CORRECTED | STATX_INO | STATX_NLINK),
			(long)sx);
		if (r < 0 || correct_statx(ix, dirfd, path, flags, sx))
			return result(r);
	}
	return result(own(SYS_statx, dirfd, (long)path, flags, (long)mask, (long)sx, 0));
}

/* ---- who asks ---- */

/*
 * Whether the process is root, and what it makes root's: the supervisor keeps the number of its credentials in a limit,
 * and which numbers are root's in the index (sandbox/owner_creds.h). Reading a limit asks nobody.
 */
static int acts_as_root(const struct index *ix)
{
	struct rlimit limit = { 0, 0 };
	unsigned number = 0;

	if (__atomic_load_n(&ix->foreign, __ATOMIC_RELAXED) == 0)
		return 1;
	if (own(SYS_prlimit64, 0, RLIMIT_LOCKS, 0, (long)&limit, 0, 0) < 0)
		return 0;
	if (limit.rlim_cur <= UINT32_MAX && (limit.rlim_cur & LIMIT_MASK) == LIMIT_MAGIC)
		number = (unsigned)(limit.rlim_cur & ~(rlim_t)LIMIT_MASK);
	if (number >= CREDS_MAX)
		number = 0;
	return (int)(__atomic_load_n(&ix->plain[number / 64], __ATOMIC_RELAXED) >> (number % 64) & 1);
}

/* ---- giving away ---- */

/* The folder that path (of dirfd, or the file dirfd itself) is in; 0 when that cannot be told. */
static int folder_of(int dirfd, const char *path, char buf[PATH_BYTES])
{
	long len = 0, slash = -1;

	if (!path) {
		char name[32] = "/proc/self/fd/", digits[12];
		int n = 0, at = 14;

		do
			digits[n++] = (char)('0' + dirfd % 10);
		while ((dirfd /= 10) > 0);
		while (n > 0)
			name[at++] = digits[--n];
		name[at] = '\0';
		len = own(SYS_readlinkat, AT_FDCWD, (long)name, (long)buf, PATH_BYTES - 1, 0, 0);
		if (len <= 0 || buf[0] != '/')
			return 0;
	} else {
		for (; path[len]; len++) {
			if (len == PATH_BYTES - 1)
				return 0;
			buf[len] = path[len];
		}
	}
	for (long i = 0; i < len; i++)
		if (buf[i] == '/')
			slash = i;
	if (slash < 0)
		buf[slash = 0] = '.';
	buf[slash == 0 ? 1 : slash] = '\0';
	return 1;
}

/* Whether the folder hands its group on: there a file of 0:0 needs a record that says so. */
static int hands_on(const struct index *ix, int dirfd, const char *path)
{
	char buf[PATH_BYTES];
	struct stat st;

	if (__atomic_load_n(&ix->group_folders, __ATOMIC_RELAXED) == 0)
		return 0;
	if (!folder_of(dirfd, path, buf))
		return 1;
	return through_gate(SYS_newfstatat, dirfd, (long)buf, (long)&st, 0, 0) < 0 || (st.st_mode & S_ISGID);
}

/* root gives what has no record to root: nothing is to be kept, and the kernel does the rest. path NULL: dirfd itself. */
static int is_plain(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	const struct index *ix = index_map;
	struct stat st;
	long r;

	if (!ix || (uid != 0 && uid != (uid_t)-1) || (gid != 0 && gid != (gid_t)-1) || (flags & AT_EMPTY_PATH) ||
		!acts_as_root(ix))
		return 0;
	r = path ? through_gate(SYS_newfstatat, dirfd, (long)path, (long)&st, flags, 0) :
		   through_gate(SYS_fstat, dirfd, (long)&st, 0, 0, 0);
	return r == 0 && !may_have(ix, st.st_ino, st.st_mode, st.st_nlink) && !hands_on(ix, dirfd, path);
}

static int give(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	if (is_plain(dirfd, path, uid, gid, flags))
		return result(through_gate(SYS_fchownat, dirfd, (long)path, uid, gid, flags));
	return result(own(SYS_fchownat, dirfd, (long)path, uid, gid, flags, 0));
}

EXPORT int chown(const char *path, uid_t uid, gid_t gid)
{
	return give(AT_FDCWD, path, uid, gid, 0);
}

EXPORT int lchown(const char *path, uid_t uid, gid_t gid)
{
	return give(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

EXPORT int fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	return give(dirfd, path, uid, gid, flags);
}

EXPORT int fchown(int fd, uid_t uid, gid_t gid)
{
	if (fd >= 0 && is_plain(fd, 0, uid, gid, 0))
		return result(through_gate(SYS_fchown, fd, uid, gid, 0, 0));
	return result(own(SYS_fchown, fd, uid, gid, 0, 0, 0));
}

/* ---- making ---- */

/* Whether the kernel may make path (or open it, where it exists) for root without the supervisor. */
static int is_roots(const struct index *ix, int dirfd, const char *path)
{
	struct stat st;
	long r;

	if (!acts_as_root(ix))
		return 0;
	r = through_gate(SYS_newfstatat, dirfd, (long)path, (long)&st, AT_SYMLINK_NOFOLLOW, 0);
	/* Only behind ENOENT is the path known to be readable. */
	return r == 0 || (r == -ENOENT && !hands_on(ix, dirfd, path));
}

/*
 * Make path of dirfd. What somebody but 0:0 makes, the supervisor makes; once there is such a process in the step, it
 * also notes what root makes in a folder that hands its group on.
 */
static long make(long nr, int dirfd, const char *path, long a, long b)
{
	const struct index *ix = index_map;

	if (ix && (__atomic_load_n(&ix->foreign, __ATOMIC_RELAXED) == 0 || is_roots(ix, dirfd, path)))
		return through_gate(nr, dirfd, (long)path, a, b, 0);
	return own(nr, dirfd, (long)path, a, b, 0, 0);
}

static int open_at(int dirfd, const char *path, int flags, va_list rest)
{
	mode_t mode = 0;

	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
		mode = va_arg(rest, mode_t);
	if (!(flags & O_CREAT)) /* nobody is asked, but about O_TMPFILE, whose path is the folder */
		return result(own(SYS_openat, dirfd, (long)path, flags, mode, 0, 0));
	return result(make(SYS_openat, dirfd, path, flags, mode));
}

#define OPENERS(suffix)                                                                            \
	EXPORT int open##suffix(const char *path, int flags, ...)                                  \
	{                                                                                          \
		va_list rest;                                                                      \
		int fd;                                                                            \
                                                                                                   \
		va_start(rest, flags);                                                             \
		fd = open_at(AT_FDCWD, path, flags, rest);                                         \
		va_end(rest);                                                                      \
		return fd;                                                                         \
	}                                                                                          \
	EXPORT int openat##suffix(int dirfd, const char *path, int flags, ...)                     \
	{                                                                                          \
		va_list rest;                                                                      \
		int fd;                                                                            \
                                                                                                   \
		va_start(rest, flags);                                                             \
		fd = open_at(dirfd, path, flags, rest);                                            \
		va_end(rest);                                                                      \
		return fd;                                                                         \
	}

OPENERS()
OPENERS(64)

EXPORT int mkdir(const char *path, mode_t mode)
{
	return result(make(SYS_mkdirat, AT_FDCWD, path, mode, 0));
}

EXPORT int mkdirat(int dirfd, const char *path, mode_t mode)
{
	return result(make(SYS_mkdirat, dirfd, path, mode, 0));
}

#endif
