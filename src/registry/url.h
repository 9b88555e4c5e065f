/*
 * URLs that servers hand us (Location, realm, Link) and URLs that we build: strict parsing over
 * libcurl's URL parser, origins, address classes (spec/oci.md 4.2, 4.6).
 */
#ifndef WHITTLE_REGISTRY_URL_H
#define WHITTLE_REGISTRY_URL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/strbuf.h"

/* Longest URL accepted: signed storage URLs reach 4 KiB, a header line may have 64 KiB. */
#define URL_MAX (32 * 1024)

struct url {
	char *full;    /* normalised, without fragment; what goes to the network */
	char *scheme;  /* "http" or "https" */
	char *host;    /* lower case; an IPv6 literal keeps its brackets, an odd IPv4 form is made dotted */
	unsigned port; /* explicit or the scheme's default, 1..65535 */
};
#define URL_INIT { .full = NULL }

/*
 * Where an address belongs. Private covers RFC 1918, 100.64/10, fc00::/7; link covers 169.254/16
 * and fe80::/10 (cloud metadata services live there); unspecified covers 0/8 and "::". IPv4 inside
 * IPv6 counts as the IPv4.
 */
enum addr_class { ADDR_PUBLIC, ADDR_LOOPBACK, ADDR_LINK, ADDR_PRIVATE, ADDR_UNSPECIFIED };

/*
 * Parse an absolute URL. Refused: other schemes than http and https, user info, an empty host, an
 * IPv6 zone, control characters, spaces, backslashes, bytes over 0x7e, more than URL_MAX bytes.
 * Returns 0 and fills *ret (release it), or -1 and *err: ERR_INPUT, with the query left out of the
 * message;
 * ERR_DENIED for a well-formed URL of a scheme or shape that the rules forbid (4.6).
 */
int url_parse(const char *text, struct url *ret, struct err *err);

/*
 * The same for a text that may be relative to base (RFC 3986 section 5). base and ret must differ.
 */
int url_resolve(const struct url *base, const char *text, struct url *ret, struct err *err);

/* Free what *url holds; it is empty and usable again. Accepts an empty one. */
void url_release(struct url *url);

/* Whether scheme, host and port are the same: the only test for sending credentials (4.6). */
bool url_same_origin(const struct url *a, const struct url *b);

/*
 * "scheme://host[:port]/path" for messages: never user info, query or fragment (4.7). The caller
 * frees.
 */
char *url_display(const struct url *url);

/* Append "?" or "&" (by what url already holds), name, "=" and the percent-encoded value (4.2). */
void url_add_query(struct strbuf *url, const char *name, const char *value);

/* Append s with everything outside RFC 3986's unreserved set percent-encoded. */
void url_encode(struct strbuf *sb, const char *s);

/* The class of a socket address; families other than IPv4 and IPv6 are ADDR_PRIVATE. */
enum addr_class addr_class_of(const struct sockaddr *sa);

/*
 * The class of a host as written: an IP literal (with or without brackets) by its address,
 * "localhost" and names below it as loopback, every other name as public (what it resolves to is
 * tested at connect time).
 */
enum addr_class host_addr_class(const char *host);

static inline void auto_url_release(struct url *url)
{
	url_release(url);
}
#define auto_url __attribute__((cleanup(auto_url_release))) struct url

#endif
