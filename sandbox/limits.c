#include "sandbox/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"

#define NOFILE_MAX 1048576

static const struct {
	const char *name;
	int resource;
} resources[] = {
	{ "core", RLIMIT_CORE },
	{ "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },
	{ "fsize", RLIMIT_FSIZE },
	{ "locks", RLIMIT_LOCKS },
	{ "memlock", RLIMIT_MEMLOCK },
	{ "msgqueue", RLIMIT_MSGQUEUE },
	{ "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },
	{ "nproc", RLIMIT_NPROC },
	{ "rss", RLIMIT_RSS },
	{ "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },
	{ "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },
};
#define NRESOURCES (sizeof(resources) / sizeof(resources[0]))

static const char *resource_name(int resource)
{
	for (size_t i = 0; i < NRESOURCES; i++)
		if (resources[i].resource == resource)
			return resources[i].name;
	return "limit";
}

static int find_resource(const char *text, size_t len, int *ret, struct err *err)
{
	for (size_t i = 0; i < NRESOURCES; i++)
		if (strlen(resources[i].name) == len && strncmp(resources[i].name, text, len) == 0) {
			*ret = resources[i].resource;
			return 0;
		}
	return err_set(err, ERR_USAGE,
		"unknown limit '%.*s': use core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, "
		"rtprio, rttime, sigpending or stack",
		(int)(len < 64 ? len : 64), text);
}

static int parse_value(const char *s, uint64_t *ret)
{
	if (strcmp(s, "-1") == 0 || strcmp(s, "unlimited") == 0) {
		*ret = LIMIT_INFINITE;
		return 0;
	}
	return parse_u64(s, 0, INT64_MAX, ret);
}

static uint64_t own_hard_limit(int resource)
{
	struct rlimit own;

	if (getrlimit(resource, &own) < 0 || own.rlim_max == RLIM_INFINITY)
		return LIMIT_INFINITE;
	return own.rlim_max;
}

static int check(const struct step_limit *l, const char *text, struct err *err)
{
	uint64_t own = own_hard_limit(l->resource);

	if (l->soft > l->hard)
		return err_set(err, ERR_USAGE, "limit '%s': the soft limit is above the hard one", text);
	if (l->hard <= own)
		return 0;
	return err_set(err, ERR_SANDBOX,
		"limit '%s' is above the hard limit of this user, which is %llu (raise it for %s in "
		"/etc/security/limits.conf, or ask for less)",
		text, (unsigned long long)own, resource_name(l->resource));
}

int limits_add(struct step_limit list[LIMITS_MAX], size_t *n, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	auto_free char *soft = xstrdup(equals ? equals + 1 : "");
	char *colon = strchr(soft, ':');
	struct step_limit l;
	size_t at = 0;

	if (!equals)
		return err_set(err, ERR_USAGE, "limit '%s' is not NAME=SOFT[:HARD]", text);
	if (colon)
		*colon++ = '\0';
	if (find_resource(text, (size_t)(equals - text), &l.resource, err) < 0)
		return -1;
	if (parse_value(soft, &l.soft) < 0 || parse_value(colon ? colon : soft, &l.hard) < 0)
		return err_set(err, ERR_USAGE, "limit '%s': a limit is a number, or -1 for none", text);
	if (check(&l, text, err) < 0)
		return -1;
	while (at < *n && list[at].resource != l.resource)
		at++;
	list[at] = l;
	*n += at == *n; /* each resource once, so LIMITS_MAX is never passed */
	return 0;
}

static int set(int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit r = { soft == LIMIT_INFINITE ? RLIM_INFINITY : (rlim_t)soft,
		hard == LIMIT_INFINITE ? RLIM_INFINITY : (rlim_t)hard };

	return setrlimit(resource, &r);
}

int limits_apply(const struct step_limit *list, size_t n, struct err *err)
{
	struct rlimit nofile;

	if (getrlimit(RLIMIT_NOFILE, &nofile) == 0) {
		nofile.rlim_cur = nofile.rlim_max < NOFILE_MAX ? nofile.rlim_max : NOFILE_MAX;
		setrlimit(RLIMIT_NOFILE, &nofile);
	}
	for (size_t i = 0; i < n; i++) {
		if (list[i].resource == RLIMIT_LOCKS) /* the kernel has ignored it since 2.4 */
			continue;
		if (set(list[i].resource, list[i].soft, list[i].hard) < 0) {
			err_sys(err, "cannot set the limit '%s' of the step", resource_name(list[i].resource));
			err->kind = ERR_SANDBOX;
			return -1;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (list[i].resource == RLIMIT_CORE)
			return 0;
	set(RLIMIT_CORE, 0, 0);
	return 0;
}
