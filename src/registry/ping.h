/* Is a registry there? */
#ifndef WHITTLE_REGISTRY_PING_H
#define WHITTLE_REGISTRY_PING_H

#include "base/err.h"
#include "base/strv.h"

/*
 * Ask the registry host[:port] for /v2/ once, in a child that is ended after `seconds`, so that this process stays as
 * it is (one thread, no libcurl). Credentials are not used.
 *   insecure  registries without TLS; or NULL
 * Returns 0 when it answers, or -1 and *err: ERR_INPUT (no registry name), ERR_NETWORK, ERR_SYSTEM.
 */
int registry_ping(const char *host, const struct strv *insecure, unsigned seconds, struct err *err);

#endif
