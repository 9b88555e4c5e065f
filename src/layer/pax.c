#include "layer/pax_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mem.h"
#include "layer/bounds.h"

#define XATTR_PREFIX "SCHILY.xattr."
#define LIBARCHIVE_PREFIX "LIBARCHIVE.xattr."
#define SPARSE_PREFIX "GNU.sparse."
/* "5 a=\n" is the shortest record. */
#define RECORD_MIN 5

struct pax_record {
	const char *key;
	size_t key_len;
	const char *value;
	size_t value_len;
};

static int bad(struct err *err, const char *why)
{
	return err_set(err, ERR_INPUT, "malformed PAX header: %s", why);
}

/* Take one record from *at. Returns 0, or -1 and *err. */
static int next_record(const char **at, const char *end, struct pax_record *ret, struct err *err)
{
	const char *p = *at, *last, *equals;
	size_t len = 0;

	if (p[0] < '1' || p[0] > '9')
		return bad(err, "a record does not begin with its length");
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		len = len * 10 + (size_t)(*p - '0');
		if (len > LAYER_PAX_MAX)
			return bad(err, "a record is longer than it");
	}
	if (p == end || *p != ' ')
		return bad(err, "a length is not followed by a space");
	p++;
	if (len < RECORD_MIN || len > (size_t)(end - *at) || len <= (size_t)(p - *at))
		return bad(err, "a record has the wrong length");
	last = *at + len - 1;
	if (*last != '\n')
		return bad(err, "a record does not end in a line feed");
	equals = memchr(p, '=', (size_t)(last - p));
	if (!equals || equals == p)
		return bad(err, "a record has no key");
	if (memchr(p, '\0', (size_t)(equals - p)))
		return bad(err, "a key holds a NUL byte");
	*ret = (struct pax_record){
		.key = p,
		.key_len = (size_t)(equals - p),
		.value = equals + 1,
		.value_len = (size_t)(last - equals - 1),
	};
	*at = last + 1;
	return 0;
}

static bool key_is(const struct pax_record *r, const char *key)
{
	return r->key_len == strlen(key) && memcmp(r->key, key, r->key_len) == 0;
}

static bool key_begins(const struct pax_record *r, const char *prefix)
{
	return r->key_len > strlen(prefix) && memcmp(r->key, prefix, strlen(prefix)) == 0;
}

/* A whole decimal number of at most max. */
static int parse_decimal(const struct pax_record *r, uint64_t max, uint64_t *ret, struct err *err)
{
	uint64_t v = 0;

	if (r->value_len == 0)
		return bad(err, "a number is empty");
	for (size_t i = 0; i < r->value_len; i++) {
		char c = r->value[i];

		if (c < '0' || c > '9' || __builtin_mul_overflow(v, 10u, &v) ||
			__builtin_add_overflow(v, (uint64_t)(c - '0'), &v) || v > max)
			return err_set(err, ERR_INPUT, "PAX %.*s=%.*s is no number in range",
				(int)r->key_len, r->key,
				(int)(r->value_len < 64 ? r->value_len : 64), r->value);
	}
	*ret = v;
	return 0;
}

/* "[-]digits[.digits]", rounded down to seconds with nanoseconds above. */
static int parse_time(const struct pax_record *r, int64_t *ret, uint32_t *ret_ns, struct err *err)
{
	const char *p = r->value, *end = p + r->value_len;
	bool negative = p < end && *p == '-', digits = false;
	int64_t seconds = 0;
	uint32_t ns = 0, unit = 100000000;
	bool rest = false;

	for (p += negative; p < end && *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(seconds, 10, &seconds) ||
			__builtin_add_overflow(seconds, *p - '0', &seconds))
			return bad(err, "a time is out of range");
		digits = true;
	}
	if (p < end && *p == '.') {
		for (p++; p < end && *p >= '0' && *p <= '9'; p++) {
			ns += (uint32_t)(*p - '0') * unit;
			rest = rest || (unit == 0 && *p != '0');
			unit /= 10;
		}
	}
	if (!digits || p != end)
		return bad(err, "a time is no decimal number");
	if (negative) {
		seconds = -seconds;
		if (ns > 0 || rest) {
			seconds--;
			ns = ns > 0 ? 1000000000 - ns : 999999999;
		}
	}
	*ret = seconds;
	*ret_ns = ns;
	return 0;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Decode base64, padded or not. Returns the bytes (owned by the caller), or NULL. */
static char *base64_decode(const char *s, size_t n, size_t *ret_n)
{
	char *out = xmalloc(n / 4 * 3 + 3);
	uint32_t word = 0;
	unsigned bits = 0;
	size_t len = 0;

	while (n > 0 && s[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++) {
		int d = base64_digit(s[i]);

		if (d < 0) {
			free(out);
			return NULL;
		}
		word = (word << 6) | (uint32_t)d;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[len++] = (char)(word >> bits);
		}
	}
	*ret_n = len;
	return out;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode %XX. Returns the name (owned by the caller), or NULL. */
static char *percent_decode(const char *s, size_t n)
{
	char *out = xmalloc(n + 1);
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c == '%') {
			bool whole = n - i > 2;
			int high = whole ? hex_digit(s[i + 1]) : -1;
			int low = whole ? hex_digit(s[i + 2]) : -1;

			if (high < 0 || low < 0) {
				free(out);
				return NULL;
			}
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0') {
			free(out);
			return NULL;
		}
		out[len++] = c;
	}
	out[len] = '\0';
	return out;
}

/* The place of name in the sorted list: where it is (*found) or belongs. */
static size_t xattr_place(const struct pax *p, const char *name, bool *found)
{
	size_t i = 0;

	*found = false;
	for (; i < p->nxattrs; i++) {
		int order = strcmp(p->xattrs[i].name, name);

		if (order >= 0) {
			*found = order == 0;
			break;
		}
	}
	return i;
}

static void xattr_free(const struct tree_xattr *x)
{
	union {
		const void *in;
		void *out;
	} name = {.in = x->name}, value = {.in = x->value};

	free(name.out);
	free(value.out);
}

/* Set name (taken over) to n bytes of value, which are copied; none deletes it. */
static int set_xattr(
	struct pax *p, char *name, const void *value, size_t n, bool weak, struct err *err)
{
	auto_free char *owned = name;
	bool found;
	size_t at;

	if (strlen(name) > LAYER_XATTR_NAME_MAX)
		return err_set(err, ERR_INPUT,
			"the name of an extended attribute has more than %d bytes",
			LAYER_XATTR_NAME_MAX);
	if (n > LAYER_XATTR_VALUE_MAX)
		return err_set(err, ERR_INPUT, "the extended attribute '%s' has more than %u bytes",
			name, LAYER_XATTR_VALUE_MAX);
	at = xattr_place(p, name, &found);
	if (found && weak)
		return 0;
	if (found) {
		xattr_free(&p->xattrs[at]);
		p->nxattrs--;
		memmove(&p->xattrs[at], &p->xattrs[at + 1], (p->nxattrs - at) * sizeof(*p->xattrs));
	}
	if (n == 0)
		return 0;
	if (p->nxattrs == LAYER_XATTRS_MAX)
		return err_set(
			err, ERR_INPUT, "more than %d extended attributes", LAYER_XATTRS_MAX);
	p->xattrs = xreallocarray(p->xattrs, p->nxattrs + 1, sizeof(*p->xattrs));
	memmove(&p->xattrs[at + 1], &p->xattrs[at], (p->nxattrs - at) * sizeof(*p->xattrs));
	p->xattrs[at] =
		(struct tree_xattr){.name = take_ptr(owned), .value = xmemdup(value, n), .len = n};
	p->nxattrs++;
	return 0;
}

/* LIBARCHIVE.xattr.NAME: percent-encoded name, base64 value; yields to SCHILY.xattr. of the same
 * name. */
static int set_libarchive_xattr(struct pax *p, const struct pax_record *r, struct err *err)
{
	size_t skip = strlen(LIBARCHIVE_PREFIX), n = 0;
	auto_free char *value = base64_decode(r->value, r->value_len, &n);
	char *name = percent_decode(r->key + skip, r->key_len - skip);

	if (!value || !name) {
		free(name);
		return bad(err, "an extended attribute is not encoded as it should be");
	}
	return set_xattr(p, name, value, n, true, err);
}

static int set_string(char **field, const struct pax_record *r, struct err *err)
{
	if (memchr(r->value, '\0', r->value_len))
		return bad(err, "a name holds a NUL byte");
	free(*field);
	*field = r->value_len ? xstrndup(r->value, r->value_len) : NULL;
	return 0;
}

static int set_number(
	bool *has, uint64_t *field, uint64_t max, const struct pax_record *r, struct err *err)
{
	*has = r->value_len > 0;
	return *has ? parse_decimal(r, max, field, err) : 0;
}

static int set_id(bool *has, uint32_t *field, const struct pax_record *r, struct err *err)
{
	uint64_t v = 0;

	if (set_number(has, &v, UINT32_MAX - 1, r, err) < 0)
		return -1;
	*field = (uint32_t)v;
	return 0;
}

/* Keys that must not come twice: readers disagree about the winner. */
enum { KEY_PATH = 1, KEY_LINK = 2, KEY_SIZE = 4, KEY_UID = 8, KEY_GID = 16 };

static int once(unsigned *seen, unsigned key, const struct pax_record *r, struct err *err)
{
	if (*seen & key)
		return err_set(err, ERR_INPUT, "PAX record '%.*s' comes twice in one header",
			(int)r->key_len, r->key);
	*seen |= key;
	return 0;
}

static int take_record(struct pax *p, unsigned *seen, const struct pax_record *r, struct err *err)
{
	if (key_is(r, "path"))
		return once(seen, KEY_PATH, r, err) < 0 ? -1 : set_string(&p->path, r, err);
	if (key_is(r, "linkpath"))
		return once(seen, KEY_LINK, r, err) < 0 ? -1 : set_string(&p->link, r, err);
	if (key_is(r, "size"))
		return once(seen, KEY_SIZE, r, err) < 0
			       ? -1
			       : set_number(&p->has_size, &p->size, INT64_MAX, r, err);
	if (key_is(r, "uid"))
		return once(seen, KEY_UID, r, err) < 0 ? -1 : set_id(&p->has_uid, &p->uid, r, err);
	if (key_is(r, "gid"))
		return once(seen, KEY_GID, r, err) < 0 ? -1 : set_id(&p->has_gid, &p->gid, r, err);
	if (key_is(r, "mtime")) {
		p->has_mtime = r->value_len > 0;
		return p->has_mtime ? parse_time(r, &p->mtime, &p->mtime_ns, err) : 0;
	}
	if (key_is(r, "uname") || key_is(r, "gname"))
		return memchr(r->value, '\0', r->value_len) ? bad(err, "a name holds a NUL byte")
							    : 0;
	if (key_begins(r, SPARSE_PREFIX)) {
		size_t skip = strlen(SPARSE_PREFIX);

		sparse_take_pax(&p->sparse, r->key + skip, r->key_len - skip, r->value, r->value_len);
		return 0;
	}
	if (key_begins(r, XATTR_PREFIX)) {
		size_t skip = strlen(XATTR_PREFIX);

		return set_xattr(p, xstrndup(r->key + skip, r->key_len - skip), r->value,
			r->value_len, false, err);
	}
	return 0;
}

void pax_release(struct pax *p)
{
	free(p->path);
	free(p->link);
	for (size_t i = 0; i < p->nxattrs; i++)
		xattr_free(&p->xattrs[i]);
	free(p->xattrs);
	sparse_release(&p->sparse);
	*p = (struct pax)PAX_INIT;
}

int pax_parse(struct pax *p, const char *body, size_t n, struct err *err)
{
	const char *at = body, *end = body + n;
	unsigned seen = 0;
	struct pax_record r;

	while (at < end)
		if (next_record(&at, end, &r, err) < 0 || take_record(p, &seen, &r, err) < 0)
			return -1;
	for (at = body; at < end;) {
		if (next_record(&at, end, &r, err) < 0)
			return -1;
		if (key_begins(&r, LIBARCHIVE_PREFIX) && set_libarchive_xattr(p, &r, err) < 0)
			return -1;
	}
	return 0;
}

int pax_check_global(const char *body, size_t n, struct err *err)
{
	const char *at = body, *end = body + n;
	struct pax_record r;

	while (at < end) {
		if (next_record(&at, end, &r, err) < 0)
			return -1;
		if (!key_is(&r, "comment"))
			log_debug("global PAX record '%.*s' is ignored", (int)r.key_len, r.key);
	}
	return 0;
}

static size_t digits(size_t n)
{
	size_t d = 1;

	while (n >= 10) {
		n /= 10;
		d++;
	}
	return d;
}

void pax_put(struct strbuf *sb, const char *key, const void *value, size_t n)
{
	size_t body = strlen(key) + n + 3; /* space, equals sign, line feed */
	size_t len = body + digits(body);

	if (digits(len) > digits(body))
		len++;
	strbuf_printf(sb, "%zu %s=", len, key);
	strbuf_add(sb, value, n);
	strbuf_putc(sb, '\n');
}
