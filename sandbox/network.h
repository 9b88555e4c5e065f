/*
 * Networks of steps (spec/sandbox.md section 7): the host's, none, or one private network namespace per build that a
 * helper program (pasta, or slirp4netns) connects to the outside.
 *
 *   engine   network_find_helper(), then the job network_run() in the holder, with one end of a packet socket: the watch
 *   holder   makes the namespace, forks the keeper and forgets both
 *   keeper   pid 1 of a pid namespace that holds nothing but the helper, so that both die with the build, whoever of
 *            them is killed; sends the namespace over the watch once the helper is ready, and a struct err when it is not
 *            or when it ends. Ends when the engine's end of the watch is closed.
 *   step     network_enter() in the supervisor, which looks at the watch while the program runs
 *
 * Nothing is forwarded into the namespace, and nothing of the host's loopback or of its abstract sockets is in it.
 */
#ifndef WHITTLE_SANDBOX_NETWORK_H
#define WHITTLE_SANDBOX_NETWORK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "sandbox/holder.h"

enum step_network {
	STEP_NETWORK_HOST,    /* shared with the host */
	STEP_NETWORK_NONE,    /* loopback alone */
	STEP_NETWORK_PRIVATE, /* a namespace of the build, connected by a helper */
};

enum network_tool { NETWORK_PASTA, NETWORK_SLIRP4NETNS };

struct network_helper {
	enum network_tool tool;
	char *path; /* absolute; owned, free() */
};

/*
 * The first of pasta and slirp4netns in search (a list like PATH), for a host whose tun device can be opened at tun
 * ("/dev/net/tun"). Returns 0, or -1 and ERR_SANDBOX naming what is missing and how to mend it.
 */
int network_find_helper(const char *search, const char *tun, struct network_helper *ret, struct err *err);
/* The address inside a private network at which this helper answers name server queries with the host's. */
const char *network_forwarder(enum network_tool tool);

/* Append the request for network_run(). */
void network_put(const struct network_helper *helper, bool forward_dns, struct strbuf *payload);
/* The in_holder job; its descriptor is the keeper's end of the watch (SOCK_SEQPACKET). Replies at once with nothing: the
 * helper starts behind it. Returns 0, or -1 and ERR_SANDBOX, ERR_SYSTEM. */
int network_run(struct job *job, struct err *err);
/*
 * In the engine: wait until the helper is ready, 30 s at most. Returns the namespace's descriptor, owned by the
 * caller, or -1 and the keeper's reason (ERR_SANDBOX).
 */
int network_await(int watch, struct err *err);
/* Whether the helper still runs. Does not block and takes nothing off the watch. Returns 0, or -1 and why it ended. */
int network_check(int watch, struct err *err);

/*
 * Enter the network of a step: the caller is in the build's user namespace and has one thread. netns is looked at for
 * STEP_NETWORK_PRIVATE alone. The loopback interface is up afterwards, ping works without CAP_NET_RAW and ports below 1024
 * are open to all where the network is not the host's. Returns 0, or -1 and ERR_SANDBOX.
 */
int network_enter(enum step_network network, int netns, struct err *err);

#endif
