/* Image configs: what parses must format to something that parses to the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "oci/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_config c = IMAGE_CONFIG_INIT, copy, again = IMAGE_CONFIG_INIT;
	auto_strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	struct err e = ERR_INIT;

	if (config_parse(data, size, &c, &e) < 0)
		return 0;
	config_copy(&c, &copy);
	config_format(&copy, &first);
	assert(config_parse(first.buf, first.len, &again, &e) == 0);
	config_format(&again, &second);
	assert(first.len == second.len && memcmp(first.buf, second.buf, first.len) == 0);
	config_history_repair(&copy);
	assert(config_history_fits(&copy));
	config_release(&c);
	config_release(&copy);
	config_release(&again);
	return 0;
}
