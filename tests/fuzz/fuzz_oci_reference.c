/* Image references and platforms: what parses must survive its own long and short form. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/platform.h"
#include "oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_form(const char *text, const char *full)
{
	struct reference ref = REFERENCE_INIT;
	struct err e = ERR_INIT;
	char *again;

	assert(reference_parse(text, &ref, &e) == 0);
	again = reference_format(&ref);
	assert(strcmp(again, full) == 0);
	free(again);
	reference_release(&ref);
}

static void check_reference(const char *s)
{
	struct reference ref = REFERENCE_INIT;
	struct err e = ERR_INIT;
	char *full, *familiar;

	if (reference_parse(s, &ref, &e) < 0)
		return;
	full = reference_format(&ref);
	familiar = reference_familiar(&ref);
	check_form(full, full);
	check_form(familiar, full);
	free(full);
	free(familiar);
	reference_release(&ref);
}

static void check_transport(const char *s)
{
	enum transport t;
	struct err e = ERR_INIT;
	char *rest, *path, *name, *digest;

	if (transport_parse(s, &t, &rest, &e) < 0)
		return;
	if (t != TRANSPORT_REGISTRY && transport_split(t, rest, &path, &name, &digest, &e) == 0) {
		assert(*path && (!name || *name));
		free(path);
		free(name);
		free(digest);
	}
	free(rest);
}

static void check_platform(const char *s)
{
	const struct platform host = {.os = "linux", .architecture = "arm64"};
	struct platform p, again;
	struct err e = ERR_INIT;
	char text[PLATFORM_STR_SIZE];

	if (platform_parse(s, &host, &p, &e) < 0)
		return;
	platform_format(&p, text);
	assert(platform_parse(text, &host, &again, &e) == 0);
	assert(platform_equal(&p, &again));
	assert(platform_match_rank(&p, &p) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = xstrndup((const char *)data, size);

	check_reference(s);
	check_transport(s);
	check_platform(s);
	free(s);
	return 0;
}
