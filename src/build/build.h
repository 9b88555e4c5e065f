/* One build: a Dockerfile, a context and options in; images out. */
#ifndef WHITTLE_BUILD_BUILD_H
#define WHITTLE_BUILD_BUILD_H

#include "base/err.h"
#include "build/export.h"
#include "build/secrets.h"
#include "build/session.h"
#include "build/step_options.h"
#include "dockerfile/instruction.h"
#include "dockerfile/lint.h"
#include "oci/platform.h"

struct build_options {
	const char *context;    /* a folder, "-", a git repository or a URL (build/context_load.h) */
	const char *dockerfile; /* -f: a path, "-" for stdin, a URL, NULL: Dockerfile in the context */
	struct strv build_contexts; /* pairs of name and value: --build-context */
	const char *target;     /* stage name or NULL */
	struct strv build_args; /* NAME=value */
	struct strv labels;     /* pairs (oci/descriptor.h) */
	struct strv tags;       /* -t, as written */
	struct annotations annotations;
	struct platform *platforms;
	size_t nplatforms;      /* 0: the host's */
	struct output *outputs;
	size_t noutputs;
	bool no_cache, pull;
	struct strv no_cache_filter; /* stage names */
	struct step_options steps;   /* network, names and limits of RUN */
	int64_t epoch;          /* SOURCE_DATE_EPOCH or LAYER_EPOCH_NONE */
	unsigned jobs;          /* steps at once; 0: by the machine */
	struct secrets secrets; /* --secret */
	struct agents agents;   /* --ssh */
};

struct build_result {
	struct export_result image;
	/* where a failure lies; both lines 0 when it is not in the Dockerfile */
	char *dockerfile_name; /* for people */
	struct strbuf dockerfile_text;
	struct dockerfile_location location;
	int step_status;       /* exit status of the RUN that failed */
	char *step_name;       /* of that RUN, or NULL */
	struct strbuf step_log; /* its last lines */
	struct lint_result lint; /* build checks; lint.gate was judged already */
	unsigned steps, cached; /* counts for the summary */
	uint64_t files_written; /* objects made in folders of the store by COPY and unpacking: tests count them */
};

/* The defaults: one platform of the host, nothing set. Release with build_options_release(). */
void build_options_init(struct build_options *o);
/* Free what the options own. */
void build_options_release(struct build_options *o);
/*
 * Build. The session is open. Returns 0, or -1 and *err with *ret saying where: ERR_DOCKERFILE, ERR_NOT_FOUND,
 * ERR_STEP, ERR_OOM, ERR_DISK, ERR_GATE, ERR_CANCELLED and whatever the parts raise. *ret is to be released in both cases.
 */
int build_run(struct session *s, const struct build_options *options, struct build_result *ret, struct err *err);
/* Free what the result owns. */
void build_result_release(struct build_result *r);

/* The defaults of run_image() are those of a build, but for a longer grace. */
struct run_options {
	const char *image;
	const struct platform *platform; /* NULL: the host's, else what the image has */
	struct strv argv;                /* replaces Cmd; empty: the image's */
	struct strv env;                 /* NAME=value, on top of the image's */
	const char *entrypoint, *user, *workdir;
	struct step_options steps;
};
/*
 * Run a program of an image with this process's stdin, stdout and stderr; what it writes to the root file system
 * is thrown away. Returns its exit status (0..255), or -1 and *err.
 */
int run_image(struct session *s, const struct run_options *options, struct err *err);

#endif
