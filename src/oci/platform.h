/* OCI platforms: text, normal form, matching (spec/oci.md 1.7). Plain values, no ownership. */
#ifndef WHITTLE_OCI_PLATFORM_H
#define WHITTLE_OCI_PLATFORM_H

#include <stdbool.h>

#include "base/err.h"

/* Sizes with the NUL. The longest registered token has 11 letters; a Windows version has 16. */
#define PLATFORM_PART_SIZE 32
#define PLATFORM_OS_VERSION_SIZE 64
#define PLATFORM_OS_FEATURES_SIZE 128
#define PLATFORM_STR_SIZE 100 /* os, architecture, variant, two slashes, NUL */

struct platform {
	char os[PLATFORM_PART_SIZE];
	char architecture[PLATFORM_PART_SIZE];
	char variant[PLATFORM_PART_SIZE];	     /* "" means none */
	char os_version[PLATFORM_OS_VERSION_SIZE];   /* Windows only in practice; "" means none */
	char os_features[PLATFORM_OS_FEATURES_SIZE]; /* joined by commas in the given order; ""
							means none */
};

/*
 * Parse one platform (grammar of oci.md 1.7.2, or the word "local") into its normal form.
 *
 *   host_default  completes a text that names only an OS or only an architecture, and answers
 * "local"
 *
 * Returns 0, or -1 and ERR_INPUT: empty or over-long, a character outside the grammar, more than
 * three parts, one part that is neither a known OS nor a known architecture. *ret is written on
 * success only.
 */
int platform_parse(
	const char *s, const struct platform *host_default, struct platform *ret, struct err *err);
/* Bring p into the normal form of oci.md 1.7.3: lower case, one spelling, default variants.
 * Idempotent. */
void platform_normalize(struct platform *p);
/*
 * Bring p into the form that we write into index entries (CHOICE of oci.md 1.7.3): normal, and
 * arm64 without a variant becomes arm64/v8. arm always has a variant after normalisation; amd64
 * never has v1.
 */
void platform_publish(struct platform *p);
/* "os/architecture[/variant]" as it stands; an empty part ends the text. */
void platform_format(const struct platform *p, char out[PLATFORM_STR_SIZE]);
/* The platform of this host, in normal form (oci.md 1.7.4). */
void platform_host(struct platform *ret);
/*
 * How well have serves want: the ladder of oci.md 1.7.5 inside one architecture (no 386 for amd64,
 * no arm for arm64). 0 is exact, larger is worse, -1 is no match. Both sides are normalised here.
 * have's os_features must all be among want's; os_version must agree on Windows if want names one.
 */
int platform_match_rank(const struct platform *want, const struct platform *have);
/* Whether both are the same os, architecture and variant after normalisation. */
bool platform_equal(const struct platform *a, const struct platform *b);
/* Whether this is "unknown/unknown", the mark of attestation manifests (oci.md 1.7.5). */
bool platform_is_unknown(const struct platform *p);

#endif
