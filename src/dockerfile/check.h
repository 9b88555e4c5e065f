/*
 * The rules each instruction must keep by itself: number of arguments, flags and their values,
 * names (spec/dockerfile.md 1.4, 1.5, 1.8 and section 3 as far as it speaks of parse time).
 */
#ifndef WHITTLE_DOCKERFILE_CHECK_H
#define WHITTLE_DOCKERFILE_CHECK_H

#include "base/arena.h"
#include "base/err.h"
#include "dockerfile/instruction.h"

/*
 * Check in, as grammar_parse() gave it with its heredocs attached, and bring it to the form that
 * instruction.h promises: boolean flags normalised, heredocs made sources or command text, the
 * trigger of ONBUILD checked likewise and dropped when it is not valid. New parts are in the arena.
 *
 * Returns 0; or -1 and *err, ERR_DOCKERFILE, with the text of the spec but not the prefix
 * of 1.10.2.
 */
int check_instruction(struct arena *arena, struct instruction *in, struct err *err);

/*
 * Check that COPY --from holds nothing that would be expanded (2.4). Other instructions pass.
 * Returns 0; or -1 and *err, ERR_DOCKERFILE, which carries no prefix.
 */
int check_from_flag(const struct instruction *in, char escape, struct err *err);

#endif
