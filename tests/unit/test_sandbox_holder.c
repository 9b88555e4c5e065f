/* A real holder in a one-id namespace, with jobs that answer, fail, die and hang. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "sandbox/holder.h"

enum { ECHO, FAIL, DIE, HANG, READ_FD, EVENTS, WHO, COUNT, COUNTED, FORGET, NEST, PID };

static int echo(struct job *job, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	strbuf_add(&sb, job->payload, job->len);
	return job_reply(job, &sb, err);
}

static int fails(struct job *job, struct err *err)
{
	(void)job;
	return err_set(err, ERR_CORRUPT, "as it must");
}

static int dies(struct job *job, struct err *err)
{
	(void)job;
	(void)err;
	raise(SIGKILL);
	return 0;
}

static int hangs(struct job *job, struct err *err)
{
	(void)job;
	(void)err;
	while (pause() < 0)
		;
	return 0;
}

static int reads_fd(struct job *job, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	if (job->nfds != 1 || read_all(job->fds[0], &sb, 4096) < 0)
		return err_sys(err, "cannot read");
	return job_reply(job, &sb, err);
}

static int sends_events(struct job *job, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	for (char c = 'a'; c <= 'c'; c++)
		if (job_event(job, &c, 1, err) < 0)
			return -1;
	return job_reply(job, &sb, err);
}

static int tells_who(struct job *job, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;
	char cwd[4096];

	strbuf_printf(&sb, "uid %d dumpable %d cwd %s", (int)getuid(), prctl(PR_GET_DUMPABLE),
		getcwd(cwd, sizeof(cwd)));
	return job_reply(job, &sb, err);
}

static int count(struct job *job, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	if (!*job->state)
		*job->state = xcalloc(1, sizeof(int));
	strbuf_printf(&sb, "%d", ++*(int *)*job->state);
	return job_reply(job, &sb, err);
}

static int prepare_count(struct job *job, struct err *err)
{
	(void)err;
	if (!*job->state)
		*job->state = xcalloc(1, sizeof(int));
	++*(int *)*job->state;
	return 0;
}

static int counted(struct job *job, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	strbuf_printf(&sb, "%d", *(int *)*job->state);
	return job_reply(job, &sb, err);
}

static int forgets(struct job *job, struct err *err)
{
	(void)job;
	(void)err;
	return 0; /* success without an answer: the engine must not hang */
}

/* No filter is on here: what refuses is the limit that the holder has set. */
static int nests(struct job *job, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	strbuf_printf(&sb, "mount %d ", unshare(CLONE_NEWNS) == 0 ? 0 : errno);
	strbuf_printf(&sb, "user %d", unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
	return job_reply(job, &sb, err);
}

static int tells_pid(struct job *job, struct err *err)
{
	auto_strbuf sb = STRBUF_INIT;

	strbuf_printf(&sb, "%d", (int)getpid());
	return job_reply(job, &sb, err);
}

static const struct job_def jobs[] = {
	[ECHO] = { .name = "echo", .run = echo },
	[FAIL] = { .name = "fail", .run = fails },
	[DIE] = { .name = "die", .run = dies },
	[HANG] = { .name = "hang", .run = hangs },
	[READ_FD] = { .name = "read fd", .run = reads_fd },
	[EVENTS] = { .name = "events", .run = sends_events },
	[WHO] = { .name = "who", .run = tells_who },
	[COUNT] = { .name = "count", .run = count, .in_holder = true },
	[COUNTED] = { .name = "counted", .run = counted, .prepare = prepare_count },
	[FORGET] = { .name = "forget", .run = forgets },
	[NEST] = { .name = "nest", .run = nests },
	[PID] = { .name = "pid", .run = tells_pid },
};

static char store[] = "/tmp/whittle-holder-XXXXXX";
static struct holder *h;

static int setup(void **state)
{
	struct holder_options o = { .isolation = ISOLATION_SINGLE, .jobs = jobs,
		.njobs = sizeof(jobs) / sizeof(jobs[0]), .store = store };
	struct err err = ERR_INIT;

	(void)state;
	h = holder_start(&o, &err);
	if (!h)
		print_error("%s\n", err.msg);
	return h ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	holder_free(h);
	return 0;
}

static int call(unsigned job, const char *text, struct strbuf *reply, struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;

	strbuf_puts(&payload, text);
	return holder_call(h, job, &payload, NULL, 0, NULL, NULL, reply, err);
}

static void a_job_gets_its_payload_and_answers(void **state)
{
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(call(ECHO, "hello", &reply, &err), 0);
	assert_string_equal(reply.buf, "hello");
}

static void a_large_payload_goes_through(void **state)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 300000; i++)
		strbuf_puts(&payload, "0123456789");
	assert_int_equal(holder_call(h, ECHO, &payload, NULL, 0, NULL, NULL, &reply, &err), 0);
	assert_int_equal(reply.len, payload.len);
	assert_memory_equal(reply.buf, payload.buf, reply.len);
}

static void a_payload_over_the_limit_is_refused(void **state)
{
	auto_free char *big = xcalloc(1, JOB_PAYLOAD_MAX + 1);
	struct strbuf payload = { .buf = big, .len = JOB_PAYLOAD_MAX + 1, .cap = JOB_PAYLOAD_MAX + 1 };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(holder_call(h, ECHO, &payload, NULL, 0, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
}

static void a_failure_arrives_whole(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(call(FAIL, "", NULL, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_string_equal(err.msg, "as it must");
}

static void a_death_is_an_error_and_the_next_job_works(void **state)
{
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(call(DIE, "", NULL, &err), -1);
	assert_int_equal(err.kind, ERR_SYSTEM);
	assert_int_equal(call(FORGET, "", NULL, &err), -1);
	assert_int_equal(call(ECHO, "on", &reply, &err), 0);
}

static void descriptors_ride_along(void **state)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "through", 7), 7);
	close(fds[1]);
	assert_int_equal(holder_call(h, READ_FD, &payload, fds, 1, NULL, NULL, &reply, &err), 0);
	close(fds[0]);
	assert_string_equal(reply.buf, "through");
}

static void take_event(void *ctx, const void *data, size_t n)
{
	strbuf_add(ctx, data, n);
}

static void events_come_before_the_answer(void **state)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf seen = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(holder_call(h, EVENTS, &payload, NULL, 0, take_event, &seen, NULL, &err), 0);
	assert_string_equal(seen.buf, "abc");
}

static void workers_are_root_there_sealed_and_in_the_store(void **state)
{
	auto_strbuf reply = STRBUF_INIT;
	auto_free char *expected = xasprintf("uid 0 dumpable 0 cwd %s", store);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(call(WHO, "", &reply, &err), 0);
	assert_string_equal(reply.buf, expected);
}

static void no_user_namespace_can_be_made_below(void **state)
{
	auto_strbuf reply = STRBUF_INIT;
	auto_free char *wanted = xasprintf("mount 0 user %d", ENOSPC);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(call(NEST, "", &reply, &err), 0);
	assert_string_equal(reply.buf, wanted);
}

static void state_stays_in_the_holder_per_job(void **state)
{
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(call(COUNT, "", &reply, &err), 0);
	assert_int_equal(call(COUNT, "", &reply, &err), 0);
	assert_int_equal(call(COUNTED, "", &reply, &err), 0);
	assert_int_equal(call(COUNTED, "", &reply, &err), 0);
	assert_string_equal(reply.buf, "1212");
}

/* ---- a worker that waits ---- */

static int setup_standby(void **state)
{
	struct holder_options o = { .isolation = ISOLATION_SINGLE, .jobs = jobs,
		.njobs = sizeof(jobs) / sizeof(jobs[0]), .store = store, .standby = &jobs[PID] };
	struct err err = ERR_INIT;

	(void)state;
	h = holder_start(&o, &err);
	return h ? 0 : -1;
}

/* The living children of a process, counted; *ret is one of them. */
static int children_of(pid_t parent, pid_t *ret)
{
	char path[64], word[24];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	f = fopen(path, "re");
	while (f && fscanf(f, "%20s", word) == 1) {
		char stat[64], line[64] = "";
		FILE *s;

		snprintf(stat, sizeof(stat), "/proc/%s/stat", word);
		s = fopen(stat, "re");
		if (s && fgets(line, sizeof(line), s) && !strstr(line, ") Z") && !strstr(line, ") X")) {
			*ret = (pid_t)strtol(word, NULL, 10);
			n++;
		}
		if (s)
			fclose(s);
	}
	if (f)
		fclose(f);
	return n;
}

/* Waits until the holder has a living child alone, other than the one that did the last job, and returns its pid. */
static pid_t await_waiting(pid_t last)
{
	pid_t holder = 0, child = 0;

	assert_int_equal(children_of(getpid(), &holder), 1);
	for (int i = 0; i < 30000; i++, usleep(1000))
		if (children_of(holder, &child) == 1 && child != last)
			return child;
	fail_msg("no worker waits");
	return 0;
}

static void await_none(void)
{
	pid_t holder = 0, child = 0;

	assert_int_equal(children_of(getpid(), &holder), 1);
	for (int i = 0; i < 30000 && children_of(holder, &child) > 0; i++)
		usleep(1000);
	assert_int_equal(children_of(holder, &child), 0);
}

static pid_t call_pid(void)
{
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(call(PID, "", &reply, &err), 0);
	return (pid_t)strtol(reply.buf, NULL, 10);
}

static void the_next_job_is_done_by_who_waited(void **state)
{
	pid_t last = call_pid();

	(void)state;
	for (int i = 0; i < 3; i++) {
		pid_t waiting = await_waiting(last);

		last = call_pid();
		assert_int_equal(last, waiting);
	}
	call_pid(); /* and one at once, whoever does it */
}

static void a_job_of_another_kind_leaves_it_waiting(void **state)
{
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;
	pid_t waiting;

	(void)state;
	waiting = await_waiting(call_pid());
	assert_int_equal(call(ECHO, "x", &reply, &err), 0);
	assert_int_equal(call_pid(), waiting);
}

static void a_change_of_the_holder_sends_it_away(void **state)
{
	auto_strbuf reply = STRBUF_INIT;
	struct err err = ERR_INIT;
	pid_t waiting;

	(void)state;
	waiting = await_waiting(call_pid());
	assert_int_equal(call(COUNT, "", &reply, &err), 0);
	assert_int_not_equal(call_pid(), waiting);
}

static void one_that_was_killed_is_not_asked(void **state)
{
	pid_t waiting, other = 0;

	(void)state;
	waiting = await_waiting(call_pid());
	kill(waiting, SIGKILL);
	await_none();
	other = call_pid();
	assert_int_not_equal(other, waiting);
}

static void *hang_once(void *arg)
{
	struct err *err = arg;

	return call(HANG, "", NULL, err) < 0 ? arg : NULL;
}

static void a_kill_ends_what_is_under_way(void **state)
{
	struct err err = ERR_INIT;
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, hang_once, &err), 0);
	usleep(20000); /* let it begin; a kill before that must work as well */
	holder_kill(h);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, &err);
	assert_int_equal(err.kind, ERR_CANCELLED);
	assert_int_equal(call(ECHO, "", NULL, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
}

/* kill -9 of the engine: nobody of the holder's family may stay. */
/* Whatever start has started is gone when the engine is killed during a job. */
static void kill_engine(int (*start)(void **), unsigned job)
{
	int fds[2];
	char byte;
	pid_t engine;

	assert_int_equal(pipe2(fds, 0), 0); /* every descendant holds the write end */
	engine = fork();
	if (engine == 0) {
		struct err err = ERR_INIT;

		start(NULL);
		if (job == PID)
			await_waiting(call_pid());
		write_all(fds[1], "r", 1);
		call(HANG, "", NULL, &err);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	usleep(20000);
	kill(engine, SIGKILL);
	waitpid(engine, NULL, 0);
	assert_int_equal(read(fds[0], &byte, 1), 0); /* end of file: all are gone; the suite's time limit guards it */
	close(fds[0]);
}

static void nobody_outlives_the_engine(void **state)
{
	(void)state;
	kill_engine(setup, HANG);
}

static void nor_does_one_that_waits(void **state)
{
	(void)state;
	kill_engine(setup_standby, PID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_job_gets_its_payload_and_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_large_payload_goes_through, setup, teardown),
		cmocka_unit_test_setup_teardown(a_payload_over_the_limit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_arrives_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(a_death_is_an_error_and_the_next_job_works, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_ride_along, setup, teardown),
		cmocka_unit_test_setup_teardown(events_come_before_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(workers_are_root_there_sealed_and_in_the_store, setup, teardown),
		cmocka_unit_test_setup_teardown(no_user_namespace_can_be_made_below, setup, teardown),
		cmocka_unit_test_setup_teardown(state_stays_in_the_holder_per_job, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kill_ends_what_is_under_way, setup, teardown),
		cmocka_unit_test(nobody_outlives_the_engine),
		cmocka_unit_test_setup_teardown(the_next_job_is_done_by_who_waited, setup_standby, teardown),
		cmocka_unit_test_setup_teardown(a_job_of_another_kind_leaves_it_waiting, setup_standby, teardown),
		cmocka_unit_test_setup_teardown(a_change_of_the_holder_sends_it_away, setup_standby, teardown),
		cmocka_unit_test_setup_teardown(one_that_was_killed_is_not_asked, setup_standby, teardown),
		cmocka_unit_test(nor_does_one_that_waits),
	};
	int failed;

	if (!mkdtemp(store))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(store);
	return failed;
}
