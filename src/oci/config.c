#include "oci/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "oci/descriptor.h"
#include "oci/document.h"

DEFINE_AUTO(struct doc *, doc_free)

#define HEALTHCHECK_MIN_NS 1000000 /* below 1 ms is invalid, 0 means inherit (oci.md 1.6) */
#define REPAIRED_CREATED_BY "layer without history"

void config_set_add(struct strv *set, const char *s)
{
	size_t low = 0, high = set->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(set->v[mid], s);

		if (c == 0)
			return;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	strv_add(set, s);
	char *added = set->v[set->len - 1];
	memmove(set->v + low + 1, set->v + low, (set->len - 1 - low) * sizeof(set->v[0]));
	set->v[low] = added;
}

/* A set in the documents is an object whose values mean nothing. */
static int parse_set(const struct doc *d, const char *name, struct strv *ret, struct err *err)
{
	const struct doc *set = doc_get(d, name);
	void *iter = NULL;
	const char *key;
	struct doc *value;

	if (set && !doc_is_object(set))
		return err_set(err, ERR_INPUT, "config: '%s' is not an object", name);
	while (doc_each(set, &iter, &key, &value)) {
		if (ret->len == CONFIG_LIST_MAX)
			return err_set(err, ERR_INPUT, "config: '%s' has more than %d members",
				name, CONFIG_LIST_MAX);
		config_set_add(ret, key);
	}
	return 0;
}

static int parse_list(
	const struct doc *d, const char *name, struct strv *ret, bool *ret_set, struct err *err)
{
	*ret_set = doc_is_array(doc_get(d, name));
	return document_get_strv(d, name, "config", CONFIG_LIST_MAX, ret, err);
}

static int check_healthcheck(const struct doc *h, struct err *err)
{
	static const char *const times[] = {
		"Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"};
	auto_strv test = STRV_INIT;
	uint64_t v;

	if (!doc_is_object(h))
		return err_set(err, ERR_INPUT, "config: 'Healthcheck' is not an object");
	if (document_check_names(h, "Healthcheck", err) < 0 ||
		document_get_strv(h, "Test", "Healthcheck", CONFIG_LIST_MAX, &test, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		if (!doc_get(h, times[i]))
			continue;
		if (doc_get_u64(h, times[i], &v) < 0)
			return err_set(err, ERR_INPUT,
				"Healthcheck: '%s' is not an integer of at least 0", times[i]);
		if (v && v < HEALTHCHECK_MIN_NS && strcmp(times[i], "Retries") != 0)
			return err_set(
				err, ERR_INPUT, "Healthcheck: '%s' is shorter than 1 ms", times[i]);
	}
	return 0;
}

static int parse_run_config(const struct doc *d, struct image_config *c, struct err *err)
{
	bool unused;

	if (!d)
		return 0;
	if (!doc_is_object(d))
		return err_set(err, ERR_INPUT, "'config' is not an object");
	if (document_check_names(d, "config", err) < 0 ||
		document_get_str(d, "User", "config", &c->user, err) < 0 ||
		parse_set(d, "ExposedPorts", &c->exposed_ports, err) < 0 ||
		parse_list(d, "Env", &c->env, &unused, err) < 0 ||
		parse_list(d, "Entrypoint", &c->entrypoint, &c->entrypoint_set, err) < 0 ||
		parse_list(d, "Cmd", &c->cmd, &c->cmd_set, err) < 0 ||
		parse_set(d, "Volumes", &c->volumes, err) < 0 ||
		document_get_str(d, "WorkingDir", "config", &c->working_dir, err) < 0 ||
		pairs_parse(doc_get(d, "Labels"), "config: 'Labels'", &c->labels, err) < 0 ||
		document_get_str(d, "StopSignal", "config", &c->stop_signal, err) < 0 ||
		parse_list(d, "OnBuild", &c->on_build, &unused, err) < 0 ||
		parse_list(d, "Shell", &c->shell, &c->shell_set, err) < 0)
		return -1;
	c->args_escaped = doc_get_bool(d, "ArgsEscaped");
	if (!doc_get(d, "Healthcheck"))
		return 0;
	if (check_healthcheck(doc_get(d, "Healthcheck"), err) < 0)
		return -1;
	c->healthcheck = doc_copy(doc_get(d, "Healthcheck"));
	return 0;
}

static int parse_rootfs(const struct doc *d, struct image_config *c, struct err *err)
{
	const char *type = doc_get_str(d, "type");

	if (!doc_is_object(d))
		return err_set(err, ERR_INPUT, "'rootfs' is missing or not an object");
	if (document_check_names(d, "rootfs", err) < 0)
		return -1;
	if (!type || strcmp(type, "layers") != 0)
		return err_set(
			err, ERR_INPUT, "'rootfs.type' is not 'layers' but '%s'", type ? type : "");
	if (document_get_strv(d, "diff_ids", "rootfs", CONFIG_LAYERS_MAX, &c->diff_ids, err) < 0)
		return -1;
	for (size_t i = 0; i < c->diff_ids.len; i++)
		if (document_check_digest(c->diff_ids.v[i], "rootfs.diff_ids", err) < 0)
			return err_wrap(err, "layer %zu", i);
	return 0;
}

static int parse_history_entry(const struct doc *d, struct history *h, struct err *err)
{
	if (!doc_is_object(d))
		return err_set(err, ERR_INPUT, "not an object");
	if (document_check_names(d, "history", err) < 0 ||
		document_get_str(d, "created", "history", &h->created, err) < 0 ||
		document_get_str(d, "created_by", "history", &h->created_by, err) < 0 ||
		document_get_str(d, "author", "history", &h->author, err) < 0 ||
		document_get_str(d, "comment", "history", &h->comment, err) < 0)
		return -1;
	h->empty_layer = doc_get_bool(d, "empty_layer");
	return 0;
}

static int parse_history(const struct doc *list, struct image_config *c, struct err *err)
{
	size_t n = doc_len(list);

	if (list && !doc_is_array(list))
		return err_set(err, ERR_INPUT, "'history' is not an array");
	if (n > CONFIG_HISTORY_MAX)
		return err_set(err, ERR_INPUT, "'history' has %zu entries, more than %d", n,
			CONFIG_HISTORY_MAX);
	for (size_t i = 0; i < n; i++) {
		GROW(c->history, c->nhistory, c->history_cap);
		c->history[c->nhistory] = (struct history){.created = NULL};
		c->nhistory++;
		if (parse_history_entry(doc_at(list, i), &c->history[i], err) < 0)
			return err_wrap(err, "history[%zu]", i);
	}
	return 0;
}

static int parse_members(const struct doc *d, struct image_config *c, struct err *err)
{
	if (!doc_is_object(d))
		return err_set(err, ERR_INPUT, "image config is not an object");
	if (document_check_names(d, "image config", err) < 0 ||
		document_get_platform(d, "image config", &c->platform, err) < 0 ||
		document_get_str(d, "author", "image config", &c->author, err) < 0 ||
		document_get_str(d, "created", "image config", &c->created, err) < 0 ||
		parse_run_config(doc_get(d, "config"), c, err) < 0 ||
		parse_rootfs(doc_get(d, "rootfs"), c, err) < 0)
		return -1;
	return parse_history(doc_get(d, "history"), c, err);
}

int config_parse(const void *data, size_t n, struct image_config *ret, struct err *err)
{
	struct image_config c = IMAGE_CONFIG_INIT;
	AUTO(doc_free) struct doc *d = NULL;

	if (n > CONFIG_BYTES_MAX)
		return err_set(err, ERR_INPUT, "image config of %zu bytes, more than %d", n,
			CONFIG_BYTES_MAX);
	d = doc_parse(data, n, "image config", err);
	if (!d)
		return -1;
	if (parse_members(d, &c, err) < 0) {
		config_release(&c);
		return -1;
	}
	*ret = c;
	return 0;
}

static void set_nonempty(struct doc *d, const char *name, const char *s)
{
	if (s && *s)
		doc_set_str(d, name, s);
}

static struct doc *format_set(const struct strv *set)
{
	struct doc *d;

	if (!set->len)
		return NULL;
	d = doc_object();
	for (size_t i = 0; i < set->len; i++) {
		struct doc *name = document_string(set->v[i]);

		doc_set(d, doc_str(name), doc_object());
		doc_free(name);
	}
	return d;
}

static struct doc *format_run_config(const struct image_config *c)
{
	struct doc *d = doc_object();

	set_nonempty(d, "User", c->user);
	doc_set(d, "ExposedPorts", format_set(&c->exposed_ports));
	doc_set(d, "Env", document_strings(&c->env));
	doc_set(d, "Entrypoint", document_strings(&c->entrypoint));
	doc_set(d, "Cmd", document_strings(&c->cmd));
	doc_set(d, "Volumes", format_set(&c->volumes));
	set_nonempty(d, "WorkingDir", c->working_dir);
	doc_set(d, "Labels", pairs_format(&c->labels));
	set_nonempty(d, "StopSignal", c->stop_signal);
	if (c->args_escaped)
		doc_set(d, "ArgsEscaped", doc_bool(true));
	if (c->healthcheck)
		doc_set(d, "Healthcheck", doc_copy(c->healthcheck));
	doc_set(d, "OnBuild", document_strings(&c->on_build));
	doc_set(d, "Shell", document_strings(&c->shell));
	return d;
}

static struct doc *format_history(const struct image_config *c)
{
	struct doc *list;

	if (!c->nhistory)
		return NULL;
	list = doc_array();
	for (size_t i = 0; i < c->nhistory; i++) {
		const struct history *h = &c->history[i];
		struct doc *d = doc_object();

		set_nonempty(d, "created", h->created);
		set_nonempty(d, "created_by", h->created_by);
		set_nonempty(d, "author", h->author);
		set_nonempty(d, "comment", h->comment);
		if (h->empty_layer)
			doc_set(d, "empty_layer", doc_bool(true));
		doc_append(list, d);
	}
	return list;
}

void config_format(const struct image_config *c, struct strbuf *sb)
{
	AUTO(doc_free) struct doc *d = doc_object();
	struct doc *rootfs = doc_object();
	struct doc *diff_ids = document_strings(&c->diff_ids);

	/* architecture and os are required even when nothing is known */
	doc_set_str(d, "architecture", c->platform.architecture);
	set_nonempty(d, "author", c->author);
	doc_set(d, "config", format_run_config(c));
	set_nonempty(d, "created", c->created);
	doc_set(d, "history", format_history(c));
	doc_set_str(d, "os", c->platform.os);
	doc_set(d, "os.features", document_os_features(&c->platform));
	set_nonempty(d, "os.version", c->platform.os_version);
	doc_set_str(rootfs, "type", "layers");
	doc_set(rootfs, "diff_ids", diff_ids ? diff_ids : doc_array());
	doc_set(d, "rootfs", rootfs);
	set_nonempty(d, "variant", c->platform.variant);
	doc_format(d, sb);
}

static char *copy_string(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static void copy_list(struct strv *ret, const struct strv *from)
{
	*ret = (struct strv)STRV_INIT;
	strv_copy(ret, from);
}

void config_copy(const struct image_config *c, struct image_config *ret)
{
	struct image_config copy = *c;

	copy.author = copy_string(c->author);
	copy.created = copy_string(c->created);
	copy.user = copy_string(c->user);
	copy_list(&copy.exposed_ports, &c->exposed_ports);
	copy_list(&copy.env, &c->env);
	copy_list(&copy.entrypoint, &c->entrypoint);
	copy_list(&copy.cmd, &c->cmd);
	copy_list(&copy.volumes, &c->volumes);
	copy.working_dir = copy_string(c->working_dir);
	copy_list(&copy.labels, &c->labels);
	copy.stop_signal = copy_string(c->stop_signal);
	copy.healthcheck = c->healthcheck ? doc_copy(c->healthcheck) : NULL;
	copy_list(&copy.on_build, &c->on_build);
	copy_list(&copy.shell, &c->shell);
	copy_list(&copy.diff_ids, &c->diff_ids);
	copy.history = NULL;
	copy.nhistory = copy.history_cap = 0;
	for (size_t i = 0; i < c->nhistory; i++) {
		const struct history *h = &c->history[i];

		config_history_add(&copy, h->created, h->created_by, h->comment, h->empty_layer);
		copy.history[i].author = copy_string(h->author);
	}
	*ret = copy;
}

static void history_clear(struct image_config *c)
{
	for (size_t i = 0; i < c->nhistory; i++) {
		free(c->history[i].created);
		free(c->history[i].created_by);
		free(c->history[i].author);
		free(c->history[i].comment);
	}
	c->nhistory = 0;
}

void config_release(struct image_config *c)
{
	free(c->author);
	free(c->created);
	free(c->user);
	strv_release(&c->exposed_ports);
	strv_release(&c->env);
	strv_release(&c->entrypoint);
	strv_release(&c->cmd);
	strv_release(&c->volumes);
	free(c->working_dir);
	strv_release(&c->labels);
	free(c->stop_signal);
	doc_free(c->healthcheck);
	strv_release(&c->on_build);
	strv_release(&c->shell);
	strv_release(&c->diff_ids);
	history_clear(c);
	free(c->history);
	*c = (struct image_config)IMAGE_CONFIG_INIT;
}

void config_default_path(struct image_config *c)
{
	if (strcmp(c->platform.os, "windows") != 0 && !strv_env_get(&c->env, "PATH"))
		strv_env_set(&c->env, "PATH", CONFIG_DEFAULT_PATH);
}

void config_init_scratch(const struct platform *platform, struct image_config *ret)
{
	*ret = (struct image_config){.platform = *platform};
	ret->working_dir = xstrdup("/");
	config_default_path(ret);
}

void config_history_add(struct image_config *c, const char *created, const char *created_by,
	const char *comment, bool empty_layer)
{
	GROW(c->history, c->nhistory, c->history_cap);
	c->history[c->nhistory++] = (struct history){
		.created = copy_string(created),
		.created_by = copy_string(created_by),
		.comment = copy_string(comment),
		.empty_layer = empty_layer,
	};
}

static size_t history_layers(const struct image_config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nhistory; i++)
		n += !c->history[i].empty_layer;
	return n;
}

bool config_history_fits(const struct image_config *c)
{
	return !c->nhistory || history_layers(c) == c->diff_ids.len;
}

bool config_history_repair(struct image_config *c)
{
	if (history_layers(c) == c->diff_ids.len)
		return false;
	history_clear(c);
	for (size_t i = 0; i < c->diff_ids.len; i++)
		config_history_add(c, c->created, REPAIRED_CREATED_BY, NULL, false);
	return true;
}

int config_check_layers(const struct image_config *c, size_t nlayers, struct err *err)
{
	if (c->diff_ids.len == nlayers)
		return 0;
	return err_set(err, ERR_INPUT,
		"the manifest has %zu layers, but the image config %zu diff_ids", nlayers,
		c->diff_ids.len);
}

void chain_id_next(const char *parent, const char *diff_id, char out[DIGEST_STR_SIZE])
{
	char text[2 * DIGEST_STR_SIZE];
	size_t n;

	if (!parent) {
		memmove(out, diff_id, strlen(diff_id) + 1);
		return;
	}
	n = (size_t)snprintf(text, sizeof(text), "%s %s", parent, diff_id);
	sha256_buf_str(text, n, out);
}

void config_chain_id(const struct image_config *c, size_t n, char out[DIGEST_STR_SIZE])
{
	for (size_t i = 0; i < n; i++)
		chain_id_next(i ? out : NULL, c->diff_ids.v[i], out);
}
