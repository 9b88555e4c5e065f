/* What the user says about the surroundings of all steps: network, names, limits (dockerfile.md 9.1). */
#ifndef WHITTLE_BUILD_STEP_OPTIONS_H
#define WHITTLE_BUILD_STEP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "sandbox/cgroup.h"
#include "sandbox/limits.h"
#include "sandbox/network.h"

#define STEP_NAMES_MAX 256 /* extra hosts, name servers, search domains, options: each list */

struct step_options {
	enum step_network network; /* of steps that do not say otherwise */
	struct strv hosts;         /* pairs: name, then address or "host-gateway" */
	struct strv dns, dns_search, dns_options; /* replace what the host's resolv.conf has */
	struct step_limit limits[LIMITS_MAX];
	size_t nlimits;
	uint64_t shm_size;
	struct cgroup_limits cgroup;
	char *cpuset, *cgroup_parent; /* owned; cgroup.cpuset points at the first */
	unsigned grace_ms;
};

/* The defaults: the host's network, 64 MiB of /dev/shm, no limits. */
void step_options_init(struct step_options *o);
/* Free what the options own. */
void step_options_release(struct step_options *o);

/* "host", "default" (the same), "private" or "none". Returns 0, or -1 and ERR_USAGE. */
int step_options_network(struct step_options *o, const char *text, struct err *err);
/* "NAME:IP" or "NAME=IP"; IP is IPv4, IPv6 (bare or in brackets) or "host-gateway". Returns 0, or -1 and ERR_USAGE. */
int step_options_add_host(struct step_options *o, const char *text, struct err *err);
/* The address of a server. Returns 0, or -1 and ERR_USAGE. */
int step_options_add_dns(struct step_options *o, const char *text, struct err *err);
/* A domain, "." for none at all. Returns 0, or -1 and ERR_USAGE. */
int step_options_add_search(struct step_options *o, const char *text, struct err *err);
/* An option of resolv.conf(5). Returns 0, or -1 and ERR_USAGE. */
int step_options_add_dns_option(struct step_options *o, const char *text, struct err *err);

/* The texts of limits as docker takes them; NULL where an option was not given. */
struct step_limit_texts {
	const struct strv *ulimits; /* limits_add() */
	const char *shm_size, *memory, *memory_swap, *cpus, *cpu_quota, *cpu_period, *cpuset, *cgroup_parent;
};
/* Returns 0, or -1 and ERR_USAGE (ERR_SANDBOX from limits_add()). */
int step_options_limits(struct step_options *o, const struct step_limit_texts *texts, struct err *err);
/* To be called when all is set. Returns 0, or -1 and ERR_USAGE for what contradicts itself. */
int step_options_check(const struct step_options *o, struct err *err);

/*
 * Append what of the options decides about the cache of a step (dockerfile.md 8.3): names of extra hosts, process
 * limits, the size of /dev/shm, the parent cgroup; not addresses, name servers, memory and processors.
 */
void step_options_put_key(const struct step_options *o, struct strbuf *definition);

#endif
