/* What this host offers a build, and how to mend what it lacks: doctor. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/doc.h"
#include "build/doctor.h"
#include "cli/cli.h"
#include "sandbox/mend.h"

#define WIDTH 79
#define TEXT_COLUMN 26 /* behind "limited  " and the longest name */
#define COMMAND_COLUMN 9

static struct {
	const char *registry;
	bool json, apparmor_profile;
} opt;

static const struct option_def doctor_options[] = {
	{ OPTION_FLAG, 0, "json", NULL, "print JSON", &opt.json },
	{ OPTION_STRING, 0, "registry", "HOST", "ask also whether the registry HOST[:PORT] answers", &opt.registry },
	{ OPTION_FLAG, 0, "apparmor-profile", NULL, "only print an AppArmor profile for this program", &opt.apparmor_profile },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static const char *const states[] = {
	[CHECK_OK] = "ok",
	[CHECK_LIMITED] = "limited",
	[CHECK_MISSING] = "missing",
};

/* Whether the first n bytes open a quote that they do not close. */
static bool ends_in_quotes(const char *text, size_t n)
{
	bool in = false;

	for (size_t i = 0; i < n; i++)
		in ^= text[i] == '\'';
	return in;
}

/* Where to break text that is longer than room: at the last blank in it, else at the first behind it. */
static size_t find_break(const char *text, size_t room, bool is_command)
{
	size_t cut = room;

	while (cut && (text[cut] != ' ' || (is_command && ends_in_quotes(text, cut))))
		cut--;
	if (cut)
		return cut;
	for (cut = room; text[cut] && (text[cut] != ' ' || (is_command && ends_in_quotes(text, cut))); cut++)
		;
	return cut;
}

/* Words wrapped between column and WIDTH; the cursor stands at column. tail goes before each line's end but the last. */
static void put_wrapped(const char *text, int column, const char *tail)
{
	size_t room = (size_t)(WIDTH - column) - strlen(tail);

	while (strlen(text) > room) {
		size_t cut = find_break(text, room, *tail);

		if (!text[cut])
			break;
		cli_put_safe(text, cut, stdout);
		printf("%s\n%*s", tail, column, "");
		text += cut;
		text += strspn(text, " ");
	}
	cli_put_safe(text, strlen(text), stdout);
	putchar('\n');
}

static void put_labelled(const char *label, const char *text)
{
	printf("%*s%s", TEXT_COLUMN, "", label);
	put_wrapped(text, TEXT_COLUMN + (int)strlen(label), "");
}

static void print_check(const struct check *c)
{
	printf("%-8s %-16s ", states[c->state], c->name);
	put_wrapped(c->text, TEXT_COLUMN, "");
	if (c->without)
		put_labelled("without: ", c->without);
	if (c->mend && !c->is_command)
		put_labelled("to mend: ", c->mend);
	if (c->mend && c->is_command) {
		/* Broken so that a shell takes the lines as one. */
		put_labelled("to mend, run:", "");
		printf("%*s", COMMAND_COLUMN, "");
		put_wrapped(c->mend, COMMAND_COLUMN, " \\");
	}
}

static void print_text(const struct doctor_report *r)
{
	for (size_t i = 0; i < r->n; i++)
		print_check(&r->checks[i]);
	putchar('\n');
	if (r->refusal.kind == ERR_NONE) {
		printf("builds work here\n");
		return;
	}
	printf("builds do not work here:\n");
	put_wrapped(r->refusal.msg, 0, "");
}

static struct doc *check_to_doc(const struct check *c)
{
	struct doc *d = doc_object();

	doc_set_str(d, "name", c->name);
	doc_set_str(d, "state", states[c->state]);
	doc_set_str(d, "text", c->text);
	doc_set_str(d, "without", c->without);
	doc_set_str(d, c->is_command ? "command" : "advice", c->mend);
	return d;
}

static void print_json(const struct doctor_report *r)
{
	auto_strbuf text = STRBUF_INIT;
	struct doc *d = doc_object(), *checks = doc_array();

	doc_set(d, "works", doc_bool(r->refusal.kind == ERR_NONE));
	if (r->refusal.kind != ERR_NONE)
		doc_set_str(d, "refusal", r->refusal.msg);
	for (size_t i = 0; i < r->n; i++)
		doc_append(checks, check_to_doc(&r->checks[i]));
	doc_set(d, "checks", checks);
	doc_format_pretty(d, &text);
	printf("%s\n", text.buf);
	doc_free(d);
}

static int print_profile(void)
{
	auto_strbuf text = STRBUF_INIT;
	auto_free char *path = mend_own_path();

	mend_apparmor_profile(path, &text);
	fputs(text.buf, stdout);
	return EXIT_OK;
}

static int run_doctor(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, doctor_options, argc, argv, false, 0, 0, &operands);
	struct doctor_options o = { .root = common.root, .registry = opt.registry, .insecure = &common.insecure,
		.offline = common.offline, .argv = cli_argv };
	struct doctor_report report;
	struct err err = ERR_INIT;

	if (status >= 0)
		return status;
	if (opt.apparmor_profile)
		return print_profile();
	if (isolation_parse(common.isolation ? common.isolation : "auto", &o.isolation, &err) < 0)
		return cli_fail(&err);
	umask(022);
	doctor_run(&o, &report);
	if (opt.json)
		print_json(&report);
	else
		print_text(&report);
	status = cli_status(&report.refusal);
	doctor_report_release(&report);
	return status;
}

const struct command command_doctor = { "doctor", "[OPTIONS]",
	"say what this host offers, and how to mend what it lacks", run_doctor };
