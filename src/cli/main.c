#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "cli/cli.h"
#include "dockerfile/suggest.h"

struct common common;
char **cli_argv;

static const struct command *const commands[] = { &command_build, &command_run, &command_pull, &command_push,
	&command_import, &command_images, &command_inspect, &command_tag, &command_rmi, &command_prune, &command_lint,
	&command_dockerfile, &command_doctor, &command_version };
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct option_def common_options[] = {
	{ OPTION_STRING, 0, "root", "DIR", "the store (default $WHITTLE_ROOT, else ~/.local/share/whittle)",
		&common.root },
	{ OPTION_STRING, 0, "isolation", "RUNG", "auto, direct, subid or single (default auto)",
		&common.isolation },
	{ OPTION_STRING, 0, "progress", "STYLE", "auto, plain, tty, quiet or rawjson (default auto, $BUILDKIT_PROGRESS)",
		&common.progress },
	{ OPTION_LIST, 0, "insecure-registry", "HOST", "speak to HOST[:PORT] without TLS", &common.insecure },
	{ OPTION_FLAG, 0, "offline", NULL, "never reach for the network", &common.offline },
	{ OPTION_FLAG, 'D', "debug", NULL, "say on stderr what is going on inside", &common.debug },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static void print_help(FILE *out)
{
	fputs("whittle builds container images from Dockerfiles, without root and without a daemon.\n\n"
	      "usage: whittle COMMAND [OPTIONS] ...\n\n",
		out);
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n'whittle COMMAND --help' shows the options of a command.\n", out);
}

static int unknown_command(const char *name)
{
	const char *names[NCOMMANDS];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < NCOMMANDS; i++)
		names[i] = commands[i]->name;
	err_set(&err, ERR_USAGE, "unknown command '%s'; 'whittle help' lists them", name);
	suggest_append(&err, name, names, NCOMMANDS, true);
	return cli_fail(&err);
}

/* A result that did not arrive is a failure: nobody may take half an answer for a whole one. */
static int finish(int status)
{
	struct err err = ERR_INIT;

	strv_release(&common.insecure);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	err_sys(&err, "cannot write to stdout");
	return status == EXIT_OK ? cli_fail(&err) : status;
}

/* Descriptors 0 to 2 must be something, or a file of ours would take their place. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *debug = getenv("WHITTLE_DEBUG");

	open_standard_files();
	signal(SIGPIPE, SIG_IGN);
	cli_argv = argv;
	log_debug_on = debug && *debug && strcmp(debug, "0") != 0;
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return finish(EXIT_OK);
	}
	if (strcmp(argv[1], "--version") == 0)
		return finish(command_version.run(&command_version, 1, argv));
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (strcmp(argv[1], commands[i]->name) == 0)
			return finish(commands[i]->run(commands[i], argc - 1, argv + 1));
	return unknown_command(argv[1]);
}
