#include "base/units.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define FRACTION_DIGITS 6

/* Digits, and after a point up to six more. Returns the end, or NULL. */
static const char *number(const char *s, uint64_t *whole, uint32_t *millionths)
{
	uint32_t scale = 1000000;

	*whole = 0;
	*millionths = 0;
	if (!isdigit((unsigned char)*s))
		return NULL;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(*whole, 10, whole) || __builtin_add_overflow(*whole, *s - '0', whole))
			return NULL;
	if (*s != '.')
		return s;
	if (!isdigit((unsigned char)*++s))
		return NULL;
	for (; isdigit((unsigned char)*s); s++) {
		scale /= 10;
		if (!scale)
			return NULL;
		*millionths += (uint32_t)(*s - '0') * scale;
	}
	return s;
}

int parse_size(const char *s, uint64_t *ret)
{
	static const char letters[] = "bkmgtp";
	uint64_t whole, value;
	uint32_t millionths;
	unsigned shift = 0;
	const char *unit, *end = number(s, &whole, &millionths);

	if (!end)
		return -1;
	unit = *end ? strchr(letters, tolower((unsigned char)*end)) : NULL;
	if (*end && !unit)
		return -1;
	if (unit) {
		shift = 10u * (unsigned)(unit - letters);
		end++;
		if (shift && *end && strcasecmp(end, "b") != 0 && strcasecmp(end, "ib") != 0)
			return -1;
		if (!shift && *end)
			return -1;
	}
	if (__builtin_mul_overflow(whole, 1ull << shift, &value) ||
		__builtin_add_overflow(value, (uint64_t)((double)millionths / 1e6 * (double)(1ull << shift)), &value) ||
		value > INT64_MAX)
		return -1;
	*ret = value;
	return 0;
}

int parse_millionths(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t whole, value;
	uint32_t millionths;
	const char *end = number(s, &whole, &millionths);

	if (!end || *end || __builtin_mul_overflow(whole, 1000000u, &value) ||
		__builtin_add_overflow(value, millionths, &value) || value > max)
		return -1;
	*ret = value;
	return 0;
}
