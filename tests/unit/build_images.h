/*
 * What the tests of images and outputs share: a scratch folder, a session on a store in it that never reaches for
 * the network and needs no holder, and small images made by hand.
 */
#ifndef WHITTLE_TESTS_BUILD_IMAGES_H
#define WHITTLE_TESTS_BUILD_IMAGES_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/export.h"
#include "build/image.h"
#include "oci/index.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "store/blob.h"
#include "store/image.h"

struct fixture {
	char dir[PATH_MAX]; /* scratch */
	char *root;         /* dir/store */
	struct session s;
	struct err err;
};

#define assert_ok(f, call)                                                                                             \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			fail_msg("%s: %s", #call, (f)->err.msg);                                                       \
	} while (0)

/* The call fails with this kind and says text. */
#define assert_fails(f, kind_, text, call)                                                                             \
	do {                                                                                                           \
		(f)->err = (struct err)ERR_INIT;                                                                       \
		assert_int_equal((call), -1);                                                                          \
		assert_string_equal(err_kind_name((f)->err.kind), err_kind_name(kind_));                               \
		if (!strstr((f)->err.msg, (text)))                                                                     \
			fail_msg("'%s' does not say '%s'", (f)->err.msg, (text));                                      \
	} while (0)

static inline int fixture_setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct session_options o = { .offline = true };
	const char *tmp = getenv("TMPDIR");

	snprintf(f->dir, sizeof(f->dir), "%s/whittle-build-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(f->dir))
		return -1;
	f->root = xasprintf("%s/store", f->dir);
	o.root = f->root;
	*state = f;
	return session_open(&f->s, &o, &f->err);
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	session_close(&f->s);
	remove_tree(AT_FDCWD, f->dir);
	free(f->root);
	free(f);
	return 0;
}

#define build_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

static inline struct platform platform_of(const char *text)
{
	struct platform host, p;
	struct err err = ERR_INIT;

	platform_host(&host);
	if (platform_parse(text, &host, &p, &err) < 0)
		fail_msg("%s", err.msg);
	return p;
}

/* A blob of some text in the store, as a layer; a plain layer's digest is its diffID. */
static inline void add_layer(struct fixture *f, struct manifest *m, struct image_config *c, const char *text,
	const char *media_type)
{
	struct descriptor d = DESCRIPTOR_INIT;
	char digest[DIGEST_STR_SIZE];

	assert_ok(f, blob_put(f->s.store, text, strlen(text), digest, &f->err));
	descriptor_set(&d, media_type, digest, strlen(text));
	manifest_add_layer(m, &d);
	descriptor_release(&d);
	strv_add(&c->diff_ids, digest);
	config_history_add(c, "2020-01-01T00:00:00Z", "RUN base", NULL, false);
}

/* An image of n plain layers "<arch> layer <i>" in the store; *ret is its manifest with the platform. */
static inline void make_image(struct fixture *f, const char *platform, size_t n, struct descriptor *ret)
{
	struct platform p = platform_of(platform);
	struct manifest m = MANIFEST_INIT;
	struct image_config c;
	struct strbuf text = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE], layer[64];

	config_init_scratch(&p, &c);
	for (size_t i = 0; i < n; i++) {
		snprintf(layer, sizeof(layer), "%s layer %zu", p.architecture, i);
		add_layer(f, &m, &c, layer, MEDIA_OCI_LAYER_TAR);
	}
	config_format(&c, &text);
	config_release(&c);
	assert_ok(f, blob_put(f->s.store, text.buf, text.len, digest, &f->err));
	descriptor_set(&m.config, MEDIA_OCI_CONFIG, digest, text.len);
	strbuf_reset(&text);
	manifest_format(&m, &text);
	manifest_release(&m);
	assert_ok(f, blob_put(f->s.store, text.buf, text.len, digest, &f->err));
	descriptor_set(ret, MEDIA_OCI_MANIFEST, digest, text.len);
	ret->platform = p;
	ret->has_platform = true;
	strbuf_release(&text);
}

/* An index of images of one layer each in the store. */
static inline void make_index(struct fixture *f, const char *const platforms[], size_t n, struct descriptor *ret)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	struct strbuf text = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];

	for (size_t i = 0; i < n; i++) {
		struct descriptor d = DESCRIPTOR_INIT;

		make_image(f, platforms[i], 1, &d);
		index_add(&idx, &d);
		descriptor_release(&d);
	}
	index_format(&idx, &text);
	index_release(&idx);
	assert_ok(f, blob_put(f->s.store, text.buf, text.len, digest, &f->err));
	descriptor_set(ret, MEDIA_OCI_INDEX, digest, text.len);
	strbuf_release(&text);
}

static inline void name_image(struct fixture *f, const char *name, const struct descriptor *d)
{
	assert_ok(f, image_put(f->s.store, name, d->media_type, d->digest, d->size, &f->err));
}

static inline struct resolved_image *resolve(struct fixture *f, const char *name, const char *platform)
{
	struct platform p = platform_of(platform);
	struct resolve_options o = { .platform = &p };
	struct resolved_image *img = image_resolve(&f->s, name, &o, &f->err);

	if (!img)
		fail_msg("%s: %s", name, f->err.msg);
	return img;
}

#endif
