#include "sandbox/refusal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *mend_of(int reason)
{
	switch (reason) {
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files (ulimit -n)";
	case ENOMEM:
		return "free some memory";
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
