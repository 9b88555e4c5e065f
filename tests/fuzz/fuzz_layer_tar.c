/*
 * A layer. The checksum of every header is made right first unless the first byte is odd: fuzzers
 * do not guess sums. Whatever is accepted must make an index that opens, and a layer that reads the
 * same again.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "layer/convert.h"
#include "layer/index.h"
#include "layer/tar_read.h"
#include "layer/tar_write.h"

#define RECORD 512u
#define INPUT_MAX ((size_t)256 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fix_checksums(uint8_t *p, size_t n)
{
	static const uint8_t zero[RECORD];

	for (; n >= RECORD; p += RECORD, n -= RECORD) {
		char text[9];
		unsigned sum = 0;

		if (memcmp(p, zero, RECORD) == 0)
			continue;
		memset(p + 148, ' ', 8);
		for (size_t i = 0; i < RECORD; i++)
			sum += p[i];
		snprintf(text, sizeof(text), "%06o", sum & 0777777);
		memcpy(p + 148, text, 7);
	}
}

/* Write the layer anew, and read that. */
static void check_rewrite(int fd, const struct layer_read_options *in)
{
	struct layer_write_options opt = {.compression = COMPRESSION_NONE, .epoch = 1000};
	struct layer_info out, back;
	struct err err = ERR_INIT;
	auto_fd int again = memfd_create("again", MFD_CLOEXEC);

	lseek(fd, 0, SEEK_SET);
	if (layer_from_layer(fd, in, NULL, &opt, again, &out, &err) < 0)
		return; /* a name that is fine, but not with .wh. before it */
	lseek(again, 0, SEEK_SET);
	if (layer_read(again, NULL, NULL, &back, &err) < 0 ||
		strcmp(out.digest, back.digest) != 0 || out.entries != back.entries) {
		fprintf(stderr, "%s\n", err.msg);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(index_sink_free) struct index_sink *sink = NULL;
	AUTO(index_close) struct tree_index *ix = NULL;
	struct layer_read_options opt = LAYER_READ_INIT;
	auto_free uint8_t *copy = NULL;
	struct err err = ERR_INIT;
	auto_fd int fd = -1;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	opt.sparse = true;
	opt.max_size = INPUT_MAX * 4;
	copy = xmemdup(data, size);
	if (!(data[0] & 1))
		fix_checksums(copy, size);
	fd = memfd_create("layer", MFD_CLOEXEC);
	if (fd < 0 || write_all(fd, copy, size) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	sink = index_sink_new(INDEX_DIGESTS);
	if (layer_read(fd, &opt, index_sink_of(sink), NULL, &err) < 0) {
		assert(err.kind != ERR_NONE && err.msg[0]);
		return 0;
	}
	ix = index_of_sink(sink);
	assert(index_len(ix) >= 1);
	check_rewrite(fd, &opt);
	return 0;
}
