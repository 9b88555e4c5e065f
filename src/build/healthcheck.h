/* HEALTHCHECK as it stands in configs and histories (dockerfile.md 3.11, 6.2, 6.3). */
#ifndef WHITTLE_BUILD_HEALTHCHECK_H
#define WHITTLE_BUILD_HEALTHCHECK_H

#include <stdint.h>

#include "base/doc.h"
#include "base/strbuf.h"
#include "dockerfile/instruction.h"

/*
 * The member "Healthcheck" of a config, owned by the caller (doc_free()); never NULL. What histories show of it, without
 * the name of the instruction, is appended to history. The instruction was checked by the parser.
 */
struct doc *healthcheck_make(const struct instruction *in, struct strbuf *history);
/* Append ns (not negative) as Go writes a duration: "1m30s", "1.5s", "250ms", "0s". */
void healthcheck_put_duration(int64_t ns, struct strbuf *sb);

#endif
