#include "build/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

struct shared {
	pthread_mutex_t lock;
	size_t n, next;
	bool failed;
	int (*work)(void *ctx, size_t i, struct err *err);
	void *ctx;
	struct err *err;
};

static void *worker(void *arg)
{
	struct shared *s = arg;

	for (;;) {
		struct err e = ERR_INIT;
		size_t i;

		pthread_mutex_lock(&s->lock);
		i = s->failed ? s->n : s->next;
		if (i < s->n)
			s->next++;
		pthread_mutex_unlock(&s->lock);
		if (i == s->n)
			return NULL;
		if (s->work(s->ctx, i, &e) == 0)
			continue;
		pthread_mutex_lock(&s->lock);
		if (!s->failed)
			*s->err = e;
		s->failed = true;
		pthread_mutex_unlock(&s->lock);
	}
}

int parallel_run(size_t n, unsigned width, int (*work)(void *ctx, size_t i, struct err *err), void *ctx,
	struct err *err)
{
	struct shared s = { .n = n, .work = work, .ctx = ctx, .err = err };
	pthread_t threads[PARALLEL_MAX];
	unsigned started = 0;

	if (width > PARALLEL_MAX)
		width = PARALLEL_MAX;
	if (width > n)
		width = (unsigned)n;
	pthread_mutex_init(&s.lock, NULL);
	/* This thread is one of them; a thread that cannot be started only costs time. */
	while (started + 1 < width && pthread_create(&threads[started], NULL, worker, &s) == 0)
		started++;
	worker(&s);
	while (started)
		pthread_join(threads[--started], NULL);
	pthread_mutex_destroy(&s.lock);
	return s.failed ? -1 : 0;
}

unsigned parallel_width(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : n > PARALLEL_MAX ? PARALLEL_MAX : (unsigned)n;
}
