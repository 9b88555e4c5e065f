#include "sandbox/idmap.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "sandbox/diagnose.h"
#include "sandbox/subid.h"

#define SUBID_FILE_MAX (4 << 20) /* a directory of 50,000 users has 2 MiB */
#define SUBID_NAMES_MAX 16
#define HELPER_OUTPUT_MAX 4096

static const char *const isolation_names[] = {
	[ISOLATION_AUTO] = "auto",
	[ISOLATION_DIRECT] = "direct",
	[ISOLATION_SUBID] = "subid",
	[ISOLATION_SINGLE] = "single",
};

int isolation_parse(const char *s, enum isolation *ret, struct err *err)
{
	for (size_t i = 0; i < sizeof(isolation_names) / sizeof(isolation_names[0]); i++)
		if (strcmp(s, isolation_names[i]) == 0) {
			*ret = (enum isolation)i;
			return 0;
		}
	return err_set(err, ERR_USAGE, "unknown isolation '%s': use auto, direct, subid or single", s);
}

const char *isolation_name(enum isolation mode)
{
	return isolation_names[mode];
}

/* One "owner:start:count" line. Returns whether it is well formed and belongs to one of names. */
static bool parse_line(char *line, const char *const names[], size_t nnames, uint64_t *start,
	uint64_t *count)
{
	char *first = strchr(line, ':');
	char *second = first ? strchr(first + 1, ':') : NULL;
	bool mine = false;

	if (!second || strchr(second + 1, ':'))
		return false;
	*first = '\0';
	*second = '\0';
	for (size_t i = 0; i < nnames; i++)
		mine |= strcmp(line, names[i]) == 0;
	return mine && parse_u64(first + 1, 0, UINT32_MAX - 1, start) == 0 &&
	       parse_u64(second + 1, 1, UINT32_MAX, count) == 0;
}

static bool range_fits(const struct id_range *ranges, size_t n, uint64_t start, uint64_t count,
	uint32_t own)
{
	uint64_t end = start + count;

	if (end > UINT32_MAX || (own >= start && own < end))
		return false;
	for (size_t i = 0; i < n; i++)
		if (start < (uint64_t)ranges[i].outside + ranges[i].count && end > ranges[i].outside)
			return false;
	return true;
}

size_t idmap_parse_subid(const char *text, const char *const names[], size_t nnames, uint32_t own,
	struct id_range ranges[IDMAP_RANGES_MAX])
{
	uint64_t inside = 1;
	size_t n = 0;

	while (*text && n < IDMAP_RANGES_MAX) {
		size_t len = strcspn(text, "\n");
		auto_free char *line = xstrndup(text, len);
		uint64_t start, count;

		text += len + (text[len] == '\n');
		if (!parse_line(line, names, nnames, &start, &count) ||
			!range_fits(ranges, n, start, count, own))
			continue;
		if (inside + count > UINT32_MAX)
			count = UINT32_MAX - inside;
		ranges[n++] = (struct id_range){ (uint32_t)inside, (uint32_t)start, (uint32_t)count };
		inside += count;
	}
	return n;
}

/* The login names of the real uid (several may share it) and the uid in digits. */
static size_t own_names(const char *names[SUBID_NAMES_MAX])
{
	size_t n = 0;
	const struct passwd *pw;

	names[n++] = xasprintf("%u", (unsigned)getuid());
	setpwent();
	while (n < SUBID_NAMES_MAX && (pw = getpwent()))
		if (pw->pw_uid == getuid())
			names[n++] = xstrdup(pw->pw_name);
	endpwent();
	return n;
}

/* The lines of the file, or, where a directory service has the say, what that knows of the names. */
static void load_subid(const char *file, bool groups, const char *const names[], size_t nnames, struct strbuf *text)
{
	struct err ignored = ERR_INIT;
	char source[SUBID_SOURCE_SIZE];

	if (!subid_directory(source)) {
		if (read_file(AT_FDCWD, file, SUBID_FILE_MAX, text, &ignored) < 0)
			log_debug("%s: %s", file, ignored.msg);
		return;
	}
	for (size_t i = 1; i < nnames; i++) /* the first is the number, which is no login name */
		subid_ask(names[i], groups, text);
}

static size_t read_subid(const char *file, bool groups, uint32_t own, struct id_range ranges[IDMAP_RANGES_MAX])
{
	auto_strbuf text = STRBUF_INIT;
	const char *names[SUBID_NAMES_MAX];
	size_t nnames = own_names(names), n;

	load_subid(file, groups, names, nnames, &text);
	n = idmap_parse_subid(text.buf, names, nnames, own, ranges);
	for (size_t i = 0; i < nnames; i++)
		free((char *)(uintptr_t)names[i]);
	return n;
}

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");

	for (path = path ? path : "/usr/bin:/bin"; *path;) {
		size_t len = strcspn(path, ":");
		auto_free char *file = xasprintf("%.*s/%s", (int)len, path, program);

		if (len && access(file, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

/* One number of a "Name: value" line in /proc/self/status, or -1. */
static long status_number(const char *name)
{
	auto_strbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	const char *at;

	if (read_file(AT_FDCWD, "/proc/self/status", 1 << 16, &text, &ignored) < 0)
		return -1;
	at = strstr(text.buf, name);
	return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

static void set_fingerprint(struct idmap *map)
{
	uint8_t d[DIGEST_SIZE];
	char hex[9];
	auto_strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < map->nuid; i++)
		strbuf_printf(&text, "u%u:%u:%u", map->uid[i].inside, map->uid[i].outside, map->uid[i].count);
	for (size_t i = 0; i < map->ngid; i++)
		strbuf_printf(&text, "g%u:%u:%u", map->gid[i].inside, map->gid[i].outside, map->gid[i].count);
	sha256_buf(text.buf, text.len, d);
	hex_format(d, 4, hex);
	snprintf(map->fingerprint, sizeof(map->fingerprint), "%s%s", isolation_name(map->mode), hex);
}

void idmap_single(struct idmap *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->mode = ISOLATION_SINGLE;
	ret->uid[0] = (struct id_range){ 0, geteuid(), 1 };
	ret->gid[0] = (struct id_range){ 0, getegid(), 1 };
	ret->nuid = ret->ngid = 1;
	snprintf(ret->fingerprint, sizeof(ret->fingerprint), "single");
}

/* Ranges are handed out one behind the other from 0. */
static uint64_t count_ids(const struct id_range *ranges, size_t n)
{
	uint64_t ids = 0;

	for (size_t i = 0; i < n && ranges[i].inside == ids; i++)
		ids += ranges[i].count;
	return ids;
}

uint32_t idmap_ids(const struct idmap *map)
{
	uint64_t uids = count_ids(map->uid, map->nuid), gids = count_ids(map->gid, map->ngid);
	uint64_t ids = uids < gids ? uids : gids;

	return ids > UINT32_MAX ? UINT32_MAX : (uint32_t)ids;
}

static int choose_direct(struct idmap *ret, struct err *err)
{
	unsigned inside = 1, outside, count = 0;
	auto_fclose FILE *f = fopen("/proc/self/uid_map", "re");

	if (geteuid() != 0)
		return err_set(err, ERR_SANDBOX, "isolation 'direct' needs to be root; this is uid %u",
			(unsigned)geteuid());
	if (!f || fscanf(f, "%u %u %u", &inside, &outside, &count) != 3 || inside != 0 ||
		count < IDMAP_WANTED_IDS)
		return err_set(err, ERR_SANDBOX,
			"isolation 'direct' needs %d ids in this user namespace, it has %u", IDMAP_WANTED_IDS,
			count);
	memset(ret, 0, sizeof(*ret));
	ret->mode = ISOLATION_DIRECT;
	ret->uid[0] = ret->gid[0] = (struct id_range){ 0, 0, IDMAP_WANTED_IDS };
	ret->nuid = ret->ngid = 1;
	set_fingerprint(ret);
	return 0;
}

static int no_subid(enum diagnose_step step, const char *subject, struct err *err)
{
	err_set(err, ERR_SANDBOX, "no subordinate ids for uid %u", (unsigned)getuid());
	return diagnose(step, subject, err);
}

static int choose_subid(struct idmap *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->mode = ISOLATION_SUBID;
	if (!in_path("newuidmap") || !in_path("newgidmap"))
		return no_subid(DIAGNOSE_NO_HELPER, in_path("newuidmap") ? "newgidmap" : "newuidmap", err);
	if (status_number("NoNewPrivs:") == 1)
		return no_subid(DIAGNOSE_NO_NEW_PRIVS, NULL, err);
	ret->uid[0] = (struct id_range){ 0, geteuid(), 1 };
	ret->gid[0] = (struct id_range){ 0, getegid(), 1 };
	ret->nuid = read_subid("/etc/subuid", false, getuid(), ret->uid + 1);
	ret->ngid = read_subid("/etc/subgid", true, getgid(), ret->gid + 1);
	if (ret->nuid == 0 || ret->ngid == 0)
		return no_subid(DIAGNOSE_NO_RANGE, ret->nuid == 0 ? "/etc/subuid" : "/etc/subgid", err);
	ret->nuid++;
	ret->ngid++;
	set_fingerprint(ret);
	return 0;
}

int idmap_choose(enum isolation want, struct idmap *ret, struct err *err)
{
	struct err why = ERR_INIT;

	if (want == ISOLATION_DIRECT)
		return choose_direct(ret, err);
	if (want == ISOLATION_SUBID)
		return choose_subid(ret, err);
	if (want == ISOLATION_AUTO) {
		if (geteuid() == 0 && choose_direct(ret, &why) == 0)
			return 0;
		if (choose_subid(ret, &why) == 0)
			return 0;
	}
	idmap_single(ret);
	snprintf(ret->why, sizeof(ret->why), "%.*s", IDMAP_WHY_SIZE - 1, why.msg);
	return 0;
}

static int write_proc(pid_t pid, const char *file, const char *text, struct err *err)
{
	char path[64];
	auto_fd int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		err_sys(err, "cannot write %s of the user namespace", file);
		err->kind = ERR_SANDBOX;
		return diagnose(DIAGNOSE_MAP, NULL, err);
	}
	return 0;
}

static int write_map(pid_t pid, const char *file, const struct id_range *r, size_t n, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < n; i++)
		strbuf_printf(&text, "%u %u %u\n", r[i].inside, r[i].outside, r[i].count);
	return write_proc(pid, file, text.buf, err);
}

/* newuidmap PID INSIDE OUTSIDE COUNT ... */
static int run_helper(const char *helper, pid_t pid, const struct id_range *r, size_t n, struct err *err)
{
	auto_strv args = STRV_INIT;
	auto_strbuf output = STRBUF_INIT;
	int status;

	strv_add(&args, helper);
	strv_take(&args, xasprintf("%d", (int)pid));
	for (size_t i = 0; i < n; i++) {
		strv_take(&args, xasprintf("%u", r[i].inside));
		strv_take(&args, xasprintf("%u", r[i].outside));
		strv_take(&args, xasprintf("%u", r[i].count));
	}
	status = proc_run((const char *const *)args.v, &output, HELPER_OUTPUT_MAX, err);
	if (status < 0)
		return -1;
	while (output.len && output.buf[output.len - 1] == '\n')
		strbuf_setlen(&output, output.len - 1);
	if (status != 0) {
		err_set(err, ERR_SANDBOX, "%s refused the range: %s", helper, output.buf);
		return diagnose(DIAGNOSE_HELPER, output.buf, err);
	}
	return 0;
}

/* Both helpers are slow (setuid start, PAM-free but NSS): run them at the same time. */
static int run_both_helpers(const struct idmap *map, pid_t pid, struct err *err)
{
	struct err child_err = ERR_INIT;
	int pipefd[2], status, rc;
	pid_t child;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	child = fork();
	if (child < 0) {
		close_fd(pipefd[0]);
		close_fd(pipefd[1]);
		return err_sys(err, "cannot fork");
	}
	if (child == 0) {
		rc = run_helper("newgidmap", pid, map->gid, map->ngid, &child_err);
		if (rc < 0)
			write_all(pipefd[1], &child_err, sizeof(child_err));
		_exit(rc < 0);
	}
	close_fd(pipefd[1]);
	rc = run_helper("newuidmap", pid, map->uid, map->nuid, err);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == 0 && status != 0) {
		if (read_full(pipefd[0], &child_err, sizeof(child_err)) == (ssize_t)sizeof(child_err))
			*err = child_err;
		else
			err_set(err, ERR_SANDBOX, "newgidmap died");
		rc = -1;
	}
	close_fd(pipefd[0]);
	return rc;
}

int idmap_write(const struct idmap *map, pid_t pid, struct err *err)
{
	if (map->mode == ISOLATION_SUBID)
		return run_both_helpers(map, pid, err);
	/* Without a helper the kernel wants setgroups(2) given up first (user_namespaces(7)); root keeps it. */
	if (map->mode == ISOLATION_SINGLE && write_proc(pid, "setgroups", "deny", err) < 0)
		return -1;
	if (write_map(pid, "gid_map", map->gid, map->ngid, err) < 0)
		return -1;
	return write_map(pid, "uid_map", map->uid, map->nuid, err);
}
