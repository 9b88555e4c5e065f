/*
 * URLs out of headers, and the numbers beside them: what is accepted must mean the same when it is
 * read again.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "registry/client_internal.h"
#include "registry/http.h"
#include "registry/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(const struct url *url)
{
	struct url again = URL_INIT;
	struct err e = ERR_INIT;
	char *shown = url_display(url);

	assert(strcmp(url->scheme, "http") == 0 || strcmp(url->scheme, "https") == 0);
	assert(*url->host && url->port >= 1 && url->port <= 65535);
	assert(!strpbrk(url->host, "/?#@\\% "));
	assert(!strpbrk(url->full, " #\r\n"));
	assert(!strchr(shown, '?') && strncmp(shown, "http", 4 * (*shown == 'h')) == 0);
	if (strlen(url->full) <= URL_MAX) {
		assert(url_parse(url->full, &again, &e) == 0);
		assert(url_same_origin(url, &again));
		assert(strcmp(url->full, again.full) == 0);
		url_release(&again);
	}
	free(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = xstrndup((const char *)data, size);
	struct url base = URL_INIT, url = URL_INIT;
	struct err e = ERR_INIT;
	uint64_t first, last, total;

	if (url_parse(s, &url, &e) == 0) {
		check_url(&url);
		url_release(&url);
	}
	assert(url_parse("https://registry.example:5000/v2/a/blobs/uploads/?x=1", &base, &e) == 0);
	if (url_resolve(&base, s, &url, &e) == 0) {
		check_url(&url);
		url_release(&url);
	}
	url_release(&base);
	host_addr_class(s);
	if (content_range_parse(s, &first, &last, &total) == 0)
		assert(first <= last && last < total);
	total = http_retry_delay_ms(1, s, 1700000000, 2000, 7);
	assert(total >= 1000 && total <= 300000);
	if (repository_path_valid(s))
		assert(!strstr(s, "..") && !strstr(s, "//") && s[strlen(s) - 1] != '/' &&
			!strpbrk(s, "?#%:\r\n"));
	free(s);
	return 0;
}
