#include "cli/options.h"

#include <string.h>
#include <strings.h>

#include "dockerfile/suggest.h"

#define HELP_COLUMN 32
#define HELP_WIDTH 79
#define NAMES_MAX 128 /* options of one command */

static const struct option_def *find(const struct option_def *const tables[OPTIONS_TABLES_MAX], const char *name,
	size_t len, char letter)
{
	for (size_t t = 0; t < OPTIONS_TABLES_MAX && tables[t]; t++)
		for (const struct option_def *o = tables[t]; o->kind != OPTION_END; o++)
			if (name ? o->name && strlen(o->name) == len && strncmp(o->name, name, len) == 0 :
				   letter && o->letter == letter)
				return o;
	return NULL;
}

static int unknown(const struct option_def *const tables[OPTIONS_TABLES_MAX], const char *arg, size_t len,
	struct err *err)
{
	const char *names[NAMES_MAX];
	char name[64];
	size_t n = 0;

	for (size_t t = 0; t < OPTIONS_TABLES_MAX && tables[t]; t++)
		for (const struct option_def *o = tables[t]; o->kind != OPTION_END && n < NAMES_MAX; o++)
			if (o->name && o->help)
				names[n++] = o->name;
	snprintf(name, sizeof(name), "%.*s", (int)len, arg);
	err_set(err, ERR_USAGE, "unknown option --%s", name);
	return suggest_append(err, name, names, n, false);
}

static int set_flag(const struct option_def *o, const char *value, struct err *err)
{
	bool *to = o->to;

	if (!value || strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0)
		*to = true;
	else if (strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0)
		*to = false;
	else
		return err_set(err, ERR_USAGE, "--%s takes true or false, not '%s'", o->name, value);
	return 0;
}

/* value is NULL when none was attached; next is the following argument or NULL. Returns arguments used up beyond
 * this one, or -1. */
static int apply(const struct option_def *o, const char *value, const char *next, struct err *err)
{
	int used = 0;

	if (o->kind == OPTION_REFUSED)
		return err_set(err, ERR_USAGE, "--%s has no meaning here: %s", o->name, o->arg);
	if (o->kind == OPTION_FLAG)
		return set_flag(o, value, err);
	if (!value) {
		if (!next)
			return err_set(err, ERR_USAGE, "--%s needs a value (%s)", o->name, o->arg);
		value = next;
		used = 1;
	}
	if (o->kind == OPTION_STRING)
		*(const char **)o->to = value;
	else
		strv_add(o->to, value);
	return used;
}

/* "--name", "--name=value". */
static int parse_long(const struct option_def *const tables[OPTIONS_TABLES_MAX], const char *arg, const char *next,
	struct err *err)
{
	size_t len = strcspn(arg, "=");
	const struct option_def *o = find(tables, arg, len, 0);

	if (!o)
		return unknown(tables, arg, len, err);
	return apply(o, arg[len] ? arg + len + 1 : NULL, next, err);
}

/* "-t NAME", "-tNAME", "-qD". */
static int parse_short(const struct option_def *const tables[OPTIONS_TABLES_MAX], const char *arg, const char *next,
	struct err *err)
{
	for (; *arg; arg++) {
		const struct option_def *o = find(tables, NULL, 0, *arg);
		const char *rest = arg[1] == '=' ? arg + 2 : arg + 1;

		if (!o)
			return err_set(err, ERR_USAGE, "unknown option -%c", *arg);
		if (o->kind != OPTION_FLAG)
			return apply(o, *rest ? rest : NULL, next, err);
		if (apply(o, NULL, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int options_parse(const struct option_def *const tables[OPTIONS_TABLES_MAX], int argc, char **argv,
	bool stop_at_operand, struct strv *operands, struct err *err)
{
	bool options = true;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
		int used;

		if (options && strcmp(arg, "--") == 0) {
			options = false;
			continue;
		}
		if (!options || arg[0] != '-' || !arg[1]) {
			strv_add(operands, arg);
			options &= !stop_at_operand;
			continue;
		}
		if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
			return 1;
		used = arg[1] == '-' ? parse_long(tables, arg + 2, next, err) : parse_short(tables, arg + 1, next, err);
		if (used < 0)
			return -1;
		i += used;
	}
	return 0;
}

/* Wrap text into the second column. */
static void put_help(const char *text, FILE *out)
{
	size_t width = HELP_WIDTH - HELP_COLUMN;

	while (strlen(text) > width) {
		size_t cut = width;

		while (cut && text[cut] != ' ')
			cut--;
		if (!cut)
			cut = width;
		fprintf(out, "%.*s\n%*s", (int)cut, text, HELP_COLUMN, "");
		text += cut;
		text += strspn(text, " ");
	}
	fprintf(out, "%s\n", text);
}

void options_help(const struct option_def *const tables[OPTIONS_TABLES_MAX], FILE *out)
{
	for (size_t t = 0; t < OPTIONS_TABLES_MAX && tables[t]; t++)
		for (const struct option_def *o = tables[t]; o->kind != OPTION_END; o++) {
			char left[80];

			if (!o->help || o->kind == OPTION_REFUSED)
				continue;
			snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", o->letter ? '-' : ' ',
				o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name, o->arg ? " " : "",
				o->arg ? o->arg : "");
			if (strlen(left) + 2 > HELP_COLUMN)
				fprintf(out, "%s\n%*s", left, HELP_COLUMN, "");
			else
				fprintf(out, "%-*s", HELP_COLUMN, left);
			put_help(o->help, out);
		}
}
