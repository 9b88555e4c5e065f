/* The files that steps are given: /etc/hosts and /etc/resolv.conf (dockerfile.md 3.2.1). */
#ifndef WHITTLE_BUILD_STEP_FILES_H
#define WHITTLE_BUILD_STEP_FILES_H

/* Content of /etc/hosts; the caller frees. */
char *step_hosts(void);
/* Content of /etc/resolv.conf for steps that share the host's network: the host's own; "" where it has none. The
 * caller frees. */
char *step_resolv_conf(void);

#endif
