/* The value of RUN --mount: one record of options (spec/dockerfile.md 3.2.3 and 3.2.4). */
#ifndef WHITTLE_DOCKERFILE_RUN_MOUNT_H
#define WHITTLE_DOCKERFILE_RUN_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "dockerfile/expand.h"

/* Of one RUN: each costs the kernel a mount, and each layer of what it shows one more. */
#define RUN_MOUNTS_MAX 128

enum run_mount_type {
	RUN_MOUNT_BIND,
	RUN_MOUNT_CACHE,
	RUN_MOUNT_TMPFS,
	RUN_MOUNT_SECRET,
	RUN_MOUNT_SSH,
};

enum run_mount_sharing { RUN_MOUNT_SHARED, RUN_MOUNT_PRIVATE, RUN_MOUNT_LOCKED };

/* Strings are NULL where the option was not given; they are owned by the struct. */
struct run_mount {
	enum run_mount_type type;
	char *from;   /* stage, image or named context, unexpanded */
	char *source; /* of a secret: a synonym of id */
	char *target;
	char *id;
	char *env;
	bool readonly, required;
	enum run_mount_sharing sharing;
	uint64_t size; /* of a tmpfs, bytes; 0: no limit */
	bool has_mode, has_uid, has_gid;
	uint32_t mode, uid, gid;
};

/*
 * Parse one --mount.
 *
 *   escape, env  for the values, which are expanded one by one; but "from" stays as it is
 *   *ret         released by the caller (run_mount_release()); written on success only
 *
 * Returns 0; or -1 and *err, ERR_DOCKERFILE, with the text of the spec.
 */
int run_mount_parse(const char *text, char escape, const struct expand_env *env, struct run_mount *ret,
	struct err *err);
/* Free what *m owns. */
void run_mount_release(struct run_mount *m);

/*
 * What can be said of one --mount before anything is expanded: that it is a record, and that "from" holds no variable.
 * Returns 0; or -1 and *err, ERR_DOCKERFILE.
 */
int run_mount_check(const char *text, struct err *err);
/* The value of key (its first spelling: "from", "env") as it is written in the record text, or NULL. The caller frees. */
char *run_mount_raw(const char *text, const char *key);

/* "bind", "cache", ...; never NULL. */
const char *run_mount_type_name(enum run_mount_type type);

/*
 * Split one record of comma-separated fields (RFC 4180: a field, or what follows its first "=", may be in double quotes
 * with "" for one). The fields are appended to ret without those quotes. what is for the message.
 * Returns 0; or -1 and *err, ERR_DOCKERFILE.
 */
int run_mount_split(const char *text, const char *what, struct strv *ret, struct err *err);

#endif
