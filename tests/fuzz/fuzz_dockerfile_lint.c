/* A Dockerfile, behind a NUL byte an ignore file: checks and outline end, and point at lines that are there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dockerfile/lint.h"
#include "dockerfile/outline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct dockerfile_location *loc, int lines)
{
	if (loc->first_line < 0 || loc->last_line < loc->first_line || loc->last_line > lines)
		abort();
}

/* One image is known, and it has another platform than was asked for. */
static bool base(void *ctx, const char *name, const struct platform *platform, struct walk_base *ret)
{
	(void)platform;
	if (strcmp(name, "b") != 0)
		return false;
	*ret = (struct walk_base){.env = ctx, .shell = true, .platform = {.os = "linux", .architecture = "s390x"}};
	return true;
}

static void look(const struct dockerfile *df, const struct ignore *ig, const struct strv *env, bool all, int lines)
{
	struct lint_options options = {.ignore = ig};
	struct lint_result r;
	struct outline o;
	struct dockerfile_location loc = {0, 0};
	struct err err = ERR_INIT;

	options.walk = (struct walk_options){.build_args = env, .all_stages = all, .base = base};
	options.walk.base_ctx = (void *)(uintptr_t)env;
	options.walk.build_platform = options.walk.target_platform =
		(struct platform){.os = "linux", .architecture = "amd64"};
	lint_run(df, &options, &r);
	for (size_t i = 0; i < r.n; i++) {
		if (!*r.v[i].message || (i > 0 && r.v[i].loc.first_line < r.v[i - 1].loc.first_line))
			abort();
		check_place(&r.v[i].loc, lines);
	}
	check_place(&r.err_loc, lines);
	lint_result_release(&r);
	if (df->partial)
		return;
	options.walk.df = df;
	if (outline_make(&options.walk, &o, &loc, &err) == 0)
		outline_release(&o);
	else
		check_place(&loc, lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t n = nul ? (size_t)(nul - data) : size;
	struct dockerfile_location loc = {0, 0};
	struct err err = ERR_INIT, ignored = ERR_INIT;
	struct dockerfile *prefix, *df = dockerfile_parse_prefix("Dockerfile", data, n, &prefix, &loc, &err);
	struct ignore *ig = nul ? ignore_parse(nul + 1, size - n - 1, &ignored) : NULL;
	struct strv env = STRV_INIT;
	int lines = 1;

	for (size_t i = 0; i < n; i++)
		lines += data[i] == '\n';
	strv_add(&env, "a=1");
	strv_add(&env, "c=");
	if (df || prefix) {
		look(df ? df : prefix, ig, &env, true, lines);
		look(df ? df : prefix, ig, &env, false, lines);
	}
	strv_release(&env);
	ignore_free(ig);
	dockerfile_free(prefix);
	dockerfile_free(df);
	return 0;
}
