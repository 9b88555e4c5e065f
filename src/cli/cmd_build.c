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
#include "cli/front.h"
#include "cli/metadata.h"
#include "cli/progress_json.h"
#include "cli/step_flags.h"
#include "dockerfile/parse.h"
#include "oci/descriptor.h"

#define PLATFORMS_MAX 32 /* of one build; there are about a dozen in the world */
#define LOG_LINES 20     /* of a failed step, repeated below the progress */

static struct {
	const char *file, *target, *iidfile, *metadata_file, *jobs, *timestamp, *format, *call, *storage;
	struct strv tags, build_args, labels, platforms, outputs, no_cache_filter, build_contexts, annotations, secrets,
		ssh;
	bool no_cache, pull, quiet, push, load, check;
	bool layers, nothing; /* options of other builders that ask for what happens anyway */
} opt = { .layers = true };

#define REFUSE(flag, instead) { OPTION_REFUSED, 0, flag, instead, NULL, NULL }
static const struct option_def options[] = {
	{ OPTION_STRING, 'f', "file", "PATH", "the Dockerfile (default PATH/Dockerfile, - for stdin, or a URL)",
		&opt.file },
	{ OPTION_LIST, 't', "tag", "NAME[:TAG]", "name of the image; may be repeated", &opt.tags },
	{ OPTION_LIST, 'o', "output", "SPEC",
		"type=oci|docker|tar|local|image|registry,dest=...; may be repeated; a bare path is type=local",
		&opt.outputs },
	{ OPTION_LIST, 0, "platform", "OS/ARCH", "target platform; may be repeated or a comma list", &opt.platforms },
	{ OPTION_STRING, 0, "target", "STAGE", "build this stage (default the last)", &opt.target },
	{ OPTION_LIST, 0, "build-arg", "K[=V]", "value of an ARG; without =V from the environment", &opt.build_args },
	{ OPTION_LIST, 0, "label", "K=V", "add a label to the image", &opt.labels },
	{ OPTION_LIST, 0, "secret", "SPEC", "id=ID[,src=FILE|,env=VAR]: for RUN --mount=type=secret, or to fetch with; may be repeated",
		&opt.secrets },
	{ OPTION_LIST, 0, "ssh", "ID[=SOCKET|=KEY,...]",
		"an ssh agent, or private keys, for RUN --mount=type=ssh (default $SSH_AUTH_SOCK)", &opt.ssh },
	{ OPTION_STRING, 0, "storage", "KIND",
		"root file systems of steps: auto, overlay, fuse or copy (default auto)", &opt.storage },
	{ OPTION_FLAG, 0, "no-cache", NULL, "run every step anew", &opt.no_cache },
	{ OPTION_LIST, 0, "no-cache-filter", "STAGE", "run the steps of these stages anew", &opt.no_cache_filter },
	{ OPTION_FLAG, 0, "pull", NULL, "ask the registry for base images even if the store has them", &opt.pull },
	{ OPTION_FLAG, 0, "push", NULL, "push the image to the registry of its name", &opt.push },
	{ OPTION_FLAG, 0, "load", NULL, "keep the image in the store (the default with -t)", &opt.load },
	{ OPTION_STRING, 0, "iidfile", "FILE", "write the image's digest into FILE", &opt.iidfile },
	{ OPTION_STRING, 0, "call", "WHAT",
		"build, or only look: check, outline or targets; ,format=json for JSON (default build)", &opt.call },
	{ OPTION_FLAG, 0, "check", NULL, "short for --call=check: look for likely mistakes, build nothing", &opt.check },
	{ OPTION_LIST, 0, "build-context", "NAME=SRC",
		"use SRC where NAME is a stage or an image: a folder, docker-image://REF, oci-layout://DIR, a git "
		"repository or an archive by URL",
		&opt.build_contexts },
	{ OPTION_LIST, 0, "annotation", "K=V", "annotate the manifest; index:K=V the index; may be repeated",
		&opt.annotations },
	{ OPTION_STRING, 0, "metadata-file", "FILE", "write what was made into FILE, as JSON", &opt.metadata_file },
	{ OPTION_STRING, 0, "jobs", "N", "steps at once (default by the machine)", &opt.jobs },
	{ OPTION_STRING, 0, "timestamp", "SECONDS", "the same as --build-arg SOURCE_DATE_EPOCH=SECONDS",
		&opt.timestamp },
	{ OPTION_FLAG, 'q', "quiet", NULL, "print nothing but the digest", &opt.quiet },
	REFUSE("cache-from", "the step cache is in the store; registry caches are not supported by this whittle"),
	REFUSE("cache-to", "the step cache is in the store; registry caches are not supported by this whittle"),
	REFUSE("allow", "steps never run without the sandbox"),
	REFUSE("builder", "there is no daemon and no builder to choose"),
	REFUSE("attest", "attestations are not supported by this whittle"),
	REFUSE("sbom", "attestations are not supported by this whittle"),
	REFUSE("provenance", "attestations are not supported by this whittle"),
	REFUSE("squash", "squashing is not supported by this whittle"),
	/* docker build and buildah: asked for what happens anyway */
	{ OPTION_FLAG, 0, "layers", NULL, NULL, &opt.layers },
	{ OPTION_STRING, 0, "format", "FORMAT", NULL, &opt.format },
	{ OPTION_FLAG, 0, "rm", NULL, NULL, &opt.nothing },
	{ OPTION_FLAG, 0, "force-rm", NULL, NULL, &opt.nothing },
	{ OPTION_FLAG, 0, "compress", NULL, NULL, &opt.nothing },
	{ OPTION_FLAG, 0, "skip-unused-stages", NULL, NULL, &opt.nothing },
	{ OPTION_FLAG, 0, "disable-content-trust", NULL, NULL, &opt.nothing },
	/* and for something else */
	REFUSE("all-platforms", "list the platforms with --platform"),
	REFUSE("arch", "use --platform OS/ARCH"),
	REFUSE("authfile", "set REGISTRY_AUTH_FILE"),
	REFUSE("cache-ttl", "use --no-cache, or --no-cache-filter STAGE"),
	REFUSE("cap-add", "every step has the capabilities that builds need, and no more"),
	REFUSE("cap-drop", "every step has the capabilities that builds need, and no more"),
	REFUSE("cert-dir", "set SSL_CERT_FILE"),
	REFUSE("cgroupns", "every step has namespaces of its own"),
	REFUSE("cpp-flag", "Dockerfile.in is not preprocessed: run cpp, and give its output with -f -"),
	REFUSE("creds", "set REGISTRY_AUTH_FILE or DOCKER_CONFIG"),
	REFUSE("decryption-key", "encrypted images are not read"),
	REFUSE("device", "steps see no devices of the host"),
	REFUSE("disable-compression", "use -o type=...,compression=uncompressed"),
	REFUSE("env", "use ENV in the Dockerfile, or --build-arg with an ARG"),
	REFUSE("from", "use --build-context NAME=docker-image://REF"),
	REFUSE("group-add", "use USER in the Dockerfile"),
	REFUSE("hooks-dir", "there is no OCI runtime"),
	REFUSE("http-proxy", "use --build-arg http_proxy=..."),
	REFUSE("identity-label", "use --label"),
	REFUSE("ignorefile", "call it NAME.dockerignore beside the Dockerfile called NAME"),
	REFUSE("ipc", "every step has namespaces of its own"),
	REFUSE("logfile", "redirect stderr"),
	REFUSE("logsplit", "redirect stderr"),
	REFUSE("manifest", "several --platform make an index; name it with -t"),
	REFUSE("no-hosts", "the hosts file of steps is in no layer"),
	REFUSE("omit-history", "the history is part of the image"),
	REFUSE("os", "use --platform OS/ARCH"),
	REFUSE("os-feature", "use --platform OS/ARCH"),
	REFUSE("os-version", "use --platform OS/ARCH"),
	REFUSE("pid", "every step has namespaces of its own"),
	REFUSE("policy", "there are no source policies; pin images by digest"),
	REFUSE("retry", "transfers are tried again and resumed as they are"),
	REFUSE("retry-delay", "transfers are tried again and resumed as they are"),
	REFUSE("runtime", "there is no OCI runtime"),
	REFUSE("runtime-flag", "there is no OCI runtime"),
	REFUSE("security-opt", "steps never run without the sandbox"),
	REFUSE("sign-by", "sign what was pushed with the tool of your choice"),
	REFUSE("stdin", "steps read nothing"),
	REFUSE("tls-verify", "use --insecure-registry HOST"),
	REFUSE("unsetenv", "the environment of an image comes from its base and ENV"),
	REFUSE("userns", "use --isolation"),
	REFUSE("userns-gid-map", "use --isolation"),
	REFUSE("userns-gid-map-group", "use --isolation"),
	REFUSE("userns-uid-map", "use --isolation"),
	REFUSE("userns-uid-map-user", "use --isolation"),
	REFUSE("uts", "every step has namespaces of its own"),
	REFUSE("variant", "use --platform OS/ARCH/VARIANT"),
	{ OPTION_REFUSED, 'v', "volume", "use COPY, or --build-context and RUN --mount", NULL, NULL },
	{ OPTION_END, 0, NULL, NULL, NULL, step_flags },
};

static void add_build_args(struct build_options *o)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	cli_build_args(&opt.build_args, &o->build_args);
	if (opt.timestamp && !strv_env_get(&o->build_args, "SOURCE_DATE_EPOCH"))
		strv_env_set(&o->build_args, "SOURCE_DATE_EPOCH", opt.timestamp);
	if (epoch && *epoch && !strv_env_get(&o->build_args, "SOURCE_DATE_EPOCH"))
		strv_env_set(&o->build_args, "SOURCE_DATE_EPOCH", epoch);
}

static int set_epoch(struct build_options *o, struct err *err)
{
	const char *text = strv_env_get(&o->build_args, "SOURCE_DATE_EPOCH");
	uint64_t seconds;

	if (!text || !*text)
		return 0;
	if (parse_u64(text, 0, EPOCH_MAX, &seconds) < 0)
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

/* Before anything is built: a file or an agent that is not there would be missed only at the step. */
static int add_secrets(struct build_options *o, struct err *err)
{
	for (size_t i = 0; i < opt.secrets.len; i++)
		if (secrets_add(&o->secrets, opt.secrets.v[i], err) < 0)
			return -1;
	for (size_t i = 0; i < opt.ssh.len; i++)
		if (agents_add(&o->agents, opt.ssh.v[i], err) < 0)
			return -1;
	return 0;
}

/* "a,b" is two: stages of --no-cache-filter. */
static void add_words(const struct strv *lists, struct strv *ret)
{
	for (size_t i = 0; i < lists->len; i++)
		for (const char *at = lists->v[i]; *at;) {
			size_t len = strcspn(at, ",");

			if (len)
				strv_take(ret, xstrndup(at, len));
			at += len + (at[len] == ',');
		}
}

static int add_contexts(struct build_options *o, struct err *err)
{
	for (size_t i = 0; i < opt.build_contexts.len; i++) {
		const char *text = opt.build_contexts.v[i];
		size_t len = strcspn(text, "=");

		if (len == 0 || !text[len] || !text[len + 1])
			return err_set(err, ERR_USAGE, "invalid build context '%s', expected NAME=SOURCE", text);
		strv_take(&o->build_contexts, xstrndup(text, len));
		strv_add(&o->build_contexts, text + len + 1);
	}
	return 0;
}

/* What other builders' options may ask for. */
static int check_foreign(struct build_options *o, struct err *err)
{
	uint64_t jobs;

	if (!opt.layers)
		return err_set(err, ERR_USAGE, "--layers=false has no meaning here: use --no-cache");
	if (opt.format && strcmp(opt.format, "oci") != 0)
		return err_set(err, ERR_USAGE, "--format %s has no meaning here: images are OCI images; use -o "
			"type=docker,dest=FILE for docker load", opt.format);
	if (opt.jobs && parse_u64(opt.jobs, 0, 1024, &jobs) < 0)
		return err_set(err, ERR_USAGE, "--jobs takes a number, not '%s'", opt.jobs);
	o->jobs = opt.jobs ? (unsigned)jobs : 0;
	for (size_t i = 0; i < opt.annotations.len; i++)
		if (annotations_parse(&o->annotations, opt.annotations.v[i], err) < 0)
			return -1;
	return add_contexts(o, err);
}

static int fill(struct build_options *o, const char *context, struct err *err)
{
	o->context = context;
	o->dockerfile = opt.file;
	o->target = opt.target;
	o->no_cache = opt.no_cache;
	o->pull = opt.pull;
	strv_copy(&o->tags, &opt.tags);
	add_words(&opt.no_cache_filter, &o->no_cache_filter);
	add_build_args(o);
	for (size_t i = 0; i < opt.labels.len; i++) {
		size_t len = strcspn(opt.labels.v[i], "=");
		auto_free char *key = xstrndup(opt.labels.v[i], len);

		pairs_set(&o->labels, key, opt.labels.v[i][len] ? opt.labels.v[i] + len + 1 : "");
	}
	if (step_flags_fill(&o->steps, err) < 0)
		return -1;
	if (opt.no_cache && opt.no_cache_filter.len)
		return err_set(err, ERR_USAGE, "--no-cache and --no-cache-filter exclude each other");
	if (check_foreign(o, err) < 0 || set_epoch(o, err) < 0 || add_platforms(o, err) < 0 || add_secrets(o, err) < 0)
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
	const struct front_source source = { result.dockerfile_name, result.dockerfile_text.buf,
		result.dockerfile_text.len };
	bool told = progress_is_json(view);

	if (told)
		progress_json_warn(view, &result.lint, &source);
	progress_view_free(view);
	if (rc == 0 && opt.iidfile)
		rc = write_iidfile(opt.iidfile, result.image.digest, &err);
	if (rc == 0 && opt.metadata_file)
		rc = metadata_write(opt.metadata_file, &result.image, &o->tags, &err);
	if (rc == 0 && !writes_to_stdout(o))
		printf("%s\n", result.image.digest);
	log_debug("%llu objects written in folders of the store", (unsigned long long)result.files_written);
	if (!opt.quiet && !told)
		front_print_summary(&result.lint, &source, common.debug, stderr);
	if (rc < 0)
		explain(&result);
	build_result_release(&result);
	return rc < 0 ? cli_fail(&err) : EXIT_OK;
}

/* --call and --check: nothing is built, so there is no need of a session. Returns the exit status. */
static int call(const struct front_call *call, const struct build_options *o)
{
	const struct front_options front = { .context = o->context, .file = o->dockerfile, .target = o->target,
		.build_args = &o->build_args, .platform = o->nplatforms ? &o->platforms[0] : NULL };

	return front_run(call, &front);
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
	strv_release(&opt.secrets);
	strv_release(&opt.ssh);
	strv_release(&opt.build_contexts);
	strv_release(&opt.annotations);
	step_flags_release();
}

static int run_build(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	struct front_call what = { .what = FRONT_BUILD };
	struct build_options o;
	struct session s;
	struct progress *view = NULL;
	struct err err = ERR_INIT;
	int status = cli_options(self, options, argc, argv, false, 1, 1, &operands);

	if (status >= 0)
		return status;
	build_options_init(&o);
	if (front_call_parse(opt.check ? "check" : opt.call ? opt.call : "build", &what, &err) < 0 ||
		fill(&o, operands.v[0], &err) < 0) {
		status = cli_fail(&err);
	} else if (what.what != FRONT_BUILD) {
		status = call(&what, &o);
	}
	if (status >= 0) {
		release(&o);
		return status;
	}
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

const struct command command_build = { "build", "[OPTIONS] PATH|URL|-", "build an image from a Dockerfile", run_build };
