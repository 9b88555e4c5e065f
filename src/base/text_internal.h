/* Text from outside, made fit for a terminal; shared by err.c, log.c and doc.c. */
#ifndef WHITTLE_BASE_TEXT_INTERNAL_H
#define WHITTLE_BASE_TEXT_INTERNAL_H

#include <stddef.h>

/*
 * Bytes (1 to 4) of the well-formed UTF-8 sequence that starts at s, of which n bytes may be read;
 * 0 when there is none: overlong forms, surrogates and values over U+10FFFF are not well-formed.
 */
size_t utf8_sequence(const char *s, size_t n);

/*
 * Copy the string src into dst of size bytes (at least 1) and terminate it. Control characters (C0,
 * DEL, and C1 in their UTF-8 form) and bytes that are not UTF-8 become \xNN each. What does not fit
 * is cut off, never inside a character or an escape. Returns the length of the result.
 */
size_t text_escape(char *dst, size_t size, const char *src);

#endif
