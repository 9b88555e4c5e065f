#include "sandbox/subid.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/proc.h"

#define NSSWITCH_MAX (64 << 10)
#define OUTPUT_MAX (64 << 10) /* IDMAP_RANGES_MAX lines have 2 KiB */
#define OWNER_MAX 64          /* login names have 32 */

bool subid_directory_of(const char *nsswitch, char ret[SUBID_SOURCE_SIZE])
{
	const char *p = strncmp(nsswitch, "subid:", 6) == 0 ? nsswitch : strstr(nsswitch, "\nsubid:");

	if (!p)
		return false;
	p = strchr(p, ':') + 1;
	p += strspn(p, " \t");
	snprintf(ret, SUBID_SOURCE_SIZE, "%.*s", (int)strcspn(p, " \t\n#"), p);
	return *ret && strcmp(ret, "files") != 0;
}

bool subid_directory(char ret[SUBID_SOURCE_SIZE])
{
	auto_strbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;

	return read_file(AT_FDCWD, "/etc/nsswitch.conf", NSSWITCH_MAX, &text, &ignored) == 0 &&
	       subid_directory_of(text.buf, ret);
}

void subid_convert(const char *output, struct strbuf *lines)
{
	while (*output) {
		size_t len = strcspn(output, "\n");
		char owner[OWNER_MAX], start[16], count[16];
		unsigned index;
		int used = 0;

		if (sscanf(output, "%u: %63s %15[0-9] %15[0-9]%n", &index, owner, start, count, &used) == 4 &&
			(size_t)used == len)
			strbuf_printf(lines, "%s:%s:%s\n", owner, start, count);
		output += len;
		output += *output == '\n';
	}
}

bool subid_ask(const char *user, bool groups, struct strbuf *lines)
{
	const char *const with_groups[] = { "getsubids", "-g", user, NULL };
	const char *const without[] = { "getsubids", user, NULL };
	auto_strbuf output = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	size_t before = lines->len;

	/* A name that is an option is nobody's. */
	if (user[0] == '-' || proc_run(groups ? with_groups : without, &output, OUTPUT_MAX, &ignored) != 0)
		return false;
	subid_convert(output.buf, lines);
	return lines->len > before;
}
