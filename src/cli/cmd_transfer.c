/* Images in and out of the store: pull, push, import. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/image.h"
#include "cli/cli.h"

static struct {
	struct strv platforms, env, cmd, entrypoint;
	const char *workdir, *user;
	bool quiet, all_platforms;
} opt;

static int parse_platforms(struct platform **ret, size_t *ret_n, struct err *err)
{
	struct platform host;

	platform_host(&host);
	*ret = xcalloc(opt.platforms.len + 1, sizeof(**ret));
	*ret_n = 0;
	for (size_t i = 0; i < opt.platforms.len; i++)
		if (platform_parse(opt.platforms.v[i], &host, &(*ret)[(*ret_n)++], err) < 0) {
			err->kind = ERR_USAGE;
			return -1;
		}
	if (!opt.platforms.len && !opt.all_platforms)
		(*ret)[(*ret_n)++] = host;
	return 0;
}

static void release(void)
{
	strv_release(&opt.platforms);
	strv_release(&opt.env);
	strv_release(&opt.cmd);
	strv_release(&opt.entrypoint);
}

/* Open a session that draws progress, do work, print the digest. */
static int with_session(int (*work)(struct session *s, struct strv *operands, char digest[DIGEST_STR_SIZE],
				struct err *err),
	struct strv *operands)
{
	char digest[DIGEST_STR_SIZE];
	struct session s;
	struct err err = ERR_INIT;
	struct progress *view = progress_view_new(opt.quiet ? "quiet" : common.progress, &err);
	int rc;

	if (!view || cli_session_open(&s, view, &err) < 0) {
		progress_view_free(view);
		release();
		return cli_fail(&err);
	}
	rc = work(&s, operands, digest, &err);
	progress_view_free(view);
	cli_session_close(&s);
	release();
	if (rc < 0 && cli_signal())
		err_set(&err, ERR_CANCELLED, "interrupted");
	if (rc < 0)
		return cli_fail(&err);
	printf("%s\n", digest);
	return EXIT_OK;
}

/* ---- pull ---- */

static const struct option_def pull_options[] = {
	{ OPTION_LIST, 0, "platform", "OS/ARCH", "fetch this platform (default the host's); may be repeated",
		&opt.platforms },
	{ OPTION_FLAG, 'a', "all-platforms", NULL, "fetch every platform of the image", &opt.all_platforms },
	{ OPTION_FLAG, 'q', "quiet", NULL, "print nothing but the digest", &opt.quiet },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static int pull(struct session *s, struct strv *operands, char digest[DIGEST_STR_SIZE], struct err *err)
{
	auto_free struct platform *platforms = NULL;
	size_t n;

	if (parse_platforms(&platforms, &n, err) < 0)
		return -1;
	return image_pull(s, operands->v[0], platforms, n, digest, err);
}

static int run_pull(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, pull_options, argc, argv, false, 1, 1, &operands);

	return status >= 0 ? status : with_session(pull, &operands);
}

const struct command command_pull = { "pull", "[OPTIONS] IMAGE",
	"fetch an image from a registry, a layout or an archive into the store", run_pull };

/* ---- push ---- */

static const struct option_def push_options[] = {
	{ OPTION_FLAG, 'q', "quiet", NULL, "print nothing but the digest", &opt.quiet },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static int push(struct session *s, struct strv *operands, char digest[DIGEST_STR_SIZE], struct err *err)
{
	return image_push(s, operands->v[0], operands->len > 1 ? operands->v[1] : NULL, digest, err);
}

static int run_push(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, push_options, argc, argv, false, 1, 2, &operands);

	return status >= 0 ? status : with_session(push, &operands);
}

const struct command command_push = { "push", "[OPTIONS] IMAGE [DESTINATION]",
	"push an image of the store to a registry", run_push };

/* ---- import ---- */

static const struct option_def import_options[] = {
	{ OPTION_LIST, 0, "platform", "OS/ARCH", "the platform of the programs in it (default the host's)",
		&opt.platforms },
	{ OPTION_LIST, 'e', "env", "K=V", "variable of the image's config; may be repeated", &opt.env },
	{ OPTION_LIST, 0, "cmd", "ARG", "one argument of the image's command; may be repeated", &opt.cmd },
	{ OPTION_LIST, 0, "entrypoint", "ARG", "one argument of its entrypoint; may be repeated", &opt.entrypoint },
	{ OPTION_STRING, 'w', "workdir", "DIR", "its working folder", &opt.workdir },
	{ OPTION_STRING, 'u', "user", "USER[:GROUP]", "its user", &opt.user },
	{ OPTION_FLAG, 'q', "quiet", NULL, "print nothing but the digest", &opt.quiet },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

/* One --cmd of several words is split at blanks: --cmd "sh -l". */
static void add_words(struct strv *to, const struct strv *from)
{
	if (from->len != 1) {
		strv_add_all(to, from);
		return;
	}
	for (const char *at = from->v[0]; *at;) {
		size_t len = strcspn(at, " ");

		if (len)
			strv_take(to, xstrndup(at, len));
		at += len + (at[len] == ' ');
	}
}

static int import(struct session *s, struct strv *operands, char digest[DIGEST_STR_SIZE], struct err *err)
{
	const char *file = operands->v[0], *epoch = getenv("SOURCE_DATE_EPOCH");
	struct import_options o = { .name = operands->v[1], .workdir = opt.workdir, .user = opt.user,
		.epoch = LAYER_EPOCH_NONE };
	auto_free struct platform *platforms = NULL;
	auto_fd int fd = -1;
	uint64_t seconds;
	size_t n;
	int rc;

	if (parse_platforms(&platforms, &n, err) < 0)
		return -1;
	if (n != 1)
		return err_set(err, ERR_USAGE, "an archive holds the programs of one platform");
	fd = open(strcmp(file, "-") == 0 ? "/dev/stdin" : file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_sys(err, "cannot open '%s'", file);
		err->kind = err->sys == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
		return -1;
	}
	if (epoch && parse_u64(epoch, 0, 1ull << 40, &seconds) == 0)
		o.epoch = (int64_t)seconds;
	o.platform = platforms[0];
	strv_copy(&o.env, &opt.env);
	add_words(&o.cmd, &opt.cmd);
	add_words(&o.entrypoint, &opt.entrypoint);
	rc = image_import(s, fd, &o, digest, err);
	strv_release(&o.env);
	strv_release(&o.cmd);
	strv_release(&o.entrypoint);
	return rc;
}

static int run_import(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, import_options, argc, argv, false, 2, 2, &operands);

	return status >= 0 ? status : with_session(import, &operands);
}

const struct command command_import = { "import", "[OPTIONS] TAR NAME",
	"make an image of a root file system archive (- for stdin)", run_import };
