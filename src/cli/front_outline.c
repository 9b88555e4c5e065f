/* --call=outline and --call=targets as text and JSON. */
#include <string.h>

#include "base/auto.h"
#include "base/doc.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/front.h"
#include "dockerfile/outline.h"

#define COLUMNS_MAX 3
#define GAP 3          /* spaces between columns */
#define WIDTH_MAX 60   /* a longer cell does not push the others out */

/* Cells of a table, row by row, the head first; NULL is an empty cell. */
struct table {
	size_t columns;
	struct strv cells;
};

static void table_add(struct table *t, const char *cell)
{
	strv_add(&t->cells, cell ? cell : "");
}

static void put_cell(const char *cell, size_t width, FILE *out)
{
	size_t len = strlen(cell);

	cli_put_safe(cell, strcspn(cell, "\n"), out);
	if (width)
		fprintf(out, "%*s", (int)(len < width ? width - len : 0) + GAP, "");
}

/* Print and release. The last column is not padded, and no line ends in spaces. */
static void table_print(struct table *t, FILE *out)
{
	size_t width[COLUMNS_MAX] = {0};

	for (size_t i = 0; i < t->cells.len; i++) {
		size_t len = strlen(t->cells.v[i]), *w = &width[i % t->columns];

		if (len > *w)
			*w = len < WIDTH_MAX ? len : WIDTH_MAX;
	}
	for (size_t i = 0; i < t->cells.len; i += t->columns) {
		size_t last = t->columns;

		while (last > 1 && !*t->cells.v[i + last - 1])
			last--;
		for (size_t k = 0; k < last; k++)
			put_cell(t->cells.v[i + k], k + 1 < last ? width[k] : 0, out);
		putc('\n', out);
	}
	strv_release(&t->cells);
}

/* ---- outline ---- */

static void print_needs(const struct outline_list *list, const char *title, FILE *out)
{
	struct table t = { .columns = 2, .cells = STRV_INIT };

	if (list->n == 0)
		return;
	table_add(&t, title);
	table_add(&t, "REQUIRED");
	for (size_t i = 0; i < list->n; i++) {
		table_add(&t, list->v[i].name);
		table_add(&t, list->v[i].required ? "true" : "");
	}
	putc('\n', out);
	table_print(&t, out);
}

static void print_outline(const struct outline *o, FILE *out)
{
	struct table head = { .columns = 2, .cells = STRV_INIT }, args = { .columns = 3, .cells = STRV_INIT };

	table_add(&head, "TARGET:");
	table_add(&head, o->name ? o->name : "(default)");
	if (o->description) {
		table_add(&head, "DESCRIPTION:");
		table_add(&head, o->description);
	}
	table_print(&head, out);
	if (o->args.n) {
		table_add(&args, "BUILD ARG");
		table_add(&args, "VALUE");
		table_add(&args, "DESCRIPTION");
		for (size_t i = 0; i < o->args.n; i++) {
			table_add(&args, o->args.v[i].name);
			table_add(&args, o->args.v[i].value);
			table_add(&args, o->args.v[i].description);
		}
		putc('\n', out);
		table_print(&args, out);
	}
	print_needs(&o->secrets, "SECRET", out);
	print_needs(&o->ssh, "SSH", out);
}

static struct doc *doc_entries(const struct outline_list *list, bool args)
{
	struct doc *entries = doc_array();

	for (size_t i = 0; i < list->n; i++) {
		const struct outline_entry *e = &list->v[i];
		struct doc *d = doc_object();

		doc_set_str(d, "name", e->name);
		if (args) {
			doc_set_str(d, "value", e->value);
			doc_set_str(d, "description", e->description);
		} else if (e->required) {
			doc_set(d, "required", doc_bool(true));
		}
		doc_set(d, "location", front_doc_location(&e->loc));
		doc_append(entries, d);
	}
	return entries;
}

int front_outline(const struct walk_options *options, const struct front_source *source, enum front_format format)
{
	struct outline o = OUTLINE_INIT;
	struct dockerfile_location loc;
	struct err err = ERR_INIT;
	struct doc *doc;

	if (outline_make(options, &o, &loc, &err) < 0)
		return front_fail(&err, &loc, source);
	if (format == FRONT_TEXT) {
		print_outline(&o, stdout);
	} else {
		doc = doc_object();
		doc_set_str(doc, "name", o.name);
		doc_set_str(doc, "description", o.description);
		doc_set(doc, "args", doc_entries(&o.args, true));
		doc_set(doc, "secrets", doc_entries(&o.secrets, false));
		doc_set(doc, "ssh", doc_entries(&o.ssh, false));
		doc_set(doc, "sources", front_doc_sources(source));
		front_print_doc(doc, stdout);
	}
	outline_release(&o);
	return EXIT_OK;
}

/* ---- targets ---- */

static const char *description_of(const struct stage *st)
{
	return st->name_as_written ? outline_description(&st->from, st->name_as_written) : NULL;
}

static void print_targets(const struct dockerfile *df, FILE *out)
{
	struct table t = { .columns = 2, .cells = STRV_INIT };

	table_add(&t, "TARGET");
	table_add(&t, "DESCRIPTION");
	for (size_t i = 0; i < df->nstages; i++) {
		const struct stage *st = &df->stages[i];
		const char *name = st->name ? st->name : "";
		auto_free char *text = xasprintf("%s%s%s", name, *name ? " " : "", "(default)");

		table_add(&t, i + 1 == df->nstages ? text : name);
		table_add(&t, description_of(st));
	}
	table_print(&t, out);
}

int front_targets(const struct dockerfile *df, const struct front_source *source, enum front_format format)
{
	struct doc *doc, *targets;

	if (format == FRONT_TEXT) {
		print_targets(df, stdout);
		return EXIT_OK;
	}
	doc = doc_object();
	targets = doc_array();
	for (size_t i = 0; i < df->nstages; i++) {
		const struct stage *st = &df->stages[i];
		struct doc *d = doc_object();
		const struct dockerfile_location loc = { st->from.first_line, st->from.last_line };

		doc_set_str(d, "name", st->name);
		if (i + 1 == df->nstages)
			doc_set(d, "default", doc_bool(true));
		doc_set_str(d, "description", description_of(st));
		doc_set_str(d, "base", st->image);
		doc_set_str(d, "platform", st->platform);
		doc_set(d, "location", front_doc_location(&loc));
		doc_append(targets, d);
	}
	doc_set(doc, "targets", targets);
	doc_set(doc, "sources", front_doc_sources(source));
	front_print_doc(doc, stdout);
	return EXIT_OK;
}
