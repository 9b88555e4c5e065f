#include "oci/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/doc.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "oci/document.h"
#include "oci/reference.h"

DEFINE_AUTO(struct doc *, doc_free)

#define HEADER_NAME "oci-layout"
#define INDEX_NAME "index.json"
#define BLOBS_DIR "blobs/sha256"
#define BLOB_PATH_SIZE (sizeof(BLOBS_DIR) + 1 + DIGEST_HEX)
#define DIR_MODE 0755
#define FILE_MODE 0644

struct layout {
	int fd; /* the directory */
	struct image_index index;
};

/*
 * Open a regular file of the layout without leaving it. Returns a descriptor and its size, or -1
 * and ERR_NOT_FOUND, ERR_CORRUPT, ERR_SYSTEM.
 */
static int open_member(int dirfd, const char *name, uint64_t *ret_size, struct err *err)
{
	/* O_NONBLOCK: a FIFO must not make us wait for a writer */
	auto_fd int fd = open_beneath(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOT_FOUND, "no '%s' in this layout", name);
	if (fd < 0 && (errno == EXDEV || errno == ELOOP))
		return err_set(err, ERR_CORRUPT, "'%s' is a link that leaves the layout", name);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", name);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat '%s'", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CORRUPT, "'%s' is not a regular file", name);
	*ret_size = (uint64_t)st.st_size;
	return take_fd(fd);
}

static int read_member(int dirfd, const char *name, size_t max, struct strbuf *sb, struct err *err)
{
	uint64_t size;
	auto_fd int fd = open_member(dirfd, name, &size, err);

	if (fd < 0)
		return -1;
	if (read_all(fd, sb, max) < 0) {
		if (errno == EFBIG)
			return err_set(err, ERR_INPUT, "'%s' has more than %zu bytes", name, max);
		return err_sys(err, "cannot read '%s'", name);
	}
	return 0;
}

int layout_header_check(const void *data, size_t n, struct err *err)
{
	AUTO(doc_free) struct doc *d = NULL;
	const char *version;

	if (n > LAYOUT_HEADER_MAX)
		return err_set(err, ERR_INPUT, "'%s' has more than %d bytes", HEADER_NAME,
			LAYOUT_HEADER_MAX);
	d = doc_parse(data, n, HEADER_NAME, err);
	if (!d)
		return -1;
	version = doc_get_str(d, "imageLayoutVersion");
	if (!version)
		return err_set(err, ERR_INPUT, "'%s' has no 'imageLayoutVersion'", HEADER_NAME);
	if (strncmp(version, "1.", 2) != 0)
		return err_set(err, ERR_UNSUPPORTED, "image layout version '%s' is not supported",
			version);
	return 0;
}

static int load_header(int dirfd, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	if (read_member(dirfd, HEADER_NAME, LAYOUT_HEADER_MAX, &sb, err) < 0) {
		if (err->kind == ERR_NOT_FOUND)
			err_wrap(err, "not an OCI layout");
		return -1;
	}
	return layout_header_check(sb.buf, sb.len, err);
}

static int load_index(int dirfd, struct image_index *ret, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	if (read_member(dirfd, INDEX_NAME, MANIFEST_BYTES_MAX, &sb, err) < 0)
		return -1;
	if (index_parse(sb.buf, sb.len, MEDIA_OCI_INDEX, ret, err) < 0)
		return err_wrap(err, "'%s'", INDEX_NAME);
	return 0;
}

struct layout *layout_open(int dirfd, const char *path, struct err *err)
{
	AUTO(layout_free) struct layout *l = xcalloc(1, sizeof(*l));

	l->fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		err_set(err, ERR_NOT_FOUND, "no directory '%s'", path);
		return NULL;
	}
	if (l->fd < 0) {
		err_sys(err, "cannot open '%s'", path);
		return NULL;
	}
	if (load_header(l->fd, err) < 0 || load_index(l->fd, &l->index, err) < 0) {
		err_wrap(err, "'%s'", path);
		return NULL;
	}
	return take_ptr(l);
}

void layout_free(struct layout *l)
{
	if (!l)
		return;
	close_fd(l->fd);
	index_release(&l->index);
	free(l);
}

const struct image_index *layout_index(const struct layout *l)
{
	return &l->index;
}

static void blob_path(const char *digest, char out[BLOB_PATH_SIZE])
{
	snprintf(out, BLOB_PATH_SIZE, "%s/%s", BLOBS_DIR, digest_hex(digest));
}

int layout_blob_open(
	const struct layout *l, const char *digest, uint64_t *ret_size, struct err *err)
{
	char path[BLOB_PATH_SIZE];

	if (document_check_digest(digest, "blob", err) < 0)
		return -1;
	blob_path(digest, path);
	return open_member(l->fd, path, ret_size, err);
}

int layout_blob_opener(void *ctx, const char *digest, uint64_t *ret_size, struct err *err)
{
	return layout_blob_open(ctx, digest, ret_size, err);
}

int layout_select(const struct layout *l, const char *name, struct descriptor *ret, struct err *err)
{
	const char *digest = name && *name == '@' ? name + 1 : name;
	struct layout opener = *l; /* blob_opener takes a pointer to non-const */
	size_t i;

	if (digest && digest_valid(digest))
		return walk_find(&l->index, digest, layout_blob_opener, &opener, ret, err);
	if (index_select(&l->index, name, &i, err) < 0)
		return -1;
	descriptor_copy(&l->index.manifests[i], ret);
	return 0;
}

/* Whether the entry bears this name: by its full name, or by the tag when it has no full name. */
static bool has_name(const struct descriptor *d, const char *full, const char *tag)
{
	const char *image_name = descriptor_annotation(d, ANNOTATION_IMAGE_NAME);
	const char *ref_name = descriptor_annotation(d, ANNOTATION_REF_NAME);

	if (image_name)
		return strcmp(image_name, full) == 0;
	return ref_name && (strcmp(ref_name, tag) == 0 || strcmp(ref_name, full) == 0);
}

static int put_name(
	struct image_index *idx, const struct descriptor *root, const char *name, struct err *err)
{
	struct reference ref = REFERENCE_INIT;
	struct descriptor entry;

	if (reference_parse(name, &ref, err) < 0)
		return -1;
	if (ref.digest) {
		reference_release(&ref);
		return err_set(err, ERR_INPUT,
			"'%s': an image cannot be given a name with a digest", name);
	}
	auto_free char *full = reference_format(&ref);
	for (size_t i = idx->n; i-- > 0;)
		if (has_name(&idx->manifests[i], full, ref.tag))
			index_remove(idx, i);
	descriptor_copy(root, &entry);
	pairs_set(&entry.annotations, ANNOTATION_REF_NAME, ref.tag);
	pairs_set(&entry.annotations, ANNOTATION_IMAGE_NAME, full);
	index_add(idx, &entry);
	descriptor_release(&entry);
	reference_release(&ref);
	return 0;
}

/* An image without a name stands in the index once. */
static void put_nameless(struct image_index *idx, const struct descriptor *root)
{
	struct descriptor entry;

	for (size_t i = idx->n; i-- > 0;) {
		const struct descriptor *d = &idx->manifests[i];

		if (strcmp(d->digest, root->digest) == 0 &&
			!descriptor_annotation(d, ANNOTATION_REF_NAME) &&
			!descriptor_annotation(d, ANNOTATION_IMAGE_NAME))
			index_remove(idx, i);
	}
	descriptor_copy(root, &entry);
	pairs_del(&entry.annotations, ANNOTATION_REF_NAME);
	pairs_del(&entry.annotations, ANNOTATION_IMAGE_NAME);
	index_add(idx, &entry);
	descriptor_release(&entry);
}

int layout_index_put(struct image_index *idx, const struct descriptor *root,
	const struct strv *names, struct err *err)
{
	for (size_t i = 0; i < names->len; i++)
		if (put_name(idx, root, names->v[i], err) < 0)
			return -1;
	if (!names->len)
		put_nameless(idx, root);
	if (idx->n > INDEX_ENTRIES_MAX)
		return err_set(err, ERR_INPUT, "more than %d entries in '%s'", INDEX_ENTRIES_MAX,
			INDEX_NAME);
	return 0;
}

/* Copy a blob into a new file of dirfd, synced. */
static int copy_to_file(int dirfd, const char *name, const struct descriptor *d,
	blob_opener open_blob, void *ctx, struct err *err)
{
	auto_fd int out = openat(
		dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);

	if (out < 0)
		return err_sys(err, "cannot create '%s/%s'", BLOBS_DIR, name);
	if (walk_copy(d, open_blob, ctx, out, err) < 0)
		return -1;
	if (fsync(out) < 0)
		return err_sys(err, "cannot sync '%s/%s'", BLOBS_DIR, name);
	return 0;
}

static int put_blob(
	int blobs_fd, const struct descriptor *d, blob_opener open_blob, void *ctx, struct err *err)
{
	const char *hex = digest_hex(d->digest);
	char random[17], temporary[32];
	struct stat st;

	if (fstatat(blobs_fd, hex, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		(uint64_t)st.st_size == d->size)
		return 0;
	random_name(random);
	snprintf(temporary, sizeof(temporary), ".tmp-%s", random);
	if (copy_to_file(blobs_fd, temporary, d, open_blob, ctx, err) < 0) {
		unlinkat(blobs_fd, temporary, 0);
		return -1;
	}
	if (renameat(blobs_fd, temporary, blobs_fd, hex) < 0) {
		err_sys(err, "cannot rename '%s/%s'", BLOBS_DIR, temporary);
		unlinkat(blobs_fd, temporary, 0);
		return -1;
	}
	return 0;
}

static int put_blobs(
	int dirfd, const struct descriptor *root, blob_opener open_blob, void *ctx, struct err *err)
{
	struct blob_list list = BLOB_LIST_INIT;
	auto_fd int blobs_fd = -1;
	int r;

	if (mkdir_p(dirfd, BLOBS_DIR, DIR_MODE) < 0)
		return err_sys(err, "cannot make '%s'", BLOBS_DIR);
	blobs_fd = open_no_symlinks(dirfd, BLOBS_DIR, O_RDONLY | O_DIRECTORY, 0);
	if (blobs_fd < 0)
		return err_sys(err, "cannot open '%s'", BLOBS_DIR);
	r = walk_image(root, open_blob, ctx, &list, err);
	for (size_t i = 0; r == 0 && i < list.len; i++)
		r = put_blob(blobs_fd, &list.v[i], open_blob, ctx, err);
	blob_list_release(&list);
	if (r == 0 && fsync(blobs_fd) < 0)
		return err_sys(err, "cannot sync '%s'", BLOBS_DIR);
	return r;
}

/* Write the header if the directory is new, else check that it is a layout that we know. */
static int put_header(int dirfd, struct err *err)
{
	struct err absent = ERR_INIT;

	if (load_header(dirfd, &absent) == 0)
		return 0;
	if (absent.kind != ERR_NOT_FOUND) {
		*err = absent;
		return -1;
	}
	return write_file_atomic(
		dirfd, HEADER_NAME, LAYOUT_HEADER, sizeof(LAYOUT_HEADER) - 1, FILE_MODE, err);
}

static int put_index(
	int dirfd, const struct descriptor *root, const struct strv *names, struct err *err)
{
	struct image_index idx = IMAGE_INDEX_INIT;
	struct err load = ERR_INIT;
	auto_strbuf sb = STRBUF_INIT;
	int r;

	if (load_index(dirfd, &idx, &load) < 0 && load.kind != ERR_NOT_FOUND) {
		*err = load;
		return -1;
	}
	r = layout_index_put(&idx, root, names, err);
	if (r == 0) {
		index_format(&idx, &sb);
		r = write_file_atomic(dirfd, INDEX_NAME, sb.buf, sb.len, FILE_MODE, err);
	}
	index_release(&idx);
	return r;
}

/* One writer at a time: the lock is on the directory itself, so that nothing of ours stays in or
 * beside it. */
static int lock_directory(int fd, const char *path, struct err *err)
{
	while (flock(fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		/* Some network file systems lock no directories. */
		if (errno == EBADF || errno == EOPNOTSUPP || errno == ENOLCK)
			return 0;
		return err_sys(err, "cannot lock '%s'", path);
	}
	return 0;
}

int layout_write(int dirfd, const char *path, const struct descriptor *root,
	const struct strv *names, blob_opener open_blob, void *ctx, struct err *err)
{
	struct image_index trial = IMAGE_INDEX_INIT;
	auto_fd int fd = -1;
	int r = layout_index_put(&trial, root, names, err);

	/* A wrong name is found before gigabytes are copied. */
	index_release(&trial);
	if (r < 0)
		return -1;
	if (mkdir_p(dirfd, path, DIR_MODE) < 0)
		return err_sys(err, "cannot make '%s'", path);
	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (lock_directory(fd, path, err) < 0)
		return -1;
	if (put_header(fd, err) < 0 || put_blobs(fd, root, open_blob, ctx, err) < 0 ||
		put_index(fd, root, names, err) < 0)
		return err_wrap(err, "'%s'", path);
	return 0;
}
