/* Manifests and indexes: what parses must format to something that parses to the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "oci/index.h"
#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_manifest(const uint8_t *data, size_t size)
{
	struct manifest m = MANIFEST_INIT, again = MANIFEST_INIT;
	auto_strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	struct err e = ERR_INIT;

	if (manifest_parse(data, size, NULL, &m, &e) < 0)
		return;
	manifest_check_image(&m, &e);
	manifest_format(&m, &first);
	assert(manifest_parse(first.buf, first.len, m.media_type, &again, &e) == 0);
	manifest_format(&again, &second);
	assert(first.len == second.len && memcmp(first.buf, second.buf, first.len) == 0);
	manifest_release(&m);
	manifest_release(&again);
}

static void check_index(const uint8_t *data, size_t size)
{
	const struct platform want = {.os = "linux", .architecture = "arm64"};
	struct image_index idx = IMAGE_INDEX_INIT, again = IMAGE_INDEX_INIT;
	auto_strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	struct err e = ERR_INIT;
	size_t i;

	if (index_parse(data, size, NULL, &idx, &e) < 0)
		return;
	if (index_choose(&idx, &want, &i, &e) == 0)
		assert(i < idx.n);
	if (index_select(&idx, NULL, &i, &e) == 0)
		assert(i < idx.n);
	if (index_select(&idx, "latest", &i, &e) == 0)
		assert(i < idx.n);
	index_format(&idx, &first);
	assert(index_parse(first.buf, first.len, idx.media_type, &again, &e) == 0);
	index_format(&again, &second);
	assert(first.len == second.len && memcmp(first.buf, second.buf, first.len) == 0);
	index_release(&idx);
	index_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_manifest(data, size);
	check_index(data, size);
	return 0;
}
