/* Image names: registry references (spec/oci.md 4.1) and the transports in front of them. */
#ifndef WHITTLE_OCI_REFERENCE_H
#define WHITTLE_OCI_REFERENCE_H

#include <stdbool.h>

#include "base/err.h"

#define REFERENCE_PATH_MAX 255 /* bytes of the repository path (distribution-spec, "name") */
#define REFERENCE_TAG_MAX 128  /* bytes of a tag (same place) */
#define REFERENCE_DEFAULT_DOMAIN "docker.io"
#define REFERENCE_DEFAULT_TAG "latest"

struct reference {
	char *domain;	  /* "docker.io", "localhost:5000"; never NULL after a parse */
	char *path;	  /* "library/alpine"; never NULL after a parse */
	char *tag;	  /* NULL when only a digest was given */
	char *digest;	  /* "sha256:..." or NULL; decides over tag */
	bool tag_implied; /* tag is "latest" because none was given */
};
#define REFERENCE_INIT                                                                             \
	{                                                                                          \
		.domain = NULL                                                                     \
	}

/*
 * Parse what a user or a document calls an image, without a transport, and complete it: domain
 * docker.io, "library/" for its one-part names, tag "latest" when neither tag nor digest is given.
 * Returns 0 and *ret owned by the caller (reference_release); or -1 and *err, *ret untouched:
 *   ERR_INPUT        not in the grammar: empty, upper-case path, bad tag, port or digest, an image
 * id, a URL scheme ERR_UNSUPPORTED  a digest of an algorithm other than sha256
 */
int reference_parse(const char *s, struct reference *ret, struct err *err);
/* Free the parts; usable on REFERENCE_INIT and twice. */
void reference_release(struct reference *ref);
/* Make *ret a deep copy. */
void reference_copy(const struct reference *ref, struct reference *ret);
/* "docker.io/library/a:latest@sha256:...": every part that is there. The caller frees. */
char *reference_format(const struct reference *ref);
/* The same without "docker.io/" and "library/", for messages. The caller frees. */
char *reference_familiar(const struct reference *ref);
/* domain/path, without tag and digest: "docker.io/library/a". The caller frees. */
char *reference_repository(const struct reference *ref);
/* The host[:port] to connect to: registry-1.docker.io for docker.io, else domain; owned by ref. */
const char *reference_network_host(const struct reference *ref);
/* Whether s is a valid tag. */
bool reference_tag_valid(const char *s);

enum transport {
	TRANSPORT_REGISTRY,	  /* bare, docker://REF, docker-image://REF */
	TRANSPORT_OCI,		  /* oci:DIR[:NAME] */
	TRANSPORT_OCI_LAYOUT,	  /* oci-layout://DIR[:TAG][@DIGEST] */
	TRANSPORT_OCI_ARCHIVE,	  /* oci-archive:FILE[:NAME] */
	TRANSPORT_DOCKER_ARCHIVE, /* docker-archive:FILE[:NAME] */
};

/*
 * Split the transport off: "docker://a" gives TRANSPORT_REGISTRY and "a"; a bare string is a
 * registry reference. The rest is not looked at: reference_parse() or transport_split() does that.
 * Returns 0 and *ret_rest, owned by the caller; or -1 and *err:
 *   ERR_INPUT        http:// or https://, or nothing after the transport
 *   ERR_UNSUPPORTED  a transport that others have and we do not: dir:, docker-daemon:,
 * containers-storage:
 */
int transport_parse(const char *s, enum transport *ret, char **ret_rest, struct err *err);
/*
 * Split the rest of a local transport into its parts, all owned by the caller; absent ones are
 * NULL.
 *
 *   TRANSPORT_OCI, _OCI_ARCHIVE, _DOCKER_ARCHIVE   PATH[:NAME], NAME may hold colons (first colon
 * splits) TRANSPORT_OCI_LAYOUT                           PATH[:TAG], split at the last colon after
 * the last / each with "@sha256:<hex>" at the end           *ret_digest
 *
 * Returns 0, or -1 and *err, outputs untouched: ERR_INPUT (no path, an empty name, a bad digest).
 */
int transport_split(enum transport t, const char *rest, char **ret_path, char **ret_name,
	char **ret_digest, struct err *err);

#endif
