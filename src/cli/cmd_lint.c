#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/front.h"

static struct {
	const char *file, *format, *target, *platform;
	struct strv build_args;
} opt;

static const struct option_def options[] = {
	{ OPTION_STRING, 'f', "file", "PATH", "the Dockerfile (default CONTEXT/Dockerfile, - for stdin)", &opt.file },
	{ OPTION_STRING, 0, "format", "FORMAT", "text, json or sarif (default text)", &opt.format },
	{ OPTION_STRING, 0, "target", "STAGE", "look only at this stage and what it needs", &opt.target },
	{ OPTION_LIST, 0, "build-arg", "K[=V]", "value of an ARG; without =V from the environment", &opt.build_args },
	{ OPTION_STRING, 0, "platform", "OS/ARCH", "target platform (default the host's)", &opt.platform },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static int lint(const struct strv *operands)
{
	struct front_call call = { .what = FRONT_CHECK };
	struct platform host, platform;
	struct err err = ERR_INIT;
	auto_strv build_args = STRV_INIT;
	struct front_options o = { .context = operands->len ? operands->v[0] : ".", .file = opt.file,
		.target = opt.target, .build_args = &build_args };

	platform_host(&host);
	if (opt.format && front_format_parse(opt.format, &call.format, &err) < 0)
		return cli_fail(&err);
	if (opt.platform) {
		if (platform_parse(opt.platform, &host, &platform, &err) < 0)
			return err.kind = ERR_USAGE, cli_fail(&err);
		o.platform = &platform;
	}
	cli_build_args(&opt.build_args, &build_args);
	return front_run(&call, &o);
}

static int run_lint(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, options, argc, argv, false, 0, 1, &operands);

	if (status < 0)
		status = lint(&operands);
	strv_release(&opt.build_args);
	return status;
}

const struct command command_lint = { "lint", "[OPTIONS] [CONTEXT]", "look for likely mistakes in a Dockerfile",
	run_lint };
