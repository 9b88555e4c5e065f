/* whittle dockerfile dump FILE: how a Dockerfile is read, as JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/doc.h"
#include "base/fsutil.h"
#include "cli/cli.h"
#include "cli/front.h"
#include "dockerfile/lexer.h"

DEFINE_AUTO(struct dockerfile *, dockerfile_free)

/* A string of any bytes: those that are no UTF-8 become U+FFFD, which only members of objects do by themselves. */
static struct doc *doc_text(const char *text)
{
	struct doc *s = doc_string(text), *carrier;

	if (!s) {
		carrier = doc_object();
		doc_set_str(carrier, "s", text);
		s = doc_copy(doc_get(carrier, "s"));
		doc_free(carrier);
	}
	return s;
}

/* doc_set_str() without its copy in between: a text may be as long as the file. */
static void put_text(struct doc *d, const char *name, const char *text)
{
	if (text)
		doc_set(d, name, doc_text(text));
}

static struct doc *doc_strings(const char *const *v, size_t n)
{
	struct doc *list = doc_array();

	for (size_t i = 0; i < n; i++)
		doc_append(list, doc_text(v[i]));
	return list;
}

static struct doc *doc_flags(const struct instruction *in)
{
	struct doc *list = doc_array();

	for (size_t i = 0; i < in->nflags; i++) {
		struct doc *flag = doc_object();

		put_text(flag, "name", in->flags[i].name);
		put_text(flag, "value", in->flags[i].value);
		doc_append(list, flag);
	}
	return list;
}

static struct doc *doc_pairs(const struct instruction *in)
{
	struct doc *list = doc_array();

	for (size_t i = 0; i < in->nkeys; i++) {
		struct doc *pair = doc_object();

		put_text(pair, "key", in->keys[i]);
		put_text(pair, "value", in->values[i]);
		doc_append(list, pair);
	}
	return list;
}

static struct doc *doc_heredocs(const struct instruction *in)
{
	struct doc *list = doc_array();

	for (size_t i = 0; i < in->nheredocs; i++) {
		const struct heredoc *h = &in->heredocs[i];
		struct doc *d = doc_object();

		put_text(d, "name", h->name);
		doc_set(d, "expand", doc_bool(h->expand));
		doc_set(d, "chomp", doc_bool(h->chomp));
		if (h->fd)
			doc_set_int(d, "fd", h->fd);
		put_text(d, "content", h->content);
		doc_append(list, d);
	}
	return list;
}

/* Only what is there. A trigger is not looked into: the argument of ONBUILD is its text. */
static struct doc *doc_instruction(const struct instruction *in)
{
	struct doc *d = doc_object(), *lines = doc_object();

	put_text(d, "instruction", instruction_kind_name(in->kind));
	put_text(d, "written", in->name);
	doc_set_int(lines, "first", in->first_line);
	doc_set_int(lines, "last", in->last_line);
	doc_set(d, "lines", lines);
	if (in->nflags)
		doc_set(d, "flags", doc_flags(in));
	if (in->json)
		doc_set(d, "json", doc_bool(true));
	if (in->nargs || in->json)
		doc_set(d, "arguments", doc_strings(in->args, in->nargs));
	if (in->nkeys)
		doc_set(d, "pairs", doc_pairs(in));
	if (in->legacy)
		doc_set(d, "legacy", doc_bool(true));
	if (in->nheredocs)
		doc_set(d, "heredocs", doc_heredocs(in));
	put_text(d, "script", in->script_name);
	if (in->empty_continuation)
		doc_set(d, "emptyContinuation", doc_bool(true));
	if (in->ncomments)
		doc_set(d, "comments", doc_strings(in->comments, in->ncomments));
	return d;
}

/* One instruction a line, so that a file of any length takes the memory of its longest instruction. */
static void put_instructions(const struct instruction *v, size_t n, FILE *out)
{
	for (size_t i = 0; i < n; i++) {
		auto_strbuf text = STRBUF_INIT;
		struct doc *d = doc_instruction(&v[i]);

		doc_format(d, &text);
		doc_free(d);
		fprintf(out, "%s\n  ", i ? "," : "");
		fwrite(text.buf, 1, text.len, out);
	}
	fputs(n ? "\n ]" : "]", out);
}

/* {"file": ..., "stages": [ without its end. */
static void put_head(const struct dockerfile *df, FILE *out)
{
	const char escape[] = { df->escape, '\0' };
	struct doc *d = doc_object();
	auto_strbuf text = STRBUF_INIT;

	put_text(d, "file", df->file_name);
	put_text(d, "escape", escape);
	put_text(d, "syntax", df->syntax);
	put_text(d, "check", df->check);
	doc_format(d, &text);
	doc_free(d);
	fwrite(text.buf, 1, text.len - 1, out);
	fputs(",\n \"arguments\": [", out);
	put_instructions(df->global_args, df->nglobal_args, out);
	fputs(",\n \"stages\": [", out);
}

static void put_stage(const struct stage *st, FILE *out)
{
	struct doc *d = doc_object();
	auto_strbuf text = STRBUF_INIT;

	put_text(d, "name", st->name);
	put_text(d, "image", st->image);
	put_text(d, "platform", st->platform);
	doc_format(d, &text);
	doc_free(d);
	fwrite(text.buf, 1, text.len - 1, out);
	fputs(",\n \"instructions\": [", out);
	/* FROM stands before them in one array. */
	put_instructions(st->instructions - 1, st->ninstructions + 1, out);
	fputs("}", out);
}

static int dump(const char *file)
{
	AUTO(dockerfile_free) struct dockerfile *df = NULL;
	struct dockerfile_location loc = { 0, 0 };
	auto_strbuf text = STRBUF_INIT;
	struct err err = ERR_INIT;
	struct front_source source = { file, NULL, 0 };

	if (strcmp(file, "-") == 0) {
		source.name = "Dockerfile";
		if (read_all(STDIN_FILENO, &text, LEXER_FILE_MAX) < 0)
			return err_sys(&err, "cannot read the Dockerfile from stdin"), cli_fail(&err);
	} else if (read_file(AT_FDCWD, file, LEXER_FILE_MAX, &text, &err) < 0) {
		return cli_fail(&err);
	}
	source.text = text.buf;
	source.len = text.len;
	df = dockerfile_parse(source.name, text.buf, text.len, &loc, &err);
	if (!df)
		return front_fail(&err, &loc, &source);
	strbuf_release(&text);
	put_head(df, stdout);
	for (size_t i = 0; i < df->nstages; i++) {
		fputs(i ? ",\n " : "\n ", stdout);
		put_stage(&df->stages[i], stdout);
	}
	fputs("\n ]}\n", stdout);
	return EXIT_OK;
}

static const struct option_def options[] = {
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static int run_dockerfile(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	struct err err = ERR_INIT;
	int status = cli_options(self, options, argc, argv, false, 2, 2, &operands);

	if (status >= 0)
		return status;
	if (strcmp(operands.v[0], "dump") != 0) {
		err_set(&err, ERR_USAGE, "unknown word '%s'; usage: whittle %s %s", operands.v[0], self->name,
			self->operands);
		return cli_fail(&err);
	}
	return dump(operands.v[1]);
}

const struct command command_dockerfile = { "dockerfile", "dump FILE", "show as JSON how a Dockerfile is read",
	run_dockerfile };
