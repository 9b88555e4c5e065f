/*
 * HTTP for the registry client: a thin cover over libcurl's easy handles, and the only file with
 * url.c that sees libcurl (spec/oci.md 4.2, 4.6, 4.8, appendix A).
 *
 * What libcurl could do by itself and does not here: following redirects (the rules of 4.6 are
 * ours), cookies, .netrc, content decoding, other protocols than HTTP. Proxies come from the
 * environment as curl reads it.
 *
 * Nothing happens at load time and no thread exists before the first request, so the engine can
 * fork its holder first. The process should ignore SIGPIPE.
 */
#ifndef WHITTLE_REGISTRY_HTTP_H
#define WHITTLE_REGISTRY_HTTP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"

#define HTTP_HEADER_LINE_MAX (64 * 1024) /* one header (appendix A) */
#define HTTP_HEADERS_MAX (256 * 1024)    /* all headers of one response (appendix A) */
#define HTTP_ERROR_BODY_MAX (64 * 1024)  /* what is read of the body of a failure (appendix A) */
#define HTTP_REDIRECTS_MAX 10            /* hops (4.6) */
#define HTTP_TRIES_MAX 5                 /* requests in all, the first included (4.8) */

struct http; /* a pool of connections with their settings; used by any number of threads at once */

struct http_options {
	const volatile sig_atomic_t *cancel; /* non-zero ends all transfers and waits; or NULL */
	const char *ca_file;    /* PEM bundle instead of $SSL_CERT_FILE and the system's; or NULL */
	unsigned retry_base_ms; /* first back-off step; 0 means the 2000 of the table in 4.8 */
};

/* How far a server may lead a request (4.6). Plain values, borrowed for the time of one call. */
struct http_policy {
	const char *home_host; /* as in struct url: free of the address rule; NULL: no such host */
	bool private_ok;       /* other hosts may have loopback, private, link-local addresses */
	bool plain_ok;         /* a redirect may go from https to http */
	bool home_unverified;  /* no certificate check for home_host (configured insecure) */
	bool plain_secrets;    /* credentials may go beyond loopback over http (4.2) */
};

/* Why there is no response (or not all of it). */
enum http_failure {
	HTTP_FAIL_NONE,
	HTTP_FAIL_RESOLVE, /* the name has no address */
	HTTP_FAIL_CONNECT, /* no connection: refused, unreachable, timed out */
	HTTP_FAIL_TLS,     /* the peer does not speak TLS as we do; no certificate was judged */
	HTTP_FAIL_CERT,    /* the certificate is not to be trusted */
	HTTP_FAIL_BROKEN,  /* connected, then reset, closed early, too slow */
	HTTP_FAIL_LOCAL,   /* refused on this side: limits, policy, cancel, a callback */
};

/* One response. Headers are "name: value" with the name in lower case, in order of arrival. */
struct http_response {
	int status;                /* 0 while no status line has come */
	enum http_failure failure; /* of the last try */
	char *url;                 /* what answered in the end */
	bool foreign;              /* another origin than the one asked */
	struct strv headers;
	struct strbuf body;        /* what did not go to the sink */
	uint64_t delivered;        /* bytes given to the sink */
	bool peer_private;         /* an address that is not public answered; false by proxy */
};
#define HTTP_RESPONSE_INIT { .body = STRBUF_INIT }

/*
 * Judge a 200 or 206 before its first byte reaches the sink. Returns 0, or -1 and *err, which ends
 * the transfer and becomes the result of the request.
 */
typedef int http_head_fn(void *arg, const struct http_response *resp, struct err *err);
/* Take n > 0 bytes of the body. Same result. */
typedef int http_sink_fn(void *arg, const void *data, size_t n, struct err *err);
/* Called during an upload: n bytes of the body have been handed to the network. */
typedef void http_sent_fn(void *arg, uint64_t n);

struct http_request {
	const char *method;        /* GET HEAD POST PUT DELETE */
	const char *url;
	const char *accept;        /* header values, or NULL */
	const char *content_type;
	const char *authorization; /* goes to the origin of url and to no other */
	uint64_t range_from;       /* ask for bytes from here on; 0: no Range header */
	const struct strv *more_headers; /* pairs of a name and a value; or NULL */
	const void *body;          /* POST, PUT: the body in memory, */
	uint64_t body_size;        /* its bytes; */
	int body_fd;               /* or, when >= 0, a file from offset 0 (by pread) */
	size_t response_max;       /* largest 2xx body kept; 0: HTTP_ERROR_BODY_MAX */
	const struct http_policy *policy; /* never NULL */
	bool once;                 /* not to be sent twice by itself (no retry at all) */
	bool probe;                /* trust no authority: a TLS peer is HTTP_FAIL_CERT */
	bool stay;                 /* do not follow redirects (the body is a secret) */
	bool resumes;              /* the caller handles broken transfers: retry on status only */
	http_head_fn *head;        /* NULL: nothing to judge */
	http_sink_fn *sink;        /* NULL: collect in resp->body */
	http_sent_fn *sent;        /* or NULL */
	void *arg;                 /* for the three callbacks */
};
#define HTTP_REQUEST_INIT { .body_fd = -1 }

/*
 * Initialise libcurl (curl_global_init). Call it in the engine after the holder has been forked and
 * before any other thread exists; calling it again is harmless. Returns 0, or -1 and *err:
 * ERR_SYSTEM.
 */
int http_global_init(struct err *err);

/*
 * A new pool; opens no connection. Copies what it needs of options (but borrows the cancel flag).
 * Never NULL.
 */
struct http *http_new(const struct http_options *options);
/* Close all connections; no request may be running. Accepts NULL. */
void http_free(struct http *http);

/*
 * Send one request, follow redirects (GET and HEAD: 301 302 303 307 308; others: 307 308, the body
 * is sent again), and try again as the table of 4.8 says: statuses 408 425 429 500 502 503 504,
 * resets and early closes, temporary failures of name resolution; at most HTTP_TRIES_MAX times,
 * Retry-After honoured. Blocks.
 *
 * resp must be HTTP_RESPONSE_INIT or released; it is filled on failure too (status, failure,
 * delivered).
 * Returns 0 for every complete response, whatever its status; or -1 and *err:
 *   ERR_NETWORK    transport: resp->failure says which; more than HTTP_REDIRECTS_MAX redirects
 *   ERR_DENIED     the policy forbids where the server leads us (scheme, address)
 *   ERR_INPUT      headers or body over a limit, a redirect without a good Location
 *   ERR_CANCELLED  the cancel flag
 *   ERR_CORRUPT    body_fd ended before body_size
 *   ERR_SYSTEM     body_fd could not be read
 *   or what head or sink returned
 * Once bytes have reached the sink nothing is tried again.
 */
int http_send(struct http *http, const struct http_request *req, struct http_response *resp,
	struct err *err);

/* The value of the next header called name (lower case) from *iter on (start with 0), or NULL. */
const char *http_header(const struct http_response *resp, const char *name, size_t *iter);
/* The first header of that name, or NULL. */
const char *http_header_first(const struct http_response *resp, const char *name);
/*
 * What a failed response says, on one line for a message: "404 MANIFEST_UNKNOWN: manifest unknown"
 * from the JSON of 4.8 ("errors", "details", "message"), else the status and the start of the body
 * as text. At most 300 bytes; control characters are left to err_set(). The caller frees.
 */
char *http_error_text(const struct http_response *resp);
/* Free; *resp is HTTP_RESPONSE_INIT again. */
void http_response_release(struct http_response *resp);

/* Wait ms milliseconds. Returns 0, or -1 and *err: ERR_CANCELLED as soon as the flag is seen. */
int http_wait(const struct http *http, uint64_t ms, struct err *err);
/* The first back-off step of this pool in milliseconds. */
unsigned http_retry_base_ms(const struct http *http);

/* Seconds since 1970 of an HTTP date, or INT64_MIN when it is none. libcurl is loaded. */
int64_t http_date(const char *value);

/* Whether the table of 4.8 retries this status. */
bool http_status_retries(int status);

/*
 * Milliseconds to wait before try number attempt + 1 (attempt >= 1 have failed).
 *   retry_after  value of the header (seconds or an HTTP date), or NULL; clamped to 1..300 s,
 *                garbage is ignored
 *   now          wall clock, seconds since 1970
 *   base_ms      first step; doubles up to 60 s
 *   random       any number: gives the jitter of 20 % either way
 */
uint64_t http_retry_delay_ms(
	unsigned attempt, const char *retry_after, int64_t now, unsigned base_ms, uint32_t random);

static inline void auto_http_response_release(struct http_response *resp)
{
	http_response_release(resp);
}
#define auto_http_response __attribute__((cleanup(auto_http_response_release))) struct http_response

#endif
