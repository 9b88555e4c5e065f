#include "layer/tar_check.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "layer/bounds.h"
#include "layer/pax_internal.h"
#include "layer/tar_internal.h"

/* What the kernel can encode (Linux dev_t: 12 and 20 bits). */
#define MAJOR_MAX 0xfffu
#define MINOR_MAX 0xfffffu

enum state {
	STATE_HEADER,
	STATE_META,    /* collecting the body of an extension header */
	STATE_BODY,    /* skipping a body or padding */
	STATE_MAP,     /* in front of a record of a sparse member's map */
	STATE_ZERO,    /* one zero record was seen */
	STATE_TRAILER, /* the end mark was seen */
};

struct member {
	struct member *next;
	struct tree_entry e; /* strings in text, xattrs and extents owned as in struct pax */
	struct pax pax;
	uint64_t body; /* its bytes: those of the map of PAX 1.0 too until this is read */
	char *raw;
	char text[]; /* path, link and raw name */
};

struct tar_check {
	enum state state;
	uint64_t offset; /* of the next byte */
	uint8_t record[TAR_RECORD];
	size_t filled;	    /* bytes of record */
	uint64_t header_at; /* offset of the current header */
	uint64_t skip;	    /* bytes of body and padding to pass over */

	char meta_type;
	struct strbuf meta; /* its body so far */
	uint64_t meta_left; /* bytes of body that are still to come */
	unsigned meta_run;  /* extension headers since the last member */
	struct pax pax;	    /* for the next member */
	bool has_pax, has_name, has_link;
	struct strbuf gnu_name, gnu_link;

	bool after_link; /* the member before was a hard link with a size: a hint for errors */
	uint64_t count, meta_bytes;
	uint64_t sparse_max, sparse_size; /* bytes of sparse files: what there may be, what was */
	struct member *first, **last, *current;
	struct member *pending; /* not queued yet: in the making, or its map is not whole */
};

/* A header with its numbers decoded. */
struct decoded {
	int64_t mode, uid, gid, size, mtime, major, minor;
	bool posix, star;
};

static void member_free(struct member *m)
{
	if (!m)
		return;
	pax_release(&m->pax);
	free(m);
}

struct tar_check *tar_check_new(uint64_t sparse_max)
{
	struct tar_check *c = xcalloc(1, sizeof(*c));

	c->sparse_max = sparse_max;
	c->meta = c->gnu_name = c->gnu_link = (struct strbuf)STRBUF_INIT;
	c->last = &c->first;
	return c;
}

void tar_check_free(struct tar_check *c)
{
	if (!c)
		return;
	while (c->first) {
		struct member *m = c->first;

		c->first = m->next;
		member_free(m);
	}
	member_free(c->current);
	member_free(c->pending);
	pax_release(&c->pax);
	strbuf_release(&c->meta);
	strbuf_release(&c->gnu_name);
	strbuf_release(&c->gnu_link);
	free(c);
}

static int bad(const struct tar_check *c, struct err *err, const char *why)
{
	return err_set(err, ERR_INPUT, "tar header at offset %llu: %s",
		(unsigned long long)c->header_at, why);
}

/* ---- numbers ---- */

static int parse_base256(const uint8_t *p, size_t n, int64_t *ret)
{
	bool negative = p[0] & 0x40;
	/* the first byte without its mark, the sign carried through it */
	__int128 v = negative ? (__int128)(p[0] & 0x3f) - 0x40 : p[0] & 0x3f;

	for (size_t i = 1; i < n; i++) {
		v = v * 256 + p[i];
		if (v > INT64_MAX || v < INT64_MIN)
			return -1;
	}
	*ret = (int64_t)v;
	return 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\0';
}

int tar_parse_number(const char *field, size_t n, int64_t *ret)
{
	const uint8_t *p = (const uint8_t *)field, *end = p + n;
	int64_t v = 0;

	if (p[0] & 0x80)
		return parse_base256(p, n, ret);
	while (p < end && is_blank(*p))
		p++;
	while (end > p && is_blank(end[-1]))
		end--;
	for (; p < end; p++) {
		if (*p < '0' || *p > '7')
			return -1;
		v = v * 8 + (*p - '0');
	}
	*ret = v;
	return 0;
}

static int decode(
	const struct tar_check *c, const struct tar_header *h, struct decoded *d, struct err *err)
{
	d->posix = memcmp(h->magic, "ustar\0", 6) == 0;
	d->star = d->posix && memcmp((const char *)h + 508, "tar\0", 4) == 0;
	if (tar_parse_number(h->mode, sizeof(h->mode), &d->mode) < 0)
		return bad(c, err, "the mode is no number");
	if (tar_parse_number(h->uid, sizeof(h->uid), &d->uid) < 0 || d->uid < 0 || d->uid >= UINT32_MAX)
		return bad(c, err, "the uid is no number in range");
	if (tar_parse_number(h->gid, sizeof(h->gid), &d->gid) < 0 || d->gid < 0 || d->gid >= UINT32_MAX)
		return bad(c, err, "the gid is no number in range");
	if (tar_parse_number(h->size, sizeof(h->size), &d->size) < 0 || d->size < 0)
		return bad(c, err, "the size is no number in range");
	if (tar_parse_number(h->mtime, sizeof(h->mtime), &d->mtime) < 0)
		return bad(c, err, "the time is no number in range");
	d->major = d->minor = 0;
	if (h->type != '3' && h->type != '4')
		return 0;
	if (tar_parse_number(h->devmajor, sizeof(h->devmajor), &d->major) < 0 || d->major < 0 ||
		d->major > MAJOR_MAX ||
		tar_parse_number(h->devminor, sizeof(h->devminor), &d->minor) < 0 || d->minor < 0 ||
		d->minor > MINOR_MAX)
		return bad(c, err, "the device number is out of range");
	return 0;
}

static bool checksum_ok(const struct tar_header *h)
{
	const uint8_t *p = (const uint8_t *)h;
	int64_t want = 0, plain = 0, with_sign = 0;

	if (tar_parse_number(h->checksum, sizeof(h->checksum), &want) < 0)
		return false;
	for (size_t i = 0; i < TAR_RECORD; i++) {
		bool field = i - TAR_CHECKSUM_OFFSET < TAR_CHECKSUM_SIZE;

		plain += field ? ' ' : p[i];
		with_sign += field ? ' ' : (int8_t)p[i];
	}
	return want == plain || want == with_sign; /* some old writers summed signed bytes */
}

/* ---- names ---- */

/*
 * Clean name into out (room for strlen + 1), as 2.3 says. *ret_slash: it ended with a slash.
 * Returns NULL, or why it is refused.
 */
static const char *clean_name(const char *name, char *out, bool *ret_slash)
{
	size_t len = strlen(name), depth = 0;
	const char *p = name;
	char *q = out;

	if (len == 0)
		return "an empty name";
	if (len > LAYER_PATH_MAX)
		return "a name of more than 4096 bytes";
	*ret_slash = name[len - 1] == '/';
	for (;;) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 0)
			break;
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return "a name with '..'";
		if (n > LAYER_NAME_MAX)
			return "a name with a component of more than 255 bytes";
		if (n == 1 && p[0] == '.') {
			p += n;
			continue;
		}
		if (++depth > LAYER_DEPTH_MAX)
			return "a name of more than 256 components";
		if (q > out)
			*q++ = '/';
		memcpy(q, p, n);
		q += n;
		p += n;
	}
	*q = '\0';
	return NULL;
}

static int refuse_name(const char *name, const char *why, const char *what, struct err *err)
{
	return err_set(err, ERR_INPUT, "%s%.256s': %s", what, name, why);
}

/* ---- members ---- */

/* The name of the header itself, from its fields. */
static void header_name(const struct tar_header *h, const struct decoded *d, struct strbuf *out)
{
	size_t prefix_max = d->star ? 131 : sizeof(h->prefix);

	if (d->posix && h->prefix[0]) {
		strbuf_add(out, h->prefix, strnlen(h->prefix, prefix_max));
		strbuf_putc(out, '/');
	}
	strbuf_add(out, h->name, strnlen(h->name, sizeof(h->name)));
}

/* The name that counts: PAX, else GNU, else the header; two that differ are refused. */
static int choose(const char *pax, bool has_gnu, const struct strbuf *gnu, struct strbuf *name,
	const char *what, struct err *err)
{
	if (pax && has_gnu && strcmp(pax, gnu->buf) != 0)
		return err_set(err, ERR_INPUT,
			"tar member '%.256s': PAX and GNU headers give it two different %s", pax,
			what);
	if (!pax && !has_gnu)
		return 0;
	strbuf_reset(name);
	strbuf_puts(name, pax ? pax : gnu->buf);
	return 0;
}

static int entry_type(
	const struct tar_check *c, char type, bool slash, enum entry_type *ret, struct err *err)
{
	switch (type) {
	case '\0':
		*ret = slash ? ENTRY_DIR : ENTRY_FILE;
		return 0;
	case '0':
	case '7':
	case 'S':
		*ret = ENTRY_FILE;
		return 0;
	case '1':
		*ret = ENTRY_HARDLINK;
		return 0;
	case '2':
		*ret = ENTRY_SYMLINK;
		return 0;
	case '3':
		*ret = ENTRY_CHAR;
		return 0;
	case '4':
		*ret = ENTRY_BLOCK;
		return 0;
	case '5':
		*ret = ENTRY_DIR;
		return 0;
	case '6':
		*ret = ENTRY_FIFO;
		return 0;
	}
	return err_set(err, ERR_INPUT,
		"tar header at offset %llu: members of type 0x%02x are not allowed in a layer",
		(unsigned long long)c->header_at, (unsigned char)type);
}

static int check_link(struct member *m, const char *link, char *out, struct err *err)
{
	const char *why;
	bool slash;

	if (m->e.type == ENTRY_SYMLINK) {
		if (link[0] == '\0')
			return refuse_name(
				m->raw, "a symbolic link without a target", "tar member '", err);
		if (strlen(link) > LAYER_LINK_MAX)
			return refuse_name(m->raw, "a link target of more than 4095 bytes",
				"tar member '", err);
		memcpy(out, link, strlen(link) + 1);
		return 0;
	}
	why = clean_name(link, out, &slash);
	if (!why && out[0] == '\0')
		why = "a directory as the target";
	if (!why && strcmp(out, m->e.path) == 0)
		why = "a hard link to itself";
	if (why)
		return err_set(
			err, ERR_INPUT, "hard link '%.256s' to '%.256s': %s", m->raw, link, why);
	return 0;
}

/* What is wrong with a member of that type and name, or NULL. */
static const char *check_kind(const struct member *m, bool slash)
{
	if (m->e.path[0] == '\0' && m->e.type != ENTRY_DIR)
		return "the root of a layer must be a directory";
	if (slash && m->e.type != ENTRY_DIR)
		return "a name that ends with a slash and is no directory";
	if (m->e.type == ENTRY_CHAR && m->e.major == 0 && m->e.minor == 0)
		return "character device 0:0 would be a whiteout of overlayfs";
	return NULL;
}

static int add_meta(struct tar_check *c, size_t n, struct err *err)
{
	c->meta_bytes += n;
	if (c->meta_bytes > LAYER_META_MAX)
		return err_set(err, ERR_INPUT, "the names of the layer take more than %llu bytes",
			LAYER_META_MAX);
	return 0;
}

static int check_total(struct tar_check *c, size_t names, struct err *err)
{
	if (++c->count > LAYER_ENTRIES_MAX)
		return err_set(
			err, ERR_INPUT, "the layer has more than %u members", LAYER_ENTRIES_MAX);
	for (size_t i = 0; i < c->pax.nxattrs; i++)
		names += c->pax.xattrs[i].len;
	return add_meta(c, names, err);
}

static void fill_entry(struct tar_check *c, struct member *m, const struct decoded *d)
{
	const struct pax *x = &c->pax;

	m->e.mode = m->e.type == ENTRY_SYMLINK ? 0777 : (uint32_t)d->mode & 07777;
	m->e.uid = x->has_uid ? x->uid : (uint32_t)d->uid;
	m->e.gid = x->has_gid ? x->gid : (uint32_t)d->gid;
	m->e.mtime = x->has_mtime ? x->mtime : d->mtime;
	m->e.mtime_ns = x->has_mtime ? x->mtime_ns : 0;
	m->e.major = (uint32_t)d->major;
	m->e.minor = (uint32_t)d->minor;
	m->e.offset = c->offset;
	m->pax = c->pax;
	c->pax = (struct pax)PAX_INIT;
	m->e.xattrs = m->pax.xattrs;
	m->e.nxattrs = m->pax.nxattrs;
}

static void queue_member(struct tar_check *c, struct member *m)
{
	*c->last = m;
	c->last = &m->next;
	c->skip = m->body + tar_padding(m->body);
	c->state = c->skip > 0 ? STATE_BODY : STATE_HEADER;
}

/* The map of c->pending is whole, or wrong. */
static int end_map(struct tar_check *c, struct err *err)
{
	struct member *m = c->pending;
	struct sparse *s = &m->pax.sparse;
	const char *why = sparse_end(s, m->body);

	if (why)
		return refuse_name(m->raw, why, "sparse tar member '", err);
	if (s->real_size > c->sparse_max - c->sparse_size)
		return refuse_name(m->raw, "larger, with those before it, than any layer may be",
			"sparse tar member '", err);
	c->sparse_size += s->real_size;
	if (add_meta(c, s->n * sizeof(*s->map), err) < 0)
		return -1;
	m->e.size = s->real_size;
	m->e.extents = s->map;
	m->e.nextents = s->n;
	m->e.offset = c->offset;
	c->pending = NULL;
	queue_member(c, m);
	return 0;
}

/* The header h of the sparse member c->pending came. */
static int begin_map(struct tar_check *c, const struct tar_header *h, struct err *err)
{
	struct member *m = c->pending;
	struct sparse *s = &m->pax.sparse;

	if (c->sparse_max == 0)
		return err_set(err, ERR_UNSUPPORTED,
			"tar member '%.256s': sparse members are not supported in layers", m->raw);
	sparse_begin(s, h);
	c->state = STATE_MAP;
	return s->more && !s->wrong ? 0 : end_map(c, err);
}

static int take_map_record(struct tar_check *c, struct err *err)
{
	struct member *m = c->pending;
	struct sparse *s = &m->pax.sparse;

	if (s->seen && m->body < TAR_RECORD)
		return refuse_name(m->raw, "its map is longer than it", "sparse tar member '", err);
	if (s->seen)
		m->body -= TAR_RECORD;
	sparse_take_record(s, c->record);
	return s->more && !s->wrong ? 0 : end_map(c, err);
}

static int make_member(struct tar_check *c, const struct tar_header *h, const struct decoded *d,
	const char *name, const char *link, struct err *err)
{
	bool slash = false, sparse = h->type == 'S' || c->pax.sparse.seen;
	size_t name_len = strlen(name), link_len = strlen(link);
	struct member *m = xcalloc(1, sizeof(*m) + 2 * name_len + link_len + 3);
	char *path = m->text, *link_out = path + name_len + 1;
	const char *why;

	/* kept at once, so that it is freed in any case; a failure ends everything */
	c->pending = m;
	m->raw = link_out + link_len + 1;
	memcpy(m->raw, name, name_len + 1);
	why = clean_name(name, path, &slash);
	if (why)
		return refuse_name(name, why, "tar member '", err);
	m->e.path = path;
	if (entry_type(c, h->type, slash, &m->e.type, err) < 0 ||
		check_total(c, name_len + link_len, err) < 0)
		return -1;
	if (m->e.type == ENTRY_FILE)
		m->e.size = m->body = c->pax.has_size ? c->pax.size : (uint64_t)d->size;
	else if (c->pax.has_size && c->pax.size > 0)
		return refuse_name(
			name, "a member without contents that has a PAX size", "tar member '", err);
	fill_entry(c, m, d);
	why = check_kind(m, slash);
	if (why)
		return refuse_name(name, why, "tar member '", err);
	if (m->e.type == ENTRY_SYMLINK || m->e.type == ENTRY_HARDLINK) {
		if (check_link(m, link, link_out, err) < 0)
			return -1;
		m->e.link = link_out;
	}
	c->after_link = m->e.type == ENTRY_HARDLINK && d->size > 0;
	if (m->body > LAYER_SIZE_MAX)
		return refuse_name(
			name, "a member larger than any layer may be", "tar member '", err);
	if (sparse)
		return begin_map(c, h, err);
	c->pending = NULL;
	queue_member(c, m);
	return 0;
}

static int take_member(
	struct tar_check *c, const struct tar_header *h, const struct decoded *d, struct err *err)
{
	auto_strbuf name = STRBUF_INIT, link = STRBUF_INIT;

	header_name(h, d, &name);
	strbuf_add(&link, h->linkname, strnlen(h->linkname, sizeof(h->linkname)));
	if (choose(c->pax.sparse.name ? c->pax.sparse.name : c->pax.path, c->has_name, &c->gnu_name,
		    &name, "names", err) < 0 ||
		choose(c->pax.link, c->has_link, &c->gnu_link, &link, "link targets", err) < 0)
		return -1;
	if (make_member(c, h, d, name.buf, link.buf, err) < 0)
		return -1;
	pax_release(&c->pax);
	c->has_pax = c->has_name = c->has_link = false;
	c->meta_run = 0;
	return 0;
}

/* ---- extension headers ---- */

static int begin_meta(
	struct tar_check *c, const struct tar_header *h, const struct decoded *d, struct err *err)
{
	bool pax = h->type == 'x' || h->type == 'X' || h->type == 'g';
	uint64_t max = pax ? LAYER_PAX_MAX : LAYER_GNU_LONG_MAX;

	if (++c->meta_run > LAYER_META_RUN_MAX)
		return bad(c, err, "too many extension headers in front of one member");
	if (pax && h->type != 'g') {
		if (c->has_pax)
			return bad(c, err, "two PAX headers in front of one member");
		c->has_pax = true;
	}
	if ((uint64_t)d->size > max)
		return bad(c, err, "an extension header larger than allowed");
	c->meta_type = h->type;
	c->meta_left = (uint64_t)d->size;
	c->skip = tar_padding(c->meta_left);
	strbuf_reset(&c->meta);
	c->state = STATE_META;
	return 0;
}

static int take_long_name(struct tar_check *c, struct strbuf *out, bool *has, struct err *err)
{
	size_t n = strlen(c->meta.buf);

	/* one NUL or more end it, nothing else may follow */
	for (size_t i = n; i < c->meta.len; i++)
		if (c->meta.buf[i] != '\0')
			return bad(c, err, "a GNU long name holds a NUL byte");
	if (n == 0)
		return bad(c, err, "a GNU long name is empty");
	strbuf_reset(out);
	strbuf_add(out, c->meta.buf, n);
	*has = true;
	return 0;
}

static int end_meta(struct tar_check *c, struct err *err)
{
	c->state = c->skip > 0 ? STATE_BODY : STATE_HEADER;
	switch (c->meta_type) {
	case 'x':
	case 'X':
		if (pax_parse(&c->pax, c->meta.buf, c->meta.len, err) < 0)
			return err_wrap(
				err, "tar header at offset %llu", (unsigned long long)c->header_at);
		return 0;
	case 'g':
		if (pax_check_global(c->meta.buf, c->meta.len, err) < 0)
			return err_wrap(
				err, "tar header at offset %llu", (unsigned long long)c->header_at);
		return 0;
	case 'L':
		return take_long_name(c, &c->gnu_name, &c->has_name, err);
	case 'K':
		return take_long_name(c, &c->gnu_link, &c->has_link, err);
	}
	return 0;
}

/* ---- records ---- */

static bool dangling(const struct tar_check *c)
{
	return c->has_pax || c->has_name || c->has_link;
}

static bool is_zero(const uint8_t *p)
{
	static const uint8_t zero[TAR_RECORD];

	return memcmp(p, zero, sizeof(zero)) == 0;
}

static int take_record(struct tar_check *c, struct err *err)
{
	struct tar_header h;
	struct decoded d;

	if (is_zero(c->record)) {
		if (dangling(c))
			return bad(c, err, "an extension header without a member");
		c->state = c->state == STATE_ZERO ? STATE_TRAILER : STATE_ZERO;
		return 0;
	}
	if (c->state == STATE_ZERO)
		return bad(c, err, "one zero record that is not followed by a second");
	memcpy(&h, c->record, sizeof(h));
	if (!checksum_ok(&h))
		return bad(c, err,
			c->after_link
				? "the checksum is wrong; does data follow the hard link before it?"
				: "the checksum is wrong");
	if (decode(c, &h, &d, err) < 0)
		return -1;
	switch (h.type) {
	case 'x':
	case 'X':
	case 'g':
	case 'L':
	case 'K':
		return begin_meta(c, &h, &d, err);
	case 'V': /* the label of a volume: nothing to make */
		c->skip = (uint64_t)d.size + tar_padding((uint64_t)d.size);
		c->state = c->skip > 0 ? STATE_BODY : STATE_HEADER;
		if (++c->meta_run > LAYER_META_RUN_MAX)
			return bad(c, err, "too many extension headers in front of one member");
		return 0;
	}
	return take_member(c, &h, &d, err);
}

/* Take what the state can use of n bytes. Returns how many, or -1 and *err. */
static ssize_t feed_some(struct tar_check *c, const uint8_t *p, size_t n, struct err *err)
{
	size_t part;

	switch (c->state) {
	case STATE_TRAILER:
		c->offset += n;
		return (ssize_t)n;
	case STATE_BODY:
		part = c->skip < n ? (size_t)c->skip : n;
		c->skip -= part;
		c->offset += part;
		if (c->skip == 0)
			c->state = STATE_HEADER;
		return (ssize_t)part;
	case STATE_META:
		part = c->meta_left < n ? (size_t)c->meta_left : n;
		strbuf_add(&c->meta, p, part);
		c->meta_left -= part;
		c->offset += part;
		if (c->meta_left == 0 && end_meta(c, err) < 0)
			return -1;
		return (ssize_t)part;
	case STATE_HEADER:
	case STATE_MAP:
	case STATE_ZERO:
		break;
	}
	if (c->filled == 0 && c->state != STATE_MAP)
		c->header_at = c->offset;
	part = TAR_RECORD - c->filled < n ? TAR_RECORD - c->filled : n;
	memcpy(c->record + c->filled, p, part);
	c->filled += part;
	c->offset += part;
	if (c->filled < TAR_RECORD)
		return (ssize_t)part;
	c->filled = 0;
	if (c->state == STATE_MAP)
		return take_map_record(c, err) < 0 ? -1 : (ssize_t)part;
	return take_record(c, err) < 0 ? -1 : (ssize_t)part;
}

int tar_check_feed(struct tar_check *c, const void *data, size_t n, struct err *err)
{
	const uint8_t *p = data;

	while (n > 0) {
		ssize_t used = feed_some(c, p, n, err);

		if (used < 0)
			return -1;
		/* an empty extension header uses nothing, but then the state has moved on */
		p += used;
		n -= (size_t)used;
	}
	return 0;
}

int tar_check_end(struct tar_check *c, struct err *err)
{
	switch (c->state) {
	case STATE_TRAILER:
		return 0;
	case STATE_ZERO:
		return bad(c, err, "one zero record that is not followed by a second");
	case STATE_MAP:
		return refuse_name(c->pending->raw, "the archive ends inside its map",
			"sparse tar member '", err);
	case STATE_BODY:
	case STATE_META:
		return err_set(err, ERR_INPUT, "the layer ends inside the member at offset %llu",
			(unsigned long long)c->header_at);
	case STATE_HEADER:
		break;
	}
	if (c->filled > 0)
		return err_set(err, ERR_INPUT, "the layer ends inside the header at offset %llu",
			(unsigned long long)c->header_at);
	if (dangling(c))
		return bad(c, err, "an extension header without a member");
	if (c->offset > 0)
		log_debug("a layer has no end mark");
	return 0;
}

bool tar_check_next(struct tar_check *c, struct tree_entry *ret)
{
	struct member *m = c->first;

	if (!m)
		return false;
	member_free(c->current);
	c->current = m;
	c->first = m->next;
	if (!c->first)
		c->last = &c->first;
	*ret = m->e;
	return true;
}

const char *tar_check_raw_name(const struct tar_check *c)
{
	return c->current ? c->current->raw : "";
}

uint64_t tar_check_count(const struct tar_check *c)
{
	return c->count;
}
