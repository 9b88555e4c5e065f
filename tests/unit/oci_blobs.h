/* Blobs in memory, and small images made of them, for the tests of src/oci. */
#ifndef TESTS_UNIT_OCI_BLOBS_H
#define TESTS_UNIT_OCI_BLOBS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsutil.h"
#include "base/mem.h"
#include "oci/config.h"
#include "oci/index.h"
#include "oci/manifest.h"
#include "oci/walk.h"

struct blobs {
	struct {
		struct descriptor d;
		char *data;
	} v[64];
	size_t n;
	size_t opened; /* calls of blobs_open */
};

/* Add n bytes and return their descriptor, owned by the store. */
static inline const struct descriptor *blobs_add(
	struct blobs *b, const char *type, const void *data, size_t n)
{
	assert_true(b->n < 64);
	b->v[b->n].d = (struct descriptor)DESCRIPTOR_INIT;
	descriptor_of_bytes(&b->v[b->n].d, type, data, n);
	b->v[b->n].data = xmemdup(data, n ? n : 1);
	return &b->v[b->n++].d;
}

/* A blob_opener over the store. */
static inline int blobs_open(void *ctx, const char *digest, uint64_t *ret_size, struct err *err)
{
	struct blobs *b = ctx;

	b->opened++;
	for (size_t i = 0; i < b->n; i++) {
		if (strcmp(b->v[i].d.digest, digest) != 0)
			continue;
		int fd = memfd_create("blob", MFD_CLOEXEC);

		assert_true(fd >= 0);
		assert_int_equal(write_all(fd, b->v[i].data, (size_t)b->v[i].d.size), 0);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		*ret_size = b->v[i].d.size;
		return fd;
	}
	return err_set(err, ERR_NOT_FOUND, "no blob '%s'", digest);
}

static inline void blobs_release(struct blobs *b)
{
	for (size_t i = 0; i < b->n; i++) {
		descriptor_release(&b->v[i].d);
		free(b->v[i].data);
	}
	b->n = 0;
}

/* Add an image of two "layers", text and text2; returns the descriptor of its manifest. */
static inline const struct descriptor *blobs_add_image(
	struct blobs *b, const char *architecture, const char *text, const char *text2)
{
	struct platform p = {.os = "linux"};
	struct image_config c;
	struct manifest m = MANIFEST_INIT;
	struct strbuf sb = STRBUF_INIT;
	const char *texts[2] = {text, text2};
	const struct descriptor *d;

	snprintf(p.architecture, sizeof(p.architecture), "%s", architecture);
	config_init_scratch(&p, &c);
	for (size_t i = 0; i < 2; i++) {
		d = blobs_add(b, MEDIA_OCI_LAYER_TAR, texts[i], strlen(texts[i]));
		strv_add(&c.diff_ids, d->digest);
		manifest_add_layer(&m, d);
	}
	config_format(&c, &sb);
	descriptor_copy(blobs_add(b, MEDIA_OCI_CONFIG, sb.buf, sb.len), &m.config);
	strbuf_reset(&sb);
	manifest_format(&m, &sb);
	d = blobs_add(b, MEDIA_OCI_MANIFEST, sb.buf, sb.len);
	manifest_release(&m);
	config_release(&c);
	strbuf_release(&sb);
	return d;
}

/* Add an index over these descriptors; returns its descriptor. */
static inline const struct descriptor *blobs_add_index(
	struct blobs *b, const struct descriptor *const *entries, size_t n)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	struct strbuf sb = STRBUF_INIT;
	const struct descriptor *d;

	for (size_t i = 0; i < n; i++)
		index_add(&idx, entries[i]);
	index_format(&idx, &sb);
	d = blobs_add(b, MEDIA_OCI_INDEX, sb.buf, sb.len);
	index_release(&idx);
	strbuf_release(&sb);
	return d;
}

/* An empty scratch directory; the caller gives it to scratch_remove(). */
static inline int scratch_make(char path[64])
{
	int fd;

	snprintf(path, 64, "/tmp/whittle-unit-XXXXXX");
	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static inline void scratch_remove(int fd, const char *path)
{
	close(fd);
	assert_int_equal(remove_tree(AT_FDCWD, path), 0);
}

static inline void put_file(int dirfd, const char *name, const char *text)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	close(fd);
}

#endif
