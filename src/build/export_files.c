/* Outputs that are files, a folder or stdout (dockerfile.md 9.2). Nothing half-made is left at a name of the user's. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"
#include "build/export_internal.h"
#include "build/jobs.h"
#include "layer/bounds.h"
#include "layer/compress.h"
#include "oci/image_archive.h"
#include "oci/layout.h"
#include "store/blob.h"
#include "store/stepcache.h"

/* ---- a file, whole or not there ---- */

struct out_file {
	int fd;        /* where to write; borrowed when it is stdout */
	int dir;       /* the folder of the file; -1: written in place */
	char *name;    /* in dir */
	char *tmp;     /* a named temporary, or NULL when fd has no name yet */
	bool borrowed;
};
#define OUT_FILE_INIT { .fd = -1, .dir = -1 }

static void out_file_release(struct out_file *f)
{
	if (f->tmp)
		(void)unlinkat(f->dir, f->tmp, 0);
	if (!f->borrowed)
		close_fd(f->fd);
	close_fd(f->dir);
	free(f->name);
	free(f->tmp);
	*f = (struct out_file)OUT_FILE_INIT;
}

static char *tmp_name(const char *name)
{
	char random[17];

	random_name(random);
	return xasprintf(".%.100s.whittle-%s", name, random);
}

/* A file without a name, which a kill leaves nothing of; else, where the file system has none, a temporary name. */
static int open_unnamed(struct out_file *f, const char *dest, struct err *err)
{
	f->fd = openat(f->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	if (f->fd >= 0)
		return 0;
	f->tmp = tmp_name(f->name);
	f->fd = openat(f->dir, f->tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
	if (f->fd >= 0)
		return 0;
	free(f->tmp);
	f->tmp = NULL;
	return err_sys(err, "cannot create '%s'", dest);
}

static int out_file_open(struct out_file *f, const struct output *o, int stdout_fd, struct err *err)
{
	auto_free char *real = NULL;
	auto_free char *parent = NULL;
	const char *path, *slash;
	struct stat st;

	if (output_to_stdout(o)) {
		f->fd = stdout_fd;
		f->borrowed = true;
		return 0;
	}
	if (stat(o->dest, &st) == 0 && !S_ISREG(st.st_mode)) { /* a pipe, a device */
		f->fd = open(o->dest, O_WRONLY | O_CLOEXEC);
		return f->fd < 0 ? err_sys(err, "cannot write '%s'", o->dest) : 0;
	}
	real = realpath(o->dest, NULL); /* a link stays one: what it points at is replaced */
	path = real ? real : o->dest;
	slash = strrchr(path, '/');
	parent = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
	f->name = xstrdup(slash ? slash + 1 : path);
	f->dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir < 0)
		return err_sys(err, "cannot create '%s'", o->dest);
	return open_unnamed(f, o->dest, err);
}

/* Put the finished file at its name. */
static int out_file_commit(struct out_file *f, const char *dest, struct err *err)
{
	char self[32];

	if (f->dir < 0)
		return 0;
	if (!f->tmp) {
		f->tmp = tmp_name(f->name);
		snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
		if (linkat(AT_FDCWD, self, f->dir, f->tmp, AT_SYMLINK_FOLLOW) < 0)
			return err_sys(err, "cannot create '%s'", dest);
	}
	if (renameat(f->dir, f->tmp, f->dir, f->name) < 0)
		return err_sys(err, "cannot create '%s'", dest);
	free(f->tmp);
	f->tmp = NULL;
	return 0;
}

/* ---- the root file system ---- */

static int write_tree(struct session *s, const struct build_product *p, int fd, bool as_folder, int64_t epoch,
	struct err *err)
{
	auto_strv folders = STRV_INIT;
	auto_strv indexes = STRV_INIT;
	auto_strbuf payload = STRBUF_INIT;
	struct tree_request r = { .folders = &folders, .indexes = &indexes, .as_folder = as_folder, .epoch = epoch };
	char *scratch = NULL;
	int rc;

	if (snapchain_need_folders(s, &p->chain, err) < 0 || snapchain_need_indexes(s, &p->chain, err) < 0)
		return -1;
	snapchain_folder_names(s, &p->chain, &folders);
	snapchain_index_names(&p->chain, &indexes);
	if (session_view(s, &folders, &r.storage, &scratch, err) < 0)
		return -1;
	r.scratch = scratch;
	tree_put(&r, &payload);
	rc = session_call(s, JOB_TREE, &payload, &fd, 1, NULL, err);
	session_view_done(s, &scratch);
	return rc;
}

/* ---- local: a folder of the user, into which the new tree is merged ---- */

static int merge(int from, int to, const char *path, struct err *err);

/* Both are folders: the old one takes the new one's content, mode and time. */
static int merge_folder(int from, int to, const char *name, const char *path, const struct stat *st, struct err *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	auto_fd int from_fd = openat(from, name, flags);
	auto_fd int to_fd = -1;

	if (from_fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	to_fd = openat(to, name, flags);
	if (to_fd < 0 && errno == EACCES && fchmodat(to, name, S_IRWXU, 0) == 0)
		to_fd = openat(to, name, flags);
	if (to_fd < 0 || fchmod(to_fd, (st->st_mode & 07777) | S_IRWXU) < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (merge(from_fd, to_fd, path, err) < 0)
		return -1;
	if (fchmod(to_fd, st->st_mode & 07777) < 0 || futimens(to_fd, times) < 0)
		return err_sys(err, "cannot set mode and time of '%s'", path);
	if (unlinkat(from, name, AT_REMOVEDIR) < 0)
		return err_sys(err, "cannot remove the temporary '%s'", path);
	return 0;
}

/* Links are never followed: what is there under the name gives way, unless a file would take a folder's place. */
static int merge_entry(int from, int to, const char *name, const char *path, struct err *err)
{
	struct stat st, old;
	bool is_dir, was_dir;
	bool exists = fstatat(to, name, &old, AT_SYMLINK_NOFOLLOW) == 0;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "cannot read '%s'", path);
	is_dir = S_ISDIR(st.st_mode);
	was_dir = exists && S_ISDIR(old.st_mode);
	if (was_dir && !is_dir)
		return err_set(err, ERR_INPUT, "cannot write '%s': a directory is in its place", path);
	/* a folder that changes its parent must be writable itself (rename(2)) */
	if (is_dir && fchmodat(from, name, (st.st_mode & 07777) | S_IRWXU, 0) < 0)
		return err_sys(err, "cannot change the mode of '%s'", path);
	if (is_dir && was_dir)
		return merge_folder(from, to, name, path, &st, err);
	if (is_dir && exists && unlinkat(to, name, 0) < 0)
		return err_sys(err, "cannot replace '%s'", path);
	if (renameat(from, name, to, name) < 0)
		return err_sys(err, "cannot write '%s'", path);
	if (is_dir && fchmodat(to, name, st.st_mode & 07777, 0) < 0)
		return err_sys(err, "cannot set the mode of '%s'", path);
	return 0;
}

/* Move all that is in the folder from into the folder to. */
static int merge(int from, int to, const char *path, struct err *err)
{
	auto_closedir DIR *d = NULL;
	auto_strv names = STRV_INIT;
	int fd = fcntl(from, F_DUPFD_CLOEXEC, 0);

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		close_fd(fd);
		return err_sys(err, "cannot read '%s'", path);
	}
	for (;;) {
		struct dirent *e;

		errno = 0;
		e = readdir(d);
		if (!e)
			break;
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			strv_add(&names, e->d_name);
	}
	if (errno)
		return err_sys(err, "cannot read '%s'", path);
	for (size_t i = 0; i < names.len; i++) {
		auto_free char *child = xasprintf("%s/%s", path, names.v[i]);

		if (merge_entry(from, to, names.v[i], child, err) < 0)
			return -1;
	}
	return 0;
}

/* A temporary folder beside a dest that is not there yet, inside one that is: that place can be written to. */
static int make_beside(const char *dest, bool exists, char **ret_name, struct err *err)
{
	auto_free char *parent = exists ? xstrdup(dest) : path_join(dest, "..");
	auto_fd int dir = -1;

	if (!exists && mkdir_p(AT_FDCWD, parent, 0777) < 0)
		return err_sys(err, "cannot create '%s'", parent);
	dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, "cannot open '%s'", parent);
	*ret_name = tmp_name(path_base(dest));
	if (mkdirat(dir, *ret_name, 0755) < 0)
		return err_sys(err, "cannot create a folder in '%s'", parent);
	return take_fd(dir);
}

static int fill_and_move(struct session *s, const struct build_product *p, const char *dest, int dir, const char *tmp,
	bool exists, int64_t epoch, struct err *err)
{
	auto_fd int tree = openat(dir, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (tree < 0)
		return err_sys(err, "cannot open the temporary folder for '%s'", dest);
	if (write_tree(s, p, tree, true, epoch, err) < 0)
		return -1;
	if (!exists)
		return renameat(dir, tmp, AT_FDCWD, dest) < 0 ? err_sys(err, "cannot create '%s'", dest) : 0;
	if (fchmod(tree, 0755) < 0)
		return err_sys(err, "cannot move files to '%s'", dest);
	return merge(tree, dir, dest, err);
}

static int write_local(struct session *s, const struct build_product *p, const char *where, int64_t epoch,
	struct err *err)
{
	auto_free char *dest = path_clean(where);
	auto_free char *tmp = NULL;
	auto_fd int dir = -1;
	struct stat st;
	bool exists = stat(dest, &st) == 0;
	int rc;

	dir = make_beside(dest, exists, &tmp, err);
	if (dir < 0)
		return -1;
	rc = fill_and_move(s, p, dest, dir, tmp, exists, epoch, err);
	if (rc < 0 || exists)
		(void)remove_tree(dir, tmp);
	return rc;
}

/* Several platforms stand beside each other: linux_amd64, linux_arm_v7. */
static int write_locals(struct session *s, const struct output *o, const struct build_product *products, size_t n,
	int64_t epoch, struct err *err)
{
	if (n == 1)
		return write_local(s, &products[0], o->dest, epoch, err);
	for (size_t i = 0; i < n; i++) {
		char text[PLATFORM_STR_SIZE];
		struct platform platform;
		auto_free char *dest = NULL;

		image_platform(&products[i].platform, &platform);
		platform_format(&platform, text);
		for (char *p = text; *p; p++)
			if (*p == '/')
				*p = '_';
		dest = xasprintf("%s/%s", o->dest, text);
		if (write_local(s, &products[i], dest, epoch, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- docker-archive ---- */

struct docker_layers {
	struct session *s;
	const struct made_image *image;
};

static const struct layer_form *form_of(const struct made_image *image, const char *diff_id)
{
	for (size_t i = 0; i < image->nlayers; i++)
		if (strcmp(image->layers[i].diff_id, diff_id) == 0)
			return &image->layers[i];
	return NULL;
}

/* Decompress a layer into sink, or only count: *ret_size are its bytes. */
static int decompress(struct session *s, const struct layer_form *form, struct layer_sink *sink, uint64_t *ret_size,
	struct err *err)
{
	struct inflow_options o = { .max_in = form->size };
	auto_fd int fd = blob_open(s->store, form->digest, NULL, err);
	AUTO(inflow_free) struct inflow *in = fd < 0 ? NULL : inflow_open(fd, &o, err);
	const void *data;
	ssize_t n;

	if (!in)
		return -1;
	*ret_size = 0;
	while ((n = inflow_next(in, &data, err)) > 0) {
		*ret_size += (uint64_t)n;
		if (sink && layer_sink_write(sink, data, (size_t)n, err) < 0)
			return -1;
		if (s->cancelled)
			return err_set(err, ERR_CANCELLED, "interrupted");
	}
	return n < 0 ? -1 : 0;
}

static int write_docker_layer(void *ctx, const char *diff_id, struct layer_sink *sink, struct err *err)
{
	struct docker_layers *w = ctx;
	const struct layer_form *form = form_of(w->image, diff_id);
	uint64_t unused;

	if (!form)
		return err_set(err, ERR_NOT_FOUND, "no layer with the diffID %s", diff_id);
	if (decompress(w->s, form, sink, &unused, err) < 0)
		return err_wrap(err, "layer %s", form->digest);
	return 0;
}

/* The bytes of the uncompressed layer: known of a plain one, counted once of others and remembered. */
static int uncompressed_size(struct session *s, const struct layer_form *form, uint64_t *ret, struct err *err)
{
	auto_free char *key = NULL;
	auto_free char *known = NULL;
	auto_free char *text = NULL;

	key = xasprintf("diff-size:%s", form->diff_id);
	if (memo_get(s->store, key, &known, err) < 0)
		return -1;
	if (known && parse_u64(known, 0, LAYER_SIZE_MAX, ret) == 0)
		return 0;
	if (decompress(s, form, NULL, ret, err) < 0)
		return err_wrap(err, "layer %s", form->digest);
	text = xasprintf("%llu", (unsigned long long)*ret);
	return memo_put(s->store, key, text, err);
}

static int write_docker(struct session *s, const struct made_image *image, const struct strv *names, int fd,
	struct err *err)
{
	auto_free uint64_t *sizes = xcalloc(image->nlayers + 1, sizeof(*sizes));
	struct docker_layers w = { .s = s, .image = image };

	for (size_t i = 0; i < image->nlayers; i++)
		if (uncompressed_size(s, &image->layers[i], &sizes[i], err) < 0)
			return -1;
	return docker_archive_write(
		fd, image->config.buf, image->config.len, sizes, names, write_docker_layer, &w, err);
}

/* ---- all of them ---- */

/* Blobs of the store, until the user has had enough. */
static int open_blob(void *ctx, const char *digest, uint64_t *ret_size, struct err *err)
{
	const struct session *s = ctx;

	if (s->cancelled)
		return err_set(err, ERR_CANCELLED, "interrupted");
	return blob_open(s->store, digest, ret_size, err);
}

static int write_file(struct session *s, const struct output *o, const struct strv *names,
	const struct build_product *products, const struct made_set *set, const struct export_options *options,
	struct err *err)
{
	struct out_file f = OUT_FILE_INIT;
	int rc = out_file_open(&f, o, options->stdout_fd, err);

	if (rc == 0 && o->kind == OUTPUT_OCI)
		rc = oci_archive_write(f.fd, &set->top, names, open_blob, s, err);
	else if (rc == 0 && o->kind == OUTPUT_DOCKER)
		rc = write_docker(s, &set->images[0], names, f.fd, err);
	else if (rc == 0)
		rc = write_tree(s, &products[0], f.fd, false, output_epoch(o, options->epoch), err);
	if (rc == 0)
		rc = out_file_commit(&f, o->dest, err);
	out_file_release(&f);
	return rc;
}

static const char *title_of(const struct output *o)
{
	switch (o->kind) {
	case OUTPUT_OCI:
		return o->tar ? "exporting to oci archive" : "exporting to oci layout";
	case OUTPUT_DOCKER:
		return "exporting to docker archive";
	case OUTPUT_TAR:
		return "exporting to tar archive";
	default:
		return "exporting to local folder";
	}
}

static int write_output(struct session *s, const struct output *o, const struct strv *names,
	const struct build_product *products, size_t n, const struct made_set *set,
	const struct export_options *options, struct err *err)
{
	if (n != 1 && (o->kind == OUTPUT_DOCKER || o->kind == OUTPUT_TAR))
		return err_set(err, ERR_USAGE, "%s exporter does not support several platforms",
			output_kind_name(o->kind));
	if (o->kind == OUTPUT_LOCAL)
		return write_locals(s, o, products, n, output_epoch(o, options->epoch), err);
	if (o->kind == OUTPUT_OCI && !o->tar)
		return layout_write(AT_FDCWD, o->dest, &set->top, names, open_blob, s, err);
	return write_file(s, o, names, products, set, options, err);
}

int export_to_files(struct session *s, const struct output *o, const struct strv *names,
	const struct build_product *products, size_t n, const struct made_set *set,
	const struct export_options *options, struct err *err)
{
	unsigned vertex = progress_start(s->progress, title_of(o));

	return image_vertex_end(s, vertex, write_output(s, o, names, products, n, set, options, err), err);
}
