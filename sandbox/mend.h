/*
 * How to mend what a host lacks: one table of commands per distribution, and advice where no command does it. Which
 * mend is due is decided by evidence (diagnose.h); os-release(5) only chooses the words of the command.
 */
#ifndef WHITTLE_SANDBOX_MEND_H
#define WHITTLE_SANDBOX_MEND_H

#include <stdbool.h>

#include "base/strbuf.h"

enum distro { DISTRO_ANY, DISTRO_DEBIAN, DISTRO_UBUNTU, DISTRO_RASPBIAN, DISTRO_FEDORA, DISTRO_ALPINE };

enum mend {
	MEND_NONE,
	MEND_UIDMAP,          /* newuidmap is missing */
	MEND_HELPER,          /* newuidmap has no privilege */
	MEND_RANGE,           /* no subordinate ids */
	MEND_DIRECTORY,       /* they come from a directory service */
	MEND_NO_NEW_PRIVS,
	MEND_USERNS_SYSCTL,   /* detail: the key, and its value */
	MEND_APPARMOR,
	MEND_SELINUX,         /* detail: the type of the process */
	MEND_FILTER_DOCKER,
	MEND_FILTER_POD,
	MEND_FILTER,
	MEND_FILTER_CLONE3,
	MEND_CHROOT,
	MEND_OUTER_MAP,
	MEND_KERNEL_USERNS,
	MEND_KERNEL,          /* detail: the version needed */
	MEND_PROC_MOUNT,      /* there is none */
	MEND_PROC_WRITABLE,
	MEND_PROC_UNMASK,
	MEND_OVERLAY_MODULE,
	MEND_STORE,
	MEND_MOUNT_MAX,
	MEND_PROCESSES,
	MEND_REPORT,
	MEND_BINFMT_MODULE,
	MEND_QEMU,            /* detail: qemu's name of the processor */
	MEND_NETWORK_HELPER,
	MEND_TUN_MODULE,
	MEND_TUN_MODE,
	MEND_CGROUP_V2,
	MEND_CGROUP_DELEGATE,
	MEND_CGROUP_MEMORY,
	MEND_CGROUP_MEMORY_PI,
	MEND_LOCKS,
	MEND_LANDLOCK,
	MEND_DISK,
	MEND_CLOCK,
	MEND_PAGES,
	MEND_PAGES_PI,
	MEND_COUNT,
};

#define MEND_RUN "; to mend it, run: "  /* in an error, before a command */
#define MEND_ADVICE "; to mend it: "    /* before advice */

/* The distribution that the text of an os-release file names: by ID, else by the first known word of ID_LIKE. */
enum distro mend_distro(const char *os_release);
/*
 * Append the mend for this host, without MEND_RUN or MEND_ADVICE. Returns whether it is a command for a shell.
 *   detail  what the row of the table wants to know; may be NULL
 */
bool mend_format(enum mend mend, const char *detail, struct strbuf *sb);
/* The same for a given distribution and user; exposed for its tests. */
bool mend_format_for(enum mend mend, enum distro distro, bool is_root, const char *detail, struct strbuf *sb);
/* The name of a mend's row exists for every member of the enum: false is a hole in the table (for its tests). */
bool mend_exists(enum mend mend);

/*
 * The AppArmor profile that lets the program at path have user namespaces (Ubuntu 23.10 and newer), appended to sb; the
 * same text as sandbox/apparmor/whittle.in.
 */
void mend_apparmor_profile(const char *path, struct strbuf *sb);
/* The path of this program, or "whittle" where /proc does not say; owned by the caller. */
char *mend_own_path(void);

#endif
