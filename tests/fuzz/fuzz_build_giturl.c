/* Names of git repositories: what is accepted must hold nothing that git could take for an option or a way out. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "build/giturl.h"
#include "registry/fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *s, bool context)
{
	struct giturl u;
	struct err e = ERR_INIT;
	char *shown;

	if (giturl_parse(s, context, &u, &e) != 1) {
		assert(!u.remote && !u.ref && !u.subdir && !u.commit);
		return;
	}
	assert(u.remote[0] != '-' && !strpbrk(u.remote, " \n?#"));
	assert(!u.ref || (u.ref[0] && u.ref[0] != '-' && !strpbrk(u.ref, " :*\n") && !strstr(u.ref, "..")));
	assert(!u.subdir || (u.subdir[0] != '/' && strncmp(u.subdir, "..", 3) != 0 && strncmp(u.subdir, "../", 3) != 0));
	assert(!u.commit || strspn(u.commit, "0123456789abcdef") == strlen(u.commit));
	shown = giturl_display(u.remote);
	free(shown);
	giturl_release(&u);
}

static void check_name(const char *s)
{
	struct err e = ERR_INIT;
	char *name = fetch_file_name(s, &e);

	assert(!name || (name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0));
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = xstrndup((const char *)data, size);

	check(s, false);
	check(s, true);
	check_name(s);
	free(s);
	return 0;
}
