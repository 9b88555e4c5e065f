#include "layer/compress.h"

#include <string.h>

static const char *const names[] = {
	[COMPRESSION_NONE] = "none",
	[COMPRESSION_GZIP] = "gzip",
	[COMPRESSION_ZSTD] = "zstd",
};

const char *compression_name(enum compression c)
{
	return names[c];
}

int compression_parse(const char *name, enum compression *ret)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum compression)i;
			return 0;
		}
	}
	return -1;
}
