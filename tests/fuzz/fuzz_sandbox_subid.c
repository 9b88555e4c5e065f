/* Files of a host that decide on ids and words: subuid, nsswitch.conf, what getsubids says, os-release. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sandbox/idmap.h"
#include "sandbox/mend.h"
#include "sandbox/subid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "1000", "ada" };
	char *text = xstrndup((const char *)data, size);
	struct strbuf lines = STRBUF_INIT, again = STRBUF_INIT;
	struct id_range ranges[IDMAP_RANGES_MAX];
	char source[SUBID_SOURCE_SIZE] = "";
	uint64_t next = 1;
	size_t n;

	n = idmap_parse_subid(text, names, 2, 1000, ranges);
	for (size_t i = 0; i < n; i++) {
		if (ranges[i].inside != next || ranges[i].count == 0 ||
			(uint64_t)ranges[i].outside + ranges[i].count > UINT32_MAX)
			abort();
		next += ranges[i].count;
	}
	if (subid_directory_of(text, source) && strlen(source) == 0)
		abort();
	subid_convert(text, &lines);
	subid_convert(lines.buf, &again); /* lines of subuid(5) are no output of getsubids */
	if (again.len)
		abort();
	if (mend_distro(text) > DISTRO_ALPINE)
		abort();
	strbuf_release(&lines);
	strbuf_release(&again);
	free(text);
	return 0;
}
