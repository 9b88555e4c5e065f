#include "unit/layer_util.h"

#include <sys/wait.h>

struct box {
	char path[64];
	int fd;
};

static void box_open(struct box *b)
{
	b->fd = scratch_new(b->path);
	assert_int_equal(fchmod(b->fd, 0755), 0);
}

static void box_close(struct box *b)
{
	scratch_end(b->fd, b->path);
}

/* A folder with something of everything. */
static void fill(int fd)
{
	auto_free char *big = xmalloc(700001);

	memset(big, 'b', 700000);
	big[700000] = '\0';
	put_dir(fd, "d");
	put_dir(fd, "d/empty");
	put_file(fd, "d/f", "hello");
	put_file(fd, "d/big", big);
	put_file(fd, "d-e", "");
	put_file(fd, "n\xc3\xa4me with spaces", "x");
	put_xattr(fd, "d/f", "user.note", "value");
	assert_int_equal(linkat(fd, "d/f", fd, "z", 0), 0);
	assert_int_equal(linkat(fd, "d/f", fd, "a", 0), 0);
	assert_int_equal(symlinkat("../nowhere", fd, "d/l"), 0);
	assert_int_equal(mkfifoat(fd, "p", 0640), 0);
	assert_int_equal(fchmodat(fd, "d/big", 04755, 0), 0);
	put_whiteout(fd, "d/gone");
	put_dir(fd, "o");
	put_xattr(fd, "o", "user.overlay.opaque", "y");
	set_mtime(fd, "o", 42);
	set_mtime(fd, "d/empty", 43);
	set_mtime(fd, "d/l", 44);
	set_mtime(fd, "p", 44);
	set_mtime(fd, "d", 45);
}

/* Layer of a folder, with its index beside. */
static void pack(int folder, int blob, struct index_sink *ixs, struct layer_info *info)
{
	struct layer_write_options opt = LAYER_WRITE_INIT;
	struct folder_walk_options walk = {.as_root = true};
	struct err err = ERR_INIT;
	AUTO(layer_writer_free) struct layer_writer *w = NULL;

	opt.beside = ixs ? index_sink_of(ixs) : NULL;
	w = layer_writer_new(blob, &opt, &err);
	assert_non_null(w);
	assert_ok(folder_walk(folder, &walk, layer_writer_sink(w), NULL, &err));
	layer_writer_info(w, info);
	assert_int_equal(lseek(blob, 0, SEEK_SET), 0);
}

static void one_tree_gives_one_digest_in_every_form(void **state)
{
	AUTO(index_sink_free)
	struct index_sink *beside = index_sink_new(INDEX_DIGESTS),
			  *read = index_sink_new(INDEX_DIGESTS);
	AUTO(index_close) struct tree_index *ix = NULL, *again = NULL;
	struct layer_write_options opt = LAYER_WRITE_INIT;
	struct layer_info first, second, third;
	auto_fd int blob = blob_new(), blob2 = blob_new(), blob3 = blob_new();
	auto_strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct box from, to;
	struct tree_tee tee;

	(void)state;
	box_open(&from);
	box_open(&to);
	fill(from.fd);
	pack(from.fd, blob, beside, &first);

	{ /* layer to folder and index */
		AUTO(folder_writer_free)
		struct folder_writer *w = folder_writer_new(to.fd, NULL, &err);

		tree_tee_init(&tee, folder_writer_sink(w), index_sink_of(read));
		assert_ok(layer_read(blob, NULL, &tee.sink, &second, &err));
	}
	assert_string_equal(first.digest, second.digest);
	assert_string_equal(first.diff_id, second.diff_id);
	assert_int_equal(first.entries, second.entries + 0);
	ix = index_of_sink(beside);
	again = index_of_sink(read);
	index_text(ix, &a);
	index_text(again, &b);
	assert_string_equal(a.buf, b.buf);
	assert_int_equal(index_len(ix), index_len(again));
	for (size_t i = 0; i < index_len(ix); i++) {
		struct tree_entry x, y;

		index_get(ix, i, &x);
		index_get(again, i, &y);
		assert_int_equal(x.mtime, y.mtime);
		if (x.type == ENTRY_FILE) {
			assert_int_equal(x.offset, y.offset);
			assert_memory_equal(x.digest, y.digest, sizeof(x.digest));
		}
	}

	/* folder and index to layer */
	assert_ok(layer_from_folder(to.fd, again, &opt, blob2, &third, &err));
	assert_string_equal(third.digest, first.digest);
	/* folder alone to layer */
	pack(to.fd, blob3, NULL, &third);
	assert_string_equal(third.digest, first.digest);
	box_close(&from);
	box_close(&to);
}

static void recompression_keeps_the_diff_id(void **state)
{
	static const enum compression all[] = {
		COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD};
	struct layer_info first, info;
	auto_fd int blob = blob_new();
	struct err err = ERR_INIT;
	struct box from;

	(void)state;
	box_open(&from);
	fill(from.fd);
	pack(from.fd, blob, NULL, &first);
	for (size_t i = 0; i < 3; i++) {
		struct layer_write_options opt = {.compression = all[i], .epoch = LAYER_EPOCH_NONE};
		struct layer_read_options in = {
			.digest = first.digest, .size = first.size, .diff_id = first.diff_id};
		struct layer_info check;
		auto_fd int out = blob_new();

		assert_int_equal(lseek(blob, 0, SEEK_SET), 0);
		assert_ok(layer_from_layer(blob, &in, NULL, &opt, out, &info, &err));
		assert_string_equal(info.diff_id, first.diff_id);
		assert_int_equal(info.compression, all[i]);
		assert_int_equal(lseek(out, 0, SEEK_SET), 0);
		assert_ok(layer_read(out, NULL, NULL, &check, &err));
		assert_string_equal(check.digest, info.digest);
		assert_string_equal(check.diff_id, info.diff_id);
		assert_int_equal(check.compression, all[i]);
		if (all[i] == COMPRESSION_ZSTD)
			assert_string_equal(info.digest, first.digest);
	}
	box_close(&from);
}

static void clamping_changes_times_alone(void **state)
{
	struct layer_write_options opt = {.compression = COMPRESSION_ZSTD, .epoch = 40};
	AUTO(index_sink_free) struct index_sink *beside = index_sink_new(0);
	AUTO(index_close) struct tree_index *ix = NULL;
	struct layer_info first, info;
	auto_fd int blob = blob_new(), out = blob_new();
	struct tree_entry e;
	struct err err = ERR_INIT;
	struct box from;

	(void)state;
	box_open(&from);
	fill(from.fd);
	pack(from.fd, blob, NULL, &first);
	opt.beside = index_sink_of(beside);
	assert_ok(layer_from_layer(blob, NULL, NULL, &opt, out, &info, &err));
	ix = index_of_sink(beside);
	assert_string_not_equal(info.diff_id, first.diff_id);
	assert_int_equal(info.diff_size, first.diff_size);
	for (size_t i = 1; i < index_len(ix); i++) {
		index_get(ix, i, &e);
		assert_true(e.mtime <= 40);
	}
	box_close(&from);
}

static void metadata_of_an_index_is_taken(void **state)
{
	static const char *const lines[] = {"d d", "f d/f", NULL};
	AUTO(index_close) struct tree_index *ix = index_of(lines), *less = NULL;
	struct layer_write_options opt = {
		.compression = COMPRESSION_NONE, .epoch = LAYER_EPOCH_NONE};
	auto_strbuf tar = STRBUF_INIT;
	struct recorder r = RECORDER_INIT;
	auto_fd int in = -1, out = blob_new();
	struct err err = ERR_INIT;

	(void)state;
	raw_add(&tar, (struct raw){.name = "d/", .type = '5', .mode = 0755});
	raw_add(&tar, (struct raw){.name = "d/f", .body = "1234567", .mode = 0600});
	raw_end(&tar);
	in = blob_of(tar.buf, tar.len);
	assert_ok(layer_from_layer(in, NULL, ix, &opt, out, NULL, &err));
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	assert_ok(layer_read(out, NULL, &r.sink, NULL, &err));
	assert_string_equal(r.text.buf, "d d 700 1:2\nf d/f 644 1:2 7\n");
	less = index_of((const char *const[]){"d d", NULL});
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	assert_refused(layer_from_layer(in, NULL, less, &opt, out, NULL, &err), ERR_CORRUPT);
	strbuf_release(&r.text);
}

static void folders_that_do_not_fit_their_index_are_corrupt(void **state)
{
	static const char *const lines[] = {"d d", "f d/f", NULL};
	AUTO(index_close) struct tree_index *ix = index_of(lines);
	struct layer_write_options opt = LAYER_WRITE_INIT;
	auto_fd int out = blob_new();
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	assert_refused(layer_from_folder(b.fd, ix, &opt, out, NULL, &err), ERR_CORRUPT);
	put_dir(b.fd, "d");
	put_file(b.fd, "d/f", "1234567");
	assert_ok(layer_from_folder(b.fd, ix, &opt, out, NULL, &err));
	put_file(b.fd, "d/f", "12345678");
	assert_refused(layer_from_folder(b.fd, ix, &opt, out, NULL, &err), ERR_CORRUPT);
	assert_int_equal(unlinkat(b.fd, "d/f", 0), 0);
	assert_int_equal(symlinkat("/etc/hostname", b.fd, "d/f"), 0);
	assert_refused(layer_from_folder(b.fd, ix, &opt, out, NULL, &err), ERR_CORRUPT);
	assert_int_equal(unlinkat(b.fd, "d/f", 0), 0);
	assert_int_equal(unlinkat(b.fd, "d", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("/etc", b.fd, "d"), 0);
	assert_refused(layer_from_folder(b.fd, ix, &opt, out, NULL, &err), ERR_CORRUPT);
	assert_int_equal(unlinkat(b.fd, "d", 0), 0);
	put_dir(b.fd, "d");
	assert_int_equal(mkfifoat(b.fd, "d/f", 0600), 0);
	assert_refused(layer_from_folder(b.fd, ix, &opt, out, NULL, &err),
		ERR_CORRUPT); /* and does not hang */
	box_close(&b);
}

static void foreign_layers_settle_into_our_order(void **state)
{
	AUTO(index_sink_free) struct index_sink *read = index_sink_new(0);
	AUTO(index_close) struct tree_index *ix = NULL;
	struct layer_write_options opt = {
		.compression = COMPRESSION_NONE, .epoch = LAYER_EPOCH_NONE};
	auto_strbuf tar = STRBUF_INIT;
	struct recorder r = RECORDER_INIT;
	auto_fd int in = -1, out = blob_new();
	struct tree_tee tee;
	struct err err = ERR_INIT;
	struct box b;

	(void)state;
	box_open(&b);
	raw_add(&tar, (struct raw){.name = "z", .body = "linked", .mode = 0644});
	raw_add(&tar, (struct raw){.name = "lib", .type = '2', .link = "usr/lib"});
	raw_add(&tar, (struct raw){.name = "a", .type = '1', .link = "z"});
	raw_add(&tar, (struct raw){.name = "lib/x", .body = "x", .mode = 0644});
	raw_add(&tar, (struct raw){.name = "m/.wh.q"});
	raw_add(&tar, (struct raw){.name = "m/b", .mode = 0644});
	raw_end(&tar);
	in = blob_of(tar.buf, tar.len);
	{
		AUTO(folder_writer_free)
		struct folder_writer *w = folder_writer_new(b.fd, NULL, &err);

		tree_tee_init(&tee, folder_writer_sink(w), index_sink_of(read));
		assert_ok(layer_read(in, NULL, &tee.sink, NULL, &err));
	}
	ix = index_of_sink(read);
	assert_ok(layer_from_folder(b.fd, ix, &opt, out, NULL, &err));
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	assert_ok(layer_read(out, NULL, &r.sink, NULL, &err));
	/* directories that the archive left out are left out again: lower may have them otherwise
	 */
	assert_string_equal(r.text.buf,
		"f a 644 0:0 6\nl lib 777 0:0 -> usr/lib\nw m/q\nf m/b 644 0:0 0\n"
		"f usr/lib/x 644 0:0 1\nh z 644 0:0 -> a\n");
	strbuf_release(&r.text);
	box_close(&b);
}

static void tar_reads_what_we_write(void **state)
{
	struct layer_info info;
	struct box from, to;
	char blob_path[96];
	auto_fd int blob = -1;
	pid_t pid;
	int status;

	(void)state;
	box_open(&from);
	box_open(&to);
	fill(from.fd);
	snprintf(blob_path, sizeof(blob_path), "%s/layer.tar", to.path);
	blob = open(blob_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	{
		struct layer_write_options opt = {
			.compression = COMPRESSION_NONE, .epoch = LAYER_EPOCH_NONE};
		struct err err = ERR_INIT;
		AUTO(layer_writer_free) struct layer_writer *w = layer_writer_new(blob, &opt, &err);
		struct folder_walk_options walk = {.as_root = true};

		assert_ok(folder_walk(from.fd, &walk, layer_writer_sink(w), NULL, &err));
		layer_writer_info(w, &info);
	}
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execlp("tar", "tar", "-C", to.path, "--no-same-owner", "-xpf", blob_path,
			(char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(faccessat(to.fd, "d/.wh.gone", F_OK, 0), 0);
	assert_int_equal(faccessat(to.fd, "n\xc3\xa4me with spaces", F_OK, 0), 0);
	box_close(&from);
	box_close(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_tree_gives_one_digest_in_every_form),
		cmocka_unit_test(recompression_keeps_the_diff_id),
		cmocka_unit_test(clamping_changes_times_alone),
		cmocka_unit_test(metadata_of_an_index_is_taken),
		cmocka_unit_test(folders_that_do_not_fit_their_index_are_corrupt),
		cmocka_unit_test(foreign_layers_settle_into_our_order),
		cmocka_unit_test(tar_reads_what_we_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
