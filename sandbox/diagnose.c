#include "sandbox/diagnose.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sandbox/subid.h"

#define KNOB_MAX 4096            /* bytes of a file of /proc/sys or an attribute */
#define STATUS_MAX (64 << 10)
#define MOUNTINFO_MAX (16 << 20) /* fs.mount-max lines of about 100 bytes */
#define COVERED_SHOWN 3          /* mounts below /proc that the message names */
#define CAP_SETUID_BIT (1ull << 7)

/* ---- reading the host ---- */

static bool read_text(const struct refusal *r, const char *file, size_t max, struct strbuf *text)
{
	auto_free char *path = xasprintf("%s%s", r->root, file);
	struct err ignored = ERR_INIT;

	return read_file(AT_FDCWD, path, max, text, &ignored) == 0;
}

static bool exists(const struct refusal *r, const char *file)
{
	auto_free char *path = xasprintf("%s%s", r->root, file);

	return access(path, F_OK) == 0;
}

/* The number in a file of one line, or -1. */
static long read_number(const struct refusal *r, const char *file)
{
	auto_strbuf text = STRBUF_INIT;
	char *end;
	long value;

	if (!read_text(r, file, KNOB_MAX, &text))
		return -1;
	value = strtol(text.buf, &end, 10);
	return end == text.buf ? -1 : value;
}

/* The value of "Name:" in /proc/self/status in a base, or fallback. */
static unsigned long long status_value(const struct refusal *r, const char *name, int base, unsigned long long fallback)
{
	auto_strbuf text = STRBUF_INIT;
	auto_free char *key = xasprintf("\n%s:", name);
	const char *at;

	if (!read_text(r, "/proc/self/status", STATUS_MAX, &text))
		return fallback;
	at = strstr(text.buf, key);
	return at ? strtoull(at + strlen(key), NULL, base) : fallback;
}

static bool kernel_is_older(unsigned major, unsigned minor)
{
	struct utsname u;
	unsigned have_major = 0, have_minor = 0;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &have_major, &have_minor) == 2 &&
	       (have_major < major || (have_major == major && have_minor < minor));
}

/* ---- tell-tales: whether a row fits; what they write to detail stands for {detail} ---- */

static bool knob_is_zero(const struct refusal *r, const char *file, struct strbuf *detail)
{
	(void)detail;
	return read_number(r, file) == 0;
}

static bool knob_is_one(const struct refusal *r, const char *file, struct strbuf *detail)
{
	(void)detail;
	return read_number(r, file) == 1;
}

static bool show_knob(const struct refusal *r, const char *file, struct strbuf *detail)
{
	strbuf_printf(detail, "%ld", read_number(r, file));
	return true;
}

static bool is_absent(const struct refusal *r, const char *file, struct strbuf *detail)
{
	(void)detail;
	return !exists(r, file);
}

/* A call that the kernel always grants: only a filter can refuse it. In a child, since a filter may also kill. */
static bool unshare_nothing_fails(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(0) < 0);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return pid > 0 && status != 0;
}

static bool is_filtered(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	(void)arg;
	(void)detail;
	return status_value(r, "Seccomp", 10, 0) == 2 || unshare_nothing_fails();
}

static bool is_filtered_pod(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	return getenv("KUBERNETES_SERVICE_HOST") && is_filtered(r, arg, detail);
}

static bool is_filtered_container(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	return (exists(r, "/.dockerenv") || exists(r, "/run/.containerenv")) && is_filtered(r, arg, detail);
}

static bool is_apparmor(const struct refusal *r, const char *file, struct strbuf *detail)
{
	return geteuid() != 0 && knob_is_one(r, file, detail);
}

/* "user:role:type:level": the third is what rules are about. */
static bool is_selinux(const struct refusal *r, const char *file, struct strbuf *detail)
{
	auto_strbuf label = STRBUF_INIT;
	const char *type;

	if (read_number(r, file) != 1 || !read_text(r, "/proc/self/attr/current", KNOB_MAX, &label))
		return false;
	type = strchr(label.buf, ':');
	type = type ? strchr(type + 1, ':') : NULL;
	strbuf_printf(detail, "%.*s", type ? (int)strcspn(type + 1, ":\n") : 1, type ? type + 1 : "?");
	return true;
}

/* The mount point of a line of mountinfo: its fifth field. */
static const char *mount_point(const char *line)
{
	for (int field = 1; field < 5 && line; field++) {
		line = strchr(line, ' ');
		line = line ? line + 1 : NULL;
	}
	return line ? line : "";
}

/* mountinfo shows what lies below the root of the reader: where that is no mount point, "/" is missing. */
static bool is_chroot(const struct refusal *r, const char *file, struct strbuf *detail)
{
	auto_strbuf text = STRBUF_INIT;

	(void)detail;
	if (!read_text(r, file, MOUNTINFO_MAX, &text))
		return false;
	for (char *line = text.buf, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strncmp(mount_point(line), "/ ", 2) == 0)
			return false;
	}
	return true;
}

/* Whether no line of our own uid_map covers this process's id, which then shows as 65534. */
static bool is_unmapped(const struct refusal *r, const char *file, struct strbuf *detail)
{
	auto_strbuf text = STRBUF_INIT;
	unsigned inside, count;
	int used = 0;

	if (!read_text(r, file, KNOB_MAX, &text))
		return false;
	for (const char *p = text.buf; sscanf(p, "%u %*u %u%n", &inside, &count, &used) == 2; p += used)
		if (geteuid() >= inside && geteuid() - inside < count)
			return false;
	strbuf_printf(detail, "%u", (unsigned)geteuid());
	return true;
}

static bool has_no_ns_file(const struct refusal *r, const char *file, struct strbuf *detail)
{
	return exists(r, "/proc/self/ns") && is_absent(r, file, detail);
}

/* The kernel compares with what the whole namespace has mounted, which is at least what we see. */
static bool is_mount_max(const struct refusal *r, const char *file, struct strbuf *detail)
{
	auto_strbuf text = STRBUF_INIT;
	long max = read_number(r, file), n = 0;

	if (max < 0 || !read_text(r, "/proc/self/mountinfo", MOUNTINFO_MAX, &text))
		return false;
	for (const char *p = text.buf; (p = strchr(p, '\n')); p++)
		n++;
	strbuf_printf(detail, "%ld", 2 * max);
	return n + 16 >= max; /* a step adds about a dozen */
}

/* The names of what covers parts of /proc; automounts stand on folders that are empty otherwise. */
static bool is_masked_proc(const struct refusal *r, const char *file, struct strbuf *detail)
{
	auto_strbuf text = STRBUF_INIT;
	size_t n = 0;

	if (!read_text(r, file, MOUNTINFO_MAX, &text))
		return false;
	for (char *line = text.buf, *next; line && *line; line = next) {
		const char *point;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		point = mount_point(line);
		if (strncmp(point, "/proc/", strlen("/proc/")) != 0 || strstr(line, " - autofs ") ||
			strstr(line, " - binfmt_misc "))
			continue;
		if (n++ < COVERED_SHOWN)
			strbuf_printf(detail, "%s%.*s", n > 1 ? ", " : "", (int)strcspn(point, " "), point);
	}
	if (n > COVERED_SHOWN)
		strbuf_printf(detail, " and %zu more", n - COVERED_SHOWN);
	return n > 0;
}

static bool no_overlay(const struct refusal *r, const char *file, struct strbuf *detail)
{
	auto_strbuf text = STRBUF_INIT;

	(void)detail;
	return read_text(r, file, STATUS_MAX, &text) && !strstr(text.buf, "\toverlay\n");
}

static bool is_old_kernel(const struct refusal *r, const char *version, struct strbuf *detail)
{
	unsigned major = 0, minor = 0;

	(void)r;
	sscanf(version, "%u.%u", &major, &minor);
	strbuf_puts(detail, version);
	return kernel_is_older(major, minor);
}

/* File systems that cannot be the upper of an overlay, by statfs(2). */
static const struct {
	unsigned long magic;
	const char *name;
} no_upper[] = {
	{ OVERLAYFS_SUPER_MAGIC, "overlay" },
	{ NFS_SUPER_MAGIC, "NFS" },
	{ ECRYPTFS_SUPER_MAGIC, "eCryptfs" },
	{ FUSE_SUPER_MAGIC, "FUSE" },
	{ MSDOS_SUPER_MAGIC, "vfat" },
	{ EXFAT_SUPER_MAGIC, "exFAT" },
	{ V9FS_MAGIC, "9p" },
	{ 0xff534d42ul, "CIFS" },
	{ 0xfe534d42ul, "SMB" },
};

static bool is_no_upper(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	struct statfs fs;

	(void)arg;
	if (!r->subject || statfs(r->subject, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(no_upper) / sizeof(no_upper[0]); i++)
		if ((unsigned long)fs.f_type == no_upper[i].magic) {
			strbuf_puts(detail, no_upper[i].name);
			return true;
		}
	return false;
}

/* An overlay in a user namespace keeps its marks in user.* attributes. */
static bool has_no_user_xattr(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	(void)arg;
	(void)detail;
	return r->subject && setxattr(r->subject, "user.whittle.probe", "", 0, 0) < 0 && errno == EOPNOTSUPP;
}

/* Sets path to newuidmap as PATH has it. */
static bool find_helper(char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");

	for (dirs = dirs ? dirs : "/usr/bin:/bin"; *dirs;) {
		int len = (int)strcspn(dirs, ":");

		snprintf(path, PATH_MAX, "%.*s/newuidmap", len, dirs);
		if (len && access(path, X_OK) == 0)
			return true;
		dirs += len;
		dirs += *dirs == ':';
	}
	return false;
}

static bool helper_is_plain(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	char path[PATH_MAX];
	struct stat st;

	(void)r;
	(void)arg;
	if (!find_helper(path) || stat(path, &st) < 0)
		return false;
	strbuf_printf(detail, "%.200s", path);
	return !(st.st_mode & S_ISUID && st.st_uid == 0) && getxattr(path, "security.capability", NULL, 0) < 0;
}

static bool helper_is_nosuid(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	char path[PATH_MAX];
	struct statvfs fs;

	(void)r;
	(void)arg;
	if (!find_helper(path) || statvfs(path, &fs) < 0)
		return false;
	strbuf_printf(detail, "%.200s", path);
	return (fs.f_flag & ST_NOSUID) != 0;
}

static bool bounding_lacks_setuid(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	(void)arg;
	(void)detail;
	return !(status_value(r, "CapBnd", 16, ~0ull) & CAP_SETUID_BIT);
}

static bool has_no_new_privs(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	(void)arg;
	(void)detail;
	return status_value(r, "NoNewPrivs", 10, 0) == 1;
}

static bool uses_directory(const struct refusal *r, const char *file, struct strbuf *detail)
{
	auto_strbuf text = STRBUF_INIT;
	char source[SUBID_SOURCE_SIZE] = "";

	if (!read_text(r, file, STATUS_MAX, &text) || !subid_directory_of(text.buf, source))
		return false;
	strbuf_puts(detail, source);
	return true;
}

static bool subject_says(const struct refusal *r, const char *words, struct strbuf *detail)
{
	(void)detail;
	return r->subject && strstr(r->subject, words);
}

static bool show_release(const struct refusal *r, const char *arg, struct strbuf *detail)
{
	struct utsname u;

	(void)r;
	(void)arg;
	strbuf_printf(detail, "%.64s", uname(&u) == 0 ? u.release : "unknown");
	return true;
}

/* ---- the table ---- */

#define NS (DIAGNOSE_CLONE | DIAGNOSE_NAMESPACES)
#define INSIDE (DIAGNOSE_ENTER | DIAGNOSE_MOUNT | DIAGNOSE_OVERLAY | DIAGNOSE_NAMESPACES)
#define ANY_STEP (NS | INSIDE | DIAGNOSE_MAP | DIAGNOSE_FILTER | DIAGNOSE_LISTENER)
#define HELPERS (DIAGNOSE_NO_HELPER | DIAGNOSE_NO_NEW_PRIVS | DIAGNOSE_NO_RANGE | DIAGNOSE_HELPER)
#define FILTERED "the container around this process filters the call with seccomp"

/* The first row that fits is the answer: from the certain to the merely likely. */
static const struct row {
	const char *id;
	unsigned steps;    /* of enum diagnose_step */
	int sys[3];        /* errnos; none: any */
	bool (*tell_tale)(const struct refusal *r, const char *arg, struct strbuf *detail); /* NULL: always fits */
	const char *arg;   /* of tell_tale: mostly the file to read */
	const char *cause;
	enum mend mend;
	const char *mend_detail; /* NULL: what the tell-tale said */
} rows[] = {
	{ "userns-sysctl", DIAGNOSE_CLONE, { EPERM }, knob_is_zero, "/proc/sys/kernel/unprivileged_userns_clone",
		"this kernel keeps user namespaces from ordinary users (kernel.unprivileged_userns_clone is 0)",
		MEND_USERNS_SYSCTL, "kernel.unprivileged_userns_clone=1" },
	{ "userns-limit", DIAGNOSE_CLONE, { ENOSPC }, knob_is_zero, "/proc/sys/user/max_user_namespaces",
		"no user namespace is allowed here (user.max_user_namespaces is 0)", MEND_USERNS_SYSCTL,
		"user.max_user_namespaces=65536" },
	{ "mntns-limit", DIAGNOSE_CLONE, { ENOSPC }, knob_is_zero, "/proc/sys/user/max_mnt_namespaces",
		"no mount namespace is allowed here (user.max_mnt_namespaces is 0)", MEND_USERNS_SYSCTL,
		"user.max_mnt_namespaces=65536" },
	/* Inside, the knobs are those of our own namespace, which allows all. */
	{ "step-limit", DIAGNOSE_NAMESPACES, { ENOSPC, EUSERS }, NULL, NULL,
		"a limit on namespaces outside is reached (user.max_pid_namespaces, max_ipc_namespaces and their like)",
		MEND_USERNS_SYSCTL, "user.max_pid_namespaces=65536" },
	{ "namespace-limit", DIAGNOSE_CLONE, { ENOSPC, EUSERS }, show_knob, "/proc/sys/user/max_user_namespaces",
		"a limit is reached: user.max_user_namespaces is {detail} here, a namespace outside may allow fewer, "
		"and 32 is the deepest nesting", MEND_USERNS_SYSCTL, "user.max_user_namespaces=65536" },
	{ "processes", NS | DIAGNOSE_THREAD, { EAGAIN }, NULL, NULL,
		"a limit on processes is reached (RLIMIT_NPROC, or pids.max of the cgroup)", MEND_PROCESSES, NULL },
	{ "no-userns", DIAGNOSE_CLONE, { EINVAL }, has_no_ns_file, "/proc/self/ns/user",
		"this kernel was built without user namespaces", MEND_KERNEL_USERNS, NULL },
	{ "no-proc", DIAGNOSE_CLONE | DIAGNOSE_MAP, { EPERM, ENOENT }, is_absent, "/proc/self/status",
		"there is no procfs at /proc, as in a bare chroot", MEND_PROC_MOUNT, NULL },
	{ "apparmor", DIAGNOSE_CLONE | DIAGNOSE_MAP | INSIDE, { EPERM, EACCES }, is_apparmor,
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
		"AppArmor takes the rights of a user namespace from programs without a profile "
		"(kernel.apparmor_restrict_unprivileged_userns is 1)", MEND_APPARMOR, NULL },
	{ "selinux", DIAGNOSE_CLONE | INSIDE, { EACCES }, is_selinux, "/sys/fs/selinux/enforce",
		"SELinux keeps this from programs of type {detail}", MEND_SELINUX, NULL },
	{ "unmapped", DIAGNOSE_CLONE, { EPERM }, is_unmapped, "/proc/self/uid_map",
		"the user namespace around this process has no id for it (it shows as {detail})", MEND_OUTER_MAP, NULL },
	{ "seccomp-pod", ANY_STEP & ~DIAGNOSE_OVERLAY & ~DIAGNOSE_LISTENER, { EPERM, ENOSYS, EACCES }, is_filtered_pod,
		NULL, FILTERED, MEND_FILTER_POD, NULL },
	{ "seccomp-container", ANY_STEP & ~DIAGNOSE_OVERLAY & ~DIAGNOSE_LISTENER, { EPERM, ENOSYS, EACCES },
		is_filtered_container, NULL, FILTERED, MEND_FILTER_DOCKER, NULL },
	{ "seccomp", ANY_STEP & ~DIAGNOSE_OVERLAY & ~DIAGNOSE_LISTENER, { EPERM, ENOSYS, EACCES }, is_filtered, NULL,
		"a seccomp filter is on this process, as in a container or sandbox, and refuses the call", MEND_FILTER,
		NULL },
	{ "chroot", DIAGNOSE_CLONE, { EPERM }, is_chroot, "/proc/self/mountinfo",
		"this is a chroot, and there the kernel refuses user namespaces", MEND_CHROOT, NULL },
	{ "userns-refused", DIAGNOSE_CLONE, { EPERM, EACCES }, NULL, NULL,
		"the kernel refuses user namespaces here and no knob says why: a chroot into a mount point does that, "
		"and so does a security module", MEND_CHROOT, NULL },
	{ "proc-read-only", DIAGNOSE_MAP, { EROFS, EPERM }, NULL, NULL,
		"/proc is read-only or belongs to another namespace, so the ID map cannot be written",
		MEND_PROC_WRITABLE, NULL },
	{ "overlay-module", DIAGNOSE_OVERLAY, { ENODEV }, no_overlay, "/proc/filesystems",
		"the kernel has no overlay, and a user namespace cannot load the module", MEND_OVERLAY_MODULE, NULL },
	{ "overlay-kernel", DIAGNOSE_OVERLAY, { EPERM }, is_old_kernel, "5.11",
		"this kernel has no overlay in user namespaces", MEND_KERNEL, NULL },
	{ "overlay-store", DIAGNOSE_OVERLAY, { EINVAL, EOPNOTSUPP, EPERM }, is_no_upper, NULL,
		"the store is on {detail}, which cannot hold the upper folder of an overlay", MEND_STORE, NULL },
	{ "overlay-xattr", DIAGNOSE_OVERLAY, { EINVAL, EOPNOTSUPP }, has_no_user_xattr, NULL,
		"the file system of the store has no user.* attributes, which an overlay needs", MEND_STORE, NULL },
	{ "overlay-busy", DIAGNOSE_OVERLAY, { EBUSY, ESTALE }, NULL, NULL,
		"another mount uses the same folders of the store", MEND_REPORT, NULL },
	{ "mount-max", INSIDE, { ENOSPC }, is_mount_max, "/proc/sys/fs/mount-max",
		"no more mounts are allowed (fs.mount-max)", MEND_MOUNT_MAX, NULL },
	{ "overlay-filter", DIAGNOSE_OVERLAY, { EPERM, ENOSYS, EACCES }, is_filtered, NULL,
		"a seccomp filter is on this process, as in a container or sandbox, and refuses the call", MEND_FILTER,
		NULL },
	{ "old-kernel", ANY_STEP & ~DIAGNOSE_LISTENER, { ENOSYS }, show_release, NULL,
		"this kernel ({detail}) lacks the call", MEND_KERNEL, "5.12" },
	{ "proc-masked", DIAGNOSE_PROC, { EPERM }, is_masked_proc, "/proc/self/mountinfo",
		"parts of /proc are covered here ({detail}), so the kernel refuses a fresh one", MEND_PROC_UNMASK, NULL },
	{ "rights", DIAGNOSE_RIGHTS, { EPERM, ENOSYS, EACCES }, NULL, NULL,
		"a seccomp filter or a security module around this process keeps a step from giving up its rights",
		MEND_FILTER, NULL },
	{ "clone3", DIAGNOSE_THREAD, { EPERM }, is_filtered, NULL,
		"the seccomp filter around this process answers clone3 with EPERM, and the C library only understands ENOSYS",
		MEND_FILTER_CLONE3, NULL },
	{ "listener-busy", DIAGNOSE_LISTENER, { EBUSY }, NULL, NULL,
		"an outer supervisor already listens to the calls of this process", MEND_NONE, NULL },
	{ "listener", DIAGNOSE_LISTENER, { EINVAL, ENOSYS, EPERM }, show_release, NULL,
		"this kernel ({detail}) or a filter has no listener for system calls", MEND_KERNEL, "5.5" },
	{ "no-newuidmap", DIAGNOSE_NO_HELPER, { 0 }, NULL, NULL, "{subject} is not in PATH", MEND_UIDMAP, NULL },
	{ "no-new-privs", DIAGNOSE_NO_NEW_PRIVS | DIAGNOSE_HELPER, { 0 }, has_no_new_privs, NULL,
		"no_new_privs is set, so the setuid program newuidmap has no effect", MEND_NO_NEW_PRIVS, NULL },
	{ "subid-directory", DIAGNOSE_NO_RANGE | DIAGNOSE_HELPER, { 0 }, uses_directory, "/etc/nsswitch.conf",
		"subordinate ids come from {detail} (nsswitch.conf), which has none for this user", MEND_DIRECTORY, NULL },
	{ "no-range", DIAGNOSE_NO_RANGE, { 0 }, NULL, NULL, "{subject} has no usable range for this user", MEND_RANGE,
		NULL },
	{ "helper-range", DIAGNOSE_HELPER, { 0 }, subject_says, "not allowed",
		"it does not take the range of /etc/subuid and /etc/subgid as this user's", MEND_RANGE, NULL },
	{ "helper-nosuid", DIAGNOSE_HELPER, { 0 }, helper_is_nosuid, NULL,
		"{detail} is on a file system that is mounted nosuid", MEND_HELPER, NULL },
	{ "helper-plain", DIAGNOSE_HELPER, { 0 }, helper_is_plain, NULL,
		"{detail} is neither setuid root nor has file capabilities", MEND_HELPER, NULL },
	{ "helper-bounding", DIAGNOSE_HELPER, { 0 }, bounding_lacks_setuid, NULL,
		"CAP_SETUID is not in the bounding set of this process (pod: add the capabilities SETUID and SETGID)",
		MEND_NONE, NULL },
	{ "binfmt-module", DIAGNOSE_BINFMT, { ENODEV }, NULL, NULL, "the kernel has no binfmt_misc", MEND_BINFMT_MODULE,
		NULL },
	{ "binfmt-kernel", DIAGNOSE_BINFMT, { 0 }, is_old_kernel, "6.7",
		"this kernel has one binfmt_misc for all, which belongs to root", MEND_KERNEL, NULL },
	{ "tun-module", DIAGNOSE_TUN, { ENOENT, ENODEV }, NULL, NULL, "/dev/net/tun is not there", MEND_TUN_MODULE, NULL },
	{ "tun-mode", DIAGNOSE_TUN, { EACCES, EPERM }, NULL, NULL, "/dev/net/tun is closed to this user", MEND_TUN_MODE,
		NULL },
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

static bool errno_fits(const struct row *row, int sys)
{
	if (row->sys[0] == 0)
		return true;
	for (size_t i = 0; i < sizeof(row->sys) / sizeof(row->sys[0]); i++)
		if (row->sys[i] && row->sys[i] == sys)
			return true;
	return false;
}

/* The cause with {detail} and {subject} filled in. */
static void put_cause(const char *text, const char *detail, const char *subject, struct strbuf *sb)
{
	while (*text) {
		size_t plain = strcspn(text, "{");
		bool is_detail = strncmp(text + plain, "{detail}", strlen("{detail}")) == 0;

		strbuf_add(sb, text, plain);
		text += plain;
		if (*text)
			strbuf_puts(sb, is_detail ? detail : subject ? subject : "?");
		text += strcspn(text, "}");
		text += *text == '}';
	}
}

bool diagnose_find(const struct refusal *r, struct diagnosis *ret)
{
	int saved = errno;

	memset(ret, 0, sizeof(*ret));
	ret->id = "";
	for (size_t i = 0; i < NROWS; i++) {
		const struct row *row = &rows[i];
		auto_strbuf detail = STRBUF_INIT;
		auto_strbuf cause = STRBUF_INIT;

		if (!(row->steps & r->step) || !errno_fits(row, r->sys) ||
			(row->tell_tale && !row->tell_tale(r, row->arg, &detail)))
			continue;
		put_cause(row->cause, detail.buf, r->subject, &cause);
		ret->id = row->id;
		ret->mend = row->mend;
		snprintf(ret->cause, sizeof(ret->cause), "%s", cause.buf);
		snprintf(ret->detail, sizeof(ret->detail), "%s", row->mend_detail ? row->mend_detail : detail.buf);
		errno = saved;
		return true;
	}
	errno = saved;
	return false;
}

int diagnose(enum diagnose_step step, const char *subject, struct err *err)
{
	struct refusal r = { step, err->sys, subject, "" };
	struct err before = *err;
	struct diagnosis d;
	auto_strbuf mend = STRBUF_INIT;
	bool is_command;

	if ((err->kind != ERR_SYSTEM && err->kind != ERR_SANDBOX && err->kind != ERR_DISK) ||
		(err->sys == 0 && !(step & HELPERS)))
		return -1;
	if (!diagnose_find(&r, &d)) {
		if (err->sys == EPERM || err->sys == EACCES || err->sys == ENOSYS)
			err->kind = ERR_SANDBOX;
		return -1;
	}
	is_command = mend_format(d.mend, d.detail, &mend);
	/* Through err_set() once more: what a file of /proc said may hold control characters. */
	err_set(err, ERR_SANDBOX, "%.1000s: %s%s%.500s", before.msg, d.cause,
		!mend.len ? "" : is_command ? MEND_RUN : MEND_ADVICE, mend.buf);
	err->sys = before.sys;
	memcpy(err->where, before.where, sizeof(err->where));
	return -1;
}

const char *diagnose_row_id(size_t i)
{
	return i < NROWS ? rows[i].id : NULL;
}
