/* Calls that cannot be made safe: forced into every file by the Makefile, each use is a compile error. */
#ifndef WHITTLE_BASE_BANNED_H
#define WHITTLE_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* a fortified libc makes macros of these; clang warns when a macro is poisoned */
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok atoi atol atoll gets mktemp system

#endif
