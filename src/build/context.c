#include "build/context.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"

static int read_dockerfile(struct context *c, const char *file, struct err *err)
{
	if (file && strcmp(file, "-") == 0) {
		c->dockerfile_name = xstrdup("Dockerfile");
		if (read_all(STDIN_FILENO, &c->dockerfile, DOCKERFILE_MAX) < 0)
			return errno == EFBIG ? err_set(err, ERR_INPUT, "the Dockerfile on stdin is over %u bytes",
							DOCKERFILE_MAX) :
						err_sys(err, "cannot read the Dockerfile from stdin");
		return 0;
	}
	if (file) {
		c->dockerfile_name = xstrdup(file);
		return read_file(AT_FDCWD, file, DOCKERFILE_MAX, &c->dockerfile, err);
	}
	c->dockerfile_name = xstrdup("Dockerfile");
	if (read_file(c->fd, "Dockerfile", DOCKERFILE_MAX, &c->dockerfile, err) == 0)
		return 0;
	if (err->kind == ERR_NOT_FOUND) {
		struct err again = ERR_INIT;

		if (read_file(c->fd, "dockerfile", DOCKERFILE_MAX, &c->dockerfile, &again) == 0) {
			free(c->dockerfile_name);
			c->dockerfile_name = xstrdup("dockerfile");
			return 0;
		}
		return err_set(err, ERR_NOT_FOUND, "no Dockerfile in '%s' (name another with -f)", c->path);
	}
	return -1;
}

static int take_ignore(struct context *c, struct strbuf *text, struct err *err)
{
	if (strlen(text->buf) != text->len)
		return err_set(err, ERR_INPUT, "the ignore file holds a NUL byte (is it a text file?)");
	c->ignore = strbuf_take(text);
	return 0;
}

/* "<Dockerfile>.dockerignore" beside the Dockerfile comes before ".dockerignore" in the context. */
static int read_ignore(struct context *c, const char *file, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;
	auto_free char *own = xasprintf("%s.dockerignore", file && strcmp(file, "-") != 0 ? file : "Dockerfile");
	int dir = file && strcmp(file, "-") != 0 ? AT_FDCWD : c->fd;
	struct err e = ERR_INIT;

	if (read_file(dir, own, CONTEXT_IGNORE_MAX, &text, &e) < 0) {
		if (e.kind != ERR_NOT_FOUND) {
			*err = e;
			return -1;
		}
		strbuf_reset(&text);
		if (read_file(c->fd, ".dockerignore", CONTEXT_IGNORE_MAX, &text, &e) < 0) {
			if (e.kind == ERR_NOT_FOUND)
				return 0;
			*err = e;
			return -1;
		}
	}
	return take_ignore(c, &text, err);
}

static int open_folder(struct context *c, const char *path, struct err *err)
{
	int missing;

	c->path = xstrdup(path);
	c->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->fd >= 0)
		return 0;
	missing = errno == ENOENT || errno == ENOTDIR;
	err_sys(err, "cannot open the build context '%s'", path);
	if (missing)
		err->kind = ERR_NOT_FOUND;
	return -1;
}

int context_open_folder(const char *path, struct context *ret, struct err *err)
{
	struct context c = CONTEXT_INIT;
	auto_strbuf text = STRBUF_INIT;
	struct err e = ERR_INIT;
	int rc;

	if (open_folder(&c, path, err) < 0) {
		context_release(&c);
		return -1;
	}
	if (read_file(c.fd, ".dockerignore", CONTEXT_IGNORE_MAX, &text, &e) < 0) {
		rc = e.kind == ERR_NOT_FOUND ? 0 : -1;
		if (rc < 0)
			*err = e;
	} else {
		rc = take_ignore(&c, &text, err);
	}
	if (rc < 0)
		context_release(&c);
	else
		*ret = c;
	return rc;
}

int context_open(const char *path, const char *file, struct context *ret, struct err *err)
{
	struct context c = CONTEXT_INIT;

	if (open_folder(&c, path, err) < 0 || read_dockerfile(&c, file, err) < 0 || read_ignore(&c, file, err) < 0) {
		context_release(&c);
		return -1;
	}
	*ret = c;
	return 0;
}

void context_release(struct context *c)
{
	c->fd = close_fd(c->fd);
	free(c->path);
	free(c->dockerfile_name);
	free(c->ignore);
	free(c->tmp);
	strbuf_release(&c->dockerfile);
	*c = (struct context)CONTEXT_INIT;
}
