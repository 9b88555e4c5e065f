/* The value of -o, and what can be wrong with it (dockerfile.md 9.2). */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/export.h"
#include "build/export_internal.h"
#include "oci/reference.h"

#define ZSTD_LEVEL_MAX 19 /* higher ones need a window that readers may refuse (oci.md 5.2) */
#define ZSTD_LEVEL_DEFAULT 3
#define GZIP_LEVEL_MAX 9
#define GZIP_LEVEL_DEFAULT 6

const char *output_kind_name(enum output_kind kind)
{
	static const char *const names[] = {
		[OUTPUT_STORE] = "image",
		[OUTPUT_OCI] = "oci",
		[OUTPUT_DOCKER] = "docker",
		[OUTPUT_TAR] = "tar",
		[OUTPUT_LOCAL] = "local",
		[OUTPUT_REGISTRY] = "registry",
	};

	return names[kind];
}

bool output_is_image(const struct output *o)
{
	return o->kind != OUTPUT_TAR && o->kind != OUTPUT_LOCAL;
}

bool output_to_stdout(const struct output *o)
{
	if (o->kind != OUTPUT_TAR && o->kind != OUTPUT_DOCKER && !(o->kind == OUTPUT_OCI && o->tar))
		return false;
	return !o->dest || strcmp(o->dest, "-") == 0;
}

/* ---- one CSV record ---- */

/* A field in quotes; *p stands on the first. */
static int quoted_field(const char **p, struct strbuf *ret)
{
	for ((*p)++; **p; (*p)++) {
		if (**p != '"') {
			strbuf_putc(ret, **p);
			continue;
		}
		(*p)++;
		if (**p != '"')
			return **p == ',' || !**p ? 0 : -1;
		strbuf_putc(ret, '"');
	}
	return -1; /* the closing quote is missing */
}

static int csv_split(const char *text, struct strv *ret, struct err *err)
{
	const char *p = text;

	for (;;) {
		auto_strbuf field = STRBUF_INIT;

		if (*p == '"') {
			if (quoted_field(&p, &field) < 0)
				return err_set(err, ERR_USAGE, "malformed quotes in output '%s'", text);
		} else {
			size_t n = strcspn(p, ",");

			if (memchr(p, '"', n))
				return err_set(err, ERR_USAGE,
					"malformed output '%s': quotes go around a whole field", text);
			strbuf_add(&field, p, n);
			p += n;
		}
		strv_take(ret, strbuf_take(&field));
		if (!*p)
			return 0;
		p++;
	}
}

/* ---- attributes ---- */

static int parse_bool(const char *key, const char *value, bool *ret, struct err *err)
{
	static const char *const words[2][6] = {
		{ "0", "f", "F", "false", "FALSE", "False" },
		{ "1", "t", "T", "true", "TRUE", "True" },
	};

	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 6; k++)
			if (strcmp(value, words[i][k]) == 0) {
				*ret = i == 1;
				return 0;
			}
	return err_set(err, ERR_USAGE, "invalid value '%s' for %s: true or false", value, key);
}

static int set_dest(struct output *o, const char *key, const char *value, struct err *err)
{
	if (!*value)
		return err_set(err, ERR_USAGE, "invalid value %s=: a path is missing", key);
	free(o->dest);
	o->dest = xstrdup(value);
	return 0;
}

static int set_tar(struct output *o, const char *key, const char *value, struct err *err)
{
	if (parse_bool(key, value, &o->tar, err) < 0)
		return -1;
	if (o->kind == OUTPUT_DOCKER && !o->tar)
		return err_set(err, ERR_UNSUPPORTED,
			"tar=false is not supported for the docker exporter: use type=oci,tar=false");
	return 0;
}

static int set_names(struct output *o, const char *key, const char *value, struct err *err)
{
	(void)key;
	for (const char *p = value; *p;) {
		size_t n = strcspn(p, ",");
		auto_free char *name = xstrndup(p, n);
		struct reference ref = REFERENCE_INIT;
		struct err why = ERR_INIT;

		if (reference_parse(name, &ref, &why) < 0)
			return err_set(err, ERR_USAGE, "invalid name \"%s\": %s", name, why.msg);
		reference_release(&ref);
		strv_add(&o->names, name);
		p += n + (p[n] == ',');
	}
	return 0;
}

static int set_push(struct output *o, const char *key, const char *value, struct err *err)
{
	return parse_bool(key, value, &o->push, err);
}

static int set_compression(struct output *o, const char *key, const char *value, struct err *err)
{
	if (strcmp(value, "uncompressed") == 0) {
		o->compression = COMPRESSION_NONE;
		return 0;
	}
	if (strcmp(value, "estargz") == 0 || strcmp(value, "zstd:chunked") == 0)
		return err_set(err, ERR_UNSUPPORTED, "%s=%s is not supported; gzip, zstd and uncompressed are", key,
			value);
	if (strcmp(value, "none") == 0 || compression_parse(value, &o->compression) < 0)
		return err_set(err, ERR_USAGE, "unknown compression '%s': gzip, zstd or uncompressed", value);
	return 0;
}

static int set_level(struct output *o, const char *key, const char *value, struct err *err)
{
	uint64_t level;

	if (parse_u64(value, 0, ZSTD_LEVEL_MAX, &level) < 0)
		return err_set(err, ERR_USAGE, "invalid value '%s' for %s: zstd has 0 to %d, gzip 0 to %d", value, key,
			ZSTD_LEVEL_MAX, GZIP_LEVEL_MAX);
	o->level = (int)level;
	return 0;
}

static int set_force(struct output *o, const char *key, const char *value, struct err *err)
{
	return parse_bool(key, value, &o->force_compression, err);
}

static int set_rewrite(struct output *o, const char *key, const char *value, struct err *err)
{
	return parse_bool(key, value, &o->rewrite_timestamp, err);
}

static int set_epoch(struct output *o, const char *key, const char *value, struct err *err)
{
	uint64_t seconds = 0;

	if (*value && parse_u64(value, 0, EPOCH_MAX, &seconds) < 0)
		return err_set(err, ERR_USAGE, "invalid value '%s' for %s: seconds since 1970, or nothing", value, key);
	o->epoch_set = true;
	o->epoch = *value ? (int64_t)seconds : LAYER_EPOCH_NONE;
	return 0;
}

static int check_mediatypes(struct output *o, const char *key, const char *value, struct err *err)
{
	bool oci;

	(void)o;
	if (parse_bool(key, value, &oci, err) < 0)
		return -1;
	if (!oci)
		return err_set(err, ERR_UNSUPPORTED,
			"%s=false is not supported: images are written with OCI media types", key);
	return 0;
}

#define IMAGES (1u << OUTPUT_STORE | 1u << OUTPUT_REGISTRY | 1u << OUTPUT_OCI | 1u << OUTPUT_DOCKER)
#define LAYERED (1u << OUTPUT_STORE | 1u << OUTPUT_REGISTRY | 1u << OUTPUT_OCI)
#define FILES (1u << OUTPUT_OCI | 1u << OUTPUT_DOCKER | 1u << OUTPUT_TAR | 1u << OUTPUT_LOCAL)

static const struct attribute {
	const char *key;
	unsigned kinds; /* bits of enum output_kind */
	int (*set)(struct output *o, const char *key, const char *value, struct err *err);
} attributes[] = {
	{ "dest", FILES, set_dest },
	{ "tar", 1u << OUTPUT_OCI | 1u << OUTPUT_DOCKER, set_tar },
	{ "name", IMAGES, set_names },
	{ "push", 1u << OUTPUT_STORE | 1u << OUTPUT_REGISTRY, set_push },
	{ "compression", LAYERED, set_compression },
	{ "compression-level", LAYERED, set_level },
	{ "force-compression", LAYERED, set_force },
	{ "rewrite-timestamp", IMAGES, set_rewrite },
	{ "source-date-epoch", IMAGES | FILES, set_epoch },
	{ "oci-mediatypes", IMAGES, check_mediatypes },
};

static int set_attribute(struct output *o, const char *key, const char *value, struct err *err)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		if (strcmp(attributes[i].key, key) != 0)
			continue;
		if (attributes[i].kinds & (1u << o->kind))
			return attributes[i].set(o, key, value, err);
		return err_set(err, ERR_USAGE, "the %s exporter has no attribute '%s'", output_kind_name(o->kind), key);
	}
	return err_set(err, ERR_USAGE, "unknown attribute '%s' of output type=%s", key, output_kind_name(o->kind));
}

/* ---- the whole ---- */

static const struct output_type {
	const char *name;
	enum output_kind kind;
	bool push;
} types[] = {
	{ "image", OUTPUT_STORE, false },
	{ "store", OUTPUT_STORE, false },
	{ "registry", OUTPUT_REGISTRY, true },
	{ "oci", OUTPUT_OCI, false },
	{ "docker", OUTPUT_DOCKER, false },
	{ "tar", OUTPUT_TAR, false },
	{ "local", OUTPUT_LOCAL, false },
};

static int set_type(struct output *o, const char *name, struct err *err)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, name) == 0) {
			o->kind = types[i].kind;
			o->push = types[i].push;
			return 0;
		}
	return err_set(err, ERR_USAGE,
		"unknown output type '%s': image, store, registry, oci, docker, tar or local", name);
}

/* Split "key=value", the key in lower case. */
static int split_field(const char *field, char **ret_key, const char **ret_value, struct err *err)
{
	const char *eq = strchr(field, '=');

	if (!eq)
		return err_set(err, ERR_USAGE, "invalid value %s", field);
	*ret_key = xstrndup(field, (size_t)(eq - field));
	for (char *p = *ret_key; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	*ret_value = eq + 1;
	return 0;
}

static int find_type(const struct strv *fields, struct output *o, struct err *err)
{
	bool found = false;

	for (size_t i = 0; i < fields->len; i++) {
		auto_free char *key = NULL;
		const char *value;

		if (split_field(fields->v[i], &key, &value, err) < 0)
			return -1;
		if (strcmp(key, "type") != 0)
			continue;
		if (set_type(o, value, err) < 0)
			return -1;
		found = true;
	}
	return found ? 0 : err_set(err, ERR_USAGE, "type is required for output");
}

/* What follows from all attributes together. */
static int finish(struct output *o, struct err *err)
{
	if (o->kind == OUTPUT_STORE && o->push)
		o->kind = OUTPUT_REGISTRY;
	if (o->kind == OUTPUT_REGISTRY && !o->push)
		o->kind = OUTPUT_STORE;
	if (o->kind == OUTPUT_DOCKER && !o->dest) /* what "docker load" would do */
		o->kind = OUTPUT_STORE;
	if (o->level && o->compression == COMPRESSION_NONE)
		return err_set(err, ERR_USAGE, "compression-level needs compression=gzip or zstd");
	if (o->compression == COMPRESSION_GZIP && o->level > GZIP_LEVEL_MAX)
		return err_set(err, ERR_USAGE, "invalid value '%d' for compression-level: gzip has 0 to %d", o->level,
			GZIP_LEVEL_MAX);
	/* One spelling of the default, so that a layer is made once. */
	if (o->level == (o->compression == COMPRESSION_GZIP ? GZIP_LEVEL_DEFAULT : ZSTD_LEVEL_DEFAULT))
		o->level = 0;
	return 0;
}

static int parse_fields(const struct strv *fields, struct output *o, struct err *err)
{
	if (find_type(fields, o, err) < 0)
		return -1;
	for (size_t i = 0; i < fields->len; i++) {
		auto_free char *key = NULL;
		const char *value;

		if (split_field(fields->v[i], &key, &value, err) < 0)
			return -1;
		if (strcmp(key, "type") != 0 && set_attribute(o, key, value, err) < 0)
			return -1;
	}
	return finish(o, err);
}

/* "dest=x" alone is a forgotten type, not a folder of that name. */
static bool is_attribute(const char *field)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		size_t n = strlen(attributes[i].key);

		if (strncasecmp(field, attributes[i].key, n) == 0 && field[n] == '=')
			return true;
	}
	return false;
}

int output_parse(const char *text, struct output *ret, struct err *err)
{
	struct output o = { .tar = true, .compression = COMPRESSION_ZSTD };
	auto_strv fields = STRV_INIT;

	if (csv_split(text, &fields, err) < 0)
		return -1;
	if (fields.len == 1 && !*fields.v[0])
		return err_set(err, ERR_USAGE, "an output is a folder, '-' or type=...");
	if (fields.len == 1 && strncasecmp(fields.v[0], "type=", 5) != 0) {
		if (is_attribute(fields.v[0]))
			return err_set(err, ERR_USAGE, "type is required for output");
		o.kind = strcmp(fields.v[0], "-") == 0 ? OUTPUT_TAR : OUTPUT_LOCAL;
		o.dest = xstrdup(fields.v[0]);
	} else if (parse_fields(&fields, &o, err) < 0) {
		output_release(&o);
		return -1;
	}
	*ret = o;
	return 0;
}

void output_release(struct output *o)
{
	free(o->dest);
	strv_release(&o->names);
	*o = (struct output){ .kind = OUTPUT_STORE };
}

/* ---- checks ---- */

static int check_folder(const struct output *o, struct err *err)
{
	const char *name = output_kind_name(o->kind);
	struct stat st;

	if (!o->dest)
		return err_set(err, ERR_USAGE, "dest is required for %s exporter", name);
	if (strcmp(o->dest, "-") == 0)
		return err_set(err, ERR_USAGE, "dest cannot be stdout for %s exporter", name);
	if (stat(o->dest, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(err, ERR_USAGE, "destination directory %s is a file", o->dest);
	return 0;
}

/* Said before the build and not after it: a file needs its folder. */
static int check_parent(const char *dest, struct err *err)
{
	auto_free char *parent = NULL;
	const char *slash = strrchr(dest, '/');
	struct stat st;

	if (!slash || slash == dest)
		return 0;
	parent = xstrndup(dest, (size_t)(slash - dest));
	if (stat(parent, &st) < 0)
		return err_set(err, ERR_USAGE, "cannot create '%s': '%s': %s", dest, parent, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_USAGE, "cannot create '%s': '%s' is not a directory", dest, parent);
	return 0;
}

static int check_file(const struct output *o, bool stdout_is_tty, struct err *err)
{
	struct stat st;

	if (output_to_stdout(o)) {
		if (stdout_is_tty)
			return err_set(err, ERR_USAGE,
				"dest file is required for %s exporter. refusing to write to console",
				output_kind_name(o->kind));
		return 0;
	}
	if (stat(o->dest, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(err, ERR_USAGE, "destination file %s is a directory", o->dest);
	return check_parent(o->dest, err);
}

static int check_platforms(const struct output *o, size_t nplatforms, struct err *err)
{
	if (nplatforms < 2)
		return 0;
	if (o->kind == OUTPUT_DOCKER)
		return err_set(err, ERR_USAGE, "docker exporter does not support exporting manifest lists, use the oci "
			"exporter instead");
	if (o->kind == OUTPUT_TAR)
		return err_set(err, ERR_USAGE, "tar exporter does not support several platforms, use the local or the "
			"oci exporter instead");
	return 0;
}

int outputs_check(const struct output *outputs, size_t n, size_t nplatforms, bool stdout_is_tty, struct err *err)
{
	size_t to_stdout = 0;

	for (size_t i = 0; i < n; i++) {
		const struct output *o = &outputs[i];
		int rc = 0;

		if (check_platforms(o, nplatforms, err) < 0)
			return -1;
		if (o->kind == OUTPUT_LOCAL || (o->kind == OUTPUT_OCI && !o->tar))
			rc = check_folder(o, err);
		else if (o->kind != OUTPUT_STORE && o->kind != OUTPUT_REGISTRY)
			rc = check_file(o, stdout_is_tty, err);
		if (rc < 0)
			return -1;
		to_stdout += output_to_stdout(o);
	}
	if (to_stdout > 1)
		return err_set(err, ERR_USAGE, "multiple outputs configured to write to stdout");
	return 0;
}

int outputs_check_names(const struct output *outputs, size_t n, const struct strv *tags, struct err *err)
{
	for (size_t i = 0; tags && i < tags->len; i++) {
		struct reference ref = REFERENCE_INIT;
		struct err why = ERR_INIT;
		bool pinned;

		if (reference_parse(tags->v[i], &ref, &why) < 0)
			return err_set(err, ERR_USAGE, "invalid tag \"%s\": %s", tags->v[i], why.msg);
		pinned = ref.digest != NULL;
		reference_release(&ref);
		if (pinned)
			return err_set(err, ERR_USAGE, "invalid tag \"%s\": a tag cannot have a digest", tags->v[i]);
	}
	for (size_t i = 0; i < n; i++)
		if (outputs[i].kind == OUTPUT_REGISTRY && !outputs[i].names.len && (!tags || !tags->len))
			return err_set(err, ERR_USAGE, "tag is needed when pushing to registry");
	return 0;
}
