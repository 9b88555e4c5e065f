/*
 * What one command works with: the store, the holder (started when first needed), the registry client,
 * the listener for progress, the cancel flag.
 *
 * Order that must be kept: the holder is forked while this process has one thread, and libcurl may start threads. So
 * session_holder() comes first: session_client() calls it, and the engine calls it before it starts its threads.
 * A command that finds everything cached needs neither.
 */
#ifndef WHITTLE_BUILD_SESSION_H
#define WHITTLE_BUILD_SESSION_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "build/progress.h"
#include "oci/platform.h"
#include "registry/client.h"
#include "sandbox/holder.h"
#include "sandbox/storage.h"
#include "store/snapshot.h"
#include "store/store.h"

#define SESSION_CLAIMS_MAX 256 /* PARALLEL_MAX steps, each with PARALLEL_MAX layers at once */

struct session_options {
	const char *root; /* of the store; NULL: store_default_root() */
	enum isolation isolation;
	enum storage storage;
	struct progress *progress;  /* or NULL */
	const struct strv *insecure; /* registries without TLS; or NULL */
	char **argv;                /* of main(), to be blanked in the holder; or NULL */
	bool offline;               /* never reach for the network: ERR_NETWORK says what was needed */
};

enum session_cancel_reason {
	SESSION_FAILED = 1,  /* a part of the work failed, the rest is to stop */
	SESSION_INTERRUPTED, /* the user said so */
};

struct secrets;
struct step_host;
struct step_options;

struct session {
	struct store *store;
	struct progress *progress;
	volatile sig_atomic_t cancelled; /* 0, or one of enum session_cancel_reason */
	const struct secrets *secrets; /* of the build, for what it fetches (build/fetch_auth.h); or NULL */
	/* private */
	struct session_options options;
	struct holder *holder;
	const struct step_options *steps; /* session_set_steps(), or NULL */
	struct step_host *step_host; /* with the holder, where steps is set */
	int interrupt[2];            /* a byte in it tells all steps to end; -1 without a holder */
	atomic_uint steps_running;
	struct registry_client *client;
	struct http *http;
	char emulated[8][16]; /* architectures registered with the holder's binfmt_misc */
	size_t nemulated;
	enum storage storage;        /* STORAGE_AUTO until it was chosen */
	pthread_mutex_t lock;        /* guards what follows, emulated and storage */
	pthread_cond_t released;
	int64_t claims[SESSION_CLAIMS_MAX]; /* snapshots that a thread is making a form of; 0: free */
	uint64_t files_written;      /* objects made in folders of the store */
	int64_t *ready;              /* snapshots known to have index and folder: asked for at every step */
	size_t nready, ready_cap;
};

/* Open the store and clear what dead processes left in it. Returns 0, or -1 and *err of store_open(). */
int session_open(struct session *s, const struct session_options *options, struct err *err);
/* End the holder, close everything. */
void session_close(struct session *s);
/*
 * Make everything under way end with ERR_CANCELLED. Async-signal-safe. An interrupt gives the programs of steps their
 * grace (step_options.grace_ms) before they are killed; everything else ends with them, or at once without steps.
 */
void session_cancel(struct session *s, enum session_cancel_reason why);

/* What the steps that will run are to get; kept by reference. Before session_holder(), which prepares for it. */
void session_set_steps(struct session *s, const struct step_options *steps);
/* The holder, started now if it was not. Returns NULL and *err of holder_start(). Thread-safe once it runs. */
struct holder *session_holder(struct session *s, struct err *err);
/* The registry client. Returns NULL and *err: of session_holder(), ERR_NETWORK when offline. */
struct registry_client *session_client(struct session *s, struct err *err);
struct http;
/* Connections for plain files (registry/fetch.h), made as session_client() makes its client. Returns NULL and *err alike. */
struct http *session_http(struct session *s, struct err *err);
/* The fingerprint of the ID map: names the folder forms in the store. The holder runs. */
const char *session_fingerprint(const struct session *s);

/* Run job (of build/jobs.h) in a worker: holder_call() with this session's holder. */
int session_call(struct session *s, unsigned job, const struct strbuf *payload, const int *fds, size_t nfds,
	struct strbuf *reply, struct err *err);
/*
 * Make programs of architecture/variant runnable in steps: nothing for what the host runs itself, else a
 * qemu-user in the build's own binfmt_misc. Returns 0, or -1 and *err: ERR_NOT_FOUND (no emulator: which package),
 * ERR_SANDBOX, ERR_UNSUPPORTED (an architecture that we do not know).
 */
int session_emulate(struct session *s, const char *architecture, const char *variant, struct err *err);
/* Whether steps for this platform need an emulator. */
bool session_is_foreign(const struct platform *platform);
/*
 * How root file systems are made in this session: as its options say, else as the store and the host allow, which is
 * looked up once. Returns 0, or -1 and *err.
 */
int session_storage(struct session *s, enum storage *ret, struct err *err);
/*
 * What a worker needs for a merged view of folders (sandbox/root.h): the storage, and in *ret_scratch an empty folder
 * of the store where that takes one, else NULL. Returns 0, or -1 and *err. Then session_view_done().
 */
int session_view(struct session *s, const struct strv *folders, enum storage *ret, char **ret_scratch, struct err *err);
/* Remove what the worker made in *scratch, free it and set it to NULL; accepts a NULL in it. */
void session_view_done(struct session *s, char **scratch);
/* Give a snapshot in the making up, whoever owns the files in its folder. */
void session_drop_snapshot(struct session *s, const struct snapshot_tmp *tmp);
/* Remove names relative to the store, in a worker, whoever owns what is below. Returns 0, or -1 and *err. */
int session_remove(struct session *s, const struct strv *names, struct err *err);

#endif
