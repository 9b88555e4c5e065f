#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "oci/image_archive.h"
#include "oci/layout.h"
#include "oci_blobs.h"
#include "oci_tar.h"

/* Opening by /proc/self/fd/N lets an archive in memory be opened like a file. */
static struct image_archive *open_fd(int fd, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return image_archive_open(AT_FDCWD, path, e);
}

static struct image_archive *must_open(int fd)
{
	struct err e = ERR_INIT;
	struct image_archive *a = open_fd(fd, &e);

	if (!a)
		fail_msg("%s", e.msg);
	return a;
}

/* Closes fd. */
static void assert_refused(int fd, enum err_kind kind, const char *part)
{
	struct err e = ERR_INIT;

	assert_null(open_fd(fd, &e));
	assert_int_equal(e.kind, kind);
	if (!strstr(e.msg, part))
		fail_msg("message '%s' lacks '%s'", e.msg, part);
	close(fd);
}

static void read_whole(int fd, struct strbuf *sb)
{
	strbuf_reset(sb);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(read_all(fd, sb, 1 << 22), 0);
}

static int write_oci(struct blobs *b, const struct descriptor *root, const char *name)
{
	struct strv names = STRV_INIT;
	struct err e = ERR_INIT;
	int fd = tar_new();

	if (name)
		strv_add(&names, name);
	if (oci_archive_write(fd, root, &names, blobs_open, b, &e) < 0)
		fail_msg("%s", e.msg);
	strv_release(&names);
	return fd;
}

static void oci_archives_are_read_as_written(void **state)
{
	struct blobs b = {.n = 0};
	const struct descriptor *image = blobs_add_image(&b, "arm64", "one", "two");
	struct descriptor d = DESCRIPTOR_INIT;
	struct blob_list list = BLOB_LIST_INIT;
	struct blob_region region;
	struct image_archive *a;
	struct err e = ERR_INIT;
	char text[4] = "";
	int fd = write_oci(&b, image, "app:1");
	size_t n;

	(void)state;
	a = must_open(fd);
	assert_non_null(image_archive_index(a));
	image_archive_docker_images(a, &n);
	assert_int_equal(n, 0);
	assert_int_equal(image_archive_select(a, "app:1", &d, &e), 0);
	assert_string_equal(d.digest, image->digest);
	assert_int_equal(walk_image(&d, image_archive_blob_opener, a, &list, &e), 0);
	assert_int_equal(list.len, 4);
	assert_int_equal(image_archive_blob(a, b.v[1].d.digest, &region, &e), 0);
	assert_int_equal(region.size, 3);
	assert_int_equal(pread(region.fd, text, 3, (off_t)region.offset), 3);
	assert_string_equal(text, "two");
	assert_int_equal(image_archive_blob(a, "sha256:../x", &region, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	descriptor_release(&d);
	blob_list_release(&list);
	image_archive_free(a);
	close(fd);
	blobs_release(&b);
}

static void oci_archives_are_the_same_every_time(void **state)
{
	struct blobs b = {.n = 0};
	const struct descriptor *image = blobs_add_image(&b, "arm64", "one", "two");
	struct strbuf x = STRBUF_INIT, y = STRBUF_INIT;
	int fd1 = write_oci(&b, image, "app:1"), fd2 = write_oci(&b, image, "app:1");

	(void)state;
	read_whole(fd1, &x);
	read_whole(fd2, &y);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.buf, y.buf, x.len);
	assert_string_equal(x.buf, "oci-layout");
	strbuf_release(&x);
	strbuf_release(&y);
	close(fd1);
	close(fd2);
	blobs_release(&b);
}

static void an_archive_can_feed_a_layout(void **state)
{
	struct blobs b = {.n = 0};
	const struct descriptor *image = blobs_add_image(&b, "arm64", "one", "two");
	struct strv names = STRV_INIT;
	struct err e = ERR_INIT;
	char path[64];
	int dir = scratch_make(path), fd = write_oci(&b, image, NULL);
	struct image_archive *a = must_open(fd);
	struct layout *l;

	(void)state;
	assert_int_equal(
		layout_write(dir, "l", image, &names, image_archive_blob_opener, a, &e), 0);
	l = layout_open(dir, "l", &e);
	assert_non_null(l);
	layout_free(l);
	image_archive_free(a);
	close(fd);
	scratch_remove(dir, path);
	blobs_release(&b);
}

static void a_corrupt_blob_stops_the_writer(void **state)
{
	struct blobs b = {.n = 0};
	const struct descriptor *image = blobs_add_image(&b, "arm64", "one", "two");
	struct strv names = STRV_INIT;
	struct err e = ERR_INIT;
	int fd = tar_new();

	(void)state;
	b.v[0].data[0] = 'O';
	assert_int_equal(oci_archive_write(fd, image, &names, blobs_open, &b, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	close(fd);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	b.v[0].data[0] = 'o';
	assert_int_equal(oci_archive_write(fd, image, &names, blobs_open, &b, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	close(fd);
	blobs_release(&b);
}

/* A layer_writer over a store of blobs that writes one byte at a time; ctx as there. */
static int write_layer(void *ctx, const char *diff_id, struct layer_sink *sink, struct err *err)
{
	struct blobs *b = ctx;

	for (size_t i = 0; i < b->n; i++) {
		if (strcmp(b->v[i].d.digest, diff_id) != 0)
			continue;
		b->opened++;
		for (size_t k = 0; k < b->v[i].d.size; k++)
			if (layer_sink_write(sink, b->v[i].data + k, 1, err) < 0)
				return -1;
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "no layer '%s'", diff_id);
}

static void docker_archives_are_both_formats(void **state)
{
	struct blobs b = {.n = 0};
	struct descriptor d = DESCRIPTOR_INIT;
	const struct docker_image *image;
	struct strv names = STRV_INIT;
	struct blob_region region;
	struct image_archive *a;
	struct strbuf sb = STRBUF_INIT;
	struct err e = ERR_INIT;
	const uint64_t sizes[2] = {3, 3};
	int fd = tar_new();

	(void)state;
	blobs_add_image(&b, "arm64", "one", "two");
	strv_add(&names, "app");
	strv_add(&names, "localhost:5000/o/app:2");
	assert_int_equal(docker_archive_write(fd, b.v[2].data, b.v[2].d.size, sizes, &names,
				 write_layer, &b, &e),
		0);
	read_whole(fd, &sb);
	a = must_open(fd);
	assert_int_equal(image_archive_select(a, "app", &d, &e), 0);
	assert_string_equal(d.platform.variant, "v8");
	descriptor_release(&d);
	image = image_archive_docker_select(a, "docker.io/library/app:latest", &e);
	assert_non_null(image);
	assert_string_equal(image->repo_tags.v[0], "app:latest");
	assert_string_equal(image->repo_tags.v[1], "localhost:5000/o/app:2");
	assert_int_equal(image->layers.len, 2);
	assert_int_equal(image_archive_member(a, image->layers.v[1], &region, &e), 0);
	assert_memory_equal(sb.buf + region.offset, "two", 3);
	assert_ptr_equal(image_archive_docker_select(a, NULL, &e), image);
	assert_null(image_archive_docker_select(a, "other", &e));
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(e.msg, "app:latest"));
	assert_null(image_archive_docker_select(a, "Not/A/Name", &e));
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(image_archive_member(a, "repositories", &region, &e), 0);
	assert_non_null(memmem(sb.buf + region.offset, region.size, "{\"app\":{\"latest\":\"", 17));
	image_archive_free(a);
	close(fd);
	strbuf_release(&sb);
	strv_release(&names);
	blobs_release(&b);
}

static void repeated_layers_are_written_once(void **state)
{
	struct blobs b = {.n = 0};
	const struct docker_image *image;
	struct strv names = STRV_INIT;
	struct image_archive *a;
	struct err e = ERR_INIT;
	const uint64_t sizes[2] = {4, 4}, two_sizes[2] = {4, 5};
	int fd = tar_new();

	(void)state;
	blobs_add_image(&b, "amd64", "same", "same");
	assert_int_equal(docker_archive_write(fd, b.v[2].data, b.v[2].d.size, sizes, &names,
				 write_layer, &b, &e),
		0);
	assert_int_equal(b.opened, 1);
	a = must_open(fd);
	image = image_archive_docker_select(a, NULL, &e);
	assert_non_null(image);
	assert_string_equal(image->layers.v[0], image->layers.v[1]);
	image_archive_free(a);
	assert_int_equal(docker_archive_write(fd, b.v[2].data, b.v[2].d.size, two_sizes, &names,
				 write_layer, &b, &e),
		-1);
	assert_int_equal(e.kind, ERR_INPUT);
	close(fd);
	blobs_release(&b);
}

static void layer_writers_are_checked(void **state)
{
	struct blobs b = {.n = 0};
	struct strv names = STRV_INIT;
	struct err e = ERR_INIT;
	const uint64_t more[2] = {4, 4}, fewer[2] = {2, 2}, right[2] = {3, 3};
	int fd = tar_new();

	(void)state;
	blobs_add_image(&b, "amd64", "one", "two");
	assert_int_equal(docker_archive_write(
				 fd, b.v[2].data, b.v[2].d.size, more, &names, write_layer, &b, &e),
		-1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(docker_archive_write(fd, b.v[2].data, b.v[2].d.size, fewer, &names,
				 write_layer, &b, &e),
		-1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	b.v[0].data[0] = 'O';
	assert_int_equal(docker_archive_write(fd, b.v[2].data, b.v[2].d.size, right, &names,
				 write_layer, &b, &e),
		-1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(docker_archive_write(fd, "{}", 2, right, &names, write_layer, &b, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	strv_add(&names,
		"a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	assert_int_equal(docker_archive_write(fd, b.v[2].data, b.v[2].d.size, right, &names,
				 write_layer, &b, &e),
		-1);
	assert_int_equal(e.kind, ERR_INPUT);
	strv_release(&names);
	close(fd);
	blobs_release(&b);
}

#define ID1 "1111111111111111111111111111111111111111111111111111111111111111"
#define ID2 "2222222222222222222222222222222222222222222222222222222222222222"
#define CONFIG(ids)                                                                                \
	"{\"architecture\":\"a\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"   \
	"[" ids "]}}"

/* An old docker-archive: config, one layer directory with a link to the real file, this
 * manifest.json. */
static int old_archive(const char *config, const char *link, const char *manifest)
{
	int fd = tar_new();

	tar_add(fd, "c.json", '0', NULL, config);
	tar_add(fd, "v1/", '5', NULL, NULL);
	tar_add(fd, "v1/layer.tar", '2', link, NULL);
	tar_add(fd, "real.tar", '0', NULL, "layer");
	tar_add(fd, "manifest.json", '0', NULL, manifest);
	tar_end(fd);
	return fd;
}

static void old_archives_with_links_are_read(void **state)
{
	int fd = old_archive(CONFIG("\"sha256:" ID1 "\""), "../real.tar",
		"[{\"Config\":\"c.json\",\"RepoTags\":null,\"Layers\":[\"./v1/"
		"layer.tar\"],\"Parent\":\"x\"}]");
	struct image_archive *a = must_open(fd);
	struct descriptor d = DESCRIPTOR_INIT;
	struct blob_region region;
	struct err e = ERR_INIT;
	const struct docker_image *image = image_archive_docker_select(a, NULL, &e);

	(void)state;
	assert_null(image_archive_index(a));
	assert_int_equal(image_archive_select(a, NULL, &d, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_non_null(image);
	assert_int_equal(image->repo_tags.len, 0);
	assert_int_equal(image_archive_member(a, image->layers.v[0], &region, &e), 0);
	assert_int_equal(region.size, 5);
	image_archive_free(a);
	close(fd);
}

static void assert_select_fails(int fd, enum err_kind kind, const char *part)
{
	struct image_archive *a = must_open(fd);
	struct err e = ERR_INIT;

	assert_null(image_archive_docker_select(a, NULL, &e));
	assert_int_equal(e.kind, kind);
	if (!strstr(e.msg, part))
		fail_msg("message '%s' lacks '%s'", e.msg, part);
	image_archive_free(a);
	close(fd);
}

#define ONE "[{\"Config\":\"c.json\",\"Layers\":[\"v1/layer.tar\"]}]"

/* oci.md 9.3.88, 9.3.89, 9.1.15 */
static void members_never_lead_out(void **state)
{
	(void)state;
	assert_refused(old_archive("{}", "x", "[{\"Config\":\"../../x\",\"Layers\":[]}]"),
		ERR_INPUT, "../../x");
	assert_refused(old_archive("{}", "x", "[{\"Config\":\"/etc/passwd\",\"Layers\":[]}]"),
		ERR_INPUT, "/etc/passwd");
	assert_refused(
		old_archive("{}", "x", "[{\"Config\":\"c.json\",\"Layers\":[\"v1/../../x\"]}]"),
		ERR_INPUT, "Layers[0]");
	assert_refused(old_archive("{}", "x", "[{\"Layers\":[]}]"), ERR_INPUT, "Config");
	assert_select_fails(old_archive(CONFIG("\"sha256:" ID1 "\""), "/etc/passwd", ONE),
		ERR_INPUT, "/etc/passwd");
	assert_select_fails(old_archive(CONFIG("\"sha256:" ID1 "\""), "../../etc/passwd", ONE),
		ERR_INPUT, "link");
	assert_select_fails(
		old_archive(CONFIG("\"sha256:" ID1 "\""), "layer.tar", ONE), ERR_INPUT, "link");
	assert_select_fails(
		old_archive(CONFIG("\"sha256:" ID1 "\""), "..", ONE), ERR_INPUT, "link");
	assert_select_fails(old_archive(CONFIG(""), "../real.tar", ONE), ERR_INPUT, "1 layers");
	assert_select_fails(old_archive("nonsense", "../real.tar", ONE), ERR_INPUT, "c.json");
	assert_select_fails(
		old_archive(CONFIG("\"sha256:" ID1 "\",\"sha256:" ID2 "\""), "../real.tar",
			"[{\"Config\":\"c.json\",\"Layers\":[\"v1/layer.tar\",\"real.tar\"]}]"),
		ERR_INPUT, "two different layers");
	assert_select_fails(old_archive(CONFIG("\"sha256:" ID1 "\""), "../real.tar",
				    "[{\"Config\":\"c.json\",\"Layers\":[\"v1\"]}]"),
		ERR_INPUT, "not a file");
	assert_select_fails(
		old_archive(CONFIG(""), "x", "[{\"Config\":\"no.json\",\"Layers\":[]}]"),
		ERR_NOT_FOUND, "no.json");
	assert_select_fails(old_archive(CONFIG(""), "x",
				    "[{\"Config\":\"c.json\",\"Layers\":[]},{\"Config\":\"c.json\","
				    "\"Layers\":[]}]"),
		ERR_INPUT, "2 images");
	int fd = old_archive(CONFIG("\"sha256:" ID1 "\",\"sha256:" ID1 "\""), "../real.tar",
		"[{\"Config\":\"c.json\",\"Layers\":[\"v1/layer.tar\",\"real.tar\"]}]");
	struct image_archive *a = must_open(fd);
	struct err e = ERR_INIT;
	assert_non_null(image_archive_docker_select(a, NULL, &e));
	image_archive_free(a);
	close(fd);
}

/* oci.md 9.3.90 */
static void strange_manifests_are_refused(void **state)
{
	struct strbuf sb = STRBUF_INIT;

	(void)state;
	assert_refused(old_archive("{}", "x", "null"), ERR_INPUT, "");
	assert_refused(old_archive("{}", "x", "[]"), ERR_INPUT, "not an array of images");
	assert_refused(old_archive("{}", "x", "{}"), ERR_INPUT, "not an array of images");
	assert_refused(old_archive("{}", "x", "[1]"), ERR_INPUT, "image 0");
	assert_refused(old_archive("{}", "x", "[{\"Config\":\"c\",\"config\":\"d\"}]"), ERR_INPUT,
		"ambiguous");
	strbuf_puts(&sb, "[0");
	for (int i = 0; i < 10000; i++)
		strbuf_puts(&sb, ",0");
	strbuf_puts(&sb, "]");
	assert_refused(old_archive("{}", "x", sb.buf), ERR_INPUT, "10001 images");
	strbuf_reset(&sb);
	while (sb.len <= IMAGE_ARCHIVE_MANIFEST_MAX)
		strbuf_puts(&sb, "                                ");
	assert_refused(old_archive("{}", "x", sb.buf), ERR_INPUT, "more than 4194304");
	strbuf_release(&sb);
	int fd = old_archive("{}", "x", "[]");
	assert_int_equal(lseek(fd, -1024, SEEK_END) > 0, 1);
	tar_add(fd, "manifest.json", '0', NULL, "[]");
	tar_end(fd);
	assert_refused(fd, ERR_INPUT, "2 times");
	fd = tar_new();
	tar_add(fd, "a", '0', NULL, "b");
	tar_end(fd);
	assert_refused(fd, ERR_INPUT, "neither an oci-archive nor a docker-archive");
}

/* oci.md 9.3.93, 9.3.95 */
static void two_formats_must_agree(void **state)
{
	int fd;

	(void)state;
	fd = tar_new();
	tar_add(fd, "oci-layout", '0', NULL, LAYOUT_HEADER);
	tar_add(fd, "index.json", '0', NULL, "{\"schemaVersion\":2,\"manifests\":[]}");
	tar_add(fd, "c.json", '0', NULL, "{}");
	tar_add(fd, "manifest.json", '0', NULL, "[{\"Config\":\"c.json\",\"Layers\":[]}]");
	tar_end(fd);
	assert_refused(fd, ERR_INPUT, "different images");
	fd = tar_new();
	tar_add(fd, "oci-layout", '0', NULL, "{\"imageLayoutVersion\":\"2.0.0\"}");
	tar_end(fd);
	assert_refused(fd, ERR_UNSUPPORTED, "2.0.0");
	fd = tar_new();
	tar_add(fd, "oci-layout", '0', NULL, LAYOUT_HEADER);
	tar_end(fd);
	assert_refused(fd, ERR_NOT_FOUND, "index.json");
}

static void only_regular_files_are_opened(void **state)
{
	struct err e = ERR_INIT;
	char path[64];
	int dir = scratch_make(path);

	(void)state;
	assert_null(image_archive_open(dir, "none", &e));
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_null(image_archive_open(dir, "fifo", &e));
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_null(image_archive_open(dir, ".", &e));
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	scratch_remove(dir, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oci_archives_are_read_as_written),
		cmocka_unit_test(oci_archives_are_the_same_every_time),
		cmocka_unit_test(an_archive_can_feed_a_layout),
		cmocka_unit_test(a_corrupt_blob_stops_the_writer),
		cmocka_unit_test(docker_archives_are_both_formats),
		cmocka_unit_test(repeated_layers_are_written_once),
		cmocka_unit_test(layer_writers_are_checked),
		cmocka_unit_test(old_archives_with_links_are_read),
		cmocka_unit_test(members_never_lead_out),
		cmocka_unit_test(strange_manifests_are_refused),
		cmocka_unit_test(two_formats_must_agree),
		cmocka_unit_test(only_regular_files_are_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
