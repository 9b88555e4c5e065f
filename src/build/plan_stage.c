#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/doc.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/wire.h"
#include "build/healthcheck.h"
#include "build/plan_add.h"
#include "build/plan_context.h"
#include "build/plan_internal.h"
#include "build/ports.h"
#include "dockerfile/expand.h"
#include "store/filehash.h"

#define HISTORY_COMMENT "whittle.dockerfile.v0"
#define STEP_HOSTNAME "buildkitsandbox" /* the name that steps under BuildKit see: scripts test for it */

/* ---- shared pieces ---- */

static int refuse(const struct instruction *in, const char *what, struct err *err)
{
	return err_set(err, ERR_DOCKERFILE, "dockerfile parse error on line %d: %s is not supported by this whittle",
		in->first_line, what);
}

/* The time is filled in by the export, which knows which entries are new. */
static void add_history(struct stage_state *st, struct strbuf *text, bool empty)
{
	config_history_add(&st->config, NULL, text->buf, HISTORY_COMMENT, empty);
}

static void join(struct strbuf *sb, const struct strv *l, const char *between)
{
	for (size_t i = 0; i < l->len; i++)
		strbuf_printf(sb, "%s%s", i ? between : "", l->v[i]);
}

/* As Go's %q: what histories show of CMD and ENTRYPOINT. */
static void put_quoted(struct strbuf *sb, const char *s)
{
	strbuf_putc(sb, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			strbuf_putc(sb, '\\');
		if (*s == '\n')
			strbuf_puts(sb, "\\n");
		else if (*s == '\t')
			strbuf_puts(sb, "\\t");
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			strbuf_printf(sb, "\\x%02x", (unsigned char)*s);
		else
			strbuf_putc(sb, *s);
	}
	strbuf_putc(sb, '"');
}

static const char *working_dir(const struct stage_state *st)
{
	return st->config.working_dir && *st->config.working_dir ? st->config.working_dir : "/";
}

static void set_string(char **to, const char *value)
{
	free(*to);
	*to = xstrdup(value);
}

/* The words of in, expanded. */
static int expand_args(struct planner *p, struct stage_state *st, const struct instruction *in, struct strv *ret,
	struct err *err)
{
	for (size_t i = 0; i < in->nargs; i++) {
		char *word;

		if (plan_expand(p, &st->env, in->args[i], &word, err) < 0)
			return -1;
		strv_take(ret, word);
	}
	return 0;
}

/* A flag's value, expanded; NULL when it is absent or empty. */
static int expand_flag(struct planner *p, struct stage_state *st, const struct instruction *in, const char *name,
	char **ret, struct err *err)
{
	const char *value = instruction_flag(in, name);

	*ret = NULL;
	if (!value || !*value)
		return 0;
	if (plan_expand(p, &st->env, value, ret, err) < 0)
		return -1;
	if (!**ret) {
		free(*ret);
		*ret = NULL;
	}
	return 0;
}

static void add_words(struct strv *ret, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strv_add(ret, words[i]);
}

/* The exec form as it stands, the shell form behind the SHELL of the stage. */
static void command_line(const struct stage_state *st, const struct instruction *in, struct strv *ret)
{
	static const char *const shell[] = { "/bin/sh", "-c" }, *const windows[] = { "cmd", "/S", "/C" };

	if (!in->json) {
		if (st->config.shell_set && st->config.shell.len)
			strv_add_all(ret, &st->config.shell);
		else if (strcmp(st->platform.os, "windows") == 0)
			add_words(ret, windows, 3);
		else
			add_words(ret, shell, 2);
	}
	for (size_t i = 0; i < in->nargs; i++)
		strv_add(ret, in->args[i]);
}

static bool filtered_out(const struct planner *p, const struct stage_state *st)
{
	if (p->options->no_cache)
		return true;
	for (size_t i = 0; i < p->options->no_cache_filter.len; i++)
		if (st->stage->name && strcasecmp(st->stage->name, p->options->no_cache_filter.v[i]) == 0)
			return true;
	return false;
}

static struct op *new_op(struct planner *p, struct stage_state *st, const struct instruction *in, enum op_kind kind)
{
	struct op *op = xcalloc(1, sizeof(*op));

	op->kind = kind;
	op->base = st->tip;
	op->platform = st->platform;
	op->location = (struct dockerfile_location){ in->first_line, in->last_line };
	op->name = plan_step_name(p, st, in);
	op->no_cache = filtered_out(p, st);
	return op;
}

/* ---- instructions that change the config alone ---- */

static int do_env(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;
	auto_strv pairs = STRV_INIT;

	/* All words see the environment from before the instruction (2.1). */
	for (size_t i = 0; i < in->nkeys; i++) {
		char *key, *value;

		if (plan_expand(p, &st->env, in->keys[i], &key, err) < 0)
			return -1;
		strv_take(&pairs, key);
		if (plan_expand(p, &st->env, in->values[i], &value, err) < 0)
			return -1;
		strv_take(&pairs, value);
	}
	strbuf_puts(&text, instruction_kind_name(in->kind));
	for (size_t i = 0; i < pairs.len; i += 2) {
		strbuf_printf(&text, " %s=%s", pairs.v[i], pairs.v[i + 1]);
		if (in->kind == INSTRUCTION_LABEL) {
			pairs_set(&st->config.labels, pairs.v[i], pairs.v[i + 1]);
			continue;
		}
		strv_env_set(&st->env, pairs.v[i], pairs.v[i + 1]);
		strv_env_set(&st->config.env, pairs.v[i], pairs.v[i + 1]);
	}
	add_history(st, &text, true);
	return 0;
}

static void declare_arg(struct stage_state *st, const char *name, const char *value)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < st->args.len; i++)
		if (strncmp(st->args.v[i], name, len) == 0 && (st->args.v[i][len] == '=' || !st->args.v[i][len])) {
			free(st->args.v[i]);
			st->args.v[i] = value ? xasprintf("%s=%s", name, value) : xstrdup(name);
			return;
		}
	strv_take(&st->args, value ? xasprintf("%s=%s", name, value) : xstrdup(name));
}

static int do_arg(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;

	strbuf_puts(&text, "ARG");
	for (size_t i = 0; i < in->nkeys; i++) {
		const char *value = plan_build_arg(p, in->keys[i]);
		auto_free char *expanded = NULL;

		strv_add(&p->declared, in->keys[i]);
		/* 2.7: the build argument, else the default, else the global scope. */
		if (!value && in->values[i]) {
			if (plan_expand(p, &st->env, in->values[i], &expanded, err) < 0)
				return -1;
			value = expanded;
		} else if (!value) {
			value = strv_env_get(&p->globals, in->keys[i]);
		}
		if (value)
			strv_env_set(&st->env, in->keys[i], value);
		declare_arg(st, in->keys[i], value);
		strbuf_printf(&text, " %s%s%s", in->keys[i], value ? "=" : "", value ? value : "");
	}
	add_history(st, &text, true);
	return 0;
}

static int do_cmd(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	bool cmd = in->kind == INSTRUCTION_CMD;
	struct strv *list = cmd ? &st->config.cmd : &st->config.entrypoint;
	auto_strbuf text = STRBUF_INIT;

	(void)p;
	(void)err;
	strv_release(list);
	command_line(st, in, list);
	if (cmd) {
		st->config.cmd_set = true;
		st->config.args_escaped = true;
		st->cmd_here = true;
	} else {
		st->config.entrypoint_set = list->len > 0;
		if (!st->cmd_here) {
			strv_release(&st->config.cmd);
			st->config.cmd_set = false;
		}
	}
	strbuf_printf(&text, "%s [", instruction_kind_name(in->kind));
	for (size_t i = 0; i < list->len; i++) {
		if (i)
			strbuf_putc(&text, ' ');
		put_quoted(&text, list->v[i]);
	}
	strbuf_putc(&text, ']');
	add_history(st, &text, true);
	return 0;
}

static int do_shell(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;

	(void)p;
	(void)err;
	strv_release(&st->config.shell);
	for (size_t i = 0; i < in->nargs; i++)
		strv_add(&st->config.shell, in->args[i]);
	st->config.shell_set = true;
	strbuf_puts(&text, "SHELL [");
	join(&text, &st->config.shell, " ");
	strbuf_putc(&text, ']');
	add_history(st, &text, true);
	return 0;
}

static int do_expose(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	auto_strv words = STRV_INIT;
	auto_strv ports = STRV_INIT;
	auto_strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < in->nargs; i++)
		strv_add(&words, in->args[i]);
	ports_sort(&words);
	for (size_t i = 0; i < words.len; i++) {
		auto_free char *word = NULL;

		if (plan_expand(p, &st->env, words.v[i], &word, err) < 0)
			return -1;
		for (const char *at = word; *at;) {
			size_t len = strcspn(at, " \t");
			auto_free char *one = xstrndup(at, len);

			if (len && ports_parse(one, &ports, err) < 0)
				return -1;
			at += len + (at[len] != '\0');
		}
	}
	for (size_t i = 0; i < ports.len; i++)
		config_set_add(&st->config.exposed_ports, ports.v[i]);
	strbuf_puts(&text, "EXPOSE [");
	join(&text, &ports, " ");
	strbuf_putc(&text, ']');
	add_history(st, &text, true);
	return 0;
}

static int do_volume(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	auto_strv words = STRV_INIT;
	auto_strbuf text = STRBUF_INIT;

	if (expand_args(p, st, in, &words, err) < 0)
		return -1;
	for (size_t i = 0; i < words.len; i++) {
		if (words.v[i][strspn(words.v[i], " \t")] == '\0')
			return err_set(err, ERR_DOCKERFILE, "VOLUME specified can not be an empty string");
		config_set_add(&st->config.volumes, words.v[i]);
	}
	strbuf_puts(&text, "VOLUME [");
	join(&text, &words, " ");
	strbuf_putc(&text, ']');
	add_history(st, &text, true);
	return 0;
}

/* USER, STOPSIGNAL and MAINTAINER: one string into one field. */
static int do_string(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	char **field = in->kind == INSTRUCTION_USER       ? &st->config.user :
		       in->kind == INSTRUCTION_STOPSIGNAL ? &st->config.stop_signal :
							    &st->config.author;
	auto_free char *value = NULL;
	auto_strbuf text = STRBUF_INIT;

	if (in->kind == INSTRUCTION_MAINTAINER)
		value = xstrdup(in->args[0]);
	else if (plan_expand(p, &st->env, in->args[0], &value, err) < 0)
		return -1;
	if (in->kind == INSTRUCTION_STOPSIGNAL && !ports_signal_valid(value))
		return err_set(err, ERR_DOCKERFILE, "invalid signal: %s", value);
	set_string(field, value);
	strbuf_printf(&text, "%s %s", instruction_kind_name(in->kind), value);
	add_history(st, &text, true);
	return 0;
}

static int do_healthcheck(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;

	(void)p;
	(void)err;
	strbuf_puts(&text, "HEALTHCHECK ");
	doc_free(st->config.healthcheck);
	st->config.healthcheck = healthcheck_make(in, &text);
	add_history(st, &text, true);
	return 0;
}

static int do_onbuild(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	(void)p;
	(void)err;
	strv_add(&st->config.on_build, in->args[0]);
	return 0;
}

/* ---- RUN ---- */

/* What histories and humans see of the ARGs that a RUN could use: "|2 A=1 B= ". */
static void put_run_args(struct strbuf *text, const struct stage_state *st)
{
	if (st->args.len == 0)
		return;
	strbuf_printf(text, "|%zu ", st->args.len);
	for (size_t i = 0; i < st->args.len; i++) {
		size_t len = strcspn(st->args.v[i], "=");
		auto_free char *name = xstrndup(st->args.v[i], len);
		const char *value = strv_env_get(&st->env, name);

		strbuf_printf(text, "%s=%s ", name, value ? value : "");
	}
}

static int run_network(struct planner *p, const struct instruction *in, enum step_network *ret, struct err *err)
{
	const char *flag = instruction_flag(in, "network");

	*ret = p->options->steps.network;
	if (!flag || strcmp(flag, "default") == 0)
		return 0;
	if (strcmp(flag, "none") == 0) {
		*ret = STEP_NETWORK_NONE;
		return 0;
	}
	if (strcmp(flag, "host") == 0) {
		if (*ret != STEP_NETWORK_HOST)
			return err_set(err, ERR_DOCKERFILE, "RUN --network=host in a build with --network %s",
				*ret == STEP_NETWORK_NONE ? "none" : "private");
		*ret = STEP_NETWORK_HOST;
		return 0;
	}
	return err_set(err, ERR_DOCKERFILE, "unsupported network mode \"%s\"", flag);
}

/* Proxies reach the step, and nothing else: no key, no history (2.9). */
static void add_proxies(const struct planner *p, struct strv *env)
{
	static const char *const names[] = { "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY",
		"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy" };
	size_t half = sizeof(names) / sizeof(names[0]) / 2;

	for (size_t i = 0; i < half * 2; i++) {
		const char *value = plan_build_arg(p, names[i]);

		if (!value || !*value)
			continue;
		strv_env_set(env, names[i % half], value);
		strv_env_set(env, names[i % half + half], value);
	}
}

static const char *step_hostname(const struct planner *p)
{
	const char *given = plan_build_arg(p, "BUILDKIT_SANDBOX_HOSTNAME");

	return given && *given ? given : STEP_HOSTNAME;
}

/* What no step is given; a host or user who would allow it is not asked (dockerfile.md 3.2.5). */
static int check_run_flags(const struct instruction *in, struct err *err)
{
	const char *security = instruction_flag(in, "security");

	if (security && strcmp(security, "sandbox") != 0)
		return err_set(err, ERR_DOCKERFILE,
			"entitlement security.%s is not allowed: steps never run without the sandbox", security);
	if (instruction_flag(in, "device"))
		return err_set(err, ERR_DOCKERFILE,
			"entitlement device is not allowed: steps are given no device of this machine");
	return 0;
}

/* The command, its surroundings, and what of them counts for the cache. */
static int make_run(struct planner *p, struct stage_state *st, const struct instruction *in, struct op *op,
	struct strbuf *definition, struct err *err)
{
	auto_free char *path = NULL;

	command_line(st, in, &op->step.argv);
	if (in->script_name) {
		op->script_name = xstrdup(in->script_name);
		op->script = xstrdup(in->args[0]);
		path = xasprintf(OP_SCRIPT_FOLDER "/%s", in->script_name);
		set_string(&op->step.argv.v[op->step.argv.len - 1], path);
	}
	strv_copy(&op->step.env, &st->env);
	op->step.cwd = xstrdup(working_dir(st));
	op->step.user = xstrdup(st->config.user ? st->config.user : "");
	op->step.hostname = xstrdup(step_hostname(p));
	if (run_network(p, in, &op->step.network, err) < 0)
		return -1;
	wire_put_strv(definition, &op->step.argv);
	wire_put_strv(definition, &op->step.env);
	wire_put_str(definition, op->step.cwd);
	wire_put_str(definition, op->step.user);
	wire_put_str(definition, op->step.hostname);
	wire_put_u64(definition, op->step.network);
	step_options_put_key(&p->options->steps, definition);
	if (op->script)
		wire_put_str(definition, op->script);
	add_proxies(p, &op->step.env);
	return plan_run_mounts(p, st, in, op, definition, err);
}

static int do_run(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;
	auto_strbuf definition = STRBUF_INIT;
	struct op *op;

	if (check_run_flags(in, err) < 0)
		return -1;
	op = new_op(p, st, in, OP_RUN);
	if (make_run(p, st, in, op, &definition, err) < 0) {
		op_free(op);
		return -1;
	}
	strbuf_puts(&text, "RUN ");
	put_run_args(&text, st);
	join(&text, &op->step.argv, " ");
	strbuf_puts(&text, " # buildkit");
	add_history(st, &text, false);
	st->tip = plan_add(p, op, &definition);
	return 0;
}

/* ---- COPY, ADD, WORKDIR ---- */

static bool know_digest(void *ctx, const struct stat *st, uint8_t out[DIGEST_SIZE])
{
	return filehash_get(ctx, st, out);
}

static void note_digest(void *ctx, const struct stat *st, const uint8_t digest[DIGEST_SIZE])
{
	filehash_put(ctx, st, digest);
}

int plan_digest_folder(struct planner *p, struct op *op, struct err *err)
{
	struct copy_file_digests digests = { .ctx = p->session->store, .get = know_digest, .put = note_digest };
	const struct context *folder = op->folder ? op->folder : p->context;
	int rc;

	filehash_begin(p->session->store);
	rc = copy_digest(folder->fd, &op->copy, &digests, op->context_digest, err);
	filehash_end(p->session->store);
	return rc;
}

void plan_copy_folder(const struct planner *p, struct op *op, const struct context *folder)
{
	op->folder = folder == p->context ? NULL : folder;
	op->copy.from_context = true;
	if (folder->ignore)
		op->copy.ignore = xstrdup(folder->ignore);
	op->copy.fixed_mtime = folder->fixed_mtime;
	op->copy.mtime = folder->mtime;
}

/* The source of COPY --from. */
static int copy_from(struct planner *p, struct stage_state *st, const struct instruction *in, struct op *op,
	struct err *err)
{
	const char *from = instruction_flag(in, "from");
	struct plan_files files;

	if (!from || !*from) {
		plan_copy_folder(p, op, p->context);
		return 0;
	}
	if (strchr(from, '$'))
		return err_set(err, ERR_DOCKERFILE,
			"variable expansion is not supported for --from, define a new stage with FROM using ARG "
			"from global scope as a workaround");
	if (plan_from(p, st, from, true, in, &files, err) < 0)
		return -1;
	if (files.folder)
		plan_copy_folder(p, op, files.folder);
	op->from = files.tip;
	op->from_empty = !files.tip && !files.folder;
	return 0;
}

void plan_put_copy(const struct op *op, struct strbuf *definition)
{
	const struct copy_spec *c = &op->copy;

	wire_put_u64(definition, c->from_context);
	/* Of context sources only what they select counts, see plan_digest_folder(). */
	if (!c->from_context)
		wire_put_strv(definition, &c->sources);
	wire_put_strv(definition, &c->file_names);
	wire_put_strv(definition, &c->file_contents);
	wire_put_strv(definition, &c->excludes);
	wire_put_str(definition, c->dest);
	wire_put_str(definition, c->chown);
	wire_put_str(definition, c->chmod);
	wire_put_u64(definition, c->parents);
	wire_put_u64(definition, c->extract);
	wire_put_u64(definition, c->make_dir_only);
	wire_put_u64(definition, op->link);
	plan_put_sources(op, definition);
}

/* Absolute, with the trailing slash that makes it a folder. */
static char *absolute_dest(const struct stage_state *st, const char *dest)
{
	size_t len = strlen(dest);
	bool folder = len == 0 || strcmp(dest, ".") == 0 || dest[len - 1] == '/' ||
		      (len > 1 && strcmp(dest + len - 2, "/.") == 0);
	auto_free char *path = path_join(working_dir(st), len ? dest : ".");

	return folder && strcmp(path, "/") != 0 ? xasprintf("%s/", path) : xstrdup(path);
}

/* Heredoc sources become files. */
static int add_heredocs(struct stage_state *st, const struct instruction *in, struct op *op, struct err *err)
{
	for (size_t i = 0; i < in->nheredocs; i++) {
		const struct heredoc *h = &in->heredocs[i];
		char *content;

		strv_add(&op->copy.file_names, h->name);
		if (!h->expand) {
			strv_add(&op->copy.file_contents, h->content);
			continue;
		}
		if (plan_expand_heredoc(&st->env, h->content, &content, err) < 0)
			return -1;
		strv_take(&op->copy.file_contents, content);
	}
	return 0;
}

static void put_copy_history(struct strbuf *text, const struct instruction *in, const struct op *op,
	const struct strv *sources, const char *dest)
{
	strbuf_puts(text, instruction_kind_name(in->kind));
	if (op->copy.parents)
		strbuf_puts(text, " --parents");
	if (op->copy.chown)
		strbuf_printf(text, " --chown=%s", op->copy.chown);
	if (op->copy.chmod)
		strbuf_printf(text, " --chmod=%s", op->copy.chmod);
	for (size_t i = 0; i < sources->len; i++)
		strbuf_printf(text, " %s", sources->v[i]);
	for (size_t i = 0; i < op->copy.file_names.len; i++)
		strbuf_printf(text, " <<%s", op->copy.file_names.v[i]);
	strbuf_printf(text, " %s # buildkit", dest);
}

/* Fill in everything but the cache key. */
static int make_copy(struct planner *p, struct stage_state *st, const struct instruction *in, struct op *op,
	struct strbuf *history, struct err *err)
{
	auto_strv words = STRV_INIT;
	auto_free char *checksum = NULL;
	auto_free char *dest = NULL;
	const char *exclude;

	if (expand_args(p, st, in, &words, err) < 0 ||
		expand_flag(p, st, in, "chown", &op->copy.chown, err) < 0 ||
		expand_flag(p, st, in, "chmod", &op->copy.chmod, err) < 0 ||
		expand_flag(p, st, in, "checksum", &checksum, err) < 0 || add_heredocs(st, in, op, err) < 0)
		return -1;
	dest = words.v[--words.len];
	words.v[words.len] = NULL;
	for (size_t i = 0; (exclude = instruction_flag_at(in, "exclude", i)); i++)
		strv_add(&op->copy.excludes, exclude);
	op->copy.parents = instruction_flag_is_set(in, "parents");
	op->copy.extract = in->kind == INSTRUCTION_ADD;
	op->copy.dest = absolute_dest(st, dest);
	op->copy.now = p->now;
	/* with --chmod the flag is ignored (3.3.7) */
	op->link = instruction_flag_is_set(in, "link") && !op->copy.chmod;
	put_copy_history(history, in, op, &words, dest);
	if (copy_from(p, st, in, op, err) < 0 || plan_sources(p, in, &words, checksum, op, err) < 0)
		return -1;
	return op->copy.from_context ? plan_digest_folder(p, op, err) : 0;
}

static int do_copy(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	auto_strbuf definition = STRBUF_INIT;
	auto_strbuf history = STRBUF_INIT;
	struct op *op;

	op = new_op(p, st, in, OP_COPY);
	if (make_copy(p, st, in, op, &history, err) < 0) {
		op_free(op);
		return -1;
	}
	plan_put_copy(op, &definition);
	add_history(st, &history, false);
	st->tip = plan_add(p, op, &definition);
	return 0;
}

static int do_workdir(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	auto_free char *value = NULL;
	auto_free char *path = NULL;
	auto_strbuf definition = STRBUF_INIT;
	auto_strbuf text = STRBUF_INIT;
	const char *user = st->config.user;
	struct op *op;

	if (plan_expand(p, &st->env, in->args[0], &value, err) < 0)
		return -1;
	path = path_join(working_dir(st), *value ? value : ".");
	set_string(&st->config.working_dir, path);
	strbuf_printf(&text, "WORKDIR %s", path);
	if (strcmp(path, "/") == 0) {
		st->step++;
		add_history(st, &text, true);
		return 0;
	}
	op = new_op(p, st, in, OP_COPY);
	op->copy.make_dir_only = true;
	op->copy.dest = xasprintf("%s/", path);
	op->copy.now = p->now;
	if (user && *user && strcmp(user, "root") != 0 && strcmp(user, "0") != 0)
		op->copy.chown = xstrdup(user);
	plan_put_copy(op, &definition);
	add_history(st, &text, false);
	st->tip = plan_add(p, op, &definition);
	return 0;
}

bool plan_counts(const struct instruction *in)
{
	return in->kind == INSTRUCTION_RUN || in->kind == INSTRUCTION_COPY || in->kind == INSTRUCTION_ADD ||
	       in->kind == INSTRUCTION_WORKDIR;
}

int plan_instruction(struct planner *p, struct stage_state *st, const struct instruction *in, struct err *err)
{
	static int (*const handlers[])(struct planner *, struct stage_state *, const struct instruction *,
		struct err *) = {
		[INSTRUCTION_ARG] = do_arg,
		[INSTRUCTION_ENV] = do_env,
		[INSTRUCTION_LABEL] = do_env,
		[INSTRUCTION_WORKDIR] = do_workdir,
		[INSTRUCTION_COPY] = do_copy,
		[INSTRUCTION_ADD] = do_copy,
		[INSTRUCTION_RUN] = do_run,
		[INSTRUCTION_CMD] = do_cmd,
		[INSTRUCTION_ENTRYPOINT] = do_cmd,
		[INSTRUCTION_USER] = do_string,
		[INSTRUCTION_EXPOSE] = do_expose,
		[INSTRUCTION_VOLUME] = do_volume,
		[INSTRUCTION_STOPSIGNAL] = do_string,
		[INSTRUCTION_SHELL] = do_shell,
		[INSTRUCTION_HEALTHCHECK] = do_healthcheck,
		[INSTRUCTION_ONBUILD] = do_onbuild,
		[INSTRUCTION_MAINTAINER] = do_string,
	};

	if ((size_t)in->kind >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[in->kind])
		return refuse(in, instruction_kind_name(in->kind), err);
	return handlers[in->kind](p, st, in, err);
}
