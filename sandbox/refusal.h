/* The words for a system call that isolation needs and this host refuses. */
#ifndef WHITTLE_SANDBOX_REFUSAL_H
#define WHITTLE_SANDBOX_REFUSAL_H

#include "base/err.h"

/*
 * Of an error that err_sys() has just raised: make it ERR_SANDBOX, and say which call was refused. Why and what mends it
 * is said by diagnose() afterwards, where it is known what the call was for. A disk that is full stays ERR_DISK.
 *   call  the name of the system call, for people: "move_mount"
 * Always returns -1.
 */
int refusal(struct err *err, const char *call);

#endif
