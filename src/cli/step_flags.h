/* The options about the surroundings of programs in the sandbox, which build and run share. */
#ifndef WHITTLE_CLI_STEP_FLAGS_H
#define WHITTLE_CLI_STEP_FLAGS_H

#include "base/err.h"
#include "build/step_options.h"
#include "cli/options.h"

/* For the OPTION_END of a command's own table. */
extern struct option_def step_flags[];

/* What was given, into *o, which is initialised. Returns 0, or -1 and ERR_USAGE, ERR_SANDBOX (a limit above our own). */
int step_flags_fill(struct step_options *o, struct err *err);
/* Forget what was given. */
void step_flags_release(void);

#endif
