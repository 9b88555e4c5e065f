#include "sandbox/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "sandbox/refusal.h"

/* Headers before 6.12 lack the third field and these bits; an older kernel is told by its ABI, not by E2BIG. */
#define SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)
struct ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

int landlock_scope(struct err *err)
{
	struct ruleset rules = { .scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL };
	auto_fd int fd = -1;

	if (landlock_abi() < LANDLOCK_ABI_SCOPES)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0) {
		err_sys(err, "cannot restrict the step by Landlock");
		return refusal(err, "landlock_restrict_self");
	}
	return 1;
}
