#include "build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/context_load.h"
#include "build/parallel.h"
#include "build/plan.h"
#include "build/solve.h"

void build_options_init(struct build_options *o)
{
	memset(o, 0, sizeof(*o));
	o->epoch = LAYER_EPOCH_NONE;
	step_options_init(&o->steps);
}

void build_options_release(struct build_options *o)
{
	strv_release(&o->build_args);
	strv_release(&o->labels);
	strv_release(&o->tags);
	strv_release(&o->no_cache_filter);
	secrets_release(&o->secrets);
	agents_release(&o->agents);
	strv_release(&o->build_contexts);
	annotations_release(&o->annotations);
	step_options_release(&o->steps);
	free(o->platforms);
	for (size_t i = 0; i < o->noutputs; i++)
		output_release(&o->outputs[i]);
	free(o->outputs);
	build_options_init(o);
}

void build_result_release(struct build_result *r)
{
	free(r->dockerfile_name);
	strbuf_release(&r->dockerfile_text);
	free(r->step_name);
	strbuf_release(&r->step_log);
	lint_result_release(&r->lint);
	memset(r, 0, sizeof(*r));
}

/*
 * Copies that nobody enters become layers at once: in the form that the first output wants, but with all times as they
 * are. No epoch is part of their keys, and one that was clamped to the epoch of today would serve every later build.
 */
static struct layer_want layer_wanted(const struct build_options *o)
{
	struct layer_want want = { .compression = COMPRESSION_ZSTD, .epoch = LAYER_EPOCH_NONE };

	for (size_t i = 0; i < o->noutputs; i++)
		if (o->outputs[i].kind == OUTPUT_STORE || o->outputs[i].kind == OUTPUT_OCI ||
			o->outputs[i].kind == OUTPUT_REGISTRY) {
			want.compression = o->outputs[i].compression;
			want.level = o->outputs[i].level;
			break;
		}
	return want;
}

/* Whether one platform makes an index too; BUILDKIT_MULTI_PLATFORM says so (2.10). */
static int wants_index(const struct build_options *o, bool *ret, struct err *err)
{
	const char *value = strv_env_get(&o->build_args, "BUILDKIT_MULTI_PLATFORM");
	bool yes = value && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0);

	if (value && !yes && o->nplatforms > 1)
		return err_set(err, ERR_USAGE,
			"conflicting config: returning multiple target platforms is not allowed");
	if (!yes && o->nplatforms < 2 && annotations_need_index(&o->annotations))
		return err_set(err, ERR_USAGE,
			"annotations of an index need one: build for several platforms, or with --build-arg "
			"BUILDKIT_MULTI_PLATFORM=1");
	*ret = yes;
	return 0;
}

static int export_plan(struct session *s, const struct build_options *o, const struct plan *plan,
	struct export_result *ret, struct err *err)
{
	auto_free struct build_product *products = xcalloc(plan->ntargets, sizeof(*products));
	struct export_options e = { .outputs = o->outputs, .noutputs = o->noutputs, .tags = &o->tags,
		.epoch = plan->epoch, .stdout_fd = STDOUT_FILENO, .annotations = &o->annotations };
	int rc;

	if (wants_index(o, &e.index_always, err) < 0)
		return -1;

	for (size_t i = 0; i < plan->ntargets; i++) {
		products[i].platform = plan->targets[i].platform;
		op_chain(plan->targets[i].tip, &products[i].chain);
		products[i].base = op_base_image(plan->targets[i].tip);
		config_copy(&plan->targets[i].config, &products[i].config);
	}
	rc = export_products(s, products, plan->ntargets, &e, ret, err);
	for (size_t i = 0; i < plan->ntargets; i++) {
		snapchain_release(&products[i].chain);
		config_release(&products[i].config);
	}
	return rc;
}

/* What is known of a base image: the plan has resolved those that the build needs. */
static bool planned_base(void *ctx, const char *name, const struct platform *platform, struct walk_base *ret)
{
	const struct plan *plan = ctx;

	for (const struct op *op = plan->first; op; op = op->next)
		if (op->kind == OP_IMAGE && strcmp(op->image->name, name) == 0 &&
			platform_equal(&op->platform, platform)) {
			*ret = (struct walk_base){ .env = &op->image->config.env,
				.shell = op->image->config.shell_set, .platform = op->image->platform };
			return true;
		}
	return false;
}

/* The build checks of a normal build: of the stages it needs, for its first platform (dockerfile.md 7.1). */
static void run_checks(const struct build_options *o, const struct context *context, const struct dockerfile *df,
	struct plan *plan, struct lint_result *ret)
{
	struct err ignored = ERR_INIT;
	struct ignore *ignore =
		context->ignore ? ignore_parse(context->ignore, strlen(context->ignore), &ignored) : NULL;
	struct lint_options lint = { .ignore = ignore };

	lint.walk.build_args = &o->build_args;
	lint.walk.target = o->target;
	platform_host(&lint.walk.build_platform);
	lint.walk.target_platform = o->nplatforms ? o->platforms[0] : lint.walk.build_platform;
	lint.walk.base = planned_base;
	lint.walk.base_ctx = plan;
	lint_run(df, &lint, ret);
	ignore_free(ignore);
}

static int plan_and_solve(struct session *s, const struct build_options *o, const struct context *context,
	const struct dockerfile *df, struct plan *plan, struct build_result *ret, struct err *err)
{
	struct solver solver = { .session = s, .context = context, .plan = plan, .want = layer_wanted(o),
		.width = o->jobs ? o->jobs : parallel_width(), .secrets = &o->secrets, .agents = &o->agents, .result = ret };
	int rc = plan_make(s, o, context, df, plan, &ret->location, err);

	run_checks(o, context, df, plan, &ret->lint);
	if (rc < 0 || lint_gate(&ret->lint, err) < 0)
		return -1;
	rc = solve(&solver, err);
	strv_release(&solver.emptied);
	if (rc < 0)
		return -1;
	ret->location = (struct dockerfile_location){ 0, 0 };
	ret->files_written += s->files_written;
	return 0;
}

static int build_context(struct session *s, const struct build_options *o, struct context *context,
	struct build_result *ret, struct err *err)
{
	struct plan plan = PLAN_INIT;
	struct dockerfile *df, *prefix;
	unsigned vertex = progress_start(s->progress, "[internal] load build definition");
	int rc;

	df = dockerfile_parse_prefix(context->dockerfile_name, context->dockerfile.buf, context->dockerfile.len, &prefix,
		&ret->location, err);
	if (!df) {
		if (prefix)
			run_checks(o, context, prefix, &plan, &ret->lint);
		dockerfile_free(prefix);
		progress_emit(s->progress, PROGRESS_ERROR, vertex, err->msg, strlen(err->msg));
		return -1;
	}
	progress_emit(s->progress, PROGRESS_DONE, vertex, NULL, 0);
	rc = plan_and_solve(s, o, context, df, &plan, ret, err);
	if (rc == 0)
		rc = export_plan(s, o, &plan, &ret->image, err);
	if (rc == 0)
		rc = store_sync(s->store, err);
	plan_release(s, &plan);
	dockerfile_free(df);
	return rc;
}

int build_run(struct session *s, const struct build_options *options, struct build_result *ret, struct err *err)
{
	struct context context = CONTEXT_INIT;
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->dockerfile_text = (struct strbuf)STRBUF_INIT;
	ret->step_log = (struct strbuf)STRBUF_INIT;
	session_set_steps(s, &options->steps);
	s->secrets = &options->secrets;
	if (context_load(s, options->context, options->dockerfile, plan_keeps_git_dir(options), &context, err) < 0)
		return s->cancelled == SESSION_INTERRUPTED ? err_set(err, ERR_CANCELLED, "interrupted") : -1;
	ret->dockerfile_name = xstrdup(context.dockerfile_name);
	rc = build_context(s, options, &context, ret, err);
	if (rc < 0 || ret->lint.n) /* for the excerpts that go with messages */
		strbuf_add(&ret->dockerfile_text, context.dockerfile.buf, context.dockerfile.len);
	context_drop(s, &context);
	if (rc < 0 && s->cancelled == SESSION_INTERRUPTED)
		return err_set(err, ERR_CANCELLED, "interrupted");
	return rc;
}
