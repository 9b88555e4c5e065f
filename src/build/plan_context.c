#include "build/plan_context.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/context_load.h"
#include "build/image_internal.h"
#include "oci/reference.h"

#define IMAGE_PREFIX "docker-image://"
#define LAYOUT_PREFIX "oci-layout://"
#define TARGET_PREFIX "target:"

struct named_context {
	struct named_context *next;
	const char *value; /* of the options */
	struct context context;
};

void plan_contexts_free(struct session *s, struct named_context *list)
{
	for (struct named_context *next; list; list = next) {
		next = list->next;
		context_drop(s, &list->context);
		free(list);
	}
}

/* ---- which value ---- */

/* The short form of an image reference without ":latest"; what is none stays as it is. The caller frees. */
static char *normalise(const char *name)
{
	auto_reference ref = REFERENCE_INIT;
	struct err unused = ERR_INIT;
	char *familiar;
	size_t n;

	if (reference_parse(name, &ref, &unused) < 0)
		return xstrdup(name);
	familiar = reference_familiar(&ref);
	n = strlen(familiar);
	if (!ref.digest && n > 7 && strcmp(familiar + n - 7, ":latest") == 0)
		familiar[n - 7] = '\0';
	return familiar;
}

/* The last one given counts, as everywhere on the command line. platform: "os/arch", or NULL: the plain name. */
static const char *find_value(const struct strv *pairs, const char *name, const char *platform)
{
	const char *found = NULL;

	for (size_t i = 0; i + 1 < pairs->len; i += 2) {
		const char *given = pairs->v[i], *colons = strstr(given, "::");
		size_t n = colons ? (size_t)(colons - given) : strlen(given);
		auto_free char *bare = xstrndup(given, n);
		auto_free char *normal = normalise(bare);

		if (strcmp(normal, name) != 0 || (platform == NULL) != (colons == NULL))
			continue;
		if (!colons || strcmp(colons + 2, platform) == 0)
			found = pairs->v[i + 1];
	}
	return found;
}

/* The value of the named context for an image or stage called name, or NULL. */
static const char *find_named(const struct planner *p, const struct platform *platform, const char *name)
{
	const struct strv *pairs = &p->options->build_contexts;
	char text[PLATFORM_STR_SIZE];
	auto_free char *normal = NULL;
	const char *value;

	if (pairs->len == 0 || strcmp(name, "scratch") == 0 || strcmp(name, "context") == 0)
		return NULL;
	normal = normalise(name);
	platform_format(platform, text);
	value = find_value(pairs, normal, text);
	return value ? value : find_value(pairs, normal, NULL);
}

/* ---- what it holds ---- */

static bool begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static struct context *load_folder(struct planner *p, const char *name, const char *value, struct err *err)
{
	struct named_context *n;

	for (n = p->plan->contexts; n; n = n->next)
		if (strcmp(n->value, value) == 0)
			return &n->context;
	n = xcalloc(1, sizeof(*n));
	n->value = value;
	n->context = (struct context)CONTEXT_INIT;
	if (context_load_named(p->session, name, value, &n->context, err) < 0) {
		free(n);
		return NULL;
	}
	n->next = p->plan->contexts;
	p->plan->contexts = n;
	return &n->context;
}

/* One of an image (*ret_image; NULL with "docker-image://scratch") or of a folder (*ret_folder). */
static int load_named(struct planner *p, struct stage_state *st, const char *name, const char *value,
	const struct instruction *in, bool as_step, struct op **ret_image, const struct context **ret_folder,
	struct err *err)
{
	*ret_image = NULL;
	*ret_folder = NULL;
	if (strcmp(value, IMAGE_PREFIX "scratch") == 0)
		return 0;
	if (begins(value, TARGET_PREFIX))
		return err_set(err, ERR_INPUT,
			"context '%s': '%s' means a target of a bake file; name the stage with COPY --from", name, value);
	if (begins(value, IMAGE_PREFIX) || begins(value, LAYOUT_PREFIX)) {
		*ret_image = plan_image(p, st, value, in, as_step, err);
		return *ret_image ? 0 : err_wrap(err, "context '%s'", name);
	}
	*ret_folder = load_folder(p, name, value, err);
	return *ret_folder ? 0 : -1;
}

static struct op *with_files(struct op *image)
{
	return image && image->image->chain.len ? image : NULL;
}

struct op *plan_folder(struct planner *p, struct stage_state *st, const struct context *folder,
	const struct instruction *in, struct err *err)
{
	struct op *op = xcalloc(1, sizeof(*op));
	auto_strbuf definition = STRBUF_INIT;

	op->kind = OP_COPY;
	op->platform = st->platform;
	op->location = (struct dockerfile_location){ in->first_line, in->last_line };
	op->name = xasprintf("[context] load %s", folder->path);
	op->copy.dest = xstrdup("/");
	op->copy.now = p->now;
	strv_add(&op->copy.sources, "/");
	plan_copy_folder(p, op, folder);
	if (plan_digest_folder(p, op, err) < 0) {
		op_free(op);
		return NULL;
	}
	plan_put_copy(op, &definition);
	return plan_add(p, op, &definition);
}

int plan_start_named(struct planner *p, struct stage_state *st, const char *name, struct err *err)
{
	const char *value = find_named(p, &st->platform, name);
	const struct context *folder;
	struct op *image;

	if (!value)
		return 0;
	if (load_named(p, st, name, value, &st->stage->from, true, &image, &folder, err) < 0)
		return -1;
	plan_start_config(st, image ? image->image : NULL);
	st->tip = with_files(image);
	if (folder) {
		st->tip = plan_folder(p, st, folder, &st->stage->from, err);
		if (!st->tip)
			return -1;
	}
	return 1;
}

/* ---- COPY --from ---- */

/* The stage that from means, or -1: none; -2 and *err. */
static int find_stage(struct planner *p, const struct stage_state *st, const char *from, bool numbers, struct err *err)
{
	uint64_t number;
	int index;

	if (numbers && parse_u64(from, 0, UINT64_MAX, &number) == 0) {
		if (number >= p->df->nstages) {
			err_set(err, ERR_DOCKERFILE, "invalid stage index %s", from);
			return -2;
		}
		index = (int)number;
	} else {
		index = dockerfile_find_stage_any_case(p->df, from, p->df->nstages);
	}
	if (index >= 0 && (size_t)index >= st->index) {
		err_set(err, ERR_DOCKERFILE,
			"cannot copy from stage \"%s\", it needs to be defined before current stage \"%s\"", from,
			st->stage->name ? st->stage->name : "");
		return -2;
	}
	return index;
}

int plan_from(struct planner *p, struct stage_state *st, const char *from, bool numbers, const struct instruction *in,
	struct plan_files *ret, struct err *err)
{
	int index = find_stage(p, st, from, numbers, err);
	const char *value;
	struct op *image;

	*ret = (struct plan_files){ .tip = NULL };
	if (index < -1)
		return -1;
	if (index >= 0) {
		if (plan_stage(p, (size_t)index, err) < 0)
			return -1;
		ret->tip = p->stages[index].tip;
		return 0;
	}
	value = find_named(p, &st->platform, from);
	if (value) {
		if (load_named(p, st, from, value, in, false, &image, &ret->folder, err) < 0)
			return -1;
	} else {
		image = plan_image(p, st, from, in, false, err);
		if (!image)
			return -1;
	}
	ret->tip = with_files(image);
	return 0;
}
