#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- errors ---- */

int cli_status(const struct err *err)
{
	static const unsigned char status[] = {
		[ERR_NONE] = EXIT_OK,
		[ERR_USAGE] = EXIT_USAGE,
		[ERR_INPUT] = EXIT_FAILED,
		[ERR_DOCKERFILE] = EXIT_DOCKERFILE,
		[ERR_NOT_FOUND] = EXIT_MISSING,
		[ERR_DENIED] = EXIT_DENIED,
		[ERR_CORRUPT] = EXIT_FAILED,
		[ERR_NETWORK] = EXIT_NETWORK,
		[ERR_UNSUPPORTED] = EXIT_FAILED,
		[ERR_SYSTEM] = EXIT_FAILED,
		[ERR_DISK] = EXIT_DISK,
		[ERR_SANDBOX] = EXIT_SANDBOX,
		[ERR_STEP] = EXIT_STEP,
		[ERR_OOM] = EXIT_OOM,
		[ERR_PUSH] = EXIT_PUSH,
		[ERR_GATE] = EXIT_GATE,
		[ERR_CANCELLED] = EXIT_INTERRUPTED,
	};

	if (err->kind == ERR_CANCELLED && cli_signal())
		return 128 + cli_signal();
	return status[err->kind];
}

int cli_fail(const struct err *err)
{
	fflush(stdout);
	fprintf(stderr, "whittle: %s\n", err->msg);
	log_debug("raised at %s, kind %s", err->where, err_kind_name(err->kind));
	return cli_status(err);
}

static bool is_safe(char text)
{
	unsigned char c = (unsigned char)text;

	return (c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t';
}

void cli_put_safe(const char *text, size_t n, FILE *out)
{
	for (size_t i = 0; i < n; i++) {
		size_t from = i;

		/* In one piece: a step may write gigabytes. */
		while (i < n && is_safe(text[i]))
			i++;
		fwrite(text + from, 1, i - from, out);
		/* A terminal must not take orders from a build; plain colours are lost with the rest. */
		if (i + 1 < n && text[i] == 0x1b && text[i + 1] == '[')
			for (i += 2; i < n && (text[i] < 0x40 || text[i] > 0x7e); i++)
				;
	}
}

/* ---- options ---- */

static const struct option_def *own_continued(const struct option_def *o)
{
	while (o->kind != OPTION_END)
		o++;
	return o->to;
}

int cli_options(const struct command *self, const struct option_def *own, int argc, char **argv, bool stop_at_operand,
	size_t min_operands, size_t max_operands, struct strv *operands)
{
	const struct option_def *more = own_continued(own);
	const struct option_def *const tables[OPTIONS_TABLES_MAX] = { own, more ? more : common_options,
		more ? common_options : NULL };
	struct err err = ERR_INIT;
	int rc = options_parse(tables, argc, argv, stop_at_operand, operands, &err);

	if (rc == 1) {
		printf("usage: whittle %s %s\n\n%s\n\n", self->name, self->operands, self->summary);
		options_help(tables, stdout);
		return EXIT_OK;
	}
	if (rc == 0 && operands->len < min_operands)
		rc = err_set(&err, ERR_USAGE, "too few arguments; usage: whittle %s %s", self->name, self->operands);
	if (rc == 0 && operands->len > max_operands)
		rc = err_set(&err, ERR_USAGE, "unexpected argument '%s'; usage: whittle %s %s",
			operands->v[max_operands], self->name, self->operands);
	if (common.debug)
		log_debug_on = true;
	return rc < 0 ? cli_fail(&err) : -1;
}

/* dockerfile.md 5.5 */
void cli_build_args(const struct strv *given, struct strv *ret)
{
	for (size_t i = 0; i < given->len; i++) {
		const char *arg = given->v[i];
		size_t len = strcspn(arg, "=");
		auto_free char *name = xstrndup(arg, len);
		const char *value = arg[len] ? arg + len + 1 : getenv(name);

		if (value)
			strv_env_set(ret, name, value);
	}
}

/* ---- the session and signals ---- */

static struct session *current;
static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	if (caught) /* twice: do not wait for an orderly end */
		_exit(128 + sig);
	caught = sig;
	if (current)
		session_cancel(current, SESSION_INTERRUPTED);
}

int cli_signal(void)
{
	return caught;
}

int cli_session_open(struct session *s, struct progress *progress, struct err *err)
{
	return cli_session_open_with(s, progress, NULL, err);
}

int cli_session_open_with(struct session *s, struct progress *progress, const char *storage, struct err *err)
{
	struct session_options o = { .root = common.root, .progress = progress, .insecure = &common.insecure,
		.argv = cli_argv, .offline = common.offline };
	struct sigaction sa = { .sa_handler = on_signal };

	if (isolation_parse(common.isolation ? common.isolation : "auto", &o.isolation, err) < 0 ||
		storage_parse(storage ? storage : "auto", &o.storage, err) < 0)
		return -1;
	umask(022); /* modes that matter are set in full where files are made */
	if (session_open(s, &o, err) < 0)
		return -1;
	current = s;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	return 0;
}

void cli_session_close(struct session *s)
{
	current = NULL;
	session_close(s);
}
