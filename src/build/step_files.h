/* The files that steps are given: /etc/hosts and /etc/resolv.conf (dockerfile.md 3.2.1, sandbox.md 7). */
#ifndef WHITTLE_BUILD_STEP_FILES_H
#define WHITTLE_BUILD_STEP_FILES_H

#include <stdbool.h>

#include "build/step_options.h"

/* Content of /etc/hosts for a step on this network; the caller frees. */
char *step_hosts(const struct step_options *o, enum step_network network, const char *hostname);

/*
 * Content of /etc/resolv.conf for a step on this network; the caller frees. On the host's network it is the host's own
 * file, on none it is empty. On a private one the name servers of the host's loopback are left out, for a step
 * has a loopback of its own; when no other is left, those that systemd-resolved asks take their place, and when there
 * are none either, forwarder does and *ret_forwarded is set. --dns, --dns-search and --dns-option replace.
 */
char *step_resolv_conf(const struct step_options *o, enum step_network network, const char *forwarder,
	bool *ret_forwarded);
/* The same with the texts of the two files of the host, for its tests. */
char *resolv_conf_make(const struct step_options *o, enum step_network network, const char *text,
	const char *upstream_text, const char *forwarder, bool *ret_forwarded);

#endif
