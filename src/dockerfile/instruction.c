#include "dockerfile/instruction.h"

#include <string.h>
#include <strings.h>

/* In the order of enum instruction_kind. */
static const char *const names[] = {"FROM", "ARG", "ENV", "LABEL", "WORKDIR", "COPY", "ADD", "RUN",
	"CMD", "ENTRYPOINT", "USER", "EXPOSE", "VOLUME", "STOPSIGNAL", "SHELL", "HEALTHCHECK",
	"ONBUILD", "MAINTAINER"};
_Static_assert(sizeof(names) / sizeof(names[0]) == INSTRUCTION_UNKNOWN, "one name for each kind");

const char *instruction_kind_name(enum instruction_kind kind)
{
	return kind < INSTRUCTION_UNKNOWN ? names[kind] : "unknown";
}

enum instruction_kind instruction_kind_find(const char *name)
{
	for (size_t i = 0; i < INSTRUCTION_UNKNOWN; i++)
		if (strcasecmp(name, names[i]) == 0)
			return (enum instruction_kind)i;
	return INSTRUCTION_UNKNOWN;
}

const char *const *instruction_kind_names(size_t *ret_n)
{
	*ret_n = INSTRUCTION_UNKNOWN;
	return names;
}

const char *instruction_flag_at(const struct instruction *in, const char *name, size_t index)
{
	for (size_t i = 0; i < in->nflags; i++)
		if (strcmp(in->flags[i].name, name) == 0 && index-- == 0)
			return in->flags[i].value;
	return NULL;
}

const char *instruction_flag(const struct instruction *in, const char *name)
{
	return instruction_flag_at(in, name, 0);
}

bool instruction_flag_is_set(const struct instruction *in, const char *name)
{
	const char *value = instruction_flag(in, name);

	return value && strcmp(value, "true") == 0;
}

struct unit {
	const char *name;
	int64_t ns;
};

/* Longer names first where one begins with another. "\xC2\xB5" and "\xCE\xBC" are the two letters
 * mu. */
static const struct unit units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\xC2\xB5s", 1000},
	{"\xCE\xBCs", 1000},
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", 60 * INT64_C(1000000000)},
	{"h", 3600 * INT64_C(1000000000)},
};

static const struct unit *find_unit(const char *s)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strncmp(s, units[i].name, strlen(units[i].name)) == 0)
			return &units[i];
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* One number with its unit, added to *total. Returns what follows, or NULL. */
static const char *duration_part(const char *s, int64_t *total)
{
	const struct unit *unit;
	const char *fraction;
	int64_t whole = 0, part = 0, scale = 1;
	bool any = is_digit(*s);

	for (; is_digit(*s); s++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
			__builtin_add_overflow(whole, *s - '0', &whole))
			return NULL;
	fraction = *s == '.' ? ++s : NULL;
	for (; fraction && is_digit(*s); s++) {
		any = true;
		/* Digits below a nanosecond of an hour are nothing. */
		if (scale < INT64_C(10000000000)) {
			part = part * 10 + (*s - '0');
			scale *= 10;
		}
	}
	unit = find_unit(s);
	if (!any || !unit)
		return NULL;
	if (__builtin_mul_overflow(whole, unit->ns, &whole) ||
		__builtin_add_overflow(*total, whole, total))
		return NULL;
	/* The product may exceed 64 bits; a double is exact enough for less than one unit. */
	part = (int64_t)((double)part * ((double)unit->ns / (double)scale));
	if (__builtin_add_overflow(*total, part, total))
		return NULL;
	return s + strlen(unit->name);
}

int instruction_duration(const char *text, int64_t *ret_ns)
{
	bool negative = *text == '-';
	int64_t total = 0;

	if (*text == '-' || *text == '+') {
		if (*++text == '\0')
			return -1;
	}
	if (strcmp(text, "0") == 0)
		text = "";
	while (*text) {
		text = duration_part(text, &total);
		if (!text)
			return -1;
	}
	*ret_ns = negative ? -total : total;
	return 0;
}
