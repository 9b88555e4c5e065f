#include "layer/tar_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "layer/bounds.h"
#include "layer/pax_internal.h"
#include "layer/tar_internal.h"
#include "layer/xattr.h"

#define ID_OCTAL_MAX 07777777u	       /* what 7 octal digits hold */
#define SIZE_OCTAL_MAX 077777777777ull /* what 11 hold: size and time */
#define WHITEOUT ".wh."
#define OPAQUE_NAME ".wh..wh..opq"
#define MAJOR_MAX 0xfffu
#define MINOR_MAX 0xfffffu

struct layer_writer {
	struct tree_sink sink;
	struct layer_write_options opt;
	struct outflow *out;
	uint64_t offset;  /* uncompressed bytes written */
	uint64_t pending; /* bytes of the current body that are to come */
	uint64_t pad;	  /* and the padding after it */
	uint64_t entries, dropped_xattrs;
	struct strbuf last; /* path of the entry before */
	enum entry_type last_type;
	bool last_opaque, any;
	bool finished;
	struct flow_sums sums;
	struct tree_xattr kept[LAYER_XATTRS_MAX];
};

/* ---- bytes ---- */

static int put(struct layer_writer *w, const void *data, size_t n, struct err *err)
{
	w->offset += n;
	return outflow_write(w->out, data, n, err);
}

static int put_zeros(struct layer_writer *w, uint64_t n, struct err *err)
{
	static const char zeros[TAR_RECORD];

	while (n > 0) {
		size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

		if (put(w, zeros, part, err) < 0)
			return -1;
		n -= part;
	}
	return 0;
}

/* digits octal digits and a NUL. */
static void put_octal(char *field, size_t digits, uint64_t v)
{
	field[digits] = '\0';
	while (digits-- > 0) {
		field[digits] = (char)('0' + (v & 7));
		v >>= 3;
	}
}

/* The name without the bytes that the ustar field must not have, cut to it: for show. */
static void put_name(char *field, size_t size, const char *name)
{
	size_t n = 0;

	for (; *name && n < size; name++)
		if ((unsigned char)*name < 0x80)
			field[n++] = *name;
}

/* Write h with everything that is the same for all members filled in. */
static int put_header(struct layer_writer *w, struct tar_header *h, uint32_t major, uint32_t minor,
	struct err *err)
{
	const unsigned char *p = (const unsigned char *)h;
	uint32_t sum = 0;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	put_octal(h->devmajor, 7, major);
	put_octal(h->devminor, 7, minor);
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += p[i];
	put_octal(h->checksum, 6, sum);
	h->checksum[7] = ' ';
	return put(w, h, sizeof(*h), err);
}

/* ---- headers ---- */

static bool needs_pax_name(const char *name, size_t field)
{
	if (strlen(name) > field)
		return true;
	for (; *name; name++)
		if ((unsigned char)*name >= 0x80)
			return true;
	return false;
}

static void pax_put_number(struct strbuf *sb, const char *key, int64_t v)
{
	char text[24];

	pax_put(sb, key, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v));
}

/* The records in the order of their keys: upper case before lower. */
static void pax_records(
	struct strbuf *sb, const struct tree_entry *e, const char *name, const char *link)
{
	for (size_t i = 0; i < e->nxattrs; i++) {
		auto_strbuf key = STRBUF_INIT;

		strbuf_printf(&key, "SCHILY.xattr.%s", e->xattrs[i].name);
		pax_put(sb, key.buf, e->xattrs[i].value, e->xattrs[i].len);
	}
	if (e->gid > ID_OCTAL_MAX)
		pax_put_number(sb, "gid", e->gid);
	if (link && needs_pax_name(link, sizeof(((struct tar_header *)0)->linkname)))
		pax_put(sb, "linkpath", link, strlen(link));
	if (e->mtime < 0 || (uint64_t)e->mtime > SIZE_OCTAL_MAX)
		pax_put_number(sb, "mtime", e->mtime);
	if (needs_pax_name(name, sizeof(((struct tar_header *)0)->name)))
		pax_put(sb, "path", name, strlen(name));
	if (e->size > SIZE_OCTAL_MAX)
		pax_put_number(sb, "size", (int64_t)e->size);
	if (e->uid > ID_OCTAL_MAX)
		pax_put_number(sb, "uid", e->uid);
}

/* The name of an extension header: "PaxHeaders.0/" put before the last component. */
static void pax_member_name(const char *name, char *field, size_t size)
{
	auto_strbuf sb = STRBUF_INIT;
	auto_free char *trimmed = xstrdup(name);
	size_t n = strlen(trimmed), dir;
	char *ascii;

	while (n > 0 && trimmed[n - 1] == '/')
		trimmed[--n] = '\0';
	dir = (size_t)(path_base(trimmed) - trimmed);
	strbuf_add(&sb, trimmed, dir);
	strbuf_puts(&sb, "PaxHeaders.0/");
	strbuf_puts(&sb, trimmed + dir);
	ascii = xcalloc(1, sb.len + 1);
	put_name(ascii, sb.len, sb.buf);
	n = strnlen(ascii, size);
	while (n > 0 && ascii[n - 1] == '/')
		n--;
	memcpy(field, ascii, n);
	free(ascii);
}

static int put_pax(
	struct layer_writer *w, const char *name, const struct strbuf *records, struct err *err)
{
	struct tar_header h = {.type = 'x'};

	if (records->len > LAYER_PAX_MAX)
		return err_set(err, ERR_INPUT,
			"the extended attributes of '%s' are too large for a layer", name);
	pax_member_name(name, h.name, sizeof(h.name));
	put_octal(h.mode, 7, 0);
	put_octal(h.uid, 7, 0);
	put_octal(h.gid, 7, 0);
	put_octal(h.size, 11, records->len);
	put_octal(h.mtime, 11, 0);
	if (put_header(w, &h, 0, 0, err) < 0 || put(w, records->buf, records->len, err) < 0)
		return -1;
	return put_zeros(w, tar_padding(records->len), err);
}

static char type_flag(enum entry_type type)
{
	switch (type) {
	case ENTRY_HARDLINK:
		return '1';
	case ENTRY_SYMLINK:
		return '2';
	case ENTRY_CHAR:
		return '3';
	case ENTRY_BLOCK:
		return '4';
	case ENTRY_DIR:
		return '5';
	case ENTRY_FIFO:
		return '6';
	case ENTRY_FILE:
	case ENTRY_WHITEOUT:
		break;
	}
	return '0';
}

/* Write the member headers of e under the name name; e->type decides on the rest. */
static int put_member(
	struct layer_writer *w, const struct tree_entry *e, const char *name, struct err *err)
{
	const char *link = e->type == ENTRY_SYMLINK || e->type == ENTRY_HARDLINK ? e->link : NULL;
	struct tar_header h = {.type = type_flag(e->type)};
	auto_strbuf records = STRBUF_INIT;

	pax_records(&records, e, name, link);
	if (records.len > 0 && put_pax(w, name, &records, err) < 0)
		return -1;
	put_name(h.name, sizeof(h.name), name);
	put_octal(h.mode, 7, e->mode);
	put_octal(h.uid, 7, e->uid <= ID_OCTAL_MAX ? e->uid : 0);
	put_octal(h.gid, 7, e->gid <= ID_OCTAL_MAX ? e->gid : 0);
	put_octal(h.size, 11, e->size <= SIZE_OCTAL_MAX ? e->size : 0);
	put_octal(h.mtime, 11,
		e->mtime >= 0 && (uint64_t)e->mtime <= SIZE_OCTAL_MAX ? (uint64_t)e->mtime : 0);
	if (link)
		put_name(h.linkname, sizeof(h.linkname), link);
	w->entries++;
	if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK)
		return put_header(w, &h, e->major, e->minor, err);
	return put_header(w, &h, 0, 0, err);
}

/* ---- entries ---- */

static int check_entry(const struct tree_entry *e, struct err *err)
{
	if (!tree_path_valid(e->path))
		return err_set(err, ERR_INPUT, "'%s' is no legal path for a layer", e->path);
	if (e->path[0] == '\0' && e->type != ENTRY_DIR && !(e->type == ENTRY_WHITEOUT && e->opaque))
		return err_set(err, ERR_INPUT, "the root of a layer must be a directory");
	if (strncmp(e->path, WHITEOUT, strlen(WHITEOUT)) == 0 || strstr(e->path, "/" WHITEOUT))
		return err_set(err, ERR_INPUT,
			"file name '%s' starts with .wh. and cannot be stored in an image "
			"layer",
			e->path);
	if (e->uid == UINT32_MAX || e->gid == UINT32_MAX)
		return err_set(err, ERR_INPUT, "the owner of '%s' is out of range", e->path);
	if (e->type == ENTRY_SYMLINK &&
		(!e->link || !e->link[0] || strlen(e->link) > LAYER_LINK_MAX))
		return err_set(err, ERR_INPUT, "the target of the link '%s' is empty or too long",
			e->path);
	if (e->type == ENTRY_HARDLINK && (!e->link || !e->link[0] || !tree_path_valid(e->link)))
		return err_set(err, ERR_INPUT, "the target of the hard link '%s' is no legal path",
			e->path);
	if (e->type == ENTRY_CHAR && e->major == 0 && e->minor == 0)
		return err_set(err, ERR_INPUT,
			"'%s' is a character device 0:0, a whiteout of overlayfs", e->path);
	if ((e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK) &&
		(e->major > MAJOR_MAX || e->minor > MINOR_MAX))
		return err_set(
			err, ERR_INPUT, "the device number of '%s' is out of range", e->path);
	if (e->size > INT64_MAX)
		return err_set(err, ERR_INPUT, "'%s' is too large", e->path);
	return 0;
}

static int check_order(struct layer_writer *w, const struct tree_entry *e, struct err *err)
{
	struct tree_entry last = {.path = w->last.buf, .type = w->last_type};
	int order;

	if (w->opt.keep_order || !w->any)
		return 0;
	order = tree_order(&last, e);
	/* the opaque marker comes right after its directory, or instead of it */
	if (e->type == ENTRY_WHITEOUT && e->opaque && order == 0 && w->last_type == ENTRY_DIR)
		return 0;
	if (order >= 0)
		return err_set(err, ERR_INPUT,
			"'%s' comes after '%s', which is not the order of a layer", e->path,
			w->last.buf);
	return 0;
}

static void remember(struct layer_writer *w, const struct tree_entry *e)
{
	w->any = true;
	strbuf_reset(&w->last);
	strbuf_puts(&w->last, e->path);
	w->last_opaque = e->opaque;
	w->last_type = e->type;
	if (e->type == ENTRY_WHITEOUT && e->opaque)
		w->last_type = ENTRY_DIR;
}

static int64_t clamp(const struct layer_writer *w, int64_t mtime)
{
	if (w->opt.epoch == LAYER_EPOCH_NONE)
		return mtime;
	return w->opt.rewrite_times || mtime > w->opt.epoch ? w->opt.epoch : mtime;
}

static void filter_xattrs(struct layer_writer *w, struct tree_entry *e)
{
	size_t n = 0;

	/* a hard link has those of its file, nothing else can have any */
	if (e->type != ENTRY_FILE && e->type != ENTRY_DIR)
		e->nxattrs = 0;
	for (size_t i = 0; i < e->nxattrs; i++) {
		const struct tree_xattr *x = &e->xattrs[i];

		if (n < LAYER_XATTRS_MAX && x->len > 0 && !strchr(x->name, '='))
			w->kept[n++] = *x;
		else
			w->dropped_xattrs++;
	}
	e->xattrs = w->kept;
	e->nxattrs = n;
}

static int put_whiteout(
	struct layer_writer *w, const char *dir, size_t dir_len, const char *name, struct err *err)
{
	struct tree_entry e = {.type = ENTRY_FILE};
	auto_free char *path = xasprintf("%.*s%s%s", (int)dir_len, dir, dir_len ? "/" : "", name);

	if (strlen(path_base(path)) > LAYER_NAME_MAX)
		return err_set(
			err, ERR_INPUT, "the whiteout '%s' has a name that is too long", path);
	return put_member(w, &e, path, err);
}

static int put_hidden(struct layer_writer *w, const struct tree_entry *e, struct err *err)
{
	size_t dir = tree_parent_len(e->path);
	auto_free char *name = NULL;

	if (e->opaque) {
		if (w->last_opaque && strcmp(w->last.buf, e->path) == 0)
			return 0; /* the directory said so itself */
		return put_whiteout(w, e->path, strlen(e->path), OPAQUE_NAME, err);
	}
	name = xasprintf("%s%s", WHITEOUT, path_base(e->path));
	return put_whiteout(w, e->path, dir, name, err);
}

/* Write e and what its opaque flag asks for; *e has the offset of its body afterwards. */
static int put_entry(struct layer_writer *w, struct tree_entry *e, struct err *err)
{
	auto_strbuf name = STRBUF_INIT;

	if (e->type == ENTRY_WHITEOUT)
		return put_hidden(w, e, err);
	strbuf_puts(&name, e->path[0] ? e->path : ".");
	if (e->type == ENTRY_DIR)
		strbuf_putc(&name, '/');
	if (!e->implied && put_member(w, e, name.buf, err) < 0)
		return -1;
	e->offset = w->offset;
	if (e->type == ENTRY_DIR && e->opaque)
		return put_whiteout(w, e->path, strlen(e->path), OPAQUE_NAME, err);
	return 0;
}

static int writer_entry(struct tree_sink *sink, const struct tree_entry *in, struct err *err)
{
	struct layer_writer *w = (struct layer_writer *)sink;
	struct tree_entry e = *in;

	if (w->pending > 0)
		return err_set(err, ERR_INPUT, "contents are missing before '%s'", e.path);
	if (check_entry(&e, err) < 0 || check_order(w, &e, err) < 0)
		return -1;
	e.mtime_ns = 0; /* whole seconds, rounded down already */
	e.mtime = clamp(w, e.mtime);
	if (e.type != ENTRY_FILE)
		e.size = 0;
	if (e.type == ENTRY_SYMLINK)
		e.mode = 0777;
	e.mode &= 07777;
	filter_xattrs(w, &e);
	if (put_entry(w, &e, err) < 0)
		return -1;
	remember(w, &e);
	w->pending = e.size;
	w->pad = tar_padding(e.size);
	if (w->offset + e.size > LAYER_SIZE_MAX)
		return err_set(err, ERR_INPUT, "the layer becomes larger than %llu bytes",
			(unsigned long long)LAYER_SIZE_MAX);
	if (e.type == ENTRY_WHITEOUT) {
		e.mtime = 0;
		e.mode = e.uid = e.gid = 0;
	}
	return w->opt.beside ? w->opt.beside->entry(w->opt.beside, &e, err) : 0;
}

static int writer_data(struct tree_sink *sink, const void *data, size_t n, struct err *err)
{
	struct layer_writer *w = (struct layer_writer *)sink;

	if (n > w->pending)
		return err_set(err, ERR_INPUT, "'%s' has more contents than its size", w->last.buf);
	if (put(w, data, n, err) < 0)
		return -1;
	w->pending -= n;
	if (w->pending == 0 && n > 0 && put_zeros(w, w->pad, err) < 0)
		return -1;
	return w->opt.beside ? w->opt.beside->data(w->opt.beside, data, n, err) : 0;
}

static int writer_finish(struct tree_sink *sink, struct err *err)
{
	struct layer_writer *w = (struct layer_writer *)sink;

	if (w->pending > 0)
		return err_set(
			err, ERR_INPUT, "contents are missing at the end of '%s'", w->last.buf);
	if (put_zeros(w, (uint64_t)2 * TAR_RECORD, err) < 0 ||
		outflow_end(w->out, &w->sums, err) < 0)
		return -1;
	w->finished = true;
	return w->opt.beside ? w->opt.beside->finish(w->opt.beside, err) : 0;
}

struct layer_writer *layer_writer_new(
	int blob_fd, const struct layer_write_options *opt, struct err *err)
{
	struct layer_writer *w = xcalloc(1, sizeof(*w));
	struct outflow_options out = {
		.compression = opt->compression, .level = opt->level, .threads = opt->threads};

	w->sink = (struct tree_sink){writer_entry, writer_data, writer_finish};
	w->opt = *opt;
	w->last = (struct strbuf)STRBUF_INIT;
	w->out = outflow_new(blob_fd, &out, err);
	if (!w->out) {
		layer_writer_free(w);
		return NULL;
	}
	return w;
}

void layer_writer_free(struct layer_writer *w)
{
	if (!w)
		return;
	outflow_free(w->out);
	strbuf_release(&w->last);
	free(w);
}

struct tree_sink *layer_writer_sink(struct layer_writer *w)
{
	return &w->sink;
}

void layer_writer_info(const struct layer_writer *w, struct layer_info *ret)
{
	*ret = (struct layer_info){
		.size = w->sums.size,
		.diff_size = w->sums.diff_size,
		.entries = w->entries,
		.compression = w->opt.compression,
		.dropped_xattrs = w->dropped_xattrs,
	};
	digest_format(w->sums.digest, ret->digest);
	digest_format(w->sums.diff_digest, ret->diff_id);
}
