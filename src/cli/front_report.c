/* Findings of build checks as text, JSON and SARIF. */
#include <string.h>

#include "base/auto.h"
#include "base/base64.h"
#include "base/doc.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/front.h"

#define SARIF_SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"
#define RANGES_MAX 1000 /* of one location: an instruction of more lines is not pointed at line by line */

void front_print_doc(struct doc *doc, FILE *out)
{
	auto_strbuf text = STRBUF_INIT;

	doc_format_pretty(doc, &text);
	fwrite(text.buf, 1, text.len, out);
	putc('\n', out);
	doc_free(doc);
}

static struct doc *doc_range(int first, int last)
{
	struct doc *range = doc_object(), *start = doc_object(), *end = doc_object();

	doc_set_int(start, "line", first);
	doc_set_int(end, "line", last);
	doc_set(range, "start", start);
	doc_set(range, "end", end);
	return range;
}

struct doc *front_doc_location(const struct dockerfile_location *loc)
{
	struct doc *location = doc_object(), *ranges = doc_array();

	for (int line = loc->first_line; line > 0 && line <= loc->last_line; line++) {
		bool last = line - loc->first_line == RANGES_MAX;

		doc_append(ranges, doc_range(line, last ? loc->last_line : line));
		if (last)
			break;
	}
	doc_set(location, "ranges", ranges);
	return location;
}

struct doc *front_doc_sources(const struct front_source *source)
{
	struct doc *sources = doc_array(), *one = doc_object();
	auto_strbuf data = STRBUF_INIT;

	doc_set_str(one, "filename", source->name);
	doc_set_str(one, "language", "Dockerfile");
	base64_encode(source->text, source->len, &data);
	doc_set_str(one, "data", data.buf);
	doc_append(sources, one);
	return sources;
}

static void put_excerpt(const struct front_source *source, const struct dockerfile_location *loc, FILE *out)
{
	auto_strbuf excerpt = STRBUF_INIT;

	dockerfile_excerpt(source->name, source->text, source->len, loc, &excerpt);
	fputs(excerpt.buf, out);
}

int front_fail(const struct err *err, const struct dockerfile_location *loc, const struct front_source *source)
{
	fflush(stdout);
	put_excerpt(source, loc, stderr);
	return cli_fail(err);
}

static void put_dropped(const struct lint_result *r, FILE *out)
{
	if (r->dropped)
		fprintf(out, "\n%zu more are not shown\n", r->dropped);
}

void front_print_findings(const struct lint_result *r, const struct front_source *source, FILE *out)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct lint_finding *f = &r->v[i];

		fprintf(out, "\nWARNING: %s%s%s\n", f->rule, f->url ? " - " : "", f->url ? f->url : "");
		cli_put_safe(f->message, strlen(f->message), out);
		putc('\n', out);
		put_excerpt(source, &f->loc, out);
	}
	put_dropped(r, out);
}

void front_print_summary(const struct lint_result *r, const struct front_source *source, bool details, FILE *out)
{
	if (r->n == 0)
		return;
	fprintf(out, "\n %zu warning%s found%s:\n", r->n, r->n == 1 ? "" : "s", details ? "" : " (use --debug to expand)");
	if (details) {
		front_print_findings(r, source, out);
		return;
	}
	for (size_t i = 0; i < r->n; i++) {
		fprintf(out, " - %s: ", r->v[i].rule);
		cli_put_safe(r->v[i].message, strlen(r->v[i].message), out);
		fprintf(out, " (line %d)\n", r->v[i].loc.first_line);
	}
	put_dropped(r, out);
}

void front_print_findings_json(const struct lint_result *r, const struct front_source *source, FILE *out)
{
	struct doc *doc = doc_object(), *warnings = doc_array(), *error;

	for (size_t i = 0; i < r->n; i++) {
		struct doc *w = doc_object();

		doc_set_str(w, "ruleName", r->v[i].rule);
		doc_set_str(w, "description", r->v[i].description);
		doc_set_str(w, "url", r->v[i].url);
		doc_set_str(w, "detail", r->v[i].message);
		doc_set(w, "location", front_doc_location(&r->v[i].loc));
		doc_append(warnings, w);
	}
	doc_set(doc, "warnings", warnings);
	doc_set(doc, "sources", front_doc_sources(source));
	if (r->err.kind != ERR_NONE) {
		error = doc_object();
		doc_set_str(error, "message", r->err.msg);
		doc_set(error, "location", front_doc_location(&r->err_loc));
		doc_set(doc, "buildError", error);
	}
	front_print_doc(doc, out);
}

/* ---- SARIF ---- */

static struct doc *sarif_text(const char *text)
{
	struct doc *d = doc_object();

	doc_set_str(d, "text", text);
	return d;
}

static struct doc *sarif_result(const char *rule, const char *level, const char *message,
	const struct dockerfile_location *loc, const struct front_source *source)
{
	struct doc *result = doc_object(), *locations = doc_array(), *location = doc_object();
	struct doc *physical = doc_object(), *artifact = doc_object(), *region = doc_object();

	doc_set_str(result, "ruleId", rule);
	doc_set_str(result, "level", level);
	doc_set(result, "message", sarif_text(message));
	doc_set_str(artifact, "uri", source->name);
	doc_set(physical, "artifactLocation", artifact);
	if (loc->first_line > 0) {
		doc_set_int(region, "startLine", loc->first_line);
		doc_set_int(region, "endLine", loc->last_line);
		doc_set(physical, "region", region);
	} else {
		doc_free(region);
	}
	doc_set(location, "physicalLocation", physical);
	doc_append(locations, location);
	doc_set(result, "locations", locations);
	return result;
}

/* The rules that fired, once each. */
static struct doc *sarif_rules(const struct lint_result *r)
{
	struct doc *rules = doc_array();

	for (size_t i = 0; i < r->n; i++) {
		struct doc *rule;
		size_t k = 0;

		while (r->v[k].rule != r->v[i].rule)
			k++;
		if (k < i)
			continue;
		rule = doc_object();
		doc_set_str(rule, "id", r->v[i].rule);
		doc_set(rule, "shortDescription", sarif_text(r->v[i].description));
		doc_set_str(rule, "helpUri", r->v[i].url);
		doc_append(rules, rule);
	}
	return rules;
}

void front_print_findings_sarif(const struct lint_result *r, const struct front_source *source, FILE *out)
{
	struct doc *doc = doc_object(), *runs = doc_array(), *run = doc_object(), *tool = doc_object();
	struct doc *driver = doc_object(), *results = doc_array();

	doc_set_str(driver, "name", "whittle");
	doc_set_str(driver, "version", WHITTLE_VERSION);
	doc_set(driver, "rules", sarif_rules(r));
	doc_set(tool, "driver", driver);
	for (size_t i = 0; i < r->n; i++)
		doc_append(results, sarif_result(r->v[i].rule, r->gate ? "error" : "warning", r->v[i].message,
					    &r->v[i].loc, source));
	if (r->err.kind != ERR_NONE)
		doc_append(results, sarif_result("BuildError", "error", r->err.msg, &r->err_loc, source));
	doc_set(run, "tool", tool);
	doc_set(run, "results", results);
	doc_append(runs, run);
	doc_set_str(doc, "$schema", SARIF_SCHEMA);
	doc_set_str(doc, "version", "2.1.0");
	doc_set(doc, "runs", runs);
	front_print_doc(doc, out);
}
