#include "layer/sparse_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fsutil.h"
#include "base/mem.h"
#include "layer/bounds.h"

#define GNU_PAIRS_AT 386
#define GNU_PAIRS 4
#define GNU_SIZE_AT 483
#define BLOCK_PAIRS 21
#define GNU_NUMBER 12 /* bytes of a number field */

/* Sizes and offsets: what off_t can say. */
#define NUMBER_MAX ((uint64_t)INT64_MAX)

enum {
	KEY_MAJOR = 1 << 0,
	KEY_MINOR = 1 << 1,
	KEY_NAME = 1 << 2,
	KEY_REALSIZE = 1 << 3,
	KEY_SIZE = 1 << 4,
	KEY_NUMBLOCKS = 1 << 5,
	KEY_MAP = 1 << 6,
	KEY_OFFSET = 1 << 7,
	KEY_NUMBYTES = 1 << 8,
	KEY_UNKNOWN = 1 << 9,
};

/* Records of the forms 0.0 and 0.1 alone. */
#define KEYS_0 (KEY_SIZE | KEY_NUMBLOCKS | KEY_MAP | KEY_OFFSET | KEY_NUMBYTES)

static void complain(struct sparse *s, const char *why)
{
	if (!s->wrong)
		s->wrong = why;
}

void sparse_release(struct sparse *s)
{
	free(s->name);
	free(s->map);
	*s = (struct sparse)SPARSE_INIT;
}

/* ---- pairs ---- */

static void add_pair(struct sparse *s, uint64_t offset, uint64_t size)
{
	const struct tree_extent *last = s->n > 0 ? &s->map[s->n - 1] : NULL;

	if (offset > NUMBER_MAX - size) {
		complain(s, "its map goes beyond the end of any file");
	} else if (last && offset < last->offset + last->size) {
		complain(s, "its map overlaps or runs backwards");
	} else {
		GROW(s->map, s->n, s->cap);
		s->map[s->n++] = (struct tree_extent){ offset, size };
		s->data += size; /* no more than the last pair's end */
	}
}

/* A number of a map in text: the offset or the size of a pair. */
static void take_number(struct sparse *s, uint64_t v)
{
	if (s->half)
		add_pair(s, s->offset, v);
	else
		s->offset = v;
	s->half = !s->half;
}

static bool parse(const char *p, size_t n, uint64_t *ret)
{
	char text[sizeof(((struct sparse *)0)->text) + 1];

	if (n >= sizeof(text) || memchr(p, '\0', n))
		return false;
	memcpy(text, p, n);
	text[n] = '\0';
	return parse_u64(text, 0, NUMBER_MAX, ret) == 0;
}

/* ---- PAX records ---- */

static void take_map(struct sparse *s, const char *p, size_t n)
{
	const char *end = p + n;

	for (;;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		uint64_t v;

		if (!parse(p, (size_t)((comma ? comma : end) - p), &v)) {
			complain(s, "its map has something that is no number in range");
			return;
		}
		take_number(s, v);
		if (!comma)
			return;
		p = comma + 1;
	}
}

static unsigned find_key(const char *key, size_t n)
{
	static const char *const names[] = { "major", "minor", "name", "realsize", "size", "numblocks", "map", "offset",
		"numbytes" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && memcmp(names[i], key, n) == 0)
			return 1u << i;
	return KEY_UNKNOWN;
}

void sparse_take_pax(struct sparse *s, const char *key, size_t key_len, const char *value, size_t value_len)
{
	unsigned k = find_key(key, key_len);
	bool pair = k == KEY_OFFSET || k == KEY_NUMBYTES;
	uint64_t v = 0;

	if ((s->seen & k) && !pair)
		complain(s, "a record of its map comes twice");
	s->seen |= k;
	if (k == KEY_NAME) {
		if (value_len == 0 || memchr(value, '\0', value_len))
			complain(s, "its name is empty or holds a NUL byte");
		free(s->name);
		s->name = xstrndup(value, value_len);
		return;
	}
	if (k == KEY_MAP) {
		take_map(s, value, value_len);
		return;
	}
	if (k != KEY_UNKNOWN && !parse(value, value_len, &v))
		complain(s, "its map has something that is no number in range");
	if (pair && (!(s->seen & KEY_NUMBLOCKS) || s->half != (k == KEY_NUMBYTES)))
		complain(s, "the records of its map are out of order");
	if (pair)
		take_number(s, v);
	else if (k == KEY_MAJOR)
		s->major = v;
	else if (k == KEY_MINOR)
		s->minor = v;
	else if (k == KEY_NUMBLOCKS)
		s->blocks = v;
	else
		s->real_size = v;
}

static void begin_pax(struct sparse *s, const struct tar_header *h)
{
	unsigned version = s->seen & (KEY_MAJOR | KEY_MINOR), pairs = s->seen & (KEY_MAP | KEY_OFFSET);
	bool v1 = version && s->major == 1 && s->minor == 0;

	if (h->type != '0')
		complain(s, "a map for what is no file");
	if (memcmp(h->magic, "ustar", sizeof(h->magic)) != 0) /* GNU tar takes the contents of others for the file */
		complain(s, "it is sparse in a way that is not known");
	if (version == KEY_MAJOR || version == KEY_MINOR || (version && !v1 && (s->major > 0 || s->minor > 1)) ||
		(s->seen & KEY_UNKNOWN))
		complain(s, "it is sparse in a way that is not known");
	if (v1) {
		if ((s->seen & KEYS_0) || !(s->seen & KEY_REALSIZE))
			complain(s, "the records of its map contradict each other");
		s->more = true;
		return;
	}
	if ((s->seen & (KEY_REALSIZE | KEY_SIZE | KEY_NUMBLOCKS)) != (KEY_SIZE | KEY_NUMBLOCKS) ||
		(pairs != KEY_MAP && pairs != KEY_OFFSET))
		complain(s, "the records of its map contradict each other");
	s->counted = true;
}

/* ---- records ---- */

/* Take the pairs of a header or block: room for max of them, behind which it says whether a block follows. */
static void take_fields(struct sparse *s, const char *p, size_t max)
{
	static const char none[2 * GNU_NUMBER];
	size_t i = 0;

	s->more = p[2 * GNU_NUMBER * max] != 0;
	for (; i < max && p[0] && p[GNU_NUMBER]; i++, p += 2 * GNU_NUMBER) {
		int64_t offset, size;

		if (tar_parse_number(p, GNU_NUMBER, &offset) < 0 || offset < 0 ||
			tar_parse_number(p + GNU_NUMBER, GNU_NUMBER, &size) < 0 || size < 0)
			complain(s, "its map has something that is no number in range");
		else
			add_pair(s, (uint64_t)offset, (uint64_t)size);
	}
	/* readers look at different bytes to see where a map ends, and go on after that or not */
	if (i < max && s->more)
		complain(s, "its map ends before its last record");
	for (; i < max; i++, p += sizeof(none))
		if (memcmp(p, none, sizeof(none)) != 0)
			complain(s, "its map goes on after its end");
}

static void begin_gnu(struct sparse *s, const struct tar_header *h)
{
	const char *p = (const char *)h;
	int64_t size = 0;

	if (memcmp(h->magic, "ustar  ", sizeof(h->magic) + sizeof(h->version)) != 0)
		complain(s, "it is sparse in a way that is not known");
	if (s->seen)
		complain(s, "it has two maps");
	if (tar_parse_number(p + GNU_SIZE_AT, GNU_NUMBER, &size) < 0 || size < 0)
		complain(s, "its size is no number in range");
	s->real_size = (uint64_t)size;
	take_fields(s, p + GNU_PAIRS_AT, GNU_PAIRS);
}

void sparse_begin(struct sparse *s, const struct tar_header *h)
{
	if (h->type == 'S')
		begin_gnu(s, h);
	else
		begin_pax(s, h);
}

/* A whole line of a map of the form 1.0. */
static void take_line(struct sparse *s)
{
	uint64_t v;

	if (!parse(s->text, s->text_len, &v)) {
		complain(s, "its map has something that is no number in range");
	} else if (s->counted) {
		take_number(s, v);
	} else {
		s->blocks = v;
		s->counted = true;
	}
	s->text_len = 0;
	s->more = !s->counted || s->n < s->blocks;
}

void sparse_take_record(struct sparse *s, const uint8_t record[TAR_RECORD])
{
	s->map_size += TAR_RECORD;
	if (s->map_size > LAYER_SPARSE_MAP_MAX)
		complain(s, "its map is larger than allowed");
	if (!s->seen) {
		take_fields(s, (const char *)record, BLOCK_PAIRS);
		return;
	}
	for (size_t i = 0; i < TAR_RECORD && s->more && !s->wrong; i++) {
		if (record[i] == '\n')
			take_line(s);
		else if (s->text_len == sizeof(s->text))
			complain(s, "its map has something that is no number in range");
		else
			s->text[s->text_len++] = (char)record[i];
	}
}

/*
 * GNU tar lets each part begin in a new record of the body, others right behind the part before: it is the same as long
 * as parts fill their records. So do those that it writes; the last one may end anywhere.
 */
static bool fills_records(const struct sparse *s)
{
	uint64_t rest = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (rest > 0 && s->map[i].size > 0)
			return false;
		rest += s->map[i].size % TAR_RECORD;
	}
	return true;
}

const char *sparse_end(struct sparse *s, uint64_t body)
{
	const struct tree_extent *last = s->n > 0 ? &s->map[s->n - 1] : NULL;
	uint64_t end = last ? last->offset + last->size : 0;

	if (s->half || (s->counted && s->n != s->blocks))
		complain(s, "its map has not as many pairs as it says");
	if (end > s->real_size)
		complain(s, "its map goes beyond its size");
	if (end < s->real_size) /* GNU tar ends the file here: a hole at the end has an empty part behind it */
		complain(s, "its map does not reach its end");
	if (s->data != body)
		complain(s, "its map is of more or less than its contents");
	if (!fills_records(s))
		complain(s, "its map has a part that ends inside a record, not the last");
	return s->wrong;
}
