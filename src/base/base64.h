/* Base64 with padding (RFC 4648 section 4): credentials, bytes inside JSON. */
#ifndef WHITTLE_BASE_BASE64_H
#define WHITTLE_BASE_BASE64_H

#include <stddef.h>

#include "base/strbuf.h"

/* Append n bytes of data as base64. */
void base64_encode(const char *data, size_t n, struct strbuf *out);
/* Append what the string s stands for. Returns 0, or -1 when it is not padded base64 (out may have got a part). */
int base64_decode(const char *s, struct strbuf *out);

#endif
