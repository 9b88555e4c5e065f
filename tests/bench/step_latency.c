/*
 * How long a step takes from the engine's request to the program's first instruction, and to the answer that it ended:
 * the sandbox alone, by its own functions, without Dockerfile, store or layers. Prints microseconds, two numbers a line.
 *
 *   step_latency steps STORE LAYER N    N steps of /tick on the layer LAYER (relative to STORE), after one not counted
 *   step_latency spawn N COMMAND...     N runs of a command that executes the same program
 *   step_latency floor N PROGRAM        N runs of the program in fresh namespaces of a step's kinds, and nothing else done:
 *                                       what the kernel takes for itself
 *
 * Between two runs passes PAUSE_MS, as a build has its own work between two steps.
 *
 * The program writes CLOCK_MONOTONIC in nanoseconds, 8 bytes, to its stdout.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/wire.h"
#include "sandbox/holder.h"
#include "sandbox/root.h"
#include "sandbox/rootfs.h"
#include "sandbox/step.h"

#define PAUSE_MS 30
#define CHILD_STACK (64u << 10)

extern char **environ;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "step_latency: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void rest(void)
{
	static const struct timespec t = { .tv_nsec = PAUSE_MS * 1000000l };

	nanosleep(&t, NULL);
}

/* Read what the program wrote and print the two times. */
static void report(int fd, uint64_t start, uint64_t end)
{
	uint64_t ticked;

	if (read(fd, &ticked, sizeof(ticked)) != (ssize_t)sizeof(ticked))
		die("the program wrote nothing");
	printf("%" PRIu64 " %" PRIu64 "\n", (ticked - start) / 1000, (end - start) / 1000);
}

static int run_step(struct job *job, struct err *err)
{
	return step_run(job, NULL, err);
}

static const struct job_def jobs[] = { { .name = "step", .run = run_step, .prepare = step_prepare, .stand_by = step_stand_by } };

static void one_step(struct holder *h, const char *layer, int n, bool counted)
{
	struct step_spec spec = STEP_SPEC_INIT;
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;
	auto_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct step_result result;
	struct wire wire;
	int out[2], interrupt[2]; /* nobody writes into the second */
	uint64_t start;

	strv_add(&spec.lowers, layer);
	spec.upper = xasprintf("upper%d", n);
	spec.work = xasprintf("work%d", n);
	strv_add(&spec.argv, "/tick");
	strv_add(&spec.env, "PATH=/");
	spec.cwd = xstrdup("/");
	spec.user = xstrdup("");
	spec.hostname = xstrdup("bench");
	spec.hosts = xstrdup("127.0.0.1 localhost\n");
	spec.resolv_conf = xstrdup("");
	if (mkdir(spec.upper, 0755) < 0 || mkdir(spec.work, 0755) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
		pipe2(interrupt, O_CLOEXEC) < 0)
		die(spec.upper);
	rest();
	start = now_ns();
	step_spec_put(&spec, &payload);
	if (holder_call(h, 0, &payload, (int[]){ null, out[1], 2, interrupt[0] }, 4, NULL, NULL, &reply,
		    &err) < 0) {
		fprintf(stderr, "step_latency: %s\n", err.msg);
		exit(1);
	}
	wire_init(&wire, reply.buf, reply.len);
	if (step_result_get(&wire, &result, &err) < 0 || result.status != 0) {
		fprintf(stderr, "step_latency: the step ended with status %d\n", result.status);
		exit(1);
	}
	if (counted)
		report(out[0], start, now_ns());
	close_fd(out[0]);
	close_fd(out[1]);
	close_fd(interrupt[0]);
	close_fd(interrupt[1]);
	step_spec_release(&spec);
}

static int steps(const char *store, const char *layer, int n)
{
	struct holder_options o = { .isolation = ISOLATION_AUTO, .jobs = jobs, .njobs = 1, .store = store,
		.standby = jobs };
	struct err err = ERR_INIT;
	struct holder *h;

	if (chdir(store) < 0 || (mkdir(ROOT_PLACE, 0755) < 0 && errno != EEXIST))
		die(store);
	if (rootfs_make_stub(AT_FDCWD, ROOT_STUB, false, &err) < 0 || !(h = holder_start(&o, &err))) {
		fprintf(stderr, "step_latency: %s\n", err.msg);
		return 1;
	}
	for (int i = 0; i <= n; i++)
		one_step(h, layer, i, i > 0);
	holder_free(h);
	return 0;
}

static int spawn(int n, char **argv)
{
	for (int i = 0; i <= n; i++) {
		posix_spawn_file_actions_t actions;
		uint64_t start;
		int out[2], status;
		pid_t pid;

		if (pipe2(out, O_CLOEXEC) < 0)
			die("pipe");
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, out[1], 1);
		rest();
		start = now_ns();
		if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) < 0)
			die(argv[0]);
		posix_spawn_file_actions_destroy(&actions);
		if (status != 0) {
			fprintf(stderr, "step_latency: %s ended with status %d\n", argv[0], status);
			return 1;
		}
		if (i > 0)
			report(out[0], start, now_ns());
		close_fd(out[0]);
		close_fd(out[1]);
	}
	return 0;
}

struct child {
	char **argv;
	int out;
};

static int execute(void *arg)
{
	const struct child *c = arg;

	if (dup2(c->out, 1) == 1)
		execv(c->argv[0], c->argv);
	_exit(127);
}

static int bare(int n, char **argv)
{
	const int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	static char stack[CHILD_STACK] __attribute__((aligned(16)));

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) /* as the holder: once for all */
		die("unshare");
	for (int i = 0; i <= n; i++) {
		struct child child = { .argv = argv };
		uint64_t start;
		int out[2], status;
		pid_t pid;

		if (pipe2(out, O_CLOEXEC) < 0)
			die("pipe");
		child.out = out[1];
		rest();
		start = now_ns();
		pid = clone(execute, stack + sizeof(stack), flags | CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			die("clone");
		if (status != 0) {
			fprintf(stderr, "step_latency: %s ended with status %d\n", argv[0], status);
			return 1;
		}
		if (i > 0)
			report(out[0], start, now_ns());
		close_fd(out[0]);
		close_fd(out[1]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "steps") == 0)
		return steps(argv[2], argv[3], (int)strtol(argv[4], NULL, 10));
	if (argc > 3 && strcmp(argv[1], "spawn") == 0)
		return spawn((int)strtol(argv[2], NULL, 10), argv + 3);
	if (argc == 4 && strcmp(argv[1], "floor") == 0)
		return bare((int)strtol(argv[2], NULL, 10), argv + 3);
	fprintf(stderr, "usage: step_latency steps STORE LAYER N | spawn N COMMAND... | floor N PROGRAM\n");
	return 2;
}
