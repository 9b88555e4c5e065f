/*
 * The socket that a step sees as its ssh agent. It is ours: each request is read whole, and only two kinds are handed
 * on to the user's agent, listing keys and signing; whatever else a step asks (adding and removing keys, locking,
 * extensions) fails as an agent fails it. The agent sees this process, whichever id the step has.
 */
#ifndef WHITTLE_BUILD_AGENT_PROXY_H
#define WHITTLE_BUILD_AGENT_PROXY_H

#include "base/err.h"

#define AGENT_MESSAGE_MAX (256u << 10) /* bytes: OpenSSH's own limit */
#define AGENT_CLIENTS_MAX 32           /* of one step at once; more wait */

struct agent_proxy;

/*
 * Serve the agent at the path agent on a new socket called name in the folder dirfd, mode 0600, in a thread.
 *   id  for messages
 * Returns the proxy, owned by the caller, or NULL and *err: ERR_NOT_FOUND (the agent does not answer), ERR_SYSTEM.
 */
struct agent_proxy *agent_proxy_start(const char *id, const char *agent, int dirfd, const char *name, struct err *err);
/* End the thread, close every connection and the socket; its name stays. Accepts NULL. */
void agent_proxy_stop(struct agent_proxy *p);

#endif
