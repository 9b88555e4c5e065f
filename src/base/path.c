#include "base/path.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/*
 * The component at *path (slashes in front skipped), its length in *len; 0 at the end. Moves *path
 * behind it.
 */
static const char *next_component(const char **path, size_t *len)
{
	const char *p = *path + strspn(*path, "/");

	*len = strcspn(p, "/");
	*path = p + *len;
	return p;
}

static bool is_dotdot(const char *name, size_t len)
{
	return len == 2 && name[0] == '.' && name[1] == '.';
}

char *path_clean(const char *path)
{
	bool absolute = path[0] == '/';
	/* "." for an empty result is the only one that can be longer than path */
	char *out = xmalloc(strlen(path) + 2);
	size_t root =
		absolute ? 1 : 0; /* what may not be cut any more: the leading / or leading ..s */
	size_t n = root, len;
	const char *name;

	if (absolute)
		out[0] = '/';
	while ((name = next_component(&path, &len)), len > 0) {
		if (len == 1 && name[0] == '.')
			continue;
		if (is_dotdot(name, len) && n > root) {
			while (n > root && out[n - 1] != '/')
				n--;
			if (n > root)
				n--; /* the separator, unless it is the root's own */
			continue;
		}
		if (is_dotdot(name, len) && absolute)
			continue;
		if (n > 0 && out[n - 1] != '/')
			out[n++] = '/';
		memcpy(out + n, name, len);
		n += len;
		if (is_dotdot(name, len))
			root = n;
	}
	if (n == 0)
		out[n++] = '.';
	out[n] = '\0';
	return out;
}

char *path_join(const char *base, const char *path)
{
	char *joined, *cleaned;

	/* an empty base must not make an absolute path of a relative one */
	if (path[0] == '/' || base[0] == '\0')
		return path_clean(path);
	joined = xasprintf("%s/%s", base, path);
	cleaned = path_clean(joined);
	free(joined);
	return cleaned;
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The end of a path sorts before a separator, and that before every byte of a name. */
static int sort_key(char c)
{
	if (c == '\0')
		return 0;
	return c == '/' ? 1 : (unsigned char)c + 1;
}

int path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return sort_key(*a) - sort_key(*b);
}

/* Number of leading ".." of a cleaned path; *rest is what follows them. */
static size_t leading_dotdots(const char *path, const char **rest)
{
	size_t count = 0, len;
	const char *p = path;

	for (;;) {
		const char *next = p;
		const char *name = next_component(&next, &len);

		if (!is_dotdot(name, len))
			break;
		p = next;
		count++;
	}
	*rest = p + strspn(p, "/");
	return count;
}

bool path_is_below(const char *path, const char *dir)
{
	const char *dir_rest, *path_rest;
	size_t dir_up, path_up, len;

	if ((path[0] == '/') != (dir[0] == '/'))
		return false;
	dir_up = leading_dotdots(dir, &dir_rest);
	path_up = leading_dotdots(path, &path_rest);
	/* "/", "." and "../..": everything that does not climb higher is below */
	if (dir_rest[0] == '\0' || strcmp(dir_rest, ".") == 0)
		return path_up <= dir_up;
	len = strlen(dir_rest);
	return path_up == dir_up && strncmp(path_rest, dir_rest, len) == 0 &&
	       (path_rest[len] == '\0' || path_rest[len] == '/');
}
