/* The smallest program of each architecture: proof that a step, native or emulated, can run one. */
#ifndef WHITTLE_ARCH_TRIAL_H
#define WHITTLE_ARCH_TRIAL_H

#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"

#define ARCH_TRIAL_STATUS 42 /* what it exits with: an emulator that only pretends would say 0 */
#define ARCH_TRIAL_SIZE_MAX 160

/*
 * Write an ELF executable for a that does nothing but _exit(ARCH_TRIAL_STATUS): static, one segment, no libc.
 * Returns its bytes, or 0 for an architecture without code in the table.
 */
size_t arch_trial_program(const struct arch *a, uint8_t ret[ARCH_TRIAL_SIZE_MAX]);

#endif
