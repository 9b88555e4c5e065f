/*
 * An ssh agent of the build's own, which holds the keys that --ssh names by their files
 * (dockerfile.md 9.4). It is the system's ssh-agent, filled by ssh-add:
 *
 *   whittle --pipe--> sh --(waits for the end of the pipe, then ends)--> ssh-agent
 *
 * The pipe is closed when whittle ends, however it ends, so the agent never outlives it: ssh-agent
 * gains a group by its mode bits, which takes a signal at the death of a parent (PR_SET_PDEATHSIG)
 * away from it.
 */
#ifndef WHITTLE_BUILD_KEY_AGENT_H
#define WHITTLE_BUILD_KEY_AGENT_H

#include "base/err.h"
#include "base/strv.h"

#define KEY_FILE_MAX (64u << 10) /* bytes: the largest RSA keys have 13 KiB */
#define KEYS_MAX 64		 /* of one agent; servers give up after a few */

struct key_agent;

/*
 * Start an agent called id with the private keys in the files. Blocks until it has them.
 * Returns it, owned by the caller, or NULL and *err: ERR_NOT_FOUND (no such file; ssh-agent is not
 * installed), ERR_INPUT (a folder, no private key, one with a passphrase, one that others may read,
 * more than KEY_FILE_MAX bytes), ERR_USAGE (more than KEYS_MAX), ERR_SYSTEM.
 */
struct key_agent *key_agent_start(const char *id, const struct strv *files, struct err *err);
/* The path of its socket. */
const char *key_agent_socket(const struct key_agent *a);
/* End the agent and wait until it is told so; accepts NULL. */
void key_agent_stop(struct key_agent *a);

#endif
