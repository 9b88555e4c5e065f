#include "build/step_options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/units.h"
#include "base/wire.h"
#include "sandbox/step.h"

#define BUILD_GRACE_MS 500     /* what an interrupted build was making is thrown away */
#define MEMORY_MIN (6u << 20)  /* docker's floor: less than that starts nothing */
#define CPUS_MAX 100000000000ull /* in millionths: more than there are */
#define PERIOD_MIN 1000u       /* of the kernel, in microseconds */
#define PERIOD_MAX 1000000u
#define NAME_LEN_MAX 253       /* of a host or domain name (RFC 1035) */

void step_options_init(struct step_options *o)
{
	memset(o, 0, sizeof(*o));
	o->shm_size = STEP_SHM_SIZE;
	o->grace_ms = BUILD_GRACE_MS;
}

void step_options_release(struct step_options *o)
{
	strv_release(&o->hosts);
	strv_release(&o->dns);
	strv_release(&o->dns_search);
	strv_release(&o->dns_options);
	free(o->cpuset);
	free(o->cgroup_parent);
	step_options_init(o);
}

int step_options_network(struct step_options *o, const char *text, struct err *err)
{
	if (strcmp(text, "host") == 0 || strcmp(text, "default") == 0)
		o->network = STEP_NETWORK_HOST;
	else if (strcmp(text, "private") == 0)
		o->network = STEP_NETWORK_PRIVATE;
	else if (strcmp(text, "none") == 0)
		o->network = STEP_NETWORK_NONE;
	else
		return err_set(err, ERR_USAGE, "unknown network '%s': use host, private or none", text);
	return 0;
}

/* ---- names ---- */

static bool is_address(const char *s)
{
	unsigned char buf[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, s, buf) == 1 || inet_pton(AF_INET6, s, buf) == 1;
}

/* A word of a file that has one thing per line: nothing in it may begin another word, line or comment. */
static bool is_word(const char *s, size_t len)
{
	if (len == 0 || len > NAME_LEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f || s[i] == '#' || s[i] == ';')
			return false;
	return true;
}

static int add(struct strv *list, size_t max, const char *what, const char *text, struct err *err)
{
	if (list->len >= max)
		return err_set(err, ERR_USAGE, "more than %d %s", STEP_NAMES_MAX, what);
	strv_add(list, text);
	return 0;
}

int step_options_add_host(struct step_options *o, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strcspn(text, ":");
	auto_free char *name = xstrndup(text, len);
	auto_free char *address = xstrdup(text[len] ? text + len + 1 : "");
	size_t n = strlen(address);
	char *bare = address;

	if (n > 1 && address[0] == '[' && address[n - 1] == ']') {
		address[n - 1] = '\0';
		bare++;
	}
	if (!text[len] || !is_word(name, len))
		return err_set(err, ERR_USAGE, "extra host '%s' is not NAME:IP", text);
	if (strcmp(bare, "host-gateway") != 0 && !is_address(bare))
		return err_set(err, ERR_USAGE, "extra host '%s': '%s' is no IP address", text, bare);
	if (add(&o->hosts, (size_t)2 * STEP_NAMES_MAX, "extra hosts", name, err) < 0)
		return -1;
	strv_add(&o->hosts, bare);
	return 0;
}

int step_options_add_dns(struct step_options *o, const char *text, struct err *err)
{
	if (!is_address(text))
		return err_set(err, ERR_USAGE, "name server '%s' is no IP address", text);
	return add(&o->dns, STEP_NAMES_MAX, "name servers", text, err);
}

int step_options_add_search(struct step_options *o, const char *text, struct err *err)
{
	if (!is_word(text, strlen(text)))
		return err_set(err, ERR_USAGE, "search domain '%s' is not a name", text);
	return add(&o->dns_search, STEP_NAMES_MAX, "search domains", text, err);
}

int step_options_add_dns_option(struct step_options *o, const char *text, struct err *err)
{
	if (!is_word(text, strlen(text)))
		return err_set(err, ERR_USAGE, "resolver option '%s' is not a word", text);
	return add(&o->dns_options, STEP_NAMES_MAX, "resolver options", text, err);
}

/* ---- limits ---- */

static int get_size(const char *option, const char *text, uint64_t min, uint64_t *ret, struct err *err)
{
	if (!text)
		return 0;
	if (parse_size(text, ret) < 0)
		return err_set(err, ERR_USAGE, "--%s takes a size such as 512m or 2g, not '%s'", option, text);
	if (*ret < min)
		return err_set(err, ERR_USAGE, "--%s is at least %llu bytes, not '%s'", option, (unsigned long long)min,
			text);
	return 0;
}

static int get_memory_swap(struct step_options *o, const char *text, struct err *err)
{
	uint64_t both = 0;

	if (!text)
		return 0;
	if (!o->cgroup.memory)
		return err_set(err, ERR_USAGE, "--memory-swap counts memory and swap together: give --memory as well");
	if (strcmp(text, "-1") == 0) {
		o->cgroup.memory_swap = -1;
		return 0;
	}
	if (get_size("memory-swap", text, 1, &both, err) < 0)
		return -1;
	if (both < o->cgroup.memory)
		return err_set(err, ERR_USAGE, "--memory-swap counts memory and swap together: it cannot be below --memory");
	o->cgroup.memory_swap = (int64_t)both;
	return 0;
}

static int get_cpus(struct step_options *o, const struct step_limit_texts *t, struct err *err)
{
	uint64_t millionths = 0, period = CGROUP_PERIOD_US;

	if (t->cpus && (t->cpu_quota || t->cpu_period))
		return err_set(err, ERR_USAGE, "--cpus and --cpu-quota or --cpu-period exclude each other");
	if (t->cpus && (parse_millionths(t->cpus, CPUS_MAX, &millionths) < 0 || millionths < 10000))
		return err_set(err, ERR_USAGE, "--cpus takes a number of processors such as 1.5, not '%s'", t->cpus);
	if (t->cpu_period && parse_u64(t->cpu_period, PERIOD_MIN, PERIOD_MAX, &period) < 0)
		return err_set(err, ERR_USAGE, "--cpu-period takes %u to %u microseconds, not '%s'", PERIOD_MIN, PERIOD_MAX,
			t->cpu_period);
	if (t->cpu_period && !t->cpu_quota)
		return err_set(err, ERR_USAGE, "--cpu-period says nothing without --cpu-quota");
	if (t->cpu_quota && parse_u64(t->cpu_quota, PERIOD_MIN, INT64_MAX, &o->cgroup.cpu_quota_us) < 0)
		return err_set(err, ERR_USAGE, "--cpu-quota takes microseconds, %u at least, not '%s'", PERIOD_MIN,
			t->cpu_quota);
	if (t->cpus)
		o->cgroup.cpu_quota_us = millionths / 10; /* of 100,000 microseconds */
	o->cgroup.cpu_period_us = period;
	return 0;
}

/* "0-3,7": the kernel checks the numbers, but its message would come late. */
static int get_cpuset(struct step_options *o, const char *text, struct err *err)
{
	if (!text)
		return 0;
	if (!*text || strlen(text) > NAME_LEN_MAX || text[strspn(text, "0123456789,-")])
		return err_set(err, ERR_USAGE, "--cpuset-cpus takes a list such as 0-3,7, not '%s'", text);
	o->cpuset = xstrdup(text);
	o->cgroup.cpuset = o->cpuset;
	return 0;
}

int step_options_limits(struct step_options *o, const struct step_limit_texts *t, struct err *err)
{
	for (size_t i = 0; t->ulimits && i < t->ulimits->len; i++)
		if (limits_add(o->limits, &o->nlimits, t->ulimits->v[i], err) < 0)
			return -1;
	if (t->cgroup_parent)
		o->cgroup_parent = xstrdup(t->cgroup_parent);
	if (get_size("shm-size", t->shm_size, 1, &o->shm_size, err) < 0 ||
		get_size("memory", t->memory, MEMORY_MIN, &o->cgroup.memory, err) < 0 ||
		get_memory_swap(o, t->memory_swap, err) < 0 || get_cpus(o, t, err) < 0)
		return -1;
	return get_cpuset(o, t->cpuset, err);
}

int step_options_check(const struct step_options *o, struct err *err)
{
	if (o->cgroup_parent && !cgroup_limits_any(&o->cgroup))
		return err_set(err, ERR_USAGE,
			"--cgroup-parent says where steps are limited: give --memory, --cpus or --cpuset-cpus as well");
	if (o->network == STEP_NETWORK_HOST)
		return 0;
	for (size_t i = 0; i + 1 < o->hosts.len; i += 2)
		if (strcmp(o->hosts.v[i + 1], "host-gateway") == 0)
			return err_set(err, ERR_USAGE,
				"extra host '%s': host-gateway needs --network host, no other network leads to this host",
				o->hosts.v[i]);
	return 0;
}

void step_options_put_key(const struct step_options *o, struct strbuf *definition)
{
	wire_put_u64(definition, o->hosts.len / 2);
	for (size_t i = 0; i + 1 < o->hosts.len; i += 2)
		wire_put_str(definition, o->hosts.v[i]);
	wire_put_u64(definition, o->nlimits);
	for (size_t i = 0; i < o->nlimits; i++) {
		wire_put_u64(definition, (uint64_t)o->limits[i].resource);
		wire_put_u64(definition, o->limits[i].soft);
		wire_put_u64(definition, o->limits[i].hard);
	}
	wire_put_u64(definition, o->shm_size);
	wire_put_str(definition, o->cgroup_parent);
}
