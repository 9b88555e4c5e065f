#include "sandbox/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define ID_MAX 4294967294u /* -1 means "leave it" to the kernel */
#define FIELDS_MAX 7
#define LINE_MAX_LEN 65536

/* Read /etc/passwd or /etc/group of the image; a missing one is empty. */
static int load(int rootfd, const char *path, struct strbuf *text, struct err *err)
{
	auto_fd int fd = open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "cannot open /%s of the image", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, "/%s of the image is not a regular file", path);
	if (read_all(fd, text, USER_FILE_MAX) < 0)
		return errno == EFBIG ? err_set(err, ERR_INPUT, "/%s of the image is over %u bytes", path,
						USER_FILE_MAX) :
					err_sys(err, "cannot read /%s of the image", path);
	return 0;
}

/* Split the line at *at in place at its colons and step to the next; too long or empty ones have no fields. */
static size_t next_line(char **at, char *fields[FIELDS_MAX])
{
	char *line = *at;
	size_t len = strcspn(line, "\n"), n = 0;

	*at = line + len + (line[len] == '\n');
	line[len] = '\0';
	if (len == 0 || len > LINE_MAX_LEN || line[0] == '#')
		return 0;
	while (n < FIELDS_MAX) {
		fields[n++] = line;
		line = strchr(line, ':');
		if (!line)
			break;
		*line++ = '\0';
	}
	return n;
}

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

static int parse_id(const char *s, const char *what, uint32_t *ret, struct err *err)
{
	uint64_t v;

	if (parse_u64(s, 0, ID_MAX, &v) < 0)
		return err_set(err, ERR_INPUT, "%s id '%s' is not between 0 and %u", what, s, ID_MAX);
	*ret = (uint32_t)v;
	return 0;
}

struct account {
	bool found;
	char name[256];
	uint32_t uid, gid;
	char home[4096];
};

/* The first passwd entry with that name, or that uid when id is given. */
static void find_account(char *text, const char *name, const uint32_t *id, struct account *ret)
{
	char *f[FIELDS_MAX];

	while (*text) {
		size_t n = next_line(&text, f);
		uint64_t uid, gid;

		if (n < 4 || parse_u64(f[2], 0, ID_MAX, &uid) < 0 || parse_u64(f[3], 0, ID_MAX, &gid) < 0)
			continue;
		if (id ? uid != *id : strcmp(f[0], name) != 0)
			continue;
		ret->found = true;
		ret->uid = (uint32_t)uid;
		ret->gid = (uint32_t)gid;
		snprintf(ret->name, sizeof(ret->name), "%s", f[0]);
		snprintf(ret->home, sizeof(ret->home), "%s", n > 5 ? f[5] : "");
		return;
	}
}

static bool find_group(char *text, const char *name, uint32_t *ret_gid)
{
	char *f[FIELDS_MAX];

	while (*text) {
		uint64_t gid;

		if (next_line(&text, f) < 3 || strcmp(f[0], name) != 0 || parse_u64(f[2], 0, ID_MAX, &gid) < 0)
			continue;
		*ret_gid = (uint32_t)gid;
		return true;
	}
	return false;
}

static bool lists_member(const char *members, const char *name)
{
	while (*members) {
		size_t len = strcspn(members, ",");

		if (strlen(name) == len && strncmp(members, name, len) == 0)
			return true;
		members += len + (members[len] == ',');
	}
	return false;
}

static int add_group(struct user *u, uint32_t gid, struct err *err)
{
	for (size_t i = 0; i < u->ngroups; i++)
		if (u->groups[i] == gid)
			return 0;
	if (u->ngroups == USER_GROUPS_MAX)
		return err_set(err, ERR_INPUT, "the user is in more than %d groups", USER_GROUPS_MAX);
	u->groups[u->ngroups++] = gid;
	return 0;
}

static int add_memberships(struct user *u, char *groups, const char *name, struct err *err)
{
	char *f[FIELDS_MAX];

	while (*groups) {
		uint64_t gid;

		if (next_line(&groups, f) < 4 || parse_u64(f[2], 0, ID_MAX, &gid) < 0 ||
			!lists_member(f[3], name))
			continue;
		if (add_group(u, (uint32_t)gid, err) < 0)
			return -1;
	}
	return 0;
}

/* text is consumed, as by all functions here that take one. */
static int resolve_group(char *text, const char *group, uint32_t *ret, struct err *err)
{
	if (is_number(group))
		return parse_id(group, "group", ret, err);
	if (!find_group(text, group, ret))
		return err_set(err, ERR_INPUT, "unable to find group %s: no matching entries in group file",
			group);
	return 0;
}

static int find_user(char *text, const char *name, struct account *ret, struct err *err)
{
	uint32_t id = 0;
	bool numeric = is_number(name);

	if (numeric && parse_id(name, "user", &id, err) < 0)
		return -1;
	memset(ret, 0, sizeof(*ret));
	find_account(text, name, numeric ? &id : NULL, ret);
	if (!ret->found && !numeric && strcmp(name, "root") != 0)
		return err_set(err, ERR_INPUT, "unable to find user %s: no matching entries in passwd file",
			name);
	if (!ret->found)
		ret->uid = id;
	return 0;
}

int user_resolve(int rootfd, const char *spec, struct user *ret, struct err *err)
{
	auto_free char *name = xstrdup(spec && *spec ? spec : "0");
	auto_strbuf accounts = STRBUF_INIT;
	auto_strbuf groups = STRBUF_INIT;
	struct account account;
	char *group = strchr(name, ':');
	uint32_t gid;

	if (group)
		*group++ = '\0';
	if (!*name || (group && !*group))
		return err_set(err, ERR_INPUT, "user '%s' has an empty part", spec);
	if (load(rootfd, "etc/passwd", &accounts, err) < 0 || load(rootfd, "etc/group", &groups, err) < 0 ||
		find_user(accounts.buf, name, &account, err) < 0)
		return -1;
	memset(ret, 0, sizeof(*ret));
	ret->uid = account.uid;
	ret->gid = account.gid;
	snprintf(ret->home, sizeof(ret->home), "%s", account.home[0] ? account.home : "/");
	if (group) {
		if (resolve_group(groups.buf, group, &gid, err) < 0)
			return -1;
		ret->gid = gid;
		return add_group(ret, ret->gid, err);
	}
	if (add_group(ret, ret->gid, err) < 0)
		return -1;
	if (!account.found)
		return 0;
	return add_memberships(ret, groups.buf, account.name, err);
}

int user_resolve_owner(const char *passwd, const char *group, const char *spec, uid_t *ret_uid, gid_t *ret_gid,
	struct err *err)
{
	auto_free char *accounts = xstrdup(passwd);
	auto_free char *groups = xstrdup(group);
	auto_free char *name = xstrdup(spec);
	char *group_name = strchr(name, ':');
	struct account account;
	uint32_t gid;

	if (group_name)
		*group_name++ = '\0';
	if (find_user(accounts, *name ? name : "0", &account, err) < 0)
		return -1;
	gid = is_number(name) ? account.uid : account.gid;
	if (group_name && *group_name && resolve_group(groups, group_name, &gid, err) < 0)
		return -1;
	*ret_uid = account.uid;
	*ret_gid = gid;
	return 0;
}
