/* Build arguments that nothing asks for (dockerfile.md 2.9, 2.10, 8.3). */
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "build/plan_internal.h"

/* Arguments with a meaning of their own, whether an ARG declares them or not. */
static bool is_reserved(const char *name)
{
	static const char *const known[] = { "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
		"SOURCE_DATE_EPOCH", "BUILDPLATFORM", "BUILDOS", "BUILDOSVERSION", "BUILDARCH", "BUILDVARIANT",
		"TARGETPLATFORM", "TARGETOS", "TARGETOSVERSION", "TARGETARCH", "TARGETVARIANT", "TARGETSTAGE" };

	if (strncmp(name, "BUILDKIT_", 9) == 0)
		return true;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(known[i], name) == 0)
			return true;
	return false;
}

static bool has(const struct strv *list, const char *name)
{
	for (size_t i = 0; i < list->len; i++)
		if (strcmp(list->v[i], name) == 0)
			return true;
	return false;
}

/* An ARG of a stage that is not needed asks for it too: nothing is wrong with the command line then. */
static bool is_in_file(const struct dockerfile *df, const char *name)
{
	for (size_t i = 0; i < df->nstages; i++)
		for (size_t k = 0; k < df->stages[i].ninstructions; k++) {
			const struct instruction *in = &df->stages[i].instructions[k];

			for (size_t j = 0; in->kind == INSTRUCTION_ARG && j < in->nkeys; j++)
				if (strcmp(in->keys[j], name) == 0)
					return true;
		}
	return false;
}

void plan_warn_unused_args(const struct planner *p)
{
	auto_strbuf names = STRBUF_INIT;

	for (size_t i = 0; i < p->options->build_args.len; i++) {
		const char *arg = p->options->build_args.v[i];
		auto_free char *name = xstrndup(arg, strcspn(arg, "="));

		if (is_reserved(name) || has(&p->declared, name) || is_in_file(p->df, name))
			continue;
		strbuf_printf(&names, "%s%s", names.len ? " " : "", name);
	}
	if (names.len)
		progress_note(p->session->progress, "[Warning] One or more build-args [%s] were not consumed", names.buf);
}
