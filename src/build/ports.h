/* The small grammars of EXPOSE and STOPSIGNAL (dockerfile.md 3.9, 3.12). */
#ifndef WHITTLE_BUILD_PORTS_H
#define WHITTLE_BUILD_PORTS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strv.h"

/* Sort strings by bytes. */
void ports_sort(struct strv *l);
/*
 * Parse [[ip:][hostPort:]]port[-port][/proto] and append "port/proto" for each port of the range. Returns 0, or -1 and
 * ERR_DOCKERFILE with the texts of 3.9.
 */
int ports_parse(const char *word, struct strv *ret, struct err *err);
/* Whether s is a non-zero number or the name of a Linux signal, any case, with or without SIG. */
bool ports_signal_valid(const char *s);

#endif
