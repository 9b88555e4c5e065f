#include "sandbox/step_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/owner_record.h"
#include "sandbox/mounts.h"
#include "sandbox/rootfs.h"
#include "sandbox/stubs.h"

#define ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define ENV_VALUE_MAX ((128u << 10) - 256) /* MAX_ARG_STRLEN of the kernel, less a name */

/* ---- the list ---- */

struct step_mount *step_mounts_add(struct step_mounts *m, enum step_mount_kind kind)
{
	struct step_mount *new;

	GROW(m->v, m->len, m->cap);
	new = &m->v[m->len++];
	*new = (struct step_mount){ .kind = kind };
	return new;
}

static int compare_targets(const void *pa, const void *pb)
{
	const struct step_mount *a = pa, *b = pb;

	return strcmp(a->target ? a->target : "", b->target ? b->target : "");
}

/* A short stable sort: of two mounts at one place the later stays on top. */
bool step_mounts_may_have_records(const struct step_mounts *m)
{
	for (size_t i = 0; i < m->len; i++) {
		const struct step_mount *x = &m->v[i];

		if (x->kind == STEP_MOUNT_TREE || x->kind == STEP_MOUNT_FOLDER ||
			(x->kind == STEP_MOUNT_FILE && (x->uid != 0 || x->gid != 0)))
			return true;
	}
	return false;
}

void step_mounts_sort(struct step_mounts *m)
{
	for (size_t i = 1; i < m->len; i++)
		for (size_t k = i; k > 0 && compare_targets(&m->v[k - 1], &m->v[k]) > 0; k--) {
			struct step_mount swap = m->v[k];

			m->v[k] = m->v[k - 1];
			m->v[k - 1] = swap;
		}
}

void step_mounts_release(struct step_mounts *m)
{
	for (size_t i = 0; i < m->len; i++) {
		free(m->v[i].target);
		strv_release(&m->v[i].lowers);
		free(m->v[i].folder);
		free(m->v[i].source);
		free(m->v[i].env);
	}
	free(m->v);
	free(m->work);
	memset(m, 0, sizeof(*m));
}

void step_mounts_put(const struct step_mounts *m, struct strbuf *p)
{
	wire_put_u64(p, m->len);
	for (size_t i = 0; i < m->len; i++) {
		const struct step_mount *x = &m->v[i];

		wire_put_u64(p, x->kind);
		wire_put_str(p, x->target);
		wire_put_u64(p, x->readonly);
		wire_put_strv(p, &x->lowers);
		wire_put_str(p, x->folder);
		wire_put_str(p, x->source);
		wire_put_u64(p, x->size);
		wire_put_u64(p, x->fd);
		wire_put_str(p, x->env);
		wire_put_u64(p, x->mode);
		wire_put_u64(p, x->uid);
		wire_put_u64(p, x->gid);
	}
	wire_put_str(p, m->work);
}

void step_mounts_get(struct wire *w, struct step_mounts *m)
{
	uint64_t n = wire_get_u64(w);

	if (n > STEP_MOUNTS_MAX)
		w->bad = true;
	for (uint64_t i = 0; i < n && !w->bad; i++) {
		struct step_mount *x = step_mounts_add(m, (enum step_mount_kind)wire_get_u64(w));

		x->target = wire_get_str(w);
		x->readonly = wire_get_u64(w) != 0;
		wire_get_strv(w, &x->lowers);
		x->folder = wire_get_str(w);
		x->source = wire_get_str(w);
		x->size = wire_get_u64(w);
		x->fd = (unsigned)wire_get_u64(w);
		x->env = wire_get_str(w);
		x->mode = (mode_t)wire_get_u64(w);
		x->uid = (uid_t)wire_get_u64(w);
		x->gid = (gid_t)wire_get_u64(w);
	}
	m->work = wire_get_str(w);
}

static bool is_mounted(const struct step_mount *x)
{
	return x->target && *x->target;
}

/* ---- sources ---- */

static unsigned attrs_of(const struct step_mount *x)
{
	return ATTRS | (x->readonly ? MOUNT_ATTR_RDONLY : 0);
}

static bool is_whole(const struct step_mount *x)
{
	return !x->source || !x->source[strspn(x->source, "/")];
}

/* The mount of what fd names; nothing but a file or a folder may be shown. */
static int clone_of(const struct step_mount *x, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat the source '%s' of the mount at '%s'", x->source, x->target);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, "the source '%s' of the mount at '%s' is neither a file nor a folder",
			x->source, x->target);
	return mount_clone(fd, "", false, attrs_of(x), err);
}

/* What the source path names below base, by open, which keeps it inside. */
static int open_source(const struct step_mount *x, int base, int (*open_below)(int, const char *, int, mode_t),
	struct err *err)
{
	const char *path = x->source + strspn(x->source, "/");
	int fd = open_below(base, path, O_PATH, 0);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(err, ERR_NOT_FOUND, "\"/%s\": not found (source of the mount at '%s')", path, x->target);
	err_sys(err, "cannot open the source \"/%s\" of the mount at '%s'", path, x->target);
	if (err->sys == EXDEV || err->sys == ELOOP) {
		err_wrap(err, "a link leads out");
		err->kind = ERR_INPUT;
	}
	return -1;
}

/*
 * A view of the folders whose changes land in a folder that is thrown away. It is attached in our work folder: only
 * what is attached can be cloned in parts.
 */
static int tree_mount(const struct step_mounting *m, size_t i, struct err *err)
{
	const struct step_mount *x = &m->mounts->v[i];
	auto_free char *dir = xasprintf("%s/%zu", m->mounts->work, i);
	auto_free char *upper = xasprintf("%s/upper", dir);
	auto_free char *work = xasprintf("%s/work", dir);
	auto_free char *at = xasprintf("%s/at", dir);
	auto_fd int tree = -1;
	auto_fd int place = -1;
	auto_fd int source = -1;

	if (mkdir(dir, 0700) < 0 || mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0 || mkdir(at, 0755) < 0)
		return err_sys(err, "cannot create '%s' in the store", dir);
	place = open_no_symlinks(AT_FDCWD, at, O_PATH | O_DIRECTORY, 0);
	if (place < 0)
		return err_sys(err, "cannot open '%s' in the store", at);
	if (x->lowers.len) {
		tree = rootfs_mount(&x->lowers, upper, work, at, err);
		if (tree < 0 || mount_attach(tree, place, at, err) < 0)
			return -1;
	}
	if (is_whole(x))
		return clone_of(x, tree >= 0 ? tree : place, err);
	source = open_source(x, tree >= 0 ? tree : place, open_in_root, err);
	return source < 0 ? -1 : clone_of(x, source, err);
}

/*
 * With one id the owner is recorded, as a step's own chown would be. What holds no record (a socket; a tmpfs before Linux
 * 6.6) stays root's: every user of such a step is the same to the kernel and may use it.
 */
static int give(const struct step_mounting *m, const struct step_mount *x, int fd, const char *what, struct err *err)
{
	struct owner_record r = { .uid = x->uid, .gid = x->gid };

	if (x->uid == 0 && x->gid == 0)
		return 0;
	if (m->isolation == ISOLATION_SINGLE) {
		if (owner_record_put(fd, &r) < 0 && errno != EOPNOTSUPP && errno != EPERM && errno != EBADF)
			return err_sys(err, "cannot record the owner of %s", what);
		return 0;
	}
	if (fchownat(fd, "", x->uid, x->gid, AT_EMPTY_PATH) < 0)
		return err_sys(err, "cannot give %s to %u:%u (is the id in the ID map?)", what, (unsigned)x->uid,
			(unsigned)x->gid);
	return 0;
}

/* Made aside and renamed, so that whoever comes second finds it finished. */
static int make_folder(const struct step_mounting *m, const struct step_mount *x, struct err *err)
{
	char random[17];
	auto_free char *aside = NULL;
	auto_fd int fd = -1;

	random_name(random);
	aside = xasprintf("%s.%s", x->folder, random);
	if (mkdir(aside, 0700) < 0)
		return err_sys(err, "cannot create '%s' in the store", aside);
	fd = open_no_symlinks(AT_FDCWD, aside, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 || fchmod(fd, x->mode) < 0)
		return err_sys(err, "cannot set the mode of '%s' in the store", aside);
	if (give(m, x, fd, "the folder of a cache", err) < 0)
		return -1;
	if (renameat2(AT_FDCWD, aside, AT_FDCWD, x->folder, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, "cannot create '%s' in the store", x->folder);
	if (rmdir(aside) < 0)
		return err_sys(err, "cannot remove '%s' from the store", aside);
	return 0;
}

static int folder_mount(const struct step_mounting *m, const struct step_mount *x, struct err *err)
{
	auto_fd int base = open_no_symlinks(AT_FDCWD, x->folder, O_PATH | O_DIRECTORY, 0);
	auto_fd int source = -1;

	if (base < 0 && errno == ENOENT) {
		if (make_folder(m, x, err) < 0)
			return -1;
		base = open_no_symlinks(AT_FDCWD, x->folder, O_PATH | O_DIRECTORY, 0);
	}
	if (base < 0)
		return err_sys(err, "cannot open '%s' in the store", x->folder);
	if (is_whole(x))
		return clone_of(x, base, err);
	source = open_source(x, base, open_beneath, err);
	return source < 0 ? -1 : clone_of(x, source, err);
}

static int tmpfs_mount(const struct step_mount *x, struct err *err)
{
	char size[24];
	const struct mount_option options[] = { { x->size ? "size" : NULL, size }, { NULL, NULL } };

	snprintf(size, sizeof(size), "%llu", (unsigned long long)x->size);
	return mount_new("tmpfs", options, attrs_of(x), err);
}

static int socket_mount(const struct step_mounting *m, const struct step_mount *x, struct err *err)
{
	auto_fd int fd = open_no_symlinks(AT_FDCWD, x->folder, O_PATH | O_NOFOLLOW, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "cannot open the socket '%s' in the store", x->folder);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_SYSTEM, "'%s' in the store is not a socket", x->folder);
	if (fchmodat(AT_FDCWD, x->folder, x->mode, 0) < 0)
		return err_sys(err, "cannot set the mode of the socket for '%s'", x->target);
	if (give(m, x, fd, "a socket", err) < 0)
		return -1;
	return mount_clone(fd, "", false, ATTRS | MOUNT_ATTR_NOEXEC, err);
}

/* ---- files ---- */

/* One for all files of the step; attached in our work folder, because only what is attached can be cloned. */
static int mount_files(struct step_mounting *m, struct err *err)
{
	static const struct mount_option options[] = { { "mode", "0700" }, { NULL, NULL } };
	auto_free char *at = xasprintf("%s/files", m->mounts->work);
	auto_fd int tmpfs = mount_new("tmpfs", options, ATTRS, err);
	auto_fd int place = -1;

	if (tmpfs < 0)
		return -1;
	if (mkdir(at, 0700) < 0)
		return err_sys(err, "cannot create '%s' in the store", at);
	place = open_no_symlinks(AT_FDCWD, at, O_PATH | O_DIRECTORY, 0);
	if (place < 0)
		return err_sys(err, "cannot open '%s' in the store", at);
	if (mount_attach(tmpfs, place, "files of the step", err) < 0)
		return -1;
	m->files = take_fd(tmpfs);
	return 0;
}

static int add_variable(const struct step_mount *x, const char *content, size_t n, struct strv *env, struct err *err)
{
	if (n > ENV_VALUE_MAX)
		return err_set(err, ERR_INPUT, "the secret for the variable %s has %zu bytes; %u is the most (mount it as a "
			"file)", x->env, n, ENV_VALUE_MAX);
	if (memchr(content, '\0', n))
		return err_set(err, ERR_INPUT, "the secret for the variable %s holds a NUL byte (mount it as a file)",
			x->env);
	strv_env_set(env, x->env, content);
	return 0;
}

/* The contents, NUL-terminated, owned by the caller. NULL and *err. */
static char *read_contents(const struct step_mounting *m, const struct step_mount *x, size_t *ret_n, struct err *err)
{
	struct stat st;
	char *content;
	ssize_t got;

	if (x->fd >= m->nfds || fstat(m->fds[x->fd], &st) < 0) {
		err_set(err, ERR_SYSTEM, "a step request lacks a descriptor");
		return NULL;
	}
	if (st.st_size > STEP_MOUNT_FILE_MAX) {
		err_set(err, ERR_INPUT, "the file for '%s' is over %u bytes", x->target, STEP_MOUNT_FILE_MAX);
		return NULL;
	}
	content = xcalloc((size_t)st.st_size + 1, 1);
	got = pread(m->fds[x->fd], content, (size_t)st.st_size, 0);
	if (got != (ssize_t)st.st_size) {
		err_sys(err, "cannot read the file for '%s'", x->target);
		free(content);
		return NULL;
	}
	*ret_n = (size_t)got;
	return content;
}

static int write_file(const struct step_mounting *m, size_t i, const char *content, size_t n, struct err *err)
{
	const struct step_mount *x = &m->mounts->v[i];
	unsigned attrs = attrs_of(x) | MOUNT_ATTR_RDONLY | (x->mode & 0111 ? 0 : MOUNT_ATTR_NOEXEC);
	char name[24];
	auto_fd int fd = -1;

	snprintf(name, sizeof(name), "%zu", i);
	fd = openat(m->files, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, content, n) < 0)
		return err_sys(err, "cannot write the file for '%s'", x->target);
	if (give(m, x, fd, "a file", err) < 0)
		return -1;
	if (fchmod(fd, x->mode) < 0)
		return err_sys(err, "cannot set the mode of the file for '%s'", x->target);
	return mount_clone(m->files, name, false, attrs, err);
}

/* The mount of a file, or -1 with *err unset when it is for a variable alone. */
static int file_mount(struct step_mounting *m, size_t i, struct strv *env, struct err *err)
{
	const struct step_mount *x = &m->mounts->v[i];
	size_t n = 0;
	char *content = read_contents(m, x, &n, err);
	int fd = -1, rc = 0;

	if (!content)
		return -1;
	if (x->env && *x->env)
		rc = add_variable(x, content, n, env, err);
	if (rc == 0 && is_mounted(x)) {
		if (m->files < 0)
			rc = mount_files(m, err);
		if (rc == 0)
			fd = write_file(m, i, content, n, err);
	}
	explicit_bzero(content, n);
	free(content);
	return fd;
}

/* ---- attaching ---- */

static int new_mount(struct step_mounting *m, size_t i, struct strv *env, struct err *err)
{
	const struct step_mount *x = &m->mounts->v[i];

	switch (x->kind) {
	case STEP_MOUNT_TREE:
		return tree_mount(m, i, err);
	case STEP_MOUNT_FOLDER:
		return folder_mount(m, x, err);
	case STEP_MOUNT_TMPFS:
		return tmpfs_mount(x, err);
	case STEP_MOUNT_FILE:
		return file_mount(m, i, env, err);
	case STEP_MOUNT_SOCKET:
		return socket_mount(m, x, err);
	}
	return err_set(err, ERR_SYSTEM, "a step request has a mount of no known kind");
}

int step_mounts_make(struct step_mounting *m, struct strv *env, struct err *err)
{
	size_t n = m->mounts->len;

	m->made = xcalloc(n + 1, sizeof(*m->made));
	for (size_t i = 0; i < n; i++)
		m->made[i] = -1;
	for (size_t i = 0; i < n; i++) {
		m->made[i] = new_mount(m, i, env, err);
		if (m->made[i] < 0 && (err->kind != ERR_NONE || is_mounted(&m->mounts->v[i])))
			return -1;
	}
	return 0;
}

int step_mounts_stub(struct step_mounting *m, struct strv *lowers, struct err *err)
{
	auto_free struct stub *stubs = xcalloc(m->mounts->len + 1, sizeof(*stubs));
	struct stat st;
	size_t n = 0;

	for (size_t i = 0; i < m->mounts->len; i++) {
		const char *target = m->mounts->v[i].target;

		if (m->made[i] < 0)
			continue;
		if (fstat(m->made[i], &st) < 0)
			return err_sys(err, "cannot stat the mount for '%s'", target);
		stubs[n++] = (struct stub){ target, !S_ISDIR(st.st_mode) };
	}
	return n ? stubs_add(stubs, n, m->mounts->work, lowers, &m->stubs, err) : 0;
}

int step_mounts_attach(struct step_mounting *m, int root, struct err *err)
{
	for (size_t i = 0; i < m->mounts->len; i++) {
		const char *target = m->mounts->v[i].target;
		struct stat st;

		if (m->made[i] < 0)
			continue;
		if (fstat(m->made[i], &st) < 0)
			return err_sys(err, "cannot stat the mount for '%s'", target);
		if (stubs_make_place(root, target, !S_ISDIR(st.st_mode), err) < 0)
			return -1;
		if (mount_attach_in_root(m->made[i], root, target, err) < 0)
			return -1;
	}
	return 0;
}

void step_mounting_release(struct step_mounting *m)
{
	for (size_t i = 0; m->made && i < m->mounts->len; i++)
		close_fd(m->made[i]);
	free(m->made);
	m->made = NULL;
	close_fd(m->files);
	strv_release(&m->stubs);
}

void step_mounts_clean(const struct step_mounts *m, int storefd)
{
	if (m->len && m->work && *m->work)
		remove_tree(storefd, m->work);
}
