#include "build/plan_add.h"

#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/wire.h"
#include "build/giturl.h"

static bool is_url(const char *s)
{
	return strncasecmp(s, "http://", 7) == 0 || strncasecmp(s, "https://", 8) == 0;
}

/* A flag that is a yes or no: absent, "true", "false". */
enum given { NOT_GIVEN, GIVEN_NO, GIVEN_YES };

static enum given boolean(const struct instruction *in, const char *name)
{
	const char *value = instruction_flag(in, name);

	if (!value)
		return NOT_GIVEN;
	return instruction_flag_is_set(in, name) ? GIVEN_YES : GIVEN_NO;
}

/* ---- pinning ---- */

/* The same URL twice in a plan is one file, and the same again for another platform. */
static struct origin *find_origin(struct planner *p, enum origin_kind kind, const char *url, bool keep_git_dir)
{
	for (struct origin *o = p->plan->origins; o; o = o->next)
		if (o->kind == kind && strcmp(o->url, url) == 0 && o->keep_git_dir == keep_git_dir)
			return o;
	return NULL;
}

static struct origin *keep_origin(struct planner *p, struct origin *o)
{
	if (!o)
		return NULL;
	o->next = p->plan->origins;
	p->plan->origins = o;
	return o;
}

static struct origin *pin_url(struct planner *p, const char *url, const char *checksum, struct err *err)
{
	struct origin *o = checksum ? NULL : find_origin(p, ORIGIN_URL, url, false);

	return o ? o : keep_origin(p, origin_url(p->session, url, checksum, err));
}

/* What the URL itself says and what the flags say must agree (3.3.12.3). */
static int merge_flags(const struct instruction *in, struct giturl *git, const char *checksum, bool *ret_keep,
	struct err *err)
{
	enum given keep = boolean(in, "keep-git-dir");

	if (git->keep_git_dir_set && keep != NOT_GIVEN && git->keep_git_dir != (keep == GIVEN_YES))
		return err_set(err, ERR_DOCKERFILE, "inconsistent keep-git-dir configuration");
	*ret_keep = git->keep_git_dir || keep == GIVEN_YES;
	if (!checksum)
		return 0;
	if (giturl_check_commit(checksum, err) < 0)
		return err->kind = ERR_DOCKERFILE, -1;
	if (git->commit && strcasecmp(git->commit, checksum) != 0)
		return err_set(err, ERR_DOCKERFILE, "checksum mismatch \"%s\" != \"%s\"", git->commit, checksum);
	if (!git->commit) {
		git->commit = xstrdup(checksum);
		for (char *c = git->commit; *c; c++)
			if (*c >= 'A' && *c <= 'F')
				*c = (char)(*c | 0x20);
	}
	return 0;
}

static struct origin *pin_git(struct planner *p, const struct instruction *in, const char *url, struct giturl *git,
	const char *checksum, struct err *err)
{
	struct origin *o;
	bool keep;

	if (merge_flags(in, git, checksum, &keep, err) < 0)
		return NULL;
	o = checksum ? NULL : find_origin(p, ORIGIN_GIT, url, keep);
	return o ? o : keep_origin(p, origin_git(p->session, url, git, keep, err));
}

/* ---- sources ---- */

static void add_fetched(struct op *op, size_t arg, struct origin *o, enum archive_accept extract)
{
	size_t n = op->copy.nroots++;

	op->copy.roots = xreallocarray(op->copy.roots, n + 1, sizeof(*op->copy.roots));
	op->origins = xreallocarray(op->origins, n + 1, sizeof(*op->origins));
	op->copy.roots[n] = (struct copy_root){ .folder = NULL };
	op->origins[n] = o;
	op->copy.args[arg] = (struct copy_arg){ .root = n + 1, .literal = true, .extract = extract };
	strv_take(&op->copy.sources, o->kind == ORIGIN_URL ? xasprintf("/%s", o->file_name) : xstrdup("/"));
}

/* Returns 1 when the source is remote and was added, 0, or -1 and *err. */
static int add_remote(struct planner *p, const struct instruction *in, size_t arg, const char *source,
	const char *checksum, struct op *op, struct err *err)
{
	enum archive_accept extract = boolean(in, "unpack") == GIVEN_YES ? ARCHIVE_EVERY : ARCHIVE_NEVER;
	struct origin *o = NULL;
	struct giturl git;
	int is_git = giturl_parse(source, false, &git, err);

	if (is_git < 0)
		return err->kind = ERR_DOCKERFILE, -1;
	if (in->kind == INSTRUCTION_COPY && (is_git || is_url(source)))
		err_set(err, ERR_DOCKERFILE, "source can't be a %s for COPY", is_git ? "git ref" : "URL");
	else if (is_git)
		o = pin_git(p, in, source, &git, checksum, err);
	else if (is_url(source))
		o = pin_url(p, source, checksum, err);
	giturl_release(&git);
	if (o)
		add_fetched(op, arg, o, extract);
	return o ? 1 : is_git || is_url(source) ? -1 : 0;
}

int plan_sources(struct planner *p, const struct instruction *in, const struct strv *sources, const char *checksum,
	struct op *op, struct err *err)
{
	enum given unpack = boolean(in, "unpack");
	enum archive_accept extract = in->kind != INSTRUCTION_ADD || unpack == GIVEN_NO ? ARCHIVE_NEVER :
				      unpack == GIVEN_YES                               ? ARCHIVE_EVERY :
											  ARCHIVE_USUAL;

	if (checksum && sources->len + in->nheredocs != 1)
		return err_set(err, ERR_DOCKERFILE, "checksum can't be specified for multiple sources");
	op->copy.args = xcalloc(sources->len + 1, sizeof(*op->copy.args));
	for (size_t i = 0; i < sources->len; i++) {
		int remote = add_remote(p, in, i, sources->v[i], checksum, op, err);

		if (remote < 0)
			return -1;
		if (remote > 0)
			continue;
		if (checksum)
			return err_set(err, ERR_DOCKERFILE, "checksum requires HTTP(S) or Git sources");
		op->copy.args[i].extract = extract;
		strv_add(&op->copy.sources, sources->v[i]);
	}
	if (checksum && sources->len == 0)
		return err_set(err, ERR_DOCKERFILE, "checksum requires HTTP(S) or Git sources");
	return 0;
}

void plan_put_sources(const struct op *op, struct strbuf *definition)
{
	const struct copy_spec *c = &op->copy;

	for (size_t i = 0; c->args && i < c->sources.len; i++) {
		wire_put_u64(definition, c->args[i].extract);
		if (c->args[i].root > 0)
			origin_put(op->origins[c->args[i].root - 1], definition);
		else
			wire_put_str(definition, "");
	}
}
