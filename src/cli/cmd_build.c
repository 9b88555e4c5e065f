#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "build/build.h"
#include "cli/cli.h"
#include "dockerfile/parse.h"
#include "oci/descriptor.h"

#define PLATFORMS_MAX 32 /* of one build; there are about a dozen in the world */
#define LOG_LINES 20     /* of a failed step, repeated below the progress */

static struct {
	const char *file, *target, *network, *iidfile, *storage;
	struct strv tags, build_args, labels, platforms, outputs, no_cache_filter;
	bool no_cache, pull, quiet, push, load;
} opt;

#define REFUSE(flag, instead) { OPTION_REFUSED, 0, flag, instead, NULL, NULL }
static const struct option_def options[] = {
	{ OPTION_STRING, 'f', "file", "PATH", "the Dockerfile (default PATH/Dockerfile, - for stdin)", &opt.file },
	{ OPTION_LIST, 't', "tag", "NAME[:TAG]", "name of the image; may be repeated", &opt.tags },
	{ OPTION_LIST, 'o', "output", "SPEC",
		"type=oci|docker|tar|local|image|registry,dest=...; may be repeated; a bare path is type=local",
		&opt.outputs },
	{ OPTION_LIST, 0, "platform", "OS/ARCH", "target platform; may be repeated or a comma list", &opt.platforms },
	{ OPTION_STRING, 0, "target", "STAGE", "build this stage (default the last)", &opt.target },
	{ OPTION_LIST, 0, "build-arg", "K[=V]", "value of an ARG; without =V from the environment", &opt.build_args },
	{ OPTION_LIST, 0, "label", "K=V", "add a label to the image", &opt.labels },
	{ OPTION_STRING, 0, "network", "MODE", "network of RUN steps: host or none (default host)", &opt.network },
	{ OPTION_STRING, 0, "storage", "KIND",
		"root file systems of steps: auto, overlay, fuse or copy (default auto)", &opt.storage },
	{ OPTION_FLAG, 0, "no-cache", NULL, "run every step anew", &opt.no_cache },
	{ OPTION_LIST, 0, "no-cache-filter", "STAGE", "run the steps of these stages anew", &opt.no_cache_filter },
	{ OPTION_FLAG, 0, "pull", NULL, "ask the registry for base images even if the store has them", &opt.pull },
	{ OPTION_FLAG, 0, "push", NULL, "push the image to the registry of its name", &opt.push },
	{ OPTION_FLAG, 0, "load", NULL, "keep the image in the store (the default with -t)", &opt.load },
	{ OPTION_STRING, 0, "iidfile", "FILE", "write the image's digest into FILE", &opt.iidfile },
	{ OPTION_FLAG, 'q', "quiet", NULL, "print nothing but the digest", &opt.quiet },
	REFUSE("build-context", "named contexts are not supported by this whittle"),
	REFUSE("secret", "RUN --mount=type=secret is not supported by this whittle"),
	REFUSE("ssh", "RUN --mount=type=ssh is not supported by this whittle"),
	REFUSE("cache-from", "the step cache is in the store; registry caches are not supported by this whittle"),
	REFUSE("cache-to", "the step cache is in the store; registry caches are not supported by this whittle"),
	REFUSE("allow", "steps never run without the sandbox"),
	REFUSE("builder", "there is no daemon and no builder to choose"),
	REFUSE("attest", "attestations are not supported by this whittle"),
	REFUSE("sbom", "attestations are not supported by this whittle"),
	REFUSE("provenance", "attestations are not supported by this whittle"),
	REFUSE("annotation", "annotations are not supported by this whittle"),
	REFUSE("metadata-file", "use --iidfile for the digest"),
	REFUSE("add-host", "extra hosts are not supported by this whittle"),
	REFUSE("ulimit", "limits are not supported by this whittle"),
	REFUSE("shm-size", "/dev/shm of a step is 64 MiB"),
	REFUSE("cgroup-parent", "limits are not supported by this whittle"),
	REFUSE("memory", "limits are not supported by this whittle"),
	REFUSE("squash", "squashing is not supported by this whittle"),
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

/* K=V, or K alone from the environment; an unset one counts as not given (dockerfile.md 5.5). */
static void add_build_args(struct build_options *o)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	for (size_t i = 0; i < opt.build_args.len; i++) {
		const char *arg = opt.build_args.v[i];
		size_t len = strcspn(arg, "=");
		auto_free char *name = xstrndup(arg, len);
		const char *value = arg[len] ? arg + len + 1 : getenv(name);

		if (value)
			strv_env_set(&o->build_args, name, value);
	}
	if (epoch && *epoch && !strv_env_get(&o->build_args, "SOURCE_DATE_EPOCH"))
		strv_env_set(&o->build_args, "SOURCE_DATE_EPOCH", epoch);
}

static int set_epoch(struct build_options *o, struct err *err)
{
	const char *text = strv_env_get(&o->build_args, "SOURCE_DATE_EPOCH");
	uint64_t seconds;

	if (!text || !*text)
		return 0;
	if (parse_u64(text, 0, 1ull << 40, &seconds) < 0)
		return err_set(err, ERR_USAGE, "invalid SOURCE_DATE_EPOCH: %s", text);
	o->epoch = (int64_t)seconds;
	return 0;
}

static int add_platforms(struct build_options *o, struct err *err)
{
	const char *fallback = getenv("DOCKER_DEFAULT_PLATFORM");
	struct platform host;

	platform_host(&host);
	if (!opt.platforms.len && fallback && *fallback)
		strv_add(&opt.platforms, fallback);
	o->platforms = xcalloc(PLATFORMS_MAX, sizeof(*o->platforms));
	for (size_t i = 0; i < opt.platforms.len; i++)
		for (const char *at = opt.platforms.v[i]; *at;) {
			size_t len = strcspn(at, ",");
			auto_free char *one = xstrndup(at, len);

			if (o->nplatforms == PLATFORMS_MAX)
				return err_set(err, ERR_USAGE, "more than %d platforms", PLATFORMS_MAX);
			if (len && platform_parse(one, &host, &o->platforms[o->nplatforms++], err) < 0)
				return err->kind = ERR_USAGE, -1;
			at += len + (at[len] == ',');
		}
	return 0;
}

static int add_outputs(struct build_options *o, struct err *err)
{
	size_t extra = opt.push || opt.load;

	o->outputs = xcalloc(opt.outputs.len + extra + 1, sizeof(*o->outputs));
	for (size_t i = 0; i < opt.outputs.len; i++)
		if (output_parse(opt.outputs.v[i], &o->outputs[o->noutputs++], err) < 0)
			return o->noutputs--, -1;
	if (extra && output_parse(opt.push ? "type=registry" : "type=image", &o->outputs[o->noutputs++], err) < 0)
		return -1;
	/* -t alone keeps the image in the store. */
	if (!o->noutputs && o->tags.len && output_parse("type=image", &o->outputs[o->noutputs++], err) < 0)
		return -1;
	if (outputs_check_names(o->outputs, o->noutputs, &o->tags, err) < 0)
		return -1;
	return outputs_check(o->outputs, o->noutputs, o->nplatforms ? o->nplatforms : 1, isatty(STDOUT_FILENO), err);
}

static int fill(struct build_options *o, const char *context, struct err *err)
{
	o->context = context;
	o->dockerfile = opt.file;
	o->target = opt.target;
	o->no_cache = opt.no_cache;
	o->pull = opt.pull;
	strv_copy(&o->tags, &opt.tags);
	strv_copy(&o->no_cache_filter, &opt.no_cache_filter);
	add_build_args(o);
	for (size_t i = 0; i < opt.labels.len; i++) {
		size_t len = strcspn(opt.labels.v[i], "=");
		auto_free char *key = xstrndup(opt.labels.v[i], len);

		pairs_set(&o->labels, key, opt.labels.v[i][len] ? opt.labels.v[i] + len + 1 : "");
	}
	if (!opt.network || strcmp(opt.network, "default") == 0 || strcmp(opt.network, "host") == 0)
		o->network = BUILD_NETWORK_HOST;
	else if (strcmp(opt.network, "none") == 0)
		o->network = BUILD_NETWORK_NONE;
	else
		return err_set(err, ERR_USAGE, "unknown network '%s': use host or none", opt.network);
	if (opt.no_cache && opt.no_cache_filter.len)
		return err_set(err, ERR_USAGE, "--no-cache and --no-cache-filter exclude each other");
	if (set_epoch(o, err) < 0 || add_platforms(o, err) < 0)
		return -1;
	return add_outputs(o, err);
}

/* The last lines of the failed step's log, the place in the Dockerfile; cli_fail() adds the message. */
static void explain(const struct build_result *r)
{
	auto_strbuf excerpt = STRBUF_INIT;

	if (r->step_name) {
		const char *from = r->step_log.buf + r->step_log.len;
		int lines = 0;

		while (from > r->step_log.buf && lines <= LOG_LINES)
			if (*--from == '\n' && from + 1 < r->step_log.buf + r->step_log.len)
				lines++;
		if (lines > LOG_LINES)
			from++;
		fprintf(stderr, "------\n > ");
		cli_put_safe(r->step_name, strcspn(r->step_name, "\n"), stderr);
		fprintf(stderr, ":\n");
		cli_put_safe(from, (size_t)(r->step_log.buf + r->step_log.len - from), stderr);
		if (r->step_log.len && r->step_log.buf[r->step_log.len - 1] != '\n')
			putc('\n', stderr);
		fprintf(stderr, "------\n");
	}
	if (r->dockerfile_name)
		dockerfile_excerpt(r->dockerfile_name, r->dockerfile_text.buf, r->dockerfile_text.len, &r->location,
			&excerpt);
	fputs(excerpt.buf, stderr);
}

static int write_iidfile(const char *path, const char *digest, struct err *err)
{
	auto_fclose FILE *f = fopen(path, "we");

	if (!f || fputs(digest, f) < 0)
		return err_sys(err, "cannot write '%s'", path);
	return 0;
}

static bool writes_to_stdout(const struct build_options *o)
{
	for (size_t i = 0; i < o->noutputs; i++)
		if (o->outputs[i].kind != OUTPUT_STORE && o->outputs[i].kind != OUTPUT_REGISTRY &&
			(!o->outputs[i].dest || strcmp(o->outputs[i].dest, "-") == 0))
			return true;
	return false;
}

static int build(const struct build_options *o, struct session *s, struct progress *view)
{
	struct build_result result;
	struct err err = ERR_INIT;
	int rc = build_run(s, o, &result, &err);

	progress_view_free(view);
	if (rc == 0 && opt.iidfile)
		rc = write_iidfile(opt.iidfile, result.image.digest, &err);
	if (rc == 0 && !writes_to_stdout(o))
		printf("%s\n", result.image.digest);
	log_debug("%llu objects written in folders of the store", (unsigned long long)result.files_written);
	if (rc < 0)
		explain(&result);
	build_result_release(&result);
	return rc < 0 ? cli_fail(&err) : EXIT_OK;
}

static void release(struct build_options *o)
{
	build_options_release(o);
	strv_release(&opt.tags);
	strv_release(&opt.build_args);
	strv_release(&opt.labels);
	strv_release(&opt.platforms);
	strv_release(&opt.outputs);
	strv_release(&opt.no_cache_filter);
}

static int run_build(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	struct build_options o;
	struct session s;
	struct progress *view = NULL;
	struct err err = ERR_INIT;
	int status = cli_options(self, options, argc, argv, false, 1, 1, &operands);

	if (status >= 0)
		return status;
	build_options_init(&o);
	if (fill(&o, operands.v[0], &err) == 0)
		view = progress_view_new(opt.quiet ? "quiet" : common.progress, &err);
	if (!view || cli_session_open_with(&s, view, opt.storage, &err) < 0) {
		progress_view_free(view);
		status = cli_fail(&err);
	} else {
		status = build(&o, &s, view);
		cli_session_close(&s);
	}
	release(&o);
	return status;
}

const struct command command_build = { "build", "[OPTIONS] PATH", "build an image from a Dockerfile", run_build };
