#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "oci_blobs.h"

static void documents_come_after_what_they_refer_to(void **state)
{
	struct blobs b = {.n = 0};
	struct blob_list list = BLOB_LIST_INIT;
	struct err e = ERR_INIT;
	/* both images share their first layer */
	const struct descriptor *two[2] = {blobs_add_image(&b, "arm64", "same", "x"),
		blobs_add_image(&b, "amd64", "same", "y")};
	const struct descriptor *top = blobs_add_index(&b, two, 2);

	(void)state;
	assert_int_equal(walk_image(top, blobs_open, &b, &list, &e), 0);
	assert_int_equal(list.len, 8);
	assert_string_equal(list.v[7].digest, top->digest);
	assert_string_equal(list.v[3].digest, two[0]->digest);
	assert_string_equal(list.v[6].digest, two[1]->digest);
	assert_int_equal(b.opened, 3); /* layers and configs are not opened */
	blob_list_release(&list);
	blobs_release(&b);
}

static void many_blobs_are_listed_once_each(void **state)
{
	struct blobs b = {.n = 0};
	struct blob_list list = BLOB_LIST_INIT;
	struct manifest m = MANIFEST_INIT;
	struct strbuf sb = STRBUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	descriptor_copy(blobs_add(&b, MEDIA_OCI_CONFIG, "{}", 2), &m.config);
	for (int i = 0; i < 400; i++) {
		struct descriptor d = DESCRIPTOR_INIT;
		char text[16];

		snprintf(text, sizeof(text), "%d", i % 200);
		descriptor_of_bytes(&d, MEDIA_OCI_LAYER_ZSTD, text, strlen(text));
		manifest_add_layer(&m, &d);
		descriptor_release(&d);
	}
	manifest_format(&m, &sb);
	assert_int_equal(walk_image(blobs_add(&b, MEDIA_OCI_MANIFEST, sb.buf, sb.len), blobs_open,
				 &b, &list, &e),
		0);
	assert_int_equal(list.len, 202);
	blob_list_release(&list);
	manifest_release(&m);
	strbuf_release(&sb);
	blobs_release(&b);
}

static void nesting_is_limited(void **state)
{
	struct blobs b = {.n = 0};
	struct err e = ERR_INIT;
	const struct descriptor *d = blobs_add_image(&b, "arm64", "a", "b");

	(void)state;
	for (int depth = 1; depth <= 5; depth++) {
		struct blob_list list = BLOB_LIST_INIT;
		int r = walk_image(d, blobs_open, &b, &list, &e);

		assert_int_equal(r, depth <= WALK_DEPTH_MAX ? 0 : -1);
		blob_list_release(&list);
		d = blobs_add_index(&b, &d, 1);
	}
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.msg, "nested deeper"));
	blobs_release(&b);
}

static void lies_are_found(void **state)
{
	struct blobs b = {.n = 0};
	struct blob_list list = BLOB_LIST_INIT;
	struct err e = ERR_INIT;
	const struct descriptor *d = blobs_add_image(&b, "arm64", "a", "b");
	struct descriptor lie;
	struct strbuf sb = STRBUF_INIT;

	(void)state;
	descriptor_copy(d, &lie);
	lie.size++;
	assert_int_equal(walk_image(&lie, blobs_open, &b, &list, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	lie.size = (uint64_t)1 << 40;
	assert_int_equal(walk_image(&lie, blobs_open, &b, &list, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	descriptor_release(&lie);
	assert_int_equal(walk_load(d, blobs_open, &b, 10, &sb, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	b.v[b.n - 1].data[0] = ' ';
	assert_int_equal(walk_image(d, blobs_open, &b, &list, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(sb.len, 0);
	blob_list_release(&list);
	blobs_release(&b);
}

static void absent_foreign_layers_are_left_out(void **state)
{
	struct blobs b = {.n = 0};
	struct blob_list list = BLOB_LIST_INIT;
	struct manifest m = MANIFEST_INIT;
	struct strbuf sb = STRBUF_INIT;
	struct err e = ERR_INIT;
	struct descriptor absent = DESCRIPTOR_INIT;

	(void)state;
	descriptor_copy(blobs_add(&b, MEDIA_OCI_CONFIG, "{}", 2), &m.config);
	descriptor_of_bytes(
		&absent, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "f", 1);
	manifest_add_layer(&m, &absent);
	manifest_add_layer(&m,
		blobs_add(&b, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "g", 1));
	manifest_format(&m, &sb);
	assert_int_equal(walk_image(blobs_add(&b, MEDIA_OCI_MANIFEST, sb.buf, sb.len), blobs_open,
				 &b, &list, &e),
		0);
	assert_int_equal(list.len, 3);
	descriptor_release(&absent);
	manifest_release(&m);
	strbuf_release(&sb);
	blob_list_release(&list);
	blobs_release(&b);
}

static void nested_manifests_are_found_by_digest(void **state)
{
	struct blobs b = {.n = 0};
	struct err e = ERR_INIT;
	const struct descriptor *image = blobs_add_image(&b, "arm64", "a", "b");
	const struct descriptor *inner = blobs_add_index(&b, &image, 1);
	struct image_index root = IMAGE_INDEX_INIT;
	struct descriptor found = DESCRIPTOR_INIT;

	(void)state;
	index_add(&root, inner);
	assert_int_equal(walk_find(&root, image->digest, blobs_open, &b, &found, &e), 0);
	assert_string_equal(found.digest, image->digest);
	descriptor_release(&found);
	assert_int_equal(walk_find(&root, inner->digest, blobs_open, &b, &found, &e), 0);
	descriptor_release(&found);
	/* a layer is no image */
	assert_int_equal(walk_find(&root, b.v[0].d.digest, blobs_open, &b, &found, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	index_release(&root);
	blobs_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_come_after_what_they_refer_to),
		cmocka_unit_test(many_blobs_are_listed_once_each),
		cmocka_unit_test(nesting_is_limited),
		cmocka_unit_test(lies_are_found),
		cmocka_unit_test(absent_foreign_layers_are_left_out),
		cmocka_unit_test(nested_manifests_are_found_by_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
