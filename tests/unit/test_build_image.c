#include "build_images.h"

#include <pthread.h>

#include "build/image_internal.h"
#include "layer/bounds.h"

static const char *const three[] = { "linux/amd64", "linux/arm64", "linux/arm/v7" };

/* image_resolve() as something that returns -1. */
static int try_resolve(struct fixture *f, const char *name, const char *platform)
{
	struct platform p = platform_of(platform);
	struct resolve_options o = { .platform = &p };
	struct resolved_image *img = image_resolve(&f->s, name, &o, &f->err);

	resolved_image_free(img);
	return img ? 0 : -1;
}

static int opener(void *ctx, const char *digest, uint64_t *ret_size, struct err *err)
{
	return blob_open(ctx, digest, ret_size, err);
}

/* Write the image to a layout in the scratch folder and forget the store. */
static char *move_to_layout(struct fixture *f, const struct descriptor *d, const char *name)
{
	char *path = xasprintf("%s/layout", f->dir);
	struct session_options o = { .offline = true, .root = f->root };
	struct strv names = STRV_INIT;

	if (name)
		strv_add(&names, name);
	assert_ok(f, layout_write(AT_FDCWD, path, d, &names, opener, f->s.store, &f->err));
	strv_release(&names);
	session_close(&f->s);
	assert_int_equal(remove_tree(AT_FDCWD, f->root), 0);
	assert_ok(f, session_open(&f->s, &o, &f->err));
	return path;
}

static char *blob_path(const char *layout, const char *digest)
{
	return xasprintf("%s/blobs/sha256/%s", layout, digest_hex(digest));
}

static void finds_an_image_of_the_store(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;

	make_image(f, "linux/amd64", 3, &d);
	name_image(f, "docker.io/library/app:1", &d);
	img = resolve(f, "app:1", "linux/amd64");
	assert_string_equal(img->name, "app:1");
	assert_string_equal(img->digest, d.digest);
	assert_string_equal(img->top_digest, d.digest);
	assert_string_equal(img->platform.architecture, "amd64");
	assert_int_equal(img->manifest.nlayers, 3);
	assert_int_equal(img->chain.len, 3);
	assert_true(img->chain.ids[0] != img->chain.ids[1]);
	assert_ok(f, image_need_layers(&f->s, img, 0, &f->err));
	resolved_image_free(img);

	/* the same layers are the same snapshots */
	img = resolve(f, "docker://docker.io/library/app:1", "linux/amd64");
	assert_int_equal(img->chain.len, 3);
	resolved_image_free(img);
	descriptor_release(&d);
}

static void chooses_by_platform(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;

	make_index(f, three, 3, &d);
	name_image(f, "docker.io/library/multi:latest", &d);
	img = resolve(f, "multi", "linux/arm64");
	assert_string_equal(img->platform.architecture, "arm64");
	assert_string_equal(img->top_digest, d.digest);
	assert_string_not_equal(img->digest, d.digest);
	resolved_image_free(img);
	img = resolve(f, "multi", "linux/arm/v7");
	assert_string_equal(img->platform.variant, "v7");
	resolved_image_free(img);
	assert_fails(f, ERR_NOT_FOUND, "linux/amd64, linux/arm64, linux/arm/v7", try_resolve(f, "multi", "linux/s390x"));
	assert_fails(f, ERR_NOT_FOUND, "linux/arm/v6", try_resolve(f, "multi", "linux/arm/v6"));
	descriptor_release(&d);
}

static void a_single_image_must_have_the_platform(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct platform arm = platform_of("linux/arm64");
	struct resolve_options o = { .platform = &arm, .any_platform = true };
	struct resolved_image *img;

	make_image(f, "linux/amd64", 1, &d);
	name_image(f, "docker.io/library/app:1", &d);
	assert_fails(f, ERR_NOT_FOUND, "no image for linux/arm64; offered: linux/amd64",
		try_resolve(f, "app:1", "linux/arm64"));
	img = image_resolve(&f->s, "app:1", &o, &f->err);
	assert_non_null(img);
	assert_string_equal(img->platform.architecture, "amd64");
	resolved_image_free(img);
	/* by the start of its digest, for run and inspect alone */
	img = image_resolve(&f->s, d.digest, &o, &f->err);
	assert_non_null(img);
	resolved_image_free(img);
	assert_int_equal(try_resolve(f, d.digest, "linux/amd64"), -1);
	descriptor_release(&d);
}

static void any_platform_takes_the_only_one_of_an_index(void **state)
{
	struct fixture *f = *state;
	struct descriptor one = DESCRIPTOR_INIT, more = DESCRIPTOR_INIT;
	struct platform s390x = platform_of("linux/s390x");
	struct resolve_options o = { .platform = &s390x, .any_platform = true };
	struct resolved_image *img;

	make_index(f, three, 1, &one);
	name_image(f, "docker.io/library/one:1", &one);
	make_index(f, three, 2, &more);
	name_image(f, "docker.io/library/more:1", &more);
	img = image_resolve(&f->s, "one:1", &o, &f->err);
	assert_non_null(img);
	resolved_image_free(img);
	assert_null(image_resolve(&f->s, "more:1", &o, &f->err));
	assert_int_equal(f->err.kind, ERR_NOT_FOUND);
	descriptor_release(&one);
	descriptor_release(&more);
}

static void a_digest_needs_no_name(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	auto_free char *name = NULL;
	struct resolved_image *img;

	make_image(f, "linux/amd64", 1, &d);
	name = xasprintf("example.org/app:9@%s", d.digest);
	img = resolve(f, name, "linux/amd64");
	assert_string_equal(img->digest, d.digest);
	resolved_image_free(img);
	descriptor_release(&d);
}

static void what_is_nowhere_says_where_was_looked(void **state)
{
	struct fixture *f = *state;

	assert_fails(f, ERR_NETWORK, "image 'golang:1.19' is not in the store", try_resolve(f, "golang:1.19", "linux/amd64"));
	assert_non_null(strstr(f->err.msg, "whittle import"));
	assert_fails(f, ERR_INPUT, "lower case", try_resolve(f, "Golang", "linux/amd64"));
	assert_fails(f, ERR_UNSUPPORTED, "docker-daemon", try_resolve(f, "docker-daemon:a", "linux/amd64"));
	assert_fails(f, ERR_INPUT, "http", try_resolve(f, "https://example.org/a", "linux/amd64"));
	assert_fails(f, ERR_NOT_FOUND, "/nowhere", try_resolve(f, "oci:/nowhere", "linux/amd64"));
	assert_fails(f, ERR_NOT_FOUND, "/nowhere", try_resolve(f, "oci-archive:/nowhere", "linux/amd64"));
	assert_fails(f, ERR_NOT_FOUND, "/nowhere", try_resolve(f, "docker-archive:/nowhere", "linux/amd64"));
}

static void an_image_that_is_none_is_refused(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct manifest m = MANIFEST_INIT;
	auto_strbuf text = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];

	assert_ok(f, blob_put(f->s.store, "{}", 2, digest, &f->err));
	descriptor_set(&m.config, MEDIA_OCI_EMPTY, digest, 2);
	manifest_format(&m, &text);
	manifest_release(&m);
	assert_ok(f, blob_put(f->s.store, text.buf, text.len, digest, &f->err));
	descriptor_set(&d, MEDIA_OCI_MANIFEST, digest, text.len);
	name_image(f, "docker.io/library/artifact:1", &d);
	assert_fails(f, ERR_INPUT, digest, try_resolve(f, "artifact:1", "linux/amd64"));
	descriptor_release(&d);
}

static void layers_must_be_as_many_as_diff_ids(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT, changed = DESCRIPTOR_INIT;
	struct manifest m = MANIFEST_INIT;
	auto_strbuf text = STRBUF_INIT;
	char digest[DIGEST_STR_SIZE];

	make_image(f, "linux/amd64", 2, &d);
	assert_ok(f, blob_read(f->s.store, d.digest, MANIFEST_BYTES_MAX, &text, &f->err));
	assert_ok(f, manifest_parse(text.buf, text.len, NULL, &m, &f->err));
	descriptor_release(&m.layers[--m.nlayers]);
	strbuf_reset(&text);
	manifest_format(&m, &text);
	assert_ok(f, blob_put(f->s.store, text.buf, text.len, digest, &f->err));
	descriptor_set(&changed, MEDIA_OCI_MANIFEST, digest, text.len);
	name_image(f, "docker.io/library/short:1", &changed);
	assert_fails(f, ERR_INPUT, "layer", try_resolve(f, "short:1", "linux/amd64"));
	manifest_release(&m);
	descriptor_release(&d);
	descriptor_release(&changed);
}

static void reads_a_layout_lazily(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;
	auto_free char *path = NULL;
	auto_free char *name = NULL;
	auto_free char *by_digest = NULL;

	make_index(f, three, 3, &d);
	path = move_to_layout(f, &d, "example.org/app:1");
	name = xasprintf("oci-layout://%s:1", path);
	img = resolve(f, name, "linux/arm64");
	assert_string_equal(img->platform.architecture, "arm64");
	assert_true(blob_has(f->s.store, img->digest, NULL));
	assert_true(blob_has(f->s.store, img->manifest.config.digest, NULL));
	assert_false(blob_has(f->s.store, img->manifest.layers[0].digest, NULL));
	assert_ok(f, image_need_layer(&f->s, img, 0, 0, &f->err));
	assert_true(blob_has(f->s.store, img->manifest.layers[0].digest, NULL));
	resolved_image_free(img);

	by_digest = xasprintf("oci:%s@%s", path, d.digest);
	img = resolve(f, by_digest, "linux/amd64");
	resolved_image_free(img);
	/* a file that a build reads is no image of the store */
	assert_fails(f, ERR_NETWORK, "not in the store", try_resolve(f, "example.org/app:1", "linux/arm64"));
	descriptor_release(&d);
}

static void a_wrong_blob_is_not_stored(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;
	auto_free char *path = NULL;
	auto_free char *name = NULL;
	auto_free char *blob = NULL;
	int fd;

	make_image(f, "linux/amd64", 2, &d);
	path = move_to_layout(f, &d, "app:1");
	name = xasprintf("oci:%s", path);
	img = resolve(f, name, "linux/amd64");
	blob = blob_path(path, img->manifest.layers[1].digest);
	assert_int_equal(chmod(blob, 0644), 0);
	fd = open(blob, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write_all(fd, "X", 1), 0); /* same size, other bytes */
	close(fd);
	assert_fails(f, ERR_CORRUPT, img->manifest.layers[1].digest, image_need_layers(&f->s, img, 0, &f->err));
	assert_false(blob_has(f->s.store, img->manifest.layers[1].digest, NULL));
	assert_int_equal(truncate(blob, 3), 0);
	assert_fails(f, ERR_CORRUPT, "bytes", image_need_layer(&f->s, img, 1, 0, &f->err));
	assert_false(blob_has(f->s.store, img->manifest.layers[1].digest, NULL));
	assert_int_equal(unlink(blob), 0);
	assert_fails(f, ERR_NOT_FOUND, digest_hex(img->manifest.layers[1].digest),
		image_need_layer(&f->s, img, 1, 0, &f->err));
	resolved_image_free(img);
	descriptor_release(&d);
}

static void a_wrong_document_is_not_stored(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	auto_free char *path = NULL;
	auto_free char *name = NULL;
	auto_free char *blob = NULL;
	int fd;

	make_image(f, "linux/amd64", 1, &d);
	path = move_to_layout(f, &d, "app:1");
	name = xasprintf("oci:%s", path);
	blob = blob_path(path, d.digest);
	assert_int_equal(chmod(blob, 0644), 0);
	fd = open(blob, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write_all(fd, " ", 1), 0);
	close(fd);
	assert_fails(f, ERR_CORRUPT, d.digest, try_resolve(f, name, "linux/amd64"));
	assert_false(blob_has(f->s.store, d.digest, NULL));
	descriptor_release(&d);
}

static void a_damaged_blob_of_the_store_is_fetched_again(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;
	auto_free char *path = NULL;
	auto_free char *name = NULL;
	auto_free char *blob = NULL;
	uint64_t size;

	make_image(f, "linux/amd64", 1, &d);
	path = move_to_layout(f, &d, NULL);
	name = xasprintf("oci:%s", path);
	img = resolve(f, name, "linux/amd64");
	assert_ok(f, image_need_layers(&f->s, img, 0, &f->err));
	blob = blob_path(f->root, img->manifest.layers[0].digest);
	assert_int_equal(chmod(blob, 0644), 0);
	assert_int_equal(truncate(blob, 1), 0); /* a power cut */
	assert_ok(f, image_need_layers(&f->s, img, 0, &f->err));
	assert_true(blob_has(f->s.store, img->manifest.layers[0].digest, &size));
	assert_int_equal(size, img->manifest.layers[0].size);
	resolved_image_free(img);
	descriptor_release(&d);
}

struct race {
	struct fixture *f;
	struct resolved_image *img;
	int rc;
	struct err err;
};

static void *need_it(void *arg)
{
	struct race *r = arg;

	r->err = (struct err)ERR_INIT;
	r->rc = image_need_layers(&r->f->s, r->img, 0, &r->err);
	return NULL;
}

static void threads_may_need_the_same_layers(void **state)
{
	enum { N = 8 };
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;
	struct race races[N];
	pthread_t threads[N];
	auto_free char *path = NULL;
	auto_free char *name = NULL;

	make_image(f, "linux/amd64", 20, &d);
	path = move_to_layout(f, &d, NULL);
	name = xasprintf("oci:%s", path);
	img = resolve(f, name, "linux/amd64");
	for (size_t i = 0; i < N; i++) {
		races[i] = (struct race){ .f = f, .img = img };
		assert_int_equal(pthread_create(&threads[i], NULL, need_it, &races[i]), 0);
	}
	for (size_t i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		if (races[i].rc < 0)
			fail_msg("%s", races[i].err.msg);
	}
	for (size_t i = 0; i < img->manifest.nlayers; i++)
		assert_true(blob_has(f->s.store, img->manifest.layers[i].digest, NULL));
	assert_int_equal(img->source->nbusy, 0);
	resolved_image_free(img);
	descriptor_release(&d);
}

static void cancelled_means_no_more_fetching(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	auto_free char *path = NULL;
	auto_free char *name = NULL;

	make_image(f, "linux/amd64", 1, &d);
	path = move_to_layout(f, &d, NULL);
	name = xasprintf("oci:%s", path);
	f->s.cancelled = SESSION_INTERRUPTED;
	assert_fails(f, ERR_CANCELLED, "interrupted", try_resolve(f, name, "linux/amd64"));
	descriptor_release(&d);
}

static void pulls_one_platform_of_a_layout(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct platform arm64 = platform_of("linux/arm64"), s390x = platform_of("linux/s390x");
	struct resolved_image *img;
	struct image row;
	auto_free char *path = NULL;
	auto_free char *name = NULL;
	char digest[DIGEST_STR_SIZE];

	make_index(f, three, 3, &d);
	path = move_to_layout(f, &d, "example.org/app:1");
	name = xasprintf("oci:%s", path);
	assert_fails(f, ERR_NOT_FOUND, "linux/arm64", image_pull(&f->s, name, &s390x, 1, digest, &f->err));
	assert_fails(f, ERR_NOT_FOUND, "example.org", image_get(f->s.store, "example.org/app:1", &row, &f->err));
	assert_ok(f, image_pull(&f->s, name, &arm64, 1, digest, &f->err));
	assert_string_equal(digest, d.digest);
	assert_ok(f, image_get(f->s.store, "example.org/app:1", &row, &f->err));
	assert_string_equal(row.digest, d.digest);
	img = resolve(f, "example.org/app:1", "linux/arm64");
	assert_true(blob_has(f->s.store, img->manifest.layers[0].digest, NULL));
	resolved_image_free(img);
	/* another platform was not fetched, and cannot be without a network */
	assert_fails(f, ERR_NETWORK, "offline", try_resolve(f, "example.org/app:1", "linux/amd64"));
	/* nor can the whole be pushed, or a part of it */
	assert_fails(f, ERR_NETWORK, "offline", image_push(&f->s, "example.org/app:1", NULL, digest, &f->err));
	descriptor_release(&d);
}

static void pulls_all_platforms_of_a_layout(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;
	auto_free char *path = NULL;
	auto_free char *name = NULL;
	char digest[DIGEST_STR_SIZE];

	make_index(f, three, 3, &d);
	path = move_to_layout(f, &d, "example.org/app:1");
	name = xasprintf("oci:%s", path);
	assert_ok(f, image_pull(&f->s, name, NULL, 0, digest, &f->err));
	for (size_t i = 0; i < 3; i++) {
		img = resolve(f, "example.org/app:1", three[i]);
		assert_true(blob_has(f->s.store, img->manifest.layers[0].digest, NULL));
		resolved_image_free(img);
	}
	descriptor_release(&d);
}

static void a_pull_that_fails_names_nothing(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;
	struct image row;
	auto_free char *path = NULL;
	auto_free char *name = NULL;
	auto_free char *blob = NULL;
	char digest[DIGEST_STR_SIZE];

	make_index(f, three, 2, &d);
	path = move_to_layout(f, &d, "example.org/app:1");
	name = xasprintf("oci:%s", path);
	img = resolve(f, name, "linux/arm64");
	blob = blob_path(path, img->manifest.layers[0].digest);
	resolved_image_free(img);
	assert_int_equal(unlink(blob), 0);
	assert_fails(f, ERR_NOT_FOUND, name, image_pull(&f->s, name, NULL, 0, digest, &f->err));
	assert_fails(f, ERR_NOT_FOUND, "example.org", image_get(f->s.store, "example.org/app:1", &row, &f->err));
	descriptor_release(&d);
}

static void a_nameless_image_is_kept_by_its_digest(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct image row;
	auto_free char *path = NULL;
	auto_free char *name = NULL;
	char digest[DIGEST_STR_SIZE];

	make_image(f, "linux/amd64", 1, &d);
	path = move_to_layout(f, &d, NULL);
	name = xasprintf("oci:%s", path);
	assert_ok(f, image_pull(&f->s, name, NULL, 0, digest, &f->err));
	assert_ok(f, image_lookup(f->s.store, d.digest, &row, &f->err));
	assert_string_equal(row.name, d.digest);
	descriptor_release(&d);
}

static void push_refuses_what_it_cannot_do(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	auto_free char *pinned = NULL;
	char digest[DIGEST_STR_SIZE];

	assert_fails(f, ERR_NOT_FOUND, "app:1", image_push(&f->s, "app:1", NULL, digest, &f->err));
	make_image(f, "linux/amd64", 1, &d);
	name_image(f, "docker.io/library/app:1", &d);
	pinned = xasprintf("example.org/app@%s", d.digest);
	assert_fails(f, ERR_UNSUPPORTED, "oci:/tmp/x", image_push(&f->s, "app:1", "oci:/tmp/x", digest, &f->err));
	assert_fails(f, ERR_INPUT, "tag", image_push(&f->s, "app:1", pinned, digest, &f->err));
	assert_fails(f, ERR_INPUT, "lower case", image_push(&f->s, "app:1", "example.org/UP", digest, &f->err));
	assert_fails(f, ERR_NETWORK, "app:1", image_push(&f->s, "app:1", "example.org/app:1", digest, &f->err));
	descriptor_release(&d);
}

static void push_wants_the_whole_image(void **state)
{
	struct fixture *f = *state;
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;
	char digest[DIGEST_STR_SIZE];

	make_image(f, "linux/amd64", 2, &d);
	name_image(f, "docker.io/library/app:1", &d);
	img = resolve(f, "app:1", "linux/amd64");
	assert_ok(f, blob_remove(f->s.store, img->manifest.layers[1].digest, &f->err));
	assert_fails(f, ERR_NOT_FOUND, img->manifest.layers[1].digest,
		image_push(&f->s, "app:1", "example.org/app:1", digest, &f->err));
	assert_non_null(strstr(f->err.msg, "whittle pull app:1"));
	resolved_image_free(img);
	descriptor_release(&d);
}

static void import_refuses_bad_names(void **state)
{
	struct fixture *f = *state;
	struct import_options o = { .name = "BAD NAME", .platform = platform_of("linux/amd64"),
		.epoch = LAYER_EPOCH_NONE };
	char digest[DIGEST_STR_SIZE];

	assert_fails(f, ERR_USAGE, "BAD NAME", image_import(&f->s, -1, &o, digest, &f->err));
	o.name = "a@sha256:0000000000000000000000000000000000000000000000000000000000000000";
	assert_fails(f, ERR_USAGE, "digest", image_import(&f->s, -1, &o, digest, &f->err));
	o.name = "a:1";
	assert_fails(f, ERR_SYSTEM, "copy", image_import(&f->s, -1, &o, digest, &f->err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		build_test(finds_an_image_of_the_store),
		build_test(chooses_by_platform),
		build_test(a_single_image_must_have_the_platform),
		build_test(any_platform_takes_the_only_one_of_an_index),
		build_test(a_digest_needs_no_name),
		build_test(what_is_nowhere_says_where_was_looked),
		build_test(an_image_that_is_none_is_refused),
		build_test(layers_must_be_as_many_as_diff_ids),
		build_test(reads_a_layout_lazily),
		build_test(a_wrong_blob_is_not_stored),
		build_test(a_wrong_document_is_not_stored),
		build_test(a_damaged_blob_of_the_store_is_fetched_again),
		build_test(threads_may_need_the_same_layers),
		build_test(cancelled_means_no_more_fetching),
		build_test(pulls_one_platform_of_a_layout),
		build_test(pulls_all_platforms_of_a_layout),
		build_test(a_pull_that_fails_names_nothing),
		build_test(a_nameless_image_is_kept_by_its_digest),
		build_test(push_refuses_what_it_cannot_do),
		build_test(push_wants_the_whole_image),
		build_test(import_refuses_bad_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
