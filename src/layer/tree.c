#include "layer/tree.h"

#include <string.h>

#include "base/path.h"
#include "layer/bounds.h"

static int tee_entry(struct tree_sink *s, const struct tree_entry *e, struct err *err)
{
	struct tree_tee *t = (struct tree_tee *)s;

	if (t->a->entry(t->a, e, err) < 0)
		return -1;
	return t->b->entry(t->b, e, err);
}

static int tee_data(struct tree_sink *s, const void *data, size_t n, struct err *err)
{
	struct tree_tee *t = (struct tree_tee *)s;

	if (t->a->data(t->a, data, n, err) < 0)
		return -1;
	return t->b->data(t->b, data, n, err);
}

static int tee_finish(struct tree_sink *s, struct err *err)
{
	struct tree_tee *t = (struct tree_tee *)s;

	if (t->a->finish(t->a, err) < 0)
		return -1;
	return t->b->finish(t->b, err);
}

void tree_tee_init(struct tree_tee *t, struct tree_sink *a, struct tree_sink *b)
{
	t->sink = (struct tree_sink){.entry = tee_entry, .data = tee_data, .finish = tee_finish};
	t->a = a;
	t->b = b;
}

int tree_give_zeros(struct tree_sink *s, uint64_t n, struct err *err)
{
	static const char zeros[16 << 10];

	while (n > 0) {
		size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

		if (s->data(s, zeros, part, err) < 0)
			return -1;
		n -= part;
	}
	return 0;
}

static int null_entry(struct tree_sink *s, const struct tree_entry *e, struct err *err)
{
	(void)s;
	(void)e;
	(void)err;
	return 0;
}

static int null_data(struct tree_sink *s, const void *data, size_t n, struct err *err)
{
	(void)s;
	(void)data;
	(void)n;
	(void)err;
	return 0;
}

static int null_finish(struct tree_sink *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

struct tree_sink *tree_null_sink(void)
{
	/* never written to: sinks have no state but their own */
	static struct tree_sink sink = {null_entry, null_data, null_finish};

	return &sink;
}

bool entry_is_device(const struct tree_entry *e)
{
	return e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK;
}

const char *entry_type_name(enum entry_type type)
{
	switch (type) {
	case ENTRY_FILE:
		return "file";
	case ENTRY_DIR:
		return "directory";
	case ENTRY_SYMLINK:
		return "symbolic link";
	case ENTRY_HARDLINK:
		return "hard link";
	case ENTRY_CHAR:
		return "character device";
	case ENTRY_BLOCK:
		return "block device";
	case ENTRY_FIFO:
		return "fifo";
	case ENTRY_WHITEOUT:
		return "whiteout";
	}
	return "entry of unknown type";
}

/* 0 for a whiteout in the component that starts at p, 1 for everything else. */
static int order_class(const struct tree_entry *e, const char *p)
{
	return e->type == ENTRY_WHITEOUT && !e->opaque && !strchr(p, '/') ? 0 : 1;
}

int tree_order(const struct tree_entry *a, const struct tree_entry *b)
{
	const char *p = a->path, *q = b->path;
	size_t common = 0, start = 0;
	int ca, cb;

	while (p[common] && p[common] == q[common]) {
		common++;
		if (p[common - 1] == '/')
			start = common;
	}
	/* one path ends where the other goes on below it: that is a directory before what it holds,
	 * unless it is a whiteout, which comes before all names of its directory anyway */
	if (start == 0 && (p[0] == '\0' || q[0] == '\0'))
		return path_compare(p, q);
	ca = order_class(a, p + start);
	cb = order_class(b, q + start);
	if (ca != cb)
		return ca - cb;
	return path_compare(p, q);
}

bool tree_path_valid(const char *path)
{
	size_t depth = 0, total = 0;

	if (path[0] == '\0')
		return true;
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || n > LAYER_NAME_MAX || ++depth > LAYER_DEPTH_MAX)
			return false;
		if (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.')))
			return false;
		total += n + 1;
		if (total > LAYER_PATH_MAX)
			return false;
		if (p[n] == '\0')
			return true;
		p += n + 1;
	}
}

size_t tree_parent_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}
