/*
 * Drawing progress. plain: BuildKit's shape, one line per event, for logs and tests:
 *
 *   #5 [builder 2/4] RUN go build
 *   #5 0.412 a line of its log
 *   #5 DONE 3.1s
 *
 * tty: the same for what has ended, and below it one live line per step that runs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "cli/progress_json.h"

#define REDRAW_NS 100000000ull /* live lines ten times a second */
#define LINE_MAX_LEN 16384     /* a log line longer than that is cut into pieces */
#define LIVE_LINES_MAX 12

struct view_step {
	char *name;
	uint64_t start_ns;
	bool running;
	struct strbuf line;    /* the beginning of a log line whose end has not come */
	char *status;          /* what is being fetched */
	uint64_t current, total;
	char *last_log;        /* tty: shown beside the name */
};

struct view {
	struct progress progress; /* first: the engine sees only this */
	pthread_mutex_t lock;
	bool tty;
	struct view_step *steps; /* by vertex - 1 */
	size_t nsteps, cap;
	unsigned shown;        /* the vertex whose lines were printed last */
	unsigned live;         /* lines on the screen below the cursor's home */
	uint64_t drawn_ns;
	pthread_t ticker;
	bool ticking, stop;
	pthread_cond_t wake;
};

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static struct view_step *step(struct view *v, unsigned vertex)
{
	while (v->nsteps < vertex) {
		GROW(v->steps, v->nsteps, v->cap);
		memset(&v->steps[v->nsteps], 0, sizeof(v->steps[0]));
		v->steps[v->nsteps++].line = (struct strbuf)STRBUF_INIT;
	}
	return &v->steps[vertex - 1];
}

/* ---- live lines ---- */

static void erase_live(struct view *v)
{
	for (; v->live; v->live--)
		fputs("\033[1A\033[2K", stderr);
}

static unsigned columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static void draw_step(const struct view_step *s, uint64_t now, unsigned width)
{
	char line[512], time[24];
	size_t len;

	snprintf(time, sizeof(time), " %.1fs", seconds(now - s->start_ns));
	if (s->status && s->total)
		snprintf(line, sizeof(line), " > %s %s %.1f/%.1fMB", s->name, s->status, (double)s->current / 1e6,
			(double)s->total / 1e6);
	else
		snprintf(line, sizeof(line), " > %s%s%s", s->name, s->last_log ? "  # " : "",
			s->last_log ? s->last_log : "");
	len = strlen(line);
	if (len + strlen(time) > width)
		len = width - strlen(time);
	cli_put_safe(line, len, stderr);
	fprintf(stderr, "%*s\n", (int)(width - len), time);
}

static void draw_live(struct view *v, uint64_t now)
{
	unsigned width = columns() - 1;

	for (size_t i = 0; i < v->nsteps && v->live < LIVE_LINES_MAX; i++)
		if (v->steps[i].running) {
			draw_step(&v->steps[i], now, width);
			v->live++;
		}
	v->drawn_ns = now;
	fflush(stderr);
}

static void *tick(void *arg)
{
	struct view *v = arg;

	pthread_mutex_lock(&v->lock);
	while (!v->stop) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += (long)REDRAW_NS;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
		pthread_cond_timedwait(&v->wake, &v->lock, &until);
		if (v->stop)
			break;
		erase_live(v);
		draw_live(v, clock_mono_ns());
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

/*
 * The clock of live lines needs a thread, and the engine must have one thread when it forks its holder: so it
 * starts with the first event that comes from another thread, when that is long done.
 */
static void start_ticking(struct view *v)
{
	if (!v->tty || v->ticking || gettid() == getpid())
		return;
	v->ticking = pthread_create(&v->ticker, NULL, tick, v) == 0;
}

/* ---- lines that stay ---- */

static void put_header(struct view *v, unsigned vertex)
{
	struct view_step *s = step(v, vertex);

	if (v->shown == vertex)
		return;
	if (v->shown && !v->tty)
		putc('\n', stderr);
	fprintf(stderr, "#%u ", vertex);
	cli_put_safe(s->name, strcspn(s->name, "\n"), stderr);
	putc('\n', stderr);
	v->shown = vertex;
}

static void put_log_line(struct view *v, unsigned vertex, uint64_t now, const char *text, size_t n)
{
	struct view_step *s = step(v, vertex);

	put_header(v, vertex);
	fprintf(stderr, "#%u %.3f ", vertex, seconds(now - s->start_ns));
	cli_put_safe(text, n, stderr);
	putc('\n', stderr);
	if (v->tty) {
		free(s->last_log);
		s->last_log = xstrndup(text, n < 120 ? n : 120);
	}
}

/* A carriage return redraws a line for people; in a log its last state is what counts. */
static const char *last_state(const struct strbuf *line)
{
	const char *cr = line->len ? memrchr(line->buf, '\r', line->len - (line->buf[line->len - 1] == '\r')) : NULL;

	return cr ? cr + 1 : line->buf;
}

static void flush_line(struct view *v, unsigned vertex, uint64_t now)
{
	struct view_step *s = step(v, vertex);
	const char *from = last_state(&s->line);

	put_log_line(v, vertex, now, from, s->line.len - (size_t)(from - s->line.buf));
	strbuf_reset(&s->line);
}

static void on_log(struct view *v, const struct progress_event *e)
{
	struct strbuf *line = &step(v, e->vertex)->line;
	const char *text = e->text, *end = e->text + e->len;

	while (text < end) {
		const char *lf = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((lf ? lf : end) - text);

		if (line->len + n > LINE_MAX_LEN)
			n = LINE_MAX_LEN - line->len;
		strbuf_add(line, text, n);
		text += n;
		if ((lf && text == lf) || line->len == LINE_MAX_LEN)
			flush_line(v, e->vertex, e->time_ns);
		if (text < end && *text == '\n')
			text++;
	}
}

static void on_status(struct view *v, const struct progress_event *e)
{
	struct view_step *s = step(v, e->vertex);
	bool new_one = !s->status || strlen(s->status) != e->len || memcmp(s->status, e->text, e->len) != 0;

	if (new_one) {
		free(s->status);
		s->status = xstrndup(e->text, e->len);
	}
	s->current = e->current;
	s->total = e->total;
	/* In a log the end of a transfer is enough. */
	if (!v->tty && e->total && e->current == e->total) {
		put_header(v, e->vertex);
		fprintf(stderr, "#%u ", e->vertex);
		cli_put_safe(e->text, e->len, stderr);
		fprintf(stderr, " %.2fMB done\n", (double)e->total / 1e6);
	}
}

static void on_end(struct view *v, const struct progress_event *e)
{
	struct view_step *s = step(v, e->vertex);

	if (s->line.len)
		flush_line(v, e->vertex, e->time_ns);
	put_header(v, e->vertex);
	fprintf(stderr, "#%u ", e->vertex);
	if (e->kind == PROGRESS_CACHED)
		fputs("CACHED\n", stderr);
	else if (e->kind == PROGRESS_DONE)
		fprintf(stderr, "DONE %.1fs\n", seconds(e->time_ns - s->start_ns));
	else if (e->len == strlen("CANCELED") && memcmp(e->text, "CANCELED", e->len) == 0)
		fputs("CANCELED\n", stderr);
	else {
		fputs("ERROR: ", stderr);
		cli_put_safe(e->text, e->len, stderr);
		putc('\n', stderr);
	}
	s->running = false;
}

static void on_note(struct view *v, const struct progress_event *e)
{
	if (v->shown && !v->tty)
		putc('\n', stderr);
	v->shown = 0;
	fputs("note: ", stderr);
	cli_put_safe(e->text, e->len, stderr);
	putc('\n', stderr);
}

static void on_start(struct view *v, const struct progress_event *e)
{
	struct view_step *s = step(v, e->vertex);

	s->name = xstrndup(e->text, e->len);
	s->start_ns = e->time_ns;
	s->running = true;
	if (!v->tty)
		put_header(v, e->vertex);
}

static void view_event(struct progress *p, const struct progress_event *e)
{
	struct view *v = (struct view *)p;

	pthread_mutex_lock(&v->lock);
	start_ticking(v);
	if (v->tty)
		erase_live(v);
	switch (e->kind) {
	case PROGRESS_START:
		on_start(v, e);
		break;
	case PROGRESS_LOG:
		if (e->vertex)
			on_log(v, e);
		break;
	case PROGRESS_STATUS:
		if (e->vertex)
			on_status(v, e);
		break;
	case PROGRESS_NOTE:
		on_note(v, e);
		break;
	case PROGRESS_CACHED:
	case PROGRESS_DONE:
	case PROGRESS_ERROR:
		if (e->vertex)
			on_end(v, e);
		break;
	}
	if (v->tty)
		draw_live(v, e->time_ns);
	fflush(stderr);
	pthread_mutex_unlock(&v->lock);
}

static void quiet_event(struct progress *p, const struct progress_event *e)
{
	(void)p;
	(void)e;
}

struct progress *progress_view_new(const char *style, struct err *err)
{
	struct view *v;

	if (!style || !*style)
		style = getenv("BUILDKIT_PROGRESS");
	if (!style || !*style || strcmp(style, "auto") == 0)
		style = isatty(STDERR_FILENO) && !(getenv("TERM") && strcmp(getenv("TERM"), "dumb") == 0) ? "tty" :
													    "plain";
	if (strcmp(style, "rawjson") == 0)
		return progress_json_new(stderr);
	v = xcalloc(1, sizeof(*v));
	v->progress.event = view_event;
	v->tty = strcmp(style, "tty") == 0;
	if (strcmp(style, "quiet") == 0)
		v->progress.event = quiet_event;
	else if (!v->tty && strcmp(style, "plain") != 0) {
		free(v);
		err_set(err, ERR_USAGE, "unknown progress style '%s': use auto, plain, tty, quiet or rawjson", style);
		return NULL;
	}
	if (v->tty && !isatty(STDERR_FILENO)) {
		free(v);
		err_set(err, ERR_USAGE, "--progress tty needs a terminal on stderr");
		return NULL;
	}
	setvbuf(stderr, NULL, _IOFBF, LINE_MAX_LEN); /* flushed after each event: one call and not one per word */
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->wake, NULL);
	return &v->progress;
}

void progress_view_free(struct progress *p)
{
	struct view *v = (struct view *)p;

	if (!v)
		return;
	if (progress_is_json(p)) {
		progress_json_free(p);
		return;
	}
	if (v->ticking) {
		pthread_mutex_lock(&v->lock);
		v->stop = true;
		pthread_cond_signal(&v->wake);
		pthread_mutex_unlock(&v->lock);
		pthread_join(v->ticker, NULL);
	}
	erase_live(v);
	fflush(stderr);
	for (size_t i = 0; i < v->nsteps; i++) {
		free(v->steps[i].name);
		free(v->steps[i].status);
		free(v->steps[i].last_log);
		strbuf_release(&v->steps[i].line);
	}
	free(v->steps);
	free(v);
}
