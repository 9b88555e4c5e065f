/*
 * What the user lends to a build: secrets (--secret) and agents (--ssh), by their ids (dockerfile.md 9.4).
 *
 * The contents of a secret live in a memory file: no copy stays on the heap, in a log or on a disk, and a step is given
 * the descriptor.
 */
#ifndef WHITTLE_BUILD_SECRETS_H
#define WHITTLE_BUILD_SECRETS_H

#include <stddef.h>

#include "base/err.h"

#define SECRET_MAX (500u << 10) /* bytes: the limit of BuildKit */
#define SECRETS_MAX 1000        /* of one build */

struct secret {
	char *id;
	int fd; /* at any offset; read with pread(2) */
};

struct secrets {
	struct secret *v;
	size_t len, cap;
};
#define SECRETS_INIT { .v = NULL }

/*
 * Take one --secret: a record of id, src (source), env and type (file or env). The file is read now; an unset variable
 * is an empty secret. Of one id the last counts.
 * Returns 0, or -1 and *err: ERR_USAGE (with the text of the spec), ERR_NOT_FOUND (no such file), ERR_INPUT (over
 * SECRET_MAX, or no regular file), ERR_SYSTEM.
 */
int secrets_add(struct secrets *s, const char *spec, struct err *err);
/* The secret called id, or NULL. */
const struct secret *secrets_find(const struct secrets *s, const char *id);
/* Close and free; usable again. */
void secrets_release(struct secrets *s);

/* A memory file (O_CLOEXEC) that holds the n bytes, owned by the caller, or -1 and ERR_SYSTEM. */
int secret_file(const void *data, size_t n, struct err *err);

struct key_agent;

struct agent {
	char *id;
	char *socket; /* path of the agent's socket */
	struct key_agent *keys; /* the agent that was started for it, or NULL: the user's */
};

struct agents {
	struct agent *v;
	size_t len, cap;
};
#define AGENTS_INIT { .v = NULL }

/*
 * Take one --ssh: ID, ID=SOCKET or ID=KEY[,KEY...]; without a path the socket of SSH_AUTH_SOCK. For private key files an
 * agent is started (build/key_agent.h), which agents_release() ends. Of one id the last counts.
 * Returns 0, or -1 and *err: ERR_USAGE (no socket known; a socket among several paths), ERR_NOT_FOUND (no such file), and as
 * key_agent_start().
 */
int agents_add(struct agents *a, const char *spec, struct err *err);
/* The agent called id, or NULL. */
const struct agent *agents_find(const struct agents *a, const char *id);
/* Free; usable again. */
void agents_release(struct agents *a);

#endif
