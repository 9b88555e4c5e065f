/* What all OCI documents have in common: which kind is it, and which names may stand together. */
#ifndef WHITTLE_OCI_DOCUMENT_H
#define WHITTLE_OCI_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/doc.h"
#include "base/err.h"
#include "base/strv.h"
#include "oci/media.h"
#include "oci/platform.h"

#define MANIFEST_BYTES_MAX (4 * 1024 * 1024) /* manifest or index (oci.md appendix A) */

/*
 * Decide what n bytes from a registry or a layout are (arbitration of oci.md 1.4).
 *
 *   declared_media_type  Content-Type or the parent descriptor's type; parameters and case are
 * ignored; NULL, text/plain, application/json, application/octet-stream and binary/octet-stream say
 * nothing, then the document decides
 *
 * Returns 0 and *ret = MEDIA_INDEX or MEDIA_MANIFEST; or -1 and ERR_INPUT: no JSON, over
 * MANIFEST_BYTES_MAX, the types contradict, both a manifest and an index (CVE-2021-41190), schema
 * 1, neither of the two.
 */
int document_guess(const void *data, size_t n, const char *declared_media_type,
	enum media_kind *ret, struct err *err);

/*
 * The same, keeping the parse: for manifest_parse() and index_parse().
 *
 *   *ret_media_type  the media type decided on, owned by the caller
 *
 * Returns the document, owned by the caller, or NULL and *err as above.
 */
struct doc *document_open(const void *data, size_t n, const char *declared_media_type,
	enum media_kind *ret, char **ret_media_type, struct err *err);

/*
 * Refuse an object in which two names are equal for a decoder that ignores case (oci.md 1.1.2).
 * Returns 0 (also when d is no object), or -1 and ERR_INPUT naming what and both names.
 */
int document_check_names(const struct doc *d, const char *what, struct err *err);
/*
 * Read a string member, *ret = NULL when it is absent or null; owned by the caller.
 * Returns 0, or -1 and ERR_INPUT when it is of another type.
 */
int document_get_str(
	const struct doc *d, const char *name, const char *what, char **ret, struct err *err);
/*
 * Append the strings of the array member name to *ret; absent or null adds nothing.
 * Returns 0, or -1 and ERR_INPUT: another type, an element that is no string, more than max
 * elements.
 */
int document_get_strv(const struct doc *d, const char *name, const char *what, size_t max,
	struct strv *ret, struct err *err);
/* Put the members os, architecture ... of a platform object into *ret, as written. Returns 0, or -1
 * and ERR_INPUT: os or architecture missing, another type, over-long, control characters. */
int document_get_platform(
	const struct doc *d, const char *what, struct platform *ret, struct err *err);
/* A new array of p's os_features, or NULL when there are none. */
struct doc *document_os_features(const struct platform *p);
/*
 * Whether digest (NULL counts as missing) is a sha256 digest. Returns 0, or -1 and *err:
 * ERR_UNSUPPORTED for a well-formed sha512 one, ERR_INPUT for anything else (oci.md 1.2).
 */
int document_check_digest(const char *digest, const char *what, struct err *err);
/* A new string document; bytes that are not UTF-8 become U+FFFD. Never NULL. */
struct doc *document_string(const char *s);
/* A new array of the strings, or NULL when there are none. */
struct doc *document_strings(const struct strv *l);

#endif
