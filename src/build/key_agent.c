#include "build/key_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define OUTPUT_MAX 8192 /* bytes of what the programs say */
#define READY "whittle-agent-ready "
#define STATUS_NO_TOOL 126
#define STATUS_NO_AGENT 127

/*
 * ssh-agent starts this with SSH_AUTH_SOCK and SSH_AGENT_PID once it listens. ssh-keygen tells by
 * its words why a key is none; ssh-add would ask for a passphrase.
 */
static const char script[] = "command -v ssh-add >/dev/null && command -v ssh-keygen >/dev/null || "
			     "{ kill \"$SSH_AGENT_PID\"; exit 126; }\n"
			     "for key; do\n"
			     "	if ! ssh-keygen -y -P '' -f \"$key\" </dev/null 2>&1 >/dev/null || "
			     "! ssh-add \"$key\" </dev/null; then\n"
			     "		kill \"$SSH_AGENT_PID\"; exit 1\n"
			     "	fi\n"
			     "done\n"
			     "printf '\\n" READY "%s\\n' \"$SSH_AUTH_SOCK\"\n"
			     "exec >/dev/null 2>&1\n"
			     "cat\n"
			     "kill \"$SSH_AGENT_PID\"\n";

struct key_agent {
	pid_t pid; /* of the shell */
	int pipe;  /* its stdin */
	char *socket;
};

/* ---- the files ---- */

static int check_mode(const char *id, const char *path, const struct stat *st, struct err *err)
{
	if (S_ISDIR(st->st_mode))
		return err_set(err, ERR_INPUT, "ssh key of %s: '%s' is a folder", id, path);
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_INPUT,
			"ssh key of %s: '%s' is neither a key file nor a socket", id, path);
	if (st->st_size > (off_t)KEY_FILE_MAX)
		return err_set(err, ERR_INPUT,
			"ssh key of %s: '%s' has more than %u bytes: it is no key", id, path,
			KEY_FILE_MAX);
	if (st->st_mode & 077)
		return err_set(err, ERR_INPUT,
			"ssh key of %s: others may read '%s' (mode %04o): chmod 600 it", id, path,
			st->st_mode & 07777);
	return 0;
}

static int check_file(const char *id, const char *path, struct err *err)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text;
	struct stat st;
	ssize_t n;
	bool is_key;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(err, "ssh key of %s: cannot open '%s'", id, path);
		if (err->sys == ENOENT)
			err->kind = ERR_NOT_FOUND;
		return -1;
	}
	if (check_mode(id, path, &st, err) < 0)
		return -1;
	text = xcalloc(1, KEY_FILE_MAX + 1);
	n = read_full(fd, text, KEY_FILE_MAX);
	is_key = n > 0 && memmem(text, (size_t)n, "PRIVATE KEY-----", strlen("PRIVATE KEY-----"));
	explicit_bzero(text, KEY_FILE_MAX);
	free(text);
	if (n < 0)
		return err_sys(err, "ssh key of %s: cannot read '%s'", id, path);
	return is_key ? 0
		      : err_set(err, ERR_INPUT, "ssh key of %s: '%s' is no private key", id, path);
}

/* ---- the programs ---- */

static void make_env(struct strv *env)
{
	static const char *const kept[] = {"PATH", "HOME", "USER", "LOGNAME", "TMPDIR"};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const char *value = getenv(kept[i]);

		if (value)
			strv_env_set(env, kept[i], value);
	}
	strv_add(env, "LC_ALL=C");
	strv_add(env, "SSH_ASKPASS_REQUIRE=never");
}

/* In the child: only async-signal-safe calls. A session of its own: no terminal to ask at, no
 * Ctrl-C that hits it alone. */
static _Noreturn void child(char *const argv[], char *const env[], int in, int out)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	setsid();
	sigaction(SIGPIPE, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
		dup2(out, STDERR_FILENO) >= 0) {
		/* Where it does not exist (before Linux 5.9), ours are O_CLOEXEC and strangers'
		 * stay. */
		(void)syscall(SYS_close_range, 3u, ~0u, 0u);
		execvpe(argv[0], argv, env);
	}
	_exit(errno == ENOENT ? STATUS_NO_AGENT : 1);
}

/* Pipes whose ends are above 2, whatever this process was started without. */
static int make_pipe(int ends[2])
{
	int raw[2];

	if (pipe2(raw, O_CLOEXEC) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
		close_fd(raw[i]);
	}
	return ends[0] < 0 || ends[1] < 0 ? -1 : 0;
}

static int spawn(struct key_agent *a, const struct strv *files, int *ret_output, struct err *err)
{
	auto_strv argv = STRV_INIT, env = STRV_INIT;
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	int rc = 0;

	make_env(&env);
	strv_add(&argv, "ssh-agent");
	strv_add(&argv, "sh");
	strv_add(&argv, "-c");
	strv_add(&argv, script);
	strv_add(&argv, "sh");
	for (size_t i = 0; i < files->len; i++)
		strv_take(&argv, xasprintf("%s%s", files->v[i][0] == '-' ? "./" : "", files->v[i]));
	if (make_pipe(in) < 0 || make_pipe(out) < 0)
		rc = err_sys(err, "cannot make a pipe");
	if (rc == 0) {
		a->pid = fork();
		if (a->pid == 0)
			child(argv.v, env.v, in[0], out[1]);
		if (a->pid < 0)
			rc = err_sys(err, "cannot fork for an ssh agent");
	}
	close_fd(in[0]);
	close_fd(out[1]);
	a->pipe = in[1];
	*ret_output = out[0];
	return rc;
}

/* Read on until the socket is known (its path is set) or the output ends. */
static void listen_for(struct key_agent *a, int fd, struct strbuf *said)
{
	char chunk[512];

	while (!a->socket && said->len < OUTPUT_MAX) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		const char *ready, *end;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		strbuf_add(said, chunk, (size_t)n);
		ready = strstr(said->buf, "\n" READY);
		end = ready ? strchr(ready + 1, '\n') : NULL;
		if (end)
			a->socket = xstrndup(ready + 1 + strlen(READY),
				(size_t)(end - ready) - 1 - strlen(READY));
	}
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int explain(const char *id, int status, struct strbuf *said, struct err *err)
{
	if (status == STATUS_NO_AGENT || status == STATUS_NO_TOOL)
		return err_set(err, ERR_NOT_FOUND,
			"ssh keys of %s: ssh-agent, ssh-add or ssh-keygen is not there: install "
			"them (Debian: openssh-client), or give an agent's socket",
			id);
	for (char *p = said->buf; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	if (strstr(said->buf, "passphrase"))
		return err_set(err, ERR_INPUT,
			"ssh keys of %s: a key has a passphrase: add it to an agent of yours "
			"(ssh-add), and give --ssh %s",
			id, id);
	return err_set(
		err, ERR_INPUT, "ssh keys of %s: a key cannot be used: %.200s", id, said->buf);
}

struct key_agent *key_agent_start(const char *id, const struct strv *files, struct err *err)
{
	struct key_agent *a;
	auto_strbuf said = STRBUF_INIT;
	auto_fd int output = -1;

	if (files->len > KEYS_MAX) {
		err_set(err, ERR_USAGE, "ssh keys of %s: more than %d", id, KEYS_MAX);
		return NULL;
	}
	for (size_t i = 0; i < files->len; i++)
		if (check_file(id, files->v[i], err) < 0)
			return NULL;
	a = xcalloc(1, sizeof(*a));
	a->pid = a->pipe = -1;
	if (spawn(a, files, &output, err) < 0) {
		key_agent_stop(a);
		return NULL;
	}
	listen_for(a, output, &said);
	if (a->socket)
		return a;
	a->pipe = close_fd(a->pipe);
	explain(id, wait_for(a->pid), &said, err);
	a->pid = -1;
	key_agent_stop(a);
	return NULL;
}

const char *key_agent_socket(const struct key_agent *a)
{
	return a->socket;
}

void key_agent_stop(struct key_agent *a)
{
	if (!a)
		return;
	close_fd(a->pipe);
	if (a->pid > 0)
		wait_for(a->pid);
	free(a->socket);
	free(a);
}
