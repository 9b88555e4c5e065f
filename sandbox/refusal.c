#include "sandbox/refusal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *mend_of(int reason)
{
	switch (reason) {
	case ENOSYS:
		return "Linux 5.12 has it, so a container's seccomp profile hides it (start that container with "
		       "--security-opt seccomp=unconfined) or the kernel is older";
	case EPERM:
	case EACCES:
		return "a container around this program needs --security-opt seccomp=unconfined and "
		       "apparmor=unconfined; Ubuntu from 23.10 needs sysctl "
		       "kernel.apparmor_restrict_unprivileged_userns=0 or a profile for whittle";
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files (ulimit -n)";
	case EAGAIN:
		return "raise the limit of processes (ulimit -u, or pids.max of the control group)";
	case ENOMEM:
		return "free some memory";
	case ENOSPC:
		return "the disk is full, or a limit is reached: /proc/sys/fs/mount-max, /proc/sys/user/max_*";
	case ENODEV:
		return "the kernel lacks that file system (as root: modprobe)";
	default:
		return NULL;
	}
}

int refusal(struct err *err, const char *call)
{
	const char *mend = mend_of(err->sys);
	size_t n = strlen(err->msg);

	if (err->kind != ERR_DISK)
		err->kind = ERR_SANDBOX;
	snprintf(err->msg + n, sizeof(err->msg) - n, " (%s%s%s)", call, mend ? ": " : "", mend ? mend : "");
	return -1;
}
