#include "sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define FILE_MAX 65536      /* no file read here has more than a few lines */
#define REMOVE_TRIES 100    /* of 2 ms: the init of a step reports before it exits */
#define NAME_PREFIX "whittle-"

enum controller { CONTROLLER_MEMORY, CONTROLLER_CPU, CONTROLLER_CPUSET, CONTROLLER_COUNT };
static const char *const controller_names[CONTROLLER_COUNT] = { "memory", "cpu", "cpuset" };

struct cgroup {
	const struct cgroup_limits *limits;
	int group;          /* the folder that holds the steps' */
	char *name;         /* of that group, for messages */
	bool moved;         /* this process is in the leaf */
	bool enabled[CONTROLLER_COUNT]; /* switched on by us */
	atomic_uint steps;
};

bool cgroup_limits_any(const struct cgroup_limits *l)
{
	return l->memory || l->memory_swap || l->cpu_quota_us || l->cpuset;
}

static bool needs(const struct cgroup_limits *l, enum controller which)
{
	return which == CONTROLLER_MEMORY ? l->memory || l->memory_swap :
	       which == CONTROLLER_CPU    ? l->cpu_quota_us != 0 :
					    l->cpuset != NULL;
}

static int refuse(struct err *err)
{
	err->kind = ERR_SANDBOX;
	return -1;
}

static int write_file(int dir, const char *name, const char *text)
{
	auto_fd int fd = openat(dir, name, O_WRONLY | O_TRUNC | O_CLOEXEC);

	return fd < 0 ? -1 : write_all(fd, text, strlen(text));
}

/* Whether word stands in a file of words. */
static bool lists(int dir, const char *name, const char *word)
{
	auto_strbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	size_t len = strlen(word);

	if (read_file(dir, name, FILE_MAX, &text, &ignored) < 0)
		return false;
	for (const char *at = text.buf; (at = strstr(at, word)); at += len)
		if ((at == text.buf || at[-1] == ' ') && strchr(" \n", at[len]))
			return true;
	return false;
}

/* ---- where ---- */

/* The path after "0::" of /proc/self/cgroup. Returns NULL and *err without one that can be seen here. */
static char *own_group(const char *self, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;

	if (read_file(AT_FDCWD, self, FILE_MAX, &text, err) < 0) {
		refuse(err);
		return NULL;
	}
	for (const char *line = text.buf; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, "0::/", 4) == 0 && strncmp(line + 3, "/..", 3) != 0)
			return xstrndup(line + 3, strcspn(line + 3, "\n"));
	err_set(err, ERR_SANDBOX, "this process is in no cgroup v2 that can be seen from here");
	return NULL;
}

static int open_group(const char *mount, const char *name, struct err *err)
{
	auto_fd int root = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (root < 0 || faccessat(root, "cgroup.controllers", F_OK, 0) < 0)
		return err_set(err, ERR_SANDBOX,
			"limits need cgroup v2, and %s of this host is not (boot with systemd.unified_cgroup_hierarchy=1, "
			"or leave the limits out)",
			mount);
	fd = open_beneath(root, name + strspn(name, "/"), O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 && !name[strspn(name, "/")])
		fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		err_sys(err, "cannot open the cgroup '%s'", name);
		return refuse(err);
	}
	return fd;
}

static int check_delegated(const struct cgroup *c, struct err *err)
{
	static const char *const files[] = { ".", "cgroup.procs", "cgroup.subtree_control", NULL };

	for (size_t i = 0; files[i]; i++)
		if (faccessat(c->group, files[i], W_OK, AT_EACCESS) < 0)
			return err_set(err, ERR_SANDBOX,
				"limits need a cgroup of this user, and '%s' is not (start it as: systemd-run --user --scope "
				"-p Delegate=yes whittle ...)",
				c->name);
	return 0;
}

static int check_controllers(const struct cgroup *c, const char *mount, struct err *err)
{
	auto_fd int root = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (enum controller i = 0; i < CONTROLLER_COUNT; i++) {
		if (!needs(c->limits, i) || lists(c->group, "cgroup.controllers", controller_names[i]))
			continue;
		if (lists(root, "cgroup.controllers", controller_names[i]))
			return err_set(err, ERR_SANDBOX,
				"the %s controller is not delegated to the cgroup '%s' (as root: Delegate=yes for user@.service, "
				"systemd.resource-control(5))",
				controller_names[i], c->name);
		return err_set(err, ERR_SANDBOX, "this kernel runs without the %s controller of cgroup v2%s",
			controller_names[i],
			i == CONTROLLER_MEMORY ? " (on a Raspberry Pi: cgroup_enable=memory on the kernel command line)" :
						 "");
	}
	return 0;
}

/* ---- entering and leaving ---- */

static void own_name(char name[32])
{
	snprintf(name, 32, NAME_PREFIX "%d", (int)getpid());
}

/* Groups of processes that were killed before they could remove them. */
static void remove_stale(int group)
{
	int copy = openat(group, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		long pid;

		if (strncmp(e->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
			continue;
		pid = strtol(e->d_name + strlen(NAME_PREFIX), NULL, 10);
		if (pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH)
			unlinkat(group, e->d_name, AT_REMOVEDIR);
	}
}

static int move_to(int group, const char *name)
{
	char pid[16], path[64];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/cgroup.procs", name);
	return write_file(group, path, pid);
}

static int move_to_leaf(struct cgroup *c, struct err *err)
{
	char name[32];

	own_name(name);
	if ((mkdirat(c->group, name, 0755) < 0 && errno != EEXIST) || move_to(c->group, name) < 0) {
		err_sys(err, "cannot move into a cgroup below '%s'", c->name);
		return refuse(err);
	}
	c->moved = true;
	return 0;
}

static int enable(struct cgroup *c, struct err *err)
{
	for (enum controller i = 0; i < CONTROLLER_COUNT; i++) {
		char text[16];

		if (!needs(c->limits, i) || lists(c->group, "cgroup.subtree_control", controller_names[i]))
			continue;
		snprintf(text, sizeof(text), "+%s", controller_names[i]);
		if (write_file(c->group, "cgroup.subtree_control", text) < 0) {
			bool busy = errno == EBUSY;

			err_sys(err, "cannot use the %s controller in the cgroup '%s'%s", controller_names[i], c->name,
				busy ? ": other processes are in it (start whittle in one of its own: systemd-run --user "
				       "--scope -p Delegate=yes whittle ...)" :
				       "");
			return refuse(err);
		}
		c->enabled[i] = true;
	}
	return 0;
}

struct cgroup *cgroup_new(const char *mount, const char *self, const char *parent, const struct cgroup_limits *limits,
	struct err *err)
{
	struct cgroup *c = xcalloc(1, sizeof(*c));

	c->limits = limits;
	c->group = -1;
	c->name = parent ? xstrdup(parent) : own_group(self, err);
	if (c->name)
		c->group = open_group(mount, c->name, err);
	if (c->group < 0 || check_controllers(c, mount, err) < 0 || check_delegated(c, err) < 0) {
		cgroup_free(c);
		return NULL;
	}
	remove_stale(c->group);
	if ((!parent && move_to_leaf(c, err) < 0) || enable(c, err) < 0) {
		cgroup_free(c);
		return NULL;
	}
	return c;
}

void cgroup_free(struct cgroup *c)
{
	char name[32];

	if (!c)
		return;
	for (unsigned i = 1; i <= atomic_load(&c->steps); i++)
		cgroup_end_step(c, i);
	for (enum controller i = 0; i < CONTROLLER_COUNT; i++) {
		char text[16];

		snprintf(text, sizeof(text), "-%s", controller_names[i]);
		if (c->enabled[i] && write_file(c->group, "cgroup.subtree_control", text) < 0)
			log_debug("cannot give up the %s controller of cgroup '%s'", controller_names[i], c->name);
	}
	own_name(name);
	if (c->moved && (move_to(c->group, ".") < 0 || unlinkat(c->group, name, AT_REMOVEDIR) < 0))
		log_debug("the cgroup '%s' stays below '%s'", name, c->name);
	close_fd(c->group);
	free(c->name);
	free(c);
}

/* ---- steps ---- */

static void step_name(unsigned number, char name[48])
{
	snprintf(name, 48, NAME_PREFIX "%d-%u", (int)getpid(), number);
}

static int set(int step, const char *file, const char *text, struct err *err)
{
	if (write_file(step, file, text) == 0)
		return 0;
	err_sys(err, "cannot set %s of the step to '%s'", file, text);
	return refuse(err);
}

static int set_swap(int step, const struct cgroup_limits *l, struct err *err)
{
	char text[32] = "max";

	if (l->memory_swap >= 0)
		snprintf(text, sizeof(text), "%llu",
			(unsigned long long)(l->memory_swap ? (uint64_t)l->memory_swap - l->memory : l->memory));
	/* A kernel without swap accounting lacks the file, and most have no swap to account. */
	if (l->memory_swap <= 0 && faccessat(step, "memory.swap.max", F_OK, 0) < 0)
		return 0;
	return set(step, "memory.swap.max", text, err);
}

static int set_limits(int step, const struct cgroup_limits *l, struct err *err)
{
	char text[64];

	if (l->memory) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)l->memory);
		if (set(step, "memory.max", text, err) < 0 || set_swap(step, l, err) < 0)
			return -1;
	}
	if (l->cpu_quota_us) {
		snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)l->cpu_quota_us,
			(unsigned long long)(l->cpu_period_us ? l->cpu_period_us : CGROUP_PERIOD_US));
		if (set(step, "cpu.max", text, err) < 0)
			return -1;
	}
	return l->cpuset ? set(step, "cpuset.cpus", l->cpuset, err) : 0;
}

int cgroup_begin_step(struct cgroup *c, unsigned *ret, struct err *err)
{
	unsigned number = atomic_fetch_add(&c->steps, 1) + 1;
	auto_fd int step = -1;
	char name[48];

	step_name(number, name);
	/* One may be left of a process that had our number. */
	if (mkdirat(c->group, name, 0755) == 0 || errno == EEXIST)
		step = openat(c->group, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (step < 0) {
		err_sys(err, "cannot make a cgroup below '%s'", c->name);
		return refuse(err);
	}
	if (set_limits(step, c->limits, err) < 0) {
		cgroup_end_step(c, number);
		return -1;
	}
	*ret = number;
	return take_fd(step);
}

uint64_t cgroup_oom_kills(int step)
{
	static const char key[] = "oom_kill ";
	auto_strbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;

	if (read_file(step, "memory.events", FILE_MAX, &text, &ignored) < 0)
		return 0;
	for (const char *line = text.buf; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, key, strlen(key)) == 0)
			return strtoull(line + strlen(key), NULL, 10);
	return 0;
}

void cgroup_end_step(struct cgroup *c, unsigned number)
{
	static const struct timespec pause = { .tv_nsec = 2000000 };
	char name[48];

	step_name(number, name);
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(c->group, name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			return;
		nanosleep(&pause, NULL);
	}
}
