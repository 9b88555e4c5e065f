#include "cli/front.h"

#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/context.h"
#include "cli/cli.h"
#include "dockerfile/suggest.h"

DEFINE_AUTO(struct dockerfile *, dockerfile_free)
DEFINE_AUTO(struct ignore *, ignore_free)

static const struct {
	const char *name;
	enum front_what what;
	const char *summary; /* NULL: no word of "subrequests.describe" */
} calls[] = {
	{ "build", FRONT_BUILD, NULL },
	{ "check", FRONT_CHECK, NULL },
	{ "lint", FRONT_CHECK, "look for likely mistakes, build nothing" },
	{ "outline", FRONT_OUTLINE, "list the arguments, secrets and agents that the target can be given" },
	{ "targets", FRONT_TARGETS, "list the stages that can be built" },
	{ "subrequests.describe", FRONT_DESCRIBE, "list what can be asked for" },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static int unknown(const char *what, const char *name, const char *const *names, size_t n, struct err *err)
{
	err_set(err, ERR_USAGE, "unknown %s '%.100s'", what, name);
	return suggest_append(err, name, names, n, false);
}

int front_format_parse(const char *name, enum front_format *ret, struct err *err)
{
	static const char *const names[] = { "text", "json", "sarif" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum front_format)i;
			return 0;
		}
	return unknown("format", name, names, sizeof(names) / sizeof(names[0]), err);
}

static int parse_what(const char *name, enum front_what *ret, struct err *err)
{
	const char *names[CALLS];

	for (size_t i = 0; i < CALLS; i++) {
		names[i] = calls[i].name;
		if (strcmp(name, names[i]) == 0) {
			*ret = calls[i].what;
			return 0;
		}
	}
	return unknown("call", name, names, CALLS, err);
}

/* "format=json", "json", "ignorestatus=true", "ignorestatus". */
static int parse_attribute(const char *text, struct front_call *call, struct err *err)
{
	if (strncmp(text, "format=", 7) == 0)
		return front_format_parse(text + 7, &call->format, err);
	if (strcmp(text, "ignorestatus") == 0 || strcmp(text, "ignorestatus=true") == 0) {
		call->ignore_status = true;
		return 0;
	}
	if (strcmp(text, "ignorestatus=false") == 0) {
		call->ignore_status = false;
		return 0;
	}
	return front_format_parse(text, &call->format, err);
}

int front_call_parse(const char *text, struct front_call *ret, struct err *err)
{
	struct front_call call = { .what = FRONT_BUILD };
	bool first = true;

	for (size_t len; *text; text += len + (text[len] == ','), first = false) {
		auto_free char *part = NULL;

		len = strcspn(text, ",");
		part = xstrndup(text, len);
		if ((first ? parse_what(part, &call.what, err) : parse_attribute(part, &call, err)) < 0)
			return -1;
	}
	if (call.format == FRONT_SARIF && call.what != FRONT_CHECK)
		return err_set(err, ERR_USAGE, "the format sarif is for checks alone");
	*ret = call;
	return 0;
}

/* ---- */

static void set_walk(const struct front_options *o, struct walk_options *w)
{
	w->build_args = o->build_args;
	w->target = o->target;
	w->all_stages = !o->target || !*o->target;
	platform_host(&w->build_platform);
	w->target_platform = o->platform ? *o->platform : w->build_platform;
}

static int print_check(const struct front_call *call, const struct lint_result *r, const struct front_source *source)
{
	int status = r->n && !call->ignore_status ? EXIT_GATE : EXIT_OK;

	if (call->format == FRONT_JSON)
		front_print_findings_json(r, source, stdout);
	else if (call->format == FRONT_SARIF)
		front_print_findings_sarif(r, source, stdout);
	else if (r->n == 0 && r->err.kind == ERR_NONE)
		puts("Check complete, no warnings found.");
	else if (r->n == 1)
		puts("Check complete, 1 warning has been found!");
	else if (r->n)
		printf("Check complete, %zu warnings have been found!\n", r->n);
	if (call->format == FRONT_TEXT)
		front_print_findings(r, source, stdout);
	if (r->err.kind != ERR_NONE)
		return front_fail(&r->err, &r->err_loc, source);
	return status;
}

/* err: why the file could not be read as a whole, or ERR_NONE; df is then what stands before that, or NULL. */
static int check(const struct front_call *call, const struct front_options *o, const struct context *context,
	const struct dockerfile *df, const struct front_source *source, const struct err *err,
	const struct dockerfile_location *loc)
{
	struct lint_options options = { .ignore = NULL };
	AUTO(ignore_free) struct ignore *ignore = NULL;
	struct lint_result r = LINT_RESULT_INIT;
	struct err why = ERR_INIT;
	int status;

	if (context->ignore) {
		ignore = ignore_parse(context->ignore, strlen(context->ignore), &why);
		if (!ignore)
			return cli_fail(&why);
	}
	set_walk(o, &options.walk);
	options.ignore = ignore;
	if (df)
		lint_run(df, &options, &r);
	if (err->kind != ERR_NONE) {
		r.err = *err;
		r.err_loc = *loc;
	}
	status = print_check(call, &r, source);
	lint_result_release(&r);
	return status;
}

static int describe(enum front_format format)
{
	struct doc *list;

	if (format == FRONT_TEXT) {
		for (size_t i = 0; i < CALLS; i++)
			if (calls[i].summary)
				printf("%-23s%s\n", calls[i].name, calls[i].summary);
		return EXIT_OK;
	}
	list = doc_array();
	for (size_t i = 0; i < CALLS; i++) {
		struct doc *d;

		if (!calls[i].summary)
			continue;
		d = doc_object();
		doc_set_str(d, "name", calls[i].name);
		doc_set_str(d, "description", calls[i].summary);
		doc_append(list, d);
	}
	front_print_doc(list, stdout);
	return EXIT_OK;
}

static int run(const struct front_call *call, const struct front_options *o, const struct context *context)
{
	const struct front_source source = { context->dockerfile_name, context->dockerfile.buf,
		context->dockerfile.len };
	AUTO(dockerfile_free) struct dockerfile *df = NULL;
	AUTO(dockerfile_free) struct dockerfile *prefix = NULL;
	struct dockerfile_location loc = { 0, 0 };
	struct walk_options walk = { .df = NULL };
	struct err err = ERR_INIT;

	df = dockerfile_parse_prefix(source.name, source.text, source.len, &prefix, &loc, &err);
	if (call->what == FRONT_CHECK)
		return check(call, o, context, df ? df : prefix, &source, &err, &loc);
	if (!df)
		return front_fail(&err, &loc, &source);
	if (call->what == FRONT_TARGETS)
		return front_targets(df, &source, call->format);
	set_walk(o, &walk);
	walk.df = df;
	walk.all_stages = false;
	return front_outline(&walk, &source, call->format);
}

int front_run(const struct front_call *call, const struct front_options *options)
{
	struct context context = CONTEXT_INIT;
	struct err err = ERR_INIT;
	int status;

	if (call->what == FRONT_DESCRIBE)
		return describe(call->format);
	if (context_open(options->context, options->file, &context, &err) < 0)
		return cli_fail(&err);
	status = run(call, options, &context);
	context_release(&context);
	return status;
}
