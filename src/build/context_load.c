#include "build/context_load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/archive.h"
#include "build/fetch_auth.h"
#include "build/jobs.h"
#include "build/origin.h"
#include "registry/fetch.h"
#include "store/blob.h"

#define LONE_FILE "context" /* what a file is called that came instead of an archive */
#define STDIN "-"

static bool is_stdin(const char *s)
{
	return s && strcmp(s, STDIN) == 0;
}

static bool is_url(const char *s)
{
	return strncasecmp(s, "http://", 7) == 0 || strncasecmp(s, "https://", 8) == 0;
}

void context_drop(struct session *s, struct context *c)
{
	struct err unused = ERR_INIT;

	if (c->tmp)
		store_tmp_drop(s->store, c->tmp, &unused);
	context_release(c);
}

/* ---- the Dockerfile ---- */

static int take_text(struct context *c, int fd, const char *what, struct err *err)
{
	strbuf_reset(&c->dockerfile);
	if (read_all(fd, &c->dockerfile, DOCKERFILE_MAX) == 0)
		return 0;
	return errno == EFBIG ? err_set(err, ERR_INPUT, "%s is over %u bytes", what, DOCKERFILE_MAX) :
				err_sys(err, "cannot read %s", what);
}

/* A file of a context that strangers made: a link may lead around in it, not out of it. */
static int open_in_context(const struct context *c, const char *name, struct err *err)
{
	auto_fd int fd = open_beneath(c->fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0 && errno == EXDEV)
		return err_set(err, ERR_INPUT, "'%s' leads out of the build context", name);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOT_FOUND, "no '%s' in the build context (name another with -f)", name);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "cannot open '%s' of the build context", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, "'%s' of the build context is no regular file", name);
	return take_fd(fd);
}

static int dockerfile_of_url(struct session *s, struct context *c, const char *url, struct err *err)
{
	struct fetch_options f = { .url = url, .max = DOCKERFILE_MAX };
	auto_fetch_result r = FETCH_RESULT_INIT;
	auto_fetch_auth auth = FETCH_AUTH_INIT;
	struct http *http = session_http(s, err);
	auto_free char *tmp = NULL;
	auto_fd int fd = -1;
	struct err unused = ERR_INIT;
	int rc;

	if (!http || fetch_auth_url(s->secrets, url, &auth, err) < 0)
		return -1;
	f.authorization = auth.header;
	fd = store_tmp_file(s->store, &tmp, err);
	if (fd < 0)
		return -1;
	rc = fetch_file(http, &f, fd, &r, err);
	if (rc == 0 && lseek(fd, 0, SEEK_SET) < 0)
		rc = err_sys(err, "cannot read a download");
	if (rc == 0)
		rc = take_text(c, fd, "the Dockerfile", err);
	store_tmp_drop(s->store, tmp, &unused);
	free(c->dockerfile_name);
	c->dockerfile_name = xstrndup(url, strcspn(url, "?#"));
	return rc;
}

/* Of a context that is not a folder of the user. */
static int read_dockerfile(struct session *s, struct context *c, const char *file, struct err *err)
{
	auto_fd int fd = -1;
	struct err first = ERR_INIT;

	if (c->dockerfile.len > 0) /* it came instead of a context */
		return 0;
	if (file && is_url(file))
		return dockerfile_of_url(s, c, file, err);
	free(c->dockerfile_name);
	c->dockerfile_name = xstrdup(file && !is_stdin(file) ? file : "Dockerfile");
	if (is_stdin(file))
		return take_text(c, STDIN_FILENO, "the Dockerfile on stdin", err);
	fd = open_in_context(c, c->dockerfile_name, &first);
	if (fd < 0 && !file && first.kind == ERR_NOT_FOUND) {
		struct err again = ERR_INIT;

		fd = open_in_context(c, "dockerfile", &again);
	}
	if (fd < 0) {
		*err = first;
		return -1;
	}
	return take_text(c, fd, "the Dockerfile", err);
}

/* ---- contexts ---- */

/* An empty folder of the store as the context. */
static int new_folder(struct session *s, struct context *c, struct err *err)
{
	if (store_tmp_new(s->store, &c->tmp, err) < 0)
		return -1;
	c->fd = openat(store_dirfd(s->store), c->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->fd < 0 || fchmod(c->fd, 0755) < 0 ? err_sys(err, "cannot open a folder of the store") : 0;
}

/* Unpack the file (a name in the store) into the context. *ret: whether it was an archive. */
static int unpack(struct session *s, struct context *c, const char *file, bool *ret, struct err *err)
{
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;

	archive_put(file, c->tmp, &payload);
	if (session_call(s, JOB_ARCHIVE, &payload, NULL, 0, &reply, err) < 0)
		return -1;
	return archive_result_get(&reply, ret, err);
}

/* What came is no archive: the Dockerfile alone. */
static int lone_dockerfile(struct context *c, int fd, struct err *err)
{
	c->dockerfile_name = xstrdup("Dockerfile");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "cannot read the Dockerfile");
	if (take_text(c, fd, "the Dockerfile (or is it an archive of a kind that is not read?)", err) < 0)
		return -1;
	return c->dockerfile.len ? 0 : err_set(err, ERR_DOCKERFILE, "the Dockerfile cannot be empty");
}

static int place_lone_file(struct context *c, int fd, struct err *err)
{
	auto_fd int out = openat(c->fd, LONE_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (out < 0 || lseek(fd, 0, SEEK_SET) < 0 || copy_bytes(fd, out, UINT64_MAX) < 0)
		return err_sys(err, "cannot write '%s' of the context", LONE_FILE);
	return 0;
}

/* Spool stdin: a worker reads it from its start, perhaps twice. */
static int load_stdin(struct session *s, const char *file, struct context *c, struct err *err)
{
	auto_free char *tmp = NULL;
	auto_fd int fd = store_tmp_file(s->store, &tmp, err);
	struct err unused = ERR_INIT;
	bool is_archive = false;
	int64_t n;
	int rc;

	if (fd < 0 || new_folder(s, c, err) < 0)
		return -1;
	n = copy_bytes(STDIN_FILENO, fd, FETCH_SIZE_MAX + 1);
	if (n < 0)
		rc = err_sys(err, "cannot read the build context from stdin");
	else if ((uint64_t)n > FETCH_SIZE_MAX)
		rc = err_set(err, ERR_INPUT, "the build context on stdin is over %llu bytes", FETCH_SIZE_MAX);
	else
		rc = unpack(s, c, tmp, &is_archive, err);
	if (rc == 0 && !is_archive && file)
		rc = err_set(err, ERR_USAGE,
			"ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
	if (rc == 0 && !is_archive)
		rc = lone_dockerfile(c, fd, err);
	store_tmp_drop(s->store, tmp, &unused);
	return rc;
}

/* named: a file that is no archive is content, not a Dockerfile. */
static int load_url(struct session *s, const char *url, bool named, struct context *c, struct err *err)
{
	struct origin *o = origin_url(s, url, NULL, err);
	auto_free char *blob = NULL;
	auto_fd int fd = -1;
	bool is_archive;
	int rc;

	if (!o)
		return -1;
	rc = origin_blob(s, o, 0, err);
	if (rc == 0)
		rc = new_folder(s, c, err);
	if (rc == 0) {
		blob = xasprintf("blobs/sha256/%s", digest_hex(o->digest));
		rc = unpack(s, c, blob, &is_archive, err);
	}
	if (rc == 0 && !is_archive) {
		fd = blob_open(s->store, o->digest, NULL, err);
		rc = fd < 0 ? -1 : place_lone_file(c, fd, err);
		if (rc == 0 && !named)
			rc = lone_dockerfile(c, fd, err);
		c->fixed_mtime = true;
		c->mtime = o->mtime;
	}
	origin_free(s, o);
	return rc;
}

static int load_git(struct session *s, const char *url, struct giturl *git, bool keep_git_dir, struct context *c,
	struct err *err)
{
	bool keep = git->keep_git_dir_set ? git->keep_git_dir : keep_git_dir;
	struct origin *o = origin_git(s, url, git, keep, err);
	struct copy_root root = { .folder = NULL };
	int rc;

	if (!o)
		return -1;
	rc = origin_need(s, o, 0, &root, err);
	if (rc == 0) {
		c->tmp = take_ptr(o->tmp);
		c->fd = open_no_symlinks(store_dirfd(s->store), root.folder, O_RDONLY | O_DIRECTORY, 0);
		c->fixed_mtime = true;
		c->mtime = root.mtime;
		if (c->fd < 0)
			rc = err_sys(err, "cannot open the checkout of '%.200s'", url);
	}
	free(root.folder);
	origin_free(s, o);
	return rc;
}

static int load(struct session *s, const char *text, const char *file, bool keep_git_dir, bool named,
	struct context *c, struct err *err)
{
	struct giturl git;
	int is_git = giturl_parse(text, true, &git, err);
	int rc = is_git;

	if (is_git > 0)
		rc = load_git(s, text, &git, keep_git_dir, c, err);
	else if (is_git == 0)
		rc = is_url(text) ? load_url(s, text, named, c, err) : load_stdin(s, file, c, err);
	giturl_release(&git);
	return rc;
}

static bool is_remote(const char *text)
{
	struct giturl git;
	struct err unused = ERR_INIT;
	int is_git = giturl_parse(text, true, &git, &unused);

	giturl_release(&git);
	return is_git != 0 || is_url(text);
}

int context_load(struct session *s, const char *text, const char *file, bool keep_git_dir, struct context *ret,
	struct err *err)
{
	struct context c = CONTEXT_INIT;

	if (is_stdin(text) && is_stdin(file))
		return err_set(err, ERR_USAGE,
			"invalid argument: can't use stdin for both build context and dockerfile");
	if (!is_stdin(text) && !is_remote(text) && !(file && is_url(file)))
		return context_open(text, file, ret, err);
	c.path = xstrdup(text);
	if (!is_stdin(text) && !is_remote(text)) {
		context_release(&c);
		if (context_open_folder(text, &c, err) < 0)
			return -1;
	} else if (load(s, text, file, keep_git_dir, false, &c, err) < 0) {
		context_drop(s, &c);
		return -1;
	}
	if (read_dockerfile(s, &c, file, err) < 0) {
		context_drop(s, &c);
		return -1;
	}
	*ret = c;
	return 0;
}

int context_load_named(struct session *s, const char *name, const char *value, struct context *ret, struct err *err)
{
	struct context c = CONTEXT_INIT;

	if (!is_remote(value)) {
		if (strstr(value, "://"))
			return err_set(err, ERR_INPUT, "unsupported context source %.*s for %s",
				(int)strcspn(value, ":"), value, name);
		return context_open_folder(value, ret, err) < 0 ? err_wrap(err, "context '%s'", name) : 0;
	}
	c.path = xstrdup(value);
	if (load(s, value, NULL, false, true, &c, err) < 0) {
		context_drop(s, &c);
		return err_wrap(err, "context '%s'", name);
	}
	*ret = c;
	return 0;
}
