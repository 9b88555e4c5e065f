#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "build/build.h"
#include "build/image.h"
#include "build/jobs.h"
#include "build/step_host.h"
#include "cross/qemu.h"
#include "sandbox/step.h"
#include "store/snapshot.h"

#define RUN_HOSTNAME "whittle"

/* What runs: entrypoint and command as docker run combines them. */
static int command(const struct run_options *o, const struct image_config *c, struct strv *argv, struct err *err)
{
	if (o->entrypoint) {
		if (*o->entrypoint)
			strv_add(argv, o->entrypoint);
		strv_add_all(argv, &o->argv);
	} else {
		strv_add_all(argv, &c->entrypoint);
		strv_add_all(argv, o->argv.len ? &o->argv : &c->cmd);
	}
	return argv->len ? 0 : err_set(err, ERR_USAGE, "image '%s' has no command: name one", o->image);
}

static void environment(const struct run_options *o, const struct image_config *c, struct strv *env)
{
	for (size_t i = 0; i < c->env.len; i++)
		if (strchr(c->env.v[i], '=') && c->env.v[i][0] != '=') /* a bare NAME is not ours to fill in */
			strv_add(env, c->env.v[i]);
	if (!strv_env_get(env, "PATH"))
		strv_env_set(env, "PATH", CONFIG_DEFAULT_PATH);
	if (isatty(STDOUT_FILENO) && getenv("TERM"))
		strv_env_set(env, "TERM", getenv("TERM"));
	for (size_t i = 0; i < o->env.len; i++) {
		size_t len = strcspn(o->env.v[i], "=");
		auto_free char *name = xstrndup(o->env.v[i], len);

		strv_env_set(env, name, o->env.v[i][len] ? o->env.v[i] + len + 1 : "");
	}
}

static int run_spec(struct session *s, const struct snapchain *chain, struct step_spec *spec, struct err *err)
{
	auto_strv indexes = STRV_INIT;
	auto_strbuf payload = STRBUF_INIT;
	auto_strbuf reply = STRBUF_INIT;
	struct step_result result;
	struct wire w;
	int stdio[3] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	bool oom;

	snapchain_index_names(chain, &indexes);
	step_spec_put(spec, &payload);
	seal_put(NULL, NULL, &indexes, &payload);
	if (step_host_call(s, spec, &payload, stdio, NULL, 0, &reply, &oom, err) < 0)
		return -1;
	wire_init(&w, reply.buf, reply.len);
	if (step_result_get(&w, &result, err) < 0)
		return -1;
	if (oom && result.status != 0)
		return err_set(err, ERR_OOM, "the program was killed: out of memory (exit code %d)", result.status);
	return result.status;
}

static int run_resolved(struct session *s, const struct run_options *o, struct resolved_image *image,
	struct err *err)
{
	const struct image_config *c = &image->config;
	struct step_spec spec = STEP_SPEC_INIT;
	struct snapshot_tmp tmp;
	int rc;

	if (command(o, c, &spec.argv, err) < 0)
		return -1;
	environment(o, c, &spec.env);
	spec.cwd = xstrdup(o->workdir ? o->workdir : c->working_dir && *c->working_dir ? c->working_dir : "/");
	spec.user = xstrdup(o->user ? o->user : c->user ? c->user : "");
	spec.hostname = xstrdup(RUN_HOSTNAME);
	spec.network = o->steps.network;
	rc = image_need_layers(s, image, 0, err);
	if (rc == 0 && session_is_foreign(&image->platform))
		rc = qemu_check_env(&spec.env, err);
	if (rc == 0)
		rc = session_emulate(s, image->platform.architecture, image->platform.variant, err);
	if (rc == 0)
		rc = snapchain_need_folders(s, &image->chain, err);
	if (rc == 0)
		rc = snapchain_need_indexes(s, &image->chain, err);
	if (rc == 0)
		rc = step_host_fill(s, &spec, err);
	if (rc == 0)
		rc = session_storage(s, &spec.storage, err);
	if (rc == 0)
		rc = snapshot_new(s->store, &tmp, session_fingerprint(s), err);
	if (rc == 0) {
		snapchain_folder_names(s, &image->chain, &spec.lowers);
		spec.upper = xasprintf("%s/fs", tmp.name);
		spec.work = xasprintf("%s/work", tmp.name);
		rc = run_spec(s, &image->chain, &spec, err);
		session_drop_snapshot(s, &tmp);
	}
	step_spec_release(&spec);
	return rc;
}

int run_image(struct session *s, const struct run_options *options, struct err *err)
{
	struct platform host;
	struct resolve_options r = { .platform = options->platform, .any_platform = !options->platform };
	struct resolved_image *image;
	int rc;

	platform_host(&host);
	if (!r.platform)
		r.platform = &host;
	session_set_steps(s, &options->steps);
	if (!session_holder(s, err))
		return -1;
	image = image_resolve(s, options->image, &r, err);
	if (!image)
		return -1;
	rc = run_resolved(s, options, image, err);
	resolved_image_free(image);
	return rc;
}
