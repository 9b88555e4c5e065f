/* What the tests of copying share: a fake store with a context and a base, and one call that tries both forms. */
#ifndef WHITTLE_TESTS_COPY_FIXTURE_H
#define WHITTLE_TESTS_COPY_FIXTURE_H

#include "unit/layer_util.h"

#include "build/copy.h"
#include "build/copy_internal.h"

#define NOW 5000

struct fixture {
	char path[64];
	char before[4096]; /* working directory */
	int fd;            /* the fake store */
	int ctx;           /* its folder ctx */
	struct copy_spec spec;
	struct copy_result result;
	struct err err;
	struct strbuf text; /* of the layer, as the recorder writes it */
	unsigned bases;
};

static UNUSED int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	assert_non_null(getcwd(f->before, sizeof(f->before)));
	umask(0);
	f->fd = scratch_new(f->path);
	assert_int_equal(chdir(f->path), 0);
	put_dir(f->fd, "ctx");
	f->ctx = open("ctx", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->text = (struct strbuf)STRBUF_INIT;
	f->spec = (struct copy_spec)COPY_SPEC_INIT;
	f->spec.from_context = true;
	f->spec.ids = geteuid() == 0 ? UINT32_MAX : 0;
	f->spec.compression = COMPRESSION_NONE;
	f->spec.epoch = LAYER_EPOCH_NONE;
	f->spec.now = NOW;
	*state = f;
	return 0;
}

static UNUSED int teardown(void **state)
{
	struct fixture *f = *state;

	copy_spec_release(&f->spec);
	strbuf_release(&f->text);
	close(f->ctx);
	assert_int_equal(chdir(f->before), 0);
	scratch_end(f->fd, f->path);
	free(f);
	return 0;
}

/* As assert_ok() and assert_refused(), with the error of the fixture. */
#define check(f, call)                                                                             \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s (%s)", #call, (f)->err.msg, err_kind_name((f)->err.kind)); \
	} while (0)
#define check_refused(f, call, expected, text)                                                     \
	do {                                                                                       \
		assert_int_equal((call), -1);                                                      \
		if ((f)->err.kind != (expected) || !strstr((f)->err.msg, text))                    \
			fail_msg("%s: %s, not %s with '%s': %s", #call, err_kind_name((f)->err.kind), \
				err_kind_name(expected), text, (f)->err.msg);                      \
		(f)->err = (struct err)ERR_INIT;                                                   \
	} while (0)

static UNUSED void set_string(char **at, const char *value)
{
	free(*at);
	*at = value ? xstrdup(value) : NULL;
}

/* What is copied where; sources separated by blanks. */
static UNUSED void copy_what(struct fixture *f, const char *sources, const char *dest)
{
	strv_release(&f->spec.sources);
	while (*sources) {
		size_t n = strcspn(sources, " ");

		strv_take(&f->spec.sources, xstrndup(sources, n));
		sources += n + strspn(sources + n, " ");
	}
	set_string(&f->spec.dest, dest);
}

/* Put a layer of such lines as index_of() takes below the copy. */
static UNUSED void add_base(struct fixture *f, const char *const *lines)
{
	struct tree_index *ix = index_of(lines);
	auto_free char *name = xasprintf("base%u.index", f->bases++);
	auto_fd int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	check(f, index_write(ix, fd, &f->err));
	index_close(ix);
	strv_add(&f->spec.base_folders, "");
	strv_add(&f->spec.base_blobs, "");
	strv_add(&f->spec.base_indexes, name);
}
#define BASE(f, ...) add_base(f, (const char *const[]){ __VA_ARGS__, NULL })
static UNUSED void empty_file(const char *name)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static UNUSED int run_layer(struct fixture *f)
{
	empty_file("out.index");
	empty_file("out.blob");
	set_string(&f->spec.index_out, "out.index");
	set_string(&f->spec.blob_out, "out.blob");
	set_string(&f->spec.folder_out, NULL);
	return copy_run(&f->spec, f->ctx, &f->result, &f->err);
}

static UNUSED int run_folder(struct fixture *f, struct copy_result *result)
{
	remove_tree(AT_FDCWD, "out.fs");
	assert_int_equal(mkdir("out.fs", 0755), 0);
	empty_file("fs.index");
	set_string(&f->spec.index_out, "fs.index");
	set_string(&f->spec.blob_out, NULL);
	set_string(&f->spec.folder_out, "out.fs");
	return copy_run(&f->spec, f->ctx, result, &f->err);
}

static UNUSED struct tree_index *load(struct fixture *f, const char *name)
{
	auto_fd int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct tree_index *ix = index_open(fd, &f->err);

	if (!ix)
		fail_msg("%s: %s", name, f->err.msg);
	return ix;
}

/* The folder that was made, turned into a layer, is the layer that was made. */
static UNUSED void assert_same_layer(struct fixture *f)
{
	struct layer_write_options o = LAYER_WRITE_INIT;
	auto_fd int folder = open("out.fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_fd int blob = blob_new();
	struct tree_index *ix = load(f, "fs.index");
	struct layer_info info;

	o.compression = COMPRESSION_NONE;
	o.epoch = f->spec.epoch;
	/* outside of a user namespace a mode may shut us out of what we made */
	if (layer_from_folder(folder, ix, &o, blob, &info, &f->err) == 0)
		assert_string_equal(info.diff_id, f->result.layer.diff_id);
	else if (f->err.sys != EACCES || geteuid() == 0)
		fail_msg("%s", f->err.msg);
	f->err = (struct err)ERR_INIT;
	index_close(ix);
}

/* Copy in both forms, see that they agree, and leave the listing of the layer in f->text. */
static UNUSED void run(struct fixture *f)
{
	struct recorder r = RECORDER_INIT;
	struct copy_result other;
	uint8_t content[DIGEST_SIZE];
	auto_fd int blob = -1;

	check(f, run_layer(f));
	blob = open("out.blob", O_RDONLY | O_CLOEXEC);
	check(f, layer_read(blob, NULL, &r.sink, NULL, &f->err));
	strbuf_reset(&f->text);
	strbuf_puts(&f->text, r.text.buf);
	strbuf_release(&r.text);
	check(f, run_folder(f, &other));
	assert_same_layer(f);
	assert_memory_equal(other.content, f->result.content, DIGEST_SIZE);
	assert_int_equal(other.entries, f->result.entries);
	assert_int_equal(other.bytes, f->result.bytes);
	if (f->spec.from_context) {
		check(f, copy_digest(f->ctx, &f->spec, NULL, content, &f->err));
		assert_memory_equal(content, f->result.content, DIGEST_SIZE);
	}
}

#define assert_layer(f, expected) assert_string_equal((f)->text.buf, expected)
#define assert_copied(f, sources, dest, expected)                                                  \
	do {                                                                                       \
		copy_what(f, sources, dest);                                                       \
		run(f);                                                                            \
		assert_layer(f, expected);                                                         \
	} while (0)
#define assert_copy_fails(f, sources, dest, kind, text)                                            \
	do {                                                                                       \
		copy_what(f, sources, dest);                                                       \
		check_refused(f, run_layer(f), kind, text);                                        \
	} while (0)

#endif
