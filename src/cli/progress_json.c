#include "cli/progress_json.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/doc.h"
#include "base/mem.h"
#include "build/progress.h"

#define TIME_SIZE (RFC3339_SIZE + 12)
/* The vertex to which findings in the Dockerfile belong. */
#define DEFINITION "[internal] load build definition"
#define STREAM_STDOUT 1 /* a step's two streams come as one, in the order of writing */

struct json_status {
	char *id;
	uint64_t start_ns;
};

struct json_step {
	char *name;
	char digest[DIGEST_STR_SIZE];
	uint64_t start_ns;
	struct json_status *statuses;
	size_t nstatuses, cap;
};

struct json_view {
	struct progress progress; /* first: the engine sees only this */
	pthread_mutex_t lock;
	FILE *out;
	int64_t wall_ns; /* what the wall clock was ahead of the monotonic one at the start */
	struct json_step *steps; /* by vertex - 1 */
	size_t nsteps, cap;
	unsigned notes;
};

/* ---- values ---- */

static void set_time(const struct json_view *v, struct doc *d, const char *name, uint64_t mono_ns)
{
	int64_t ns = v->wall_ns + (int64_t)mono_ns;
	char seconds[RFC3339_SIZE], text[TIME_SIZE];

	rfc3339_format(ns / 1000000000, seconds);
	seconds[strcspn(seconds, "Z")] = '\0';
	snprintf(text, sizeof(text), "%s.%09dZ", seconds, (int)(ns % 1000000000));
	doc_set_str(d, name, text);
}

static void set_data(struct doc *d, const char *name, const char *data, size_t n)
{
	auto_strbuf text = STRBUF_INIT;

	base64_encode(data, n, &text);
	doc_set_str(d, name, text.buf);
}

static void name_digest(
	unsigned number, const char *kind, const char *name, char ret[DIGEST_STR_SIZE])
{
	auto_free char *text = xasprintf("%s %u %s", kind, number, name);

	sha256_buf_str(text, strlen(text), ret);
}

/* One line {"kind": [item]}; item is taken over. */
static void put(struct json_view *v, const char *kind, struct doc *item)
{
	struct doc *line = doc_object(), *list = doc_array();
	auto_strbuf text = STRBUF_INIT;

	doc_append(list, item);
	doc_set(line, kind, list);
	doc_format(line, &text);
	strbuf_putc(&text, '\n');
	fwrite(text.buf, 1, text.len, v->out);
	fflush(v->out);
	doc_free(line);
}

/* ---- events ---- */

static struct json_step *step(struct json_view *v, unsigned vertex)
{
	while (v->nsteps < vertex) {
		GROW(v->steps, v->nsteps, v->cap);
		memset(&v->steps[v->nsteps++], 0, sizeof(v->steps[0]));
	}
	return &v->steps[vertex - 1];
}

static struct doc *vertex_doc(
	const struct json_view *v, const char *digest, const char *name, uint64_t start_ns)
{
	struct doc *d = doc_object();

	doc_set_str(d, "digest", digest);
	doc_set_str(d, "name", name);
	set_time(v, d, "started", start_ns);
	return d;
}

static void on_start(struct json_view *v, const struct progress_event *e)
{
	struct json_step *s = step(v, e->vertex);

	s->name = xstrndup(e->text, e->len);
	s->start_ns = e->time_ns;
	name_digest(e->vertex, "vertex", s->name, s->digest);
	put(v, "vertexes", vertex_doc(v, s->digest, s->name, s->start_ns));
}

static void on_end(struct json_view *v, const struct progress_event *e)
{
	const struct json_step *s = step(v, e->vertex);
	struct doc *d = vertex_doc(v, s->digest, s->name, s->start_ns);
	auto_free char *text = e->text ? xstrndup(e->text, e->len) : NULL;

	set_time(v, d, "completed", e->time_ns);
	if (e->kind == PROGRESS_CACHED)
		doc_set(d, "cached", doc_bool(true));
	if (e->kind == PROGRESS_ERROR)
		doc_set_str(d, "error", text && *text ? text : "failed");
	put(v, "vertexes", d);
}

static void on_log(struct json_view *v, const struct progress_event *e)
{
	struct doc *d = doc_object();

	doc_set_str(d, "vertex", step(v, e->vertex)->digest);
	doc_set_int(d, "stream", STREAM_STDOUT);
	set_data(d, "data", e->text, e->len);
	set_time(v, d, "timestamp", e->time_ns);
	put(v, "logs", d);
}

/* When the status called id began: now if it is new. The engine gives one to a file or a layer,
 * whose number is limited. */
static uint64_t status_start(struct json_step *s, const char *id, uint64_t now)
{
	for (size_t i = 0; i < s->nstatuses; i++)
		if (strcmp(s->statuses[i].id, id) == 0)
			return s->statuses[i].start_ns;
	GROW(s->statuses, s->nstatuses, s->cap);
	s->statuses[s->nstatuses++] = (struct json_status){xstrdup(id), now};
	return now;
}

static void on_status(struct json_view *v, const struct progress_event *e)
{
	struct json_step *s = step(v, e->vertex);
	auto_free char *id = xstrndup(e->text, e->len);
	uint64_t start = status_start(s, id, e->time_ns);
	struct doc *d = doc_object();

	doc_set_str(d, "id", id);
	doc_set_str(d, "vertex", s->digest);
	if (e->total)
		doc_set_int(d, "total", (int64_t)e->total);
	doc_set_int(d, "current", (int64_t)e->current);
	set_time(v, d, "timestamp", e->time_ns);
	set_time(v, d, "started", start);
	if (e->total && e->current == e->total)
		set_time(v, d, "completed", e->time_ns);
	put(v, "statuses", d);
}

/* Said of the whole build: a vertex that is over at once, as there is no other place for it. */
static void on_note(struct json_view *v, const struct progress_event *e)
{
	auto_free char *text = xstrndup(e->text, e->len);
	char digest[DIGEST_STR_SIZE];
	struct doc *d;

	name_digest(++v->notes, "note", text, digest);
	d = vertex_doc(v, digest, text, e->time_ns);
	set_time(v, d, "completed", e->time_ns);
	put(v, "vertexes", d);
}

static void json_event(struct progress *p, const struct progress_event *e)
{
	struct json_view *v = (struct json_view *)p;

	pthread_mutex_lock(&v->lock);
	if (e->kind == PROGRESS_NOTE)
		on_note(v, e);
	else if (e->vertex == 0)
		; /* nobody's */
	else if (e->kind == PROGRESS_START)
		on_start(v, e);
	else if (e->kind == PROGRESS_LOG)
		on_log(v, e);
	else if (e->kind == PROGRESS_STATUS)
		on_status(v, e);
	else
		on_end(v, e);
	pthread_mutex_unlock(&v->lock);
}

/* ---- findings ---- */

static const char *definition_digest(const struct json_view *v)
{
	for (size_t i = 0; i < v->nsteps; i++)
		if (v->steps[i].name && strcmp(v->steps[i].name, DEFINITION) == 0)
			return v->steps[i].digest;
	return NULL;
}

static struct doc *detail_list(const char *text)
{
	struct doc *list = doc_array();
	auto_strbuf data = STRBUF_INIT;

	base64_encode(text, strlen(text), &data);
	doc_append(list, doc_string(data.buf));
	return list;
}

static void put_finding(
	struct json_view *v, const struct lint_finding *f, const struct front_source *source)
{
	struct doc *d = doc_object(), *sources = front_doc_sources(source),
		   *place = front_doc_location(&f->loc);
	auto_free char *brief = f->loc.first_line > 0 ? xasprintf("%s: %s (line %d)", f->rule,
								f->message, f->loc.first_line)
						      : xasprintf("%s: %s", f->rule, f->message);

	doc_set_str(d, "vertex", definition_digest(v));
	doc_set_int(d, "level", 1);
	set_data(d, "short", brief, strlen(brief));
	if (f->description)
		doc_set(d, "detail", detail_list(f->description));
	doc_set_str(d, "url", f->url);
	doc_set(d, "sourceInfo", doc_copy(doc_at(sources, 0)));
	doc_set(d, "range", doc_copy(doc_get(place, "ranges")));
	doc_free(sources);
	doc_free(place);
	put(v, "warnings", d);
}

void progress_json_warn(
	struct progress *p, const struct lint_result *lint, const struct front_source *source)
{
	struct json_view *v = (struct json_view *)p;

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < lint->n; i++)
		put_finding(v, &lint->v[i], source);
	pthread_mutex_unlock(&v->lock);
}

/* ---- life ---- */

struct progress *progress_json_new(FILE *out)
{
	struct json_view *v = xcalloc(1, sizeof(*v));
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	v->wall_ns = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - (int64_t)clock_mono_ns();
	v->progress.event = json_event;
	v->out = out;
	pthread_mutex_init(&v->lock, NULL);
	return &v->progress;
}

bool progress_is_json(const struct progress *p)
{
	return p && p->event == json_event;
}

void progress_json_free(struct progress *p)
{
	struct json_view *v = (struct json_view *)p;

	for (size_t i = 0; i < v->nsteps; i++) {
		for (size_t j = 0; j < v->steps[i].nstatuses; j++)
			free(v->steps[i].statuses[j].id);
		free(v->steps[i].statuses);
		free(v->steps[i].name);
	}
	free(v->steps);
	pthread_mutex_destroy(&v->lock);
	free(v);
}
