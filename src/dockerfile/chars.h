/*
 * Characters as the Dockerfile language sees them (spec/dockerfile.md, Conventions): bytes that are
 * mostly UTF-8 but never validated, Unicode white space, letters of variable names, quoting for
 * messages.
 */
#ifndef WHITTLE_DOCKERFILE_CHARS_H
#define WHITTLE_DOCKERFILE_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

/* A byte that is no part of valid UTF-8 decodes to this plus its value, and encodes back to that
 * byte. */
#define CHARS_INVALID 0x110000u

/*
 * The code point that begins at s, where n >= 1 bytes are readable; *ret_width is the number of
 * bytes it takes (1 to 4). An overlong form, a surrogate or a stray byte gives CHARS_INVALID plus
 * that one byte.
 */
uint32_t chars_decode(const char *s, size_t n, size_t *ret_width);

/* Append the bytes of one code point, as chars_decode() gave it. */
void chars_encode(struct strbuf *sb, uint32_t cp);

/* The width in bytes of the Unicode white space at s (n readable bytes), or 0 when there is none.
 */
size_t chars_space(const char *s, size_t n);

/* Move *s forward and reduce *n so that neither end of the n bytes is Unicode white space. */
void chars_trim(const char **s, size_t *n);

/* Whether cp may stand in a variable name as a letter: category L of Unicode. */
bool chars_is_letter(uint32_t cp);

/* Whether cp is a decimal digit of any script: category Nd of Unicode. */
bool chars_is_digit(uint32_t cp);

/* Whether c is one of the blanks that separate words: tab, VT, FF, CR, space; not LF. */
static inline bool chars_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

/* c in lower case, ASCII only, whatever the locale. */
static inline char chars_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* c in upper case, ASCII only, whatever the locale. */
static inline char chars_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* How much of a text a message quotes; the rest becomes "...". */
#define CHARS_QUOTE_MAX 700

/* A buffer for one quoted text: quotes, and every byte as \xNN at worst. */
#define CHARS_QUOTE_SIZE (CHARS_QUOTE_MAX * 4 + 8)

/*
 * Write s (n bytes) to out as the "%q" of the spec: in double quotes, with \" \\ \n \t and so on
 * escaped, other control characters and bytes that are not UTF-8 as \xNN or \uNNNN. Returns out.
 */
const char *chars_quote(char out[CHARS_QUOTE_SIZE], const char *s, size_t n);

#endif
