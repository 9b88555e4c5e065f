/* Debug logging, allowed anywhere; off unless --debug or WHITTLE_DEBUG=1. Not for results or errors. */
#ifndef WHITTLE_BASE_LOG_H
#define WHITTLE_BASE_LOG_H

#include <stdbool.h>

/* Whether log_debug() writes; set once by cli before any thread exists. */
extern bool log_debug_on;

/* One line to stderr, "whittle: debug: ..." with control characters escaped, if log_debug_on. */
__attribute__((format(printf, 1, 2))) void log_debug(const char *fmt, ...);

#endif
