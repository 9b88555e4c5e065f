/*
 * The graph of a build: operations, each of which adds one snapshot to the tree below it (an image adds all of
 * its layers). The planner makes them, equal ones once; the solver runs those that are needed.
 */
#ifndef WHITTLE_BUILD_OP_H
#define WHITTLE_BUILD_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "build/copy.h"
#include "build/context.h"
#include "build/image.h"
#include "build/origin.h"
#include "build/snapchain.h"
#include "dockerfile/instruction.h"
#include "dockerfile/run_mount.h"
#include "sandbox/step.h"

#define OP_SCRIPT_FOLDER "/dev/pipes"

enum op_kind {
	OP_IMAGE, /* a base image */
	OP_RUN,
	OP_COPY, /* COPY, ADD, and WORKDIR, which copies nothing */
};

/*
 *   PLANNED -> CACHED                     the step cache has it
 *   PLANNED -> WANTED -> RUNNING -> DONE  it had to be made (or was found by its content)
 * What nobody needs stays PLANNED.
 */
enum op_state { OP_PLANNED, OP_CACHED, OP_WANTED, OP_RUNNING, OP_DONE };

/* One RUN --mount, and the tree that it shows. */
struct op_mount {
	struct run_mount options; /* target absolute, or NULL when nothing is mounted; id always set where it matters */
	struct op *from;          /* bind: the tree; cache: what it begins with; NULL: nothing */
};

struct op {
	enum op_kind kind;
	enum op_state state;
	struct op *next;        /* all operations of the plan, inputs before what needs them */
	struct op *base;        /* the tree below; NULL: empty */
	struct op *from;        /* COPY --from: the tree whose files are copied */
	bool from_empty;        /* COPY --from of a stage without any file */
	const struct context *folder; /* whose files are copied: of the plan; NULL: the main context */
	struct origin **origins; /* ADD: what is fetched, as copy.roots has it; of the plan */
	bool link;              /* COPY --link: its layer does not depend on what is below */
	struct platform platform;
	char *name;             /* "[builder 2/4] RUN go build" */
	struct dockerfile_location location;
	bool no_cache; /* the user wants it run anew */
	bool fresh;    /* it, or something below it or copied into it, is: its key finds nothing */

	uint8_t self[DIGEST_SIZE]; /* the definition without its inputs */
	uint8_t key[DIGEST_SIZE];  /* with the keys of its inputs: found again without running anything */
	uint8_t tree[DIGEST_SIZE]; /* of it and all that is below it: what the key of an operation above is made of */
	uint8_t context_digest[DIGEST_SIZE]; /* OP_COPY from the context: what it selects */

	struct resolved_image *image; /* OP_IMAGE */
	struct step_spec step;        /* OP_RUN: all but the folders and mounts */
	struct op_mount *mounts;      /* OP_RUN: as written */
	size_t nmounts;
	uint8_t mounts_digest[DIGEST_SIZE]; /* of what they show, when has_mounts_digest */
	bool has_mounts_digest;
	char *script_name, *script;   /* OP_RUN: a heredoc with "#!", to be found in OP_SCRIPT_FOLDER; or NULL */
	struct copy_spec copy;        /* OP_COPY: all but the trees and results */

	bool tree_ready;   /* it and all below it are CACHED or DONE: the solver's note */
	int64_t snapshot;  /* CACHED or DONE, but for an image */
	bool want_folder;  /* a step will enter the tree: make files, not a layer */
	unsigned vertex;   /* its number in the progress; 0: not shown yet */
};

/* The snapshots of the tree that ends with op (NULL: none), base first. All its operations are CACHED or DONE. */
void op_chain(const struct op *op, struct snapchain *ret);
/* The image at the bottom of the tree that ends with op, or NULL. */
const struct resolved_image *op_base_image(const struct op *op);
/* The i-th tree that op needs besides op->base (of COPY --from and of mounts; NULL: an empty one). i < op_inputs(op). */
struct op *op_input(const struct op *op, size_t i);
/* How many those are. */
size_t op_inputs(const struct op *op);
/* Free op and what it owns. */
void op_free(struct op *op);

#endif
