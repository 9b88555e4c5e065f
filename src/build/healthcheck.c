#include "build/healthcheck.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <strings.h>

#include "base/fsutil.h"

#define SECOND 1000000000

/* n of so many parts, without zeros at the end: 1500 of 1000 is "1.5". */
static void put_fraction(int64_t n, int64_t parts, struct strbuf *sb)
{
	int64_t rest = n % parts;

	strbuf_printf(sb, "%lld", (long long)(n / parts));
	if (rest)
		strbuf_putc(sb, '.');
	while (rest) {
		parts /= 10;
		strbuf_putc(sb, (char)('0' + rest / parts));
		rest %= parts;
	}
}

void healthcheck_put_duration(int64_t ns, struct strbuf *sb)
{
	int64_t minutes = ns / SECOND / 60;

	if (ns == 0) {
		strbuf_puts(sb, "0s");
	} else if (ns < 1000) {
		strbuf_printf(sb, "%lldns", (long long)ns);
	} else if (ns < 1000000) {
		put_fraction(ns, 1000, sb);
		strbuf_puts(sb, "\xc2\xb5s");
	} else if (ns < SECOND) {
		put_fraction(ns, 1000000, sb);
		strbuf_puts(sb, "ms");
	} else {
		if (minutes >= 60)
			strbuf_printf(sb, "%lldh", (long long)(minutes / 60));
		if (minutes)
			strbuf_printf(sb, "%lldm", (long long)(minutes % 60));
		put_fraction(ns % (60LL * SECOND), SECOND, sb);
		strbuf_putc(sb, 's');
	}
}

static void put_test(const struct instruction *in, struct doc *test, struct strbuf *history)
{
	bool none = strcasecmp(in->args[0], "NONE") == 0;
	const char *kind = none ? "NONE" : in->json ? "CMD" : "CMD-SHELL";

	doc_append(test, doc_string(kind));
	strbuf_printf(history, "{Test:[%s", kind);
	for (size_t i = 1; i < in->nargs; i++) {
		doc_append(test, doc_string(in->args[i]));
		strbuf_printf(history, " %s", in->args[i]);
	}
	strbuf_putc(history, ']');
}

struct doc *healthcheck_make(const struct instruction *in, struct strbuf *history)
{
	static const struct {
		const char *flag, *field;
	} times[] = { { "interval", "Interval" }, { "timeout", "Timeout" }, { "start-period", "StartPeriod" },
		{ "start-interval", "StartInterval" } };
	struct doc *check = doc_object(), *test = doc_array();
	const char *retries_text = instruction_flag(in, "retries");
	uint64_t retries = 0;

	put_test(in, test, history);
	doc_set(check, "Test", test);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const char *value = instruction_flag(in, times[i].flag);
		int64_t ns = 0;

		if (value && instruction_duration(value, &ns) == 0 && ns > 0)
			doc_set_int(check, times[i].field, ns);
		strbuf_printf(history, " %s:", times[i].field);
		healthcheck_put_duration(ns, history);
	}
	if (retries_text && parse_u64(retries_text + (*retries_text == '+'), 1, INT32_MAX, &retries) == 0)
		doc_set_int(check, "Retries", (int64_t)retries);
	strbuf_printf(history, " Retries:%llu}", (unsigned long long)retries);
	return check;
}
