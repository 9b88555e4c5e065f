#include "sandbox/caps.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/refusal.h"

/* What Docker and BuildKit leave to root in a container. */
static const cap_value_t build_set[] = {
	CAP_CHOWN,
	CAP_DAC_OVERRIDE,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_KILL,
	CAP_SETGID,
	CAP_SETUID,
	CAP_SETPCAP,
	CAP_NET_BIND_SERVICE,
	CAP_NET_RAW,
	CAP_SYS_CHROOT,
	CAP_MKNOD,
	CAP_AUDIT_WRITE,
	CAP_SETFCAP,
};
#define BUILD_SET_SIZE ((int)(sizeof(build_set) / sizeof(build_set[0])))

static bool in_build_set(cap_value_t cap)
{
	for (int i = 0; i < BUILD_SET_SIZE; i++)
		if (build_set[i] == cap)
			return true;
	return false;
}

int caps_limit_bounding(struct err *err)
{
	/* EINVAL: a kernel before 4.3 has no ambient set. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) {
		err_sys(err, "cannot clear the ambient capabilities");
		return refusal(err, "prctl");
	}
	for (cap_value_t cap = 0;; cap++) {
		if (in_build_set(cap) || cap_drop_bound(cap) == 0)
			continue;
		/* The last capability of every kernel with user namespaces is not in the set, so the end is found. */
		if (errno == EINVAL && cap > CAP_SETFCAP)
			return 0;
		err_sys(err, "cannot drop capability %d from the bounding set", cap);
		return refusal(err, "prctl");
	}
}

int caps_apply(bool root, struct err *err)
{
	cap_t want = cap_init(), have;
	int differ = -1;

	if (want && root) {
		cap_set_flag(want, CAP_PERMITTED, BUILD_SET_SIZE, build_set, CAP_SET);
		cap_set_flag(want, CAP_EFFECTIVE, BUILD_SET_SIZE, build_set, CAP_SET);
	}
	if (!want || cap_set_proc(want) < 0) {
		err_sys(err, "cannot set the capabilities of the step");
		cap_free(want);
		return refusal(err, "capset");
	}
	have = cap_get_proc();
	if (have)
		differ = cap_compare(want, have);
	cap_free(have);
	cap_free(want);
	return differ == 0 ? 0 : err_set(err, ERR_SANDBOX, "the kernel kept other capabilities than asked for");
}
