#include "layer/index.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "layer/bounds.h"
#include "layer/index_internal.h"
#include "layer/keymap.h"

/* Implied directories come on top of the members; a deep name brings many, so there is one bound
 * for all. */
#define RECORDS_MAX (2 * LAYER_ENTRIES_MAX)

struct record {
	struct tree_entry e; /* strings live in the arena */
	uint64_t seq;	     /* when it was last written; later is greater */
	uint64_t cleared; /* what lies below and is older was removed, as a non-directory came here
			   */
	bool whited;	  /* the layer also has a whiteout of this name */
	bool linked;	  /* a hard link names it */
	bool dropped;	  /* not part of the result */
};

struct index_sink {
	struct tree_sink sink;
	unsigned flags;
	struct arena arena;
	struct keymap map; /* path to position in records */
	struct record *records;
	size_t len, cap;
	uint64_t seq;
	struct sha256 *hash; /* of the current file, with INDEX_DIGESTS */
	size_t current;	     /* the current file */
	uint64_t pending;    /* bytes of it that have yet to come */

	/* the directory of the entry before: most entries share it */
	struct strbuf parent_raw; /* as asked for */
	struct strbuf parent;	  /* where it ends */
	uint64_t parent_cleared;
	bool parent_known;

	uint8_t *out; /* the finished index */
	size_t out_len;
};

/* ---- collecting ---- */

static struct record *find_record(struct index_sink *s, const char *path, size_t len)
{
	uint32_t *at = keymap_find(&s->map, path, len);

	return at ? &s->records[*at] : NULL;
}

static struct record *add_record(
	struct index_sink *s, const char *path, size_t len, struct err *err)
{
	char *copy;

	if (s->len >= RECORDS_MAX) {
		err_set(err, ERR_INPUT, "the layer has more than %u entries and directories",
			RECORDS_MAX);
		return NULL;
	}
	GROW(s->records, s->len, s->cap);
	copy = arena_strndup(&s->arena, path, len);
	s->records[s->len] = (struct record){.e.path = copy};
	keymap_put(&s->map, copy, len, (uint32_t)s->len);
	return &s->records[s->len++];
}

/* Make r a directory that the archive left out. */
static void make_implied(struct index_sink *s, struct record *r)
{
	r->e = (struct tree_entry){
		.path = r->e.path, .type = ENTRY_DIR, .mode = 0755, .implied = true};
	r->seq = ++s->seq;
}

/* Put the target of a link before what is left of a path. */
static void push_target(struct strbuf *rest, const char *target, const char *after)
{
	auto_free char *copy = xstrdup(after);

	strbuf_reset(rest);
	strbuf_puts(rest, target);
	strbuf_putc(rest, '/');
	strbuf_puts(rest, copy);
}

/*
 * Step from the directory in out into the component name. Returns 1 when it was a link, whose
 * target is then *ret_link, 0 when out is now the directory below, or -1 and *err.
 */
static int step_into(struct index_sink *s, struct strbuf *out, uint64_t *cleared, const char *name,
	size_t len, bool create, const char **ret_link, struct err *err)
{
	size_t before = out->len;
	struct record *r;

	if (before > 0)
		strbuf_putc(out, '/');
	strbuf_add(out, name, len);
	r = find_record(s, out->buf, out->len);
	if (!r || r->seq < *cleared) {
		if (!create)
			return 0;
		if (!r)
			r = add_record(s, out->buf, out->len, err);
		if (!r)
			return -1;
		make_implied(s, r);
	}
	if (r->e.type == ENTRY_SYMLINK) {
		*ret_link = r->e.link;
		strbuf_setlen(out, before);
		return 1;
	}
	if (r->e.type == ENTRY_WHITEOUT && create)
		make_implied(s, r); /* hidden below and made anew: opaque, as whited is set */
	if (r->e.type != ENTRY_DIR && create)
		return err_set(err, ERR_INPUT,
			"'%s' is a %s of the same layer and cannot hold entries", out->buf,
			entry_type_name(r->e.type));
	if (r->cleared > *cleared)
		*cleared = r->cleared;
	return 0;
}

/*
 * Where the directory dir is, links of this layer followed; missing ones are made (create) or kept
 * as they stand. The result is in s->parent, what was cleared above it in s->parent_cleared.
 */
static int enter_dir(
	struct index_sink *s, const char *dir, size_t dir_len, bool create, struct err *err)
{
	auto_strbuf rest = STRBUF_INIT;
	const char *p, *link = NULL;
	unsigned links = 0;

	if (s->parent_known && s->parent_raw.len == dir_len &&
		memcmp(s->parent_raw.buf, dir, dir_len) == 0)
		return 0;
	s->parent_known = false;
	strbuf_reset(&s->parent);
	s->parent_cleared = s->records[0].cleared;
	strbuf_add(&rest, dir, dir_len);
	p = rest.buf;
	for (;;) {
		size_t n;
		int step;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 0)
			break;
		if (n == 1 && p[0] == '.') {
			p += n;
			continue;
		}
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			strbuf_setlen(&s->parent, tree_parent_len(s->parent.buf));
			p += n;
			continue;
		}
		step = step_into(s, &s->parent, &s->parent_cleared, p, n, create, &link, err);
		if (step < 0)
			return -1;
		if (step == 1) {
			if (++links > LAYER_LINKS_MAX)
				return err_set(err, ERR_INPUT, "too many symbolic links in '%.*s'",
					(int)dir_len, dir);
			push_target(&rest, link, p + n);
			p = rest.buf;
			if (link[0] == '/') {
				strbuf_reset(&s->parent);
				s->parent_cleared = s->records[0].cleared;
			}
			continue;
		}
		p += n;
	}
	if (!tree_path_valid(s->parent.buf))
		return err_set(err, ERR_INPUT, "'%.*s' leads to a path that is too long",
			(int)dir_len, dir);
	if (create) {
		strbuf_reset(&s->parent_raw);
		strbuf_add(&s->parent_raw, dir, dir_len);
		s->parent_known = true;
	}
	return 0;
}

/* The path of an entry with its directory resolved: valid until the next call. */
static int enter_path(
	struct index_sink *s, const char *path, bool create, struct strbuf *out, struct err *err)
{
	if (enter_dir(s, path, tree_parent_len(path), create, err) < 0)
		return -1;
	strbuf_reset(out);
	strbuf_puts(out, s->parent.buf);
	if (out->len > 0)
		strbuf_putc(out, '/');
	strbuf_puts(out, path_base(path));
	if (!create)
		s->parent_known =
			false; /* a path looked at without making it is not one to go on with */
	if (!tree_path_valid(out->buf))
		return err_set(err, ERR_INPUT, "'%s' leads to a path that is too long", path);
	return 0;
}

static const struct tree_xattr *copy_xattrs(struct index_sink *s, const struct tree_entry *e)
{
	struct tree_xattr *copy;

	if (e->nxattrs == 0)
		return NULL;
	copy = arena_alloc(&s->arena, e->nxattrs * sizeof(*copy));
	for (size_t i = 0; i < e->nxattrs; i++) {
		void *value = arena_alloc(&s->arena, e->xattrs[i].len ? e->xattrs[i].len : 1);

		memcpy(value, e->xattrs[i].value, e->xattrs[i].len);
		copy[i] = (struct tree_xattr){
			.name = arena_strdup(&s->arena, e->xattrs[i].name),
			.value = value,
			.len = e->xattrs[i].len,
		};
	}
	return copy;
}

/* Mark the directory dir, all of it followed, as opaque. */
static int take_opaque_marker(struct index_sink *s, const char *dir, struct err *err)
{
	struct record *r;

	if (enter_dir(s, dir, strlen(dir), true, err) < 0)
		return -1;
	r = find_record(s, s->parent.buf, s->parent.len);
	r->e.opaque = true;
	return 0;
}

static int take_link(
	struct index_sink *s, const struct tree_entry *e, struct tree_entry *copy, struct err *err)
{
	auto_strbuf target = STRBUF_INIT;
	struct record *r;

	if (e->type == ENTRY_SYMLINK) {
		copy->link = arena_strdup(&s->arena, e->link);
		return 0;
	}
	if (enter_path(s, e->link, false, &target, err) < 0)
		return -1;
	r = find_record(s, target.buf, target.len);
	if (r && r->e.type == ENTRY_SYMLINK) {
		/* another name of a link is as good a link, and one that everybody understands */
		const char *path = copy->path;

		*copy = r->e;
		copy->path = path;
		return 0;
	}
	if (r && r->e.type == ENTRY_HARDLINK)
		copy->link = r->e.link;
	else
		copy->link = arena_strndup(&s->arena, target.buf, target.len);
	if (r)
		r->linked = true;
	return 0;
}

/* Put the entry at the resolved path; returns its record, or NULL and *err. */
static struct record *take_entry(struct index_sink *s, const char *path, size_t len,
	const struct tree_entry *e, struct err *err)
{
	struct record *r = find_record(s, path, len);
	bool live = r && (len == 0 || r->seq >= s->parent_cleared);
	struct tree_entry copy = *e;

	if (e->type == ENTRY_WHITEOUT && live) {
		r->whited = true;
		return r;
	}
	if (live && r->linked && e->type != ENTRY_WHITEOUT) {
		err_set(err, ERR_INPUT, "'%s' comes again after a hard link to it", path);
		return NULL;
	}
	if (!r)
		r = add_record(s, path, len, err);
	if (!r)
		return NULL;
	copy.path = r->e.path;
	copy.link = NULL;
	if (e->link) {
		size_t at = (size_t)(r - s->records);

		if (take_link(s, e, &copy, err) < 0)
			return NULL;
		r = &s->records[at];
	}
	if (e->type == ENTRY_DIR && live && r->e.type == ENTRY_DIR)
		copy.opaque = copy.opaque || r->e.opaque;
	else if (e->type != ENTRY_DIR && live && r->e.type == ENTRY_DIR)
		r->cleared = ++s->seq;
	if (live && r->e.type != e->type)
		s->parent_known = false; /* it may have been a part of that path */
	if (copy.type != ENTRY_SYMLINK || e->type == ENTRY_SYMLINK)
		copy.xattrs = copy_xattrs(s, e);
	r->e = copy;
	r->seq = ++s->seq;
	r->linked = false;
	if (e->type == ENTRY_WHITEOUT)
		r->whited = true;
	return r;
}

static int sink_entry(struct tree_sink *sink, const struct tree_entry *e, struct err *err)
{
	struct index_sink *s = (struct index_sink *)sink;
	auto_strbuf path = STRBUF_INIT;
	struct record *r;

	if (e->type == ENTRY_WHITEOUT && e->opaque)
		return take_opaque_marker(s, e->path, err);
	if (e->path[0] == '\0') {
		if (e->type != ENTRY_DIR)
			return err_set(err, ERR_INPUT, "the root of a layer must be a directory");
	} else if (enter_path(s, e->path, true, &path, err) < 0) {
		return -1;
	}
	if (s->hash && s->pending > 0)
		return err_set(err, ERR_INPUT, "contents are missing before '%s'", e->path);
	r = take_entry(s, path.buf, path.len, e, err);
	if (!r)
		return -1;
	s->current = (size_t)(r - s->records);
	s->pending = 0;
	if (s->hash && e->type == ENTRY_FILE && !e->has_digest) {
		s->pending = e->size;
		if (e->size == 0) {
			sha256_end(s->hash, r->e.digest);
			r->e.has_digest = true;
		}
	}
	return 0;
}

static int sink_data(struct tree_sink *sink, const void *data, size_t n, struct err *err)
{
	struct index_sink *s = (struct index_sink *)sink;
	struct record *r = &s->records[s->current];

	if (!s->hash || r->e.has_digest || n == 0)
		return 0;
	if (n > s->pending)
		return err_set(err, ERR_INPUT, "'%s' has more contents than its size", r->e.path);
	sha256_add(s->hash, data, n);
	s->pending -= n;
	if (s->pending == 0) {
		sha256_end(s->hash, r->e.digest);
		r->e.has_digest = true;
	}
	return 0;
}

/* ---- finishing ---- */

static int compare_records(const void *pa, const void *pb)
{
	const struct record *a = *(struct record *const *)pa, *b = *(struct record *const *)pb;

	return path_compare(a->e.path, b->e.path);
}

struct above {
	const struct record *record;
	uint64_t cleared;
	bool opaque;
};

/* Drop what was removed, and whiteouts that an opaque directory makes pointless; sorted holds
 * s->len. */
static void settle_records(struct record **sorted, size_t len)
{
	struct above up[LAYER_DEPTH_MAX + 2];
	size_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		struct record *r = sorted[i];
		const struct above *top;

		while (depth > 1) {
			size_t n = strlen(up[depth - 1].record->e.path);

			if (strncmp(r->e.path, up[depth - 1].record->e.path, n) == 0 &&
				r->e.path[n] == '/')
				break;
			depth--;
		}
		top = depth ? &up[depth - 1] : NULL;
		if (top &&
			(r->seq < top->cleared || (r->e.type == ENTRY_WHITEOUT && top->opaque))) {
			r->dropped = true;
			/* it still stands between: what is below it was dropped for the same reason
			 */
			if (r->e.type == ENTRY_WHITEOUT)
				continue;
		}
		if (r->e.type == ENTRY_DIR && r->whited)
			r->e.opaque = true;
		up[depth++] = (struct above){
			.record = r,
			.cleared = top && top->cleared > r->cleared ? top->cleared : r->cleared,
			.opaque = (top && top->opaque) || (r->e.type == ENTRY_DIR && r->e.opaque),
		};
	}
}

/*
 * The first name of a file in the order of a layer is the file, the others are links to it,
 * whatever the archive had: only so can a layer be written from the index. A link takes over the
 * metadata of its file.
 */
static int settle_links(struct index_sink *s, struct record **sorted, size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++) {
		struct record *r = sorted[i], *target;
		struct tree_entry e;

		if (r->e.type != ENTRY_HARDLINK || r->dropped)
			continue;
		target = find_record(s, r->e.link, strlen(r->e.link));
		/* the target may have become a link to an earlier name itself */
		if (target && target->e.type == ENTRY_HARDLINK && !target->dropped) {
			r->e.link = target->e.link;
			target = find_record(s, r->e.link, strlen(r->e.link));
		}
		if (!target)
			continue; /* in a lower layer */
		if (target == r || target->dropped || target->e.type == ENTRY_DIR)
			return err_set(err, ERR_INPUT,
				"the hard link '%s' points at '%s', which is no file", r->e.path,
				r->e.link);
		e = target->e;
		if (e.type == ENTRY_WHITEOUT || e.type == ENTRY_HARDLINK)
			continue;
		if (tree_order(&r->e, &target->e) < 0) {
			e.path = r->e.path;
			target->e.type = ENTRY_HARDLINK;
			target->e.link = r->e.path;
			target->e.size = 0;
			target->e.has_digest = false;
			r->e = e;
			continue;
		}
		e.path = r->e.path;
		e.link = target->e.path;
		e.type = ENTRY_HARDLINK;
		e.size = 0;
		e.has_digest = false;
		r->e = e;
	}
	return 0;
}

static uint64_t put_string(struct strbuf *strings, const char *str, size_t len)
{
	uint64_t at = strings->len;

	strbuf_add(strings, str, len);
	strbuf_putc(strings, '\0');
	return at;
}

static void encode_record(
	struct index_record *out, const struct tree_entry *e, struct strbuf *strings)
{
	size_t path_len = strlen(e->path), link_len = e->link ? strlen(e->link) : 0;

	memset(out, 0, sizeof(*out));
	out->path_off = htole64(put_string(strings, e->path, path_len));
	out->path_len = htole32((uint32_t)path_len);
	if (e->link) {
		out->link_off = htole64(put_string(strings, e->link, link_len));
		out->link_len = htole32((uint32_t)link_len);
		out->flags |= INDEX_LINK;
	}
	if (e->type == ENTRY_FILE)
		out->size = htole64(e->size);
	out->mtime = htole64((uint64_t)e->mtime);
	out->mtime_ns = htole32(e->mtime_ns);
	out->uid = htole32(e->uid);
	out->gid = htole32(e->gid);
	out->mode = htole16(e->mode & 07777);
	out->type = (uint8_t)e->type;
	if (e->type == ENTRY_DIR && e->opaque)
		out->flags |= INDEX_OPAQUE;
	if (e->type == ENTRY_DIR && e->implied)
		out->flags |= INDEX_IMPLIED;
	out->major = htole32(e->major);
	out->minor = htole32(e->minor);
	out->offset = htole64(e->offset);
	if (e->type == ENTRY_FILE && e->has_digest) {
		out->flags |= INDEX_DIGEST;
		memcpy(out->digest, e->digest, sizeof(out->digest));
	}
}

static void encode_xattrs(const struct tree_entry *e, struct strbuf *table, struct strbuf *strings)
{
	for (size_t i = 0; i < e->nxattrs; i++) {
		const struct tree_xattr *x = &e->xattrs[i];
		size_t name_len = strlen(x->name);
		struct index_xattr out = {
			.name_off = htole64(put_string(strings, x->name, name_len)),
			.name_len = htole32((uint32_t)name_len),
			.value_off = htole64(strings->len),
			.value_len = htole32((uint32_t)x->len),
		};

		strbuf_add(strings, x->value, x->len);
		strbuf_add(table, &out, sizeof(out));
	}
}

/* Make the bytes of the index from the records in order. */
static void encode(struct index_sink *s, struct record **sorted, size_t len)
{
	auto_strbuf xattrs = STRBUF_INIT, strings = STRBUF_INIT;
	struct index_header h = {.version = htole32(INDEX_VERSION)};
	struct index_record *records = xcalloc(len, sizeof(*records));
	uint64_t n = 0, nx = 0, total = 0;
	uint32_t flags = 0, highest = 0;
	uint8_t *p;

	for (size_t i = 0; i < len; i++) {
		const struct tree_entry *e = &sorted[i]->e;

		if (sorted[i]->dropped)
			continue;
		encode_record(&records[n], e, &strings);
		records[n].xattr_first = htole32((uint32_t)nx);
		records[n].nxattrs = htole32((uint32_t)e->nxattrs);
		encode_xattrs(e, &xattrs, &strings);
		nx += e->nxattrs;
		n++;
		if (e->type == ENTRY_FILE)
			total += e->size;
		if (e->type == ENTRY_WHITEOUT)
			flags |= INDEX_HAS_WHITEOUTS;
		if (index_counts_as_device(e))
			flags |= INDEX_HAS_DEVICES;
		if (e->uid > highest)
			highest = e->uid;
		if (e->gid > highest)
			highest = e->gid;
	}
	memcpy(h.magic, INDEX_MAGIC, sizeof(h.magic));
	h.records = htole64(n);
	h.xattrs = htole64(nx);
	h.strings = htole64(strings.len);
	h.total_size = htole64(total);
	h.flags = htole32(flags);
	h.highest_id = htole32(highest);
	s->out_len = sizeof(h) + n * sizeof(*records) + xattrs.len + strings.len;
	s->out = p = xmalloc(s->out_len);
	p += sizeof(h);
	memcpy(p, records, n * sizeof(*records));
	p += n * sizeof(*records);
	memcpy(p, xattrs.buf, xattrs.len);
	memcpy(p + xattrs.len, strings.buf, strings.len);
	h.crc = htole32(index_crc(s->out + sizeof(h), s->out_len - sizeof(h)));
	memcpy(s->out, &h, sizeof(h));
	free(records);
}

static int sink_finish(struct tree_sink *sink, struct err *err)
{
	struct index_sink *s = (struct index_sink *)sink;
	auto_free struct record **sorted = xcalloc(s->len, sizeof(struct record *));

	if (s->hash && s->pending > 0)
		return err_set(err, ERR_INPUT, "contents are missing at the end");
	for (size_t i = 0; i < s->len; i++)
		sorted[i] = &s->records[i];
	qsort(sorted, s->len, sizeof(struct record *), compare_records);
	settle_records(sorted, s->len);
	if (settle_links(s, sorted, s->len, err) < 0)
		return -1;
	free(s->out);
	encode(s, sorted, s->len);
	return 0;
}

struct index_sink *index_sink_new(unsigned flags)
{
	struct index_sink *s = xcalloc(1, sizeof(*s));
	struct err ignored = ERR_INIT;

	s->sink = (struct tree_sink){.entry = sink_entry, .data = sink_data, .finish = sink_finish};
	s->flags = flags;
	s->parent_raw = (struct strbuf)STRBUF_INIT;
	s->parent = (struct strbuf)STRBUF_INIT;
	keymap_init(&s->map);
	if (flags & INDEX_DIGESTS)
		s->hash = sha256_new();
	make_implied(s, add_record(s, "", 0, &ignored));
	return s;
}

void index_sink_free(struct index_sink *s)
{
	if (!s)
		return;
	keymap_release(&s->map);
	arena_release(&s->arena);
	strbuf_release(&s->parent_raw);
	strbuf_release(&s->parent);
	sha256_free(s->hash);
	free(s->records);
	free(s->out);
	free(s);
}

struct tree_sink *index_sink_of(struct index_sink *s)
{
	return &s->sink;
}

int index_save(struct index_sink *s, int fd, struct err *err)
{
	if (write_all(fd, s->out, s->out_len) < 0)
		return err_sys(err, "cannot write the tree index");
	return 0;
}

struct tree_index *index_of_sink(struct index_sink *s)
{
	struct err err = ERR_INIT;
	struct tree_index *ix = index_from_bytes(s->out, s->out_len, &err);

	if (!ix)
		abort(); /* a bug: we do not read what we wrote */
	return ix;
}
