/*
 * From a logical line to an instruction with its flags and words (spec/dockerfile.md 1.4 to 1.7):
 * only the shape, which decides where the next instruction begins. What check.h finds comes second,
 * since errors here are reported before those of earlier lines.
 */
#ifndef WHITTLE_DOCKERFILE_GRAMMAR_H
#define WHITTLE_DOCKERFILE_GRAMMAR_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "dockerfile/instruction.h"

/* Words and flags of one instruction: far above any command line, and a bound on what they cost. */
#define GRAMMAR_WORDS_MAX 100000

/* Flags of one instruction: they are searched by name, so their number squared is what they cost. */
#define GRAMMAR_FLAGS_MAX 1000

/*
 * Split line into name, flags and arguments as its instruction demands.
 *
 *   escape  the escape character of the file
 *   *ret    kind, name, original, flags (as written, unchecked), args or keys and values, json,
 * legacy, and for ONBUILD the inner instruction, likewise unchecked, as trigger. All in the arena.
 *           An unknown name gives INSTRUCTION_UNKNOWN and no arguments.
 *
 * Returns 0; or -1 and *err, ERR_DOCKERFILE: JSON elements that are not strings, key and value
 * syntax, too many words or flags.
 */
int grammar_parse(struct arena *arena, const char *line, char escape, struct instruction *ret,
	struct err *err);

/* Whether in, as grammar_parse() gave it, may be followed by heredocs (1.8.1). */
bool grammar_takes_heredocs(const struct instruction *in);

#endif
