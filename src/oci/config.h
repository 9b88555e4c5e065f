/* Image configs as an editable struct, diffIDs and chainIDs (spec/oci.md 1.6, spec/dockerfile.md
 * 6). */
#ifndef WHITTLE_OCI_CONFIG_H
#define WHITTLE_OCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/doc.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "oci/platform.h"

#define CONFIG_BYTES_MAX (8 * 1024 * 1024) /* oci.md appendix A */
#define CONFIG_LAYERS_MAX 512		   /* diff_ids (same) */
#define CONFIG_HISTORY_MAX 4096		   /* same */
#define CONFIG_LIST_MAX 4096 /* ours: elements of Env, Cmd, OnBuild, ExposedPorts ... */

/* PATH of an image that sets none (dockerfile.md 2.1). */
#define CONFIG_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct history {
	char *created;	  /* RFC 3339 text, or NULL */
	char *created_by; /* each of these or NULL */
	char *author;
	char *comment;
	bool empty_layer; /* no layer belongs to it */
};

/*
 * All strings and lists are owned by the struct; a NULL string means absent. Callers may edit every
 * member: strings by free() and xstrdup(), lists by strv_*, labels by pairs_*, the two sets by
 * config_set_add(). The platform is written as it stands.
 */
struct image_config {
	struct platform platform;
	char *author;
	char *created; /* RFC 3339 text as found */
	/* the config object */
	char *user;
	struct strv exposed_ports; /* a set: sorted by bytes, unique */
	struct strv env; /* NAME=value; an element without "=" is kept here and refused when run */
	struct strv entrypoint;
	bool entrypoint_set; /* an array was there, perhaps empty */
	struct strv cmd;
	bool cmd_set;
	struct strv volumes; /* a set, as exposed_ports */
	char *working_dir;
	struct strv labels; /* pairs, see descriptor.h */
	char *stop_signal;
	bool args_escaped;
	struct doc *healthcheck; /* an object with checked times, or NULL */
	struct strv on_build;
	struct strv shell;
	bool shell_set;
	/* rootfs and history */
	struct strv diff_ids; /* valid sha256 digests, base first */
	struct history *history;
	size_t nhistory, history_cap;
};
#define IMAGE_CONFIG_INIT                                                                          \
	{                                                                                          \
		.author = NULL                                                                     \
	}

/*
 * Parse a config whose bytes have been checked against their digest. Unknown members are dropped:
 * the bytes, not this struct, are what is copied. Returns 0 and *ret owned by the caller
 * (config_release); or -1 and *err, *ret untouched: ERR_INPUT        no JSON, over a limit, a
 * property of the wrong type, os or architecture or rootfs missing, a malformed diffID, a
 * healthcheck time that is negative or no integer ERR_UNSUPPORTED  a diffID of an algorithm other
 * than sha256 A history that does not fit the layers is accepted (config_history_fits()).
 */
int config_parse(const void *data, size_t n, struct image_config *ret, struct err *err);
/* Append the config in the order of dockerfile.md 6 ("Serialisation order"): top-level names
 * sorted, empty members left out except config and rootfs, <>& raw. Deterministic. */
void config_format(const struct image_config *c, struct strbuf *sb);
/* Make *ret a deep copy; what *ret held before is lost. */
void config_copy(const struct image_config *c, struct image_config *ret);
/* Free the parts; usable on IMAGE_CONFIG_INIT and twice. */
void config_release(struct image_config *c);
/* Give c the default PATH if it has none; Windows finds its programs without (dockerfile.md 6.1). */
void config_default_path(struct image_config *c);
/* A new config for FROM scratch (dockerfile.md 6.1): the platform, the default PATH, WorkingDir
 * "/". *ret is overwritten. */
void config_init_scratch(const struct platform *platform, struct image_config *ret);

/* Add s to a sorted set (exposed_ports, volumes) unless it is there. */
void config_set_add(struct strv *set, const char *s);

/* Append an entry with copies of the strings, each of which may be NULL. */
void config_history_add(struct image_config *c, const char *created, const char *created_by,
	const char *comment, bool empty_layer);
/* Whether there is no history, or as many non-empty entries as diff_ids (oci.md 1.6). */
bool config_history_fits(const struct image_config *c);
/* Before extending an image: replace a history that is absent though there are layers, or does not
 * fit, by one entry per layer, with c->created as their time. Returns whether anything was changed.
 */
bool config_history_repair(struct image_config *c);
/*
 * The other invariant: as many layers as diff_ids.
 * Returns 0, or -1 and ERR_INPUT saying both numbers.
 */
int config_check_layers(const struct image_config *c, size_t nlayers, struct err *err);

/*
 * The chainID of a layer over parent: sha256(parent + " " + diff_id), or diff_id itself when parent
 * is NULL (oci.md 1.6). Both are valid digests. out may be parent.
 */
void chain_id_next(const char *parent, const char *diff_id, char out[DIGEST_STR_SIZE]);
/* The chainID of the first n layers of c, 1 <= n <= c->diff_ids.len. */
void config_chain_id(const struct image_config *c, size_t n, char out[DIGEST_STR_SIZE]);

#endif
