/*
 * The second filter of a step: which calls its supervisor is asked about (spec/sandbox.md 3.6, 3.8). Assembled by hand,
 * since libseccomp can neither look at the instruction pointer nor at "any of these bits".
 */
#ifndef WHITTLE_SANDBOX_OWNER_FILTER_H
#define WHITTLE_SANDBOX_OWNER_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;

enum owner_level {
	OWNER_SPILL, /* ids are mapped: only device nodes and ids beyond the map are recorded */
	OWNER_FULL,  /* everything is recorded, and answered from the records */
	OWNER_FLAT,  /* nobody is asked: changes of owner and id succeed without effect */
};

/* What a call is about; decides which function of owner_calls.c answers it. */
enum owner_op {
	OWNER_CHOWN,
	OWNER_MKNOD,
	OWNER_STAT,   /* answers a struct stat of the caller's architecture */
	OWNER_STATX,
	OWNER_OPEN,
	OWNER_MKDIR,
	OWNER_SYMLINK,
	OWNER_GET_ID, OWNER_GET_IDS, OWNER_GET_GROUPS,
	OWNER_SET_ID, OWNER_SET_GROUPS,
	OWNER_UMASK,
	OWNER_EXEC,
	OWNER_CHROOT,
	OWNER_PRCTL,
	OWNER_PEERCRED,
	OWNER_SET_XATTR, OWNER_LIST_XATTR,
	OWNER_KEEP_LIMIT, /* answered by the filter: changing the slot of owner_creds.h succeeds without effect */
	OWNER_ABSENT,     /* answered by the filter: ENOSYS, its arguments are out of sight; callers fall back */
};

/* Which id of the credentials a call is about. */
enum owner_id {
	OWNER_NO_ID,
	OWNER_RUID, OWNER_EUID, OWNER_RGID, OWNER_EGID,        /* getuid and the like */
	OWNER_RESUID, OWNER_RESGID,                            /* getresuid, setresuid and the like */
	OWNER_UID, OWNER_GID, OWNER_REUID, OWNER_REGID,        /* setuid, setreuid and the like */
	OWNER_FSUID, OWNER_FSGID,
};

enum owner_traits {
	OWNER_GATED = 1 << 0,   /* a call from the gate page is let through (owner_gate.c) */
	OWNER_NARROW = 1 << 1,  /* on 32-bit architectures its ids are 16 bits wide */
	OWNER_SPILLS = 1 << 2,  /* asked about at OWNER_SPILL too */
	OWNER_ONLY_32 = 1 << 3, /* exists, or means this, on architectures of that width alone */
	OWNER_ONLY_64 = 1 << 4,
};

#define NO_ARG (-1)

/* A call by name, with the positions of its arguments. */
struct owner_call {
	const char *name; /* of libseccomp */
	enum owner_op op;
	enum owner_id id;
	int8_t dirfd, path; /* NO_ARG: the working directory; the descriptor in dirfd itself */
	int8_t arg;   /* uid of chown, mode, flags of open, buffer of stat, name of an attribute, ... */
	int8_t arg2;  /* gid of chown, dev of mknod, mode of open, mask of statx, size of a list, ... */
	int8_t flags; /* AT_* flags, or NO_ARG */
	int implied;  /* flags that the call implies: AT_SYMLINK_NOFOLLOW; of creat: those of open */
	unsigned traits; /* of enum owner_traits */
};

#define OWNER_ARCHES_MAX 2 /* native, and its 32-bit sibling */
#define OWNER_CALL_NUMBERS 512

struct owner_arch {
	uint32_t token; /* AUDIT_ARCH_* */
	bool wide;      /* 64 bits */
	uint8_t call[OWNER_CALL_NUMBERS]; /* number to position in owner_calls + 1; 0: not asked about */
};

struct owner_filter {
	enum owner_level level;
	struct owner_arch arches[OWNER_ARCHES_MAX];
	size_t narches;
	struct sock_filter *code;
	unsigned short count;
};

extern const struct owner_call owner_calls[];
extern const size_t owner_calls_len;

/*
 * The filter for this machine.
 *   ids  OWNER_SPILL: user and group ids below it exist and are left to the kernel
 * Returns it, owned by the caller (owner_filter_free); never NULL.
 */
struct owner_filter *owner_filter_new(enum owner_level level, uint32_t ids);
/* The same for another architecture by its AUDIT_ARCH_* token, for tests on paper. */
struct owner_filter *owner_filter_for(const uint32_t *tokens, size_t n, enum owner_level level, uint32_t ids);
/* Free; accepts NULL. */
void owner_filter_free(struct owner_filter *f);
/* The call behind a number; NULL: none that we ask about. *ret_arch is set with it. */
const struct owner_call *owner_filter_call(const struct owner_filter *f, uint32_t token, int number,
	const struct owner_arch **ret_arch);

/*
 * The page that holds the accelerator's only call instruction: in the range that the kernel gives to no mapping of its
 * own choice, clear of the shadows of sanitizers, within the 39 bits of the smallest arm64 address space.
 */
#if defined(__x86_64__)
#define OWNER_GATE 0x7f5a5a5a5000ull
#else
#define OWNER_GATE 0x7f5a5a5000ull
#endif

#endif
