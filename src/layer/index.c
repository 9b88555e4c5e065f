#include "layer/index.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifdef HAVE_ISAL
#include <isa-l/crc.h>
#else
#include <zlib.h>
#endif

#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"
#include "layer/bounds.h"
#include "layer/index_internal.h"

/* An index of the largest layer stays far below; more is damage, and would not fit in memory
 * anyway. */
#define INDEX_SIZE_MAX ((uint64_t)4 << 30)

struct tree_index {
	void *data; /* the whole file */
	size_t size;
	bool mapped; /* munmap(), not free() */
	size_t len;
	const struct index_record *records; /* into data, little-endian */
	const char *strings;
	uint64_t strings_len;
	struct tree_xattr *xattrs;
	uint8_t *hides; /* one bit per record: it or a directory above it is opaque */
	uint64_t total_size;
	uint32_t highest_id;
	bool whiteouts, devices;
};

bool index_counts_as_device(const struct tree_entry *e)
{
	return entry_is_device(e) && strncmp(e->path, "dev/", 4) != 0;
}

uint32_t index_crc(const void *data, size_t n)
{
#ifdef HAVE_ISAL
	return crc32_gzip_refl(0, data, n);
#else
	return (uint32_t)crc32_z(0, data, n);
#endif
}

static int corrupt(struct err *err, const char *why)
{
	return err_set(err, ERR_CORRUPT, "the tree index is damaged: %s", why);
}

/* Whether strings holds len bytes without NUL at off, and one NUL after them. */
static bool string_ok(const struct tree_index *ix, uint64_t off, uint32_t len)
{
	if (off >= ix->strings_len || len >= ix->strings_len - off)
		return false;
	return ix->strings[off + len] == '\0' && !memchr(ix->strings + off, '\0', len);
}

static const char *record_path(const struct tree_index *ix, size_t i)
{
	return ix->strings + le64toh(ix->records[i].path_off);
}

static bool record_fields_ok(
	const struct tree_index *ix, const struct index_record *r, uint64_t nxattrs)
{
	bool link = r->flags & INDEX_LINK;
	uint64_t first = le32toh(r->xattr_first), n = le32toh(r->nxattrs);

	if (r->type > ENTRY_WHITEOUT || le16toh(r->mode) > 07777 ||
		le32toh(r->mtime_ns) > 999999999)
		return false;
	if (r->flags & ~(INDEX_OPAQUE | INDEX_IMPLIED | INDEX_DIGEST | INDEX_LINK))
		return false;
	if (r->type != ENTRY_DIR && (r->flags & (INDEX_OPAQUE | INDEX_IMPLIED)))
		return false;
	if (r->type != ENTRY_FILE && (le64toh(r->size) > 0 || (r->flags & INDEX_DIGEST)))
		return false;
	if (link != (r->type == ENTRY_SYMLINK || r->type == ENTRY_HARDLINK))
		return false;
	if (first > nxattrs || n > nxattrs - first)
		return false;
	if (!string_ok(ix, le64toh(r->path_off), le32toh(r->path_len)))
		return false;
	if (!link)
		return true;
	return le32toh(r->link_len) <= LAYER_PATH_MAX &&
	       string_ok(ix, le64toh(r->link_off), le32toh(r->link_len));
}

static int load_xattrs(struct tree_index *ix, const uint8_t *table, uint64_t n, struct err *err)
{
	ix->xattrs = xcalloc(n ? n : 1, sizeof(*ix->xattrs));
	for (uint64_t i = 0; i < n; i++) {
		struct index_xattr x;
		uint64_t off;

		memcpy(&x, table + i * sizeof(x), sizeof(x));
		off = le64toh(x.value_off);
		if (!string_ok(ix, le64toh(x.name_off), le32toh(x.name_len)) ||
			off > ix->strings_len || le32toh(x.value_len) > ix->strings_len - off)
			return corrupt(err, "an attribute lies outside of it");
		ix->xattrs[i] = (struct tree_xattr){
			.name = ix->strings + le64toh(x.name_off),
			.value = ix->strings + off,
			.len = le32toh(x.value_len),
		};
	}
	return 0;
}

/* Where path stands among the directories above: how many of the stack are above it. */
struct ancestors {
	uint32_t at[LAYER_DEPTH_MAX + 1];
	size_t depth;
};

static bool is_above(const struct tree_index *ix, size_t dir, const char *path)
{
	size_t n = le32toh(ix->records[dir].path_len);

	return n == 0 || (strncmp(path, record_path(ix, dir), n) == 0 && path[n] == '/');
}

static int check_record(
	struct tree_index *ix, size_t i, struct ancestors *up, uint64_t nxattrs, struct err *err)
{
	const struct index_record *r = &ix->records[i];
	const char *path;
	size_t top;

	if (!record_fields_ok(ix, r, nxattrs))
		return corrupt(err, "a record is malformed");
	path = record_path(ix, i);
	if (!tree_path_valid(path))
		return corrupt(err, "a record has an illegal path");
	if (i == 0) {
		if (path[0] != '\0' || r->type != ENTRY_DIR)
			return corrupt(err, "it does not begin with the root");
	} else {
		if (path_compare(record_path(ix, i - 1), path) >= 0)
			return corrupt(err, "its records are not sorted");
		while (up->depth > 1 && !is_above(ix, up->at[up->depth - 1], path))
			up->depth--;
		top = up->at[up->depth - 1];
		if (le32toh(ix->records[top].path_len) != tree_parent_len(path))
			return corrupt(err, "a directory is missing");
		if (index_hides_lower(ix, top))
			ix->hides[i / 8] |= (uint8_t)(1u << (i % 8));
	}
	if (r->type == ENTRY_DIR) {
		if (up->depth > LAYER_DEPTH_MAX)
			return corrupt(err, "it is too deep");
		up->at[up->depth++] = (uint32_t)i;
	}
	if (r->flags & INDEX_OPAQUE)
		ix->hides[i / 8] |= (uint8_t)(1u << (i % 8));
	if (r->type == ENTRY_WHITEOUT)
		ix->whiteouts = true;
	if (index_counts_as_device(&(struct tree_entry){.type = (enum entry_type)r->type, .path = path}))
		ix->devices = true;
	if (le32toh(r->uid) > ix->highest_id)
		ix->highest_id = le32toh(r->uid);
	if (le32toh(r->gid) > ix->highest_id)
		ix->highest_id = le32toh(r->gid);
	if (__builtin_add_overflow(ix->total_size, le64toh(r->size), &ix->total_size))
		return corrupt(err, "its sizes overflow");
	return 0;
}

static int load(struct tree_index *ix, struct err *err)
{
	const uint8_t *data = ix->data;
	struct ancestors up = {.depth = 0};
	struct index_header h;
	uint64_t n, nx, want, more;

	if (ix->size < sizeof(h))
		return corrupt(err, "it is shorter than its header");
	memcpy(&h, data, sizeof(h));
	if (memcmp(h.magic, INDEX_MAGIC, sizeof(h.magic)) != 0)
		return corrupt(err, "it does not begin as one");
	if (le32toh(h.version) != INDEX_VERSION)
		return err_set(err, ERR_CORRUPT, "the tree index has version %u, not %u",
			le32toh(h.version), INDEX_VERSION);
	if ((le32toh(h.flags) & ~(INDEX_HAS_WHITEOUTS | INDEX_HAS_DEVICES)) || h.reserved)
		return corrupt(err, "its header has unknown fields");
	n = le64toh(h.records);
	nx = le64toh(h.xattrs);
	ix->strings_len = le64toh(h.strings);
	if (__builtin_mul_overflow(n, sizeof(struct index_record), &want) ||
		__builtin_mul_overflow(nx, sizeof(struct index_xattr), &more) ||
		__builtin_add_overflow(want, more, &want) ||
		__builtin_add_overflow(want, ix->strings_len, &want) ||
		want != ix->size - sizeof(h))
		return corrupt(err, "its length is not what its header says");
	if (n == 0 || n > UINT32_MAX)
		return corrupt(err, "it has no record");
	if (index_crc(data + sizeof(h), ix->size - sizeof(h)) != le32toh(h.crc))
		return corrupt(err, "its checksum is wrong");

	ix->len = n;
	/* the header has 64 bytes and data is page or malloc aligned, so the cast is to aligned
	 * memory */
	ix->records = (const void *)(data + sizeof(h));
	ix->strings = (const char *)data + (ix->size - ix->strings_len);
	ix->hides = xcalloc(n / 8 + 1, 1);
	if (load_xattrs(ix, data + sizeof(h) + n * sizeof(struct index_record), nx, err) < 0)
		return -1;
	for (size_t i = 0; i < ix->len; i++)
		if (check_record(ix, i, &up, nx, err) < 0)
			return -1;
	if (ix->total_size != le64toh(h.total_size) || ix->highest_id != le32toh(h.highest_id) ||
		ix->whiteouts != ((le32toh(h.flags) & INDEX_HAS_WHITEOUTS) != 0) ||
		ix->devices != ((le32toh(h.flags) & INDEX_HAS_DEVICES) != 0))
		return corrupt(err, "its header does not fit its records");
	return 0;
}

struct tree_index *index_adopt(void *data, size_t n, struct err *err)
{
	struct tree_index *ix = xcalloc(1, sizeof(*ix));

	ix->data = data;
	ix->size = n;
	if (load(ix, err) < 0) {
		index_close(ix);
		return NULL;
	}
	return ix;
}

struct tree_index *index_from_bytes(const void *data, size_t n, struct err *err)
{
	return index_adopt(xmemdup(data, n), n, err);
}

struct tree_index *index_open(int fd, struct err *err)
{
	struct tree_index *ix;
	struct stat st;

	if (fstat(fd, &st) < 0) {
		err_sys(err, "cannot stat the tree index");
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size == 0 || (uint64_t)st.st_size > INDEX_SIZE_MAX ||
		(uint64_t)st.st_size > SIZE_MAX) {
		corrupt(err, "it is empty, not a regular file, or too large");
		return NULL;
	}
	ix = xcalloc(1, sizeof(*ix));
	ix->size = (size_t)st.st_size;
	ix->data = mmap(NULL, ix->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (ix->data == MAP_FAILED) {
		err_sys(err, "cannot map the tree index");
		free(ix);
		return NULL;
	}
	ix->mapped = true;
	if (load(ix, err) < 0) {
		index_close(ix);
		return NULL;
	}
	return ix;
}

bool index_peek(int fd, struct index_summary *ret)
{
	struct index_header h;

	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
		memcmp(h.magic, INDEX_MAGIC, sizeof(h.magic)) != 0 || le32toh(h.version) != INDEX_VERSION)
		return false;
	ret->highest_id = le32toh(h.highest_id);
	ret->devices = le32toh(h.flags) & INDEX_HAS_DEVICES;
	return true;
}

int index_write(const struct tree_index *ix, int fd, struct err *err)
{
	if (write_all(fd, ix->data, ix->size) < 0)
		return err_sys(err, "cannot write the tree index");
	return 0;
}

void index_close(struct tree_index *ix)
{
	if (!ix)
		return;
	if (ix->mapped)
		munmap(ix->data, ix->size);
	else
		free(ix->data);
	free(ix->xattrs);
	free(ix->hides);
	free(ix);
}

size_t index_len(const struct tree_index *ix)
{
	return ix->len;
}

void index_get(const struct tree_index *ix, size_t i, struct tree_entry *ret)
{
	const struct index_record *r = &ix->records[i];

	assert(i < ix->len);
	*ret = (struct tree_entry){
		.path = record_path(ix, i),
		.type = (enum entry_type)r->type,
		.mode = le16toh(r->mode),
		.uid = le32toh(r->uid),
		.gid = le32toh(r->gid),
		.size = le64toh(r->size),
		.mtime = (int64_t)le64toh(r->mtime),
		.mtime_ns = le32toh(r->mtime_ns),
		.link = r->flags & INDEX_LINK ? ix->strings + le64toh(r->link_off) : NULL,
		.major = le32toh(r->major),
		.minor = le32toh(r->minor),
		.xattrs = ix->xattrs + le32toh(r->xattr_first),
		.nxattrs = le32toh(r->nxattrs),
		.opaque = r->flags & INDEX_OPAQUE,
		.implied = r->flags & INDEX_IMPLIED,
		.offset = le64toh(r->offset),
		.has_digest = r->flags & INDEX_DIGEST,
	};
	memcpy(ret->digest, r->digest, sizeof(ret->digest));
}

ssize_t index_position(const struct tree_index *ix, const char *path)
{
	size_t low = 0, high = ix->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = path_compare(record_path(ix, mid), path);

		if (order == 0)
			return (ssize_t)mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

bool index_find(const struct tree_index *ix, const char *path, struct tree_entry *ret)
{
	ssize_t at = index_position(ix, path);

	if (at < 0)
		return false;
	if (ret)
		index_get(ix, (size_t)at, ret);
	return true;
}

size_t index_subtree_end(const struct tree_index *ix, size_t i)
{
	size_t low = i + 1, high = ix->len, step = 1;

	/* mostly the subtree is small: gallop, then halve */
	while (low + step < ix->len && is_above(ix, i, record_path(ix, low + step - 1))) {
		low += step;
		step *= 2;
	}
	if (low + step < high)
		high = low + step;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (is_above(ix, i, record_path(ix, mid)))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool index_hides_lower(const struct tree_index *ix, size_t i)
{
	return ix->hides[i / 8] & (1u << (i % 8));
}

uint64_t index_total_size(const struct tree_index *ix)
{
	return ix->total_size;
}

bool index_has_whiteouts(const struct tree_index *ix)
{
	return ix->whiteouts;
}

static int compare_layer_order(const void *pa, const void *pb, void *user)
{
	const struct tree_index *ix = user;
	struct tree_entry a, b;

	index_get(ix, *(const uint32_t *)pa, &a);
	index_get(ix, *(const uint32_t *)pb, &b);
	return tree_order(&a, &b);
}

uint32_t *index_layer_order(const struct tree_index *ix)
{
	uint32_t *order = xcalloc(ix->len, sizeof(*order));

	for (size_t i = 0; i < ix->len; i++)
		order[i] = (uint32_t)i;
	if (ix->whiteouts) {
		union {
			const struct tree_index *in;
			void *out;
		} user = {.in = ix};

		qsort_r(order, ix->len, sizeof(*order), compare_layer_order, user.out);
	}
	return order;
}
