#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "build/copy_source.h"
#include "layer/bounds.h"
#include "layer/xattr.h"

/* The attributes of an open file, or of the path of one. */
struct attributed {
	int fd;
	const char *path; /* NULL: fd */
};

static int changed(const struct copy_item *it, struct err *err)
{
	auto_strbuf source = STRBUF_INIT;

	copy_item_source(it, &source);
	return err_set(err, ERR_CORRUPT, "'/%s' changed while it was copied", source.buf);
}

static int cannot(const char *what, const struct copy_item *it, struct err *err)
{
	auto_strbuf source = STRBUF_INIT;
	int saved = errno;

	copy_item_source(it, &source);
	errno = saved;
	return err_sys(err, "cannot %s '/%s' of the source", what, source.buf);
}

void copy_item_source(const struct copy_item *it, struct strbuf *sb)
{
	const char *rel = it->path + it->rel;

	strbuf_reset(sb);
	strbuf_puts(sb, it->match->path);
	if (sb->len > 0 && *rel)
		strbuf_putc(sb, '/');
	strbuf_puts(sb, rel);
}

/* ---- attributes ---- */

static ssize_t list_names(const struct attributed *a, char *names)
{
	return a->path ? llistxattr(a->path, names, COPY_XATTR_NAMES_SIZE) :
			 flistxattr(a->fd, names, COPY_XATTR_NAMES_SIZE);
}

static ssize_t get_value(const struct attributed *a, const char *name, uint8_t *value)
{
	return a->path ? lgetxattr(a->path, name, value, LAYER_XATTR_VALUE_MAX) :
			 fgetxattr(a->fd, name, value, LAYER_XATTR_VALUE_MAX);
}

/*
 * File capabilities of the context are left out: the engine, outside of the build's user namespace, and its workers
 * inside see different bytes of them, or none.
 */
static bool is_wanted(const struct copy_source *s, const char *name)
{
	return xattr_written(name) && !(s->context && strcmp(name, XATTR_CAPABILITY) == 0);
}

/* Value of one attribute in s->value. Returns its length, 0 when it cannot be carried, or -1 with errno. */
static ssize_t read_value(struct copy_source *s, const struct attributed *a, const char *name)
{
	ssize_t len = get_value(a, name, s->value);

	if (len < 0)
		return errno == ENODATA || errno == EOVERFLOW ? 0 : -1;
	if (strcmp(name, XATTR_CAPABILITY) == 0)
		return (ssize_t)xattr_capability_to_v2(s->value, (size_t)len);
	return len;
}

static int compare_xattrs(const void *pa, const void *pb)
{
	const struct tree_xattr *a = pa, *b = pb;

	return strcmp(a->name, b->name);
}

/* Returns 0, or -1 and *err; 1 when they cannot be read that way (no /proc). */
static int read_xattrs(struct copy_source *s, struct copy_item *it, const struct attributed *a, struct err *err)
{
	struct tree_xattr *list;
	ssize_t len = list_names(a, s->names);
	size_t n = 0;

	it->xattrs = NULL;
	it->nxattrs = 0;
	if (len < 0 && (errno == ENOTSUP || errno == ENOSYS))
		return 0;
	if (len < 0)
		return a->path ? 1 : cannot("list the extended attributes of", it, err);
	for (const char *p = s->names; p < s->names + len; p += strlen(p) + 1)
		n += is_wanted(s, p);
	if (n == 0)
		return 0;
	if (n > LAYER_XATTRS_MAX)
		return err_set(err, ERR_INPUT, "'/%s' has more than %d extended attributes",
			it->path, LAYER_XATTRS_MAX);
	list = arena_alloc(&s->arena, n * sizeof(*list));
	for (const char *p = s->names; p < s->names + len; p += strlen(p) + 1) {
		ssize_t got = is_wanted(s, p) ? read_value(s, a, p) : 0;
		void *value;

		if (got < 0)
			return cannot("read the extended attributes of", it, err);
		if (got == 0)
			continue;
		value = arena_alloc(&s->arena, (size_t)got);
		memcpy(value, s->value, (size_t)got);
		list[it->nxattrs++] = (struct tree_xattr){
			.name = arena_strdup(&s->arena, p), .value = value, .len = (size_t)got
		};
	}
	qsort(list, it->nxattrs, sizeof(*list), compare_xattrs);
	it->xattrs = list;
	return 0;
}

int copy_item_read_xattrs(struct copy_source *s, struct copy_item *it, int fd, struct err *err)
{
	return read_xattrs(s, it, &(struct attributed){ .fd = fd }, err);
}

/* ---- files ---- */

int copy_source_dir(struct copy_source *s, const char *path, size_t len)
{
	if (s->dir_fd >= 0 && s->dir.len == len && memcmp(s->dir.buf, path, len) == 0)
		return s->dir_fd;
	s->dir_fd = close_fd(s->dir_fd);
	strbuf_reset(&s->dir);
	strbuf_add(&s->dir, path, len);
	s->dir_fd = open_no_symlinks(s->root, len ? s->dir.buf : ".", O_PATH | O_DIRECTORY, 0);
	return s->dir_fd;
}

static int open_file(struct copy_source *s, struct copy_item *it, int dir_fd, const char *name, struct err *err)
{
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ELOOP))
		return changed(it, err);
	if (fd < 0)
		return cannot("open", it, err);
	if (copy_item_read_xattrs(s, it, fd, err) < 0)
		return -1;
	it->read = true;
	if (it->size > COPY_BUFFER_SIZE)
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* advice only */
	return take_fd(fd);
}

int copy_item_open(struct copy_source *s, struct copy_item *it, struct err *err)
{
	auto_strbuf source = STRBUF_INIT;
	size_t parent;
	int dir_fd;

	copy_source_enter(s, it->match->arg);
	copy_item_source(it, &source);
	parent = tree_parent_len(source.buf);
	dir_fd = copy_source_dir(s, source.buf, parent);
	if (dir_fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? changed(it, err) :
									       cannot("open", it, err);
	return open_file(s, it, dir_fd, source.buf + (parent ? parent + 1 : 0), err);
}

int copy_item_check(const struct copy_item *it, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return cannot("stat", it, err);
	if (!S_ISREG(st.st_mode) || st.st_ino != it->ino || (uint64_t)st.st_size != it->size ||
		st.st_mtim.tv_sec != it->mtime || (uint32_t)st.st_mtim.tv_nsec != it->mtime_ns)
		return changed(it, err);
	return 0;
}

static int hash_fd(struct copy_source *s, struct copy_item *it, int fd, struct err *err)
{
	struct sha256 *hash = sha256_new();
	uint64_t left = it->size;
	ssize_t got = 0;

	while (left > 0) {
		got = read_full(fd, s->buffer, left < COPY_BUFFER_SIZE ? (size_t)left : COPY_BUFFER_SIZE);
		if (got <= 0)
			break;
		sha256_add(hash, s->buffer, (size_t)got);
		left -= (uint64_t)got;
	}
	sha256_end(hash, it->digest);
	sha256_free(hash);
	if (got < 0)
		return cannot("read", it, err);
	if (left > 0)
		return changed(it, err);
	it->has_digest = true;
	return copy_item_check(it, fd, err);
}

int copy_item_hash(struct copy_source *s, struct copy_item *it, int dir_fd, const char *name, const struct stat *st,
	struct err *err)
{
	const struct copy_file_digests *known = s->digests;
	auto_fd int fd = -1;

	if (known && known->get && known->get(known->ctx, st, it->digest)) {
		char path[64 + LAYER_NAME_MAX + 1];
		int result;

		it->has_digest = true;
		/* two calls less than opening it: this is all that a build with nothing new does per file */
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
		result = read_xattrs(s, it, &(struct attributed){ .path = path }, err);
		it->read = result == 0;
		if (result <= 0)
			return result;
	}
	fd = open_file(s, it, dir_fd, name, err);
	if (fd < 0 || it->has_digest)
		return fd < 0 ? -1 : 0;
	if (hash_fd(s, it, fd, err) < 0)
		return -1;
	if (known && known->put)
		known->put(known->ctx, st, it->digest);
	return 0;
}

/* ---- the digest of it all ---- */

/* A file that was not copied after all: something later lies over it, or it was unpacked. */
static int fill_in(struct copy_source *s, struct copy_item *it, struct err *err)
{
	auto_fd int fd = -1;

	if (it->type != ENTRY_FILE)
		return 0;
	if (it->content) {
		sha256_buf(it->content, (size_t)it->size, it->digest);
		it->has_digest = true;
		return 0;
	}
	if (it->has_digest && it->read)
		return 0;
	fd = copy_item_open(s, it, err);
	if (fd < 0)
		return -1;
	return it->has_digest ? 0 : hash_fd(s, it, fd, err);
}

/*
 * Of each match: u64 1, bytes name (of a folder: empty), u64 number of items; of each item: bytes path, u64 type, mode,
 * uid, gid, size, major, minor, bytes link, u64 number of attributes, each as bytes name and value, bytes digest.
 */
static void put_item(struct strbuf *sb, const struct copy_item *it)
{
	wire_put_str(sb, it->path + it->rel);
	wire_put_u64(sb, it->type);
	wire_put_u64(sb, it->mode);
	wire_put_u64(sb, it->uid);
	wire_put_u64(sb, it->gid);
	wire_put_u64(sb, it->size);
	wire_put_u64(sb, it->major);
	wire_put_u64(sb, it->minor);
	wire_put_str(sb, it->link);
	wire_put_u64(sb, it->nxattrs);
	for (size_t i = 0; i < it->nxattrs; i++) {
		wire_put_str(sb, it->xattrs[i].name);
		wire_put_bytes(sb, it->xattrs[i].value, it->xattrs[i].len);
	}
	wire_put_bytes(sb, it->digest, it->has_digest ? DIGEST_SIZE : 0);
}

int copy_source_digest(struct copy_source *s, uint8_t ret[DIGEST_SIZE], struct err *err)
{
	struct sha256 *hash = sha256_new();
	auto_strbuf sb = STRBUF_INIT;
	int result = 0;

	for (size_t i = 0; i < s->nmatches && result == 0; i++) {
		const struct copy_match *m = s->matches[i];

		if (copy_source_arg(s, m->arg).root > 0)
			continue; /* told by the definition */
		wire_put_u64(&sb, 1);
		wire_put_str(&sb, m->dir ? "" : m->name);
		wire_put_u64(&sb, m->n);
		for (size_t k = m->first; k < m->first + m->n && result == 0; k++) {
			result = fill_in(s, s->items[k], err);
			put_item(&sb, s->items[k]);
			sha256_add(hash, sb.buf, sb.len);
			strbuf_reset(&sb);
		}
		sha256_add(hash, sb.buf, sb.len);
		strbuf_reset(&sb);
	}
	sha256_end(hash, ret);
	sha256_free(hash);
	return result;
}
