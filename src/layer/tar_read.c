#include "layer/tar_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "layer/bounds.h"
#include "layer/tar_check.h"
#include "layer/xattr.h"

#define WHITEOUT ".wh."
#define WHITEOUT_AUFS ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

DEFINE_AUTO(struct archive *, archive_read_free)

struct reader {
	const struct layer_read_options *opt;
	struct inflow *in;
	struct tar_check *check;
	struct tree_sink *sink;
	struct archive *archive; /* NULL before and after its part of the stream */
	uint64_t entries, dropped_xattrs;
	struct tree_xattr
		*kept;	   /* LAYER_XATTRS_MAX of them: what the policy leaves of one member */
	const void *first; /* the block that was read to see whether there is any */
	ssize_t first_len;
	off_t start; /* where the blob begins in its file */
	bool failed;
	struct err err; /* of the callback; libarchive only knows that there was one */
};

/* ---- bytes ---- */

/* The next bytes of the tar, checked. Returns how many, 0 at the end, or -1 and *err. */
static ssize_t next_bytes(struct reader *r, const void **ret, struct err *err)
{
	ssize_t n = inflow_next(r->in, ret, err);

	if (n == 0)
		return tar_check_end(r->check, err);
	if (n > 0 && tar_check_feed(r->check, *ret, (size_t)n, err) < 0)
		return -1;
	return n;
}

static la_ssize_t read_callback(struct archive *a, void *user, const void **buffer)
{
	struct reader *r = user;
	ssize_t n;

	if (r->first_len > 0) {
		*buffer = r->first;
		n = r->first_len;
		r->first_len = 0;
		return n;
	}
	n = next_bytes(r, buffer, &r->err);
	if (n >= 0)
		return n;
	r->failed = true;
	archive_set_error(a, EIO, "refused");
	return -1;
}

/* The error of a call to libarchive that failed. */
static int archive_failed(struct reader *r, struct err *err)
{
	const char *why = archive_error_string(r->archive);

	if (r->failed) {
		*err = r->err;
		return -1;
	}
	return err_set(err, ERR_INPUT, "the layer is malformed: %s", why ? why : "no reason given");
}

/* ---- names of whiteouts ---- */

static bool begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

enum kind {
	KIND_PLAIN,
	KIND_WHITEOUT,
	KIND_OPAQUE,
	KIND_AUFS, /* bookkeeping of another union file system: left out */
};

/* What the name of a member means; -1 and *err for one that no layer may hold. */
static int classify(const struct reader *r, const char *path, enum kind *ret, struct err *err)
{
	const char *base = path;

	*ret = KIND_PLAIN;
	for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		base = p;
		if (!begins(p, WHITEOUT))
			continue;
		if (r->opt->plain_tree)
			return err_set(err, ERR_INPUT,
				"file name '%s' starts with .wh. and cannot be stored in an "
				"image layer",
				path);
		if (begins(p, WHITEOUT_AUFS) && strcmp(p, WHITEOUT_OPAQUE) != 0) {
			*ret = KIND_AUFS;
			return 0;
		}
		if (strchr(p, '/'))
			return err_set(err, ERR_INPUT,
				"tar member '%s': a directory cannot be a whiteout", path);
	}
	if (!begins(base, WHITEOUT))
		return 0;
	if (strcmp(base, WHITEOUT_OPAQUE) == 0) {
		*ret = KIND_OPAQUE;
		return 0;
	}
	base += strlen(WHITEOUT);
	if (base[0] == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return err_set(err, ERR_INPUT, "tar member '%s' is a whiteout of nothing", path);
	*ret = KIND_WHITEOUT;
	return 0;
}

/* Give the whiteout e, or the opaque marker, to the sink. */
static int emit_whiteout(
	struct reader *r, const struct tree_entry *e, enum kind kind, struct err *err)
{
	size_t dir = tree_parent_len(e->path);
	auto_free char *path = NULL;
	struct tree_entry out = {.type = ENTRY_WHITEOUT, .opaque = kind == KIND_OPAQUE};

	if (e->type != ENTRY_FILE)
		return err_set(err, ERR_INPUT, "whiteout '%s' is a %s, not a file", e->path,
			entry_type_name(e->type));
	if (kind == KIND_OPAQUE)
		path = xstrndup(e->path, dir);
	else
		path = xasprintf("%.*s%s%s", (int)dir, e->path, dir ? "/" : "",
			e->path + (dir ? dir + 1 : 0) + strlen(WHITEOUT));
	out.path = path;
	r->entries++;
	return r->sink->entry(r->sink, &out, err);
}

/* ---- members ---- */

static int filter_xattrs(struct reader *r, struct tree_entry *e, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->nxattrs; i++) {
		const struct tree_xattr *x = &e->xattrs[i];

		if (strcmp(x->name, XATTR_CAPABILITY) == 0 &&
			!xattr_capability_valid(x->value, x->len))
			return err_set(err, ERR_INPUT,
				"tar member '%s': malformed security.capability of %zu bytes",
				e->path, x->len);
		if (xattr_applied(x->name, e->type))
			r->kept[kept++] = *x;
		else
			r->dropped_xattrs++;
	}
	e->xattrs = r->kept;
	e->nxattrs = kept;
	return 0;
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

static size_t without_slashes(const char *s)
{
	size_t n = strlen(s);

	while (n > 0 && s[n - 1] == '/')
		n--;
	return n;
}

/*
 * Whether libarchive reads the member as we do. A name beyond ASCII is not compared: libarchive
 * converts it for a locale that we do not have.
 */
static bool agrees(const struct reader *r, const struct tree_entry *e, struct archive_entry *ae)
{
	const char *raw = tar_check_raw_name(r->check);
	const char *other = is_ascii(raw) ? archive_entry_pathname(ae) : NULL;
	uint64_t size = archive_entry_size_is_set(ae) ? (uint64_t)archive_entry_size(ae) : 0;
	mode_t type = archive_entry_filetype(ae);

	if (size != e->size)
		return false;
	if (e->type != ENTRY_HARDLINK && archive_entry_hardlink(ae))
		return false;
	if (e->type == ENTRY_HARDLINK && is_ascii(e->link) && !archive_entry_hardlink(ae))
		return false;
	if (e->type == ENTRY_FILE && type != AE_IFREG)
		return false;
	if ((e->type == ENTRY_SYMLINK) != (type == AE_IFLNK))
		return false;
	if (!other)
		return true;
	return without_slashes(raw) == without_slashes(other) &&
	       memcmp(raw, other, without_slashes(raw)) == 0;
}

/*
 * Hand the part x of the contents of the member at hand to the sink. libarchive must see the member in these parts too:
 * what it gives is by its own reading of the map.
 */
static int read_extent(
	struct reader *r, const struct tree_entry *e, const struct tree_extent *x, struct err *err)
{
	uint64_t done = x->offset, end = x->offset + x->size;

	while (done < end) {
		const void *data;
		la_int64_t offset;
		size_t n;
		int code = archive_read_data_block(r->archive, &data, &n, &offset);

		if (code == ARCHIVE_EOF)
			break;
		if (code != ARCHIVE_OK)
			return archive_failed(r, err);
		if (offset < 0 || (uint64_t)offset != done || n > end - done)
			return err_set(err, ERR_INPUT,
				"the layer is malformed: two readers of '%s' disagree", e->path);
		if (n > 0 && r->sink->data(r->sink, data, n, err) < 0)
			return -1;
		done += n;
	}
	if (done < end)
		return err_set(err, ERR_INPUT, "the layer ends inside the member '%s'", e->path);
	return 0;
}

static int read_body(struct reader *r, const struct tree_entry *e, struct err *err)
{
	struct tree_extent whole = {0, e->size};
	const struct tree_extent *x = e->nextents > 0 ? e->extents : &whole;
	size_t n = e->nextents > 0 ? e->nextents : 1;
	uint64_t done = 0;

	for (; n > 0; n--, x++) {
		if (tree_give_zeros(r->sink, x->offset - done, err) < 0 || read_extent(r, e, x, err) < 0)
			return -1;
		done = x->offset + x->size;
	}
	return 0;
}

static int check_link_target(const struct tree_entry *e, struct err *err)
{
	if (e->type != ENTRY_HARDLINK)
		return 0;
	if (begins(e->link, WHITEOUT) || strstr(e->link, "/" WHITEOUT))
		return err_set(err, ERR_INPUT,
			"hard link '%s' points at '%s', which is no file of a layer", e->path,
			e->link);
	return 0;
}

static int take_member(struct reader *r, struct tree_entry *e, struct err *err)
{
	enum kind kind;

	if (classify(r, e->path, &kind, err) < 0)
		return -1;
	if (kind == KIND_AUFS)
		return 0;
	if (kind != KIND_PLAIN)
		return emit_whiteout(r, e, kind, err);
	if (check_link_target(e, err) < 0 || filter_xattrs(r, e, err) < 0)
		return -1;
	r->entries++;
	if (r->sink->entry(r->sink, e, err) < 0)
		return -1;
	return e->type == ENTRY_FILE ? read_body(r, e, err) : 0;
}

static int read_members(struct reader *r, struct err *err)
{
	for (;;) {
		struct archive_entry *ae;
		struct tree_entry e;
		int code = archive_read_next_header(r->archive, &ae);

		if (r->failed ||
			(code != ARCHIVE_OK && code != ARCHIVE_WARN && code != ARCHIVE_EOF))
			return archive_failed(r, err);
		if (code == ARCHIVE_EOF) {
			if (tar_check_next(r->check, &e))
				return err_set(err, ERR_INPUT,
					"the layer is malformed: two readers disagree whether '%s' "
					"is a member",
					tar_check_raw_name(r->check));
			return 0;
		}
		if (!tar_check_next(r->check, &e) || !agrees(r, &e, ae))
			return err_set(err, ERR_INPUT,
				"the layer is malformed: two readers disagree about '%s'",
				tar_check_raw_name(r->check));
		if (take_member(r, &e, err) < 0)
			return -1;
	}
}

/* ---- the whole ---- */

static int run_archive(struct reader *r, struct err *err)
{
	AUTO(archive_read_free) struct archive *a = archive_read_new();
	int result;

	if (!a || archive_read_support_format_tar(a) != ARCHIVE_OK)
		return err_set(err, ERR_SYSTEM, "libarchive cannot start");
	r->archive = a;
	if (archive_read_open(a, r, NULL, read_callback, NULL) != ARCHIVE_OK)
		result = archive_failed(r, err);
	else
		result = read_members(r, err);
	r->archive = NULL;
	return result;
}

/* The rest after the end mark: nothing in it counts, but it is hashed. */
static int drain(struct reader *r, struct err *err)
{
	const void *data;
	ssize_t n;

	while ((n = next_bytes(r, &data, err)) > 0)
		;
	return n < 0 ? -1 : 0;
}

static int verify(struct reader *r, struct layer_info *info, struct err *err)
{
	const struct layer_read_options *opt = r->opt;
	struct flow_sums sums;

	inflow_sums(r->in, &sums);
	*info = (struct layer_info){
		.size = sums.size,
		.diff_size = sums.diff_size,
		.entries = r->entries,
		.compression = inflow_compression(r->in),
		.dropped_xattrs = r->dropped_xattrs,
	};
	digest_format(sums.digest, info->digest);
	digest_format(sums.diff_digest, info->diff_id);
	if (opt->size != UINT64_MAX && info->size != opt->size)
		return err_set(err, ERR_CORRUPT, "the layer has %llu bytes, not %llu",
			(unsigned long long)info->size, (unsigned long long)opt->size);
	if (opt->digest && strcmp(info->digest, opt->digest) != 0)
		return err_set(err, ERR_CORRUPT, "the layer has digest %s, not %s", info->digest,
			opt->digest);
	if (opt->diff_id && strcmp(info->diff_id, opt->diff_id) != 0)
		return err_set(err, ERR_CORRUPT, "the layer unpacks to diffID %s, not %s",
			info->diff_id, opt->diff_id);
	return 0;
}

/*
 * Whether the rest of a broken stream shows that the blob is not the one expected: then that is the
 * better message.
 */
static bool is_other_blob(struct reader *r, int blob_fd)
{
	auto_free char *buf = NULL;
	char digest[DIGEST_STR_SIZE];
	struct sha256 *hash;
	struct stat st;
	off_t at = r->start;
	ssize_t n;

	if (!r->opt->digest || r->start < 0 || fstat(blob_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	buf = xmalloc(1 << 16);
	hash = sha256_new();
	while ((n = pread(blob_fd, buf, 1 << 16, at)) > 0) {
		sha256_add(hash, buf, (size_t)n);
		at += n;
	}
	sha256_end_str(hash, digest);
	sha256_free(hash);
	return n == 0 && strcmp(digest, r->opt->digest) != 0;
}

static int read_all_of(struct reader *r, struct err *err)
{
	r->first_len = next_bytes(r, &r->first, err);
	if (r->first_len < 0)
		return -1;
	/* libarchive does not take no bytes at all for a tar */
	if (r->first_len > 0 && run_archive(r, err) < 0)
		return -1;
	return drain(r, err);
}

int layer_read(int blob_fd, const struct layer_read_options *opt, struct tree_sink *sink,
	struct layer_info *ret, struct err *err)
{
	static const struct layer_read_options none = LAYER_READ_INIT;
	AUTO(inflow_free) struct inflow *in = NULL;
	AUTO(tar_check_free) struct tar_check *check = NULL;
	auto_free struct tree_xattr *kept = xcalloc(LAYER_XATTRS_MAX, sizeof(*kept));
	struct reader r = {.opt = opt ? opt : &none, .kept = kept};
	struct inflow_options in_opt = {.max_out = r.opt->max_size};
	uint64_t max = r.opt->max_size ? r.opt->max_size : LAYER_SIZE_MAX;
	struct layer_info info;

	check = r.check = tar_check_new(r.opt->sparse ? max : 0);
	r.sink = sink ? sink : tree_null_sink();
	r.start = lseek(blob_fd, 0, SEEK_CUR);
	if (r.opt->size != UINT64_MAX)
		in_opt.max_in = r.opt->size;
	in = r.in = inflow_open(blob_fd, &in_opt, err);
	if (!in)
		return -1;
	if (read_all_of(&r, err) < 0) {
		if (err->kind == ERR_INPUT && is_other_blob(&r, blob_fd))
			return err_set(err, ERR_CORRUPT,
				"the layer is not the blob %s that was expected", r.opt->digest);
		return -1;
	}
	if (verify(&r, &info, err) < 0)
		return -1;
	if (r.sink->finish(r.sink, err) < 0)
		return -1;
	if (ret)
		*ret = info;
	return 0;
}
