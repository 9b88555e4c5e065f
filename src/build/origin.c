#include "build/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/doc.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/wire.h"
#include "build/fetch_auth.h"
#include "registry/fetch.h"
#include "store/blob.h"
#include "store/stepcache.h"

/* What the store remembers of a URL. */
struct remembered {
	bool known;
	char digest[DIGEST_STR_SIZE];
	uint64_t size, mtime;
	char *etag, *last_modified; /* or NULL */
};

static void remembered_release(struct remembered *m)
{
	free(m->etag);
	free(m->last_modified);
	*m = (struct remembered){ .known = false };
}

/* Signed URLs may be longer than a key. */
static char *memo_key(const char *url)
{
	char digest[DIGEST_STR_SIZE];

	sha256_buf_str(url, strlen(url), digest);
	return xasprintf("url:%s", digest);
}

static char *copy_member(const struct doc *d, const char *name)
{
	const char *value = doc_get_str(d, name);

	return value ? xstrdup(value) : NULL;
}

static int recall(struct session *s, const char *url, struct remembered *ret, struct err *err)
{
	auto_free char *key = memo_key(url);
	auto_free char *text = NULL;
	struct err unused = ERR_INIT;
	struct doc *d;
	const char *digest;
	int rc = memo_get(s->store, key, &text, err);

	*ret = (struct remembered){ .known = false };
	if (rc <= 0)
		return rc;
	d = doc_parse(text, strlen(text), "a memo", &unused);
	digest = doc_get_str(d, "digest");
	if (digest && digest_valid(digest) && doc_get_u64(d, "size", &ret->size) == 0 &&
		doc_get_u64(d, "mtime", &ret->mtime) == 0) {
		ret->known = true;
		snprintf(ret->digest, sizeof(ret->digest), "%s", digest);
		ret->etag = copy_member(d, "etag");
		ret->last_modified = copy_member(d, "lastModified");
	}
	doc_free(d);
	return 0;
}

static int remember(struct session *s, const char *url, const struct fetch_result *r, struct err *err)
{
	auto_free char *key = memo_key(url);
	auto_strbuf text = STRBUF_INIT;
	struct doc *d = doc_object();

	doc_set_str(d, "digest", r->digest);
	doc_set_int(d, "size", (int64_t)r->size);
	doc_set_int(d, "mtime", r->mtime > 0 ? r->mtime : 0);
	doc_set_str(d, "etag", r->etag);
	doc_set_str(d, "lastModified", r->last_modified);
	doc_format(d, &text);
	doc_free(d);
	return memo_put(s->store, key, text.buf, err);
}

/* ---- files ---- */

/* Who sees the bytes come. */
struct watcher {
	struct session *s;
	unsigned vertex;
	const char *name;
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct watcher *w = arg;

	if (w->vertex)
		progress_status(w->s->progress, w->vertex, w->name, done, total);
}

/*
 * Ask for the file; what is sent becomes a blob and is remembered. m: what is known of it, or NULL.
 * Returns 1 when that is still right, 0 and *ret, or -1 and *err.
 */
static int download(struct session *s, const struct origin *o, const struct remembered *m, unsigned vertex,
	struct fetch_result *ret, struct err *err)
{
	struct watcher w = { s, vertex, o->file_name };
	struct fetch_options f = { .url = o->url, .plain_ok = o->downgrade_ok, .progress = on_progress, .arg = &w };
	struct http *http = session_http(s, err);
	auto_fetch_auth auth = FETCH_AUTH_INIT;
	auto_free char *tmp = NULL;
	auto_fd int fd = -1;

	if (!http)
		return err_wrap(err, "ADD of '%.200s'", o->url);
	if (fetch_auth_url(s->secrets, o->url, &auth, err) < 0)
		return -1;
	f.authorization = auth.header;
	if (m && m->known) {
		f.etag = m->etag;
		f.last_modified = m->last_modified;
	}
	fd = blob_create(s->store, &tmp, err);
	if (fd < 0)
		return -1;
	if (fetch_file(http, &f, fd, ret, err) < 0) {
		blob_abort(s->store, tmp);
		return -1;
	}
	if (ret->unchanged) {
		blob_abort(s->store, tmp);
		return 1;
	}
	if (blob_commit(s->store, fd, tmp, ret->digest, ret->size, err) < 0) {
		blob_abort(s->store, tmp);
		return -1;
	}
	return remember(s, o->url, ret, err);
}

static int check_checksum_text(const char *checksum, struct err *err)
{
	size_t n = strcspn(checksum, ":");
	auto_free char *algorithm = xstrndup(checksum, n);
	size_t hex = digest_hex_len(algorithm);

	if (n == 0 || !checksum[n] || !checksum[n + 1])
		return err_set(err, ERR_DOCKERFILE, "invalid checksum digest format: %s", checksum);
	if (hex == 0)
		return err_set(err, ERR_DOCKERFILE, "unsupported digest algorithm: %s", checksum);
	if (strlen(checksum + n + 1) != hex || strspn(checksum + n + 1, "0123456789abcdef") != hex)
		return err_set(err, ERR_DOCKERFILE, "invalid checksum digest format: %s", checksum);
	return 0;
}

/* Compare the pinned file with the checksum; one of another algorithm needs its bytes. */
static int check_checksum(struct session *s, struct origin *o, const char *checksum, unsigned vertex, struct err *err)
{
	char hex[DIGEST_ANY_HEX_MAX + 1];
	auto_free char *algorithm = xstrndup(checksum, strcspn(checksum, ":"));
	auto_free char *got = NULL;
	auto_fd int fd = -1;

	if (strcmp(algorithm, "sha256") == 0) {
		got = xstrdup(o->digest);
	} else {
		if (origin_blob(s, o, vertex, err) < 0)
			return -1;
		fd = blob_open(s->store, o->digest, NULL, err);
		if (fd < 0)
			return -1;
		if (digest_file(fd, algorithm, hex) < 0)
			return err_sys(err, "cannot hash a download");
		got = xasprintf("%s:%s", algorithm, hex);
	}
	return strcmp(got, checksum) == 0 ? 0 : err_set(err, ERR_DOCKERFILE, "digest mismatch %s: %s", got, checksum);
}

static void pin(struct origin *o, const char *digest, int64_t mtime)
{
	snprintf(o->digest, sizeof(o->digest), "%s", digest);
	o->mtime = mtime > 0 ? mtime : 0;
}

static int pin_url(struct session *s, struct origin *o, const char *checksum, unsigned vertex, struct err *err)
{
	struct remembered m;
	auto_fetch_result r = FETCH_RESULT_INIT;
	int rc = recall(s, o->url, &m, err);

	/* a remembered file that is what was asked for needs no network, nor does one when there is none */
	if (rc == 0 && m.known && ((checksum && strcmp(m.digest, checksum) == 0) || s->options.offline)) {
		pin(o, m.digest, (int64_t)m.mtime);
	} else if (rc == 0) {
		rc = download(s, o, &m, vertex, &r, err);
		if (rc == 1)
			pin(o, m.digest, (int64_t)m.mtime);
		else if (rc == 0)
			pin(o, r.digest, r.mtime);
	}
	remembered_release(&m);
	if (rc < 0)
		return -1;
	return checksum ? check_checksum(s, o, checksum, vertex, err) : 0;
}

static struct origin *origin_new(enum origin_kind kind, const char *url)
{
	struct origin *o = xcalloc(1, sizeof(*o));

	o->kind = kind;
	o->url = xstrdup(url);
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

/* End the step of the progress that pinning is, and the origin with it when it failed. */
static struct origin *pinned(struct session *s, struct origin *o, unsigned vertex, int rc, struct err *err)
{
	if (rc == 0) {
		progress_emit(s->progress, PROGRESS_DONE, vertex, NULL, 0);
		return o;
	}
	progress_emit(s->progress, PROGRESS_ERROR, vertex, err->msg, strlen(err->msg));
	origin_free(s, o);
	return NULL;
}

/* The URL without query, user and fragment: signed ones are secrets. */
static unsigned start_step(struct session *s, const char *url)
{
	auto_free char *bare = xstrndup(url, strcspn(url, "?#"));
	auto_free char *shown = giturl_display(bare);
	auto_free char *title = xasprintf("[internal] load %s", shown);

	return progress_start(s->progress, title);
}

struct origin *origin_url(struct session *s, const char *url, const char *checksum, struct err *err)
{
	struct origin *o = origin_new(ORIGIN_URL, url);
	unsigned vertex = start_step(s, url);
	int rc;

	o->downgrade_ok = checksum != NULL;
	o->file_name = fetch_file_name(url, err);
	rc = o->file_name ? 0 : -1;
	if (rc == 0 && checksum)
		rc = check_checksum_text(checksum, err);
	if (rc == 0)
		rc = pin_url(s, o, checksum, vertex, err);
	return pinned(s, o, vertex, rc, err);
}

int origin_blob(struct session *s, struct origin *o, unsigned vertex, struct err *err)
{
	auto_fetch_result r = FETCH_RESULT_INIT;

	if (blob_has(s->store, o->digest, NULL))
		return 0;
	if (download(s, o, NULL, vertex, &r, err) < 0)
		return -1;
	if (strcmp(r.digest, o->digest) == 0)
		return 0;
	return err_set(err, ERR_CORRUPT, "'%.200s' changed while it was fetched: build again", o->url);
}

/* The blob under its name, in a folder of its own: a hard link where the file system has them. */
static int place_file(struct session *s, struct origin *o, unsigned vertex, struct err *err)
{
	auto_free char *blob = xasprintf("blobs/sha256/%s", digest_hex(o->digest));
	auto_free char *path = NULL;
	int dir = store_dirfd(s->store);
	auto_fd int in = -1;
	auto_fd int out = -1;

	if (origin_blob(s, o, vertex, err) < 0 || store_tmp_new(s->store, &o->tmp, err) < 0)
		return -1;
	o->folder = xstrdup(o->tmp);
	path = xasprintf("%s/%s", o->tmp, o->file_name);
	if (linkat(dir, blob, dir, path, 0) == 0)
		return 0;
	in = blob_open(s->store, o->digest, NULL, err);
	if (in < 0)
		return -1;
	out = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0 || copy_bytes(in, out, UINT64_MAX) < 0)
		return err_sys(err, "cannot place '%s' in the store", o->file_name);
	return 0;
}

/* ---- repositories ---- */

struct origin *origin_git(struct session *s, const char *url, struct giturl *git, bool keep_git_dir, struct err *err)
{
	struct origin *o = origin_new(ORIGIN_GIT, url);
	unsigned vertex = start_step(s, url);
	auto_fetch_auth auth = FETCH_AUTH_INIT;
	int rc = 0;

	o->git = *git;
	*git = (struct giturl)GITURL_INIT;
	o->keep_git_dir = keep_git_dir;
	if (s->options.offline && !(o->git.ref && giturl_is_hash(o->git.ref)))
		rc = err_set(err, ERR_NETWORK, "offline, but the network is needed to look at a git repository");
	if (rc == 0)
		rc = fetch_auth_git(s->secrets, o->git.remote, &auth, err);
	if (rc == 0)
		rc = git_resolve(&o->git, &auth, &s->cancelled, &o->commit, err);
	return pinned(s, o, vertex, rc, err);
}

/* The folder in the checkout that was asked for; a link on the way could lead anywhere, and is none. */
static int find_subdir(struct session *s, struct origin *o, struct err *err)
{
	auto_fd int fd = -1;

	if (!o->git.subdir) {
		o->folder = xstrdup(o->tmp);
		return 0;
	}
	o->folder = xasprintf("%s/%s", o->tmp, o->git.subdir);
	fd = open_no_symlinks(store_dirfd(s->store), o->folder, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0)
		return 0;
	free(take_ptr(o->folder));
	if (errno == ELOOP)
		return err_set(err, ERR_INPUT, "'%s' of the git repository leads through a symbolic link",
			o->git.subdir);
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(err, ERR_NOT_FOUND, "the git repository has no folder '%s'", o->git.subdir);
	return err_sys(err, "cannot open '%s' of a git repository", o->git.subdir);
}

static int place_checkout(struct session *s, struct origin *o, struct err *err)
{
	auto_fetch_auth auth = FETCH_AUTH_INIT;
	auto_free char *dir = NULL;

	if (s->options.offline)
		return err_set(err, ERR_NETWORK, "offline, but the network is needed to fetch a git repository");
	if (store_tmp_new(s->store, &o->tmp, err) < 0)
		return -1;
	dir = xasprintf("%s/%s", store_path(s->store), o->tmp);
	/* the folder is 0700, which is what a COPY of all of it would see */
	if (chmod(dir, 0755) < 0)
		return err_sys(err, "cannot make a folder for a checkout");
	if (fetch_auth_git(s->secrets, o->git.remote, &auth, err) < 0)
		return -1;
	if (git_checkout(&o->git, &auth, &o->commit, dir, o->keep_git_dir, &s->cancelled, &o->mtime, err) < 0)
		return -1;
	return find_subdir(s, o, err);
}

/* ---- both ---- */

void origin_put(const struct origin *o, struct strbuf *definition)
{
	wire_put_u64(definition, o->kind);
	if (o->kind == ORIGIN_URL) {
		wire_put_str(definition, o->file_name);
		wire_put_str(definition, o->digest);
		wire_put_u64(definition, (uint64_t)o->mtime);
		return;
	}
	wire_put_str(definition, o->commit.hash);
	wire_put_str(definition, o->git.subdir);
	wire_put_u64(definition, o->git.no_submodules);
	/* a kept .git names where it came from */
	wire_put_str(definition, o->keep_git_dir ? o->git.remote : "");
}

static void drop(struct session *s, struct origin *o)
{
	struct err unused = ERR_INIT;

	if (o->tmp)
		store_tmp_drop(s->store, o->tmp, &unused);
	free(take_ptr(o->tmp));
	free(take_ptr(o->folder));
}

int origin_need(struct session *s, struct origin *o, unsigned vertex, struct copy_root *ret, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&o->lock);
	if (!o->folder)
		rc = o->kind == ORIGIN_URL ? place_file(s, o, vertex, err) : place_checkout(s, o, err);
	if (rc == 0)
		*ret = (struct copy_root){ .folder = xstrdup(o->folder), .file = o->kind == ORIGIN_URL,
			.fixed_mtime = true, .mtime = o->mtime };
	else
		drop(s, o);
	pthread_mutex_unlock(&o->lock);
	return rc;
}

void origin_free(struct session *s, struct origin *o)
{
	if (!o)
		return;
	drop(s, o);
	free(o->url);
	free(o->file_name);
	giturl_release(&o->git);
	git_commit_release(&o->commit);
	pthread_mutex_destroy(&o->lock);
	free(o);
}
