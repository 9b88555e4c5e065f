/*
 * parse KIND[+] N: make an input of about N bytes (ignore: N paths against 200 patterns), read it fifteen times, with "+" run
 * the build checks too, which expand every word, and print the
 * microseconds of processor time of the quickest. For tests/bench/parse.sh.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/strbuf.h"
#include "dockerfile/ignore.h"
#include "dockerfile/lint.h"

#define RUNS 15
#define PATTERNS 200

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void make_continuations(struct strbuf *text, size_t n)
{
	strbuf_puts(text, "FROM scratch\nRUN true");
	while (text->len < n)
		strbuf_puts(text, " && \\\n    echo a line like many others");
	strbuf_putc(text, '\n');
}

static void make_heredocs(struct strbuf *text, size_t n)
{
	strbuf_puts(text, "FROM scratch\n");
	while (text->len < n) {
		strbuf_puts(text, "COPY <<-EOF /etc/file\n");
		for (int i = 0; i < 20; i++)
			strbuf_puts(text, "\ta line of a document with $variable\n");
		strbuf_puts(text, "\tEOF\n");
	}
}

static void make_substitutions(struct strbuf *text, size_t n)
{
	strbuf_puts(text, "FROM scratch\nENV a=1\n");
	while (text->len < n)
		strbuf_puts(text, "ENV b=${x:-${y:-${z:+${a}}${w:-${a#1}${a/1/2}}}}\n");
}

static int read_dockerfile(const struct strbuf *text, bool checks)
{
	struct lint_options options = {.ignore = NULL};
	struct dockerfile_location loc;
	struct lint_result r;
	struct err err;
	struct dockerfile *df = dockerfile_parse("Dockerfile", text->buf, text->len, &loc, &err);

	if (!df) {
		fprintf(stderr, "parse: %s\n", err.msg);
		return -1;
	}
	if (!checks) {
		dockerfile_free(df);
		return 0;
	}
	platform_host(&options.walk.build_platform);
	options.walk.target_platform = options.walk.build_platform;
	lint_run(df, &options, &r);
	lint_result_release(&r);
	dockerfile_free(df);
	return 0;
}

/* What a context looks like: folders of folders of files with a few endings. */
static int match_paths(size_t n)
{
	struct strbuf text = STRBUF_INIT;
	struct err err;
	struct ignore *ig;
	size_t excluded = 0;
	char path[128];

	for (int i = 0; i < PATTERNS; i += 5)
		strbuf_printf(&text, "**/cache%d/**\nbuild%d/*.o\n*.tmp%d\nsrc/**/gen%d_*.c\n!keep%d\n", i, i, i, i, i);
	ig = ignore_parse(text.buf, text.len, &err);
	strbuf_release(&text);
	if (!ig)
		return -1;
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "src/module%zu/part%zu/gen%zu_file%zu.c", i % 100, i % 1000, i % 300, i);
		excluded += ignore_match(ig, path);
	}
	ignore_free(ig);
	return excluded > 0 && excluded < n ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct strbuf text = STRBUF_INIT;
	size_t n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	const char *kind = argc == 3 ? argv[1] : "";
	const char *checks = strchr(kind, '+');
	int64_t best = INT64_MAX;

	if (strncmp(kind, "continuations", 13) == 0)
		make_continuations(&text, n);
	else if (strncmp(kind, "heredocs", 8) == 0)
		make_heredocs(&text, n);
	else if (strncmp(kind, "substitutions", 13) == 0)
		make_substitutions(&text, n);
	else if (strcmp(kind, "ignore") != 0)
		return 2;
	for (int i = 0; i < RUNS; i++) {
		int64_t start = now_us();

		if ((text.len ? read_dockerfile(&text, checks != NULL) : match_paths(n)) < 0)
			return 1;
		if (now_us() - start < best)
			best = now_us() - start;
	}
	strbuf_release(&text);
	printf("%lld\n", (long long)best);
	return 0;
}
