#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "oci/layout.h"
#include "oci_blobs.h"

struct fixture {
	char path[64];
	int fd;
	struct blobs b;
	struct strv names;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->fd = scratch_make(f->path);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	strv_release(&f->names);
	blobs_release(&f->b);
	scratch_remove(f->fd, f->path);
	free(f);
	return 0;
}

/* Write root into the layout "l" under these names, which are then forgotten. */
static void write_layout(
	struct fixture *f, const struct descriptor *root, const char *name, const char *name2)
{
	struct err e = ERR_INIT;

	if (name)
		strv_add(&f->names, name);
	if (name2)
		strv_add(&f->names, name2);
	if (layout_write(f->fd, "a/l", root, &f->names, blobs_open, &f->b, &e) < 0)
		fail_msg("%s", e.msg);
	strv_release(&f->names);
}

static struct layout *open_layout(struct fixture *f)
{
	struct err e = ERR_INIT;
	struct layout *l = layout_open(f->fd, "a/l", &e);

	if (!l)
		fail_msg("%s", e.msg);
	return l;
}

static void assert_selects(const struct layout *l, const char *name, const char *digest)
{
	struct descriptor d = DESCRIPTOR_INIT;
	struct err e = ERR_INIT;

	if (layout_select(l, name, &d, &e) < 0)
		fail_msg("%s: %s", name ? name : "(none)", e.msg);
	assert_string_equal(d.digest, digest);
	descriptor_release(&d);
}

static void what_was_written_is_read(void **state)
{
	struct fixture *f = *state;
	const struct descriptor *image = blobs_add_image(&f->b, "arm64", "one", "two");
	struct blob_list list = BLOB_LIST_INIT;
	struct err e = ERR_INIT;
	struct layout *l;
	uint64_t size;
	char text[8] = "";
	int fd;

	write_layout(f, image, "app:1", "ghcr.io/o/app");
	l = open_layout(f);
	assert_int_equal(layout_index(l)->n, 2);
	assert_string_equal(
		descriptor_annotation(&layout_index(l)->manifests[0], ANNOTATION_REF_NAME), "1");
	assert_string_equal(
		descriptor_annotation(&layout_index(l)->manifests[0], ANNOTATION_IMAGE_NAME),
		"docker.io/library/app:1");
	assert_selects(l, NULL, image->digest);
	assert_selects(l, "1", image->digest);
	assert_selects(l, "app:1", image->digest);
	assert_selects(l, "ghcr.io/o/app:latest", image->digest);
	fd = layout_blob_open(l, f->b.v[0].d.digest, &size, &e);
	assert_true(fd >= 0);
	assert_int_equal(size, 3);
	assert_int_equal(read(fd, text, sizeof(text)), 3);
	assert_string_equal(text, "one");
	close(fd);
	assert_int_equal(walk_image(image, layout_blob_opener, l, &list, &e), 0);
	assert_int_equal(list.len, 4);
	blob_list_release(&list);
	layout_free(l);
}

static void header_and_modes_are_as_specified(void **state)
{
	struct fixture *f = *state;
	struct strbuf sb = STRBUF_INIT;
	struct err e = ERR_INIT;
	struct stat st;
	mode_t old = umask(022);

	write_layout(f, blobs_add_image(&f->b, "arm64", "one", "two"), NULL, NULL);
	umask(old);
	assert_int_equal(read_file(f->fd, "a/l/oci-layout", 100, &sb, &e), 0);
	assert_string_equal(sb.buf, "{\"imageLayoutVersion\":\"1.0.0\"}");
	strbuf_release(&sb);
	assert_int_equal(fstatat(f->fd, "a/l/blobs/sha256", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fstatat(f->fd, "a/l/index.json", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void a_name_moves_to_the_new_image_and_blobs_stay(void **state)
{
	struct fixture *f = *state;
	const struct descriptor *old = blobs_add_image(&f->b, "arm64", "one", "two");
	const struct descriptor *other = blobs_add_image(&f->b, "arm64", "one", "three");
	struct err e = ERR_INIT;
	struct layout *l;
	uint64_t size;
	int fd;

	write_layout(f, old, "app:1", NULL);
	write_layout(f, old, "app:keep", NULL);
	write_layout(f, other, "app:1", NULL);
	write_layout(f, other, NULL, NULL);
	write_layout(f, other, NULL, NULL);
	l = open_layout(f);
	assert_int_equal(layout_index(l)->n, 3);
	assert_selects(l, "app:1", other->digest);
	assert_selects(l, "app:keep", old->digest);
	fd = layout_blob_open(l, old->digest, &size, &e);
	assert_true(fd >= 0);
	close(fd);
	layout_free(l);
}

static void nested_images_are_selected_by_digest(void **state)
{
	struct fixture *f = *state;
	const struct descriptor *two[2] = {blobs_add_image(&f->b, "arm64", "a", "b"),
		blobs_add_image(&f->b, "amd64", "a", "c")};
	const struct descriptor *top = blobs_add_index(&f->b, two, 2);
	struct descriptor d = DESCRIPTOR_INIT;
	struct err e = ERR_INIT;
	struct layout *l;

	write_layout(f, top, "app", NULL);
	l = open_layout(f);
	assert_selects(l, NULL, top->digest);
	assert_selects(l, top->digest, top->digest);
	assert_selects(l, two[1]->digest, two[1]->digest);
	assert_int_equal(layout_select(l, f->b.v[0].d.digest, &d, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	layout_free(l);
}

static void a_corrupt_source_leaves_the_index_alone(void **state)
{
	struct fixture *f = *state;
	const struct descriptor *good = blobs_add_image(&f->b, "arm64", "one", "two");
	const struct descriptor *bad = blobs_add_image(&f->b, "arm64", "three", "four");
	struct err e = ERR_INIT;
	struct layout *l;
	struct dirent *entry;
	DIR *dir;
	int fd;

	write_layout(f, good, "app", NULL);
	f->b.v[4].data[0] = 'T'; /* a layer of bad */
	strv_add(&f->names, "app");
	assert_int_equal(layout_write(f->fd, "a/l", bad, &f->names, blobs_open, &f->b, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	l = open_layout(f);
	assert_selects(l, "app", good->digest);
	layout_free(l);
	/* no temporary file is left */
	fd = openat(f->fd, "a/l/blobs/sha256", O_RDONLY | O_DIRECTORY);
	dir = fdopendir(fd);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		assert_true(strlen(entry->d_name) == DIGEST_HEX || strspn(entry->d_name, ".") > 0);
	rewinddir(dir);
	while ((entry = readdir(dir)))
		assert_null(strstr(entry->d_name, "tmp"));
	closedir(dir);
}

static void bad_names_are_refused_before_anything_is_written(void **state)
{
	struct fixture *f = *state;
	const struct descriptor *image = blobs_add_image(&f->b, "arm64", "one", "two");
	struct err e = ERR_INIT;

	strv_add(&f->names, "App/Upper");
	assert_int_equal(layout_write(f->fd, "new", image, &f->names, blobs_open, &f->b, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	strv_release(&f->names);
	strv_add(&f->names,
		"a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	assert_int_equal(layout_write(f->fd, "new", image, &f->names, blobs_open, &f->b, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(faccessat(f->fd, "new", F_OK, 0), -1);
}

static void assert_open_fails(struct fixture *f, enum err_kind kind, const char *part)
{
	struct err e = ERR_INIT;

	assert_null(layout_open(f->fd, "x", &e));
	assert_int_equal(e.kind, kind);
	if (!strstr(e.msg, part))
		fail_msg("message '%s' lacks '%s'", e.msg, part);
}

/* oci.md 9.3.93 and 3.1 */
static void what_is_no_layout_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_open_fails(f, ERR_NOT_FOUND, "no directory 'x'");
	assert_int_equal(mkdirat(f->fd, "x", 0755), 0);
	assert_open_fails(f, ERR_NOT_FOUND, "not an OCI layout");
	put_file(f->fd, "x/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
	assert_open_fails(f, ERR_UNSUPPORTED, "2.0.0");
	put_file(f->fd, "x/oci-layout", "{}");
	assert_open_fails(f, ERR_INPUT, "imageLayoutVersion");
	put_file(f->fd, "x/oci-layout", "{\"imageLayoutVersion\":\"1.1.0\"}");
	assert_open_fails(f, ERR_NOT_FOUND, "index.json");
	put_file(f->fd, "x/index.json", "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}");
	assert_open_fails(f, ERR_INPUT, "index");
	assert_int_equal(unlinkat(f->fd, "x/index.json", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", f->fd, "x/index.json"), 0);
	assert_open_fails(f, ERR_CORRUPT, "leaves the layout");
	assert_int_equal(unlinkat(f->fd, "x/index.json", 0), 0);
	assert_int_equal(mkfifoat(f->fd, "x/index.json", 0644), 0);
	assert_open_fails(f, ERR_CORRUPT, "not a regular file");
}

static void assert_blob_fails(const struct layout *l, const char *digest, enum err_kind kind)
{
	struct err e = ERR_INIT;
	uint64_t size;

	assert_int_equal(layout_blob_open(l, digest, &size, &e), -1);
	assert_int_equal(e.kind, kind);
}

/* oci.md 9.3.92 */
static void blobs_stay_inside(void **state)
{
	struct fixture *f = *state;
	const struct descriptor *image = blobs_add_image(&f->b, "arm64", "one", "two");
	char name[100];
	struct layout *l;
	struct err e = ERR_INIT;
	uint64_t size;
	int fd;

	write_layout(f, image, NULL, NULL);
	l = open_layout(f);
	assert_blob_fails(l, "sha256:../../etc/passwd", ERR_INPUT);
	assert_blob_fails(l, "", ERR_INPUT);
	snprintf(name, sizeof(name), "a/l/blobs/sha256/%s", digest_hex(f->b.v[0].d.digest));
	assert_int_equal(unlinkat(f->fd, name, 0), 0);
	assert_blob_fails(l, f->b.v[0].d.digest, ERR_NOT_FOUND);
	assert_int_equal(symlinkat("/etc/passwd", f->fd, name), 0);
	assert_blob_fails(l, f->b.v[0].d.digest, ERR_CORRUPT);
	assert_int_equal(unlinkat(f->fd, name, 0), 0);
	assert_int_equal(symlinkat("../../index.json", f->fd, name), 0);
	fd = layout_blob_open(l, f->b.v[0].d.digest, &size, &e);
	assert_true(fd >= 0); /* a link that stays inside is other people's way to share */
	close(fd);
	assert_int_equal(unlinkat(f->fd, name, 0), 0);
	assert_int_equal(mkfifoat(f->fd, name, 0644), 0);
	assert_blob_fails(l, f->b.v[0].d.digest, ERR_CORRUPT);
	layout_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_written_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			header_and_modes_are_as_specified, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_name_moves_to_the_new_image_and_blobs_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			nested_images_are_selected_by_digest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_corrupt_source_leaves_the_index_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			bad_names_are_refused_before_anything_is_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_layout_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(blobs_stay_inside, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
