#include "cli/step_flags.h"

static struct {
	const char *network, *shm_size, *memory, *memory_swap, *cpus, *cpu_quota, *cpu_period, *cpuset, *cgroup_parent;
	struct strv hosts, dns, dns_search, dns_options, ulimits;
} opt;

struct option_def step_flags[] = {
	{ OPTION_STRING, 0, "network", "MODE", "host, private or none (default host)", &opt.network },
	{ OPTION_LIST, 0, "add-host", "NAME:IP", "add a line to /etc/hosts of steps; may be repeated", &opt.hosts },
	{ OPTION_LIST, 0, "dns", "IP", "name server of steps in place of the host's; may be repeated", &opt.dns },
	{ OPTION_LIST, 0, "dns-search", "DOMAIN", "search domain of steps, . for none; may be repeated", &opt.dns_search },
	{ OPTION_LIST, 0, "dns-option", "WORD", "resolver option of steps; may be repeated", &opt.dns_options },
	{ OPTION_LIST, 0, "ulimit", "NAME=N[:N]", "soft and hard limit of processes of steps; may be repeated",
		&opt.ulimits },
	{ OPTION_STRING, 0, "shm-size", "SIZE", "of /dev/shm (default 64m)", &opt.shm_size },
	{ OPTION_STRING, 0, "memory", "SIZE", "memory of a step; needs a delegated cgroup", &opt.memory },
	{ OPTION_STRING, 0, "memory-swap", "SIZE", "memory and swap together, -1 for no limit of swap",
		&opt.memory_swap },
	{ OPTION_STRING, 0, "cpus", "N", "processors of a step, such as 1.5; needs a delegated cgroup", &opt.cpus },
	{ OPTION_STRING, 0, "cpu-quota", "US", "the same in microseconds per period", &opt.cpu_quota },
	{ OPTION_STRING, 0, "cpu-period", "US", "the period (default 100000)", &opt.cpu_period },
	{ OPTION_STRING, 0, "cpuset-cpus", "LIST", "the processors that steps may use, such as 0-3,7", &opt.cpuset },
	{ OPTION_STRING, 0, "cgroup-parent", "PATH", "the cgroup for steps (default below whittle's own)",
		&opt.cgroup_parent },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static int add_all(struct step_options *o, const struct strv *list,
	int (*add)(struct step_options *o, const char *text, struct err *err), struct err *err)
{
	for (size_t i = 0; i < list->len; i++)
		if (add(o, list->v[i], err) < 0)
			return -1;
	return 0;
}

int step_flags_fill(struct step_options *o, struct err *err)
{
	const struct step_limit_texts limits = { &opt.ulimits, opt.shm_size, opt.memory, opt.memory_swap, opt.cpus,
		opt.cpu_quota, opt.cpu_period, opt.cpuset, opt.cgroup_parent };

	if (opt.network && step_options_network(o, opt.network, err) < 0)
		return -1;
	if (add_all(o, &opt.hosts, step_options_add_host, err) < 0 || add_all(o, &opt.dns, step_options_add_dns, err) < 0 ||
		add_all(o, &opt.dns_search, step_options_add_search, err) < 0 ||
		add_all(o, &opt.dns_options, step_options_add_dns_option, err) < 0 ||
		step_options_limits(o, &limits, err) < 0)
		return -1;
	return step_options_check(o, err);
}

void step_flags_release(void)
{
	strv_release(&opt.hosts);
	strv_release(&opt.dns);
	strv_release(&opt.dns_search);
	strv_release(&opt.dns_options);
	strv_release(&opt.ulimits);
}
