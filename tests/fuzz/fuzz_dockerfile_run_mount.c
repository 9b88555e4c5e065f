/* The value of RUN --mount: what is accepted passes the check before expansion too, and its parts are consistent. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dockerfile/run_mount.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *lookup(void *ctx, const char *name)
{
	(void)ctx;
	return *name == 'a' ? "cache" : *name == 'b' ? "a,b=\"c" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct expand_env env = {.lookup = lookup};
	struct run_mount m;
	struct err err = ERR_INIT, ignored = ERR_INIT;
	char *text = xstrndup((const char *)data, size);
	char *from = run_mount_raw(text, "from");

	if (run_mount_parse(text, '\\', &env, &m, &err) == 0) {
		if (run_mount_check(text, &ignored) < 0)
			abort();
		if (m.from && (!from || strcmp(m.from, from) != 0))
			abort();
		if ((m.has_mode || m.has_uid || m.has_gid) &&
			(m.type == RUN_MOUNT_BIND || m.type == RUN_MOUNT_TMPFS))
			abort();
		run_mount_release(&m);
	} else if (err.kind != ERR_DOCKERFILE) {
		abort();
	}
	free(from);
	free(text);
	return 0;
}
