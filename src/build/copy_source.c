#include "build/copy_source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strv.h"
#include "dockerfile/glob.h"
#include "layer/bounds.h"

int copy_source_init(struct copy_source *s, const struct copy_spec *spec, int root, struct err *err)
{
	*s = (struct copy_source){
		.root = root,
		.context = spec->from_context,
		.spec = spec,
		.first_root = root,
		.dir = STRBUF_INIT,
		.dir_fd = -1,
	};
	if (spec->from_context && spec->ignore && spec->ignore[0]) {
		s->first_ignore = ignore_parse(spec->ignore, strlen(spec->ignore), err);
		if (!s->first_ignore)
			return -1;
		s->ignore = s->first_ignore;
	}
	if (spec->excludes.len > 0) {
		s->exclude = ignore_new((const char *const *)spec->excludes.v, spec->excludes.len, err);
		if (!s->exclude)
			return err_wrap(err, "--exclude");
	}
	s->buffer = xmalloc(COPY_BUFFER_SIZE);
	s->names = xmalloc(COPY_XATTR_NAMES_SIZE);
	s->value = xmalloc(LAYER_XATTR_VALUE_MAX);
	return 0;
}

void copy_source_release(struct copy_source *s)
{
	for (size_t i = 0; i < s->nmatches; i++)
		ignore_free(s->matches[i]->kept);
	ignore_free(s->first_ignore);
	ignore_free(s->exclude);
	for (size_t i = 0; i < s->nmore_roots; i++)
		close_fd(s->more_roots[i]);
	free(s->more_roots);
	free(s->matches);
	free(s->items);
	free(s->buffer);
	free(s->names);
	free(s->value);
	close_fd(s->dir_fd);
	strbuf_release(&s->dir);
	arena_release(&s->arena);
}

struct copy_arg copy_source_arg(const struct copy_source *s, size_t arg)
{
	if (s->spec->args)
		return s->spec->args[arg];
	return (struct copy_arg){ .extract = s->spec->extract ? ARCHIVE_USUAL : ARCHIVE_NEVER };
}

void copy_source_enter(struct copy_source *s, size_t arg)
{
	size_t root = copy_source_arg(s, arg).root;

	if (root == s->entered)
		return;
	s->entered = root;
	s->root = root ? s->more_roots[root - 1] : s->first_root;
	s->ignore = root ? NULL : s->first_ignore;
	s->dir_fd = close_fd(s->dir_fd); /* that of another root */
}

/* ---- looking ---- */

static int compare_names(const void *pa, const void *pb)
{
	return strcmp(*(char *const *)pa, *(char *const *)pb);
}

int copy_list_names(int fd, const char *path, struct strv *names, struct err *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;

	if (!d) {
		err_sys(err, "cannot open the folder '/%s'", path);
		close_fd(copy);
		return -1;
	}
	while (errno = 0, (de = readdir(d)) != NULL) {
		const char *name = de->d_name;

		if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
			continue;
		strv_add(names, name);
	}
	if (errno != 0)
		return err_sys(err, "cannot read the folder '/%s'", path);
	if (names->len > 1)
		qsort(names->v, names->len, sizeof(*names->v), compare_names);
	return 0;
}

/* An overlay shows none of its whiteouts; a folder that is looked at alone does. */
static bool is_whiteout(const struct copy_source *s, const struct stat *st)
{
	return !s->context && S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/*
 * What is at path, no link followed. Returns 1 and *st (and the target of a link in target, of LAYER_LINK_MAX + 1
 * bytes), 0 when there is nothing, -1 and *err.
 */
static int look(struct copy_source *s, const char *path, struct stat *st, char *target, struct err *err)
{
	auto_fd int fd = -1;
	ssize_t n;

	if (s->root < 0) {
		*st = (struct stat){ .st_mode = S_IFDIR | 0755 };
		return path[0] == '\0';
	}
	fd = open_no_symlinks(s->root, path[0] ? path : ".", O_PATH | O_NOFOLLOW, 0);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
		return 0;
	if (fd < 0 || fstat(fd, st) < 0)
		return err_sys(err, "cannot open '/%s' of the source", path);
	if (is_whiteout(s, st))
		return 0;
	if (!S_ISLNK(st->st_mode))
		return 1;
	n = readlinkat(fd, "", target, LAYER_LINK_MAX);
	if (n < 0)
		return err_sys(err, "cannot read the link '/%s' of the source", path);
	target[n] = '\0';
	return 1;
}

/*
 * Resolve path inside the root, its last component too, into real: links are followed unless they are excluded, ".."
 * stops at the root. Returns 1 and *st, 0 when there is nothing, -1 and *err.
 */
static int resolve(struct copy_source *s, const char *path, struct strbuf *real, struct stat *st, struct err *err)
{
	char target[LAYER_LINK_MAX + 1];
	auto_strbuf rest = STRBUF_INIT;
	size_t at = 0, links = 0;

	strbuf_puts(&rest, path);
	strbuf_reset(real);
	for (;;) {
		const char *name = rest.buf + at + strspn(rest.buf + at, "/");
		size_t n = strcspn(name, "/"), before = real->len;
		int found;

		at = (size_t)(name - rest.buf) + n;
		if (n == 0)
			return look(s, real->buf, st, target, err);
		if (n == 1 && name[0] == '.')
			continue;
		if (n == 2 && name[0] == '.' && name[1] == '.') {
			strbuf_setlen(real, tree_parent_len(real->buf));
			continue;
		}
		if (before > 0)
			strbuf_putc(real, '/');
		strbuf_add(real, name, n);
		if (real->len > LAYER_PATH_MAX)
			return 0;
		found = look(s, real->buf, st, target, err);
		if (found <= 0)
			return found;
		if (!S_ISLNK(st->st_mode))
			continue;
		if (s->ignore && ignore_match(s->ignore, real->buf))
			return 0;
		if (++links > LAYER_LINKS_MAX)
			return err_set(err, ERR_INPUT, "too many symbolic links in '%s'", path);
		auto_free char *after = xstrdup(rest.buf + at);
		strbuf_reset(&rest);
		strbuf_puts(&rest, target);
		strbuf_puts(&rest, after);
		at = 0;
		strbuf_setlen(real, target[0] == '/' ? 0 : before);
	}
}

/* Whether the ignore file lets path be seen: itself, or as the folder of something. -1 and *err. */
static int is_visible(struct copy_source *s, const char *path, bool dir, struct err *err)
{
	if (!s->ignore || path[0] == '\0' || !ignore_match(s->ignore, path))
		return 1;
	return dir && ignore_may_include_below(s->ignore, path) ? copy_source_shows_below(s, path, err) : 0;
}

/* ---- matches ---- */

static int not_found(const char *path, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "\"/%s\": not found", path + (path[0] == '/'));
}

static struct copy_match *add_match(struct copy_source *s, size_t arg, const char *path, const char *name, bool dir)
{
	struct copy_match *m = arena_alloc(&s->arena, sizeof(*m));

	m->path = arena_strdup(&s->arena, path);
	m->name = arena_strdup(&s->arena, name);
	m->dir = dir;
	m->arg = arg;
	GROW(s->matches, s->nmatches, s->matches_cap);
	s->matches[s->nmatches++] = m;
	return m;
}

/* The literal path, or one that a wildcard gave. Returns 1 when it was added, 0 when it is not there. */
static int find_literal(struct copy_source *s, size_t arg, const char *path, bool dirs_only, struct err *err)
{
	auto_strbuf real = STRBUF_INIT;
	struct stat st;
	int found = resolve(s, path, &real, &st, err);

	if (found > 0)
		found = is_visible(s, real.buf, S_ISDIR(st.st_mode), err);
	if (found > 0 && dirs_only && !S_ISDIR(st.st_mode))
		found = 0;
	if (found > 0)
		add_match(s, arg, real.buf, path_base(path), S_ISDIR(st.st_mode));
	return found;
}

struct search {
	struct copy_source *s;
	size_t arg;
	bool dirs_only;
	struct strbuf path; /* where the search is, without links */
};

static int search_dir(struct search *f, int dir_fd, const char *pattern, struct err *err);

/* The name that the path of f ends with matches the first component of pattern; rest follows it. */
static int search_name(struct search *f, int dir_fd, const char *name, const char *rest, struct err *err)
{
	const struct ignore *ignore = f->s->ignore;
	struct stat st;
	auto_fd int fd = -1;
	int found;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "cannot stat '/%s' of the source", f->path.buf);
	if (is_whiteout(f->s, &st))
		return 0;
	if (*rest == '\0') {
		found = is_visible(f->s, f->path.buf, S_ISDIR(st.st_mode), err);
		if (found <= 0)
			return found;
		found = find_literal(f->s, f->arg, f->path.buf, f->dirs_only, err);
		return found == 0 && !f->dirs_only ? not_found(f->path.buf, err) : found;
	}
	if (!S_ISDIR(st.st_mode) || (ignore && ignore_match(ignore, f->path.buf) &&
					    !ignore_may_include_below(ignore, f->path.buf)))
		return 0;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open the folder '/%s' of the source", f->path.buf);
	return search_dir(f, fd, rest, err);
}

/* Match what is left of a pattern below the folder dir_fd, in the order of a walk. */
static int search_dir(struct search *f, int dir_fd, const char *pattern, struct err *err)
{
	size_t n = strcspn(pattern, "/"), base = f->path.len;
	const char *rest = pattern + n + strspn(pattern + n, "/");
	auto_strv names = STRV_INIT;

	if (copy_list_names(dir_fd, f->path.buf, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		if (!glob_match_n(pattern, n, names.v[i], strlen(names.v[i])))
			continue;
		if (base > 0)
			strbuf_putc(&f->path, '/');
		strbuf_puts(&f->path, names.v[i]);
		if (search_name(f, dir_fd, names.v[i], rest, err) < 0)
			return -1;
		strbuf_setlen(&f->path, base);
	}
	return 0;
}

/* Bytes of the absolute path that stand before its first component with a wildcard. */
static size_t literal_len(const char *path)
{
	size_t len = 0;

	for (;;) {
		size_t n = strcspn(path + len + 1, "/");
		auto_free char *component = xstrndup(path + len + 1, n);

		if (path[len + 1] == '\0' || glob_has_wildcard(component))
			return len;
		len += n + 1;
		if (path[len] == '\0')
			return len;
	}
}

/* The absolute path has wildcards. */
static int find_pattern(struct copy_source *s, size_t arg, const char *path, bool dirs_only, struct err *err)
{
	size_t n = literal_len(path);
	auto_free char *literal = xstrndup(path, n);
	struct search f = { .s = s, .arg = arg, .dirs_only = dirs_only, .path = STRBUF_INIT };
	struct stat st;
	auto_fd int fd = -1;
	int found;

	if (!glob_is_valid(path))
		return err_set(err, ERR_INPUT, "syntax error in pattern '%s'", path);
	found = resolve(s, literal, &f.path, &st, err);
	if (found > 0 && S_ISDIR(st.st_mode) && s->root >= 0) {
		fd = open_no_symlinks(s->root, f.path.len ? f.path.buf : ".", O_RDONLY | O_DIRECTORY, 0);
		found = fd < 0 ? err_sys(err, "cannot open the folder '/%s' of the source", f.path.buf) :
				 search_dir(&f, fd, path + n + 1, err);
	}
	strbuf_release(&f.path);
	return found < 0 ? -1 : 0;
}

/* What is taken of the folders found: the part behind the pivot, as a pattern of the ignore file. */
static int set_kept(struct copy_source *s, size_t first, const char *kept, const char *asked, struct err *err)
{
	auto_free char *again = xasprintf("!%s", kept);
	const char *const patterns[] = { "**", again };

	for (size_t i = first; i < s->nmatches; i++) {
		struct copy_match *m = s->matches[i];

		m->kept = ignore_new(patterns, 2, err);
		if (!m->kept)
			return -1;
		m->must = asked ? arena_strdup(&s->arena, asked) : NULL;
	}
	return 0;
}

/* --parents: the folder before the first "/./", or the root, and what of it is kept with its path. */
static int find_parents(struct copy_source *s, size_t arg, const char *text, struct err *err)
{
	const char *pivot = strstr(text, "/./");
	auto_free char *before = pivot ? xstrndup(text, (size_t)(pivot - text)) : xstrdup("/");
	auto_free char *base = path_join("/", before);
	auto_free char *kept = path_join("/", pivot ? pivot + 3 : text);
	auto_free char *asked = path_join(base, kept + 1);
	bool wild_base = glob_has_wildcard(base), wild = wild_base || glob_has_wildcard(kept);
	size_t first = s->nmatches;
	int found;

	/* text behind the pivot that starts with "/" is still relative */
	if (wild_base)
		found = find_pattern(s, arg, base, true, err);
	else
		found = find_literal(s, arg, base, true, err);
	if (found < 0)
		return -1;
	if (s->nmatches == first)
		return wild ? 0 : not_found(asked, err);
	if (kept[1] == '\0')
		return 0;
	if (!glob_is_valid(kept))
		return err_set(err, ERR_INPUT, "syntax error in pattern '%s'", text);
	return set_kept(s, first, kept + 1, wild ? NULL : asked, err);
}

int copy_source_find(struct copy_source *s, size_t arg, const char *text, bool parents, struct err *err)
{
	auto_free char *path = NULL;
	int found;

	copy_source_enter(s, arg);
	if (parents)
		return find_parents(s, arg, text, err);
	/* always from the root, whatever it starts with; path_join() takes an absolute one as it is */
	path = path_join("/", text);
	if (!copy_source_arg(s, arg).literal && glob_has_wildcard(path))
		return find_pattern(s, arg, path, false, err);
	found = find_literal(s, arg, path, false, err);
	return found == 0 ? not_found(path, err) : found < 0 ? -1 : 0;
}
