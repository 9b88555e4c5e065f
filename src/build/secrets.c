#include "build/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/strv.h"
#include "build/key_agent.h"
#include "dockerfile/run_mount.h"

/* ---- secrets ---- */

int secret_file(const void *data, size_t n, struct err *err)
{
	auto_fd int fd = memfd_create("whittle", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "cannot make a memory file");
	if (write_all(fd, data, n) < 0)
		return err_sys(err, "cannot fill a memory file");
	return take_fd(fd);
}

static int too_big(const char *id, struct err *err)
{
	return err_set(err, ERR_INPUT, "secret %s too big. max size %uKiB", id, SECRET_MAX >> 10);
}

static int load_variable(const char *id, const char *name, struct err *err)
{
	const char *value = getenv(name);
	size_t n = value ? strlen(value) : 0;

	return n > SECRET_MAX ? too_big(id, err) : secret_file(value, n, err);
}

static int load_file(const char *id, const char *path, struct err *err)
{
	auto_fd int in = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	auto_uninitialized char data[SECRET_MAX + 1];
	struct stat st;
	ssize_t n;
	int fd;

	if (in < 0) {
		err_sys(err, "secret %s: cannot open '%s'", id, path);
		if (err->sys == ENOENT)
			err->kind = ERR_NOT_FOUND;
		return -1;
	}
	if (fstat(in, &st) < 0)
		return err_sys(err, "secret %s: cannot stat '%s'", id, path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, ERR_INPUT, "secret %s: '%s' is a folder", id, path);
	/* Not only regular files: shells give what a command prints as /dev/fd/63. */
	if (fcntl(in, F_SETFL, 0) < 0)
		return err_sys(err, "secret %s: cannot read '%s'", id, path);
	n = read_full(in, data, sizeof(data));
	if (n < 0)
		return err_sys(err, "secret %s: cannot read '%s'", id, path);
	fd = n > (ssize_t)SECRET_MAX ? too_big(id, err) : secret_file(data, (size_t)n, err);
	explicit_bzero(data, (size_t)n);
	return fd;
}

struct secret_spec {
	char *type, *id, *src, *env;
};

static void spec_release(struct secret_spec *s)
{
	free(s->type);
	free(s->id);
	free(s->src);
	free(s->env);
}

static int set_field(struct secret_spec *s, const char *field, struct err *err)
{
	const struct {
		const char *key;
		char **to;
	} keys[] = { { "type", &s->type }, { "id", &s->id }, { "src", &s->src }, { "source", &s->src },
		{ "env", &s->env } };
	size_t len = strcspn(field, "=");
	auto_free char *key = xstrndup(field, len);

	if (!field[len])
		return err_set(err, ERR_USAGE, "invalid field '%s' must be a key=value pair", field);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcasecmp(keys[i].key, key) == 0) {
			free(*keys[i].to);
			*keys[i].to = xstrdup(field + len + 1);
			return 0;
		}
	return err_set(err, ERR_USAGE, "unexpected key '%s' in '%s'", key, field);
}

static bool is_given(const char *s)
{
	return s && *s;
}

/* A descriptor with what the spec means. */
static int load(const struct secret_spec *s, struct err *err)
{
	bool env_type = is_given(s->type) && strcmp(s->type, "env") == 0;

	if (is_given(s->type) && !env_type && strcmp(s->type, "file") != 0)
		return err_set(err, ERR_USAGE, "unsupported secret type \"%s\"", s->type);
	if (!is_given(s->id))
		return err_set(err, ERR_USAGE, "secret missing ID");
	if (is_given(s->env))
		return load_variable(s->id, s->env, err);
	if (is_given(s->src))
		return env_type ? load_variable(s->id, s->src, err) : load_file(s->id, s->src, err);
	return getenv(s->id) ? load_variable(s->id, s->id, err) : load_file(s->id, s->id, err);
}

static struct secret *find_secret(const struct secrets *s, const char *id)
{
	for (size_t i = 0; i < s->len; i++)
		if (strcmp(s->v[i].id, id) == 0)
			return &s->v[i];
	return NULL;
}

static void put(struct secrets *s, const char *id, int fd)
{
	struct secret *have = find_secret(s, id);

	if (have) {
		close_fd(have->fd);
		have->fd = fd;
		return;
	}
	GROW(s->v, s->len, s->cap);
	s->v[s->len++] = (struct secret){ xstrdup(id), fd };
}

int secrets_add(struct secrets *s, const char *text, struct err *err)
{
	struct secret_spec spec = { NULL, NULL, NULL, NULL };
	auto_strv fields = STRV_INIT;
	int rc = 0, fd = -1;

	if (s->len == SECRETS_MAX)
		return err_set(err, ERR_USAGE, "more than %d secrets", SECRETS_MAX);
	if (run_mount_split(text, "secret", &fields, err) < 0)
		return err->kind = ERR_USAGE, -1;
	for (size_t i = 0; rc == 0 && i < fields.len; i++)
		rc = set_field(&spec, fields.v[i], err);
	if (rc == 0)
		fd = load(&spec, err);
	if (fd >= 0)
		put(s, spec.id, fd);
	spec_release(&spec);
	return fd < 0 ? -1 : 0;
}

const struct secret *secrets_find(const struct secrets *s, const char *id)
{
	return find_secret(s, id);
}

void secrets_release(struct secrets *s)
{
	for (size_t i = 0; i < s->len; i++) {
		close_fd(s->v[i].fd);
		free(s->v[i].id);
	}
	free(s->v);
	*s = (struct secrets)SECRETS_INIT;
}

/* ---- agents ---- */

/* The comma list of paths. *ret_socket: it is one, and that of an agent. */
static int parse_paths(const char *id, const char *list, struct strv *ret, bool *ret_socket, struct err *err)
{
	for (const char *at = list; *at;) {
		size_t len = strcspn(at, ",");
		auto_free char *path = xstrndup(at, len);
		struct stat st;

		if (len && stat(path, &st) < 0) {
			err_sys(err, "ssh agent %s: cannot open '%s'", id, path);
			if (err->sys == ENOENT)
				err->kind = ERR_NOT_FOUND;
			return -1;
		}
		*ret_socket = *ret_socket || (len && S_ISSOCK(st.st_mode));
		if (len)
			strv_take(ret, take_ptr(path));
		at += len + (at[len] == ',');
	}
	if (*ret_socket && ret->len > 1)
		return err_set(err, ERR_USAGE, "ssh agent %s: give one socket, or private keys alone", id);
	return ret->len ? 0 : err_set(err, ERR_USAGE, "ssh agent %s: '%s' names no file", id, list);
}

static void agent_clear(struct agent *a)
{
	key_agent_stop(a->keys);
	free(a->socket);
	a->keys = NULL;
	a->socket = NULL;
}

/* The entry called id, made now if there is none; NULL and *err when there are too many. */
static struct agent *agent_slot(struct agents *a, const char *id, struct err *err)
{
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->v[i].id, id) == 0)
			return &a->v[i];
	if (a->len == SECRETS_MAX) {
		err_set(err, ERR_USAGE, "more than %d ssh agents", SECRETS_MAX);
		return NULL;
	}
	GROW(a->v, a->len, a->cap);
	a->v[a->len] = (struct agent){ .id = xstrdup(id) };
	return &a->v[a->len++];
}

int agents_add(struct agents *a, const char *spec, struct err *err)
{
	size_t len = strcspn(spec, "=");
	auto_free char *id = xstrndup(spec, len);
	const char *list = spec[len] && spec[len + 1] ? spec + len + 1 : getenv("SSH_AUTH_SOCK");
	auto_strv paths = STRV_INIT;
	struct key_agent *keys = NULL;
	struct agent *slot;
	bool socket = false;

	if (!*id)
		return err_set(err, ERR_USAGE, "--ssh needs an id, such as default");
	if (!is_given(list))
		return err_set(err, ERR_USAGE, "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set");
	if (parse_paths(id, list, &paths, &socket, err) < 0)
		return -1;
	slot = agent_slot(a, id, err);
	if (!slot)
		return -1;
	agent_clear(slot);
	if (!socket) {
		keys = key_agent_start(id, &paths, err);
		if (!keys)
			return -1;
	}
	slot->keys = keys;
	slot->socket = xstrdup(socket ? paths.v[0] : key_agent_socket(keys));
	return 0;
}

const struct agent *agents_find(const struct agents *a, const char *id)
{
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->v[i].id, id) == 0)
			return &a->v[i];
	return NULL;
}

void agents_release(struct agents *a)
{
	for (size_t i = 0; i < a->len; i++) {
		agent_clear(&a->v[i]);
		free(a->v[i].id);
	}
	free(a->v);
	*a = (struct agents)AGENTS_INIT;
}
