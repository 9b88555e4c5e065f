#include "dockerfile/run_mount.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dockerfile/chars.h"
#include "dockerfile/suggest.h"

/* The order decides between equally near suggestions. */
static const char *const all_keys[] = {"type", "from", "source", "target", "readonly", "id", "sharing",
	"required", "size", "mode", "uid", "gid", "src", "dst", "destination", "ro", "rw", "readwrite", "env"};
static const char *const type_names[] = {"bind", "cache", "tmpfs", "secret", "ssh"};
static const char *const sharing_names[] = {"shared", "private", "locked"};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *run_mount_type_name(enum run_mount_type type)
{
	return type_names[type];
}

void run_mount_release(struct run_mount *m)
{
	free(m->from);
	free(m->source);
	free(m->target);
	free(m->id);
	free(m->env);
	*m = (struct run_mount){ .type = RUN_MOUNT_BIND };
}

/* ---- the record ---- */

/* The quoted part at *at (behind its first quote) into field. Returns whether it was closed. */
static bool take_quoted(const char **at, struct strbuf *field)
{
	const char *p = *at;

	for (; *p; p++) {
		if (*p == '"' && p[1] != '"') {
			*at = p + 1;
			return true;
		}
		p += *p == '"';
		strbuf_putc(field, *p);
	}
	return false;
}

/* The field at *at up to its comma. A quote may stand at its start or behind its first "=". */
static bool take_field(const char **at, struct strbuf *field)
{
	const char *p = *at;
	bool may_quote = true, value = false;

	while (*p && *p != ',') {
		if (*p == '"') {
			p++;
			if (!may_quote || !take_quoted(&p, field) || (*p && *p != ','))
				return false;
			break;
		}
		may_quote = !value && *p == '=';
		value |= may_quote;
		strbuf_putc(field, *p++);
	}
	*at = p;
	return true;
}

int run_mount_split(const char *text, const char *what, struct strv *ret, struct err *err)
{
	for (const char *p = text;; p++) {
		auto_strbuf field = STRBUF_INIT;

		if (!take_field(&p, &field))
			return err_set(err, ERR_DOCKERFILE,
				"failed to parse csv %s: bare or unclosed \" in a field (quote the whole "
				"field or the whole value)",
				what);
		strv_take(ret, strbuf_take(&field));
		if (!*p)
			return 0;
	}
}

char *run_mount_raw(const char *text, const char *key)
{
	auto_strv fields = STRV_INIT;
	struct err ignored = ERR_INIT;
	size_t len = strlen(key);
	char *found = NULL;

	if (run_mount_split(text, "mounts", &fields, &ignored) < 0)
		return NULL;
	for (size_t i = 0; i < fields.len; i++)
		if (strncasecmp(fields.v[i], key, len) == 0 && fields.v[i][len] == '=') {
			free(found);
			found = xstrdup(fields.v[i] + len + 1);
		}
	return found;
}

int run_mount_check(const char *text, struct err *err)
{
	auto_strv fields = STRV_INIT;
	auto_free char *from = NULL;
	const char *dollar;

	if (run_mount_split(text, "mounts", &fields, err) < 0)
		return -1;
	from = run_mount_raw(text, "from");
	dollar = from ? strchr(from, '$') : NULL;
	if (dollar && dollar[1])
		return err_set(err, ERR_DOCKERFILE,
			"'from' doesn't support variable expansion, define alias stage instead");
	return 0;
}

/* ---- values ---- */

static int find_name(const char *const *names, size_t n, const char *value)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(names[i], value) == 0)
			return (int)i;
	return -1;
}

static int set_type(struct run_mount *m, const char *value, struct err *err)
{
	int i = find_name(type_names, COUNT(type_names), value);
	char quoted[CHARS_QUOTE_SIZE];

	if (i >= 0)
		return m->type = (enum run_mount_type)i, 0;
	err_set(err, ERR_DOCKERFILE, "unsupported mount type %s", chars_quote(quoted, value, strlen(value)));
	return suggest_append(err, value, type_names, COUNT(type_names), true);
}

static int set_sharing(struct run_mount *m, const char *value, struct err *err)
{
	int i = find_name(sharing_names, COUNT(sharing_names), value);
	char quoted[CHARS_QUOTE_SIZE];

	if (i >= 0)
		return m->sharing = (enum run_mount_sharing)i, 0;
	err_set(err, ERR_DOCKERFILE, "unsupported sharing value %s", chars_quote(quoted, value, strlen(value)));
	return suggest_append(err, value, sharing_names, COUNT(sharing_names), true);
}

/* The words of Go's ParseBool. */
static int parse_bool(const char *key, const char *value, bool *ret, struct err *err)
{
	static const char *const words[] = {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE",
		"false", "False"};

	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(words[i], value) == 0)
			return *ret = i < COUNT(words) / 2, 0;
	return err_set(err, ERR_DOCKERFILE, "invalid value for %s: %.*s", key, CHARS_QUOTE_MAX, value);
}

/* A number of 32 bits in base 8 or 10, digits only. */
static int parse_number(const char *key, const char *value, unsigned base, uint32_t *ret, bool *ret_has,
	struct err *err)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; value[i] >= '0' && value[i] < (char)('0' + base) && n <= UINT32_MAX; i++)
		n = n * base + (uint64_t)(value[i] - '0');
	if (i == 0 || value[i] || n > UINT32_MAX)
		return err_set(err, ERR_DOCKERFILE, "invalid value %.*s for %s", CHARS_QUOTE_MAX, value, key);
	*ret = (uint32_t)n;
	*ret_has = true;
	return 0;
}

/* Bytes with a suffix of powers of 1024: 64m, 1GiB. */
static int parse_size(const char *value, uint64_t *ret, struct err *err)
{
	static const char units[] = "bkmgtp";
	size_t digits = strspn(value, "0123456789");
	auto_free char *number = xstrndup(value, digits);
	const char *unit = value + digits + strspn(value + digits, " ");
	const char *power = *unit ? strchr(units, chars_lower(*unit)) : units;
	uint64_t n = 0;

	if (*unit && power) {
		unit++;
		if (power != units && chars_lower(*unit) == 'i')
			unit++;
		if (power != units && chars_lower(*unit) == 'b')
			unit++;
	}
	if (!power || *unit || parse_u64(number, 0, UINT64_MAX >> (10 * (power - units)), &n) < 0)
		return err_set(err, ERR_DOCKERFILE, "invalid value for size: %.*s", CHARS_QUOTE_MAX, value);
	*ret = n << (10 * (power - units));
	return 0;
}

static int unexpected_here(const struct run_mount *m, const char *key, struct err *err)
{
	return err_set(err, ERR_DOCKERFILE, "unexpected key '%s' for mount type '%s'", key, type_names[m->type]);
}

static bool is_hidden(const struct run_mount *m)
{
	return m->type == RUN_MOUNT_SECRET || m->type == RUN_MOUNT_SSH;
}

/* What the fields say together and no single one does. */
struct given {
	bool readonly, sharing;
};

/* A field that is a word alone; 1 when it is none of those that may be. */
static int set_bare(struct run_mount *m, const char *key, struct given *given, struct err *err)
{
	if (strcmp(key, "readonly") == 0 || strcmp(key, "ro") == 0)
		return m->readonly = given->readonly = true, 0;
	if (strcmp(key, "readwrite") == 0 || strcmp(key, "rw") == 0)
		return m->readonly = false, given->readonly = true, 0;
	if (strcmp(key, "required") != 0)
		return 1;
	if (!is_hidden(m))
		return unexpected_here(m, key, err);
	return m->required = true, 0;
}

static void set_text(char **to, const char *value)
{
	free(*to);
	*to = xstrdup(value);
}

/* Keys whose value is kept as it is; 1 when it is none of those. */
static int set_string(struct run_mount *m, const char *key, const char *value)
{
	const struct {
		const char *key;
		char **to;
	} strings[] = {{"from", &m->from}, {"source", &m->source}, {"src", &m->source}, {"target", &m->target},
		{"dst", &m->target}, {"destination", &m->target}, {"id", &m->id}, {"env", &m->env}};

	for (size_t i = 0; i < COUNT(strings); i++)
		if (strcmp(strings[i].key, key) == 0)
			return set_text(strings[i].to, value), 0;
	return 1;
}

/* Keys whose value is judged; 1 when it is none of those. */
static int set_value(struct run_mount *m, const char *key, const char *value, struct given *given, struct err *err)
{
	if (strcmp(key, "type") == 0)
		return set_type(m, value, err);
	if (strcmp(key, "sharing") == 0) {
		given->sharing = *value != '\0';
		return *value ? set_sharing(m, value, err) : 0;
	}
	if (strcmp(key, "mode") == 0)
		return parse_number(key, value, 8, &m->mode, &m->has_mode, err);
	if (strcmp(key, "uid") == 0)
		return parse_number(key, value, 10, &m->uid, &m->has_uid, err);
	if (strcmp(key, "gid") == 0)
		return parse_number(key, value, 10, &m->gid, &m->has_gid, err);
	if (strcmp(key, "size") == 0)
		return m->type == RUN_MOUNT_TMPFS ? parse_size(value, &m->size, err) : unexpected_here(m, key, err);
	if (strcmp(key, "required") == 0)
		return is_hidden(m) ? parse_bool(key, value, &m->required, err) : unexpected_here(m, key, err);
	if (strcmp(key, "readonly") == 0 || strcmp(key, "ro") == 0)
		return given->readonly = true, parse_bool(key, value, &m->readonly, err);
	if (strcmp(key, "readwrite") == 0 || strcmp(key, "rw") == 0) {
		given->readonly = true;
		if (parse_bool(key, value, &m->readonly, err) < 0)
			return -1;
		return m->readonly = !m->readonly, 0;
	}
	return 1;
}

static int set_field(struct run_mount *m, const char *field, char escape, const struct expand_env *env,
	struct given *given, struct err *err)
{
	size_t len = strcspn(field, "=");
	auto_free char *key = xstrndup(field, len);
	auto_free char *value = NULL;
	int rc;

	for (char *p = key; *p; p++)
		*p = chars_lower(*p);
	if (!field[len]) {
		rc = set_bare(m, key, given, err);
		if (rc > 0)
			return err_set(err, ERR_DOCKERFILE, "invalid field '%.*s' must be a key=value pair",
				CHARS_QUOTE_MAX, field);
		return rc;
	}
	if (strcmp(key, "from") == 0)
		value = xstrdup(field + len + 1);
	else if (expand_word(field + len + 1, escape, 0, env, &value, err) < 0)
		return -1;
	rc = set_string(m, key, value);
	if (rc > 0)
		rc = set_value(m, key, value, given, err);
	if (rc <= 0)
		return rc;
	err_set(err, ERR_DOCKERFILE, "unexpected key '%.200s' in '%.200s'", key, field);
	return suggest_append(err, key, all_keys, COUNT(all_keys), true);
}

static int not_allowed(const struct run_mount *m, const char *key, struct err *err)
{
	return err_set(err, ERR_DOCKERFILE, "%s not allowed for \"%s\" type mounts", key, type_names[m->type]);
}

static bool is_given(const char *s)
{
	return s && *s;
}

static int check_secret(const struct run_mount *m, struct err *err)
{
	if (is_given(m->from))
		return err_set(err, ERR_DOCKERFILE, "secret mount should not have a from");
	if (!is_given(m->source) && !is_given(m->target) && !is_given(m->id))
		return err_set(err, ERR_DOCKERFILE, "invalid secret mount. one of source, target required");
	if (is_given(m->source) && is_given(m->id))
		return err_set(err, ERR_DOCKERFILE, "both source and id can't be set");
	return 0;
}

static int check_together(struct run_mount *m, const struct given *given, struct err *err)
{
	if (m->type == RUN_MOUNT_BIND || m->type == RUN_MOUNT_TMPFS) {
		if (m->has_mode)
			return not_allowed(m, "mode", err);
		if (m->has_uid)
			return not_allowed(m, "uid", err);
		if (m->has_gid)
			return not_allowed(m, "gid", err);
	}
	if (!given->readonly)
		m->readonly = m->type != RUN_MOUNT_CACHE && m->type != RUN_MOUNT_TMPFS;
	if (given->sharing && m->type != RUN_MOUNT_CACHE)
		return err_set(err, ERR_DOCKERFILE, "invalid cache sharing set for %s mount", type_names[m->type]);
	if (m->type == RUN_MOUNT_SSH && is_given(m->source))
		return err_set(err, ERR_DOCKERFILE, "ssh does not support source");
	return m->type == RUN_MOUNT_SECRET ? check_secret(m, err) : 0;
}

int run_mount_parse(const char *text, char escape, const struct expand_env *env, struct run_mount *ret,
	struct err *err)
{
	struct run_mount m = { .type = RUN_MOUNT_BIND };
	struct given given = { false, false };
	auto_strv fields = STRV_INIT;
	int rc = run_mount_check(text, err);

	if (rc == 0)
		rc = run_mount_split(text, "mounts", &fields, err);
	for (size_t i = 0; rc == 0 && i < fields.len; i++)
		rc = set_field(&m, fields.v[i], escape, env, &given, err);
	if (rc == 0)
		rc = check_together(&m, &given, err);
	if (rc < 0)
		run_mount_release(&m);
	else
		*ret = m;
	return rc;
}
