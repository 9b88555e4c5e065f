#include "build/copy_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/strbuf.h"
#include "layer/tar_read.h"
#include "sandbox/user.h"

/* Takes the contents of one member of a layer, then ends the reading with an error of its own. */
struct capture {
	struct tree_sink sink;
	const char *path;
	uint64_t offset; /* of the body in the tar; 0: go by path alone */
	uint64_t pending;
	struct strbuf *text;
	bool inside, done;
};

static int stop(struct capture *c, struct err *err)
{
	c->done = true;
	return err_set(err, ERR_CANCELLED, "'%s' is read", c->path);
}

static int capture_entry(struct tree_sink *s, const struct tree_entry *e, struct err *err)
{
	struct capture *c = (struct capture *)s;

	c->inside = e->type == ENTRY_FILE &&
		    (c->offset ? e->offset == c->offset : strcmp(e->path, c->path) == 0);
	if (!c->inside)
		return 0;
	if (e->size > USER_FILE_MAX)
		return err_set(err, ERR_INPUT, "'/%s' of the image is larger than %u MiB", c->path, USER_FILE_MAX >> 20);
	c->pending = e->size;
	return c->pending == 0 ? stop(c, err) : 0;
}

static int capture_data(struct tree_sink *s, const void *data, size_t n, struct err *err)
{
	struct capture *c = (struct capture *)s;

	if (!c->inside)
		return 0;
	strbuf_add(c->text, data, n);
	c->pending -= n < c->pending ? n : c->pending;
	return c->pending == 0 ? stop(c, err) : 0;
}

static int capture_finish(struct tree_sink *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

static int open_in_store(const char *name, int flags, struct err *err)
{
	int fd = open_no_symlinks(AT_FDCWD, name, flags, 0);

	return fd < 0 ? err_sys(err, "cannot open '%s' in the store", name) : fd;
}

static int read_from_folder(const char *folder, const char *path, struct strbuf *text, struct err *err)
{
	auto_fd int dir_fd = open_in_store(folder, O_PATH | O_DIRECTORY, err);
	auto_fd int fd = -1;

	if (dir_fd < 0)
		return -1;
	fd = open_no_symlinks(dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0 || read_all(fd, text, USER_FILE_MAX) < 0)
		return err_sys(err, "cannot read '/%s' of the image", path);
	return 0;
}

static int read_from_blob(const char *blob, const struct tree_entry *e, struct strbuf *text, struct err *err)
{
	auto_fd int fd = open_in_store(blob, O_RDONLY, err);
	struct capture c = {
		.sink = { capture_entry, capture_data, capture_finish },
		.path = e->path,
		.offset = e->offset,
		.text = text,
	};
	struct layer_read_options any = LAYER_READ_INIT;
	struct err reading = ERR_INIT;

	if (fd < 0)
		return -1;
	if (layer_read(fd, &any, &c.sink, NULL, &reading) < 0 && !c.done) {
		*err = reading;
		return err_wrap(err, "cannot read '/%s' of the image", e->path);
	}
	if (!c.done)
		return err_set(err, ERR_CORRUPT, "the layer that should have '/%s' lacks it", e->path);
	return 0;
}

/* The file path, without links, of the layer that the merged tree has it from. */
static int read_from_layer(const struct copy_spec *spec, const struct tree_chain *base, const char *path,
	struct strbuf *text, struct err *err)
{
	for (size_t i = base->len; i-- > 0;) {
		struct tree_entry e, target;

		if (!index_find(base->v[i], path, &e) || (e.type != ENTRY_FILE && e.type != ENTRY_HARDLINK))
			continue;
		if (spec->base_folders.v[i][0])
			return read_from_folder(spec->base_folders.v[i], path, text, err);
		if (e.type == ENTRY_HARDLINK && index_find(base->v[i], e.link, &target))
			e = target;
		if (spec->base_blobs.v[i][0])
			return read_from_blob(spec->base_blobs.v[i], &e, text, err);
		break;
	}
	return err_set(err, ERR_SYSTEM, "the store has neither a folder nor a layer with '/%s' of the image", path);
}

/* Append the text of a file of the image; nothing when it has none. */
static int read_image_file(const struct copy_spec *spec, const struct tree_chain *base, const char *path,
	struct strbuf *text, struct err *err)
{
	auto_free char *real = NULL;
	struct tree_entry e;

	if (chain_resolve(base, path, CHAIN_FOLLOW_LAST, &real, err) < 0)
		return -1;
	if (!chain_lookup(base, real, &e))
		return 0;
	if (e.type != ENTRY_FILE)
		return err_set(err, ERR_INPUT, "'%s' of the image is a %s, not a file", path, entry_type_name(e.type));
	if (e.size > USER_FILE_MAX)
		return err_set(err, ERR_INPUT, "'%s' of the image is larger than %u MiB", path, USER_FILE_MAX >> 20);
	return read_from_layer(spec, base, real, text, err);
}

/* Whether user and group are numbers, or root, who is 0 without asking. */
static bool needs_files(const char *chown)
{
	size_t user = strcspn(chown, ":");
	bool user_known = strspn(chown, "0123456789") == user;
	const char *group = chown[user] == ':' ? chown + user + 1 : "";

	return !user_known || group[strspn(group, "0123456789")] != '\0';
}

int copy_owner_find(const struct copy_spec *spec, const struct tree_chain *base, uint32_t *ret_uid, uint32_t *ret_gid,
	struct err *err)
{
	auto_strbuf passwd = STRBUF_INIT, group = STRBUF_INIT;
	uid_t uid;
	gid_t gid;

	if (needs_files(spec->chown) && (read_image_file(spec, base, "/etc/passwd", &passwd, err) < 0 ||
						read_image_file(spec, base, "/etc/group", &group, err) < 0))
		return -1;
	/* root is 0 even where no file says so */
	strbuf_puts(&group, "\nroot:x:0:\n");
	if (user_resolve_owner(passwd.buf, group.buf, spec->chown, &uid, &gid, err) < 0)
		return -1;
	*ret_uid = uid;
	*ret_gid = gid;
	return 0;
}
