/* What the tests of copying call: the work of the jobs without a holder. */
#ifndef WHITTLE_BUILD_COPY_INTERNAL_H
#define WHITTLE_BUILD_COPY_INTERNAL_H

#include "base/err.h"
#include "base/wire.h"
#include "build/copy.h"

/* Read what copy_spec_put() wrote; *ret is released by the caller in any case. Returns whether it was well-formed. */
bool copy_spec_get(struct wire *w, struct copy_spec *ret);
/*
 * Do what spec says. context is the folder of the build context, or -1 when the spec does not need it; names of the
 * spec are relative to the working directory. Returns 0, or -1 and *err as copy_job().
 */
int copy_run(const struct copy_spec *spec, int context, struct copy_result *ret, struct err *err);
/* Only select, and fill in ret->content. Returns 0, or -1 and *err as copy_digest_job(). */
int copy_digest_run(const struct copy_spec *spec, int context, struct copy_result *ret, struct err *err);

#endif
