/* Shared by the files of the doctor. */
#ifndef WHITTLE_BUILD_DOCTOR_INTERNAL_H
#define WHITTLE_BUILD_DOCTOR_INTERNAL_H

#include "build/doctor.h"
#include "sandbox/diagnose.h"

/* Append a check. The last two: what builds do without it, or NULL; the mend, with its detail. */
__attribute__((format(printf, 6, 7))) void doctor_add(struct doctor_report *r, const char *name,
	enum check_state state, const char *without, enum mend mend, const char *fmt, ...);
/* Append a check from an error, whose message may hold a mend (diagnose.h). */
void doctor_add_error(struct doctor_report *r, const char *name, enum check_state state, const char *without,
	const struct err *err);
/* Append a check from an errno and the step that it refused; text is the subject of the message. */
void doctor_add_refusal(struct doctor_report *r, const char *name, enum check_state state, const char *without,
	enum diagnose_step step, int sys, const char *text);

/* The checks of the host alone, in doctor_host.c: listener, limits, Landlock, cgroup, network, memory, clock. */
void doctor_host(struct doctor_report *r);
/* Room in the store at path. */
void doctor_store(struct doctor_report *r, const char *path);
/* Whether the wall clock can be right: between the year of this program and 2100. Exposed for its test. */
bool doctor_clock_is_sane(int64_t seconds);

#endif
