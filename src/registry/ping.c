#include "registry/ping.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "oci/reference.h"
#include "registry/client_internal.h"
#include "registry/http.h"

#define RETRY_MS 1 /* a registry that is down is an answer, not something to wait for */

static int ask(const struct reference *ref, const struct strv *insecure, struct err *err)
{
	struct registry_options o = { .insecure = insecure, .retry_base_ms = RETRY_MS };
	AUTO(registry_client_free) struct registry_client *client = NULL;
	struct call call = { 0 };
	int rc;

	if (http_global_init(err) < 0)
		return -1;
	client = registry_client_new(&o);
	rc = call_begin(&call, client, ref, "", err);
	call_end(&call);
	return rc;
}

static int reference_of(const char *host, struct reference *ret, struct err *err)
{
	auto_free char *name = xasprintf("%s/ping", host);

	if (reference_parse(name, ret, err) < 0)
		return -1;
	/* A word without a dot, a colon or "localhost" is a user of docker.io, not a host. */
	if (strcmp(ret->domain, host) == 0)
		return 0;
	reference_release(ret);
	return err_set(err, ERR_INPUT, "'%s' is not the name of a registry (HOST or HOST:PORT)", host);
}

/* Wait for the child's answer. Returns whether it came in time. */
static bool await(int fd, unsigned seconds, struct err *answer)
{
	uint64_t end = clock_mono_ns() + seconds * 1000000000ull;

	for (;;) {
		uint64_t now = clock_mono_ns();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int n = now >= end ? 0 : poll(&p, 1, (int)((end - now) / 1000000) + 1);

		if (n < 0 && errno == EINTR)
			continue;
		return n > 0 && read_full(fd, answer, sizeof(*answer)) == (ssize_t)sizeof(*answer);
	}
}

int registry_ping(const char *host, const struct strv *insecure, unsigned seconds, struct err *err)
{
	struct reference ref = REFERENCE_INIT;
	struct err answer = ERR_INIT;
	int pipefd[2];
	bool answered;
	pid_t pid;

	if (reference_of(host, &ref, err) < 0)
		return -1;
	if (pipe2(pipefd, O_CLOEXEC) < 0) {
		reference_release(&ref);
		return err_sys(err, "cannot make a pipe");
	}
	pid = fork();
	if (pid == 0) {
		ask(&ref, insecure, &answer);
		_exit(write_all(pipefd[1], &answer, sizeof(answer)) < 0);
	}
	reference_release(&ref);
	close_fd(pipefd[1]);
	answered = pid > 0 && await(pipefd[0], seconds, &answer);
	close_fd(pipefd[0]);
	if (pid < 0)
		return err_sys(err, "cannot fork");
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (!answered)
		return err_set(err, ERR_NETWORK, "registry '%s' gives no answer within %u s", host, seconds);
	if (answer.kind == ERR_NONE)
		return 0;
	*err = answer;
	return -1;
}
