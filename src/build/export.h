/* Results of a build into images and files: manifests and the outputs of -o (dockerfile.md 9.2). */
#ifndef WHITTLE_BUILD_EXPORT_H
#define WHITTLE_BUILD_EXPORT_H

#include "base/err.h"
#include "build/annotation.h"
#include "build/image.h"
#include "build/session.h"
#include "build/snapchain.h"
#include "oci/config.h"
#include "oci/platform.h"

enum output_kind {
	OUTPUT_STORE,  /* into the store under the names of -t */
	OUTPUT_OCI,    /* OCI layout, as a tar or a folder */
	OUTPUT_DOCKER, /* docker-archive */
	OUTPUT_TAR,    /* the root file system */
	OUTPUT_LOCAL,  /* the same as files of the user */
	OUTPUT_REGISTRY, /* push */
};

#define EPOCH_MAX (1ull << 40) /* seconds of a SOURCE_DATE_EPOCH: more than anyone means */

struct output {
	enum output_kind kind;
	char *dest;       /* path, "-" or NULL */
	bool tar;         /* OUTPUT_OCI: tar (default) or folder */
	struct strv names; /* overrides the tags */
	bool push;
	enum compression compression;
	int level;        /* 0: default */
	bool force_compression;
	bool rewrite_timestamp;
	bool epoch_set;   /* source-date-epoch: */
	int64_t epoch;    /* in place of that of the build; LAYER_EPOCH_NONE: none */
};

/* The SOURCE_DATE_EPOCH of what is written there. */
static inline int64_t output_epoch(const struct output *o, int64_t of_build)
{
	return o->epoch_set ? o->epoch : of_build;
}

/*
 * Parse the value of one -o option: "type=oci,dest=F,compression=gzip,...", a bare path (local) or "-"
 * (tar to stdout). Returns 0 and *ret owned by the caller, or -1 and ERR_USAGE with the texts of 9.2.
 */
int output_parse(const char *text, struct output *ret, struct err *err);
/* Free the parts. */
void output_release(struct output *o);
/* The checks of 9.2 that need all outputs (one stdout, a terminal, a folder where a file goes). stdout_is_tty: whether
 * stdout is a terminal. Returns 0, or -1 and ERR_USAGE. */
int outputs_check(const struct output *outputs, size_t n, size_t nplatforms, bool stdout_is_tty, struct err *err);
/* The checks of names: every tag is a reference, and what is pushed has one. Returns 0, or -1 and ERR_USAGE. Done again
 * by export_products(); a command does it before the build. */
int outputs_check_names(const struct output *outputs, size_t n, const struct strv *tags, struct err *err);

/* What the engine built for one platform. */
struct build_product {
	struct platform platform;
	struct snapchain chain;
	const struct resolved_image *base; /* the image at its bottom, or NULL; its layers are exported as they are */
	struct image_config config; /* complete but for diff_ids and the platform-independent times */
};

struct export_options {
	const struct output *outputs;
	size_t noutputs;
	const struct strv *tags; /* of -t, as written */
	int64_t epoch;           /* SOURCE_DATE_EPOCH or LAYER_EPOCH_NONE */
	bool index_always;       /* one platform makes an index too */
	const struct annotations *annotations; /* or NULL */
	int stdout_fd;           /* where "-" goes */
};

struct export_result {
	char digest[DIGEST_STR_SIZE];        /* of the top manifest or index (of the first image output) */
	char config_digest[DIGEST_STR_SIZE]; /* of the first platform */
	uint64_t size;                       /* compressed bytes of all layers of the first platform */
	char media_type[128];                /* of the top manifest or index */
	uint64_t top_size;                   /* its bytes */
};

/*
 * Make layers, configs, manifests and, for several products, an index; write them into the store; serve every output.
 * Each output shows as a step ("exporting to oci archive"). Without outputs the image is made in the store without
 * a name. Returns 0, or -1 and *err: ERR_DISK, ERR_PUSH (the image is kept), ERR_INPUT, ERR_SYSTEM.
 */
int export_products(struct session *s, struct build_product *products, size_t n, const struct export_options *options,
	struct export_result *ret, struct err *err);

#endif
