#include <errno.h>
#include <stdio.h>

#include "build/build.h"
#include "cli/cli.h"
#include "cli/step_flags.h"

#define RUN_GRACE_MS 10000 /* what docker stop gives a program */

static struct {
	const char *platform, *entrypoint, *user, *workdir, *storage;
	struct strv env;
	bool rm, interactive, tty;
} opt;

static const struct option_def options[] = {
	{ OPTION_STRING, 0, "platform", "OS/ARCH", "the platform of the image to run", &opt.platform },
	{ OPTION_LIST, 'e', "env", "K=V", "set a variable", &opt.env },
	{ OPTION_STRING, 0, "entrypoint", "PROGRAM", "run this instead of the image's entrypoint", &opt.entrypoint },
	{ OPTION_STRING, 'u', "user", "USER[:GROUP]", "run as this user of the image", &opt.user },
	{ OPTION_STRING, 'w', "workdir", "DIR", "the working folder", &opt.workdir },
	{ OPTION_STRING, 0, "storage", "KIND", "the root file system: auto, overlay, fuse or copy (default auto)",
		&opt.storage },
	{ OPTION_FLAG, 0, "rm", NULL, "accepted: what the program writes is always thrown away", &opt.rm },
	{ OPTION_FLAG, 'i', "interactive", NULL, "accepted: stdin is always passed on", &opt.interactive },
	{ OPTION_FLAG, 't', "tty", NULL, "accepted: the terminal is passed on as it is", &opt.tty },
	{ OPTION_END, 0, NULL, NULL, NULL, step_flags },
};

static int run(struct run_options *o, struct err *err)
{
	struct session s;
	int status;

	if (cli_session_open_with(&s, NULL, opt.storage, err) < 0)
		return -1;
	status = run_image(&s, o, err);
	cli_session_close(&s);
	if (status < 0 && cli_signal())
		return err_set(err, ERR_CANCELLED, "interrupted");
	return status;
}

static int fill(struct run_options *o, struct strv *operands, struct platform *platform, struct err *err)
{
	struct platform host;

	o->image = operands->v[0];
	for (size_t i = 1; i < operands->len; i++)
		strv_add(&o->argv, operands->v[i]);
	strv_copy(&o->env, &opt.env);
	o->entrypoint = opt.entrypoint;
	o->user = opt.user;
	o->workdir = opt.workdir;
	step_options_init(&o->steps);
	o->steps.grace_ms = RUN_GRACE_MS;
	if (step_flags_fill(&o->steps, err) < 0)
		return -1;
	if (!opt.platform)
		return 0;
	platform_host(&host);
	if (platform_parse(opt.platform, &host, platform, err) < 0) {
		err->kind = ERR_USAGE;
		return -1;
	}
	o->platform = platform;
	return 0;
}

static int run_run(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	struct run_options o = { .image = NULL };
	struct platform platform;
	struct err err = ERR_INIT;
	int status = cli_options(self, options, argc, argv, true, 1, (size_t)-1, &operands);

	if (status >= 0)
		return status;
	status = fill(&o, &operands, &platform, &err) < 0 ? -1 : run(&o, &err);
	strv_release(&o.argv);
	strv_release(&o.env);
	strv_release(&opt.env);
	step_options_release(&o.steps);
	step_flags_release();
	if (status >= 0)
		return status;
	cli_fail(&err);
	/* As a shell says it: the program is not there, or cannot be executed. */
	return err.kind == ERR_STEP ? (err.sys == ENOENT ? 127 : 126) : cli_status(&err);
}

const struct command command_run = { "run", "[OPTIONS] IMAGE [COMMAND...]", "run a program of an image in the sandbox",
	run_run };
