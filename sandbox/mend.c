#include "sandbox/mend.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"

#define OS_RELEASE_MAX (64 << 10)
#define SUBID_FILE_MAX (4 << 20)
#define SUBID_FIRST 100000u     /* SUB_UID_MIN of login.defs(5) */
#define SUBID_LAST 600100000u   /* SUB_UID_MAX */
#define SUBID_COUNT 65536u
#define PLAIN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-" /* need no quotes */

enum form { ADVICE, COMMAND };

/*
 * {root} is "sudo ", "doas " or nothing; {user}, {first}, {last} and {count} a range that nobody has; {program} the
 * path of this program; {detail} what the caller knows.
 */
static const struct row {
	enum mend mend;
	enum distro distro;
	enum form form;
	const char *text;
} rows[] = {
	{ MEND_UIDMAP, DISTRO_DEBIAN, COMMAND, "{root}apt-get install uidmap" },
	{ MEND_UIDMAP, DISTRO_FEDORA, COMMAND, "{root}dnf install shadow-utils" },
	{ MEND_UIDMAP, DISTRO_ALPINE, COMMAND, "{root}apk add shadow-uidmap" },
	{ MEND_UIDMAP, DISTRO_ANY, ADVICE, "install the package with newuidmap (uidmap or shadow-utils)" },
	{ MEND_HELPER, DISTRO_DEBIAN, COMMAND, "{root}apt-get install --reinstall uidmap" },
	{ MEND_HELPER, DISTRO_FEDORA, COMMAND, "{root}dnf reinstall shadow-utils" },
	{ MEND_HELPER, DISTRO_ALPINE, COMMAND, "{root}apk fix shadow-uidmap" },
	{ MEND_HELPER, DISTRO_ANY, COMMAND, "{root}chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap" },
	{ MEND_RANGE, DISTRO_ALPINE, COMMAND, "echo {user}:{first}:{count} | {root}tee -a /etc/subuid /etc/subgid" },
	{ MEND_RANGE, DISTRO_ANY, COMMAND,
		"{root}usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {user}" },
	{ MEND_DIRECTORY, DISTRO_ANY, ADVICE,
		"ask the administrator of that service for a range of subordinate ids for {user}" },
	{ MEND_NO_NEW_PRIVS, DISTRO_ANY, ADVICE,
		"start the container without no-new-privileges (pod: allowPrivilegeEscalation: true)" },
	{ MEND_USERNS_SYSCTL, DISTRO_ANY, COMMAND,
		"echo {detail} | {root}tee /etc/sysctl.d/90-whittle.conf && {root}sysctl -p /etc/sysctl.d/90-whittle.conf" },
	{ MEND_APPARMOR, DISTRO_ANY, COMMAND,
		"{program} doctor --apparmor-profile | {root}tee /etc/apparmor.d/whittle && "
		"{root}apparmor_parser -r /etc/apparmor.d/whittle" },
	{ MEND_SELINUX, DISTRO_FEDORA, COMMAND,
		"{root}ausearch -m avc -ts recent | {root}audit2allow -M whittle && {root}semodule -i whittle.pp" },
	{ MEND_SELINUX, DISTRO_ANY, ADVICE,
		"give the pod seLinuxOptions.type: container_engine_t, or allow {detail} user_namespace create" },
	{ MEND_FILTER_DOCKER, DISTRO_ANY, ADVICE,
		"start the container with --security-opt seccomp=unconfined, or with a profile that allows clone, unshare, "
		"mount, umount2, pivot_root, setns, keyctl and the mount calls since Linux 5.2" },
	{ MEND_FILTER_POD, DISTRO_ANY, ADVICE,
		"give the pod securityContext.seccompProfile.type: Unconfined, or a Localhost profile that allows clone, "
		"unshare, mount, umount2, pivot_root, setns, keyctl and the mount calls since Linux 5.2" },
	{ MEND_FILTER, DISTRO_ANY, ADVICE,
		"let the filter allow clone, unshare, mount, umount2, pivot_root, setns, keyctl and the mount calls since "
		"Linux 5.2" },
	{ MEND_FILTER_CLONE3, DISTRO_ANY, ADVICE,
		"update the container runtime and its libseccomp, or start the container with --security-opt "
		"seccomp=unconfined" },
	{ MEND_CHROOT, DISTRO_ANY, ADVICE,
		"leave the chroot, or enter that tree with a program that uses pivot_root (bwrap, systemd-nspawn)" },
	{ MEND_OUTER_MAP, DISTRO_ANY, ADVICE, "map this user's id in the user namespace around this process" },
	{ MEND_KERNEL_USERNS, DISTRO_ANY, ADVICE, "use a kernel that was built with CONFIG_USER_NS" },
	{ MEND_KERNEL, DISTRO_ANY, ADVICE, "use Linux {detail} or newer" },
	{ MEND_PROC_MOUNT, DISTRO_ANY, COMMAND, "{root}mount -t proc proc /proc" },
	{ MEND_PROC_WRITABLE, DISTRO_ANY, ADVICE, "let the sandbox around this process mount its /proc read-write" },
	{ MEND_PROC_UNMASK, DISTRO_ANY, ADVICE,
		"start the container with --security-opt systempaths=unconfined (pod: procMount: Unmasked with hostUsers: "
		"false)" },
	{ MEND_OVERLAY_MODULE, DISTRO_ANY, COMMAND,
		"{root}modprobe overlay && echo overlay | {root}tee /etc/modules-load.d/whittle.conf" },
	{ MEND_STORE, DISTRO_ANY, ADVICE,
		"put the store on a local file system with --root DIR or $WHITTLE_ROOT (in a container: on a volume)" },
	{ MEND_MOUNT_MAX, DISTRO_ANY, COMMAND, "{root}sysctl -w fs.mount-max={detail}" },
	{ MEND_PROCESSES, DISTRO_ANY, ADVICE, "raise 'ulimit -u', or pids.max of the cgroup" },
	{ MEND_REPORT, DISTRO_ANY, ADVICE, "try again; if it stays, this is a bug of whittle that should be reported" },
	{ MEND_BINFMT_MODULE, DISTRO_ANY, COMMAND,
		"{root}modprobe binfmt_misc && echo binfmt_misc | {root}tee /etc/modules-load.d/whittle.conf" },
	{ MEND_QEMU, DISTRO_DEBIAN, COMMAND, "{root}apt-get install qemu-user-static" },
	{ MEND_QEMU, DISTRO_FEDORA, COMMAND, "{root}dnf install qemu-user-static" },
	{ MEND_QEMU, DISTRO_ALPINE, COMMAND, "{root}apk add qemu-{detail}" },
	{ MEND_QEMU, DISTRO_ANY, ADVICE, "install a statically linked qemu-{detail}" },
	{ MEND_NETWORK_HELPER, DISTRO_DEBIAN, COMMAND, "{root}apt-get install passt" },
	{ MEND_NETWORK_HELPER, DISTRO_FEDORA, COMMAND, "{root}dnf install passt" },
	{ MEND_NETWORK_HELPER, DISTRO_ALPINE, COMMAND, "{root}apk add passt" },
	{ MEND_NETWORK_HELPER, DISTRO_ANY, ADVICE, "install passt (pasta) or slirp4netns" },
	{ MEND_TUN_MODULE, DISTRO_ANY, COMMAND, "{root}modprobe tun" },
	{ MEND_TUN_MODE, DISTRO_ANY, COMMAND, "{root}chmod 0666 /dev/net/tun" },
	{ MEND_CGROUP_V2, DISTRO_ANY, ADVICE,
		"boot with systemd.unified_cgroup_hierarchy=1, or mount a cgroup2 at /sys/fs/cgroup" },
	{ MEND_CGROUP_DELEGATE, DISTRO_ALPINE, ADVICE, "let root give this user a cgroup of its own (chown its folder)" },
	{ MEND_CGROUP_DELEGATE, DISTRO_ANY, COMMAND, "systemd-run --user --scope -p Delegate=yes {program} build ..." },
	{ MEND_CGROUP_MEMORY_PI, DISTRO_ANY, COMMAND,
		"{root}sed -i '1s/$/ cgroup_enable=memory cgroup_memory=1/' /boot/firmware/cmdline.txt && {root}reboot" },
	{ MEND_CGROUP_MEMORY, DISTRO_ANY, ADVICE,
		"delegate the memory controller (add +memory to cgroup.subtree_control of the cgroups above)" },
	{ MEND_LOCKS, DISTRO_ANY, COMMAND, "echo '* hard locks unlimited' | {root}tee /etc/security/limits.d/whittle.conf" },
	{ MEND_LANDLOCK, DISTRO_ANY, ADVICE, "use Linux 5.13 or newer with landlock in its lsm= list" },
	{ MEND_DISK, DISTRO_ANY, COMMAND, "{program} prune" },
	{ MEND_CLOCK, DISTRO_ALPINE, COMMAND, "{root}rc-service chronyd restart" },
	{ MEND_CLOCK, DISTRO_DEBIAN, COMMAND, "{root}timedatectl set-ntp true" },
	{ MEND_CLOCK, DISTRO_FEDORA, COMMAND, "{root}timedatectl set-ntp true" },
	{ MEND_CLOCK, DISTRO_ANY, COMMAND, "{root}date -s 'YYYY-MM-DD HH:MM'" },
	{ MEND_PAGES, DISTRO_ANY, ADVICE, "boot a kernel with pages of 4 KiB" },
	{ MEND_PAGES_PI, DISTRO_ANY, COMMAND,
		"echo kernel=kernel8.img | {root}tee -a /boot/firmware/config.txt && {root}reboot" },
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

static const struct {
	const char *id;
	enum distro distro;
} distros[] = {
	{ "debian", DISTRO_DEBIAN },
	{ "ubuntu", DISTRO_UBUNTU },
	{ "raspbian", DISTRO_RASPBIAN },
	{ "fedora", DISTRO_FEDORA },
	{ "rhel", DISTRO_FEDORA },
	{ "centos", DISTRO_FEDORA },
	{ "alpine", DISTRO_ALPINE },
};

/* Where there is no row for a distribution, that of the one it descends from is taken. */
static enum distro parent(enum distro d)
{
	return d == DISTRO_UBUNTU || d == DISTRO_RASPBIAN ? DISTRO_DEBIAN : DISTRO_ANY;
}

static enum distro by_id(const char *word, size_t len)
{
	for (size_t i = 0; i < sizeof(distros) / sizeof(distros[0]); i++)
		if (strlen(distros[i].id) == len && strncmp(distros[i].id, word, len) == 0)
			return distros[i].distro;
	return DISTRO_ANY;
}

/* The value of KEY= at the start of a line, without quotes; *ret_len is 0 where it is not there. */
static const char *value_of(const char *text, const char *key, size_t *ret_len)
{
	size_t n = strlen(key);

	*ret_len = 0;
	while (*text) {
		const char *end = text + strcspn(text, "\n");

		if (strncmp(text, key, n) == 0 && text[n] == '=') {
			text += n + 1;
			text += *text == '"' || *text == '\'';
			*ret_len = strcspn(text, "\"'\n");
			return text;
		}
		text = *end ? end + 1 : end;
	}
	return text;
}

enum distro mend_distro(const char *os_release)
{
	size_t len;
	const char *value = value_of(os_release, "ID", &len);
	enum distro d = by_id(value, len);

	value = value_of(os_release, "ID_LIKE", &len);
	while (d == DISTRO_ANY && len > 0) {
		size_t word = strcspn(value, " ");

		word = word < len ? word : len;
		d = by_id(value, word);
		len -= word;
		value += word;
		if (len) {
			len--;
			value++;
		}
	}
	return d;
}

static enum distro own_distro(void)
{
	auto_strbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;

	if (read_file(AT_FDCWD, "/etc/os-release", OS_RELEASE_MAX, &text, &ignored) < 0 &&
		read_file(AT_FDCWD, "/usr/lib/os-release", OS_RELEASE_MAX, &text, &ignored) < 0)
		return DISTRO_ANY;
	return mend_distro(text.buf);
}

/* The first id above every range of the file, within what login.defs(5) allows. */
static unsigned first_free(const char *file, unsigned first)
{
	auto_strbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	char *save = NULL;

	if (read_file(AT_FDCWD, file, SUBID_FILE_MAX, &text, &ignored) < 0)
		return first;
	for (char *line = strtok_r(text.buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *start = strchr(line, ':'), *count = start ? strchr(start + 1, ':') : NULL;
		uint64_t from, n;

		if (!count)
			continue;
		*count++ = '\0';
		if (parse_u64(start + 1, 0, UINT32_MAX, &from) == 0 && parse_u64(count, 1, UINT32_MAX, &n) == 0 &&
			from + n > first && from + n <= SUBID_LAST)
			first = (unsigned)(from + n);
	}
	return first;
}

static char *own_user(void)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw ? xstrdup(pw->pw_name) : xasprintf("%u", (unsigned)getuid());
}

char *mend_own_path(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	return n > 0 ? xstrndup(path, (size_t)n) : xstrdup("whittle");
}

/* One {name} of a template. */
static void put_value(const char *name, size_t len, enum distro distro, bool is_root, const char *detail,
	struct strbuf *sb)
{
	auto_free char *key = xstrndup(name, len);
	unsigned first = SUBID_FIRST;

	if (strcmp(key, "root") == 0) {
		strbuf_puts(sb, is_root ? "" : distro == DISTRO_ALPINE ? "doas " : "sudo ");
	} else if (strcmp(key, "detail") == 0) {
		strbuf_puts(sb, detail ? detail : "");
	} else if (strcmp(key, "count") == 0) {
		strbuf_printf(sb, "%u", SUBID_COUNT);
	} else if (strcmp(key, "user") == 0) {
		auto_free char *user = own_user();

		strbuf_puts(sb, user);
	} else if (strcmp(key, "program") == 0) {
		auto_free char *path = mend_own_path();
		bool plain = path[strspn(path, PLAIN_CHARACTERS)] == '\0';

		strbuf_printf(sb, plain ? "%s" : "'%s'", path);
	} else {
		first = first_free("/etc/subgid", first_free("/etc/subuid", first));
		strbuf_printf(sb, "%u", strcmp(key, "first") == 0 ? first : first + SUBID_COUNT - 1);
	}
}

static const struct row *row_of(enum mend mend, enum distro distro)
{
	for (;; distro = parent(distro)) {
		for (size_t i = 0; i < NROWS; i++)
			if (rows[i].mend == mend && rows[i].distro == distro)
				return &rows[i];
		if (distro == DISTRO_ANY)
			return NULL;
	}
}

bool mend_format_for(enum mend mend, enum distro distro, bool is_root, const char *detail, struct strbuf *sb)
{
	const struct row *row = row_of(mend, distro);
	const char *p = row ? row->text : "";

	while (*p) {
		size_t plain = strcspn(p, "{");
		const char *end = p[plain] ? strchr(p + plain, '}') : NULL;

		strbuf_add(sb, p, plain);
		p += plain;
		if (!end)
			break;
		put_value(p + 1, (size_t)(end - p - 1), distro, is_root, detail, sb);
		p = end + 1;
	}
	return row && row->form == COMMAND;
}

bool mend_format(enum mend mend, const char *detail, struct strbuf *sb)
{
	return mend_format_for(mend, own_distro(), geteuid() == 0, detail, sb);
}

bool mend_exists(enum mend mend)
{
	return row_of(mend, DISTRO_ANY) != NULL;
}

void mend_apparmor_profile(const char *path, struct strbuf *sb)
{
	strbuf_printf(sb,
		"# Ubuntu 23.10 and newer take the capabilities of a user namespace away from programs\n"
		"# that have no profile. This one lets whittle keep them and restricts nothing else.\n"
		"abi <abi/4.0>,\n"
		"include <tunables/global>\n"
		"\n"
		"profile whittle %s flags=(unconfined) {\n"
		"  userns,\n"
		"\n"
		"  include if exists <local/whittle>\n"
		"}\n",
		path);
}
