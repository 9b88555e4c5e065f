#include "build/copy_mode.h"

#include <string.h>

#define MODE_ALL 07777u
#define MODE_SETIDS 06000u
#define MODE_STICKY 01000u
#define MODE_STANDARD (MODE_SETIDS | 0777u) /* what "=" clears when nobody is named */

static bool is_given(const char *chmod)
{
	return chmod && *chmod;
}

static bool is_octal(const char *chmod)
{
	return chmod[strspn(chmod, "01234567")] == '\0';
}

/* The value of octal digits, or more than MODE_ALL when it is too large. */
static uint32_t octal(const char *digits)
{
	uint32_t v = 0;

	for (; *digits && v <= MODE_ALL; digits++)
		v = v * 8 + (uint32_t)(*digits - '0');
	return v;
}

/* The bits of those named by [ugoa]*; 0 when none is. Moves *p behind them. */
static uint32_t take_who(const char **p)
{
	uint32_t who = 0;

	for (;; (*p)++) {
		switch (**p) {
		case 'u':
			who |= 04700;
			break;
		case 'g':
			who |= 02070;
			break;
		case 'o':
			who |= 0007;
			break;
		case 'a':
			who |= MODE_STANDARD;
			break;
		default:
			return who;
		}
	}
}

/* One of rwx of the class that starts at shift, for all three. */
static uint32_t spread(uint32_t bits)
{
	return bits << 6 | bits << 3 | bits;
}

/*
 * The permissions behind an operator; *who gains the sticky bit if it is among them. before is the mode of the file,
 * now what the clauses so far have made of it. Moves *p behind them.
 */
static uint32_t take_permissions(const char **p, uint32_t *who, uint32_t before, uint32_t now, bool dir)
{
	uint32_t bits = 0;
	bool not_only_other = *who == 0 || (*who & ~0007u) != 0;

	for (;; (*p)++) {
		switch (**p) {
		case 'r':
			bits |= spread(4);
			break;
		case 'w':
			bits |= spread(2);
			break;
		case 'x':
			bits |= spread(1);
			break;
		case 'X':
			if (dir || (before & spread(1)))
				bits |= spread(1);
			break;
		case 's':
			if (not_only_other)
				bits |= MODE_SETIDS;
			break;
		case 't':
			if (not_only_other) {
				bits |= MODE_STICKY;
				*who |= *who ? MODE_STICKY : 0;
			}
			break;
		case 'u':
			bits |= spread(now >> 6 & 7);
			break;
		case 'g':
			bits |= spread(now >> 3 & 7);
			break;
		case 'o':
			bits |= spread(now & 7);
			break;
		default:
			return bits;
		}
	}
}

/* Apply "[ugoa]*([+-=][rwxXstugo]*)+" up to its end or comma. Returns whether it is well-formed. */
static bool apply_clause(const char **p, uint32_t before, uint32_t *mode, bool dir)
{
	uint32_t named = take_who(p);

	if (!**p || !strchr("+-=", **p))
		return false;
	while (**p && strchr("+-=", **p)) {
		char how = *(*p)++;
		uint32_t who = named;
		uint32_t bits = take_permissions(p, &who, before, *mode, dir);

		if (how == '=')
			*mode &= ~(named ? named : MODE_STANDARD);
		bits &= who ? who : MODE_ALL;
		*mode = how == '-' ? *mode & ~bits : *mode | bits;
	}
	return true;
}

static bool apply_symbolic(const char *chmod, uint32_t *mode, bool dir)
{
	uint32_t before = *mode;

	for (;;) {
		if (!apply_clause(&chmod, before, mode, dir))
			return false;
		if (*chmod == '\0')
			return true;
		if (*chmod++ != ',')
			return false;
	}
}

int copy_mode_check(const char *chmod, struct err *err)
{
	uint32_t mode = 0;

	if (!is_given(chmod))
		return 0;
	if (chmod[0] >= '0' && chmod[0] <= '9') {
		if (is_octal(chmod) && octal(chmod) <= MODE_ALL)
			return 0;
		return err_set(err, ERR_INPUT,
			"invalid chmod parameter: '%s'. it should be octal string and between 0 and 07777", chmod);
	}
	if (!apply_symbolic(chmod, &mode, false))
		return err_set(err, ERR_INPUT, "invalid chmod parameter: '%s': invalid syntax", chmod);
	return 0;
}

uint32_t copy_mode_apply(const char *chmod, uint32_t mode, bool dir)
{
	if (!is_given(chmod))
		return mode;
	if (is_octal(chmod))
		return octal(chmod) & MODE_ALL;
	apply_symbolic(chmod, &mode, dir);
	return mode;
}

uint32_t copy_mode_of_made(const char *chmod)
{
	return is_given(chmod) && is_octal(chmod) ? octal(chmod) & 0777 : COPY_MODE_MADE;
}
