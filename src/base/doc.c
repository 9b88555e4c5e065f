#include "base/doc.h"

#include <assert.h>
#include <string.h>

#include <jansson.h>

#include "base/mem_internal.h"
#include "base/text_internal.h"

/* struct doc has no body: a pointer to one is a pointer to a json_t. */
static json_t *unwrap(const struct doc *d)
{
	/* jansson takes values without const even where it only reads */
	return (json_t *)(uintptr_t)d;
}

static struct doc *wrap(json_t *j)
{
	return (struct doc *)j;
}

/* A place in a text, as people count: from 1. */
struct place {
	size_t line, column;
};

static struct place place_of(const char *text, size_t offset)
{
	struct place at = {1, 1};

	for (size_t i = 0; i < offset; i++) {
		at.column++;
		if (text[i] == '\n')
			at = (struct place){at.line + 1, 1};
	}
	return at;
}

/* The end of the string that starts at offset i (its opening quote): its closing quote, or n. */
static size_t skip_string(const char *text, size_t n, size_t i)
{
	for (i++; i < n && text[i] != '"'; i++) {
		if (text[i] == '\\')
			i++;
	}
	return i;
}

/*
 * Measure nesting before jansson sees the text, whose own limit is 2,048 levels of recursion.
 * Whether brackets match is jansson's to say. Returns 0, or -1 with the offset of the bracket that
 * is one too many.
 */
static int check_depth(const char *text, size_t n, size_t *ret_offset)
{
	size_t depth = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"') {
			i = skip_string(text, n, i);
		} else if (text[i] == '[' || text[i] == '{') {
			if (++depth > DOC_DEPTH_MAX) {
				*ret_offset = i;
				return -1;
			}
		} else if ((text[i] == ']' || text[i] == '}') && depth > 0) {
			depth--;
		}
	}
	return 0;
}

struct doc *doc_parse(const void *data, size_t n, const char *what, struct err *err)
{
	const char *text = n ? data : "";
	json_error_t at;
	size_t offset = 0;
	json_t *root;

	if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		err_set(err, ERR_INPUT,
			"%s: begins with a byte order mark, which JSON does not allow", what);
		return NULL;
	}
	if (check_depth(text, n, &offset) < 0) {
		struct place p = place_of(text, offset);

		err_set(err, ERR_INPUT, "%s: line %zu, column %zu: nested deeper than %d levels",
			what, p.line, p.column, DOC_DEPTH_MAX);
		return NULL;
	}
	root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
	if (!root) {
		err_set(err, ERR_INPUT, "%s: not valid JSON: line %d, column %d: %s", what, at.line,
			at.column, at.text);
		return NULL;
	}
	return wrap(root);
}

void doc_free(struct doc *d)
{
	json_decref(unwrap(d));
}

bool doc_is_object(const struct doc *d)
{
	return json_is_object(unwrap(d));
}

bool doc_is_array(const struct doc *d)
{
	return json_is_array(unwrap(d));
}

bool doc_is_string(const struct doc *d)
{
	return json_is_string(unwrap(d));
}

bool doc_is_int(const struct doc *d)
{
	return json_is_integer(unwrap(d));
}

struct doc *doc_get(const struct doc *d, const char *name)
{
	json_t *value = json_object_get(unwrap(d), name);

	return json_is_null(value) ? NULL : wrap(value);
}

const char *doc_str(const struct doc *d)
{
	return json_string_value(unwrap(d));
}

const char *doc_get_str(const struct doc *d, const char *name)
{
	return doc_str(doc_get(d, name));
}

int doc_get_u64(const struct doc *d, const char *name, uint64_t *ret)
{
	const struct doc *member = doc_get(d, name);
	json_int_t value = json_integer_value(unwrap(member));

	if (!doc_is_int(member) || value < 0)
		return -1;
	*ret = (uint64_t)value;
	return 0;
}

bool doc_get_bool(const struct doc *d, const char *name)
{
	return json_is_true(unwrap(doc_get(d, name)));
}

size_t doc_len(const struct doc *d)
{
	return json_array_size(unwrap(d));
}

struct doc *doc_at(const struct doc *d, size_t i)
{
	return wrap(json_array_get(unwrap(d), i));
}

bool doc_each(const struct doc *d, void **iter, const char **ret_name, struct doc **ret_value)
{
	json_t *object = unwrap(d);

	*iter = *iter ? json_object_iter_next(object, *iter) : json_object_iter(object);
	if (!*iter)
		return false;
	*ret_name = json_object_iter_key(*iter);
	*ret_value = wrap(json_object_iter_value(*iter));
	return true;
}

/* jansson gives NULL only when memory is out, once its arguments are right. */
static struct doc *made(json_t *j)
{
	if (!j)
		mem_abort("out of memory");
	return wrap(j);
}

static void check(int result)
{
	if (result < 0)
		mem_abort("out of memory");
}

/* Whether all of s is UTF-8. */
static bool is_utf8(const char *s)
{
	size_t left = strlen(s);

	while (left > 0) {
		size_t len = utf8_sequence(s, left);

		if (len == 0)
			return false;
		s += len;
		left -= len;
	}
	return true;
}

/* s with U+FFFD in place of every byte that is not UTF-8. */
static void add_repaired(struct strbuf *sb, const char *s)
{
	size_t left = strlen(s);

	while (left > 0) {
		size_t len = utf8_sequence(s, left);

		if (len > 0)
			strbuf_add(sb, s, len);
		else
			strbuf_puts(sb, "\xEF\xBF\xBD");
		s += len ? len : 1;
		left -= len ? len : 1;
	}
}

struct doc *doc_object(void)
{
	return made(json_object());
}

struct doc *doc_array(void)
{
	return made(json_array());
}

struct doc *doc_string(const char *s)
{
	return is_utf8(s) ? made(json_string_nocheck(s)) : NULL;
}

struct doc *doc_int(int64_t v)
{
	return made(json_integer(v));
}

struct doc *doc_bool(bool v)
{
	return made(json_boolean(v));
}

struct doc *doc_copy(const struct doc *d)
{
	return d ? made(json_deep_copy(unwrap(d))) : NULL;
}

void doc_set(struct doc *object, const char *name, struct doc *value)
{
	auto_strbuf repaired = STRBUF_INIT;

	if (!value)
		return;
	assert(doc_is_object(object));
	/* a name from outside may be no UTF-8 either, and must not vanish */
	if (!is_utf8(name)) {
		add_repaired(&repaired, name);
		name = repaired.buf;
	}
	check(json_object_set_new_nocheck(unwrap(object), name, unwrap(value)));
}

void doc_set_str(struct doc *object, const char *name, const char *s)
{
	auto_strbuf repaired = STRBUF_INIT;

	if (!s)
		return;
	add_repaired(&repaired, s);
	doc_set(object, name, doc_string(repaired.buf));
}

void doc_set_int(struct doc *object, const char *name, int64_t v)
{
	doc_set(object, name, doc_int(v));
}

void doc_append(struct doc *array, struct doc *value)
{
	if (!value)
		return;
	assert(doc_is_array(array));
	check(json_array_append_new(unwrap(array), unwrap(value)));
}

void doc_del(struct doc *object, const char *name)
{
	json_object_del(unwrap(object), name);
}

static int add_to_strbuf(const char *data, size_t n, void *sb)
{
	strbuf_add(sb, data, n);
	return 0;
}

/*
 * json_dump_callback() fails only for a value that cannot be written: none of ours, or memory is
 * out.
 */
void doc_format(const struct doc *d, struct strbuf *sb)
{
	check(json_dump_callback(unwrap(d), add_to_strbuf, sb, JSON_COMPACT | JSON_ENCODE_ANY));
}

void doc_format_pretty(const struct doc *d, struct strbuf *sb)
{
	check(json_dump_callback(unwrap(d), add_to_strbuf, sb, JSON_INDENT(2) | JSON_ENCODE_ANY));
}
