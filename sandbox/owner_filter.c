#include "sandbox/owner_filter.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/mem.h"

/* The bit alone: __O_TMPFILE of the C library holds O_DIRECTORY too, and every opendir(3) would be asked about. */
#define TMPFILE_BIT 020000000
#define NOFOLLOW AT_SYMLINK_NOFOLLOW
#define CREAT_FLAGS (O_CREAT | O_WRONLY | O_TRUNC)

/* Calls that programs make by the thousand come first: the filter asks in this order. */
const struct owner_call owner_calls[] = {
	{ "newfstatat", OWNER_STAT, OWNER_NO_ID, 0, 1, 2, NO_ARG, 3, 0, OWNER_GATED | OWNER_ONLY_64 },
	{ "fstat", OWNER_STAT, OWNER_NO_ID, 0, NO_ARG, 1, NO_ARG, NO_ARG, 0, OWNER_GATED | OWNER_ONLY_64 },
	{ "stat", OWNER_STAT, OWNER_NO_ID, NO_ARG, 0, 1, NO_ARG, NO_ARG, 0, OWNER_GATED | OWNER_ONLY_64 },
	{ "lstat", OWNER_STAT, OWNER_NO_ID, NO_ARG, 0, 1, NO_ARG, NO_ARG, NOFOLLOW, OWNER_GATED | OWNER_ONLY_64 },
	{ "statx", OWNER_STATX, OWNER_NO_ID, 0, 1, 4, 3, 2, 0, OWNER_GATED },
	{ "openat", OWNER_OPEN, OWNER_NO_ID, 0, 1, 2, 3, NO_ARG, 0, OWNER_GATED },
	{ "open", OWNER_OPEN, OWNER_NO_ID, NO_ARG, 0, 1, 2, NO_ARG, 0, OWNER_GATED },
	{ "fstatat64", OWNER_STAT, OWNER_NO_ID, 0, 1, 2, NO_ARG, 3, 0, OWNER_ONLY_32 },
	{ "fstat64", OWNER_STAT, OWNER_NO_ID, 0, NO_ARG, 1, NO_ARG, NO_ARG, 0, OWNER_ONLY_32 },
	{ "stat64", OWNER_STAT, OWNER_NO_ID, NO_ARG, 0, 1, NO_ARG, NO_ARG, 0, OWNER_ONLY_32 },
	{ "lstat64", OWNER_STAT, OWNER_NO_ID, NO_ARG, 0, 1, NO_ARG, NO_ARG, NOFOLLOW, OWNER_ONLY_32 },

	{ "mkdir", OWNER_MKDIR, OWNER_NO_ID, NO_ARG, 0, 1, NO_ARG, NO_ARG, 0, OWNER_GATED },
	{ "mkdirat", OWNER_MKDIR, OWNER_NO_ID, 0, 1, 2, NO_ARG, NO_ARG, 0, OWNER_GATED },
	{ "creat", OWNER_OPEN, OWNER_NO_ID, NO_ARG, 0, NO_ARG, 1, NO_ARG, CREAT_FLAGS, 0 },
	{ "symlink", OWNER_SYMLINK, OWNER_NO_ID, NO_ARG, 1, 0, NO_ARG, NO_ARG, 0, 0 },
	{ "symlinkat", OWNER_SYMLINK, OWNER_NO_ID, 1, 2, 0, NO_ARG, NO_ARG, 0, 0 },
	{ "mknod", OWNER_MKNOD, OWNER_NO_ID, NO_ARG, 0, 1, 2, NO_ARG, 0, OWNER_SPILLS },
	{ "mknodat", OWNER_MKNOD, OWNER_NO_ID, 0, 1, 2, 3, NO_ARG, 0, OWNER_SPILLS },

	{ "fchownat", OWNER_CHOWN, OWNER_NO_ID, 0, 1, 2, 3, 4, 0, OWNER_GATED | OWNER_SPILLS },
	{ "fchown", OWNER_CHOWN, OWNER_NO_ID, 0, NO_ARG, 1, 2, NO_ARG, 0, OWNER_GATED | OWNER_NARROW | OWNER_SPILLS },
	{ "chown", OWNER_CHOWN, OWNER_NO_ID, NO_ARG, 0, 1, 2, NO_ARG, 0, OWNER_NARROW | OWNER_SPILLS },
	{ "lchown", OWNER_CHOWN, OWNER_NO_ID, NO_ARG, 0, 1, 2, NO_ARG, NOFOLLOW, OWNER_NARROW | OWNER_SPILLS },
	{ "fchown32", OWNER_CHOWN, OWNER_NO_ID, 0, NO_ARG, 1, 2, NO_ARG, 0, OWNER_SPILLS },
	{ "chown32", OWNER_CHOWN, OWNER_NO_ID, NO_ARG, 0, 1, 2, NO_ARG, 0, OWNER_SPILLS },
	{ "lchown32", OWNER_CHOWN, OWNER_NO_ID, NO_ARG, 0, 1, 2, NO_ARG, NOFOLLOW, OWNER_SPILLS },

#define IDS(name, op, id) \
	{ name, op, id, NO_ARG, NO_ARG, 0, 1, NO_ARG, 0, OWNER_NARROW }, \
	{ name "32", op, id, NO_ARG, NO_ARG, 0, 1, NO_ARG, 0, 0 }
	IDS("getuid", OWNER_GET_ID, OWNER_RUID),
	IDS("geteuid", OWNER_GET_ID, OWNER_EUID),
	IDS("getgid", OWNER_GET_ID, OWNER_RGID),
	IDS("getegid", OWNER_GET_ID, OWNER_EGID),
	IDS("getresuid", OWNER_GET_IDS, OWNER_RESUID),
	IDS("getresgid", OWNER_GET_IDS, OWNER_RESGID),
	IDS("getgroups", OWNER_GET_GROUPS, OWNER_NO_ID),
	IDS("setuid", OWNER_SET_ID, OWNER_UID),
	IDS("setgid", OWNER_SET_ID, OWNER_GID),
	IDS("setreuid", OWNER_SET_ID, OWNER_REUID),
	IDS("setregid", OWNER_SET_ID, OWNER_REGID),
	IDS("setresuid", OWNER_SET_ID, OWNER_RESUID),
	IDS("setresgid", OWNER_SET_ID, OWNER_RESGID),
	IDS("setfsuid", OWNER_SET_ID, OWNER_FSUID),
	IDS("setfsgid", OWNER_SET_ID, OWNER_FSGID),
	IDS("setgroups", OWNER_SET_GROUPS, OWNER_NO_ID),
#undef IDS
	{ "umask", OWNER_UMASK, OWNER_NO_ID, NO_ARG, NO_ARG, 0, NO_ARG, NO_ARG, 0, 0 },
	{ "execve", OWNER_EXEC, OWNER_NO_ID, NO_ARG, 0, NO_ARG, NO_ARG, NO_ARG, 0, 0 },
	{ "execveat", OWNER_EXEC, OWNER_NO_ID, 0, 1, NO_ARG, NO_ARG, 4, 0, 0 },
	{ "chroot", OWNER_CHROOT, OWNER_NO_ID, NO_ARG, 0, NO_ARG, NO_ARG, NO_ARG, 0, 0 },
	{ "prctl", OWNER_PRCTL, OWNER_NO_ID, NO_ARG, NO_ARG, 0, 1, NO_ARG, 0, 0 },
	{ "getsockopt", OWNER_PEERCRED, OWNER_NO_ID, 0, NO_ARG, 3, 4, NO_ARG, 0, 0 },

	{ "setxattr", OWNER_SET_XATTR, OWNER_NO_ID, NO_ARG, 0, 1, NO_ARG, NO_ARG, 0, 0 },
	{ "lsetxattr", OWNER_SET_XATTR, OWNER_NO_ID, NO_ARG, 0, 1, NO_ARG, NO_ARG, NOFOLLOW, 0 },
	{ "fsetxattr", OWNER_SET_XATTR, OWNER_NO_ID, 0, NO_ARG, 1, NO_ARG, NO_ARG, 0, 0 },
	{ "removexattr", OWNER_SET_XATTR, OWNER_NO_ID, NO_ARG, 0, 1, NO_ARG, NO_ARG, 0, 0 },
	{ "lremovexattr", OWNER_SET_XATTR, OWNER_NO_ID, NO_ARG, 0, 1, NO_ARG, NO_ARG, NOFOLLOW, 0 },
	{ "fremovexattr", OWNER_SET_XATTR, OWNER_NO_ID, 0, NO_ARG, 1, NO_ARG, NO_ARG, 0, 0 },
	{ "listxattr", OWNER_LIST_XATTR, OWNER_NO_ID, NO_ARG, 0, 1, 2, NO_ARG, 0, 0 },
	{ "llistxattr", OWNER_LIST_XATTR, OWNER_NO_ID, NO_ARG, 0, 1, 2, NO_ARG, NOFOLLOW, 0 },
	{ "flistxattr", OWNER_LIST_XATTR, OWNER_NO_ID, 0, NO_ARG, 1, 2, NO_ARG, 0, 0 },

	{ "setrlimit", OWNER_KEEP_LIMIT, OWNER_NO_ID, NO_ARG, NO_ARG, 0, NO_ARG, NO_ARG, 0, 0 },
	{ "prlimit64", OWNER_KEEP_LIMIT, OWNER_NO_ID, NO_ARG, NO_ARG, 1, 2, NO_ARG, 0, 0 },
	{ "openat2", OWNER_ABSENT, OWNER_NO_ID, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, 0, 0 },
	{ "setxattrat", OWNER_ABSENT, OWNER_NO_ID, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, 0, 0 },
	{ "listxattrat", OWNER_ABSENT, OWNER_NO_ID, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, 0, 0 },
	{ "removexattrat", OWNER_ABSENT, OWNER_NO_ID, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, 0, 0 },
};
const size_t owner_calls_len = sizeof(owner_calls) / sizeof(owner_calls[0]);

_Static_assert(sizeof(owner_calls) / sizeof(owner_calls[0]) < UINT8_MAX, "owner_arch.call holds positions");

/* Calls that libseccomp of Debian 12 has no name for; the same number on every architecture. */
static const struct {
	const char *name;
	int number;
} recent_calls[] = { { "setxattrat", 463 }, { "listxattrat", 465 }, { "removexattrat", 466 } };

static int number_of(uint32_t token, const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(token, name);

	for (size_t i = 0; nr < 0 && i < sizeof(recent_calls) / sizeof(recent_calls[0]); i++)
		if (strcmp(name, recent_calls[i].name) == 0)
			return recent_calls[i].number;
	return nr;
}

/* ---- the program ---- */

#define PROGRAM_MAX 1024 /* instructions; two architectures need about 600 */
#define DATA(field) ((uint32_t)offsetof(struct seccomp_data, field))
/* The low and high half of a 64-bit argument or of the instruction pointer. */
#define LOW(offset) ((offset) + (BYTE_ORDER == BIG_ENDIAN ? 4 : 0))
#define HIGH(offset) ((offset) + (BYTE_ORDER == BIG_ENDIAN ? 0 : 4))
#define ARG(n) (DATA(args) + 8 * (uint32_t)(n))

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short count;
};

static void emit(struct program *p, uint16_t code, uint32_t k)
{
	assert(p->count < PROGRAM_MAX);
	p->code[p->count++] = (struct sock_filter){ code, 0, 0, k };
}

static void load(struct program *p, uint32_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, offset);
}

static void answer(struct program *p, uint32_t action)
{
	emit(p, BPF_RET | BPF_K, action);
}

/* A jump over what follows, to be completed by land(). */
static unsigned short unless(struct program *p, uint16_t test, uint32_t k)
{
	emit(p, BPF_JMP | test | BPF_K, k);
	return p->count;
}

static void land(struct program *p, unsigned short from)
{
	assert(p->count - from <= UINT8_MAX);
	p->code[from - 1].jf = (uint8_t)(p->count - from);
}

/* From here on, if the test holds, answer. */
static void answer_if(struct program *p, uint16_t test, uint32_t k, uint32_t action)
{
	unsigned short skip = unless(p, test, k);

	answer(p, action);
	land(p, skip);
}

/* Calls from the gate page pass. Loaded after the number alone has decided: what looks at more is not cached. */
static void pass_gate(struct program *p)
{
	unsigned short skip;

	load(p, HIGH(DATA(instruction_pointer)));
	skip = unless(p, BPF_JEQ, (uint32_t)(OWNER_GATE >> 32));
	load(p, LOW(DATA(instruction_pointer)));
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0xfffff000);
	answer_if(p, BPF_JEQ, (uint32_t)OWNER_GATE, SECCOMP_RET_ALLOW);
	land(p, skip);
}

/* Ids beyond the map, but for "leave it". */
static void ask_for_large(struct program *p, int arg, uint32_t ids)
{
	unsigned short small, unchanged;

	load(p, LOW(ARG(arg)));
	small = unless(p, BPF_JGE, ids);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX);
	unchanged = p->count;
	answer(p, SECCOMP_RET_USER_NOTIF);
	p->code[unchanged - 1].jt = 1;
	land(p, small);
}

static void keep_limit(struct program *p, const struct owner_call *c)
{
	unsigned short other, reads;

	load(p, LOW(ARG(c->arg)));
	other = unless(p, BPF_JEQ, RLIMIT_LOCKS);
	if (c->arg2 == NO_ARG) {
		answer(p, SECCOMP_RET_ERRNO);
	} else { /* prlimit64 with a new limit */
		load(p, LOW(ARG(c->arg2)));
		reads = unless(p, BPF_JEQ, 0);
		load(p, HIGH(ARG(c->arg2)));
		answer_if(p, BPF_JEQ, 0, SECCOMP_RET_ALLOW);
		land(p, reads);
		answer(p, SECCOMP_RET_ERRNO);
	}
	land(p, other);
	answer(p, SECCOMP_RET_ALLOW);
}

/* Without a supervisor: what would fail for lack of ids succeeds. */
static void decide_flat(struct program *p, const struct owner_call *c)
{
	switch (c->op) {
	case OWNER_CHOWN:
	case OWNER_SET_ID:
	case OWNER_SET_GROUPS:
		answer(p, SECCOMP_RET_ERRNO);
		return;
	case OWNER_MKNOD:
		load(p, LOW(ARG(c->arg)));
		emit(p, BPF_ALU | BPF_AND | BPF_K, S_IFMT);
		answer_if(p, BPF_JEQ, S_IFCHR, SECCOMP_RET_ERRNO);
		answer_if(p, BPF_JEQ, S_IFBLK, SECCOMP_RET_ERRNO);
		break;
	default:
		break;
	}
	answer(p, SECCOMP_RET_ALLOW);
}

/* What is done about one call; every way through ends with an answer. */
static void decide(struct program *p, const struct owner_call *c, const struct owner_arch *arch,
	enum owner_level level, uint32_t ids)
{
	switch (c->op) {
	case OWNER_OPEN: {
		unsigned short skip;

		if (c->arg == NO_ARG)
			break; /* creat(2) always creates */
		load(p, LOW(ARG(c->arg)));
		skip = unless(p, BPF_JSET, O_CREAT | TMPFILE_BIT);
		if (arch->wide)
			pass_gate(p);
		answer(p, SECCOMP_RET_USER_NOTIF);
		land(p, skip);
		answer(p, SECCOMP_RET_ALLOW);
		return;
	}
	case OWNER_STATX:
		load(p, LOW(ARG(c->arg2)));
		emit(p, BPF_ALU | BPF_AND | BPF_K, STATX_UID | STATX_GID | STATX_MODE | STATX_TYPE);
		answer_if(p, BPF_JEQ, 0, SECCOMP_RET_ALLOW);
		break;
	case OWNER_CHOWN:
		if (level == OWNER_FULL || ((c->traits & OWNER_NARROW) && !arch->wide))
			break;
		ask_for_large(p, c->arg, ids);
		ask_for_large(p, c->arg2, ids);
		answer(p, SECCOMP_RET_ALLOW);
		return;
	case OWNER_MKNOD:
		if (level == OWNER_FULL)
			break;
		load(p, LOW(ARG(c->arg)));
		emit(p, BPF_ALU | BPF_AND | BPF_K, S_IFMT);
		answer_if(p, BPF_JEQ, S_IFCHR, SECCOMP_RET_USER_NOTIF);
		answer_if(p, BPF_JEQ, S_IFBLK, SECCOMP_RET_USER_NOTIF);
		answer(p, SECCOMP_RET_ALLOW);
		return;
	case OWNER_PRCTL:
		load(p, LOW(ARG(c->arg)));
		answer_if(p, BPF_JEQ, PR_SET_KEEPCAPS, SECCOMP_RET_USER_NOTIF);
		answer_if(p, BPF_JEQ, PR_SET_SECUREBITS, SECCOMP_RET_USER_NOTIF);
		answer(p, SECCOMP_RET_ALLOW);
		return;
	case OWNER_PEERCRED: {
		unsigned short skip;

		load(p, LOW(ARG(1)));
		skip = unless(p, BPF_JEQ, SOL_SOCKET);
		load(p, LOW(ARG(2)));
		answer_if(p, BPF_JEQ, SO_PEERCRED, SECCOMP_RET_USER_NOTIF);
		land(p, skip);
		answer(p, SECCOMP_RET_ALLOW);
		return;
	}
	case OWNER_KEEP_LIMIT:
		keep_limit(p, c);
		return;
	case OWNER_ABSENT:
		answer(p, SECCOMP_RET_ERRNO | ENOSYS);
		return;
	default:
		break;
	}
	if ((c->traits & OWNER_GATED) && arch->wide)
		pass_gate(p);
	answer(p, SECCOMP_RET_USER_NOTIF);
}

static void add_arch(struct program *p, struct owner_arch *arch, enum owner_level level, uint32_t ids)
{
	/* The part of an architecture is longer than a conditional jump reaches. */
	unsigned short over, start;

	emit(p, BPF_JMP | BPF_JEQ | BPF_K, arch->token);
	p->code[p->count - 1].jt = 1;
	emit(p, BPF_JMP | BPF_JA, 0);
	over = p->count;
	load(p, DATA(nr));
	for (size_t i = 0; i < owner_calls_len; i++) {
		const struct owner_call *c = &owner_calls[i];
		int nr = number_of(arch->token, c->name);

		if (nr < 0 || nr >= OWNER_CALL_NUMBERS || (level == OWNER_SPILL && !(c->traits & OWNER_SPILLS)) ||
			(c->traits & (arch->wide ? OWNER_ONLY_32 : OWNER_ONLY_64)))
			continue;
		arch->call[nr] = (uint8_t)(i + 1);
		start = unless(p, BPF_JEQ, (uint32_t)nr);
		if (level == OWNER_FLAT)
			decide_flat(p, c);
		else
			decide(p, c, arch, level, ids);
		land(p, start);
	}
	answer(p, SECCOMP_RET_ALLOW);
	p->code[over - 1].k = (uint32_t)(p->count - over);
}

static bool is_wide(uint32_t token)
{
	return token & 0x80000000u; /* __AUDIT_ARCH_64BIT */
}

struct owner_filter *owner_filter_for(const uint32_t *tokens, size_t n, enum owner_level level, uint32_t ids)
{
	struct owner_filter *f = xcalloc(1, sizeof(*f));
	struct program *p = xcalloc(1, sizeof(*p));

	assert(n <= OWNER_ARCHES_MAX);
	f->level = level;
	f->narches = n;
	load(p, DATA(arch));
	for (size_t i = 0; i < n; i++) {
		f->arches[i].token = tokens[i];
		f->arches[i].wide = is_wide(tokens[i]);
		add_arch(p, &f->arches[i], level, ids);
	}
	answer(p, SECCOMP_RET_ALLOW); /* the first filter refuses every other architecture */
	f->count = p->count;
	f->code = xmemdup(p->code, p->count * sizeof(*p->code));
	free(p);
	return f;
}

struct owner_filter *owner_filter_new(enum owner_level level, uint32_t ids)
{
	uint32_t tokens[OWNER_ARCHES_MAX] = { seccomp_arch_native() };
	size_t n = 1;

	if (tokens[0] == SCMP_ARCH_X86_64)
		tokens[n++] = SCMP_ARCH_X86;
	else if (tokens[0] == SCMP_ARCH_AARCH64)
		tokens[n++] = SCMP_ARCH_ARM;
	return owner_filter_for(tokens, n, level, ids);
}

void owner_filter_free(struct owner_filter *f)
{
	if (!f)
		return;
	free(f->code);
	free(f);
}

const struct owner_call *owner_filter_call(const struct owner_filter *f, uint32_t token, int number,
	const struct owner_arch **ret_arch)
{
	if (number < 0 || number >= OWNER_CALL_NUMBERS)
		return NULL;
	for (size_t i = 0; i < f->narches; i++)
		if (f->arches[i].token == token) {
			*ret_arch = &f->arches[i];
			return f->arches[i].call[number] ? &owner_calls[f->arches[i].call[number] - 1] : NULL;
		}
	return NULL;
}
