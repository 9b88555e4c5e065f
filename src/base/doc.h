/*
 * JSON documents (spec/oci.md 1.1): strict reading with limits, compact writing in insertion order.
 * A thin cover over jansson; "doc" because the library owns the json_ prefix.
 */
#ifndef WHITTLE_BASE_DOC_H
#define WHITTLE_BASE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

#define DOC_DEPTH_MAX 64

struct doc; /* one JSON value; children belong to their root */

/*
 * Parse n bytes. what names the document in messages ("manifest sha256:...").
 * Refused as ERR_INPUT: bad UTF-8, a BOM, trailing data, depth over DOC_DEPTH_MAX, byte-identical duplicate
 * names, \u0000 in a string.
 * Returns the root, owned by the caller (doc_free), or NULL and *err.
 */
struct doc *doc_parse(const void *data, size_t n, const char *what, struct err *err);
/* Free a root (or a value not yet put into a parent); accepts NULL. */
void doc_free(struct doc *d);

/* Type tests; false for NULL. A JSON null counts as absent in doc_get(). */
bool doc_is_object(const struct doc *d);
/* As above, for an array. */
bool doc_is_array(const struct doc *d);
/* As above, for a string. */
bool doc_is_string(const struct doc *d);
/* As above, for an integer. */
bool doc_is_int(const struct doc *d);
/* The member called name, or NULL when d is not an object, or it is absent or null. */
struct doc *doc_get(const struct doc *d, const char *name);
/* The string value, or NULL when d is NULL or not a string; owned by the document. */
const char *doc_str(const struct doc *d);
/* doc_str(doc_get(d, name)). */
const char *doc_get_str(const struct doc *d, const char *name);
/* An integer member >= 0. Returns 0, or -1 when absent or of another type or negative. */
int doc_get_u64(const struct doc *d, const char *name, uint64_t *ret);
/* Whether member name is true. */
bool doc_get_bool(const struct doc *d, const char *name);
/* Elements of an array, 0 for anything else. */
size_t doc_len(const struct doc *d);
/* Element i of an array, or NULL. */
struct doc *doc_at(const struct doc *d, size_t i);
/* Walk the members of an object in document order: start with *iter = NULL; false at the end. */
bool doc_each(const struct doc *d, void **iter, const char **ret_name, struct doc **ret_value);

/* New values, owned by the caller until put into a parent. Strings must be UTF-8, else NULL is returned. */
struct doc *doc_object(void);
/* A new empty array. */
struct doc *doc_array(void);
/* A new string. */
struct doc *doc_string(const char *s);
/* A new integer. */
struct doc *doc_int(int64_t v);
/* A new boolean. */
struct doc *doc_bool(bool v);
/* A deep copy. */
struct doc *doc_copy(const struct doc *d);
/* Put value (taken over; NULL is ignored) under name, replacing an older one. */
void doc_set(struct doc *object, const char *name, struct doc *value);
/* doc_set() of a string; a NULL s is ignored; bytes that are not UTF-8 are stored as U+FFFD. */
void doc_set_str(struct doc *object, const char *name, const char *s);
/* doc_set() of an integer. */
void doc_set_int(struct doc *object, const char *name, int64_t v);
/* Append value (taken over) to an array. */
void doc_append(struct doc *array, struct doc *value);
/* Remove a member if it is there. */
void doc_del(struct doc *object, const char *name);

/* Append compact JSON of d to sb (CHOICE of oci.md 1.1.6): insertion order, raw UTF-8, no newline. */
void doc_format(const struct doc *d, struct strbuf *sb);
/* The same with two-space indentation and object keys as they stand, for people. */
void doc_format_pretty(const struct doc *d, struct strbuf *sb);

#endif
