/*
 * A registry client: what one command knows of the registries it talks to (scheme, challenge,
 * tokens, connections). pull.h and push.h do the work with it (spec/oci.md 4).
 */
#ifndef WHITTLE_REGISTRY_CLIENT_H
#define WHITTLE_REGISTRY_CLIENT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/strv.h"

struct registry_options {
	const struct strv *insecure;         /* "host[:port]": no TLS, or unverified; or NULL */
	const char *auth_file;               /* the one file; NULL: as auth_cred_lookup() */
	const char *ca_file;                 /* PEM; NULL: $SSL_CERT_FILE or the system's */
	const volatile sig_atomic_t *cancel; /* non-zero: ERR_CANCELLED; or NULL */
	bool allow_private_redirects;        /* drop the address rule of 4.6 */
	bool allow_http_credentials;         /* credentials over plain HTTP beyond loopback (4.2) */
	unsigned retry_base_ms;              /* first back-off step; 0: 2000. Tests make it small */
};
#define REGISTRY_OPTIONS_INIT { .insecure = NULL }

struct registry_client;

/*
 * A new client; nothing is sent and no file is read yet. Options are copied, but the cancel flag is
 * borrowed and must outlive the client. Call http_global_init() (registry/http.h) once before,
 * after the holder's fork. One client may be used from several threads at once. Never NULL.
 *
 * Scheme (4.2): https; a registry of the insecure list without verification, and plain HTTP when no
 * TLS connection comes about; a loopback host (localhost, 127.0.0.0/8, ::1) plain HTTP likewise,
 * with no configuration. Never after an HTTP status or a bad certificate. The finding is kept for
 * the client's life.
 */
struct registry_client *registry_client_new(const struct registry_options *options);

/* Close connections, forget tokens. No call may be running. Accepts NULL. */
void registry_client_free(struct registry_client *client);

/* Progress of one blob: done of total bytes; called often, from the thread that made the call. */
struct registry_progress {
	void (*fn)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

DEFINE_AUTO(struct registry_client *, registry_client_free)

#endif
